import crypto, { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { gunzipSync } from "node:zlib";
import { describe, expect, test } from "vitest";
import type { HashAlgorithm } from "../../src/crypto/digest.ts";
import type { CryptoProvider } from "../../src/crypto/provider.ts";
import { createNodeProvider } from "../../src/crypto/node-provider.ts";
import { parsePublicKey, type PublicKey } from "../../src/crypto/public-key.ts";
import { algorithmOf, type SignatureAlgorithm } from "../../src/crypto/registry.ts";
import { SigstoreError } from "../../src/errors.ts";
import { providers } from "../support/crypto-providers.ts";
import { isInSample } from "../support/samples.ts";

interface Group {
  readonly publicKeyDer?: string | null;
  readonly sha?: string;
  readonly mgfSha?: string;
  readonly sLen?: number;
  readonly tests: readonly Vector[];
}
interface Vector {
  readonly tcId: number;
  readonly comment: string;
  readonly ctx?: string;
  readonly msg: string;
  readonly sig: string;
  readonly result: "valid" | "invalid" | "acceptable";
}

const hex = (digits: string): Uint8Array => new Uint8Array(Buffer.from(digits, "hex"));
const folder = new URL("../../testdata/crypto/wycheproof/", import.meta.url);

function read(file: string): { readonly numberOfTests: number; readonly testGroups: readonly Group[] } {
  const text = gunzipSync(readFileSync(new URL(`${file}_test.json.gz`, folder))).toString();
  return JSON.parse(text) as ReturnType<typeof read>;
}

const hashOf = ({ sha }: Group): HashAlgorithm | undefined =>
  sha?.toLowerCase().replace("-", "") as HashAlgorithm | undefined;

/** Only the length of its salt is wrong, which is not looked at: see `verifyPssDigest`. */
const isOtherSalt = ({ comment }: Vector): boolean => /^s_len changed to \d+$/.test(comment);

/** What is expected of each vector: as the file says, but the missing NULL is refused, and only an empty context is ever asked for. */
const isValid = (vector: Vector): boolean => vector.result === "valid" && (vector.ctx ?? "") === "";

/** The vectors that some way of verifying answers otherwise than the file, and how many it answered. */
async function disagreements(
  groups: readonly Group[],
  scheme: SignatureAlgorithm["scheme"],
  verify: (
    algorithm: SignatureAlgorithm,
    key: PublicKey,
    signature: Uint8Array,
    message: Uint8Array,
  ) => Promise<boolean> | boolean,
  isAsked: (vector: Vector) => boolean = () => true,
): Promise<{ readonly answered: number; readonly wrong: readonly string[] }> {
  const wrong: string[] = [];
  let answered = 0;
  for (const group of groups) {
    let key: PublicKey | undefined;
    try {
      key = parsePublicKey(hex(group.publicKeyDer ?? ""));
    } catch (error) {
      if (!(error instanceof SigstoreError)) throw error;
    }
    const algorithm = key && algorithmOf(scheme, hashOf(group), key);
    for (const vector of group.tests.filter(isAsked)) {
      const valid =
        key !== undefined &&
        algorithm !== undefined &&
        (await verify(algorithm, key, hex(vector.sig), hex(vector.msg)));
      answered += 1;
      if (valid !== isValid(vector) && !isOtherSalt(vector)) wrong.push(`${vector.tcId} ${vector.comment}`);
    }
  }
  return { answered, wrong };
}

const FILES = [
  ["ecdsa_secp256r1_sha256", "ecdsa"],
  ["ecdsa_secp256r1_sha512", "ecdsa"],
  ["ecdsa_secp384r1_sha256", "ecdsa"],
  ["ecdsa_secp384r1_sha384", "ecdsa"],
  ["ecdsa_secp521r1_sha512", "ecdsa"],
  ["rsa_signature_2048_sha256", "rsa-pkcs1"],
  ["rsa_signature_2048_sha512", "rsa-pkcs1"],
  ["rsa_signature_3072_sha384", "rsa-pkcs1"],
  ["rsa_signature_4096_sha256", "rsa-pkcs1"],
  ["rsa_pss_2048_sha256_mgf1_0", "rsa-pss"],
  ["rsa_pss_2048_sha256_mgf1_32", "rsa-pss"],
  ["rsa_pss_4096_sha384_mgf1_48", "rsa-pss"],
  ["rsa_pss_4096_sha512_mgf1_64", "rsa-pss"],
  ["rsa_pss_2048_sha256_mgf1_32_params", "rsa-pss"],
  ["ed25519", "ed25519"],
  ["mldsa_44_verify", "ml-dsa"],
] as const;

describe.for(FILES)("verify (Wycheproof %s)", ([file, scheme]) => {
  test.for(providers)("answers every vector as expected with %s", async ([name, provider]) => {
    const { numberOfTests, testGroups } = read(file);
    // Without the thread pool the same function is called, only otherwise.
    const oneOf = name === "node without thread pool" ? 4 : 1;
    const isAsked = ({ tcId }: Vector): boolean => isInSample(tcId, oneOf);
    const { answered, wrong } = await disagreements(testGroups, scheme, (...args) => provider.verify(...args), isAsked);
    expect(wrong).toEqual([]);
    expect(answered).toBe(testGroups.flatMap(({ tests }) => tests).filter(isAsked).length);
    if (oneOf === 1) expect(answered).toBe(numberOfTests);
    else expect(answered).toBeGreaterThan(numberOfTests / 6);
  });
});

const HASHED = FILES.filter(([, scheme]) => scheme !== "ed25519" && scheme !== "ml-dsa");

/** Of the curves, which are slow without the runtime and share their code, all of one file and some of each other are enough for every day. */
const sampleOf = (file: string): number => {
  if (!file.startsWith("ecdsa") || file === "ecdsa_secp256r1_sha256") return 1;
  return file.startsWith("ecdsa_secp256") ? 4 : 8;
};

describe.for(HASHED)("verifyDigest (Wycheproof %s)", ([file, scheme]) => {
  test("answers every vector as expected from the digest alone", async () => {
    const { numberOfTests, testGroups } = read(file);
    const provider = createNodeProvider(crypto);
    const isAsked = ({ tcId }: Vector): boolean => isInSample(tcId, sampleOf(file));
    const { answered, wrong } = await disagreements(
      testGroups,
      scheme,
      (algorithm, key, signature, message) => provider.verifyDigest(algorithm, key, signature, sha(algorithm, message)),
      isAsked,
    );
    expect(wrong).toEqual([]);
    expect(answered).toBe(testGroups.flatMap(({ tests }) => tests).filter(isAsked).length);
    expect(answered).toBeGreaterThan((numberOfTests - 1) / (1.5 * sampleOf(file)));
    if (sampleOf(file) === 1) expect(answered).toBe(numberOfTests);
  });
});

function sha(algorithm: SignatureAlgorithm, message: Uint8Array): Uint8Array {
  return createHash(algorithm.hash as string)
    .update(message)
    .digest();
}

describe("parsePublicKey (Wycheproof rsa_pss_misc_params)", () => {
  const groups = read("rsa_pss_misc_params").testGroups;
  const isSupported = ({ sha: hash, mgfSha, sLen }: Group): boolean =>
    hash !== undefined &&
    hash === mgfSha &&
    ["SHA-256", "SHA-384", "SHA-512"].includes(hash) &&
    (sLen ?? 0) <= Number(hash.slice(4)) / 8;

  test("refuses keys for SHA-1 and SHA-224, for two hashes, or for a salt longer than the hash", () => {
    const others = groups.filter((group) => !isSupported(group));
    expect(others.length).toBeGreaterThan(100);
    for (const { publicKeyDer } of others) {
      expect(() => parsePublicKey(hex(publicKeyDer ?? ""))).toThrow(
        expect.objectContaining({ code: "ALGORITHM_UNSUPPORTED" }),
      );
    }
  });

  test.for(providers)(
    "reads the others so that their signatures verify with %s",
    async ([, provider]: readonly [string, CryptoProvider]) => {
      const supported = groups.filter(isSupported);
      expect(supported.length).toBeGreaterThan(10);
      const { wrong } = await disagreements(supported, "rsa-pss", (...args) => provider.verify(...args));
      expect(wrong).toEqual([]);
    },
  );
});
