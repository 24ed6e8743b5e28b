import { chmodSync, mkdirSync, readFileSync, readdirSync, statSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { openOutputFile } from "../../src/cli/output-file.ts";
import { temporaryFolder } from "../support/cli.ts";

const failure = (message: RegExp): unknown =>
  expect.objectContaining({
    name: "StorageError",
    code: "WRITE_FAILED",
    message: expect.stringMatching(message) as unknown,
  });

describe("openOutputFile", () => {
  test("puts nothing in its place before it is committed", () => {
    const folder = temporaryFolder();
    const path = join(folder, "out");
    const file = openOutputFile(path, 0o644);
    file.write("a");
    file.write("b");
    expect(readdirSync(folder)).not.toContain("out");
    file.commit();
    expect([readFileSync(path, "utf8"), readdirSync(folder)]).toEqual(["ab", ["out"]]);
  });

  test("keeps what is there until it is committed, then replaces all of it", () => {
    const path = join(temporaryFolder(), "out");
    writeFileSync(path, "a longer text");
    const file = openOutputFile(path, 0o644);
    file.write("short");
    expect(readFileSync(path, "utf8")).toBe("a longer text");
    file.commit();
    expect(readFileSync(path, "utf8")).toBe("short");
  });

  test("leaves no trace when it is discarded, nor after a commit", () => {
    const folder = temporaryFolder();
    writeFileSync(join(folder, "out"), "before");
    const discarded = openOutputFile(join(folder, "out"), 0o644);
    discarded.write("x");
    discarded.discard();
    discarded.write("y");
    discarded.commit();
    expect([readFileSync(join(folder, "out"), "utf8"), readdirSync(folder)]).toEqual(["before", ["out"]]);
    const committed = openOutputFile(join(folder, "out"), 0o644);
    committed.write("after");
    committed.commit();
    committed.discard();
    expect([readFileSync(join(folder, "out"), "utf8"), readdirSync(folder)]).toEqual(["after", ["out"]]);
  });

  test("makes an empty file of nothing, and says that nothing was written", () => {
    const path = join(temporaryFolder(), "out");
    const file = openOutputFile(path, 0o644);
    expect(file.isEmpty).toBe(true);
    file.commit();
    expect(readFileSync(path, "utf8")).toBe("");
    const other = openOutputFile(path, 0o644);
    other.write("x");
    expect(other.isEmpty).toBe(false);
    other.discard();
  });

  test("gives a new file its permissions, and keeps those of one that exists", () => {
    const folder = temporaryFolder();
    const fresh = openOutputFile(join(folder, "new"), 0o600);
    fresh.commit();
    expect(statSync(join(folder, "new")).mode & 0o777).toBe(0o600);
    writeFileSync(join(folder, "old"), "");
    chmodSync(join(folder, "old"), 0o664);
    const kept = openOutputFile(join(folder, "old"), 0o600);
    kept.commit();
    expect(statSync(join(folder, "old")).mode & 0o777).toBe(0o664);
  });

  test("writes to what a link points to", () => {
    const folder = temporaryFolder();
    mkdirSync(join(folder, "elsewhere"));
    writeFileSync(join(folder, "elsewhere", "target"), "before");
    symlinkSync(join(folder, "elsewhere", "target"), join(folder, "link"));
    const file = openOutputFile(join(folder, "link"), 0o644);
    file.write("after");
    file.commit();
    expect(readFileSync(join(folder, "elsewhere", "target"), "utf8")).toBe("after");
    expect([readdirSync(folder).toSorted(), readdirSync(join(folder, "elsewhere"))]).toEqual([
      ["elsewhere", "link"],
      ["target"],
    ]);
  });

  test("writes to a device, which it does not replace", () => {
    const file = openOutputFile("/dev/null", 0o644);
    file.write("x");
    file.commit();
    expect(statSync("/dev/null").isCharacterDevice()).toBe(true);
  });

  test.each([
    ["whose folder does not exist", "no/out", /its folder does not exist/],
    ["that is a directory", ".", /it is a directory/],
    ["below a file", "file/out", /a part of the path is no folder/],
  ])("refuses a path %s before anything is written", (_, name, message) => {
    const folder = temporaryFolder();
    writeFileSync(join(folder, "file"), "");
    expect(() => openOutputFile(join(folder, name), 0o644)).toThrow(failure(message));
    expect(readdirSync(folder)).toEqual(["file"]);
  });

  test("tells a full device at the write, and swallows what follows", () => {
    const file = openOutputFile("/dev/full", 0o644);
    expect(() => file.write("x")).toThrow(failure(/could not write "\/dev\/full": no space is left on the device/));
    expect(() => {
      file.write("y");
      file.commit();
      file.discard();
    }).not.toThrow();
  });
});
