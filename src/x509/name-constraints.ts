import { contextTag, DerReader, parseDer, Tag } from "../asn1/der.ts";
import type { DerElement } from "../asn1/der.ts";
import { encodeHex } from "../encoding/hex.ts";
import { FormatError } from "../errors.ts";
import { MAX_NAME_CONSTRAINTS } from "../limits.ts";
import { parseName, tryReadText } from "./name.ts";
import type { NameAttribute } from "./name.ts";
import { X509_OID } from "./oids.ts";
import { GENERAL_NAME, readIa5 } from "./subject-alternative-name.ts";
import type { SubjectAlternativeName } from "./subject-alternative-name.ts";

/** Part of a name space. */
export interface NameSubtree {
  /** The number of the GeneralName alternative, 0 to 8. */
  readonly form: number;
  /** The host, domain or mailbox of a text form; empty for the others. */
  readonly base: string;
  /** The content octets of the GeneralName. */
  readonly bytes: Uint8Array;
}

/** What a certification authority may issue names for. */
export interface NameConstraints {
  readonly permitted: readonly NameSubtree[];
  readonly excluded: readonly NameSubtree[];
}

/** What of a certificate the constraints apply to. */
export interface ConstrainedNames {
  /** The DER of the subject's Name. */
  readonly subject: Uint8Array;
  readonly subjectAlternativeNames: readonly SubjectAlternativeName[];
}

/**
 * Parses the value of a name constraints extension.
 *
 * @throws {@link FormatError} `DER_MALFORMED`, `CERTIFICATE_MALFORMED`, `LIMIT_EXCEEDED`.
 * @see RFC 5280 §4.2.1.10
 */
export function parseNameConstraints(value: Uint8Array): NameConstraints {
  const reader = DerReader.of(parseDer(value, Tag.sequence));
  const permitted = reader.optional(contextTag(0, true));
  const excluded = reader.optional(contextTag(1, true));
  reader.end();
  // Conforming CAs MUST NOT issue certificates where name constraints is an empty sequence.
  if (permitted === undefined && excluded === undefined) throw malformed("are empty");
  const constraints = {
    permitted: permitted ? readSubtrees(permitted) : [],
    excluded: excluded ? readSubtrees(excluded) : [],
  };
  if (constraints.permitted.length + constraints.excluded.length > MAX_NAME_CONSTRAINTS) {
    throw new FormatError("LIMIT_EXCEEDED", `certificate has more than ${MAX_NAME_CONSTRAINTS} name constraints`);
  }
  return constraints;
}

function readSubtrees(element: DerElement): readonly NameSubtree[] {
  const reader = DerReader.of(element);
  const subtrees: NameSubtree[] = [];
  do {
    const subtree = reader.sequence();
    const base = subtree.next();
    // The minimum MUST be zero, which DER leaves out, and maximum MUST be absent.
    if (!subtree.atEnd) throw malformed("have a minimum or a maximum");
    subtrees.push(readSubtree(base));
  } while (!reader.atEnd);
  return subtrees;
}

function readSubtree(element: DerElement): NameSubtree {
  const bytes = element.content;
  const form = element.tag & 0x1f;
  const constructed =
    form === GENERAL_NAME.otherName ||
    form === GENERAL_NAME.x400Address ||
    form === GENERAL_NAME.directoryName ||
    form === GENERAL_NAME.ediPartyName;
  if (form > GENERAL_NAME.registeredID || element.tag !== contextTag(form, constructed))
    throw malformed("have a base that is not a GeneralName");
  switch (form) {
    case GENERAL_NAME.rfc822Name:
    case GENERAL_NAME.dNSName:
    case GENERAL_NAME.uniformResourceIdentifier:
      return { form, base: readIa5(bytes, "name constraint"), bytes };
    case GENERAL_NAME.directoryName:
      parseName(bytes);
      return { form, base: "", bytes };
    case GENERAL_NAME.iPAddress:
      checkAddressRange(bytes);
      return { form, base: "", bytes };
    default:
      return { form, base: "", bytes };
  }
}

/** An address and a mask in the style of RFC 4632, so that the mask's ones come first. */
function checkAddressRange(bytes: Uint8Array): void {
  if (bytes.length !== 8 && bytes.length !== 32) throw malformed(`have an address range of ${bytes.length} octets`);
  let zeroSeen = false;
  for (const octet of bytes.subarray(bytes.length / 2)) {
    for (let bit = 0x80; bit !== 0; bit >>= 1) {
      if ((octet & bit) === 0) zeroSeen = true;
      else if (zeroSeen) throw malformed("have an address mask that is not a prefix");
    }
  }
}

/**
 * Finds a name of a certificate that the constraints of an authority above it do not allow.
 *
 * A name of a form that is constrained and that cannot be compared (other names, X.400 addresses, EDI party names,
 * registered ids, a URI without a host name) is a violation. Names of a form without constraints are free.
 *
 * @returns What is wrong, for a message; `undefined` when every name is allowed.
 * @throws {@link FormatError} `DER_MALFORMED` when the subject is not a Name.
 * @see RFC 5280 §4.2.1.10, §6.1.3 (b) and (c)
 */
export function findNameViolation(constraints: NameConstraints, names: ConstrainedNames): string | undefined {
  const { permitted, excluded } = constraints;
  for (const name of namesOf(names)) {
    const { form } = name;
    const allowed = permitted.filter((subtree) => subtree.form === form);
    const forbidden = excluded.filter((subtree) => subtree.form === form);
    if (allowed.length === 0 && forbidden.length === 0) continue;
    const text = `${name.kind} ${JSON.stringify(name.value)}`;
    const matcher = matcherOf(name);
    if (matcher === undefined) return `${text} cannot be compared with the constraints on its form`;
    if (forbidden.some((subtree) => matcher(subtree, true))) return `${text} is excluded`;
    if (allowed.length > 0 && !allowed.some((subtree) => matcher(subtree, false))) return `${text} is not permitted`;
  }
  return undefined;
}

/** The alternative names, the subject when it is not empty, and the mail addresses in it when there are no alternative names. */
function namesOf({ subject, subjectAlternativeNames }: ConstrainedNames): readonly SubjectAlternativeName[] {
  const rdns = parseName(subject);
  if (rdns.length === 0) return subjectAlternativeNames;
  const names: SubjectAlternativeName[] = [
    ...subjectAlternativeNames,
    { kind: "directory-name", value: "subject", form: GENERAL_NAME.directoryName, bytes: subject },
  ];
  if (subjectAlternativeNames.length > 0) return names;
  for (const { type, value } of rdns.flat()) {
    if (type !== X509_OID.emailAddress) continue;
    names.push({ kind: "email", value: tryReadText(value) ?? "", form: GENERAL_NAME.rfc822Name, bytes: value.content });
  }
  return names;
}

/** Tells whether a name lies in a subtree; in doubt, an excluded subtree contains it. */
type Matcher = (subtree: NameSubtree, excluding: boolean) => boolean;

function matcherOf(name: SubjectAlternativeName): Matcher | undefined {
  switch (name.form) {
    case GENERAL_NAME.rfc822Name:
      return mailMatcher(name.value);
    case GENERAL_NAME.dNSName:
      return dnsMatcher(name.value);
    case GENERAL_NAME.uniformResourceIdentifier:
      return uriMatcher(name.value);
    case GENERAL_NAME.iPAddress:
      return ({ bytes }) => addressIsWithin(name.bytes, bytes);
    case GENERAL_NAME.directoryName:
      return directoryMatcher(name.bytes);
    default:
      return undefined;
  }
}

/** A base with "@" is one mailbox, one that begins with "." a domain without its own host, any other one host. */
function mailMatcher(mailbox: string): Matcher | undefined {
  const at = mailbox.lastIndexOf("@");
  if (at <= 0) return undefined;
  const local = mailbox.slice(0, at);
  const host = mailbox.slice(at + 1).toLowerCase();
  if (!isHostName(host)) return undefined;
  return ({ base }) => {
    const baseAt = base.lastIndexOf("@");
    if (baseAt < 0) return hostIsWithin(host, base.toLowerCase());
    // §7.5: the host is compared without regard to case, the local part with it
    return base.slice(0, baseAt) === local && base.slice(baseAt + 1).toLowerCase() === host;
  };
}

/** The constraint applies to the host part, which must be a fully qualified domain name. */
function uriMatcher(uri: string): Matcher | undefined {
  const authority = /^[A-Za-z][A-Za-z0-9+.-]*:\/\/([^/?#]*)/.exec(uri)?.[1];
  if (authority === undefined) return undefined;
  const hostAndPort = authority.slice(authority.lastIndexOf("@") + 1);
  const host = /^([^:]*)(?::[0-9]*)?$/.exec(hostAndPort)?.[1]?.toLowerCase();
  // "… or includes an authority component in which the host name is specified as an IP address": reject
  if (host === undefined || !isHostName(host) || /\.[0-9]+$|^[0-9]+$|^0x|\.0x[0-9a-f]*$/.test(host)) return undefined;
  return ({ base }) => hostIsWithin(host, base.toLowerCase());
}

/** An empty base holds every host, as in NSS and Go; RFC 5280 is silent. */
function hostIsWithin(host: string, base: string): boolean {
  if (base === "") return true;
  return base.startsWith(".") ? host.length > base.length && host.endsWith(base) : host === base;
}

/** Any name made by adding zero or more labels on the left lies within; after a leading ".", at least one. */
function dnsMatcher(name: string): Matcher | undefined {
  const host = name.toLowerCase();
  const wildcard = host.startsWith("*.");
  if (!isHostName(wildcard ? host.slice(2) : host)) return undefined;
  return (subtree, excluding) => {
    const base = subtree.base.toLowerCase();
    if (base === "") return true;
    if (base.startsWith(".")) return host.length > base.length && host.endsWith(base);
    if (host === base || host.endsWith(`.${base}`)) return true;
    // A wildcard also stands for the names that lie one label deeper
    return excluding && wildcard && base.slice(base.indexOf(".")) === host.slice(1);
  };
}

/** Labels of letters, digits, hyphens and underscores. A final dot would make one host have two spellings. */
function isHostName(host: string): boolean {
  return host.length <= 253 && /^[a-z0-9_-]+(\.[a-z0-9_-]+)*$/.test(host);
}

function addressIsWithin(address: Uint8Array, range: Uint8Array): boolean {
  const { length } = address;
  if (range.length !== 2 * length) return false;
  for (let i = 0; i < length; i++) {
    const mask = range[length + i] ?? 0;
    if (((address[i] ?? 0) & mask) !== ((range[i] ?? 0) & mask)) return false;
  }
  return true;
}

/** A name lies within a base whose relative distinguished names are its first ones. */
function directoryMatcher(name: Uint8Array): Matcher {
  const rdns = parseName(name).map(comparableRdn);
  return ({ bytes }) => parseName(bytes).every((rdn, i) => rdns[i] === comparableRdn(rdn));
}

/** §7.1: strings are compared without regard to case, string type and repeated or surrounding spaces; others by their bytes. */
function comparableRdn(rdn: readonly NameAttribute[]): string {
  const attributes = rdn.map(({ type, value }) => {
    const text = tryReadText(value);
    if (text === undefined) return [type, 0, encodeHex(value.bytes)];
    return [type, 1, text.normalize("NFKC").toLowerCase().trim().replaceAll(/\s+/g, " ")];
  });
  return JSON.stringify(attributes.map((attribute) => JSON.stringify(attribute)).sort());
}

function malformed(detail: string): FormatError {
  return new FormatError("CERTIFICATE_MALFORMED", `certificate has name constraints that ${detail}`);
}
