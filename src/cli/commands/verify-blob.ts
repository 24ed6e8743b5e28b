/**
 * `cosign-ts verify-blob`: a file against its bundle.
 *
 * @module
 */

import type { Command } from "../context.ts";
import { usage } from "../flags.ts";
import { printRefusal } from "../result.ts";
import { runVerification } from "../verification.ts";
import { VERIFICATION_FLAGS } from "../verification-flags.ts";

/** Verifies a file, standard input, a URL or a digest against a Sigstore bundle. */
export const verifyBlob: Command = {
  name: "verify-blob",
  summary:
    "Verify a file against a Sigstore bundle. The result goes to standard error, or with --output to standard output.",
  operands: "FILE | - | URL | sha256:HEX",
  minOperands: 1,
  maxOperands: 1,
  environment: true,
  flags: VERIFICATION_FLAGS,
  examples: [
    "cosign-ts verify-blob --certificate-identity alice@example.com --certificate-oidc-issuer https://accounts.example.com app",
    "cosign-ts verify-blob --bundle app.sigstore.json --key cosign.pub app",
    "cosign-ts verify-blob --bundle app.sigstore.json --key cosign.pub --output json sha256:5891b5b522d5df086d0ff0b110fbd9d21bb4fc7163af34d08286a2e846f6be03",
    "cosign-ts verify-blob --bundle app.sigstore.json --key cosign.pub --trusted-root trusted_root.json - < app",
  ],
  async run([operand], flags, context) {
    if (
      !["key", "sk", "certificate", "bundle", "certificate-identity", "certificate-identity-regexp"].some((name) =>
        flags.has(name),
      )
    ) {
      throw usage(
        "provide a key with --key or --sk, a certificate to verify against with --certificate, or a bundle with --bundle",
        {
          remedy:
            "give the bundle, and whom you expect to have signed: --certificate-identity and --certificate-oidc-issuer, or --key",
        },
      );
    }
    return await runVerification({ operand, what: "blob" }, flags, context);
  },
  refuse: printRefusal,
};
