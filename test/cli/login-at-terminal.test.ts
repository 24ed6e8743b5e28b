import { spawn, spawnSync } from "node:child_process";
import { chmodSync, mkdirSync } from "node:fs";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { beforeEach, describe, expect, test } from "vitest";
import { PROGRAM } from "../support/cli.ts";
import { projectDir } from "../support/shared.ts";
import { ALICE, makeFolder, useSigningWorld, type Folder } from "../support/signing-cli.ts";

const world = useSigningWorld();
let folder: Folder;
beforeEach(() => {
  folder = makeFolder();
  folder.write("app", "hello\n");
  mkdirSync(folder.at("bin"));
});

/** A browser in which somebody is logged in already, one that shows nothing, and none that can be opened. */
const BROWSERS = {
  "logged in": `const url = process.argv[2] + "&prompt=none&login_hint=${ALICE}"; await (await fetch(url)).text();`,
  idle: "",
  none: "process.exit(3);",
} as const;

interface TerminalRun {
  readonly output: string;
  readonly status: number | null;
  readonly echo: boolean;
  readonly canonical: boolean;
}

/** Runs it on a terminal beside this process, in which the sandbox answers. */
async function signAt(
  browser: keyof typeof BROWSERS,
  steps: readonly (readonly [string, string])[],
): Promise<TerminalRun> {
  const script = folder.write("browser.mjs", BROWSERS[browser]);
  const opener = folder.write("bin/xdg-open", `#!/bin/sh\nexec "${process.execPath}" "${script}" "$1"\n`);
  chmodSync(opener, 0o755);
  const env = { PATH: `${folder.at("bin")}:/usr/bin:/bin`, HOME: folder.at("."), TERM: "xterm", NO_COLOR: "1" };
  const args = ["sign-blob", ...world().config, "--bundle", folder.at("app.json"), folder.at("app")];
  const task = { argv: [process.execPath, PROGRAM, ...args], cwd: folder.at("."), env, steps };
  const child = spawn("python3", [join(projectDir, "test", "support", "terminal.py")]);
  child.stdin.end(JSON.stringify(task));
  const [output, problem] = await Promise.all([text(child.stdout), text(child.stderr)]);
  expect(problem).toBe("");
  return JSON.parse(output) as TerminalRun;
}

const isPossible = process.platform === "linux" && spawnSync("python3", ["-c", "import pty, termios"]).status === 0;

describe.skipIf(!isPossible)(
  `sign-blob with a login at a terminal${isPossible ? "" : " (NOT RUN: there is no python3 to make one)"}`,
  () => {
    test("opens the browser, takes the login, and signs after a yes", async () => {
      const run = await signAt("logged in", [["[y/N] ", "y\r"]]);
      expect(run).toMatchObject({ status: 0, echo: true, canonical: true });
      expect(run.output).toContain("Your browser will now be opened to:");
      expect(run.output).toContain(`Identity: ${ALICE}`);
      expect(folder.has("app.json")).toBe(true);
    }, 30_000);

    test("asks for a code where no browser can be opened, and tells a wrong one", async () => {
      const run = await signAt("none", [["Enter verification code: ", "wrong\r"]]);
      expect(run).toMatchObject({ status: 1, echo: true, canonical: true });
      expect(run.output).toContain("Could not open a browser (xdg-open ended with status 3)");
      expect(run.output).toMatch(/Error: code that was entered was not taken: .*\[LOGIN_FAILED\]/);
      expect(folder.has("app.json")).toBe(false);
    }, 30_000);

    test.for([
      ["the browser", "idle", "code_challenge_method=S256"],
      ["a code", "none", "Enter verification code: "],
    ] as const)(
      "ends at the interrupt key while it waits for %s, and leaves nothing behind",
      { timeout: 30_000 },
      async ([, browser, shown]) => {
        const run = await signAt(browser, [[shown, "\u0003"]]);
        expect(run).toMatchObject({ status: 130, echo: true, canonical: true });
        expect(run.output).toContain("[COMMAND_INTERRUPTED]");
        const address = decodeURIComponent(/redirect_uri=(http[^&]+)/.exec(run.output)?.[1] ?? "");
        expect(address).toMatch(/^http:\/\/localhost:\d+\//);
        await expect(fetch(address)).rejects.toThrow("fetch failed");
        expect(folder.has("app.json")).toBe(false);
      },
    );
  },
);
