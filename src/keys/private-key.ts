/**
 * Private keys in PEM: read, and written encrypted as cosign does.
 *
 * @module
 */

import type { KeyObject } from "node:crypto";

import { parseDer, Tag } from "../asn1/der.ts";
import { OID } from "../asn1/oids.ts";
import type { PublicKey } from "../crypto/public-key.ts";
import { encodePem, parsePem, type PemBlock } from "../encoding/pem.ts";
import { tryDecodeUtf8 } from "../encoding/utf8.ts";
import { FormatError, SigstoreError, VerificationError } from "../errors.ts";
import { MAX_KEY_FILE_BYTES } from "../limits.ts";
import {
  decryptKey,
  ENCRYPTED_KEY_LABEL,
  encryptKey,
  OLD_ENCRYPTED_KEY_LABEL,
  parseEncryptedKey,
} from "./encrypted-key.ts";
import { checkKeyQuality } from "./key-quality.ts";
import { createLocalSigner, publicKeyOf } from "./local-signer.ts";
import { passwordBytes, wrongPassword, type Password, type PasswordSource } from "./password.ts";
import { checkEncryptedKey, readingKey, readKeyKind } from "./pkcs8.ts";
import type { Signer } from "./signer.ts";
import {
  parseSigningAlgorithm,
  requireSupported,
  SIGNING_ALGORITHMS,
  type AlgorithmChoice,
} from "./signing-algorithm.ts";

const crypto = process.getBuiltinModule("node:crypto");

/** Says how a private key is read. */
export interface PrivateKeyOptions extends AlgorithmChoice {
  /** Whether a key that no password protects is taken. Default `false`, as in cosign, where such a key has to be imported first. */
  readonly allowUnencrypted?: boolean | undefined;
}

/** Is a key pair, ready for two files. */
export interface KeyPair {
  /** PEM `ENCRYPTED SIGSTORE PRIVATE KEY`, for a file that its owner alone can read. */
  readonly privateKeyPem: string;
  /** PEM `PUBLIC KEY`. */
  readonly publicKeyPem: string;
}

/**
 * Reads a private key: cosign's (`ENCRYPTED SIGSTORE PRIVATE KEY`, `ENCRYPTED COSIGN PRIVATE KEY`) or encrypted PKCS #8; where
 * unencrypted keys are allowed, PKCS #8, PKCS #1 and SEC 1 too.
 *
 * @param pem - The file. What stands in it outside the PEM block is not looked at.
 * @param password - Asked once, and only for a key that needs a password.
 * @throws {@link FormatError} `PRIVATE_KEY_MALFORMED`, `PEM_MALFORMED`, `JSON_DUPLICATE_KEY`, `LIMIT_EXCEEDED`.
 * @throws InputError `KEY_PASSWORD_MISSING`, `KEY_PASSWORD_WRONG`; `USAGE_INVALID` for an algorithm that does not fit.
 * @throws {@link VerificationError} `ALGORITHM_UNSUPPORTED`.
 */
export async function readPrivateKey(
  pem: string | Uint8Array,
  password: PasswordSource,
  options: PrivateKeyOptions = {},
): Promise<Signer> {
  const privateKey = await openPrivateKey(pem, password, options.allowUnencrypted ?? false);
  return ofPrivateKey(() => createLocalSigner(privateKey, options));
}

/**
 * Encrypts a private key of another tool as cosign does, after looking whether it is a good one: RSA of 2048, 3072 or 4096 bits
 * with the exponent 65537 and sound primes, P-256, P-384, P-521, Ed25519 or ML-DSA, and the two halves belong together.
 *
 * @throws as {@link readPrivateKey}.
 */
export async function importKeyPair(options: {
  /** Any form that {@link readPrivateKey} knows, encrypted or not. */
  readonly pem: string | Uint8Array;
  /** Of the key as it is. Asked only where the key needs it. */
  readonly oldPassword?: Password | PasswordSource | undefined;
  /** Of the key as it will be; an empty one must be given as such. Asked last, when the key is known to be a good one. */
  readonly password: Password | PasswordSource;
}): Promise<KeyPair> {
  const { pem, oldPassword, password } = options;
  const source = typeof oldPassword === "function" ? oldPassword : () => Promise.resolve(oldPassword);
  const privateKey = await openPrivateKey(pem, source, true);
  const signer = ofPrivateKey(() => createLocalSigner(privateKey));
  checkKeyQuality(privateKey, signer.publicKey);
  await checkPair(signer);
  return await writeKeyPair(toPkcs8(privateKey), signer.publicKey, password);
}

/**
 * Encrypts an encrypted private key anew, under another password. The public key stays the same.
 *
 * @throws as {@link readPrivateKey}.
 */
export async function changePassword(options: {
  readonly pem: string | Uint8Array;
  readonly oldPassword: Password | PasswordSource;
  readonly password: Password | PasswordSource;
}): Promise<KeyPair> {
  const { pem, oldPassword, password } = options;
  const source = typeof oldPassword === "function" ? oldPassword : () => Promise.resolve(oldPassword);
  const privateKey = await openPrivateKey(pem, source, false);
  const publicKey = ofPrivateKey(() => publicKeyOf(privateKey));
  return await writeKeyPair(toPkcs8(privateKey), publicKey, password);
}

/**
 * Writes a key pair as cosign does.
 *
 * @param pkcs8 - DER, which is overwritten with zeros.
 * @throws InputError `KEY_PASSWORD_MISSING`.
 * @internal
 */
export async function writeKeyPair(
  pkcs8: Uint8Array,
  { spki }: PublicKey,
  password: Password | PasswordSource,
): Promise<KeyPair> {
  const secret = await passwordBytes(password);
  try {
    return {
      privateKeyPem: encodePem(ENCRYPTED_KEY_LABEL, await encryptKey(pkcs8, secret)),
      publicKeyPem: encodePem("PUBLIC KEY", spki),
    };
  } finally {
    pkcs8.fill(0);
  }
}

function toPkcs8(privateKey: KeyObject): Uint8Array {
  return privateKey.export({ format: "der", type: "pkcs8" });
}

async function openPrivateKey(
  pem: string | Uint8Array,
  password: PasswordSource,
  allowUnencrypted: boolean,
): Promise<KeyObject> {
  const { label, bytes } = findBlock(pem);
  switch (label) {
    case ENCRYPTED_KEY_LABEL:
    case OLD_ENCRYPTED_KEY_LABEL: {
      const encrypted = parseEncryptedKey(bytes);
      const pkcs8 = await decryptKey(encrypted, await passwordBytes(password));
      try {
        return await importPkcs8(pkcs8);
      } finally {
        pkcs8.fill(0);
      }
    }
    case "ENCRYPTED PRIVATE KEY":
      return await openEncryptedPkcs8(bytes, password);
    case "PRIVATE KEY":
      requireAllowed(label, allowUnencrypted);
      return await importPkcs8(bytes);
    case "RSA PRIVATE KEY":
      requireAllowed(label, allowUnencrypted);
      return importKey(bytes, "pkcs1");
    case "EC PRIVATE KEY":
      requireAllowed(label, allowUnencrypted);
      return importKey(bytes, "sec1");
  }
  throw new FormatError("PRIVATE_KEY_MALFORMED", `unsupported pem type: ${label}`, {
    expected: ENCRYPTED_KEY_LABEL,
    found: label,
    remedy: label.endsWith("PUBLIC KEY") ? "give the private key, whose file most often ends in .key" : undefined,
  });
}

/** Finds the one block that is a key. OpenSSL writes the curve of an EC key in a block before it. */
function findBlock(pem: string | Uint8Array): PemBlock {
  if (pem.length > MAX_KEY_FILE_BYTES) {
    throw new FormatError("LIMIT_EXCEEDED", "private key file is too large", {
      expected: `at most ${MAX_KEY_FILE_BYTES} bytes`,
      found: `${pem.length} bytes`,
    });
  }
  const text = typeof pem === "string" ? pem : tryDecodeUtf8(pem);
  if (text === undefined)
    throw malformed(
      "private key file is not text",
      "convert it: openssl pkcs8 -topk8 -inform DER -in FILE -out FILE.pem",
    );
  if (/^Proc-Type: ?4,ENCRYPTED/m.test(text))
    throw malformed(
      "private key is encrypted in OpenSSL's old way, which keeps nobody from trying passwords",
      "convert it: openssl pkcs8 -topk8 -in FILE -out FILE.pem",
    );
  if (text.includes("-----BEGIN OPENSSH PRIVATE KEY-----"))
    throw malformed("private key is in OpenSSH's format", "convert a copy of it: ssh-keygen -p -m PKCS8 -f COPY");
  const blocks = parsePem(text).filter(({ label }) => label !== "EC PARAMETERS");
  const [block] = blocks;
  if (block === undefined || blocks.length > 1)
    throw malformed(`private key file holds ${blocks.length} keys or certificates instead of one key`);
  return block;
}

function requireAllowed(label: string, allowUnencrypted: boolean): void {
  if (allowUnencrypted) return;
  throw new FormatError("PRIVATE_KEY_MALFORMED", `unsupported pem type: ${label}: the private key is not encrypted`, {
    expected: ENCRYPTED_KEY_LABEL,
    found: label,
    remedy: "import it first: cosign-ts import-key-pair --key FILE",
  });
}

async function openEncryptedPkcs8(der: Uint8Array, password: PasswordSource): Promise<KeyObject> {
  checkEncryptedKey(der);
  const passphrase = await passwordBytes(password);
  let opened: KeyObject;
  try {
    opened = crypto.createPrivateKey({
      key: Buffer.from(der),
      format: "der",
      type: "pkcs8",
      passphrase: Buffer.from(passphrase),
    });
  } catch (cause) {
    // A wrong password most often fails at the padding, sometimes at what comes out. What it is that OpenSSL cannot do was excluded.
    throw wrongPassword(passphrase, cause);
  }
  const pkcs8 = opened.export({ format: "der", type: "pkcs8" });
  await requireKnownKind(pkcs8);
  pkcs8.fill(0);
  return opened;
}

async function importPkcs8(pkcs8: Uint8Array): Promise<KeyObject> {
  await requireKnownKind(pkcs8);
  return importKey(pkcs8, "pkcs8");
}

const KEY_KINDS: ReadonlyMap<string, string | undefined> = new Map<string, string | undefined>([
  [OID.ecPublicKey, undefined],
  [OID.rsaEncryption, undefined],
  [OID.rsassaPss, undefined],
  [OID.ed25519, undefined],
  [OID.mlDsa44, "ml-dsa-44"],
  [OID.mlDsa65, "ml-dsa-65"],
  [OID.mlDsa87, "ml-dsa-87"],
]);

async function requireKnownKind(pkcs8: Uint8Array): Promise<void> {
  const kind = readKeyKind(pkcs8);
  if (!KEY_KINDS.has(kind)) {
    throw new VerificationError("ALGORITHM_UNSUPPORTED", `private key is of kind ${kind}, which is not supported`, {
      expected: `a key for one of ${SIGNING_ALGORITHMS.join(", ")}`,
      found: kind,
    });
  }
  const algorithm = KEY_KINDS.get(kind); // not in every runtime
  if (algorithm !== undefined) await requireSupported(parseSigningAlgorithm(algorithm));
}

function importKey(der: Uint8Array, type: "pkcs8" | "pkcs1" | "sec1"): KeyObject {
  // One value and nothing behind it, which OpenSSL would not mind.
  readingKey(() => void parseDer(der, Tag.sequence));
  try {
    return crypto.createPrivateKey({ key: Buffer.from(der), format: "der", type });
  } catch (cause) {
    throw new FormatError("PRIVATE_KEY_MALFORMED", "private key is malformed: its numbers do not make a key", {
      cause,
    });
  }
}

/** Tells what is wrong with the public half as a fault of the private key, which is what was given. */
function ofPrivateKey<T>(make: () => T): T {
  try {
    return make();
  } catch (error) {
    if (!(error instanceof FormatError) || error.code !== "PUBLIC_KEY_MALFORMED") throw error;
    const { message, expected, found } = error;
    throw new FormatError("PRIVATE_KEY_MALFORMED", `private key is no good: ${message}`, {
      expected,
      found,
      cause: error,
    });
  }
}

/** Signs something that nobody will see: the public half of a file need not be that of the private one. */
async function checkPair(signer: Signer): Promise<void> {
  try {
    await signer.sign(crypto.randomBytes(32));
  } catch (cause) {
    if (!(cause instanceof SigstoreError)) throw cause;
    throw new FormatError(
      "PRIVATE_KEY_MALFORMED",
      "private key does not belong to the public key that stands in the same file, or its numbers do not fit together",
      { cause },
    );
  }
}

function malformed(message: string, remedy?: string): FormatError {
  return new FormatError("PRIVATE_KEY_MALFORMED", message, { remedy });
}
