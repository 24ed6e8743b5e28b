import { describe, expect, test } from "vitest";
import { discoverProvider, type OpenIdProvider } from "../../src/oidc/discovery.ts";
import { ISSUER, METADATA } from "./fake-provider.ts";
import { json, surroundings, type Answering, type Asked } from "./surroundings.ts";

const failing = (details: object): unknown => expect.objectContaining(details);

async function discover(
  issuer: string,
  answer: Answering,
): Promise<{ readonly provider: OpenIdProvider; readonly asked: readonly Asked[] }> {
  const { fetch, asked, sleep } = surroundings({}, answer);
  return { provider: await discoverProvider(issuer, { fetch: fetch!, timeoutMs: 1000, sleep }), asked };
}
const withMetadata =
  (change: object = {}): Answering =>
  () =>
    json({ ...METADATA, ...change });

describe("discoverProvider (OpenID Connect Discovery 1.0)", () => {
  test("asks under the path of the issuer, and reads the endpoints", async () => {
    const { provider, asked } = await discover(ISSUER, withMetadata());
    expect(asked.map(({ url }) => url)).toEqual(["https://issuer.test/auth/.well-known/openid-configuration"]);
    expect(provider).toEqual({
      issuer: ISSUER,
      authorizationEndpoint: METADATA.authorization_endpoint,
      tokenEndpoint: METADATA.token_endpoint,
      deviceAuthorizationEndpoint: METADATA.device_authorization_endpoint,
      supportsPkce: true,
      namesIssuerInResponse: false,
      authenticationMethods: ["client_secret_basic", "client_secret_post"],
    });
  });

  test("does not write a slash twice, and takes it for part of the name", async () => {
    const { asked } = await discover("https://issuer.test/", withMetadata({ issuer: "https://issuer.test/" }));
    expect(asked[0]?.url).toBe("https://issuer.test/.well-known/openid-configuration");
    await expect(discover("https://issuer.test/", withMetadata({ issuer: "https://issuer.test" }))).rejects.toThrow(
      failing({ code: "SERVICE_RESPONSE_INVALID", expected: "https://issuer.test/", found: "https://issuer.test" }),
    );
  });

  test("takes plain HTTP on loopback, endpoints too", async () => {
    const issuer = "http://127.0.0.1:4000";
    const { provider } = await discover(issuer, () => json({ ...METADATA, issuer, token_endpoint: `${issuer}/token` }));
    expect(provider.tokenEndpoint).toBe(`${issuer}/token`);
  });

  test.for([
    ["is another issuer's", { issuer: "https://issuer.test" }],
    ["names no issuer", { issuer: undefined }],
    ["names no token endpoint", { token_endpoint: undefined }],
    ["has a token endpoint that is not HTTPS", { token_endpoint: "http://issuer.test/token" }],
    [
      "has a token endpoint on plain loopback, while the issuer is elsewhere",
      { token_endpoint: "http://localhost/token" },
    ],
    ["has an authorization endpoint that is a command", { authorization_endpoint: "javascript:alert(1)" }],
    ["has an authorization endpoint that is a file", { authorization_endpoint: "file:///etc/passwd" }],
    ["has a device endpoint with credentials", { device_authorization_endpoint: "https://a:b@issuer.test/" }],
    ["has an endpoint that is no text", { token_endpoint: 7 }],
    ["lists methods that are no text", { code_challenge_methods_supported: [1] }],
  ] as const)("refuses a document that %s", async ([, change]) => {
    await expect(discover(ISSUER, withMetadata(change))).rejects.toThrow(failing({ code: "SERVICE_RESPONSE_INVALID" }));
  });

  test("refuses a plain endpoint elsewhere for an issuer on loopback", async () => {
    const issuer = "http://localhost:4000";
    await expect(
      discover(issuer, withMetadata({ issuer, token_endpoint: "http://issuer.test/token" })),
    ).rejects.toThrow(failing({ code: "SERVICE_RESPONSE_INVALID" }));
  });

  test.for([
    "http://issuer.test",
    "ftp://issuer.test",
    "https://user:secret@issuer.test",
    "https://issuer.test/?a=b",
    "issuer",
  ])("refuses the issuer %s before it asks", async (issuer) => {
    const { fetch, asked } = surroundings();
    await expect(discoverProvider(issuer, { fetch: fetch!, timeoutMs: 1000 })).rejects.toThrow(
      failing({ code: "URL_INVALID" }),
    );
    expect(asked).toEqual([]);
  });

  test("follows no redirect to another host, which could name keys and endpoints of its own", async () => {
    const asked: string[] = [];
    const answer: Answering = ({ url }) => {
      asked.push(url);
      return url.startsWith(ISSUER)
        ? new Response("", {
            status: 302,
            headers: { location: "https://other.test/.well-known/openid-configuration" },
          })
        : json(METADATA);
    };
    await expect(discover(ISSUER, answer)).rejects.toThrow(
      failing({ code: "HTTP_REQUEST_FAILED", expected: "https://issuer.test", found: "https://other.test" }),
    );
    expect(asked).toHaveLength(1);
  });

  test("follows a redirect on the same host", async () => {
    const answer: Answering = ({ url }) =>
      url.endsWith("/moved") ? json(METADATA) : new Response("", { status: 302, headers: { location: "/moved" } });
    await expect(discover(ISSUER, answer)).resolves.toMatchObject({ provider: { issuer: ISSUER } });
  });
});
