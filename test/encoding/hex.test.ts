import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { encodeHex, tryDecodeHex } from "../../src/encoding/hex.ts";
import { anyText, SAMPLE } from "../support/hostile.ts";

describe("encodeHex (RFC 4648 §8)", () => {
  test("writes the lower-case form of the published vectors", () => {
    expect(encodeHex(Buffer.from("foobar"))).toBe("666f6f626172");
    expect(encodeHex(new Uint8Array(0))).toBe("");
  });

  test("agrees with node:buffer on any bytes", () => {
    fc.assert(
      fc.property(fc.uint8Array(), (bytes) => {
        expect(encodeHex(bytes)).toBe(Buffer.from(bytes).toString("hex"));
      }),
      SAMPLE,
    );
  });
});

describe("tryDecodeHex (RFC 4648 §8)", () => {
  test("reads both cases", () => {
    expect(tryDecodeHex("666F6f")).toEqual(Uint8Array.of(0x66, 0x6f, 0x6f));
    expect(tryDecodeHex("")).toEqual(new Uint8Array(0));
  });

  test.for(["6", "666", "6g", "g6", "0x66", " 66", "66 ", "66\n", "6\u0106", "\u{1d7d8}", "６６", "-1", "+1", "1."])(
    "refuses %j",
    (text) => {
      expect(tryDecodeHex(text)).toBeUndefined();
    },
  );

  test("accepts exactly an even number of digits, and inverts the encoder", () => {
    fc.assert(
      fc.property(
        fc.oneof(anyText(), fc.string({ unit: fc.constantFrom(...Array.from("0123456789abcdefABCDEFgG")) })),
        (text) => {
          const expected = /^(?:[0-9a-fA-F]{2})*$/.test(text) ? new Uint8Array(Buffer.from(text, "hex")) : undefined;
          expect(tryDecodeHex(text)).toEqual(expected);
        },
      ),
      SAMPLE,
    );
  });
});
