import { describe, expect, test } from "vitest";
import { findServerWords } from "../../src/http/server-words.ts";

const words = (text: string): string | undefined => findServerWords(Buffer.from(text));

describe("findServerWords", () => {
  test.for([
    [
      "Fulcio and Rekor v2",
      '{"code":3,"message":"invalid hashedrekord request","details":[]}',
      '"invalid hashedrekord request"',
    ],
    ["Rekor v1", '{"code":400,"message":"error processing entry: x"}\n', '"error processing entry: x"'],
    ["an OAuth server", '{"error":"invalid_grant","error_description":"Invalid code"}', '"Invalid code"'],
    ["an OAuth server that says less", '{"error":"invalid_grant"}', '"invalid_grant"'],
    ["a registry", '{"errors":[{"code":"DENIED","message":"no access","detail":null}]}', '"no access"'],
    ["a registry that says less", '{"errors":[{"code":"DENIED"}]}', '"DENIED"'],
    ["a plain server", "404 page\n  not found\n", '"404 page not found"'],
    ["a proxy", "<!DOCTYPE html><html>Bad gateway</html>", undefined],
    ["nobody", "", undefined],
    ["a server that sends other JSON", '{"a":1}', '"{"a":1}"'],
    ["a server whose JSON broke off", '{"message":"half', '"{"message":"half"'],
  ] as const)("finds those of %s", ([, body, expected]) => {
    expect(words(body)).toBe(expected);
  });

  test("shortens them, after masking: no beginning of a secret stays", () => {
    const long = `${"x".repeat(290)} eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.abc`;
    const found = words(JSON.stringify({ message: long })) ?? "";
    expect(found).not.toContain("eyJ");
    expect(words("y".repeat(1000))).toHaveLength(303);
  });

  test("makes visible what moves the cursor or turns text around", () => {
    expect(words("a\u001b[2J\u202eb\u0000")).toBe('"a\\u001b[2J\\u202eb\\u0000"');
  });

  test("takes bytes that are no text", () => {
    expect(findServerWords(Uint8Array.of(0xff, 0xfe))).toBe('"\ufffd\ufffd"');
  });
});
