/**
 * The artifact, however it is given, as the digests and bytes that a verification asks for.
 *
 * @module
 */

import type { CryptoProvider } from "../crypto/provider.ts";
import { DIGEST_LENGTH, type Digest, type HashAlgorithm } from "../crypto/digest.ts";
import { InputError, SigstoreError } from "../errors.ts";
import { MAX_BUFFERED_MESSAGE_BYTES } from "../limits.ts";
import { concatBytes } from "../encoding/bytes.ts";

/**
 * Is what was signed, or what a statement must be about: its bytes, a stream of them, or digests made elsewhere.
 * `"unsafe-any"` is accepted for a statement only and gives up the comparison with its subjects.
 */
export type Artifact =
  | Uint8Array
  | AsyncIterable<Uint8Array>
  | ReadableStream<Uint8Array>
  | { readonly digests: readonly [Digest, ...Digest[]] }
  | "unsafe-any";

/** Is the artifact as far as it has been read. */
export interface ReadArtifact {
  /** The bytes, when they are in memory. */
  readonly bytes: Uint8Array | undefined;
  /** Finds the digest, computing it where the bytes are in memory. */
  digest(algorithm: HashAlgorithm): Promise<Uint8Array | undefined>;
  /** Every digest known without further work. */
  readonly known: readonly Digest[];
}

/**
 * Reads the artifact once, with every digest that the bundle will be compared by.
 *
 * @param algorithms - Digests that will be needed.
 * @param wholeMessage - Whether the signature algorithm needs the bytes themselves, as pure Ed25519 does.
 * @throws {@link InputError} `ARTIFACT_UNREADABLE`, `FILE_TOO_LARGE` where bytes are needed and there are too many.
 */
export async function readArtifact(
  artifact: Exclude<Artifact, "unsafe-any">,
  algorithms: readonly HashAlgorithm[],
  wholeMessage: boolean,
  crypto: CryptoProvider,
): Promise<ReadArtifact> {
  if (artifact instanceof Uint8Array) return fromBytes(artifact, crypto);
  if ("digests" in artifact) return fromDigests(artifact.digests);
  if (wholeMessage) return fromBytes(await collect(artifact), crypto);

  const digests = await Promise.all(
    algorithms.map(async (algorithm) => ({ algorithm, hash: await crypto.createDigest(algorithm) })),
  );
  await forEachChunk(artifact, (chunk) => {
    for (const { hash } of digests) hash.update(chunk);
  });
  return fromDigests(
    await Promise.all(digests.map(async ({ algorithm, hash }) => ({ algorithm, value: await hash.digest() }))),
  );
}

function fromBytes(bytes: Uint8Array, crypto: CryptoProvider): ReadArtifact {
  const digests = new Map<HashAlgorithm, Promise<Uint8Array>>();
  const known: Digest[] = [];
  return {
    bytes,
    known,
    digest(algorithm) {
      let digest = digests.get(algorithm);
      if (digest === undefined) {
        digest = Promise.resolve(crypto.digest(algorithm, bytes)).then((value) => {
          known.push({ algorithm, value });
          return value;
        });
        digests.set(algorithm, digest);
      }
      return digest;
    },
  };
}

function fromDigests(known: readonly Digest[]): ReadArtifact {
  for (const { algorithm, value } of known) {
    if (value.length !== DIGEST_LENGTH[algorithm]) {
      throw new InputError("USAGE_INVALID", `artifact digest is not a ${algorithm} digest`, {
        expected: `${DIGEST_LENGTH[algorithm]} bytes`,
        found: `${value.length} bytes`,
      });
    }
  }
  return {
    bytes: undefined,
    known,
    digest: (algorithm) => Promise.resolve(known.find((digest) => digest.algorithm === algorithm)?.value),
  };
}

async function collect(artifact: AsyncIterable<Uint8Array> | ReadableStream<Uint8Array>): Promise<Uint8Array> {
  const chunks: Uint8Array[] = [];
  let length = 0;
  await forEachChunk(artifact, (chunk) => {
    length += chunk.length;
    if (length > MAX_BUFFERED_MESSAGE_BYTES) {
      throw new InputError(
        "FILE_TOO_LARGE",
        "artifact is too large for a signature algorithm that cannot be fed piece by piece",
        {
          expected: `at most ${MAX_BUFFERED_MESSAGE_BYTES} bytes`,
          remedy: "give the artifact as bytes in memory",
        },
      );
    }
    chunks.push(Uint8Array.from(chunk)); // a stream may use its buffer again, and the slice of a Buffer is no copy
  });
  return concatBytes(...chunks);
}

async function forEachChunk(
  artifact: AsyncIterable<Uint8Array> | ReadableStream<Uint8Array>,
  use: (chunk: Uint8Array) => void,
): Promise<void> {
  try {
    // Some browsers have streams that cannot be iterated.
    if (!("getReader" in artifact)) {
      for await (const chunk of artifact) use(chunk);
      return;
    }
    const reader = artifact.getReader();
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return;
      use(value);
    }
  } catch (cause) {
    if (cause instanceof SigstoreError) throw cause;
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new InputError("ARTIFACT_UNREADABLE", `could not read the artifact: ${reason}`, { cause });
  }
}
