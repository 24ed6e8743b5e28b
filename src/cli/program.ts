/**
 * The program: finds the command, reads its flags, runs it, and turns errors into one line and an exit status.
 *
 * @module
 */

import { SigstoreError } from "../errors.ts";
import { offlineFetch } from "../http/fetch.ts";
import { redactUrl } from "../http/redact.ts";
import type { Fetch } from "../http/request.ts";
import { parseArguments } from "./arguments.ts";
import { colour, trace, warn, type Command, type Context, type Sink } from "./context.ts";
import { GLOBAL_FLAGS, globalFlagsOf, parseDuration, usage, type Flags } from "./flags.ts";
import { Interruption, untilAborted } from "./interruption.ts";
import type { OutputFile } from "./output-file.ts";
import { nearest } from "./suggestion.ts";

/** Is a command as it is listed, before it is loaded. */
export interface ListedCommand {
  readonly name: string;
  readonly summary: string;
  readonly load: () => Promise<Command>;
}

/** Lists the commands. Each is loaded when it runs, not before. */
export const COMMANDS: readonly ListedCommand[] = [
  {
    name: "verify",
    summary: "Verify that images are signed",
    load: async () => (await import("./commands/verify.ts")).verify,
  },
  {
    name: "verify-attestation",
    summary: "Verify attestations about images",
    load: async () => (await import("./commands/verify-attestation.ts")).verifyAttestation,
  },
  {
    name: "dockerfile verify",
    summary: "Verify that the images of a Dockerfile are signed",
    load: async () => (await import("./commands/dockerfile-verify.ts")).dockerfileVerify,
  },
  {
    name: "manifest verify",
    summary: "Verify that the images of Kubernetes manifests are signed",
    load: async () => (await import("./commands/manifest-verify.ts")).manifestVerify,
  },
  {
    name: "sign",
    summary: "Sign images",
    load: async () => (await import("./commands/sign.ts")).sign,
  },
  {
    name: "attest",
    summary: "Sign a statement about images",
    load: async () => (await import("./commands/attest.ts")).attest,
  },
  {
    name: "verify-blob",
    summary: "Verify a file against a Sigstore bundle",
    load: async () => (await import("./commands/verify-blob.ts")).verifyBlob,
  },
  {
    name: "verify-blob-attestation",
    summary: "Verify an attestation about a file",
    load: async () => (await import("./commands/verify-blob-attestation.ts")).verifyBlobAttestation,
  },
  {
    name: "sign-blob",
    summary: "Sign files",
    load: async () => (await import("./commands/sign-blob.ts")).signBlob,
  },
  {
    name: "attest-blob",
    summary: "Sign a statement about files",
    load: async () => (await import("./commands/attest-blob.ts")).attestBlob,
  },
  {
    name: "generate-key-pair",
    summary: "Generate a key pair to sign with",
    load: async () => (await import("./commands/generate-key-pair.ts")).generateKeyPairCommand,
  },
  {
    name: "import-key-pair",
    summary: "Import a private key to sign with",
    load: async () => (await import("./commands/import-key-pair.ts")).importKeyPairCommand,
  },
  {
    name: "public-key",
    summary: "Write the public key of a private key",
    load: async () => (await import("./commands/public-key.ts")).publicKey,
  },
  {
    name: "bundle inspect",
    summary: "Show what a bundle says, without verifying it",
    load: async () => (await import("./commands/bundle-inspect.ts")).bundleInspect,
  },
  {
    name: "bundle create",
    summary: "Make a bundle of what was signed before there were bundles",
    load: async () => (await import("./commands/bundle-create.ts")).bundleCreate,
  },
  {
    name: "bundle upgrade",
    summary: "Bring an older bundle to the current version",
    load: async () => (await import("./commands/bundle-upgrade.ts")).bundleUpgrade,
  },
  {
    name: "initialize",
    summary: "Begin or renew trust in a TUF repository",
    load: async () => (await import("./commands/initialize.ts")).initialize,
  },
  {
    name: "trusted-root create",
    summary: "Write a trusted root file for a Sigstore instance of one's own",
    load: async () => (await import("./commands/trusted-root-create.ts")).trustedRootCreate,
  },
  {
    name: "signing-config create",
    summary: "Write a signing config: the services to sign with",
    load: async () => (await import("./commands/signing-config-create.ts")).signingConfigCreate,
  },
  {
    name: "copy",
    summary: "Copy an image with everything that belongs to it",
    load: async () => (await import("./commands/copy.ts")).copy,
  },
  {
    name: "save",
    summary: "Save an image as files",
    load: async () => (await import("./commands/save.ts")).save,
  },
  {
    name: "load",
    summary: "Put a saved image into a registry",
    load: async () => (await import("./commands/load.ts")).load,
  },
  {
    name: "tree",
    summary: "Show what is attached to an image",
    load: async () => (await import("./commands/tree.ts")).tree,
  },
  {
    name: "clean",
    summary: "Remove what is attached to an image",
    load: async () => (await import("./commands/clean.ts")).clean,
  },
  {
    name: "attach signature",
    summary: "Attach a signature to an image",
    load: async () => (await import("./commands/attach-signature.ts")).attachSignature,
  },
  {
    name: "attach attestation",
    summary: "Attach attestations to an image",
    load: async () => (await import("./commands/attach-attestation.ts")).attachAttestation,
  },
  {
    name: "attach sbom",
    summary: "Attach an SBOM to an image, unsigned",
    load: async () => (await import("./commands/attach-sbom.ts")).attachSbom,
  },
  {
    name: "download signature",
    summary: "Fetch signatures of an image, unverified",
    load: async () => (await import("./commands/download-signature.ts")).downloadSignature,
  },
  {
    name: "download attestation",
    summary: "Fetch attestations about an image, unverified",
    load: async () => (await import("./commands/download-attestation.ts")).downloadAttestation,
  },
  {
    name: "download sbom",
    summary: "Fetch the SBOM of an image, unverified",
    load: async () => (await import("./commands/download-sbom.ts")).downloadSbom,
  },
  {
    name: "triangulate",
    summary: "Name the tags beside an image",
    load: async () => (await import("./commands/triangulate.ts")).triangulate,
  },
  {
    name: "generate",
    summary: "Write what an older signature of an image is over",
    load: async () => (await import("./commands/generate.ts")).generate,
  },
  {
    name: "login",
    summary: "Log in to a registry",
    load: async () => (await import("./commands/login.ts")).login,
  },
  {
    name: "logout",
    summary: "Log out from a registry",
    load: async () => (await import("./commands/logout.ts")).logout,
  },
  {
    name: "sandbox",
    summary: "Run a whole Sigstore on this machine, to try things with",
    load: async () => (await import("./commands/sandbox.ts")).sandbox,
  },
  {
    name: "env",
    summary: "Show the environment variables that are read",
    load: async () => (await import("./commands/env.ts")).env,
  },
  { name: "version", summary: "Show the version", load: async () => (await import("./commands/version.ts")).version },
  {
    name: "completion",
    summary: "Write a completion script for a shell",
    load: async () => (await import("./commands/completion.ts")).completion,
  },
];

/** What the command says of an error, for whoever ends the program with it. */
const EXIT_STATUS = new WeakMap<SigstoreError, number>();

/**
 * Runs the program.
 *
 * @param args - The command line without the program's name.
 * @returns the exit status.
 */
export async function runProgram(args: readonly string[], context: Context): Promise<number> {
  try {
    return await dispatch(args, context);
  } catch (error) {
    if (!(error instanceof SigstoreError)) throw error;
    const { refusalToText } = await import("../report/text.ts");
    context.stderr.write(`${colour(context, "31", "Error:")} ${refusalToText(error)}\n`);
    const { reason } = context.signal as { readonly reason: unknown };
    return reason instanceof Interruption ? reason.exitStatus : (EXIT_STATUS.get(error) ?? 1);
  }
}

async function dispatch(args: readonly string[], context: Context): Promise<number> {
  const asksForHelp = args[0] === "help";
  const [leading, words] = takeLeadingFlags(
    args[0] === "-version" || args[0] === "--version" ? ["version"] : args.slice(asksForHelp ? 1 : 0),
  );
  const listed = COMMANDS.find(({ name }) => name === words[0] || name === `${words[0] ?? ""} ${words[1] ?? ""}`);
  const rest = [...leading, ...words.slice(listed?.name.split(" ").length ?? 0)];
  const end = rest.indexOf("--");
  const help =
    asksForHelp ||
    rest.slice(0, end === -1 ? rest.length : end).some((word) => ["-h", "-help", "--help"].includes(word));
  if (listed === undefined) return await withoutCommand(words, help, context);
  const command = await listed.load();
  if (help) {
    const { commandHelp } = await import("./help.ts");
    context.stdout.write(commandHelp(command));
    return 0;
  }
  const { flags, operands, warnings } = parseArguments(
    rest,
    [...command.flags, ...globalFlagsOf(command)],
    command.environment ? context.environment : {},
  );
  for (const text of warnings) warn(context, text);
  return await runCommand(command, operands, flags, context);
}

/** Flags that every command has may stand before its name. */
function takeLeadingFlags(args: readonly string[]): readonly [readonly string[], readonly string[]] {
  let index = 0;
  while (args[index]?.startsWith("-") === true) {
    const word = args[index]?.replace(/^-+/, "") ?? "";
    const takesNext = GLOBAL_FLAGS.some(
      ({ name, short, kind }) => kind !== "boolean" && (word === name || word === short),
    );
    index += takesNext ? 2 : 1;
  }
  return [args.slice(0, index), args.slice(index)];
}

/** Shows the help of the program or of a group. Unless that was asked for, it is an error not to name a command. */
async function withoutCommand(words: readonly string[], help: boolean, context: Context): Promise<number> {
  const named = words.filter((word) => !word.startsWith("-"));
  const [first = ""] = named;
  const group = COMMANDS.filter(({ name }) => name.startsWith(`${first} `));
  if (first !== "" && (group.length === 0 || named.length > 1)) throw unknownCommand(named, group);
  const { programHelp } = await import("./help.ts");
  context.stdout.write(programHelp(first === "" ? COMMANDS : group, first));
  if (help) return 0;
  throw usage("no command is given", {
    remedy: `name one of those above: ${(first === "" ? COMMANDS : group)[0]?.name ?? ""}, for instance`,
  });
}

/** cosign's commands that are not here: whoever writes one of them made no mistake in writing. */
const COSIGN_ONLY: ReadonlySet<string> = new Set(["upload"]);

function unknownCommand(words: readonly string[], group: readonly ListedCommand[]): SigstoreError {
  const [first = "", second = ""] = words;
  const written = group.length > 0 ? `${first} ${second}` : first;
  if (COSIGN_ONLY.has(first))
    return usage(`command ${JSON.stringify(first)} of cosign is not here`, {
      remedy: "use cosign for it; see cosign-ts --help for what is here",
    });
  if (group.length > 0)
    return usage(`unknown command: ${written}`, { remedy: `there is ${group.map(({ name }) => name).join(", ")}` });
  const near = nearest(
    written,
    COMMANDS.map(({ name }) => name),
  );
  return usage(`unknown command: ${written}`, {
    remedy: near === undefined ? "see cosign-ts --help" : `did you mean ${near}?`,
  });
}

async function runCommand(
  command: Command,
  operands: readonly string[],
  flags: Flags,
  context: Context,
): Promise<number> {
  const limit = readTimeout(command, flags);
  const signal = limit === undefined ? context.signal : AbortSignal.any([context.signal, AbortSignal.timeout(limit)]);
  const verbose = flags.boolean("verbose");
  const started = performance.now();
  const path = flags.string("output-file");
  const file = path === undefined ? undefined : (await import("./output-file.ts")).openOutputFile(path, 0o644);
  let over = false; // work that goes on after the end is not heard
  const unlessOver = (sink: Sink): Sink => ({
    write(text) {
      if (!over) sink.write(text);
    },
    get isTerminal() {
      return sink.isTerminal;
    },
  });
  const offline = flags.boolean("offline");
  let lastRequest: string | undefined;
  const noted: Fetch = async (url, init) => {
    lastRequest = `${init.method ?? "GET"} ${redactUrl(url)}`;
    return await context.fetch(url, init);
  };
  // For keys and artifacts too, not for trust alone; as it is, since others know by it that no socket may be opened.
  const fetch = offline ? offlineFetch : noted;
  const outer = withFields(context, { signal, fetch, verbose, ...(file === undefined ? {} : { stdout: file }) });
  const inner = withFields(outer, {
    stdout: unlessOver(outer.stdout),
    stderr: unlessOver(outer.stderr),
    ...(verbose && !offline ? { fetch: traced(fetch, outer) } : {}),
  });
  try {
    checkOperands(command, operands);
    const work = command.run(operands, flags, inner);
    const status = await (command.isEndless === true ? work : untilAborted(work, signal, () => lastRequest));
    file?.commit();
    trace(outer, `ended after ${elapsed(started)}`);
    return status;
  } catch (error) {
    over = true;
    if (error instanceof SigstoreError) {
      const status = command.exitStatus?.(error);
      if (status !== undefined) EXIT_STATUS.set(error, status);
      await writeRefusal(command, error, flags, outer, file);
      trace(outer, `ended after ${elapsed(started)}`);
    }
    throw error;
  } finally {
    file?.discard();
  }
}

async function writeRefusal(
  command: Command,
  error: SigstoreError,
  flags: Flags,
  context: Context,
  file: OutputFile | undefined,
): Promise<void> {
  try {
    await command.refuse?.(error, flags, context);
    // Where nothing was said of the refusal, what was there before stays.
    if (file?.isEmpty === false) file.commit();
  } catch (failure) {
    // The refusal is the news.
    if (!(failure instanceof SigstoreError)) throw failure;
    warn(context, failure.message);
  }
}

function checkOperands({ name, operands, minOperands, maxOperands }: Command, given: readonly string[]): void {
  const remedy = `see cosign-ts ${name} --help`;
  if (given.length < minOperands) throw usage(`${name} needs ${operands}`, { remedy });
  if (given.length <= maxOperands) return;
  const found = given.map((operand) => JSON.stringify(operand)).join(" ");
  if (["true", "false"].some((word) => given.includes(word))) {
    throw usage(`${name} is given ${found} as operands`, {
      remedy: "write the value of a boolean flag behind an equals sign: --flag=false",
    });
  }
  if (maxOperands === 0) throw usage(`${name} takes no operands, and is given ${found}`, { remedy });
  throw usage(`${name} takes one operand, and is given ${given.length}: ${found}`, {
    remedy: "run it once for each, and quote names that hold spaces",
  });
}

/** Replaces fields without reading the others: standard input is opened when it is read. */
function withFields(context: Context, fields: Partial<Context>): Context {
  return Object.create(context, Object.getOwnPropertyDescriptors(fields)) as Context;
}

function readTimeout({ isEndless = false }: Command, flags: Flags): number | undefined {
  const text = flags.string("timeout");
  if (text === undefined && isEndless) return undefined;
  const milliseconds = parseDuration(text ?? "3m0s", flags.nameOf("timeout"));
  if (milliseconds <= 0)
    throw usage(`${flags.nameOf("timeout")} must be longer than nothing`, { expected: "for instance 90s or 3m0s" });
  return Math.min(Math.ceil(milliseconds), 2 ** 31 - 1);
}

/** Tells of each request, without what a URL may hide. */
function traced(fetch: Fetch, context: Context): Fetch {
  return async (url, init) => {
    const started = performance.now();
    const tell = (outcome: string): void =>
      trace(context, `${init.method ?? "GET"} ${redactUrl(url)}: ${outcome} after ${elapsed(started)}`);
    try {
      const response = await fetch(url, init);
      tell(`status ${response.status}`);
      return response;
    } catch (error) {
      tell("failed");
      throw error;
    }
  };
}

function elapsed(started: number): string {
  return `${(performance.now() - started).toFixed(1)} ms`;
}
