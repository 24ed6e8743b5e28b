import { FormatError, VerificationError } from "../errors.ts";
import { concatBytes } from "../encoding/bytes.ts";
import { encodeUtf8 } from "../encoding/utf8.ts";
import { DIGEST_LENGTH, type HashAlgorithm } from "./digest.ts";
import type { MaybePromise } from "./provider.ts";
import type { EcKeyType, PublicKey } from "./public-key.ts";
import type { SignatureAlgorithm } from "./registry.ts";
import { verifyPkcs1Digest, verifyPssDigest } from "./rsa-prehash.ts";
import { tryReadSignature } from "./signature-shape.ts";

/**
 * Verifies a signature when only the digest of the message is at hand, which no runtime does by itself.
 *
 * @param digestOf - Hashes what PSS needs hashed.
 * @throws {@link FormatError} `PUBLIC_KEY_MALFORMED`.
 * @throws {@link VerificationError} `DIGEST_ONLY_UNSUPPORTED` where the algorithm signs the message itself.
 * @internal
 */
export async function verifyPrehashed(
  algorithm: SignatureAlgorithm,
  key: PublicKey,
  signature: Uint8Array,
  digest: Uint8Array,
  digestOf: (algorithm: HashAlgorithm, data: Uint8Array) => MaybePromise<Uint8Array>,
): Promise<boolean> {
  const { hash, scheme } = algorithm;
  if (hash === undefined) {
    throw new VerificationError(
      "DIGEST_ONLY_UNSUPPORTED",
      `a signature of ${algorithm.name} cannot be verified from a digest alone`,
      {
        expected: "the message itself",
        found: "a digest",
      },
    );
  }
  const raw = tryReadSignature(algorithm, key, signature);
  if (raw === undefined || digest.length !== DIGEST_LENGTH[hash]) return false;
  switch (scheme) {
    case "rsa-pkcs1":
      return verifyPkcs1Digest(hash, key, raw, digest);
    case "rsa-pss":
      return verifyPssDigest(hash, key, raw, digest, digestOf);
    case "ecdsa":
      return verifyEcdsaDigest(key, raw, digest);
    case "ed25519ph":
      return verifyEd25519Digest(key, raw, digest);
    case "ed25519":
    case "ml-dsa":
      return false; // they have no hash
  }
}

async function verifyEcdsaDigest(key: PublicKey, raw: Uint8Array, digest: Uint8Array): Promise<boolean> {
  const { p256, p384, p521 } = await import("@noble/curves/nist.js");
  const curve = { "ecdsa-p256": p256, "ecdsa-p384": p384, "ecdsa-p521": p521 }[key.type as EcKeyType];
  try {
    curve.Point.fromBytes(key.keyBytes);
  } catch (cause) {
    throw new FormatError("PUBLIC_KEY_MALFORMED", `public key is not a point of ${key.type}`, { cause });
  }
  try {
    return curve.verify(raw, digest, key.keyBytes, { prehash: false, lowS: false, format: "compact" });
  } catch {
    return false; // r or s out of range
  }
}

/** RFC 8032 §2: dom2(x, y) with x = 1 for the prehashed variant and an empty context y. */
const DOM2 = concatBytes(encodeUtf8("SigEd25519 no Ed25519 collisions"), Uint8Array.of(1, 0));

async function verifyEd25519Digest(key: PublicKey, signature: Uint8Array, digest: Uint8Array): Promise<boolean> {
  return (await loadEd25519Prehashed()).verify(signature, digest, key.keyBytes, { zip215: false });
}

/**
 * Loads Ed25519ph as a scheme over the SHA-512 of a message in place of the message.
 *
 * @internal
 */
export async function loadEd25519Prehashed(): Promise<Ed25519Prehashed> {
  const [{ ed25519 }, { eddsa }, { sha512 }] = await Promise.all([
    import("@noble/curves/ed25519.js"),
    import("@noble/curves/abstract/edwards.js"),
    import("@noble/hashes/sha2.js"),
  ]);
  // Ed25519ph as the library has it hashes the message itself; ours is hashed already.
  return eddsa(ed25519.Point, sha512, {
    domain: (data: Uint8Array) => concatBytes(DOM2, data),
    adjustScalarBytes: clamp,
  });
}

/** RFC 8032 §5.1.5 step 2, of which the library says nothing where a scheme is put together: only signing needs it. */
function clamp(scalar: Uint8Array): Uint8Array {
  scalar[0] = (scalar[0] as number) & 0xf8;
  scalar[31] = ((scalar[31] as number) & 0x7f) | 0x40;
  return scalar;
}

/** Is what is used of the library's scheme. */
interface Ed25519Prehashed {
  sign(digest: Uint8Array, seed: Uint8Array): Uint8Array;
  verify(
    signature: Uint8Array,
    digest: Uint8Array,
    publicKey: Uint8Array,
    options: { readonly zip215: false },
  ): boolean;
}
