/**
 * `cosign-ts manifest verify`: the images that Kubernetes manifests run.
 *
 * @module
 */

import { tryDecodeUtf8 } from "../../encoding/utf8.ts";
import { FormatError, InputError } from "../../errors.ts";
import { MAX_KUBERNETES_MANIFEST_BYTES } from "../../limits.ts";
import { readFileOrStdin } from "../images/attaching.ts";
import { notice, type Command } from "../context.ts";
import { imageExitStatus } from "../exit-status.ts";
import { refuseImage } from "../images/image-verification.ts";
import { findManifestImages } from "../images/kubernetes-manifest.ts";
import { naming } from "../named-input.ts";
import { SIGNATURE_FLAGS, verifySignatures } from "./verify.ts";

/** Verifies that the images that Kubernetes manifests run are signed. */
export const manifestVerify: Command = {
  name: "manifest verify",
  summary:
    "Verify that the images that Kubernetes manifests run are signed: of every container of every pod, in whatever it is. Flags, output and exit status as of verify.",
  operands: "FILE | -",
  minOperands: 1,
  maxOperands: 1,
  environment: true,
  flags: SIGNATURE_FLAGS.filter(({ name }) => name !== "local-image"),
  examples: ["cosign-ts manifest verify --key cosign.pub deployment.yaml"],
  async run([file = ""], flags, context) {
    const text = tryDecodeUtf8(await readFileOrStdin(file, MAX_KUBERNETES_MANIFEST_BYTES, "manifest", context));
    if (text === undefined) throw new FormatError("YAML_MALFORMED", `${file} is no text`);
    const found = await naming(file, () => findManifestImages(text));
    const images = [...new Set(found.map(({ image }) => image))];
    if (images.length === 0)
      throw new InputError("USAGE_INVALID", `${file} runs no image, so there is nothing to verify`, {
        expected: "Kubernetes manifests with containers",
      });
    notice(context, `Extracted image(s): ${images.join(", ")}`);
    return await verifySignatures(images, flags, context);
  },
  exitStatus: imageExitStatus,
  refuse: (error, flags, context) => refuseImage(error, flags, context),
};
