/**
 * What a command may touch of the process: its streams, environment and clock. Passed in, so that a test gives its own.
 *
 * @module
 */

import { formatBytes } from "../files/format-bytes.ts";
import type { Fetch } from "../http/request.ts";
import type { Flag, Flags } from "./flags.ts";

/** Is a stream that text is written to. */
export interface Sink {
  write(text: string): void;
  readonly isTerminal: boolean;
}

/** Holds what a command works with. */
export interface Context {
  readonly stdout: Sink;
  readonly stderr: Sink;
  readonly stdin: AsyncIterable<Uint8Array>;
  readonly environment: Readonly<Record<string, string | undefined>>;
  readonly now: () => Date;
  readonly fetch: Fetch;
  readonly signal: AbortSignal;
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
  /** @returns the exit status. */
  run(operands: readonly string[], flags: Flags, context: Context): Promise<number>;
}

/** Writes a line for people to standard error. */
export function notice(context: Context, text: string): void {
  context.stderr.write(`${text}\n`);
}

/** Writes a warning to standard error, in colour on a terminal. */
export function warn(context: Context, text: string): void {
  const label = colour(context, "33", "WARNING:");
  context.stderr.write(`${label} ${text}\n`);
}

/** Wraps text in a terminal colour, where there is a terminal and `NO_COLOR` is not set. */
export function colour(context: Context, code: string, text: string): string {
  return context.stderr.isTerminal && (context.environment["NO_COLOR"] ?? "") === "" ? `\u001b[${code}m${text}\u001b[0m` : text;
}

const BAR_WIDTH = 24;
const REDRAW_MS = 100;

/** Makes a progress bar with the rate, on a terminal; elsewhere nothing is written. */
export function createProgress(context: Context, label: string): { update(read: number, size: number): void; end(): void } {
  if (!context.stderr.isTerminal) return { update: () => undefined, end: () => undefined };
  const started = performance.now();
  let drawn = Number.NEGATIVE_INFINITY;
  return {
    update(read, size) {
      const now = performance.now();
      if (now - drawn < REDRAW_MS && read < size) return;
      drawn = now;
      const share = size === 0 ? 1 : Math.min(1, read / size);
      const filled = Math.round(share * BAR_WIDTH);
      const rate = (read / Math.max(1, now - started)) * 1000;
      const bar = `${"#".repeat(filled)}${".".repeat(BAR_WIDTH - filled)}`;
      context.stderr.write(`\r${label} [${bar}] ${Math.floor(share * 100)}% of ${formatBytes(size)}, ${formatBytes(Math.round(rate))}/s\u001b[K`);
    },
    end() {
      if (drawn !== Number.NEGATIVE_INFINITY) context.stderr.write("\r\u001b[K");
    },
  };
}
