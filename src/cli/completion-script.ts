/**
 * Completion scripts, made from the same tables that the command line is read by. Where nothing is offered, the shell offers files.
 *
 * @module
 */

import type { Flag } from "./flags.ts";

/** Lists the shells that there is a script for. */
export const SHELLS = ["bash", "zsh", "fish", "powershell"] as const;

/** Is a command as it is completed. */
export interface CompletedCommand {
  /** One word, or the word of its group and its own. */
  readonly name: string;
  readonly summary: string;
  readonly flags: readonly Flag[];
  /** Words that an operand may be. */
  readonly words: readonly string[];
}

/** Writes the script for a shell. */
export function writeCompletion(shell: (typeof SHELLS)[number], commands: readonly CompletedCommand[]): string {
  return `${WRITERS[shell](commands).join("\n")}\n`;
}

const WRITERS: Readonly<Record<(typeof SHELLS)[number], (commands: readonly CompletedCommand[]) => readonly string[]>> =
  {
    bash: (commands) => [
      "_cosign_ts() {",
      '  local candidates="" current="${COMP_WORDS[COMP_CWORD]}" previous="${COMP_WORDS[COMP_CWORD-1]}"',
      '  local line=" ${COMP_WORDS[*]:1:COMP_CWORD-1} "',
      ...chooseCandidates(commands),
      '  COMPREPLY=($(compgen -W "$candidates" -- "$current"))',
      "}",
      "complete -o default -F _cosign_ts cosign-ts",
    ],
    zsh: (commands) => [
      "#compdef cosign-ts",
      "_cosign_ts() {",
      '  local candidates="" current="${words[CURRENT]}" previous="${words[CURRENT-1]}"',
      '  local line=" ${(j: :)words[2,CURRENT-1]} "',
      ...chooseCandidates(commands),
      "  compadd -- ${(s: :)candidates} || _files",
      "}",
      'if [ "$funcstack[1]" = "_cosign_ts" ]; then _cosign_ts "$@"; else compdef _cosign_ts cosign-ts; fi',
    ],
    fish: (commands) => [
      ...firstWords(commands).map(
        (word) => `complete -c cosign-ts -n __fish_use_subcommand -f -a ${word} -d ${quote(summaryOf(word, commands))}`,
      ),
      ...commands.flatMap(({ name, summary, flags, words }) => {
        const [first = "", second] = name.split(" ");
        const inGroup = `__fish_seen_subcommand_from ${first}`;
        const inCommand = second === undefined ? inGroup : `${inGroup}; and __fish_seen_subcommand_from ${second}`;
        const offered =
          second === undefined
            ? []
            : [
                `complete -c cosign-ts -n '${inGroup}; and not __fish_seen_subcommand_from ${second}' -f -a ${second} -d ${quote(summary)}`,
              ];
        if (words.length > 0) offered.push(`complete -c cosign-ts -n '${inCommand}' -f -a ${quote(words.join(" "))}`);
        for (const { name: flag, short, kind, choices, description } of flags) {
          const value = kind === "boolean" ? "" : choices === undefined ? " -r" : ` -x -a ${quote(choices.join(" "))}`;
          offered.push(
            `complete -c cosign-ts -n '${inCommand}' -l ${flag}${short === undefined ? "" : ` -s ${short}`}${value} -d ${quote(description)}`,
          );
        }
        return offered;
      }),
    ],
    powershell: (commands) => [
      "Register-ArgumentCompleter -Native -CommandName cosign-ts -ScriptBlock {",
      "  param($word, $ast, $cursor)",
      "  $flags = [ordered]@{",
      ...commands.map(({ name, flags }) => `    '${name}' = @(${list(flags.map((flag) => `--${flag.name}`))})`),
      "  }",
      "  $choices = @{",
      ...choicesOf(commands).map(([flag, choices]) => `    '--${flag}' = @(${list(choices)})`),
      "  }",
      "  $elements = @($ast.CommandElements | Select-Object -Skip 1 | ForEach-Object { $_.ToString() })",
      "  if ($word -and $elements.Count -gt 0) { $elements = @($elements | Select-Object -SkipLast 1) }",
      "  $line = (@($elements | Where-Object { -not $_.StartsWith('-') }) -join ' ') + ' '",
      "  $previous = if ($elements.Count -gt 0) { $elements[-1] } else { '' }",
      "  $command = $flags.Keys | Where-Object { $line.StartsWith($_ + ' ') } | Select-Object -First 1",
      "  $candidates = if ($choices.ContainsKey($previous)) { $choices[$previous] }",
      "    elseif ($command -and $word.StartsWith('-')) { $flags[$command] }",
      ...groups(commands).map(({ first, seconds }) => `    elseif ($line -eq '${first} ') { @(${list(seconds)}) }`),
      `    elseif ($line -eq ' ') { @(${list(firstWords(commands))}) }`,
      ...commands
        .filter(({ words }) => words.length > 0)
        .map(({ name, words }) => `    elseif ($command -eq '${name}') { @(${list(words)}) }`),
      "    else { @() }",
      '  $candidates | Where-Object { $_ -like "$word*" } | ForEach-Object { [System.Management.Automation.CompletionResult]::new($_) }',
      "}",
    ],
  };

/** For shells that are like sh: sets `candidates` from `line`, which is what stands before the word, `previous` and `current`. */
function chooseCandidates(commands: readonly CompletedCommand[]): readonly string[] {
  const lines = ['  case "$line" in'];
  for (const { name, flags, words } of commands) {
    const takesValue = flags.filter(({ kind }) => kind !== "boolean");
    const names = (flag: Flag): string => `--${flag.name}${flag.short === undefined ? "" : `|-${flag.short}`}`;
    lines.push(
      `    " ${name} "*)`,
      '      case "$previous" in',
      ...takesValue
        .filter(({ choices }) => choices !== undefined)
        .map((flag) => `        ${names(flag)}) candidates="${flag.choices?.join(" ") ?? ""}" ;;`),
      `        ${takesValue
        .filter(({ choices }) => choices === undefined)
        .map(names)
        .join("|")}) ;;`,
      `        *) case "$current" in -*) candidates="${flags.map((flag) => `--${flag.name}`).join(" ")}" ;; *) candidates="${words.join(" ")}" ;; esac ;;`,
      "      esac ;;",
    );
  }
  lines.push(...groups(commands).map(({ first, seconds }) => `    " ${first} ") candidates="${seconds.join(" ")}" ;;`));
  lines.push(`    "  ") candidates="${firstWords(commands).join(" ")}" ;;`, "  esac");
  return lines;
}

function firstWords(commands: readonly CompletedCommand[]): readonly string[] {
  return [...new Set(commands.map(({ name }) => name.split(" ")[0] ?? name))];
}

function groups(
  commands: readonly CompletedCommand[],
): readonly { readonly first: string; readonly seconds: readonly string[] }[] {
  return firstWords(commands)
    .map((first) => ({
      first,
      seconds: commands
        .filter(({ name }) => name.startsWith(`${first} `))
        .map(({ name }) => name.slice(first.length + 1)),
    }))
    .filter(({ seconds }) => seconds.length > 0);
}

function summaryOf(word: string, commands: readonly CompletedCommand[]): string {
  return (
    commands.find(({ name }) => name === word)?.summary ??
    `Commands: ${
      groups(commands)
        .find(({ first }) => first === word)
        ?.seconds.join(", ") ?? ""
    }`
  );
}

/** The words that each flag's value may be, in whichever command: this script does not tell them apart. */
function choicesOf(commands: readonly CompletedCommand[]): readonly (readonly [string, readonly string[]])[] {
  const found = new Map<string, Set<string>>();
  for (const { name, choices = [] } of commands.flatMap(({ flags }) => flags))
    if (choices.length > 0) found.set(name, new Set([...(found.get(name) ?? []), ...choices]));
  return [...found].map(([name, choices]) => [name, [...choices]]);
}

function list(words: readonly string[]): string {
  return words.map((word) => `'${word}'`).join(", ");
}

/** Quotes text for fish, where only a backslash and a quote have a meaning inside single quotes. */
function quote(text: string): string {
  return `'${text.replaceAll(/[\\']/g, String.raw`\$&`)}'`;
}
