import { hash } from "node:crypto";
import { equalBytes } from "../../encoding/bytes.ts";
import { encodeUtf8 } from "../../encoding/utf8.ts";

const VERIFIER = /^[A-Za-z0-9\-._~]{43,128}$/;
/** SHA-256 in base64url. */
const CHALLENGE = /^[A-Za-z0-9\-_]{43}$/;

/** Tells whether text is a code challenge of the method S256 (RFC 7636 §4.2). */
export function isCodeChallenge(text: string | undefined): text is string {
  return text !== undefined && CHALLENGE.test(text);
}

/**
 * Tells whether a verifier is the one that the challenge was made of.
 *
 * @see RFC 7636 §4.1 and §4.6
 */
export function fitsChallenge(verifier: string | undefined, challenge: string): boolean {
  if (verifier === undefined || !VERIFIER.test(verifier)) return false;
  return equalBytes(encodeUtf8(hash("sha256", verifier, "base64url")), encodeUtf8(challenge));
}
