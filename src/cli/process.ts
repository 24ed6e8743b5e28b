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
import { createNodeFetch } from "../http/node-fetch.ts";
import { writeFailed, type Context, type Sink, type Terminal } from "./context.ts";
import { Interruption } from "./interruption.ts";
import { runProgram } from "./program.ts";

/** `EX_SOFTWARE` of sysexits.h: neither success nor a refusal. */
const EXIT_BUG = 70;
const SIGNALS = { SIGINT: 2, SIGTERM: 15, SIGHUP: 1 } as const;

/** Runs the program with the process's command line, and ends the process with its exit status. */
export async function runProcess(): Promise<never> {
  const interruption = new AbortController();
  for (const [signal, number] of Object.entries(SIGNALS))
    process.once(signal, () => interruption.abort(new Interruption(signal, number)));
  const context: Context = {
    stdout: createSink(1, (cause) => {
      throw writeFailed("to standard output", cause);
    }),
    stderr: createSink(2, () => undefined), // nobody is left to tell
    get stdin() {
      return process.stdin; // opened only where it is read
    },
    get terminal() {
      return openTerminal();
    },
    environment: process.env,
    now: () => new Date(),
    fetch: fetchFor(process.env, {}, createNodeFetch()),
    signal: interruption.signal,
  };
  // What is still being waited for when the program ends, an endless input for instance, does not keep the process.
  process.exit(await runProgram(process.argv.slice(2), context).catch((error: unknown) => tellBug(error, context)));
}

function openTerminal(): Terminal | undefined {
  try {
    if (!process.getBuiltinModule("node:fs").fstatSync(0).isCharacterDevice()) return undefined; // and so not opened
  } catch {
    return undefined; // closed
  }
  const { stdin } = process;
  if (!stdin.isTTY) return undefined;
  return {
    setRawMode: (raw) => void stdin.setRawMode(raw),
    interrupt: () => void process.kill(process.pid, "SIGINT"),
  };
}

/** What no part of the program expects is a mistake in it. */
function tellBug(error: unknown, { stderr }: Context): number {
  const { name, message, stack = "" } = error instanceof Error ? error : new Error(String(error));
  const verbose = process.argv.some((word) => word === "--verbose" || word === "-d");
  const place = verbose ? `\n${stack}` : "; please report it, with what --verbose shows";
  stderr.write(`Error: this is a bug: ${name}: ${message.replaceAll(/\s+/g, " ")}${place}\n`);
  return EXIT_BUG;
}

/** Writes at once, so that nothing is lost or reordered when the process ends. */
function createSink(fd: 1 | 2, onError: (cause: unknown) => void): Sink {
  const { fstatSync, writeSync } = process.getBuiltinModule("node:fs");
  let isClosed = false;
  return {
    write(text) {
      let rest = Buffer.from(text);
      while (rest.length > 0 && !isClosed) {
        try {
          rest = rest.subarray(writeSync(fd, rest));
        } catch (cause) {
          const code = cause instanceof Error && "code" in cause ? cause.code : undefined;
          if (code === "EAGAIN") {
            Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 1); // a full pipe: let the reader read
            continue;
          }
          isClosed = true;
          // The reader may go away, as `| head` does. The verdict is still that of the exit status.
          if (code !== "EPIPE") onError(cause);
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
