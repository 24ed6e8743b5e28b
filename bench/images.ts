/**
 * What verifying images costs, beside the real cosign: wall time, requests and bytes, for images with one signature and with many, and
 * for many images in one process.
 *
 * @module
 */

import { spawn } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { createServer, request as forward, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";

import type * as OciLibrary from "../src/oci/index.ts";
import type * as SignLibrary from "../src/sign/index.ts";
import { CLI, COSIGN } from "./programs.ts";
import { runWatched } from "./watched.ts";

const RUNS = 9;
const SIGNATURES = [1, 10, 100] as const;
const IMAGES = 50;
const PREDICATE_TYPE = "https://example.com/note/v1";

/** Is one row of the table. */
export interface ImageRow {
  readonly label: string;
  readonly program: "cosign-ts" | "cosign" | "cosign-ts/oci, in one process";
  readonly bestMs: number;
  readonly medianMs: number;
  readonly requests: number;
  /** Of the answers' bodies. */
  readonly bytes: number;
  /** Requests for something that had been fetched before. */
  readonly repeated: number;
}

/** Measures `verify` and `verify-attestation` against a registry on loopback. */
export async function benchImages(): Promise<readonly ImageRow[]> {
  const ociName: string = "cosign-ts/oci";
  const signName: string = "cosign-ts/sign";
  const oci = (await import(ociName)) as typeof OciLibrary;
  const { SigningSession } = (await import(signName)) as typeof SignLibrary;
  const folder = mkdtempSync(join(tmpdir(), "cosign-ts-bench-"));
  const dir = join(folder, "sandbox");
  mkdirSync(dir);
  // In a process of its own: what is measured must not share its thread.
  const server = spawn(process.execPath, [CLI, "sandbox", "--dir", dir], { stdio: "ignore" });
  let counter: Counter | undefined;
  try {
    while (!existsSync(join(dir, "env.json"))) {
      if (server.exitCode !== null) throw new Error("the sandbox did not start");
      await new Promise((resolve) => {
        setTimeout(resolve, 50);
      });
    }
    const env = JSON.parse(readFileSync(join(dir, "env.json"), "utf8")) as Readonly<Record<string, string>>;
    const registry = env["registry"] ?? "";
    const token = await (await fetch(`${env["oidcUrl"]}/token?email=alice@example.com`)).text();
    const session = await SigningSession.open({
      signer: { kind: "keyless", identityToken: token.trim() },
      services: { kind: "signing-config", signingConfig: { path: env["signingConfig"] ?? "" } },
      trust: { path: env["trustedRoot"] ?? "" },
    });
    const client = new oci.RegistryClient();
    for (const count of SIGNATURES) {
      for (const [kind, name] of [
        ["signature", `signed-${count}`],
        ["attestation", `attested-${count}`],
      ] as const) {
        await pushImage(oci, client, registry, name, 0);
        const image = `${registry}/${name}:v1`;
        for (let made = 0; made < count; made += 1) {
          const options = { registry: client, session };
          if (kind === "signature") await oci.signImage(image, { ...options, annotations: { made: String(made) } });
          else await oci.attestImage(image, { predicateType: PREDICATE_TYPE, predicate: `{"made":${made}}` }, options);
        }
      }
    }
    const many: string[] = [];
    for (let index = 0; index < IMAGES; index += 1) {
      await pushImage(oci, client, registry, `many-${index}`, index);
      await oci.signImage(`${registry}/many-${index}:v1`, { registry: client, session });
      many.push(`many-${index}:v1`);
    }
    session.close();

    counter = await Counter.start(registry);
    const who = ["--certificate-identity", "alice@example.com", "--certificate-oidc-issuer", env["oidcUrl"] ?? ""];
    const flags = [...who, "--trusted-root", env["trustedRoot"] ?? "", "--allow-http-registry"];
    const questions: (readonly [label: string, args: readonly string[], images: readonly string[]])[] = [
      ...SIGNATURES.flatMap((count) => [
        [`verify, ${count} signature${count === 1 ? "" : "s"}`, ["verify", ...flags], [`signed-${count}:v1`]] as const,
        [
          `verify-attestation, ${count} attestation${count === 1 ? "" : "s"}`,
          ["verify-attestation", "--type", PREDICATE_TYPE, ...flags],
          [`attested-${count}:v1`],
        ] as const,
      ]),
      [`verify, ${IMAGES} images with one signature`, ["verify", ...flags], many],
    ];
    const rows: ImageRow[] = [];
    for (const question of questions) rows.push(...(await measure(question, registry, counter)));
    const args = ["verify", "--format", "bundle", ...flags];
    rows.push(
      ...(await measure(["verify --format bundle, 1 signature", args, ["signed-1:v1"]], registry, counter, true)),
    );
    rows.push(await measureLibrary(oci, env, registry, counter));
    return rows;
  } finally {
    counter?.stop();
    server.kill();
    rmSync(folder, { recursive: true, force: true });
  }
}

/** Lets ours and cosign take turns, and counts what each asks for in a run of its own. */
async function measure(
  [label, args, images]: readonly [label: string, args: readonly string[], images: readonly string[]],
  registry: string,
  counter: Counter,
  oursAlone = false,
): Promise<readonly ImageRow[]> {
  const programs: (readonly [name: ImageRow["program"], program: string, before: readonly string[]])[] = [
    ["cosign-ts", process.execPath, [CLI]],
  ];
  if (existsSync(COSIGN) && !oursAlone) programs.push(["cosign", COSIGN, []]);
  const times = programs.map((): number[] => []);
  for (let run = 0; run <= RUNS; run += 1)
    for (const [index, [, program, before]] of programs.entries()) {
      const operands = images.map((image) => `${registry}/${image}`);
      const { seconds } = await runWatched(program, [...before, ...args, ...operands], "ignore");
      if (run > 0) times[index]?.push(seconds * 1000); // the first run warms caches up
    }
  const rows: ImageRow[] = [];
  for (const [index, [name, program, before]] of programs.entries()) {
    counter.reset();
    const operands = images.map((image) => `${counter.host}/${image}`);
    await runWatched(program, [...before, ...args, ...operands], "ignore");
    const sorted = (times[index] ?? []).toSorted((a, b) => a - b);
    rows.push({
      label,
      program: name,
      bestMs: sorted[0] ?? Number.NaN,
      medianMs: sorted[Math.floor(sorted.length / 2)] ?? Number.NaN,
      ...counter.counted(),
    });
  }
  return rows;
}

/** What one verification costs a program that runs on: a client of its own for each, so that nothing of the registry is remembered. */
async function measureLibrary(
  { ImageVerifier, RegistryClient }: typeof OciLibrary,
  env: Readonly<Record<string, string>>,
  registry: string,
  counter: Counter,
): Promise<ImageRow> {
  const identity = { subjectAlternativeName: "alice@example.com", issuer: env["oidcUrl"] ?? "" };
  const verify = async (host: string): Promise<number> => {
    const client = new RegistryClient({ environment: {} });
    const verifier = await ImageVerifier.create({ trust: { path: env["trustedRoot"] ?? "" }, registry: client });
    const started = performance.now();
    await verifier.verify(`${host}/signed-1:v1`, { identity });
    return performance.now() - started;
  };
  const times: number[] = [];
  for (let run = 0; run < 10 * RUNS; run += 1) times.push(await verify(registry));
  counter.reset();
  await verify(counter.host);
  const sorted = times.toSorted((a, b) => a - b);
  return {
    label: "verify, 1 signature",
    program: "cosign-ts/oci, in one process",
    bestMs: sorted[0] ?? Number.NaN,
    medianMs: sorted[Math.floor(sorted.length / 2)] ?? Number.NaN,
    ...counter.counted(),
  };
}

/** Stands between a client and the registry, and counts. */
class Counter {
  readonly #server: Server;
  #requests: string[] = [];
  #bytes = 0;

  private constructor(registry: string) {
    this.#server = createServer((question, answer) => {
      this.#requests.push(`${question.method} ${question.url}`);
      const passed = forward(
        `http://${registry}${question.url}`,
        { method: question.method, headers: { ...question.headers, host: registry } },
        (found) => {
          answer.writeHead(found.statusCode ?? 502, found.headers);
          found.on("data", (chunk: Buffer) => {
            this.#bytes += chunk.length;
          });
          found.pipe(answer);
        },
      );
      question.pipe(passed);
    });
  }

  static async start(registry: string): Promise<Counter> {
    const counter = new Counter(registry);
    await new Promise<void>((resolve) => {
      counter.#server.listen(0, "127.0.0.1", resolve);
    });
    return counter;
  }

  get host(): string {
    return `127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  reset(): void {
    this.#requests = [];
    this.#bytes = 0;
  }

  /** A tag is asked for by its name, and content by its digest: neither has to be asked for twice. */
  counted(): Pick<ImageRow, "requests" | "bytes" | "repeated"> {
    const asked = this.#requests.filter((line) => !line.endsWith("/v2/"));
    return {
      requests: this.#requests.length,
      bytes: this.#bytes,
      repeated: asked.length - new Set(asked).size,
    };
  }

  stop(): void {
    this.#server.close();
    this.#server.closeAllConnections();
  }
}

/** Puts an image of its own into the registry. */
async function pushImage(
  { parseReference }: typeof OciLibrary,
  client: OciLibrary.RegistryClient,
  registry: string,
  name: string,
  content: number,
): Promise<void> {
  const store = client.repository(parseReference(`${registry}/${name}`));
  const put = async (mediaType: string, text: string): Promise<{ mediaType: string; digest: string; size: number }> => {
    const bytes = new TextEncoder().encode(text);
    const digest = `sha256:${createHash("sha256").update(bytes).digest("hex")}` as const;
    await store.pushBlob({ mediaType, digest, size: bytes.length }, bytes);
    return { mediaType, digest, size: bytes.length };
  };
  const mediaType = "application/vnd.oci.image.manifest.v1+json";
  const config = await put("application/vnd.oci.image.config.v1+json", JSON.stringify({ name, content }));
  const layers = [await put("application/vnd.oci.image.layer.v1.tar", `${name} ${content}\n`)];
  const manifest = JSON.stringify({ schemaVersion: 2, mediaType, config, layers });
  await store.pushManifest(new TextEncoder().encode(manifest), mediaType, { tag: "v1" });
}
