/**
 * Cosignatures: what witnesses say about a checkpoint, so that a log cannot show different trees to different people.
 *
 * @module
 */

import { encodeBitString, encodeOid, encodeSequence } from "../asn1/writer.ts";
import type { CryptoProvider } from "../crypto/provider.ts";
import { parsePublicKey, type PublicKey } from "../crypto/public-key.ts";
import { defaultAlgorithm } from "../crypto/registry.ts";
import { tryDecodeBase64 } from "../encoding/base64.ts";
import { equalBytes } from "../encoding/bytes.ts";
import { encodeHex, tryDecodeHex } from "../encoding/hex.ts";
import { encodeUtf8 } from "../encoding/utf8.ts";
import { FormatError, VerificationError } from "../errors.ts";
import { parseCheckpoint } from "./checkpoint.ts";
import { tryEncodeCosignedMessage, trySplitTimestampedSignature } from "./cosigned-message.ts";
import { isKeyName, keyIdOfType, SignatureType, type NoteSignature, type SignedNote } from "./signed-note.ts";

/** Is the key of a witness that is trusted. */
export interface WitnessKey {
  readonly name: string;
  readonly publicKey: PublicKey;
  /** 4 bytes, for the signature type that the type of the key implies. */
  readonly keyId: Uint8Array;
  readonly operator?: string;
}

/** Says that a witness saw the tree head as part of one consistent log. */
export interface VerifiedCosignature {
  /** The witness's name. A witness with two keys may be named twice. */
  readonly witness: string;
  /** When, by the witness's own clock. */
  readonly time: Date;
}

/** RFC 8410 §3 and RFC 9881 §2; the raw key lengths are those of RFC 8032 and FIPS 204. */
const COSIGNATURE_KEYS: ReadonlyMap<number, { readonly oid: string; readonly keyBytes: number }> = new Map([
  [SignatureType.cosignatureEd25519, { oid: "1.3.101.112", keyBytes: 32 }],
  [SignatureType.mlDsa, { oid: "2.16.840.1.101.3.4.3.17", keyBytes: 1312 }],
]);

/** A `Date` cannot tell later times. */
const LAST_SECOND = 253_402_300_799n;

/**
 * Parses the verifier key of a witness: `<name>+<key id, 8 hex digits>+<base64 of signature type and public key>`.
 *
 * @throws {@link FormatError} `COSIGNATURE_MALFORMED`, also for a key that makes signatures other than cosignatures.
 * @throws {@link VerificationError} `ALGORITHM_UNSUPPORTED` where this runtime cannot verify with the key, which is better known now.
 * @see {@link https://c2sp.org/tlog-cosignature | C2SP tlog-cosignature}, "Format"
 */
export async function parseWitnessKey(vkey: string, crypto: CryptoProvider): Promise<WitnessKey> {
  // The base64 may hold a plus too, so only the first two separate.
  const nameEnd = vkey.indexOf("+");
  const idEnd = vkey.indexOf("+", nameEnd + 1);
  if (nameEnd === -1 || idEnd === -1) throw malformed("witness key is not of the form name+id+key");
  const name = vkey.slice(0, nameEnd);
  if (!isKeyName(name)) throw malformed("witness key has no name");
  const keyId = tryDecodeHex(vkey.slice(nameEnd + 1, idEnd));
  if (keyId?.length !== 4) throw malformed(`witness key of ${name} has a key id that is not 8 hex digits`);
  const typed = tryDecodeBase64(vkey.slice(idEnd + 1));
  const [type] = typed ?? [];
  if (typed === undefined || type === undefined) throw malformed(`witness key of ${name} has a key that is not base64`);

  const kind = COSIGNATURE_KEYS.get(type);
  if (kind === undefined) {
    throw malformed(`witness key of ${name} is not for cosignatures`, "signature type 4 or 6", `${type}`);
  }
  const raw = typed.subarray(1);
  if (raw.length !== kind.keyBytes) {
    throw malformed(`witness key of ${name} has the wrong length`, `${kind.keyBytes} bytes`, `${raw.length}`);
  }
  const computed = await keyIdOfType(name, type, raw, crypto);
  if (!equalBytes(computed, keyId)) {
    throw malformed(
      `witness key of ${name} has the key id of another key or name`,
      encodeHex(computed),
      encodeHex(keyId),
    );
  }
  const publicKey = parsePublicKey(encodeSequence(encodeSequence(encodeOid(kind.oid)), encodeBitString(raw)));
  const algorithm = defaultAlgorithm(publicKey);
  if (!(await crypto.supports(algorithm))) {
    throw new VerificationError(
      "ALGORITHM_UNSUPPORTED",
      `this runtime cannot verify the ${algorithm.name} cosignatures of ${name}`,
    );
  }
  return { name, publicKey, keyId };
}

/**
 * Verifies every cosignature that a known witness made on a checkpoint. Lines of anyone else are ignored, whatever they are.
 *
 * How many witnesses are enough is not checked here, and neither is the log's own signature: see `verifyCheckpoint`.
 *
 * @returns one entry for each line of a witness; none for a cosignature without a time, which does not say that the tree is the
 * latest that the witness saw.
 * @throws {@link VerificationError} `COSIGNATURE_INVALID` where a line of a known witness does not hold, `ALGORITHM_UNSUPPORTED`.
 * @throws {@link FormatError} `CHECKPOINT_MALFORMED`.
 * @see {@link https://c2sp.org/tlog-cosignature | C2SP tlog-cosignature}
 */
export async function verifyCosignatures(
  note: SignedNote,
  witnesses: readonly WitnessKey[],
  crypto: CryptoProvider,
): Promise<readonly VerifiedCosignature[]> {
  const verified: VerifiedCosignature[] = [];
  for (const line of note.signatures) {
    const witness = witnesses.find(({ name, keyId }) => name === line.name && equalBytes(keyId, line.keyId));
    if (witness === undefined) continue;
    const timestamp = await verifyLine(line, witness, note.text, crypto);
    if (timestamp > 0n) verified.push({ witness: witness.name, time: new Date(Number(timestamp) * 1000) });
  }
  return verified;
}

async function verifyLine(
  line: NoteSignature,
  witness: WitnessKey,
  text: string,
  crypto: CryptoProvider,
): Promise<bigint> {
  const stamped = trySplitTimestampedSignature(line.signature);
  if (stamped === undefined || stamped.timestamp > LAST_SECOND) throw invalid(witness, "has no timestamp");
  const { timestamp, signature } = stamped;
  const message = encodeMessage(witness, text, timestamp);
  if (message === undefined) throw invalid(witness, "cannot be about this checkpoint");
  if (!(await crypto.verify(defaultAlgorithm(witness.publicKey), witness.publicKey, signature, message))) {
    throw invalid(witness, "does not verify");
  }
  return timestamp;
}

function encodeMessage(witness: WitnessKey, text: string, timestamp: bigint): Uint8Array | undefined {
  const checkpoint = parseCheckpoint(text);
  return witness.publicKey.type === "ed25519"
    ? encodeUtf8(`cosignature/v1\ntime ${timestamp}\n${text}`)
    : tryEncodeCosignedMessage(checkpoint, witness.name, timestamp);
}

function malformed(problem: string, expected?: string, found?: string): FormatError {
  return new FormatError("COSIGNATURE_MALFORMED", problem, { expected, found });
}

function invalid(witness: WitnessKey, problem: string): VerificationError {
  return new VerificationError("COSIGNATURE_INVALID", `cosignature of ${witness.name} ${problem}`);
}
