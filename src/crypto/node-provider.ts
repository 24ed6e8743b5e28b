import { FormatError, VerificationError, type SigstoreError } from "../errors.ts";
import type { HashAlgorithm } from "./digest.ts";
import { verifyPrehashed } from "./prehash.ts";
import { probeKey } from "./probe-keys.ts";
import type { CryptoProvider, MaybePromise, StreamingDigest } from "./provider.ts";
import type { PublicKey, PublicKeyType } from "./public-key.ts";
import type { SignatureAlgorithm } from "./registry.ts";
import { tryReadSignature } from "./signature-shape.ts";

/** Is what is used of node:crypto, so that it need not be imported here. */
export interface NodeCrypto {
  readonly constants: { readonly RSA_PKCS1_PSS_PADDING: number; readonly RSA_PSS_SALTLEN_AUTO: number };
  createHash(algorithm: string): NodeHash;
  createPublicKey(input: { readonly key: Uint8Array; readonly format: "der"; readonly type: "spki" }): unknown;
  hash?(algorithm: string, data: Uint8Array, outputEncoding: "buffer"): Uint8Array;
  verify(hash: string | null, data: Uint8Array, key: unknown, signature: Uint8Array): boolean;
  verify(
    hash: string | null,
    data: Uint8Array,
    key: unknown,
    signature: Uint8Array,
    callback: (error: Error | null, valid: boolean) => void,
  ): void;
}

interface NodeHash {
  update(data: Uint8Array): unknown;
  digest(): Uint8Array;
}

/** Says how {@link createNodeProvider} uses the machine. */
export interface NodeProviderOptions {
  /**
   * Verifies signatures on the thread pool, so that several run at once and the event loop stays free. Default `true`. Each check
   * then costs some 20 µs more, and takes 10 µs of the event loop's thread instead of all that it costs; without it, a program that
   * verifies one signature after another on one core is a little faster.
   */
  readonly threadPool?: boolean;
}

/**
 * Makes a provider of node:crypto. Digests are computed at once.
 *
 * ECDSA and Ed25519ph over a digest alone use `@noble/curves`, which is loaded then.
 */
export function createNodeProvider(crypto: NodeCrypto, options: NodeProviderOptions = {}): CryptoProvider {
  const { threadPool = true } = options;
  const keys = new WeakMap<PublicKey, unknown>();
  const supported = new Map<string, boolean>();
  const { RSA_PKCS1_PSS_PADDING: padding, RSA_PSS_SALTLEN_AUTO: saltLength } = crypto.constants;

  function importKey(key: PublicKey): unknown {
    let imported = keys.get(key);
    if (imported === undefined) {
      try {
        imported = crypto.createPublicKey({ key: key.spki, format: "der", type: "spki" });
      } catch (cause) {
        throw knowsKeyType(key.type) ? malformed(key, cause) : unsupported(key.type, cause);
      }
      keys.set(key, imported);
    }
    return imported;
  }

  function knowsKeyType(type: PublicKeyType): boolean {
    try {
      crypto.createPublicKey({ key: probeKey(type).spki, format: "der", type: "spki" });
      return true;
    } catch {
      return false;
    }
  }

  function digest(algorithm: HashAlgorithm | "sha1", data: Uint8Array): Uint8Array {
    return plain(crypto.hash?.(algorithm, data, "buffer") ?? digestWith(crypto.createHash(algorithm), data));
  }

  function verify(
    algorithm: SignatureAlgorithm,
    key: PublicKey,
    signature: Uint8Array,
    data: Uint8Array,
  ): MaybePromise<boolean> {
    const { scheme } = algorithm;
    // OpenSSL has no answer to the first, and forgets the least salt of such a key.
    if (scheme === "ed25519ph" || (scheme === "rsa-pss" && key.pss !== undefined)) {
      return verifyDigest(algorithm, key, signature, digest(algorithm.hash as HashAlgorithm, data));
    }
    if (tryReadSignature(algorithm, key, signature) === undefined) return false;
    const imported = importKey(key);
    const verifyKey = scheme === "rsa-pss" ? { key: imported, padding, saltLength } : imported;
    const hash = algorithm.hash ?? null;
    if (!threadPool) {
      try {
        return crypto.verify(hash, data, verifyKey, signature);
      } catch (error) {
        return refusal(algorithm, error);
      }
    }
    return new Promise<boolean>((resolve, reject) => {
      crypto.verify(hash, data, verifyKey, signature, (error, valid) => {
        if (error) reject(error);
        else resolve(valid);
      });
    }).catch((error: unknown) => refusal(algorithm, error));
  }

  function verifyDigest(
    algorithm: SignatureAlgorithm,
    key: PublicKey,
    signature: Uint8Array,
    value: Uint8Array,
  ): Promise<boolean> {
    return verifyPrehashed(algorithm, key, signature, value, digest);
  }

  /** A key and a signature of the right form, neither of them real, are enough to see whether the runtime objects. */
  function tryOut(algorithm: SignatureAlgorithm): boolean {
    if (algorithm.scheme === "ed25519ph") return true;
    try {
      const key = importKey(probeKey(algorithm.keyTypes[0] as PublicKeyType));
      crypto.verify(
        algorithm.hash ?? null,
        new Uint8Array(1),
        algorithm.scheme === "rsa-pss" ? { key, padding, saltLength } : key,
        new Uint8Array(1),
      );
      return true;
    } catch (error) {
      return isOrdinary(error);
    }
  }

  return {
    name: "node",
    digest,
    createDigest(algorithm): StreamingDigest {
      const hash = crypto.createHash(algorithm);
      return { update: (chunk) => void hash.update(chunk), digest: () => plain(hash.digest()) };
    },
    supports(algorithm): boolean {
      let known = supported.get(algorithm.name);
      if (known === undefined) supported.set(algorithm.name, (known = tryOut(algorithm)));
      return known;
    },
    verify,
    verifyDigest,
  };
}

function digestWith(hash: NodeHash, data: Uint8Array): Uint8Array {
  hash.update(data);
  return hash.digest();
}

/** The same bytes without what a Buffer adds: `slice` of a Buffer does not copy. */
function plain(bytes: Uint8Array): Uint8Array {
  return new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.length);
}

/** OpenSSL reports some signatures that do not verify as errors. */
function refusal(algorithm: SignatureAlgorithm, error: unknown): false {
  if (isOrdinary(error)) return false;
  throw unsupported(algorithm.name, error);
}

function isOrdinary(error: unknown): boolean {
  const code = error instanceof Error && "code" in error ? String(error.code) : "";
  return code.startsWith("ERR_OSSL_") && !code.includes("UNSUPPORTED");
}

function malformed(key: PublicKey, cause: unknown): SigstoreError {
  return new FormatError("PUBLIC_KEY_MALFORMED", `public key is not a valid ${key.type} key`, { cause });
}

function unsupported(what: string, cause: unknown): SigstoreError {
  return new VerificationError("ALGORITHM_UNSUPPORTED", `${what} is not supported by this runtime's node:crypto`, {
    cause,
  });
}
