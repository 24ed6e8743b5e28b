/**
 * A client of one TUF repository: refreshes when it has to, works from its cache when it may, and says which of the two it did.
 *
 * @module
 */

import { ServiceError, StorageError, TrustError, type SigstoreError } from "../errors.ts";
import { equalBytes } from "../encoding/bytes.ts";
import { encodeUtf8, tryDecodeUtf8 } from "../encoding/utf8.ts";
import { parseJson } from "../encoding/json.ts";
import { MAX_TUF_TARGET_BYTES } from "../limits.ts";
import type { TrustSource } from "../trust/trust-source.ts";
import { encodeSegment, type Cache } from "./cache.ts";
import type { Download, VerifiedRepository } from "./updater.ts";

/** How long a refresh is good for, unless `timestamp.json` ends earlier: one day. */
export const DEFAULT_MAX_AGE_MS = 24 * 60 * 60 * 1000;

/** Configures a {@link TufClient}. */
export interface TufClientOptions {
  /** Base URL of the repository. */
  readonly mirror: string;
  /** Base URL of the targets. Default: `targets` below the mirror. */
  readonly targetsUrl?: string | undefined;
  /** The `root.json` that trust begins with. Default: the one in the cache, which is then trusted as it stands. */
  readonly root?: Uint8Array | undefined;
  readonly cache: Cache;
  /** Where in the cache this repository's files are; empty for the cache's top. */
  readonly folder: string;
  readonly download: Download;
  readonly now: Date;
  /** Opens no socket; then expired metadata will do, and the source says so. Default false. */
  readonly offline?: boolean | undefined;
  /** Milliseconds that a refresh is good for. 0 refreshes every time. Default {@link DEFAULT_MAX_AGE_MS}. */
  readonly maxAgeMs?: number | undefined;
  /** Whether an unexpired cache will do when the repository cannot be reached. Default true. */
  readonly allowStale?: boolean | undefined;
}

/** Reads verified targets of one TUF repository. */
export class TufClient {
  /** Where the metadata came from, and how fresh it is. */
  readonly source: TrustSource & { readonly kind: "tuf" };
  /** What a person should know: a cache that could not be written, a refresh that failed. */
  readonly notices: readonly string[];
  readonly #repository: VerifiedRepository;
  readonly #files: CachedFiles;
  readonly #options: TufClientOptions;

  private constructor(repository: VerifiedRepository, files: CachedFiles, source: TufClient["source"], options: TufClientOptions) {
    this.#repository = repository;
    this.#files = files;
    this.source = source;
    this.notices = files.notices;
    this.#options = options;
  }

  /**
   * Opens a repository: from the cache while that is fresh, otherwise refreshed. When the repository cannot be reached, an
   * unexpired cache will do; metadata that is wrong is never replaced by the cache.
   *
   * @throws {@link TrustError}, {@link StorageError} `CACHE_UNREADABLE`.
   * @see TUF specification §5
   */
  static async open(options: TufClientOptions): Promise<TufClient> {
    const files = new CachedFiles(options.cache, options.folder, options.root);
    const { now, offline = false, maxAgeMs = DEFAULT_MAX_AGE_MS } = options;
    const refreshedAt = files.refreshedAt();
    if (offline) return await openLocal(files, options, refreshedAt, new Date(0));

    const age = refreshedAt === undefined ? undefined : now.getTime() - refreshedAt.getTime();
    if (age !== undefined && age >= 0 && age < maxAgeMs) {
      try {
        return await openLocal(files, options, refreshedAt, now);
      } catch (error) {
        if (!(error instanceof TrustError)) throw error; // otherwise: the cache is stale or damaged, so refresh
      }
    }
    try {
      return await openRemote(files, options);
    } catch (error) {
      if (!(error instanceof ServiceError) || options.allowStale === false) throw error;
      return await openAfterFailure(files, options, refreshedAt, error);
    }
  }

  /**
   * Reads a target whose length and hashes the metadata names, from the cache where it is still the same.
   *
   * @throws {@link TrustError} `TUF_TARGET_NOT_FOUND`, `TUF_TARGET_INVALID`, `TUF_REFRESH_FAILED`.
   */
  async target(name: string): Promise<Uint8Array> {
    const target = await this.#repository.find(name);
    if (target === undefined) {
      throw new TrustError("TUF_TARGET_NOT_FOUND", `repository ${this.#options.mirror} has no target ${JSON.stringify(name)}`);
    }
    const { verifyTarget } = await loadUpdater();
    const cached = this.#files.readTarget(name);
    if (cached !== undefined) {
      try {
        await verifyTarget(target, cached);
        return cached;
      } catch (error) {
        if (this.#options.offline === true) throw error;
      }
    }
    if (this.#options.offline === true) {
      throw new TrustError("TUF_TARGET_NOT_FOUND", `target ${JSON.stringify(name)} is not in the cache ${this.#files.description}`, {
        remedy: "work online once",
      });
    }
    if (target.length > MAX_TUF_TARGET_BYTES) {
      throw new TrustError("TUF_TARGET_INVALID", `target ${JSON.stringify(name)} is larger than any target needs to be`, {
        expected: `at most ${MAX_TUF_TARGET_BYTES} bytes`,
        found: `${target.length} bytes`,
      });
    }
    const [hash] = Object.values(target.hashes);
    const slash = name.lastIndexOf("/") + 1; // consistent snapshots put the hash before the last path segment
    const path = `${name.slice(0, slash)}${hash ?? ""}.${name.slice(slash)}`;
    const base = this.#options.targetsUrl ?? `${trimSlashes(this.#options.mirror)}/targets`;
    const url = `${trimSlashes(base)}/${path.split("/").map(encodeURIComponent).join("/")}`;
    const bytes = await fetchTarget(url, target.length, name, this.#options.download);
    await verifyTarget(target, bytes);
    this.#files.keepTarget(name, bytes);
    return bytes;
  }

  /** @internal */
  static make(repository: VerifiedRepository, files: CachedFiles, source: TufClient["source"], options: TufClientOptions): TufClient {
    return new TufClient(repository, files, source, options);
  }
}

/** `tuf-js` is loaded by those who use it: a trusted root from a file needs none of it. */
function loadUpdater(): Promise<typeof import("./updater.ts")> {
  return import("./updater.ts");
}

async function fetchTarget(url: string, length: number, name: string, download: Download): Promise<Uint8Array> {
  try {
    return await download(url, length);
  } catch (cause) {
    if (!(cause instanceof ServiceError)) throw cause;
    if (cause.code === "HTTP_RESPONSE_TOO_LARGE") {
      throw new TrustError("TUF_TARGET_INVALID", `target ${JSON.stringify(name)} is longer than the metadata says`, { expected: `${length} bytes`, cause });
    }
    throw new TrustError("TUF_REFRESH_FAILED", `could not fetch the target ${JSON.stringify(name)}: ${cause.message}`, { cause });
  }
}

async function openRemote(files: CachedFiles, options: TufClientOptions): Promise<TufClient> {
  const { mirror, download, now } = options;
  const { openRepository } = await loadUpdater();
  const open = (): Promise<VerifiedRepository> =>
    openRepository({ metadataUrl: trimSlashes(mirror), store: files, now, mode: "remote", download: files.withRootHistory(download) });
  let repository: VerifiedRepository;
  try {
    repository = await open();
  } catch (error) {
    if (!(error instanceof TrustError) || !files.servedRootHistory) throw error;
    files.forgetRootHistory(); // a damaged cache must not keep us from the repository's own roots
    repository = await open();
  }
  files.keepRefreshedAt(now);
  return TufClient.make(repository, files, sourceOf(repository, options, now, false), options);
}

async function openLocal(
  files: CachedFiles,
  options: TufClientOptions,
  refreshedAt: Date | undefined,
  referenceTime: Date,
): Promise<TufClient> {
  const download = files.withRootHistory((url) =>
    Promise.reject(new ServiceError("OFFLINE", `the cache ${files.description} does not hold what was needed`, { status: 404, found: url })),
  );
  const { openRepository } = await loadUpdater();
  let repository: VerifiedRepository;
  try {
    repository = await openRepository({ metadataUrl: trimSlashes(options.mirror), store: files, now: referenceTime, mode: "local", download });
  } catch (error) {
    if (!(error instanceof ServiceError)) throw error;
    throw new TrustError("TUF_ROOT_MISSING", `the cache ${files.description} holds no usable metadata of ${options.mirror}`, {
      remedy: "work online once, or give a trusted root file",
      cause: error,
    });
  }
  return TufClient.make(repository, files, sourceOf(repository, options, refreshedAt ?? new Date(0), true), options);
}

async function openAfterFailure(
  files: CachedFiles,
  options: TufClientOptions,
  refreshedAt: Date | undefined,
  failure: ServiceError,
): Promise<TufClient> {
  try {
    const client = await openLocal(files, options, refreshedAt, options.now);
    files.notices.push(`could not refresh ${options.mirror} (${failure.message}); using metadata of ${client.source.refreshedAt.toISOString()}`);
    return client;
  } catch (error) {
    if (!(error instanceof TrustError)) throw error;
    throw new TrustError("TUF_REFRESH_FAILED", `could not refresh TUF metadata: ${failure.message}`, {
      remedy: "check the network and the mirror's address, give a trusted root file, or use --offline to accept cached or embedded trust",
      cause: failure,
    });
  }
}

function sourceOf(repository: VerifiedRepository, options: TufClientOptions, refreshedAt: Date, fromCache: boolean): TufClient["source"] {
  const ends = (["root", "timestamp", "snapshot", "targets"] as const)
    .map((role) => repository.expires(role)?.getTime())
    .filter((time) => time !== undefined);
  const expires = new Date(Math.min(...ends));
  return { kind: "tuf", mirror: options.mirror, refreshedAt, fromCache, expires, expired: options.now >= expires };
}

/** Is the cache as the updater sees it: what was written can be read again even where the disk could not keep it. */
class CachedFiles {
  readonly notices: string[] = [];
  servedRootHistory = false;
  readonly #cache: Cache;
  readonly #folder: string;
  readonly #root: Uint8Array | undefined;
  readonly #kept = new Map<string, Uint8Array>();
  readonly #loaded = new Map<string, Uint8Array>();
  #useRootHistory = true;

  constructor(cache: Cache, folder: string, root: Uint8Array | undefined) {
    this.#cache = cache;
    this.#folder = folder;
    this.#root = root;
  }

  get description(): string {
    return this.#cache.description;
  }

  load(role: string): Uint8Array | undefined {
    if (role === "root" && this.#root !== undefined) return this.#root;
    const name = this.#path(`${encodeSegment(role)}.json`);
    const bytes = this.#read(name);
    if (bytes !== undefined) this.#loaded.set(name, bytes);
    return bytes;
  }

  keep(role: string, bytes: Uint8Array): void {
    const version = versionOf(bytes);
    if (role === "root" && version !== undefined) this.#write(this.#path(`root_history/${version}.root.json`), bytes);
    const name = this.#path(`${encodeSegment(role)}.json`);
    if (this.#isOlderThanAnothers(name, version)) this.#kept.set(name, bytes);
    else this.#write(name, bytes);
  }

  /** Says whether another process has meanwhile written newer metadata, which must not be taken back. */
  #isOlderThanAnothers(name: string, version: number | undefined): boolean {
    const there = this.#cache.read(name);
    const before = this.#kept.get(name) ?? this.#loaded.get(name);
    if (there === undefined || version === undefined || (before !== undefined && equalBytes(there, before))) return false;
    return (versionOf(there) ?? 0) > version;
  }

  /** Serves root versions seen before, which are verified again all the same, and asks the repository for the others. */
  withRootHistory(download: Download): Download {
    return async (url, maxBytes) => {
      const version = /\/(\d+)\.root\.json$/.exec(url)?.[1];
      if (version !== undefined && this.#useRootHistory) {
        const known = this.#read(this.#path(`root_history/${version}.root.json`));
        if (known !== undefined && known.length <= maxBytes) {
          this.servedRootHistory = true;
          return known;
        }
      }
      return await download(url, maxBytes);
    };
  }

  forgetRootHistory(): void {
    this.#useRootHistory = false;
  }

  refreshedAt(): Date | undefined {
    if (this.#folder === "") return undefined;
    const bytes = this.#read(`${this.#folder}.json`);
    const text = bytes === undefined ? undefined : tryDecodeUtf8(bytes);
    const match = text === undefined ? null : /"lastTimestamp"\s*:\s*"([^"]+)"/.exec(text);
    const date = new Date(match?.[1] ?? Number.NaN);
    return Number.isNaN(date.getTime()) ? undefined : date;
  }

  keepRefreshedAt(now: Date): void {
    if (this.#folder !== "") this.#write(`${this.#folder}.json`, encodeUtf8(JSON.stringify({ lastTimestamp: now.toISOString() })));
  }

  readTarget(name: string): Uint8Array | undefined {
    return this.#read(this.#path(`targets/${encodeSegment(name)}`));
  }

  keepTarget(name: string, bytes: Uint8Array): void {
    this.#write(this.#path(`targets/${encodeSegment(name)}`), bytes);
  }

  #path(name: string): string {
    return this.#folder === "" ? name : `${this.#folder}/${name}`;
  }

  #read(name: string): Uint8Array | undefined {
    return this.#kept.get(name) ?? this.#cache.read(name);
  }

  #write(name: string, bytes: Uint8Array): void {
    this.#kept.set(name, bytes);
    try {
      this.#cache.write(name, bytes);
    } catch (error) {
      if (!(error instanceof StorageError)) throw error;
      if (this.notices.length === 0) this.notices.push(`${error.message}; going on without a cache`);
    }
  }
}

function versionOf(bytes: Uint8Array | undefined): number | undefined {
  if (bytes === undefined) return undefined;
  try {
    const metadata = parseJson(bytes, { what: "TUF metadata", code: "JSON_MALFORMED", maxBytes: MAX_TUF_TARGET_BYTES });
    const signed = isObject(metadata) ? metadata["signed"] : undefined;
    const version = isObject(signed) ? signed["version"] : undefined;
    return typeof version === "number" ? version : undefined;
  } catch (error) {
    if ((error as SigstoreError).code === undefined) throw error;
    return undefined; // a damaged file of the cache is simply replaced
  }
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function trimSlashes(url: string): string {
  return url.replace(/\/+$/, "");
}
