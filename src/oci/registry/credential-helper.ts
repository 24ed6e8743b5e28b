/**
 * Credential helpers: programs `docker-credential-NAME` that keep the credentials of registries.
 *
 * @module
 */

import { parseJson } from "../../encoding/json.ts";
import { JsonReader } from "../../encoding/json-reader.ts";
import { FormatError, InputError } from "../../errors.ts";
import { MAX_CREDENTIAL_BYTES } from "../../limits.ts";
import type { RegistryCredentials } from "./credentials.ts";

const HELPER_TIMEOUT_MS = 30_000;
/** What helpers say where they have nothing for a server. @see docker/docker-credential-helpers credentials/error.go */
const NOT_FOUND = /credentials not found in native keychain/;

/** Is how a helper is run: it gets its environment and what it reads, and is waited for. */
export interface HelperProcess {
  readonly environment: Readonly<Record<string, string | undefined>>;
  readonly signal?: AbortSignal | undefined;
}

/**
 * Asks a helper for the credentials of a server.
 *
 * @param name - What follows `docker-credential-` in the name of the program.
 * @param server - As the configuration of docker writes it.
 * @returns `undefined` where it has none.
 * @throws InputError `CREDENTIALS_UNAVAILABLE`, without anything that the helper said.
 * @see docker/docker-credential-helpers README.md, "Development"
 */
export async function getFromHelper(
  name: string,
  server: string,
  process: HelperProcess,
): Promise<RegistryCredentials | undefined> {
  const { status, stdout } = await runHelper(name, "get", server, process);
  if (status !== 0) {
    if (NOT_FOUND.test(stdout)) return undefined;
    throw failed(name, `ended with status ${status}`);
  }
  try {
    const json = parseJson(stdout, { what: "answer", code: "JSON_MALFORMED", maxBytes: MAX_CREDENTIAL_BYTES });
    const answer = new JsonReader(json, "answer", "JSON_MALFORMED").object();
    const username = answer.optional("Username")?.string() ?? "";
    const secret = answer.optional("Secret")?.string() ?? "";
    if (username === "" && secret === "") return undefined;
    return username === "<token>"
      ? { kind: "identity-token", identityToken: secret }
      : { kind: "basic", username, password: secret };
  } catch (error) {
    if (!(error instanceof FormatError)) throw error;
    throw failed(name, "does not answer in JSON"); // without the cause, which could repeat a secret
  }
}

/** Gives credentials to a helper to keep. @throws InputError `CREDENTIALS_UNAVAILABLE`. */
export async function storeInHelper(
  name: string,
  entry: { readonly server: string; readonly username: string; readonly secret: string },
  process: HelperProcess,
): Promise<void> {
  const { server, username, secret } = entry;
  const input = JSON.stringify({ ServerURL: server, Username: username, Secret: secret });
  const { status } = await runHelper(name, "store", input, process);
  if (status !== 0) throw failed(name, `could not store the credentials: it ended with status ${status}`);
}

/** Lets a helper forget a server. @returns whether it knew it. @throws InputError `CREDENTIALS_UNAVAILABLE`. */
export async function eraseFromHelper(name: string, server: string, process: HelperProcess): Promise<boolean> {
  const { status, stdout } = await runHelper(name, "erase", server, process);
  if (status === 0) return true;
  if (NOT_FOUND.test(stdout)) return false;
  throw failed(name, `could not erase the credentials: it ended with status ${status}`);
}

async function runHelper(
  name: string,
  action: "get" | "store" | "erase",
  input: string,
  { environment, signal }: HelperProcess,
): Promise<{ readonly status: number; readonly stdout: string }> {
  // The name is part of that of a program: nothing in it may lead to another folder.
  if (!/^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/.test(name))
    throw new InputError(
      "CREDENTIALS_UNAVAILABLE",
      "docker's configuration names a credential helper with a name that is none",
      {
        found: JSON.stringify(name.slice(0, 80)),
      },
    );
  const { spawn } = globalThis.process.getBuiltinModule("node:child_process");
  return await new Promise((resolve, reject) => {
    const child = spawn(`docker-credential-${name}`, [action], {
      env: environment,
      stdio: ["pipe", "pipe", "ignore"],
      signal: AbortSignal.any([AbortSignal.timeout(HELPER_TIMEOUT_MS), ...(signal === undefined ? [] : [signal])]),
      killSignal: "SIGKILL",
    });
    const chunks: Buffer[] = [];
    let length = 0;
    child.stdout.on("data", (chunk: Buffer) => {
      length += chunk.length;
      if (length <= MAX_CREDENTIAL_BYTES) chunks.push(chunk);
      else {
        child.kill("SIGKILL");
        reject(failed(name, `answers with more than ${MAX_CREDENTIAL_BYTES} bytes`));
      }
    });
    child.on("error", (error: NodeJS.ErrnoException) => {
      if (signal?.aborted === true) reject(signal.reason as Error);
      else if (error.code === "ENOENT")
        reject(failed(name, "is not installed", "install it, or log in with cosign-ts login"));
      else if (error.name === "AbortError")
        reject(failed(name, `did not answer within ${HELPER_TIMEOUT_MS / 1000} seconds`));
      else reject(failed(name, `cannot be run (${error.code ?? error.name})`));
    });
    child.on("close", (code) => resolve({ status: code ?? -1, stdout: Buffer.concat(chunks).toString("utf8") }));
    child.stdin.on("error", () => undefined); // a helper that does not read says so by its status
    child.stdin.end(input);
  });
}

function failed(name: string, problem: string, remedy?: string): InputError {
  return new InputError("CREDENTIALS_UNAVAILABLE", `credential helper docker-credential-${name} ${problem}`, {
    remedy: remedy ?? `run docker-credential-${name} list to see what is the matter with it`,
  });
}
