/**
 * PKCS #8, as far as it must be known before OpenSSL reads it: which kind of key it is, and how much work a password costs.
 *
 * @module
 */

import { decodeInteger, decodeOid, DerReader, parseDer, Tag } from "../asn1/der.ts";
import { FormatError, SigstoreError, VerificationError } from "../errors.ts";
import { MAX_PBKDF2_ITERATIONS, MAX_SCRYPT_BYTES } from "../limits.ts";

const PBES2 = "1.2.840.113549.1.5.13";
const PBKDF2 = "1.2.840.113549.1.5.12";
const SCRYPT = "1.3.6.1.4.1.11591.4.11";
/** AES in CBC mode with 128, 192 and 256 bits, and triple DES, which OpenSSL wrote until 1.1. */
const CIPHERS: ReadonlySet<string> = new Set([
  "2.16.840.1.101.3.4.1.2",
  "2.16.840.1.101.3.4.1.22",
  "2.16.840.1.101.3.4.1.42",
  "1.2.840.113549.3.7",
]);

/**
 * Reads which kind of key a PrivateKeyInfo holds, as an object identifier.
 *
 * @throws FormatError `PRIVATE_KEY_MALFORMED`, `LIMIT_EXCEEDED`.
 * @see RFC 5208 §5, RFC 5958 §2
 * @internal
 */
export function readKeyKind(pkcs8: Uint8Array): string {
  return readingKey(() => {
    const info = DerReader.of(parseDer(pkcs8, Tag.sequence));
    info.next(Tag.integer);
    return decodeOid(info.sequence().next(Tag.oid));
  });
}

/**
 * Checks that an EncryptedPrivateKeyInfo can be opened, at a cost that is bearable.
 *
 * @throws FormatError `PRIVATE_KEY_MALFORMED`, `LIMIT_EXCEEDED`; VerificationError `ALGORITHM_UNSUPPORTED`.
 * @see RFC 5208 §6, RFC 8018 A.2 and A.4, RFC 7914 §7
 * @internal
 */
export function checkEncryptedKey(encrypted: Uint8Array): void {
  readingKey(() => {
    const info = DerReader.of(parseDer(encrypted, Tag.sequence));
    const algorithm = info.sequence();
    info.next(Tag.octetString);
    info.end();
    const scheme = decodeOid(algorithm.next(Tag.oid));
    if (scheme !== PBES2) throw unsupported(`encryption ${scheme}`);
    const parameters = algorithm.sequence();
    const derivation = parameters.sequence();
    const cipher = decodeOid(parameters.sequence().next(Tag.oid));
    if (!CIPHERS.has(cipher)) throw unsupported(`cipher ${cipher}`);
    const kdf = decodeOid(derivation.next(Tag.oid));
    const cost = derivation.sequence();
    cost.next(Tag.octetString); // the salt
    if (kdf === PBKDF2) {
      requireAtMost("rounds of PBKDF2", decodeInteger(cost.next(Tag.integer)), MAX_PBKDF2_ITERATIONS);
    } else if (kdf === SCRYPT) {
      const [n, r, p] = [0, 1, 2].map(() => decodeInteger(cost.next(Tag.integer))) as [bigint, bigint, bigint];
      requireAtMost("bytes of work for scrypt", 128n * n * r * p, MAX_SCRYPT_BYTES);
    } else throw unsupported(`key derivation ${kdf}`);
  });
}

/**
 * Lets what is wrong with the encoding of a private key be told as a fault of the key.
 *
 * @internal
 */
export function readingKey<T>(read: () => T): T {
  try {
    return read();
  } catch (error) {
    if (!(error instanceof SigstoreError) || error.code !== "DER_MALFORMED") throw error;
    throw new FormatError("PRIVATE_KEY_MALFORMED", `private key is malformed: ${error.message}`, { cause: error });
  }
}

function requireAtMost(what: string, found: bigint, most: number): void {
  if (found <= BigInt(most)) return;
  throw new FormatError("LIMIT_EXCEEDED", `private key asks for too many ${what}`, {
    expected: `at most ${most}`,
    found: found < 1n << 64n ? `${found}` : "more than 2^64",
    remedy: "encrypt it anew with less: openssl pkcs8 -topk8 -in FILE -out FILE.pem",
  });
}

function unsupported(what: string): VerificationError {
  return new VerificationError("ALGORITHM_UNSUPPORTED", `private key is protected by ${what}, which is not supported`, {
    expected: "PBES2 with PBKDF2 or scrypt, and AES in CBC mode",
    remedy: "convert it: openssl pkcs8 -topk8 -v2 aes-256-cbc -in FILE -out FILE.pem",
  });
}
