/**
 * Questions to which a person says yes or no.
 *
 * @module
 */

import { concatBytes } from "../encoding/bytes.ts";
import { InputError } from "../errors.ts";
import type { Context } from "./context.ts";
import { usage } from "./flags.ts";
import { readPiece, unreadPiece } from "./input-lines.ts";

/** Bytes after which an answer is no answer, whether or not its line ends. */
const MAX_ANSWER_BYTES = 1024;
const LINE_FEED = 0x0a;

/**
 * Asks on standard error whether to go on, as cosign does, and takes only `y` and `Y` for a yes.
 *
 * @throws {@link InputError} `CONSENT_MISSING` for a no, and where nobody answers; `USAGE_INVALID` for anything else.
 */
export async function confirmContinue(context: Context): Promise<void> {
  context.stderr.write("Are you sure you would like to continue? [y/N] ");
  const answer = await readAnswer(context.stdin);
  // Who is not at a terminal presses no Enter that would end the line.
  if (context.terminal === undefined) context.stderr.write("\n");
  if (answer === "y" || answer === "Y") return;
  if (answer === "" || answer === "n" || answer === "N")
    throw new InputError("CONSENT_MISSING", "user declined the prompt", {
      expected: "y",
      found: answer || "no answer",
    });
  throw usage(`invalid input ${JSON.stringify(answer)} (allowed values y, n)`, { remedy: "answer y or n" });
}

/** Reads a line, or what there is of one. */
async function readAnswer(input: AsyncIterable<Uint8Array>): Promise<string> {
  let line: Uint8Array = new Uint8Array();
  for (;;) {
    const piece = await readPiece(input);
    if (piece === undefined) break;
    const end = piece.indexOf(LINE_FEED);
    line = concatBytes(line, end === -1 ? piece : piece.subarray(0, end));
    if (end !== -1) {
      unreadPiece(input, piece.subarray(end + 1));
      break;
    }
    if (line.length > MAX_ANSWER_BYTES) break;
  }
  return Buffer.from(line.subarray(0, MAX_ANSWER_BYTES)).toString().replaceAll("\r", "");
}
