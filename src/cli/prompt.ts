/**
 * Questions to which a person says yes or no.
 *
 * @module
 */

import { InputError } from "../errors.ts";
import type { Context } from "./context.ts";
import { usage } from "./flags.ts";
import { readLine } from "./input-lines.ts";

/**
 * Asks on standard error whether to go on, as cosign does, and takes only `y` and `Y` for a yes.
 *
 * @param remedy - What who said no can do instead; that of the code when absent.
 * @throws {@link InputError} `CONSENT_MISSING` for a no, and where nobody answers; `USAGE_INVALID` for anything else.
 */
export async function confirmContinue(context: Context, remedy?: string): Promise<void> {
  context.stderr.write("Are you sure you would like to continue? [y/N] ");
  const answer = await readLine(context.stdin);
  // Who is not at a terminal presses no Enter that would end the line.
  if (context.terminal === undefined) context.stderr.write("\n");
  if (answer === "y" || answer === "Y") return;
  if (answer === "" || answer === "n" || answer === "N")
    throw new InputError("CONSENT_MISSING", "user declined the prompt", {
      expected: "y",
      found: answer || "no answer",
      remedy,
    });
  // A longer one may be a password that was typed at the wrong moment.
  const shown = answer.length <= 3 ? `${JSON.stringify(answer)} ` : "";
  throw usage(`invalid input ${shown}(allowed values y, n)`, { remedy: "answer y or n" });
}
