/**
 * Finds entries by what they are about: digests, keys, names in certificates.
 *
 * @module
 */

import { tryDecodeBase64 } from "../../encoding/base64.ts";
import type { JsonObject, JsonValue } from "../../encoding/json.ts";
import { ApiError, RULE } from "./api-error.ts";
import { pemHash, readEntrySigner } from "./verifier.ts";

const HASH = /^(sha512:)?[0-9a-fA-F]{128}$|^(sha256:)?[0-9a-fA-F]{64}$|^(sha1:)?[0-9a-fA-F]{40}$/;
const HASH_BY_DIGITS: Readonly<Record<number, string>> = { 40: "sha1", 64: "sha256", 128: "sha512" };
const FORMATS = ["pgp", "x509", "minisign", "ssh", "tuf"];

/** Maps keys to the entries that have them. */
export class SearchIndex {
  readonly #entries = new Map<string, number[]>();

  add(keys: readonly string[], entry: number): void {
    for (const key of new Set(keys.map((one) => one.toLowerCase()))) {
      const entries = this.#entries.get(key);
      if (entries === undefined) this.#entries.set(key, [entry]);
      else entries.push(entry);
    }
  }

  /** Finds the entries that have one of the keys, or all of them. */
  find(keys: readonly string[], operator: "and" | "or"): readonly number[] {
    const found = keys.map((key) => this.#entries.get(key.toLowerCase()) ?? []);
    if (operator === "or") return [...new Set(found.flat())].sort((a, b) => a - b);
    const [first = [], ...others] = found.map((entries) => new Set(entries));
    return [...first].filter((entry) => others.every((entries) => entries.has(entry)));
  }
}

/**
 * Reads a query: `{email, hash, publicKey: {format, content}, operator}`.
 *
 * @throws {@link ApiError} 400 or 422.
 */
export function parseIndexQuery(query: JsonObject): {
  readonly keys: readonly string[];
  readonly operator: "and" | "or";
} {
  const keys: string[] = [];
  const email = stringIn(query, "email");
  const hash = stringIn(query, "hash");
  const operator = stringIn(query, "operator");
  if (email !== "" && !/^[^\s@]+@[^\s@]+$/.test(email))
    throw new ApiError(RULE.type, `email in body must be of type email: ${JSON.stringify(email)}`);
  if (hash !== "" && !HASH.test(hash)) throw new ApiError(RULE.pattern, `hash in body should match '${HASH.source}'`);
  if (operator !== "" && operator !== "and" && operator !== "or")
    throw new ApiError(RULE.enum, "operator in body should be one of [and or]");
  if (hash !== "") keys.push(hash.includes(":") ? hash : `${HASH_BY_DIGITS[hash.length]}:${hash}`);
  const publicKey = query["publicKey"];
  if (publicKey !== undefined && publicKey !== null) keys.push(keyOf(publicKey));
  if (email !== "") keys.push(email);
  return { keys, operator: operator === "and" ? "and" : "or" };
}

function keyOf(value: JsonValue): string {
  const publicKey = typeof value === "object" && !Array.isArray(value) ? (value as JsonObject) : {};
  const format = stringIn(publicKey, "format");
  if (format === "") throw new ApiError(RULE.required, "publicKey.format in body is required");
  if (!FORMATS.includes(format))
    throw new ApiError(RULE.enum, `publicKey.format in body should be one of [${FORMATS.join(" ")}]`);
  const content = tryDecodeBase64(stringIn(publicKey, "content"));
  if (content === undefined || format !== "x509") throw new ApiError(400, "public key provided could not be parsed");
  try {
    return pemHash(readEntrySigner(content).pem);
  } catch (error) {
    if (error instanceof ApiError) throw new ApiError(400, "public key provided could not be parsed");
    throw error;
  }
}

function stringIn(object: JsonObject, name: string): string {
  const value = object[name] ?? "";
  if (typeof value === "string") return value;
  throw new ApiError(400, `parsing query body failed, because ${name} is not a string`);
}
