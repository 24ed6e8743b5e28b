const DIGITS = "0123456789abcdef";
const PAIRS: readonly string[] = Array.from(
  { length: 256 },
  (_, byte) => DIGITS.charAt(byte >> 4) + DIGITS.charAt(byte & 15),
);

/** Value of each ASCII character as a digit, 0xff where it is none. */
const VALUES = new Uint8Array(128).fill(0xff);
for (let i = 0; i < 16; i++) {
  VALUES[DIGITS.charCodeAt(i)] = i;
  VALUES[DIGITS.toUpperCase().charCodeAt(i)] = i;
}

/**
 * Encodes bytes as lower-case hexadecimal digits.
 *
 * @see {@link https://www.rfc-editor.org/rfc/rfc4648#section-8 | RFC 4648 §8}
 */
export function encodeHex(bytes: Uint8Array): string {
  let text = "";
  for (let i = 0; i < bytes.length; i++) text += PAIRS[bytes[i] as number];
  return text;
}

/**
 * Decodes hexadecimal digits of either case.
 *
 * @returns `undefined` for an odd length or any other character.
 * @see {@link https://www.rfc-editor.org/rfc/rfc4648#section-8 | RFC 4648 §8}
 */
export function tryDecodeHex(text: string): Uint8Array | undefined {
  if (text.length % 2 !== 0) return undefined;
  const bytes = new Uint8Array(text.length / 2);
  for (let i = 0; i < bytes.length; i++) {
    // Beyond ASCII the table has no entry: `undefined ?? 0xff`.
    const high = VALUES[text.charCodeAt(2 * i)] ?? 0xff;
    const low = VALUES[text.charCodeAt(2 * i + 1)] ?? 0xff;
    if ((high | low) > 15) return undefined;
    bytes[i] = (high << 4) | low;
  }
  return bytes;
}
