/**
 * What a caller asks of a verification. An omitted option is the safe one.
 *
 * @module
 */

import type { BundleVersion } from "../bundle/bundle.ts";
import type { CryptoProvider } from "../crypto/provider.ts";
import type { PublicKey } from "../crypto/public-key.ts";
import type { WitnessKey } from "../tlog/cosignature.ts";
import type { TimeRange } from "../trust/time-range.ts";
import type { TrustSource } from "../trust/trust-source.ts";
import type { Certificate } from "../x509/certificate.ts";
import type { SignedCertificateTimestamp } from "../x509/sct.ts";
import type { ExpectedIdentity } from "./identity.ts";

/** Says how many distinct operators must vouch for each kind of evidence. */
export interface Thresholds {
  /** Transparency logs that the signature is in. Default 1. With 0, an entry of a known log must still hold. */
  readonly tlog?: number | undefined;
  /** Authorities that gave an RFC 3161 timestamp. Default 0: log time will do. */
  readonly timestamp?: number | undefined;
  /** Certificate transparency logs that promised to publish the certificate. Default 1. */
  readonly sct?: number | undefined;
  /** Witnesses that cosigned the checkpoint of each log entry, out of {@link VerifierOptions.witnesses}. Default 0. */
  readonly witness?: number | undefined;
}

/** Says which time a certificate or a key with a validity window must have been valid at. */
export type TimePolicy =
  /** Times that were signed, by a timestamp authority or by a Rekor v1 log, from at least this many distinct operators. */
  | { readonly kind: "observed"; readonly threshold: number }
  /** The given time, besides every time that was signed. Only for certificates and keys that live long. */
  | { readonly kind: "current-time"; readonly now: Date };

/** Configures a `Verifier` once, for many bundles. */
export interface VerifierOptions {
  readonly thresholds?: Thresholds | undefined;
  /**
   * Default: one observed time for a certificate, and for a key that has a validity window; none for a key that has no window.
   * Given, an `observed` threshold holds for every key as well.
   */
  readonly time?: TimePolicy | undefined;
  /** Witnesses whose cosignatures are looked for on checkpoints. */
  readonly witnesses?: readonly WitnessKey[] | undefined;
  /** Refuses bundles of an older version. Default: none is refused. */
  readonly minimumBundleVersion?: BundleVersion | undefined;
  /** Refuses a log entry that has a promise of inclusion only, which v0.1 bundles may. Default false. */
  readonly requireInclusionProof?: boolean | undefined;
  /** Refuses a log entry for whose log key's validity no verified time speaks. Default false. */
  readonly requireLogKeyValidity?: boolean | undefined;
  /**
   * Refuses a trusted root that lists transparency logs: it is of an instance whose signatures are to be found in them. Default false.
   */
  readonly refuseRootWithLogs?: boolean | undefined;
  /** Takes intermediate certificates from the bundle, which is then also allowed to hold a chain in version 0.3. Default false. */
  readonly allowCertificateChain?: boolean | undefined;
  /** The policy OID that every RFC 3161 timestamp must carry. Default: any. */
  readonly timestampPolicy?: string | undefined;
  /** Says why a signer is no longer to be believed, or `undefined`. See client specification §4, "revoked". */
  readonly denyList?: ((signer: DeniedSigner) => string | undefined) | undefined;
  /** Default: node:crypto where there is one, otherwise WebCrypto. */
  readonly crypto?: CryptoProvider | undefined;
  /** Repeated in the evidence. */
  readonly trustSource?: TrustSource | undefined;
}

/** Is what a deny list is asked about. */
export type DeniedSigner =
  | { readonly kind: "certificate"; readonly certificate: Certificate }
  | { readonly kind: "public-key"; readonly spkiSha256: Uint8Array };

/** Names a public key that the caller trusts. */
export interface TrustedKey {
  readonly publicKey: PublicKey;
  /** The caller's own name for it, repeated in the evidence. */
  readonly name?: string | undefined;
  /** Checked at every verified time; without any, the `current-time` policy is needed. Default: no window. */
  readonly validFor?: TimeRange | undefined;
}

/** Says who must have signed: an identity in a certificate, or one of some keys. There is no default. */
export type ExpectedSigner =
  | { readonly identity: ExpectedIdentity | "unsafe-any"; readonly keys?: undefined }
  | { readonly keys: readonly [TrustedKey, ...TrustedKey[]]; readonly identity?: undefined };

/** Says what one bundle must prove. */
export type VerifyPolicy = ExpectedSigner & {
  /** The predicate type that the statement must have. Given, a bundle without a statement fails. Default: any. */
  readonly predicateType?: string | undefined;
  /** SCTs that came beside the certificate, not inside it. */
  readonly detachedScts?: readonly SignedCertificateTimestamp[] | undefined;
};

/**
 * Is the profile for GitHub's own Sigstore instance, which signs in private repositories: no logs, one timestamp. The trusted root of an
 * instance that has logs is refused with it, so that nothing is believed of that instance without them.
 */
export const GITHUB_PROFILE = {
  thresholds: { tlog: 0, sct: 0, timestamp: 1 },
  refuseRootWithLogs: true,
} as const satisfies VerifierOptions;
