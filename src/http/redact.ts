/**
 * Text without secrets, for messages and logs.
 *
 * @module
 */

import { tryDecodeBase64 } from "../encoding/base64.ts";
import { tryDecodeUtf8 } from "../encoding/utf8.ts";
import type { HeaderMap } from "./header-map.ts";

/** Removes user name, password, query and fragment from a URL, for messages. */
export function redactUrl(url: string): string {
  const parsed = URL.parse(url);
  return parsed === null ? "an invalid URL" : `${parsed.protocol}//${parsed.host}${parsed.pathname}`;
}

/**
 * Masks what may be a secret in text of any origin: private keys, JSON web tokens, credentials of HTTP, values of fields and
 * parameters that hold secrets, and credentials, queries and fragments of URLs.
 *
 * It errs on the side of masking too much. It is a last net, no leave to put secrets into a text.
 */
export function redactSecrets(text: string): string {
  return text
    .replace(PRIVATE_KEY, "[private key]")
    .replace(ANY_URL, redactAnyUrl)
    .replace(JSON_WEB_TOKEN, "[token]")
    .replace(SECRET_MEMBER, '$1"[secret]"')
    .replace(SECRET_PARAMETER, "$1[secret]")
    .replace(HTTP_CREDENTIALS, (found, scheme: string, value: string) =>
      PLAIN_WORD.test(value) ? found : `${scheme} [secret]`,
    );
}

/** To the end of the text where it was cut off. */
const PRIVATE_KEY = /-----BEGIN [A-Z0-9 ]{0,40}PRIVATE KEY-----[\s\S]*?(?:-----END [A-Z0-9 ]{0,40}PRIVATE KEY-----|$)/g;
/** Base64url of `{"` or of `{` and white space, one part or more. */
const JSON_WEB_TOKEN = /(?<![A-Za-z0-9_-])e(?:yJ|yA|wo|w0|wk)[A-Za-z0-9_-]{16,}(?:\.[A-Za-z0-9_-]*)*/g;
const SECRET_NAME =
  "(?:[a-z_]*token|id_?token|password|passwd|pwd|secret|client_?secret|client_?assertion|code_?verifier|device_?code|authorization|api_?key|private_?key|cookie)";
const SECRET_MEMBER = new RegExp(`("${SECRET_NAME}"\\s*:\\s*)"(?:[^"\\\\]|\\\\.)*(?:"|$)`, "gi");
const SECRET_PARAMETER = new RegExp(`(?<![A-Za-z_])(${SECRET_NAME}=)[^&\\s"';,]+`, "gi");
const HTTP_CREDENTIALS = /\b(bearer|basic)\s+([A-Za-z0-9._~+/-]{6,}=*)/gi;
/** What follows "bearer" or "basic" in a sentence. */
const PLAIN_WORD = /^[a-z]{6,20}\.?$/;
/** What stands behind a URL in a sentence, and is no part of it. */
const SENTENCE_ENDS = ").,;:!?]";
const ANY_URL = /\b[a-z][a-z0-9+.-]{1,20}:\/\/[^\s"'<>\\]+/gi;

function redactAnyUrl(found: string): string {
  // Not a search for an end of such characters: that would begin at each of them anew.
  let length = found.length;
  while (SENTENCE_ENDS.includes(found.charAt(length - 1))) length -= 1;
  const [url, end] = [found.slice(0, length), found.slice(length)];
  const parsed = URL.parse(url);
  if (parsed === null) return `[invalid URL]${end}`;
  const plain = url.replace(/[?#].*$/s, "").replace(/^([^:]+:\/\/)[^/]*@/, "$1");
  return `${plain}${end}`;
}

/** Fields of a form that hold secrets, by RFC 6749, 7523, 7636, 8628 and 8693. */
const SECRET_FIELDS: ReadonlySet<string> = new Set([
  "assertion",
  "client_assertion",
  "client_secret",
  "code",
  "code_verifier",
  "device_code",
  "password",
  "refresh_token",
  "subject_token",
]);
/** Too short to be a secret, and too often a part of other words. */
const MIN_SECRET_LENGTH = 6;

/** Lists the secrets that a request sends: the credentials in its headers, and the fields of a form that hold such. */
export function secretsSentBy(headers: HeaderMap, body: string | Uint8Array | undefined): readonly string[] {
  const found: string[] = [];
  for (const [name, value] of headers) {
    if (!/authorization|token|secret|api-?key/.test(name)) continue;
    const [scheme = "", credentials = value] = value.split(" ", 2);
    found.push(credentials);
    const pair = /^basic$/i.test(scheme) ? tryDecodeUtf8(tryDecodeBase64(credentials) ?? new Uint8Array(0)) : undefined;
    if (pair !== undefined) found.push(...pair.split(":"));
  }
  if (typeof body === "string" && (headers.get("content-type") ?? "").startsWith("application/x-www-form-urlencoded"))
    for (const [name, value] of new URLSearchParams(body)) if (SECRET_FIELDS.has(name)) found.push(value);
  const forms = found.flatMap((secret) => [secret, encodeURIComponent(secret)]);
  return [...new Set(forms)].filter(({ length }) => length >= MIN_SECRET_LENGTH);
}
