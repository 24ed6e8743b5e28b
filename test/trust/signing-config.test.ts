import { SigningConfig as ProtoSigningConfig } from "@sigstore/protobuf-specs";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { JsonValue } from "../../src/encoding/json.ts";
import { SigstoreError } from "../../src/errors.ts";
import {
  parseSigningConfig,
  parseSigningConfigObject,
  selectService,
  selectServices,
  serializeSigningConfig,
  type Service,
} from "../../src/trust/signing-config.ts";
import { change, jsonFile, pathsOf, textFile, without, type Json } from "../support/json-edits.ts";

const TEXT = textFile("signing-config/production.signing_config.v0.2.json");
const CONFIG = jsonFile("signing-config/production.signing_config.v0.2.json");
const V01 = {
  mediaType: "application/vnd.dev.sigstore.signingconfig.v0.1+json",
  caUrl: "https://fulcio.example",
  oidcUrl: "https://oidc.example/auth",
  tlogUrls: ["https://rekor.example", "https://rekor-2.example"],
  tsaUrls: ["https://tsa.example/api/v1/timestamp"],
};
const parse = (json: Json) => parseSigningConfig(JSON.stringify(json));
const withCode = (code: string): unknown => expect.objectContaining({ code });

describe("parseSigningConfig (sigstore_trustroot.proto SigningConfig)", () => {
  test("reads the values that protobuf-specs reads", () => {
    const config = parseSigningConfig(TEXT);
    const proto = ProtoSigningConfig.fromJSON(CONFIG);
    for (const list of ["caUrls", "oidcUrls", "rekorTlogUrls", "tsaUrls"] as const) {
      expect(config[list]).toEqual(
        proto[list].map(({ url, majorApiVersion, operator, validFor }) => ({
          url,
          majorApiVersion,
          operator,
          validFor: { start: validFor?.start },
        })),
      );
    }
    expect(config).toMatchObject({
      rekorTlogConfig: { kind: "ANY" },
      tsaConfig: { kind: "ANY" },
      unusable: [],
      ignoredFields: [],
    });
  });

  test("reads bytes and text alike", () => {
    expect(parseSigningConfig(new TextEncoder().encode(TEXT))).toEqual(parseSigningConfig(TEXT));
  });

  test.for([
    [{ selector: "ALL" }, { kind: "ALL" }],
    [{ selector: "ANY", count: 0 }, { kind: "ANY" }],
    [
      { selector: "EXACT", count: 2 },
      { kind: "EXACT", count: 2 },
    ],
  ] as const)("reads selector %j", ([json, configuration]) => {
    expect(parse({ ...CONFIG, rekorTlogConfig: json }).rekorTlogConfig).toEqual(configuration);
  });

  test("reads a config without logs: none are to be used", () => {
    const config = parse({ ...CONFIG, rekorTlogUrls: [], rekorTlogConfig: null });
    expect(config.rekorTlogUrls).toEqual([]);
    expect(config).not.toHaveProperty("rekorTlogConfig");
  });

  test("reads v0.1, where every service is of API version 1 and one of each is enough", () => {
    const service = (url: string): Service => ({
      url,
      majorApiVersion: 1,
      validFor: { start: new Date(0) },
      operator: "",
    });
    expect(parse(V01)).toEqual({
      mediaType: V01.mediaType,
      caUrls: [service("https://fulcio.example")],
      oidcUrls: [service("https://oidc.example/auth")],
      rekorTlogUrls: [service("https://rekor.example"), service("https://rekor-2.example")],
      rekorTlogConfig: { kind: "ANY" },
      tsaUrls: [service("https://tsa.example/api/v1/timestamp")],
      tsaConfig: { kind: "ANY" },
      unusable: [],
      ignoredFields: [],
    });
  });

  test("reads v0.1 with services left out or empty", () => {
    expect(parse({ mediaType: V01.mediaType, caUrl: "" })).toMatchObject({
      caUrls: [],
      oidcUrls: [],
      rekorTlogUrls: [],
      tsaUrls: [],
      unusable: [],
    });
  });

  test("reads a config that says v0.1 and is written like v0.2", () => {
    const mediaType = V01.mediaType;
    expect(parse({ ...CONFIG, mediaType })).toEqual({ ...parseSigningConfig(TEXT), mediaType });
  });

  test.for<[string, string]>([
    ["HTML", "<!doctype html><html></html>"],
    ["nothing", ""],
    ["an empty object", "{}"],
    ["a list", "[]"],
    ["no media type", JSON.stringify(without(CONFIG, "mediaType"))],
    [
      "a media type of a newer version",
      JSON.stringify({ ...CONFIG, mediaType: "application/vnd.dev.sigstore.signingconfig.v0.3+json" }),
    ],
    ["the media type of a trusted root", textFile("trusted-root/production.trusted_root.json")],
    ["services that are an object", JSON.stringify({ ...CONFIG, caUrls: {} })],
    ["JSON that ends early", TEXT.slice(0, -3)],
  ])("rejects a file that is or has %s", ([, text]) => {
    expect(() => parseSigningConfig(text)).toThrow(withCode("SIGNING_CONFIG_MALFORMED"));
  });

  test("rejects a field that occurs twice", () => {
    expect(() => parseSigningConfig(TEXT.replace('"caUrls":', '"caUrls":[],"caUrls":'))).toThrow(
      withCode("JSON_DUPLICATE_KEY"),
    );
  });

  test("rejects a file that is too large", () => {
    expect(() => parseSigningConfig(TEXT.padEnd(4 * 1024 * 1024))).not.toThrow();
    expect(() => parseSigningConfig(TEXT.padEnd(4 * 1024 * 1024 + 1))).toThrow(withCode("LIMIT_EXCEEDED"));
  });

  test.for<[string, Json]>([
    ["without a URL", without(CONFIG, "rekorTlogUrls.0.url")],
    ["with a URL without a scheme", change(CONFIG, "rekorTlogUrls.0.url", "rekor.example")],
    ["with a URL of a file", change(CONFIG, "rekorTlogUrls.0.url", "file:///etc/passwd")],
    ["with a URL without a host", change(CONFIG, "rekorTlogUrls.0.url", "https://")],
    ["with a URL that is no string", change(CONFIG, "rekorTlogUrls.0.url", 1)],
    ["without a period", without(CONFIG, "rekorTlogUrls.0.validFor")],
    ["without a start", without(CONFIG, "rekorTlogUrls.0.validFor.start")],
    ["with an end before its start", change(CONFIG, "rekorTlogUrls.0.validFor.end", "2001-01-01T00:00:00Z")],
    ["with a version that is a string", change(CONFIG, "rekorTlogUrls.0.majorApiVersion", "v2")],
    ["with a negative version", change(CONFIG, "rekorTlogUrls.0.majorApiVersion", -2)],
    ["with an operator that is a list", change(CONFIG, "rekorTlogUrls.0.operator", [])],
    ["that is null", change(CONFIG, "rekorTlogUrls.0", null)],
  ])("sets aside a service %s, and nothing else", ([, json]) => {
    const config = parse(json);
    expect(config.unusable).toEqual([{ path: "rekorTlogUrls[0]", reason: expect.stringMatching(/./) as string }]);
    expect({ ...config, unusable: [] }).toEqual({
      ...parse(CONFIG),
      rekorTlogUrls: parse(CONFIG).rekorTlogUrls.slice(1),
    });
  });

  test("sets aside a URL with credentials, without repeating them", () => {
    const { unusable } = parse(change(CONFIG, "caUrls.0.url", "https://user:hunter2@fulcio.example"));
    expect(unusable).toMatchObject([{ path: "caUrls[0]" }]);
    expect(JSON.stringify(unusable)).not.toContain("hunter2");
    expect(JSON.stringify(parse({ ...V01, caUrl: "https://user:hunter2@" }).unusable)).not.toContain("hunter2");
  });

  test.for<[string, unknown]>([
    ["an unknown selector", { selector: "MOST" }],
    ["an undefined selector", { selector: "SERVICE_SELECTOR_UNDEFINED" }],
    ["no selector", {}],
    ["a selector by number", { selector: 2 }],
    ["EXACT without a count", { selector: "EXACT" }],
    ["EXACT 0", { selector: "EXACT", count: 0 }],
    ["EXACT -1", { selector: "EXACT", count: -1 }],
  ])("sets aside a service configuration with %s", ([, json]) => {
    const config = parse({ ...CONFIG, tsaConfig: json });
    expect(config.unusable).toMatchObject([{ path: "tsaConfig" }]);
    expect(config).not.toHaveProperty("tsaConfig");
  });

  test("ignores fields that it does not know, and names them", () => {
    let json = change(CONFIG, "future", 1);
    for (const path of ["caUrls.0.future", "caUrls.0.validFor.future", "tsaConfig.future"])
      json = change(json, path, 1);
    const config = parse(json);
    expect([...config.ignoredFields].sort()).toEqual([
      "caUrls[0].future",
      "caUrls[0].validFor.future",
      "future",
      "tsaConfig.future",
    ]);
    expect({ ...config, ignoredFields: [] }).toEqual(parse(CONFIG));
  });

  test("gives a SigstoreError or a config for any value in place of any other", () => {
    const paths = pathsOf(CONFIG);
    fc.assert(
      fc.property(fc.constantFrom(...paths), fc.jsonValue({ maxDepth: 2 }), (path, value) => {
        try {
          expect(parse(change(CONFIG, path, value))).toHaveProperty("caUrls");
        } catch (error) {
          expect(error).toBeInstanceOf(SigstoreError);
        }
      }),
    );
  });
});

describe("serializeSigningConfig", () => {
  test("writes a config so that it reads the same", () => {
    const config = parse({ ...CONFIG, rekorTlogConfig: { selector: "EXACT", count: 2 } });
    expect(parseSigningConfig(serializeSigningConfig(config))).toEqual(config);
  });

  test("writes a config so that protobuf-specs reads what it read before", () => {
    expect(ProtoSigningConfig.fromJSON(JSON.parse(serializeSigningConfig(parse(CONFIG))))).toEqual(
      ProtoSigningConfig.fromJSON(CONFIG),
    );
  });

  test("writes v0.1 as v0.2", () => {
    const config = parse(V01);
    expect(parseSigningConfigObject(JSON.parse(serializeSigningConfig(config)) as JsonValue)).toEqual({
      ...config,
      mediaType: CONFIG["mediaType"],
    });
  });
});

const NOW = new Date("2026-06-01T00:00:00Z");
const service = (
  url: string,
  majorApiVersion: number,
  start: string,
  operator = "a.example",
  end?: string,
): Service => ({
  url,
  majorApiVersion,
  validFor: { start: new Date(start), ...(end !== undefined && { end: new Date(end) }) },
  operator,
});

describe("selectService (sigstore_trustroot.proto ca_urls, oidc_urls)", () => {
  const select = (services: readonly Service[], supportedVersions = [1]) =>
    selectService(services, { supportedVersions, now: NOW }).url;

  test("selects the one that started last", () => {
    expect(
      select([service("old", 1, "2024-01-01"), service("new", 1, "2025-01-01"), service("older", 1, "2023-01-01")]),
    ).toBe("new");
  });

  test("selects the first of those that started at once", () => {
    expect(select([service("first", 1, "2025-01-01"), service("second", 1, "2025-01-01")])).toBe("first");
  });

  test("selects the highest version that is supported, though it is older", () => {
    const services = [service("v1", 1, "2026-01-01"), service("v2", 2, "2024-01-01"), service("v3", 3, "2026-01-01")];
    expect(select(services, [1, 2])).toBe("v2");
    expect(select(services, [1])).toBe("v1");
  });

  test("passes over those that are not valid yet or any more", () => {
    expect(
      select([
        service("future", 1, "2026-06-01T00:00:00.001Z"),
        service("past", 1, "2026-01-01", "a.example", "2026-05-31T23:59:59.999Z"),
        service("now", 1, "2020-01-01"),
      ]),
    ).toBe("now");
  });

  test("counts start and end as valid", () => {
    expect(select([service("starts", 1, NOW.toISOString())])).toBe("starts");
    expect(select([service("ends", 1, "2020-01-01", "a.example", NOW.toISOString())])).toBe("ends");
  });

  test("falls back to a lower version where the higher one is not valid", () => {
    expect(select([service("v2", 2, "2027-01-01"), service("v1", 1, "2020-01-01")], [1, 2])).toBe("v1");
  });

  test.for<[string, Service[], number[]]>([
    ["no services", [], [1]],
    ["services of other versions alone", [service("v2", 2, "2020-01-01")], [1]],
    ["services of other times alone", [service("v1", 1, "2027-01-01")], [1]],
    ["a service that is not released, even if it is asked for", [service("v0", 0, "2020-01-01")], [0, 1]],
    ["a caller that supports no version", [service("v1", 1, "2020-01-01")], []],
  ])("rejects %s", ([, services, versions]) => {
    expect(() => select(services, versions)).toThrow(withCode("SIGNING_CONFIG_UNUSABLE"));
  });
});

describe("selectServices (sigstore_trustroot.proto ServiceSelector)", () => {
  const SERVICES = [
    service("a-old", 2, "2024-01-01", "a.example"),
    service("a-new", 2, "2025-01-01", "a.example"),
    service("b", 2, "2023-01-01", "b.example"),
    service("c", 2, "2026-01-01", "c.example"),
    service("d-v1", 1, "2026-01-01", "d.example"),
  ];
  const select = (
    configuration: Parameters<typeof selectServices>[1],
    random: () => number = () => 0,
    services: readonly Service[] = SERVICES,
    supportedVersions = [1, 2],
  ) => selectServices(services, configuration, { supportedVersions, now: NOW, random }).map(({ url }) => url);

  test("selects ALL operators of the highest version, each with its newest service", () => {
    expect(select({ kind: "ALL" })).toEqual(["c", "a-new", "b"]);
    expect(select({ kind: "ALL" }, undefined, undefined, [1])).toEqual(["d-v1"]);
  });

  test.for([
    [0, "c"],
    [0.34, "a-new"],
    [0.999, "b"],
  ] as const)("selects ANY one, at random: %d gives %s", ([number, url]) => {
    expect(select({ kind: "ANY" }, () => number)).toEqual([url]);
  });

  test("selects EXACT as many, of distinct operators, at random", () => {
    expect(select({ kind: "EXACT", count: 2 }, () => 0)).toEqual(["c", "a-new"]);
    expect(select({ kind: "EXACT", count: 2 }, () => 0.999)).toEqual(["b", "a-new"]);
    expect(select({ kind: "EXACT", count: 3 }, () => 0.5)).toHaveLength(3);
  });

  test("selects each with the same chance", () => {
    // Every draw of two out of three, walked through in steps: arithmetic, not luck.
    const counts = new Map<string, number>();
    for (let first = 0; first < 3; first++) {
      for (let second = 0; second < 2; second++) {
        const draws = [(first + 0.5) / 3, (second + 0.5) / 2];
        for (const url of select({ kind: "EXACT", count: 2 }, () => draws.shift() ?? 0))
          counts.set(url, (counts.get(url) ?? 0) + 1);
      }
    }
    expect(Object.fromEntries(counts)).toEqual({ "a-new": 4, b: 4, c: 4 });
  });

  test("counts services without an operator as one operator's", () => {
    const nameless = [service("x", 1, "2024-01-01", ""), service("y", 1, "2025-01-01", "")];
    expect(select({ kind: "ALL" }, undefined, nameless)).toEqual(["y"]);
    expect(() => select({ kind: "EXACT", count: 2 }, undefined, nameless)).toThrow(withCode("SIGNING_CONFIG_UNUSABLE"));
  });

  test("never mixes versions to reach a number", () => {
    expect(() => select({ kind: "EXACT", count: 4 })).toThrow(withCode("SIGNING_CONFIG_UNUSABLE"));
  });

  test("leaves the list as it was", () => {
    const frozen = Object.freeze([...SERVICES]);
    expect(() => select({ kind: "EXACT", count: 2 }, () => 0, frozen)).not.toThrow();
  });

  test.for([
    ["ALL of none", { kind: "ALL" }, []],
    ["ANY of none", { kind: "ANY" }, []],
    ["EXACT 1 of none", { kind: "EXACT", count: 1 }, []],
    ["ALL of none that is valid", { kind: "ALL" }, [service("x", 1, "2027-01-01")]],
    ["ANY of none that is supported", { kind: "ANY" }, [service("x", 9, "2020-01-01")]],
    ["no configuration", undefined, SERVICES],
  ] as const)("rejects %s", ([, configuration, services]) => {
    expect(() => select(configuration, () => 0, services)).toThrow(withCode("SIGNING_CONFIG_UNUSABLE"));
  });
});
