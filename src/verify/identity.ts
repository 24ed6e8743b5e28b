/**
 * The signer that a caller expects, and how it is compared with a certificate.
 *
 * @module
 */

import { PolicyError } from "../errors.ts";
import type { Certificate } from "../x509/certificate.ts";
import { FULCIO_EXTENSIONS, readFulcioExtensions, type FulcioExtensions } from "../x509/fulcio.ts";
import type { SubjectAlternativeName } from "../x509/subject-alternative-name.ts";

/** Describes a set of strings that cannot be written as one. Made by whoever owns the pattern language. */
export interface StringPattern {
  readonly kind: "pattern";
  /** How the pattern is written, for messages. */
  readonly description: string;
  /** Whether the pattern matches the whole value. One that does not is allowed, and named in the evidence as unproven. */
  readonly anchored: boolean;
  readonly test: (value: string) => boolean;
}

/** Is what a string must equal exactly, or a pattern. */
export type StringMatcher = string | StringPattern;

/** Describes the certificate identity that must have signed. */
export interface ExpectedIdentity {
  /** One subject alternative name of the certificate, whatever its kind: URI, e-mail, DNS name, IP address or Fulcio's user name. */
  readonly subjectAlternativeName: StringMatcher;
  /** The OIDC issuer, from OID 1.3.6.1.4.1.57264.1.8, or .1 in older certificates. */
  readonly issuer: StringMatcher;
  /** Further Fulcio extensions, each of which must match. */
  readonly extensions?: { readonly [Field in keyof FulcioExtensions]?: StringMatcher } | undefined;
}

/** Is who the certificate says signed. Proven once the certificate is. */
export interface CertificateIdentity {
  /** The name that matched, or the first one where any identity was accepted. */
  readonly subjectAlternativeName: SubjectAlternativeName;
  /** The OIDC issuer; absent in certificates of a CA other than Fulcio. */
  readonly issuer: string | undefined;
  /** Every Fulcio extension of the certificate, decoded. */
  readonly extensions: FulcioExtensions;
}

/** Reads the identity of a certificate without comparing it. */
export interface IdentityClaims {
  readonly names: readonly SubjectAlternativeName[];
  readonly extensions: FulcioExtensions;
}

/** Reads what a certificate says of its owner. @throws FormatError `CERTIFICATE_MALFORMED`. */
export function readIdentityClaims(certificate: Certificate): IdentityClaims {
  // An empty name is nobody. The text of a name that cannot be read is a description of ours, which no pattern may take for one.
  const names = certificate.extensions.subjectAlternativeNames.filter(
    ({ kind, value }) => kind !== "unsupported" && value !== "",
  );
  return { names, extensions: readFulcioExtensions(certificate) };
}

/** Says whether a value is what was expected. An absent value is compared as the empty string by patterns only. */
function matches(matcher: StringMatcher, value: string | undefined): boolean {
  return typeof matcher === "string" ? value === matcher : matcher.test(value ?? "");
}

/** Writes what was expected, for messages. */
function describeMatcher(matcher: StringMatcher): string {
  return typeof matcher === "string" ? matcher : `pattern ${matcher.description}`;
}

/**
 * Finds the subject alternative name that matches.
 *
 * @throws {@link PolicyError} `IDENTITY_MISMATCH` with all names of the certificate.
 * @see Sigstore client specification §4.3
 */
export function verifySubjectAlternativeName(claims: IdentityClaims, expected: StringMatcher): SubjectAlternativeName {
  const name = claims.names.find(({ value }) => matches(expected, value));
  if (name !== undefined) return name;
  const found = claims.names.map(({ value }) => value).join(", ");
  throw new PolicyError("IDENTITY_MISMATCH", "certificate belongs to another identity", {
    expected: describeMatcher(expected),
    found: found === "" ? "no subject alternative name" : found,
    remedy: "if the found identity is the one you trust, ask for it; otherwise do not use the artifact",
  });
}

/**
 * Compares the OIDC issuer.
 *
 * @throws {@link PolicyError} `ISSUER_MISMATCH`.
 * @see Sigstore client specification §4.3
 */
export function verifyIssuer(claims: IdentityClaims, expected: StringMatcher): void {
  if (matches(expected, claims.extensions.issuer)) return;
  throw new PolicyError("ISSUER_MISMATCH", "certificate identity was vouched for by another OIDC issuer", {
    expected: describeMatcher(expected),
    found: claims.extensions.issuer ?? "no issuer extension",
    remedy: "if the found issuer is the one you trust, ask for it; otherwise do not use the artifact",
  });
}

/**
 * Compares one Fulcio extension.
 *
 * @throws {@link PolicyError} `EXTENSION_MISMATCH`.
 */
export function verifyExtension(claims: IdentityClaims, field: keyof FulcioExtensions, expected: StringMatcher): void {
  const found = claims.extensions[field];
  if (matches(expected, found)) return;
  const title = FULCIO_EXTENSIONS.find((extension) => extension.field === field)?.title ?? field;
  throw new PolicyError("EXTENSION_MISMATCH", `certificate has another ${title}`, {
    expected: describeMatcher(expected),
    found: found ?? "no such extension",
  });
}
