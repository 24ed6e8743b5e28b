/**
 * An OCI registry, version 1.1 of the distribution specification, with the ways in which registries differ and those in which they
 * lie.
 *
 * @module
 */

import type { JsonObject } from "../../encoding/json.ts";
import { MAX_REGISTRY_MANIFEST_BYTES, MAX_REGISTRY_PAGE, MAX_SANDBOX_RECORDS } from "../../limits.ts";
import { readBody } from "../request-body.ts";
import type { SandboxService, ServiceContext } from "../service.ts";
import { RegistryError } from "./api-error.ts";
import { Authorization, type Access, type AuthenticationScheme, type RegistryCredentials } from "./authorization.ts";
import { answerContent, meetsConditions, type Content } from "./content-answer.ts";
import { Contents, type StoredManifest } from "./contents.ts";
import { INDEX_MEDIA_TYPE, parseManifest } from "./manifest.ts";
import { digestOf, isRepositoryName, isTag, tryReadAlgorithm } from "./references.ts";
import { routeOf } from "./route.ts";
import { Uploads, type Upload } from "./uploads.ts";

/**
 * Lists how the registry can differ, and how it can lie.
 *
 * As real ones do: `no-referrers` has no referrers API and says so in plain text, `no-referrers-error` with an OCI error;
 * `basic-auth`, `token-auth` (where anybody may pull) and `private-token-auth` ask for credentials; `rate-limit` (argument: seconds
 * for `Retry-After`) has had enough; `immutable-tags` lets no tag be moved; `redirect-blobs` sends those who want a blob to another
 * host; `absolute-location` gives whole URLs for uploads, with a query that matters.
 *
 * As none should: `wrong-bytes` changes a byte of all content, `wrong-digest` names another digest in the header, `wrong-media-type`
 * another type, `changing-content` gives every second time another manifest, `foreign-referrers` lists what is attached to something
 * else, `endless-pages` has no last page of any list, `endless-content` goes on after the content.
 */
export const REGISTRY_FORGERIES = [
  "no-referrers",
  "no-referrers-error",
  "basic-auth",
  "token-auth",
  "private-token-auth",
  "rate-limit",
  "immutable-tags",
  "redirect-blobs",
  "absolute-location",
  "wrong-bytes",
  "wrong-digest",
  "wrong-media-type",
  "changing-content",
  "foreign-referrers",
  "endless-pages",
  "endless-content",
] as const;

/** Is a way in which the registry can differ or lie. */
export type RegistryForgery = (typeof REGISTRY_FORGERIES)[number];

/** Says how the registry is to be. */
export interface RegistryOptions {
  /** What is so for every request, whatever faults there are. */
  readonly always?: readonly RegistryForgery[];
  /** Whom it knows where it asks for credentials. Default: name and password `sandbox`. */
  readonly credentials?: RegistryCredentials;
  /** How many names one answer lists at most. Default 1000. */
  readonly pageSize?: number;
}

/**
 * Opens the registry that the store holds, or begins one.
 *
 * Beyond the specification, manifests have an `ETag`, and are put under the conditions of `If-Match` and `If-None-Match`: who keeps a
 * list of referrers under a tag can see that another has written it meanwhile.
 *
 * @see opencontainers/distribution-spec spec.md
 */
export function createRegistry(context: ServiceContext, options: RegistryOptions = {}): SandboxService {
  return new Registry(context, options);
}

/** Is a request with what is to be made of it. */
interface Asked {
  readonly request: Request;
  readonly url: URL;
  readonly traits: ReadonlySet<string>;
  readonly scheme: AuthenticationScheme;
}

class Registry implements SandboxService {
  readonly #context: ServiceContext;
  readonly #always: readonly RegistryForgery[];
  readonly #pageSize: number;
  readonly #contents: Contents;
  readonly #uploads: Uploads;
  readonly #authorization: Authorization;
  /** How often each manifest was asked for while content changes. */
  readonly #asked = new Map<string, number>();
  /** What it was changed to, by digest. */
  readonly #variants = new Map<string, Uint8Array>();

  constructor(context: ServiceContext, options: RegistryOptions) {
    const { always = [], credentials = { username: "sandbox", password: "sandbox" } } = options;
    this.#context = context;
    this.#always = always;
    this.#pageSize = Math.min(options.pageSize ?? MAX_REGISTRY_PAGE, MAX_REGISTRY_PAGE);
    this.#contents = new Contents(context.store);
    this.#uploads = new Uploads(context.store, context.now);
    this.#authorization = new Authorization(credentials, context.now);
  }

  async fetch(request: Request): Promise<Response> {
    const [trait, argument] = this.#context.forgery()?.split(":") ?? [];
    const traits = new Set<string>([...this.#always, ...(trait === undefined ? [] : [trait])]);
    let response: Response;
    try {
      if (traits.has("rate-limit"))
        throw new RegistryError("TOOMANYREQUESTS", "too many requests", {
          headers: { "retry-after": trait === "rate-limit" ? (argument ?? "1") : "1" },
        });
      response = await this.#answer({ request, url: new URL(request.url), traits, scheme: schemeOf(traits) });
    } catch (error) {
      if (!(error instanceof RegistryError)) throw error;
      response = error.toResponse();
    }
    response.headers.set("docker-distribution-api-version", "registry/2.0");
    return response;
  }

  async #answer(asked: Asked): Promise<Response> {
    const { request, url, traits, scheme } = asked;
    const { method } = request;
    const route = routeOf(url.pathname);
    if ("name" in route && !isRepositoryName(route.name))
      throw new RegistryError("NAME_INVALID", "that is not the name of a repository");
    const need = (action: "pull" | "push" | "delete"): void => {
      const actions = action === "push" ? ["pull", "push"] : [action];
      const name = "name" in route ? route.name : "";
      this.#authorization.check(request, scheme, [{ type: "repository", name, actions }]);
    };
    switch (route.kind) {
      case "unknown":
        return notFound();
      case "token":
        return await this.#authorization.issue(request, scheme);
      case "storage":
        return this.#answerFromStorage(asked, route.name, route.last);
      case "base":
        this.#authorization.check(request, scheme, []);
        return isReading(method) ? Response.json({}) : methodNotAllowed("GET, HEAD");
      case "catalog":
        this.#authorization.check(request, scheme, [{ type: "registry", name: "catalog", actions: ["*"] }]);
        return isReading(method) ? this.#listRepositories(asked) : methodNotAllowed("GET, HEAD");
      case "tags":
        need("pull");
        return isReading(method) ? this.#listTags(asked, route.name) : methodNotAllowed("GET, HEAD");
      case "referrers":
        if (traits.has("no-referrers")) return notFound();
        if (traits.has("no-referrers-error"))
          throw new RegistryError("METHOD_UNKNOWN", "We don't understand your method + url");
        need("pull");
        return isReading(method) ? this.#listReferrers(asked, route.name, route.last) : methodNotAllowed("GET, HEAD");
      case "manifest":
        if (method === "PUT") {
          need("push");
          return await this.#putManifest(asked, route.name, route.last);
        }
        if (method === "DELETE") {
          need("delete");
          return this.#deleteManifest(asked, route.name, route.last);
        }
        need("pull");
        return isReading(method)
          ? this.#getManifest(asked, route.name, route.last)
          : methodNotAllowed("GET, HEAD, PUT, DELETE");
      case "blob":
        if (method === "DELETE") {
          need("delete");
          return this.#deleteBlob(route.name, route.last);
        }
        need("pull");
        return isReading(method) ? this.#getBlob(asked, route.name, route.last) : methodNotAllowed("GET, HEAD, DELETE");
      case "uploads":
        need("push");
        return method === "POST" ? await this.#beginUpload(asked, route.name) : methodNotAllowed("POST");
      case "upload": {
        need("push");
        const upload = this.#uploads.find(route.name, route.last, url.searchParams.get("_state") ?? undefined);
        switch (method) {
          case "GET":
          case "HEAD":
            return uploadStatus(asked, upload, 204);
          case "PATCH":
            await this.#addChunk(asked, upload);
            return uploadStatus(asked, upload, 202);
          case "PUT":
            await this.#addChunk(asked, upload);
            return this.#finishUpload(asked, upload);
          case "DELETE":
            this.#uploads.discard(upload);
            return new Response(null, { status: 204 });
          default:
            return methodNotAllowed("GET, HEAD, PATCH, PUT, DELETE");
        }
      }
    }
  }

  // ---- manifests

  #getManifest(asked: Asked, name: string, reference: string): Response {
    const stored = this.#contents.manifest(name, reference);
    const bytes =
      stored === undefined ? this.#variants.get(`${name}@${reference}`) : this.#contents.manifestBytes(stored.digest);
    if (bytes === undefined) throw new RegistryError("MANIFEST_UNKNOWN", "there is no such manifest");
    const content: Content = {
      size: bytes.length,
      digest: stored?.digest ?? reference,
      mediaType: stored?.mediaType ?? INDEX_MEDIA_TYPE,
      stream: (start, end) => new Blob([bytes.slice(start, end)]).stream(),
    };
    return answerContent(
      asked,
      asked.traits.has("changing-content") ? this.#change(content, bytes, name, reference) : content,
    );
  }

  /** Gives every second time a manifest that means the same, and has another digest. */
  #change(content: Content, bytes: Uint8Array, name: string, reference: string): Content {
    const key = `${name}@${reference}`;
    const count = (this.#asked.get(key) ?? 0) + 1;
    this.#asked.set(key, count);
    forgetOldest(this.#asked);
    if (count % 2 === 1) return content;
    const changed = new Uint8Array([...bytes, 0x0a]);
    const digest = digestOf(changed, "sha256");
    this.#variants.set(`${name}@${digest}`, changed);
    forgetOldest(this.#variants);
    return {
      ...content,
      digest,
      size: changed.length,
      stream: (start, end) => new Blob([changed.slice(start, end)]).stream(),
    };
  }

  async #putManifest({ request, url, traits }: Asked, name: string, reference: string): Promise<Response> {
    const algorithm = tryReadAlgorithm(reference);
    if (algorithm === undefined && reference.includes(":"))
      throw new RegistryError("DIGEST_INVALID", "that is not a digest of SHA-256 or SHA-512");
    if (algorithm === undefined && !isTag(reference)) throw new RegistryError("MANIFEST_INVALID", "that is not a tag");
    const bytes = await readWhole(request, MAX_REGISTRY_MANIFEST_BYTES);
    if (bytes === undefined)
      throw new RegistryError("SIZE_INVALID", `a manifest has at most ${MAX_REGISTRY_MANIFEST_BYTES} bytes`, {
        status: 413,
      });
    const digest = digestOf(bytes, algorithm ?? "sha256");
    if (algorithm !== undefined && digest !== reference)
      throw new RegistryError("DIGEST_INVALID", `the manifest has the digest ${digest}`);
    const contentType = request.headers.get("content-type")?.split(";")[0]?.trim();
    const { mediaType, blobs, manifests, subject } = parseManifest(bytes, contentType === "" ? undefined : contentType);
    for (const blob of blobs)
      if (this.#contents.blobSize(name, blob) === undefined)
        throw new RegistryError("MANIFEST_BLOB_UNKNOWN", `there is no blob ${blob}`);
    for (const manifest of manifests)
      if (
        this.#contents.manifest(name, manifest) === undefined &&
        this.#contents.blobSize(name, manifest) === undefined
      )
        throw new RegistryError("MANIFEST_BLOB_UNKNOWN", `there is no manifest ${manifest}`);

    // Nothing waits from here on, so that nobody writes between the condition and what it allows.
    const before = this.#contents.manifest(name, reference)?.digest;
    if (!meetsConditions(request.headers, before))
      return new Response("the manifest is another one\n", { status: 412 });
    if (traits.has("immutable-tags") && algorithm === undefined && before !== undefined && before !== digest)
      throw new RegistryError(
        "TAG_INVALID",
        "the tag exists, and cannot be moved: tags of this registry are immutable",
      );
    this.#contents.putManifest(
      name,
      { digest, mediaType, size: bytes.length, ...(subject !== undefined && { subject }) },
      bytes,
    );
    if (algorithm === undefined) this.#contents.putTag(name, reference, digest);
    const knowsReferrers = !traits.has("no-referrers") && !traits.has("no-referrers-error");
    return new Response(null, {
      status: 201,
      headers: {
        location: locationOf(url, traits, `/v2/${name}/manifests/${digest}`),
        "docker-content-digest": digest,
        etag: `"${digest}"`,
        ...(subject !== undefined && knowsReferrers && { "oci-subject": subject }),
      },
    });
  }

  #deleteManifest({ traits, request }: Asked, name: string, reference: string): Response {
    const stored = this.#contents.manifest(name, reference);
    if (stored === undefined) throw new RegistryError("MANIFEST_UNKNOWN", "there is no such manifest");
    const isByTag = stored.digest !== reference;
    const isTagged = isByTag || [...this.#contents.tags(name).values()].includes(stored.digest);
    if (traits.has("immutable-tags") && isTagged)
      throw new RegistryError("UNSUPPORTED", "tags of this registry are immutable");
    if (!meetsConditions(request.headers, stored.digest))
      return new Response("the manifest is another one\n", { status: 412 });
    if (isByTag) this.#contents.removeTag(name, reference);
    else this.#contents.removeManifest(name, stored.digest);
    return new Response(null, { status: 202 });
  }

  // ---- blobs

  #getBlob(asked: Asked, name: string, digest: string): Response {
    const content = this.#blob(name, digest);
    if (!asked.traits.has("redirect-blobs")) return answerContent(asked, content);
    // Two names of one address are two hosts for a client, which must keep its credentials from the other one.
    const host = asked.url.hostname === "127.0.0.1" ? "localhost" : "127.0.0.1";
    const location = this.#authorization.sign(`/storage/${name}/blobs/${digest}`);
    return new Response(null, { status: 307, headers: { location: `http://${host}:${asked.url.port}${location}` } });
  }

  /** Answers like the storage of a cloud: to whoever has a signed address, and does not show credentials besides. */
  #answerFromStorage(asked: Asked, name: string, digest: string): Response {
    const { request, url } = asked;
    if (!isReading(request.method)) return methodNotAllowed("GET, HEAD");
    if (request.headers.has("authorization"))
      return new Response("only one of signature and credentials is allowed\n", { status: 400 });
    if (!this.#authorization.isSigned(url)) return new Response("the signature is not valid\n", { status: 403 });
    return answerContent(asked, this.#blob(name, digest));
  }

  #blob(name: string, digest: string): Content {
    if (tryReadAlgorithm(digest) === undefined)
      throw new RegistryError("DIGEST_INVALID", "that is not a digest of SHA-256 or SHA-512");
    const size = this.#contents.blobSize(name, digest);
    if (size === undefined) throw new RegistryError("BLOB_UNKNOWN", "there is no such blob");
    return {
      size,
      digest,
      mediaType: "application/octet-stream",
      stream: (start, end) => this.#contents.streamBlob(digest, start, end),
    };
  }

  #deleteBlob(name: string, digest: string): Response {
    this.#blob(name, digest);
    this.#contents.removeBlob(name, digest);
    return new Response(null, { status: 202 });
  }

  // ---- uploads

  async #beginUpload(asked: Asked, name: string): Promise<Response> {
    const { request, url, traits, scheme } = asked;
    const mounted = url.searchParams.get("mount");
    const from = url.searchParams.get("from") ?? "";
    const pull: Access = { type: "repository", name: from, actions: ["pull"] };
    if (
      mounted !== null &&
      this.#contents.blobSize(from, mounted) !== undefined &&
      this.#authorization.allows(request, scheme, pull)
    ) {
      this.#contents.mountBlob(name, mounted);
      return blobCreated(asked, name, mounted);
    }
    const digest = url.searchParams.get("digest");
    if (digest !== null && tryReadAlgorithm(digest) === undefined)
      throw new RegistryError("DIGEST_INVALID", "that is not a digest of SHA-256 or SHA-512");
    const upload = this.#uploads.begin(name, traits.has("absolute-location"));
    if (digest === null) return uploadStatus(asked, upload, 202);
    try {
      await this.#uploads.receive(upload, request.body);
    } catch (error) {
      this.#uploads.discard(upload); // nobody knows where to continue it
      throw error;
    }
    return this.#finishUpload(asked, upload);
  }

  async #addChunk(asked: Asked, upload: Upload): Promise<void> {
    const { request } = asked;
    const range = request.headers.get("content-range");
    const declared = request.headers.get("content-length");
    const [, first, last] = /^(\d{1,15})-(\d{1,15})$/.exec(range ?? "") ?? [];
    if (range !== null) {
      if (first === undefined || Number(last) < Number(first))
        throw new RegistryError("BLOB_UPLOAD_INVALID", "the Content-Range is not FIRST-LAST");
      if (Number(first) !== upload.size)
        throw new RegistryError("BLOB_UPLOAD_INVALID", `the next byte of the blob is number ${upload.size}`, {
          status: 416,
          headers: uploadHeaders(asked, upload),
        });
      if (declared !== null && Number(declared) !== Number(last) - Number(first) + 1)
        throw new RegistryError("SIZE_INVALID", "the Content-Range has not as many bytes as the Content-Length says");
    }
    await this.#uploads.receive(upload, request.body);
    if (range !== null && upload.size !== Number(last) + 1) {
      this.#uploads.discard(upload); // what is too much cannot be taken back
      throw new RegistryError("SIZE_INVALID", "the body has not as many bytes as the Content-Range says");
    }
  }

  #finishUpload(asked: Asked, upload: Upload): Response {
    const digest = asked.url.searchParams.get("digest") ?? "";
    const algorithm = tryReadAlgorithm(digest);
    if (algorithm === undefined)
      throw new RegistryError("DIGEST_INVALID", "the query has no digest of SHA-256 or SHA-512");
    const found = `${algorithm}:${upload.hashes[algorithm].digest("hex")}`;
    if (found !== digest) {
      this.#uploads.discard(upload);
      throw new RegistryError("DIGEST_INVALID", `the blob has the digest ${found}`);
    }
    this.#uploads.finish(upload);
    this.#contents.putBlob(upload.repository, digest, upload.file);
    return blobCreated(asked, upload.repository, digest);
  }

  // ---- lists

  #listRepositories(asked: Asked): Response {
    const { page, headers } = this.#page(asked, this.#contents.repositories);
    return Response.json({ repositories: page }, { headers });
  }

  #listTags(asked: Asked, name: string): Response {
    if (!this.#contents.has(name)) throw new RegistryError("NAME_UNKNOWN", "there is no such repository");
    const { page, headers } = this.#page(asked, [...this.#contents.tags(name).keys()]);
    return Response.json({ name, tags: page }, { headers });
  }

  /** Gives a part of a list of names in lexical order, and where the next one is. */
  #page(
    { url, traits }: Asked,
    all: readonly string[],
  ): { readonly page: readonly string[]; readonly headers: Readonly<Record<string, string>> } {
    const wanted = url.searchParams.get("n");
    const last = url.searchParams.get("last");
    if (wanted !== null && !/^\d{1,9}$/.test(wanted))
      throw new RegistryError("UNSUPPORTED", "n is not a number", { status: 400 });
    const rest = [...all].sort(compareNames).filter((name) => last === null || compareNames(name, last) > 0);
    const page = rest.slice(0, Math.min(Number(wanted ?? this.#pageSize), this.#pageSize));
    const isEndless = traits.has("endless-pages") && wanted !== "0";
    const end = page.at(-1);
    if (isEndless ? end === undefined : end === undefined || page.length === rest.length) return { page, headers: {} };
    const query = new URLSearchParams({ n: wanted ?? `${this.#pageSize}`, last: end ?? "" });
    if (isEndless) query.delete("last"); // begins again
    return { page, headers: { link: `<${url.pathname}?${query.toString()}>; rel="next"` } };
  }

  #listReferrers({ url, traits }: Asked, name: string, digest: string): Response {
    if (tryReadAlgorithm(digest) === undefined)
      throw new RegistryError("DIGEST_INVALID", "that is not a digest of SHA-256 or SHA-512");
    const filter = url.searchParams.get("artifactType");
    const after = Number(/^\d{1,15}$/.exec(url.searchParams.get("after") ?? "")?.[0] ?? 0);
    const isForeign = traits.has("foreign-referrers");
    const page: JsonObject[] = [];
    let bytes = 0;
    let next: number | undefined;
    let end = after;
    for (const stored of this.#contents.referrers(name)) {
      if (stored.sequence <= after || (stored.subject !== digest && !isForeign)) continue;
      const descriptor = this.#describe(stored);
      if (filter !== null && filter !== "" && descriptor?.["artifactType"] !== filter) continue;
      if (descriptor === undefined) continue;
      const size = JSON.stringify(descriptor).length;
      if (page.length >= this.#pageSize || (page.length > 0 && bytes + size > MAX_REGISTRY_MANIFEST_BYTES / 2)) {
        next = end;
        break;
      }
      page.push(descriptor);
      bytes += size;
      end = stored.sequence;
    }
    if (next === undefined && traits.has("endless-pages")) next = 0;
    const query = new URLSearchParams({ ...(filter !== null && { artifactType: filter }), after: `${next ?? 0}` });
    return Response.json(
      { schemaVersion: 2, mediaType: INDEX_MEDIA_TYPE, manifests: page },
      {
        headers: {
          "content-type": INDEX_MEDIA_TYPE,
          ...(filter !== null && filter !== "" && { "oci-filters-applied": "artifactType" }),
          ...(next !== undefined && { link: `<${url.pathname}?${query.toString()}>; rel="next"` }),
        },
      },
    );
  }

  #describe({ digest, mediaType, size }: StoredManifest): JsonObject | undefined {
    const bytes = this.#contents.manifestBytes(digest);
    if (bytes === undefined) return undefined;
    const { artifactType, annotations } = parseManifest(bytes, mediaType);
    return {
      mediaType,
      digest,
      size,
      ...(artifactType !== undefined && { artifactType }),
      ...(annotations !== undefined && { annotations }),
    };
  }
}

// ---- answers

function blobCreated({ url, traits }: Asked, name: string, digest: string): Response {
  const location = locationOf(url, traits, `/v2/${name}/blobs/${digest}`);
  return new Response(null, { status: 201, headers: { location, "docker-content-digest": digest } });
}

function uploadStatus(asked: Asked, upload: Upload, status: 202 | 204): Response {
  return new Response(null, { status, headers: uploadHeaders(asked, upload) });
}

function uploadHeaders({ url, traits }: Asked, { repository, id, secret, size }: Upload): Record<string, string> {
  const query = secret === undefined ? "" : `?_state=${secret}`;
  return {
    location: locationOf(url, traits, `/v2/${repository}/blobs/uploads/${id}${query}`),
    range: `0-${Math.max(0, size - 1)}`,
    "docker-upload-uuid": id,
  };
}

function locationOf(url: URL, traits: ReadonlySet<string>, path: string): string {
  return traits.has("absolute-location") ? `${url.origin}${path}` : path;
}

function notFound(): Response {
  return new Response("404 page not found\n", {
    status: 404,
    headers: { "content-type": "text/plain; charset=utf-8" },
  });
}

function methodNotAllowed(allow: string): never {
  throw new RegistryError("UNSUPPORTED", "method not allowed", { headers: { allow } });
}

// ---- requests

function schemeOf(traits: ReadonlySet<string>): AuthenticationScheme {
  if (traits.has("basic-auth")) return "basic";
  if (traits.has("private-token-auth")) return "private-token";
  return traits.has("token-auth") ? "token" : "none";
}

function isReading(method: string): boolean {
  return method === "GET" || method === "HEAD";
}

async function readWhole(request: Request, maxBytes: number): Promise<Uint8Array | undefined> {
  try {
    return await readBody(request, maxBytes);
  } catch {
    throw new RegistryError("SIZE_INVALID", "the body broke off");
  }
}

/** "lexical order (i.e. case-insensitive alphanumeric order)"; names that differ only in case need one too. */
function compareNames(a: string, b: string): number {
  const [left, right] = [a.toLowerCase(), b.toLowerCase()];
  if (left !== right) return left < right ? -1 : 1;
  return a === b ? 0 : a < b ? -1 : 1;
}

function forgetOldest(map: Map<string, unknown>): void {
  const [oldest] = map.keys();
  if (map.size > MAX_SANDBOX_RECORDS && oldest !== undefined) map.delete(oldest);
}
