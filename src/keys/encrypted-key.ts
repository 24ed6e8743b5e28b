/**
 * The encrypted private keys of cosign: PKCS #8 under a password, by scrypt and NaCl's secretbox, described in JSON.
 *
 * @module
 */

import { encodeBase64 } from "../encoding/base64.ts";
import { parseJson } from "../encoding/json.ts";
import { JsonReader } from "../encoding/json-reader.ts";
import { encodeUtf8 } from "../encoding/utf8.ts";
import { FormatError } from "../errors.ts";
import { MAX_KEY_FILE_BYTES } from "../limits.ts";
import { wrongPassword } from "./password.ts";

const crypto = process.getBuiltinModule("node:crypto");

/** Names the PEM block that is written. */
export const ENCRYPTED_KEY_LABEL = "ENCRYPTED SIGSTORE PRIVATE KEY";
/** Names the same in files of older versions of cosign. */
export const OLD_ENCRYPTED_KEY_LABEL = "ENCRYPTED COSIGN PRIVATE KEY";

const CODE = "PRIVATE_KEY_MALFORMED";
const SALT_BYTES = 32;
const KEY_BYTES = 32;
const NONCE_BYTES = 24;
const TAG_BYTES = 16;

/** Is what scrypt is told beside password and salt. */
interface ScryptParameters {
  readonly N: number;
  readonly r: number;
  readonly p: number;
}

const WRITTEN_PARAMETERS: ScryptParameters = { N: 65_536, r: 8, p: 1 };
/** cosign reads no others either, so that no file can ask for more work and memory: 128 MiB at most. */
const KNOWN_PARAMETERS: readonly ScryptParameters[] = [
  { N: 32_768, r: 8, p: 1 },
  WRITTEN_PARAMETERS,
  { N: 131_072, r: 8, p: 1 },
];

/** Is an encrypted private key taken apart. */
export interface EncryptedKey {
  readonly parameters: ScryptParameters;
  readonly salt: Uint8Array;
  readonly nonce: Uint8Array;
  /** The authenticator, then as many bytes as the key has. */
  readonly ciphertext: Uint8Array;
}

/**
 * Parses the JSON inside the PEM block. Nothing is decrypted yet.
 *
 * @throws {@link FormatError} `PRIVATE_KEY_MALFORMED`, for other parameters too; `JSON_DUPLICATE_KEY`, `LIMIT_EXCEEDED`.
 * @see {@link https://github.com/secure-systems-lab/go-securesystemslib/blob/main/encrypted/encrypted.go | go-securesystemslib, package encrypted}
 */
export function parseEncryptedKey(json: Uint8Array): EncryptedKey {
  const what = "encrypted private key";
  const value = parseJson(json, { what, code: CODE, maxBytes: MAX_KEY_FILE_BYTES });
  const key = new JsonReader(value, what, CODE).object(["kdf", "cipher", "ciphertext"]);
  const kdf = key.required("kdf").object(["name", "params", "salt"]);
  kdf.required("name").oneOf(["scrypt"]);
  const params = kdf.required("params").object(["N", "r", "p"]);
  const [N, r, p] = (["N", "r", "p"] as const).map((name) => params.required(name).value);
  const parameters = KNOWN_PARAMETERS.find((known) => known.N === N && known.r === r && known.p === p);
  if (parameters === undefined) {
    throw new FormatError(CODE, "encrypted private key names parameters of scrypt that cosign does not know", {
      expected: KNOWN_PARAMETERS.map((known) => `N ${known.N}, r ${known.r}, p ${known.p}`).join(" or "),
      found: `N ${JSON.stringify(N)}, r ${JSON.stringify(r)}, p ${JSON.stringify(p)}`.slice(0, 100),
    });
  }
  const cipher = key.required("cipher").object(["name", "nonce"]);
  cipher.required("name").oneOf(["nacl/secretbox"]);
  const salt = kdf.required("salt").base64();
  const nonce = cipher.required("nonce").base64();
  const ciphertext = key.required("ciphertext").base64();
  requireLength("salt", salt, SALT_BYTES);
  requireLength("nonce", nonce, NONCE_BYTES);
  if (ciphertext.length <= TAG_BYTES) throw new FormatError(CODE, "encrypted private key holds no ciphertext");
  return { parameters, salt, nonce, ciphertext };
}

/**
 * Decrypts a private key.
 *
 * @returns what is taken for PKCS #8 in DER. It is what somebody with the password wrote, and nothing more is known of it.
 * @throws InputError `KEY_PASSWORD_WRONG`.
 */
export async function decryptKey(key: EncryptedKey, password: Uint8Array): Promise<Uint8Array> {
  const secret = await deriveKey(password, key.salt, key.parameters);
  try {
    return await openSecretbox(key, secret);
  } catch (cause) {
    throw wrongPassword(password, cause);
  } finally {
    secret.fill(0);
  }
}

/**
 * Opens what NaCl's `crypto_secretbox` closed.
 *
 * @throws what the cipher throws where the key is another one or a bit is changed.
 * @internal
 */
export async function openSecretbox(
  { nonce, ciphertext }: Pick<EncryptedKey, "nonce" | "ciphertext">,
  secret: Uint8Array,
): Promise<Uint8Array> {
  const { xsalsa20poly1305 } = await import("@noble/ciphers/salsa.js");
  return xsalsa20poly1305(secret, nonce).decrypt(ciphertext);
}

/**
 * Encrypts a private key as cosign writes it, byte for byte: no space, and the order of fields that Go gives them.
 *
 * @param pkcs8 - DER.
 * @param randomBytes - For the salt and the nonce; a test gives those of another file.
 * @returns JSON for a PEM block.
 */
export async function encryptKey(
  pkcs8: Uint8Array,
  password: Uint8Array,
  randomBytes: (length: number) => Uint8Array = crypto.randomBytes,
): Promise<Uint8Array> {
  const { xsalsa20poly1305 } = await import("@noble/ciphers/salsa.js");
  const salt = Uint8Array.from(randomBytes(SALT_BYTES));
  const nonce = Uint8Array.from(randomBytes(NONCE_BYTES));
  const secret = await deriveKey(password, salt, WRITTEN_PARAMETERS);
  const ciphertext = xsalsa20poly1305(secret, nonce).encrypt(pkcs8);
  secret.fill(0);
  return encodeUtf8(
    JSON.stringify({
      kdf: { name: "scrypt", params: WRITTEN_PARAMETERS, salt: encodeBase64(salt) },
      cipher: { name: "nacl/secretbox", nonce: encodeBase64(nonce) },
      ciphertext: encodeBase64(ciphertext),
    }),
  );
}

/**
 * Derives the key of the cipher, on the thread pool.
 *
 * @see RFC 7914
 * @internal
 */
export async function deriveKey(
  password: Uint8Array,
  salt: Uint8Array,
  parameters: ScryptParameters,
): Promise<Uint8Array> {
  const { N, r, p } = parameters;
  // RFC 7914 §6: 128 r N for V and 128 r p for B, and some for OpenSSL itself
  const maxmem = 128 * r * (N + p) + 1024 * 1024;
  return await new Promise((resolve, reject) => {
    crypto.scrypt(password, salt, KEY_BYTES, { N, r, p, maxmem }, (error, derived) => {
      if (error === null) resolve(Uint8Array.from(derived));
      else reject(error);
    });
  });
}

function requireLength(what: string, bytes: Uint8Array, length: number): void {
  if (bytes.length === length) return;
  throw new FormatError(CODE, `encrypted private key has a ${what} of another length`, {
    expected: `${length} bytes`,
    found: `${bytes.length} bytes`,
  });
}
