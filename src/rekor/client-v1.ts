/**
 * Rekor v1: a log that answers with a promise and a proof at once, and can be asked for entries.
 *
 * @see {@link https://github.com/sigstore/rekor/blob/main/openapi.yaml | openapi.yaml of Rekor}
 * @module
 */

import type { PublicKey } from "../crypto/public-key.ts";
import { encodeBase64 } from "../encoding/base64.ts";
import { equalBytes } from "../encoding/bytes.ts";
import { encodeHex, tryDecodeHex } from "../encoding/hex.ts";
import { parseJson, type JsonObject, type JsonValue } from "../encoding/json.ts";
import { JsonReader } from "../encoding/json-reader.ts";
import { encodePem } from "../encoding/pem.ts";
import { encodeUtf8 } from "../encoding/utf8.ts";
import { FormatError, InputError, ServiceError, VerificationError } from "../errors.ts";
import { pause } from "../http/pause.ts";
import { serviceUrl } from "../http/redirect.ts";
import { sendRequest, withDeadline, type HttpAnswer, type RequestOptions } from "../http/request.ts";
import { readJsonAnswer } from "../http/service-answer.ts";
import {
  MAX_INCLUSION_PROOF_HASHES,
  MAX_INDEX_MATCHES,
  MAX_SIGNATURE_BYTES,
  MAX_SIGNED_NOTE_BYTES,
  MAX_TLOG_ANSWER_BYTES,
  MAX_TLOG_ENTRY_BODY_BYTES,
} from "../limits.ts";
import type { EntryVerifier } from "../tlog/entries/comparison.ts";
import { verifyInclusionUnder } from "../tlog/inclusion.ts";
import { leafHash } from "../tlog/merkle.ts";
import type { InclusionProof, KindVersion, TransparencyLogEntry } from "../tlog/transparency-log-entry.ts";
import {
  checkCount,
  expectationOf,
  frozen,
  inTheWay,
  SERVICE,
  verifyOurEntry,
  type ProposedEntry,
  type RekorOptions,
} from "./proposed-entry.ts";

/** Is an entry as Rekor v1 names it. */
export interface LoggedEntryV1 {
  /** The entry's id: that of the tree where the log gave it, and the leaf hash; lower-case hexadecimal digits. */
  readonly entryId: string;
  readonly entry: TransparencyLogEntry;
}

/** A log that has sequenced an entry without having it to hand yet is asked again so often. */
const CONFLICT_READS = 5;
const CONFLICT_WAIT_MS = 500;

/**
 * Makes an entry public, or finds the one that is there already.
 *
 * Checked is that the entry holds what was asked for, that its id is its leaf hash, and that its proof leads to the root of its
 * checkpoint. Signatures of the log are not: see `verify/`.
 *
 * @throws ServiceError `REKOR_REQUEST_REFUSED`, `TLOG_ENTRY_CONFLICT` where an entry is in the way that is not ours or cannot be
 * found, `TLOG_FROZEN`, `SERVICE_RESPONSE_INVALID`, and those of `sendRequest`.
 * @throws {@link VerificationError} `TLOG_ENTRY_MISMATCH`, `TLOG_INCLUSION_PROOF_INVALID`, `ALGORITHM_UNSUPPORTED`.
 */
export async function submitEntryV1(
  baseUrl: string,
  entry: ProposedEntry,
  options: RekorOptions,
): Promise<TransparencyLogEntry> {
  const limited = withDeadline(options);
  const expected = expectationOf(entry);
  const proposed = proposedJson(entry);
  const answer = await post(baseUrl, "/api/v1/log/entries", proposed, [200, 201, 405, 409], limited);
  if (answer.status === 405) throw frozen(answer);
  if (answer.status === 409) return await findConflicting(baseUrl, entry, answer, limited);
  const logged = await readEntry(answer, limited);
  await verifyOurEntry(logged.entry, expected, { kind: entry.kind, version: "0.0.1" }, options.crypto);
  return logged.entry;
}

/** Finds the entry that is in the way, and proves that it is the one that was to be made. */
async function findConflicting(
  baseUrl: string,
  proposed: ProposedEntry,
  conflict: HttpAnswer,
  options: RekorOptions,
): Promise<TransparencyLogEntry> {
  // Only the id is taken from the address: where the log itself is, the caller said.
  const location = URL.parse(conflict.headers.get("location") ?? "", conflict.url)?.pathname ?? "";
  const entryId = /\/entries\/(?<id>(?:[0-9a-f]{16})?[0-9a-f]{64})$/i.exec(location)?.groups?.["id"];
  const read = async (): Promise<LoggedEntryV1 | undefined> =>
    entryId === undefined
      ? (await retrieveEntriesV1(baseUrl, { entries: [proposed] }, options))[0]
      : await fetchEntryV1(baseUrl, { entryId }, options);
  try {
    const logged = await untilThere(read, options);
    if (logged === undefined) throw inTheWay("cannot be found", conflict);
    await verifyOurEntry(
      logged.entry,
      expectationOf(proposed),
      { kind: proposed.kind, version: "0.0.1" },
      options.crypto,
    );
    return logged.entry;
  } catch (cause) {
    if (cause instanceof VerificationError || cause instanceof FormatError)
      throw inTheWay("is not the one that was to be made", conflict, cause);
    throw cause;
  }
}

/** Reads what is promised to be there, for as long as the log does not know it. */
async function untilThere(
  read: () => Promise<LoggedEntryV1 | undefined>,
  options: RekorOptions,
): Promise<LoggedEntryV1 | undefined> {
  for (let reads = 1; ; reads += 1) {
    const found = await read().catch((error: unknown) => {
      if (!(error instanceof ServiceError) || error.status !== 404) throw error;
      return undefined;
    });
    if (found !== undefined || reads === CONFLICT_READS) return found;
    if (!(await pause(CONFLICT_WAIT_MS, options))) return undefined;
  }
}

/** Writes an entry as Rekor wants it proposed. */
function proposedJson(entry: ProposedEntry): JsonObject {
  const verifier = encodeBase64(encodeUtf8(pemOf(entry.verifier)));
  if (entry.kind === "hashedrekord") {
    const { digest, signature } = entry;
    return {
      kind: "hashedrekord",
      apiVersion: "0.0.1",
      spec: {
        data: { hash: { algorithm: digest.algorithm, value: encodeHex(digest.value) } },
        signature: { content: encodeBase64(signature), publicKey: { content: verifier } },
      },
    };
  }
  const { payload, payloadType, signatures } = entry.envelope;
  const envelope = {
    payload: encodeBase64(payload),
    payloadType,
    signatures: signatures.map(({ sig, keyid }) => ({ ...(keyid !== "" && { keyid }), sig: encodeBase64(sig) })),
  };
  return {
    kind: "dsse",
    apiVersion: "0.0.1",
    spec: { proposedContent: { envelope: JSON.stringify(envelope), verifiers: [verifier] } },
  };
}

function pemOf({ kind, der }: EntryVerifier): string {
  switch (kind) {
    case "certificate":
      return encodePem("CERTIFICATE", der);
    case "public-key":
      return encodePem("PUBLIC KEY", der);
    case "rsa-public-key":
      return encodePem("RSA PUBLIC KEY", der);
  }
}

/** Names one entry. */
export type EntryReference =
  | {
      /** 64 or 80 hexadecimal digits. */
      readonly entryId: string;
    }
  | {
      /** Counted over all shards. */
      readonly logIndex: bigint;
    };

/**
 * Fetches an entry.
 *
 * Checked is that it is the one that was asked for, that its id is its leaf hash, and that its proof leads to the root of its
 * checkpoint. What it says, and signatures of the log, are not.
 *
 * @throws as {@link submitEntryV1}; ServiceError `REKOR_REQUEST_REFUSED` with status 404 where there is none.
 */
export async function fetchEntryV1(
  baseUrl: string,
  reference: EntryReference,
  options: RekorOptions,
): Promise<LoggedEntryV1> {
  const path =
    "entryId" in reference
      ? `/api/v1/log/entries/${checkEntryId(reference.entryId)}`
      : `/api/v1/log/entries?logIndex=${checkCount(reference.logIndex, "log index")}`;
  const logged = await readEntry(await get(baseUrl, path, options), options);
  const isSame =
    "entryId" in reference
      ? logged.entryId.endsWith(reference.entryId.slice(-64).toLowerCase())
      : logged.entry.logIndex === reference.logIndex;
  if (!isSame) {
    throw new VerificationError("TLOG_ENTRY_MISMATCH", "log answered with another entry than was asked for", {
      expected: "entryId" in reference ? reference.entryId : `index ${reference.logIndex}`,
      found: "entryId" in reference ? logged.entryId : `index ${logged.entry.logIndex}`,
    });
  }
  return logged;
}

function checkEntryId(entryId: string): string {
  if (/^(?:[0-9a-f]{16})?[0-9a-f]{64}$/i.test(entryId)) return entryId.toLowerCase();
  throw new InputError("USAGE_INVALID", "id of a log entry is malformed", {
    expected: "64 or 80 hexadecimal digits",
    found: entryId.slice(0, 100),
  });
}

/** Rekor takes no more in one request. */
const MAX_RETRIEVED = 10;

/**
 * Asks for several entries at once: by id, by index, or by what they hold. Those that are not there are left out.
 *
 * Checked is what {@link fetchEntryV1} checks of one, except which one was asked for.
 *
 * @param query - At most 10 altogether.
 * @throws as {@link fetchEntryV1}.
 */
export async function retrieveEntriesV1(
  baseUrl: string,
  query: {
    readonly entryIds?: readonly string[];
    readonly logIndexes?: readonly bigint[];
    readonly entries?: readonly ProposedEntry[];
  },
  options: RekorOptions,
): Promise<readonly LoggedEntryV1[]> {
  const { entryIds = [], logIndexes = [], entries = [] } = query;
  const count = entryIds.length + logIndexes.length + entries.length;
  if (count === 0 || count > MAX_RETRIEVED) {
    throw new InputError("USAGE_INVALID", `${count} log entries cannot be asked for at once`, {
      expected: `1 to ${MAX_RETRIEVED}`,
      found: `${count}`,
    });
  }
  const body = {
    ...(entryIds.length > 0 && { entryUUIDs: entryIds.map(checkEntryId) }),
    ...(logIndexes.length > 0 && { logIndexes: logIndexes.map((index) => Number(checkCount(index, "log index"))) }),
    ...(entries.length > 0 && { entries: entries.map(proposedJson) }),
  };
  const answer = await post(baseUrl, "/api/v1/log/entries/retrieve", body, [200], options);
  const found = readJsonAnswer(answer, SERVICE, "log entries", (reader) =>
    reader.array(MAX_RETRIEVED).flatMap(readEntryMap),
  );
  return await Promise.all(found.map((logged) => confirmId(logged, options)));
}

/** Says what the search index is asked for; each is optional, and one must be there. */
export interface IndexQuery {
  /** `sha256:` and hexadecimal digits, of an artifact, a payload or an envelope. */
  readonly hash?: string;
  readonly email?: string;
  readonly publicKey?: PublicKey;
}

/**
 * Searches for the ids of entries. An index is a help: that something is missing in it says nothing, and what it names is to be
 * fetched and verified.
 *
 * @throws as {@link fetchEntryV1}.
 */
export async function searchIndexV1(
  baseUrl: string,
  { hash, email, publicKey }: IndexQuery,
  options: RequestOptions,
): Promise<readonly string[]> {
  const body = {
    ...(hash !== undefined && { hash }),
    ...(email !== undefined && { email }),
    ...(publicKey !== undefined && {
      publicKey: { format: "x509", content: encodeBase64(encodeUtf8(encodePem("PUBLIC KEY", publicKey.spki))) },
    }),
  };
  const answer = await post(baseUrl, "/api/v1/index/retrieve", body, [200], options);
  return readJsonAnswer(answer, SERVICE, "ids of log entries", (reader) =>
    reader.array(MAX_INDEX_MATCHES).map(readEntryId),
  );
}

function readEntryId(reader: JsonReader): string {
  const id = reader.string();
  if (!/^(?:[0-9a-f]{16})?[0-9a-f]{64}$/.test(id)) reader.fail("is not the id of a log entry");
  return id;
}

async function get(baseUrl: string, path: string, options: RequestOptions): Promise<HttpAnswer> {
  return await sendRequest(
    serviceUrl(baseUrl, path),
    {
      method: "GET",
      headers: { accept: "application/json" },
      accept: [200],
      maxBytes: MAX_TLOG_ANSWER_BYTES,
      refusal: "REKOR_REQUEST_REFUSED",
    },
    { ...options, service: SERVICE },
  );
}

async function post(
  baseUrl: string,
  path: string,
  body: JsonValue,
  accept: readonly number[],
  options: RequestOptions,
): Promise<HttpAnswer> {
  return await sendRequest(
    serviceUrl(baseUrl, path),
    {
      method: "POST",
      headers: { accept: "application/json", "content-type": "application/json" },
      body: JSON.stringify(body),
      accept,
      maxBytes: MAX_TLOG_ANSWER_BYTES,
      refusal: "REKOR_REQUEST_REFUSED",
    },
    { ...options, service: SERVICE },
  );
}

/** Reads an answer that is one entry. */
async function readEntry(answer: HttpAnswer, options: RekorOptions): Promise<LoggedEntryV1> {
  const logged = readJsonAnswer(answer, SERVICE, "a log entry", (reader) => {
    const [first, second] = readEntryMap(reader);
    if (first === undefined || second !== undefined) return reader.fail("is not one entry");
    return first;
  });
  return await confirmId(logged, options);
}

/** The leaf hash is the end of the id, whatever tree id is before it. */
async function confirmId(logged: LoggedEntryV1, { crypto }: RekorOptions): Promise<LoggedEntryV1> {
  const hash = await leafHash(logged.entry.canonicalizedBody, crypto);
  const named = tryDecodeHex(logged.entryId.slice(-64));
  if (named === undefined || !equalBytes(named, hash)) {
    throw new VerificationError("TLOG_ENTRY_MISMATCH", "log entry has another body than its id says", {
      expected: logged.entryId.slice(-64),
      found: encodeHex(hash),
    });
  }
  if (logged.entry.inclusionProof !== undefined) await verifyInclusionUnder(undefined, logged.entry, 1, crypto);
  return logged;
}

/** Reads an object with the ids of entries for its keys. Fields that are not known are left alone, as in a bundle of this log. */
function readEntryMap(reader: JsonReader): readonly LoggedEntryV1[] {
  const map = reader.object();
  return map.keys().map((key) => {
    const entryId = readEntryId(new JsonReader(key, `${reader.path} key`, "JSON_MALFORMED"));
    const value = map.required(key).object();
    const verification = value.optional("verification")?.object();
    const promise = verification?.optional("signedEntryTimestamp");
    const proof = verification?.optional("inclusionProof");
    const canonicalizedBody = value.required("body").base64(MAX_TLOG_ENTRY_BODY_BYTES);
    const entry: TransparencyLogEntry = {
      logIndex: readCount(value.required("logIndex")),
      logId: readHexHash(value.required("logID")),
      kindVersion: readKindVersion(canonicalizedBody),
      integratedTime: readCount(value.required("integratedTime")),
      ...(promise !== undefined && { inclusionPromise: promise.base64(MAX_SIGNATURE_BYTES) }),
      ...(proof !== undefined && { inclusionProof: readInclusionProof(proof) }),
      canonicalizedBody,
    };
    return { entryId, entry };
  });
}

function readKindVersion(body: Uint8Array): KindVersion {
  const json = parseJson(body, {
    what: "body of the log entry",
    code: "TLOG_ENTRY_MALFORMED",
    maxBytes: MAX_TLOG_ENTRY_BODY_BYTES,
  });
  const entry = new JsonReader(json, "body", "TLOG_ENTRY_MALFORMED").object();
  return { kind: entry.required("kind").string(), version: entry.required("apiVersion").string() };
}

function readInclusionProof(reader: JsonReader): InclusionProof {
  const proof = reader.object();
  return {
    logIndex: readCount(proof.required("logIndex")),
    rootHash: readHexHash(proof.required("rootHash")),
    treeSize: readCount(proof.required("treeSize")),
    hashes: proof.optional("hashes")?.array(MAX_INCLUSION_PROOF_HASHES).map(readHexHash) ?? [],
    checkpoint: readNote(proof.required("checkpoint")),
  };
}

function readNote(reader: JsonReader): string {
  const note = reader.string();
  if (note.length > MAX_SIGNED_NOTE_BYTES)
    throw new FormatError("LIMIT_EXCEEDED", `${reader.path} has more than ${MAX_SIGNED_NOTE_BYTES} bytes`);
  return note;
}

function readHexHash(reader: JsonReader): Uint8Array {
  const hash = tryDecodeHex(reader.string());
  if (hash?.length !== 32) return reader.fail("is not a SHA-256 hash in hexadecimal");
  return hash;
}

function readCount(reader: JsonReader): bigint {
  const count = reader.int64();
  if (count < 0n) reader.fail("is negative");
  return count;
}
