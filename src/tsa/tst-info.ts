import {
  contextTag,
  decodeBoolean,
  decodeInteger,
  decodeOctetString,
  decodeOid,
  decodeSmallInteger,
  decodeTime,
  DerReader,
  parseDer,
  Tag,
  type DerElement,
} from "../asn1/der.ts";
import { DIGEST_LENGTH } from "../crypto/digest.ts";
import { FormatError } from "../errors.ts";
import { MAX_TIMESTAMP_ITEMS } from "../limits.ts";
import { parseDigestAlgorithm, type DigestAlgorithm } from "./digest-algorithm.ts";
import { requireDer } from "./require-der.ts";

/** How far the time of a timestamp may be off, to either side. */
export interface TimestampAccuracy {
  readonly seconds: number;
  readonly milliseconds: number;
  readonly microseconds: number;
}

/** What an authority stamped, and when. Claimed, not proven. */
export interface TimestampInfo {
  /** Policy of the authority under which it made the token, dotted. */
  readonly policy: string;
  /** What was stamped: the digest of the requester's data. */
  readonly imprint: { readonly algorithm: DigestAlgorithm; readonly digest: Uint8Array };
  readonly serialNumber: bigint;
  /** Milliseconds; finer fractions are cut off. */
  readonly genTime: Date;
  readonly accuracy: TimestampAccuracy | undefined;
  /** Whether tokens of this authority can be put in order by their time alone. */
  readonly ordering: boolean;
  readonly nonce: bigint | undefined;
  /** A hint at the authority's name: the number of the GeneralName alternative, and its content octets. */
  readonly tsa: { readonly form: number; readonly content: Uint8Array } | undefined;
}

/**
 * Parses the content of a timestamp token.
 *
 * `ordering` may spell out its default, which DER would leave out: widely used encoders do so, and it says nothing else.
 *
 * @throws {@link FormatError} `TIMESTAMP_MALFORMED`, `DER_MALFORMED`, `LIMIT_EXCEEDED`.
 * @see RFC 3161 §2.4.2, TSTInfo
 */
export function parseTimestampInfo(der: Uint8Array): TimestampInfo {
  const element = parseDer(der, Tag.sequence);
  requireDer(element);
  const info = DerReader.of(element);
  const version = decodeSmallInteger(info.next(Tag.integer));
  if (version !== 1) throw malformed(`has content of version ${version}`);
  const policy = decodeOid(info.next(Tag.oid));
  const imprint = readImprint(info.sequence());
  const serialNumber = decodeInteger(info.next(Tag.integer));
  const genTime = decodeTime(info.next(Tag.generalizedTime));
  const accuracy = info.optional(Tag.sequence);
  const ordering = info.optional(Tag.boolean);
  const nonce = info.optional(Tag.integer);
  const tsa = info.optional(contextTag(0, true));
  const extensions = info.optional(contextTag(1, true));
  info.end();
  if (extensions !== undefined) refuseCriticalExtensions(DerReader.of(extensions));
  return {
    policy,
    imprint,
    serialNumber,
    genTime,
    accuracy: accuracy && readAccuracy(DerReader.of(accuracy)),
    ordering: ordering !== undefined && decodeBoolean(ordering),
    nonce: nonce && decodeInteger(nonce),
    tsa: tsa && readGeneralName(parseDer(tsa.content)),
  };
}

/** GeneralName is a CHOICE of context-specific tags, so the tag around it is explicit. */
function readGeneralName(element: DerElement): TimestampInfo["tsa"] {
  const form = element.tag & 0x1f;
  if ((element.tag & 0xc0) !== 0x80 || form > 8) throw malformed("names its authority in an unknown way");
  return { form, content: element.content };
}

function readImprint(reader: DerReader): TimestampInfo["imprint"] {
  const algorithm = parseDigestAlgorithm(reader.next(Tag.sequence));
  const digest = decodeOctetString(reader.next(Tag.octetString));
  reader.end();
  if (algorithm.hash !== undefined && digest.length !== DIGEST_LENGTH[algorithm.hash]) {
    throw malformed(`has a ${algorithm.hash} imprint of ${digest.length} bytes`);
  }
  return { algorithm, digest };
}

/** Accuracy: milliseconds and microseconds are 1 to 999 where they are there. */
function readAccuracy(reader: DerReader): TimestampAccuracy {
  const seconds = reader.optional(Tag.integer);
  const milliseconds = reader.optional(contextTag(0, false));
  const microseconds = reader.optional(contextTag(1, false));
  reader.end();
  const fraction = (element: DerElement | undefined): number => {
    if (element === undefined) return 0;
    const value = decodeSmallInteger(element);
    if (value < 1 || value > 999) throw malformed(`has an accuracy with a fraction of ${value}`);
    return value;
  };
  return {
    seconds: seconds ? decodeSmallInteger(seconds) : 0,
    milliseconds: fraction(milliseconds),
    microseconds: fraction(microseconds),
  };
}

/** RFC 5280 §4.2: what is critical must be understood, and no extension of a token is. */
function refuseCriticalExtensions(extensions: DerReader): void {
  let count = 0;
  do {
    if (++count > MAX_TIMESTAMP_ITEMS)
      throw new FormatError("LIMIT_EXCEEDED", `timestamp has more than ${MAX_TIMESTAMP_ITEMS} extensions`);
    const extension = extensions.sequence();
    const oid = decodeOid(extension.next(Tag.oid));
    const critical = extension.optional(Tag.boolean);
    decodeOctetString(extension.next(Tag.octetString));
    extension.end();
    if (critical !== undefined && decodeBoolean(critical))
      throw malformed(`has a critical extension that is not known: ${oid}`);
  } while (!extensions.atEnd); // Extensions ::= SEQUENCE SIZE (1..MAX)
}

function malformed(detail: string): FormatError {
  return new FormatError("TIMESTAMP_MALFORMED", `timestamp ${detail}`);
}
