import { TransparencyLogEntry as ProtoEntry } from "@sigstore/protobuf-specs";
import { describe, expect, test } from "vitest";
import {
  readTransparencyLogEntry,
  serializeTransparencyLogEntry,
} from "../../src/bundle/transparency-log-entry-json.ts";
import { JsonReader } from "../../src/encoding/json-reader.ts";
import type { JsonValue } from "../../src/encoding/json.ts";
import { base64, change, jsonFile, pick, without } from "../support/json-edits.ts";

const read = (json: unknown) =>
  readTransparencyLogEntry(new JsonReader(json as JsonValue, "entry", "TLOG_ENTRY_MALFORMED"));

const entryOf = (file: string) => pick(jsonFile(file), "verificationMaterial.tlogEntries.0");
const V1 = entryOf("bundle/v0.3-certificate-rekor-v1.sigstore.json");
const V2 = entryOf("bundle/v0.3-rekor-v2-timestamp.sigstore.json");

describe("readTransparencyLogEntry (sigstore_rekor.proto)", () => {
  test.for([
    ["of Rekor v1", V1],
    ["of Rekor v2", V2],
    ["without a checkpoint", entryOf("bundle/v0.2-proof-without-checkpoint.sigstore.json")],
  ] as const)("reads an entry %s as protobuf-specs does", ([, json]) => {
    const proto = ProtoEntry.fromJSON(json);
    const entry = read(json);
    expect({
      logIndex: entry.logIndex.toString(),
      logId: base64(entry.logId),
      kind: entry.kindVersion.kind,
      version: entry.kindVersion.version,
      integratedTime: entry.integratedTime.toString(),
      promise: entry.inclusionPromise && base64(entry.inclusionPromise),
      proof: entry.inclusionProof && {
        logIndex: entry.inclusionProof.logIndex.toString(),
        rootHash: base64(entry.inclusionProof.rootHash),
        treeSize: entry.inclusionProof.treeSize.toString(),
        hashes: entry.inclusionProof.hashes.map(base64),
        checkpoint: entry.inclusionProof.checkpoint,
      },
      body: base64(entry.canonicalizedBody),
    }).toEqual({
      logIndex: proto.logIndex,
      logId: proto.logId?.keyId.toString("base64"),
      kind: proto.kindVersion?.kind,
      version: proto.kindVersion?.version,
      integratedTime: proto.integratedTime,
      promise: proto.inclusionPromise?.signedEntryTimestamp.toString("base64"),
      proof: proto.inclusionProof && {
        logIndex: proto.inclusionProof.logIndex,
        rootHash: proto.inclusionProof.rootHash.toString("base64"),
        treeSize: proto.inclusionProof.treeSize,
        hashes: proto.inclusionProof.hashes.map((hash) => hash.toString("base64")),
        checkpoint: proto.inclusionProof.checkpoint?.envelope ?? "",
      },
      body: proto.canonicalizedBody.toString("base64"),
    });
  });

  test("reads what proto-JSON leaves out as zero: the first entry of a Rekor v2 log", () => {
    const first = without(without(without(V2, "logIndex"), "inclusionProof.logIndex"), "inclusionProof.hashes");
    expect(read(first)).toMatchObject({
      logIndex: 0n,
      integratedTime: 0n,
      inclusionProof: { logIndex: 0n, hashes: [] },
    });
  });

  test("reads null as absent", () => {
    expect(read({ ...V2, inclusionPromise: null, integratedTime: null })).toEqual(read(V2));
  });

  test("reads an int64 that is written as a number", () => {
    expect(read({ ...V2, logIndex: 7 }).logIndex).toBe(7n);
  });

  test("reads an int64 that is larger than a safe number", () => {
    expect(read({ ...V2, logIndex: "9223372036854775807" }).logIndex).toBe(2n ** 63n - 1n);
  });

  test("reads a log id that is a checkpoint key id of 4 bytes", () => {
    expect(read(change(V2, "logId.keyId", "AAECAw==")).logId).toEqual(new Uint8Array([0, 1, 2, 3]));
  });

  test.for([
    ["no log id", without(V1, "logId")],
    ["an empty log id", change(V1, "logId.keyId", "")],
    ["a log id of 31 bytes", change(V1, "logId.keyId", base64(new Uint8Array(31)))],
    ["a log id of 33 bytes", change(V1, "logId.keyId", base64(new Uint8Array(33)))],
    ["a log id with another field", change(V1, "logId.key", "x")],
    ["no kind and version", without(V1, "kindVersion")],
    ["no kind", without(V1, "kindVersion.kind")],
    ["an empty kind", change(V1, "kindVersion.kind", "")],
    ["no version", without(V1, "kindVersion.version")],
    ["a kind and version with another field", change(V1, "kindVersion.major", "1")],
    ["a negative log index", change(V1, "logIndex", "-1")],
    ["a log index that is a fraction", change(V1, "logIndex", 1.5)],
    ["a log index with a leading zero", change(V1, "logIndex", "01")],
    ["a log index of 2^63", change(V1, "logIndex", "9223372036854775808")],
    ["a negative integrated time", change(V1, "integratedTime", "-1")],
    ["an integrated time after the year 9999", change(V1, "integratedTime", "253402300800")],
    ["an integrated time that is a date", change(V1, "integratedTime", "2026-01-01T00:00:00Z")],
    ["an empty inclusion promise", change(V1, "inclusionPromise.signedEntryTimestamp", "")],
    ["an inclusion promise without a signature", change(V1, "inclusionPromise", {})],
    ["an inclusion promise with another field", change(V1, "inclusionPromise.x", "y")],
    ["no body", without(V1, "canonicalizedBody")],
    ["an empty body", change(V1, "canonicalizedBody", "")],
    ["a body in base64url", change(V1, "canonicalizedBody", "_-8=")],
    ["a body in base64 without padding", change(V1, "canonicalizedBody", "AA")],
    ["a body in base64 with bits left over", change(V1, "canonicalizedBody", "AB==")],
    ["an unknown field", change(V1, "uuid", "x")],
    ["a field in snake_case", change(V1, "log_index", "1")],
    ["a proof with an unknown field", change(V1, "inclusionProof.x", "y")],
    ["a proof without a root hash", without(V1, "inclusionProof.rootHash")],
    ["a proof with a root hash of 31 bytes", change(V1, "inclusionProof.rootHash", base64(new Uint8Array(31)))],
    ["a proof without a tree size", without(V1, "inclusionProof.treeSize")],
    ["a proof with a tree size of 0", change(V1, "inclusionProof.treeSize", "0")],
    ["a proof with a negative tree size", change(V1, "inclusionProof.treeSize", "-5")],
    ["a proof with a negative index", change(V1, "inclusionProof.logIndex", "-1")],
    ["a proof with a hash of 33 bytes", change(V1, "inclusionProof.hashes", [base64(new Uint8Array(33))])],
    ["a proof with an empty hash", change(V1, "inclusionProof.hashes", [""])],
    ["a proof whose hashes are one string", change(V1, "inclusionProof.hashes", base64(new Uint8Array(32)))],
    ["a proof whose checkpoint is text", change(V1, "inclusionProof.checkpoint", "log\n1\n\n")],
    ["a proof whose checkpoint has another field", change(V1, "inclusionProof.checkpoint.x", "y")],
    ["no object", []],
    ["nothing", null],
  ] as const)("rejects an entry that has %s", ([, json]) => {
    expect(() => read(json)).toThrow(expect.objectContaining({ code: "TLOG_ENTRY_MALFORMED" }));
  });

  test("rejects a proof of 65 hashes, since no tree is that high", () => {
    const hashes = Array.from({ length: 65 }, () => base64(new Uint8Array(32)));
    expect(() => read(change(V1, "inclusionProof.hashes", hashes))).toThrow(
      expect.objectContaining({ code: "LIMIT_EXCEEDED" }),
    );
    expect(read(change(V1, "inclusionProof.hashes", hashes.slice(1))).inclusionProof?.hashes).toHaveLength(64);
  });

  test.for([
    ["a body of more than a megabyte", "canonicalizedBody", 1024 * 1024],
    ["an inclusion promise of more than 16 kilobytes", "inclusionPromise.signedEntryTimestamp", 16 * 1024],
  ] as const)("rejects %s", ([, path, most]) => {
    expect(() => read(change(V1, path, base64(new Uint8Array(most))))).not.toThrow();
    expect(() => read(change(V1, path, base64(new Uint8Array(most + 1))))).toThrow(
      expect.objectContaining({ code: "LIMIT_EXCEEDED" }),
    );
  });

  test("rejects a checkpoint of more than half a megabyte", () => {
    expect(() => read(change(V1, "inclusionProof.checkpoint.envelope", "a".repeat(512 * 1024 + 1)))).toThrow(
      expect.objectContaining({ code: "LIMIT_EXCEEDED" }),
    );
  });
});

describe("serializeTransparencyLogEntry", () => {
  test.for([
    ["of Rekor v1", V1],
    ["of Rekor v2", V2],
    ["without a checkpoint", entryOf("bundle/v0.2-proof-without-checkpoint.sigstore.json")],
  ] as const)("writes an entry %s as it was", ([, json]) => {
    expect(serializeTransparencyLogEntry(read(json))).toEqual(json);
  });
});
