/**
 * Descriptors, image manifests and image indexes, parsed strictly.
 *
 * @module
 */

import type { JsonObject } from "../encoding/json.ts";
import { parseJson } from "../encoding/json.ts";
import { JsonReader, type JsonObjectReader } from "../encoding/json-reader.ts";
import { FormatError, VerificationError } from "../errors.ts";
import { MAX_ANNOTATIONS, MAX_MANIFEST_BYTES, MAX_MANIFEST_DESCRIPTORS } from "../limits.ts";
import { readContentDigest, type ContentDigest } from "./content-digest.ts";
import { DOCKER_INDEX, DOCKER_MANIFEST, OCI_INDEX, OCI_MANIFEST } from "./media-types.ts";

/** Names content: what it is, how long, and by which digest. @see opencontainers/image-spec descriptor.md */
export interface Descriptor {
  readonly mediaType: string;
  readonly digest: ContentDigest;
  /** Bytes. */
  readonly size: number;
  readonly artifactType?: string | undefined;
  readonly annotations?: Readonly<Record<string, string>> | undefined;
  readonly platform?: Platform | undefined;
}

/** Is what an image runs on. @see opencontainers/image-spec image-index.md */
export interface Platform {
  readonly os: string;
  readonly architecture: string;
  readonly variant?: string | undefined;
  readonly osVersion?: string | undefined;
}

/** Is an image, or anything else that is made of a config and layers. @see opencontainers/image-spec manifest.md */
export interface ImageManifest {
  readonly kind: "image";
  readonly mediaType: string;
  readonly config: Descriptor;
  readonly layers: readonly Descriptor[];
  /** What the manifest is attached to. */
  readonly subject?: Descriptor | undefined;
  /** The `artifactType` of the document; without one, a reader takes the media type of the config. */
  readonly artifactType?: string | undefined;
  readonly annotations: Readonly<Record<string, string>>;
}

/** Is a list of manifests, for instance one for each platform. @see opencontainers/image-spec image-index.md */
export interface ImageIndex {
  readonly kind: "index";
  readonly mediaType: string;
  readonly manifests: readonly Descriptor[];
  readonly subject?: Descriptor | undefined;
  readonly artifactType?: string | undefined;
  readonly annotations: Readonly<Record<string, string>>;
}

/** Is what a tag or a digest of an image names. */
export type Manifest = ImageManifest | ImageIndex;

const KINDS: Readonly<Record<string, Manifest["kind"]>> = {
  [OCI_MANIFEST]: "image",
  [DOCKER_MANIFEST]: "image",
  [OCI_INDEX]: "index",
  [DOCKER_INDEX]: "index",
};

const KNOWN: ReadonlySet<string> = new Set([
  "schemaVersion",
  "mediaType",
  "artifactType",
  "config",
  "layers",
  "manifests",
  "subject",
  "annotations",
  "fsLayers",
]);
const KNOWN_IN_LOWER_CASE: ReadonlySet<string> = new Set([...KNOWN].map((key) => key.toLowerCase()));

/** Lists the media types of manifests and indexes that are read here. */
export const MANIFEST_MEDIA_TYPES: readonly string[] = Object.keys(KINDS);

/** Says whether a media type is that of a manifest or of an index; `undefined` for any other. */
export function manifestKindOf(mediaType: string): Manifest["kind"] | undefined {
  return Object.hasOwn(KINDS, mediaType) ? KINDS[mediaType] : undefined;
}

/**
 * Parses a manifest or an index.
 *
 * A document that could be taken for both is refused, and so is one that says it is of another type than whoever named it says:
 * otherwise two readers could see two images in the same signed bytes.
 *
 * @param mediaType - What the descriptor, or the header of the answer, says that it is.
 * @throws {@link FormatError} `MANIFEST_MALFORMED`, `JSON_DUPLICATE_KEY`, `LIMIT_EXCEEDED`; {@link VerificationError}
 * `MEDIA_TYPE_MISMATCH`.
 * @see opencontainers/image-spec manifest.md, image-index.md; CVE-2021-41190
 */
export function parseManifest(bytes: Uint8Array, mediaType: string): Manifest {
  const json = parseJson(bytes, { what: "manifest", code: "MANIFEST_MALFORMED", maxBytes: MAX_MANIFEST_BYTES });
  const document = new JsonReader(json, "manifest", "MANIFEST_MALFORMED").object();
  const version = document.required("schemaVersion");
  if (version.uint32() !== 2) version.fail("is not 2");
  const own = document.optional("mediaType")?.string();
  if (own !== undefined && own !== mediaType) {
    throw new VerificationError("MEDIA_TYPE_MISMATCH", "manifest is of another type than it was said to be", {
      expected: mediaType,
      found: own,
    });
  }
  const kind = manifestKindOf(mediaType);
  if (kind === undefined) {
    throw new FormatError("MANIFEST_MALFORMED", "content is neither a manifest nor an index", {
      expected: MANIFEST_MEDIA_TYPES.join(" or "),
      found: JSON.stringify(mediaType.slice(0, 160)),
    });
  }
  const keys = document.keys();
  // Readers in Go do not mind capitals: for them `Layers` are layers, and the last one counts.
  const disguised = keys.find((key) => !KNOWN.has(key) && KNOWN_IN_LOWER_CASE.has(key.toLowerCase()));
  if (disguised !== undefined)
    throw new FormatError("MANIFEST_MALFORMED", "manifest has a field in other letters than it is written with", {
      expected: [...KNOWN].find((key) => key.toLowerCase() === disguised.toLowerCase()),
      found: disguised,
    });
  const foreign = (kind === "image" ? ["manifests", "fsLayers"] : ["layers", "config", "fsLayers"]).find((name) =>
    keys.includes(name),
  );
  if (foreign !== undefined)
    throw new FormatError("MANIFEST_MALFORMED", `${kind === "image" ? "manifest" : "index"} has ${foreign} too`, {
      expected: kind === "image" ? "config and layers alone" : "manifests alone",
      remedy: "whoever made it may want it to be two things to two readers; do not use it",
    });
  const common = {
    mediaType,
    ...readAttachment(document),
    annotations: readAnnotations(document.optional("annotations")),
  };
  if (kind === "index") return { kind, ...common, manifests: readDescriptors(document.optional("manifests")) };
  return {
    kind,
    ...common,
    config: readDescriptor(document.required("config")),
    layers: readDescriptors(document.optional("layers")),
  };
}

function readAttachment(document: JsonObjectReader): Pick<Manifest, "subject" | "artifactType"> {
  const subject = document.optional("subject");
  const artifactType = document.optional("artifactType")?.string();
  return {
    ...(subject !== undefined && { subject: readDescriptor(subject) }),
    ...(artifactType !== undefined && artifactType !== "" && { artifactType }),
  };
}

function readDescriptors(reader: JsonReader | undefined): readonly Descriptor[] {
  return reader?.array(MAX_MANIFEST_DESCRIPTORS).map((item) => readDescriptor(item)) ?? [];
}

/**
 * Reads a descriptor. Fields that are not known, `urls` and `data` among them, are not looked at: content comes from where it was
 * asked for, and is compared with its digest.
 *
 * @throws {@link FormatError} `MANIFEST_MALFORMED`, `LIMIT_EXCEEDED`.
 */
export function readDescriptor(reader: JsonReader): Descriptor {
  const descriptor = reader.object();
  const mediaType = descriptor.required("mediaType");
  if (mediaType.string() === "") mediaType.fail("is empty");
  const digest = descriptor.required("digest");
  const size = descriptor.required("size");
  const bytes = size.int64();
  if (bytes < 0n || bytes > BigInt(Number.MAX_SAFE_INTEGER)) size.fail("is not a number of bytes");
  const artifactType = descriptor.optional("artifactType")?.string();
  const annotations = descriptor.optional("annotations");
  const platform = descriptor.optional("platform");
  return {
    mediaType: mediaType.string(),
    digest: readContentDigest(digest.string(), digest.path, "MANIFEST_MALFORMED"),
    size: Number(bytes),
    ...(artifactType !== undefined && artifactType !== "" && { artifactType }),
    ...(annotations !== undefined && { annotations: readAnnotations(annotations) }),
    ...(platform !== undefined && { platform: readPlatform(platform) }),
  };
}

function readPlatform(reader: JsonReader): Platform {
  const platform = reader.object();
  const variant = platform.optional("variant")?.string();
  const osVersion = platform.optional("os.version")?.string();
  return {
    os: platform.required("os").string(),
    architecture: platform.required("architecture").string(),
    ...(variant !== undefined && variant !== "" && { variant }),
    ...(osVersion !== undefined && osVersion !== "" && { osVersion }),
  };
}

function readAnnotations(reader: JsonReader | undefined): Readonly<Record<string, string>> {
  if (reader === undefined) return {};
  const object = reader.object();
  const keys = object.keys();
  if (keys.length > MAX_ANNOTATIONS)
    throw new FormatError("LIMIT_EXCEEDED", `${reader.path} has too many fields`, {
      expected: `at most ${MAX_ANNOTATIONS}`,
      found: `${keys.length}`,
    });
  // `__proto__` would be no field of an ordinary object.
  const annotations = Object.create(null) as Record<string, string>;
  for (const key of keys) annotations[key] = object.required(key).string();
  return annotations;
}

/** Writes a descriptor for a manifest; fields in the order of cosign. */
export function serializeDescriptor(descriptor: Descriptor): JsonObject {
  const { mediaType, size, digest, artifactType, annotations, platform } = descriptor;
  return {
    mediaType,
    size,
    digest,
    ...(annotations !== undefined && Object.keys(annotations).length > 0 && { annotations: { ...annotations } }),
    ...(platform !== undefined && {
      platform: {
        architecture: platform.architecture,
        os: platform.os,
        ...(platform.osVersion !== undefined && { "os.version": platform.osVersion }),
        ...(platform.variant !== undefined && { variant: platform.variant }),
      },
    }),
    ...(artifactType !== undefined && { artifactType }),
  };
}
