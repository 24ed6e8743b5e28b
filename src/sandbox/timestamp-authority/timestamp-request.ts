/**
 * Reads requests for timestamps, in DER and in JSON.
 *
 * @module
 */

import { contextTag, decodeBoolean, decodeInteger, decodeOid, DerReader, parseDer, Tag } from "../../asn1/der.ts";
import { OID } from "../../asn1/oids.ts";
import { DIGEST_LENGTH, type Digest, type HashAlgorithm } from "../../crypto/digest.ts";
import { tryDecodeBase64 } from "../../encoding/base64.ts";
import { SigstoreError } from "../../errors.ts";

/** Is a request that can be granted. */
export interface TimestampRequest {
  readonly imprint: Digest;
  readonly nonce?: bigint;
  /** Whether the token is to bring the signer's certificate. */
  readonly certReq: boolean;
}

/** The policy of all timestamps, the real service's own. */
export const TIMESTAMP_POLICY = "1.3.6.1.4.1.57264.2";

/** Says why a request is not granted, in the words of the real service. */
export class TimestampRefusal extends Error {}

const FAILED = "Error generating timestamp response";
const WEAK_HASH = "Weak hash algorithm in timestamp request";
const WRONG_LENGTH = "Message digest has incorrect length for specified algorithm";
const MALFORMED_POLICY = "OID should be comprised of at most 128 components";
const OTHER_POLICY = "unaccepted policy: requested TSA policy is not supported by the TSA";
const EXTENSIONS = "unaccepted extension: requested extensions are not supported by the TSA";

const HASHES: ReadonlyMap<string, HashAlgorithm | "sha1"> = new Map<string, HashAlgorithm | "sha1">([
  [OID.sha1, "sha1"],
  [OID.sha256, "sha256"],
  [OID.sha384, "sha384"],
  [OID.sha512, "sha512"],
]);

/**
 * Reads a TimeStampReq.
 *
 * @throws {@link TimestampRefusal}
 * @see RFC 3161 §2.4.1
 */
export function parseTimestampRequest(der: Uint8Array): TimestampRequest {
  let fields: ReturnType<typeof readFields>;
  try {
    fields = readFields(der);
  } catch (error) {
    if (error instanceof SigstoreError) throw new TimestampRefusal(FAILED);
    throw error;
  }
  const hash = HASHES.get(fields.hashOid);
  if (hash === undefined || fields.hashedMessage.length === 0) throw new TimestampRefusal(FAILED);
  return grantable(hash, fields.hashedMessage, fields.policy, fields.hasExtensions, fields);
}

function readFields(der: Uint8Array): {
  readonly hashOid: string;
  readonly hashedMessage: Uint8Array;
  readonly policy: string | undefined;
  readonly nonce?: bigint;
  readonly certReq: boolean;
  readonly hasExtensions: boolean;
} {
  const request = DerReader.of(parseDer(der, Tag.sequence));
  request.next(Tag.integer); // the real service does not look at the version
  const imprint = request.sequence();
  const algorithm = imprint.sequence();
  const hashOid = decodeOid(algorithm.next(Tag.oid));
  const hashedMessage = imprint.next(Tag.octetString).content;
  imprint.end();
  const policy = request.optional(Tag.oid);
  const nonce = request.optional(Tag.integer);
  const certReq = request.optional(Tag.boolean);
  const extensions = request.optional(contextTag(0, true));
  request.end();
  return {
    hashOid,
    hashedMessage,
    policy: policy && decodeOid(policy),
    ...(nonce !== undefined && { nonce: decodeInteger(nonce) }),
    certReq: certReq !== undefined && decodeBoolean(certReq),
    hasExtensions: extensions !== undefined && extensions.content.length > 0,
  };
}

/**
 * Reads a request in the JSON of the real service: `{artifactHash, hashAlgorithm, certificates, nonce, tsaPolicyOID}`.
 *
 * @throws {@link TimestampRefusal}
 */
export function parseJsonTimestampRequest(text: string): TimestampRequest {
  const request = readJson(text);
  const algorithm = stringIn(request, "hashAlgorithm").toLowerCase();
  const hash = [...HASHES.values()].find((known) => known === algorithm);
  if (hash === undefined) throw new TimestampRefusal(FAILED);
  if (hash === "sha1") throw new TimestampRefusal(WEAK_HASH);
  const policy = stringIn(request, "tsaPolicyOID");
  if (policy !== "" && !/^[+-]?[0-9]{1,18}(?:\.[+-]?[0-9]{1,18}){0,128}$/.test(policy))
    throw new TimestampRefusal(MALFORMED_POLICY);
  const digest = tryDecodeBase64(stringIn(request, "artifactHash").replaceAll(/[\r\n]/g, ""));
  if (digest === undefined) throw new TimestampRefusal(FAILED);
  const certificates = request.get("certificates") ?? false;
  const nonce = request.get("nonce");
  if (typeof certificates !== "boolean" || (nonce !== undefined && typeof nonce !== "bigint"))
    throw new TimestampRefusal(FAILED);
  return grantable(hash, digest, policy === "" ? undefined : policy, false, {
    certReq: certificates,
    ...(nonce !== undefined && { nonce }),
  });
}

/** Reads an object as Go does: names without regard to case, null as nothing. Integers keep all their digits. */
function readJson(text: string): ReadonlyMap<string, unknown> {
  let value: unknown;
  try {
    value = (JSON.parse as (text: string, reviver: Reviver) => unknown)(text, (_key, member, context) =>
      typeof member === "number" && /^-?[0-9]+$/.test(context?.source ?? "") ? BigInt(context?.source ?? "") : member,
    );
  } catch {
    throw new TimestampRefusal(FAILED);
  }
  if (value === null) return new Map();
  if (typeof value !== "object" || Array.isArray(value)) throw new TimestampRefusal(FAILED);
  const names = ["artifactHash", "hashAlgorithm", "certificates", "nonce", "tsaPolicyOID"];
  return new Map(
    Object.entries(value).flatMap(([key, member]) => {
      const name = names.find((known) => known.toLowerCase() === key.toLowerCase());
      return name === undefined || member === null ? [] : [[name, member as unknown] as const];
    }),
  );
}

type Reviver = (key: string, value: unknown, context?: { readonly source?: string }) => unknown;

function stringIn(request: ReadonlyMap<string, unknown>, name: string): string {
  const value = request.get(name) ?? "";
  if (typeof value !== "string") throw new TimestampRefusal(FAILED);
  return value;
}

/** Decides in the order of the real service, which its answers show. */
function grantable(
  hash: HashAlgorithm | "sha1",
  digest: Uint8Array,
  policy: string | undefined,
  hasExtensions: boolean,
  { nonce, certReq }: Pick<TimestampRequest, "nonce" | "certReq">,
): TimestampRequest {
  if (hash === "sha1") throw new TimestampRefusal(WEAK_HASH);
  if (digest.length !== DIGEST_LENGTH[hash]) throw new TimestampRefusal(WRONG_LENGTH);
  if (policy !== undefined && policy !== TIMESTAMP_POLICY) throw new TimestampRefusal(OTHER_POLICY);
  if (hasExtensions) throw new TimestampRefusal(EXTENSIONS);
  return { imprint: { algorithm: hash, value: digest }, certReq, ...(nonce !== undefined && { nonce }) };
}
