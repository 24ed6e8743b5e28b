import type { CryptoProvider } from "../crypto/provider.ts";
import { equalBytes } from "../encoding/bytes.ts";
import { encodeHex } from "../encoding/hex.ts";
import { VerificationError } from "../errors.ts";
import { parseCheckpoint, verifyCheckpoint, type Checkpoint } from "./checkpoint.ts";
import { leafHash, verifyInclusion } from "./merkle.ts";
import { parseSignedNote, type SignedNote } from "./signed-note.ts";
import type { InclusionProof, TransparencyLogEntry } from "./transparency-log-entry.ts";
import type { TransparencyLog } from "./transparency-log.ts";

/** Is a tree head that a log signed, and in whose tree an entry was proven to be. */
export interface VerifiedInclusion {
  readonly checkpoint: Checkpoint;
  /** With all its signature lines, of which only the log's is verified: see `verifyCosignatures`. */
  readonly note: SignedNote;
}

/**
 * Verifies that an entry is in a tree whose head this log signed.
 *
 * What the entry says is not checked here: see `verifyEntryBody`. Neither is when: a checkpoint has no time.
 *
 * @param generation - That of the log: 2 where the entry's index must be its index in the tree.
 * @param leaf - The leaf as rebuilt from what was signed; the body that came with the entry by default.
 * @throws {@link VerificationError} `TLOG_INCLUSION_PROOF_MISSING`, `TLOG_INCLUSION_PROOF_INVALID`, `CHECKPOINT_NOT_SIGNED_BY_LOG`,
 * `CHECKPOINT_SIGNATURE_INVALID`, `ALGORITHM_UNSUPPORTED`.
 * @throws FormatError `SIGNED_NOTE_MALFORMED`, `CHECKPOINT_MALFORMED`, `LIMIT_EXCEEDED`.
 * @see rekor-v2-spec §7.2; RFC 6962 §2.1.1
 */
export async function verifyInclusionProof(
  entry: TransparencyLogEntry,
  log: TransparencyLog,
  generation: 1 | 2,
  crypto: CryptoProvider,
  leaf: Uint8Array = entry.canonicalizedBody,
): Promise<VerifiedInclusion> {
  const proof = requireProof(entry);
  // First of all whose tree it is, so that an unknown log is told from a known one whose proof is wrong.
  const note = parseSignedNote(proof.checkpoint);
  const checkpoint = await verifyCheckpoint(note, log, generation, crypto);
  await verifyInclusionUnder(checkpoint, entry, generation, crypto, leaf);
  return { checkpoint, note };
}

/**
 * Verifies that an entry is in the tree with this head. Who signed the head is not checked here: see {@link verifyInclusionProof}.
 *
 * @param checkpoint - By default the one that the proof holds.
 * @throws as {@link verifyInclusionProof}, except for the signature.
 */
export async function verifyInclusionUnder(
  checkpoint: Checkpoint | undefined,
  entry: TransparencyLogEntry,
  generation: 1 | 2,
  crypto: CryptoProvider,
  leaf: Uint8Array = entry.canonicalizedBody,
): Promise<void> {
  const proof = requireProof(entry);
  const { treeSize, rootHash } = checkpoint ?? parseCheckpoint(parseSignedNote(proof.checkpoint).text);
  if (generation === 2 && proof.logIndex !== entry.logIndex) {
    throw invalid("is about another index than the entry", `${entry.logIndex}`, `${proof.logIndex}`);
  }
  if (proof.treeSize !== treeSize) {
    throw invalid("has another tree size than its checkpoint", `${treeSize}`, `${proof.treeSize}`);
  }
  if (!equalBytes(proof.rootHash, rootHash)) {
    throw invalid("has another root hash than its checkpoint", encodeHex(rootHash), encodeHex(proof.rootHash));
  }
  await verifyInclusion(
    { index: proof.logIndex, treeSize, leafHash: await leafHash(leaf, crypto), hashes: proof.hashes },
    rootHash,
    crypto,
  );
}

function requireProof({ inclusionProof: proof }: TransparencyLogEntry): InclusionProof {
  if (proof === undefined)
    throw new VerificationError("TLOG_INCLUSION_PROOF_MISSING", "log entry has no inclusion proof");
  if (proof.checkpoint === "") throw invalid("has no checkpoint, which says what tree it is about");
  return proof;
}

function invalid(problem: string, expected?: string, found?: string): VerificationError {
  return new VerificationError("TLOG_INCLUSION_PROOF_INVALID", `inclusion proof ${problem}`, { expected, found });
}
