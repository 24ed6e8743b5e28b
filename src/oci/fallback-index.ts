/**
 * The list of referrers where a registry keeps none: an index under the tag `sha256-…`, which every client writes by itself.
 *
 * @module
 */

import { encodeUtf8 } from "../encoding/utf8.ts";
import { parseJson, type JsonObject } from "../encoding/json.ts";
import { ServiceError, VerificationError } from "../errors.ts";
import { MAX_MANIFEST_BYTES } from "../limits.ts";
import { attachmentTag } from "./attachment-tags.ts";
import type { ContentDigest } from "./content-digest.ts";
import type { ContentStore, FetchedManifest } from "./content-store.ts";
import { updateTag, type TagDocument, type WriterOptions } from "./contended-tag.ts";
import { serializeDescriptor, type Descriptor } from "./manifest.ts";
import { OCI_INDEX } from "./media-types.ts";

/**
 * Puts an entry into the index of a digest, whoever else writes it at the same time: see `updateTag`. Entries of others stay as they
 * were written.
 *
 * @throws as `updateTag`; VerificationError `MEDIA_TYPE_MISMATCH` where the tag names no index.
 * @see opencontainers/distribution-spec spec.md, "Referrers Tag Schema"
 */
export async function addToFallbackIndex(
  store: ContentStore,
  subject: ContentDigest,
  entry: Descriptor,
  options: WriterOptions = {},
): Promise<void> {
  const tag = attachmentTag(subject, "referrers");
  const change = { add: [serializeDescriptor(entry)], remove: () => false };
  await updateTag(store, tag, indexUnder(tag, store.name), change, options);
}

/**
 * Takes entries out of the index of a digest. An index that has become empty is left.
 *
 * @throws as {@link addToFallbackIndex}.
 */
export async function removeFromFallbackIndex(
  store: ContentStore,
  subject: ContentDigest,
  digests: readonly ContentDigest[],
  options: WriterOptions = {},
): Promise<void> {
  const tag = attachmentTag(subject, "referrers");
  const gone: ReadonlySet<string> = new Set(digests);
  const change = { add: [], remove: (entry: JsonObject) => gone.has(digestOf(entry)) };
  await updateTag(store, tag, indexUnder(tag, store.name), change, options);
}

function indexUnder(tag: string, name: string): TagDocument {
  return {
    read: (found) => Promise.resolve(readIndex(found, name, tag)["manifests"] as readonly JsonObject[]),
    write(entries, found) {
      const bytes = encodeUtf8(JSON.stringify({ ...readIndex(found, name, tag), manifests: entries }));
      if (bytes.length <= MAX_MANIFEST_BYTES) return Promise.resolve({ bytes, mediaType: OCI_INDEX });
      throw new ServiceError("REGISTRY_UPDATE_LOST", `index ${tag} of ${name} is full`, {
        expected: `at most ${MAX_MANIFEST_BYTES} bytes`,
        found: `${bytes.length} bytes`,
        remedy: "remove what is no longer needed with cosign-ts clean, or use a registry with the referrers API",
      });
    },
    keyOf: digestOf,
  };
}

/** Reads the index as it is written, so that what others put into it survives. */
function readIndex(found: FetchedManifest | undefined, name: string, tag: string): JsonObject {
  if (found === undefined) return { schemaVersion: 2, mediaType: OCI_INDEX, manifests: [] };
  if (found.descriptor.mediaType !== OCI_INDEX) {
    throw new VerificationError("MEDIA_TYPE_MISMATCH", `tag ${tag} of ${name} names no list of referrers`, {
      expected: OCI_INDEX,
      found: found.descriptor.mediaType,
      remedy: "find out who wrote that tag; nothing was changed",
    });
  }
  const json = parseJson(found.bytes, { what: "index", code: "MANIFEST_MALFORMED", maxBytes: MAX_MANIFEST_BYTES });
  return { manifests: [], ...(json as JsonObject) };
}

/** The index was parsed before: every entry has a digest. */
function digestOf(entry: JsonObject): string {
  return entry["digest"] as string;
}
