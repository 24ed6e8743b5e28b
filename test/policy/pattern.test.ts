import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { compilePattern } from "../../src/policy/pattern.ts";
import { jsonFile } from "../support/json-edits.ts";

interface GoCase {
  readonly pattern: string;
  readonly match?: string;
  readonly whole?: string;
}

const { values, cases } = jsonFile("pattern/cases.json") as unknown as {
  readonly values: readonly string[];
  readonly cases: readonly GoCase[];
};

/** Compiles a pattern, or gives the code of the refusal. */
function tryCompile(pattern: string): ReturnType<typeof compilePattern> | undefined {
  try {
    return compilePattern(pattern);
  } catch (error) {
    expect(error).toMatchObject({ name: "InputError", code: "USAGE_INVALID" });
    return undefined;
  }
}

describe("compilePattern (RE2 syntax, as Go reads it)", () => {
  test("compiles what Go compiles, and matches what Go matches", () => {
    expect(cases.length).toBeGreaterThan(1000);
    const differences = cases.filter(({ pattern, match }) => {
      const compiled = tryCompile(pattern);
      return match !== (compiled && values.map((value) => (compiled.test(value) ? "1" : "0")).join(""));
    });
    expect(differences).toEqual([]);
  });

  test("never calls a pattern anchored that Go matches with a part of a value", () => {
    const anchored = cases.filter(({ pattern }) => tryCompile(pattern)?.anchored === true);
    expect(anchored.length).toBeGreaterThan(200);
    expect(anchored.filter(({ match, whole }) => match !== whole)).toEqual([]);
  });

  test.each([
    "^a$",
    String.raw`\Aa\z`,
    String.raw`^a\z`,
    "^(a|b)$",
    "^(?:a|b)$",
    "^[a|b]$",
    "^[]|]$",
    "^[[:alpha:]]+$",
    String.raw`^a\|b$`,
    String.raw`^a\\$`,
    "(?i)^a$",
    "(?is)^a$",
    "^(?i)a$",
    "^(?-m)a$",
    "^^a$$",
    "^$",
    String.raw`^https://github\.com/acme/[^/]+/\.github/workflows/release\.yml@refs/tags/v\d+$`,
  ])("calls %s anchored", (pattern) => {
    expect(compilePattern(pattern)).toMatchObject({ anchored: true, kind: "pattern", description: pattern });
  });

  test.each([
    ["has no anchors", "a"],
    ["is anchored at its beginning only", "^a"],
    ["is anchored at its end only", "a$"],
    ["has an alternative beside its anchors", "^a|b$"],
    ["has anchors in one alternative each", "(^a|b$)"],
    ["makes anchors match at lines", "(?m)^a$"],
    ["makes anchors match at lines, further in", "^a(?m)$"],
    ["makes anchors match at lines in a group", "^(?m:a$)$"],
    ["makes anchors match at lines among other flags", "(?ims)^a$"],
    ["repeats its first anchor no times", "^*a$"],
    ["repeats its first anchor no times, behind flags", "^(?U)*a$"],
    ["repeats its first anchor perhaps", "^?a$"],
    ["escapes its first anchor", String.raw`\^a$`],
    ["escapes its last anchor", String.raw`^a\$`],
    ["escapes the backslash of its last anchor", String.raw`^a\\z`],
    ["has its last anchor in a class", "^a[$]"],
    ["quotes what looks like an anchor", String.raw`^\Qa$`],
    ["is empty", ""],
    ["is one anchor", "^"],
  ])("does not call a pattern anchored that %s", (_, pattern) => {
    expect(compilePattern(pattern).anchored).toBe(false);
  });

  test("never calls a pattern anchored that matches a value with something before or after (property)", () => {
    const atom = fc.constantFrom(
      ..."ab.^$|()[]*+?{}\\".split(""),
      "[^a]",
      "[a|b]",
      "(?:",
      "(?i)",
      "(?m)",
      "(?U)",
      String.raw`\z`,
      String.raw`\A`,
      "{0}",
      "{2}",
    );
    const body = fc.array(atom, { maxLength: 8 }).map((parts) => parts.join(""));
    const pattern = fc.oneof(
      body,
      body.map((text) => `^${text}$`),
      body.map((text) => `(?i)^${text}\\z`),
    );
    const value = fc.string({ unit: fc.constantFrom(..."ab$^|\nAB{}".split("")), maxLength: 6 });
    fc.assert(
      fc.property(pattern, fc.array(value, { minLength: 10, maxLength: 10 }), (source, texts) => {
        const compiled = tryCompile(source);
        if (compiled?.anchored !== true) return;
        const whole = tryCompile(`\\A(?:${source})\\z`);
        for (const text of texts)
          if (compiled.test(text)) expect(whole?.test(text), `${source} in ${JSON.stringify(text)}`).toBe(true);
      }),
      { numRuns: 3000, seed: 20261123 },
    );
  });

  test("agrees with the runtime's own engine on what both can write (property)", () => {
    const atom = fc.constantFrom(
      "a",
      "b",
      ".",
      "[ab]",
      "[^a]",
      "(?:a|b)",
      "(a)",
      "a*",
      "b+?",
      "a?",
      "b{1,2}",
      "^",
      "$",
      "|",
    );
    const pattern = fc.array(atom, { maxLength: 6 }).map((parts) => parts.join(""));
    const value = fc.string({ unit: fc.constantFrom("a", "b", "c"), maxLength: 8 });
    fc.assert(
      fc.property(pattern, value, (source, text) => {
        expect(compilePattern(source).test(text)).toBe(new RegExp(source, "u").test(text));
      }),
      { numRuns: 2000, seed: 20261123 },
    );
  });

  test.each([
    ["nested repetition", "^(a+)+$", `${"a".repeat(20_000)}!`],
    ["overlapping alternatives", "^(a|a|aa)+$", `${"a".repeat(20_000)}!`],
    ["repeated anything", "(.*)*(.*)*x", "a".repeat(20_000)],
    ["counted repetition", "^(a?){200}a{200}$", "a".repeat(199)],
  ])("takes no longer for %s than its length allows", (_, pattern, value) => {
    const started = performance.now();
    expect(compilePattern(pattern).test(value)).toBe(false);
    expect(performance.now() - started).toBeLessThan(5000); // a backtracking engine does not end
  });

  test.each([
    "(",
    "[",
    "a**",
    "*",
    "(?=a)",
    String.raw`(a)\1`,
    "a{1001}",
    "(a{100}){100}",
    "[b-a]",
    "(?z)",
    String.raw`\8`,
    "(".repeat(100_000),
  ])("refuses %.20s, with the reason", (pattern) => {
    expect(() => compilePattern(pattern)).toThrow(/is not RE2 syntax: ./);
    expect(tryCompile(pattern)).toBeUndefined();
  });
});
