/**
 * `cosign-ts completion`: scripts that complete commands and flags in a shell.
 *
 * @module
 */

import { SHELLS, writeCompletion, type CompletedCommand } from "../completion-script.ts";
import type { Command } from "../context.ts";
import { GLOBAL_FLAGS, usage } from "../flags.ts";
import { COMMANDS } from "../program.ts";

/** Writes a completion script to standard output. */
export const completion: Command = {
  name: "completion",
  summary: "Write a completion script for a shell to standard output.",
  operands: SHELLS.join(" | "),
  minOperands: 1,
  maxOperands: 1,
  environment: false,
  flags: [],
  examples: [
    "source <(cosign-ts completion bash)",
    "cosign-ts completion fish > ~/.config/fish/completions/cosign-ts.fish",
  ],
  async run([name], _flags, { stdout }) {
    const shell = SHELLS.find((known) => known === name);
    if (shell === undefined)
      throw usage(`no completion for the shell ${JSON.stringify(name)}`, { expected: SHELLS.join(" or ") });
    const commands = COMMANDS.map(async ({ name, summary, load }): Promise<CompletedCommand> => {
      const { flags } = await load();
      const shown = [...flags, ...GLOBAL_FLAGS].filter(({ deprecated }) => deprecated === undefined);
      return { name, summary, flags: shown, words: name === "completion" ? SHELLS : [] };
    });
    stdout.write(writeCompletion(shell, await Promise.all(commands)));
    return 0;
  },
};
