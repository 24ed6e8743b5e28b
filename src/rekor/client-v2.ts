/**
 * Rekor v2: a log that answers when the entry is in its tree, and is read as tiles.
 *
 * @see {@link https://github.com/sigstore/architecture-docs/blob/main/rekor-v2-spec.md | Rekor v2 specification}
 * @see {@link https://c2sp.org/tlog-tiles | C2SP tlog-tiles}
 * @module
 */

import { readTransparencyLogEntry } from "../bundle/transparency-log-entry-json.ts";
import type { Digest } from "../crypto/digest.ts";
import { encodeBase64 } from "../encoding/base64.ts";
import { equalBytes } from "../encoding/bytes.ts";
import { encodeCanonicalJson } from "../encoding/canonical-json.ts";
import { encodeHex } from "../encoding/hex.ts";
import type { JsonObject } from "../encoding/json.ts";
import { encodeUtf8, tryDecodeUtf8 } from "../encoding/utf8.ts";
import { FormatError, ServiceError, VerificationError } from "../errors.ts";
import { pause } from "../http/pause.ts";
import { serviceUrl } from "../http/redirect.ts";
import { sendRequest, withDeadline, type HttpAnswer, type RequestOptions } from "../http/request.ts";
import { readAnswer, readJsonAnswer } from "../http/service-answer.ts";
import { MAX_ERROR_BODY_BYTES, MAX_SIGNED_NOTE_BYTES, MAX_TLOG_ANSWER_BYTES } from "../limits.ts";
import { parseCheckpoint, verifyCheckpoint, type Checkpoint } from "../tlog/checkpoint.ts";
import { hashOutputJson, signatureJson } from "../tlog/entries/rekor-v2.ts";
import type { EntryExpectation } from "../tlog/entry-body.ts";
import { leafHash } from "../tlog/merkle.ts";
import { parseSignedNote, type SignedNote } from "../tlog/signed-note.ts";
import { inclusionProofFromTiles, parseTile, TILE_WIDTH, tileAt, tilePath, type Tile } from "../tlog/tiles.ts";
import type { TransparencyLogEntry } from "../tlog/transparency-log-entry.ts";
import type { TransparencyLog } from "../tlog/transparency-log.ts";
import {
  algorithmOfEntry,
  expectationOf,
  frozen,
  inTheWay,
  SERVICE,
  verifyOurEntry,
  type ProposedEntry,
  type RekorOptions,
} from "./proposed-entry.ts";

/** Configures requests to a log of version 2. */
export interface RekorV2Options extends RekorOptions {
  /**
   * The logs that are trusted. An entry that has to be found again gets its log id, and its checkpoint a signature that was
   * verified, from the one among them that signed; without any, the id is the short one that the checkpoint names.
   */
  readonly logs?: readonly TransparencyLog[] | undefined;
}

const KIND_VERSION = { kind: "hashedrekord", version: "0.0.2" } as const;
/** The log answers when a checkpoint covers the entry, which witnesses may have to sign first. */
const MIN_ATTEMPT_TIMEOUT_MS = 25_000;
/** Between two looks at whether an entry is in the tree. */
const PUBLICATION_WAIT_MS = 1000;
const PUBLICATION_MAX_WAIT_MS = 5000;

/**
 * Makes an entry public, or finds the one that is there already.
 *
 * An envelope is logged by the digest of its pre-authentication encoding. Checked is that the entry is, byte for byte, what was asked
 * for, and that its proof leads to the root of its checkpoint. Signatures of the log are not: see `verify/`.
 *
 * One attempt may take 25 seconds at least, whatever `attemptTimeoutMs` says: the log takes its time, and to ask anew meanwhile
 * only ends in a conflict.
 *
 * @throws ServiceError `REKOR_REQUEST_REFUSED`, `TLOG_ENTRY_CONFLICT` where an entry is in the way that is not ours or cannot be
 * found in time, `TLOG_FROZEN`, `SERVICE_RESPONSE_INVALID`, and those of `sendRequest`.
 * @throws {@link VerificationError} `TLOG_ENTRY_MISMATCH`, `TLOG_INCLUSION_PROOF_INVALID`, `ALGORITHM_UNSUPPORTED`.
 */
export async function submitEntryV2(
  baseUrl: string,
  entry: ProposedEntry,
  options: RekorV2Options,
): Promise<TransparencyLogEntry> {
  const limited = withDeadline(options);
  const expected = expectationOf(entry);
  const digest = await digestOf(entry, expected, options);
  const signature = signatureJson(expected, entry.keyDetails);
  const answer = await sendRequest(
    serviceUrl(baseUrl, "/api/v2/log/entries"),
    {
      method: "POST",
      headers: { accept: "application/json", "content-type": "application/json" },
      body: JSON.stringify({ hashedRekordRequestV002: { digest: encodeBase64(digest.value), signature } }),
      accept: [200, 201, 405, 409],
      maxBytes: MAX_TLOG_ANSWER_BYTES,
      refusal: "REKOR_REQUEST_REFUSED",
    },
    {
      ...limited,
      service: SERVICE,
      attemptTimeoutMs: Math.max(limited.attemptTimeoutMs ?? MIN_ATTEMPT_TIMEOUT_MS, MIN_ATTEMPT_TIMEOUT_MS),
    },
  );
  if (answer.status === 405) throw frozen(answer);
  if (answer.status === 409) {
    const spec = { hashedRekordV002: { data: hashOutputJson(digest), signature } };
    return await findConflicting(baseUrl, spec, expected, answer, limited);
  }
  const logged = readJsonAnswer(answer, SERVICE, "a log entry", readTransparencyLogEntry);
  if (logged.inclusionProof === undefined) {
    throw new VerificationError("TLOG_INCLUSION_PROOF_MISSING", "log made an entry without an inclusion proof");
  }
  await verifyOurEntry(logged, expected, KIND_VERSION, options.crypto);
  return logged;
}

/** What the signature is over, hashed with the hash of its algorithm. */
async function digestOf(
  entry: ProposedEntry,
  { content }: EntryExpectation,
  { crypto }: RekorOptions,
): Promise<Digest> {
  const { hash, name } = algorithmOfEntry(entry);
  if (hash === undefined) {
    throw new VerificationError("ALGORITHM_UNSUPPORTED", `Rekor v2 does not take signatures of ${name}`, {
      expected: "an algorithm that signs a digest",
      found: name,
    });
  }
  if (entry.kind === "hashedrekord") {
    if (entry.digest.algorithm === hash) return entry.digest;
    throw new VerificationError("DIGEST_ALGORITHM_MISMATCH", "digest is not of the hash that was signed", {
      expected: hash,
      found: entry.digest.algorithm,
    });
  }
  const pae = content.kind === "envelope" ? content.pae : new Uint8Array(0);
  return { algorithm: hash, value: await crypto.digest(hash, pae) };
}

/**
 * Finds the entry that is in the way, by proving that what was to be logged is in the tree where the log says. So nothing that
 * the log answers is adopted: the body is ours, and the tree's root, with the tiles below it, decides.
 */
async function findConflicting(
  baseUrl: string,
  spec: JsonObject,
  expected: EntryExpectation,
  conflict: HttpAnswer,
  options: RekorV2Options,
): Promise<TransparencyLogEntry> {
  const logIndex = readConflictIndex(conflict);
  if (logIndex === undefined) throw inTheWay("it does not name", conflict);
  const canonicalizedBody = encodeUtf8(
    encodeCanonicalJson({ apiVersion: KIND_VERSION.version, kind: KIND_VERSION.kind, spec }),
  );
  const leaf = await leafHash(canonicalizedBody, options.crypto);
  const { envelope, note, checkpoint, logId } = await untilPublished(baseUrl, logIndex, conflict, options);
  const { treeSize, rootHash } = checkpoint;

  // The leaf's own tile is needed for the proof too.
  const own = tileAt(0, logIndex, treeSize);
  const leaves = await fetchTile(baseUrl, own, options);
  const found = leaves[Number(logIndex % BigInt(TILE_WIDTH))] as Uint8Array;
  if (!equalBytes(found, leaf)) {
    const difference = new VerificationError("TLOG_ENTRY_MISMATCH", `entry ${logIndex} is another one`, {
      expected: encodeHex(leaf),
      found: encodeHex(found),
    });
    throw inTheWay("is not the one that was to be made", conflict, difference);
  }
  const read = async (tile: Tile): Promise<readonly Uint8Array[]> =>
    tile.level === own.level && tile.index === own.index ? leaves : await fetchTile(baseUrl, tile, options);
  const hashes = await inclusionProofFromTiles(logIndex, treeSize, read, options.crypto);
  const entry: TransparencyLogEntry = {
    logIndex,
    logId: logId ?? shortLogId(note, checkpoint, conflict),
    kindVersion: KIND_VERSION,
    integratedTime: 0n,
    inclusionProof: { logIndex, rootHash, treeSize, hashes, checkpoint: envelope },
    canonicalizedBody,
  };
  await verifyOurEntry(entry, expected, KIND_VERSION, options.crypto);
  return entry;
}

/** The header, or for want of it the words "with index N". */
function readConflictIndex(conflict: HttpAnswer): bigint | undefined {
  const header = conflict.headers.get("x-log-index");
  const words = tryDecodeUtf8(conflict.body.subarray(0, MAX_ERROR_BODY_BYTES)) ?? "";
  const digits = header?.trim() ?? /\bwith index (?<index>[0-9]{1,19})\b/.exec(words)?.groups?.["index"] ?? "";
  if (!/^[0-9]{1,19}$/.test(digits)) return undefined;
  const index = BigInt(digits);
  return index < 1n << 63n ? index : undefined;
}

interface PublishedTree {
  /** The signed note, as the log publishes it. */
  readonly envelope: string;
  readonly note: SignedNote;
  readonly checkpoint: Checkpoint;
  /** Of the log that was found to have signed. */
  readonly logId: Uint8Array | undefined;
}

/** Waits until the tree that the log publishes holds the entry. */
async function untilPublished(
  baseUrl: string,
  logIndex: bigint,
  conflict: HttpAnswer,
  options: RekorV2Options,
): Promise<PublishedTree> {
  for (let wait = PUBLICATION_WAIT_MS; ; wait = Math.min(2 * wait, PUBLICATION_MAX_WAIT_MS)) {
    const tree = await fetchPublishedTree(baseUrl, options);
    if (tree.checkpoint.treeSize > logIndex) return tree;
    if (!(await pause(wait, options))) {
      throw inTheWay(`at index ${logIndex} is not in its tree of ${tree.checkpoint.treeSize} entries yet`, conflict);
    }
  }
}

async function fetchPublishedTree(baseUrl: string, options: RekorV2Options): Promise<PublishedTree> {
  const envelope = await fetchCheckpointV2(baseUrl, options);
  const note = parseSignedNote(envelope);
  let unknown: VerificationError | undefined;
  for (const log of options.logs ?? []) {
    try {
      return { envelope, note, checkpoint: await verifyCheckpoint(note, log, 2, options.crypto), logId: log.logId };
    } catch (error) {
      if (!(error instanceof VerificationError && error.code === "CHECKPOINT_NOT_SIGNED_BY_LOG")) throw error;
      unknown = error;
    }
  }
  if (unknown !== undefined) throw unknown;
  return { envelope, note, checkpoint: parseCheckpoint(note.text), logId: undefined };
}

/** Of the signature line that is the log's own, by its name. */
function shortLogId({ signatures }: SignedNote, { origin }: Checkpoint, conflict: HttpAnswer): Uint8Array {
  const line = signatures.find(({ name }) => name === origin) ?? signatures[0];
  if (line === undefined) throw inTheWay("is in a tree that nobody signed", conflict);
  return line.keyId;
}

/** Fetches the checkpoint that a log publishes, a signed note. It is not verified here: see `verifyCheckpoint`. */
async function fetchCheckpointV2(baseUrl: string, options: RequestOptions): Promise<string> {
  const answer = await getStatic(baseUrl, "checkpoint", MAX_SIGNED_NOTE_BYTES, options);
  return readAnswer(answer, SERVICE, "a checkpoint", (body) => {
    const text = tryDecodeUtf8(body);
    if (text === undefined) throw new FormatError("SIGNED_NOTE_MALFORMED", "signed note is not UTF-8");
    parseCheckpoint(parseSignedNote(text).text);
    return text;
  });
}

/** Fetches a tile of hashes, as many as its width says. Whether they are those of a tree is not checked here. */
async function fetchTile(baseUrl: string, tile: Tile, options: RequestOptions): Promise<readonly Uint8Array[]> {
  const answer = await getTile(tile, (some) => getStatic(baseUrl, tilePath(some), TILE_WIDTH * 32, options));
  return readAnswer(answer, SERVICE, "a tile", (body) => parseTile(body, tile.width));
}

/**
 * C2SP tlog-tiles: a log may delete partial tiles once the full one is there, and clients must then take that.
 *
 * @see {@link https://c2sp.org/tlog-tiles | C2SP tlog-tiles}, "Partial Tiles"
 */
async function getTile(tile: Tile, get: (tile: Tile) => Promise<HttpAnswer>): Promise<HttpAnswer> {
  try {
    return await get(tile);
  } catch (error) {
    if (tile.width === TILE_WIDTH || !(error instanceof ServiceError) || error.status !== 404) throw error;
    return await get({ ...tile, width: TILE_WIDTH });
  }
}

async function getStatic(
  baseUrl: string,
  path: string,
  maxBytes: number,
  options: RequestOptions,
): Promise<HttpAnswer> {
  return await sendRequest(
    serviceUrl(baseUrl, `/api/v2/${path}`),
    { method: "GET", accept: [200], maxBytes, refusal: "REKOR_REQUEST_REFUSED" },
    { ...options, service: SERVICE },
  );
}
