import { spawn } from "node:child_process";
import { readFileSync } from "node:fs";

/**
 * Runs a program to its end, and looks at its memory meanwhile.
 *
 * @param stderr - Where its standard error goes.
 * @throws an `Error` where it does not end well.
 */
export async function runWatched(
  program: string,
  args: readonly string[],
  stderr: "inherit" | "ignore" = "inherit",
): Promise<{ readonly seconds: number; readonly peakMiB: number | undefined }> {
  const start = performance.now();
  const child = spawn(program, args, { stdio: ["ignore", "ignore", stderr] });
  let peakKiB: number | undefined;
  const watch = setInterval(() => {
    try {
      const peak = /VmHWM:\s+(\d+)/.exec(readFileSync(`/proc/${child.pid}/status`, "utf8"))?.[1];
      if (peak !== undefined) peakKiB = Number(peak);
    } catch {
      // It has just ended, or this is not Linux.
    }
  }, 20);
  const status = await new Promise<number | null>((resolve) => {
    child.on("exit", resolve);
  });
  clearInterval(watch);
  if (status !== 0) throw new Error(`${program} ended with ${status}`);
  return { seconds: (performance.now() - start) / 1000, peakMiB: peakKiB === undefined ? undefined : peakKiB / 1024 };
}
