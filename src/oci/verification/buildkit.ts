/**
 * What BuildKit says about an image: in-toto statements in a manifest of the index, which nobody signed on their own.
 *
 * @module
 */

import { parseStatement } from "../../intoto/statement.ts";
import { findSubject } from "../../intoto/statement.ts";
import { toDigest, type ContentDigest } from "../content-digest.ts";
import type { ContentStore, FetchedManifest } from "../content-store.ts";
import { fetchDescribed, isBuildkitAttestation } from "../image-index.ts";
import type { VouchedAttestation } from "./verified-image.ts";

const IN_TOTO_LAYER = "application/vnd.in-toto+json";

/**
 * Reads the attestations of one type about a manifest that an index names. They are worth what the signature on the index is worth:
 * the caller verifies that first.
 *
 * @param index - The index, whose digest is signed: it names both the manifest and the attestations.
 * @param digest - The manifest of the platform.
 * @returns those whose statement is about just this digest.
 * @throws FormatError `STATEMENT_MALFORMED`, and those of the store.
 * @see moby/buildkit docs/attestations/attestation-storage.md
 */
export async function readBuildkitAttestations(
  store: ContentStore,
  index: FetchedManifest,
  digest: ContentDigest,
  predicateType: string,
  maxBytes: number,
): Promise<readonly VouchedAttestation[]> {
  if (index.manifest.kind !== "index") return [];
  const named = index.manifest.manifests.filter(
    (one) => isBuildkitAttestation(one) && one.annotations?.["vnd.docker.reference.digest"] === digest,
  );
  const found: VouchedAttestation[] = [];
  for (const descriptor of named) {
    const { manifest } = await fetchDescribed(store, descriptor);
    if (manifest.kind !== "image") continue;
    for (const layer of manifest.layers) {
      if (layer.mediaType !== IN_TOTO_LAYER || layer.annotations?.["in-toto.io/predicate-type"] !== predicateType)
        continue;
      const payload = await store.fetchBlob(layer, maxBytes);
      const statement = parseStatement(payload);
      // The annotation is only where to look; what counts is what the statement says.
      if (statement.predicateType !== predicateType || findSubject(statement, [toDigest(digest)]) === undefined)
        continue;
      found.push({ digest, manifest: descriptor.digest, layer: layer.digest, statement, payload });
    }
  }
  return found;
}
