/**
 * Manifests that are attached to another one, and found by its digest.
 *
 * @module
 */

import { encodeUtf8 } from "../encoding/utf8.ts";
import type { JsonObject } from "../encoding/json.ts";
import { ServiceError } from "../errors.ts";
import { contentDigestOf } from "./content-digest.ts";
import type { ContentStore } from "./content-store.ts";
import type { WriterOptions } from "./contended-tag.ts";
import { addToFallbackIndex } from "./fallback-index.ts";
import { serializeDescriptor, type Descriptor } from "./manifest.ts";
import { OCI_EMPTY, OCI_MANIFEST } from "./media-types.ts";

/** Is the config of a manifest that has nothing to configure. @see opencontainers/image-spec manifest.md, "Guidance for an Empty Descriptor" */
export const EMPTY_CONFIG: Descriptor & { readonly bytes: Uint8Array } = {
  mediaType: OCI_EMPTY,
  digest: "sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a",
  size: 2,
  bytes: encodeUtf8("{}"),
};

/** Is a blob that is to be put. */
export interface Blob {
  readonly descriptor: Descriptor;
  readonly bytes: Uint8Array;
}

/** Is a manifest that is to be attached to a subject. */
export interface ReferrerParts {
  readonly artifactType: string;
  readonly layers: readonly Blob[];
  /** Default: the two bytes `{}`. */
  readonly config?: Blob | undefined;
  readonly annotations?: Readonly<Record<string, string>> | undefined;
}

/** Says where what was attached is found. */
export interface AttachedReferrer {
  /** Of the manifest. */
  readonly descriptor: Descriptor;
  /** The registry's own list, or the index under a tag that clients keep. */
  readonly via: "referrers-api" | "referrers-tag" | "layout";
}

/**
 * Puts a manifest that is attached to a subject, and proves that it is found there.
 *
 * @param subject - Need not be in the same repository: signatures may be kept elsewhere.
 * @throws ServiceError `REGISTRY_UPDATE_LOST`, `REGISTRY_TAG_IMMUTABLE` where the list cannot be kept, and those of the store.
 * @see opencontainers/distribution-spec spec.md, "Pushing Manifests with Subject"
 */
export async function attachReferrer(
  store: ContentStore,
  subject: Descriptor,
  parts: ReferrerParts,
  options: WriterOptions = {},
): Promise<AttachedReferrer> {
  const { artifactType, layers, annotations } = parts;
  const config = parts.config ?? { descriptor: EMPTY_CONFIG, bytes: EMPTY_CONFIG.bytes };
  await Promise.all([config, ...layers].map(({ descriptor, bytes }) => store.pushBlob(descriptor, bytes)));
  const manifest: JsonObject = {
    schemaVersion: 2,
    mediaType: OCI_MANIFEST,
    config: serializeDescriptor({
      mediaType: config.descriptor.mediaType,
      digest: config.descriptor.digest,
      size: config.descriptor.size,
      ...(config.descriptor.artifactType !== undefined && { artifactType: config.descriptor.artifactType }),
    }),
    layers: layers.map(({ descriptor }) => serializeDescriptor(descriptor)),
    ...(annotations !== undefined && { annotations: { ...annotations } }),
    subject: serializeDescriptor({ mediaType: subject.mediaType, size: subject.size, digest: subject.digest }),
    artifactType,
  };
  return await pushReferrer(
    store,
    subject,
    encodeUtf8(JSON.stringify(manifest)),
    OCI_MANIFEST,
    { artifactType, annotations },
    options,
  );
}

/**
 * Puts a manifest whose blobs are there, and that names its subject itself.
 *
 * @param listed - What the list of referrers says of it, where clients keep that list.
 * @throws as {@link attachReferrer}.
 */
export async function pushReferrer(
  store: ContentStore,
  subject: Pick<Descriptor, "digest">,
  bytes: Uint8Array,
  mediaType: string,
  listed: {
    readonly artifactType: string | undefined;
    readonly annotations: Readonly<Record<string, string>> | undefined;
  },
  options: WriterOptions = {},
): Promise<AttachedReferrer> {
  const { descriptor, keepsReferrers } = await store.pushManifest(bytes, mediaType);
  const found: Descriptor = { mediaType, digest: contentDigestOf(bytes), size: bytes.length };
  if (descriptor.digest !== found.digest) throw new Error("a store gives the digest of what it was given"); // it computes it
  if (keepsReferrers) {
    // It said that it lists it; that it has kept it is one question more.
    if ((await store.fetchManifest(found.digest)) !== undefined) return { descriptor: found, via: "referrers-api" };
    throw new ServiceError(
      "REGISTRY_UPDATE_LOST",
      `${store.name} has not kept what was attached to ${subject.digest}`,
      {
        expected: found.digest,
        found: "nothing",
        retryable: true,
      },
    );
  }
  const { source, descriptors } = await store.listReferrers(subject.digest);
  if (source !== "referrers-tag") {
    if (descriptors.some(({ digest }) => digest === found.digest)) return { descriptor: found, via: source };
    throw new ServiceError(
      "REGISTRY_UPDATE_LOST",
      `${store.name} does not list what was attached to ${subject.digest}`,
      {
        expected: found.digest,
        found: descriptors.map(({ digest }) => digest).join(", ") || "nothing",
        retryable: true,
      },
    );
  }
  const entry: Descriptor = {
    ...found,
    ...(listed.artifactType !== undefined && { artifactType: listed.artifactType }),
    ...(listed.annotations !== undefined && { annotations: listed.annotations }),
  };
  try {
    await addToFallbackIndex(store, subject.digest, entry, options);
  } catch (error) {
    if (!(error instanceof ServiceError)) throw error;
    throw new ServiceError(
      error.code,
      `${found.digest} was put into ${store.name}, but nobody finds it there: ${error.message}`,
      {
        expected: error.expected,
        found: error.found,
        remedy: error.remedy,
        status: error.status,
        retryable: error.retryable,
        cause: error,
      },
    );
  }
  return { descriptor: found, via: "referrers-tag" };
}
