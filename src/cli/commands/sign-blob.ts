/**
 * `cosign-ts sign-blob`: files, signed.
 *
 * @module
 */

import { defaultCryptoProvider } from "../../crypto/provider.ts";
import type { HashAlgorithm } from "../../crypto/digest.ts";
import type { SignableArtifact } from "../../sign/options.ts";
import { readArtifact } from "../../verify/artifact.ts";
import { exists } from "../../files/read-file.ts";
import { isUrl, openArtifact, probeArtifact } from "../artifact-operand.ts";
import { notice, type Command, type Context } from "../context.ts";
import { usage, type Flag, type Flags } from "../flags.ts";
import { refuseSigning, runSigning, type Described, type SigningItem } from "../signing.ts";
import { SIGNING_FLAGS } from "../signing-flags.ts";

const BY_BUNDLE = "use --bundle, which holds it";
const OLD_FLAGS: readonly Flag[] = [
  { name: "b64", kind: "boolean", description: "", deprecated: "use --bundle, which holds bytes in base64 already" },
  { name: "rfc3161-timestamp", kind: "string", description: "", deprecated: BY_BUNDLE },
];

/** Signs files, all of them with one token and one certificate, or with a key. */
export const signBlob: Command = {
  name: "sign-blob",
  summary:
    "Sign files, and write a bundle for each: with a certificate for the identity of an OpenID Connect token, or with a key. Several files share one token and one certificate.",
  operands: "FILE… | - | URL | sha256:HEX",
  minOperands: 1,
  maxOperands: Infinity,
  environment: true,
  flags: [...SIGNING_FLAGS, ...OLD_FLAGS],
  examples: [
    "cosign-ts sign-blob --bundle app.sigstore.json app",
    "cosign-ts sign-blob --yes --identity-token token.jwt --bundle {path}.sigstore.json app.tar.gz app.zip",
    "cosign-ts sign-blob --key cosign.key --bundle app.sigstore.json app",
    "cosign-ts sign-blob --explain app",
  ],
  async run(operands, flags, context) {
    const inputs = await checkOperands(operands, flags);
    return await runSigning(
      {
        names: { timestamp: "rfc3161-timestamp", isAttestation: false },
        inputs,
        stdinIsTaken: inputs.includes("-"),
        items: () => Promise.resolve(inputs.map((input) => itemFor(input, context))),
        describe: (hash) => describeAll(inputs, hash, context),
      },
      flags,
      context,
    );
  },
  refuse: refuseSigning,
};

async function checkOperands(operands: readonly string[], flags: Flags): Promise<readonly string[]> {
  const twice = operands.find((operand, index) => operands.indexOf(operand) !== index);
  if (twice !== undefined) throw usage(`${JSON.stringify(twice)} is named twice`, { remedy: "name each file once" });
  // Before the token is asked for: a name that is mistyped is told first.
  for (const operand of operands) await probeArtifact(operand);
  if (flags.has("resume-state") && operands.includes("-"))
    throw usage("--resume-state needs a file that can be read again, and standard input cannot", {
      remedy: "sign a file",
    });
  return operands;
}

function isFile(operand: string): boolean {
  return operand !== "-" && !isUrl(operand);
}

function itemFor(input: string, context: Context): SigningItem {
  return {
    input,
    async sign(session, options) {
      if (input !== "-") notice(context, `Using payload from: ${input}`);
      const { artifact, end } = await open(input, context);
      try {
        return await session.sign(artifact, options);
      } finally {
        end();
      }
    },
  };
}

async function open(
  input: string,
  context: Context,
): Promise<{ readonly artifact: SignableArtifact; readonly end: () => void }> {
  if (isFile(input) && (await exists(input))) return { artifact: { path: input }, end: () => undefined };
  const { artifact, end } = await openArtifact(input, context);
  if (artifact === "unsafe-any") throw usage("there is nothing to sign");
  if (!(artifact instanceof Uint8Array) && "digests" in artifact)
    return { artifact: { digest: artifact.digests[0] }, end };
  return { artifact, end };
}

async function describeAll(
  inputs: readonly string[],
  hash: HashAlgorithm,
  context: Context,
): Promise<readonly Described[]> {
  const crypto = defaultCryptoProvider();
  const described: Described[] = [];
  for (const input of inputs) {
    const { artifact, end } = await openArtifact(input, context);
    if (artifact === "unsafe-any") throw usage("there is nothing to sign");
    const read = await readArtifact(artifact, [hash], false, crypto);
    const value = await read.digest(hash);
    end();
    if (value === undefined)
      throw usage(`${JSON.stringify(input)} is not the digest that would be signed`, { expected: `${hash}:HEX` });
    described.push({ input, content: { kind: "artifact", digest: { algorithm: hash, value } } });
  }
  return described;
}
