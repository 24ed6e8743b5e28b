/**
 * The public key that `--key` refers to.
 *
 * @module
 */

import { parsePublicKeyPem, type PublicKey } from "../crypto/public-key.ts";
import { tryDecodeUtf8 } from "../encoding/utf8.ts";
import { nameKeyReference, readKeyReference } from "../keys/key-reference.ts";
import type { Context } from "./context.ts";
import { usage } from "./flags.ts";
import { naming } from "./named-input.ts";

/**
 * Reads a public key in PEM from a file, a URL or an environment variable.
 *
 * @throws InputError, ServiceError; FormatError `PEM_MALFORMED`, `PUBLIC_KEY_MALFORMED`; VerificationError `ALGORITHM_UNSUPPORTED`.
 */
export async function readPublicKey(reference: string, context: Context): Promise<PublicKey> {
  const name = nameKeyReference(reference);
  const { environment, fetch, signal } = context;
  const text = tryDecodeUtf8(await readKeyReference(reference, "key", { environment, fetch, signal }));
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
