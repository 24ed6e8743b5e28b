/**
 * Puts what arrives at about the same time into a log together, so that one signed tree head serves all of it.
 *
 * @module
 */

/** Says how a {@link Sequencer} works. */
export interface SequencerOptions<Item, Outcome> {
  /**
   * The least time between one batch and the next. What arrives after a longer pause does not wait; without a delay, what arrived in
   * one turn of the event loop is a batch.
   */
  readonly delayMs: number;
  /** A batch of this size does not wait. */
  readonly maxBatch: number;
  /** Puts a batch into the log; it is never called while it is at work. @returns the outcome of each item, in order. */
  integrate(items: readonly Item[]): readonly Outcome[] | Promise<readonly Outcome[]>;
}

/** Waits with each item until the batch that it is in is done. */
export class Sequencer<Item, Outcome> {
  readonly #options: SequencerOptions<Item, Outcome>;
  #waiting: { readonly item: Item; readonly done: PromiseWithResolvers<Outcome> }[] = [];
  #cancel: (() => void) | undefined;
  #isRunning = false;
  #lastEnd = Number.NEGATIVE_INFINITY;
  #idle: (() => void)[] = [];

  constructor(options: SequencerOptions<Item, Outcome>) {
    this.#options = options;
  }

  /** Adds an item to the batch that comes next. */
  async add(item: Item): Promise<Outcome> {
    const done = Promise.withResolvers<Outcome>();
    this.#waiting.push({ item, done });
    this.#schedule();
    return await done.promise;
  }

  /** Waits until nothing is at work or waiting. */
  async settled(): Promise<void> {
    if (!this.#isRunning && this.#waiting.length === 0) return;
    const settled = Promise.withResolvers<void>();
    this.#idle.push(settled.resolve);
    await settled.promise;
  }

  #schedule(): void {
    if (this.#isRunning) return; // the end of the batch looks again
    const rest = this.#lastEnd + this.#options.delayMs - performance.now();
    const isDue = rest <= 0 || this.#waiting.length >= this.#options.maxBatch;
    if (this.#cancel !== undefined) {
      if (!isDue) return;
      this.#cancel();
    }
    const run = (): void => {
      this.#cancel = undefined;
      void this.#run();
    };
    if (isDue) {
      const immediate = setImmediate(run);
      this.#cancel = () => clearImmediate(immediate);
    } else {
      const timer = setTimeout(run, rest);
      this.#cancel = () => clearTimeout(timer);
    }
  }

  async #run(): Promise<void> {
    this.#isRunning = true;
    const batch = this.#waiting.slice(0, this.#options.maxBatch);
    this.#waiting = this.#waiting.slice(batch.length);
    try {
      const outcomes = await this.#options.integrate(batch.map(({ item }) => item));
      for (const [at, { done }] of batch.entries()) done.resolve(outcomes[at] as Outcome);
    } catch (error) {
      for (const { done } of batch) done.reject(error);
    }
    this.#isRunning = false;
    this.#lastEnd = performance.now();
    if (this.#waiting.length > 0) this.#schedule();
    else for (const resolve of this.#idle.splice(0)) resolve();
  }
}
