/**
 * Exit statuses that scripts tell apart, as those of cosign's `verify`.
 *
 * @module
 */

import type { ErrorCode, SigstoreError } from "../errors.ts";

const STATUSES: Readonly<Partial<Record<ErrorCode, number>>> = {
  SIGNATURE_NOT_FOUND: 10,
  ATTESTATION_NOT_FOUND: 10,
  IMAGE_NOT_FOUND: 11,
  SIGNATURE_NOT_ACCEPTED: 12,
  ATTESTATION_NOT_ACCEPTED: 12,
  CERTIFICATE_MISSING: 13,
};

/**
 * Gives the exit status of a command that verifies images: 10 for nothing attached, 11 for no such image, 12 for nothing that proves what
 * was asked for, 13 for signatures without a certificate.
 *
 * @see cosign, cmd/cosign/errors/exit_codes.go
 */
export function imageExitStatus({ code }: SigstoreError): number | undefined {
  return STATUSES[code];
}
