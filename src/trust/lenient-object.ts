/**
 * Objects of trust files: an unknown field there is ignored and named, so that a new one does not stop released clients.
 *
 * @module
 */

import type { JsonObjectReader, JsonReader } from "../encoding/json-reader.ts";
import { MAX_TRUST_ENTRIES } from "../limits.ts";

/**
 * Reads an object, and notes the fields that are not known.
 *
 * @param ignoredFields - Gets the path of each unknown field, up to a limit.
 * @throws FormatError with the reader's code.
 */
export function readObject(reader: JsonReader, known: readonly string[], ignoredFields: string[]): JsonObjectReader {
  const object = reader.object();
  for (const field of object.unknown(known)) {
    if (ignoredFields.length < MAX_TRUST_ENTRIES) ignoredFields.push(`${object.path}.${field}`);
  }
  return object;
}
