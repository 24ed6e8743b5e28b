import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { encodeUtf8, tryDecodeUtf8 } from "../../src/encoding/utf8.ts";
import { anyText, SAMPLE } from "../support/hostile.ts";

describe("tryDecodeUtf8 (RFC 3629)", () => {
  // §7
  test.for([
    ["A\u2262\u0391.", "41e289a2ce912e"],
    ["\ud55c\uad6d\uc5b4", "ed959ceab5adec96b4"],
    ["\u65e5\u672c\u8a9e", "e697a5e69cace8aa9e"],
    ["\ufeff\u{233b4}", "efbbbff0a38eb4"], // the byte order mark stays
  ] as const)("reads the example %j, which encodeUtf8 writes", ([text, hex]) => {
    expect(tryDecodeUtf8(Buffer.from(hex, "hex"))).toBe(text);
    expect(Buffer.from(encodeUtf8(text)).toString("hex")).toBe(hex);
  });

  test.for([
    ["an overlong NUL", "c080"],
    ["an overlong slash", "c0af"],
    ["a surrogate half", "eda18c"],
    ["a character beyond U+10FFFF", "f4908080"],
    ["a lone continuation", "80"],
    ["a character that is cut off", "e282"],
    ["a byte that is never used", "ff"],
  ] as const)("refuses %s", ([, hex]) => {
    expect(tryDecodeUtf8(Buffer.from(hex, "hex"))).toBeUndefined();
  });

  test("reads back any text", () => {
    fc.assert(
      fc.property(anyText(), (text) => {
        expect(tryDecodeUtf8(encodeUtf8(text))).toBe(text);
      }),
      SAMPLE,
    );
  });

  test("keeps no state from a refused input", () => {
    expect(tryDecodeUtf8(Uint8Array.of(0xe2, 0x82))).toBeUndefined();
    expect(tryDecodeUtf8(Uint8Array.of(0x41))).toBe("A");
  });
});
