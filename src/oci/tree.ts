/**
 * What belongs to an image, to look at. Nothing of it is verified.
 *
 * @module
 */

import { ServiceError, type SigstoreError } from "../errors.ts";
import { readAttached, type AttachedManifest, type AttachmentKind } from "./attached-content.ts";
import { isContentDigest, type ContentDigest } from "./content-digest.ts";
import { selectPlatform } from "./image-index.ts";
import { openImage, type AttachmentOptions, type ImageInput } from "./image-source.ts";
import type { Descriptor, Platform } from "./manifest.ts";
import { BUNDLE_CONTENT_ANNOTATION, BUNDLE_PREDICATE_TYPE_ANNOTATION } from "./media-types.ts";

/** Is something that is attached to an image. Claimed, all of it. */
export interface AttachedArtifact {
  readonly kind: AttachmentKind;
  /** `registry/repository:sha256-….sig`, or `registry/repository@sha256:…`. */
  readonly location: string;
  /** For what is under a tag. */
  readonly tag?: string | undefined;
  /** Of the manifest. */
  readonly digest: ContentDigest;
  /** What it is attached to: the image, or another thing that is. */
  readonly subject: ContentDigest;
  /** What the manifest says that it is: its artifact type. */
  readonly artifactType: string;
  /** For a bundle: what its annotation says of the statement in it. */
  readonly predicateType?: string | undefined;
  /** For a bundle: what its annotation says of its kind, `dsse-envelope` or `message-signature`. */
  readonly bundleContent?: string | undefined;
  readonly layers: readonly Descriptor[];
}

/** Is an image with what is attached to it. */
export interface ImageTree {
  /** As it was given. */
  readonly name: string;
  /** `registry/repository@sha256:…`. */
  readonly pinned: string;
  readonly digest: ContentDigest;
  readonly attached: readonly AttachedArtifact[];
  /** What is there and cannot be read. */
  readonly unreadable: readonly UnreadableArtifact[];
}

/** Is something that is attached to an image, and is not what it should be. */
export interface UnreadableArtifact {
  readonly location: string;
  readonly error: SigstoreError;
}

/**
 * Lists what is attached to an image: under tags, and as referrers at all depths, in an order that is always the same.
 *
 * @throws ServiceError `IMAGE_NOT_FOUND` and those of the registry; InputError `REFERENCE_MALFORMED`, `PLATFORM_NOT_FOUND`.
 */
export async function readTree(
  image: ImageInput,
  options: AttachmentOptions & { readonly platform?: string | Platform | undefined } = {},
): Promise<ImageTree> {
  const opened = openImage(image, options);
  const named = await opened.store.fetchManifest(opened.reference);
  if (named === undefined)
    throw new ServiceError("IMAGE_NOT_FOUND", `image tag not found: ${opened.name}`, { status: 404 });
  const root =
    options.platform === undefined ? named : (await selectPlatform(opened.store, named, options.platform)).fetched;
  const { digest } = root.descriptor;
  const kinds = new Set<AttachmentKind>(["sig", "att", "sbom", "referrers"]);
  const unreadable: UnreadableArtifact[] = [];
  const { name } = opened.attachments;
  const attached = await readAttached(
    opened.attachments,
    digest,
    kinds,
    options.attachmentTagPrefix,
    (tagOrDigest, error) => {
      unreadable.push({ location: `${name}${isContentDigest(tagOrDigest) ? "@" : ":"}${tagOrDigest}`, error });
    },
  );
  return {
    name: opened.name,
    pinned: `${opened.repository}@${digest}`,
    digest,
    attached: attached.map((one) => describe(one, name)).toSorted(byKindAndDigest),
    unreadable: unreadable.toSorted((a, b) => a.location.localeCompare(b.location, "en")),
  };
}

function describe({ kind, subject, fetched, tag }: AttachedManifest, name: string): AttachedArtifact {
  const { descriptor, manifest } = fetched;
  const predicateType = manifest.annotations[BUNDLE_PREDICATE_TYPE_ANNOTATION];
  const bundleContent = manifest.annotations[BUNDLE_CONTENT_ANNOTATION];
  return {
    kind,
    location: tag === undefined ? `${name}@${descriptor.digest}` : `${name}:${tag}`,
    ...(tag !== undefined && { tag }),
    digest: descriptor.digest,
    subject,
    artifactType:
      manifest.artifactType ?? (manifest.kind === "image" ? manifest.config.mediaType : descriptor.mediaType),
    ...(predicateType !== undefined && { predicateType }),
    ...(bundleContent !== undefined && { bundleContent }),
    layers: manifest.kind === "image" ? manifest.layers : manifest.manifests,
  };
}

const ORDER: readonly AttachmentKind[] = ["sig", "att", "sbom", "referrers"];

function byKindAndDigest(a: AttachedArtifact, b: AttachedArtifact): number {
  return (
    ORDER.indexOf(a.kind) - ORDER.indexOf(b.kind) ||
    a.artifactType.localeCompare(b.artifactType, "en") ||
    a.digest.localeCompare(b.digest, "en")
  );
}
