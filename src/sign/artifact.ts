/**
 * What is signed, read once: the digest or the bytes of an artifact, or the envelope around a statement.
 *
 * @module
 */

import { DIGEST_LENGTH, formatDigest, type Digest, type HashAlgorithm } from "../crypto/digest.ts";
import type { CryptoProvider } from "../crypto/provider.ts";
import type { SignatureAlgorithm } from "../crypto/registry.ts";
import { preAuthEncoding } from "../dsse/pae.ts";
import { FormatError, InputError, VerificationError } from "../errors.ts";
import { openArtifactFile, readInputFile } from "../files/read-file.ts";
import type { FilePath } from "../files/verify-file.ts";
import { buildStatement } from "../intoto/build-statement.ts";
import { IN_TOTO_PAYLOAD_TYPE, parseStatement, type Statement } from "../intoto/statement.ts";
import { MAX_BUNDLE_BYTES } from "../limits.ts";
import { encodeUtf8 } from "../encoding/utf8.ts";
import { readArtifact } from "../verify/artifact.ts";
import type { AttestableStatement, AttestationSubject, SignableArtifact } from "./options.ts";

/** Is what a signature is made over. */
export type SigningContent =
  | {
      readonly kind: "message";
      /** By the hash of the signature algorithm, or SHA-256 where it has none. */
      readonly digest: Digest;
      /** Absent for an artifact that was streamed or given by its digest. */
      readonly bytes: Uint8Array | undefined;
    }
  | {
      readonly kind: "envelope";
      readonly payload: Uint8Array;
      readonly payloadType: string;
      readonly pae: Uint8Array;
      readonly statement: Statement;
      /** SHA-256 of the payload. */
      readonly digest: Digest;
    };

/** Says what a key needs of an artifact. */
export interface ContentNeeds {
  readonly algorithm: SignatureAlgorithm;
  /** Whether the key signs digests. */
  readonly signsDigest: boolean;
  readonly crypto: CryptoProvider;
}

/**
 * Reads an artifact. A large one is hashed as it streams by; only a key that needs the message itself has it held in memory.
 *
 * @throws {@link InputError} `FILE_NOT_FOUND`, `FILE_IS_DIRECTORY`, `FILE_UNREADABLE`, `FILE_TOO_LARGE`, `ARTIFACT_UNREADABLE`;
 * {@link VerificationError} `DIGEST_ONLY_UNSUPPORTED`, `DIGEST_ALGORITHM_MISMATCH`.
 */
export async function readMessage(
  artifact: SignableArtifact,
  { algorithm, signsDigest, crypto }: ContentNeeds,
): Promise<SigningContent & { readonly kind: "message" }> {
  const hash = algorithm.hash ?? "sha256";
  const needsBytes = algorithm.hash === undefined || !signsDigest;
  if (isDigest(artifact)) return fromDigest(artifact.digest, algorithm, needsBytes);
  const opened = isPath(artifact) ? await openArtifactFile(artifact.path) : artifact;
  const read = await readArtifact(opened, [hash], needsBytes, crypto);
  const value = await read.digest(hash);
  if (value === undefined) throw new Error("an artifact that was read has the digest that was asked for");
  return { kind: "message", digest: { algorithm: hash, value }, bytes: read.bytes };
}

function fromDigest(
  digest: Digest,
  algorithm: SignatureAlgorithm,
  needsBytes: boolean,
): SigningContent & { readonly kind: "message" } {
  if (needsBytes) {
    throw new VerificationError("DIGEST_ONLY_UNSUPPORTED", "this key cannot sign an artifact by its digest alone", {
      expected: "the artifact itself",
      found: `a ${digest.algorithm} digest, to be signed with ${algorithm.name}`,
      remedy: "give the artifact as a file or bytes",
    });
  }
  if (digest.algorithm !== algorithm.hash) {
    throw new VerificationError("DIGEST_ALGORITHM_MISMATCH", "digest is not the one that the key signs", {
      expected: algorithm.hash,
      found: digest.algorithm,
      remedy: `give the ${algorithm.hash ?? "other"} digest of the artifact, or the artifact itself`,
    });
  }
  if (digest.value.length !== DIGEST_LENGTH[digest.algorithm]) {
    throw new InputError("USAGE_INVALID", `artifact digest is not a ${digest.algorithm} digest`, {
      expected: `${DIGEST_LENGTH[digest.algorithm]} bytes`,
      found: `${digest.value.length} bytes`,
    });
  }
  return { kind: "message", digest, bytes: undefined };
}

/**
 * Reads or builds a statement, and checks that it is one.
 *
 * @throws {@link FormatError} `STATEMENT_MALFORMED`, `JSON_DUPLICATE_KEY`, `LIMIT_EXCEEDED`; {@link InputError} as {@link readMessage}.
 */
export async function readEnvelope(
  input: AttestableStatement,
  crypto: CryptoProvider,
): Promise<SigningContent & { readonly kind: "envelope" }> {
  const payload = await readStatement(input, crypto);
  return {
    kind: "envelope",
    payload,
    payloadType: IN_TOTO_PAYLOAD_TYPE,
    pae: preAuthEncoding(IN_TOTO_PAYLOAD_TYPE, payload),
    statement: parseStatement(payload),
    digest: { algorithm: "sha256", value: await crypto.digest("sha256", payload) },
  };
}

async function readStatement(input: AttestableStatement, crypto: CryptoProvider): Promise<Uint8Array> {
  if (typeof input === "string") {
    // Encoding would replace it, and what is signed would not be what was given.
    if (!input.isWellFormed())
      throw new FormatError("STATEMENT_MALFORMED", "statement has a lone surrogate, so it is not Unicode text");
    return encodeUtf8(input);
  }
  if (input instanceof Uint8Array) return input;
  if ("path" in input) return await readInputFile(input.path, MAX_BUNDLE_BYTES, "statement");
  const subjects = [];
  // One after the other: each may be a large file.
  for (const subject of input.subjects) subjects.push(await readSubject(subject, crypto));
  const { predicate, predicateType, statementType } = input;
  return buildStatement({ type: statementType, subjects, predicateType, predicate });
}

async function readSubject(
  subject: AttestationSubject,
  crypto: CryptoProvider,
): Promise<{ readonly name: string | undefined; readonly digests: readonly Digest[] }> {
  const { name } = subject;
  if ("digests" in subject) {
    for (const digest of subject.digests) {
      if (digest.value.length === DIGEST_LENGTH[digest.algorithm]) continue;
      throw new InputError("USAGE_INVALID", `digest of a subject is not a ${digest.algorithm} digest`, {
        expected: `${DIGEST_LENGTH[digest.algorithm]} bytes`,
        found: `${digest.value.length} bytes`,
      });
    }
    return { name, digests: subject.digests };
  }
  const algorithms: readonly HashAlgorithm[] = subject.algorithms ?? ["sha256"];
  const { artifact } = subject;
  const opened = isPath(artifact) ? await openArtifactFile(artifact.path) : artifact;
  const read = await readArtifact(opened, algorithms, false, crypto);
  const digests: Digest[] = [];
  for (const algorithm of algorithms) {
    const value = await read.digest(algorithm);
    if (value !== undefined) digests.push({ algorithm, value });
  }
  return { name, digests };
}

/** Writes what is signed, for messages. */
export function describeContent(content: SigningContent): string {
  return content.kind === "message"
    ? `artifact ${formatDigest(content.digest)}`
    : `statement ${formatDigest(content.digest)}`;
}

function isDigest(artifact: SignableArtifact): artifact is { readonly digest: Digest } {
  return !(artifact instanceof Uint8Array) && "digest" in artifact;
}

function isPath(artifact: SignableArtifact): artifact is FilePath {
  return !(artifact instanceof Uint8Array) && "path" in artifact && typeof artifact.path === "string";
}

/** Ends a stream when the caller says so. */
export function abortable(artifact: SignableArtifact, signal: AbortSignal | undefined): SignableArtifact {
  if (signal === undefined || artifact instanceof Uint8Array || "digest" in artifact || "path" in artifact)
    return artifact;
  return checkedStream(artifact, signal);
}

async function* checkedStream(
  stream: AsyncIterable<Uint8Array> | ReadableStream<Uint8Array>,
  signal: AbortSignal,
): AsyncGenerator<Uint8Array> {
  for await (const chunk of stream) {
    signal.throwIfAborted();
    yield chunk;
  }
}
