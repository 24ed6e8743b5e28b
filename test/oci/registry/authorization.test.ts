import { afterEach, describe, expect, test, vi } from "vitest";
import type { HttpRequest } from "../../../src/http/request.ts";
import { Authorizer, type RegistryScope } from "../../../src/oci/registry/authorization.ts";
import type { RegistryCredentials } from "../../../src/oci/registry/credentials.ts";
import { refusal } from "../../support/outcome.ts";

const ORIGIN = "https://registry.example";
const REALM = `${ORIGIN}/token`;
const PULL: RegistryScope = { repository: "app", actions: ["pull"] };
const PUSH: RegistryScope = { repository: "app", actions: ["pull", "push"] };
const ALICE: RegistryCredentials = { kind: "basic", username: "alice", password: "ünsafe:1" };
const ANONYMOUS: RegistryCredentials = { kind: "anonymous" };
// printf 'alice:ünsafe:1' | base64
const ALICE_HEADER = "Basic YWxpY2U6w7xuc2FmZTox";

interface World {
  readonly authorizer: Authorizer;
  readonly asked: { readonly url: URL; readonly request: HttpRequest }[];
  answer: (count: number) => object;
  reads: number;
}

function open(
  credentials: RegistryCredentials,
  { registry = "registry.example", trusted = [] as readonly string[] } = {},
): World {
  const world: World = {
    asked: [],
    reads: 0,
    answer: (count) => ({ token: `token-${count}`, expires_in: 300 }),
    authorizer: new Authorizer({
      registry,
      credentials: () => {
        world.reads += 1;
        return Promise.resolve(credentials);
      },
      trustedRealmHosts: trusted,
      send: (url, request) => {
        world.asked.push({ url: new URL(url), request });
        const body = new TextEncoder().encode(JSON.stringify(world.answer(world.asked.length)));
        return Promise.resolve({ status: 200, headers: new Headers(), body, attempts: 1 } as never);
      },
    }),
  };
  return world;
}

const bearer = (realm = REALM, more = ',service="registry"'): string => `Bearer realm="${realm}"${more}`;

afterEach(() => vi.restoreAllMocks());

describe("Authorizer: with a name and a password", () => {
  test("answers Basic, and then says so at once", async () => {
    const { authorizer, asked } = open(ALICE);
    expect(await authorizer.header(PULL)).toBeUndefined();
    expect(await authorizer.answer('Basic realm="x"', ORIGIN, PULL)).toBe(ALICE_HEADER);
    expect(await authorizer.header(PUSH)).toBe(ALICE_HEADER);
    expect(asked).toEqual([]);
    // It was sent, and is not good.
    expect(await authorizer.answer('Basic realm="x"', ORIGIN, PULL)).toBeUndefined();
  });

  test("asks for a token where there is a choice", async () => {
    const { authorizer, asked } = open(ALICE);
    expect(await authorizer.answer(`Basic realm="x", ${bearer()}`, ORIGIN, PULL)).toBe("Bearer token-1");
    expect(asked.map(({ url, request }) => [url.href, request.method, request.headers])).toEqual([
      [`${REALM}?service=registry&scope=repository%3Aapp%3Apull`, "GET", { authorization: ALICE_HEADER }],
    ]);
  });

  test("asks for both repositories where blobs are mounted, and keeps what the address of the service says", async () => {
    const { authorizer, asked } = open(ALICE);
    await authorizer.answer(bearer(`${REALM}?a=b`), ORIGIN, { ...PUSH, mountFrom: "base" });
    expect(asked[0]?.url.searchParams.getAll("scope")).toEqual(["repository:app:pull,push", "repository:base:pull"]);
    expect(asked[0]?.url.searchParams.get("a")).toBe("b");
  });

  test("asks for what the registry names where it is asked about no repository", async () => {
    const { authorizer, asked } = open(ALICE);
    await authorizer.answer(bearer(REALM, ',scope="registry:catalog:*"'), ORIGIN, undefined);
    expect(asked[0]?.url.searchParams.getAll("scope")).toEqual(["registry:catalog:*"]);
    expect(asked[0]?.url.searchParams.has("service")).toBe(false);
  });

  test.for(["Negotiate", "Digest realm=x", "", 'Bearer service="x"'])("has no answer to %j", async (header) => {
    const { authorizer, asked } = open(ALICE);
    expect(await authorizer.answer(header, ORIGIN, PULL)).toBeUndefined();
    expect(asked).toEqual([]);
  });
});

describe("Authorizer: with tokens that it was given", () => {
  test("trades an identity token for one, in a form", async () => {
    const { authorizer, asked, ...world } = open({ kind: "identity-token", identityToken: "refresh & me" });
    expect(world.reads).toBe(0);
    expect(await authorizer.answer(bearer(), ORIGIN, PULL)).toBe("Bearer token-1");
    const { url, request } = asked[0] ?? { url: undefined, request: undefined };
    expect([url?.href, request?.method, request?.headers]).toEqual([
      REALM,
      "POST",
      { "content-type": "application/x-www-form-urlencoded" },
    ]);
    // distribution docs/content/spec/auth/oauth.md, "refresh_token"
    expect(Object.fromEntries(new URLSearchParams(request?.body as string))).toEqual({
      grant_type: "refresh_token",
      service: "registry",
      client_id: "cosign-ts",
      scope: "repository:app:pull",
      refresh_token: "refresh & me",
    });
  });

  test("sends a token for the registry itself at once, and gives it to nobody else", async () => {
    const { authorizer, asked } = open({ kind: "registry-token", registryToken: "mine" });
    expect(await authorizer.header(PULL)).toBe("Bearer mine");
    expect(await authorizer.answer(bearer(), ORIGIN, PULL)).toBeUndefined();
    expect(asked).toEqual([]);
  });

  test("reads credentials once", async () => {
    const world = open(ALICE);
    await world.authorizer.header(PULL);
    await world.authorizer.answer(bearer(), ORIGIN, PULL);
    await world.authorizer.header(PUSH);
    expect(world.reads).toBe(1);
  });
});

describe("Authorizer: for how long a token is good", () => {
  test("uses one for each scope until shortly before its end", async () => {
    let now = 1000;
    vi.spyOn(performance, "now").mockImplementation(() => now);
    const { authorizer, asked } = open(ALICE);
    await authorizer.answer(bearer(), ORIGIN, PULL);
    expect(await authorizer.header(PULL)).toBe("Bearer token-1");
    expect(await authorizer.header(PUSH)).toBe("Bearer token-2");
    now += 294_999;
    expect(await authorizer.header(PULL)).toBe("Bearer token-1");
    now += 1;
    expect(await authorizer.header(PULL)).toBe("Bearer token-3");
    expect(asked).toHaveLength(3);
  });

  test.for<readonly [string, object, number]>([
    ["a minute where nothing is said", {}, 55_000],
    ["no longer than a day", { expires_in: 10 ** 9 }, 86_395_000],
    ["not at all where it ends at once", { expires_in: 1 }, 0],
    ["not at all where it has ended", { expires_in: -5 }, 0],
  ])("takes it for good for %s", async ([, more, expected]) => {
    let now = 0;
    vi.spyOn(performance, "now").mockImplementation(() => now);
    const world = open(ALICE);
    world.answer = (count) => ({ token: `token-${count}`, ...more });
    await world.authorizer.answer(bearer(), ORIGIN, PULL);
    now = expected - 1;
    if (expected > 0) expect(await world.authorizer.header(PULL)).toBe("Bearer token-1");
    now = expected;
    expect(await world.authorizer.header(PULL)).toBe("Bearer token-2");
  });

  test("asks again for one that was refused", async () => {
    const { authorizer } = open(ALICE);
    expect(await authorizer.answer(bearer(), ORIGIN, PULL)).toBe("Bearer token-1");
    expect(await authorizer.answer(bearer(), ORIGIN, PULL)).toBe("Bearer token-2");
    expect(await authorizer.header(PULL)).toBe("Bearer token-2");
  });

  test("asks once for requests that are under way at a time", async () => {
    let now = 0;
    vi.spyOn(performance, "now").mockImplementation(() => now);
    const { authorizer, asked } = open(ALICE);
    await authorizer.answer(bearer(), ORIGIN, PULL);
    for (const expected of [2, 3]) {
      const headers = await Promise.all([1, 2, 3].map(() => authorizer.header(PUSH)));
      expect([new Set(headers).size, asked.length]).toEqual([1, expected]);
      now += 300_000;
    }
  });

  test("remembers no failure", async () => {
    const world = open(ALICE);
    const { answer } = world;
    world.answer = () => ({ nothing: "of use" });
    await refusal(world.authorizer.answer(bearer(), ORIGIN, PULL));
    world.answer = answer;
    expect(await world.authorizer.header(PULL)).toBe("Bearer token-2");
  });

  test("knows a token by its other name, and takes none that would be another header", async () => {
    const world = open(ALICE);
    world.answer = () => ({ access_token: "other" });
    expect(await world.authorizer.answer(bearer(), ORIGIN, PULL)).toBe("Bearer other");
    for (const token of ["a\nb", "a b", "", "é"]) {
      world.answer = () => ({ token });
      expect((await refusal(world.authorizer.answer(bearer(), ORIGIN, PULL))).code).toBe("SERVICE_RESPONSE_INVALID");
    }
  });
});

describe("Authorizer: which token service is asked", () => {
  const HUB = { registry: "index.docker.io" };
  test.for<readonly [string, RegistryCredentials, string, string, Parameters<typeof open>[1]?]>([
    ["of the registry", ALICE, REALM, ORIGIN],
    ["of the registry without TLS, where it has none", ALICE, "http://localhost:5000/token", "http://localhost:5000"],
    ["that is known to belong to it", ALICE, "https://auth.docker.io/token", "https://index.docker.io", HUB],
    ["that the caller names", ALICE, "https://auth.example/token", ORIGIN, { trusted: ["auth.example"] }],
    ["of anybody, by a stranger", ANONYMOUS, "https://auth.example/token", ORIGIN],
  ])("one %s", async ([, credentials, realm, origin, options]) => {
    const { authorizer, asked } = open(credentials, options);
    expect(await authorizer.answer(bearer(realm), origin, PULL)).toBe("Bearer token-1");
    expect(asked.map(({ url }) => url.origin)).toEqual([new URL(realm).origin]);
    expect(asked[0]?.request.headers?.["authorization"]).toBe(credentials === ALICE ? ALICE_HEADER : undefined);
  });

  test.for<readonly [string, RegistryCredentials, string, string?, Parameters<typeof open>[1]?]>([
    ["another host", ALICE, "https://auth.example/token"],
    ["another host, with an identity token", { kind: "identity-token", identityToken: "t" }, "https://auth.example/"],
    ["another port", ALICE, "https://registry.example:8443/token"],
    ["a host whose name ends like it", ALICE, "https://evil-registry.example/token"],
    ["a host whose name begins like it", ALICE, "https://registry.example.evil.test/token"],
    ["the service of another registry", ALICE, "https://auth.docker.io/token"],
    ["the registry itself without TLS", ALICE, "http://registry.example/token"],
    [
      "one without TLS that the caller names",
      ALICE,
      "http://auth.example/token",
      ORIGIN,
      { trusted: ["auth.example"] },
    ],
    ["one without TLS, by a stranger", ANONYMOUS, "http://169.254.169.254/latest/meta-data"],
    ["one with a name in it", ALICE, "https://a:b@registry.example/token"],
    ["a file", ANONYMOUS, "file:///etc/passwd"],
    ["no address", ANONYMOUS, "token"],
  ])("not %s", async ([, credentials, realm, origin = ORIGIN, options]) => {
    const { authorizer, asked } = open(credentials, options);
    const error = await refusal(authorizer.answer(bearer(realm), origin, PULL));
    expect(error.code).toBe("REGISTRY_REALM_REFUSED");
    expect(JSON.stringify([error.message, error.found])).not.toMatch(/ünsafe|:b@/);
    expect(asked).toEqual([]);
  });
});
