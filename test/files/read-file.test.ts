import { execFileSync, spawnSync } from "node:child_process";
import {
  appendFileSync,
  chmodSync,
  lchownSync,
  mkdtempSync,
  openSync,
  rmSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
  writeSync,
} from "node:fs";
import { writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { formatBytes } from "../../src/files/format-bytes.ts";
import { exists, openArtifactFile, readInputFile, ownerOf } from "../../src/files/read-file.ts";
import { MAX_BUFFERED_ARTIFACT_BYTES } from "../../src/limits.ts";
import { canRunAsOrdinaryUser, makeOpenFolder, runAsOrdinaryUser } from "../support/ordinary-user.ts";

const MIB = 1024 * 1024;
const hasPipes = process.platform !== "win32";

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "read-file-"));
});
afterEach(() => {
  rmSync(folder, { recursive: true, force: true });
});

const path = (name: string): string => join(folder, name);
const problem = (code: string, ...words: readonly string[]): unknown =>
  expect.objectContaining({
    name: "InputError",
    code,
    message: expect.stringMatching(new RegExp(words.map((word) => `(?=.*${word})`).join(""))) as unknown,
    remedy: expect.any(String) as unknown,
  });

/** Makes a file of so many bytes that takes no room on the disk. */
function makeFile(name: string, size: number): string {
  writeFileSync(path(name), "");
  truncateSync(path(name), size);
  return path(name);
}

function makePipe(name: string): string {
  execFileSync("mkfifo", [path(name)]);
  return path(name);
}

describe("readInputFile", () => {
  test.for([0, 1, 65_536, 65_537, 200_000])("reads a file of %i bytes, up to the limit", async (size) => {
    const content = Buffer.alloc(size, "content");
    writeFileSync(path("file"), content);
    await expect(readInputFile(path("file"), size, "bundle")).resolves.toEqual(content);
    await expect(readInputFile(path("file"), size + 1, "bundle")).resolves.toEqual(content);
    if (size > 0)
      await expect(readInputFile(path("file"), size - 1, "bundle")).rejects.toThrow(
        problem("FILE_TOO_LARGE", "bundle"),
      );
  });

  test("says of a file that is too large how large it may be, before it reads it", async () => {
    await expect(readInputFile(makeFile("file", 1024 ** 4), 4 * MIB, "trusted root")).rejects.toThrow(
      expect.objectContaining({
        code: "FILE_TOO_LARGE",
        expected: "at most 4 MiB",
        found: "1 TiB",
        remedy: "check that it is a trusted root",
      }),
    );
  });

  test("says that a file does not exist", async () => {
    await expect(readInputFile(path("absent"), 9, "bundle")).rejects.toThrow(
      problem("FILE_NOT_FOUND", "bundle", "absent"),
    );
    writeFileSync(path("file"), "");
    await expect(readInputFile(path("file/below"), 9, "bundle")).rejects.toThrow(problem("FILE_NOT_FOUND"));
    await expect(readInputFile("", 9, "bundle")).rejects.toThrow(problem("FILE_NOT_FOUND"));
  });

  test("says that a path is a directory", async () => {
    await expect(readInputFile(folder, 9, "key")).rejects.toThrow(problem("FILE_IS_DIRECTORY", "key"));
  });

  test("quotes a name, so that nothing in it reaches a terminal", async () => {
    await expect(readInputFile(path("a\u001B[31m\nb"), 9, "key")).rejects.toThrow(String.raw`a\u001b[31m\nb`);
  });

  test("passes on what else went wrong", async () => {
    await expect(readInputFile("a\0b", 9, "key")).rejects.toThrow(expect.objectContaining({ code: "FILE_UNREADABLE" }));
  });

  test.skipIf(!canRunAsOrdinaryUser)("says that this user may not read a file (needs a user with permissions)", () => {
    const open = makeOpenFolder();
    writeFileSync(join(open, "file"), "");
    chmodSync(join(open, "file"), 0);
    const printed = runAsOrdinaryUser(`
      const { readInputFile } = await load("src/files/read-file.ts");
      await readInputFile(${JSON.stringify(join(open, "file"))}, 9, "key").catch(({ code, message, remedy }) => console.log(JSON.stringify({ code, message, remedy })));`);
    expect(printed).toEqual({
      code: "FILE_UNREADABLE",
      message: `could not read key "${join(open, "file")}": permission denied`,
      remedy: "make it readable for the current user",
    });
  });

  test("reads a file that says it is empty and is not", async () => {
    if (process.platform !== "linux") return;
    await expect(readInputFile("/proc/self/status", 100_000, "bundle")).resolves.not.toHaveLength(0);
    await expect(readInputFile("/proc/self/status", 10, "bundle")).rejects.toThrow(problem("FILE_TOO_LARGE"));
  });

  test("does not read beyond its limit of a file that grows, nor of one without an end", async () => {
    writeFileSync(path("file"), "content");
    const reading = readInputFile(path("file"), 100_000, "bundle");
    appendFileSync(path("file"), Buffer.alloc(200_000));
    const [outcome] = await Promise.allSettled([reading]);
    if (outcome.status === "fulfilled") expect(outcome.value.length).toBeLessThanOrEqual(100_000);
    else expect(outcome.reason).toMatchObject({ code: "FILE_TOO_LARGE" });
    if (hasPipes)
      await expect(readInputFile("/dev/zero", 200_000, "bundle")).rejects.toThrow(problem("FILE_TOO_LARGE"));
  });

  test.skipIf(!hasPipes)("reads a pipe, up to the limit", async () => {
    const pipe = makePipe("pipe");
    const content = Buffer.alloc(300_000, "content");
    const [, read] = await Promise.all([writeFile(pipe, content), readInputFile(pipe, 300_000, "bundle")]);
    expect(content.equals(read)).toBe(true);
    const refused = readInputFile(pipe, 299_999, "bundle");
    await Promise.all([
      writeFile(pipe, content).catch(() => undefined),
      expect(refused).rejects.toThrow(problem("FILE_TOO_LARGE")),
    ]);
  });

  test.skipIf(!hasPipes)("reads standard input by its name", () => {
    const module = new URL("../../src/files/read-file.ts", import.meta.url).href;
    const script = `const { readInputFile } = await import("${module}"); process.stdout.write(await readInputFile("/dev/stdin", 99, "bundle"));`;
    const { stdout } = spawnSync(
      "sh",
      ["-c", 'printf "from a pipe" | "$0" --input-type=module --eval "$1"', process.execPath, script],
      { encoding: "utf8" },
    );
    expect(stdout).toBe("from a pipe");
  });
});

describe("openArtifactFile", () => {
  const collect = async (
    opened: Uint8Array | AsyncIterable<Uint8Array>,
  ): Promise<{ length: number; buffers: number }> => {
    if (opened instanceof Uint8Array) throw new Error("not a stream");
    const buffers = new Set<unknown>();
    let length = 0;
    for await (const chunk of opened) {
      length += chunk.length;
      buffers.add(chunk.buffer);
    }
    return { length, buffers: buffers.size };
  };

  test("holds a small file in memory", async () => {
    await expect(openArtifactFile(makeFile("file", MAX_BUFFERED_ARTIFACT_BYTES))).resolves.toHaveLength(
      MAX_BUFFERED_ARTIFACT_BYTES,
    );
    writeFileSync(path("empty"), "");
    await expect(openArtifactFile(path("empty"))).resolves.toHaveLength(0);
  });

  test.for([MAX_BUFFERED_ARTIFACT_BYTES + 1, 9 * MIB, 200 * MIB])(
    "streams a file of %i bytes through two buffers, however long it is",
    async (size) => {
      await expect(collect(await openArtifactFile(makeFile("file", size)))).resolves.toEqual({
        length: size,
        buffers: 2,
      });
    },
  );

  test("gives the bytes of the file, in order", async () => {
    const content = Buffer.alloc(9 * MIB + 7);
    for (let index = 0; index < content.length; index += 4096)
      content.writeUInt32BE(index, Math.min(index, content.length - 4));
    writeFileSync(path("file"), content);
    const opened = await openArtifactFile(path("file"));
    if (opened instanceof Uint8Array) throw new Error("not a stream");
    let at = 0;
    for await (const chunk of opened) {
      expect(content.subarray(at, at + chunk.length).equals(chunk)).toBe(true);
      at += chunk.length;
    }
    expect(at).toBe(content.length);
  });

  test("tells how far it is, up to the end", async () => {
    const size = 9 * MIB + 1;
    const told: (readonly [number, number])[] = [];
    await collect(await openArtifactFile(makeFile("file", size), (read, of) => void told.push([read, of])));
    expect(told.length).toBeGreaterThan(2);
    expect(told.map(([read]) => read)).toEqual(told.map(([read]) => read).toSorted((a, b) => a - b));
    expect(told.at(-1)).toEqual([size, size]);
    expect(told.every(([, of]) => of === size)).toBe(true);
  });

  test("streams a file that grows while it is read, as far as it is there", async () => {
    const opened = await openArtifactFile(makeFile("file", 9 * MIB));
    const file = openSync(path("file"), "a");
    writeSync(file, Buffer.alloc(MIB));
    await expect(collect(opened)).resolves.toMatchObject({ length: 10 * MIB });
  });

  test("lets go of the file when the reader stops early", async () => {
    const opened = await openArtifactFile(makeFile("file", 9 * MIB));
    if (opened instanceof Uint8Array) throw new Error("not a stream");
    const stream = opened[Symbol.asyncIterator]();
    await stream.next();
    await stream.return?.();
    await expect(stream.next()).resolves.toEqual({ done: true, value: undefined });
  });

  test("says that a file is gone which was there when it was opened", async () => {
    const opened = await openArtifactFile(makeFile("file", 9 * MIB));
    rmSync(path("file"));
    await expect(collect(opened)).rejects.toThrow(problem("FILE_NOT_FOUND", "artifact"));
  });

  test.for([
    ["absent", "FILE_NOT_FOUND"],
    [".", "FILE_IS_DIRECTORY"],
  ] as const)("refuses %s: %s", async ([name, code]) => {
    await expect(openArtifactFile(path(name))).rejects.toThrow(problem(code, "artifact"));
  });

  test.skipIf(!hasPipes)("streams a pipe, and does not wait for more than was asked for", async () => {
    const pipe = makePipe("pipe");
    const opened = await openArtifactFile(pipe);
    const [, { length }] = await Promise.all([writeFile(pipe, Buffer.alloc(300_000)), collect(opened)]);
    expect(length).toBe(300_000);

    // The writer holds the pipe open and says nothing more.
    const again = await openArtifactFile(pipe);
    if (again instanceof Uint8Array) throw new Error("not a stream");
    const stream = again[Symbol.asyncIterator]();
    const writer = openSync(pipe, "r+");
    writeSync(writer, "one");
    await expect(stream.next()).resolves.toMatchObject({ value: Buffer.from("one") });
    await stream.return?.();
  });
});

describe("exists", () => {
  test("is true of files and folders, and of a pipe without a writer", async () => {
    writeFileSync(path("file"), "");
    const names = ["file", "."];
    if (hasPipes) {
      makePipe("pipe");
      names.push("pipe");
    }
    await expect(Promise.all(names.map((name) => exists(path(name))))).resolves.toEqual(names.map(() => true));
    await expect(exists(path("absent"))).resolves.toBe(false);
    await expect(exists(path("file/below"))).resolves.toBe(false);
  });
});

describe.skipIf(process.getuid === undefined)("ownerOf", () => {
  test("tells the owner of a link, not of what it leads to", async () => {
    writeFileSync(path("mine"), "");
    symlinkSync("/", path("link"));
    const isRoot = process.getuid?.() === 0;
    if (isRoot) lchownSync(path("link"), 4242, 4242);
    await expect(ownerOf(path("mine"))).resolves.toBe(process.getuid?.());
    await expect(ownerOf(path("link"))).resolves.toBe(isRoot ? 4242 : process.getuid?.());
    await expect(ownerOf(path("absent"))).resolves.toBeUndefined();
  });
});

describe("formatBytes", () => {
  test.for([
    [0, "0 B"],
    [1, "1 B"],
    [1023, "1023 B"],
    [1024, "1 KiB"],
    [1536, "1.5 KiB"],
    [8 * MIB, "8 MiB"],
    [3 * 1024 ** 3, "3 GiB"],
    [2 ** 50, "1024 TiB"],
  ] as const)("writes %i as %s", ([bytes, written]) => {
    expect(formatBytes(bytes)).toBe(written);
  });
});
