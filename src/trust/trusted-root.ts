/**
 * Trusted roots: the authorities and logs that a verifier trusts, each with the period for which it does.
 *
 * @module
 */

import { readBytes, readKeyId } from "../bundle/proto-json.ts";
import { parsePublicKey, parseRsaPublicKey, type PublicKey } from "../crypto/public-key.ts";
import { algorithmForKeyDetails, fitsKey, type SignatureAlgorithm } from "../crypto/registry.ts";
import { encodeBase64 } from "../encoding/base64.ts";
import { encodeHex } from "../encoding/hex.ts";
import { parseJson, type JsonObject, type JsonValue } from "../encoding/json.ts";
import { JsonReader, type JsonObjectReader } from "../encoding/json-reader.ts";
import { FormatError, SigstoreError } from "../errors.ts";
import {
  MAX_CERTIFICATE_BYTES,
  MAX_CHAIN_CERTIFICATES,
  MAX_KEY_FILE_BYTES,
  MAX_TRUST_ENTRIES,
  MAX_TRUST_FILE_BYTES,
} from "../limits.ts";
import type { TransparencyLog } from "../tlog/transparency-log.ts";
import { parseCertificate, type Certificate } from "../x509/certificate.ts";
import { readObject } from "./lenient-object.ts";
import { readTimeRange, serializeTimeRange, type TimeRange } from "./time-range.ts";

/** Is a transparency log, or a certificate transparency log, and the key that it signs with. */
export interface TransparencyLogInstance extends TransparencyLog {
  /** The `PublicKeyDetails` of the root, which say how the key is encoded there. */
  readonly keyDetails: string;
}

/** Is a certificate authority or a timestamp authority. */
export interface CertificateAuthority {
  /** What the root calls it. For people: nothing is compared with it. */
  readonly subject: { readonly organization?: string; readonly commonName?: string };
  /** Empty where the root has none. */
  readonly uri: string;
  /** Trust anchor last. Whether the certificates sign one another is not checked here: see `verifyAuthorityChain`. */
  readonly certificates: readonly Certificate[];
  /** When it may have issued; each certificate has its own period besides. */
  readonly validFor: TimeRange;
  readonly operator?: string;
}

/** Names an entry that cannot be used, and is trusted for nothing. */
export interface UnusableEntry {
  /** For instance `tlogs[1]`. */
  readonly path: string;
  readonly reason: string;
}

/** Holds everything that is trusted. */
export interface TrustedRoot {
  readonly mediaType: string;
  readonly tlogs: readonly TransparencyLogInstance[];
  readonly ctlogs: readonly TransparencyLogInstance[];
  readonly certificateAuthorities: readonly CertificateAuthority[];
  readonly timestampAuthorities: readonly CertificateAuthority[];
  readonly unusable: readonly UnusableEntry[];
  /** Paths of fields that are not known here, at most 256 of them. */
  readonly ignoredFields: readonly string[];
}

/** Lists the media types of a trusted root that are read. */
export const TRUSTED_ROOT_MEDIA_TYPES: readonly string[] = [
  "application/vnd.dev.sigstore.trustedroot+json;version=0.1",
  "application/vnd.dev.sigstore.trustedroot+json;version=0.2",
  "application/vnd.dev.sigstore.trustedroot.v0.1+json",
  "application/vnd.dev.sigstore.trustedroot.v0.2+json",
];

const ROOT_FIELDS = ["mediaType", "tlogs", "ctlogs", "certificateAuthorities", "timestampAuthorities"] as const;
const LOG_FIELDS = ["baseUrl", "hashAlgorithm", "publicKey", "logId", "checkpointKeyId", "operator"] as const;
const KEY_FIELDS = ["rawBytes", "keyDetails", "validFor"] as const;
const AUTHORITY_FIELDS = ["subject", "uri", "certChain", "validFor", "operator"] as const;

/** What an entry is read with: the unknown fields found so far. */
type ReadEntry<T> = (reader: JsonReader, ignoredFields: string[]) => T;

/**
 * Parses a trusted root. An entry that cannot be read is set aside with the reason, and takes nothing else down.
 *
 * Whether certificates sign one another is not checked here, nor that any entry is left.
 *
 * @throws FormatError `TRUSTED_ROOT_MALFORMED` where it is not a trusted root at all, `JSON_DUPLICATE_KEY`, `LIMIT_EXCEEDED`.
 * @see sigstore_trustroot.proto `TrustedRoot`
 */
export function parseTrustedRoot(input: string | Uint8Array): TrustedRoot {
  return parseTrustedRootObject(
    parseJson(input, { what: "trusted root", code: "TRUSTED_ROOT_MALFORMED", maxBytes: MAX_TRUST_FILE_BYTES }),
  );
}

/**
 * Parses a trusted root out of JSON that is parsed already, for instance a member of a larger document.
 *
 * @throws as {@link parseTrustedRoot}.
 */
export function parseTrustedRootObject(json: JsonValue): TrustedRoot {
  const unusable: UnusableEntry[] = [];
  const ignored: string[] = [];
  const root = readObject(new JsonReader(json, "trustedRoot", "TRUSTED_ROOT_MALFORMED"), ROOT_FIELDS, ignored);
  const mediaType = readMediaType(root);

  const readList = <T>(field: string, readEntry: ReadEntry<T>): readonly T[] => {
    const usable: T[] = [];
    root
      .optional(field)
      ?.array(MAX_TRUST_ENTRIES)
      .forEach((reader, index) => {
        try {
          usable.push(readEntry(reader, ignored));
        } catch (error) {
          if (!(error instanceof SigstoreError)) throw error;
          unusable.push({ path: `${field}[${index}]`, reason: error.message });
        }
      });
    return usable;
  };
  return {
    mediaType,
    tlogs: readList("tlogs", readTransparencyLogInstance),
    ctlogs: readList("ctlogs", readTransparencyLogInstance),
    certificateAuthorities: readList("certificateAuthorities", readCertificateAuthority),
    timestampAuthorities: readList("timestampAuthorities", readCertificateAuthority),
    unusable,
    ignoredFields: ignored.map((path) => path.slice(root.path.length + 1)),
  };
}

function readMediaType(root: JsonObjectReader): string {
  const mediaType = root.optional("mediaType")?.string();
  if (mediaType !== undefined && TRUSTED_ROOT_MEDIA_TYPES.includes(mediaType)) return mediaType;
  throw new FormatError("TRUSTED_ROOT_MALFORMED", "file is not a trusted root of a version that is supported", {
    expected: TRUSTED_ROOT_MEDIA_TYPES.join(" or "),
    found: mediaType === undefined ? "no mediaType" : mediaType.slice(0, 200),
    remedy: "give the file trusted_root.json of a Sigstore instance",
  });
}

function readTransparencyLogInstance(reader: JsonReader, ignored: string[]): TransparencyLogInstance {
  const log = readObject(reader, LOG_FIELDS, ignored);
  // Merkle trees of SHA-256 are the only ones that are verified (RFC 6962 §2.1).
  log.required("hashAlgorithm").oneOf(["SHA2_256"] as const);
  const { publicKey, algorithm, keyDetails, validFor } = readPublicKey(log.required("publicKey"), ignored);
  const checkpointKeyId = readOptionalLogId(log.optional("checkpointKeyId"), ignored);
  // "log_id will eventually be deprecated in favor of checkpoint_id": a log is known by either.
  const logId = readOptionalLogId(log.optional("logId"), ignored) ?? checkpointKeyId;
  if (logId === undefined) reader.fail("has neither logId nor checkpointKeyId");
  const operator = readOptionalText(log.optional("operator"));
  return {
    baseUrl: readOptionalText(log.optional("baseUrl")) ?? "",
    logId,
    ...(checkpointKeyId !== undefined && { checkpointKeyId }),
    publicKey,
    algorithm,
    keyDetails,
    ...(operator !== undefined && { operator }),
    validFor,
  };
}

function readPublicKey(
  reader: JsonReader,
  ignored: string[],
): { publicKey: PublicKey; algorithm: SignatureAlgorithm; keyDetails: string; validFor: TimeRange } {
  const key = readObject(reader, KEY_FIELDS, ignored);
  const keyDetails = key.required("keyDetails").string();
  const algorithm = algorithmForKeyDetails(keyDetails);
  if (algorithm === undefined)
    reader.fail(`has keyDetails ${JSON.stringify(keyDetails.slice(0, 100))}, which are not supported`);
  const rawBytes = readBytes(key.required("rawBytes"), MAX_KEY_FILE_BYTES);
  const publicKey = isPkcs1(keyDetails) ? parseRsaPublicKey(rawBytes) : parsePublicKey(rawBytes);
  if (!fitsKey(algorithm, publicKey)) {
    reader.fail(
      `has keyDetails ${keyDetails}, but the key is ${publicKey.type}${publicKey.modulusBits === undefined ? "" : ` of ${publicKey.modulusBits} bits`}`,
    );
  }
  return { publicKey, algorithm, keyDetails, validFor: readTimeRange(key.required("validFor"), ignored) };
}

/** The deprecated details that name PKCS#1, in place of the SubjectPublicKeyInfo of all others. */
function isPkcs1(keyDetails: string): boolean {
  return keyDetails === "PKCS1_RSA_PKCS1V5" || keyDetails === "PKCS1_RSA_PSS";
}

function readCertificateAuthority(reader: JsonReader, ignored: string[]): CertificateAuthority {
  const authority = readObject(reader, AUTHORITY_FIELDS, ignored);
  const chain = readObject(authority.required("certChain"), ["certificates"], ignored);
  const certificates = chain.required("certificates").array(MAX_CHAIN_CERTIFICATES);
  if (certificates.length === 0) reader.fail("has an empty certificate chain");
  const operator = readOptionalText(authority.optional("operator"));
  return {
    subject: readSubject(authority.optional("subject"), ignored),
    uri: readOptionalText(authority.optional("uri")) ?? "",
    certificates: certificates.map((certificate) => {
      const rawBytes = readObject(certificate, ["rawBytes"], ignored).required("rawBytes");
      return parseCertificate(readBytes(rawBytes, MAX_CERTIFICATE_BYTES));
    }),
    validFor: readTimeRange(authority.required("validFor"), ignored),
    ...(operator !== undefined && { operator }),
  };
}

function readSubject(reader: JsonReader | undefined, ignored: string[]): CertificateAuthority["subject"] {
  if (reader === undefined) return {};
  const subject = readObject(reader, ["organization", "commonName"], ignored);
  const organization = readOptionalText(subject.optional("organization"));
  const commonName = readOptionalText(subject.optional("commonName"));
  return { ...(organization !== undefined && { organization }), ...(commonName !== undefined && { commonName }) };
}

function readOptionalLogId(reader: JsonReader | undefined, ignored: string[]): Uint8Array | undefined {
  return reader && readKeyId(readObject(reader, ["keyId"], ignored).required("keyId"));
}

/** An empty string is an absent one, as in proto3. */
function readOptionalText(reader: JsonReader | undefined): string | undefined {
  const text = reader?.string();
  return text === "" ? undefined : text;
}

/**
 * Names who counts towards a threshold: the operator, where the root names one, otherwise the log's id or the authority's URI.
 *
 * @see sigstore_trustroot.proto `TransparencyLogInstance.operator`, `CertificateAuthority.operator`
 */
export function operatorOf(
  authority: Pick<TransparencyLog, "operator" | "logId"> | Pick<CertificateAuthority, "operator" | "uri">,
): string {
  return authority.operator ?? ("logId" in authority ? encodeHex(authority.logId) : authority.uri);
}

/** Says whether a root lists transparency logs, be it such as cannot be read. That of GitHub's own instance does not. */
export function listsLogs({ tlogs, unusable }: TrustedRoot): boolean {
  return tlogs.length > 0 || unusable.some(({ path }) => path.startsWith("tlogs["));
}

/** Writes a trusted root as proto-JSON. Entries that could not be used, and fields that were not known, are gone. */
export function serializeTrustedRoot(root: TrustedRoot): string {
  return JSON.stringify({
    mediaType: root.mediaType,
    tlogs: root.tlogs.map(serializeTransparencyLogInstance),
    certificateAuthorities: root.certificateAuthorities.map(serializeCertificateAuthority),
    ctlogs: root.ctlogs.map(serializeTransparencyLogInstance),
    timestampAuthorities: root.timestampAuthorities.map(serializeCertificateAuthority),
  });
}

function serializeTransparencyLogInstance(log: TransparencyLogInstance): JsonObject {
  return {
    ...(log.baseUrl !== "" && { baseUrl: log.baseUrl }),
    hashAlgorithm: "SHA2_256",
    publicKey: {
      rawBytes: encodeBase64(isPkcs1(log.keyDetails) ? log.publicKey.keyBytes : log.publicKey.spki),
      keyDetails: log.keyDetails,
      validFor: serializeTimeRange(log.validFor),
    },
    logId: { keyId: encodeBase64(log.logId) },
    ...(log.checkpointKeyId !== undefined && { checkpointKeyId: { keyId: encodeBase64(log.checkpointKeyId) } }),
    ...(log.operator !== undefined && { operator: log.operator }),
  };
}

function serializeCertificateAuthority(authority: CertificateAuthority): JsonObject {
  return {
    subject: authority.subject,
    ...(authority.uri !== "" && { uri: authority.uri }),
    certChain: { certificates: authority.certificates.map(({ bytes }) => ({ rawBytes: encodeBase64(bytes) })) },
    validFor: serializeTimeRange(authority.validFor),
    ...(authority.operator !== undefined && { operator: authority.operator }),
  };
}
