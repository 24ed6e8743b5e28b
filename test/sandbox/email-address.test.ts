import { describe, expect, test } from "vitest";
import { isEmailAddress } from "../../src/sandbox/email-address.ts";

describe("isEmailAddress (what the real Fulcio takes for one)", () => {
  test.for([
    "dev@example.com",
    "a@b.cc",
    "Ann.O'Nym+tag@sub.example.org",
    "x@example.com.",
    "a_b@ex-am_ple.org",
    '"a b"@example.com',
    "ü@exämple.org",
  ])("accepts %s", (text) => {
    expect(isEmailAddress(text)).toBe(true);
  });

  test.for([
    "",
    "nobody",
    "a@b",
    "@example.com",
    "a@",
    "a b@example.com",
    ".a@example.com",
    "a..b@example.com",
    "a@example.c0",
    "a@-example.com",
    "a@example-.com",
    "a@b@example.com",
    "a@example.com\n",
    "<a@example.com>",
    `${"a".repeat(310)}@example.com`,
  ])("refuses %j", (text) => {
    expect(isEmailAddress(text)).toBe(false);
  });

  test("takes no longer for what almost is one", () => {
    const begin = performance.now();
    isEmailAddress(`a@${"a.".repeat(150)}!`);
    isEmailAddress(`${"a.".repeat(150)}@`);
    expect(performance.now() - begin).toBeLessThan(10_000); // a backtracking engine does not end
  });
});
