/**
 * Rekor v2: a transparency log that is read as tiles, and written one entry at a time.
 *
 * @module
 */

import { Hono, type Context } from "hono";
import { defaultCryptoProvider } from "../../crypto/provider.ts";
import { encodeBase64 } from "../../encoding/base64.ts";
import type { JsonObject } from "../../encoding/json.ts";
import { MAX_REKOR_V2_REQUEST_BYTES, MAX_SANDBOX_RECORDS } from "../../limits.ts";
import { ForkedTree } from "../forked-tree.ts";
import { LeafLog } from "../leaf-log.ts";
import type { LoggedEntry, LoggedTreeHead, LogListing } from "../log-listing.ts";
import { hashLeaf, type MerkleTree } from "../merkle-tree.ts";
import { createNoteSigner, impersonate } from "../note-signer.ts";
import { readBody } from "../request-body.ts";
import { Sequencer } from "../sequencer.ts";
import type { SandboxService, ServiceContext } from "../service.ts";
import { newSigningKey, storedSigningKey } from "../signing-key.ts";
import { createWitness, type Witness } from "../witness.ts";
import { CheckpointPublisher, type PublishedCheckpoint } from "./checkpoint-publisher.ts";
import { decoyRequest } from "./decoy.ts";
import { createEntryBody, InvalidEntryError, parseEntryRequest } from "./entry-request.ts";
import { ProtoJsonError } from "./proto-request.ts";
import { tryParseTilePath, tryReadTile } from "./tiles.ts";

/**
 * What the log answers wrongly: `wrong-key` signs checkpoints with a key that is not the log's, `other-entry` gives somebody else's
 * entry, `wrong-proof` a proof that leads elsewhere, `stale-checkpoint` one from before the entry, `split-view` a tree with another
 * history.
 */
export const REKOR_V2_FORGERIES = [
  "wrong-key",
  "other-entry",
  "wrong-proof",
  "stale-checkpoint",
  "split-view",
] as const;

/** Says how a log of the sandbox works. */
export interface RekorV2Options {
  /**
   * The name of the log in its checkpoints. Default: the host of its URL, without the port, as the clients of the real service expect.
   * No two logs with the same witnesses may have the same.
   */
  readonly origin?: string;
  /** The least time between one checkpoint and the next; an entry after a longer pause does not wait. Default 20. */
  readonly batchDelayMs?: number;
  /** Those who cosign each checkpoint, or how many of its own the log is to have. Default none. */
  readonly witnesses?: readonly Witness[] | number;
}

/** Is a log of the sandbox. */
export interface RekorV2 extends SandboxService {
  readonly size: number;
  /** Tells what to trust. */
  listing(): LogListing;
  /** The verifier keys of the log's witnesses. */
  readonly witnessKeys: readonly string[];
  /** The latest checkpoint. */
  readonly checkpoint: string;
  /** Takes no further entries. A next shard is another log, with a store and an origin of its own. */
  freeze(): Promise<void>;
  /** Lists entries, the latest first. */
  recentEntries(limit?: number): readonly LoggedEntry[];
  /** Lists what was published since the log was opened, the latest first. */
  readonly treeHeads: readonly LoggedTreeHead[];
}

/** A batch that waits for no delay; more would make the answers of one batch slow. */
const MAX_BATCH = 256;
/** The length of an entry in a bundle has 16 bits. */
const MAX_ENTRY_BYTES = 0xffff;

interface Integrated {
  readonly index: number;
  readonly checkpoint: PublishedCheckpoint;
  readonly before: PublishedCheckpoint;
}

/**
 * Opens the log that the store holds, or begins one.
 *
 * @see rekor-v2-spec; {@link https://c2sp.org/tlog-tiles | C2SP tlog-tiles}
 */
export async function createRekorV2(context: ServiceContext, options: RekorV2Options = {}): Promise<RekorV2> {
  const { store } = context;
  const crypto = defaultCryptoProvider();
  const url = new URL(context.url);
  const origin = options.origin ?? url.hostname;
  const key = await storedSigningKey(store, "key.pem", "ed25519");
  const signer = createNoteSigner(origin, key);
  const period = readPeriod(context);
  const witnesses = await witnessesOf(context, options.witnesses ?? 0, origin);
  for (const witness of witnesses) witness.addLog(origin, key.publicKey);

  const log = new LeafLog(store);
  const publisher = new CheckpointPublisher(signer, witnesses);
  const treeHeads: LoggedTreeHead[] = [];
  let latest = await publish();
  let before = latest;

  /** Entries that are on their way into the log. */
  const arriving = new Map<string, Promise<Integrated>>();
  const sequencer = new Sequencer<{ readonly body: Uint8Array; readonly leafHash: Uint8Array }, Integrated>({
    delayMs: options.batchDelayMs ?? 20,
    maxBatch: MAX_BATCH,
    async integrate(items) {
      const note = `${context.now().getTime()}`;
      const first = log.append(items.map(({ body, leafHash }) => ({ bytes: body, hash: leafHash, note })));
      before = latest;
      latest = await publish();
      return items.map((_, at) => ({ index: first + at, checkpoint: latest, before }));
    },
  });

  async function publish(): Promise<PublishedCheckpoint> {
    const extensions = period.end === undefined ? [] : [`Log frozen — ${unixDate(period.end)}`];
    const checkpoint = await publisher.publish(log.tree, extensions);
    treeHeads.unshift({ size: checkpoint.size, rootHash: checkpoint.rootHash, time: context.now() });
    if (treeHeads.length > MAX_SANDBOX_RECORDS) treeHeads.pop();
    return checkpoint;
  }

  /** @returns the index where the log has the entry already. */
  async function add(body: Uint8Array): Promise<Integrated | number> {
    const leafHash = hashLeaf(body);
    const known = log.find(leafHash);
    const name = encodeBase64(leafHash);
    const other = arriving.get(name);
    if (other !== undefined) return (await other).index;
    if (known !== undefined) return known;
    const integrated = sequencer.add({ body, leafHash });
    arriving.set(name, integrated);
    try {
      return await integrated;
    } finally {
      arriving.delete(name);
    }
  }

  // ---- what a forged answer is made of

  const foreign = lazy(async () => impersonate(signer, await newSigningKey("ed25519")));
  const fork = new ForkedTree();
  const decoy = lazy(async () => {
    const added = await add(await createEntryBody(decoyRequest(), crypto));
    return typeof added === "number" ? added : added.index;
  });

  async function checkpointToShow(forgery: string | undefined): Promise<PublishedCheckpoint> {
    if (forgery === "wrong-key") return await new CheckpointPublisher(await foreign(), []).publish(log.tree);
    if (forgery === "split-view") return await new CheckpointPublisher(signer, witnesses).publish(fork.upTo(log.tree));
    return forgery === "stale-checkpoint" ? before : latest;
  }

  async function answer(integrated: Integrated): Promise<JsonObject> {
    const forgery = context.forgery();
    const index = forgery === "other-entry" ? await decoy() : integrated.index;
    const isOfBatch = forgery === undefined || forgery === "wrong-proof" || forgery === "stale-checkpoint";
    const checkpoint = isOfBatch ? integrated.checkpoint : await checkpointToShow(forgery);
    const { note } = forgery === "stale-checkpoint" ? integrated.before : checkpoint;
    const tree: MerkleTree = forgery === "split-view" ? fork.upTo(log.tree) : log.tree;
    const hashes = tree.inclusionProof(index, checkpoint.size);
    if (forgery === "wrong-proof") {
      if (hashes[0] === undefined) hashes.push(new Uint8Array(32));
      else hashes[0] = hashes[0].map((byte) => byte ^ 0xff);
    }
    // The gateway writes every field, also those that are zero or unset.
    const logIndex = `${index}`;
    return {
      logIndex,
      logId: { keyId: encodeBase64(signer.keyHash) },
      kindVersion: { kind: "hashedrekord", version: "0.0.2" },
      integratedTime: "0",
      inclusionPromise: null,
      inclusionProof: {
        logIndex,
        rootHash: encodeBase64(checkpoint.rootHash),
        treeSize: `${checkpoint.size}`,
        hashes: hashes.map(encodeBase64),
        checkpoint: { envelope: note },
      },
      canonicalizedBody: encodeBase64(log.leaf(index).bytes),
    };
  }

  // ---- HTTP

  const app = new Hono().basePath(url.pathname);

  app.post("/api/v2/log/entries", async (c) => {
    const bytes = await readBody(c.req.raw, MAX_REKOR_V2_REQUEST_BYTES);
    if (bytes === undefined) return refuse(c, 400, 3, "http: request body too large");
    try {
      const body = await createEntryBody(parseEntryRequest(bytes), crypto);
      if (period.end !== undefined) return frozen(c);
      if (body.length > MAX_ENTRY_BYTES) throw new InvalidEntryError("invalid hashedrekord request");
      const added = await add(body);
      if (typeof added !== "number") return c.json(await answer(added), 201);
      c.header("X-Log-Index", `${added}`);
      return refuse(c, 409, 6, `an equivalent entry already exists in the transparency log with index ${added}`);
    } catch (error) {
      if (error instanceof ProtoJsonError) return refuse(c, 400, 3, error.message);
      if (error instanceof InvalidEntryError)
        return period.end === undefined ? refuse(c, 400, 3, error.message) : frozen(c);
      throw error;
    }
  });

  app.get("/api/v2/checkpoint", async (c) => {
    const { note } = await checkpointToShow(context.forgery());
    return c.body(note, 200, { "content-type": "text/plain; charset=utf-8", "cache-control": "no-cache" });
  });

  app.get("/api/v2/tile/*", (c) => {
    const path = new URL(c.req.url).pathname.split("/api/v2/tile/")[1] ?? "";
    const tile = tryParseTilePath(path);
    const bytes = tile && tryReadTile(log, tile);
    if (bytes === undefined) return refuse(c, 404, 5, "Not Found");
    return c.body(new Uint8Array(bytes), 200, {
      "content-type": "application/octet-stream",
      "cache-control": "max-age=31536000, immutable",
    });
  });

  app.get("/healthz", (c) => c.json({ status: "SERVING" }));
  // What the gateway says of a method that a path does not have.
  app.all("/api/v2/log/entries", (c) => refuse(c, 501, 12, "Method Not Allowed"));
  app.notFound((c) => refuse(c, 404, 5, "Not Found"));

  return {
    fetch: (request) => app.fetch(request),
    get size() {
      return log.size;
    },
    listing() {
      return {
        baseUrl: origin === url.hostname ? context.url : `${url.protocol}//${origin}`,
        origin,
        publicKey: key.publicKey,
        keyDetails: "PKIX_ED25519",
        logId: signer.keyHash,
        start: period.start,
        ...(period.end !== undefined && { end: period.end }),
      };
    },
    witnessKeys: witnesses.map(({ vkey }) => vkey),
    get checkpoint() {
      return latest.note;
    },
    async freeze() {
      if (period.end !== undefined) return;
      period.end = context.now();
      await sequencer.settled();
      writePeriod(context, period);
      latest = await publish();
    },
    recentEntries(limit = 20) {
      const count = Math.min(limit, log.size);
      return Array.from({ length: count }, (_, at) => {
        const index = log.size - 1 - at;
        const { bytes, note } = log.leaf(index);
        return { index, time: new Date(Number(note)), body: bytes, leafHash: log.tree.node(0, index) };
      });
    },
    treeHeads,
  };
}

async function witnessesOf(
  { url, now, store }: ServiceContext,
  wanted: readonly Witness[] | number,
  origin: string,
): Promise<readonly Witness[]> {
  if (typeof wanted !== "number") return wanted;
  return await Promise.all(
    Array.from({ length: wanted }, async (_, at) => {
      const folder = `witness-${at + 1}`;
      return await createWitness({ url: `${url}/${folder}`, now, store: store.under(folder) }, `${origin}/${folder}`);
    }),
  );
}

/** When a log takes entries. */
interface Period {
  readonly start: Date;
  end?: Date;
}

const PERIOD_FILE = "period.json";

function readPeriod(context: ServiceContext): Period {
  const kept = context.store.read(PERIOD_FILE);
  if (kept !== undefined) {
    const { start, end } = JSON.parse(new TextDecoder().decode(kept)) as { start: string; end?: string };
    return { start: new Date(start), ...(end !== undefined && { end: new Date(end) }) };
  }
  const period = { start: context.now() };
  writePeriod(context, period);
  return period;
}

function writePeriod({ store }: ServiceContext, period: Period): void {
  store.write(PERIOD_FILE, new TextEncoder().encode(JSON.stringify(period)));
}

/** Writes a time as `date` does: "Tue Nov 10 23:00:00 UTC 2009". */
function unixDate(time: Date): string {
  const [day = "", date = "", month = "", year = "", clock = ""] = time.toUTCString().replace(",", "").split(" ");
  return `${day} ${month} ${`${Number(date)}`.padStart(2)} ${clock} UTC ${year}`;
}

function refuse(c: Context, status: 400 | 404 | 409 | 501, code: number, message: string): Response {
  return c.json({ code, message, details: [] }, status);
}

function frozen(c: Context): Response {
  return c.text("This log has been frozen, please switch to the latest log.\n", 405);
}

function lazy<T>(make: () => Promise<T>): () => Promise<T> {
  let made: Promise<T> | undefined;
  return () => (made ??= make());
}
