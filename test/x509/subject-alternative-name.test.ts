import { X509Certificate } from "node:crypto";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { parseCertificate, parseCertificatesPem } from "../../src/x509/certificate.ts";
import type { SubjectAlternativeName } from "../../src/x509/subject-alternative-name.ts";
import {
  bytes,
  ctx,
  email,
  extension,
  int,
  makeAuthority,
  makeLeaf,
  name,
  oid,
  OIDS,
  prim,
  seq,
  subjectAltName,
  text,
  uri,
  utf8,
  withExtension,
} from "../support/certificates.ts";
import { projectDir } from "../support/shared.ts";

const root = makeAuthority();
const withCode = (code: string): unknown => expect.objectContaining({ code });
const FULCIO_USERNAME = `${OIDS.fulcio}.7`;
const otherName = (type: string, value: Uint8Array): Uint8Array => ctx(0, oid(type), ctx(0, value));
const read = (...names: readonly Uint8Array[]): readonly SubjectAlternativeName[] =>
  parseCertificate(
    makeLeaf({ issuer: root, extensions: (usual) => withExtension(usual, subjectAltName(...names)) }).der,
  ).extensions.subjectAlternativeNames;

describe("parseSubjectAlternativeNames (RFC 5280 §4.2.1.6)", () => {
  test("reads every form that openssl writes, in order", () => {
    const pem = readFileSync(join(projectDir, "testdata", "x509", "every-name-form.pem"), "utf8");
    const names = parseCertificatesPem(pem)[0]?.extensions.subjectAlternativeNames.map(({ kind, value }) => [
      kind,
      value,
    ]);
    expect(names).toEqual([
      ["email", "user@example.com"],
      ["uri", "https://example.com/a/b?c"],
      ["dns", "example.com"],
      ["ip", "192.0.2.1"],
      ["ip", "2001:db8::1:0:0:1"],
      ["ip", "::"],
      ["registered-id", "1.2.3.4"],
      ["directory-name", "CN=a \\+ b,O=Example\\, Inc.,C=DE"],
      ["other-name", "user!example.com"],
      ["unsupported", expect.stringContaining("1.3.6.1.5.5.7.8.9")],
    ]);
    const theirs = new X509Certificate(pem).subjectAltName;
    for (const value of [
      "email:user@example.com",
      "URI:https://example.com/a/b?c",
      "DNS:example.com",
      "IP Address:192.0.2.1",
      "Registered ID:1.2.3.4",
    ])
      expect(theirs).toContain(value);
  });

  test("reads no text from another name of a type that is not Fulcio's", () => {
    expect(read(otherName("1.2.3", utf8("user@example.com")))).toMatchObject([{ kind: "unsupported" }]);
  });

  test("reads the forms that nobody uses as unsupported", () => {
    expect(read(ctx(3, int(1)), ctx(5, ctx(1, utf8("party"))))).toMatchObject([
      { kind: "unsupported", form: 3 },
      { kind: "unsupported", form: 5 },
    ]);
  });

  test("reads every character that is not a control character", () => {
    expect(read(uri(" ~"), otherName(FULCIO_USERNAME, utf8(" ~\u00a0é!example.com")))).toMatchObject([
      { value: " ~" },
      { value: " ~\u00a0é!example.com" },
    ]);
  });

  test("gives the octets of a name", () => {
    expect(read(prim(7, bytes(192, 0, 2, 1)), ctx(4, name({ CN: "x" })))).toMatchObject([
      { bytes: bytes(192, 0, 2, 1) },
      { bytes: name({ CN: "x" }) },
    ]);
  });

  test.for<[string, Uint8Array]>([
    ["is empty", seq()],
    ["has bytes after it", bytes(seq(uri("https://example.com")), 0)],
    ["has an address of five octets", seq(prim(7, bytes(1, 2, 3, 4, 5)))],
    ["has a NUL in a URI", seq(uri("https://example.com/\0.evil.test"))],
    ["has a newline in a URI", seq(uri("https://example.com/\n"))],
    ["has a DEL in an e-mail address", seq(email("user@example.com\x7f"))],
    ["has an e-mail address beyond ASCII", seq(email("usér@example.com"))],
    ["has a control character in a username", seq(otherName(FULCIO_USERNAME, utf8("user\u001b[2J!example.com")))],
    ["has a DEL in a username", seq(otherName(FULCIO_USERNAME, utf8("user\u007f!example.com")))],
    [
      "has a control character of Latin-1 in a username",
      seq(otherName(FULCIO_USERNAME, utf8("user\u009f!example.com"))),
    ],
    ["has a username that is no UTF8String", seq(otherName(FULCIO_USERNAME, text(0x16, "user!example.com")))],
    ["has bytes after a username", seq(ctx(0, oid(FULCIO_USERNAME), ctx(0, utf8("user"), utf8("user"))))],
    ["has a field after the value of another name", seq(ctx(0, oid(FULCIO_USERNAME), ctx(0, utf8("user")), int(1)))],
    ["has another name without a value", seq(ctx(0, oid(FULCIO_USERNAME)))],
    ["has a tenth form", seq(prim(9, "x"))],
    ["has a text form that is constructed", seq(ctx(6, utf8("https://example.com")))],
    ["has a universal tag", seq(utf8("https://example.com"))],
    ["has a directory name that is none", seq(ctx(4, int(1)))],
    ["has a registered id that is none", seq(prim(8, bytes(0x80)))],
  ])("rejects a list that %s", ([, value]) => {
    const { der } = makeLeaf({
      issuer: root,
      extensions: (usual) => withExtension(usual, extension(OIDS.subjectAltName, value, true)),
    });
    expect(() => parseCertificate(der)).toThrow(withCode("CERTIFICATE_MALFORMED"));
  });

  test("accepts 64 names and rejects one more", () => {
    const many = (count: number): readonly Uint8Array[] =>
      Array.from({ length: count }, (_, i) => uri(`https://example.com/${i}`));
    expect(read(...many(64))).toHaveLength(64);
    expect(() => read(...many(65))).toThrow(withCode("LIMIT_EXCEEDED"));
  });
});
