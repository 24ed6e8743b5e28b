import { concatBytes, encodeUint64 } from "../encoding/bytes.ts";
import { encodeUtf8 } from "../encoding/utf8.ts";
import type { Checkpoint } from "./checkpoint.ts";

/**
 * Builds the message that a cosigner signs with ML-DSA, and a log with such a key too. Extension lines are not in it.
 *
 * @param timestamp - Seconds since 1970; 0 where the cosigner says nothing about the tree being the latest.
 * @returns `undefined` where a name is too long to be in such a message.
 * @see {@link https://c2sp.org/tlog-cosignature | C2SP tlog-cosignature}, "ML-DSA-44 signed message"
 */
export function tryEncodeCosignedMessage(
  checkpoint: Checkpoint,
  cosignerName: string,
  timestamp: bigint,
): Uint8Array | undefined {
  const name = encodeUtf8(cosignerName);
  const origin = encodeUtf8(checkpoint.origin);
  if (name.length > 255 || origin.length > 255) return undefined;
  return concatBytes(
    encodeUtf8("subtree/v1\n\0"),
    Uint8Array.of(name.length),
    name,
    encodeUint64(timestamp),
    Uint8Array.of(origin.length),
    origin,
    encodeUint64(0n), // start: a checkpoint covers the tree from its first leaf
    encodeUint64(checkpoint.treeSize), // end
    checkpoint.rootHash,
  );
}

/** Is what a timestamped signature holds. */
export interface TimestampedSignature {
  readonly timestamp: bigint;
  readonly signature: Uint8Array;
}

/** Splits a `timestamped_signature`: 8 bytes of seconds since 1970, then the signature. */
export function trySplitTimestampedSignature(bytes: Uint8Array): TimestampedSignature | undefined {
  if (bytes.length <= 8) return undefined;
  const timestamp = new DataView(bytes.buffer, bytes.byteOffset, 8).getBigUint64(0);
  // "It MUST NOT exceed 2^63 - 1"
  return timestamp < 2n ** 63n ? { timestamp, signature: bytes.subarray(8) } : undefined;
}
