// Loaded before everything else by the programs of the documentation: a clock that stands, no socket, and `cosign-ts` from source,
// or as it was built. Where a page has a sandbox, which makes everything anew, the clock runs, and sockets may be opened to loopback.

import { readFileSync } from "node:fs";
import { registerHooks } from "node:module";
import { Socket } from "node:net";

const NOW = Date.parse("2026-11-25T12:00:00Z");
const hasSandbox = process.env.COSIGN_TS_DOCS_SANDBOX === "1";
const isBuilt = process.env.COSIGN_TS_DOCS_BUILT === "1";

if (!hasSandbox) {
  globalThis.Date = class extends Date {
    constructor(...args) {
      if (args.length === 0) super(NOW);
      else super(...args);
    }

    static now() {
      return NOW;
    }
  };
}

const connect = Socket.prototype.connect;
Socket.prototype.connect = function (...args) {
  const [options] = Array.isArray(args[0]) ? args[0] : args;
  const host = hasSandbox ? options?.host : undefined;
  if (host !== "127.0.0.1" && host !== "localhost") throw new Error("an example of the documentation opened a socket");
  return Reflect.apply(connect, this, args);
};

const project = new URL("../../", import.meta.url);
const { exports } = JSON.parse(readFileSync(new URL("package.json", project), "utf8"));

registerHooks({
  resolve(specifier, context, next) {
    if (specifier !== "cosign-ts" && !specifier.startsWith("cosign-ts/")) return next(specifier, context);
    const built = exports[specifier.replace("cosign-ts", ".")]?.default;
    if (built === undefined) throw new Error(`the package has no entry point ${specifier}`);
    const file = isBuilt ? built : built.replace("./dist/", "src/").replace(/\.js$/, ".ts");
    return { url: new URL(file, project).href, shortCircuit: true };
  },
});
