import { tryParseEcdsaSignature } from "./ecdsa-signature.ts";
import { COORDINATE_BYTES, type EcKeyType, type PublicKey } from "./public-key.ts";
import { fitsKey, type SignatureAlgorithm } from "./registry.ts";

/** FIPS 204 table 2 */
const ML_DSA_SIGNATURE_BYTES = { "ml-dsa-44": 2420, "ml-dsa-65": 3309, "ml-dsa-87": 4627 } as const;

/**
 * Reads a signature as numbers of the right length, before any runtime sees it, so that all runtimes refuse the same ones.
 *
 * @returns r and s side by side for ECDSA, otherwise the signature itself; `undefined` when no signature of this algorithm and key
 * looks like that, or when the key is not one of the algorithm.
 * @internal
 */
export function tryReadSignature(
  algorithm: SignatureAlgorithm,
  key: PublicKey,
  signature: Uint8Array,
): Uint8Array | undefined {
  if (!fitsKey(algorithm, key)) return undefined;
  switch (algorithm.scheme) {
    case "ecdsa":
      return tryParseEcdsaSignature(signature, COORDINATE_BYTES[key.type as EcKeyType]);
    case "rsa-pkcs1":
    case "rsa-pss":
      return signature.length === Math.ceil((key.modulusBits ?? 0) / 8) ? signature : undefined; // RFC 8017 §8.1.2, §8.2.2 step 1
    case "ed25519":
    case "ed25519ph":
      return signature.length === 64 ? signature : undefined;
    case "ml-dsa":
      return signature.length === ML_DSA_SIGNATURE_BYTES[key.type as keyof typeof ML_DSA_SIGNATURE_BYTES]
        ? signature
        : undefined;
  }
}
