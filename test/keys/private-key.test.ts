import { execFileSync } from "node:child_process";
import { createPrivateKey, createPublicKey, generateKeyPairSync } from "node:crypto";
import { readFileSync } from "node:fs";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { encodePem } from "../../src/encoding/pem.ts";
import { SigstoreError } from "../../src/errors.ts";
import { generateKeyPair } from "../../src/keys/generate.ts";
import { changePassword, importKeyPair, readPrivateKey, type PrivateKeyOptions } from "../../src/keys/private-key.ts";
import type { Signer } from "../../src/keys/signer.ts";
import { MAX_KEY_FILE_BYTES } from "../../src/limits.ts";
import { damaged, DAMAGES } from "../support/damage.ts";
import { SAMPLE } from "../support/hostile.ts";
import { keyFile, keyPath, PASSWORD, passwordSource } from "../support/keys.ts";

const publicPem = ({ publicKey }: Signer): string => encodePem("PUBLIC KEY", publicKey.spki);
const read = (
  pem: string | Uint8Array,
  options: PrivateKeyOptions = {},
  password: string | undefined = PASSWORD,
): Promise<Signer> => readPrivateKey(pem, passwordSource(password), options);

describe("readPrivateKey", () => {
  test.each(["ec", "ed25519"] as const)(
    "reads or refuses an %s key that is damaged, with no other error than ours",
    async (kind) => {
      const { privateKey } =
        kind === "ec" ? generateKeyPairSync("ec", { namedCurve: "P-256" }) : generateKeyPairSync("ed25519");
      const der = privateKey.export({ format: "der", type: "pkcs8" });
      await fc.assert(
        fc.asyncProperty(DAMAGES, async (damages) => {
          const pem = encodePem("PRIVATE KEY", damaged(der, damages));
          const outcome = await read(pem, { allowUnencrypted: true })
            .then((signer) => signer.sign(Uint8Array.of(1)))
            .catch((error: unknown) => error);
          if (!(outcome instanceof Uint8Array)) expect(outcome).toBeInstanceOf(SigstoreError);
        }),
        { ...SAMPLE, numRuns: 200 },
      );
    },
  );

  test.each([
    ["cosign-p256", "ecdsa-sha2-256-nistp256"],
    ["cosign-p384", "ecdsa-sha2-384-nistp384"],
    ["cosign-p521", "ecdsa-sha2-512-nistp521"],
    ["cosign-ed25519", "ed25519"],
    ["cosign-rsa-2048-pkcs1", "rsa-sign-pkcs1-2048-sha256"],
    ["cosign-old-p256", "ecdsa-sha2-256-nistp256"],
  ])("reads %s.key, which cosign wrote", async (name, algorithm) => {
    const signer = await read(keyFile(`${name}.key`));
    expect(publicPem(signer)).toBe(keyFile(`${name}.pub`));
    expect(signer.algorithm.name).toBe(algorithm);
  });

  test("reads a key with the largest parameters that cosign knows", async () => {
    expect(publicPem(await read(keyFile("cosign-owasp-p256.key")))).toBe(keyFile("cosign-old-p256.pub"));
  });

  test("reads a key under an empty password, which is not the same as none", async () => {
    const key = keyFile("cosign-p256-empty-password.key");
    expect(publicPem(await read(key, {}, ""))).toBe(keyFile("cosign-p256-empty-password.pub"));
    await expect(readPrivateKey(key, passwordSource(undefined))).rejects.toMatchObject({
      code: "KEY_PASSWORD_MISSING",
    });
  });

  test("takes a password as bytes", async () => {
    const signer = await readPrivateKey(keyFile("openssl-p384-pbkdf2.pem"), passwordSource(Buffer.from(PASSWORD)));
    expect(publicPem(signer)).toBe(keyFile("openssl-p384.pub"));
  });

  test.each(["openssl-p384-pbkdf2.pem", "openssl-p384-scrypt.pem"])("reads %s, encrypted by openssl", async (name) => {
    expect(publicPem(await read(keyFile(name)))).toBe(keyFile("openssl-p384.pub"));
  });

  test.each([
    "openssl-p256-sec1",
    "openssl-p384",
    "openssl-p521",
    "openssl-ed25519",
    "openssl-rsa-2048-pkcs1",
    "openssl-rsa-3072",
    "openssl-rsa-pss-3072",
  ])("reads %s.pem, which is not encrypted, where that is allowed, and asks for no password", async (name) => {
    const pem = keyFile(`${name}.pem`);
    const password = passwordSource(undefined);
    expect(publicPem(await readPrivateKey(pem, password, { allowUnencrypted: true }))).toBe(keyFile(`${name}.pub`));
    expect(password.asked).toBe(0);
    await expect(readPrivateKey(pem, password)).rejects.toMatchObject({
      code: "PRIVATE_KEY_MALFORMED",
      message: expect.stringMatching(/^unsupported pem type: (?:RSA |EC )?PRIVATE KEY/) as unknown, // cosign's words
    });
  });

  test.each(["cosign-p256.key", "openssl-p384-pbkdf2.pem", "openssl-p384-scrypt.pem"])(
    "refuses another password for %s, after asking once",
    async (name) => {
      const password = passwordSource("correct horsf");
      await expect(readPrivateKey(keyFile(name), password)).rejects.toMatchObject({ code: "KEY_PASSWORD_WRONG" });
      expect(password.asked).toBe(1);
    },
  );

  test("says that a newline counts, where the password ends in one", async () => {
    const error = await read(keyFile("openssl-p384-pbkdf2.pem"), {}, `${PASSWORD}\n`).catch(
      (reason: unknown) => reason,
    );
    expect(error).toMatchObject({ code: "KEY_PASSWORD_WRONG", remedy: expect.stringContaining("newline") as unknown });
  });

  test.each([
    ["a public key", "cosign-p256.pub", "PRIVATE_KEY_MALFORMED"],
    ["OpenSSL's old encryption", "openssl-p256-sec1-encrypted.pem", "PRIVATE_KEY_MALFORMED"],
    ["OpenSSH's format", "openssh-ed25519.pem", "PRIVATE_KEY_MALFORMED"],
    ["PBES1", "openssl-p384-pbes1.pem", "ALGORITHM_UNSUPPORTED"],
    ["more rounds of PBKDF2 than anybody needs", "openssl-p384-pbkdf2-2000001.pem", "LIMIT_EXCEEDED"],
    ["RSA with 1024 bits", "rsa-1024.pem", "PRIVATE_KEY_MALFORMED"],
    ["RSA with a size that Sigstore does not know", "rsa-2560.pem", "ALGORITHM_UNSUPPORTED"],
    ["secp256k1", "secp256k1.pem", "ALGORITHM_UNSUPPORTED"],
    ["Ed448", "ed448.pem", "ALGORITHM_UNSUPPORTED"],
    ["prose", "README.md", "PEM_MALFORMED"],
  ])("refuses %s", async (_, name, code) => {
    const password = passwordSource(PASSWORD);
    await expect(readPrivateKey(keyFile(name), password, { allowUnencrypted: true })).rejects.toMatchObject({ code });
    expect(password.asked).toBe(0);
  });

  test.each([
    ["DER", readFileSync(keyPath("openssl-p256.der")), "PRIVATE_KEY_MALFORMED"],
    ["two keys", keyFile("openssl-p384.pem") + keyFile("openssl-p521.pem"), "PRIVATE_KEY_MALFORMED"],
    ["nothing", "", "PEM_MALFORMED"],
    [
      "the curve alone",
      keyFile("openssl-p256-sec1.pem").split("-----BEGIN EC PRI", 1).join(""),
      "PRIVATE_KEY_MALFORMED",
    ],
    ["something large", " ".repeat(MAX_KEY_FILE_BYTES) + keyFile("openssl-p384.pem"), "LIMIT_EXCEEDED"],
    ["bytes that are no key", encodePem("PRIVATE KEY", Uint8Array.of(0x30, 0x00)), "PRIVATE_KEY_MALFORMED"],
    ["bytes that are no DER", encodePem("EC PRIVATE KEY", Buffer.from("not a key")), "PRIVATE_KEY_MALFORMED"],
    ["encrypted bytes that are no DER", encodePem("ENCRYPTED PRIVATE KEY", Buffer.from("no")), "PRIVATE_KEY_MALFORMED"],
  ])("refuses %s", async (_, pem, code) => {
    await expect(read(pem, { allowUnencrypted: true })).rejects.toMatchObject({ code });
  });

  test("refuses bytes behind the key, which OpenSSL takes", async () => {
    const der = Buffer.concat([readFileSync(keyPath("openssl-p256.der")), Buffer.alloc(1)]);
    expect(createPrivateKey({ key: der, format: "der", type: "pkcs8" }).type).toBe("private");
    await expect(read(encodePem("PRIVATE KEY", der), { allowUnencrypted: true })).rejects.toMatchObject({
      code: "PRIVATE_KEY_MALFORMED",
    });
  });

  test("refuses a scrypt in PKCS #8 that asks for much", async () => {
    // N 16384, r 8, p 1 as openssl writes them
    const der = Buffer.from(
      keyFile("openssl-p384-scrypt.pem")
        .split("\n")
        .filter((line) => !line.startsWith("-"))
        .join(""),
      "base64",
    );
    const at = der.indexOf(Buffer.from("02024000020108020101", "hex"));
    expect(at).toBeGreaterThan(0);
    const costly = Buffer.from(der);
    costly[at + 9] = 0x7f; // p
    await expect(read(encodePem("ENCRYPTED PRIVATE KEY", costly))).rejects.toMatchObject({ code: "LIMIT_EXCEEDED" });
    costly[at + 9] = 0x01;
    costly[at + 2] = 0xff; // N, negative
    const error: unknown = await read(encodePem("ENCRYPTED PRIVATE KEY", costly)).catch((reason: unknown) => reason);
    expect(error).toBeInstanceOf(SigstoreError);
  });

  test("gives a SigstoreError for any byte of a key that is changed, or a key that signs nothing wrong", async () => {
    const der = readFileSync(keyPath("openssl-p256.der"));
    for (let at = 0; at < der.length; at += 1) {
      const changed = Buffer.from(der);
      changed[at] = (changed[at] as number) ^ 0x55;
      const outcome: unknown = await read(encodePem("PRIVATE KEY", changed), { allowUnencrypted: true })
        .then((signer) => signer.sign(Uint8Array.of(1)))
        .catch((reason: unknown) => reason);
      expect(outcome instanceof SigstoreError || outcome instanceof Uint8Array, `${at}: ${String(outcome)}`).toBe(true);
    }
  });

  test("tells no secret, whatever goes wrong", async () => {
    const secrets = [/correct horse/, /hunter2/, /MIG[A-Za-z0-9+/]{8}/];
    const tries: readonly (() => Promise<unknown>)[] = [
      () => read(keyFile("cosign-p256.key"), {}, "hunter2"),
      () => read(keyFile("openssl-p384-pbkdf2.pem"), {}, "hunter2"),
      () => read(keyFile("openssl-p384.pem")),
      () => read(keyFile("openssl-p384.pem").replace("PRIVATE", "SECRET"), { allowUnencrypted: true }),
      () => read(keyFile("openssl-p384.pem").replace("-----END", "---END"), { allowUnencrypted: true }),
      () => read(encodePem("PRIVATE KEY", Buffer.from("hunter2")), { allowUnencrypted: true }),
    ];
    for (const attempt of tries) {
      let error: unknown = await attempt().catch((reason: unknown) => reason);
      expect(error).toBeInstanceOf(SigstoreError);
      for (; error instanceof Error; error = error.cause) {
        const shown = JSON.stringify(
          error,
          Object.getOwnPropertyNames(error).filter((name) => name !== "cause"),
        );
        for (const secret of secrets) expect(shown).not.toMatch(secret);
      }
    }
  });
});

describe("importKeyPair", () => {
  test.each(["openssl-p256-sec1", "openssl-rsa-3072"])(
    "encrypts %s.pem under a password, and writes its public key",
    async (name) => {
      const pair = await importKeyPair({ pem: keyFile(`${name}.pem`), password: "new" });
      expect(pair.publicKeyPem).toBe(keyFile(`${name}.pub`));
      expect(pair.privateKeyPem).toMatch(
        /^-----BEGIN ENCRYPTED SIGSTORE PRIVATE KEY-----\n(?:[A-Za-z0-9+/=]{1,64}\n)+-----END/,
      );
      expect(publicPem(await read(pair.privateKeyPem, {}, "new"))).toBe(pair.publicKeyPem);
    },
  );

  test("asks for the old password where there is one, and for the new one when the key is known to be good", async () => {
    const old = passwordSource(PASSWORD);
    const fresh = passwordSource("new");
    const pair = await importKeyPair({ pem: keyFile("openssl-p384-pbkdf2.pem"), oldPassword: old, password: fresh });
    expect([pair.publicKeyPem, old.asked, fresh.asked]).toEqual([keyFile("openssl-p384.pub"), 1, 1]);
    await expect(importKeyPair({ pem: keyFile("rsa-exponent-3.pem"), password: fresh })).rejects.toThrow(SigstoreError);
    expect(fresh.asked).toBe(1);
  });

  test.each([
    ["an exponent of 3", "rsa-exponent-3.pem"],
    ["primes that lie close together", "rsa-close-primes.pem"],
    ["primes of different length", "rsa-uneven-primes.pem"],
    ["a public half of another key", "p256-mixed.pem"],
    ["too few bits", "rsa-1024.pem"],
  ])("refuses a key with %s", async (_, name) => {
    await expect(importKeyPair({ pem: keyFile(name), password: "" })).rejects.toMatchObject({
      code: "PRIVATE_KEY_MALFORMED",
    });
  });

  test("refuses to guess a password", async () => {
    const pem = keyFile("openssl-p384-pbkdf2.pem");
    await expect(importKeyPair({ pem, password: PASSWORD })).rejects.toMatchObject({ code: "KEY_PASSWORD_MISSING" });
    const nothing = passwordSource(undefined);
    await expect(importKeyPair({ pem: keyFile("openssl-p384.pem"), password: nothing })).rejects.toMatchObject({
      code: "KEY_PASSWORD_MISSING",
    });
  });
});

describe("changePassword", () => {
  test("keeps the key, and makes the old password useless", async () => {
    const pair = await changePassword({
      pem: keyFile("cosign-old-p256.key"),
      oldPassword: PASSWORD,
      password: "other",
    });
    expect(pair.publicKeyPem).toBe(keyFile("cosign-old-p256.pub"));
    expect(publicPem(await read(pair.privateKeyPem, {}, "other"))).toBe(pair.publicKeyPem);
    await expect(read(pair.privateKeyPem)).rejects.toMatchObject({ code: "KEY_PASSWORD_WRONG" });
  });

  test("takes no key that has no password", async () => {
    await expect(
      changePassword({ pem: keyFile("openssl-p384.pem"), oldPassword: "", password: "x" }),
    ).rejects.toMatchObject({ code: "PRIVATE_KEY_MALFORMED" });
  });
});

describe("generateKeyPair", () => {
  test.each([
    [undefined, "ec", "prime256v1"],
    ["ed25519-ph", "ed25519", undefined],
  ])("makes a pair for %s", async (algorithm, type, namedCurve) => {
    const pair = await generateKeyPair({ password: "", ...(algorithm === undefined ? {} : { algorithm }) });
    const key = createPublicKey(pair.publicKeyPem);
    expect([key.asymmetricKeyType, key.asymmetricKeyDetails?.namedCurve]).toEqual([type, namedCurve]);
    expect(publicPem(await read(pair.privateKeyPem, {}, ""))).toBe(pair.publicKeyPem);
    expect(execFileSync("openssl", ["pkey", "-pubin", "-noout"], { input: pair.publicKeyPem }).length).toBe(0);
  });

  test.each(["rsa-sign-pkcs1-2048-sha256", "rsa-sign-pss-2048-sha256", "ecdsa-sha2-256-nistp384", "nonsense"])(
    "makes none for %s, which the registry does not let one sign with",
    async (algorithm) => {
      const password = passwordSource("");
      await expect(generateKeyPair({ algorithm, password })).rejects.toMatchObject({ code: "USAGE_INVALID" });
      expect(password.asked).toBe(0);
    },
  );

  test("needs a password, even an empty one", async () => {
    await expect(generateKeyPair({ password: passwordSource(undefined) })).rejects.toMatchObject({
      code: "KEY_PASSWORD_MISSING",
    });
  });
});
