/**
 * The flags of every command that verifies images.
 *
 * @module
 */

import type { Flag } from "../flags.ts";
import { REGISTRY_FLAGS } from "./registry-flags.ts";
import { COMMON_VERIFICATION_FLAGS } from "../verification-flags.ts";

/** Are the flags of every command that verifies images. */
export const IMAGE_VERIFICATION_FLAGS: readonly Flag[] = [
  ...COMMON_VERIFICATION_FLAGS,
  ...REGISTRY_FLAGS,
  {
    name: "format",
    kind: "string",
    value: "NAME",
    choices: ["any", "bundle", "legacy"],
    description: "which signatures count: any (default), bundle, or legacy, which is cosign's before bundles",
  },
  {
    name: "digest-rule",
    kind: "string",
    value: "RULE",
    choices: ["target", "index", "platform-manifest", "every-leaf", "leaf-or-linked-parent"],
    description:
      "what must be signed: target (what is named; default), index, platform-manifest, every-leaf, or leaf-or-linked-parent",
  },
  {
    name: "platform",
    kind: "string",
    value: "OS/ARCH",
    description: "the platform whose manifest is meant, where the image is an index",
  },
  {
    name: "local-image",
    kind: "boolean",
    description: "the image is an OCI layout on disk: a folder, or a tar file",
  },
  {
    name: "check-claims",
    kind: "boolean",
    default: "true",
    description: "compare what was signed with the image; false is unsafe",
  },
  {
    name: "max-workers",
    kind: "number",
    value: "COUNT",
    description: "signatures of one image that are verified at a time (default 10)",
  },
  {
    name: "rekor-url",
    kind: "string",
    value: "URL",
    description: "with --fetch-log-entries: the log of Rekor v1 to look in",
  },
  {
    name: "fetch-log-entries",
    kind: "boolean",
    description: "look up the log entry of an older signature that comes without it, as cosign does",
  },
  { name: "experimental-oci11", kind: "boolean", description: "", deprecated: "every place is looked at" },
  ...["certificate-chain", "ca-roots", "ca-intermediates", "timestamp-certificate-chain"].map((name): Flag => ({
    name,
    kind: "string",
    description: "",
    deprecated: "use --trusted-root; cosign-ts trusted-root create makes one",
  })),
  { name: "certificate", kind: "string", description: "", deprecated: "the certificate comes with the signature" },
  { name: "attachment", kind: "string", description: "", deprecated: "verify the digest of the attachment itself" },
];
