import { execFile, execFileSync, spawn } from "node:child_process";
import { closeSync, existsSync, mkdirSync, openSync, readFileSync } from "node:fs";
import { get } from "node:http";
import { homedir } from "node:os";
import { join, resolve } from "node:path";
import { setTimeout } from "node:timers/promises";

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

/** Which Sigstore it is: the services that everybody else runs, or our own in one process. */
export type StackKind = "real" | "sandbox";

/** A running Sigstore on loopback. The names are those of its `env.json`, which are the same for both kinds. */
export interface Stack {
  readonly kind: StackKind;
  readonly dir: string;
  readonly oidcUrl: string;
  readonly fulcioUrl: string;
  readonly ctlogUrl: string;
  readonly rekor1Url: string;
  readonly rekor2Url: string;
  readonly tsaUrl: string;
  readonly tufUrl: string;
  readonly tufRoot: string;
  readonly trustedRoot: string;
  readonly signingConfig: string;
  readonly signingConfigRekor1: string;
  /** `host:port`; absent where the stack was started without one. */
  readonly registry?: string;
  /** Of a stack with registries: without a referrers API, without one and with an OCI error for it, and with one. */
  readonly dockerRegistry?: string;
  readonly craneRegistry?: string;
  readonly referrersRegistry?: string;
  /** The page of the sandbox, below which its faults are set. */
  readonly pageUrl?: string;
  /** Mints a signed identity token; the claims given replace the usual ones. */
  token(kind: TokenKind, claims?: Readonly<Record<string, string>>): Promise<string>;
  stop(): Promise<void>;
}

export type TokenKind = "email" | "github" | "gitlab";

/** What has to be there for anything to be asked at all. */
const PROGRAMS = [
  "cosign",
  "sigstore-go-verification",
  "tuf-client",
  "fulcio",
  "ct_server",
  "trillian_log_server",
  "trillian_log_signer",
  "createtree",
  "rekor-server",
  "rekor-v2",
  "timestamp-server",
  "cosign2",
  "crane",
  "oras",
  "referrers-registry",
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
    execFileSync(install, ["core", "images"], { stdio: ["ignore", 2, 2] });
  } catch {
    // What matters is what is there now, whichever program failed.
  }
  const missing = missingPrograms(peers);
  return missing.length === 0 ? undefined : `could not install ${missing.join(", ")}`;
}

function missingPrograms(peers: Peers): readonly string[] {
  return PROGRAMS.filter((program) => !existsSync(join(peers.bin, program)));
}

/** Starts the real services in `dir`, which is emptied. They are stopped by `stop()`, and when this process ends. */
export function startRealStack(peers: Peers, dir: string): Stack {
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
  stopWithProcess(stop);
  execFileSync(process.execPath, [script, "up", dir, "--registries"], { stdio: ["ignore", "ignore", 2] });
  return readStack("real", dir, () => Promise.resolve(stop()));
}

/** Starts `cosign-ts sandbox` in `dir`, as somebody at a shell would. */
export async function startSandboxStack(cli: string, dir: string): Promise<Stack> {
  mkdirSync(dir);
  const log = openSync(join(dir, "..", "sandbox.log"), "w");
  const child = spawn(process.execPath, [cli, "sandbox", "--dir", dir], {
    stdio: ["ignore", log, log],
    env: { PATH: process.env["PATH"] ?? "", HOME: dir },
  });
  closeSync(log);
  const ended = new Promise<void>((done) => {
    child.once("exit", () => done());
  });
  stopWithProcess(() => child.kill("SIGKILL"));
  for (let waited = 0; !existsSync(join(dir, "env.json")); waited += 100) {
    if (child.exitCode !== null || waited > 30_000)
      throw new Error(`the sandbox did not start: ${readFileSync(join(dir, "..", "sandbox.log"), "utf8")}`);
    await setTimeout(100);
  }
  return readStack("sandbox", dir, async () => {
    child.kill("SIGTERM");
    await ended;
  });
}

function stopWithProcess(stop: () => void): void {
  process.prependOnceListener("exit", stop); // before whoever removes the folder that it runs in
  for (const [signal, status] of [
    ["SIGINT", 130],
    ["SIGTERM", 143],
    ["SIGHUP", 129],
  ] as const)
    if (process.listenerCount(signal) === 0) process.once(signal, () => process.exit(status));
}

function readStack(kind: StackKind, dir: string, stop: () => Promise<void>): Stack {
  const env = JSON.parse(readFileSync(join(dir, "env.json"), "utf8")) as Omit<Stack, "token" | "stop" | "kind">;
  return {
    ...env,
    kind,
    token: (tokenKind, claims = {}) =>
      read(
        `${env.oidcUrl}${tokenKind === "email" ? "" : `/${tokenKind}`}/token?${new URLSearchParams(claims).toString()}`,
      ),
    stop,
  };
}

/** Not by fetch: its kept connection would be to the stack before, when one follows another on the same port. */
function read(url: string): Promise<string> {
  return new Promise((done, fail) => {
    get(url, { agent: false }, (response) => {
      let text = "";
      response
        .setEncoding("utf8")
        .on("data", (chunk: string) => void (text += chunk))
        .on("end", () => (response.statusCode === 200 ? done(text.trim()) : fail(new Error(`${url}: ${text}`))));
    }).on("error", fail);
  });
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
    Object.entries(process.env).filter(([name]) => !/^(COSIGN|SIGSTORE|TUF|GITHUB|XDG|CI$|ACTIONS|GITLAB)/.test(name)),
  );
  return new Promise((done) => {
    const child = execFile(
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
    child.stdin?.end();
  });
}

/** Serves nothing: an address that answers "connection refused", for programs that must not reach the network. */
export const UNREACHABLE = "http://127.0.0.1:1";
