import { existsSync, mkdtempSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { spawnSync } from "node:child_process";
import { pathToFileURL } from "node:url";
import { expect, onTestFinished, test } from "vitest";
import { makeFolder } from "../../src/tuf/make-folder.ts";
import { projectDir } from "../support/shared.ts";

function folder(): string {
  const path = mkdtempSync(join(tmpdir(), "make-folder-"));
  onTestFinished(() => rmSync(path, { recursive: true }));
  return path;
}

test("makeFolder makes a folder with those above it, and leaves one that is there", () => {
  const path = join(folder(), "a", "b");
  makeFolder(path, 0o700);
  makeFolder(path, 0o755);
  expect(statSync(path).mode & 0o777).toBe(0o700);
});

test.for(["file", "file/below"])("makeFolder fails at %s, where a file is in the way", (name) => {
  const path = folder();
  writeFileSync(join(path, "file"), "");
  expect(() => makeFolder(join(path, name))).toThrow(/EEXIST|ENOTDIR/);
});

test.runIf(existsSync("/proc/self"))("makeFolder fails where no folder can be made, and does not try for ever", () => {
  const module = pathToFileURL(join(projectDir, "src/tuf/make-folder.ts")).href;
  const script = `const { makeFolder } = await import(${JSON.stringify(module)});
    try { makeFolder("/proc/no/such"); } catch (error) { console.log(error.code); }`;
  const { stdout } = spawnSync(process.execPath, ["--input-type=module", "--eval", script], {
    encoding: "utf8",
    timeout: 20_000,
    killSignal: "SIGKILL",
  });
  expect(stdout).toBe("ENOENT\n");
});
