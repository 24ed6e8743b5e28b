import { describe, expect, test } from "vitest";
import { failedChecks, outcomeOf, refusal } from "../support/outcome.ts";
import {
  issueCertificate,
  listCa,
  listCtLog,
  listTsa,
  makeCa,
  makeTimestampAuthority,
  minutes,
  NOW,
  signerKeys,
  YEARS_AGO,
  YEARS_AHEAD,
  type Listing,
} from "../support/sandbox/authorities.ts";
import { listRekor, makeRekor } from "../support/sandbox/rekor.ts";
import {
  ARTIFACT,
  bundleFrom,
  makeSandbox,
  verifyIn,
  type BundleOptions,
  type Demand,
} from "../support/sandbox/sandbox.ts";

const sandbox = makeSandbox();
const { rekor1, rekor2 } = sandbox;
const outcome = (options: BundleOptions, demand?: Demand): ReturnType<typeof outcomeOf> =>
  outcomeOf(verifyIn(sandbox, bundleFrom(sandbox, options), demand));

const seconds = (count: number): Date => new Date(NOW.getTime() + count * 1000);
const OUTSIDE = "CERTIFICATE_NOT_VALID_AT_TIME";

/** Windows that end or begin at {@link NOW}, which belongs to them, and such that miss it by a second. */
const WINDOWS = [
  ["ends at that time", { end: NOW }, true],
  ["begins at that time", { start: NOW }, true],
  ["is that time alone", { start: NOW, end: NOW }, true],
  ["ended a second before", { end: seconds(-1) }, false],
  ["begins a second later", { start: seconds(1) }, false],
] as const satisfies readonly (readonly [string, Listing, boolean])[];

const longLived = { notBefore: YEARS_AGO, notAfter: YEARS_AHEAD };

describe("checklist 4: time source", () => {
  describe("a field that nobody signed gives no time", () => {
    const v1 = {
      log: rekor1,
      promise: false,
      entry: (entry) => ({ ...entry, integratedTime: BigInt(NOW.getTime() / 1000) }),
    } satisfies NonNullable<BundleOptions["entries"]>[number];
    const v2 = {
      log: rekor2,
      entry: (entry) => ({
        ...entry,
        integratedTime: BigInt(NOW.getTime() / 1000),
        inclusionPromise: new Uint8Array(70).fill(1),
      }),
    } satisfies NonNullable<BundleOptions["entries"]>[number];

    test.each([
      ["the integrated time of Rekor v1 without a promise", v1],
      ["integrated time and promise of Rekor v2", v2],
    ])("%s", async (_, entry) => {
      expect(await outcome({ entries: [entry], timestamps: [] })).toBe("TIMESTAMP_THRESHOLD_NOT_MET");
      const { timestamps, logEntries } = await verifyIn(sandbox, bundleFrom(sandbox, { entries: [entry] }));
      expect(timestamps.map(({ kind }) => kind)).toEqual(["rfc3161"]);
      expect(logEntries.map(({ integratedTime, inclusionPromise }) => ({ integratedTime, inclusionPromise }))).toEqual([
        { integratedTime: undefined, inclusionPromise: false },
      ]);
    });

    test("the current time, unless the caller says so", async () => {
      const bundle = { signer: { request: longLived }, entries: [{ log: rekor2 }], timestamps: [] };
      expect(await outcome(bundle)).toBe("TIMESTAMP_THRESHOLD_NOT_MET");
      expect(await outcome(bundle, { options: { time: { kind: "current-time", now: NOW } } })).toBe("accepted");
    });

    test("a timestamp of an authority that the root does not know", async () => {
      const stranger = makeTimestampAuthority("stranger");
      expect(await outcome({ entries: [{ log: rekor2 }], timestamps: [{ authority: stranger }] })).toBe(
        "TIMESTAMP_THRESHOLD_NOT_MET",
      );
    });

    test("a log entry whose log the root does not know", async () => {
      const { rekor1: stranger } = makeSandbox();
      expect(await outcome({ entries: [{ log: rekor2 }, { log: stranger }], timestamps: [] })).toBe(
        "TIMESTAMP_THRESHOLD_NOT_MET",
      );
    });

    test("a timestamp over something else than the signature", async () => {
      const { signature } = bundleFrom(sandbox);
      for (const data of [ARTIFACT, signature, new Uint8Array()]) {
        expect(await outcome({ entries: [{ log: rekor2 }], timestamps: [{ data }] })).toBe(
          "TIMESTAMP_IMPRINT_MISMATCH",
        );
      }
    });
  });

  describe("an expired leaf", () => {
    test.each([
      ["at the first second", { notBefore: NOW }, "accepted"],
      ["at the last second", { notAfter: NOW }, "accepted"],
      ["a second before", { notBefore: seconds(1) }, OUTSIDE],
      ["a second after", { notAfter: seconds(-1) }, OUTSIDE],
    ])("%s", async (_, request, code) => {
      const signer = { request: { notBefore: YEARS_AGO, notAfter: YEARS_AHEAD, ...request } };
      expect(await outcome({ signer, entries: [{ log: rekor2 }] }), "by the timestamp").toBe(code);
      expect(await outcome({ signer, timestamps: [] }), "by the log").toBe(code);
    });

    test("is judged by every verified time, not by the best", async () => {
      expect(await outcome({ entries: [{ log: rekor1, integratedTime: minutes(20) }] })).toBe(OUTSIDE);
      expect(await outcome({ timestamps: [{ time: minutes(20) }] })).toBe(OUTSIDE);
      expect(await outcome({ timestamps: [{}, { time: minutes(20) }] })).toBe(OUTSIDE);
      expect(await outcome({ timestamps: [{}, { time: minutes(-20) }] })).toBe(OUTSIDE);
      expect(
        await outcome({
          timestamps: [{}, { time: minutes(5) }],
          entries: [{ log: rekor1, integratedTime: minutes(8) }],
        }),
      ).toBe("accepted");
    });

    test("is judged by the current time as well, where the caller asks for it", async () => {
      const at = (now: Date): Demand => ({ options: { time: { kind: "current-time", now } } });
      expect(await outcome({}, at(minutes(5)))).toBe("accepted");
      expect(await outcome({}, at(minutes(20)))).toBe(OUTSIDE);
      expect(
        await outcome({ timestamps: [{ time: minutes(20) }] }, at(minutes(5))),
        "the current time is no way round a signed one",
      ).toBe(OUTSIDE);
    });
  });

  describe("an expired intermediate", () => {
    test.each([
      ["accepted", { notBefore: NOW, notAfter: NOW }],
      [OUTSIDE, { notAfter: seconds(-1) }],
      [OUTSIDE, { notBefore: seconds(1) }],
    ])("%s", async (code, intermediate) => {
      const ca = makeCa({ intermediate });
      const signer = issueCertificate(ca, {}, sandbox.ctLog);
      const demand = { root: { certificateAuthorities: [listCa(ca)] } };
      expect(await outcome({ signer }, demand)).toBe(code);
      expect(
        await outcome({ signer, entries: [] }, { ...demand, options: { thresholds: { tlog: 0 } } }),
        "without a log too",
      ).toBe(code);
    });
  });

  test.each(WINDOWS)("a certificate authority whose window %s", async (_, window, holds) => {
    expect(await outcome({}, { root: { certificateAuthorities: [listCa(sandbox.ca, window)] } })).toBe(
      holds ? "accepted" : OUTSIDE,
    );
  });

  test.each(WINDOWS)("a timestamp authority whose window %s", async (_, window, holds) => {
    const root = { timestampAuthorities: [listTsa(sandbox.tsa, window)] };
    expect(await outcome({}, { root })).toBe(holds ? "accepted" : "TIMESTAMP_OUTSIDE_AUTHORITY_VALIDITY");
  });

  test.each(WINDOWS)("a certificate transparency log whose window %s", async (_, window, holds) => {
    const root = { ctlogs: [listCtLog(sandbox.ctLog, window)] };
    expect(await outcome({}, { root })).toBe(holds ? "accepted" : "SCT_THRESHOLD_NOT_MET");
  });

  describe("the key of a log", () => {
    const tlogs = (window: Listing): Demand => ({
      root: { tlogs: [listRekor(rekor1, window), listRekor(rekor2, window)] },
    });
    const SOURCES = [
      ["integrated time under a promise", { timestamps: [] }],
      ["timestamp, for Rekor v2", { entries: [{ log: rekor2 }] }],
      ["timestamp, for Rekor v1 without a promise", { entries: [{ log: rekor1, promise: false }] }],
    ] as const satisfies readonly (readonly [string, BundleOptions])[];

    test.each(
      SOURCES.flatMap(([source, bundle]) =>
        WINDOWS.map(([what, window, holds]) => [what, source, window, holds, bundle] as const),
      ),
    )("whose window %s, by the %s", async (_what, _source, window, holds, bundle) => {
      expect(await outcome(bundle, tlogs(window))).toBe(holds ? "accepted" : "TLOG_KEY_NOT_VALID_AT_TIME");
    });

    test("is judged by the integrated time alone, where a promise proves one", async () => {
      const entries = [{ log: rekor1, integratedTime: minutes(2) }];
      expect(await outcome({ entries }, tlogs({ start: minutes(1) }))).toBe("accepted");
      expect(await outcome({ entries }, tlogs({ end: minutes(1) }))).toBe("TLOG_KEY_NOT_VALID_AT_TIME");
    });

    test("is not judged by the integrated time of another entry", async () => {
      const third = makeRekor(1, "https://rekor3.test");
      const root = { tlogs: [listRekor(rekor1, { end: minutes(1) }), listRekor(third)] };
      const entries = [
        { log: rekor1, promise: false },
        { log: third, integratedTime: minutes(2) },
      ];
      expect(await outcome({ entries }, { root })).toBe("accepted");
      expect(await outcome({ entries, timestamps: [{ time: minutes(2) }] }, { root })).toBe(
        "TLOG_KEY_NOT_VALID_AT_TIME",
      );
    });

    test("is judged by every timestamp, where none does", async () => {
      const bundle = { entries: [{ log: rekor2 }], timestamps: [{}, { time: minutes(2) }] };
      expect(await outcome(bundle, tlogs({ end: minutes(1) }))).toBe("TLOG_KEY_NOT_VALID_AT_TIME");
      expect(await outcome(bundle, tlogs({ end: minutes(2) }))).toBe("accepted");
    });
  });

  describe("a managed key", () => {
    const keys = signerKeys();
    const signer = { keys };
    const { publicKey } = bundleFrom(sandbox, { signer });
    const within = (validFor: { readonly start: Date; readonly end?: Date }): Demand => ({
      policy: { keys: [{ publicKey, validFor }] },
    });

    test.each(WINDOWS)("whose window %s", async (_, window, holds) => {
      const demand = within({ start: YEARS_AGO, ...window });
      expect(await outcome({ signer }, demand), "both times").toBe(holds ? "accepted" : "KEY_NOT_VALID_AT_TIME");
      expect(await outcome({ signer, timestamps: [] }, demand), "the log's").toBe(
        holds ? "accepted" : "KEY_NOT_VALID_AT_TIME",
      );
      expect(await outcome({ signer, entries: [{ log: rekor2 }] }, demand), "the authority's").toBe(
        holds ? "accepted" : "KEY_NOT_VALID_AT_TIME",
      );
    });

    test("is judged by every verified time", async () => {
      const demand = within({ start: YEARS_AGO, end: minutes(1) });
      expect(await outcome({ signer, timestamps: [{ time: minutes(2) }] }, demand)).toBe("KEY_NOT_VALID_AT_TIME");
      expect(await outcome({ signer, entries: [{ log: rekor1, integratedTime: minutes(2) }] }, demand)).toBe(
        "KEY_NOT_VALID_AT_TIME",
      );
    });

    test("with a window needs a time, and the current one only on demand", async () => {
      const bare = { signer, entries: [{ log: rekor2 }], timestamps: [] };
      const demand = within({ start: YEARS_AGO, end: YEARS_AHEAD });
      const error = await refusal(verifyIn(sandbox, bundleFrom(sandbox, bare), demand));
      expect(failedChecks(error)).toEqual([
        "time.threshold: TIMESTAMP_THRESHOLD_NOT_MET",
        "key.validity: KEY_NOT_VALID_AT_TIME",
      ]);
      expect(await outcome(bare, { ...demand, options: { time: { kind: "current-time", now: NOW } } })).toBe(
        "accepted",
      );
      const later = { kind: "current-time", now: new Date("2036-01-01T00:00:00Z") } as const;
      expect(await outcome(bare, { ...demand, options: { time: later } })).toBe("KEY_NOT_VALID_AT_TIME");
    });

    test("without a window needs none", async () => {
      expect(await outcome({ signer, entries: [{ log: rekor2 }], timestamps: [] })).toBe("accepted");
    });

    test("given twice, with two windows, is accepted in either and nowhere else", async () => {
      const twice = (first: Listing, second: Listing): Demand => ({
        policy: {
          keys: [first, second].map((window, index) => ({
            publicKey,
            name: `window ${index}`,
            validFor: { start: YEARS_AGO, ...window },
          })) as never,
        },
      });
      const { signer: proven } = await verifyIn(
        sandbox,
        bundleFrom(sandbox, { signer }),
        twice({ end: minutes(-1) }, { start: minutes(-1) }),
      );
      expect(proven).toMatchObject({ name: "window 1" });
      expect(await outcome({ signer }, twice({ end: minutes(-1) }, { start: minutes(1) }))).toBe(
        "KEY_NOT_VALID_AT_TIME",
      );
    });

    test("without a window needs no time even beside one that has a window", async () => {
      const { publicKey: other } = bundleFrom(sandbox, { signer: { keys: signerKeys() } });
      const both = (own: object, others: object): Demand => ({
        policy: {
          keys: [
            { publicKey: other, ...others },
            { publicKey, ...own },
          ],
        },
      });
      const bare = { signer, entries: [{ log: rekor2 }], timestamps: [] };
      const validFor = { start: YEARS_AGO };
      expect(await outcome(bare, both({}, { validFor }))).toBe("accepted");
      expect(await outcome(bare, both({ validFor }, {}))).toBe("TIMESTAMP_THRESHOLD_NOT_MET");
    });
  });
});
