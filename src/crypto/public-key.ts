import {
  contextTag,
  decodeBitString,
  decodeNull,
  decodeOid,
  decodeSmallInteger,
  decodeUnsignedBytes,
  DerReader,
  parseDer,
  Tag,
} from "../asn1/der.ts";
import type { DerElement } from "../asn1/der.ts";
import { OID } from "../asn1/oids.ts";
import { encodeBitString, encodeNull, encodeOid, encodeSequence } from "../asn1/writer.ts";
import { equalBytes } from "../encoding/bytes.ts";
import { tryDecodeHex } from "../encoding/hex.ts";
import { parsePem } from "../encoding/pem.ts";
import { FormatError, SigstoreError, VerificationError } from "../errors.ts";
import { MAX_KEY_FILE_BYTES, MAX_RSA_MODULUS_BITS, MIN_RSA_MODULUS_BITS } from "../limits.ts";
import { DIGEST_LENGTH, type HashAlgorithm } from "./digest.ts";

/** Is the kind of a public key, with its curve or parameter set. `rsa-pss` keys make no PKCS #1 v1.5 signatures. */
export type PublicKeyType =
  "ecdsa-p256" | "ecdsa-p384" | "ecdsa-p521" | "rsa" | "rsa-pss" | "ed25519" | "ml-dsa-44" | "ml-dsa-65" | "ml-dsa-87";

/** Is the kind of a key on one of the NIST curves. */
export type EcKeyType = Extract<PublicKeyType, `ecdsa-${string}`>;

/** Gives the bytes of a coordinate, and of r and s, for each curve. */
export const COORDINATE_BYTES: Readonly<Record<EcKeyType, number>> = {
  "ecdsa-p256": 32,
  "ecdsa-p384": 48,
  "ecdsa-p521": 66,
};

/** Is a public key as far as its encoding tells. That an EC point lies on its curve is found out on first use. */
export interface PublicKey {
  readonly type: PublicKeyType;
  /** The SubjectPublicKeyInfo, DER; there is only one encoding of each key that {@link parsePublicKey} accepts. */
  readonly spki: Uint8Array;
  /** The content of the BIT STRING: uncompressed EC point, RSAPublicKey in DER, raw Ed25519 or ML-DSA key. */
  readonly keyBytes: Uint8Array;
  /** Bits of the RSA modulus. */
  readonly modulusBits?: number;
  /** The one hash, and the least salt, that an `rsa-pss` key with parameters may be used with. */
  readonly pss?: { readonly hash: HashAlgorithm; readonly saltLength: number };
}

/** Is an RSAPublicKey, its numbers as unsigned big-endian bytes. */
export interface RsaNumbers {
  readonly modulus: Uint8Array;
  readonly exponent: Uint8Array;
}

const CURVES: ReadonlyMap<string, EcKeyType> = new Map([
  [OID.p256, "ecdsa-p256"],
  [OID.p384, "ecdsa-p384"],
  [OID.p521, "ecdsa-p521"],
]);

/** RFC 9881 §4 */
const ML_DSA: ReadonlyMap<string, { readonly type: PublicKeyType; readonly length: number }> = new Map([
  [OID.mlDsa44, { type: "ml-dsa-44", length: 1312 }],
  [OID.mlDsa65, { type: "ml-dsa-65", length: 1952 }],
  [OID.mlDsa87, { type: "ml-dsa-87", length: 2592 }],
]);

const HASHES: ReadonlyMap<string, HashAlgorithm> = new Map([
  [OID.sha256, "sha256"],
  [OID.sha384, "sha384"],
  [OID.sha512, "sha512"],
]);

/**
 * Parses a SubjectPublicKeyInfo.
 *
 * Accepted are named curves with uncompressed points, RSA of 2048 to 4096 bits, Ed25519 and ML-DSA. Whether the runtime can use
 * the key is not checked here: see `CryptoProvider.supports`.
 *
 * @param spki - DER; the result keeps views of it.
 * @throws {@link FormatError} `PUBLIC_KEY_MALFORMED`.
 * @throws {@link VerificationError} `ALGORITHM_UNSUPPORTED` for another kind of key or another curve.
 * @see RFC 5280 §4.1.2.7, RFC 5480 §2, RFC 3279 §2.3.1, RFC 8410 §4, RFC 9881 §4
 */
export function parsePublicKey(spki: Uint8Array): PublicKey {
  return readingKey(() => {
    const info = DerReader.of(parseDer(spki, Tag.sequence));
    const algorithm = info.sequence();
    const bits = info.next(Tag.bitString);
    info.end();
    const oid = decodeOid(algorithm.next(Tag.oid));
    const parameters = algorithm.atEnd ? undefined : algorithm.next();
    algorithm.end();
    const { unusedBits, bytes: keyBytes } = decodeBitString(bits);
    if (unusedBits !== 0) throw malformed("is not a whole number of bytes");
    switch (oid) {
      case OID.ecPublicKey:
        return readEcKey(spki, parameters, keyBytes);
      case OID.rsaEncryption:
        if (parameters?.tag !== Tag.null) throw malformed("of type RSA lacks its NULL parameters"); // RFC 3279 §2.3.1
        decodeNull(parameters);
        return { type: "rsa", spki, keyBytes, modulusBits: modulusBits(readRsaNumbers(keyBytes)) };
      case OID.rsassaPss:
        return readPssKey(spki, parameters, keyBytes);
      case OID.ed25519:
        if (parameters !== undefined) throw malformed("of type Ed25519 has parameters"); // RFC 8410 §3
        checkEd25519(keyBytes);
        return { type: "ed25519", spki, keyBytes };
    }
    const mlDsa = ML_DSA.get(oid);
    if (mlDsa === undefined) throw unsupported(`algorithm ${oid}`);
    if (parameters !== undefined) throw malformed("of type ML-DSA has parameters"); // RFC 9881 §2
    if (keyBytes.length !== mlDsa.length)
      throw malformed(`of type ${mlDsa.type} has ${keyBytes.length} bytes instead of ${mlDsa.length}`);
    return { type: mlDsa.type, spki, keyBytes };
  });
}

/**
 * Parses one public key in PEM: a `PUBLIC KEY` block, or an `RSA PUBLIC KEY` block as of PKCS #1.
 *
 * @throws {@link FormatError} `PEM_MALFORMED`, `PUBLIC_KEY_MALFORMED` also for another block or more than one, `LIMIT_EXCEEDED`.
 * @throws {@link VerificationError} `ALGORITHM_UNSUPPORTED` as {@link parsePublicKey}.
 * @see RFC 7468 §13
 */
export function parsePublicKeyPem(text: string): PublicKey {
  if (text.length > MAX_KEY_FILE_BYTES) {
    throw new FormatError("LIMIT_EXCEEDED", "public key file is too large", {
      expected: `at most ${MAX_KEY_FILE_BYTES} bytes`,
      found: `${text.length} characters`,
    });
  }
  const [block, ...others] = parsePem(text);
  if (block === undefined || others.length > 0)
    throw malformed(`file holds ${others.length + 1} PEM blocks instead of one`);
  if (block.label === "PUBLIC KEY") return parsePublicKey(block.bytes);
  if (block.label === "RSA PUBLIC KEY") return parseRsaPublicKey(block.bytes);
  throw malformed(`file holds a PEM block "${block.label}" instead of "PUBLIC KEY"`);
}

/**
 * Parses an RSAPublicKey as of PKCS #1, which stands in a SubjectPublicKeyInfo from then on.
 *
 * @throws {@link FormatError} `PUBLIC_KEY_MALFORMED`.
 * @see RFC 8017 A.1.1
 */
export function parseRsaPublicKey(pkcs1: Uint8Array): PublicKey {
  return readingKey(() => {
    const bits = modulusBits(readRsaNumbers(pkcs1));
    const spki = encodeSequence(encodeSequence(encodeOid(OID.rsaEncryption), encodeNull()), encodeBitString(pkcs1));
    return { type: "rsa", spki, keyBytes: pkcs1, modulusBits: bits };
  });
}

/**
 * Reads modulus and exponent of an RSA key that was parsed before.
 *
 * @internal
 */
export function rsaNumbers(key: PublicKey): RsaNumbers {
  return readRsaNumbers(key.keyBytes);
}

function readEcKey(spki: Uint8Array, parameters: DerElement | undefined, keyBytes: Uint8Array): PublicKey {
  // RFC 5480 §2.1.1: namedCurve; explicit parameters and implicitCurve must not be used
  if (parameters?.tag !== Tag.oid) throw malformed("of type EC does not name its curve");
  const oid = decodeOid(parameters);
  const type = CURVES.get(oid);
  if (type === undefined) throw unsupported(`elliptic curve ${oid}`);
  if (keyBytes[0] !== 0x04) throw malformed("of type EC is not an uncompressed point");
  const length = 1 + 2 * COORDINATE_BYTES[type];
  if (keyBytes.length !== length) throw malformed(`of type ${type} has ${keyBytes.length} bytes instead of ${length}`);
  return { type, spki, keyBytes };
}

function readRsaNumbers(pkcs1: Uint8Array): RsaNumbers {
  const reader = DerReader.of(parseDer(pkcs1, Tag.sequence));
  const modulus = decodeUnsignedBytes(reader.next(Tag.integer));
  const exponent = decodeUnsignedBytes(reader.next(Tag.integer));
  reader.end();
  return { modulus, exponent };
}

/** Counts the bits of the modulus, after checking that both numbers are in the range that is accepted. */
function modulusBits({ modulus, exponent }: RsaNumbers): number {
  const bits = modulus.length * 8 - (Math.clz32(modulus[0] ?? 0) - 24);
  if (bits < MIN_RSA_MODULUS_BITS || bits > MAX_RSA_MODULUS_BITS) {
    throw new FormatError("PUBLIC_KEY_MALFORMED", `RSA modulus has ${Math.max(bits, 0)} bits`, {
      expected: `${MIN_RSA_MODULUS_BITS} to ${MAX_RSA_MODULUS_BITS} bits`,
      found: `${Math.max(bits, 0)} bits`,
    });
  }
  if (((modulus.at(-1) ?? 0) & 1) === 0) throw malformed("has an even RSA modulus");
  // An exponent of more than 31 bits is refused by other clients of Sigstore too, and would only make checks slow.
  const exponentValue = exponent.length > 4 ? Infinity : exponent.reduce((value, byte) => value * 256 + byte, 0);
  if (exponentValue < 3 || exponentValue > 0x7fff_ffff || exponentValue % 2 === 0) {
    throw malformed("has an RSA exponent that is not odd and between 3 and 2^31 - 1");
  }
  return bits;
}

/** Reads an RSA key for PSS alone. Parameters, when present, restrict hash and salt: RFC 4055 §3.1 and §3.3. */
function readPssKey(spki: Uint8Array, parameters: DerElement | undefined, keyBytes: Uint8Array): PublicKey {
  const key = { type: "rsa-pss", spki, keyBytes, modulusBits: modulusBits(readRsaNumbers(keyBytes)) } as const;
  if (parameters === undefined) return key;
  if (parameters.tag !== Tag.sequence) throw malformed("of type RSASSA-PSS has parameters that are no sequence");
  const reader = DerReader.of(parameters);
  const hashField = reader.optional(contextTag(0, true));
  const maskField = reader.optional(contextTag(1, true));
  const saltField = reader.optional(contextTag(2, true));
  const trailerField = reader.optional(contextTag(3, true));
  reader.end();
  const hash = hashField && readHash(DerReader.of(parseDer(hashField.content, Tag.sequence)));
  const mask = maskField && DerReader.of(parseDer(maskField.content, Tag.sequence));
  const maskHash = mask && decodeOid(mask.next(Tag.oid)) === OID.mgf1 ? readHash(mask.sequence()) : undefined;
  const saltLength = saltField ? decodeSmallInteger(parseDer(saltField.content, Tag.integer)) : 20;
  // Absent fields mean SHA-1.
  if (hash === undefined || maskHash !== hash) throw unsupported("RSASSA-PSS with these hashes");
  if (trailerField !== undefined)
    throw malformed("of type RSASSA-PSS has a trailer field, which DER omits or which is unknown");
  mask?.end();
  if (saltLength > DIGEST_LENGTH[hash]) throw unsupported(`RSASSA-PSS with a salt of ${saltLength} bytes`);
  return { ...key, pss: { hash, saltLength } };
}

function readHash(identifier: DerReader): HashAlgorithm | undefined {
  const hash = HASHES.get(decodeOid(identifier.next(Tag.oid)));
  const parameters = identifier.optional(Tag.null); // RFC 4055 §2.1: NULL or absent
  if (parameters !== undefined) decodeNull(parameters);
  identifier.end();
  return hash;
}

/**
 * The y coordinates of the points of small order, little-endian. With such a key some signatures hold for every message, and
 * runtimes disagree about them.
 */
const SMALL_ORDER_Y: readonly Uint8Array[] = [
  "0000000000000000000000000000000000000000000000000000000000000000",
  "0100000000000000000000000000000000000000000000000000000000000000",
  "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
  "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
  "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
].map((hex) => tryDecodeHex(hex) as Uint8Array);

/** Refuses what no key generation gives: a wrong length, a coordinate that is not reduced (RFC 8032 §5.1.3), a small order. */
function checkEd25519(keyBytes: Uint8Array): void {
  if (keyBytes.length !== 32) throw malformed(`of type Ed25519 has ${keyBytes.length} bytes instead of 32`);
  const y = Uint8Array.from(keyBytes); // the slice of a Buffer is no copy
  y[31] = (y[31] as number) & 0x7f; // the topmost bit is the sign of x
  // p = 2^255 - 19
  const reduced = y[31] !== 0x7f || (y[0] as number) < 0xed || y.subarray(1, 31).some((byte) => byte !== 0xff);
  if (!reduced) throw malformed("of type Ed25519 is not in its shortest form");
  if (SMALL_ORDER_Y.some((small) => equalBytes(small, y))) throw malformed("of type Ed25519 is a point of small order");
}

/** Lets what is wrong with the encoding of a key be told as a fault of the key. */
function readingKey(read: () => PublicKey): PublicKey {
  try {
    return read();
  } catch (error) {
    if (!(error instanceof SigstoreError) || error.code !== "DER_MALFORMED") throw error;
    throw new FormatError("PUBLIC_KEY_MALFORMED", `public key is malformed: ${error.message}`, { cause: error });
  }
}

function malformed(detail: string): FormatError {
  return new FormatError("PUBLIC_KEY_MALFORMED", `public key ${detail}`);
}

function unsupported(what: string): VerificationError {
  return new VerificationError("ALGORITHM_UNSUPPORTED", `public key uses ${what}, which is not supported`);
}
