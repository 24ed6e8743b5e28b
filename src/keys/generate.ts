import type { KeyObject } from "node:crypto";

import type { PublicKeyType } from "../crypto/public-key.ts";
import type { SignatureAlgorithm } from "../crypto/registry.ts";
import { InputError } from "../errors.ts";
import { createLocalSigner, publicKeyOf } from "./local-signer.ts";
import type { Password, PasswordSource } from "./password.ts";
import { writeKeyPair, type KeyPair } from "./private-key.ts";
import type { Signer } from "./signer.ts";
import { DEFAULT_SIGNING_ALGORITHM, parseSigningAlgorithm, requireSupported } from "./signing-algorithm.ts";

const crypto = process.getBuiltinModule("node:crypto");

/**
 * Makes a signer with a new key that is kept nowhere, for one certificate.
 *
 * @param algorithm - A name of the algorithm registry.
 * @throws {@link InputError} `USAGE_INVALID`; VerificationError `ALGORITHM_UNSUPPORTED` where the runtime lacks it.
 */
export async function generateSigner(algorithm: string = DEFAULT_SIGNING_ALGORITHM): Promise<Signer> {
  return createLocalSigner(await generateKey(parseSigningAlgorithm(algorithm)), { algorithm });
}

/**
 * Makes a key pair that is to be kept, encrypted as cosign does.
 *
 * The file does not say which of two algorithms for one kind of key it was made for: RSA keys sign with PKCS #1 v1.5 and Ed25519
 * keys the message itself unless {@link readPrivateKey} is told otherwise.
 *
 * @throws {@link InputError} `KEY_PASSWORD_MISSING`; `USAGE_INVALID` also for RSA with 2048 bits, which the registry keeps for
 * verification only.
 * @throws VerificationError `ALGORITHM_UNSUPPORTED` where the runtime lacks the algorithm.
 */
export async function generateKeyPair(options: {
  /** A name of the algorithm registry; `ecdsa-sha2-256-nistp256` when absent. */
  readonly algorithm?: string | undefined;
  /** An empty one must be given as such. */
  readonly password: Password | PasswordSource;
}): Promise<KeyPair> {
  const algorithm = parseSigningAlgorithm(options.algorithm ?? DEFAULT_SIGNING_ALGORITHM);
  if (algorithm.modulusBits === 2048) {
    throw new InputError(
      "USAGE_INVALID",
      `no new key is made for ${algorithm.name}: the registry has it for verification only`,
      {
        expected: "RSA with 3072 or 4096 bits",
        found: "2048 bits",
        remedy: `generate a key for ${algorithm.name.replace("2048", "3072")}, or for ${DEFAULT_SIGNING_ALGORITHM}`,
      },
    );
  }
  const privateKey = await generateKey(algorithm);
  const pkcs8 = privateKey.export({ format: "der", type: "pkcs8" });
  return await writeKeyPair(pkcs8, publicKeyOf(privateKey), options.password);
}

type KeyOptions = { readonly namedCurve: string } | { readonly modulusLength: number };

const CURVE: Partial<Record<PublicKeyType, string>> = {
  "ecdsa-p256": "P-256",
  "ecdsa-p384": "P-384",
  "ecdsa-p521": "P-521",
};

async function generateKey(algorithm: SignatureAlgorithm): Promise<KeyObject> {
  await requireSupported(algorithm);
  const type = algorithm.keyTypes[0] as PublicKeyType;
  const namedCurve = CURVE[type];
  if (namedCurve !== undefined) return await generate("ec", { namedCurve });
  // Not `rsa-pss`: certificates, logs and Go know one kind of RSA key.
  if (type === "rsa") return await generate("rsa", { modulusLength: algorithm.modulusBits as number });
  return await generate(type, undefined);
}

/** node:crypto has an overload for each kind, and none for a kind that is chosen at run time. */
async function generate(kind: string, options: KeyOptions | undefined): Promise<KeyObject> {
  return await new Promise((resolve, reject) => {
    const generateKeyPair = crypto.generateKeyPair as unknown as (
      kind: string,
      options: KeyOptions | undefined,
      callback: (error: Error | null, publicKey: KeyObject, privateKey: KeyObject) => void,
    ) => void;
    generateKeyPair(kind, options, (error, _publicKey, privateKey) => {
      if (error === null) resolve(privateKey);
      else reject(error);
    });
  });
}
