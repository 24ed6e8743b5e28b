import { VerificationError } from "../errors.ts";
import type { HashAlgorithm } from "./digest.ts";
import { createNodeProvider, type NodeCrypto } from "./node-provider.ts";
import type { PublicKey } from "./public-key.ts";
import type { SignatureAlgorithm } from "./registry.ts";
import { createWebCryptoProvider, type WebCryptoSubtle } from "./webcrypto-provider.ts";

/** Is a value, or a promise of it where the runtime computes it elsewhere. */
export type MaybePromise<T> = T | Promise<T>;

/** Is a hash that is fed piece by piece. */
export interface StreamingDigest {
  update(chunk: Uint8Array): void;
  /** Ends the hash; nothing may be fed to it afterwards. */
  digest(): MaybePromise<Uint8Array>;
}

/** Is the cryptography of a runtime, behind which every hash and every signature check is made. */
export interface CryptoProvider {
  /** `node` or `webcrypto`, or what a provider made by a caller is called. */
  readonly name: string;

  /** Hashes bytes. SHA-1 serves only to find the certificate that an old timestamp names. */
  digest(algorithm: HashAlgorithm | "sha1", data: Uint8Array): MaybePromise<Uint8Array>;

  /** Starts a hash over data that arrives piece by piece. */
  createDigest(algorithm: HashAlgorithm): MaybePromise<StreamingDigest>;

  /** Tells whether the runtime can verify signatures of this algorithm. */
  supports(algorithm: SignatureAlgorithm): MaybePromise<boolean>;

  /**
   * Tells whether a signature over a message is by this key.
   *
   * @param signature - DER for ECDSA, otherwise raw. A malformed one does not verify.
   * @throws {@link FormatError} `PUBLIC_KEY_MALFORMED` when the key is not on its curve.
   * @throws {@link VerificationError} `ALGORITHM_UNSUPPORTED` where the runtime lacks the algorithm.
   */
  verify(algorithm: SignatureAlgorithm, key: PublicKey, signature: Uint8Array, data: Uint8Array): MaybePromise<boolean>;

  /**
   * Tells whether a signature over the message with this digest is by this key.
   *
   * @param digest - The message hashed with `algorithm.hash`.
   * @throws {@link FormatError} `PUBLIC_KEY_MALFORMED` when the key is not on its curve.
   * @throws {@link VerificationError} `DIGEST_ONLY_UNSUPPORTED` for Ed25519 and ML-DSA, which need the message.
   */
  verifyDigest(
    algorithm: SignatureAlgorithm,
    key: PublicKey,
    signature: Uint8Array,
    digest: Uint8Array,
  ): MaybePromise<boolean>;
}

let cached: CryptoProvider | undefined;

/**
 * Gives the cryptography of this runtime: that of Node where there is one, else WebCrypto.
 *
 * @throws {@link VerificationError} `ALGORITHM_UNSUPPORTED` where there is neither, as on a web page that was not loaded securely.
 */
export function defaultCryptoProvider(): CryptoProvider {
  return (cached ??= findProvider(globalThis));
}

/** What {@link findProvider} looks for among the globals. */
interface Globals {
  readonly process?: { readonly getBuiltinModule?: (id: "node:crypto") => unknown } | undefined;
  readonly crypto?: { readonly subtle?: unknown } | undefined;
}

/** @internal */
export function findProvider(globals: Globals): CryptoProvider {
  const nodeCrypto = globals.process?.getBuiltinModule?.("node:crypto") as NodeCrypto | undefined;
  if (nodeCrypto !== undefined) return createNodeProvider(nodeCrypto);
  const subtle = globals.crypto?.subtle as WebCryptoSubtle | undefined;
  if (subtle !== undefined) return createWebCryptoProvider(subtle);
  throw new VerificationError("ALGORITHM_UNSUPPORTED", "this runtime has neither node:crypto nor WebCrypto", {
    remedy: "serve the page over HTTPS, since browsers offer WebCrypto to secure pages only",
  });
}
