/**
 * Issues the certificates of a timestamp authority: a root, an intermediate, and the one that signs timestamps.
 *
 * Written with our own DER writer, like the tokens: three fixed shapes need no library for certificates.
 *
 * @module
 */

import { hash, randomBytes } from "node:crypto";
import { contextTag, Tag } from "../../asn1/der.ts";
import { OID } from "../../asn1/oids.ts";
import {
  encodeBitString,
  encodeBoolean,
  encodeDer,
  encodeInteger,
  encodeOctetString,
  encodeOid,
  encodeSequence,
  encodeSet,
} from "../../asn1/writer.ts";
import type { PublicKey } from "../../crypto/public-key.ts";
import { encodeUtf8 } from "../../encoding/utf8.ts";
import { X509_OID } from "../../x509/oids.ts";
import { newSigningKey, type SigningKey } from "../signing-key.ts";

/** Is who signs timestamps. */
export interface TimestampChain {
  /** DER: leaf, intermediate, root. */
  readonly certificates: readonly [Uint8Array, Uint8Array, Uint8Array];
}

/** RFC 4519 §2.19, §2.3 */
const ORGANIZATION = "2.5.4.10";
const COMMON_NAME = "2.5.4.3";
const ECDSA_WITH_SHA256 = encodeSequence(encodeOid(OID.ecdsaWithSha256));
/** RFC 5280 §4.2.1.3, bits 0, and 5 and 6, counted from the left. */
const KEY_USAGE = { digitalSignature: [7, 0x80], certSign: [1, 0x06] } as const;

const MINUTE_MS = 60_000;

/**
 * Issues a chain for a key, valid from now on.
 *
 * @see RFC 3161 §2.3: "The corresponding certificate MUST contain only one instance of the extended key usage field extension … with
 * KeyPurposeID having value: id-kp-timeStamping. This extension MUST be critical."
 */
export async function issueTimestampChain(signer: PublicKey, now: Date): Promise<TimestampChain> {
  const from = new Date(now.getTime() - 5 * MINUTE_MS);
  const root = await newSigningKey("p256");
  const intermediate = await newSigningKey("p256");
  const years = { ca: yearsAfter(now, 10), leaf: yearsAfter(now, 9) };
  const rootName = nameOf("Sandbox timestamp root");
  const intermediateName = nameOf("Sandbox timestamp intermediate");
  const purpose = encodeSequence(encodeOid(X509_OID.timeStamping));
  const ca = [
    extension(X509_OID.keyUsage, true, keyUsage("certSign")),
    extension(X509_OID.basicConstraints, true, encodeSequence(encodeBoolean(true))),
  ];
  return {
    certificates: [
      issue({
        issuer: { name: intermediateName, key: intermediate },
        subject: nameOf("Sandbox timestamp authority"),
        key: signer,
        validity: [from, years.leaf],
        extensions: [
          extension(X509_OID.keyUsage, true, keyUsage("digitalSignature")),
          extension(X509_OID.extendedKeyUsage, true, purpose),
        ],
      }),
      issue({
        issuer: { name: rootName, key: root },
        subject: intermediateName,
        key: intermediate.publicKey,
        validity: [from, years.ca],
        extensions: [...ca, extension(X509_OID.extendedKeyUsage, false, purpose)],
      }),
      issue({
        issuer: { name: rootName, key: root },
        subject: rootName,
        key: root.publicKey,
        validity: [from, years.ca],
        extensions: ca,
      }),
    ],
  };
}

interface Issue {
  readonly issuer: { readonly name: Uint8Array; readonly key: SigningKey };
  readonly subject: Uint8Array;
  readonly key: PublicKey;
  readonly validity: readonly [Date, Date];
  readonly extensions: readonly Uint8Array[];
}

function issue({ issuer, subject, key, validity, extensions }: Issue): Uint8Array {
  const authorityKeyId = encodeSequence(encodeDer(contextTag(0, false), keyIdOf(issuer.key.publicKey)));
  const tbs = encodeSequence(
    encodeDer(contextTag(0, true), encodeInteger(2n)), // version 3
    encodeInteger(randomSerialNumber()),
    ECDSA_WITH_SHA256,
    issuer.name,
    encodeSequence(...validity.map(encodeTime)),
    subject,
    key.spki,
    encodeDer(
      contextTag(3, true),
      encodeSequence(
        ...extensions,
        extension(X509_OID.subjectKeyIdentifier, false, encodeOctetString(keyIdOf(key))),
        extension(X509_OID.authorityKeyIdentifier, false, authorityKeyId),
      ),
    ),
  );
  return encodeSequence(tbs, ECDSA_WITH_SHA256, encodeBitString(issuer.key.sign(tbs)));
}

/** Makes a number of 159 bits: positive, not zero, and for all practical purposes never given before. */
export function randomSerialNumber(): bigint {
  return (1n << 158n) | (BigInt(`0x${randomBytes(20).toString("hex")}`) >> 2n);
}

/** Writes a GeneralizedTime without fractions, as DER demands. */
export function encodeGeneralizedTime(time: Date): Uint8Array {
  return encodeDer(Tag.generalizedTime, encodeUtf8(digitsOf(time)));
}

/** Writes a UTCTime up to 2049, a GeneralizedTime from then on (RFC 5280 §4.1.2.5). */
export function encodeTime(time: Date): Uint8Array {
  return time.getUTCFullYear() < 2050
    ? encodeDer(Tag.utcTime, encodeUtf8(digitsOf(time).slice(2)))
    : encodeGeneralizedTime(time);
}

function digitsOf(time: Date): string {
  return `${time.toISOString().slice(0, 19).replaceAll(/[-:T]/g, "")}Z`;
}

function nameOf(commonName: string): Uint8Array {
  const attribute = (oid: string, value: string): Uint8Array =>
    encodeSet(encodeSequence(encodeOid(oid), encodeDer(Tag.utf8String, encodeUtf8(value))));
  return encodeSequence(attribute(ORGANIZATION, "cosign-ts sandbox"), attribute(COMMON_NAME, commonName));
}

function extension(oid: string, critical: boolean, value: Uint8Array): Uint8Array {
  const flag = critical ? [encodeBoolean(true)] : [];
  return encodeSequence(encodeOid(oid), ...flag, encodeOctetString(value));
}

function keyUsage(usage: keyof typeof KEY_USAGE): Uint8Array {
  return encodeDer(Tag.bitString, Uint8Array.of(...KEY_USAGE[usage]));
}

/** RFC 5280 §4.2.1.2 (1), with SHA-1 as it says: no security rests on it. */
function keyIdOf(key: PublicKey): Uint8Array {
  return new Uint8Array(hash("sha1", key.keyBytes, "buffer"));
}

function yearsAfter(now: Date, years: number): Date {
  const later = new Date(now);
  later.setUTCFullYear(later.getUTCFullYear() + years);
  return later;
}
