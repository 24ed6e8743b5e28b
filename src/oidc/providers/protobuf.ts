/**
 * As much of protobuf's wire format as two small messages need.
 *
 * @module
 */

import { concatBytes } from "../../encoding/bytes.ts";
import { encodeUtf8 } from "../../encoding/utf8.ts";

/** Encodes a field of text. */
export function encodeTextField(number: number, text: string): Uint8Array {
  const bytes = encodeUtf8(text);
  return concatBytes(encodeVarint((number << 3) | 2), encodeVarint(bytes.length), bytes);
}

function encodeVarint(value: number): Uint8Array {
  const bytes: number[] = [];
  let rest = value;
  while (rest > 0x7f) {
    bytes.push((rest & 0x7f) | 0x80);
    rest = Math.floor(rest / 128);
  }
  return Uint8Array.of(...bytes, rest);
}

/**
 * Reads the fields of a message that have a length: text, bytes and messages. Others are skipped.
 *
 * @returns `undefined` for what is no message.
 * @see {@link https://protobuf.dev/programming-guides/encoding/ | Protocol Buffers, Encoding}
 */
export function readFields(
  message: Uint8Array,
): readonly { readonly number: number; readonly bytes: Uint8Array }[] | undefined {
  const fields: { readonly number: number; readonly bytes: Uint8Array }[] = [];
  let at = 0;
  const varint = (): number | undefined => {
    let value = 0;
    for (let shift = 0; shift < 70; shift += 7) {
      const byte = message[at++];
      if (byte === undefined) return undefined;
      value += (byte & 0x7f) * 2 ** shift;
      if (byte < 0x80) return value;
    }
    return undefined;
  };
  while (at < message.length) {
    const tag = varint();
    if (tag === undefined || tag > 0xffff_ffff || tag < 8) return undefined;
    const number = Math.floor(tag / 8);
    switch (tag % 8) {
      case 0:
        if (varint() === undefined) return undefined;
        break;
      case 1:
        at += 8;
        break;
      case 2: {
        const length = varint();
        if (length === undefined || length > message.length - at) return undefined;
        fields.push({ number, bytes: message.subarray(at, at + length) });
        at += length;
        break;
      }
      case 5:
        at += 4;
        break;
      default:
        return undefined;
    }
  }
  return at === message.length ? fields : undefined;
}
