/** An OpenID provider that answers what a test wants of it. */

import { createHash } from "node:crypto";
import type { Interaction, LoginOptions } from "../../src/oidc/login.ts";
import { json, surroundings, type Answering, type Asked } from "./surroundings.ts";
import { EMAIL_CLAIMS, makeToken, NOW } from "./tokens.ts";

export const ISSUER = "https://issuer.test/auth";

export const METADATA = {
  issuer: ISSUER,
  authorization_endpoint: `${ISSUER}/auth`,
  token_endpoint: `${ISSUER}/token`,
  device_authorization_endpoint: `${ISSUER}/device/code`,
  code_challenge_methods_supported: ["plain", "S256"],
  token_endpoint_auth_methods_supported: ["client_secret_basic", "client_secret_post"],
};

/** Says how a provider behaves; whatever is left out is as it should be. */
export interface Behaviour {
  readonly metadata?: object;
  readonly token?: (form: URLSearchParams, asked: Asked) => Response | Promise<Response>;
  readonly device?: (form: URLSearchParams) => Response;
  readonly claims?: object;
}

export interface FakeProvider {
  readonly login: LoginOptions;
  readonly asked: readonly Asked[];
  readonly printed: string[];
  /** What the last page to log in was asked for with. */
  readonly authorization: () => URLSearchParams;
  readonly interaction: Interaction;
}

/**
 * Makes a provider, and a person whose browser does as told.
 *
 * @param browse - Comes back from the login, given where to and with what it would be done rightly.
 */
export function fakeProvider(
  behaviour: Behaviour = {},
  browse: (redirect: URL, authorization: URLSearchParams) => Promise<void> = async (redirect) => {
    await fetch(redirect);
  },
): FakeProvider {
  let authorization = new URLSearchParams();
  const answer: Answering = (asked) => {
    const url = new URL(asked.url);
    const form = new URLSearchParams(asked.body);
    switch (`${url.origin}${url.pathname}`) {
      case `${ISSUER}/.well-known/openid-configuration`:
        return json({ ...METADATA, ...behaviour.metadata });
      case METADATA.device_authorization_endpoint:
        return (
          behaviour.device?.(form) ??
          json({
            device_code: "device-secret",
            user_code: "ABCD-EFGH",
            verification_uri: `${ISSUER}/device`,
            expires_in: 300,
          })
        );
      case METADATA.token_endpoint:
        if (behaviour.token !== undefined) return behaviour.token(form, asked);
        if (challengeOf(form.get("code_verifier") ?? "") !== authorization.get("code_challenge"))
          return json({ error: "invalid_grant", error_description: "verifier" }, 400);
        return json({
          access_token: "access-secret",
          token_type: "Bearer",
          id_token: makeToken({ ...EMAIL_CLAIMS, iss: ISSUER, nonce: authorization.get("nonce"), ...behaviour.claims }),
        });
      default:
        return json({ error: "not_found" }, 404);
    }
  };
  const { asked, fetch: request, sleep } = surroundings({}, answer);
  const printed: string[] = [];
  return {
    asked,
    printed,
    authorization: () => authorization,
    login: {
      issuer: ISSUER,
      clientId: "sigstore",
      request: { fetch: request!, timeoutMs: 5000, sleep },
      now: () => NOW,
    },
    interaction: {
      isTerminal: true,
      print: (line) => void printed.push(line),
      openBrowser(text) {
        authorization = new URL(text).searchParams;
        const redirect = new URL(authorization.get("redirect_uri") ?? "");
        redirect.searchParams.set("code", "code-secret");
        redirect.searchParams.set("state", authorization.get("state") ?? "");
        void browse(redirect, authorization);
        return Promise.resolve();
      },
    },
  };
}

export function challengeOf(verifier: string): string {
  return createHash("sha256").update(verifier).digest("base64url");
}
