/**
 * `cosign-ts public-key`: the public key of a private key.
 *
 * @module
 */

import { encodePem } from "../../encoding/pem.ts";
import { loadSigner } from "../../keys/load-signer.ts";
import { notice, type Command } from "../context.ts";
import { usage } from "../flags.ts";
import { openOutputFile } from "../output-file.ts";
import { readPassword } from "../password.ts";

/** Writes the public key that belongs to a private key. */
export const publicKey: Command = {
  name: "public-key",
  summary: "Write the public key of a private key, for those who verify.",
  operands: "",
  minOperands: 0,
  maxOperands: 0,
  environment: true,
  flags: [
    {
      name: "key",
      kind: "string",
      value: "KEY",
      description: "the private key: a file, https://… or env://NAME",
    },
    { name: "outfile", kind: "string", value: "FILE", description: "write to a file in place of standard output" },
    { name: "sk", kind: "boolean", description: "", deprecated: "hardware tokens are not supported" },
    { name: "slot", kind: "string", description: "", deprecated: "hardware tokens are not supported" },
  ],
  examples: ["cosign-ts public-key --key release.key", "cosign-ts public-key --key release.key --outfile release.pub"],
  async run(_operands, flags, context) {
    const reference = flags.string("key");
    if ((reference === undefined) !== flags.boolean("sk"))
      throw usage("exactly one of: key reference (--key), or hardware token (--sk) must be provided", {
        remedy: "give the private key with --key",
      });
    if (reference === undefined)
      throw usage("hardware tokens (--sk) are not supported", {
        remedy: "export the public key with cosign public-key --sk",
      });
    const path = flags.string("outfile");
    const { environment, fetch, signal } = context;
    const signer = await loadSigner(reference, { environment, fetch, signal, password: () => readPassword(context) });
    const pem = encodePem("PUBLIC KEY", signer.publicKey.spki);
    if (path === undefined) {
      context.stdout.write(pem);
      return 0;
    }
    const file = openOutputFile(path, 0o600);
    file.write(pem);
    file.commit();
    notice(context, `Public key written to ${path}`);
    return 0;
  },
};
