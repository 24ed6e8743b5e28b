/**
 * Checkpoints: a log's signed statement about its Merkle tree at one size.
 *
 * @module
 */

import type { CryptoProvider } from "../crypto/provider.ts";
import { tryDecodeBase64 } from "../encoding/base64.ts";
import { equalBytes } from "../encoding/bytes.ts";
import { encodeHex } from "../encoding/hex.ts";
import { encodeUtf8 } from "../encoding/utf8.ts";
import { FormatError, VerificationError } from "../errors.ts";
import { tryEncodeCosignedMessage, trySplitTimestampedSignature } from "./cosigned-message.ts";
import { isKeyName, noteKeyId, type NoteSignature, type SignedNote } from "./signed-note.ts";
import type { TransparencyLog } from "./transparency-log.ts";

/** The tree head inside a checkpoint. Claimed, not proven: see `verifyCheckpoint`. */
export interface Checkpoint {
  readonly origin: string;
  readonly treeSize: bigint;
  /** SHA-256 root of the Merkle tree, 32 bytes. */
  readonly rootHash: Uint8Array;
}

/**
 * Parses a checkpoint body, which is the part of the signed note that is signed.
 *
 * @param body - Text up to and including the newline before the blank line. Extension lines are ignored.
 * @throws {@link FormatError} `CHECKPOINT_MALFORMED`.
 * @see {@link https://c2sp.org/tlog-checkpoint | C2SP tlog-checkpoint}, "Note text"
 */
export function parseCheckpoint(body: string): Checkpoint {
  const lines = body.split("\n");
  if (lines.pop() !== "") throw malformed("does not end in a newline");
  const [origin = "", size = "", root = "", ...extensions] = lines;
  if (origin === "") throw malformed("has no origin");
  if (!/^(0|[1-9][0-9]{0,19})$/.test(size) || BigInt(size) >= 2n ** 64n) {
    throw malformed(`has tree size ${JSON.stringify(size.slice(0, 100))}`);
  }
  const rootHash = tryDecodeBase64(root);
  if (rootHash?.length !== 32) throw malformed("has a root hash that is not 32 bytes of base64");
  if (extensions.includes("")) throw malformed("has an empty extension line");
  return { origin, treeSize: BigInt(size), rootHash };
}

function malformed(detail: string): FormatError {
  return new FormatError("CHECKPOINT_MALFORMED", `checkpoint ${detail}`);
}

/**
 * Verifies that a log signed a checkpoint. Signatures of anyone else are ignored, whatever they are.
 *
 * That the log's key was valid at the time is not checked here: see `verify/`.
 *
 * @param generation - 1: a line belongs to the log by the first four bytes of the key's SHA-256, and the origin is the line's key
 * name, with or without a tree id. 2: by key name and key id, and the origin is the key name, which the log's URL gives.
 * @returns the tree head that the log's key signed.
 * @throws {@link VerificationError} `CHECKPOINT_NOT_SIGNED_BY_LOG` where no line is of this log (another log may have signed),
 * `CHECKPOINT_SIGNATURE_INVALID` where a line of this log is wrong, `ALGORITHM_UNSUPPORTED`.
 * @throws {@link FormatError} `CHECKPOINT_MALFORMED`.
 * @see {@link https://c2sp.org/signed-note | C2SP signed-note}, "Signatures"; {@link https://c2sp.org/tlog-checkpoint | tlog-checkpoint}
 */
export async function verifyCheckpoint(
  note: SignedNote,
  log: TransparencyLog,
  generation: 1 | 2,
  crypto: CryptoProvider,
): Promise<Checkpoint> {
  const checkpoint = parseCheckpoint(note.text);
  const keys = await noteKeysOf(log, crypto);
  const lines = note.signatures.filter((line) =>
    generation === 1
      ? equalBytes(line.keyId, keys.hint) && isOriginOfVersion1(checkpoint.origin, line.name)
      : keys.named.some(({ name, keyId }) => name === line.name && equalBytes(keyId, line.keyId)),
  );
  if (lines.length === 0) {
    throw new VerificationError("CHECKPOINT_NOT_SIGNED_BY_LOG", `checkpoint has no signature of ${log.baseUrl}`, {
      expected:
        generation === 1
          ? `key id ${encodeHex(keys.hint)}, named as in the origin ${abridge(checkpoint.origin)}`
          : keys.named.map(describeKey).join(" or ") || "a key name from the URL of the log",
      found: note.signatures.slice(0, 16).map(describeKey).join(", "),
    });
  }
  // C2SP signed-note: "If the key name and ID match a known key, verifiers MUST verify the signature", so each of them.
  for (const line of lines) {
    if (generation === 2 && checkpoint.origin !== line.name) {
      throw new VerificationError("CHECKPOINT_SIGNATURE_INVALID", `${line.name} signed a checkpoint of another log`, {
        expected: line.name,
        found: abridge(checkpoint.origin),
      });
    }
    if (!(await isSignedBy(log, line, note, checkpoint, crypto))) {
      throw new VerificationError(
        "CHECKPOINT_SIGNATURE_INVALID",
        `signature of ${log.baseUrl} on the checkpoint does not verify`,
      );
    }
  }
  return checkpoint;
}

async function isSignedBy(
  log: TransparencyLog,
  line: NoteSignature,
  note: SignedNote,
  checkpoint: Checkpoint,
  crypto: CryptoProvider,
): Promise<boolean> {
  if (log.algorithm.scheme !== "ml-dsa") {
    return await crypto.verify(log.algorithm, log.publicKey, line.signature, encodeUtf8(note.text));
  }
  // Such a log signs as its own first witness does: C2SP tlog-checkpoint, "Signatures".
  const stamped = trySplitTimestampedSignature(line.signature);
  const message = stamped && tryEncodeCosignedMessage(checkpoint, line.name, stamped.timestamp);
  if (stamped === undefined || message === undefined) return false;
  return await crypto.verify(log.algorithm, log.publicKey, stamped.signature, message);
}

/** Rekor v1 names its checkpoints "<key name> - <tree id>"; a log of a single tree may leave the tree id out. */
function isOriginOfVersion1(origin: string, keyName: string): boolean {
  if (!origin.startsWith(keyName)) return false;
  return origin.length === keyName.length || /^ - [0-9]{1,20}$/.test(origin.slice(keyName.length));
}

/** Cuts what an attacker may have made long. */
function abridge(text: string): string {
  return text.length > 200 ? `${text.slice(0, 200)}…` : text;
}

function describeKey({ name, keyId }: { readonly name: string; readonly keyId: Uint8Array }): string {
  return `${abridge(name)} ${encodeHex(keyId)}`;
}

/** By what a log's signature lines are known. */
interface NoteKeys {
  /** Rekor v1, whatever the type of the key. */
  readonly hint: Uint8Array;
  /** Rekor v2; empty where neither URL nor key type allow any. */
  readonly named: readonly { readonly name: string; readonly keyId: Uint8Array }[];
}

/** Follows from the log alone, and a verification needs it for each log of the trusted root. */
const NOTE_KEYS = new WeakMap<TransparencyLog, NoteKeys>();

async function noteKeysOf(log: TransparencyLog, crypto: CryptoProvider): Promise<NoteKeys> {
  const known = NOTE_KEYS.get(log);
  if (known !== undefined) return known;
  const hint = (await crypto.digest("sha256", log.publicKey.spki)).subarray(0, 4);
  const names = log.publicKey.type === "rsa-pss" ? [] : keyNamesOf(log.baseUrl);
  const named = await Promise.all(
    names.map(async (name) => ({ name, keyId: await noteKeyId(name, log.publicKey, crypto) })),
  );
  const keys = { hint, named };
  NOTE_KEYS.set(log, keys);
  return keys;
}

/** The base URL without its scheme, and its host without a port: Rekor v2 logs use either as key name. */
function keyNamesOf(baseUrl: string): readonly string[] {
  const withoutScheme = /^https?:\/\/(?<rest>[^?#]+)$/i.exec(baseUrl)?.groups?.["rest"]?.replace(/\/+$/, "") ?? "";
  const host = /^(?<host>[^/:@[\]]+|\[[0-9A-Fa-f:.]+\])(?::[0-9]*)?(?:\/|$)/.exec(withoutScheme)?.groups?.["host"];
  return host === undefined ? [] : [...new Set([withoutScheme, host])].filter(isKeyName);
}
