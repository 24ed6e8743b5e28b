/**
 * Removing what is attached to an image.
 *
 * @module
 */

import { ServiceError } from "../errors.ts";
import type { ContentDigest } from "./content-digest.ts";
import type { ContentStore } from "./content-store.ts";
import type { WriterOptions } from "./contended-tag.ts";
import { removeFromFallbackIndex } from "./fallback-index.ts";
import { openImage, type AttachmentOptions, type ImageInput } from "./image-source.ts";
import { COSIGN_SBOM, COSIGN_SIGNATURES, SIGN_PREDICATE_TYPE } from "./media-types.ts";
import type { Platform } from "./manifest.ts";
import { readTree, type AttachedArtifact } from "./tree.ts";

/** Says what is removed: `referrer` is every bundle and older manifest that is attached, `all` is everything of cosign's. */
export type CleanType = "signature" | "attestation" | "sbom" | "referrer" | "all";

/** Configures what is removed. */
export interface CleanOptions extends AttachmentOptions, WriterOptions {
  /** Default `all`. */
  readonly type?: CleanType | undefined;
  /** Says what would be removed, and removes nothing. Default false. */
  readonly dryRun?: boolean | undefined;
  readonly platform?: string | Platform | undefined;
  /** Is asked once, with everything that would be removed. Default: it may. */
  readonly confirm?: ((items: readonly AttachedArtifact[]) => Promise<boolean>) | undefined;
}

/** Is something that was removed, or would be. */
export interface CleanedItem {
  readonly artifact: AttachedArtifact;
  readonly outcome: "removed" | "absent" | "would-remove";
}

/** Says what became of it. */
export interface CleanReport {
  readonly name: string;
  readonly digest: ContentDigest;
  readonly items: readonly CleanedItem[];
}

const BUNDLE = /^application\/vnd\.dev\.sigstore\.bundle/;

/**
 * Removes signatures, attestations and SBOMs of an image: the tags beside it, and bundles of whatever client among its referrers. The image
 * itself is never touched, and what is attached to it for another purpose stays.
 *
 * @throws ServiceError `REGISTRY_REQUEST_REFUSED` where the registry lets nothing be deleted, and those of `readTree`.
 */
export async function cleanImage(image: ImageInput, options: CleanOptions = {}): Promise<CleanReport> {
  const { type = "all", dryRun = false, confirm } = options;
  const { attachments } = openImage(image, options);
  const { name, digest, attached } = await readTree(image, options);
  const chosen = attached.filter((artifact) => isOfType(artifact, type) && artifact.digest !== digest);
  if (dryRun || chosen.length === 0)
    return { name, digest, items: chosen.map((artifact) => ({ artifact, outcome: "would-remove" })) };
  if (confirm !== undefined && !(await confirm(chosen))) return { name, digest, items: [] };
  const items: CleanedItem[] = [];
  for (const artifact of chosen) {
    const removed = await remove(attachments, artifact);
    items.push({ artifact, outcome: removed ? "removed" : "absent" });
  }
  await forget(attachments, chosen, options);
  return { name, digest, items };
}

function isOfType({ kind, artifactType, predicateType }: AttachedArtifact, type: CleanType): boolean {
  if (kind !== "referrers") {
    const typeOfTag = { sig: "signature", att: "attestation", sbom: "sbom" } as const;
    return type === "all" || type === typeOfTag[kind];
  }
  const isBundle = BUNDLE.test(artifactType);
  const isSignature = artifactType === COSIGN_SIGNATURES || (isBundle && predicateType === SIGN_PREDICATE_TYPE);
  switch (type) {
    case "all":
    case "referrer":
      return isBundle || artifactType === COSIGN_SIGNATURES || artifactType === COSIGN_SBOM;
    case "signature":
      return isSignature;
    case "attestation":
      return isBundle && !isSignature;
    case "sbom":
      return artifactType === COSIGN_SBOM;
  }
}

async function remove(store: ContentStore, { kind, location, digest }: AttachedArtifact): Promise<boolean> {
  if (kind === "referrers") return await store.deleteManifest(digest);
  const tag = location.slice(location.lastIndexOf(":") + 1);
  try {
    return await store.deleteManifest(tag);
  } catch (error) {
    // Some registries delete by digest alone, and the tag goes with it.
    if (!(error instanceof ServiceError) || (error.status !== 400 && error.status !== 405)) throw error;
    return await store.deleteManifest(digest);
  }
}

/** Where clients keep the list, what is gone must not stay in it. */
async function forget(
  store: ContentStore,
  removed: readonly AttachedArtifact[],
  options: WriterOptions,
): Promise<void> {
  const subjects = new Set(removed.filter(({ kind }) => kind === "referrers").map(({ subject }) => subject));
  for (const subject of subjects) {
    const { source, descriptors } = await store.listReferrers(subject);
    const gone = removed.filter((one) => one.subject === subject).map(({ digest }) => digest);
    if (source === "referrers-tag" && descriptors.some(({ digest }) => gone.includes(digest)))
      await removeFromFallbackIndex(store, subject, gone, options);
  }
}
