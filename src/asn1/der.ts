import { encodeHex } from "../encoding/hex.ts";
import { tryDecodeUtf8 } from "../encoding/utf8.ts";
import { FormatError } from "../errors.ts";
import { MAX_DER_DEPTH, MAX_DER_INTEGER_BYTES, MAX_OID_BYTES } from "../limits.ts";

/** Identifier octets of the universal types, in the form (primitive or constructed) that DER demands. */
export const Tag = {
  boolean: 0x01,
  integer: 0x02,
  bitString: 0x03,
  octetString: 0x04,
  null: 0x05,
  oid: 0x06,
  enumerated: 0x0a,
  utf8String: 0x0c,
  numericString: 0x12,
  printableString: 0x13,
  teletexString: 0x14,
  ia5String: 0x16,
  utcTime: 0x17,
  generalizedTime: 0x18,
  visibleString: 0x1a,
  universalString: 0x1c,
  bmpString: 0x1e,
  sequence: 0x30,
  set: 0x31,
} as const;

/** Is one encoded value. Both byte strings are views of the input, not copies. */
export interface DerElement {
  /** The identifier octet. */
  readonly tag: number;
  /** The whole encoding: identifier, length and content. */
  readonly bytes: Uint8Array;
  readonly content: Uint8Array;
}

/** Identifier octets that may occur in DER: no high tag numbers, and only the form that each universal type has. */
const ALLOWED = new Uint8Array(256).fill(1);
for (let tag = 0; tag < 256; tag++) {
  const number = tag & 0x1f;
  const constructed = (tag & 0x20) !== 0;
  if (number === 0x1f || tag === 0x00 || tag === 0x20) ALLOWED[tag] = 0;
  // X.690 §10.2: strings are primitive. SEQUENCE and SET are constructed; so are 8, 11 and 29, which nobody uses.
  else if (tag < 0x40 && constructed !== [8, 11, 16, 17, 29].includes(number)) ALLOWED[tag] = 0;
}

/** Keeps offsets, and makes the views when they are asked for: most elements are only walked over. */
class Element implements DerElement {
  readonly tag: number;
  readonly source: Uint8Array;
  readonly start: number;
  readonly contentStart: number;
  readonly endOffset: number;
  readonly depth: number;

  constructor(tag: number, source: Uint8Array, start: number, contentStart: number, endOffset: number, depth: number) {
    this.tag = tag;
    this.source = source;
    this.start = start;
    this.contentStart = contentStart;
    this.endOffset = endOffset;
    this.depth = depth;
  }

  get bytes(): Uint8Array {
    return this.source.subarray(this.start, this.endOffset);
  }

  get content(): Uint8Array {
    return this.source.subarray(this.contentStart, this.endOffset);
  }
}

/**
 * Parses bytes that are exactly one value in DER.
 *
 * Only this value's own identifier and length are checked; what it contains is checked by whoever reads it.
 *
 * @param tag - The identifier octet that it must have; any when absent.
 * @throws {@link FormatError} `DER_MALFORMED`.
 * @see {@link https://www.itu.int/rec/T-REC-X.690 | X.690 §8.1 and §10.1}
 */
export function parseDer(bytes: Uint8Array, tag?: number): DerElement {
  const element = readElement(bytes, 0, bytes.length, 0);
  if (element.endOffset !== bytes.length)
    throw malformed(`has ${bytes.length - element.endOffset} bytes after its end`);
  if (tag !== undefined && element.tag !== tag) throw unexpected(tag, element.tag, 0);
  return element;
}

function readElement(source: Uint8Array, start: number, limit: number, depth: number): Element {
  if (limit - start < 2) throw malformed(`ends inside a header at offset ${start}`);
  const tag = source[start] as number;
  if (ALLOWED[tag] === 0) throw malformed(`has the identifier ${hexByte(tag)} at offset ${start}`);
  let length = source[start + 1] as number;
  let contentStart = start + 2;
  if (length >= 0x80) {
    const octets = length - 0x80;
    // §10.1: the definite form; more than four octets of length cannot be met by any input.
    if (octets === 0 || octets > 4) throw malformed(`has an indefinite or absurd length at offset ${start}`);
    if (limit - contentStart < octets) throw malformed(`ends inside a length at offset ${start}`);
    length = 0;
    for (let i = 0; i < octets; i++) length = length * 256 + (source[contentStart++] as number);
    if (length < 0x80 || length < 2 ** (8 * (octets - 1)))
      throw malformed(`has a length that is not minimal at offset ${start}`);
  }
  if (length > limit - contentStart)
    throw malformed(`has a length of ${length} at offset ${start}, but only ${limit - contentStart} bytes follow`);
  return new Element(tag, source, start, contentStart, contentStart + length, depth);
}

/** Reads the elements of a constructed value one after another. */
export class DerReader {
  readonly #source: Uint8Array;
  #at: number;
  readonly #limit: number;
  readonly #depth: number;

  /** @param content - What stands inside a constructed value. */
  constructor(content: Uint8Array);
  /** @internal */
  constructor(source: Uint8Array, start: number, limit: number, depth: number);
  constructor(source: Uint8Array, start = 0, limit = source.length, depth = 1) {
    if (depth > MAX_DER_DEPTH) throw new FormatError("LIMIT_EXCEEDED", `DER nests deeper than ${MAX_DER_DEPTH} levels`);
    this.#source = source;
    this.#at = start;
    this.#limit = limit;
    this.#depth = depth;
  }

  /**
   * Opens a constructed element.
   *
   * @throws {@link FormatError} `DER_MALFORMED` when it is primitive; `LIMIT_EXCEEDED` when it lies too deep.
   */
  static of(element: DerElement): DerReader {
    if ((element.tag & 0x20) === 0)
      throw malformed(`has the primitive ${hexByte(element.tag)} where a constructed value should be`);
    return element instanceof Element
      ? new DerReader(element.source, element.contentStart, element.endOffset, element.depth + 1)
      : new DerReader(element.content);
  }

  get atEnd(): boolean {
    return this.#at === this.#limit;
  }

  /** Returns the identifier octet of the next element, `undefined` at the end. */
  peekTag(): number | undefined {
    return this.#at < this.#limit ? this.#source[this.#at] : undefined;
  }

  /**
   * Reads the next element.
   *
   * @throws {@link FormatError} `DER_MALFORMED` when there is none, or one with another identifier.
   */
  next(tag?: number): DerElement {
    if (this.#at === this.#limit)
      throw malformed(`ends at offset ${this.#at} where ${tag === undefined ? "an element" : hexByte(tag)} should be`);
    const element = readElement(this.#source, this.#at, this.#limit, this.#depth);
    if (tag !== undefined && element.tag !== tag) throw unexpected(tag, element.tag, this.#at);
    this.#at = element.endOffset;
    return element;
  }

  /** Reads the next element if it has this identifier. */
  optional(tag: number): DerElement | undefined {
    return this.peekTag() === tag ? this.next(tag) : undefined;
  }

  /** Reads a SEQUENCE and opens it. */
  sequence(): DerReader {
    return DerReader.of(this.next(Tag.sequence));
  }

  /** Reads a SET and opens it. */
  set(): DerReader {
    return DerReader.of(this.next(Tag.set));
  }

  /** @throws {@link FormatError} `DER_MALFORMED` when an element is left. */
  end(): void {
    if (this.#at !== this.#limit) throw malformed(`has ${this.#limit - this.#at} bytes too many at offset ${this.#at}`);
  }
}

/** Makes the identifier octet of a context-specific tag. */
export function contextTag(number: number, constructed: boolean): number {
  if (!(number >= 0 && number < 31)) throw new TypeError(`${number} is not a low tag number`);
  return (constructed ? 0xa0 : 0x80) | number;
}

// The functions below read the content of an element. Its identifier is not looked at, because a type may be tagged
// implicitly; only decodeTime and decodeString, which choose by it, do.

/** @throws {@link FormatError} `DER_MALFORMED` for anything but 00 and FF (X.690 §11.1). */
export function decodeBoolean(element: DerElement): boolean {
  const { content } = element;
  if (content.length !== 1 || (content[0] !== 0x00 && content[0] !== 0xff))
    throw malformed("has a BOOLEAN that is neither 00 nor FF");
  return content[0] === 0xff;
}

/** @throws {@link FormatError} `DER_MALFORMED` when there is content (X.690 §8.8). */
export function decodeNull(element: DerElement): void {
  if (element.content.length !== 0) throw malformed("has a NULL with content");
}

function integerContent(element: DerElement): Uint8Array {
  const { content } = element;
  const [first, second] = content;
  if (first === undefined) throw malformed("has an INTEGER without content");
  // X.690 §8.3.2: the first nine bits are neither all zero nor all one.
  if (second !== undefined && ((first === 0x00 && second < 0x80) || (first === 0xff && second >= 0x80))) {
    throw malformed("has an INTEGER that is not minimal");
  }
  if (content.length > MAX_DER_INTEGER_BYTES)
    throw new FormatError("LIMIT_EXCEEDED", `DER has an INTEGER of more than ${MAX_DER_INTEGER_BYTES} bytes`);
  return content;
}

/** Decodes a signed integer of any size up to a limit. */
export function decodeInteger(element: DerElement): bigint {
  const content = integerContent(element);
  return BigInt.asIntN(8 * content.length, BigInt(`0x${encodeHex(content)}`));
}

/** Decodes an integer from 0 to 2^31 - 1, such as a version or a path length. */
export function decodeSmallInteger(element: DerElement): number {
  const content = integerContent(element);
  if (content.length > 4 || (content[0] as number) >= 0x80) throw malformed("has an INTEGER outside 0 to 2147483647");
  let value = 0;
  for (const octet of content) value = value * 256 + octet;
  return value;
}

/** Decodes a non-negative integer as its magnitude, most significant byte first, without the zero octet of the sign. */
export function decodeUnsignedBytes(element: DerElement): Uint8Array {
  const content = integerContent(element);
  if ((content[0] as number) >= 0x80) throw malformed("has a negative INTEGER where none may be");
  return content[0] === 0 && content.length > 1 ? content.subarray(1) : content;
}

/**
 * Decodes an object identifier in dotted form.
 *
 * @see {@link https://www.itu.int/rec/T-REC-X.690 | X.690 §8.19}
 */
export function decodeOid(element: DerElement): string {
  const { content } = element;
  if (content.length === 0 || content.length > MAX_OID_BYTES)
    throw malformed(`has an OBJECT IDENTIFIER of ${content.length} bytes`);
  let text = "";
  let arc = 0;
  let begins = true;
  for (let i = 0; i < content.length; i++) {
    const octet = content[i] as number;
    if (begins && octet === 0x80) throw malformed("has an OBJECT IDENTIFIER that is not minimal");
    arc = arc * 128 + (octet & 0x7f);
    if (arc > Number.MAX_SAFE_INTEGER) throw malformed("has an OBJECT IDENTIFIER with an arc beyond 2^53");
    begins = octet < 0x80;
    if (!begins) continue;
    if (text !== "") text += `.${arc}`;
    else text = arc < 40 ? `0.${arc}` : arc < 80 ? `1.${arc - 40}` : `2.${arc - 80}`;
    arc = 0;
  }
  if (!begins) throw malformed("has an OBJECT IDENTIFIER that ends inside an arc");
  return text;
}

/** Decodes a bit string; bits that are not used must be zero (X.690 §11.2.1). */
export function decodeBitString(element: DerElement): { readonly unusedBits: number; readonly bytes: Uint8Array } {
  const { content } = element;
  const unusedBits = content[0];
  if (unusedBits === undefined || unusedBits > 7 || (unusedBits > 0 && content.length === 1))
    throw malformed("has a BIT STRING with a wrong count of unused bits");
  if (((content[content.length - 1] as number) & ((1 << unusedBits) - 1)) !== 0 && content.length > 1)
    throw malformed("has a BIT STRING whose unused bits are not zero");
  return { unusedBits, bytes: content.subarray(1) };
}

/** Returns the content, which any bytes are good for. */
export function decodeOctetString(element: DerElement): Uint8Array {
  return element.content;
}

/**
 * Decodes a UTCTime or a GeneralizedTime of the form that DER allows: with seconds and `Z`; for the latter, a fraction without a final zero.
 *
 * Digits below a millisecond are dropped. A two-digit year from 50 on is of the twentieth century.
 *
 * @see {@link https://www.itu.int/rec/T-REC-X.690 | X.690 §11.7 and §11.8}, {@link https://www.rfc-editor.org/rfc/rfc5280#section-4.1.2.5 | RFC 5280 §4.1.2.5}
 */
export function decodeTime(element: DerElement): Date {
  const { tag, content } = element;
  const yearDigits = tag === Tag.utcTime ? 2 : tag === Tag.generalizedTime ? 4 : 0;
  if (yearDigits === 0) throw malformed(`has ${hexByte(tag)} where a time should be`);
  const secondsEnd = yearDigits + 10;
  const last = content.length - 1;
  if (last < secondsEnd || last > 31 || content[last] !== 0x5a /* Z */)
    throw malformed("has a time that does not end in seconds and Z");
  let milliseconds = 0;
  if (last > secondsEnd) {
    // §11.7.3: a full stop, and no zero at the end.
    if (
      tag === Tag.utcTime ||
      content[secondsEnd] !== 0x2e /* . */ ||
      last === secondsEnd + 1 ||
      content[last - 1] === 0x30
    ) {
      throw malformed("has a time with a fraction that DER does not allow");
    }
    for (let i = secondsEnd + 1; i < last; i++) {
      const digit = digits(content, i, 1);
      if (i <= secondsEnd + 3) milliseconds += digit * 10 ** (secondsEnd + 3 - i);
    }
  }
  let year = digits(content, 0, yearDigits);
  if (tag === Tag.utcTime) year += year >= 50 ? 1900 : 2000;
  const month = digits(content, yearDigits, 2);
  const day = digits(content, yearDigits + 2, 2);
  const hour = digits(content, yearDigits + 4, 2);
  const minute = digits(content, yearDigits + 6, 2);
  const second = digits(content, yearDigits + 8, 2);
  const time = new Date(0);
  time.setUTCFullYear(year, month - 1, day);
  // A day that its month lacks, and a month that no year has, are carried into another month.
  if (time.getUTCMonth() !== month - 1 || hour > 23 || minute > 59 || second > 59) {
    throw malformed("has a time that does not exist");
  }
  time.setUTCHours(hour, minute, second, milliseconds);
  return time;
}

function digits(content: Uint8Array, start: number, count: number): number {
  let value = 0;
  for (let i = start; i < start + count; i++) {
    const digit = (content[i] as number) - 0x30;
    if (!(digit >= 0 && digit <= 9)) throw malformed("has a time with a character that is no digit");
    value = value * 10 + digit;
  }
  return value;
}

/**
 * Decodes a character string by its type, and checks that the type has these characters.
 *
 * A TeletexString is read as Latin-1, as everybody does.
 *
 * @see {@link https://www.itu.int/rec/T-REC-X.680 | X.680 §41}
 */
export function decodeString(element: DerElement): string {
  const { tag, content } = element;
  switch (tag) {
    case Tag.utf8String: {
      const text = tryDecodeUtf8(content);
      if (text === undefined) throw malformed("has a UTF8String that is not UTF-8");
      return text;
    }
    case Tag.printableString:
      return octetsToString(content, "PrintableString", isPrintable);
    case Tag.numericString:
      return octetsToString(content, "NumericString", (code) => code === 0x20 || (code >= 0x30 && code <= 0x39));
    case Tag.ia5String:
      return octetsToString(content, "IA5String", (code) => code < 0x80);
    case Tag.visibleString:
      return octetsToString(content, "VisibleString", (code) => code >= 0x20 && code < 0x7f);
    case Tag.teletexString:
      return octetsToString(content, "TeletexString", () => true);
    case Tag.bmpString:
      return wideToString(content, "BMPString", 2);
    case Tag.universalString:
      return wideToString(content, "UniversalString", 4);
    default:
      throw malformed(`has ${hexByte(tag)} where a character string should be`);
  }
}

function isPrintable(code: number): boolean {
  return (
    (code >= 0x61 && code <= 0x7a) ||
    (code >= 0x41 && code <= 0x5a) ||
    (code >= 0x27 && code <= 0x3a && code !== 0x2a) ||
    code === 0x20 ||
    code === 0x3d ||
    code === 0x3f
  );
}

function octetsToString(content: Uint8Array, type: string, allows: (code: number) => boolean): string {
  let text = "";
  for (let i = 0; i < content.length; i++) {
    const code = content[i] as number;
    if (!allows(code)) throw malformed(`has a ${type} with the character ${hexByte(code)}`);
    text += String.fromCharCode(code);
  }
  return text;
}

function wideToString(content: Uint8Array, type: string, width: 2 | 4): string {
  if (content.length % width !== 0) throw malformed(`has a ${type} that ends inside a character`);
  let text = "";
  for (let i = 0; i < content.length; i += width) {
    let code = 0;
    for (let j = i; j < i + width; j++) code = code * 256 + (content[j] as number);
    if (code > 0x10ffff || (code >= 0xd800 && code <= 0xdfff))
      throw malformed(`has a ${type} with a character that Unicode does not have`);
    text += String.fromCodePoint(code);
  }
  return text;
}

function hexByte(value: number): string {
  return `0x${value.toString(16).padStart(2, "0")}`;
}

function unexpected(expected: number, found: number, offset: number): FormatError {
  return new FormatError("DER_MALFORMED", `DER has another type than expected at offset ${offset}`, {
    expected: hexByte(expected),
    found: hexByte(found),
  });
}

function malformed(detail: string): FormatError {
  return new FormatError("DER_MALFORMED", `DER ${detail}`);
}
