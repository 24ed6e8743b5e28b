import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { JsonReader } from "../../src/encoding/json-reader.ts";
import type { JsonValue } from "../../src/encoding/json.ts";
import { SAMPLE } from "../support/hostile.ts";

const read = (value: JsonValue): JsonReader => new JsonReader(value, "root.field", "TRUSTED_ROOT_MALFORMED");
const malformed = expect.objectContaining({
  code: "TRUSTED_ROOT_MALFORMED",
  message: expect.stringContaining("root.field") as string,
}) as Error;
const tooLarge = expect.objectContaining({ code: "LIMIT_EXCEEDED" }) as Error;

describe("JsonReader (ProtoJSON)", () => {
  test.for([
    ["string", (r: JsonReader) => r.string(), "text", [1, true, null, [], {}]],
    ["boolean", (r: JsonReader) => r.boolean(), true, [1, "true", null, [], {}]],
    ["object", (r: JsonReader) => r.object().keys(), {}, [1, "{}", null, [], true]],
    ["array", (r: JsonReader) => r.array(9), [], [1, "[]", null, { length: 0 }, true]],
    ["base64", (r: JsonReader) => r.base64(), "Zm8=", [1, "Zm8", "Zm9=", "Zm-_", " Zm8=", null]],
    [
      "int64",
      (r: JsonReader) => r.int64(),
      "1",
      ["", "01", "+1", "-0", "1.0", "1e2", "0x1", " 1", "१", 1.5, 2 ** 53, null, true, ["1"]],
    ],
    ["uint32", (r: JsonReader) => r.uint32(), 1, [-1, 2 ** 32, "4294967296", 0.5, null, "x"]],
    ["oneOf", (r: JsonReader) => r.oneOf(["A", "B"]), "B", ["C", "a", "", null, 1, "toString"]],
    ["timestamp", (r: JsonReader) => r.timestamp(), "2026-01-31T23:59:59Z", [1, null, "", "2026-01-31"]],
  ] as const)("reads a %s and refuses every other type or spelling", ([, method, good, bad]) => {
    expect(() => method(read(good as JsonValue))).not.toThrow();
    for (const value of bad) expect(() => method(read(value))).toThrow(malformed);
  });

  test("gives items the path of their index", () => {
    const items = read([1, "x"]).array(2);
    expect(items.map(({ path, value }) => [path, value])).toEqual([
      ["root.field[0]", 1],
      ["root.field[1]", "x"],
    ]);
  });

  test("has a limit on items and on bytes", () => {
    expect(() => read([1, 2, 3]).array(2)).toThrow(tooLarge);
    expect(read("AAAA").base64(3)).toHaveLength(3);
    expect(() => read("AAAA").base64(2)).toThrow(tooLarge); // as long a text as two bytes have
    expect(() => read("AAAAAAAA").base64(3)).toThrow(tooLarge);
    expect(() => read("!".repeat(8)).base64(3)).toThrow(tooLarge); // before the work of decoding
  });

  test("reads 64-bit integers to their ends", () => {
    expect(read("9223372036854775807").int64()).toBe(2n ** 63n - 1n);
    expect(read("-9223372036854775808").int64()).toBe(-(2n ** 63n));
    expect(read(Number.MAX_SAFE_INTEGER).int64()).toBe(2n ** 53n - 1n);
    expect(read("4294967295").uint32()).toBe(2 ** 32 - 1);
    for (const text of ["9223372036854775808", "-9223372036854775809", "9".repeat(30)])
      expect(() => read(text).int64()).toThrow(malformed);
  });

  test.for([
    ["1970-01-01T00:00:00Z", 0],
    ["1972-01-01T10:00:20.021Z", 63_108_020_021],
    ["2026-02-28T23:59:59.999999999Z", 1_772_323_199_999], // cut, not rounded
    ["2024-02-29T00:00:00Z", 1_709_164_800_000],
    ["2026-01-01T01:30:00+01:30", 1_767_225_600_000],
    ["2025-12-31T23:00:00-01:00", 1_767_225_600_000],
    ["2026-01-01T00:00:00.1Z", 1_767_225_600_100],
    ["0001-01-01T00:00:00Z", -62_135_596_800_000],
    ["9999-12-31T23:59:59.999999999Z", 253_402_300_799_999],
    ["0050-06-01T00:00:00Z", Date.parse("0050-06-01T00:00:00Z")],
  ] as const)("reads the time %s", ([text, milliseconds]) => {
    expect(read(text).timestamp().getTime()).toBe(milliseconds);
  });

  test.for([
    ["no zone", "2026-01-01T00:00:00"],
    ["no seconds", "2026-01-01T00:00Z"],
    ["a space for T", "2026-01-01 00:00:00Z"],
    ["a lower-case t", "2026-01-01t00:00:00Z"],
    ["a lower-case z", "2026-01-01T00:00:00z"],
    ["ten digits of a second", "2026-01-01T00:00:00.1234567890Z"],
    ["a point without digits", "2026-01-01T00:00:00.Z"],
    ["a day that does not exist", "2026-02-29T00:00:00Z"],
    ["a 31st of April", "2026-04-31T00:00:00Z"],
    ["month 0", "2026-00-01T00:00:00Z"],
    ["month 13", "2026-13-01T00:00:00Z"],
    ["day 0", "2026-01-00T00:00:00Z"],
    ["hour 24", "2026-01-01T24:00:00Z"],
    ["minute 60", "2026-01-01T00:60:00Z"],
    ["a leap second", "2016-12-31T23:59:60Z"],
    ["an offset of 24 hours", "2026-01-01T00:00:00+24:00"],
    ["an offset of 60 minutes", "2026-01-01T00:00:00+00:60"],
    ["an offset without minutes", "2026-01-01T00:00:00+01"],
    ["year 0", "0000-12-31T23:59:59Z"],
    ["an instant before year 1", "0001-01-01T00:00:00+00:01"],
    ["an instant after year 9999", "9999-12-31T23:59:59-00:01"],
    ["five digits of a year", "12026-01-01T00:00:00Z"],
    ["white space around it", " 2026-01-01T00:00:00Z"],
    ["a newline at its end", "2026-01-01T00:00:00Z\n"],
  ] as const)("refuses a time with %s", ([, text]) => {
    expect(() => read(text).timestamp()).toThrow(malformed);
  });

  test("reads back any time that JavaScript writes", () => {
    const range = {
      min: new Date("0001-01-01T00:00:00.000Z"),
      max: new Date("9999-12-31T23:59:59.999Z"),
      noInvalidDate: true,
    };
    fc.assert(
      fc.property(fc.date(range), (date) => {
        expect(read(date.toISOString()).timestamp()).toEqual(date);
      }),
      SAMPLE,
    );
  });
});

describe("JsonObjectReader (ProtoJSON)", () => {
  const object = read(JSON.parse('{"set":"x","zero":0,"unset":null,"__proto__":"own"}') as JsonValue).object();

  test("takes null for not set", () => {
    expect(object.has("unset")).toBe(false);
    expect(object.optional("unset")).toBeUndefined();
    expect(() => object.required("unset")).toThrow(malformed);
  });

  test("reads fields under their path, zero values too", () => {
    expect(object.has("zero")).toBe(true);
    expect(object.required("zero").value).toBe(0);
    expect(object.required("set").path).toBe("root.field.set");
    expect(object.optional("__proto__")?.string()).toBe("own");
  });

  test.for(["toString", "constructor", "hasOwnProperty"])("does not find the inherited %s", (key) => {
    expect(object.has(key)).toBe(false);
    expect(object.optional(key)).toBeUndefined();
    expect(() => object.required(key)).toThrow(malformed);
  });

  test("names the field that is missing", () => {
    expect(() => object.required("absent")).toThrow("root.field has no absent");
  });

  test("lists unknown fields, null ones too", () => {
    expect(object.unknown(["set"])).toEqual(["zero", "unset", "__proto__"]);
    expect(object.keys()).toEqual(["set", "zero", "unset", "__proto__"]);
  });

  test("refuses unknown fields where the allowed ones are given", () => {
    expect(() => read({ a: 1, b: null }).object(["a", "b", "c"])).not.toThrow();
    expect(() => read({ a: 1, b: null }).object(["a"])).toThrow(malformed);
    expect(() => read({ toString: 1 }).object([])).toThrow(malformed);
  });
});
