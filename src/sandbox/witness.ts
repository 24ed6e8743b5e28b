/**
 * A witness: it cosigns a checkpoint only where the log proves that nothing it saw before was changed or removed.
 *
 * @module
 */

import { defaultCryptoProvider } from "../crypto/provider.ts";
import type { PublicKey } from "../crypto/public-key.ts";
import { defaultAlgorithm } from "../crypto/registry.ts";
import { encodeBase64, tryDecodeBase64 } from "../encoding/base64.ts";
import { equalBytes } from "../encoding/bytes.ts";
import { tryDecodeUtf8 } from "../encoding/utf8.ts";
import { SigstoreError } from "../errors.ts";
import { MAX_SIGNED_NOTE_BYTES } from "../limits.ts";
import { parseCheckpoint, verifyCheckpoint, type Checkpoint } from "../tlog/checkpoint.ts";
import { verifyConsistency } from "../tlog/merkle.ts";
import { parseSignedNote, type SignedNote } from "../tlog/signed-note.ts";
import type { TransparencyLog } from "../tlog/transparency-log.ts";
import { createCosigner, type TreeHead } from "./note-signer.ts";
import { readBody } from "./request-body.ts";
import type { SandboxService, ServiceContext } from "./service.ts";
import { storedSigningKey } from "./signing-key.ts";
import type { SandboxStore } from "./store.ts";

/** Is what a log asks of a witness. */
export interface AddCheckpoint {
  /** The size that the witness saw last, as far as the log knows. */
  readonly oldSize: bigint;
  readonly proof: readonly Uint8Array[];
  /** The signed note. */
  readonly checkpoint: string;
}

/** Is what a witness answers: a signature line, or why there is none, as a status of HTTP. */
export type WitnessAnswer =
  | { readonly status: 200; readonly line: string }
  | { readonly status: 400 | 403 | 404 | 422; readonly reason: string }
  /** The log is to start from the size that the witness saw last. */
  | { readonly status: 409; readonly reason: string; readonly size: bigint };

/** Watches over logs. */
export interface Witness extends SandboxService {
  readonly name: string;
  /** What verifiers need to know of it: name, key id and key. */
  readonly vkey: string;
  /** Accepts checkpoints of a log from now on. */
  addLog(origin: string, publicKey: PublicKey): void;
  /** Checks and cosigns. */
  addCheckpoint(request: AddCheckpoint): Promise<WitnessAnswer>;
}

const KEY_FILE = "key.pem";
/** C2SP tlog-witness: "The client MUST NOT send more than 63 consistency proof lines." */
const MAX_PROOF_LINES = 63;

/**
 * Makes a witness, or opens the one in the store.
 *
 * @param name - The name of its key.
 * @see {@link https://c2sp.org/tlog-witness | C2SP tlog-witness}
 */
export async function createWitness(context: Omit<ServiceContext, "forgery">, name: string): Promise<Witness> {
  const crypto = defaultCryptoProvider();
  const cosigner = createCosigner(name, await storedSigningKey(context.store, KEY_FILE, "ed25519"), context.now);
  const logs = new Map<string, TransparencyLog>();

  async function addCheckpoint({ oldSize, proof, checkpoint }: AddCheckpoint): Promise<WitnessAnswer> {
    let note: SignedNote;
    let head: Checkpoint;
    try {
      note = parseSignedNote(checkpoint);
      head = parseCheckpoint(note.text);
    } catch (error) {
      return refusal(400, error);
    }
    const log = logs.get(head.origin);
    if (log === undefined) return { status: 404, reason: "unknown log" };
    try {
      await verifyCheckpoint(note, log, 2, crypto);
    } catch (error) {
      return refusal(403, error);
    }
    if (oldSize > head.treeSize) return { status: 400, reason: "old size is larger than the checkpoint's" };

    const seen = readSeen(context.store, head.origin);
    const conflict = conflictWith(seen, oldSize, head);
    if (conflict !== undefined) return conflict;
    if (oldSize === 0n && proof.length > 0)
      return { status: 422, reason: "consistency proof from nothing is not empty" };
    try {
      const proven = { size1: oldSize, root1: seen?.rootHash ?? head.rootHash, size2: head.treeSize };
      if (oldSize > 0n) await verifyConsistency({ ...proven, root2: head.rootHash, hashes: proof }, crypto);
    } catch (error) {
      return refusal(422, error);
    }
    // Another request may have been answered while this one was verified.
    const meanwhile = conflictWith(readSeen(context.store, head.origin), oldSize, head);
    if (meanwhile !== undefined) return meanwhile;
    writeSeen(context.store, head);
    return { status: 200, line: cosigner.sign(note.text) };
  }

  return {
    name,
    vkey: cosigner.vkey,
    addLog(origin, publicKey) {
      const baseUrl = `https://${origin}`;
      logs.set(origin, {
        baseUrl,
        logId: new Uint8Array(32),
        publicKey,
        algorithm: defaultAlgorithm(publicKey),
        validFor: { start: new Date(0) },
      });
    },
    addCheckpoint,
    async fetch(request) {
      if (new URL(request.url).pathname !== `${new URL(context.url).pathname.replace(/\/$/, "")}/add-checkpoint`)
        return new Response("not found\n", { status: 404 });
      if (request.method !== "POST") return new Response("method not allowed\n", { status: 405 });
      const body = await readBody(request, 2 * MAX_SIGNED_NOTE_BYTES);
      const asked = body && tryParseRequest(body);
      if (asked === undefined) return new Response("malformed request\n", { status: 400 });
      const answer = await addCheckpoint(asked);
      if (answer.status === 200) return new Response(answer.line);
      if (answer.status !== 409) return new Response(`${answer.reason}\n`, { status: answer.status });
      return new Response(`${answer.size}\n`, { status: 409, headers: { "content-type": "text/x.tlog.size" } });
    },
  };
}

/** Reads the body of an `add-checkpoint` request. */
function tryParseRequest(body: Uint8Array): AddCheckpoint | undefined {
  const text = tryDecodeUtf8(body);
  const blankLine = text?.indexOf("\n\n") ?? -1;
  if (text === undefined || blankLine === -1) return undefined;
  const [old = "", ...lines] = text.slice(0, blankLine).split("\n");
  const oldSize = /^old (?<size>0|[1-9][0-9]{0,18})$/.exec(old)?.groups?.["size"];
  if (oldSize === undefined || lines.length > MAX_PROOF_LINES) return undefined;
  const proof = lines.map(tryDecodeBase64);
  if (!proof.every((hash) => hash?.length === 32)) return undefined;
  return { oldSize: BigInt(oldSize), proof: proof as Uint8Array[], checkpoint: text.slice(blankLine + 2) };
}

/** Tells whether the log starts from what was seen. */
function conflictWith(seen: TreeHead | undefined, oldSize: bigint, head: Checkpoint): WitnessAnswer | undefined {
  const size = BigInt(seen?.size ?? 0);
  if (oldSize !== size) return { status: 409, size, reason: `last seen size is ${size}` };
  if (seen !== undefined && size === head.treeSize && !equalBytes(seen.rootHash, head.rootHash))
    return { status: 409, size, reason: "another root hash was seen for this size" };
  return undefined;
}

function refusal(status: 400 | 403 | 422, error: unknown): WitnessAnswer {
  if (!(error instanceof SigstoreError)) throw error;
  return { status, reason: error.message };
}

function seenFile(origin: string): string {
  return `seen-${encodeURIComponent(origin)}`;
}

function readSeen(store: SandboxStore, origin: string): TreeHead | undefined {
  const bytes = store.read(seenFile(origin));
  const [size = "", root = ""] = (bytes === undefined ? "" : Buffer.from(bytes).toString("utf8")).split("\n");
  const rootHash = tryDecodeBase64(root);
  return size === "" || rootHash === undefined ? undefined : { size: Number(size), rootHash };
}

function writeSeen(store: SandboxStore, { origin, treeSize, rootHash }: Checkpoint): void {
  store.write(seenFile(origin), new TextEncoder().encode(`${treeSize}\n${encodeBase64(rootHash)}\n`));
}
