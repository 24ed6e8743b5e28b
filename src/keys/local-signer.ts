/**
 * Signers whose private key is in this process.
 *
 * Each signature is verified before it is handed out. That costs less than the signature itself for RSA and about the same for the
 * curves, and a signature that a faulty machine made can give a private key away.
 *
 * @module
 */

import type { KeyObject } from "node:crypto";

import { DIGEST_LENGTH } from "../crypto/digest.ts";
import { loadEd25519Prehashed } from "../crypto/prehash.ts";
import { defaultCryptoProvider } from "../crypto/provider.ts";
import { COORDINATE_BYTES, parsePublicKey, type EcKeyType, type PublicKey } from "../crypto/public-key.ts";
import type { SignatureAlgorithm } from "../crypto/registry.ts";
import { tryDecodeBase64Url } from "../encoding/base64.ts";
import { SigstoreError, VerificationError } from "../errors.ts";
import { signRsaDigest } from "./rsa-digest.ts";
import type { Signer } from "./signer.ts";
import { chooseSigningAlgorithm, type AlgorithmChoice } from "./signing-algorithm.ts";

const crypto = process.getBuiltinModule("node:crypto");

/**
 * Makes a signer of a private key of node:crypto.
 *
 * ECDSA and Ed25519ph over a digest use `@noble/curves`, which is loaded then; everything else is node:crypto's.
 *
 * @throws InputError `USAGE_INVALID`, VerificationError `ALGORITHM_UNSUPPORTED`, FormatError `PUBLIC_KEY_MALFORMED` for a key that
 * cannot sign, or not with what is chosen.
 * @internal
 */
export function createLocalSigner(privateKey: KeyObject, choice: AlgorithmChoice = {}): Signer {
  const publicKey = publicKeyOf(privateKey);
  const algorithm = chooseSigningAlgorithm(publicKey, choice);
  const { hash } = algorithm;
  const provider = defaultCryptoProvider();
  if (hash === undefined) {
    return {
      publicKey,
      algorithm,
      sign: (message, signal) =>
        checked(
          () => signMessage(privateKey, algorithm, message),
          (signature) => provider.verify(algorithm, publicKey, signature, message),
          signal,
        ),
    };
  }
  const signDigestChecked = (digest: Uint8Array, signal?: AbortSignal): Promise<Uint8Array> =>
    checked(
      () => signDigest(privateKey, publicKey, algorithm, digest),
      (signature) => provider.verifyDigest(algorithm, publicKey, signature, digest),
      signal,
    );
  return {
    publicKey,
    algorithm,
    sign: async (message, signal) =>
      algorithm.scheme === "ed25519ph"
        ? await signDigestChecked(await provider.digest(hash, message), signal)
        : await checked(
            () => signMessage(privateKey, algorithm, message),
            (signature) => provider.verify(algorithm, publicKey, signature, message),
            signal,
          ),
    signDigest: async (digest, signal) => {
      if (digest.length !== DIGEST_LENGTH[hash])
        throw new TypeError(`a digest of ${hash} has ${DIGEST_LENGTH[hash]} bytes, not ${digest.length}`);
      return await signDigestChecked(digest, signal);
    },
  };
}

/**
 * Reads the public key that stands beside a private key, or follows from it.
 *
 * @throws FormatError `PUBLIC_KEY_MALFORMED`, VerificationError `ALGORITHM_UNSUPPORTED`.
 * @internal
 */
export function publicKeyOf(privateKey: KeyObject): PublicKey {
  const spki = crypto.createPublicKey(privateKey).export({ format: "der", type: "spki" });
  return parsePublicKey(Uint8Array.from(spki));
}

async function checked(
  sign: () => Promise<Uint8Array>,
  verify: (signature: Uint8Array) => boolean | Promise<boolean>,
  signal: AbortSignal | undefined,
): Promise<Uint8Array> {
  signal?.throwIfAborted();
  const signature = await sign();
  if (await verify(signature)) return signature;
  throw new VerificationError(
    "SIGNATURE_INVALID",
    "the signature that was just made does not verify, and is thrown away",
    {
      remedy: "check that the private key belongs to its public key; if it does, distrust the machine",
    },
  );
}

async function signMessage(
  privateKey: KeyObject,
  algorithm: SignatureAlgorithm,
  message: Uint8Array,
): Promise<Uint8Array> {
  const { RSA_PKCS1_PSS_PADDING: padding, RSA_PSS_SALTLEN_DIGEST: saltLength } = crypto.constants;
  const key = algorithm.scheme === "rsa-pss" ? { key: privateKey, padding, saltLength } : privateKey;
  const signature = await new Promise<Uint8Array>((resolve, reject) => {
    crypto.sign(algorithm.hash ?? null, message, key, (error, made) => {
      if (error === null) resolve(made);
      else reject(error);
    });
  }).catch((cause: unknown) => {
    throw cannotSign(algorithm, cause);
  });
  return Uint8Array.from(signature);
}

async function signDigest(
  privateKey: KeyObject,
  publicKey: PublicKey,
  algorithm: SignatureAlgorithm,
  digest: Uint8Array,
): Promise<Uint8Array> {
  try {
    switch (algorithm.scheme) {
      case "rsa-pkcs1":
      case "rsa-pss":
        return signRsaDigest(privateKey, publicKey, algorithm, digest);
      case "ecdsa":
        return await signEcdsaDigest(privateKey, publicKey.type as EcKeyType, digest);
      case "ed25519ph":
        return (await loadEd25519Prehashed()).sign(digest, secretNumber(privateKey, 32));
      case "ed25519":
      case "ml-dsa":
        throw new TypeError(`${algorithm.name} signs no digests`);
    }
  } catch (cause) {
    if (cause instanceof SigstoreError || cause instanceof TypeError) throw cause;
    throw cannotSign(algorithm, cause);
  }
}

async function signEcdsaDigest(privateKey: KeyObject, type: EcKeyType, digest: Uint8Array): Promise<Uint8Array> {
  const { p256, p384, p521 } = await import("@noble/curves/nist.js");
  const curve = { "ecdsa-p256": p256, "ecdsa-p384": p384, "ecdsa-p521": p521 }[type];
  return curve.sign(digest, secretNumber(privateKey, COORDINATE_BYTES[type]), {
    prehash: false,
    lowS: false,
    format: "der",
    extraEntropy: true, // RFC 6979 §3.6: fresh randomness beside the key, so that no fault shows twice in the same place
  });
}

/** Takes the scalar of an EC key, or the seed of an Ed25519 key, out of it: `d` of RFC 7518 §6.2.2.1 and RFC 8037 §2. */
function secretNumber(privateKey: KeyObject, length: number): Uint8Array {
  const bytes = tryDecodeBase64Url(privateKey.export({ format: "jwk" }).d ?? "");
  if (bytes === undefined || bytes.length > length) throw new TypeError("node:crypto exports a key in another form");
  const padded = new Uint8Array(length);
  padded.set(bytes, length - bytes.length);
  return padded;
}

/** Says nothing of the cause: it could hold what was signed with. */
function cannotSign(algorithm: SignatureAlgorithm, cause: unknown): VerificationError {
  return new VerificationError(
    "ALGORITHM_UNSUPPORTED",
    `could not sign with ${algorithm.name}: this runtime's node:crypto refuses the key or the algorithm`,
    { cause },
  );
}
