/**
 * References to keys, as `--key` takes them: a file, a URL, a variable of the environment.
 *
 * @module
 */

import { InputError } from "../errors.ts";
import { readInputFile } from "../files/read-file.ts";
import { fetchFor } from "../http/fetch.ts";
import { redactUrl } from "../http/redact.ts";
import { fetchBytes, type Fetch } from "../http/request.ts";
import { MAX_KEY_FILE_BYTES } from "../limits.ts";

const REQUEST_TIMEOUT_MS = 30_000;

/** Is what a reference may reach. */
export interface KeyReferenceOptions {
  /** Default: that of the process. */
  readonly environment?: Readonly<Record<string, string | undefined>> | undefined;
  /** Default: through the proxy that the environment names. */
  readonly fetch?: Fetch | undefined;
  readonly signal?: AbortSignal | undefined;
}

/**
 * Reads what a reference refers to.
 *
 * @param what - What it is to the reader of a message, for instance `private key`.
 * @throws {@link InputError} `FILE_NOT_FOUND` and other codes of files, `URL_INVALID`, `USAGE_INVALID`; ServiceError.
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
