/**
 * Prints every figure of `docs/benchmarks.md` as Markdown. Needs `npm run build` first.
 *
 * usage: npm run bench
 */

import { cpus } from "node:os";
import process from "node:process";

import { benchLargeArtifact, benchProcess } from "./process.ts";
import { benchVerify } from "./verify.ts";

console.log(
  `Node ${process.versions.node}, OpenSSL ${process.versions.openssl}, ${cpus().length} x ${cpus()[0]?.model ?? "unknown processor"}\n`,
);

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

function us(microseconds: number): string {
  return `${Math.round(microseconds)} us`;
}
