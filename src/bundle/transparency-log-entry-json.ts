/**
 * A transparency log entry in proto-JSON: as a bundle holds it, and as Rekor v2 answers.
 *
 * @module
 */

import { encodeBase64 } from "../encoding/base64.ts";
import type { JsonObject, JsonValue } from "../encoding/json.ts";
import type { JsonReader } from "../encoding/json-reader.ts";
import { FormatError } from "../errors.ts";
import {
  MAX_INCLUSION_PROOF_HASHES,
  MAX_SIGNATURE_BYTES,
  MAX_SIGNED_NOTE_BYTES,
  MAX_TLOG_ENTRY_BODY_BYTES,
} from "../limits.ts";
import type { InclusionProof, TransparencyLogEntry } from "../tlog/transparency-log-entry.ts";
import { readBytes, readKeyId, readText } from "./proto-json.ts";

const ENTRY_FIELDS = [
  "logIndex",
  "logId",
  "kindVersion",
  "integratedTime",
  "inclusionPromise",
  "inclusionProof",
  "canonicalizedBody",
] as const;
const PROOF_FIELDS = ["logIndex", "rootHash", "treeSize", "hashes", "checkpoint"] as const;

/** The last second of the year 9999, beyond which a timestamp cannot be written. */
const LAST_SECOND = 253_402_300_799n;

/**
 * Reads an entry strictly. Nothing in it is proven: see `tlog/`.
 *
 * Numbers that proto-JSON leaves out are zero. A proof without a checkpoint has the empty string there and can prove
 * nothing; whether that matters depends on what else the bundle brings, so the verifier decides.
 *
 * @throws FormatError with the reader's code, `LIMIT_EXCEEDED`.
 * @see sigstore_rekor.proto `TransparencyLogEntry`
 */
export function readTransparencyLogEntry(reader: JsonReader): TransparencyLogEntry {
  const entry = reader.object(ENTRY_FIELDS);
  const kindVersion = entry.required("kindVersion").object(["kind", "version"]);
  const inclusionPromise = entry.optional("inclusionPromise");
  const inclusionProof = entry.optional("inclusionProof");
  return {
    logIndex: readCount(entry.optional("logIndex")),
    logId: readKeyId(entry.required("logId").object(["keyId"]).required("keyId")),
    kindVersion: {
      kind: readText(kindVersion.required("kind")),
      version: readText(kindVersion.required("version")),
    },
    integratedTime: readCount(entry.optional("integratedTime"), LAST_SECOND),
    ...(inclusionPromise !== undefined && {
      inclusionPromise: readBytes(
        inclusionPromise.object(["signedEntryTimestamp"]).required("signedEntryTimestamp"),
        MAX_SIGNATURE_BYTES,
      ),
    }),
    ...(inclusionProof !== undefined && { inclusionProof: readInclusionProof(inclusionProof) }),
    canonicalizedBody: readBytes(entry.required("canonicalizedBody"), MAX_TLOG_ENTRY_BODY_BYTES),
  };
}

function readInclusionProof(reader: JsonReader): InclusionProof {
  const proof = reader.object(PROOF_FIELDS);
  const treeSize = readCount(proof.required("treeSize"));
  if (treeSize === 0n) reader.fail("has a tree size of 0, so nothing is included");
  const checkpoint = proof.optional("checkpoint")?.object(["envelope"]).optional("envelope");
  const envelope = checkpoint?.string() ?? "";
  if (envelope.length > MAX_SIGNED_NOTE_BYTES) {
    throw new FormatError(
      "LIMIT_EXCEEDED",
      `${reader.path} has a checkpoint of more than ${MAX_SIGNED_NOTE_BYTES} bytes`,
    );
  }
  return {
    logIndex: readCount(proof.optional("logIndex")),
    rootHash: readHash(proof.required("rootHash")),
    treeSize,
    hashes: proof.optional("hashes")?.array(MAX_INCLUSION_PROOF_HASHES).map(readHash) ?? [],
    checkpoint: envelope,
  };
}

function readHash(reader: JsonReader): Uint8Array {
  const bytes = reader.base64();
  if (bytes.length !== 32) reader.fail(`has ${bytes.length} bytes, not the 32 of a SHA-256 hash`);
  return bytes;
}

function readCount(reader: JsonReader | undefined, max?: bigint): bigint {
  if (reader === undefined) return 0n;
  const value = reader.int64();
  if (value < 0n) reader.fail("is negative");
  if (max !== undefined && value > max) reader.fail("is too large");
  return value;
}

/** Writes an entry as proto-JSON, leaving out what is unset there: the inverse of {@link readTransparencyLogEntry}. */
export function serializeTransparencyLogEntry(entry: TransparencyLogEntry): JsonObject {
  const proof = entry.inclusionProof;
  return {
    logIndex: entry.logIndex.toString(),
    logId: { keyId: encodeBase64(entry.logId) },
    kindVersion: { kind: entry.kindVersion.kind, version: entry.kindVersion.version },
    ...(entry.integratedTime !== 0n && { integratedTime: entry.integratedTime.toString() }),
    ...(entry.inclusionPromise !== undefined && {
      inclusionPromise: { signedEntryTimestamp: encodeBase64(entry.inclusionPromise) },
    }),
    ...(proof !== undefined && { inclusionProof: serializeInclusionProof(proof) }),
    canonicalizedBody: encodeBase64(entry.canonicalizedBody),
  };
}

function serializeInclusionProof(proof: InclusionProof): JsonValue {
  return {
    logIndex: proof.logIndex.toString(),
    rootHash: encodeBase64(proof.rootHash),
    treeSize: proof.treeSize.toString(),
    hashes: proof.hashes.map(encodeBase64),
    ...(proof.checkpoint !== "" && { checkpoint: { envelope: proof.checkpoint } }),
  };
}
