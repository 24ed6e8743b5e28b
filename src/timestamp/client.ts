/**
 * Timestamp authorities: asked to sign when something existed.
 *
 * @see RFC 3161
 * @module
 */

import { OID } from "../asn1/oids.ts";
import {
  encodeBoolean,
  encodeInteger,
  encodeNull,
  encodeOctetString,
  encodeOid,
  encodeSequence,
} from "../asn1/writer.ts";
import { formatDigest, type Digest, type HashAlgorithm } from "../crypto/digest.ts";
import type { CryptoProvider } from "../crypto/provider.ts";
import { equalBytes } from "../encoding/bytes.ts";
import { encodeHex } from "../encoding/hex.ts";
import { VerificationError } from "../errors.ts";
import { parseHttpUrl } from "../http/redirect.ts";
import { sendRequest, type RequestOptions } from "../http/request.ts";
import { readAnswer } from "../http/service-answer.ts";
import { MAX_TIMESTAMP_BYTES } from "../limits.ts";
import { parseTimestampResponse } from "../tsa/timestamp-response.ts";

const SERVICE = "timestamp authority";

/** Configures a request for a timestamp. */
export interface TimestampRequestOptions extends RequestOptions {
  readonly crypto: CryptoProvider;
  /** What the authority gets instead of the data. Default `sha256`. */
  readonly hash?: HashAlgorithm | undefined;
  /** A number that the authority repeats, so that no older answer can stand for the new one. Default `random`, of 64 bits. */
  readonly nonce?: bigint | "random" | undefined;
  /**
   * Whether the authority is to send its certificate along. Default `true`, so that the timestamp can be verified also where a
   * trusted root lists only the authorities above it.
   */
  readonly certReq?: boolean | undefined;
}

/** Is what a timestamp request says. */
export interface TimestampRequest {
  readonly imprint: Digest;
  readonly nonce?: bigint | undefined;
  readonly certReq: boolean;
}

const HASH: Readonly<Record<HashAlgorithm, string>> = { sha256: OID.sha256, sha384: OID.sha384, sha512: OID.sha512 };

/**
 * Encodes a TimeStampReq.
 *
 * @see RFC 3161 §2.4.1
 */
export function encodeTimestampRequest({ imprint, nonce, certReq }: TimestampRequest): Uint8Array {
  // NULL, as everybody writes it: RFC 5754 §2 has it absent, and asks to accept both.
  const algorithm = encodeSequence(encodeOid(HASH[imprint.algorithm]), encodeNull());
  return encodeSequence(
    encodeInteger(1n),
    encodeSequence(algorithm, encodeOctetString(imprint.value)),
    ...(nonce === undefined ? [] : [encodeInteger(nonce)]),
    ...(certReq ? [encodeBoolean(true)] : []), // DER leaves a default value out
  );
}

/**
 * Gets a timestamp over a signature.
 *
 * Checked is that the authority granted it, and that it is for this signature and this request. Who signed it is not: see
 * `verifyTimestamp`.
 *
 * @param url - The whole address of the authority, path included.
 * @returns the TimeStampResp, DER.
 * @throws ServiceError `TIMESTAMP_REQUEST_REFUSED`, `SERVICE_RESPONSE_INVALID`, and those of `sendRequest`.
 * @throws {@link VerificationError} `TIMESTAMP_NOT_GRANTED`, `TIMESTAMP_IMPRINT_MISMATCH`, `TIMESTAMP_NONCE_MISMATCH`.
 * @see RFC 3161 §2.2: the requesting entity SHALL verify that what was time-stamped corresponds to what was requested
 */
export async function requestTimestamp(
  url: string,
  signature: Uint8Array,
  options: TimestampRequestOptions,
): Promise<Uint8Array> {
  const { crypto, hash = "sha256", certReq = true } = options;
  const nonce = options.nonce === undefined || options.nonce === "random" ? randomNonce() : options.nonce;
  const imprint = { algorithm: hash, value: await crypto.digest(hash, signature) };
  const answer = await sendRequest(
    parseHttpUrl(url).href,
    {
      method: "POST",
      headers: { accept: "application/timestamp-reply", "content-type": "application/timestamp-query" },
      body: encodeTimestampRequest({ imprint, nonce, certReq }),
      accept: [200, 201],
      maxBytes: MAX_TIMESTAMP_BYTES,
      refusal: "TIMESTAMP_REQUEST_REFUSED",
    },
    { ...options, service: SERVICE },
  );
  const token = readAnswer(answer, SERVICE, "a timestamp", parseTimestampResponse);
  const { algorithm, digest } = token.imprint;
  if (algorithm.hash !== hash || !equalBytes(digest, imprint.value)) {
    throw new VerificationError("TIMESTAMP_IMPRINT_MISMATCH", "timestamp is for something else than was sent", {
      expected: formatDigest(imprint),
      found: `${algorithm.hash ?? algorithm.oid}:${encodeHex(digest)}`,
    });
  }
  if (token.nonce !== nonce) {
    throw new VerificationError("TIMESTAMP_NONCE_MISMATCH", "timestamp answers another request", {
      expected: `nonce ${nonce}`,
      found: token.nonce === undefined ? "no nonce" : `nonce ${token.nonce}`,
    });
  }
  return answer.body;
}

/** Positive, and of eight bytes at most. */
function randomNonce(): bigint {
  const random = globalThis.crypto.getRandomValues(new BigUint64Array(1));
  return (random[0] as bigint) >> 1n;
}
