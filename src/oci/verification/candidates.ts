/**
 * What may be a signature or an attestation of an image: everything that is attached to it, wherever it is kept, unproven.
 *
 * @module
 */

import { parseBundle, type Bundle } from "../../bundle/bundle.ts";
import type { SignatureParts } from "../../bundle/legacy.ts";
import { FormatError, ServiceError, VerificationError, type SigstoreError } from "../../errors.ts";
import { MAX_IMAGE_SIGNATURES, MAX_IMAGE_SIGNATURES_BYTES } from "../../limits.ts";
import { attachmentTag } from "../attachment-tags.ts";
import type { ContentDigest } from "../content-digest.ts";
import type { ContentStore, FetchedManifest, ReferrersList } from "../content-store.ts";
import { isLegacyLayer, readLegacyLayer } from "../legacy/legacy-layer.ts";
import type { Descriptor, ImageManifest } from "../manifest.ts";
import { COSIGN_SIGNATURES, DSSE_ENVELOPE, SIMPLE_SIGNING } from "../media-types.ts";
import type { SignatureFormat } from "./verified-image.ts";

/**
 * Names where something was found: the referrers API, the tag that stands in for it, or a layout; a manifest of the time between
 * tags and bundles (`oci-1-1`); the tags `.sig` and `.att`; or nowhere, where the caller has it (`detached`).
 */
export type Place = ReferrersList["source"] | "oci-1-1" | "signature-tag" | "attestation-tag" | "detached";

/** Is one thing that may be a signature or an attestation. Nothing of it is proven. */
export interface Candidate {
  readonly place: Place;
  /** The manifest that holds it; `undefined` where the caller does. */
  readonly manifest: ContentDigest | undefined;
  /** The layer that it is. */
  readonly layer: Descriptor;
  readonly content:
    /** A Sigstore bundle, of version 0.3 in a registry. */
    | { readonly kind: "bundle"; readonly bundle: Bundle; readonly json: Uint8Array }
    | LegacyContent
    /** What has the form of one of the others, and cannot be read. */
    | { readonly kind: "malformed"; readonly format: "bundle" | "legacy"; readonly error: SigstoreError };
}

/** Is a candidate that was found in a registry or a layout. */
export interface AttachedCandidate extends Candidate {
  readonly manifest: ContentDigest;
}

/** Is a signature or an attestation as cosign kept it before bundles. */
export type LegacyContent =
  /** A simple-signing payload with a signature over it. */
  | {
      readonly kind: "simple-signing";
      /** Of version 0.1, put together of the parts. */
      readonly bundle: Bundle;
      readonly parts: SignatureParts;
      readonly payload: Uint8Array;
    }
  /** A DSSE envelope. */
  | { readonly kind: "dsse"; readonly bundle: Bundle; readonly parts: SignatureParts; readonly envelope: Uint8Array };

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
  /** The artifact type of a manifest, or the media type of a layer. */
  readonly type: string;
  /** Completes "it was passed over because …". */
  readonly reason: string;
  readonly error?: SigstoreError | undefined;
}

/** Says what is looked for. */
export interface CandidateQuery {
  readonly want: "signature" | "attestation";
  /** Which places are looked at. `bundle`: the referrers alone. `legacy`: the tags, and manifests of the time between. */
  readonly format: SignatureFormat;
  readonly tagPrefix?: string | undefined;
  /** Bytes of one blob. */
  readonly maxBytes: number;
}

/** Is everything that was found about one digest. */
export interface FoundCandidates {
  readonly candidates: readonly AttachedCandidate[];
  readonly places: readonly PlaceReport[];
}

const BUNDLE_LAYER = "application/vnd.dev.sigstore.bundle";

/**
 * Reads everything attached to a digest that may be what is looked for. Each place is asked once, all at the same time, and each
 * blob is fetched once: two requests for a signature in a referrer, one for one under a tag.
 *
 * A registry that does not answer as it should in one place is an error of the whole: what it holds cannot be known. Something that
 * is malformed is a candidate with its error, and hides no other.
 *
 * @throws ServiceError; FormatError `LIMIT_EXCEEDED` for too many candidates, and what the store says of a list that is no list.
 */
export async function readCandidates(
  store: ContentStore,
  digest: ContentDigest,
  query: CandidateQuery,
): Promise<FoundCandidates> {
  const reading = new Reading(store, digest, query);
  const found = await Promise.all([
    reading.referrers(),
    ...(query.format === "bundle" ? [] : [reading.tag(query.want === "signature" ? "sig" : "att")]),
  ]);
  return {
    candidates: withoutRepeats(found.flatMap((one) => one.candidates)),
    places: found.flatMap((one) => one.places),
  };
}

class Reading {
  readonly #store: ContentStore;
  readonly #digest: ContentDigest;
  readonly #query: CandidateQuery;
  /** One payload is signed by many, and several manifests may hold one bundle. By digest and size: see {@link Reading.#fetch}. */
  readonly #blobs = new Map<string, Promise<Uint8Array>>();
  /** Layers that were come upon, of use or not. */
  #layerCount = 0;
  /** Bytes of all blobs that were asked for. */
  #bytes = 0;

  constructor(store: ContentStore, digest: ContentDigest, query: CandidateQuery) {
    this.#store = store;
    this.#digest = digest;
    this.#query = query;
  }

  /** Everything that names the digest as its subject. What the list says of a manifest's type is not believed: cosign writes another. */
  async referrers(): Promise<FoundCandidates> {
    const { name } = this.#store;
    const { source, descriptors, index } = await this.#store.listReferrers(this.#digest);
    const skipped: SkippedContent[] = [];
    const found = await Promise.all(descriptors.map((descriptor) => this.#referrer(descriptor, source, skipped)));
    const candidates = found.flat();
    const tag = attachmentTag(this.#digest, "referrers");
    return {
      candidates,
      places: [
        {
          place: source,
          location: source === "referrers-tag" ? `${name}:${tag}` : `${name}@${this.#digest}`,
          outcome:
            candidates.length > 0 ? "found" : source === "referrers-tag" && index === undefined ? "absent" : "empty",
          skipped,
        },
      ],
    };
  }

  async #referrer(
    descriptor: Descriptor,
    source: ReferrersList["source"],
    skipped: SkippedContent[],
  ): Promise<readonly AttachedCandidate[]> {
    const { digest } = descriptor;
    const skip = (type: string, reason: string, error?: SigstoreError): readonly AttachedCandidate[] => {
      skipped.push({ digest, type, reason, ...(error !== undefined && { error }) });
      return [];
    };
    const listedType = descriptor.artifactType ?? descriptor.mediaType;
    let fetched: FetchedManifest | undefined;
    try {
      fetched = await this.#store.fetchManifest(digest);
    } catch (error) {
      if (!isAboutContent(error)) throw error;
      return skip(listedType, error.message, error);
    }
    if (fetched === undefined) return skip(listedType, "the list names it, and it is not there");
    const { manifest } = fetched;
    if (manifest.subject?.digest !== this.#digest) {
      const error = new VerificationError(
        "REFERRER_SUBJECT_MISMATCH",
        `${this.#store.name} lists manifest ${digest}, which is attached to something else`,
        { expected: this.#digest, found: manifest.subject?.digest ?? "no subject" },
      );
      return skip(listedType, error.message, error);
    }
    if (manifest.kind === "index") return skip(manifest.artifactType ?? manifest.mediaType, "it is an index");
    const { artifactType, config } = manifest;
    const type = artifactType ?? config.mediaType;
    const bundles = manifest.layers.filter(({ mediaType }) => mediaType.startsWith(BUNDLE_LAYER));
    if (bundles.length > 0) {
      if (this.#query.format === "legacy") return skip(type, "it is a bundle, and only older formats were asked for");
      const [layer] = bundles;
      if (layer === undefined || manifest.layers.length > 1)
        return skip(type, `it has ${manifest.layers.length} layers, and a bundle is one`);
      return [{ place: source, manifest: digest, layer, content: await this.#bundle(layer) }];
    }
    if (type === COSIGN_SIGNATURES || config.mediaType === COSIGN_SIGNATURES) {
      if (this.#query.format === "bundle") return skip(type, "it is no bundle, and only bundles were asked for");
      if (this.#query.want === "attestation") return skip(type, "it holds signatures, not attestations");
      return await this.#layers(digest, manifest, "oci-1-1", skipped);
    }
    return skip(type, "it is neither a bundle nor signatures");
  }

  async #bundle(layer: Descriptor): Promise<Candidate["content"]> {
    this.#count(1);
    try {
      const json = await this.#fetch(layer);
      const bundle = parseBundle(json);
      if (bundle.version === "0.3") return { kind: "bundle", bundle, json };
      throw new VerificationError("BUNDLE_VERSION_NOT_ALLOWED", "bundle in a registry is of an older version", {
        expected: "0.3",
        found: bundle.version,
      });
    } catch (error) {
      if (!isAboutContent(error)) throw error;
      return { kind: "malformed", format: "bundle", error };
    }
  }

  /** What a tag beside the image names: one manifest with a layer for each signature. */
  async tag(kind: "sig" | "att"): Promise<FoundCandidates> {
    const { name } = this.#store;
    const place = kind === "sig" ? "signature-tag" : "attestation-tag";
    const tag = attachmentTag(this.#digest, kind, this.#query.tagPrefix);
    const report = (outcome: PlaceReport["outcome"], skipped: readonly SkippedContent[] = []): PlaceReport => ({
      place,
      location: `${name}:${tag}`,
      outcome,
      skipped,
    });
    let fetched: FetchedManifest | undefined;
    try {
      fetched = await this.#store.fetchManifest(tag);
    } catch (error) {
      if (!isAboutContent(error)) throw error;
      const skipped = { digest: this.#digest, type: tag, reason: error.message, error };
      return { candidates: [], places: [report("empty", [skipped])] };
    }
    if (fetched === undefined) return { candidates: [], places: [report("absent")] };
    const { descriptor, manifest } = fetched;
    if (manifest.kind === "index") {
      const skipped = { digest: descriptor.digest, type: descriptor.mediaType, reason: "it is an index" };
      return { candidates: [], places: [report("empty", [skipped])] };
    }
    const skipped: SkippedContent[] = [];
    const candidates = await this.#layers(descriptor.digest, manifest, place, skipped);
    return { candidates, places: [report(candidates.length > 0 ? "found" : "empty", skipped)] };
  }

  async #layers(
    digest: ContentDigest,
    { layers }: ImageManifest,
    place: Place,
    skipped: SkippedContent[],
  ): Promise<readonly AttachedCandidate[]> {
    this.#count(layers.length);
    const wanted = this.#query.want === "signature" ? SIMPLE_SIGNING : DSSE_ENVELOPE;
    const found = await Promise.all(
      layers.map(async (layer): Promise<readonly AttachedCandidate[]> => {
        if (layer.mediaType !== wanted) {
          const reason = isLegacyLayer(layer) ? `it is no ${this.#query.want}` : "it is of another type";
          skipped.push({ digest: layer.digest, type: layer.mediaType, reason });
          return [];
        }
        return [{ place, manifest: digest, layer, content: await this.#legacy(layer) }];
      }),
    );
    return found.flat();
  }

  async #legacy(layer: Descriptor): Promise<Candidate["content"]> {
    try {
      return readLegacyLayer(layer, await this.#fetch(layer));
    } catch (error) {
      if (!isAboutContent(error)) throw error;
      return { kind: "malformed", format: "legacy", error };
    }
  }

  /**
   * Fetches a blob, once. One that is said to be of another size is another one: whoever names a payload with a wrong size must not take
   * it away from those who name it rightly.
   */
  async #fetch(layer: Descriptor): Promise<Uint8Array> {
    const { digest, size } = layer;
    const key = `${digest} ${size}`;
    let blob = this.#blobs.get(key);
    if (blob === undefined) {
      const { maxBytes } = this.#query;
      if (size <= maxBytes) this.#bytes += size;
      const atMost = Math.max(MAX_IMAGE_SIGNATURES_BYTES, maxBytes);
      if (this.#bytes > atMost) throw this.#tooMany(`at most ${atMost} bytes`, "more");
      blob = this.#store.fetchBlob(layer, maxBytes);
      this.#blobs.set(key, blob);
    }
    return await blob;
  }

  /** Before anything of them is fetched. */
  #count(layers: number): void {
    this.#layerCount += layers;
    if (this.#layerCount > MAX_IMAGE_SIGNATURES)
      throw this.#tooMany(`at most ${MAX_IMAGE_SIGNATURES}`, `${this.#layerCount} or more`);
  }

  #tooMany(expected: string, found: string): TooMuchAttached {
    return new TooMuchAttached(`${this.#store.name} has too many signatures of ${this.#digest}`, expected, found);
  }
}

/** Is a limit of everything together, which is the fault of no one thing. */
class TooMuchAttached extends FormatError {
  constructor(message: string, expected: string, found: string) {
    super("LIMIT_EXCEEDED", message, { expected, found });
    this.name = "FormatError";
  }
}

/** The same layer may be in several manifests, and one manifest may name it twice. */
function withoutRepeats(candidates: readonly AttachedCandidate[]): readonly AttachedCandidate[] {
  const seen = new Set<string>();
  return candidates.filter(({ content, layer: { digest, size, annotations = {} } }) => {
    // What a bundle is, it holds itself; of everything older the rest is in the annotations.
    const isBundle = content.kind === "bundle" || (content.kind === "malformed" && content.format === "bundle");
    const key = `${digest} ${size} ${isBundle ? "" : JSON.stringify(annotations, Object.keys(annotations).toSorted())}`;
    if (seen.has(key)) return false;
    seen.add(key);
    return true;
  });
}

/** Says whether an error is about one thing that was fetched. Any other means that nobody knows what is there. */
function isAboutContent(error: unknown): error is SigstoreError {
  if (error instanceof TooMuchAttached) return false;
  if (error instanceof FormatError || error instanceof VerificationError) return true;
  return (
    error instanceof ServiceError && (error.code === "CONTENT_NOT_FOUND" || error.code === "HTTP_RESPONSE_TOO_LARGE")
  );
}
