import { execFileSync, spawnSync } from "node:child_process";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { COMMANDS } from "../../src/cli/program.ts";
import { temporaryFolder } from "../support/cli.ts";
import { runInProcess } from "../support/program.ts";

const script = async (shell: string): Promise<string> => (await runInProcess(["completion", shell])).stdout;
const isInstalled = (program: string): boolean => spawnSync(program, ["-c", "true"]).status === 0;

/** What stands on the line, the word being completed last; and words that are offered, or none: then the shell offers files. */
const OFFERS: readonly (readonly [string, readonly string[], readonly string[]])[] = [
  ["commands", [""], [...new Set(COMMANDS.map(({ name }) => name.split(" ")[0] ?? ""))]],
  [
    "commands that begin so",
    ["ver"],
    ["verify", "verify-attestation", "verify-blob", "verify-blob-attestation", "version"],
  ],
  ["commands of a group", ["bundle", ""], ["inspect", "create", "upgrade"]],
  [
    "flags of a command",
    ["initialize", "--"],
    ["--mirror", "--root", "--root-checksum", "--staging", "--output-file", "--timeout", "--verbose"],
  ],
  ["flags that begin so", ["verify-blob", "--trusted"], ["--trusted-root"]],
  ["flags of one command, not of another with a like name", ["verify-blob", "--digest"], []],
  ["flags of the other", ["verify-blob-attestation", "--digest"], ["--digest", "--digestAlg"]],
  ["flags of a command of a group", ["trusted-root", "create", "--no-default-f"], ["--no-default-fulcio"]],
  ["flags behind others", ["verify-blob", "--bundle", "b.json", "--out"], ["--output", "--output-file"]],
  ["values of a flag", ["verify-blob", "--output", ""], ["json", "text"]],
  ["values of a short flag", ["verify-blob", "-o", "j"], ["json"]],
  [
    "predicate types",
    ["verify-blob-attestation", "--type", "slsa"],
    ["slsaprovenance", "slsaprovenance02", "slsaprovenance1"],
  ],
  ["files for the value of a flag", ["verify-blob", "--bundle", ""], []],
  ["files for the operand", ["verify-blob", "--offline", ""], []],
  ["shells", ["completion", ""], ["bash", "zsh", "fish", "powershell"]],
  ["nothing that is deprecated", ["verify-blob", "--rekor"], []],
];

describe("completion bash", () => {
  test.each(OFFERS)("offers %s", async (_, words, offered) => {
    const quoted = ["cosign-ts", ...words].map((word) => `'${word}'`).join(" ");
    const code = `${await script("bash")}\nCOMP_WORDS=(${quoted}); COMP_CWORD=${words.length}; _cosign_ts; printf '%s\\n' "\${COMPREPLY[@]}"; complete -p cosign-ts`;
    const lines = execFileSync("bash", ["-u", "-c", code], { encoding: "utf8" }).trim().split("\n");
    expect(lines.pop()).toBe("complete -o default -F _cosign_ts cosign-ts");
    expect(lines.filter((line) => line !== "")).toEqual(offered);
  });
});

describe.skipIf(!isInstalled("zsh"))("completion zsh", () => {
  test.each(OFFERS)("offers %s", async (_, words, offered) => {
    const quoted = ["cosign-ts", ...words].map((word) => `'${word}'`).join(" ");
    // As the completion system calls it; compadd itself leaves out what begins otherwise.
    const code = [
      "compdef() { :; }; _files() { :; }",
      await script("zsh"),
      'compadd() { shift; local word; for word in "$@"; do [[ $word == "${words[CURRENT]}"* ]] && print -r -- "$word"; done; (( $# > 0 )); }',
      `words=(${quoted}); CURRENT=${words.length + 1}; _cosign_ts`,
    ].join("\n");
    const lines = execFileSync("zsh", ["-f", "-c", code], { encoding: "utf8" }).split("\n");
    expect(lines.filter((line) => line !== "")).toEqual(offered);
  });

  test("is valid", async () => {
    const file = join(temporaryFolder(), "_cosign-ts");
    writeFileSync(file, await script("zsh"));
    expect(execFileSync("zsh", ["-n", file], { encoding: "utf8" })).toBe("");
  });
});

describe.skipIf(!isInstalled("fish"))("completion fish", () => {
  test("is valid, and offers what it should", async () => {
    const folder = temporaryFolder();
    const file = join(folder, "cosign-ts.fish");
    writeFileSync(file, await script("fish"));
    const environment = { PATH: process.env["PATH"] ?? "", HOME: folder };
    expect(execFileSync("fish", ["--no-config", "-n", file], { encoding: "utf8", env: environment })).toBe("");
    const lines = OFFERS.map(([, words]) => `echo "== "; complete -C "cosign-ts ${words.join(" ")}"`);
    const output = execFileSync("fish", ["--no-config", "-c", `source ${file}\n${lines.join("\n")}`], {
      encoding: "utf8",
      cwd: folder,
      env: environment,
    });
    const offers = output
      .split("== \n")
      .slice(1)
      .map((part) =>
        part
          .split("\n")
          .map((line) => line.split("\t")[0] ?? "")
          .filter((word) => word !== ""),
      );
    for (const [index, [name, words, offered]] of OFFERS.entries()) {
      // What fish adds of its own: the equals sign for a value, and files of the folder, which holds this script alone.
      const words_ = new Set(
        (offers[index] ?? [])
          .map((word) => word.replace(/=$/, ""))
          .filter((word) => !/^(?:\.|cosign-ts\.fish)/.test(word)),
      );
      expect([...words_].toSorted(), `${name}: ${words.join(" ")}`).toEqual([...offered].toSorted());
    }
  });
});

describe("completion powershell", () => {
  test("lists the commands, their flags and the words of their values", async () => {
    const text = await script("powershell");
    expect(text).toContain("Register-ArgumentCompleter -Native -CommandName cosign-ts -ScriptBlock {");
    expect(text).toMatch(/'bundle inspect' = @\('--output', '--output-file', '--timeout', '--verbose'\)/);
    expect(text).toMatch(/'--output' = @\('json', 'text', 'result'/);
    expect(text.match(/\{/g)).toHaveLength(text.match(/\}/g)?.length ?? 0);
  });
});
