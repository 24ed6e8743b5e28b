/**
 * SBOMs beside an image, unsigned, as cosign keeps them.
 *
 * @module
 */

import { encodeUtf8, tryDecodeUtf8 } from "../encoding/utf8.ts";
import { FormatError, InputError, ServiceError, VerificationError } from "../errors.ts";
import { MAX_ATTACHMENT_BYTES } from "../limits.ts";
import { openSubject, type AttachedToImage } from "./attach.ts";
import { attachmentTag } from "./attachment-tags.ts";
import { contentDigestOf, type ContentDigest } from "./content-digest.ts";
import type { ContentStore, FetchedManifest } from "./content-store.ts";
import type { WriterOptions } from "./contended-tag.ts";
import type { DownloadOptions } from "./download.ts";
import type { AttachmentOptions, ImageInput } from "./image-source.ts";
import { layersConfig } from "./legacy/legacy-manifest.ts";
import { serializeDescriptor, type Descriptor, type ImageManifest, type Platform } from "./manifest.ts";
import { COSIGN_SBOM, OCI_CONFIG, OCI_MANIFEST } from "./media-types.ts";
import { attachReferrer } from "./referrers.ts";

/** Names what made an SBOM, or the standard that it follows. */
export type SbomType = "spdx" | "cyclonedx" | "syft";
/** Says how an SBOM is written. */
export type SbomFormat = "json" | "xml" | "text";

/** @see cosign, pkg/types/media.go */
const MEDIA_TYPES: Readonly<Record<SbomType, Readonly<Partial<Record<SbomFormat, string>>>>> = {
  spdx: { json: "text/spdx+json", text: "text/spdx" },
  cyclonedx: { json: "application/vnd.cyclonedx+json", xml: "application/vnd.cyclonedx+xml" },
  syft: { json: "application/vnd.syft+json" },
};

/** Configures how an SBOM is attached. */
export interface AttachSbomOptions extends AttachmentOptions, WriterOptions {
  readonly platform?: string | Platform | undefined;
  /** Default `spdx`. */
  readonly type?: SbomType | undefined;
  /** Default: as it looks. */
  readonly format?: SbomFormat | undefined;
  /** `tag`: under `sha256-….sbom`, where it takes the place of another. `referrer`: as a manifest of its own. Default `tag`. */
  readonly place?: "tag" | "referrer" | undefined;
}

/** Is an SBOM that was attached. */
export interface AttachedSbom extends AttachedToImage {
  readonly mediaType: string;
}

/** Is an SBOM that was found. Nothing of it is proven: whoever may write there may have written it. */
export interface FoundSbom {
  readonly bytes: Uint8Array;
  readonly mediaType: string;
  /** `registry/repository:sha256-….sbom`, or `registry/repository@sha256:…`. */
  readonly location: string;
  /** Of the manifest. */
  readonly manifest: ContentDigest;
  /** What it is attached to. */
  readonly digest: ContentDigest;
}

/**
 * Attaches an SBOM to an image. It is not signed: an attestation is.
 *
 * @throws InputError `USAGE_INVALID` for a type that is not written in the format; FormatError `LIMIT_EXCEEDED`; ServiceError
 * `IMAGE_NOT_FOUND`, `REGISTRY_UPDATE_LOST`, `REGISTRY_TAG_IMMUTABLE`, and those of the registry.
 * @see cosign, cmd/cosign/cli/attach/sbom.go
 */
export async function attachSbom(
  image: ImageInput,
  sbom: Uint8Array,
  options: AttachSbomOptions = {},
): Promise<AttachedSbom> {
  const mediaType = mediaTypeOf(sbom, options);
  if (sbom.length > MAX_ATTACHMENT_BYTES)
    throw new FormatError("LIMIT_EXCEEDED", "SBOM is larger than anybody reads", {
      expected: `at most ${MAX_ATTACHMENT_BYTES} bytes`,
      found: `${sbom.length} bytes`,
    });
  const { opened, fetched } = await openSubject(image, options);
  const { attachments } = opened;
  const { digest } = fetched.descriptor;
  const layer: Descriptor = { mediaType, digest: contentDigestOf(sbom), size: sbom.length };
  const config = layersConfig([layer.digest], undefined);
  const configOf = (type: string): Descriptor => ({
    mediaType: type,
    digest: contentDigestOf(config),
    size: config.length,
  });
  const result = { name: opened.name, pinned: `${opened.repository}@${digest}`, digest, mediaType };
  if (options.place === "referrer") {
    const parts = {
      artifactType: COSIGN_SBOM,
      config: { descriptor: configOf(COSIGN_SBOM), bytes: config },
      layers: [{ descriptor: layer, bytes: sbom }],
    };
    const { descriptor, via } = await attachReferrer(attachments, fetched.descriptor, parts, options);
    return { ...result, attached: [{ descriptor, via, location: `${attachments.name}@${descriptor.digest}` }] };
  }
  const tag = attachmentTag(digest, "sbom", options.attachmentTagPrefix);
  await Promise.all([attachments.pushBlob(layer, sbom), attachments.pushBlob(configOf(OCI_CONFIG), config)]);
  const manifest = encodeUtf8(
    JSON.stringify({
      schemaVersion: 2,
      mediaType: OCI_MANIFEST,
      config: serializeDescriptor(configOf(OCI_CONFIG)),
      layers: [serializeDescriptor(layer)],
    }),
  );
  const { descriptor } = await attachments.pushManifest(manifest, OCI_MANIFEST, { tag });
  const found = await attachments.fetchManifest(tag);
  if (found?.descriptor.digest !== descriptor.digest)
    throw new ServiceError("REGISTRY_UPDATE_LOST", `tag ${tag} of ${attachments.name} does not name the SBOM`, {
      expected: descriptor.digest,
      found: found?.descriptor.digest ?? "no such tag",
      retryable: true,
    });
  return { ...result, attached: [{ descriptor, via: "sbom-tag", location: `${attachments.name}:${tag}` }] };
}

/** @see cosign, cmd/cosign/cli/options/attach.go `MediaType`, which looks at the name of the file */
function mediaTypeOf(sbom: Uint8Array, { type = "spdx", format }: AttachSbomOptions): string {
  const formats = MEDIA_TYPES[type];
  const looksLike = formatOf(sbom);
  const mediaType = formats[format ?? looksLike];
  if (mediaType === undefined)
    throw new InputError("USAGE_INVALID", `SBOM of type ${type} cannot be in the format ${format ?? looksLike}`, {
      expected: Object.keys(formats).join(" or "),
      remedy: "name the type and the format that the file has",
    });
  if (format !== undefined && (format === "text" ? looksLike === "json" : format !== looksLike))
    throw new InputError("USAGE_INVALID", `SBOM does not look like the format ${format}`, {
      expected: format,
      found: looksLike,
      remedy: "name the format that the file has, or leave it out",
    });
  return mediaType;
}

function formatOf(sbom: Uint8Array): SbomFormat {
  const [first] = tryDecodeUtf8(sbom.subarray(0, sbom.findIndex((byte) => byte > 0x20) + 1))?.trim() ?? "";
  return first === "{" ? "json" : first === "<" ? "xml" : "text";
}

/**
 * Fetches the SBOM of an image: under the tag `sha256-….sbom`, otherwise the last one among the referrers.
 *
 * @throws VerificationError `SBOM_NOT_FOUND`, `MEDIA_TYPE_MISMATCH` for a tag that names something else; FormatError `LIMIT_EXCEEDED`;
 * ServiceError `IMAGE_NOT_FOUND` and those of the registry; InputError `PLATFORM_NOT_FOUND`.
 * @see cosign, cmd/cosign/cli/download/sbom.go
 */
export async function downloadSbom(
  image: ImageInput,
  options: Omit<DownloadOptions, "predicateType"> = {},
): Promise<FoundSbom> {
  const { maxBytes = MAX_ATTACHMENT_BYTES } = options;
  const { opened, fetched } = await openSubject(image, options);
  const { attachments } = opened;
  const { digest } = fetched.descriptor;
  const tag = attachmentTag(digest, "sbom", options.attachmentTagPrefix);
  const tagged = await attachments.fetchManifest(tag);
  const found = tagged ?? (await lastReferrer(attachments, digest));
  if (found === undefined) {
    const isIndex = fetched.manifest.kind === "index";
    throw new VerificationError("SBOM_NOT_FOUND", `no SBOM is attached to ${opened.name}`, {
      expected: `${attachments.name}:${tag}, or a referrer of type ${COSIGN_SBOM}`,
      found: "neither",
      ...(isIndex && { remedy: "the image is an index: name a platform, whose manifest may have one" }),
    });
  }
  const layer = onlyLayer(found, attachments);
  return {
    bytes: await attachments.fetchBlob(layer, maxBytes),
    mediaType: layer.mediaType,
    location: tagged === undefined ? `${attachments.name}@${found.descriptor.digest}` : `${attachments.name}:${tag}`,
    manifest: found.descriptor.digest,
    digest,
  };
}

async function lastReferrer(store: ContentStore, digest: ContentDigest): Promise<FetchedManifest | undefined> {
  const { descriptors } = await store.listReferrers(digest);
  const fetched = await Promise.all(descriptors.map((one) => store.fetchManifest(one.digest)));
  return fetched.findLast(
    (one) =>
      one?.manifest.kind === "image" &&
      one.manifest.subject?.digest === digest &&
      (one.manifest.artifactType ?? one.manifest.config.mediaType) === COSIGN_SBOM,
  );
}

function onlyLayer({ descriptor, manifest }: FetchedManifest, { name }: ContentStore): Descriptor {
  const layers = manifest.kind === "image" ? (manifest satisfies ImageManifest).layers : [];
  const [layer] = layers;
  if (layer !== undefined && layers.length === 1) return layer;
  throw new VerificationError("MEDIA_TYPE_MISMATCH", `manifest ${descriptor.digest} of ${name} holds no SBOM`, {
    expected: "one layer",
    found: manifest.kind === "index" ? "an index" : `${layers.length} layers`,
  });
}
