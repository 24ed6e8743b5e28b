/** The real `oidc-provider` on loopback, and a browser of a few lines that fills in its forms. */

import { createServer, type RequestListener } from "node:http";
import type { AddressInfo } from "node:net";
import type Provider from "oidc-provider";

export const PERSON = "alice@example.com";
const SECRET = "a-secret-of-the-client";

export interface OpenIdServer {
  readonly issuer: string;
  close(): Promise<void>;
}

/** Starts a provider with a public client `sigstore`, as cosign has it, and a client with a secret. */
export async function startOpenIdServer(): Promise<OpenIdServer> {
  let listener: RequestListener = (_, response) => void response.writeHead(503).end();
  const server = createServer((request, response) => {
    listener(request, response);
  });
  await new Promise<void>((resolve) => {
    server.listen(0, "127.0.0.1", resolve);
  });
  const issuer = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const Loaded = await loadQuietly();
  const provider = new Loaded(issuer, {
    clients: [
      {
        client_id: "sigstore",
        token_endpoint_auth_method: "none",
        application_type: "native",
        redirect_uris: ["http://localhost/auth/callback"],
        grant_types: ["authorization_code", "urn:ietf:params:oauth:grant-type:device_code"],
      },
      {
        client_id: "robot",
        client_secret: SECRET,
        redirect_uris: [],
        response_types: [],
        grant_types: ["client_credentials"],
        scope: "openid email",
      },
    ],
    cookies: { keys: ["of no importance"] },
    // As Dex does, and as Fulcio needs it: the address stands in the identity token itself.
    conformIdTokenClaims: false,
    claims: { openid: ["sub"], email: ["email", "email_verified"] },
    features: {
      deviceFlow: { enabled: true },
      clientCredentials: { enabled: true },
      devInteractions: { enabled: true },
    },
    pkce: { required: () => true },
    ttl: {
      Session: 600,
      Interaction: 600,
      Grant: 600,
      DeviceCode: 600,
      AccessToken: 600,
      IdToken: 600,
      ClientCredentials: 600,
    },
    findAccount: (_: unknown, id: string) => ({
      accountId: id,
      claims: () => ({ sub: id, email: id, email_verified: true }),
    }),
  });
  listener = provider.callback();
  return {
    issuer,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

export const ROBOT = { clientId: "robot", clientSecret: SECRET };

/** Loads the package without its advice for production. */
async function loadQuietly(): Promise<typeof Provider> {
  for (const name of ["info", "warn"] as const) console[name] = silence(console[name]);
  return (await import("oidc-provider")).default;
}

function silence(write: (...words: unknown[]) => void): (...words: unknown[]) => void {
  return (...words) => {
    if (!/oidc-provider/.test(String(words[0]))) write(...words);
  };
}

/** Goes to a page, logs in and agrees to everything, until no form is left. @returns the last page. */
export async function browse(
  start: string,
): Promise<{ readonly url: string; readonly status: number; readonly text: string }> {
  const cookies = new Map<string, string>();
  let request: { url: string; init: RequestInit } = { url: start, init: {} };
  for (let step = 0; step < 30; step += 1) {
    const cookie = [...cookies].map(([name, value]) => `${name}=${value}`).join("; ");
    const response = await fetch(request.url, { ...request.init, headers: { cookie }, redirect: "manual" });
    for (const line of response.headers.getSetCookie()) {
      const [, name = "", value = ""] = /^([^=]+)=([^;]*)/.exec(line) ?? [];
      if (value === "") cookies.delete(name);
      else cookies.set(name, value);
    }
    const text = await response.text();
    const location = response.headers.get("location");
    const form = /<form[^>]*action="([^"]+)"[^>]*>(.*?)<\/form>/s.exec(text);
    if (location !== null) request = { url: new URL(location, request.url).href, init: {} };
    else if (form === null) return { url: request.url, status: response.status, text };
    else
      request = {
        url: new URL(form[1] ?? "", request.url).href,
        init: { method: "POST", body: fillIn(form[2] ?? "") },
      };
  }
  throw new Error("the login has no end");
}

function fillIn(form: string): URLSearchParams {
  const fields = new URLSearchParams();
  for (const [input] of form.matchAll(/<input[^>]*>/gs)) {
    const attribute = (name: string): string | undefined => new RegExp(`\\b${name}="([^"]*)"`).exec(input)?.[1];
    const name = attribute("name");
    if (name !== undefined) fields.set(name, attribute("value") ?? (name === "login" ? PERSON : "anything"));
  }
  return fields;
}
