/**
 * What the ways to log in have in common: who asks, how a person is reached, and what a token must be that comes of it.
 *
 * @module
 */

import { createHash, randomBytes } from "node:crypto";

import { sanitize } from "../encoding/printable.ts";
import { InputError, ServiceError } from "../errors.ts";
import { quoteServerWords } from "../http/server-words.ts";
import type { RequestOptions } from "../http/request.ts";
import type { OpenIdProvider } from "./discovery.ts";
import { checkIdentityToken, claimOf, parseIdentityToken, type IdentityToken } from "./identity-token.ts";
import { requestObject, type OidcAnswer, type OidcObject } from "./oidc-request.ts";

/** Is how a login reaches a person. */
export interface Interaction {
  /** Whether the person sits at a terminal. Without one no browser is opened. */
  readonly isTerminal: boolean;
  /** Shows a line; it is safe to print. */
  print(line: string): void;
  /** Asks for a line of text. Where it is absent, nothing is asked. */
  readonly prompt?: ((question: string, signal?: AbortSignal) => Promise<string>) | undefined;
  /** Opens a browser, or fails. Default: that of the system. */
  readonly openBrowser?: ((url: string) => Promise<void>) | undefined;
}

/** Configures a login. */
export interface LoginOptions {
  readonly issuer: string;
  readonly clientId: string;
  readonly clientSecret?: string | undefined;
  readonly request: RequestOptions;
  readonly now: () => Date;
}

/** The scopes that Fulcio needs: an identity token, with an e-mail address in it. */
export const SCOPE = "openid email";

/** Is a secret, and what the provider is told of it. */
export interface Pkce {
  readonly verifier: string;
  readonly challenge: string;
}

/** Makes 256 random bits in 43 characters of base64url. */
export function randomText(): string {
  return randomBytes(32).toString("base64url");
}

/**
 * Makes the secret that binds a login to who began it.
 *
 * @see {@link https://www.rfc-editor.org/rfc/rfc7636#section-4 | RFC 7636 §4.1, §4.2}, method S256
 */
export function createPkce(): Pkce {
  const verifier = randomText();
  return { verifier, challenge: createHash("sha256").update(verifier, "ascii").digest("base64url") };
}

/**
 * Refuses a provider that would give a token to whoever has the code.
 *
 * @throws {@link InputError} `LOGIN_FAILED`.
 */
export function requirePkce({ supportsPkce }: OpenIdProvider): void {
  if (supportsPkce) return;
  throw new InputError("LOGIN_FAILED", "identity provider does not bind a login to who began it (PKCE)", {
    expected: "code_challenge_methods_supported with S256",
    remedy: "use a provider that supports PKCE, or give a token with --identity-token",
  });
}

/**
 * Asks an endpoint of the provider as the client. Its secret goes as the provider wants it: in a header, or with the rest.
 *
 * @param accept - Statuses that are returned; others are a refusal.
 * @see {@link https://www.rfc-editor.org/rfc/rfc6749#section-2.3.1 | RFC 6749 §2.3.1}
 */
export async function requestAsClient(
  endpoint: string,
  provider: OpenIdProvider,
  parameters: Readonly<Record<string, string>>,
  { clientId, clientSecret, request }: LoginOptions,
  accept: readonly number[] = [200],
): Promise<OidcAnswer> {
  const form = new URLSearchParams({ ...parameters, client_id: clientId });
  const headers: Record<string, string> = {
    "content-type": "application/x-www-form-urlencoded",
    accept: "application/json",
  };
  if (clientSecret !== undefined) {
    if (provider.authenticationMethods.includes("client_secret_basic")) {
      const credentials = `${formEncode(clientId)}:${formEncode(clientSecret)}`;
      headers["authorization"] = `Basic ${Buffer.from(credentials).toString("base64")}`;
      form.delete("client_id");
    } else {
      form.set("client_secret", clientSecret);
    }
  }
  return await requestObject(
    endpoint,
    { method: "POST", headers, body: form.toString(), accept },
    { service: "identity provider", ...request },
  );
}

function formEncode(text: string): string {
  return new URLSearchParams({ "": text }).toString().slice(1);
}

/**
 * Reads the identity token in the answer of the token endpoint, and checks that it is of this provider, for this client, and of this
 * login.
 *
 * Its signature is not checked: it came over TLS from the token endpoint itself, and Fulcio checks it.
 *
 * @throws {@link ServiceError} `SERVICE_RESPONSE_INVALID`; {@link InputError} `LOGIN_FAILED` for a token of another login, and as
 * `checkIdentityToken`.
 * @see {@link https://openid.net/specs/openid-connect-core-1_0.html#IDTokenValidation | OpenID Connect Core 1.0 §3.1.3.7}
 */
export function readLoginToken(
  answer: OidcObject,
  { issuer, clientId, now }: LoginOptions,
  nonce?: string,
): IdentityToken {
  const raw = answer.optionalText("id_token");
  if (raw === undefined) {
    throw new ServiceError("SERVICE_RESPONSE_INVALID", "identity provider gave no identity token (id_token)", {
      remedy: `check that the client ${JSON.stringify(sanitize(clientId))} may have the scope openid`,
    });
  }
  const token = parseIdentityToken(raw);
  if (token.issuer !== issuer) {
    throw new ServiceError("SERVICE_RESPONSE_INVALID", "identity provider gave a token of another issuer", {
      expected: issuer,
      found: sanitize(token.issuer),
    });
  }
  if (nonce !== undefined && claimOf(token.claims, "nonce") !== nonce) {
    throw new InputError("LOGIN_FAILED", "identity token was not made for this login: its nonce is another", {
      remedy: "log in again; if this stays, somebody may be replaying a token",
    });
  }
  checkIdentityToken(token, { audience: clientId, now: now() });
  return token;
}

/** Makes the error for what a provider says at the end of a login. @see RFC 6749 §4.1.2.1 */
export function loginRefused(error: string, description: string | undefined): InputError {
  const words = quoteServerWords(description ?? error) ?? "no reason given";
  return error === "access_denied"
    ? new InputError("LOGIN_FAILED", `login was refused: ${words}`, { remedy: "log in again, and agree" })
    : new InputError("LOGIN_FAILED", `identity provider ended the login: ${words}`);
}
