import { FormatError } from "../errors.ts";
import { MAX_PEM_BLOCKS } from "../limits.ts";
import { encodeBase64, tryDecodeBase64 } from "./base64.ts";

/** Is one block of textual encoding: what stands between BEGIN and END, and under which label. */
export interface PemBlock {
  readonly label: string;
  readonly bytes: Uint8Array;
}

const DASHES = "-----";
const BEGIN = "-----BEGIN ";
const END = "-----END ";
// §3: label = [ labelchar *( ["-" / SP] labelchar ) ]; an empty one names nothing and is refused here.
const LABEL = /^[\x21-\x2c\x2e-\x7e](?:[- ]?[\x21-\x2c\x2e-\x7e])*$/;
const MAX_LABEL_LENGTH = 64;

/**
 * Parses a text that holds at least one PEM block.
 *
 * Lines outside blocks are explanatory text and are ignored, unless they look like a spoiled boundary.
 * Inside, only base64 is accepted: no headers, no comments.
 *
 * @returns The blocks in their order; never an empty list.
 * @throws {@link FormatError} `PEM_MALFORMED`, `LIMIT_EXCEEDED`.
 * @see {@link https://www.rfc-editor.org/rfc/rfc7468#section-3 | RFC 7468 §2 and §3}
 */
export function parsePem(text: string): readonly PemBlock[] {
  const blocks: PemBlock[] = [];
  const lines = new Lines(text);
  for (let line = lines.next(); line !== undefined; line = lines.next()) {
    if (!line.includes(DASHES)) continue;
    if (line.includes("-----END")) throw malformed(`has an END without a BEGIN in line ${lines.number}`);
    if (!line.includes("-----BEGIN")) continue;
    const label = labelOf(line, BEGIN);
    if (label === undefined) throw malformed(`has a broken BEGIN in line ${lines.number}`);
    if (blocks.length === MAX_PEM_BLOCKS)
      throw new FormatError("LIMIT_EXCEEDED", `PEM text has more than ${MAX_PEM_BLOCKS} blocks`);
    blocks.push({ label, bytes: readBody(lines, label) });
  }
  if (blocks.length === 0) throw malformed('has no line "-----BEGIN …-----"');
  return blocks;
}

function readBody(lines: Lines, label: string): Uint8Array {
  const start = lines.number;
  const body: string[] = [];
  for (;;) {
    const line = lines.next();
    if (line === undefined) throw malformed(`has no END for the ${label} that begins in line ${start}`);
    if (line.includes("-")) {
      const end = labelOf(line, END);
      if (end === undefined) throw malformed(`has something other than base64 in line ${lines.number}`);
      if (end !== label) throw malformed(`begins ${label} in line ${start} and ends ${end} in line ${lines.number}`);
      break;
    }
    // §3: only before the first line of base64 may lines be blank.
    if (line !== "") body.push(line);
    else if (body.length > 0) throw malformed(`has a blank line inside the ${label}, line ${lines.number}`);
  }
  const bytes = tryDecodeBase64(body.join(""));
  if (bytes === undefined)
    throw malformed(`does not hold canonical base64 in the ${label} that begins in line ${start}`);
  if (bytes.length === 0) throw malformed(`has nothing in the ${label} that begins in line ${start}`);
  return bytes;
}

function labelOf(line: string, prefix: string): string | undefined {
  if (!line.startsWith(prefix) || !line.endsWith(DASHES)) return undefined;
  const label = line.slice(prefix.length, -DASHES.length);
  return label.length <= MAX_LABEL_LENGTH && LABEL.test(label) ? label : undefined;
}

/** Walks over lines ended by LF, CRLF or CR, without the white space before the end. */
class Lines {
  number = 0;
  readonly #text: string;
  #at = 0;
  // The next LF and CR. Each is looked for once, or a text that has only the other would be searched to its end for each line.
  #lf = -1;
  #cr = -1;

  constructor(text: string) {
    this.#text = text;
  }

  next(): string | undefined {
    const text = this.#text;
    const start = this.#at;
    if (start >= text.length) return undefined;
    this.number++;
    if (this.#lf < start) this.#lf = indexOrEnd(text, "\n", start);
    if (this.#cr < start) this.#cr = indexOrEnd(text, "\r", start);
    let end = Math.min(this.#lf, this.#cr);
    this.#at = end + (this.#cr < this.#lf && this.#lf === this.#cr + 1 ? 2 : 1);
    while (end > start && (text.charCodeAt(end - 1) === 0x20 || text.charCodeAt(end - 1) === 0x09)) end--;
    return text.slice(start, end);
  }
}

function indexOrEnd(text: string, character: string, from: number): number {
  const index = text.indexOf(character, from);
  return index === -1 ? text.length : index;
}

/**
 * Encodes bytes as a PEM block of 64 columns that ends in a newline.
 *
 * @throws `TypeError` when the label is not one.
 * @see {@link https://www.rfc-editor.org/rfc/rfc7468#section-3 | RFC 7468 §3}, `stricttextualmsg`
 */
export function encodePem(label: string, bytes: Uint8Array): string {
  if (!LABEL.test(label)) throw new TypeError(`${JSON.stringify(label)} is not a PEM label`);
  const base64 = encodeBase64(bytes);
  let text = `-----BEGIN ${label}-----\n`;
  for (let i = 0; i < base64.length; i += 64) text += base64.slice(i, i + 64) + "\n";
  return text + `-----END ${label}-----\n`;
}

function malformed(detail: string): FormatError {
  return new FormatError("PEM_MALFORMED", `PEM text ${detail}`);
}
