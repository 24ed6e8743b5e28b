/**
 * `cosign-ts completion`: scripts that complete commands and flags in a shell.
 *
 * @module
 */

import type { Command } from "../context.ts";
import { GLOBAL_FLAGS, usage } from "../flags.ts";
import { COMMANDS } from "../program.ts";

const SHELLS = ["bash", "zsh", "fish", "powershell"] as const;

/** Writes a completion script to standard output. */
export const completion: Command = {
  name: "completion",
  summary: "Write a completion script for a shell to standard output.",
  operands: SHELLS.join(" | "),
  minOperands: 1,
  maxOperands: 1,
  environment: false,
  flags: [],
  examples: ["source <(cosign-ts completion bash)", "cosign-ts completion fish > ~/.config/fish/completions/cosign-ts.fish"],
  async run([shell], _flags, context) {
    const known = SHELLS.find((name) => name === shell);
    if (known === undefined) throw usage(`no completion for the shell ${JSON.stringify(shell)}`, SHELLS.join(" or "));
    const commands = await Promise.all(
      COMMANDS.map(async ({ name, load }) => {
        const { flags } = await load();
        const shown = [...flags, ...GLOBAL_FLAGS].filter(({ deprecated }) => deprecated === undefined);
        return { name, flags: shown.map((flag) => `--${flag.name}`) };
      }),
    );
    context.stdout.write(WRITERS[known](commands));
    return 0;
  },
};

interface Completed {
  readonly name: string;
  readonly flags: readonly string[];
}

const WRITERS: Readonly<Record<(typeof SHELLS)[number], (commands: readonly Completed[]) => string>> = {
  bash: (commands) => `${bashFunction(commands)}complete -o default -F _cosign_ts cosign-ts\n`,
  zsh: (commands) => `#compdef cosign-ts\nautoload -U +X bashcompinit && bashcompinit\n${bashFunction(commands)}complete -o default -F _cosign_ts cosign-ts\n`,
  fish(commands) {
    const lines = firstWords(commands).map((word) => `complete -c cosign-ts -n __fish_use_subcommand -a ${word}`);
    for (const { name, flags } of commands) {
      const [group = "", second] = name.split(" ");
      if (second !== undefined) lines.push(`complete -c cosign-ts -n '__fish_seen_subcommand_from ${group}' -a ${second}`);
      for (const flag of flags) lines.push(`complete -c cosign-ts -n '__fish_seen_subcommand_from ${second ?? group}' -l ${flag.slice(2)}`);
    }
    return `${lines.join("\n")}\n`;
  },
  powershell(commands) {
    const table = commands.map(({ name, flags }) => `    '${name}' = @(${flags.map((flag) => `'${flag}'`).join(", ")})`).join("\n");
    return [
      "Register-ArgumentCompleter -Native -CommandName cosign-ts -ScriptBlock {",
      "  param($word, $ast, $cursor)",
      "  $flags = @{",
      table,
      "  }",
      "  $words = @($ast.CommandElements | Select-Object -Skip 1 | ForEach-Object { $_.ToString() } | Where-Object { -not $_.StartsWith('-') })",
      "  $command = $flags.Keys | Where-Object { ($words -join ' ').StartsWith($_) } | Select-Object -First 1",
      `  $all = if ($command) { $flags[$command] } else { @(${firstWords(commands).map((word) => `'${word}'`).join(", ")}) }`,
      "  $all | Where-Object { $_ -like \"$word*\" } | ForEach-Object { [System.Management.Automation.CompletionResult]::new($_) }",
      "}",
      "",
    ].join("\n");
  },
};

function bashFunction(commands: readonly Completed[]): string {
  const groups = [...new Set(commands.filter(({ name }) => name.includes(" ")).map(({ name }) => name.split(" ")[0] ?? ""))];
  const cases = commands.map(({ name, flags }) => `    "${name}"*) words="${flags.join(" ")}" ;;`);
  const groupCases = groups.map((group) => {
    const seconds = commands.filter(({ name }) => name.startsWith(`${group} `)).map(({ name }) => name.slice(group.length + 1));
    return `    "${group}"*) words="${seconds.join(" ")}" ;;`;
  });
  return [
    "_cosign_ts() {",
    "  local words current=\"${COMP_WORDS[COMP_CWORD]}\"",
    "  case \"${COMP_WORDS[*]:1:COMP_CWORD-1}\" in",
    // The longest name first: `verify-blob-attestation` before `verify-blob`.
    ...cases.toSorted((a, b) => b.length - a.length || a.localeCompare(b)).toSorted((a, b) => b.indexOf("*)") - a.indexOf("*)")),
    ...groupCases,
    `    *) words="${firstWords(commands).join(" ")}" ;;`,
    "  esac",
    "  COMPREPLY=($(compgen -W \"$words\" -- \"$current\"))",
    "}",
    "",
  ].join("\n");
}

function firstWords(commands: readonly Completed[]): readonly string[] {
  return [...new Set(commands.map(({ name }) => name.split(" ")[0] ?? name))];
}
