/**
 * Client specification §4.3: the certificate's path to an authority of the trusted root, its signed certificate timestamps, and
 * its validity at every time that was proven.
 *
 * @module
 */

import type { CryptoProvider } from "../crypto/provider.ts";
import { equalBytes } from "../encoding/bytes.ts";
import { encodeHex } from "../encoding/hex.ts";
import { SigstoreError, VerificationError } from "../errors.ts";
import { MAX_REMEMBERED_CERTIFICATES } from "../limits.ts";
import { isWithin } from "../trust/time-range.ts";
import type { CertificateAuthority } from "../trust/trusted-root.ts";
import type { Certificate } from "../x509/certificate.ts";
import { findCertificatePaths, verifyPathValidAt, type CertificatePath } from "../x509/path.ts";
import { parseSctList, verifySct, type SignedCertificateTimestamp } from "../x509/sct.ts";
import type { SetAside, VerifiedSignedCertificateTimestamp } from "./evidence.ts";
import { countedOperator, type TrustMaterial } from "./trust-material.ts";

/** Holds what is proven of a certificate whatever the time and whoever asks. */
export interface ProvenCertificate {
  readonly certificate: Certificate;
  /** Every path to an authority of the trusted root. */
  readonly paths: readonly CertificatePath[];
  /** The embedded SCTs by path, remembered once all of them were verified. */
  readonly embeddedScts: Map<CertificatePath, readonly VerifiedSignedCertificateTimestamp[]>;
}

/** Remembers what was proven about certificates under one trusted root. Positive results only, a bounded number. */
export class CertificateMemory {
  readonly #proven = new Map<string, ProvenCertificate>();

  /** Finds what was proven of exactly this certificate. */
  recall(sha256Hex: string): ProvenCertificate | undefined {
    const proven = this.#proven.get(sha256Hex);
    if (proven !== undefined) {
      this.#proven.delete(sha256Hex); // to the end: used last
      this.#proven.set(sha256Hex, proven);
    }
    return proven;
  }

  /** Keeps what was proven, and forgets what was not used for longest. */
  remember(sha256Hex: string, proven: ProvenCertificate): void {
    this.#proven.set(sha256Hex, proven);
    if (this.#proven.size <= MAX_REMEMBERED_CERTIFICATES) return;
    const oldest = this.#proven.keys().next();
    if (oldest.done !== true) this.#proven.delete(oldest.value);
  }
}

/**
 * Finds the paths from a certificate to the authorities of the trusted root, without looking at dates.
 *
 * @throws {@link VerificationError} as {@link findCertificatePaths}.
 */
export async function proveCertificate(
  certificate: Certificate,
  untrustedIntermediates: readonly Certificate[],
  trust: TrustMaterial,
  crypto: CryptoProvider,
): Promise<ProvenCertificate> {
  const chains = [...trust.certificateAuthorities.keys()];
  const options = { purpose: "code-signing", crypto, untrustedIntermediates } as const;
  return { certificate, paths: await findCertificatePaths(certificate, chains, options), embeddedScts: new Map() };
}

/**
 * Chooses the path that was valid at every given time, both by its certificates and by the authority's own window.
 *
 * @throws {@link VerificationError} `CERTIFICATE_NOT_VALID_AT_TIME`.
 * @see Sigstore client specification §4.3; sigstore_trustroot.proto, `valid_for`
 */
export function choosePathValidAt(
  { paths }: ProvenCertificate,
  times: readonly Date[],
  trust: TrustMaterial,
): { readonly path: CertificatePath; readonly authority: CertificateAuthority } {
  let failure: SigstoreError | undefined;
  for (const path of paths) {
    const authority = trust.certificateAuthorities.get(path.chain);
    if (authority === undefined) continue;
    try {
      for (const time of times) {
        verifyPathValidAt(path, time);
        verifyAuthorityValidAt(authority, time);
      }
      return { path, authority };
    } catch (error) {
      if (!(error instanceof SigstoreError)) throw error;
      failure ??= error;
    }
  }
  throw (
    failure ??
    new VerificationError("CERTIFICATE_ISSUER_UNKNOWN", "certificate was issued by no authority of the trusted root")
  );
}

function verifyAuthorityValidAt({ uri, validFor }: CertificateAuthority, time: Date): void {
  if (isWithin(validFor, time)) return;
  throw new VerificationError(
    "CERTIFICATE_NOT_VALID_AT_TIME",
    `certificate authority ${uri} is not trusted for that time`,
    {
      expected: `${validFor.start.toISOString()} to ${validFor.end?.toISOString() ?? "now"}`,
      found: time.toISOString(),
    },
  );
}

/**
 * Verifies one signed certificate timestamp.
 *
 * @returns `undefined` where the root knows no log that answers for it at its time: set aside.
 * @throws {@link VerificationError} `SCT_INVALID`.
 * @see RFC 6962 §3.2
 */
export async function verifyCertificateTimestamp(
  sct: SignedCertificateTimestamp,
  placement: { readonly detached: boolean; readonly path: string },
  certificatePath: CertificatePath,
  trust: TrustMaterial,
  crypto: CryptoProvider,
  setAside: SetAside[],
): Promise<VerifiedSignedCertificateTimestamp | undefined> {
  const aside = (reason: string): undefined => {
    setAside.push({ what: "signed-certificate-timestamp", path: placement.path, reason });
    return undefined;
  };
  const sameId = trust.ctlogs.filter(({ logId }) => equalBytes(logId, sct.logId));
  if (sameId.length === 0)
    return aside(`the trusted root knows no certificate transparency log ${encodeHex(sct.logId)}`);
  const logs = sameId.filter(({ validFor }) => isWithin(validFor, sct.timestamp));
  if (logs.length === 0)
    return aside(`its time ${sct.timestamp.toISOString()} is outside the validity of the log's key`);

  const [certificate, issuer] = certificatePath.certificates;
  if (certificate === undefined || issuer === undefined) {
    throw new VerificationError("SCT_INVALID", "signed certificate timestamp needs the certificate's issuer");
  }
  let failure: SigstoreError | undefined;
  for (const log of logs) {
    try {
      await verifySct(sct, certificate, issuer, log, crypto, { detached: placement.detached });
      return {
        logId: log.logId,
        baseUrl: log.baseUrl,
        operator: countedOperator(log, trust.ctlogs),
        time: sct.timestamp,
        withinCertificateValidity: sct.timestamp >= certificate.notBefore && sct.timestamp <= certificate.notAfter,
      };
    } catch (error) {
      if (!(error instanceof SigstoreError)) throw error;
      failure ??= error;
    }
  }
  throw failure ?? new VerificationError("SCT_INVALID", "signed certificate timestamp does not verify");
}

/** Lists the SCTs of a certificate, embedded first, with where each is. @throws FormatError `SCT_MALFORMED`. */
export function listScts(
  certificate: Certificate,
  detached: readonly SignedCertificateTimestamp[],
): readonly { readonly sct: SignedCertificateTimestamp; readonly detached: boolean; readonly path: string }[] {
  return [
    ...parseSctList(certificate).map((sct, index) => ({
      sct,
      detached: false,
      path: `certificate, embedded SCT ${index}`,
    })),
    ...detached.map((sct, index) => ({ sct, detached: true, path: `detached SCT ${index}` })),
  ];
}
