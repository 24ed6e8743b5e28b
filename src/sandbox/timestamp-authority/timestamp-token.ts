/**
 * Writes timestamps.
 *
 * With our own DER writer, not with a library for CMS: the shape never changes, so that it takes a screen of code, no object graph and
 * no WebCrypto on the way, and a timestamp costs little more than its signature.
 *
 * @module
 */

import { hash } from "node:crypto";
import { contextTag, Tag } from "../../asn1/der.ts";
import { OID } from "../../asn1/oids.ts";
import {
  encodeDer,
  encodeInteger,
  encodeNull,
  encodeOctetString,
  encodeOid,
  encodeSequence,
  encodeSet,
} from "../../asn1/writer.ts";
import type { Digest, HashAlgorithm } from "../../crypto/digest.ts";
import { parseCertificate } from "../../x509/certificate.ts";
import type { SigningKey } from "../signing-key.ts";
import { encodeGeneralizedTime, encodeTime } from "./chain.ts";
import { TIMESTAMP_POLICY } from "./timestamp-request.ts";

/** Says what a timestamp holds. */
export interface TimestampContent {
  readonly imprint: Digest;
  readonly time: Date;
  readonly serialNumber: bigint;
  readonly nonce?: bigint;
}

/** Signs timestamps for one certificate. */
export interface TimestampSigner {
  readonly key: Pick<SigningKey, "sign">;
  /** DER. */
  readonly certificate: Uint8Array;
}

/** PKIFailureInfo `systemFailure` is bit 25 (RFC 3161 §2.4.2). */
const SYSTEM_FAILURE = Uint8Array.of(6, 0, 0, 0, 0x40);
const REJECTION = 2n;

const SHA256 = encodeSequence(encodeOid(OID.sha256));
const ECDSA_WITH_SHA256 = encodeSequence(encodeOid(OID.ecdsaWithSha256));

/**
 * Writes a TimeStampResp that grants.
 *
 * @param withCertificate - Whether the token brings the signer's certificate.
 * @see RFC 3161 §2.4.2; RFC 5652 §5; RFC 5816 §2.2.1
 */
export function encodeTimestampResponse(
  content: TimestampContent,
  signer: TimestampSigner,
  withCertificate: boolean,
): Uint8Array {
  const certificate = parseCertificate(signer.certificate);
  const info = encodeTstInfo(content, certificate.subject);
  const serialNumber = encodeInteger(BigInt(`0x${Buffer.from(certificate.serialNumber).toString("hex")}`));
  const issuer = certificate.issuer;
  const attributes = [
    attribute(OID.contentType, encodeOid(OID.tstInfo)),
    attribute(OID.signingTime, encodeTime(content.time)),
    attribute(OID.messageDigest, encodeOctetString(digestOf("sha256", info))),
    attribute(
      OID.signingCertificateV2,
      encodeEssCertificate(content.imprint.algorithm, signer.certificate, issuer, serialNumber),
    ),
  ];
  // RFC 5652 §5.4: signed is the encoding as SET OF, sent is the same under an implicit tag.
  const signed = encodeSet(...attributes);
  const signedAttributes = Uint8Array.from(signed);
  signedAttributes[0] = contextTag(0, true);
  const signerInfo = encodeSequence(
    encodeInteger(1n),
    encodeSequence(issuer, serialNumber),
    SHA256,
    signedAttributes,
    ECDSA_WITH_SHA256,
    encodeOctetString(signer.key.sign(signed)),
  );
  const signedData = encodeSequence(
    encodeInteger(3n),
    encodeSet(SHA256),
    encodeSequence(encodeOid(OID.tstInfo), encodeDer(contextTag(0, true), encodeOctetString(info))),
    ...(withCertificate ? [encodeDer(contextTag(0, true), signer.certificate)] : []),
    encodeSet(signerInfo),
  );
  return encodeSequence(
    encodeSequence(encodeInteger(0n)),
    encodeSequence(encodeOid(OID.signedData), encodeDer(contextTag(0, true), signedData)),
  );
}

/** Writes a TimeStampResp that rejects, without a reason that is the client's. */
export function encodeTimestampRejection(): Uint8Array {
  return encodeSequence(encodeSequence(encodeInteger(REJECTION), encodeDer(Tag.bitString, SYSTEM_FAILURE)));
}

function encodeTstInfo({ imprint, time, serialNumber, nonce }: TimestampContent, tsaName: Uint8Array): Uint8Array {
  return encodeSequence(
    encodeInteger(1n),
    encodeOid(TIMESTAMP_POLICY),
    encodeSequence(hashIdentifier(imprint.algorithm), encodeOctetString(imprint.value)),
    encodeInteger(serialNumber),
    encodeGeneralizedTime(time),
    encodeSequence(encodeInteger(1n)), // accurate to a second
    ...(nonce === undefined ? [] : [encodeInteger(nonce)]),
    encodeDer(contextTag(0, true), encodeDer(contextTag(4, true), tsaName)), // GeneralName directoryName
  );
}

/** RFC 5035 §3: SigningCertificateV2 of one ESSCertIDv2, whose hash is SHA-256 unless it says otherwise. */
function encodeEssCertificate(
  algorithm: HashAlgorithm,
  certificate: Uint8Array,
  issuer: Uint8Array,
  serialNumber: Uint8Array,
): Uint8Array {
  const issuerSerial = encodeSequence(encodeSequence(encodeDer(contextTag(4, true), issuer)), serialNumber);
  const certificateId = encodeSequence(
    ...(algorithm === "sha256" ? [] : [hashIdentifier(algorithm)]),
    encodeOctetString(digestOf(algorithm, certificate)),
    issuerSerial,
  );
  return encodeSequence(encodeSequence(certificateId));
}

function attribute(oid: string, value: Uint8Array): Uint8Array {
  return encodeSequence(encodeOid(oid), encodeSet(value));
}

function hashIdentifier(algorithm: HashAlgorithm): Uint8Array {
  return encodeSequence(encodeOid(OID[algorithm]), encodeNull());
}

function digestOf(algorithm: HashAlgorithm, bytes: Uint8Array): Uint8Array {
  return new Uint8Array(hash(algorithm, bytes, "buffer"));
}
