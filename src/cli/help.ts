/**
 * Help texts, made from the same tables that the command line is read by.
 *
 * @module
 */

import type { Command } from "./context.ts";
import { GLOBAL_FLAGS, type Flag } from "./flags.ts";

/** Writes the help of the program. */
export function programHelp(commands: readonly { readonly name: string; readonly summary: string }[]): string {
  const width = Math.max(...commands.map(({ name }) => name.length));
  return [
    "Verifies what was signed with Sigstore, and says exactly what was proven or what failed.",
    "",
    "Usage:",
    "  cosign-ts COMMAND [flags]",
    "",
    "Commands:",
    ...commands.map(({ name, summary }) => `  ${name.padEnd(width)}  ${summary}`),
    "",
    "Use `cosign-ts COMMAND --help` for the flags of a command. Each flag can also be set as COSIGN_FLAG_NAME in the environment,",
    "except for the commands that only print.",
    "",
  ].join("\n");
}

/** Writes the help of one command. Flags that exist for cosign's sake only are left out. */
export function commandHelp(command: Command): string {
  const { name, summary, operands, flags, examples = [] } = command;
  return [
    summary,
    "",
    "Usage:",
    `  cosign-ts ${name} [flags]${operands === "" ? "" : ` ${operands}`}`,
    "",
    ...(examples.length === 0 ? [] : ["Examples:", ...examples.map((example) => `  ${example}`), ""]),
    "Flags:",
    ...describe(flags),
    "",
    "Global flags:",
    ...describe(GLOBAL_FLAGS),
    "",
  ].join("\n");
}

function describe(flags: readonly Flag[]): readonly string[] {
  const shown = flags.filter(({ deprecated }) => deprecated === undefined);
  const heads = shown.map(({ name, short, kind, value }) => {
    const takes = kind === "boolean" ? "" : ` ${value ?? (kind === "number" ? "N" : "TEXT")}`;
    return `  ${short === undefined ? "    " : `-${short}, `}--${name}${takes}`;
  });
  const width = Math.min(48, Math.max(0, ...heads.map(({ length }) => length)));
  return shown.map(({ description, default: fallback }, index) => {
    const head = (heads[index] ?? "").padEnd(width);
    return `${head}  ${description}${fallback === undefined ? "" : ` (default ${fallback})`}`;
  });
}
