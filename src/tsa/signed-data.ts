import {
  contextTag,
  decodeOctetString,
  decodeOid,
  decodeSmallInteger,
  decodeUnsignedBytes,
  DerReader,
  parseDer,
  Tag,
  type DerElement,
} from "../asn1/der.ts";
import { OID } from "../asn1/oids.ts";
import { equalBytes } from "../encoding/bytes.ts";
import { FormatError } from "../errors.ts";
import { MAX_CHAIN_CERTIFICATES, MAX_SIGNATURE_BYTES, MAX_TIMESTAMP_ITEMS } from "../limits.ts";
import { parseSignatureAlgorithm, type CertificateSignatureAlgorithm } from "../x509/signature-algorithm.ts";
import { parseDigestAlgorithm, type DigestAlgorithm } from "./digest-algorithm.ts";
import { requireDer } from "./require-der.ts";
import { parseSigningCertificate, type EssCertificateId, type IssuerAndSerialNumber } from "./signing-certificate.ts";

/** How a SignerInfo names the certificate of its signer. Not signed. */
export type SignerIdentifier =
  | ({ readonly kind: "issuerAndSerialNumber" } & IssuerAndSerialNumber)
  | { readonly kind: "subjectKeyIdentifier"; readonly keyIdentifier: Uint8Array };

/** The one signature of a token. */
export interface SignerInfo {
  readonly sid: SignerIdentifier;
  readonly digestAlgorithm: DigestAlgorithm;
  readonly signatureAlgorithm: CertificateSignatureAlgorithm;
  readonly signature: Uint8Array;
  /** The signed attributes as the signature covers them: a SET OF. */
  readonly signedAttributes: Uint8Array;
  /** The digest that stands for the content among what is signed. */
  readonly messageDigest: Uint8Array;
  /** What SigningCertificate and SigningCertificateV2 say of the signer; at least one. */
  readonly signingCertificates: readonly EssCertificateId[];
}

/** A signed message of CMS, as timestamp tokens use it. Nothing in it is proven. */
export interface SignedData {
  readonly content: Uint8Array;
  /** Certificates that came along, undecoded. Anybody can put some in. */
  readonly certificates: readonly Uint8Array[];
  readonly signerInfo: SignerInfo;
}

/**
 * Parses the ContentInfo of a timestamp token.
 *
 * Unsigned attributes are passed over, since nothing here rests on them; revocation lists are refused.
 *
 * @throws {@link FormatError} `TIMESTAMP_MALFORMED`, `DER_MALFORMED`, `CERTIFICATE_MALFORMED` for the parameters of an
 * algorithm, `LIMIT_EXCEEDED`.
 * @see RFC 5652 §3, §5; RFC 3161 §2.4.2
 */
export function parseSignedData(contentInfo: DerElement): SignedData {
  const info = DerReader.of(contentInfo);
  const contentType = decodeOid(info.next(Tag.oid));
  if (contentType !== OID.signedData) throw malformed(`is no signed message but ${contentType}`);
  const explicit = info.next(contextTag(0, true));
  info.end();

  const signedData = DerReader.of(parseDer(explicit.content, Tag.sequence));
  // RFC 5652 §5.1: version 3, since the content is not id-data and there is nothing here that asks for 4 or 5
  const version = decodeSmallInteger(signedData.next(Tag.integer));
  if (version !== 3) throw malformed(`is a signed message of version ${version}`);
  const digestAlgorithms = signedData.next(Tag.set);
  const content = readContent(signedData.sequence());
  const certificates = readCertificates(signedData.optional(contextTag(0, true)));
  // crls: nothing signs them and nothing here reads them; passed over, the field could hide what stands in the one before
  if (signedData.peekTag() === contextTag(1, true)) throw malformed("has revocation lists");
  const signatures = signedData.next(Tag.set);
  signedData.end();
  requireDer(digestAlgorithms);
  requireDer(signatures);
  const signerInfos = DerReader.of(signatures);
  // RFC 3161 §2.4.2: MUST NOT contain any signatures other than the signature of the TSA
  const signerInfo = readSignerInfo(signerInfos.sequence());
  if (!signerInfos.atEnd) throw malformed("has several signatures");
  requireListed(signerInfo.digestAlgorithm, DerReader.of(digestAlgorithms));
  return { content, certificates, signerInfo };
}

/** RFC 5652 §5.2; the content is id-ct-TSTInfo and there, not detached. */
function readContent(encapsulated: DerReader): Uint8Array {
  const contentType = decodeOid(encapsulated.next(Tag.oid));
  if (contentType !== OID.tstInfo) throw malformed(`has content of type ${contentType}`);
  const explicit = encapsulated.next(contextTag(0, true));
  encapsulated.end();
  return decodeOctetString(parseDer(explicit.content, Tag.octetString));
}

/** RFC 5652 §10.2.2: in a message of version 3, each is a Certificate. */
function readCertificates(field: DerElement | undefined): readonly Uint8Array[] {
  if (field === undefined) return [];
  const certificates: Uint8Array[] = [];
  const reader = DerReader.of(field);
  while (!reader.atEnd) {
    if (certificates.length === MAX_CHAIN_CERTIFICATES) throw tooMany("certificates", MAX_CHAIN_CERTIFICATES);
    certificates.push(reader.next(Tag.sequence).bytes);
  }
  return certificates;
}

/** RFC 5652 §5.1: the collection is there so that a verifier can hash while it reads; it must hold the signer's algorithm. */
function requireListed({ oid }: DigestAlgorithm, algorithms: DerReader): void {
  let listed = false;
  for (let count = 0; !algorithms.atEnd; count++) {
    if (count === MAX_TIMESTAMP_ITEMS) throw tooMany("digest algorithms", MAX_TIMESTAMP_ITEMS);
    listed = parseDigestAlgorithm(algorithms.next(Tag.sequence)).oid === oid || listed;
  }
  if (!listed) throw malformed("does not list the digest algorithm of its signature");
}

/** RFC 5652 §5.3. */
function readSignerInfo(reader: DerReader): SignerInfo {
  const version = decodeSmallInteger(reader.next(Tag.integer));
  const sid = readSignerIdentifier(reader.next());
  // If the SignerIdentifier is the CHOICE issuerAndSerialNumber, then the version MUST be 1. [Otherwise] MUST be 3.
  if (version !== (sid.kind === "issuerAndSerialNumber" ? 1 : 3))
    throw malformed(`has signer information of version ${version} with ${sid.kind}`);
  const digestIdentifier = reader.next(Tag.sequence);
  // signedAttrs MUST be present if the content type is not id-data
  const signedAttributes = reader.next(contextTag(0, true));
  const signatureIdentifier = reader.next(Tag.sequence);
  const signature = decodeOctetString(reader.next(Tag.octetString));
  reader.optional(contextTag(1, true)); // unsignedAttrs
  reader.end();
  if (signature.length > MAX_SIGNATURE_BYTES) {
    throw new FormatError("LIMIT_EXCEEDED", `timestamp has a signature of ${signature.length} bytes`, {
      expected: `at most ${MAX_SIGNATURE_BYTES}`,
    });
  }
  const digestAlgorithm = parseDigestAlgorithm(digestIdentifier);
  const attributes = readSignedAttributes(signedAttributes);
  const protection = attributes.get(OID.cmsAlgorithmProtection);
  if (protection !== undefined) requireProtected(DerReader.of(protection), digestAlgorithm, signatureIdentifier);
  return {
    sid,
    digestAlgorithm,
    signatureAlgorithm: readSignatureAlgorithm(signatureIdentifier, digestAlgorithm),
    signature,
    signedAttributes: asSet(signedAttributes.bytes),
    messageDigest: readMessageDigest(attributes),
    signingCertificates: readSigningCertificates(attributes),
  };
}

function readSignerIdentifier(element: DerElement): SignerIdentifier {
  if (element.tag === contextTag(0, false)) return { kind: "subjectKeyIdentifier", keyIdentifier: element.content };
  if (element.tag !== Tag.sequence) throw malformed("names its signer in an unknown way");
  const reader = DerReader.of(element);
  const issuer = reader.next(Tag.sequence).bytes;
  const serialNumber = decodeUnsignedBytes(reader.next(Tag.integer));
  reader.end();
  return { kind: "issuerAndSerialNumber", issuer, serialNumber };
}

/**
 * Reads the algorithm of the signature. `rsaEncryption` leaves the hash to the digest algorithm; with any other, both must
 * be one.
 *
 * @see RFC 3370 §3.2; RFC 8933 §3.1: the same digest algorithm MUST be used [for the content and for the signed attributes]
 */
function readSignatureAlgorithm(identifier: DerElement, { hash }: DigestAlgorithm): CertificateSignatureAlgorithm {
  const algorithm = parseSignatureAlgorithm(identifier);
  if (algorithm.oid === OID.rsaEncryption) return { oid: algorithm.oid, scheme: hash && "rsa-pkcs1", hash };
  // RFC 8419 §3.1 pairs Ed25519 with SHA-512, which some signers do not; the signature is over the attributes themselves
  if (algorithm.hash !== undefined && hash !== undefined && algorithm.hash !== hash)
    throw malformed(`is signed with ${algorithm.hash} over a digest of ${hash}`);
  return algorithm;
}

/** Attributes of which RFC 5652 §11, RFC 5035 §3 and §4, and RFC 6211 §2 allow one instance with one value. */
const SINGLE: ReadonlySet<string> = new Set([
  OID.contentType,
  OID.messageDigest,
  OID.signingTime,
  OID.signingCertificate,
  OID.signingCertificateV2,
  OID.cmsAlgorithmProtection,
]);

/**
 * Reads the values of the signed attributes that are used here, and checks the order that DER gives to the set.
 *
 * @see RFC 5652 §5.3: SignedAttributes MUST be DER encoded, even if the rest of the structure is BER encoded
 */
function readSignedAttributes(field: DerElement): ReadonlyMap<string, DerElement> {
  const found = new Map<string, DerElement>();
  const reader = DerReader.of(field);
  let previous: Uint8Array | undefined;
  for (let count = 0; !reader.atEnd; count++) {
    if (count === MAX_TIMESTAMP_ITEMS) throw tooMany("signed attributes", MAX_TIMESTAMP_ITEMS);
    const element = reader.next(Tag.sequence);
    if (previous !== undefined && compareBytes(previous, element.bytes) > 0)
      throw malformed("has signed attributes that are not in the order of DER");
    previous = element.bytes;
    const attribute = DerReader.of(element);
    const oid = decodeOid(attribute.next(Tag.oid));
    const values = attribute.set();
    attribute.end();
    if (!SINGLE.has(oid)) continue;
    if (found.has(oid)) throw malformed(`has the signed attribute ${oid} twice`);
    found.set(oid, values.next());
    if (!values.atEnd) throw malformed(`has a signed attribute ${oid} of several values`);
  }
  return found;
}

/** RFC 5652 §11.1: the content type among what is signed is that of the content. */
function readMessageDigest(attributes: ReadonlyMap<string, DerElement>): Uint8Array {
  const contentType = attributes.get(OID.contentType);
  if (contentType === undefined) throw malformed("has no content type among its signed attributes");
  if (contentType.tag !== Tag.oid || decodeOid(contentType) !== OID.tstInfo)
    throw malformed("signs another content type than it has");
  const messageDigest = attributes.get(OID.messageDigest);
  if (messageDigest === undefined) throw malformed("has no message digest among its signed attributes");
  if (messageDigest.tag !== Tag.octetString) throw malformed("has a message digest that is no octet string");
  return decodeOctetString(messageDigest);
}

/** RFC 3161 §2.4.2, RFC 5816 §2.2.1: the identifier of the TSA certificate MUST be included as a signerInfo attribute. */
function readSigningCertificates(attributes: ReadonlyMap<string, DerElement>): readonly EssCertificateId[] {
  const first = attributes.get(OID.signingCertificate);
  const second = attributes.get(OID.signingCertificateV2);
  const identifiers: EssCertificateId[] = [];
  if (first !== undefined) identifiers.push(parseSigningCertificate(first, 1));
  if (second !== undefined) identifiers.push(parseSigningCertificate(second, 2));
  if (identifiers.length === 0)
    throw malformed("does not name the certificate of its signer among its signed attributes");
  return identifiers;
}

/** RFC 6211 §3: the algorithms that are signed must be those outside. */
function requireProtected(reader: DerReader, digestAlgorithm: DigestAlgorithm, signatureIdentifier: DerElement): void {
  const digest = parseDigestAlgorithm(reader.next(Tag.sequence));
  const signature = reader.next(contextTag(1, true)); // implicitly tagged
  reader.end();
  if (digest.oid !== digestAlgorithm.oid || !equalBytes(signature.content, signatureIdentifier.content)) {
    throw malformed("signs other algorithms than it names");
  }
}

/** RFC 5652 §5.4: the IMPLICIT [0] tag in the signedAttrs is not used for the DER encoding, rather an EXPLICIT SET OF tag is used. */
function asSet(signedAttributes: Uint8Array): Uint8Array {
  const set = Uint8Array.from(signedAttributes); // the slice of a Buffer is no copy
  set[0] = Tag.set;
  return set;
}

/** X.690 §11.6: as octet strings, the shorter one padded with zeros. Encodings hold their length, so none is a prefix of another. */
function compareBytes(a: Uint8Array, b: Uint8Array): number {
  const length = Math.min(a.length, b.length);
  for (let i = 0; i < length; i++) {
    const difference = (a[i] as number) - (b[i] as number);
    if (difference !== 0) return difference;
  }
  return a.length - b.length;
}

function tooMany(what: string, limit: number): FormatError {
  return new FormatError("LIMIT_EXCEEDED", `timestamp has more than ${limit} ${what}`);
}

function malformed(detail: string): FormatError {
  return new FormatError("TIMESTAMP_MALFORMED", `timestamp ${detail}`);
}
