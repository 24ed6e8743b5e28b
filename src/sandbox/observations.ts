/**
 * What the services of the sandbox answered, remembered, so that a person can see it and take bundles away.
 *
 * @module
 */

import { createHash } from "node:crypto";

import { BUNDLE_MEDIA_TYPE, serializeBundle, type BundleContent } from "../bundle/bundle.ts";
import { readTransparencyLogEntry, serializeTransparencyLogEntry } from "../bundle/transparency-log-entry-json.ts";
import { formatDigest, type Digest } from "../crypto/digest.ts";
import { parseEnvelope } from "../dsse/envelope.ts";
import { encodeBase64, tryDecodeBase64 } from "../encoding/base64.ts";
import { parseJson, type JsonObject, type JsonValue } from "../encoding/json.ts";
import { JsonReader } from "../encoding/json-reader.ts";
import { encodeUtf8 } from "../encoding/utf8.ts";
import { SigstoreError } from "../errors.ts";
import { MAX_SANDBOX_ENVELOPE_BYTES, MAX_SANDBOX_RECORDS, MAX_STORE_RECORD_BYTES } from "../limits.ts";
import type { EntryVerifier } from "../tlog/entries/comparison.ts";
import { parseEntryBody, type EntryBody } from "../tlog/entry-body.ts";
import type { TransparencyLogEntry } from "../tlog/transparency-log-entry.ts";
import { parseTimestampResponse } from "../tsa/timestamp-response.ts";
import { parseCertificate, parseCertificatesPem, type Certificate } from "../x509/certificate.ts";
import { readFulcioExtensions } from "../x509/fulcio.ts";
import type { SandboxServiceName } from "./faults.ts";
import type { SandboxService } from "./service.ts";
import type { SandboxStore } from "./store.ts";

/** Is an entry that a log gave back when it was submitted. */
export interface ObservedEntry {
  /** Names it among all: log and leaf hash. */
  readonly id: string;
  readonly log: "rekor1" | "rekor2";
  readonly time: Date;
  readonly entry: TransparencyLogEntry;
  /** What was signed: the artifact's digest, that of an envelope's encoding, or that of a payload. */
  readonly digest: Digest;
  readonly signature: Uint8Array;
  readonly verifier: EntryVerifier;
  /** Where the log was given the whole envelope, and it is not too large. */
  readonly envelopeJson?: string;
}

/** Is a certificate that was issued. */
export interface ObservedCertificate {
  readonly time: Date;
  readonly certificate: Certificate;
}

const LOG = "observations";

/** Remembers the latest answers of each kind. */
export class Observations {
  readonly #store: SandboxStore;
  readonly #now: () => Date;
  readonly #entries = new Map<string, ObservedEntry>();
  readonly #certificates: ObservedCertificate[] = [];
  /** Responses of the authority, by what they stamped. */
  readonly #timestamps = new Map<string, Uint8Array>();

  constructor(store: SandboxStore, now: () => Date) {
    this.#store = store;
    this.#now = now;
    for (const record of store.records(LOG)) this.#keep(readRecord(record));
  }

  /** Entries, the latest first. */
  get entries(): readonly ObservedEntry[] {
    return [...this.#entries.values()].reverse();
  }

  /** Certificates, the latest first. */
  get certificates(): readonly ObservedCertificate[] {
    return [...this.#certificates].reverse();
  }

  entry(id: string): ObservedEntry | undefined {
    return this.#entries.get(id);
  }

  /** Gives the timestamps over a signature. */
  timestampsOver(signature: Uint8Array): readonly Uint8Array[] {
    return (["sha256", "sha384", "sha512"] as const).flatMap((algorithm) => {
      const value = new Uint8Array(createHash(algorithm).update(signature).digest());
      const response = this.#timestamps.get(formatDigest({ algorithm, value }));
      return response === undefined ? [] : [response];
    });
  }

  /** Makes a service whose answers are remembered. What cannot be read of one is left alone. */
  observe(name: SandboxServiceName, service: SandboxService): SandboxService {
    return {
      fetch: async (request) => {
        const { pathname } = new URL(request.url);
        if (request.method !== "POST" || !isOfInterest(name, pathname)) return await service.fetch(request);
        const copy = name === "rekor1" ? request.clone() : undefined;
        const response = await service.fetch(request);
        if (response.status !== 200 && response.status !== 201) {
          // Not waited for: one half of a body ends only when the other has, which the service need not have read.
          copy?.body?.cancel().catch(() => undefined);
          return response;
        }
        const answer = new Uint8Array(await response.clone().arrayBuffer());
        const asked = new Uint8Array((await copy?.arrayBuffer()) ?? new ArrayBuffer(0));
        try {
          this.#remember(recordOf(name, answer, asked, this.#now()));
        } catch (error) {
          if (!(error instanceof SigstoreError || error instanceof SyntaxError || error instanceof TypeError))
            throw error;
        }
        return response;
      },
    };
  }

  #remember(record: ObservationRecord): void {
    this.#keep(record);
    const bytes = encodeUtf8(JSON.stringify(record));
    if (bytes.length <= MAX_STORE_RECORD_BYTES) this.#store.append(LOG, bytes);
  }

  #keep(record: ObservationRecord): void {
    switch (record.kind) {
      case "entry": {
        const entry = readTransparencyLogEntry(new JsonReader(record.entry, "entry", "TLOG_ENTRY_MALFORMED"));
        const leaf = createHash("sha256").update(Uint8Array.of(0)).update(entry.canonicalizedBody).digest("hex");
        const observed: ObservedEntry = {
          id: `${record.log}-${leaf}`,
          log: record.log,
          time: new Date(record.time),
          entry,
          ...signedPart(parseEntryBody(entry)),
          ...(record.envelope !== undefined && { envelopeJson: record.envelope }),
        };
        this.#entries.delete(observed.id);
        this.#entries.set(observed.id, observed);
        forgetOldest(this.#entries);
        return;
      }
      case "certificate":
        this.#certificates.push({
          time: new Date(record.time),
          certificate: parseCertificate(tryDecodeBase64(record.der) ?? new Uint8Array()),
        });
        if (this.#certificates.length > MAX_SANDBOX_RECORDS) this.#certificates.shift();
        return;
      case "timestamp": {
        const response = tryDecodeBase64(record.der) ?? new Uint8Array();
        const { algorithm, digest } = parseTimestampResponse(response).imprint;
        if (algorithm.hash === undefined) return;
        this.#timestamps.set(formatDigest({ algorithm: algorithm.hash, value: digest }), response);
        forgetOldest(this.#timestamps);
      }
    }
  }
}

type ObservationRecord =
  | {
      readonly kind: "entry";
      readonly log: "rekor1" | "rekor2";
      readonly time: string;
      readonly entry: JsonObject;
      readonly envelope?: string;
    }
  | { readonly kind: "certificate" | "timestamp"; readonly time: string; readonly der: string };

/** What the sandbox wrote itself, under a checksum. */
function readRecord(bytes: Uint8Array): ObservationRecord {
  return JSON.parse(new TextDecoder().decode(bytes)) as ObservationRecord;
}

function isOfInterest(name: SandboxServiceName, path: string): boolean {
  switch (name) {
    case "rekor1":
    case "rekor2":
      return path.endsWith("/log/entries");
    case "fulcio":
      return path.endsWith("/signingCert");
    case "tsa":
      return true;
    case "oidc":
    case "tuf":
    case "ctlog":
    case "registry":
      return false;
  }
}

function recordOf(name: SandboxServiceName, answer: Uint8Array, asked: Uint8Array, now: Date): ObservationRecord {
  const time = now.toISOString();
  if (name === "tsa") return { kind: "timestamp", time, der: encodeBase64(answer) };
  if (name === "fulcio") return { kind: "certificate", time, der: encodeBase64(leafOf(answer)) };
  const json = parseJson(answer, { what: "answer", code: "JSON_MALFORMED", maxBytes: MAX_STORE_RECORD_BYTES });
  if (name === "rekor2") return { kind: "entry", log: "rekor2", time, entry: json as JsonObject };
  const envelope = envelopeOf(asked);
  return {
    kind: "entry",
    log: "rekor1",
    time,
    entry: serializeTransparencyLogEntry(entryOfRekor1(json)),
    ...(envelope !== undefined && { envelope }),
  };
}

/** The first certificate of an answer of Fulcio, in either version of its API. */
function leafOf(answer: Uint8Array): Uint8Array {
  const text = new TextDecoder().decode(answer);
  const pem = text.trimStart().startsWith("{")
    ? Object.values(JSON.parse(text) as Record<string, { chain?: { certificates?: readonly string[] } }>)[0]?.chain
        ?.certificates?.[0]
    : text;
  const [leaf] = parseCertificatesPem(pem ?? "");
  if (leaf === undefined) throw new TypeError("there is no certificate");
  return leaf.bytes;
}

interface Rekor1Answer {
  readonly body: string;
  readonly integratedTime: number;
  readonly logID: string;
  readonly logIndex: number;
  readonly verification: {
    readonly signedEntryTimestamp: string;
    readonly inclusionProof: {
      readonly logIndex: number;
      readonly rootHash: string;
      readonly treeSize: number;
      readonly hashes: readonly string[];
      readonly checkpoint: string;
    };
  };
}

function entryOfRekor1(answer: JsonValue): TransparencyLogEntry {
  const [logged] = Object.values(answer as unknown as Record<string, Rekor1Answer>);
  if (logged === undefined) throw new TypeError("there is no entry");
  const { signedEntryTimestamp, inclusionProof } = logged.verification;
  const canonicalizedBody = base64(logged.body);
  const { kind, apiVersion } = JSON.parse(new TextDecoder().decode(canonicalizedBody)) as Record<string, string>;
  return {
    logIndex: BigInt(logged.logIndex),
    logId: hex(logged.logID),
    kindVersion: { kind: kind ?? "", version: apiVersion ?? "" },
    integratedTime: BigInt(logged.integratedTime),
    inclusionPromise: base64(signedEntryTimestamp),
    inclusionProof: {
      logIndex: BigInt(inclusionProof.logIndex),
      rootHash: hex(inclusionProof.rootHash),
      treeSize: BigInt(inclusionProof.treeSize),
      hashes: inclusionProof.hashes.map(hex),
      checkpoint: inclusionProof.checkpoint,
    },
    canonicalizedBody,
  };
}

const base64 = (text: string): Uint8Array => new Uint8Array(Buffer.from(text, "base64"));
const hex = (text: string): Uint8Array => new Uint8Array(Buffer.from(text, "hex"));

/** The envelope that an entry of kind `dsse` was made from: the log itself keeps hashes of it. */
function envelopeOf(asked: Uint8Array): string | undefined {
  const { kind, spec } = JSON.parse(new TextDecoder().decode(asked)) as {
    readonly kind?: string;
    readonly spec?: { readonly proposedContent?: { readonly envelope?: unknown } };
  };
  const envelope = spec?.proposedContent?.envelope;
  return kind === "dsse" && typeof envelope === "string" && envelope.length <= MAX_SANDBOX_ENVELOPE_BYTES
    ? envelope
    : undefined;
}

function signedPart(body: EntryBody): Pick<ObservedEntry, "digest" | "signature" | "verifier"> {
  if (body.kind === "hashedrekord" && body.generation === 2)
    return { digest: body.data, signature: body.signature.content, verifier: body.signature.verifier };
  if (body.kind === "hashedrekord" || body.kind === "rekord")
    return { digest: body.data, signature: body.signature, verifier: body.verifier };
  const [first] = body.signatures;
  if (first === undefined) throw new TypeError("there is no signature");
  const signature = "content" in first ? first.content : first.signature;
  return { digest: body.payloadHash, signature, verifier: first.verifier };
}

function forgetOldest(map: Map<string, unknown>): void {
  const [oldest] = map.keys();
  if (map.size > MAX_SANDBOX_RECORDS && oldest !== undefined) map.delete(oldest);
}

// ---- what is made of it

/** Names who signed: the certificate's names and the issuer of the token, or the key. For people: nothing is proven. */
export function describeSigner({ verifier }: ObservedEntry): { readonly signer: string; readonly issuer?: string } {
  if (verifier.kind !== "certificate")
    return { signer: `key sha256:${createHash("sha256").update(verifier.der).digest("hex")}` };
  try {
    return describeCertificate(parseCertificate(verifier.der));
  } catch (error) {
    if (!(error instanceof SigstoreError)) throw error;
    return { signer: "a certificate that cannot be read" };
  }
}

/** Names whom a certificate is for, and the issuer of the token. */
export function describeCertificate(certificate: Certificate): { readonly signer: string; readonly issuer?: string } {
  const signer = certificate.extensions.subjectAlternativeNames.map(({ value }) => value).join(", ");
  try {
    const { issuer } = readFulcioExtensions(certificate);
    return { signer, ...(issuer !== undefined && { issuer }) };
  } catch (error) {
    if (!(error instanceof SigstoreError)) throw error;
    return { signer };
  }
}

/**
 * Makes a bundle of an entry and the timestamps over its signature.
 *
 * @returns `undefined` where what was signed is not known, as of an attestation whose envelope was too large.
 */
export function bundleOf(observed: ObservedEntry, observations: Observations): string | undefined {
  const content = contentOf(observed);
  if (content === undefined) return undefined;
  const { verifier, entry, signature } = observed;
  return serializeBundle({
    mediaType: BUNDLE_MEDIA_TYPE,
    version: "0.3",
    verificationMaterial: {
      content:
        verifier.kind === "certificate"
          ? { kind: "certificate", certificate: verifier.der, fromChain: false }
          : { kind: "publicKey", hint: createHash("sha256").update(verifier.der).digest("base64") },
      tlogEntries: [entry],
      rfc3161Timestamps: observations.timestampsOver(signature),
    },
    content,
  });
}

function contentOf({ entry, digest, signature, envelopeJson }: ObservedEntry): BundleContent | undefined {
  if (entry.kindVersion.kind === "hashedrekord")
    return {
      kind: "messageSignature",
      messageDigest: { algorithm: digest.algorithm, digest: digest.value },
      signature,
    };
  if (envelopeJson === undefined) return undefined;
  const envelope = parseEnvelope(envelopeJson);
  return envelope.signatures.length === 1 ? { kind: "dsseEnvelope", envelope } : undefined;
}
