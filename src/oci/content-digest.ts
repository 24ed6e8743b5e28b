/**
 * Digests as OCI writes them, and bytes that are what their digest says.
 *
 * @module
 */

import { formatDigest, tryParseDigest, type Digest, type HashAlgorithm } from "../crypto/digest.ts";
import { equalBytes } from "../encoding/bytes.ts";
import { FormatError, VerificationError, type FormatErrorCode } from "../errors.ts";

/** Is a digest as OCI writes it: the algorithm, a colon, lower-case hexadecimal digits. */
export type ContentDigest = `sha256:${string}` | `sha384:${string}` | `sha512:${string}`;

const LOWER_CASE = /^sha(256:[0-9a-f]{64}|384:[0-9a-f]{96}|512:[0-9a-f]{128})$/;

/** Says whether text is a digest with a hash that can be computed here. @see opencontainers/image-spec descriptor.md, "Digests" */
export function isContentDigest(text: string): text is ContentDigest {
  return LOWER_CASE.test(text);
}

/**
 * Reads a digest of a document.
 *
 * @param what - Names it in the error: `manifest.config.digest`.
 * @throws {@link FormatError} with the code given.
 */
export function readContentDigest(text: string, what: string, code: FormatErrorCode): ContentDigest {
  if (isContentDigest(text)) return text;
  throw new FormatError(code, `${what} is not a digest`, {
    expected: "sha256, sha384 or sha512, a colon, and lower-case hexadecimal digits",
    found: JSON.stringify(text.slice(0, 160)),
  });
}

/** Computes the digest of bytes. */
export function contentDigestOf(bytes: Uint8Array, algorithm: HashAlgorithm = "sha256"): ContentDigest {
  const value = process.getBuiltinModule("node:crypto").hash(algorithm, bytes, "hex");
  return `${algorithm}:${value}`;
}

/** Gives the algorithm and the bytes of a digest. */
export function toDigest(digest: ContentDigest): Digest {
  const parsed = tryParseDigest(digest);
  if (parsed === undefined) throw new TypeError(`not a digest: ${digest}`);
  return parsed;
}

/** Writes a digest as OCI does. */
export function fromDigest(digest: Digest): ContentDigest {
  return formatDigest(digest) as ContentDigest;
}

/** Names the hash of a digest. */
export function algorithmOf(digest: ContentDigest): HashAlgorithm {
  return toDigest(digest).algorithm;
}

/**
 * Proves that bytes are those that a digest names. The digest is computed here, whatever a registry says of it.
 *
 * @param what - What the bytes are, and from where: `manifest of registry.example/app`.
 * @throws {@link VerificationError} `CONTENT_DIGEST_MISMATCH`.
 */
export function verifyContent(bytes: Uint8Array, digest: ContentDigest, what: string): void {
  const { algorithm, value } = toDigest(digest);
  const found = contentDigestOf(bytes, algorithm);
  if (equalBytes(value, toDigest(found).value)) return;
  throw new VerificationError("CONTENT_DIGEST_MISMATCH", `${what} is not what its digest names`, {
    expected: digest,
    found,
    remedy: "get it again; if it happens again, who serves it has changed it",
  });
}
