import { InputError } from "../errors.ts";
import { isLoopback } from "./discovery.ts";

/**
 * Parses an address out of the environment to which a credential of the job is sent.
 *
 * @param name - The variable, for messages.
 * @throws {@link InputError} `URL_INVALID` for an address over which anybody on the way could read the credential.
 */
export function parseCredentialUrl(text: string, name: string): URL {
  const expected = "https://…, or http:// on loopback";
  const url = URL.parse(text);
  if (url === null) throw new InputError("URL_INVALID", `${name} is not a URL`, { expected });
  if (url.protocol === "https:" || (url.protocol === "http:" && isLoopback(url))) return url;
  throw new InputError(
    "URL_INVALID",
    `${name} is not reached over HTTPS, and the job's credential would be readable on the way`,
    {
      expected,
      found: url.origin === "null" ? url.protocol : url.origin,
      remedy: `have the runner give an address with https:// in ${name}, or give a token with --identity-token`,
    },
  );
}
