/**
 * What can go wrong at each service, and what has to come of it.
 *
 * @module
 */

import type { Generation } from "./world.ts";

/** Is a part that signing asks. */
export type AskedService = "oidc" | "tuf" | "fulcio" | "tsa" | "rekor1" | "rekor2";

/** What has to come of a signature. */
export type Expected =
  | {
      readonly kind: "signed";
      /** Waits between two attempts that were asked for, at least so long. */
      readonly waitedMs?: number;
    }
  | {
      readonly kind: "failed";
      readonly code: string;
      readonly attempts: number;
      readonly status?: number;
    }
  | { readonly kind: "refused"; readonly error: "VerificationError" | "PolicyError"; readonly code: RegExp };

export interface Row {
  /** As `--fault` of the sandbox takes it. */
  readonly fault: string;
  readonly generation: Generation;
  readonly expected: Expected;
  /** How many entries the log has more afterwards. */
  readonly entries: number;
  /** How long the signer has. Only what never ends needs little. */
  readonly timeoutMs: number;
  /** Stands in `npm test`; the others in `npm run test:e2e`. */
  readonly sample: boolean;
}

/** How errors name the services. */
export const SERVICE_NAMES: Readonly<Record<AskedService, string>> = {
  oidc: "identity provider",
  tuf: "TUF repository",
  fulcio: "Fulcio",
  tsa: "timestamp authority",
  rekor1: "Rekor",
  rekor2: "Rekor",
};

/** More than any machine needs for a signature. */
const ENOUGH_MS = 60_000;
/** Enough to come to the service that hangs, and no test has to wait long for it. */
const LITTLE_MS = 3000;

const SIGNED = { kind: "signed" } as const;
const failed = (code: string, attempts: number, status?: number): Expected => ({
  kind: "failed",
  code,
  attempts,
  ...(status !== undefined && { status }),
});

/** What goes wrong on the way: kind, what comes of it, and whether the service has done its work all the same. */
const ON_THE_WAY: readonly (readonly [string, Expected, "done" | "not-done"])[] = [
  ["timeout", failed("HTTP_TIMEOUT", 1), "not-done"],
  ["slow-drip:500", failed("HTTP_TIMEOUT", 1), "done"],
  ["reset", failed("HTTP_REQUEST_FAILED", 3), "not-done"],
  ["reset,requests=2", SIGNED, "done"],
  ["429:7", failed("HTTP_STATUS_UNEXPECTED", 3, 429), "not-done"],
  ["429:7,requests=1", { kind: "signed", waitedMs: 7000 }, "done"],
  ["429:86400", failed("HTTP_STATUS_UNEXPECTED", 1, 429), "not-done"],
  ["500", failed("HTTP_STATUS_UNEXPECTED", 3, 500), "not-done"],
  ["500-once", SIGNED, "done"],
  ["503", failed("HTTP_STATUS_UNEXPECTED", 3, 503), "not-done"],
  ["503,requests=2", SIGNED, "done"],
  ["lost-answer", failed("HTTP_REQUEST_FAILED", 3), "done"],
  ["lost-answer,requests=1", SIGNED, "done"],
  ["truncated", failed("HTTP_REQUEST_FAILED", 3), "done"],
  ["truncated,requests=1", SIGNED, "done"],
  // What an answer is called proves nothing; what it is, is proven.
  ["wrong-content-type", SIGNED, "done"],
];

/** One of each kind of fault, and each service once at least. */
const SAMPLE: ReadonlySet<string> = new Set([
  "tuf=429:7,requests=1",
  "tuf=503",
  "oidc=reset",
  "oidc=500-once",
  "fulcio=503,requests=2",
  "fulcio=500",
  "tsa=truncated",
  "tsa=wrong-content-type",
  "tsa=429:86400",
  "rekor1=lost-answer",
  "rekor1=lost-answer,requests=1",
  "rekor1=reset",
  "rekor2=truncated,requests=1",
  "rekor2=429:7",
  "rekor2=lost-answer",
]);

export function faultRows(): readonly Row[] {
  const rows: Row[] = [];
  for (const service of ["oidc", "tuf", "fulcio", "tsa", "rekor1", "rekor2"] as const) {
    for (const [kind, expected, done] of ON_THE_WAY) {
      const fault = `${service}=${kind}`;
      const isLog = service.startsWith("rekor");
      rows.push({
        fault,
        generation: service === "rekor1" ? 1 : 2,
        expected,
        entries: expected.kind === "signed" || (isLog && done === "done") ? 1 : 0,
        timeoutMs: /timeout|slow-drip/.test(kind) ? LITTLE_MS : ENOUGH_MS,
        sample: SAMPLE.has(fault),
      });
    }
  }
  return rows;
}

const refused = (code: RegExp, error: "VerificationError" | "PolicyError" = "VerificationError"): Expected => ({
  kind: "refused",
  error,
  code,
});

/** Lies: each with the code that says which one it was. The log has made its entry before it lies about it. */
const FORGERIES: readonly (readonly [string, Expected, ...Generation[]])[] = [
  ["fulcio=other-key", refused(/^CERTIFICATE_KEY_MISMATCH$/), 1, 2],
  ["fulcio=other-identity", refused(/^IDENTITY_MISMATCH$/, "PolicyError"), 1, 2],
  ["fulcio=other-sct", refused(/^SCT_INVALID$/), 1, 2],
  ["fulcio=wrong-ca", refused(/^CERTIFICATE_ISSUER_UNKNOWN$/), 1, 2],
  ["fulcio=expired", refused(/^CERTIFICATE_NOT_VALID_AT_TIME$/), 1, 2],
  ["fulcio=clock:-1h", refused(/^CERTIFICATE_NOT_VALID_AT_TIME$/), 2],
  ["fulcio=clock:+7m", refused(/^CERTIFICATE_NOT_VALID_AT_TIME$/), 2],
  ["ctlog=wrong-key", refused(/^SCT_INVALID$/), 1, 2],
  ["tsa=wrong-key", refused(/^TIMESTAMP_SIGNATURE_INVALID$/), 1, 2],
  ["tsa=other-signature", refused(/^TIMESTAMP_IMPRINT_MISMATCH$/), 1, 2],
  ["tsa=wrong-nonce", refused(/^TIMESTAMP_NONCE_MISMATCH$/), 1, 2],
  ["tsa=rejection", refused(/^TIMESTAMP_NOT_GRANTED$/), 1, 2],
  ["tsa=clock:+1h", refused(/^CERTIFICATE_NOT_VALID_AT_TIME$/), 1, 2],
  ["rekor1=wrong-key", refused(/^CHECKPOINT_SIGNATURE_INVALID$|^CHECKPOINT_NOT_SIGNED_BY_LOG$/), 1],
  ["rekor1=wrong-promise", refused(/^TLOG_INCLUSION_PROMISE_INVALID$/), 1],
  ["rekor1=other-entry", refused(/^TLOG_ENTRY_MISMATCH$/), 1],
  ["rekor1=wrong-proof", refused(/^TLOG_INCLUSION_PROOF_INVALID$/), 1],
  ["rekor1=stale-checkpoint", refused(/^TLOG_INCLUSION_PROOF_INVALID$/), 1],
  ["rekor1=clock:+1h", refused(/^CERTIFICATE_NOT_VALID_AT_TIME$/), 1],
  ["rekor2=wrong-key", refused(/^CHECKPOINT_SIGNATURE_INVALID$|^CHECKPOINT_NOT_SIGNED_BY_LOG$/), 2],
  ["rekor2=other-entry", refused(/^TLOG_ENTRY_MISMATCH$/), 2],
  ["rekor2=wrong-proof", refused(/^TLOG_INCLUSION_PROOF_INVALID$/), 2],
  ["rekor2=stale-checkpoint", refused(/^TLOG_INCLUSION_PROOF_INVALID$/), 2],
];

export function forgeryRows(): readonly Row[] {
  return FORGERIES.flatMap(([fault, expected, ...generations]) =>
    generations.map((generation, index) => ({
      fault,
      generation,
      expected,
      // The entry of somebody else is one too.
      entries: fault.endsWith("=other-entry") ? 2 : fault.startsWith("rekor") ? 1 : 0,
      timeoutMs: ENOUGH_MS,
      sample: index === 0,
    })),
  );
}

/** What a command line is tried with: nothing in it has to be waited for, but for the fault that is called so. */
export const COMMAND_ROWS: readonly (readonly [fault: string, outcome: string, ...words: string[]])[] = [
  ["fulcio=429:0", "HTTP_STATUS_UNEXPECTED", "Fulcio (", "429", "3 attempts"],
  ["tsa=429:0", "HTTP_STATUS_UNEXPECTED", "timestamp authority (", "429", "3 attempts"],
  ["rekor1=429:0", "HTTP_STATUS_UNEXPECTED", "Rekor (", "429", "3 attempts"],
  ["rekor2=429:0", "HTTP_STATUS_UNEXPECTED", "Rekor (", "429", "3 attempts"],
  ["oidc=429:0", "HTTP_STATUS_UNEXPECTED", "identity provider (", "429", "3 attempts"],
  ["tuf=429:0", "TUF_REFRESH_FAILED", "TUF repository (", "429", "3 attempts"],
  ["fulcio=429:86400", "HTTP_STATUS_UNEXPECTED", "Fulcio (", "86400"],
  ["oidc=429:0,requests=2", "status 0"],
  ["tuf=429:0,requests=2", "status 0"],
  ["fulcio=429:0,requests=2", "status 0"],
  ["tsa=429:0,requests=2", "status 0"],
  ["rekor1=429:0,requests=2", "status 0"],
  ["rekor2=429:0,requests=2", "status 0"],
  ["tsa=wrong-content-type", "status 0"],
];

/** What a person waits for. */
export const HANGING_COMMAND_ROWS: typeof COMMAND_ROWS = (
  ["oidc", "tuf", "fulcio", "tsa", "rekor1", "rekor2"] as const
).flatMap((service) => [
  [`${service}=timeout`, "COMMAND_TIMED_OUT", "its last request was "],
  [`${service}=slow-drip:500`, "COMMAND_TIMED_OUT", "its last request was "],
  [`${service}=500-once`, "status 0"],
  [
    `${service}=503`,
    service === "tuf" ? "TUF_REFRESH_FAILED" : "HTTP_STATUS_UNEXPECTED",
    `${SERVICE_NAMES[service]} (`,
  ],
]);
