/**
 * Keys of services with what they sign.
 *
 * @module
 */

import { createPublicKey, sign, type KeyObject } from "node:crypto";
import { parsePublicKey, type PublicKey } from "../crypto/public-key.ts";
import { newPrivateKey, storedKey, type StoredKeyType } from "./stored-key.ts";
import type { SandboxStore } from "./store.ts";

/** Is a private key at work. */
export interface SigningKey {
  readonly publicKey: PublicKey;
  /** Signs a message, with SHA-256 but for Ed25519. @returns the signature, DER for ECDSA, otherwise raw. */
  sign(message: Uint8Array): Uint8Array;
}

/** Makes a key that nothing keeps. */
export async function newSigningKey(type: StoredKeyType): Promise<SigningKey> {
  return signingKeyOf(await newPrivateKey(type));
}

/** Gives the key with this name in a store, and makes it where there is none yet. */
export async function storedSigningKey(store: SandboxStore, name: string, type: StoredKeyType): Promise<SigningKey> {
  return signingKeyOf(await storedKey(store, name, type));
}

function signingKeyOf(privateKey: KeyObject): SigningKey {
  const hash = privateKey.asymmetricKeyType === "ed25519" ? null : "sha256";
  return {
    publicKey: parsePublicKey(new Uint8Array(createPublicKey(privateKey).export({ format: "der", type: "spki" }))),
    sign: (message) => new Uint8Array(sign(hash, message, privateKey)),
  };
}
