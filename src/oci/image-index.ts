/**
 * Indexes: everything below one, and the manifest of one platform.
 *
 * @module
 */

import { FormatError, InputError, ServiceError, VerificationError } from "../errors.ts";
import { MAX_INDEX_DEPTH, MAX_INDEX_MANIFESTS } from "../limits.ts";
import type { ContentDigest } from "./content-digest.ts";
import type { ContentStore, FetchedManifest } from "./content-store.ts";
import type { Descriptor, ImageIndex, Platform } from "./manifest.ts";
import { formatPlatform, matchesPlatform, parsePlatform } from "./platform.ts";

/** Is a manifest or an index below a root, or the root itself. */
export interface IndexNode {
  readonly fetched: FetchedManifest;
  /** The indexes that lead to it, the root first: each names the next by its digest. Empty for the root. */
  readonly path: readonly ContentDigest[];
  /** What the index says that it runs on. */
  readonly platform?: Platform | undefined;
  /** Whether it is no image, but what BuildKit says about one: wherever it is named. */
  readonly isBuildkitAttestation: boolean;
}

/**
 * Says whether an index names a manifest as BuildKit's attestations about another one. That it runs nowhere is part of it: what an index
 * names for a platform is run there, whatever else is said of it.
 *
 * @see moby/buildkit docs/attestations/attestation-storage.md
 */
export function isBuildkitAttestation({ annotations, platform }: Descriptor): boolean {
  return (
    annotations?.["vnd.docker.reference.type"] === "attestation-manifest" &&
    platform?.os === "unknown" &&
    platform.architecture === "unknown"
  );
}

/**
 * Fetches a manifest that another one names, and compares it with how it is named.
 *
 * @throws ServiceError `CONTENT_NOT_FOUND`; VerificationError `MEDIA_TYPE_MISMATCH`, `CONTENT_SIZE_MISMATCH`, and those of the store.
 */
export async function fetchDescribed(store: ContentStore, descriptor: Descriptor): Promise<FetchedManifest> {
  const { digest, mediaType, size } = descriptor;
  const fetched = await store.fetchManifest(digest);
  if (fetched === undefined)
    throw new ServiceError("CONTENT_NOT_FOUND", `${store.name} has no manifest ${digest}, which it names`);
  if (fetched.descriptor.mediaType !== mediaType) {
    throw new VerificationError("MEDIA_TYPE_MISMATCH", `manifest ${digest} is of another type than it was said to be`, {
      expected: mediaType,
      found: fetched.descriptor.mediaType,
    });
  }
  if (fetched.bytes.length !== size) {
    throw new VerificationError(
      "CONTENT_SIZE_MISMATCH",
      `manifest ${digest} is of another size than it was said to be`,
      {
        expected: `${size} bytes`,
        found: `${fetched.bytes.length} bytes`,
      },
    );
  }
  return fetched;
}

/**
 * Fetches everything below a root, each once: the root first, then what each index names, in its order.
 *
 * @throws FormatError `LIMIT_EXCEEDED`, and as {@link fetchDescribed}.
 */
export async function walkIndex(store: ContentStore, root: FetchedManifest): Promise<readonly IndexNode[]> {
  const nodes = new Map<ContentDigest, IndexNode>();
  let named = 0;
  const visit = async (node: IndexNode): Promise<void> => {
    const { fetched, path } = node;
    const { digest } = fetched.descriptor;
    const before = nodes.get(digest);
    if (before !== undefined) {
      // Named as an image once, it is one.
      if (before.isBuildkitAttestation) nodes.set(digest, node);
      return;
    }
    nodes.set(digest, node);
    if (fetched.manifest.kind !== "index") return;
    if (path.length >= MAX_INDEX_DEPTH) throw tooMany(`more than ${MAX_INDEX_DEPTH} levels of indexes`);
    const { manifests } = fetched.manifest;
    named += manifests.length;
    if (named > MAX_INDEX_MANIFESTS) throw tooMany(`more than ${MAX_INDEX_MANIFESTS} manifests`);
    const children = await Promise.all(manifests.map((descriptor) => fetchDescribed(store, descriptor)));
    for (const [index, descriptor] of manifests.entries()) {
      const child = children[index];
      if (child === undefined) continue;
      await visit({
        fetched: child,
        path: [...path, digest],
        ...(descriptor.platform !== undefined && { platform: descriptor.platform }),
        isBuildkitAttestation: isBuildkitAttestation(descriptor),
      });
    }
  };
  await visit({ fetched: root, path: [], isBuildkitAttestation: false });
  return [...nodes.values()];
}

function tooMany(found: string): FormatError {
  return new FormatError("LIMIT_EXCEEDED", "index is too large", { found });
}

/**
 * Finds the manifest that an index names for a platform.
 *
 * @throws InputError `PLATFORM_NOT_FOUND` where there is none, or more than one.
 */
export function findPlatform(index: ImageIndex, asked: string | Platform): Descriptor {
  const platform = typeof asked === "string" ? parsePlatform(asked) : asked;
  const candidates = index.manifests.filter((one) => !isBuildkitAttestation(one));
  const matching = candidates.filter((one) => one.platform !== undefined && matchesPlatform(one.platform, platform));
  const [first] = matching;
  if (first !== undefined && matching.every(({ digest }) => digest === first.digest)) return first;
  const known = (first === undefined ? candidates : matching).map((one) =>
    one.platform === undefined ? one.digest : formatPlatform(one.platform),
  );
  throw new InputError(
    "PLATFORM_NOT_FOUND",
    first === undefined ? "index has no manifest for the platform" : "index has several manifests for the platform",
    { expected: formatPlatform(platform), found: known.join(", ") || "no platform" },
  );
}

/**
 * Fetches the manifest of a platform below a root. A root that is no index is taken as it is: it says nothing of its platform.
 *
 * @throws InputError `PLATFORM_NOT_FOUND`; and as {@link fetchDescribed}.
 */
export async function selectPlatform(
  store: ContentStore,
  root: FetchedManifest,
  asked: string | Platform,
): Promise<IndexNode> {
  const platform = typeof asked === "string" ? parsePlatform(asked) : asked;
  if (root.manifest.kind === "image") return { fetched: root, path: [], isBuildkitAttestation: false };
  const found = findPlatform(root.manifest, platform);
  return {
    fetched: await fetchDescribed(store, found),
    path: [root.descriptor.digest],
    platform: found.platform,
    isBuildkitAttestation: false,
  };
}
