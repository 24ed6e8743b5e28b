/**
 * `cosign-ts/keys`: generates, imports and loads private keys, and signs with them.
 *
 * @module
 */

export type { HashAlgorithm } from "../crypto/digest.ts";
export type { PublicKey, PublicKeyType } from "../crypto/public-key.ts";
export type { SignatureAlgorithm } from "../crypto/registry.ts";
export type { CryptoProvider, MaybePromise, StreamingDigest } from "../crypto/provider.ts";
export { publicKeyHint } from "../crypto/public-key-hint.ts";
export { FormatError, InputError, ServiceError, SigstoreError, VerificationError } from "../errors.ts";
export type { Fetch } from "../http/request.ts";
export { generateKeyPair, generateSigner } from "./generate.ts";
export type { KeyReferenceOptions } from "./key-reference.ts";
export { loadSigner, type LoadSignerOptions } from "./load-signer.ts";
export type { Password, PasswordSource } from "./password.ts";
export { changePassword, importKeyPair, readPrivateKey, type KeyPair, type PrivateKeyOptions } from "./private-key.ts";
export type { Signer } from "./signer.ts";
export { DEFAULT_SIGNING_ALGORITHM, SIGNING_ALGORITHMS, type AlgorithmChoice } from "./signing-algorithm.ts";
