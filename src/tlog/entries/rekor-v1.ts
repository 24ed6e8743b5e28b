/**
 * What the bodies of Rekor v1 have in common: hashes in hexadecimal, PEM inside base64.
 *
 * @module
 */

import { DIGEST_LENGTH, type Digest, type HashAlgorithm } from "../../crypto/digest.ts";
import { tryDecodeBase64 } from "../../encoding/base64.ts";
import { tryDecodeHex } from "../../encoding/hex.ts";
import type { JsonReader } from "../../encoding/json-reader.ts";
import { parsePem } from "../../encoding/pem.ts";
import { tryDecodeUtf8 } from "../../encoding/utf8.ts";
import { FormatError } from "../../errors.ts";
import { MAX_CERTIFICATE_BYTES, MAX_SIGNATURE_BYTES } from "../../limits.ts";
import type { EntryVerifier } from "./comparison.ts";

/** PEM is a third longer than the certificate in it, and base64 once more. */
const MAX_PEM_BYTES = 2 * MAX_CERTIFICATE_BYTES;

/** Reads `{algorithm, value}`. */
export function readHash(reader: JsonReader, algorithms: readonly HashAlgorithm[]): Digest {
  const hash = reader.object();
  const algorithm = hash.required("algorithm").oneOf(algorithms);
  const value = tryDecodeHex(hash.required("value").string());
  if (value?.length !== DIGEST_LENGTH[algorithm])
    return reader.fail(`has a value that is not a ${algorithm} hash in hexadecimal`);
  return { algorithm, value };
}

/** Reads a signature in base64. */
export function readSignature(reader: JsonReader): Uint8Array {
  return reader.base64(MAX_SIGNATURE_BYTES);
}

/** Reads a signature whose base64 was encoded in base64 once more. */
export function readSignatureTwiceEncoded(reader: JsonReader): Uint8Array {
  const inner = tryDecodeUtf8(reader.base64(2 * MAX_SIGNATURE_BYTES));
  const signature = inner === undefined ? undefined : tryDecodeBase64(inner);
  if (signature === undefined) reader.fail("is not base64 of base64");
  return signature;
}

/**
 * Reads a certificate or public key in PEM, in base64.
 *
 * Rekor keeps a chain where it was given one, leaf first. The others in it say nothing about who signed.
 */
export function readVerifier(reader: JsonReader): EntryVerifier {
  const pem = tryDecodeUtf8(reader.base64(MAX_PEM_BYTES));
  if (pem === undefined) reader.fail("is not base64 of PEM");
  const [first, second] = parseVerifierPem(pem, reader.path);
  const kind = first === undefined ? undefined : KINDS.get(first.label);
  if (first === undefined || kind === undefined) reader.fail("is neither a certificate nor a public key");
  if (second !== undefined && (kind !== "certificate" || second.label !== first.label))
    reader.fail("is more than one key");
  return { kind, der: first.bytes };
}

const KINDS: ReadonlyMap<string, EntryVerifier["kind"]> = new Map([
  ["CERTIFICATE", "certificate"],
  ["PUBLIC KEY", "public-key"],
  ["RSA PUBLIC KEY", "rsa-public-key"],
]);

function parseVerifierPem(pem: string, path: string): ReturnType<typeof parsePem> {
  try {
    return parsePem(pem);
  } catch (cause) {
    if (!(cause instanceof FormatError && cause.code === "PEM_MALFORMED")) throw cause;
    throw new FormatError("TLOG_ENTRY_MALFORMED", `${path} is not PEM`, { cause });
  }
}
