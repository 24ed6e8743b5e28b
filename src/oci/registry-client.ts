/**
 * A client for registries: one session a host, whatever the number of repositories.
 *
 * @module
 */

import { FormatError, ServiceError, VerificationError } from "../errors.ts";
import { sendRequest, type HttpAnswer, type HttpRequest } from "../http/request.ts";
import { parseJson } from "../encoding/json.ts";
import { JsonReader } from "../encoding/json-reader.ts";
import { MAX_MANIFEST_BYTES, MAX_REFERRERS, MAX_REGISTRY_PAGE_BYTES } from "../limits.ts";
import { contentDigestOf, isContentDigest, verifyContent, type ContentDigest } from "./content-digest.ts";
import type {
  ContentStore,
  FetchedManifest,
  PushedManifest,
  PushManifestOptions,
  ReferrersList,
} from "./content-store.ts";
import { MANIFEST_MEDIA_TYPES, parseManifest, readDescriptor, type Descriptor } from "./manifest.ts";
import { OCI_INDEX } from "./media-types.ts";
import type { ImageReference } from "./reference.ts";
import type { RegistryOptions } from "./registry-options.ts";

/** Reaches registries. Sessions, tokens and what is known of each registry are shared by all repositories. */
export class RegistryClient {
  readonly #options: RegistryOptions;

  constructor(options: RegistryOptions = {}) {
    this.#options = options;
  }

  /** Gives access to one repository. Asks for nothing. */
  repository({ registry, repository }: Pick<ImageReference, "registry" | "repository">): ContentStore {
    return new Repository(registry, repository, this.#options);
  }
}

class Repository implements ContentStore {
  readonly name: string;
  readonly #base: string;
  readonly #options: RegistryOptions;

  constructor(registry: string, repository: string, options: RegistryOptions) {
    this.name = `${registry}/${repository}`;
    const scheme = /^(localhost|127\.|\[::1\])/.test(registry) ? "http" : "https";
    this.#base = `${scheme}://${registry}/v2/${repository}`;
    this.#options = options;
  }

  async #ask(path: string, request: Partial<HttpRequest> & Pick<HttpRequest, "accept">): Promise<HttpAnswer> {
    const url = path.startsWith("http") ? path : `${this.#base}${path}`;
    const { fetch = globalThis.fetch, timeoutMs = 60_000, ...options } = this.#options;
    return await sendRequest(
      url,
      { method: "GET", maxBytes: MAX_REGISTRY_PAGE_BYTES, refusal: "REGISTRY_REQUEST_REFUSED", ...request },
      { ...options, fetch, timeoutMs, service: `registry of ${this.name}` },
    );
  }

  async fetchManifest(tagOrDigest: string): Promise<FetchedManifest | undefined> {
    const answer = await this.#ask(`/manifests/${tagOrDigest}`, {
      accept: [200, 404],
      headers: { accept: MANIFEST_MEDIA_TYPES.join(", ") },
      maxBytes: MAX_MANIFEST_BYTES,
    });
    if (answer.status === 404) return undefined;
    const digest = isContentDigest(tagOrDigest) ? tagOrDigest : contentDigestOf(answer.body);
    verifyContent(answer.body, digest, `manifest of ${this.name}`);
    const mediaType = answer.headers.get("content-type")?.split(";")[0]?.trim() ?? "";
    const manifest = parseManifest(answer.body, mediaType);
    const etag = answer.headers.get("etag") ?? undefined;
    return { descriptor: { mediaType, digest, size: answer.body.length }, bytes: answer.body, manifest, etag };
  }

  async resolve(tagOrDigest: string): Promise<Descriptor | undefined> {
    return (await this.fetchManifest(tagOrDigest))?.descriptor;
  }

  async fetchBlob(descriptor: Descriptor, maxBytes: number): Promise<Uint8Array> {
    const { digest, size } = descriptor;
    if (size > maxBytes) throw new FormatError("LIMIT_EXCEEDED", `blob ${digest} of ${this.name} is too large`);
    const { body } = await this.#ask(`/blobs/${digest}`, { accept: [200], maxBytes: size });
    verifyContent(body, digest, `blob of ${this.name}`);
    if (body.length !== size)
      throw new VerificationError("CONTENT_SIZE_MISMATCH", `blob ${digest} of ${this.name} is of another size`);
    return body;
  }

  async *openBlob(descriptor: Descriptor): AsyncIterable<Uint8Array> {
    yield await this.fetchBlob(descriptor, descriptor.size);
  }

  async hasBlob(digest: ContentDigest): Promise<boolean> {
    return (await this.#ask(`/blobs/${digest}`, { method: "HEAD", accept: [200, 404] })).status === 200;
  }

  async pushBlob(descriptor: Descriptor, content: Uint8Array | ContentStore): Promise<void> {
    if (await this.hasBlob(descriptor.digest)) return;
    const bytes = content instanceof Uint8Array ? content : await content.fetchBlob(descriptor, descriptor.size);
    const started = await this.#ask("/blobs/uploads/", { method: "POST", accept: [202] });
    const location = new URL(started.headers.get("location") ?? "", started.url);
    location.searchParams.set("digest", descriptor.digest);
    await this.#ask(location.href, {
      method: "PUT",
      body: bytes,
      headers: { "content-type": "application/octet-stream" },
      accept: [201],
    });
  }

  async pushManifest(bytes: Uint8Array, mediaType: string, { tag }: PushManifestOptions = {}): Promise<PushedManifest> {
    const digest = contentDigestOf(bytes);
    const { headers } = await this.#ask(`/manifests/${tag ?? digest}`, {
      method: "PUT",
      body: bytes,
      headers: { "content-type": mediaType },
      accept: [201],
    });
    return {
      descriptor: { mediaType, digest, size: bytes.length },
      keepsReferrers: headers.has("oci-subject"),
      etag: headers.get("etag") ?? undefined,
    };
  }

  async deleteManifest(tagOrDigest: string): Promise<boolean> {
    const { status } = await this.#ask(`/manifests/${tagOrDigest}`, { method: "DELETE", accept: [200, 202, 404] });
    return status !== 404;
  }

  async listTags(): Promise<readonly string[]> {
    const { body } = await this.#ask("/tags/list", { accept: [200] });
    return (JSON.parse(new TextDecoder().decode(body)) as { tags: string[] }).tags;
  }

  async listReferrers(digest: ContentDigest): Promise<ReferrersList> {
    const answer = await this.#ask(`/referrers/${digest}`, { accept: [200, 404] });
    if (answer.status === 200) {
      const json = parseJson(answer.body, { what: "index", code: "MANIFEST_MALFORMED", maxBytes: answer.body.length });
      const items = new JsonReader(json, "index", "MANIFEST_MALFORMED").object().required("manifests");
      return { source: "referrers-api", descriptors: items.array(MAX_REFERRERS).map((item) => readDescriptor(item)) };
    }
    const index = await this.fetchManifest(digest.replace(":", "-"));
    if (index === undefined) return { source: "referrers-tag", descriptors: [] };
    if (index.manifest.kind !== "index")
      throw new ServiceError("SERVICE_RESPONSE_INVALID", "referrers tag names no index", { expected: OCI_INDEX });
    return { source: "referrers-tag", descriptors: index.manifest.manifests, index };
  }
}
