import { describe, expect, test } from "vitest";
import { defaultCryptoProvider } from "../../src/crypto/provider.ts";
import { hashLeaf, MerkleTree } from "../../src/sandbox/merkle-tree.ts";
import { verifyConsistency, verifyInclusion } from "../../src/tlog/merkle.ts";
import { auditPath, consistencyProof, sha256, treeHash, utf8 } from "../support/logs.ts";

const leaves = Array.from({ length: 40 }, (_, index) => utf8(`leaf ${index}`));

function treeOf(count: number): MerkleTree {
  const tree = new MerkleTree();
  for (const leaf of leaves.slice(0, count)) tree.append(hashLeaf(leaf));
  return tree;
}

describe("MerkleTree (RFC 6962 §2.1)", () => {
  const tree = treeOf(leaves.length);

  test("has the published roots of the empty tree and of the tree of RFC 6962's test data", () => {
    // Leaves and roots of certificate-transparency's own test vectors.
    const vectors = [
      "",
      "00",
      "10",
      "2021",
      "3031",
      "40414243",
      "5051525354555657",
      "606162636465666768696a6b6c6d6e6f",
    ];
    const grown = new MerkleTree();
    expect(Buffer.from(grown.root()).toString("hex")).toBe(
      "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    );
    for (const vector of vectors) grown.append(hashLeaf(new Uint8Array(Buffer.from(vector, "hex"))));
    expect(Buffer.from(grown.root(1)).toString("hex")).toBe(
      "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    );
    expect(Buffer.from(grown.root()).toString("hex")).toBe(
      "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
    );
  });

  test("numbers its leaves from zero", () => {
    const grown = new MerkleTree();
    expect([0, 1, 2].map((_, index) => grown.append(hashLeaf(leaves[index] ?? utf8(""))))).toEqual([0, 1, 2]);
    expect(grown.size).toBe(3);
  });

  test("gives the root, every inclusion proof and every consistency proof that the definitions give, for every size", () => {
    for (let size = 0; size <= leaves.length; size++) {
      const part = leaves.slice(0, size);
      expect(tree.root(size)).toEqual(treeHash(part));
      for (let index = 0; index < size; index++)
        expect(tree.inclusionProof(index, size)).toEqual(auditPath(index, part));
      for (let first = 1; first <= size; first++)
        expect(tree.consistencyProof(first, size)).toEqual(consistencyProof(first, part));
    }
  });

  test("gives proofs that verify in a large tree", async () => {
    const large = new MerkleTree();
    for (let index = 0; index < 5000; index++) large.append(sha256(`${index}`));
    for (const [index, size] of [
      [0, 1],
      [0, 5000],
      [4095, 4096],
      [4096, 4097],
      [4999, 5000],
      [2500, 4999],
    ] as const) {
      const inclusion = {
        index: BigInt(index),
        treeSize: BigInt(size),
        leafHash: sha256(`${index}`),
        hashes: large.inclusionProof(index, size),
      };
      await expect(verifyInclusion(inclusion, large.root(size), defaultCryptoProvider())).resolves.toBeUndefined();
      const consistency = {
        size1: BigInt(size),
        root1: large.root(size),
        size2: 5000n,
        root2: large.root(),
        hashes: large.consistencyProof(size),
      };
      await expect(verifyConsistency(consistency, defaultCryptoProvider())).resolves.toBeUndefined();
    }
  });

  test("gives the nodes of complete subtrees", () => {
    expect(tree.node(0, 5)).toEqual(hashLeaf(leaves[5] ?? utf8("")));
    expect(tree.node(3, 1)).toEqual(treeHash(leaves.slice(8, 16)));
    expect(() => tree.node(3, 5)).toThrow(RangeError); // leaves 40 to 47 are not there
  });

  test("lends out no hash that a caller could change", () => {
    const before = tree.root(32);
    tree.root(32).fill(0);
    for (const hash of tree.inclusionProof(3)) hash.fill(0);
    for (const hash of tree.consistencyProof(16)) hash.fill(0);
    tree.node(5, 0).fill(0);
    expect(tree.root(32)).toEqual(before);
    expect(tree.inclusionProof(3)).toEqual(auditPath(3, leaves));
  });

  test("proves nothing about sizes it never had", () => {
    for (const misuse of [
      () => tree.root(41),
      () => tree.root(-1),
      () => tree.root(1.5),
      () => tree.inclusionProof(40),
      () => tree.inclusionProof(3, 3),
      () => tree.inclusionProof(Number.NaN),
      () => tree.consistencyProof(41),
      () => tree.consistencyProof(9, 8),
      () => tree.consistencyProof(-1),
    ])
      expect(misuse).toThrow(RangeError);
    expect(() => tree.append(utf8("a leaf, not its hash"))).toThrow(TypeError);
  });

  test("needs no proof from the empty tree, nor from itself", () => {
    expect(tree.consistencyProof(0)).toEqual([]);
    expect(tree.consistencyProof(40)).toEqual([]);
  });
});
