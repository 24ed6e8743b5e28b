import { hash } from "node:crypto";
import { describe, expect, test } from "vitest";
import { defaultCryptoProvider } from "../../src/crypto/provider.ts";
import { verifyInclusion } from "../../src/tlog/merkle.ts";
import { inclusionProofFromTiles, parseTile, tileAt, tilePath, type Tile } from "../../src/tlog/tiles.ts";
import { hashOfHashes, pathOfHashes, tileAnswer } from "../support/rekor-answers.ts";

const crypto = defaultCryptoProvider();

describe("tilePath (C2SP tlog-tiles, Merkle Tree)", () => {
  test.for([
    [0, 0n, 256, "tile/0/000"],
    [1, 999n, 256, "tile/1/999"],
    [0, 1000n, 256, "tile/0/x001/000"],
    // The example of the specification.
    [3, 1234067n, 256, "tile/3/x001/x234/067"],
    [0, 1234067n, 8, "tile/0/x001/x234/067.p/8"],
    [2, 0n, 1, "tile/2/000.p/1"],
  ] as const)("writes level %i, index %i, width %i", ([level, index, width, path]) => {
    expect(tilePath({ level, index, width })).toBe(path);
  });
});

describe("tileAt", () => {
  test("finds the tiles of the specification's tree of 70,000 leaves", () => {
    const size = 70_000n;
    expect(tileAt(0, 69_999n, size)).toEqual({ level: 0, index: 273n, width: 112 });
    expect(tileAt(0, 272n * 256n, size)).toEqual({ level: 0, index: 272n, width: 256 });
    expect(tileAt(1, 272n, size)).toEqual({ level: 1, index: 1n, width: 17 });
    expect(tileAt(2, 0n, size)).toEqual({ level: 2, index: 0n, width: 1 });
  });

  test.for([
    [0, 70_000n],
    [0, -1n],
    [1, 273n],
    [2, 1n],
    [3, 0n],
  ] as const)("throws for hash %i/%i, which that tree does not have", ([level, index]) => {
    expect(() => tileAt(level, index, 70_000n)).toThrow(TypeError);
  });
});

describe("parseTile", () => {
  const tile = Buffer.concat([1, 2, 3].map((value) => new Uint8Array(32).fill(value)));

  test("gives as many hashes as are needed, of a tile that has grown too", () => {
    expect(parseTile(tile, 3).map((hash) => hash[0])).toEqual([1, 2, 3]);
    expect(parseTile(tile, 2).map((hash) => hash[0])).toEqual([1, 2]);
  });

  test.for([
    ["ends inside a hash", tile.subarray(0, 95), 2],
    ["has fewer hashes", tile, 4],
    ["is empty", new Uint8Array(0), 1],
    ["has more hashes than a tile", new Uint8Array(257 * 32), 256],
  ] as const)("refuses a tile that %s", ([, bytes, width]) => {
    expect(() => parseTile(bytes, width)).toThrow(expect.objectContaining({ code: "TLOG_ENTRY_MALFORMED" }));
  });
});

describe("inclusionProofFromTiles (RFC 6962 §2.1.1)", () => {
  const ALL = Array.from({ length: 66_100 }, (_, index) => new Uint8Array(hash("sha256", `leaf ${index}`, "buffer")));
  /** Tiles of one tree, which take long to make where they are of a higher level. */
  const made = new Map<string, Promise<readonly Uint8Array[]>>();
  const readerOf =
    (leaves: readonly Uint8Array[], asked: string[] = []) =>
    (tile: Tile): Promise<readonly Uint8Array[]> => {
      asked.push(tilePath(tile));
      const key = `${leaves.length} ${tilePath(tile)}`;
      const hashes = made.get(key) ?? makeTile(leaves, tile);
      made.set(key, hashes);
      return hashes;
    };
  const makeTile = async (leaves: readonly Uint8Array[], tile: Tile): Promise<readonly Uint8Array[]> => {
    const answer = tileAnswer({ url: `/${tilePath(tile)}` }, leaves);
    expect(answer?.status, tilePath(tile)).toBe(200);
    return parseTile(new Uint8Array(await (answer as Response).arrayBuffer()), tile.width);
  };

  test.for([1, 2, 3, 7, 255, 256, 257, 300, 511, 512, 513, 66_100])(
    "gives the proofs of a tree of %i leaves, with partial tiles no wider than they are",
    async (size) => {
      const leaves = ALL.slice(0, size);
      const root = hashOfHashes(leaves);
      const some =
        size < 8 ? leaves.keys() : [0, 1, 5, 254, 255, 256, 299, 511, 512, 40_000, 65_536, size - 2, size - 1];
      for (const index of some) {
        if (index >= size) continue;
        const asked: string[] = [];
        const hashes = await inclusionProofFromTiles(BigInt(index), BigInt(size), readerOf(leaves, asked), crypto);
        if (size < 1000) expect(hashes).toEqual(pathOfHashes(index, leaves));
        const leafHash = leaves[index] as Uint8Array;
        await verifyInclusion({ index: BigInt(index), treeSize: BigInt(size), leafHash, hashes }, root, crypto);
        expect(asked).toHaveLength(new Set(asked).size);
        expect(asked.length).toBeLessThanOrEqual(5);
      }
    },
  );

  test("throws for a leaf that is not there, before anything is read", async () => {
    const read = readerOf([]);
    await expect(inclusionProofFromTiles(3n, 3n, read, crypto)).rejects.toThrow(TypeError);
    await expect(inclusionProofFromTiles(-1n, 3n, read, crypto)).rejects.toThrow(TypeError);
  });

  test("ends in the largest tree that there can be", async () => {
    const read = (tile: Tile): Promise<readonly Uint8Array[]> =>
      Promise.resolve(Array.from({ length: tile.width }, () => new Uint8Array(32)));
    await expect(inclusionProofFromTiles(2n ** 63n, 2n ** 64n - 1n, read, crypto)).resolves.toHaveLength(64);
  });
});
