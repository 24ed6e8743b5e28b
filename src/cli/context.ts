/**
 * What a command may touch of the process: its streams, environment and clock. Passed in, so that a test gives its own.
 *
 * @module
 */

import { StorageError, type SigstoreError } from "../errors.ts";
import type { Fetch } from "../http/request.ts";
import { sanitize } from "../encoding/printable.ts";
import type { Flag, Flags } from "./flags.ts";

/** Is a stream that text is written to. */
export interface Sink {
  /** @throws StorageError `WRITE_FAILED`. */
  write(text: string): void;
  readonly isTerminal: boolean;
}

/** Is the terminal that standard input is. What is typed there arrives at {@link Context.stdin}. */
export interface Terminal {
  /** Switches between lines that the system echoes and lets edit, and each key as it is pressed, unseen. */
  setRawMode(raw: boolean): void;
  /** Does to the process what the interrupt key does. */
  interrupt(): void;
}

/** Holds what a command works with. */
export interface Context {
  readonly stdout: Sink;
  readonly stderr: Sink;
  readonly stdin: AsyncIterable<Uint8Array>;
  /** Absent where standard input is no terminal. Looking opens it, so only who needs it looks. */
  readonly terminal?: Terminal | undefined;
  readonly environment: Readonly<Record<string, string | undefined>>;
  readonly now: () => Date;
  readonly fetch: Fetch;
  readonly signal: AbortSignal;
  /** Whether {@link trace} is heard. */
  readonly verbose?: boolean;
}

/** Is a command: what it is called, what it takes, what it does. */
export interface Command {
  readonly name: string;
  readonly summary: string;
  /** How its operands are written in the help. */
  readonly operands: string;
  readonly minOperands: number;
  readonly maxOperands: number;
  readonly flags: readonly Flag[];
  /** Whether flags are read from `COSIGN_*` variables, which in cosign some commands do not. */
  readonly environment: boolean;
  readonly examples?: readonly string[];
  /** Whether it runs until it is interrupted: that is its end, which it puts in order itself, and not an error. */
  readonly isEndless?: boolean;
  /** @returns the exit status. */
  run(operands: readonly string[], flags: Flags, context: Context): Promise<number>;
  /** Gives the exit status for an error that scripts tell apart; otherwise it is 1. */
  exitStatus?(error: SigstoreError): number | undefined;
  /** Writes to standard output why it ended in an error, where the flags ask for that. */
  refuse?(error: SigstoreError, flags: Flags, context: Context): Promise<void>;
}

/** Writes a line for people to standard error. */
export function notice(context: Context, text: string): void {
  context.stderr.write(`${sanitize(text)}\n`);
}

/** Writes a warning to standard error, in colour on a terminal. */
export function warn(context: Context, text: string): void {
  context.stderr.write(`${colour(context, "33", "WARNING:")} ${sanitize(text)}\n`);
}

/** Writes what `--verbose` asks for to standard error. */
export function trace(context: Context, text: string): void {
  if (context.verbose === true) context.stderr.write(`${colour(context, "2", sanitize(text))}\n`);
}

/** Wraps text in a terminal colour, where standard error is a terminal that has colours and `NO_COLOR` is not set. */
export function colour(context: Context, code: string, text: string): string {
  const plain = !hasCursor(context) || (context.environment["NO_COLOR"] ?? "") !== "";
  return plain ? text : `\u001b[${code}m${text}\u001b[0m`;
}

/** Says whether standard error is a terminal that knows control sequences. */
export function hasCursor({ stderr, environment }: Context): boolean {
  return stderr.isTerminal && environment["TERM"] !== "dumb";
}

const REASONS: Readonly<Record<string, { readonly reason: string; readonly remedy: string }>> = {
  ENOENT: { reason: "its folder does not exist", remedy: "make the folder, or name a file in another" },
  ENOTDIR: { reason: "a part of the path is no folder", remedy: "name a file in a folder" },
  EEXIST: {
    reason: "it exists by now, and nobody agreed to overwrite it",
    remedy: "run again, and say whether it may be overwritten, or name another file",
  },
  EISDIR: { reason: "it is a directory", remedy: "name a file in it" },
  EACCES: { reason: "permission denied", remedy: "name a file that you may write" },
  EPERM: { reason: "permission denied", remedy: "name a file that you may write" },
  EROFS: { reason: "the file system is read-only", remedy: "name a file on another" },
  ENOSPC: { reason: "no space is left on the device", remedy: "make space, or write to another" },
};

/**
 * Makes the error of a sink out of what the system says.
 *
 * @param what - For instance a quoted path.
 */
export function writeFailed(what: string, cause: unknown): StorageError {
  const code = cause instanceof Error && "code" in cause ? String(cause.code) : String(cause);
  const { reason, remedy } = REASONS[code] ?? { reason: code, remedy: undefined };
  return new StorageError("WRITE_FAILED", `could not write ${what}: ${reason}`, { remedy, cause });
}
