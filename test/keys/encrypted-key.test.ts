import { describe, expect, test } from "vitest";
import { encodePem, parsePem } from "../../src/encoding/pem.ts";
import { encodeUtf8 } from "../../src/encoding/utf8.ts";
import { SigstoreError } from "../../src/errors.ts";
import {
  decryptKey,
  deriveKey,
  encryptKey,
  openSecretbox,
  parseEncryptedKey,
  type EncryptedKey,
} from "../../src/keys/encrypted-key.ts";
import { readPrivateKey } from "../../src/keys/private-key.ts";
import { keyFile, PASSWORD, passwordSource } from "../support/keys.ts";

const hex = (digits: string): Uint8Array => Uint8Array.from(Buffer.from(digits, "hex"));
const COSIGN = keyFile("cosign-p256.key");
const JSON_OF_COSIGN = parsePem(COSIGN)[0]?.bytes ?? new Uint8Array();
const TEXT = new TextDecoder().decode(JSON_OF_COSIGN);
const PARSED = parseEncryptedKey(JSON_OF_COSIGN);

describe("the cryptography of an encrypted key", () => {
  test("derives the key of RFC 7914 §12", async () => {
    // Its third vector is 64 bytes long; PBKDF2 gives the first 32 alike, whatever follows.
    const derived = await deriveKey(encodeUtf8("pleaseletmein"), encodeUtf8("SodiumChloride"), {
      N: 16_384,
      r: 8,
      p: 1,
    });
    expect(derived).toEqual(hex("7023bdcb3afd7348461c06cd81fd38ebfda8fbba904f8e3ea9b543f6545da1f2"));
  });

  // NaCl 20110221, tests/secretbox.c
  const KEY = hex("1b27556473e985d462cd51197a9a46c76009549eac6474f206c4ee0844f68389");
  const NONCE = hex("69696ee955b62b73cd62bda875fc73d68219e0036b7a0b37");
  const MESSAGE = hex(
    "be075fc53c81f2d5cf141316ebeb0c7b5228c52a4c62cbd44b66849b64244ffce5ecbaaf33bd751a1ac728d45e6c61296cdc3c01233561f4" +
      "1db66cce314adb310e3be8250c46f06dceea3a7fa1348057e2f6556ad6b1318a024a838f21af1fde048977eb48f59ffd4924ca1c60902e52" +
      "f0a089bc76897040e082f937763848645e0705",
  );
  const CIPHERTEXT = hex(
    "f3ffc7703f9400e52a7dfb4b3d3305d98e993b9f48681273c29650ba32fc76ce48332ea7164d96a4476fb8c531a1186ac0dfc17c98dce87b" +
      "4da7f011ec48c97271d2c20f9b928fe2270d6fb863d51738b48eeee314a7cc8ab932164548e526ae90224368517acfeabd6bb3732bc0e9da" +
      "99832b61ca01b6de56244a9e88d5f9b37973f622a43d14a6599b1f654cb45a74e355a5",
  );

  test("opens the secretbox of NaCl's own test", async () => {
    expect(await openSecretbox({ nonce: NONCE, ciphertext: CIPHERTEXT }, KEY)).toEqual(MESSAGE);
  });

  test("opens none with a changed bit", async () => {
    for (let at = 0; at < CIPHERTEXT.length; at += 5) {
      const ciphertext = CIPHERTEXT.slice();
      ciphertext[at] = (ciphertext[at] as number) ^ (1 << (at % 8));
      await expect(openSecretbox({ nonce: NONCE, ciphertext }, KEY), String(at)).rejects.toThrow("invalid tag");
    }
  });
});

describe("encryptKey", () => {
  test("writes what cosign wrote, byte for byte, from the same key, password, salt and nonce", async () => {
    const random = [PARSED.salt, PARSED.nonce];
    const pkcs8 = await decryptKey(PARSED, encodeUtf8(PASSWORD));
    const json = await encryptKey(pkcs8, encodeUtf8(PASSWORD), () => random.shift() ?? new Uint8Array());
    expect(encodePem("ENCRYPTED SIGSTORE PRIVATE KEY", json)).toBe(COSIGN);
  });

  test("takes another salt and another nonce each time", async () => {
    const encrypt = async (): Promise<EncryptedKey> =>
      parseEncryptedKey(await encryptKey(Uint8Array.of(1), Uint8Array.of()));
    const [first, second] = [await encrypt(), await encrypt()];
    expect(first.salt).not.toEqual(second.salt);
    expect(first.nonce).not.toEqual(second.nonce);
  });
});

describe("parseEncryptedKey", () => {
  const parse = (text: string): EncryptedKey => parseEncryptedKey(encodeUtf8(text));

  test("reads what cosign wrote", () => {
    expect(PARSED).toMatchObject({ parameters: { N: 65_536, r: 8, p: 1 } });
    expect([PARSED.salt.length, PARSED.nonce.length]).toEqual([32, 24]);
  });

  test.each([
    ["asks scrypt for more than cosign does", '"N":65536', '"N":262144'],
    ["asks for an absurd N", '"N":65536', '"N":1e300'],
    ["asks for a negative N", '"N":65536', '"N":-65536'],
    ["writes N as text", '"N":65536', '"N":"65536"'],
    ["has another r", '"r":8', '"r":9'],
    ["has another p", '"p":1', '"p":2'],
    ["lacks p", ',"p":1', ""],
    ["names another key derivation", '"scrypt"', '"argon2id"'],
    ["names another cipher", "nacl/secretbox", "aes-256-gcm"],
    ["has a field that nobody knows", '"kdf":', '"x":1,"kdf":'],
    ["spells a field otherwise", '"ciphertext"', '"Ciphertext"'],
    ["has a shorter salt", /"salt":"....../, '"salt":"AA'],
    ["has a salt that is not base64", /"salt":"./, '"salt":"-'],
    ["has a shorter nonce", /"nonce":"..../, '"nonce":"'],
    ["has nothing encrypted", /"ciphertext":"[^"]*"/, '"ciphertext":"AAAAAAAAAAAAAAAAAAAAAA=="'],
    ["is not JSON", "{", "["],
  ])("refuses one that %s", (_, from, to) => {
    const changed = TEXT.replace(from, to);
    expect(changed).not.toBe(TEXT);
    expect(() => parse(changed)).toThrow(expect.objectContaining({ code: "PRIVATE_KEY_MALFORMED" }));
  });

  test("refuses one that says something twice", () => {
    expect(() => parse(TEXT.replace('"r":8', '"r":8,"r":8'))).toThrow(
      expect.objectContaining({ code: "JSON_DUPLICATE_KEY" }),
    );
  });
});

describe("a file of which one bit is changed", () => {
  const same = (a: Uint8Array, b: Uint8Array): boolean => Buffer.from(a).equals(b);

  test("is refused, or brings another salt, nonce or ciphertext: never what was encrypted", async () => {
    const file = Buffer.from(COSIGN);
    const secret = await deriveKey(encodeUtf8(PASSWORD), PARSED.salt, PARSED.parameters);
    let readable = 0;
    const otherSalts: EncryptedKey[] = [];
    for (let bit = 0; bit < file.length * 8; bit += 1) {
      const changed = Buffer.from(file);
      changed[bit >> 3] = (changed[bit >> 3] as number) ^ (1 << (bit & 7));
      let parsed: EncryptedKey;
      try {
        const blocks = parsePem(new TextDecoder("utf-8", { fatal: true }).decode(changed));
        if (blocks[0]?.label !== "ENCRYPTED SIGSTORE PRIVATE KEY") continue; // no such label: see below
        parsed = parseEncryptedKey(blocks[0].bytes);
      } catch (error) {
        expect(error instanceof SigstoreError || error instanceof TypeError, String(error)).toBe(true);
        continue;
      }
      readable += 1;
      if (!same(parsed.salt, PARSED.salt)) otherSalts.push(parsed);
      else await expect(openSecretbox(parsed, secret)).rejects.toThrow("invalid tag");
    }
    expect(readable).toBeGreaterThan(500);
    for (const parsed of [otherSalts.at(0), otherSalts.at(-1)])
      await expect(decryptKey(parsed as EncryptedKey, encodeUtf8(PASSWORD))).rejects.toMatchObject({
        code: "KEY_PASSWORD_WRONG",
      });
  });

  test("gives a SigstoreError without asking for much, wherever the bit is", async () => {
    const file = Buffer.from(COSIGN);
    // Whole bytes here: a password is asked for only where the file can be read, and is not given.
    for (let bit = 0; bit < file.length * 8; bit += 1) {
      const changed = Buffer.from(file);
      changed[bit >> 3] = (changed[bit >> 3] as number) ^ (1 << (bit & 7));
      const error: unknown = await readPrivateKey(changed, passwordSource(undefined)).catch(
        (reason: unknown) => reason,
      );
      expect(error, String(bit)).toBeInstanceOf(SigstoreError);
    }
  });
});
