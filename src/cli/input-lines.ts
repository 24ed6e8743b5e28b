/**
 * Standard input, read as far as an answer goes and no further: what follows is for the next question.
 *
 * @module
 */

import { concatBytes } from "../encoding/bytes.ts";

/** Is an input with what was read of it and not used yet. */
interface OpenInput {
  readonly chunks: AsyncIterator<Uint8Array>;
  unread: Uint8Array;
}

/** By the stream, since contexts are made anew around it. */
const opened = new WeakMap<AsyncIterable<Uint8Array>, OpenInput>();

/**
 * Reads a piece of an input.
 *
 * @returns one byte or more; `undefined` at the end.
 */
export async function readPiece(input: AsyncIterable<Uint8Array>): Promise<Uint8Array | undefined> {
  const open = opening(input);
  const { unread } = open;
  open.unread = new Uint8Array();
  if (unread.length > 0) return unread;
  for (;;) {
    // Never told to end: that would close the stream, and there may be more questions.
    const next = await open.chunks.next();
    if (next.done === true) return undefined;
    if (next.value.length > 0) return next.value;
  }
}

/** Gives back what was read and is not used, to be read next. */
export function unreadPiece(input: AsyncIterable<Uint8Array>, rest: Uint8Array): void {
  const open = opening(input);
  open.unread = concatBytes(rest, open.unread);
}

/** Bytes after which a line is no answer, whether or not it ends. */
const MAX_LINE_BYTES = 1024;
const LINE_FEED = 0x0a;

/** Reads a line without its end, or what there is of one. */
export async function readLine(input: AsyncIterable<Uint8Array>): Promise<string> {
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
    if (line.length > MAX_LINE_BYTES) break;
  }
  return Buffer.from(line.subarray(0, MAX_LINE_BYTES)).toString().replaceAll("\r", "");
}

function opening(input: AsyncIterable<Uint8Array>): OpenInput {
  let open = opened.get(input);
  if (open === undefined) {
    open = { chunks: input[Symbol.asyncIterator](), unread: new Uint8Array() };
    opened.set(input, open);
  }
  return open;
}
