/**
 * Verification for programs that have a file system: paths where `cosign-ts/verify` takes bytes, and trust that is loaded.
 *
 * @module
 */

import { InputError } from "../errors.ts";
import { MAX_BUNDLE_BYTES, MAX_TRUST_FILE_BYTES } from "../limits.ts";
import { parseTrustedRoot, type TrustedRoot } from "../trust/trusted-root.ts";
import type { TrustSource } from "../trust/trust-source.ts";
import type { LoadTrustOptions } from "../tuf/load-trust.ts";
import type { Artifact } from "../verify/artifact.ts";
import type { VerifiedBundle } from "../verify/evidence.ts";
import type { VerifierOptions, VerifyPolicy } from "../verify/options.ts";
import { Verifier, type BundleInput } from "../verify/verifier.ts";
import { openArtifactFile, readInputFile } from "./read-file.ts";

/** Names a file. */
export interface FilePath {
  readonly path: string;
}

/** Says whom to trust: a root, a file that holds one, or how to load it from a TUF repository. */
export type TrustChoice = TrustedRoot | FilePath | LoadTrustOptions;

/** Holds the options of {@link verify}. */
export type VerifyFileOptions = VerifierOptions & VerifyPolicy & { readonly trust?: TrustChoice | undefined };

/**
 * Verifies one bundle against one artifact, either of which may be a file. A large file is streamed.
 *
 * @param options - Without `trust`, the public-good root is loaded from its TUF repository, at most once a day.
 * @returns what is now proven.
 * @throws what `verify` of `cosign-ts/verify` throws; {@link InputError} `FILE_NOT_FOUND`, `FILE_IS_DIRECTORY`, `FILE_UNREADABLE`,
 * `FILE_TOO_LARGE`; {@link TrustError} where trust has to be loaded and cannot be.
 * @see Sigstore client specification §4
 */
export async function verify(
  bundle: BundleInput | FilePath,
  artifact: Artifact | FilePath,
  options: VerifyFileOptions,
): Promise<VerifiedBundle> {
  const { trust, identity, keys, predicateType, detachedScts, ...verifierOptions } = options;
  const policy = { identity, keys, predicateType, detachedScts } as VerifyPolicy;
  // Files first: that one is missing need not wait for the network.
  const bundleInput = isPath(bundle) ? await readInputFile(bundle.path, MAX_BUNDLE_BYTES, "bundle") : bundle;
  const opened = isPath(artifact) ? await openArtifactFile(artifact.path) : artifact;
  const { trustedRoot, source } = await resolveTrust(trust ?? {});
  const verifier = await Verifier.create(trustedRoot, {
    ...verifierOptions,
    trustSource: verifierOptions.trustSource ?? source,
  });
  return await verifier.verify(bundleInput, opened, policy);
}

/** Loads the trusted root that a choice names. @throws as {@link verify}. */
export async function resolveTrust(
  choice: TrustChoice,
): Promise<{ readonly trustedRoot: TrustedRoot; readonly source: TrustSource; readonly notices: readonly string[] }> {
  if ("tlogs" in choice) return { trustedRoot: choice, source: { kind: "caller" }, notices: [] };
  if (isPath(choice)) {
    const bytes = await readInputFile(choice.path, MAX_TRUST_FILE_BYTES, "trusted root");
    return { trustedRoot: parseTrustedRoot(bytes), source: { kind: "file", path: choice.path }, notices: [] };
  }
  for (const name of Object.keys(choice)) {
    // A misspelled name would quietly choose the public-good instance.
    if (!Object.hasOwn(LOAD_TRUST_OPTIONS, name))
      throw new InputError("USAGE_INVALID", `unknown option ${JSON.stringify(name)} of trust`);
  }
  const { loadTrust } = await import("../tuf/load-trust.ts"); // whoever names a file needs none of it
  return await loadTrust(choice);
}

const LOAD_TRUST_OPTIONS: { readonly [Name in keyof LoadTrustOptions]-?: true } = {
  instance: true,
  mirror: true,
  root: true,
  offline: true,
  maxAgeMs: true,
  cache: true,
  fetch: true,
  now: true,
  signal: true,
  timeoutMs: true,
  sleep: true,
  environment: true,
};

function isPath(value: unknown): value is FilePath {
  return typeof value === "object" && value !== null && "path" in value && typeof value.path === "string";
}
