import { concatBytes } from "../../encoding/bytes.ts";

/**
 * Encodes a variable-length vector of the presentation language of TLS: its length in bytes, then its content.
 *
 * @throws `TypeError` when the content is too long for the length.
 * @see RFC 5246 §4.3
 */
export function encodeVector(lengthBytes: 2 | 3, ...content: readonly Uint8Array[]): Uint8Array {
  const length = content.reduce((sum, part) => sum + part.length, 0);
  if (length >= 256 ** lengthBytes) throw new TypeError(`a vector of ${length} bytes does not fit`);
  const prefix =
    lengthBytes === 2 ? [length >>> 8, length & 0xff] : [length >>> 16, (length >>> 8) & 0xff, length & 0xff];
  return concatBytes(Uint8Array.from(prefix), ...content);
}

/** Splits a vector off bytes that this process encoded: the content, and what follows it. */
export function splitVector(lengthBytes: 2 | 3, bytes: Uint8Array): readonly [content: Uint8Array, rest: Uint8Array] {
  let length = 0;
  for (const byte of bytes.subarray(0, lengthBytes)) length = length * 256 + byte;
  const end = lengthBytes + length;
  if (bytes.length < end) throw new TypeError("a vector ends early");
  return [bytes.subarray(lengthBytes, end), bytes.subarray(end)];
}
