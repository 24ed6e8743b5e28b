/**
 * Logs of Rekor v1 and v2 that really sign: bodies as the logs write them, Merkle trees, promises, checkpoints, cosignatures.
 *
 * @module
 */

import { createHash, generateKeyPairSync, sign, X509Certificate, type KeyObject } from "node:crypto";
import type { TransparencyLogEntry } from "../../../src/tlog/transparency-log-entry.ts";
import type { Json } from "../json-edits.ts";
import { base64, logEntry, makeLog, noteLine, sha256, typedKeyId, utf8, withPromise, type TestLog } from "../logs.ts";
import { listLog, NOW, type Listing } from "./authorities.ts";

/** A log of one generation. */
export interface Rekor extends TestLog {
  readonly generation: 1 | 2;
}

/** Makes a log with the key type that each generation usually has. */
export function makeRekor(generation: 1 | 2, baseUrl = `https://rekor${generation}.test`): Rekor {
  const log = makeLog(generation === 1 ? "p256" : "ed25519", baseUrl);
  if (generation === 1) return { ...log, generation };
  const keyName = baseUrl.replace(/^https?:\/\//, "");
  return { ...log, generation, logId: sha256(`${keyName}\n`, Uint8Array.of(1), log.publicKey.keyBytes) };
}

export function listRekor({ generation, publicKey, logId, baseUrl }: Rekor, listing: Listing = {}): Json {
  return listLog(
    publicKey.spki,
    generation === 1 ? "PKIX_ECDSA_P256_SHA_256" : "PKIX_ED25519",
    logId,
    baseUrl,
    listing,
  );
}

/** What is logged. */
export interface Signed {
  readonly signature: Uint8Array;
  readonly verifier: { readonly certificate: Uint8Array } | { readonly publicKey: KeyObject };
  /** The bytes under the signature: the artifact, or the pre-authentication encoding. */
  readonly message: Uint8Array;
  readonly hash: "sha256" | "sha384" | "sha512";
  readonly keyDetails: string;
  readonly envelope?: { readonly payload: Uint8Array; readonly payloadType: string };
}

export type EntryKind = "hashedrekord" | "dsse" | "intoto";

const digest = (hash: string, data: Uint8Array): Buffer => createHash(hash).update(data).digest();
const pemOf = (verifier: Signed["verifier"]): string =>
  "certificate" in verifier
    ? new X509Certificate(verifier.certificate).toString()
    : verifier.publicKey.export({ type: "spki", format: "pem" });

/** Writes a body as RFC 8785 does, for values without numbers and without text that needs escaping otherwise. */
function canonical(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(canonical).join(",")}]`;
  if (typeof value !== "object" || value === null) return JSON.stringify(value);
  const members = Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1));
  return `{${members.map(([key, member]) => `${JSON.stringify(key)}:${canonical(member)}`).join(",")}}`;
}

function specOf(kind: EntryKind, generation: 1 | 2, signed: Signed): Json {
  const { signature, verifier, message, hash, keyDetails, envelope } = signed;
  if (generation === 2) {
    const rawBytes =
      "certificate" in verifier ? verifier.certificate : verifier.publicKey.export({ type: "spki", format: "der" });
    const named = "certificate" in verifier ? "x509Certificate" : "publicKey";
    const proof = { content: base64(signature), verifier: { keyDetails, [named]: { rawBytes: base64(rawBytes) } } };
    const algorithm = `SHA2_${hash.slice(3)}`;
    if (kind === "hashedrekord")
      return { hashedRekordV002: { data: { algorithm, digest: base64(digest(hash, message)) }, signature: proof } };
    const payloadHash = { algorithm: "SHA2_256", digest: base64(digest("sha256", envelope?.payload ?? message)) };
    return { dsseV002: { payloadHash, signatures: [proof] } };
  }
  const pem = base64(pemOf(verifier));
  const hashOf = (algorithm: string, data: Uint8Array): Json => ({
    algorithm,
    value: digest(algorithm, data).toString("hex"),
  });
  const payloadHash = hashOf("sha256", envelope?.payload ?? message);
  const envelopeHash = hashOf("sha256", utf8("as it was sent to the log, in bytes that no bundle keeps"));
  switch (kind) {
    case "hashedrekord":
      return {
        data: { hash: hashOf(hash, message) },
        signature: { content: base64(signature), publicKey: { content: pem } },
      };
    case "dsse":
      return { envelopeHash, payloadHash, signatures: [{ signature: base64(signature), verifier: pem }] };
    case "intoto": {
      const signatures = [{ publicKey: pem, sig: base64(base64(signature)) }];
      return {
        content: { envelope: { payloadType: envelope?.payloadType, signatures }, hash: envelopeHash, payloadHash },
      };
    }
  }
}

const VERSIONS = {
  1: { hashedrekord: "0.0.1", dsse: "0.0.1", intoto: "0.0.2" },
  2: { hashedrekord: "0.0.2", dsse: "0.0.2", intoto: "" },
};

export interface EntryOptions {
  readonly log: Rekor;
  /** By default what cosign makes. */
  readonly kind?: EntryKind;
  readonly integratedTime?: Date;
  /** Whether there is an inclusion promise, as Rekor v1 makes. */
  readonly promise?: boolean;
  readonly proof?: boolean;
  /** Leaves before the entry's own, which is its index in the tree. */
  readonly before?: number;
  readonly witnesses?: readonly Witness[];
  /** Changes what the log is told. */
  readonly body?: (body: Json) => Json;
  /** Changes how that is written. */
  readonly text?: (body: string) => string;
  /** Changes the entry after the log made it. */
  readonly entry?: (entry: TransparencyLogEntry) => TransparencyLogEntry;
}

/** Logs a signature. */
export function makeEntry(signed: Signed, options: EntryOptions): TransparencyLogEntry {
  const {
    log,
    promise = log.generation === 1,
    proof = true,
    integratedTime = NOW,
    before = 3,
    witnesses = [],
  } = options;
  const { generation } = log;
  const kind = options.kind ?? (generation === 1 && signed.envelope !== undefined ? "dsse" : "hashedrekord");
  const kindVersion = { kind, version: VERSIONS[generation][kind] };
  const plain = { apiVersion: kindVersion.version, kind, spec: specOf(kind, generation, signed) };
  const body = utf8((options.text ?? ((same) => same))(canonical((options.body ?? ((same) => same))(plain))));
  const logged = cosigned(logEntry(log, generation, body, { kindVersion, before }), witnesses);
  const { inclusionProof, ...withoutProof } = promise
    ? withPromise(logged, log, BigInt(integratedTime.getTime() / 1000))
    : logged;
  const entry = proof && inclusionProof !== undefined ? { ...withoutProof, inclusionProof } : withoutProof;
  return (options.entry ?? ((same) => same))(entry);
}

// ---- witnesses

export interface Witness {
  readonly name: string;
  /** What the caller is given. */
  readonly vkey: string;
  readonly cosign: (text: string) => string;
}

const COSIGNATURE_ED25519 = 4;

/** Makes a witness with an Ed25519 key: C2SP tlog-cosignature. */
export function makeWitness(name: string, keys = generateKeyPairSync("ed25519"), time: Date = NOW): Witness {
  const raw = new Uint8Array(keys.publicKey.export({ type: "spki", format: "der" }).subarray(-32));
  const keyId = typedKeyId(name, COSIGNATURE_ED25519, raw);
  const seconds = time.getTime() / 1000;
  return {
    name,
    vkey: `${name}+${Buffer.from(keyId).toString("hex")}+${base64(Uint8Array.of(COSIGNATURE_ED25519, ...raw))}`,
    cosign: (text) => {
      const stamp = Buffer.alloc(8);
      stamp.writeBigUInt64BE(BigInt(seconds));
      const signature = sign(null, Buffer.from(`cosignature/v1\ntime ${seconds}\n${text}`), keys.privateKey);
      return noteLine(name, keyId, Buffer.concat([stamp, signature]));
    },
  };
}

/** Adds the lines of witnesses to the checkpoint of an entry. */
function cosigned(entry: TransparencyLogEntry, witnesses: readonly Witness[]): TransparencyLogEntry {
  const { inclusionProof } = entry;
  if (inclusionProof === undefined || witnesses.length === 0) return entry;
  const { checkpoint } = inclusionProof;
  const text = checkpoint.slice(0, checkpoint.lastIndexOf("\n\n") + 1);
  return {
    ...entry,
    inclusionProof: {
      ...inclusionProof,
      checkpoint: checkpoint + witnesses.map(({ cosign }) => cosign(text)).join(""),
    },
  };
}
