/**
 * What a verification proves. Only this folder builds these values, each next to its check.
 *
 * @module
 */

import type { Digest } from "../crypto/digest.ts";
import type { Check } from "../errors.ts";
import type { Statement, Subject } from "../intoto/statement.ts";
import type { VerifiedCosignature } from "../tlog/cosignature.ts";
import type { TrustSource } from "../trust/trust-source.ts";
import type { Certificate } from "../x509/certificate.ts";
import type { CertificateIdentity } from "./identity.ts";

/** Holds what was proven about a bundle. Apart from `setAside`, `checks` and `trust`, nothing here is merely claimed. */
export interface VerifiedBundle {
  /** Whose key made the signature. */
  readonly signer: VerifiedSigner;
  /** What the signature covers. */
  readonly content: VerifiedContent;
  /** The signature algorithm, named as in the Sigstore algorithm registry. */
  readonly signatureAlgorithm: string;
  /** When the signature existed: every time that was verified. Thresholds count its distinct operators. */
  readonly timestamps: readonly VerifiedTimestamp[];
  /** Where the signature was made public: every entry that was verified. Thresholds count its distinct operators. */
  readonly logEntries: readonly VerifiedLogEntry[];
  /** What the caller's options gave up, or the bundle has no means to prove, as one with a promise of inclusion alone. */
  readonly unproven: readonly Unproven[];
  /** Material of authorities that the trusted root does not know. Claimed, not proven. */
  readonly setAside: readonly SetAside[];
  /** Every check, in the order of the client specification. */
  readonly checks: readonly Check[];
  /** Where the trusted root came from. */
  readonly trust: TrustSource;
}

/** Is whose key made the signature. */
export type VerifiedSigner =
  | {
      readonly kind: "certificate";
      readonly certificate: Certificate;
      readonly identity: CertificateIdentity;
      /** The proven path: leaf first, trust anchor last. */
      readonly chain: readonly Certificate[];
      /** The authority of the trusted root that the path ends in. */
      readonly certificateAuthority: { readonly uri: string; readonly operator: string };
      readonly signedCertificateTimestamps: readonly VerifiedSignedCertificateTimestamp[];
    }
  | {
      readonly kind: "public-key";
      /** SHA-256 of the DER SubjectPublicKeyInfo, 32 bytes. */
      readonly spkiSha256: Uint8Array;
      /** The caller's own name for the key, never the bundle's hint. */
      readonly name: string | undefined;
    };

/** Is what the signature covers. */
export type VerifiedContent =
  | { readonly kind: "artifact"; readonly digest: Digest }
  | {
      readonly kind: "statement";
      readonly statement: Statement;
      readonly predicateType: string;
      /** The subject that is the artifact, with the digest that matched; absent when the caller gave up that check. */
      readonly subject: { readonly subject: Subject; readonly digest: Digest } | undefined;
      /** The signed bytes of the statement. */
      readonly payload: Uint8Array;
    };

/** Is a time that an authority signed. */
export type VerifiedTimestamp =
  | {
      readonly kind: "rfc3161";
      readonly time: Date;
      /** Who is counted: the operator of the root entry, otherwise its URI. */
      readonly operator: string;
      readonly uri: string;
    }
  | {
      /** The integrated time of a Rekor v1 entry, under its inclusion promise. */
      readonly kind: "integrated-time";
      readonly time: Date;
      readonly operator: string;
      readonly logId: Uint8Array;
    };

/** Is an entry that a transparency log signed for. */
export interface VerifiedLogEntry {
  /** SHA-256 log id of the trusted root, 32 bytes. */
  readonly logId: Uint8Array;
  readonly baseUrl: string;
  /** Who is counted: the operator of the root entry, otherwise its log id. */
  readonly operator: string;
  readonly kind: string;
  readonly version: string;
  /** The index in the log; absent for a Rekor v1 entry without an inclusion promise, whose index nothing proves. */
  readonly logIndex: bigint | undefined;
  /** Only under a verified inclusion promise. */
  readonly integratedTime: Date | undefined;
  readonly inclusionPromise: boolean;
  readonly inclusionProof:
    | {
        /** Index in the tree of the checkpoint; for Rekor v1 this is the shard's own. */
        readonly logIndex: bigint;
        readonly treeSize: bigint;
        readonly rootHash: Uint8Array;
        /** First line of the checkpoint. */
        readonly origin: string;
        readonly cosignatures: readonly VerifiedCosignature[];
      }
    | undefined;
}

/** Is a promise of a certificate transparency log to publish the certificate. */
export interface VerifiedSignedCertificateTimestamp {
  readonly logId: Uint8Array;
  readonly baseUrl: string;
  readonly operator: string;
  readonly time: Date;
  /** Whether the time lies within the certificate's validity, which no specification demands. */
  readonly withinCertificateValidity: boolean;
}

/** Names something that would have been proven under the default options, or that the bundle gives no means to prove. */
export interface Unproven {
  readonly what:
    | "identity"
    | "issuer"
    | "signed-certificate-timestamp"
    | "subject"
    | "time"
    | "tlog-inclusion-proof"
    | "tlog-key-validity"
    | "transparency-log";
  readonly reason: string;
}

/** Names material that proves nothing here, because the trusted root does not know its authority. */
export interface SetAside {
  readonly what: "rfc3161-timestamp" | "signed-certificate-timestamp" | "tlog-entry" | "trusted-root-entry";
  /** Where in the bundle, the certificate or the trusted root. */
  readonly path: string;
  readonly reason: string;
}
