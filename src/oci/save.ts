/**
 * Images as files, to be carried where there is no registry.
 *
 * @module
 */

import { ServiceError } from "../errors.ts";
import { readAttached, type AttachmentKind } from "./attached-content.ts";
import type { ContentDigest } from "./content-digest.ts";
import type { ContentStore, FetchedManifest } from "./content-store.ts";
import { copyImage, type CopyOptions, type CopyReport } from "./copy.ts";
import { selectPlatform, walkIndex } from "./image-index.ts";
import { openImage, type AttachmentOptions, type ImageInput } from "./image-source.ts";
import { createLayout, LAYOUT_KINDS, openLayout, type ImageLayout } from "./layout/layout.ts";
import type { Manifest, Platform } from "./manifest.ts";
import { REF_NAME_ANNOTATION } from "./media-types.ts";

/** Configures how an image is saved. */
export interface SaveOptions extends AttachmentOptions {
  readonly platform?: string | Platform | undefined;
}

/** Says what was saved. */
export interface SaveReport {
  /** `registry/repository@sha256:…`. */
  readonly pinned: string;
  readonly digest: ContentDigest;
  readonly path: string;
  /** Manifests of the image and of everything that belongs to it. */
  readonly manifests: readonly { readonly kind: "image" | AttachmentKind; readonly digest: ContentDigest }[];
}

/**
 * Saves an image with everything that belongs to it as an image layout, which cosign reads too.
 *
 * @param folder - Empty, not there yet, or an image layout.
 * @throws InputError `DESTINATION_EXISTS`; ServiceError `IMAGE_NOT_FOUND`, and those of the registry; StorageError `WRITE_FAILED`.
 * @see opencontainers/image-spec image-layout.md; cosign, pkg/oci/layout/write.go
 */
export async function saveImage(image: ImageInput, folder: string, options: SaveOptions = {}): Promise<SaveReport> {
  const opened = openImage(image, options);
  const named = await opened.store.fetchManifest(opened.reference);
  if (named === undefined)
    throw new ServiceError("IMAGE_NOT_FOUND", `image tag not found: ${opened.name}`, { status: 404 });
  const root =
    options.platform === undefined ? named : (await selectPlatform(opened.store, named, options.platform)).fetched;
  const layout = createLayout(folder);
  const manifests: { kind: "image" | AttachmentKind; digest: ContentDigest }[] = [];
  const nodes = await walkIndex(opened.store, root);
  for (const { fetched } of nodes) {
    await keep(fetched, opened.store, layout);
    manifests.push({ kind: "image", digest: fetched.descriptor.digest });
  }
  const { descriptor, manifest } = root;
  const kinds = new Set<AttachmentKind>(["sig", "att", "sbom", "referrers"]);
  for (const { fetched } of nodes) {
    const { digest } = fetched.descriptor;
    for (const one of await readAttached(opened.attachments, digest, kinds, options.attachmentTagPrefix)) {
      await keep(one.fetched, opened.attachments, layout);
      manifests.push({ kind: one.kind, digest: one.fetched.descriptor.digest });
      // cosign looks for the signatures of the one image by their kind, and for referrers among the blobs.
      const isOfRoot = one.subject === descriptor.digest;
      const kind =
        isOfRoot && one.kind === "sig"
          ? LAYOUT_KINDS.sigs
          : isOfRoot && one.kind === "att"
            ? LAYOUT_KINDS.atts
            : undefined;
      if (one.tag !== undefined)
        await layout.addEntry(
          one.fetched.descriptor,
          kind === undefined ? { [REF_NAME_ANNOTATION]: one.tag } : { kind },
        );
    }
  }
  await layout.addEntry(descriptor, { kind: manifest.kind === "index" ? LAYOUT_KINDS.imageIndex : LAYOUT_KINDS.image });
  return { pinned: `${opened.repository}@${descriptor.digest}`, digest: descriptor.digest, path: folder, manifests };
}

/** As blobs alone: the index of the layout lists what has a name. */
async function keep(
  { descriptor, bytes, manifest }: FetchedManifest,
  from: ContentStore,
  to: ImageLayout,
): Promise<void> {
  for (const blob of blobsOf(manifest)) await to.pushBlob(blob, from);
  await to.pushBlob(descriptor, bytes);
}

function blobsOf(manifest: Manifest) {
  return manifest.kind === "index" ? [] : [manifest.config, ...manifest.layers];
}

/**
 * Puts an image from an image layout into a registry, with everything that belongs to it.
 *
 * @param path - A folder or a tar file; see `openLayout`.
 * @throws as `openLayout` and `copyImage`.
 */
export async function loadImage(path: string, destination: ImageInput, options: CopyOptions = {}): Promise<CopyReport> {
  return await copyImage(await openLayout(path), destination, options);
}
