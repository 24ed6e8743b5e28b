/**
 * What cosign wrote before bundles, read into the same model: its old blob bundle, and signature, certificate and timestamp in
 * files of their own.
 *
 * @module
 */

import { parsePublicKeyPem, type PublicKey } from "../crypto/public-key.ts";
import { parseEnvelope } from "../dsse/envelope.ts";
import { encodeBase64, tryDecodeBase64 } from "../encoding/base64.ts";
import { equalBytes } from "../encoding/bytes.ts";
import { encodeHex, tryDecodeHex } from "../encoding/hex.ts";
import { parseJson, type JsonValue } from "../encoding/json.ts";
import { JsonReader } from "../encoding/json-reader.ts";
import { encodePem } from "../encoding/pem.ts";
import { encodeUtf8, tryDecodeUtf8 } from "../encoding/utf8.ts";
import { FormatError, VerificationError } from "../errors.ts";
import {
  MAX_BUNDLE_BYTES,
  MAX_CERTIFICATE_FILE_BYTES,
  MAX_CHAIN_CERTIFICATES,
  MAX_SIGNATURE_BYTES,
  MAX_TIMESTAMP_BYTES,
  MAX_TIMESTAMPS,
  MAX_TLOG_ENTRIES,
  MAX_TLOG_ENTRY_BODY_BYTES,
} from "../limits.ts";
import type { TransparencyLogEntry } from "../tlog/transparency-log-entry.ts";
import { parseCertificate, parseCertificatesPem, type Certificate } from "../x509/certificate.ts";
import type { Bundle, BundleContent, VerificationMaterial } from "./bundle.ts";

/** Is whose signature a file says it is: claimed, to be compared with what the verifier was told, never to be believed. */
export type ClaimedSigner =
  | { readonly kind: "certificate"; readonly certificate: Certificate }
  | { readonly kind: "public-key"; readonly publicKey: PublicKey };

/** Holds the parts of a signature that a bundle keeps together. Nothing of it is proven. */
export interface SignatureParts {
  /** A signature over an artifact, or the bytes of a DSSE envelope in JSON. */
  readonly signature: Uint8Array;
  /** Absent: the key that made it is known to the verifier alone. */
  readonly signer?: ClaimedSigner | undefined;
  /** Certificates that link the signer's to an authority, the root left out. */
  readonly intermediates?: readonly Certificate[] | undefined;
  readonly tlogEntries?: readonly TransparencyLogEntry[] | undefined;
  /** DER of RFC 3161 responses. */
  readonly rfc3161Timestamps?: readonly Uint8Array[] | undefined;
}

/** The version of the bundle format that says the same: a promise of inclusion, and no proof. */
const MEDIA_TYPE_V01 = "application/vnd.dev.sigstore.bundle+json;version=0.1";
/** The last second of the year 9999. */
const LAST_SECOND = 253_402_300_799n;

/** Says whether JSON is a blob bundle as cosign wrote it before Sigstore bundles. */
export function isLegacyBundle(json: JsonValue): boolean {
  return typeof json === "object" && json !== null && !Array.isArray(json) && Object.hasOwn(json, "base64Signature");
}

/**
 * Parses cosign's old blob bundle: `{"base64Signature", "cert", "rekorBundle"}`.
 *
 * @returns the parts, of which {@link assembleBundle} makes what a verifier takes.
 * @throws {@link FormatError} `BUNDLE_MALFORMED`, `TLOG_ENTRY_MALFORMED`, `CERTIFICATE_MALFORMED`, `PUBLIC_KEY_MALFORMED`,
 * `PEM_MALFORMED`, `JSON_DUPLICATE_KEY`, `LIMIT_EXCEEDED`; {@link VerificationError} `ALGORITHM_UNSUPPORTED`.
 * @see cosign, pkg/cosign/fetch.go `LocalSignedPayload`
 */
export function parseLegacyBundle(input: string | Uint8Array): SignatureParts {
  return parseLegacyBundleObject(
    parseJson(input, { what: "legacy bundle", code: "BUNDLE_MALFORMED", maxBytes: MAX_BUNDLE_BYTES }),
  );
}

/**
 * Parses cosign's old blob bundle out of JSON that is parsed already.
 *
 * @throws as {@link parseLegacyBundle}.
 */
export function parseLegacyBundleObject(json: JsonValue): SignatureParts {
  const reader = new JsonReader(json, "legacyBundle", "BUNDLE_MALFORMED");
  const bundle = reader.object(["base64Signature", "cert", "rekorBundle"]);
  const signature = bundle.required("base64Signature").base64();
  if (signature.length === 0) bundle.required("base64Signature").fail("is empty");
  const cert = bundle.optional("cert")?.string() ?? "";
  const rekorBundle = bundle.optional("rekorBundle");
  return {
    signature,
    signer: cert === "" ? undefined : readClaimedSigner(cert),
    tlogEntries: rekorBundle === undefined ? [] : [readRekorBundle(rekorBundle)],
  };
}

/** Reads `cert`: base64 of PEM, or PEM as it is, of a certificate or a public key. */
function readClaimedSigner(text: string): ClaimedSigner {
  const pem = decodePem(text, "legacyBundle.cert");
  return pem.includes("PUBLIC KEY-----")
    ? { kind: "public-key", publicKey: parsePublicKeyPem(pem) }
    : { kind: "certificate", certificate: firstOf(parseCertificatesPem(pem)) };
}

/**
 * Parses a certificate in a file of its own: PEM, base64 of PEM, or DER. Of several, the first is the signer's.
 *
 * @returns at least one certificate.
 * @throws {@link FormatError} `CERTIFICATE_MALFORMED`, `PEM_MALFORMED`, `LIMIT_EXCEEDED`.
 */
export function parseCertificateFile(bytes: Uint8Array): readonly [Certificate, ...Certificate[]] {
  if (bytes.length > MAX_CERTIFICATE_FILE_BYTES)
    throw new FormatError("LIMIT_EXCEEDED", `certificate file has more than ${MAX_CERTIFICATE_FILE_BYTES} bytes`);
  const text = tryDecodeUtf8(bytes);
  if (text === undefined) return [parseCertificate(bytes)];
  const [first, ...others] = parseCertificatesPem(decodePem(text, "certificate file"));
  if (others.length >= MAX_CHAIN_CERTIFICATES)
    throw new FormatError("LIMIT_EXCEEDED", `certificate file has more than ${MAX_CHAIN_CERTIFICATES} certificates`);
  return [firstOf([first]), ...others];
}

function firstOf(certificates: readonly (Certificate | undefined)[]): Certificate {
  const [certificate] = certificates;
  if (certificate === undefined) throw new FormatError("CERTIFICATE_MALFORMED", "there is no certificate in the PEM");
  return certificate;
}

function decodePem(text: string, what: string): string {
  if (text.includes("-----BEGIN")) return text;
  const decoded = tryDecodeBase64(text.replaceAll(/[\r\n]/g, ""));
  const pem = decoded && tryDecodeUtf8(decoded);
  if (pem?.includes("-----BEGIN") === true) return pem;
  throw new FormatError("PEM_MALFORMED", `${what} is neither PEM nor base64 of PEM`);
}

/**
 * Parses a signature in a file of its own: base64, or the bytes as they are.
 *
 * @throws {@link FormatError} `LIMIT_EXCEEDED`, `BUNDLE_MALFORMED` where it is empty, or text that is no base64.
 */
export function parseSignatureFile(bytes: Uint8Array): Uint8Array {
  if (bytes.length > MAX_BUNDLE_BYTES)
    throw new FormatError("LIMIT_EXCEEDED", `signature has more than ${MAX_BUNDLE_BYTES} bytes`);
  const text = tryDecodeUtf8(bytes);
  const decoded = text === undefined ? undefined : tryDecodeBase64(text.replaceAll(/[\r\n]/g, ""));
  // An envelope is JSON; no encoding of a signature is text.
  if (decoded === undefined && text !== undefined && /^[\t\r\n -~]+$/.test(text) && !text.trimStart().startsWith("{"))
    throw new FormatError("BUNDLE_MALFORMED", "signature is text, and not base64");
  const signature = decoded ?? bytes;
  if (signature.length === 0) throw new FormatError("BUNDLE_MALFORMED", "signature is empty");
  return signature;
}

/**
 * Parses a timestamp in a file of its own: `{"SignedRFC3161Timestamp": …}`.
 *
 * @returns the response, DER. Nothing of it is proven.
 * @throws {@link FormatError} `TIMESTAMP_MALFORMED`, `JSON_DUPLICATE_KEY`, `LIMIT_EXCEEDED`.
 * @see cosign, pkg/cosign/bundle/rfc3161.go `RFC3161Timestamp`
 */
export function parseTimestampFile(input: string | Uint8Array): Uint8Array {
  const json = parseJson(input, {
    what: "timestamp file",
    code: "TIMESTAMP_MALFORMED",
    maxBytes: 2 * MAX_TIMESTAMP_BYTES,
  });
  const reader = new JsonReader(json, "timestamp file", "TIMESTAMP_MALFORMED")
    .object(["SignedRFC3161Timestamp"])
    .required("SignedRFC3161Timestamp");
  const response = reader.base64(MAX_TIMESTAMP_BYTES);
  if (response.length === 0) reader.fail("is empty");
  return response;
}

/**
 * Parses the log entry that cosign keeps beside a signature in a registry: `{"SignedEntryTimestamp", "Payload"}`.
 *
 * @throws {@link FormatError} `TLOG_ENTRY_MALFORMED`, `BUNDLE_MALFORMED`, `JSON_DUPLICATE_KEY`, `LIMIT_EXCEEDED`.
 * @see cosign, pkg/cosign/bundle/rekor.go `RekorBundle`
 */
export function parseRekorBundle(input: string | Uint8Array): TransparencyLogEntry {
  const json = parseJson(input, {
    what: "log entry",
    code: "BUNDLE_MALFORMED",
    maxBytes: 2 * MAX_TLOG_ENTRY_BODY_BYTES,
  });
  return readRekorBundle(new JsonReader(json, "log entry", "BUNDLE_MALFORMED"));
}

/** Reads what cosign kept of Rekor v1's answer: the entry with a promise of inclusion, and no proof. */
function readRekorBundle(reader: JsonReader): TransparencyLogEntry {
  const bundle = reader.object(["SignedEntryTimestamp", "Payload"]);
  const payload = bundle.required("Payload").object(["body", "integratedTime", "logIndex", "logID"]);
  const promise = bundle.optional("SignedEntryTimestamp")?.base64(MAX_SIGNATURE_BYTES) ?? new Uint8Array(0);
  const canonicalizedBody = payload.required("body").base64(MAX_TLOG_ENTRY_BODY_BYTES);
  const logId = payload.required("logID");
  const id = tryDecodeHex(logId.string());
  if (id?.length !== 32) return logId.fail("is not 32 bytes in hexadecimal digits");
  return {
    logIndex: readCount(payload.optional("logIndex")),
    logId: id,
    kindVersion: readKindVersion(canonicalizedBody),
    integratedTime: readCount(payload.optional("integratedTime"), LAST_SECOND),
    // Of a log that promises nothing, as Rekor v2 is, cosign wrote an empty one.
    ...(promise.length > 0 && { inclusionPromise: promise }),
    canonicalizedBody,
  };
}

function readCount(reader: JsonReader | undefined, max?: bigint): bigint {
  const value = reader?.int64() ?? 0n;
  if (value < 0n) reader?.fail("is negative");
  if (max !== undefined && value > max) reader?.fail("is too large");
  return value;
}

/**
 * Reads which kind a body says it is. Whether the body is of that kind is not checked here: see `parseEntryBody`.
 *
 * @throws {@link FormatError} `TLOG_ENTRY_MALFORMED`, `JSON_DUPLICATE_KEY`, `LIMIT_EXCEEDED`.
 */
function readKindVersion(canonicalizedBody: Uint8Array): TransparencyLogEntry["kindVersion"] {
  const json = parseJson(canonicalizedBody, {
    what: "body of the log entry",
    code: "TLOG_ENTRY_MALFORMED",
    maxBytes: MAX_TLOG_ENTRY_BODY_BYTES,
  });
  const body = new JsonReader(json, "body", "TLOG_ENTRY_MALFORMED").object();
  return { kind: body.required("kind").string(), version: body.required("apiVersion").string() };
}

/**
 * Assembles a bundle of version 0.1 from parts, for the one verifier. A bundle of that version says no more than they do: a
 * promise of inclusion will do, and evidence names what that leaves unproven.
 *
 * @throws {@link FormatError} `ENVELOPE_MALFORMED`, `BUNDLE_MALFORMED`, `LIMIT_EXCEEDED`, `JSON_DUPLICATE_KEY`.
 */
export function assembleBundle(parts: SignatureParts): Bundle {
  const { signature, signer, intermediates = [], tlogEntries = [], rfc3161Timestamps = [] } = parts;
  refuseMore(tlogEntries.length, MAX_TLOG_ENTRIES, "log entries");
  refuseMore(rfc3161Timestamps.length, MAX_TIMESTAMPS, "timestamps");
  refuseMore(intermediates.length + 1, MAX_CHAIN_CERTIFICATES, "certificates");
  const envelope = isText(signature) ? parseSingleEnvelope(signature) : undefined;
  if (envelope === undefined) refuseMore(signature.length, MAX_SIGNATURE_BYTES, "bytes of a signature");
  return {
    mediaType: MEDIA_TYPE_V01,
    version: "0.1",
    verificationMaterial: {
      content: materialOf(signer, intermediates),
      tlogEntries,
      rfc3161Timestamps,
      // cosign 2 had the envelope timestamped, cosign 3 the signature in it.
      ...(envelope !== undefined && rfc3161Timestamps.length > 0 && { envelopeJson: signature }),
    },
    content: envelope ?? { kind: "messageSignature", signature },
  };
}

/** A signature is no text that begins with a brace: no encoding of one is. */
function isText(signature: Uint8Array): boolean {
  return /^\s*\{/.test(tryDecodeUtf8(signature) ?? "");
}

function parseSingleEnvelope(json: Uint8Array): BundleContent {
  const { payload, payloadType, signatures } = parseEnvelope(json);
  const [first, second] = signatures;
  if (first === undefined || second !== undefined)
    throw new FormatError("BUNDLE_MALFORMED", `envelope has ${signatures.length} signatures, not one`);
  // A key id is a hint that nothing protects, and is not needed where the key is given.
  return { kind: "dsseEnvelope", envelope: { payload, payloadType, signatures: [{ sig: first.sig, keyid: "" }] } };
}

function materialOf(
  signer: ClaimedSigner | undefined,
  intermediates: readonly Certificate[],
): VerificationMaterial["content"] {
  if (signer?.kind !== "certificate") return { kind: "publicKey", hint: "" };
  // A root does not belong in a bundle: trust comes from the trusted root alone.
  const others = intermediates.filter(({ issuer, subject }) => !equalBytes(issuer, subject));
  const leaf = signer.certificate.bytes;
  return others.length === 0
    ? { kind: "certificate", certificate: leaf, fromChain: false }
    : { kind: "x509CertificateChain", certificates: [leaf, ...others.map(({ bytes }) => bytes)] };
}

function refuseMore(count: number, max: number, what: string): void {
  if (count > max)
    throw new FormatError("LIMIT_EXCEEDED", `there are too many ${what}`, {
      expected: `at most ${max}`,
      found: `${count}`,
    });
}

/**
 * Writes what cosign wrote in place of a signature: for a statement, the envelope as JSON.
 *
 * @see cosign, cmd/cosign/cli/signcommon/common.go `ExtractComponentsFromProtoBundle`
 */
export function legacySignature({ content }: Bundle): Uint8Array {
  if (content.kind === "messageSignature") return content.signature;
  const { payload, payloadType, signatures } = content.envelope;
  return encodeUtf8(
    JSON.stringify({
      payload: encodeBase64(payload),
      payloadType,
      signatures: signatures.map(({ sig }) => ({ sig: encodeBase64(sig) })),
    }),
  );
}

/**
 * Writes a bundle in cosign's old form, which holds one promise of Rekor v1 and nothing of its proof, nor timestamps.
 *
 * @param publicKeyPem - The key that signed, where the bundle holds no certificate.
 * @throws {@link FormatError} `BUNDLE_MALFORMED` for an entry without a promise, which that form cannot hold.
 * @see cosign, cmd/cosign/cli/signcommon/common.go `NewLegacyBundleFromProtoBundleComponents`
 */
export function serializeLegacyBundle(bundle: Bundle, publicKeyPem?: string): string {
  const { content, tlogEntries } = bundle.verificationMaterial;
  const pem = content.kind === "publicKey" ? publicKeyPem : encodePem("CERTIFICATE", leafOf(content));
  const [entry] = tlogEntries;
  return JSON.stringify({
    base64Signature: encodeBase64(legacySignature(bundle)),
    ...(pem !== undefined && { cert: encodeBase64(encodeUtf8(pem)) }),
    ...(entry !== undefined && { rekorBundle: rekorBundleOf(entry) }),
  });
}

function leafOf(content: Exclude<VerificationMaterial["content"], { kind: "publicKey" }>): Uint8Array {
  return content.kind === "certificate" ? content.certificate : (content.certificates[0] ?? new Uint8Array(0));
}

/**
 * Writes a log entry as {@link parseRekorBundle} reads it.
 *
 * @throws {@link FormatError} `BUNDLE_MALFORMED` for an entry without a promise, which that form cannot hold.
 */
export function serializeRekorBundle(entry: TransparencyLogEntry): string {
  return JSON.stringify(rekorBundleOf(entry));
}

function rekorBundleOf({
  inclusionPromise,
  canonicalizedBody,
  integratedTime,
  logIndex,
  logId,
}: TransparencyLogEntry): JsonValue {
  if (inclusionPromise === undefined) {
    throw new FormatError(
      "BUNDLE_MALFORMED",
      "log gave no promise of inclusion, and the old bundle can hold nothing else",
      {
        remedy: "write a Sigstore bundle, or sign with a log of Rekor v1",
      },
    );
  }
  return {
    SignedEntryTimestamp: encodeBase64(inclusionPromise),
    Payload: {
      body: encodeBase64(canonicalizedBody),
      integratedTime: Number(integratedTime),
      logIndex: Number(logIndex),
      logID: encodeHex(logId),
    },
  };
}

/** Writes a timestamp as {@link parseTimestampFile} reads it. */
export function serializeTimestampFile(response: Uint8Array): string {
  return JSON.stringify({ SignedRFC3161Timestamp: encodeBase64(response) });
}

/**
 * Compares the signer that a file names with the one that the caller gave. What the file says is never used in its place.
 *
 * @throws {@link VerificationError} `KEY_HINT_MISMATCH`, `CERTIFICATE_MISMATCH`, `SIGNER_KIND_MISMATCH`.
 */
export function requireSameSigner(claimed: ClaimedSigner | undefined, given: ClaimedSigner): void {
  if (claimed === undefined) return;
  if (claimed.kind === "public-key" && given.kind === "public-key") {
    if (equalBytes(claimed.publicKey.spki, given.publicKey.spki)) return;
    throw new VerificationError("KEY_HINT_MISMATCH", "signature comes with another public key than the one given", {
      expected: abridge(given.publicKey.spki),
      found: abridge(claimed.publicKey.spki),
      remedy: "give the key that the signer publishes, and do not take it from beside the signature",
    });
  }
  if (claimed.kind === "certificate" && given.kind === "certificate") {
    if (equalBytes(claimed.certificate.bytes, given.certificate.bytes)) return;
    throw new VerificationError("CERTIFICATE_MISMATCH", "signature comes with another certificate than the one given", {
      expected: `serial number ${serialOf(given.certificate)}`,
      found: `serial number ${serialOf(claimed.certificate)}`,
    });
  }
  throw new VerificationError("SIGNER_KIND_MISMATCH", `signature comes with a ${nameOf(claimed)}`, {
    expected: `a ${nameOf(given)}`,
    found: `a ${nameOf(claimed)}`,
    remedy:
      claimed.kind === "certificate"
        ? "give the certificate's identity and issuer to verify with"
        : "give the public key to verify with",
  });
}

function nameOf({ kind }: ClaimedSigner): string {
  return kind === "certificate" ? "certificate" : "public key";
}

/** The end of an encoded key is the key; what comes before is the same for all of its kind. */
function abridge(spki: Uint8Array): string {
  return `…${encodeBase64(spki).slice(-44)}`;
}

function serialOf({ serialNumber }: Certificate): string {
  return Array.from(serialNumber, (byte) => byte.toString(16).padStart(2, "0")).join("");
}
