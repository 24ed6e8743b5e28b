/**
 * The artifact as it is given on the command line: a file, standard input, a URL or a digest.
 *
 * @module
 */

import { DIGEST_LENGTH, tryParseDigest, type Digest } from "../crypto/digest.ts";
import { tryDecodeHex } from "../encoding/hex.ts";
import type { InputError } from "../errors.ts";
import { exists, openArtifactFile } from "../files/read-file.ts";
import { fetchStream } from "../http/request.ts";
import type { Artifact } from "../verify/artifact.ts";
import { trace, type Context } from "./context.ts";
import { usage } from "./flags.ts";
import { createProgress } from "./progress.ts";

/** Is an artifact that can be read once. */
export interface OpenArtifact {
  readonly artifact: Artifact;
  /** Is called when nothing more is read, whether or not all was. */
  readonly end: () => void;
}

/** Artifacts from a URL are streamed; this only ends an endless answer. */
const MAX_ARTIFACT_URL_BYTES = Number.MAX_SAFE_INTEGER;
/** The time limit of the whole command is the one that counts. */
const NO_TIMEOUT_MS = 2 ** 31 - 1;

/** Says whether an operand is an address to fetch from. */
export function isUrl(operand: string): boolean {
  return /^https?:\/\//.test(operand);
}

/** Finds out whether an operand that is here can be opened, and reads nothing of it. @throws InputError. */
export async function probeArtifact(operand: string): Promise<void> {
  if (operand === "-" || isUrl(operand)) return;
  if (LOOKS_LIKE_DIGEST.test(operand) && !(await exists(operand))) {
    if (tryParseDigest(operand.toLowerCase()) === undefined) throw wrongDigest(operand);
    return;
  }
  const file = await openArtifactFile(operand); // tells a folder, and what may not be read
  if (!(file instanceof Uint8Array)) await (file as AsyncGenerator<Uint8Array>).return(undefined);
}

/**
 * Opens the artifact. A name that exists as a file is that file, whatever else it looks like.
 *
 * @throws InputError, ServiceError.
 */
export async function openArtifact(operand: string, context: Context): Promise<OpenArtifact> {
  const { fetch, signal } = context;
  const { update, end } = createProgress(context, "Reading the artifact");
  const watched = (stream: AsyncIterable<Uint8Array>, size: number | undefined): OpenArtifact => ({
    artifact: watch(stream, (read) => update(read, size === undefined ? undefined : Math.max(size, read)), signal),
    end,
  });
  if (operand === "-") return watched(context.stdin, undefined);
  if (isUrl(operand)) {
    const { stream, length } = await fetchStream(operand, MAX_ARTIFACT_URL_BYTES, {
      fetch,
      timeoutMs: NO_TIMEOUT_MS,
      signal,
    });
    return watched(stream, length);
  }
  if (LOOKS_LIKE_DIGEST.test(operand) && !(await exists(operand))) {
    const digest = tryParseDigest(operand.toLowerCase());
    if (digest === undefined) throw wrongDigest(operand);
    trace(context, "artifact: by its digest alone");
    return { artifact: { digests: [digest] }, end };
  }
  const file = await openArtifactFile(operand, update);
  if (file instanceof Uint8Array) {
    trace(context, `artifact: ${operand}, ${file.length} bytes`);
    return { artifact: file, end };
  }
  return { artifact: watch(file, () => undefined, signal), end };
}

/** Reads `--digest` and `--digestAlg`. @throws InputError `USAGE_INVALID`. */
export function readDigest(hex: string, algorithm: Digest["algorithm"]): Digest {
  const value = tryDecodeHex(hex);
  if (value === undefined || value.length !== DIGEST_LENGTH[algorithm]) throw wrongDigest(`${algorithm}:${hex}`);
  return { algorithm, value };
}

// Also what some other tool calls a digest: better refused as one than looked for as a file.
const LOOKS_LIKE_DIGEST = /^(sha(256|384|512):|(sha|md|blake)[a-z0-9-]*:[0-9a-f]{32,}$)/i;

/** Tells of each piece, and ends when it is no longer wanted. */
async function* watch(
  stream: AsyncIterable<Uint8Array>,
  tell: (read: number) => void,
  signal: AbortSignal,
): AsyncGenerator<Uint8Array> {
  let read = 0;
  for await (const piece of stream) {
    signal.throwIfAborted();
    yield piece;
    read += piece.length;
    tell(read);
  }
}

function wrongDigest(text: string): InputError {
  const lengths = Object.entries(DIGEST_LENGTH).map(([name, bytes]) => `${name} with ${bytes * 2}`);
  return usage(`${JSON.stringify(text)} is not a digest`, {
    expected: `${lengths.join(", ")} hexadecimal digits`,
    remedy: "write it as sha256sum prints it, or give the file",
  });
}
