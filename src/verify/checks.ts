/**
 * The list of checks of one verification: what ran, in which order the specification asks for it, and how it ended.
 *
 * @module
 */

import { SigstoreError, type Check } from "../errors.ts";

/** Orders checks as the client specification does, whichever finished first. */
const STEPS = [
  "input",
  "timestamp",
  "tlog",
  "threshold",
  "certificate",
  "sct",
  "identity",
  "key",
  "entry-body",
  "content",
  "signature",
  "statement",
] as const;

/** Is the step of the client specification that a check belongs to. */
export type Step = (typeof STEPS)[number];

/** Is returned by {@link Checks.run} for a check that did not pass. Never equal to what a check proves. */
export const FAILED: unique symbol = Symbol("failed");

/** Is what a check found, or why there was nothing for it to prove. */
export type Detail = string | { readonly skipped: string };

interface Entry {
  check: Check;
  error: SigstoreError | undefined;
}

/** Collects the checks of one verification, so that one failure does not hide the others. */
export class Checks {
  readonly #entries = new Map<Step, Entry[]>(STEPS.map((step) => [step, []]));
  #failures = 0;

  /**
   * Runs one check and records its outcome.
   *
   * @param body - Throws a {@link SigstoreError} unless the check passes. Any other exception is a fault of ours and goes through.
   * @param detail - Says what was found, from what the check returned.
   * @returns what the check proved, or {@link FAILED}.
   */
  check<T>(
    step: Step,
    name: string,
    section: string,
    body: () => T,
    detail?: (result: T) => Detail,
  ): T | typeof FAILED {
    const entry = this.#add(step, { name, section, outcome: "not-reached" });
    try {
      const result = body();
      entry.check = endedCheck(entry.check, detail?.(result));
      return result;
    } catch (error) {
      return this.#fail(entry, error);
    }
  }

  /** Runs one check that has to wait for something, as {@link check}. Its place in the list is the one at which it began. */
  async run<T>(
    step: Step,
    name: string,
    section: string,
    body: () => T | Promise<T>,
    detail?: (result: T) => Detail,
  ): Promise<T | typeof FAILED> {
    const entry = this.#add(step, { name, section, outcome: "not-reached" });
    try {
      const result = await body();
      entry.check = endedCheck(entry.check, detail?.(result));
      return result;
    } catch (error) {
      return this.#fail(entry, error);
    }
  }

  /** Records a check that needs something that failed before it. */
  notReached(step: Step, name: string, section: string, detail?: string): void {
    this.#add(step, { name, section, outcome: "not-reached", detail });
  }

  /** Records a check that the caller's options do not ask for, or that has nothing to check. */
  skipped(step: Step, name: string, section: string, detail: string): void {
    this.#add(step, { name, section, outcome: "skipped", detail });
  }

  /** Lists all checks, in the order of the client specification. */
  list(): readonly Check[] {
    const checks: Check[] = [];
    for (const entries of this.#entries.values()) for (const { check } of entries) checks.push(check);
    return checks;
  }

  /**
   * Finds the failure to tell first. That is the first one in the order of the client specification, but for log entries that are
   * about something else: where artifact, signature or statement are wrong, that is the cause and the entries are its echo.
   */
  mostTellingFailure(): SigstoreError | undefined {
    if (this.#failures === 0) return undefined;
    let echo: SigstoreError | undefined;
    for (const [step, entries] of this.#entries) {
      const failure = entries.find(({ error }) => error !== undefined)?.error;
      if (failure !== undefined && step !== "entry-body") return failure;
      echo ??= failure;
    }
    return echo;
  }

  #fail(entry: Entry, error: unknown): typeof FAILED {
    if (!(error instanceof SigstoreError)) throw error;
    entry.check = failedCheck(entry.check, error);
    entry.error = error;
    this.#failures += 1;
    return FAILED;
  }

  #add(step: Step, check: Check): Entry {
    const entry = { check, error: undefined };
    this.#entries.get(step)?.push(entry);
    return entry;
  }
}

function endedCheck({ name, section }: Check, detail: Detail | undefined): Check {
  if (typeof detail === "object") return { name, section, outcome: "skipped", detail: detail.skipped };
  return { name, section, outcome: "passed", detail };
}

function failedCheck({ name, section }: Check, error: SigstoreError): Check {
  const { code, message, expected, found } = error;
  return { name, section, outcome: "failed", detail: message, code, expected, found };
}
