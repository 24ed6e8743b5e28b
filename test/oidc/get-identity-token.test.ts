import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { inspect } from "node:util";
import { describe, expect, onTestFinished, test } from "vitest";
import { offlineFetch } from "../../src/http/fetch.ts";
import {
  createContext,
  explainProviders,
  getIdentityToken,
  type IdentityTokenOptions,
} from "../../src/oidc/get-identity-token.ts";
import { containing, json, surroundings } from "./surroundings.ts";
import { EMAIL_CLAIMS, GITHUB_CLAIMS, makeToken, NOW } from "./tokens.ts";

const failing = (details: object): unknown => expect.objectContaining(details);
const TOKEN = makeToken();
const GITHUB = {
  GITHUB_ACTIONS: "true",
  ACTIONS_ID_TOKEN_REQUEST_URL: "https://pipelines.actions.test/idtoken?api-version=2.0",
  ACTIONS_ID_TOKEN_REQUEST_TOKEN: "request-secret",
};
const GITHUB_TOKEN = makeToken(GITHUB_CLAIMS);
const answerGitHub = (): Response => json({ count: 1, value: GITHUB_TOKEN });

describe("getIdentityToken: a token that was given", () => {
  test.for(["RS256", "ES256", "EdDSA", "PS384", "something of 2040"])(
    "takes the token itself, of the algorithm %s",
    async (alg) => {
      const raw = makeToken(EMAIL_CLAIMS, { alg });
      const obtained = await getIdentityToken({ ...surroundings(), identityToken: raw });
      expect(obtained).toMatchObject({ provider: "explicit", token: { raw, subject: "alice@example.com" } });
    },
  );

  test("takes it with white space around it, and asks nothing else", async () => {
    const options = surroundings({ ...GITHUB, SIGSTORE_ID_TOKEN: "other" });
    await expect(getIdentityToken({ ...options, identityToken: `\n ${TOKEN}\r\n` })).resolves.toMatchObject({
      token: { raw: TOKEN },
    });
    expect(options.asked).toEqual([]);
  });

  test("reads it from a file, white space around it and all", async () => {
    const folder = mkdtempSync(join(tmpdir(), "cosign-ts-token-"));
    onTestFinished(() => rmSync(folder, { recursive: true }));
    const path = join(folder, "token");
    writeFileSync(path, `${TOKEN}\n`);
    const obtained = await getIdentityToken({ environment: {}, now: () => NOW, identityToken: path });
    expect(obtained).toMatchObject({ provider: "explicit", token: { raw: TOKEN } });
  });

  test("refuses a file that is larger than any token", async () => {
    const folder = mkdtempSync(join(tmpdir(), "cosign-ts-token-"));
    onTestFinished(() => rmSync(folder, { recursive: true }));
    const path = join(folder, "token");
    writeFileSync(path, "e".repeat(40_000));
    await expect(getIdentityToken({ environment: {}, identityToken: path })).rejects.toThrow(
      failing({ code: "FILE_TOO_LARGE" }),
    );
  });

  test.for([
    ["is empty", "", "IDENTITY_TOKEN_UNAVAILABLE"],
    ["is white space", " \n", "IDENTITY_TOKEN_UNAVAILABLE"],
    ["is the name of no file", "/no/such/file", "IDENTITY_TOKEN_UNAVAILABLE"],
    ["is half a token", TOKEN.slice(0, TOKEN.lastIndexOf(".")), "IDENTITY_TOKEN_MALFORMED"],
    ["is a token that lost its beginning", TOKEN.slice(3), "IDENTITY_TOKEN_UNAVAILABLE"],
    ["is a file that holds no token", "/token/other", "IDENTITY_TOKEN_MALFORMED"],
    ["is a file that holds nothing", "/token/empty", "IDENTITY_TOKEN_MALFORMED"],
    ["has another audience", makeToken({ ...EMAIL_CLAIMS, aud: "other" }), "IDENTITY_TOKEN_AUDIENCE_MISMATCH"],
    ["has expired", makeToken({ ...EMAIL_CLAIMS, exp: 1 }), "IDENTITY_TOKEN_EXPIRED"],
  ] as const)("refuses what %s, and asks nobody else", async ([, identityToken, code]) => {
    const options = surroundings(GITHUB, answerGitHub, { "/token/other": "no token", "/token/empty": " \n" });
    const error = await caught({ ...options, identityToken });
    expect(error).toMatchObject({ code });
    expect(options.asked).toEqual([]);
    if (identityToken.length > 50) expect(inspect(error, { depth: 9 })).not.toContain(identityToken.slice(0, 40));
  });

  test("refuses a token together with a flow that would get another", async () => {
    const options = { ...surroundings(), identityToken: TOKEN };
    await expect(getIdentityToken({ ...options, flow: "token" })).resolves.toMatchObject({ provider: "explicit" });
    await expect(getIdentityToken({ ...options, flow: "device" })).rejects.toThrow(failing({ code: "USAGE_INVALID" }));
  });
});

describe("getIdentityToken: ambient providers", () => {
  test("takes SIGSTORE_ID_TOKEN before all others", async () => {
    const options = surroundings({ ...GITHUB, SIGSTORE_ID_TOKEN: ` ${TOKEN}\n` }, answerGitHub);
    await expect(getIdentityToken(options)).resolves.toMatchObject({ provider: "envvar", token: { raw: TOKEN } });
    expect(options.asked).toEqual([]);
  });

  test("asks them in the order that is given, and no others", async () => {
    const options = surroundings({ ...GITHUB, SIGSTORE_ID_TOKEN: TOKEN }, answerGitHub);
    await expect(getIdentityToken({ ...options, providers: ["github-actions", "envvar"] })).resolves.toMatchObject({
      provider: "github-actions",
    });
    await expect(getIdentityToken({ ...options, provider: "github-actions" })).resolves.toMatchObject({
      provider: "github-actions",
    });
    const none = { ...options, providers: ["filesystem"] };
    await expect(getIdentityToken(none)).rejects.toThrow(failing({ code: "IDENTITY_TOKEN_UNAVAILABLE" }));
  });

  test("asks none where they are disabled", async () => {
    const options = surroundings({ ...GITHUB, SIGSTORE_ID_TOKEN: TOKEN }, answerGitHub);
    await expect(getIdentityToken({ ...options, disableAmbient: true })).rejects.toThrow(
      failing({ code: "IDENTITY_TOKEN_UNAVAILABLE" }),
    );
    expect(options.asked).toEqual([]);
  });

  test.for([
    [{ provider: "google" }],
    [{ providers: ["envvar", "gitlab"] }],
    [{ provider: "envvar", disableAmbient: true }],
    [{ provider: "envvar", flow: "device" }],
  ] as const)("refuses %j", async ([choice]) => {
    await expect(getIdentityToken({ ...surroundings(), ...choice })).rejects.toThrow(
      failing({ code: "USAGE_INVALID" }),
    );
  });

  test("fails when one that is there fails, and names it, though another would do", async () => {
    const options = surroundings({ SIGSTORE_ID_TOKEN: "no token", ...GITHUB }, answerGitHub);
    await expect(getIdentityToken(options)).rejects.toThrow(
      failing({
        code: "IDENTITY_TOKEN_MALFORMED",
        message: containing("identity provider envvar failed"),
      }),
    );
    expect(options.asked).toEqual([]);
  });

  test.for([
    ["malformed", "no token"],
    ["expired", makeToken({ ...EMAIL_CLAIMS, exp: 1 })],
    ["for another audience", makeToken({ ...EMAIL_CLAIMS, aud: "other" })],
  ] as const)("asks the next one when a token is %s, where that is wanted", async ([, raw]) => {
    const options = surroundings({ SIGSTORE_ID_TOKEN: raw, ...GITHUB }, answerGitHub);
    await expect(getIdentityToken({ ...options, fallThrough: true })).resolves.toMatchObject({
      provider: "github-actions",
    });
  });

  test("does not fall through to a person when all that were there have failed", async () => {
    const options = surroundings({ SIGSTORE_ID_TOKEN: "no token" });
    const printed: string[] = [];
    const interaction = { isTerminal: true, print: (line: string) => void printed.push(line) };
    const error = await caught({ ...options, fallThrough: true, interaction, issuer: "https://issuer.test" });
    expect(error).toMatchObject({ code: "IDENTITY_TOKEN_MALFORMED" });
    expect(printed).toEqual([]);
  });

  test("fails when the one that is named is not there, and says why", async () => {
    await expect(getIdentityToken({ ...surroundings(), provider: "spiffe" })).rejects.toThrow(
      failing({ code: "IDENTITY_TOKEN_UNAVAILABLE", found: containing("does not exist") }),
    );
  });

  test("asks a machine's own services past the proxy, but not when it is offline", () => {
    const environment = { HTTPS_PROXY: "http://proxy.test" };
    const fetch = surroundings().fetch!;
    expect(createContext({ environment: {}, fetch }).directFetch).toBe(fetch);
    expect(createContext({ environment, fetch }).directFetch).not.toBe(fetch);
    expect(createContext({ environment, fetch: offlineFetch }).directFetch).toBe(offlineFetch);
  });
});

describe("getIdentityToken: when a person would have to log in", () => {
  const interaction = (isTerminal: boolean): { isTerminal: boolean; lines: string[]; print(line: string): void } => {
    const lines: string[] = [];
    return { isTerminal, lines, print: (line) => void lines.push(line) };
  };

  test("says what there was, where nobody can be asked", async () => {
    await expect(getIdentityToken(surroundings())).rejects.toThrow(
      failing({ code: "IDENTITY_TOKEN_UNAVAILABLE", found: containing("GITHUB_ACTIONS is not set") }),
    );
  });

  test.for([
    ["GitHub Actions", { GITHUB_ACTIONS: "true" }, "permissions: id-token: write"],
    ["GitLab CI/CD", { GITLAB_CI: "true" }, "id_tokens: { SIGSTORE_ID_TOKEN: { aud: sigstore } }"],
    ["CircleCI", { CIRCLECI: "true" }, "context"],
    ["some other CI", { CI: "true" }, undefined],
  ] as const)("does not wait for anybody in a job of %s, but says what to do", async ([, environment, remedy]) => {
    const person = interaction(false);
    const error = await caught({ ...surroundings(environment), interaction: person, issuer: "https://issuer.test" });
    expect(error).toMatchObject({ code: "IDENTITY_TOKEN_UNAVAILABLE" });
    if (remedy !== undefined) expect(error).toMatchObject({ remedy: containing(remedy) });
    expect(person.lines).toEqual([]);
  });

  test("says so, and uses another device, away from a terminal", async () => {
    const person = interaction(false);
    const options = surroundings({}, () => json({ error: "no" }, 404));
    await caught({ ...options, interaction: person, issuer: "https://issuer.test" });
    expect(person.lines).toEqual(["Non-interactive mode detected, using device flow."]);
    expect(options.asked[0]?.url).toBe("https://issuer.test/.well-known/openid-configuration");
  });

  test("says at a terminal why a provider that is there is not used", async () => {
    const person = interaction(true);
    const options = surroundings({ GITHUB_ACTIONS: "true" }, () => json({ error: "no" }, 404));
    await caught({ ...options, interaction: person, issuer: "https://issuer.test" });
    expect(person.lines).toEqual([containing("github-actions is not used")]);
  });

  test("asks no ambient provider when a flow is named", async () => {
    const options = surroundings(GITHUB, ({ url }) => (url.includes("actions") ? answerGitHub() : json({}, 404)));
    await caught({ ...options, flow: "device", interaction: interaction(true), issuer: "https://issuer.test" });
    expect(options.asked.map(({ url }) => new URL(url).host)).toEqual(["issuer.test"]);
  });

  test.for([
    ["the flow is the token, and there is none", { flow: "token" }],
    ["nothing says where", { flow: "device", interaction: interaction(true) }],
    ["nobody can be asked", { flow: "normal", issuer: "https://issuer.test" }],
    ["the client has no secret", { flow: "client_credentials", issuer: "https://issuer.test" }],
  ] as const)("fails where %s", async ([, options]) => {
    await expect(getIdentityToken({ ...surroundings(), ...options })).rejects.toThrow(
      failing({ code: "IDENTITY_TOKEN_UNAVAILABLE" }),
    );
  });
});

describe("explainProviders", () => {
  test("says for each provider, in order, why it is used or skipped, and asks for no token", async () => {
    const options = surroundings(
      { ...GITHUB, GITLAB_CI: "true", BUILDKITE_AGENT_ACCESS_TOKEN: "secret", GOOGLE_SERVICE_ACCOUNT_NAME: "a@b.test" },
      answerGitHub,
      { "/sys/class/dmi/id/product_name": "Standard PC\n" },
    );
    const explained = await explainProviders(options);
    expect(explained.map(({ name, outcome }) => [name, outcome])).toEqual([
      ["envvar", "absent"],
      ["github-actions", "used"],
      ["gitlab-ci", "not-configured"],
      ["circleci", "absent"],
      ["buildkite-agent", "not-configured"],
      ["filesystem", "absent"],
      ["spiffe", "absent"],
      ["google-impersonate", "available"],
      ["google-workload-identity", "absent"],
    ]);
    expect(explained.find(({ name }) => name === "buildkite-agent")?.remedy).toContain("BUILDKITE_JOB_ID");
    expect(options.asked).toEqual([]);
    expect(JSON.stringify(explained)).not.toContain("secret");
  });

  test("says which were not asked", async () => {
    const explained = await explainProviders({ ...surroundings(), provider: "envvar" });
    expect(explained.filter(({ outcome }) => outcome === "not-asked")).toHaveLength(8);
    const disabled = await explainProviders({ ...surroundings(), disableAmbient: true });
    expect(disabled.map(({ reason }) => reason)).toEqual(Array(9).fill("ambient providers are disabled"));
  });
});

async function caught(options: IdentityTokenOptions): Promise<unknown> {
  return await getIdentityToken(options).then(
    () => undefined,
    (error: unknown) => error,
  );
}
