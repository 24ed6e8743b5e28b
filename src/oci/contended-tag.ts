/**
 * A tag that several write at once: what it names is read, changed, and put again.
 *
 * @module
 */

import type { JsonObject } from "../encoding/json.ts";
import { ServiceError } from "../errors.ts";
import { abortableSleep } from "../http/pause.ts";
import type { ContentStore, FetchedManifest } from "./content-store.ts";

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

/** Is what a tag names, as a list of entries with something around them. */
export interface TagDocument {
  /** Reads the entries. @throws what is wrong with what is there; then nothing is changed. */
  read(found: FetchedManifest | undefined): Promise<readonly JsonObject[]>;
  /** Writes a document with these entries, around which everything else stays as it is; puts the blobs that it needs. */
  write(
    entries: readonly JsonObject[],
    found: FetchedManifest | undefined,
  ): Promise<{ readonly bytes: Uint8Array; readonly mediaType: string }>;
  /** Tells entries apart. */
  keyOf(entry: JsonObject): string;
}

/** Says what is to become of the entries. */
export interface TagChange {
  readonly add: readonly JsonObject[];
  /** Is asked about every entry that is not added. */
  readonly remove: (entry: JsonObject) => boolean;
  /** Whether what is added comes first. Default false. */
  readonly addFirst?: boolean | undefined;
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

/**
 * Changes what a tag names, whoever else writes it at the same time.
 *
 * Where the registry honours conditions, what another has written meanwhile is not overwritten. Whether it does is found out by the
 * first write, under a condition that cannot hold: who refuses that honours others. Who does not has written it; there the last
 * writer wins, and a writer that has read before another wrote takes that one's entry away. So each writer reads again, several times,
 * after waits of random length, and puts back its own entry and every other that it has seen before and misses now. An entry is
 * lost only by a write that takes longer than all waits of the others together, or by one who does not read again.
 *
 * @throws ServiceError `REGISTRY_UPDATE_LOST` where the change did not stay, `REGISTRY_TAG_IMMUTABLE`, and those of the store.
 */
export async function updateTag(
  store: ContentStore,
  tag: string,
  document: TagDocument,
  change: TagChange,
  options: WriterOptions = {},
): Promise<void> {
  await new TagWriter(store, tag, document, change, options).run();
}

class TagWriter {
  readonly #store: ContentStore;
  readonly #tag: string;
  readonly #document: TagDocument;
  readonly #change: TagChange;
  readonly #random: () => number;
  readonly #pause: (ms: number) => Promise<void>;
  readonly #settleMs: number;
  /** Every entry that was seen in any read: what another writer takes away by mistake is put back. */
  readonly #seen = new Map<string, JsonObject>();
  #writes = 0;

  constructor(store: ContentStore, tag: string, document: TagDocument, change: TagChange, options: WriterOptions) {
    this.#store = store;
    this.#tag = tag;
    this.#document = document;
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
      const changed = this.#apply(await this.#document.read(found));
      if (changed === undefined) {
        steady += 1;
        // Nothing was written: it has been as it should be all along. Or it was written under a condition that held.
        if (steady > STEADY_READS || this.#writes === 0 || HONOURS_CONDITIONS.get(this.#store) === true) return;
      } else {
        steady = 0;
        if (this.#writes >= MAX_WRITES)
          throw new ServiceError(
            "REGISTRY_UPDATE_LOST",
            `others write the tag ${this.#tag} of ${this.#store.name} all the time`,
            {
              expected: "an entry that stays",
              found: `a tag that others moved ${this.#writes} times`,
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

  /** @returns the entries that are to be written, or `undefined` where nothing has to change. */
  #apply(entries: readonly JsonObject[]): readonly JsonObject[] | undefined {
    const { add, remove, addFirst = false } = this.#change;
    const keyOf = (entry: JsonObject): string => this.#document.keyOf(entry);
    const added = new Set(add.map(keyOf));
    const stays = (entry: JsonObject): boolean => added.has(keyOf(entry)) || !remove(entry);
    for (const entry of entries) this.#seen.set(keyOf(entry), entry);
    const present = new Set(entries.map(keyOf));
    const kept = entries.filter(stays);
    const lost = [...this.#seen].flatMap(([key, entry]) =>
      present.has(key) || added.has(key) || !stays(entry) ? [] : [entry],
    );
    const missing = add.filter((entry) => !present.has(keyOf(entry)));
    if (missing.length + lost.length === 0 && kept.length === entries.length) return undefined;
    return addFirst ? [...missing, ...kept, ...lost] : [...kept, ...lost, ...missing];
  }

  /** @returns `again` where what is there has to be read before anything else is done. */
  async #write(entries: readonly JsonObject[], found: FetchedManifest | undefined): Promise<"written" | "again"> {
    this.#writes += 1;
    for (const entry of entries) this.#seen.set(this.#document.keyOf(entry), entry);
    const { bytes, mediaType } = await this.#document.write(entries, found);
    const honours = HONOURS_CONDITIONS.get(this.#store);
    const ifMatch = honours === undefined ? NO_STATE : honours ? (found === undefined ? null : found.etag) : undefined;
    try {
      await this.#store.pushManifest(bytes, mediaType, { tag: this.#tag, ifMatch });
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
