import { describe, expect, test } from "vitest";
import { MAX_REMEMBERED_MANIFEST_BYTES } from "../../../src/limits.ts";
import type { FetchedManifest } from "../../../src/oci/content-store.ts";
import { ManifestMemory } from "../../../src/oci/registry/manifest-memory.ts";

const MEDIA_TYPE = "application/vnd.oci.image.index.v1+json";

function fetched(label: string, length: number): FetchedManifest {
  const digest = `sha256:${Buffer.from(label).toString("hex").padEnd(64, "0")}` as const;
  return {
    descriptor: { mediaType: MEDIA_TYPE, digest, size: length },
    bytes: new Uint8Array(length),
    manifest: { kind: "index", mediaType: MEDIA_TYPE, manifests: [], annotations: {} },
    etag: '"state"',
  };
}

/** Says which of them are remembered. */
async function remembered(memory: ManifestMemory, ...all: readonly FetchedManifest[]): Promise<readonly boolean[]> {
  const found = all.map(({ descriptor }) => memory.get(descriptor.digest, () => Promise.resolve(undefined)));
  return (await Promise.all(found)).map((one) => one !== undefined);
}

describe("ManifestMemory", () => {
  const half = MAX_REMEMBERED_MANIFEST_BYTES / 2;

  test("forgets the oldest for a new one that would be too much", async () => {
    const memory = new ManifestMemory();
    const [a, b, c] = [fetched("a", half), fetched("b", half), fetched("c", 1)];
    memory.add(a);
    memory.add(b);
    expect(await remembered(memory, a, b)).toEqual([true, true]);
    memory.add(c);
    expect(await remembered(memory, a, b, c)).toEqual([false, true, true]);
  });

  test("has place again for what was deleted, and counts nothing twice", async () => {
    const memory = new ManifestMemory();
    const [a, b, c] = [fetched("a", half), fetched("b", half), fetched("c", half)];
    for (const one of [a, a, a, b]) memory.add(one);
    expect(await remembered(memory, a, b)).toEqual([true, true]);
    memory.delete(a.descriptor.digest);
    memory.delete("v1");
    memory.add(c);
    expect(await remembered(memory, a, b, c)).toEqual([false, true, true]);
  });

  test("does not take what is larger than all of it, and no state of a tag", async () => {
    const memory = new ManifestMemory();
    const [huge, small] = [fetched("huge", MAX_REMEMBERED_MANIFEST_BYTES + 1), fetched("small", 1)];
    memory.add(small);
    memory.add(huge);
    expect(await remembered(memory, huge, small)).toEqual([false, true]);
    expect(await memory.get(small.descriptor.digest, () => Promise.resolve(undefined))).not.toHaveProperty("etag");
  });

  test("asks once for all who want it, and again after it failed", async () => {
    const memory = new ManifestMemory();
    let asked = 0;
    const failing = (): Promise<undefined> => {
      asked += 1;
      return Promise.reject(new Error("gone"));
    };
    const both = await Promise.allSettled([memory.get("x", failing), memory.get("x", failing)]);
    expect([asked, ...both.map(({ status }) => status)]).toEqual([1, "rejected", "rejected"]);
    await expect(memory.get("x", failing)).rejects.toThrow("gone");
    expect(asked).toBe(2);
  });
});
