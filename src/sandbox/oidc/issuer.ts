/**
 * An OpenID Connect provider with three issuers: one for people, and two that are typed as CI systems.
 *
 * `GET …/token` gives a token for any claims, for tests and scripts; `POST …/token` is the token endpoint of OAuth. Whoever reaches
 * the sandbox can be anybody in it.
 *
 * @module
 */

import { Hono, type Context } from "hono";
import type { JSONWebKeySet } from "jose";
import { MAX_IDENTITY_REQUEST_BYTES } from "../../limits.ts";
import { tryDecodeUtf8 } from "../../encoding/utf8.ts";
import { readBody } from "../request-body.ts";
import type { SandboxService, ServiceContext } from "../service.ts";
import { AuthorizationEndpoint } from "./authorization.ts";
import { claimsFor, type Claim, type IdentityKind } from "./claims.ts";
import { DeviceEndpoint } from "./device.ts";
import { messagePage } from "./pages.ts";
import { OAuthError } from "./oauth-error.ts";
import { openSigningKeys, signWithForeignKey, type TokenAlgorithm } from "./signing-keys.ts";
import { answerTokenRequest, readClient } from "./token.ts";

/**
 * What the provider answers wrongly: `wrong-key` signs tokens with a key that is not its own; `other-nonce` and `other-state` end
 * a login as if it were another one.
 */
export const OIDC_FORGERIES = ["wrong-key", "other-nonce", "other-state"] as const;

/** Is one issuer of the provider, as whoever accepts its tokens sees it. */
export interface TokenIssuer {
  /** The `iss` of its tokens. */
  readonly url: string;
  /** The word by which Fulcio's configuration knows such an issuer. */
  readonly type: "email" | "github-workflow" | "gitlab-pipeline";
  /** The keys that its tokens are signed with now; another object when they change. */
  keys(): JSONWebKeySet;
}

/** Says how the provider is set up. */
export interface OidcIssuerOptions {
  /** What tokens are signed with: the first one, unless the caller asks. Both when absent. */
  readonly algorithms?: readonly [TokenAlgorithm, ...TokenAlgorithm[]] | undefined;
  /** How long a token lasts. */
  readonly tokenLifetimeSeconds?: number | undefined;
  /** How long a client is to wait between two questions after a login on another device. */
  readonly deviceIntervalSeconds?: number | undefined;
}

/** Is the identity provider of the sandbox. */
export interface OidcIssuer extends SandboxService {
  /** The issuers, that of people first. */
  readonly issuers: readonly TokenIssuer[];
  /**
   * Makes a token.
   *
   * @param claims - What is to stand in it instead of, or besides, the claims of its kind.
   * @throws `TypeError` when a claim that must be a number is none.
   */
  mintToken(kind: IdentityKind, claims?: Readonly<Record<string, Claim>>, algorithm?: TokenAlgorithm): Promise<string>;
  /** Makes new keys. Those before stay published, unless they are revoked. */
  rotateKeys(options?: { readonly revoke?: boolean }): Promise<void>;
}

/** Mints an ID token for somebody who logged in. */
export type MintIdToken = (
  audience: string,
  claims: Readonly<Record<string, Claim>>,
  nonce?: string,
) => Promise<string>;

const KINDS = [
  { kind: "email", path: "", type: "email" },
  { kind: "github", path: "/github", type: "github-workflow" },
  { kind: "gitlab", path: "/gitlab", type: "gitlab-pipeline" },
] as const;

const AUDIENCE = "sigstore";

/**
 * Opens the provider that the store holds, or begins one.
 *
 * @see {@link https://openid.net/specs/openid-connect-core-1_0.html | OpenID Connect Core}, RFC 6749, RFC 7636, RFC 8628
 */
export async function createOidcIssuer(context: ServiceContext, options: OidcIssuerOptions = {}): Promise<OidcIssuer> {
  const { algorithms = ["RS256", "ES256"], tokenLifetimeSeconds = 600, deviceIntervalSeconds = 5 } = options;
  const keys = await openSigningKeys(context.store, algorithms);
  const issuerOf = (path: string): string => context.url + path;

  async function mint(
    kind: IdentityKind,
    audience: string,
    chosen: Readonly<Record<string, Claim>>,
    algorithm?: TokenAlgorithm,
  ): Promise<string> {
    const path = KINDS.find((one) => one.kind === kind)?.path ?? "";
    const token = { issuer: issuerOf(path), audience, now: context.now(), lifetimeSeconds: tokenLifetimeSeconds };
    const claims = claimsFor(kind, token, chosen);
    if (claims === undefined) throw new TypeError("a claim that is to be a number is none");
    if (context.forgery() === "wrong-key") return await signWithForeignKey(claims, keys.jwks());
    return await keys.sign(claims, algorithm);
  }

  const app = new Hono().basePath(new URL(context.url).pathname);
  for (const { kind, path } of KINDS) {
    const issuer = issuerOf(path);
    const mintIdToken: MintIdToken = (audience, claims, nonce) =>
      mint(kind, audience, {
        ...claims,
        ...(nonce !== undefined && { nonce: context.forgery() === "other-nonce" ? `${nonce}x` : nonce }),
      });
    const authorization = new AuthorizationEndpoint(context, issuer, kind);
    const device = new DeviceEndpoint(context, issuer, kind, deviceIntervalSeconds);

    app.get(`${path}/.well-known/openid-configuration`, (c) => c.json(discovery(issuer, algorithms)));
    app.get(`${path}/keys`, (c) => c.json(keys.jwks()));
    app.get(`${path}/token`, async (c) => {
      const chosen = Object.fromEntries(new URL(c.req.url).searchParams);
      try {
        return c.text(await mint(kind, AUDIENCE, chosen), 200, NO_STORE);
      } catch (error) {
        if (!(error instanceof TypeError)) throw error;
        return c.text(`${error.message}\n`, 400, NO_STORE);
      }
    });
    app.post(`${path}/token`, async (c) => {
      const form = await readForm(c);
      const client = readClient(form, c.req.header("authorization"));
      const answer = await answerTokenRequest(form, client, {
        authorization,
        device,
        mintIdToken,
        tokenLifetimeSeconds,
      });
      return c.json(answer, 200, NO_STORE);
    });
    app.get(`${path}/auth`, (c) => authorization.begin(new URL(c.req.url).searchParams));
    app.post(`${path}/auth`, async (c) => authorization.finish(await readForm(c)));
    app.post(`${path}/device/code`, async (c) => {
      const form = await readForm(c);
      return c.json(device.begin(form, readClient(form, c.req.header("authorization"))), 200, NO_STORE);
    });
    app.get(`${path}/device`, (c) => device.page(c.req.query("user_code")));
    app.post(`${path}/device`, async (c) => device.decide(await readForm(c)));
  }
  app.notFound((c) => c.text("not found\n", 404));
  app.onError((error, c) => {
    if (!(error instanceof OAuthError)) return c.json({ error: "server_error", error_description: error.message }, 500);
    if (c.req.path.endsWith("/auth") || c.req.path.endsWith("/device"))
      return messagePage("This login cannot go on", [error.message], { status: 400 });
    const body = { error: error.code, error_description: error.message };
    return c.json(body, error.code === "invalid_client" ? 401 : 400, NO_STORE);
  });

  return {
    issuers: KINDS.map(({ path, type }) => ({ url: issuerOf(path), type, keys: () => keys.jwks() })),
    mintToken: (kind, claims = {}, algorithm) => mint(kind, AUDIENCE, claims, algorithm),
    rotateKeys: (rotation) => keys.rotate(rotation),
    fetch: (request) => app.fetch(request),
  };
}

const NO_STORE = { "cache-control": "no-store" };

function discovery(issuer: string, algorithms: readonly TokenAlgorithm[]): Record<string, unknown> {
  return {
    issuer,
    authorization_endpoint: `${issuer}/auth`,
    token_endpoint: `${issuer}/token`,
    device_authorization_endpoint: `${issuer}/device/code`,
    jwks_uri: `${issuer}/keys`,
    response_types_supported: ["code"],
    response_modes_supported: ["query"],
    grant_types_supported: ["authorization_code", "urn:ietf:params:oauth:grant-type:device_code", "client_credentials"],
    subject_types_supported: ["public"],
    id_token_signing_alg_values_supported: algorithms,
    scopes_supported: ["openid", "email"],
    code_challenge_methods_supported: ["S256"],
    token_endpoint_auth_methods_supported: ["none", "client_secret_basic", "client_secret_post"],
    authorization_response_iss_parameter_supported: true,
  };
}

/** @throws {@link OAuthError} `invalid_request`. */
async function readForm(c: Context): Promise<URLSearchParams> {
  const type = c.req.header("content-type")?.split(";")[0]?.trim().toLowerCase();
  if (type !== "application/x-www-form-urlencoded")
    throw new OAuthError("invalid_request", "the body is not application/x-www-form-urlencoded");
  const body = await readBody(c.req.raw, MAX_IDENTITY_REQUEST_BYTES);
  const text = body && tryDecodeUtf8(body);
  if (text === undefined) throw new OAuthError("invalid_request", "the body is too large, or not UTF-8");
  const form = new URLSearchParams(text);
  // RFC 6749 §3.2: Request and response parameters MUST NOT be included more than once.
  for (const name of new Set(form.keys()))
    if (form.getAll(name).length > 1) throw new OAuthError("invalid_request", "a parameter is there twice");
  return form;
}
