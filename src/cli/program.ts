/**
 * The program: finds the command, reads its flags, runs it, and turns errors into one line and an exit status.
 *
 * @module
 */

import { InputError, SigstoreError, StorageError } from "../errors.ts";
import { refusalToText } from "../report/text.ts";
import { colour, warn, type Command, type Context, type Sink } from "./context.ts";
import { GLOBAL_FLAGS, parseArguments, parseDuration, usage, type Flags } from "./flags.ts";
import { commandHelp, programHelp } from "./help.ts";

interface Listed {
  readonly name: string;
  readonly summary: string;
  readonly load: () => Promise<Command>;
}

/** Lists the commands. Each is loaded when it runs, not before. */
export const COMMANDS: readonly Listed[] = [
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
    name: "bundle inspect",
    summary: "Show what a bundle says, without verifying it",
    load: async () => (await import("./commands/bundle-inspect.ts")).bundleInspect,
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
    if (error instanceof SigstoreError) {
      context.stderr.write(`${colour(context, "31", "Error:")} ${refusalToText(error)}\n`);
      return 1;
    }
    if (context.signal.aborted) {
      context.stderr.write(`${colour(context, "31", "Error:")} ${describeAbort(context.signal.reason)}\n`);
      return 1;
    }
    throw error;
  }
}

async function dispatch(args: readonly string[], context: Context): Promise<number> {
  const [first] = args;
  if (first === undefined || first === "help" || first === "--help" || first === "-h") {
    context.stdout.write(programHelp(COMMANDS));
    return first === undefined ? 1 : 0;
  }
  const name = first === "-version" || first === "--version" ? "version" : first;
  const listed = COMMANDS.find((command) => command.name === name || command.name === `${name} ${args[1] ?? ""}`);
  if (listed === undefined) throw unknownCommand(name, args[1]);
  const command = await listed.load();
  const rest = args.slice(listed.name.split(" ").length);
  if (rest.includes("--help") || rest.includes("-h") || rest.includes("-help")) {
    context.stdout.write(commandHelp(command));
    return 0;
  }
  const parsed = parseArguments(rest, [...command.flags, ...GLOBAL_FLAGS], command.environment ? context.environment : {});
  for (const text of parsed.warnings) warn(context, text);
  checkOperands(command, parsed.operands);
  return await withGlobalFlags(parsed.flags, context, (adjusted) => command.run(parsed.operands, parsed.flags, adjusted));
}

function unknownCommand(name: string, second: string | undefined): InputError {
  const group = COMMANDS.filter((command) => command.name.startsWith(`${name} `));
  if (group.length > 0) {
    return new InputError("USAGE_INVALID", `unknown command: ${name}${second === undefined ? "" : ` ${second}`}`, {
      expected: group.map((command) => command.name).join(" or "),
    });
  }
  return new InputError("USAGE_INVALID", `unknown command: ${name}`, { remedy: "see cosign-ts --help" });
}

function checkOperands({ name, operands, minOperands, maxOperands }: Command, given: readonly string[]): void {
  if (given.length < minOperands) throw new InputError("USAGE_INVALID", `${name} needs ${operands}`, { remedy: `see cosign-ts ${name} --help` });
  if (given.length > maxOperands) {
    throw new InputError("USAGE_INVALID", `${name} takes ${maxOperands === 0 ? "no operands" : `no more than ${maxOperands}`}`, {
      found: given.map((operand) => JSON.stringify(operand)).join(" "),
    });
  }
}

async function withGlobalFlags(flags: Flags, context: Context, run: (context: Context) => Promise<number>): Promise<number> {
  const timeout = AbortSignal.timeout(readTimeout(flags));
  const signal = AbortSignal.any([context.signal, timeout]);
  const adjusted = withFields(context, { signal });
  const path = flags.string("output-file");
  if (path === undefined) return await raceWithSignal(run(adjusted), adjusted.signal);
  const file = await openOutput(path);
  const status = await raceWithSignal(run(withFields(adjusted, { stdout: file.sink })), adjusted.signal);
  await file.close();
  return status;
}

/** Replaces fields without reading the others: standard input is opened when it is read. */
function withFields(context: Context, fields: Partial<Context>): Context {
  return Object.create(context, Object.getOwnPropertyDescriptors(fields)) as Context;
}

function readTimeout(flags: Flags): number {
  const milliseconds = parseDuration(flags.string("timeout") ?? "3m0s", "--timeout");
  if (milliseconds <= 0) throw usage("--timeout must be longer than nothing");
  return Math.min(milliseconds, 2 ** 31 - 1);
}

/** Ends with the command or with the signal, whichever is first: not everything a command waits for listens to the signal. */
async function raceWithSignal(running: Promise<number>, signal: AbortSignal): Promise<number> {
  const aborted = Promise.withResolvers<never>();
  const stop = (): void => aborted.reject(new InputError("ARTIFACT_UNREADABLE", describeAbort(signal.reason)));
  signal.addEventListener("abort", stop, { once: true });
  try {
    return await Promise.race([running, aborted.promise]);
  } finally {
    signal.removeEventListener("abort", stop);
  }
}

function describeAbort(reason: unknown): string {
  return reason instanceof Error && reason.name === "TimeoutError" ? "did not end in time; see --timeout" : "interrupted";
}

async function openOutput(path: string): Promise<{ readonly sink: Sink; close(): Promise<void> }> {
  const [{ createWriteStream }, { finished }] = await Promise.all([import("node:fs"), import("node:stream/promises")]);
  const stream = createWriteStream(path, { mode: 0o644 });
  const failed = (cause: unknown): StorageError =>
    new StorageError("WRITE_FAILED", `could not write ${JSON.stringify(path)}: ${cause instanceof Error ? cause.message : String(cause)}`, { cause });
  const done = finished(stream);
  done.catch(() => undefined); // reported when the output is closed
  return {
    sink: { write: (text) => void stream.write(text), isTerminal: false },
    async close() {
      stream.end();
      try {
        await done;
      } catch (cause) {
        throw failed(cause);
      }
    },
  };
}
