/**
 * `cosign-ts bundle inspect`: what a bundle says.
 *
 * @module
 */

import type { Bundle } from "../../bundle/bundle.ts";
import { parseBundleCandidates } from "../../bundle/bundle-candidates.ts";
import { FormatError } from "../../errors.ts";
import { readInputFile } from "../../files/read-file.ts";
import { MAX_BUNDLE_BYTES } from "../../limits.ts";
import { describeBundle, treeToJson } from "../../report/inspect.ts";
import { printableJson } from "../../encoding/printable.ts";
import { renderTree } from "../../report/tree.ts";
import { notice, type Command } from "../context.ts";
import { naming } from "../named-input.ts";
import { printRefusal } from "../result.ts";

/** Prints the contents of a bundle. Nothing is verified, and the output says so. */
export const bundleInspect: Command = {
  name: "bundle inspect",
  summary:
    "Show what a bundle says, without verifying it. Reads .sigstore.json, .sigstore.jsonl and lists of attestations.",
  operands: "BUNDLE",
  minOperands: 1,
  maxOperands: 1,
  environment: false,
  flags: [
    {
      name: "output",
      short: "o",
      kind: "string",
      value: "FORMAT",
      default: "text",
      choices: ["json", "text"],
      description: "json or text",
    },
  ],
  examples: ["cosign-ts bundle inspect app.sigstore.json", "cosign-ts bundle inspect --output json app.sigstore.json"],
  async run([path = ""], flags, context) {
    const format = flags.choice("output", ["json", "text"]);
    const bytes = await readInputFile(path, MAX_BUNDLE_BYTES, "bundle");
    const trees = (await naming(path, () => parseAll(bytes))).map(describeBundle);
    notice(context, "Nothing here is verified: it is what the bundle claims.");
    for (const tree of trees)
      context.stdout.write(format === "json" ? `${printableJson(treeToJson(tree))}\n` : `${renderTree(tree)}\n`);
    return 0;
  },
  refuse: printRefusal,
};

/** Of several, one that cannot be read is told by where it stands. */
function parseAll(bytes: Uint8Array): readonly Bundle[] {
  return parseBundleCandidates(bytes).map((one) => {
    if (one.kind === "bundle") return one.bundle;
    const { error, position } = one;
    throw error instanceof FormatError ? new FormatError(error.code, `${position}: ${error.message}`, error) : error;
  });
}
