import { describe, expect, test } from "vitest";
import { defaultCryptoProvider } from "../../../src/crypto/provider.ts";
import { parseEntryBody, verifyEntryBody, type EntryExpectation } from "../../../src/tlog/entry-body.ts";
import type { TransparencyLogEntry } from "../../../src/tlog/transparency-log-entry.ts";
import { algorithmNamed, loggedBundle, setIn, unsetIn, valueIn, withBody } from "../../support/logged-bundles.ts";
import { base64, flip, makeKey, sha256 } from "../../support/logs.ts";

const crypto = defaultCryptoProvider();
const verify = async (entry: TransparencyLogEntry, expected: EntryExpectation): Promise<void> =>
  await verifyEntryBody(parseEntryBody(entry), entry, expected, crypto);

const MISMATCH = "TLOG_ENTRY_MISMATCH";
const MALFORMED = "TLOG_ENTRY_MALFORMED";

describe("dsse 0.0.1 (client specification §4.4)", () => {
  const { entry: valid, expected } = loggedBundle("a/attestation-v1-email");
  const again = loggedBundle("a/attestation-v1-email-again");
  const managed = loggedBundle("a/attestation-v1-key-p256");
  const [signature, othersSignature] = [valid, again.entry].map((entry) => valueIn(entry, "spec.signatures.0"));

  test("never looks at the envelope hash, which is over bytes that no bundle keeps", async () => {
    await expect(verify(valid, expected)).resolves.toBeUndefined();
    await expect(verify(setIn(valid, "spec.envelopeHash.value", "00".repeat(32)), expected)).resolves.toBeUndefined();
    await expect(verify(unsetIn(valid, "spec.envelopeHash"), expected)).resolves.toBeUndefined();
  });

  test.for<readonly [string, TransparencyLogEntry]>([
    ["payload hash", setIn(valid, "spec.payloadHash.value", "00".repeat(32))],
    ["signature", setIn(valid, "spec.signatures.0.signature", base64(flip(expected.signature)))],
    ["certificate", setIn(valid, "spec.signatures.0.verifier", othersSignature?.["verifier"])],
    [
      "kind of key",
      setIn(valid, "spec.signatures.0.verifier", valueIn(managed.entry, "spec.signatures.0")["verifier"]),
    ],
    ["number of signatures: none", setIn(valid, "spec.signatures", [])],
    ["number of signatures: two", setIn(valid, "spec.signatures", [signature, othersSignature])],
    ["number of signatures: the same one twice", setIn(valid, "spec.signatures", [signature, signature])],
  ])("rejects another %s", async ([, entry]) => {
    await expect(verify(entry, expected)).rejects.toMatchObject({ code: MISMATCH });
  });

  test("rejects another public key than the managed key", async () => {
    await expect(verify(managed.entry, managed.expected)).resolves.toBeUndefined();
    const pem = `-----BEGIN PUBLIC KEY-----\n${base64(makeKey("p256").publicKey.spki)}\n-----END PUBLIC KEY-----\n`;
    await expect(
      verify(setIn(managed.entry, "spec.signatures.0.verifier", base64(pem)), managed.expected),
    ).rejects.toMatchObject({ code: MISMATCH });
  });

  test("is about no message signature, be the artifact the payload itself", async () => {
    if (expected.content.kind !== "envelope") throw new Error("no envelope");
    const { payload } = expected.content;
    const content = { kind: "message", digests: () => sha256(payload) } as const;
    await expect(verify(valid, { ...expected, content })).rejects.toMatchObject({ code: MISMATCH, found: "dsse" });
  });

  test.for<readonly [string, TransparencyLogEntry]>([
    ["no payload hash", unsetIn(valid, "spec.payloadHash")],
    [
      "a payload hash other than SHA-256",
      setIn(valid, "spec.payloadHash", { algorithm: "sha512", value: "00".repeat(64) }),
    ],
    ["a payload hash of another length", setIn(valid, "spec.payloadHash.value", "00".repeat(31))],
    ["no signatures", unsetIn(valid, "spec.signatures")],
    ["signatures that are no list", setIn(valid, "spec.signatures", {})],
    ["a signature that is no object", setIn(valid, "spec.signatures.0", "x")],
    ["no signature in the signature", unsetIn(valid, "spec.signatures.0.signature")],
    ["no verifier", unsetIn(valid, "spec.signatures.0.verifier")],
    ["a verifier that is not PEM", setIn(valid, "spec.signatures.0.verifier", base64("x"))],
    [
      "what was proposed, in place of what was logged",
      withBody(valid, (body) => ({ ...body, spec: { proposedContent: {} } })),
    ],
  ])("rejects a body with %s", ([, entry]) => {
    expect(() => parseEntryBody(entry)).toThrow(expect.objectContaining({ code: MALFORMED }));
  });

  test("rejects more signatures than the limit", () => {
    const entry = setIn(
      valid,
      "spec.signatures",
      Array.from({ length: 33 }, () => signature),
    );
    expect(() => parseEntryBody(entry)).toThrow(expect.objectContaining({ code: "LIMIT_EXCEEDED" }));
  });
});

describe("dsse 0.0.2, which Rekor v2 no longer makes", () => {
  const hashed = loggedBundle("a/attestation-v2-email");
  const { expected } = hashed;
  if (expected.content.kind !== "envelope") throw new Error("no envelope");
  const { payload } = expected.content;
  const SIGNATURE = "spec.dsseV002.signatures.0";

  // As rekor-tiles made them: the signature message is the one of hashedrekord 0.0.2.
  const signature = valueIn(hashed.entry, "spec.hashedRekordV002.signature");
  const valid: TransparencyLogEntry = {
    ...hashed.entry,
    kindVersion: { kind: "dsse", version: "0.0.2" },
    canonicalizedBody: new TextEncoder().encode(
      `{"apiVersion":"0.0.2","kind":"dsse","spec":{"dsseV002":{"payloadHash":{"algorithm":"SHA2_256","digest":"${base64(sha256(payload))}"},"signatures":[${JSON.stringify(signature)}]}}}`,
    ),
  };

  test("accepts payload hash, signature and certificate of the bundle", async () => {
    await expect(verify(valid, expected)).resolves.toBeUndefined();
  });

  test.for<readonly [string, TransparencyLogEntry]>([
    ["payload hash", setIn(valid, "spec.dsseV002.payloadHash.digest", base64(new Uint8Array(32)))],
    [
      "payload hash: that of the pre-authentication encoding",
      setIn(valid, "spec.dsseV002.payloadHash.digest", valueIn(hashed.entry, "spec.hashedRekordV002.data")["digest"]),
    ],
    ["signature", setIn(valid, `${SIGNATURE}.content`, base64(flip(expected.signature)))],
    ["certificate", setIn(valid, `${SIGNATURE}.verifier.x509Certificate.rawBytes`, base64(new Uint8Array(9)))],
    ["algorithm", setIn(valid, `${SIGNATURE}.verifier.keyDetails`, "PKIX_ED25519")],
    ["number of signatures: none", setIn(valid, "spec.dsseV002.signatures", [])],
    ["number of signatures: two", setIn(valid, "spec.dsseV002.signatures", [signature, signature])],
    [
      "encoding",
      {
        ...valid,
        canonicalizedBody: new TextEncoder().encode(
          JSON.stringify(JSON.parse(Buffer.from(valid.canonicalizedBody).toString()), null, 1),
        ),
      },
    ],
  ])("rejects another %s", async ([, entry]) => {
    await expect(verify(entry, expected)).rejects.toMatchObject({ code: MISMATCH });
  });

  test("takes pure Ed25519, since the log had the payload", async () => {
    const { publicKey } = makeKey("ed25519");
    const verifier = { keyDetails: "PKIX_ED25519", publicKey: { rawBytes: base64(publicKey.spki) } };
    const entry = setIn(valid, `${SIGNATURE}.verifier`, verifier);
    await expect(
      verify(entry, {
        ...expected,
        verifier: { kind: "public-key", key: publicKey },
        keyAlgorithm: algorithmNamed("ed25519"),
      }),
    ).resolves.toBeUndefined();
  });

  test("is about no message signature", async () => {
    const content = { kind: "message", digests: () => sha256(payload) } as const;
    await expect(verify(valid, { ...expected, content })).rejects.toMatchObject({ code: MISMATCH });
  });

  test.for<readonly [string, TransparencyLogEntry]>([
    ["no payload hash", unsetIn(valid, "spec.dsseV002.payloadHash")],
    ["no signatures", unsetIn(valid, "spec.dsseV002.signatures")],
    ["an unknown field", setIn(valid, "spec.dsseV002.extra", 1)],
    ["the message of another kind", withBody(valid, (body) => ({ ...body, spec: { hashedRekordV002: {} } }))],
  ])("rejects a body with %s", ([, entry]) => {
    expect(() => parseEntryBody(entry)).toThrow(expect.objectContaining({ code: MALFORMED }));
  });
});
