/**
 * What an OpenID provider says about itself.
 *
 * @module
 */

import { InputError, ServiceError } from "../errors.ts";
import { parseHttpUrl, serviceUrl } from "../http/redirect.ts";
import type { RequestOptions } from "../http/request.ts";
import { requestObject, type OidcObject } from "./oidc-request.ts";

/** Holds what was discovered about a provider; every URL in it may be used. */
export interface OpenIdProvider {
  /** Exactly as it was asked for, and as its tokens say it. */
  readonly issuer: string;
  readonly authorizationEndpoint?: string;
  readonly tokenEndpoint: string;
  readonly deviceAuthorizationEndpoint: string;
  /** Whether the provider says that it binds a code to whoever asked for it. */
  readonly supportsPkce: boolean;
  /** Whether the answer to a login names the issuer. @see RFC 9207 */
  readonly namesIssuerInResponse: boolean;
  readonly authenticationMethods: readonly string[];
}

/** The default of OpenID Connect Discovery §3. */
const DEFAULT_AUTHENTICATION_METHODS = ["client_secret_basic"];

/**
 * Discovers the endpoints of a provider.
 *
 * The document must come from where it was asked for and name the very issuer that was asked for. Endpoints must be HTTPS, except on
 * loopback with an issuer that is there itself.
 *
 * @throws {@link InputError} `URL_INVALID` for the issuer; {@link ServiceError} as requests do, and `SERVICE_RESPONSE_INVALID`.
 * @see {@link https://openid.net/specs/openid-connect-discovery-1_0.html | OpenID Connect Discovery 1.0} §3, §4.3;
 * {@link https://www.rfc-editor.org/rfc/rfc8414#section-2 | RFC 8414 §2}
 */
export async function discoverProvider(issuer: string, options: RequestOptions): Promise<OpenIdProvider> {
  const url = parseHttpUrl(issuer);
  if (url.search !== "" || url.hash !== "") {
    throw new InputError("URL_INVALID", "issuer has a query or a fragment", { expected: "https://host/path" });
  }
  const isPlain = url.protocol === "http:";
  if (isPlain && !isLoopback(url)) {
    throw new InputError("URL_INVALID", "issuer is not reached over HTTPS", {
      expected: "https://…, or http:// on loopback",
      found: url.origin,
    });
  }
  const service = options.service ?? "identity provider";
  const { body } = await requestObject(
    serviceUrl(issuer, "/.well-known/openid-configuration"),
    { method: "GET", headers: { accept: "application/json" } },
    { ...options, service },
  );
  const found = body.text("issuer");
  if (found !== issuer) {
    throw new ServiceError("SERVICE_RESPONSE_INVALID", `${service} names another issuer than was asked for`, {
      expected: issuer,
      found: found.slice(0, 200),
      remedy: "give the issuer exactly as it names itself, with or without the slash at its end",
      service,
    });
  }
  const endpoint = (name: string): string | undefined => readEndpoint(body, name, isPlain);
  const tokenEndpoint = endpoint("token_endpoint") ?? body.fail("an answer without token_endpoint");
  const authorizationEndpoint = endpoint("authorization_endpoint");
  return {
    issuer,
    ...(authorizationEndpoint === undefined ? {} : { authorizationEndpoint }),
    tokenEndpoint,
    // Where Dex has it, which did not always say so.
    deviceAuthorizationEndpoint: endpoint("device_authorization_endpoint") ?? serviceUrl(issuer, "/device/code"),
    supportsPkce: (body.optionalTexts("code_challenge_methods_supported") ?? []).includes("S256"),
    namesIssuerInResponse: body.value["authorization_response_iss_parameter_supported"] === true,
    authenticationMethods:
      body.optionalTexts("token_endpoint_auth_methods_supported") ?? DEFAULT_AUTHENTICATION_METHODS,
  };
}

function readEndpoint(body: OidcObject, name: string, mayBePlain: boolean): string | undefined {
  const text = body.optionalText(name);
  if (text === undefined) return undefined;
  const url = URL.parse(text);
  const isAllowed =
    url !== null &&
    (url.protocol === "https:" || (mayBePlain && url.protocol === "http:" && isLoopback(url))) &&
    url.username + url.password + url.hash === "";
  return isAllowed ? url.href : body.fail(`an answer whose ${name} is not an HTTPS URL`);
}

/** Says whether a URL leads to this machine. */
export function isLoopback({ hostname }: URL): boolean {
  return hostname === "localhost" || hostname === "[::1]" || /^127\.\d+\.\d+\.\d+$/.test(hostname);
}
