/**
 * From a Sigstore instance or a TUF mirror to a `TrustedRoot`, with where it came from.
 *
 * @module
 */

import { createReadStream } from "node:fs";
import { fileURLToPath } from "node:url";

import { concatBytes } from "../encoding/bytes.ts";
import { encodeUtf8 } from "../encoding/utf8.ts";
import { InputError, ServiceError, StorageError, TrustError, type ErrorCode } from "../errors.ts";
import { fetchFor, offlineFetch } from "../http/fetch.ts";
import { fetchBytes, type Fetch } from "../http/request.ts";
import type { TrustSource } from "../trust/trust-source.ts";
import { parseTrustedRoot, type TrustedRoot } from "../trust/trusted-root.ts";
import { createFolderCache, createMemoryCache, defaultCacheFolder, mirrorFolderName, type Cache } from "./cache.ts";
import { readField } from "./cached-files.ts";
import {
  instanceOfMirror,
  loadEmbeddedTrust,
  MIRRORS,
  rootMissing,
  type EmbeddedTrust,
  type InstanceName,
} from "./instances.ts";
import { TufClient } from "./tuf-client.ts";
import type { Download } from "./updater.ts";

/** Says which trust to load, and how. An omitted option is the public-good instance, refreshed at most once a day. */
export interface LoadTrustOptions {
  /** Default: the mirror that `initialize` set, otherwise `production`. */
  readonly instance?: InstanceName | undefined;
  /** Base URL of a TUF repository, `https:`, `http:` or `file:`, in place of an instance. */
  readonly mirror?: string | undefined;
  /** Initial `root.json` for the mirror. Default: the embedded one of a known instance, otherwise the cache's. */
  readonly root?: Uint8Array | undefined;
  /** Opens no socket: cached trust, expired or not, otherwise the embedded one. Default false. */
  readonly offline?: boolean | undefined;
  /** Milliseconds that a refresh is good for; never longer than `timestamp.json` says. Default one day, 0 refreshes every time. */
  readonly maxAgeMs?: number | undefined;
  /** Default: the cache folder of {@link defaultCacheFolder}, memory where there is none. */
  readonly cache?: Cache | undefined;
  readonly fetch?: Fetch | undefined;
  readonly now?: Date | undefined;
  readonly signal?: AbortSignal | undefined;
  /** Milliseconds for each file. Default 30 s. */
  readonly timeoutMs?: number | undefined;
  /** Waits between attempts; a test passes one that does not. */
  readonly sleep?: ((ms: number) => Promise<void>) | undefined;
  /** Default `process.env`. */
  readonly environment?: Readonly<Record<string, string | undefined>> | undefined;
}

/** Is a trusted root, with what evidence says of it. */
export interface LoadedTrust {
  readonly trustedRoot: TrustedRoot;
  readonly source: TrustSource;
  /** What a person should know: trust that is old, a cache that cannot be written. */
  readonly notices: readonly string[];
}

/** The name of the trusted root among the targets of a Sigstore TUF repository. */
export const TRUSTED_ROOT_TARGET = "trusted_root.json";
const REMOTE_FILE = "remote.json";
const NOTHING_CACHED: ReadonlySet<ErrorCode> = new Set<ErrorCode>([
  "TUF_ROOT_MISSING",
  "TUF_METADATA_MISSING",
  "TUF_TARGET_NOT_FOUND",
]);
const NO_CACHE_FOLDER = "there is no home folder to keep a TUF cache in";
const DEFAULT_TIMEOUT_MS = 30_000;

/**
 * Loads a trusted root: from the TUF repository and its cache, or offline from the cache or from this package.
 *
 * @throws {@link TrustError}, {@link StorageError} `CACHE_UNREADABLE`, {@link FormatError} `TRUSTED_ROOT_MALFORMED`.
 */
export async function loadTrust(options: LoadTrustOptions = {}): Promise<LoadedTrust> {
  const { bytes, source, notices } = await loadTrustFile(options, {
    target: TRUSTED_ROOT_TARGET,
    what: "trusted root",
    embedded: ({ trustedRoot }) => trustedRoot,
  });
  return { trustedRoot: parseTrustedRoot(bytes), source, notices };
}

/** Is a file of a Sigstore TUF repository, and what stands in for it offline. */
interface TrustFile {
  readonly target: string;
  /** What the file is to the reader of a message. */
  readonly what: string;
  readonly embedded: (trust: EmbeddedTrust) => string | undefined;
}

/**
 * Loads a file of trust material: from the TUF repository and its cache, or offline from the cache or from this package.
 *
 * @throws as {@link loadTrust}.
 * @internal
 */
export async function loadTrustFile(
  options: LoadTrustOptions,
  { target, what, embedded }: TrustFile,
): Promise<{ readonly bytes: Uint8Array | string; readonly source: TrustSource; readonly notices: readonly string[] }> {
  const now = options.now ?? new Date();
  const chosen = await chooseMirror(options, now);
  try {
    const client = await openClient(chosen, options, now);
    const bytes = await client.target(target);
    const notices = noticesOf(client);
    return {
      bytes,
      source: client.source,
      notices: chosen.lastsOnlyForThisRun ? [`${NO_CACHE_FOLDER}; TUF_ROOT names one`, ...notices] : notices,
    };
  } catch (error) {
    // What is embedded stands in for its own instance alone, and only where there is nothing better.
    const nothingCached = error instanceof TrustError && NOTHING_CACHED.has(error.code);
    const bytes = chosen.embedded === undefined ? undefined : embedded(chosen.embedded);
    if (options.offline !== true || !nothingCached || chosen.embedded === undefined || bytes === undefined) throw error;
    const { source } = chosen.embedded;
    return {
      bytes,
      source,
      notices: [
        `offline: using the ${what} of ${source.instance} that was embedded ${describeAge(source.publishedAt, now)}`,
      ],
    };
  }
}

/**
 * Opens the TUF repository of an instance or mirror, for any of its targets.
 *
 * @throws as {@link loadTrust}.
 */
export async function openTufRepository(options: LoadTrustOptions = {}): Promise<TufClient> {
  const now = options.now ?? new Date();
  return await openClient(await chooseMirror(options, now), options, now);
}

/**
 * Makes a mirror the default of this cache, and begins its trust anew from the given root.
 *
 * @throws as {@link loadTrust}; {@link StorageError} `WRITE_FAILED`.
 */
export async function initializeTrust(options: LoadTrustOptions): Promise<LoadedTrust> {
  const now = options.now ?? new Date();
  const chosen = await chooseMirror({ ...options, instance: options.instance ?? "production" }, now);
  const { mirror, root, cache } = chosen;
  if (root === undefined) throw rootMissing(mirror);
  if (chosen.lastsOnlyForThisRun)
    throw new StorageError("WRITE_FAILED", NO_CACHE_FOLDER, { remedy: "name a folder with TUF_ROOT" });
  // The new trust is proven in memory first: what was there stays until it is.
  const files = new Map<string, Uint8Array>();
  const client = await openClient({ ...chosen, cache: createMemoryCache(files) }, { ...options, offline: false }, now);
  const loaded = await readTrust(client);
  const folder = mirrorFolderName(mirror);
  cache.remove(folder);
  if (!files.has(`${folder}/root.json`)) cache.write(`${folder}/root.json`, root);
  for (const [name, bytes] of files) cache.write(name, bytes);
  cache.write(REMOTE_FILE, encodeUtf8(JSON.stringify({ mirror }))); // last: until here the other mirror is the default
  return loaded;
}

/** Makes a download function for `https:`, `http:` and `file:` URLs. */
export function createDownload(
  options: Pick<LoadTrustOptions, "fetch" | "offline" | "signal" | "timeoutMs" | "sleep" | "environment">,
): Download {
  const fetch =
    options.offline === true ? offlineFetch : (options.fetch ?? fetchFor(options.environment ?? process.env));
  const { signal, timeoutMs = DEFAULT_TIMEOUT_MS, sleep } = options;
  return async (url, maxBytes) =>
    url.startsWith("file:")
      ? await readFileUrl(url, maxBytes)
      : await fetchBytes(url, maxBytes, { service: "TUF repository", fetch, signal, timeoutMs, sleep });
}

async function readFileUrl(url: string, maxBytes: number): Promise<Uint8Array> {
  const chunks: Uint8Array[] = [];
  let length = 0;
  try {
    // One byte more than may be there is enough to know, also of a file without an end.
    for await (const chunk of createReadStream(fileURLToPath(url), { end: maxBytes })) {
      chunks.push(chunk as Uint8Array);
      length += (chunk as Uint8Array).length;
    }
  } catch (cause) {
    const code = cause instanceof Error && "code" in cause ? cause.code : undefined;
    throw new ServiceError("HTTP_REQUEST_FAILED", `could not read ${url}`, {
      status: code === "ENOENT" ? 404 : undefined,
      cause,
    });
  }
  if (length <= maxBytes) return concatBytes(...chunks);
  throw new ServiceError("HTTP_RESPONSE_TOO_LARGE", `${url} is larger than was asked for`, {
    expected: `at most ${maxBytes} bytes`,
  });
}

interface ChosenMirror {
  readonly mirror: string;
  readonly root: Uint8Array | undefined;
  /** What may stand in where nothing is cached: that of the instance, unless the caller gave a root. */
  readonly embedded: EmbeddedTrust | undefined;
  readonly cache: Cache;
  /** There is no folder for a cache. */
  readonly lastsOnlyForThisRun: boolean;
}

async function openClient(
  { mirror, root, cache }: ChosenMirror,
  options: LoadTrustOptions,
  now: Date,
): Promise<TufClient> {
  const { offline, maxAgeMs } = options;
  return await TufClient.open({
    mirror,
    root,
    cache,
    folder: mirrorFolderName(mirror),
    download: createDownload(options),
    now,
    offline,
    maxAgeMs,
  });
}

async function readTrust(client: TufClient): Promise<LoadedTrust> {
  const trustedRoot = parseTrustedRoot(await client.target(TRUSTED_ROOT_TARGET));
  return { trustedRoot, source: client.source, notices: noticesOf(client) };
}

function noticesOf({ source, notices }: TufClient): readonly string[] {
  if (!source.expired) return notices;
  return [
    ...notices,
    `trust of ${source.mirror} expired ${source.expires.toISOString()}; it is used because work is offline`,
  ];
}

async function chooseMirror(options: LoadTrustOptions, now: Date): Promise<ChosenMirror> {
  const folder = options.cache === undefined ? defaultCacheFolder(options.environment ?? process.env) : undefined;
  const cache = options.cache ?? (folder === undefined ? createMemoryCache() : createFolderCache(folder));
  const mirror =
    options.mirror ??
    (options.instance === undefined ? (readRemote(cache) ?? MIRRORS.production) : MIRRORS[options.instance]);
  checkMirror(mirror);
  const instance = instanceOfMirror(mirror);
  const embedded =
    options.root !== undefined || instance === undefined || instance === "github"
      ? undefined
      : await loadEmbeddedTrust(instance, now);
  const lastsOnlyForThisRun = options.cache === undefined && folder === undefined;
  return { mirror, root: options.root ?? embedded?.root, embedded, cache, lastsOnlyForThisRun };
}

function checkMirror(mirror: string): void {
  const url = URL.parse(mirror);
  const expected = "https://…, http://… or file:///…";
  if (url === null || !/^(https?|file):$/.test(url.protocol)) {
    throw new InputError("URL_INVALID", `TUF mirror ${JSON.stringify(mirror)} is not a URL`, { expected });
  }
  // File names are put after it, and its name goes into messages and into the cache.
  if (url.username + url.password + url.search + url.hash !== "") {
    throw new InputError("URL_INVALID", "the URL of a TUF mirror cannot hold credentials, a query or a fragment", {
      expected,
    });
  }
}

/** Reads the mirror that `initialize` made the default; a damaged file is an error, not the public instance. */
function readRemote(cache: Cache): string | undefined {
  const bytes = cache.read(REMOTE_FILE);
  if (bytes === undefined) return undefined;
  const mirror = readField(bytes, "mirror");
  if (typeof mirror === "string") return mirror;
  throw new TrustError("TUF_METADATA_INVALID", `${REMOTE_FILE} of the TUF cache ${cache.description} names no mirror`, {
    remedy: "run `cosign-ts initialize`",
  });
}

function describeAge(publishedAt: Date, now: Date): string {
  const days = Math.max(0, Math.floor((now.getTime() - publishedAt.getTime()) / 86_400_000));
  return `${days} days ago (${publishedAt.toISOString().slice(0, 10)})`;
}
