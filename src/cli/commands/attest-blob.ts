/**
 * `cosign-ts attest-blob`: statements about files, signed.
 *
 * @module
 */

import { tryParseDigest, type Digest } from "../../crypto/digest.ts";
import { defaultCryptoProvider } from "../../crypto/provider.ts";
import { InputError } from "../../errors.ts";
import { exists, openArtifactFile, readInputFile } from "../../files/read-file.ts";
import { buildStatement } from "../../intoto/build-statement.ts";
import { predicateTypeOf, type Predicate } from "../../intoto/predicate.ts";
import { parseStatement } from "../../intoto/statement.ts";
import { MAX_BUNDLE_BYTES, MAX_SUBJECTS } from "../../limits.ts";
import type { DisclosureRequest } from "../../sign/disclosure.ts";
import { readArtifact } from "../../verify/artifact.ts";
import { openArtifact, probeArtifact, readDigest } from "../artifact-operand.ts";
import { notice, type Command, type Context } from "../context.ts";
import { usage, type Flag, type Flags } from "../flags.ts";
import { naming } from "../named-input.ts";
import { PREDICATE_FLAGS, readPredicate } from "../predicate-input.ts";
import { refuseSigning, runSigning } from "../signing.ts";
import { SIGNING_FLAGS } from "../signing-flags.ts";
import { nameOf } from "../signing-outputs.ts";

const BY_BUNDLE = "use --bundle, which holds it";
const OWN_FLAGS: readonly Flag[] = [
  ...PREDICATE_FLAGS,
  {
    name: "statement",
    kind: "string",
    value: "FILE",
    description: "a whole in-toto statement, which is signed byte for byte, in place of files and a predicate",
  },
  {
    name: "hash",
    kind: "string",
    value: "HEX",
    description: "the SHA-256 of the file, which is then not read; or ALGORITHM:HEX",
  },
];
const OLD_FLAGS: readonly Flag[] = [
  { name: "output-attestation", kind: "string", description: "", deprecated: BY_BUNDLE },
  { name: "rfc3161-timestamp-bundle", kind: "string", description: "", deprecated: BY_BUNDLE },
  { name: "rekor-entry-type", kind: "string", description: "", deprecated: "it has no effect" },
];

/** Signs one statement about one file or several. */
export const attestBlob: Command = {
  name: "attest-blob",
  summary:
    "Sign a statement about files, and write a bundle with it: a predicate of some type, or a whole in-toto statement. Several files become the subjects of one statement.",
  operands: "[FILE… | - | URL]",
  minOperands: 0,
  maxOperands: MAX_SUBJECTS,
  environment: true,
  flags: [...OWN_FLAGS, ...SIGNING_FLAGS, ...OLD_FLAGS],
  examples: [
    "cosign-ts attest-blob --predicate provenance.json --type slsaprovenance1 --bundle app.att.sigstore.json app",
    "cosign-ts attest-blob --key cosign.key --predicate sbom.json --type cyclonedx --bundle app.att.sigstore.json app lib",
    "cosign-ts attest-blob --yes --statement statement.json --bundle app.att.sigstore.json",
  ],
  async run(operands, flags, context) {
    checkFlags(operands, flags);
    const hash = flags.string("hash");
    const [first = flags.string("statement") ?? ""] = operands;
    const stdinIsTaken = operands.includes("-") || flags.string("predicate") === "-";
    // What is signed is made once: the token, and whoever is asked for it, come after.
    let made: Promise<Uint8Array> | undefined;
    let read: Promise<Predicate> | undefined;
    const predicate = (): Promise<Predicate> => (read ??= readPredicate(flags, context));
    const statement = (): Promise<Uint8Array> => (made ??= makeStatement(operands, flags, predicate, context));
    return await runSigning(
      {
        names: { timestamp: "rfc3161-timestamp-bundle", isAttestation: true },
        inputs: [first],
        stdinIsTaken,
        check: async () => {
          if (flags.has("statement")) await statement();
          else if (flags.string("predicate") !== "-") await predicate();
          // With a digest the file is not read.
          if (hash === undefined) for (const operand of operands) await probeArtifact(operand);
          else readHash(hash);
        },
        items: async () => {
          const bytes = await statement();
          return [{ input: first, sign: (session, options) => session.attest(bytes, options) }];
        },
        describe: async () => [{ input: first, content: await contentOf(await statement()) }],
      },
      flags,
      context,
    );
  },
  refuse: refuseSigning,
};

function checkFlags(operands: readonly string[], flags: Flags): void {
  const given = ["predicate", "statement"].filter((name) => flags.has(name));
  if (given.length !== 1)
    throw usage("one of --predicate or --statement must be set", { remedy: "give one, and not both" });
  const entryType = flags.string("rekor-entry-type");
  if (entryType !== undefined && !["dsse", "intoto"].includes(entryType))
    throw usage("unknown value for rekor-entry-type", { expected: "dsse or intoto" });
  if (flags.has("statement")) {
    const surplus = operands.length > 0 ? JSON.stringify(operands[0]) : flags.has("hash") ? "--hash" : undefined;
    if (surplus !== undefined)
      throw usage(`${surplus} has no meaning with --statement, which names its subjects itself`, {
        remedy: "leave one of both out",
      });
    return;
  }
  predicateTypeOf(flags.string("type") ?? "custom");
  if (operands.length === 0)
    throw usage("attest-blob needs FILE…", { remedy: "name the files that the statement is about" });
  if (flags.has("hash") && operands.length > 1)
    throw usage("--hash is the digest of one file, and several are named", { remedy: "name one, or leave --hash out" });
  const twice = operands.find((operand, index) => operands.indexOf(operand) !== index);
  if (twice !== undefined) throw usage(`${JSON.stringify(twice)} is named twice`, { remedy: "name each file once" });
  if (operands.includes("-") && flags.string("predicate") === "-")
    throw usage("standard input cannot be both the file and the predicate", { remedy: "give one of them as a file" });
}

async function makeStatement(
  operands: readonly string[],
  flags: Flags,
  readIt: () => Promise<Predicate>,
  context: Context,
): Promise<Uint8Array> {
  const path = flags.string("statement");
  if (path !== undefined) {
    notice(context, `Using statement from: ${path}`);
    const bytes = await readInputFile(path, MAX_BUNDLE_BYTES, "statement");
    await naming(path, () => parseStatement(bytes));
    return bytes;
  }
  const { predicate, predicateType } = await readIt();
  const subjects = [];
  for (const operand of operands)
    subjects.push({ name: nameOf(operand), digests: [await digestOf(operand, flags.string("hash"), context)] });
  return buildStatement({ subjects, predicateType, predicate });
}

function readHash(hash: string): Digest {
  return tryParseDigest(hash.toLowerCase()) ?? readDigest(hash, "sha256");
}

/** As in cosign, a subject has its SHA-256. */
async function digestOf(operand: string, hash: string | undefined, context: Context): Promise<Digest> {
  if (hash !== undefined) return readHash(hash);
  if (operand !== "-") notice(context, `Using payload from: ${operand}`);
  // A file may be as large as it likes.
  const isFile = operand !== "-" && (await exists(operand));
  const opened = isFile
    ? { artifact: await openArtifactFile(operand), end: () => undefined }
    : await openArtifact(operand, context);
  const { artifact, end } = opened;
  if (artifact === "unsafe-any") throw usage("there is nothing to attest");
  const read = await readArtifact(artifact, ["sha256"], false, defaultCryptoProvider());
  const value = await read.digest("sha256");
  end();
  const [known] = read.known;
  if (value !== undefined) return { algorithm: "sha256", value };
  if (known !== undefined) return known;
  throw new InputError("ARTIFACT_UNREADABLE", `${JSON.stringify(operand)} has no digest`);
}

async function contentOf(statement: Uint8Array): Promise<DisclosureRequest["content"]> {
  const value = await defaultCryptoProvider().digest("sha256", statement);
  return { kind: "statement", digest: { algorithm: "sha256", value } };
}
