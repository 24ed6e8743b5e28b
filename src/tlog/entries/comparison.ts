/**
 * The comparisons of an entry with a bundle that several kinds share.
 *
 * @module
 */

import { formatDigest, type Digest } from "../../crypto/digest.ts";
import type { CryptoProvider } from "../../crypto/provider.ts";
import { encodeBase64 } from "../../encoding/base64.ts";
import { equalBytes } from "../../encoding/bytes.ts";
import { VerificationError } from "../../errors.ts";
import type { EntryExpectation } from "../entry-body.ts";

/** Is the certificate or public key of an entry. */
export interface EntryVerifier {
  readonly kind: "certificate" | "public-key" | "rsa-public-key";
  /** A certificate, a SubjectPublicKeyInfo, or an RSAPublicKey of PKCS #1. */
  readonly der: Uint8Array;
}

/**
 * Makes the error for an entry that is about something else than the bundle.
 *
 * @param field - Completes "log entry has another …".
 */
export function mismatch(field: string, expected: string, found: string): VerificationError {
  return new VerificationError("TLOG_ENTRY_MISMATCH", `log entry has another ${field} than the bundle`, {
    expected,
    found,
  });
}

/** Verifies that the entry is about the bundle's signature, byte for byte. */
export function verifySameSignature(signature: Uint8Array, expected: EntryExpectation): void {
  if (!equalBytes(signature, expected.signature))
    throw mismatch("signature", abridge(expected.signature), abridge(signature));
}

/** Verifies that the entry is about the bundle's certificate, or about the key that the bundle was verified with. */
export async function verifySameVerifier(
  verifier: EntryVerifier,
  expected: EntryExpectation["verifier"],
  crypto: CryptoProvider,
): Promise<void> {
  const der = derInForm(verifier.kind, expected);
  if (der !== undefined && equalBytes(verifier.der, der)) return;
  const wanted = expected.kind === "certificate" ? expected.der : expected.key.spki;
  throw mismatch(
    expected.kind === "certificate" ? "certificate" : "public key",
    `${expected.kind} ${formatDigest({ algorithm: "sha256", value: await crypto.digest("sha256", wanted) })}`,
    `${verifier.kind} ${formatDigest({ algorithm: "sha256", value: await crypto.digest("sha256", verifier.der) })}`,
  );
}

/** What the entry's bytes must be; a certificate never answers for a bare key, nor the other way round. */
function derInForm(kind: EntryVerifier["kind"], expected: EntryExpectation["verifier"]): Uint8Array | undefined {
  switch (kind) {
    case "certificate":
      return expected.kind === "certificate" ? expected.der : undefined;
    case "public-key":
      return expected.kind === "public-key" ? expected.key.spki : undefined;
    case "rsa-public-key":
      return expected.kind === "public-key" && expected.key.type === "rsa" ? expected.key.keyBytes : undefined;
  }
}

/**
 * Verifies that the entry's digest is of what was signed: the artifact, or the pre-authentication encoding of an envelope.
 *
 * @see rekor-v2-spec §6.1.4
 */
export async function verifySignedDigest(
  found: Digest,
  content: EntryExpectation["content"],
  crypto: CryptoProvider,
): Promise<void> {
  const { algorithm } = found;
  const value = await (content.kind === "message" ? content.digests(algorithm) : crypto.digest(algorithm, content.pae));
  if (value === undefined) {
    throw new VerificationError(
      "DIGEST_ALGORITHM_MISMATCH",
      "artifact was given by a digest that the log entry does not have",
      {
        expected: `the ${algorithm} digest`,
        found: "the digest of another algorithm",
        remedy: `give the artifact itself, or its ${algorithm} digest`,
      },
    );
  }
  if (!equalBytes(value, found.value))
    throw mismatch("digest", formatDigest({ algorithm, value }), formatDigest(found));
}

/** Verifies that the entry is about an envelope with the bundle's payload. */
export async function verifyPayloadHash(
  found: Digest,
  kind: string,
  content: EntryExpectation["content"],
  crypto: CryptoProvider,
): Promise<EntryExpectation["content"] & { kind: "envelope" }> {
  if (content.kind !== "envelope")
    throw mismatch("kind of content", "a message signature, logged as hashedrekord", kind);
  const { algorithm } = found;
  const value = await crypto.digest(algorithm, content.payload);
  if (!equalBytes(value, found.value))
    throw mismatch("payload hash", formatDigest({ algorithm, value }), formatDigest(found));
  return content;
}

/** Picks the only signature of a list: what a second one says could not be compared with anything in a bundle. */
export function onlySignature<T>(signatures: readonly T[]): T {
  const [signature, second] = signatures;
  if (signature === undefined || second !== undefined) {
    throw mismatch("number of signatures", "1", `${signatures.length}`);
  }
  return signature;
}

/** Writes bytes for a message, as long as most signatures are. */
function abridge(bytes: Uint8Array): string {
  return bytes.length <= 144 ? encodeBase64(bytes) : `${encodeBase64(bytes.subarray(0, 144))}… (${bytes.length} bytes)`;
}
