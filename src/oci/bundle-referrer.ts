/**
 * A Sigstore bundle in a registry: a manifest attached to the image, as cosign writes it.
 *
 * @module
 */

import { BUNDLE_MEDIA_TYPE, type Bundle } from "../bundle/bundle.ts";
import { FormatError } from "../errors.ts";
import { IN_TOTO_PAYLOAD_TYPE, parseStatement } from "../intoto/statement.ts";
import { contentDigestOf } from "./content-digest.ts";
import type { ContentStore } from "./content-store.ts";
import type { WriterOptions } from "./contended-tag.ts";
import type { Descriptor } from "./manifest.ts";
import { BUNDLE_CONTENT_ANNOTATION, BUNDLE_PREDICATE_TYPE_ANNOTATION, CREATED_ANNOTATION } from "./media-types.ts";
import { attachReferrer, EMPTY_CONFIG, type AttachedReferrer } from "./referrers.ts";

/**
 * Attaches a bundle to an image. Whether it is about that image is not checked here.
 *
 * @param json - The bundle as it is to be kept, byte for byte; of version 0.3.
 * @param now - Written into an annotation.
 * @throws {@link FormatError} `BUNDLE_MEDIA_TYPE_UNSUPPORTED` for an older bundle, which no reader looks for there; and as
 * `attachReferrer`.
 * @see sigstore/cosign specs/BUNDLE_SPEC.md
 */
export async function attachBundle(
  store: ContentStore,
  subject: Descriptor,
  bundle: Bundle,
  json: Uint8Array,
  now: Date,
  options: WriterOptions = {},
): Promise<AttachedReferrer> {
  if (bundle.mediaType !== BUNDLE_MEDIA_TYPE) {
    throw new FormatError("BUNDLE_MEDIA_TYPE_UNSUPPORTED", "bundle cannot be kept in a registry", {
      expected: BUNDLE_MEDIA_TYPE,
      found: bundle.mediaType,
      remedy: "bring it to the current version with cosign-ts bundle upgrade",
    });
  }
  const layer = { mediaType: BUNDLE_MEDIA_TYPE, digest: contentDigestOf(json), size: json.length };
  return await attachReferrer(
    store,
    subject,
    {
      artifactType: BUNDLE_MEDIA_TYPE,
      // cosign's own `clean` finds its bundles by this field, which has no meaning there.
      config: { descriptor: { ...EMPTY_CONFIG, artifactType: BUNDLE_MEDIA_TYPE }, bytes: EMPTY_CONFIG.bytes },
      layers: [{ descriptor: layer, bytes: json }],
      annotations: { ...annotationsOf(bundle), [CREATED_ANNOTATION]: `${now.toISOString().slice(0, 19)}Z` },
    },
    options,
  );
}

function annotationsOf({ content }: Bundle): Readonly<Record<string, string>> {
  if (content.kind === "messageSignature") return { [BUNDLE_CONTENT_ANNOTATION]: "message-signature" };
  const { payload, payloadType } = content.envelope;
  return {
    [BUNDLE_CONTENT_ANNOTATION]: "dsse-envelope",
    ...(payloadType === IN_TOTO_PAYLOAD_TYPE && {
      [BUNDLE_PREDICATE_TYPE_ANNOTATION]: parseStatement(payload).predicateType,
    }),
  };
}
