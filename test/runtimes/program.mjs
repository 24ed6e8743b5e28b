// The program that each runtime is given: `<runtime> program.mjs`. Prints a line of JSON.

import { readFile } from "node:fs/promises";

import * as library from "../../dist/verify/index.js";
import { verifyInRuntime } from "./verify-in-runtime.mjs";

const folder = new URL("../../testdata/real/", import.meta.url);
const result = await verifyInRuntime(library, async (path) => new Uint8Array(await readFile(new URL(path, folder))));
console.log(JSON.stringify(result));
