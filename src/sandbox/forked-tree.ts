import { hashLeaf, MerkleTree } from "./merkle-tree.ts";

/**
 * Keeps a second history of a log: the same leaves but for the first, which is another. A log that shows it to some lies to one side,
 * and nothing but a consistency proof, or a witness who asks for one, tells.
 */
export class ForkedTree {
  readonly #tree = new MerkleTree();

  /** Brings the fork to the size of the log, and gives it. */
  upTo(tree: MerkleTree, size: number = tree.size): MerkleTree {
    for (let index = this.#tree.size; index < size; index++)
      this.#tree.append(index === 0 ? hashLeaf(new TextEncoder().encode("another history")) : tree.node(0, index));
    return this.#tree;
  }
}
