/**
 * What a list of attestations proves, as JSON in the shape of `schema/result.schema.json`.
 *
 * @module
 */

import type { JsonObject } from "../encoding/json.ts";
import type { SigstoreError } from "../errors.ts";
import {
  AttestationsNotVerifiedError,
  type RefusedAttestation,
  type VerifiedAttestations,
} from "../verify/verify-attestations.ts";
import { evidenceToJson, refusalToJson } from "./json.ts";

/** Writes what the first good attestation proves, as for one alone, with the outcome of each beside it. */
export function attestationsToJson({ verified, refused }: VerifiedAttestations): JsonObject {
  return {
    ...evidenceToJson(verified[0].evidence),
    attestations: [
      ...verified.map(({ position, evidence }) => ({ position, evidence: evidenceToJson(evidence) })),
      ...refused.map(refusedToJson),
    ],
  };
}

/** Writes why something was refused, with the reason of each attestation where there were several. */
export function attestationsRefusalToJson(error: SigstoreError): JsonObject {
  const refusal = refusalToJson(error);
  return error instanceof AttestationsNotVerifiedError
    ? { ...refusal, attestations: error.refused.map(refusedToJson) }
    : refusal;
}

function refusedToJson({ position, error }: RefusedAttestation): JsonObject {
  return { position, refusal: refusalToJson(error) };
}
