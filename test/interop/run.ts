/**
 * Everything that has to work together with what others wrote; needs `npm run build` before.
 *
 * usage: npm run test:interop [-- [sandbox] [real] [--rows PATTERN]]     without a word: both; PATTERN: only these rows of the matrix
 *
 * The same questions are asked with our own Sigstore in one process, and with the real services on loopback: cosign and we sign, and
 * cosign, sigstore-go's verifier, `gh`, our command line and our library say what they make of it. Then both stacks are sent the
 * same requests, good and bad, and must answer alike.
 *
 * Exit status: 0 all as expected, 1 not, 2 not run.
 */
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { parseArgs } from "node:util";
import type * as Library from "../../src/index.ts";
import { cases, makeKeys, nameOf, printMatrix, tryCase, type Matrix, type Row, type SignerName } from "./matrix.ts";
import { askOpenssl, compareStacks } from "./both.ts";
import { askAboutImages } from "./images.ts";
import { askRegistry } from "./registry.ts";
import {
  ensurePeers,
  findPeers,
  runProgram,
  startRealStack,
  startSandboxStack,
  UNREACHABLE,
  type Peers,
  type Stack,
  type StackKind,
} from "./stack.ts";
import { askWithTuf } from "./tuf.ts";
import { makeVerifiers } from "./verifiers.ts";

const PROJECT = resolve(import.meta.dirname, "..", "..");
const CLI = join(PROJECT, "dist", "cli", "main.js");
const OTHER_ROOT = join(PROJECT, "testdata", "real", "b", "trusted_root.json"); // of another instance
const OTHER_TUF_ROOT = join(PROJECT, "testdata", "real", "b", "tuf", "1.root.json");
/** Rows that are worked on at once. */
const WORKERS = 3;

async function main(): Promise<number> {
  if (!existsSync(CLI)) return notRun(`${CLI} does not exist: run "npm run build"`);
  const { values, positionals } = parseArgs({ allowPositionals: true, options: { rows: { type: "string" } } });
  const wanted = (name: string): boolean => values.rows === undefined || new RegExp(values.rows).test(name);
  const kinds = (["sandbox", "real"] as const).filter((kind) => positionals.length === 0 || positionals.includes(kind));
  const peers = findPeers(PROJECT);
  const absent = ensurePeers(peers);
  if (absent !== undefined) return notRun(absent);
  const packageName: string = "cosign-ts"; // as a stranger imports it; its types are those of the source
  const library = (await import(packageName)) as typeof Library;
  const work = mkdtempSync(join(tmpdir(), "interop-"));
  process.once("exit", () => rmSync(work, { recursive: true, force: true }));

  const failures: string[] = [];
  const stacks: Stack[] = [];
  for (const kind of kinds) stacks.push(await start(kind, peers, join(work, kind)));
  // First: the logs must hold the same, which is nothing, for entries to be asked for by their index.
  const [sandbox, real] = (["sandbox", "real"] as const).map((kind) => stacks.find((stack) => stack.kind === kind));
  if (sandbox !== undefined && real !== undefined) {
    const compared = await compareStacks(real, sandbox);
    console.log(`The same requests to both:\n${compared.lines.join("\n")}\n`);
    failures.push(...compared.failures);
  }
  for (const stack of stacks)
    failures.push(...(await askAbout(stack, peers, library, join(work, `of-${stack.kind}`), wanted)));
  for (const stack of stacks) await stack.stop();

  for (const failure of failures) console.log(`FAILED ${failure}`);
  console.log(failures.length === 0 ? "all as expected" : `${failures.length} failures`);
  return failures.length === 0 ? 0 : 1;
}

async function start(kind: StackKind, peers: Peers, folder: string): Promise<Stack> {
  mkdirSync(folder);
  const dir = join(folder, "stack");
  return kind === "real" ? startRealStack(peers, dir) : await startSandboxStack(CLI, dir);
}

/** Signs and verifies everything with one stack. */
async function askAbout(
  stack: Stack,
  peers: Peers,
  library: typeof Library,
  work: string,
  wanted: (name: string) => boolean,
): Promise<string[]> {
  const home = (name: string): string => {
    const path = join(work, `home-${name}`);
    mkdirSync(path, { recursive: true });
    return path;
  };
  mkdirSync(work);
  const at = (name: string): string => join(work, name);
  writeFileSync(at("artifact.txt"), "an artifact\n");
  writeFileSync(at("other-artifact.txt"), "another artifact\n");
  const { mediaType } = JSON.parse(readFileSync(stack.signingConfig, "utf8")) as { mediaType: string };
  writeFileSync(at("no-services.json"), JSON.stringify({ mediaType }));
  await makeKeys(work, (args) =>
    runProgram(join(peers.bin, "cosign"), args, {
      cwd: work,
      home: home("cosign"),
      env: { COSIGN_PASSWORD: "interop", TUF_MIRROR: UNREACHABLE },
    }),
  );

  const surroundings = { cli: CLI, library, bin: peers.bin, cwd: work, home: home("verifier") };
  const matrix: Matrix = {
    stack,
    work,
    home: home("signer"),
    cli: CLI,
    bin: peers.bin,
    verifiers: makeVerifiers(surroundings),
    wrong: { artifact: at("other-artifact.txt"), key: at("other.pub"), root: OTHER_ROOT },
  };
  const rows = await tryAll(matrix, wanted);
  printMatrix(stack.kind === "real" ? "The real services" : "The sandbox", rows);
  const asked = rows.reduce((sum, row) => sum + row.asked, 0);
  console.log(`${rows.filter(({ question }) => question !== undefined).length} bundles, ${asked} answers\n`);
  const failures = rows.flatMap((row) => row.failures);

  const signed = rows.flatMap(({ name, signer, question }) =>
    question !== undefined && /^(blob|attestation) v[12] (email|key p256)$/.test(name)
      ? [[`${name} by ${signer}`, question] as const]
      : [],
  );
  const tuf = await askWithTuf({
    stack,
    cli: CLI,
    bin: peers.bin,
    library,
    home: (name) => home(`tuf-${name}`),
    work,
    signed,
    otherArtifact: at("other-artifact.txt"),
    otherRoot: OTHER_TUF_ROOT,
  });
  console.log(`With the trusted root from the TUF repository:\n${tuf.lines.join("\n")}\n`);
  failures.push(...tuf.failures);

  const openssl = await askOpenssl(stack, work);
  console.log(`Timestamps by OpenSSL:\n${openssl.lines.join("\n")}\n`);
  failures.push(...openssl.failures);

  if (stack.kind === "sandbox") {
    const registry = await askRegistry({ stack, bin: peers.bin, home, work });
    console.log(`With the registry:\n${registry.lines.join("\n")}\n`);
    failures.push(...registry.failures);
  }

  const images = await askAboutImages({
    stack,
    registries: registriesOf(stack),
    bin: peers.bin,
    cli: CLI,
    home,
    work,
    wanted,
  });
  console.log(`${images.lines.join("\n")}\n`);
  failures.push(...images.failures);
  return failures.map((failure) => `${stack.kind}: ${failure}`);
}

/** Names the registries of a stack by what is special about them. */
function registriesOf({
  kind,
  registry,
  dockerRegistry,
  craneRegistry,
  referrersRegistry,
}: Stack): Record<string, string> {
  const named = {
    ...(kind === "sandbox" && { "the sandbox": registry }),
    "docker-registry": dockerRegistry,
    "crane's registry": craneRegistry,
    "a registry with referrers": referrersRegistry,
  };
  return Object.fromEntries(
    Object.entries(named).flatMap(([name, host]) => (host === undefined ? [] : [[name, host]])),
  );
}

async function tryAll(matrix: Matrix, wanted: (name: string) => boolean): Promise<readonly Row[]> {
  const chosen = [...cases()].filter((one) => wanted(nameOf(one)));
  const work = chosen.flatMap((one) =>
    (["cosign", "cosign-ts"] as const satisfies readonly SignerName[]).map((signer) => ({ one, signer })),
  );
  const rows: Row[] = Array.from({ length: work.length });
  let next = 0;
  const worker = async (): Promise<void> => {
    for (let index = next++; index < work.length; index = next++) {
      const item = work[index];
      if (item === undefined) continue;
      const row = await tryCase(item.one, item.signer, matrix);
      rows[index] = row;
      for (const failure of row.failures) process.stderr.write(`${matrix.stack.kind}: ${failure}\n`); // known at once
    }
  };
  await Promise.all(Array.from({ length: WORKERS }, worker));
  return rows;
}

function notRun(reason: string): number {
  console.log(`not run: ${reason}`);
  return 2;
}

process.exit(await main());
