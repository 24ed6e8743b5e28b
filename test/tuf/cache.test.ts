import { spawnSync } from "node:child_process";
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { StorageError } from "../../src/errors.ts";
import {
  createFolderCache,
  createMemoryCache,
  defaultCacheFolder,
  encodeSegment,
  mirrorFolderName,
} from "../../src/tuf/cache.ts";
import { anyText } from "../support/hostile.ts";
import { canRunAsOrdinaryUser, makeOpenFolder, runAsOrdinaryUser } from "../support/ordinary-user.ts";

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "tuf-cache-"));
});
afterEach(() => {
  rmSync(folder, { recursive: true, force: true });
});

const BYTES = Uint8Array.of(0, 255, 10);

describe("createFolderCache", () => {
  test("keeps bytes in files of their names, for this user alone, and nothing else", () => {
    const cache = createFolderCache(join(folder, "made", "when needed"));
    expect(cache.read("mirror/root.json")).toBeUndefined();
    expect(readdirSync(folder)).toEqual([]);
    cache.write("mirror/root.json", BYTES);
    cache.write("mirror/root.json", Uint8Array.of(1));
    expect(cache.read("mirror/root.json")).toEqual(Buffer.from([1]));
    const path = join(folder, "made", "when needed", "mirror");
    expect(readdirSync(path)).toEqual(["root.json"]);
    if (process.platform !== "win32")
      expect([statSync(path).mode & 0o777, statSync(join(path, "root.json")).mode & 0o777]).toEqual([0o700, 0o600]);
    cache.remove("mirror");
    expect(cache.read("mirror/root.json")).toBeUndefined();
    cache.remove("mirror"); // what is not there need not be removed
  });

  test("finds nothing where its folder is a file, and cannot write there", () => {
    const file = join(folder, "file");
    writeFileSync(file, "");
    const cache = createFolderCache(file);
    expect(cache.read("root.json")).toBeUndefined();
    expect(() => cache.write("root.json", BYTES)).toThrow(
      expect.objectContaining({ code: "WRITE_FAILED", remedy: expect.stringContaining("TUF_ROOT") as unknown }),
    );
  });

  test("leaves the old file and no other when writing fails", () => {
    const cache = createFolderCache(folder);
    mkdirSync(join(folder, "root.json")); // a rename onto a folder fails
    expect(() => cache.write("root.json", BYTES)).toThrow(expect.objectContaining({ code: "WRITE_FAILED" }));
    expect(readdirSync(folder)).toEqual(["root.json"]);
  });

  test.for(["a folder", "a link to itself"])("says in one line that a file cannot be read which is %s", (kind) => {
    const path = join(folder, "root.json");
    if (kind === "a folder") mkdirSync(path);
    else symlinkSync(path, path);
    const cache = createFolderCache(folder);
    try {
      cache.read("root.json");
      expect.unreachable();
    } catch (error) {
      expect(error).toBeInstanceOf(StorageError);
      expect(error).toMatchObject({
        code: "CACHE_UNREADABLE",
        message: expect.stringContaining(path) as unknown,
        remedy: expect.stringContaining("TUF_ROOT") as unknown,
      });
      expect((error as Error).message).not.toContain("\n");
    }
  });

  // Killed at any moment, a writer leaves a whole file, old or new.
  test("never leaves a part of a file under its name", () => {
    const cache = new URL("../../src/tuf/cache.ts", import.meta.url).href;
    const script = `
      const { createFolderCache } = await import(${JSON.stringify(cache)});
      const cache = createFolderCache(${JSON.stringify(folder)});
      const contents = ["a", "b"].map((letter) => Buffer.from(letter.repeat(500_000)));
      for (let count = 0; ; count += 1) cache.write("file.json", contents[count % 2]);`;
    for (const timeout of [150, 190]) {
      spawnSync(process.execPath, ["--input-type=module", "--eval", script], { timeout, killSignal: "SIGKILL" });
      if (!existsSync(join(folder, "file.json"))) continue; // it was killed before it began
      expect(readFileSync(join(folder, "file.json"), "utf8")).toMatch(/^(a{500000}|b{500000})$/);
    }
  });
});

describe("createMemoryCache", () => {
  test("keeps files, and removes a folder of them", () => {
    const cache = createMemoryCache();
    for (const name of ["a/x", "a/y", "ab/x", "a.json"]) cache.write(name, BYTES);
    cache.remove("a");
    expect(["a/x", "a/y", "ab/x", "a.json"].map((name) => cache.read(name) !== undefined)).toEqual([
      false,
      false,
      true,
      true,
    ]);
  });
});

describe("encodeSegment", () => {
  test.for(["timestamp", "registry.example.org", "trusted_root.json", "signing_config.v0.2.json", "a-b_c.d"])(
    "leaves %s as cosign writes it",
    (name) => {
      expect(encodeSegment(name)).toBe(name);
    },
  );

  const NAMES = [
    "",
    ".",
    "..",
    "...",
    ".hidden",
    "a.",
    "a ",
    "/a",
    "../a",
    "a/../../b",
    "a\\b",
    "..\\a",
    "C:\\a",
    "C:a",
    "\\\\host\\a",
    "con",
    "CON",
    "con.txt",
    "nul",
    "com1",
    "lpt9.x",
    "aux.",
    "%2e%2e",
    "%",
    "a\0b",
    "a\nb",
    "*?<>|\"':",
    "~",
    "ü",
    "\u202E",
    "Timestamp",
    "TIMESTAMP",
    "a".repeat(300),
    "A".repeat(100),
  ];

  test.for(NAMES)("makes %j a file name that stays in its folder, on every platform", (name) => {
    const segment = encodeSegment(name);
    expect(segment).toMatch(/^[a-z0-9._%A-F-]+$/);
    expect(segment).not.toMatch(/^\.|\.$|^(con|prn|aux|nul|com\d|lpt\d)(\.|$)/);
    expect(segment.length).toBeLessThanOrEqual(200);
  });

  test("never makes one file name of two names, also where capitals are not told apart", () => {
    const folded = NAMES.map((name) => encodeSegment(name).toLowerCase());
    expect(new Set(folded).size).toBe(NAMES.length);
    const anyName = anyText({ maxLength: 12 }).map((name) => name.toWellFormed());
    fc.assert(
      fc.property(anyName, anyName, (one, other) => {
        fc.pre(one !== other);
        return encodeSegment(one).toLowerCase() !== encodeSegment(other).toLowerCase();
      }),
    );
  });
});

describe("mirrorFolderName (as cosign lays its cache out)", () => {
  test.for([
    ["https://tuf-repo-cdn.sigstore.dev", "tuf-repo-cdn.sigstore.dev"],
    ["https://tuf-repo-cdn.sigstore.dev/", "tuf-repo-cdn.sigstore.dev"],
    ["http://localhost:8080/tuf/Repo", "localhost-8080-tuf-repo"],
    ["file:///srv/tuf", "-srv-tuf"],
    ["https://../..", "%2E.-.%2E"],
    ["", "-"],
  ] as const)("%s: %s", ([mirror, name]) => {
    expect(mirrorFolderName(mirror)).toBe(name);
  });
});

describe("defaultCacheFolder", () => {
  test("is TUF_ROOT, otherwise .sigstore/root at home", () => {
    expect(defaultCacheFolder({ TUF_ROOT: "/somewhere", HOME: folder })).toBe("/somewhere");
    expect(defaultCacheFolder({ TUF_ROOT: "", HOME: folder })).toBe(join(folder, ".sigstore", "root"));
    expect(defaultCacheFolder({ USERPROFILE: folder })).toBe(join(folder, ".sigstore", "root"));
  });

  test("is none without a home, or with one that is not there", () => {
    expect(defaultCacheFolder({ HOME: "" })).toBeUndefined();
    expect(defaultCacheFolder({ HOME: join(folder, "absent") })).toBeUndefined();
  });
});

describe.skipIf(!canRunAsOrdinaryUser)(
  "the cache of a user with permissions (needs one that may read this project)",
  () => {
    const outcomeOf = (call: string, path: string): unknown =>
      runAsOrdinaryUser(`
      const { createFolderCache, defaultCacheFolder } = await load("src/tuf/cache.ts");
      const path = ${JSON.stringify(path)};
      try { console.log(JSON.stringify(${call} ?? "nothing")); } catch ({ code, message }) { console.log(JSON.stringify({ code, message })); }`);

    test("is told to be unreadable where a file is not for this user", () => {
      const open = makeOpenFolder();
      writeFileSync(join(open, "root.json"), "");
      chmodSync(join(open, "root.json"), 0);
      expect(outcomeOf('createFolderCache(path).read("root.json")', open)).toEqual({
        code: "CACHE_UNREADABLE",
        message: `could not read the TUF cache ${join(open, "root.json")}: EACCES`,
      });
    });

    test("is told to be unwritable where the folder may only be read", () => {
      const open = makeOpenFolder();
      writeFileSync(join(open, "root.json"), "{}");
      chmodSync(join(open, "root.json"), 0o444);
      chmodSync(open, 0o555);
      expect(outcomeOf('createFolderCache(path).read("root.json").toString()', open)).toBe("{}");
      expect(outcomeOf('createFolderCache(path).write("root.json", Buffer.from("x"))', open)).toMatchObject({
        code: "WRITE_FAILED",
      });
      expect(readdirSync(open)).toEqual(["root.json"]);
    });

    test("is nowhere with a home that this user may not enter", () => {
      const open = makeOpenFolder();
      chmodSync(open, 0);
      expect(outcomeOf("defaultCacheFolder({ HOME: path })", open)).toBe("nothing");
    });
  },
);
