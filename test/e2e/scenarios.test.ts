import { existsSync, readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { SCENARIOS, type Counterpart } from "./scenarios.ts";

const all = Object.entries(SCENARIOS);
const counterparts = all.flatMap(([name, answer]): readonly (readonly [string, Counterpart])[] =>
  answer.kind === "tests" ? answer.tests.map((one) => [name, one]) : [],
);

describe("the scenarios of cosign's own suite", () => {
  test.for(counterparts)("%s is asked here", ([, { file, title }]) => {
    const path = new URL(`../${file}`, import.meta.url);
    expect(existsSync(path), file).toBe(true);
    const titles = [...readFileSync(path, "utf8").matchAll(/"((?:[^"\\\n]|\\.)*)"/g)].map(([, text = ""]) => text);
    expect(
      titles.filter((text) => text.startsWith(title)),
      `${file}: ${title}`,
    ).not.toEqual([]);
  });

  test("that do not apply have a reason", () => {
    const reasons = all.flatMap(([, answer]) => (answer.kind === "does-not-apply" ? [answer.reason] : []));
    expect(reasons.filter((reason) => reason.length < 20)).toEqual([]);
  });

  test("are as many as the suite has", () => {
    // e2e_test.go: 21 about signatures, 13 about bundles, 16 about attestations, 6 about blobs, 12 others.
    expect(all.filter(([name]) => name.startsWith("Test"))).toHaveLength(21 + 13 + 16 + 6 + 12 + 11 + 6);
  });
});
