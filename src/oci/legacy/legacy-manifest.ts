/**
 * The manifest with one layer for each signature or attestation, as cosign kept them before bundles.
 *
 * @module
 */

import { encodeUtf8 } from "../../encoding/utf8.ts";
import { parseJson, type JsonObject } from "../../encoding/json.ts";
import { encodeCanonicalJson } from "../../encoding/canonical-json.ts";
import { VerificationError } from "../../errors.ts";
import { MAX_MANIFEST_BYTES } from "../../limits.ts";
import { attachmentTag } from "../attachment-tags.ts";
import { contentDigestOf, type ContentDigest } from "../content-digest.ts";
import type { ContentStore, FetchedManifest } from "../content-store.ts";
import { updateTag, type TagDocument, type WriterOptions } from "../contended-tag.ts";
import type { LegacyLayer } from "./legacy-layer.ts";
import { serializeDescriptor, type Descriptor } from "../manifest.ts";
import {
  COSIGN_SIGNATURES,
  DOCKER_CONFIG,
  DOCKER_MANIFEST,
  OCI_CONFIG,
  OCI_MANIFEST,
  PREDICATE_TYPE_ANNOTATION,
} from "../media-types.ts";
import { pushReferrer, type AttachedReferrer } from "../referrers.ts";

/** Configures how a layer is put under a tag. */
export interface LegacyManifestOptions extends WriterOptions {
  readonly tagPrefix?: string | undefined;
  /** Takes away what has the same predicate type, which for these layers is an annotation. */
  readonly replacePredicateType?: string | undefined;
  /** Written into the config. Default: the year 1, so that the same signature is the same manifest. */
  readonly created?: Date | undefined;
  /** Whether the manifest and its config are of Docker's media types. Default false. */
  readonly dockerMediaTypes?: boolean | undefined;
}

const ZERO_TIME = "0001-01-01T00:00:00Z";

/**
 * Puts a signature or an attestation under the tag beside an image, and leaves what is there.
 *
 * @returns the tag.
 * @throws as `updateTag`; VerificationError `MEDIA_TYPE_MISMATCH` where the tag names something else.
 * @see cosign, pkg/oci/mutate/mutate.go `AppendSignatures`
 */
export async function appendLegacyLayer(
  store: ContentStore,
  digest: ContentDigest,
  kind: "sig" | "att",
  layer: LegacyLayer,
  options: LegacyManifestOptions = {},
): Promise<string> {
  const tag = attachmentTag(digest, kind, options.tagPrefix);
  await store.pushBlob(layer.descriptor, layer.bytes);
  const { replacePredicateType: replaced } = options;
  await updateTag(
    store,
    tag,
    layersUnder(store, tag, options),
    {
      add: [serializeDescriptor(layer.descriptor)],
      remove: (entry) =>
        replaced !== undefined &&
        (entry["annotations"] as JsonObject | undefined)?.[PREDICATE_TYPE_ANNOTATION] === replaced,
      addFirst: replaced !== undefined,
    },
    options,
  );
  return tag;
}

/**
 * Attaches a signature in the way of the time between tags and bundles: a manifest of its own, which names the image as its subject.
 *
 * @throws as `attachReferrer`.
 * @see cosign v2, pkg/oci/remote/write.go `WriteSignaturesExperimentalOCI`
 */
export async function attachLegacyLayer(
  store: ContentStore,
  subject: Descriptor,
  layer: LegacyLayer,
  options: LegacyManifestOptions = {},
): Promise<AttachedReferrer> {
  const config = layersConfig([layer.descriptor.digest], options.created);
  await Promise.all([
    store.pushBlob(layer.descriptor, layer.bytes),
    store.pushBlob({ mediaType: COSIGN_SIGNATURES, digest: contentDigestOf(config), size: config.length }, config),
  ]);
  const manifest: JsonObject = {
    schemaVersion: 2,
    mediaType: OCI_MANIFEST,
    config: serializeDescriptor({ mediaType: COSIGN_SIGNATURES, digest: contentDigestOf(config), size: config.length }),
    layers: [serializeDescriptor(layer.descriptor)],
    subject: serializeDescriptor({ mediaType: subject.mediaType, size: subject.size, digest: subject.digest }),
    artifactType: COSIGN_SIGNATURES,
  };
  const listed = { artifactType: COSIGN_SIGNATURES, annotations: undefined };
  return await pushReferrer(store, subject, encodeUtf8(JSON.stringify(manifest)), OCI_MANIFEST, listed, options);
}

function layersUnder(store: ContentStore, tag: string, options: LegacyManifestOptions): TagDocument {
  return {
    read: (found) => Promise.resolve((readManifest(found, store.name, tag)["layers"] ?? []) as readonly JsonObject[]),
    async write(layers, found) {
      const before = readManifest(found, store.name, tag);
      const digests = layers.map((layer) => layer["digest"] as string);
      const config = layersConfig(digests, options.created);
      const isDocker = options.dockerMediaTypes ?? before["mediaType"] === DOCKER_MANIFEST;
      const mediaType = isDocker ? DOCKER_MANIFEST : OCI_MANIFEST;
      const descriptor: Descriptor = {
        mediaType: isDocker ? DOCKER_CONFIG : OCI_CONFIG,
        digest: contentDigestOf(config),
        size: config.length,
      };
      await store.pushBlob(descriptor, config);
      const document = { ...before, mediaType, config: serializeDescriptor(descriptor), layers };
      return { bytes: encodeUtf8(JSON.stringify(document)), mediaType };
    },
    // The same payload is signed by many: what differs is beside it.
    keyOf: (layer) => `${layer["digest"] as string} ${encodeCanonicalJson(layer["annotations"] ?? {})}`,
  };
}

function readManifest(found: FetchedManifest | undefined, name: string, tag: string): JsonObject {
  if (found === undefined) return { schemaVersion: 2, mediaType: OCI_MANIFEST };
  if (found.manifest.kind !== "image") {
    throw new VerificationError("MEDIA_TYPE_MISMATCH", `tag ${tag} of ${name} names no signatures`, {
      expected: OCI_MANIFEST,
      found: found.descriptor.mediaType,
      remedy: "find out who wrote that tag; nothing was changed",
    });
  }
  return parseJson(found.bytes, {
    what: "manifest",
    code: "MANIFEST_MALFORMED",
    maxBytes: MAX_MANIFEST_BYTES,
  }) as JsonObject;
}

/** Writes a config as go-containerregistry makes it for an image that is nothing but layers. */
export function layersConfig(layers: readonly string[], created: Date | undefined): Uint8Array {
  const time = created === undefined ? ZERO_TIME : `${created.toISOString().slice(0, 19)}Z`;
  return encodeUtf8(
    JSON.stringify({
      architecture: "",
      created: time,
      history: layers.map(() => ({ created: time })),
      os: "",
      rootfs: { type: "layers", diff_ids: layers },
      config: {},
    }),
  );
}
