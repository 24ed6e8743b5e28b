/**
 * Flags whose value is a list of parts: `url=…,start-time=…`.
 *
 * @module
 */

import { usage } from "./flags.ts";

/** Are the parts of such a value. */
export type KeyValues = Readonly<Record<string, string | undefined>>;

/**
 * Reads `key=value,key=value`.
 *
 * @param flag - Without dashes, for messages.
 * @throws InputError `USAGE_INVALID` for an unknown, a repeated or a missing part.
 */
export function parseKeyValues(
  flag: string,
  text: string,
  required: readonly string[],
  optional: readonly string[],
): KeyValues {
  const form = `${required.map((name) => `${name}=…`).join(",")}[,${optional.map((name) => `${name}=…`).join(",")}]`;
  const fields: Record<string, string> = {};
  for (const part of text.split(",")) {
    const equals = part.indexOf("=");
    const key = part.slice(0, Math.max(0, equals)).trim();
    if (![...required, ...optional].includes(key))
      throw usage(`--${flag} has an unknown part ${JSON.stringify(part)}`, { expected: form });
    if (fields[key] !== undefined)
      throw usage(`--${flag} has ${key}= twice`, { remedy: `repeat --${flag} for another service` });
    fields[key] = part.slice(equals + 1).trim();
  }
  const missing = required.find((name) => (fields[name] ?? "") === "");
  if (missing !== undefined) throw usage(`--${flag} lacks ${missing}=`, { expected: form });
  return fields;
}
