/**
 * Command lines for tests, and the program as a process.
 *
 * @module
 */

import { spawn } from "node:child_process";
import { existsSync, mkdtempSync, readdirSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { onTestFinished } from "vitest";
import { realCase, realPath } from "./real.ts";
import { projectDir } from "./shared.ts";

const keyless = realCase("a/blob-v1-email");
const keyed = realCase("a/blob-v1-key-p256");
const attested = realCase("a/attestation-v1-email");
if (keyless.signer.kind !== "certificate") throw new Error("no certificate");

/** Files of `testdata/real` and what they prove, as flags. */
export const REAL = {
  artifact: realPath(keyless.artifact),
  sha256: "5891b5b522d5df086d0ff0b110fbd9d21bb4fc7163af34d08286a2e846f6be03",
  other: realPath("artifacts/world.txt"),
  root: realPath("a/trusted_root.json"),
  otherRoot: realPath("b/trusted_root.json"),
  tuf: realPath("a/tuf"),
  tufRoot: realPath("a/tuf/1.root.json"),
  bundle: realPath(keyless.bundle),
  keyBundle: realPath(keyed.bundle),
  attestation: realPath(attested.bundle),
  key: realPath("keys/p256.pub"),
  otherKey: realPath("keys/p256-other.pub"),
  identity: keyless.signer.identity,
  issuer: keyless.signer.issuer,
} as const;

/** Flags for the signer of the keyless bundle and of the attestation. */
export const IDENTITY = ["--certificate-identity", REAL.identity, "--certificate-oidc-issuer", REAL.issuer] as const;
/** A verification that succeeds, but for its artifact. */
export const KEYLESS = ["verify-blob", "--bundle", REAL.bundle, "--trusted-root", REAL.root, ...IDENTITY] as const;
export const KEYED = [
  "verify-blob",
  "--bundle",
  REAL.keyBundle,
  "--trusted-root",
  REAL.root,
  "--key",
  REAL.key,
] as const;
export const ATTESTED = [
  "verify-blob-attestation",
  "--bundle",
  REAL.attestation,
  "--trusted-root",
  REAL.root,
  ...IDENTITY,
] as const;

/** Makes a folder that is gone after the test. */
export function temporaryFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), "cosign-ts-test-"));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

const built = join(projectDir, "dist", "cli", "main.js");

/** The built program where it is newer than every source file, otherwise the sources, which this Node runs as they are. */
export const PROGRAM: string = choose();
export const PROGRAM_IS_BUILT: boolean = PROGRAM === built;

/** Is where Node keeps compiled code between processes: from the sources each takes three times as long without. */
export const COMPILE_CACHE: string = join(projectDir, "node_modules", ".cache", "node-compile-cache");

/** For the conformance clients: code from where {@link PROGRAM} is from, and compiled once. */
export const CLIENT_ENVIRONMENT: Readonly<Record<string, string>> = {
  NODE_COMPILE_CACHE: COMPILE_CACHE,
  ...(!PROGRAM_IS_BUILT && { COSIGN_TS_SOURCE: "1" }),
};

function choose(): string {
  const sources = join(projectDir, "src");
  const changed = Math.max(
    ...readdirSync(sources, { recursive: true, encoding: "utf8" }).map((name) => statSync(join(sources, name)).mtimeMs),
  );
  return existsSync(built) && statSync(built).mtimeMs > changed ? built : join(sources, "cli", "main.ts");
}

export interface ProcessRun {
  readonly status: number | null;
  readonly signal: string | null;
  readonly stdout: string;
  readonly stderr: string;
}

export interface ProcessOptions {
  readonly cwd?: string;
  readonly environment?: Readonly<Record<string, string>>;
  /** Arguments of Node itself. */
  readonly nodeArguments?: readonly string[];
  /** Is called with the process and what it has written to standard error so far, whenever that grows. */
  readonly onStderr?: (text: string, kill: (signal: NodeJS.Signals) => void) => void;
  /** File descriptor, `"ignore"`, or bytes to write. Default: nothing. */
  readonly stdin?: Uint8Array | "open";
  readonly stdout?: number;
  readonly stderr?: number;
  /** Closes the reading end of standard output at once. */
  readonly closeStdout?: boolean;
}

/** Runs the program as a process, without any of this one's environment. */
export async function runProcess(args: readonly string[], options: ProcessOptions = {}): Promise<ProcessRun> {
  const { cwd, environment = {}, nodeArguments = [], stdin, onStderr } = options;
  const child = spawn(process.execPath, [...nodeArguments, PROGRAM, ...args], {
    cwd,
    env: { PATH: process.env["PATH"] ?? "", HOME: "/nonexistent", NODE_COMPILE_CACHE: COMPILE_CACHE, ...environment },
    stdio: ["pipe", options.stdout ?? "pipe", options.stderr ?? "pipe"],
  });
  const written = { stdout: "", stderr: "" };
  child.stdin?.on("error", () => undefined); // not every run reads it
  if (stdin !== "open") child.stdin?.end(stdin ?? "");
  if (options.closeStdout === true) child.stdout?.destroy();
  child.stdout?.setEncoding("utf8").on("data", (text: string) => void (written.stdout += text));
  child.stderr?.setEncoding("utf8").on("data", (text: string) => {
    written.stderr += text;
    onStderr?.(written.stderr, (signal) => child.kill(signal));
  });
  return await new Promise((resolve, reject) => {
    child.on("error", reject);
    child.on("close", (status, signal) => resolve({ status, signal, ...written }));
  });
}
