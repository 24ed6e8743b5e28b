/**
 * From a Sigstore instance or a TUF mirror to a `SigningConfig`, with where it came from.
 *
 * @module
 */

import { InputError, TrustError } from "../errors.ts";
import { parseSigningConfig, type SigningConfig } from "../trust/signing-config.ts";
import type { TrustSource } from "../trust/trust-source.ts";
import { loadTrustFile, type LoadTrustOptions } from "./load-trust.ts";

/** Says which signing config to load, and how: as {@link LoadTrustOptions}, and for which generation of log. */
export interface LoadSigningConfigOptions extends LoadTrustOptions {
  /** Default 1: the config that clients sign with unless told otherwise. A repository need not have one for 2. */
  readonly rekorVersion?: 1 | 2 | undefined;
}

/** Is a signing config, with where it came from. */
export interface LoadedSigningConfig {
  readonly signingConfig: SigningConfig;
  readonly source: TrustSource;
  /** What a person should know: a config that is old, a cache that cannot be written. */
  readonly notices: readonly string[];
}

/** The names of signing configs among the targets of a Sigstore TUF repository, by the generation of log. */
export const SIGNING_CONFIG_TARGETS = {
  1: "signing_config.v0.2.json",
  2: "signing_config_rekor_v2.v0.2.json",
} as const;

/**
 * Loads a signing config: from the TUF repository and its cache, or offline from the cache or from this package.
 *
 * Offline, only the config for logs of Rekor v1 can come from this package. Whether its services still exist, nobody knows then.
 *
 * @throws {@link TrustError}, `TUF_TARGET_NOT_FOUND` where the repository has no such config; {@link StorageError}
 * `CACHE_UNREADABLE`; FormatError `SIGNING_CONFIG_MALFORMED`; {@link InputError} `USAGE_INVALID`.
 */
export async function loadSigningConfig(options: LoadSigningConfigOptions = {}): Promise<LoadedSigningConfig> {
  const { rekorVersion = 1, ...loadOptions } = options;
  if (!Object.hasOwn(SIGNING_CONFIG_TARGETS, rekorVersion)) {
    throw new InputError("USAGE_INVALID", `there is no generation ${JSON.stringify(rekorVersion)} of Rekor`, {
      expected: "1 or 2",
    });
  }
  const target = SIGNING_CONFIG_TARGETS[rekorVersion];
  try {
    const { bytes, ...from } = await loadTrustFile(loadOptions, {
      target,
      what: "signing config",
      embedded: ({ signingConfig }) => (rekorVersion === 1 ? signingConfig : undefined),
    });
    return { signingConfig: parseSigningConfig(bytes), ...from };
  } catch (error) {
    if (!(error instanceof TrustError && error.code === "TUF_TARGET_NOT_FOUND")) throw error;
    throw new TrustError("TUF_TARGET_NOT_FOUND", `could not find a signing config: ${error.message}`, {
      expected: target,
      remedy: "give a signing config file, or name the services themselves",
      cause: error,
    });
  }
}
