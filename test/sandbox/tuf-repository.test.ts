import { createHash, createPublicKey, verify } from "node:crypto";
import { once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { Updater } from "tuf-js";
import { describe, expect, onTestFinished, test } from "vitest";
import { ServiceError } from "../../src/errors.ts";
import { createMemoryStore } from "../../src/sandbox/store.ts";
import { createTufRepository, TUF_FORGERIES, type TufRepository } from "../../src/sandbox/tuf-repository.ts";
import { createMemoryCache } from "../../src/tuf/cache.ts";
import { TufClient, type TufClientOptions } from "../../src/tuf/tuf-client.ts";
import { temporaryFolder } from "../support/cli.ts";

const URL_ = "http://127.0.0.1:1/tuf";
const START = new Date("2026-06-01T12:00:00Z");
const DAY_MS = 86_400_000;

interface World {
  readonly store: ReturnType<typeof createMemoryStore>;
  now: Date;
  forgery: string | undefined;
  readonly repository: TufRepository;
  /** Opens the repository once more, as after a restart. */
  reopen(): TufRepository;
  get(path: string): Promise<Response>;
  json(path: string): Promise<MetadataJson>;
  client(changes?: Partial<TufClientOptions>): Promise<TufClient>;
}

interface MetadataJson {
  readonly signatures: readonly { readonly keyid: string; readonly sig: string }[];
  readonly signed: {
    readonly version: number;
    readonly expires: string;
    readonly meta?: Readonly<Record<string, { readonly version: number }>>;
    readonly keys: Readonly<Record<string, { readonly keyval: { readonly public: string } }>>;
    readonly roles: Readonly<Record<string, { readonly keyids: readonly string[]; readonly threshold: number }>>;
  };
}

const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);

function createWorld(): World {
  const store = createMemoryStore();
  const context = { url: URL_, store, now: () => world.now, forgery: () => world.forgery };
  const cache = createMemoryCache();
  let current: TufRepository;
  const world: World = {
    store,
    now: START,
    forgery: undefined,
    get repository() {
      return current;
    },
    reopen: () => (current = createTufRepository(context)),
    get: async (path) => await current.fetch(new Request(`${URL_}/${path}`)),
    json: async (path) => (await (await world.get(path)).json()) as MetadataJson,
    client: (changes) =>
      TufClient.open({
        mirror: URL_,
        root: current.initialRoot,
        cache,
        folder: "mirror",
        now: world.now,
        maxAgeMs: 0,
        allowStale: false,
        download: async (url) => {
          const response = await current.fetch(new Request(url));
          if (response.status !== 200)
            throw new ServiceError("HTTP_STATUS_UNEXPECTED", "not found", { status: response.status });
          return new Uint8Array(await response.arrayBuffer());
        },
        ...changes,
      }),
  };
  current = createTufRepository(context);
  return world;
}

const code = (value: string): unknown => expect.objectContaining({ code: value }) as unknown;
const read = async (client: TufClient, name: string): Promise<string> =>
  Buffer.from(await client.target(name)).toString();

describe("createTufRepository (TUF specification)", () => {
  test("delivers files to our client, and new versions of them", async () => {
    const world = createWorld();
    world.repository.publish({ "trusted_root.json": bytes("one"), "folder/other file.json": bytes("other") });
    const client = await world.client();
    expect(await read(client, "trusted_root.json")).toBe("one");
    expect(await read(client, "folder/other file.json")).toBe("other");
    world.repository.publish({ "trusted_root.json": bytes("two") });
    const later = await world.client();
    expect(await read(later, "trusted_root.json")).toBe("two");
    await expect(later.target("folder/other file.json")).rejects.toThrow(code("TUF_TARGET_NOT_FOUND"));
  });

  test("gives nothing a new version that did not change", async () => {
    const world = createWorld();
    world.repository.publish({ "a.json": bytes("one") });
    const before = await world.json("timestamp.json");
    world.repository.publish({ "a.json": bytes("one") });
    world.reopen();
    expect(await world.json("timestamp.json")).toEqual(before);
    world.repository.publish({ "a.json": bytes("two") });
    expect((await world.json("timestamp.json")).signed.version).toBe(before.signed.version + 1);
  });

  test("delivers to tuf-js, through a rotation of the root and a delegation", async () => {
    let serve: TufRepository["fetch"] = () => new Response(null, { status: 503 });
    const server = createServer((request, response) => {
      void (async () => {
        const answer = await serve(new Request(`http://127.0.0.1${request.url ?? ""}`));
        response.writeHead(answer.status);
        response.end(Buffer.from(await answer.arrayBuffer()));
      })();
    });
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
    onTestFinished(() => void server.close());
    const base = `http://127.0.0.1:${(server.address() as AddressInfo).port}/tuf`;
    const current = createTufRepository({
      url: base,
      now: () => new Date(),
      store: createMemoryStore(),
      forgery: () => undefined,
    });
    serve = (request) => current.fetch(request);
    const folder = temporaryFolder();
    writeFileSync(join(folder, "root.json"), current.initialRoot);
    current.publish({ "trusted_root.json": bytes("trust") });
    current.delegate("policies/team a", { paths: ["policies/*"], targets: { "policies/one.json": bytes("policy") } });
    current.rotateRoot();
    const updater = new Updater({
      metadataDir: folder,
      metadataBaseUrl: base,
      targetDir: folder,
      targetBaseUrl: `${base}/targets`,
    });
    await updater.refresh();
    for (const [name, content] of [
      ["trusted_root.json", "trust"],
      ["policies/one.json", "policy"],
    ] as const) {
      const target = await updater.getTargetInfo(name);
      expect(target?.hashes).toEqual({ sha256: createHash("sha256").update(content).digest("hex") });
      if (target !== undefined) await updater.downloadTarget(target);
    }
  });

  test("asks two of three keys of the root to agree, and none of them signs anything else", async () => {
    const world = createWorld();
    const { signed, signatures } = await world.json("1.root.json");
    expect(signed.roles["root"]).toMatchObject({ threshold: 2 });
    expect(signed.roles["root"]?.keyids).toHaveLength(3);
    expect(signatures.map(({ keyid }) => keyid)).toEqual(signed.roles["root"]?.keyids);
    const all = Object.values(signed.roles).flatMap(({ keyids }) => keyids);
    expect(new Set(all).size).toBe(all.length);
  });

  test("names each key by the hash of its canonical form", async () => {
    const { signed } = await createWorld().json("1.root.json");
    const [[id, key] = ["", undefined]] = Object.entries(signed.keys);
    const text = `{"keytype":"ecdsa","keyval":{"public":"${key?.keyval.public ?? ""}"},"scheme":"ecdsa-sha2-nistp256"}`;
    expect(id).toBe(createHash("sha256").update(text).digest("hex"));
  });

  test("signs a rotated root with the keys before and after it", async () => {
    const world = createWorld();
    world.repository.publish({ "a.json": bytes("one") });
    const trusting = await world.client();
    expect(world.repository.rotateRoot()).toBe(2);
    expect(world.repository.rotateRoot()).toBe(3);
    const [first, second] = [await world.json("1.root.json"), await world.json("2.root.json")];
    const signers = second.signatures.map(({ keyid }) => keyid);
    expect(signers).toEqual([
      ...(first.signed.roles["root"]?.keyids ?? []),
      ...(second.signed.roles["root"]?.keyids ?? []),
    ]);
    expect(new Set(signers).size).toBe(6);
    for (const { keyid, sig } of second.signatures) {
      const key = createPublicKey((first.signed.keys[keyid] ?? second.signed.keys[keyid])?.keyval.public ?? "");
      expect(verify("sha256", bytes(canonical(second.signed)), key, Buffer.from(sig, "hex"))).toBe(true);
    }
    expect(await read(trusting, "a.json")).toBe("one");
    expect(await read(await world.client(), "a.json")).toBe("one"); // from what was cached
    expect(await read(await world.client({ cache: createMemoryCache() }), "a.json")).toBe("one"); // from the first root
    world.reopen();
    expect((await world.get("4.root.json")).status).toBe(404);
    world.repository.publish({ "a.json": bytes("two") });
    expect(await read(await world.client(), "a.json")).toBe("two");
  });

  test.for([
    [4, "timestamp", { root: 1, snapshot: 2, targets: 2 }],
    [16, "snapshot", { root: 1, snapshot: 3, targets: 2 }],
    [183, "root", { root: 2, snapshot: 3, targets: 3 }],
    [4000, "root", { root: 2, snapshot: 3, targets: 3 }],
  ] as const)("signs anew after %i days what has passed the middle of its life: %s", async ([days, , expected]) => {
    const world = createWorld();
    world.repository.publish({ "a.json": bytes("one") });
    world.now = new Date(START.getTime() + days * DAY_MS);
    const timestamp = await world.json("timestamp.json");
    const version = timestamp.signed.meta?.["snapshot.json"]?.version ?? 0;
    const snapshot = await world.json(`${version}.snapshot.json`);
    expect({
      root: (await world.get("2.root.json")).status === 200 ? 2 : 1,
      snapshot: version,
      targets: snapshot.signed.meta?.["targets.json"]?.version,
    }).toEqual(expected);
    expect(Date.parse(timestamp.signed.expires)).toBe(world.now.getTime() + 7 * DAY_MS);
    if (days < 365) expect(await read(await world.client(), "a.json")).toBe("one");
  });

  test("goes on from its last whole version where a release was interrupted", async () => {
    const world = createWorld();
    world.repository.publish({ "a.json": bytes("one") });
    const before = await world.json("timestamp.json");
    const timestamp = world.store.read("timestamp.json") ?? new Uint8Array();
    world.repository.publish({ "a.json": bytes("lost") });
    world.store.write("timestamp.json", timestamp); // it had come this far
    world.reopen();
    expect(await world.json("timestamp.json")).toEqual(before);
    expect(await read(await world.client(), "a.json")).toBe("one");
    world.repository.publish({ "a.json": bytes("two") });
    expect(await read(await world.client(), "a.json")).toBe("two");
  });

  test.for(["keys", "keys/x", "targets", "../keys", "targets/..%2fkeys", "%E0%A4%A", "1.root.json/", "nothing.json"])(
    "serves nothing at %s",
    async (path) => {
      expect((await createWorld().get(path)).status).toBe(404);
    },
  );

  test("serves no private key", async () => {
    const world = createWorld();
    const { signed } = await world.json("1.root.json");
    for (const id of Object.keys(signed.keys)) {
      expect(world.store.read(`keys/${id}`)).toBeDefined();
      for (const path of [
        `keys/${id}`,
        `targets/../keys/${id}`,
        `targets/%2e%2e/keys/${id}`,
        `targets/..%2fkeys/${id}`,
      ])
        expect((await world.get(path)).status).toBe(404);
    }
  });

  test.for([
    ["expired", "TUF_METADATA_EXPIRED"],
    ["rollback", "TUF_ROLLBACK"],
    ["wrong-key", "TUF_THRESHOLD_NOT_MET"],
    ["wrong-target", "TUF_TARGET_INVALID"],
  ] as const)("forges %s, which our client refuses", async ([word, refusal]) => {
    expect(TUF_FORGERIES).toContain(word);
    const world = createWorld();
    world.repository.publish({ "a.json": bytes("one") });
    await world.client();
    world.forgery = word;
    // Of the same version as what is cached and unexpired, an expired timestamp is no news.
    const changes = word === "expired" ? { cache: createMemoryCache() } : {};
    await expect(world.client(changes).then((client) => client.target("a.json"))).rejects.toThrow(code(refusal));
    world.forgery = undefined;
    expect(await read(await world.client(), "a.json")).toBe("one");
  });
});

/** Sorts the members, of strings that need no escapes but for line breaks, which OLPC canonical JSON does not escape. */
function canonical(value: unknown): string {
  return JSON.stringify(value, (_key, member: unknown) =>
    typeof member === "object" && member !== null && !Array.isArray(member)
      ? Object.fromEntries(Object.entries(member).toSorted(([a], [b]) => (a < b ? -1 : 1)))
      : member,
  ).replaceAll(String.raw`\n`, "\n");
}
