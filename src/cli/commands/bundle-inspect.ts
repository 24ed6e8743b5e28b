/**
 * `cosign-ts bundle inspect`: what a bundle says.
 *
 * @module
 */

import { parseBundle, parseBundles, type Bundle } from "../../bundle/bundle.ts";
import { tryDecodeUtf8 } from "../../encoding/utf8.ts";
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
  summary: "Show what a bundle says, without verifying it. Reads .sigstore.json and, line by line, .sigstore.jsonl.",
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

/** A bundle may be written over many lines; a file of several has each on its own. */
function parseAll(bytes: Uint8Array): readonly Bundle[] {
  const newline = bytes.indexOf(0x0a);
  return newline !== -1 && isJson(bytes.subarray(0, newline)) ? parseBundles(bytes) : [parseBundle(bytes)];
}

function isJson(bytes: Uint8Array): boolean {
  try {
    JSON.parse(tryDecodeUtf8(bytes) ?? "");
    return true;
  } catch {
    return false;
  }
}
