/**
 * Long matrices: a sample of them in `npm test`, and all of them where `COSIGN_TS_TESTS=all`, as `.ci/run` has it.
 *
 * @module
 */

/** Tells whether every case of a long matrix is wanted. */
export const TAKES_ALL: boolean = process.env["COSIGN_TS_TESTS"] === "all";

/**
 * Takes one case of so many, always the same ones, from all over the list.
 *
 * @param seed - Another one takes others, so that what two tests take of one list differs.
 */
export function isInSample(index: number, oneOf: number, seed = 0): boolean {
  // Knuth's multiplicative hash: every n-th would fall in step with what repeats in the list.
  return TAKES_ALL || (Math.imul(index + seed, 0x9e3779b1) >>> 8) % oneOf === 0;
}
