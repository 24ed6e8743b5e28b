/**
 * `cosign-ts download sbom`: the SBOM beside an image.
 *
 * @module
 */

import { printableJson } from "../../encoding/printable.ts";
import { tryDecodeUtf8 } from "../../encoding/utf8.ts";
import { VerificationError } from "../../errors.ts";
import { downloadSbom as fetchSbom } from "../../oci/sbom-attachment.ts";
import { RESULT_VERSION } from "../../report/json.ts";
import { notice, warn, type Command } from "../context.ts";
import { DOWNLOAD_FLAGS, readDownloadOptions } from "../images/downloading.ts";
import { printRefusal } from "../result.ts";

/** Fetches the SBOM of an image. */
export const downloadSbom: Command = {
  name: "download sbom",
  summary:
    "Write the SBOM that is attached to an image to standard output, as it is. It is not signed, and proves nothing: verify-attestation does.",
  operands: "IMAGE",
  minOperands: 1,
  maxOperands: 1,
  environment: true,
  flags: DOWNLOAD_FLAGS,
  examples: ["cosign-ts download sbom --platform linux/amd64 registry.example.com/app:v1"],
  async run([image = ""], flags, context) {
    const { bytes, mediaType, location, manifest, digest } = await fetchSbom(
      image,
      await readDownloadOptions(image, flags, context),
    );
    warn(context, "An SBOM that is attached is not signed: whoever may write to the registry can have written it.");
    notice(context, `Found SBOM of media type: ${mediaType}`);
    const text = tryDecodeUtf8(bytes);
    if (text === undefined)
      throw new VerificationError("MEDIA_TYPE_MISMATCH", `SBOM at ${location} is no text`, { found: mediaType });
    context.stdout.write(
      flags.string("output") === "json"
        ? `${printableJson({ version: RESULT_VERSION, verdict: "downloaded", image, digest, mediaType, location, manifest, sbom: text })}\n`
        : text,
    );
    return 0;
  },
  refuse: printRefusal,
};
