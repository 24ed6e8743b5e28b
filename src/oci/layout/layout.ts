/**
 * Image layouts: images as files, in a folder or in a tar file.
 *
 * @module
 */

import { parseJson, type JsonObject } from "../../encoding/json.ts";
import { JsonReader } from "../../encoding/json-reader.ts";
import { encodeUtf8 } from "../../encoding/utf8.ts";
import { FormatError, InputError, ServiceError, StorageError, VerificationError } from "../../errors.ts";
import { MAX_LAYOUT_SCAN_BYTES, MAX_MANIFEST_BYTES, MAX_MANIFEST_DESCRIPTORS, MAX_REFERRERS } from "../../limits.ts";
import { attachmentTag } from "../attachment-tags.ts";
import { contentDigestOf, isContentDigest, toDigest, verifyContent, type ContentDigest } from "../content-digest.ts";
import type {
  ContentStore,
  FetchedManifest,
  PushedManifest,
  PushManifestOptions,
  ReferrersList,
} from "../content-store.ts";
import { LayoutFolder, type LayoutFiles } from "./layout-files.ts";
import { openLayoutTar } from "./layout-tar.ts";
import { manifestKindOf, parseManifest, readDescriptor, serializeDescriptor, type Descriptor } from "../manifest.ts";
import { OCI_INDEX, OCI_MANIFEST, REF_NAME_ANNOTATION } from "../media-types.ts";

/** `{` */
const BRACE = 0x7b;
/** cosign's annotation that says what an entry of the index is. @see cosign, pkg/oci/layout */
const KIND_ANNOTATION = "kind";
/** Values of that annotation. */
export const LAYOUT_KINDS = {
  image: "dev.cosignproject.cosign/image",
  imageIndex: "dev.cosignproject.cosign/imageIndex",
  sigs: "dev.cosignproject.cosign/sigs",
  atts: "dev.cosignproject.cosign/atts",
} as const;

/** Is an image layout, read and written like a repository. */
export class ImageLayout implements ContentStore {
  readonly name: string;
  readonly #files: LayoutFiles;
  #scanned: Promise<readonly { readonly descriptor: Descriptor; readonly subject: ContentDigest }[]> | undefined;
  /** One writer after the other. */
  #writing: Promise<unknown> = Promise.resolve();

  constructor(files: LayoutFiles) {
    this.#files = files;
    this.name = files.path;
  }

  /** The one image that the layout holds, by its digest. @throws FormatError `IMAGE_LAYOUT_MALFORMED`; InputError `REFERENCE_MALFORMED`. */
  async defaultReference(): Promise<string> {
    const entries = await this.#entries();
    const kindOf = ({ annotations }: Descriptor): string => annotations?.[KIND_ANNOTATION] ?? "";
    const marked = entries.filter(
      (entry) => kindOf(entry) === LAYOUT_KINDS.image || kindOf(entry) === LAYOUT_KINDS.imageIndex,
    );
    const images: Descriptor[] = [];
    for (const entry of marked.length > 0 ? marked : entries) {
      if (kindOf(entry) === LAYOUT_KINDS.sigs || kindOf(entry) === LAYOUT_KINDS.atts) continue;
      if (marked.length === 0 && (await this.#isAttachment(entry))) continue;
      images.push(entry);
    }
    const [first] = images;
    if (first !== undefined && images.every(({ digest }) => digest === first.digest)) return first.digest;
    throw new InputError(
      "REFERENCE_MALFORMED",
      first === undefined
        ? `image layout ${this.name} holds no image`
        : `image layout ${this.name} holds several images`,
      {
        found: images.map(({ digest, annotations }) => annotations?.[REF_NAME_ANNOTATION] ?? digest).join(", "),
        remedy: first === undefined ? "save an image there" : "name one behind the path: PATH:TAG or PATH@sha256:…",
      },
    );
  }

  async #isAttachment({ digest, mediaType, annotations }: Descriptor): Promise<boolean> {
    if (/^sha\d{3}-[0-9a-f]{64,}(\.|$)/.test(annotations?.[REF_NAME_ANNOTATION] ?? "")) return true;
    if (manifestKindOf(mediaType) === undefined) return true;
    return (await this.fetchManifest(digest))?.manifest.subject !== undefined;
  }

  async fetchManifest(tagOrDigest: string): Promise<FetchedManifest | undefined> {
    const entry = await this.#find(tagOrDigest);
    const digest = entry?.digest ?? (isContentDigest(tagOrDigest) ? tagOrDigest : undefined);
    if (digest === undefined) return undefined;
    const bytes = await this.#files.read(blobPath(digest), MAX_MANIFEST_BYTES);
    if (bytes === undefined) return undefined;
    verifyContent(bytes, digest, `manifest in ${this.name}`);
    const mediaType = entry?.mediaType ?? mediaTypeIn(bytes);
    if (entry !== undefined && entry.size !== bytes.length) throw this.#wrongSize(entry, bytes.length);
    return { descriptor: { mediaType, digest, size: bytes.length }, bytes, manifest: parseManifest(bytes, mediaType) };
  }

  async resolve(tagOrDigest: string): Promise<Descriptor | undefined> {
    return (await this.fetchManifest(tagOrDigest))?.descriptor;
  }

  async #find(tagOrDigest: string): Promise<Descriptor | undefined> {
    const entries = await this.#entries();
    if (isContentDigest(tagOrDigest)) return entries.find(({ digest }) => digest === tagOrDigest);
    const named = entries.filter(({ annotations }) => {
      const name = annotations?.[REF_NAME_ANNOTATION];
      return name === tagOrDigest || name?.endsWith(`:${tagOrDigest}`) === true;
    });
    const [first] = named;
    // Two readers could take two of them.
    if (named.some(({ digest }) => digest !== first?.digest))
      throw new FormatError("IMAGE_LAYOUT_MALFORMED", `${this.name} names several things ${tagOrDigest}`, {
        expected: "one",
        found: named.map(({ digest }) => digest).join(", "),
      });
    return first ?? this.#findByKind(entries, tagOrDigest);
  }

  /** cosign keeps what would be under the tags `.sig` and `.att` beside the one image, and says so by another annotation. */
  #findByKind(entries: readonly Descriptor[], tag: string): Descriptor | undefined {
    const kind = tag.endsWith(".sig") ? LAYOUT_KINDS.sigs : tag.endsWith(".att") ? LAYOUT_KINDS.atts : undefined;
    if (kind === undefined) return undefined;
    const images = entries.filter(({ annotations }) =>
      ([LAYOUT_KINDS.image, LAYOUT_KINDS.imageIndex] as readonly string[]).includes(
        annotations?.[KIND_ANNOTATION] ?? "",
      ),
    );
    const suffix = kind === LAYOUT_KINDS.sigs ? "sig" : "att";
    if (!images.some(({ digest }) => attachmentTag(digest, suffix) === tag)) return undefined;
    return entries.find(({ annotations }) => annotations?.[KIND_ANNOTATION] === kind);
  }

  async fetchBlob(descriptor: Descriptor, maxBytes: number): Promise<Uint8Array> {
    const { digest, size } = descriptor;
    if (size > maxBytes)
      throw new FormatError("LIMIT_EXCEEDED", `blob ${digest} in ${this.name} is too large`, {
        expected: `at most ${maxBytes} bytes`,
        found: `${size} bytes`,
      });
    const bytes = await this.#files.read(blobPath(digest), maxBytes);
    if (bytes === undefined) throw this.#noBlob(digest);
    if (bytes.length !== size) throw this.#wrongSize(descriptor, bytes.length);
    verifyContent(bytes, digest, `blob in ${this.name}`);
    return bytes;
  }

  async *openBlob(descriptor: Descriptor): AsyncGenerator<Uint8Array> {
    const { digest } = descriptor;
    const { algorithm, value } = toDigest(digest);
    const hash = process.getBuiltinModule("node:crypto").createHash(algorithm);
    const stream = this.#files.open(blobPath(digest));
    if (stream === undefined) throw this.#noBlob(digest);
    let length = 0;
    for await (const chunk of stream) {
      length += chunk.length;
      if (length > descriptor.size) break;
      hash.update(chunk);
      yield chunk;
    }
    if (length !== descriptor.size) throw this.#wrongSize(descriptor, length);
    if (hash.digest().equals(value)) return;
    throw new VerificationError("CONTENT_DIGEST_MISMATCH", `blob in ${this.name} is not what its digest names`, {
      expected: digest,
    });
  }

  hasBlob(digest: ContentDigest): Promise<boolean> {
    return Promise.resolve(this.#files.has(blobPath(digest)));
  }

  async pushBlob(descriptor: Descriptor, content: Uint8Array | ContentStore): Promise<void> {
    if (this.#files.has(blobPath(descriptor.digest))) return;
    if (content instanceof Uint8Array) verifyContent(content, descriptor.digest, "what is to be kept");
    // A store compares what it streams with the digest at its end, before which the file has no name.
    await this.#files.write(
      blobPath(descriptor.digest),
      content instanceof Uint8Array ? [content] : content.openBlob(descriptor),
    );
  }

  async pushManifest(bytes: Uint8Array, mediaType: string, { tag }: PushManifestOptions = {}): Promise<PushedManifest> {
    parseManifest(bytes, mediaType);
    const descriptor: Descriptor = { mediaType, digest: contentDigestOf(bytes), size: bytes.length };
    await this.#files.write(blobPath(descriptor.digest), [bytes]);
    await this.addEntry(descriptor, tag === undefined ? {} : { [REF_NAME_ANNOTATION]: tag });
    return { descriptor, keepsReferrers: parseManifest(bytes, mediaType).subject !== undefined };
  }

  /** Lists a manifest in the index of the layout, in the place of one with the same tag or kind. */
  async addEntry(descriptor: Descriptor, annotations: Readonly<Record<string, string>>): Promise<void> {
    const tag = annotations[REF_NAME_ANNOTATION];
    const kind = annotations[KIND_ANNOTATION];
    await this.#changeIndex((manifests) => {
      const others = manifests.filter((entry) => {
        const own = (entry["annotations"] ?? {}) as JsonObject;
        if (tag !== undefined && own[REF_NAME_ANNOTATION] === tag) return false;
        if (kind !== undefined && own[KIND_ANNOTATION] === kind) return false;
        // One without a name is listed once.
        return (
          entry["digest"] !== descriptor.digest ||
          own[REF_NAME_ANNOTATION] !== undefined ||
          own[KIND_ANNOTATION] !== undefined
        );
      });
      return [...others, serializeDescriptor({ ...descriptor, annotations })];
    });
    this.#scanned = undefined;
  }

  async deleteManifest(tagOrDigest: string): Promise<boolean> {
    const found = await this.#find(tagOrDigest);
    if (found === undefined) return false;
    await this.#changeIndex((manifests) =>
      manifests.filter((entry) =>
        isContentDigest(tagOrDigest)
          ? entry["digest"] !== tagOrDigest
          : ((entry["annotations"] ?? {}) as JsonObject)[REF_NAME_ANNOTATION] !== tagOrDigest,
      ),
    );
    if (isContentDigest(tagOrDigest)) this.#files.delete(blobPath(tagOrDigest));
    this.#scanned = undefined;
    return true;
  }

  async listTags(): Promise<readonly string[]> {
    const entries = await this.#entries();
    return [...new Set(entries.flatMap(({ annotations }) => annotations?.[REF_NAME_ANNOTATION] ?? []))];
  }

  /** Those that the index lists, those under the tag that stands in for a list, and, as cosign saves them, those that are there as blobs only. */
  async listReferrers(digest: ContentDigest): Promise<ReferrersList> {
    const tag = attachmentTag(digest, "referrers");
    const index = (await this.listTags()).includes(tag) ? await this.fetchManifest(tag) : undefined;
    const listed = index?.manifest.kind === "index" ? index.manifest.manifests : [];
    const found = (await (this.#scanned ??= this.#scan()))
      .filter(({ subject }) => subject === digest)
      .map(({ descriptor }) => descriptor);
    const seen = new Set<string>();
    const descriptors = [...listed, ...found].filter((one) => !seen.has(one.digest) && seen.add(one.digest));
    if (descriptors.length > MAX_REFERRERS)
      throw new FormatError("LIMIT_EXCEEDED", `${this.name} has too many manifests that refer to ${digest}`, {
        expected: `at most ${MAX_REFERRERS}`,
      });
    return { source: "layout", descriptors };
  }

  /**
   * Looks into every blob that could be a manifest, once. There is no list of referrers in a layout, so that of one with more than is
   * looked at, nobody knows what it holds.
   */
  async #scan(): Promise<readonly { readonly descriptor: Descriptor; readonly subject: ContentDigest }[]> {
    const found: { readonly descriptor: Descriptor; readonly subject: ContentDigest }[] = [];
    let scanned = 0;
    for (const { digest, size } of this.#files.blobs()) {
      if (size > MAX_MANIFEST_BYTES || !this.#files.beginsWith(blobPath(digest), BRACE)) continue;
      scanned += size;
      if (scanned > MAX_LAYOUT_SCAN_BYTES)
        throw new FormatError("LIMIT_EXCEEDED", `image layout ${this.name} has too much that may be a manifest`, {
          expected: `at most ${MAX_LAYOUT_SCAN_BYTES} bytes`,
          found: "more",
        });
      const bytes = await this.#files.read(blobPath(digest), MAX_MANIFEST_BYTES);
      const mediaType = bytes === undefined ? undefined : tryMediaTypeIn(bytes);
      if (bytes === undefined || mediaType === undefined) continue;
      try {
        verifyContent(bytes, digest, `blob in ${this.name}`);
        const { subject, artifactType, annotations } = parseManifest(bytes, mediaType);
        if (subject === undefined) continue;
        const type = artifactType === undefined ? {} : { artifactType };
        found.push({ descriptor: { mediaType, digest, size, ...type, annotations }, subject: subject.digest });
      } catch (error) {
        // A layer may look like a manifest; what is none refers to nothing.
        if (!(error instanceof FormatError || error instanceof VerificationError)) throw error;
      }
    }
    return found;
  }

  async #entries(): Promise<readonly Descriptor[]> {
    return (await this.#readIndex()).entries;
  }

  async #readIndex(): Promise<{ readonly json: JsonObject; readonly entries: readonly Descriptor[] }> {
    const fail = (problem: string): FormatError =>
      new FormatError("IMAGE_LAYOUT_MALFORMED", `${this.name} is no image layout: ${problem}`);
    const marker = await this.#files.read("oci-layout", 4096);
    if (marker === undefined) throw fail("there is no file oci-layout");
    const what = { code: "IMAGE_LAYOUT_MALFORMED", maxBytes: MAX_MANIFEST_BYTES } as const;
    const version = new JsonReader(parseJson(marker, { what: "oci-layout", ...what }), "oci-layout", what.code)
      .object()
      .required("imageLayoutVersion");
    if (!/^1\.\d+\.\d+$/.test(version.string())) version.fail("is not 1.0.0");
    const bytes = await this.#files.read("index.json", MAX_MANIFEST_BYTES);
    if (bytes === undefined) throw fail("there is no index.json");
    const json = parseJson(bytes, { what: "index.json", ...what });
    const index = new JsonReader(json, "index.json", what.code).object();
    const entries = (index.optional("manifests")?.array(MAX_MANIFEST_DESCRIPTORS) ?? []).map((entry) =>
      readDescriptor(entry),
    );
    return { json: json as JsonObject, entries };
  }

  async #changeIndex(change: (manifests: readonly JsonObject[]) => readonly JsonObject[]): Promise<void> {
    const work = this.#writing.then(async () => {
      const { json } = await this.#readIndex();
      const manifests = change((json["manifests"] ?? []) as readonly JsonObject[]);
      await this.#files.write("index.json", [encodeUtf8(JSON.stringify({ ...json, manifests }))]);
    });
    this.#writing = work.catch(() => undefined);
    await work;
  }

  #noBlob(digest: ContentDigest): ServiceError {
    return new ServiceError("CONTENT_NOT_FOUND", `${this.name} has no blob ${digest}`);
  }

  #wrongSize({ digest, size }: Descriptor, found: number): VerificationError {
    return new VerificationError(
      "CONTENT_SIZE_MISMATCH",
      `${digest} in ${this.name} is of another size than was said`,
      {
        expected: `${size} bytes`,
        found: `${found} bytes`,
      },
    );
  }
}

/**
 * Opens an image layout: a folder, or a tar file, of which a tag or a digest may be named: `PATH:TAG`, `PATH@sha256:…`.
 *
 * A layout in a tar file is only read: what would change it is refused with StorageError `WRITE_FAILED`.
 *
 * @returns the layout, and the one image in it where none is named.
 * @throws InputError `FILE_NOT_FOUND`, `FILE_UNREADABLE`, `REFERENCE_MALFORMED`; FormatError `IMAGE_LAYOUT_MALFORMED`, `LIMIT_EXCEEDED`.
 */
export async function openLayout(
  path: string,
): Promise<{ readonly store: ImageLayout; readonly reference: string; readonly name: string }> {
  const { existsSync, statSync } = process.getBuiltinModule("node:fs");
  const at = path.lastIndexOf("@");
  const colon = path.lastIndexOf(":");
  const [file, named] = existsSync(path)
    ? [path, undefined]
    : at > 0
      ? [path.slice(0, at), path.slice(at + 1)]
      : colon > 0
        ? [path.slice(0, colon), path.slice(colon + 1)]
        : [path, undefined];
  if (!existsSync(file)) throw new InputError("FILE_NOT_FOUND", `there is no image layout ${file}`);
  const files = statSync(file).isDirectory() ? new LayoutFolder(file) : await openLayoutTar(file);
  const store = new ImageLayout(files);
  return { store, reference: named ?? (await store.defaultReference()), name: path };
}

/**
 * Begins an image layout in a folder, or opens the one that is there.
 *
 * @throws InputError `DESTINATION_EXISTS` for a folder with something else in it; StorageError `WRITE_FAILED`.
 */
export function createLayout(path: string): ImageLayout {
  const { existsSync, mkdirSync, readdirSync } = process.getBuiltinModule("node:fs");
  const { join } = process.getBuiltinModule("node:path");
  try {
    mkdirSync(path, { recursive: true });
    const names = readdirSync(path);
    if (names.length > 0 && !names.includes("oci-layout"))
      throw new InputError("DESTINATION_EXISTS", `folder ${path} is not empty, and no image layout`, {
        found: names.slice(0, 5).join(", "),
        remedy: "name a folder that is empty, or not there yet",
      });
    const files = new LayoutFolder(path);
    mkdirSync(join(path, "blobs", "sha256"), { recursive: true });
    if (!existsSync(join(path, "index.json")))
      files.writeNow("index.json", JSON.stringify({ schemaVersion: 2, mediaType: OCI_INDEX, manifests: [] }));
    if (!names.includes("oci-layout")) files.writeNow("oci-layout", JSON.stringify({ imageLayoutVersion: "1.0.0" }));
    return new ImageLayout(files);
  } catch (cause) {
    if (cause instanceof InputError) throw cause;
    const { code = "" } = cause as NodeJS.ErrnoException;
    throw new StorageError("WRITE_FAILED", `image layout ${path} cannot be made (${code})`, { cause });
  }
}

function blobPath(digest: ContentDigest): string {
  return `blobs/${digest.replace(":", "/")}`;
}

/** What a manifest says of itself; one that says nothing is told by what it has. */
function mediaTypeIn(bytes: Uint8Array): string {
  const found = tryMediaTypeIn(bytes);
  if (found !== undefined) return found;
  throw new FormatError("MANIFEST_MALFORMED", "content is neither a manifest nor an index");
}

function tryMediaTypeIn(bytes: Uint8Array): string | undefined {
  if (bytes[0] !== BRACE) return undefined;
  try {
    const json = parseJson(bytes, {
      what: "manifest",
      code: "MANIFEST_MALFORMED",
      maxBytes: MAX_MANIFEST_BYTES,
    }) as JsonObject;
    const { mediaType } = json;
    if (typeof mediaType === "string") return manifestKindOf(mediaType) === undefined ? undefined : mediaType;
    if (Array.isArray(json["manifests"])) return OCI_INDEX;
    return Array.isArray(json["layers"]) ? OCI_MANIFEST : undefined;
  } catch {
    return undefined;
  }
}
