/**
 * What logs are asked for and answer: from bundles that the real cosign made with real logs, and from logs that tests make.
 *
 * @module
 */

import { hash } from "node:crypto";
import { parseBundle } from "../../src/bundle/bundle.ts";
import type { ProposedEntry } from "../../src/rekor/proposed-entry.ts";
import type { TransparencyLogEntry } from "../../src/tlog/transparency-log-entry.ts";
import { bytesAnswer, json, type Asked } from "./http.ts";
import { base64, sha256, treeHash } from "./logs.ts";
import { realBytes, realCase } from "./real.ts";

export interface RealEntry {
  /** What cosign must have asked for. */
  readonly proposed: ProposedEntry;
  /** What the log made of it. */
  readonly logged: TransparencyLogEntry;
  /** The same in proto-JSON, as the log answered. */
  readonly loggedJson: unknown;
}

/** Takes a bundle apart. */
export function realEntry(name: string): RealEntry {
  const text = Buffer.from(realBytes(realCase(name).bundle)).toString();
  const bundle = parseBundle(text);
  const material = (JSON.parse(text) as { verificationMaterial: { tlogEntries: unknown[] } }).verificationMaterial;
  const [logged] = bundle.verificationMaterial.tlogEntries;
  if (logged === undefined) throw new Error(`${name} has no log entry`);
  const certificate = Buffer.from(
    (material as unknown as { certificate: { rawBytes: string } }).certificate.rawBytes,
    "base64",
  );
  const signer = {
    verifier: { kind: "certificate", der: new Uint8Array(certificate) },
    keyDetails: "PKIX_ECDSA_P256_SHA_256",
  } as const;
  const content = bundle.content;
  const proposed: ProposedEntry =
    content.kind === "messageSignature"
      ? {
          ...signer,
          kind: "hashedrekord",
          digest: { algorithm: "sha256", value: sha256(realBytes(realCase(name).artifact)) },
          signature: content.signature,
        }
      : { ...signer, kind: "dsse", envelope: content.envelope };
  return { proposed, logged, loggedJson: material.tlogEntries[0] };
}

export const hex = (data: Uint8Array): string => Buffer.from(data).toString("hex");
export const leafHashOf = (body: Uint8Array): Uint8Array => sha256(Uint8Array.of(0), body);

/** Gives the id of an entry in a tree. */
export const entryIdOf = (entry: TransparencyLogEntry, treeId = "108e9186e8c5677a"): string =>
  treeId + hex(leafHashOf(entry.canonicalizedBody));

/** Writes one entry as Rekor v1 answers it, by its id. */
export function entryJsonV1(entry: TransparencyLogEntry): Record<string, unknown> {
  const { inclusionProof: proof } = entry;
  return {
    body: base64(entry.canonicalizedBody),
    integratedTime: Number(entry.integratedTime),
    logID: hex(entry.logId),
    logIndex: Number(entry.logIndex),
    verification: {
      ...(entry.inclusionPromise !== undefined && { signedEntryTimestamp: base64(entry.inclusionPromise) }),
      ...(proof !== undefined && {
        inclusionProof: {
          checkpoint: proof.checkpoint,
          hashes: proof.hashes.map(hex),
          logIndex: Number(proof.logIndex),
          rootHash: hex(proof.rootHash),
          treeSize: Number(proof.treeSize),
        },
      }),
    },
  };
}

export const answerV1 = (entry: TransparencyLogEntry, status = 201): Response =>
  json({ [entryIdOf(entry)]: entryJsonV1(entry) }, status);

/** Answers requests for the tiles of a tree with these leaf hashes, as C2SP tlog-tiles has it; `undefined` for any other request. */
export function tileAnswer({ url }: Pick<Asked, "url">, leaves: readonly Uint8Array[]): Response | undefined {
  const match = /\/tile\/(\d+)\/((?:x\d{3}\/)*\d{3})(?:\.p\/(\d+))?$/.exec(url);
  if (match === null) return undefined;
  const [, level = "", path = "", width = "256"] = match;
  const span = 256 ** Number(level);
  const first = Number(path.replaceAll(/[x/]/g, "")) * 256;
  const count = Math.min(256, Math.floor(leaves.length / span) - first);
  if (count < Number(width)) return bytesAnswer("no such tile", 404, "text/plain");
  const hashes = Array.from({ length: Number(width) }, (_, at) => {
    const begin = (first + at) * span;
    return hashOfHashes(leaves.slice(begin, begin + span));
  });
  return bytesAnswer(Buffer.concat(hashes));
}

/** MTH of RFC 6962 §2.1 over leaves that are hashed already. */
export function hashOfHashes(leaves: readonly Uint8Array[]): Uint8Array {
  const [first] = leaves;
  if (first === undefined) return treeHash([]);
  if (leaves.length === 1) return first;
  let k = 1;
  while (k * 2 < leaves.length) k *= 2;
  const node = Buffer.concat([Uint8Array.of(1), hashOfHashes(leaves.slice(0, k)), hashOfHashes(leaves.slice(k))]);
  return new Uint8Array(hash("sha256", node, "buffer"));
}

/** PATH of RFC 6962 §2.1.1 over leaves that are hashed already. */
export function pathOfHashes(m: number, leaves: readonly Uint8Array[]): readonly Uint8Array[] {
  if (leaves.length <= 1) return [];
  let k = 1;
  while (k * 2 < leaves.length) k *= 2;
  return m < k
    ? [...pathOfHashes(m, leaves.slice(0, k)), hashOfHashes(leaves.slice(k))]
    : [...pathOfHashes(m - k, leaves.slice(k)), hashOfHashes(leaves.slice(0, k))];
}
