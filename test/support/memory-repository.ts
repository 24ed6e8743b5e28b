import { ServiceError } from "../../src/errors.ts";
import { contentDigestOf, type ContentDigest } from "../../src/oci/content-digest.ts";
import type {
  ContentStore,
  FetchedManifest,
  PushedManifest,
  PushManifestOptions,
  ReferrersList,
} from "../../src/oci/content-store.ts";
import { parseManifest, type Descriptor } from "../../src/oci/manifest.ts";

export interface RepositoryBehaviour {
  /** Waits as long as half a request takes, once before the repository does what is asked, and once after. */
  readonly travel?: (kind: "read" | "write", half: "to" | "back") => Promise<void>;
  /** Which conditions on a tag are honoured. Default none. */
  readonly honours?: "all" | "if-match" | "none";
  /** Whether it says which state a tag is in. Default true, whether or not conditions are honoured. */
  readonly givesEtags?: boolean | "weak";
  /** Is asked before a tag is written, and may refuse that. */
  readonly beforeTag?: (tag: string, exists: boolean, condition: string | null | undefined) => void;
}

/** What a repository without a list of referrers holds. Each client has a {@link ContentStore} of its own. */
export class MemoryRepository {
  readonly manifests = new Map<string, FetchedManifest>();
  readonly tags = new Map<string, FetchedManifest>();
  readonly blobs = new Map<string, Uint8Array>();
  /** Manifests that were put under a tag. */
  writes = 0;
  readonly #behaviour: RepositoryBehaviour;

  constructor(behaviour: RepositoryBehaviour = {}) {
    this.#behaviour = behaviour;
  }

  client(name = "registry.example/app"): ContentStore {
    return new MemoryClient(this, name, this.#behaviour);
  }
}

class MemoryClient implements ContentStore {
  readonly name: string;
  readonly #content: MemoryRepository;
  readonly #behaviour: RepositoryBehaviour;

  constructor(content: MemoryRepository, name: string, behaviour: RepositoryBehaviour) {
    this.#content = content;
    this.name = name;
    this.#behaviour = behaviour;
  }

  async #request<T>(work: () => T, kind: "read" | "write" = "read"): Promise<T> {
    await this.#behaviour.travel?.(kind, "to");
    try {
      return work();
    } finally {
      await this.#behaviour.travel?.(kind, "back");
    }
  }

  async fetchManifest(tagOrDigest: string): Promise<FetchedManifest | undefined> {
    const { manifests, tags } = this.#content;
    return await this.#request(() => tags.get(tagOrDigest) ?? manifests.get(tagOrDigest));
  }

  async resolve(tagOrDigest: string): Promise<Descriptor | undefined> {
    return (await this.fetchManifest(tagOrDigest))?.descriptor;
  }

  async fetchBlob({ digest }: Descriptor): Promise<Uint8Array> {
    const blob = await this.#request(() => this.#content.blobs.get(digest));
    if (blob === undefined) throw new ServiceError("CONTENT_NOT_FOUND", `${this.name} has no blob ${digest}`);
    return blob;
  }

  async *openBlob(descriptor: Descriptor): AsyncGenerator<Uint8Array> {
    yield await this.fetchBlob(descriptor);
  }

  async hasBlob(digest: ContentDigest): Promise<boolean> {
    return await this.#request(() => this.#content.blobs.has(digest));
  }

  async pushBlob({ digest }: Descriptor, content: Uint8Array | ContentStore): Promise<void> {
    if (!(content instanceof Uint8Array)) throw new Error("not needed in these tests");
    await this.#request(() => this.#content.blobs.set(digest, content));
  }

  async pushManifest(
    bytes: Uint8Array,
    mediaType: string,
    { tag, ifMatch }: PushManifestOptions = {},
  ): Promise<PushedManifest> {
    const { honours = "none", givesEtags = true, beforeTag } = this.#behaviour;
    const { manifests, tags } = this.#content;
    const digest = contentDigestOf(bytes);
    const descriptor = { mediaType, digest, size: bytes.length };
    const manifest = parseManifest(bytes, mediaType);
    const etag = givesEtags === false ? undefined : `${givesEtags === "weak" ? "W/" : ""}"${digest}"`;
    await this.#request(() => {
      if (tag !== undefined) {
        const there = tags.get(tag);
        beforeTag?.(tag, there !== undefined, ifMatch);
        const isHonoured = honours === "all" || (honours === "if-match" && ifMatch !== null);
        const state = there === undefined ? null : `"${there.descriptor.digest}"`;
        if (ifMatch !== undefined && isHonoured && ifMatch !== state)
          throw new ServiceError("REGISTRY_UPDATE_LOST", "tag was moved by another", { status: 412 });
        tags.set(tag, { descriptor, bytes, manifest, etag });
        this.#content.writes += 1;
      }
      manifests.set(digest, { descriptor, bytes, manifest });
    }, "write");
    return { descriptor, keepsReferrers: false, etag };
  }

  async deleteManifest(tagOrDigest: string): Promise<boolean> {
    const { manifests, tags } = this.#content;
    return await this.#request(() => tags.delete(tagOrDigest) || manifests.delete(tagOrDigest));
  }

  async listTags(): Promise<readonly string[]> {
    return await this.#request(() => [...this.#content.tags.keys()]);
  }

  async listReferrers(digest: ContentDigest): Promise<ReferrersList> {
    const index = await this.fetchManifest(digest.replace(":", "-"));
    const descriptors = index?.manifest.kind === "index" ? index.manifest.manifests : [];
    return { source: "referrers-tag", descriptors, ...(index !== undefined && { index }) };
  }
}
