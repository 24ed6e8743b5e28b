/**
 * The list of checks of one verification: what ran, in which order the specification asks for it, and how it ended.
 *
 * @module
 */

import { SigstoreError, type Check } from "../errors.ts";

/** Orders checks as the client specification does, whichever finished first. */
const ORDER = {
  input: 0,
  timestamp: 1,
  tlog: 2,
  threshold: 3,
  certificate: 4,
  sct: 5,
  identity: 6,
  key: 7,
  "entry-body": 8,
  content: 9,
  signature: 10,
  statement: 11,
} as const;

/** Is the step of the client specification that a check belongs to. */
export type Step = keyof typeof ORDER;

/** Is returned by {@link Checks.run} for a check that did not pass. Never equal to what a check proves. */
export const FAILED: unique symbol = Symbol("failed");

interface Entry {
  readonly step: Step;
  readonly check: Check;
  readonly error: SigstoreError | undefined;
}

/** Collects the checks of one verification, so that one failure does not hide the others. */
export class Checks {
  readonly #entries: Entry[] = [];

  /**
   * Runs one check and records its outcome.
   *
   * @param body - Throws a {@link SigstoreError} unless the check passes. Any other exception is a fault of ours and goes through.
   * @param detail - Says what was found, from what the check returned.
   * @returns what the check proved, or {@link FAILED}.
   */
  async run<T>(
    step: Step,
    name: string,
    section: string,
    body: () => T | Promise<T>,
    detail?: (result: T) => string,
  ): Promise<T | typeof FAILED> {
    const index = this.#entries.length;
    this.notReached(step, name, section); // holds the place until the outcome is known
    try {
      const pending = body();
      const result = pending instanceof Promise ? await pending : pending;
      this.#entries[index] = { step, check: { name, section, outcome: "passed", detail: detail?.(result) }, error: undefined };
      return result;
    } catch (error) {
      if (!(error instanceof SigstoreError)) throw error;
      this.#entries[index] = { step, check: failedCheck(name, section, error), error };
      return FAILED;
    }
  }

  /** Records a check that needs something that failed before it. */
  notReached(step: Step, name: string, section: string, detail?: string): void {
    this.#entries.push({ step, check: { name, section, outcome: "not-reached", detail }, error: undefined });
  }

  /** Records a check that the caller's options do not ask for. */
  skipped(step: Step, name: string, section: string, detail: string): void {
    this.#entries.push({ step, check: { name, section, outcome: "skipped", detail }, error: undefined });
  }

  /** Lists all checks, in the order of the client specification. */
  list(): readonly Check[] {
    return this.#sorted().map(({ check }) => check);
  }

  /**
   * Finds the failure to tell first. That is the first one in the order of the client specification, but for log entries that are
   * about something else: where artifact, signature or statement are wrong, that is the cause and the entries are its echo.
   */
  mostTellingFailure(): SigstoreError | undefined {
    const failed = this.#sorted().filter(({ error }) => error !== undefined);
    return (failed.find(({ step }) => step !== "entry-body") ?? failed[0])?.error;
  }

  #sorted(): readonly Entry[] {
    return this.#entries.toSorted((a, b) => ORDER[a.step] - ORDER[b.step]);
  }
}

function failedCheck(name: string, section: string, error: SigstoreError): Check {
  const { code, message, expected, found } = error;
  return { name, section, outcome: "failed", detail: message, code, expected, found };
}
