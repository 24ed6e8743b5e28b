/**
 * Where a trusted root came from, so that evidence can say how fresh the trust behind it was.
 *
 * @module
 */

/** Says where a trusted root came from and how old it is. Not part of what was proven, but of how much it is worth. */
export type TrustSource =
  /** Given by the caller as bytes or as an object. */
  | { readonly kind: "caller" }
  /** Read from a file that the caller named. */
  | { readonly kind: "file"; readonly path: string }
  /** Shipped with this package: as old as `publishedAt`, which is when it was taken from its repository. */
  | { readonly kind: "embedded"; readonly instance: string; readonly publishedAt: Date; readonly expired: boolean }
  /** From a TUF repository: refreshed now, or from its cache. */
  | {
      readonly kind: "tuf";
      readonly mirror: string;
      readonly refreshedAt: Date;
      readonly fromCache: boolean;
      /** When the first of its metadata files ends, or ended: in practice `timestamp.json`. */
      readonly expires: Date;
      readonly expired: boolean;
    };
