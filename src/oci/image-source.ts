/**
 * The image that a caller names, and the stores where it and what is attached to it are.
 *
 * @module
 */

import { ServiceError } from "../errors.ts";
import { isContentDigest, type ContentDigest } from "./content-digest.ts";
import type { ContentStore } from "./content-store.ts";
import { formatReference, parseReference, type ImageReference } from "./reference.ts";
import { RegistryClient } from "./registry/registry-client.ts";
import type { RegistryOptions } from "./registry/registry-options.ts";

/** Names an image: as text, as a parsed reference, or by a store that holds it, for instance an image layout. */
export type ImageInput =
  | string
  | ImageReference
  | {
      readonly store: ContentStore;
      /** A tag or a digest. */
      readonly reference: string;
      /** What it is called in messages and results. Default: the name of the store. */
      readonly name?: string | undefined;
    };

/** Says where signatures and attestations are kept. */
export interface AttachmentOptions {
  /** A client, whose sessions are used again, or how to make one. */
  readonly registry?: RegistryClient | RegistryOptions | undefined;
  /** The repository with the signatures, where it is not that of the image: cosign's `COSIGN_REPOSITORY`. */
  readonly signatureRepository?: string | undefined;
  /** Comes before `sha256-….sig` in tags: cosign's `--attachment-tag-prefix`. */
  readonly attachmentTagPrefix?: string | undefined;
}

/** Is an image and where to look for it. */
export interface OpenedImage {
  /** As it was given, for messages. */
  readonly name: string;
  /** Tag or digest. */
  readonly reference: string;
  /** Where the image is. */
  readonly store: ContentStore;
  /** Where what is attached to it is. */
  readonly attachments: ContentStore;
  /** `registry/repository`; the path of a layout for one that is in no registry. */
  readonly repository: string;
}

/**
 * Opens the stores of an image. Nothing is asked for.
 *
 * @throws InputError `REFERENCE_MALFORMED`.
 */
export function openImage(image: ImageInput, options: AttachmentOptions = {}): OpenedImage {
  const client = options.registry instanceof RegistryClient ? options.registry : new RegistryClient(options.registry);
  const elsewhere =
    options.signatureRepository === undefined
      ? undefined
      : client.repository(parseReference(options.signatureRepository));
  if (typeof image === "object" && "store" in image) {
    const { store, reference, name = store.name } = image;
    return { name, reference, store, attachments: elsewhere ?? store, repository: store.name };
  }
  const parsed = typeof image === "string" ? parseReference(image) : image;
  const store = client.repository(parsed);
  return {
    name: typeof image === "string" ? image : formatReference(parsed),
    reference: parsed.digest ?? parsed.tag ?? "latest",
    store,
    attachments: elsewhere ?? store,
    repository: store.name,
  };
}

/**
 * Finds the digest that a tag names now. Of an image that is named by its digest nothing is asked for, so that it need not be there.
 *
 * @throws ServiceError `IMAGE_NOT_FOUND`, and those of the store.
 */
export async function resolveDigest({ store, reference, name }: OpenedImage): Promise<ContentDigest> {
  if (isContentDigest(reference)) return reference;
  const found = await store.resolve(reference);
  if (found !== undefined) return found.digest;
  throw new ServiceError("IMAGE_NOT_FOUND", `image tag not found: ${name}`, { status: 404 });
}
