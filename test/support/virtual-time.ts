import { setImmediate } from "node:timers/promises";

/** A clock that runs only when everybody waits: whatever is at work at the same time takes no time of the test's. */
export class VirtualTime {
  #now = 0;
  #count = 0;
  readonly #waiting: { readonly at: number; readonly order: number; readonly wake: () => void }[] = [];

  readonly now = (): number => this.#now;

  readonly sleep = (ms: number): Promise<void> =>
    new Promise((wake) => {
      this.#waiting.push({ at: this.#now + ms, order: this.#count++, wake });
    });

  /** Lets the time run until the work is done. */
  async run<T>(work: Promise<T>): Promise<T> {
    let done = false;
    const settled = work.finally(() => (done = true));
    settled.catch(() => undefined);
    for (;;) {
      await setImmediate();
      if (done) return await settled;
      this.#waiting.sort((a, b) => a.at - b.at || a.order - b.order);
      const next = this.#waiting.shift();
      if (next === undefined) continue; // at work on something that takes real time
      this.#now = next.at;
      next.wake();
    }
  }
}

/** Gives numbers from 0 to below 1 that are the same in every run. @see Mulberry32 */
export function seededRandom(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}
