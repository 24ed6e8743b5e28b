const encoder = new TextEncoder();
// `ignoreBOM` means "do not look for one": it stays in the text, so that decoding loses nothing.
const decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/** Encodes text as UTF-8; a lone surrogate becomes U+FFFD. */
export function encodeUtf8(text: string): Uint8Array {
  return encoder.encode(text);
}

/**
 * Decodes UTF-8 without repairing anything; a byte order mark stays in the text as U+FEFF.
 *
 * @returns `undefined` when the bytes are not well-formed UTF-8.
 * @see {@link https://www.rfc-editor.org/rfc/rfc3629#section-3 | RFC 3629 §3}
 */
export function tryDecodeUtf8(bytes: Uint8Array): string | undefined {
  try {
    return decoder.decode(bytes);
  } catch {
    return undefined;
  }
}
