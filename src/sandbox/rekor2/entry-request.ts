/**
 * Turns a request of Rekor v2 into the entry that it asks for.
 *
 * @module
 */

import { DIGEST_LENGTH, type HashAlgorithm } from "../../crypto/digest.ts";
import type { CryptoProvider } from "../../crypto/provider.ts";
import { parsePublicKey, type PublicKey } from "../../crypto/public-key.ts";
import { algorithmForKeyDetails, algorithmOf } from "../../crypto/registry.ts";
import { encodeBase64 } from "../../encoding/base64.ts";
import { encodeCanonicalJson } from "../../encoding/canonical-json.ts";
import type { JsonObject } from "../../encoding/json.ts";
import { encodeUtf8 } from "../../encoding/utf8.ts";
import { SigstoreError } from "../../errors.ts";
import type { EntryVerifier } from "../../tlog/entries/comparison.ts";
import { hashOutputJson } from "../../tlog/entries/rekor-v2.ts";
import { parseCertificate } from "../../x509/certificate.ts";
import { ProtoJsonError, parseProtoJson, readBytesField, readEnumField, readMessage } from "./proto-request.ts";

/** Is a request for an entry of kind `hashedrekord` 0.0.2. Nothing in it is proven. */
export interface HashedRekordRequest {
  readonly digest: Uint8Array;
  readonly signature: Uint8Array;
  readonly verifier: EntryVerifier;
  /** `PublicKeyDetails` by name; a number where it has none. */
  readonly keyDetails: string;
}

/** Says what is wrong with an entry; the real service tells its clients no more than this. */
export class InvalidEntryError extends Error {}

/** sigstore_common.proto `PublicKeyDetails` */
const KEY_DETAILS: Readonly<Record<string, number>> = {
  PUBLIC_KEY_DETAILS_UNSPECIFIED: 0,
  PKCS1_RSA_PKCS1V5: 1,
  PKCS1_RSA_PSS: 2,
  PKIX_RSA_PKCS1V5: 3,
  PKIX_RSA_PSS: 4,
  PKIX_ECDSA_P256_SHA_256: 5,
  PKIX_ECDSA_P256_HMAC_SHA_256: 6,
  PKIX_ED25519: 7,
  PKIX_ED25519_PH: 8,
  PKIX_RSA_PKCS1V15_2048_SHA256: 9,
  PKIX_RSA_PKCS1V15_3072_SHA256: 10,
  PKIX_RSA_PKCS1V15_4096_SHA256: 11,
  PKIX_ECDSA_P384_SHA_384: 12,
  PKIX_ECDSA_P521_SHA_512: 13,
  LMS_SHA256: 14,
  LMOTS_SHA256: 15,
  PKIX_RSA_PSS_2048_SHA256: 16,
  PKIX_RSA_PSS_3072_SHA256: 17,
  PKIX_RSA_PSS_4096_SHA256: 18,
  PKIX_ECDSA_P384_SHA_256: 19,
  PKIX_ECDSA_P521_SHA_256: 20,
  ML_DSA_65: 21,
  ML_DSA_87: 22,
  ML_DSA_44: 23,
};

/**
 * Reads a request.
 *
 * @throws {@link ProtoJsonError} for what is not a `CreateEntryRequest`; {@link InvalidEntryError} for one that lacks something.
 * @see rekor-tiles, rekor/v2/entry.proto `CreateEntryRequest`, rekor/v2/hashedrekord.proto `HashedRekordRequestV002`
 */
export function parseEntryRequest(bytes: Uint8Array): HashedRekordRequest {
  const { hashedRekordRequestV002, dsseRequestV002 } = readMessage(parseProtoJson(bytes), [
    "hashedRekordRequestV002",
    "dsseRequestV002",
  ]);
  if (hashedRekordRequestV002 !== undefined && dsseRequestV002 !== undefined)
    throw new ProtoJsonError("proto: oneof dev.sigstore.rekor.v2.CreateEntryRequest.spec is already set");
  if (hashedRekordRequestV002 === undefined) throw new InvalidEntryError("invalid type, must be hashedrekord");

  const request = readMessage(hashedRekordRequestV002, ["digest", "signature"]);
  const digest = readBytesField(request.digest);
  const signature = readMessage(request.signature ?? {}, ["content", "verifier"]);
  const content = readBytesField(signature.content);
  const verifier = readMessage(signature.verifier ?? {}, ["publicKey", "x509Certificate", "keyDetails"]);
  const keyDetails = readEnumField(verifier.keyDetails, KEY_DETAILS);
  if (verifier.publicKey !== undefined && verifier.x509Certificate !== undefined)
    throw new ProtoJsonError("proto: oneof dev.sigstore.rekor.v2.Verifier.verifier is already set");
  const kind = verifier.x509Certificate === undefined ? "public-key" : "certificate";
  const der = readBytesField(readMessage(verifier.x509Certificate ?? verifier.publicKey ?? {}, ["rawBytes"]).rawBytes);
  if (content.length === 0 || digest.length === 0 || der.length === 0 || keyDetails === undefined)
    throw new InvalidEntryError("invalid hashedrekord request");
  return { digest, signature: content, verifier: { kind, der }, keyDetails };
}

/**
 * Verifies the signature of a request, and writes the body of its entry.
 *
 * As in the real service, the key details choose the hash, and the key the kind of signature: whether the two fit together is left to
 * those who verify the entry.
 *
 * @throws {@link InvalidEntryError}
 */
export async function createEntryBody(request: HashedRekordRequest, crypto: CryptoProvider): Promise<Uint8Array> {
  const { digest, signature, verifier, keyDetails } = request;
  const hash = algorithmForKeyDetails(keyDetails)?.hash;
  if (hash === undefined || !KNOWN_KEY_DETAILS.test(keyDetails) || digest.length !== DIGEST_LENGTH[hash])
    throw new InvalidEntryError("invalid hashedrekord request");
  try {
    const key =
      verifier.kind === "certificate" ? parseCertificate(verifier.der).publicKey : parsePublicKey(verifier.der);
    const algorithm = schemeOf(key, hash);
    if (algorithm === undefined || !(await crypto.verifyDigest(algorithm, key, signature, digest)))
      throw new InvalidEntryError("invalid hashedrekord request");
  } catch (error) {
    if (!(error instanceof SigstoreError)) throw error;
    throw new InvalidEntryError("invalid hashedrekord request");
  }
  const rawBytes = { rawBytes: encodeBase64(verifier.der) };
  const named: JsonObject = verifier.kind === "certificate" ? { x509Certificate: rawBytes } : { publicKey: rawBytes };
  const spec = {
    hashedRekordV002: {
      data: hashOutputJson({ algorithm: hash, value: digest }),
      signature: { content: encodeBase64(signature), verifier: { keyDetails, ...named } },
    },
  };
  return encodeUtf8(encodeCanonicalJson({ apiVersion: "0.0.2", kind: "hashedrekord", spec }));
}

/** What the algorithm registry of the real service has a hash for. */
const KNOWN_KEY_DETAILS =
  /^PKIX_(?:RSA_(?:PKCS1V15|PSS)_(?:2048|3072|4096)_SHA256|ECDSA_P256_SHA_256|ECDSA_P384_SHA_(?:256|384)|ECDSA_P521_SHA_(?:256|512)|ED25519_PH)$/;

/** What the real service takes by default for a key of this type: with one hash each, and PKCS #1 v1.5 for RSA. */
function schemeOf(key: PublicKey, hash: HashAlgorithm): ReturnType<typeof algorithmOf> {
  switch (key.type) {
    case "ecdsa-p256":
      return hash === "sha256" ? algorithmOf("ecdsa", hash, key) : undefined;
    case "ecdsa-p384":
      return hash === "sha384" ? algorithmOf("ecdsa", hash, key) : undefined;
    case "ecdsa-p521":
      return hash === "sha512" ? algorithmOf("ecdsa", hash, key) : undefined;
    case "ed25519":
      return hash === "sha512" ? algorithmOf("ed25519ph", hash, key) : undefined;
    case "rsa":
      return hash === "sha256" && [2048, 3072, 4096].includes(key.modulusBits ?? 0)
        ? algorithmOf("rsa-pkcs1", hash, key)
        : undefined;
    case "rsa-pss":
    case "ml-dsa-44":
    case "ml-dsa-65":
    case "ml-dsa-87":
      return undefined;
  }
}
