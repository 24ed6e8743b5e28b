import { createLocalJWKSet, jwtVerify, type JSONWebKeySet } from "jose";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { getIdentityToken } from "../../src/oidc/get-identity-token.ts";
import type { IdentityToken } from "../../src/oidc/identity-token.ts";
import { browse, PERSON, ROBOT, startOpenIdServer, type OpenIdServer } from "./openid-server.ts";
import { containing } from "./surroundings.ts";

let server: OpenIdServer;
beforeAll(async () => {
  server = await startOpenIdServer();
});
afterAll(() => server.close());

/** Checks a token as whoever relies on it does. */
async function expectGenuine(token: IdentityToken): Promise<void> {
  const keys = (await (await fetch(`${server.issuer}/jwks`)).json()) as JSONWebKeySet;
  const { payload } = await jwtVerify(token.raw, createLocalJWKSet(keys), {
    issuer: server.issuer,
    audience: "sigstore",
  });
  expect(payload).toEqual(token.claims);
  expect(token.subject).toBe(PERSON);
}

describe("logins against the oidc-provider package", () => {
  test("by a browser", async () => {
    let page: ReturnType<typeof browse> | undefined;
    const { token, provider } = await getIdentityToken({
      environment: {},
      flow: "normal",
      issuer: server.issuer,
      interaction: {
        isTerminal: true,
        print: () => undefined,
        openBrowser: (url) => {
          page = browse(url);
          return Promise.resolve();
        },
      },
    });
    expect(provider).toBe("normal");
    await expectGenuine(token);
    const last = await page;
    expect(last).toMatchObject({ status: 200, text: containing("You are logged in") });
    expect(last?.text).toContain(PERSON);
  });

  test("on another device", async () => {
    let page: ReturnType<typeof browse> | undefined;
    const { token, provider } = await getIdentityToken({
      environment: {},
      flow: "device",
      issuer: server.issuer,
      // The person is done before the first question, or soon after it.
      sleep: () => Promise.resolve(page).then(() => undefined),
      interaction: {
        isTerminal: false,
        print: (line) => {
          const address = / at: (\S+)$/.exec(line)?.[1];
          if (address !== undefined) page = browse(address);
        },
      },
    });
    expect(provider).toBe("device");
    await expectGenuine(token);
    expect((await page)?.text).toContain("Sign-in Success");
  });

  test("on another device, where the person comes too late", async () => {
    let asked = 0;
    const denied = getIdentityToken({
      environment: {},
      flow: "device",
      issuer: server.issuer,
      sleep: () => Promise.resolve(void (asked += 1)),
      now: () => new Date(Date.now() + asked * 200_000),
      interaction: { isTerminal: false, print: () => undefined },
    });
    await expect(denied).rejects.toMatchObject({
      code: "LOGIN_FAILED",
      message: containing("while its code was valid"),
    });
    expect(asked).toBeGreaterThan(1);
  });

  test("as a client: its secret is accepted, and that this provider gives clients no identity is said", async () => {
    const options = { environment: {}, flow: "client_credentials", issuer: server.issuer } as const;
    await expect(getIdentityToken({ ...options, ...ROBOT })).rejects.toMatchObject({
      code: "SERVICE_RESPONSE_INVALID",
      message: containing("no identity token"),
    });
    await expect(getIdentityToken({ ...options, ...ROBOT, clientSecret: "wrong" })).rejects.toMatchObject({
      code: "OIDC_REQUEST_REFUSED",
      status: 401,
      message: containing("client"),
    });
  });

  test("fail for a client that the provider does not know", async () => {
    await expect(
      getIdentityToken({
        environment: {},
        flow: "device",
        issuer: server.issuer,
        clientId: "stranger",
        interaction: { isTerminal: false, print: () => undefined },
      }),
    ).rejects.toMatchObject({ code: "OIDC_REQUEST_REFUSED", status: 401 });
  });
});
