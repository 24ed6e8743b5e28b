import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { formatDigest, tryParseDigest } from "../../src/crypto/digest.ts";

// FIPS 180-4 examples: the digests of "abc"
const SHA256 = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
const SHA384 = "cb00753f45a35e8bb5a03d699ac65007272c32ab0eded1631a8b605a43ff5bed8086072ba1e7cc2358baeca134c825a7";
const SHA512 =
  "ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a2192992a274fc1a836ba3c23a3feebbd454d4423643ce80e2a9ac94fa54ca49f";

describe("tryParseDigest", () => {
  test.for([
    ["sha256", SHA256, 32],
    ["sha384", SHA384, 48],
    ["sha512", SHA512, 64],
  ] as const)("reads %s, which formatDigest writes", ([algorithm, digits, length]) => {
    const digest = tryParseDigest(`${algorithm}:${digits}`);
    expect(digest?.algorithm).toBe(algorithm);
    expect(digest?.value).toHaveLength(length);
    expect(digest && formatDigest(digest)).toBe(`${algorithm}:${digits}`);
  });

  test("reads upper-case digits", () => {
    expect(tryParseDigest(`sha256:${SHA256.toUpperCase()}`)).toEqual(tryParseDigest(`sha256:${SHA256}`));
  });

  test.for([
    ["nothing", ""],
    ["no algorithm", SHA256],
    ["an empty algorithm", `:${SHA256}`],
    ["no digits", "sha256:"],
    ["the digits of another algorithm", `sha256:${SHA384}`],
    ["a digit less", `sha256:${SHA256.slice(1)}`],
    ["a digit more", `sha256:${SHA256}0`],
    ["a letter that is no digit", `sha256:g${SHA256.slice(1)}`],
    ["a space before it", ` sha256:${SHA256}`],
    ["an algorithm in capitals", `SHA256:${SHA256}`],
    ["SHA-1", "sha1:a9993e364706816aba3e25717850c26c9cd0d89d"],
    ["the name of an inherited property", `constructor:${SHA256}`],
  ] as const)("is undefined for %s", ([, text]) => {
    expect(tryParseDigest(text)).toBeUndefined();
  });

  test("never throws", () => {
    fc.assert(fc.property(fc.string(), (text) => void tryParseDigest(text)));
    fc.assert(
      fc.property(fc.string({ minLength: 64, maxLength: 64 }), (text) => void tryParseDigest(`sha256:${text}`)),
    );
  });
});
