import { chmodSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { beforeEach, describe, expect, onTestFinished, test } from "vitest";
import { ServiceError } from "../../src/errors.ts";
import type { Fetch } from "../../src/http/request.ts";
import { createMemoryCache, type Cache } from "../../src/tuf/cache.ts";
import { loadEmbeddedTrust, MIRRORS } from "../../src/tuf/instances.ts";
import {
  createDownload,
  initializeTrust,
  loadTrust,
  openTufRepository,
  type LoadTrustOptions,
} from "../../src/tuf/load-trust.ts";
import { canRunAsOrdinaryUser, makeOpenFolder, runAsOrdinaryUser } from "../support/ordinary-user.ts";
import { daysAfter, NOW, TufRepository } from "../support/tuf-repository.ts";

const TRUSTED_ROOT = JSON.stringify({ mediaType: "application/vnd.dev.sigstore.trustedroot+json;version=0.1" });
const MIRROR = "https://tuf.test";

const code = (value: string): unknown => expect.objectContaining({ code: value }) as unknown;
const remedy = (value: string): unknown =>
  expect.objectContaining({ remedy: expect.stringContaining(value) as unknown }) as unknown;
const noNetwork: Fetch = (url) => Promise.reject(new TypeError(`a test asked for ${url}`));

function makeFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), "load-trust-"));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

/** Serves repositories by the addresses of their mirrors. */
function fetchFrom(repositories: Readonly<Record<string, TufRepository>>): Fetch {
  return async (url) => {
    const [mirror, repository] = Object.entries(repositories).find(([base]) => url.startsWith(`${base}/`)) ?? [];
    if (mirror === undefined || repository === undefined) return await noNetwork(url, {});
    const bytes = repository.files.get(url.slice(mirror.length + 1));
    repository.requests.push(url);
    return bytes === undefined ? new Response("", { status: 404 }) : new Response(Buffer.from(bytes));
  };
}

let repository: TufRepository;
let files: Map<string, Uint8Array>;
let cache: Cache;
let options: LoadTrustOptions;
beforeEach(() => {
  repository = new TufRepository();
  repository.addTarget("trusted_root.json", TRUSTED_ROOT);
  repository.publishTargets();
  files = new Map();
  cache = createMemoryCache(files);
  options = { cache, environment: {}, now: NOW, fetch: fetchFrom({ [MIRROR]: repository }) };
});
const cached = (name: string): Uint8Array => Buffer.from(files.get(name) ?? []);
const root = (): Uint8Array => repository.files.get("1.root.json") as Uint8Array;

describe("loadTrust", () => {
  test("loads the trusted root of a mirror that it is given the root of, and says where it came from", async () => {
    const { trustedRoot, source, notices } = await loadTrust({ ...options, mirror: MIRROR, root: root() });
    expect(trustedRoot).toMatchObject({ tlogs: [], unusable: [] });
    expect(source).toEqual({
      kind: "tuf",
      mirror: MIRROR,
      refreshedAt: NOW,
      fromCache: false,
      expires: daysAfter(NOW, 30),
      expired: false,
    });
    expect(notices).toEqual([]);
  });

  test("asks for nothing a second time within a day, nor with a longer lifetime after that, but with a shorter one", async () => {
    const own = { ...options, mirror: MIRROR, root: root() };
    await loadTrust(own);
    repository.requests.length = 0;
    await loadTrust({ ...own, now: daysAfter(NOW, 0.99) });
    await loadTrust({ ...own, now: daysAfter(NOW, 5), maxAgeMs: 7 * 86_400_000 });
    expect(repository.requests).toEqual([]);
    await loadTrust({ ...own, maxAgeMs: 0 });
    expect(repository.requests).toEqual([`${MIRROR}/2.root.json`, `${MIRROR}/timestamp.json`]);
  });

  test("refuses a mirror whose root is not known, and names the command that begins it", async () => {
    await expect(loadTrust({ ...options, mirror: MIRROR })).rejects.toThrow(code("TUF_ROOT_MISSING"));
    await expect(loadTrust({ ...options, mirror: MIRROR })).rejects.toThrow(
      remedy(`cosign-ts initialize --mirror ${MIRROR} --root FILE`),
    );
    await expect(loadTrust({ ...options, mirror: MIRROR, offline: true })).rejects.toThrow(code("TUF_ROOT_MISSING"));
  });

  test.for([false, true])(
    "says what to do for GitHub's instance, whose root does not ship with this package (offline: %s)",
    async (offline) => {
      const github = loadTrust({ ...options, instance: "github", offline });
      await expect(github).rejects.toThrow(
        expect.objectContaining({ code: "TUF_ROOT_MISSING", message: expect.stringContaining("GitHub") as unknown }),
      );
      await expect(github).rejects.toThrow(remedy(`cosign-ts initialize --mirror ${MIRRORS.github} --root FILE`));
    },
  );

  test("loads GitHub's instance with a root that is given", async () => {
    const fetch = fetchFrom({ [MIRRORS.github]: repository });
    const { source } = await loadTrust({ ...options, instance: "github", root: root(), fetch });
    expect(source).toMatchObject({ mirror: MIRRORS.github });
  });

  test.for(["production", "staging"] as const)(
    "begins the trust in %s with the root that ships with this package",
    async (instance) => {
      const fetch = fetchFrom({ [MIRRORS[instance]]: repository }); // somebody else's repository at its address
      await expect(loadTrust({ ...options, instance, fetch })).rejects.toThrow(
        expect.objectContaining({ name: "TrustError" }),
      );
      expect(repository.requests[0]).toMatch(new RegExp(`^${MIRRORS[instance]}/\\d\\d\\.root\\.json$`));
    },
  );

  test("is of the public-good instance by default", async () => {
    const asked: string[] = [];
    const fetch: Fetch = (url) => {
      asked.push(url);
      return Promise.resolve(new Response("", { status: 404 }));
    };
    await expect(loadTrust({ ...options, fetch })).rejects.toThrow(expect.objectContaining({ name: "TrustError" }));
    expect(new Set(asked.map((url) => new URL(url).origin))).toEqual(new Set([MIRRORS.production]));
  });

  test.for([
    "not a URL",
    "ftp://tuf.test",
    "javascript:alert(1)",
    "/srv/tuf",
    "https://user:secret@tuf.test",
    "https://tuf.test/?token=secret",
    "https://tuf.test/#x",
  ])("refuses %s for a mirror", async (mirror) => {
    const refused = loadTrust({ ...options, mirror });
    await expect(refused).rejects.toThrow(code("URL_INVALID"));
    if (mirror.includes("secret")) await expect(refused).rejects.not.toThrow("secret");
  });

  test("reads a repository from a folder", async () => {
    const folder = makeFolder();
    for (const [name, bytes] of repository.files) {
      mkdirSync(join(folder, name, ".."), { recursive: true });
      writeFileSync(join(folder, name), bytes);
    }
    const { source } = await loadTrust({
      ...options,
      mirror: pathToFileURL(folder).href,
      root: root(),
      fetch: noNetwork,
    });
    expect(source).toMatchObject({ kind: "tuf", fromCache: false });
  });

  test("refuses a target that is no trusted root", async () => {
    repository.addTarget("trusted_root.json", "{}");
    repository.publishTargets();
    await expect(loadTrust({ ...options, mirror: MIRROR, root: root() })).rejects.toThrow(
      code("TRUSTED_ROOT_MALFORMED"),
    );
  });

  test("says that a repository has no trusted root", async () => {
    const bare = new TufRepository();
    const own = { ...options, mirror: MIRROR, root: bare.latest("root"), fetch: fetchFrom({ [MIRROR]: bare }) };
    await expect(loadTrust(own)).rejects.toThrow(code("TUF_TARGET_NOT_FOUND"));
  });

  test("ends with the caller's signal", async () => {
    const fetch: Fetch = (_url, init) => Promise.reject(init.signal?.reason as Error);
    const signal = AbortSignal.abort(new Error("enough"));
    await expect(loadTrust({ ...options, mirror: MIRROR, root: root(), fetch, signal })).rejects.toThrow("enough");
  });
});

describe("loadTrust offline", () => {
  test.for(["production", "staging"] as const)(
    "uses the root of %s that ships with this package where nothing is cached, and says how old it is",
    async (instance) => {
      const embedded = await loadEmbeddedTrust(instance, NOW);
      const now = daysAfter(embedded.source.publishedAt, 12.5);
      const { trustedRoot, source, notices } = await loadTrust({
        ...options,
        instance,
        offline: true,
        now,
        fetch: noNetwork,
      });
      expect(trustedRoot.unusable).toEqual([]);
      expect(source).toMatchObject({ kind: "embedded", instance, publishedAt: embedded.source.publishedAt });
      expect(notices).toEqual([
        expect.stringMatching(
          new RegExp(`^offline: .* ${instance} that was embedded 12 days ago \\(\\d{4}-\\d\\d-\\d\\d\\)$`),
        ),
      ]);
    },
  );

  test("says that embedded trust has expired", async () => {
    const { source } = await loadTrust({
      ...options,
      offline: true,
      now: new Date("2040-01-01T00:00:00Z"),
      fetch: noNetwork,
    });
    expect(source).toMatchObject({ kind: "embedded", instance: "production", expired: true });
  });

  test("prefers what is cached, and says that it has expired", async () => {
    const own = { ...options, mirror: MIRROR, root: root() };
    await loadTrust(own);
    const { source, notices } = await loadTrust({ ...own, offline: true, now: daysAfter(NOW, 40), fetch: noNetwork });
    expect(source).toMatchObject({ kind: "tuf", fromCache: true, refreshedAt: NOW, expired: true });
    expect(notices).toEqual([
      `trust of ${MIRROR} expired 2026-07-01T12:00:00.000Z; it is used because work is offline`,
    ]);
  });

  test("lets embedded trust stand in for no mirror and no root of the caller's", async () => {
    await expect(loadTrust({ ...options, mirror: MIRROR, root: root(), offline: true })).rejects.toThrow(
      code("TUF_METADATA_MISSING"),
    );
    await expect(loadTrust({ ...options, instance: "production", root: root(), offline: true })).rejects.toThrow(
      code("TUF_METADATA_MISSING"),
    );
  });

  test.for(["timestamp.json", "snapshot.json", "targets.json", "targets/trusted_root.json"])(
    "does not let embedded trust stand in for a cache whose %s was changed",
    async (name) => {
      const production = "tuf-repo-cdn.sigstore.dev";
      // A cache of the instance that begins with its embedded root cannot be made here: nobody has its keys. What was never good is not good.
      for (const file of ["timestamp.json", "snapshot.json", "targets.json"])
        cache.write(`${production}/${file}`, repository.latest(file.replace(".json", "")));
      if (name.startsWith("targets/")) cache.write(`${production}/${name}`, Buffer.from("{}"));
      await expect(loadTrust({ ...options, offline: true, fetch: noNetwork })).rejects.toThrow(
        code("TUF_THRESHOLD_NOT_MET"),
      );
    },
  );

  test("refuses a cached target that was changed", async () => {
    const own = { ...options, mirror: MIRROR, root: root() };
    await loadTrust(own);
    cache.write("tuf.test/targets/trusted_root.json", Buffer.from(TRUSTED_ROOT.replace("0.1", "0.2")));
    await expect(loadTrust({ ...own, offline: true })).rejects.toThrow(code("TUF_TARGET_INVALID"));
  });
});

describe("openTufRepository", () => {
  test("reads any target", async () => {
    repository.addTarget("policy.yaml", "policy");
    repository.publishTargets();
    const client = await openTufRepository({ ...options, mirror: MIRROR, root: root() });
    await expect(client.target("policy.yaml")).resolves.toEqual(new Uint8Array(Buffer.from("policy")));
    expect(client.source).toMatchObject({ fromCache: false });
  });
});

describe("initializeTrust", () => {
  const initialize = (changes: LoadTrustOptions = {}): Promise<unknown> =>
    initializeTrust({ ...options, mirror: MIRROR, root: root(), ...changes });

  test("makes a mirror the default and its root the beginning of trust", async () => {
    repository.publish("root");
    await initialize();
    expect(Buffer.from(files.get("remote.json") ?? []).toString()).toBe(`{"mirror":"${MIRROR}"}`);
    expect(cached("tuf.test/root.json")).toEqual(repository.latest("root"));
    expect([...files.keys()].toSorted((one, other) => (one < other ? -1 : 1))).toEqual([
      "remote.json",
      "tuf.test.json",
      "tuf.test/root.json",
      "tuf.test/root_history/2.root.json",
      "tuf.test/snapshot.json",
      "tuf.test/targets.json",
      "tuf.test/targets/trusted_root.json",
      "tuf.test/timestamp.json",
    ]);
    repository.requests.length = 0;
    const { source } = await loadTrust(options); // neither mirror nor root is given
    expect(source).toMatchObject({ mirror: MIRROR, fromCache: true });
    expect(repository.requests).toEqual([]);
    await expect(loadTrust({ ...options, offline: true, now: daysAfter(NOW, 99) })).resolves.toMatchObject({
      source: { mirror: MIRROR },
    });
    await expect(loadTrust({ ...options, now: daysAfter(NOW, 2) })).resolves.toMatchObject({
      source: { fromCache: false },
    });
  });

  test("keeps the root that was given where there is none newer", async () => {
    await initialize();
    expect(cached("tuf.test/root.json")).toEqual(root());
  });

  test("asks the repository for each file once", async () => {
    await initialize();
    expect(new Set(repository.requests).size).toBe(repository.requests.length);
  });

  test.for([
    ["cannot be reached", { fetch: noNetwork }],
    ["begins with another root", { root: new TufRepository().latest("root") }],
    ["is given without a root", { root: undefined }],
    ["has no trusted root", { mirror: "https://bare.test" }],
  ] as const)("loses nothing when the new mirror %s", async ([, changes]) => {
    await initialize();
    const before = new Map(files);
    const bare = new TufRepository();
    const fetch = fetchFrom({ [MIRROR]: repository, "https://bare.test": bare });
    const wrong = { fetch, ...("mirror" in changes ? { root: bare.latest("root") } : {}), ...changes };
    await expect(initialize(wrong)).rejects.toThrow(expect.objectContaining({ name: "TrustError" }));
    expect(files).toEqual(before);
  });

  test("begins anew: nothing of what the mirror had before is left, and nothing of others is touched", async () => {
    cache.write("tuf.test/old.json", Buffer.from("old"));
    cache.write("other.test/root.json", Buffer.from("other"));
    await initialize();
    expect(files.has("tuf.test/old.json")).toBe(false);
    expect(files.has("other.test/root.json")).toBe(true);
  });

  test("accepts the new root of a repository that began anew", async () => {
    await initialize();
    const anew = new TufRepository();
    anew.addTarget("trusted_root.json", TRUSTED_ROOT);
    anew.publishTargets();
    const changes = { fetch: fetchFrom({ [MIRROR]: anew }), root: anew.files.get("1.root.json") };
    await initialize(changes);
    expect(cached("tuf.test/root.json")).toEqual(anew.latest("root"));
  });

  test("fails where its cache cannot be written, or there is no place for one", async () => {
    const file = join(makeFolder(), "file");
    writeFileSync(file, "");
    const { cache: _, ...rest } = options;
    const begin = { ...rest, mirror: MIRROR, root: root() };
    await expect(initializeTrust({ ...begin, environment: { TUF_ROOT: file } })).rejects.toThrow(code("WRITE_FAILED"));
    await expect(initializeTrust({ ...begin, environment: { HOME: "" } })).rejects.toThrow(code("WRITE_FAILED"));
  });

  test.for(["", "{", "{}", '{"mirror":1}'])(
    "a default that is damaged (%s) is an error, not the public instance",
    async (content) => {
      cache.write("remote.json", Buffer.from(content));
      await expect(loadTrust({ ...options, fetch: noNetwork })).rejects.toThrow(code("TUF_METADATA_INVALID"));
    },
  );
});

describe("the cache that loadTrust chooses", () => {
  const choose = (environment: Readonly<Record<string, string>>): LoadTrustOptions => {
    const { cache: _, ...rest } = options;
    return { ...rest, mirror: MIRROR, root: root(), environment };
  };

  test("is at TUF_ROOT, or at home", async () => {
    const folder = makeFolder();
    await loadTrust(choose({ TUF_ROOT: join(folder, "cache") }));
    await loadTrust(choose({ HOME: folder }));
    for (const path of ["cache", join(".sigstore", "root")])
      expect(readFileSync(join(folder, path, "tuf.test", "timestamp.json"))).toEqual(repository.latest("timestamp"));
  });

  test("is none without a home, which is said", async () => {
    const { source, notices } = await loadTrust(choose({ HOME: "" }));
    expect(source).toMatchObject({ fromCache: false });
    expect(notices).toEqual([expect.stringContaining("TUF_ROOT")]);
  });

  test("is none where its path is a file, which is said", async () => {
    const file = join(makeFolder(), "file");
    writeFileSync(file, "");
    const { source, notices } = await loadTrust(choose({ TUF_ROOT: file }));
    expect(source).toMatchObject({ fromCache: false });
    expect(notices).toEqual([expect.stringMatching(/^could not write the TUF cache .*; going on without a cache$/)]);
  });

  test("fails where it cannot be read", async () => {
    const folder = makeFolder();
    mkdirSync(join(folder, "tuf.test", "timestamp.json"), { recursive: true });
    await expect(loadTrust(choose({ TUF_ROOT: folder }))).rejects.toThrow(code("CACHE_UNREADABLE"));
  });

  test.skipIf(!canRunAsOrdinaryUser)(
    "may be a home that can only be read, or not even entered, which is said (needs a user with permissions)",
    async () => {
      const readOnly = makeOpenFolder();
      chmodSync(readOnly, 0o555);
      const locked = makeOpenFolder();
      chmodSync(locked, 0);
      const mirror = makeOpenFolder();
      for (const [name, bytes] of repository.files) {
        mkdirSync(join(mirror, name, ".."), { recursive: true, mode: 0o755 });
        writeFileSync(join(mirror, name), bytes);
      }
      for (const [folder, expected] of [
        [readOnly, /could not write the TUF cache .*; going on without a cache/],
        [locked, /there is no home folder/],
      ] as const) {
        const printed = runAsOrdinaryUser(`
        const { loadTrust } = await load("src/tuf/load-trust.ts");
        const root = Buffer.from(${JSON.stringify(Buffer.from(root()).toString("base64"))}, "base64");
        const options = { mirror: ${JSON.stringify(pathToFileURL(mirror).href)}, root, now: new Date(${NOW.getTime()}), environment: { HOME: ${JSON.stringify(folder)} } };
        console.log(JSON.stringify((await loadTrust(options)).notices));`);
        expect(printed).toEqual([expect.stringMatching(expected)]);
      }
    },
  );
});

describe("createDownload", () => {
  test("reads files, up to the length that was asked for, also of one without an end", async () => {
    const path = join(makeFolder(), "file");
    writeFileSync(path, "12345");
    const download = createDownload({ environment: {} });
    const url = pathToFileURL(path).href;
    await expect(download(url, 5)).resolves.toEqual(new Uint8Array(Buffer.from("12345")));
    await expect(download(url, 4)).rejects.toThrow(code("HTTP_RESPONSE_TOO_LARGE"));
    await expect(download(`${url}.absent`, 5)).rejects.toThrow(
      expect.objectContaining({ name: "ServiceError", status: 404 }),
    );
    await expect(download("file://elsewhere/x", 5)).rejects.toThrow(
      expect.objectContaining({ name: "ServiceError", status: undefined }),
    );
    if (process.platform !== "win32")
      await expect(download("file:///dev/zero", 1_000_000)).rejects.toThrow(code("HTTP_RESPONSE_TOO_LARGE"));
  });

  test("opens no socket offline", async () => {
    const download = createDownload({ offline: true, fetch: noNetwork });
    await expect(download(`${MIRROR}/timestamp.json`, 5)).rejects.toThrow(code("OFFLINE"));
    await expect(download(`${MIRROR}/timestamp.json`, 5)).rejects.toBeInstanceOf(ServiceError);
  });
});
