const STANDARD = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
const URL_SAFE = STANDARD.slice(0, 62) + "-_";
const STANDARD_VALUES = valuesOf(STANDARD);
const URL_SAFE_VALUES = valuesOf(URL_SAFE);

/** What ES2026 adds to `Uint8Array`; absent from older runtimes. */
interface NativeBase64 {
  readonly fromBase64?: (
    text: string,
    options: { alphabet: "base64" | "base64url"; lastChunkHandling: "strict" },
  ) => Uint8Array;
  readonly prototype: { readonly toBase64?: (this: Uint8Array) => string };
}
const native = Uint8Array as unknown as NativeBase64;
const nativeDecode = native.fromBase64?.bind(Uint8Array);
const nativeEncode = native.prototype.toBase64;

/**
 * Encodes bytes in the standard alphabet, with padding.
 *
 * @see {@link https://www.rfc-editor.org/rfc/rfc4648#section-4 | RFC 4648 §4}
 */
export function encodeBase64(bytes: Uint8Array): string {
  if (nativeEncode !== undefined) return nativeEncode.call(bytes);
  const whole = bytes.length - (bytes.length % 3);
  let text = "";
  for (let i = 0; i < whole; i += 3) {
    const group = ((bytes[i] as number) << 16) | ((bytes[i + 1] as number) << 8) | (bytes[i + 2] as number);
    text +=
      STANDARD.charAt(group >> 18) +
      STANDARD.charAt((group >> 12) & 63) +
      STANDARD.charAt((group >> 6) & 63) +
      STANDARD.charAt(group & 63);
  }
  if (bytes.length - whole === 1) {
    const group = bytes[whole] as number;
    text += STANDARD.charAt(group >> 2) + STANDARD.charAt((group & 3) << 4) + "==";
  } else if (bytes.length - whole === 2) {
    const group = ((bytes[whole] as number) << 8) | (bytes[whole + 1] as number);
    text +=
      STANDARD.charAt(group >> 10) + STANDARD.charAt((group >> 4) & 63) + STANDARD.charAt((group & 15) << 2) + "=";
  }
  return text;
}

/**
 * Decodes canonical base64: standard alphabet, padding present, no white space, unused bits zero.
 *
 * @returns `undefined` for anything else, so that bytes have exactly one accepted spelling.
 * @see {@link https://www.rfc-editor.org/rfc/rfc4648#section-4 | RFC 4648 §4 and §3.5}
 */
export function tryDecodeBase64(text: string): Uint8Array | undefined {
  return decode(text, "base64");
}

/**
 * Decodes base64 in the URL and file name safe alphabet; the padding is either complete or absent.
 *
 * @see {@link https://www.rfc-editor.org/rfc/rfc4648#section-5 | RFC 4648 §5}
 */
export function tryDecodeBase64Url(text: string): Uint8Array | undefined {
  const excess = text.length % 4;
  if (excess === 0) return decode(text, "base64url");
  // A shortened padding is neither complete nor absent.
  if (text.endsWith("=")) return undefined;
  return decode(text + (excess === 2 ? "==" : "="), "base64url");
}

/**
 * Decodes base64 in either alphabet, but not in a mixture of both.
 *
 * @see {@link https://github.com/secure-systems-lab/dsse/blob/master/envelope.md | DSSE envelope}, "Either standard or URL-safe"
 */
export function tryDecodeBase64Either(text: string): Uint8Array | undefined {
  return tryDecodeBase64(text) ?? tryDecodeBase64Url(text);
}

function decode(text: string, alphabet: "base64" | "base64url"): Uint8Array | undefined {
  if (text.length % 4 !== 0) return undefined;
  if (nativeDecode === undefined) return decodeByTable(text, alphabet === "base64" ? STANDARD_VALUES : URL_SAFE_VALUES);
  let bytes: Uint8Array;
  try {
    bytes = nativeDecode(text, { alphabet, lastChunkHandling: "strict" });
  } catch {
    return undefined;
  }
  // The built-in decoder skips white space; then these bytes would have a shorter spelling.
  return Math.ceil(bytes.length / 3) * 4 === text.length ? bytes : undefined;
}

function decodeByTable(text: string, values: Uint8Array): Uint8Array | undefined {
  if (text.length === 0) return new Uint8Array(0);
  const padding = !text.endsWith("=") ? 0 : text.endsWith("==") ? 2 : 1;
  const bytes = new Uint8Array((text.length / 4) * 3 - padding);
  const whole = text.length - (padding === 0 ? 0 : 4);
  let seen = 0;
  let at = 0;
  for (let i = 0; i < whole; i += 4) {
    const a = values[text.charCodeAt(i)] ?? 0xff;
    const b = values[text.charCodeAt(i + 1)] ?? 0xff;
    const c = values[text.charCodeAt(i + 2)] ?? 0xff;
    const d = values[text.charCodeAt(i + 3)] ?? 0xff;
    seen |= a | b | c | d;
    bytes[at++] = (a << 2) | (b >> 4);
    bytes[at++] = (b << 4) | (c >> 2);
    bytes[at++] = (c << 6) | d;
  }
  if (padding > 0) {
    const a = values[text.charCodeAt(whole)] ?? 0xff;
    const b = values[text.charCodeAt(whole + 1)] ?? 0xff;
    const c = padding === 2 ? 0 : (values[text.charCodeAt(whole + 2)] ?? 0xff);
    seen |= a | b | c;
    // §3.5: bits beyond the last byte must be zero.
    if ((padding === 2 ? b & 15 : c & 3) !== 0) return undefined;
    bytes[at++] = (a << 2) | (b >> 4);
    if (padding === 1) bytes[at++] = (b << 4) | (c >> 2);
  }
  return seen > 63 ? undefined : bytes;
}

/** Value of each ASCII character as a digit, 0xff where it is none. */
function valuesOf(alphabet: string): Uint8Array {
  const values = new Uint8Array(128).fill(0xff);
  for (let i = 0; i < 64; i++) values[alphabet.charCodeAt(i)] = i;
  return values;
}
