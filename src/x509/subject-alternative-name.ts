import { contextTag, decodeOid, decodeString, DerReader, parseDer, Tag } from "../asn1/der.ts";
import type { DerElement } from "../asn1/der.ts";
import { encodeHex } from "../encoding/hex.ts";
import { FormatError } from "../errors.ts";
import { MAX_SUBJECT_ALTERNATIVE_NAMES } from "../limits.ts";
import { formatIpAddress } from "./ip-address.ts";
import { formatName } from "./name.ts";
import { X509_OID } from "./oids.ts";

/** A name that a certificate speaks for. Claimed until the certificate's path is verified. */
export interface SubjectAlternativeName {
  /**
   * The form of the name. `other-name` is Fulcio's username form only; names of other types, X.400 addresses and
   * EDI party names are `unsupported`, so that no text in them can pass for an identity.
   */
  readonly kind: "uri" | "email" | "dns" | "ip" | "other-name" | "directory-name" | "registered-id" | "unsupported";
  /** The name as text; of an `unsupported` one a description for people. */
  readonly value: string;
  /** The number of the GeneralName alternative, 0 to 8. */
  readonly form: number;
  /** The content octets of the GeneralName: address octets of an IP, the Name of a directory name. */
  readonly bytes: Uint8Array;
}

/** The alternatives of GeneralName, by their tag number. */
export const GENERAL_NAME = {
  otherName: 0,
  rfc822Name: 1,
  dNSName: 2,
  x400Address: 3,
  directoryName: 4,
  ediPartyName: 5,
  uniformResourceIdentifier: 6,
  iPAddress: 7,
  registeredID: 8,
} as const;

/**
 * Parses the value of a subject alternative name extension.
 *
 * @throws {@link FormatError} `DER_MALFORMED`, `CERTIFICATE_MALFORMED`, `LIMIT_EXCEEDED`.
 * @see RFC 5280 §4.2.1.6
 */
export function parseSubjectAlternativeNames(value: Uint8Array): readonly SubjectAlternativeName[] {
  const reader = DerReader.of(parseDer(value, Tag.sequence));
  const names: SubjectAlternativeName[] = [];
  while (!reader.atEnd) {
    if (names.length === MAX_SUBJECT_ALTERNATIVE_NAMES) {
      throw new FormatError(
        "LIMIT_EXCEEDED",
        `certificate has more than ${MAX_SUBJECT_ALTERNATIVE_NAMES} subject alternative names`,
      );
    }
    names.push(readGeneralName(reader.next()));
  }
  // GeneralNames ::= SEQUENCE SIZE (1..MAX)
  if (names.length === 0)
    throw new FormatError("CERTIFICATE_MALFORMED", "certificate has an empty list of subject alternative names");
  return names;
}

function readGeneralName(element: DerElement): SubjectAlternativeName {
  const bytes = element.content;
  switch (element.tag) {
    case contextTag(0, true):
      return readOtherName(element);
    case contextTag(1, false):
      return { kind: "email", value: readIa5(bytes, "e-mail address"), form: 1, bytes };
    case contextTag(2, false):
      return { kind: "dns", value: readIa5(bytes, "DNS name"), form: 2, bytes };
    case contextTag(3, true):
      return { kind: "unsupported", value: "X.400 address", form: 3, bytes };
    case contextTag(4, true): {
      // Name is a CHOICE, so its context tag is explicit
      parseDer(bytes, Tag.sequence);
      return { kind: "directory-name", value: formatName(bytes), form: 4, bytes };
    }
    case contextTag(5, true):
      return { kind: "unsupported", value: "EDI party name", form: 5, bytes };
    case contextTag(6, false):
      return { kind: "uri", value: readIa5(bytes, "URI"), form: 6, bytes };
    case contextTag(7, false):
      if (bytes.length !== 4 && bytes.length !== 16) {
        throw new FormatError(
          "CERTIFICATE_MALFORMED",
          `certificate has an IP address of ${bytes.length} octets among its names`,
        );
      }
      return { kind: "ip", value: formatIpAddress(bytes), form: 7, bytes };
    case contextTag(8, false):
      return { kind: "registered-id", value: decodeOid(element), form: 8, bytes };
    default:
      throw new FormatError(
        "CERTIFICATE_MALFORMED",
        `certificate has a name with tag 0x${element.tag.toString(16)}, which is not a GeneralName`,
      );
  }
}

/** OtherName ::= SEQUENCE { type-id OBJECT IDENTIFIER, value [0] EXPLICIT ANY }, implicitly tagged. */
function readOtherName(element: DerElement): SubjectAlternativeName {
  const reader = DerReader.of(element);
  const type = decodeOid(reader.next(Tag.oid));
  const value = reader.next(contextTag(0, true)).content;
  reader.end();
  const bytes = element.content;
  if (type !== X509_OID.fulcioOtherName) {
    const inner = parseDer(value);
    return { kind: "unsupported", value: `other name ${type}: ${encodeHex(inner.bytes)}`, form: 0, bytes };
  }
  const text = decodeString(parseDer(value, Tag.utf8String));
  refuseControlCharacters(text, "username");
  return { kind: "other-name", value: text, form: 0, bytes };
}

/**
 * Decodes IA5String octets of a name. Control characters are in none of the grammars that these names must follow,
 * and have been used to make one name look like another.
 */
export function readIa5(bytes: Uint8Array, what: string): string {
  let text = "";
  for (let i = 0; i < bytes.length; i++) {
    const code = bytes[i] as number;
    if (code < 0x20 || code > 0x7e) {
      throw new FormatError(
        "CERTIFICATE_MALFORMED",
        `certificate has the octet 0x${code.toString(16).padStart(2, "0")} in a ${what}`,
      );
    }
    text += String.fromCharCode(code);
  }
  return text;
}

function refuseControlCharacters(text: string, what: string): void {
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i);
    if (code < 0x20 || (code >= 0x7f && code < 0xa0)) {
      throw new FormatError("CERTIFICATE_MALFORMED", `certificate has a control character in a ${what}`);
    }
  }
}
