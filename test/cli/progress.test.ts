import { describe, expect, test } from "vitest";
import type { Context } from "../../src/cli/context.ts";
import { createProgress, type Progress } from "../../src/cli/progress.ts";

const CLEAR = "\r\u001b[K";

interface Drawn {
  readonly writes: readonly string[];
  readonly progress: Progress;
  readonly controller: AbortController;
  readonly wait: (ms: number) => void;
}

function draw(terminal: { isTerminal: boolean; environment?: Record<string, string> } = { isTerminal: true }): Drawn {
  const writes: string[] = [];
  const controller = new AbortController();
  let elapsed = 1000;
  const context: Context = {
    stdout: { write: () => undefined, isTerminal: false },
    stderr: { write: (text) => void writes.push(text), isTerminal: terminal.isTerminal },
    stdin: { [Symbol.asyncIterator]: () => ({ next: () => Promise.resolve({ done: true, value: undefined }) }) },
    environment: terminal.environment ?? {},
    now: () => new Date(0),
    fetch: () => Promise.reject(new Error("no network")),
    signal: controller.signal,
  };
  return {
    writes,
    controller,
    progress: createProgress(context, "Reading", () => elapsed),
    wait: (ms) => void (elapsed += ms),
  };
}

const MIB = 1024 * 1024;

describe("createProgress", () => {
  test("draws share, size and rate over what was drawn before", () => {
    const { writes, progress, wait } = draw();
    wait(500);
    progress.update(MIB, 4 * MIB);
    wait(500);
    progress.update(3 * MIB, 4 * MIB);
    wait(1000);
    progress.update(4 * MIB, 4 * MIB);
    expect(writes).toEqual([
      "\rReading [######..................] 25% of 4 MiB, 2 MiB/s\u001b[K",
      "\rReading [##################......] 75% of 4 MiB, 3 MiB/s\u001b[K",
      "\rReading [########################] 100% of 4 MiB, 2 MiB/s\u001b[K",
    ]);
  });

  test("draws ten times a second at most, but always the end", () => {
    const { writes, progress, wait } = draw();
    for (let read = 1; read <= 100; read += 1) {
      wait(10);
      progress.update(read, 100);
    }
    expect(writes.length).toBeLessThanOrEqual(12);
    expect(writes.at(-1)).toContain("100% of 100 B");
  });

  test("draws what was read where nobody knows the size, and no more than all of what is larger than it said", () => {
    const unknown = draw();
    unknown.wait(1000);
    unknown.progress.update(2 * MIB, undefined);
    expect(unknown.writes).toEqual(["\rReading 2 MiB, 2 MiB/s\u001b[K"]);
    const more = draw();
    more.progress.update(2 * MIB, MIB);
    expect(more.writes[0]).toContain("] 100% of 1 MiB");
    const nothing = draw();
    nothing.progress.update(0, 0);
    expect(nothing.writes[0]).toContain("] 100% of 0 B, 0 B/s");
  });

  test("clears its line once, and draws nothing afterwards", () => {
    const { writes, progress } = draw();
    progress.update(1, 2);
    progress.end();
    progress.end();
    progress.update(2, 2);
    expect(writes.slice(1)).toEqual([CLEAR]);
  });

  test("clears no line that it did not draw", () => {
    const { writes, progress } = draw();
    progress.end();
    expect(writes).toEqual([]);
  });

  test("clears its line when the command is interrupted, before anything else is said", () => {
    const { writes, progress, controller } = draw();
    progress.update(1, 2);
    controller.abort();
    progress.update(2, 2);
    progress.end();
    expect(writes.slice(1)).toEqual([CLEAR]);
  });

  test.each([
    ["is no terminal", { isTerminal: false }],
    ["is a terminal without cursor", { isTerminal: true, environment: { TERM: "dumb" } }],
  ])("writes nothing where standard error %s", (_, terminal) => {
    const { writes, progress } = draw(terminal);
    progress.update(1, 2);
    progress.end();
    expect(writes).toEqual([]);
  });

  test("draws in no colour, whatever NO_COLOR says", () => {
    const { writes, progress } = draw({ isTerminal: true, environment: { NO_COLOR: "1" } });
    progress.update(1, 2);
    expect(writes[0]?.replace(/\u001b\[K$/, "")).not.toContain("\u001b");
  });
});
