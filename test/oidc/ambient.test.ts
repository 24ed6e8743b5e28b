import { inspect } from "node:util";
import { describe, expect, test } from "vitest";
import { explainProviders, getIdentityToken, type IdentityTokenOptions } from "../../src/oidc/get-identity-token.ts";
import { containing, json, surroundings, type Answering } from "./surroundings.ts";
import { EMAIL_CLAIMS, GITHUB_CLAIMS, makeToken } from "./tokens.ts";

const TOKEN = makeToken(GITHUB_CLAIMS);
const SECRET = "a-secret-of-the-job";
const failing = (details: object): unknown => expect.objectContaining(details);
const failure = (options: IdentityTokenOptions): Promise<unknown> =>
  getIdentityToken(options).then(
    () => undefined,
    (error: unknown) => error,
  );

describe("github-actions", () => {
  const ENVIRONMENT = {
    GITHUB_ACTIONS: "true",
    ACTIONS_ID_TOKEN_REQUEST_URL: "https://run.actions.test/12/idtoken?api-version=2.0",
    ACTIONS_ID_TOKEN_REQUEST_TOKEN: SECRET,
  };

  test("asks for a token of the audience, with the job's credential", async () => {
    const options = surroundings(ENVIRONMENT, () => json({ count: 1, value: TOKEN }));
    await expect(getIdentityToken(options)).resolves.toMatchObject({
      provider: "github-actions",
      token: { raw: TOKEN },
    });
    expect(options.asked).toHaveLength(1);
    const [asked] = options.asked;
    expect(asked?.method).toBe("GET");
    expect(asked?.url).toBe("https://run.actions.test/12/idtoken?api-version=2.0&audience=sigstore");
    expect(asked?.headers.get("authorization")).toBe(`bearer ${SECRET}`);
  });

  test("asks for an audience of any characters, and for no other parameter with it", async () => {
    const audience = "a b&c=d#e";
    const raw = makeToken({ ...GITHUB_CLAIMS, aud: audience });
    const options = surroundings(ENVIRONMENT, () => json({ value: raw }));
    await getIdentityToken({ ...options, audience });
    const { searchParams } = new URL(options.asked[0]?.url ?? "");
    expect([...searchParams]).toEqual([
      ["api-version", "2.0"],
      ["audience", audience],
    ]);
  });

  test("tries three times", async () => {
    let left = 2;
    const options = surroundings(ENVIRONMENT, () => (left-- > 0 ? json({}, 503) : json({ value: TOKEN })));
    await expect(getIdentityToken(options)).resolves.toMatchObject({ token: { raw: TOKEN } });
    const never = surroundings(ENVIRONMENT, () => json({ message: "busy" }, 503));
    expect(await failure(never)).toMatchObject({ code: "HTTP_STATUS_UNEXPECTED", status: 503, attempts: 3 });
    expect(never.asked).toHaveLength(3);
  });

  test.for<[string, Answering, string]>([
    ["a refusal", () => json({ message: "no permission" }, 403), "OIDC_REQUEST_REFUSED"],
    ["a refusal with a token in it", () => json({ message: `not ${TOKEN}` }, 401), "OIDC_REQUEST_REFUSED"],
    ["a page in place of JSON", () => new Response("<html>"), "SERVICE_RESPONSE_INVALID"],
    ["JSON that breaks off in the token", () => new Response(`{"value":"${TOKEN}`), "SERVICE_RESPONSE_INVALID"],
    ["a list", () => json([TOKEN]), "SERVICE_RESPONSE_INVALID"],
    ["no value", () => json({ count: 0 }), "SERVICE_RESPONSE_INVALID"],
    ["a value that is no text", () => json({ value: { token: TOKEN } }), "SERVICE_RESPONSE_INVALID"],
    ["two values", () => new Response(`{"value":"${TOKEN}","value":"x"}`), "SERVICE_RESPONSE_INVALID"],
    ["a value that is no token", () => json({ value: "abc" }), "IDENTITY_TOKEN_MALFORMED"],
    ["an endless answer", () => new Response("x".repeat(300 * 1024)), "HTTP_RESPONSE_TOO_LARGE"],
    [
      "a redirect to another host",
      () => new Response("", { status: 307, headers: { location: "https://evil.test/" } }),
      "HTTP_REQUEST_FAILED",
    ],
  ])("refuses %s, and says nothing that is secret", async ([, answer, code]) => {
    const options = surroundings(ENVIRONMENT, answer);
    const error = await failure(options);
    expect(error).toMatchObject({ code, message: containing("github-actions") });
    expect(inspect(error, { depth: 9 })).not.toContain(SECRET);
    expect(inspect(error, { depth: 9 })).not.toContain(TOKEN.slice(0, 30));
    expect(options.asked.every(({ url }) => url.startsWith("https://run.actions.test/"))).toBe(true);
  });

  test.for(["ACTIONS_ID_TOKEN_REQUEST_URL", "ACTIONS_ID_TOKEN_REQUEST_TOKEN"])(
    "says which permission a job lacks that has no %s",
    async (name) => {
      const options = surroundings({ ...ENVIRONMENT, [name]: "" });
      expect(await failure({ ...options, provider: "github-actions" })).toMatchObject({
        code: "IDENTITY_TOKEN_UNAVAILABLE",
        found: containing(name),
        remedy: containing("id-token: write"),
      });
    },
  );
});

describe("gitlab-ci", () => {
  test("leaves the token to envvar", async () => {
    const options = surroundings({ GITLAB_CI: "true", SIGSTORE_ID_TOKEN: TOKEN });
    await expect(getIdentityToken(options)).resolves.toMatchObject({ provider: "envvar" });
  });

  test("says what to write into the pipeline, for the audience in hand", async () => {
    const explained = await explainProviders({ ...surroundings({ GITLAB_CI: "true" }), audience: "own" });
    expect(explained.find(({ name }) => name === "gitlab-ci")?.remedy).toContain("SIGSTORE_ID_TOKEN: { aud: own }");
  });
});

describe("circleci", () => {
  const aud = (audience: string): string =>
    makeToken({ ...EMAIL_CLAIMS, aud: audience, iss: "https://oidc.circleci.com/org/o" });

  test("takes the second version of the token before the first", async () => {
    const environment = { CIRCLECI: "true", CIRCLE_OIDC_TOKEN: "v1", CIRCLE_OIDC_TOKEN_V2: aud("sigstore") };
    await expect(getIdentityToken(surroundings(environment))).resolves.toMatchObject({ provider: "circleci" });
    const old = { CIRCLECI: "true", CIRCLE_OIDC_TOKEN: aud("sigstore") };
    await expect(getIdentityToken(surroundings(old))).resolves.toMatchObject({ provider: "circleci" });
  });

  test("says that the usual token is for the organization, and how to make another", async () => {
    const environment = { CIRCLECI: "true", CIRCLE_OIDC_TOKEN_V2: aud("7f4f") };
    expect(await failure(surroundings(environment))).toMatchObject({
      code: "IDENTITY_TOKEN_AUDIENCE_MISMATCH",
      expected: "sigstore",
      found: "7f4f",
      remedy: containing(`circleci run oidc get --claims '{"aud":"sigstore"}'`),
    });
  });
});

describe("buildkite-agent", () => {
  const ENVIRONMENT = { BUILDKITE_AGENT_ACCESS_TOKEN: SECRET, BUILDKITE_JOB_ID: "0184/9a" };

  test("asks the agent API for a token of the job", async () => {
    const options = surroundings(ENVIRONMENT, () => json({ token: TOKEN }));
    await expect(getIdentityToken(options)).resolves.toMatchObject({
      provider: "buildkite-agent",
      token: { raw: TOKEN },
    });
    const [asked] = options.asked;
    expect(asked).toMatchObject({
      method: "POST",
      url: "https://agent.buildkite.com/v3/jobs/0184%2F9a/oidc/tokens",
      body: '{"audience":"sigstore"}',
    });
    expect(asked?.headers.get("authorization")).toBe(`Token ${SECRET}`);
    expect(asked?.headers.get("content-type")).toBe("application/json");
  });

  test("asks where the agent says", async () => {
    const environment = { ...ENVIRONMENT, BUILDKITE_AGENT_ENDPOINT: "https://agent.test/v9/" };
    const options = surroundings(environment, () => json({ token: TOKEN }, 201));
    await getIdentityToken(options);
    expect(options.asked[0]?.url).toBe("https://agent.test/v9/jobs/0184%2F9a/oidc/tokens");
  });

  test("fails with the words of a refusal", async () => {
    const options = surroundings(ENVIRONMENT, () => json({ message: "job is finished" }, 422));
    expect(await failure(options)).toMatchObject({
      code: "OIDC_REQUEST_REFUSED",
      status: 422,
      message: containing("job is finished"),
    });
  });
});

describe("an address to which a credential of the job is sent", () => {
  const OF: readonly (readonly [provider: string, variable: string, environment: Record<string, string>])[] = [
    ["github-actions", "ACTIONS_ID_TOKEN_REQUEST_URL", { ACTIONS_ID_TOKEN_REQUEST_TOKEN: SECRET }],
    ["buildkite-agent", "BUILDKITE_AGENT_ENDPOINT", { BUILDKITE_AGENT_ACCESS_TOKEN: SECRET, BUILDKITE_JOB_ID: "0184" }],
  ];
  const answer: Answering = () => json({ value: TOKEN, token: TOKEN });

  test.for(
    OF.flatMap((of) =>
      ["http://runner.test/token", "http://10.0.0.1/", "ftp://127.0.0.1/", "runner"].map(
        (url) => [...of, url] as const,
      ),
    ),
  )("of %s is refused in %s before anything is sent (%#)", async ([provider, name, environment, url]) => {
    const options = surroundings({ ...environment, [name]: url }, answer);
    expect(await failure(options)).toMatchObject({
      code: "URL_INVALID",
      message: containing(`identity provider ${provider} failed: ${name} is not `),
      expected: containing("https://"),
    });
    expect(options.asked).toEqual([]);
    const explained = (await explainProviders(options)).find((one) => one.name === provider);
    expect(explained).toMatchObject({ outcome: "failed", reason: containing(name) });
  });

  test.for(OF.flatMap((of) => ["http://127.0.0.1:8080/", "http://localhost/"].map((url) => [...of, url] as const)))(
    "of %s may be on this machine (%#)",
    async ([provider, name, environment, url]) => {
      const options = surroundings({ ...environment, [name]: url }, answer);
      await expect(getIdentityToken(options)).resolves.toMatchObject({ provider });
    },
  );
});

describe("filesystem", () => {
  const PATH = "/var/run/sigstore/cosign/oidc-token";

  test("reads the file, white space around the token and all", async () => {
    const options = surroundings({}, undefined, { [PATH]: `${TOKEN}\n` });
    await expect(getIdentityToken(options)).resolves.toMatchObject({ provider: "filesystem", token: { raw: TOKEN } });
  });

  test("fails on a file that holds no token", async () => {
    const options = surroundings({}, undefined, { [PATH]: "" });
    expect(await failure(options)).toMatchObject({ code: "IDENTITY_TOKEN_MALFORMED" });
  });
});

describe("google-workload-identity", () => {
  const FLAVOR = { "metadata-flavor": "Google" };
  const PRODUCT = { "/sys/class/dmi/id/product_name": "Google Compute Engine\n" };
  const answer: Answering = ({ url, headers }) => {
    if (headers.get("metadata-flavor") !== "Google") return new Response("", { status: 403 });
    return new Response(url.includes("/identity") ? TOKEN : "svc@p.iam.gserviceaccount.com", { headers: FLAVOR });
  };

  test("asks the metadata server, by number, for a token in full", async () => {
    const options = surroundings({}, answer, PRODUCT);
    await expect(getIdentityToken(options)).resolves.toMatchObject({
      provider: "google-workload-identity",
      token: { raw: TOKEN },
    });
    expect(options.asked.map(({ url }) => url)).toEqual([
      "http://169.254.169.254/computeMetadata/v1/instance/service-accounts/default/email",
      "http://169.254.169.254/computeMetadata/v1/instance/service-accounts/default/identity?audience=sigstore&format=full",
    ]);
    expect(options.asked.every(({ headers }) => headers.get("metadata-flavor") === "Google")).toBe(true);
  });

  test("asks the server that GCE_METADATA_HOST names", async () => {
    const options = surroundings({ GCE_METADATA_HOST: "127.0.0.1:8080" }, answer);
    await getIdentityToken(options);
    expect(new Set(options.asked.map(({ url }) => new URL(url).host))).toEqual(new Set(["127.0.0.1:8080"]));
  });

  test("asks past the proxy", async () => {
    const { fetch: viaProxy, ...options } = surroundings({ GCE_METADATA_HOST: "127.0.0.1:8080" }, answer);
    const proxied = surroundings();
    await getIdentityToken({ ...options, fetch: proxied.fetch });
    expect(viaProxy).toBeDefined();
    expect(proxied.asked).toEqual([]);
  });

  test.for(["a/../b", "host/path", "user@host", "host:port", "host?q", "a b"])("refuses the host %j", async (host) => {
    const options = surroundings({ GCE_METADATA_HOST: host }, answer);
    expect(await failure(options)).toMatchObject({ code: "URL_INVALID" });
    expect(options.asked).toEqual([]);
  });

  test("is not there on a machine without a service account", async () => {
    const options = surroundings({}, () => new Response("", { status: 404, headers: FLAVOR }), PRODUCT);
    expect(await failure(options)).toMatchObject({
      code: "IDENTITY_TOKEN_UNAVAILABLE",
      found: containing("no service account"),
    });
  });

  test("refuses what answers without the header of a metadata server", async () => {
    const options = surroundings({}, () => new Response(TOKEN), PRODUCT);
    expect(await failure(options)).toMatchObject({ code: "SERVICE_RESPONSE_INVALID" });
  });

  test("is not asked on another machine", async () => {
    const options = surroundings({}, answer, { "/sys/class/dmi/id/product_name": "Googleplex\n" });
    expect(await failure(options)).toMatchObject({ code: "IDENTITY_TOKEN_UNAVAILABLE" });
    expect(options.asked).toEqual([]);
  });
});

describe("google-impersonate", () => {
  const ACCOUNT = "release@project.iam.gserviceaccount.com";
  const ENVIRONMENT = { GOOGLE_SERVICE_ACCOUNT_NAME: ACCOUNT, CLOUDSDK_AUTH_ACCESS_TOKEN: SECRET };

  test("asks for a token with the account's address in it", async () => {
    const options = surroundings(ENVIRONMENT, () => json({ token: TOKEN }));
    await expect(getIdentityToken(options)).resolves.toMatchObject({ provider: "google-impersonate" });
    const [asked] = options.asked;
    expect(asked?.url).toBe(
      "https://iamcredentials.googleapis.com/v1/projects/-/serviceAccounts/release%40project.iam.gserviceaccount.com:generateIdToken",
    );
    expect(JSON.parse(asked?.body ?? "")).toEqual({ audience: "sigstore", includeEmail: true });
    expect(asked?.headers.get("authorization")).toBe(`Bearer ${SECRET}`);
  });

  test("impersonates as the machine's account where no other credential is given", async () => {
    const flavor = { "metadata-flavor": "Google" };
    const options = surroundings(
      { GOOGLE_SERVICE_ACCOUNT_NAME: ACCOUNT, GCE_METADATA_HOST: "metadata.test" },
      ({ url }) =>
        url.includes("metadata.test")
          ? json({ access_token: SECRET, expires_in: 9 }, 200, flavor)
          : json({ token: TOKEN }),
    );
    await getIdentityToken({ ...options, provider: "google-impersonate" });
    expect(options.asked[1]?.headers.get("authorization")).toBe(`Bearer ${SECRET}`);
  });

  test.for([
    ["nobody to impersonate it", { GOOGLE_SERVICE_ACCOUNT_NAME: ACCOUNT }, "IDENTITY_TOKEN_UNAVAILABLE"],
    [
      "a file of credentials alone",
      { GOOGLE_SERVICE_ACCOUNT_NAME: ACCOUNT, GOOGLE_APPLICATION_CREDENTIALS: "/f" },
      "IDENTITY_TOKEN_UNAVAILABLE",
    ],
    ["a name that is a path", { ...ENVIRONMENT, GOOGLE_SERVICE_ACCOUNT_NAME: "../x" }, "USAGE_INVALID"],
  ] as const)("fails with %s", async ([, environment, code]) => {
    const options = surroundings(environment);
    expect(await failure(options)).toMatchObject({ code });
    expect(options.asked).toEqual([]);
  });

  test("fails with the words of a refusal, without the credential", async () => {
    const options = surroundings(ENVIRONMENT, () => json({ error: { message: "denied", code: 403 } }, 403));
    const error = await failure(options);
    expect(error).toEqual(failing({ code: "OIDC_REQUEST_REFUSED", status: 403 }));
    expect(inspect(error, { depth: 9 })).not.toContain(SECRET);
  });
});
