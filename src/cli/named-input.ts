/**
 * Errors about what is in a file, with the name of the file.
 *
 * @module
 */

import { FormatError } from "../errors.ts";

/**
 * Puts the name of the input before the message of each error about its form.
 *
 * @throws what the work throws.
 */
export async function naming<T>(name: string, work: () => T | Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    if (!(error instanceof FormatError)) throw error;
    const { code, message, expected, found, remedy, report } = error;
    throw new FormatError(code, `${name}: ${message}`, { expected, found, remedy, report, cause: error });
  }
}
