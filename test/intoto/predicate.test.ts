import { describe, expect, test } from "vitest";

import { predicateFor, PREDICATE_TYPES, predicateTypeOf } from "../../src/intoto/predicate.ts";
import { outcomeOf, utf8 } from "../support/logs.ts";

const NOW = new Date("2026-01-02T03:04:05.678Z");
const OBJECT = '{"large": 9007199254740993, "unknown": true}\n';
const LINK = '{"_type":"link","name":"n","materials":{},"products":{},"byproducts":{},"command":[],"environment":{}}';

/** What `cosign attest-blob --type …` of version 3.1 makes of the names. */
describe("predicateFor", () => {
  test("wraps a file as text where it is of no type", () => {
    expect(predicateFor("custom", utf8('he said "hi"\n'), NOW)).toEqual({
      predicateType: "https://cosign.sigstore.dev/attestation/v1",
      predicate: '{"Data":"he said \\"hi\\"\\n","Timestamp":"2026-01-02T03:04:05Z"}',
    });
  });

  test("wraps SPDX as text, and takes it as an object in JSON", () => {
    expect(predicateFor("spdx", utf8("SPDXVersion: SPDX-2.2\n"), NOW)).toEqual({
      predicateType: "https://spdx.dev/Document",
      predicate: '"SPDXVersion: SPDX-2.2\\n"',
    });
    expect(predicateFor("spdxjson", utf8(OBJECT), NOW)).toEqual({
      predicateType: "https://spdx.dev/Document",
      predicate: OBJECT,
    });
  });

  test.for([
    ["slsaprovenance", "https://slsa.dev/provenance/v0.2", '{"builder":{"id":"x"},"buildType":"y","more":1}'],
    ["slsaprovenance02", "https://slsa.dev/provenance/v0.2", '{"builder":{"id":"x"},"buildType":"y"}'],
    ["slsaprovenance1", "https://slsa.dev/provenance/v1", '{"buildDefinition":{},"runDetails":{}}'],
    ["cyclonedx", "https://cyclonedx.org/bom", OBJECT],
    ["link", "https://in-toto.io/Link/v1", LINK],
    ["vuln", "https://cosign.sigstore.dev/attestation/vuln/v1", OBJECT],
    ["openvex", "https://openvex.dev/ns", OBJECT],
    ["https://example.com/x", "https://example.com/x", OBJECT],
  ] as const)("keeps the text of %s, which is %s", ([name, predicateType, text]) => {
    expect(predicateFor(name, utf8(text), NOW)).toEqual({ predicateType, predicate: text });
    expect(predicateTypeOf(name)).toBe(predicateType);
  });

  test.for([
    ["an unknown name", "USAGE_INVALID", "spdx2", "{}"],
    ["a name of every object", "USAGE_INVALID", "constructor", "{}"],
    ["a list for a URI", "STATEMENT_MALFORMED", "https://example.com/x", "[]"],
    ["text for a URI", "STATEMENT_MALFORMED", "https://example.com/x", "text"],
    ["a name twice", "JSON_DUPLICATE_KEY", "cyclonedx", '{"a":1,"a":1}'],
    ["provenance without a builder", "STATEMENT_MALFORMED", "slsaprovenance", '{"buildType":"y"}'],
    ["provenance v1 without run details", "STATEMENT_MALFORMED", "slsaprovenance1", '{"buildDefinition":{}}'],
    ["a link without products", "STATEMENT_MALFORMED", "link", LINK.replace('"products":{},', "")],
  ] as const)("refuses %s", async ([, code, name, text]) => {
    expect(await outcomeOf(Promise.resolve().then(() => predicateFor(name, utf8(text), NOW)))).toBe(code);
  });

  test("refuses bytes that are no text, whatever they are to be", async () => {
    for (const name of Object.keys(PREDICATE_TYPES))
      expect(await outcomeOf(Promise.resolve().then(() => predicateFor(name, Uint8Array.of(0xff), NOW)))).toBe(
        "STATEMENT_MALFORMED",
      );
  });
});
