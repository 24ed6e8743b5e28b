/**
 * Error classes and every error code. Codes are public API: never renamed, never reused.
 *
 * @module
 */

/** Says that bytes are not what they claim to be. */
export type FormatErrorCode =
  | "PEM_MALFORMED"
  | "JSON_MALFORMED"
  | "JSON_DUPLICATE_KEY"
  | "DER_MALFORMED"
  | "PUBLIC_KEY_MALFORMED"
  | "CERTIFICATE_MALFORMED"
  | "SCT_MALFORMED"
  | "ENVELOPE_MALFORMED"
  | "STATEMENT_MALFORMED"
  | "SIGNED_NOTE_MALFORMED"
  | "CHECKPOINT_MALFORMED"
  | "COSIGNATURE_MALFORMED"
  | "TLOG_ENTRY_MALFORMED"
  | "TLOG_ENTRY_KIND_UNSUPPORTED"
  | "TIMESTAMP_MALFORMED"
  | "BUNDLE_MALFORMED"
  | "BUNDLE_MEDIA_TYPE_UNSUPPORTED"
  | "TRUSTED_ROOT_MALFORMED"
  | "SIGNING_CONFIG_MALFORMED"
  | "LIMIT_EXCEEDED"
  | "IDENTITY_TOKEN_MALFORMED"
  | "PRIVATE_KEY_MALFORMED"
  | "SIGNING_STATE_MALFORMED"
  | "MANIFEST_MALFORMED"
  | "IMAGE_LAYOUT_MALFORMED"
  | "SIMPLE_SIGNING_MALFORMED"
  | "DOCKER_CONFIG_MALFORMED"
  | "DOCKERFILE_MALFORMED"
  | "YAML_MALFORMED";

/** Says that well-formed material does not prove what it should. */
export type VerificationErrorCode =
  | "ALGORITHM_UNSUPPORTED"
  | "ARTIFACT_DIGEST_MISMATCH"
  | "ATTESTATION_NOT_ACCEPTED"
  | "ATTESTATION_NOT_FOUND"
  | "BUNDLE_VERSION_NOT_ALLOWED"
  | "CERTIFICATE_CHAIN_NOT_ALLOWED"
  | "CERTIFICATE_CONSTRAINT_VIOLATED"
  | "CERTIFICATE_ISSUER_UNKNOWN"
  | "CERTIFICATE_KEY_MISMATCH"
  | "CERTIFICATE_MISMATCH"
  | "CERTIFICATE_MISSING"
  | "CERTIFICATE_NOT_VALID_AT_TIME"
  | "CERTIFICATE_REVOKED"
  | "CERTIFICATE_SIGNATURE_INVALID"
  | "CERTIFICATE_USAGE_INVALID"
  | "CHECKPOINT_NOT_SIGNED_BY_LOG"
  | "CHECKPOINT_SIGNATURE_INVALID"
  | "CONTENT_DIGEST_MISMATCH"
  | "CONTENT_SIZE_MISMATCH"
  | "COSIGNATURE_INVALID"
  | "COSIGNATURE_THRESHOLD_NOT_MET"
  | "DIGEST_ALGORITHM_MISMATCH"
  | "DIGEST_ONLY_UNSUPPORTED"
  | "KEY_HINT_MISMATCH"
  | "KEY_NOT_VALID_AT_TIME"
  | "LINKAGE_MISSING"
  | "MEDIA_TYPE_MISMATCH"
  | "PUBLIC_KEY_UNKNOWN"
  | "REFERRER_SUBJECT_MISMATCH"
  | "SBOM_NOT_FOUND"
  | "SCT_INVALID"
  | "SCT_THRESHOLD_NOT_MET"
  | "SIGNATURE_INVALID"
  | "SIGNATURE_NOT_ACCEPTED"
  | "SIGNATURE_NOT_FOUND"
  | "SIGNER_KIND_MISMATCH"
  | "TIMESTAMP_CERTIFICATE_INVALID"
  | "TIMESTAMP_IMPRINT_MISMATCH"
  | "TIMESTAMP_NONCE_MISMATCH"
  | "TIMESTAMP_NOT_GRANTED"
  | "TIMESTAMP_OUTSIDE_AUTHORITY_VALIDITY"
  | "TIMESTAMP_POLICY_MISMATCH"
  | "TIMESTAMP_SIGNATURE_INVALID"
  | "TIMESTAMP_THRESHOLD_NOT_MET"
  | "TLOG_CONSISTENCY_PROOF_INVALID"
  | "TLOG_ENTRY_DUPLICATE"
  | "TLOG_ENTRY_MISMATCH"
  | "TLOG_INCLUSION_PROMISE_INVALID"
  | "TLOG_INCLUSION_PROMISE_MISSING"
  | "TLOG_INCLUSION_PROOF_INVALID"
  | "TLOG_INCLUSION_PROOF_MISSING"
  | "TLOG_KEY_NOT_VALID_AT_TIME"
  | "TLOG_THRESHOLD_NOT_MET";

/** Says that what was proven is not what was asked for. */
export type PolicyErrorCode =
  | "ANNOTATION_MISMATCH"
  | "EXTENSION_MISMATCH"
  | "IDENTITY_MISMATCH"
  | "ISSUER_MISMATCH"
  | "PAYLOAD_TYPE_MISMATCH"
  | "PREDICATE_TYPE_MISMATCH"
  | "SUBJECT_MISMATCH";

/** Says that it is not known whom to trust. */
export type TrustErrorCode =
  | "SIGNING_CONFIG_UNUSABLE"
  | "TUF_CACHE_EXPIRED"
  | "TUF_METADATA_EXPIRED"
  | "TUF_METADATA_INVALID"
  | "TUF_METADATA_MISSING"
  | "TUF_REFRESH_FAILED"
  | "TUF_ROLLBACK"
  | "TUF_ROOT_MISSING"
  | "TUF_TARGET_INVALID"
  | "TUF_TARGET_NOT_FOUND"
  | "TUF_THRESHOLD_NOT_MET";

/** Says that the other side did not answer as it should. */
export type ServiceErrorCode =
  | "CONTENT_NOT_FOUND"
  | "FULCIO_REQUEST_REFUSED"
  | "HTTP_REQUEST_FAILED"
  | "HTTP_RESPONSE_TOO_LARGE"
  | "HTTP_STATUS_UNEXPECTED"
  | "HTTP_TIMEOUT"
  | "IMAGE_NOT_FOUND"
  | "OFFLINE"
  | "OIDC_REQUEST_REFUSED"
  | "REGISTRY_REALM_REFUSED"
  | "REGISTRY_REQUEST_REFUSED"
  | "REGISTRY_TAG_IMMUTABLE"
  | "REGISTRY_UNAUTHORIZED"
  | "REGISTRY_UPDATE_LOST"
  | "REKOR_REQUEST_REFUSED"
  | "SERVICE_RESPONSE_INVALID"
  | "TIMESTAMP_REQUEST_REFUSED"
  | "TLOG_ENTRY_CONFLICT"
  | "TLOG_FROZEN";

/** Says that the caller gave something that cannot be used. */
export type InputErrorCode =
  | "ADDRESS_IN_USE"
  | "ARTIFACT_UNREADABLE"
  | "BUNDLE_NOT_FOUND"
  | "COMMAND_INTERRUPTED"
  | "COMMAND_TIMED_OUT"
  | "CONSENT_MISSING"
  | "CREDENTIALS_UNAVAILABLE"
  | "DESTINATION_EXISTS"
  | "FILE_IS_DIRECTORY"
  | "FILE_NOT_FOUND"
  | "FILE_TOO_LARGE"
  | "FILE_UNREADABLE"
  | "FOLDER_IN_USE"
  | "IDENTITY_TOKEN_AUDIENCE_MISMATCH"
  | "IDENTITY_TOKEN_EXPIRED"
  | "IDENTITY_TOKEN_NOT_YET_VALID"
  | "IDENTITY_TOKEN_UNAVAILABLE"
  | "KEY_PASSWORD_MISSING"
  | "KEY_PASSWORD_WRONG"
  | "LOGIN_FAILED"
  | "PLATFORM_NOT_FOUND"
  | "REFERENCE_MALFORMED"
  | "SIGNING_STATE_MISMATCH"
  | "URL_INVALID"
  | "USAGE_INVALID";

/** Says that something could not be read from or kept on disk. */
export type StorageErrorCode = "CACHE_UNREADABLE" | "STORE_UNREADABLE" | "WRITE_FAILED";

/** Every code of every {@link SigstoreError}. */
export type ErrorCode =
  | FormatErrorCode
  | VerificationErrorCode
  | PolicyErrorCode
  | TrustErrorCode
  | ServiceErrorCode
  | InputErrorCode
  | StorageErrorCode;

/** One check of a verification, in the order of the client specification. */
export interface Check {
  /** Stable name of the check, for instance `tlog.checkpoint`. */
  readonly name: string;
  /** The specification and section that demands it, for instance `client-spec §4.2.2`. */
  readonly section: string;
  /** `not-reached`: it needs something that failed before it. `skipped`: it is not asked for, or there is nothing to check. */
  readonly outcome: "passed" | "failed" | "not-reached" | "skipped";
  /** What was found, in one line. */
  readonly detail?: string | undefined;
  readonly code?: ErrorCode | undefined;
  readonly expected?: string | undefined;
  readonly found?: string | undefined;
}

/** What may stand beside the code and the message of an error. */
export interface ErrorDetails {
  /** What was required, for a person to compare. */
  readonly expected?: string | undefined;
  /** What was there instead. */
  readonly found?: string | undefined;
  /** What the reader can do next, as an imperative. */
  readonly remedy?: string | undefined;
  /** Every check of the verification, passed ones included. */
  readonly report?: readonly Check[] | undefined;
  readonly cause?: unknown;
}

/** Is the base of every error that this package throws at run time. */
export abstract class SigstoreError extends Error {
  abstract readonly code: ErrorCode;
  /** What was required, where two values were compared. */
  readonly expected: string | undefined;
  /** What was there instead. */
  readonly found: string | undefined;
  /** What the reader can do next. */
  readonly remedy: string | undefined;
  /** Every check of the verification, passed ones included; absent outside a verification. */
  readonly report: readonly Check[] | undefined;

  /** @internal */
  protected constructor(message: string, details: ErrorDetails = {}) {
    super(message, details.cause === undefined ? undefined : { cause: details.cause });
    this.name = new.target.name;
    this.expected = details.expected;
    this.found = details.found;
    this.remedy = details.remedy;
    this.report = details.report;
  }
}

/** Is thrown when bytes are not what they claim to be. */
export class FormatError extends SigstoreError {
  readonly code: FormatErrorCode;
  constructor(code: FormatErrorCode, message: string, details?: ErrorDetails) {
    super(message, details);
    this.code = code;
  }
}

/** Is thrown when well-formed material does not prove what it should. */
export class VerificationError extends SigstoreError {
  readonly code: VerificationErrorCode;
  constructor(code: VerificationErrorCode, message: string, details?: ErrorDetails) {
    super(message, details);
    this.code = code;
  }
}

/** Is thrown when what was proven is not what was asked for. */
export class PolicyError extends SigstoreError {
  readonly code: PolicyErrorCode;
  constructor(code: PolicyErrorCode, message: string, details?: ErrorDetails) {
    super(message, details);
    this.code = code;
  }
}

/** Is thrown when it is not known whom to trust. */
export class TrustError extends SigstoreError {
  readonly code: TrustErrorCode;
  constructor(code: TrustErrorCode, message: string, details?: ErrorDetails) {
    super(message, details);
    this.code = code;
  }
}

/** Is thrown when a service did not answer as it should. */
export class ServiceError extends SigstoreError {
  readonly code: ServiceErrorCode;
  /** The HTTP status, where there was an answer. */
  readonly status: number | undefined;
  /** Whether the same request may succeed later. */
  readonly retryable: boolean;
  /** Which service it was, for instance `Fulcio`, where the caller named it. */
  readonly service: string | undefined;
  /** How often the request was made. */
  readonly attempts: number | undefined;
  constructor(
    code: ServiceErrorCode,
    message: string,
    details: ErrorDetails & {
      readonly status?: number | undefined;
      readonly retryable?: boolean | undefined;
      readonly service?: string | undefined;
      readonly attempts?: number | undefined;
    } = {},
  ) {
    super(message, details);
    this.code = code;
    this.status = details.status;
    this.retryable = details.retryable ?? false;
    this.service = details.service;
    this.attempts = details.attempts;
  }
}

/** Is thrown when the caller gave something that cannot be used. */
export class InputError extends SigstoreError {
  readonly code: InputErrorCode;
  constructor(code: InputErrorCode, message: string, details?: ErrorDetails) {
    super(message, details);
    this.code = code;
  }
}

/** Is thrown when something could not be read from or kept on disk. */
export class StorageError extends SigstoreError {
  readonly code: StorageErrorCode;
  constructor(code: StorageErrorCode, message: string, details?: ErrorDetails) {
    super(message, details);
    this.code = code;
  }
}
