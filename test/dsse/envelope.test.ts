import { createPublicKey, verify } from "node:crypto";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { parseEnvelope } from "../../src/dsse/envelope.ts";
import { preAuthEncoding } from "../../src/dsse/pae.ts";
import { expectNoOtherError, SAMPLE, withFlippedByte } from "../support/hostile.ts";

const PAYLOAD = Buffer.from([0xfb, 0xff, 0xbf, 0x01]); // "+/+/AQ==", "-_-_AQ=="
const valid = {
  payload: PAYLOAD.toString("base64"),
  payloadType: "application/vnd.in-toto+json",
  signatures: [{ keyid: "k1", sig: "Zm8=" }],
};
const [signature] = valid.signatures;
const parse = (value: unknown): ReturnType<typeof parseEnvelope> => parseEnvelope(JSON.stringify(value));

describe("parseEnvelope (DSSE envelope)", () => {
  test("reads the example of the specification, whose signature holds over its pre-authentication encoding", () => {
    const envelope = parseEnvelope(
      `{"payload": "aGVsbG8gd29ybGQ=",
        "payloadType": "http://example.com/HelloWorld",
        "signatures": [{"sig": "A3JqsQGtVsJ2O2xqrI5IcnXip5GToJ3F+FnZ+O88SjtR6rDAajabZKciJTfUiHqJPcIAriEGAHTVeCUjW2JIZA=="}]}`,
    );
    expect(Buffer.from(envelope.payload).toString()).toBe("hello world");
    expect(envelope.payloadType).toBe("http://example.com/HelloWorld");
    const coordinate = (decimal: string): string =>
      Buffer.from(BigInt(decimal).toString(16).padStart(64, "0"), "hex").toString("base64url");
    const key = createPublicKey({
      format: "jwk",
      key: {
        kty: "EC",
        crv: "P-256",
        x: coordinate("46950820868899156662930047687818585632848591499744589407958293238635476079160"),
        y: coordinate("5640078356564379163099075877009565129882514886557779369047442380624545832820"),
      },
    });
    const [first] = envelope.signatures;
    expect(first?.keyid).toBe("");
    const encoded = preAuthEncoding(envelope.payloadType, envelope.payload);
    expect(verify("sha256", encoded, { key, dsaEncoding: "ieee-p1363" }, Uint8Array.from(first!.sig))).toBe(true);
  });

  test.for([
    ["bytes instead of text", Buffer.from(JSON.stringify(valid))],
    ["the URL-safe alphabet", JSON.stringify({ ...valid, payload: "-_-_AQ==" })],
    ["the URL-safe alphabet without padding", JSON.stringify({ ...valid, payload: "-_-_AQ" })],
    ["unknown fields", JSON.stringify({ ...valid, extra: 1, signatures: [{ ...signature, cert: "x" }] })],
  ] as const)("accepts %s", ([, input]) => {
    expect(parseEnvelope(input)).toEqual({
      payload: new Uint8Array(PAYLOAD),
      payloadType: "application/vnd.in-toto+json",
      signatures: [{ keyid: "k1", sig: new Uint8Array(Buffer.from("fo")) }],
    });
  });

  test("reads several signatures in order, and an absent keyid as an empty one", () => {
    const { signatures } = parse({
      ...valid,
      signatures: [{ sig: "AQ==" }, { sig: "Ag==", keyid: null }, { sig: "Aw==", keyid: "" }],
    });
    expect(signatures).toEqual([1, 2, 3].map((byte) => ({ sig: Uint8Array.of(byte), keyid: "" })));
  });

  test("reads an empty payload", () => {
    expect(parse({ ...valid, payload: "" }).payload).toHaveLength(0);
  });

  test.for([
    ["is not an object", []],
    ["has no payload", { ...valid, payload: undefined }],
    ["has a payload that is null", { ...valid, payload: null }],
    ["has a payload that mixes alphabets", { ...valid, payload: "+/-_AQ==" }],
    ["has a payload with white space", { ...valid, payload: "+/+/ AQ==" }],
    ["has a payload whose unused bits are set", { ...valid, payload: "+/+/AR==" }],
    ["has a payload that is an object", { ...valid, payload: {} }],
    ["has no payload type", { ...valid, payloadType: undefined }],
    ["has an empty payload type", { ...valid, payloadType: "" }],
    ["has a payload type that is a number", { ...valid, payloadType: 1 }],
    ["has no signatures", { ...valid, signatures: undefined }],
    ["has an empty list of signatures", { ...valid, signatures: [] }],
    ["has signatures that are an object", { ...valid, signatures: { 0: signature } }],
    ["has a signature that is a string", { ...valid, signatures: ["Zm8="] }],
    ["has a signature without sig", { ...valid, signatures: [{ keyid: "k1" }] }],
    ["has a signature whose sig is empty", { ...valid, signatures: [{ ...signature, sig: "" }] }],
    ["has a signature that is not base64", { ...valid, signatures: [{ ...signature, sig: "Zm8!" }] }],
    ["has a keyid that is a number", { ...valid, signatures: [{ ...signature, keyid: 1 }] }],
    ["has a bad signature after a good one", { ...valid, signatures: [signature, {}] }],
  ] as const)("rejects an envelope that %s", ([, value]) => {
    expect(() => parse(value)).toThrow(expect.objectContaining({ code: "ENVELOPE_MALFORMED" }));
  });

  test("rejects a name that occurs twice", () => {
    const text = JSON.stringify(valid).replace("{", '{"payload":"AA==",');
    expect(() => parseEnvelope(text)).toThrow(expect.objectContaining({ code: "JSON_DUPLICATE_KEY" }));
  });

  test("has limits on the number of signatures and the size of each", () => {
    const of = (count: number, size: number): unknown => ({
      ...valid,
      signatures: Array.from({ length: count }, () => ({ sig: Buffer.alloc(size, 1).toString("base64") })),
    });
    const tooLarge = expect.objectContaining({ code: "LIMIT_EXCEEDED" }) as Error;
    expect(parse(of(32, 1)).signatures).toHaveLength(32);
    expect(() => parse(of(33, 1))).toThrow(tooLarge);
    expect(() => parse(of(1, 16 * 1024))).not.toThrow();
    expect(() => parse(of(1, 16 * 1024 + 1))).toThrow(tooLarge);
  });

  test("throws nothing but a SigstoreError when a byte changes or the end is missing", () => {
    const bytes = Buffer.from(JSON.stringify(valid));
    fc.assert(
      fc.property(fc.nat(bytes.length - 1), fc.integer({ min: 1, max: 255 }), (index, pattern) => {
        expectNoOtherError(() => parseEnvelope(withFlippedByte(bytes, index, pattern)));
        expect(() => parseEnvelope(bytes.subarray(0, index))).toThrow(
          expect.objectContaining({ code: "ENVELOPE_MALFORMED" }),
        );
      }),
      SAMPLE,
    );
  });
});
