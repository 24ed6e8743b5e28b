import { compactVerify, createLocalJWKSet, errors, type JSONWebKeySet } from "jose";
import { tryDecodeBase64Url } from "../../encoding/base64.ts";
import { tryDecodeUtf8 } from "../../encoding/utf8.ts";

/** Is an issuer whose tokens Fulcio accepts. */
export interface CertifiedIssuer {
  /** The `iss` of its tokens. */
  readonly url: string;
  /** What its tokens are about, which decides what stands in certificates. */
  readonly type: "email" | "github-workflow" | "gitlab-pipeline" | "uri";
  /** The `aud` that a token must have; `sigstore` when absent. */
  readonly audience?: string | undefined;
  /** For `uri`: scheme and host that the subject must have. */
  readonly subjectDomain?: string | undefined;
  /** For `email`: where the issuer to certify stands, as a path of member names: `$.federated_claims.connector_id`. */
  readonly issuerClaim?: string | undefined;
  /** For `email`: accepts addresses that the issuer does not call verified. */
  readonly skipEmailVerification?: boolean | undefined;
  /** The keys of the issuer; they are read again when another object is given. */
  keys(): JSONWebKeySet | Promise<JSONWebKeySet>;
}

/** Is what a token says, proven to be by its issuer, for this audience and now. */
export interface VerifiedToken {
  readonly issuer: string;
  readonly subject: string;
  readonly claims: Readonly<Record<string, unknown>>;
}

/** Says why a token is not accepted. Never holds it. */
export class TokenRefusal extends Error {
  override readonly name = "TokenRefusal";
}

/** What other relying parties forgive, and Fulcio with them. */
const NOT_BEFORE_LEEWAY_MS = 5 * 60_000;
const ALGORITHMS = ["RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA"];

type KeyResolver = ReturnType<typeof createLocalJWKSet>;
const resolvers = new WeakMap<JSONWebKeySet, KeyResolver>();

/**
 * Verifies an identity token against the issuers that are configured.
 *
 * @throws {@link TokenRefusal}
 * @see {@link https://openid.net/specs/openid-connect-core-1_0.html#IDTokenValidation | OpenID Connect Core §3.1.3.7}
 */
export async function verifyIdentityToken(
  token: string,
  issuers: readonly CertifiedIssuer[],
  now: Date,
): Promise<{ readonly token: VerifiedToken; readonly issuer: CertifiedIssuer }> {
  const claimed = claimedIssuer(token);
  const issuer = issuers.find(({ url }) => url === claimed);
  if (issuer === undefined)
    throw new TokenRefusal(`failed to match issuer URL ${claimed} from token with any configured providers`);
  const claims = parseClaims(await verifySignature(token, await issuer.keys()));

  const audience = audienceOf(claims["aud"]);
  const expected = issuer.audience ?? "sigstore";
  if (!audience.includes(expected))
    throw new TokenRefusal(`expected audience ${JSON.stringify(expected)} got ${JSON.stringify(audience)}`);
  const expiry = timeOf(claims, "exp");
  if (expiry === undefined || expiry < now.getTime()) throw new TokenRefusal("token is expired");
  const notBefore = timeOf(claims, "nbf");
  if (notBefore !== undefined && now.getTime() + NOT_BEFORE_LEEWAY_MS < notBefore)
    throw new TokenRefusal("current time is before the nbf (not before) time");
  timeOf(claims, "iat");
  return { token: { issuer: claimed, subject: textClaim(claims, "sub"), claims }, issuer };
}

/**
 * Reads a claim that is text where it is there.
 *
 * @returns An empty text where it is not.
 * @throws {@link TokenRefusal} when it is something else.
 */
export function textClaim(claims: Readonly<Record<string, unknown>>, name: string): string {
  const value = Object.hasOwn(claims, name) ? claims[name] : undefined;
  if (value === undefined || value === null) return "";
  if (typeof value !== "string") throw new TokenRefusal(`claim ${name} is not text`);
  return value;
}

function claimedIssuer(token: string): string {
  const parts = token.split(".");
  if (parts.length !== 3) throw new TokenRefusal("malformed jwt, token must have 3 parts");
  const payload = tryDecodeBase64Url(parts[1] ?? "");
  if (payload === undefined) throw new TokenRefusal("malformed jwt payload");
  return textClaim(parseClaims(payload), "iss");
}

function parseClaims(payload: Uint8Array): Readonly<Record<string, unknown>> {
  let claims: unknown;
  try {
    claims = JSON.parse(tryDecodeUtf8(payload) ?? "");
  } catch {
    throw new TokenRefusal("failed to unmarshal claims");
  }
  if (typeof claims !== "object" || claims === null || Array.isArray(claims))
    throw new TokenRefusal("failed to unmarshal claims");
  return claims as Readonly<Record<string, unknown>>;
}

async function verifySignature(token: string, jwks: JSONWebKeySet): Promise<Uint8Array> {
  let resolver = resolvers.get(jwks);
  if (resolver === undefined) resolvers.set(jwks, (resolver = createLocalJWKSet(jwks)));
  try {
    return (await compactVerify(token, resolver, { algorithms: ALGORITHMS })).payload;
  } catch (error) {
    if (error instanceof errors.JWKSMultipleMatchingKeys) {
      // A token may leave its key unnamed
      for await (const key of error) {
        try {
          return (await compactVerify(token, key, { algorithms: ALGORITHMS })).payload;
        } catch (other) {
          if (!(other instanceof errors.JWSSignatureVerificationFailed)) throw refusalOf(other);
        }
      }
    }
    throw refusalOf(error);
  }
}

function refusalOf(error: unknown): unknown {
  if (error instanceof errors.JOSEError) return new TokenRefusal(`failed to verify signature: ${error.message}`);
  // A header may be anything; what it makes the runtime say is about the token
  if (error instanceof TypeError || error instanceof DOMException)
    return new TokenRefusal("failed to verify signature: malformed jwt");
  return error;
}

function audienceOf(value: unknown): readonly string[] {
  if (value === undefined || value === null) return [];
  const list: readonly unknown[] = Array.isArray(value) ? value : [value];
  if (!list.every((item) => typeof item === "string")) throw new TokenRefusal("claim aud is not text");
  return list;
}

/** @returns Milliseconds since 1970. */
function timeOf(claims: Readonly<Record<string, unknown>>, name: string): number | undefined {
  const value = claims[name];
  if (value === undefined || value === null) return undefined;
  if (typeof value !== "number") throw new TokenRefusal(`claim ${name} is not a number`);
  return Math.trunc(value) * 1000;
}
