/**
 * A certificate transparency log (RFC 6962), in memory over a store.
 *
 * @module
 */

import { createPublicKey, hash, sign, type KeyObject } from "node:crypto";
import { Hono, type Context } from "hono";
import { tryDecodeBase64 } from "../../encoding/base64.ts";
import { concatBytes } from "../../encoding/bytes.ts";
import { encodeHex } from "../../encoding/hex.ts";
import { MAX_IDENTITY_REQUEST_BYTES } from "../../limits.ts";
import type { SignedCertificateTimestamp } from "../../x509/sct.ts";
import { hashLeaf, MerkleTree } from "../merkle-tree.ts";
import { readBody } from "../request-body.ts";
import type { SandboxService, ServiceContext } from "../service.ts";
import { newPrivateKey, storedKey } from "../stored-key.ts";
import {
  encodeCertificateLeaf,
  encodeEcdsaSignature,
  encodePrecertificateLeaf,
  encodeTreeHead,
  sctToJson,
} from "./log-entry.ts";
import { ChainRefusal, checkSubmittedChain } from "./submitted-chain.ts";
import { encodeVector, splitVector } from "./tls-vector.ts";

/** What the log answers wrongly: `wrong-key` signs with a key that is not the log's, under the log's own id. */
export const CT_LOG_FORGERIES = ["wrong-key"] as const;

/** Is where an authority puts what it issues. */
export interface CertificateLog {
  /** Lets chains end in this root, from now on. */
  acceptRoot(root: Uint8Array): void;
  /**
   * Logs a certificate.
   *
   * @param chain - DER, the certificate first; the root may be left out.
   * @throws {@link ChainRefusal} when the log does not take it.
   */
  addChain(chain: readonly Uint8Array[]): Promise<SignedCertificateTimestamp>;
  /** Logs a precertificate, as {@link addChain}. */
  addPreChain(chain: readonly Uint8Array[]): Promise<SignedCertificateTimestamp>;
}

/** Is a certificate transparency log of the sandbox. */
export interface CtLog extends SandboxService, CertificateLog {
  /** SubjectPublicKeyInfo, DER. */
  readonly publicKey: Uint8Array;
  /** SHA-256 of {@link publicKey}. */
  readonly logId: Uint8Array;
  /** How many entries there are. */
  readonly size: number;
}

interface Entry {
  readonly leafInput: Uint8Array;
  readonly extraData: Uint8Array;
}

/** How many entries one answer has at most, as in other logs. */
const MAX_ENTRIES_IN_ANSWER = 1000;

/**
 * Opens the log that the store holds, or begins one. An entry is in the tree before its SCT is given away.
 *
 * @see RFC 6962
 */
export async function createCtLog(context: ServiceContext): Promise<CtLog> {
  const { store } = context;
  const key = await storedKey(store, "key.pem", "p256");
  const publicKey = new Uint8Array(createPublicKey(key).export({ type: "spki", format: "der" }));
  const logId = new Uint8Array(hash("sha256", publicKey, "buffer"));
  let foreignKey: Promise<KeyObject> | undefined;

  const tree = new MerkleTree();
  const entries: Entry[] = [];
  const indexByLeaf = new Map<string, number>();
  const indexByCertificate = new Map<string, number>();
  const roots = new Map<string, Uint8Array>();

  for (const record of store.records("entries")) {
    const [leafInput, rest] = splitVector(3, record);
    const [extraData, fingerprint] = splitVector(3, rest);
    keep({ leafInput, extraData }, fingerprint);
  }

  function keep(entry: Entry, fingerprint: Uint8Array): void {
    const leaf = hashLeaf(entry.leafInput);
    const index = tree.append(leaf);
    entries.push(entry);
    indexByCertificate.set(encodeHex(fingerprint), index);
    indexByLeaf.set(encodeHex(leaf), index);
  }

  async function signed(data: Uint8Array): Promise<Uint8Array> {
    const signer = context.forgery() === "wrong-key" ? await (foreignKey ??= newPrivateKey("p256")) : key;
    return new Uint8Array(sign("sha256", data, signer));
  }

  async function add(
    chain: readonly Uint8Array[],
    kind: "certificate" | "precertificate",
  ): Promise<SignedCertificateTimestamp> {
    const [leaf, issuer, ...rest] = checkSubmittedChain(chain, [...roots.values()], kind);
    const fingerprint = hash("sha256", leaf.bytes, "buffer");
    let index = indexByCertificate.get(encodeHex(fingerprint));
    if (index === undefined) {
      const timestampMs = BigInt(context.now().getTime());
      const issuers = encodeVector(3, ...[issuer, ...rest].map(({ bytes }) => encodeVector(3, bytes)));
      const entry =
        kind === "certificate"
          ? { leafInput: encodeCertificateLeaf(leaf.bytes, timestampMs), extraData: issuers }
          : {
              leafInput: encodePrecertificateLeaf(leaf.bytes, issuer.subjectPublicKeyInfo, timestampMs),
              extraData: concatBytes(encodeVector(3, leaf.bytes), issuers),
            };
      store.append(
        "entries",
        concatBytes(encodeVector(3, entry.leafInput), encodeVector(3, entry.extraData), fingerprint),
      );
      index = entries.length;
      keep(entry, fingerprint);
    }
    // §3: a certificate that is logged already may get the SCT it got; its time is part of the leaf.
    const { leafInput } = entries[index] as Entry;
    const timestampMs = new DataView(leafInput.buffer, leafInput.byteOffset).getBigUint64(2);
    return {
      logId,
      timestamp: new Date(Number(timestampMs)),
      timestampMs,
      extensions: new Uint8Array(0),
      hashAlgorithm: 4,
      signatureAlgorithm: 3,
      signature: await signed(leafInput),
    };
  }

  const log: CertificateLog = {
    acceptRoot: (root) => void roots.set(encodeHex(hash("sha256", root, "buffer")), root),
    addChain: (chain) => add(chain, "certificate"),
    addPreChain: (chain) => add(chain, "precertificate"),
  };

  const submit = (kind: "certificate" | "precertificate") => async (c: Context) => {
    const chain = await readChain(c.req.raw);
    if (typeof chain === "string") return refuse(c, 400, `failed to parse add-chain body: ${chain}`);
    try {
      return c.json(sctToJson(await add(chain, kind)));
    } catch (error) {
      if (!(error instanceof ChainRefusal)) throw error;
      return refuse(c, 400, `failed to verify add-chain contents: chain failed to verify: ${error.message}`);
    }
  };

  const app = new Hono().basePath(new URL(context.url).pathname);
  app.post("/ct/v1/add-chain", submit("certificate"));
  app.post("/ct/v1/add-pre-chain", submit("precertificate"));

  app.get("/ct/v1/get-sth", async (c) => {
    const timestampMs = BigInt(context.now().getTime());
    const root = tree.root();
    const signature = await signed(encodeTreeHead(timestampMs, tree.size, root));
    return c.json({
      tree_size: tree.size,
      timestamp: Number(timestampMs),
      sha256_root_hash: base64(root),
      tree_head_signature: base64(encodeEcdsaSignature(signature)),
    });
  });

  app.get("/ct/v1/get-sth-consistency", (c) => {
    const first = readIndex(c.req.query("first"));
    const second = readIndex(c.req.query("second"));
    if (first === undefined || second === undefined)
      return refuse(c, 400, "failed to parse consistency range: parameters 'first' and 'second' are required");
    if (second < first)
      return refuse(c, 400, `failed to parse consistency range: invalid first, second params: ${first} ${second}`);
    if (second > tree.size) return refuse(c, 400, `need tree size: ${second} for proof but only got: ${tree.size}`);
    return c.json({ consistency: tree.consistencyProof(first, second).map(base64) });
  });

  app.get("/ct/v1/get-proof-by-hash", (c) => {
    const leaf = tryDecodeBase64(c.req.query("hash") ?? "");
    if (leaf?.length !== 32) return refuse(c, 400, "get-proof-by-hash: missing or invalid hash");
    const size = readIndex(c.req.query("tree_size"));
    if (size === undefined || size < 1) return refuse(c, 400, "get-proof-by-hash: missing or invalid tree_size");
    if (size > tree.size) return refuse(c, 404, `log returned tree size: ${tree.size} but we expected: ${size}`);
    const index = indexByLeaf.get(encodeHex(leaf));
    if (index === undefined || index >= size)
      return refuse(c, 404, "get-proof-by-hash: backend did not return a proof");
    return c.json({ leaf_index: index, audit_path: tree.inclusionProof(index, size).map(base64) });
  });

  app.get("/ct/v1/get-entries", (c) => {
    const start = readIndex(c.req.query("start"));
    const end = readIndex(c.req.query("end"));
    if (start === undefined || end === undefined || start > end)
      return refuse(c, 400, "bad range on get-entries request: start and end are not a valid range");
    if (start >= tree.size)
      return refuse(c, 400, `need tree size: ${start + 1} to get leaves but only got: ${tree.size}`);
    const found = entries.slice(start, Math.min(end + 1, start + MAX_ENTRIES_IN_ANSWER));
    return c.json({
      entries: found.map((entry) => ({ leaf_input: base64(entry.leafInput), extra_data: base64(entry.extraData) })),
    });
  });

  app.get("/ct/v1/get-entry-and-proof", (c) => {
    const index = readIndex(c.req.query("leaf_index"));
    const size = readIndex(c.req.query("tree_size"));
    if (index === undefined || size === undefined || index >= size)
      return refuse(c, 400, "failed to parse get-entry-and-proof params: leaf_index is not below tree_size");
    const entry = entries[index];
    if (size > tree.size || entry === undefined)
      return refuse(c, 400, `need tree size: ${size} for proof but only got: ${tree.size}`);
    return c.json({
      leaf_input: base64(entry.leafInput),
      extra_data: base64(entry.extraData),
      audit_path: tree.inclusionProof(index, size).map(base64),
    });
  });

  // As text: other logs say so, too
  app.get("/ct/v1/get-roots", (c) => c.text(`${JSON.stringify({ certificates: [...roots.values()].map(base64) })}\n`));

  app.all(
    "/ct/v1/:endpoint{add-chain|add-pre-chain|get-sth|get-sth-consistency|get-proof-by-hash|get-entries|get-entry-and-proof|get-roots}",
    (c) => refuse(c, 405, `method not allowed: ${c.req.method}`),
  );
  app.notFound((c) => c.body(null, 404));
  app.onError((error, c) => refuse(c, 500, error.message));

  return {
    ...log,
    publicKey,
    logId,
    get size() {
      return tree.size;
    },
    fetch: (request) => app.fetch(request),
  };
}

/** @returns What is wrong with it, where it is no `{"chain": [base64, …]}`. */
async function readChain(request: Request): Promise<readonly Uint8Array[] | string> {
  const body = await readBody(request, MAX_IDENTITY_REQUEST_BYTES);
  if (body === undefined) return "request body too large";
  let value: unknown;
  try {
    value = JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(body));
  } catch {
    return "body is not JSON";
  }
  const chain = typeof value === "object" && value !== null && "chain" in value ? value.chain : undefined;
  if (!Array.isArray(chain) || chain.length === 0) return "cert chain was empty";
  const certificates: Uint8Array[] = [];
  for (const item of chain as unknown[]) {
    const certificate = typeof item === "string" ? tryDecodeBase64(item) : undefined;
    if (certificate === undefined) return "chain holds something other than base64";
    certificates.push(certificate);
  }
  return certificates;
}

function readIndex(text: string | undefined): number | undefined {
  if (text === undefined || !/^[0-9]{1,15}$/.test(text)) return undefined;
  return Number(text);
}

function refuse(c: Context, status: 400 | 404 | 405 | 500, detail: string): Response {
  const title = { 400: "Bad Request", 404: "Not Found", 405: "Method Not Allowed", 500: "Internal Server Error" }[
    status
  ];
  return c.text(`${title}\n${detail}\n`, status);
}

function base64(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString("base64");
}
