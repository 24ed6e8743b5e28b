/**
 * Attestations that came in one file, each with its own outcome.
 *
 * @module
 */

import type { BundleCandidate } from "../bundle/bundle-candidates.ts";
import type { Bundle } from "../bundle/bundle.ts";
import { printableJson } from "../encoding/printable.ts";
import type { VerifyPolicy } from "../verify/options.ts";
import type { Verifier } from "../verify/verifier.ts";
import { verifyAttestations } from "../verify/verify-attestations.ts";
import type { OpenArtifact } from "./artifact-operand.ts";
import { notice, trace, type Context } from "./context.ts";
import type { Flags } from "./flags.ts";
import { printEvidence } from "./result.ts";

/**
 * Verifies the attestations of a file, and prints those that prove what was asked for.
 *
 * @returns the exit status.
 * @throws SigstoreError where none does.
 */
export async function verifyListed(
  candidates: readonly BundleCandidate[],
  open: () => Promise<OpenArtifact>,
  policy: VerifyPolicy & { readonly predicateType: string },
  verifierFor: (bundle: Bundle) => Promise<Verifier>,
  flags: Flags,
  context: Context,
): Promise<number> {
  const verifiers = new Map<boolean, Promise<Verifier>>();
  const { artifact, end } = await open();
  try {
    const outcome = await verifyAttestations(candidates, artifact, policy, (bundle) => {
      // The time policy depends on this alone: most bundles share one verifier, which checks the root once.
      const { tlogEntries, rfc3161Timestamps, content } = bundle.verificationMaterial;
      const isBare = content.kind !== "publicKey" && tlogEntries.length + rfc3161Timestamps.length === 0;
      const verifier = verifiers.get(isBare) ?? verifierFor(bundle);
      verifiers.set(isBare, verifier);
      return verifier;
    });
    end();
    for (const { position, error } of outcome.refused) trace(context, `${position} proves nothing: ${error.message}`);
    if (flags.choice("output", ["json", "text"]) === "json") {
      const { attestationsToJson } = await import("../report/attestations-json.ts");
      context.stdout.write(`${printableJson(attestationsToJson(outcome))}\n`);
      return 0;
    }
    for (const { position, evidence } of outcome.verified) {
      notice(context, `${position} of ${candidates.length} attestations:`);
      await printEvidence(evidence, flags, context);
    }
    return 0;
  } finally {
    end();
  }
}
