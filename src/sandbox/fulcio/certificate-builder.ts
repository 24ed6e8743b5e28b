/**
 * Writes the certificates of Fulcio: root, intermediate and leaf.
 *
 * Written with our own DER writer: a library for certificates took three times as long as the signature.
 *
 * @module
 */

import { hash, randomBytes, sign, type KeyObject } from "node:crypto";
import { contextTag, decodeBitString, DerReader, parseDer, Tag } from "../../asn1/der.ts";
import { OID } from "../../asn1/oids.ts";
import {
  encodeBitString,
  encodeBoolean,
  encodeDer,
  encodeInteger,
  encodeNull,
  encodeOctetString,
  encodeOid,
  encodeSequence,
  encodeSet,
} from "../../asn1/writer.ts";
import { encodeUtf8 } from "../../encoding/utf8.ts";
import { FULCIO_EXTENSIONS } from "../../x509/fulcio.ts";
import { X509_OID } from "../../x509/oids.ts";
import { GENERAL_NAME } from "../../x509/subject-alternative-name.ts";
import type { CertifiedIdentity } from "./principal.ts";

/** Is what a certificate is made of, besides its issuer. What is encoded already is DER. */
export interface CertificateContent {
  /** As {@link newSerialNumber} makes it. */
  readonly serialNumber: bigint;
  readonly notBefore: Date;
  readonly notAfter: Date;
  readonly subject: Uint8Array;
  /** SubjectPublicKeyInfo. */
  readonly spki: Uint8Array;
  readonly extensions: readonly Uint8Array[];
}

/** Is who signs certificates, with a P-384 key. */
export interface CertificateIssuer {
  /** Name, DER. */
  readonly name: Uint8Array;
  readonly key: KeyObject;
  readonly keyIdentifier: Uint8Array;
}

/** RFC 4519 §2.19, §2.3 */
const ORGANIZATION = "2.5.4.10";
const COMMON_NAME = "2.5.4.3";
const VERSION_3 = encodeDer(contextTag(0, true), encodeInteger(2n));
const ECDSA_WITH_SHA384 = encodeSequence(encodeOid(OID.ecdsaWithSha384));
/** RFC 5280 §4.2.1.3, as BIT STRINGs: bit 0; bits 5 and 6. */
const DIGITAL_SIGNATURE = encodeDer(Tag.bitString, Uint8Array.of(7, 0x80));
const CERT_SIGN_AND_CRL_SIGN = encodeDer(Tag.bitString, Uint8Array.of(1, 0x06));
const CODE_SIGNING = extension(X509_OID.extendedKeyUsage, encodeSequence(encodeOid(X509_OID.codeSigning)));

/** Is the name of nobody. */
export const EMPTY_NAME = encodeSequence();

/** Is the extension that a precertificate is not to be trusted for (RFC 6962 §3.1). */
export const POISON = extension(X509_OID.precertificatePoison, encodeNull(), true);

/** Signs a certificate. */
export function signCertificate(content: CertificateContent, issuer: CertificateIssuer): Uint8Array {
  const tbs = encodeSequence(
    VERSION_3,
    encodeInteger(content.serialNumber),
    ECDSA_WITH_SHA384,
    issuer.name,
    encodeSequence(encodeTime(content.notBefore), encodeTime(content.notAfter)),
    content.subject,
    content.spki,
    encodeDer(contextTag(3, true), encodeSequence(...content.extensions)),
  );
  return encodeSequence(tbs, ECDSA_WITH_SHA384, encodeBitString(sign("sha384", tbs, issuer.key)));
}

/** Makes a serial number of 160 bits that is positive: its first bit is 0, its second 1, so that it always has 20 octets. */
export function newSerialNumber(): bigint {
  return BigInt.asUintN(158, BigInt(`0x${randomBytes(20).toString("hex")}`)) | (1n << 158n);
}

/** Makes a name of organization and common name. */
export function encodeName(organization: string, commonName: string): Uint8Array {
  const attribute = (type: string, value: string): Uint8Array =>
    encodeSet(encodeSequence(encodeOid(type), encodeDer(Tag.utf8String, encodeUtf8(value))));
  return encodeSequence(attribute(ORGANIZATION, organization), attribute(COMMON_NAME, commonName));
}

/** Computes the identifier of a key: SHA-1 of its bits (RFC 5280 §4.2.1.2, method 1). */
export function keyIdentifierOf(spki: Uint8Array): Uint8Array {
  const reader = DerReader.of(parseDer(spki, Tag.sequence));
  reader.next(Tag.sequence);
  return new Uint8Array(hash("sha1", decodeBitString(reader.next(Tag.bitString)).bytes, "buffer"));
}

/**
 * Lists the extensions of a certificate authority.
 *
 * @param issuerKeyIdentifier - Absent for a root.
 * @see {@link https://github.com/sigstore/fulcio/blob/main/docs/certificate-specification.md | Fulcio docs/certificate-specification.md}, "Root Certificate", "Intermediate Certificate"
 */
export function authorityExtensions(
  keyIdentifier: Uint8Array,
  issuerKeyIdentifier: Uint8Array | undefined,
): readonly Uint8Array[] {
  const pathLength = encodeInteger(issuerKeyIdentifier === undefined ? 1n : 0n);
  return [
    extension(X509_OID.keyUsage, CERT_SIGN_AND_CRL_SIGN, true),
    ...(issuerKeyIdentifier === undefined ? [] : [CODE_SIGNING]),
    extension(X509_OID.basicConstraints, encodeSequence(encodeBoolean(true), pathLength), true),
    ...keyIdentifiers(keyIdentifier, issuerKeyIdentifier),
  ];
}

/**
 * Lists the extensions of a certificate for signing code, in Fulcio's order.
 *
 * @see {@link https://github.com/sigstore/fulcio/blob/main/docs/certificate-specification.md | Fulcio docs/certificate-specification.md}, "Issued Certificate"; {@link https://github.com/sigstore/fulcio/blob/main/docs/oid-info.md | docs/oid-info.md}, "Extension values"
 */
export function leafExtensions(
  keyIdentifier: Uint8Array,
  issuerKeyIdentifier: Uint8Array,
  identity: CertifiedIdentity,
): readonly Uint8Array[] {
  const { kind, value } = identity.subjectAlternativeName;
  const form = kind === "email" ? GENERAL_NAME.rfc822Name : GENERAL_NAME.uniformResourceIdentifier;
  const name = encodeDer(contextTag(form, false), encodeUtf8(value));
  return [
    extension(X509_OID.keyUsage, DIGITAL_SIGNATURE, true),
    CODE_SIGNING,
    ...keyIdentifiers(keyIdentifier, issuerKeyIdentifier),
    // RFC 5280 §4.2.1.6: critical, as the subject is empty
    extension(X509_OID.subjectAlternativeName, encodeSequence(name), true),
    ...FULCIO_EXTENSIONS.flatMap(({ oid, field, der }) => {
      const text = identity.extensions[field];
      if (text === undefined || text === "") return [];
      return [extension(oid, der ? encodeDer(Tag.utf8String, encodeUtf8(text)) : encodeUtf8(text))];
    }),
  ];
}

/**
 * Makes the extension that carries SCTs (RFC 6962 §3.3).
 *
 * @param list - As `encodeSctList` gives it.
 */
export function sctListExtension(list: Uint8Array): Uint8Array {
  return extension(X509_OID.signedCertificateTimestampList, encodeOctetString(list));
}

function keyIdentifiers(own: Uint8Array, issuer: Uint8Array | undefined): readonly Uint8Array[] {
  const subject = extension(X509_OID.subjectKeyIdentifier, encodeOctetString(own));
  if (issuer === undefined) return [subject];
  const authority = encodeSequence(encodeDer(contextTag(0, false), issuer));
  return [subject, extension(X509_OID.authorityKeyIdentifier, authority)];
}

function extension(oid: string, value: Uint8Array, critical = false): Uint8Array {
  return encodeSequence(encodeOid(oid), ...(critical ? [encodeBoolean(true)] : []), encodeOctetString(value));
}

/** RFC 5280 §4.1.2.5: UTCTime through the year 2049, GeneralizedTime from then on. */
function encodeTime(date: Date): Uint8Array {
  const digits = `${date
    .toISOString()
    .slice(0, 19)
    .replaceAll(/[^0-9]/g, "")}Z`;
  if (date.getUTCFullYear() >= 2050) return encodeDer(Tag.generalizedTime, encodeUtf8(digits));
  return encodeDer(Tag.utcTime, encodeUtf8(digits.slice(2)));
}
