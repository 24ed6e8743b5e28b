import type { PublicKey } from "../crypto/public-key.ts";
import type { SignatureAlgorithm } from "../crypto/registry.ts";

/** Signs with one private key, wherever that is kept. */
export interface Signer {
  readonly publicKey: PublicKey;
  /** What it signs with; never a deprecated algorithm. */
  readonly algorithm: SignatureAlgorithm;
  /**
   * Signs a message.
   *
   * @returns the signature, DER for ECDSA, otherwise raw.
   */
  sign(message: Uint8Array, signal?: AbortSignal): Promise<Uint8Array>;
  /**
   * Signs the message that has this digest. Absent where the algorithm or the key's keeper needs the message itself.
   *
   * @param digest - The message hashed with `algorithm.hash`.
   * @returns as {@link Signer.sign}.
   */
  signDigest?(digest: Uint8Array, signal?: AbortSignal): Promise<Uint8Array>;
}
