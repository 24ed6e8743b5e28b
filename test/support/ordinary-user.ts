import { spawnSync } from "node:child_process";
import { chmodSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { onTestFinished } from "vitest";
import { projectDir } from "./shared.ts";

const NOBODY = 65_534;
const isRoot = process.getuid?.() === 0;
const become = isRoot ? { uid: NOBODY, gid: NOBODY } : {};

/**
 * Runs a module as a user for whom permissions have a meaning: this one, or nobody where this is root.
 *
 * @param script - May call `load("src/…")` for a module of the project. What it prints is JSON, one value.
 */
export function runAsOrdinaryUser(script: string, environment: Readonly<Record<string, string>> = {}): unknown {
  const source = `const load = (path) => import(${JSON.stringify(`${pathToFileURL(projectDir).href}/`)} + path);\n${script}`;
  const options = {
    encoding: "utf8",
    env: { PATH: process.env["PATH"], ...environment },
    cwd: "/",
    ...become,
  } as const;
  const { status, stdout, stderr } = spawnSync(process.execPath, ["--input-type=module", "--eval", source], options);
  if (status !== 0) throw new Error(`exit status ${String(status)}: ${stderr}`);
  return JSON.parse(stdout) as unknown;
}

/** Makes a folder that an ordinary user may enter and write to, and that is gone after the test. */
export function makeOpenFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), "ordinary-user-"));
  onTestFinished(() => {
    chmodSync(folder, 0o700); // the test may have locked it
    rmSync(folder, { recursive: true, force: true });
  });
  chmodSync(folder, 0o777);
  return folder;
}

/** Tells whether there is such a user, and whether it may read this project. */
export const canRunAsOrdinaryUser: boolean = ((): boolean => {
  if (process.platform === "win32") return false;
  try {
    return (
      runAsOrdinaryUser('const { MAX_DER_DEPTH } = await load("src/limits.ts"); console.log(MAX_DER_DEPTH > 0);') ===
      true
    );
  } catch {
    return false;
  }
})();
