import { tryDecodeBase64Url } from "../../encoding/base64.ts";
import { tryDecodeUtf8 } from "../../encoding/utf8.ts";
import { FormatError, InputError } from "../../errors.ts";
import { MAX_IDENTITY_TOKEN_BYTES } from "../../limits.ts";
import type { TokenFiles } from "../provider.ts";

/**
 * Reads the token that a person gave: the token itself, of any algorithm, or the name of a file that holds it.
 *
 * What begins like a token is never taken for a file, and is in no message.
 *
 * @throws {@link InputError} `IDENTITY_TOKEN_UNAVAILABLE` for empty text and a file that does not exist; as `files.read`.
 */
export async function readExplicitToken(given: string, files: TokenFiles): Promise<string> {
  const text = given.trim();
  if (text === "") {
    throw new InputError("IDENTITY_TOKEN_UNAVAILABLE", "identity token that was given is empty", {
      remedy: "check the variable or the command that it comes from",
    });
  }
  if (looksLikeToken(text)) return text;
  // Asked first: the error of a file that does not exist would repeat what may be a damaged token.
  if (text.length > 4096 || text.includes("\0") || !(await files.exists(text))) {
    throw new InputError("IDENTITY_TOKEN_UNAVAILABLE", "what was given is neither an identity token nor a file", {
      expected: "a token (three parts with dots between), or the name of a file that holds one",
      remedy: "check the path, and that the token is whole",
    });
  }
  const token = tryDecodeUtf8(await files.read(text))?.trim();
  if (token === undefined || token === "") {
    throw new FormatError(
      "IDENTITY_TOKEN_MALFORMED",
      `file of the identity token ${token === "" ? "is empty" : "holds no text"}`,
    );
  }
  return token;
}

/** A token begins with a JSON object in base64url and a dot. */
function looksLikeToken(text: string): boolean {
  const dot = text.indexOf(".");
  if (dot === -1 || dot > MAX_IDENTITY_TOKEN_BYTES) return false;
  const first = tryDecodeBase64Url(text.slice(0, dot));
  return first !== undefined && first[0] === 0x7b; /* { */
}
