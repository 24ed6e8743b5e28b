/**
 * A sandbox, signers that find it by its TUF repository, and what it holds afterwards.
 *
 * @module
 */

import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, onTestFinished } from "vitest";

import { getIdentityToken } from "../../../src/oidc/get-identity-token.ts";
import { startSandbox, type Sandbox } from "../../../src/sandbox/sandbox.ts";
import type { SignOptions } from "../../../src/sign/index.ts";
import { createMemoryCache } from "../../../src/tuf/cache.ts";

export type Generation = 1 | 2;

/** Whom the sandbox certifies a client to be that logs in by itself. */
export const IDENTITY = "dev@example.com";
/** Secret of the client that logs in; the sandbox knows any client. */
export const CLIENT_SECRET = "client-secret-9d2f61c07b";

/** Is everything that one file of tests shares. */
export interface World {
  readonly sandbox: Sandbox;
  readonly end: () => Promise<void>;
}

export async function startWorld(): Promise<World> {
  const errors: unknown[] = [];
  const sandbox = await startSandbox({ onError: (error) => errors.push(error) });
  return {
    sandbox,
    async end() {
      await sandbox.close();
      if (errors.length > 0) throw new AggregateError(errors, "the sandbox itself made mistakes");
    },
  };
}

/** Counts the entries of a log, by what it tells anybody. */
export async function countEntries({ urls }: Sandbox, generation: Generation): Promise<number> {
  const url = generation === 1 ? `${urls.rekor1}/api/v1/log` : `${urls.rekor2}/api/v2/checkpoint`;
  const response = await fetch(url);
  const text = await response.text();
  if (!response.ok) throw new Error(`${url} answered ${response.status}: ${text}`);
  return Number(
    generation === 1 ? (JSON.parse(text) as { treeSize: number | string }).treeSize : text.split("\n", 2)[1],
  );
}

/** Says how a signer of a test differs from one that has all the time in the world. */
export interface SignerChanges {
  readonly generation: Generation;
  readonly timeoutMs: number;
  /** Is told how long each wait between two attempts would have been. */
  readonly waits?: number[];
}

/**
 * Makes the options of a signer that asks every service there is: who it is, what to trust, whom to ask, and then those. It waits
 * for nothing but answers.
 */
export function keylessOptions({ urls, paths }: Sandbox, changes: SignerChanges): SignOptions {
  const { generation, timeoutMs, waits = [] } = changes;
  const sleep = (ms: number): Promise<void> => {
    waits.push(ms);
    return Promise.resolve();
  };
  const tuf = {
    mirror: urls.tuf,
    root: readFileSync(paths.tufRoot),
    cache: createMemoryCache(new Map()),
    timeoutMs,
  };
  return {
    signer: {
      kind: "keyless",
      identityToken: async ({ audience, signal }) => {
        const { token } = await getIdentityToken({
          flow: "client_credentials",
          issuer: urls.oidc,
          clientSecret: CLIENT_SECRET,
          audience,
          signal,
          timeoutMs,
          sleep,
          environment: {},
        });
        return token.raw;
      },
    },
    // The repository names Rekor v2.
    services: {
      kind: "signing-config",
      signingConfig: generation === 1 ? { path: paths.signingConfigRekor1 } : { ...tuf, rekorVersion: 2 },
    },
    trust: tuf,
    environment: {},
    timeoutMs,
    sleep,
  };
}

/** A folder of one test, whose files are listed: what is there that should not be. */
export interface TestFolder {
  readonly at: (name: string) => string;
  readonly files: () => readonly string[];
}

export function testFolder(): TestFolder {
  const path = mkdtempSync(join(tmpdir(), "cosign-ts-e2e-"));
  onTestFinished(() => rmSync(path, { recursive: true, force: true }));
  return { at: (name) => join(path, name), files: () => readdirSync(path).sort() };
}

/** A folder that is there as long as the tests of a file. Call it outside of them. */
export function temporaryFolderOfFile(): string {
  const path = mkdtempSync(join(tmpdir(), "cosign-ts-e2e-"));
  afterAll(() => rmSync(path, { recursive: true, force: true }));
  return path;
}
