import { beforeEach, describe, expect, test } from "vitest";
import { createOidcIssuer, type OidcIssuer } from "../../../src/sandbox/oidc/issuer.ts";
import { get, URLS } from "../identity-services.ts";
import { testContext, type TestContext } from "../service-context.ts";

const VERIFIER = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"; // RFC 7636 appendix B
const BEGIN = {
  client_id: "sigstore",
  scope: "openid email",
  code_challenge: "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM",
  code_challenge_method: "S256",
} as const;

type Parameters = Readonly<Record<string, string>>;
interface DeviceAnswer {
  readonly device_code: string;
  readonly user_code: string;
  readonly verification_uri: string;
  readonly verification_uri_complete: string;
}

let context: TestContext;
let issuer: OidcIssuer;
beforeEach(async () => {
  context = testContext(URLS.oidc);
  issuer = await createOidcIssuer(context, { algorithms: ["ES256"] });
});

async function submit(path: string, parameters: Parameters): Promise<Response> {
  return await issuer.fetch(new Request(URLS.oidc + path, { method: "POST", body: new URLSearchParams(parameters) }));
}

async function begin(replaced: Parameters = {}): Promise<DeviceAnswer> {
  return (await (await submit("/device/code", { ...BEGIN, ...replaced })).json()) as DeviceAnswer;
}

/** Asks once, after the time that a client is to wait. */
async function ask(deviceCode: string, replaced: Parameters = {}, seconds = 5): Promise<Record<string, unknown>> {
  context.time = new Date(context.time.getTime() + seconds * 1000);
  const response = await submit("/token", {
    grant_type: "urn:ietf:params:oauth:grant-type:device_code",
    client_id: "sigstore",
    device_code: deviceCode,
    code_verifier: VERIFIER,
    ...replaced,
  });
  return { status: response.status, ...((await response.json()) as Record<string, unknown>) };
}

describe("the login on another device (RFC 8628)", () => {
  test("gives a token once the person has logged in", async () => {
    const device = await begin();
    expect(device).toMatchObject({ expires_in: 600, interval: 5, verification_uri: `${URLS.oidc}/device` });
    expect(await ask(device.device_code)).toMatchObject({ status: 400, error: "authorization_pending" });

    const page = await get(issuer, device.verification_uri_complete);
    expect(await page.text()).toContain(`value="${device.user_code}"`);
    const typed = device.user_code.toLowerCase().replace("-", " ");
    const done = await submit("/device", { user_code: typed, email: "alice@example.com", action: "approve" });
    expect(done.status).toBe(200);

    const answer = await ask(device.device_code);
    expect(answer).toMatchObject({ status: 200 });
    const payload: unknown = JSON.parse(
      Buffer.from(String(answer["id_token"]).split(".")[1] ?? "", "base64url").toString(),
    );
    expect(payload).toMatchObject({ email: "alice@example.com", aud: "sigstore", email_verified: true });
    expect(await ask(device.device_code)).toMatchObject({ error: "invalid_grant" });
  });

  test("slows a client down that asks too often, by five seconds each time", async () => {
    const { device_code } = await begin();
    expect(await ask(device_code, {}, 0)).toMatchObject({ error: "authorization_pending" });
    expect(await ask(device_code, {}, 4)).toMatchObject({ error: "slow_down" });
    expect(await ask(device_code, {}, 9)).toMatchObject({ error: "slow_down" });
    expect(await ask(device_code, {}, 15)).toMatchObject({ error: "authorization_pending" });
  });

  test("says that the person denied it", async () => {
    const { device_code, user_code } = await begin();
    await submit("/device", { user_code, email: "", action: "deny" });
    expect(await ask(device_code)).toMatchObject({ status: 400, error: "access_denied" });
  });

  test("ends after ten minutes", async () => {
    const { device_code } = await begin();
    expect(await ask(device_code, {}, 599)).toMatchObject({ error: "authorization_pending" });
    expect(await ask(device_code, {}, 5)).toMatchObject({ error: "expired_token" });
  });

  test.for([
    ["of another client", { client_id: "other" }],
    ["with another verifier", { code_verifier: "x".repeat(43) }],
    ["with another code", { device_code: "other" }],
  ] as const)("is not for a request %s", async ([, replaced]) => {
    const { device_code, user_code } = await begin();
    await submit("/device", { user_code, email: "alice@example.com", action: "approve" });
    expect(await ask(device_code, replaced)).toMatchObject({ status: 400, error: "invalid_grant" });
  });

  test.for([
    ["a code that nobody was given", { user_code: "BBBB-BBBB", email: "alice@example.com" }],
    ["no address", { email: "nobody" }],
  ] as const)("asks the person again for %s", async ([, replaced]) => {
    const { device_code, user_code } = await begin();
    const form: Parameters = { user_code, email: "alice@example.com", action: "approve" };
    const response = await submit("/device", { ...form, ...replaced });
    expect(response.status).toBe(400);
    expect(await ask(device_code)).toMatchObject({ error: "authorization_pending" });
  });

  test("begins without PKCE for a client that has none, but not with a plain one", async () => {
    const plain = await submit("/device/code", { ...BEGIN, code_challenge_method: "plain" });
    expect([plain.status, await plain.json()]).toMatchObject([400, { error: "invalid_request" }]);
    const none = await submit("/device/code", { client_id: "sigstore", scope: "openid" });
    expect(none.status).toBe(200);
  });

  test("keeps a thousand logins, and lets the oldest go for another", async () => {
    const first = await begin();
    const second = await begin();
    for (let i = 0; i < 999; i++) await begin();
    expect(await ask(first.device_code)).toMatchObject({ error: "invalid_grant" });
    expect(await ask(second.device_code)).toMatchObject({ error: "authorization_pending" });
  });
});
