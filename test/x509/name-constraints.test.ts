import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { parseCertificate } from "../../src/x509/certificate.ts";
import { findNameViolation } from "../../src/x509/name-constraints.ts";
import {
  bytes,
  ctx,
  der,
  dns,
  email,
  extension,
  int,
  makeAuthority,
  makeLeaf,
  name,
  nameConstraints,
  oid,
  OIDS,
  prim,
  seq,
  set,
  subjectAltName,
  text,
  uri,
  utf8,
  withExtension,
  withoutExtension,
} from "../support/certificates.ts";
import { projectDir } from "../support/shared.ts";

const root = makeAuthority();
const withCode = (code: string): unknown => expect.objectContaining({ code });

interface Matrix {
  readonly constraints: readonly { readonly constraint: string; readonly certificate: string }[];
  readonly names: readonly { readonly name: string; readonly certificate: string }[];
  readonly verdicts: readonly string[];
}
const matrix = JSON.parse(
  readFileSync(join(projectDir, "testdata", "x509", "name-constraints.json"), "utf8"),
) as Matrix;

/** Where RFC 5280 §4.2.1.10 and OpenSSL 3.0 part: it takes the user information of a URI for a part of the host name. */
const OPENSSL_IS_WRONG: ReadonlyMap<string, boolean> = new Map([
  ["permitted;URI:example.com|URI:https://user@example.com:8443/a", true],
  ["excluded;URI:example.com|URI:https://user@example.com:8443/a", false],
  ["permitted;URI:example.com, permitted;URI:other.example|URI:https://user@example.com:8443/a", true],
]);

/** Names of a leaf under one constraint of its issuer. */
function violation(
  constraints: { permitted?: readonly Uint8Array[]; excluded?: readonly Uint8Array[] },
  names: readonly Uint8Array[],
  subject: Uint8Array = seq(),
): string | undefined {
  const authority = makeAuthority({
    extensions: (usual) => [...usual, nameConstraints(constraints.permitted ?? [], constraints.excluded ?? [])],
  });
  const leaf = makeLeaf({
    issuer: root,
    subject,
    extensions: (usual) =>
      names.length === 0
        ? withoutExtension(usual, OIDS.subjectAltName)
        : withExtension(usual, subjectAltName(...names)),
  });
  const parsed = parseCertificate(leaf.der);
  const nameConstraintsOf = parseCertificate(authority.der).extensions.nameConstraints;
  if (nameConstraintsOf === undefined) throw new Error("no constraints");
  return findNameViolation(nameConstraintsOf, {
    subject: parsed.subject,
    subjectAlternativeNames: parsed.extensions.subjectAlternativeNames,
  });
}

describe("findNameViolation (RFC 5280 §4.2.1.10)", () => {
  test.for(matrix.constraints.map((entry, i) => ({ ...entry, i })))(
    "agrees with openssl on $constraint",
    ({ constraint, certificate, i }) => {
      const constraints = parseCertificate(Uint8Array.from(Buffer.from(certificate, "base64"))).extensions
        .nameConstraints;
      expect(constraints).toBeDefined();
      const ours = matrix.names.map((entry) => {
        const { subject, extensions } = parseCertificate(Uint8Array.from(Buffer.from(entry.certificate, "base64")));
        const allowed =
          constraints &&
          findNameViolation(constraints, { subject, subjectAlternativeNames: extensions.subjectAlternativeNames }) ===
            undefined;
        return [entry.name, allowed];
      });
      const theirs = matrix.names.map((entry, j) => [
        entry.name,
        OPENSSL_IS_WRONG.get(`${constraint}|${entry.name}`) ?? matrix.verdicts[i]?.[j] === "1",
      ]);
      expect(ours).toEqual(theirs);
    },
  );

  const directory = (...rdns: readonly Uint8Array[]): Uint8Array => ctx(4, seq(...rdns));
  const rdn = (type: string, value: string, tag = 0x0c): Uint8Array => set(seq(oid(type), text(tag, value)));
  const O = "2.5.4.10";
  const LONG_HOST = `${"a".repeat(63)}.`.repeat(3) + "b".repeat(61);

  test.for<[string, Parameters<typeof violation>]>([
    ["a name of a form without constraints", [{ permitted: [dns("example.com")] }, [uri("https://other.example/")]]],
    ["any host under an empty base", [{ permitted: [uri("")] }, [uri("https://other.example/")]]],
    ["any mailbox under an empty base", [{ permitted: [email("")] }, [email("user@example.com")]]],
    ["any DNS name under an empty base", [{ permitted: [dns("")] }, [dns("example.com")]]],
    ["a port, a query and a fragment", [{ permitted: [uri("example.com")] }, [uri("https://example.com:1?a#b")]]],
    [
      "a host in an authority with an empty port",
      [{ permitted: [uri("example.com")] }, [uri("https://example.com:/")]],
    ],
    [
      "a mailbox with an @ in its local part",
      [{ permitted: [email("example.com")] }, [email('"a@evil.test"@example.com')]],
    ],
    ["a wildcard below a permitted domain", [{ permitted: [dns("example.com")] }, [dns("*.example.com")]]],
    [
      "a directory name with more spaces and other case",
      [{ permitted: [directory(rdn(O, "Example Org"))] }, [directory(rdn(O, " example  ORG "))]],
    ],
    [
      "a directory name in another string type",
      [{ permitted: [directory(rdn(O, "Example", 0x13))] }, [directory(rdn(O, "Example"))]],
    ],
    ["a host of 253 characters", [{ excluded: [uri("evil.test")] }, [uri(`https://${LONG_HOST}/`)]]],
    ["a DNS name beside an excluded one", [{ excluded: [dns("y.example.com")] }, [dns("x.example.com")]]],
    ["a wildcard beside an excluded host", [{ excluded: [dns("bad.example.com")] }, [dns("*.other.example")]]],
    [
      "a directory name with a part that is no text, when that is the same",
      [{ permitted: [directory(set(seq(oid(O), int(1))))] }, [directory(set(seq(oid(O), int(1))))]],
    ],
    [
      "one of several permitted names",
      [{ permitted: [uri("a.example"), uri("b.example")] }, [uri("https://b.example/")]],
    ],
  ])("allows %s", ([, input]) => {
    expect(violation(...input)).toBeUndefined();
  });

  test.for<[string, Parameters<typeof violation>]>([
    [
      "one of several names",
      [{ permitted: [uri("example.com")] }, [uri("https://example.com/"), uri("https://evil.test/")]],
    ],
    [
      "a permitted name that is excluded",
      [{ permitted: [uri(".example.com")], excluded: [uri("bad.example.com")] }, [uri("https://bad.example.com/")]],
    ],
    ["every name under an empty excluded base", [{ excluded: [uri("")] }, [uri("https://example.com/")]]],
    ["a URI without a host", [{ excluded: [uri("example.com")] }, [uri("urn:example:a")]]],
    ["a URI with an empty host", [{ excluded: [uri("example.com")] }, [uri("file:///etc/passwd")]]],
    ["a URI with an IPv4 address", [{ excluded: [uri("example.com")] }, [uri("https://192.0.2.1/")]]],
    ["a URI with an IPv4 address in one number", [{ excluded: [uri("example.com")] }, [uri("https://3221225985/")]]],
    ["a URI with an IPv4 address in hexadecimal", [{ excluded: [uri("example.com")] }, [uri("https://192.0.2.0x1/")]]],
    ["a URI with an IPv6 address", [{ excluded: [uri("example.com")] }, [uri("https://[2001:db8::1]/")]]],
    ["a URI with an escaped host", [{ excluded: [uri("example.com")] }, [uri("https://ex%61mple.com/")]]],
    ["a URI with a host that ends in a dot", [{ excluded: [uri("example.com")] }, [uri("https://example.com./")]]],
    [
      "a URI with a backslash in its host",
      [{ excluded: [uri("example.com")] }, [uri("https://evil.test\\@example.com/")]],
    ],
    [
      "a URI with user information that looks permitted",
      [{ permitted: [uri("example.com")] }, [uri("https://example.com@evil.test/")]],
    ],
    ["an e-mail address without a host", [{ excluded: [email("example.com")] }, [email("user")]]],
    ["an e-mail address without a local part", [{ permitted: [email("example.com")] }, [email("@example.com")]]],
    ["an e-mail address in brackets", [{ excluded: [email("example.com")] }, [email("user@[192.0.2.1]")]]],
    ["a wildcard that covers an excluded host", [{ excluded: [dns("bad.example.com")] }, [dns("*.example.com")]]],
    [
      "a wildcard whose names lie below an excluded domain",
      [{ excluded: [dns(".example.com")] }, [dns("*.example.com")]],
    ],
    ["a DNS name with an empty label", [{ excluded: [dns("example.com")] }, [dns("example.com.")]]],
    [
      "an address of the other family",
      [{ permitted: [prim(7, bytes(192, 0, 2, 0, 255, 255, 255, 0))] }, [prim(7, new Uint8Array(16))]],
    ],
    [
      "an excluded directory name in disguise",
      [{ excluded: [directory(rdn(O, "Evil Org"))] }, [directory(rdn(O, " evil  ORG", 0x13))]],
    ],
    ["a host of 254 characters", [{ excluded: [uri("evil.test")] }, [uri(`https://a${LONG_HOST}/`)]]],
    [
      "a wildcard that is wider than what is permitted",
      [{ permitted: [dns("good.example.com")] }, [dns("*.example.com")]],
    ],
    [
      "a directory name with a part that is no text, when that differs",
      [{ permitted: [directory(set(seq(oid(O), int(1))))] }, [directory(set(seq(oid(O), int(2))))]],
    ],
    [
      "a shorter directory name than the base",
      [{ permitted: [directory(rdn(O, "a"), rdn(O, "b"))] }, [directory(rdn(O, "a"))]],
    ],
    ["an X.400 address where that form is constrained", [{ excluded: [ctx(3, int(1))] }, [ctx(3, int(2))]]],
    ["an EDI party name where that form is constrained", [{ permitted: [ctx(5, int(1))] }, [ctx(5, int(1))]]],
    [
      "an other name of another type than the constrained one",
      [{ excluded: [ctx(0, oid("1.2.3"), ctx(0, utf8("x")))] }, [ctx(0, oid("1.2.4"), ctx(0, utf8("x")))]],
    ],
    [
      "a subject that is not permitted",
      [{ permitted: [directory(rdn(O, "Example"))] }, [uri("https://example.com/")], name({ O: "Other" })],
    ],
    [
      "an e-mail address in a subject without alternative names",
      [{ permitted: [email("example.com")] }, [], name({ emailAddress: "user@evil.test" })],
    ],
    [
      "an e-mail address in a subject that is no text",
      [{ excluded: [email("example.com")] }, [], seq(set(seq(oid("1.2.840.113549.1.9.1"), int(1))))],
    ],
  ])("finds %s", ([, input]) => {
    expect(violation(...input)).toEqual(expect.any(String));
  });

  test("leaves an e-mail address in a subject alone when there are alternative names", () => {
    expect(
      violation(
        { permitted: [email("example.com")] },
        [uri("https://example.com/")],
        name({ emailAddress: "user@evil.test" }),
      ),
    ).toBeUndefined();
  });

  test("refuses a subject that is no Name", () => {
    expect(() => violation({ permitted: [uri("example.com")] }, [uri("https://example.com/")], seq(int(1)))).toThrow(
      withCode("DER_MALFORMED"),
    );
  });
});

describe("parseNameConstraints (RFC 5280 §4.2.1.10)", () => {
  const subtree = (...parts: readonly Uint8Array[]): Uint8Array => seq(...parts);
  const parse = (value: Uint8Array): unknown =>
    parseCertificate(
      makeAuthority({ extensions: (usual) => [...usual, extension(OIDS.nameConstraints, value, true)] }).der,
    ).extensions.nameConstraints;

  test("reads permitted and excluded bases", () => {
    expect(
      parse(seq(ctx(0, subtree(uri("a.example"))), ctx(1, subtree(prim(7, bytes(10, 0, 0, 0, 255, 0, 0, 0)))))),
    ).toMatchObject({
      permitted: [{ form: 6, base: "a.example" }],
      excluded: [{ form: 7, base: "", bytes: bytes(10, 0, 0, 0, 255, 0, 0, 0) }],
    });
  });

  test.for<[string, Uint8Array]>([
    ["are empty", seq()],
    ["have an empty list", seq(ctx(0))],
    ["have a minimum", seq(ctx(0, subtree(uri("a.example"), prim(0, bytes(1)))))],
    ["spell out the minimum of zero", seq(ctx(0, subtree(uri("a.example"), prim(0, bytes(0)))))],
    ["have a maximum", seq(ctx(0, subtree(uri("a.example"), prim(1, bytes(1)))))],
    ["have a subtree without a base", seq(ctx(0, subtree()))],
    ["have a base of another tag", seq(ctx(0, subtree(prim(9, "x"))))],
    ["have a base with a universal tag", seq(ctx(0, subtree(utf8("x"))))],
    [
      "have a text base that is constructed and looks like text",
      seq(ctx(0, subtree(der(0xa6, new TextEncoder().encode("a.example"))))),
    ],
    ["have an object identifier for a base", seq(ctx(0, subtree(der(0x06, new TextEncoder().encode("a.example")))))],
    ["have a text base that is constructed", seq(ctx(0, subtree(ctx(6, utf8("x")))))],
    ["have a base beyond ASCII", seq(ctx(0, subtree(uri("exämple.com"))))],
    ["have a base with a NUL", seq(ctx(0, subtree(dns("example.com\0"))))],
    ["have an address without a mask", seq(ctx(0, subtree(prim(7, bytes(10, 0, 0, 0)))))],
    ["have a mask with holes", seq(ctx(0, subtree(prim(7, bytes(10, 0, 0, 0, 255, 0, 255, 0)))))],
    ["have a mask with a hole within an octet", seq(ctx(0, subtree(prim(7, bytes(10, 0, 0, 0, 0xa0, 0, 0, 0)))))],
    ["have a directory name that is none", seq(ctx(0, subtree(ctx(4, seq(int(1))))))],
    ["have bytes after them", bytes(seq(ctx(0, subtree(uri("a.example")))), 0)],
    ["have a third list", seq(ctx(0, subtree(uri("a.example"))), ctx(2, subtree(uri("a.example"))))],
    ["have their lists in the wrong order", seq(ctx(1, subtree(uri("a.example"))), ctx(0, subtree(uri("a.example"))))],
    ["are no sequence", der(0x31)],
  ])("rejects constraints that %s", ([, value]) => {
    expect(() => parse(value)).toThrow(withCode("CERTIFICATE_MALFORMED"));
  });

  test("accepts 128 subtrees in both lists and rejects one more", () => {
    const list = (count: number): readonly Uint8Array[] =>
      Array.from({ length: count }, (_, i) => subtree(uri(`h${i}.example`)));
    expect(parse(seq(ctx(0, ...list(64)), ctx(1, ...list(64))))).toBeDefined();
    expect(() => parse(seq(ctx(0, ...list(64)), ctx(1, ...list(65))))).toThrow(withCode("LIMIT_EXCEEDED"));
  });
});
