import { describe, expect, test } from "vitest";
import { MAX_REGISTRY_TOKEN_REQUEST_BYTES } from "../../../src/limits.ts";
import { digestOf, open, pushBlob, type Answer, type World } from "./client.ts";

const CREDENTIALS = { username: "alice", password: "p:ässword" };
const basic = (username: string, password: string): Record<string, string> => ({
  authorization: `Basic ${Buffer.from(`${username}:${password}`).toString("base64")}`,
});
const ALICE = basic(CREDENTIALS.username, CREDENTIALS.password);

async function openWith(always: "basic-auth" | "token-auth" | "private-token-auth"): Promise<World> {
  const world = open({ always: [always], credentials: CREDENTIALS });
  const ask: World["ask"] = (path, question = {}) => {
    const authorization = always === "basic-auth" ? ALICE : bearer;
    return world.ask(path, { ...question, headers: { ...question.headers, ...authorization } });
  };
  const bearer = always === "basic-auth" ? {} : await tokenFor(world, "repository:app:pull,push", ALICE);
  await pushBlob({ ask }, "app", "content");
  return world;
}

async function tokenFor(
  { ask }: World,
  scope: string,
  headers: Record<string, string> = {},
): Promise<Record<string, string>> {
  const { status, text } = await ask(`/token?service=sandbox-registry&scope=${encodeURIComponent(scope)}`, { headers });
  expect(status).toBe(200);
  const { token, access_token: same, expires_in: seconds } = JSON.parse(text) as Record<string, unknown>;
  expect(same).toBe(token);
  expect(seconds).toBe(300);
  return { authorization: `Bearer ${String(token)}` };
}

const pull = ({ ask }: World, headers: Record<string, string> = {}): Promise<Answer> =>
  ask(`/v2/app/blobs/${digestOf("content")}`, { headers });
const push = ({ ask }: World, headers: Record<string, string> = {}): Promise<Answer> =>
  ask("/v2/app/blobs/uploads/", { method: "POST", headers });
const remove = ({ ask }: World, headers: Record<string, string> = {}): Promise<Answer> =>
  ask(`/v2/app/blobs/${digestOf("content")}`, { method: "DELETE", headers });

describe("basic authentication", () => {
  test("lets in whoever has the password", async () => {
    const world = await openWith("basic-auth");
    for (const what of [pull, push, remove]) expect((await what(world, ALICE)).status).toBeLessThan(300);
    expect((await world.ask("/v2/", { headers: ALICE })).status).toBe(200);
  });

  test.for([
    ["nothing", {}],
    ["another password", basic("alice", "p")],
    ["another name", basic("bob", CREDENTIALS.password)],
    ["an empty name and password", basic("", "")],
    ["what is not base64", { authorization: "Basic ???" }],
    ["another scheme", { authorization: "Bearer abc" }],
  ] as const)("keeps out who has %s", async ([, headers]) => {
    const world = await openWith("basic-auth");
    for (const what of [pull, push, remove]) {
      const answer = await what(world, headers);
      expect(answer).toMatchObject({ status: 401, code: "UNAUTHORIZED" });
      expect(answer.headers.get("www-authenticate")).toBe('Basic realm="sandbox-registry"');
    }
  });
});

describe("token authentication", () => {
  test("says where to get a token for what", async () => {
    const world = await openWith("token-auth");
    const challenge = async (answer: Promise<Answer>): Promise<string | null> =>
      (await answer).headers.get("www-authenticate");
    const realm = 'Bearer realm="http://127.0.0.1:5000/token",service="sandbox-registry"';
    expect(await challenge(world.ask("/v2/"))).toBe(realm);
    expect(await challenge(pull(world))).toBe(`${realm},scope="repository:app:pull"`);
    expect(await challenge(push(world))).toBe(`${realm},scope="repository:app:pull,push"`);
    expect(await challenge(remove(world))).toBe(`${realm},scope="repository:app:delete"`);
    expect(await challenge(world.ask("/v2/_catalog"))).toBe(`${realm},scope="registry:catalog:*"`);
    expect(await challenge(pull(world, { authorization: "Bearer abc.def" }))).toBe(
      `${realm},scope="repository:app:pull",error="invalid_token"`,
    );
    const other = await tokenFor(world, "repository:other:pull");
    expect(await challenge(pull(world, other))).toBe(`${realm},scope="repository:app:pull",error="insufficient_scope"`);
  });

  test("gives tokens for what they are asked for", async () => {
    const world = await openWith("token-auth");
    const all = { pull, push, remove };
    const allowed = async (scope: string): Promise<string[]> => {
      const token = await tokenFor(world, scope, ALICE);
      const names: string[] = [];
      for (const [name, what] of Object.entries(all)) if ((await what(world, token)).status < 400) names.push(name);
      return names;
    };
    expect(await allowed("repository:app:pull")).toEqual(["pull"]);
    expect(await allowed("repository:app:push")).toEqual([]); // pushing asks for both
    expect(await allowed("repository:app:pull,push")).toEqual(["pull", "push"]);
    expect(await allowed("repository:other:pull,push repository:app:pull")).toEqual(["pull"]);
    expect(await allowed("repository(plugin):app:pull")).toEqual(["pull"]);
    expect(await allowed("registry:catalog:*")).toEqual([]);
    expect(await allowed("nonsense")).toEqual([]);
    expect(await allowed("repository:app:delete")).toEqual(["remove"]);
    expect(
      (await world.ask("/v2/_catalog", { headers: await tokenFor(world, "registry:catalog:*", ALICE) })).status,
    ).toBe(200);
  });

  test("lets strangers pull, and no more", async () => {
    const world = await openWith("token-auth");
    const token = await tokenFor(world, "repository:app:pull,push,delete registry:catalog:*");
    expect((await pull(world, token)).status).toBe(200);
    for (const what of [push, remove]) expect((await what(world, token)).status).toBe(401);
    expect((await world.ask("/v2/_catalog", { headers: token })).status).toBe(401);
  });

  test("lets strangers get nothing where it is private", async () => {
    const world = await openWith("private-token-auth");
    const answer = await world.ask("/token?scope=repository:app:pull");
    expect(answer).toMatchObject({ status: 401, code: "UNAUTHORIZED" });
    expect(answer.headers.get("www-authenticate")).toMatch(/^Basic /);
  });

  test.for(["token-auth", "private-token-auth"] as const)(
    "gives nobody with a wrong password a token: %s",
    async (kind) => {
      const world = await openWith(kind);
      expect((await world.ask("/token", { headers: basic("alice", "wrong") })).status).toBe(401);
    },
  );

  test("does not take a token for ever, nor one that was changed, nor another registry's", async () => {
    const world = await openWith("token-auth");
    const token = await tokenFor(world, "repository:app:pull");
    world.context.time = new Date(world.context.time.getTime() + 299_999);
    expect((await pull(world, token)).status).toBe(200);
    world.context.time = new Date(world.context.time.getTime() + 1);
    expect((await pull(world, token)).status).toBe(401);

    const fresh = await tokenFor(world, "repository:app:pull");
    const [payload = "", mac = ""] = fresh["authorization"]?.replace("Bearer ", "").split(".") ?? [];
    const claims = JSON.parse(Buffer.from(payload, "base64url").toString()) as object;
    const more = Buffer.from(
      JSON.stringify({ ...claims, access: [{ type: "repository", name: "app", actions: ["pull", "push"] }] }),
    );
    expect((await push(world, { authorization: `Bearer ${more.toString("base64url")}.${mac}` })).status).toBe(401);
    expect((await pull(world, await tokenFor(await openWith("token-auth"), "repository:app:pull"))).status).toBe(401);
  });

  test("mounts a blob for whoever may pull it where it is", async () => {
    const world = await openWith("private-token-auth");
    const path = `/v2/other/blobs/uploads/?mount=${digestOf("content")}&from=app`;
    const mount = async (scope: string): Promise<number> =>
      (await world.ask(path, { method: "POST", headers: await tokenFor(world, scope, ALICE) })).status;
    expect(await mount("repository:other:pull,push")).toBe(202);
    expect(await mount("repository:other:pull,push repository:app:pull")).toBe(201);
  });

  test("knows the way of OAuth 2 to a token", async () => {
    const world = await openWith("private-token-auth");
    const post = async (form: Record<string, string>): Promise<Answer> =>
      await world.ask("/token", {
        method: "POST",
        body: new URLSearchParams({ scope: "repository:app:pull", ...form }).toString(),
      });
    const tokens = async (form: Record<string, string>): Promise<Record<string, string>> => {
      const { status, text } = await post(form);
      expect(status).toBe(200);
      return JSON.parse(text) as Record<string, string>;
    };
    const first = await tokens({ grant_type: "password", ...CREDENTIALS, access_type: "offline" });
    expect((await pull(world, { authorization: `Bearer ${first["access_token"]}` })).status).toBe(200);
    const refreshToken = first["refresh_token"] ?? "";
    const second = await tokens({ grant_type: "refresh_token", refresh_token: refreshToken });
    expect(second["refresh_token"]).toBeUndefined();
    expect((await pull(world, { authorization: `Bearer ${second["access_token"]}` })).status).toBe(200);

    expect((await pull(world, { authorization: `Bearer ${refreshToken}` })).status).toBe(401);
    for (const form of [
      { grant_type: "password", username: "alice", password: "wrong" },
      { grant_type: "refresh_token", refresh_token: first["access_token"] ?? "" },
      { grant_type: "authorization_code" },
      { junk: "x".repeat(MAX_REGISTRY_TOKEN_REQUEST_BYTES), grant_type: "password", ...CREDENTIALS },
    ] as Record<string, string>[])
      expect((await post(form)).status).toBe(400);
    const { text } = await world.ask("/token?offline_token=true", { headers: ALICE });
    expect((JSON.parse(text) as { refresh_token?: string }).refresh_token).toBeDefined();
  });
});
