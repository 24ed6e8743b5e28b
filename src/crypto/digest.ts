import { encodeHex, tryDecodeHex } from "../encoding/hex.ts";

/** Is the name of a hash that signatures and digests of artifacts may rest on. */
export type HashAlgorithm = "sha256" | "sha384" | "sha512";

/** Is a hash value together with the hash that made it. */
export interface Digest {
  readonly algorithm: HashAlgorithm;
  readonly value: Uint8Array;
}

/** Gives the bytes of a digest. */
export const DIGEST_LENGTH: Readonly<Record<HashAlgorithm, number>> = { sha256: 32, sha384: 48, sha512: 64 };

/** Writes a digest as `sha256:` and lower-case hexadecimal digits. */
export function formatDigest(digest: Digest): string {
  return `${digest.algorithm}:${encodeHex(digest.value)}`;
}

/**
 * Reads what {@link formatDigest} writes; the hexadecimal digits may be of either case.
 *
 * @returns `undefined` for another algorithm, another length, or anything that is not a digest.
 */
export function tryParseDigest(text: string): Digest | undefined {
  const colon = text.indexOf(":");
  const algorithm = text.slice(0, Math.max(colon, 0));
  if (!isHashAlgorithm(algorithm)) return undefined;
  if (text.length !== colon + 1 + 2 * DIGEST_LENGTH[algorithm]) return undefined;
  const value = tryDecodeHex(text.slice(colon + 1));
  return value && { algorithm, value };
}

function isHashAlgorithm(name: string): name is HashAlgorithm {
  return name === "sha256" || name === "sha384" || name === "sha512";
}
