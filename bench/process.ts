/**
 * What the command costs as a process, beside bare Node and the real cosign; what importing the verifier costs; and how much memory
 * a large artifact takes.
 *
 * @module
 */

import { execFileSync, spawnSync } from "node:child_process";
import { createSign, generateKeyPairSync } from "node:crypto";
import {
  createReadStream,
  existsSync,
  mkdtempSync,
  openSync,
  closeSync,
  ftruncateSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { pathToFileURL } from "node:url";

import { realCase, realPath } from "../test/support/real.ts";
import { CLI, COSIGN, PROJECT } from "./programs.ts";
import { runWatched } from "./watched.ts";

const RUNS = 21;
const GIB = 1024 ** 3;

/** Holds wall times in milliseconds, the best and the median of some runs. */
export interface Wall {
  readonly label: string;
  readonly bestMs: number;
  readonly medianMs: number;
}

/** Measures `verify-blob` on a small file, alternating with bare Node and cosign. */
export function benchProcess(): readonly Wall[] {
  const one = realCase("a/blob-v1-email-no-timestamp");
  if (one.signer.kind !== "certificate") throw new Error("not a keyless case");
  const flags = [
    "--bundle",
    realPath(one.bundle),
    "--trusted-root",
    realPath("a/trusted_root.json"),
    "--certificate-identity",
    one.signer.identity,
    "--certificate-oidc-issuer",
    one.signer.issuer,
    realPath(one.artifact),
  ];
  const verify = pathToFileURL(join(PROJECT, "dist", "verify", "index.js")).href;
  const commands: (readonly [label: string, program: string, args: readonly string[]])[] = [
    ["bare node", process.execPath, ["-e", "0"]],
    [
      "node, importing cosign-ts/verify",
      process.execPath,
      ["--input-type=module", "-e", `import ${JSON.stringify(verify)}`],
    ],
    ["node, an empty module", process.execPath, ["--input-type=module", "-e", ""]],
    ["cosign-ts verify-blob", process.execPath, [CLI, "verify-blob", ...flags]],
  ];
  if (existsSync(COSIGN)) commands.push(["cosign verify-blob", COSIGN, ["verify-blob", ...flags]]);
  const times = commands.map((): number[] => []);
  for (let run = 0; run <= RUNS; run += 1) {
    for (const [index, [label, program, args]] of commands.entries()) {
      const start = performance.now();
      const { status, stderr } = spawnSync(program, args, { encoding: "utf8" });
      if (status !== 0) throw new Error(`${label} failed: ${stderr}`);
      if (run > 0) times[index]?.push(performance.now() - start); // the first run warms caches up
    }
  }
  return commands.map(([label], index) => {
    const sorted = (times[index] ?? []).toSorted((a, b) => a - b);
    return { label, bestMs: sorted[0] ?? Number.NaN, medianMs: sorted[Math.floor(sorted.length / 2)] ?? Number.NaN };
  });
}

/** Is what a large artifact costs. */
export interface LargeArtifact {
  readonly bytes: number;
  readonly seconds: number;
  readonly digestSeconds: number;
  readonly peakMiB: number | undefined;
}

/** Verifies a file of 2 GiB by a key, and compares with `openssl dgst` over the same file. */
export async function benchLargeArtifact(): Promise<LargeArtifact> {
  const folder = mkdtempSync(join(tmpdir(), "cosign-ts-bench-"));
  try {
    const artifact = join(folder, "artifact");
    const bytes = 2 * GIB;
    const file = openSync(artifact, "w");
    ftruncateSync(file, bytes);
    closeSync(file);
    const { publicKey, privateKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
    const signer = createSign("sha256");
    for await (const chunk of createReadStream(artifact, { highWaterMark: 1024 * 1024 }))
      signer.update(chunk as Uint8Array);
    const bundle = {
      mediaType: "application/vnd.dev.sigstore.bundle.v0.3+json",
      verificationMaterial: { publicKey: { hint: "bench" } },
      messageSignature: { signature: signer.sign(privateKey).toString("base64") },
    };
    writeFileSync(join(folder, "bundle.json"), JSON.stringify(bundle));
    writeFileSync(join(folder, "key.pub"), publicKey.export({ type: "spki", format: "pem" }));
    const args = [
      CLI,
      "verify-blob",
      "--bundle",
      join(folder, "bundle.json"),
      "--key",
      join(folder, "key.pub"),
      "--insecure-ignore-tlog",
      artifact,
    ];
    const { seconds, peakMiB } = await runWatched(process.execPath, args);
    const start = performance.now();
    execFileSync("openssl", ["dgst", "-sha256", artifact]);
    return { bytes, seconds, digestSeconds: (performance.now() - start) / 1000, peakMiB };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}
