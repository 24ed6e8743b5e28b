/**
 * What signing costs: the command line beside the real cosign, against our own Sigstore on loopback; a batch beside one signature after
 * another; and what one more entry costs that Sigstore as its logs grow.
 *
 * @module
 */

import { spawn } from "node:child_process";
import { createHash, generateKeyPairSync, randomBytes, sign as signMessage } from "node:crypto";
import {
  closeSync,
  existsSync,
  ftruncateSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";

import type * as SandboxLibrary from "../src/sandbox/index.ts";
import { createRekorV1 } from "../src/sandbox/rekor1/rekor-v1.ts";
import { createRekorV2 } from "../src/sandbox/rekor2/rekor-v2.ts";
import type { SandboxService, ServiceContext } from "../src/sandbox/service.ts";
import { createFolderStore } from "../src/sandbox/store-on-disk.ts";
import type * as SignLibrary from "../src/sign/index.ts";
import { CLI, COSIGN } from "./programs.ts";
import { runWatched } from "./watched.ts";

const RUNS = 11;
const GIB = 1024 ** 3;
const BATCH = 1000;
const SINGLE = 50;
const GROWTH = 100_000;
/** Requests that are under way at once, as from as many clients. */
const CLIENTS = 256;

/** Is what one command cost as a process. */
export interface SigningProcess {
  readonly label: string;
  readonly bestMs: number;
  readonly medianMs: number;
  readonly peakMiB: number | undefined;
}

/** Is what a batch cost. */
export interface Batch {
  readonly artifacts: number;
  readonly perSecond: number;
  /** Signatures per second where each has a session, and so a key and a certificate, of its own. */
  readonly singlePerSecond: number;
}

/** Is what entries cost a log of the sandbox, in stretches of its growth. */
export interface Growth {
  readonly log: string;
  readonly stretches: readonly { readonly upTo: number; readonly perSecond: number; readonly residentMiB: number }[];
}

/** Imports the library as built, as its users do. */
async function load(): Promise<{ sandbox: typeof SandboxLibrary; sign: typeof SignLibrary }> {
  const sandbox: string = "cosign-ts/sandbox";
  const sign: string = "cosign-ts/sign";
  return {
    sandbox: (await import(sandbox)) as typeof SandboxLibrary,
    sign: (await import(sign)) as typeof SignLibrary,
  };
}

/** Measures `sign-blob` with a token, small file and 2 GiB, and a batch in this process. */
export async function benchSigning(): Promise<{ processes: readonly SigningProcess[]; batch: Batch }> {
  const library = await load();
  const folder = mkdtempSync(join(tmpdir(), "cosign-ts-bench-"));
  const dir = join(folder, "sandbox");
  mkdirSync(dir);
  // In a process of its own: what signs must not share its thread.
  const server = spawn(process.execPath, [CLI, "sandbox", "--dir", dir], { stdio: "ignore" });
  try {
    while (!existsSync(join(dir, "env.json"))) {
      if (server.exitCode !== null) throw new Error("the sandbox did not start");
      await new Promise((resolve) => {
        setTimeout(resolve, 50);
      });
    }
    const env = JSON.parse(readFileSync(join(dir, "env.json"), "utf8")) as Readonly<Record<string, string>>;
    const small = join(folder, "small");
    writeFileSync(small, "a small artifact\n");
    const large = join(folder, "large");
    const file = openSync(large, "w");
    ftruncateSync(file, 2 * GIB);
    closeSync(file);
    const token = await (await fetch(`${env["oidcUrl"]}/token?email=alice@example.com`)).text();
    const processes = [
      ...(await benchCommands("small file, Rekor v1", small, env["signingConfigRekor1"] ?? "", token, env, RUNS)),
      ...(await benchCommands("small file, Rekor v2", small, env["signingConfig"] ?? "", token, env, RUNS)),
      ...(await benchCommands("2 GiB, Rekor v1", large, env["signingConfigRekor1"] ?? "", token, env, 3)),
    ];
    return { processes, batch: await benchBatch(library.sign, env, token) };
  } finally {
    server.kill();
    rmSync(folder, { recursive: true, force: true });
  }
}

/** Lets ours and cosign take turns. */
async function benchCommands(
  label: string,
  artifact: string,
  signingConfig: string,
  token: string,
  env: Readonly<Record<string, string>>,
  runs: number,
): Promise<readonly SigningProcess[]> {
  const programs: (readonly [name: string, program: string, before: readonly string[]])[] = [
    ["cosign-ts", process.execPath, [CLI]],
  ];
  if (existsSync(COSIGN)) programs.push(["cosign", COSIGN, []]);
  const results = programs.map(() => ({ times: [] as number[], peaks: [] as number[] }));
  for (let run = 0; run <= runs; run += 1) {
    for (const [index, [, program, before]] of programs.entries()) {
      const { seconds, peakMiB } = await runWatched(
        program,
        [
          ...before,
          "sign-blob",
          "--yes",
          "--identity-token",
          token,
          "--signing-config",
          signingConfig,
          "--trusted-root",
          env["trustedRoot"] ?? "",
          "--bundle",
          `${artifact}.${index}.json`,
          artifact,
        ],
        "ignore",
      );
      if (run === 0) continue; // warms caches up
      results[index]?.times.push(seconds * 1000);
      if (peakMiB !== undefined) results[index]?.peaks.push(peakMiB);
    }
  }
  return programs.map(([name], index) => {
    const { times = [], peaks = [] } = results[index] ?? {};
    const sorted = times.toSorted((a, b) => a - b);
    return {
      label: `${name} sign-blob, ${label}`,
      bestMs: sorted[0] ?? Number.NaN,
      medianMs: sorted[Math.floor(sorted.length / 2)] ?? Number.NaN,
      peakMiB: peaks.length === 0 ? undefined : Math.max(...peaks),
    };
  });
}

async function benchBatch(
  library: typeof SignLibrary,
  env: Readonly<Record<string, string>>,
  token: string,
): Promise<Batch> {
  const options: SignLibrary.SigningOptions = {
    signer: { kind: "keyless", identityToken: token },
    services: { kind: "signing-config", signingConfig: { path: env["signingConfig"] ?? "" } },
    trust: { path: env["trustedRoot"] ?? "" },
  };
  const session = await library.SigningSession.open(options);
  const artifacts = Array.from({ length: BATCH }, () => randomBytes(64));
  const start = performance.now();
  const outcomes = await session.signMany(artifacts, { concurrency: 16 });
  const batchSeconds = (performance.now() - start) / 1000;
  session.close();
  const failed = outcomes.find((outcome) => outcome.kind === "failed");
  if (failed !== undefined) throw failed.error;

  const singleStart = performance.now();
  for (let index = 0; index < SINGLE; index += 1) await library.sign(randomBytes(64), options);
  const singleSeconds = (performance.now() - singleStart) / 1000;
  return { artifacts: BATCH, perSecond: BATCH / batchSeconds, singlePerSecond: SINGLE / singleSeconds };
}

/** Measures what entries cost as a log on disk grows, without sockets. */
export async function* benchGrowth(): AsyncGenerator<Growth> {
  // Of a digest alone, which is all that the logs are given, signatures by RSA are verified in the least time: it is the log that counts.
  const { privateKey, publicKey } = generateKeyPairSync("rsa", { modulusLength: 2048 });
  const der = publicKey.export({ format: "der", type: "spki" }).toString("base64");
  const pem = Buffer.from(publicKey.export({ format: "pem", type: "spki" })).toString("base64");
  const v2 = (): string => {
    const message = randomBytes(32);
    return JSON.stringify({
      hashedRekordRequestV002: {
        digest: createHash("sha256").update(message).digest("base64"),
        signature: {
          content: signMessage("sha256", message, privateKey).toString("base64"),
          verifier: { publicKey: { rawBytes: der }, keyDetails: "PKIX_RSA_PKCS1V15_2048_SHA256" },
        },
      },
    });
  };
  const v1 = (): string => {
    const message = randomBytes(32);
    return JSON.stringify({
      kind: "hashedrekord",
      apiVersion: "0.0.1",
      spec: {
        data: { hash: { algorithm: "sha256", value: createHash("sha256").update(message).digest("hex") } },
        signature: {
          content: signMessage("sha256", message, privateKey).toString("base64"),
          publicKey: { content: pem },
        },
      },
    });
  };
  yield await growLog("Rekor v2", createRekorV2, "/api/v2/log/entries", v2);
  yield await growLog("Rekor v1", createRekorV1, "/api/v1/log/entries", v1);
}

async function growLog(
  log: string,
  create: (context: ServiceContext) => Promise<SandboxService>,
  path: string,
  entry: () => string,
): Promise<Growth> {
  const folder = mkdtempSync(join(tmpdir(), "cosign-ts-bench-"));
  try {
    const url = "http://127.0.0.1:1";
    const store = createFolderStore(folder);
    const service = await create({ url, now: () => new Date(), store, forgery: () => undefined });
    const stretches: Growth["stretches"][number][] = [];
    let done = 0;
    for (const upTo of [1000, 10_000, 20_000, 40_000, 60_000, 80_000, GROWTH]) {
      // Made beforehand: what the client costs is not the log's.
      let seconds = 0;
      const before = done;
      while (done < upTo) {
        const requests = Array.from({ length: Math.min(CLIENTS, upTo - done) }, entry);
        const start = performance.now();
        const answers = await Promise.all(
          requests.map(
            async (body) =>
              await service.fetch(
                new Request(`${url}${path}`, { method: "POST", body, headers: { "content-type": "application/json" } }),
              ),
          ),
        );
        seconds += (performance.now() - start) / 1000;
        const refused = answers.find(({ status }) => status !== 201);
        if (refused !== undefined) throw new Error(`${log} answered ${refused.status}: ${await refused.text()}`);
        done += requests.length;
      }
      stretches.push({
        upTo,
        perSecond: (upTo - before) / seconds,
        residentMiB: process.memoryUsage.rss() / 1024 ** 2,
      });
    }
    return { log, stretches };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}
