import { createServer, request as httpRequest } from "node:http";
import { connect, type AddressInfo } from "node:net";
import { inspect } from "node:util";
import { describe, expect, onTestFinished, test } from "vitest";
import { logInWithBrowser, OUT_OF_BAND, type BrowserLoginOptions } from "../../src/oidc/browser-login.ts";
import { fakeProvider, ISSUER, METADATA, type Behaviour } from "./fake-provider.ts";
import { containing, json } from "./surroundings.ts";
import { EMAIL_CLAIMS, makeToken } from "./tokens.ts";

const failing = (details: object): unknown => expect.objectContaining(details);

/** Logs in against a provider that behaves in some way; `change` is what the browser brings back. */
async function logIn(
  behaviour: Behaviour = {},
  change: (parameters: URLSearchParams) => void = () => undefined,
  options: Partial<BrowserLoginOptions> = {},
): Promise<{ readonly page: Response | undefined; readonly text: string; readonly result: unknown }> {
  let visit: Promise<Response> | undefined;
  const provider = fakeProvider(behaviour, (redirect) => {
    change(redirect.searchParams);
    visit = fetch(redirect);
    return visit.then(() => undefined);
  });
  const { login, interaction } = provider;
  const result = await logInWithBrowser({ ...login, interaction, loginTimeoutMs: 2000, ...options }).catch(
    (error: unknown) => error,
  );
  const page = await visit?.catch(() => undefined);
  return { page, text: (await page?.text()) ?? "", result };
}

describe("logInWithBrowser (OpenID Connect Core 1.0 §3.1, RFC 7636, RFC 8252)", () => {
  test("asks for a code with PKCE, state and nonce, and exchanges it for the token", async () => {
    const provider = fakeProvider();
    const { login, interaction } = provider;
    const token = await logInWithBrowser({ ...login, interaction, connectorId: "https://github.com/login/oauth" });
    expect(token).toMatchObject({ issuer: ISSUER, subject: "alice@example.com" });

    const parameters = provider.authorization();
    expect(Object.fromEntries(parameters)).toMatchObject({
      response_type: "code",
      client_id: "sigstore",
      scope: "openid email",
      code_challenge_method: "S256",
      connector_id: "https://github.com/login/oauth",
      redirect_uri: expect.stringMatching(/^http:\/\/localhost:\d+\/auth\/callback$/) as unknown,
    });
    for (const name of ["state", "nonce", "code_challenge"])
      expect(parameters.get(name)).toMatch(/^[A-Za-z0-9_-]{43}$/);

    const exchange = provider.asked.at(-1);
    expect(exchange).toMatchObject({ method: "POST", url: METADATA.token_endpoint });
    expect(Object.fromEntries(new URLSearchParams(exchange?.body))).toEqual({
      grant_type: "authorization_code",
      code: "code-secret",
      redirect_uri: parameters.get("redirect_uri"),
      client_id: "sigstore",
      code_verifier: expect.stringMatching(/^[A-Za-z0-9_-]{43}$/) as unknown,
    });
    expect(provider.printed).toEqual([
      "Your browser will now be opened to:",
      containing("https://issuer.test/auth/auth?"),
    ]);
  });

  test("makes other secrets for each login", async () => {
    const seen = new Set<string | null>();
    for (let run = 0; run < 2; run += 1) {
      const { login, interaction, authorization } = fakeProvider();
      await logInWithBrowser({ ...login, interaction });
      for (const name of ["state", "nonce", "code_challenge"]) seen.add(authorization().get(name));
    }
    expect(seen.size).toBe(6);
  });

  test("sends the client's secret in a header, or with the rest where the provider knows only that", async () => {
    const basic = fakeProvider();
    await logInWithBrowser({ ...basic.login, interaction: basic.interaction, clientSecret: "s:e c" });
    expect(basic.asked.at(-1)?.headers.get("authorization")).toBe(
      `Basic ${Buffer.from("sigstore:s%3Ae+c").toString("base64")}`,
    );
    expect(basic.asked.at(-1)?.body).not.toContain("client_secret");
    const post = fakeProvider({ metadata: { token_endpoint_auth_methods_supported: ["client_secret_post"] } });
    await logInWithBrowser({ ...post.login, interaction: post.interaction, clientSecret: "s:e c" });
    expect(post.asked.at(-1)?.headers.get("authorization")).toBeNull();
    expect(new URLSearchParams(post.asked.at(-1)?.body).get("client_secret")).toBe("s:e c");
  });

  test("shows a page that stands alone, and holds the identity and no secret", async () => {
    const { page, text } = await logIn();
    expect(page?.status).toBe(200);
    expect(text).toContain("You are logged in");
    expect(text).toContain("alice@example.com");
    expect(text).not.toMatch(/eyJ|secret|<script|src=|href=|url\(/);
    const policy = page?.headers.get("content-security-policy") ?? "";
    expect(policy).toMatch(/^default-src 'none'; style-src 'sha256-[^']+'; /);
    expect(policy).toContain("frame-ancestors 'none'");
    expect(page?.headers.get("cache-control")).toBe("no-store");
    expect(page?.headers.get("referrer-policy")).toBe("no-referrer");
    expect(page?.headers.get("x-content-type-options")).toBe("nosniff");
  });

  test.for<[string, Behaviour, (parameters: URLSearchParams) => void, string]>([
    [
      "was refused by the person",
      {},
      (p) => {
        p.delete("code");
        p.set("error", "access_denied");
      },
      "LOGIN_FAILED",
    ],
    [
      "ended in an error of the provider",
      {},
      (p) => {
        p.set("error", "server_error");
        p.set("error_description", "out of order");
      },
      "LOGIN_FAILED",
    ],
    ["has no code", {}, (p) => p.delete("code"), "LOGIN_FAILED"],
    ["is of another issuer", {}, (p) => p.set("iss", "https://other.test"), "LOGIN_FAILED"],
    [
      "should name the issuer, and does not",
      { metadata: { authorization_response_iss_parameter_supported: true } },
      () => undefined,
      "LOGIN_FAILED",
    ],
    ["leads to a token with another nonce", { claims: { nonce: "other" } }, () => undefined, "LOGIN_FAILED"],
    ["leads to a token without a nonce", { claims: { nonce: undefined } }, () => undefined, "LOGIN_FAILED"],
    [
      "leads to a token of another issuer",
      { claims: { iss: "https://other.test" } },
      () => undefined,
      "SERVICE_RESPONSE_INVALID",
    ],
    [
      "leads to a token for another client",
      { claims: { aud: "other" } },
      () => undefined,
      "IDENTITY_TOKEN_AUDIENCE_MISMATCH",
    ],
    ["leads to a token that has expired", { claims: { exp: 1 } }, () => undefined, "IDENTITY_TOKEN_EXPIRED"],
    [
      "leads to no identity token",
      { token: () => json({ access_token: "access-secret" }) },
      () => undefined,
      "SERVICE_RESPONSE_INVALID",
    ],
    [
      "leads to a refusal",
      { token: () => json({ error: "invalid_grant" }, 400) },
      () => undefined,
      "OIDC_REQUEST_REFUSED",
    ],
    [
      "leads to something that is no token",
      { token: () => json({ id_token: "e.e.e" }) },
      () => undefined,
      "IDENTITY_TOKEN_MALFORMED",
    ],
  ])("fails when the answer %s, and tells the person so", async ([, behaviour, change, code]) => {
    const { page, text, result } = await logIn(behaviour, change);
    expect(result).toMatchObject({ code });
    expect(page?.status).toBe(400);
    expect(text).toContain("You are not logged in");
    expect(`${text}${inspect(result, { depth: 9 })}`).not.toMatch(/code-secret|access-secret|eyJ/);
  });

  test("takes an answer that names the issuer", async () => {
    const behaviour = { metadata: { authorization_response_iss_parameter_supported: true } };
    const { result } = await logIn(behaviour, (parameters) => parameters.set("iss", ISSUER));
    expect(result).toMatchObject({ subject: "alice@example.com" });
  });

  test("writes what a provider or a visitor says as text", async () => {
    const { text, result } = await logIn({}, (parameters) => {
      parameters.set("error", "server_error");
      parameters.set("error_description", `<img src=x>"'&\u001b[2J ${makeToken()}`);
    });
    expect(text).toContain("&#60;img src=x&#62;&#34;&#39;&#38;");
    expect(text).not.toContain("<img");
    expect(text).not.toContain("\u001b");
    expect(`${text}${inspect(result)}`).not.toContain(makeToken().slice(0, 40));
  });

  test("turns away answers with another state, and goes on waiting for its own", async () => {
    const statuses: number[] = [];
    const { login, interaction } = fakeProvider({}, async (redirect) => {
      const visit = async (change: (url: URL) => void): Promise<void> => {
        const url = new URL(redirect);
        change(url);
        const response = await fetch(url);
        statuses.push(response.status);
        expect(response.headers.get("content-security-policy")).toContain("default-src 'none'");
      };
      await visit((url) => url.searchParams.set("state", "A".repeat(43)));
      await visit((url) => url.searchParams.delete("state"));
      await visit((url) => url.searchParams.append("state", "other"));
      await visit((url) => url.searchParams.append("code", "other"));
      await visit((url) => void (url.pathname = "/favicon.ico"));
      await visit((url) => void (url.pathname = "/auth/callback/"));
      statuses.push((await fetch(redirect, { method: "POST" })).status);
      await visit(() => undefined);
    });
    await expect(logInWithBrowser({ ...login, interaction })).resolves.toMatchObject({ subject: "alice@example.com" });
    expect(statuses.slice(0, 7)).toEqual([400, 400, 400, 400, 404, 404, 405]);
  });

  test("takes one answer only, and says so to whoever comes next", async () => {
    const exchanged = Promise.withResolvers<undefined>();
    const next = Promise.withResolvers<number>();
    const provider = fakeProvider(
      {
        token: async () => {
          exchanged.resolve(undefined);
          await next.promise;
          const nonce = provider.authorization().get("nonce");
          return json({ id_token: makeToken({ ...EMAIL_CLAIMS, iss: ISSUER, nonce }) });
        },
      },
      async (redirect) => {
        const first = fetch(redirect);
        await exchanged.promise;
        next.resolve((await fetch(redirect)).status);
        await first;
      },
    );
    await logInWithBrowser({ ...provider.login, interaction: provider.interaction });
    await expect(next.promise).resolves.toBe(409);
    expect(provider.asked.filter(({ url }) => url === METADATA.token_endpoint)).toHaveLength(1);
  });

  test("ends connections that are open at the end", async () => {
    const closed = Promise.withResolvers<undefined>();
    const { login, interaction } = fakeProvider({}, async (redirect) => {
      const socket = connect({ host: "127.0.0.1", port: Number(redirect.port) });
      socket.once("close", () => closed.resolve(undefined));
      await new Promise((resolve) => {
        socket.once("connect", resolve);
      });
      socket.write("GET / HTTP/1.1\r\nHost:"); // and never says the rest
      await fetch(redirect);
    });
    await logInWithBrowser({ ...login, interaction });
    await expect(closed.promise).resolves.toBeUndefined();
  });

  test("answers nobody who comes by another name, as after a rebinding of DNS", async () => {
    let status: number | undefined;
    const { login, interaction } = fakeProvider({}, async (redirect) => {
      status = await new Promise<number | undefined>((resolve) => {
        const request = httpRequest(redirect, { headers: { host: `evil.test:${redirect.port}` } }, (response) => {
          response.resume();
          resolve(response.statusCode);
        });
        request.end();
      });
      await fetch(redirect);
    });
    await logInWithBrowser({ ...login, interaction });
    expect(status).toBe(421);
  });

  test("listens on loopback only, in both families where there are two, and no longer than the login", async () => {
    const reachable: string[] = [];
    const { login, interaction, authorization } = fakeProvider({}, async (redirect) => {
      for (const host of ["127.0.0.1", "::1", "127.0.0.2"])
        if (await isReachable(host, Number(redirect.port))) reachable.push(host);
      await fetch(redirect);
    });
    await logInWithBrowser({ ...login, interaction });
    expect(reachable).toContain("127.0.0.1");
    expect(reachable).not.toContain("127.0.0.2");
    const port = Number(new URL(authorization().get("redirect_uri") ?? "").port);
    await expect(isReachable("127.0.0.1", port)).resolves.toBe(false);
    await expect(isReachable("::1", port)).resolves.toBe(false);
  });

  test("comes back where it is told to", async () => {
    const port = await freePort();
    const redirectUrl = `http://127.0.0.1:${port}/done`;
    const { login, interaction, authorization } = fakeProvider();
    await logInWithBrowser({ ...login, interaction, redirectUrl });
    expect(authorization().get("redirect_uri")).toBe(redirectUrl);
  });

  test.for([
    "https://localhost/callback",
    "http://service.test/callback",
    "http://0.0.0.0:0/callback",
    "http://localhost.evil.test/callback",
    "http://user@localhost/callback",
    "http://localhost:0/callback?a=b",
    "callback",
  ])("does not come back to %s", async (redirectUrl) => {
    const { login, interaction } = fakeProvider();
    await expect(logInWithBrowser({ ...login, interaction, redirectUrl })).rejects.toThrow(
      failing({ code: "URL_INVALID" }),
    );
  });

  test("says that a port is taken", async () => {
    const server = createServer();
    await new Promise<void>((resolve) => {
      server.listen(0, "127.0.0.1", resolve);
    });
    onTestFinished(() => void server.close());
    const redirectUrl = `http://127.0.0.1:${(server.address() as AddressInfo).port}/`;
    const { login, interaction } = fakeProvider();
    await expect(logInWithBrowser({ ...login, interaction, redirectUrl })).rejects.toThrow(
      failing({ code: "ADDRESS_IN_USE" }),
    );
  });

  test("does not wait for a person for ever, and stops listening", async () => {
    const { login, interaction, authorization } = fakeProvider({}, () => Promise.resolve());
    await expect(logInWithBrowser({ ...login, interaction, loginTimeoutMs: 20 })).rejects.toThrow(
      failing({ code: "LOGIN_FAILED", message: containing("in time") }),
    );
    const port = Number(new URL(authorization().get("redirect_uri") ?? "").port);
    await expect(isReachable("127.0.0.1", port)).resolves.toBe(false);
  });

  test("ends with the caller's signal, and stops listening", async () => {
    const controller = new AbortController();
    const { login, interaction, authorization } = fakeProvider({}, () => {
      controller.abort(new Error("enough"));
      return Promise.resolve();
    });
    const request = { ...login.request, signal: controller.signal };
    await expect(logInWithBrowser({ ...login, request, interaction })).rejects.toThrow("enough");
    const port = Number(new URL(authorization().get("redirect_uri") ?? "").port);
    await expect(isReachable("127.0.0.1", port)).resolves.toBe(false);
  });

  test("opens no browser away from a terminal, but shows the address and waits", async () => {
    const provider = fakeProvider();
    const opened: string[] = [];
    const interaction = {
      isTerminal: false,
      openBrowser: (url: string) => Promise.resolve(void opened.push(url)),
      // A person copies the address.
      print: (line: string) => {
        if (line.startsWith("https:")) void provider.interaction.openBrowser?.(line);
      },
    };
    await expect(logInWithBrowser({ ...provider.login, interaction })).resolves.toMatchObject({ issuer: ISSUER });
    expect(opened).toEqual([]);
  });

  test("asks for the code that the page shows where no browser can be opened", async () => {
    const provider = fakeProvider({}, () => Promise.resolve());
    const interaction = {
      ...provider.interaction,
      openBrowser: () => Promise.reject(new Error("no \u001b[2J display")),
      prompt: (question: string) => {
        provider.printed.push(question);
        const link = provider.printed.findLast((line) => line.startsWith("https:")) ?? "";
        expect(new URL(link).searchParams.get("redirect_uri")).toBe(OUT_OF_BAND);
        void provider.interaction.openBrowser?.(link);
        return Promise.resolve(" typed-code\n");
      },
    };
    await expect(logInWithBrowser({ ...provider.login, interaction })).resolves.toMatchObject({ issuer: ISSUER });
    const form = new URLSearchParams(provider.asked.at(-1)?.body);
    expect([form.get("code"), form.get("redirect_uri")]).toEqual(["typed-code", OUT_OF_BAND]);
    expect(provider.printed.join("\n")).toContain(String.raw`Could not open a browser (no \u001b[2J display)`);
  });

  test("answers nobody at the first link once it has asked for a code", async () => {
    const provider = fakeProvider({}, () => Promise.resolve());
    let answered: unknown = "not asked";
    const interaction = {
      ...provider.interaction,
      openBrowser: () => Promise.reject(new Error("no display")),
      prompt: async () => {
        const first = provider.printed.find((line) => line.startsWith("https:")) ?? "";
        const address = new URL(first).searchParams.get("redirect_uri") ?? "";
        answered = await fetch(address).catch(() => "nobody");
        return "typed-code";
      },
    };
    await logInWithBrowser({ ...provider.login, interaction }).catch(() => undefined);
    expect(answered).toBe("nobody");
  });

  test("says that the code was wrong, with the provider's words", async () => {
    const refusal = { error: "invalid_grant", error_description: "no such code" };
    const { login, interaction } = fakeProvider({ token: () => json(refusal, 400) });
    const typing = { ...interaction, prompt: () => Promise.resolve("wrong") };
    await expect(logInWithBrowser({ ...login, interaction: typing, redirectUrl: OUT_OF_BAND })).rejects.toThrow(
      failing({
        code: "LOGIN_FAILED",
        message: containing("no such code"),
        remedy: containing("as the page shows it"),
      }),
    );
  });

  test("takes no empty code", async () => {
    const { login, interaction } = fakeProvider();
    const silent = { ...interaction, prompt: () => Promise.resolve("\n") };
    await expect(logInWithBrowser({ ...login, interaction: silent, redirectUrl: OUT_OF_BAND })).rejects.toThrow(
      failing({ code: "LOGIN_FAILED" }),
    );
    await expect(logInWithBrowser({ ...login, interaction, redirectUrl: OUT_OF_BAND })).rejects.toThrow(
      failing({ code: "LOGIN_FAILED" }),
    );
  });

  test.for([
    ["does not support PKCE", { code_challenge_methods_supported: ["plain"] }],
    ["says nothing of PKCE", { code_challenge_methods_supported: undefined }],
    ["has no page to log in", { authorization_endpoint: undefined }],
  ] as const)("refuses a provider that %s", async ([, metadata]) => {
    const { login, interaction } = fakeProvider({ metadata });
    await expect(logInWithBrowser({ ...login, interaction })).rejects.toThrow(failing({ code: "LOGIN_FAILED" }));
  });
});

async function isReachable(host: string, port: number): Promise<boolean> {
  return await new Promise<boolean>((resolve) => {
    const socket = connect({ host, port });
    socket.once("connect", () => {
      socket.destroy();
      resolve(true);
    });
    socket.once("error", () => resolve(false));
  });
}

async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => {
    server.listen(0, "127.0.0.1", resolve);
  });
  const { port } = server.address() as AddressInfo;
  await new Promise<void>((resolve) => {
    server.close(() => resolve());
  });
  return port;
}
