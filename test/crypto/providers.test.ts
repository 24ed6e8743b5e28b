import crypto from "node:crypto";
import { readFileSync } from "node:fs";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { OID } from "../../src/asn1/oids.ts";
import { encodeBitString, encodeOid, encodeSequence } from "../../src/asn1/writer.ts";
import { createNodeProvider, type NodeCrypto } from "../../src/crypto/node-provider.ts";
import { defaultCryptoProvider, findProvider, type CryptoProvider } from "../../src/crypto/provider.ts";
import { parsePublicKey, parsePublicKeyPem, type PublicKey } from "../../src/crypto/public-key.ts";
import {
  algorithmForKeyDetails,
  algorithmOf,
  fitsKey,
  SIGNATURE_ALGORITHMS,
  type SignatureAlgorithm,
} from "../../src/crypto/registry.ts";
import { createWebCryptoProvider, type WebCryptoSubtle } from "../../src/crypto/webcrypto-provider.ts";
import { providers } from "../support/crypto-providers.ts";

interface Case {
  readonly key: string;
  readonly algorithm: string;
  readonly signature: string;
  readonly salt?: string;
}

const testdata = new URL("../../testdata/crypto/", import.meta.url);
const bytesOf = (base64: string): Uint8Array<ArrayBuffer> => new Uint8Array(Buffer.from(base64, "base64"));
const hex = (digits: string): Uint8Array => new Uint8Array(Buffer.from(digits.replaceAll(/\s/g, ""), "hex"));
const json = (name: string): unknown => JSON.parse(readFileSync(new URL(name, testdata), "utf8"));
const key = (file: string): PublicKey => parsePublicKeyPem(readFileSync(new URL(file, testdata), "utf8"));
const error = (code: string): unknown => expect.objectContaining({ code });
const hashed = (hash: string, data: Uint8Array): Uint8Array =>
  new Uint8Array(crypto.createHash(hash).update(data).digest());
const changed = (bytes: Uint8Array, at = bytes.length - 1): Uint8Array => bytes.with(at, (bytes.at(at) as number) ^ 1);

function algorithm(name: string): SignatureAlgorithm {
  const found = SIGNATURE_ALGORITHMS.find((entry) => entry.name === name);
  if (found === undefined) throw new Error(`no algorithm ${name}`);
  return found;
}

const MESSAGE: Uint8Array = new Uint8Array(readFileSync(new URL("message", testdata)));
const CASES = [...(json("cases.json") as Case[]), ...(json("go-cases.json") as Case[])];
const node = createNodeProvider(crypto);
const web = createWebCryptoProvider(crypto.webcrypto.subtle);

describe.for(providers)("verify with %s", ([, provider]) => {
  test.for(CASES.map((entry) => [entry.algorithm, entry.key, entry.salt ?? "no", entry] as const))(
    "accepts %s by %s with %s salt, made by openssl or Go, and nothing that differs from it",
    async ([name, file, , { signature: base64 }]) => {
      const signer = key(file);
      const signature = bytesOf(base64);
      const verify = (value: Uint8Array, message: Uint8Array = MESSAGE): Promise<boolean> =>
        Promise.resolve(provider.verify(algorithm(name), signer, value, message));
      expect(await verify(signature)).toBe(true);
      expect(await verify(signature, changed(MESSAGE))).toBe(false);
      expect(await verify(signature, new Uint8Array(0))).toBe(false);
      expect(await verify(changed(signature))).toBe(false);
      expect(await verify(changed(signature, signature.length >> 1))).toBe(false);
      expect(await verify(signature.subarray(1))).toBe(false);
      expect(await verify(Uint8Array.of(0, ...signature))).toBe(false);
      expect(await verify(Uint8Array.of(...signature, 0))).toBe(false);
      expect(await verify(new Uint8Array(0))).toBe(false);
      expect(await verify(new Uint8Array(signature.length))).toBe(false);
      expect(await verify(new Uint8Array(signature.length).fill(0xff))).toBe(false);
      expect(await verify(new Uint8Array(1024 * 1024))).toBe(false);
    },
  );

  test.for(
    CASES.filter((entry) => entry.algorithm !== "ed25519").map(
      (entry) => [entry.algorithm, entry.key, entry.salt ?? "no", entry] as const,
    ),
  )(
    // The first byte: where the digest is longer than the curve, ECDSA does not see the last.
    "accepts %s by %s with %s salt from the digest alone, and no other digest",
    async ([name, file, , { signature: base64 }]) => {
      const signer = key(file);
      const signature = bytesOf(base64);
      const chosen = algorithm(name);
      const digest = hashed(chosen.hash as string, MESSAGE);
      expect(await provider.verifyDigest(chosen, signer, signature, digest)).toBe(true);
      expect(await provider.verifyDigest(chosen, signer, signature, changed(digest, 0))).toBe(false);
      expect(await provider.verifyDigest(chosen, signer, signature, digest.subarray(1))).toBe(false);
      expect(await provider.verifyDigest(chosen, signer, signature, Uint8Array.of(...digest, 0))).toBe(false);
      expect(await provider.verifyDigest(chosen, signer, changed(signature), digest)).toBe(false);
      expect(await provider.verifyDigest(chosen, signer, new Uint8Array(signature.length), digest)).toBe(false);
      expect(await provider.verifyDigest(chosen, signer, signature.subarray(1), digest)).toBe(false);
    },
  );

  test.for(CASES.map((entry) => [entry.algorithm, entry.key, entry] as const))(
    "accepts %s by %s under no other algorithm",
    async ([name, file, { signature: base64 }]) => {
      const signer = key(file);
      const digest = hashed("sha256", MESSAGE);
      for (const other of SIGNATURE_ALGORITHMS.filter(
        (entry) => entry.scheme !== algorithm(name).scheme || entry.hash !== algorithm(name).hash,
      )) {
        expect([other.name, await provider.verify(other, signer, bytesOf(base64), MESSAGE)]).toEqual([
          other.name,
          false,
        ]);
        if (other.hash !== "sha256") continue;
        expect([other.name, await provider.verifyDigest(other, signer, bytesOf(base64), digest)]).toEqual([
          other.name,
          false,
        ]);
      }
    },
  );

  test("refuses a key that the algorithm is not for, though the signature is good", async () => {
    const entry = CASES.find(
      ({ key: file, algorithm: name }) => file === "rsa-3072.pem" && name === "rsa-sign-pkcs1-3072-sha256",
    ) as Case;
    const other = algorithmForKeyDetails("PKIX_RSA_PKCS1V15_2048_SHA256") as SignatureAlgorithm;
    expect(fitsKey(other, key(entry.key))).toBe(false);
    expect(await provider.verify(other, key(entry.key), bytesOf(entry.signature), MESSAGE)).toBe(false);
    expect(
      await provider.verifyDigest(other, key(entry.key), bytesOf(entry.signature), hashed("sha256", MESSAGE)),
    ).toBe(false);
  });

  // RFC 8032 §7.3
  test("accepts the Ed25519ph signature of the RFC, from message and from digest, and not as Ed25519", async () => {
    const ph = algorithm("ed25519-ph");
    const signer = ed25519Key("ec172b93ad5e563bf4932c70e1245034c35467ef2efd4d64ebf819683467e2bf");
    const signature = hex(`98a70222f0b8121aa9d30f813d683f809e462b469c7ff87639499bb94e6dae41
      31f85042463c2a355a2003d062adf5aaa10b8c61e636062aaad11c2a26083406`);
    const message = hex("616263");
    expect(await provider.verify(ph, signer, signature, message)).toBe(true);
    expect(await provider.verifyDigest(ph, signer, signature, hashed("sha512", message))).toBe(true);
    expect(await provider.verify(ph, signer, signature, changed(message))).toBe(false);
    expect(await provider.verifyDigest(ph, signer, signature, hashed("sha512", changed(message)))).toBe(false);
    expect(await provider.verifyDigest(ph, signer, signature, message)).toBe(false);
    expect(await provider.verify(ph, signer, changed(signature), message)).toBe(false);
    expect(await provider.verify(ph, signer, changed(signature, 0), message)).toBe(false);
    expect(await provider.verify(algorithm("ed25519"), signer, signature, message)).toBe(false);
    expect(await provider.verify(algorithm("ed25519"), signer, signature, hashed("sha512", message))).toBe(false);
  });

  test("refuses an Ed25519ph signature whose S is not reduced", async () => {
    const entry = CASES.find(({ algorithm: name }) => name === "ed25519-ph") as Case;
    const signature = bytesOf(entry.signature);
    const order = 2n ** 252n + 27742317777372353535851937790883648493n; // RFC 8032 §5.1
    const s = BigInt(`0x${Buffer.from(signature.subarray(32)).reverse().toString("hex")}`) + order;
    signature.set(Buffer.from(s.toString(16).padStart(64, "0"), "hex").reverse(), 32);
    expect(await provider.verify(algorithm("ed25519-ph"), key(entry.key), signature, MESSAGE)).toBe(false);
  });

  test.for(
    json("ml-dsa.json") as {
      algorithm: "ml-dsa-44";
      publicKey: string;
      signature: string;
      signatureWithContext: string;
    }[],
  )("accepts $algorithm, made by another library, without a context", async (entry) => {
    const signer = mlDsaKey(entry.algorithm, bytesOf(entry.publicKey));
    const chosen = algorithm(entry.algorithm);
    const signature = bytesOf(entry.signature);
    expect(await provider.supports(chosen)).toBe(true);
    expect(await provider.verify(chosen, signer, signature, MESSAGE)).toBe(true);
    expect(await provider.verify(chosen, signer, signature, changed(MESSAGE))).toBe(false);
    expect(await provider.verify(chosen, signer, changed(signature, 0), MESSAGE)).toBe(false);
    expect(await provider.verify(chosen, signer, signature.subarray(1), MESSAGE)).toBe(false);
    expect(await provider.verify(chosen, signer, Uint8Array.of(...signature, 0), MESSAGE)).toBe(false);
    expect(await provider.verify(chosen, signer, bytesOf(entry.signatureWithContext), MESSAGE)).toBe(false);
  });

  test.for(["ed25519", "ml-dsa-44", "ml-dsa-65", "ml-dsa-87"])("says that %s needs the message", async (name) => {
    const digest = hashed("sha512", MESSAGE);
    await expect(async () =>
      provider.verifyDigest(algorithm(name), key("ed25519.pem"), new Uint8Array(64), digest),
    ).rejects.toThrow(error("DIGEST_ONLY_UNSUPPORTED"));
  });

  test.for([
    ["p256.pem", "ecdsa-sha2-256-nistp256"],
    ["p384.pem", "ecdsa-sha2-384-nistp384"],
    ["p521.pem", "ecdsa-sha2-512-nistp521"],
  ] as const)("calls a point that is not on the curve of %s malformed", async ([file, name]) => {
    const { spki } = key(file);
    const signer = parsePublicKey(changed(spki));
    const { signature } = CASES.find((entry) => entry.key === file && entry.algorithm === name) as Case;
    const chosen = algorithm(name);
    await expect(async () => provider.verify(chosen, signer, bytesOf(signature), MESSAGE)).rejects.toThrow(
      error("PUBLIC_KEY_MALFORMED"),
    );
    await expect(async () => provider.verify(chosen, signer, bytesOf(signature), MESSAGE)).rejects.toThrow(
      error("PUBLIC_KEY_MALFORMED"),
    );
    await expect(async () =>
      provider.verifyDigest(chosen, signer, bytesOf(signature), hashed(chosen.hash as string, MESSAGE)),
    ).rejects.toThrow(error("PUBLIC_KEY_MALFORMED"));
  });

  test("verifies nothing with Ed25519 keys that are not on the curve", async () => {
    const signer = ed25519Key("02".padEnd(64, "0")); // y = 2 has no x
    expect(await provider.verify(algorithm("ed25519"), signer, new Uint8Array(64), MESSAGE)).toBe(false);
    expect(await provider.verify(algorithm("ed25519-ph"), signer, new Uint8Array(64), MESSAGE)).toBe(false);
  });

  test("verifies and hashes what lies in shared memory", async () => {
    const { key: file, algorithm: name, signature } = CASES[0] as Case;
    const shared = new Uint8Array(new SharedArrayBuffer(MESSAGE.length));
    shared.set(MESSAGE);
    expect(await provider.verify(algorithm(name), key(file), bytesOf(signature), shared)).toBe(true);
    expect(await provider.digest("sha256", shared)).toEqual(hashed("sha256", MESSAGE));
  });

  test("answers true or false for any signature of any algorithm", async () => {
    const keys = ["p256", "p384", "p521", "rsa-2048", "rsa-pss", "ed25519"].map((name) => key(`${name}.pem`));
    await fc.assert(
      fc.asyncProperty(
        fc.constantFrom(...keys),
        fc.constantFrom(...SIGNATURE_ALGORITHMS),
        fc.uint8Array({ maxLength: 300 }),
        async (signer, chosen, signature) => {
          expect(await provider.verify(chosen, signer, signature, MESSAGE)).toBe(false);
        },
      ),
      { seed: 20_261_123, numRuns: 150 },
    );
  });

  test("supports every algorithm of the registry in this runtime", async () => {
    for (const chosen of SIGNATURE_ALGORITHMS)
      expect([chosen.name, await provider.supports(chosen)]).toEqual([chosen.name, true]);
  });
});

describe("verify of PKCS #1 v1.5 (RFC 8017 §9.2)", () => {
  const { privateKey, publicKey } = crypto.generateKeyPairSync("rsa", { modulusLength: 2048 });
  const signer = parsePublicKey(new Uint8Array(publicKey.export({ type: "spki", format: "der" })));
  const chosen = algorithm("rsa-sign-pkcs1-2048-sha256");
  const digest = hashed("sha256", MESSAGE);
  const encoded = Buffer.concat([
    Buffer.of(0x00, 0x01),
    Buffer.alloc(256 - 3 - 51, 0xff),
    Buffer.of(0x00),
    hex("3031300d060960864801650304020105000420"),
    digest,
  ]);
  const sign = (message: Uint8Array): Uint8Array =>
    new Uint8Array(crypto.privateEncrypt({ key: privateKey, padding: crypto.constants.RSA_NO_PADDING }, message));

  test.for([
    ["is as it must be", encoded, true],
    ["is of the type of an encryption", encoded.with(1, 0x02), false],
    ["has a first byte of padding that is not ff", encoded.with(2, 0xfe), false],
    ["has a last byte of padding that is not ff", encoded.with(203, 0xfe), false],
    ["does not end its padding with 00", encoded.with(204, 0x01), false],
    ["names another hash", encoded.with(219, 0x02), false],
    ["is over another digest", changed(encoded), false],
  ] as const)("decides by the whole encoded message: it %s", async ([, message, expected]) => {
    const signature = sign(message);
    for (const [name, provider] of providers) {
      expect([name, await provider.verify(chosen, signer, signature, MESSAGE)]).toEqual([name, expected]);
      expect([name, await provider.verifyDigest(chosen, signer, signature, digest)]).toEqual([name, expected]);
    }
  });
});

describe("verify of Ed25519ph (RFC 8032 §5.1.7)", () => {
  test.for([
    ["accepts the neutral point as R", "01".padEnd(64, "0"), true],
    ["refuses it when its y is not reduced", `ee${"ff".repeat(30)}7f`, false],
  ] as const)("%s", async ([, r, expected]) => {
    const { ed25519 } = await import("@noble/curves/ed25519.js");
    const { scalar, pointBytes } = ed25519.utils.getExtendedPublicKey(new Uint8Array(32).fill(7));
    const signer = ed25519Key(Buffer.from(pointBytes).toString("hex"));
    // With R the neutral point, S is k times the secret scalar.
    const dom2 = Buffer.concat([Buffer.from("SigEd25519 no Ed25519 collisions"), Buffer.of(1, 0)]);
    const digest = hashed("sha512", MESSAGE);
    const k = Buffer.from(hashed("sha512", Buffer.concat([dom2, hex(r), pointBytes, digest])));
    const s = (BigInt(`0x${k.reverse().toString("hex")}`) * scalar) % ed25519.Point.Fn.ORDER;
    const signature = Buffer.concat([hex(r), Buffer.from(s.toString(16).padStart(64, "0"), "hex").reverse()]);
    for (const [name, provider] of providers) {
      const chosen = algorithm("ed25519-ph");
      expect([name, await provider.verify(chosen, signer, signature, MESSAGE)]).toEqual([name, expected]);
      expect([name, await provider.verifyDigest(chosen, signer, signature, digest)]).toEqual([name, expected]);
    }
  });
});

/** The salts that openssl could not be made to write for this key; RSA 2048 with SHA-256 in all of them. */
describe("verify of RSASSA-PSS by a key that sets a least salt", () => {
  test("refuses a shorter salt with every provider, and from the digest alone", async () => {
    const { privateKey } = crypto.generateKeyPairSync("rsa", { modulusLength: 2048 });
    const pkcs1 = new Uint8Array(
      crypto
        .createPublicKey(privateKey.export({ type: "pkcs1", format: "pem" }))
        .export({ type: "pkcs1", format: "der" }),
    );
    const parameters = parsePublicKeyPem(readFileSync(new URL("rsa-pss-sha384-salt-24.pem", testdata), "utf8")).spki;
    // Our key in place of openssl's, under the same parameters: both SubjectPublicKeyInfos are of one size.
    const spki = parameters.slice();
    spki.set(pkcs1, spki.length - pkcs1.length);
    const bound = parsePublicKey(spki);
    const chosen = algorithmOf("rsa-pss", "sha384", bound) as SignatureAlgorithm;
    const padding = crypto.constants.RSA_PKCS1_PSS_PADDING;
    for (const saltLength of [0, 23, 24, 48, 200]) {
      const signature = new Uint8Array(crypto.sign("sha384", MESSAGE, { key: privateKey, padding, saltLength }));
      for (const [name, provider] of providers) {
        const expected = [name, saltLength, saltLength >= 24];
        expect([name, saltLength, await provider.verify(chosen, bound, signature, MESSAGE)]).toEqual(expected);
        expect([
          name,
          saltLength,
          await provider.verifyDigest(chosen, bound, signature, hashed("sha384", MESSAGE)),
        ]).toEqual(expected);
      }
    }
  });
});

describe.for(providers)("digest with %s", ([, provider]) => {
  // FIPS 180-4 examples
  const ABC = hex("616263");
  const DIGESTS = [
    ["sha1", "a9993e364706816aba3e25717850c26c9cd0d89d"],
    ["sha256", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"],
    ["sha384", "cb00753f45a35e8bb5a03d699ac65007272c32ab0eded1631a8b605a43ff5bed8086072ba1e7cc2358baeca134c825a7"],
    [
      "sha512",
      "ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a2192992a274fc1a836ba3c23a3feebbd454d4423643ce80e2a9ac94fa54ca49f",
    ],
  ] as const;

  test.for(DIGESTS)("hashes the example of %s to plain bytes", async ([name, expected]) => {
    const digest = await provider.digest(name, ABC);
    expect(digest).toEqual(hex(expected));
    expect(Object.getPrototypeOf(digest)).toBe(Uint8Array.prototype);
  });

  test.for(DIGESTS.slice(1))("hashes the example of %s in pieces", async ([name, expected]) => {
    const hash = await provider.createDigest(name as "sha256");
    hash.update(ABC.subarray(0, 1));
    hash.update(new Uint8Array(0));
    hash.update(ABC.subarray(1));
    const digest = await hash.digest();
    expect(digest).toEqual(hex(expected));
    expect(Object.getPrototypeOf(digest)).toBe(Uint8Array.prototype);
  });

  test("does not keep what it was given", async () => {
    const hash = await provider.createDigest("sha256");
    const chunk = ABC.slice();
    hash.update(chunk);
    chunk.fill(0);
    expect(await hash.digest()).toEqual(hex(DIGESTS[1][1]));
  });
});

test("the node provider verifies on the thread pool, unless told not to", async () => {
  const { key: file, algorithm: name, signature } = CASES[0] as Case;
  const args = [algorithm(name), key(file), bytesOf(signature), MESSAGE] as const;
  const pending = node.verify(...args);
  expect(pending).toBeInstanceOf(Promise);
  expect(await pending).toBe(true);
  expect(createNodeProvider(crypto, { threadPool: false }).verify(...args)).toBe(true);
});

test("the node provider hashes at once, with and without crypto.hash", () => {
  const { constants, createPublicKey, verify } = crypto as NodeCrypto; // eslint-disable-line typescript/unbound-method
  const older = { constants, createPublicKey, verify, createHash: (name: string) => crypto.createHash(name) };
  expect(createNodeProvider(older).digest("sha256", MESSAGE)).toEqual(hashed("sha256", MESSAGE));
  expect(node.digest("sha256", MESSAGE)).toEqual(hashed("sha256", MESSAGE));
});

describe("ALGORITHM_UNSUPPORTED", () => {
  const openssl = (code: string): Error => Object.assign(new Error("from OpenSSL"), { code });
  const dom = (name: string): Error => new DOMException("from the browser", name);
  const isMlDsa = (spki: Uint8Array): boolean => spki.length > 1000;
  const mlDsa = (json("ml-dsa.json") as { publicKey: string; signature: string }[])[0] as {
    publicKey: string;
    signature: string;
  };
  const p521 = CASES.find((entry) => entry.key === "p521.pem" && entry.algorithm === "ecdsa-sha2-512-nistp521") as Case;
  const p384 = CASES.find((entry) => entry.key === "p384.pem" && entry.algorithm === "ecdsa-sha2-256-nistp384") as Case;

  /** An OpenSSL before 3.5 answers an unknown kind of key as it answers a broken one. */
  const olderNode: NodeCrypto = {
    ...(crypto as NodeCrypto),
    createPublicKey(input) {
      if (isMlDsa(input.key)) throw openssl("ERR_OSSL_EVP_DECODE_ERROR");
      return crypto.createPublicKey({ ...input, key: Buffer.from(input.key) });
    },
  };
  const subtle = crypto.webcrypto.subtle as unknown as WebCryptoSubtle;
  const without = (refuses: (name: string, curve?: string) => boolean, name: string): WebCryptoSubtle => ({
    digest: (...args) => subtle.digest(...args),
    verify: (...args) => subtle.verify(...args),
    importKey: (format, data, parameters, ...rest) =>
      refuses(parameters.name, parameters.namedCurve)
        ? Promise.reject(dom(name))
        : subtle.importKey(format, data, parameters, ...rest),
  });

  test("is thrown for ML-DSA by a Node whose OpenSSL does not have it, and only for that", async () => {
    const provider = createNodeProvider(olderNode);
    const signer = mlDsaKey("ml-dsa-44", bytesOf(mlDsa.publicKey));
    expect(provider.supports(algorithm("ml-dsa-44"))).toBe(false);
    expect(provider.supports(algorithm("ecdsa-sha2-512-nistp521"))).toBe(true);
    expect(() => provider.verify(algorithm("ml-dsa-44"), signer, bytesOf(mlDsa.signature), MESSAGE)).toThrow(
      error("ALGORITHM_UNSUPPORTED"),
    );
    expect(await provider.verify(algorithm(p521.algorithm), key(p521.key), bytesOf(p521.signature), MESSAGE)).toBe(
      true,
    );
  });

  test.for(["NotSupportedError", "DataError"])(
    "is thrown by a WebCrypto that refuses every P-521 key with %s, and only for that",
    async (name) => {
      const provider = createWebCryptoProvider(without((_, curve) => curve === "P-521", name));
      expect(await provider.supports(algorithm("ecdsa-sha2-512-nistp521"))).toBe(false);
      expect(await provider.supports(algorithm("ecdsa-sha2-384-nistp384"))).toBe(true);
      await expect(async () =>
        provider.verify(algorithm(p521.algorithm), key(p521.key), bytesOf(p521.signature), MESSAGE),
      ).rejects.toThrow(error("ALGORITHM_UNSUPPORTED"));
      expect(
        await provider.verifyDigest(
          algorithm(p521.algorithm),
          key(p521.key),
          bytesOf(p521.signature),
          hashed("sha512", MESSAGE),
        ),
      ).toBe(true);
    },
  );

  test("is thrown by a WebCrypto without Ed25519, which still verifies Ed25519ph", async () => {
    const provider = createWebCryptoProvider(without((name) => name === "Ed25519", "NotSupportedError"));
    const [pure, prehashed] = ["ed25519", "ed25519-ph"].map((name) =>
      CASES.find((entry) => entry.key === "ed25519-go.pem" && entry.algorithm === name),
    ) as [Case, Case];
    expect(await provider.supports(algorithm("ed25519"))).toBe(false);
    await expect(async () =>
      provider.verify(algorithm("ed25519"), key(pure.key), bytesOf(pure.signature), MESSAGE),
    ).rejects.toThrow(error("ALGORITHM_UNSUPPORTED"));
    expect(
      await provider.verify(algorithm("ed25519-ph"), key(prehashed.key), bytesOf(prehashed.signature), MESSAGE),
    ).toBe(true);
  });

  test("is thrown by a WebCrypto that imports the key and does not know the hash with it", async () => {
    const provider = createWebCryptoProvider({
      digest: (...args) => subtle.digest(...args),
      importKey: (...args) => subtle.importKey(...args),
      verify: (parameters, ...rest) =>
        parameters.hash === "SHA-256" ? Promise.reject(dom("NotSupportedError")) : subtle.verify(parameters, ...rest),
    });
    expect(await provider.supports(algorithm("ecdsa-sha2-256-nistp384"))).toBe(false);
    expect(await provider.supports(algorithm("ecdsa-sha2-384-nistp384"))).toBe(true);
    await expect(async () =>
      provider.verify(algorithm(p384.algorithm), key(p384.key), bytesOf(p384.signature), MESSAGE),
    ).rejects.toThrow(error("ALGORITHM_UNSUPPORTED"));
  });

  test.for([
    ["ERR_OSSL_EVP_UNSUPPORTED", "ALGORITHM_UNSUPPORTED"],
    ["ERR_CRYPTO_INVALID_DIGEST", "ALGORITHM_UNSUPPORTED"],
    ["ERR_OSSL_RSA_DATA_TOO_LARGE_FOR_MODULUS", false],
  ] as const)("is how the error %s is told: %s", async ([code, expected]) => {
    const failing = { ...(crypto as NodeCrypto), verify: throwing(openssl(code)) } as NodeCrypto;
    for (const [file, name] of [
      ["p521.pem", p521],
      ["p384.pem", p384],
    ] as const) {
      for (const threadPool of [true, false]) {
        const provider = createNodeProvider(failing, { threadPool });
        const verify = async (): Promise<boolean> =>
          provider.verify(algorithm(name.algorithm), key(file), bytesOf(name.signature), MESSAGE);
        if (expected === false) expect(await verify()).toBe(false);
        else await expect(verify).rejects.toThrow(error(expected));
      }
    }
  });

  /** Throws at once, or through the callback, as node:crypto may. */
  function throwing(cause: Error): (...args: readonly unknown[]) => boolean {
    return (...args) => {
      const callback = args[4] as ((failure: Error) => void) | undefined;
      if (callback === undefined) throw cause;
      callback(cause);
      return false;
    };
  }
});

describe("findProvider", () => {
  test("prefers node:crypto", () => {
    expect(findProvider({ process: { getBuiltinModule: () => crypto }, crypto: crypto.webcrypto }).name).toBe("node");
  });

  test.for([
    ["there is no process", { crypto: crypto.webcrypto }],
    ["process has no modules", { process: {}, crypto: crypto.webcrypto }],
    ["node:crypto is missing", { process: { getBuiltinModule: () => undefined }, crypto: crypto.webcrypto }],
  ] as const)("takes WebCrypto when %s", ([, globals]) => {
    expect(findProvider(globals).name).toBe("webcrypto");
  });

  test.for([
    ["no crypto", {}],
    ["a crypto without subtle, as on an insecure page", { crypto: {} }],
  ] as const)("throws when there is %s", ([, globals]) => {
    expect(() => findProvider(globals)).toThrow(error("ALGORITHM_UNSUPPORTED"));
  });

  test("is asked once", () => {
    const provider: CryptoProvider = defaultCryptoProvider();
    expect(provider.name).toBe("node");
    expect(defaultCryptoProvider()).toBe(provider);
  });
});

test("both providers import a key once", async () => {
  const { key: file, algorithm: name, signature } = CASES[0] as Case;
  const signer = key(file);
  let imported = 0;
  const counting = createNodeProvider({
    ...(crypto as NodeCrypto),
    createPublicKey: (input) => (imported++, crypto.createPublicKey({ ...input, key: Buffer.from(input.key) })),
  });
  const subtle = crypto.webcrypto.subtle as unknown as WebCryptoSubtle;
  const countingWeb = createWebCryptoProvider({
    digest: (...args) => subtle.digest(...args),
    verify: (...args) => subtle.verify(...args),
    importKey: (...args) => (imported++, subtle.importKey(...args)),
  });
  for (let i = 0; i < 3; i++) {
    expect(await counting.verify(algorithm(name), signer, bytesOf(signature), MESSAGE)).toBe(true);
    expect(await countingWeb.verify(algorithm(name), signer, bytesOf(signature), MESSAGE)).toBe(true);
  }
  expect(imported).toBe(2);
  expect([node.name, web.name]).toEqual(["node", "webcrypto"]);
});

function ed25519Key(point: string): PublicKey {
  return parsePublicKey(encodeSequence(encodeSequence(encodeOid(OID.ed25519)), encodeBitString(hex(point))));
}

function mlDsaKey(type: "ml-dsa-44" | "ml-dsa-65" | "ml-dsa-87", bytes: Uint8Array): PublicKey {
  const oid = { "ml-dsa-44": OID.mlDsa44, "ml-dsa-65": OID.mlDsa65, "ml-dsa-87": OID.mlDsa87 }[type];
  return parsePublicKey(encodeSequence(encodeSequence(encodeOid(oid)), encodeBitString(bytes)));
}
