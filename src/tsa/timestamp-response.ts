import {
  decodeBitString,
  decodeSmallInteger,
  decodeString,
  DerReader,
  parseDer,
  Tag,
  type DerElement,
} from "../asn1/der.ts";
import { FormatError, VerificationError } from "../errors.ts";
import { MAX_TIMESTAMP_BYTES, MAX_TIMESTAMP_ITEMS } from "../limits.ts";
import { parseSignedData, type SignedData } from "./signed-data.ts";
import { parseTimestampInfo, type TimestampInfo } from "./tst-info.ts";

/** A timestamp token of an authority. Claimed, not proven: see `verifyTimestamp`. Byte fields are views of the response. */
export interface TimestampToken extends TimestampInfo {
  readonly signedData: SignedData;
}

/** RFC 3161 §2.4.2, PKIStatus. */
const STATUS = [
  "granted",
  "granted with modifications",
  "rejection",
  "waiting",
  "revocation warning",
  "revocation notification",
] as const;
const GRANTED = 0;

/** RFC 3161 §2.4.2, PKIFailureInfo: bit and reason. */
const FAILURES: readonly (readonly [bit: number, reason: string])[] = [
  [0, "unknown or unsupported algorithm"],
  [2, "request not permitted or supported"],
  [5, "data of the wrong format"],
  [14, "time source not available"],
  [15, "policy not supported"],
  [16, "extension not supported"],
  [17, "additional information not available"],
  [25, "system failure"],
];

/** Characters of an authority's own words that go into a message. */
const MAX_TEXT_LENGTH = 200;

/**
 * Parses the response of a timestamp authority, and the token in it.
 *
 * Only the status `granted` is taken. `granted with modifications` carries a token too, but says that it is not the one
 * that was asked for, and nothing signs the status; Sigstore's own verifiers refuse it as well.
 *
 * Nothing is proven here: `verifyTimestamp` does that. Certificates in the token are not decoded, so one that is not even
 * DER stays unnoticed unless it is the signer's.
 *
 * @param der - Kept, not copied: it must not change afterwards.
 * @throws {@link FormatError} `TIMESTAMP_MALFORMED`, `LIMIT_EXCEEDED`.
 * @throws {@link VerificationError} `TIMESTAMP_NOT_GRANTED`.
 * @see RFC 3161 §2.4.2, §3.4
 */
export function parseTimestampResponse(der: Uint8Array): TimestampToken {
  if (der.length > MAX_TIMESTAMP_BYTES) {
    throw new FormatError("LIMIT_EXCEEDED", `timestamp has ${der.length} bytes`, {
      expected: `at most ${MAX_TIMESTAMP_BYTES}`,
      found: `${der.length}`,
    });
  }
  try {
    return readResponse(der);
  } catch (error) {
    if (error instanceof FormatError && error.code !== "TIMESTAMP_MALFORMED" && error.code !== "LIMIT_EXCEEDED") {
      throw new FormatError("TIMESTAMP_MALFORMED", `timestamp cannot be read: ${error.message}`, { cause: error });
    }
    throw error;
  }
}

function readResponse(der: Uint8Array): TimestampToken {
  const response = DerReader.of(parseDer(der, Tag.sequence));
  requireGranted(response.sequence());
  if (response.atEnd) throw new FormatError("TIMESTAMP_MALFORMED", "timestamp response is granted and has no token");
  const contentInfo = response.next(Tag.sequence);
  response.end();
  const signedData = parseSignedData(contentInfo);
  return { ...parseTimestampInfo(signedData.content), signedData };
}

/** PKIStatusInfo. What it says is not signed, so it can only make a token useless, never good. */
function requireGranted(reader: DerReader): void {
  const status = decodeSmallInteger(reader.next(Tag.integer));
  const statusString = reader.optional(Tag.sequence);
  const failInfo = reader.optional(Tag.bitString);
  reader.end();
  const reasons = [
    ...(failInfo ? readFailures(failInfo) : []),
    ...(statusString ? readFreeText(DerReader.of(statusString)) : []),
  ];
  if (status !== GRANTED) {
    const said = reasons.length === 0 ? "" : `: ${reasons.join("; ")}`;
    throw new VerificationError("TIMESTAMP_NOT_GRANTED", `timestamp authority did not grant a timestamp${said}`, {
      expected: STATUS[GRANTED],
      found: STATUS[status] ?? `status ${status}`,
    });
  }
  if (failInfo !== undefined)
    throw new FormatError("TIMESTAMP_MALFORMED", "timestamp response is granted and gives a reason for failure");
}

function readFailures(element: DerElement): readonly string[] {
  const { bytes } = decodeBitString(element);
  return FAILURES.filter(([bit]) => (((bytes[bit >> 3] ?? 0) >> (7 - (bit & 7))) & 1) === 1).map(
    ([, reason]) => reason,
  );
}

/** PKIFreeText ::= SEQUENCE SIZE (1..MAX) OF UTF8String, quoted for a message. */
function readFreeText(reader: DerReader): readonly string[] {
  const lines: string[] = [];
  do {
    if (lines.length === MAX_TIMESTAMP_ITEMS)
      throw new FormatError("LIMIT_EXCEEDED", `timestamp response has more than ${MAX_TIMESTAMP_ITEMS} lines of text`);
    lines.push(decodeString(reader.next(Tag.utf8String)));
  } while (!reader.atEnd);
  return [JSON.stringify(lines.join(" ").slice(0, MAX_TEXT_LENGTH))];
}
