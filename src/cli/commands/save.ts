/**
 * `cosign-ts save`: images as files.
 *
 * @module
 */

import { printableJson } from "../../encoding/printable.ts";
import { saveImage } from "../../oci/save.ts";
import { RESULT_VERSION } from "../../report/json.ts";
import { notice, type Command } from "../context.ts";
import { usage } from "../flags.ts";
import { openRegistry, REGISTRY_FLAGS } from "../images/registry-flags.ts";
import { printRefusal } from "../result.ts";

/** Saves an image as an image layout. */
export const save: Command = {
  name: "save",
  summary:
    "Save an image as an image layout, with its signatures, attestations and all that refers to it, to verify it with --local-image or to load it elsewhere.",
  operands: "IMAGE",
  minOperands: 1,
  maxOperands: 1,
  environment: true,
  flags: [
    { name: "dir", kind: "string", value: "FOLDER", description: "the folder: empty, or not there yet" },
    ...REGISTRY_FLAGS,
    {
      name: "platform",
      kind: "string",
      value: "OS/ARCH",
      description: "save the manifest of this platform of an index",
    },
    {
      name: "output",
      short: "o",
      kind: "string",
      value: "FORMAT",
      choices: ["json"],
      description: "write what was saved: json",
    },
  ],
  examples: ["cosign-ts save --dir saved registry.example.com/app:v1"],
  async run([image = ""], flags, context) {
    const dir = flags.string("dir");
    if (dir === undefined) throw usage("save needs --dir", { remedy: "name a folder" });
    const options = { ...(await openRegistry([image], flags, context)), platform: flags.string("platform") };
    const { pinned, digest, path, manifests } = await saveImage(image, dir, options);
    if (flags.choice("output", ["json"]) === "json") {
      const result = { version: RESULT_VERSION, verdict: "saved", pinned, digest, path, manifests };
      context.stdout.write(`${printableJson(result)}\n`);
    } else {
      const others = manifests.length - 1;
      notice(context, `Saved ${pinned} and ${others} other manifest${others === 1 ? "" : "s"} in ${path}`);
    }
    return 0;
  },
  refuse: printRefusal,
};
