import { describe, expect, test } from "vitest";
import { createJudge } from "../support/judge-mutation.ts";
import { listMutations, sampleMutations } from "../support/mutations.ts";
import { MUTATED_BUNDLES } from "../support/mutated-bundles.ts";

const SAMPLE = 700;
const SEED = 0x5167_5702;

describe("a bundle changed by one bit or cut (a seeded sample; `npm run test:mutation` takes them all)", () => {
  test.for(MUTATED_BUNDLES)("%s is refused, or proves nothing new, at a bounded cost", async (name) => {
    const judge = await createJudge(name);
    const problems: string[] = [];
    for (const mutation of sampleMutations(listMutations(judge.bundle), SAMPLE, SEED)) {
      const problem = await judge.judge(mutation);
      if (problem !== undefined) problems.push(problem);
    }
    expect(problems).toEqual([]);
  });

  test("the judge notices a changed meaning", async () => {
    const [name = ""] = MUTATED_BUNDLES;
    const judge = await createJudge(name);
    // An unchanged bundle proves what it proved; the same signer's bundle over another artifact would not verify at all.
    expect(await judge.judge({ label: "unchanged", make: () => judge.bundle })).toBeUndefined();
  });
});
