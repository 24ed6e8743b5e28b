import type { CryptoProvider } from "../crypto/provider.ts";
import { equalBytes } from "../encoding/bytes.ts";
import { encodeHex } from "../encoding/hex.ts";
import { SigstoreError, VerificationError, type VerificationErrorCode } from "../errors.ts";
import { parseCertificate, type Certificate } from "../x509/certificate.ts";
import { formatName } from "../x509/name.ts";
import { findCertificatePaths, verifyPathValidAt, type CertificatePath } from "../x509/path.ts";
import { checkSignature } from "../x509/signature-algorithm.ts";
import { GENERAL_NAME } from "../x509/subject-alternative-name.ts";
import { hashOf } from "./digest-algorithm.ts";
import type { SignerIdentifier, SignerInfo } from "./signed-data.ts";
import { hasCertificateHash, isIssuerAndSerialNumberOf } from "./signing-certificate.ts";
import type { TimestampToken } from "./timestamp-response.ts";

/** A timestamp authority as a trusted root lists it. */
export interface TimestampAuthority {
  /** The certificate that signs timestamps first, which may be left out; its issuers; the trust anchor last. */
  readonly certificates: readonly Certificate[];
  /** When the authority was trusted. Both ends belong to it; without an end it still is. */
  readonly validFor: { readonly start: Date; readonly end?: Date | undefined };
  readonly uri: string;
  readonly operator?: string | undefined;
}

/** What {@link verifyTimestamp} needs to know, and may be asked to check. */
export interface VerifyTimestampOptions {
  readonly crypto: CryptoProvider;
  /** The policy that the token must be made under, dotted. */
  readonly policy?: string | undefined;
  /** The nonce of the request, when it is the requester who verifies. */
  readonly nonce?: bigint | undefined;
}

/** What was proven: the signature existed at this time, says this authority, with this certificate. */
export interface ProvenTimestamp<A extends TimestampAuthority> {
  readonly time: Date;
  readonly authority: A;
  readonly certificate: Certificate;
}

/** An authority that a token may be of, and the certificate that signed it if it is. */
interface Candidate<A extends TimestampAuthority> {
  readonly authority: A;
  readonly certificate: Certificate;
}

const DIRECTORY_NAME = GENERAL_NAME.directoryName;

/** The most telling failure first. */
const TELLING: readonly VerificationErrorCode[] = [
  "TIMESTAMP_SIGNATURE_INVALID",
  "TIMESTAMP_OUTSIDE_AUTHORITY_VALIDITY",
  "CERTIFICATE_NOT_VALID_AT_TIME",
  "TIMESTAMP_CERTIFICATE_INVALID",
  "ALGORITHM_UNSUPPORTED",
];

/**
 * Verifies that a timestamp token is over a signature and was made by an authority of the trusted root.
 *
 * An authority is identified when the token names its listed certificate as signer, or brings along the certificate that
 * it says it was signed with and an authority of the root issued that one; never by a name alone. Certificates in the token
 * are candidates for the signer and nothing more: only the root gives issuers, and where the root lists the signer, no
 * other certificate of the authority will do.
 *
 * The chains of the authorities must hold by themselves (`verifyAuthorityChain`), which is checked once for a trusted root.
 *
 * @param signature - The raw bytes of the signature that was stamped.
 * @returns `undefined` when the token is of no authority of the root, so that it proves nothing and is no failure either.
 * Where several authorities are identified, the first for which all checks hold.
 * @throws {@link VerificationError} `TIMESTAMP_IMPRINT_MISMATCH`, `TIMESTAMP_POLICY_MISMATCH`, `TIMESTAMP_NONCE_MISMATCH`,
 * `TIMESTAMP_SIGNATURE_INVALID`, `TIMESTAMP_CERTIFICATE_INVALID`, `TIMESTAMP_OUTSIDE_AUTHORITY_VALIDITY`,
 * `CERTIFICATE_NOT_VALID_AT_TIME`, `ALGORITHM_UNSUPPORTED`, when an authority is identified and the token does not hold.
 * @see client specification §4.2.1; RFC 3161 §2.3, §2.4.2; RFC 5816; RFC 5652 §5.4, §5.6
 */
export async function verifyTimestamp<A extends TimestampAuthority>(
  token: TimestampToken,
  signature: Uint8Array,
  authorities: readonly A[],
  options: VerifyTimestampOptions,
): Promise<ProvenTimestamp<A> | undefined> {
  const { crypto } = options;
  const candidates = await identify(token, authorities, crypto);
  if (candidates.length === 0) return undefined;
  await verifyContent(token, signature, options);

  const failures: VerificationError[] = [];
  for (const { authority, certificate } of candidates) {
    try {
      await verifySignerCertificate(token, certificate, authority, crypto);
      const path = await verifyPath(certificate, authority, token.genTime, crypto);
      // The certificate whose constraints hold is the one whose chain was built and whose key must verify
      const [signer = certificate] = path.certificates;
      await verifySignature(token.signedData.signerInfo, signer, crypto);
      return { time: token.genTime, authority, certificate: signer };
    } catch (error) {
      if (!(error instanceof VerificationError)) throw error;
      failures.push(error);
    }
  }
  throw mostTelling(failures);
}

/** Finds the authorities that a token may be of. Being one of them proves nothing yet. */
async function identify<A extends TimestampAuthority>(
  token: TimestampToken,
  authorities: readonly A[],
  crypto: CryptoProvider,
): Promise<readonly Candidate<A>[]> {
  const { sid } = token.signedData.signerInfo;
  const candidates: Candidate<A>[] = [];
  let embedded: Promise<Certificate | undefined> | undefined;
  for (const authority of authorities) {
    const listed = listedSigner(authority);
    if (listed !== undefined && isNamedBy(sid, listed)) {
      candidates.push({ authority, certificate: listed });
      continue;
    }
    embedded ??= unlessUnusable(findEmbeddedSigner(token, crypto));
    const certificate = await embedded;
    if (certificate !== undefined && (await unlessUnusable(isOf(authority, certificate, crypto))))
      candidates.push({ authority, certificate });
  }
  return candidates;
}

/** What cannot be read or checked identifies nobody: a stranger's certificate may be of a kind that is not known here. */
async function unlessUnusable<T>(attempt: Promise<T>): Promise<T | undefined> {
  try {
    return await attempt;
  } catch (error) {
    if (!(error instanceof SigstoreError)) throw error;
    return undefined;
  }
}

/** Finds the certificate in the token that its signer says it signed with; its hash is among what is signed. */
async function findEmbeddedSigner(
  { signedData }: TimestampToken,
  crypto: CryptoProvider,
): Promise<Certificate | undefined> {
  const id = signedData.signerInfo.signingCertificates.at(-1); // the later attribute has the better hash
  if (id === undefined) return undefined;
  for (const der of signedData.certificates) {
    if (await hasCertificateHash(id, der, crypto)) return parseCertificate(der);
  }
  return undefined;
}

/** Tells whether a certificate is one that an authority lists, or that a key of the authority issued. */
async function isOf(authority: TimestampAuthority, certificate: Certificate, crypto: CryptoProvider): Promise<boolean> {
  for (const listed of authority.certificates) {
    if (equalBytes(listed.bytes, certificate.bytes)) return true;
    if (!equalBytes(certificate.issuer, listed.subject)) continue;
    const wanted = certificate.extensions.authorityKeyIdentifier;
    const offered = listed.extensions.subjectKeyIdentifier;
    const issued =
      wanted !== undefined && offered !== undefined
        ? equalBytes(wanted, offered)
        : await checkSignature(
            certificate.signatureAlgorithm,
            listed.publicKey,
            certificate.signature,
            certificate.tbs,
            crypto,
          );
    if (issued) return true;
  }
  return false;
}

/** Gives the certificate that an authority signs with, where the root lists it. */
function listedSigner({ certificates: [first] }: TimestampAuthority): Certificate | undefined {
  return first?.extensions.basicConstraints?.ca === true ? undefined : first;
}

function isNamedBy(sid: SignerIdentifier, certificate: Certificate): boolean {
  switch (sid.kind) {
    case "issuerAndSerialNumber":
      return isIssuerAndSerialNumberOf(sid, certificate);
    case "subjectKeyIdentifier": {
      const { subjectKeyIdentifier } = certificate.extensions;
      return subjectKeyIdentifier !== undefined && equalBytes(sid.keyIdentifier, subjectKeyIdentifier);
    }
  }
}

/**
 * Verifies that a timestamp token says that it is over a signature. Who says so is not checked: see {@link verifyTimestamp}.
 *
 * @param signature - The raw bytes of the signature that was stamped.
 * @throws {@link VerificationError} `TIMESTAMP_IMPRINT_MISMATCH`, `ALGORITHM_UNSUPPORTED`.
 * @see client specification §4.2.1: with the raw bytes of the signature as the timestamped data
 */
export async function verifyImprint(
  { imprint }: TimestampToken,
  signature: Uint8Array,
  crypto: CryptoProvider,
): Promise<void> {
  const signatureDigest = await crypto.digest(hashOf(imprint.algorithm, "imprint"), signature);
  if (equalBytes(signatureDigest, imprint.digest)) return;
  throw new VerificationError("TIMESTAMP_IMPRINT_MISMATCH", "timestamp is not over this signature", {
    expected: encodeHex(signatureDigest),
    found: encodeHex(imprint.digest),
  });
}

/** Checks what does not depend on the authority. */
async function verifyContent(
  token: TimestampToken,
  signature: Uint8Array,
  { crypto, policy, nonce }: VerifyTimestampOptions,
): Promise<void> {
  const { signedData } = token;
  const { signerInfo } = signedData;
  // RFC 5652 §5.6: the content's digest is the message digest among what is signed
  const contentDigest = await crypto.digest(hashOf(signerInfo.digestAlgorithm, "message digest"), signedData.content);
  if (!equalBytes(contentDigest, signerInfo.messageDigest)) {
    throw new VerificationError("TIMESTAMP_SIGNATURE_INVALID", "timestamp is signed for another content than it has", {
      expected: encodeHex(signerInfo.messageDigest),
      found: encodeHex(contentDigest),
    });
  }
  await verifyImprint(token, signature, crypto);
  if (policy !== undefined && policy !== token.policy) {
    throw new VerificationError("TIMESTAMP_POLICY_MISMATCH", "timestamp was made under another policy", {
      expected: policy,
      found: token.policy,
    });
  }
  if (nonce !== undefined && nonce !== token.nonce) {
    throw new VerificationError("TIMESTAMP_NONCE_MISMATCH", "timestamp answers another request", {
      expected: `${nonce}`,
      found: token.nonce === undefined ? "no nonce" : `${token.nonce}`,
    });
  }
}

/** Checks everything in the token that says which certificate signed it. All of it must mean the same one. */
async function verifySignerCertificate(
  token: TimestampToken,
  certificate: Certificate,
  authority: TimestampAuthority,
  crypto: CryptoProvider,
): Promise<void> {
  const { tsa, signedData } = token;
  const { sid, signingCertificates } = signedData.signerInfo;
  const listed = listedSigner(authority);
  if (listed !== undefined && !equalBytes(listed.bytes, certificate.bytes)) {
    throw invalid(
      "was signed with a certificate that its authority issued and the trusted root does not list",
      formatName(listed.subject),
      formatName(certificate.subject),
    );
  }
  if (!isNamedBy(sid, certificate)) throw invalid("names another certificate as its signer than it signs for");
  // RFC 5035 §3, §4: The first certificate identified [...] MUST be the certificate used to verify the signature.
  for (const id of signingCertificates) {
    if (!(await hasCertificateHash(id, certificate.bytes, crypto)))
      throw invalid("is signed for a certificate with another hash", undefined, encodeHex(id.certHash));
    if (id.issuerSerial !== undefined && !isIssuerAndSerialNumberOf(id.issuerSerial, certificate)) {
      throw invalid(
        "is signed for a certificate of another issuer or serial number",
        formatName(certificate.issuer),
        formatName(id.issuerSerial.issuer),
      );
    }
  }
  // RFC 3161 §2.4.1: the certificate that is referenced [...] MUST be provided by the TSA in the certificates field, if any is
  if (
    signedData.certificates.length > 0 &&
    !signedData.certificates.some((der) => equalBytes(der, certificate.bytes))
  ) {
    throw invalid("brings along certificates without that of its signer");
  }
  // RFC 3161 §2.4.2: If present, it MUST correspond to one of the subject names included in the certificate.
  if (tsa !== undefined && !isSubjectName(tsa, certificate)) {
    const found = tsa.form === DIRECTORY_NAME ? formatName(tsa.content) : encodeHex(tsa.content);
    throw invalid("names another authority than its certificate", formatName(certificate.subject), found);
  }
}

function isSubjectName(
  { form, content }: NonNullable<TimestampToken["tsa"]>,
  { subject, extensions }: Certificate,
): boolean {
  // The same name may be spelled with other string types
  if (form === DIRECTORY_NAME && (equalBytes(content, subject) || formatName(content) === formatName(subject)))
    return true;
  return extensions.subjectAlternativeNames.some((name) => name.form === form && equalBytes(name.bytes, content));
}

/** Builds the path of the signer to the authority, and checks it and the authority at the time of the token. */
async function verifyPath(
  certificate: Certificate,
  authority: TimestampAuthority,
  time: Date,
  crypto: CryptoProvider,
): Promise<CertificatePath> {
  const paths = await findPaths(certificate, authority, crypto);
  verifyWithinValidity(authority, time);
  let failure: unknown;
  for (const path of paths) {
    try {
      verifyPathValidAt(path, time);
      return path;
    } catch (error) {
      failure ??= error;
    }
  }
  throw failure;
}

/** A path of a certificate that the root lists costs no signature check. */
async function findPaths(
  certificate: Certificate,
  authority: TimestampAuthority,
  crypto: CryptoProvider,
): Promise<readonly CertificatePath[]> {
  try {
    return await findCertificatePaths(certificate, [authority], { purpose: "time-stamping", crypto });
  } catch (error) {
    if (!(error instanceof VerificationError) || error.code === "ALGORITHM_UNSUPPORTED") throw error;
    const { expected, found, message } = error;
    throw new VerificationError("TIMESTAMP_CERTIFICATE_INVALID", `timestamp's ${message}`, {
      expected,
      found,
      cause: error,
    });
  }
}

/** sigstore_trustroot.proto, `valid_for`: closed at both ends. */
function verifyWithinValidity({ uri, validFor: { start, end } }: TimestampAuthority, time: Date): void {
  const at = time.getTime();
  if (start.getTime() <= at && (end === undefined || at <= end.getTime())) return;
  throw new VerificationError(
    "TIMESTAMP_OUTSIDE_AUTHORITY_VALIDITY",
    `timestamp is of a time at which its authority ${uri} was not trusted`,
    {
      expected: `${start.toISOString()} to ${end?.toISOString() ?? "now"}`,
      found: time.toISOString(),
    },
  );
}

/** RFC 5652 §5.6, with the key of the certificate whose path was found. */
async function verifySignature(
  { signatureAlgorithm, signature, signedAttributes }: SignerInfo,
  { publicKey, subject }: Certificate,
  crypto: CryptoProvider,
): Promise<void> {
  if (await checkSignature(signatureAlgorithm, publicKey, signature, signedAttributes, crypto)) return;
  throw new VerificationError(
    "TIMESTAMP_SIGNATURE_INVALID",
    `timestamp has a signature that ${formatName(subject)} did not make`,
  );
}

function mostTelling(failures: readonly VerificationError[]): VerificationError {
  const rank = ({ code }: VerificationError): number => {
    const index = TELLING.indexOf(code);
    return index === -1 ? TELLING.length : index;
  };
  const [first, ...others] = [...failures].sort((a, b) => rank(a) - rank(b)) as [
    VerificationError,
    ...VerificationError[],
  ];
  if (others.length === 0) return first;
  const { code, message, expected, found } = first;
  return new VerificationError(code, message, {
    expected,
    found,
    cause: new AggregateError(others, "other authorities of the trusted root failed too"),
  });
}

function invalid(detail: string, expected?: string, found?: string): VerificationError {
  return new VerificationError("TIMESTAMP_CERTIFICATE_INVALID", `timestamp ${detail}`, { expected, found });
}
