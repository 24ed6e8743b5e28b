/**
 * A process that signs and kills itself at a step, as a machine does that loses its power: nothing is put in order, nothing is
 * flushed. Every event of a signature is a step, and every request is two: when it is about to be sent, and when its answer is here
 * and nobody has read it.
 *
 * usage: node sign-and-die.ts TASK, a {@link Task} in JSON. Each step is a line on standard output.
 *
 * @module
 */

import { readFileSync, writeFileSync, writeSync } from "node:fs";
import process from "node:process";

import { runProgram } from "../../../src/cli/program.ts";
import type { Fetch } from "../../../src/http/request.ts";
import { readPrivateKey } from "../../../src/keys/private-key.ts";
import { attest, sign, type SignOptions } from "../../../src/sign/index.ts";

/** Says what to sign with what, and when to die. */
export interface Task {
  readonly by: "library" | "command";
  readonly signer: "keyless" | "key";
  readonly content: "message" | "statement";
  readonly files: {
    readonly artifact: string;
    readonly statement: string;
    readonly state: string;
    readonly bundle: string;
    readonly token: string;
    readonly key: string;
    readonly signingConfig: string;
    readonly trustedRoot: string;
  };
  readonly password: string;
  /** The number of a step, 1 for the first one, or how the name of one ends; 0 to go on to the end. */
  readonly dieAt: number | string;
}

/** Does a task to its end, or to its step. Returns the exit status of the command; 0 for the library. */
export async function perform(task: Task, onStep: (name: string) => void): Promise<{ status: number; stderr: string }> {
  const counted: Fetch = async (url, init) => {
    const name = `${init.method ?? "GET"} ${new URL(url).pathname}`;
    onStep(`${name} is about to be sent`);
    const response = await fetch(url, init);
    onStep(`${name} is answered`);
    return response;
  };
  return task.by === "library" ? await byLibrary(task, counted, onStep) : await byCommand(task, counted, onStep);
}

async function byLibrary(
  { signer, content, files, password }: Task,
  counted: Fetch,
  onStep: (name: string) => void,
): Promise<{ status: number; stderr: string }> {
  const options: SignOptions = {
    signer:
      signer === "keyless"
        ? { kind: "keyless", identityToken: readFileSync(files.token, "utf8") }
        : { kind: "key", signer: await readPrivateKey(readFileSync(files.key), () => Promise.resolve(password)) },
    services: { kind: "signing-config", signingConfig: { path: files.signingConfig } },
    trust: { path: files.trustedRoot },
    environment: {},
    fetch: counted,
    observer: ({ kind }) => onStep(kind),
    state: files.state,
    deliver({ json }) {
      writeFileSync(files.bundle, json);
      onStep("delivered");
    },
  };
  await (content === "message" ? sign({ path: files.artifact }, options) : attest({ path: files.statement }, options));
  return { status: 0, stderr: "" };
}

async function byCommand(
  { signer, content, files, password }: Task,
  counted: Fetch,
  onStep: (name: string) => void,
): Promise<{ status: number; stderr: string }> {
  let stderr = "";
  const { signingConfig, trustedRoot, state, bundle } = files;
  const args = [
    content === "message" ? "sign-blob" : "attest-blob",
    "--verbose",
    "--yes",
    `--signing-config=${signingConfig}`,
    `--trusted-root=${trustedRoot}`,
    `--resume-state=${state}`,
    `--bundle=${bundle}`,
    signer === "keyless" ? `--identity-token=${files.token}` : `--key=${files.key}`,
    content === "message" ? files.artifact : `--statement=${files.statement}`,
  ];
  const status = await runProgram(args, {
    stdout: { write: () => undefined, isTerminal: false },
    stderr: {
      isTerminal: false,
      // With --verbose there is a line for every event.
      write(text) {
        stderr += text;
        onStep(text.trim());
      },
    },
    stdin: (async function* () {})(),
    environment: { COSIGN_PASSWORD: password },
    now: () => new Date(),
    fetch: counted,
    signal: new AbortController().signal,
  });
  return { status, stderr };
}

if (import.meta.main) {
  const task = JSON.parse(process.argv[2] ?? "") as Task;
  let step = 0;
  const { status, stderr } = await perform(task, (name) => {
    step += 1;
    writeSync(1, `${name.replaceAll("\n", " ")}\n`);
    const { dieAt } = task;
    if (typeof dieAt === "number" ? step === dieAt : name.endsWith(dieAt)) process.kill(process.pid, "SIGKILL");
  });
  if (status !== 0) process.stderr.write(stderr);
  process.exitCode = status;
}
