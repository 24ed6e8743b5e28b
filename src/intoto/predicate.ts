/**
 * cosign's short names of predicate types, and how each turns a file into a predicate.
 *
 * @module
 */

import { parseJson } from "../encoding/json.ts";
import { JsonReader } from "../encoding/json-reader.ts";
import { tryDecodeUtf8 } from "../encoding/utf8.ts";
import { FormatError, InputError } from "../errors.ts";
import { MAX_BUNDLE_BYTES } from "../limits.ts";

/** Maps the short names to predicate types. */
export const PREDICATE_TYPES: Readonly<Record<string, string>> = {
  custom: "https://cosign.sigstore.dev/attestation/v1",
  slsaprovenance: "https://slsa.dev/provenance/v0.2",
  slsaprovenance02: "https://slsa.dev/provenance/v0.2",
  slsaprovenance1: "https://slsa.dev/provenance/v1",
  spdx: "https://spdx.dev/Document",
  spdxjson: "https://spdx.dev/Document",
  cyclonedx: "https://cyclonedx.org/bom",
  link: "https://in-toto.io/Link/v1",
  vuln: "https://cosign.sigstore.dev/attestation/vuln/v1",
  openvex: "https://openvex.dev/ns",
};

/** Members that the named predicate cannot do without; cosign refuses the same. */
const REQUIRED: Readonly<Record<string, readonly string[]>> = {
  slsaprovenance: ["builder", "buildType"],
  slsaprovenance02: ["builder", "buildType"],
  slsaprovenance1: ["buildDefinition", "runDetails"],
  link: ["_type", "name", "materials", "products", "byproducts", "command", "environment"],
};

/** Is a predicate ready to be put into a statement. */
export interface Predicate {
  readonly predicateType: string;
  /** JSON text. */
  readonly predicate: string;
}

/**
 * Finds the predicate type that a short name or a URI stands for.
 *
 * @throws {@link InputError} `USAGE_INVALID`.
 */
export function predicateTypeOf(nameOrUri: string): string {
  const type = Object.hasOwn(PREDICATE_TYPES, nameOrUri) ? PREDICATE_TYPES[nameOrUri] : undefined;
  if (type !== undefined) return type;
  if (URL.canParse(nameOrUri)) return nameOrUri;
  throw new InputError("USAGE_INVALID", `invalid predicate type: ${nameOrUri}`, {
    expected: `${Object.keys(PREDICATE_TYPES).join(", ")}, or an absolute URI`,
  });
}

/**
 * Makes a predicate out of a file as cosign does: `custom` and `spdx` wrap its text, every other type is a JSON object.
 *
 * The text of an object is kept as it is: nothing is renamed, rounded or left out.
 *
 * @param nameOrUri - A name of {@link PREDICATE_TYPES}, or an absolute URI.
 * @param now - The time that `custom` notes.
 * @throws {@link InputError} `USAGE_INVALID`; {@link FormatError} `STATEMENT_MALFORMED`, `JSON_DUPLICATE_KEY`, `LIMIT_EXCEEDED`.
 */
export function predicateFor(nameOrUri: string, file: Uint8Array, now: Date): Predicate {
  const predicateType = predicateTypeOf(nameOrUri);
  const text = tryDecodeUtf8(file);
  if (text === undefined) {
    throw new FormatError("STATEMENT_MALFORMED", "predicate is not UTF-8 text", {
      remedy: "encode binary data, for instance in base64, before it is attested",
    });
  }
  if (nameOrUri === "custom") {
    const Timestamp = `${now.toISOString().slice(0, 19)}Z`;
    return { predicateType, predicate: JSON.stringify({ Data: text, Timestamp }) };
  }
  if (nameOrUri === "spdx") return { predicateType, predicate: JSON.stringify(text) };
  const value = parseJson(text, { what: "predicate", code: "STATEMENT_MALFORMED", maxBytes: MAX_BUNDLE_BYTES });
  const object = new JsonReader(value, "predicate", "STATEMENT_MALFORMED").object();
  for (const name of Object.hasOwn(REQUIRED, nameOrUri) ? (REQUIRED[nameOrUri] ?? []) : []) object.required(name);
  return { predicateType, predicate: text };
}
