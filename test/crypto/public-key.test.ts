import crypto from "node:crypto";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { OID } from "../../src/asn1/oids.ts";
import {
  encodeBitString,
  encodeDer,
  encodeInteger,
  encodeNull,
  encodeOid,
  encodeSequence,
} from "../../src/asn1/writer.ts";
import { parsePublicKey, parsePublicKeyPem, parseRsaPublicKey } from "../../src/crypto/public-key.ts";
import { encodePem } from "../../src/encoding/pem.ts";
import { MAX_KEY_FILE_BYTES } from "../../src/limits.ts";
import { expectNoOtherError, SAMPLE, withFlippedByte } from "../support/hostile.ts";
import { sharedAvailable, sharedDir } from "../support/shared.ts";

const testdata = new URL("../../testdata/crypto/", import.meta.url);
const pem = (name: string): string => readFileSync(new URL(`${name}.pem`, testdata), "utf8");
const der = (name: string): Uint8Array =>
  new Uint8Array(Buffer.from(pem(name).replaceAll(/-----.*-----|\s/g, ""), "base64"));
const error = (code: string): unknown => expect.objectContaining({ code });

const spki = (algorithm: readonly Uint8Array[], key: Uint8Array): Uint8Array =>
  encodeSequence(encodeSequence(...algorithm), encodeBitString(key));
const ec = (point: Uint8Array, curve: string = OID.p256): Uint8Array =>
  spki([encodeOid(OID.ecPublicKey), encodeOid(curve)], point);
const rsaKey = (modulus: bigint, exponent: bigint): Uint8Array =>
  encodeSequence(encodeInteger(modulus), encodeInteger(exponent));
const rsa = (modulus: bigint, exponent = 65537n): Uint8Array =>
  spki([encodeOid(OID.rsaEncryption), encodeNull()], rsaKey(modulus, exponent));
const ed25519 = (key: Uint8Array, ...parameters: readonly Uint8Array[]): Uint8Array =>
  spki([encodeOid(OID.ed25519), ...parameters], key);

const POINT = parsePublicKey(der("p256")).keyBytes;
const MODULUS = 2n ** 2047n + 1n;
const ED25519 = parsePublicKey(der("ed25519")).keyBytes;
const fromInteger = (y: bigint, signOfX = false): Uint8Array =>
  new Uint8Array(Buffer.from(y.toString(16).padStart(64, "0"), "hex").reverse()).map((byte, i) =>
    i === 31 && signOfX ? byte | 0x80 : byte,
  );
const P25519 = 2n ** 255n - 19n;

describe("parsePublicKey (RFC 5280 §4.1.2.7)", () => {
  test.for([
    ["p256", "ecdsa-p256", { asymmetricKeyType: "ec", namedCurve: "prime256v1" }],
    ["p384", "ecdsa-p384", { asymmetricKeyType: "ec", namedCurve: "secp384r1" }],
    ["p521", "ecdsa-p521", { asymmetricKeyType: "ec", namedCurve: "secp521r1" }],
    ["rsa-2048", "rsa", { asymmetricKeyType: "rsa", modulusLength: 2048 }],
    ["rsa-2049", "rsa", { asymmetricKeyType: "rsa", modulusLength: 2049 }],
    ["rsa-2055", "rsa", { asymmetricKeyType: "rsa", modulusLength: 2055 }],
    ["rsa-2560", "rsa", { asymmetricKeyType: "rsa", modulusLength: 2560 }],
    ["rsa-4096", "rsa", { asymmetricKeyType: "rsa", modulusLength: 4096 }],
    ["rsa-exponent-3", "rsa", { asymmetricKeyType: "rsa", modulusLength: 2048 }],
    ["rsa-pss", "rsa-pss", { asymmetricKeyType: "rsa-pss", modulusLength: 2048 }],
    ["ed25519", "ed25519", { asymmetricKeyType: "ed25519" }],
  ] as const)("reads the key %s as openssl and node do", ([name, type, expected]) => {
    const key = parsePublicKey(der(name));
    const node = crypto.createPublicKey(pem(name));
    expect({ asymmetricKeyType: node.asymmetricKeyType, ...node.asymmetricKeyDetails }).toMatchObject(expected);
    expect(key.type).toBe(type);
    expect(key.modulusBits).toBe(node.asymmetricKeyDetails?.modulusLength);
    expect(Buffer.from(key.spki)).toEqual(node.export({ type: "spki", format: "der" }));
    if (type === "rsa") expect(Buffer.from(key.keyBytes)).toEqual(node.export({ type: "pkcs1", format: "der" }));
    if (type === "ed25519")
      expect(Buffer.from(key.keyBytes).toString("base64url")).toBe(node.export({ format: "jwk" }).x);
  });

  test("reads which hash and which least salt a key for PSS alone is for", () => {
    expect(parsePublicKey(der("rsa-pss-sha384-salt-24")).pss).toEqual({ hash: "sha384", saltLength: 24 });
    expect(parsePublicKey(der("rsa-pss")).pss).toBeUndefined();
  });

  test.for(["ml-dsa-44", "ml-dsa-65", "ml-dsa-87"] as const)("reads a key of %s that node made", (type) => {
    const { publicKey } = crypto.generateKeyPairSync(type as "ml-dsa-44");
    expect(parsePublicKey(new Uint8Array(publicKey.export({ type: "spki", format: "der" }))).type).toBe(type);
  });

  test.for(["secp256k1", "ed448", "x25519"])("refuses the key %s as unsupported", (name) => {
    expect(() => parsePublicKey(der(name))).toThrow(error("ALGORITHM_UNSUPPORTED"));
  });

  test.for(["p256-compressed", "p256-explicit", "rsa-1024", "rsa-2047", "rsa-4097", "rsa-exponent-33-bits"])(
    "refuses the key %s as malformed",
    (name) => {
      expect(() => parsePublicKey(der(name))).toThrow(error("PUBLIC_KEY_MALFORMED"));
    },
  );

  test("reads the keys that the refusals below start from", () => {
    for (const key of [
      ec(POINT),
      rsa(MODULUS),
      rsa(MODULUS, 3n),
      rsa(MODULUS, 2n ** 31n - 1n),
      rsa(2n ** 4096n - 1n),
      ed25519(ED25519),
    ]) {
      expect(parsePublicKey(key).spki).toEqual(key);
    }
  });

  test.for([
    ["is empty", new Uint8Array(0)],
    ["has a byte after it", Buffer.concat([ec(POINT), Buffer.of(0)])],
    [
      "has another value after its bits",
      encodeSequence(
        encodeSequence(encodeOid(OID.ecPublicKey), encodeOid(OID.p256)),
        encodeBitString(POINT),
        encodeNull(),
      ),
    ],
    ["has no bits", encodeSequence(encodeSequence(encodeOid(OID.ecPublicKey), encodeOid(OID.p256)))],
    [
      "has an OCTET STRING for its bits",
      encodeSequence(
        encodeSequence(encodeOid(OID.ecPublicKey), encodeOid(OID.p256)),
        encodeDer(0x04, Buffer.of(0), POINT),
      ),
    ],
    [
      "has unused bits",
      encodeSequence(
        encodeSequence(encodeOid(OID.ecPublicKey), encodeOid(OID.p256)),
        encodeDer(0x03, Buffer.of(1), POINT.with(64, 0)),
      ),
    ],
    ["has two parameters", spki([encodeOid(OID.ecPublicKey), encodeOid(OID.p256), encodeNull()], POINT)],
    ["is on a curve that it does not name", spki([encodeOid(OID.ecPublicKey)], POINT)],
    ["is on an implicit curve", spki([encodeOid(OID.ecPublicKey), encodeNull()], POINT)],
    [
      "names its curve in an OCTET STRING",
      spki([encodeOid(OID.ecPublicKey), encodeDer(0x04, encodeOid(OID.p256).subarray(2))], POINT),
    ],
    ["is a hybrid point", ec(POINT.with(0, 0x06 | ((POINT.at(-1) ?? 0) & 1)))],
    ["is the point at infinity", ec(Uint8Array.of(0))],
    ["is a point without coordinates", ec(Uint8Array.of(4))],
    ["is a point of no bytes", ec(new Uint8Array(0))],
    ["is a point that is too short", ec(POINT.subarray(0, 64))],
    ["is a point that is too long", ec(Uint8Array.of(...POINT, 0))],
    ["is a point of a smaller curve", ec(POINT, OID.p384)],
    ["is RSA without NULL", spki([encodeOid(OID.rsaEncryption)], rsaKey(MODULUS, 65537n))],
    [
      "is RSA with another parameter",
      spki([encodeOid(OID.rsaEncryption), encodeOid(OID.p256)], rsaKey(MODULUS, 65537n)),
    ],
    [
      "is RSA with a NULL that has content",
      spki([encodeOid(OID.rsaEncryption), encodeDer(0x05, Buffer.of(0))], rsaKey(MODULUS, 65537n)),
    ],
    ["has a modulus of 2047 bits", rsa(2n ** 2047n - 1n)],
    ["has a modulus of 4097 bits", rsa(2n ** 4096n + 1n)],
    ["has an even modulus", rsa(MODULUS + 1n)],
    ["has a negative modulus", rsa(-MODULUS)],
    ["has the modulus 0", rsa(0n)],
    ["has the exponent 0", rsa(MODULUS, 0n)],
    ["has the exponent 1", rsa(MODULUS, 1n)],
    ["has an even exponent", rsa(MODULUS, 65538n)],
    ["has a negative exponent", rsa(MODULUS, -3n)],
    ["has an exponent of 32 bits", rsa(MODULUS, 2n ** 31n + 1n)],
    ["has an exponent as long as the modulus", rsa(MODULUS, MODULUS - 2n)],
    [
      "has a third number beside modulus and exponent",
      spki(
        [encodeOid(OID.rsaEncryption), encodeNull()],
        encodeSequence(encodeInteger(MODULUS), encodeInteger(3n), encodeInteger(3n)),
      ),
    ],
    [
      "has bytes after modulus and exponent",
      spki([encodeOid(OID.rsaEncryption), encodeNull()], Buffer.concat([rsaKey(MODULUS, 3n), Buffer.of(0)])),
    ],
    ["is RSA for PSS with NULL", spki([encodeOid(OID.rsassaPss), encodeNull()], rsaKey(MODULUS, 65537n))],
    ["is RSA for PSS of 2047 bits", spki([encodeOid(OID.rsassaPss)], rsaKey(2n ** 2047n - 1n, 65537n))],
    ["is Ed25519 with NULL", ed25519(ED25519, encodeNull())],
    ["is Ed25519 of 31 bytes", ed25519(ED25519.subarray(1))],
    ["is Ed25519 of 33 bytes", ed25519(Uint8Array.of(...ED25519, 0))],
    ["is Ed25519 with y = p", ed25519(fromInteger(P25519))],
    ["is Ed25519 with y = 2^255 - 1", ed25519(fromInteger(2n ** 255n - 1n))],
    ["is Ed25519 with y = p + 2, negative", ed25519(fromInteger(P25519 + 2n, true))],
    ["is ML-DSA with NULL", spki([encodeOid(OID.mlDsa44), encodeNull()], new Uint8Array(1312))],
    ["is ML-DSA-44 and a byte short", spki([encodeOid(OID.mlDsa44)], new Uint8Array(1311))],
    ["is ML-DSA-65 as long as ML-DSA-44", spki([encodeOid(OID.mlDsa65)], new Uint8Array(1312))],
    ["is ML-DSA-87 and a byte long", spki([encodeOid(OID.mlDsa87)], new Uint8Array(2593))],
  ] as const)("rejects a key that %s", ([, bytes]) => {
    expect(() => parsePublicKey(bytes)).toThrow(error("PUBLIC_KEY_MALFORMED"));
  });

  test("reads Ed25519 with y = p - 2", () => {
    expect(parsePublicKey(ed25519(fromInteger(P25519 - 2n))).type).toBe("ed25519");
  });

  test("rejects the eight Ed25519 keys of small order", async () => {
    const { ED25519_TORSION_SUBGROUP } = await import("@noble/curves/ed25519.js");
    expect(ED25519_TORSION_SUBGROUP).toHaveLength(8);
    for (const point of ED25519_TORSION_SUBGROUP) {
      expect(() => parsePublicKey(ed25519(new Uint8Array(Buffer.from(point, "hex"))))).toThrow(
        error("PUBLIC_KEY_MALFORMED"),
      );
    }
  });

  test("refuses a key for PSS with a trailer field, with SHA-1, or with a salt that is longer than its hash", () => {
    const hash = encodeSequence(encodeOid(OID.sha256));
    const fields = [encodeDer(0xa0, hash), encodeDer(0xa1, encodeSequence(encodeOid(OID.mgf1), hash))];
    const pss = (...parameters: readonly Uint8Array[]): Uint8Array =>
      spki([encodeOid(OID.rsassaPss), encodeSequence(...parameters)], rsaKey(MODULUS, 65537n));
    expect(parsePublicKey(pss(...fields)).pss).toEqual({ hash: "sha256", saltLength: 20 }); // RFC 4055 §3.1: the default
    expect(parsePublicKey(pss(...fields, encodeDer(0xa2, encodeInteger(32n)))).pss?.saltLength).toBe(32);
    expect(() => parsePublicKey(pss(...fields, encodeDer(0xa2, encodeInteger(33n))))).toThrow(
      error("ALGORITHM_UNSUPPORTED"),
    );
    const otherMask = encodeDer(0xa1, encodeSequence(encodeOid(OID.sha256), hash));
    expect(() => parsePublicKey(pss(fields[0] as Uint8Array, otherMask))).toThrow(error("ALGORITHM_UNSUPPORTED"));
    const longMask = encodeDer(0xa1, encodeSequence(encodeOid(OID.mgf1), hash, hash));
    expect(() => parsePublicKey(pss(fields[0] as Uint8Array, longMask))).toThrow(error("PUBLIC_KEY_MALFORMED"));
    const inSet = spki([encodeOid(OID.rsassaPss), encodeDer(0x31, ...fields)], rsaKey(MODULUS, 65537n));
    expect(() => parsePublicKey(inSet)).toThrow(error("PUBLIC_KEY_MALFORMED"));
    expect(() => parsePublicKey(pss())).toThrow(error("ALGORITHM_UNSUPPORTED"));
    expect(() => parsePublicKey(pss(fields[0] as Uint8Array))).toThrow(error("ALGORITHM_UNSUPPORTED"));
    expect(() => parsePublicKey(pss(...fields, encodeDer(0xa3, encodeInteger(1n))))).toThrow(
      error("PUBLIC_KEY_MALFORMED"),
    );
    expect(() => parsePublicKey(pss(...fields, encodeDer(0xa2, encodeInteger(-1n))))).toThrow(
      error("PUBLIC_KEY_MALFORMED"),
    );
    expect(() => parsePublicKey(pss(...fields, encodeNull()))).toThrow(error("PUBLIC_KEY_MALFORMED"));
  });

  test.for(["p256", "p521", "rsa-2048", "rsa-pss-sha384-salt-24", "ed25519"])(
    "gives another key or a SigstoreError when a byte of %s changes or is cut off",
    (name) => {
      const valid = der(name);
      fc.assert(
        fc.property(fc.nat(valid.length - 1), fc.integer({ min: 1, max: 255 }), (at, pattern) => {
          const changed = withFlippedByte(valid, at, pattern);
          expect(expectNoOtherError(() => parsePublicKey(changed))?.spki ?? changed).toEqual(changed);
        }),
        SAMPLE,
      );
      for (let length = 0; length < valid.length; length++) {
        expect(() => parsePublicKey(valid.subarray(0, length))).toThrow(error("PUBLIC_KEY_MALFORMED"));
      }
    },
  );

  test("throws nothing but a SigstoreError for any bytes", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => void expectNoOtherError(() => parsePublicKey(bytes))),
      SAMPLE,
    );
    fc.assert(
      fc.property(
        fc.constantFrom(OID.ecPublicKey, OID.rsaEncryption, OID.rsassaPss, OID.ed25519, OID.mlDsa44),
        fc.uint8Array({ maxLength: 80 }),
        fc.uint8Array({ maxLength: 80 }),
        (oid, parameters, key) =>
          void expectNoOtherError(() => parsePublicKey(spki([encodeOid(oid), parameters], key))),
      ),
      SAMPLE,
    );
  });
});

describe("parsePublicKeyPem (RFC 7468 §13)", () => {
  test("reads a PUBLIC KEY block", () => {
    expect(parsePublicKeyPem(pem("p256"))).toEqual(parsePublicKey(der("p256")));
  });

  test("reads an RSA PUBLIC KEY block as the same key", () => {
    expect(parsePublicKeyPem(pem("rsa-3072-pkcs1"))).toEqual(parsePublicKeyPem(pem("rsa-3072")));
  });

  test.for([
    ["two keys", pem("p256") + pem("p384"), "PUBLIC_KEY_MALFORMED"],
    ["a key under another label", pem("p256").replaceAll("PUBLIC", "PRIVATE"), "PUBLIC_KEY_MALFORMED"],
    [
      "a key in PKCS #1 under the label of a SubjectPublicKeyInfo",
      pem("rsa-3072-pkcs1").replaceAll("RSA ", ""),
      "PUBLIC_KEY_MALFORMED",
    ],
    [
      "a SubjectPublicKeyInfo under the label of PKCS #1",
      pem("rsa-3072").replaceAll("PUBLIC", "RSA PUBLIC"),
      "PUBLIC_KEY_MALFORMED",
    ],
    ["no block", "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIA==", "PEM_MALFORMED"],
    ["nothing", "", "PEM_MALFORMED"],
    ["an unsupported key", pem("ed448"), "ALGORITHM_UNSUPPORTED"],
    ["a file that is too large", pem("p256").padEnd(MAX_KEY_FILE_BYTES + 1), "LIMIT_EXCEEDED"],
  ] as const)("rejects %s", ([, text, code]) => {
    expect(() => parsePublicKeyPem(text)).toThrow(error(code));
  });
});

describe("parseRsaPublicKey (RFC 8017 A.1.1)", () => {
  test("puts the key into a SubjectPublicKeyInfo", () => {
    const pkcs1 = new Uint8Array(crypto.createPublicKey(pem("rsa-4096")).export({ type: "pkcs1", format: "der" }));
    expect(parseRsaPublicKey(pkcs1)).toEqual(parsePublicKey(der("rsa-4096")));
  });

  test.for([
    ["has 1024 bits", rsaKey(2n ** 1023n + 1n, 65537n)],
    ["has the exponent 1", rsaKey(MODULUS, 1n)],
    ["has bytes after it", Buffer.concat([rsaKey(MODULUS, 3n), Buffer.of(0)])],
    ["is a SubjectPublicKeyInfo", rsa(MODULUS)],
  ] as const)("rejects a key that %s", ([, bytes]) => {
    expect(() => parseRsaPublicKey(bytes)).toThrow(error("PUBLIC_KEY_MALFORMED"));
  });
});

describe.skipIf(!sharedAvailable())("parsePublicKeyPem (keys of cosign and sigstore)", () => {
  const folder = join(sharedDir, "conformance/vectors/keys");
  const cases = existsSync(folder)
    ? (
        JSON.parse(readFileSync(join(folder, "cases.json"), "utf8")) as {
          cases: { file: string; publicKey?: string; expect: string; form: string }[];
        }
      ).cases
    : [];

  test.for(cases.flatMap(({ publicKey }) => publicKey ?? []))("reads %s", (file) => {
    expect(parsePublicKeyPem(readFileSync(join(folder, file), "utf8")).type).toMatch(/^(ecdsa-p256|rsa)$/);
  });

  test.for(cases.filter((entry) => entry.expect === "reject" && entry.form === "plain").map(({ file }) => file))(
    "refuses the public half of %s",
    (file) => {
      const half = crypto
        .createPublicKey(readFileSync(join(folder, file), "utf8"))
        .export({ type: "spki", format: "der" });
      expect(() => parsePublicKeyPem(encodePem("PUBLIC KEY", new Uint8Array(half)))).toThrow(
        error("PUBLIC_KEY_MALFORMED"),
      );
    },
  );
});
