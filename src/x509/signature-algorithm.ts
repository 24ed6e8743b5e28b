import { contextTag, decodeOid, decodeSmallInteger, DerReader, parseDer, Tag } from "../asn1/der.ts";
import type { DerElement } from "../asn1/der.ts";
import { OID } from "../asn1/oids.ts";
import type { HashAlgorithm } from "../crypto/digest.ts";
import type { CryptoProvider } from "../crypto/provider.ts";
import type { PublicKey, PublicKeyType } from "../crypto/public-key.ts";
import { algorithmOf } from "../crypto/registry.ts";
import type { SignatureAlgorithm } from "../crypto/registry.ts";
import { FormatError, VerificationError } from "../errors.ts";

/** How a certificate, or a CMS message, says that it is signed. */
export interface CertificateSignatureAlgorithm {
  /** The object identifier, dotted. */
  readonly oid: string;
  /** Absent when this package does not know the algorithm; checking such a signature fails as `ALGORITHM_UNSUPPORTED`. */
  readonly scheme: SignatureAlgorithm["scheme"] | undefined;
  /** Absent where the scheme signs the message itself. */
  readonly hash: HashAlgorithm | undefined;
  /** The one key type that the identifier allows, where it names one. */
  readonly keyType?: PublicKeyType;
}

interface Known extends Omit<CertificateSignatureAlgorithm, "oid"> {
  readonly parameters: "absent" | "null-or-absent";
}

const KNOWN: ReadonlyMap<string, Known> = new Map<string, Known>([
  // RFC 5758 §3.2: parameters absent
  [OID.ecdsaWithSha256, { scheme: "ecdsa", hash: "sha256", parameters: "absent" }],
  [OID.ecdsaWithSha384, { scheme: "ecdsa", hash: "sha384", parameters: "absent" }],
  [OID.ecdsaWithSha512, { scheme: "ecdsa", hash: "sha512", parameters: "absent" }],
  // RFC 4055 §5: NULL; absent is tolerated
  [OID.sha256WithRsaEncryption, { scheme: "rsa-pkcs1", hash: "sha256", parameters: "null-or-absent" }],
  [OID.sha384WithRsaEncryption, { scheme: "rsa-pkcs1", hash: "sha384", parameters: "null-or-absent" }],
  [OID.sha512WithRsaEncryption, { scheme: "rsa-pkcs1", hash: "sha512", parameters: "null-or-absent" }],
  // RFC 8410 §3
  [OID.ed25519, { scheme: "ed25519", hash: undefined, keyType: "ed25519", parameters: "absent" }],
  // RFC 9881 §2
  [OID.mlDsa44, { scheme: "ml-dsa", hash: undefined, keyType: "ml-dsa-44", parameters: "absent" }],
  [OID.mlDsa65, { scheme: "ml-dsa", hash: undefined, keyType: "ml-dsa-65", parameters: "absent" }],
  [OID.mlDsa87, { scheme: "ml-dsa", hash: undefined, keyType: "ml-dsa-87", parameters: "absent" }],
]);

const HASHES: ReadonlyMap<string, { readonly hash: HashAlgorithm; readonly length: number }> = new Map<
  string,
  { readonly hash: HashAlgorithm; readonly length: number }
>([
  [OID.sha256, { hash: "sha256", length: 32 }],
  [OID.sha384, { hash: "sha384", length: 48 }],
  [OID.sha512, { hash: "sha512", length: 64 }],
]);

/**
 * Parses the AlgorithmIdentifier of a signature.
 *
 * An algorithm that is not known is no error here, since a certificate may only be listed and never be checked.
 *
 * @throws {@link FormatError} `DER_MALFORMED`; `CERTIFICATE_MALFORMED` when a known algorithm has wrong parameters.
 * @see RFC 5280 §4.1.1.2
 */
export function parseSignatureAlgorithm(identifier: DerElement): CertificateSignatureAlgorithm {
  const reader = DerReader.of(identifier);
  const oid = decodeOid(reader.next(Tag.oid));
  const parameters = reader.atEnd ? undefined : reader.next();
  reader.end();
  if (oid === OID.rsassaPss) return readPss(oid, parameters);
  const known = KNOWN.get(oid);
  if (known === undefined) return { oid, scheme: undefined, hash: undefined };
  const isNull = parameters?.tag === Tag.null && parameters.content.length === 0;
  if (parameters !== undefined && !(isNull && known.parameters === "null-or-absent")) {
    throw new FormatError("CERTIFICATE_MALFORMED", `signature algorithm ${oid} has parameters that it must not have`);
  }
  const { scheme, hash, keyType } = known;
  return keyType === undefined ? { oid, scheme, hash } : { oid, scheme, hash, keyType };
}

/**
 * Reads RSASSA-PSS-params. Only what the Sigstore registry uses is supported: one hash of SHA-2 for the message and for
 * MGF1, and a salt as long as the hash. The defaults, all SHA-1, are therefore unsupported.
 *
 * @see RFC 4055 §3.1
 */
function readPss(oid: string, parameters: DerElement | undefined): CertificateSignatureAlgorithm {
  if (parameters?.tag !== Tag.sequence)
    throw new FormatError("CERTIFICATE_MALFORMED", "RSASSA-PSS signature has no parameters");
  const unsupported = { oid, scheme: undefined, hash: undefined };
  const reader = DerReader.of(parameters);
  const hashField = reader.optional(contextTag(0, true));
  const maskField = reader.optional(contextTag(1, true));
  const saltField = reader.optional(contextTag(2, true));
  const trailerField = reader.optional(contextTag(3, true));
  reader.end();
  const digest = hashField && readHash(parseDer(hashField.content, Tag.sequence));
  const maskDigest = maskField && readMask(parseDer(maskField.content, Tag.sequence));
  const saltLength = saltField ? decodeSmallInteger(parseDer(saltField.content, Tag.integer)) : 20;
  const trailer = trailerField ? decodeSmallInteger(parseDer(trailerField.content, Tag.integer)) : 1;
  if (digest === undefined || maskDigest !== digest || saltLength !== digest.length || trailer !== 1)
    return unsupported;
  return { oid, scheme: "rsa-pss", hash: digest.hash };
}

function readHash(identifier: DerElement): { readonly hash: HashAlgorithm; readonly length: number } | undefined {
  const reader = DerReader.of(identifier);
  const found = HASHES.get(decodeOid(reader.next(Tag.oid)));
  const parameters = reader.optional(Tag.null); // RFC 4055 §2.1: NULL or absent
  reader.end();
  if (parameters !== undefined && parameters.content.length !== 0) {
    throw new FormatError("CERTIFICATE_MALFORMED", "hash algorithm has a NULL with content");
  }
  return found;
}

function readMask(identifier: DerElement): ReturnType<typeof readHash> {
  const reader = DerReader.of(identifier);
  const oid = decodeOid(reader.next(Tag.oid));
  if (oid !== OID.mgf1) return undefined;
  const digest = readHash(reader.next(Tag.sequence));
  reader.end();
  return digest;
}

/**
 * Verifies a signature that an AlgorithmIdentifier describes.
 *
 * @returns Whether the signature verifies; `false` also where the key is of another kind than the algorithm.
 * @throws {@link VerificationError} `ALGORITHM_UNSUPPORTED` when the algorithm is not known, or the runtime lacks it.
 */
export async function checkSignature(
  algorithm: CertificateSignatureAlgorithm,
  key: PublicKey,
  signature: Uint8Array,
  data: Uint8Array,
  crypto: CryptoProvider,
): Promise<boolean> {
  if (algorithm.scheme === undefined) {
    throw new VerificationError("ALGORITHM_UNSUPPORTED", `signature algorithm ${algorithm.oid} is not supported`);
  }
  if (algorithm.keyType !== undefined && algorithm.keyType !== key.type) return false;
  const fitting = algorithmOf(algorithm.scheme, algorithm.hash, key);
  return fitting !== undefined && (await crypto.verify(fitting, key, signature, data));
}
