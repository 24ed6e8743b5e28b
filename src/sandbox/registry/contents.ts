import { encodeUtf8 } from "../../encoding/utf8.ts";
import type { PendingFile, SandboxStore } from "../store.ts";

/** Is a manifest in a repository. */
export interface StoredManifest {
  readonly digest: string;
  readonly mediaType: string;
  readonly size: number;
  readonly subject?: string;
  /** Grows from one manifest of the registry to the next. */
  readonly sequence: number;
}

interface Repository {
  readonly blobs: Set<string>;
  readonly manifests: Map<string, StoredManifest>;
  readonly tags: Map<string, string>;
}

/** Is one change, as it is kept. */
type Change =
  | { readonly kind: "blob" | "no-blob"; readonly repository: string; readonly digest: string }
  | { readonly kind: "manifest"; readonly repository: string; readonly manifest: Omit<StoredManifest, "sequence"> }
  | { readonly kind: "no-manifest"; readonly repository: string; readonly digest: string }
  | { readonly kind: "tag"; readonly repository: string; readonly tag: string; readonly digest: string }
  | { readonly kind: "no-tag"; readonly repository: string; readonly tag: string };

const LOG = "changes";

/**
 * Holds what is in the repositories. Content is kept once for all of them; a repository has what was put into it.
 *
 * Nothing is checked here: names and digests are valid, and content has its digest.
 */
export class Contents {
  readonly #store: SandboxStore;
  readonly #repositories = new Map<string, Repository>();
  #sequence = 0;

  constructor(store: SandboxStore) {
    this.#store = store;
    for (const record of store.records(LOG)) this.#apply(JSON.parse(new TextDecoder().decode(record)) as Change);
  }

  /** The names of all repositories. */
  get repositories(): readonly string[] {
    return [...this.#repositories.keys()];
  }

  has(repository: string): boolean {
    return this.#repositories.has(repository);
  }

  // ---- blobs

  /** Gives how many bytes a blob has; `undefined` where the repository has none. */
  blobSize(repository: string, digest: string): number | undefined {
    if (this.#repositories.get(repository)?.blobs.has(digest) !== true) return undefined;
    return this.#store.size(blobName(digest));
  }

  streamBlob(digest: string, start: number, end: number): ReadableStream<Uint8Array> {
    return this.#store.stream(blobName(digest), start, end);
  }

  putBlob(repository: string, digest: string, file: PendingFile): void {
    if (this.#store.size(blobName(digest)) === undefined) file.keep(blobName(digest));
    else file.discard();
    this.mountBlob(repository, digest);
  }

  /** Lets a repository have a blob that another one has. */
  mountBlob(repository: string, digest: string): void {
    if (this.#repositories.get(repository)?.blobs.has(digest) !== true)
      this.#change({ kind: "blob", repository, digest });
  }

  removeBlob(repository: string, digest: string): void {
    this.#change({ kind: "no-blob", repository, digest });
    if (!this.#all().some(({ blobs }) => blobs.has(digest))) this.#store.remove(blobName(digest));
  }

  // ---- manifests and tags

  /** Finds a manifest by its digest or a tag. */
  manifest(repository: string, reference: string): StoredManifest | undefined {
    const { manifests, tags } = this.#repositories.get(repository) ?? {};
    return manifests?.get(tags?.get(reference) ?? reference);
  }

  manifestBytes(digest: string): Uint8Array | undefined {
    return this.#store.read(manifestName(digest));
  }

  putManifest(repository: string, manifest: Omit<StoredManifest, "sequence">, bytes: Uint8Array): void {
    const known = this.#repositories.get(repository)?.manifests.get(manifest.digest);
    if (known?.mediaType === manifest.mediaType) return;
    this.#store.write(manifestName(manifest.digest), bytes);
    this.#change({ kind: "manifest", repository, manifest });
  }

  /** Removes a manifest with the tags that name it. */
  removeManifest(repository: string, digest: string): void {
    this.#change({ kind: "no-manifest", repository, digest });
    if (!this.#all().some(({ manifests }) => manifests.has(digest))) this.#store.remove(manifestName(digest));
  }

  /** Lists tags with the digests that they name. */
  tags(repository: string): ReadonlyMap<string, string> {
    return this.#repositories.get(repository)?.tags ?? new Map<string, string>();
  }

  putTag(repository: string, tag: string, digest: string): void {
    if (this.tags(repository).get(tag) !== digest) this.#change({ kind: "tag", repository, tag, digest });
  }

  removeTag(repository: string, tag: string): void {
    this.#change({ kind: "no-tag", repository, tag });
  }

  /** Lists the manifests that are attached to something, the oldest first. */
  referrers(repository: string): readonly StoredManifest[] {
    const all = this.#repositories.get(repository)?.manifests.values() ?? [];
    return [...all].filter(({ subject }) => subject !== undefined);
  }

  // ---- changes

  #all(): readonly Repository[] {
    return [...this.#repositories.values()];
  }

  #change(change: Change): void {
    this.#store.append(LOG, encodeUtf8(JSON.stringify(change)));
    this.#apply(change);
  }

  #apply(change: Change): void {
    let repository = this.#repositories.get(change.repository);
    if (repository === undefined) {
      repository = { blobs: new Set(), manifests: new Map(), tags: new Map() };
      this.#repositories.set(change.repository, repository);
    }
    const { blobs, manifests, tags } = repository;
    switch (change.kind) {
      case "blob":
        blobs.add(change.digest);
        return;
      case "no-blob":
        blobs.delete(change.digest);
        return;
      case "manifest":
        this.#sequence += 1;
        manifests.set(change.manifest.digest, { ...change.manifest, sequence: this.#sequence });
        return;
      case "no-manifest":
        manifests.delete(change.digest);
        for (const [tag, digest] of tags) if (digest === change.digest) tags.delete(tag);
        return;
      case "tag":
        tags.set(change.tag, change.digest);
        return;
      case "no-tag":
        tags.delete(change.tag);
    }
  }
}

function blobName(digest: string): string {
  return `blobs/${digest.replace(":", "/")}`;
}

function manifestName(digest: string): string {
  return `manifests/${digest.replace(":", "/")}`;
}
