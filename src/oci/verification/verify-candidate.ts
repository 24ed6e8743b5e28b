/**
 * One candidate: what it proves about a digest, or why it proves nothing.
 *
 * @module
 */

import type { Bundle } from "../../bundle/bundle.ts";
import { requireSameSigner } from "../../bundle/legacy.ts";
import type { JsonValue } from "../../encoding/json.ts";
import { PolicyError, ServiceError, SigstoreError, VerificationError } from "../../errors.ts";
import type { TrustedRoot } from "../../trust/trusted-root.ts";
import type { ExpectedSigner } from "../../verify/options.ts";
import type { Verifier } from "../../verify/verifier.ts";
import { parseCertificate } from "../../x509/certificate.ts";
import type { Candidate, LegacyContent } from "./candidates.ts";
import { toDigest, type ContentDigest } from "../content-digest.ts";
import { completeLegacy, type LegacyMaterial } from "../legacy/detached-signature.ts";
import { SIGN_PREDICATE_TYPE } from "../media-types.ts";
import { IMAGE_SIGNATURE_TYPES, parseSimpleSigning } from "../legacy/simple-signing.ts";
import type { ImagePolicy, ImageVerifierOptions, VerifiedImageSignature } from "./verified-image.ts";

/** Says what a candidate has to prove. */
export interface CandidatePolicy {
  readonly signer: ExpectedSigner;
  readonly want: "signature" | "attestation";
  /** Absent: any. */
  readonly predicateType: string | undefined;
  readonly annotations: Readonly<Record<string, string>>;
  readonly checkClaims: boolean;
  readonly detachedScts: ImagePolicy["detachedScts"];
  readonly legacyMaterial: LegacyMaterial;
}

/** Holds what verification needs besides the candidate. */
export interface CandidateVerifiers {
  /**
   * Gives the verifier whose time policy is for this bundle.
   *
   * @param takesIntermediates - Whether those in the bundle are of the caller, who may well give them.
   */
  readonly verifierFor: (bundle: Bundle, takesIntermediates?: boolean) => Promise<Verifier>;
  readonly trustedRoot: TrustedRoot;
  readonly fetchLogEntriesFrom: ImageVerifierOptions["fetchLogEntriesFrom"];
}

/** Says in which format something is. */
export function formatOf({ content }: Candidate): "bundle" | "legacy" {
  return content.kind === "bundle" || (content.kind === "malformed" && content.format === "bundle")
    ? "bundle"
    : "legacy";
}

/**
 * Verifies a candidate: its bundle as any other, and then that it speaks of this image.
 *
 * @throws SigstoreError: why it proves nothing.
 */
export async function verifyCandidate(
  candidate: Candidate,
  digest: ContentDigest,
  policy: CandidatePolicy,
  verifiers: CandidateVerifiers,
): Promise<VerifiedImageSignature> {
  const { content, place, manifest, layer } = candidate;
  const common = { digest, place, manifest, layer: layer.digest, format: formatOf(candidate) };
  const ofCaller = place === "detached" || (policy.legacyMaterial.intermediates?.length ?? 0) > 0;
  const legacyVerifiers = { ...verifiers, verifierFor: (bundle: Bundle) => verifiers.verifierFor(bundle, ofCaller) };
  switch (content.kind) {
    case "malformed":
      throw content.error;
    case "bundle": {
      requireCertificate(content.bundle, policy);
      const proven = await verifyStatement(content.bundle, digest, policy, verifiers);
      return { ...common, bundle: content.bundle, ...proven };
    }
    case "dsse": {
      const completed = completeLegacy(content, policy.legacyMaterial);
      const bundle = await withLogEntry(completed, digest, policy, verifiers);
      const proven = await explainingMissingEntry(bundle, () =>
        verifyStatement(bundle, digest, policy, legacyVerifiers),
      );
      return { ...common, bundle, ...proven };
    }
    case "simple-signing": {
      const completed = completeLegacy(content, policy.legacyMaterial);
      const bundle = await withLogEntry(completed, digest, policy, verifiers);
      const proven = await explainingMissingEntry(bundle, () =>
        verifySimpleSigning(bundle, content.payload, digest, policy, legacyVerifiers),
      );
      return { ...common, bundle, payload: content.payload, ...proven };
    }
  }
}

/** A bundle names its certificate itself, which must be the one that the caller gave. */
function requireCertificate(
  { verificationMaterial }: Bundle,
  { legacyMaterial: { certificate } }: CandidatePolicy,
): void {
  const { content } = verificationMaterial;
  if (certificate === undefined || content.kind === "publicKey") return;
  const found = content.kind === "certificate" ? content.certificate : (content.certificates[0] ?? new Uint8Array(0));
  requireSameSigner(
    { kind: "certificate", certificate: parseCertificate(found) },
    { kind: "certificate", certificate },
  );
}

type Proven = Pick<VerifiedImageSignature, "evidence" | "payload" | "annotations">;

/** A statement must be about the digest; a signature in a bundle is a statement of a type of its own. */
async function verifyStatement(
  bundle: Bundle,
  digest: ContentDigest,
  policy: CandidatePolicy,
  verifiers: CandidateVerifiers,
): Promise<Proven> {
  const { signer, predicateType, annotations, checkClaims, detachedScts } = policy;
  if (bundle.content.kind === "messageSignature") {
    throw new PolicyError(
      "PREDICATE_TYPE_MISMATCH",
      "it is a signature over a file, and says of no image that it is one",
      {
        expected: predicateType ?? "a statement",
        found: "a message signature",
      },
    );
  }
  const verifier = await verifiers.verifierFor(bundle);
  const artifact = checkClaims ? { digests: [toDigest(digest)] as const } : "unsafe-any";
  const evidence = await verifier.verify(bundle, artifact, { ...signer, predicateType, detachedScts });
  if (evidence.content.kind !== "statement") throw new Error("what was verified as a statement is one"); // cannot happen
  const { payload, subject } = evidence.content;
  const signed = subject?.subject.annotations ?? {};
  requireAnnotations(annotations, signed);
  return { evidence, payload, annotations: signed };
}

/** The payload is what was signed; what it says of the image is compared afterwards. */
async function verifySimpleSigning(
  bundle: Bundle,
  payload: Uint8Array,
  digest: ContentDigest,
  policy: CandidatePolicy,
  verifiers: CandidateVerifiers,
): Promise<Pick<Proven, "evidence" | "annotations">> {
  const { signer, annotations, checkClaims, predicateType, detachedScts } = policy;
  if (predicateType !== undefined && predicateType !== SIGN_PREDICATE_TYPE) {
    throw new PolicyError("PREDICATE_TYPE_MISMATCH", "it is an image signature, not a statement of that type", {
      expected: predicateType,
      found: "a simple-signing payload",
    });
  }
  const verifier = await verifiers.verifierFor(bundle);
  const evidence = await verifier.verify(bundle, payload, { ...signer, detachedScts });
  if (!checkClaims) return { evidence, annotations: {} };
  const claims = parseSimpleSigning(payload);
  if (claims.dockerManifestDigest !== digest) {
    throw new PolicyError("SUBJECT_MISMATCH", "it was signed for another image", {
      expected: digest,
      found: claims.dockerManifestDigest,
    });
  }
  if (!IMAGE_SIGNATURE_TYPES.includes(claims.type)) {
    throw new PolicyError(
      "PREDICATE_TYPE_MISMATCH",
      "what was signed does not say that it is the signature of an image",
      {
        expected: IMAGE_SIGNATURE_TYPES.join(" or "),
        found: JSON.stringify(claims.type.slice(0, 100)),
      },
    );
  }
  requireAnnotations(annotations, claims.optional);
  return { evidence, annotations: claims.optional };
}

function requireAnnotations(
  expected: Readonly<Record<string, string>>,
  signed: Readonly<Record<string, JsonValue>>,
): void {
  for (const [name, value] of Object.entries(expected)) {
    const found = Object.hasOwn(signed, name) ? signed[name] : undefined;
    if (found === value) continue;
    throw new PolicyError("ANNOTATION_MISMATCH", "missing or incorrect annotation", {
      expected: `${name}=${value}`,
      found: found === undefined ? `no annotation ${name}` : `${name}=${JSON.stringify(found).slice(0, 200)}`,
    });
  }
}

/**
 * Refuses what cannot name its signer, and looks up the log entry that is not there where the caller wants that.
 *
 * @throws VerificationError `CERTIFICATE_MISSING`; and as `createBundle`.
 */
async function withLogEntry(
  content: LegacyContent,
  digest: ContentDigest,
  { signer }: CandidatePolicy,
  { trustedRoot, fetchLogEntriesFrom: from }: CandidateVerifiers,
): Promise<Bundle> {
  const { bundle, parts } = content;
  if (signer.identity !== undefined && bundle.verificationMaterial.content.kind === "publicKey") {
    throw new VerificationError("CERTIFICATE_MISSING", "it was signed with a key, and comes without a certificate", {
      expected: "a certificate with an identity",
      found: "no certificate",
    });
  }
  if (from === undefined || bundle.verificationMaterial.tlogEntries.length > 0) return bundle;
  const artifact = content.kind === "simple-signing" ? content.payload : { digests: [toDigest(digest)] as const };
  // Only what the log says is wanted: chain and timestamps stay as they are, for the verifier to judge.
  const { signature, signer: claimed } = parts;
  let failure: SigstoreError | undefined;
  for (const publicKey of signer.keys?.map((key) => key.publicKey) ?? [undefined]) {
    try {
      // Whoever looks nothing up needs none of it.
      const { createBundle } = await import("../../sign/create-bundle.ts");
      const found = await createBundle({ signature, signer: claimed }, artifact, {
        fetch: from.fetch,
        timeoutMs: LOG_TIMEOUT_MS,
        publicKey,
        log: { rekorUrl: from.rekorUrl, trustedRoot },
      });
      const { tlogEntries } = found.verificationMaterial;
      return { ...bundle, verificationMaterial: { ...bundle.verificationMaterial, tlogEntries } };
    } catch (error) {
      if (!(error instanceof SigstoreError) || error instanceof ServiceError) throw error;
      // That another of the keys did not sign says little.
      if (failure === undefined || failure.code === "SIGNATURE_INVALID") failure = error;
    }
  }
  throw failure ?? new TypeError("there is at least one key");
}

/** Says what can be done where a signature of before bundles came without its log entry. */
async function explainingMissingEntry<T>({ verificationMaterial }: Bundle, verify: () => Promise<T>): Promise<T> {
  try {
    return await verify();
  } catch (error) {
    if (
      !(error instanceof VerificationError) ||
      error.code !== "TLOG_THRESHOLD_NOT_MET" ||
      verificationMaterial.tlogEntries.length > 0
    )
      throw error;
    throw new VerificationError(error.code, "signature comes without its entry of the transparency log", {
      expected: error.expected,
      found: error.found,
      remedy: "have the entry looked up in the log with fetchLogEntriesFrom (--fetch-log-entries)",
      report: error.report,
      cause: error,
    });
  }
}

const LOG_TIMEOUT_MS = 30_000;
