/**
 * Copies of images, with everything that belongs to them.
 *
 * @module
 */

import { InputError, ServiceError, VerificationError } from "../errors.ts";
import { readAttached, type AttachedManifest, type AttachmentKind } from "./attached-content.ts";
import type { ContentDigest } from "./content-digest.ts";
import { isContentDigest } from "./content-digest.ts";
import type { ContentStore, FetchedManifest } from "./content-store.ts";
import type { WriterOptions } from "./contended-tag.ts";
import { selectPlatform, walkIndex, type IndexNode } from "./image-index.ts";
import { openImage, type AttachmentOptions, type ImageInput, type OpenedImage } from "./image-source.ts";
import { appendLegacyLayer } from "./legacy/legacy-manifest.ts";
import type { Descriptor, Manifest, Platform } from "./manifest.ts";
import { MAX_ATTACHMENT_BYTES } from "../limits.ts";
import { pushReferrer } from "./referrers.ts";

/** Configures a copy. */
export interface CopyOptions extends AttachmentOptions, WriterOptions {
  /** Copies nothing but these, and leaves the tag of the destination as it is. Default: the image with all that belongs to it. */
  readonly only?: readonly AttachmentKind[] | undefined;
  /** Copies the manifest of this platform, in place of the index. */
  readonly platform?: string | Platform | undefined;
  /** Moves a tag of the destination that names another image. Default false. */
  readonly force?: boolean | undefined;
  /** Says what would be copied, and copies nothing. Default false. */
  readonly dryRun?: boolean | undefined;
  /** Is told of each thing that was copied. */
  readonly progress?: ((item: CopiedItem) => void) | undefined;
}

/** Is one thing that was copied, or would be. */
export interface CopiedItem {
  readonly kind: "blob" | "manifest" | "referrer" | "sig" | "att" | "sbom" | "tag";
  readonly digest: ContentDigest;
  /** Bytes. */
  readonly size: number;
  readonly outcome: "copied" | "present" | "would-copy";
}

/** Says what became of a copy. Everything in it was read back from the destination. */
export interface CopyReport {
  readonly source: string;
  readonly destination: string;
  /** `registry/repository@sha256:…` of the copy. */
  readonly pinned: string;
  readonly digest: ContentDigest;
  readonly items: readonly CopiedItem[];
}

const ALL: readonly AttachmentKind[] = ["sig", "att", "sbom", "referrers"];

/**
 * Copies an image with everything below it, beside it and attached to it, and reads back that it is there.
 *
 * The tag of the destination is moved last: what it names is always whole. What is there already is not copied again. Signatures that the
 * destination has and the source has not stay. cosign also gives each manifest a tag `sha256-…`: that is the one under which
 * lists of referrers are kept, so none is given here.
 *
 * @throws InputError `DESTINATION_EXISTS`, `REFERENCE_MALFORMED`, `PLATFORM_NOT_FOUND`; ServiceError `IMAGE_NOT_FOUND`,
 * `CONTENT_NOT_FOUND`, `REGISTRY_UPDATE_LOST`, and those of the stores.
 */
export async function copyImage(
  source: ImageInput,
  destination: ImageInput,
  options: CopyOptions = {},
): Promise<CopyReport> {
  const from = openImage(source, options);
  // What keeps signatures elsewhere is about the source; the copy has them beside it.
  const { signatureRepository: _elsewhere, ...own } = options;
  const to = openImage(destination, own);
  const named = await from.store.fetchManifest(from.reference);
  if (named === undefined)
    throw new ServiceError("IMAGE_NOT_FOUND", `image tag not found: ${from.name}`, { status: 404 });
  const root =
    options.platform === undefined ? named : (await selectPlatform(from.store, named, options.platform)).fetched;
  const { digest } = root.descriptor;
  const copiesImage = options.only === undefined;
  if (isContentDigest(to.reference) && to.reference !== digest)
    throw new InputError("REFERENCE_MALFORMED", `${to.name} names another digest than that of the source`, {
      expected: digest,
      found: to.reference,
    });
  if (copiesImage) await refuseOverwriting(to.store, to.reference, digest, options.force ?? false);

  const copy = new Copy(options);
  const nodes = await walkIndex(from.store, root);
  // From the leaves to the root: a manifest is put when what it names is there.
  if (copiesImage)
    for (const { fetched } of nodes.toReversed()) await copy.manifest(fetched, from.store, to.store, "manifest");
  const kinds = new Set(options.only ?? ALL);
  const attached: AttachedManifest[] = [];
  for (const { fetched } of nodes)
    attached.push(
      ...(await readAttached(from.attachments, fetched.descriptor.digest, kinds, options.attachmentTagPrefix)),
    );
  for (const one of attached) await copy.attachment(one, from.attachments, to.attachments);
  if (copiesImage && !isContentDigest(to.reference)) await copy.tag(root, to.store, to.reference);
  if (options.dryRun !== true) {
    if (copiesImage) await requireCopied(to, nodes, root);
    await requireAttached(to.attachments, attached);
  }
  return { source: from.name, destination: to.name, pinned: `${to.repository}@${digest}`, digest, items: copy.items };
}

async function refuseOverwriting(
  store: ContentStore,
  reference: string,
  digest: ContentDigest,
  force: boolean,
): Promise<void> {
  if (force || isContentDigest(reference)) return;
  const found = await store.resolve(reference);
  if (found === undefined || found.digest === digest) return;
  throw new InputError("DESTINATION_EXISTS", `${store.name}:${reference} is another image, and would be overwritten`, {
    expected: digest,
    found: found.digest,
  });
}

class Copy {
  readonly items: CopiedItem[] = [];
  readonly #options: CopyOptions;
  readonly #seen = new Set<string>();

  constructor(options: CopyOptions) {
    this.#options = options;
  }

  #done(
    kind: CopiedItem["kind"],
    { digest, size }: Pick<Descriptor, "digest" | "size">,
    outcome: CopiedItem["outcome"],
  ): void {
    const item = { kind, digest, size, outcome };
    this.items.push(item);
    this.#options.progress?.(item);
  }

  async manifest(
    fetched: FetchedManifest,
    from: ContentStore,
    to: ContentStore,
    kind: CopiedItem["kind"],
  ): Promise<void> {
    const { descriptor, bytes } = fetched;
    if ((await to.fetchManifest(descriptor.digest)) !== undefined) {
      this.#done(kind, descriptor, "present");
      return;
    }
    await this.#blobs(fetched.manifest, from, to);
    if (this.#options.dryRun !== true) await to.pushManifest(bytes, descriptor.mediaType);
    this.#done(kind, descriptor, this.#options.dryRun === true ? "would-copy" : "copied");
  }

  async #blobs(manifest: Manifest, from: ContentStore, to: ContentStore): Promise<void> {
    if (manifest.kind === "index") return;
    const blobs = [manifest.config, ...manifest.layers].filter(({ digest }) => {
      const key = `${to.name} ${digest}`;
      return !this.#seen.has(key) && this.#seen.add(key);
    });
    await Promise.all(
      blobs.map(async (blob) => {
        if (await to.hasBlob(blob.digest)) return this.#done("blob", blob, "present");
        if (this.#options.dryRun !== true) await to.pushBlob(blob, from);
        this.#done("blob", blob, this.#options.dryRun === true ? "would-copy" : "copied");
      }),
    );
  }

  async attachment(
    { kind, subject, fetched, tag }: AttachedManifest,
    from: ContentStore,
    to: ContentStore,
  ): Promise<void> {
    if (kind === "referrers" || tag === undefined) {
      await this.#referrer(subject, fetched, from, to);
      return;
    }
    const { descriptor, bytes, manifest } = fetched;
    const there = await to.fetchManifest(tag);
    if (there?.descriptor.digest === descriptor.digest) {
      this.#done(kind, descriptor, "present");
      return;
    }
    if (this.#options.dryRun === true) {
      this.#done(kind, descriptor, "would-copy");
      return;
    }
    // Only lists of layers can be made one of two.
    if (there === undefined || kind === "sbom" || manifest.kind === "index") {
      if (there !== undefined) await refuseOverwriting(to, tag, descriptor.digest, this.#options.force ?? false);
      await this.#blobs(manifest, from, to);
      await to.pushManifest(bytes, descriptor.mediaType, { tag });
    } else {
      // Others have signed the copy: theirs stay.
      for (const layer of manifest.layers) {
        const content = await from.fetchBlob(layer, MAX_ATTACHMENT_BYTES);
        await appendLegacyLayer(
          to,
          subject,
          kind,
          { descriptor: layer, bytes: content },
          {
            ...this.#options,
            tagPrefix: this.#options.attachmentTagPrefix,
          },
        );
      }
    }
    this.#done(kind, descriptor, "copied");
  }

  async #referrer(
    subject: ContentDigest,
    fetched: FetchedManifest,
    from: ContentStore,
    to: ContentStore,
  ): Promise<void> {
    const { descriptor, bytes, manifest } = fetched;
    const { digest, mediaType } = descriptor;
    const listed = await to.listReferrers(subject);
    if (listed.descriptors.some((one) => one.digest === digest) && (await to.fetchManifest(digest)) !== undefined) {
      this.#done("referrer", descriptor, "present");
      return;
    }
    if (this.#options.dryRun === true) {
      this.#done("referrer", descriptor, "would-copy");
      return;
    }
    await this.#blobs(manifest, from, to);
    const { annotations } = manifest;
    const artifactType = manifest.artifactType ?? (manifest.kind === "image" ? manifest.config.mediaType : undefined);
    await pushReferrer(to, { digest: subject }, bytes, mediaType, { artifactType, annotations }, this.#options);
    this.#done("referrer", descriptor, "copied");
  }

  async tag({ descriptor, bytes }: FetchedManifest, to: ContentStore, tag: string): Promise<void> {
    const there = await to.resolve(tag);
    const isThere = there?.digest === descriptor.digest;
    if (!isThere && this.#options.dryRun !== true) await to.pushManifest(bytes, descriptor.mediaType, { tag });
    this.#done("tag", descriptor, isThere ? "present" : this.#options.dryRun === true ? "would-copy" : "copied");
  }
}

/** Everything below the root is there, and the tag names it. */
async function requireCopied(
  { store, reference, name }: OpenedImage,
  nodes: readonly IndexNode[],
  { descriptor: root }: FetchedManifest,
): Promise<void> {
  await Promise.all(
    nodes.map(async ({ fetched: { descriptor, manifest } }) => {
      if ((await store.fetchManifest(descriptor.digest)) === undefined) throw lost(store, descriptor.digest);
      if (manifest.kind === "index") return;
      for (const { digest } of [manifest.config, ...manifest.layers])
        if (!(await store.hasBlob(digest))) throw lost(store, digest);
    }),
  );
  const found = await store.resolve(reference);
  if (found?.digest !== root.digest)
    throw new VerificationError("LINKAGE_MISSING", `${name} does not name what was copied there`, {
      expected: root.digest,
      found: found?.digest ?? "nothing",
      remedy: "find out who else moves that tag, and copy again",
    });
}

async function requireAttached(store: ContentStore, attached: readonly AttachedManifest[]): Promise<void> {
  const lists = new Map<ContentDigest, ReadonlySet<string>>();
  for (const { subject, tag, fetched } of attached) {
    const { digest } = fetched.descriptor;
    if (tag !== undefined) {
      if ((await store.resolve(tag)) === undefined) throw lost(store, digest);
      continue;
    }
    let list = lists.get(subject);
    if (list === undefined) {
      const { descriptors } = await store.listReferrers(subject);
      list = new Set(descriptors.map((one) => one.digest));
      lists.set(subject, list);
    }
    if (!list.has(digest) || (await store.fetchManifest(digest)) === undefined) throw lost(store, digest);
  }
}

function lost({ name }: ContentStore, digest: ContentDigest): VerificationError {
  return new VerificationError("LINKAGE_MISSING", `${digest} was copied to ${name}, and is not found there`, {
    expected: digest,
    found: "nothing",
    remedy: "copy again; if it happens again, the registry loses what it is given",
  });
}
