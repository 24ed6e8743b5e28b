/**
 * The whole matrix: every bit of three real bundles flipped, every cut made. Takes minutes; spread over the processors.
 *
 * usage: node test/mutation/run.ts [NAME...]
 */

import { availableParallelism } from "node:os";
import process from "node:process";
import { isMainThread, parentPort, Worker, workerData } from "node:worker_threads";

import { createJudge } from "../support/judge-mutation.ts";
import { MUTATED_BUNDLES } from "../support/mutated-bundles.ts";
import { listMutations } from "../support/mutations.ts";

interface Share {
  readonly name: string;
  readonly first: number;
  readonly step: number;
}

interface Outcome {
  readonly judged: number;
  readonly problems: readonly string[];
}

if (isMainThread) await runAll(process.argv.length > 2 ? process.argv.slice(2) : MUTATED_BUNDLES);
else parentPort?.postMessage(await judgeShare(workerData as Share));

async function runAll(names: readonly string[]): Promise<void> {
  const step = availableParallelism();
  let passed = 0;
  const problems: string[] = [];
  for (const name of names) {
    const started = performance.now();
    const outcomes = await Promise.all(Array.from({ length: step }, (_, first) => inWorker({ name, first, step })));
    for (const outcome of outcomes) {
      passed += outcome.judged - outcome.problems.length;
      problems.push(...outcome.problems);
    }
    const judged = outcomes.reduce((sum, outcome) => sum + outcome.judged, 0);
    console.log(`${name}: ${judged} mutations in ${Math.round((performance.now() - started) / 1000)} s`);
  }
  for (const problem of problems.slice(0, 50)) console.log(problem);
  console.log(`${passed} passed, ${problems.length} failed`);
  process.exitCode = problems.length === 0 ? 0 : 1;
}

async function judgeShare({ name, first, step }: Share): Promise<Outcome> {
  const judge = await createJudge(name);
  const mutations = listMutations(judge.bundle);
  const problems: string[] = [];
  let judged = 0;
  for (let index = first; index < mutations.length; index += step) {
    const mutation = mutations[index];
    if (mutation === undefined) continue;
    judged += 1;
    const problem = await judge.judge(mutation);
    if (problem !== undefined) problems.push(problem);
  }
  return { judged, problems };
}

function inWorker(share: Share): Promise<Outcome> {
  return new Promise((resolve, reject) => {
    const worker = new Worker(new URL(import.meta.url), { workerData: share });
    worker.once("message", resolve);
    worker.once("error", reject);
  });
}
