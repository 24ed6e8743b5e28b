import { OID } from "../asn1/oids.ts";
import { encodeBitString, encodeDer, encodeInteger, encodeNull, encodeOid, encodeSequence } from "../asn1/writer.ts";
import { concatBytes } from "../encoding/bytes.ts";
import { tryDecodeHex } from "../encoding/hex.ts";
import { COORDINATE_BYTES, parsePublicKey, type PublicKey, type PublicKeyType } from "./public-key.ts";

const probes = new Map<PublicKeyType, PublicKey>();

/**
 * Gives a well-formed public key of each kind, to find out whether a runtime knows the kind at all: runtimes answer a broken key and
 * an unknown kind with the same errors. Nobody has the private keys, or everybody has; nothing is ever verified with them.
 *
 * @internal
 */
export function probeKey(type: PublicKeyType): PublicKey {
  let key = probes.get(type);
  if (key === undefined) probes.set(type, (key = parsePublicKey(encodeProbe(type))));
  return key;
}

function encodeProbe(type: PublicKeyType): Uint8Array {
  switch (type) {
    case "ecdsa-p256":
      return spki([encodeOid(OID.ecPublicKey), encodeOid(OID.p256)], generator(type));
    case "ecdsa-p384":
      return spki([encodeOid(OID.ecPublicKey), encodeOid(OID.p384)], generator(type));
    case "ecdsa-p521":
      return spki([encodeOid(OID.ecPublicKey), encodeOid(OID.p521)], generator(type));
    case "rsa":
      return spki([encodeOid(OID.rsaEncryption), encodeNull()], rsaKey());
    case "rsa-pss":
      return spki([encodeOid(OID.rsassaPss)], rsaKey());
    case "ed25519":
      return spki([encodeOid(OID.ed25519)], concatBytes(Uint8Array.of(0x58), new Uint8Array(31).fill(0x66))); // RFC 8032 §5.1: B
    case "ml-dsa-44":
      return spki([encodeOid(OID.mlDsa44)], new Uint8Array(1312));
    case "ml-dsa-65":
      return spki([encodeOid(OID.mlDsa65)], new Uint8Array(1952));
    case "ml-dsa-87":
      return spki([encodeOid(OID.mlDsa87)], new Uint8Array(2592));
  }
}

function spki(algorithm: readonly Uint8Array[], key: Uint8Array): Uint8Array {
  return encodeSequence(encodeSequence(...algorithm), encodeBitString(key));
}

/** 2^2048 - 1 and 65537: of the right size, and odd, which is all that anybody looks at. */
function rsaKey(): Uint8Array {
  return encodeSequence(encodeDer(0x02, Uint8Array.of(0), new Uint8Array(256).fill(0xff)), encodeInteger(65537n));
}

/** The generators of SP 800-186 §3.2.1, x then y. */
const GENERATORS = {
  "ecdsa-p256":
    "6b17d1f2e12c4247f8bce6e563a440f277037d812deb33a0f4a13945d898c296" +
    "4fe342e2fe1a7f9b8ee7eb4a7c0f9e162bce33576b315ececbb6406837bf51f5",
  "ecdsa-p384":
    "aa87ca22be8b05378eb1c71ef320ad746e1d3b628ba79b9859f741e082542a385502f25dbf55296c3a545e3872760ab7" +
    "3617de4a96262c6f5d9e98bf9292dc29f8f41dbd289a147ce9da3113b5f0b8c00a60b1ce1d7e819d7a431d7c90ea0e5f",
  "ecdsa-p521":
    "00c6858e06b70404e9cd9e3ecb662395b4429c648139053fb521f828af606b4d3dbaa14b5e77efe75928fe1dc127a2ffa8de3348b3c1856a429bf97e7e31c2e5bd66" +
    "011839296a789a3bc0045c8a5fb42c7d1bd998f54449579b446817afbd17273e662c97ee72995ef42640c550b9013fad0761353c7086a272c24088be94769fd16650",
} as const;

function generator(type: keyof typeof GENERATORS): Uint8Array {
  const point = tryDecodeHex("04" + GENERATORS[type]);
  if (point?.length !== 1 + 2 * COORDINATE_BYTES[type]) throw new TypeError(`generator of ${type} is mistyped`);
  return point;
}
