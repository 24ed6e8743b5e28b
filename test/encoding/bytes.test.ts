import { describe, expect, test } from "vitest";
import { concatBytes, encodeUint64, equalBytes } from "../../src/encoding/bytes.ts";

describe("concatBytes", () => {
  test("joins any number of parts in their order", () => {
    expect(concatBytes()).toEqual(new Uint8Array(0));
    expect(concatBytes(Uint8Array.of(1), new Uint8Array(0), Uint8Array.of(2, 3))).toEqual(Uint8Array.of(1, 2, 3));
  });

  test("copies a single part", () => {
    const part = Uint8Array.of(1);
    const joined = concatBytes(part);
    joined[0] = 2;
    expect(part[0]).toBe(1);
  });
});

describe("equalBytes", () => {
  const a = Uint8Array.of(1, 2, 3);
  test.for([
    ["the same bytes", Uint8Array.of(1, 2, 3), true],
    ["another first byte", Uint8Array.of(0, 2, 3), false],
    ["another last byte", Uint8Array.of(1, 2, 2), false],
    ["a prefix", Uint8Array.of(1, 2), false],
    ["an extension", Uint8Array.of(1, 2, 3, 0), false],
    ["differences that cancel in a sum", Uint8Array.of(2, 1, 3), false],
  ] as const)("compares with %s", ([, b, equal]) => {
    expect(equalBytes(a, b)).toBe(equal);
    expect(equalBytes(b, a)).toBe(equal);
  });
});

describe("encodeUint64", () => {
  test.for([
    [0n, "0000000000000000"],
    [1n, "0000000000000001"],
    [0x0102030405060708n, "0102030405060708"],
    [2n ** 64n - 1n, "ffffffffffffffff"],
  ] as const)("encodes %s most significant byte first", ([value, hex]) => {
    expect(Buffer.from(encodeUint64(value)).toString("hex")).toBe(hex);
  });

  test.for([-1n, 2n ** 64n])("refuses %s", (value) => {
    expect(() => encodeUint64(value)).toThrow(TypeError);
  });
});
