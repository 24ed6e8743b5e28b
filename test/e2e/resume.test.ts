import { spawn } from "node:child_process";
import { existsSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { once } from "node:events";
import { afterAll, beforeAll, describe, expect, test } from "vitest";

import { generateKeyPair } from "../../src/keys/generate.ts";
import { parsePublicKeyPem } from "../../src/crypto/public-key.ts";
import { verify } from "../../src/verify/verifier.ts";
import { statementAbout } from "../support/sandbox/sandbox.ts";
import { projectDir } from "../support/shared.ts";
import { perform, type Task } from "./support/sign-and-die.ts";
import { countEntries, IDENTITY, startWorld, testFolder, type Generation, type World } from "./support/world.ts";

const ALL = process.env["COSIGN_TS_E2E"] === "all";
const PASSWORD = "correct horse battery";

let world: World;
let keys: { readonly privateKeyPem: string; readonly publicKeyPem: string };
beforeAll(async () => {
  world = await startWorld();
  keys = await generateKeyPair({ password: () => Promise.resolve(new TextEncoder().encode(PASSWORD)) });
}, 60_000);
afterAll(() => world.end());

interface Case extends Pick<Task, "by" | "signer" | "content"> {
  readonly generation: Generation;
}

/** Each by each: of the library and the command, who signs, what, and which log. */
const CASES: readonly Case[] = (
  [
    ["library", "keyless", "message"],
    ["library", "key", "statement"],
    ["command", "keyless", "statement"],
    ["command", "key", "message"],
  ] as const
).flatMap(([by, signer, content]) => ([1, 2] as const).map((generation) => ({ by, signer, content, generation })));

let artifacts = 0;
async function newTask({
  by,
  signer,
  content,
  generation,
}: Case): Promise<{ readonly task: Task; readonly files: () => readonly string[] }> {
  const { paths } = world.sandbox;
  const token = await world.sandbox.token(); // one for all would end before they do
  const folder = testFolder();
  const artifact = `artifact to be resumed ${++artifacts}`;
  const write = (name: string, text: string): string => {
    writeFileSync(folder.at(name), text);
    return folder.at(name);
  };
  const task: Task = {
    by,
    signer,
    content,
    files: {
      artifact: write("artifact", artifact),
      statement: write("statement.json", JSON.stringify(statementAbout(new TextEncoder().encode(artifact)))),
      token: write("token", token),
      key: write("key.pem", keys.privateKeyPem),
      state: folder.at("state.json"),
      bundle: folder.at("bundle.json"),
      signingConfig: generation === 1 ? paths.signingConfigRekor1 : paths.signingConfig,
      trustedRoot: paths.trustedRoot,
    },
    password: PASSWORD,
    dieAt: 0,
  };
  const given = new Set(["artifact", "key.pem", "statement.json", "token"]);
  return { task, files: () => folder.files().filter((name) => !given.has(name)) };
}

/** Runs a task as a process. Returns its steps, the last one being that at which it died. */
async function runAndDie(task: Task): Promise<{ readonly steps: readonly string[]; readonly signal: unknown }> {
  const program = join(projectDir, "test", "e2e", "support", "sign-and-die.ts");
  const child = spawn(process.execPath, [program, JSON.stringify(task)], {
    stdio: ["ignore", "pipe", "pipe"],
    env: { PATH: process.env["PATH"] ?? "" },
  });
  const written = { stdout: "", stderr: "" };
  for (const name of ["stdout", "stderr"] as const)
    child[name].setEncoding("utf8").on("data", (text: string) => void (written[name] += text));
  const [status, signal] = (await once(child, "close")) as [number | null, string | null];
  if (status !== 0 && signal === null) throw new Error(`it failed by itself: ${written.stderr}`);
  return { steps: written.stdout.trimEnd().split("\n"), signal };
}

function expectNoSecret(text: string, { files }: Task): void {
  const token = readFileSync(files.token, "utf8");
  const key = keys.privateKeyPem.split("\n").slice(1, -2).join("");
  for (const secret of [token, token.split(".")[2] ?? "", PASSWORD, key.slice(40, 100)])
    expect(text.includes(secret)).toBe(false);
  expect(/PRIVATE KEY|eyJ[\w-]+\.eyJ/.test(text)).toBe(false);
}

async function expectFinished(task: Task, generation: Generation, entries: number): Promise<void> {
  const json = readFileSync(task.files.bundle, "utf8");
  const { trustedRoot, urls } = world.sandbox;
  const policy =
    task.signer === "key"
      ? { keys: [{ publicKey: parsePublicKeyPem(keys.publicKeyPem) }] as const }
      : { identity: { subjectAlternativeName: IDENTITY, issuer: urls.oidc } };
  const artifact = readFileSync(task.files.artifact);
  const evidence = await verify(json, artifact, { trustedRoot, thresholds: { timestamp: 1 }, ...policy });
  expect(evidence.logEntries).toHaveLength(1);
  expect(evidence.setAside).toEqual([]);
  const { verificationMaterial } = JSON.parse(json) as { verificationMaterial: { tlogEntries: unknown[] } };
  expect(verificationMaterial.tlogEntries).toHaveLength(1);
  expect(existsSync(task.files.state)).toBe(false);
  if (generation === 1) expect(entries).toBe(1);
  else expect([1, 2]).toContain(entries);
}

/** Dies at a step, and goes on. */
async function dieAndGoOn(one: Case, dieAt: number | string): Promise<boolean> {
  const { sandbox } = world;
  const { task, files } = await newTask(one);
  const before = await countEntries(sandbox, one.generation);
  const { steps, signal } = await runAndDie({ ...task, dieAt });
  expect([typeof dieAt === "number" ? steps.length : steps.at(-1), signal]).toEqual([
    typeof dieAt === "number" ? dieAt : expect.stringMatching(new RegExp(`${dieAt}$`)),
    "SIGKILL",
  ]);
  const { state, bundle } = task.files;
  const kept = existsSync(state);
  if (kept) {
    expect(statSync(state).mode & 0o777).toBe(0o600);
    expectNoSecret(readFileSync(state, "utf8"), task);
  }
  const left = [...(existsSync(bundle) ? ["bundle.json"] : []), ...(kept ? ["state.json"] : [])];
  expect(files()).toEqual(left);
  // What was public has not been lost: either there is a state to go on from, or the bundle.
  const made = (await countEntries(sandbox, one.generation)) - before;
  if (made > 0) expect(left).not.toEqual([]);

  sandbox.clearRequests();
  if (kept || !existsSync(bundle)) {
    const { status, stderr } = await perform(task, () => undefined);
    expect([status, stderr.match(/^Error: .*/m)]).toEqual([0, null]);
    expectNoSecret(stderr, task);
  }
  const certificates = sandbox.requests.filter(({ path }) => path.endsWith("/signingCert")).length;
  if (kept || one.signer === "key") expect(certificates).toBe(0);
  expect(files()).toEqual(["bundle.json"]);
  await expectFinished(task, one.generation, (await countEntries(sandbox, one.generation)) - before);
  return existsSync(bundle);
}

describe("a signature that is killed, and gone on with", () => {
  test.runIf(ALL).for(CASES)(
    "at any step: $by, $signer, $content, Rekor v$generation",
    { timeout: 600_000 },
    async (one) => {
      const whole = await newTask(one);
      const names: string[] = [];
      await perform(whole.task, (name) => names.push(name));
      expect(whole.files()).toEqual(["bundle.json"]);
      expect(names.length).toBeGreaterThan(10);
      for (let step = 1; step <= names.length; step += 1) await dieAndGoOn(one, step);
    },
  );

  // The worst moments: it is not known here what is public already, or where the bundle is.
  const SAMPLE = [
    [0, "submitting"],
    [1, "log/entries is answered"],
    [2, "delivered"],
    [4, "log/entries is answered"],
    [5, "submitting"],
    [6, "state removed"],
  ] as const;
  test.for(SAMPLE.map(([index, dieAt]) => ({ ...(CASES[index] as Case), dieAt })))(
    "at $dieAt: $by, $signer, $content, Rekor v$generation",
    async ({ dieAt, ...one }) => {
      expect(await dieAndGoOn(one, dieAt)).toBe(true);
    },
  );
});
