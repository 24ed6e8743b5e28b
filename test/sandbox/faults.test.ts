import { describe, expect, test } from "vitest";
import { MAX_SANDBOX_FAULTS } from "../../src/limits.ts";
import { Faults, parseFault, type Fault } from "../../src/sandbox/faults.ts";

const refused = expect.objectContaining({ code: "USAGE_INVALID" }) as unknown;
const make = (): Faults => new Faults({ rekor2: ["wrong-key", "stale-checkpoint"] });

describe("parseFault", () => {
  test.for([
    ["tsa=timeout", { service: "tsa", kind: "timeout" }],
    ["fulcio=429:7", { service: "fulcio", kind: "429", argument: "7" }],
    ["tsa=clock:-1h30m", { service: "tsa", kind: "clock", argument: "-1h30m" }],
    [
      "rekor2=503,requests=2,path=/api/v2/log/entries",
      { service: "rekor2", kind: "503", requests: 2, path: "/api/v2/log/entries" },
    ],
  ] as const)("reads %s", ([text, expected]) => {
    expect(parseFault(text)).toEqual(expected);
  });

  test.for([
    "",
    "tsa",
    "tsa=",
    "=timeout",
    "nobody=timeout",
    "tsa=timeout,requests=x",
    "tsa=timeout,requests=-1",
    "tsa=timeout,path=relative",
    "tsa=timeout,other=1",
    "tsa=429:",
    "tsa=Timeout",
  ])("refuses %j", (text) => {
    expect(() => parseFault(text)).toThrow(refused);
  });
});

describe("Faults", () => {
  test.for<Fault>([
    { kind: "no-such-fault" },
    { kind: "split-view" },
    { kind: "clock" },
    { kind: "clock", argument: "10m" },
    { kind: "clock", argument: "+10x" },
    { kind: "clock", argument: "+999999999d" },
    { kind: "clock", argument: "+1m", requests: 1 },
    { kind: "429", argument: "soon" },
    { kind: "timeout", argument: "1" },
    { kind: "500", requests: 0 },
    { kind: "500", requests: 1.5 },
  ])("refuses %j", (fault) => {
    expect(() => make().set("rekor2", fault)).toThrow(refused);
  });

  test("befall the requests of their service and path, as often as was said", () => {
    const faults = make();
    faults.set("rekor2", { kind: "503", requests: 2, path: "/api/v2/log" });
    expect(faults.begin("rekor1", "/api/v2/log/entries")).toEqual({});
    expect(faults.begin("rekor2", "/api/v2/checkpoint")).toEqual({});
    expect(faults.begin("rekor2", "/api/v2/log/entries")).toEqual({ http: { kind: "503" } });
    expect(faults.list()).toEqual([{ service: "rekor2", kind: "503", requests: 1, path: "/api/v2/log" }]);
    expect(faults.begin("rekor2", "/api/v2/log/entries")).toEqual({ http: { kind: "503" } });
    expect(faults.begin("rekor2", "/api/v2/log/entries")).toEqual({});
    expect(faults.list()).toEqual([]);
  });

  test("of a kind that has `once` in its name happen once", () => {
    const faults = make();
    faults.set("tsa", { kind: "500-once" });
    expect(faults.begin("tsa", "/")).toEqual({ http: { kind: "500-once" } });
    expect(faults.begin("tsa", "/")).toEqual({});
  });

  test("keep a forgery for the request that reaches the service", () => {
    const faults = make();
    faults.set("rekor2", { kind: "wrong-key", requests: 1 });
    faults.set("rekor2", { kind: "reset", requests: 1 });
    faults.set("rekor2", { kind: "truncated", requests: 2 });
    expect(faults.begin("rekor2", "/")).toEqual({ http: { kind: "reset" } });
    expect(faults.begin("rekor2", "/")).toEqual({ http: { kind: "truncated" }, forgery: "wrong-key" });
    expect(faults.begin("rekor2", "/")).toEqual({ http: { kind: "truncated" } });
  });

  test("stand for work that no request asked for, where they are for every one", () => {
    const faults = make();
    faults.set("rekor2", { kind: "wrong-key", requests: 1 });
    faults.set("rekor2", { kind: "wrong-key", path: "/api" });
    expect(faults.standingForgery("rekor2")).toBeUndefined();
    faults.set("rekor2", { kind: "stale-checkpoint" });
    expect(faults.standingForgery("rekor2")).toBe("stale-checkpoint");
    expect(faults.standingForgery("rekor1")).toBeUndefined();
  });

  test("of one kind and path replace one another, and end when they are cleared", () => {
    const faults = make();
    faults.set("tsa", { kind: "429", argument: "1" });
    faults.set("tsa", { kind: "429", argument: "2" });
    faults.set("rekor2", { kind: "500" });
    expect(faults.list()).toHaveLength(2);
    expect(faults.begin("tsa", "/")).toEqual({ http: { kind: "429", argument: "2" } });
    faults.clear("tsa");
    expect(faults.list()).toEqual([{ service: "rekor2", kind: "500" }]);
    faults.clear();
    expect(faults.list()).toEqual([]);
  });

  test.for([
    ["+10m", 600_000],
    ["-1h30m", -5_400_000],
    ["+2d1s5ms", 172_801_005],
  ] as const)("set the clock of a service off by %s", ([argument, expected]) => {
    const faults = make();
    faults.set("tsa", { kind: "clock", argument });
    expect(faults.clockOffsetMs("tsa")).toBe(expected);
    expect(faults.clockOffsetMs("fulcio")).toBe(0);
    expect(faults.begin("tsa", "/")).toEqual({});
  });

  test("are limited in number", () => {
    const faults = make();
    for (let i = 0; i < MAX_SANDBOX_FAULTS; i += 1) faults.set("tsa", { kind: "500", path: `/${i}` });
    expect(() => faults.set("tsa", { kind: "503" })).toThrow(refused);
    faults.set("tsa", { kind: "500", path: "/0", requests: 1 });
  });
});
