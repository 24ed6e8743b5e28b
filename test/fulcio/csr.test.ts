import { execFileSync } from "node:child_process";
import { constants, sign, type KeyObject } from "node:crypto";
import { describe, expect, test } from "vitest";
import { parsePublicKey } from "../../src/crypto/public-key.ts";
import { algorithmForKeyDetails, type SignatureAlgorithm } from "../../src/crypto/registry.ts";
import { createCertificateSigningRequest, type RequestSigner } from "../../src/fulcio/csr.ts";
import { spkiOf, type Keys } from "../support/certificates.ts";
import { signerKeys } from "../support/sandbox/authorities.ts";

function signerOf(keys: Keys, keyDetails: string): RequestSigner {
  const algorithm = algorithmForKeyDetails(keyDetails) as SignatureAlgorithm;
  return {
    publicKey: parsePublicKey(spkiOf(keys)),
    algorithm,
    sign: (message) => Promise.resolve(new Uint8Array(signAs(algorithm, message, keys.privateKey))),
  };
}

function signAs({ scheme, hash }: SignatureAlgorithm, message: Uint8Array, key: KeyObject): Buffer {
  if (scheme !== "rsa-pss") return sign(hash ?? null, message, key);
  const padding = constants.RSA_PKCS1_PSS_PADDING;
  return sign(hash, message, { key, padding, saltLength: constants.RSA_PSS_SALTLEN_DIGEST });
}

const rsa = signerKeys("rsa");

describe("createCertificateSigningRequest (RFC 2986)", () => {
  test.for([
    ["PKIX_ECDSA_P256_SHA_256", "p256"],
    ["PKIX_ECDSA_P384_SHA_384", "p384"],
    ["PKIX_ECDSA_P384_SHA_256", "p384"],
    ["PKIX_ECDSA_P521_SHA_512", "p521"],
    ["PKIX_RSA_PKCS1V15_2048_SHA256", "rsa"],
    ["PKIX_RSA_PSS_2048_SHA256", "rsa"],
    ["PKIX_ED25519", "ed25519"],
  ] as const)("makes a request that openssl verifies, with %s", async ([keyDetails, kind]) => {
    const keys = kind === "rsa" ? rsa : signerKeys(kind);
    const pem = await createCertificateSigningRequest(signerOf(keys, keyDetails));
    const text = execFileSync("openssl", ["req", "-verify", "-noout", "-subject", "-pubkey"], {
      input: pem,
      encoding: "utf8",
      stdio: ["pipe", "pipe", "ignore"], // "verify OK" goes to one or the other; the status is what counts
    });
    expect(text).toContain(keys.publicKey.export({ type: "spki", format: "pem" }));
    expect(text).toMatch(/^subject=\s*$/m);
  });

  test("names nobody and asks for nothing else", async () => {
    const pem = await createCertificateSigningRequest(signerOf(signerKeys(), "PKIX_ECDSA_P256_SHA_256"));
    const text = execFileSync("openssl", ["req", "-noout", "-text"], { input: pem, encoding: "utf8" });
    expect(text).toMatch(/Version: 1 \(0x0\)\s+Subject:\s+Subject Public Key Info:/);
    expect(text).toMatch(/Attributes:\s+\(none\)\s+(Requested Extensions:\s+)?Signature Algorithm: ecdsa-with-SHA256/);
  });

  test("refuses an algorithm that certificates have no name for", async () => {
    const signer = signerOf(signerKeys("ed25519"), "PKIX_ED25519_PH");
    await expect(createCertificateSigningRequest(signer)).rejects.toThrow(
      expect.objectContaining({ code: "ALGORITHM_UNSUPPORTED" }),
    );
  });
});
