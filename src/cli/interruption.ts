/**
 * Ends of a command that do not come from it: a signal to the process, and the time limit.
 *
 * @module
 */

import { InputError } from "../errors.ts";

/** Is the reason of an abort by a signal to the process. */
export class Interruption extends Error {
  readonly exitStatus: number;

  /** @param number - The signal's number, which a shell adds to 128 for the exit status. */
  constructor(signal: string, number: number) {
    super(signal);
    this.name = "Interruption";
    this.exitStatus = 128 + number;
  }
}

/**
 * Waits for work or for the signal, whichever is first: not everything that work waits for listens to the signal.
 *
 * @param lastRequest - Says what was asked last, so that whoever ran out of time knows where it went.
 * @throws {@link InputError} `COMMAND_INTERRUPTED`, `COMMAND_TIMED_OUT`, whatever error the work made of the abort.
 */
export async function untilAborted<T>(
  work: Promise<T>,
  signal: AbortSignal,
  lastRequest: () => string | undefined = () => undefined,
): Promise<T> {
  const aborted = Promise.withResolvers<never>();
  const stop = (): void => aborted.reject(describeAbort(signal.reason, lastRequest()));
  signal.addEventListener("abort", stop, { once: true });
  if (signal.aborted) stop();
  try {
    return await Promise.race([work, aborted.promise]);
  } catch (error) {
    throw signal.aborted ? describeAbort(signal.reason, lastRequest()) : error;
  } finally {
    signal.removeEventListener("abort", stop);
  }
}

function describeAbort(reason: unknown, lastRequest: string | undefined): InputError {
  return reason instanceof Error && reason.name === "TimeoutError"
    ? new InputError(
        "COMMAND_TIMED_OUT",
        `command did not end in time${lastRequest === undefined ? "" : `; its last request was ${lastRequest}`}`,
      )
    : new InputError(
        "COMMAND_INTERRUPTED",
        `command was interrupted${reason instanceof Interruption ? ` by ${reason.message}` : ""}`,
      );
}
