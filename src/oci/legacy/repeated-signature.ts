/**
 * Signing with a key and no log what that key has signed before: another signature would say nothing that the first does not.
 *
 * @module
 */

import { defaultCryptoProvider } from "../../crypto/provider.ts";
import { tryDecodeBase64 } from "../../encoding/base64.ts";
import type { SignedBundle } from "../../sign/options.ts";
import { attachmentTag } from "../attachment-tags.ts";
import type { ContentDigest } from "../content-digest.ts";
import type { ContentStore } from "../content-store.ts";
import type { LegacyLayer } from "./legacy-layer.ts";
import type { Descriptor } from "../manifest.ts";
import { SIGNATURE_ANNOTATION } from "../media-types.ts";

/**
 * Says whether a layer under the tag beside an image holds a signature of the same key over the same payload, with everything that
 * would stand beside the new one.
 *
 * @throws ServiceError and FormatError as the store.
 * @see cosign, internal/pkg/cosign/remote/remote.go `dupeDetector`
 */
export async function isSignedAlready(
  store: ContentStore,
  digest: ContentDigest,
  layer: LegacyLayer,
  { publicKey, algorithm }: Pick<SignedBundle, "publicKey" | "algorithm">,
  tagPrefix: string | undefined,
): Promise<boolean> {
  const found = await store.fetchManifest(attachmentTag(digest, "sig", tagPrefix));
  if (found?.manifest.kind !== "image") return false;
  const crypto = defaultCryptoProvider();
  for (const existing of found.manifest.layers) {
    if (existing.digest !== layer.descriptor.digest || !hasSameAnnotations(existing, layer.descriptor)) continue;
    const signature = tryDecodeBase64(existing.annotations?.[SIGNATURE_ANNOTATION] ?? "");
    if (signature !== undefined && (await crypto.verify(algorithm, publicKey, signature, layer.bytes))) return true;
  }
  return false;
}

function hasSameAnnotations({ annotations: existing = {} }: Descriptor, { annotations = {} }: Descriptor): boolean {
  return Object.entries(annotations).every(
    ([name, value]) => name === SIGNATURE_ANNOTATION || existing[name] === value,
  );
}
