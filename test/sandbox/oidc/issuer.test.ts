import { createPublicKey, verify, type webcrypto } from "node:crypto";
import { beforeAll, describe, expect, test } from "vitest";
import { createOidcIssuer, type OidcIssuer } from "../../../src/sandbox/oidc/issuer.ts";
import { createMemoryStore } from "../../../src/sandbox/store.ts";
import { get, URLS } from "../identity-services.ts";
import { START, testContext, type TestContext } from "../service-context.ts";

type Json = Readonly<Record<string, unknown>>;
const jsonOf = async (response: Response): Promise<Json> => (await response.json()) as Json;
const payloadOf = (token: string): Json =>
  JSON.parse(Buffer.from(token.split(".")[1] ?? "", "base64url").toString()) as Json;
const headerOf = (token: string): Json =>
  JSON.parse(Buffer.from(token.split(".")[0] ?? "", "base64url").toString()) as Json;

/** Checks a signature as RFC 7515 §5.2 says, with the key that the header names. */
async function isSigned(issuer: OidcIssuer, token: string): Promise<boolean> {
  const { keys } = (await jsonOf(await get(issuer, `${URLS.oidc}/keys`))) as {
    keys: (webcrypto.JsonWebKey & { kid: string })[];
  };
  const { kid, alg } = headerOf(token);
  const jwk = keys.find((key) => key.kid === kid);
  if (jwk === undefined) return false;
  const [header, payload, signature = ""] = token.split(".");
  const key = createPublicKey({ key: jwk, format: "jwk" });
  const input = Buffer.from(`${header}.${payload}`);
  const options = alg === "ES256" ? { key, dsaEncoding: "ieee-p1363" as const } : { key };
  return verify("sha256", input, options, Buffer.from(signature, "base64url"));
}

const SECONDS = START.getTime() / 1000;

describe("createOidcIssuer", () => {
  let context: TestContext;
  let issuer: OidcIssuer;
  beforeAll(async () => {
    context = testContext(URLS.oidc);
    issuer = await createOidcIssuer(context);
  });

  const mint = async (query: string): Promise<string> => await (await get(issuer, URLS.oidc + query)).text();

  test.for([
    ["", "dev@example.com"],
    ["/github", "repo:acme/app:ref:refs/heads/main"],
    ["/gitlab", "project_path:acme/app:ref_type:branch:ref:main"],
  ])('is the issuer "%s", whose tokens are valid now and signed with RS256', async ([path, subject]) => {
    const token = await mint(`${path}/token`);
    expect(headerOf(token)).toMatchObject({ alg: "RS256", typ: "JWT" });
    expect(payloadOf(token)).toMatchObject({
      iss: URLS.oidc + path,
      aud: "sigstore",
      sub: subject,
      iat: SECONDS,
      exp: SECONDS + 600,
    });
    expect(await isSigned(issuer, token)).toBe(true);
  });

  test("describes each issuer, with PKCE", async () => {
    expect(await jsonOf(await get(issuer, `${URLS.oidc}/github/.well-known/openid-configuration`))).toMatchObject({
      issuer: `${URLS.oidc}/github`,
      authorization_endpoint: `${URLS.oidc}/github/auth`,
      token_endpoint: `${URLS.oidc}/github/token`,
      device_authorization_endpoint: `${URLS.oidc}/github/device/code`,
      jwks_uri: `${URLS.oidc}/github/keys`,
      id_token_signing_alg_values_supported: ["RS256", "ES256"],
      code_challenge_methods_supported: ["S256"],
    });
  });

  test("publishes public keys only", async () => {
    const { keys } = (await jsonOf(await get(issuer, `${URLS.oidc}/keys`))) as { keys: Json[] };
    expect(keys.map(({ kty, alg, use }) => [kty, alg, use])).toEqual([
      ["RSA", "RS256", "sig"],
      ["EC", "ES256", "sig"],
    ]);
    expect(keys.flatMap((key) => Object.keys(key))).not.toContain("d");
  });

  test.for([
    [
      "text stays text",
      "?email_verified=false&email=a@b.example",
      { email: "a@b.example", email_verified: "false", sub: "a@b.example" },
    ],
    ["times become numbers", "?exp=1&nbf=2", { exp: 1, nbf: 2 }],
    ["the audience can be another", "?aud=other", { aud: "other" }],
    ["claims can be added", "?more=1&__proto__=x", { more: "1" }],
  ] as const)("replaces claims: %s", async ([, query, expected]) => {
    expect(payloadOf(await mint(`/token${query}`))).toMatchObject(expected);
  });

  test("keeps a claim a number that is one", async () => {
    expect(payloadOf(await mint("/gitlab/token?runner_id=12"))).toMatchObject({ runner_id: 12 });
    expect((await get(issuer, `${URLS.oidc}/token?exp=soon`)).status).toBe(400);
    expect((await get(issuer, `${URLS.oidc}/token?exp=`)).status).toBe(400);
  });

  test("signs with ES256 where that is asked for", async () => {
    const token = await issuer.mintToken("email", {}, "ES256");
    expect(headerOf(token)).toMatchObject({ alg: "ES256" });
    expect(await isSigned(issuer, token)).toBe(true);
  });

  test("follows its clock", async () => {
    context.time = new Date(START.getTime() + 1_000_000);
    expect(payloadOf(await mint("/token"))).toMatchObject({ iat: SECONDS + 1000 });
    context.time = START;
  });

  test("signs with a key that is not its own where that is forged, under a name that is", async () => {
    context.forged = "wrong-key";
    const token = await mint("/token");
    context.forged = undefined;
    const { keys } = (await jsonOf(await get(issuer, `${URLS.oidc}/keys`))) as { keys: Json[] };
    expect(keys.map(({ kid }) => kid)).toContain(headerOf(token)["kid"]);
    expect(await isSigned(issuer, token)).toBe(false);
  });

  test("does not know other paths", async () => {
    expect((await get(issuer, `${URLS.oidc}/other/token`)).status).toBe(404);
  });
});

describe("the keys of createOidcIssuer", () => {
  const ES256 = { algorithms: ["ES256"] } as const;

  test("are the same when the store is opened again", async () => {
    const context = testContext(URLS.oidc);
    const token = await (await createOidcIssuer(context, ES256)).mintToken("email");
    expect(await isSigned(await createOidcIssuer(context, ES256), token)).toBe(true);
    expect(await isSigned(await createOidcIssuer(testContext(URLS.oidc), ES256), token)).toBe(false);
  });

  test("change with a rotation, while those before stay for one more", async () => {
    const store = createMemoryStore();
    const issuer = await createOidcIssuer(testContext(URLS.oidc, store), ES256);
    const before = await issuer.mintToken("email");
    await issuer.rotateKeys();
    const after = await issuer.mintToken("email");
    expect(headerOf(after)["kid"]).not.toBe(headerOf(before)["kid"]);
    expect([await isSigned(issuer, before), await isSigned(issuer, after)]).toEqual([true, true]);

    const again = await createOidcIssuer(testContext(URLS.oidc, store), ES256);
    expect([await isSigned(again, before), await isSigned(again, after)]).toEqual([true, true]);
    expect(headerOf(await again.mintToken("email"))["kid"]).toBe(headerOf(after)["kid"]);
    await again.rotateKeys();
    expect([await isSigned(again, before), await isSigned(again, after)]).toEqual([false, true]);
  });

  test("are gone at once when they are revoked", async () => {
    const issuer = await createOidcIssuer(testContext(URLS.oidc), ES256);
    const before = await issuer.mintToken("email");
    await issuer.rotateKeys({ revoke: true });
    expect(await isSigned(issuer, before)).toBe(false);
  });
});
