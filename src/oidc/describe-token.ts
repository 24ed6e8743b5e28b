/**
 * An identity token in words, for a person who wants to know what a signature will say about them.
 *
 * @module
 */

import type { JsonValue } from "../encoding/json.ts";
import { printableJson, sanitize } from "../encoding/printable.ts";
import { FULCIO_EXTENSIONS } from "../x509/fulcio.ts";
import { expectCertificate, type ExpectedCertificate } from "./expected-certificate.ts";
import type { IdentityToken } from "./identity-token.ts";

/** Is one line of a description; both parts are safe to print. */
export interface DescriptionRow {
  readonly label: string;
  readonly value: string;
}

/** Describes a token without the token: neither its text nor its signature is in here. */
export interface IdentityTokenDescription {
  readonly issuer: string;
  readonly subject: string;
  readonly audience: readonly string[];
  readonly algorithm: string;
  readonly expiresAt: Date;
  /** Every claim, in the order of the token. */
  readonly claims: readonly DescriptionRow[];
  /** What the certificate will say; absent where nothing is known about the issuer. */
  readonly certificate?: ExpectedCertificate;
  /** The same in lines: name and extensions, with their titles and numbers. */
  readonly certificateRows: readonly DescriptionRow[];
}

const TIMES: ReadonlySet<string> = new Set(["exp", "iat", "nbf", "auth_time", "updated_at"]);
/** Claims that bind a token to something secret, which a description must not repeat. */
const SECRET: ReadonlySet<string> = new Set(["nonce", "at_hash", "c_hash", "s_hash", "jti", "sid"]);

/** Describes the claims of a token, and what a certificate for it will say. */
export function describeIdentityToken(token: IdentityToken): IdentityTokenDescription {
  const certificate = expectCertificate(token);
  return {
    issuer: sanitize(token.issuer),
    subject: sanitize(token.subject),
    audience: token.audience.map(sanitize),
    algorithm: sanitize(token.algorithm),
    expiresAt: token.expiresAt,
    claims: Object.entries(token.claims).map(([name, value]) => ({
      label: sanitize(name),
      value: SECRET.has(name) ? "(not shown)" : describeClaim(name, value),
    })),
    ...(certificate === undefined ? {} : { certificate }),
    certificateRows: certificate === undefined ? [] : describeCertificate(certificate),
  };
}

function describeClaim(name: string, value: JsonValue): string {
  if (typeof value === "number" && TIMES.has(name)) {
    const time = new Date(value * 1000);
    return Number.isNaN(time.getTime()) ? String(value) : `${value} (${time.toISOString()})`;
  }
  return typeof value === "string" ? sanitize(value) : printableJson(value);
}

function describeCertificate({ subjectAlternativeName, extensions }: ExpectedCertificate): readonly DescriptionRow[] {
  const rows: DescriptionRow[] = [
    {
      label: `Subject Alternative Name (${subjectAlternativeName.kind === "uri" ? "URI" : "email"})`,
      value: sanitize(subjectAlternativeName.value),
    },
  ];
  for (const { oid, field, title } of FULCIO_EXTENSIONS) {
    const value = extensions[field];
    if (value !== undefined) rows.push({ label: `${title} (${oid})`, value: sanitize(value) });
  }
  return rows;
}
