/**
 * What a server says in the body of a refusal, for a message.
 *
 * @module
 */

import { parseJson, type JsonValue } from "../encoding/json.ts";
import { sanitize } from "../encoding/printable.ts";
import { MAX_ERROR_BODY_BYTES } from "../limits.ts";
import { redactSecrets } from "./redact.ts";

/** Characters of a server's own words that go into a message. */
const MAX_WORDS = 300;

const decoder = new TextDecoder();

/**
 * Finds the words in the body of an error: those of gRPC gateways and Rekor (`message`), OAuth (`error_description`, `error`),
 * registries (`errors`), or the text itself. Pages of HTML say nothing.
 *
 * The words are a stranger's: they are shortened, secrets are masked, and what a terminal must not see is escaped.
 *
 * @param sent - Secrets that the server was sent, and could repeat in whatever words.
 * @returns `undefined` where there are none.
 */
export function findServerWords(body: Uint8Array, sent: readonly string[] = []): string | undefined {
  const text = decoder.decode(body.subarray(0, MAX_ERROR_BODY_BYTES)).trim();
  const words = text.startsWith("{") || text.startsWith("[") ? wordsInJson(text) : /^<|<html/i.test(text) ? "" : text;
  return quoteServerWords(words, sent);
}

/** Makes a stranger's words fit for a message, in quotation marks. */
export function quoteServerWords(words: string, sent: readonly string[] = []): string | undefined {
  // Masked before it is shortened, or the beginning of a secret could stay.
  const masked = sent.reduce((text, secret) => text.replaceAll(secret, "[secret]"), words);
  const line = sanitize(redactSecrets(masked).replaceAll(/\s+/g, " ").trim());
  if (line === "") return undefined;
  return `"${line.length > MAX_WORDS ? `${line.slice(0, MAX_WORDS)}…` : line}"`;
}

function wordsInJson(text: string): string {
  let value: JsonValue;
  try {
    value = parseJson(text, { what: "answer", code: "JSON_MALFORMED", maxBytes: text.length });
  } catch {
    // Cut off, or no JSON after all.
    return text;
  }
  const first = member(value, "errors");
  const error = Array.isArray(first) ? ((first as readonly JsonValue[])[0] ?? null) : value;
  const named = ["message", "error_description", "error", "detail", "code"]
    .map((name) => member(error, name))
    .find((found) => typeof found === "string" && found !== "");
  return typeof named === "string" ? named : text;
}

function member(value: JsonValue, name: string): JsonValue {
  if (typeof value !== "object" || value === null || Array.isArray(value) || !Object.hasOwn(value, name)) return null;
  return (value as { readonly [key: string]: JsonValue })[name] ?? null;
}
