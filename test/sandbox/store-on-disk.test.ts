import { spawn } from "node:child_process";
import { once } from "node:events";
import {
  appendFileSync,
  existsSync,
  readdirSync,
  readFileSync,
  statSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { describe, expect, onTestFinished, test } from "vitest";
import { createFolderStore, type FolderStore } from "../../src/sandbox/store-on-disk.ts";
import { createMemoryStore } from "../../src/sandbox/store.ts";
import { temporaryFolder } from "../support/cli.ts";
import { projectDir } from "../support/shared.ts";

const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);
const text = (data: Uint8Array | undefined): string | undefined =>
  data === undefined ? undefined : new TextDecoder().decode(data);

function open(folder: string): FolderStore {
  const store = createFolderStore(folder);
  onTestFinished(() => store.close());
  return store;
}

const recordsOf = (store: FolderStore, name = "log"): (string | undefined)[] => [...store.records(name)].map(text);

describe.for([
  ["createFolderStore", () => open(temporaryFolder())],
  ["createMemoryStore", () => createMemoryStore()],
] as const)("%s", ([, make]) => {
  test("keeps files and logs by name, apart from one another and from those of other parts", () => {
    const store = make();
    expect(store.read("a")).toBeUndefined();
    expect([...store.records("a")]).toEqual([]);
    store.write("a", bytes("one"));
    store.write("a", bytes("two"));
    store.append("a", bytes("first"));
    store.append("a", new Uint8Array(0));
    store.append("a", bytes("third"));
    store.under("part").write("a", bytes("other"));
    store.under("part").append("a", bytes("other record"));
    expect(text(store.read("a"))).toBe("two");
    expect([...store.records("a")].map(text)).toEqual(["first", "", "third"]);
    expect(text(store.under("part").read("a"))).toBe("other");
    expect([...store.under("part").records("a")].map(text)).toEqual(["other record"]);
  });

  test("removes a file, and tells how long one is", () => {
    const store = make();
    store.write("a", bytes("content"));
    expect(store.size("a")).toBe(7);
    store.remove("a");
    store.remove("a");
    expect(store.size("a")).toBeUndefined();
    expect(store.read("a")).toBeUndefined();
  });

  test("has a file that is written piece by piece once it is kept", async () => {
    const store = make().under("part");
    const [kept, given] = [store.create(), store.create()];
    const piece = bytes("abc");
    kept.write(piece);
    piece.fill(0);
    kept.write(bytes("defg"));
    given.write(bytes("other"));
    expect(store.size("a")).toBeUndefined();
    kept.keep("a/b");
    given.discard();
    given.discard();
    expect(text(store.read("a/b"))).toBe("abcdefg");
    expect(await new Response(store.stream("a/b", 0, 7)).text()).toBe("abcdefg");
    expect(await new Response(store.stream("a/b", 2, 5)).text()).toBe("cde");
    expect(await new Response(store.stream("a/b", 3, 3)).text()).toBe("");
  });

  test("gives a file to its end that is removed meanwhile", async () => {
    const store = make();
    store.write("a", bytes("content"));
    const stream = store.stream("a", 0, 7);
    store.remove("a");
    expect(await new Response(stream).text()).toBe("content");
  });

  test.for(["tile/0/x001/234.p/7", "sha256:ab", "../outside", "CON", "Ä b", "~log", "a~log"])(
    "takes %j for a name",
    (name) => {
      const store = make();
      store.write(name, bytes("content"));
      store.append(`${name}.log`, bytes("record"));
      expect(text(store.read(name))).toBe("content");
      expect([...store.records(`${name}.log`)].map(text)).toEqual(["record"]);
    },
  );
});

describe("createFolderStore", () => {
  test("leaves nothing of files that were not finished, when it is closed or was killed", () => {
    const folder = temporaryFolder();
    const store = open(folder);
    const file = store.create();
    file.write(bytes("half"));
    const partial = join(folder, "~partial");
    expect(readdirSync(partial)).toHaveLength(1);
    store.close();
    expect(readdirSync(partial)).toEqual([]);
    expect(() => file.keep("a")).toThrow(expect.objectContaining({ code: "WRITE_FAILED" }));
    writeFileSync(join(partial, "of-one-that-was-killed"), "half");
    open(folder);
    expect(existsSync(partial)).toBe(false);
  });

  test("keeps everything for the next one that opens the folder, whole", () => {
    const folder = temporaryFolder();
    const first = createFolderStore(folder);
    first.under("a/b").write("file", bytes("content"));
    first.append("log", bytes("one"));
    first.append("log", bytes("two"));
    first.close();
    const second = open(folder);
    expect(text(second.under("a").under("b").read("file"))).toBe("content");
    second.append("log", bytes("three"));
    expect(recordsOf(second)).toEqual(["one", "two", "three"]);
  });

  test("lets nobody but the owner read, and leaves nothing outside the folder", () => {
    const outer = temporaryFolder();
    const folder = join(outer, "store");
    const store = open(folder);
    store.write("../../key.pem", bytes("secret"));
    store.append("../log", bytes("record"));
    expect(readdirSync(outer)).toEqual(["store"]);
    for (const name of readdirSync(folder, { recursive: true, encoding: "utf8" })) {
      const { mode } = statSync(join(folder, name));
      expect([name, mode & 0o077]).toEqual([name, 0]);
    }
    expect(statSync(folder).mode & 0o077).toBe(0);
  });

  test.for([1, 5, 11, 12, 13, 16])("drops a last record of which %i bytes are there, and goes on behind it", (kept) => {
    const folder = temporaryFolder();
    const first = createFolderStore(folder);
    first.append("log", bytes("whole"));
    const { size } = statSync(join(folder, "log~log"));
    first.append("log", bytes("cut off"));
    first.close();
    truncateSync(join(folder, "log~log"), size + kept);
    const second = open(folder);
    expect(recordsOf(second)).toEqual(["whole"]);
    second.append("log", bytes("next"));
    second.close();
    expect(recordsOf(open(folder))).toEqual(["whole", "next"]);
  });

  test("drops a last record that the disk never got, of the right length", () => {
    const folder = temporaryFolder();
    const first = createFolderStore(folder);
    first.append("log", bytes("whole"));
    first.append("log", bytes("not written"));
    first.close();
    const path = join(folder, "log~log");
    const content = readFileSync(path);
    writeFileSync(path, content.fill(0, content.length - 11));
    expect(recordsOf(open(folder))).toEqual(["whole"]);
  });

  test("drops zeros at the end, by which a file system made the file longer", () => {
    const folder = temporaryFolder();
    const first = createFolderStore(folder);
    first.append("log", bytes("whole"));
    first.close();
    appendFileSync(join(folder, "log~log"), Buffer.alloc(100_000));
    expect(recordsOf(open(folder))).toEqual(["whole"]);
  });

  test.for([
    ["length", 1],
    ["checksum of the length", 5],
    ["checksum", 9],
    ["content", 14],
  ] as const)("refuses a log with a record in its middle whose %s is damaged", ([, offset]) => {
    const folder = temporaryFolder();
    const first = createFolderStore(folder);
    first.append("log", bytes("first record"));
    first.append("log", bytes("second record"));
    first.close();
    const path = join(folder, "log~log");
    const content = readFileSync(path);
    content[offset] = (content[offset] ?? 0) ^ 0x40;
    writeFileSync(path, content);
    const store = open(folder);
    expect(() => [...store.records("log")]).toThrow(expect.objectContaining({ code: "STORE_UNREADABLE" }));
    expect(() => store.append("log", bytes("more"))).toThrow(expect.objectContaining({ code: "STORE_UNREADABLE" }));
    expect(readFileSync(path)).toEqual(content);
  });

  test("refuses a folder that is open, by whatever path, until it is closed", () => {
    const folder = temporaryFolder();
    const first = createFolderStore(folder);
    const link = join(temporaryFolder(), "link");
    symlinkSync(folder, link);
    for (const path of [folder, link])
      expect(() => createFolderStore(path)).toThrow(
        expect.objectContaining({ code: "FOLDER_IN_USE", found: `process ${process.pid}` }),
      );
    first.close();
    open(folder);
  });

  test("refuses a folder that another process has open, and takes it when that one was killed while it wrote", async () => {
    const folder = temporaryFolder();
    const module = JSON.stringify(join(projectDir, "src/sandbox/store-on-disk.ts"));
    const child = spawn(
      process.execPath,
      [
        "--input-type=module",
        "--eval",
        `import { createFolderStore } from ${module};
        const store = createFolderStore(${JSON.stringify(folder)});
        for (let i = 0; ; i += 1) {
          store.append("log", Buffer.from(String(i).repeat(2000)));
          store.write("file", Buffer.from(String(i).repeat(2000)));
          if (i === 20) console.log("ready");
        }`,
      ],
      { stdio: ["ignore", "pipe", "inherit"] },
    );
    onTestFinished(() => void child.kill("SIGKILL"));
    await once(child.stdout, "data");
    expect(() => createFolderStore(folder)).toThrow(
      expect.objectContaining({ code: "FOLDER_IN_USE", found: `process ${child.pid ?? 0}` }),
    );
    child.kill("SIGKILL");
    await once(child, "exit");
    const store = open(folder);
    const records = recordsOf(store);
    expect(records.length).toBeGreaterThan(20);
    records.forEach((record, index) => expect(record === String(index).repeat(2000)).toBe(true));
    // The file is the one before the last record's, or its own.
    expect([records.length - 2, records.length - 1].map((index) => String(index).repeat(2000))).toContain(
      text(store.read("file")),
    );
    store.append("log", bytes("goes on"));
    expect(recordsOf(store).at(-1)).toBe("goes on");
  });

  test.skipIf(!existsSync("/proc/self/stat")).for([
    ["with this number that ran before", `${process.pid} 1 00000000-0000-0000-0000-000000000000`],
    ["whose number another process has now", "1 1 00000000-0000-0000-0000-000000000000"],
    ["that left nothing readable", "?"],
  ])("takes a folder with the lock of a process %s", ([, holder = ""]) => {
    const folder = temporaryFolder();
    writeFileSync(join(folder, "~lock"), holder);
    open(folder);
    expect(readFileSync(join(folder, "~lock"), "utf8")).toMatch(new RegExp(`^${process.pid} `));
  });

  test("says that it cannot write where a file stands in the folder's place", () => {
    const path = join(temporaryFolder(), "file");
    writeFileSync(path, "");
    expect(() => createFolderStore(path)).toThrow(expect.objectContaining({ code: "WRITE_FAILED" }));
  });

  test("writes nothing after it was closed", () => {
    const store = createFolderStore(temporaryFolder());
    store.close();
    expect(() => store.append("log", bytes("late"))).toThrow(expect.objectContaining({ code: "WRITE_FAILED" }));
  });
});
