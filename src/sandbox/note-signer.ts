/**
 * Signs checkpoints, as logs and witnesses do.
 *
 * @module
 */

import { hash } from "node:crypto";
import { encodeBase64 } from "../encoding/base64.ts";
import { concatBytes, encodeUint64 } from "../encoding/bytes.ts";
import { encodeUtf8 } from "../encoding/utf8.ts";
import { SignatureType } from "../tlog/signed-note.ts";
import type { SigningKey } from "./signing-key.ts";

const KEY_ID_BYTES = 4;

/** Makes the signature lines of one key under one name. */
export interface NoteSigner {
  readonly name: string;
  /** The hash whose first four bytes are the key id: for a log of Rekor v2, its log id. */
  readonly keyHash: Uint8Array;
  /**
   * Signs a note.
   *
   * @param text - With its final newline.
   * @returns a signature line with its newline.
   */
  sign(text: string): string;
}

/** Names the parts of a checkpoint. */
export interface TreeHead {
  readonly size: number;
  readonly rootHash: Uint8Array;
}

/**
 * Writes the text of a checkpoint.
 *
 * @param extensions - Further lines, without newlines.
 * @see {@link https://c2sp.org/tlog-checkpoint | C2SP tlog-checkpoint}, "Note text"
 */
export function encodeCheckpoint(origin: string, head: TreeHead, extensions: readonly string[] = []): string {
  return [origin, `${head.size}`, encodeBase64(head.rootHash), ...extensions, ""].join("\n");
}

/** Puts a text and its signature lines together. */
export function encodeNote(text: string, ...lines: readonly string[]): string {
  return `${text}\n${lines.join("")}`;
}

/**
 * Signs with Ed25519 as logs of Rekor v2 do.
 *
 * @see {@link https://c2sp.org/signed-note | C2SP signed-note}, "Signatures", type 0x01
 */
export function createNoteSigner(name: string, key: SigningKey): NoteSigner {
  const keyHash = typedKeyHash(name, SignatureType.ed25519, key);
  return { name, keyHash, sign: (text) => signatureLine(name, keyHash, key.sign(encodeUtf8(text))) };
}

/** Makes lines that pass for another's until they are verified: under its name and its key id, with a key of one's own. */
export function impersonate({ name, keyHash }: NoteSigner, key: SigningKey): NoteSigner {
  return { name, keyHash, sign: (text) => signatureLine(name, keyHash, key.sign(encodeUtf8(text))) };
}

/** Signs as logs of Rekor v1 do: the key id is the beginning of the key's SHA-256, whatever the name. */
export function createRekorV1Signer(name: string, key: SigningKey): NoteSigner {
  const keyHash = new Uint8Array(hash("sha256", key.publicKey.spki, "buffer"));
  return { name, keyHash, sign: (text) => signatureLine(name, keyHash, key.sign(encodeUtf8(text))) };
}

/**
 * Cosigns with Ed25519 as witnesses do.
 *
 * @param now - The witness's own clock, whose seconds are in the cosignature.
 * @see {@link https://c2sp.org/tlog-cosignature | C2SP tlog-cosignature}, "Ed25519 signed message"
 */
export function createCosigner(name: string, key: SigningKey, now: () => Date): NoteSigner & { readonly vkey: string } {
  const keyHash = typedKeyHash(name, SignatureType.cosignatureEd25519, key);
  const keyId = keyHash.subarray(0, KEY_ID_BYTES);
  const typedKey = concatBytes(Uint8Array.of(SignatureType.cosignatureEd25519), key.publicKey.keyBytes);
  return {
    name,
    keyHash,
    vkey: `${name}+${Buffer.from(keyId).toString("hex")}+${encodeBase64(typedKey)}`,
    sign(text) {
      const seconds = BigInt(Math.floor(now().getTime() / 1000));
      const signature = key.sign(encodeUtf8(`cosignature/v1\ntime ${seconds}\n${text}`));
      return signatureLine(name, keyHash, concatBytes(encodeUint64(seconds), signature));
    },
  };
}

function signatureLine(name: string, keyHash: Uint8Array, signature: Uint8Array): string {
  return `\u2014 ${name} ${encodeBase64(concatBytes(keyHash.subarray(0, KEY_ID_BYTES), signature))}\n`;
}

function typedKeyHash(name: string, type: number, key: SigningKey): Uint8Array {
  const input = concatBytes(encodeUtf8(`${name}\n`), Uint8Array.of(type), key.publicKey.keyBytes);
  return new Uint8Array(hash("sha256", input, "buffer"));
}
