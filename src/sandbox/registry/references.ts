import { createHash } from "node:crypto";

import { tryParseDigest } from "../../crypto/digest.ts";

const NAME = /^[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*(?:\/[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*)*$/;
/** With the address of the registry and a slash, many clients allow 255 in all; the registry itself allows as many for the name. */
const MAX_NAME_LENGTH = 255;
const TAG = /^[a-zA-Z0-9_][a-zA-Z0-9._-]{0,127}$/;

/** Says whether a repository may be called so. */
export function isRepositoryName(text: string): boolean {
  return text.length <= MAX_NAME_LENGTH && NAME.test(text);
}

/** Says whether a tag may be called so. */
export function isTag(text: string): boolean {
  return TAG.test(text);
}

/** Is the name of a hash that content is addressed by here. */
export type ContentAlgorithm = "sha256" | "sha512";

/**
 * Gives the hash of a digest of content, `sha256:` or `sha512:` with lower-case hexadecimal digits.
 *
 * @returns `undefined` for what is not one.
 * @see image-spec descriptor.md, "Digests"
 */
export function tryReadAlgorithm(digest: string): ContentAlgorithm | undefined {
  const algorithm = tryParseDigest(digest)?.algorithm;
  return algorithm === undefined || algorithm === "sha384" || digest !== digest.toLowerCase() ? undefined : algorithm;
}

/** Gives the digest that content has here. */
export function digestOf(bytes: Uint8Array, algorithm: ContentAlgorithm): string {
  return `${algorithm}:${createHash(algorithm).update(bytes).digest("hex")}`;
}
