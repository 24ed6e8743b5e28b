import * as asn1js from "asn1js";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { decodeInteger, decodeOid, parseDer, Tag } from "../../src/asn1/der.ts";
import { OID } from "../../src/asn1/oids.ts";
import {
  encodeBitString,
  encodeBoolean,
  encodeDer,
  encodeInteger,
  encodeNull,
  encodeOctetString,
  encodeOid,
  encodeSequence,
  encodeSet,
} from "../../src/asn1/writer.ts";
import { SAMPLE } from "../support/hostile.ts";

const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString("hex");

describe("encodeDer (X.690 §10.1)", () => {
  test.for([
    [0, "0400"],
    [127, "047f"],
    [128, "048180"],
    [255, "0481ff"],
    [256, "04820100"],
    [65_536, "0483010000"],
  ] as const)("writes the shortest length for %s bytes", ([length, header]) => {
    const bytes = encodeDer(Tag.octetString, new Uint8Array(length));
    expect(hex(bytes)).toBe(header + "00".repeat(length));
  });

  test("joins the parts of the content", () => {
    expect(hex(encodeDer(0xa3, Uint8Array.of(1), Uint8Array.of(2, 3)))).toBe("a303010203");
  });

  test.for([0, 0x1f, 0xbf, 256])("refuses the identifier %s", (tag) => {
    expect(() => encodeDer(tag)).toThrow(TypeError);
  });
});

describe("encodeInteger (X.690 §8.3)", () => {
  test.for([
    [0n, "020100"],
    [127n, "02017f"],
    [128n, "02020080"],
    [256n, "02020100"],
    [-1n, "0201ff"],
    [-128n, "020180"],
    [-129n, "0202ff7f"],
    [2n ** 64n - 1n, "020900ffffffffffffffff"],
  ] as const)("writes %s", ([value, text]) => {
    expect(hex(encodeInteger(value))).toBe(text);
  });

  test("writes any integer as asn1js does, and decodeInteger reads it", () => {
    fc.assert(
      fc.property(fc.bigInt({ min: -(2n ** 200n), max: 2n ** 200n }), (value) => {
        const bytes = encodeInteger(value);
        expect(hex(bytes)).toBe(Buffer.from(asn1js.Integer.fromBigInt(value).toBER()).toString("hex"));
        expect(decodeInteger(parseDer(bytes))).toBe(value);
      }),
      SAMPLE,
    );
  });
});

describe("encodeOid (X.690 §8.19)", () => {
  test("writes the example of §8.19.5", () => {
    expect(hex(encodeOid("2.999.3"))).toBe("0603883703");
  });

  test("writes every identifier of ours as asn1js does", () => {
    for (const dotted of Object.values(OID)) {
      expect(hex(encodeOid(dotted))).toBe(
        Buffer.from(new asn1js.ObjectIdentifier({ value: dotted }).toBER()).toString("hex"),
      );
    }
  });

  test.for(["", "1", "3.1", "1.40", "0.40", "1.02", "1..2", "1.2.", ".1.2", "1.-2", "1.a", "1.2 "])(
    "refuses %j",
    (text) => {
      expect(() => encodeOid(text)).toThrow(TypeError);
    },
  );

  test("is inverted by decodeOid", () => {
    const first = fc.oneof(
      fc.tuple(fc.constantFrom(0, 1), fc.integer({ min: 0, max: 39 })),
      fc.tuple(fc.constant(2), fc.nat(100_000)),
    );
    fc.assert(
      fc.property(first, fc.array(fc.maxSafeNat(), { maxLength: 8 }), (head, rest) => {
        const dotted = [...head, ...rest].join(".");
        expect(decodeOid(parseDer(encodeOid(dotted)))).toBe(dotted);
      }),
      SAMPLE,
    );
  });
});

describe("the writers of single types (X.690)", () => {
  test("write what asn1js writes", () => {
    const bytes = Uint8Array.of(1, 2, 3);
    const pairs: readonly (readonly [Uint8Array, asn1js.AsnType])[] = [
      [encodeBoolean(true), new asn1js.Boolean({ value: true })],
      [encodeBoolean(false), new asn1js.Boolean({ value: false })],
      [encodeNull(), new asn1js.Null()],
      [encodeOctetString(bytes), new asn1js.OctetString({ valueHex: bytes.buffer })],
      [encodeBitString(bytes), new asn1js.BitString({ valueHex: bytes.buffer })],
      [
        encodeSequence(encodeNull(), encodeBoolean(true)),
        new asn1js.Sequence({ value: [new asn1js.Null(), new asn1js.Boolean({ value: true })] }),
      ],
    ];
    for (const [ours, theirs] of pairs) expect(hex(ours)).toBe(Buffer.from(theirs.toBER()).toString("hex"));
  });
});

describe("encodeSet (X.690 §11.6)", () => {
  test.for([
    ["by identifier", ["0500", "020101"], "31050201010500"],
    ["by content", ["020102", "020101"], "3106020101020102"],
    ["by length", ["0403010200", "04020102"], "3109040201020403010200"],
  ] as const)("sorts %s", ([, items, expected]) => {
    expect(hex(encodeSet(...items.map((item) => new Uint8Array(Buffer.from(item, "hex")))))).toBe(expected);
  });

  test("writes the same bytes for any order", () => {
    fc.assert(
      fc.property(fc.array(fc.uint8Array({ maxLength: 4 }), { maxLength: 6 }), (contents) => {
        const items = contents.map((content) => encodeOctetString(content));
        expect(encodeSet(...items.toReversed())).toEqual(encodeSet(...items));
      }),
      SAMPLE,
    );
  });
});
