import { createHash } from "node:crypto";
import { beforeEach, describe, expect, test } from "vitest";
import { createOidcIssuer, type OidcIssuer } from "../../../src/sandbox/oidc/issuer.ts";
import { get, URLS } from "../identity-services.ts";
import { testContext, type TestContext } from "../service-context.ts";

const VERIFIER = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"; // RFC 7636 appendix B
const CHALLENGE = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";
const REDIRECT = "http://localhost:51234/auth/callback";

const REQUEST = {
  response_type: "code",
  client_id: "sigstore",
  redirect_uri: REDIRECT,
  scope: "openid email",
  state: "the state",
  nonce: "the nonce",
  code_challenge: CHALLENGE,
  code_challenge_method: "S256",
} as const;

type Parameters = Readonly<Record<string, string>>;

let context: TestContext;
let issuer: OidcIssuer;
beforeEach(async () => {
  context = testContext(URLS.oidc);
  issuer = await createOidcIssuer(context, { algorithms: ["ES256"] });
});

function without(parameters: Parameters, name: string): Parameters {
  return Object.fromEntries(Object.entries(parameters).filter(([key]) => key !== name));
}

async function begin(parameters: Parameters, path = ""): Promise<Response> {
  return await get(issuer, `${URLS.oidc}${path}/auth?${new URLSearchParams(parameters).toString()}`);
}

async function submit(path: string, parameters: Parameters | string, headers: Parameters = {}): Promise<Response> {
  const body = typeof parameters === "string" ? parameters : new URLSearchParams(parameters).toString();
  const type = { "content-type": "application/x-www-form-urlencoded" };
  return await issuer.fetch(new Request(URLS.oidc + path, { method: "POST", body, headers: { ...type, ...headers } }));
}

const loginOf = (page: string): string => /name="login" value="(?<login>[^"]+)"/.exec(page)?.groups?.["login"] ?? "";

/** Logs in on the page, as far as the answer that the browser follows. */
async function logIn(parameters: Parameters = REQUEST, email = "alice@example.com", path = ""): Promise<URL> {
  const page = await (await begin(parameters, path)).text();
  const response = await submit(`${path}/auth`, { login: loginOf(page), email, action: "login" });
  expect(response.status).toBe(303);
  return new URL(response.headers.get("location") ?? "");
}

const EXCHANGE = {
  grant_type: "authorization_code",
  client_id: "sigstore",
  redirect_uri: REDIRECT,
  code_verifier: VERIFIER,
} as const;

async function exchange(code: string, replaced: Parameters = {}, path = ""): Promise<Record<string, unknown>> {
  const response = await submit(`${path}/token`, { ...EXCHANGE, code, ...replaced });
  return { status: response.status, ...((await response.json()) as Record<string, unknown>) };
}

const payloadOf = (token: unknown): unknown =>
  JSON.parse(Buffer.from(String(token).split(".")[1] ?? "", "base64url").toString());

describe("the login by a browser (RFC 6749 §4.1, RFC 7636)", () => {
  test("uses the example of RFC 7636", () => {
    expect(createHash("sha256").update(VERIFIER).digest("base64url")).toBe(CHALLENGE);
  });

  test("gives an ID token for the address that was entered", async () => {
    const back = await logIn();
    expect(`${back.origin}${back.pathname}`).toBe(REDIRECT);
    expect(back.searchParams.get("state")).toBe("the state");
    expect(back.searchParams.get("iss")).toBe(URLS.oidc);
    const answer = await exchange(back.searchParams.get("code") ?? "");
    expect(answer).toMatchObject({
      status: 200,
      token_type: "Bearer",
      expires_in: 600,
      access_token: expect.any(String) as unknown,
    });
    expect(payloadOf(answer["id_token"])).toMatchObject({
      iss: URLS.oidc,
      aud: "sigstore",
      sub: "alice@example.com",
      email: "alice@example.com",
      email_verified: true,
      nonce: "the nonce",
    });
  });

  test("gives the identity of a build where the issuer is one of builds", async () => {
    const back = await logIn(REQUEST, "ignored@example.com", "/github");
    const answer = await exchange(back.searchParams.get("code") ?? "", {}, "/github");
    expect(payloadOf(answer["id_token"])).toMatchObject({
      iss: `${URLS.oidc}/github`,
      sub: "repo:acme/app:ref:refs/heads/main",
      nonce: "the nonce",
    });
  });

  test("takes the client's name from HTTP Basic, too", async () => {
    const code = (await logIn()).searchParams.get("code") ?? "";
    const authorization = `Basic ${Buffer.from("sigstore:").toString("base64")}`;
    const response = await submit("/token", { ...without(EXCHANGE, "client_id"), code }, { authorization });
    expect(response.status).toBe(200);
    expect(response.headers.get("cache-control")).toBe("no-store");
  });

  test("answers at once where no page is wanted", async () => {
    const back = async (parameters: Parameters): Promise<URLSearchParams> =>
      new URL((await begin(parameters)).headers.get("location") ?? "").searchParams;
    const good = await back({ ...REQUEST, prompt: "none", login_hint: "bob@example.com" });
    expect(payloadOf((await exchange(good.get("code") ?? ""))["id_token"])).toMatchObject({ email: "bob@example.com" });
    expect((await back({ ...REQUEST, prompt: "none" })).get("error")).toBe("login_required");
  });

  test("shows the code on the page where the client cannot listen", async () => {
    const outOfBand = { ...REQUEST, redirect_uri: "urn:ietf:wg:oauth:2.0:oob" };
    const page = await (await begin(outOfBand)).text();
    const done = await submit("/auth", { login: loginOf(page), email: "alice@example.com", action: "login" });
    expect(done.status).toBe(200);
    const code = /<code>(?<code>[^<]+)<\/code>/.exec(await done.text())?.groups?.["code"] ?? "";
    expect(await exchange(code, { redirect_uri: outOfBand.redirect_uri })).toMatchObject({ status: 200 });
  });

  test.for([
    ["without client", without(REQUEST, "client_id")],
    ["with a client whose name has a line break", { ...REQUEST, client_id: "a\nb" }],
    ["without redirect_uri", without(REQUEST, "redirect_uri")],
    ["to another machine", { ...REQUEST, redirect_uri: "http://example.com/callback" }],
    ["to a machine whose name begins like loopback", { ...REQUEST, redirect_uri: "http://127.0.0.1.example.com/" }],
    ["to a machine behind a user name", { ...REQUEST, redirect_uri: "http://localhost@example.com/" }],
    ["by another scheme", { ...REQUEST, redirect_uri: "javascript:alert(1)" }],
    ["with a fragment", { ...REQUEST, redirect_uri: `${REDIRECT}#x` }],
  ] as const)("sends nobody anywhere for a request %s", async ([, parameters]) => {
    const response = await begin(parameters);
    expect(response.status).toBe(400);
    expect(response.headers.get("location")).toBeNull();
    expect(response.headers.get("content-type")).toContain("text/html");
  });

  test.for([
    ["another response_type", { ...REQUEST, response_type: "token" }, "unsupported_response_type"],
    ["no openid in its scope", { ...REQUEST, scope: "email" }, "invalid_scope"],
    ["no code_challenge", without(REQUEST, "code_challenge"), "invalid_request"],
    ["a plain code_challenge", { ...REQUEST, code_challenge_method: "plain" }, "invalid_request"],
    ["no code_challenge_method", without(REQUEST, "code_challenge_method"), "invalid_request"],
    ["a code_challenge that is no hash", { ...REQUEST, code_challenge: "short" }, "invalid_request"],
  ] as const)("sends the error back for a request with %s", async ([, parameters, error]) => {
    const response = await begin(parameters);
    const back = new URL(response.headers.get("location") ?? "").searchParams;
    expect([response.status, back.get("error"), back.get("state")]).toEqual([303, error, "the state"]);
    expect(back.has("code")).toBe(false);
  });

  test("sends back that the person cancelled", async () => {
    const page = await (await begin(REQUEST)).text();
    const response = await submit("/auth", { login: loginOf(page), action: "cancel" });
    const back = new URL(response.headers.get("location") ?? "").searchParams;
    expect(back.get("error")).toBe("access_denied");
  });

  test("asks again for what is no address, and escapes it", async () => {
    const page = await (await begin(REQUEST)).text();
    const response = await submit("/auth", { login: loginOf(page), email: '"><script>x</script>', action: "login" });
    const again = await response.text();
    expect(response.status).toBe(400);
    expect(again).toContain("&quot;&gt;&lt;script&gt;x&lt;/script&gt;");
    expect(again).not.toContain("<script>");
    const retried = await submit("/auth", { login: loginOf(again), email: "alice@example.com", action: "login" });
    expect(retried.status).toBe(303);
  });

  test("escapes what comes with the request, and lets nothing in from elsewhere", async () => {
    const response = await begin({ ...REQUEST, client_id: "<b>'&\"", login_hint: "<i>@example.com" });
    const page = await response.text();
    expect(page).toContain("&lt;b&gt;&#39;&amp;&quot;");
    expect(page).not.toMatch(/<b>|<i>/);
    const policy = response.headers.get("content-security-policy") ?? "";
    expect(policy).toContain("default-src 'none'");
    expect(policy).toContain("frame-ancestors 'none'");
    expect(policy).toContain("form-action 'self' http://localhost:51234"); // browsers hold the redirect to it
    const style = /<style>(?<style>[\s\S]*)<\/style>/.exec(page)?.groups?.["style"] ?? "";
    expect(policy).toContain(`'sha256-${createHash("sha256").update(style).digest("base64")}'`);
    expect(page).not.toMatch(/https?:|src=|href=/);
  });

  test("ends a login once", async () => {
    const page = await (await begin(REQUEST)).text();
    const form = { login: loginOf(page), email: "alice@example.com", action: "login" };
    expect((await submit("/auth", form)).status).toBe(303);
    expect((await submit("/auth", form)).status).toBe(400);
  });

  test("forgets a login that took more than half an hour", async () => {
    const page = await (await begin(REQUEST)).text();
    context.time = new Date(context.time.getTime() + 30 * 60_000);
    expect((await submit("/auth", { login: loginOf(page), email: "a@example.com", action: "login" })).status).toBe(400);
  });
});

describe("the code (RFC 6749 §4.1.3, RFC 7636 §4.6)", () => {
  test.for([
    ["for another client", { client_id: "other" }, "invalid_grant"],
    ["with another redirect_uri", { redirect_uri: "http://localhost:51235/auth/callback" }, "invalid_grant"],
    ["with another verifier", { code_verifier: VERIFIER.replace("d", "e") }, "invalid_grant"],
    ["with a verifier that is too short", { code_verifier: "short" }, "invalid_grant"],
    ["by a grant that there is not", { grant_type: "password" }, "unsupported_grant_type"],
    ["with another code", { code: "other" }, "invalid_grant"],
    ["without client", { client_id: "" }, "invalid_client"],
  ] as const)("is not exchanged %s", async ([, replaced, error]) => {
    const code = (await logIn()).searchParams.get("code") ?? "";
    const answer = await exchange(code, replaced);
    expect(answer).toMatchObject({ status: error === "invalid_client" ? 401 : 400, error });
    expect(answer).not.toHaveProperty("id_token");
  });

  test("is not exchanged without a verifier", async () => {
    const code = (await logIn()).searchParams.get("code") ?? "";
    const response = await submit("/token", { ...without(EXCHANGE, "code_verifier"), code });
    expect(await response.json()).toMatchObject({ error: "invalid_grant" });
  });

  test("is exchanged once", async () => {
    const code = (await logIn()).searchParams.get("code") ?? "";
    expect(await exchange(code)).toMatchObject({ status: 200 });
    expect(await exchange(code)).toMatchObject({ status: 400, error: "invalid_grant" });
  });

  test("is used up by an attempt that fails", async () => {
    const code = (await logIn()).searchParams.get("code") ?? "";
    expect(await exchange(code, { code_verifier: "x".repeat(43) })).toMatchObject({ error: "invalid_grant" });
    expect(await exchange(code)).toMatchObject({ error: "invalid_grant" });
  });

  test("lasts ten minutes", async () => {
    const [early, late] = [await logIn(), await logIn()].map((url) => url.searchParams.get("code") ?? "");
    context.time = new Date(context.time.getTime() + 599_000);
    expect(await exchange(early ?? "")).toMatchObject({ status: 200 });
    context.time = new Date(context.time.getTime() + 1000);
    expect(await exchange(late ?? "")).toMatchObject({ error: "invalid_grant" });
  });

  test("is not exchanged by another issuer of the provider", async () => {
    const code = (await logIn()).searchParams.get("code") ?? "";
    expect(await exchange(code, {}, "/github")).toMatchObject({ error: "invalid_grant" });
  });
});

describe("the token endpoint", () => {
  test("gives a client with a secret a token of its own", async () => {
    const form = { grant_type: "client_credentials", client_id: "sigstore", client_secret: "any", scope: "openid" };
    const answer = (await (await submit("/github/token", form)).json()) as Record<string, unknown>;
    expect(payloadOf(answer["id_token"])).toMatchObject({ sub: "repo:acme/app:ref:refs/heads/main", aud: "sigstore" });
    const refused = await submit("/github/token", without(form, "client_secret"));
    expect([refused.status, await refused.json()]).toMatchObject([401, { error: "invalid_client" }]);
  });

  test.for([
    ["names a parameter twice", "grant_type=client_credentials&grant_type=x&client_id=a", {}, "invalid_request"],
    ["is no form", "{}", { "content-type": "application/json" }, "invalid_request"],
    ["has no grant_type", "client_id=a", {}, "invalid_request"],
    [
      "names two clients",
      "client_id=b",
      { authorization: `Basic ${Buffer.from("a:s").toString("base64")}` },
      "invalid_client",
    ],
    ["authenticates otherwise", "client_id=b", { authorization: "Bearer x" }, "invalid_client"],
  ] as const)("refuses a request that %s", async ([, body, headers, error]) => {
    expect(await (await submit("/token", body, headers)).json()).toMatchObject({ error });
  });

  test.for(["other-nonce", "other-state"] as const)(
    "ends a login as another where that is forged: %s",
    async (forgery) => {
      context.forged = forgery;
      const back = await logIn();
      const { nonce } = payloadOf((await exchange(back.searchParams.get("code") ?? ""))["id_token"]) as {
        nonce: string;
      };
      expect([back.searchParams.get("state"), nonce]).toEqual(
        forgery === "other-state" ? ["the statex", "the nonce"] : ["the state", "the noncex"],
      );
    },
  );
});
