/**
 * Identity tokens of OpenID Connect: what they say. Nothing is proven here; the certificate authority checks the signature.
 *
 * @module
 */

import { tryDecodeBase64Url } from "../encoding/base64.ts";
import { parseJson, type JsonObject, type JsonValue } from "../encoding/json.ts";
import { sanitize } from "../encoding/printable.ts";
import { FormatError, InputError } from "../errors.ts";
import { MAX_IDENTITY_TOKEN_BYTES, MAX_IDENTITY_TOKEN_DEPTH } from "../limits.ts";

/** Holds what an identity token claims. Its signature was not checked. */
export interface IdentityToken {
  /** The token itself: a secret until it expires. Never printed. */
  readonly raw: string;
  /** The signature algorithm that the header names, for instance `RS256`. */
  readonly algorithm: string;
  readonly claims: JsonObject;
  readonly issuer: string;
  /** What Fulcio will certify: a verified e-mail address, otherwise `sub`. */
  readonly subject: string;
  readonly audience: readonly string[];
  readonly expiresAt: Date;
  readonly issuedAt?: Date;
  readonly notBefore?: Date;
}

/** Tokens of these issuers are certified by `sub`, whatever else they hold: each describes a job, not a person. */
const JOB_ISSUERS =
  /^https:\/\/(?:token\.actions\.githubusercontent\.com(?:\/[^/]+)?|gitlab\.com|agent\.buildkite\.com|oidc\.circleci\.com(?:\/org\/[^/]+)?|oidc\.codefresh\.io)$/;
const LAST_SECOND = 253_402_300_799;

/**
 * Parses an identity token: a JWS in compact form, of whatever algorithm, whose payload is a claims set.
 *
 * Proves nothing: neither the signature nor the times are checked here. See {@link checkIdentityToken}.
 *
 * @throws {@link FormatError} `IDENTITY_TOKEN_MALFORMED`, whose message holds no part of the token; `JSON_DUPLICATE_KEY`; `LIMIT_EXCEEDED`.
 * @see {@link https://www.rfc-editor.org/rfc/rfc7515#section-7.1 | RFC 7515 §7.1}, {@link https://www.rfc-editor.org/rfc/rfc7519#section-7.2 | RFC 7519 §7.2}
 */
export function parseIdentityToken(raw: string): IdentityToken {
  if (raw.length > MAX_IDENTITY_TOKEN_BYTES) {
    throw new FormatError("LIMIT_EXCEEDED", `identity token is larger than ${MAX_IDENTITY_TOKEN_BYTES} bytes`, {
      expected: `at most ${MAX_IDENTITY_TOKEN_BYTES}`,
      found: `${raw.length}`,
    });
  }
  // Dots are looked for, not split at: a text may consist of nothing else.
  const first = raw.indexOf(".");
  const second = raw.indexOf(".", first + 1);
  if (first === -1 || second === -1) throw malformed("does not have three parts with dots between");
  if (raw.includes(".", second + 1)) {
    throw malformed("has more than three parts: it may be encrypted, which nobody else could read");
  }
  const header = decodePart(raw.slice(0, first), "header");
  const claims = decodePart(raw.slice(first + 1, second), "payload");
  const { alg: algorithm } = header;
  if (typeof algorithm !== "string" || algorithm === "") throw malformed("names no signature algorithm (alg)");
  const signature = raw.slice(second + 1);
  if (algorithm.toLowerCase() === "none" || signature === "") throw malformed("is not signed");
  if (tryDecodePart(signature) === undefined) throw malformed("has a signature that is not base64url");

  const issuer = text(claims, "iss");
  if (issuer === undefined) {
    throw malformed("has no issuer (iss)", "configure the provider to name itself in its tokens (iss)");
  }
  const expiresAt = time(claims, "exp");
  if (expiresAt === undefined) throw malformed("has no time of expiry (exp)");
  const issuedAt = time(claims, "iat");
  const notBefore = time(claims, "nbf");
  return {
    raw,
    algorithm,
    claims,
    issuer,
    subject: subjectOf(claims, issuer),
    audience: audienceOf(claims),
    expiresAt,
    ...(issuedAt === undefined ? {} : { issuedAt }),
    ...(notBefore === undefined ? {} : { notBefore }),
  };
}

/** Finds the part of a token, whose text has exactly one spelling: RFC 7515 §2 leaves the padding out. */
function tryDecodePart(part: string): Uint8Array | undefined {
  return part.endsWith("=") ? undefined : tryDecodeBase64Url(part);
}

function decodePart(part: string, what: string): JsonObject {
  const bytes = tryDecodePart(part);
  if (bytes === undefined) throw malformed(`has a ${what} that is not base64url`);
  const value = parsePart(bytes, what);
  if (!isObject(value)) throw malformed(`has a ${what} that is not a JSON object`);
  return value;
}

function parsePart(bytes: Uint8Array, what: string): JsonValue {
  try {
    return parseJson(bytes, {
      what: `${what} of the identity token`,
      code: "IDENTITY_TOKEN_MALFORMED",
      maxBytes: MAX_IDENTITY_TOKEN_BYTES,
      maxDepth: MAX_IDENTITY_TOKEN_DEPTH,
    });
  } catch (error) {
    if (!(error instanceof FormatError)) throw error;
    // Without the cause, which quotes what it could not read.
    throw new FormatError(error.code, error.message, { expected: error.expected, found: error.found });
  }
}

/** Reads a claim that must be text where it is there. */
function text(claims: JsonObject, name: string): string | undefined {
  const value = claimOf(claims, name);
  if (value === undefined) return undefined;
  if (typeof value !== "string") throw malformed(`has a claim ${name} that is not text`);
  return value === "" ? undefined : value;
}

/** Reads a NumericDate. @see RFC 7519 §2 */
function time(claims: JsonObject, name: string): Date | undefined {
  const value = claimOf(claims, name);
  if (value === undefined) return undefined;
  if (typeof value !== "number" || value < 0 || value > LAST_SECOND) {
    throw malformed(`has a claim ${name} that is not a time in seconds`);
  }
  return new Date(Math.floor(value * 1000));
}

/** @see RFC 7519 §4.1.3: one name, or a list of names. */
function audienceOf(claims: JsonObject): readonly string[] {
  const value = claimOf(claims, "aud");
  if (value === undefined) return [];
  const names = Array.isArray(value) ? (value as readonly JsonValue[]) : [value];
  return names.map((name) => {
    if (typeof name !== "string") throw malformed("has an audience (aud) that is not text");
    return name;
  });
}

function subjectOf(claims: JsonObject, issuer: string): string {
  if (!JOB_ISSUERS.test(issuer) && isEmailVerified(claims)) {
    const email = text(claims, "email");
    if (email !== undefined) return email;
  }
  const subject = text(claims, "sub");
  if (subject === undefined) throw malformed("has neither a verified e-mail address nor a subject (sub)");
  return subject;
}

/** Says whether the issuer vouches for the e-mail address. Some write the boolean as text. */
export function isEmailVerified(claims: JsonObject): boolean {
  const value = claimOf(claims, "email_verified");
  return value === true || value === "true";
}

/** Finds a claim of its own: none is inherited, and `null` is none. */
export function claimOf(claims: JsonObject, name: string): JsonValue | undefined {
  return Object.hasOwn(claims, name) ? (claims[name] ?? undefined) : undefined;
}

function isObject(value: JsonValue): value is JsonObject {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function malformed(problem: string, remedy?: string): FormatError {
  return new FormatError("IDENTITY_TOKEN_MALFORMED", `identity token ${problem}`, { remedy });
}

/** Says what a token is compared with. */
export interface IdentityTokenExpectation {
  /** One of the token's audiences; for Sigstore's public instance `sigstore`. */
  readonly audience: string;
  readonly now: Date;
  /** How long it must still be valid. Default 0. */
  readonly minimumLifetimeMs?: number | undefined;
}

/** What the verifier of Fulcio allows between its clock and the issuer's. */
const NOT_BEFORE_LEEWAY_MS = 5 * 60_000;

/**
 * Checks what can be known of a token before it is sent: its audience and its times, by the local clock.
 *
 * The signature is not checked: only the certificate authority knows which issuers it takes.
 *
 * @throws {@link InputError} `IDENTITY_TOKEN_EXPIRED`, `IDENTITY_TOKEN_NOT_YET_VALID`, `IDENTITY_TOKEN_AUDIENCE_MISMATCH`.
 */
export function checkIdentityToken(token: IdentityToken, expectation: IdentityTokenExpectation): void {
  const { audience, now, minimumLifetimeMs = 0 } = expectation;
  if (!token.audience.includes(audience)) {
    throw new InputError("IDENTITY_TOKEN_AUDIENCE_MISMATCH", "identity token is meant for another audience", {
      expected: sanitize(audience),
      found: token.audience.map(sanitize).join(", ") || "no audience",
    });
  }
  const leftMs = token.expiresAt.getTime() - now.getTime();
  if (leftMs <= 0) {
    throw new InputError("IDENTITY_TOKEN_EXPIRED", "identity token has expired", {
      expected: `a time of expiry after ${now.toISOString()}`,
      found: token.expiresAt.toISOString(),
    });
  }
  if (leftMs < minimumLifetimeMs) {
    throw new InputError("IDENTITY_TOKEN_EXPIRED", "identity token expires too soon", {
      expected: `valid for ${Math.ceil(minimumLifetimeMs / 1000)} s more`,
      found: `${Math.floor(leftMs / 1000)} s`,
    });
  }
  const { notBefore } = token;
  if (notBefore !== undefined && notBefore.getTime() > now.getTime() + NOT_BEFORE_LEEWAY_MS) {
    throw new InputError("IDENTITY_TOKEN_NOT_YET_VALID", "identity token is not valid yet", {
      expected: `valid at ${now.toISOString()}`,
      found: `valid from ${notBefore.toISOString()}`,
    });
  }
}
