/**
 * From a Sigstore instance or a TUF mirror to a `TrustedRoot`, with where it came from.
 *
 * @module
 */

import { readFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";

import { tryDecodeUtf8, encodeUtf8 } from "../encoding/utf8.ts";
import { InputError, ServiceError, TrustError } from "../errors.ts";
import { fetchFor, offlineFetch } from "../http/fetch.ts";
import { fetchBytes, type Fetch } from "../http/request.ts";
import type { TrustSource } from "../trust/trust-source.ts";
import { parseTrustedRoot, type TrustedRoot } from "../trust/trusted-root.ts";
import { createFolderCache, createMemoryCache, defaultCacheFolder, mirrorFolderName, type Cache } from "./cache.ts";
import { instanceOfMirror, loadEmbeddedTrust, MIRRORS, type InstanceName } from "./instances.ts";
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
const DEFAULT_TIMEOUT_MS = 30_000;

/**
 * Loads a trusted root: from the TUF repository and its cache, or offline from the cache or from this package.
 *
 * @throws {@link TrustError}, {@link StorageError} `CACHE_UNREADABLE`, {@link FormatError} `TRUSTED_ROOT_MALFORMED`.
 */
export async function loadTrust(options: LoadTrustOptions = {}): Promise<LoadedTrust> {
  const now = options.now ?? new Date();
  const chosen = await chooseMirror(options, now);
  const client = await openChosen(chosen, options, now);
  if (client !== undefined) {
    return { trustedRoot: parseTrustedRoot(await client.target(TRUSTED_ROOT_TARGET)), source: client.source, notices: noticesFor(client) };
  }
  const embedded = await loadEmbeddedTrust(chosen.instance ?? "production", now);
  const { instance, publishedAt } = embedded.source;
  return {
    trustedRoot: parseTrustedRoot(embedded.trustedRoot),
    source: embedded.source,
    notices: [`offline: using the trusted root of ${instance} that was embedded ${describeAge(publishedAt, now)}`],
  };
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
  const { mirror, root, cache } = await chooseMirror({ ...options, instance: options.instance ?? "production" }, now);
  if (root === undefined) {
    throw new TrustError("TUF_ROOT_MISSING", `there is no root to begin the trust in ${mirror} with`, { remedy: "give its root.json with --root" });
  }
  // The new trust is proven in memory first: what was there stays until it is.
  const folder = mirrorFolderName(mirror);
  const opened = { mirror, root, folder, download: createDownload(options), now };
  await (await TufClient.open({ ...opened, cache: createMemoryCache() })).target(TRUSTED_ROOT_TARGET);
  cache.remove(folder);
  cache.write(REMOTE_FILE, encodeUtf8(JSON.stringify({ mirror })));
  cache.write(`${folder}/root.json`, root);
  const client = await TufClient.open({ ...opened, cache, maxAgeMs: 0 });
  return { trustedRoot: parseTrustedRoot(await client.target(TRUSTED_ROOT_TARGET)), source: client.source, notices: noticesFor(client) };
}

/** Makes a download function for `https:`, `http:` and `file:` URLs. */
export function createDownload(options: Pick<LoadTrustOptions, "fetch" | "offline" | "signal" | "timeoutMs" | "environment">): Download {
  const fetch = options.offline === true ? offlineFetch : (options.fetch ?? fetchFor(options.environment ?? process.env));
  const { signal, timeoutMs = DEFAULT_TIMEOUT_MS } = options;
  return async (url, maxBytes) => (url.startsWith("file:") ? await readFileUrl(url, maxBytes) : await fetchBytes(url, maxBytes, { fetch, signal, timeoutMs }));
}

async function readFileUrl(url: string, maxBytes: number): Promise<Uint8Array> {
  let bytes: Uint8Array;
  try {
    bytes = await readFile(fileURLToPath(url));
  } catch (cause) {
    const absent = cause instanceof Error && "code" in cause && cause.code === "ENOENT";
    throw new ServiceError("HTTP_REQUEST_FAILED", `could not read ${url}`, { status: absent ? 404 : undefined, cause });
  }
  if (bytes.length <= maxBytes) return bytes;
  throw new ServiceError("HTTP_RESPONSE_TOO_LARGE", `${url} is larger than was asked for`, { expected: `at most ${maxBytes} bytes`, found: `${bytes.length} bytes` });
}

interface ChosenMirror {
  readonly mirror: string;
  /** The instance whose mirror it is. */
  readonly instance: InstanceName | undefined;
  readonly root: Uint8Array | undefined;
  readonly cache: Cache;
}

async function openClient({ mirror, root, cache }: ChosenMirror, options: LoadTrustOptions, now: Date): Promise<TufClient> {
  return await TufClient.open({
    mirror,
    root,
    cache,
    folder: mirrorFolderName(mirror),
    download: createDownload(options),
    now,
    offline: options.offline,
    maxAgeMs: options.maxAgeMs,
  });
}

/** Opens the repository, or finds that embedded trust has to stand in for it: offline, nothing cached, a known instance. */
async function openChosen(chosen: ChosenMirror, options: LoadTrustOptions, now: Date): Promise<TufClient | undefined> {
  try {
    const client = await openClient(chosen, options, now);
    if (options.offline === true) await client.target(TRUSTED_ROOT_TARGET);
    return client;
  } catch (error) {
    const nothingCached = error instanceof TrustError && (error.code === "TUF_ROOT_MISSING" || error.code === "TUF_TARGET_NOT_FOUND");
    const embedded = chosen.instance !== undefined && chosen.instance !== "github" && options.root === undefined;
    if (options.offline === true && nothingCached && embedded) return undefined;
    throw error;
  }
}

async function chooseMirror(options: LoadTrustOptions, now: Date): Promise<ChosenMirror> {
  const environment = options.environment ?? process.env;
  const cacheFolder = defaultCacheFolder(environment);
  const cache = options.cache ?? (cacheFolder === undefined ? createMemoryCache() : createFolderCache(cacheFolder));
  const mirror = options.mirror ?? (options.instance === undefined ? (readRemote(cache) ?? MIRRORS.production) : MIRRORS[options.instance]);
  checkMirror(mirror);
  const instance = instanceOfMirror(mirror);
  if (options.root !== undefined) return { mirror, instance, root: options.root, cache };
  const embedded = instance === undefined || instance === "github" ? undefined : (await loadEmbeddedTrust(instance, now)).root;
  return { mirror, instance, root: embedded, cache };
}

function checkMirror(mirror: string): void {
  if (URL.canParse(mirror) && /^(https?|file):$/.test(new URL(mirror).protocol)) return;
  throw new InputError("URL_INVALID", `TUF mirror ${JSON.stringify(mirror)} is not a URL`, { expected: "https://…, http://… or file:///…" });
}

/** Reads the mirror that `initialize` made the default; a damaged file is an error, not the public instance. */
function readRemote(cache: Cache): string | undefined {
  const bytes = cache.read(REMOTE_FILE);
  if (bytes === undefined) return undefined;
  const mirror = /"mirror"\s*:\s*"([^"\\]+)"/.exec(tryDecodeUtf8(bytes) ?? "")?.[1];
  if (mirror !== undefined) return mirror;
  throw new TrustError("TUF_METADATA_INVALID", `${REMOTE_FILE} of the TUF cache ${cache.description} names no mirror`, { remedy: "run `cosign-ts initialize`" });
}

function noticesFor(client: TufClient): readonly string[] {
  const { source, notices } = client;
  if (!source.expired) return notices;
  return [...notices, `trust of ${source.mirror} expired ${source.expires.toISOString()}; it is used because work is offline`];
}

function describeAge(publishedAt: Date, now: Date): string {
  const days = Math.max(0, Math.floor((now.getTime() - publishedAt.getTime()) / 86_400_000));
  return `${days} days ago (${publishedAt.toISOString().slice(0, 10)})`;
}
