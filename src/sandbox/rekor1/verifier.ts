/**
 * Reads keys and certificates as Rekor v1 takes them: in PEM, certificates also as a chain.
 *
 * @module
 */

import { createHash, X509Certificate } from "node:crypto";
import { parsePublicKey, type PublicKey } from "../../crypto/public-key.ts";
import { encodePem, parsePem } from "../../encoding/pem.ts";
import { tryDecodeUtf8 } from "../../encoding/utf8.ts";
import { SigstoreError } from "../../errors.ts";
import { parseCertificate, type Certificate } from "../../x509/certificate.ts";
import { entryRefused } from "./api-error.ts";

/** Is who signed, as an entry keeps it. */
export interface EntrySigner {
  readonly publicKey: PublicKey;
  /** The one spelling in PEM that entries have. */
  readonly pem: string;
  /** The names in the certificate. */
  readonly subjects: readonly string[];
  /** Whether each certificate was issued by the next. */
  readonly isChain: boolean;
}

const MAX_CHAIN = 10;

/**
 * Reads who signed.
 *
 * @throws {@link ApiError} 400.
 */
export function readEntrySigner(bytes: Uint8Array): EntrySigner {
  const text = tryDecodeUtf8(bytes)?.trim() ?? "";
  try {
    const blocks = parsePem(text);
    const [first] = blocks;
    if (blocks.length > 1 || first?.label === "CERTIFICATE") return ofCertificates(blocks);
    if (first?.label !== "PUBLIC KEY") throw entryRefused(`invalid public key: cannot handle type ${first?.label}`);
    const publicKey = parsePublicKey(first.bytes);
    return { publicKey, pem: encodePem("PUBLIC KEY", first.bytes), subjects: [], isChain: true };
  } catch (error) {
    if (!(error instanceof SigstoreError)) throw error;
    const reason = error.code === "PEM_MALFORMED" ? "invalid public key: failure decoding PEM" : error.message;
    throw entryRefused(reason);
  }
}

function ofCertificates(blocks: ReturnType<typeof parsePem>): EntrySigner {
  if (blocks.length > MAX_CHAIN) throw entryRefused("too many certificates specified in PEM block");
  if (blocks.some(({ label }) => label !== "CERTIFICATE")) throw entryRefused("invalid certificate chain");
  const certificates = blocks.map(({ bytes }) => new X509Certificate(bytes));
  const leaf = parseCertificate((blocks[0] as (typeof blocks)[number]).bytes);
  return {
    publicKey: leaf.publicKey,
    pem: blocks.map(({ bytes }) => encodePem("CERTIFICATE", bytes)).join(""),
    subjects: subjectsOf(leaf),
    isChain: certificates.every((certificate, at) => {
      const issuer = certificates[at + 1];
      return issuer === undefined || (certificate.checkIssued(issuer) && certificate.verify(issuer.publicKey));
    }),
  };
}

/** The kinds of names by which entries are found. */
const SUBJECT_KINDS: ReadonlySet<string> = new Set(["dns", "email", "ip", "uri", "other-name"]);

function subjectsOf(certificate: Certificate): readonly string[] {
  return certificate.extensions.subjectAlternativeNames
    .filter(({ kind }) => SUBJECT_KINDS.has(kind))
    .map(({ value }) => value);
}

/** Hashes the PEM of a signer, by which it is found again. */
export function pemHash(pem: Uint8Array | string): string {
  return createHash("sha256").update(pem).digest("hex");
}
