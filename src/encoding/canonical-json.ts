import { FormatError } from "../errors.ts";
import { MAX_JSON_DEPTH } from "../limits.ts";
import type { JsonValue } from "./json.ts";

/**
 * Encodes a value in the one spelling of the JSON canonicalization scheme.
 *
 * @throws {@link FormatError} `JSON_MALFORMED` for a number or a string that JSON cannot express; `LIMIT_EXCEEDED` for deep nesting.
 * @see {@link https://www.rfc-editor.org/rfc/rfc8785#section-3.2 | RFC 8785 §3.2}
 */
export function encodeCanonicalJson(value: JsonValue): string {
  return encode(value, MAX_JSON_DEPTH);
}

function encode(value: JsonValue, depth: number): string {
  if (typeof value === "string") return encodeString(value);
  if (typeof value === "number") {
    // §3.2.2.3: numbers as ECMAScript writes them, which also turns -0 into 0.
    if (!Number.isFinite(value)) throw new FormatError("JSON_MALFORMED", `${value} is not a number of JSON`);
    return String(value);
  }
  if (value === null || typeof value === "boolean") return String(value);
  if (depth === 0) throw new FormatError("LIMIT_EXCEEDED", `value nests deeper than ${MAX_JSON_DEPTH} levels`);
  if (Array.isArray(value)) return `[${value.map((item: JsonValue) => encode(item, depth - 1)).join(",")}]`;
  const object = value as { readonly [key: string]: JsonValue };
  // §3.2.3: sorted by UTF-16 code units, which is what `sort` compares.
  const members = Object.keys(object)
    .sort()
    .map((key) => `${encodeString(key)}:${encode(object[key] as JsonValue, depth - 1)}`);
  return `{${members.join(",")}}`;
}

function encodeString(text: string): string {
  // §3.2.2.2: a lone surrogate ends the algorithm; all else as ECMAScript escapes it.
  if (!text.isWellFormed()) throw new FormatError("JSON_MALFORMED", "string has a lone surrogate");
  return JSON.stringify(text);
}
