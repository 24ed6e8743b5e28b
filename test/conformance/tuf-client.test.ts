import { execFile } from "node:child_process";
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, onTestFinished, test } from "vitest";
import { CLIENT_ENVIRONMENT } from "../support/cli.ts";
import { projectDir } from "../support/shared.ts";
import { daysAfter, TufRepository } from "../support/tuf-repository.ts";

const program = join(projectDir, "test", "conformance", "tuf-client");

interface World {
  readonly repository: TufRepository;
  /** Runs a command, and gives its exit status. */
  readonly run: (command: "init" | "refresh" | "download", ...targets: readonly string[]) => Promise<number>;
  /** Versions of the metadata that the client keeps, by file name. */
  readonly trusted: () => Readonly<Record<string, number>>;
  readonly metadata: (name: string) => Uint8Array;
  /** Contents of the files that the client has downloaded. */
  readonly downloaded: () => readonly string[];
}

/** A repository that is valid now, served on loopback, and folders of a client. */
async function createWorld(prepare: (repository: TufRepository) => void = () => undefined): Promise<World> {
  const repository = new TufRepository(new Date());
  prepare(repository);
  const server = await repository.serve();
  const { url } = server;
  onTestFinished(() => server.close());
  const folder = mkdtempSync(join(tmpdir(), "tuf-conformance-"));
  onTestFinished(() => rmSync(folder, { recursive: true }));
  const path = (...names: readonly string[]): string => join(folder, ...names);
  for (const name of ["metadata", "targets"]) mkdirSync(path(name));
  const initial = repository.files.get("1.root.json") as Uint8Array;
  const run: World["run"] = async (command, ...targets) => {
    writeFileSync(path("initial_root.json"), initial);
    const where = ["--metadata-dir", path("metadata")];
    const from = ["--metadata-url", `${url}/`];
    const wanted = targets.flatMap((target) => ["--target-name", target]);
    const to = ["--target-base-url", `${url}/targets/`, "--target-dir", path("targets")];
    const args = {
      init: [...where, "init", path("initial_root.json")],
      refresh: [...from, ...where, "refresh"],
      download: [...from, ...where, ...wanted, ...to, "download"],
    }[command];
    const { promise, resolve } = Promise.withResolvers<number>();
    const environment = { PATH: process.env["PATH"], ...CLIENT_ENVIRONMENT };
    execFile(program, args, { env: environment, timeout: 60_000 }, (error) => {
      resolve(error === null ? 0 : Number(error.code));
    });
    return await promise;
  };
  const trusted = (): Record<string, number> =>
    Object.fromEntries(
      readdirSync(path("metadata"))
        .filter((name) => name.endsWith(".json"))
        .map((name) => {
          const { signed } = JSON.parse(readFileSync(path("metadata", name), "utf8")) as {
            signed: { version: number };
          };
          return [name, signed.version];
        }),
    );
  return {
    repository,
    run,
    trusted,
    metadata: (name) => readFileSync(path("metadata", name)),
    downloaded: () => readdirSync(path("targets")).map((name) => readFileSync(path("targets", name), "utf8")),
  };
}

describe("tuf-client (the command line of tuf-conformance)", () => {
  test("init asks for nothing; refresh keeps what it verified, as it came, without versions in names", async () => {
    const { repository, run, trusted, metadata } = await createWorld((one) => one.publish("root"));
    expect(await run("init")).toBe(0);
    expect(repository.requests).toEqual([]);
    expect(await run("refresh")).toBe(0);
    expect(repository.requests).toEqual([
      "2.root.json",
      "3.root.json",
      "timestamp.json",
      "1.snapshot.json",
      "1.targets.json",
    ]);
    expect(trusted()).toEqual({ "root.json": 2, "timestamp.json": 1, "snapshot.json": 1, "targets.json": 1 });
    for (const role of ["root", "timestamp", "snapshot", "targets"])
      expect(metadata(`${role}.json`)).toEqual(repository.latest(role));
  });

  test("refresh fails with status 1, keeps what was verified before, and succeeds once the repository is well", async () => {
    const { repository, run, trusted } = await createWorld();
    await run("init");
    expect(await run("refresh")).toBe(0);
    repository.publish("targets", "snapshot", "timestamp");
    const good = repository.files.get("2.snapshot.json") as Uint8Array;
    repository.files.delete("2.snapshot.json");
    expect(await run("refresh")).toBe(1);
    expect(trusted()).toEqual({ "root.json": 1, "timestamp.json": 2, "snapshot.json": 1, "targets.json": 1 });
    repository.files.set("2.snapshot.json", good);
    expect(await run("refresh")).toBe(0);
    expect(trusted()).toEqual({ "root.json": 1, "timestamp.json": 2, "snapshot.json": 2, "targets.json": 2 });
  });

  test("refuses a rollback, an expired timestamp and an initial root that nobody signed", async () => {
    const { repository, run, trusted } = await createWorld();
    const old = repository.latest("timestamp");
    repository.publish("timestamp");
    await run("init");
    expect(await run("refresh")).toBe(0);
    repository.files.set("timestamp.json", old);
    expect(await run("refresh")).toBe(1);
    repository.timestamp.expires = `${daysAfter(new Date(), -1).toISOString().slice(0, 19)}Z`;
    repository.publish("timestamp");
    expect(await run("refresh")).toBe(1);
    expect(trusted()).toMatchObject({ "timestamp.json": 2 });

    const unsigned = await createWorld((one) => one.tamper("1.root.json", (root) => (root.signatures = [])));
    await unsigned.run("init");
    expect(await unsigned.run("refresh")).toBe(1);
    expect(unsigned.repository.requests).toEqual([]);
  });

  test("download refreshes, follows delegations, keeps targets and does not fetch them again", async () => {
    const { repository, run, downloaded } = await createWorld((one) => {
      one.delegate("targets", "../role", { paths: ["path/*"] });
      one.addTarget("path/file", "delegated", "../role");
      one.addTarget("file", "content");
      one.publishTargets("../role");
    });
    await run("init");
    expect(await run("download", "file", "path/file")).toBe(0);
    expect(downloaded().toSorted((one, other) => (one < other ? -1 : 1))).toEqual(["content", "delegated"]);
    expect(repository.requests).toContain("1...%2Frole.json");
    repository.requests.length = 0;
    expect(await run("download", "file", "path/file")).toBe(0);
    expect(repository.requests).toEqual(["2.root.json", "timestamp.json"]);
  });

  test("download stops with status 1 at a target that is not there or not what it should be, and keeps nothing of it", async () => {
    const { repository, run, downloaded } = await createWorld((one) => {
      one.addTarget("file", "content");
      one.addTarget("other", "content, too");
      one.publishTargets();
    });
    await run("init");
    for (const [name, bytes] of repository.files)
      if (name.endsWith(".other")) repository.files.set(name, Buffer.alloc(bytes.length));
    expect(await run("download", "file", "missing", "other")).toBe(1);
    expect(downloaded()).toEqual(["content"]);
    expect(await run("download", "other")).toBe(1);
    expect(downloaded()).toEqual(["content"]);
  });

  test("anything else is wrong usage", async () => {
    const { run } = await createWorld();
    await run("init");
    expect(await run("explode" as "init")).toBe(2);
  });
});
