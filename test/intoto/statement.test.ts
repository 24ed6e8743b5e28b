import { readFileSync } from "node:fs";
import { resolve } from "node:path";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { Digest } from "../../src/crypto/digest.ts";
import { findSubject, parseStatement, type Statement } from "../../src/intoto/statement.ts";
import { expectNoOtherError, SAMPLE, withFlippedByte } from "../support/hostile.ts";
import { projectDir } from "../support/shared.ts";

const SHA256 = "a".repeat(64);
const SHA384 = "b".repeat(96);
const SHA512 = "c".repeat(128);

const valid = {
  _type: "https://in-toto.io/Statement/v1",
  subject: [{ name: "artifact", digest: { sha256: SHA256 } }],
  predicateType: "https://slsa.dev/provenance/v1",
  predicate: { buildDefinition: {} },
};
const [subject] = valid.subject;
const parse = (value: unknown): Statement => parseStatement(Buffer.from(JSON.stringify(value)));
const withDigest = (digest: unknown): unknown => ({ ...valid, subject: [{ name: "artifact", digest }] });

describe("parseStatement (in-toto attestation framework, statement)", () => {
  test("reads the statement of a real bundle", () => {
    const bundle = JSON.parse(
      readFileSync(resolve(projectDir, "testdata", "bundle", "v0.3-dsse-certificate.sigstore.json"), "utf8"),
    ) as { dsseEnvelope: { payload: string } };
    const payload = Buffer.from(bundle.dsseEnvelope.payload, "base64");
    const json = JSON.parse(payload.toString()) as Record<string, unknown>;
    const statement = parseStatement(payload);
    expect(statement).toMatchObject({
      type: json["_type"],
      predicateType: json["predicateType"],
      predicate: json["predicate"],
      json,
    });
    expect(statement.subject).toEqual(json["subject"]);
  });

  test("reads every field, and keeps those that it does not know", () => {
    const value = {
      ...valid,
      subject: [{ ...subject, uri: "pkg:npm/x@1", annotations: { a: [null] }, mediaType: "text/plain" }],
      extension: { x: 1 },
    };
    expect(parse(value)).toEqual({
      type: valid._type,
      subject: [{ name: "artifact", uri: "pkg:npm/x@1", digest: { sha256: SHA256 }, annotations: { a: [null] } }],
      predicateType: valid.predicateType,
      predicate: valid.predicate,
      json: value,
    });
  });

  test.for([
    ["is of version 0.1", { ...valid, _type: "https://in-toto.io/Statement/v0.1" }],
    ["has no predicate", { ...valid, predicate: undefined }],
    [
      "has a predicate that is text, as cosign writes for SPDX tag-value",
      { ...valid, predicate: "SPDXVersion: SPDX-2.3" },
    ],
    ["has a subject without a name", { ...valid, subject: [{ digest: { sha256: SHA256 } }] }],
    ["has several subjects", { ...valid, subject: [subject, subject, { digest: { sha512: SHA512 } }] }],
    ["has several digests", withDigest({ sha256: SHA256, sha384: SHA384, sha512: SHA512 })],
    ["has a digest in upper case", withDigest({ sha256: SHA256.toUpperCase() })],
    ["has a digest by an algorithm that binds nothing", withDigest({ gitCommit: "any text" })],
    ["has a digest that is named as an inherited property", withDigest(JSON.parse('{"__proto__":"x","toString":"y"}'))],
  ] as const)("accepts a statement that %s", ([, value]) => {
    expect(() => parse(value)).not.toThrow();
  });

  test("reads a predicate that is null as not set", () => {
    expect(parse({ ...valid, predicate: null }).predicate).toBeUndefined();
  });

  test.for([
    ["is not an object", [valid]],
    ["is null", null],
    ["has no _type", { ...valid, _type: undefined }],
    ["has a _type of another version", { ...valid, _type: "https://in-toto.io/Statement/v2" }],
    ["has a _type of another case", { ...valid, _type: "https://in-toto.io/statement/v1" }],
    ["has a _type with a slash at its end", { ...valid, _type: "https://in-toto.io/Statement/v1/" }],
    ["has a _type that is a list", { ...valid, _type: ["https://in-toto.io/Statement/v1"] }],
    ["has type instead of _type", { ...valid, _type: undefined, type: "https://in-toto.io/Statement/v1" }],
    ["has no predicateType", { ...valid, predicateType: undefined }],
    ["has an empty predicateType", { ...valid, predicateType: "" }],
    ["has a predicateType that is a number", { ...valid, predicateType: 1 }],
    ["has predicate_type instead of predicateType", { ...valid, predicateType: undefined, predicate_type: "x" }],
    ["has no subject", { ...valid, subject: undefined }],
    ["has an empty list of subjects", { ...valid, subject: [] }],
    ["has a subject that is an object", { ...valid, subject: { ...subject } }],
    ["has a subject that is text", { ...valid, subject: ["artifact"] }],
    ["has a subject without a digest", { ...valid, subject: [{ name: "artifact", uri: "x" }] }],
    ["has a second subject without a digest", { ...valid, subject: [subject, { name: "x" }] }],
    ["has a name that is a number", { ...valid, subject: [{ ...subject, name: 1 }] }],
    ["has a uri that is a number", { ...valid, subject: [{ ...subject, uri: 1 }] }],
    ["has annotations that are a list", { ...valid, subject: [{ ...subject, annotations: [] }] }],
    ["has an empty digest set", withDigest({})],
    ["has a digest set that is a list", withDigest([SHA256])],
    ["has a digest that is a number", withDigest({ sha256: 1 })],
    ["has a digest that is null", withDigest({ sha256: SHA256, sha512: null })],
    ["has an unknown digest that is a number", withDigest({ sha256: SHA256, gitCommit: 1 })],
    ["has a sha256 that is too short", withDigest({ sha256: SHA256.slice(2) })],
    ["has a sha256 that is too long", withDigest({ sha256: `${SHA256}aa` })],
    ["has a sha256 of odd length", withDigest({ sha256: SHA256.slice(1) })],
    ["has a sha256 that is not hexadecimal", withDigest({ sha256: `${SHA256.slice(1)}g` })],
    ["has a sha256 with its algorithm in front", withDigest({ sha256: `sha256:${SHA256}` })],
    ["has a sha384 of the length of a sha256", withDigest({ sha256: SHA256, sha384: SHA256 })],
    ["has a sha512 of the length of a sha256", withDigest({ sha256: SHA256, sha512: SHA256 })],
  ] as const)("rejects a statement that %s", ([, value]) => {
    expect(() => parse(value)).toThrow(expect.objectContaining({ code: "STATEMENT_MALFORMED" }));
  });

  test.for([
    ["the statement", "{", '{"predicateType":"https://example.com/other",'],
    ["a subject", '{"name"', '{"digest":{},"name"'],
    ["a digest set", '{"sha256"', '{"sha256":"x","sha256"'],
    ["the predicate", '{"buildDefinition"', '{"buildDefinition":1,"buildDefinition"'],
  ] as const)("rejects a name that occurs twice in %s", ([, from, to]) => {
    const text = JSON.stringify(valid).replace(from, to);
    expect(() => parseStatement(Buffer.from(text))).toThrow(expect.objectContaining({ code: "JSON_DUPLICATE_KEY" }));
  });

  test.for([
    ["empty", Buffer.alloc(0)],
    ["not JSON", Buffer.from("statement")],
    ["not UTF-8", Buffer.from([0x7b, 0xff, 0x7d])],
  ] as const)("rejects a payload that is %s", ([, payload]) => {
    expect(() => parseStatement(payload)).toThrow(expect.objectContaining({ code: "STATEMENT_MALFORMED" }));
  });

  test("has limits on subjects and on digests of each", () => {
    const tooLarge = expect.objectContaining({ code: "LIMIT_EXCEEDED" }) as Error;
    const subjects = (count: number): unknown => ({ ...valid, subject: Array.from({ length: count }, () => subject) });
    const digests = (count: number): unknown =>
      withDigest(Object.fromEntries(Array.from({ length: count }, (_, i) => [`x${i}`, ""])));
    expect(parse(subjects(1024)).subject).toHaveLength(1024);
    expect(() => parse(subjects(1025))).toThrow(tooLarge);
    expect(() => parse(digests(32))).not.toThrow();
    expect(() => parse(digests(33))).toThrow(tooLarge);
  });

  test("throws nothing but a SigstoreError when a byte changes or the end is missing", () => {
    const bytes = Buffer.from(JSON.stringify(valid));
    fc.assert(
      fc.property(fc.nat(bytes.length - 1), fc.integer({ min: 1, max: 255 }), (index, pattern) => {
        expectNoOtherError(() => parseStatement(withFlippedByte(bytes, index, pattern)));
        expect(() => parseStatement(bytes.subarray(0, index))).toThrow(
          expect.objectContaining({ code: "STATEMENT_MALFORMED" }),
        );
      }),
      SAMPLE,
    );
  });
});

describe("findSubject (client specification §4.5; in-toto attestation framework, statement)", () => {
  const of = (algorithm: Digest["algorithm"], hex: string): Digest => ({
    algorithm,
    value: new Uint8Array(Buffer.from(hex, "hex")),
  });
  const statement = parse({
    ...valid,
    subject: [
      { name: "one", digest: { sha1: "d".repeat(40), sha512: SHA512 } },
      { name: "two", digest: { sha256: SHA256, sha384: SHA384 } },
      { name: "two again", digest: { sha256: SHA256.toUpperCase() } },
    ],
  });

  test.for([
    ["sha256", of("sha256", SHA256), 1],
    ["sha384", of("sha384", SHA384), 1],
    ["sha512", of("sha512", SHA512), 0],
  ] as const)("finds the first subject by its %s", ([, digest, index]) => {
    expect(findSubject(statement, [digest])).toEqual({ subject: statement.subject[index], digest, index });
  });

  test("finds a digest written in upper case", () => {
    const upper = parse(withDigest({ sha256: SHA256.toUpperCase() }));
    expect(findSubject(upper, [of("sha256", SHA256)])?.index).toBe(0);
  });

  test("needs one digest of several to match", () => {
    expect(findSubject(statement, [of("sha256", "0".repeat(64)), of("sha512", SHA512)])?.digest.algorithm).toBe(
      "sha512",
    );
  });

  test.for([
    ["no digest", []],
    ["another value", [of("sha256", `${SHA256.slice(1)}b`)]],
    ["the value of one algorithm under the name of another", [of("sha512", SHA512.slice(0, 64))]],
    ["an empty value", [of("sha256", "")]],
    ["sha1, whatever its value", [{ algorithm: "sha1", value: Buffer.alloc(20, 0xdd) } as unknown as Digest]],
    ["an inherited name", [{ algorithm: "toString", value: new Uint8Array(0) } as unknown as Digest]],
  ] as const)("finds nothing by %s", ([, digests]) => {
    expect(findSubject(statement, digests)).toBeUndefined();
  });
});
