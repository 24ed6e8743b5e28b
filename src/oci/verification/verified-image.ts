/**
 * What a verification of an image asks for, and what it proves.
 *
 * @module
 */

import type { Bundle } from "../../bundle/bundle.ts";
import type { JsonObject } from "../../encoding/json.ts";
import { VerificationError, type SigstoreError, type VerificationErrorCode } from "../../errors.ts";
import type { Fetch } from "../../http/request.ts";
import type { TrustChoice } from "../../files/verify-file.ts";
import type { Statement } from "../../intoto/statement.ts";
import type { VerifiedBundle } from "../../verify/evidence.ts";
import type { SignedCertificateTimestamp } from "../../x509/sct.ts";
import type { ExpectedSigner, TimePolicy, VerifierOptions } from "../../verify/options.ts";
import type { Place, PlaceReport } from "./candidates.ts";
import type { ContentDigest } from "../content-digest.ts";
import type { DetachedSignature, LegacyMaterial } from "../legacy/detached-signature.ts";
import type { AttachmentOptions } from "../image-source.ts";
import type { Descriptor, Platform } from "../manifest.ts";

/**
 * Says which digest must be signed, where an index and the manifests in it each could be.
 *
 * - `target`: what the reference names, be it an index or a manifest; with a platform, the manifest of that.
 * - `index`: what the reference names, which must be an index.
 * - `platform-manifest`: the manifest of the platform, where the reference names an index.
 * - `every-leaf`: every manifest in the index, each with a signature of its own.
 * - `leaf-or-linked-parent`: the manifest of the platform, or the index that the reference names and that is proven to hold it.
 */
export type DigestRule = "target" | "index" | "platform-manifest" | "every-leaf" | "leaf-or-linked-parent";

/** Which formats count. `any`: one good signature in either is enough, whatever else is there. */
export type SignatureFormat = "any" | "bundle" | "legacy";

/** Configures an `ImageVerifier` once, for many images. An omitted option is the safe one. */
export type ImageVerifierOptions = VerifierOptions &
  AttachmentOptions & {
    /** Default: the public-good root, from its TUF repository. */
    readonly trust?: TrustChoice | undefined;
    /** Chooses a time policy for one candidate; `undefined` leaves that of `time`. */
    readonly timeFor?: ((bundle: Bundle) => TimePolicy | undefined) | undefined;
    /** Bytes of one signature, attestation or payload. Default 128 MiB. */
    readonly maxAttachmentBytes?: number | undefined;
    /** Candidates that are verified at a time. Default 10. */
    readonly maxWorkers?: number | undefined;
    /**
     * Where a signature of before bundles that comes without its log entry is looked up, which the verifier itself never does. Default:
     * nowhere, so that such a signature is refused for want of an entry.
     */
    readonly fetchLogEntriesFrom?: { readonly rekorUrl: string; readonly fetch: Fetch } | undefined;
  };

/** Says where proof of an image is looked for, and of which digest. */
export interface ImagePolicy {
  /** Default `any`. */
  readonly format?: SignatureFormat | undefined;
  /** Default `target`. */
  readonly digestRule?: DigestRule | undefined;
  /** `linux/arm64/v8`, or its parts. */
  readonly platform?: string | Platform | undefined;
  /** `"unsafe-skip"` does not compare what was signed with the image, and proves nothing about it. Default `check`. */
  readonly claims?: "check" | "unsafe-skip" | undefined;
  /** SCTs that came beside the certificate, not inside it. */
  readonly detachedScts?: readonly SignedCertificateTimestamp[] | undefined;
  /** What the caller knows of signatures from before bundles. Of a bundle, the certificate alone is compared. */
  readonly legacyMaterial?: LegacyMaterial | undefined;
}

/** Says what must be proven of one image. */
export type VerifyImagePolicy = ExpectedSigner &
  ImagePolicy & {
    /** Every one of them must be among the annotations that were signed. */
    readonly annotations?: Readonly<Record<string, string>> | undefined;
    /**
     * The predicate type of a signature that is a bundle. Default cosign's own, `https://sigstore.dev/cosign/sign/v1`;
     * `"unsafe-any"` takes an attestation of any type for a signature.
     */
    readonly predicateType?: string | undefined;
    /** Signatures that the caller has, which are judged in place of those that are attached to the image. */
    readonly detachedSignatures?: readonly DetachedSignature[] | undefined;
  };

/** Says what an attestation about one image must prove. */
export type VerifyImageAttestationPolicy = ExpectedSigner &
  ImagePolicy & {
    readonly predicateType: string;
    /**
     * Takes attestations that BuildKit has put into the index: nobody signed them on their own, so the index must be signed by whom
     * the policy names. Needs a platform. Default false.
     */
    readonly buildkit?: boolean | undefined;
  };

/** Is a signature, or an attestation, that was proven. */
export interface VerifiedImageSignature {
  /** The digest that it is about: that of the image, or of one that is linked to it. */
  readonly digest: ContentDigest;
  readonly place: Place;
  /** The manifest that holds it; `undefined` for a detached one. */
  readonly manifest: ContentDigest | undefined;
  readonly layer: ContentDigest;
  readonly evidence: VerifiedBundle;
  /** What was signed, byte for byte: a simple-signing payload, or a statement. */
  readonly payload: Uint8Array;
  /** The annotations that were signed. */
  readonly annotations: JsonObject;
  /** Its bundle: as it was found, or as it was put together of what cosign kept before bundles. */
  readonly bundle: Bundle;
  readonly format: "bundle" | "legacy";
}

/** Is a candidate that proves nothing, and why. */
export interface RefusedCandidate {
  readonly digest: ContentDigest;
  readonly place: Place;
  readonly manifest: ContentDigest | undefined;
  readonly layer: ContentDigest;
  readonly format: "bundle" | "legacy";
  readonly error: SigstoreError;
}

/** Is what BuildKit says about an image in a manifest that nobody signed on its own: the signed index names it. */
export interface VouchedAttestation {
  /** The manifest of the platform that it is about. */
  readonly digest: ContentDigest;
  readonly manifest: ContentDigest;
  readonly layer: ContentDigest;
  readonly statement: Statement;
  /** The statement, byte for byte. */
  readonly payload: Uint8Array;
}

/** Is a digest that had to be signed, and what was proven about it. */
export interface VerifiedDigest {
  readonly digest: ContentDigest;
  readonly platform?: Platform | undefined;
  readonly signatures: readonly [VerifiedImageSignature, ...VerifiedImageSignature[]];
  /** The indexes that lead from what was signed to this digest, each proven to name the next: empty where it was signed itself. */
  readonly linkage: readonly ContentDigest[];
}

/** Is an image that was proven to be signed. */
export interface VerifiedImage {
  /** As it was given. */
  readonly name: string;
  /**
   * `registry/repository@sha256:…`: what is now proven, and what to use. A tag may have moved since. With claims skipped, it is only what
   * the tag named: see `unproven`.
   */
  readonly pinned: string;
  /** What the reference names, or the manifest of the platform. */
  readonly digest: ContentDigest;
  readonly descriptor: Descriptor;
  /** Each digest that the rule asked for. */
  readonly digests: readonly [VerifiedDigest, ...VerifiedDigest[]];
  /** The signatures of all of them. */
  readonly signatures: readonly [VerifiedImageSignature, ...VerifiedImageSignature[]];
  /** Those that prove nothing. One good signature is enough. */
  readonly refused: readonly RefusedCandidate[];
  /** Every place that was looked at. */
  readonly places: readonly PlaceReport[];
  /** With `buildkit`: attestations for whose content the signature on the index vouches, and nobody else. */
  readonly vouchedFor: readonly VouchedAttestation[];
  /** What a caller gave up: that the signature is about this image, for instance. */
  readonly unproven: readonly string[];
}

/** Is thrown when nothing that is attached to an image proves what was asked for. */
export class ImageNotVerifiedError extends VerificationError {
  /** As it was given. */
  readonly image: string;
  /** What was looked at, by its digest. */
  readonly digest: ContentDigest;
  /** Each candidate, and why it proves nothing. Empty where there is none. */
  readonly refused: readonly RefusedCandidate[];
  /** Every place that was looked at. */
  readonly places: readonly PlaceReport[];

  /** @internal */
  constructor(
    code: VerificationErrorCode,
    message: string,
    found: Pick<ImageNotVerifiedError, "image" | "digest" | "refused" | "places">,
    details: ConstructorParameters<typeof VerificationError>[2] = {},
  ) {
    super(code, message, details);
    this.name = "VerificationError"; // the class of its code, for whoever reads JSON
    this.image = found.image;
    this.digest = found.digest;
    this.refused = found.refused;
    this.places = found.places;
  }
}
