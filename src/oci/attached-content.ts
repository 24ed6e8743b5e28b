/**
 * Everything that belongs to an image: what is below it, what is under tags beside it, and what refers to it, at all depths.
 *
 * @module
 */

import { FormatError, VerificationError } from "../errors.ts";
import { MAX_IMAGE_SIGNATURES, MAX_INDEX_DEPTH } from "../limits.ts";
import { attachmentTag } from "./attachment-tags.ts";
import type { ContentDigest } from "./content-digest.ts";
import type { ContentStore, FetchedManifest } from "./content-store.ts";

/** Lists the kinds of tags beside an image. */
const ATTACHMENT_KINDS = ["sig", "att", "sbom"] as const;

/** Says what is attached to an image, and how. */
export type AttachmentKind = "sig" | "att" | "sbom" | "referrers";

/** Is a manifest that is attached to a digest. */
export interface AttachedManifest {
  readonly kind: AttachmentKind;
  /** What it is attached to. */
  readonly subject: ContentDigest;
  readonly fetched: FetchedManifest;
  /** For a tag. */
  readonly tag?: string | undefined;
}

/**
 * Reads everything that is attached to a digest: what is under tags, what refers to it, and what refers to that.
 *
 * A manifest that a list names and that refers to something else is left out; so is one that is not there.
 *
 * @param kinds - What to look for.
 * @param passOver - Is told of a manifest that cannot be read, by its tag or digest, which then hides no other. Default: it is thrown.
 * @throws FormatError `LIMIT_EXCEEDED`; and what the store says.
 */
export async function readAttached(
  store: ContentStore,
  digest: ContentDigest,
  kinds: ReadonlySet<AttachmentKind>,
  tagPrefix?: string,
  passOver?: (tagOrDigest: string, error: FormatError | VerificationError) => void,
): Promise<readonly AttachedManifest[]> {
  let count = 0;
  const tooMuch = (expected: string): FormatError =>
    new FormatError("LIMIT_EXCEEDED", `too much is attached to ${digest} in ${store.name}`, { expected });
  const counted = (one: AttachedManifest): AttachedManifest => {
    if (++count > MAX_IMAGE_SIGNATURES) throw tooMuch(`at most ${MAX_IMAGE_SIGNATURES}`);
    return one;
  };
  const fetch = async (tagOrDigest: string): Promise<FetchedManifest | undefined> => {
    try {
      return await store.fetchManifest(tagOrDigest);
    } catch (error) {
      const isAboutContent = error instanceof FormatError || error instanceof VerificationError;
      if (passOver === undefined || !isAboutContent) throw error;
      passOver(tagOrDigest, error);
      return undefined;
    }
  };
  const tags = ATTACHMENT_KINDS.filter((kind) => kinds.has(kind));
  const tagged = await Promise.all(
    tags.map(async (kind) => {
      const tag = attachmentTag(digest, kind, tagPrefix);
      return { kind, tag, fetched: await fetch(tag) };
    }),
  );
  const underTags = tagged.flatMap(({ kind, tag, fetched }) =>
    fetched === undefined ? [] : [counted({ kind, tag, fetched, subject: digest })],
  );
  const visit = async (subject: ContentDigest, depth: number): Promise<readonly AttachedManifest[]> => {
    const { descriptors } = await store.listReferrers(subject);
    // To leave out what is deeper would be to lose it.
    if (depth > MAX_INDEX_DEPTH && descriptors.length > 0) throw tooMuch(`at most ${MAX_INDEX_DEPTH} levels`);
    const found = await Promise.all(
      descriptors.map(async (descriptor) => {
        const fetched = await fetch(descriptor.digest);
        if (fetched === undefined || fetched.manifest.subject?.digest !== subject) return [];
        const one = counted({ kind: "referrers", subject, fetched });
        return [one, ...(await visit(fetched.descriptor.digest, depth + 1))];
      }),
    );
    return found.flat();
  };
  return kinds.has("referrers") ? [...underTags, ...(await visit(digest, 1))] : underTags;
}
