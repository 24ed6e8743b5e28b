/**
 * `cosign-ts import-key-pair`: a private key of another tool, made one to sign with.
 *
 * @module
 */

import { nameKeyReference, readKeyReference } from "../../keys/key-reference.ts";
import { importKeyPair } from "../../keys/private-key.ts";
import type { Command, Context } from "../context.ts";
import { usage } from "../flags.ts";
import { checkKeyFiles, writeKeyFiles } from "../key-files.ts";
import { naming } from "../named-input.ts";
import { readPassword, type PasswordQuestion } from "../password.ts";

/** Encrypts a private key as cosign does, and writes its public key beside it. */
export const importKeyPairCommand: Command = {
  name: "import-key-pair",
  summary:
    "Import a private key in PEM, to sign with: PKCS #8, PKCS #1 or SEC 1, encrypted or not. An encrypted key, cosign's too, gets a new password.",
  operands: "",
  minOperands: 0,
  maxOperands: 0,
  environment: true,
  flags: [
    { name: "key", short: "k", kind: "string", value: "FILE", description: "the private key to import" },
    {
      name: "output-key-prefix",
      short: "o",
      kind: "string",
      value: "PREFIX",
      default: "import-cosign",
      description: "write PREFIX.key, for you alone, and PREFIX.pub, for those who verify",
    },
    { name: "yes", short: "y", kind: "boolean", description: "overwrite files without asking" },
  ],
  examples: ["cosign-ts import-key-pair --key openssl.pem --output-key-prefix imported"],
  async run(_operands, flags, context) {
    const reference = flags.string("key");
    if (reference === undefined) throw usage("no key to import is given", { remedy: "give it with --key" });
    const prefix = flags.string("output-key-prefix") ?? "import-cosign";
    const { environment, fetch, signal } = context;
    const pem = await readKeyReference(reference, "private key", { environment, fetch, signal });
    checkKeyFiles(prefix);
    const pair = await naming(nameKeyReference(reference), () => importKeyPair({ pem, ...passwords(context) }));
    await writeKeyFiles(prefix, pair, flags.boolean("yes"), context);
    return 0;
  },
};

/** Asks at a terminal for both passwords, the new one twice. From a script there is one, which then is old and new. */
function passwords(context: Context): Record<"oldPassword" | "password", () => Promise<Uint8Array>> {
  let old: Uint8Array | undefined;
  const ask = async (question: PasswordQuestion): Promise<Uint8Array> => await readPassword(context, question);
  return {
    oldPassword: async () => (old = await ask({ prompt: "Enter password of the key to import" })),
    password: async () => (old !== undefined && context.terminal === undefined ? old : await ask({ confirm: true })),
  };
}
