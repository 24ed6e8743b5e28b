/**
 * Runs the conformance sample against `test/conformance/client`. `npm run test:conformance [explicit|embedded]...`, by default both:
 * with the production trusted root given, and with the one inside this package.
 *
 * The sample is found at $COSIGN_TS_SHARED/conformance, by default ../shared/conformance. Exit status: 0 all passed, 1 not, 2 not run.
 */
import { spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import { join } from "node:path";
import process from "node:process";
import { projectDir, sharedAvailable, sharedDir } from "../test/support/shared.ts";

const ROOTS = ["explicit", "embedded"];
const asked = process.argv.slice(2);
const unknown = asked.filter((root) => !ROOTS.includes(root));
const client = join(projectDir, "test", "conformance", "client");
if (unknown.length > 0) {
  console.error(`usage: npm run test:conformance [${ROOTS.join("|")}]...`);
  process.exitCode = 1;
} else if (!sharedAvailable()) {
  console.error(`not run: no conformance sample in ${sharedDir}; set COSIGN_TS_SHARED to the folder that holds it`);
  process.exitCode = 2;
} else if (existsSync(client)) {
  for (const root of asked.length > 0 ? asked : ROOTS) {
    console.log(`conformance, trusted root ${root}:`);
    const { status } = spawnSync(join(sharedDir, "conformance", "run"), ["--root", root, client], { stdio: "inherit" });
    if (status !== 0) process.exitCode = 1;
  }
} else {
  console.error(`${client} is missing`);
  process.exitCode = 1;
}
