import { runProgram } from "../../src/cli/program.ts";
import type { Context } from "../../src/cli/context.ts";

/** What a run of the program left behind. */
export interface Run {
  readonly status: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs the program in this process, with nothing of it: no environment, no network, no input, and a clock that stands. */
export async function runInProcess(args: readonly string[], surroundings: Partial<Context> = {}): Promise<Run> {
  const written = { stdout: "", stderr: "" };
  const sink = (name: keyof typeof written): Context["stdout"] => ({
    write: (text) => void (written[name] += text),
    isTerminal: false,
  });
  const context: Context = {
    stdout: sink("stdout"),
    stderr: sink("stderr"),
    stdin: emptyInput(),
    environment: {},
    now: () => new Date("2026-01-02T03:04:05Z"),
    fetch: () => Promise.reject(new Error("a test opened a socket")),
    signal: new AbortController().signal,
    ...surroundings,
  };
  const status = await runProgram(args, context);
  return { status, ...written };
}

async function* emptyInput(): AsyncGenerator<Uint8Array> {}
