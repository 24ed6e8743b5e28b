/**
 * What was proven about an image, and why not, as JSON in the shape of `schema/result.schema.json`.
 *
 * @module
 */

import type { JsonObject } from "../encoding/json.ts";
import type { SigstoreError } from "../errors.ts";
import type { PlaceReport } from "../oci/verification/candidates.ts";
import { formatPlatform } from "../oci/platform.ts";
import {
  ImageNotVerifiedError,
  type RefusedCandidate,
  type VerifiedImage,
  type VerifiedImageSignature,
} from "../oci/verification/verified-image.ts";
import { evidenceToJson, refusalToJson, RESULT_VERSION } from "./json.ts";

/** Writes what was proven about an image. */
export function verifiedImageToJson(image: VerifiedImage): JsonObject {
  return {
    version: RESULT_VERSION,
    verdict: "verified",
    image: image.name,
    pinned: image.pinned,
    digest: image.digest,
    digests: image.digests.map(({ digest, platform, linkage, signatures }) => ({
      digest,
      ...(platform !== undefined && { platform: formatPlatform(platform) }),
      linkage,
      signatures: signatures.map(signatureToJson),
    })),
    vouchedFor: image.vouchedFor.map(({ digest, manifest, layer, statement }) => ({
      digest,
      manifest,
      layer,
      statement: statement.json,
    })),
    refused: image.refused.map(refusedToJson),
    places: image.places.map(placeToJson),
    unproven: image.unproven,
  };
}

/** Writes why an image was refused, with every candidate and every place that was looked at. */
export function imageRefusalToJson(error: SigstoreError, image?: string): JsonObject {
  const refusal = refusalToJson(error);
  if (!(error instanceof ImageNotVerifiedError)) return { ...refusal, ...(image !== undefined && { image }) };
  return {
    ...refusal,
    image: error.image,
    digest: error.digest,
    refused: error.refused.map(refusedToJson),
    places: error.places.map(placeToJson),
  };
}

function signatureToJson(signature: VerifiedImageSignature): JsonObject {
  const { digest, place, manifest, layer, format, annotations, evidence } = signature;
  return {
    digest,
    place,
    ...(manifest !== undefined && { manifest }),
    layer,
    format,
    annotations: { ...annotations },
    evidence: evidenceToJson(evidence),
  };
}

function refusedToJson({ digest, place, manifest, layer, format, error }: RefusedCandidate): JsonObject {
  const { error: reason = {}, checks = [] } = refusalToJson(error);
  return { digest, place, ...(manifest !== undefined && { manifest }), layer, format, error: reason, checks };
}

function placeToJson({ place, location, outcome, skipped }: PlaceReport): JsonObject {
  return {
    place,
    location,
    outcome,
    skipped: skipped.map(({ digest, type, reason, error }) => ({
      digest,
      type,
      reason,
      ...(error !== undefined && { code: error.code }),
    })),
  };
}
