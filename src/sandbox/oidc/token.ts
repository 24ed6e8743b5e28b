import { randomBytes } from "node:crypto";
import { isClientId, type AuthorizationEndpoint, type Grant } from "./authorization.ts";
import type { DeviceEndpoint } from "./device.ts";
import type { MintIdToken } from "./issuer.ts";
import { OAuthError } from "./oauth-error.ts";

/** Is the program that asks for a token. The sandbox knows no clients: any name will do, and any secret. */
export interface Client {
  readonly id: string;
  readonly secret: string | undefined;
}

/** Is what a grant is exchanged for. */
export interface TokenAnswer {
  readonly access_token: string;
  readonly token_type: "Bearer";
  readonly expires_in: number;
  readonly id_token: string;
}

/**
 * Reads who asks: from the header, or else from the form.
 *
 * @throws {@link OAuthError} `invalid_client`.
 * @see RFC 6749 §2.3.1
 */
export function readClient(form: URLSearchParams, authorization: string | undefined): Client {
  const basic = /^basic (?<credentials>\S+)$/i.exec(authorization ?? "")?.groups?.["credentials"];
  if (authorization !== undefined && basic === undefined)
    throw new OAuthError("invalid_client", "clients are authenticated by HTTP Basic or by the form");
  const [id, secret] =
    basic === undefined
      ? [form.get("client_id") ?? "", form.get("client_secret") ?? undefined]
      : Buffer.from(basic, "base64").toString("utf8").split(":").map(decodeFormText);
  if (id === undefined || !isClientId(id)) throw new OAuthError("invalid_client", "the client is not named");
  const named = form.get("client_id");
  if (named !== null && named !== id) throw new OAuthError("invalid_client", "the client has two names");
  return { id, secret: secret === "" ? undefined : secret };
}

/**
 * Answers a request to the token endpoint.
 *
 * @throws {@link OAuthError} with the codes of RFC 6749 §5.2 and RFC 8628 §3.5.
 */
export async function answerTokenRequest(
  form: URLSearchParams,
  client: Client,
  endpoints: {
    readonly authorization: AuthorizationEndpoint;
    readonly device: DeviceEndpoint;
    readonly mintIdToken: MintIdToken;
    readonly tokenLifetimeSeconds: number;
  },
): Promise<TokenAnswer> {
  const { claims, nonce } = redeem(form, client, endpoints);
  return {
    access_token: randomBytes(24).toString("base64url"), // opens nothing: there is no userinfo endpoint
    token_type: "Bearer",
    expires_in: endpoints.tokenLifetimeSeconds,
    id_token: await endpoints.mintIdToken(client.id, claims, nonce),
  };
}

function redeem(
  form: URLSearchParams,
  client: Client,
  endpoints: { readonly authorization: AuthorizationEndpoint; readonly device: DeviceEndpoint },
): Grant {
  switch (form.get("grant_type")) {
    case "authorization_code":
      return endpoints.authorization.redeem(client.id, form);
    case "urn:ietf:params:oauth:grant-type:device_code":
      return endpoints.device.redeem(client.id, form);
    case "client_credentials":
      if (client.secret === undefined)
        throw new OAuthError("invalid_client", "client_credentials needs a client_secret");
      return { claims: {}, nonce: undefined };
    case null:
      throw new OAuthError("invalid_request", "grant_type is missing");
    default:
      throw new OAuthError("unsupported_grant_type", "grant_type is not one of those in the discovery document");
  }
}

function decodeFormText(text: string): string {
  try {
    return decodeURIComponent(text.replaceAll("+", " "));
  } catch {
    return text;
  }
}
