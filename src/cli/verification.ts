/**
 * What the verifying commands share: the flags, read into a verifier, a policy and a bundle.
 *
 * @module
 */

import type { Bundle } from "../bundle/bundle.ts";
import { PolicyError, SigstoreError } from "../errors.ts";
import { readInputFile } from "../files/read-file.ts";
import { MAX_TRUST_FILE_BYTES } from "../limits.ts";
import { Verifier } from "../verify/verifier.ts";
import { parseDetachedSct } from "../x509/sct.ts";
import { openArtifact, type OpenArtifact } from "./artifact-operand.ts";
import type { Context } from "./context.ts";
import { readExpectedSigner } from "./expected-signer.ts";
import { usage, type Flags } from "./flags.ts";
import { naming } from "./named-input.ts";
import { checkOutputFlags, printEvidence } from "./result.ts";
import { readSignedMaterial } from "./signed-material.ts";
import { loadChosenTrust } from "./trust-choice.ts";
import { readVerifierOptions, timePolicyFor } from "./verifier-options.ts";

/** Is what a verifying command asks, besides the flags that all of them have. */
export interface VerificationRequest {
  /** The artifact as it was given, beside which a bundle is looked for. */
  readonly operand: string | undefined;
  /** Opens the artifact, once everything else is known to be there. Default: what the operand names. */
  readonly open?: (() => Promise<OpenArtifact>) | undefined;
  /** What is verified, as cosign calls it in its warnings. */
  readonly what: string;
  /** Given, the bundle must hold a statement of this type. */
  readonly predicateType?: string;
}

/**
 * Verifies and prints the outcome. Flags are checked first, so that a wrong one is told before anything is fetched.
 *
 * @returns the exit status.
 * @throws SigstoreError of any kind.
 */
export async function runVerification(request: VerificationRequest, flags: Flags, context: Context): Promise<number> {
  const { operand, predicateType, what } = request;
  checkOutputFlags(flags);
  refuseHardware(flags);
  const signer = await readExpectedSigner(flags, context);
  const options = await readVerifierOptions(flags, context, what);
  const sct = flags.string("sct");
  const detachedScts = sct === undefined ? undefined : [await readDetachedSct(sct)];
  const material = await readSignedMaterial(operand, flags, signer, predicateType !== undefined, context);
  if (predicateType !== undefined && material.kind === "bundle" && material.bundle.content.kind === "messageSignature")
    throw noAttestation(predicateType);
  const { trustedRoot, source } = await loadChosenTrust(flags, context);
  const verifierFor = async (bundle: Bundle): Promise<Verifier> =>
    await Verifier.create(trustedRoot, {
      ...options,
      time: options.time ?? timePolicyFor(bundle, flags, context),
      trustSource: source,
      // Intermediates that the caller gave are no part of what was signed.
      allowCertificateChain: options.allowCertificateChain === true || flags.has("ca-intermediates"),
    });
  const open = request.open ?? (() => openArtifact(operand ?? "", context));
  if (material.kind === "list") {
    const { verifyListed } = await import("./listed-attestations.ts");
    return await verifyListed(
      material.candidates,
      open,
      { ...signer, detachedScts, predicateType: predicateType ?? "" },
      verifierFor,
      flags,
      context,
    );
  }
  const { bundle, isLegacy } = material;
  const verifier = await verifierFor(bundle);
  const { artifact, end } = await open();
  try {
    const evidence = await verifier.verify(bundle, artifact, { ...signer, detachedScts, predicateType });
    end();
    await printEvidence(evidence, flags, context);
    return 0;
  } catch (error) {
    throw isLegacy && bundle.verificationMaterial.tlogEntries.length === 0 ? withLogRemedy(error) : error;
  } finally {
    end();
  }
}

/** cosign would ask the log; the verifier opens no socket. */
function withLogRemedy(error: unknown): unknown {
  if (!(error instanceof SigstoreError) || error.code !== "TLOG_THRESHOLD_NOT_MET") return error;
  return Object.assign(error, {
    remedy:
      "make a bundle of it with cosign-ts bundle create, which fetches the log entry, and give that with --bundle",
  });
}

function noAttestation(expected: string): PolicyError {
  return new PolicyError(
    "PREDICATE_TYPE_MISMATCH",
    "bundle does not contain a DSSE envelope: it is a signature over a file, not an attestation",
    {
      expected,
      remedy: "use verify-blob, or give the bundle of the attestation",
    },
  );
}

/** Refuses more than one signer, and those in hardware. @throws InputError `USAGE_INVALID`. */
export function refuseHardware(flags: Flags): void {
  const signers = ["key", "certificate", "sk"].filter((name) =>
    name === "sk" ? flags.boolean(name) : flags.has(name),
  );
  if (signers.length > 1) {
    throw usage(
      "exactly one of: key reference (--key), certificate (--cert) or hardware token (--sk) must be provided",
      { remedy: "leave all but one out" },
    );
  }
  if (flags.boolean("sk")) {
    throw usage("hardware tokens (--sk) are not supported", {
      remedy: "export the public key with cosign public-key --sk, and give it with --key",
    });
  }
}

/** Reads an SCT in a file of its own. @throws InputError, FormatError. */
export async function readDetachedSct(path: string): Promise<ReturnType<typeof parseDetachedSct>> {
  const bytes = await readInputFile(path, MAX_TRUST_FILE_BYTES, "SCT");
  return await naming(path, () => parseDetachedSct(bytes));
}
