/**
 * What an observer of a signature is told, step by step.
 *
 * @module
 */

/**
 * Is one step. Steps that end in `-ing` are about to happen; the others have happened.
 *
 * The order of one signature: `services-selected`, `token-checked`, `certificate-requesting`, `certificate-verified`, `signed`,
 * `timestamp-requesting` and `timestamp-verified` for each authority, `entry-submitting` and `entry-verified` for each log,
 * `bundle-verified`. With a state file, `state-stored` follows each thing that is worth keeping.
 */
export type SigningEvent =
  | { readonly kind: "services-selected"; readonly services: SelectedServices }
  | {
      readonly kind: "state-resumed";
      readonly path: string;
      readonly timestamps: number;
      readonly entries: number;
      /** Whom the certificate in the state names, whose signature this therefore becomes; absent without a certificate of Fulcio. */
      readonly subject?: string;
      readonly issuer?: string;
    }
  /** A state that cannot be finished any more is begun anew. */
  | { readonly kind: "state-discarded"; readonly path: string; readonly reason: string }
  | { readonly kind: "artifact-read"; readonly digest: string }
  | { readonly kind: "token-checked"; readonly issuer: string; readonly subject: string; readonly expiresAt: Date }
  | { readonly kind: "certificate-requesting"; readonly url: string }
  | {
      readonly kind: "certificate-verified";
      readonly subject: string;
      readonly notAfter: Date;
      /** False with `trust: "unsafe-none"`: then key and identity were compared, and no signature. */
      readonly chainVerified: boolean;
    }
  /** The clock here is behind Fulcio's by so much, which is tolerated. */
  | { readonly kind: "clock-skew"; readonly milliseconds: number }
  | { readonly kind: "signed"; readonly algorithm: string }
  | { readonly kind: "state-stored"; readonly path: string }
  | { readonly kind: "timestamp-requesting"; readonly url: string }
  | { readonly kind: "timestamp-verified"; readonly url: string; readonly time: Date | undefined }
  | { readonly kind: "entry-submitting"; readonly url: string; readonly majorApiVersion: 1 | 2 }
  | { readonly kind: "entry-verified"; readonly url: string; readonly logIndex: bigint }
  /** A log takes no more entries; the signing config is loaded again. */
  | { readonly kind: "log-frozen"; readonly url: string }
  | { readonly kind: "bundle-verified" }
  | { readonly kind: "state-removed"; readonly path: string };

/** Names the services that a session uses. */
export interface SelectedServices {
  readonly fulcio: string | undefined;
  readonly rekor: readonly { readonly url: string; readonly majorApiVersion: 1 | 2 }[];
  readonly timestampAuthorities: readonly string[];
}
