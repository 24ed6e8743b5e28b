import type { ContentDigest } from "./content-digest.ts";

/** Is what a tag beside an image holds: signatures, attestations, an SBOM, or the list of its referrers. */
export type AttachmentTag = "sig" | "att" | "sbom" | "referrers";

/**
 * Names the tag under which something about a digest is kept: `sha256-….sig`. For the list of referrers, which takes no prefix, the
 * tag is cut as the specification says.
 *
 * @see cosign, pkg/oci/remote/remote.go `normalizeWithSeparator`; opencontainers/distribution-spec spec.md, "Referrers Tag Schema"
 */
export function attachmentTag(digest: ContentDigest, kind: AttachmentTag, prefix = ""): string {
  const [algorithm = "", value = ""] = digest.split(":");
  if (kind === "referrers") return `${algorithm.slice(0, 32)}-${value.slice(0, 64)}`;
  return `${prefix}${algorithm}-${value}.${kind}`;
}
