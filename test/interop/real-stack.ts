import { execFile, execFileSync } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { homedir } from "node:os";
import { join, resolve } from "node:path";

/** The programs that a real Sigstore consists of, and the folder of scripts that builds and starts them. */
export interface Peers {
  /** Folder with `install` and `stack.mjs`: `$COSIGN_TS_SHARED/peers`, by default beside this project. */
  readonly scripts: string;
  /** Folder with the programs: `$COSIGN_TS_PEERS/bin`. */
  readonly bin: string;
}

/** What a finished program said. */
export interface Outcome {
  readonly status: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** A running Sigstore on loopback. The names are those of its `env.json`. */
export interface RealStack {
  readonly dir: string;
  readonly oidcUrl: string;
  readonly tufUrl: string;
  readonly tufRoot: string;
  readonly trustedRoot: string;
  readonly signingConfig: string;
  readonly signingConfigRekor1: string;
  /** Returns a signed identity token; the claims given replace the usual ones. */
  token(kind: TokenKind, claims?: Readonly<Record<string, string>>): string;
  stop(): void;
}

export type TokenKind = "email" | "github" | "gitlab";

const PROGRAMS = [
  "cosign",
  "sigstore-go-verification",
  "fulcio",
  "ct_server",
  "trillian_log_server",
  "trillian_log_signer",
  "createtree",
  "rekor-server",
  "rekor-v2",
  "timestamp-server",
] as const;

/** Finds where the peers are, or would be once installed. */
export function findPeers(projectRoot: string): Peers {
  const shared = resolve(projectRoot, process.env["COSIGN_TS_SHARED"] ?? "../shared");
  const installed = process.env["COSIGN_TS_PEERS"] ?? join(homedir(), ".cache", "cosign-ts-peers");
  return { scripts: join(shared, "peers"), bin: join(installed, "bin") };
}

/**
 * Makes sure that the programs are there, and builds those that are not.
 *
 * @returns Why it could not be done, or `undefined` when all of them are there.
 */
export function ensurePeers(peers: Peers): string | undefined {
  const install = join(peers.scripts, "install");
  if (!existsSync(install)) return `${install} does not exist: set COSIGN_TS_SHARED`;
  if (missingPrograms(peers).length === 0) return undefined;
  process.stderr.write(`installing ${missingPrograms(peers).join(", ")} (this takes some minutes)\n`);
  try {
    execFileSync(install, ["core"], { stdio: ["ignore", 2, 2] });
  } catch {
    // What matters is what is there now, whichever program failed.
  }
  const missing = missingPrograms(peers);
  return missing.length === 0 ? undefined : `could not install ${missing.join(", ")}`;
}

function missingPrograms(peers: Peers): readonly string[] {
  return PROGRAMS.filter((program) => !existsSync(join(peers.bin, program)));
}

/** Starts the stack in `dir`, which is emptied. It is stopped by `stop()`, and when this process ends. */
export function startRealStack(peers: Peers, dir: string): RealStack {
  const script = join(peers.scripts, "stack.mjs");
  let running = true;
  const stop = (): void => {
    if (!running) return;
    running = false;
    try {
      execFileSync(process.execPath, [script, "down", dir], { stdio: ["ignore", "ignore", 2] });
    } catch {
      process.kill(Number(readFileSync(join(dir, "pid"), "utf8")), "SIGTERM"); // it did not run, or said why
    }
  };
  process.prependOnceListener("exit", stop); // before whoever removes the folder that `dir` is in
  for (const [signal, status] of [
    ["SIGINT", 130],
    ["SIGTERM", 143],
    ["SIGHUP", 129],
  ] as const)
    process.once(signal, () => process.exit(status));
  execFileSync(process.execPath, [script, "up", dir], { stdio: ["ignore", "ignore", 2] });
  const env = JSON.parse(readFileSync(join(dir, "env.json"), "utf8")) as Omit<RealStack, "token" | "stop">;
  return {
    ...env,
    // Not by fetch: its kept connection would be to the stack before, when one follows another on the same port.
    token(kind, claims = {}) {
      return execFileSync(
        process.execPath,
        [script, "token", dir, kind, ...Object.entries(claims).map(([name, value]) => `${name}=${value}`)],
        { encoding: "utf8" },
      );
    },
    stop,
  };
}

/**
 * Runs a program without the settings of whoever started us: an empty home, no `COSIGN_*`, `SIGSTORE_*` or `TUF_*`.
 *
 * @param options - `env` is added; `home` becomes the home folder.
 */
export function runProgram(
  program: string,
  args: readonly string[],
  options: { readonly cwd: string; readonly home: string; readonly env?: Readonly<Record<string, string>> },
): Promise<Outcome> {
  const inherited = Object.fromEntries(
    Object.entries(process.env).filter(([name]) => !/^(COSIGN|SIGSTORE|TUF|GITHUB|XDG)_/.test(name)),
  );
  return new Promise((done) => {
    execFile(
      program,
      args,
      {
        cwd: options.cwd,
        env: { ...inherited, HOME: options.home, ...options.env },
        maxBuffer: 1 << 26,
        timeout: 120_000,
      },
      (error, stdout, stderr) => {
        const status = error === null ? 0 : typeof error.code === "number" ? error.code : -1;
        done({ status, stdout, stderr: error !== null && stderr === "" ? error.message : stderr });
      },
    );
  });
}

/** Serves nothing: an address that answers "connection refused", for programs that must not reach the network. */
export const UNREACHABLE = "http://127.0.0.1:1";
