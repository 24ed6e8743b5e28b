import { concatBytes } from "../encoding/bytes.ts";
import { Tag } from "./der.ts";

/**
 * Encodes one value: identifier, minimal definite length, and the parts of its content.
 *
 * @see {@link https://www.itu.int/rec/T-REC-X.690 | X.690 §8.1 and §10.1}
 */
export function encodeDer(tag: number, ...content: readonly Uint8Array[]): Uint8Array {
  if (!(tag > 0 && tag < 256) || (tag & 0x1f) === 0x1f) throw new TypeError(`${tag} is not an identifier octet`);
  let length = 0;
  for (const part of content) length += part.length;
  if (length < 0x80) return concatBytes(Uint8Array.of(tag, length), ...content);
  const octets: number[] = [];
  for (let rest = length; rest > 0; rest = Math.floor(rest / 256)) octets.unshift(rest % 256);
  return concatBytes(Uint8Array.of(tag, 0x80 | octets.length, ...octets), ...content);
}

/** Encodes an INTEGER in the fewest octets of two's complement (X.690 §8.3). */
export function encodeInteger(value: bigint): Uint8Array {
  const octets: number[] = [];
  let rest = value;
  do {
    octets.unshift(Number(rest & 0xffn));
    rest >>= 8n;
    // Done when all that is left is the sign, and the last octet written shows the same sign.
  } while (!((rest === 0n && (octets[0] as number) < 0x80) || (rest === -1n && (octets[0] as number) >= 0x80)));
  return encodeDer(Tag.integer, Uint8Array.from(octets));
}

/**
 * Encodes an object identifier given in dotted form (X.690 §8.19).
 *
 * @throws `TypeError` when it is none.
 */
export function encodeOid(dotted: string): Uint8Array {
  if (!/^[0-2](?:\.(?:0|[1-9][0-9]*))+$/.test(dotted))
    throw new TypeError(`${JSON.stringify(dotted)} is not an object identifier`);
  const [first = 0n, second = 0n, ...rest] = dotted.split(".").map(BigInt);
  if (first < 2n && second > 39n) throw new TypeError(`${JSON.stringify(dotted)} has a second arc beyond 39`);
  const octets: number[] = [];
  for (const arc of [first * 40n + second, ...rest]) {
    const base128 = [Number(arc & 0x7fn)];
    for (let left = arc >> 7n; left > 0n; left >>= 7n) base128.unshift(Number(left & 0x7fn) | 0x80);
    octets.push(...base128);
  }
  return encodeDer(Tag.oid, Uint8Array.from(octets));
}

/** Encodes a BOOLEAN as 00 or FF. */
export function encodeBoolean(value: boolean): Uint8Array {
  return encodeDer(Tag.boolean, Uint8Array.of(value ? 0xff : 0x00));
}

/** Encodes whole bytes as a BIT STRING without unused bits. */
export function encodeBitString(bytes: Uint8Array): Uint8Array {
  return encodeDer(Tag.bitString, Uint8Array.of(0), bytes);
}

/** Encodes an OCTET STRING. */
export function encodeOctetString(bytes: Uint8Array): Uint8Array {
  return encodeDer(Tag.octetString, bytes);
}

/** Encodes NULL. */
export function encodeNull(): Uint8Array {
  return encodeDer(Tag.null);
}

/** Encodes a SEQUENCE of values that are encoded already. */
export function encodeSequence(...items: readonly Uint8Array[]): Uint8Array {
  return encodeDer(Tag.sequence, ...items);
}

/** Encodes a SET OF values that are encoded already, in the order that DER demands (X.690 §11.6). */
export function encodeSet(...items: readonly Uint8Array[]): Uint8Array {
  return encodeDer(Tag.set, ...items.toSorted(compareEncodings));
}

function compareEncodings(a: Uint8Array, b: Uint8Array): number {
  const length = Math.min(a.length, b.length);
  for (let i = 0; i < length; i++) {
    const difference = (a[i] as number) - (b[i] as number);
    if (difference !== 0) return difference;
  }
  // The shorter one counts as padded with zero octets.
  return a.length - b.length;
}
