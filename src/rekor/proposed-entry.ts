/**
 * What a log is asked to make public, and what its answer is compared with.
 *
 * @module
 */

import type { Digest } from "../crypto/digest.ts";
import type { CryptoProvider } from "../crypto/provider.ts";
import { parsePublicKey, parseRsaPublicKey } from "../crypto/public-key.ts";
import { algorithmForKeyDetails, type SignatureAlgorithm } from "../crypto/registry.ts";
import type { Envelope } from "../dsse/envelope.ts";
import { preAuthEncoding } from "../dsse/pae.ts";
import { InputError, ServiceError, VerificationError } from "../errors.ts";
import { redactUrl } from "../http/redact.ts";
import type { HttpAnswer, RequestOptions } from "../http/request.ts";
import type { EntryVerifier } from "../tlog/entries/comparison.ts";
import { onlySignature } from "../tlog/entries/comparison.ts";
import { parseEntryBody, verifyEntryBody, type EntryExpectation } from "../tlog/entry-body.ts";
import { verifyInclusionUnder } from "../tlog/inclusion.ts";
import type { KindVersion, TransparencyLogEntry } from "../tlog/transparency-log-entry.ts";

/** Names the service in errors. */
export const SERVICE = "Rekor";

/** Is what is to be logged: a signature over an artifact or an envelope, and who made it. */
export type ProposedEntry = {
  /** The certificate or public key of the signer. */
  readonly verifier: EntryVerifier;
  /** The signature's algorithm, a value of `PublicKeyDetails`. */
  readonly keyDetails: string;
} & (
  | {
      readonly kind: "hashedrekord";
      /** Of the artifact, with the hash of the signature's algorithm. */
      readonly digest: Digest;
      readonly signature: Uint8Array;
    }
  | {
      readonly kind: "dsse";
      /** With one signature. */
      readonly envelope: Envelope;
    }
);

/** Configures requests to a log. */
export interface RekorOptions extends RequestOptions {
  readonly crypto: CryptoProvider;
}

/**
 * Finds the algorithm that a proposed entry names.
 *
 * @throws {@link VerificationError} `ALGORITHM_UNSUPPORTED`.
 */
export function algorithmOfEntry({ keyDetails }: ProposedEntry): SignatureAlgorithm {
  const algorithm = algorithmForKeyDetails(keyDetails);
  if (algorithm !== undefined) return algorithm;
  throw new VerificationError("ALGORITHM_UNSUPPORTED", "signature algorithm is not one of the Sigstore registry", {
    found: keyDetails.slice(0, 100),
  });
}

/**
 * Says what an entry has to hold to be ours.
 *
 * @throws {@link VerificationError} `ALGORITHM_UNSUPPORTED`; `TLOG_ENTRY_MISMATCH` for an envelope with another number of signatures
 * than one; FormatError for a verifier that cannot be read.
 */
export function expectationOf(entry: ProposedEntry): EntryExpectation {
  const keyAlgorithm = algorithmOfEntry(entry);
  const verifier = expectedVerifier(entry.verifier);
  if (entry.kind === "hashedrekord") {
    const { digest, signature } = entry;
    const digests = (algorithm: string): Uint8Array | undefined =>
      algorithm === digest.algorithm ? digest.value : undefined;
    return { signature, verifier, keyAlgorithm, content: { kind: "message", digests } };
  }
  const { payload, payloadType, signatures } = entry.envelope;
  const pae = preAuthEncoding(payloadType, payload);
  return {
    signature: onlySignature(signatures).sig,
    verifier,
    keyAlgorithm,
    content: { kind: "envelope", payload, payloadType, pae },
  };
}

function expectedVerifier({ kind, der }: EntryVerifier): EntryExpectation["verifier"] {
  switch (kind) {
    case "certificate":
      return { kind, der };
    case "public-key":
      return { kind, key: parsePublicKey(der) };
    case "rsa-public-key":
      return { kind: "public-key", key: parseRsaPublicKey(der) };
  }
}

/**
 * Verifies that an entry is what was asked for, and that its inclusion proof, where it has one, leads to the root of its checkpoint.
 *
 * Whether a log that is trusted signed the checkpoint or the promise is not checked here: see `verifyInclusionProof` and
 * `verifyInclusionPromise`.
 *
 * @throws {@link VerificationError} `TLOG_ENTRY_MISMATCH`, `TLOG_INCLUSION_PROOF_INVALID`; FormatError for a body, a checkpoint or a
 * note that is malformed.
 */
export async function verifyOurEntry(
  entry: TransparencyLogEntry,
  expected: EntryExpectation,
  { kind, version }: KindVersion,
  crypto: CryptoProvider,
): Promise<void> {
  if (entry.kindVersion.kind !== kind || entry.kindVersion.version !== version) {
    throw new VerificationError("TLOG_ENTRY_MISMATCH", "log made an entry of another kind than was asked for", {
      expected: `${kind} ${version}`,
      found: `${entry.kindVersion.kind} ${entry.kindVersion.version}`.slice(0, 100),
    });
  }
  const generation = version === "0.0.2" ? 2 : 1;
  await verifyEntryBody(parseEntryBody(entry), entry, expected, crypto);
  if (entry.inclusionProof !== undefined) await verifyInclusionUnder(undefined, entry, generation, crypto);
}

/**
 * Checks a number before it goes into a URL.
 *
 * @throws {@link InputError} `USAGE_INVALID`.
 */
export function checkCount(value: bigint, what: string): bigint {
  if (value >= 0n && value < 1n << 63n) return value;
  throw new InputError("USAGE_INVALID", `${what} is out of range`, {
    expected: "0 to 2^63 - 1",
    found: `${value}`,
  });
}

/** Makes the error for a log that takes no more entries. */
export function frozen({ url, status, attempts }: HttpAnswer): ServiceError {
  return new ServiceError("TLOG_FROZEN", `${SERVICE} (${redactUrl(url)}) takes no more entries`, {
    status,
    service: SERVICE,
    attempts,
    expected: "a log that is written to",
    found: `status ${status}`,
  });
}

/**
 * Makes the error for an entry in the way of the one that was to be made.
 *
 * @param problem - Completes "an equivalent entry, which …".
 */
export function inTheWay(problem: string, { url, status, attempts }: HttpAnswer, cause?: unknown): ServiceError {
  return new ServiceError(
    "TLOG_ENTRY_CONFLICT",
    `${SERVICE} (${redactUrl(url)}) says that it has an equivalent entry, which ${problem}`,
    {
      status,
      service: SERVICE,
      attempts,
      cause,
      expected: "the entry that was to be made",
      found: cause instanceof Error ? cause.message : undefined,
    },
  );
}
