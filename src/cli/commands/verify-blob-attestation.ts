/**
 * `cosign-ts verify-blob-attestation`: an attestation about a file.
 *
 * @module
 */

import { readDigest, type OpenArtifact } from "../artifact-operand.ts";
import { warn, type Command, type Context } from "../context.ts";
import { usage, type Flags } from "../flags.ts";
import { GITHUB_FLAGS, PREDICATE_TYPE_FLAGS, readPredicateType } from "../github-flags.ts";
import { printRefusal } from "../result.ts";
import { runVerification } from "../verification.ts";
import { VERIFICATION_FLAGS } from "../verification-flags.ts";

/** Verifies that a signed statement of a given predicate type is about a file. */
export const verifyBlobAttestation: Command = {
  name: "verify-blob-attestation",
  summary:
    "Verify an attestation about a file: the signature, that the file is among its subjects, and its predicate type.",
  operands: "[FILE | - | URL | sha256:HEX]",
  minOperands: 0,
  maxOperands: 1,
  environment: true,
  flags: [
    ...VERIFICATION_FLAGS,
    ...PREDICATE_TYPE_FLAGS,
    ...GITHUB_FLAGS,
    { name: "digest", kind: "string", value: "HEX", description: "the digest of the file, in place of the file" },
    {
      name: "digestAlg",
      kind: "string",
      value: "NAME",
      choices: ["sha256", "sha384", "sha512"],
      description: "the algorithm of --digest: sha256, sha384 or sha512",
    },
    {
      name: "check-claims",
      kind: "boolean",
      default: "true",
      description: "compare the file with the subjects; false is unsafe",
    },
  ],
  examples: [
    "cosign-ts verify-blob-attestation --bundle app.att.sigstore.json --type slsaprovenance1 --certificate-identity alice@example.com --certificate-oidc-issuer https://accounts.example.com app",
    "cosign-ts verify-blob-attestation --bundle app.att.sigstore.json --type slsaprovenance1 --key cosign.pub --digest 5891b5b522d5df086d0ff0b110fbd9d21bb4fc7163af34d08286a2e846f6be03 --digestAlg sha256",
  ],
  async run([operand], flags, context) {
    const predicateType = readPredicateType(flags);
    const open = chooseArtifact(operand, flags, context);
    return await runVerification({ operand, open, what: "blob attestation", predicateType }, flags, context);
  },
  refuse: printRefusal,
};

/** Says what the subjects are compared with, where it is not what the operand names. */
function chooseArtifact(
  operand: string | undefined,
  flags: Flags,
  context: Context,
): (() => Promise<OpenArtifact>) | undefined {
  const digest = flags.string("digest");
  const algorithm = flags.choice("digestAlg", ["sha256", "sha384", "sha512"]);
  const end = (): void => undefined;
  if (!flags.boolean("check-claims", true)) {
    warn(context, "Skipping the comparison with the subjects proves nothing about any file.");
    return () => Promise.resolve({ artifact: "unsafe-any", end });
  }
  if (operand !== undefined) {
    if (digest !== undefined) warn(context, `${flags.nameOf("digest")} is not used, because a file is given`);
    return undefined;
  }
  if (digest === undefined || algorithm === undefined) {
    throw usage("must provide path to blob or digest and digestAlg", {
      remedy: "give the file, or both --digest and --digestAlg",
    });
  }
  const given = readDigest(digest, algorithm);
  return () => Promise.resolve({ artifact: { digests: [given] }, end });
}
