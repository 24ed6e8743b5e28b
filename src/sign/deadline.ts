import { ServiceError } from "../errors.ts";

/** Is the time that one signature has, and the caller's own signal to stop. */
export class Deadline {
  readonly #timeoutMs: number;
  readonly #endsAt: number;
  /** The caller's own signal. */
  readonly caller: AbortSignal | undefined;
  /** Ends at the deadline or when the caller says so. */
  readonly signal: AbortSignal;

  constructor(timeoutMs: number, caller: AbortSignal | undefined) {
    this.#timeoutMs = timeoutMs;
    this.#endsAt = performance.now() + timeoutMs;
    this.caller = caller;
    const timeout = AbortSignal.timeout(timeoutMs);
    this.signal = caller === undefined ? timeout : AbortSignal.any([timeout, caller]);
  }

  /**
   * Gives the milliseconds that are left for a step, at most `atMost`.
   *
   * @param step - Completes "while …", for the message.
   * @throws {@link ServiceError} `HTTP_TIMEOUT`; the reason of the caller's signal.
   */
  remaining(step: string, atMost: number): number {
    this.caller?.throwIfAborted();
    const left = Math.floor(this.#endsAt - performance.now());
    if (left > 0) return Math.min(left, atMost);
    throw this.#ranOut(step);
  }

  /**
   * Waits for something that knows no signal of its own, no longer than there is time.
   *
   * @throws as {@link Deadline.remaining}.
   */
  async race<T>(step: string, work: Promise<T>): Promise<T> {
    work.catch(() => undefined); // where the time is up already, nobody else hears of its failure
    this.remaining(step, Infinity);
    let stop: (() => void) | undefined;
    const ended = new Promise<void>((resolve) => {
      stop = resolve;
      this.signal.addEventListener("abort", stop, { once: true });
    });
    const expired = ended.then((): never => {
      this.remaining(step, Infinity); // throws, but for a timer that rang a moment early
      throw this.#ranOut(step);
    });
    expired.catch(() => undefined); // it is waited for below, or no longer
    try {
      return await Promise.race([work, expired]);
    } finally {
      if (stop !== undefined) this.signal.removeEventListener("abort", stop);
    }
  }

  #ranOut(step: string): ServiceError {
    return new ServiceError("HTTP_TIMEOUT", `time for the signature ran out while ${step}`, {
      expected: `a signature within ${this.#timeoutMs} ms`,
      remedy: "allow more time, or resume from the state file",
    });
  }
}
