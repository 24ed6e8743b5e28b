/**
 * Entries of kind `intoto`, which npm and the first clients logged attestations as.
 *
 * Version 0.0.1 names no signature, so that it proves nothing about one, and is not read. In 0.0.2, what was base64 in the envelope
 * is encoded once more. Some early entries hold the payload too; its hash is in all of them, and is what counts.
 *
 * @module
 */

import type { Digest } from "../../crypto/digest.ts";
import type { CryptoProvider } from "../../crypto/provider.ts";
import type { JsonReader } from "../../encoding/json-reader.ts";
import { MAX_ENVELOPE_SIGNATURES } from "../../limits.ts";
import type { EntryExpectation } from "../entry-body.ts";
import {
  mismatch,
  onlySignature,
  verifyPayloadHash,
  verifySameSignature,
  verifySameVerifier,
  type EntryVerifier,
} from "./comparison.ts";
import { readHash, readSignatureTwiceEncoded, readVerifier } from "./rekor-v1.ts";

/** Is the body of an `intoto` 0.0.2. */
export interface IntotoV002 {
  readonly kind: "intoto";
  readonly generation: 1;
  readonly payloadHash: Digest;
  readonly payloadType: string;
  readonly signatures: readonly { readonly signature: Uint8Array; readonly verifier: EntryVerifier }[];
}

/**
 * Parses the `spec` of an `intoto` 0.0.2.
 *
 * @throws FormatError `TLOG_ENTRY_MALFORMED`, `LIMIT_EXCEEDED`.
 * @see rekor, intoto_v0_0_2_schema.json
 */
export function parseIntotoV002(spec: JsonReader): IntotoV002 {
  const content = spec.object().required("content").object();
  const envelope = content.required("envelope").object();
  return {
    kind: "intoto",
    generation: 1,
    payloadHash: readHash(content.required("payloadHash"), ["sha256"]),
    payloadType: envelope.required("payloadType").string(),
    signatures: envelope
      .required("signatures")
      .array(MAX_ENVELOPE_SIGNATURES)
      .map((item) => {
        const entry = item.object();
        return {
          signature: readSignatureTwiceEncoded(entry.required("sig")),
          verifier: readVerifier(entry.required("publicKey")),
        };
      }),
  };
}

/** Verifies an `intoto` 0.0.2 against a bundle. */
export async function verifyIntotoV002(
  body: IntotoV002,
  expected: EntryExpectation,
  crypto: CryptoProvider,
): Promise<void> {
  const { payloadType } = await verifyPayloadHash(body.payloadHash, body.kind, expected.content, crypto);
  if (body.payloadType !== payloadType)
    throw mismatch("payload type", payloadType.slice(0, 100), body.payloadType.slice(0, 100));
  const { signature, verifier } = onlySignature(body.signatures);
  verifySameSignature(signature, expected);
  await verifySameVerifier(verifier, expected.verifier, crypto);
}
