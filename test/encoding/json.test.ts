import { readFileSync } from "node:fs";
import { resolve } from "node:path";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { diagnoseJson } from "../../src/encoding/json-diagnosis.ts";
import { parseJson, type JsonOptions } from "../../src/encoding/json.ts";
import { expectNoOtherError, SAMPLE, withFlippedByte } from "../support/hostile.ts";
import { projectDir } from "../support/shared.ts";

const options: JsonOptions = { what: "bundle", code: "BUNDLE_MALFORMED", maxBytes: 100_000 };
const parse = (input: string | Uint8Array): unknown => parseJson(input, options);

const real = readFileSync(resolve(projectDir, "testdata", "bundle", "v0.3-dsse-certificate.sigstore.json"));

describe("parseJson (RFC 8259, RFC 7493)", () => {
  test("reads a real bundle as JSON.parse does, from text and from bytes", () => {
    const expected: unknown = JSON.parse(real.toString());
    expect(parse(real)).toEqual(expected);
    expect(parse(real.toString())).toEqual(expected);
  });

  test.for([
    ["null", null],
    [" \t\r\n1 ", 1],
    ['"\\u00e9\\ud83d\\ude02"', "é😂"],
    ['"😂"', "😂"],
    ['"\\\\"', "\\"],
    ['{"a":"\\\\","b":"\\"},:{["}', { a: "\\", b: '"},:{[' }],
    ['{"a":{"a":1},"b":[{"a":1},{"a":2}]}', { a: { a: 1 }, b: [{ a: 1 }, { a: 2 }] }],
    ['{"a:a":":"}', { "a:a": ":" }],
    ["[-0.5e-2,0,1E3]", [-0.005, 0, 1000]],
    ['{"":1}', { "": 1 }],
    ['{"A":1,"a":2}', { A: 1, a: 2 }],
    ['{"é":1,"e\u0301":2}', { é: 1, "e\u0301": 2 }], // not normalised, so not the same name
    ['{"1":1,"01":2}', { "1": 1, "01": 2 }],
  ] as const)("reads %j", ([text, value]) => {
    expect(parse(text)).toEqual(value);
  });

  test.for([
    ["a trailing comma in an object", '{"a":1,}'],
    ["a trailing comma in an array", "[1,]"],
    ["a comment", '{"a":1/**/}'],
    ["single quotes", "{'a':1}"],
    ["a name without quotes", "{a:1}"],
    ["a leading zero", "01"],
    ["a leading plus", "+1"],
    ["a number that ends in a point", "1."],
    ["hexadecimal", "0x1"],
    ["NaN", "NaN"],
    ["Infinity", "[-Infinity]"],
    ["a number that overflows", "[1e999]"],
    ["a negative number that overflows", "[-1e999]"],
    ["a raw newline in a string", '"a\nb"'],
    ["a raw tab in a string", '"\t"'],
    ["an unknown escape", '"\\x41"'],
    ["a short unicode escape", '"\\u00e"'],
    ["a second value", "{} {}"],
    ["a stray bracket", "[]]"],
    ["mixed brackets", '{"a":[1}'],
    ["a missing colon", '{"a" 1}'],
    ["two colons", '{"a"::1}'],
    ["a missing comma", '{"a":1 "b":2}'],
    ["white space that JSON does not have", "[1,\u00a02]"],
    ["a form feed", "\f1"],
    ["a byte order mark", '\ufeff{"a":1}'],
    ["an upper-case literal", "True"],
    ["a lone escaped surrogate", '"\\ud800"'],
    ["a lone low surrogate in a name", '{"\\udc00":1}'],
    ["escaped surrogates in the wrong order", '"\\ude02\\ud83d"'],
    ["a lone surrogate in the text", '"\ud800"'],
    ["nothing", ""],
    ["white space alone", " \n "],
    ["HTML", "<!DOCTYPE html><html></html>"],
    ["PEM", "-----BEGIN CERTIFICATE-----\n"],
    ["an unfinished object", '{"a":1'],
    ["an unfinished string", '{"a":"b'],
    ["a string that ends in an escaped quote", '"a\\"'],
  ] as const)("rejects %s with the caller's code", ([, text]) => {
    expect(() => parse(text)).toThrow(expect.objectContaining({ code: "BUNDLE_MALFORMED" }));
    // The sentence for the person comes from a walk of its own, which must find the problem as well.
    expect(diagnoseJson(text).message).not.toBe("is not JSON");
  });

  test.for([
    ["invalid UTF-8", Buffer.from([0x22, 0xff, 0x22])],
    ["UTF-16", Buffer.from('{"a":1}', "utf16le")],
    ["a byte order mark", Buffer.from('\ufeff{"a":1}')],
    ["a surrogate in CESU-8", Buffer.from([0x22, 0xed, 0xa0, 0x80, 0x22])],
  ] as const)("rejects bytes that are %s", ([, bytes]) => {
    expect(() => parse(bytes)).toThrow(expect.objectContaining({ code: "BUNDLE_MALFORMED" }));
  });

  test.for([
    ["side by side", '{"a":1,"a":1}', '"a" twice'],
    ["apart", '{"a":1,"b":{"c":[]},"a":2}', '"a" twice'],
    ["deep inside", '{"x":[{"y":{"sig":1,"sig":2}}]}', '"sig" twice in x[0].y'],
    ["spelled with an escape", '{"a":1,"\\u0061":2}', '"a" twice'],
    ["that is __proto__", '{"__proto__":1,"__proto__":2}', '"__proto__" twice'],
    ["that is an index", '{"0":1,"0":2}', '"0" twice'],
    ["that is empty", '{"":1,"":2}', '"" twice'],
    ["of which one is null", '{"a":null,"a":1}', '"a" twice'],
    ["in an object that a second one hides", '{"o":{"a":1,"b":2},"o":{}}', '"o" twice'],
    ["three times", '{"a":1,"a":1,"a":1}', '"a" twice'],
  ] as const)("rejects a name that occurs twice %s, and names it", ([, text, message]) => {
    expect(() => parse(text)).toThrow(
      expect.objectContaining({ code: "JSON_DUPLICATE_KEY", message: expect.stringContaining(message) as string }),
    );
  });

  test("gives names that objects inherit no meaning of their own", () => {
    const value = parse('{"__proto__":{"polluted":1},"constructor":2,"toString":3,"hasOwnProperty":4}') as object;
    expect(Object.keys(value)).toEqual(["__proto__", "constructor", "toString", "hasOwnProperty"]);
    expect(Object.getPrototypeOf(value)).toBe(Object.prototype);
    expect(({} as { polluted?: number }).polluted).toBeUndefined();
  });

  test.for([
    ["\n\n {", "line 3, column 3"],
    ['{\n  "a": tru\n}', "line 2, column 8"],
    ['{"a":1}}', "line 1, column 8"],
    ['{"a":1,\n"a":2}', "line 2, column 1"],
  ] as const)("says where %j goes wrong", ([text, place]) => {
    expect(() => parse(text)).toThrow(place);
  });

  test.for([
    ["", "bundle is empty"],
    ["<html>", "looks like HTML"],
    ["-----BEGIN X-----", "looks like PEM"],
    ["\ufeff{}", "byte order mark"],
    ['{"a":[1,2', "cut off"],
    ['{"a":"b', "cut off"],
  ] as const)("gives a hint about %j", ([text, hint]) => {
    expect(() => parse(text)).toThrow(hint);
  });

  test("has a limit on size", () => {
    expect(parseJson("[1,2,3]", { ...options, maxBytes: 7 })).toEqual([1, 2, 3]);
    expect(() => parseJson("[1,2,3]", { ...options, maxBytes: 6 })).toThrow(
      expect.objectContaining({ code: "LIMIT_EXCEEDED" }),
    );
    expect(() => parseJson(Buffer.from("[1,2,3]"), { ...options, maxBytes: 6 })).toThrow(
      expect.objectContaining({ code: "LIMIT_EXCEEDED" }),
    );
  });

  test("has a limit on nesting, and knows brackets in strings from others", () => {
    const nested = (depth: number): string => `${'[{"[":'.repeat(depth / 2)}"[[[{{{"${"}]".repeat(depth / 2)}`;
    expect(() => parse(nested(128))).not.toThrow();
    expect(() => parse(nested(130))).toThrow(expect.objectContaining({ code: "LIMIT_EXCEEDED" }));
    expect(() => parseJson("[[1]]", { ...options, maxDepth: 1 })).toThrow(
      expect.objectContaining({ code: "LIMIT_EXCEEDED" }),
    );
    expect(() => parse("[".repeat(100_000))).toThrow(expect.objectContaining({ code: "LIMIT_EXCEEDED" }));
    expect(() => parse(`[${"[],".repeat(1000)}1]`)).not.toThrow();
  });

  test("has a limit on the number of values", () => {
    const text = `[${"1,".repeat(5_000_000)}1]`;
    expect(() => parseJson(text, { ...options, maxBytes: text.length })).toThrow(
      expect.objectContaining({ code: "LIMIT_EXCEEDED" }),
    );
  });

  test("takes time in proportion to the text, also for backslashes and quotes", () => {
    const size = 1_000_000;
    const large = { ...options, maxBytes: 10 * size };
    const started = performance.now();
    for (const text of [
      `"${"\\".repeat(size)}"`,
      `"${'\\"'.repeat(size)}"`,
      '""'.repeat(size),
      `{${'"":1,'.repeat(size / 5)}}`,
    ]) {
      expectNoOtherError(() => parseJson(text, large));
    }
    expect(performance.now() - started).toBeLessThan(10_000); // quadratic would take minutes
  });

  test("reads back whatever JSON.stringify writes", () => {
    fc.assert(
      fc.property(fc.jsonValue({ maxDepth: 6 }), fc.constantFrom(undefined, 2, "\t"), (value, indent) => {
        const text = JSON.stringify(value, undefined, indent);
        expect(parse(text)).toEqual(JSON.parse(text));
      }),
      SAMPLE,
    );
  });

  test("accepts of any text exactly what JSON.parse accepts and has one meaning", () => {
    const tokens = fc.constantFrom(
      "{",
      "}",
      "[",
      "]",
      ":",
      ",",
      '"a"',
      '"b"',
      '"\\u0061"',
      "1",
      "null",
      " ",
      '"',
      "\\",
      "a",
    );
    fc.assert(
      fc.property(
        fc.oneof(
          fc.array(tokens, { maxLength: 9 }),
          fc.array(tokens.filter((token) => token.length > 1 || token < "a")),
        ),
        (parts) => {
          const text = parts.join("");
          let repeated = false;
          let native: unknown;
          try {
            // Never finds a name twice itself: compares with the text that the members would have.
            native = JSON.parse(text);
            repeated = diagnoseJson(text).kind === "duplicate-key";
          } catch {
            expect(() => parse(text)).toThrow(expect.objectContaining({ code: "BUNDLE_MALFORMED" }));
            expect(diagnoseJson(text).message).not.toBe("is not JSON");
            return;
          }
          if (repeated) expect(() => parse(text)).toThrow(expect.objectContaining({ code: "JSON_DUPLICATE_KEY" }));
          else expect(parse(text)).toEqual(native);
        },
      ),
      { ...SAMPLE, numRuns: 3000 },
    );
  });

  test("finds a name that was inserted a second time anywhere in a real bundle", () => {
    const text = real.toString();
    const objects = [...text.matchAll(/\{\s*("[^"]+"):/g)];
    expect(objects.length).toBeGreaterThan(8);
    for (const match of objects) {
      const at = match.index + 1;
      expect(() => parse(`${text.slice(0, at)}${match[1]}: 0,${text.slice(at)}`)).toThrow(
        expect.objectContaining({ code: "JSON_DUPLICATE_KEY" }),
      );
    }
  });

  test("throws nothing but a SigstoreError when a byte of a real bundle changes or its end is missing", () => {
    fc.assert(
      fc.property(fc.nat(real.length - 1), fc.integer({ min: 1, max: 255 }), (index, pattern) => {
        expectNoOtherError(() => parse(withFlippedByte(real, index, pattern)));
        if (index < real.lastIndexOf("}"))
          expect(() => parse(real.subarray(0, index))).toThrow(expect.objectContaining({ code: "BUNDLE_MALFORMED" }));
      }),
      SAMPLE,
    );
  });
});
