/**
 * Private keys that the sandbox makes for its services, and keeps.
 *
 * @module
 */

import { createPrivateKey, generateKeyPair, type KeyObject } from "node:crypto";
import { promisify } from "node:util";
import { encodeUtf8 } from "../encoding/utf8.ts";
import type { SandboxStore } from "./store.ts";

/** Is a kind of key that the sandbox makes for its services. */
export type StoredKeyType = "p256" | "p384" | "rsa2048" | "ed25519";

const generate = promisify(generateKeyPair);

/**
 * Gives the private key with this name, and makes it where there is none yet.
 *
 * @param name - The name of a file in the store: PKCS #8 in PEM, without a password, as nothing outside the sandbox trusts the key.
 */
export async function storedKey(store: SandboxStore, name: string, type: StoredKeyType): Promise<KeyObject> {
  const pem = store.read(name);
  if (pem !== undefined) return createPrivateKey(Buffer.from(pem));
  const privateKey = await newPrivateKey(type);
  store.write(name, encodeUtf8(privateKey.export({ type: "pkcs8", format: "pem" })));
  return privateKey;
}

/** Makes a private key that nothing keeps. */
export async function newPrivateKey(type: StoredKeyType): Promise<KeyObject> {
  switch (type) {
    case "p256":
      return (await generate("ec", { namedCurve: "P-256" })).privateKey;
    case "p384":
      return (await generate("ec", { namedCurve: "P-384" })).privateKey;
    case "rsa2048":
      return (await generate("rsa", { modulusLength: 2048 })).privateKey;
    case "ed25519":
      return (await generate("ed25519")).privateKey;
  }
}
