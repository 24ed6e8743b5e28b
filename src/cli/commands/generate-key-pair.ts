/**
 * `cosign-ts generate-key-pair`: a key pair to sign with.
 *
 * @module
 */

import { generateKeyPair } from "../../keys/generate.ts";
import { DEFAULT_SIGNING_ALGORITHM, SIGNING_ALGORITHMS } from "../../keys/signing-algorithm.ts";
import type { Command } from "../context.ts";
import { usage } from "../flags.ts";
import { checkKeyFiles, writeKeyFiles } from "../key-files.ts";
import { readPassword } from "../password.ts";

/** Of 2048 bits the registry says: for verification only. */
const ALGORITHMS = SIGNING_ALGORITHMS.filter((name) => !name.includes("-2048-"));

/** Writes a private key under a password, as cosign does, and its public key. */
export const generateKeyPairCommand: Command = {
  name: "generate-key-pair",
  summary:
    "Generate a key pair to sign with. The private key is encrypted with a password: COSIGN_PASSWORD, what is typed, or standard input.",
  operands: "",
  minOperands: 0,
  maxOperands: 1,
  environment: true,
  flags: [
    {
      name: "output-key-prefix",
      kind: "string",
      value: "PREFIX",
      default: "cosign",
      description: "write PREFIX.key, for you alone, and PREFIX.pub, for those who verify",
    },
    {
      name: "signing-algorithm",
      kind: "string",
      value: "NAME",
      default: DEFAULT_SIGNING_ALGORITHM,
      choices: ALGORITHMS,
      description: `what the key is for: ${ALGORITHMS.join(", ")}. cosign reads all but rsa-sign-pss and ml-dsa as such`,
    },
    { name: "kms", kind: "string", description: "", deprecated: "key management services are not supported" },
  ],
  examples: [
    "cosign-ts generate-key-pair --output-key-prefix release",
    "cosign-ts generate-key-pair --output-key-prefix release-p384 --signing-algorithm ecdsa-sha2-384-nistp384",
  ],
  async run([provider], flags, context) {
    if (flags.has("kms"))
      throw usage("keys in key management services (--kms) are not supported", {
        expected: "no --kms",
        remedy: "make the key with cosign, or leave --kms out for a key in a file",
      });
    if (provider !== undefined) throw unsupportedProvider(provider);
    const algorithm = flags.choice("signing-algorithm", ALGORITHMS);
    const prefix = flags.string("output-key-prefix") ?? "cosign";
    checkKeyFiles(prefix);
    const pair = await generateKeyPair({ algorithm, password: () => readPassword(context, { confirm: true }) });
    await writeKeyFiles(prefix, pair, false, context);
    return 0;
  },
};

function unsupportedProvider(reference: string): Error {
  const scheme = /^([a-z0-9+.-]+):\/\//.exec(reference)?.[1];
  if (scheme === undefined)
    return usage("could not parse scheme, use <scheme>://<ref> format", {
      remedy: "leave it out, or name the files with --output-key-prefix",
    });
  const known = ["k8s", "github", "gitlab"].includes(scheme);
  return usage(known ? `keys at ${scheme}:// are not supported` : `undefined provider: ${scheme}`, {
    expected: "no operand, for a key in a file",
    remedy: known ? "generate the key in a file, and upload it" : "leave it out",
  });
}
