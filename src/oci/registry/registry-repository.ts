/**
 * One repository of a registry.
 *
 * @module
 */

import { FormatError, InputError, ServiceError, VerificationError } from "../../errors.ts";
import type { HttpAnswer } from "../../http/request.ts";
import { readJsonAnswer } from "../../http/service-answer.ts";
import { MAX_MANIFEST_BYTES, MAX_REFERRERS, MAX_REGISTRY_PAGE_BYTES, MAX_TAGS } from "../../limits.ts";
import { attachmentTag } from "../attachment-tags.ts";
import type { RegistryAction, RegistryScope } from "./authorization.ts";
import {
  algorithmOf,
  contentDigestOf,
  isContentDigest,
  toDigest,
  verifyContent,
  type ContentDigest,
} from "../content-digest.ts";
import type {
  ContentStore,
  FetchedManifest,
  PushedManifest,
  PushManifestOptions,
  ReferrersList,
} from "../content-store.ts";
import { MANIFEST_MEDIA_TYPES, parseManifest, type Descriptor } from "../manifest.ts";
import { ManifestMemory } from "./manifest-memory.ts";
import { OCI_INDEX } from "../media-types.ts";
import { readPages } from "./paging.ts";
import { isTag } from "../reference.ts";
import { serverWordsOf } from "./registry-scheme.ts";
import type { RegistryRequest, RegistrySession } from "./registry-session.ts";
import { uploadBlob } from "./uploads.ts";

/** Statuses that say that a registry has no list of referrers. Any other says that the list cannot be known. */
const NO_REFERRERS_API: readonly number[] = [400, 404, 406];
/** What registries say of a tag that must not be moved. The specification has no code for that. */
const IMMUTABLE = /immutab|TAG_INVALID|TAG_ALREADY_EXISTS|overwrit|already exists|disallowed/i;

/** Is a repository of a registry, through the session with that. */
export class RegistryRepository implements ContentStore {
  readonly name: string;
  readonly repository: string;
  readonly session: RegistrySession;
  readonly #memory = new ManifestMemory();
  /** Blobs on their way: who wants one of them, too, waits for it. Tags are asked for each time, as they may have moved. */
  readonly #fetching = new Map<string, Promise<Uint8Array>>();
  /** Whether the registry keeps lists of referrers, once that is known. */
  #hasReferrersApi: boolean | undefined;

  constructor(session: RegistrySession, repository: string) {
    this.session = session;
    this.repository = repository;
    this.name = `${session.registry}/${repository}`;
  }

  async fetchManifest(tagOrDigest: string): Promise<FetchedManifest | undefined> {
    requireReference(tagOrDigest);
    return isContentDigest(tagOrDigest)
      ? await this.#memory.get(tagOrDigest, () => this.#fetchManifest(tagOrDigest, tagOrDigest))
      : await this.#fetchManifest(tagOrDigest, undefined);
  }

  async #fetchManifest(tagOrDigest: string, asked: ContentDigest | undefined): Promise<FetchedManifest | undefined> {
    const answer = await this.#ask("pull", {
      method: "GET",
      target: `manifests/${tagOrDigest}`,
      accept: [200, 404],
      headers: { accept: MANIFEST_MEDIA_TYPES.join(", ") },
      // An error has a body, too.
      maxBytes: MAX_MANIFEST_BYTES,
    });
    if (answer.status === 404) return undefined;
    const { body, headers } = answer;
    const what = `manifest ${tagOrDigest} of ${this.name}`;
    const claimed = headers.get("docker-content-digest") ?? "";
    const digest = asked ?? contentDigestOf(body, isContentDigest(claimed) ? algorithmOf(claimed) : "sha256");
    verifyContent(body, digest, what);
    if (isContentDigest(claimed)) verifyContent(body, claimed, what);
    const mediaType = mediaTypeOf(answer);
    const fetched: FetchedManifest = {
      descriptor: { mediaType, digest, size: body.length },
      bytes: body,
      manifest: parseManifest(body, mediaType),
      etag: headers.get("etag") ?? undefined,
    };
    this.#memory.add(fetched);
    return fetched;
  }

  /** By fetching it: what a registry says of a digest is not what counts. */
  async resolve(tagOrDigest: string): Promise<Descriptor | undefined> {
    return (await this.fetchManifest(tagOrDigest))?.descriptor;
  }

  async fetchBlob(descriptor: Descriptor, maxBytes: number): Promise<Uint8Array> {
    const { digest, size } = descriptor;
    if (size > maxBytes) {
      throw new FormatError("LIMIT_EXCEEDED", `blob ${digest} of ${this.name} is too large`, {
        expected: `at most ${maxBytes} bytes`,
        found: `${size} bytes`,
      });
    }
    const key = `${digest} ${size}`;
    let fetching = this.#fetching.get(key);
    if (fetching === undefined) {
      fetching = this.#fetchBlob(descriptor).finally(() => this.#fetching.delete(key));
      this.#fetching.set(key, fetching);
    }
    return await fetching;
  }

  async #fetchBlob(descriptor: Descriptor): Promise<Uint8Array> {
    const { digest, size } = descriptor;
    try {
      const { body, headers } = await this.#ask("pull", {
        method: "GET",
        target: `blobs/${digest}`,
        accept: [200],
        maxBytes: size,
        contentBytes: size,
      });
      this.#requireSize(digest, size, body.length, headers.get("content-encoding"));
      verifyContent(body, digest, `blob of ${this.name}`);
      return body;
    } catch (error) {
      throw this.#blobError(error, descriptor);
    }
  }

  async *openBlob(descriptor: Descriptor): AsyncGenerator<Uint8Array> {
    const { digest, size } = descriptor;
    const { algorithm, value } = toDigest(digest);
    const hash = process.getBuiltinModule("node:crypto").createHash(algorithm);
    let length = 0;
    let encoding: string | null = null;
    const target = `${this.repository}/blobs/${digest}`;
    try {
      const stream = this.session.stream(target, this.#scope("pull"), size, ({ headers, length: announced }) => {
        encoding = headers.get("content-encoding");
        this.#requireSize(digest, size, announced ?? size, encoding);
      });
      for await (const chunk of stream) {
        hash.update(chunk);
        length += chunk.length;
        yield chunk;
      }
    } catch (error) {
      throw this.#blobError(error, descriptor);
    }
    this.#requireSize(digest, size, length, encoding);
    if (hash.digest().equals(value)) return;
    throw new VerificationError("CONTENT_DIGEST_MISMATCH", `blob of ${this.name} is not what its digest names`, {
      expected: digest,
    });
  }

  #blobError(error: unknown, { digest, size }: Descriptor): unknown {
    if (!(error instanceof ServiceError)) return error;
    if (error.status === 404) return this.#noBlob(digest);
    return error.code === "HTTP_RESPONSE_TOO_LARGE"
      ? this.#wrongSize(digest, size, `more than ${size} bytes`, error)
      : error;
  }

  #requireSize(digest: ContentDigest, expected: number, found: number, encoding: string | null): void {
    if (expected === found) return;
    // Some storage takes a compressed layer for content that it has compressed itself, and has it undone on the way.
    const undone = encoding === null ? "" : ", after a compression that nobody asked for was undone";
    throw this.#wrongSize(digest, expected, `${found} bytes${undone}`);
  }

  #wrongSize(digest: ContentDigest, expected: number, found: string, cause?: unknown): VerificationError {
    return new VerificationError(
      "CONTENT_SIZE_MISMATCH",
      `blob ${digest} of ${this.name} is of another size than was said`,
      { expected: `${expected} bytes`, found, cause },
    );
  }

  #noBlob(digest: ContentDigest): ServiceError {
    return new ServiceError("CONTENT_NOT_FOUND", `${this.name} has no blob ${digest}`, {
      status: 404,
      service: `registry ${this.session.registry}`,
    });
  }

  async hasBlob(digest: ContentDigest): Promise<boolean> {
    return await this.#hasBlob(digest, this.#scope("pull"));
  }

  async #hasBlob(digest: ContentDigest, scope: RegistryScope): Promise<boolean> {
    const { status } = await this.session.send({
      method: "HEAD",
      target: `${this.repository}/blobs/${digest}`,
      scope,
      accept: [200, 404, 405],
      maxBytes: 0,
    });
    return status === 200;
  }

  async pushBlob(descriptor: Descriptor, content: Uint8Array | ContentStore): Promise<void> {
    const mountFrom =
      content instanceof RegistryRepository && content.session === this.session ? content.repository : undefined;
    // All with what the whole of it needs, so that one token does for it.
    const scope = { ...this.#scope("push"), ...(mountFrom !== undefined && { mountFrom }) };
    if (await this.#hasBlob(descriptor.digest, scope)) return;
    const upload = { session: this.session, repository: this.repository, scope };
    const bytes = content instanceof Uint8Array ? content : content.openBlob(descriptor);
    await uploadBlob(upload, descriptor, bytes, mountFrom);
  }

  async requirePush(descriptor: Descriptor, content: Uint8Array): Promise<void> {
    await uploadBlob(
      { session: this.session, repository: this.repository, scope: this.#scope("push") },
      descriptor,
      content,
    );
  }

  async pushManifest(
    bytes: Uint8Array,
    mediaType: string,
    { tag, ifMatch }: PushManifestOptions = {},
  ): Promise<PushedManifest> {
    if (tag !== undefined) requireReference(tag);
    const digest = contentDigestOf(bytes);
    const subject = parseManifest(bytes, mediaType).subject?.digest;
    const answer = await this.#put(tag ?? digest, bytes, mediaType, ifMatch, tag !== undefined);
    const { headers } = answer;
    const claimed = headers.get("docker-content-digest") ?? "";
    if (isContentDigest(claimed)) {
      const expected = contentDigestOf(bytes, algorithmOf(claimed));
      if (claimed !== expected)
        throw new VerificationError(
          "CONTENT_DIGEST_MISMATCH",
          `${this.name} has kept something else than was put there`,
          { expected, found: claimed },
        );
    }
    const keepsReferrers = subject !== undefined && headers.get("oci-subject") === subject;
    if (subject !== undefined && keepsReferrers) this.#hasReferrersApi = true;
    return {
      descriptor: { mediaType, digest, size: bytes.length },
      keepsReferrers,
      etag: headers.get("etag") ?? undefined,
    };
  }

  async #put(
    reference: string,
    bytes: Uint8Array,
    mediaType: string,
    ifMatch: string | null | undefined,
    isTag: boolean,
  ): Promise<HttpAnswer> {
    try {
      return await this.#ask("push", {
        method: "PUT",
        target: `manifests/${reference}`,
        accept: [201, 200, 202, 204],
        maxBytes: MAX_REGISTRY_PAGE_BYTES,
        headers: {
          "content-type": mediaType,
          ...(ifMatch === null && { "if-none-match": "*" }),
          ...(typeof ifMatch === "string" && { "if-match": ifMatch }),
        },
        body: bytes,
      });
    } catch (error) {
      if (!(error instanceof ServiceError) || error.status === undefined || !isTag) throw error;
      const { status, message } = error;
      const words = serverWordsOf(error);
      const details = { status, service: error.service, attempts: error.attempts, cause: error };
      // A conflict without words is that of the condition, if there was one.
      if ((status === 409 && ifMatch === undefined) || (status >= 400 && status < 500 && IMMUTABLE.test(words)))
        throw new ServiceError(
          "REGISTRY_TAG_IMMUTABLE",
          `tag ${reference} of ${this.name} cannot be moved: ${message}`,
          details,
        );
      if ((status === 412 || status === 409) && ifMatch !== undefined)
        throw new ServiceError("REGISTRY_UPDATE_LOST", `tag ${reference} of ${this.name} was moved by another`, {
          ...details,
          retryable: true,
        });
      throw error;
    }
  }

  async deleteManifest(tagOrDigest: string): Promise<boolean> {
    requireReference(tagOrDigest);
    const { status } = await this.#ask("delete", {
      method: "DELETE",
      target: `manifests/${tagOrDigest}`,
      accept: [200, 202, 204, 404],
      maxBytes: MAX_REGISTRY_PAGE_BYTES,
    });
    this.#memory.delete(tagOrDigest);
    return status !== 404;
  }

  async listTags(): Promise<readonly string[]> {
    const tags = await readPages(
      this.session,
      `${this.repository}/tags/list`,
      MAX_TAGS,
      (target) => this.#list(target, [200, 404]),
      (answer) => (answer.status === 404 ? undefined : this.#readTags(answer)),
    );
    return [...new Set(tags ?? [])];
  }

  #readTags(answer: HttpAnswer): readonly string[] {
    return readJsonAnswer(answer, `registry ${this.session.registry}`, "a list of tags", (reader) =>
      (reader.object().optional("tags")?.array(MAX_TAGS) ?? []).map((item) => {
        const tag = item.string();
        // What is no tag could be a path to something else.
        if (!isTag(tag)) item.fail("is not a tag");
        return tag;
      }),
    );
  }

  async listReferrers(digest: ContentDigest): Promise<ReferrersList> {
    if (this.#hasReferrersApi !== false) {
      let isThere = true;
      const found = await readPages(
        this.session,
        `${this.repository}/referrers/${digest}`,
        MAX_REFERRERS,
        (target) => this.#list(target, [200, ...NO_REFERRERS_API]),
        (answer) => {
          isThere = answer.status !== 404 || !Buffer.from(answer.body).includes("NAME_UNKNOWN");
          return this.#readReferrers(answer);
        },
      );
      // A repository of which there is nothing yet says nothing of what its registry can do.
      if (isThere) this.#hasReferrersApi = found !== undefined;
      if (found !== undefined) return { source: "referrers-api", descriptors: withoutRepeats(found) };
    }
    const tag = attachmentTag(digest, "referrers");
    const index = await this.fetchManifest(tag);
    if (index === undefined) return { source: "referrers-tag", descriptors: [] };
    // cosign's `copy` gives every manifest this tag, which then is no list of what refers to it.
    if (index.manifest.kind !== "index") return { source: "referrers-tag", descriptors: [] };
    return { source: "referrers-tag", descriptors: withoutRepeats(index.manifest.manifests), index };
  }

  /** @returns `undefined` for an answer of a registry that has no such list. */
  #readReferrers(answer: HttpAnswer): readonly Descriptor[] | undefined {
    if (answer.status !== 200 || mediaTypeOf(answer) !== OCI_INDEX) return undefined;
    const index = parseManifest(answer.body, OCI_INDEX);
    return index.kind === "index" ? index.manifests : undefined;
  }

  async #list(target: string, accept: readonly number[]): Promise<HttpAnswer> {
    return await this.session.send({
      method: "GET",
      target,
      scope: this.#scope("pull"),
      accept,
      headers: { accept: `${OCI_INDEX}, application/json` },
      maxBytes: MAX_REGISTRY_PAGE_BYTES,
    });
  }

  async #ask(action: RegistryAction, request: Omit<RegistryRequest, "scope">): Promise<HttpAnswer> {
    const target = `${this.repository}/${request.target}`;
    return await this.session.send({ ...request, target, scope: this.#scope(action) });
  }

  #scope(action: RegistryAction): RegistryScope {
    const actions: readonly RegistryAction[] =
      action === "pull" ? ["pull"] : action === "push" ? ["pull", "push"] : ["pull", "push", "delete"];
    return { repository: this.repository, actions };
  }
}

/** What has other characters could be a path to something else. One that is too long is for the registry to refuse. */
function requireReference(text: string): void {
  if (/^[A-Za-z0-9_][A-Za-z0-9._-]*$/.test(text) || isContentDigest(text)) return;
  throw new InputError("REFERENCE_MALFORMED", `${JSON.stringify(text.slice(0, 160))} is neither a tag nor a digest`);
}

function mediaTypeOf({ headers }: HttpAnswer): string {
  return headers.get("content-type")?.split(";")[0]?.trim().toLowerCase() ?? "";
}

/** A list may name one manifest twice; it is one all the same. */
function withoutRepeats(descriptors: readonly Descriptor[]): readonly Descriptor[] {
  const seen = new Set<string>();
  return descriptors.filter(({ digest }) => {
    if (seen.has(digest)) return false;
    seen.add(digest);
    return true;
  });
}
