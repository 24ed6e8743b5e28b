/**
 * What the bodies of Rekor v2 have in common: proto-JSON in canonical form, with the algorithm of the signature.
 *
 * @module
 */

import { DIGEST_LENGTH, type Digest, type HashAlgorithm } from "../../crypto/digest.ts";
import type { CryptoProvider } from "../../crypto/provider.ts";
import { algorithmForKeyDetails, fitsKey, type SignatureAlgorithm } from "../../crypto/registry.ts";
import { encodeBase64 } from "../../encoding/base64.ts";
import { encodeCanonicalJson } from "../../encoding/canonical-json.ts";
import type { JsonObject } from "../../encoding/json.ts";
import type { JsonReader } from "../../encoding/json-reader.ts";
import { tryDecodeUtf8 } from "../../encoding/utf8.ts";
import { MAX_CERTIFICATE_BYTES, MAX_SIGNATURE_BYTES } from "../../limits.ts";
import { parseCertificate } from "../../x509/certificate.ts";
import type { EntryExpectation } from "../entry-body.ts";
import { mismatch, verifySameSignature, verifySameVerifier, type EntryVerifier } from "./comparison.ts";

/** Is a `Signature` message of Rekor v2. */
export interface SignatureV2 {
  readonly content: Uint8Array;
  readonly verifier: EntryVerifier;
  /** `PublicKeyDetails` by name. */
  readonly keyDetails: string;
}

const ALGORITHMS = { SHA2_256: "sha256", SHA2_384: "sha384", SHA2_512: "sha512" } as const;
const ALGORITHM_NAMES = { sha256: "SHA2_256", sha384: "SHA2_384", sha512: "SHA2_512" } as const;

/** Reads a `HashOutput`. */
export function readHashOutput(reader: JsonReader): Digest {
  const output = reader.object(["algorithm", "digest"]);
  const algorithm: HashAlgorithm =
    ALGORITHMS[output.required("algorithm").oneOf(["SHA2_256", "SHA2_384", "SHA2_512"] as const)];
  const digest = output.required("digest");
  const value = digest.base64();
  if (value.length !== DIGEST_LENGTH[algorithm]) digest.fail(`is not a ${algorithm} digest`);
  return { algorithm, value };
}

/** Reads a `Signature` with its `Verifier`. */
export function readSignatureV2(reader: JsonReader): SignatureV2 {
  const signature = reader.object(["content", "verifier"]);
  const verifier = signature.required("verifier").object(["keyDetails", "publicKey", "x509Certificate"]);
  const isCertificate = verifier.has("x509Certificate");
  if (isCertificate === verifier.has("publicKey")) reader.fail("has to have either a certificate or a public key");
  const raw = verifier
    .required(isCertificate ? "x509Certificate" : "publicKey")
    .object(["rawBytes"])
    .required("rawBytes");
  return {
    content: signature.required("content").base64(MAX_SIGNATURE_BYTES),
    verifier: { kind: isCertificate ? "certificate" : "public-key", der: raw.base64(MAX_CERTIFICATE_BYTES) },
    keyDetails: verifier.required("keyDetails").string(),
  };
}

/**
 * Verifies that a signature of an entry is the bundle's, made by the bundle's signer with the algorithm that the entry names.
 *
 * @returns that algorithm.
 */
export async function verifySignatureV2(
  { content, verifier, keyDetails }: SignatureV2,
  expected: EntryExpectation,
  crypto: CryptoProvider,
): Promise<SignatureAlgorithm> {
  verifySameSignature(content, expected);
  await verifySameVerifier(verifier, expected.verifier, crypto);
  const algorithm = algorithmForKeyDetails(keyDetails);
  if (algorithm === undefined || !isAlgorithmOf(algorithm, expected)) {
    const used = expected.keyAlgorithm;
    throw mismatch(
      "signature algorithm",
      used?.keyDetails ?? used?.name ?? "one that fits the key",
      keyDetails.slice(0, 100),
    );
  }
  return algorithm;
}

function isAlgorithmOf(algorithm: SignatureAlgorithm, { keyAlgorithm, verifier }: EntryExpectation): boolean {
  if (keyAlgorithm === algorithm) return true; // with which the signature verified, so it fits the key
  if (
    keyAlgorithm !== undefined &&
    (algorithm.scheme !== keyAlgorithm.scheme || algorithm.hash !== keyAlgorithm.hash)
  ) {
    return false;
  }
  return fitsKey(algorithm, verifier.kind === "certificate" ? parseCertificate(verifier.der).publicKey : verifier.key);
}

/** Writes a `HashOutput`, fields in canonical order. */
export function hashOutputJson({ algorithm, value }: Digest): JsonObject {
  return { algorithm: ALGORITHM_NAMES[algorithm], digest: encodeBase64(value) };
}

/** Writes the `Signature` that a bundle leads to. The key details alone come from the entry: the bundle does not have them. */
export function signatureJson({ signature, verifier }: EntryExpectation, keyDetails: string): JsonObject {
  const key: JsonObject =
    verifier.kind === "certificate"
      ? { x509Certificate: { rawBytes: encodeBase64(verifier.der) } }
      : { publicKey: { rawBytes: encodeBase64(verifier.key.spki) } };
  return { content: encodeBase64(signature), verifier: { keyDetails, ...key } };
}

/**
 * Verifies that the body is, byte for byte, the canonical form of what the bundle leads to. So the leaf hash of the inclusion proof is
 * that of the bundle, and of nothing else that JSON could hide.
 *
 * @see rekor-v2-spec §6.1.1; RFC 8785
 */
export function verifyRebuiltBody(kind: string, spec: JsonObject, body: Uint8Array): void {
  const rebuilt = encodeCanonicalJson({ apiVersion: "0.0.2", kind, spec });
  // Text is compared, not bytes, which is quicker: well-formed UTF-8 is one to one with it.
  if (tryDecodeUtf8(body) !== rebuilt) throw mismatch("encoding", "RFC 8785 canonical JSON", "other JSON");
}
