import { generateKeyPairSync } from "node:crypto";
import { describe, expect, test } from "vitest";
import { defaultCryptoProvider } from "../../src/crypto/provider.ts";
import { parseWitnessKey } from "../../src/tlog/cosignature.ts";
import type { VerifierOptions } from "../../src/verify/options.ts";
import { parseDetachedSct } from "../../src/x509/sct.ts";
import { change, pick } from "../support/json-edits.ts";
import { sha256, type TestLog } from "../support/logs.ts";
import { outcomeOf } from "../support/outcome.ts";
import {
  detachedSct,
  issueCertificate,
  listCtLog,
  listTsa,
  makeCtLog,
  makeTimestampAuthority,
  minutes,
  type Listing,
} from "../support/sandbox/authorities.ts";
import {
  listRekor,
  makeRekor,
  makeWitness,
  type EntryOptions,
  type Rekor,
  type Witness,
} from "../support/sandbox/rekor.ts";
import {
  ALICE_SIGNED,
  ARTIFACT,
  bundleFrom,
  edited,
  makeSandbox,
  statementAbout,
  verifyIn,
  type BundleOptions,
  type Demand,
} from "../support/sandbox/sandbox.ts";

const sandbox = makeSandbox();
const { rekor1, rekor2 } = sandbox;
const outcome = (options: BundleOptions, demand?: Demand): ReturnType<typeof outcomeOf> =>
  outcomeOf(verifyIn(sandbox, bundleFrom(sandbox, options), demand));

const two = (what: "tlog" | "timestamp" | "sct"): VerifierOptions => ({ thresholds: { [what]: 2 } });
const [acme, emca] = [{ operator: "acme.example" }, { operator: "emca.example" }];

describe("checklist 13: threshold uniqueness", () => {
  describe("transparency logs", () => {
    const third = makeRekor(1, "https://rekor3.test");
    const listed = (first: Listing, second: Listing, third_: Listing = {}): Demand => ({
      root: { tlogs: [listRekor(rekor1, first), listRekor(rekor2, second), listRekor(third, third_)] },
      options: two("tlog"),
    });
    const entries = [{ log: rekor1 }, { log: rekor2 }];

    test("two operators are two", async () => {
      expect(await outcome({ entries }, listed(acme, emca))).toBe("accepted");
    });

    test("two logs without an operator are two, by their ids", async () => {
      expect(await outcome({ entries }, listed({}, {}))).toBe("accepted");
    });

    test("two logs of one operator are one", async () => {
      expect(await outcome({ entries }, listed(acme, acme))).toBe("TLOG_THRESHOLD_NOT_MET");
      expect(await outcome({ entries: [...entries, { log: third }] }, listed(acme, acme, acme))).toBe(
        "TLOG_THRESHOLD_NOT_MET",
      );
      expect(await outcome({ entries: [...entries, { log: third }] }, listed(acme, acme, emca))).toBe("accepted");
    });

    test("two entries of one log are one", async () => {
      const twice = [{ log: rekor1 }, { log: rekor1, kind: "intoto", before: 5 }] satisfies EntryOptions[];
      const bundle = { statement: statementAbout(ARTIFACT), entries: twice };
      expect(await outcome(bundle)).toBe("accepted");
      expect(await outcome(bundle, { options: two("tlog") })).toBe("TLOG_THRESHOLD_NOT_MET");
    });

    test("one entry twice is refused before any signature is checked", async () => {
      const bundle = bundleFrom(sandbox);
      const again = edited(bundle, (json) => {
        const entry = pick(json, "verificationMaterial.tlogEntries.0");
        return change(json, "verificationMaterial.tlogEntries", [entry, entry]);
      });
      expect(await outcomeOf(verifyIn(sandbox, again))).toBe("TLOG_ENTRY_DUPLICATE");
    });

    // Nothing but a checkpoint and an index binds these entries to a log id.
    const sameKey = (log: Rekor, generation: 1 | 2): Rekor =>
      generation === 1
        ? { ...log, logId: sha256("another id") }
        : { ...rekeyed(makeRekor(2, "https://alias.test"), log) };

    test.each([1, 2] as const)("one key under two ids is one: Rekor v%i", async (generation) => {
      const log = generation === 1 ? rekor1 : rekor2;
      const alias = sameKey(log, generation);
      const unpromised = [
        { log, promise: false },
        { log: alias, promise: false, before: 5 },
      ] satisfies EntryOptions[];
      const root = { tlogs: [listRekor(log), listRekor(alias)] };
      const bundle = bundleFrom(sandbox, { entries: unpromised });
      expect(await outcomeOf(verifyIn(sandbox, bundle, { root, options: two("tlog") }))).toBe("TLOG_THRESHOLD_NOT_MET");
      const { logEntries } = await verifyIn(sandbox, bundle, { root });
      expect(logEntries).toHaveLength(2); // both hold, and both are of one operator
      expect(new Set(logEntries.map(({ operator }) => operator)).size).toBe(1);
    });

    test("one key under two operators is one", async () => {
      const alias = sameKey(rekor2, 2);
      const root = { tlogs: [listRekor(rekor2, acme), listRekor(alias, emca)] };
      const bundle = { entries: [{ log: rekor2 }, { log: alias, before: 5 }] };
      expect(await outcome(bundle, { root, options: two("tlog") })).toBe("TLOG_THRESHOLD_NOT_MET");
    });
  });

  describe("timestamp authorities", () => {
    const other = makeTimestampAuthority("other");
    const listed = (first: Listing, second: Listing): Demand => ({
      root: { timestampAuthorities: [listTsa(sandbox.tsa, first), listTsa(other, second)] },
      options: two("timestamp"),
    });
    const timestamps = [{}, { authority: other }];
    const otherUrl = { url: "https://other.test" };

    test("two operators are two", async () => {
      expect(await outcome({ timestamps }, listed(acme, emca))).toBe("accepted");
    });

    test("two authorities without an operator are two, by their URIs", async () => {
      expect(await outcome({ timestamps }, listed({}, otherUrl))).toBe("accepted");
    });

    test("two authorities of one operator are one", async () => {
      expect(await outcome({ timestamps }, listed(acme, { ...acme, ...otherUrl }))).toBe("TIMESTAMP_THRESHOLD_NOT_MET");
    });

    test("two authorities under one URI are one", async () => {
      expect(await outcome({ timestamps }, listed({}, {}))).toBe("TIMESTAMP_THRESHOLD_NOT_MET");
    });

    test("two timestamps of one authority are one", async () => {
      expect(await outcome({ timestamps: [{}, { time: minutes(1) }] }, listed(acme, emca))).toBe(
        "TIMESTAMP_THRESHOLD_NOT_MET",
      );
      expect(await outcome({ timestamps: [{}, {}] }, listed(acme, emca))).toBe("TIMESTAMP_THRESHOLD_NOT_MET");
    });

    test("one certificate under two operators and URIs is one", async () => {
      const early = listTsa(sandbox.tsa, { ...acme, end: minutes(1) });
      const late = listTsa(sandbox.tsa, { ...emca, ...otherUrl, start: minutes(2) });
      const bundle = { timestamps: [{}, { time: minutes(3) }] };
      const root = { timestampAuthorities: [early, late] };
      expect(await outcome(bundle, { root })).toBe("accepted");
      expect(await outcome(bundle, { root, options: two("timestamp") })).toBe("TIMESTAMP_THRESHOLD_NOT_MET");
    });

    test("for a time, a log and an authority are two, unless one operator runs both", async () => {
      const both = (log: Listing, authority: Listing): Demand => ({
        root: { tlogs: [listRekor(rekor1, log)], timestampAuthorities: [listTsa(sandbox.tsa, authority)] },
        options: { time: { kind: "observed", threshold: 2 } },
      });
      expect(await outcome({}, both({}, {}))).toBe("accepted");
      expect(await outcome({}, both(acme, emca))).toBe("accepted");
      expect(await outcome({}, both(acme, acme))).toBe("TIMESTAMP_THRESHOLD_NOT_MET");
    });
  });

  describe("certificate transparency logs", () => {
    const other = makeCtLog();
    const listed = (first: Listing, second: Listing): Demand => ({
      root: { ctlogs: [listCtLog(sandbox.ctLog, first), listCtLog(other, second)] },
      options: two("sct"),
    });
    const certified = (...ctLogs: readonly (typeof other)[]): BundleOptions => ({ signer: { request: { ctLogs } } });

    test("two operators are two", async () => {
      expect(await outcome(certified(sandbox.ctLog, other), listed(acme, emca))).toBe("accepted");
      expect(await outcome(certified(sandbox.ctLog, other), listed({}, {}))).toBe("accepted");
    });

    test("two logs of one operator are one", async () => {
      expect(await outcome(certified(sandbox.ctLog, other), listed(acme, acme))).toBe("SCT_THRESHOLD_NOT_MET");
    });

    test("one SCT twice is one", async () => {
      expect(await outcome(certified(sandbox.ctLog, sandbox.ctLog), listed(acme, emca))).toBe("SCT_THRESHOLD_NOT_MET");
    });

    test("one SCT in the certificate and beside it is one", async () => {
      const signer = issueCertificate(sandbox.ca, {}, sandbox.ctLog);
      const detachedScts = [parseDetachedSct(detachedSct(sandbox.ctLog, signer.der))];
      expect(await outcome({ signer }, { ...listed(acme, emca), policy: { ...ALICE_SIGNED, detachedScts } })).toBe(
        "SCT_THRESHOLD_NOT_MET",
      );
      const others = [parseDetachedSct(detachedSct(other, signer.der))];
      expect(
        await outcome({ signer }, { ...listed(acme, emca), policy: { ...ALICE_SIGNED, detachedScts: others } }),
      ).toBe("accepted");
    });

    test("one key under two ids is one: no SCT signs for the id that it bears", async () => {
      const alias = { ...sandbox.ctLog, logId: sha256("another id") };
      const root = { ctlogs: [listCtLog(sandbox.ctLog), listCtLog(alias)] };
      const bundle = certified(sandbox.ctLog, alias);
      expect(await outcome(bundle, { root })).toBe("accepted");
      expect(await outcome(bundle, { root, options: two("sct") })).toBe("SCT_THRESHOLD_NOT_MET");
    });
  });

  describe("witnesses", () => {
    const keys = generateKeyPairSync("ed25519");
    const [first, second] = [makeWitness("one.example", keys), makeWitness("two.example")];
    const read = (witness: Witness): ReturnType<typeof parseWitnessKey> =>
      parseWitnessKey(witness.vkey, defaultCryptoProvider());
    const cosigned = (...witnesses: readonly Witness[]): BundleOptions => ({ entries: [{ log: rekor2, witnesses }] });

    test("two names with two keys are two", async () => {
      const options = { witnesses: [await read(first), await read(second)], thresholds: { witness: 2 } };
      expect(await outcome(cosigned(first, second), { options })).toBe("accepted");
      expect(await outcome(cosigned(first), { options })).toBe("COSIGNATURE_THRESHOLD_NOT_MET");
    });

    test("two lines of one witness are one", async () => {
      const options = { witnesses: [await read(first), await read(second)], thresholds: { witness: 2 } };
      expect(await outcome(cosigned(first, first), { options })).toBe("COSIGNATURE_THRESHOLD_NOT_MET");
    });

    test("two keys of one name are one", async () => {
      const renewed = makeWitness("one.example");
      const witnesses = [await read(first), await read(renewed), await read(second)];
      expect(await outcome(cosigned(first, renewed), { options: { witnesses, thresholds: { witness: 2 } } })).toBe(
        "COSIGNATURE_THRESHOLD_NOT_MET",
      );
    });

    test("two witnesses of one operator are one", async () => {
      const third = makeWitness("three.example");
      const [one, other] = [await read(first), await read(second)];
      const witnesses = [{ ...one, ...acme }, { ...other, ...acme }, await read(third)];
      const options = { witnesses, thresholds: { witness: 2 } };
      expect(await outcome(cosigned(first, second), { options })).toBe("COSIGNATURE_THRESHOLD_NOT_MET");
      expect(await outcome(cosigned(first, third), { options })).toBe("accepted");
      expect(
        await outcome(cosigned(first, second), {
          options: { witnesses: witnesses.slice(0, 2), thresholds: { witness: 2 } },
        }),
      ).toBe("USAGE_INVALID");
    });

    test("one key under two names is refused: no Ed25519 cosignature signs for the name that it bears", async () => {
      const alias = makeWitness("alias.example", keys);
      const witnesses = [await read(first), await read(alias)];
      for (const threshold of [0, 1, 2]) {
        expect(
          await outcome(cosigned(first, alias), { options: { witnesses, thresholds: { witness: threshold } } }),
        ).toBe("USAGE_INVALID");
      }
    });
  });
});

/** The same log with the key of another. */
function rekeyed(log: Rekor, { key, publicKey, algorithm }: TestLog): Rekor {
  const keyName = log.baseUrl.replace(/^https?:\/\//, "");
  return { ...log, key, publicKey, algorithm, logId: sha256(`${keyName}\n`, Uint8Array.of(1), publicKey.keyBytes) };
}
