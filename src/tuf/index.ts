/**
 * `cosign-ts/tuf`: trust from TUF repositories, cached, and the roots that ship with this package.
 *
 * @module
 */

export { createFolderCache, createMemoryCache, defaultCacheFolder, type Cache } from "./cache.ts";
export { loadEmbeddedTrust, MIRRORS, type EmbeddedTrust, type InstanceName } from "./instances.ts";
export {
  loadSigningConfig,
  SIGNING_CONFIG_TARGETS,
  type LoadedSigningConfig,
  type LoadSigningConfigOptions,
} from "./load-signing-config.ts";
export {
  createDownload,
  initializeTrust,
  loadTrust,
  openTufRepository,
  TRUSTED_ROOT_TARGET,
  type LoadedTrust,
  type LoadTrustOptions,
} from "./load-trust.ts";
export { DEFAULT_MAX_AGE_MS, TufClient, type TufClientOptions } from "./tuf-client.ts";
export type { Download } from "./updater.ts";
export type { Fetch } from "../http/request.ts";
export { ServiceError, SigstoreError, StorageError, TrustError } from "../errors.ts";
