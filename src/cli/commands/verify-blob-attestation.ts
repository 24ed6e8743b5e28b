/**
 * `cosign-ts verify-blob-attestation`: an attestation about a file.
 *
 * @module
 */

import { PREDICATE_TYPES, predicateTypeOf } from "../predicate-types.ts";
import type { Artifact } from "../../verify/artifact.ts";
import { warn, type Command, type Context } from "../context.ts";
import { usage, type Flags } from "../flags.ts";
import { checkOutputFlags, openArtifact, prepareVerification, readDigest, report, VERIFICATION_FLAGS } from "../verification.ts";

/** Verifies that a signed statement of a given predicate type is about a file. */
export const verifyBlobAttestation: Command = {
  name: "verify-blob-attestation",
  summary: "Verify an attestation about a file: the signature, that the file is among its subjects, and its predicate type.",
  operands: "[FILE | - | URL | sha256:HEX]",
  minOperands: 0,
  maxOperands: 1,
  environment: true,
  flags: [
    ...VERIFICATION_FLAGS,
    {
      name: "type",
      kind: "string",
      default: "custom",
      description: `the predicate type: ${Object.keys(PREDICATE_TYPES).join(", ")}, or a URI`,
    },
    { name: "digest", kind: "string", value: "HEX", description: "the digest of the file, in place of the file" },
    { name: "digestAlg", kind: "string", value: "NAME", description: "the algorithm of --digest: sha256, sha384 or sha512" },
    { name: "check-claims", kind: "boolean", default: "true", description: "compare the file with the subjects; false is unsafe" },
  ],
  examples: [
    "cosign-ts verify-blob-attestation --bundle app.att.sigstore.json --type slsaprovenance1 --certificate-identity ID --certificate-oidc-issuer URL app",
  ],
  async run([operand], flags, context) {
    checkOutputFlags(flags);
    const predicateType = predicateTypeOf(flags.string("type") ?? "custom");
    const open = chooseArtifact(operand, flags, context);
    return await report(flags, context, async () => {
      const { bundle, policy, verifier } = await prepareVerification(operand, flags, context, "blob attestation");
      const { artifact, end } = await open();
      try {
        return await verifier.verify(bundle, artifact, { ...policy, predicateType });
      } finally {
        end();
      }
    });
  },
};

function chooseArtifact(
  operand: string | undefined,
  flags: Flags,
  context: Context,
): () => Promise<{ readonly artifact: Artifact; end(): void }> {
  const digest = flags.string("digest");
  const algorithm = flags.choice("digestAlg", ["sha256", "sha384", "sha512"]);
  const end = (): void => undefined;
  if (!flags.boolean("check-claims", true)) {
    warn(context, "Skipping the comparison with the subjects proves nothing about any file.");
    return () => Promise.resolve({ artifact: "unsafe-any", end });
  }
  if (operand !== undefined) {
    if (digest !== undefined) warn(context, "--digest is not used, because a file is given");
    return () => openArtifact(operand, context);
  }
  if (digest === undefined && algorithm === undefined) throw usage("no file is given to compare the subjects with", "a file, or --digest and --digestAlg");
  if (digest === undefined || algorithm === undefined) throw usage("--digest and --digestAlg must be given together");
  const parsed = readDigest(digest, algorithm);
  return () => Promise.resolve({ artifact: { digests: [parsed] }, end });
}
