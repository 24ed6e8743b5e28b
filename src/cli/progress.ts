/**
 * A progress bar with the rate, on a terminal.
 *
 * @module
 */

import { formatBytes } from "../files/format-bytes.ts";
import { hasCursor, type Context } from "./context.ts";

/** Is told how far a long piece of work has come. */
export interface Progress {
  /** @param size - Bytes in all, or `undefined` where nobody knows. */
  readonly update: (read: number, size: number | undefined) => void;
  /** Removes the bar. */
  readonly end: () => void;
}

const BAR_WIDTH = 24;
const REDRAW_MS = 100;
const CLEAR_LINE = "\r\u001b[K";

/**
 * Makes a progress bar. Where standard error is no terminal, nothing is ever written.
 *
 * @param elapsedMs - Milliseconds since any moment.
 */
export function createProgress(
  context: Context,
  label: string,
  elapsedMs: () => number = () => performance.now(),
): Progress {
  if (!hasCursor(context)) return { update: () => undefined, end: () => undefined };
  const started = elapsedMs();
  let drawnAt = Number.NEGATIVE_INFINITY;
  let ended = false;
  const end = (): void => {
    if (drawnAt !== Number.NEGATIVE_INFINITY && !ended) context.stderr.write(CLEAR_LINE);
    ended = true;
    context.signal.removeEventListener("abort", end);
  };
  // What is said of an interruption must not stand behind the bar.
  context.signal.addEventListener("abort", end);
  return {
    update(read, size) {
      const now = elapsedMs();
      if (ended || (now - drawnAt < REDRAW_MS && read !== size)) return;
      drawnAt = now;
      const rate = formatBytes(Math.round((read / Math.max(1, now - started)) * 1000));
      context.stderr.write(`\r${label} ${describe(read, size)}, ${rate}/s\u001b[K`);
    },
    end,
  };
}

function describe(read: number, size: number | undefined): string {
  if (size === undefined) return formatBytes(read);
  const share = size === 0 ? 1 : Math.min(1, read / size);
  const filled = Math.round(share * BAR_WIDTH);
  return `[${"#".repeat(filled)}${".".repeat(BAR_WIDTH - filled)}] ${Math.floor(share * 100)}% of ${formatBytes(size)}`;
}
