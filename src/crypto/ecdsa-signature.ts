/**
 * Reads an ECDSA signature in DER as the two numbers side by side.
 *
 * @param coordinateBytes - Bytes of a number of the curve: 32, 48 or 66.
 * @returns r and s, each filled up to `coordinateBytes`; `undefined` unless the input is DER, and both are positive and not longer than that.
 * @see RFC 3279 §2.2.3 (Ecdsa-Sig-Value), IEEE P1363 for the result
 */
export function tryParseEcdsaSignature(der: Uint8Array, coordinateBytes: number): Uint8Array | undefined {
  if (der[0] !== 0x30) return undefined;
  let at = 2;
  let length = der[1] ?? 0;
  if (length > 0x7f) {
    // Two numbers of P-521 need one length octet more; none needs two.
    if (length !== 0x81) return undefined;
    at = 3;
    length = der[2] ?? 0;
    if (length < 0x80) return undefined;
  }
  if (der.length !== at + length) return undefined;
  const raw = new Uint8Array(2 * coordinateBytes);
  for (let end = coordinateBytes; end <= raw.length; end += coordinateBytes) {
    const size = der[at + 1] ?? 0;
    if (der[at] !== 0x02 || size === 0) return undefined;
    let start = at + 2;
    at = start + size; // a number that reaches beyond the end is found out below: nothing follows it
    const first = der[start] as number;
    if (first > 0x7f) return undefined; // negative
    if (first === 0) {
      // A leading zero is there to keep the number positive, and for nothing else. Zero itself is no valid r or s.
      if (size === 1 || (der[start + 1] as number) < 0x80) return undefined;
      start += 1;
    }
    if (at - start > coordinateBytes) return undefined;
    raw.set(der.subarray(start, at), end - (at - start));
  }
  return at === der.length ? raw : undefined;
}
