/**
 * What is demanded of TUF metadata beside what `tuf-js` looks at, before it sees it: JSON with one meaning, whole versions, times
 * with a zone, and thresholds that one key under several names cannot meet.
 *
 * @module
 */

import { getPublicKey } from "@tufjs/models/dist/utils/key.js";

import { parseJson } from "../encoding/json.ts";
import { JsonReader, type JsonObjectReader } from "../encoding/json-reader.ts";
import { FormatError, TrustError } from "../errors.ts";
import { MAX_TUF_METADATA_BYTES } from "../limits.ts";

const MAX_ITEMS = 4096;
// RFC 3339 §5.6. The specification wants seconds and Z; old Sigstore roots have a fraction or an offset.
const EXPIRES = /^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}(\.\d+)?(Z|[+-]\d{2}:\d{2})$/;

/**
 * Checks the shape of metadata. Signatures, expiry and the order of versions are not checked here.
 *
 * @param role - The role that it is said to be of, for messages.
 * @throws {@link TrustError} `TUF_METADATA_INVALID`.
 * @see TUF specification §4
 */
export function checkMetadata(role: string, bytes: Uint8Array): void {
  const what = `${JSON.stringify(role)} metadata`;
  try {
    const json = parseJson(bytes, { what, code: "JSON_MALFORMED", maxBytes: MAX_TUF_METADATA_BYTES });
    checkSigned(new JsonReader(json, what, "JSON_MALFORMED").object().required("signed").object());
  } catch (error) {
    if (!(error instanceof FormatError)) throw error;
    throw new TrustError("TUF_METADATA_INVALID", `TUF metadata is not acceptable: ${error.message}`, {
      expected: error.expected,
      found: error.found,
      remedy: "check that the mirror's address is that of a TUF repository",
      cause: error,
    });
  }
}

function checkSigned(signed: JsonObjectReader): void {
  checkVersion(signed);
  const expires = signed.required("expires");
  if (!EXPIRES.test(expires.string())) expires.fail("is not a time with a zone such as 2026-01-31T23:59:59Z");
  for (const file of objectsOf(signed.optional("meta"))) checkVersion(file);
  for (const target of objectsOf(signed.optional("targets"))) checkWhole(target.required("length"), 0);

  const keys = signed.optional("keys")?.object();
  for (const role of objectsOf(signed.optional("roles"))) checkRole(role, keys);
  const delegations = signed.optional("delegations")?.object();
  const delegatedKeys = delegations?.optional("keys")?.object();
  for (const role of delegations?.optional("roles")?.array(MAX_ITEMS) ?? []) checkRole(role.object(), delegatedKeys);
  const bins = delegations?.optional("succinct_roles");
  if (bins !== undefined) checkRole(bins.object(), delegatedKeys);
}

function checkVersion(holder: JsonObjectReader): void {
  checkWhole(holder.required("version"), 1);
}

function checkRole(role: JsonObjectReader, keys: JsonObjectReader | undefined): void {
  checkWhole(role.required("threshold"), 1);
  const names = new Map<string, string>();
  for (const id of role.required("keyids").array(MAX_ITEMS)) {
    const name = id.string();
    const key = keys?.optional(name);
    const identity = key === undefined ? undefined : tryIdentifyKey(key.object());
    if (identity === undefined) continue; // a key that is not there, or that cannot verify anything, counts for nothing
    const other = names.get(identity);
    if (other !== undefined) id.fail(`names the same key as ${JSON.stringify(other)}, which would count twice`);
    names.set(identity, name);
  }
}

/** Says which key it is, in a form that does not depend on how it is written: hexadecimal, PEM, a compressed point. */
function tryIdentifyKey(key: JsonObjectReader): string | undefined {
  try {
    const parts = { keyType: key.required("keytype").string(), scheme: key.required("scheme").string() };
    const keyVal = key.required("keyval").object().required("public").string();
    const { kty, crv, x, y, n, e } = getPublicKey({ ...parts, keyVal }).key.export({ format: "jwk" });
    return JSON.stringify([kty, crv, x, y, n, e]);
  } catch {
    return undefined;
  }
}

function checkWhole(reader: JsonReader, least: number): void {
  const { value } = reader;
  if (!Number.isSafeInteger(value) || (value as number) < least) reader.fail(`is not a whole number from ${least} on`);
}

function* objectsOf(reader: JsonReader | undefined): Generator<JsonObjectReader> {
  const holder = reader?.object();
  for (const key of holder?.keys() ?? []) yield (holder as JsonObjectReader).required(key).object();
}
