#!/usr/bin/env node
/**
 * `cosign-ts` as a process. Everything else is loaded after the compile cache is on.
 *
 * @module
 */

process.getBuiltinModule("node:module").enableCompileCache();
const { runProcess } = await import("./process.ts");
await runProcess();
