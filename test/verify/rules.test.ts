/**
 * Rules for doubtful cases that the specifications leave open, each in both directions. Their numbers are those that decisions and
 * commits refer to.
 *
 * @module
 */

import { describe, expect, test } from "vitest";
import { parseBundle, type Bundle } from "../../src/bundle/bundle.ts";
import { defaultCryptoProvider } from "../../src/crypto/provider.ts";
import { GITHUB_PROFILE } from "../../src/verify/options.ts";
import { verify } from "../../src/verify/verifier.ts";
import type { TransparencyLogEntry } from "../../src/tlog/transparency-log-entry.ts";
import { makeAuthority, name, OIDS, withoutExtension } from "../support/certificates.ts";
import { askEverywhere } from "../support/doors.ts";
import { change, pick, without, type Json } from "../support/json-edits.ts";
import { base64, flip, hintOf, noteLine, sha256, typedKeyId, utf8 } from "../support/logs.ts";
import { failedChecks, outcomeOf, refusal } from "../support/outcome.ts";
import { runInProcess } from "../support/program.ts";
import { realPath } from "../support/real.ts";
import {
  ALICE,
  ISSUER,
  issueCertificate,
  listCa,
  listCtLog,
  listTsa,
  makeCa,
  makeCtLog,
  makeTimestampAuthority,
  minutes,
  NOW,
  signerKeys,
  YEARS_AHEAD,
} from "../support/sandbox/authorities.ts";
import { listRekor, makeRekor, type EntryOptions, type Rekor } from "../support/sandbox/rekor.ts";
import {
  ALICE_SIGNED,
  ARTIFACT,
  bundleFrom,
  edited,
  makeSandbox,
  rootOf,
  rootText,
  statementAbout,
  verifyIn,
  type BundleOptions,
  type Demand,
  type SandboxBundle,
} from "../support/sandbox/sandbox.ts";

const sandbox = makeSandbox();
const { rekor1, rekor2 } = sandbox;
const outcome = (options: BundleOptions, demand?: Demand): ReturnType<typeof outcomeOf> =>
  outcomeOf(verifyIn(sandbox, bundleFrom(sandbox, options), demand));
const ENTRY = "verificationMaterial.tlogEntries.0";
const statement = statementAbout(ARTIFACT);

/** Changes the checkpoint of an entry. */
const checkpoint =
  (edit: (note: string) => string) =>
  (entry: TransparencyLogEntry): TransparencyLogEntry => {
    if (entry.inclusionProof === undefined) throw new Error("entry has no proof");
    return { ...entry, inclusionProof: { ...entry.inclusionProof, checkpoint: edit(entry.inclusionProof.checkpoint) } };
  };
const textOf = (note: string): string => note.slice(0, note.lastIndexOf("\n\n") + 1);
const hostOf = ({ baseUrl }: Rekor): string => baseUrl.replace("https://", "");
const lineV1 = (log: Rekor, keyName: string, signed: string): string =>
  noteLine(keyName, hintOf(log), log.key.sign(signed));
const lineV2 = (log: Rekor, keyName: string, signed: string): string =>
  noteLine(keyName, typedKeyId(keyName, 1, log.publicKey.keyBytes), log.key.sign(signed));

describe("2.0.1 generation", () => {
  test.each<[string, EntryOptions, Json | undefined]>([
    ["hashedrekord 0.0.1 is Rekor v1", { log: rekor1 }, undefined],
    ["dsse 0.0.1 is Rekor v1", { log: rekor1, kind: "dsse" }, statement],
    ["intoto 0.0.2 is Rekor v1", { log: rekor1, kind: "intoto" }, statement],
    ["hashedrekord 0.0.1 of an envelope is Rekor v1", { log: rekor1, kind: "hashedrekord" }, statement],
  ])("%s: a promise gives a time", async (_, entry, content) => {
    const { timestamps } = await verifyIn(
      sandbox,
      bundleFrom(sandbox, { entries: [entry], timestamps: [], ...(content && { statement: content }) }),
    );
    expect(timestamps).toMatchObject([{ kind: "integrated-time", time: NOW }]);
  });

  test.each<[string, EntryOptions, Json | undefined]>([
    ["hashedrekord 0.0.2 is Rekor v2", { log: rekor2 }, undefined],
    ["hashedrekord 0.0.2 of an envelope is Rekor v2", { log: rekor2 }, statement],
    ["dsse 0.0.2 is Rekor v2", { log: rekor2, kind: "dsse" }, statement],
  ])("%s: a promise proves nothing", async (_, entry, content) => {
    const promised = {
      ...entry,
      entry: (made: TransparencyLogEntry) => ({
        ...made,
        integratedTime: BigInt(NOW.getTime() / 1000),
        inclusionPromise: utf8("no promise"),
      }),
    };
    const { timestamps, logEntries } = await verifyIn(
      sandbox,
      bundleFrom(sandbox, { entries: [promised], ...(content && { statement: content }) }),
    );
    expect(timestamps.map(({ kind }) => kind)).toEqual(["rfc3161"]);
    expect(logEntries).toMatchObject([{ inclusionPromise: false, integratedTime: undefined }]);
  });

  test.each([
    [
      "of the body differs from the entry's",
      (json: Json) => change(json, `${ENTRY}.kindVersion.version`, "0.0.2"),
      "CHECKPOINT_SIGNATURE_INVALID",
    ],
    [
      "is not known",
      (json: Json) => change(json, `${ENTRY}.kindVersion.version`, "0.0.3"),
      "TLOG_ENTRY_KIND_UNSUPPORTED",
    ],
    ["is of another kind", (json: Json) => change(json, `${ENTRY}.kindVersion.kind`, "rekord"), "TLOG_ENTRY_MISMATCH"],
    [
      "is intoto 0.0.1, which holds no signature",
      (json: Json) => change(json, `${ENTRY}.kindVersion`, { kind: "intoto", version: "0.0.1" }),
      "TLOG_ENTRY_KIND_UNSUPPORTED",
    ],
  ])("a version that %s is refused", async (_, edit, code) => {
    expect(await outcomeOf(verifyIn(sandbox, edited(bundleFrom(sandbox), edit)))).toBe(code);
  });
});

describe("2.0.2 indexes", () => {
  test("of Rekor v1 differ as a rule: the proof has its own, the promise the entry's", async () => {
    const { logEntries } = await verifyIn(sandbox, bundleFrom(sandbox));
    expect(logEntries).toMatchObject([{ logIndex: 4_163_434n, inclusionProof: { logIndex: 3n } }]);
    expect(
      await outcomeOf(
        verifyIn(
          sandbox,
          edited(bundleFrom(sandbox), (json) => change(json, `${ENTRY}.logIndex`, "4163435")),
        ),
      ),
    ).toBe("TLOG_INCLUSION_PROMISE_INVALID");
  });

  test("of Rekor v1 without a promise: nothing proves the entry's, and the evidence has none", async () => {
    const { logEntries } = await verifyIn(sandbox, bundleFrom(sandbox, { entries: [{ log: rekor1, promise: false }] }));
    expect(logEntries).toMatchObject([{ logIndex: undefined, inclusionProof: { logIndex: 3n } }]);
  });

  test("of Rekor v2 are equal", async () => {
    const bundle = bundleFrom(sandbox, { entries: [{ log: rekor2 }] });
    const { logEntries } = await verifyIn(sandbox, bundle);
    expect(logEntries).toMatchObject([{ logIndex: 3n, inclusionProof: { logIndex: 3n } }]);
    for (const path of ["logIndex", "inclusionProof.logIndex"]) {
      expect(
        await outcomeOf(
          verifyIn(
            sandbox,
            edited(bundle, (json) => change(json, `${ENTRY}.${path}`, "4")),
          ),
        ),
      ).toBe("TLOG_INCLUSION_PROOF_INVALID");
    }
  });
});

describe("2.0.3 checkpoint and log", () => {
  const withCheckpoint = (log: Rekor, edit: (note: string) => string): BundleOptions => ({
    entries: [{ log, entry: checkpoint(edit) }],
  });
  const NOT_SIGNED = "CHECKPOINT_NOT_SIGNED_BY_LOG";

  describe("of Rekor v1", () => {
    const renamed = (origin: string, keyName: string): BundleOptions =>
      withCheckpoint(rekor1, (note) => {
        const [, size, root] = textOf(note).split("\n");
        const text = `${origin}\n${size}\n${root}\n`;
        return `${text}\n${lineV1(rekor1, keyName, text)}`;
      });

    test.each([
      ["is the key name and a tree id", "rekor1.test - 1193050959916656506", "rekor1.test", "accepted"],
      ["is the key name alone", "rekor1.test", "rekor1.test", "accepted"],
      [
        "is of another host than the base URL",
        "rekor.sigstore.dev - 2605736670972794746",
        "rekor.sigstore.dev",
        "accepted",
      ],
      ["is another key name's", "rekor.sigstore.dev - 1", "rekor1.test", NOT_SIGNED],
      ["only begins with the key name", "rekor1.test.evil.example", "rekor1.test", NOT_SIGNED],
      ["has a tree id that is no number", "rekor1.test - x", "rekor1.test", NOT_SIGNED],
    ])("an origin that %s", async (_, origin, keyName, code) => {
      expect(await outcome(renamed(origin, keyName))).toBe(code);
    });

    test("finds the log by the log id, whoever else's line is right", async () => {
      const other = makeRekor(1, "https://other.test");
      const signedByOther = withCheckpoint(
        rekor1,
        (note) => `${textOf(note)}\n${lineV1(other, hostOf(rekor1), textOf(note))}`,
      );
      const tlogs = [listRekor(rekor1), listRekor(other)];
      expect(await outcome(signedByOther, { root: { tlogs } })).toBe(NOT_SIGNED);
    });
  });

  describe("of Rekor v2", () => {
    test.each([
      ["the base URL without its scheme", "https://log.test/path", "log.test/path", "accepted"],
      ["the base URL's host without its port", "https://log.test:8080", "log.test", "accepted"],
      ["the base URL's host with its port", "https://log.test:8080", "log.test:8080", "accepted"],
      ["another host", "https://log.test", "log.evil.example", "CHECKPOINT_NOT_SIGNED_BY_LOG"],
      ["a host that begins alike", "https://log.test", "log.test.evil.example", "CHECKPOINT_NOT_SIGNED_BY_LOG"],
    ])("a key name that is %s", async (_, baseUrl, keyName, code) => {
      const log = makeRekor(2, baseUrl);
      const bundle = withCheckpoint(log, (note) => {
        const [, size, root] = textOf(note).split("\n");
        const text = `${keyName}\n${size}\n${root}\n`;
        return `${text}\n${lineV2(log, keyName, text)}`;
      });
      expect(await outcome(bundle, { root: { tlogs: [listRekor(log)] } })).toBe(code);
    });

    test("an origin that is not the key name is refused", async () => {
      const bundle = withCheckpoint(rekor2, (note) => {
        const text = textOf(note).replace("rekor2.test", "rekor3.test");
        return `${text}\n${lineV2(rekor2, "rekor2.test", text)}`;
      });
      expect(await outcome(bundle)).toBe("CHECKPOINT_SIGNATURE_INVALID");
    });

    test.each([
      ["the name alone", (note: string) => noteLine("rekor2.test", utf8("1234"), utf8(note)), "accepted"],
      [
        "the id alone",
        (note: string) => noteLine("evil.example", typedKeyId("rekor2.test", 1, rekor2.publicKey.keyBytes), utf8(note)),
        "accepted",
      ],
      ["neither", (note: string) => noteLine("evil.example", utf8("1234"), utf8(note)), "accepted"],
      [
        "both, and does not verify",
        (note: string) =>
          noteLine("rekor2.test", typedKeyId("rekor2.test", 1, rekor2.publicKey.keyBytes), rekor2.key.sign(`${note}x`)),
        "CHECKPOINT_SIGNATURE_INVALID",
      ],
    ])("a further line that matches %s", async (_, line, code) => {
      expect(await outcome(withCheckpoint(rekor2, (note) => note + line(textOf(note))))).toBe(code);
      const before = (note: string): string =>
        `${textOf(note)}\n${line(textOf(note))}${note.slice(note.lastIndexOf("\n\n") + 2)}`;
      expect(await outcome(withCheckpoint(rekor2, before)), "before the right one").toBe(code);
    });

    test("sixteen further lines", async () => {
      const lines = Array.from({ length: 16 }, (_, index) =>
        noteLine(`witness${index}.example`, utf8("1234"), utf8("x")),
      ).join("");
      expect(await outcome(withCheckpoint(rekor2, (note) => note + lines))).toBe("accepted");
    });

    test("the entry names the log that signed, in whole or by its four first bytes, or is refused", async () => {
      const named = (logId: Uint8Array): BundleOptions => ({
        entries: [{ log: rekor2, entry: (made) => ({ ...made, logId }) }],
      });
      expect(await outcome(named(rekor2.logId))).toBe("accepted");
      expect(await outcome(named(rekor2.logId.subarray(0, 4)))).toBe("accepted");
      expect(await outcome(named(rekor2.logId.subarray(0, 3)))).toBe("BUNDLE_MALFORMED");
      expect(await outcome(named(flip(rekor2.logId)))).toBe("TLOG_ENTRY_MISMATCH");
      expect(await outcome(named(rekor1.logId))).toBe("TLOG_ENTRY_MISMATCH");
      expect(await outcome(named(sha256("nobody")))).toBe("TLOG_ENTRY_MISMATCH");
    });

    test("no name at all is no name of the log, in a bundle that was built by hand either", async () => {
      const parsed = parseBundle(bundleFrom(sandbox, { entries: [{ log: rekor2 }] }).text);
      const [entry] = parsed.verificationMaterial.tlogEntries;
      if (entry === undefined) throw new Error("no entry");
      const named = (length: number): Bundle => ({
        ...parsed,
        verificationMaterial: {
          ...parsed.verificationMaterial,
          tlogEntries: [{ ...entry, logId: rekor2.logId.subarray(0, length) }],
        },
      });
      const ask = (bundle: Bundle): Promise<string> =>
        outcomeOf(verify(bundle, ARTIFACT, { ...ALICE_SIGNED, trustedRoot: rootOf(sandbox) }));
      expect([await ask(named(32)), await ask(named(4))]).toEqual(["accepted", "accepted"]);
      expect([await ask(named(3)), await ask(named(0))]).toEqual(["TLOG_ENTRY_MISMATCH", "TLOG_ENTRY_MISMATCH"]);
    });
  });
});

describe("2.0.4 entry against bundle", () => {
  const changed = (path: string, value: unknown, entry: EntryOptions, content?: Json): BundleOptions => ({
    entries: [{ ...entry, body: (body) => change(body, path, value) }],
    ...(content && { statement: content }),
  });
  const otherCertificate = issueCertificate(sandbox.ca, {}, sandbox.ctLog).der;
  const otherPem = base64(
    `-----BEGIN CERTIFICATE-----\n${base64(otherCertificate).replaceAll(/.{64}(?!$)/g, "$&\n")}\n-----END CERTIFICATE-----\n`,
  );
  const otherDigest = "11".repeat(32);
  const MISMATCH = "TLOG_ENTRY_MISMATCH";

  // The log really holds these bodies, so that the comparison alone can refuse them.
  test.each<[string, BundleOptions]>([
    ["hashedrekord 0.0.1: digest", changed("spec.data.hash.value", otherDigest, { log: rekor1 })],
    [
      "hashedrekord 0.0.1: digest algorithm",
      changed("spec.data.hash", { algorithm: "sha512", value: "11".repeat(64) }, { log: rekor1 }),
    ],
    ["hashedrekord 0.0.1: signature", changed("spec.signature.content", base64(utf8("another")), { log: rekor1 })],
    ["hashedrekord 0.0.1: certificate", changed("spec.signature.publicKey.content", otherPem, { log: rekor1 })],
    ["dsse 0.0.1: payload hash", changed("spec.payloadHash.value", otherDigest, { log: rekor1 }, statement)],
    [
      "dsse 0.0.1: signature",
      changed("spec.signatures.0.signature", base64(utf8("another")), { log: rekor1 }, statement),
    ],
    ["dsse 0.0.1: certificate", changed("spec.signatures.0.verifier", otherPem, { log: rekor1 }, statement)],
    ["dsse 0.0.1: no signature", changed("spec.signatures", [], { log: rekor1 }, statement)],
    [
      "intoto 0.0.2: payload hash",
      changed("spec.content.payloadHash.value", otherDigest, { log: rekor1, kind: "intoto" }, statement),
    ],
    [
      "intoto 0.0.2: signature",
      changed(
        "spec.content.envelope.signatures.0.sig",
        base64(base64(utf8("another"))),
        { log: rekor1, kind: "intoto" },
        statement,
      ),
    ],
    [
      "intoto 0.0.2: certificate",
      changed("spec.content.envelope.signatures.0.publicKey", otherPem, { log: rekor1, kind: "intoto" }, statement),
    ],
    [
      "intoto 0.0.2: payload type",
      changed("spec.content.envelope.payloadType", "text/plain", { log: rekor1, kind: "intoto" }, statement),
    ],
    [
      "hashedrekord 0.0.2: digest",
      changed("spec.hashedRekordV002.data.digest", base64(sha256("another")), { log: rekor2 }),
    ],
    [
      "hashedrekord 0.0.2: digest algorithm",
      changed(
        "spec.hashedRekordV002.data",
        { algorithm: "SHA2_512", digest: base64(new Uint8Array(64)) },
        { log: rekor2 },
      ),
    ],
    [
      "hashedrekord 0.0.2: signature",
      changed("spec.hashedRekordV002.signature.content", base64(utf8("another")), { log: rekor2 }),
    ],
    [
      "hashedrekord 0.0.2: certificate",
      changed("spec.hashedRekordV002.signature.verifier.x509Certificate.rawBytes", base64(otherCertificate), {
        log: rekor2,
      }),
    ],
    [
      "hashedrekord 0.0.2: key details",
      changed("spec.hashedRekordV002.signature.verifier.keyDetails", "PKIX_ECDSA_P384_SHA_384", { log: rekor2 }),
    ],
    [
      "hashedrekord 0.0.2: digest of an envelope",
      changed("spec.hashedRekordV002.data.digest", base64(sha256("x")), { log: rekor2 }, statement),
    ],
    [
      "dsse 0.0.2: payload hash",
      changed("spec.dsseV002.payloadHash.digest", base64(sha256("x")), { log: rekor2, kind: "dsse" }, statement),
    ],
  ])("%s", async (_, options) => {
    const error = await refusal(verifyIn(sandbox, bundleFrom(sandbox, options)));
    expect({ code: error.code, failed: failedChecks(error) }).toEqual({
      code: MISMATCH,
      failed: [`tlog[0].body: ${MISMATCH}`],
    });
  });

  test("the envelope hash is not compared: the log hashed bytes that no bundle keeps", async () => {
    expect(await outcome(changed("spec.envelopeHash.value", otherDigest, { log: rekor1 }, statement))).toBe("accepted");
  });

  test.each([
    ["with a space", (text: string) => text.replace(":", ": "), MISMATCH],
    ["with a newline behind it", (text: string) => `${text}\n`, MISMATCH],
    [
      "in another order",
      (text: string) =>
        text.replace(/"apiVersion":"0.0.2","kind":"hashedrekord"/, '"kind":"hashedrekord","apiVersion":"0.0.2"'),
      MISMATCH,
    ],
    ["with an escape", (text: string) => text.replace("hashedrekord", "h\\u0061shedrekord"), MISMATCH],
    ["with a field more", (text: string) => text.replace("{", '{"more":1,'), "TLOG_ENTRY_MALFORMED"],
  ])("a body of Rekor v2 is rebuilt from the bundle, so that the same %s is refused", async (_, text, code) => {
    expect(await outcome({ entries: [{ log: rekor2, text }] })).toBe(code);
  });

  test("unknown fields of a body of Rekor v1 are ignored", async () => {
    expect(await outcome({ entries: [{ log: rekor1, text: (text) => text.replace("{", '{"more":1,') }] })).toBe(
      "accepted",
    );
  });

  test("the other key of an entry is refused where a key signed", async () => {
    const keys = signerKeys();
    const pem = base64(signerKeys().publicKey.export({ type: "spki", format: "pem" }));
    expect(await outcome({ signer: { keys }, entries: [{ log: rekor1 }] })).toBe("accepted");
    expect(
      await outcome({ signer: { keys }, ...changed("spec.signature.publicKey.content", pem, { log: rekor1 }) }),
    ).toBe(MISMATCH);
  });
});

describe("2.0.5 identified or not", () => {
  const stranger = makeSandbox();
  const other = makeTimestampAuthority("other");

  describe("of an authority that the root does not know: set aside, reported, no failure", () => {
    test.each<[string, BundleOptions, string, string]>([
      [
        "a further timestamp",
        { timestamps: [{}, { authority: other }] },
        "rfc3161-timestamp",
        "verificationMaterial.timestampVerificationData.rfc3161Timestamps[1]",
      ],
      [
        "a further timestamp under the same names",
        { timestamps: [{ authority: stranger.tsa }, {}] },
        "rfc3161-timestamp",
        "verificationMaterial.timestampVerificationData.rfc3161Timestamps[0]",
      ],
      [
        "a further entry of Rekor v1",
        { entries: [{ log: rekor1 }, { log: stranger.rekor1 }] },
        "tlog-entry",
        "verificationMaterial.tlogEntries[1]",
      ],
      [
        "a further entry of Rekor v2",
        { entries: [{ log: makeRekor(2, "https://other.test") }, { log: rekor1 }] },
        "tlog-entry",
        "verificationMaterial.tlogEntries[0]",
      ],
      [
        "a further entry of a kind that is not known",
        {
          entries: [
            { log: rekor1 },
            { log: stranger.rekor1, entry: (made) => ({ ...made, kindVersion: { kind: "helm", version: "0.0.1" } }) },
          ],
        },
        "tlog-entry",
        "verificationMaterial.tlogEntries[1]",
      ],
      [
        "a further entry about something else",
        {
          entries: [
            { log: rekor1 },
            { log: stranger.rekor1, body: (body) => change(body, "spec.data.hash.value", "00".repeat(32)) },
          ],
        },
        "tlog-entry",
        "verificationMaterial.tlogEntries[1]",
      ],
      [
        "a further SCT",
        { signer: { request: { ctLogs: [sandbox.ctLog, stranger.ctLog] } } },
        "signed-certificate-timestamp",
        "certificate, embedded SCT 1",
      ],
    ])("%s", async (_, options, what, path) => {
      const { setAside, checks } = await verifyIn(sandbox, bundleFrom(sandbox, options));
      expect(setAside).toMatchObject([{ what, path }]);
      const ended = new Map(checks.map((check) => [check.name, check.outcome]));
      const check = { "rfc3161-timestamp": "timestamp", "tlog-entry": "tlog", "signed-certificate-timestamp": "sct" }[
        what
      ];
      expect(ended.get(`${check}[${/(\d)\]?$/.exec(path)?.[1]}]`)).toBe("skipped"); // proven is another word
      expect(new Set(ended.values())).toEqual(new Set(["passed", "skipped"]));
    });

    test("and it counts for nothing", async () => {
      expect(await outcome({ entries: [{ log: stranger.rekor1 }] })).toBe("TLOG_THRESHOLD_NOT_MET");
      expect(await outcome({ timestamps: [{ authority: other }], entries: [{ log: rekor2 }] })).toBe(
        "TIMESTAMP_THRESHOLD_NOT_MET",
      );
      expect(await outcome({ signer: { request: { ctLogs: [stranger.ctLog] } } })).toBe("SCT_THRESHOLD_NOT_MET");
      const counted = await verifyIn(
        sandbox,
        bundleFrom(sandbox, {
          timestamps: [{}, { authority: other }],
          entries: [{ log: rekor1 }, { log: stranger.rekor1 }],
        }),
      );
      expect([counted.timestamps.length, counted.logEntries.length, counted.setAside.length]).toEqual([2, 1, 2]);
    });

    test("nor does what it says fail anything, where it is wrong", async () => {
      const wrong: BundleOptions = {
        timestamps: [{}, { authority: other, data: ARTIFACT }],
        entries: [
          { log: rekor1 },
          { log: stranger.rekor1, entry: (made) => ({ ...made, inclusionPromise: utf8("x") }) },
        ],
      };
      expect(await outcome(wrong)).toBe("accepted");
    });
  });

  describe("of an authority that is known, and wrong: a failure, whoever else is right", () => {
    const tlogs = [listRekor(rekor1), listRekor(rekor2)];
    test.each<[string, BundleOptions, string]>([
      ["imprint", { timestamps: [{}, { data: ARTIFACT }] }, "TIMESTAMP_IMPRINT_MISMATCH"],
      [
        "promise",
        {
          entries: [
            { log: rekor2 },
            { log: rekor1, entry: (made) => ({ ...made, inclusionPromise: flip(made.inclusionPromise ?? utf8("")) }) },
          ],
        },
        "TLOG_INCLUSION_PROMISE_INVALID",
      ],
      [
        "checkpoint line of Rekor v1",
        {
          entries: [
            { log: rekor2 },
            { log: rekor1, entry: checkpoint((note) => `${textOf(note)}\n${lineV1(rekor1, "rekor1.test", "x")}`) },
          ],
        },
        "CHECKPOINT_SIGNATURE_INVALID",
      ],
      [
        "checkpoint line of Rekor v2",
        {
          entries: [
            { log: rekor1 },
            { log: rekor2, entry: checkpoint((note) => `${textOf(note)}\n${lineV2(rekor2, "rekor2.test", "x")}`) },
          ],
        },
        "CHECKPOINT_SIGNATURE_INVALID",
      ],
      [
        "proof",
        {
          entries: [
            { log: rekor1 },
            {
              log: rekor2,
              entry: (made) =>
                made.inclusionProof === undefined
                  ? made
                  : { ...made, inclusionProof: { ...made.inclusionProof, hashes: [] } },
            },
          ],
        },
        "TLOG_INCLUSION_PROOF_INVALID",
      ],
      [
        "body",
        {
          entries: [
            { log: rekor1 },
            { log: rekor2, body: (body) => change(body, "spec.hashedRekordV002.data.digest", base64(sha256("x"))) },
          ],
        },
        "TLOG_ENTRY_MISMATCH",
      ],
      [
        "SCT",
        { signer: { request: { ctLogs: [sandbox.ctLog, { keys: signerKeys(), logId: sandbox.ctLog.logId }] } } },
        "SCT_INVALID",
      ],
    ])("%s", async (_, options, code) => {
      expect(await outcome(options, { root: { tlogs } })).toBe(code);
    });
  });

  test("an SCT outside its log's window is set aside; a timestamp outside its authority's is a failure", async () => {
    const [first, second] = [sandbox.ctLog, makeCtLog()];
    const ctlogs = [listCtLog(first), listCtLog(second, { end: minutes(-1) })];
    const { setAside } = await verifyIn(
      sandbox,
      bundleFrom(sandbox, { signer: { request: { ctLogs: [first, second] } } }),
      { root: { ctlogs } },
    );
    expect(setAside).toMatchObject([{ what: "signed-certificate-timestamp", path: "certificate, embedded SCT 1" }]);

    const timestampAuthorities = [
      listTsa(sandbox.tsa),
      listTsa(other, { end: minutes(-1), url: "https://other.test" }),
    ];
    expect(await outcome({ timestamps: [{}, { authority: other }] }, { root: { timestampAuthorities } })).toBe(
      "TIMESTAMP_OUTSIDE_AUTHORITY_VALIDITY",
    );
  });

  describe("where several entries of the root match, each is tried", () => {
    const past = { end: minutes(-1) };
    const bothOrders = <T>(list: readonly T[]): readonly (readonly T[])[] => [list, list.toReversed()];

    test("one log with two windows", async () => {
      for (const log of [rekor1, rekor2]) {
        for (const tlogs of bothOrders([listRekor(log, past), listRekor(log)]))
          expect(await outcome({ entries: [{ log }] }, { root: { tlogs } })).toBe("accepted");
        const tlogs = [listRekor(log, past), listRekor(log, { start: minutes(1) })];
        expect(await outcome({ entries: [{ log }] }, { root: { tlogs } })).toBe("TLOG_KEY_NOT_VALID_AT_TIME");
      }
    });

    test("two keys under one log id", async () => {
      const alias = { ...makeRekor(1, "https://other.test"), logId: rekor1.logId };
      for (const tlogs of bothOrders([listRekor(alias), listRekor(rekor1)]))
        expect(await outcome({}, { root: { tlogs } })).toBe("accepted");
      expect(await outcome({}, { root: { tlogs: [listRekor(alias)] } })).toBe("CHECKPOINT_NOT_SIGNED_BY_LOG");
    });

    test("two keys under one log id, of which one promised and the other signed the checkpoint: no one vouches for both", async () => {
      const alias = { ...makeRekor(1), logId: rekor1.logId };
      const mixed: EntryOptions = {
        log: rekor1,
        entry: checkpoint((note) => `${textOf(note)}\n${lineV1(alias, "rekor1.test", textOf(note))}`),
      };
      const tlogs = [listRekor(rekor1), listRekor(alias), listRekor(rekor2)];
      expect(await outcome({ entries: [mixed, { log: rekor2 }] }, { root: { tlogs } })).toBe(
        "TLOG_INCLUSION_PROMISE_INVALID",
      );
    });

    test("one authority with two windows", async () => {
      for (const timestampAuthorities of bothOrders([listTsa(sandbox.tsa, past), listTsa(sandbox.tsa)])) {
        expect(await outcome({}, { root: { timestampAuthorities } })).toBe("accepted");
      }
    });

    test("one certificate authority with two windows", async () => {
      for (const certificateAuthorities of bothOrders([listCa(sandbox.ca, past), listCa(sandbox.ca)])) {
        expect(await outcome({}, { root: { certificateAuthorities } })).toBe("accepted");
      }
    });

    test("two certificate authorities of one name", async () => {
      const namesake = makeCa();
      for (const certificateAuthorities of bothOrders([listCa(namesake), listCa(sandbox.ca)])) {
        expect(await outcome({}, { root: { certificateAuthorities } })).toBe("accepted");
      }
    });

    test("one transparency log of certificates with two windows", async () => {
      for (const ctlogs of bothOrders([listCtLog(sandbox.ctLog, past), listCtLog(sandbox.ctLog)]))
        expect(await outcome({}, { root: { ctlogs } })).toBe("accepted");
    });
  });
});

// 2.0.6 is test/checklist/13-threshold-uniqueness.test.ts; the edges of 2.0.7 are in 04-time-source.test.ts.

describe("2.0.7 windows in the future, and overlapping ones", () => {
  test("are no fault of the root", async () => {
    const future = { start: YEARS_AHEAD };
    const root = {
      tlogs: [
        listRekor(makeRekor(1, "https://future.test"), future),
        listRekor(rekor1),
        listRekor(rekor1, { end: minutes(60) }),
      ],
      certificateAuthorities: [
        listCa(makeCa({ commonName: "future" }), future),
        listCa(sandbox.ca),
        listCa(sandbox.ca, { end: minutes(60) }),
      ],
      ctlogs: [
        listCtLog(makeCtLog(), future),
        listCtLog(sandbox.ctLog),
        listCtLog(sandbox.ctLog, { end: minutes(60) }),
      ],
      timestampAuthorities: [
        listTsa(makeTimestampAuthority("future"), future),
        listTsa(sandbox.tsa),
        listTsa(sandbox.tsa, { end: minutes(60) }),
      ],
    };
    const { setAside } = await verifyIn(sandbox, bundleFrom(sandbox), { root });
    expect(setAside).toEqual([]);
  });
});

describe("2.0.8 log key window without any time", () => {
  const bare: BundleOptions = { signer: { keys: signerKeys() }, entries: [{ log: rekor2 }], timestamps: [] };

  test("a key's bundle is accepted, and the evidence says that the window was not looked at", async () => {
    const { unproven } = await verifyIn(sandbox, bundleFrom(sandbox, bare));
    expect(unproven.map(({ what }) => what)).toEqual(["time", "tlog-key-validity"]);
  });

  test("a strict option refuses, and is met by any verified time", async () => {
    const options = { requireLogKeyValidity: true };
    expect(await outcome(bare, { options })).toBe("TLOG_KEY_NOT_VALID_AT_TIME");
    expect(await outcome({ ...bare, timestamps: [{}] }, { options })).toBe("accepted");
    expect(await outcome({ ...bare, entries: [{ log: rekor1 }] }, { options })).toBe("accepted");
  });
});

describe("2.0.9 keys", () => {
  const keys = signerKeys();
  const signed = bundleFrom(sandbox, { signer: { keys }, statement });

  test.each([
    ["empty", "", "accepted"],
    ["the hint", "whatever the signer wrote", "accepted"],
    ["another", "another", "KEY_HINT_MISMATCH"],
  ])("a keyid of the envelope that is %s", async (_, keyid, code) => {
    const bundle = edited(signed, (json) => change(json, "dsseEnvelope.signatures.0.keyid", keyid));
    expect(await outcomeOf(verifyIn(sandbox, bundle))).toBe(code);
  });

  test("the evidence names the key by its SHA-256 and the caller's name, never by the hint", async () => {
    const { signer } = await verifyIn(sandbox, signed, {
      policy: { keys: [{ publicKey: signed.publicKey, name: "release" }] },
    });
    expect(signer).toEqual({ kind: "public-key", name: "release", spkiSha256: sha256(signed.publicKey.spki) });
    expect((await verifyIn(sandbox, signed)).signer).toEqual({
      kind: "public-key",
      name: undefined,
      spkiSha256: sha256(signed.publicKey.spki),
    });
  });

  test("the hint orders the attempts and decides nothing", async () => {
    const strangers = Array.from(
      { length: 3 },
      () => bundleFrom(sandbox, { signer: { keys: signerKeys() }, entries: [], timestamps: [] }).publicKey,
    );
    const named = strangers.map((publicKey) => ({ publicKey, name: "whatever the signer wrote" }));
    const policy = { keys: [...named, { publicKey: signed.publicKey, name: "release" }] as never };
    expect((await verifyIn(sandbox, signed, { policy })).signer).toMatchObject({ name: "release" });

    const provider = defaultCryptoProvider();
    const tried = async (hinted: string): Promise<number> => {
      const strange = new Set(strangers);
      let count = 0;
      const verify: typeof provider.verify = (algorithm, key, ...rest) => {
        if (strange.has(key)) count += 1;
        return provider.verify(algorithm, key, ...rest);
      };
      const keys = [...strangers.map((publicKey) => ({ publicKey })), { publicKey: signed.publicKey, name: hinted }];
      await verifyIn(sandbox, signed, {
        policy: { keys: keys as never },
        options: { crypto: { ...provider, verify } },
      });
      return count;
    };
    expect([await tried("another name"), await tried("whatever the signer wrote")]).toEqual([3, 0]);
  });
});

// 2.0.10 is test/checklist/14-version-label.test.ts; roots in chains are in 07-one-certificate.test.ts.

describe("2.0.11 trust anchors", () => {
  test("may be intermediates: a self-signature is asked of a root alone", async () => {
    const intermediateOnly = change(listCa(sandbox.ca), "certChain.certificates", [
      { rawBytes: base64(sandbox.ca.intermediate.der) },
    ]);
    expect(await outcome({}, { root: { certificateAuthorities: [intermediateOnly] } })).toBe("accepted");
  });

  test("of a root: a self-signature that does not hold is a fault of the root", async () => {
    const broken = change(listCa(sandbox.ca), "certChain.certificates.1.rawBytes", base64(flip(sandbox.ca.root.der)));
    expect(await outcome({}, { root: { certificateAuthorities: [broken] } })).toBe("CERTIFICATE_ISSUER_UNKNOWN");
    const { setAside } = await verifyIn(sandbox, bundleFrom(sandbox), {
      root: { certificateAuthorities: [broken, listCa(sandbox.ca)] },
    });
    expect(setAside).toMatchObject([
      { what: "trusted-root-entry", path: "certificateAuthorities: https://fulcio.test" },
    ]);
  });

  test("of a chain whose links do not hold are set aside, and take nothing else down", async () => {
    const unrelated = change(listCa(sandbox.ca), "certChain.certificates.1.rawBytes", base64(makeCa().root.der));
    expect(await outcome({}, { root: { certificateAuthorities: [unrelated] } })).toBe("CERTIFICATE_ISSUER_UNKNOWN");
    expect(await outcome({}, { root: { certificateAuthorities: [unrelated, listCa(sandbox.ca)] } })).toBe("accepted");
  });

  test("of a timestamp authority: its leaf may be missing", async () => {
    const rootOnly = change(listTsa(sandbox.tsa), "certChain.certificates", [
      { rawBytes: base64(sandbox.tsa.root.der) },
    ]);
    expect(
      await outcome({}, { root: { timestampAuthorities: [rootOnly] }, options: { thresholds: { timestamp: 1 } } }),
    ).toBe("accepted");
    expect(
      await outcome(
        {},
        {
          root: { timestampAuthorities: [listTsa(makeTimestampAuthority())] },
          options: { thresholds: { timestamp: 1 } },
        },
      ),
    ).toBe("TIMESTAMP_THRESHOLD_NOT_MET");
  });

  test("are found by key where names repeat: an authority is never identified by its name", async () => {
    const rotated = makeAuthority({
      issuer: sandbox.ca.root,
      subject: name({ O: "Example", CN: "sandbox intermediate" }),
      extensions: (usual) => withoutExtension(usual, OIDS.authorityKeyIdentifier),
    });
    const certificateAuthorities = [
      change(listCa(sandbox.ca), "certChain.certificates.0.rawBytes", base64(rotated.der)),
      listCa(sandbox.ca, { url: "https://newer.test" }),
    ];
    const { signer } = await verifyIn(sandbox, bundleFrom(sandbox), { root: { certificateAuthorities } });
    expect(signer).toMatchObject({ certificateAuthority: { uri: "https://newer.test" } });
  });
});

describe("2.0.12 subjects and digest algorithms", () => {
  // Subjects are in test/checklist/15-subjects.test.ts.
  test.each([
    ["p384", "sha384", "ecdsa-sha2-384-nistp384"],
    ["p384", "sha256", "ecdsa-sha2-256-nistp384"],
    ["p521", "sha512", "ecdsa-sha2-512-nistp521"],
    ["p521", "sha256", "ecdsa-sha2-256-nistp521"],
  ] as const)("%s with %s is accepted and named", async (kind, hash, algorithm) => {
    for (const log of [rekor1, rekor2]) {
      const { signatureAlgorithm } = await verifyIn(
        sandbox,
        bundleFrom(sandbox, { signer: { request: { keys: signerKeys(kind) } }, hash, entries: [{ log }] }),
      );
      expect(signatureAlgorithm).toBe(algorithm);
    }
  });

  test.each([
    ["p256", "sha384"],
    ["p256", "sha512"],
    ["p384", "sha512"],
    ["p521", "sha384"],
  ] as const)("%s with %s is not", async (kind, hash) => {
    expect(
      await outcome(
        { signer: { request: { keys: signerKeys(kind) } }, hash, entries: [] },
        { options: { thresholds: { tlog: 0 } } },
      ),
    ).toBe("SIGNATURE_INVALID");
  });
});

describe("2.0.13 strictness", () => {
  const bundle = bundleFrom(sandbox);

  test.each([
    ["an unknown field", (text: string) => text.replace("{", '{"more":1,'), "BUNDLE_MALFORMED"],
    [
      "an unknown field deep inside",
      (text: string) => text.replace('"kindVersion":{', '"kindVersion":{"more":1,'),
      "BUNDLE_MALFORMED",
    ],
    ["a key twice", (text: string) => text.replace('"mediaType"', '"mediaType":"x","mediaType"'), "JSON_DUPLICATE_KEY"],
    [
      "a key twice deep inside",
      (text: string) => text.replace('"kind":"hashedrekord"', '"kind":"dsse","kind":"hashedrekord"'),
      "JSON_DUPLICATE_KEY",
    ],
    [
      "base64 that is not canonical",
      (text: string) => text.replace(/("signature":"[^"=]*)(=*")/, "$1 $2"),
      "BUNDLE_MALFORMED",
    ],
    [
      "a name as the protocol buffers spell it",
      (text: string) => text.replace('"mediaType"', '"media_type"'),
      "BUNDLE_MALFORMED",
    ],
  ])("of bundles: %s is refused", async (_, edit, code) => {
    const text = edit(bundle.text);
    expect(text).not.toBe(bundle.text);
    expect(await outcomeOf(verifyIn(sandbox, { ...bundle, text }))).toBe(code);
  });

  test("of statements: unknown fields are kept", async () => {
    const { content } = await verifyIn(sandbox, bundleFrom(sandbox, { statement: { ...statement, more: [1] } }));
    expect(content).toMatchObject({ kind: "statement", statement: { json: { more: [1] } } });
  });

  test("of trusted roots: an unknown field changes nothing", async () => {
    const tlogs = [{ ...listRekor(rekor1), more: 1 }];
    expect(await outcome({}, { root: { tlogs } })).toBe("accepted");
  });

  test("of trusted roots: an entry that cannot be read is set aside, reported and trusted for nothing", async () => {
    const unreadable = change(listRekor(rekor1), "publicKey.keyDetails", "PKIX_FUTURE");
    const { setAside } = await verifyIn(sandbox, bundleFrom(sandbox, { entries: [{ log: rekor2 }] }), {
      root: { tlogs: [unreadable, listRekor(rekor2)] },
    });
    expect(setAside).toMatchObject([{ what: "trusted-root-entry", path: "tlogs[0]" }]);
    expect(await outcome({}, { root: { tlogs: [unreadable, listRekor(rekor2)] } })).toBe("TLOG_THRESHOLD_NOT_MET");
  });

  test("of trusted roots: a window without a start is no window since ever", async () => {
    const endless = without(listRekor(rekor1), "publicKey.validFor.start");
    expect(await outcome({}, { root: { tlogs: [endless] } })).toBe("TLOG_THRESHOLD_NOT_MET");
  });

  test("of trusted roots: key details that do not fit the key are no key", async () => {
    const wrong = change(listRekor(rekor1), "publicKey.keyDetails", "PKIX_ECDSA_P384_SHA_384");
    expect(await outcome({}, { root: { tlogs: [wrong] } })).toBe("TLOG_THRESHOLD_NOT_MET");
  });
});

describe("2.0.14 trust domains", () => {
  test("a threshold is never inferred from what a root does not list", async () => {
    const root = { tlogs: [], ctlogs: [] };
    const private_ = { signer: issueCertificate(sandbox.ca, { ctLogs: [] }, sandbox.ctLog), entries: [] };
    expect(await outcome(private_, { root })).toBe("TLOG_THRESHOLD_NOT_MET");
    expect(await outcome(private_, { root, options: GITHUB_PROFILE })).toBe("accepted");
    expect(await outcome({ ...private_, timestamps: [] }, { root, options: GITHUB_PROFILE })).toBe(
      "TIMESTAMP_THRESHOLD_NOT_MET",
    );
  });

  test("the profile for GitHub takes no wrong entry for the sake of asking for none", async () => {
    const wrong = {
      entries: [{ log: rekor1, body: (body: Json) => change(body, "spec.data.hash.value", "00".repeat(32)) }],
    };
    const { thresholds } = GITHUB_PROFILE;
    expect(await outcome(wrong, { options: { thresholds } })).toBe("TLOG_ENTRY_MISMATCH");
  });

  test("the profile for GitHub is for no instance that has logs, readable or not", async () => {
    expect(await outcome({}, { options: GITHUB_PROFILE })).toBe("USAGE_INVALID");
    const unreadable = change(listRekor(rekor1), "publicKey.keyDetails", "PKIX_NONE_THAT_IS_KNOWN");
    const root = { tlogs: [unreadable] };
    expect(await outcome({ entries: [] }, { root, options: GITHUB_PROFILE })).toBe("USAGE_INVALID");
  });

  test("a bundle of another instance is refused under this root, and the other way round", async () => {
    const others = makeSandbox();
    expect(await outcomeOf(verifyIn(others, bundleFrom(sandbox)))).toBe("TLOG_THRESHOLD_NOT_MET");
    expect(await outcomeOf(verifyIn(sandbox, bundleFrom(others)))).toBe("TLOG_THRESHOLD_NOT_MET");
  });
});

describe("2.0.15 where trust comes from stands in the evidence", () => {
  // Freshness and refresh are tested with the TUF client.
  test("a file", async () => {
    const run = await runInProcess([
      "verify-blob",
      "--output",
      "json",
      "--bundle",
      realPath("a/blob-v1-key-p256.sigstore.json"),
      "--key",
      realPath("keys/p256.pub"),
      "--trusted-root",
      realPath("a/trusted_root.json"),
      realPath("artifacts/hello.txt"),
    ]);
    expect(JSON.parse(run.stdout)).toMatchObject({
      verdict: "verified",
      trust: { kind: "file", path: realPath("a/trusted_root.json") },
    });
  });

  test("the caller", async () => {
    expect((await verifyIn(sandbox, bundleFrom(sandbox))).trust).toEqual({ kind: "caller" });
  });
});

describe("2.0.16 SCT time", () => {
  test.each([
    ["within the certificate's validity", NOW, true],
    ["at its first second", minutes(-1), true],
    ["at its last second", minutes(9), true],
    ["before it", minutes(-2), false],
    ["after it", minutes(10), false],
  ])("%s is reported, not required", async (_, sctTime, within) => {
    const { signer } = await verifyIn(sandbox, bundleFrom(sandbox, { signer: { request: { sctTime } } }));
    expect(signer).toMatchObject({
      signedCertificateTimestamps: [{ time: sctTime, withinCertificateValidity: within }],
    });
  });

  test("a signer on the deny list is refused with the reason, any other is not", async () => {
    const bundle = bundleFrom(sandbox);
    const denied = sha256(bundle.certificate ?? utf8(""));
    const options = {
      denyList: (signer: { readonly kind: string; readonly certificate?: { readonly bytes: Uint8Array } }) =>
        signer.certificate !== undefined && Buffer.compare(sha256(signer.certificate.bytes), denied) === 0
          ? "token leaked in build 7"
          : undefined,
    };
    const error = await refusal(verifyIn(sandbox, bundle, { options }));
    expect({ code: error.code, found: error.found }).toEqual({
      code: "CERTIFICATE_REVOKED",
      found: "token leaked in build 7",
    });
    expect(await outcome({}, { options })).toBe("accepted");
  });

  test("a deny list is asked for keys by the SHA-256 of the key", async () => {
    const bundle = bundleFrom(sandbox, { signer: { keys: signerKeys() } });
    const asked: unknown[] = [];
    const denyList = (signer: unknown): undefined => void asked.push(signer);
    await verifyIn(sandbox, bundle, { options: { denyList } });
    expect(asked).toEqual([{ kind: "public-key", spkiSha256: sha256(bundle.publicKey.spki) }]);
  });
});

describe("2.0.17 duplicates", () => {
  const twice = (edit: (second: Json) => Json): SandboxBundle =>
    edited(bundleFrom(sandbox), (json) => {
      const entry = pick(json, ENTRY);
      // A wrong signature, which would be found if signatures were looked at first.
      const wrong = change(entry, "inclusionPromise.signedEntryTimestamp", base64(utf8("wrong")));
      return change(json, "verificationMaterial.tlogEntries", [wrong, edit(wrong)]);
    });
  const otherBody = base64(utf8("{}"));

  test.each([
    [
      "of one log with the same index",
      (entry: Json) => change(entry, "canonicalizedBody", otherBody),
      "TLOG_ENTRY_DUPLICATE",
    ],
    ["of one log with the same body", (entry: Json) => change(entry, "logIndex", "1"), "TLOG_ENTRY_DUPLICATE"],
    [
      "of one log with another index and body",
      (entry: Json) => change(change(entry, "logIndex", "1"), "canonicalizedBody", otherBody),
      "TLOG_INCLUSION_PROMISE_INVALID",
    ],
    [
      "of another log",
      (entry: Json) => change(entry, "logId.keyId", base64(sha256("another"))),
      "TLOG_INCLUSION_PROMISE_INVALID",
    ],
  ])("two entries %s", async (_, edit, code) => {
    expect(await outcomeOf(verifyIn(sandbox, twice(edit)))).toBe(code);
  });
});

describe("2.0.18 discovery", () => {
  const signer = ["--certificate-identity", ALICE, "--certificate-oidc-issuer", ISSUER];

  test("X.sigstore.json comes before X.sigstore, and a file that is named before either", async () => {
    const { text } = bundleFrom(sandbox);
    const wrong = "{}";
    const ask = { bundle: text, artifact: ARTIFACT, root: rootText(sandbox), policy: ALICE_SIGNED, flags: signer };
    const found = async (files: Readonly<Record<string, string>>): Promise<string | undefined> =>
      (await askEverywhere({ ...ask, files, discover: true })).program;
    expect(await found({ "artifact.sigstore.json": text, "artifact.sigstore": wrong })).toBe("accepted");
    expect(await found({ "artifact.sigstore": text })).toBe("accepted");
    expect(await found({ "artifact.sigstore.json": wrong, "artifact.sigstore": text })).toBe("BUNDLE_MALFORMED");
    expect(await found({ "artifact.json": text })).toBe("BUNDLE_NOT_FOUND");
    expect((await askEverywhere({ ...ask, files: { "artifact.sigstore.json": wrong } })).program).toBe("accepted");
  });
});
