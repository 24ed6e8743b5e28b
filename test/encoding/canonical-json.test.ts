import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { encodeCanonicalJson } from "../../src/encoding/canonical-json.ts";
import { parseJson, type JsonValue } from "../../src/encoding/json.ts";
import { SAMPLE } from "../support/hostile.ts";

function double(hex: string): number {
  return Buffer.from(hex, "hex").readDoubleBE();
}

describe("encodeCanonicalJson (RFC 8785)", () => {
  test("writes the sample of §3.2.2 as §3.2.3 and §3.2.4 say, byte for byte", () => {
    const sample = JSON.parse(`{
      "numbers": [333333333.33333329, 1E30, 4.50, 2e-3, 0.000000000000000000000000001],
      "string": "\\u20ac$\\u000F\\u000aA'\\u0042\\u0022\\u005c\\\\\\"\\/",
      "literals": [null, true, false]
    }`) as JsonValue;
    expect(Buffer.from(encodeCanonicalJson(sample)).toString("hex")).toBe(
      (
        "7b 22 6c 69 74 65 72 61 6c 73 22 3a 5b 6e 75 6c 6c 2c 74 72 75 65 2c 66 61 6c 73 65 5d 2c 22 6e 75 6d 62 65 72 73 22 3a " +
        "5b 33 33 33 33 33 33 33 33 33 2e 33 33 33 33 33 33 33 2c 31 65 2b 33 30 2c 34 2e 35 2c 30 2e 30 30 32 2c 31 65 2d 32 37 5d " +
        "2c 22 73 74 72 69 6e 67 22 3a 22 e2 82 ac 24 5c 75 30 30 30 66 5c 6e 41 27 42 5c 22 5c 5c 5c 5c 5c 22 2f 22 7d"
      ).replaceAll(" ", ""),
    );
  });

  test("sorts names by UTF-16 code units, as the example of §3.2.3", () => {
    const value = {
      "\u20ac": "Euro Sign",
      "\r": "Carriage Return",
      "\ufb33": "Hebrew Letter Dalet With Dagesh",
      "1": "One",
      "\ud83d\ude00": "Emoji: Grinning Face",
      "\u0080": "Control",
      "\u00f6": "Latin Small Letter O With Diaeresis",
    };
    expect(Object.values(JSON.parse(encodeCanonicalJson(value)) as object).length).toBe(7);
    // JSON.parse would put "1" first, so the order is read from the text.
    expect([...encodeCanonicalJson(value).matchAll(/:"([^"]+)"/g)].map(([, name]) => name)).toEqual([
      "Carriage Return",
      "One",
      "Control",
      "Latin Small Letter O With Diaeresis",
      "Euro Sign",
      "Emoji: Grinning Face",
      "Hebrew Letter Dalet With Dagesh",
    ]);
  });

  // Published with the reference implementations of the RFC's author.
  test.for([
    [
      '{"1": {"f": {"f": "hi","F": 5} ,"\\n": 56.0}, "10": { }, "": "empty", "a": { }, "111": [ { } ], "A": { }}',
      '{"":"empty","1":{"\\n":56,"f":{"F":5,"f":"hi"}},"10":{},"111":[{}],"A":{},"a":{}}',
    ],
    [
      '{"peach": "This sorting order", "péché": "is wrong according to French", "pêche": "but canonicalization MUST", "sin": "ingnore locale"}',
      '{"peach":"This sorting order","péché":"is wrong according to French","pêche":"but canonicalization MUST","sin":"ingnore locale"}',
    ],
    ['{"Unnormalized Unicode":"A\\u030a"}', '{"Unnormalized Unicode":"A\u030a"}'],
    ['[56, {"d": true, "10": null, "1": [ ]}]', '[56,{"1":[],"10":null,"d":true}]'],
    ['"\\u0000\\b\\t\\n\\f\\r\\u001f\\u007f\\u2028<"', '"\\u0000\\b\\t\\n\\f\\r\\u001f\u007f\u2028<"'],
  ] as const)("writes %s canonically", ([text, canonical]) => {
    expect(encodeCanonicalJson(JSON.parse(text) as JsonValue)).toBe(canonical);
  });

  // Appendix B
  test.for([
    ["0000000000000000", "0"],
    ["8000000000000000", "0"],
    ["0000000000000001", "5e-324"],
    ["8000000000000001", "-5e-324"],
    ["7fefffffffffffff", "1.7976931348623157e+308"],
    ["ffefffffffffffff", "-1.7976931348623157e+308"],
    ["4340000000000000", "9007199254740992"],
    ["c340000000000000", "-9007199254740992"],
    ["4430000000000000", "295147905179352830000"],
    ["44b52d02c7e14af5", "9.999999999999997e+22"],
    ["44b52d02c7e14af6", "1e+23"],
    ["44b52d02c7e14af7", "1.0000000000000001e+23"],
    ["444b1ae4d6e2ef4e", "999999999999999700000"],
    ["444b1ae4d6e2ef4f", "999999999999999900000"],
    ["444b1ae4d6e2ef50", "1e+21"],
    ["3eb0c6f7a0b5ed8c", "9.999999999999997e-7"],
    ["3eb0c6f7a0b5ed8d", "0.000001"],
    ["41b3de4355555553", "333333333.3333332"],
    ["41b3de4355555554", "333333333.33333325"],
    ["41b3de4355555555", "333333333.3333333"],
    ["41b3de4355555556", "333333333.3333334"],
    ["41b3de4355555557", "333333333.33333343"],
    ["becbf647612f3696", "-0.0000033333333333333333"],
    ["43143ff3c1cb0959", "1424953923781206.2"],
  ] as const)("writes the double %s as %s", ([hex, text]) => {
    expect(encodeCanonicalJson(double(hex))).toBe(text);
  });

  test.for(["7fffffffffffffff", "7ff0000000000000", "fff0000000000000"])("refuses the double %s", (hex) => {
    expect(() => encodeCanonicalJson([double(hex)])).toThrow(expect.objectContaining({ code: "JSON_MALFORMED" }));
  });

  test.for([[["\ud800"]], [{ "\udead": 1 }]] as const)("refuses the lone surrogate in %j", ([value]) => {
    expect(() => encodeCanonicalJson(value as JsonValue)).toThrow(expect.objectContaining({ code: "JSON_MALFORMED" }));
  });

  test("has a limit on nesting", () => {
    const nested = (depth: number): JsonValue => JSON.parse("[".repeat(depth) + "]".repeat(depth)) as JsonValue;
    expect(encodeCanonicalJson(nested(128))).toHaveLength(256);
    expect(() => encodeCanonicalJson(nested(129))).toThrow(expect.objectContaining({ code: "LIMIT_EXCEEDED" }));
  });

  test("keeps the value, and gives one text whatever the order of the members", () => {
    const options = { what: "value", code: "JSON_MALFORMED", maxBytes: 1e6 } as const;
    const reversed = (value: JsonValue): JsonValue => {
      if (typeof value !== "object" || value === null) return value;
      if (Array.isArray(value)) return value.map(reversed);
      return Object.fromEntries(
        Object.entries(value)
          .reverse()
          .map(([key, item]) => [key, reversed(item)]),
      );
    };
    fc.assert(
      fc.property(fc.jsonValue({ maxDepth: 5 }), (generated) => {
        const value = JSON.parse(JSON.stringify(generated)) as JsonValue;
        const text = encodeCanonicalJson(value);
        expect(parseJson(text, options)).toEqual(value);
        expect(encodeCanonicalJson(reversed(value))).toBe(text);
      }),
      SAMPLE,
    );
  });
});
