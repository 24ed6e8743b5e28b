import { describe, expect, test } from "vitest";
import { defaultCryptoProvider } from "../../../src/crypto/provider.ts";
import { parseEntryBody, verifyEntryBody, type EntryExpectation } from "../../../src/tlog/entry-body.ts";
import type { TransparencyLogEntry } from "../../../src/tlog/transparency-log-entry.ts";
import { loggedBundle, setIn, unsetIn, valueIn, withBody } from "../../support/logged-bundles.ts";
import { base64, flip } from "../../support/logs.ts";

const crypto = defaultCryptoProvider();
const verify = async (entry: TransparencyLogEntry, expected: EntryExpectation): Promise<void> =>
  await verifyEntryBody(parseEntryBody(entry), entry, expected, crypto);

/** Writes what a hashedrekord says in the form of rekord_v0_0_1_schema.json. */
function asRekord(entry: TransparencyLogEntry, sha256Hex: string): TransparencyLogEntry {
  return withBody({ ...entry, kindVersion: { kind: "rekord", version: "0.0.1" } }, () => ({
    apiVersion: "0.0.1",
    kind: "rekord",
    spec: {
      data: { hash: { algorithm: "sha256", value: sha256Hex } },
      signature: { ...valueIn(entry, "spec.signature"), format: "x509" },
    },
  }));
}

describe("rekord 0.0.1 (client specification §4.4)", () => {
  const { entry, expected } = loggedBundle("a/blob-v1-email");
  const again = loggedBundle("a/blob-v1-email-again");
  const content = expected.content;
  if (content.kind !== "message") throw new Error("no message");
  const digest = Buffer.from(content.digests("sha256") as Uint8Array).toString("hex");
  const valid = asRekord(entry, digest);

  test("accepts digest, signature and certificate of the bundle", async () => {
    await expect(verify(valid, expected)).resolves.toBeUndefined();
  });

  test("has the SHA-256 of the artifact, whatever the hash of the signature", async () => {
    const p384 = loggedBundle("a/blob-v1-key-p384");
    await expect(verify(asRekord(p384.entry, digest), p384.expected)).resolves.toBeUndefined();
  });

  test.for<readonly [string, TransparencyLogEntry]>([
    ["digest", setIn(valid, "spec.data.hash.value", "00".repeat(32))],
    ["signature", setIn(valid, "spec.signature.content", base64(flip(expected.signature)))],
    ["certificate", setIn(valid, "spec.signature.publicKey", valueIn(again.entry, "spec.signature.publicKey"))],
    ["signature format", setIn(valid, "spec.signature.format", "pgp")],
  ])("rejects another %s", async ([, changed]) => {
    await expect((async () => verify(changed, expected))()).rejects.toMatchObject({ code: "TLOG_ENTRY_MISMATCH" });
  });

  test("says so where the artifact was given by another digest", async () => {
    const other = { kind: "message", digests: () => undefined } as const;
    await expect(verify(valid, { ...expected, content: other })).rejects.toMatchObject({
      code: "DIGEST_ALGORITHM_MISMATCH",
    });
  });

  test.for<readonly [string, TransparencyLogEntry]>([
    ["no data", unsetIn(valid, "spec.data")],
    ["no hash", unsetIn(valid, "spec.data.hash")],
    ["a hash other than SHA-256", setIn(valid, "spec.data.hash", { algorithm: "sha512", value: "00".repeat(64) })],
    ["no signature", unsetIn(valid, "spec.signature")],
    ["no signature format", unsetIn(valid, "spec.signature.format")],
    ["no signature content", unsetIn(valid, "spec.signature.content")],
    ["no public key", unsetIn(valid, "spec.signature.publicKey")],
    ["a public key by URL", setIn(valid, "spec.signature.publicKey", { url: "https://example.com/key" })],
  ])("rejects a body with %s", ([, changed]) => {
    expect(() => parseEntryBody(changed)).toThrow(expect.objectContaining({ code: "TLOG_ENTRY_MALFORMED" }));
  });
});
