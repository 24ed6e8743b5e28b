import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { formatName } from "../../src/x509/name.ts";
import { bytes, int, name, oid, seq, set, text, utf8 } from "../support/certificates.ts";
import { anyText } from "../support/hostile.ts";

describe("formatName (RFC 4514 §2)", () => {
  const CN = "2.5.4.3";
  // Expected texts: RFC 4514 §4 where there is an example, otherwise openssl x509 -nameopt RFC2253
  test.for<[string, Uint8Array, string]>([
    ["the last part first", name({ C: "DE", O: "Example", CN: "root" }), "CN=root,O=Example,C=DE"],
    ["an empty name as nothing", seq(), ""],
    [
      "parts of one set with a plus",
      seq(set(seq(oid("2.5.4.11"), utf8("Sales")), seq(oid(CN), utf8("J.  Smith")))),
      "OU=Sales+CN=J.  Smith",
    ],
    ["special characters escaped", name({ CN: 'James "Jim" Smith, III' }), 'CN=James \\"Jim\\" Smith\\, III'],
    ["a carriage return escaped", name({ CN: "Before\rAfter" }), "CN=Before\\0dAfter"],
    ["a leading number sign and outer spaces escaped", name({ O: "#1 ", CN: " a" }), "CN=\\ a,O=\\#1\\ "],
    ["an escape sequence of a terminal escaped", name({ CN: "\u001b[2J\u009b" }), "CN=\\1b[2J\\c2\\9b"],
    [
      "DEL and U+0080 escaped, and U+00A0 as it is",
      name({ CN: "a\u007fb\u0080c\u00a0d" }),
      "CN=a\\7fb\\c2\\80c\u00a0d",
    ],
    ["text of an unknown type in hexadecimal", seq(set(seq(oid("1.2.3"), utf8("a")))), "1.2.3=#0c0161"],
    [
      "an attribute with a third field in hexadecimal",
      seq(set(seq(oid("2.5.4.3"), utf8("a"), int(1)))),
      "#300f310d300b06035504030c0161020101",
    ],
    ["text beyond ASCII as it is", name({ CN: "Lučić" }), "CN=Lučić"],
    [
      "an unknown type by number and bytes",
      seq(set(seq(oid("1.3.6.1.4.1.1466.0"), bytes(4, 2, 0x48, 0x69)))),
      "1.3.6.1.4.1.1466.0=#04024869",
    ],
    ["a value that is no text in hexadecimal", seq(set(seq(oid(CN), int(5)))), "CN=#020105"],
    [
      "a text with bytes that its type forbids in hexadecimal",
      seq(set(seq(oid(CN), text(0x13, "a*b")))),
      "CN=#1303612a62",
    ],
    ["what is no name in hexadecimal", bytes(0x30, 5, 1), "#300501"],
  ])("writes %s", ([, der, expected]) => {
    expect(formatName(der)).toBe(expected);
  });

  test("never throws and never shows a control character", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 60 }), anyText({ maxLength: 40 }), (garbage, value) => {
        for (const der of [garbage, seq(garbage), seq(set(garbage)), seq(set(seq(oid(CN), utf8(value))))]) {
          expect(formatName(der)).not.toMatch(/[\u0000-\u001f\u007f-\u009f]/);
        }
      }),
      { numRuns: 500, seed: 4514 },
    );
  });
});
