/**
 * Client specification §4.5: the signature itself, over the artifact or over the envelope's pre-authentication encoding.
 *
 * @module
 */

import type { BundleContent } from "../bundle/bundle.ts";
import type { HashAlgorithm } from "../crypto/digest.ts";
import type { CryptoProvider } from "../crypto/provider.ts";
import type { PublicKey } from "../crypto/public-key.ts";
import { artifactAlgorithms, type SignatureAlgorithm } from "../crypto/registry.ts";
import { equalBytes } from "../encoding/bytes.ts";
import { encodeHex } from "../encoding/hex.ts";
import { VerificationError } from "../errors.ts";
import type { ReadArtifact } from "./artifact.ts";

/** Is a `messageSignature` of a bundle. */
export type MessageSignature = Extract<BundleContent, { kind: "messageSignature" }>;

/**
 * Lists the algorithms that a message signature may have been made with, the one that the bundle's digest speaks for first.
 * That digest is a hint here: which algorithm it was, the signature shows.
 */
function messageAlgorithms(key: PublicKey, message: MessageSignature): readonly SignatureAlgorithm[] {
  const hinted = message.messageDigest?.algorithm;
  const algorithms = artifactAlgorithms(key);
  return [...algorithms.filter(({ hash }) => hash === hinted), ...algorithms.filter(({ hash }) => hash !== hinted)];
}

/** Lists the digests of the artifact that a message signature will be compared by. */
export function messageHashes(keys: readonly PublicKey[], message: MessageSignature): readonly HashAlgorithm[] {
  const hashes = new Set<HashAlgorithm>();
  if (message.messageDigest !== undefined) hashes.add(message.messageDigest.algorithm);
  for (const key of keys) for (const { hash } of artifactAlgorithms(key)) if (hash !== undefined) hashes.add(hash);
  return [...hashes];
}

/**
 * Compares the bundle's own digest of the artifact with the artifact's.
 *
 * @throws {@link VerificationError} `ARTIFACT_DIGEST_MISMATCH`, `DIGEST_ALGORITHM_MISMATCH`.
 */
export async function verifyMessageDigest(message: MessageSignature, artifact: ReadArtifact): Promise<void> {
  if (message.messageDigest === undefined) return;
  const { algorithm, digest: expected } = message.messageDigest;
  const found = await artifact.digest(algorithm);
  if (found === undefined) throw needsDigest([algorithm], artifact);
  if (equalBytes(expected, found)) return;
  throw new VerificationError("ARTIFACT_DIGEST_MISMATCH", "bundle is for another artifact", {
    expected: `${algorithm}:${encodeHex(expected)}`,
    found: `${algorithm}:${encodeHex(found)}`,
    remedy: "fetch the artifact again, or the bundle that belongs to it",
  });
}

/**
 * Verifies a signature over the artifact.
 *
 * @returns the algorithm that it was made with.
 * @throws {@link VerificationError} `SIGNATURE_INVALID`, `DIGEST_ALGORITHM_MISMATCH`, `DIGEST_ONLY_UNSUPPORTED`, `ALGORITHM_UNSUPPORTED`.
 */
export async function verifyMessageSignature(
  message: MessageSignature,
  key: PublicKey,
  artifact: ReadArtifact,
  crypto: CryptoProvider,
): Promise<SignatureAlgorithm> {
  const { bytes } = artifact;
  const algorithms = messageAlgorithms(key, message);
  if (bytes !== undefined) {
    for (const algorithm of algorithms) {
      if (await crypto.verify(algorithm, key, message.signature, bytes)) return algorithm;
    }
    throw signatureInvalid("artifact", key);
  }
  const lacking: HashAlgorithm[] = [];
  let tried = 0;
  for (const algorithm of algorithms) {
    if (algorithm.hash === undefined) continue; // a pure algorithm needs the artifact itself
    const digest = await artifact.digest(algorithm.hash);
    if (digest === undefined) {
      lacking.push(algorithm.hash);
      continue;
    }
    tried += 1;
    if (await crypto.verifyDigest(algorithm, key, message.signature, digest)) return algorithm;
  }
  // A signature by a pure algorithm looks the same as a wrong one, unless the bundle says that a digest was signed.
  const pure = algorithms.some(({ hash }) => hash === undefined);
  const digestWasSigned = algorithms.some(
    ({ hash }) => hash !== undefined && hash === message.messageDigest?.algorithm,
  );
  if (tried > 0 && (!pure || digestWasSigned)) throw signatureInvalid("artifact", key);
  if (lacking.length > 0 && (!pure || digestWasSigned)) throw needsDigest(lacking, artifact);
  throw new VerificationError(
    "DIGEST_ONLY_UNSUPPORTED",
    `a ${key.type} signature cannot be verified from a digest alone`,
    {
      expected: "the artifact itself",
      found: artifact.known.map(({ algorithm }) => `a ${algorithm} digest`).join(", "),
      remedy: "give the artifact as a file or bytes",
    },
  );
}

/**
 * Verifies a signature over the pre-authentication encoding of an envelope.
 *
 * @returns the algorithm that it was made with.
 * @throws {@link VerificationError} `SIGNATURE_INVALID`, `ALGORITHM_UNSUPPORTED`.
 * @see DSSE protocol, "Signature definition"
 */
export async function verifyEnvelopeSignature(
  pae: Uint8Array,
  signature: Uint8Array,
  key: PublicKey,
  crypto: CryptoProvider,
): Promise<SignatureAlgorithm> {
  for (const algorithm of artifactAlgorithms(key)) {
    if (await crypto.verify(algorithm, key, signature, pae)) return algorithm;
  }
  throw signatureInvalid("envelope", key);
}

function signatureInvalid(what: string, key: PublicKey): VerificationError {
  return new VerificationError(
    "SIGNATURE_INVALID",
    `signature over the ${what} does not verify with the ${key.type} key`,
    {
      remedy: "check that artifact, bundle and key belong together",
    },
  );
}

function needsDigest(needed: readonly HashAlgorithm[], artifact: ReadArtifact): VerificationError {
  return new VerificationError(
    "DIGEST_ALGORITHM_MISMATCH",
    "artifact was given by a digest that the signature is not over",
    {
      expected: needed.join(" or "),
      found: artifact.known.map(({ algorithm }) => algorithm).join(", "),
      remedy: `give the artifact itself, or its ${needed[0] ?? "other"} digest`,
    },
  );
}
