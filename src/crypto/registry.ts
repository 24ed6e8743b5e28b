import type { HashAlgorithm } from "./digest.ts";
import type { PublicKey, PublicKeyType } from "./public-key.ts";

/** Is a signature algorithm: what the key is, how the signature is made, and over which hash. */
export interface SignatureAlgorithm {
  /** The name of the algorithm registry, or one formed like it. Unique but for algorithms that differ in `keyDetails` alone. */
  readonly name: string;
  /** The value of `PublicKeyDetails`; absent for what only certificates and timestamps use. */
  readonly keyDetails: string | undefined;
  readonly keyTypes: readonly PublicKeyType[];
  readonly scheme: "ecdsa" | "rsa-pkcs1" | "rsa-pss" | "ed25519" | "ed25519ph" | "ml-dsa";
  /** The hash that is signed; absent where the scheme signs the message itself. */
  readonly hash: HashAlgorithm | undefined;
  /** The one size of the RSA modulus. */
  readonly modulusBits?: number;
  /** Verified, never to be signed with. */
  readonly deprecated?: boolean;
  readonly experimental?: boolean;
}

const RSA: readonly PublicKeyType[] = ["rsa"];
const RSA_OR_PSS: readonly PublicKeyType[] = ["rsa", "rsa-pss"];

/**
 * Lists every signature algorithm that can be verified. Where several fit a key, a scheme and a hash, the first one is the registry's.
 *
 * @see {@link https://github.com/sigstore/architecture-docs/blob/main/algorithm-registry.md | Sigstore algorithm registry}
 * @see {@link https://github.com/sigstore/protobuf-specs/blob/main/protos/sigstore_common.proto | sigstore_common.proto}, `PublicKeyDetails`
 */
export const SIGNATURE_ALGORITHMS: readonly SignatureAlgorithm[] = [
  {
    name: "ecdsa-sha2-256-nistp256",
    keyDetails: "PKIX_ECDSA_P256_SHA_256",
    keyTypes: ["ecdsa-p256"],
    scheme: "ecdsa",
    hash: "sha256",
  },
  {
    name: "ecdsa-sha2-384-nistp384",
    keyDetails: "PKIX_ECDSA_P384_SHA_384",
    keyTypes: ["ecdsa-p384"],
    scheme: "ecdsa",
    hash: "sha384",
  },
  {
    name: "ecdsa-sha2-512-nistp521",
    keyDetails: "PKIX_ECDSA_P521_SHA_512",
    keyTypes: ["ecdsa-p521"],
    scheme: "ecdsa",
    hash: "sha512",
  },
  {
    name: "ecdsa-sha2-256-nistp384",
    keyDetails: "PKIX_ECDSA_P384_SHA_256",
    keyTypes: ["ecdsa-p384"],
    scheme: "ecdsa",
    hash: "sha256",
    deprecated: true,
  },
  {
    name: "ecdsa-sha2-256-nistp521",
    keyDetails: "PKIX_ECDSA_P521_SHA_256",
    keyTypes: ["ecdsa-p521"],
    scheme: "ecdsa",
    hash: "sha256",
    deprecated: true,
  },
  { name: "ed25519", keyDetails: "PKIX_ED25519", keyTypes: ["ed25519"], scheme: "ed25519", hash: undefined },
  { name: "ed25519-ph", keyDetails: "PKIX_ED25519_PH", keyTypes: ["ed25519"], scheme: "ed25519ph", hash: "sha512" },

  {
    name: "rsa-sign-pkcs1-2048-sha256",
    keyDetails: "PKIX_RSA_PKCS1V15_2048_SHA256",
    keyTypes: RSA,
    scheme: "rsa-pkcs1",
    hash: "sha256",
    modulusBits: 2048,
  },
  {
    name: "rsa-sign-pkcs1-3072-sha256",
    keyDetails: "PKIX_RSA_PKCS1V15_3072_SHA256",
    keyTypes: RSA,
    scheme: "rsa-pkcs1",
    hash: "sha256",
    modulusBits: 3072,
  },
  {
    name: "rsa-sign-pkcs1-4096-sha256",
    keyDetails: "PKIX_RSA_PKCS1V15_4096_SHA256",
    keyTypes: RSA,
    scheme: "rsa-pkcs1",
    hash: "sha256",
    modulusBits: 4096,
  },
  {
    name: "rsa-sign-pss-2048-sha256",
    keyDetails: "PKIX_RSA_PSS_2048_SHA256",
    keyTypes: RSA_OR_PSS,
    scheme: "rsa-pss",
    hash: "sha256",
    modulusBits: 2048,
  },
  {
    name: "rsa-sign-pss-3072-sha256",
    keyDetails: "PKIX_RSA_PSS_3072_SHA256",
    keyTypes: RSA_OR_PSS,
    scheme: "rsa-pss",
    hash: "sha256",
    modulusBits: 3072,
  },
  {
    name: "rsa-sign-pss-4096-sha256",
    keyDetails: "PKIX_RSA_PSS_4096_SHA256",
    keyTypes: RSA_OR_PSS,
    scheme: "rsa-pss",
    hash: "sha256",
    modulusBits: 4096,
  },

  {
    name: "ml-dsa-44",
    keyDetails: "ML_DSA_44",
    keyTypes: ["ml-dsa-44"],
    scheme: "ml-dsa",
    hash: undefined,
    experimental: true,
  },
  {
    name: "ml-dsa-65",
    keyDetails: "ML_DSA_65",
    keyTypes: ["ml-dsa-65"],
    scheme: "ml-dsa",
    hash: undefined,
    experimental: true,
  },
  {
    name: "ml-dsa-87",
    keyDetails: "ML_DSA_87",
    keyTypes: ["ml-dsa-87"],
    scheme: "ml-dsa",
    hash: undefined,
    experimental: true,
  },

  // Not in the registry: certificates, timestamps and CT logs pair keys and hashes as they like.
  { name: "ecdsa-sha2-384-nistp256", keyDetails: undefined, keyTypes: ["ecdsa-p256"], scheme: "ecdsa", hash: "sha384" },
  { name: "ecdsa-sha2-512-nistp256", keyDetails: undefined, keyTypes: ["ecdsa-p256"], scheme: "ecdsa", hash: "sha512" },
  { name: "ecdsa-sha2-512-nistp384", keyDetails: undefined, keyTypes: ["ecdsa-p384"], scheme: "ecdsa", hash: "sha512" },
  { name: "ecdsa-sha2-384-nistp521", keyDetails: undefined, keyTypes: ["ecdsa-p521"], scheme: "ecdsa", hash: "sha384" },
  { name: "rsa-sign-pkcs1-sha256", keyDetails: undefined, keyTypes: RSA, scheme: "rsa-pkcs1", hash: "sha256" },
  { name: "rsa-sign-pkcs1-sha384", keyDetails: undefined, keyTypes: RSA, scheme: "rsa-pkcs1", hash: "sha384" },
  { name: "rsa-sign-pkcs1-sha512", keyDetails: undefined, keyTypes: RSA, scheme: "rsa-pkcs1", hash: "sha512" },
  { name: "rsa-sign-pss-sha256", keyDetails: undefined, keyTypes: RSA_OR_PSS, scheme: "rsa-pss", hash: "sha256" },
  { name: "rsa-sign-pss-sha384", keyDetails: undefined, keyTypes: RSA_OR_PSS, scheme: "rsa-pss", hash: "sha384" },
  { name: "rsa-sign-pss-sha512", keyDetails: undefined, keyTypes: RSA_OR_PSS, scheme: "rsa-pss", hash: "sha512" },

  // Old names of PublicKeyDetails that say neither size nor hash. PKCS1_… names another encoding of the key.
  {
    name: "rsa-sign-pkcs1-sha256",
    keyDetails: "PKIX_RSA_PKCS1V5",
    keyTypes: RSA,
    scheme: "rsa-pkcs1",
    hash: "sha256",
    deprecated: true,
  },
  {
    name: "rsa-sign-pkcs1-sha256",
    keyDetails: "PKCS1_RSA_PKCS1V5",
    keyTypes: RSA,
    scheme: "rsa-pkcs1",
    hash: "sha256",
    deprecated: true,
  },
  {
    name: "rsa-sign-pss-sha256",
    keyDetails: "PKIX_RSA_PSS",
    keyTypes: RSA_OR_PSS,
    scheme: "rsa-pss",
    hash: "sha256",
    deprecated: true,
  },
  {
    name: "rsa-sign-pss-sha256",
    keyDetails: "PKCS1_RSA_PSS",
    keyTypes: RSA_OR_PSS,
    scheme: "rsa-pss",
    hash: "sha256",
    deprecated: true,
  },
];

const BY_KEY_DETAILS: ReadonlyMap<string, SignatureAlgorithm> = new Map(
  SIGNATURE_ALGORITHMS.flatMap((algorithm) =>
    algorithm.keyDetails === undefined ? [] : [[algorithm.keyDetails, algorithm] as const],
  ),
);

/** Finds the algorithm that a value of `PublicKeyDetails` names; `undefined` for one that is not supported. */
export function algorithmForKeyDetails(keyDetails: string): SignatureAlgorithm | undefined {
  return BY_KEY_DETAILS.get(keyDetails);
}

/** Tells whether a key is one that the algorithm is for, the size of an RSA modulus included. */
export function fitsKey(algorithm: SignatureAlgorithm, key: PublicKey): boolean {
  if (!algorithm.keyTypes.includes(key.type)) return false;
  if (algorithm.modulusBits !== undefined && algorithm.modulusBits !== key.modulusBits) return false;
  return key.pss === undefined || key.pss.hash === algorithm.hash;
}

/**
 * Finds the algorithm for a scheme and a hash that a certificate, timestamp or SCT names.
 *
 * @param hash - Absent for a scheme that signs the message itself.
 * @returns `undefined` when such a signature cannot be of this key.
 */
export function algorithmOf(
  scheme: SignatureAlgorithm["scheme"],
  hash: HashAlgorithm | undefined,
  key: PublicKey,
): SignatureAlgorithm | undefined {
  return SIGNATURE_ALGORITHMS.find(
    (algorithm) => algorithm.scheme === scheme && algorithm.hash === hash && fitsKey(algorithm, key),
  );
}

/**
 * Lists what a signature by this key over an artifact or an envelope may be, the registry's choice first.
 *
 * P-384 and P-521 with SHA-256 are deprecated, but most clients have signed like that.
 */
export function artifactAlgorithms(key: PublicKey): readonly [SignatureAlgorithm, ...SignatureAlgorithm[]] {
  const algorithms = ARTIFACT_SCHEMES[key.type]
    .map(([scheme, hash]) => algorithmOf(scheme, hash, key))
    .filter((algorithm) => algorithm !== undefined);
  const [first, ...others] = algorithms;
  // A key restricted to another hash by its own parameters.
  return first === undefined ? [algorithmOf("rsa-pss", key.pss?.hash, key) as SignatureAlgorithm] : [first, ...others];
}

/** Names the algorithm that the registry pairs with a key. */
export function defaultAlgorithm(key: PublicKey): SignatureAlgorithm {
  return artifactAlgorithms(key)[0];
}

const ARTIFACT_SCHEMES: Readonly<
  Record<PublicKeyType, readonly (readonly [SignatureAlgorithm["scheme"], HashAlgorithm | undefined])[]>
> = {
  "ecdsa-p256": [["ecdsa", "sha256"]],
  "ecdsa-p384": [
    ["ecdsa", "sha384"],
    ["ecdsa", "sha256"],
  ],
  "ecdsa-p521": [
    ["ecdsa", "sha512"],
    ["ecdsa", "sha256"],
  ],
  rsa: [
    ["rsa-pkcs1", "sha256"],
    ["rsa-pss", "sha256"],
  ],
  "rsa-pss": [["rsa-pss", "sha256"]],
  ed25519: [
    ["ed25519", undefined],
    ["ed25519ph", "sha512"],
  ],
  "ml-dsa-44": [["ml-dsa", undefined]],
  "ml-dsa-65": [["ml-dsa", undefined]],
  "ml-dsa-87": [["ml-dsa", undefined]],
};
