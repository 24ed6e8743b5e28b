/**
 * What a certificate transparency log keeps and signs, as RFC 6962 encodes it.
 *
 * Nothing here is shared with `x509/sct.ts`, which verifies it: the one is a check of the other.
 *
 * @module
 */

import { hash } from "node:crypto";
import { contextTag, decodeOid, DerReader, parseDer, Tag } from "../../asn1/der.ts";
import { encodeDer } from "../../asn1/writer.ts";
import { concatBytes, encodeUint64 } from "../../encoding/bytes.ts";
import type { SignedCertificateTimestamp } from "../../x509/sct.ts";
import { encodeVector } from "./tls-vector.ts";

const POISON = "1.3.6.1.4.1.11129.2.4.3";

/**
 * Encodes the `MerkleTreeLeaf` of a certificate. Its bytes are also those that an SCT signs: version, type, `TimestampedEntry`
 * are version, signature type and the rest there.
 *
 * @see RFC 6962 §3.4 and §3.2
 */
export function encodeCertificateLeaf(certificate: Uint8Array, timestampMs: bigint): Uint8Array {
  return encodeLeaf(timestampMs, 0, encodeVector(3, certificate));
}

/**
 * Encodes the `MerkleTreeLeaf` of a precertificate.
 *
 * @param issuerSpki - SubjectPublicKeyInfo of the certificate that issued it.
 * @see RFC 6962 §3.4 and §3.2
 */
export function encodePrecertificateLeaf(
  precertificate: Uint8Array,
  issuerSpki: Uint8Array,
  timestampMs: bigint,
): Uint8Array {
  const issuerKeyHash = hash("sha256", issuerSpki, "buffer");
  return encodeLeaf(timestampMs, 1, concatBytes(issuerKeyHash, encodeVector(3, tbsWithoutPoison(precertificate))));
}

function encodeLeaf(timestampMs: bigint, entryType: 0 | 1, signedEntry: Uint8Array): Uint8Array {
  // version v1, leaf type timestamped_entry; no extensions
  return concatBytes(
    Uint8Array.of(0, 0),
    encodeUint64(timestampMs),
    Uint8Array.of(0, entryType),
    signedEntry,
    Uint8Array.of(0, 0),
  );
}

/** Takes the poison extension out of a TBSCertificate; every other byte stays, but for the lengths around it. */
function tbsWithoutPoison(precertificate: Uint8Array): Uint8Array {
  const tbs = DerReader.of(parseDer(precertificate, Tag.sequence)).next(Tag.sequence);
  const fields: Uint8Array[] = [];
  for (const reader = DerReader.of(tbs); !reader.atEnd;) {
    const field = reader.next();
    if (field.tag !== contextTag(3, true)) {
      fields.push(field.bytes);
      continue;
    }
    const kept: Uint8Array[] = [];
    for (const extensions = DerReader.of(parseDer(field.content, Tag.sequence)); !extensions.atEnd;) {
      const extension = extensions.next(Tag.sequence);
      if (decodeOid(DerReader.of(extension).next(Tag.oid)) !== POISON) kept.push(extension.bytes);
    }
    if (kept.length > 0) fields.push(encodeDer(contextTag(3, true), encodeDer(Tag.sequence, ...kept)));
  }
  return encodeDer(Tag.sequence, ...fields);
}

/**
 * Encodes what a log's signature over its tree is made of.
 *
 * @see RFC 6962 §3.5
 */
export function encodeTreeHead(timestampMs: bigint, treeSize: number, rootHash: Uint8Array): Uint8Array {
  return concatBytes(Uint8Array.of(0, 1), encodeUint64(timestampMs), encodeUint64(BigInt(treeSize)), rootHash);
}

/** Encodes a `digitally-signed` struct by an ECDSA key with SHA-256 (RFC 5246 §4.7). */
export function encodeEcdsaSignature(signature: Uint8Array): Uint8Array {
  return concatBytes(Uint8Array.of(4, 3), encodeVector(2, signature));
}

/**
 * Encodes one SCT.
 *
 * @see RFC 6962 §3.2
 */
function encodeSct(sct: SignedCertificateTimestamp): Uint8Array {
  return concatBytes(
    Uint8Array.of(0),
    sct.logId,
    encodeUint64(sct.timestampMs),
    encodeVector(2, sct.extensions),
    encodeEcdsaSignature(sct.signature),
  );
}

/**
 * Encodes the list that a certificate carries, without the OCTET STRING around it.
 *
 * @see RFC 6962 §3.3
 */
export function encodeSctList(scts: readonly SignedCertificateTimestamp[]): Uint8Array {
  return encodeVector(2, ...scts.map((sct) => encodeVector(2, encodeSct(sct))));
}

/**
 * Gives an SCT as a log answers it.
 *
 * @see RFC 6962 §4.1
 */
export function sctToJson(sct: SignedCertificateTimestamp): {
  readonly sct_version: 0;
  readonly id: string;
  readonly timestamp: number;
  readonly extensions: string;
  readonly signature: string;
} {
  return {
    sct_version: 0,
    id: Buffer.from(sct.logId).toString("base64"),
    timestamp: Number(sct.timestampMs),
    extensions: Buffer.from(sct.extensions).toString("base64"),
    signature: Buffer.from(encodeEcdsaSignature(sct.signature)).toString("base64"),
  };
}
