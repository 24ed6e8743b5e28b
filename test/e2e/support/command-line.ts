/**
 * The program in this process, with the network and the clock, and the files of one test.
 *
 * @module
 */

import type { Context } from "../../../src/cli/context.ts";
import { runInProcess, type Run } from "../../support/program.ts";

/** Runs a command line; nothing is read from the environment of this process. */
export async function runCommand(args: readonly string[], surroundings: Partial<Context> = {}): Promise<Run> {
  return await runInProcess(args, { fetch: (url, init) => fetch(url, init), now: () => new Date(), ...surroundings });
}

/** The code that the last line of an error ends in; the exit status where there is no error. */
export function outcomeOfRun({ status, stderr }: { readonly status: number | null; readonly stderr: string }): string {
  const line = stderr.trimEnd().split("\n").at(-1) ?? "";
  return /\[([A-Z_]+)\]$/.exec(line)?.[1] ?? `status ${String(status)}`;
}
