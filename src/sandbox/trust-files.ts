/**
 * What clients of the sandbox are told to trust, and whom to ask: its trusted root and its signing configs.
 *
 * @module
 */

import { algorithmForKeyDetails } from "../crypto/registry.ts";
import type { PublicKey } from "../crypto/public-key.ts";
import { SIGNING_CONFIG_MEDIA_TYPE, type Service, type SigningConfig } from "../trust/signing-config.ts";
import type { TimeRange } from "../trust/time-range.ts";
import type { CertificateAuthority, TransparencyLogInstance, TrustedRoot } from "../trust/trusted-root.ts";
import { parseCertificate } from "../x509/certificate.ts";

/** Is a period in which a key or an authority was in use. */
export interface Period {
  readonly start: Date;
  /** Absent while it is. */
  readonly end?: Date | undefined;
}

/** Is a log with its key. */
export interface ListedLog extends Period {
  readonly baseUrl: string;
  readonly publicKey: PublicKey;
  /** `PublicKeyDetails` by name. */
  readonly keyDetails: string;
  readonly logId: Uint8Array;
}

/** Is an authority with its certificates. */
export interface ListedAuthority extends Period {
  readonly uri: string;
  /** DER, the trust anchor last. */
  readonly certificates: readonly Uint8Array[];
}

/** Lists everything that signs in the sandbox, or did. */
export interface TrustListing {
  readonly tlogs: readonly ListedLog[];
  readonly ctlogs: readonly ListedLog[];
  readonly certificateAuthorities: readonly ListedAuthority[];
  readonly timestampAuthorities: readonly ListedAuthority[];
}

/** Names who runs all of it. */
const SANDBOX_OPERATOR = "sandbox.local";

/** Makes the trusted root. */
export function trustedRootOf(listing: TrustListing): TrustedRoot {
  return {
    mediaType: "application/vnd.dev.sigstore.trustedroot+json;version=0.1",
    tlogs: listing.tlogs.map(logOf),
    ctlogs: listing.ctlogs.map(logOf),
    certificateAuthorities: listing.certificateAuthorities.map((authority) => authorityOf(authority, "fulcio")),
    timestampAuthorities: listing.timestampAuthorities.map((authority) => authorityOf(authority, "tsa")),
    unusable: [],
    ignoredFields: [],
  };
}

function logOf(log: ListedLog): TransparencyLogInstance {
  const { baseUrl, publicKey, keyDetails, logId } = log;
  const algorithm = algorithmForKeyDetails(keyDetails);
  if (algorithm === undefined) throw new TypeError(`there is no algorithm ${keyDetails}`);
  return { baseUrl, logId, publicKey, algorithm, keyDetails, operator: SANDBOX_OPERATOR, validFor: rangeOf(log) };
}

function authorityOf(authority: ListedAuthority, commonName: string): CertificateAuthority {
  return {
    subject: { organization: SANDBOX_OPERATOR, commonName },
    uri: authority.uri,
    certificates: authority.certificates.map((der) => parseCertificate(der)),
    validFor: rangeOf(authority),
    operator: SANDBOX_OPERATOR,
  };
}

/** Log entries and timestamps tell whole seconds, so a period begins and ends with one. */
function rangeOf({ start, end }: Period): TimeRange {
  const from = new Date(Math.floor(start.getTime() / 1000) * 1000);
  return end === undefined ? { start: from } : { start: from, end: new Date(Math.ceil(end.getTime() / 1000) * 1000) };
}

/** Is a service with the period in which it is to be asked. */
export interface OfferedService extends Period {
  readonly url: string;
}

/** Makes a signing config for one generation of log. */
export function signingConfigOf(
  offer: {
    readonly fulcio: OfferedService;
    readonly oidc: OfferedService;
    readonly tsa: OfferedService;
    readonly logs: readonly OfferedService[];
  },
  rekorVersion: 1 | 2,
): SigningConfig {
  const service = (offered: OfferedService, majorApiVersion = 1): Service => ({
    url: offered.url,
    majorApiVersion,
    validFor: rangeOf(offered),
    operator: SANDBOX_OPERATOR,
  });
  return {
    mediaType: SIGNING_CONFIG_MEDIA_TYPE,
    caUrls: [service(offer.fulcio)],
    oidcUrls: [service(offer.oidc)],
    rekorTlogUrls: offer.logs.map((log) => service(log, rekorVersion)),
    rekorTlogConfig: { kind: "ANY" },
    tsaUrls: [service(offer.tsa)],
    tsaConfig: { kind: "ANY" },
    unusable: [],
    ignoredFields: [],
  };
}
