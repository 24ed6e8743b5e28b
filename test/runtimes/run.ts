/**
 * Verifies real bundles with the built `cosign-ts/verify` under each runtime in `$COSIGN_TS_RUNTIMES/bin`. A runtime that is not
 * there is named, never counted as passed. Exit status 2 when there is none at all.
 */

import { execFile } from "node:child_process";
import { existsSync } from "node:fs";
import { homedir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";

const FOLDER = process.env["COSIGN_TS_RUNTIMES"] ?? join(homedir(), ".cache", "cosign-ts-runtimes");
const PROGRAM = fileURLToPath(new URL("program.mjs", import.meta.url));
const RUNTIMES: readonly (readonly [name: string, args: readonly string[]])[] = [
  ["node22", []],
  ["node24", []],
  ["node26", []],
  ["deno", ["run", "--allow-read", "--no-prompt"]],
  ["bun", ["run"]],
];
const MAX_OUTPUT_BYTES = 1024 * 1024;

interface Result {
  readonly passed: number;
  readonly failures: readonly string[];
  readonly unsupported: readonly string[];
}

let passed = 0;
let failed = 0;
let found = 0;
for (const [name, args] of RUNTIMES) {
  const program = join(FOLDER, "bin", process.platform === "win32" ? `${name}.exe` : name);
  if (!existsSync(program)) {
    console.log(`not run: ${name} is not in ${FOLDER}; node tools/install-runtimes.ts installs it`);
    continue;
  }
  found += 1;
  const result = await runIn(program, args);
  passed += result.passed;
  failed += result.failures.length;
  console.log(`${name}: ${result.passed} passed, ${result.failures.length} failed`);
  for (const algorithm of result.unsupported) console.log(`  says that it lacks ${algorithm}`);
  for (const failure of result.failures.slice(0, 20)) console.log(`  ${failure}`);
}
if (found === 0) console.log("not run: no runtime is installed");
else console.log(`${passed} passed, ${failed} failed`);
process.exitCode = found === 0 ? 2 : failed === 0 ? 0 : 1;

async function runIn(program: string, args: readonly string[]): Promise<Result> {
  try {
    const { stdout } = await promisify(execFile)(program, [...args, PROGRAM], { maxBuffer: MAX_OUTPUT_BYTES });
    return JSON.parse(stdout) as Result;
  } catch (error) {
    return { passed: 0, failures: [error instanceof Error ? error.message : String(error)], unsupported: [] };
  }
}
