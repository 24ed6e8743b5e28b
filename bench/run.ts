/**
 * Prints every figure of `docs/benchmarks.md` as Markdown. Needs `npm run build` first.
 *
 * usage: npm run bench [verify] [sign] [grow] [images]      without a word: all of it
 */

import { cpus } from "node:os";
import process from "node:process";

import { benchImages } from "./images.ts";
import { benchLargeArtifact, benchProcess } from "./process.ts";
import { benchGrowth, benchSigning } from "./sign.ts";
import { benchVerify } from "./verify.ts";

const asked = (word: string): boolean => process.argv.length === 2 || process.argv.includes(word);

console.log(
  `Node ${process.versions.node}, OpenSSL ${process.versions.openssl}, ${cpus().length} x ${cpus()[0]?.model ?? "unknown processor"}\n`,
);

if (asked("verify")) await printVerification();
if (asked("sign")) await printSigning();
if (asked("grow")) await printGrowth();
if (asked("images")) await printImages();

async function printVerification(): Promise<void> {
  console.log(
    "| bundle | checks | signatures alone | cosign-ts | of the signatures | @sigstore/verify | times faster | one thread | thread pool | gain |",
  );
  console.log("| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |");
  for (const row of await benchVerify()) {
    const { label, checks, rawUs, oursUs, peerUs, inlinePerSecond, pooledPerSecond } = row;
    console.log(
      `| ${label} | ${checks} | ${us(rawUs)} | ${us(oursUs)} | ${(oursUs / rawUs).toFixed(2)}x | ${us(peerUs)} | ${(peerUs / oursUs).toFixed(1)}x | ` +
        `${Math.round(inlinePerSecond)}/s | ${Math.round(pooledPerSecond)}/s | ${(pooledPerSecond / inlinePerSecond).toFixed(2)}x |`,
    );
  }

  const walls = benchProcess();
  console.log("\n| process | best | median | best, of bare node |");
  console.log("| --- | --- | --- | --- |");
  const [bare] = walls;
  for (const { label, bestMs, medianMs } of walls) {
    console.log(
      `| ${label} | ${bestMs.toFixed(1)} ms | ${medianMs.toFixed(1)} ms | ${(bestMs / (bare?.bestMs ?? Number.NaN)).toFixed(2)}x |`,
    );
  }

  const { bytes, seconds, digestSeconds, peakMiB } = await benchLargeArtifact();
  console.log(
    `\n${bytes / 1024 ** 3} GiB artifact by a key: ${seconds.toFixed(1)} s (openssl dgst -sha256: ${digestSeconds.toFixed(1)} s), ` +
      `peak memory ${peakMiB === undefined ? "not measured here" : `${peakMiB.toFixed(0)} MiB`}`,
  );
}

async function printSigning(): Promise<void> {
  const { processes, batch } = await benchSigning();
  console.log("\n| process | best | median | peak memory |");
  console.log("| --- | --- | --- | --- |");
  for (const { label, bestMs, medianMs, peakMiB } of processes)
    console.log(
      `| ${label} | ${bestMs.toFixed(0)} ms | ${medianMs.toFixed(0)} ms | ${peakMiB === undefined ? "not measured" : `${peakMiB.toFixed(0)} MiB`} |`,
    );
  const { artifacts, perSecond, singlePerSecond } = batch;
  console.log(
    `\nbatch of ${artifacts}, one certificate: ${perSecond.toFixed(0)} signatures/s; each with a certificate of its own, one after another: ${singlePerSecond.toFixed(1)}/s (${(perSecond / singlePerSecond).toFixed(0)}x)`,
  );
}

async function printGrowth(): Promise<void> {
  console.log("\n| log of the sandbox | entries up to | entries/s | resident memory |");
  console.log("| --- | --- | --- | --- |");
  for await (const { log, stretches } of benchGrowth())
    for (const { upTo, perSecond, residentMiB } of stretches)
      console.log(`| ${log} | ${upTo} | ${perSecond.toFixed(0)} | ${residentMiB.toFixed(0)} MiB |`);
}

async function printImages(): Promise<void> {
  console.log("\n| images | program | best | median | requests | bytes fetched | fetched twice |");
  console.log("| --- | --- | --- | --- | --- | --- | --- |");
  for (const { label, program, bestMs, medianMs, requests, bytes, repeated } of await benchImages())
    console.log(
      `| ${label} | ${program} | ${bestMs.toFixed(0)} ms | ${medianMs.toFixed(0)} ms | ${requests} | ${bytes} | ${repeated} |`,
    );
}

function us(microseconds: number): string {
  return `${Math.round(microseconds)} us`;
}
