/**
 * References to keys, as `--key` takes them: a file, a URL, a variable of the environment.
 *
 * @module
 */

import { FormatError, InputError } from "../errors.ts";
import { readInputFile } from "../files/read-file.ts";
import { fetchFor } from "../http/fetch.ts";
import { redactUrl } from "../http/redact.ts";
import { fetchBytes, type Fetch } from "../http/request.ts";
import { MAX_KEY_FILE_BYTES } from "../limits.ts";
import type { PasswordSource } from "./password.ts";
import { readPrivateKey, type PrivateKeyOptions } from "./private-key.ts";
import type { Signer } from "./signer.ts";

const REQUEST_TIMEOUT_MS = 30_000;

/** Is what a reference may reach. */
export interface KeyReferenceOptions {
  /** Default: that of the process. */
  readonly environment?: Readonly<Record<string, string | undefined>> | undefined;
  /** Default: through the proxy that the environment names. */
  readonly fetch?: Fetch | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** Says how a signer is loaded. */
export interface LoadSignerOptions extends KeyReferenceOptions, PrivateKeyOptions {
  /** Asked once, and only for a key that needs a password. Default: `COSIGN_PASSWORD` of the environment. */
  readonly password?: PasswordSource | undefined;
}

/**
 * Loads a signer whose private key is in a file, at a URL, or in a variable of the environment.
 *
 * @param reference - A path, `https://…` or `http://…`, or `env://NAME`.
 * @throws {@link InputError} `FILE_NOT_FOUND` and other codes of files, `USAGE_INVALID` for another kind of reference,
 * `KEY_PASSWORD_MISSING`, `KEY_PASSWORD_WRONG`; ServiceError.
 * @throws {@link FormatError} `PRIVATE_KEY_MALFORMED`, also for a key that is not encrypted; `PEM_MALFORMED`, `LIMIT_EXCEEDED`.
 * @throws VerificationError `ALGORITHM_UNSUPPORTED`.
 */
export async function loadSigner(reference: string, options: LoadSignerOptions = {}): Promise<Signer> {
  const { environment = process.env } = options;
  const password = options.password ?? (() => Promise.resolve(environment["COSIGN_PASSWORD"]));
  const pem = await readKeyReference(reference, "private key", options);
  try {
    return await readPrivateKey(pem, password, options);
  } catch (error) {
    if (!(error instanceof FormatError)) throw error;
    const { code, message, expected, found, remedy } = error;
    throw new FormatError(code, `${nameKeyReference(reference)}: ${message}`, {
      expected,
      found,
      remedy,
      cause: error,
    });
  }
}

/**
 * Reads what a reference refers to.
 *
 * @param what - What it is to the reader of a message, for instance `private key`.
 * @throws {@link InputError}, ServiceError as {@link loadSigner}.
 * @internal
 */
export async function readKeyReference(
  reference: string,
  what: string,
  options: KeyReferenceOptions,
): Promise<Uint8Array> {
  const { environment = process.env, signal } = options;
  if (reference.startsWith("env://")) {
    const name = reference.slice("env://".length);
    const value = environment[name] ?? "";
    if (value !== "") return Buffer.from(value);
    throw new InputError("USAGE_INVALID", `environment variable ${name}, which --key names, is empty or not set`, {
      remedy: "set it to the key in PEM",
    });
  }
  if (/^https?:\/\//.test(reference)) {
    const fetch = options.fetch ?? fetchFor(environment);
    return await fetchBytes(reference, MAX_KEY_FILE_BYTES, { fetch, timeoutMs: REQUEST_TIMEOUT_MS, signal });
  }
  const scheme = /^(?:[a-z0-9+.-]+:\/\/|pkcs11:)/.exec(reference)?.[0].replace(/\/\/$/, "");
  if (scheme !== undefined) {
    // The rest may hold a PIN.
    throw new InputError("USAGE_INVALID", `key references of the form ${scheme}… are not supported`, {
      expected: "a file, https://… or env://NAME",
      found: `${scheme}…`,
      remedy: what.includes("private")
        ? "use a key in a file, or sign with cosign, which knows such references"
        : "export the public key to a file: cosign public-key --key REFERENCE",
    });
  }
  return await readInputFile(reference, MAX_KEY_FILE_BYTES, what);
}

/**
 * Names a reference in a message, without what a URL may hide.
 *
 * @internal
 */
export function nameKeyReference(reference: string): string {
  return /^https?:/.test(reference) ? redactUrl(reference) : reference;
}
