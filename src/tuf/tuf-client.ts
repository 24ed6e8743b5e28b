/**
 * A client of one TUF repository: refreshes when it has to, works from its cache when it may, and says which of the two it did.
 *
 * @module
 */

import type { TargetFile } from "@tufjs/models";

import { ServiceError, TrustError } from "../errors.ts";
import { MAX_TUF_TARGET_BYTES } from "../limits.ts";
import type { TrustSource } from "../trust/trust-source.ts";
import type { Cache } from "./cache.ts";
import { CachedFiles } from "./cached-files.ts";
import type * as Updater from "./updater.ts";
import type { Download, RepositoryOptions, VerifiedRepository } from "./updater.ts";

/** How long a refresh is good for, unless the metadata ends earlier: one day. */
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
  /** Where in the cache this repository's files are; empty for the cache's top, where no time of a refresh is kept. */
  readonly folder: string;
  readonly download: Download;
  readonly now: Date;
  /** Downloads nothing; then expired metadata will do, and the source says so. Default false. */
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

  private constructor(
    repository: VerifiedRepository,
    files: CachedFiles,
    options: TufClientOptions,
    refreshedAt: Date,
    fromCache: boolean,
  ) {
    this.#repository = repository;
    this.#files = files;
    this.#options = options;
    this.notices = files.notices;
    const { expires } = repository;
    this.source = {
      kind: "tuf",
      mirror: options.mirror,
      refreshedAt,
      fromCache,
      expires,
      expired: options.now >= expires,
    };
  }

  /**
   * Opens a repository: from the cache while that is fresh, otherwise refreshed. When the repository cannot be reached, an
   * unexpired cache will do; metadata that is wrong is never replaced by the cache.
   *
   * @throws {@link TrustError}, {@link StorageError} `CACHE_UNREADABLE`.
   * @see TUF specification §5
   */
  static async open(options: TufClientOptions): Promise<TufClient> {
    const { now, offline = false, maxAgeMs = DEFAULT_MAX_AGE_MS, allowStale = true } = options;
    const files = new CachedFiles(options.cache, options.folder, options.root);
    const refreshedAt = files.refreshedAt();
    const fromCache = async (reference: Date): Promise<TufClient> => {
      const repository = await openRepository(files, options, { now: reference, mode: "local" });
      return new TufClient(repository, files, options, refreshedAt ?? new Date(0), true);
    };
    if (offline) return await fromCache(new Date(0)); // at that time nothing has expired

    const age = refreshedAt === undefined ? Number.NaN : now.getTime() - refreshedAt.getTime();
    if (age >= 0 && age < maxAgeMs) {
      try {
        return await fromCache(now);
      } catch (error) {
        if (!(error instanceof TrustError)) throw error; // otherwise the cache has expired or is damaged: refresh
      }
    }
    try {
      return await TufClient.#refresh(files, options);
    } catch (failure) {
      if (!(failure instanceof ServiceError) || !allowStale) throw failure;
      try {
        const client = await fromCache(now);
        const { source } = client;
        files.notices.push(
          `could not refresh the metadata of ${source.mirror} (${failure.message}); using that of ${source.refreshedAt.toISOString()}`,
        );
        return client;
      } catch (problem) {
        throw problem instanceof TrustError ? unusable(failure, problem) : problem;
      }
    }
  }

  static async #refresh(files: CachedFiles, options: TufClientOptions): Promise<TufClient> {
    try {
      const repository = await openRepository(files, options, { now: options.now, mode: "remote" });
      files.flush();
      files.keepRefreshedAt(options.now);
      return new TufClient(repository, files, options, options.now, false);
    } catch (error) {
      const brokeOff = error instanceof ServiceError && (error.retryable || error.status === undefined);
      if (brokeOff) files.discard();
      else files.flush(); // what was verified before the step that failed is trusted from now on
      throw error;
    }
  }

  /**
   * Reads a target whose length and hashes the metadata names, from the cache where it is still the same.
   *
   * @throws {@link TrustError} `TUF_TARGET_NOT_FOUND`, `TUF_TARGET_INVALID`, `TUF_REFRESH_FAILED`, and those of metadata where a role
   * that the target is delegated to had to be read.
   */
  async target(name: string): Promise<Uint8Array> {
    const quoted = JSON.stringify(name);
    const found = name.isWellFormed() ? await this.#find(name) : undefined;
    if (found === undefined)
      throw new TrustError("TUF_TARGET_NOT_FOUND", `repository ${this.source.mirror} has no target ${quoted}`);
    const { verifyTarget } = await loadUpdater();
    const cached = this.#files.readTarget(name);
    if (cached !== undefined) {
      try {
        await verifyTarget(found, cached);
        return cached;
      } catch (error) {
        if (this.#options.offline === true) throw error; // otherwise it is another version, or damaged: fetch it
      }
    }
    if (this.#options.offline === true) throw this.#notCached(name);
    if (found.length > MAX_TUF_TARGET_BYTES) {
      throw new TrustError("TUF_TARGET_INVALID", `target ${quoted} is larger than any target needs to be`, {
        expected: `at most ${MAX_TUF_TARGET_BYTES} bytes`,
        found: `${found.length} bytes`,
      });
    }
    const bytes = await this.#fetch(name, found);
    await verifyTarget(found, bytes);
    this.#files.keepTarget(name, bytes);
    return bytes;
  }

  async #find(name: string): Promise<TargetFile | undefined> {
    try {
      return await this.#repository.find(name);
    } catch (error) {
      if (error instanceof ServiceError)
        throw this.#options.offline === true ? this.#notCached(name) : notFetched(name, error);
      throw error;
    } finally {
      this.#files.flush();
    }
  }

  async #fetch(name: string, { hashes, length }: TargetFile): Promise<Uint8Array> {
    const segments = name.split("/");
    if (segments.some((segment) => segment === "." || segment === "..")) {
      throw new TrustError(
        "TUF_TARGET_INVALID",
        `target ${JSON.stringify(name)} has a name that leads out of its folder`,
      );
    }
    if (this.#repository.consistentSnapshot) {
      const [hash = ""] = Object.values(hashes);
      segments.push(`${hash}.${segments.pop() ?? ""}`);
    }
    const base = this.#options.targetsUrl ?? `${trimSlashes(this.#options.mirror)}/targets`;
    try {
      return await this.#options.download(`${trimSlashes(base)}/${segments.map(encodeURIComponent).join("/")}`, length);
    } catch (cause) {
      if (!(cause instanceof ServiceError)) throw cause;
      if (cause.code !== "HTTP_RESPONSE_TOO_LARGE") throw notFetched(name, cause);
      throw new TrustError("TUF_TARGET_INVALID", `target ${JSON.stringify(name)} is longer than the metadata says`, {
        expected: `${length} bytes`,
        cause,
      });
    }
  }

  #notCached(name: string): TrustError {
    return new TrustError(
      "TUF_TARGET_NOT_FOUND",
      `target ${JSON.stringify(name)} is not in the cache ${this.#files.description}`,
      {
        remedy: "work online once",
      },
    );
  }
}

/** `tuf-js` is loaded by those who use it: a trusted root from a file needs none of it. */
function loadUpdater(): Promise<typeof Updater> {
  return import("./updater.ts");
}

async function openRepository(
  files: CachedFiles,
  options: TufClientOptions,
  how: Pick<RepositoryOptions, "now" | "mode">,
): Promise<VerifiedRepository> {
  const updater = await loadUpdater();
  const download: Download = options.offline === true ? refuse : options.download;
  return await updater.openRepository({ metadataUrl: trimSlashes(options.mirror), store: files, download, ...how });
}

function refuse(): Promise<never> {
  return Promise.reject(
    new ServiceError("OFFLINE", "a file was needed that the cache does not hold, but work is offline"),
  );
}

function notFetched(name: string, cause: ServiceError): TrustError {
  return new TrustError("TUF_REFRESH_FAILED", `could not fetch the target ${JSON.stringify(name)}: ${cause.message}`, {
    cause,
  });
}

/** Says why neither the repository nor the cache could be used. */
function unusable(failure: ServiceError, problem: TrustError): TrustError {
  const expired = problem.code === "TUF_METADATA_EXPIRED";
  const cache = expired
    ? "; the cached metadata has expired"
    : problem.code === "TUF_METADATA_MISSING"
      ? ""
      : `; the cache cannot be used: ${problem.message}`;
  return new TrustError(
    expired ? "TUF_CACHE_EXPIRED" : "TUF_REFRESH_FAILED",
    `could not refresh TUF metadata: ${failure.message}${cache}`,
    {
      found: problem.found,
      remedy:
        "check the network and the mirror's address, give a trusted root file, or use --offline to accept cached or embedded trust",
      cause: failure,
    },
  );
}

function trimSlashes(url: string): string {
  return url.replace(/\/+$/, "");
}
