/**
 * What clients are told of a sandbox: where everything is.
 *
 * @module
 */

import { rmSync } from "node:fs";
import { join } from "node:path";

import { storeFile } from "./store-on-disk.ts";

/** Gives where each part is reached, without a slash at the end. */
export interface SandboxUrls {
  /** The issuer of tokens for people; `/github` and `/gitlab` below it are two more issuers. */
  readonly oidc: string;
  readonly tuf: string;
  /** The page for people. */
  readonly page: string;
  readonly fulcio: string;
  readonly ctlog: string;
  readonly rekor2: string;
  readonly rekor1: string;
  /** With its path. */
  readonly tsa: string;
  /** Names of images begin with its host and port. */
  readonly registry: string;
}

/** Gives the files that clients are given. */
export interface SandboxPaths {
  readonly directory: string;
  /** Everything as environment variables, for a shell; there as long as the sandbox answers. */
  readonly env: string;
  /** The same as JSON. */
  readonly envJson: string;
  readonly trustedRoot: string;
  /** Names Rekor v2. */
  readonly signingConfig: string;
  /** Names Rekor v1. */
  readonly signingConfigRekor1: string;
  /** The first root of the TUF repository. */
  readonly tufRoot: string;
}

/** Names the files in a folder. */
export function pathsIn(directory: string): SandboxPaths {
  return {
    directory,
    env: join(directory, "env"),
    envJson: join(directory, "env.json"),
    trustedRoot: join(directory, "trusted_root.json"),
    signingConfig: join(directory, "signing_config.json"),
    signingConfigRekor1: join(directory, "signing_config_rekor1.json"),
    tufRoot: join(directory, "root.json"),
  };
}

/** Tells clients where everything is. The files are there only while there is somebody to ask. */
export function announce(paths: SandboxPaths, urls: SandboxUrls): void {
  const { oidc, fulcio, ctlog, rekor2, tsa, tuf, rekor1, page, registry } = urls;
  const env = {
    dir: paths.directory,
    oidcUrl: oidc,
    fulcioUrl: fulcio,
    ctlogUrl: ctlog,
    rekor2Url: rekor2,
    tsaUrl: tsa,
    tufUrl: tuf,
    tufRoot: paths.tufRoot,
    trustedRoot: paths.trustedRoot,
    signingConfig: paths.signingConfig,
    rekor1Url: rekor1,
    signingConfigRekor1: paths.signingConfigRekor1,
    pageUrl: page,
    registry: new URL(registry).host,
  };
  const variable = (name: string): string => `STACK_${name.replace(/[A-Z]/g, (letter) => `_${letter}`).toUpperCase()}`;
  storeFile(paths.envJson, `${JSON.stringify(env, undefined, 2)}\n`, 0o644);
  const lines = Object.entries(env).map(([name, value]) => `${variable(name)}=${quote(value)}\n`);
  storeFile(paths.env, lines.join(""), 0o644);
}

/** Tells clients that there is nobody to ask any more. */
export function withdraw({ env, envJson }: SandboxPaths): void {
  for (const path of [env, envJson]) rmSync(path, { force: true });
}

/** As a shell reads it; most values need nothing. */
function quote(value: string): string {
  return /^[\w./:@%+,=-]*$/.test(value) ? value : `'${value.replaceAll("'", String.raw`'\''`)}'`;
}
