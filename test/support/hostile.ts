import fc from "fast-check";
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

/**
 * Draws text of any code points. `fc.string({ unit: "binary" })` does too, but takes two seconds to make, in each file.
 */
export function anyText(
  length: { readonly minLength?: number; readonly maxLength?: number } = {},
): fc.Arbitrary<string> {
  // Every number is a code point, the halves of surrogate pairs left out.
  const points = fc.array(fc.nat({ max: 0x10_f7ff }), length);
  return points.map((all) => all.map((n) => String.fromCodePoint(n < 0xd800 ? n : n + 0x800)).join(""));
}
