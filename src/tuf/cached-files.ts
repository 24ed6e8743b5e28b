/**
 * The files of one repository in a cache: metadata, its old roots, targets, and when it was refreshed.
 *
 * @module
 */

import { equalBytes } from "../encoding/bytes.ts";
import { parseJson } from "../encoding/json.ts";
import { encodeUtf8 } from "../encoding/utf8.ts";
import { FormatError, StorageError } from "../errors.ts";
import { MAX_TUF_METADATA_BYTES } from "../limits.ts";
import { encodeSegment, type Cache } from "./cache.ts";
import type { MetadataStore } from "./updater.ts";

/** Keeps the files of one repository. What was kept can be read again even where the disk could not take it. */
export class CachedFiles implements MetadataStore {
  /** What a person should know: a cache that could not be written, a refresh that failed. */
  readonly notices: string[] = [];
  readonly #cache: Cache;
  readonly #folder: string;
  readonly #root: Uint8Array | undefined;
  /** What this run read or wrote, as it last knew it to be in the cache. */
  readonly #known = new Map<string, Uint8Array>();
  /** Metadata that was verified and waits for {@link flush}. */
  readonly #pending = new Map<string, { readonly version: number; readonly bytes: Uint8Array }>();

  /**
   * @param folder - Where in the cache the files are; empty for its top, where no time of a refresh is kept.
   * @param root - The root that trust begins with, in place of the cache's.
   */
  constructor(cache: Cache, folder: string, root: Uint8Array | undefined) {
    this.#cache = cache;
    this.#folder = folder;
    this.#root = root;
  }

  get description(): string {
    return this.#cache.description;
  }

  load(role: string): Uint8Array | undefined {
    return role === "root" && this.#root !== undefined ? this.#root : this.#read(metadataName(role));
  }

  loadRootVersion(version: number): Uint8Array | undefined {
    return this.#read(`root_history/${version}.root.json`);
  }

  /** Keeps metadata: a root at once, so that no failure afterwards can lose it, everything else until {@link flush}. */
  keep(role: string, version: number, bytes: Uint8Array): void {
    if (role === "root") {
      this.#write(`root_history/${version}.root.json`, bytes);
      this.#writeUnlessOlder(metadataName(role), version, bytes);
    } else {
      this.#pending.set(metadataName(role), { version, bytes });
    }
  }

  /** Writes what was kept. */
  flush(): void {
    for (const [name, { version, bytes }] of this.#pending) this.#writeUnlessOlder(name, version, bytes);
    this.#pending.clear();
  }

  /** Forgets what was kept and not written: half of a refresh would leave a cache that no run without a network can use. */
  discard(): void {
    this.#pending.clear();
  }

  /** When the repository was last refreshed, as far as the cache says so in a way that makes sense. */
  refreshedAt(): Date | undefined {
    if (this.#folder === "") return undefined;
    const value = readField(this.#cache.read(`${this.#folder}.json`), "lastTimestamp");
    const date = new Date(typeof value === "string" ? value : Number.NaN);
    return Number.isNaN(date.getTime()) ? undefined : date;
  }

  keepRefreshedAt(now: Date): void {
    if (this.#folder === "") return;
    const bytes = encodeUtf8(JSON.stringify({ lastTimestamp: now.toISOString() }));
    this.#attempt(() => this.#cache.write(`${this.#folder}.json`, bytes));
  }

  readTarget(name: string): Uint8Array | undefined {
    return this.#read(`targets/${encodeSegment(name)}`);
  }

  keepTarget(name: string, bytes: Uint8Array): void {
    this.#write(`targets/${encodeSegment(name)}`, bytes);
  }

  /** Writes metadata, unless another process has meanwhile written newer, which must not be taken back. */
  #writeUnlessOlder(name: string, version: number, bytes: Uint8Array): void {
    this.#attempt(() => {
      const there = this.#cache.read(this.#path(name));
      const known = this.#known.get(name);
      this.#known.set(name, bytes);
      const isOurs = there === undefined || (known !== undefined && equalBytes(there, known));
      if (isOurs || !(versionOf(there) > version)) this.#cache.write(this.#path(name), bytes);
    });
  }

  #read(name: string): Uint8Array | undefined {
    const bytes = this.#known.get(name) ?? this.#cache.read(this.#path(name));
    if (bytes !== undefined) this.#known.set(name, bytes);
    return bytes;
  }

  #write(name: string, bytes: Uint8Array): void {
    this.#known.set(name, bytes);
    this.#attempt(() => this.#cache.write(this.#path(name), bytes));
  }

  #attempt(write: () => void): void {
    try {
      write();
    } catch (error) {
      if (!(error instanceof StorageError)) throw error;
      if (this.notices.length === 0) this.notices.push(`${error.message}; going on without a cache`);
    }
  }

  #path(name: string): string {
    return this.#folder === "" ? name : `${this.#folder}/${name}`;
  }
}

function metadataName(role: string): string {
  return `${encodeSegment(role)}.json`;
}

/** Reads a version that is only compared, never trusted. @returns `NaN` where there is none. */
function versionOf(metadata: Uint8Array | undefined): number {
  return Number(readField(metadata, "signed", "version") ?? Number.NaN);
}

/** Reads one field of a small JSON file. @returns `undefined` where the file is absent, damaged or says nothing of it. */
export function readField(file: Uint8Array | undefined, ...path: readonly string[]): unknown {
  if (file === undefined) return undefined;
  try {
    let value: unknown = parseJson(file, {
      what: "cached file",
      code: "JSON_MALFORMED",
      maxBytes: MAX_TUF_METADATA_BYTES,
    });
    for (const field of path) {
      if (typeof value !== "object" || value === null || !Object.hasOwn(value, field)) return undefined;
      value = (value as Readonly<Record<string, unknown>>)[field];
    }
    return value;
  } catch (error) {
    if (error instanceof FormatError) return undefined;
    throw error;
  }
}
