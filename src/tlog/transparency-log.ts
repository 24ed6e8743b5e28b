import type { PublicKey } from "../crypto/public-key.ts";
import type { SignatureAlgorithm } from "../crypto/registry.ts";

/**
 * Is a transparency log that is trusted, and the key that it signs with.
 *
 * @see sigstore_trustroot.proto `TransparencyLogInstance`
 */
export interface TransparencyLog {
  readonly baseUrl: string;
  /** SHA-256 of the key in Rekor v1, the whole checkpoint key id in Rekor v2. */
  readonly logId: Uint8Array;
  readonly checkpointKeyId?: Uint8Array;
  readonly publicKey: PublicKey;
  readonly algorithm: SignatureAlgorithm;
  readonly operator?: string;
  /** When the key signed. Not checked in `tlog/`, which knows no time: see `verify/`. */
  readonly validFor: { readonly start: Date; readonly end?: Date };
}
