/**
 * `cosign-ts bundle inspect`: what a bundle says.
 *
 * @module
 */

import { MAX_BUNDLE_BYTES } from "../../limits.ts";
import { parseBundles } from "../../bundle/bundle.ts";
import { readInputFile } from "../../files/read-file.ts";
import { describeBundle } from "../../report/inspect.ts";
import { renderTree } from "../../report/tree.ts";
import { treeToJson } from "../../report/inspect.ts";
import { notice, type Command } from "../context.ts";

/** Prints the contents of a bundle. Nothing is verified, and the output says so. */
export const bundleInspect: Command = {
  name: "bundle inspect",
  summary: "Show what a bundle says, without verifying it. Reads .sigstore.json and, line by line, .sigstore.jsonl.",
  operands: "BUNDLE",
  minOperands: 1,
  maxOperands: 1,
  environment: false,
  flags: [{ name: "output", short: "o", kind: "string", value: "FORMAT", default: "text", description: "json or text" }],
  async run([path = ""], flags, context) {
    const format = flags.choice("output", ["json", "text"]);
    const trees = parseBundles(await readInputFile(path, MAX_BUNDLE_BYTES, "bundle")).map(describeBundle);
    notice(context, "Nothing here is verified: it is what the bundle claims.");
    for (const tree of trees) context.stdout.write(format === "json" ? `${JSON.stringify(treeToJson(tree))}\n` : `${renderTree(tree)}\n`);
    return 0;
  },
};
