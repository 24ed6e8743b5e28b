/**
 * Validity periods of trusted roots and signing configs.
 *
 * @module
 */

import type { JsonObject } from "../encoding/json.ts";
import type { JsonReader } from "../encoding/json-reader.ts";
import { readObject } from "./lenient-object.ts";

/** Is a period that is closed at both ends. Without an end it lasts. */
export interface TimeRange {
  readonly start: Date;
  readonly end?: Date;
}

/**
 * Says whether a time lies within a period; both of its ends do.
 *
 * @see sigstore_common.proto `TimeRange`
 */
export function isWithin(range: TimeRange, time: Date): boolean {
  return time >= range.start && time <= (range.end ?? time);
}

/**
 * Reads a period. One without a start is refused: it does not mean "always".
 *
 * @param ignoredFields - Gets the path of each unknown field.
 * @throws FormatError with the reader's code.
 */
export function readTimeRange(reader: JsonReader, ignoredFields: string[]): TimeRange {
  const range = readObject(reader, ["start", "end"], ignoredFields);
  const start = range.required("start").timestamp();
  const end = range.optional("end")?.timestamp();
  if (end === undefined) return { start };
  if (end < start) reader.fail("ends before it starts");
  return { start, end };
}

/** Writes a period as proto-JSON. */
export function serializeTimeRange({ start, end }: TimeRange): JsonObject {
  return { start: formatTimestamp(start), ...(end !== undefined && { end: formatTimestamp(end) }) };
}

/** proto3 JSON: a fraction has 0, 3, 6 or 9 digits. */
function formatTimestamp(time: Date): string {
  return time.toISOString().replace(".000Z", "Z");
}
