import { describe, expect, test } from "vitest";
import { LeafLog, type Leaf } from "../../src/sandbox/leaf-log.ts";
import { hashLeaf } from "../../src/sandbox/merkle-tree.ts";
import { createMemoryStore, type SandboxStore } from "../../src/sandbox/store.ts";
import { treeHash, utf8 } from "../support/logs.ts";

const leafOf = (index: number): Leaf & { readonly hash: Uint8Array } => {
  const bytes = utf8(`leaf ${index}`);
  return { bytes, note: `note ${index}`, hash: hashLeaf(bytes) };
};
const leavesOf = (from: number, to: number): readonly ReturnType<typeof leafOf>[] =>
  Array.from({ length: to - from }, (_, at) => leafOf(from + at));

/** Counts what is read and written. */
function countingStore(): { readonly store: SandboxStore; readonly counts: { reads: number; writes: number } } {
  const inner = createMemoryStore();
  const counts = { reads: 0, writes: 0 };
  return {
    counts,
    store: {
      ...inner,
      append: (name, record) => {
        counts.writes++;
        inner.append(name, record);
      },
      records: (name) => {
        counts.reads++;
        return inner.records(name);
      },
    },
  };
}

describe("LeafLog", () => {
  test("has the tree of its leaves, finds them by hash, and gives them back", () => {
    const log = new LeafLog(createMemoryStore());
    expect(log.append(leavesOf(0, 3))).toBe(0);
    expect(log.append(leavesOf(3, 10))).toBe(3);
    expect(log.size).toBe(10);
    expect(log.tree.root()).toEqual(treeHash(leavesOf(0, 10).map(({ bytes }) => bytes)));
    expect(log.find(leafOf(7).hash)).toBe(7);
    expect(log.find(hashLeaf(utf8("other")))).toBeUndefined();
    expect(log.leaf(9)).toMatchObject({ bytes: leafOf(9).bytes, note: "note 9" });
    expect(() => log.leaf(10)).toThrow(RangeError);
  });

  test("is the same after a restart, however its leaves were divided into parts", () => {
    const { store, counts } = countingStore();
    const log = new LeafLog(store);
    for (let from = 0; from < 7000; from += 500) log.append(leavesOf(from, from + 500));
    expect(counts.writes).toBeLessThan(20);
    const seen: [string, number][] = [];
    const again = new LeafLog(store, ({ note }, index) => seen.push([note, index]));
    expect(again.tree.root()).toEqual(log.tree.root());
    expect(seen).toHaveLength(7000);
    expect(seen[6789]).toEqual(["note 6789", 6789]);
    again.append(leavesOf(7000, 7001));
    for (const index of [0, 2047, 2048, 6143, 6144, 6999, 7000])
      expect(again.leaf(index)).toMatchObject({ bytes: leafOf(index).bytes, note: `note ${index}` });
  });

  test("reads a part once where it is read in order, and keeps no more than a few", () => {
    const { store, counts } = countingStore();
    const log = new LeafLog(store);
    log.append(leavesOf(0, 10_000));
    counts.reads = 0;
    for (let index = 0; index < 10_000; index++) log.leaf(index);
    expect(counts.reads).toBeLessThan(6);
  });

  test("adds all leaves or none where the store fails", () => {
    const inner = createMemoryStore();
    let isFull = false;
    const log = new LeafLog({
      ...inner,
      append(name, record) {
        if (isFull) throw new Error("full");
        inner.append(name, record);
      },
    });
    log.append(leavesOf(0, 3));
    isFull = true;
    expect(() => log.append(leavesOf(3, 5))).toThrow("full");
    expect(log.size).toBe(3);
    isFull = false;
    expect(log.append(leavesOf(3, 5))).toBe(3);
    expect(new LeafLog(inner).size).toBe(5);
  });

  test("finds the first of two leaves that are alike", () => {
    const log = new LeafLog(createMemoryStore());
    log.append([leafOf(1), leafOf(1)]);
    expect(log.size).toBe(2);
    expect(log.find(leafOf(1).hash)).toBe(0);
  });
});
