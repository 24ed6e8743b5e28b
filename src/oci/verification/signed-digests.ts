/**
 * Which digest has to be signed: the rule that a caller chose, applied to what a reference names.
 *
 * @module
 */

import { InputError, VerificationError } from "../../errors.ts";
import type { ContentDigest } from "../content-digest.ts";
import type { ContentStore, FetchedManifest } from "../content-store.ts";
import { findPlatform, walkIndex } from "../image-index.ts";
import type { Descriptor, Platform } from "../manifest.ts";
import { OCI_INDEX } from "../media-types.ts";
import { parsePlatform } from "../platform.ts";
import type { DigestRule } from "./verified-image.ts";

/** Is a digest that has to be proven, and whose signatures will do for that. */
export interface RequiredDigest {
  readonly descriptor: Descriptor;
  readonly platform?: Platform | undefined;
  /** In the order in which they are looked at; one is enough. */
  readonly signedBy: readonly SignableDigest[];
}

/** Is a digest that may be signed in place of another, and the indexes that lead from it there. */
export interface SignableDigest {
  readonly digest: ContentDigest;
  /** Empty for the digest itself. Each names the next, which was seen in bytes whose digest was computed. */
  readonly linkage: readonly ContentDigest[];
}

/**
 * Finds the digests that have to be signed.
 *
 * @param root - What the reference names.
 * @throws InputError `PLATFORM_NOT_FOUND`, `USAGE_INVALID` for a rule that needs a platform, or has no use for one; VerificationError
 * `MEDIA_TYPE_MISMATCH` for one that needs an index, `LINKAGE_MISSING` for an index without images.
 */
export async function findRequiredDigests(
  store: ContentStore,
  root: FetchedManifest,
  rule: DigestRule,
  platform: string | Platform | undefined,
): Promise<readonly [RequiredDigest, ...RequiredDigest[]]> {
  const { descriptor, manifest } = root;
  if (typeof platform === "string") parsePlatform(platform); // a wrong one is one, whatever there is
  if (platform !== undefined && (rule === "index" || rule === "every-leaf"))
    throw new InputError("USAGE_INVALID", `rule ${rule} for the digest is not about one platform`, {
      remedy: "leave the platform out, or choose the rule platform-manifest",
    });
  const itself: RequiredDigest = { descriptor, signedBy: [{ digest: descriptor.digest, linkage: [] }] };
  const ofPlatform = (): RequiredDigest => {
    if (manifest.kind === "image") return itself;
    if (platform === undefined)
      throw new InputError("USAGE_INVALID", `${store.name} has an index there, and no platform is asked for`, {
        remedy: "name the platform, for instance linux/amd64, or choose another rule for the digest",
      });
    const found = findPlatform(manifest, platform);
    return { descriptor: found, platform: found.platform, signedBy: [{ digest: found.digest, linkage: [] }] };
  };
  switch (rule) {
    case "target":
      return [platform === undefined ? itself : ofPlatform()];
    case "index":
      if (manifest.kind === "index") return [itself];
      throw new VerificationError("MEDIA_TYPE_MISMATCH", `${store.name} has no index there`, {
        expected: OCI_INDEX,
        found: descriptor.mediaType,
        remedy: "name the index, or choose another rule for the digest",
      });
    case "platform-manifest":
      return [ofPlatform()];
    case "leaf-or-linked-parent": {
      const leaf = ofPlatform();
      if (leaf === itself) return [itself];
      const { digest } = descriptor;
      return [{ ...leaf, signedBy: [...leaf.signedBy, { digest, linkage: [digest] }] }];
    }
    case "every-leaf": {
      const nodes = await walkIndex(store, root);
      const [first, ...others] = nodes
        .filter(({ fetched, isBuildkitAttestation }) => fetched.manifest.kind === "image" && !isBuildkitAttestation)
        .map((node): RequiredDigest => ({
          descriptor: node.fetched.descriptor,
          platform: node.platform,
          signedBy: [{ digest: node.fetched.descriptor.digest, linkage: [] }],
        }));
      if (first === undefined)
        throw new VerificationError(
          "LINKAGE_MISSING",
          `index ${descriptor.digest} names no image, so nothing is signed`,
        );
      return [first, ...others];
    }
  }
}
