/**
 * The four doors to the verifier: `verify` and `Verifier` of `cosign-ts/verify`, `verify` of `cosign-ts`, and the program. What one
 * of them drops on the way in, the others show.
 *
 * @module
 */

import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { onTestFinished } from "vitest";
import type { ErrorCode } from "../../src/errors.ts";
import { verify as verifyFile } from "../../src/files/verify-file.ts";
import { parseTrustedRoot } from "../../src/trust/trusted-root.ts";
import type { VerifierOptions, VerifyPolicy } from "../../src/verify/options.ts";
import { Verifier, verify } from "../../src/verify/verifier.ts";
import { outcomeOf } from "./outcome.ts";
import { runInProcess } from "./program.ts";

/** One question, as each door takes it. */
export interface Ask {
  readonly bundle: string;
  readonly artifact: Uint8Array;
  readonly root: string;
  readonly policy: VerifyPolicy;
  readonly options?: VerifierOptions;
  /** The same policy and options as flags; `undefined` where the program has none for them. `@name` stands for a file's path. */
  readonly flags?: readonly string[] | undefined;
  /** Files that flags name. */
  readonly files?: Readonly<Record<string, string>>;
  readonly command?: "verify-blob" | "verify-blob-attestation";
  /** What the program takes for the current time. */
  readonly now?: Date;
  /** Lets the program find the bundle itself, among the files. */
  readonly discover?: boolean;
}

export type Door = "verify" | "Verifier" | "verify of files" | "program";
export type Outcome = ErrorCode | "accepted";

/** Asks through every door, and gives the outcome of each. */
export async function askEverywhere(ask: Ask): Promise<Readonly<Partial<Record<Door, Outcome>>>> {
  const folder = mkdtempSync(join(tmpdir(), "cosign-ts-test-"));
  onTestFinished(() => rmSync(folder, { recursive: true }));
  const path = (name: string): string => join(folder, name);
  const files = {
    "bundle.sigstore.json": ask.bundle,
    artifact: ask.artifact,
    "trusted_root.json": ask.root,
    ...ask.files,
  };
  for (const [name, content] of Object.entries(files)) writeFileSync(path(name), content);

  const { bundle, artifact, policy, options = {}, flags } = ask;
  const trustedRoot = parseTrustedRoot(ask.root);
  const outcomes: Partial<Record<Door, Outcome>> = {
    verify: await outcomeOf(verify(bundle, artifact, { ...options, ...policy, trustedRoot })),
    Verifier: await outcomeOf(
      Verifier.create(trustedRoot, options).then((verifier) => verifier.verify(bundle, artifact, policy)),
    ),
    "verify of files": await outcomeOf(
      verifyFile(
        { path: path("bundle.sigstore.json") },
        { path: path("artifact") },
        {
          ...options,
          ...policy,
          trust: { path: path("trusted_root.json") },
        },
      ),
    ),
  };
  if (flags !== undefined) outcomes.program = await askProgram(ask, flags, path);
  return outcomes;
}

async function askProgram(
  { command = "verify-blob", now, discover = false }: Ask,
  flags: readonly string[],
  path: (name: string) => string,
): Promise<Outcome> {
  const given = [
    ...(discover ? [] : ["--bundle", path("bundle.sigstore.json")]),
    "--trusted-root",
    path("trusted_root.json"),
  ];
  const args = [command, ...given, ...flags.map((flag) => flag.replace(/^@/, () => path("/"))), path("artifact")];
  const { status, stderr } = await runInProcess(args, now === undefined ? {} : { now: () => now });
  if (status === 0 && stderr.endsWith("Verified OK\n")) return "accepted";
  const code = /\[([A-Z0-9_]+)\]\n$/.exec(stderr)?.[1];
  if (status !== 1 || code === undefined) throw new Error(`the program ended with ${status}: ${stderr}`);
  return code as ErrorCode;
}
