import { describe, expect, test } from "vitest";
import { parseDuration, parseTime } from "../../src/cli/flags.ts";

const refusal: unknown = expect.objectContaining({ code: "USAGE_INVALID" });

describe("parseDuration (Go's time.ParseDuration)", () => {
  test.each([
    ["3m0s", 180_000],
    ["90s", 90_000],
    ["1h30m", 5_400_000],
    ["1.5s", 1500],
    [".5s", 500],
    ["1.s", 1000],
    ["250ms", 250],
    ["1500us", 1.5],
    ["1500µs", 1.5],
    ["1500μs", 1.5],
    ["1ns", 1e-6],
    ["1m1ms", 60_001],
  ])("reads %s", (text, milliseconds) => {
    expect(parseDuration(text, "--timeout")).toBeCloseTo(milliseconds, 9);
  });

  test.each(["", "3", "s", "3 m", "-3s", "3d", "3m s", "3m0", "1..5s", ".s", "3M", "1e3s"])("refuses %j", (text) => {
    expect(() => parseDuration(text, "--timeout")).toThrow(refusal);
  });
});

describe("parseTime (RFC 3339 §5.6)", () => {
  test.each([
    ["2026-01-31T00:00:00Z", "2026-01-31T00:00:00.000Z"],
    ["2026-01-31t00:00:00z", "2026-01-31T00:00:00.000Z"],
    ["2026-01-31T01:30:00.25+01:30", "2026-01-31T00:00:00.250Z"],
    ["2026-01-30T23:00:00-01:00", "2026-01-31T00:00:00.000Z"],
    ["2024-02-29T00:00:00Z", "2024-02-29T00:00:00.000Z"],
  ])("reads %s", (text, iso) => {
    expect(parseTime(text, "--time").toISOString()).toBe(iso);
  });

  test.each([
    "",
    "2026-01-31",
    "2026-01-31T00:00:00",
    "2026-01-31 00:00:00Z",
    "2026-13-01T00:00:00Z",
    "2026-02-30T00:00:00Z",
    "2025-02-29T00:00:00Z",
    "2026-01-31T24:00:00Z",
    "2026-01-31T00:60:00Z",
    "2026-01-31T00:00:00+25:00",
    "26-01-31T00:00:00Z",
    "tomorrow",
  ])("refuses %j", (text) => {
    expect(() => parseTime(text, "--time")).toThrow(refusal);
  });
});
