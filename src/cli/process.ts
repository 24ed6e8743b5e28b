/**
 * The process as a context: its streams, environment and clock.
 *
 * Built-in modules are taken by `getBuiltinModule` here and wherever the way to a verification goes: an `import` of `node:process`,
 * `node:fs` or `node:util` reads each of their properties, lazy ones too, and so opens the standard streams and loads what nobody
 * asked for. Together that took longer than a verification.
 *
 * @module
 */

import { fetchFor } from "../http/fetch.ts";
import type { Context, Sink } from "./context.ts";
import { runProgram } from "./program.ts";

/** Runs the program with the process's command line, and sets the exit status. */
export async function runProcess(): Promise<void> {
  const context: Context = {
    stdout: createSink(1),
    stderr: createSink(2),
    get stdin() {
      return process.stdin; // opened only where it is read
    },
    environment: process.env,
    now: () => new Date(),
    fetch: fetchFor(process.env),
    signal: new AbortController().signal,
  };
  process.exitCode = await runProgram(process.argv.slice(2), context);
}

/** Writes at once, so that nothing is lost or reordered when the process ends. */
function createSink(fd: 1 | 2): Sink {
  const { fstatSync, writeSync } = process.getBuiltinModule("node:fs");
  return {
    write(text) {
      let rest = Buffer.from(text);
      while (rest.length > 0) {
        try {
          rest = rest.subarray(writeSync(fd, rest));
        } catch (error) {
          const code = error instanceof Error && "code" in error ? error.code : undefined;
          if (code === "EPIPE") process.exit(0); // the reader went away, as `| head` does
          if (code !== "EAGAIN") throw error;
          Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 1); // a full pipe: let the reader read
        }
      }
    },
    get isTerminal() {
      try {
        // Asking the stream itself would open it, which is worth it for what can be a terminal only.
        return fstatSync(fd).isCharacterDevice() && (fd === 1 ? process.stdout : process.stderr).isTTY;
      } catch {
        return false; // closed
      }
    },
  };
}
