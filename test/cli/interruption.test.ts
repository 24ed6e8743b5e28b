import { describe, expect, test } from "vitest";
import { Interruption, untilAborted } from "../../src/cli/interruption.ts";

const never = Promise.withResolvers<never>().promise;

describe("untilAborted", () => {
  test("gives what the work gives, or throws what it throws", async () => {
    const { signal } = new AbortController();
    expect(await untilAborted(Promise.resolve(1), signal)).toBe(1);
    const error = new Error("x");
    await expect(untilAborted(Promise.reject(error), signal)).rejects.toBe(error);
  });

  test.each([
    [
      "a signal to the process",
      () => AbortSignal.abort(new Interruption("SIGINT", 2)),
      "COMMAND_INTERRUPTED",
      /by SIGINT$/,
    ],
    ["the caller", () => AbortSignal.abort(), "COMMAND_INTERRUPTED", /interrupted$/],
    ["the time limit", () => AbortSignal.timeout(1), "COMMAND_TIMED_OUT", /in time$/],
  ])("ends work that never does at %s", async (_, signal, code, message) => {
    await expect(untilAborted(never, signal())).rejects.toMatchObject({
      name: "InputError",
      code,
      message: expect.stringMatching(message) as unknown,
    });
  });

  test("says what was asked last where the time was not enough", async () => {
    const waiting = untilAborted(never, AbortSignal.timeout(1), () => "POST https://rekor.test/api/v1/log/entries");
    await expect(waiting).rejects.toThrow("its last request was POST https://rekor.test/api/v1/log/entries");
  });

  test("says that it was interrupted, whatever error the work made of that", async () => {
    const controller = new AbortController();
    const { promise: work, reject } = Promise.withResolvers<never>();
    controller.signal.addEventListener("abort", () => reject(new Error("stream broke")));
    const waiting = untilAborted(work, controller.signal);
    controller.abort(new Interruption("SIGTERM", 15));
    await expect(waiting).rejects.toMatchObject({ code: "COMMAND_INTERRUPTED" });
  });
});

test("an interruption knows the exit status that shells give it", () => {
  expect([new Interruption("SIGINT", 2).exitStatus, new Interruption("SIGTERM", 15).exitStatus]).toEqual([130, 143]);
});
