import { encodeUtf8 } from "../encoding/utf8.ts";
import { InputError } from "../errors.ts";

/** Is a password: text, or the bytes that text would have in UTF-8. An empty one is one. */
export type Password = string | Uint8Array;

/** Obtains a password when it is needed, from a person for instance; `undefined` where there is none. */
export type PasswordSource = () => Promise<Password | undefined>;

/**
 * Obtains the bytes of a password.
 *
 * @throws {@link InputError} `KEY_PASSWORD_MISSING`.
 * @internal
 */
export async function passwordBytes(password: Password | PasswordSource): Promise<Uint8Array> {
  const given = typeof password === "function" ? await password() : password;
  if (given === undefined)
    throw new InputError("KEY_PASSWORD_MISSING", "the private key needs a password, and none is given");
  return typeof given === "string" ? encodeUtf8(given.toWellFormed()) : given;
}

/**
 * Makes the error for a password that does not open a key. A wrong password and a damaged file look the same.
 *
 * @internal
 */
export function wrongPassword(password: Uint8Array, cause: unknown): InputError {
  const endsInNewline = password.at(-1) === 0x0a;
  return new InputError(
    "KEY_PASSWORD_WRONG",
    "private key cannot be decrypted: the password is wrong, or the file is damaged",
    {
      remedy: endsInNewline
        ? "check the password: the newline at its end counts, so write it with printf in place of echo"
        : undefined,
      cause,
    },
  );
}
