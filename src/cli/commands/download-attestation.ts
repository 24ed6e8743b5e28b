/**
 * `cosign-ts download attestation`: attestations about an image, as they are kept.
 *
 * @module
 */

import { PREDICATE_TYPES, predicateTypeOf } from "../../intoto/predicate.ts";
import { downloadAttestations } from "../../oci/download.ts";
import type { Command } from "../context.ts";
import { DOWNLOAD_FLAGS, printDownloaded, readDownloadOptions } from "../images/downloading.ts";
import { printRefusal } from "../result.ts";

/** Fetches attestations about an image. */
export const downloadAttestation: Command = {
  name: "download attestation",
  summary:
    "Write the attestations of an image to standard output, one JSON document a line: its bundles, then older ones as DSSE envelopes. Nothing is verified.",
  operands: "IMAGE",
  minOperands: 1,
  maxOperands: 1,
  environment: true,
  flags: [
    {
      name: "predicate-type",
      kind: "string",
      value: "TYPE",
      choices: Object.keys(PREDICATE_TYPES),
      description: `of this type alone: ${Object.keys(PREDICATE_TYPES).join(", ")}, or a URI`,
    },
    ...DOWNLOAD_FLAGS,
  ],
  examples: ["cosign-ts download attestation --predicate-type slsaprovenance1 registry.example.com/app:v1"],
  async run([image = ""], flags, context) {
    const type = flags.string("predicate-type");
    const predicateType = type === undefined ? undefined : predicateTypeOf(type);
    const options = { ...(await readDownloadOptions(image, flags, context)), predicateType };
    printDownloaded(await downloadAttestations(image, options), flags, context);
    return 0;
  },
  refuse: printRefusal,
};
