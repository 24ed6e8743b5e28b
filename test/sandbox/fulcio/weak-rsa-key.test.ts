import { generatePrimeSync, generateKeyPairSync } from "node:crypto";
import { describe, expect, test } from "vitest";
import { weaknessOf } from "../../../src/sandbox/fulcio/weak-rsa-key.ts";

const prime = (bits: number): bigint => generatePrimeSync(bits, { bigint: true });

describe("weaknessOf (the real Fulcio's checks of RSA keys)", () => {
  test("finds nothing wrong with a key of openssl", () => {
    const { n = "" } = generateKeyPairSync("rsa", { modulusLength: 2048 }).publicKey.export({ format: "jwk" });
    const modulus = BigInt(`0x${Buffer.from(n, "base64url").toString("hex")}`);
    expect(weaknessOf(modulus, 65537n)).toBeUndefined();
    expect(weaknessOf(modulus, 3n)).toMatch(/exponent/);
    expect(weaknessOf(modulus >> 1n, 65537n)).toMatch(/size not supported: 2047/);
    expect(weaknessOf(modulus << 8n, 65537n)).toMatch(/size not supported: 2056/);
  });

  test("finds a small factor", () => {
    const cofactor = (1n << 2047n) / 751n + 12345n; // 751 is the largest prime that is looked for
    expect(weaknessOf(751n * (cofactor | 1n), 65537n)).toMatch(/small prime/);
  });

  test("finds factors that are close together", () => {
    let p = prime(1024);
    while (p >> 1022n !== 3n) p = prime(1024); // so that the product has 2048 bits
    // The other need not be a prime, but must not have a small factor
    for (let q = p + 2n; ; q += 2n) {
      const weakness = weaknessOf(p * q, 65537n);
      if (weakness === "key divisible by small prime") continue;
      expect(weakness).toMatch(/close together/);
      break;
    }
  });

  test("finds a modulus of the form that Infineon's chips made", () => {
    // Every prime of them is k * M + (65537^a mod M), M the product of the first primes
    const primes = [
      2, 3, 5, 7, 11, 13, 17, 19, 23, 29, 31, 37, 41, 43, 47, 53, 59, 61, 67, 71, 73, 79, 83, 89, 97, 101, 103, 107,
      109, 113, 127, 131, 137, 139, 149, 151, 157, 163, 167,
    ];
    const m = primes.reduce((product, one) => product * BigInt(one), 1n);
    let power = 1n;
    for (let i = 0; i < 12345; i++) power = (power * 65537n) % m;
    // One that has 2048 bits and no factor below 752
    for (let k = (3n << 2046n) / m; ; k++) {
      const modulus = k * m + power;
      const weakness = weaknessOf(modulus, 65537n);
      if (weakness === "key divisible by small prime") continue;
      expect(weakness).toMatch(/Infineon/);
      break;
    }
  });
});
