import { verify, type KeyObject } from "node:crypto";
import { contextTag, decodeBitString, decodeOid, DerReader, parseDer, Tag } from "../../asn1/der.ts";
import { OID } from "../../asn1/oids.ts";
import { parsePem } from "../../encoding/pem.ts";
import { tryDecodeUtf8 } from "../../encoding/utf8.ts";
import { SigstoreError } from "../../errors.ts";
import { ApiError, REFUSAL } from "./api-error.ts";
import { checkSubjectKey, importSpki, type SubjectKey } from "./subject-key.ts";

interface RequestAlgorithm {
  readonly hash: "sha1" | "sha256" | "sha384" | "sha512" | null;
  readonly goType: SubjectKey["goType"];
  /** The name that Go has for it. */
  readonly name: string;
}

const ALGORITHMS: ReadonlyMap<string, RequestAlgorithm> = new Map([
  [OID.ecdsaWithSha1, { hash: "sha1", goType: "*ecdsa.PublicKey", name: "ECDSA-SHA1" }],
  [OID.ecdsaWithSha256, { hash: "sha256", goType: "*ecdsa.PublicKey", name: "ECDSA-SHA256" }],
  [OID.ecdsaWithSha384, { hash: "sha384", goType: "*ecdsa.PublicKey", name: "ECDSA-SHA384" }],
  [OID.ecdsaWithSha512, { hash: "sha512", goType: "*ecdsa.PublicKey", name: "ECDSA-SHA512" }],
  [OID.sha1WithRsaEncryption, { hash: "sha1", goType: "*rsa.PublicKey", name: "SHA1-RSA" }],
  [OID.sha256WithRsaEncryption, { hash: "sha256", goType: "*rsa.PublicKey", name: "SHA256-RSA" }],
  [OID.sha384WithRsaEncryption, { hash: "sha384", goType: "*rsa.PublicKey", name: "SHA384-RSA" }],
  [OID.sha512WithRsaEncryption, { hash: "sha512", goType: "*rsa.PublicKey", name: "SHA512-RSA" }],
  [OID.ed25519, { hash: null, goType: "ed25519.PublicKey", name: "Ed25519" }],
] as const);

/** RSA, DSA, EC, X25519, Ed25519 */
const KNOWN_KEYS: ReadonlySet<string> = new Set([
  OID.rsaEncryption,
  "1.2.840.10040.4.1",
  OID.ecPublicKey,
  "1.3.101.110",
  OID.ed25519,
]);

/**
 * Reads the key out of a certificate signing request, which proves by its signature that the client has the private one. Nothing
 * else in it counts.
 *
 * @throws {@link ApiError}
 * @see RFC 2986 §4
 */
export function readCertificateRequest(pem: Uint8Array): SubjectKey {
  const request = parseRequest(pem);
  const subject = checkSubjectKey(importKey(request.spki));
  const algorithm = ALGORITHMS.get(request.algorithm);
  if (algorithm?.goType !== subject.goType || !verify(algorithm.hash, request.signed, subject.key, request.signature)) {
    throw new ApiError("InvalidArgument", REFUSAL.signature, "the request is not signed by its own key");
  }
  if (algorithm.hash === "sha1")
    throw new ApiError("InvalidArgument", `unrecognized signature algorithm: ${algorithm.name}`);
  if (algorithm.hash !== subject.hash) {
    const hash = { sha256: "SHA-256", sha384: "SHA-384", sha512: "SHA-512" }[algorithm.hash ?? "sha512"];
    throw new ApiError("InvalidArgument", `signing algorithm not permitted: ${subject.goType}, ${hash}`);
  }
  return subject;
}

/** A key of a kind that is not known is weak; one of a known kind that cannot be read makes the whole request unreadable. */
function importKey(spki: Uint8Array): KeyObject {
  try {
    return importSpki(spki);
  } catch (error) {
    const reason = error instanceof Error ? error.message : "no key";
    const known = KNOWN_KEYS.has(keyTypeOf(spki));
    throw new ApiError("InvalidArgument", known ? REFUSAL.certificateRequest : REFUSAL.weakKey, reason);
  }
}

function keyTypeOf(spki: Uint8Array): string {
  try {
    return decodeOid(DerReader.of(parseDer(spki, Tag.sequence)).sequence().next(Tag.oid));
  } catch (error) {
    if (!(error instanceof SigstoreError)) throw error;
    throw new ApiError("InvalidArgument", REFUSAL.certificateRequest, error.message);
  }
}

function parseRequest(pem: Uint8Array): {
  readonly signed: Uint8Array;
  readonly spki: Uint8Array;
  readonly algorithm: string;
  readonly signature: Uint8Array;
} {
  const refuse = (reason: string): ApiError => new ApiError("InvalidArgument", REFUSAL.certificateRequest, reason);
  try {
    const [block] = parsePem(tryDecodeUtf8(pem) ?? "");
    if (block?.label !== "CERTIFICATE REQUEST" && block?.label !== "NEW CERTIFICATE REQUEST")
      throw refuse(`DER type ${block?.label ?? "none"} is not one of a CSR`);
    const request = DerReader.of(parseDer(block.bytes, Tag.sequence));
    const info = request.next(Tag.sequence);
    const algorithm = decodeOid(request.sequence().next(Tag.oid));
    const signature = decodeBitString(request.next(Tag.bitString)).bytes;
    request.end();
    const reader = DerReader.of(info);
    reader.next(Tag.integer);
    reader.next(Tag.sequence); // the subject, which is not looked at
    const spki = reader.next(Tag.sequence).bytes;
    reader.optional(contextTag(0, true));
    reader.end();
    return { signed: info.bytes, spki, algorithm, signature };
  } catch (error) {
    if (!(error instanceof SigstoreError)) throw error;
    throw refuse(error.message);
  }
}
