import { describe, expect, test } from "vitest";
import { parseBundle } from "../../../src/bundle/bundle.ts";
import { defaultCryptoProvider } from "../../../src/crypto/provider.ts";
import { parseEntryBody, verifyEntryBody, type EntryExpectation } from "../../../src/tlog/entry-body.ts";
import { verifyInclusionProof } from "../../../src/tlog/inclusion.ts";
import type { TransparencyLogEntry } from "../../../src/tlog/transparency-log-entry.ts";
import { textFile } from "../../support/json-edits.ts";
import { algorithmNamed, expectationOf, loggedBundle, setIn, unsetIn, valueIn } from "../../support/logged-bundles.ts";
import { base64, flip, logEntry, makeKey, makeLog, sha256 } from "../../support/logs.ts";

const crypto = defaultCryptoProvider();
const verify = async (entry: TransparencyLogEntry, expected: EntryExpectation): Promise<void> =>
  await verifyEntryBody(parseEntryBody(entry), entry, expected, crypto);

const ENVELOPE = "spec.content.envelope";
const MISMATCH = "TLOG_ENTRY_MISMATCH";
const MALFORMED = "TLOG_ENTRY_MALFORMED";

/** The key that npm's registry signs publish attestations with, as it publishes it under `-/npm/v1/keys`. */
const NPM_KEY = `-----BEGIN PUBLIC KEY-----
MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAE1Olb3zMAFFxXKHiIkQO5cJ3Yhl5i6UPp+IhuteBJbuHcA5UogKo0EWtlWwW6KSaKoTNEYL7JlCQiVnkhBktUgg==
-----END PUBLIC KEY-----
`;

describe("intoto 0.0.2 (client specification §4.4)", () => {
  const bundle = parseBundle(textFile("bundle/v0.2-npm-publish-key-hint.sigstore.json"));
  const [valid] = bundle.verificationMaterial.tlogEntries;
  if (valid === undefined || bundle.content.kind !== "dsseEnvelope") throw new Error("no entry");
  const { payload, payloadType } = bundle.content.envelope;
  const expected = expectationOf(bundle, new Uint8Array(), NPM_KEY, algorithmNamed("ecdsa-sha2-256-nistp256"));
  const signature = valueIn(valid, `${ENVELOPE}.signatures.0`);

  test("accepts a real entry, which has the payload's hash and no payload", async () => {
    expect(signature["keyid"]).toBe("SHA256:jl3bwswu80PjjokCgh0o2w5c2U4LhQAE57gj9cz1kzA");
    await expect(verify(valid, expected)).resolves.toBeUndefined();
  });

  test("accepts an early entry, which has the payload too, encoded twice", async () => {
    await expect(
      verify(setIn(valid, `${ENVELOPE}.payload`, base64(base64(payload))), expected),
    ).resolves.toBeUndefined();
  });

  test("never looks at the hash of the envelope", async () => {
    await expect(verify(setIn(valid, "spec.content.hash.value", "00".repeat(32)), expected)).resolves.toBeUndefined();
    await expect(verify(unsetIn(valid, "spec.content.hash"), expected)).resolves.toBeUndefined();
  });

  test("accepts it as the only leaf of a log without a tree id, without a time or a promise", async () => {
    const log = makeLog("p256", "https://rekor.test");
    const options = {
      before: 0,
      after: 0,
      origin: (name: string) => name,
      kindVersion: { kind: "intoto", version: "0.0.2" },
    };
    const entry = logEntry(log, 1, valid.canonicalizedBody, options);
    expect(entry).toMatchObject({ integratedTime: 0n, inclusionProof: { hashes: [] } });
    expect(entry.inclusionProof?.checkpoint.split("\n")[0]).toBe("rekor.test");
    await verifyInclusionProof(entry, log, 1, crypto);
    await expect(verify(entry, expected)).resolves.toBeUndefined();
  });

  const otherPem = `-----BEGIN PUBLIC KEY-----\n${base64(makeKey("p256").publicKey.spki)}\n-----END PUBLIC KEY-----\n`;
  test.for<readonly [string, TransparencyLogEntry]>([
    ["payload hash", setIn(valid, "spec.content.payloadHash.value", "00".repeat(32))],
    ["payload type", setIn(valid, `${ENVELOPE}.payloadType`, `${payloadType};v=1`)],
    ["signature", setIn(valid, `${ENVELOPE}.signatures.0.sig`, base64(base64(flip(expected.signature))))],
    ["public key", setIn(valid, `${ENVELOPE}.signatures.0.publicKey`, base64(otherPem))],
    ["number of signatures: none", setIn(valid, `${ENVELOPE}.signatures`, [])],
    ["number of signatures: two", setIn(valid, `${ENVELOPE}.signatures`, [signature, signature])],
  ])("rejects another %s", async ([, entry]) => {
    await expect(verify(entry, expected)).rejects.toMatchObject({ code: MISMATCH });
  });

  test("is about no certificate where it names a key", async () => {
    const { verifier } = loggedBundle("a/attestation-v1-email").expected;
    await expect(verify(valid, { ...expected, verifier })).rejects.toMatchObject({ code: MISMATCH });
  });

  test("is about no message signature", async () => {
    const content = { kind: "message", digests: () => sha256(payload) } as const;
    await expect(verify(valid, { ...expected, content })).rejects.toMatchObject({ code: MISMATCH, found: "intoto" });
  });

  test.for<readonly [string, TransparencyLogEntry]>([
    ["no content", unsetIn(valid, "spec.content")],
    ["no envelope", unsetIn(valid, ENVELOPE)],
    ["no payload hash", unsetIn(valid, "spec.content.payloadHash")],
    [
      "a payload hash other than SHA-256",
      setIn(valid, "spec.content.payloadHash", { algorithm: "sha384", value: "00".repeat(48) }),
    ],
    ["no payload type", unsetIn(valid, `${ENVELOPE}.payloadType`)],
    ["no signatures", unsetIn(valid, `${ENVELOPE}.signatures`)],
    ["no signature in the signature", unsetIn(valid, `${ENVELOPE}.signatures.0.sig`)],
    ["a signature encoded once", setIn(valid, `${ENVELOPE}.signatures.0.sig`, base64(expected.signature))],
    [
      "a signature encoded three times",
      setIn(valid, `${ENVELOPE}.signatures.0.sig`, base64(`${base64(base64(expected.signature))}\n`)),
    ],
    ["no public key", unsetIn(valid, `${ENVELOPE}.signatures.0.publicKey`)],
    ["a public key that is not PEM", setIn(valid, `${ENVELOPE}.signatures.0.publicKey`, base64(base64("x")))],
  ])("rejects a body with %s", ([, entry]) => {
    expect(() => parseEntryBody(entry)).toThrow(expect.objectContaining({ code: MALFORMED }));
  });
});
