/**
 * What is to be signed of an image, found out and tried before anything becomes public.
 *
 * @module
 */

import { ServiceError } from "../errors.ts";
import type { ContentDigest } from "./content-digest.ts";
import { selectPlatform, walkIndex, type IndexNode } from "./image-index.ts";
import { openImage, type AttachmentOptions, type ImageInput, type OpenedImage } from "./image-source.ts";
import type { Descriptor, Platform } from "./manifest.ts";
import { EMPTY_CONFIG } from "./referrers.ts";

/** Says which digests of an image are signed. */
export interface TargetOptions {
  /** The index and everything that it names, each with a signature of its own. Default false: what the reference names. */
  readonly recursive?: boolean | undefined;
  /** The manifest of this platform, in place of the index. */
  readonly platform?: string | Platform | undefined;
}

/** Is one digest that is to be signed. */
export interface SigningTarget {
  readonly subject: Descriptor;
  readonly platform?: Platform | undefined;
}

/** Is an image whose digests are known. */
export interface SigningTargets {
  readonly opened: OpenedImage;
  /** `registry/repository@sha256:…` of what the reference names: a tag may be moved. */
  readonly pinned: string;
  readonly digest: ContentDigest;
  readonly targets: readonly [SigningTarget, ...SigningTarget[]];
}

/**
 * Finds the digests of an image that are to be signed.
 *
 * @throws ServiceError `IMAGE_NOT_FOUND` and those of the registry; InputError `REFERENCE_MALFORMED`, `PLATFORM_NOT_FOUND`.
 */
export async function findSigningTargets(
  image: ImageInput,
  options: AttachmentOptions & TargetOptions,
): Promise<SigningTargets> {
  const opened = openImage(image, options);
  const root = await opened.store.fetchManifest(opened.reference);
  if (root === undefined) {
    throw new ServiceError("IMAGE_NOT_FOUND", `image tag not found: ${opened.name}`, {
      status: 404,
      found: "no such tag or digest",
      remedy: "push the image first: what is signed is its digest",
    });
  }
  const chosen: Pick<IndexNode, "fetched" | "platform"> =
    options.platform === undefined ? { fetched: root } : await selectPlatform(opened.store, root, options.platform);
  const below = options.recursive === true ? (await walkIndex(opened.store, chosen.fetched)).slice(1) : [];
  const [first, ...others] = [chosen, ...below].map(({ fetched, platform }): SigningTarget => ({
    subject: fetched.descriptor,
    ...(platform !== undefined && { platform }),
  }));
  if (first === undefined) throw new Error("a list with one more is not empty"); // cannot happen
  const { digest } = chosen.fetched.descriptor;
  return { opened, pinned: `${opened.repository}@${digest}`, digest, targets: [first, ...others] };
}

/**
 * Makes sure that something can be put where signatures are kept, by putting the two bytes that every one of them needs. Otherwise a log
 * would hold an entry for a signature that nobody can find.
 *
 * @throws ServiceError `REGISTRY_UNAUTHORIZED`, and those of the registry.
 */
export async function requirePush({ attachments }: OpenedImage): Promise<void> {
  const { bytes, ...descriptor } = EMPTY_CONFIG;
  if (attachments.requirePush === undefined) await attachments.pushBlob(descriptor, bytes);
  else await attachments.requirePush(descriptor, bytes);
}
