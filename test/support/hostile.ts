import { expect } from "vitest";
import { SigstoreError } from "../../src/errors.ts";

/** Seed and size of the samples that property tests draw, so that a run can be repeated. */
export const SAMPLE = { seed: 20_261_123, numRuns: 400 } as const;

/**
 * Runs a parser on hostile input: it may return a value or throw a `SigstoreError`, and nothing else.
 *
 * @returns The value, or `undefined` when it threw.
 */
export function expectNoOtherError<T>(parse: () => T): T | undefined {
  try {
    return parse();
  } catch (error) {
    expect(error).toBeInstanceOf(SigstoreError);
    return undefined;
  }
}

/** Gives the input with one byte changed by a non-zero pattern. */
export function withFlippedByte(bytes: Uint8Array, index: number, pattern: number): Uint8Array {
  const changed = Uint8Array.from(bytes);
  changed[index] = (changed[index] ?? 0) ^ pattern;
  return changed;
}
