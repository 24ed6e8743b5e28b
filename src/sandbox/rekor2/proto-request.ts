/**
 * Reads requests in proto-JSON as lenient as the gateway of Rekor v2 is: fields by either of their names, enums by name or number,
 * base64 in either alphabet with or without padding, null for what is not there.
 *
 * @module
 */

import { parseJson, type JsonObject, type JsonValue } from "../../encoding/json.ts";
import { SigstoreError } from "../../errors.ts";

/** Says why a request is not one; the gateway answers it with 400. */
export class ProtoJsonError extends Error {}

/** Reads the bytes of a request; nothing at all is an empty message. */
export function parseProtoJson(bytes: Uint8Array): JsonValue {
  if (bytes.length === 0) return {};
  try {
    return parseJson(bytes, { what: "request", code: "JSON_MALFORMED", maxBytes: bytes.length });
  } catch (error) {
    if (!(error instanceof SigstoreError)) throw error;
    throw new ProtoJsonError(`proto: syntax error: ${error.message}`);
  }
}

/**
 * Reads the fields of a message.
 *
 * @param names - In lowerCamelCase.
 * @throws {@link ProtoJsonError} for what is no message, an unknown field, or a field that is there twice.
 */
export function readMessage<Name extends string>(
  value: JsonValue,
  names: readonly Name[],
): { readonly [N in Name]?: JsonValue } {
  if (typeof value !== "object" || value === null || Array.isArray(value))
    throw new ProtoJsonError(`proto: syntax error: unexpected token ${JSON.stringify(value)}`);
  const fields: { [N in Name]?: JsonValue } = {};
  for (const [key, field] of Object.entries(value as JsonObject)) {
    const name = names.find((known) => known === key || snakeCase(known) === key);
    if (name === undefined) throw new ProtoJsonError(`proto: unknown field ${JSON.stringify(key)}`);
    if (name in fields) throw new ProtoJsonError(`proto: duplicate field ${JSON.stringify(key)}`);
    if (field !== null) fields[name] = field;
  }
  return fields;
}

/** Reads a field of type bytes; empty where it is not there. */
export function readBytesField(value: JsonValue | undefined): Uint8Array {
  if (value === undefined) return new Uint8Array(0);
  if (typeof value === "string") {
    const digits = value.replaceAll(/[\r\n]/g, "").replace(/=+$/, "");
    const bytes = Buffer.from(digits, "base64");
    const standard = digits.replaceAll("-", "+").replaceAll("_", "/");
    if (bytes.toString("base64").replace(/=+$/, "") === standard) return new Uint8Array(bytes);
  }
  throw new ProtoJsonError("proto: invalid value for bytes field");
}

/**
 * Reads a field of an enum.
 *
 * @param numbers - The names and their numbers.
 * @returns the name, or the number where it has none, which proto allows; `undefined` where it is not there.
 */
export function readEnumField(
  value: JsonValue | undefined,
  numbers: Readonly<Record<string, number>>,
): string | undefined {
  if (value === undefined) return undefined;
  if (typeof value === "string" && Object.hasOwn(numbers, value)) return value;
  if (typeof value === "number" && Number.isInteger(value))
    return Object.keys(numbers).find((name) => numbers[name] === value) ?? `${value}`;
  throw new ProtoJsonError("proto: invalid value for enum field");
}

function snakeCase(name: string): string {
  return name.replaceAll(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
}
