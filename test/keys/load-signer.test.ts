import { chmodSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { encodePem } from "../../src/encoding/pem.ts";
import { loadSigner, type LoadSignerOptions } from "../../src/keys/load-signer.ts";
import { temporaryFolder } from "../support/cli.ts";
import { keyFile, keyPath, PASSWORD, passwordSource } from "../support/keys.ts";

const KEY = keyFile("openssl-p384-pbkdf2.pem");
const noFetch = (): Promise<Response> => Promise.reject(new Error("a test opened a socket"));

async function load(reference: string, options: LoadSignerOptions = {}): Promise<string> {
  const given = { environment: {}, fetch: noFetch, password: passwordSource(PASSWORD), ...options };
  return encodePem("PUBLIC KEY", (await loadSigner(reference, given)).publicKey.spki);
}

describe("loadSigner", () => {
  const expected = keyFile("openssl-p384.pub");

  test("reads a file, a variable of the environment, and what is at a URL", async () => {
    expect(await load(keyPath("openssl-p384-pbkdf2.pem"))).toBe(expected);
    expect(await load("env://KEY", { environment: { KEY } })).toBe(expected);
    const asked: string[] = [];
    const fetch = (url: string): Promise<Response> => {
      asked.push(url);
      return Promise.resolve(new Response(KEY));
    };
    expect(await load("https://keys.example.com/cosign.key", { fetch })).toBe(expected);
    expect(await load("http://keys.example.com/cosign.key", { fetch })).toBe(expected); // as cosign
    expect(asked).toEqual(["https://keys.example.com/cosign.key", "http://keys.example.com/cosign.key"]);
  });

  test("takes the password from COSIGN_PASSWORD where nothing else says it", async () => {
    const environment = { COSIGN_PASSWORD: PASSWORD };
    expect((await loadSigner(keyPath("openssl-p384-pbkdf2.pem"), { environment, fetch: noFetch })).algorithm.name).toBe(
      "ecdsa-sha2-384-nistp384",
    );
    await expect(loadSigner(keyPath("openssl-p384-pbkdf2.pem"), { environment: {} })).rejects.toMatchObject({
      code: "KEY_PASSWORD_MISSING",
    });
  });

  test("chooses the algorithm as it is told", async () => {
    const options = { environment: { COSIGN_PASSWORD: PASSWORD }, prehashed: true };
    expect((await loadSigner(keyPath("cosign-ed25519.key"), options)).algorithm.name).toBe("ed25519-ph");
  });

  test.each([
    ["awskms:///alias/key", "awskms:"],
    ["gcpkms://projects/p/locations/global/keyRings/r/cryptoKeys/k", "gcpkms:"],
    ["azurekms://vault/key", "azurekms:"],
    ["hashivault://key", "hashivault:"],
    ["k8s://namespace/secret", "k8s:"],
    ["gitlab://project", "gitlab:"],
    ["pkcs11:token=t;object=o?pin-value=1234", "pkcs11:"],
    ["other://thing", "other:"],
  ])("refuses %s, and says what it takes", async (reference, scheme) => {
    const error: unknown = await load(reference).catch((reason: unknown) => reason);
    expect(error).toMatchObject({ code: "USAGE_INVALID", expected: "a file, https://… or env://NAME" });
    expect(String(error)).toContain(`of the form ${scheme}…`);
    expect(JSON.stringify(error) + String(error)).not.toContain("1234");
  });

  test("refuses keys that are not encrypted, by name, and says how to import one", async () => {
    for (const name of ["openssl-p384.pem", "openssl-rsa-2048-pkcs1.pem", "openssl-p256-sec1.pem"]) {
      const error: unknown = await load(keyPath(name)).catch((reason: unknown) => reason);
      expect(error).toMatchObject({
        code: "PRIVATE_KEY_MALFORMED",
        remedy: expect.stringContaining("import-key-pair") as unknown,
      });
      expect(String(error)).toContain(name);
    }
  });

  test.each([
    ["a file that is not there", "/nonexistent/cosign.key", "FILE_NOT_FOUND"],
    ["a directory", "/", "FILE_IS_DIRECTORY"],
    ["a variable that is not set", "env://NOT_SET", "USAGE_INVALID"],
    ["a public key", keyPath("cosign-p256.pub"), "PRIVATE_KEY_MALFORMED"],
    ["a URL with credentials", "https://me:hunter2@keys.example.com/", "URL_INVALID"],
  ])("refuses %s", async (_, reference, code) => {
    const error: unknown = await load(reference).catch((reason: unknown) => reason);
    expect(error).toMatchObject({ code });
    expect(String(error)).not.toContain("hunter2");
  });

  test("does not say what a variable holds that is no key", async () => {
    const error: unknown = await load("env://KEY", { environment: { KEY: "hunter2" } }).catch(
      (reason: unknown) => reason,
    );
    expect(error).toMatchObject({ code: "PEM_MALFORMED" });
    expect(JSON.stringify(error) + String(error)).not.toContain("hunter2");
  });

  test.skipIf(process.getuid?.() === 0)("refuses a file that it may not read", async () => {
    const path = join(temporaryFolder(), "cosign.key");
    writeFileSync(path, KEY);
    chmodSync(path, 0);
    await expect(load(path)).rejects.toMatchObject({ code: "FILE_UNREADABLE" });
  });

  test("reads no more than a key can be", async () => {
    const path = join(temporaryFolder(), "cosign.key");
    writeFileSync(path, " ".repeat(70_000) + KEY);
    await expect(load(path)).rejects.toMatchObject({ code: "FILE_TOO_LARGE" });
    const fetch = (): Promise<Response> => Promise.resolve(new Response(" ".repeat(70_000)));
    await expect(load("https://keys.example.com/", { fetch })).rejects.toMatchObject({
      code: "HTTP_RESPONSE_TOO_LARGE",
    });
  });
});
