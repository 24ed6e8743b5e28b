/**
 * What may be a signature or an attestation of an image: everything that is attached to it, wherever it is kept, unproven.
 *
 * @module
 */

import type { Bundle } from "../bundle/bundle.ts";
import type { SigstoreError } from "../errors.ts";
import type { ContentDigest } from "./content-digest.ts";

/**
 * Names where something was found: the referrers API or the tag that stands in for it, a manifest of the time between
 * (`oci-1-1`), the tags `.sig` and `.att`, or an attestation that BuildKit has put into the index, which nobody signed on its own.
 */
export type Place =
  "referrers-api" | "referrers-tag" | "oci-1-1" | "signature-tag" | "attestation-tag" | "layout" | "buildkit";

/** Is one thing that may be a signature or an attestation. Nothing of it is proven. */
export interface Candidate {
  readonly place: Place;
  /** The manifest that holds it. */
  readonly manifest: ContentDigest;
  /** The layer that it is. */
  readonly layer: ContentDigest;
  readonly content:
    /** A Sigstore bundle, of version 0.3 in a registry. */
    | { readonly kind: "bundle"; readonly bundle: Bundle; readonly json: Uint8Array }
    /** A simple-signing payload with a signature over it: cosign before bundles. */
    | { readonly kind: "simple-signing"; readonly bundle: Bundle; readonly payload: Uint8Array }
    /** A DSSE envelope with what goes with it in annotations: cosign before bundles. */
    | { readonly kind: "dsse"; readonly bundle: Bundle; readonly envelope: Uint8Array };
}

/** Says what one place held, whether or not that was of any use. */
export interface PlaceReport {
  readonly place: Place;
  /** Where it is: `registry/repository:sha256-….sig`, for instance. */
  readonly location: string;
  /** `absent`: there is no such tag. `empty`: there is the list or the manifest, without anything of use in it. */
  readonly outcome: "absent" | "empty" | "found";
  /** Things that were passed over, and why. */
  readonly skipped: readonly SkippedContent[];
}

/** Is something in a place that is no candidate. */
export interface SkippedContent {
  readonly digest: ContentDigest;
  readonly mediaType: string;
  /** Completes "it was passed over because …". */
  readonly reason: string;
  readonly error?: SigstoreError | undefined;
}
