import {
  contextTag,
  decodeBitString,
  decodeBoolean,
  decodeOctetString,
  decodeOid,
  decodeSmallInteger,
  DerReader,
  parseDer,
  Tag,
} from "../asn1/der.ts";
import { FormatError } from "../errors.ts";
import { MAX_CERTIFICATE_EXTENSIONS } from "../limits.ts";
import { parseNameConstraints } from "./name-constraints.ts";
import type { NameConstraints } from "./name-constraints.ts";
import { X509_OID } from "./oids.ts";
import { parseSubjectAlternativeNames } from "./subject-alternative-name.ts";
import type { SubjectAlternativeName } from "./subject-alternative-name.ts";

/** One extension as it stands in the certificate. */
export interface CertificateExtension {
  readonly critical: boolean;
  /** The content of extnValue: DER for most extensions, text for Fulcio's oldest. */
  readonly value: Uint8Array;
  /** The whole Extension, a view of the certificate. */
  readonly bytes: Uint8Array;
}

/** What a key may be used for. */
export interface KeyUsage {
  readonly digitalSignature: boolean;
  readonly contentCommitment: boolean;
  readonly keyEncipherment: boolean;
  readonly dataEncipherment: boolean;
  readonly keyAgreement: boolean;
  readonly keyCertSign: boolean;
  readonly cRLSign: boolean;
  readonly encipherOnly: boolean;
  readonly decipherOnly: boolean;
}

/** Whether a certificate may issue others, and how many intermediates may follow it. */
export interface BasicConstraints {
  readonly ca: boolean;
  readonly pathLength: number | undefined;
}

/** The purposes that a certificate is restricted to. */
export interface ExtendedKeyUsage {
  readonly critical: boolean;
  /** Object identifiers, dotted. */
  readonly purposes: readonly string[];
}

/** The extensions of a certificate; those that path validation uses are decoded. */
export interface CertificateExtensions {
  /** Every extension by its dotted object identifier. */
  readonly all: ReadonlyMap<string, CertificateExtension>;
  readonly basicConstraints: BasicConstraints | undefined;
  readonly keyUsage: KeyUsage | undefined;
  readonly extendedKeyUsage: ExtendedKeyUsage | undefined;
  readonly subjectKeyIdentifier: Uint8Array | undefined;
  /** The keyIdentifier of the authority key identifier extension, where it has one. */
  readonly authorityKeyIdentifier: Uint8Array | undefined;
  readonly subjectAlternativeNames: readonly SubjectAlternativeName[];
  readonly nameConstraints: NameConstraints | undefined;
  /** Object identifiers of critical extensions that this package does not process, so that no path may hold them. */
  readonly unknownCritical: readonly string[];
}

/** The extensions of a certificate that has none. */
export const NO_EXTENSIONS: CertificateExtensions = {
  all: new Map(),
  basicConstraints: undefined,
  keyUsage: undefined,
  extendedKeyUsage: undefined,
  subjectKeyIdentifier: undefined,
  authorityKeyIdentifier: undefined,
  subjectAlternativeNames: [],
  nameConstraints: undefined,
  unknownCritical: [],
};

const PROCESSED: ReadonlySet<string> = new Set([
  X509_OID.subjectKeyIdentifier,
  X509_OID.keyUsage,
  X509_OID.subjectAlternativeName,
  X509_OID.basicConstraints,
  X509_OID.nameConstraints,
  X509_OID.authorityKeyIdentifier,
  X509_OID.extendedKeyUsage,
  X509_OID.signedCertificateTimestampList,
]);

/**
 * Parses the extensions of a certificate.
 *
 * Fulcio's own extensions and the SCT list stay undecoded: see `readFulcioExtensions` and `parseSctList`.
 *
 * @param extensions - Reader over the content of Extensions.
 * @throws {@link FormatError} `DER_MALFORMED`, `CERTIFICATE_MALFORMED`, `LIMIT_EXCEEDED`.
 * @see RFC 5280 §4.1.2.9, §4.2
 */
export function readExtensions(extensions: DerReader): CertificateExtensions {
  const all = new Map<string, CertificateExtension>();
  const unknownCritical: string[] = [];
  do {
    if (all.size === MAX_CERTIFICATE_EXTENSIONS) {
      throw new FormatError("LIMIT_EXCEEDED", `certificate has more than ${MAX_CERTIFICATE_EXTENSIONS} extensions`);
    }
    const element = extensions.next(Tag.sequence);
    const reader = DerReader.of(element);
    const oid = decodeOid(reader.next(Tag.oid));
    const flag = reader.optional(Tag.boolean);
    const critical = flag !== undefined && decodeBoolean(flag);
    // X.690 §11.5: a value equal to its DEFAULT is not encoded
    if (flag !== undefined && !critical)
      throw malformed(`has extension ${oid} that spells out the default of "critical"`);
    const value = decodeOctetString(reader.next(Tag.octetString));
    reader.end();
    // §4.2: A certificate MUST NOT include more than one instance of a particular extension.
    if (all.has(oid)) throw malformed(`has extension ${oid} twice`);
    all.set(oid, { critical, value, bytes: element.bytes });
    if (critical && !PROCESSED.has(oid)) unknownCritical.push(oid);
  } while (!extensions.atEnd); // Extensions ::= SEQUENCE SIZE (1..MAX)

  const valueOf = (oid: string): Uint8Array | undefined => all.get(oid)?.value;
  const basicConstraints = valueOf(X509_OID.basicConstraints);
  const keyUsage = valueOf(X509_OID.keyUsage);
  const extendedKeyUsage = all.get(X509_OID.extendedKeyUsage);
  const subjectKeyIdentifier = valueOf(X509_OID.subjectKeyIdentifier);
  const authorityKeyIdentifier = valueOf(X509_OID.authorityKeyIdentifier);
  const subjectAlternativeNames = valueOf(X509_OID.subjectAlternativeName);
  const nameConstraints = valueOf(X509_OID.nameConstraints);
  return {
    all,
    basicConstraints: basicConstraints && readBasicConstraints(basicConstraints),
    keyUsage: keyUsage && readKeyUsage(keyUsage),
    extendedKeyUsage: extendedKeyUsage && {
      critical: extendedKeyUsage.critical,
      purposes: readPurposes(extendedKeyUsage.value),
    },
    subjectKeyIdentifier: subjectKeyIdentifier && decodeOctetString(parseDer(subjectKeyIdentifier, Tag.octetString)),
    authorityKeyIdentifier: authorityKeyIdentifier && readAuthorityKeyIdentifier(authorityKeyIdentifier),
    subjectAlternativeNames: subjectAlternativeNames ? parseSubjectAlternativeNames(subjectAlternativeNames) : [],
    nameConstraints: nameConstraints && parseNameConstraints(nameConstraints),
    unknownCritical,
  };
}

/** RFC 5280 §4.2.1.9. A path length beside `CA:FALSE` means nothing, and careless configurations write one. */
function readBasicConstraints(value: Uint8Array): BasicConstraints {
  const reader = DerReader.of(parseDer(value, Tag.sequence));
  const flag = reader.optional(Tag.boolean);
  const ca = flag !== undefined && decodeBoolean(flag);
  if (flag !== undefined && !ca) throw malformed('has basic constraints that spell out the default of "cA"');
  const length = reader.optional(Tag.integer);
  const pathLength = length && decodeSmallInteger(length);
  reader.end();
  return { ca, pathLength: ca ? pathLength : undefined };
}

/** RFC 5280 §4.2.1.3: bit 0 is the most significant one of the first octet; at least one bit is set. */
function readKeyUsage(value: Uint8Array): KeyUsage {
  const { bytes } = decodeBitString(parseDer(value, Tag.bitString));
  const [first = 0, second = 0] = bytes;
  if (bytes.length > 2 || (second & 0x7f) !== 0) throw malformed("has key usage bits that do not exist");
  if (first === 0 && second === 0) throw malformed("has a key usage without any use");
  return {
    digitalSignature: (first & 0x80) !== 0,
    contentCommitment: (first & 0x40) !== 0,
    keyEncipherment: (first & 0x20) !== 0,
    dataEncipherment: (first & 0x10) !== 0,
    keyAgreement: (first & 0x08) !== 0,
    keyCertSign: (first & 0x04) !== 0,
    cRLSign: (first & 0x02) !== 0,
    encipherOnly: (first & 0x01) !== 0,
    decipherOnly: (second & 0x80) !== 0,
  };
}

/** RFC 5280 §4.2.1.12: SEQUENCE SIZE (1..MAX) OF OBJECT IDENTIFIER. */
function readPurposes(value: Uint8Array): readonly string[] {
  const reader = DerReader.of(parseDer(value, Tag.sequence));
  const purposes: string[] = [];
  do purposes.push(decodeOid(reader.next(Tag.oid)));
  while (!reader.atEnd);
  return purposes;
}

/** RFC 5280 §4.2.1.1: issuer and serial number come together or not at all; path validation does not use them. */
function readAuthorityKeyIdentifier(value: Uint8Array): Uint8Array | undefined {
  const reader = DerReader.of(parseDer(value, Tag.sequence));
  const keyIdentifier = reader.optional(contextTag(0, false));
  const issuer = reader.optional(contextTag(1, true));
  const serialNumber = reader.optional(contextTag(2, false));
  reader.end();
  if ((issuer === undefined) !== (serialNumber === undefined)) {
    throw malformed("has an authority key identifier with only one of issuer and serial number");
  }
  return keyIdentifier?.content;
}

function malformed(detail: string): FormatError {
  return new FormatError("CERTIFICATE_MALFORMED", `certificate ${detail}`);
}
