/**
 * Entries of kind `hashedrekord`: a digest, its signature, and who signed.
 *
 * The digest is that of the artifact, or of the pre-authentication encoding where an envelope was signed.
 *
 * @module
 */

import type { Digest } from "../../crypto/digest.ts";
import type { CryptoProvider } from "../../crypto/provider.ts";
import type { SignatureAlgorithm } from "../../crypto/registry.ts";
import type { JsonReader } from "../../encoding/json-reader.ts";
import type { EntryExpectation } from "../entry-body.ts";
import {
  mismatch,
  verifySameSignature,
  verifySameVerifier,
  verifySignedDigest,
  type EntryVerifier,
} from "./comparison.ts";
import { readHash, readSignature, readVerifier } from "./rekor-v1.ts";
import {
  hashOutputJson,
  readHashOutput,
  readSignatureV2,
  signatureJson,
  verifyRebuiltBody,
  verifySignatureV2,
  type SignatureV2,
} from "./rekor-v2.ts";

/** Is the body of a `hashedrekord` 0.0.1. */
export interface HashedRekordV001 {
  readonly kind: "hashedrekord";
  readonly generation: 1;
  readonly data: Digest;
  readonly signature: Uint8Array;
  readonly verifier: EntryVerifier;
}

/** Is the body of a `hashedrekord` 0.0.2. */
export interface HashedRekordV002 {
  readonly kind: "hashedrekord";
  readonly generation: 2;
  readonly data: Digest;
  readonly signature: SignatureV2;
}

/**
 * Parses the `spec` of a `hashedrekord` 0.0.1.
 *
 * @throws FormatError `TLOG_ENTRY_MALFORMED`, `LIMIT_EXCEEDED`.
 * @see rekor, hashedrekord_v0_0_1_schema.json
 */
export function parseHashedRekordV001(spec: JsonReader): HashedRekordV001 {
  const body = spec.object();
  const signature = body.required("signature").object();
  return {
    kind: "hashedrekord",
    generation: 1,
    data: readHash(body.required("data").object().required("hash"), ["sha256", "sha384", "sha512"]),
    signature: readSignature(signature.required("content")),
    verifier: readVerifier(signature.required("publicKey").object().required("content")),
  };
}

/** Verifies a `hashedrekord` 0.0.1 against a bundle. */
export async function verifyHashedRekordV001(
  body: HashedRekordV001,
  expected: EntryExpectation,
  crypto: CryptoProvider,
): Promise<void> {
  verifySameSignature(body.signature, expected);
  await verifySameVerifier(body.verifier, expected.verifier, crypto);
  verifyDigestAlgorithm(body.data, expected.keyAlgorithm);
  await verifySignedDigest(body.data, expected.content, crypto);
}

/**
 * Parses the `spec` of a `hashedrekord` 0.0.2.
 *
 * @throws FormatError `TLOG_ENTRY_MALFORMED`, `LIMIT_EXCEEDED`.
 * @see rekor-tiles, rekor/v2/hashedrekord.proto `HashedRekordLogEntryV002`
 */
export function parseHashedRekordV002(spec: JsonReader): HashedRekordV002 {
  const entry = spec.object(["hashedRekordV002"]).required("hashedRekordV002").object(["data", "signature"]);
  return {
    kind: "hashedrekord",
    generation: 2,
    data: readHashOutput(entry.required("data")),
    signature: readSignatureV2(entry.required("signature")),
  };
}

/**
 * Verifies a `hashedrekord` 0.0.2 against a bundle.
 *
 * @param canonicalizedBody - What the body was read from.
 */
export async function verifyHashedRekordV002(
  body: HashedRekordV002,
  canonicalizedBody: Uint8Array,
  expected: EntryExpectation,
  crypto: CryptoProvider,
): Promise<void> {
  const algorithm = await verifySignatureV2(body.signature, expected, crypto);
  // The log verifies with the digest alone, so that an algorithm without one cannot be in such an entry.
  if (algorithm.hash === undefined)
    throw mismatch("signature algorithm", "one that signs a digest", body.signature.keyDetails);
  verifyDigestAlgorithm(body.data, algorithm);
  await verifySignedDigest(body.data, expected.content, crypto);

  // Every value was compared above, so that the body's digest is the bundle's.
  const spec = {
    hashedRekordV002: {
      data: hashOutputJson(body.data),
      signature: signatureJson(expected, body.signature.keyDetails),
    },
  };
  verifyRebuiltBody("hashedrekord", spec, canonicalizedBody);
}

/** The log verified the signature over this digest, so its algorithm is that of the signature. */
function verifyDigestAlgorithm({ algorithm }: Digest, signedWith: SignatureAlgorithm | undefined): void {
  if (signedWith?.hash === undefined || signedWith.hash === algorithm) return;
  throw mismatch("digest algorithm", signedWith.hash, algorithm);
}
