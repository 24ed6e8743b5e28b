/**
 * Bundles made of what was signed before: signature, certificate or key, timestamp, and the log entry that goes with them.
 *
 * @module
 */

import { BUNDLE_MEDIA_TYPE, type Bundle } from "../bundle/bundle.ts";
import { assembleBundle, requireSameSigner, type ClaimedSigner, type SignatureParts } from "../bundle/legacy.ts";
import type { Digest } from "../crypto/digest.ts";
import { defaultCryptoProvider, type CryptoProvider } from "../crypto/provider.ts";
import type { PublicKey } from "../crypto/public-key.ts";
import type { SignatureAlgorithm } from "../crypto/registry.ts";
import { preAuthEncoding } from "../dsse/pae.ts";
import { encodeBase64 } from "../encoding/base64.ts";
import { encodeHex } from "../encoding/hex.ts";
import { FormatError, InputError, PolicyError, SigstoreError, VerificationError } from "../errors.ts";
import type { RequestOptions } from "../http/request.ts";
import { findSubject, parseStatement } from "../intoto/statement.ts";
import { fetchEntryV1, retrieveEntriesV1, searchIndexV1, type LoggedEntryV1 } from "../rekor/client-v1.ts";
import type { ProposedEntry, RekorOptions } from "../rekor/proposed-entry.ts";
import { parseEntryBody, verifyEntryBody, type EntryExpectation } from "../tlog/entry-body.ts";
import type { TransparencyLogEntry } from "../tlog/transparency-log-entry.ts";
import { parseTimestampResponse } from "../tsa/timestamp-response.ts";
import { verifyImprint, verifyTimestamp } from "../tsa/verify.ts";
import type { TrustedRoot } from "../trust/trusted-root.ts";
import { readArtifact, type Artifact, type ReadArtifact } from "../verify/artifact.ts";
import { messageHashes, verifyEnvelopeSignature, verifyMessageSignature } from "../verify/signature.ts";
import { fetchInclusionProof, verifyLogged } from "./inclusion-proofs.ts";

/** Configures {@link createBundle}. */
export interface CreateBundleOptions extends RequestOptions {
  /** The key that signed, where there is no certificate. What the parts say of it is compared with this. */
  readonly publicKey?: PublicKey | undefined;
  /** Where the log entry is looked up, or `"unsafe-none"`: then the bundle has none, and few verifiers will take it. */
  readonly log: { readonly rekorUrl: string; readonly trustedRoot: TrustedRoot } | "unsafe-none";
  /** By whose timestamp authorities a timestamp is verified. Default: that of the log. */
  readonly trustedRoot?: TrustedRoot | undefined;
  /** Default: node:crypto where there is one, otherwise WebCrypto. */
  readonly crypto?: CryptoProvider | undefined;
}

/** Entries that the search index of a log may name before the search is given up: they are fetched one by one. */
const MAX_SEARCHED_ENTRIES = 32;

/** Is what the parts prove of one another, before anything is asked of a log. */
interface ProvenParts {
  readonly expected: EntryExpectation;
  readonly algorithm: SignatureAlgorithm;
  readonly signer: ClaimedSigner;
  readonly content: Bundle["content"];
}

/**
 * Makes a bundle of version 0.3 out of a signature and what stands beside it.
 *
 * Checked is that artifact, signature and signer belong together, that the log entry is about just them, and that the log signed
 * for it. Who may have signed is not: a verifier is told that.
 *
 * @throws {@link VerificationError} `SIGNATURE_INVALID`, `TLOG_THRESHOLD_NOT_MET` where the log has no such entry, and those of
 * log entries and timestamps; {@link PolicyError} `SUBJECT_MISMATCH`; {@link FormatError}; {@link InputError} `USAGE_INVALID`;
 * ServiceError.
 */
export async function createBundle(
  parts: SignatureParts,
  artifact: Exclude<Artifact, "unsafe-any">,
  options: CreateBundleOptions,
): Promise<Bundle> {
  const { crypto = defaultCryptoProvider(), log } = options;
  const { verificationMaterial } = assembleBundle(parts);
  const proven = await proveParts(parts, artifact, options.publicKey, crypto);
  const root = options.trustedRoot ?? (log === "unsafe-none" ? undefined : log.trustedRoot);
  await verifyTimestamps(verificationMaterial.rfc3161Timestamps, proven.expected.signature, root, crypto);
  const tlogEntries =
    log === "unsafe-none"
      ? withoutEntries(verificationMaterial.tlogEntries)
      : await findEntries(verificationMaterial.tlogEntries, proven, {
          ...options,
          crypto,
          rekorUrl: log.rekorUrl,
          trustedRoot: log.trustedRoot,
        });
  const { signer, content } = proven;
  return {
    mediaType: BUNDLE_MEDIA_TYPE,
    version: "0.3",
    verificationMaterial: {
      content:
        signer.kind === "certificate"
          ? { kind: "certificate", certificate: signer.certificate.bytes, fromChain: false }
          : { kind: "publicKey", hint: encodeBase64(await crypto.digest("sha256", signer.publicKey.spki)) },
      tlogEntries,
      rfc3161Timestamps: verificationMaterial.rfc3161Timestamps,
    },
    content,
  };
}

async function proveParts(
  parts: SignatureParts,
  artifact: Exclude<Artifact, "unsafe-any">,
  publicKey: PublicKey | undefined,
  crypto: CryptoProvider,
): Promise<ProvenParts> {
  const { content } = assembleBundle(parts);
  const signer = signerOf(parts.signer, publicKey);
  const key = signer.kind === "certificate" ? signer.certificate.publicKey : signer.publicKey;
  const verifier: EntryExpectation["verifier"] =
    signer.kind === "certificate"
      ? { kind: "certificate", der: signer.certificate.bytes }
      : { kind: "public-key", key };
  if (content.kind === "messageSignature") {
    const wholeMessage = key.type === "ed25519" || key.type.startsWith("ml-dsa");
    const read = await readArtifact(artifact, messageHashes([key], content), wholeMessage, crypto);
    const algorithm = await verifyMessageSignature(content, key, read, crypto);
    const digest = await digestFor(read, algorithm);
    const { signature } = content;
    return {
      algorithm,
      signer,
      content: { ...content, messageDigest: { algorithm: digest.algorithm, digest: digest.value } },
      expected: {
        signature,
        verifier,
        keyAlgorithm: algorithm,
        content: { kind: "message", digests: (name) => read.digest(name) },
      },
    };
  }
  const { payload, payloadType, signatures } = content.envelope;
  const signature = signatures[0]?.sig ?? new Uint8Array(0);
  const pae = preAuthEncoding(payloadType, payload);
  const algorithm = await verifyEnvelopeSignature(pae, signature, key, crypto);
  await verifySubject(payload, artifact, crypto);
  return {
    algorithm,
    signer,
    content,
    expected: {
      signature,
      verifier,
      keyAlgorithm: algorithm,
      content: { kind: "envelope", payload, payloadType, pae },
    },
  };
}

function signerOf(claimed: ClaimedSigner | undefined, publicKey: PublicKey | undefined): ClaimedSigner {
  const given: ClaimedSigner | undefined = publicKey === undefined ? undefined : { kind: "public-key", publicKey };
  if (given !== undefined) {
    requireSameSigner(claimed, given);
    return given;
  }
  if (claimed?.kind === "certificate") return claimed;
  throw new InputError("USAGE_INVALID", "signature comes with no certificate, so its key is needed", {
    remedy: "give the public key that the signer publishes with --key, or the certificate with --certificate",
  });
}

async function digestFor(read: ReadArtifact, { hash }: SignatureAlgorithm): Promise<Digest> {
  const algorithm = hash ?? "sha256";
  const value = await read.digest(algorithm);
  if (value !== undefined) return { algorithm, value };
  throw new VerificationError("DIGEST_ALGORITHM_MISMATCH", "artifact was given by another digest than was signed", {
    expected: algorithm,
  });
}

async function verifySubject(
  payload: Uint8Array,
  artifact: Exclude<Artifact, "unsafe-any">,
  crypto: CryptoProvider,
): Promise<void> {
  const statement = parseStatement(payload);
  const hashes = (["sha256", "sha384", "sha512"] as const).filter((hash) =>
    statement.subject.some(({ digest }) => Object.hasOwn(digest, hash)),
  );
  const read = await readArtifact(artifact, hashes, false, crypto);
  const digests: Digest[] = [];
  for (const algorithm of hashes) {
    const value = await read.digest(algorithm);
    if (value !== undefined) digests.push({ algorithm, value });
  }
  if (findSubject(statement, digests) !== undefined) return;
  throw new PolicyError("SUBJECT_MISMATCH", "statement is about other artifacts", {
    expected: digests.map(({ algorithm, value }) => `${algorithm}:${encodeHex(value)}`).join(" or "),
  });
}

async function verifyTimestamps(
  timestamps: readonly Uint8Array[],
  signature: Uint8Array,
  root: TrustedRoot | undefined,
  crypto: CryptoProvider,
): Promise<void> {
  for (const timestamp of timestamps) {
    const parsed = parseTimestampResponse(timestamp);
    if (root === undefined) {
      await verifyImprint(parsed, signature, crypto);
      continue;
    }
    const verified = await verifyTimestamp(parsed, signature, root.timestampAuthorities, { crypto });
    if (verified !== undefined) continue;
    throw new VerificationError(
      "TIMESTAMP_THRESHOLD_NOT_MET",
      "trusted root knows no authority that made the timestamp",
      {
        expected: root.timestampAuthorities.map(({ uri }) => uri).join(" or ") || "a timestamp authority",
      },
    );
  }
}

/** A promise that is at hand is not thrown away unnoticed. */
function withoutEntries(entries: readonly TransparencyLogEntry[]): readonly TransparencyLogEntry[] {
  if (entries.length === 0) return [];
  throw new InputError("USAGE_INVALID", "cannot ignore the transparency log: the signature comes with a log entry", {
    remedy: "leave --ignore-tlog out",
  });
}

interface LookupOptions extends RekorOptions {
  readonly rekorUrl: string;
  readonly trustedRoot: TrustedRoot;
}

async function findEntries(
  entries: readonly TransparencyLogEntry[],
  proven: ProvenParts,
  options: LookupOptions,
): Promise<readonly TransparencyLogEntry[]> {
  const { crypto } = options;
  const [known] = entries;
  if (known !== undefined) {
    // Before the log is asked: an entry about something else is refused without a word to it.
    await verifyEntryBody(parseEntryBody(known), known, proven.expected, crypto);
    const entry = await fetchInclusionProof(known, options);
    await verifyLogged(entry, options);
    return [entry];
  }
  const entry = await lookUp(proven, options);
  await verifyLogged(entry, options);
  return [entry];
}

/** Looks an entry up by what it holds, and otherwise in the search index, for the kinds that cannot be asked for like that. */
async function lookUp(proven: ProvenParts, options: LookupOptions): Promise<TransparencyLogEntry> {
  const { rekorUrl } = options;
  const found = await ours(
    await retrieveEntriesV1(rekorUrl, { entries: [proposedOf(proven)] }, options),
    proven,
    options,
  );
  const { content } = proven.expected;
  const others =
    found === undefined && content.kind === "envelope" ? await search(content.payload, proven, options) : undefined;
  const entry = found ?? others;
  if (entry !== undefined) return entry;
  throw new VerificationError("TLOG_THRESHOLD_NOT_MET", "log has no entry about this signature", {
    expected: "an entry with this signature, signer and digest",
    found: "none",
    remedy: "check --rekor-url; with --ignore-tlog a bundle without a log entry is made",
  });
}

async function search(
  payload: Uint8Array,
  proven: ProvenParts,
  options: LookupOptions,
): Promise<TransparencyLogEntry | undefined> {
  const { rekorUrl, crypto } = options;
  const hash = `sha256:${encodeHex(await crypto.digest("sha256", payload))}`;
  const ids = (await searchIndexV1(rekorUrl, { hash }, options)).slice(0, MAX_SEARCHED_ENTRIES);
  const logged: LoggedEntryV1[] = [];
  for (const entryId of ids) logged.push(await fetchEntryV1(rekorUrl, { entryId }, options));
  return await ours(logged, proven, options);
}

/** Finds the earliest entry that is about just this. What else the log answers with says nothing. */
async function ours(
  logged: readonly LoggedEntryV1[],
  { expected }: ProvenParts,
  { crypto }: LookupOptions,
): Promise<TransparencyLogEntry | undefined> {
  const entries: TransparencyLogEntry[] = [];
  for (const { entry } of logged) {
    try {
      await verifyEntryBody(parseEntryBody(entry), entry, expected, crypto);
      entries.push(entry);
    } catch (error) {
      if (!(error instanceof SigstoreError)) throw error;
    }
  }
  return entries.toSorted((a, b) => Number(a.integratedTime - b.integratedTime))[0];
}

function proposedOf({ expected, algorithm, content }: ProvenParts): ProposedEntry {
  const verifier =
    expected.verifier.kind === "certificate"
      ? { kind: "certificate" as const, der: expected.verifier.der }
      : { kind: "public-key" as const, der: expected.verifier.key.spki };
  const keyDetails = algorithm.keyDetails ?? "";
  if (content.kind === "dsseEnvelope") return { kind: "dsse", verifier, keyDetails, envelope: content.envelope };
  const { messageDigest, signature } = content;
  if (messageDigest === undefined) throw new FormatError("BUNDLE_MALFORMED", "signature has no digest");
  return {
    kind: "hashedrekord",
    verifier,
    keyDetails,
    signature,
    digest: { algorithm: messageDigest.algorithm, value: messageDigest.digest },
  };
}
