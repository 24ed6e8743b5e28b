import { existsSync } from "node:fs";
import { resolve } from "node:path";
import { fileURLToPath } from "node:url";

/** The folder of this project. */
export const projectDir: string = resolve(fileURLToPath(import.meta.url), "..", "..", "..");

/** Conformance vectors and peers that are kept outside the project: `$COSIGN_TS_SHARED`, by default `../shared`. */
export const sharedDir: string = resolve(projectDir, process.env["COSIGN_TS_SHARED"] ?? "../shared");

/** Tells whether the vectors are there. Tests that need them are skipped, visibly, when they are not. */
export function sharedAvailable(): boolean {
  return existsSync(resolve(sharedDir, "conformance", "README.md"));
}
