import type { PublicKey } from "../crypto/public-key.ts";

/** Says what a trusted root says of a log, or of one shard of it. */
export interface LogListing {
  readonly baseUrl: string;
  /** The first line of its checkpoints. */
  readonly origin: string;
  readonly publicKey: PublicKey;
  /** `PublicKeyDetails` by name. */
  readonly keyDetails: string;
  /** 32 bytes: the hash that begins with the key id in Rekor v2, the SHA-256 of the key in Rekor v1. */
  readonly logId: Uint8Array;
  readonly start: Date;
  /** Absent while it takes entries. */
  readonly end?: Date;
}

/** Is a tree head that a log signed. */
export interface LoggedTreeHead {
  readonly size: number;
  readonly rootHash: Uint8Array;
  readonly time: Date;
}

/** Is an entry as a log's visitors see it. */
export interface LoggedEntry {
  /** In Rekor v1 counted over all shards. */
  readonly index: number;
  readonly time: Date;
  /** The canonicalized body. */
  readonly body: Uint8Array;
  readonly leafHash: Uint8Array;
}
