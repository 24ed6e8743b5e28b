import { execFile } from "node:child_process";
import { mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { describe, expect, onTestFinished, test } from "vitest";
import { ServiceError, StorageError } from "../../src/errors.ts";
import { createFolderCache, createMemoryCache, type Cache } from "../../src/tuf/cache.ts";
import { createDownload } from "../../src/tuf/load-trust.ts";
import { DEFAULT_MAX_AGE_MS, TufClient, type TufClientOptions } from "../../src/tuf/tuf-client.ts";
import type { Download } from "../../src/tuf/updater.ts";
import { COMPILE_CACHE } from "../support/cli.ts";
import { daysAfter, NOW, TufRepository } from "../support/tuf-repository.ts";

const MIRROR = "https://tuf.test";
const HOUR_MS = 3_600_000;

const code = (value: string): unknown => expect.objectContaining({ code: value }) as unknown;
const text = async (bytes: Promise<Uint8Array>): Promise<string> => Buffer.from(await bytes).toString();
const byText = (one: string, other: string): number => (one < other ? -1 : 1);
const unreachable: Download = () =>
  Promise.reject(new ServiceError("HTTP_REQUEST_FAILED", "could not reach the mirror", { retryable: true }));

interface World {
  readonly repository: TufRepository;
  readonly files: Map<string, Uint8Array>;
  readonly cache: Cache;
  /** The root that trust begins with. */
  readonly first: Uint8Array;
  readonly open: (changes?: Partial<TufClientOptions>) => Promise<TufClient>;
  /** What the client asked for since this was last called. */
  readonly asked: () => readonly string[];
}

function createWorld(prepare: (repository: TufRepository) => void = () => undefined): World {
  const repository = new TufRepository();
  repository.addTarget("trusted_root.json", "trust");
  prepare(repository);
  repository.publishTargets();
  const files = new Map<string, Uint8Array>();
  const cache = createMemoryCache(files);
  const first = repository.files.get("1.root.json") as Uint8Array;
  const { download } = repository;
  return {
    repository,
    files,
    cache,
    first,
    open: (changes) =>
      TufClient.open({ mirror: MIRROR, root: first, cache, folder: "mirror", download, now: NOW, ...changes }),
    asked: () => repository.requests.splice(0),
  };
}

/** Changes one letter of a cached file. */
function damage(files: Map<string, Uint8Array>, name: string): void {
  const bytes = Uint8Array.from(files.get(name) as Uint8Array);
  bytes[bytes.length >> 1] = (bytes[bytes.length >> 1] ?? 0) ^ 1;
  files.set(name, bytes);
}

describe("TufClient: freshness", () => {
  test("asks for nothing until its lifetime is over, then for root and timestamp", async () => {
    const { open, asked } = createWorld();
    const client = await open();
    await client.target("trusted_root.json");
    expect(client.source).toMatchObject({
      kind: "tuf",
      mirror: MIRROR,
      refreshedAt: NOW,
      fromCache: false,
      expired: false,
      expires: daysAfter(NOW, 30),
    });
    asked();
    const later = new Date(NOW.getTime() + DEFAULT_MAX_AGE_MS - 1);
    const fresh = await open({ now: later });
    await expect(text(fresh.target("trusted_root.json"))).resolves.toBe("trust");
    expect(fresh.source).toMatchObject({ refreshedAt: NOW, fromCache: true, expired: false });
    expect(asked()).toEqual([]);
    const stale = await open({ now: new Date(later.getTime() + 1) });
    expect(stale.source.fromCache).toBe(false);
    expect(asked()).toEqual(["2.root.json", "timestamp.json"]);
  });

  test.for(["root", "timestamp", "snapshot", "targets"] as const)(
    "never takes metadata for fresh once %s has expired",
    async (role) => {
      const { repository, open, asked } = createWorld((one) => {
        one.signed(role).expires = "2026-06-01T13:00:00Z";
        if (role === "root") one.publish("root");
      });
      await open();
      asked();
      await open({ now: new Date(NOW.getTime() + HOUR_MS - 1) });
      expect(asked()).toEqual([]);
      repository.signed(role).expires = "2026-07-01T00:00:00Z";
      repository.publish("root", "targets", "snapshot", "timestamp");
      const client = await open({ now: new Date(NOW.getTime() + HOUR_MS) });
      expect(client.source.fromCache).toBe(false);
    },
  );

  test("refreshes each time with a lifetime of 0, and where the time of the refresh is no time or still to come", async () => {
    const { open, asked, files } = createWorld();
    await open();
    asked();
    await open({ maxAgeMs: 0 });
    expect(asked()).not.toEqual([]);
    await open({ now: new Date(NOW.getTime() - 1) }); // the clock was put back
    expect(asked()).not.toEqual([]);
    for (const content of ["", "{", '{"lastTimestamp":"soon"}', '{"lastTimestamp":1}', "[]"]) {
      files.set("mirror.json", Buffer.from(content));
      await open();
      expect(asked()).not.toEqual([]);
    }
  });

  test("keeps the time of the refresh where cosign does", async () => {
    const { open, files } = createWorld();
    await open();
    expect(Buffer.from(files.get("mirror.json") ?? []).toString()).toBe('{"lastTimestamp":"2026-06-01T12:00:00.000Z"}');
    expect([...files.keys()].toSorted(byText)).toEqual([
      "mirror.json",
      "mirror/snapshot.json",
      "mirror/targets.json",
      "mirror/timestamp.json",
    ]);
  });

  test("fetches what a fresh cache lacks: a target, and metadata of a delegated role", async () => {
    const { open, asked } = createWorld((repository) => {
      repository.delegate("targets", "npm", { paths: ["npm/*"] });
      repository.addTarget("npm/keys.json", "keys", "npm");
      repository.publish("npm");
    });
    await open();
    asked();
    const client = await open();
    await expect(text(client.target("npm/keys.json"))).resolves.toBe("keys");
    expect(asked()).toEqual(["1.npm.json", expect.stringMatching(/^targets\/npm\/[0-9a-f]{64}\.keys\.json$/)]);
    const again = await open();
    await expect(text(again.target("npm/keys.json"))).resolves.toBe("keys");
    expect(asked()).toEqual([]);
  });
});

describe("TufClient: when a refresh fails", () => {
  const stale = { now: new Date(NOW.getTime() + 2 * DEFAULT_MAX_AGE_MS), download: unreachable };

  test("works from an unexpired cache, and says so", async () => {
    const { open } = createWorld();
    await (await open()).target("trusted_root.json");
    const client = await open(stale);
    expect(client.source).toMatchObject({ refreshedAt: NOW, fromCache: true, expired: false });
    expect(client.notices).toEqual([
      `could not refresh the metadata of ${MIRROR} (could not reach the mirror); using that of 2026-06-01T12:00:00.000Z`,
    ]);
    await expect(text(client.target("trusted_root.json"))).resolves.toBe("trust");
  });

  test("fails where that is not wanted", async () => {
    const { open } = createWorld();
    await open();
    await expect(open({ ...stale, allowStale: false })).rejects.toThrow(code("HTTP_REQUEST_FAILED"));
  });

  test("fails with an expired cache, and names the way out", async () => {
    const { open } = createWorld();
    await open();
    await expect(open({ ...stale, now: daysAfter(NOW, 31) })).rejects.toThrow(
      expect.objectContaining({
        code: "TUF_CACHE_EXPIRED",
        found: "expired 2026-07-01T12:00:00Z",
        remedy: expect.stringContaining("--offline") as unknown,
      }),
    );
  });

  test("fails with no cache, and names the way out", async () => {
    const { open } = createWorld();
    await expect(open(stale)).rejects.toThrow(
      expect.objectContaining({ code: "TUF_REFRESH_FAILED", remedy: expect.stringContaining("--offline") as unknown }),
    );
  });

  test("fails with a damaged cache, and says that too", async () => {
    const { open, files } = createWorld();
    await open();
    damage(files, "mirror/snapshot.json");
    await expect(open(stale)).rejects.toThrow(
      expect.objectContaining({
        code: "TUF_REFRESH_FAILED",
        message: expect.stringContaining("the cache cannot be used") as unknown,
      }),
    );
  });

  test.for([
    ["wrong metadata", "timestamp.json", Buffer.from("<html>log in first</html>"), "TUF_METADATA_INVALID"],
    ["metadata without an end", "timestamp.json", Buffer.alloc(20_000), "TUF_METADATA_INVALID"],
    ["a wrong root", "2.root.json", Buffer.from("{}"), "TUF_METADATA_INVALID"],
  ] as const)("never lets the cache stand in for %s", async ([, name, bytes, problem]) => {
    const { open, repository } = createWorld();
    await open();
    repository.files.set(name, bytes);
    await expect(open({ maxAgeMs: 0 })).rejects.toThrow(code(problem));
  });

  test("never lets the cache stand in for metadata that has expired", async () => {
    const { open, repository } = createWorld();
    await open();
    repository.timestamp.expires = "2026-05-01T00:00:00Z";
    repository.publish("timestamp");
    await expect(open({ maxAgeMs: 0 })).rejects.toThrow(code("TUF_METADATA_EXPIRED"));
  });

  // Each request of a refresh in turn finds no network any more.
  test.for([0, 1, 2, 3])(
    "leaves a cache that works without a network when that breaks off after %i answers",
    async (answers) => {
      const { open, repository } = createWorld();
      await (await open()).target("trusted_root.json");
      repository.publish("root", "targets", "snapshot", "timestamp");
      let count = 0;
      const download: Download = async (url, maxBytes) =>
        await ((count += 1) > answers ? unreachable : repository.download)(url, maxBytes);
      const client = await open({ maxAgeMs: 0, download });
      expect(client.source.fromCache).toBe(true);
      await expect(text((await open({ offline: true })).target("trusted_root.json"))).resolves.toBe("trust");
      expect((await open({ maxAgeMs: 0 })).source.fromCache).toBe(false);
    },
  );

  test("keeps what was verified before a step that failed, as the specification wants it", async () => {
    const { open, repository, files } = createWorld();
    await open();
    repository.publish("root", "targets", "snapshot", "timestamp");
    repository.files.delete("3.snapshot.json");
    await expect(open({ maxAgeMs: 0, allowStale: false })).rejects.toThrow(expect.objectContaining({ status: 404 }));
    expect(files.get("mirror/root.json")).toEqual(repository.latest("root"));
    expect(files.get("mirror/timestamp.json")).toEqual(repository.latest("timestamp"));
    expect(files.get("mirror/snapshot.json")).toEqual(repository.files.get("2.snapshot.json"));
  });
});

describe("TufClient offline", () => {
  const offline: Partial<TufClientOptions> = {
    offline: true,
    download: () => Promise.reject(new Error("a request was made")),
  };

  test("reads targets that are cached, also when the metadata has expired, and says that it has", async () => {
    const { open } = createWorld();
    await (await open()).target("trusted_root.json");
    const client = await open({ ...offline, now: daysAfter(NOW, 100) });
    expect(client.source).toMatchObject({
      refreshedAt: NOW,
      fromCache: true,
      expired: true,
      expires: daysAfter(NOW, 30),
    });
    await expect(text(client.target("trusted_root.json"))).resolves.toBe("trust");
  });

  test("says that a target, or the metadata that leads to it, is not in the cache", async () => {
    const { open } = createWorld((repository) => {
      repository.addTarget("other", "other");
      repository.delegate("targets", "npm", { paths: ["npm/*"] });
      repository.addTarget("npm/keys.json", "keys", "npm");
      repository.publish("npm");
    });
    await open();
    const client = await open(offline);
    for (const name of ["other", "npm/keys.json"]) {
      await expect(client.target(name)).rejects.toThrow(
        expect.objectContaining({ code: "TUF_TARGET_NOT_FOUND", remedy: "work online once" }),
      );
    }
  });

  test("says that there is no metadata", async () => {
    await expect(createWorld().open(offline)).rejects.toThrow(code("TUF_METADATA_MISSING"));
  });

  test.for([
    ["mirror/timestamp.json", "open"],
    ["mirror/snapshot.json", "open"],
    ["mirror/targets.json", "open"],
    ["mirror/root_history/2.root.json", "open"],
    ["mirror/targets/trusted_root.json", "read"],
  ] as const)("refuses %s once a bit of it is changed; a refresh repairs it", async ([name, when]) => {
    const { open, files, asked } = createWorld((repository) => repository.publish("root"));
    await (await open()).target("trusted_root.json");
    const good = files.get(name);
    damage(files, name);
    const trust = async (changes: Partial<TufClientOptions>): Promise<string> =>
      await text((await open(changes)).target("trusted_root.json"));
    await expect(when === "open" ? open(offline) : trust(offline)).rejects.toThrow(
      expect.objectContaining({ name: "TrustError" }),
    );
    asked();
    await expect(trust({})).resolves.toBe("trust"); // though the cache would still be fresh
    expect(asked()).not.toEqual([]);
    expect(files.get(name)).toEqual(good);
    await expect(trust(offline)).resolves.toBe("trust");
  });
});

describe("TufClient.target", () => {
  test("does not download again what it has, until it changes", async () => {
    const { open, asked, repository, files } = createWorld();
    await (await open()).target("trusted_root.json");
    asked();
    await (await open({ maxAgeMs: 0 })).target("trusted_root.json");
    expect(asked()).toEqual(["2.root.json", "timestamp.json"]);
    repository.addTarget("trusted_root.json", "new trust");
    repository.publishTargets();
    await expect(text((await open({ maxAgeMs: 0 })).target("trusted_root.json"))).resolves.toBe("new trust");
    expect(Buffer.from(files.get("mirror/targets/trusted_root.json") ?? []).toString()).toBe("new trust");
  });

  test.for([
    ["other content", Buffer.from("TRUST"), "TUF_TARGET_INVALID"],
    ["less content", Buffer.from("trus"), "TUF_TARGET_INVALID"],
    ["more content", Buffer.from("trust "), "TUF_TARGET_INVALID"],
    ["no file", undefined, "TUF_REFRESH_FAILED"],
  ] as const)(
    "refuses a target for which the repository serves %s, and does not keep it",
    async ([, bytes, problem]) => {
      const { open, repository, files } = createWorld();
      const name = [...repository.files.keys()].find((one) => one.endsWith("trusted_root.json")) ?? "";
      if (bytes === undefined) repository.files.delete(name);
      else repository.files.set(name, bytes);
      await expect((await open()).target("trusted_root.json")).rejects.toThrow(code(problem));
      expect(files.has("mirror/targets/trusted_root.json")).toBe(false);
    },
  );

  test("asks for no more than the target's length", async () => {
    const { open, repository } = createWorld();
    const asked: Record<string, number> = {};
    const download: Download = (url, maxBytes) => {
      asked[url] = maxBytes;
      return repository.download(url, maxBytes);
    };
    await (await open({ download })).target("trusted_root.json");
    expect(Object.entries(asked).find(([url]) => url.includes("/targets/"))?.[1]).toBe(5);
  });

  test("asks for none that is larger than a target needs to be", async () => {
    const { open, asked } = createWorld((repository) => {
      Object.assign(repository.targets["targets"]?.targets["trusted_root.json"] ?? {}, { length: 2 ** 40 });
    });
    const client = await open();
    asked();
    await expect(client.target("trusted_root.json")).rejects.toThrow(code("TUF_TARGET_INVALID"));
    expect(asked()).toEqual([]);
  });

  test("asks for targets by plain names where the repository has no consistent snapshots, and elsewhere when told", async () => {
    const { open, asked } = createWorld((repository) => {
      repository.root.consistent_snapshot = false;
      repository.publish("root");
      repository.addTarget("a/trusted_root.json", "trust");
    });
    const client = await open();
    await client.target("a/trusted_root.json");
    expect(asked().at(-1)).toBe("targets/a/trusted_root.json");
    const moved = await open({ targetsUrl: "https://other.test/targets/a/", cache: createMemoryCache() });
    await moved.target("trusted_root.json").catch(() => undefined);
    expect(asked().at(-1)).toBe("targets/a/trusted_root.json");
  });

  test.for([
    "a b",
    "a%20b",
    "a?b#c",
    "ü",
    "\u{1F511}",
    "a\\b",
    "C:\\x",
    "con",
    ".hidden",
    "/leading",
    "a//b",
    "trailing/",
    "",
    "constructor",
    "__proto__",
    "a\0b",
    "x".repeat(300),
  ])("reads a target that is called %j, and keeps it in the folder of targets", async (name) => {
    const folder = mkdtempSync(join(tmpdir(), "tuf-client-"));
    onTestFinished(() => rmSync(folder, { recursive: true }));
    const { open, asked } = createWorld((repository) => {
      Object.setPrototypeOf(repository.targets["targets"]?.targets, null);
      repository.addTarget(name, "content");
    });
    const cache = createFolderCache(folder);
    const client = await open({ cache });
    await expect(text(client.target(name))).resolves.toBe("content");
    expect(readdirSync(folder, { recursive: true, encoding: "utf8" }).toSorted(byText)).toEqual([
      "mirror",
      "mirror.json",
      "mirror/snapshot.json",
      "mirror/targets",
      "mirror/targets.json",
      expect.stringMatching(/^mirror\/targets\/[^/]+$/),
      "mirror/timestamp.json",
    ]);
    asked();
    await expect(text((await open({ cache })).target(name))).resolves.toBe("content");
    expect(asked()).toEqual([]);
  });

  test.for(["..", "../x", "a/../../x", "./x", "a/.."])("does not fetch a target that is called %j", async (name) => {
    const { open, asked } = createWorld((repository) => repository.addTarget(name, "content"));
    const client = await open();
    asked();
    await expect(client.target(name)).rejects.toThrow(code("TUF_TARGET_INVALID"));
    expect(asked()).toEqual([]);
  });

  test.for(["missing", "constructor", "__proto__", "toString", "\uD800"])(
    "finds no target that is called %j",
    async (name) => {
      await expect((await createWorld().open()).target(name)).rejects.toThrow(code("TUF_TARGET_NOT_FOUND"));
    },
  );
});

describe("TufClient: its cache", () => {
  test("goes on without one that cannot be written, and says so once", async () => {
    const cache: Cache = {
      ...createMemoryCache(),
      description: "full",
      write: () => {
        throw new StorageError("WRITE_FAILED", "could not write");
      },
    };
    const client = await createWorld((repository) => repository.publish("root")).open({ cache });
    await expect(text(client.target("trusted_root.json"))).resolves.toBe("trust");
    expect(client.notices).toEqual(["could not write; going on without a cache"]);
  });

  test.for(["mirror.json", "mirror/timestamp.json", "mirror/snapshot.json"])(
    "fails when %s cannot be read: rollback would go unnoticed",
    async (name) => {
      const { open, cache } = createWorld();
      await open();
      const unreadable: Cache = {
        ...cache,
        read: (asked) => {
          if (asked === name) throw new StorageError("CACHE_UNREADABLE", "could not read");
          return cache.read(asked);
        },
      };
      await expect(open({ cache: unreadable, maxAgeMs: 0 })).rejects.toThrow(code("CACHE_UNREADABLE"));
    },
  );

  test("does not take back what another process has written meanwhile", async () => {
    const { open, repository, files } = createWorld((one) => one.publish("root"));
    let others = 0;
    // While this client waits for the timestamp it will get, another one finishes with newer metadata.
    const download: Download = async (url, maxBytes) => {
      const bytes = await repository.download(url, maxBytes);
      if (url.endsWith("/timestamp.json") && (others += 1) === 1) {
        repository.publish("root", "targets", "snapshot", "timestamp");
        await open({ maxAgeMs: 0 });
      }
      return bytes;
    };
    const slow = await open({ download });
    expect(slow.source.fromCache).toBe(false);
    for (const role of ["root", "timestamp", "snapshot", "targets"])
      expect(files.get(`mirror/${role}.json`)).toEqual(repository.latest(role));
    await expect(open({ offline: true })).resolves.toBeDefined();
  });

  test("without a given root begins with the cached one, and fails with none or a damaged one", async () => {
    const { repository, open, files, first } = createWorld();
    const cache = createMemoryCache(files);
    const begin = { root: undefined, cache };
    await expect(open(begin)).rejects.toThrow(
      expect.objectContaining({
        code: "TUF_ROOT_MISSING",
        remedy: expect.stringContaining(`--mirror ${MIRROR}`) as unknown,
      }),
    );
    cache.write("mirror/root.json", first);
    repository.publish("root");
    await open(begin);
    expect(files.get("mirror/root.json")).toEqual(repository.latest("root"));
    damage(files, "mirror/root.json");
    await expect(open({ ...begin, maxAgeMs: 0 })).rejects.toThrow(expect.objectContaining({ name: "TrustError" }));
  });

  test("can be shared by processes that refresh at the same time", { timeout: 60_000 }, async () => {
    const folder = mkdtempSync(join(tmpdir(), "tuf-shared-"));
    onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
    const repository = new TufRepository(new Date());
    repository.addTarget("trusted_root.json", "trust 0");
    repository.publishTargets();
    const server = await repository.serve();
    onTestFinished(() => server.close());
    createFolderCache(folder).write("mirror/root.json", repository.latest("root"));
    const script = `
      const [folder, mirror, base] = process.argv.slice(1);
      const { createFolderCache, createDownload, TufClient } = Object.assign({}, ...(await Promise.all(["cache", "tuf-client", "load-trust"].map((name) => import(base + "src/tuf/" + name + ".ts")))));
      const cache = createFolderCache(folder);
      const download = createDownload({ environment: {} });
      const seen = [];
      for (let count = 0; count < 4; count += 1) {
        const client = await TufClient.open({ mirror, cache, folder: "mirror", download, now: new Date(), maxAgeMs: 0, allowStale: false });
        seen.push(Buffer.from(await client.target("trusted_root.json")).toString(), ...client.notices);
      }
      console.log(JSON.stringify(seen));`;
    const base = new URL("../../", import.meta.url).href;
    const run = (): Promise<{ stdout: string }> =>
      promisify(execFile)(process.execPath, ["--input-type=module", "--eval", script, folder, server.url, base], {
        env: { ...process.env, NODE_COMPILE_CACHE: COMPILE_CACHE },
      });
    let version = 0;
    const publishing = setInterval(() => {
      version += 1;
      repository.addTarget("trusted_root.json", `trust ${version}`);
      if (version % 10 === 1) repository.publish("root");
      repository.publishTargets();
    }, 40);
    let outputs: readonly { stdout: string }[];
    try {
      outputs = await Promise.all(Array.from({ length: 5 }, run));
    } finally {
      clearInterval(publishing);
    }
    for (const { stdout } of outputs) {
      const seen = (JSON.parse(stdout) as string[]).map((line) => Number(/^trust (\d+)$/.exec(line)?.[1]));
      expect(seen).toEqual(seen.toSorted((a, b) => a - b)); // never back
    }
    expect(version).toBeGreaterThan(0);
    expect(readdirSync(folder, { recursive: true }).filter((name) => String(name).endsWith(".tmp"))).toEqual([]);
    const cache = createFolderCache(folder);
    const last = { mirror: server.url, cache, folder: "mirror", now: new Date() };
    await (
      await TufClient.open({ ...last, download: createDownload({ environment: {} }), maxAgeMs: 0 })
    ).target("trusted_root.json");
    const offline = await TufClient.open({ ...last, download: unreachable, offline: true });
    await expect(text(offline.target("trusted_root.json"))).resolves.toBe(`trust ${version}`);
  });
});
