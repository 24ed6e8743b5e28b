import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { Sequencer } from "../../src/sandbox/sequencer.ts";

describe("Sequencer", () => {
  beforeEach(() => void vi.useFakeTimers());
  afterEach(() => void vi.useRealTimers());

  function sequencer(delayMs: number, maxBatch = 10) {
    const batches: (readonly number[])[] = [];
    return {
      batches,
      sequencer: new Sequencer<number, number>({
        delayMs,
        maxBatch,
        integrate(items) {
          batches.push(items);
          if (items.includes(13)) throw new Error("unlucky");
          return items.map((item) => 10 * item);
        },
      }),
    };
  }

  test("does not let wait what comes after a pause, and lets wait what comes soon after", async () => {
    const { sequencer: one, batches } = sequencer(50);
    const first = one.add(1);
    await vi.advanceTimersByTimeAsync(0);
    expect(await first).toBe(10);
    const rest = [one.add(2), one.add(3)];
    await vi.advanceTimersByTimeAsync(40);
    expect(batches).toEqual([[1]]);
    await vi.advanceTimersByTimeAsync(10);
    expect(await Promise.all(rest)).toEqual([20, 30]);
    expect(batches).toEqual([[1], [2, 3]]);
    await vi.advanceTimersByTimeAsync(50);
    const later = one.add(4);
    await vi.advanceTimersByTimeAsync(0);
    expect(await later).toBe(40);
  });

  test("does not let a full batch wait, and leaves the rest for the next", async () => {
    const { sequencer: one, batches } = sequencer(50, 3);
    const first = one.add(0);
    await vi.advanceTimersByTimeAsync(0);
    await first;
    const all = [1, 2, 3, 4].map((item) => one.add(item));
    await vi.advanceTimersByTimeAsync(0);
    expect(batches).toEqual([[0], [1, 2, 3]]);
    await vi.advanceTimersByTimeAsync(50);
    expect(await Promise.all(all)).toEqual([10, 20, 30, 40]);
    expect(batches).toEqual([[0], [1, 2, 3], [4]]);
  });

  test("is never at work twice at once", async () => {
    let atWork = 0;
    let most = 0;
    const one = new Sequencer<number, number>({
      delayMs: 0,
      maxBatch: 1,
      async integrate(items) {
        most = Math.max(most, ++atWork);
        await Promise.resolve();
        atWork--;
        return items;
      },
    });
    const all = Promise.all([1, 2, 3].map((item) => one.add(item)));
    await vi.advanceTimersByTimeAsync(10);
    expect(await all).toEqual([1, 2, 3]);
    expect(most).toBe(1);
  });

  test("fails each item of a batch that fails, and goes on", async () => {
    const { sequencer: one } = sequencer(0);
    const failing = Promise.allSettled([one.add(13), one.add(1)]);
    await vi.advanceTimersByTimeAsync(0);
    expect((await failing).map(({ status }) => status)).toEqual(["rejected", "rejected"]);
    const next = one.add(2);
    await vi.advanceTimersByTimeAsync(10);
    expect(await next).toBe(20);
  });

  test("is settled when nothing is at work or waiting", async () => {
    const { sequencer: one, batches } = sequencer(50);
    await one.settled();
    const added = Promise.all([one.add(1), one.settled().then(() => batches.length)]);
    await vi.advanceTimersByTimeAsync(0);
    expect(await added).toEqual([10, 1]);
  });
});
