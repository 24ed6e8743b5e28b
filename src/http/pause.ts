/** Waits, unless the signal ends it. @throws the reason of the signal. */
export async function abortableSleep(ms: number, signal?: AbortSignal): Promise<void> {
  await new Promise<void>((resolve, reject) => {
    const stop = (): void => {
      clearTimeout(timer);
      reject(signal?.reason as Error);
    };
    const timer = setTimeout(() => {
      signal?.removeEventListener("abort", stop);
      resolve();
    }, ms);
    if (signal?.aborted === true) stop();
    else signal?.addEventListener("abort", stop, { once: true });
  });
}

/**
 * Waits before the next of several requests, if the deadline of all of them leaves the time.
 *
 * @param options - As of the requests, with a deadline: see `withDeadline`.
 * @returns whether it waited.
 * @throws the reason of the caller's signal.
 */
export async function pause(
  ms: number,
  options: {
    readonly endsAt?: number | undefined;
    readonly signal?: AbortSignal | undefined;
    readonly sleep?: ((ms: number) => Promise<void>) | undefined;
  },
): Promise<boolean> {
  const { endsAt = Infinity, signal, sleep } = options;
  if (performance.now() + ms >= endsAt) return false;
  await (sleep === undefined ? abortableSleep(ms, signal) : sleep(ms));
  signal?.throwIfAborted();
  return true;
}
