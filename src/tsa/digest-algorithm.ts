import { decodeNull, decodeOid, DerReader, Tag, type DerElement } from "../asn1/der.ts";
import { OID } from "../asn1/oids.ts";
import type { HashAlgorithm } from "../crypto/digest.ts";
import { VerificationError } from "../errors.ts";

/** A digest algorithm as a token names it. */
export interface DigestAlgorithm {
  /** The object identifier, dotted. */
  readonly oid: string;
  /** Absent when a token may not rest on this algorithm: see {@link hashOf}. */
  readonly hash: HashAlgorithm | undefined;
}

const HASHES: ReadonlyMap<string, HashAlgorithm> = new Map<string, HashAlgorithm>([
  [OID.sha256, "sha256"],
  [OID.sha384, "sha384"],
  [OID.sha512, "sha512"],
]);

/**
 * Parses the AlgorithmIdentifier of a digest. One that is not known is no error here, since its token may be nobody's concern.
 *
 * @throws {@link FormatError} `DER_MALFORMED`, also for parameters other than none and NULL.
 * @see RFC 5754 §2
 */
export function parseDigestAlgorithm(identifier: DerElement): DigestAlgorithm {
  const reader = DerReader.of(identifier);
  const oid = decodeOid(reader.next(Tag.oid));
  const hash = HASHES.get(oid);
  if (hash === undefined) return { oid, hash };
  const parameters = reader.optional(Tag.null);
  if (parameters !== undefined) decodeNull(parameters);
  reader.end();
  return { oid, hash };
}

/**
 * Gives the hash that a digest algorithm stands for.
 *
 * @throws {@link VerificationError} `ALGORITHM_UNSUPPORTED` unless it is SHA-256, SHA-384 or SHA-512.
 */
export function hashOf({ oid, hash }: DigestAlgorithm, what: string): HashAlgorithm {
  if (hash !== undefined) return hash;
  throw new VerificationError("ALGORITHM_UNSUPPORTED", `timestamp has a ${what} of digest algorithm ${oid}`, {
    expected: "SHA-256, SHA-384 or SHA-512",
    found: oid,
  });
}
