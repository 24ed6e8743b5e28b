import { execFileSync, spawnSync } from "node:child_process";
import { X509Certificate } from "node:crypto";
import { readdirSync, readFileSync } from "node:fs";
import { resolve } from "node:path";
import * as asn1js from "asn1js";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import {
  contextTag,
  decodeBitString,
  decodeBoolean,
  decodeInteger,
  decodeNull,
  decodeOctetString,
  decodeOid,
  decodeSmallInteger,
  decodeString,
  decodeTime,
  decodeUnsignedBytes,
  DerReader,
  parseDer,
  Tag,
  type DerElement,
} from "../../src/asn1/der.ts";
import { encodeDer } from "../../src/asn1/writer.ts";
import { parsePem } from "../../src/encoding/pem.ts";
import { anyText, expectNoOtherError, SAMPLE, withFlippedByte } from "../support/hostile.ts";
import { projectDir } from "../support/shared.ts";

const hex = (text: string): Uint8Array => new Uint8Array(Buffer.from(text.replaceAll(" ", ""), "hex"));
const ascii = (tag: number, text: string): DerElement =>
  parseDer(hex(Buffer.of(tag, text.length).toString("hex") + Buffer.from(text, "latin1").toString("hex")));
const malformed = expect.objectContaining({ code: "DER_MALFORMED" }) as Error;
const tooLarge = expect.objectContaining({ code: "LIMIT_EXCEEDED" }) as Error;

const folder = resolve(projectDir, "testdata", "x509");
const certificates = readdirSync(folder)
  .filter((name) => name.endsWith(".pem"))
  .flatMap((name) => parsePem(readFileSync(resolve(folder, name), "utf8")).map(({ bytes }) => bytes));

describe("parseDer (X.690 §8.1, §10.1)", () => {
  test("gives identifier, whole encoding and content as views of the input", () => {
    const bytes = hex("0403 010203");
    const element = parseDer(bytes);
    expect([element.tag, element.bytes, element.content]).toEqual([Tag.octetString, bytes, hex("010203")]);
    expect(element.content.buffer).toBe(bytes.buffer);
  });

  test.for([
    ["no content", "0400", 0],
    ["127 bytes", `047f ${"00".repeat(127)}`, 127],
    ["128 bytes", `048180 ${"00".repeat(128)}`, 128],
    ["255 bytes", `0481ff ${"00".repeat(255)}`, 255],
    ["256 bytes", `04820100 ${"00".repeat(256)}`, 256],
    ["65536 bytes", `0483010000 ${"00".repeat(65_536)}`, 65_536],
  ] as const)("reads a length of %s", ([, text, length]) => {
    expect(parseDer(hex(text)).content).toHaveLength(length);
  });

  test.for([
    ["is empty", ""],
    ["ends after its identifier", "04"],
    ["ends inside its length", "0482 01"],
    ["ends inside its content", "0402 00"],
    ["has a byte after its end", "0401 00 00"],
    ["has an indefinite length", "2480 040100 0000"],
    ["has an indefinite length in a sequence", "3080 0000"],
    ["has the reserved length FF", "04ff 00"],
    ["has a long length that would fit the short form", `04817f ${"00".repeat(127)}`],
    ["has a length with a leading zero", `04820080 ${"00".repeat(128)}`],
    ["has a length with a zero octet in front of two", `0483000100 ${"00".repeat(256)}`],
    ["has a length of five octets", "04850000000001 00"],
    ["has a length of 2^32 - 1", "0484ffffffff 00"],
    ["has a high tag number", "1f8101 00"],
    ["has a high tag number that would be a low one", "bf01 00"],
    ["is end-of-contents", "0000"],
    ["is constructed end-of-contents", "2000"],
    ["is a constructed OCTET STRING", "2403 040100"],
    ["is a constructed BIT STRING", "2304 03020000"],
    ["is a constructed UTF8String", "2c00"],
    ["is a constructed UTCTime", "3700"],
    ["is a constructed INTEGER", "2203 020100"],
    ["is a primitive SEQUENCE", "1000"],
    ["is a primitive SET", "1100"],
  ] as const)("rejects a value that %s", ([, text]) => {
    expect(() => parseDer(hex(text))).toThrow(malformed);
  });

  test("compares the identifier with the one that is asked for", () => {
    expect(parseDer(hex("3000"), Tag.sequence).tag).toBe(Tag.sequence);
    expect(() => parseDer(hex("3000"), Tag.set)).toThrow(
      expect.objectContaining({ code: "DER_MALFORMED", expected: "0x31", found: "0x30" }),
    );
  });
});

describe("DerReader (X.690 §8.9)", () => {
  const sequence = parseDer(hex("300b 020105 0101ff a003 020101"));

  test("reads elements in order and knows its end", () => {
    const reader = DerReader.of(sequence);
    expect(reader.peekTag()).toBe(Tag.integer);
    expect(decodeInteger(reader.next(Tag.integer))).toBe(5n);
    expect(reader.optional(Tag.octetString)).toBeUndefined();
    expect(decodeBoolean(reader.optional(Tag.boolean)!)).toBe(true);
    expect(reader.atEnd).toBe(false);
    const tagged = reader.next(contextTag(0, true));
    expect(tagged.bytes).toEqual(hex("a003020101"));
    expect(decodeInteger(DerReader.of(tagged).next())).toBe(1n);
    expect(reader.atEnd).toBe(true);
    expect(reader.peekTag()).toBeUndefined();
    expect(reader.optional(Tag.integer)).toBeUndefined();
    reader.end();
    expect(() => reader.next()).toThrow(malformed);
  });

  test("opens sequences and sets, and nothing else under their names", () => {
    const content = hex("3003 020101 3103 020102");
    const reader = new DerReader(content);
    expect(decodeInteger(reader.sequence().next())).toBe(1n);
    expect(decodeInteger(reader.set().next())).toBe(2n);
    expect(() => new DerReader(content).set()).toThrow(malformed);
    expect(() => new DerReader(content.subarray(5)).sequence()).toThrow(malformed);
  });

  test.for([
    ["an element is left", () => DerReader.of(sequence).end()],
    ["the next element has another identifier", () => DerReader.of(sequence).next(Tag.boolean)],
    ["the next element reaches beyond the value around it", () => DerReader.of(parseDer(hex("3003 040200"))).next()],
    ["a value is primitive", () => DerReader.of(parseDer(hex("8003 020101")))],
    ["an identifier is not allowed", () => new DerReader(hex("1f8101 00")).next()],
  ] as const)("throws when %s", ([, action]) => {
    expect(action).toThrow(malformed);
  });

  test("does not read beyond the value around it into bytes that follow", () => {
    const outer = DerReader.of(parseDer(hex("3008 3003 040300 020101")));
    const inner = outer.sequence();
    expect(() => inner.next()).toThrow(malformed);
  });

  test("has a limit on nesting", () => {
    const nested = (depth: number): Uint8Array => {
      let bytes = new Uint8Array(0);
      for (let i = 0; i < depth; i++) bytes = Uint8Array.from(encodeDer(Tag.sequence, bytes));
      return bytes;
    };
    const walk = (element: DerElement): void => {
      const reader = DerReader.of(element);
      while (!reader.atEnd) walk(reader.next());
    };
    expect(() => walk(parseDer(nested(32)))).not.toThrow();
    expect(() => walk(parseDer(nested(33)))).toThrow(tooLarge);
  });

  test("opens an element that another reader made", () => {
    const element = { tag: Tag.sequence, bytes: hex("3003020107"), content: hex("020107") };
    expect(decodeInteger(DerReader.of(element).next())).toBe(7n);
  });
});

describe("contextTag (X.690 §8.1.2)", () => {
  test("makes identifier octets", () => {
    expect([contextTag(0, true), contextTag(3, true), contextTag(2, false), contextTag(30, false)]).toEqual([
      0xa0, 0xa3, 0x82, 0x9e,
    ]);
  });

  test.for([-1, 31, Number.NaN])("refuses tag number %s", (number) => {
    expect(() => contextTag(number, false)).toThrow(TypeError);
  });
});

describe("decodeBoolean (X.690 §11.1)", () => {
  test("reads 00 and FF", () => {
    expect(decodeBoolean(parseDer(hex("010100")))).toBe(false);
    expect(decodeBoolean(parseDer(hex("0101ff")))).toBe(true);
    expect(decodeBoolean(parseDer(hex("8001ff")))).toBe(true); // implicit tag
  });

  test.for(["010101", "0101fe", "0100", "0102ffff"])("rejects %s", (text) => {
    expect(() => decodeBoolean(parseDer(hex(text)))).toThrow(malformed);
  });
});

describe("decodeNull (X.690 §8.8)", () => {
  test("accepts no content only", () => {
    expect(() => decodeNull(parseDer(hex("0500")))).not.toThrow();
    expect(() => decodeNull(parseDer(hex("050100")))).toThrow(malformed);
  });
});

describe("decodeInteger and its relatives (X.690 §8.3)", () => {
  test.for([
    ["020100", 0n],
    ["02017f", 127n],
    ["02020080", 128n],
    ["02020100", 256n],
    ["020180", -128n],
    ["0202ff7f", -129n],
    ["0201ff", -1n],
    ["020900ffffffffffffffff", 2n ** 64n - 1n],
    ["02088000000000000000", -(2n ** 63n)],
  ] as const)("reads %s", ([text, value]) => {
    expect(decodeInteger(parseDer(hex(text)))).toBe(value);
  });

  test.for([
    ["no content", "0200"],
    ["a leading zero octet", "020200 7f"],
    ["a zero of two octets", "02020000"],
    ["a leading FF octet", "0202ff80"],
  ] as const)("rejects %s, in every form", ([, text]) => {
    for (const decode of [decodeInteger, decodeSmallInteger, decodeUnsignedBytes]) {
      expect(() => decode(parseDer(hex(text)))).toThrow(malformed);
    }
  });

  test("has a limit on size", () => {
    expect(() => decodeInteger(parseDer(encodeDer(2, new Uint8Array(1024).fill(1))))).not.toThrow();
    expect(() => decodeInteger(parseDer(encodeDer(2, new Uint8Array(1025).fill(1))))).toThrow(tooLarge);
  });

  test("decodeSmallInteger reads 0 to 2^31 - 1", () => {
    expect(decodeSmallInteger(parseDer(hex("020100")))).toBe(0);
    expect(decodeSmallInteger(parseDer(hex("0203010000")))).toBe(65_536);
    expect(decodeSmallInteger(parseDer(hex("02047fffffff")))).toBe(2 ** 31 - 1);
    for (const text of ["02050080000000", "0201ff", "02050100000000"]) {
      expect(() => decodeSmallInteger(parseDer(hex(text)))).toThrow(malformed);
    }
  });

  test("decodeUnsignedBytes drops the zero octet of the sign, and refuses a negative number", () => {
    expect(decodeUnsignedBytes(parseDer(hex("02020080")))).toEqual(hex("80"));
    expect(decodeUnsignedBytes(parseDer(hex("02017f")))).toEqual(hex("7f"));
    expect(decodeUnsignedBytes(parseDer(hex("020100")))).toEqual(hex("00"));
    expect(() => decodeUnsignedBytes(parseDer(hex("020180")))).toThrow(malformed);
  });
});

describe("decodeOid (X.690 §8.19)", () => {
  test.for([
    ["0603 883703", "2.999.3"], // the example of §8.19.5
    ["0606 2a864886f70d", "1.2.840.113549"],
    ["0603 550403", "2.5.4.3"],
    ["0601 00", "0.0"],
    ["0601 27", "0.39"],
    ["0601 28", "1.0"],
    ["0601 4f", "1.39"],
    ["0601 50", "2.0"],
    ["060a 2b0601040183bf300101", "1.3.6.1.4.1.57264.1.1"],
    ["0609 2b8fffffffffffff7f", "1.3.9007199254740991"],
  ] as const)("reads %s as %s", ([text, dotted]) => {
    expect(decodeOid(parseDer(hex(text)))).toBe(dotted);
  });

  test.for([
    ["no content", "0600"],
    ["an arc with a leading zero group", "0603 2a8001"],
    ["a first arc with a leading zero group", "0602 8001"],
    ["an arc that is cut off", "0602 2a86"],
    ["an arc of 2^53", "0609 2b9080808080808000"],
    ["an arc of many groups", `0614 2b${"ff".repeat(18)}7f`],
    ["129 bytes", `068181 ${"01".repeat(129)}`],
  ] as const)("rejects %s", ([, text]) => {
    expect(() => decodeOid(parseDer(hex(text)))).toThrow(malformed);
  });
});

describe("decodeBitString (X.690 §8.6, §11.2)", () => {
  test.for([
    ["0304 066e5dc0", 6, "6e5dc0"], // the example of §8.6.4.2, with its unused bits at zero
    ["0302 0780", 7, "80"],
    ["0302 00ff", 0, "ff"],
    ["0301 00", 0, ""],
  ] as const)("reads %s", ([text, unusedBits, bytes]) => {
    expect(decodeBitString(parseDer(hex(text)))).toEqual({ unusedBits, bytes: hex(bytes) });
  });

  test.for([
    ["no count of unused bits", "0300"],
    ["8 unused bits", "0302 0800"],
    ["unused bits of nothing", "0301 01"],
    ["unused bits that are set", "0304 066e5de0"],
    ["the lowest unused bit set", "0302 0181"],
  ] as const)("rejects %s", ([, text]) => {
    expect(() => decodeBitString(parseDer(hex(text)))).toThrow(malformed);
  });
});

test("decodeOctetString gives the content (X.690 §8.7)", () => {
  expect(decodeOctetString(parseDer(hex("0402 beef")))).toEqual(hex("beef"));
});

describe("decodeTime (X.690 §11.7, §11.8; RFC 5280 §4.1.2.5)", () => {
  test.for([
    [Tag.utcTime, "260131235959Z", "2026-01-31T23:59:59.000Z"],
    [Tag.utcTime, "491231235959Z", "2049-12-31T23:59:59.000Z"],
    [Tag.utcTime, "500101000000Z", "1950-01-01T00:00:00.000Z"],
    [Tag.utcTime, "240229000000Z", "2024-02-29T00:00:00.000Z"],
    [Tag.generalizedTime, "20500101000000Z", "2050-01-01T00:00:00.000Z"],
    [Tag.generalizedTime, "99991231235959Z", "9999-12-31T23:59:59.000Z"], // RFC 5280: no well-defined expiration date
    [Tag.generalizedTime, "00500101000000Z", "0050-01-01T00:00:00.000Z"],
    [Tag.generalizedTime, "19920722132100.3Z", "1992-07-22T13:21:00.300Z"], // the example of §11.7.5
    [Tag.generalizedTime, "20260131235959.123456Z", "2026-01-31T23:59:59.123Z"],
    [Tag.generalizedTime, "20260131235959.0001Z", "2026-01-31T23:59:59.000Z"],
    [Tag.generalizedTime, "20260131235959.05Z", "2026-01-31T23:59:59.050Z"],
  ] as const)("reads %s %s", ([tag, text, iso]) => {
    expect(decodeTime(ascii(tag, text)).toISOString()).toBe(iso);
  });

  test.for([
    ["a UTCTime without seconds", Tag.utcTime, "2601312359Z"],
    ["a UTCTime with an offset", Tag.utcTime, "260131235959+0000"],
    ["a UTCTime without Z", Tag.utcTime, "260131235959"],
    ["a UTCTime with a fraction", Tag.utcTime, "260131235959.1Z"],
    ["a UTCTime with four digits of a year", Tag.utcTime, "20260131235959Z"],
    ["a GeneralizedTime with two digits of a year", Tag.generalizedTime, "260131235959Z"],
    ["a GeneralizedTime without seconds", Tag.generalizedTime, "202601312359Z"],
    ["a GeneralizedTime of local time", Tag.generalizedTime, "20260131235959"],
    ["a GeneralizedTime with an offset", Tag.generalizedTime, "20260131235959+0000"],
    ["a fraction that ends in zero", Tag.generalizedTime, "20260131235959.10Z"],
    ["a fraction of zero", Tag.generalizedTime, "20260131235959.0Z"],
    ["a point without digits", Tag.generalizedTime, "20260131235959.Z"],
    ["a comma", Tag.generalizedTime, "20260131235959,1Z"],
    ["a fraction with a letter", Tag.generalizedTime, "20260131235959.1aZ"],
    ["a fraction of 18 digits", Tag.generalizedTime, `20260131235959.${"1".repeat(18)}Z`],
    ["a lower-case z", Tag.utcTime, "260131235959z"],
    ["midnight as 24", Tag.utcTime, "260131240000Z"],
    ["minute 60", Tag.utcTime, "260131236000Z"],
    ["a leap second", Tag.utcTime, "161231235960Z"],
    ["February 29 of another year", Tag.utcTime, "260229000000Z"],
    ["month 0", Tag.utcTime, "260001000000Z"],
    ["month 13", Tag.utcTime, "261301000000Z"],
    ["day 0", Tag.utcTime, "260100000000Z"],
    ["April 31", Tag.utcTime, "260431000000Z"],
    ["a letter for a digit", Tag.utcTime, "26013123595OZ"],
    ["a sign for a digit", Tag.utcTime, "26+131235959Z"],
    ["a space for a digit", Tag.utcTime, "26 131235959Z"],
    ["nothing", Tag.utcTime, ""],
    ["another type", Tag.ia5String, "260131235959Z"],
  ] as const)("rejects %s", ([, tag, text]) => {
    expect(() => decodeTime(ascii(tag, text))).toThrow(malformed);
  });

  test("agrees with node:crypto on the validity of certificates", () => {
    expect(certificates.length).toBeGreaterThan(20);
    for (const bytes of certificates) {
      const tbs = DerReader.of(parseDer(bytes)).sequence();
      tbs.optional(contextTag(0, true));
      for (let i = 0; i < 3; i++) tbs.next(); // serial number, algorithm, issuer
      const validity = tbs.sequence();
      const { validFromDate, validToDate } = new X509Certificate(bytes);
      expect([decodeTime(validity.next()), decodeTime(validity.next())]).toEqual([validFromDate, validToDate]);
    }
  });
});

describe("decodeString (X.680 §41)", () => {
  test.for([
    [Tag.utf8String, "c3a9f09f9882", "é😂"],
    [Tag.printableString, "41 7a 39 20 27 28 29 2b 2c 2d 2e 2f 3a 3d 3f", "Az9 '()+,-./:=?"],
    [Tag.numericString, "30 39 20", "09 "],
    [Tag.ia5String, "40 2a 00 7f", "@*\0\x7f"],
    [Tag.visibleString, "20 7e", " ~"],
    [Tag.teletexString, "e9", "é"],
    [Tag.bmpString, "00e9 20ac", "é€"],
    [Tag.universalString, "0001f602", "😂"],
    [Tag.utf8String, "", ""],
  ] as const)("reads type %s with %s", ([tag, content, text]) => {
    expect(decodeString(parseDer(encodeDer(tag, hex(content))))).toBe(text);
  });

  test.for([
    ["a UTF8String that is not UTF-8", Tag.utf8String, "c3"],
    ["a PrintableString with @", Tag.printableString, "40"],
    ["a PrintableString with *", Tag.printableString, "2a"],
    ["a PrintableString with &", Tag.printableString, "26"],
    ["a PrintableString with _", Tag.printableString, "5f"],
    ["a PrintableString with ;", Tag.printableString, "3b"],
    ["a PrintableString with [", Tag.printableString, "5b"],
    ["a PrintableString with NUL", Tag.printableString, "00"],
    ["a NumericString with a letter", Tag.numericString, "41"],
    ["an IA5String beyond ASCII", Tag.ia5String, "80"],
    ["a VisibleString with a control character", Tag.visibleString, "1f"],
    ["a VisibleString with DEL", Tag.visibleString, "7f"],
    ["a BMPString of odd length", Tag.bmpString, "0041 00"],
    ["a BMPString with a surrogate", Tag.bmpString, "d83d de02"],
    ["a UniversalString of three bytes", Tag.universalString, "000041"],
    ["a UniversalString beyond U+10FFFF", Tag.universalString, "00110000"],
    ["a UniversalString with a surrogate", Tag.universalString, "0000d800"],
    ["an OCTET STRING", Tag.octetString, "41"],
  ] as const)("rejects %s", ([, tag, content]) => {
    expect(() => decodeString(parseDer(encodeDer(tag, hex(content))))).toThrow(malformed);
  });
});

// ---- against other readers

/** One line an element, depth first: depth, identifier, length of the content. */
function walk(element: DerElement, depth = 0, lines: string[] = []): string[] {
  lines.push(`${depth} ${element.tag} ${element.content.length}`);
  if ((element.tag & 0x20) !== 0) {
    const reader = DerReader.of(element);
    while (!reader.atEnd) walk(reader.next(), depth + 1, lines);
    reader.end();
  }
  return lines;
}

function walkAsn1js(block: asn1js.AsnType, depth = 0, lines: string[] = []): string[] {
  const { tagClass, tagNumber, isConstructed } = block.idBlock;
  lines.push(`${depth} ${((tagClass - 1) << 6) | (isConstructed ? 0x20 : 0) | tagNumber} ${block.lenBlock.length}`);
  if (isConstructed) {
    for (const item of (block.valueBlock as unknown as { value: asn1js.AsnType[] }).value)
      walkAsn1js(item, depth + 1, lines);
  }
  return lines;
}

describe("DerReader beside other readers", () => {
  test("walks certificates as asn1js does", () => {
    for (const bytes of certificates) {
      const { result, offset } = asn1js.fromBER(bytes);
      expect(offset).toBe(bytes.length);
      expect(walk(parseDer(bytes))).toEqual(walkAsn1js(result));
    }
  });

  const openssl = spawnSync("openssl", ["version"]).status === 0;
  test.skipIf(!openssl)("walks a certificate as openssl does", () => {
    for (const bytes of certificates.slice(0, 3)) {
      const output = execFileSync("openssl", ["asn1parse", "-inform", "DER"], { input: bytes, encoding: "utf8" });
      const expected = [...output.matchAll(/d=(\d+)\s+hl=\d+\s+l=\s*(\d+) (cons|prim)/g)].map(
        ([, depth, length, form]) => `${depth} ${form} ${length}`,
      );
      const found = walk(parseDer(bytes)).map((line) => {
        const [depth, tag, length] = line.split(" ");
        return `${depth} ${(Number(tag) & 0x20) === 0 ? "prim" : "cons"} ${length}`;
      });
      expect(expected.length).toBeGreaterThan(30);
      expect(found).toEqual(expected);
    }
  });

  test("reads any tree of values that asn1js writes", () => {
    const leaf = fc.oneof(
      fc
        .bigInt({ min: -(2n ** 70n), max: 2n ** 70n })
        .map((value) => asn1js.Integer.fromBigInt(value) as asn1js.AsnType),
      fc
        .uint8Array({ maxLength: 300 })
        .map((bytes) => new asn1js.OctetString({ valueHex: Uint8Array.from(bytes).buffer }) as asn1js.AsnType),
      fc.boolean().map((value) => new asn1js.Boolean({ value }) as asn1js.AsnType),
      anyText().map((value) => new asn1js.Utf8String({ value }) as asn1js.AsnType),
    );
    const { tree } = fc.letrec<{ tree: asn1js.AsnType }>((tie) => ({
      tree: fc.oneof(
        { maxDepth: 4, withCrossShrink: true },
        leaf,
        fc.array(tie("tree"), { maxLength: 4 }).map((value) => new asn1js.Sequence({ value }) as asn1js.AsnType),
        fc
          .array(tie("tree"), { maxLength: 4 })
          .map((value) => new asn1js.Constructed({ idBlock: { tagClass: 3, tagNumber: 1 }, value }) as asn1js.AsnType),
      ),
    }));
    fc.assert(
      fc.property(tree, (block) => {
        const bytes = new Uint8Array(block.toBER());
        expect(walk(parseDer(bytes))).toEqual(walkAsn1js(asn1js.fromBER(bytes).result));
      }),
      SAMPLE,
    );
  });

  test("reads any integer as asn1js wrote it", () => {
    fc.assert(
      fc.property(fc.bigInt({ min: -(2n ** 200n), max: 2n ** 200n }), (value) => {
        expect(decodeInteger(parseDer(new Uint8Array(asn1js.Integer.fromBigInt(value).toBER())))).toBe(value);
      }),
      SAMPLE,
    );
  });
});

describe("DerReader on hostile bytes", () => {
  const decoders = [
    decodeBoolean,
    decodeNull,
    decodeInteger,
    decodeSmallInteger,
    decodeUnsignedBytes,
    decodeOid,
    decodeBitString,
    decodeTime,
    decodeString,
  ];

  /** Reads everything in every way; gives what a reader can tell apart. */
  function readAll(bytes: Uint8Array): string | undefined {
    const element = expectNoOtherError(() => parseDer(bytes));
    return element === undefined ? undefined : expectNoOtherError(() => `${walk(element).join()} ${contents(element)}`);
  }

  function contents(element: DerElement): string {
    for (const decode of decoders) expectNoOtherError(() => decode(element) as unknown);
    if ((element.tag & 0x20) === 0) return Buffer.from(element.content).toString("hex");
    const reader = DerReader.of(element);
    let text = "";
    while (!reader.atEnd) text += `${contents(reader.next())},`;
    return text;
  }

  test("throws nothing but a SigstoreError on any bytes", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 64 }), (bytes) => {
        readAll(bytes);
        for (const tag of Object.values(Tag)) readAll(encodeDer(tag, bytes));
      }),
      SAMPLE,
    );
  });

  test("sees every changed byte and every truncation of a certificate", () => {
    const [certificate = new Uint8Array(0)] = certificates;
    const whole = readAll(certificate);
    expect(whole).toBeDefined();
    fc.assert(
      fc.property(fc.nat(certificate.length - 1), fc.integer({ min: 1, max: 255 }), (index, pattern) => {
        expect(readAll(withFlippedByte(certificate, index, pattern))).not.toBe(whole);
        expect(() => parseDer(certificate.subarray(0, index))).toThrow(malformed);
      }),
      SAMPLE,
    );
  });
});
