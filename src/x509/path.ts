import type { CryptoProvider } from "../crypto/provider.ts";
import type { PublicKey } from "../crypto/public-key.ts";
import { equalBytes } from "../encoding/bytes.ts";
import { FormatError, VerificationError } from "../errors.ts";
import type { VerificationErrorCode } from "../errors.ts";
import { MAX_CHAIN_CERTIFICATES, MAX_PATH_LENGTH, MAX_PATH_SIGNATURE_CHECKS, MAX_TRUST_ENTRIES } from "../limits.ts";
import type { Certificate } from "./certificate.ts";
import { findNameViolation } from "./name-constraints.ts";
import { formatName } from "./name.ts";
import { X509_OID } from "./oids.ts";
import { checkSignature } from "./signature-algorithm.ts";

/** What the leaf of a path must be allowed to do. */
export type CertificatePurpose = "code-signing" | "time-stamping";

/** The certificates of one authority as a trusted root lists them. */
export interface AuthorityChain {
  /** Issuing authority first, trust anchor last. The chain of a timestamp authority may begin with its leaf. */
  readonly certificates: readonly Certificate[];
}

/** A path whose signatures and constraints hold. Its dates are not checked: see {@link verifyPathValidAt}. */
export interface CertificatePath {
  /** Leaf first, trust anchor last. A leaf that the root lists itself may be alone. */
  readonly certificates: readonly Certificate[];
  /** The listed chain that the path ends in. */
  readonly chain: AuthorityChain;
}

/** What {@link findCertificatePaths} needs to know. */
export interface FindCertificatePathsOptions {
  readonly purpose: CertificatePurpose;
  readonly crypto: CryptoProvider;
  /** Certificates that somebody sent along. They can only link a leaf to what the root lists. */
  readonly untrustedIntermediates?: readonly Certificate[] | undefined;
}

/** Why a path does not hold; becomes a `VerificationError` when no other path does. */
interface PathFailure {
  readonly code: VerificationErrorCode;
  readonly message: string;
  readonly expected?: string;
  readonly found?: string;
}

/** The most telling failure first. */
const TELLING: readonly VerificationErrorCode[] = [
  "CERTIFICATE_USAGE_INVALID",
  "CERTIFICATE_CONSTRAINT_VIOLATED",
  "CERTIFICATE_SIGNATURE_INVALID",
  "ALGORITHM_UNSUPPORTED",
  "CERTIFICATE_ISSUER_UNKNOWN",
];

const PURPOSES: Readonly<Record<CertificatePurpose, string>> = {
  "code-signing": X509_OID.codeSigning,
  "time-stamping": X509_OID.timeStamping,
};

/**
 * Verifies the chain of an authority by itself: every link, and the constraints that do not depend on a leaf.
 *
 * The last certificate is trusted because the root lists it. Its own signature is checked only where it names itself as
 * issuer, since a trust anchor may be an intermediate. Dates and extended key usage are not checked here.
 *
 * @throws {@link VerificationError} `CERTIFICATE_ISSUER_UNKNOWN` when a certificate does not name the next one as issuer,
 * `CERTIFICATE_SIGNATURE_INVALID`, `CERTIFICATE_USAGE_INVALID`, `CERTIFICATE_CONSTRAINT_VIOLATED`, `ALGORITHM_UNSUPPORTED`.
 * @throws {@link FormatError} `LIMIT_EXCEEDED`.
 * @see RFC 5280 §6.1
 */
export async function verifyAuthorityChain(chain: AuthorityChain, crypto: CryptoProvider): Promise<void> {
  const { certificates } = chain;
  const anchor = certificates.at(-1);
  if (anchor === undefined) throw new VerificationError("CERTIFICATE_ISSUER_UNKNOWN", "authority lists no certificate");
  if (certificates.length > MAX_PATH_LENGTH) {
    throw new FormatError("LIMIT_EXCEEDED", `authority lists ${certificates.length} certificates`, {
      expected: `at most ${MAX_PATH_LENGTH}`,
    });
  }
  const failure = findPathFailure(certificates, undefined);
  if (failure !== undefined) throw toError(failure);
  const checks: Promise<void>[] = [];
  for (const [i, child] of certificates.entries()) {
    const issuer = certificates[i + 1];
    if (issuer !== undefined && !isNamedAsIssuer(child, issuer)) {
      throw new VerificationError("CERTIFICATE_ISSUER_UNKNOWN", "certificate is not followed by that of its issuer", {
        expected: formatName(child.issuer),
        found: formatName(issuer.subject),
      });
    }
  }
  for (const [i, child] of certificates.entries()) {
    const issuer = certificates[i + 1];
    if (issuer !== undefined) checks.push(verifyIssuedBy(child, issuer, crypto));
  }
  if (equalBytes(anchor.subject, anchor.issuer)) checks.push(verifyIssuedBy(anchor, anchor, crypto));
  await Promise.all(checks);
}

/**
 * Finds every path from a certificate to what a trusted root lists, apart from dates.
 *
 * Each path that is returned holds: names chain, signatures verify, authorities may issue, path lengths and name
 * constraints are kept, the purpose is allowed from leaf to anchor, and no critical extension is unknown. The listed
 * chains are taken as verified by {@link verifyAuthorityChain}, so only links outside them cost a signature check.
 *
 * @returns At least one path, in the order of the chains.
 * @throws {@link VerificationError} the most telling of `CERTIFICATE_USAGE_INVALID`, `CERTIFICATE_CONSTRAINT_VIOLATED`,
 * `CERTIFICATE_SIGNATURE_INVALID`, `ALGORITHM_UNSUPPORTED`, `CERTIFICATE_ISSUER_UNKNOWN`; other paths' failures are its cause.
 * @throws {@link FormatError} `LIMIT_EXCEEDED`.
 * @see RFC 5280 §6.1
 */
export async function findCertificatePaths(
  leaf: Certificate,
  chains: readonly AuthorityChain[],
  options: FindCertificatePathsOptions,
): Promise<readonly CertificatePath[]> {
  const { purpose, crypto, untrustedIntermediates = [] } = options;
  refuseMore(untrustedIntermediates.length, MAX_CHAIN_CERTIFICATES, "untrusted intermediate certificates");
  refuseMore(chains.length, MAX_TRUST_ENTRIES, "authorities");
  const leafFailure = findLeafFailure(leaf, purpose) ?? findExtensionFailure(leaf);
  if (leafFailure !== undefined) throw toError(leafFailure);

  const paths: CertificatePath[] = [];
  const failures: PathFailure[] = [];
  const isSignedBy = signatureChecks(crypto, failures);
  // What the root lists is reached through the root
  const intermediates = untrustedIntermediates.filter(
    (candidate, i) =>
      untrustedIntermediates.findIndex((other) => isSame(other, candidate)) === i &&
      !chains.some(({ certificates }) => certificates.some((listed) => isSame(listed, candidate))),
  );

  const consider = (certificates: readonly Certificate[], chain: AuthorityChain): void => {
    const failure = findPathFailure(certificates, purpose);
    if (failure === undefined) paths.push({ certificates, chain });
    else failures.push(failure);
  };
  let steps = 0;
  const extend = async (path: readonly Certificate[]): Promise<void> => {
    refuseMore(++steps, MAX_PATH_SIGNATURE_CHECKS, "ways to try for one certificate path"); // each was a signature check, or the memory of one
    const child = path.at(-1) as Certificate;
    for (const chain of chains) {
      const listed = path.length === 1 ? chain.certificates.findIndex((certificate) => isSame(certificate, child)) : -1;
      if (listed >= 0) {
        consider(chain.certificates.slice(listed), chain);
        continue;
      }
      for (const [i, issuer] of chain.certificates.entries()) {
        if (isNamedAsIssuer(child, issuer) && (await isSignedBy(child, issuer))) {
          consider([...path, ...chain.certificates.slice(i)], chain);
        }
      }
    }
    for (const issuer of intermediates) {
      const seen = path.some((certificate) => isSame(certificate, issuer));
      if (!seen && isNamedAsIssuer(child, issuer) && (await isSignedBy(child, issuer))) await extend([...path, issuer]);
    }
  };
  await extend([leaf]);

  if (paths.length > 0) return paths;
  throw mostTelling(failures, {
    code: "CERTIFICATE_ISSUER_UNKNOWN",
    message: "certificate was not issued by an authority of the trusted root",
    found: formatName(leaf.issuer),
  });
}

/**
 * Verifies that every certificate of a path, the trust anchor included, was valid at a time. Both ends of a validity belong to it.
 *
 * @throws {@link VerificationError} `CERTIFICATE_NOT_VALID_AT_TIME`.
 * @see RFC 5280 §4.1.2.5, §6.1.3 (a) (2)
 */
export function verifyPathValidAt(path: CertificatePath, time: Date): void {
  const at = time.getTime();
  if (Number.isNaN(at)) throw new TypeError("time is not a valid date");
  for (const certificate of path.certificates) {
    const { notBefore, notAfter } = certificate;
    if (notBefore.getTime() <= at && at <= notAfter.getTime()) continue;
    throw new VerificationError(
      "CERTIFICATE_NOT_VALID_AT_TIME",
      `${describe(certificate)} was ${at < notBefore.getTime() ? "not yet valid" : "no longer valid"} at the time`,
      {
        expected: `${notBefore.toISOString()} to ${notAfter.toISOString()}`,
        found: time.toISOString(),
      },
    );
  }
}

/** Verifies one link's signature; the names are compared by the caller. */
async function verifyIssuedBy(child: Certificate, issuer: Certificate, crypto: CryptoProvider): Promise<void> {
  if (await checkSignature(child.signatureAlgorithm, issuer.publicKey, child.signature, child.tbs, crypto)) return;
  throw toError(signatureFailure(child, issuer));
}

/** Remembers signature checks of one search by child and issuer's key, bounds their number and notes the failures. */
function signatureChecks(
  crypto: CryptoProvider,
  failures: PathFailure[],
): (child: Certificate, issuer: Certificate) => Promise<boolean> {
  const done: { readonly child: Certificate; readonly key: PublicKey; readonly valid: boolean }[] = [];
  return async (child, issuer) => {
    const key = issuer.publicKey;
    const known = done.find((check) => check.child === child && equalBytes(check.key.spki, key.spki));
    if (known !== undefined) return known.valid;
    refuseMore(done.length + 1, MAX_PATH_SIGNATURE_CHECKS, "signature checks for one certificate path");
    let valid = false;
    try {
      valid = await checkSignature(child.signatureAlgorithm, key, child.signature, child.tbs, crypto);
      if (!valid) failures.push(signatureFailure(child, issuer));
    } catch (error) {
      if (!(error instanceof VerificationError)) throw error;
      failures.push({ code: error.code, message: error.message });
    }
    done.push({ child, key, valid });
    return valid;
  };
}

/**
 * Tells whether a certificate names another as its issuer: by name, and by key identifier where both have one.
 *
 * Names are compared by their bytes, as issuers copy them.
 */
function isNamedAsIssuer(child: Certificate, issuer: Certificate): boolean {
  if (!equalBytes(child.issuer, issuer.subject)) return false;
  const wanted = child.extensions.authorityKeyIdentifier;
  const offered = issuer.extensions.subjectKeyIdentifier;
  return wanted === undefined || offered === undefined || equalBytes(wanted, offered);
}

/**
 * Finds what is wrong with a chain of certificates apart from signatures, names and dates.
 *
 * @param certificates - Leaf first when there is one.
 * @param purpose - Absent for the chain of an authority, which may or may not begin with a leaf.
 */
function findPathFailure(
  certificates: readonly Certificate[],
  purpose: CertificatePurpose | undefined,
): PathFailure | undefined {
  if (certificates.length > MAX_PATH_LENGTH) {
    return {
      code: "CERTIFICATE_CONSTRAINT_VIOLATED",
      message: "certificate path is too long",
      expected: `at most ${MAX_PATH_LENGTH}`,
      found: `${certificates.length}`,
    };
  }
  const firstIsLeaf = purpose !== undefined || certificates[0]?.extensions.basicConstraints?.ca !== true;
  let intermediates = 0; // that are not self-issued, between the authority at hand and the leaf
  for (const [i, certificate] of certificates.entries()) {
    const isLeaf = i === 0 && firstIsLeaf;
    const failure =
      findExtensionFailure(certificate) ??
      (isLeaf
        ? purpose && findLeafFailure(certificate, purpose)
        : (findAuthorityFailure(certificate, intermediates, purpose) ??
          findConstraintFailure(certificate, certificates.slice(0, i), firstIsLeaf)));
    if (failure !== undefined) return failure;
    if (!isLeaf && !isSelfIssued(certificate)) intermediates++;
  }
  return undefined;
}

/** §6.1.4 (o), §6.1.5 (e): a critical extension that is not processed means no. */
function findExtensionFailure(certificate: Certificate): PathFailure | undefined {
  const { all, unknownCritical } = certificate.extensions;
  // RFC 6962 §3.1: a precertificate is no certificate, whatever it says about the extension's criticality
  if (all.has(X509_OID.precertificatePoison)) {
    return { code: "CERTIFICATE_CONSTRAINT_VIOLATED", message: `${describe(certificate)} is a precertificate` };
  }
  if (unknownCritical.length === 0) return undefined;
  return {
    code: "CERTIFICATE_CONSTRAINT_VIOLATED",
    message: `${describe(certificate)} has a critical extension that is not known`,
    found: unknownCritical.join(", "),
  };
}

/** §4.2.1.3, §4.2.1.9, §4.2.1.12 for the certificate that signs; RFC 3161 §2.3 for that of a timestamp authority. */
function findLeafFailure(leaf: Certificate, purpose: CertificatePurpose): PathFailure | undefined {
  const { basicConstraints, keyUsage, extendedKeyUsage } = leaf.extensions;
  const invalid = (detail: string, expected?: string, found?: string): PathFailure => ({
    code: "CERTIFICATE_USAGE_INVALID",
    message: `${describe(leaf)} ${detail}`,
    ...(expected === undefined ? {} : { expected }),
    ...(found === undefined ? {} : { found }),
  });
  if (basicConstraints?.ca === true)
    return invalid("is that of a certification authority and may not sign anything else");
  const wanted = PURPOSES[purpose];
  const found = extendedKeyUsage?.purposes.join(", ") ?? "no extended key usage";
  // anyExtendedKeyUsage is not enough
  if (!extendedKeyUsage?.purposes.includes(wanted)) return invalid(`is not for ${purpose}`, wanted, found);
  switch (purpose) {
    case "code-signing":
      if (keyUsage !== undefined && !keyUsage.digitalSignature)
        return invalid("may not make signatures", "digitalSignature");
      return undefined;
    case "time-stamping":
      if (extendedKeyUsage.purposes.length !== 1) return invalid("is not for time-stamping alone", wanted, found);
      if (!extendedKeyUsage.critical) return invalid("has an extended key usage that is not critical");
      if (keyUsage !== undefined && !keyUsage.digitalSignature && !keyUsage.contentCommitment) {
        return invalid("may not make signatures", "digitalSignature or contentCommitment");
      }
      return undefined;
  }
}

/** §6.1.4 (k) to (n), and extended key usage as Go and Sigstore read it: an authority that has one issues for no other purpose. */
function findAuthorityFailure(
  authority: Certificate,
  intermediates: number,
  purpose: CertificatePurpose | undefined,
): PathFailure | undefined {
  const { basicConstraints, keyUsage, extendedKeyUsage } = authority.extensions;
  if (basicConstraints?.ca !== true) {
    return {
      code: "CERTIFICATE_USAGE_INVALID",
      message: `${describe(authority)} is not that of a certification authority`,
    };
  }
  if (keyUsage !== undefined && !keyUsage.keyCertSign) {
    return {
      code: "CERTIFICATE_USAGE_INVALID",
      message: `${describe(authority)} may not sign certificates`,
      expected: "keyCertSign",
    };
  }
  if (basicConstraints.pathLength !== undefined && intermediates > basicConstraints.pathLength) {
    return {
      code: "CERTIFICATE_CONSTRAINT_VIOLATED",
      message: `${describe(authority)} allows fewer intermediate certificates`,
      expected: `at most ${basicConstraints.pathLength}`,
      found: `${intermediates}`,
    };
  }
  if (purpose !== undefined && extendedKeyUsage !== undefined) {
    const { purposes } = extendedKeyUsage;
    if (!purposes.includes(PURPOSES[purpose]) && !purposes.includes(X509_OID.anyExtendedKeyUsage)) {
      return {
        code: "CERTIFICATE_USAGE_INVALID",
        message: `${describe(authority)} may not issue for ${purpose}`,
        expected: PURPOSES[purpose],
        found: purposes.join(", "),
      };
    }
  }
  return undefined;
}

/** §6.1.3 (b) and (c): self-issued certificates are exempt, unless they end the path. */
function findConstraintFailure(
  authority: Certificate,
  below: readonly Certificate[],
  firstIsLeaf: boolean,
): PathFailure | undefined {
  const { nameConstraints } = authority.extensions;
  if (nameConstraints === undefined) return undefined;
  for (const [i, certificate] of below.entries()) {
    if (isSelfIssued(certificate) && !(i === 0 && firstIsLeaf)) continue;
    const { subject, extensions } = certificate;
    const violation = findNameViolation(nameConstraints, {
      subject,
      subjectAlternativeNames: extensions.subjectAlternativeNames,
    });
    if (violation !== undefined) {
      return {
        code: "CERTIFICATE_CONSTRAINT_VIOLATED",
        message: `${describe(authority)} constrains names: ${violation}`,
      };
    }
  }
  return undefined;
}

function isSelfIssued(certificate: Certificate): boolean {
  return equalBytes(certificate.subject, certificate.issuer);
}

function isSame(a: Certificate, b: Certificate): boolean {
  return a === b || equalBytes(a.bytes, b.bytes);
}

function signatureFailure(child: Certificate, issuer: Certificate): PathFailure {
  return {
    code: "CERTIFICATE_SIGNATURE_INVALID",
    message: `${describe(child)} has a signature that its issuer ${formatName(issuer.subject)} did not make`,
  };
}

function describe(certificate: Certificate): string {
  const name = formatName(certificate.subject);
  if (name !== "") return `certificate ${name}`;
  const [first] = certificate.extensions.subjectAlternativeNames;
  return first === undefined ? "certificate" : `certificate of ${first.value}`;
}

function refuseMore(count: number, limit: number, what: string): void {
  if (count > limit) throw new FormatError("LIMIT_EXCEEDED", `there are more than ${limit} ${what}`);
}

function mostTelling(failures: readonly PathFailure[], otherwise: PathFailure): VerificationError {
  const rank = ({ code }: PathFailure): number => TELLING.indexOf(code);
  const [first, ...others] = [...failures, otherwise].sort((a, b) => rank(a) - rank(b));
  const real = others.filter((failure) => failure !== otherwise);
  return toError(
    first ?? otherwise,
    real.length === 0
      ? undefined
      : new AggregateError(
          real.map((failure) => toError(failure)),
          "other certificate paths failed too",
        ),
  );
}

function toError({ code, message, expected, found }: PathFailure, cause?: unknown): VerificationError {
  return new VerificationError(code, message, { expected, found, cause });
}
