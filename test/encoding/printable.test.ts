import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { printableJson, sanitize } from "../../src/encoding/printable.ts";
import { anyText } from "../support/hostile.ts";

describe("sanitize", () => {
  test.each([
    ["an escape sequence", "\u001b[31mred", String.raw`\u001b[31mred`],
    ["an operating system command", "\u001b]0;title\u0007", String.raw`\u001b]0;title\u0007`],
    ["a newline", "a\nVerified OK", String.raw`a\u000aVerified OK`],
    ["a carriage return", "a\rb", String.raw`a\u000db`],
    ["a tabulator", "a\tb", String.raw`a\u0009b`],
    ["a backspace", "a\bb", String.raw`a\u0008b`],
    ["a delete", "a\u007fb", String.raw`a\u007fb`],
    ["a control of the upper set", "a\u009b31mb", String.raw`a\u009b31mb`],
    ["a bidirectional override", "a\u202eb", String.raw`a\u202eb`],
    ["a bidirectional isolate", "a\u2066b", String.raw`a\u2066b`],
    ["an Arabic letter mark", "a\u061cb", String.raw`a\u061cb`],
    ["a space of no width", "a\u200bb", String.raw`a\u200bb`],
    ["a soft hyphen", "a\u00adb", String.raw`a\u00adb`],
    ["a byte order mark", "a\ufeffb", String.raw`a\ufeffb`],
    ["a line separator", "a\u2028b", String.raw`a\u2028b`],
    ["a Hangul filler", "a\u3164b", String.raw`a\u3164b`],
    ["a tag character", "a\u{e0041}b", String.raw`a\u{e0041}b`],
    ["a lone surrogate", "a\ud800b", String.raw`a\ud800b`],
  ])("makes %s visible", (_, text, shown) => {
    expect(sanitize(text)).toBe(shown);
  });

  test.each([
    "alice@example.com",
    "Zoë Müller",
    "日本語",
    "עברית",
    "https://example.com/a?b=c#d",
    "a b",
    "👍",
    String.raw`C:\users`,
  ])("leaves %s", (text) => {
    expect(sanitize(text)).toBe(text);
  });
});

describe("printableJson", () => {
  test("parses to the same value, and holds nothing that a terminal obeys (property)", () => {
    const text = fc.string({
      unit: fc.oneof(
        fc.constantFrom("\u001b", "\u009b", "\u202e", "\u{e0041}", "\n", '"', "\\", "\ud800", "ä"),
        anyText({ minLength: 1, maxLength: 1 }),
      ),
    });
    fc.assert(
      fc.property(fc.dictionary(text, fc.oneof(text, fc.array(text), fc.integer(), fc.constant(null))), (value) => {
        const printed = printableJson(value);
        expect(JSON.parse(printed)).toEqual(value);
        expect(printed).not.toMatch(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Cs}]/u);
        expect(sanitize(printed)).toBe(printed);
      }),
      { seed: 20261123 },
    );
  });
});
