import { contextTag, decodeOctetString, DerReader, parseDer, Tag } from "../asn1/der.ts";
import { encodeDer } from "../asn1/writer.ts";
import type { CryptoProvider } from "../crypto/provider.ts";
import type { PublicKey } from "../crypto/public-key.ts";
import { algorithmOf } from "../crypto/registry.ts";
import { encodeBase64 } from "../encoding/base64.ts";
import { concatBytes, encodeUint64 } from "../encoding/bytes.ts";
import { encodeHex } from "../encoding/hex.ts";
import { JsonReader } from "../encoding/json-reader.ts";
import { parseJson } from "../encoding/json.ts";
import { FormatError, VerificationError } from "../errors.ts";
import { MAX_DETACHED_SCT_BYTES, MAX_SCTS, MAX_SIGNATURE_BYTES } from "../limits.ts";
import type { Certificate } from "./certificate.ts";
import { X509_OID } from "./oids.ts";

/** A certificate transparency log's promise to include a certificate, version 1. Claimed until it is verified. */
export interface SignedCertificateTimestamp {
  /** SHA-256 of the log's public key. */
  readonly logId: Uint8Array;
  readonly timestamp: Date;
  /** The same time as it is signed, in milliseconds since 1970. */
  readonly timestampMs: bigint;
  /** CtExtensions, opaque. */
  readonly extensions: Uint8Array;
  /** HashAlgorithm of TLS; 4 is SHA-256. */
  readonly hashAlgorithm: number;
  /** SignatureAlgorithm of TLS; 1 is RSA, 3 is ECDSA. */
  readonly signatureAlgorithm: number;
  readonly signature: Uint8Array;
}

/** The furthest a `Date` reaches. */
const MAX_DATE_MS = 8_640_000_000_000_000n;
/** RFC 6962 §3.2 */
const LOG_ENTRY_X509 = 0;
const LOG_ENTRY_PRECERT = 1;
/** RFC 5246 §7.4.1.4.1 */
const TLS_HASH_SHA256 = 4;
const TLS_SIGNATURE_RSA = 1;
const TLS_SIGNATURE_ECDSA = 3;

/**
 * Parses the SCTs that a certificate carries. Those of another version than 1 are left out, as they cannot be read.
 *
 * @returns An empty list when the certificate has no SCT list.
 * @throws {@link FormatError} `SCT_MALFORMED`, `LIMIT_EXCEEDED`.
 * @see RFC 6962 §3.3
 */
export function parseSctList(certificate: Certificate): readonly SignedCertificateTimestamp[] {
  const extension = certificate.extensions.all.get(X509_OID.signedCertificateTimestampList);
  if (extension === undefined) return [];
  let list: TlsReader;
  try {
    list = new TlsReader(decodeOctetString(parseDer(extension.value, Tag.octetString)));
  } catch (error) {
    if (!(error instanceof FormatError)) throw error;
    throw new FormatError("SCT_MALFORMED", "SCT list is not in an OCTET STRING", { cause: error });
  }
  const entries = new TlsReader(list.vector(2));
  list.end();
  const scts: SignedCertificateTimestamp[] = [];
  let count = 0;
  do {
    if (++count > MAX_SCTS) throw new FormatError("LIMIT_EXCEEDED", `certificate has more than ${MAX_SCTS} SCTs`);
    const sct = readSct(entries.vector(2));
    if (sct !== undefined) scts.push(sct);
  } while (!entries.atEnd);
  return scts;
}

/**
 * Parses an SCT that stands beside its certificate, in the JSON in which a log answers.
 *
 * @throws {@link FormatError} `SCT_MALFORMED`, `JSON_DUPLICATE_KEY`, `LIMIT_EXCEEDED`.
 * @see RFC 6962 §4.1
 */
export function parseDetachedSct(json: string | Uint8Array): SignedCertificateTimestamp {
  const value = parseJson(json, { what: "SCT", code: "SCT_MALFORMED", maxBytes: MAX_DETACHED_SCT_BYTES });
  const sct = new JsonReader(value, "SCT", "SCT_MALFORMED").object();
  const version = sct.required("sct_version").value;
  if (version !== 0) throw malformed("is not of version 1");
  const logId = sct.required("id").base64();
  if (logId.length !== 32) throw malformed(`has a log id of ${logId.length} bytes`);
  const time = sct.required("timestamp").value;
  if (typeof time !== "number" || !Number.isSafeInteger(time) || time < 0)
    throw malformed("has a timestamp that is not a count of milliseconds");
  const extensions = sct.optional("extensions")?.base64() ?? new Uint8Array(0);
  const signature = new TlsReader(sct.required("signature").base64(MAX_SIGNATURE_BYTES));
  return readSignature(signature, { logId, timestampMs: BigInt(time), extensions });
}

/** Writes an SCT as {@link parseDetachedSct} reads it. */
export function serializeDetachedSct(sct: SignedCertificateTimestamp): string {
  const { logId, timestampMs, extensions, hashAlgorithm, signatureAlgorithm, signature } = sct;
  const digitallySigned = concatBytes(
    Uint8Array.of(hashAlgorithm, signatureAlgorithm),
    encodeUint16(signature.length),
    signature,
  );
  return JSON.stringify({
    sct_version: 0,
    id: encodeBase64(logId),
    timestamp: Number(timestampMs),
    extensions: encodeBase64(extensions),
    signature: encodeBase64(digitallySigned),
  });
}

/**
 * Rebuilds what a log signed for an embedded SCT: TBSCertificate without the SCT list. All other bytes stay as they are,
 * but for the lengths around them.
 *
 * @see RFC 6962 §3.2, "tbs_certificate"
 */
export function precertificateTbs(certificate: Certificate): Uint8Array {
  const list = certificate.extensions.all.get(X509_OID.signedCertificateTimestampList);
  if (list === undefined) return certificate.tbs;
  const content = parseDer(certificate.tbs, Tag.sequence).content;
  const reader = new DerReader(content);
  let field = reader.next();
  while (field.tag !== contextTag(3, true)) field = reader.next();
  const extensions = parseDer(field.content, Tag.sequence).content;
  // All of these are views of the same array, so their offsets can be compared
  const before = extensions.subarray(0, list.bytes.byteOffset - extensions.byteOffset);
  const after = extensions.subarray(before.length + list.bytes.length);
  const fields = content.subarray(0, field.bytes.byteOffset - content.byteOffset);
  if (before.length + after.length === 0) return encodeDer(Tag.sequence, fields); // Extensions is never empty
  return encodeDer(Tag.sequence, fields, encodeDer(contextTag(3, true), encodeDer(Tag.sequence, before, after)));
}

/**
 * Verifies that a log signed an SCT over this certificate. Whether the log is trusted at that time is not checked here.
 *
 * @param issuer - The next certificate of the proven path: the log bound the SCT to its key.
 * @param log - The log whose id the SCT names.
 * @throws {@link VerificationError} `SCT_INVALID`; `ALGORITHM_UNSUPPORTED` when the runtime lacks the algorithm.
 * @see RFC 6962 §3.2
 */
export async function verifySct(
  sct: SignedCertificateTimestamp,
  certificate: Certificate,
  issuer: Certificate,
  log: { readonly publicKey: PublicKey },
  crypto: CryptoProvider,
  options: {
    /** The SCT stands beside the certificate, so that it covers the certificate itself. */ readonly detached?:
      boolean | undefined;
  } = {},
): Promise<void> {
  const { publicKey } = log;
  const scheme =
    sct.signatureAlgorithm === TLS_SIGNATURE_ECDSA
      ? "ecdsa"
      : sct.signatureAlgorithm === TLS_SIGNATURE_RSA
        ? "rsa-pkcs1"
        : undefined;
  const algorithm =
    scheme && sct.hashAlgorithm === TLS_HASH_SHA256 ? algorithmOf(scheme, "sha256", publicKey) : undefined;
  if (algorithm === undefined) {
    throw new VerificationError("SCT_INVALID", "SCT is signed with an algorithm that does not fit the key of the log", {
      expected: `SHA-256 with ${publicKey.type}`,
      found: `hash ${sct.hashAlgorithm}, signature ${sct.signatureAlgorithm}`,
    });
  }
  const entry = options.detached === true ? x509Entry(certificate) : await precertEntry(certificate, issuer, crypto);
  // struct { Version; SignatureType; uint64 timestamp; LogEntryType; signed_entry; CtExtensions }
  const signed = concatBytes(
    Uint8Array.of(0, 0),
    encodeUint64(sct.timestampMs),
    entry,
    encodeUint16(sct.extensions.length),
    sct.extensions,
  );
  if (await crypto.verify(algorithm, publicKey, sct.signature, signed)) return;
  throw new VerificationError("SCT_INVALID", `SCT was not signed by log ${encodeHex(sct.logId)} for this certificate`);
}

function x509Entry(certificate: Certificate): Uint8Array {
  return concatBytes(encodeUint16(LOG_ENTRY_X509), encodeUint24(certificate.bytes.length), certificate.bytes);
}

async function precertEntry(
  certificate: Certificate,
  issuer: Certificate,
  crypto: CryptoProvider,
): Promise<Uint8Array> {
  const issuerKeyHash = await crypto.digest("sha256", issuer.subjectPublicKeyInfo);
  const tbs = precertificateTbs(certificate);
  return concatBytes(encodeUint16(LOG_ENTRY_PRECERT), issuerKeyHash, encodeUint24(tbs.length), tbs);
}

function readSct(bytes: Uint8Array): SignedCertificateTimestamp | undefined {
  const reader = new TlsReader(bytes);
  if (reader.unsigned(1) !== 0) return undefined;
  const logId = reader.take(32);
  const timestampMs = (BigInt(reader.unsigned(4)) << 32n) | BigInt(reader.unsigned(4));
  const extensions = reader.vector(2);
  return readSignature(reader, { logId, timestampMs, extensions });
}

/** RFC 5246 §4.7, the digitally-signed struct that ends an SCT. */
function readSignature(
  reader: TlsReader,
  head: Pick<SignedCertificateTimestamp, "logId" | "timestampMs" | "extensions">,
): SignedCertificateTimestamp {
  const hashAlgorithm = reader.unsigned(1);
  const signatureAlgorithm = reader.unsigned(1);
  const signature = reader.vector(2);
  reader.end();
  if (head.timestampMs > MAX_DATE_MS) throw malformed("has a timestamp beyond every date");
  return { ...head, timestamp: new Date(Number(head.timestampMs)), hashAlgorithm, signatureAlgorithm, signature };
}

/** Reads the presentation language of TLS. */
class TlsReader {
  readonly #bytes: Uint8Array;
  #offset = 0;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
  }

  get atEnd(): boolean {
    return this.#offset === this.#bytes.length;
  }

  take(length: number): Uint8Array {
    const taken = this.#bytes.subarray(this.#offset, this.#offset + length);
    if (taken.length !== length) throw malformed("ends early");
    this.#offset += length;
    return taken;
  }

  /** An unsigned integer of one to four bytes. */
  unsigned(length: number): number {
    let value = 0;
    for (const byte of this.take(length)) value = value * 256 + byte;
    return value;
  }

  /** A vector whose length stands before it. */
  vector(lengthBytes: number): Uint8Array {
    return this.take(this.unsigned(lengthBytes));
  }

  end(): void {
    if (!this.atEnd) throw malformed("has bytes after its end");
  }
}

function encodeUint16(value: number): Uint8Array {
  return Uint8Array.of(value >>> 8, value & 0xff);
}

function encodeUint24(value: number): Uint8Array {
  return Uint8Array.of(value >>> 16, (value >>> 8) & 0xff, value & 0xff);
}

function malformed(detail: string): FormatError {
  return new FormatError("SCT_MALFORMED", `SCT ${detail}`);
}
