import { readFileSync, readdirSync } from "node:fs";
import { join } from "node:path";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { defaultCryptoProvider } from "../../src/crypto/provider.ts";
import { leafHash, rootFromInclusionProof, verifyConsistency, verifyInclusion } from "../../src/tlog/merkle.ts";
import { auditPath, consistencyProof, flip, outcomeOf, sha256, treeHash, unbase64, utf8 } from "../support/logs.ts";
import { sharedAvailable, sharedDir } from "../support/shared.ts";

const crypto = defaultCryptoProvider();
const INVALID_INCLUSION = { code: "TLOG_INCLUSION_PROOF_INVALID" };
const INVALID_CONSISTENCY = { code: "TLOG_CONSISTENCY_PROOF_INVALID" };

interface Vector {
  readonly wantErr: boolean;
  readonly [field: string]: unknown;
}

/** Reads vectors whose numbers go beyond 2^53. */
function vectors(kind: "inclusion" | "consistency"): readonly (readonly [string, Vector])[] {
  const folder = join(sharedDir, "conformance", "vectors", "merkle", kind);
  return readdirSync(folder, { recursive: true, encoding: "utf8" })
    .filter((file) => file.endsWith(".json"))
    .sort()
    .map((file) => {
      const exact = readFileSync(join(folder, file), "utf8").replace(
        /("(?:leafIdx|treeSize|size[12])":\s*)(\d+)/g,
        '$1"$2"',
      );
      return [file, JSON.parse(exact) as Vector] as const;
    });
}

const bytesOf = (value: unknown): Uint8Array => unbase64((value ?? "") as string);
const listOf = (value: unknown): readonly Uint8Array[] => ((value ?? []) as string[]).map(unbase64);

describe.skipIf(!sharedAvailable())("vectors of transparency-dev/merkle (RFC 6962 §2.1)", () => {
  const inclusion = sharedAvailable() ? vectors("inclusion") : [];
  const consistency = sharedAvailable() ? vectors("consistency") : [];

  test("are all there", () => {
    expect([inclusion.length, consistency.length]).toEqual([31, 22]);
  });

  test.for(inclusion)("inclusion %s", async ([, vector]) => {
    const proof = {
      index: BigInt(vector["leafIdx"] as string),
      treeSize: BigInt(vector["treeSize"] as string),
      leafHash: bytesOf(vector["leafHash"]),
      hashes: listOf(vector["proof"]),
    };
    const outcome = await outcomeOf(verifyInclusion(proof, bytesOf(vector["root"]), crypto));
    expect(outcome).toBe(vector.wantErr ? INVALID_INCLUSION.code : "accepted");
  });

  test.for(consistency)("consistency %s", async ([, vector]) => {
    const proof = {
      size1: BigInt(vector["size1"] as string),
      size2: BigInt(vector["size2"] as string),
      root1: bytesOf(vector["root1"]),
      root2: bytesOf(vector["root2"]),
      hashes: listOf(vector["proof"]),
    };
    expect(await outcomeOf(verifyConsistency(proof, crypto))).toBe(
      vector.wantErr ? INVALID_CONSISTENCY.code : "accepted",
    );
  });
});

/** What a buffer of 32 bytes would take for the same hash. */
const longer = (hash: Uint8Array | undefined): Uint8Array => Uint8Array.of(...(hash ?? []), 0);

const LEAVES = Array.from({ length: 33 }, (_, index) => utf8(`leaf ${index}`));

describe("leafHash (RFC 6962 §2.1)", () => {
  test("hashes the leaf after a zero byte", async () => {
    // SHA-256(0x00), the first leaf of the Certificate Transparency reference tree
    expect(Buffer.from(await leafHash(new Uint8Array(), crypto)).toString("hex")).toBe(
      "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    );
    expect(await leafHash(utf8("a"), crypto)).toEqual(sha256(Uint8Array.of(0), "a"));
  });
});

describe("rootFromInclusionProof (RFC 6962 §2.1.1)", () => {
  test("gives the root for each leaf of each tree up to 33 leaves", async () => {
    for (let size = 1; size <= LEAVES.length; size++) {
      const leaves = LEAVES.slice(0, size);
      const root = treeHash(leaves);
      for (const [index, leaf] of leaves.entries()) {
        const proof = {
          index: BigInt(index),
          treeSize: BigInt(size),
          leafHash: sha256(Uint8Array.of(0), leaf),
          hashes: auditPath(index, leaves),
        };
        expect(await rootFromInclusionProof(proof, crypto), `${index} of ${size}`).toEqual(root);
      }
    }
  });

  test("waits for a provider that hashes elsewhere", async () => {
    const slow = {
      ...crypto,
      digest: async (algorithm: "sha256", data: Uint8Array) => await crypto.digest(algorithm, data.slice()),
    };
    const proof = {
      index: 5n,
      treeSize: 33n,
      leafHash: sha256(Uint8Array.of(0), "leaf 5"),
      hashes: auditPath(5, LEAVES),
    };
    expect(await rootFromInclusionProof(proof, slow as typeof crypto)).toEqual(treeHash(LEAVES));
  });

  const valid = {
    index: 20n,
    treeSize: 33n,
    leafHash: sha256(Uint8Array.of(0), "leaf 20"),
    hashes: auditPath(20, LEAVES),
  };

  test.for([
    ["an index equal to the tree size", { index: 33n }],
    ["a negative index", { index: -1n }],
    ["an empty tree", { index: 0n, treeSize: 0n, hashes: [] }],
    ["one hash less", { hashes: valid.hashes.slice(1) }],
    ["one hash more", { hashes: [...valid.hashes, new Uint8Array(32)] }],
    ["a hash of 31 bytes", { hashes: [new Uint8Array(31), ...valid.hashes.slice(1)] }],
    ["a first hash with a byte more", { hashes: valid.hashes.with(0, longer(valid.hashes[0])) }],
    ["a last hash with a byte more", { hashes: valid.hashes.with(-1, longer(valid.hashes.at(-1))) }],
    ["a leaf hash of 33 bytes", { leafHash: new Uint8Array(33) }],
    ["a tree so large that hashes are missing", { treeSize: 65n }],
    ["a tree so small that hashes are left over", { treeSize: 22n, hashes: valid.hashes }],
  ] as const)("rejects %s", async ([, change]) => {
    await expect(rootFromInclusionProof({ ...valid, ...change }, crypto)).rejects.toMatchObject(INVALID_INCLUSION);
  });

  test("ends after 64 levels, whatever the number of hashes", async () => {
    const hashes = Array.from({ length: 64 }, () => new Uint8Array(32));
    const proof = { index: 2n ** 63n, treeSize: 2n ** 64n - 1n, leafHash: new Uint8Array(32), hashes };
    await rootFromInclusionProof({ ...proof, hashes: hashes.slice(0, 64) }, crypto).catch((error: unknown) => {
      expect(error).toMatchObject(INVALID_INCLUSION);
    });
    const many = Array.from({ length: 100_000 }, () => new Uint8Array(32));
    await expect(rootFromInclusionProof({ ...proof, hashes: many }, crypto)).rejects.toMatchObject(INVALID_INCLUSION);
  });
});

describe("verifyInclusion (RFC 6962 §2.1.1)", () => {
  const root = treeHash(LEAVES);
  const valid = {
    index: 6n,
    treeSize: 33n,
    leafHash: sha256(Uint8Array.of(0), "leaf 6"),
    hashes: auditPath(6, LEAVES),
  };

  test("accepts a proof", async () => {
    await expect(verifyInclusion(valid, root, crypto)).resolves.toBeUndefined();
  });

  test.for([
    ["another leaf", { leafHash: sha256(Uint8Array.of(0), "leaf 7") }],
    ["the index of a neighbour", { index: 7n }],
    ["another hash", { hashes: valid.hashes.with(2, flip(valid.hashes[2] ?? new Uint8Array())) }],
    ["hashes in another order", { hashes: valid.hashes.toReversed() }],
    [
      "an inner node for a leaf",
      {
        index: 3n,
        treeSize: 17n,
        leafHash: sha256(Uint8Array.of(1), sha256(Uint8Array.of(0), "leaf 6"), valid.hashes[0] ?? ""),
        hashes: valid.hashes.slice(2),
      },
    ],
  ] as const)("rejects %s", async ([, change]) => {
    await expect(verifyInclusion({ ...valid, ...change }, root, crypto)).rejects.toMatchObject(INVALID_INCLUSION);
  });

  test("says which root hash was expected and which was found", async () => {
    await expect(verifyInclusion(valid, flip(root), crypto)).rejects.toMatchObject({
      expected: Buffer.from(flip(root)).toString("hex"),
      found: Buffer.from(root).toString("hex"),
    });
  });

  test("rejects any proof for a root that is not of the tree", async () => {
    await fc.assert(
      fc.asyncProperty(fc.nat(32), fc.nat(31), async (index, at) => {
        const proof = {
          index: BigInt(index),
          treeSize: 33n,
          leafHash: sha256(Uint8Array.of(0), LEAVES[index] ?? ""),
          hashes: auditPath(index, LEAVES),
        };
        await verifyInclusion(proof, root, crypto);
        await expect(verifyInclusion(proof, flip(root, at), crypto)).rejects.toMatchObject(INVALID_INCLUSION);
      }),
    );
  });
});

describe("verifyConsistency (RFC 6962 §2.1.2)", () => {
  test("accepts the proof between any two trees up to 33 leaves, and no other tree in their place", async () => {
    const roots = LEAVES.map((_, index) => treeHash(LEAVES.slice(0, index + 1)));
    for (let size2 = 1; size2 <= LEAVES.length; size2++) {
      for (let size1 = 1; size1 <= size2; size1++) {
        const [root1, root2] = [roots[size1 - 1], roots[size2 - 1]];
        if (root1 === undefined || root2 === undefined) throw new Error("no root");
        const proof = {
          size1: BigInt(size1),
          size2: BigInt(size2),
          root1,
          root2,
          hashes: consistencyProof(size1, LEAVES.slice(0, size2)),
        };
        await verifyConsistency(proof, crypto);
        await expect(verifyConsistency({ ...proof, root1: flip(root1) }, crypto)).rejects.toMatchObject(
          INVALID_CONSISTENCY,
        );
        await expect(verifyConsistency({ ...proof, root2: flip(root2) }, crypto)).rejects.toMatchObject(
          INVALID_CONSISTENCY,
        );
      }
    }
  });

  test("takes any tree for a continuation of the empty one", async () => {
    const proof = { size1: 0n, size2: 33n, root1: sha256(""), root2: treeHash(LEAVES), hashes: [] };
    await verifyConsistency(proof, crypto);
    await expect(verifyConsistency({ ...proof, hashes: [new Uint8Array(32)] }, crypto)).rejects.toMatchObject(
      INVALID_CONSISTENCY,
    );
  });

  const valid = {
    size1: 21n,
    size2: 33n,
    root1: treeHash(LEAVES.slice(0, 21)),
    root2: treeHash(LEAVES),
    hashes: consistencyProof(21, LEAVES),
  };

  test.for([
    ["a tree that shrank", { size1: 34n }],
    [
      "a tree that shrank and kept its root",
      { size1: 2n, size2: 1n, root2: treeHash(LEAVES.slice(0, 21)), hashes: [] },
    ],
    ["a first hash with a byte more", { hashes: valid.hashes.with(0, longer(valid.hashes[0])) }],
    ["a last hash with a byte more", { hashes: valid.hashes.with(-1, longer(valid.hashes.at(-1))) }],
    ["a negative size", { size1: -1n }],
    ["no hashes", { hashes: [] }],
    ["one hash less", { hashes: valid.hashes.slice(0, -1) }],
    ["one hash more", { hashes: [...valid.hashes, new Uint8Array(32)] }],
    ["a hash of 31 bytes", { hashes: valid.hashes.with(0, new Uint8Array(31)) }],
    ["a root of 33 bytes", { root2: new Uint8Array(33) }],
    ["hashes between equal sizes", { size1: 33n, root1: treeHash(LEAVES) }],
    ["two roots of one size", { size1: 33n, hashes: [] }],
  ] as const)("rejects %s", async ([, change]) => {
    await expect(verifyConsistency({ ...valid, ...change }, crypto)).rejects.toMatchObject(INVALID_CONSISTENCY);
  });
});
