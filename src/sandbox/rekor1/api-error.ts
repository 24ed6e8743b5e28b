/**
 * The errors of Rekor v1: its own, and those of the framework that checks requests against its API description.
 *
 * @module
 */

/** Answers a request with an error. Codes of the framework are larger than any status; then the status is 422. */
export class ApiError extends Error {
  readonly code: number;

  constructor(code: number, message: string) {
    super(message);
    this.code = code;
  }

  get status(): number {
    return this.code < 600 ? this.code : 422;
  }
}

/** What the framework calls a value that breaks a rule of the API description (go-openapi, `errors/schema.go`). */
export const RULE = {
  type: 601,
  required: 602,
  pattern: 605,
  enum: 606,
  minimum: 609,
  maxItems: 611,
  minItems: 612,
} as const;

/** Refuses what cannot be an entry, for this reason. */
export function entryRefused(reason: string): ApiError {
  return new ApiError(400, `error processing entry: ${reason}`);
}
