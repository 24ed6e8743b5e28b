/**
 * The browser of the system.
 *
 * @module
 */

/** A launcher that has not failed by then has found a browser, even if it waits for it to close. */
const PATIENCE_MS = 3000;

/** Says which program opens a browser. None of them is a shell, so that nothing in a URL is a command. */
export function browserCommand(platform: string, url: string): readonly [program: string, ...args: string[]] {
  if (platform === "darwin") return ["open", url];
  if (platform === "win32") return ["rundll32", "url.dll,FileProtocolHandler", url];
  return ["xdg-open", url];
}

/**
 * Opens a URL in the system's browser, which outlives this process.
 *
 * @throws Error when there is none, or it cannot be started.
 */
export async function launchBrowser(
  url: string,
  command: readonly [program: string, ...args: string[]] = browserCommand(process.platform, url),
): Promise<void> {
  const { spawn } = await import("node:child_process");
  const [program, ...args] = command;
  await new Promise<void>((resolve, reject) => {
    const child = spawn(program, args, { detached: true, shell: false, stdio: "ignore", windowsHide: true });
    const timer = setTimeout(resolve, PATIENCE_MS);
    const settle = (problem?: string): void => {
      clearTimeout(timer);
      if (problem === undefined) resolve();
      else reject(new Error(problem));
    };
    child.once("error", (error) => settle(error.message));
    child.once("exit", (status) =>
      settle(status === 0 ? undefined : `${program} ended with status ${status ?? "none"}`),
    );
    child.unref();
  });
}
