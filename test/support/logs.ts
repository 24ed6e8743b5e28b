/**
 * Makes transparency logs for tests, with node:crypto and the definitions of RFC 6962 §2.1, not with the code under test.
 *
 * @module
 */

import { createHash, generateKeyPairSync, sign, type KeyObject } from "node:crypto";
import { parsePublicKey, type PublicKey } from "../../src/crypto/public-key.ts";
import { defaultAlgorithm } from "../../src/crypto/registry.ts";
import { SigstoreError } from "../../src/errors.ts";
import type { TransparencyLogEntry } from "../../src/tlog/transparency-log-entry.ts";
import type { TransparencyLog } from "../../src/tlog/transparency-log.ts";

export const sha256 = (...parts: readonly (Uint8Array | string)[]): Uint8Array => {
  const hash = createHash("sha256");
  for (const part of parts) hash.update(part);
  return new Uint8Array(hash.digest());
};

export const base64 = (data: Uint8Array | string): string => Buffer.from(data).toString("base64");
export const unbase64 = (text: string): Uint8Array => new Uint8Array(Buffer.from(text, "base64"));
export const utf8 = (text: string): Uint8Array => new TextEncoder().encode(text);

/** Changes one bit. */
export function flip(data: Uint8Array, at: number = data.length - 1): Uint8Array {
  const changed = Uint8Array.from(data);
  changed[at] = (changed[at] ?? 0) ^ 1;
  return changed;
}

/** Says in one word how a verification ended: `accepted`, or the code of its error. */
export async function outcomeOf(verification: Promise<unknown>): Promise<string> {
  try {
    await verification;
    return "accepted";
  } catch (error) {
    if (error instanceof SigstoreError) return error.code;
    throw error;
  }
}

// ---- keys

export type KeyKind = "p256" | "p384" | "ed25519" | "rsa" | "ml-dsa-44" | "ml-dsa-65";

export interface SigningKey {
  readonly publicKey: PublicKey;
  readonly privateKey: KeyObject;
  readonly sign: (message: Uint8Array | string) => Uint8Array;
}

function generate(kind: KeyKind): { publicKey: KeyObject; privateKey: KeyObject } {
  switch (kind) {
    case "p256":
      return generateKeyPairSync("ec", { namedCurve: "P-256" });
    case "p384":
      return generateKeyPairSync("ec", { namedCurve: "P-384" });
    case "ed25519":
      return generateKeyPairSync("ed25519");
    case "rsa":
      return generateKeyPairSync("rsa", { modulusLength: 2048 });
    case "ml-dsa-44":
      return generateKeyPairSync("ml-dsa-44");
    case "ml-dsa-65":
      return generateKeyPairSync("ml-dsa-65");
  }
}

const DIGESTS: Readonly<Record<KeyKind, string | undefined>> = {
  p256: "sha256",
  p384: "sha384",
  rsa: "sha256",
  ed25519: undefined,
  "ml-dsa-44": undefined,
  "ml-dsa-65": undefined,
};

export function makeKey(kind: KeyKind): SigningKey {
  const { publicKey, privateKey } = generate(kind);
  return {
    publicKey: parsePublicKey(new Uint8Array(publicKey.export({ type: "spki", format: "der" }))),
    privateKey,
    sign: (message) => new Uint8Array(sign(DIGESTS[kind], Buffer.from(message), privateKey)),
  };
}

export interface TestLog extends TransparencyLog {
  readonly key: SigningKey;
}

export function makeLog(kind: KeyKind, baseUrl = "https://rekor.test"): TestLog {
  const key = makeKey(kind);
  return {
    baseUrl,
    logId: sha256(key.publicKey.spki),
    publicKey: key.publicKey,
    algorithm: defaultAlgorithm(key.publicKey),
    validFor: { start: new Date(0) },
    key,
  };
}

/** The key id of a Rekor v1 log. */
export const hintOf = (log: TransparencyLog): Uint8Array => sha256(log.publicKey.spki).subarray(0, 4);

/** The key id of C2SP signed-note for a signature type with a byte of its own. */
export const typedKeyId = (name: string, type: number, key: Uint8Array): Uint8Array =>
  sha256(`${name}\n`, Uint8Array.of(type), key).subarray(0, 4);

// ---- notes

export function noteLine(name: string, keyId: Uint8Array, signature: Uint8Array): string {
  return `\u2014 ${name} ${base64(Buffer.concat([keyId, signature]))}\n`;
}

export const noteOf = (text: string, ...lines: readonly string[]): string => `${text}\n${lines.join("")}`;

export const checkpointText = (
  origin: string,
  size: bigint | number,
  root: Uint8Array,
  ...extensions: readonly string[]
): string => [origin, size, base64(root), ...extensions, ""].join("\n");

/** A line as Rekor v1 makes it. */
export const lineV1 = (log: TestLog, name: string, text: string): string =>
  noteLine(name, hintOf(log), log.key.sign(text));

/** A line as Rekor v2 makes it with an Ed25519 key. */
export const lineV2 = (log: TestLog, name: string, text: string): string =>
  noteLine(name, typedKeyId(name, 1, log.publicKey.keyBytes), log.key.sign(text));

/** The message of an ML-DSA cosignature, as the specification lays it out. */
export function cosignedMessage(
  name: string,
  time: bigint,
  origin: string,
  size: bigint,
  root: Uint8Array,
): Uint8Array {
  const uint64 = (value: bigint): Buffer => {
    const bytes = Buffer.alloc(8);
    bytes.writeBigUInt64BE(value);
    return bytes;
  };
  return Buffer.concat([
    Buffer.from("737562747265652f76310a00", "hex"), // "subtree/v1\n\0"
    Buffer.of(Buffer.byteLength(name)),
    Buffer.from(name),
    uint64(time),
    Buffer.of(Buffer.byteLength(origin)),
    Buffer.from(origin),
    uint64(0n),
    uint64(size),
    root,
  ]);
}

// ---- Merkle trees, RFC 6962 §2.1 word for word

const EMPTY = new Uint8Array(0);

/** Largest power of two smaller than n. */
function splitOf(n: number): number {
  let k = 1;
  while (k * 2 < n) k *= 2;
  return k;
}

/** MTH(D[n]) */
export function treeHash(leaves: readonly Uint8Array[]): Uint8Array {
  const [first] = leaves;
  if (first === undefined) return sha256(EMPTY);
  if (leaves.length === 1) return sha256(Uint8Array.of(0), first);
  const k = splitOf(leaves.length);
  return sha256(Uint8Array.of(1), treeHash(leaves.slice(0, k)), treeHash(leaves.slice(k)));
}

/** PATH(m, D[n]) */
export function auditPath(m: number, leaves: readonly Uint8Array[]): readonly Uint8Array[] {
  if (leaves.length <= 1) return [];
  const k = splitOf(leaves.length);
  return m < k
    ? [...auditPath(m, leaves.slice(0, k)), treeHash(leaves.slice(k))]
    : [...auditPath(m - k, leaves.slice(k)), treeHash(leaves.slice(0, k))];
}

/** PROOF(m, D[n]) */
export function consistencyProof(m: number, leaves: readonly Uint8Array[]): readonly Uint8Array[] {
  return subproof(m, leaves, true);
}

function subproof(m: number, leaves: readonly Uint8Array[], complete: boolean): readonly Uint8Array[] {
  const n = leaves.length;
  if (m === n) return complete ? [] : [treeHash(leaves)];
  const k = splitOf(n);
  return m <= k
    ? [...subproof(m, leaves.slice(0, k), complete), treeHash(leaves.slice(k))]
    : [...subproof(m - k, leaves.slice(k), false), treeHash(leaves.slice(0, k))];
}

// ---- entries

export interface LoggedOptions {
  readonly kindVersion?: TransparencyLogEntry["kindVersion"];
  /** The other leaves of the tree, before and after the entry. */
  readonly before?: number;
  readonly after?: number;
  /** Makes the origin of the checkpoint from the key name. */
  readonly origin?: (name: string) => string;
}

/** Puts a body into a tree and lets the log sign its head. */
export function logEntry(
  log: TestLog,
  generation: 1 | 2,
  body: Uint8Array,
  options: LoggedOptions = {},
): TransparencyLogEntry {
  const {
    before = 3,
    after = 4,
    kindVersion = { kind: "hashedrekord", version: generation === 1 ? "0.0.1" : "0.0.2" },
  } = options;
  const fill = (count: number, text: string): Uint8Array[] =>
    Array.from({ length: count }, (_, index) => utf8(`${text} ${index}`));
  const leaves = [...fill(before, "before"), body, ...fill(after, "after")];
  const root = treeHash(leaves);
  const name = log.baseUrl.replace(/^https?:\/\//, "");
  const origin = options.origin?.(name) ?? (generation === 1 ? `${name} - 1193050959916656506` : name);
  const text = checkpointText(origin, leaves.length, root);
  return {
    logIndex: BigInt(before) + (generation === 1 ? 4_163_431n : 0n),
    logId: log.logId,
    kindVersion,
    integratedTime: 0n,
    inclusionProof: {
      logIndex: BigInt(before),
      rootHash: root,
      treeSize: BigInt(leaves.length),
      hashes: auditPath(before, leaves),
      checkpoint: noteOf(text, generation === 1 ? lineV1(log, name, text) : lineV2(log, name, text)),
    },
    canonicalizedBody: body,
  };
}

/** Adds the promise of a Rekor v1 log. */
export function withPromise(entry: TransparencyLogEntry, log: TestLog, integratedTime: bigint): TransparencyLogEntry {
  const payload = `{"body":"${base64(entry.canonicalizedBody)}","integratedTime":${integratedTime},"logID":"${Buffer.from(entry.logId).toString("hex")}","logIndex":${entry.logIndex}}`;
  return { ...entry, integratedTime, inclusionPromise: log.key.sign(payload) };
}
