import { InputError } from "../errors.ts";
import { discoverProvider } from "./discovery.ts";
import type { IdentityToken } from "./identity-token.ts";
import { readLoginToken, requestAsClient, SCOPE, type LoginOptions } from "./login.ts";

/**
 * Logs in as the client itself, with its secret and without a person.
 *
 * @throws {@link InputError} `IDENTITY_TOKEN_UNAVAILABLE` without a secret; ServiceError.
 * @see {@link https://www.rfc-editor.org/rfc/rfc6749#section-4.4 | RFC 6749 §4.4}
 */
export async function logInAsClient(options: LoginOptions): Promise<IdentityToken> {
  requireClientSecret(options.clientSecret);
  const provider = await discoverProvider(options.issuer, options.request);
  const { body } = await requestAsClient(
    provider.tokenEndpoint,
    provider,
    { grant_type: "client_credentials", scope: SCOPE },
    options,
  );
  return readLoginToken(body, options);
}

/** @throws {@link InputError} `IDENTITY_TOKEN_UNAVAILABLE` without a secret. */
export function requireClientSecret(secret: string | undefined): void {
  if (secret !== undefined) return;
  throw new InputError("IDENTITY_TOKEN_UNAVAILABLE", "client credentials are asked for, but there is no secret", {
    remedy: "give the client's secret with --oidc-client-secret-file",
  });
}
