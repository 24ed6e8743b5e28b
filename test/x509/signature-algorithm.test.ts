import { constants, generateKeyPairSync, sign } from "node:crypto";
import { describe, expect, test } from "vitest";
import { parseDer } from "../../src/asn1/der.ts";
import { defaultCryptoProvider } from "../../src/crypto/provider.ts";
import { parsePublicKey } from "../../src/crypto/public-key.ts";
import { checkSignature, parseSignatureAlgorithm } from "../../src/x509/signature-algorithm.ts";
import { bytes, ctx, ecKeys, int, nul, octets, oid, seq, spkiOf } from "../support/certificates.ts";

const withCode = (code: unknown): unknown => expect.objectContaining({ code });
const parse = (...parts: readonly Uint8Array[]): ReturnType<typeof parseSignatureAlgorithm> =>
  parseSignatureAlgorithm(parseDer(seq(...parts)));
const UNSUPPORTED = { scheme: undefined, hash: undefined };

const SHA1 = seq(oid("1.3.14.3.2.26"), nul());
const SHA256 = seq(oid("2.16.840.1.101.3.4.2.1"), nul());
const SHA384 = seq(oid("2.16.840.1.101.3.4.2.2"), nul());
const mgf1 = (hash: Uint8Array): Uint8Array => seq(oid("1.2.840.113549.1.1.8"), hash);
const PSS = oid("1.2.840.113549.1.1.10");
interface PssFields {
  readonly hash?: Uint8Array;
  readonly mask?: Uint8Array;
  readonly salt?: Uint8Array;
  readonly trailer?: Uint8Array;
}
const pss = ({
  hash = ctx(0, SHA256),
  mask = ctx(1, mgf1(SHA256)),
  salt = ctx(2, int(32)),
  trailer = bytes(),
}: PssFields): readonly Uint8Array[] => [PSS, seq(hash, mask, salt, trailer)];

describe("parseSignatureAlgorithm (RFC 5280 §4.1.1.2)", () => {
  // RFC 5758 §3.2, RFC 4055 §5, RFC 8410 §3, RFC 9881 §2
  test.for<[string, readonly Uint8Array[], unknown]>([
    ["1.2.840.10045.4.3.2", [], { scheme: "ecdsa", hash: "sha256" }],
    ["1.2.840.10045.4.3.3", [], { scheme: "ecdsa", hash: "sha384" }],
    ["1.2.840.10045.4.3.4", [], { scheme: "ecdsa", hash: "sha512" }],
    ["1.2.840.113549.1.1.11", [nul()], { scheme: "rsa-pkcs1", hash: "sha256" }],
    ["1.2.840.113549.1.1.11", [], { scheme: "rsa-pkcs1", hash: "sha256" }],
    ["1.2.840.113549.1.1.12", [nul()], { scheme: "rsa-pkcs1", hash: "sha384" }],
    ["1.2.840.113549.1.1.13", [nul()], { scheme: "rsa-pkcs1", hash: "sha512" }],
    ["1.3.101.112", [], { scheme: "ed25519", hash: undefined }],
    ["2.16.840.1.101.3.4.3.17", [], { scheme: "ml-dsa", keyType: "ml-dsa-44" }],
    ["2.16.840.1.101.3.4.3.18", [], { scheme: "ml-dsa", keyType: "ml-dsa-65" }],
    ["2.16.840.1.101.3.4.3.19", [], { scheme: "ml-dsa", keyType: "ml-dsa-87" }],
    ["1.2.840.113549.1.1.5", [nul()], UNSUPPORTED],
    ["1.2.840.10045.4.1", [], UNSUPPORTED],
    ["1.2.3", [octets(bytes(1))], UNSUPPORTED],
  ])("reads %s with %j", ([dotted, parameters, expected]) => {
    expect(parse(oid(dotted), ...parameters)).toMatchObject({ oid: dotted, ...(expected as object) });
  });

  test.for<[string, readonly Uint8Array[]]>([
    ["ECDSA with NULL", [oid("1.2.840.10045.4.3.2"), nul()]],
    ["Ed25519 with NULL", [oid("1.3.101.112"), nul()]],
    ["RSA with an octet string", [oid("1.2.840.113549.1.1.11"), octets(bytes())]],
    ["RSA with two NULLs", [oid("1.2.840.113549.1.1.11"), nul(), nul()]],
    ["RSA with a NULL that has content", [oid("1.2.840.113549.1.1.11"), bytes(5, 1, 0)]],
    ["RSASSA-PSS without parameters", [PSS]],
    ["RSASSA-PSS with NULL", [PSS, nul()]],
    ["RSASSA-PSS with a fifth parameter", pss({ trailer: bytes(ctx(3, int(1)), ctx(4, int(1))) })],
    ["RSASSA-PSS with its parameters in the wrong order", pss({ hash: ctx(1, mgf1(SHA256)), mask: ctx(0, SHA256) })],
    ["RSASSA-PSS with a negative salt length", pss({ salt: ctx(2, int(0xff)) })],
    [
      "RSASSA-PSS with a hash whose NULL has content",
      pss({ hash: ctx(0, seq(oid("2.16.840.1.101.3.4.2.1"), bytes(5, 1, 0))) }),
    ],
    [
      "RSASSA-PSS with a mask generation of three fields",
      pss({ mask: ctx(1, seq(oid("1.2.840.113549.1.1.8"), SHA256, nul())) }),
    ],
    ["RSASSA-PSS with bytes after the salt length", pss({ salt: ctx(2, int(32), int(32)) })],
    ["RSASSA-PSS with a hash that has parameters", pss({ hash: ctx(0, seq(oid("2.16.840.1.101.3.4.2.1"), int(1))) })],
    ["no object identifier", [int(1)]],
    ["nothing", []],
  ])("rejects %s", ([, parts]) => {
    expect(() => parse(...parts)).toThrow(withCode(expect.stringMatching(/^(CERTIFICATE|DER)_MALFORMED$/)));
  });

  test.for<[string, PssFields, unknown]>([
    ["SHA-256 throughout", {}, { scheme: "rsa-pss", hash: "sha256" }],
    [
      "SHA-384 throughout",
      { hash: ctx(0, SHA384), mask: ctx(1, mgf1(SHA384)), salt: ctx(2, int(48)) },
      { scheme: "rsa-pss", hash: "sha384" },
    ],
    [
      "hashes without NULL",
      { hash: ctx(0, seq(oid("2.16.840.1.101.3.4.2.1"))) },
      { scheme: "rsa-pss", hash: "sha256" },
    ],
    ["the default hash, SHA-1", { hash: bytes() }, UNSUPPORTED],
    ["SHA-1", { hash: ctx(0, SHA1) }, UNSUPPORTED],
    ["nothing but defaults", { hash: bytes(), mask: bytes(), salt: bytes() }, UNSUPPORTED],
    ["the default mask generation, with SHA-1", { mask: bytes() }, UNSUPPORTED],
    ["mask generation with another hash", { mask: ctx(1, mgf1(SHA384)) }, UNSUPPORTED],
    ["another mask generation function", { mask: ctx(1, seq(oid("1.2.3"), SHA256)) }, UNSUPPORTED],
    ["the default salt length", { salt: bytes() }, UNSUPPORTED],
    ["a longer salt", { salt: ctx(2, int(48)) }, UNSUPPORTED],
    ["another trailer", { trailer: ctx(3, int(2)) }, UNSUPPORTED],
  ])("reads RSASSA-PSS with %s", ([, fields, expected]) => {
    expect(parse(...pss(fields))).toMatchObject(expected as object);
  });
});

describe("checkSignature", () => {
  const crypto = defaultCryptoProvider();
  const data = new TextEncoder().encode("hello");
  const ed25519 = generateKeyPairSync("ed25519");
  const rsa = generateKeyPairSync("rsa", { modulusLength: 2048 });
  const p256 = ecKeys();
  const p384 = ecKeys("P-384");
  const ecdsa256 = parse(oid("1.2.840.10045.4.3.2"));
  const ecdsa384 = parse(oid("1.2.840.10045.4.3.3"));

  test("accepts every pairing of hash and key", async () => {
    for (const [algorithm, keys, signature] of [
      [ecdsa256, p256, sign("sha256", data, p256.privateKey)],
      [ecdsa384, p256, sign("sha384", data, p256.privateKey)],
      [ecdsa256, p384, sign("sha256", data, p384.privateKey)],
      [parse(oid("1.2.840.113549.1.1.12"), nul()), rsa, sign("sha384", data, rsa.privateKey)],
      [
        parse(...pss({})),
        rsa,
        sign("sha256", data, { key: rsa.privateKey, padding: constants.RSA_PKCS1_PSS_PADDING, saltLength: 32 }),
      ],
      [parse(oid("1.3.101.112")), ed25519, sign(null, data, ed25519.privateKey)],
    ] as const) {
      const key = parsePublicKey(spkiOf(keys));
      expect(await checkSignature(algorithm, key, bytes(signature), data, crypto)).toBe(true);
      expect(await checkSignature(algorithm, key, bytes(signature), bytes(data, 0), crypto)).toBe(false);
    }
  });

  test("answers no where the key is of another kind", async () => {
    const signature = bytes(sign("sha256", data, rsa.privateKey));
    expect(await checkSignature(ecdsa256, parsePublicKey(spkiOf(rsa)), signature, data, crypto)).toBe(false);
    expect(
      await checkSignature(
        parse(oid("1.2.840.113549.1.1.11"), nul()),
        parsePublicKey(spkiOf(p256)),
        signature,
        data,
        crypto,
      ),
    ).toBe(false);
    expect(
      await checkSignature(
        parse(oid("2.16.840.1.101.3.4.3.18")),
        parsePublicKey(spkiOf(ed25519)),
        signature,
        data,
        crypto,
      ),
    ).toBe(false);
  });

  test("says that an unknown algorithm is not supported", async () => {
    await expect(
      checkSignature(parse(oid("1.2.3")), parsePublicKey(spkiOf(p256)), bytes(), data, crypto),
    ).rejects.toThrow(withCode("ALGORITHM_UNSUPPORTED"));
  });

  test("holds ML-DSA to the parameter set that the certificate names", async (context) => {
    const algorithm = parse(oid("2.16.840.1.101.3.4.3.18"));
    let keys;
    try {
      keys = { 44: generateKeyPairSync("ml-dsa-44"), 65: generateKeyPairSync("ml-dsa-65") };
    } catch {
      return context.skip("this runtime has no ML-DSA");
    }
    const of = (set: 44 | 65): Promise<boolean> =>
      checkSignature(
        algorithm,
        parsePublicKey(spkiOf(keys[set])),
        bytes(sign(null, data, keys[set].privateKey)),
        data,
        crypto,
      );
    expect(await of(65)).toBe(true);
    expect(await of(44)).toBe(false);
  });
});
