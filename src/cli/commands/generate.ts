/**
 * `cosign-ts generate`: what a signature of before bundles is over.
 *
 * @module
 */

import { openImage, resolveDigest } from "../../oci/image-source.ts";
import { serializeSimpleSigning } from "../../oci/legacy/simple-signing.ts";
import { printableJson } from "../../encoding/printable.ts";
import { encodeBase64 } from "../../encoding/base64.ts";
import { RESULT_VERSION } from "../../report/json.ts";
import { parseAnnotations } from "../images/annotations.ts";
import type { Command } from "../context.ts";
import { printRefusal } from "../result.ts";
import { openRegistry, REGISTRY_FLAGS } from "../images/registry-flags.ts";

/** Writes the simple-signing payload of an image, to be signed elsewhere. Of one that is named by its digest nothing is asked for. */
export const generate: Command = {
  name: "generate",
  summary:
    "Write the payload that a signature of an image was over before bundles, to sign it elsewhere. It ends without a newline: it is signed as it is.",
  operands: "IMAGE",
  minOperands: 1,
  maxOperands: 1,
  environment: true,
  flags: [
    ...REGISTRY_FLAGS,
    {
      name: "annotations",
      short: "a",
      kind: "strings",
      value: "KEY=VALUE",
      description: "an annotation to sign along; may be repeated, and a comma separates several",
    },
    {
      name: "output",
      short: "o",
      kind: "string",
      value: "FORMAT",
      choices: ["json"],
      description: "json: with the digest",
    },
  ],
  examples: ["cosign-ts generate registry.example.com/app:v1 > payload.json"],
  async run([image = ""], flags, context) {
    const annotations = parseAnnotations(flags);
    const json = flags.choice("output", ["json"]) === "json";
    const opened = openImage(image, await openRegistry([image], flags, context));
    const digest = await resolveDigest(opened);
    const payload = serializeSimpleSigning(opened.repository, digest, annotations);
    context.stdout.write(
      json
        ? `${printableJson({ version: RESULT_VERSION, verdict: "generated", image, digest, payload: encodeBase64(payload) })}\n`
        : new TextDecoder().decode(payload),
    );
    return 0;
  },
  refuse: printRefusal,
};
