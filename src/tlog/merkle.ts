/**
 * Proofs in the Merkle trees of transparency logs, with SHA-256.
 *
 * The algorithms are those of RFC 9162 §2.1.3.2 and §2.1.4.2, which verify the proofs that RFC 6962 §2.1 defines.
 *
 * @module
 */

import type { CryptoProvider } from "../crypto/provider.ts";
import { concatBytes, equalBytes } from "../encoding/bytes.ts";
import { encodeHex } from "../encoding/hex.ts";
import { VerificationError, type VerificationErrorCode } from "../errors.ts";

const HASH_BYTES = 32;
const LEAF_PREFIX = Uint8Array.of(0);
const NODE_PREFIX = 1;

/** Says where a leaf is, and what is beside its path to the root. */
export interface MerkleInclusion {
  readonly index: bigint;
  readonly treeSize: bigint;
  readonly leafHash: Uint8Array;
  /** From the leaf's sibling upwards. */
  readonly hashes: readonly Uint8Array[];
}

/** Says how a tree grew. */
export interface MerkleConsistency {
  readonly size1: bigint;
  readonly root1: Uint8Array;
  readonly size2: bigint;
  readonly root2: Uint8Array;
  readonly hashes: readonly Uint8Array[];
}

/**
 * Hashes a leaf.
 *
 * @see RFC 6962 §2.1
 */
export async function leafHash(leaf: Uint8Array, crypto: CryptoProvider): Promise<Uint8Array> {
  return await crypto.digest("sha256", concatBytes(LEAF_PREFIX, leaf));
}

/**
 * Hashes an inner node.
 *
 * @see RFC 6962 §2.1
 */
export async function nodeHash(left: Uint8Array, right: Uint8Array, crypto: CryptoProvider): Promise<Uint8Array> {
  return await nodeHasher(crypto)(left, right);
}

/**
 * Computes the root that an inclusion proof leads to. Whether that is a root to trust is not checked here.
 *
 * @throws {@link VerificationError} `TLOG_INCLUSION_PROOF_INVALID` where index, tree size and number of hashes do not fit together.
 * @see RFC 6962 §2.1.1; RFC 9162 §2.1.3.2, whose names `fn`, `sn` and `r` are used
 */
export async function rootFromInclusionProof(proof: MerkleInclusion, crypto: CryptoProvider): Promise<Uint8Array> {
  const { index, treeSize, hashes } = proof;
  const invalid = failure("TLOG_INCLUSION_PROOF_INVALID", "inclusion proof");
  if (index < 0n || index >= treeSize)
    throw invalid("is about a leaf outside of the tree", `less than ${treeSize}`, `${index}`);
  if (!isHash(proof.leafHash)) throw invalid("has a leaf hash that is not of SHA-256");

  const combine = nodeHasher(crypto);
  let fn = index;
  let sn = treeSize - 1n;
  let r = proof.leafHash;
  for (const hash of hashes) {
    if (!isHash(hash)) throw invalid("has a hash that is not of SHA-256");
    if (sn === 0n) throw invalid("has more hashes than the tree is high");
    const parent = (fn & 1n) === 1n || fn === sn ? combine(hash, r) : combine(r, hash);
    if (fn === sn) {
      // Levels at which the path's node has no sibling.
      while ((fn & 1n) === 0n && fn !== 0n) {
        fn >>= 1n;
        sn >>= 1n;
      }
    }
    r = parent instanceof Uint8Array ? parent : await parent;
    fn >>= 1n;
    sn >>= 1n;
  }
  if (sn !== 0n) throw invalid("has fewer hashes than the tree is high");
  return r;
}

/**
 * Verifies that a leaf is in the tree with the given root.
 *
 * @throws {@link VerificationError} `TLOG_INCLUSION_PROOF_INVALID`.
 * @see RFC 6962 §2.1.1
 */
export async function verifyInclusion(proof: MerkleInclusion, root: Uint8Array, crypto: CryptoProvider): Promise<void> {
  const computed = await rootFromInclusionProof(proof, crypto);
  if (equalBytes(computed, root)) return;
  throw new VerificationError("TLOG_INCLUSION_PROOF_INVALID", "inclusion proof leads to another root hash", {
    expected: encodeHex(root),
    found: encodeHex(computed),
  });
}

/**
 * Verifies that the first tree is the beginning of the second, so that nothing in it was changed or removed.
 *
 * @throws {@link VerificationError} `TLOG_CONSISTENCY_PROOF_INVALID`.
 * @see RFC 6962 §2.1.2; RFC 9162 §2.1.4.2, whose names `fn`, `sn`, `fr` and `sr` are used
 */
export async function verifyConsistency(proof: MerkleConsistency, crypto: CryptoProvider): Promise<void> {
  const { size1, root1, size2, root2, hashes } = proof;
  const invalid = failure("TLOG_CONSISTENCY_PROOF_INVALID", "consistency proof");
  if (size1 < 0n || size1 > size2) throw invalid("is about a tree that shrank", `at least ${size1}`, `${size2}`);
  if (!isHash(root1) || !isHash(root2) || !hashes.every(isHash)) throw invalid("has a hash that is not of SHA-256");
  if (size1 === size2 || size1 === 0n) {
    // Nothing to prove: one and the same tree, or an empty one, of which every tree is a continuation.
    if (hashes.length > 0) throw invalid("has hashes where none are needed");
    if (size1 === size2 && !equalBytes(root1, root2)) throw otherRoot(root1, root2);
    return;
  }

  let fn = size1 - 1n;
  let sn = size2 - 1n;
  while ((fn & 1n) === 1n) {
    fn >>= 1n;
    sn >>= 1n;
  }
  // Where size1 is a power of two, its root is a node of the second tree, and the proof leaves it out.
  const path = fn === 0n ? [root1, ...hashes] : hashes;
  const [start, ...rest] = path;
  if (start === undefined) throw invalid("is empty");

  const combine = nodeHasher(crypto);
  let fr = start;
  let sr = start;
  for (const hash of rest) {
    if (sn === 0n) throw invalid("has more hashes than the tree is high");
    if ((fn & 1n) === 1n || fn === sn) {
      fr = await combine(hash, fr);
      sr = await combine(hash, sr);
      while ((fn & 1n) === 0n && fn !== 0n) {
        fn >>= 1n;
        sn >>= 1n;
      }
    } else {
      sr = await combine(sr, hash);
    }
    fn >>= 1n;
    sn >>= 1n;
  }
  if (sn !== 0n) throw invalid("has fewer hashes than the tree is high");
  if (!equalBytes(fr, root1)) throw otherRoot(root1, fr);
  if (!equalBytes(sr, root2)) throw otherRoot(root2, sr);
}

/** Hashes an inner node. The buffer is used again for the next one, after its digest is there. */
function nodeHasher(crypto: CryptoProvider): (left: Uint8Array, right: Uint8Array) => Uint8Array | Promise<Uint8Array> {
  const node = new Uint8Array(1 + 2 * HASH_BYTES);
  node[0] = NODE_PREFIX;
  return (left, right) => {
    node.set(left, 1);
    node.set(right, 1 + HASH_BYTES);
    return crypto.digest("sha256", node);
  };
}

function isHash(bytes: Uint8Array): boolean {
  return bytes.length === HASH_BYTES;
}

function failure(
  code: VerificationErrorCode,
  what: string,
): (problem: string, expected?: string, found?: string) => VerificationError {
  return (problem, expected, found) => new VerificationError(code, `${what} ${problem}`, { expected, found });
}

function otherRoot(expected: Uint8Array, found: Uint8Array): VerificationError {
  return new VerificationError("TLOG_CONSISTENCY_PROOF_INVALID", "consistency proof leads to another root hash", {
    expected: encodeHex(expected),
    found: encodeHex(found),
  });
}
