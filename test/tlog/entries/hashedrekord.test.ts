import { createPublicKey } from "node:crypto";
import { describe, expect, test } from "vitest";
import { defaultCryptoProvider } from "../../../src/crypto/provider.ts";
import { parseEntryBody, verifyEntryBody, type EntryExpectation } from "../../../src/tlog/entry-body.ts";
import type { TransparencyLogEntry } from "../../../src/tlog/transparency-log-entry.ts";
import { algorithmNamed, loggedBundle, setIn, unsetIn, valueIn, withBody } from "../../support/logged-bundles.ts";
import { base64, flip, makeKey, unbase64 } from "../../support/logs.ts";

const crypto = defaultCryptoProvider();
const verify = async (entry: TransparencyLogEntry, expected: EntryExpectation): Promise<void> =>
  await verifyEntryBody(parseEntryBody(entry), entry, expected, crypto);

const MISMATCH = "TLOG_ENTRY_MISMATCH";
const MALFORMED = "TLOG_ENTRY_MALFORMED";
const PEM_FIELD = "spec.signature.publicKey.content";

const pemIn = (entry: TransparencyLogEntry): string =>
  Buffer.from(unbase64(valueIn(entry, "spec.signature.publicKey")["content"] as string)).toString();
const editPem = (entry: TransparencyLogEntry, edit: (pem: string) => string): TransparencyLogEntry =>
  setIn(entry, PEM_FIELD, base64(edit(pemIn(entry))));
const pemOf = (label: string, der: Uint8Array): string =>
  `-----BEGIN ${label}-----\n${base64(der).replace(/.{64}/g, "$&\n")}\n-----END ${label}-----\n`;

describe("hashedrekord 0.0.1 (client specification §4.4)", () => {
  const certificate = loggedBundle("a/blob-v1-email");
  const again = loggedBundle("a/blob-v1-email-again");
  const managed = loggedBundle("a/blob-v1-key-p256");
  const rsa = loggedBundle("a/blob-v1-key-rsa2048");
  const p384 = loggedBundle("a/blob-v1-key-p384");
  const der = (bundle: typeof certificate): Uint8Array => {
    const { verifier } = bundle.expected;
    return verifier.kind === "certificate" ? verifier.der : verifier.key.spki;
  };

  test.for<readonly [string, TransparencyLogEntry]>([
    ["signature", setIn(certificate.entry, "spec.signature.content", base64(flip(certificate.expected.signature)))],
    ["certificate", editPem(certificate.entry, () => pemOf("CERTIFICATE", der(again)))],
    ["kind of key: the certificate's key for the certificate", editPem(certificate.entry, () => certificateKeyPem())],
    ["digest", setIn(certificate.entry, "spec.data.hash.value", "00".repeat(32))],
    [
      "digest algorithm",
      setIn(setIn(certificate.entry, "spec.data.hash.algorithm", "sha512"), "spec.data.hash.value", sha("sha512")),
    ],
  ])("rejects another %s", async ([, entry]) => {
    await expect(verify(certificate.entry, certificate.expected)).resolves.toBeUndefined();
    await expect(verify(entry, certificate.expected)).rejects.toMatchObject({ code: MISMATCH });
  });

  function certificateKeyPem(): string {
    return createPublicKey(pemOf("CERTIFICATE", der(certificate))).export({ type: "spki", format: "pem" });
  }

  function sha(algorithm: "sha256" | "sha512"): string {
    const { content } = certificate.expected;
    if (content.kind !== "message") throw new Error("no message");
    return Buffer.from(content.digests(algorithm) as Uint8Array).toString("hex");
  }

  test.for<readonly [string, TransparencyLogEntry]>([
    ["public key", editPem(managed.entry, () => pemOf("PUBLIC KEY", makeKey("p256").publicKey.spki))],
    ["kind of key: a certificate for the key", editPem(managed.entry, () => pemOf("CERTIFICATE", der(certificate)))],
    [
      "kind of key: the same bytes under the label of a certificate",
      editPem(managed.entry, (pem) => pem.replaceAll("PUBLIC KEY", "CERTIFICATE")),
    ],
    [
      "kind of key: the same bytes under the label of a PKCS #1 key",
      editPem(managed.entry, (pem) => pem.replaceAll("PUBLIC", "RSA PUBLIC")),
    ],
  ])("rejects another %s than the managed key", async ([, entry]) => {
    await expect(verify(managed.entry, managed.expected)).resolves.toBeUndefined();
    await expect(verify(entry, managed.expected)).rejects.toMatchObject({ code: MISMATCH });
  });

  test("names what differs, with both values", async () => {
    await expect(
      verify(setIn(certificate.entry, "spec.data.hash.value", "00".repeat(32)), certificate.expected),
    ).rejects.toMatchObject({
      message: "log entry has another digest than the bundle",
      expected: `sha256:${sha("sha256")}`,
      found: `sha256:${"00".repeat(32)}`,
    });
    await expect(verify(certificate.entry, again.expected)).rejects.toMatchObject({
      message: "log entry has another signature than the bundle",
      expected: base64(again.expected.signature),
      found: base64(certificate.expected.signature),
    });
    const { entry } = certificate;
    const { verifier } = again.expected;
    await expect(verify(entry, { ...certificate.expected, verifier })).rejects.toMatchObject({
      message: "log entry has another certificate than the bundle",
      expected: expect.stringMatching(/^certificate sha256:[0-9a-f]{64}$/) as string,
      found: expect.stringMatching(/^certificate sha256:[0-9a-f]{64}$/) as string,
    });
  });

  test.for([
    ["without a final newline", (pem: string) => pem.trimEnd()],
    ["with two final newlines", (pem: string) => `${pem}\n`],
    ["with CRLF", (pem: string) => pem.replaceAll("\n", "\r\n")],
    ["with a chain after it", (pem: string) => pem + pemOf("CERTIFICATE", der(again))],
  ] as const)("accepts a certificate in PEM %s", async ([, edit]) => {
    await expect(verify(editPem(certificate.entry, edit), certificate.expected)).resolves.toBeUndefined();
  });

  test("takes the first certificate of a chain for the signer's, and no other", async () => {
    const reversed = editPem(certificate.entry, (pem) => pemOf("CERTIFICATE", der(again)) + pem);
    await expect(verify(reversed, certificate.expected)).rejects.toMatchObject({ code: MISMATCH });
  });

  test("accepts an RSA key in PKCS #1 as the same key", async () => {
    const pkcs1 = (pem: string): string => createPublicKey(pem).export({ type: "pkcs1", format: "pem" });
    await expect(verify(editPem(rsa.entry, pkcs1), rsa.expected)).resolves.toBeUndefined();
    const other = makeKey("rsa").publicKey;
    await expect(
      verify(
        editPem(rsa.entry, () => pemOf("RSA PUBLIC KEY", other.keyBytes)),
        rsa.expected,
      ),
    ).rejects.toMatchObject({ code: MISMATCH });
  });

  test("takes SHA-256 for a P-384 key only where the signature is over SHA-256", async () => {
    const { content } = p384.expected;
    if (content.kind !== "message") throw new Error("no message");
    const value = Buffer.from(content.digests("sha256") as Uint8Array).toString("hex");
    const entry = setIn(setIn(p384.entry, "spec.data.hash.algorithm", "sha256"), "spec.data.hash.value", value);
    await expect(verify(entry, p384.expected)).rejects.toMatchObject({
      code: MISMATCH,
      expected: "sha384",
      found: "sha256",
    });
    await expect(
      verify(entry, { ...p384.expected, keyAlgorithm: algorithmNamed("ecdsa-sha2-256-nistp384") }),
    ).resolves.toBeUndefined();
  });

  test("says so where the artifact was given by another digest", async () => {
    const content = { kind: "message", digests: () => undefined } as const;
    await expect(verify(certificate.entry, { ...certificate.expected, content })).rejects.toMatchObject({
      code: "DIGEST_ALGORITHM_MISMATCH",
    });
  });

  test("covers the pre-authentication encoding of an envelope", async () => {
    const { expected } = loggedBundle("a/attestation-v1-email");
    if (expected.content.kind !== "envelope") throw new Error("no envelope");
    const digest = new Uint8Array(await crypto.digest("sha256", expected.content.pae));
    const entry = withBody(certificate.entry, (body) => ({
      ...body,
      spec: {
        data: { hash: { algorithm: "sha256", value: Buffer.from(digest).toString("hex") } },
        signature: {
          content: base64(expected.signature),
          publicKey: { content: base64(pemOf("CERTIFICATE", der({ ...certificate, expected }))) },
        },
      },
    }));
    await expect(verify(entry, expected)).resolves.toBeUndefined();
    const ofPayload = Buffer.from(await crypto.digest("sha256", expected.content.payload)).toString("hex");
    await expect(verify(setIn(entry, "spec.data.hash.value", ofPayload), expected)).rejects.toMatchObject({
      code: MISMATCH,
    });
  });

  test.for<readonly [string, TransparencyLogEntry]>([
    ["no data", unsetIn(certificate.entry, "spec.data")],
    ["no hash", unsetIn(certificate.entry, "spec.data.hash")],
    ["no hash value", unsetIn(certificate.entry, "spec.data.hash.value")],
    ["SHA-1", setIn(certificate.entry, "spec.data.hash.algorithm", "sha1")],
    ["a hash of the length of another", setIn(certificate.entry, "spec.data.hash.algorithm", "sha384")],
    ["a hash that is not hexadecimal", setIn(certificate.entry, "spec.data.hash.value", "zz".repeat(32))],
    ["no signature", unsetIn(certificate.entry, "spec.signature")],
    ["no signature content", unsetIn(certificate.entry, "spec.signature.content")],
    ["a signature that is not base64", setIn(certificate.entry, "spec.signature.content", "*")],
    ["no public key", unsetIn(certificate.entry, "spec.signature.publicKey")],
    ["no public key content", unsetIn(certificate.entry, PEM_FIELD)],
    ["a public key that is not base64", setIn(certificate.entry, PEM_FIELD, "-----BEGIN")],
    ["a public key that is not text", setIn(certificate.entry, PEM_FIELD, "/w==")],
    ["a public key that is not PEM", setIn(certificate.entry, PEM_FIELD, base64("key"))],
    ["a public key with nothing in it", editPem(certificate.entry, () => pemOf("PUBLIC KEY", new Uint8Array()))],
    ["a private key", editPem(certificate.entry, (pem) => pem.replaceAll("CERTIFICATE", "PRIVATE KEY"))],
    ["two public keys", editPem(managed.entry, (pem) => pem + pem)],
    ["a certificate and a public key", editPem(certificate.entry, (pem) => pem + pemIn(managed.entry))],
  ])("rejects a body with %s", ([, entry]) => {
    expect(() => parseEntryBody(entry)).toThrow(expect.objectContaining({ code: MALFORMED }));
  });

  test.for<readonly [string, TransparencyLogEntry]>([
    ["signature", setIn(certificate.entry, "spec.signature.content", base64(new Uint8Array(20_000)))],
    ["public key", setIn(certificate.entry, PEM_FIELD, base64(new Uint8Array(200_000)))],
  ])("rejects a %s beyond its limit", ([, entry]) => {
    expect(() => parseEntryBody(entry)).toThrow(expect.objectContaining({ code: "LIMIT_EXCEEDED" }));
  });
});

describe("hashedrekord 0.0.2 (rekor-v2-spec §6.1.4)", () => {
  const certificate = loggedBundle("a/blob-v2-email");
  const again = loggedBundle("a/blob-v2-email-again");
  const managed = loggedBundle("a/blob-v2-key-p256");
  const envelope = loggedBundle("a/attestation-v2-email");
  const ed25519 = loggedBundle("a/blob-v2-key-ed25519");
  const ENTRY = "spec.hashedRekordV002";
  const VERIFIER = `${ENTRY}.signature.verifier`;

  test.for<readonly [string, TransparencyLogEntry]>([
    ["signature", setIn(certificate.entry, `${ENTRY}.signature.content`, base64(flip(certificate.expected.signature)))],
    [
      "certificate",
      setIn(certificate.entry, `${VERIFIER}.x509Certificate`, valueIn(again.entry, `${VERIFIER}.x509Certificate`)),
    ],
    [
      "kind of key",
      setIn(certificate.entry, VERIFIER, {
        keyDetails: "PKIX_ECDSA_P256_SHA_256",
        publicKey: { rawBytes: base64(makeKey("p256").publicKey.spki) },
      }),
    ],
    [
      "kind of key, with no bytes",
      setIn(certificate.entry, VERIFIER, { keyDetails: "PKIX_ECDSA_P256_SHA_256", publicKey: { rawBytes: "" } }),
    ],
    ["digest", setIn(certificate.entry, `${ENTRY}.data.digest`, base64(new Uint8Array(32)))],
    [
      "digest algorithm",
      setIn(certificate.entry, `${ENTRY}.data`, {
        algorithm: "SHA2_512",
        digest: digestOf(certificate.expected, "sha512"),
      }),
    ],
    ["key type", setIn(certificate.entry, `${VERIFIER}.keyDetails`, "PKIX_ECDSA_P384_SHA_384")],
    ["scheme", setIn(certificate.entry, `${VERIFIER}.keyDetails`, "PKIX_ED25519")],
    ["unknown algorithm", setIn(certificate.entry, `${VERIFIER}.keyDetails`, "PKIX_ECDSA_P256_SHA_257")],
    ["unspecified algorithm", setIn(certificate.entry, `${VERIFIER}.keyDetails`, "PUBLIC_KEY_DETAILS_UNSPECIFIED")],
    ["algorithm with a prototype's name", setIn(certificate.entry, `${VERIFIER}.keyDetails`, "__proto__")],
  ])("rejects another %s", async ([, entry]) => {
    await expect(verify(certificate.entry, certificate.expected)).resolves.toBeUndefined();
    await expect(verify(entry, certificate.expected)).rejects.toMatchObject({ code: MISMATCH });
  });

  function digestOf(expected: EntryExpectation, algorithm: "sha256" | "sha384" | "sha512"): string {
    if (expected.content.kind !== "message") throw new Error("no message");
    return base64(expected.content.digests(algorithm) as Uint8Array);
  }

  test.for<readonly [string, TransparencyLogEntry]>([
    ["public key", setIn(managed.entry, `${VERIFIER}.publicKey.rawBytes`, base64(makeKey("p256").publicKey.spki))],
    ["kind of key", setIn(managed.entry, VERIFIER, valueIn(certificate.entry, VERIFIER))],
  ])("rejects another %s than the managed key", async ([, entry]) => {
    await expect(verify(managed.entry, managed.expected)).resolves.toBeUndefined();
    await expect(verify(entry, managed.expected)).rejects.toMatchObject({ code: MISMATCH });
  });

  test.for<readonly [string, (text: string) => string]>([
    ["with a space", (text) => text.replace(":", ": ")],
    ["with a final newline", (text) => `${text}\n`],
    [
      "with its fields in another order",
      (text) => text.replace(/^\{("apiVersion":"0.0.2"),("kind":"hashedrekord")/, "{$2,$1"),
    ],
    ["with an escape", (text) => text.replace('"hashedrekord"', '"\\u0068ashedrekord"')],
    ["with a field that is null", (text) => text.replace(/\}$/, ',"zero":null}')],
  ])("rejects a body %s", async ([, edit]) => {
    const text = Buffer.from(certificate.entry.canonicalizedBody).toString();
    expect(edit(text)).not.toBe(text);
    const entry = { ...certificate.entry, canonicalizedBody: new TextEncoder().encode(edit(text)) };
    await expect((async () => verify(entry, certificate.expected))()).rejects.toMatchObject({
      code: expect.stringMatching(/^TLOG_ENTRY_(MISMATCH|MALFORMED)$/) as string,
    });
  });

  test("takes Ed25519ph, with SHA-512, for a signature over a digest, and not Ed25519", async () => {
    await expect(verify(ed25519.entry, ed25519.expected)).resolves.toBeUndefined();
    const pure = setIn(ed25519.entry, `${VERIFIER}.keyDetails`, "PKIX_ED25519");
    await expect(verify(pure, ed25519.expected)).rejects.toMatchObject({ code: MISMATCH });
    // Not even where the signature is one: the log could not have verified it with the digest alone.
    await expect(verify(pure, { ...ed25519.expected, keyAlgorithm: algorithmNamed("ed25519") })).rejects.toMatchObject({
      code: MISMATCH,
    });
    await expect(
      verify(ed25519.entry, { ...ed25519.expected, keyAlgorithm: algorithmNamed("ed25519") }),
    ).rejects.toMatchObject({ code: MISMATCH });
  });

  test("takes SHA-256 for a P-384 key only where the signature is over SHA-256", async () => {
    const p384 = loggedBundle("a/blob-v2-key-p384");
    const data = setIn(p384.entry, `${ENTRY}.data`, {
      algorithm: "SHA2_256",
      digest: digestOf(p384.expected, "sha256"),
    });
    const entry = setIn(data, `${VERIFIER}.keyDetails`, "PKIX_ECDSA_P384_SHA_256");
    await expect(verify(entry, p384.expected)).rejects.toMatchObject({
      message: "log entry has another signature algorithm than the bundle",
      expected: "PKIX_ECDSA_P384_SHA_384",
      found: "PKIX_ECDSA_P384_SHA_256",
    });
    const keyAlgorithm = algorithmNamed("ecdsa-sha2-256-nistp384");
    await expect(verify(entry, { ...p384.expected, keyAlgorithm })).resolves.toBeUndefined();
  });

  test("names what differs", async () => {
    const differing = (entry: TransparencyLogEntry, expected: EntryExpectation, field: string): Promise<void> =>
      expect(verify(entry, expected)).rejects.toMatchObject({
        message: `log entry has another ${field} than the bundle`,
      });
    const { entry, expected } = certificate;
    await differing(entry, again.expected, "signature");
    await differing(entry, { ...expected, verifier: again.expected.verifier }, "certificate");
    await differing(entry, { ...expected, content: { kind: "message", digests: () => new Uint8Array(32) } }, "digest");
    await differing(managed.entry, { ...managed.expected, verifier: again.expected.verifier }, "certificate");
    await differing(
      managed.entry,
      { ...managed.expected, verifier: { kind: "public-key", key: makeKey("p256").publicKey } },
      "public key",
    );
  });

  test("checks the entry's algorithm against the key, where none is known to verify", async () => {
    for (const bundle of [
      certificate,
      managed,
      ed25519,
      loggedBundle("a/blob-v2-email-p384"),
      loggedBundle("a/blob-v2-key-rsa3072"),
    ]) {
      const expected = { ...bundle.expected, keyAlgorithm: undefined };
      await expect(verify(bundle.entry, expected)).resolves.toBeUndefined();
      await expect(
        verify(setIn(bundle.entry, `${VERIFIER}.keyDetails`, "PKIX_RSA_PKCS1V15_4096_SHA256"), expected),
      ).rejects.toMatchObject({ code: MISMATCH });
    }
  });

  test("rejects an algorithm for another size of the key, even beside one that names no size", async () => {
    const rsa = loggedBundle("a/blob-v2-key-rsa3072");
    const generic = { ...rsa.expected, keyAlgorithm: algorithmNamed("rsa-sign-pkcs1-sha256") };
    await expect(verify(rsa.entry, generic)).resolves.toBeUndefined();
    const other = setIn(rsa.entry, `${VERIFIER}.keyDetails`, "PKIX_RSA_PKCS1V15_2048_SHA256");
    await expect(verify(other, generic)).rejects.toMatchObject({ code: MISMATCH });
    await expect(
      verify(setIn(rsa.entry, `${VERIFIER}.keyDetails`, "PKIX_RSA_PSS_3072_SHA256"), rsa.expected),
    ).rejects.toMatchObject({ code: MISMATCH });
  });

  test("covers the pre-authentication encoding of an envelope, not its payload", async () => {
    await expect(verify(envelope.entry, envelope.expected)).resolves.toBeUndefined();
    if (envelope.expected.content.kind !== "envelope") throw new Error("no envelope");
    const ofPayload = base64(await crypto.digest("sha256", envelope.expected.content.payload));
    await expect(
      verify(setIn(envelope.entry, `${ENTRY}.data.digest`, ofPayload), envelope.expected),
    ).rejects.toMatchObject({ code: MISMATCH });
  });

  test("says so where the artifact was given by another digest", async () => {
    const content = { kind: "message", digests: () => undefined } as const;
    await expect(verify(certificate.entry, { ...certificate.expected, content })).rejects.toMatchObject({
      code: "DIGEST_ALGORITHM_MISMATCH",
    });
  });

  test.for<readonly [string, TransparencyLogEntry]>([
    ["another message in its spec", setIn(certificate.entry, "spec", { dsseV002: valueIn(certificate.entry, ENTRY) })],
    ["an unknown field in its spec", setIn(certificate.entry, "spec.extra", 1)],
    ["an unknown field", setIn(certificate.entry, `${ENTRY}.extra`, 1)],
    ["an unknown field beside the signature", setIn(certificate.entry, `${ENTRY}.signature.extra`, 1)],
    ["an unknown field beside the certificate", setIn(certificate.entry, `${VERIFIER}.extra`, 1)],
    ["no data", unsetIn(certificate.entry, `${ENTRY}.data`)],
    ["no digest", unsetIn(certificate.entry, `${ENTRY}.data.digest`)],
    ["no digest algorithm", unsetIn(certificate.entry, `${ENTRY}.data.algorithm`)],
    [
      "an unspecified digest algorithm",
      setIn(certificate.entry, `${ENTRY}.data.algorithm`, "HASH_ALGORITHM_UNSPECIFIED"),
    ],
    ["a digest algorithm by number", setIn(certificate.entry, `${ENTRY}.data.algorithm`, 1)],
    ["a digest of the length of another", setIn(certificate.entry, `${ENTRY}.data.algorithm`, "SHA2_384")],
    ["a digest in hexadecimal", setIn(certificate.entry, `${ENTRY}.data.digest`, "00".repeat(31) + "0")],
    ["no signature", unsetIn(certificate.entry, `${ENTRY}.signature`)],
    ["no signature content", unsetIn(certificate.entry, `${ENTRY}.signature.content`)],
    ["no verifier", unsetIn(certificate.entry, VERIFIER)],
    ["no key details", unsetIn(certificate.entry, `${VERIFIER}.keyDetails`)],
    ["neither certificate nor key", unsetIn(certificate.entry, `${VERIFIER}.x509Certificate`)],
    ["both certificate and key", setIn(certificate.entry, `${VERIFIER}.publicKey`, { rawBytes: "AA==" })],
  ])("rejects a body with %s", ([, entry]) => {
    expect(() => parseEntryBody(entry)).toThrow(expect.objectContaining({ code: MALFORMED }));
  });
});
