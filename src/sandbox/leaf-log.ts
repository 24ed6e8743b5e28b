/**
 * The leaves of a log: their bytes in a store, their hashes in a Merkle tree.
 *
 * @module
 */

import { hashLeaf, MerkleTree } from "./merkle-tree.ts";
import type { SandboxStore } from "./store.ts";

/** Is a leaf, with what its log keeps beside it and no proof covers. */
export interface Leaf {
  readonly bytes: Uint8Array;
  readonly note: string;
}

/**
 * Leaves in one log of the store. A whole one is read to get at a leaf of it, and a store may keep each of them open: so neither
 * many nor few.
 */
const LEAVES_PER_PART = 2048;
/** Parts that are held in memory besides the one that grows: whoever reads a log reads it in order. */
const PARTS_IN_MEMORY = 2;
/** Bytes of one record, which is written at once; a store may refuse a much larger one. */
const RECORD_BYTES = 1024 * 1024;
/** Length of the leaf and of the note, 32 bits each, big-endian. */
const HEADER_BYTES = 8;

/** Keeps leaves; memory holds their hashes, and the last of the leaves themselves. */
export class LeafLog {
  readonly tree = new MerkleTree();
  readonly #store: SandboxStore;
  /** Leaf hash to index. */
  readonly #indexes = new Map<string, number>();
  readonly #parts = new Map<number, Leaf[]>();

  /**
   * Opens the leaves in a store, and hashes all of them.
   *
   * @param visit - Sees each of them in order.
   */
  constructor(store: SandboxStore, visit: (leaf: Leaf, index: number) => void = () => undefined) {
    this.#store = store;
    for (let part = 0; ; part++) {
      const leaves = this.#read(part);
      for (const leaf of leaves) visit(leaf, this.#add(hashLeaf(leaf.bytes)));
      this.#remember(part, leaves);
      if (leaves.length < LEAVES_PER_PART) return;
    }
  }

  get size(): number {
    return this.tree.size;
  }

  /**
   * Adds leaves at the end, all of them or none.
   *
   * @returns the index of the first.
   */
  append(leaves: readonly (Leaf & { readonly hash: Uint8Array })[]): number {
    const first = this.size;
    for (const { part, from, to } of recordsOf(first, leaves))
      this.#store.append(nameOf(part), encodeLeaves(leaves.slice(from, to)));
    for (const leaf of leaves) {
      const index = this.#add(leaf.hash);
      const part = Math.floor(index / LEAVES_PER_PART);
      const kept = this.#parts.get(part);
      if (kept === undefined) this.#remember(part, [{ bytes: leaf.bytes, note: leaf.note }]);
      else if (kept.length === index % LEAVES_PER_PART) kept.push({ bytes: leaf.bytes, note: leaf.note });
    }
    return first;
  }

  /** Finds the leaf with that hash. */
  find(leafHash: Uint8Array): number | undefined {
    return this.#indexes.get(keyOf(leafHash));
  }

  /** Reads a leaf. */
  leaf(index: number): Leaf {
    const part = Math.floor(index / LEAVES_PER_PART);
    let leaves = this.#parts.get(part);
    if (leaves === undefined) {
      leaves = this.#read(part);
      this.#remember(part, leaves);
    }
    const leaf = leaves[index % LEAVES_PER_PART];
    if (leaf === undefined) throw new RangeError(`the log has no leaf ${index}`);
    return leaf;
  }

  #add(hash: Uint8Array): number {
    const index = this.tree.append(hash);
    // The first of several stays the one that is found.
    const key = keyOf(hash);
    if (!this.#indexes.has(key)) this.#indexes.set(key, index);
    return index;
  }

  #remember(part: number, leaves: Leaf[]): void {
    this.#parts.set(part, leaves);
    const last = Math.floor(this.size / LEAVES_PER_PART);
    for (const other of this.#parts.keys()) {
      if (this.#parts.size <= PARTS_IN_MEMORY + 1) return;
      if (other !== part && other !== last) this.#parts.delete(other);
    }
  }

  #read(part: number): Leaf[] {
    const leaves: Leaf[] = [];
    for (const record of this.#store.records(nameOf(part))) decodeLeaves(record, leaves);
    return leaves;
  }
}

function nameOf(part: number): string {
  return `leaves-${part}`;
}

function keyOf(hash: Uint8Array): string {
  return Buffer.from(hash.buffer, hash.byteOffset, hash.length).toString("latin1");
}

/** Divides leaves into records that are neither too large nor in two parts. */
function* recordsOf(
  first: number,
  leaves: readonly Leaf[],
): Generator<{ readonly part: number; readonly from: number; readonly to: number }> {
  let from = 0;
  let bytes = 0;
  for (const [at, leaf] of leaves.entries()) {
    bytes += leaf.bytes.length + leaf.note.length;
    const isLast = at === leaves.length - 1 || (first + at + 1) % LEAVES_PER_PART === 0 || bytes >= RECORD_BYTES;
    if (!isLast) continue;
    yield { part: Math.floor((first + at) / LEAVES_PER_PART), from, to: at + 1 };
    from = at + 1;
    bytes = 0;
  }
}

function encodeLeaves(leaves: readonly Leaf[]): Uint8Array {
  const parts: Buffer[] = [];
  for (const { bytes, note } of leaves) {
    const text = Buffer.from(note);
    const header = Buffer.alloc(HEADER_BYTES);
    header.writeUInt32BE(bytes.length, 0);
    header.writeUInt32BE(text.length, 4);
    parts.push(header, Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length), text);
  }
  return new Uint8Array(Buffer.concat(parts));
}

function decodeLeaves(record: Uint8Array, into: Leaf[]): void {
  const buffer = Buffer.from(record.buffer, record.byteOffset, record.length);
  for (let at = 0; at < buffer.length;) {
    const end = at + HEADER_BYTES + buffer.readUInt32BE(at);
    const next = end + buffer.readUInt32BE(at + 4);
    into.push({ bytes: record.subarray(at + HEADER_BYTES, end), note: buffer.toString("utf8", end, next) });
    at = next;
  }
}
