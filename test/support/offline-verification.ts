/** Verifies a real bundle in a process of its own. Run by a test under a Node that may open no socket. */

import { connect } from "node:net";
import { readFileSync } from "node:fs";
import { parseTrustedRoot, Verifier } from "../../src/verify/index.ts";

const [bundle = "", artifact = "", root = "", subjectAlternativeName = "", issuer = ""] = process.argv.slice(2);

/** Says with which error a connection ends, or that there was one. */
async function tryToConnect(): Promise<string> {
  const { promise, resolve } = Promise.withResolvers<string>();
  connect(9, "127.0.0.1")
    .on("connect", () => resolve("connected"))
    .on("error", (error) => resolve("code" in error ? String(error.code) : error.message));
  return await promise;
}

const verifier = await Verifier.create(parseTrustedRoot(readFileSync(root)));
const { checks } = await verifier.verify(readFileSync(bundle), readFileSync(artifact), {
  identity: { subjectAlternativeName, issuer },
});
process.stdout.write(
  JSON.stringify({ socket: await tryToConnect(), passed: checks.every(({ outcome }) => outcome === "passed") }),
);
