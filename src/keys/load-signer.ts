import { FormatError } from "../errors.ts";
import { nameKeyReference, readKeyReference, type KeyReferenceOptions } from "./key-reference.ts";
import type { PasswordSource } from "./password.ts";
import { readPrivateKey, type PrivateKeyOptions } from "./private-key.ts";
import type { Signer } from "./signer.ts";

/** Says how a signer is loaded. */
export interface LoadSignerOptions extends KeyReferenceOptions, PrivateKeyOptions {
  /** Asked once, and only for a key that needs a password. Default: `COSIGN_PASSWORD` of the environment. */
  readonly password?: PasswordSource | undefined;
}

/**
 * Loads a signer whose private key is in a file, at a URL, or in a variable of the environment.
 *
 * @param reference - A path, `https://…` or `http://…`, or `env://NAME`.
 * @throws InputError `FILE_NOT_FOUND` and other codes of files, `USAGE_INVALID` for another kind of reference,
 * `KEY_PASSWORD_MISSING`, `KEY_PASSWORD_WRONG`; ServiceError.
 * @throws {@link FormatError} `PRIVATE_KEY_MALFORMED`, also for a key that is not encrypted; `PEM_MALFORMED`, `LIMIT_EXCEEDED`.
 * @throws VerificationError `ALGORITHM_UNSUPPORTED`.
 */
export async function loadSigner(reference: string, options: LoadSignerOptions = {}): Promise<Signer> {
  const { environment = process.env } = options;
  const password = options.password ?? (() => Promise.resolve(environment["COSIGN_PASSWORD"]));
  const pem = await readKeyReference(reference, "private key", options);
  try {
    return await readPrivateKey(pem, password, options);
  } catch (error) {
    if (!(error instanceof FormatError)) throw error;
    const { code, message, expected, found, remedy } = error;
    throw new FormatError(code, `${nameKeyReference(reference)}: ${message}`, {
      expected,
      found,
      remedy,
      cause: error,
    });
  }
}
