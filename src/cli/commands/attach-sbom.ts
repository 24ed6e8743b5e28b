/**
 * `cosign-ts attach sbom`: an unsigned SBOM, kept beside an image.
 *
 * @module
 */

import { MAX_ATTACHMENT_BYTES } from "../../limits.ts";
import { attachSbom as attachToImage } from "../../oci/sbom-attachment.ts";
import { ATTACH_FLAGS, printAttached, readAttachOptions, readFileOrStdin } from "../images/attaching.ts";
import { notice, warn, type Command } from "../context.ts";
import { usage } from "../flags.ts";
import { printRefusal } from "../result.ts";

/** Attaches an SBOM to an image. */
export const attachSbom: Command = {
  name: "attach sbom",
  summary:
    "Attach an SBOM to an image, in place of one that is there. It is not signed, and proves nothing: attest does both in one step.",
  operands: "IMAGE",
  minOperands: 1,
  maxOperands: 1,
  environment: true,
  flags: [
    { name: "sbom", kind: "string", value: "FILE", description: "the SBOM: a file or -; required" },
    {
      name: "type",
      kind: "string",
      value: "TYPE",
      default: "spdx",
      choices: ["spdx", "cyclonedx", "syft"],
      description: "what the SBOM is: spdx, cyclonedx or syft",
    },
    {
      name: "input-format",
      kind: "string",
      value: "FORMAT",
      choices: ["json", "xml", "text"],
      description: "how it is written: json, xml or text; otherwise as it looks",
    },
    {
      name: "registry-referrers-mode",
      kind: "string",
      value: "MODE",
      choices: ["legacy", "oci-1-1"],
      description: "legacy: under a tag (default); oci-1-1: as a referrer, which needs COSIGN_EXPERIMENTAL=1",
    },
    ...ATTACH_FLAGS,
  ],
  examples: [
    "cosign-ts attach sbom --sbom app.spdx.json registry.example.com/app:v1",
    "cosign-ts attach sbom --sbom app.cdx.xml --type cyclonedx registry.example.com/app:v1",
  ],
  async run([image = ""], flags, context) {
    const path = flags.string("sbom");
    if (path === undefined)
      throw usage("must supply --sbom", { remedy: "name the file with the SBOM, or - for standard input" });
    const type = flags.choice("type", ["spdx", "cyclonedx", "syft"]);
    const format = flags.choice("input-format", ["json", "xml", "text"]);
    const mode = flags.choice("registry-referrers-mode", ["legacy", "oci-1-1"]);
    if (mode === "oci-1-1" && !["1", "true"].includes(context.environment["COSIGN_EXPERIMENTAL"] ?? ""))
      throw usage("--registry-referrers-mode=oci-1-1 needs COSIGN_EXPERIMENTAL=1, as in cosign", {
        remedy: "set it, or leave the flag out",
      });
    const { registry, signatureRepository, attachmentTagPrefix, platform, signal } = await readAttachOptions(
      image,
      flags,
      context,
    );
    warn(
      context,
      "An SBOM that is attached is not signed: whoever may write to the registry can replace it. Use attest to sign it.",
    );
    const sbom = await readFileOrStdin(path, MAX_ATTACHMENT_BYTES, "SBOM", context);
    const result = await attachToImage(image, sbom, {
      registry,
      signatureRepository,
      attachmentTagPrefix,
      platform,
      signal,
      type,
      format,
      place: mode === "oci-1-1" ? "referrer" : "tag",
    });
    notice(context, `Uploaded SBOM of media type: ${result.mediaType}`);
    printAttached(result, flags, context, { mediaType: result.mediaType });
    return 0;
  },
  refuse: printRefusal,
};
