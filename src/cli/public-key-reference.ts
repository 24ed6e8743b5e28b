/**
 * The public key that `--key` refers to.
 *
 * @module
 */

import { parsePublicKeyPem, type PublicKey } from "../crypto/public-key.ts";
import { tryDecodeUtf8 } from "../encoding/utf8.ts";
import { readInputFile } from "../files/read-file.ts";
import { redactUrl } from "../http/redact.ts";
import { fetchBytes } from "../http/request.ts";
import { MAX_KEY_FILE_BYTES } from "../limits.ts";
import type { Context } from "./context.ts";
import { usage } from "./flags.ts";
import { naming } from "./named-input.ts";

const REQUEST_TIMEOUT_MS = 30_000;

/**
 * Reads a public key in PEM from a file, a URL or an environment variable.
 *
 * @throws InputError, ServiceError; FormatError `PEM_MALFORMED`, `PUBLIC_KEY_MALFORMED`; VerificationError `ALGORITHM_UNSUPPORTED`.
 */
export async function readPublicKey(reference: string, context: Context): Promise<PublicKey> {
  const name = /^https?:/.test(reference) ? redactUrl(reference) : reference;
  const text = tryDecodeUtf8(await readKeyBytes(reference, context));
  const expected = "a public key in PEM";
  if (text === undefined)
    throw usage(`key ${JSON.stringify(name)} is not text`, {
      expected,
      remedy: "convert it: openssl pkey -pubin -inform DER -in FILE",
    });
  if (/-----BEGIN [A-Z ]*PRIVATE KEY-----/.test(text)) {
    throw usage(`key ${JSON.stringify(name)} is a private key`, { expected, remedy: "give the .pub file" });
  }
  if (text.includes("-----BEGIN CERTIFICATE-----")) {
    throw usage(`key ${JSON.stringify(name)} is a certificate`, {
      expected,
      remedy: "take the key out of it: openssl x509 -noout -pubkey -in FILE",
    });
  }
  return await naming(name, () => parsePublicKeyPem(text));
}

async function readKeyBytes(reference: string, { environment, fetch, signal }: Context): Promise<Uint8Array> {
  if (reference.startsWith("env://")) {
    const name = reference.slice("env://".length);
    const value = environment[name] ?? "";
    if (value === "")
      throw usage(`environment variable ${name}, which --key names, is empty or not set`, {
        remedy: "set it to the key in PEM",
      });
    return Buffer.from(value);
  }
  if (/^https?:\/\//.test(reference)) {
    return await fetchBytes(reference, MAX_KEY_FILE_BYTES, { fetch, timeoutMs: REQUEST_TIMEOUT_MS, signal });
  }
  if (/^([a-z0-9+.-]+:\/\/|pkcs11:)/.test(reference)) {
    const scheme = /^[a-z0-9+.-]+:/.exec(reference)?.[0] ?? "";
    // The rest may hold a PIN.
    throw usage(`key references of the form ${scheme}… are not supported`, {
      expected: "a file, https://… or env://NAME",
      remedy: "export the public key to a file: cosign public-key --key REFERENCE",
    });
  }
  return await readInputFile(reference, MAX_KEY_FILE_BYTES, "key");
}
