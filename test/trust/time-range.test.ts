import { TimeRange as ProtoTimeRange } from "@sigstore/protobuf-specs";
import { describe, expect, test } from "vitest";
import { JsonReader } from "../../src/encoding/json-reader.ts";
import type { JsonValue } from "../../src/encoding/json.ts";
import { isWithin, readTimeRange, serializeTimeRange } from "../../src/trust/time-range.ts";

const START = new Date("2026-01-02T03:04:05Z");
const END = new Date("2026-02-03T04:05:06.789Z");

describe("isWithin (sigstore_common.proto TimeRange)", () => {
  test.for([
    ["a millisecond before the start", -1, false],
    ["at the start", 0, true],
    ["after the start", 1, true],
  ] as const)("says of a time %s", ([, offset, expected]) => {
    const time = new Date(START.getTime() + offset);
    expect(isWithin({ start: START, end: END }, time)).toBe(expected);
    expect(isWithin({ start: START }, time)).toBe(expected);
  });

  test.for([
    ["a millisecond before the end", -1, true],
    ["at the end", 0, true],
    ["a millisecond after the end", 1, false],
  ] as const)("says of a time %s", ([, offset, expected]) => {
    expect(isWithin({ start: START, end: END }, new Date(END.getTime() + offset))).toBe(expected);
  });

  test("holds for every later time where there is no end", () => {
    expect(isWithin({ start: START }, new Date("9999-12-31T23:59:59Z"))).toBe(true);
  });

  test("does not hold for a time that is none", () => {
    expect(isWithin({ start: START }, new Date(Number.NaN))).toBe(false);
    expect(isWithin({ start: new Date(Number.NaN), end: END }, START)).toBe(false);
  });
});

const read = (json: JsonValue, ignored: string[] = []) =>
  readTimeRange(new JsonReader(json, "range", "TRUSTED_ROOT_MALFORMED"), ignored);

describe("readTimeRange", () => {
  test.for([
    { start: "2026-01-02T03:04:05Z" },
    { start: "2026-01-02T03:04:05.000Z", end: "2026-02-03T04:05:06.789Z" },
    { start: "2026-01-02T05:04:05+02:00", end: null },
    { start: "2026-01-02T03:04:05Z", end: "2026-01-02T03:04:05Z" },
  ])("reads %j as protobuf-specs does", (json) => {
    const { start, end } = ProtoTimeRange.fromJSON(json);
    expect(read(json)).toEqual({ start, ...(end && { end }) });
  });

  test.for<[string, JsonValue]>([
    ["no start", { end: "2026-01-02T03:04:05Z" }],
    ["null as start", { start: null }],
    ["a start without a zone", { start: "2026-01-02T03:04:05" }],
    ["a start that is a date alone", { start: "2026-01-02" }],
    ["a start in seconds", { start: 1_767_323_045 }],
    ["an end that is none", { start: "2026-01-02T03:04:05Z", end: "never" }],
    ["an end before its start", { start: "2026-01-02T03:04:05Z", end: "2026-01-02T03:04:04Z" }],
    ["no object", "2026-01-02T03:04:05Z"],
  ])("rejects a period that has %s", ([, json]) => {
    expect(() => read(json)).toThrow(expect.objectContaining({ code: "TRUSTED_ROOT_MALFORMED" }));
  });

  test("names a field that it does not know", () => {
    const ignored: string[] = [];
    read({ start: "2026-01-02T03:04:05Z", stop: 1 }, ignored);
    expect(ignored).toEqual(["range.stop"]);
  });
});

describe("serializeTimeRange", () => {
  test.for([{ start: "2026-01-02T03:04:05Z" }, { start: "2026-01-02T03:04:05.120Z", end: "2026-02-03T04:05:06.789Z" }])(
    "writes %j as it was",
    (json) => {
      expect(serializeTimeRange(read(json))).toEqual(json);
    },
  );
});
