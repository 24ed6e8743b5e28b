/**
 * The signing commands against a sandbox: a folder of files, and runs in this process with its network and clock.
 *
 * @module
 */

import { chmodSync, existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll } from "vitest";
import type { Context } from "../../src/cli/context.ts";
import { generateKeyPair } from "../../src/keys/generate.ts";
import { startSandbox, type Sandbox } from "../../src/sandbox/sandbox.ts";
import { temporaryFolder } from "./cli.ts";
import { runInProcess, type Run } from "./program.ts";
import { rememberScrypt } from "./remembered-scrypt.ts";

rememberScrypt();

export const ALICE = "alice@example.com";
export const PASSWORD = "correct horse";

/** One sandbox for a file of tests, which no test leaves changed. */
export interface SigningWorld {
  readonly sandbox: Sandbox;
  readonly token: string;
  /** Services and trust, with Rekor v1, which answers at once. */
  readonly config: readonly string[];
  readonly privateKeyPem: string;
  readonly publicKeyPem: string;
}

/** Starts the sandbox before the tests, and ends it after them. */
export function useSigningWorld(): () => SigningWorld {
  let world: SigningWorld | undefined;
  beforeAll(async () => {
    const sandbox = await startSandbox();
    const { privateKeyPem, publicKeyPem } = await generateKeyPair({
      password: () => Promise.resolve(new TextEncoder().encode(PASSWORD)),
    });
    world = {
      sandbox,
      token: await sandbox.token("email", { email: ALICE }),
      config: ["--signing-config", sandbox.paths.signingConfigRekor1, "--trusted-root", sandbox.paths.trustedRoot],
      privateKeyPem,
      publicKeyPem,
    };
  }, 60_000);
  afterAll(() => world?.sandbox.close());
  return () => {
    if (world === undefined) throw new Error("the sandbox has not started");
    return world;
  };
}

/** A folder with files of one test. */
export interface Folder {
  readonly at: (name: string) => string;
  readonly write: (name: string, content: string | Uint8Array) => string;
  readonly read: (name: string) => string;
  readonly has: (name: string) => boolean;
  readonly lock: () => void;
}

export function makeFolder(): Folder {
  const folder = temporaryFolder();
  const at = (name: string): string => join(folder, name);
  return {
    at,
    write(name, content) {
      writeFileSync(at(name), content);
      return at(name);
    },
    read: (name) => readFileSync(at(name), "utf8"),
    has: (name) => existsSync(at(name)),
    lock: () => chmodSync(folder, 0o500),
  };
}

/** Runs a command with the network and the clock of this process, and nothing else of it. */
export async function run(args: readonly string[], surroundings: Partial<Context> = {}): Promise<Run> {
  return await runInProcess(args, { fetch: (url, init) => fetch(url, init), now: () => new Date(), ...surroundings });
}

export async function* input(text: string | Uint8Array): AsyncGenerator<Uint8Array> {
  yield await Promise.resolve(typeof text === "string" ? new TextEncoder().encode(text) : text);
}

/** The code of a refusal, or the exit status. */
export const outcome = ({ status, stderr }: Run): string => /\[([A-Z_]+)\]\n$/.exec(stderr)?.[1] ?? `status ${status}`;

/** Requests that leave something behind, or would show somebody a token. */
export function requestsOf({ requests }: Sandbox): readonly string[] {
  return requests
    .filter(({ method, service }) => method === "POST" && service !== "ctlog")
    .map(({ service }) => service ?? "");
}
