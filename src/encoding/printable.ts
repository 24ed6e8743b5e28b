/**
 * Text that is safe on a terminal, whoever wrote it.
 *
 * @module
 */

import type { JsonValue } from "./json.ts";

/**
 * Makes text safe to print: what moves the cursor, reorders or hides text, or is no character at all becomes a visible escape.
 *
 * @see {@link https://www.unicode.org/reports/tr36/ | Unicode security considerations}, "Bidirectional Text Spoofing"
 */
export function sanitize(text: string): string {
  return text.replace(UNPRINTABLE, (character) => {
    const code = character.codePointAt(0) ?? 0;
    return code > 0xffff ? `\\u{${code.toString(16)}}` : escapeUnit(code);
  });
}

/** Writes JSON on one line that is safe to print, and parses to the same value. */
export function printableJson(value: JsonValue): string {
  return JSON.stringify(value).replace(UNPRINTABLE, (character) =>
    Array.from({ length: character.length }, (_, unit) => escapeUnit(character.charCodeAt(unit))).join(""),
  );
}

function escapeUnit(unit: number): string {
  return `\\u${unit.toString(16).padStart(4, "0")}`;
}

// Controls; format characters, bidirectional ones and tags among them; separators of lines; lone surrogates; letters drawn as nothing.
const UNPRINTABLE = /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Cs}\u115f\u1160\u3164\uffa0]/gu;
