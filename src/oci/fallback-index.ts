/**
 * The list of referrers where a registry keeps none: an index under the tag `sha256-…`, which every client writes by itself.
 *
 * @module
 */

import { encodeUtf8 } from "../encoding/utf8.ts";
import { parseJson, type JsonObject } from "../encoding/json.ts";
import { ServiceError, VerificationError } from "../errors.ts";
import { abortableSleep } from "../http/pause.ts";
import { MAX_MANIFEST_BYTES } from "../limits.ts";
import { attachmentTag } from "./attachment-tags.ts";
import type { ContentDigest } from "./content-digest.ts";
import type { ContentStore, FetchedManifest } from "./content-store.ts";
import { serializeDescriptor, type Descriptor } from "./manifest.ts";
import { OCI_INDEX } from "./media-types.ts";

/** Says how a writer waits for others. */
export interface WriterOptions {
  /** Waits; a test passes one that does not. */
  readonly sleep?: ((ms: number) => Promise<void>) | undefined;
  /** Gives a number from 0 to below 1. Default `Math.random`. */
  readonly random?: (() => number) | undefined;
  /** Ends the waiting; the caller then gets the signal's reason. */
  readonly signal?: AbortSignal | undefined;
  /** The first wait of a writer at most, in milliseconds: longer than a registry takes to write and to read. Default 250. */
  readonly settleMs?: number | undefined;
}

/** A state that no registry gives a tag. */
const NO_STATE = '"not-a-state"';
/** Whether a registry refuses a manifest that is put under a condition that does not hold, as far as that was found out. */
const HONOURS_CONDITIONS = new WeakMap<ContentStore, boolean>();

/** Times that the index is written before it is given up. */
const MAX_WRITES = 40;
/** Reads that must find the entry, one after the other with a wait before each, before it is believed to stay. */
const STEADY_READS = 3;
const SETTLE_MS = 250;

/** What is to become of the index: entries that must be in it, and those that must not. */
interface Change {
  readonly add: readonly Descriptor[];
  readonly remove: ReadonlySet<ContentDigest>;
}

/**
 * Puts an entry into the index of a digest, whoever else writes it at the same time.
 *
 * Where the registry honours conditions, an index that another has written meanwhile is not overwritten. Whether it does is found out
 * by the first write, under a condition that cannot hold: who refuses that honours others. Who does not has written it; there the last writer wins, and a writer that has read before another wrote
 * takes that one's entry away. So each writer reads again, several times, after waits of random length, and puts back its own entry and every
 * other that it has seen before and misses now. Entries are lost only if a writer ends, or is cut off, between the last
 * read of all others and its own late write: a write that takes longer than all waits of the others together.
 *
 * @throws ServiceError `REGISTRY_UPDATE_LOST` where the entry did not stay, `REGISTRY_TAG_IMMUTABLE`, and those of the store;
 * VerificationError `MEDIA_TYPE_MISMATCH` where the tag names no index.
 * @see opencontainers/distribution-spec spec.md, "Referrers Tag Schema"
 */
export async function addToFallbackIndex(
  store: ContentStore,
  subject: ContentDigest,
  entry: Descriptor,
  options: WriterOptions = {},
): Promise<void> {
  await new IndexWriter(store, subject, { add: [entry], remove: new Set() }, options).run();
}

/**
 * Takes entries out of the index of a digest, as {@link addToFallbackIndex} puts them in. An index that has become empty is left.
 *
 * @throws as {@link addToFallbackIndex}.
 */
export async function removeFromFallbackIndex(
  store: ContentStore,
  subject: ContentDigest,
  digests: readonly ContentDigest[],
  options: WriterOptions = {},
): Promise<void> {
  await new IndexWriter(store, subject, { add: [], remove: new Set(digests) }, options).run();
}

class IndexWriter {
  readonly #store: ContentStore;
  readonly #tag: string;
  readonly #change: Change;
  readonly #random: () => number;
  readonly #pause: (ms: number) => Promise<void>;
  readonly #settleMs: number;
  /** Every entry that was seen in any read, as it was written: what another writer takes away by mistake is put back. */
  readonly #seen = new Map<string, JsonObject>();
  #writes = 0;

  constructor(store: ContentStore, subject: ContentDigest, change: Change, options: WriterOptions) {
    this.#store = store;
    this.#tag = attachmentTag(subject, "referrers");
    this.#change = change;
    this.#random = options.random ?? Math.random;
    this.#settleMs = options.settleMs ?? SETTLE_MS;
    const { signal, sleep = (ms: number) => abortableSleep(ms, signal) } = options;
    this.#pause = async (ms) => {
      await sleep(ms);
      signal?.throwIfAborted();
    };
  }

  async run(): Promise<void> {
    let steady = 0;
    for (;;) {
      const found = await this.#store.fetchManifest(this.#tag);
      const document = readIndex(found, this.#store.name, this.#tag);
      const changed = this.#apply(document);
      if (changed === undefined) {
        steady += 1;
        // Nothing was written: it has been as it should be all along. Or it was written under a condition that held.
        if (steady > STEADY_READS || this.#writes === 0 || HONOURS_CONDITIONS.get(this.#store) === true) return;
      } else {
        steady = 0;
        if (this.#writes >= MAX_WRITES)
          throw new ServiceError(
            "REGISTRY_UPDATE_LOST",
            `others write the index ${this.#tag} of ${this.#store.name} all the time`,
            {
              expected: "an entry that stays",
              found: `an index that others replaced ${this.#writes} times`,
              retryable: true,
            },
          );
        if ((await this.#write(changed, found)) === "again") continue;
      }
      // Longer each time that it was in vain: who waits longest writes last, and sees what all others wrote.
      const longest = this.#settleMs * Math.min(8, 1 + this.#writes / 2);
      await this.#pause(longest * (0.2 + 0.8 * this.#random()));
    }
  }

  /** @returns what is to be written, or `undefined` where nothing has to change. */
  #apply(document: JsonObject): JsonObject | undefined {
    const entries = document["manifests"] as readonly JsonObject[];
    const { add, remove } = this.#change;
    for (const entry of entries) this.#seen.set(digestOf(entry), entry);
    const present = new Set(entries.map(digestOf));
    const kept = entries.filter((entry) => !(remove as ReadonlySet<string>).has(digestOf(entry)));
    const missing = [
      ...[...this.#seen].filter(([digest]) => !present.has(digest) && !(remove as ReadonlySet<string>).has(digest)),
      ...add.filter(({ digest }) => !present.has(digest) && !this.#seen.has(digest)).map(toEntry),
    ].map(([, entry]) => entry);
    if (missing.length === 0 && kept.length === entries.length) return undefined;
    return { ...document, manifests: [...kept, ...missing] };
  }

  /** @returns `again` where what is there has to be read before anything else is done. */
  async #write(document: JsonObject, found: FetchedManifest | undefined): Promise<"written" | "again"> {
    this.#writes += 1;
    for (const entry of document["manifests"] as readonly JsonObject[]) this.#seen.set(digestOf(entry), entry);
    const bytes = encodeUtf8(JSON.stringify(document));
    if (bytes.length > MAX_MANIFEST_BYTES)
      throw new ServiceError("REGISTRY_UPDATE_LOST", `index ${this.#tag} of ${this.#store.name} is full`, {
        expected: `at most ${MAX_MANIFEST_BYTES} bytes`,
        found: `${bytes.length} bytes`,
        remedy: "remove what is no longer needed with cosign-ts clean, or use a registry with the referrers API",
      });
    const honours = HONOURS_CONDITIONS.get(this.#store);
    const ifMatch = honours === undefined ? NO_STATE : honours ? (found === undefined ? null : found.etag) : undefined;
    try {
      await this.#store.pushManifest(bytes, OCI_INDEX, { tag: this.#tag, ifMatch });
      if (honours === undefined) HONOURS_CONDITIONS.set(this.#store, false);
      return honours === true ? "again" : "written";
    } catch (error) {
      if (!(error instanceof ServiceError && error.code === "REGISTRY_UPDATE_LOST")) throw error;
      if (honours !== undefined) return "written"; // another has written meanwhile: wait, and read what
      HONOURS_CONDITIONS.set(this.#store, true);
      this.#writes = 0;
      return "again";
    }
  }
}

/** Reads the index as it is written, so that what others put into it survives. */
function readIndex(found: FetchedManifest | undefined, name: string, tag: string): JsonObject {
  if (found === undefined) return { schemaVersion: 2, mediaType: OCI_INDEX, manifests: [] };
  if (found.manifest.kind !== "index") {
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

function toEntry(descriptor: Descriptor): readonly [string, JsonObject] {
  return [descriptor.digest, serializeDescriptor(descriptor)];
}
