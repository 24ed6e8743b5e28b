/**
 * `cosign-ts attach attestation`: attestations that were made elsewhere, kept with an image.
 *
 * @module
 */

import { readInputFile } from "../../files/read-file.ts";
import { MAX_BUNDLE_BYTES } from "../../limits.ts";
import { attachAttestations } from "../../oci/attach.ts";
import { ATTACH_FLAGS, printAttached, readAttachOptions, SUBJECT_FLAG } from "../images/attaching.ts";
import type { Command } from "../context.ts";
import { usage } from "../flags.ts";
import { printRefusal } from "../result.ts";

/** Attaches bundles and older attestations to an image. */
export const attachAttestation: Command = {
  name: "attach attestation",
  summary:
    "Attach attestations, and signatures in bundles, to the image that they are about. All files are read before anything is written. Nothing is verified.",
  operands: "IMAGE",
  minOperands: 1,
  maxOperands: 1,
  environment: true,
  flags: [
    {
      name: "attestation",
      kind: "strings",
      value: "FILE",
      description: "a bundle, or DSSE envelopes one after the other; may be repeated; required",
    },
    SUBJECT_FLAG,
    ...ATTACH_FLAGS,
  ],
  examples: [
    "cosign-ts attach attestation --attestation provenance.sigstore.json --attestation sbom.sigstore.json registry.example.com/app:v1",
  ],
  async run([image = ""], flags, context) {
    const paths = flags.strings("attestation").filter((path) => path !== "");
    if (paths.length === 0) throw usage("must supply --attestation", { remedy: "name the file with the attestation" });
    const options = await readAttachOptions(image, flags, context);
    const files = await Promise.all(paths.map((path) => readInputFile(path, MAX_BUNDLE_BYTES, "attestation")));
    printAttached(await attachAttestations(image, files, options), flags, context);
    return 0;
  },
  refuse: printRefusal,
};
