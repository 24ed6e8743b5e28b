/**
 * Serves a log as tiles of hashes and bundles of entries.
 *
 * @see {@link https://c2sp.org/tlog-tiles | C2SP tlog-tiles}
 * @module
 */

import { concatBytes } from "../../encoding/bytes.ts";
import type { LeafLog } from "../leaf-log.ts";

const TILE_WIDTH = 256;
/** Levels of the tree in one level of tiles. */
const TILE_HEIGHT = 8;

/** Names a tile of hashes, or a bundle of entries. */
export interface TilePath {
  readonly level: number | "entries";
  readonly index: number;
  readonly width: number;
}

/**
 * Reads what stands behind `tile/`: `<L>/<N>[.p/<W>]`.
 *
 * @returns `undefined` for what names no tile.
 */
export function tryParseTilePath(path: string): TilePath | undefined {
  const { level, index, width } =
    /^(?<level>entries|0|[1-9][0-9]?)\/(?<index>(?:x[0-9]{3}\/)*[0-9]{3})(?:\.p\/(?<width>[1-9][0-9]{0,2}))?$/.exec(
      path,
    )?.groups ?? {};
  if (level === undefined || index === undefined) return undefined;
  const number = Number(index.replaceAll(/[x/]/g, ""));
  // A number is written in as few elements as it takes.
  if (index.startsWith("x000") || !Number.isSafeInteger(number)) return undefined;
  if ((level !== "entries" && Number(level) > 63) || Number(width ?? 1) >= TILE_WIDTH) return undefined;
  return {
    level: level === "entries" ? level : Number(level),
    index: number,
    width: width === undefined ? TILE_WIDTH : Number(width),
  };
}

/** @returns `undefined` where the log is not that large. */
export function tryReadTile(log: LeafLog, { level, index, width }: TilePath): Uint8Array | undefined {
  const first = index * TILE_WIDTH;
  const height = level === "entries" ? 0 : level * TILE_HEIGHT;
  if ((first + width) * 2 ** height > log.size) return undefined;
  const positions = Array.from({ length: width }, (_, at) => first + at);
  if (level !== "entries") return concatBytes(...positions.map((position) => log.tree.node(height, position)));
  return concatBytes(
    ...positions.flatMap((position) => {
      const { bytes } = log.leaf(position);
      return [Uint8Array.of(bytes.length >> 8, bytes.length & 0xff), bytes];
    }),
  );
}
