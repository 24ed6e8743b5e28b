/**
 * Sigstore bundles v0.1 to v0.3: a signature with everything that is needed to verify it.
 *
 * @module
 */

import { contextTag, DerReader, parseDer, Tag } from "../asn1/der.ts";
import { DIGEST_LENGTH, type HashAlgorithm } from "../crypto/digest.ts";
import type { Envelope } from "../dsse/envelope.ts";
import { encodeBase64 } from "../encoding/base64.ts";
import { equalBytes } from "../encoding/bytes.ts";
import { parseJson, type JsonObject, type JsonValue } from "../encoding/json.ts";
import { JsonReader, type JsonObjectReader } from "../encoding/json-reader.ts";
import { FormatError, VerificationError } from "../errors.ts";
import {
  MAX_BUNDLE_BYTES,
  MAX_BUNDLES,
  MAX_CERTIFICATE_BYTES,
  MAX_CHAIN_CERTIFICATES,
  MAX_ENVELOPE_SIGNATURES,
  MAX_SIGNATURE_BYTES,
  MAX_TIMESTAMP_BYTES,
  MAX_TIMESTAMPS,
  MAX_TLOG_ENTRIES,
} from "../limits.ts";
import type { TransparencyLogEntry } from "../tlog/transparency-log-entry.ts";
import { readBytes, readText } from "./proto-json.ts";
import { readTransparencyLogEntry, serializeTransparencyLogEntry } from "./transparency-log-entry-json.ts";

/** Names a version of the bundle format. It relaxes no check. */
export type BundleVersion = "0.1" | "0.2" | "0.3";

/** Is a bundle as it was read: well-formed, and nothing in it proven. */
export interface Bundle {
  /** One of {@link BUNDLE_MEDIA_TYPES}, as it was written. */
  readonly mediaType: string;
  readonly version: BundleVersion;
  readonly verificationMaterial: VerificationMaterial;
  readonly content: BundleContent;
}

/** Is what a bundle brings to verify its signature. */
export interface VerificationMaterial {
  /** Whose signature it claims to be. */
  readonly content:
    | {
        readonly kind: "certificate";
        /** DER of the leaf certificate. */
        readonly certificate: Uint8Array;
        readonly fromChain: false;
      }
    | {
        readonly kind: "x509CertificateChain";
        /** DER, leaf first, at least one, none of them a root certificate. */
        readonly certificates: readonly Uint8Array[];
      }
    | {
        readonly kind: "publicKey";
        /** Which key the signer meant. Unauthenticated, may be empty. */
        readonly hint: string;
      };
  /** Distinct: no two of one log have the same index or the same body. */
  readonly tlogEntries: readonly TransparencyLogEntry[];
  /** DER of RFC 3161 responses. */
  readonly rfc3161Timestamps: readonly Uint8Array[];
  /**
   * The JSON that the envelope was read from, where timestamps may be over that in place of the signature: see
   * `assembleBundle`. No bundle file holds it.
   */
  readonly envelopeJson?: Uint8Array;
}

/** Is what was signed, and the signature. */
export type BundleContent =
  | {
      readonly kind: "messageSignature";
      /** Which artifact was meant; the signature is not over this. Absent in some bundles of keys that do not prehash. */
      readonly messageDigest?: { readonly algorithm: HashAlgorithm; readonly digest: Uint8Array };
      readonly signature: Uint8Array;
    }
  | {
      readonly kind: "dsseEnvelope";
      /** Has exactly one signature. */
      readonly envelope: Envelope;
    };

/** Is the media type that new bundles are written with. */
export const BUNDLE_MEDIA_TYPE = "application/vnd.dev.sigstore.bundle.v0.3+json";

/** Maps every media type of a bundle that is read to its version. */
export const BUNDLE_MEDIA_TYPES: ReadonlyMap<string, BundleVersion> = new Map([
  ["application/vnd.dev.sigstore.bundle+json;version=0.1", "0.1"],
  ["application/vnd.dev.sigstore.bundle+json;version=0.2", "0.2"],
  ["application/vnd.dev.sigstore.bundle+json;version=0.3", "0.3"],
  ["application/vnd.dev.sigstore.bundle.v0.1+json", "0.1"],
  ["application/vnd.dev.sigstore.bundle.v0.2+json", "0.2"],
  [BUNDLE_MEDIA_TYPE, "0.3"],
]);

const BUNDLE_FIELDS = ["mediaType", "verificationMaterial", "messageSignature", "dsseEnvelope"] as const;
const MATERIAL_FIELDS = [
  "certificate",
  "x509CertificateChain",
  "publicKey",
  "tlogEntries",
  "timestampVerificationData",
] as const;
const SIGNER_FIELDS = ["certificate", "x509CertificateChain", "publicKey"] as const;
const CONTENT_FIELDS = ["messageSignature", "dsseEnvelope"] as const;
const ENVELOPE_FIELDS = ["payload", "payloadType", "signatures"] as const;

const HASH_ALGORITHMS = { SHA2_256: "sha256", SHA2_384: "sha384", SHA2_512: "sha512" } as const;
const HASH_ALGORITHM_NAMES = { sha256: "SHA2_256", sha384: "SHA2_384", sha512: "SHA2_512" } as const;

/**
 * Parses a bundle strictly: known media types, lowerCamelCase fields and no others, canonical base64, enums by name.
 *
 * What it says is not checked here, and neither is what a version must bring (a promise, a proof, no chain), since a
 * verifier may be told to want more or less: see `verify/`.
 *
 * @throws FormatError `BUNDLE_MALFORMED`, `BUNDLE_MEDIA_TYPE_UNSUPPORTED`, `CERTIFICATE_MALFORMED`, `JSON_DUPLICATE_KEY`, `LIMIT_EXCEEDED`.
 * @throws VerificationError `TLOG_ENTRY_DUPLICATE`, `KEY_HINT_MISMATCH`.
 * @see Sigstore client specification §5; sigstore_bundle.proto
 */
export function parseBundle(input: string | Uint8Array): Bundle {
  return parseBundleObject(parseJson(input, { what: "bundle", code: "BUNDLE_MALFORMED", maxBytes: MAX_BUNDLE_BYTES }));
}

/**
 * Parses a bundle out of JSON that is parsed already, for instance a member of a larger document.
 *
 * Duplicate keys can no longer be seen here: give the text itself to {@link parseBundle} where that is possible.
 *
 * @throws as {@link parseBundle}.
 */
export function parseBundleObject(json: JsonValue): Bundle {
  const reader = new JsonReader(json, "bundle", "BUNDLE_MALFORMED");
  // The media type comes first: a version that is not known may well have fields that are not.
  const { mediaType, version } = readMediaType(reader.object());
  const bundle = reader.object(BUNDLE_FIELDS);
  const verificationMaterial = readVerificationMaterial(bundle.required("verificationMaterial"));
  const content =
    onlyMember(bundle, CONTENT_FIELDS) === "messageSignature"
      ? readMessageSignature(bundle.required("messageSignature"))
      : readDsseEnvelope(bundle.required("dsseEnvelope"));
  rejectOtherKeyHint(verificationMaterial, content);
  return { mediaType, version, verificationMaterial, content };
}

/**
 * Parses a JSON Lines file with one bundle on each line (`.sigstore.jsonl`).
 *
 * @returns at least one bundle.
 * @throws as {@link parseBundle}, for the first line that is not a bundle; `BUNDLE_MALFORMED` where there is none.
 * @see Sigstore client specification §5
 */
export function parseBundles(input: string | Uint8Array): readonly Bundle[] {
  if (input.length > MAX_BUNDLE_BYTES) {
    throw new FormatError("LIMIT_EXCEEDED", `bundles have more than ${MAX_BUNDLE_BYTES} bytes`);
  }
  const bundles: Bundle[] = [];
  for (const line of typeof input === "string" ? textLines(input) : byteLines(input)) {
    if (bundles.length === MAX_BUNDLES) {
      throw new FormatError("LIMIT_EXCEEDED", `file has more than ${MAX_BUNDLES} bundles`);
    }
    bundles.push(parseBundle(line));
  }
  if (bundles.length === 0) throw malformed("file has no bundle in it");
  return bundles;
}

function* textLines(text: string): Iterable<string> {
  for (let start = 0; start < text.length;) {
    const newline = text.indexOf("\n", start);
    const end = newline === -1 ? text.length : newline;
    if (end > start && text.slice(start, end) !== "\r") yield text.slice(start, end);
    start = end + 1;
  }
}

function* byteLines(bytes: Uint8Array): Iterable<Uint8Array> {
  for (let start = 0; start < bytes.length;) {
    const newline = bytes.indexOf(0x0a, start);
    const end = newline === -1 ? bytes.length : newline;
    if (end - start > 1 || (end > start && bytes[start] !== 0x0d)) yield bytes.subarray(start, end);
    start = end + 1;
  }
}

function readMediaType(bundle: JsonObjectReader): { mediaType: string; version: BundleVersion } {
  const reader = bundle.optional("mediaType");
  if (reader === undefined) throw malformed("bundle has no mediaType", describeOtherFormat(bundle));
  const mediaType = reader.string();
  const version = BUNDLE_MEDIA_TYPES.get(mediaType);
  if (version !== undefined) return { mediaType, version };
  throw new FormatError("BUNDLE_MEDIA_TYPE_UNSUPPORTED", "bundle has a media type that is not supported", {
    expected: BUNDLE_MEDIA_TYPE,
    found: mediaType.slice(0, 200),
    remedy: "use a newer version of this tool if the bundle is of a newer format",
  });
}

/** Says what was probably given in place of a bundle. */
function describeOtherFormat(object: JsonObjectReader): string | undefined {
  if (object.has("base64Signature"))
    return "this is a legacy cosign bundle: read it with parseLegacyBundle and assembleBundle";
  if (object.has("payload") && object.has("signatures"))
    return "this is a bare DSSE envelope, without verification material";
  if (object.has("attestations"))
    return "this is a list of attestations: read it with parseBundleCandidates, or give one of its bundles";
  if (object.has("media_type")) return "field names must be lowerCamelCase";
  return undefined;
}

function readVerificationMaterial(reader: JsonReader): VerificationMaterial {
  const material = reader.object(MATERIAL_FIELDS);
  const content = readSigner(material);
  const entryReaders = material.optional("tlogEntries")?.array(MAX_TLOG_ENTRIES) ?? [];
  const tlogEntries = entryReaders.map(readTransparencyLogEntry);
  // Canonical base64: equal bodies have equal text, and text is compared faster than bytes.
  const bodies = entryReaders.map((entry) => entry.object().required("canonicalizedBody").value);
  rejectDuplicateEntries(tlogEntries, bodies);
  const timestamps = material.optional("timestampVerificationData")?.object(["rfc3161Timestamps"]);
  const rfc3161Timestamps = timestamps?.optional("rfc3161Timestamps")?.array(MAX_TIMESTAMPS).map(readTimestamp) ?? [];
  return { content, tlogEntries, rfc3161Timestamps };
}

function readSigner(material: JsonObjectReader): VerificationMaterial["content"] {
  const kind = onlyMember(material, SIGNER_FIELDS);
  const reader = material.required(kind);
  switch (kind) {
    case "certificate":
      return { kind, certificate: readCertificate(reader), fromChain: false };
    case "x509CertificateChain":
      return { kind, certificates: readCertificateChain(reader) };
    case "publicKey":
      return { kind, hint: reader.object(["hint"]).optional("hint")?.string() ?? "" };
  }
}

function readCertificate(reader: JsonReader): Uint8Array {
  return readBytes(reader.object(["rawBytes"]).required("rawBytes"), MAX_CERTIFICATE_BYTES);
}

function readCertificateChain(reader: JsonReader): readonly Uint8Array[] {
  const certificates = reader.object(["certificates"]).required("certificates").array(MAX_CHAIN_CERTIFICATES);
  if (certificates.length === 0) reader.fail("has no certificate");
  return certificates.map((item) => {
    const certificate = readCertificate(item);
    // sigstore_bundle.proto: a root certificate MUST NOT be in a bundle. Trust comes from the trusted root alone.
    if (isSelfIssued(certificate, item.path)) item.fail("is a root certificate, which does not belong in a bundle");
    return certificate;
  });
}

/** Compares issuer and subject of a certificate. Reads no further: the verifier parses it in whole. */
function isSelfIssued(der: Uint8Array, path: string): boolean {
  try {
    const tbs = DerReader.of(parseDer(der, Tag.sequence)).sequence();
    tbs.optional(contextTag(0, true)); // version
    tbs.next(Tag.integer); // serialNumber
    tbs.next(Tag.sequence); // signature
    const issuer = tbs.next(Tag.sequence);
    tbs.next(Tag.sequence); // validity
    return equalBytes(issuer.bytes, tbs.next(Tag.sequence).bytes);
  } catch (cause) {
    throw new FormatError("CERTIFICATE_MALFORMED", `${path} is not a certificate`, { cause });
  }
}

function readTimestamp(reader: JsonReader): Uint8Array {
  return readBytes(reader.object(["signedTimestamp"]).required("signedTimestamp"), MAX_TIMESTAMP_BYTES);
}

/** Compares every pair, so that one entry cannot be counted twice. */
function rejectDuplicateEntries(entries: readonly TransparencyLogEntry[], bodies: readonly JsonValue[]): void {
  entries.forEach((entry, index) => {
    for (let other = 0; other < index; other++) {
      const earlier = entries[other];
      if (earlier === undefined || !equalBytes(earlier.logId, entry.logId)) continue;
      const sameIndex = earlier.logIndex === entry.logIndex;
      if (sameIndex || bodies[other] === bodies[index]) {
        throw new VerificationError(
          "TLOG_ENTRY_DUPLICATE",
          `log entries ${other} and ${index} of the bundle are one entry: same log and same ${sameIndex ? "index" : "body"}`,
        );
      }
    }
  });
}

function readMessageSignature(reader: JsonReader): BundleContent {
  const message = reader.object(["messageDigest", "signature"]);
  const messageDigest = readMessageDigest(message.optional("messageDigest"));
  return {
    kind: "messageSignature",
    ...(messageDigest !== undefined && { messageDigest }),
    signature: readBytes(message.required("signature"), MAX_SIGNATURE_BYTES),
  };
}

function readMessageDigest(
  reader: JsonReader | undefined,
): { readonly algorithm: HashAlgorithm; readonly digest: Uint8Array } | undefined {
  const output = reader?.object(["algorithm", "digest"]);
  // cosign writes {} for a key that signs the message itself, such as Ed25519: nothing is said, as if it were absent.
  if (reader === undefined || output === undefined || !(output.has("algorithm") || output.has("digest")))
    return undefined;
  const name = output.required("algorithm").oneOf(["SHA2_256", "SHA2_384", "SHA2_512"] as const);
  const algorithm = HASH_ALGORITHMS[name];
  const digest = output.required("digest").base64();
  if (digest.length !== DIGEST_LENGTH[algorithm])
    reader.fail(`has a digest of ${digest.length} bytes, which is not ${name}`);
  return { algorithm, digest };
}

function readDsseEnvelope(reader: JsonReader): BundleContent {
  const envelope = reader.object(ENVELOPE_FIELDS);
  const payload = readBytes(envelope.required("payload"), MAX_BUNDLE_BYTES);
  const payloadType = readText(envelope.required("payloadType"));
  const signatures = envelope.required("signatures").array(MAX_ENVELOPE_SIGNATURES);
  const [first] = signatures;
  // sigstore_bundle.proto: a client MUST reject an envelope if the number of signatures is not equal to one.
  if (first === undefined || signatures.length !== 1) {
    throw malformed(`envelope of the bundle has ${signatures.length} signatures, not one`);
  }
  const signature = first.object(["sig", "keyid"]);
  return {
    kind: "dsseEnvelope",
    envelope: {
      payload,
      payloadType,
      signatures: [
        {
          sig: readBytes(signature.required("sig"), MAX_SIGNATURE_BYTES),
          keyid: signature.optional("keyid")?.string() ?? "",
        },
      ],
    },
  };
}

/** sigstore_bundle.proto: key hints MUST be the same in verification material and envelope. An empty `keyid` is none. */
function rejectOtherKeyHint(material: VerificationMaterial, content: BundleContent): void {
  if (material.content.kind !== "publicKey" || content.kind !== "dsseEnvelope") return;
  const { hint } = material.content;
  for (const { keyid } of content.envelope.signatures) {
    if (keyid === "" || keyid === hint) continue;
    throw new VerificationError("KEY_HINT_MISMATCH", "envelope names another key than the verification material", {
      expected: hint,
      found: keyid,
    });
  }
}

/** Finds the one member of a `oneof` that is set. */
function onlyMember<K extends string>(object: JsonObjectReader, members: readonly K[]): K {
  const [member, second] = members.filter((name) => object.has(name));
  if (member === undefined) throw malformed(`${object.path} has none of ${members.join(", ")}`);
  if (second !== undefined)
    throw malformed(`${object.path} has both ${member} and ${second}, which exclude each other`);
  return member;
}

function malformed(problem: string, remedy?: string): FormatError {
  return new FormatError("BUNDLE_MALFORMED", problem, { remedy });
}

/** Writes a bundle as one line of proto-JSON, fields in the order of the specification. */
export function serializeBundle(bundle: Bundle): string {
  return JSON.stringify(serializeBundleObject(bundle));
}

/** Writes a bundle as the JSON value that {@link parseBundleObject} reads. */
export function serializeBundleObject(bundle: Bundle): JsonObject {
  const { tlogEntries, rfc3161Timestamps } = bundle.verificationMaterial;
  return {
    mediaType: bundle.mediaType,
    verificationMaterial: {
      ...serializeSigner(bundle.verificationMaterial.content),
      tlogEntries: tlogEntries.map(serializeTransparencyLogEntry),
      ...(rfc3161Timestamps.length > 0 && {
        timestampVerificationData: {
          rfc3161Timestamps: rfc3161Timestamps.map((timestamp) => ({ signedTimestamp: encodeBase64(timestamp) })),
        },
      }),
    },
    ...serializeContent(bundle.content),
  };
}

function serializeSigner(signer: VerificationMaterial["content"]): JsonObject {
  switch (signer.kind) {
    case "certificate":
      return { certificate: { rawBytes: encodeBase64(signer.certificate) } };
    case "x509CertificateChain":
      return {
        x509CertificateChain: {
          certificates: signer.certificates.map((certificate) => ({ rawBytes: encodeBase64(certificate) })),
        },
      };
    case "publicKey":
      return { publicKey: { hint: signer.hint } };
  }
}

function serializeContent(content: BundleContent): JsonObject {
  switch (content.kind) {
    case "messageSignature": {
      const digest = content.messageDigest;
      return {
        messageSignature: {
          ...(digest !== undefined && {
            messageDigest: { algorithm: HASH_ALGORITHM_NAMES[digest.algorithm], digest: encodeBase64(digest.digest) },
          }),
          signature: encodeBase64(content.signature),
        },
      };
    }
    case "dsseEnvelope": {
      const { payload, payloadType, signatures } = content.envelope;
      return {
        dsseEnvelope: {
          payload: encodeBase64(payload),
          payloadType,
          signatures: signatures.map(({ sig, keyid }) => ({ sig: encodeBase64(sig), ...(keyid !== "" && { keyid }) })),
        },
      };
    }
  }
}
