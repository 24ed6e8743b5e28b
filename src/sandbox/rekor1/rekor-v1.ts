/**
 * Rekor v1: a transparency log that answers for single entries, and promises each at once.
 *
 * @module
 */

import { randomBytes } from "node:crypto";
import { Hono, type Context } from "hono";
import { defaultCryptoProvider } from "../../crypto/provider.ts";
import { encodeBase64 } from "../../encoding/base64.ts";
import { encodeHex, tryDecodeHex } from "../../encoding/hex.ts";
import { parseJson, type JsonObject, type JsonValue } from "../../encoding/json.ts";
import { encodePem } from "../../encoding/pem.ts";
import { SigstoreError } from "../../errors.ts";
import { MAX_SANDBOX_RECORDS, MAX_SANDBOX_REQUEST_BYTES } from "../../limits.ts";
import { ForkedTree } from "../forked-tree.ts";
import type { LoggedEntry, LoggedTreeHead, LogListing } from "../log-listing.ts";
import { hashLeaf } from "../merkle-tree.ts";
import { readBody } from "../request-body.ts";
import { decoyRequest } from "../rekor2/decoy.ts";
import { Sequencer } from "../sequencer.ts";
import type { SandboxService, ServiceContext } from "../service.ts";
import { newSigningKey, storedSigningKey, type SigningKey } from "../signing-key.ts";
import { ApiError, RULE } from "./api-error.ts";
import { acceptEntry, type AcceptedEntry } from "./proposed-entry.ts";
import { parseIndexQuery, SearchIndex } from "./search-index.ts";
import { encodeEntryNote, Shard } from "./shard.ts";

/**
 * What the log answers wrongly: `wrong-key` signs checkpoints and promises with a key that is not the log's, `wrong-promise` promises
 * alone, `other-entry` gives somebody else's entry, `wrong-proof` a proof that leads elsewhere, `stale-checkpoint` one from before the
 * entry, `split-view` a tree with another history.
 */
export const REKOR_V1_FORGERIES = [
  "wrong-key",
  "wrong-promise",
  "other-entry",
  "wrong-proof",
  "stale-checkpoint",
  "split-view",
] as const;

/** Says how a log of the sandbox works. */
export interface RekorV1Options {
  /** The name of the log in its checkpoints, before the tree's. Default: the host and port of its URL. */
  readonly hostname?: string;
}

/** Is a log of the sandbox. */
export interface RekorV1 extends SandboxService {
  /** Counts the entries of all shards. */
  readonly size: number;
  /** Tells what to trust: the key of each shard, the present one last. */
  listings(): readonly LogListing[];
  /** Goes on with another tree and another key; the entries before stay where they are. */
  rotate(): Promise<void>;
  /** The checkpoint of the present shard. */
  readonly checkpoint: string;
  /** Lists entries, the latest first. */
  recentEntries(limit?: number): readonly LoggedEntry[];
  /** Lists the trees of the present shard since the log was opened, the latest first. */
  readonly treeHeads: readonly LoggedTreeHead[];
}

/** What is known of each shard besides what is in it. */
interface ShardRecord {
  readonly treeId: string;
  readonly start: string;
  readonly end?: string;
}

const SHARDS_FILE = "shards.json";
const MAX_BATCH = 256;
/** How many entries a search may ask for. */
const MAX_QUERIES = 10;
const PEM_FILE = "application/x-pem-file";
const ENTRY_ID = /^([0-9a-fA-F]{64}|[0-9a-fA-F]{80})$/;

/**
 * Opens the log that the store holds, or begins one.
 *
 * @see rekor-spec; rekor, openapi.yaml
 */
export async function createRekorV1(context: ServiceContext, options: RekorV1Options = {}): Promise<RekorV1> {
  const { store } = context;
  const crypto = defaultCryptoProvider();
  const url = new URL(context.url);
  const hostname = options.hostname ?? url.host;
  const searchIndex = new SearchIndex();
  const shards: Shard[] = [];
  const treeHeads: LoggedTreeHead[] = [];
  let records = readRecords();
  if (records.length === 0) records = [newRecord()];
  for (const record of records) await openShard(record);
  writeRecords();

  function readRecords(): readonly ShardRecord[] {
    const kept = store.read(SHARDS_FILE);
    return kept === undefined ? [] : (JSON.parse(new TextDecoder().decode(kept)) as readonly ShardRecord[]);
  }

  function writeRecords(): void {
    store.write(SHARDS_FILE, new TextEncoder().encode(JSON.stringify(records)));
  }

  function newRecord(): ShardRecord {
    // Of the size that Trillian gives: positive, and with its first bit to spare.
    const treeId = (BigInt(`0x${randomBytes(8).toString("hex")}`) >> 2n) | (1n << 60n);
    return { treeId: `${treeId}`, start: context.now().toISOString() };
  }

  async function openShard({ treeId }: ShardRecord): Promise<void> {
    const folder = store.under(`shard-${shards.length}`);
    const key = await storedSigningKey(folder, "key.pem", "p256");
    const offset = sizeOf(shards);
    shards.push(
      new Shard({ treeId, key, hostname, store: folder }, ({ indexKeys }, index) =>
        searchIndex.add(indexKeys, offset + index),
      ),
    );
  }

  const active = (): Shard => shards.at(-1) as Shard;
  const offsetOf = (shard: Shard): number => sizeOf(shards.slice(0, shards.indexOf(shard)));

  // ---- adding entries

  interface Added {
    readonly shard: Shard;
    readonly index: number;
    readonly isNew: boolean;
  }

  const sequencer = new Sequencer<AcceptedEntry, Added>({
    delayMs: 0,
    maxBatch: MAX_BATCH,
    integrate(entries) {
      const shard = active();
      const integratedTime = Math.floor(context.now().getTime() / 1000);
      const fresh: (AcceptedEntry & { readonly leafHash: Uint8Array })[] = [];
      const places = new Map<string, number>();
      const outcomes = entries.map((entry) => {
        const leafHash = hashLeaf(entry.body);
        const name = encodeHex(leafHash);
        const known = shard.log.find(leafHash) ?? places.get(name);
        if (known !== undefined) return { shard, index: known, isNew: false };
        const index = shard.log.size + fresh.push({ ...entry, leafHash }) - 1;
        places.set(name, index);
        return { shard, index, isNew: true };
      });
      const offset = offsetOf(shard);
      const first = shard.log.append(
        fresh.map(({ body, leafHash, indexKeys }) => ({
          bytes: body,
          hash: leafHash,
          note: encodeEntryNote({ integratedTime, indexKeys }),
        })),
      );
      for (const [at, { indexKeys }] of fresh.entries()) searchIndex.add(indexKeys, offset + first + at);
      if (fresh.length > 0) {
        treeHeads.unshift({ size: shard.log.size, rootHash: shard.log.tree.root(), time: context.now() });
        if (treeHeads.length > MAX_SANDBOX_RECORDS) treeHeads.pop();
      }
      return outcomes;
    },
  });

  // ---- answers

  const forks = new WeakMap<Shard, ForkedTree>();
  const foreign = lazy(() => newSigningKey("p256"));
  const decoy = lazy(async () => await sequencer.add(await acceptEntry(decoyProposal(), crypto)));

  /** Writes an entry with its proof and its promise: as `{<id>: {...}}`. */
  async function describe(shard: Shard, index: number): Promise<JsonObject> {
    const forgery = context.forgery();
    if (forgery === "other-entry") {
      const other = await decoy();
      if (other.index !== index || other.shard !== shard) return await truth(other.shard, other.index, undefined);
    }
    return await truth(shard, index, forgery);
  }

  async function truth(shard: Shard, index: number, forgery: string | undefined): Promise<JsonObject> {
    const { size } = shard.log;
    const impostor: SigningKey | undefined =
      forgery === "wrong-key" || forgery === "wrong-promise" ? await foreign() : undefined;
    const tree = forgery === "split-view" ? forkOf(shard).upTo(shard.log.tree) : shard.log.tree;
    const rootHash = tree.root(size);
    let checkpoint = shard.checkpoint();
    if (forgery === "split-view") checkpoint = shard.signCheckpoint(size, rootHash);
    if (forgery === "wrong-key") checkpoint = shard.signCheckpoint(size, rootHash, impostor);
    if (forgery === "stale-checkpoint") checkpoint = shard.signCheckpoint(index, shard.log.tree.root(index));
    const hashes = tree.inclusionProof(index, size);
    if (forgery === "wrong-proof") {
      if (hashes[0] === undefined) hashes.push(new Uint8Array(32));
      else hashes[0] = hashes[0].map((byte) => byte ^ 0xff);
    }
    const body = encodeBase64(shard.log.leaf(index).bytes);
    const { integratedTime } = shard.note(index);
    const logIndex = offsetOf(shard) + index;
    return {
      [shard.entryId(index)]: {
        body,
        integratedTime,
        logID: encodeHex(shard.logId),
        logIndex,
        verification: {
          inclusionProof: {
            checkpoint,
            hashes: hashes.map(encodeHex),
            logIndex: index,
            rootHash: encodeHex(rootHash),
            treeSize: size,
          },
          signedEntryTimestamp: shard.signPromise(body, integratedTime, logIndex, impostor),
        },
      },
    };
  }

  function forkOf(shard: Shard): ForkedTree {
    const fork = forks.get(shard) ?? new ForkedTree();
    forks.set(shard, fork);
    return fork;
  }

  /** Finds an entry by its index over all shards. */
  function byIndex(logIndex: number): { readonly shard: Shard; readonly index: number } | undefined {
    let index = logIndex;
    for (const shard of shards) {
      if (index < shard.log.size) return { shard, index };
      index -= shard.log.size;
    }
    return undefined;
  }

  /** Finds an entry by its id, or by its leaf hash alone. */
  function byId(id: string): { readonly shard: Shard; readonly index: number } | undefined {
    const leafHash = tryDecodeHex(id.slice(-64)) ?? new Uint8Array(0);
    const treeId = id.length === 80 ? `${BigInt(`0x${id.slice(0, 16)}`)}` : undefined;
    for (const shard of shards.toReversed()) {
      const index = treeId === undefined || treeId === shard.treeId ? shard.log.find(leafHash) : undefined;
      if (index !== undefined) return { shard, index };
    }
    return undefined;
  }

  async function answerFound(c: Context, found: ReturnType<typeof byId>): Promise<Response> {
    c.header("Cache-Control", "no-cache, no-store, max-age=0, must-revalidate, value");
    return found === undefined ? c.body(null, 404) : c.json(await describe(found.shard, found.index));
  }

  // ---- HTTP

  const app = new Hono().basePath(url.pathname);
  const base = `${url.pathname.replace(/\/$/, "")}/api/v1/log/entries`;

  app.onError((error) => {
    if (!(error instanceof ApiError)) throw error;
    return Response.json({ code: error.code, message: error.message }, { status: error.status });
  });

  app.post("/api/v1/log/entries", async (c) => {
    const accepted = await acceptEntry(await readJson(c, "proposedEntry"), crypto);
    const { shard, index, isNew } = await sequencer.add(accepted);
    const entryId = shard.entryId(index);
    if (!isNew) {
      const message = `an equivalent entry already exists in the transparency log with UUID ${entryId}`;
      return c.json({ code: 409, message }, 409, { Location: `${base}/${entryId}` });
    }
    const answer = await describe(shard, index);
    const [id = entryId] = Object.keys(answer);
    return c.json(answer, 201, { ETag: id, Location: `${base}/${id}` });
  });

  app.get("/api/v1/log/entries", async (c) =>
    answerFound(c, byIndex(readInteger(c, "logIndex", 0) ?? missing("logIndex in query is required"))),
  );

  app.post("/api/v1/log/entries/retrieve", async (c) => {
    const query = objectOf(await readJson(c, "entry"));
    const ids = listIn(query, "entryUUIDs");
    const indexes = listIn(query, "logIndexes");
    const entries = listIn(query, "entries");
    for (const [at, id] of ids.entries())
      if (typeof id !== "string" || !ENTRY_ID.test(id))
        throw new ApiError(RULE.pattern, `entryUUIDs.${at} in body should match '${ENTRY_ID.source}'`);
    for (const [at, index] of indexes.entries())
      if (typeof index !== "number" || !Number.isInteger(index) || index < 0)
        throw new ApiError(RULE.minimum, `logIndexes.${at} in body should be greater than or equal to 0`);
    if (ids.length + indexes.length + entries.length > MAX_QUERIES)
      throw new ApiError(422, `more than max allowed ${MAX_QUERIES} entries in request`);
    const found = ids.map((id) => byId(id as string));
    for (const entry of entries) {
      const leafHash = hashLeaf((await acceptEntry(entry, crypto)).body);
      found.push(byId(encodeHex(leafHash)));
    }
    found.push(...indexes.map((index) => byIndex(index as number)));
    const answers: JsonObject[] = [];
    for (const one of found) if (one !== undefined) answers.push(await describe(one.shard, one.index));
    return c.json(answers);
  });

  app.get("/api/v1/log/entries/:id", async (c) => {
    const id = c.req.param("id");
    if (!ENTRY_ID.test(id)) throw new ApiError(RULE.pattern, `entryUUID in path should match '${ENTRY_ID.source}'`);
    return await answerFound(c, byId(id));
  });

  app.get("/api/v1/log", async (c) => {
    const forgery = context.forgery();
    const shard = active();
    const { size } = shard.log;
    const forged = forgery === "split-view" ? forkOf(shard).upTo(shard.log.tree).root(size) : undefined;
    const stale = forgery === "stale-checkpoint" ? Math.max(size - 1, 0) : undefined;
    return c.json({
      ...headOf(shard),
      ...(forged !== undefined && {
        rootHash: encodeHex(forged),
        signedTreeHead: shard.signCheckpoint(size, forged),
      }),
      ...(stale !== undefined && { signedTreeHead: shard.signCheckpoint(stale, shard.log.tree.root(stale)) }),
      ...(forgery === "wrong-key" && {
        signedTreeHead: shard.signCheckpoint(size, shard.log.tree.root(), await foreign()),
      }),
      inactiveShards: shards.length === 1 ? null : shards.slice(0, -1).map(headOf),
    });
  });

  app.get("/api/v1/log/publicKey", (c) => {
    const treeId = c.req.query("treeID") ?? "";
    if (!/^[0-9]*$/.test(treeId)) throw new ApiError(RULE.pattern, "treeID in query should match '^[0-9]+$'");
    const shard = treeId === "" ? active() : shards.find((one) => one.treeId === treeId);
    if (shard === undefined)
      return c.body(`${JSON.stringify({ code: 400, message: "Bad Request" })}\n`, 400, { "content-type": PEM_FILE });
    return c.body(encodePem("PUBLIC KEY", shard.key.publicKey.spki), 200, { "content-type": PEM_FILE });
  });

  app.get("/api/v1/log/proof", (c) => {
    const last = readInteger(c, "lastSize", 1) ?? missing("lastSize in query is required");
    const first = readInteger(c, "firstSize", 1) ?? 1;
    const treeId = c.req.query("treeID") ?? "";
    if (!/^[0-9]*$/.test(treeId)) throw new ApiError(RULE.pattern, "treeID in query should match '^[0-9]+$'");
    if (first > last) throw new ApiError(400, `firstSize(${first}) must be less than lastSize(${last})`);
    const shard = treeId === "" ? active() : shards.find((one) => one.treeId === treeId);
    if (shard === undefined) throw new ApiError(400, `no log range found for tree ID ${treeId}`);
    const { size, tree } = shard.log;
    if (last > size) {
      throw new ApiError(
        400,
        `the tree size requested(${last}) was greater than what is currently observable(${size})`,
      );
    }
    const shown = context.forgery() === "split-view" ? forkOf(shard).upTo(tree) : tree;
    return c.json({
      hashes: shown.consistencyProof(first, last).map(encodeHex),
      rootHash: encodeHex(shown.root(size)),
    });
  });

  app.post("/api/v1/index/retrieve", async (c) => {
    const { keys, operator } = parseIndexQuery(objectOf(await readJson(c, "query")));
    const found = searchIndex.find(keys, operator).map((index) => byIndex(index));
    return c.json(found.flatMap((one) => (one === undefined ? [] : [one.shard.entryId(one.index)])));
  });

  app.get("/ping", (c) => c.text("."));
  for (const [path, methods] of Object.entries(METHODS)) {
    app.all(path, (c) => {
      const message = `method ${c.req.method} is not allowed, but [${methods.join(",")}] are`;
      return c.json({ code: 405, message }, 405, { Allow: methods.join(",") });
    });
  }
  app.notFound((c) => {
    const path = new URL(c.req.url).pathname;
    return c.json({ code: 404, message: `path ${path} was not found` }, 404);
  });

  return {
    fetch: (request) => app.fetch(request),
    get size() {
      return sizeOf(shards);
    },
    listings: () =>
      shards.map((shard, at) => {
        const { start, end } = records[at] as ShardRecord;
        return {
          baseUrl: context.url,
          origin: shard.origin,
          publicKey: shard.key.publicKey,
          keyDetails: "PKIX_ECDSA_P256_SHA_256",
          logId: shard.logId,
          start: new Date(start),
          ...(end !== undefined && { end: new Date(end) }),
        };
      }),
    async rotate() {
      await sequencer.settled();
      const next = newRecord();
      await openShard(next);
      records = [
        ...records.slice(0, -1),
        ...records.slice(-1).map(({ treeId, start }) => ({ treeId, start, end: next.start })),
        next,
      ];
      writeRecords();
      treeHeads.length = 0;
    },
    get checkpoint() {
      return active().checkpoint();
    },
    recentEntries(limit = 20) {
      const size = sizeOf(shards);
      return Array.from({ length: Math.min(limit, size) }, (_, at) => {
        const { shard, index } = byIndex(size - 1 - at) as { shard: Shard; index: number };
        return {
          index: size - 1 - at,
          time: new Date(shard.note(index).integratedTime * 1000),
          body: shard.log.leaf(index).bytes,
          leafHash: shard.log.tree.node(0, index),
        };
      });
    },
    treeHeads,
  };
}

/** The methods of each path, for those who use another. */
const METHODS: Readonly<Record<string, readonly string[]>> = {
  "/api/v1/log/entries": ["GET", "POST"],
  "/api/v1/log/entries/retrieve": ["POST"],
  "/api/v1/log/entries/:id": ["GET"],
  "/api/v1/log": ["GET"],
  "/api/v1/log/publicKey": ["GET"],
  "/api/v1/log/proof": ["GET"],
  "/api/v1/index/retrieve": ["POST"],
};

function headOf(shard: Shard): JsonObject {
  return {
    rootHash: encodeHex(shard.log.tree.root()),
    signedTreeHead: shard.checkpoint(),
    treeID: shard.treeId,
    treeSize: shard.log.size,
  };
}

function sizeOf(shards: readonly Shard[]): number {
  return shards.reduce((size, { log }) => size + log.size, 0);
}

async function readJson(c: Context, name: string): Promise<JsonValue> {
  const type = c.req.header("content-type") ?? "";
  if (!/^application\/json *(?:;|$)/i.test(type)) {
    throw new ApiError(415, `unsupported media type ${JSON.stringify(type)}, only [application/json] are allowed`);
  }
  const bytes = await readBody(c.req.raw, MAX_SANDBOX_REQUEST_BYTES);
  if (bytes === undefined) throw new ApiError(413, "Request Entity Too Large");
  if (bytes.length === 0) throw new ApiError(RULE.required, `${name} in body is required`);
  try {
    return parseJson(bytes, { what: "body", code: "JSON_MALFORMED", maxBytes: MAX_SANDBOX_REQUEST_BYTES });
  } catch (error) {
    if (!(error instanceof SigstoreError)) throw error;
    // Of a proposed entry, the framework reads the kind before it looks for faults of the client: its own errors come through.
    if (name === "proposedEntry") throw new ApiError(500, error.message);
    throw new ApiError(400, `parsing ${name} body from "" failed, because ${error.message}`);
  }
}

function readInteger(c: Context, name: string, minimum: number): number | undefined {
  const text = c.req.query(name);
  if (text === undefined || text === "") return undefined;
  const value = Number(text);
  if (!/^[+-]?[0-9]+$/.test(text) || !Number.isSafeInteger(value))
    throw new ApiError(RULE.type, `${name} in query must be of type int64: ${JSON.stringify(text)}`);
  if (value < minimum)
    throw new ApiError(RULE.minimum, `${name} in query should be greater than or equal to ${minimum}`);
  return value;
}

function missing(message: string): never {
  throw new ApiError(RULE.required, message);
}

function objectOf(value: JsonValue): JsonObject {
  if (typeof value === "object" && value !== null && !Array.isArray(value)) return value as JsonObject;
  throw new ApiError(400, "parsing body failed, because it is no object");
}

function listIn(query: JsonObject, name: string): readonly JsonValue[] {
  const value = query[name];
  if (value === undefined || value === null) return [];
  if (!Array.isArray(value)) throw new ApiError(400, `parsing body failed, because ${name} is no array`);
  if (value.length === 0) throw new ApiError(RULE.minItems, `${name} in body should have at least 1 items`);
  if (value.length > MAX_QUERIES)
    throw new ApiError(RULE.maxItems, `${name} in body should have at most ${MAX_QUERIES} items`);
  return value as readonly JsonValue[];
}

function decoyProposal(): JsonValue {
  const { digest, signature, verifier } = decoyRequest();
  const pem = Buffer.from(encodePem("PUBLIC KEY", verifier.der)).toString("base64");
  return {
    apiVersion: "0.0.1",
    kind: "hashedrekord",
    spec: {
      data: { hash: { algorithm: "sha256", value: encodeHex(digest) } },
      signature: { content: encodeBase64(signature), publicKey: { content: pem } },
    },
  };
}

function lazy<T>(make: () => Promise<T>): () => Promise<T> {
  let made: Promise<T> | undefined;
  return () => (made ??= make());
}
