import { describe, expect, test } from "vitest";

import { SigstoreError } from "../../../src/errors.ts";
import { parseSimpleSigning, serializeSimpleSigning } from "../../../src/oci/legacy/simple-signing.ts";
import { utf8 } from "../../support/logs.ts";

const DIGEST = "sha256:4aa3054270f7a70b4528f2064ee90961788e1e1518703592ae4463de3b889dec";
const PAYLOAD = `{"critical":{"identity":{"docker-reference":"index.docker.io/namespace/image"},"image":{"docker-manifest-digest":"${DIGEST}"},"type":"cosign container image signature"},"optional":null}`;
const text = (bytes: Uint8Array): string => Buffer.from(bytes).toString();

describe('serializeSimpleSigning (sigstore/cosign specs/SIGNATURE_SPEC.md, "Simple Signing")', () => {
  test("writes the payload of the specification's image byte for byte", () => {
    expect(text(serializeSimpleSigning("index.docker.io/namespace/image", DIGEST))).toBe(PAYLOAD);
  });

  test("sorts annotations by the bytes of their names, numbers too, and escapes as Go does", () => {
    const annotations = { b: "<&>", "10": "\u2028", "9": 'a"\\', "\u{10000}": "x", "\uffff": "é" };
    // Go: json.Marshal(map[string]any{…}), with U+FFFF before U+10000, whose UTF-8 is larger.
    expect(text(serializeSimpleSigning("r", DIGEST, annotations))).toContain(
      '"optional":{"10":"\\u2028","9":"a\\"\\\\","b":"\\u003c\\u0026\\u003e","\uffff":"é","\u{10000}":"x"}}',
    );
  });

  test("is read back as it was", () => {
    const annotations = { a: "1", constructor: "2", toString: "3" };
    expect(parseSimpleSigning(serializeSimpleSigning("r/a", DIGEST, annotations))).toEqual({
      dockerReference: "r/a",
      dockerManifestDigest: DIGEST,
      type: "cosign container image signature",
      optional: annotations,
    });
  });
});

describe("parseSimpleSigning", () => {
  const parse = (payload: string): unknown => parseSimpleSigning(utf8(payload));

  test("reads what the first releases of cosign wrote", () => {
    const payload = `{"Critical":{"Identity":{"docker-reference":""},"Image":{"Docker-manifest-digest":"${DIGEST}"},"Type":"cosign container signature"},"Optional":null}`;
    expect(parse(payload)).toEqual({
      dockerReference: "",
      dockerManifestDigest: DIGEST,
      type: "cosign container signature",
      optional: {},
    });
  });

  test("keeps annotations of any type", () => {
    const payload = PAYLOAD.replace("null}", '{"creator":"x","timestamp":1700000000,"list":[null,true]}}');
    expect(parse(payload)).toMatchObject({
      optional: { creator: "x", timestamp: 1_700_000_000, list: [null, true] },
    });
  });

  test.for([
    ["is no JSON", "critical", "SIMPLE_SIGNING_MALFORMED"],
    ["has no critical part", PAYLOAD.replace('"critical"', '"optional2"'), "SIMPLE_SIGNING_MALFORMED"],
    ["has no image", PAYLOAD.replace('"image":{', '"image2":{'), "SIMPLE_SIGNING_MALFORMED"],
    ["has no digest", PAYLOAD.replace(`"docker-manifest-digest":"${DIGEST}"`, ""), "SIMPLE_SIGNING_MALFORMED"],
    ["has no type", PAYLOAD.replace(',"type":"cosign container image signature"', ""), "SIMPLE_SIGNING_MALFORMED"],
    ["has a digest in upper case", PAYLOAD.replace("4aa3", "4AA3"), "SIMPLE_SIGNING_MALFORMED"],
    ["has a short digest", PAYLOAD.replace("4aa3", ""), "SIMPLE_SIGNING_MALFORMED"],
    ["has a digest that is a number", PAYLOAD.replace(`"${DIGEST}"`, "7"), "SIMPLE_SIGNING_MALFORMED"],
    [
      "has something critical that nobody knows",
      PAYLOAD.replace('"type":', '"until":"2030","type":'),
      "SIMPLE_SIGNING_MALFORMED",
    ],
    [
      "has a digest twice",
      PAYLOAD.replace('"docker-m', `"docker-manifest-digest":"${DIGEST}","docker-m`),
      "JSON_DUPLICATE_KEY",
    ],
    [
      "has a digest in two spellings",
      PAYLOAD.replace('"docker-m', `"Docker-manifest-digest":"${DIGEST}","docker-m`),
      "SIMPLE_SIGNING_MALFORMED",
    ],
    [
      "has a digest in two spellings, one of them null",
      PAYLOAD.replace('"docker-m', '"Docker-manifest-digest":null,"docker-m'),
      "SIMPLE_SIGNING_MALFORMED",
    ],
    [
      "has a critical part in two spellings",
      PAYLOAD.replace('"optional":null', '"Critical":{},"optional":null'),
      "SIMPLE_SIGNING_MALFORMED",
    ],
    [
      "has annotations that are a list",
      PAYLOAD.replace('"optional":null', '"optional":[]'),
      "SIMPLE_SIGNING_MALFORMED",
    ],
    ["goes on after its end", `${PAYLOAD}{}`, "SIMPLE_SIGNING_MALFORMED"],
  ] as const)("rejects a payload that %s", ([, payload, code]) => {
    expect(() => parse(payload)).toThrow(expect.objectContaining({ code }));
  });

  test("throws nothing but its own errors, whatever byte is another", () => {
    for (let at = 0; at < PAYLOAD.length; at += 1) {
      for (const changed of [0, 0x22, 0x7b, 0xff]) {
        const bytes = utf8(PAYLOAD);
        bytes[at] = changed;
        for (const one of [bytes, bytes.subarray(0, at)]) {
          try {
            parseSimpleSigning(one);
          } catch (error) {
            expect(error).toBeInstanceOf(SigstoreError);
          }
        }
      }
    }
  });
});
