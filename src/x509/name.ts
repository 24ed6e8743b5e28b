import { decodeOid, decodeString, DerReader, parseDer, Tag } from "../asn1/der.ts";
import type { DerElement } from "../asn1/der.ts";
import { encodeHex } from "../encoding/hex.ts";
import { SigstoreError } from "../errors.ts";

/** One attribute of a relative distinguished name. */
export interface NameAttribute {
  /** The attribute type, dotted. */
  readonly type: string;
  readonly value: DerElement;
}

/** RFC 4514 §3, and what certificates commonly hold beside it. */
const SHORT_NAMES: ReadonlyMap<string, string> = new Map([
  ["2.5.4.3", "CN"],
  ["2.5.4.5", "SERIALNUMBER"],
  ["2.5.4.6", "C"],
  ["2.5.4.7", "L"],
  ["2.5.4.8", "ST"],
  ["2.5.4.9", "STREET"],
  ["2.5.4.10", "O"],
  ["2.5.4.11", "OU"],
  ["0.9.2342.19200300.100.1.1", "UID"],
  ["0.9.2342.19200300.100.1.25", "DC"],
  ["1.2.840.113549.1.9.1", "emailAddress"],
]);

/**
 * Parses a distinguished name into its relative distinguished names, in the order of the encoding.
 *
 * @throws {@link FormatError} `DER_MALFORMED`.
 * @see RFC 5280 §4.1.2.4
 */
export function parseName(name: Uint8Array): readonly (readonly NameAttribute[])[] {
  const rdns: NameAttribute[][] = [];
  const sequence = DerReader.of(parseDer(name, Tag.sequence));
  while (!sequence.atEnd) {
    const attributes: NameAttribute[] = [];
    const set = sequence.set();
    do {
      const attribute = set.sequence();
      const type = decodeOid(attribute.next(Tag.oid));
      attributes.push({ type, value: attribute.next() });
      attribute.end();
    } while (!set.atEnd);
    rdns.push(attributes);
  }
  return rdns;
}

/**
 * Formats a distinguished name for messages, the last part of the encoding first.
 *
 * Never throws: a name that cannot be read is shown in hexadecimal. Names are compared by their bytes, not by this text.
 *
 * @param name - The DER of a Name.
 * @see RFC 4514 §2
 */
export function formatName(name: Uint8Array): string {
  try {
    return parseName(name)
      .map((rdn) => rdn.map(formatAttribute).join("+"))
      .reverse()
      .join(",");
  } catch (error) {
    if (!(error instanceof SigstoreError)) throw error;
    return `#${encodeHex(name)}`;
  }
}

function formatAttribute({ type, value }: NameAttribute): string {
  const text = tryReadText(value);
  const shortName = SHORT_NAMES.get(type);
  if (shortName === undefined || text === undefined) return `${shortName ?? type}=#${encodeHex(value.bytes)}`;
  return `${shortName}=${escapeValue(text)}`;
}

/** Decodes an attribute value of a string type; `undefined` for other types and for text its type does not allow. */
export function tryReadText(value: DerElement): string | undefined {
  switch (value.tag) {
    case Tag.utf8String:
    case Tag.printableString:
    case Tag.ia5String:
    case Tag.teletexString:
    case Tag.bmpString:
      try {
        return decodeString(value);
      } catch (error) {
        if (!(error instanceof SigstoreError)) throw error;
        return undefined;
      }
    default:
      return undefined;
  }
}

/** RFC 4514 §2.4, and control characters too, so that a name can be shown on a terminal. */
function escapeValue(text: string): string {
  let escaped = "";
  for (let i = 0; i < text.length; i++) {
    const character = text.charAt(i);
    const code = text.charCodeAt(i);
    if (code < 0x20 || (code >= 0x7f && code < 0xa0)) {
      // Above 0x7f, UTF-8 of U+0080 to U+009F is C2 and the code itself
      escaped += code < 0x80 ? `\\${code.toString(16).padStart(2, "0")}` : `\\c2\\${code.toString(16)}`;
    } else if (
      `"+,;<>\\`.includes(character) ||
      (i === 0 && (character === " " || character === "#")) ||
      (i === text.length - 1 && character === " ")
    ) {
      escaped += `\\${character}`;
    } else {
      escaped += character;
    }
  }
  return escaped;
}
