import { describe, expect, test } from "vitest";
import { preflightIdentity } from "../../src/oidc/preflight.ts";
import { containing, json, surroundings } from "./surroundings.ts";
import { EMAIL_CLAIMS, GITHUB_CLAIMS, makeToken, NOW } from "./tokens.ts";

const failing = (details: object): unknown => expect.objectContaining(details);
const GITHUB = {
  GITHUB_ACTIONS: "true",
  ACTIONS_ID_TOKEN_REQUEST_URL: "https://pipelines.actions.test/idtoken?api-version=2.0",
  ACTIONS_ID_TOKEN_REQUEST_TOKEN: "request-secret",
};
const levels = ({ findings }: Awaited<ReturnType<typeof preflightIdentity>>): object =>
  Object.fromEntries(findings.map(({ name, level }) => [name, level]));

describe("preflightIdentity", () => {
  test("finds a job of GitHub Actions ready, with what npm wants to know", async () => {
    const raw = makeToken(GITHUB_CLAIMS);
    const result = await preflightIdentity(surroundings(GITHUB, () => json({ value: raw })));
    expect(result).toMatchObject({
      isReady: true,
      source: "github-actions",
      token: { subject: GITHUB_CLAIMS.sub },
      github: {
        repository: "octo-org/octo-repo",
        repositoryVisibility: "public",
        runnerEnvironment: "github-hosted",
        isReusableWorkflow: true,
        npmProvenanceProblems: [],
      },
    });
    expect(levels(result)).toEqual({ source: "ok", audience: "ok", expiry: "ok", subject: "ok" });
    expect(JSON.stringify(result)).not.toContain(raw.slice(0, 30));
  });

  test.for([
    ["a runner of one's own", { runner_environment: "self-hosted" }, "self-hosted"],
    ["a private repository", { repository_visibility: "private" }, "private"],
    ["an internal repository", { repository_visibility: "internal" }, "internal"],
    ["a token that does not say on what it runs", { runner_environment: undefined }, "unknown"],
  ] as const)("says what npm will have against %s", async ([, change, word]) => {
    const raw = makeToken({ ...GITHUB_CLAIMS, ...change });
    const { github, isReady } = await preflightIdentity({ ...surroundings(), identityToken: raw });
    expect(github?.npmProvenanceProblems).toEqual([containing(word)]);
    expect(isReady).toBe(true); // signing itself works
  });

  test.for([
    ["another audience", { aud: "other" }, { audience: "error", expiry: "ok" }, false],
    ["a time of expiry that is past", { exp: 1 }, { audience: "ok", expiry: "error" }, false],
    ["a time of expiry that is near", { exp: NOW.getTime() / 1000 + 30 }, { expiry: "warning" }, true],
    ["both", { aud: "other", exp: 1 }, { audience: "error", expiry: "error" }, false],
    ["a validity yet to come", { nbf: NOW.getTime() / 1000 + 1000 }, { audience: "ok", expiry: "error" }, false],
    ["an address that is not verified", { email_verified: false }, { email: "warning" }, true],
  ] as const)("finds each fault of a token with %s", async ([, change, expected, isReady]) => {
    const raw = makeToken({ ...EMAIL_CLAIMS, ...change });
    const result = await preflightIdentity({ ...surroundings({ SIGSTORE_ID_TOKEN: raw }) });
    expect(levels(result)).toMatchObject(expected);
    expect(result.isReady).toBe(isReady);
    expect(result.github).toBeUndefined();
  });

  test("wants the token to live as long as it is needed", async () => {
    const options = { ...surroundings(), identityToken: makeToken(), minimumLifetimeMs: 90_000 };
    await expect(preflightIdentity(options)).resolves.toMatchObject({ isReady: false });
  });

  test("tells where no token can come from, and what to do", async () => {
    const result = await preflightIdentity(surroundings({ GITHUB_ACTIONS: "true" }));
    expect(result).toMatchObject({
      isReady: false,
      findings: [
        { name: "source", level: "error", code: "IDENTITY_TOKEN_UNAVAILABLE", remedy: containing("id-token: write") },
      ],
    });
  });

  test("asks no person, but says that one will be asked", async () => {
    const options = surroundings();
    const interaction = { isTerminal: true, print: () => undefined };
    const result = await preflightIdentity({ ...options, interaction, issuer: "https://issuer.test" });
    expect(result).toMatchObject({ isReady: true, source: "normal", findings: [{ level: "warning" }] });
    expect(options.asked).toEqual([]);
  });

  test("refuses options that contradict one another", async () => {
    const options = { ...surroundings(), provider: "envvar", disableAmbient: true };
    await expect(preflightIdentity(options)).rejects.toThrow(failing({ code: "USAGE_INVALID" }));
  });
});
