/**
 * Simple signing: the payload that an image signature before bundles is over.
 *
 * @module
 */

import { parseJson, type JsonObject, type JsonValue } from "../../encoding/json.ts";
import { JsonReader } from "../../encoding/json-reader.ts";
import { encodeUtf8 } from "../../encoding/utf8.ts";
import { MAX_ATTACHMENT_BYTES } from "../../limits.ts";
import { readContentDigest, type ContentDigest } from "../content-digest.ts";

/** Is what a simple-signing payload says. */
export interface SimpleSigning {
  /** Which image its signer called it. Nothing compares it, in any tool: an image may be copied. */
  readonly dockerReference: string;
  readonly dockerManifestDigest: ContentDigest;
  /** `cosign container image signature`, for instance. */
  readonly type: string;
  /** Annotations, of any type. */
  readonly optional: JsonObject;
}

/**
 * The types that say "this is the signature of an image": cosign's, that of its first releases, and that of containers/image.
 *
 * @see containers/image docs/containers-signature.5.md, "critical.type"
 */
export const IMAGE_SIGNATURE_TYPES: readonly string[] = [
  "cosign container image signature",
  "cosign container signature",
  "atomic container signature",
];

/**
 * Parses a payload. Its digest, type and annotations are not compared with anything here.
 *
 * @throws {@link FormatError} `SIMPLE_SIGNING_MALFORMED`, `JSON_DUPLICATE_KEY`, `LIMIT_EXCEEDED`.
 * @see containers/image docs/containers-signature.5.md, "JSON data format"
 */
export function parseSimpleSigning(payload: Uint8Array): SimpleSigning {
  const what = "simple-signing payload";
  const json = parseJson(payload, { what, code: "SIMPLE_SIGNING_MALFORMED", maxBytes: MAX_ATTACHMENT_BYTES });
  const document = readFields(new JsonReader(json, "payload", "SIMPLE_SIGNING_MALFORMED"), ["critical", "optional"]);
  const critical = readFields(required(document, "critical"), ["identity", "image", "type"]);
  const digest = required(
    readFields(required(critical, "image"), ["docker-manifest-digest"]),
    "docker-manifest-digest",
  );
  const identity = critical.fields.get("identity");
  const reference =
    identity === undefined ? undefined : readFields(identity, ["docker-reference"]).fields.get("docker-reference");
  const optional = document.fields.get("optional");
  optional?.object();
  return {
    dockerReference: reference?.string() ?? "",
    dockerManifestDigest: readContentDigest(digest.string(), digest.path, "SIMPLE_SIGNING_MALFORMED"),
    type: required(critical, "type").string(),
    optional: (optional?.value ?? {}) as JsonObject,
  };
}

interface Fields {
  readonly reader: JsonReader;
  /** By their names in lower case; those that are `null` left out. */
  readonly fields: ReadonlyMap<string, JsonReader>;
}

/**
 * Reads the fields of an object, whatever the case of their names: the first releases of cosign wrote `Critical` and `Docker-manifest-digest`, and
 * Go reads either. A field that is there in both spellings would be one thing to one reader and another to the next.
 */
function readFields(reader: JsonReader, names: readonly string[]): Fields {
  const object = reader.object();
  const fields = new Map<string, JsonReader>();
  const seen = new Set<string>();
  for (const key of object.keys()) {
    const name = key.toLowerCase();
    if (!names.includes(name)) reader.fail(`has the unknown field ${JSON.stringify(key.slice(0, 80))}`);
    if (seen.has(name)) reader.fail(`has the field ${name} in two spellings`);
    seen.add(name);
    const value = object.optional(key);
    if (value !== undefined) fields.set(name, value);
  }
  return { reader, fields };
}

function required({ reader, fields }: Fields, name: string): JsonReader {
  return fields.get(name) ?? reader.fail(`has no ${name}`);
}

/**
 * Writes a payload as cosign does, byte for byte: compact, annotations in the order of their names, and `<`, `>`, `&` escaped as
 * Go's encoder has it.
 *
 * @param dockerReference - The repository, without tag and digest.
 */
export function serializeSimpleSigning(
  dockerReference: string,
  dockerManifestDigest: ContentDigest,
  annotations: Readonly<Record<string, string>> = {},
): Uint8Array {
  const names = Object.keys(annotations).toSorted(compareBytes);
  const payload: JsonValue = {
    critical: {
      identity: { "docker-reference": dockerReference },
      image: { "docker-manifest-digest": dockerManifestDigest },
      type: "cosign container image signature",
    },
    optional: null,
  };
  const head = JSON.stringify(payload).slice(0, -"null}".length);
  // Not through an object, in which names that look like numbers would come first.
  const optional =
    names.length === 0
      ? "null"
      : `{${names.map((name) => `${JSON.stringify(name)}:${JSON.stringify(annotations[name])}`).join(",")}}`;
  return encodeUtf8(escapeAsGo(`${head}${optional}}`));
}

/** Go sorts the keys of a map by their bytes in UTF-8. */
function compareBytes(a: string, b: string): number {
  return Buffer.compare(encodeUtf8(a), encodeUtf8(b));
}

/** @see Go encoding/json, `HTMLEscape` */
function escapeAsGo(json: string): string {
  return json.replaceAll(
    /[<>&\u2028\u2029]/g,
    (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, "0")}`,
  );
}
