import {
  contextTag,
  decodeOctetString,
  decodeUnsignedBytes,
  DerReader,
  parseDer,
  Tag,
  type DerElement,
} from "../asn1/der.ts";
import { OID } from "../asn1/oids.ts";
import type { CryptoProvider } from "../crypto/provider.ts";
import { equalBytes } from "../encoding/bytes.ts";
import { FormatError } from "../errors.ts";
import { MAX_TIMESTAMP_ITEMS } from "../limits.ts";
import type { Certificate } from "../x509/certificate.ts";
import { hashOf, parseDigestAlgorithm, type DigestAlgorithm } from "./digest-algorithm.ts";

/** How a signer names its own certificate among what it signs, so that no other certificate of its key can take its place. */
export interface EssCertificateId {
  /** `"sha1"` for ESSCertID, which knows no other hash; the weakness costs nothing here, as the chain is proven besides. */
  readonly algorithm: DigestAlgorithm | "sha1";
  readonly certHash: Uint8Array;
  readonly issuerSerial: IssuerAndSerialNumber | undefined;
}

/** A certificate by its issuer's name and the number that the issuer gave it. */
export interface IssuerAndSerialNumber {
  /** The DER of the issuer's Name. */
  readonly issuer: Uint8Array;
  /** The magnitude, big-endian, without a sign octet. */
  readonly serialNumber: Uint8Array;
}

const SHA256: DigestAlgorithm = { oid: OID.sha256, hash: "sha256" };

/**
 * Parses the value of a signing certificate attribute and returns its first identifier, which is that of the signer.
 *
 * The others name certificates that may vouch for the signer's rights; nothing here rests on them. A hash algorithm that
 * spells out its default is accepted, since signers write it.
 *
 * @param version - 1 for `SigningCertificate`, 2 for `SigningCertificateV2`.
 * @throws {@link FormatError} `DER_MALFORMED`, `TIMESTAMP_MALFORMED`, `LIMIT_EXCEEDED`.
 * @see RFC 5035 §3, §4
 */
export function parseSigningCertificate(value: DerElement, version: 1 | 2): EssCertificateId {
  const attribute = DerReader.of(value);
  const identifiers = attribute.sequence();
  attribute.optional(Tag.sequence); // policies: whose meaning is the authority's own
  attribute.end();
  const signer = readIdentifier(identifiers.sequence(), version);
  for (let count = 1; !identifiers.atEnd; count++) {
    if (count === MAX_TIMESTAMP_ITEMS)
      throw new FormatError("LIMIT_EXCEEDED", `timestamp names more than ${MAX_TIMESTAMP_ITEMS} certificates`);
    identifiers.next(Tag.sequence);
  }
  return signer;
}

function readIdentifier(reader: DerReader, version: 1 | 2): EssCertificateId {
  const named = version === 2 ? reader.optional(Tag.sequence) : undefined;
  const algorithm = version === 1 ? "sha1" : named === undefined ? SHA256 : parseDigestAlgorithm(named);
  const certHash = decodeOctetString(reader.next(Tag.octetString));
  const issuerSerial = reader.optional(Tag.sequence);
  reader.end();
  return { algorithm, certHash, issuerSerial: issuerSerial && readIssuerSerial(DerReader.of(issuerSerial)) };
}

/** §5: the issuer MUST contain only the issuer name from the certificate, encoded in the directoryName choice of GeneralNames. */
function readIssuerSerial(reader: DerReader): IssuerAndSerialNumber {
  const names = reader.sequence();
  // Name is a CHOICE, so its context tag is explicit
  const issuer = parseDer(names.next(contextTag(4, true)).content, Tag.sequence);
  names.end();
  const serialNumber = decodeUnsignedBytes(reader.next(Tag.integer));
  reader.end();
  return { issuer: issuer.bytes, serialNumber };
}

/**
 * Tells whether an identifier has the hash of a certificate.
 *
 * @throws {@link VerificationError} `ALGORITHM_UNSUPPORTED`.
 */
export async function hasCertificateHash(
  id: EssCertificateId,
  certificate: Uint8Array,
  crypto: CryptoProvider,
): Promise<boolean> {
  const algorithm = id.algorithm === "sha1" ? "sha1" : hashOf(id.algorithm, "certificate identifier");
  return equalBytes(await crypto.digest(algorithm, certificate), id.certHash);
}

/** Tells whether an issuer and serial number are those of a certificate. Names are compared by their bytes, as issuers copy them. */
export function isIssuerAndSerialNumberOf(
  { issuer, serialNumber }: IssuerAndSerialNumber,
  certificate: Certificate,
): boolean {
  return equalBytes(serialNumber, certificate.serialNumber) && equalBytes(issuer, certificate.issuer);
}
