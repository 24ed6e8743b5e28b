/**
 * Help texts, made from the same tables that the command line is read by.
 *
 * @module
 */

import type { Command } from "./context.ts";
import { globalFlagsOf, type Flag } from "./flags.ts";

const WIDTH = 118;
/** A flag that is longer has its description on the next line. */
const MAX_HEAD_WIDTH = 46;

/**
 * Writes the help of the program, or of a group of commands.
 *
 * @param group - The first word of the group's commands; empty for the program.
 */
export function programHelp(
  commands: readonly { readonly name: string; readonly summary: string }[],
  group: string,
): string {
  const width = Math.max(...commands.map(({ name }) => name.length));
  return [
    "Signs and verifies with Sigstore, and says exactly what was proven or what failed.",
    "",
    "Usage:",
    `  cosign-ts ${group === "" ? "" : `${group} `}COMMAND [flags]`,
    "",
    "Commands:",
    ...commands.map(({ name, summary }) => `  ${name.padEnd(width)}  ${summary}`),
    "",
    ...wrap(
      "Use `cosign-ts COMMAND --help` for the flags of a command. A flag --foo-bar of a command that signs or verifies can also be set as COSIGN_FOO_BAR in the environment.",
      0,
    ),
    "",
  ].join("\n");
}

/** Writes the help of one command. Flags that exist for cosign's sake only are left out. */
export function commandHelp(command: Command): string {
  const { name, summary, operands, flags, examples = [] } = command;
  return [
    ...wrap(summary, 0),
    "",
    "Usage:",
    `  cosign-ts ${name} [flags]${operands === "" ? "" : ` ${operands}`}`,
    "",
    ...(examples.length === 0 ? [] : ["Examples:", ...examples.flatMap(continued), ""]),
    ...(flags.length === 0 ? [] : ["Flags:", ...describe(flags), ""]),
    "Global flags:",
    ...describe(globalFlagsOf(command)),
    "",
  ].join("\n");
}

function describe(flags: readonly Flag[]): readonly string[] {
  const shown = flags.filter(({ deprecated }) => deprecated === undefined);
  const heads = shown.map(({ name, short, kind, value }) => {
    const takes = kind === "boolean" ? "" : ` ${value ?? (kind === "number" ? "N" : "TEXT")}`;
    return `  ${short === undefined ? "    " : `-${short}, `}--${name}${takes}`;
  });
  const width = Math.min(MAX_HEAD_WIDTH, Math.max(0, ...heads.map(({ length }) => length))) + 2;
  return shown.flatMap(({ description, default: fallback }, index) => {
    const head = heads[index] ?? "";
    const [first = "", ...more] = wrap(
      `${description}${fallback === undefined ? "" : ` (default ${fallback})`}`,
      width,
    );
    return head.length > width - 2 ? [head, first, ...more] : [`${head.padEnd(width)}${first.slice(width)}`, ...more];
  });
}

/** Breaks text into lines that are indented. */
function wrap(text: string, indent: number): readonly string[] {
  const lines: string[] = [];
  let line = "";
  for (const word of text.split(" ")) {
    if (line !== "" && indent + line.length + 1 + word.length > WIDTH) {
      lines.push(line);
      line = word;
    } else line = line === "" ? word : `${line} ${word}`;
  }
  return [...lines, line].map((one) => `${" ".repeat(indent)}${one}`);
}

/** Breaks a command line that is too long before its flags, as a shell reads it. */
function continued(example: string): readonly string[] {
  if (example.length + 2 <= WIDTH) return [`  ${example}`];
  const lines: string[] = [];
  let line = "";
  for (const part of example.split(/ (?=--)/)) {
    if (line !== "" && line.length + part.length + 3 > WIDTH - 6) {
      lines.push(`${line} \\`);
      line = part;
    } else line = line === "" ? part : `${line} ${part}`;
  }
  return [...lines, line].map((one, index) => (index === 0 ? `  ${one}` : `      ${one}`));
}
