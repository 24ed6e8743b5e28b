/**
 * Removing what is attached to an image.
 *
 * @module
 */

import { parseBundle } from "../bundle/bundle.ts";
import { ServiceError, SigstoreError, VerificationError } from "../errors.ts";
import { parseStatement } from "../intoto/statement.ts";
import { MAX_ATTACHMENT_BYTES } from "../limits.ts";
import type { ContentDigest } from "./content-digest.ts";
import type { ContentStore } from "./content-store.ts";
import type { WriterOptions } from "./contended-tag.ts";
import { removeFromFallbackIndex } from "./fallback-index.ts";
import { openImage, type AttachmentOptions, type ImageInput } from "./image-source.ts";
import { COSIGN_SBOM, COSIGN_SIGNATURES, DSSE_ENVELOPE, SIGN_PREDICATE_TYPE, SIMPLE_SIGNING } from "./media-types.ts";
import type { Platform } from "./manifest.ts";
import { readTree, type AttachedArtifact, type UnreadableArtifact } from "./tree.ts";

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

/** Is something that was removed, or would be, or could not be. */
export type CleanedItem = { readonly artifact: AttachedArtifact } & (
  | { readonly outcome: "removed" | "absent" | "would-remove" }
  | { readonly outcome: "failed"; readonly error: SigstoreError }
);

/** Says what became of it. */
export interface CleanReport {
  readonly name: string;
  readonly digest: ContentDigest;
  readonly items: readonly CleanedItem[];
  /** What is attached and cannot be read: it is left. */
  readonly unreadable: readonly UnreadableArtifact[];
}

const BUNDLE = "application/vnd.dev.sigstore.bundle";
/** What the layers of the tags beside an image are. @see cosign, pkg/types/media.go */
const LAYERS_OF_TAGS = new Set([
  SIMPLE_SIGNING,
  DSSE_ENVELOPE,
  "text/spdx",
  "text/spdx+xml",
  "text/spdx+json",
  "application/vnd.cyclonedx",
  "application/vnd.cyclonedx+xml",
  "application/vnd.cyclonedx+json",
  "application/vnd.syft+json",
]);

/**
 * Removes signatures, attestations and SBOMs of an image: the tags beside it, and bundles of whatever client among its referrers. The image
 * itself is never touched, and what is attached to it for another purpose stays, with its own signatures.
 *
 * One that cannot be removed does not keep the others; where none can, the reason is thrown.
 *
 * @throws ServiceError `REGISTRY_REQUEST_REFUSED` where the registry lets nothing be deleted, and those of `readTree`.
 */
export async function cleanImage(image: ImageInput, options: CleanOptions = {}): Promise<CleanReport> {
  const { type = "all", dryRun = false, confirm } = options;
  const { attachments } = openImage(image, options);
  const { name, digest, attached, unreadable } = await readTree(image, options);
  const chosen = await choose(attachments, digest, attached, type);
  const report = (items: readonly CleanedItem[]): CleanReport => ({ name, digest, items, unreadable });
  if (dryRun || chosen.length === 0) return report(chosen.map((artifact) => ({ artifact, outcome: "would-remove" })));
  if (confirm !== undefined && !(await confirm(chosen))) return report([]);
  const items: CleanedItem[] = [];
  for (const artifact of chosen) items.push(await remove(attachments, artifact));
  const gone = items.filter(({ outcome }) => outcome !== "failed").map(({ artifact }) => artifact);
  const [first] = items;
  if (gone.length === 0 && first?.outcome === "failed") throw first.error;
  await forget(attachments, gone, options);
  return report(items);
}

/** What is attached to something else that is attached goes with that, and stays with it. */
async function choose(
  store: ContentStore,
  digest: ContentDigest,
  attached: readonly AttachedArtifact[],
  type: CleanType,
): Promise<readonly AttachedArtifact[]> {
  const chosen = new Set<AttachedArtifact>();
  for (const artifact of attached)
    if (artifact.subject === digest && artifact.digest !== digest && (await isOfType(store, artifact, type)))
      chosen.add(artifact);
  const roots = new Set([...chosen].filter(({ kind }) => kind === "referrers").map((one) => one.digest));
  for (let before = -1; before !== chosen.size;) {
    before = chosen.size;
    for (const artifact of attached) {
      if (!roots.has(artifact.subject) || !(await isOfType(store, artifact, "referrer"))) continue;
      chosen.add(artifact);
      roots.add(artifact.digest);
    }
  }
  return attached.filter((artifact) => chosen.has(artifact));
}

async function isOfType(store: ContentStore, artifact: AttachedArtifact, type: CleanType): Promise<boolean> {
  const { kind, artifactType } = artifact;
  if (kind !== "referrers") {
    const typeOfTag = { sig: "signature", att: "attestation", sbom: "sbom" } as const;
    return type === "all" || type === typeOfTag[kind];
  }
  const isBundle = holdsBundle(artifact);
  switch (type) {
    case "all":
    case "referrer":
      return isBundle || artifactType === COSIGN_SIGNATURES || artifactType === COSIGN_SBOM;
    case "signature":
      return isBundle ? (await kindOfBundle(store, artifact)) === "signature" : artifactType === COSIGN_SIGNATURES;
    case "attestation":
      return isBundle && (await kindOfBundle(store, artifact)) === "attestation";
    case "sbom":
      return artifactType === COSIGN_SBOM;
  }
}

/** Clients agree about the type of the layer, not about that of the manifest. */
function holdsBundle({ artifactType, layers }: AttachedArtifact): boolean {
  return (
    artifactType.startsWith(BUNDLE) ||
    (layers.length > 0 && layers.every(({ mediaType }) => mediaType.startsWith(BUNDLE)))
  );
}

/** Some clients write no annotations: then the bundle itself is looked at. One that cannot be read is neither. */
async function kindOfBundle(
  store: ContentStore,
  { predicateType, bundleContent, layers }: AttachedArtifact,
): Promise<"signature" | "attestation" | undefined> {
  if (bundleContent === "message-signature") return "signature";
  if (predicateType !== undefined) return predicateType === SIGN_PREDICATE_TYPE ? "signature" : "attestation";
  const [layer] = layers;
  if (layer === undefined) return undefined;
  try {
    const { content } = parseBundle(await store.fetchBlob(layer, MAX_ATTACHMENT_BYTES));
    if (content.kind === "messageSignature") return "signature";
    return parseStatement(content.envelope.payload).predicateType === SIGN_PREDICATE_TYPE ? "signature" : "attestation";
  } catch (error) {
    if (!(error instanceof SigstoreError) || (error instanceof ServiceError && error.code !== "CONTENT_NOT_FOUND"))
      throw error;
    return undefined;
  }
}

async function remove(store: ContentStore, artifact: AttachedArtifact): Promise<CleanedItem> {
  try {
    return { artifact, outcome: (await deleteFrom(store, artifact)) ? "removed" : "absent" };
  } catch (error) {
    if (!(error instanceof SigstoreError)) throw error;
    return { artifact, outcome: "failed", error: isRefusal(error) ? cannotDelete(store, artifact, error) : error };
  }
}

async function deleteFrom(store: ContentStore, artifact: AttachedArtifact): Promise<boolean> {
  const { tag, digest, layers } = artifact;
  if (tag === undefined) return await store.deleteManifest(digest);
  try {
    return await store.deleteManifest(tag);
  } catch (error) {
    if (!isRefusal(error)) throw error;
    // Some registries delete by digest alone, and every tag of it goes with it: somebody may have put an image under this one.
    if (layers.length > 0 && layers.every(({ mediaType }) => LAYERS_OF_TAGS.has(mediaType)))
      return await store.deleteManifest(digest);
    throw new VerificationError(
      "MEDIA_TYPE_MISMATCH",
      `${artifact.location} names something that is no signature, attestation or SBOM, and the registry deletes no tag alone`,
      {
        found: artifact.artifactType,
        remedy: "find out who wrote that tag; it was left, with what it names",
        cause: error,
      },
    );
  }
}

/** Says whether a registry refuses to delete in this way. @see opencontainers/distribution-spec spec.md, "Deleting tags" */
function isRefusal(error: unknown): error is ServiceError {
  return error instanceof ServiceError && (error.status === 400 || error.status === 405);
}

function cannotDelete(store: ContentStore, { location }: AttachedArtifact, cause: ServiceError): ServiceError {
  const { status, retryable } = cause;
  return new ServiceError(
    "REGISTRY_REQUEST_REFUSED",
    `registry deletes nothing from ${store.name}: ${location} stays`,
    {
      found: cause.message,
      remedy: "allow deletion in the registry, or delete it with the registry's own tools",
      status,
      retryable,
      cause,
    },
  );
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
