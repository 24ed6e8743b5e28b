/**
 * `cosign-ts verify-blob`: a file against its bundle.
 *
 * @module
 */

import type { Command } from "../context.ts";
import { usage } from "../flags.ts";
import { checkOutputFlags, openArtifact, prepareVerification, report, VERIFICATION_FLAGS } from "../verification.ts";

/** Verifies a file, standard input, a URL or a digest against a Sigstore bundle. */
export const verifyBlob: Command = {
  name: "verify-blob",
  summary: "Verify a file against a Sigstore bundle. The result goes to standard error, or with --output to standard output.",
  operands: "FILE | - | URL | sha256:HEX",
  minOperands: 1,
  maxOperands: 1,
  environment: true,
  flags: VERIFICATION_FLAGS,
  examples: [
    "cosign-ts verify-blob --bundle app.sigstore.json --certificate-identity alice@example.com --certificate-oidc-issuer https://accounts.example.com app",
    "cosign-ts verify-blob --bundle app.sigstore.json --key cosign.pub app",
    "cosign-ts verify-blob --bundle app.sigstore.json --key cosign.pub --output json sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
  ],
  async run([operand = ""], flags, context) {
    checkOutputFlags(flags);
    if (!["key", "sk", "certificate", "bundle", "certificate-identity", "certificate-identity-regexp"].some((name) => flags.has(name))) {
      throw usage("provide a key with --key or --sk, a certificate to verify against with --certificate, or a bundle with --bundle");
    }
    return await report(flags, context, async () => {
      const { bundle, policy, verifier } = await prepareVerification(operand, flags, context, "blob");
      const { artifact, end } = await openArtifact(operand, context);
      try {
        return await verifier.verify(bundle, artifact, policy);
      } finally {
        end();
      }
    });
  },
};
