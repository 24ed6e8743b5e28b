/**
 * Entries of kind `dsse`: the hash of an envelope's payload, its signatures, and who signed.
 *
 * The hash of the envelope, which `dsse` 0.0.1 has too, is never looked at: it covers the envelope as it was sent to the log, in
 * bytes that no bundle keeps.
 *
 * @module
 */

import type { Digest } from "../../crypto/digest.ts";
import type { CryptoProvider } from "../../crypto/provider.ts";
import type { JsonReader } from "../../encoding/json-reader.ts";
import { MAX_ENVELOPE_SIGNATURES } from "../../limits.ts";
import type { EntryExpectation } from "../entry-body.ts";
import {
  onlySignature,
  verifyPayloadHash,
  verifySameSignature,
  verifySameVerifier,
  type EntryVerifier,
} from "./comparison.ts";
import { readHash, readSignature, readVerifier } from "./rekor-v1.ts";
import {
  hashOutputJson,
  readHashOutput,
  readSignatureV2,
  signatureJson,
  verifyRebuiltBody,
  verifySignatureV2,
  type SignatureV2,
} from "./rekor-v2.ts";

/** Is the body of a `dsse` 0.0.1. */
export interface DsseV001 {
  readonly kind: "dsse";
  readonly generation: 1;
  readonly payloadHash: Digest;
  readonly signatures: readonly { readonly signature: Uint8Array; readonly verifier: EntryVerifier }[];
}

/** Is the body of a `dsse` 0.0.2, which Rekor v2 made until it took `hashedrekord` alone. */
export interface DsseV002 {
  readonly kind: "dsse";
  readonly generation: 2;
  readonly payloadHash: Digest;
  readonly signatures: readonly SignatureV2[];
}

/**
 * Parses the `spec` of a `dsse` 0.0.1.
 *
 * @throws FormatError `TLOG_ENTRY_MALFORMED`, `LIMIT_EXCEEDED`.
 * @see rekor, dsse_v0_0_1_schema.json
 */
export function parseDsseV001(spec: JsonReader): DsseV001 {
  const body = spec.object();
  return {
    kind: "dsse",
    generation: 1,
    payloadHash: readHash(body.required("payloadHash"), ["sha256"]),
    signatures: body
      .required("signatures")
      .array(MAX_ENVELOPE_SIGNATURES)
      .map((item) => {
        const entry = item.object();
        return {
          signature: readSignature(entry.required("signature")),
          verifier: readVerifier(entry.required("verifier")),
        };
      }),
  };
}

/** Verifies a `dsse` 0.0.1 against a bundle. */
export async function verifyDsseV001(
  body: DsseV001,
  expected: EntryExpectation,
  crypto: CryptoProvider,
): Promise<void> {
  await verifyPayloadHash(body.payloadHash, body.kind, expected.content, crypto);
  const { signature, verifier } = onlySignature(body.signatures);
  verifySameSignature(signature, expected);
  await verifySameVerifier(verifier, expected.verifier, crypto);
}

/**
 * Parses the `spec` of a `dsse` 0.0.2.
 *
 * @throws FormatError `TLOG_ENTRY_MALFORMED`, `LIMIT_EXCEEDED`.
 * @see rekor-tiles, rekor/v2/dsse.proto `DSSELogEntryV002`
 */
export function parseDsseV002(spec: JsonReader): DsseV002 {
  const entry = spec.object(["dsseV002"]).required("dsseV002").object(["payloadHash", "signatures"]);
  return {
    kind: "dsse",
    generation: 2,
    payloadHash: readHashOutput(entry.required("payloadHash")),
    signatures: entry.required("signatures").array(MAX_ENVELOPE_SIGNATURES).map(readSignatureV2),
  };
}

/**
 * Verifies a `dsse` 0.0.2 against a bundle.
 *
 * @param canonicalizedBody - What the body was read from.
 */
export async function verifyDsseV002(
  body: DsseV002,
  canonicalizedBody: Uint8Array,
  expected: EntryExpectation,
  crypto: CryptoProvider,
): Promise<void> {
  await verifyPayloadHash(body.payloadHash, body.kind, expected.content, crypto);
  const signature = onlySignature(body.signatures);
  await verifySignatureV2(signature, expected, crypto);

  // Every value was compared above, so that the body's hash is the bundle's.
  const signatures = [signatureJson(expected, signature.keyDetails)];
  verifyRebuiltBody(
    "dsse",
    { dsseV002: { payloadHash: hashOutputJson(body.payloadHash), signatures } },
    canonicalizedBody,
  );
}
