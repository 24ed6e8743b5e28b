#!/usr/bin/env node
/**
 * `cosign-ts` as a process: hands the program its streams and sets the exit status.
 *
 * @module
 */

import { enableCompileCache } from "node:module";
import process from "node:process";

import type { Context, Sink } from "./context.ts";

enableCompileCache(); // before anything else is loaded
const [{ runProgram }, { fetchFor }] = await Promise.all([import("./program.ts"), import("../http/fetch.ts")]);

const interrupted = new AbortController();
for (const name of ["SIGINT", "SIGTERM"] as const) process.once(name, () => interrupted.abort());
// A reader that went away (`| head`) is no fault of ours.
process.stdout.on("error", (error: NodeJS.ErrnoException) => process.exit(error.code === "EPIPE" ? 0 : 1));

function sink(stream: NodeJS.WriteStream): Sink {
  return { write: (text) => void stream.write(text), isTerminal: stream.isTTY };
}

const context: Context = {
  stdout: sink(process.stdout),
  stderr: sink(process.stderr),
  get stdin() {
    return process.stdin; // opened only where it is read
  },
  environment: process.env,
  now: () => new Date(),
  fetch: fetchFor(process.env),
  signal: interrupted.signal,
};

process.exitCode = await runProgram(process.argv.slice(2), context);
