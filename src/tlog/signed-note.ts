/**
 * Signed notes: a text with signature lines below it, each naming its key.
 *
 * @module
 */

import type { CryptoProvider } from "../crypto/provider.ts";
import type { PublicKey } from "../crypto/public-key.ts";
import { tryDecodeBase64 } from "../encoding/base64.ts";
import { concatBytes } from "../encoding/bytes.ts";
import { encodeUtf8 } from "../encoding/utf8.ts";
import { FormatError, VerificationError } from "../errors.ts";
import { MAX_SIGNED_NOTE_BYTES, MAX_SIGNED_NOTE_SIGNATURES } from "../limits.ts";

/** Is one signature line. Whether it verifies is not known. */
export interface NoteSignature {
  /** Name of the key, which says nothing without the key id. */
  readonly name: string;
  /** 4 bytes. Short on purpose: it finds a key, it does not authenticate one. */
  readonly keyId: Uint8Array;
  readonly signature: Uint8Array;
}

/** Is a text with at least one signature line. Nothing in it is proven. */
export interface SignedNote {
  /** With its final newline, without the blank line after it. These are the bytes that are signed. */
  readonly text: string;
  readonly signatures: readonly NoteSignature[];
}

const KEY_ID_BYTES = 4;
const LINE_START = "\u2014 "; // em dash, space

/** ASCII control characters but newline. */
const FORBIDDEN_IN_NOTE = /[\0-\t\v-\x1f]/;
const FORBIDDEN_IN_NAME = /[+\p{White_Space}]/u;

/** Signature type identifier bytes of C2SP signed-note. */
export const SignatureType = { ed25519: 0x01, cosignatureEd25519: 0x04, mlDsa: 0x06, other: 0xff } as const;

/**
 * Parses a signed note.
 *
 * @throws {@link FormatError} `SIGNED_NOTE_MALFORMED`, `LIMIT_EXCEEDED`.
 * @see {@link https://c2sp.org/signed-note | C2SP signed-note}, "Format"
 */
export function parseSignedNote(envelope: string): SignedNote {
  if (envelope.length > MAX_SIGNED_NOTE_BYTES) {
    throw new FormatError("LIMIT_EXCEEDED", `signed note has more than ${MAX_SIGNED_NOTE_BYTES} characters`);
  }
  if (FORBIDDEN_IN_NOTE.test(envelope)) throw malformed("holds a control character");
  if (!envelope.isWellFormed()) throw malformed("has a lone surrogate, so it is not Unicode text");
  if (!envelope.endsWith("\n")) throw malformed("does not end in a newline");
  const blankLine = envelope.lastIndexOf("\n\n");
  if (blankLine === -1) throw malformed("has no blank line before its signatures");
  const lines = envelope.slice(blankLine + 2, -1).split("\n");
  if (lines.length > MAX_SIGNED_NOTE_SIGNATURES) {
    throw new FormatError("LIMIT_EXCEEDED", `signed note has more than ${MAX_SIGNED_NOTE_SIGNATURES} signatures`);
  }
  return { text: envelope.slice(0, blankLine + 1), signatures: lines.map(parseSignatureLine) };
}

function parseSignatureLine(line: string): NoteSignature {
  const space = line.indexOf(" ", LINE_START.length);
  if (!line.startsWith(LINE_START) || space === -1)
    throw malformed("has a line that is not a signature after its last blank line");
  const name = line.slice(LINE_START.length, space);
  if (!isKeyName(name)) throw malformed(`has a signature by ${abridge(name)}, which is no key name`);
  const bytes = tryDecodeBase64(line.slice(space + 1));
  if (bytes === undefined) throw malformed(`has a signature by ${abridge(name)} that is not base64`);
  if (bytes.length <= KEY_ID_BYTES) throw malformed(`has an empty signature by ${abridge(name)}`);
  return { name, keyId: bytes.subarray(0, KEY_ID_BYTES), signature: bytes.subarray(KEY_ID_BYTES) };
}

/** Tells whether a text can be the name of a key: not empty, no Unicode space, no plus. */
export function isKeyName(name: string): boolean {
  return name !== "" && name.isWellFormed() && !FORBIDDEN_IN_NAME.test(name) && !FORBIDDEN_IN_NOTE.test(name);
}

/**
 * Computes the key id under which a key signs a checkpoint of its own log.
 *
 * @throws {@link VerificationError} `ALGORITHM_UNSUPPORTED` for a key type that has no key id.
 * @see {@link https://c2sp.org/signed-note | C2SP signed-note}, "Signatures"; the form for RSA is that of Rekor v2
 */
export async function noteKeyId(name: string, key: PublicKey, crypto: CryptoProvider): Promise<Uint8Array> {
  return (await noteKeyHash(name, key, crypto)).subarray(0, KEY_ID_BYTES);
}

/**
 * Computes the hash that a key id begins, 32 bytes: what Rekor v2, and the trusted root for it, call the id of the log.
 *
 * @throws as {@link noteKeyId}.
 */
export async function noteKeyHash(name: string, key: PublicKey, crypto: CryptoProvider): Promise<Uint8Array> {
  const input = keyIdInput(name, key);
  if (input === undefined)
    throw new VerificationError("ALGORITHM_UNSUPPORTED", `key of type ${key.type} cannot sign a note`);
  return await crypto.digest("sha256", input);
}

/** Computes the key id for a signature type that C2SP assigned a byte. */
export async function keyIdOfType(
  name: string,
  type: number,
  keyBytes: Uint8Array,
  crypto: CryptoProvider,
): Promise<Uint8Array> {
  return (await crypto.digest("sha256", typedKey(name, type, keyBytes))).subarray(0, KEY_ID_BYTES);
}

function keyIdInput(name: string, key: PublicKey): Uint8Array | undefined {
  switch (key.type) {
    case "ed25519":
      return typedKey(name, SignatureType.ed25519, key.keyBytes);
    case "ecdsa-p256":
    case "ecdsa-p384":
    case "ecdsa-p521":
      return key.spki; // type 0x02: the name does not enter it
    case "rsa":
      return typedKey(name, SignatureType.other, concatBytes(encodeUtf8("PKIX-RSA-PKCS#1v1.5"), key.spki));
    case "ml-dsa-44":
    case "ml-dsa-65":
    case "ml-dsa-87":
      return typedKey(name, SignatureType.mlDsa, key.keyBytes);
    case "rsa-pss":
      return undefined;
  }
}

function typedKey(name: string, type: number, keyBytes: Uint8Array): Uint8Array {
  return concatBytes(encodeUtf8(`${name}\n`), Uint8Array.of(type), keyBytes);
}

/** Writes a name that is not trusted, for a message. */
function abridge(name: string): string {
  return JSON.stringify(name.length > 100 ? `${name.slice(0, 100)}…` : name);
}

function malformed(detail: string): FormatError {
  return new FormatError("SIGNED_NOTE_MALFORMED", `signed note ${detail}`);
}
