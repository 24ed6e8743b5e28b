/**
 * Several attestations, of which one must prove what is asked for. Each has its own outcome.
 *
 * @module
 */

import type { BundleCandidate } from "../bundle/bundle-candidates.ts";
import type { Bundle } from "../bundle/bundle.ts";
import { DIGEST_LENGTH, type HashAlgorithm } from "../crypto/digest.ts";
import { defaultCryptoProvider, type CryptoProvider } from "../crypto/provider.ts";
import { InputError, SigstoreError, VerificationError } from "../errors.ts";
import { IN_TOTO_PAYLOAD_TYPE, parseStatement } from "../intoto/statement.ts";
import { readArtifact, type Artifact } from "./artifact.ts";
import type { VerifiedBundle } from "./evidence.ts";
import type { VerifyPolicy } from "./options.ts";
import type { Verifier } from "./verifier.ts";

/** Is an attestation that proves what was asked for. */
export interface VerifiedAttestation {
  /** Where it stands in the file. */
  readonly position: string;
  readonly bundle: Bundle;
  readonly evidence: VerifiedBundle;
}

/** Is one that does not, and why. */
export interface RefusedAttestation {
  readonly position: string;
  readonly error: SigstoreError;
}

/** Is what a list of attestations proves. */
export interface VerifiedAttestations {
  readonly verified: readonly [VerifiedAttestation, ...VerifiedAttestation[]];
  readonly refused: readonly RefusedAttestation[];
}

/** Is thrown where none of several attestations proves what was asked for. */
export class AttestationsNotVerifiedError extends VerificationError {
  /** Each of them, and why it was refused. */
  readonly refused: readonly RefusedAttestation[];

  /** @internal */
  constructor(refused: readonly RefusedAttestation[]) {
    const reasons = refused.map(describeRefusal);
    const listed =
      reasons.length > MAX_LISTED ? [...reasons.slice(0, MAX_LISTED), `${reasons.length - MAX_LISTED} more`] : reasons;
    const telling = mostTelling(refused);
    super("ATTESTATION_NOT_ACCEPTED", `none of ${refused.length} attestations proves it: ${listed.join("; ")}`, {
      report: telling?.report,
      cause: telling,
    });
    this.name = "VerificationError"; // the class of its code, for whoever reads JSON
    this.refused = refused;
  }
}

/** Reasons that stand in a message; all of them are in its field. */
const MAX_LISTED = 5;

/**
 * Verifies every one of some attestations of one artifact; one that is good is enough. The artifact is read once.
 *
 * @param verifier - The verifier, or how to choose one for a bundle.
 * @returns those that prove what was asked for, and those that do not, in their order.
 * @throws {@link AttestationsNotVerifiedError} `ATTESTATION_NOT_ACCEPTED`; {@link InputError} `USAGE_INVALID`, `ARTIFACT_UNREADABLE`.
 */
export async function verifyAttestations(
  candidates: readonly BundleCandidate[],
  artifact: Artifact,
  policy: VerifyPolicy & { readonly predicateType: string },
  verifier: Verifier | ((bundle: Bundle) => Promise<Verifier>),
  crypto: CryptoProvider = defaultCryptoProvider(),
): Promise<VerifiedAttestations> {
  if (candidates.length === 0) throw new InputError("USAGE_INVALID", "there is no attestation to verify");
  const digests = await readOnce(artifact, candidates, crypto);
  const verified: VerifiedAttestation[] = [];
  const refused: RefusedAttestation[] = [];
  for (const candidate of candidates) {
    const { position } = candidate;
    try {
      if (candidate.kind === "unreadable") throw candidate.error;
      const { bundle } = candidate;
      const chosen = typeof verifier === "function" ? await verifier(bundle) : verifier;
      verified.push({ position, bundle, evidence: await chosen.verify(bundle, digests, policy) });
    } catch (error) {
      // What was asked for makes no sense: that says nothing about the candidate.
      if (!(error instanceof SigstoreError) || error instanceof InputError) throw error;
      refused.push({ position, error });
    }
  }
  const [first, ...others] = verified;
  if (first === undefined) throw new AttestationsNotVerifiedError(refused);
  return { verified: [first, ...others], refused };
}

/** Reads the artifact once, with the digests that any of the statements has. */
async function readOnce(
  artifact: Artifact,
  candidates: readonly BundleCandidate[],
  crypto: CryptoProvider,
): Promise<Artifact> {
  if (artifact === "unsafe-any" || "digests" in artifact) return artifact;
  const algorithms = new Set<HashAlgorithm>();
  for (const candidate of candidates)
    if (candidate.kind === "bundle") for (const name of subjectAlgorithms(candidate.bundle)) algorithms.add(name);
  if (algorithms.size === 0) algorithms.add("sha256");
  const read = await readArtifact(artifact, [...algorithms], false, crypto);
  const digests = await Promise.all(
    [...algorithms].map(async (algorithm) => ({ algorithm, value: await read.digest(algorithm) })),
  );
  const [first, ...others] = digests.flatMap(({ algorithm, value }) =>
    value === undefined ? [] : [{ algorithm, value }],
  );
  if (first === undefined) throw new Error("there is at least one digest"); // the set is not empty
  return { digests: [first, ...others] };
}

/** What cannot be read has none; why, its verification says. */
function subjectAlgorithms({ content }: Bundle): readonly HashAlgorithm[] {
  if (content.kind !== "dsseEnvelope" || content.envelope.payloadType !== IN_TOTO_PAYLOAD_TYPE) return [];
  try {
    const { subject } = parseStatement(content.envelope.payload);
    const names = new Set(subject.flatMap(({ digest }) => Object.keys(digest)));
    return (Object.keys(DIGEST_LENGTH) as HashAlgorithm[]).filter((algorithm) => names.has(algorithm));
  } catch (error) {
    if (!(error instanceof SigstoreError)) throw error;
    return [];
  }
}

/** The one that comes nearest: of which the fewest checks failed. */
function mostTelling(refused: readonly RefusedAttestation[]): SigstoreError | undefined {
  const failures = ({ report }: SigstoreError): number =>
    report?.filter(({ outcome }) => outcome === "failed" || outcome === "not-reached").length ?? Infinity;
  const [first, ...others] = refused.map(({ error }) => error);
  return first === undefined
    ? undefined
    : others.reduce((best, error) => (failures(error) < failures(best) ? error : best), first);
}

function describeRefusal({ position, error }: RefusedAttestation): string {
  const { message, expected, found } = error;
  const compared = [
    ...(expected === undefined ? [] : [`expected ${expected}`]),
    ...(found === undefined ? [] : [`found ${found}`]),
  ];
  return `${position}: ${message}${compared.length === 0 ? "" : ` (${compared.join(", ")})`}`;
}
