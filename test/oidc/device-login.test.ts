import { inspect } from "node:util";
import { describe, expect, test } from "vitest";
import { logInAsClient } from "../../src/oidc/client-credentials.ts";
import { logInWithDevice } from "../../src/oidc/device-login.ts";
import { challengeOf, fakeProvider, ISSUER, METADATA, type Behaviour } from "./fake-provider.ts";
import { containing, json } from "./surroundings.ts";
import { EMAIL_CLAIMS, makeToken, NOW } from "./tokens.ts";

const failing = (details: object): unknown => expect.objectContaining(details);
const DEVICE = {
  device_code: "device-secret",
  user_code: "ABCD-EFGH",
  verification_uri: `${ISSUER}/device`,
  verification_uri_complete: `${ISSUER}/device?user_code=ABCD-EFGH`,
  expires_in: 300,
};
const pending = (): Response => json({ error: "authorization_pending" }, 400);
const granted = (claims: object = {}): Response =>
  json({ access_token: "access-secret", id_token: makeToken({ ...EMAIL_CLAIMS, iss: ISSUER, ...claims }) });

/** Logs in with answers of the token endpoint in turn, the last one again and again; time passes by waiting alone. */
async function logIn(
  answers: readonly (() => Response)[],
  behaviour: Behaviour = {},
): Promise<{
  readonly result: unknown;
  readonly waited: readonly number[];
  readonly provider: ReturnType<typeof fakeProvider>;
}> {
  let count = 0;
  const provider = fakeProvider({
    device: () => json(DEVICE),
    token: () => (answers[count++] ?? answers.at(-1) ?? pending)(),
    ...behaviour,
  });
  const waited: number[] = [];
  let time = NOW.getTime();
  const result = await logInWithDevice({
    ...provider.login,
    now: () => new Date(time),
    interaction: provider.interaction,
    wait: (ms) => {
      waited.push(ms);
      time += ms;
      return Promise.resolve();
    },
  }).catch((error: unknown) => error);
  return { result, waited, provider };
}

describe("logInWithDevice (RFC 8628)", () => {
  test("shows code and address, asks until the person has agreed, and proves that it began the login", async () => {
    const { result, waited, provider } = await logIn([pending, pending, () => granted()]);
    expect(result).toMatchObject({ issuer: ISSUER, subject: "alice@example.com" });
    expect(provider.printed).toEqual([
      "Enter the verification code ABCD-EFGH in your browser at: https://issuer.test/auth/device?user_code=ABCD-EFGH",
      "The code is valid for 300 seconds",
    ]);
    expect(waited).toEqual([5000, 5000, 5000]); // §3.2: five seconds where no interval is given
    const [, device, ...questions] = provider.asked;
    const asked = new URLSearchParams(device?.body);
    expect(Object.fromEntries(asked)).toMatchObject({
      client_id: "sigstore",
      scope: "openid email",
      code_challenge_method: "S256",
    });
    expect(questions).toHaveLength(3);
    const form = new URLSearchParams(questions[0]?.body);
    expect(Object.fromEntries(form)).toMatchObject({
      grant_type: "urn:ietf:params:oauth:grant-type:device_code",
      device_code: "device-secret",
      client_id: "sigstore",
    });
    expect(challengeOf(form.get("code_verifier") ?? "")).toBe(asked.get("code_challenge"));
  });

  test("asks at the interval that the provider names, and five seconds less often from each slow_down on", async () => {
    const slow = (): Response => json({ error: "slow_down" }, 400);
    const { waited } = await logIn([pending, slow, pending, slow, () => granted()], {
      device: () => json({ ...DEVICE, interval: 2 }),
    });
    expect(waited).toEqual([2000, 2000, 7000, 7000, 12_000]);
  });

  test.for([
    [0, 1000],
    [0.001, 1000],
    [86_400, 60_000],
  ] as const)("does not flood and does not sleep at an interval of %d", async ([interval, expected]) => {
    const { waited } = await logIn([() => granted()], { device: () => json({ ...DEVICE, interval }) });
    expect(waited).toEqual([expected]);
  });

  test.for<[string, () => Response, string]>([
    ["was refused", () => json({ error: "access_denied" }, 400), "LOGIN_FAILED"],
    ["has expired", () => json({ error: "expired_token" }, 400), "LOGIN_FAILED"],
    ["is unknown to the provider", () => json({ error: "invalid_grant", error_description: "?" }, 400), "LOGIN_FAILED"],
    ["is not finished while the code is valid", pending, "LOGIN_FAILED"],
    ["ends in an answer without a reason", () => json({}, 400), "SERVICE_RESPONSE_INVALID"],
    ["ends in a page", () => new Response("<html>", { status: 400 }), "SERVICE_RESPONSE_INVALID"],
    ["ends without an identity token", () => json({ access_token: "access-secret" }), "SERVICE_RESPONSE_INVALID"],
    ["ends in a token of another issuer", () => granted({ iss: "https://other.test" }), "SERVICE_RESPONSE_INVALID"],
    ["ends in a token for another client", () => granted({ aud: "other" }), "IDENTITY_TOKEN_AUDIENCE_MISMATCH"],
  ])("fails when the login %s", async ([, answer, code]) => {
    const { result } = await logIn([answer]);
    expect(result).toMatchObject({ code });
    expect(inspect(result, { depth: 9 })).not.toMatch(/device-secret|access-secret|eyJ/);
  });

  test("says that the code has expired, whoever noticed", async () => {
    for (const answer of [pending, (): Response => json({ error: "expired_token" }, 400)]) {
      const { result } = await logIn([answer]);
      expect(result).toMatchObject({ message: "login was not finished while its code was valid" });
    }
  });

  test("asks no longer than the code is valid", async () => {
    const { waited } = await logIn([pending]);
    expect(waited).toHaveLength(59);
  });

  test.for([
    ["no code for the person", { user_code: undefined }],
    ["no code for the device", { device_code: "" }],
    ["an address that is not HTTPS", { verification_uri_complete: "http://issuer.test/device" }],
    ["an address that is a command", { verification_uri_complete: "javascript:alert(1)" }],
    ["an interval that is text", { interval: "5" }],
  ] as const)("refuses %s", async ([, change]) => {
    const { result } = await logIn([], { device: () => json({ ...DEVICE, ...change }) });
    expect(result).toMatchObject({ code: "SERVICE_RESPONSE_INVALID" });
  });

  test("shows nothing that a terminal must not see", async () => {
    const { provider } = await logIn([() => granted()], {
      device: () => json({ ...DEVICE, user_code: "\u001b[2J\u202eA", verification_uri_complete: `${ISSUER}/\u001b` }),
    });
    expect(provider.printed.join("")).toMatch(/^[\u0020-\u007e]*$/);
  });

  test("asks where Dex has it, when the provider does not say where", async () => {
    const { provider } = await logIn([() => granted()], { metadata: { device_authorization_endpoint: undefined } });
    expect(provider.asked[1]?.url).toBe(`${ISSUER}/device/code`);
  });

  test("refuses a provider without PKCE", async () => {
    const { result } = await logIn([], { metadata: { code_challenge_methods_supported: [] } });
    expect(result).toMatchObject({ code: "LOGIN_FAILED" });
  });

  test("ends with the caller's signal while it waits", async () => {
    const controller = new AbortController();
    const { login, interaction } = fakeProvider();
    const print = (): void => controller.abort(new Error("enough"));
    const request = { ...login.request, signal: controller.signal };
    await expect(logInWithDevice({ ...login, request, interaction: { ...interaction, print } })).rejects.toThrow(
      "enough",
    );
  });
});

describe("logInAsClient (RFC 6749 §4.4)", () => {
  test("asks with the client's secret, and nothing of a person", async () => {
    const provider = fakeProvider({ token: () => granted() });
    await expect(logInAsClient({ ...provider.login, clientSecret: "s" })).resolves.toMatchObject({ issuer: ISSUER });
    const asked = provider.asked.at(-1);
    expect(asked?.url).toBe(METADATA.token_endpoint);
    expect(Object.fromEntries(new URLSearchParams(asked?.body))).toEqual({
      grant_type: "client_credentials",
      scope: "openid email",
    });
    expect(asked?.headers.get("authorization")).toBe(`Basic ${Buffer.from("sigstore:s").toString("base64")}`);
  });

  test("fails without a secret before anything is asked", async () => {
    const provider = fakeProvider();
    await expect(logInAsClient(provider.login)).rejects.toThrow(failing({ code: "IDENTITY_TOKEN_UNAVAILABLE" }));
    expect(provider.asked).toEqual([]);
  });

  test("tells a refusal in the provider's words, without the secret", async () => {
    const provider = fakeProvider({
      token: () => json({ error: "invalid_client", error_description: "client_secret=hush is wrong" }, 401),
    });
    const error = await logInAsClient({ ...provider.login, clientSecret: "hush" }).catch((caught: unknown) => caught);
    expect(error).toMatchObject({ code: "OIDC_REQUEST_REFUSED", message: containing("is wrong") });
    expect(inspect(error)).not.toContain("hush");
  });
});
