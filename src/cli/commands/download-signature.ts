/**
 * `cosign-ts download signature`: signatures of an image, as they are kept.
 *
 * @module
 */

import { downloadSignatures } from "../../oci/download.ts";
import type { Command } from "../context.ts";
import { DOWNLOAD_FLAGS, printDownloaded, readDownloadOptions } from "../images/downloading.ts";
import { printRefusal } from "../result.ts";

/** Fetches signatures of an image. */
export const downloadSignature: Command = {
  name: "download signature",
  summary:
    "Write the signatures of an image to standard output, one JSON document a line: all its bundles, attestations among them, or where it has none, the older signatures. Nothing is verified.",
  operands: "IMAGE",
  minOperands: 1,
  maxOperands: 1,
  environment: true,
  flags: DOWNLOAD_FLAGS,
  examples: ["cosign-ts download signature registry.example.com/app:v1"],
  async run([image = ""], flags, context) {
    printDownloaded(await downloadSignatures(image, await readDownloadOptions(image, flags, context)), flags, context);
    return 0;
  },
  refuse: printRefusal,
};
