/**
 * `cosign-ts load`: images out of files.
 *
 * @module
 */

import { loadImage } from "../../oci/save.ts";
import { trace, type Command } from "../context.ts";
import { usage } from "../flags.ts";
import { openRegistry } from "../images/registry-flags.ts";
import { printRefusal } from "../result.ts";
import { COPY_FLAGS, printCopy, readOnly } from "./copy.ts";

/** Puts an image of an image layout into a registry. */
export const load: Command = {
  name: "load",
  summary:
    "Put an image that was saved as an image layout into a registry, with its signatures, attestations and all that refers to it.",
  operands: "IMAGE",
  minOperands: 1,
  maxOperands: 1,
  environment: true,
  flags: [
    { name: "dir", kind: "string", value: "PATH", description: "the image layout: a folder or a tar file" },
    ...COPY_FLAGS,
  ],
  examples: ["cosign-ts load --dir saved registry.example.com/app:v1"],
  async run([image = ""], flags, context) {
    const dir = flags.string("dir");
    if (dir === undefined) throw usage("load needs --dir", { remedy: "name the image layout" });
    const report = await loadImage(dir, image, {
      ...(await openRegistry([image], flags, context)),
      only: readOnly(flags),
      force: flags.boolean("force"),
      dryRun: flags.boolean("dry-run"),
      signal: context.signal,
      progress: ({ kind, digest, outcome }) => trace(context, `${kind} ${digest}: ${outcome}`),
    });
    printCopy(report, flags, context);
    return 0;
  },
  refuse: printRefusal,
};
