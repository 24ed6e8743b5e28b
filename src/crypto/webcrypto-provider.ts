import { FormatError, VerificationError, type SigstoreError } from "../errors.ts";
import { DIGEST_LENGTH, type HashAlgorithm } from "./digest.ts";
import { verifyPrehashed } from "./prehash.ts";
import { probeKey } from "./probe-keys.ts";
import type { CryptoProvider, StreamingDigest } from "./provider.ts";
import { parseRsaPublicKey, type PublicKey, type PublicKeyType } from "./public-key.ts";
import type { SignatureAlgorithm } from "./registry.ts";
import { tryReadSignature } from "./signature-shape.ts";

/** Is what is used of WebCrypto's `SubtleCrypto`, which not every type library declares. */
export interface WebCryptoSubtle {
  digest(algorithm: string, data: Uint8Array<ArrayBuffer>): Promise<ArrayBuffer>;
  importKey(
    format: "spki",
    data: Uint8Array<ArrayBuffer>,
    algorithm: WebCryptoAlgorithm,
    extractable: boolean,
    usages: "verify"[],
  ): Promise<unknown>;
  verify(
    algorithm: WebCryptoAlgorithm,
    key: unknown,
    signature: Uint8Array<ArrayBuffer>,
    data: Uint8Array<ArrayBuffer>,
  ): Promise<boolean>;
}

interface WebCryptoAlgorithm {
  readonly name: string;
  readonly namedCurve?: string;
  readonly hash?: string;
  readonly saltLength?: number;
}

const HASH_NAMES: Readonly<Record<HashAlgorithm | "sha1", string>> = {
  sha1: "SHA-1",
  sha256: "SHA-256",
  sha384: "SHA-384",
  sha512: "SHA-512",
};

const CURVE_NAMES: Readonly<Partial<Record<PublicKeyType, string>>> = {
  "ecdsa-p256": "P-256",
  "ecdsa-p384": "P-384",
  "ecdsa-p521": "P-521",
};

/**
 * Makes a provider of WebCrypto, for browsers and for runtimes without node:crypto.
 *
 * What WebCrypto has no answer to is done by `@noble/curves` and `@noble/hashes`, which are loaded then: hashes over a stream,
 * ECDSA and Ed25519ph over a digest alone.
 */
export function createWebCryptoProvider(subtle: WebCryptoSubtle): CryptoProvider {
  const keys = new WeakMap<PublicKey, Map<string, Promise<unknown>>>();
  const supported = new Map<string, Promise<boolean>>();

  async function digest(algorithm: HashAlgorithm | "sha1", data: Uint8Array): Promise<Uint8Array> {
    return new Uint8Array(await subtle.digest(HASH_NAMES[algorithm], unshared(data)));
  }

  function importKey(algorithm: SignatureAlgorithm, key: PublicKey): Promise<unknown> {
    let imported = keys.get(key);
    if (imported === undefined) keys.set(key, (imported = new Map<string, Promise<unknown>>()));
    // WebCrypto binds an RSA key to its scheme and hash.
    const use = `${algorithm.scheme} ${algorithm.hash}`;
    let handle = imported.get(use);
    if (handle === undefined) imported.set(use, (handle = importAfresh(algorithm, key)));
    return handle;
  }

  async function importAfresh(algorithm: SignatureAlgorithm, key: PublicKey): Promise<unknown> {
    // WebCrypto knows no keys that are for PSS alone.
    const spki = key.type === "rsa-pss" ? parseRsaPublicKey(key.keyBytes).spki : key.spki;
    try {
      return await subtle.importKey("spki", unshared(spki), importParameters(algorithm, key), false, ["verify"]);
    } catch (cause) {
      const probe = probeKey(key.type);
      if (key !== probe && (await supports(algorithm))) {
        throw new FormatError("PUBLIC_KEY_MALFORMED", `public key is not a valid ${key.type} key`, { cause });
      }
      throw unsupported(algorithm, cause);
    }
  }

  async function verify(
    algorithm: SignatureAlgorithm,
    key: PublicKey,
    signature: Uint8Array,
    data: Uint8Array,
  ): Promise<boolean> {
    const { hash, scheme } = algorithm;
    if (scheme === "ed25519ph") return verifyDigest(algorithm, key, signature, await digest("sha512", data));
    const raw = tryReadSignature(algorithm, key, signature);
    if (raw === undefined) return false;
    const handle = await importKey(algorithm, key);
    try {
      if (await subtle.verify(verifyParameters(algorithm, key), handle, unshared(raw), unshared(data))) return true;
    } catch (error) {
      return refusal(algorithm, error);
    }
    // WebCrypto must be told the length of the salt, and was told that of the hash.
    return (
      scheme === "rsa-pss" && hash !== undefined && verifyDigest(algorithm, key, signature, await digest(hash, data))
    );
  }

  function verifyDigest(
    algorithm: SignatureAlgorithm,
    key: PublicKey,
    signature: Uint8Array,
    value: Uint8Array,
  ): Promise<boolean> {
    return verifyPrehashed(algorithm, key, signature, value, digest);
  }

  function supports(algorithm: SignatureAlgorithm): Promise<boolean> {
    let answer = supported.get(algorithm.name);
    if (answer === undefined) supported.set(algorithm.name, (answer = tryOut(algorithm)));
    return answer;
  }

  /** A key and a signature of the right length, neither of them real, are enough to see whether the runtime objects. */
  async function tryOut(algorithm: SignatureAlgorithm): Promise<boolean> {
    if (algorithm.scheme === "ed25519ph") return true;
    const key = probeKey(algorithm.keyTypes[0] as PublicKeyType);
    try {
      const handle = await importKey(algorithm, key);
      await subtle.verify(verifyParameters(algorithm, key), handle, new Uint8Array(64), new Uint8Array(1));
      return true;
    } catch (error) {
      return isOrdinary(error);
    }
  }

  return {
    name: "webcrypto",
    digest,
    async createDigest(algorithm): Promise<StreamingDigest> {
      const hashes = await import("@noble/hashes/sha2.js");
      const hash = hashes[algorithm].create();
      return { update: (chunk) => void hash.update(chunk), digest: () => hash.digest() };
    },
    supports,
    verify,
    verifyDigest,
  };
}

/** WebCrypto does not read memory that another thread may write to meanwhile. */
function unshared(bytes: Uint8Array): Uint8Array<ArrayBuffer> {
  return bytes.buffer instanceof ArrayBuffer ? (bytes as Uint8Array<ArrayBuffer>) : new Uint8Array(bytes);
}

function importParameters(algorithm: SignatureAlgorithm, key: PublicKey): WebCryptoAlgorithm {
  switch (algorithm.scheme) {
    case "ecdsa":
      return { name: "ECDSA", namedCurve: CURVE_NAMES[key.type] as string };
    case "rsa-pkcs1":
      return { name: "RSASSA-PKCS1-v1_5", hash: HASH_NAMES[algorithm.hash as HashAlgorithm] };
    case "rsa-pss":
      return { name: "RSA-PSS", hash: HASH_NAMES[algorithm.hash as HashAlgorithm] };
    case "ed25519":
    case "ed25519ph":
      return { name: "Ed25519" };
    case "ml-dsa":
      return { name: key.type.toUpperCase() };
  }
}

function verifyParameters(algorithm: SignatureAlgorithm, key: PublicKey): WebCryptoAlgorithm {
  switch (algorithm.scheme) {
    case "ecdsa":
      return { name: "ECDSA", hash: HASH_NAMES[algorithm.hash as HashAlgorithm] };
    case "rsa-pss":
      return { name: "RSA-PSS", saltLength: DIGEST_LENGTH[algorithm.hash as HashAlgorithm] };
    case "rsa-pkcs1":
    case "ed25519":
    case "ed25519ph":
    case "ml-dsa":
      return { name: importParameters(algorithm, key).name };
  }
}

function refusal(algorithm: SignatureAlgorithm, error: unknown): false {
  if (isOrdinary(error)) return false;
  throw unsupported(algorithm, error);
}

/** An operation that began and failed, as opposed to one that the runtime does not know. */
function isOrdinary(error: unknown): boolean {
  const name = (error as { name?: unknown } | undefined)?.name;
  return name === "OperationError" || name === "DataError";
}

function unsupported(algorithm: SignatureAlgorithm, cause: unknown): SigstoreError {
  return new VerificationError(
    "ALGORITHM_UNSUPPORTED",
    `${algorithm.name} is not supported by this runtime's WebCrypto`,
    {
      cause,
      remedy: "use a runtime that has the algorithm, such as a current Node",
    },
  );
}
