/**
 * The password of a private key: from the environment, from a person, or from standard input, in this order, as cosign has it.
 *
 * @module
 */

import { concatBytes, equalBytes } from "../encoding/bytes.ts";
import { encodeUtf8 } from "../encoding/utf8.ts";
import { FormatError, InputError } from "../errors.ts";
import { MAX_PASSWORD_BYTES } from "../limits.ts";
import type { Context, Terminal } from "./context.ts";
import { usage } from "./flags.ts";
import { readPiece, unreadPiece } from "./input-lines.ts";

const PROMPT = "Enter password for private key";

/** Says what the password is for. */
export interface PasswordQuestion {
  /** Whether it is a new one, which a person types twice. */
  readonly confirm?: boolean;
  /** What the person is asked for; cosign's words when absent. */
  readonly prompt?: string;
}

/**
 * Obtains a password: `COSIGN_PASSWORD`, even an empty one; what is typed at the terminal, unseen; all of standard input, a newline
 * at its end included.
 *
 * @throws {@link InputError} `KEY_PASSWORD_MISSING` where nothing is typed or given; `USAGE_INVALID` for two that differ.
 * @throws {@link FormatError} `LIMIT_EXCEEDED`.
 */
export async function readPassword(context: Context, question: PasswordQuestion = {}): Promise<Uint8Array> {
  const { confirm = false, prompt = PROMPT } = question;
  const given = context.environment["COSIGN_PASSWORD"];
  if (given !== undefined) return encodeUtf8(given.toWellFormed());
  const { terminal } = context;
  if (terminal === undefined) return await readAll(context.stdin);
  const password = await askUnseen(context, terminal, `${prompt}: `);
  if (confirm && !equalBytes(password, await askUnseen(context, terminal, `${prompt} again: `)))
    throw usage("passwords do not match", { remedy: "run it again, and type the same one twice" });
  return password;
}

/** A script that gives nothing has more likely forgotten the password than chosen an empty one. */
async function readAll(input: AsyncIterable<Uint8Array>): Promise<Uint8Array> {
  let password: Uint8Array = new Uint8Array();
  for (let piece = await readPiece(input); piece !== undefined; piece = await readPiece(input)) {
    password = concatBytes(password, piece);
    if (password.length > MAX_PASSWORD_BYTES)
      throw new FormatError("LIMIT_EXCEEDED", "password on standard input is too long", {
        expected: `at most ${MAX_PASSWORD_BYTES} bytes`,
        found: "more",
      });
  }
  if (password.length === 0) throw missing("no password is given: standard input is empty");
  return password;
}

function missing(message: string): InputError {
  return new InputError("KEY_PASSWORD_MISSING", message, {
    remedy: "set COSIGN_PASSWORD, to an empty text where there is none, or run it at a terminal",
  });
}

const KEY = {
  endOfText: 0x03,
  endOfInput: 0x04,
  backspace: 0x08,
  lineFeed: 0x0a,
  return: 0x0d,
  kill: 0x15,
  delete: 0x7f,
};
const ESCAPE_SEQUENCE = /\u001b(?:\[[0-?]*[ -/]*[@-~]|O[@-~])/g;

/** Asks, and reads a line of which nothing is shown. However that ends, the terminal is left as it was found. */
async function askUnseen(context: Context, terminal: Terminal, prompt: string): Promise<Uint8Array> {
  const restore = (): void => terminal.setRawMode(false);
  context.stderr.write(prompt);
  terminal.setRawMode(true);
  // A signal ends the program while this still waits for a key.
  context.signal.addEventListener("abort", restore, { once: true });
  try {
    context.signal.throwIfAborted();
    return await readUnseen(context, terminal);
  } finally {
    context.signal.removeEventListener("abort", restore);
    restore();
    context.stderr.write("\n");
  }
}

async function readUnseen({ stdin }: Context, terminal: Terminal): Promise<Uint8Array> {
  let typed: number[] = [];
  for (;;) {
    const piece = await readPiece(stdin);
    if (piece === undefined) throw missing("no password is given: the terminal was closed");
    const keys = Buffer.from(Buffer.from(piece).toString("latin1").replaceAll(ESCAPE_SEQUENCE, ""), "latin1");
    for (const [index, key] of keys.entries()) {
      if (key === KEY.return || key === KEY.lineFeed) {
        unreadPiece(stdin, keys.subarray(index + 1));
        return Uint8Array.from(typed);
      }
      if (key === KEY.endOfInput) {
        if (typed.length === 0) throw missing("no password is given");
        return Uint8Array.from(typed);
      }
      if (key === KEY.endOfText) terminal.interrupt();
      else if (key === KEY.kill) typed = [];
      else if (key === KEY.backspace || key === KEY.delete) typed = withoutLastCharacter(typed);
      else if (key >= 0x20 && typed.length < MAX_PASSWORD_BYTES) typed.push(key); // other keys of control mean nothing here
    }
  }
}

/** A character of UTF-8 is one byte, or several of which all but the first begin with the bits 10. */
function withoutLastCharacter(bytes: readonly number[]): number[] {
  let length = bytes.length - 1;
  while (length > 0 && ((bytes[length] ?? 0) & 0xc0) === 0x80) length -= 1;
  return bytes.slice(0, Math.max(0, length));
}
