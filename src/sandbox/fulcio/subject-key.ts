import { createPublicKey, verify, type KeyObject } from "node:crypto";
import { parsePublicKey } from "../../crypto/public-key.ts";
import { tryDecodeBase64Url } from "../../encoding/base64.ts";
import { encodeHex } from "../../encoding/hex.ts";
import { parsePem } from "../../encoding/pem.ts";
import { encodeUtf8, tryDecodeUtf8 } from "../../encoding/utf8.ts";
import { SigstoreError } from "../../errors.ts";
import { ApiError, REFUSAL } from "./api-error.ts";
import { weaknessOf } from "./weak-rsa-key.ts";

/** Is a key that is good enough for a certificate. */
export interface SubjectKey {
  /** SubjectPublicKeyInfo, DER. */
  readonly spki: Uint8Array;
  /** The kind of key by the name that Go has for it. */
  readonly goType: "*rsa.PublicKey" | "*ecdsa.PublicKey" | "ed25519.PublicKey";
  /** What a proof of possession is hashed with; the message itself is signed where `null`. */
  readonly hash: "sha256" | "sha384" | "sha512" | null;
  readonly key: KeyObject;
}

const CURVE_HASHES: Readonly<Record<string, SubjectKey["hash"]>> = {
  prime256v1: "sha256",
  secp384r1: "sha384",
  secp521r1: "sha512",
};
/** Kinds of keys that Fulcio can read; not all of them are good enough. */
const READABLE: ReadonlySet<string> = new Set(["rsa", "ec", "ed25519", "dsa", "x25519"]);

/**
 * Reads the key that a certificate is asked for: PEM, or DER.
 *
 * @throws {@link ApiError}
 */
export function readSubjectKey(content: Uint8Array): SubjectKey {
  let key: KeyObject;
  try {
    key = parseKey(content);
  } catch (error) {
    throw new ApiError("InvalidArgument", REFUSAL.publicKey, error instanceof Error ? error.message : "no key");
  }
  return checkSubjectKey(key);
}

/**
 * Checks that a key may be certified.
 *
 * @throws {@link ApiError}
 * @see {@link https://github.com/sigstore/fulcio/blob/main/docs/certificate-specification.md | Fulcio docs/certificate-specification.md}, "Issued Certificate"
 */
export function checkSubjectKey(key: KeyObject): SubjectKey {
  const weak = (reason: string): ApiError => new ApiError("InvalidArgument", REFUSAL.weakKey, reason);
  const spki = new Uint8Array(key.export({ type: "spki", format: "der" }));
  const type = key.asymmetricKeyType;
  if (type === "rsa") {
    const { n = "", e = "" } = key.export({ format: "jwk" });
    const weakness = weaknessOf(numberOf(n), numberOf(e));
    if (weakness !== undefined) throw weak(weakness);
    return { spki, goType: "*rsa.PublicKey", hash: "sha256", key };
  }
  if (type === "ec") {
    const curve = key.asymmetricKeyDetails?.namedCurve ?? "";
    const hash = CURVE_HASHES[curve];
    if (hash === undefined) throw weak(`ECDSA curve ${curve} not allowed`);
    return { spki, goType: "*ecdsa.PublicKey", hash, key };
  }
  if (type === "ed25519") return { spki, goType: "ed25519.PublicKey", hash: null, key };
  throw weak(`unsupported public key type: ${type ?? "unknown"}`);
}

/**
 * Checks that whoever asks has the private key.
 *
 * @param challenge - What was to be signed, with the default algorithm of the key: PKCS #1 v1.5 for RSA, pure Ed25519.
 * @throws {@link ApiError}
 */
export function checkProofOfPossession(subject: SubjectKey, proof: Uint8Array, challenge: string): void {
  if (verify(subject.hash, encodeUtf8(challenge), subject.key, proof)) return;
  throw new ApiError(
    "InvalidArgument",
    REFUSAL.signature,
    "the proof of possession is not by this key over the challenge",
  );
}

/**
 * Imports a SubjectPublicKeyInfo of a kind that Fulcio can read, whether or not it is good enough.
 *
 * @throws {Error} where it cannot.
 */
export function importSpki(der: Uint8Array): KeyObject {
  const key = createPublicKey({ key: Buffer.from(der), format: "der", type: "spki" });
  const type = key.asymmetricKeyType ?? "";
  if (!READABLE.has(type)) throw new Error("unknown public key algorithm");
  // Other curves are not known, nor points that are compressed; P-224 is, and refused later.
  if (type === "ed25519" || (type === "ec" && key.asymmetricKeyDetails?.namedCurve !== "secp224r1"))
    parsePublicKey(der);
  return key;
}

function parseKey(content: Uint8Array): KeyObject {
  if (content.length === 0) throw new Error("public key not provided");
  const text = tryDecodeUtf8(content);
  if (text?.includes("-----BEGIN") !== true) return importSpki(content);
  let block;
  try {
    [block] = parsePem(text);
  } catch (error) {
    if (!(error instanceof SigstoreError)) throw error;
    throw new Error(error.message, { cause: error });
  }
  if (block?.label === "PUBLIC KEY") return importSpki(block.bytes);
  if (block?.label === "RSA PUBLIC KEY")
    return createPublicKey({ key: Buffer.from(block.bytes), format: "der", type: "pkcs1" });
  throw new Error(`unknown Public key PEM file type: ${block?.label ?? "none"}`);
}

function numberOf(base64Url: string): bigint {
  return BigInt(`0x${encodeHex(tryDecodeBase64Url(base64Url) ?? new Uint8Array(0)) || "0"}`);
}
