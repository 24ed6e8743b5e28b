import { describe, expect, onTestFinished, test } from "vitest";
import { Deadline } from "../../src/sign/deadline.ts";

/** Hears of rejections that nobody else does: each would end a process with a stack trace. */
function unheardRejections(): readonly unknown[] {
  const heard: unknown[] = [];
  const listener = (reason: unknown): void => void heard.push(reason);
  const others = process.listeners("unhandledRejection");
  process.removeAllListeners("unhandledRejection");
  process.on("unhandledRejection", listener);
  onTestFinished(() => {
    process.removeListener("unhandledRejection", listener);
    for (const other of others) process.on("unhandledRejection", other);
  });
  return heard;
}
const nextTurn = async (): Promise<void> => {
  await new Promise((resolve) => {
    setImmediate(resolve);
  });
};

describe("Deadline", () => {
  test("gives what the work gives, or throws what it throws", async () => {
    const deadline = new Deadline(60_000, undefined);
    expect(await deadline.race("signing", Promise.resolve(1))).toBe(1);
    const error = new Error("x");
    await expect(deadline.race("signing", Promise.reject(error))).rejects.toBe(error);
  });

  test("leaves no failure of the work unheard, where the caller had ended it before", async () => {
    const heard = unheardRejections();
    const reason = new Error("ended by the caller");
    const deadline = new Deadline(60_000, AbortSignal.abort(reason));
    // As a key does that looks at its signal first.
    await expect(deadline.race("signing", Promise.reject(reason))).rejects.toBe(reason);
    await nextTurn();
    expect(heard).toEqual([]);
  });
});
