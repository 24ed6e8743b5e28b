import { defaultCryptoProvider } from "../crypto/provider.ts";
import type { PublicKey } from "../crypto/public-key.ts";
import { defaultAlgorithm, fitsKey, SIGNATURE_ALGORITHMS, type SignatureAlgorithm } from "../crypto/registry.ts";
import { InputError, VerificationError } from "../errors.ts";

/** Names what a key is generated for and signs with where nobody says otherwise, as in cosign. */
export const DEFAULT_SIGNING_ALGORITHM = "ecdsa-sha2-256-nistp256";

/** Lists the names of the algorithms that can be signed with: those of the registry that are not deprecated. */
export const SIGNING_ALGORITHMS: readonly string[] = SIGNATURE_ALGORITHMS.filter(isForSigning).map(({ name }) => name);

/** Says which algorithm a key signs with, where several fit it. */
export interface AlgorithmChoice {
  /** A name of the algorithm registry. When absent, the one that the registry pairs with the key. */
  readonly algorithm?: string | undefined;
  /**
   * Whether an Ed25519 key signs the hash of the message (`ed25519-ph`) where `algorithm` does not say: transparency logs take a
   * signature over a file only like that.
   */
  readonly prehashed?: boolean | undefined;
}

/**
 * Finds an algorithm that can be signed with by its name in the registry.
 *
 * @throws {@link InputError} `USAGE_INVALID`.
 */
export function parseSigningAlgorithm(name: string): SignatureAlgorithm {
  const found = SIGNATURE_ALGORITHMS.find((algorithm) => algorithm.name === name && isForSigning(algorithm));
  if (found !== undefined) return found;
  throw new InputError("USAGE_INVALID", `no signing algorithm is called ${JSON.stringify(name)}`, {
    expected: SIGNING_ALGORITHMS.join(", "),
    found: name,
    remedy: `name one of these, or none for ${DEFAULT_SIGNING_ALGORITHM}`,
  });
}

/**
 * Chooses what a key signs with.
 *
 * @throws {@link InputError} `USAGE_INVALID` for a name that is none, or that does not fit the key.
 * @throws {@link VerificationError} `ALGORITHM_UNSUPPORTED` for a key that the registry has no algorithm for.
 */
export function chooseSigningAlgorithm(key: PublicKey, choice: AlgorithmChoice): SignatureAlgorithm {
  const { algorithm: name, prehashed = false } = choice;
  if (name !== undefined) {
    const asked = parseSigningAlgorithm(name);
    if (fitsKey(asked, key)) return asked;
    throw new InputError("USAGE_INVALID", `the private key cannot sign with ${name}`, {
      expected: `a key for ${name}`,
      found: describeKey(key),
      remedy: "name no algorithm, to sign with the one that the key is for",
    });
  }
  if (key.type === "ed25519" && prehashed) return parseSigningAlgorithm("ed25519-ph");
  const algorithm = defaultAlgorithm(key);
  if (isForSigning(algorithm)) return algorithm;
  throw new VerificationError("ALGORITHM_UNSUPPORTED", "no algorithm of Sigstore signs with the private key", {
    expected: "RSA with 2048, 3072 or 4096 bits, and SHA-256 where the key itself names a hash",
    found: describeKey(key),
    remedy: `use a key for one of ${SIGNING_ALGORITHMS.join(", ")}`,
  });
}

/**
 * Checks that this runtime has an algorithm at all; ML-DSA is new.
 *
 * @throws {@link VerificationError} `ALGORITHM_UNSUPPORTED`.
 * @internal
 */
export async function requireSupported(algorithm: SignatureAlgorithm): Promise<void> {
  if (await defaultCryptoProvider().supports(algorithm)) return;
  throw new VerificationError(
    "ALGORITHM_UNSUPPORTED",
    `${algorithm.name} is not supported by this runtime's node:crypto`,
  );
}

function isForSigning({ keyDetails, deprecated = false }: SignatureAlgorithm): boolean {
  return keyDetails !== undefined && !deprecated;
}

function describeKey({ type, modulusBits, pss }: PublicKey): string {
  const size = modulusBits === undefined ? "" : ` with ${modulusBits} bits`;
  return `${type}${size}${pss === undefined ? "" : ` for ${pss.hash}`}`;
}
