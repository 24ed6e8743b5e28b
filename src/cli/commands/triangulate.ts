/**
 * `cosign-ts triangulate`: the tags beside an image.
 *
 * @module
 */

import { printableJson } from "../../encoding/printable.ts";
import { attachmentTag } from "../../oci/attachment-tags.ts";
import { openImage, resolveDigest } from "../../oci/image-source.ts";
import { RESULT_VERSION } from "../../report/json.ts";
import type { Command } from "../context.ts";
import { printRefusal } from "../result.ts";
import { openRegistry, REGISTRY_FLAGS } from "../images/registry-flags.ts";

const TYPES = ["signature", "attestation", "sbom", "referrers", "digest"] as const;
const TAGS = { signature: "sig", attestation: "att", sbom: "sbom", referrers: "referrers" } as const;

/** Names where something about an image is kept, whether or not it is there. An image with a digest is not asked for. */
export const triangulate: Command = {
  name: "triangulate",
  summary: "Name the tag under which signatures, attestations, an SBOM or the list of referrers of an image are kept.",
  operands: "IMAGE",
  minOperands: 1,
  maxOperands: 1,
  environment: true,
  flags: [
    ...REGISTRY_FLAGS,
    {
      name: "type",
      kind: "string",
      default: "signature",
      choices: TYPES,
      description: `what: ${TYPES.join(", ")}`,
    },
    { name: "output", short: "o", kind: "string", value: "FORMAT", choices: ["json"], description: "json" },
  ],
  examples: ["cosign-ts triangulate --type attestation registry.example.com/app:v1"],
  async run([image = ""], flags, context) {
    const type = flags.choice("type", TYPES) ?? "signature";
    const json = flags.choice("output", ["json"]) === "json";
    const options = await openRegistry([image], flags, context);
    const opened = openImage(image, options);
    const digest = await resolveDigest(opened);
    const reference =
      type === "digest"
        ? `${opened.repository}@${digest}`
        : `${opened.attachments.name}:${attachmentTag(digest, TAGS[type], options.attachmentTagPrefix)}`;
    context.stdout.write(
      `${json ? printableJson({ version: RESULT_VERSION, verdict: "named", image, digest, type, reference }) : reference}\n`,
    );
    return 0;
  },
  refuse: printRefusal,
};
