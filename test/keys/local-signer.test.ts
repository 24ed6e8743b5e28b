import { execFileSync } from "node:child_process";
import nodeCrypto from "node:crypto";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { encodePem } from "../../src/encoding/pem.ts";
import { generateSigner } from "../../src/keys/generate.ts";
import { readPrivateKey } from "../../src/keys/private-key.ts";
import type { Signer } from "../../src/keys/signer.ts";
import { SIGNING_ALGORITHMS } from "../../src/keys/signing-algorithm.ts";
import { temporaryFolder } from "../support/cli.ts";
import { keyFile, passwordSource } from "../support/keys.ts";

const MESSAGE = Buffer.from("what is signed");

function load(pem: string, choice: { algorithm?: string; prehashed?: boolean } = {}): Promise<Signer> {
  return readPrivateKey(pem, passwordSource(undefined), { allowUnencrypted: true, ...choice });
}

/** Verifies with node:crypto alone, told nothing but what the name of the algorithm says. */
function isValid(name: string, { publicKey }: Signer, signature: Uint8Array, message: Uint8Array): boolean {
  const key = nodeCrypto.createPublicKey({ key: Buffer.from(publicKey.spki), format: "der", type: "spki" });
  const hash = /sha2-(\d+)/.exec(name)?.[1] ?? /sha(\d+)$/.exec(name)?.[1];
  const { RSA_PKCS1_PADDING, RSA_PKCS1_PSS_PADDING, RSA_PSS_SALTLEN_DIGEST } = nodeCrypto.constants;
  const padding = name.includes("pss") ? RSA_PKCS1_PSS_PADDING : RSA_PKCS1_PADDING;
  const options = name.startsWith("rsa") ? { key, padding, saltLength: RSA_PSS_SALTLEN_DIGEST } : key;
  return nodeCrypto.verify(hash === undefined ? null : `sha${hash}`, message, options, signature);
}

/** The keys of openssl that fit, so that no RSA key is generated here. */
const KEYS: Readonly<Record<string, string>> = {
  "ecdsa-sha2-256-nistp256": "openssl-p256-sec1.pem",
  "ecdsa-sha2-384-nistp384": "openssl-p384.pem",
  "ecdsa-sha2-512-nistp521": "openssl-p521.pem",
  ed25519: "openssl-ed25519.pem",
  "rsa-sign-pkcs1-2048-sha256": "openssl-rsa-2048-pkcs1.pem",
  "rsa-sign-pkcs1-3072-sha256": "openssl-rsa-3072.pem",
  "rsa-sign-pss-2048-sha256": "openssl-rsa-2048-pkcs1.pem",
  "rsa-sign-pss-3072-sha256": "openssl-rsa-pss-3072.pem",
};
/** OpenSSL has ML-DSA since 3.5. */
const hasMlDsa = Number(process.versions.openssl.split(".", 2).join("")) >= 35;

describe("a signer of a private key in this process", () => {
  test.each(Object.entries(KEYS))("signs a message with %s", async (name, file) => {
    const signer = await load(keyFile(file), { algorithm: name });
    expect(signer.algorithm.name).toBe(name);
    const signature = await signer.sign(MESSAGE);
    expect(isValid(name, signer, signature, MESSAGE)).toBe(true);
    expect(isValid(name, signer, signature, Buffer.from("another"))).toBe(false);
  });

  test.each(Object.entries(KEYS).filter(([name]) => name !== "ed25519"))(
    "signs a digest with %s, which then is a signature over the message",
    async (name, file) => {
      const signer = await load(keyFile(file), { algorithm: name });
      const digest = nodeCrypto
        .createHash(signer.algorithm.hash ?? "")
        .update(MESSAGE)
        .digest();
      const signature = await signer.signDigest?.(digest);
      expect(isValid(name, signer, signature ?? new Uint8Array(), MESSAGE)).toBe(true);
      await expect(signer.signDigest?.(digest.subarray(1))).rejects.toThrow(TypeError);
    },
  );

  test("signs a digest with RSA-PSS and a key for any padding too", async () => {
    const signer = await load(keyFile("openssl-rsa-3072.pem"), { algorithm: "rsa-sign-pss-3072-sha256" });
    const digest = nodeCrypto.createHash("sha256").update(MESSAGE).digest();
    const signature = (await signer.signDigest?.(digest)) ?? new Uint8Array();
    expect(isValid("rsa-sign-pss-3072-sha256", signer, signature, MESSAGE)).toBe(true);
    expect(isValid("rsa-sign-pkcs1-3072-sha256", signer, signature, MESSAGE)).toBe(false);
  });

  // RFC 8032 §7.3, "TEST abc"
  const SEED = "833fe62409237b9d62ec77587520911e9a759cec1d19755b7da901b96dca3d42";
  const PKCS8 = encodePem("PRIVATE KEY", Buffer.from(`302e020100300506032b657004220420${SEED}`, "hex"));
  const SIGNATURE =
    "98a70222f0b8121aa9d30f813d683f809e462b469c7ff87639499bb94e6dae41" +
    "31f85042463c2a355a2003d062adf5aaa10b8c61e636062aaad11c2a26083406";
  const ABC = Buffer.from("abc");

  test("makes the Ed25519ph signature of RFC 8032 §7.3, from the message and from its digest", async () => {
    const signer = await load(PKCS8, { algorithm: "ed25519-ph" });
    expect(Buffer.from(await signer.sign(ABC)).toString("hex")).toBe(SIGNATURE);
    const digest = nodeCrypto.createHash("sha512").update(ABC).digest();
    expect(Buffer.from((await signer.signDigest?.(digest)) ?? []).toString("hex")).toBe(SIGNATURE);
  });

  test("signs the message itself with an Ed25519 key, unless the hash of it is asked for", async () => {
    expect((await load(PKCS8)).algorithm.name).toBe("ed25519");
    expect(await load(PKCS8)).not.toHaveProperty("signDigest");
    expect((await load(PKCS8, { prehashed: true })).algorithm.name).toBe("ed25519-ph");
    expect((await load(PKCS8, { prehashed: true, algorithm: "ed25519" })).algorithm.name).toBe("ed25519");
    expect((await load(keyFile("openssl-p384.pem"), { prehashed: true })).algorithm.name).toBe(
      "ecdsa-sha2-384-nistp384",
    );
  });

  test("makes signatures over digests that openssl verifies", async () => {
    const folder = temporaryFolder();
    const verify = async (file: string, algorithm: string, ...options: string[]): Promise<string> => {
      const signer = await load(keyFile(file), { algorithm });
      const digest = nodeCrypto
        .createHash(signer.algorithm.hash ?? "")
        .update(MESSAGE)
        .digest();
      writeFileSync(join(folder, "signature"), (await signer.signDigest?.(digest)) ?? new Uint8Array());
      writeFileSync(join(folder, "digest"), digest);
      writeFileSync(join(folder, "key"), encodePem("PUBLIC KEY", signer.publicKey.spki));
      const args = [
        "pkeyutl",
        "-verify",
        "-pubin",
        "-inkey",
        "key",
        "-in",
        "digest",
        "-sigfile",
        "signature",
        ...options,
      ];
      return execFileSync("openssl", args, { cwd: folder, encoding: "utf8" }).trim();
    };
    const ok = "Signature Verified Successfully";
    expect(await verify("openssl-p521.pem", "ecdsa-sha2-512-nistp521")).toBe(ok);
    expect(await verify("openssl-rsa-3072.pem", "rsa-sign-pkcs1-3072-sha256", "-pkeyopt", "digest:sha256")).toBe(ok);
    const pss = ["digest:sha256", "rsa_padding_mode:pss", "rsa_pss_saltlen:32"].flatMap((option) => [
      "-pkeyopt",
      option,
    ]);
    expect(await verify("openssl-rsa-3072.pem", "rsa-sign-pss-3072-sha256", ...pss)).toBe(ok);
  });

  test.each(["p256-mixed.pem"])("gives no signature that does not verify: %s", async (file) => {
    const signer = await load(keyFile(file));
    await expect(signer.sign(MESSAGE)).rejects.toMatchObject({ code: "SIGNATURE_INVALID" });
    await expect(signer.signDigest?.(new Uint8Array(32))).rejects.toMatchObject({ code: "SIGNATURE_INVALID" });
  });

  test("makes another signature each time where the algorithm has a random number", async () => {
    const signer = await load(keyFile("openssl-p256-sec1.pem"));
    const digest = new Uint8Array(32).fill(1);
    const [first, second] = [await signer.signDigest?.(digest), await signer.signDigest?.(digest)];
    expect(first).not.toEqual(second);
  });

  test("does not sign when its signal was aborted", async () => {
    const reason = new Error("enough");
    const signer = await load(PKCS8);
    await expect(signer.sign(MESSAGE, AbortSignal.abort(reason))).rejects.toBe(reason);
  });
});

describe("the choice of an algorithm", () => {
  test("lists what the registry has for signing, and nothing deprecated", () => {
    // algorithm-registry.md, "Signature Algorithms"; 2048 bits are there for keys that exist
    expect(SIGNING_ALGORITHMS.toSorted()).toEqual(
      [
        "rsa-sign-pkcs1-2048-sha256",
        "rsa-sign-pkcs1-3072-sha256",
        "rsa-sign-pkcs1-4096-sha256",
        "rsa-sign-pss-2048-sha256",
        "rsa-sign-pss-3072-sha256",
        "rsa-sign-pss-4096-sha256",
        "ecdsa-sha2-256-nistp256",
        "ecdsa-sha2-384-nistp384",
        "ecdsa-sha2-512-nistp521",
        "ed25519",
        "ed25519-ph",
        "ml-dsa-44",
        "ml-dsa-65",
        "ml-dsa-87",
      ].toSorted(),
    );
  });

  test.each([
    ["openssl-p384.pem", "ecdsa-sha2-256-nistp384", "USAGE_INVALID"], // deprecated
    ["openssl-p384.pem", "ecdsa-sha2-512-nistp521", "USAGE_INVALID"],
    ["openssl-rsa-3072.pem", "rsa-sign-pkcs1-4096-sha256", "USAGE_INVALID"],
    ["openssl-rsa-pss-3072.pem", "rsa-sign-pkcs1-3072-sha256", "USAGE_INVALID"],
    ["openssl-ed25519.pem", "nonsense", "USAGE_INVALID"],
    ["rsa-2560.pem", undefined, "ALGORITHM_UNSUPPORTED"],
  ])("refuses %s with %s", async (file, algorithm, code) => {
    await expect(load(keyFile(file), algorithm === undefined ? {} : { algorithm })).rejects.toMatchObject({ code });
  });
});

describe("generateSigner", () => {
  test.each([undefined, "ecdsa-sha2-384-nistp384", "ecdsa-sha2-512-nistp521", "ed25519", "rsa-sign-pkcs1-2048-sha256"])(
    "makes a key for %s that signs",
    async (name) => {
      const signer = await (name === undefined ? generateSigner() : generateSigner(name));
      const expected = name ?? "ecdsa-sha2-256-nistp256"; // cosign's
      expect(signer.algorithm.name).toBe(expected);
      expect(isValid(expected, signer, await signer.sign(MESSAGE), MESSAGE)).toBe(true);
    },
  );

  test.skipIf(!hasMlDsa).each(["ml-dsa-44", "ml-dsa-65", "ml-dsa-87"])(
    "makes a key for %s that signs",
    async (name) => {
      const signer = await generateSigner(name);
      expect(isValid(name, signer, await signer.sign(MESSAGE), MESSAGE)).toBe(true);
      expect(signer).not.toHaveProperty("signDigest");
    },
  );

  test("makes another key each time", async () => {
    expect((await generateSigner()).publicKey.spki).not.toEqual((await generateSigner()).publicKey.spki);
  });

  test.each(["ecdsa-sha2-256-nistp521", "toString", ""])("refuses the name %j", async (name) => {
    await expect(generateSigner(name)).rejects.toMatchObject({ code: "USAGE_INVALID" });
  });
});
