import { describe, expect, onTestFinished, test } from "vitest";
import { REGISTRY_FORGERIES, type RegistryForgery } from "../../../src/sandbox/registry/registry.ts";
import { startSandbox } from "../../../src/sandbox/sandbox.ts";
import {
  attach,
  digestOf,
  manifestOf,
  OCI_MANIFEST,
  open,
  pushBlob,
  pushImage,
  putManifest,
  type World,
} from "./client.ts";

const IMAGE = digestOf(manifestOf());

/** A registry with an image, something attached to it and something attached to another. */
async function withContent(): Promise<World> {
  const world = open();
  await pushBlob(world, "app", "content");
  await pushImage(world, "app", "v1");
  await attach(world, "app", IMAGE, { annotations: { of: "image" } });
  await attach(world, "app", digestOf("another"), { annotations: { of: "another" } });
  return world;
}

/** Looks at one thing about which the registry tells the truth, or not. */
type Look = (world: World) => Promise<unknown>;

const blob = `/v2/app/blobs/${digestOf("content")}`;
const statusOf = async ({ ask }: World, path: string): Promise<number> => (await ask(path)).status;
const referrers: Look = async ({ ask }) => {
  const { status, text } = await ask(`/v2/app/referrers/${IMAGE}`);
  return status === 200 ? (JSON.parse(text) as { manifests: unknown[] }).manifests.length : `${status} ${text}`;
};

/** For each forgery: what is looked at, what is seen without it, and with it. */
const DIFFERENCES: Readonly<Record<RegistryForgery, readonly [Look, unknown, unknown]>> = {
  "no-referrers": [referrers, 1, "404 404 page not found\n"],
  "no-referrers-error": [referrers, 1, expect.stringContaining('404 {"errors":[{"code":"METHOD_UNKNOWN"')],
  "basic-auth": [(world) => statusOf(world, "/v2/"), 200, 401],
  "token-auth": [(world) => statusOf(world, "/v2/app/manifests/v1"), 200, 401],
  "private-token-auth": [(world) => statusOf(world, "/v2/app/manifests/v1"), 200, 401],
  "rate-limit": [
    async ({ ask }) => {
      const { status, code, headers } = await ask("/v2/app/manifests/v1");
      return [status, code, headers.get("retry-after")];
    },
    [200, undefined, null],
    [429, "TOOMANYREQUESTS", "1"],
  ],
  "immutable-tags": [
    async (world) => {
      const moved = await putManifest(world, "app@v1", manifestOf({ annotations: {} }));
      const again = await putManifest(world, "app@v2", manifestOf());
      const removed = await world.ask(`/v2/app/manifests/v2`, { method: "DELETE" });
      return [moved.status, moved.code, again.status, removed.status];
    },
    [201, undefined, 201, 202],
    [400, "TAG_INVALID", 201, 405],
  ],
  "redirect-blobs": [
    async ({ ask }) => {
      const { status, headers } = await ask(blob);
      return [status, headers.get("location")?.split("?")[0]];
    },
    [200, undefined],
    [307, `http://localhost:5000/storage/app/blobs/${digestOf("content")}`],
  ],
  "absolute-location": [
    async ({ ask }) => (await ask("/v2/app/blobs/uploads/", { method: "POST" })).headers.get("location"),
    expect.stringMatching(/^\/v2\/app\/blobs\/uploads\/[^?]+$/),
    expect.stringMatching(/^http:\/\/127\.0\.0\.1:5000\/v2\/app\/blobs\/uploads\/[^?]+\?_state=/),
  ],
  "wrong-bytes": [async ({ ask }) => (await ask(blob)).text, "content", "bontent"],
  "wrong-digest": [
    async ({ ask }) => (await ask("/v2/app/manifests/v1")).headers.get("docker-content-digest"),
    IMAGE,
    expect.stringMatching(/^sha256:[0-9a-f]{64}$/),
  ],
  "wrong-media-type": [
    async ({ ask }) => (await ask("/v2/app/manifests/v1")).headers.get("content-type"),
    OCI_MANIFEST,
    "application/vnd.docker.distribution.manifest.v2+json",
  ],
  "changing-content": [
    async ({ ask }) => {
      const answers = [];
      for (const _ of [1, 2]) answers.push(await ask("/v2/app/manifests/v1"));
      const [, changed] = answers;
      const digest = changed?.headers.get("docker-content-digest") ?? "";
      const byDigest = await ask(`/v2/app/manifests/${digest}`);
      return [...answers.map(({ text }) => digestOf(text) === IMAGE), digestOf(byDigest.text) === digest];
    },
    [true, true, true],
    [true, false, true],
  ],
  "foreign-referrers": [referrers, 1, 2],
  "endless-pages": [
    async ({ ask }) => {
      let pages = 0;
      for (const start of ["/v2/app/tags/list", `/v2/app/referrers/${IMAGE}`, "/v2/_catalog"])
        for (let next: string | undefined = start; next !== undefined && pages % 10 < 9; pages += 1)
          next = /^<([^>]+)>/.exec((await ask(next)).headers.get("link") ?? "")?.[1];
      return pages;
    },
    3,
    9,
  ],
  "endless-content": [
    async ({ registry }) => {
      const response = await registry.fetch(new Request(`http://127.0.0.1:5000${blob}`));
      let bytes = 0;
      for await (const piece of response.body ?? []) {
        bytes += (piece as Uint8Array).length;
        if (bytes > 1_000_000) break;
      }
      return [response.headers.get("content-length"), bytes > 1_000_000];
    },
    ["7", false],
    [null, true],
  ],
};

describe("a registry that is told how to be", () => {
  test.for(REGISTRY_FORGERIES)("is different with %s", async (forgery) => {
    const [look, without, withIt] = DIFFERENCES[forgery];
    expect(await look(await withContent())).toEqual(without);
    const world = await withContent();
    world.context.forged = forgery;
    const seen = await look(world);
    expect(seen).toEqual(withIt);
    expect(seen).not.toEqual(without);
  });

  test.for(["no-referrers", "no-referrers-error"])(
    "does not say with %s that it has taken note of a subject",
    async (forgery) => {
      const world = open();
      await pushImage(world, "app", "v1");
      world.context.forged = forgery;
      const manifest = manifestOf({ subject: { mediaType: OCI_MANIFEST, digest: IMAGE, size: 1 } });
      const put = await putManifest(world, "app", manifest);
      expect(put.status).toBe(201);
      expect(put.headers.get("oci-subject")).toBeNull();
      // What was attached meanwhile is listed once it has the API.
      world.context.forged = undefined;
      expect(await referrers(world)).toBe(1);
    },
  );

  test("says for how long it has had enough", async () => {
    const world = open();
    world.context.forged = "rate-limit:7";
    expect((await world.ask("/v2/")).headers.get("retry-after")).toBe("7");
  });

  test("takes nothing for an upload whose whole address is not used", async () => {
    const world = open({ always: ["absolute-location"] });
    const { headers } = await world.ask("/v2/app/blobs/uploads/", { method: "POST" });
    const location = headers.get("location") ?? "";
    expect((await world.ask(location.replace(/\?.*/, ""))).code).toBe("BLOB_UPLOAD_UNKNOWN");
    const patched = await world.ask(location, { method: "PATCH", body: "abc" });
    const end = await world.ask(`${patched.headers.get("location")}&digest=${digestOf("abc")}`, { method: "PUT" });
    expect(end.status).toBe(201);
    expect(end.headers.get("location")).toBe(`http://127.0.0.1:5000/v2/app/blobs/${digestOf("abc")}`);
  });

  test("gives what is on the other host to whoever has its address, and nothing else", async () => {
    const world = open({ always: ["redirect-blobs", "private-token-auth"] });
    const { registry, context, ask } = world;
    const basic = { authorization: `Basic ${Buffer.from("sandbox:sandbox").toString("base64")}` };
    const { text } = await ask("/token?scope=repository:app:pull,push", { headers: basic });
    const authorization = `Bearer ${(JSON.parse(text) as { token: string }).token}`;
    await ask(`/v2/app/blobs/uploads/?digest=${digestOf("content")}`, {
      method: "POST",
      headers: { authorization },
      body: "content",
    });
    const { headers } = await ask(blob, { headers: { authorization } });
    const location = headers.get("location") ?? "";
    const fetchStored = async (url: string, sent: Record<string, string> = {}): Promise<number> =>
      (await registry.fetch(new Request(url, { headers: sent }))).status;
    expect(await fetchStored(location)).toBe(200);
    expect(await fetchStored(location, { authorization })).toBe(400);
    expect(await fetchStored(location.replace("expires=", "expires=1"))).toBe(403);
    expect(await fetchStored(location.replace("/app/", "/other/"))).toBe(403);
    expect(await fetchStored(location.replace(/\?.*/, ""))).toBe(403);
    context.time = new Date(context.time.getTime() + 300_001);
    expect(await fetchStored(location)).toBe(403);
  });

  test("is all of what it always is, and what a fault makes of it besides", async () => {
    const world = open({ always: ["no-referrers", "token-auth"] });
    expect((await world.ask("/v2/")).status).toBe(401);
    expect((await world.ask(`/v2/app/referrers/${IMAGE}`)).status).toBe(404);
    world.context.forged = "rate-limit";
    expect((await world.ask("/v2/")).status).toBe(429);
  });

  test("is so in a sandbox, by its options and by faults", async () => {
    const sandbox = await startSandbox({ registry: { always: ["no-referrers"], pageSize: 1 } });
    onTestFinished(() => sandbox.close());
    const ask = (path: string): Promise<Response> => fetch(`${sandbox.urls.registry}${path}`);
    expect((await ask(`/v2/app/referrers/${IMAGE}`)).status).toBe(404);
    expect((await ask("/v2/")).status).toBe(200);
    sandbox.setFault("registry", { kind: "rate-limit", argument: "3", requests: 1 });
    const refused = await ask("/v2/");
    expect([refused.status, refused.headers.get("retry-after")]).toEqual([429, "3"]);
    expect((await ask("/v2/")).status).toBe(200);
    expect(sandbox.requests.map(({ service, fault }) => [service, fault])).toContainEqual(["registry", "rate-limit:3"]);
    expect(() => sandbox.setFault("registry", { kind: "wrong-key" })).toThrow(
      expect.objectContaining({ code: "USAGE_INVALID" }),
    );
  });
});
