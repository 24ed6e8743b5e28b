/**
 * The Merkle tree of a log that grows: it gives roots and proofs for every size that the log ever had.
 *
 * @module
 */

import { hash } from "node:crypto";

const HASH_BYTES = 32;

/**
 * Hashes a leaf: what {@link MerkleTree.append} takes.
 *
 * @see RFC 6962 §2.1
 */
export function hashLeaf(leaf: Uint8Array): Uint8Array {
  const input = new Uint8Array(1 + leaf.length);
  input.set(leaf, 1);
  return sha256(input);
}

/**
 * Keeps the hashes of all complete subtrees, 64 bytes a leaf, so that an append, a root and a proof each cost O(log n).
 *
 * It lives in memory: the owner keeps the leaf hashes and appends them again after a restart.
 *
 * @see RFC 6962 §2.1, whose `MTH`, `PATH` and `PROOF` are `root`, `inclusionProof` and `consistencyProof`
 */
export class MerkleTree {
  /** `#levels[h]` has the hashes of the complete subtrees of 2^h leaves, from the left. */
  readonly #levels: HashList[] = [];

  /** How many leaves there are. */
  get size(): number {
    return this.#levels[0]?.length ?? 0;
  }

  /**
   * Adds a leaf by its hash.
   *
   * @param leafHash - SHA-256 of RFC 6962, as {@link hashLeaf} makes it.
   * @returns The index of the leaf.
   */
  append(leafHash: Uint8Array): number {
    if (leafHash.length !== HASH_BYTES) throw new TypeError("a leaf is appended by its SHA-256 hash");
    const index = this.size;
    let node = leafHash;
    for (let level = 0, at = index; ; level++, at >>>= 1) {
      const list = (this.#levels[level] ??= new HashList());
      list.push(node);
      if ((at & 1) === 0) return index; // the subtree above is not complete yet
      node = hashNode(list.at(at - 1), node);
    }
  }

  /** Gives the hash of a complete subtree of 2^level leaves; for level 0, of a leaf. */
  node(level: number, index: number): Uint8Array {
    const list = this.#levels[level];
    if (list === undefined || !isIndex(index, list.length)) throw new RangeError("the tree has no such node");
    return list.at(index).slice();
  }

  /** Gives the root hash of the tree as it was when it had `size` leaves. */
  root(size: number = this.size): Uint8Array {
    this.#checkSize(size);
    return size === 0 ? sha256(new Uint8Array(0)) : this.#rootOf(0, size).slice();
  }

  /** Proves that a leaf is in the tree of the given size. */
  inclusionProof(index: number, size: number = this.size): Uint8Array[] {
    this.#checkSize(size);
    if (!isIndex(index, size)) throw new RangeError(`a tree of ${size} leaves has no leaf ${index}`);
    const fromTheTop: Uint8Array[] = [];
    let [begin, end] = [0, size];
    while (end - begin > 1) {
      const middle = begin + splitOf(end - begin);
      if (index < middle) {
        fromTheTop.push(this.#rootOf(middle, end).slice());
        end = middle;
      } else {
        fromTheTop.push(this.#rootOf(begin, middle).slice());
        begin = middle;
      }
    }
    return fromTheTop.toReversed();
  }

  /** Proves that the tree of `second` leaves begins with that of `first`. */
  consistencyProof(first: number, second: number = this.size): Uint8Array[] {
    this.#checkSize(second);
    if (!isIndex(first, second + 1)) throw new RangeError(`a tree of ${second} leaves never had ${first}`);
    if (first === 0) return []; // RFC 6962 defines no proof from nothing, and none is needed
    const fromTheTop: Uint8Array[] = [];
    let [begin, end] = [0, second];
    // SUBPROOF(m, D[n], b): `first` is m, b is `begin === 0`.
    while (first !== end) {
      const middle = begin + splitOf(end - begin);
      if (first <= middle) {
        fromTheTop.push(this.#rootOf(middle, end).slice());
        end = middle;
      } else {
        fromTheTop.push(this.#rootOf(begin, middle).slice());
        begin = middle;
      }
    }
    // A subtree that begins with the first leaf is the whole first tree, whose root the verifier has.
    if (begin !== 0) fromTheTop.push(this.#rootOf(begin, end).slice());
    return fromTheTop.toReversed();
  }

  /** Hashes the leaves from `begin` to `end`; `begin` is a multiple of every power of two up to their number. */
  #rootOf(begin: number, end: number): Uint8Array {
    const count = end - begin;
    const level = 31 - Math.clz32(count);
    const list = this.#levels[level];
    if (count === 2 ** level && list !== undefined) return list.at(begin >>> level);
    const middle = begin + splitOf(count);
    return hashNode(this.#rootOf(begin, middle), this.#rootOf(middle, end));
  }

  #checkSize(size: number): void {
    if (!isIndex(size, this.size + 1)) throw new RangeError(`a tree of ${this.size} leaves never had ${size}`);
  }
}

/** Keeps hashes one after another in one buffer: an object each would cost more than the hash. */
class HashList {
  length = 0;
  #bytes = new Uint8Array(16 * HASH_BYTES);

  at(index: number): Uint8Array {
    return this.#bytes.subarray(index * HASH_BYTES, (index + 1) * HASH_BYTES);
  }

  push(node: Uint8Array): void {
    const at = this.length * HASH_BYTES;
    if (at === this.#bytes.length) {
      const larger = new Uint8Array(2 * at);
      larger.set(this.#bytes);
      this.#bytes = larger;
    }
    this.#bytes.set(node, at);
    this.length++;
  }
}

function isIndex(value: number, below: number): boolean {
  return Number.isSafeInteger(value) && value >= 0 && value < below;
}

/** Gives the largest power of two smaller than n, the `k` of RFC 6962. */
function splitOf(n: number): number {
  return 2 ** (31 - Math.clz32(n - 1));
}

const nodeInput = new Uint8Array(1 + 2 * HASH_BYTES);
nodeInput[0] = 1;

function hashNode(left: Uint8Array, right: Uint8Array): Uint8Array {
  nodeInput.set(left, 1);
  nodeInput.set(right, 1 + HASH_BYTES);
  return sha256(nodeInput);
}

function sha256(bytes: Uint8Array): Uint8Array {
  return new Uint8Array(hash("sha256", bytes, "buffer"));
}
