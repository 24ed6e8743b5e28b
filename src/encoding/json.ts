import { FormatError, type FormatErrorCode } from "../errors.ts";
import { MAX_JSON_DEPTH, MAX_JSON_VALUES } from "../limits.ts";
import { diagnoseJson } from "./json-diagnosis.ts";
import { tryDecodeUtf8 } from "./utf8.ts";

/** Is any value of JSON, read-only. */
export type JsonValue = null | boolean | number | string | readonly JsonValue[] | { readonly [key: string]: JsonValue };
/** Is an object of JSON. A member may have any name, `__proto__` too: ask `Object.hasOwn` before reading one. */
export type JsonObject = { readonly [key: string]: JsonValue };

/** Says what a JSON text is, for messages, and how large it may be. */
export interface JsonOptions {
  /** The thing that the text should be, without an article: `bundle`. */
  readonly what: string;
  /** Code of the error for a text that is not JSON. */
  readonly code: FormatErrorCode;
  readonly maxBytes: number;
  /** Nesting of objects and arrays; `MAX_JSON_DEPTH` when absent. */
  readonly maxDepth?: number;
}

/**
 * Parses JSON that has exactly one meaning: well-formed UTF-8 without a byte order mark, no name twice in an object,
 * no lone surrogate, no number too large to be one.
 *
 * Integers beyond 2^53 lose digits as in any JavaScript; formats that need them write strings.
 *
 * @throws {@link FormatError} the code given for what is not JSON; `JSON_DUPLICATE_KEY`; `LIMIT_EXCEEDED`.
 * @see {@link https://www.rfc-editor.org/rfc/rfc8259 | RFC 8259}, {@link https://www.rfc-editor.org/rfc/rfc7493#section-2 | RFC 7493 §2}
 */
export function parseJson(input: string | Uint8Array, options: JsonOptions): JsonValue {
  const text = decode(input, options);
  const members = countMembers(text, options);
  let value: JsonValue;
  try {
    value = JSON.parse(text) as JsonValue;
  } catch (cause) {
    throw malformed(text, options, cause);
  }
  // `JSON.parse` keeps the last of several members with one name: the text then has more members than the value. Whatever
  // else is wrong lowers the count as well, so one comparison finds it all.
  if (inspect(value, text.includes("\\u")) !== members) throw malformed(text, options);
  return value;
}

function decode(input: string | Uint8Array, options: JsonOptions): string {
  // A UTF-16 code unit is at least one byte in UTF-8, so for a string this is a lower bound, which is enough for a limit.
  if (input.length > options.maxBytes) {
    throw new FormatError("LIMIT_EXCEEDED", `${options.what} is larger than ${options.maxBytes} bytes`, {
      expected: `at most ${options.maxBytes}`,
      found: `${input.length}`,
    });
  }
  if (typeof input === "string") {
    if (!input.isWellFormed())
      throw new FormatError(options.code, `${options.what} has a lone surrogate, so it is not Unicode text`);
    return input;
  }
  const text = tryDecodeUtf8(input);
  if (text === undefined) throw new FormatError(options.code, `${options.what} is not UTF-8 text`);
  return text;
}

/** Counts the members of all objects by their colons outside strings. Exact for JSON, harmless for anything else. */
function countMembers(text: string, options: JsonOptions): number {
  const maxDepth = options.maxDepth ?? MAX_JSON_DEPTH;
  let members = 0;
  let separators = 0;
  let depth = 0;
  let at = 0;
  while (at < text.length) {
    const code = text.charCodeAt(at++);
    if (code === 0x22 /* " */) {
      const end = endOfString(text, at);
      if (end === -1) break;
      at = end + 1;
    } else if (code === 0x3a /* : */) {
      members++;
    } else if (code === 0x2c /* , */) {
      separators++;
    } else if (code === 0x7b /* { */ || code === 0x5b /* [ */) {
      if (++depth > maxDepth)
        throw new FormatError("LIMIT_EXCEEDED", `${options.what} nests deeper than ${maxDepth} levels`);
    } else if (code === 0x7d /* } */ || code === 0x5d /* ] */) {
      depth--;
    }
  }
  if (separators >= MAX_JSON_VALUES)
    throw new FormatError("LIMIT_EXCEEDED", `${options.what} has more than ${MAX_JSON_VALUES} values`);
  return members;
}

/** Finds the quotation mark that ends the string whose first character is at `start`. */
function endOfString(text: string, start: number): number {
  for (let end = text.indexOf('"', start); end !== -1; end = text.indexOf('"', end + 1)) {
    let before = end - 1;
    while (before >= start && text.charCodeAt(before) === 0x5c /* \ */) before--;
    if ((end - before) % 2 === 1) return end;
  }
  return -1;
}

/** Counts the members of all objects in a value, less one for each string and number that text cannot mean. */
function inspect(value: JsonValue, escapes: boolean): number {
  if (typeof value === "string") return escapes && !value.isWellFormed() ? -1 : 0;
  if (typeof value === "number") return Number.isFinite(value) ? 0 : -1;
  if (value === null || typeof value === "boolean") return 0;
  let count = 0;
  if (isArray(value)) {
    for (const item of value) count += inspect(item, escapes);
    return count;
  }
  for (const key of Object.keys(value)) {
    if (!escapes || key.isWellFormed()) count++;
    count += inspect(value[key] as JsonValue, escapes);
  }
  return count;
}

function isArray(value: JsonValue): value is readonly JsonValue[] {
  return Array.isArray(value);
}

function malformed(text: string, options: JsonOptions, cause?: unknown): FormatError {
  const problem = diagnoseJson(text);
  const code = problem.kind === "duplicate-key" ? "JSON_DUPLICATE_KEY" : options.code;
  return new FormatError(code, `${options.what} ${problem.message}`, { cause, remedy: problem.remedy });
}
