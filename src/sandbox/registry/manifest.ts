import { parseJson } from "../../encoding/json.ts";
import { JsonReader, type JsonObjectReader } from "../../encoding/json-reader.ts";
import { FormatError } from "../../errors.ts";
import { MAX_REGISTRY_DESCRIPTORS, MAX_REGISTRY_MANIFEST_BYTES } from "../../limits.ts";
import { RegistryError } from "./api-error.ts";
import { tryReadAlgorithm } from "./references.ts";

const IMAGES: readonly string[] = [
  "application/vnd.oci.image.manifest.v1+json",
  "application/vnd.docker.distribution.manifest.v2+json",
];
const INDEXES: readonly string[] = [
  "application/vnd.oci.image.index.v1+json",
  "application/vnd.docker.distribution.manifest.list.v2+json",
];

/** The media type of an index, also of a list of referrers. */
export const INDEX_MEDIA_TYPE = "application/vnd.oci.image.index.v1+json";

/** Gives the other family's media type for the same kind of manifest. */
export function otherMediaType(mediaType: string): string {
  for (const [oci = "", docker = ""] of [IMAGES, INDEXES]) {
    if (mediaType === oci) return docker;
    if (mediaType === docker) return oci;
  }
  return mediaType;
}

/** Is what the registry reads of a manifest. Its bytes are kept as they came. */
export interface Manifest {
  readonly mediaType: string;
  /** What must be there already. */
  readonly blobs: readonly string[];
  readonly manifests: readonly string[];
  /** What it is attached to, which need not be there. */
  readonly subject?: string;
  /** What a list of referrers says about it. */
  readonly artifactType?: string;
  readonly annotations?: Readonly<Record<string, string>>;
}

/**
 * Reads an image manifest or an index, of OCI or of Docker.
 *
 * Sizes in it are not compared with anything, and its blobs are not looked at.
 *
 * @param contentType - What the client says that it is.
 * @throws {@link RegistryError} `MANIFEST_INVALID`.
 * @see image-spec manifest.md, image-index.md, descriptor.md
 */
export function parseManifest(bytes: Uint8Array, contentType: string | undefined): Manifest {
  try {
    const json = parseJson(bytes, {
      what: "manifest",
      code: "JSON_MALFORMED",
      maxBytes: MAX_REGISTRY_MANIFEST_BYTES,
    });
    return readManifest(new JsonReader(json, "manifest", "JSON_MALFORMED").object(), contentType);
  } catch (error) {
    if (error instanceof FormatError) throw new RegistryError("MANIFEST_INVALID", error.message);
    throw error;
  }
}

function readManifest(manifest: JsonObjectReader, contentType: string | undefined): Manifest {
  if (manifest.required("schemaVersion").value !== 2) throw invalid("manifest.schemaVersion is not 2");
  const stated = manifest.optional("mediaType")?.string();
  const mediaType = contentType ?? stated;
  if (mediaType === undefined) throw invalid("neither the Content-Type nor the manifest says what it is");
  if (stated !== undefined && stated !== mediaType)
    throw invalid(`the Content-Type is ${JSON.stringify(mediaType)}, the manifest says ${JSON.stringify(stated)}`);
  const isImage = IMAGES.includes(mediaType);
  if (!isImage && !INDEXES.includes(mediaType))
    throw invalid(`${JSON.stringify(mediaType)} is not the media type of a manifest`);
  // image-spec manifest.md: what could be read as either of the two is refused.
  if (manifest.optional(isImage ? "manifests" : "layers") !== undefined)
    throw invalid("it has members of an image and of an index");

  const subject = manifest.optional("subject");
  const annotations = manifest.optional("annotations");
  const config = isImage ? readDescriptor(manifest.required("config")) : undefined;
  const items = manifest
    .required(isImage ? "layers" : "manifests")
    .array(MAX_REGISTRY_DESCRIPTORS)
    .map(readDescriptor);
  // Layers that are fetched from elsewhere are in no registry.
  const parts = items.filter(({ isElsewhere }) => !isElsewhere).map(({ digest }) => digest);
  const stateOfType = manifest.optional("artifactType")?.string();
  const artifactType = stateOfType === undefined || stateOfType === "" ? config?.mediaType : stateOfType;
  return {
    mediaType,
    blobs: config === undefined ? [] : [config.digest, ...parts],
    manifests: isImage ? [] : parts,
    ...(subject !== undefined && { subject: readDescriptor(subject).digest }),
    ...(artifactType !== undefined && { artifactType }),
    ...(annotations !== undefined && { annotations: readAnnotations(annotations) }),
  };
}

interface Descriptor {
  readonly mediaType: string;
  readonly digest: string;
  readonly isElsewhere: boolean;
}

function readDescriptor(reader: JsonReader): Descriptor {
  const descriptor = reader.object();
  const mediaType = descriptor.required("mediaType").string();
  const digest = descriptor.required("digest").string();
  const size = descriptor.required("size").value;
  if (!/^[\w!#$&^.+-]{1,127}\/[\w!#$&^.+-]{1,127}$/.test(mediaType))
    throw invalid(`${reader.path}.mediaType is not a media type`);
  if (tryReadAlgorithm(digest) === undefined) throw invalid(`${reader.path}.digest is not a digest`);
  if (!Number.isSafeInteger(size) || Number(size) < 0) throw invalid(`${reader.path}.size is not a number of bytes`);
  const annotations = descriptor.optional("annotations");
  if (annotations !== undefined) readAnnotations(annotations);
  const urls = descriptor.optional("urls")?.array(MAX_REGISTRY_DESCRIPTORS) ?? [];
  return { mediaType, digest, isElsewhere: urls.length > 0 };
}

function readAnnotations(reader: JsonReader): Readonly<Record<string, string>> {
  const object = reader.object();
  return Object.fromEntries(object.keys().map((name) => [name, object.required(name).string()]));
}

function invalid(message: string): RegistryError {
  return new RegistryError("MANIFEST_INVALID", message);
}
