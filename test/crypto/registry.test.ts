import { PublicKeyDetails } from "@sigstore/protobuf-specs";
import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { parsePublicKeyPem, type PublicKey } from "../../src/crypto/public-key.ts";
import {
  algorithmForKeyDetails,
  algorithmOf,
  artifactAlgorithms,
  defaultAlgorithm,
  fitsKey,
  SIGNATURE_ALGORITHMS,
} from "../../src/crypto/registry.ts";

const testdata = new URL("../../testdata/crypto/", import.meta.url);
const key = (name: string): PublicKey => parsePublicKeyPem(readFileSync(new URL(`${name}.pem`, testdata), "utf8"));
const KEY_DETAILS = Object.values(PublicKeyDetails).filter((value) => typeof value === "string");

/** What is never supported: an HMAC, which is no signature, and stateful hash-based schemes, which are withdrawn. */
const UNSUPPORTED = ["PUBLIC_KEY_DETAILS_UNSPECIFIED", "PKIX_ECDSA_P256_HMAC_SHA_256", "LMS_SHA256", "LMOTS_SHA256"];

// The rows of algorithm-registry.md with the names that sigstore_common.proto gives them.
const REGISTRY = [
  ["rsa-sign-pkcs1-2048-sha256", "PKIX_RSA_PKCS1V15_2048_SHA256", "rsa-pkcs1", "sha256", 2048],
  ["rsa-sign-pkcs1-3072-sha256", "PKIX_RSA_PKCS1V15_3072_SHA256", "rsa-pkcs1", "sha256", 3072],
  ["rsa-sign-pkcs1-4096-sha256", "PKIX_RSA_PKCS1V15_4096_SHA256", "rsa-pkcs1", "sha256", 4096],
  ["rsa-sign-pss-2048-sha256", "PKIX_RSA_PSS_2048_SHA256", "rsa-pss", "sha256", 2048],
  ["rsa-sign-pss-3072-sha256", "PKIX_RSA_PSS_3072_SHA256", "rsa-pss", "sha256", 3072],
  ["rsa-sign-pss-4096-sha256", "PKIX_RSA_PSS_4096_SHA256", "rsa-pss", "sha256", 4096],
  ["ecdsa-sha2-256-nistp256", "PKIX_ECDSA_P256_SHA_256", "ecdsa", "sha256", undefined],
  ["ecdsa-sha2-384-nistp384", "PKIX_ECDSA_P384_SHA_384", "ecdsa", "sha384", undefined],
  ["ecdsa-sha2-512-nistp521", "PKIX_ECDSA_P521_SHA_512", "ecdsa", "sha512", undefined],
  ["ed25519", "PKIX_ED25519", "ed25519", undefined, undefined],
  ["ed25519-ph", "PKIX_ED25519_PH", "ed25519ph", "sha512", undefined],
  ["ml-dsa-44", "ML_DSA_44", "ml-dsa", undefined, undefined],
  ["ml-dsa-65", "ML_DSA_65", "ml-dsa", undefined, undefined],
  ["ml-dsa-87", "ML_DSA_87", "ml-dsa", undefined, undefined],
] as const;

describe("SIGNATURE_ALGORITHMS (Sigstore algorithm registry)", () => {
  test.for(REGISTRY)("has %s", ([name, keyDetails, scheme, hash, modulusBits]) => {
    const algorithm = algorithmForKeyDetails(keyDetails);
    expect(algorithm).toMatchObject({ name, keyDetails, scheme, hash });
    expect(algorithm?.modulusBits).toBe(modulusBits);
    expect(algorithm?.deprecated).toBeUndefined();
    expect(algorithm?.experimental ?? false).toBe(name.startsWith("ml-dsa"));
  });

  test.for([
    ["PKIX_ECDSA_P384_SHA_256", "ecdsa", "sha256"],
    ["PKIX_ECDSA_P521_SHA_256", "ecdsa", "sha256"],
    ["PKIX_RSA_PKCS1V5", "rsa-pkcs1", "sha256"],
    ["PKCS1_RSA_PKCS1V5", "rsa-pkcs1", "sha256"],
    ["PKIX_RSA_PSS", "rsa-pss", "sha256"],
    ["PKCS1_RSA_PSS", "rsa-pss", "sha256"],
  ] as const)("has the deprecated %s", ([keyDetails, scheme, hash]) => {
    expect(algorithmForKeyDetails(keyDetails)).toMatchObject({ keyDetails, scheme, hash, deprecated: true });
  });

  test("has every other value of PublicKeyDetails, and none of its own", () => {
    const known = SIGNATURE_ALGORITHMS.flatMap(({ keyDetails }) => keyDetails ?? []);
    expect(known.toSorted()).toEqual(KEY_DETAILS.filter((value) => !UNSUPPORTED.includes(value)).toSorted());
  });

  test("gives one name to algorithms that differ in keyDetails alone, and to no others", () => {
    const meanings = SIGNATURE_ALGORITHMS.map(({ scheme, hash, keyTypes, modulusBits }) =>
      [scheme, hash, modulusBits, ...keyTypes].join(" "),
    );
    expect(new Set(meanings).size).toBe(new Set(SIGNATURE_ALGORITHMS.map(({ name }) => name)).size);
  });

  test.for([...UNSUPPORTED, "PKIX_ECDSA_P256_SHA_512", "", "constructor"])("does not know %j", (keyDetails) => {
    expect(algorithmForKeyDetails(keyDetails)).toBeUndefined();
  });
});

describe("fitsKey", () => {
  test.for([
    ["PKIX_ECDSA_P256_SHA_256", "p256", true],
    ["PKIX_ECDSA_P256_SHA_256", "p384", false],
    ["PKIX_ECDSA_P384_SHA_384", "p384", true],
    ["PKIX_ECDSA_P384_SHA_384", "p521", false],
    ["PKIX_ED25519", "ed25519", true],
    ["PKIX_ED25519_PH", "ed25519", true],
    ["PKIX_ED25519", "p256", false],
    ["PKIX_RSA_PKCS1V15_2048_SHA256", "rsa-2048", true],
    ["PKIX_RSA_PKCS1V15_2048_SHA256", "rsa-3072", false],
    ["PKIX_RSA_PKCS1V15_2048_SHA256", "rsa-2049", false],
    ["PKIX_RSA_PKCS1V15_2048_SHA256", "rsa-pss", false],
    ["PKIX_RSA_PSS_2048_SHA256", "rsa-pss", true],
    ["PKIX_RSA_PSS_2048_SHA256", "rsa-2048", true],
    ["PKIX_RSA_PSS_2048_SHA256", "rsa-pss-sha384-salt-24", false],
    ["PKIX_RSA_PKCS1V5", "rsa-2560", true],
    ["ML_DSA_44", "ed25519", false],
  ] as const)("of %s and the key %s is %s", ([keyDetails, name, fits]) => {
    const algorithm = algorithmForKeyDetails(keyDetails);
    expect(algorithm && fitsKey(algorithm, key(name))).toBe(fits);
  });
});

describe("artifactAlgorithms, defaultAlgorithm", () => {
  test.for([
    ["p256", ["ecdsa-sha2-256-nistp256"]],
    ["p384", ["ecdsa-sha2-384-nistp384", "ecdsa-sha2-256-nistp384"]],
    ["p521", ["ecdsa-sha2-512-nistp521", "ecdsa-sha2-256-nistp521"]],
    ["ed25519", ["ed25519", "ed25519-ph"]],
    ["rsa-2048", ["rsa-sign-pkcs1-2048-sha256", "rsa-sign-pss-2048-sha256"]],
    ["rsa-3072", ["rsa-sign-pkcs1-3072-sha256", "rsa-sign-pss-3072-sha256"]],
    ["rsa-4096", ["rsa-sign-pkcs1-4096-sha256", "rsa-sign-pss-4096-sha256"]],
    ["rsa-2560", ["rsa-sign-pkcs1-sha256", "rsa-sign-pss-sha256"]],
    ["rsa-pss", ["rsa-sign-pss-2048-sha256"]],
    ["rsa-pss-sha384-salt-24", ["rsa-sign-pss-sha384"]],
  ] as const)("for the key %s are %j, the first being the default", ([name, names]) => {
    expect(artifactAlgorithms(key(name)).map((algorithm) => algorithm.name)).toEqual(names);
    expect(defaultAlgorithm(key(name)).name).toBe(names[0]);
  });
});

describe("algorithmOf", () => {
  test.for([
    ["ecdsa", "sha384", "p256", "ecdsa-sha2-384-nistp256"],
    ["ecdsa", "sha512", "p384", "ecdsa-sha2-512-nistp384"],
    ["ecdsa", "sha384", "p521", "ecdsa-sha2-384-nistp521"],
    ["rsa-pkcs1", "sha512", "rsa-4096", "rsa-sign-pkcs1-sha512"],
    ["rsa-pss", "sha384", "rsa-2048", "rsa-sign-pss-sha384"],
    ["ed25519", undefined, "ed25519", "ed25519"],
    ["ed25519", "sha512", "ed25519", undefined],
    ["ecdsa", undefined, "p256", undefined],
    ["ecdsa", "sha256", "rsa-2048", undefined],
    ["rsa-pkcs1", "sha256", "rsa-pss", undefined],
    ["rsa-pss", "sha256", "rsa-pss-sha384-salt-24", undefined],
    ["ml-dsa", undefined, "ed25519", undefined],
  ] as const)("of %s with %s and the key %s is %s", ([scheme, hash, name, expected]) => {
    expect(algorithmOf(scheme, hash, key(name))?.name).toBe(expected);
  });

  test("gives the registry's entry rather than a deprecated one of the same meaning", () => {
    expect(algorithmOf("rsa-pkcs1", "sha256", key("rsa-2560"))?.deprecated).toBeUndefined();
  });
});
