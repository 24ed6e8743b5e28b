/**
 * RSA signatures over a digest. The padding is made here; what is secret is done by node:crypto.
 *
 * @module
 */

import type { KeyObject } from "node:crypto";

import { decodeOctetString, DerReader, parseDer, Tag } from "../asn1/der.ts";
import { DIGEST_LENGTH, type HashAlgorithm } from "../crypto/digest.ts";
import type { PublicKey } from "../crypto/public-key.ts";
import type { SignatureAlgorithm } from "../crypto/registry.ts";
import { DIGEST_INFO } from "../crypto/rsa-prehash.ts";
import { concatBytes } from "../encoding/bytes.ts";

const crypto = process.getBuiltinModule("node:crypto");

/**
 * Signs a digest with an RSA key.
 *
 * @see RFC 8017 §8.1.1 and §8.2.1
 * @internal
 */
export function signRsaDigest(
  privateKey: KeyObject,
  publicKey: PublicKey,
  algorithm: SignatureAlgorithm,
  digest: Uint8Array,
): Uint8Array {
  const hash = algorithm.hash as HashAlgorithm;
  if (algorithm.scheme === "rsa-pkcs1") {
    const padding = crypto.constants.RSA_PKCS1_PADDING;
    return Uint8Array.from(crypto.privateEncrypt({ key: privateKey, padding }, concatBytes(DIGEST_INFO[hash], digest)));
  }
  const key = publicKey.type === "rsa-pss" ? withoutRestriction(privateKey) : privateKey;
  const encoded = encodePss(hash, digest, publicKey.modulusBits ?? 0);
  return Uint8Array.from(crypto.privateEncrypt({ key, padding: crypto.constants.RSA_NO_PADDING }, encoded));
}

/**
 * Encodes a digest as EMSA-PSS does, with a salt as long as the hash and MGF1 over the same hash.
 *
 * @returns as many bytes as the modulus has.
 * @see RFC 8017 §9.1.1, whose names are used
 */
function encodePss(hash: HashAlgorithm, mHash: Uint8Array, modulusBits: number): Uint8Array {
  const emBits = modulusBits - 1;
  const emLen = Math.ceil(emBits / 8);
  const hLen = DIGEST_LENGTH[hash];
  const salt = crypto.randomBytes(hLen);
  const h = crypto.hash(hash, concatBytes(new Uint8Array(8), mHash, salt), "buffer"); // steps 5 and 6
  const db = new Uint8Array(emLen - hLen - 1); // steps 7 and 8
  db[db.length - hLen - 1] = 0x01;
  db.set(salt, db.length - hLen);
  for (let counter = 0, at = 0; at < db.length; counter++, at += hLen) {
    const mask = crypto.hash(hash, concatBytes(h, Uint8Array.of(0, 0, 0, counter)), "buffer"); // steps 9 and 10
    for (let i = 0; i < hLen && at + i < db.length; i++) db[at + i] = (db[at + i] as number) ^ (mask[i] as number);
  }
  db[0] = (db[0] as number) & (0xff >> (8 * emLen - emBits)); // step 11
  return concatBytes(new Uint8Array(Math.ceil(modulusBits / 8) - emLen), db, h, Uint8Array.of(0xbc));
}

/** The same numbers as a key for any padding: OpenSSL makes no raw operation with a key that is for PSS alone. */
function withoutRestriction(privateKey: KeyObject): KeyObject {
  const info = DerReader.of(parseDer(privateKey.export({ format: "der", type: "pkcs8" }), Tag.sequence));
  info.next(Tag.integer);
  info.next(Tag.sequence);
  const key = Buffer.from(decodeOctetString(info.next(Tag.octetString)));
  return crypto.createPrivateKey({ key, format: "der", type: "pkcs1" });
}
