/**
 * Field values that bundles and trust files have in common.
 *
 * @module
 */

import type { JsonReader } from "../encoding/json-reader.ts";

/**
 * Reads bytes that must be there: to proto3 an empty value is an absent one.
 *
 * @throws FormatError with the reader's code, `LIMIT_EXCEEDED`.
 */
export function readBytes(reader: JsonReader, maxBytes: number): Uint8Array {
  const bytes = reader.base64(maxBytes);
  if (bytes.length === 0) reader.fail("is empty");
  return bytes;
}

/**
 * Reads text that must be there.
 *
 * @throws FormatError with the reader's code.
 */
export function readText(reader: JsonReader): string {
  const text = reader.string();
  if (text === "") reader.fail("is empty");
  return text;
}

/**
 * Reads the `keyId` of a `LogId`: 32 bytes, or 4 where a Rekor v2 log goes by its checkpoint key id, a truncated hash.
 *
 * @throws FormatError with the reader's code.
 * @see sigstore_trustroot.proto `TransparencyLogInstance.log_id`, `checkpoint_key_id`
 */
export function readKeyId(reader: JsonReader): Uint8Array {
  const bytes = reader.base64();
  if (bytes.length !== 32 && bytes.length !== 4) reader.fail(`has ${bytes.length} bytes, not the 32 of a log id`);
  return bytes;
}
