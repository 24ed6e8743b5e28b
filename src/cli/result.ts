/**
 * Results of a verification, printed as the flags ask for it.
 *
 * @module
 */

import type { SigstoreError } from "../errors.ts";
import { printableJson } from "../encoding/printable.ts";
import type { VerifiedBundle } from "../verify/evidence.ts";
import { notice, trace, type Context } from "./context.ts";
import type { Flags } from "./flags.ts";

/** Checks the flags of the output before work begins. @throws InputError `USAGE_INVALID`. */
export function checkOutputFlags(flags: Flags): void {
  flags.choice("output", ["json", "text"]);
  flags.boolean("explain");
}

/** Prints what was proven: as `--output` asks for it to standard output, otherwise a word to standard error. */
export async function printEvidence(evidence: VerifiedBundle, flags: Flags, context: Context): Promise<void> {
  const format = flags.choice("output", ["json", "text"]);
  if (format === "json") {
    const { evidenceToJson } = await import("../report/json.ts");
    context.stdout.write(`${printableJson(evidenceToJson(evidence))}\n`);
  }
  if (format === "text") {
    const { evidenceToText } = await import("../report/text.ts");
    context.stdout.write(`${evidenceToText(evidence)}\n`);
  }
  if (format === undefined) notice(context, "Verified OK");
  for (const { what, reason } of evidence.unproven) trace(context, `not proven: ${what}: ${reason}`);
  await printChecks(evidence.checks, flags, context);
}

/** Prints a refusal where `--output json` asks for it, and its checks where `--explain` does. The line for people is not printed here. */
export async function printRefusal(error: SigstoreError, flags: Flags, context: Context): Promise<void> {
  if (flags.string("output") === "json") {
    const { attestationsRefusalToJson } = await import("../report/attestations-json.ts");
    context.stdout.write(`${printableJson(attestationsRefusalToJson(error))}\n`);
  }
  await printChecks(error.report, flags, context);
}

async function printChecks(
  checks: VerifiedBundle["checks"] | undefined,
  flags: Flags,
  context: Context,
): Promise<void> {
  if (checks === undefined || !flags.boolean("explain")) return;
  const { checksToText } = await import("../report/text.ts");
  const sink = flags.string("output") === "text" ? context.stdout : context.stderr;
  sink.write(`${checksToText(checks)}\n`);
}
