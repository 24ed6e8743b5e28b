import {
  contextTag,
  decodeBitString,
  decodeSmallInteger,
  decodeTime,
  decodeUnsignedBytes,
  DerReader,
  parseDer,
  Tag,
} from "../asn1/der.ts";
import type { DerElement } from "../asn1/der.ts";
import { parsePublicKey } from "../crypto/public-key.ts";
import type { PublicKey } from "../crypto/public-key.ts";
import { equalBytes } from "../encoding/bytes.ts";
import { parsePem } from "../encoding/pem.ts";
import { FormatError } from "../errors.ts";
import { MAX_CERTIFICATE_BYTES, MAX_TRUST_ENTRIES } from "../limits.ts";
import { NO_EXTENSIONS, readExtensions } from "./extensions.ts";
import type { CertificateExtensions } from "./extensions.ts";
import { parseSignatureAlgorithm } from "./signature-algorithm.ts";
import type { CertificateSignatureAlgorithm } from "./signature-algorithm.ts";

/** An X.509 certificate, version 3. Nothing in it is proven: see `findCertificatePaths`. Byte fields are views of one array. */
export interface Certificate {
  /** The whole certificate. */
  readonly bytes: Uint8Array;
  /** TBSCertificate, which is what the issuer signed. */
  readonly tbs: Uint8Array;
  /** The magnitude, big-endian, without a sign octet. */
  readonly serialNumber: Uint8Array;
  /** The DER of the issuer's Name. */
  readonly issuer: Uint8Array;
  /** The DER of the subject's Name; an empty sequence where the names are in the extension. */
  readonly subject: Uint8Array;
  readonly notBefore: Date;
  readonly notAfter: Date;
  readonly publicKey: PublicKey;
  /** SubjectPublicKeyInfo as it stands in the certificate. */
  readonly subjectPublicKeyInfo: Uint8Array;
  readonly signatureAlgorithm: CertificateSignatureAlgorithm;
  readonly signature: Uint8Array;
  readonly extensions: CertificateExtensions;
}

/**
 * Parses a certificate.
 *
 * Neither its signature nor its dates are checked here, see `findCertificatePaths` and `verifyPathValidAt`; Fulcio's
 * extensions and the SCT list are decoded by `readFulcioExtensions` and `parseSctList`.
 *
 * @param der - Kept, not copied: it must not change afterwards.
 * @throws {@link FormatError} `CERTIFICATE_MALFORMED`, `LIMIT_EXCEEDED`.
 * @throws {@link VerificationError} `ALGORITHM_UNSUPPORTED` when the key is of a type that is not known.
 * @see RFC 5280 §4.1
 */
export function parseCertificate(der: Uint8Array): Certificate {
  if (der.length > MAX_CERTIFICATE_BYTES) {
    throw new FormatError("LIMIT_EXCEEDED", `certificate has ${der.length} bytes`, {
      expected: `at most ${MAX_CERTIFICATE_BYTES}`,
      found: `${der.length}`,
    });
  }
  try {
    return readCertificate(der);
  } catch (error) {
    if (error instanceof FormatError && error.code !== "CERTIFICATE_MALFORMED" && error.code !== "LIMIT_EXCEEDED") {
      throw new FormatError("CERTIFICATE_MALFORMED", `certificate cannot be read: ${error.message}`, { cause: error });
    }
    throw error;
  }
}

/**
 * Parses a PEM file of certificates, in the order of the file.
 *
 * @throws {@link FormatError} `PEM_MALFORMED`, also when there is no block; `CERTIFICATE_MALFORMED` also for a block that
 * is no certificate; `LIMIT_EXCEEDED`.
 * @throws {@link VerificationError} `ALGORITHM_UNSUPPORTED` when a key is of a type that is not known.
 * @see RFC 7468 §5
 */
export function parseCertificatesPem(text: string): readonly Certificate[] {
  const blocks = parsePem(text);
  if (blocks.length > MAX_TRUST_ENTRIES)
    throw new FormatError("LIMIT_EXCEEDED", `PEM file has more than ${MAX_TRUST_ENTRIES} certificates`);
  return blocks.map(({ label, bytes }) => {
    if (label !== "CERTIFICATE") {
      throw new FormatError("CERTIFICATE_MALFORMED", `PEM file has a block that is no certificate`, {
        expected: "CERTIFICATE",
        found: label,
      });
    }
    return parseCertificate(bytes);
  });
}

function readCertificate(der: Uint8Array): Certificate {
  const certificate = DerReader.of(parseDer(der, Tag.sequence));
  const tbs = certificate.next(Tag.sequence);
  const outerAlgorithm = certificate.next(Tag.sequence);
  const signature = certificate.next(Tag.bitString);
  certificate.end();

  const reader = DerReader.of(tbs);
  // §4.1.2.1: extensions need version 3, whose number is 2
  const version = reader.optional(contextTag(0, true));
  if (version === undefined || decodeSmallInteger(parseDer(version.content, Tag.integer)) !== 2)
    throw malformed("is not of version 3");
  const serialNumber = readSerialNumber(reader.next(Tag.integer));
  const innerAlgorithm = reader.next(Tag.sequence);
  // §4.1.1.2: This field MUST contain the same algorithm identifier as the signature field in the sequence tbsCertificate.
  if (!equalBytes(innerAlgorithm.bytes, outerAlgorithm.bytes))
    throw malformed("names two different signature algorithms");
  const issuer = reader.next(Tag.sequence);
  // §4.1.2.4: The issuer field MUST contain a non-empty distinguished name.
  if (issuer.content.length === 0) throw malformed("has an empty issuer");
  const validity = reader.sequence();
  const notBefore = readTime(validity.next());
  const notAfter = readTime(validity.next());
  validity.end();
  const subject = reader.next(Tag.sequence);
  const subjectPublicKeyInfo = reader.next(Tag.sequence);
  reader.optional(contextTag(1, false)); // §4.1.2.8: unique identifiers are to be parsed and not to be used
  reader.optional(contextTag(2, false));
  const extensionsField = reader.optional(contextTag(3, true));
  reader.end();

  const { unusedBits, bytes: signatureBytes } = decodeBitString(signature);
  if (unusedBits !== 0) throw malformed("has a signature that is not a whole number of octets");
  return {
    bytes: der,
    tbs: tbs.bytes,
    serialNumber,
    issuer: issuer.bytes,
    subject: subject.bytes,
    notBefore,
    notAfter,
    publicKey: parsePublicKey(subjectPublicKeyInfo.bytes),
    subjectPublicKeyInfo: subjectPublicKeyInfo.bytes,
    signatureAlgorithm: parseSignatureAlgorithm(innerAlgorithm),
    signature: signatureBytes,
    extensions: extensionsField
      ? readExtensions(DerReader.of(parseDer(extensionsField.content, Tag.sequence)))
      : NO_EXTENSIONS,
  };
}

/**
 * §4.1.2.2: positive, at most 20 octets. The limit is on the magnitude, since 160 random bits may need a sign octet; zero
 * is tolerated, as the section asks.
 */
function readSerialNumber(element: DerElement): Uint8Array {
  const magnitude = decodeUnsignedBytes(element); // refuses negative ones
  if (magnitude.length > 20) throw malformed("has a serial number of more than 20 octets");
  return magnitude;
}

/** §4.1.2.5: UTCTime or GeneralizedTime, the latter without fractional seconds here. */
function readTime(element: DerElement): Date {
  if (element.tag === Tag.generalizedTime && element.content.length !== "YYYYMMDDHHMMSSZ".length) {
    throw malformed("has a date with fractional seconds");
  }
  return decodeTime(element);
}

function malformed(detail: string): FormatError {
  return new FormatError("CERTIFICATE_MALFORMED", `certificate ${detail}`);
}
