import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { ServiceError } from "../../src/errors.ts";
import { createMemoryCache, type Cache } from "../../src/tuf/cache.ts";
import { TufClient } from "../../src/tuf/tuf-client.ts";
import type { Download } from "../../src/tuf/updater.ts";
import { sharedAvailable, sharedDir } from "../support/shared.ts";

const VECTORS = join(sharedDir, "conformance", "vectors", "tuf");

interface Case {
  readonly repository: string;
  readonly initialRoot: string;
  readonly clock: string;
  readonly target: string;
  readonly refresh: "accept" | "reject";
  readonly download: "accept" | "reject";
  readonly trusted?: Readonly<Record<string, string>>;
}

const CASES = sharedAvailable()
  ? (JSON.parse(readFileSync(join(VECTORS, "cases.json"), "utf8")) as { cases: readonly Case[] }).cases
  : [];

/** Serves a folder, with what it has no file for refused as a server does. */
function serveFolders(...folders: readonly string[]): Download {
  return (url) => {
    const name = decodeURIComponent(url.replace("https://tuf.test/", ""));
    const path = folders.map((folder) => join(folder, name)).find((candidate) => existsSync(candidate));
    if (path === undefined)
      return Promise.reject(new ServiceError("HTTP_STATUS_UNEXPECTED", `no ${name}`, { status: 404 }));
    return Promise.resolve(readFileSync(path));
  };
}

function readVector(...path: readonly string[]): Uint8Array {
  return readFileSync(join(VECTORS, ...path));
}

describe.skipIf(!sharedAvailable())("TufClient (repositories of tuf-conformance and sigstore-java)", () => {
  async function open({ repository, initialRoot, clock, trusted = {} }: Case): Promise<TufClient> {
    const cache = createMemoryCache();
    cache.write("root.json", readVector(initialRoot));
    for (const [name, path] of Object.entries(trusted)) cache.write(name, readVector(path));
    const folder = join(VECTORS, repository);
    const metadata = existsSync(join(folder, "metadata")) ? join(folder, "metadata") : folder;
    return await TufClient.open({
      mirror: "https://tuf.test",
      targetsUrl: "https://tuf.test/targets",
      cache,
      folder: "",
      download: serveFolders(metadata, folder),
      now: new Date(clock),
      allowStale: false,
    });
  }

  test.for(CASES)("$repository: refresh is to $refresh, download to $download", async (one) => {
    const opened = open(one);
    if (one.refresh === "reject") {
      await expect(opened).rejects.toThrow(expect.objectContaining({ name: "TrustError" }));
      return;
    }
    const target = (await opened).target(one.target);
    if (one.download === "accept") expect((await target).length).toBeGreaterThan(0);
    else await expect(target).rejects.toThrow(expect.objectContaining({ code: "TUF_TARGET_INVALID" }));
  });

  test.for([
    ["synthetic/root-unsigned", "TUF_THRESHOLD_NOT_MET"],
    ["synthetic/timestamp-rollback-version", "TUF_ROLLBACK"],
    ["synthetic/snapshot-invalid-hash", "TUF_METADATA_INVALID"],
    ["synthetic/targets-expired", "TUF_METADATA_EXPIRED"],
  ] as const)("%s is refused for what is wrong with it: %s", async ([repository, code]) => {
    const one = CASES.find((candidate) => candidate.repository === repository);
    await expect(open(one as Case)).rejects.toThrow(expect.objectContaining({ code }));
  });

  test("accepts Sigstore's until the end of its timestamp, and not from then on", async () => {
    const one = CASES.find(({ repository }) => repository === "static/sigstore-root-signing") as Case;
    const { signed } = JSON.parse(Buffer.from(readVector(one.repository, "metadata", "timestamp.json")).toString()) as {
      signed: { expires: string };
    };
    const end = Date.parse(signed.expires);
    await expect(open({ ...one, clock: new Date(end - 1).toISOString() })).resolves.toBeInstanceOf(TufClient);
    await expect(open({ ...one, clock: new Date(end).toISOString() })).rejects.toThrow(
      expect.objectContaining({ code: "TUF_METADATA_EXPIRED" }),
    );
  });
});

describe.skipIf(!sharedAvailable())("TufClient (Sigstore's production repository)", () => {
  const folder = join(VECTORS, "root-signing");
  const delegated = sharedAvailable() ? delegatedRole() : "";
  const NAMED = {
    "165.snapshot.json": "snapshot.json",
    "14.targets.json": "targets.json",
    [`8.${delegated}.json`]: `${delegated}.json`,
  };
  const versions = sharedAvailable()
    ? readdirSync(join(folder, "root_history")).map((name) => Number.parseInt(name, 10))
    : [];
  const download: Download = async (url, maxBytes) => {
    const name = url.replace("https://tuf.test/", "");
    const renamed = Object.entries(NAMED).find(([served]) => served === name)?.[1] ?? name;
    return await serveFolders(folder, join(folder, "root_history"))(url.replace(name, renamed), maxBytes);
  };
  const open = (root: Uint8Array, cache: Cache = createMemoryCache()): Promise<TufClient> =>
    TufClient.open({
      mirror: "https://tuf.test",
      root,
      cache,
      folder: "mirror",
      download,
      now: new Date("2026-08-25T00:00:00Z"),
    });

  test.for(versions.toSorted((a, b) => a - b))("walks from root version %i to the newest", async (version) => {
    const cache = createMemoryCache();
    const client = await open(readVector("root-signing", "root_history", `${version}.root.json`), cache);
    expect(client.source).toMatchObject({ fromCache: false, expired: false });
    if (version < 15)
      expect(cache.read("mirror/root.json")).toEqual(readVector("root-signing", "root_history", "15.root.json"));
    expect(cache.read("mirror/timestamp.json")).toEqual(readVector("root-signing", "timestamp.json"));
  });

  test("reads the metadata of its delegated role", async () => {
    const cache = createMemoryCache();
    const client = await open(readVector("root-signing", "root_history", "15.root.json"), cache);
    await expect(client.target(`${delegated}/keys.json`)).rejects.toThrow(
      expect.objectContaining({ code: "TUF_REFRESH_FAILED" }),
    ); // its content is not here
    expect(cache.read(`mirror/${delegated}.json`)).toEqual(readVector("root-signing", `${delegated}.json`));
  });
});

/** The one role that the production repository delegates to. */
function delegatedRole(): string {
  const { signed } = JSON.parse(Buffer.from(readVector("root-signing", "targets.json")).toString()) as {
    signed: { delegations: { roles: readonly { name: string }[] } };
  };
  return signed.delegations.roles[0]?.name ?? "";
}
