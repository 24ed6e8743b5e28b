/**
 * What is measured: the program as built, and the cosign beside it.
 *
 * @module
 */

import { homedir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { fileURLToPath } from "node:url";

/** Is the folder of the project. */
export const PROJECT = fileURLToPath(new URL("..", import.meta.url));
/** Is our command line, to be run by Node. */
export const CLI = join(PROJECT, "dist", "cli", "main.js");
/** Is where a cosign is, if there is one. */
export const COSIGN = join(
  process.env["COSIGN_TS_PEERS"] ?? join(homedir(), ".cache", "cosign-ts-peers"),
  "bin",
  "cosign",
);
