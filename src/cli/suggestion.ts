/**
 * Guesses at what a person meant to write.
 *
 * @module
 */

/** Finds the word that is most like what was written: two edits away at most, or longer by what is missing. */
export function nearest(written: string, words: readonly string[]): string | undefined {
  const near = words.filter(
    (word) =>
      (written.length > 2 && word.includes(written)) || distance(word, written) <= Math.min(2, written.length - 1),
  );
  return near.toSorted((a, b) => distance(a, written) - distance(b, written))[0];
}

/** Counts the edits between two words. */
function distance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, index) => index);
  for (let i = 1; i <= a.length; i += 1) {
    const next = [i];
    for (let j = 1; j <= b.length; j += 1) {
      const substitution = (row[j - 1] ?? 0) + (a[i - 1] === b[j - 1] ? 0 : 1);
      next.push(Math.min(substitution, (row[j] ?? 0) + 1, (next[j - 1] ?? 0) + 1));
    }
    row = next;
  }
  return row[b.length] ?? 0;
}
