import { copyFileSync, readFileSync } from "node:fs";
import { join } from "node:path";
import type * as Library from "../../src/index.ts";
import { verifyArguments, type Question } from "./cosign-arguments.ts";
import { runProgram, type Outcome, type Stack } from "./stack.ts";
import { askLibrary, readOutcome, refusesForAnotherReason, type Answer, type Verdict } from "./verifiers.ts";

/** What the questions about TUF need. */
export interface TufQuestions {
  readonly stack: Stack;
  readonly cli: string;
  readonly bin: string;
  readonly library: typeof Library;
  /** Makes an empty home folder. */
  readonly home: (name: string) => string;
  readonly work: string;
  /** Bundles with what they must prove. */
  readonly signed: readonly (readonly [name: string, question: Question])[];
  readonly otherArtifact: string;
  /** The first root of another repository. */
  readonly otherRoot: string;
}

/**
 * Verifies with the trusted root that each fetched by TUF itself: our command line, our library, cosign; and lets the real TUF
 * client of another language download it.
 */
export async function askWithTuf(questions: TufQuestions): Promise<{ lines: string[]; failures: string[] }> {
  const { stack, cli, bin, library, home, work, signed, otherArtifact, otherRoot } = questions;
  const lines: string[] = [];
  const failures: string[] = [];
  const homes = { cli: home("cli"), cosign: home("cosign"), library: home("library"), other: home("other") };
  const commandLines: Readonly<Record<string, (args: readonly string[]) => Promise<Outcome>>> = {
    "cosign-ts": (args) => runProgram(process.execPath, [cli, ...args], { cwd: work, home: homes.cli }),
    cosign: (args) => runProgram(join(bin, "cosign"), args, { cwd: work, home: homes.cosign }),
  };
  const check = (
    name: string,
    what: string,
    answer: Answer,
    expected: Verdict,
    wrong: "artifact" | "tuf" = "artifact",
  ): void => {
    const good = answer.verdict === expected && !refusesForAnotherReason(name, answer, wrong);
    lines.push(`${good ? "ok" : "! "} ${name}: ${what}: ${answer.verdict}`);
    if (!good) failures.push(`tuf: ${name}: ${what}: ${answer.verdict} (${answer.reason}), expected ${expected}`);
  };

  const initialize = (root: string): readonly string[] => ["initialize", "--mirror", stack.tufUrl, "--root", root];
  for (const [name, program] of Object.entries(commandLines)) {
    check(name, "initialize with another root", readOutcome(await program(initialize(otherRoot))), "refuse", "tuf");
    check(name, "initialize", readOutcome(await program(initialize(stack.tufRoot))), "accept");
    for (const [title, { trustedRoot: _, ...question }] of signed) {
      check(name, title, readOutcome(await program(verifyArguments(question))), "accept");
      const wrong = verifyArguments({ ...question, artifact: otherArtifact });
      check(name, `${title}, another artifact`, readOutcome(await program(wrong)), "refuse");
    }
  }

  const trust = (root: string, folder: string): Library.TrustChoice => ({
    mirror: stack.tufUrl,
    root: readFileSync(root),
    environment: { HOME: folder },
  });
  const right = trust(stack.tufRoot, homes.library);
  for (const [title, { trustedRoot: _, ...question }] of signed) {
    check("library", title, await askLibrary(library, question, right), "accept");
    const wrong = { ...question, artifact: otherArtifact };
    check("library", `${title}, another artifact`, await askLibrary(library, wrong, right), "refuse");
    const untrusted = await askLibrary(library, question, trust(otherRoot, homes.other));
    check("library", `${title}, another TUF root`, untrusted, "refuse", "tuf");
  }

  const folder = home("tuf-client");
  const client = (args: readonly string[]): Promise<Outcome> =>
    runProgram(join(bin, "tuf-client"), [...args, "--url", stack.tufUrl], { cwd: folder, home: folder });
  copyFileSync(stack.tufRoot, join(folder, "root.json")); // it looks for it in a folder below the one it runs in, too
  check("tuf-client", "init", readOutcome(await client(["init", "--file", "root.json"])), "accept");
  const get = ["get", "--turl", `${stack.tufUrl}/targets`, "trusted_root.json"];
  check("tuf-client", "get trusted_root.json", readOutcome(await client(get)), "accept");
  return { lines, failures };
}
