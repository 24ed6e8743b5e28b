import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { describe, expect, onTestFinished, test } from "vitest";
import { Interruption } from "../../src/cli/interruption.ts";
import { PROGRAM, temporaryFolder } from "../support/cli.ts";
import { readSource, resolveImport } from "../support/imports.ts";
import { runInProcess } from "../support/program.ts";
import { projectDir } from "../support/shared.ts";

/** Runs it in this process, and does something while it is up. */
async function runUntil(
  end: (controller: AbortController, printed: string) => Promise<void> | void,
  ...flags: readonly string[]
): Promise<{ readonly status: number; readonly stdout: string; readonly stderr: string }> {
  const controller = new AbortController();
  let stdout = "";
  const run = await runInProcess(["sandbox", ...flags], {
    signal: controller.signal,
    now: () => new Date(),
    stdout: {
      isTerminal: false,
      write(text) {
        stdout += text;
        void end(controller, stdout);
      },
    },
  });
  return { ...run, stdout };
}

describe("cosign-ts sandbox", () => {
  test.for([
    ["SIGINT", 2, 130],
    ["SIGTERM", 15, 143],
  ] as const)("says how to use it, and ends in order on %s", async ([signal, number, status]) => {
    let environment = "";
    const run = await runUntil((controller, printed) => {
      environment = /^set -a; \. (.*); set \+a$/m.exec(printed)?.[1] ?? "";
      expect(existsSync(environment)).toBe(true);
      controller.abort(new Interruption(signal, number));
    });
    expect(run).toMatchObject({ status, stderr: "" });
    expect(run.stdout).toMatch(/^# with cosign-ts\ncosign-ts sign-blob .*\ncosign-ts verify-blob /m);
    expect(run.stdout).toMatch(/^# with cosign\ncosign sign-blob .*\ncosign verify-blob /m);
    expect(existsSync(dirname(environment))).toBe(false);
  });

  test("quotes its folder for a shell, tells of faults and witnesses, and of requests where they are asked for", async () => {
    const directory = join(temporaryFolder(), "it's here");
    const run = await runUntil(
      (controller, printed) => {
        const page = /^Look at it: (.*)$/m.exec(printed)?.[1] ?? "";
        void fetch(page).then(() => controller.abort(new Interruption("SIGINT", 2)));
      },
      "--dir",
      directory,
      "--fault",
      "tsa=clock:+1m",
      "--witnesses",
      "2",
      "--verbose",
    );
    expect(run.stdout).toContain(`. '${directory.replace("'", String.raw`'\''`)}/env'; `);
    expect(run.stdout).toContain("On purpose: tsa clock:+1m\n");
    expect(run.stdout.match(/^Witness: /gm)).toHaveLength(2);
    expect(run.stderr).toContain("page: GET /sandbox: 200\n");
    expect(existsSync(join(directory, "state"))).toBe(true);
  });

  test("ends after a time limit that is given, and has none otherwise", async () => {
    const run = await runUntil(() => undefined, "--timeout", "300ms");
    expect(run).toMatchObject({ status: 0, stderr: "" });
  });

  test.for([
    [["--fault", "nobody=timeout"]],
    [["--fault", "tsa=split-view"]],
    [["--port", "70000"]],
    [["--port", "-1"]],
    [["operand"]],
  ] as const)("takes %j as wrong usage", async ([flags]) => {
    const { status, stdout, stderr } = await runInProcess(["sandbox", ...flags]);
    expect([status, stdout]).toEqual([1, ""]);
    expect(stderr).toContain("[USAGE_INVALID]");
  });

  test("is loaded when it runs, and by no other command", () => {
    const reached = new Set<string>();
    const queue = ["src/cli/main.ts"];
    for (let path = queue.pop(); path !== undefined; path = queue.pop()) {
      if (reached.has(path) || path === "src/cli/commands/sandbox.ts") continue;
      reached.add(path);
      for (const one of readSource(path, readFileSync(join(projectDir, path), "utf8")).imports) {
        const target = one.kind === "type" ? undefined : resolveImport(one);
        if (target !== undefined) queue.push(target);
      }
    }
    expect(reached).toContain("src/cli/commands/verify-blob.ts");
    expect([...reached].filter((path) => path.startsWith("src/sandbox/"))).toEqual([]);
  });

  test("ends in order as a process too, at whatever moment it is interrupted", { timeout: 60_000 }, async () => {
    const directory = temporaryFolder();
    const run = async (wait: (stdout: NodeJS.ReadableStream) => Promise<unknown>): Promise<number | null> => {
      const child = spawn(process.execPath, [PROGRAM, "sandbox", "--dir", directory], {
        stdio: ["ignore", "pipe", "inherit"],
      });
      onTestFinished(() => void child.kill("SIGKILL"));
      await wait(child.stdout);
      child.kill("SIGINT");
      const [status] = (await once(child, "exit")) as [number | null];
      return status;
    };
    const up = async (stdout: NodeJS.ReadableStream): Promise<void> => void (await once(stdout, "data"));
    const starting = async (): Promise<void> =>
      await expect
        .poll(() => existsSync(join(directory, "state", "~lock")), { timeout: 30_000, interval: 1 })
        .toBe(true);
    for (const wait of [up, starting, up]) {
      expect(await run(wait)).toBe(130);
      expect(existsSync(join(directory, "env"))).toBe(false);
      expect(existsSync(join(directory, "state", "~lock"))).toBe(false);
    }
    expect(readFileSync(join(directory, "trusted_root.json"), "utf8")).toContain("tlogs");
  });
});
