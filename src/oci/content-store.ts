/**
 * Where images are: one repository of a registry, or an image layout on disk. Both are read and written through this interface.
 *
 * @module
 */

import type { ContentDigest } from "./content-digest.ts";
import type { Descriptor, Manifest } from "./manifest.ts";

/** Is a manifest that was fetched. Its bytes are those that its digest names: the store has computed it. */
export interface FetchedManifest {
  readonly descriptor: Descriptor;
  readonly bytes: Uint8Array;
  readonly manifest: Manifest;
  /** What a registry with conditional requests calls this state of the tag. */
  readonly etag?: string | undefined;
}

/** Lists what is attached to a digest. Claimed: that a manifest on it names the digest as its subject is for its reader to check. */
export interface ReferrersList {
  /** Where the list is from: the referrers API, the index under the tag `sha256-…`, or the files of a layout. */
  readonly source: "referrers-api" | "referrers-tag" | "layout";
  /** Without duplicates, in the order of the source. */
  readonly descriptors: readonly Descriptor[];
  /** For `referrers-tag`: the index as it was; absent where there is none yet. */
  readonly index?: FetchedManifest | undefined;
}

/** Says how a manifest is to be put. */
export interface PushManifestOptions {
  /** Moves the tag to it, too; without one it is put by its digest. */
  readonly tag?: string | undefined;
  /** Where the store has conditions: only if the tag still is in this state; `null`: only if there is no such tag. */
  readonly ifMatch?: string | null | undefined;
}

/** Says what became of a manifest that was put. */
export interface PushedManifest {
  readonly descriptor: Descriptor;
  /** Whether the store keeps the list of referrers itself: it has answered with `OCI-Subject`. */
  readonly keepsReferrers: boolean;
  readonly etag?: string | undefined;
}

/** Is a repository of a registry, or an image layout. Content that does not have the digest it was asked by is never returned. */
export interface ContentStore {
  /** For messages: `registry.example/app`, or the path of a layout. */
  readonly name: string;

  /**
   * Fetches a manifest or an index by its tag or its digest.
   *
   * @returns `undefined` where there is none.
   * @throws ServiceError, VerificationError `CONTENT_DIGEST_MISMATCH`, `MEDIA_TYPE_MISMATCH`; FormatError `MANIFEST_MALFORMED`.
   */
  fetchManifest(tagOrDigest: string): Promise<FetchedManifest | undefined>;

  /**
   * Finds out what a tag or a digest names, without fetching it where that can be avoided.
   *
   * @returns `undefined` where there is none.
   */
  resolve(tagOrDigest: string): Promise<Descriptor | undefined>;

  /**
   * Fetches a blob whole.
   *
   * @param maxBytes - More is refused, before anything is read where the descriptor says so.
   * @throws ServiceError `CONTENT_NOT_FOUND`; VerificationError `CONTENT_DIGEST_MISMATCH`, `CONTENT_SIZE_MISMATCH`; FormatError
   * `LIMIT_EXCEEDED`.
   */
  fetchBlob(descriptor: Descriptor, maxBytes: number): Promise<Uint8Array>;

  /** Streams a blob, with the errors of {@link ContentStore.fetchBlob}; digest and size are compared at its end, which throws. */
  openBlob(descriptor: Descriptor): AsyncIterable<Uint8Array>;

  hasBlob(digest: ContentDigest): Promise<boolean>;

  /**
   * Puts a blob, unless it is there.
   *
   * @param content - The bytes, or where to stream them from: a store on the same registry is asked to mount it.
   */
  pushBlob(descriptor: Descriptor, content: Uint8Array | ContentStore): Promise<void>;

  /**
   * Makes sure that something can be put here, by putting a blob although it may be there: whether it is says nothing about who may
   * write. Absent where nobody can be refused.
   *
   * @throws ServiceError `REGISTRY_UNAUTHORIZED`, and those of the store.
   */
  requirePush?(descriptor: Descriptor, content: Uint8Array): Promise<void>;

  /** Puts a manifest. @throws ServiceError `REGISTRY_UPDATE_LOST` where `ifMatch` does not hold, `REGISTRY_TAG_IMMUTABLE`. */
  pushManifest(bytes: Uint8Array, mediaType: string, options?: PushManifestOptions): Promise<PushedManifest>;

  /** Deletes a tag or a manifest. @returns whether there was one. */
  deleteManifest(tagOrDigest: string): Promise<boolean>;

  /** Lists the tags. */
  listTags(): Promise<readonly string[]>;

  /** Lists what is attached to a digest: by the referrers API, or where the registry has none, by the tag that stands in for it. */
  listReferrers(digest: ContentDigest): Promise<ReferrersList>;
}
