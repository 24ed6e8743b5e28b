/**
 * Entries of kind `rekord`, which early clients logged artifacts as. Of its signature formats only `x509` occurs in bundles.
 *
 * @module
 */

import type { Digest } from "../../crypto/digest.ts";
import type { CryptoProvider } from "../../crypto/provider.ts";
import type { JsonReader } from "../../encoding/json-reader.ts";
import type { EntryExpectation } from "../entry-body.ts";
import {
  mismatch,
  verifySameSignature,
  verifySameVerifier,
  verifySignedDigest,
  type EntryVerifier,
} from "./comparison.ts";
import { readHash, readSignature, readVerifier } from "./rekor-v1.ts";

/** Is the body of a `rekord` 0.0.1. */
export interface RekordV001 {
  readonly kind: "rekord";
  readonly generation: 1;
  /** SHA-256 of what was signed, whatever the hash of the signature: the log had the content itself. */
  readonly data: Digest;
  readonly signature: Uint8Array;
  readonly verifier: EntryVerifier;
}

/**
 * Parses the `spec` of a `rekord` 0.0.1.
 *
 * @throws FormatError `TLOG_ENTRY_MALFORMED`, `LIMIT_EXCEEDED`.
 * @throws VerificationError `TLOG_ENTRY_MISMATCH` for signature formats that a bundle cannot hold.
 * @see rekor, rekord_v0_0_1_schema.json
 */
export function parseRekordV001(spec: JsonReader): RekordV001 {
  const body = spec.object();
  const signature = body.required("signature").object();
  const format = signature.required("format").string();
  if (format !== "x509") throw mismatch("signature format", "x509", format.slice(0, 100));
  return {
    kind: "rekord",
    generation: 1,
    data: readHash(body.required("data").object().required("hash"), ["sha256"]),
    signature: readSignature(signature.required("content")),
    verifier: readVerifier(signature.required("publicKey").object().required("content")),
  };
}

/** Verifies a `rekord` 0.0.1 against a bundle. */
export async function verifyRekordV001(
  body: RekordV001,
  expected: EntryExpectation,
  crypto: CryptoProvider,
): Promise<void> {
  verifySameSignature(body.signature, expected);
  await verifySameVerifier(body.verifier, expected.verifier, crypto);
  await verifySignedDigest(body.data, expected.content, crypto);
}
