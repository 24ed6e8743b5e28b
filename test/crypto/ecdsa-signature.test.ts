import crypto from "node:crypto";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { tryParseEcdsaSignature } from "../../src/crypto/ecdsa-signature.ts";

const hex = (digits: string): Uint8Array => new Uint8Array(Buffer.from(digits.replaceAll(" ", ""), "hex"));
const R = "11".repeat(32);
const S = "22".repeat(32);
const VALID = `3044 0220${R} 0220${S}`;

describe("tryParseEcdsaSignature (RFC 3279 §2.2.3)", () => {
  test("gives r and s side by side", () => {
    expect(tryParseEcdsaSignature(hex(VALID), 32)).toEqual(hex(R + S));
  });

  test("fills short numbers up", () => {
    expect(tryParseEcdsaSignature(hex("3006 020101 020102"), 32)).toEqual(
      hex("00".repeat(31) + "01" + "00".repeat(31) + "02"),
    );
  });

  test("drops the zero that keeps a number positive", () => {
    const high = "ff".repeat(32);
    expect(tryParseEcdsaSignature(hex(`3046 022100${high} 022100${high}`), 32)).toEqual(hex(high + high));
  });

  test("reads the longest one of P-521, whose length takes two octets", () => {
    const number = "01" + "ff".repeat(65);
    expect(tryParseEcdsaSignature(hex(`308188 0242${number} 0242${number}`), 66)).toEqual(hex(number + number));
  });

  test.for([
    ["is empty", ""],
    ["is a SEQUENCE header alone", "30"],
    ["is an empty SEQUENCE", "3000"],
    ["is a SET", `3144 0220${R} 0220${S}`],
    ["has a byte after it", `${VALID}00`],
    ["lacks its last byte", VALID.slice(0, -2)],
    ["has a SEQUENCE that ends early", `3043 0220${R} 0220${S}`],
    ["has a third number", `3047 0220${R} 0220${S} 020101`],
    ["has one number", `3022 0220${R}`],
    ["writes its length in more octets than needed", `308144 0220${R} 0220${S}`],
    ["writes its length in two octets of value", `30820044 0220${R} 0220${S}`],
    ["has an indefinite length", `3080 0220${R} 0220${S} 0000`],
    ["has an OCTET STRING for r", `3044 0420${R} 0220${S}`],
    ["has an OCTET STRING for s", `3044 0220${R} 0420${S}`],
    ["has a negative r", `3044 022091${R.slice(2)} 0220${S}`],
    ["has a negative s", `3044 0220${R} 0220a2${S.slice(2)}`],
    ["has a needless zero before r", `3045 022100${R} 0220${S}`],
    ["has a needless zero before s", `3045 0220${R} 022100${S}`],
    ["has r = 0", `3025 020100 0220${S}`],
    ["has s = 0", `3025 0220${R} 020100`],
    ["has an r without octets", `3024 0200 0220${S}`],
    ["has an r longer than the curve", `3045 022101${R} 0220${S}`],
    ["has an s longer than the curve", `3045 0220${R} 022101${S}`],
    ["has an r that reaches beyond the end", `3044 0250${R} 0220${S}`],
    ["has an r whose length is in long form", `3045 028120${R} 0220${S}`],
  ] as const)("is undefined for one that %s", ([, der]) => {
    expect(tryParseEcdsaSignature(hex(der), 32)).toBeUndefined();
  });

  test("agrees with node:crypto for random signatures of each curve", () => {
    for (const [namedCurve, hash, bytes] of [
      ["P-256", "sha256", 32],
      ["P-384", "sha384", 48],
      ["P-521", "sha512", 66],
    ] as const) {
      const { privateKey, publicKey } = crypto.generateKeyPairSync("ec", { namedCurve });
      for (let i = 0; i < 40; i++) {
        const raw = tryParseEcdsaSignature(crypto.sign(hash, Buffer.of(i), privateKey), bytes);
        expect(raw).toBeDefined();
        expect(
          crypto.verify(hash, Buffer.of(i), { key: publicKey, dsaEncoding: "ieee-p1363" }, raw ?? Buffer.alloc(0)),
        ).toBe(true);
      }
    }
  });

  test("gives other numbers, or none, for any byte that is changed and any truncation", () => {
    const der = hex(VALID);
    const raw = hex(R + S);
    fc.assert(
      fc.property(fc.nat(der.length - 1), fc.integer({ min: 1, max: 255 }), (at, flip) => {
        const changed = der.with(at, (der[at] as number) ^ flip);
        expect(tryParseEcdsaSignature(changed, 32)).not.toEqual(raw);
      }),
    );
    for (let length = 0; length < der.length; length++)
      expect(tryParseEcdsaSignature(der.subarray(0, length), 32)).toBeUndefined();
  });

  test("never throws", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 160 }), fc.constantFrom(32, 48, 66), (bytes, size) => {
        expect(tryParseEcdsaSignature(bytes, size)?.length ?? 2 * size).toBe(2 * size);
      }),
    );
  });
});
