/**
 * RSA signatures over a digest, where runtimes verify only whole messages. Nothing here is secret, so nothing needs constant time.
 *
 * @module
 */

import { concatBytes, equalBytes } from "../encoding/bytes.ts";
import { encodeHex, tryDecodeHex } from "../encoding/hex.ts";
import { DIGEST_LENGTH, type HashAlgorithm } from "./digest.ts";
import type { MaybePromise } from "./provider.ts";
import { rsaNumbers, type PublicKey } from "./public-key.ts";

/**
 * Is the DER of DigestInfo up to the digest itself: RFC 8017 §9.2, note 1.
 *
 * @internal
 */
export const DIGEST_INFO: Readonly<Record<HashAlgorithm, Uint8Array>> = {
  sha256: fromHex("3031300d060960864801650304020105000420"),
  sha384: fromHex("3041300d060960864801650304020205000430"),
  sha512: fromHex("3051300d060960864801650304020305000440"),
};

/**
 * Tells whether a PKCS #1 v1.5 signature is over a digest, comparing the whole encoded message.
 *
 * @see RFC 8017 §8.2.2
 */
export function verifyPkcs1Digest(
  hash: HashAlgorithm,
  key: PublicKey,
  signature: Uint8Array,
  digest: Uint8Array,
): boolean {
  const found = tryRecover(key, signature, signature.length);
  if (found === undefined) return false;
  const digestInfo = concatBytes(DIGEST_INFO[hash], digest);
  const expected = new Uint8Array(signature.length).fill(0xff);
  expected[0] = 0x00;
  expected[1] = 0x01;
  expected[expected.length - digestInfo.length - 1] = 0x00;
  expected.set(digestInfo, expected.length - digestInfo.length);
  return equalBytes(expected, found);
}

/**
 * Tells whether a PSS signature is over a digest. The salt may have any length, as signers of Sigstore make the longest that fits,
 * unless the key itself sets a least length.
 *
 * @param digestOf - Hashes for the mask generation function, which uses the same hash.
 * @see RFC 8017 §8.1.2 and §9.1.2, whose names are used
 */
export async function verifyPssDigest(
  hash: HashAlgorithm,
  key: PublicKey,
  signature: Uint8Array,
  digest: Uint8Array,
  digestOf: (algorithm: HashAlgorithm, data: Uint8Array) => MaybePromise<Uint8Array>,
): Promise<boolean> {
  const emBits = (key.modulusBits ?? 0) - 1;
  const emLen = Math.ceil(emBits / 8);
  const hLen = DIGEST_LENGTH[hash];
  const em = tryRecover(key, signature, emLen);
  if (em?.at(-1) !== 0xbc) return false; // step 4
  const maskedDb = em.subarray(0, emLen - hLen - 1);
  const h = em.subarray(emLen - hLen - 1, emLen - 1);
  const unused = 8 * emLen - emBits;
  if ((maskedDb[0] as number) >> (8 - unused) !== 0) return false; // step 6
  // Steps 7 and 8: DB = maskedDB xor MGF1(H)
  const db = Uint8Array.from(maskedDb);
  for (let counter = 0, at = 0; at < db.length; counter++, at += hLen) {
    const mask = await digestOf(hash, concatBytes(h, Uint8Array.of(0, 0, 0, counter)));
    for (let i = 0; i < hLen && at + i < db.length; i++) db[at + i] = (db[at + i] as number) ^ (mask[i] as number);
  }
  db[0] = (db[0] as number) & (0xff >> unused); // step 9
  // Step 10, with the salt as long as what follows the first nonzero octet, which has to be 01
  const separator = db.findIndex((byte) => byte !== 0);
  if (separator === -1 || db[separator] !== 0x01) return false;
  const salt = db.subarray(separator + 1);
  if (salt.length < (key.pss?.saltLength ?? 0)) return false;
  return equalBytes(h, await digestOf(hash, concatBytes(new Uint8Array(8), digest, salt)));
}

/** Raises the signature to the public exponent. `undefined` when it is no number below the modulus, or the result is too long. */
function tryRecover(key: PublicKey, signature: Uint8Array, length: number): Uint8Array | undefined {
  const { modulus, exponent } = rsaNumbers(key);
  const n = toBigInt(modulus);
  const s = toBigInt(signature);
  if (s >= n) return undefined; // RFC 8017 §5.2.2 step 1
  const e = Number(toBigInt(exponent)); // below 2^31
  let message = s;
  for (let bit = 30 - Math.clz32(e); bit >= 0; bit--) {
    message = (message * message) % n;
    if ((e >>> bit) & 1) message = (message * s) % n;
  }
  const digits = message.toString(16);
  return digits.length > 2 * length ? undefined : fromHex(digits.padStart(2 * length, "0"));
}

function toBigInt(bytes: Uint8Array): bigint {
  return BigInt(`0x${encodeHex(bytes)}`);
}

function fromHex(digits: string): Uint8Array {
  return tryDecodeHex(digits) as Uint8Array;
}
