/**
 * Files that hold several bundles: JSON Lines, and what the registries of attestations of GitHub and npm answer.
 *
 * @module
 */

import { parseJson, type JsonObject, type JsonValue } from "../encoding/json.ts";
import { FormatError, SigstoreError, VerificationError } from "../errors.ts";
import { MAX_BUNDLE_BYTES, MAX_BUNDLES } from "../limits.ts";
import { parseBundle, parseBundleObject, type Bundle } from "./bundle.ts";

/** Is one of several bundles in a file. One that cannot be read takes nothing from the others. */
export type BundleCandidate = {
  /** Where it stands, for messages: `line 3`, `attestations[2]`. */
  readonly position: string;
} & (
  { readonly kind: "bundle"; readonly bundle: Bundle } | { readonly kind: "unreadable"; readonly error: SigstoreError }
);

/**
 * Parses a file of one or several bundles, each on its own:
 *
 * - JSON Lines (`.jsonl`), as `gh attestation download` writes it;
 * - `{"attestations": [{"bundle": …}]}`, as the APIs of GitHub and of npm registries answer. What stands beside a bundle there is
 *   signed by nobody and is not looked at;
 * - a JSON array of bundles, or of `{"attestation": {"bundle": …}}` as `gh attestation verify --format json` prints it;
 * - one bundle, whose position is the empty string.
 *
 * @throws {@link FormatError} `BUNDLE_MALFORMED`, `JSON_DUPLICATE_KEY`, `LIMIT_EXCEEDED`; {@link VerificationError} `ATTESTATION_NOT_FOUND`
 * where the list is empty; what `parseBundle` throws for a file that is no list.
 * @see {@link https://docs.github.com/en/rest/users/attestations | GitHub REST API, attestations}
 */
export function parseBundleCandidates(input: Uint8Array): readonly [BundleCandidate, ...BundleCandidate[]] {
  if (isJsonLines(input)) return parseBundleLines(input);
  const json = parseJson(input, { what: "bundle", code: "BUNDLE_MALFORMED", maxBytes: MAX_BUNDLE_BYTES });
  return tryReadBundleList(json) ?? [{ position: "", kind: "bundle", bundle: parseBundleObject(json) }];
}

/** Says whether a file has more than one object, each on a line of its own. A bundle that is written over many lines has not. */
export function isJsonLines(input: Uint8Array): boolean {
  const start = skipSpace(input, 0);
  const newline = input.indexOf(0x0a, start);
  if (input[start] !== OPENING_BRACE || newline === -1) return false;
  let end = newline;
  while (isSpace(input[end - 1])) end--;
  return input[end - 1] === CLOSING_BRACE && input[skipSpace(input, newline)] === OPENING_BRACE;
}

const OPENING_BRACE = 0x7b;
const CLOSING_BRACE = 0x7d;

/** Parses each line of a file as a bundle. @throws FormatError `LIMIT_EXCEEDED`; VerificationError `ATTESTATION_NOT_FOUND`. */
export function parseBundleLines(input: Uint8Array): readonly [BundleCandidate, ...BundleCandidate[]] {
  if (input.length > MAX_BUNDLE_BYTES)
    throw new FormatError("LIMIT_EXCEEDED", `bundles have more than ${MAX_BUNDLE_BYTES} bytes`);
  return atLeastOne([...readLines(input)]);
}

/**
 * Reads a list of bundles out of JSON that is parsed already.
 *
 * @returns `undefined` for JSON that is no such list.
 * @throws FormatError `BUNDLE_MALFORMED`, `LIMIT_EXCEEDED`; VerificationError `ATTESTATION_NOT_FOUND`.
 */
export function tryReadBundleList(json: JsonValue): readonly [BundleCandidate, ...BundleCandidate[]] | undefined {
  if (isList(json))
    return atLeastOne(readList(json, "item", (item) => (isObject(item) ? item["attestation"] : undefined)));
  if (!isObject(json) || !Object.hasOwn(json, "attestations")) return undefined;
  const list = json["attestations"];
  if (!isList(list)) throw new FormatError("BUNDLE_MALFORMED", "attestations of the file are not a list");
  return atLeastOne(readList(list, "attestations", (item) => item ?? null));
}

function atLeastOne([first, ...others]: readonly BundleCandidate[]): readonly [BundleCandidate, ...BundleCandidate[]] {
  if (first !== undefined) return [first, ...others];
  throw new VerificationError("ATTESTATION_NOT_FOUND", "file lists no attestation", {
    remedy:
      "get the attestations of the digest of the file that is to be verified; if there is none, it was not attested",
  });
}

function* readLines(input: Uint8Array): Iterable<BundleCandidate> {
  let count = 0;
  let number = 0;
  for (let start = 0; start < input.length;) {
    const newline = input.indexOf(0x0a, start);
    const end = newline === -1 ? input.length : newline;
    const line = input.subarray(start, end);
    start = end + 1;
    number++;
    if (skipSpace(line, 0) === line.length) continue;
    if (++count > MAX_BUNDLES) throw tooMany();
    yield read(`line ${number}`, () => parseBundle(line));
  }
}

/** @param around - What holds the bundle of an item; `undefined` where the item is the bundle. */
function readList(
  list: readonly JsonValue[],
  name: string,
  around: (item: JsonValue) => JsonValue | undefined,
): readonly BundleCandidate[] {
  if (list.length > MAX_BUNDLES) throw tooMany();
  return list.map((item, index) => {
    const position = `${name}[${index}]`;
    const holder = around(item);
    return read(position, () => parseBundleObject(holder === undefined ? item : bundleOf(holder, position)));
  });
}

function bundleOf(holder: JsonValue, position: string): JsonValue {
  if (isObject(holder) && isObject(holder["bundle"])) return holder["bundle"];
  const isAddress = isObject(holder) && typeof holder["bundle_url"] === "string";
  throw new FormatError("BUNDLE_MALFORMED", `${position} holds no bundle`, {
    expected: "bundle",
    ...(isAddress && {
      found: "an address alone, from which nothing is fetched",
      remedy: "fetch the bundle, or use gh attestation download",
    }),
  });
}

function read(position: string, parse: () => Bundle): BundleCandidate {
  try {
    return { position, kind: "bundle", bundle: parse() };
  } catch (error) {
    if (!(error instanceof SigstoreError)) throw error;
    return { position, kind: "unreadable", error };
  }
}

function isObject(value: JsonValue | undefined): value is JsonObject {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function isList(value: JsonValue | undefined): value is readonly JsonValue[] {
  return Array.isArray(value);
}

function skipSpace(input: Uint8Array, from: number): number {
  let at = from;
  while (at < input.length && isSpace(input[at])) at++;
  return at;
}

function isSpace(byte: number | undefined): boolean {
  return byte === 0x20 || byte === 0x09 || byte === 0x0a || byte === 0x0d;
}

function tooMany(): FormatError {
  return new FormatError("LIMIT_EXCEEDED", `file has more than ${MAX_BUNDLES} bundles`);
}
