import { createHash } from "node:crypto";
import { Root } from "@tufjs/models";
import { UnsignedMetadataError } from "@tufjs/models/dist/error.js";
import { getPublicKey } from "@tufjs/models/dist/utils/key.js";
import fc from "fast-check";
import { BadVersionError, EqualVersionError, ExpiredMetadataError } from "tuf-js/dist/error.js";
import { TrustedMetadataStore } from "tuf-js/dist/store.js";
import { describe, expect, test } from "vitest";
import { ServiceError, SigstoreError } from "../../src/errors.ts";
import {
  openRepository,
  verifyTarget,
  type MetadataStore,
  type RepositoryOptions,
  type VerifiedRepository,
} from "../../src/tuf/updater.ts";
import { createKey, daysAfter, NOW, TufRepository } from "../support/tuf-repository.ts";

/** What a client trusts, as tuf-conformance looks at it: file names without `.json`. */
class Store implements MetadataStore {
  readonly files = new Map<string, Uint8Array>();
  readonly roots = new Map<number, Uint8Array>();
  constructor(root: Uint8Array) {
    this.files.set("root", root);
  }
  load(role: string): Uint8Array | undefined {
    return this.files.get(role);
  }
  loadRootVersion(version: number): Uint8Array | undefined {
    return this.roots.get(version);
  }
  keep(role: string, version: number, bytes: Uint8Array): void {
    this.files.set(role, bytes);
    if (role === "root") this.roots.set(version, bytes);
  }
  versions(): Record<string, number> {
    const version = (bytes: Uint8Array): number =>
      (JSON.parse(Buffer.from(bytes).toString()) as { signed: { version: number } }).signed.version;
    return Object.fromEntries([...this.files].map(([role, bytes]) => [role, version(bytes)]));
  }
}

interface World {
  readonly repository: TufRepository;
  readonly store: Store;
  readonly refresh: (changes?: Partial<RepositoryOptions>) => Promise<VerifiedRepository>;
}

function createWorld(): World {
  const repository = new TufRepository();
  const store = new Store(repository.latest("root"));
  const { download } = repository;
  return {
    repository,
    store,
    refresh: (changes) =>
      openRepository({ metadataUrl: "https://tuf.test", store, now: NOW, download, mode: "remote", ...changes }),
  };
}

const code = (value: string): unknown => expect.objectContaining({ code: value }) as unknown;

describe("the parts of tuf-js that are used (a new version may change them)", () => {
  test("are where they were", () => {
    const store = new TrustedMetadataStore(Buffer.from(new TufRepository().latest("root")));
    // Private: the clock. If this fails, expiry is compared with the system's time.
    expect(Object.getOwnPropertyDescriptor(store, "referenceTime")?.value).toBeInstanceOf(Date);
    expect(store.root).toMatchObject({ signed: { version: 1, consistentSnapshot: true } });
    for (const method of ["updateRoot", "updateTimestamp", "updateSnapshot", "updateDelegatedTargets", "getRole"])
      expect(store).toHaveProperty(method, expect.any(Function));
    expect(store.root).toHaveProperty("verifyDelegate", expect.any(Function));
    for (const type of [BadVersionError, EqualVersionError, ExpiredMetadataError, UnsignedMetadataError])
      expect(type.prototype).toBeInstanceOf(Error);
    expect(getPublicKey({ keyType: "ed25519", scheme: "ed25519", keyVal: "00".repeat(32) }).key).toHaveProperty(
      "export",
    );
    expect(Root.prototype).toHaveProperty("isExpired", expect.any(Function));
  });

  test("take the clock that is set", async () => {
    const { repository, refresh } = createWorld();
    const end = new Date(repository.root.expires);
    await expect(refresh({ now: new Date(end.getTime() - 1) })).resolves.toBeDefined();
    await expect(refresh({ now: end })).rejects.toThrow(code("TUF_METADATA_EXPIRED"));
  });
});

describe("openRepository (TUF specification §5)", () => {
  test("asks for the next root, the timestamp, the snapshot and the targets, in this order, and keeps the bytes as they came", async () => {
    const { repository, store, refresh } = createWorld();
    repository.files.set("timestamp.json", Buffer.concat([repository.latest("timestamp"), Buffer.from(" \n")]));
    const opened = await refresh();
    expect(repository.requests).toEqual(["2.root.json", "timestamp.json", "1.snapshot.json", "1.targets.json"]);
    for (const role of ["root", "timestamp", "snapshot", "targets"])
      expect(store.files.get(role)).toEqual(repository.latest(role));
    expect(opened.expires).toEqual(new Date(repository.root.expires));
    expect((["root", "timestamp", "snapshot", "targets"] as const).map((role) => opened.version(role))).toEqual([
      1, 1, 1, 1,
    ]);
  });

  test("asks only for root and timestamp when nothing has changed", async () => {
    const { repository, refresh } = createWorld();
    await refresh();
    repository.requests.length = 0;
    await refresh();
    expect(repository.requests).toEqual(["2.root.json", "timestamp.json"]);
  });

  test("asks for nothing when the initial root is not one", async () => {
    const { repository, store, refresh } = createWorld();
    store.files.set("root", Buffer.from("{}"));
    await expect(refresh()).rejects.toThrow(code("TUF_METADATA_INVALID"));
    expect(repository.requests).toEqual([]);
  });

  test("asks for nothing when the initial root is not signed by its own keys", async () => {
    const { repository, store, refresh } = createWorld();
    repository.tamper("1.root.json", ({ signatures }) => Object.assign(signatures[0] ?? {}, { sig: "00" }));
    store.files.set("root", repository.latest("root"));
    await expect(refresh()).rejects.toThrow(code("TUF_THRESHOLD_NOT_MET"));
    expect(repository.requests).toEqual([]);
  });

  test("names the remedy when there is no root", async () => {
    const { store, refresh } = createWorld();
    store.files.clear();
    await expect(refresh()).rejects.toThrow(
      expect.objectContaining({
        code: "TUF_ROOT_MISSING",
        remedy: expect.stringContaining("cosign-ts initialize") as unknown,
      }),
    );
  });

  test("reads a repository without consistent snapshots by plain names", async () => {
    const { repository, store, refresh } = createWorld();
    repository.root.consistent_snapshot = false;
    repository.publish("root", "targets", "snapshot", "timestamp");
    const opened = await refresh();
    expect(repository.requests).toEqual([
      "2.root.json",
      "3.root.json",
      "timestamp.json",
      "snapshot.json",
      "targets.json",
    ]);
    expect(opened.consistentSnapshot).toBe(false);
    expect(store.versions()).toEqual({ root: 2, timestamp: 2, snapshot: 2, targets: 2 });
  });

  test("accepts metadata with fields that it does not know, which are signed too", async () => {
    const { repository, store, refresh } = createWorld();
    Object.assign(repository.root, { "custom-field": { b: [1, null], a: "ü" } });
    Object.assign(repository.root.roles["timestamp"] ?? {}, { "another-field": "value" });
    const key = createKey();
    Object.assign(key.json, { keyid_hash_algorithms: ["md5"] });
    repository.addKey("snapshot", key);
    repository.publish("root", "snapshot", "timestamp");
    await refresh();
    expect(store.versions()).toMatchObject({ root: 2, snapshot: 2 });
  });

  test.for(["ed25519", "ecdsa-sha2-nistp256", "ecdsa-sha2-nistp384", "rsassa-pss-sha256"] as const)(
    "verifies signatures of %s, and refuses wrong ones",
    async (kind) => {
      const { repository, store, refresh } = createWorld();
      const key = repository.addKey("root", createKey(kind));
      (repository.root.roles["root"] as { threshold: number }).threshold = 2;
      repository.publish("root");
      await refresh();
      expect(store.versions()["root"]).toBe(2);
      repository.publish("root");
      const wrong = key.sign(Buffer.from("something else"));
      repository.tamper("3.root.json", ({ signatures }) =>
        Object.assign(signatures.find(({ keyid }) => keyid === key.id) ?? {}, { sig: wrong }),
      );
      await expect(refresh()).rejects.toThrow(code("TUF_THRESHOLD_NOT_MET"));
      expect(store.versions()["root"]).toBe(2);
    },
  );

  test("accepts a wrong and an empty signature beside enough good ones", async () => {
    const { repository, store, refresh } = createWorld();
    repository.addKey("timestamp");
    repository.publish("root", "timestamp");
    repository.tamper("timestamp.json", ({ signatures }) => Object.assign(signatures[0] ?? {}, { sig: "" }));
    await refresh();
    repository.publish("timestamp");
    repository.tamper("timestamp.json", ({ signatures }) =>
      Object.assign(signatures[0] ?? {}, { sig: signatures[1]?.sig }),
    );
    await refresh();
    expect(store.versions()["timestamp"]).toBe(3);
  });
});

describe("openRepository, step by step", () => {
  test.for([
    ["root", { root: 1 }],
    ["timestamp", { root: 2 }],
    ["snapshot", { root: 2, timestamp: 2 }],
    ["targets", { root: 2, timestamp: 2, snapshot: 2 }],
  ] as const)("refuses unsigned %s, and keeps what was verified before it", async ([role, trusted]) => {
    const { repository, store, refresh } = createWorld();
    repository.signers[role] = [];
    repository.publish("root", "targets", "snapshot", "timestamp");
    await expect(refresh()).rejects.toThrow(code("TUF_THRESHOLD_NOT_MET"));
    expect(store.versions()).toEqual(trusted);
  });

  test.for([
    ["root", { root: 1 }],
    ["snapshot", { root: 2, timestamp: 2 }],
    ["targets", { root: 2, timestamp: 2, snapshot: 2 }],
  ] as const)("refuses %s whose version is not that of its name", async ([role, trusted]) => {
    const { repository, store, refresh } = createWorld();
    repository.publish("root", "targets", "snapshot", "timestamp");
    const signed = { ...repository.signed(role), version: 3 };
    repository.files.set(`2.${role}.json`, repository.sign(role, signed));
    await expect(refresh()).rejects.toThrow(code("TUF_METADATA_INVALID"));
    expect(store.versions()).toEqual(trusted);
  });

  test.for([
    ["snapshot", { root: 1, timestamp: 2, snapshot: 1, targets: 1 }],
    ["targets", { root: 1, timestamp: 2, snapshot: 2, targets: 1 }],
  ] as const)(
    "reports %s that is announced and not there, and keeps what was verified before it",
    async ([role, trusted]) => {
      const { repository, store, refresh } = createWorld();
      await refresh();
      repository.publish("targets", "snapshot", "timestamp");
      repository.files.delete(`2.${role}.json`);
      await expect(refresh()).rejects.toThrow(expect.objectContaining({ name: "ServiceError", status: 404 }));
      expect(store.versions()).toEqual(trusted);
    },
  );

  test("reports a missing timestamp", async () => {
    const { repository, refresh } = createWorld();
    repository.files.delete("timestamp.json");
    await expect(refresh()).rejects.toThrow(expect.objectContaining({ name: "ServiceError", status: 404 }));
  });

  test("refuses a snapshot that is served as a timestamp", async () => {
    const { repository, store, refresh } = createWorld();
    repository.addKey("snapshot", repository.signers["timestamp"]?.[0]);
    repository.snapshot.meta["snapshot.json"] = { version: 1 };
    repository.publish("root", "snapshot");
    repository.files.set("timestamp.json", repository.latest("snapshot"));
    await expect(refresh()).rejects.toThrow(code("TUF_METADATA_INVALID"));
    expect(store.versions()).toEqual({ root: 2 });
  });

  test("follows length and hashes where they are given, from timestamp to targets", async () => {
    const { repository, store, refresh } = createWorld();
    repository.withHashes = true;
    repository.publish("targets", "snapshot", "timestamp");
    await refresh();
    expect(store.versions()).toEqual({ root: 1, timestamp: 2, snapshot: 2, targets: 2 });
    const published = repository.snapshot.meta;
    repository.publish("targets");
    Object.assign(published["targets.json"] ?? {}, { hashes: { sha256: "00".repeat(32) } });
    repository.publish("snapshot", "timestamp");
    await expect(refresh()).rejects.toThrow(code("TUF_METADATA_INVALID"));
    expect(store.versions()).toEqual({ root: 1, timestamp: 3, snapshot: 3, targets: 2 });
  });

  test.for([
    ["an unknown algorithm", { hashes: { "unknown-hash": "00" } }],
    ["another length", { length: 7 }],
  ] as const)("refuses a snapshot of which the timestamp says %s", async ([, file]) => {
    const { repository, refresh } = createWorld();
    repository.publish("snapshot");
    Object.assign(repository.timestamp.meta["snapshot.json"] ?? {}, file);
    repository.publish("timestamp");
    await expect(refresh()).rejects.toThrow(code("TUF_METADATA_INVALID"));
  });

  test("asks for no more bytes than are announced, and never for more than there is a limit", async () => {
    const { repository, refresh } = createWorld();
    repository.withHashes = true;
    repository.publish("targets", "snapshot");
    (repository.timestamp.meta["snapshot.json"] as { length: number }).length = 2 ** 50;
    repository.publish("timestamp");
    const asked: Record<string, number> = {};
    const download: RepositoryOptions["download"] = (url, maxBytes) => {
      asked[url.slice("https://tuf.test/".length)] = maxBytes;
      return repository.download(url, maxBytes);
    };
    await expect(refresh({ download })).rejects.toThrow(code("TUF_METADATA_INVALID"));
    expect(asked).toEqual({ "2.root.json": 512_000, "timestamp.json": 16_384, "2.snapshot.json": 5_000_000 });
  });

  test("refuses metadata without an end", async () => {
    const { repository, refresh } = createWorld();
    repository.files.set("timestamp.json", Buffer.alloc(20_000, 0x20));
    await expect(refresh()).rejects.toThrow(code("TUF_METADATA_INVALID"));
  });
});

describe("openRepository against rollback (§5.4.3, §5.5.5)", () => {
  test("refuses an older timestamp", async () => {
    const { repository, store, refresh } = createWorld();
    const old = repository.latest("timestamp");
    repository.publish("timestamp");
    await refresh();
    repository.files.set("timestamp.json", old);
    await expect(refresh()).rejects.toThrow(code("TUF_ROLLBACK"));
    expect(store.versions()["timestamp"]).toBe(2);
    expect(repository.requests.at(-1)).toBe("timestamp.json");
  });

  test("keeps its timestamp when another comes with the same version", async () => {
    const { repository, store, refresh } = createWorld();
    await refresh();
    repository.timestamp.meta["snapshot.json"] = { version: 100 };
    repository.publishAsIs("timestamp");
    await refresh();
    expect(repository.requests.at(-1)).toBe("timestamp.json");
    expect(store.files.get("timestamp")).not.toEqual(repository.latest("timestamp"));
  });

  test.for([false, true])(
    "refuses a timestamp that announces an older snapshot (with hashes: %s)",
    async (withHashes) => {
      const { repository, store, refresh } = createWorld();
      repository.withHashes = withHashes;
      repository.publish("snapshot", "timestamp");
      await refresh();
      repository.snapshot.version = 1;
      repository.publishAsIs("snapshot");
      repository.publish("timestamp");
      await expect(refresh()).rejects.toThrow(code("TUF_ROLLBACK"));
      expect(store.versions()).toMatchObject({ timestamp: 2, snapshot: 2 });
    },
  );

  test.for([false, true])("refuses a snapshot that announces older targets (with hashes: %s)", async (withHashes) => {
    const { repository, store, refresh } = createWorld();
    repository.withHashes = withHashes;
    repository.publish("targets", "snapshot", "timestamp");
    await refresh();
    (repository.targets["targets"] as { version: number }).version = 1;
    repository.publishAsIs("targets");
    repository.publish("snapshot", "timestamp");
    await expect(refresh()).rejects.toThrow(code("TUF_ROLLBACK"));
    expect(store.versions()).toEqual({ root: 1, timestamp: 3, snapshot: 2, targets: 2 });
  });

  test("refuses a snapshot that no longer lists a role", async () => {
    const { repository, store, refresh } = createWorld();
    repository.delegate("targets", "role");
    repository.publishTargets("role");
    await refresh();
    delete repository.snapshot.meta["role.json"];
    repository.publish("snapshot", "timestamp");
    await expect(refresh()).rejects.toThrow(code("TUF_ROLLBACK"));
    expect(store.versions()).toMatchObject({ timestamp: 3, snapshot: 2 });
  });

  test("refuses an older root under the name of the next", async () => {
    const { repository, store, refresh } = createWorld();
    repository.publish("root");
    await refresh();
    repository.files.set("3.root.json", repository.files.get("1.root.json") as Uint8Array);
    await expect(refresh()).rejects.toThrow(code("TUF_ROLLBACK"));
    expect(store.versions()["root"]).toBe(2);
  });

  test("uses the roots that it has seen, whatever the repository still serves", async () => {
    const { repository, store, refresh } = createWorld();
    const first = repository.latest("root");
    const oldTimestamp = repository.latest("timestamp");
    repository.rotateKeys("timestamp");
    repository.publish("root", "timestamp");
    await refresh();
    // Whoever has the replaced key serves what it signed, and hides the root that replaced it.
    store.files.set("root", first);
    repository.files.delete("2.root.json");
    repository.files.set("timestamp.json", oldTimestamp);
    await expect(refresh()).rejects.toThrow(code("TUF_THRESHOLD_NOT_MET"));
    // A wrong answer must not make it forget them either.
    repository.files.set("timestamp.json", Buffer.from("{}"));
    await expect(refresh()).rejects.toThrow(code("TUF_METADATA_INVALID"));
    repository.files.set("timestamp.json", oldTimestamp);
    await expect(refresh()).rejects.toThrow(code("TUF_THRESHOLD_NOT_MET"));
  });

  test("replaces a damaged root of its history by the repository's, and does not go on without one", async () => {
    const { repository, store, refresh } = createWorld();
    const first = repository.latest("root");
    repository.publish("root");
    await refresh();
    store.files.set("root", first);
    store.roots.set(2, Buffer.from("damaged"));
    await refresh();
    expect(store.roots.get(2)).toEqual(repository.latest("root"));
    store.files.set("root", first);
    store.roots.set(2, Buffer.from("damaged"));
    repository.files.delete("2.root.json");
    await expect(refresh()).rejects.toThrow(code("TUF_ROLLBACK"));
  });
});

describe("openRepository out of a fast-forward attack (§5.3.11)", () => {
  test.for([
    ["timestamp", ["timestamp"]],
    ["snapshot", ["timestamp", "snapshot"]],
    ["targets", ["snapshot"]],
  ] as const)("accepts a lower version of %s once the keys of %s were replaced", async ([role, rotated]) => {
    const { repository, store, refresh } = createWorld();
    repository.signed(role).version = 99_999;
    for (const name of ["targets", "snapshot", "timestamp"]) repository.publishAsIs(name);
    await refresh();
    expect(store.versions()[role]).toBe(99_999);
    for (const name of rotated) repository.rotateKeys(name);
    repository.publish("root");
    repository.signed(role).version = 1;
    for (const name of ["targets", "snapshot", "timestamp"]) {
      if (name === role) repository.publishAsIs(name);
      else repository.publish(name);
    }
    await refresh();
    expect(store.versions()[role]).toBe(1);
  });

  test("does not accept it while the keys are the same", async () => {
    const { repository, refresh } = createWorld();
    repository.timestamp.version = 99_999;
    repository.publishAsIs("timestamp");
    await refresh();
    repository.publish("root");
    repository.timestamp.version = 1;
    repository.publishAsIs("timestamp");
    await expect(refresh()).rejects.toThrow(code("TUF_ROLLBACK"));
  });
});

describe("openRepository against freezing (§5.3.10, §5.4.4, §5.5.6, §5.6.5)", () => {
  test.for([
    ["root", { root: 2 }],
    ["timestamp", { root: 2 }],
    ["snapshot", { root: 2, timestamp: 2 }],
    ["targets", { root: 2, timestamp: 2, snapshot: 2 }],
  ] as const)("refuses expired %s, and keeps what was verified before it", async ([role, trusted]) => {
    const { repository, store, refresh } = createWorld();
    repository.signed(role).expires = daysAfter(NOW, -1).toISOString().replace(".000", "");
    repository.publish("root", "targets", "snapshot", "timestamp");
    await expect(refresh()).rejects.toThrow(code("TUF_METADATA_EXPIRED"));
    expect(store.versions()).toEqual(trusted);
  });

  test("asks for nothing after an expired root", async () => {
    const { repository, refresh } = createWorld();
    repository.root.expires = "2026-01-01T00:00:00Z";
    repository.publish("root");
    await expect(refresh()).rejects.toThrow(code("TUF_METADATA_EXPIRED"));
    expect(repository.requests).toEqual(["2.root.json", "3.root.json"]);
  });

  test("walks over expired roots to one that is not", async () => {
    const { repository, store, refresh } = createWorld();
    const { expires } = repository.root;
    repository.root.expires = "2026-01-01T00:00:00Z";
    repository.publish("root");
    repository.root.expires = expires;
    repository.publish("root");
    await refresh();
    expect(store.versions()["root"]).toBe(3);
  });

  test("refuses its own metadata once it has expired, and accepts newer", async () => {
    const { repository, store, refresh } = createWorld();
    repository.timestamp.expires = "2026-06-08T00:00:00Z";
    repository.publish("timestamp");
    await refresh();
    const later = { now: daysAfter(NOW, 18) };
    await expect(refresh(later)).rejects.toThrow(code("TUF_METADATA_EXPIRED"));
    expect(repository.requests.at(-1)).toBe("timestamp.json"); // nothing that could help
    repository.timestamp.expires = "2026-06-22T00:00:00Z";
    repository.publish("targets", "snapshot", "timestamp");
    await refresh(later);
    expect(store.versions()).toEqual({ root: 1, timestamp: 3, snapshot: 2, targets: 2 });
  });
});

describe("openRepository: thresholds", () => {
  test("refuses a snapshot with fewer signatures than its threshold", async () => {
    const { repository, store, refresh } = createWorld();
    repository.addKey("snapshot");
    repository.addKey("snapshot");
    (repository.root.roles["snapshot"] as { threshold: number }).threshold = 3;
    repository.publish("root", "snapshot", "timestamp");
    await refresh();
    repository.signers["snapshot"]?.pop();
    repository.publish("snapshot", "timestamp");
    await expect(refresh()).rejects.toThrow(code("TUF_THRESHOLD_NOT_MET"));
    expect(store.versions()["snapshot"]).toBe(2);
  });

  test.for([
    ["a threshold of 0", 0],
    ["a threshold below 0", -1],
    ["a threshold of one and a half", 1.5],
    ["a threshold that is a string", "1"],
  ] as const)("refuses a root with %s", async ([, threshold]) => {
    const { repository, refresh } = createWorld();
    Object.assign(repository.root.roles["timestamp"] ?? {}, { threshold });
    repository.publish("root");
    await expect(refresh()).rejects.toThrow(code("TUF_METADATA_INVALID"));
  });

  test("refuses a root that lists a key id twice", async () => {
    const { repository, refresh } = createWorld();
    const role = repository.root.roles["timestamp"] as { keyids: string[]; threshold: number };
    role.keyids.push(role.keyids[0] ?? "");
    role.threshold = 2;
    repository.publish("root");
    await expect(refresh()).rejects.toThrow(code("TUF_METADATA_INVALID"));
  });

  test("refuses signatures with one key id", async () => {
    const { repository, store, refresh } = createWorld();
    repository.tamper("1.snapshot.json", ({ signatures }) => signatures.push(...signatures));
    await expect(refresh()).rejects.toThrow(code("TUF_METADATA_INVALID"));
    expect(store.versions()).toEqual({ root: 1, timestamp: 1 });
  });

  test.for([
    ["in the same form", (value: string) => value],
    ["in capitals", (value: string) => value.toUpperCase()],
    [
      "as PEM",
      (value: string) =>
        `-----BEGIN PUBLIC KEY-----\n${Buffer.from(`302a300506032b6570032100${value}`, "hex").toString("base64")}\n-----END PUBLIC KEY-----\n`,
    ],
  ] as const)("refuses a role with one key under two ids, the second %s", async ([, write]) => {
    const { repository, refresh } = createWorld();
    const [key] = repository.signers["timestamp"] as [ReturnType<typeof createKey>];
    const twin = {
      ...key,
      id: "ab".repeat(32),
      json: { ...key.json, keyval: { public: write(key.json.keyval.public) } },
    };
    repository.addKey("timestamp", twin);
    (repository.root.roles["timestamp"] as { threshold: number }).threshold = 2;
    repository.publish("root", "timestamp");
    await expect(refresh()).rejects.toThrow(code("TUF_METADATA_INVALID"));
  });

  test("refuses a delegation with one key under two ids", async () => {
    const { repository, refresh } = createWorld();
    const key = createKey();
    repository.signers["role"] = [key, { ...key, id: "ab".repeat(32) }];
    repository.delegate("targets", "role", { threshold: 2 });
    repository.publishTargets("role");
    await expect(refresh()).rejects.toThrow(code("TUF_METADATA_INVALID"));
  });

  test("lets one key sign for two roles", async () => {
    const { repository, store, refresh } = createWorld();
    repository.rotateKeys("timestamp");
    repository.root.roles["snapshot"] = { keyids: [], threshold: 1 };
    repository.signers["snapshot"] = [];
    repository.addKey("snapshot", repository.signers["timestamp"]?.[0]);
    repository.publish("root", "snapshot", "timestamp");
    await refresh();
    expect(store.versions()).toMatchObject({ timestamp: 2, snapshot: 2 });
  });
});

describe("openRepository: root rotation (§5.3.4; the cases of tuf-conformance)", () => {
  interface Version {
    readonly keys: readonly number[];
    readonly threshold: number;
    readonly signers: readonly number[];
  }
  const version = (keys: readonly number[], threshold: number, signers: readonly number[]): Version => ({
    keys,
    threshold,
    signers,
  });
  const FIVE = [0, 1, 2, 3, 4];
  const OTHER = [0, 1, 3, 4, 5];
  const KEYS = Array.from({ length: 10 }, () => createKey());

  function publishRoots(repository: TufRepository, versions: readonly Version[]): readonly Uint8Array[] {
    return versions.map(({ keys, threshold, signers }, index) => {
      const use = (numbers: readonly number[]): ReturnType<typeof createKey>[] =>
        numbers.map((number) => KEYS[number] ?? createKey());
      repository.root.roles["root"] = { keyids: use(keys).map(({ id }) => id), threshold };
      for (const key of use(keys)) repository.root.keys[key.id] = key.json;
      repository.signers["root"] = use(signers);
      repository.root.version = index + 1;
      repository.publishAsIs("root");
      return repository.latest("root");
    });
  }

  test.for([
    ["one key by another", [version([1], 1, [1]), version([2], 1, [2, 1]), version([2], 1, [2])]],
    [
      "with signatures that nobody needs",
      [version([1], 1, [3, 1, 4]), version([2], 1, [3, 2, 1, 4]), version([2], 1, [3, 2, 4])],
    ],
    [
      "3 of 5 in other combinations",
      [version(FIVE, 3, [0, 2, 4]), version(FIVE, 3, [0, 4, 1]), version(FIVE, 3, [0, 1, 3])],
    ],
    ["one of five", [version(FIVE, 3, [0, 2, 4]), version(OTHER, 3, [0, 4, 1])]],
    [
      "one of five with a step between",
      [version(FIVE, 3, [0, 2, 4]), version(OTHER, 3, [0, 2, 4, 5]), version(OTHER, 3, [0, 4, 5])],
    ],
    [
      "all of five",
      [
        version(FIVE, 3, [0, 2, 4]),
        version([5, 6, 7, 8, 9], 3, [0, 2, 4, 5, 6, 7]),
        version([5, 6, 7, 8, 9], 3, [5, 6, 7]),
      ],
    ],
    ["to a higher threshold", [version([1, 2, 3], 1, [1]), version([1, 2, 3], 2, [1, 2])]],
    [
      "to a lower threshold",
      [version([1, 2, 3], 2, [1, 2]), version([1, 2, 3], 1, [1, 2]), version([1, 2, 3], 1, [1])],
    ],
    ["to more keys", [version([1], 1, [1]), version([1, 2], 2, [1, 2])]],
  ] as const)("follows %s", async ([, versions]) => {
    const { repository, store, refresh } = createWorld();
    const roots = publishRoots(repository, versions);
    store.files.set("root", roots[0] as Uint8Array);
    await refresh();
    expect(store.files.get("root")).toEqual(roots.at(-1));
  });

  test.for([
    ["the old key did not sign", [version([1], 1, [1]), version([2], 1, [2, 3, 4])]],
    ["the new key did not sign", [version([1], 1, [1]), version([2], 1, [1, 3, 4])]],
    ["too few new keys signed", [version(FIVE, 3, [0, 2, 4]), version(OTHER, 3, [0, 2, 4])]],
    ["too few old keys signed", [version(FIVE, 3, [0, 2, 4]), version(OTHER, 3, [0, 4, 5])]],
    ["too few signed for the new threshold", [version([1, 2, 3], 1, [1]), version([1, 2, 3], 2, [2])]],
    ["too few signed for the old threshold", [version([1, 2, 3], 2, [1, 2]), version([1, 2, 3], 1, [1])]],
  ] as const)("refuses a root when %s", async ([, versions]) => {
    const { repository, store, refresh } = createWorld();
    const roots = publishRoots(repository, versions);
    store.files.set("root", roots[0] as Uint8Array);
    await expect(refresh()).rejects.toThrow(code("TUF_THRESHOLD_NOT_MET"));
    expect(store.files.get("root")).toEqual(roots[0]);
  });

  test.for(["timestamp", "snapshot", "targets"])(
    "demands the new keys of %s at once, also for what it has",
    async (role) => {
      const { repository, store, refresh } = createWorld();
      await refresh();
      repository.rotateKeys(role);
      repository.publish("root");
      await expect(refresh()).rejects.toThrow(code("TUF_THRESHOLD_NOT_MET"));
      repository.publish("targets", "snapshot", "timestamp");
      await refresh();
      expect(store.files.get(role)).toEqual(repository.latest(role));
    },
  );

  test("stops after as many roots as one run may walk", async () => {
    const { repository, store, refresh } = createWorld();
    for (let count = 0; count < 300; count += 1) repository.publish("root");
    await refresh();
    expect(store.versions()["root"]).toBe(257);
    await refresh();
    expect(store.versions()["root"]).toBe(301);
  });
});

describe("openRepository: metadata of the wrong shape", () => {
  const WRONG: readonly (readonly [string, (signed: Record<string, unknown>) => void])[] = [
    ["no version", (signed) => delete signed["version"]],
    ["version 0", (signed) => (signed["version"] = 0)],
    ["a version with a fraction", (signed) => (signed["version"] = 1.5)],
    ["a version that is a string", (signed) => (signed["version"] = "1")],
    ["a version beyond 2^53", (signed) => (signed["version"] = 2 ** 53)],
    ["no expiry", (signed) => delete signed["expires"]],
    ["an expiry without a zone", (signed) => (signed["expires"] = "2030-01-01T00:00:00")],
    ["an expiry that is only a year", (signed) => (signed["expires"] = "2030")],
    ["an expiry in words", (signed) => (signed["expires"] = "Jan 1 2030 00:00 GMT")],
    ["an expiry that does not exist", (signed) => (signed["expires"] = "2030-13-01T00:00:00Z")],
    ["an expiry that is a number", (signed) => (signed["expires"] = 4_000_000_000)],
    ["another major specification", (signed) => (signed["spec_version"] = "2.0.0")],
    ["no type", (signed) => delete signed["_type"]],
    ["another type", (signed) => (signed["_type"] = "mirrors")],
  ];

  test.for(
    ["root", "timestamp", "snapshot", "targets"].flatMap((role) => WRONG.map((wrong) => [role, ...wrong] as const)),
  )("refuses %s with %s", async ([role, , change]) => {
    const { repository, refresh } = createWorld();
    repository.publish("root", "targets", "snapshot", "timestamp");
    const signed = structuredClone(repository.signed(role)) as unknown as Record<string, unknown>;
    change(signed);
    repository.files.set(role === "timestamp" ? "timestamp.json" : `2.${role}.json`, repository.sign(role, signed));
    await expect(refresh()).rejects.toThrow(code("TUF_METADATA_INVALID"));
  });

  test.for([
    "null",
    "[]",
    "1",
    '"text"',
    "{}",
    '{"signed":null}',
    '{"signed":[],"signatures":{}}',
    '{"signed":{"version":1,"expires":"2030-01-01T00:00:00Z"},"signatures":null}',
    "",
    "{",
    "<html></html>",
    "\uFEFF{}",
    "\uFFFD",
  ])("refuses a timestamp that is %s", async (text) => {
    const { repository, refresh } = createWorld();
    repository.files.set("timestamp.json", Buffer.from(text));
    await expect(refresh()).rejects.toThrow(code("TUF_METADATA_INVALID"));
  });

  test("refuses a name that stands twice, whichever of the two was signed", async () => {
    const { repository, refresh } = createWorld();
    const text = Buffer.from(repository.latest("timestamp")).toString();
    repository.files.set("timestamp.json", Buffer.from(text.replace('"signed": {', '"signed": {"version": 9,')));
    await expect(refresh()).rejects.toThrow(code("TUF_METADATA_INVALID"));
  });

  test.for(["__proto__", "constructor", "toString"])("takes %s for a name like any other", async (name) => {
    const { repository, refresh } = createWorld();
    const opened = await refresh();
    await expect(opened.find(name)).resolves.toBeUndefined();
    const key = createKey();
    repository.root.keys = Object.fromEntries([...Object.entries(repository.root.keys), [name, key.json]]);
    repository.root.roles["timestamp"]?.keyids.push(name);
    repository.publish("root", "timestamp");
    await refresh();
  });

  // Any single change to any file: it is refused, or it was not part of what was signed.
  test("lets no other exception out, whatever byte is changed or wherever it ends", async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.constantFrom("2.root.json", "timestamp.json", "2.snapshot.json", "2.targets.json"),
        fc.nat(),
        fc.integer({ min: 0, max: 255 }),
        fc.boolean(),
        async (name, position, byte, truncate) => {
          const { repository, store, refresh } = HOSTILE;
          store.files.clear();
          store.roots.clear();
          store.files.set("root", HOSTILE.first);
          const original = repository.files.get(name) as Uint8Array;
          const changed = Uint8Array.from(original);
          const at = position % original.length;
          changed[at] = byte;
          repository.files.set(name, truncate ? original.subarray(0, at) : changed);
          try {
            await refresh();
            expect(JSON.parse(Buffer.from(repository.files.get(name) ?? []).toString())).toMatchObject({
              signed: (JSON.parse(Buffer.from(original).toString()) as { signed: object }).signed,
            });
          } catch (error) {
            if (!(error instanceof SigstoreError)) throw error;
          } finally {
            repository.files.set(name, original);
          }
        },
      ),
      { numRuns: 400 },
    );
  });

  const HOSTILE = createHostileWorld();
  function createHostileWorld(): World & { readonly first: Uint8Array } {
    const world = createWorld();
    const first = world.repository.latest("root");
    world.repository.publish("root", "targets", "snapshot", "timestamp");
    return { ...world, first };
  }
});

describe("openRepository from the store alone", () => {
  const refuse: RepositoryOptions["download"] = () => Promise.reject(new Error("a request was made"));

  test("verifies what it holds, without a request", async () => {
    const { repository, refresh, store } = createWorld();
    const first = repository.latest("root");
    repository.publish("root");
    await refresh();
    store.files.set("root", first);
    const opened = await refresh({ mode: "local", download: refuse });
    expect(opened.version("root")).toBe(2); // by way of its history
  });

  test.for(["timestamp", "snapshot", "targets"])("says so when it holds no %s", async (role) => {
    const { refresh, store } = createWorld();
    await refresh();
    store.files.delete(role);
    await expect(refresh({ mode: "local", download: refuse })).rejects.toThrow(code("TUF_METADATA_MISSING"));
  });

  test.for(["timestamp", "snapshot", "targets"])("refuses %s that was changed", async (role) => {
    const { refresh, store } = createWorld();
    await refresh();
    const text = Buffer.from(store.files.get(role) as Uint8Array).toString();
    store.files.set(role, Buffer.from(text.replace('"version": 1', '"version": 2')));
    await expect(refresh({ mode: "local", download: refuse })).rejects.toThrow(code("TUF_THRESHOLD_NOT_MET"));
  });

  test("refuses a root of its history that was changed", async () => {
    const { repository, refresh, store } = createWorld();
    const first = repository.latest("root");
    repository.publish("root");
    await refresh();
    store.files.set("root", first);
    store.roots.set(
      2,
      Buffer.from(Buffer.from(repository.latest("root")).toString().replace('"version": 2', '"version":  2 ')),
    ); // means the same
    await expect(refresh({ mode: "local", download: refuse })).resolves.toBeDefined();
    store.roots.set(2, first);
    await expect(refresh({ mode: "local", download: refuse })).rejects.toThrow(code("TUF_ROLLBACK"));
  });

  test("refuses what has expired", async () => {
    const { refresh } = createWorld();
    await refresh();
    await expect(refresh({ mode: "local", download: refuse, now: daysAfter(NOW, 31) })).rejects.toThrow(
      code("TUF_METADATA_EXPIRED"),
    );
  });

  test("still fetches delegated metadata when a target needs it", async () => {
    const { repository, refresh } = createWorld();
    repository.delegate("targets", "role", { paths: ["role/*"] });
    repository.addTarget("role/file", "content", "role");
    repository.publishTargets("role");
    await refresh();
    repository.requests.length = 0;
    const opened = await refresh({ mode: "local" });
    await expect(opened.find("role/file")).resolves.toMatchObject({ length: 7 });
    expect(repository.requests).toEqual(["1.role.json"]);
  });

  test("passes on a store that cannot be read", async () => {
    const { refresh, store } = createWorld();
    const failing = Object.assign(Object.create(store) as Store, {
      load: (role: string) => {
        if (role !== "timestamp") return store.load(role);
        throw new ServiceError("OFFLINE", "unreadable");
      },
    });
    await expect(refresh({ store: failing })).rejects.toThrow("unreadable");
  });
});

describe("verifyTarget (§5.7.3)", () => {
  const CONTENT = Buffer.from("content");
  const sha = (name: string): string => createHash(name).update(CONTENT).digest("hex");

  async function find(
    hashes: Record<string, string>,
    length = 7,
  ): Promise<NonNullable<Awaited<ReturnType<VerifiedRepository["find"]>>>> {
    const { repository, refresh } = createWorld();
    repository.addTarget("file", "content");
    Object.assign(repository.targets["targets"]?.targets["file"] ?? {}, { hashes, length });
    repository.publishTargets();
    const target = await (await refresh()).find("file");
    if (target === undefined) throw new Error("not found");
    return target;
  }

  test.for([[["sha256"]], [["sha512"]], [["sha256", "sha512"]], [["md5", "sha384"]]] as const)(
    "accepts content with its %s",
    async ([names]) => {
      await expect(
        verifyTarget(await find(Object.fromEntries(names.map((name) => [name, sha(name)]))), CONTENT),
      ).resolves.toBeUndefined();
    },
  );

  test.for([
    ["another hash", { sha256: "00".repeat(32) }, 7],
    ["a wrong hash beside a right one", { sha256: sha("sha256"), sha512: "00".repeat(64) }, 7],
    ["another length", { sha256: sha("sha256") }, 8],
    ["no hash", {}, 7],
    ["only a weak hash", { md5: sha("md5"), sha1: sha("sha1") }, 7],
    ["an unknown algorithm beside a right hash", { sha256: sha("sha256"), unknown: "00" }, 7],
    ["a hash under a name of Object.prototype", { constructor: sha("sha256") }, 7],
  ] as const)("refuses content of which the metadata has %s", async ([, hashes, length]) => {
    await expect(verifyTarget(await find(hashes, length), CONTENT)).rejects.toThrow(code("TUF_TARGET_INVALID"));
  });
});
