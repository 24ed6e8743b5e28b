/**
 * Tiles: the hashes of a log's Merkle tree as static resources.
 *
 * @see {@link https://c2sp.org/tlog-tiles | C2SP tlog-tiles}
 * @module
 */

import type { CryptoProvider } from "../crypto/provider.ts";
import { FormatError } from "../errors.ts";
import { nodeHash } from "./merkle.ts";

/** Hashes in a full tile. */
export const TILE_WIDTH = 256;
/** Levels of the tree that one tile holds. */
const TILE_HEIGHT = 8n;
const HASH_BYTES = 32;

/** Names a tile of hashes. */
export interface Tile {
  /** 0 for the tiles of leaf hashes; each further one is 8 levels of the tree up. */
  readonly level: number;
  readonly index: bigint;
  /** How many hashes it has: 256, or fewer at the right edge of the tree. */
  readonly width: number;
}

/** Writes the path of a tile below the log's prefix, without a slash before it. */
export function tilePath({ level, index, width }: Tile): string {
  return `tile/${level}/${numberPath(index)}${width === TILE_WIDTH ? "" : `.p/${width}`}`;
}

/** Three digits an element, all but the last with an `x` before them: 1234067 is `x001/x234/067`. */
function numberPath(index: bigint): string {
  const digits = index.toString();
  const padded = digits.padStart(Math.ceil(digits.length / 3) * 3, "0");
  const elements = padded.match(/\d{3}/g) ?? [];
  return elements.map((element, at) => (at === elements.length - 1 ? element : `x${element}`)).join("/");
}

/**
 * Finds the tile that holds a hash, as wide as it is in a tree of this size.
 *
 * @param level - Of the tile.
 * @param index - Of the hash, counted over all tiles of the level.
 * @throws `TypeError` where the tree has no such hash.
 */
export function tileAt(level: number, index: bigint, treeSize: bigint): Tile {
  const hashes = treeSize >> (TILE_HEIGHT * BigInt(level));
  if (index < 0n || index >= hashes) throw new TypeError(`tree of size ${treeSize} has no hash ${level}/${index}`);
  const tile = index / BigInt(TILE_WIDTH);
  const width = hashes - tile * BigInt(TILE_WIDTH);
  return { level, index: tile, width: width < TILE_WIDTH ? Number(width) : TILE_WIDTH };
}

/**
 * Parses a tile of hashes.
 *
 * @param width - How many hashes are needed; a wider tile, into which the partial one has grown since, will do.
 * @returns that many hashes.
 * @throws {@link FormatError} `TLOG_ENTRY_MALFORMED`.
 */
export function parseTile(bytes: Uint8Array, width: number): readonly Uint8Array[] {
  if (bytes.length % HASH_BYTES !== 0 || bytes.length < width * HASH_BYTES || bytes.length > TILE_WIDTH * HASH_BYTES) {
    throw new FormatError("TLOG_ENTRY_MALFORMED", "tile does not have the size that it should have", {
      expected: `${width * HASH_BYTES} bytes`,
      found: `${bytes.length} bytes`,
    });
  }
  return Array.from({ length: width }, (_, at) => bytes.subarray(at * HASH_BYTES, (at + 1) * HASH_BYTES));
}

/** Gives the hashes of a tile, exactly as many as its width says. */
export type TileReader = (tile: Tile) => Promise<readonly Uint8Array[]>;

/**
 * Computes the inclusion proof of a leaf from tiles, each of which is asked for once.
 *
 * Nothing is proven by it: `verifyInclusion` tells whether the proof leads to a root.
 *
 * @returns the hashes, from the leaf's sibling upwards.
 * @throws `TypeError` where the tree has no such leaf; what the reader throws.
 * @see RFC 6962 §2.1.1, whose names `PATH` and `MTH` the functions have
 */
export async function inclusionProofFromTiles(
  index: bigint,
  treeSize: bigint,
  read: TileReader,
  crypto: CryptoProvider,
): Promise<readonly Uint8Array[]> {
  if (index < 0n || index >= treeSize) throw new TypeError(`tree of size ${treeSize} has no leaf ${index}`);
  const tiles = new Map<string, Promise<readonly Uint8Array[]>>();
  const hashAt = async (level: number, at: bigint): Promise<Uint8Array> => {
    const tile = tileAt(level, at, treeSize);
    const key = `${level}/${tile.index}`;
    const hashes = tiles.get(key) ?? read(tile);
    tiles.set(key, hashes);
    return (await hashes)[Number(at % BigInt(TILE_WIDTH))] as Uint8Array;
  };
  const mth = async (begin: bigint, end: bigint): Promise<Uint8Array> => {
    const size = end - begin;
    const height = BigInt(size.toString(2).length - 1);
    // A whole subtree whose height is that of a tile's hashes is there already.
    if (size === 1n << height && height % TILE_HEIGHT === 0n)
      return await hashAt(Number(height / TILE_HEIGHT), begin >> height);
    const middle = begin + largestPowerOfTwoBelow(size);
    return await nodeHash(await mth(begin, middle), await mth(middle, end), crypto);
  };
  const path = async (begin: bigint, end: bigint): Promise<readonly Uint8Array[]> => {
    if (end - begin === 1n) return [];
    const middle = begin + largestPowerOfTwoBelow(end - begin);
    return index < middle
      ? [...(await path(begin, middle)), await mth(middle, end)]
      : [...(await path(middle, end)), await mth(begin, middle)];
  };
  return await path(0n, treeSize);
}

/** RFC 6962 §2.1: the largest power of two smaller than n. */
function largestPowerOfTwoBelow(n: bigint): bigint {
  return 1n << BigInt((n - 1n).toString(2).length - 1);
}
