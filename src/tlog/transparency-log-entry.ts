/**
 * What a bundle says about one entry of a transparency log. Claimed, not proven: see `inclusion.ts`, `inclusion-promise.ts` and
 * `entry-body.ts` for what proves it.
 *
 * @module
 */

/** Is the kind of an entry and the version of its schema, for instance `hashedrekord` `0.0.1`. */
export interface KindVersion {
  readonly kind: string;
  readonly version: string;
}

/**
 * Claims that a leaf is in a Merkle tree, with the hashes that show it.
 *
 * @see sigstore_rekor.proto `InclusionProof`
 */
export interface InclusionProof {
  /** The leaf's index in its own tree. In Rekor v1 that is one shard of the log, so it differs from the entry's index. */
  readonly logIndex: bigint;
  readonly rootHash: Uint8Array;
  readonly treeSize: bigint;
  /** From the leaf's sibling up to the root's child. */
  readonly hashes: readonly Uint8Array[];
  /** The signed note, or the empty string where the bundle has none; then the proof proves nothing. */
  readonly checkpoint: string;
}

/**
 * Claims that a transparency log holds an entry.
 *
 * @see sigstore_rekor.proto `TransparencyLogEntry`
 */
export interface TransparencyLogEntry {
  /** In Rekor v1 counted over all shards. */
  readonly logIndex: bigint;
  readonly logId: Uint8Array;
  readonly kindVersion: KindVersion;
  /** Seconds since 1970; 0 where there is none. */
  readonly integratedTime: bigint;
  /** The signed entry timestamp of Rekor v1. */
  readonly inclusionPromise?: Uint8Array;
  readonly inclusionProof?: InclusionProof;
  /** The leaf of the Merkle tree, byte for byte. */
  readonly canonicalizedBody: Uint8Array;
}
