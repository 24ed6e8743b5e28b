import { describe, expect, test } from "vitest";
import { parseCertificate } from "../../src/x509/certificate.ts";
import type { CertificateExtensions } from "../../src/x509/extensions.ts";
import {
  basicConstraints,
  bits,
  bool,
  bytes,
  ctx,
  extension,
  extKeyUsage,
  int,
  keyIdOf,
  makeAuthority,
  makeLeaf,
  name,
  octets,
  oid,
  OIDS,
  prim,
  seq,
  withExtension,
  type Extension,
} from "../support/certificates.ts";

const root = makeAuthority();
const leaf = makeLeaf({ issuer: root });
const withCode = (code: string): unknown => expect.objectContaining({ code });
const read = (changed: Extension): CertificateExtensions =>
  parseCertificate(
    makeLeaf({ issuer: root, keys: leaf.keys, extensions: (usual) => withExtension(usual, changed) }).der,
  ).extensions;

describe("readExtensions (RFC 5280 §4.2)", () => {
  test("decodes what path validation needs and keeps the rest as it stands", () => {
    const extensions = parseCertificate(leaf.der).extensions;
    expect(extensions).toMatchObject({
      basicConstraints: undefined,
      keyUsage: { digitalSignature: true, contentCommitment: false, keyCertSign: false, cRLSign: false },
      extendedKeyUsage: { critical: false, purposes: ["1.3.6.1.5.5.7.3.3"] },
      subjectKeyIdentifier: keyIdOf(leaf.keys),
      authorityKeyIdentifier: keyIdOf(root.keys),
      subjectAlternativeNames: [{ kind: "uri", value: "https://example.com/workflow" }],
      nameConstraints: undefined,
      unknownCritical: [],
    });
    expect([...extensions.all.keys()]).toEqual(["2.5.29.15", "2.5.29.37", "2.5.29.14", "2.5.29.35", "2.5.29.17"]);
    expect(extensions.all.get("2.5.29.17")).toMatchObject({
      critical: true,
      value: seq(prim(6, "https://example.com/workflow")),
    });
  });

  test.for<[string, Extension, Partial<Record<keyof CertificateExtensions, unknown>>]>([
    ["the path length of an authority", basicConstraints(true, 3), { basicConstraints: { ca: true, pathLength: 3 } }],
    [
      "basic constraints without fields",
      basicConstraints(false),
      { basicConstraints: { ca: false, pathLength: undefined } },
    ],
    [
      "a path length beside no authority as nothing",
      basicConstraints(false, 0),
      { basicConstraints: { ca: false, pathLength: undefined } },
    ],
    [
      "the ninth bit of key usage",
      extension(OIDS.keyUsage, bits(bytes(0, 0x80), 7), true),
      { keyUsage: expect.objectContaining({ decipherOnly: true, digitalSignature: false }) },
    ],
    [
      "several purposes",
      extKeyUsage([OIDS.codeSigning, OIDS.serverAuth], true),
      { extendedKeyUsage: { critical: true, purposes: [OIDS.codeSigning, OIDS.serverAuth] } },
    ],
    [
      "an authority key identifier without a key identifier",
      extension(OIDS.authorityKeyIdentifier, seq(ctx(1, ctx(4, name({ CN: "x" }))), prim(2, bytes(1)))),
      { authorityKeyIdentifier: undefined },
    ],
    ["a critical extension that it does not know", extension("1.2.3", bytes(), true), { unknownCritical: ["1.2.3"] }],
    [
      "a critical extension that it knows and does not process",
      extension(OIDS.certificatePolicies, seq(seq(oid("1.2.3"))), true),
      { unknownCritical: ["2.5.29.32"] },
    ],
    ["an extension that it does not know", extension("1.2.3", bytes()), { unknownCritical: [] }],
    [
      "a critical key identifier, which it processes",
      extension(OIDS.subjectKeyIdentifier, octets(bytes(1)), true),
      { unknownCritical: [] },
    ],
  ])("reads %s", ([, changed, expected]) => {
    expect(read(changed)).toMatchObject(expected);
  });

  test.for<[string, Extension]>([
    [
      "spells out that an extension is not critical",
      { oid: "1.2.3", bytes: seq(oid("1.2.3"), bool(false), octets(bytes())) },
    ],
    [
      "has a criticality that is neither 00 nor FF",
      { oid: "1.2.3", bytes: seq(oid("1.2.3"), bytes(1, 1, 1), octets(bytes())) },
    ],
    [
      "has a field after the value of an extension",
      { oid: "1.2.3", bytes: seq(oid("1.2.3"), octets(bytes()), bool(true)) },
    ],
    ["has an extension without a value", { oid: "1.2.3", bytes: seq(oid("1.2.3")) }],
    ["spells out that it is no authority", extension(OIDS.basicConstraints, seq(bool(false)), true)],
    ["has a negative path length", extension(OIDS.basicConstraints, seq(bool(true), int(0xff)), true)],
    ["has bytes after its basic constraints", extension(OIDS.basicConstraints, bytes(seq(bool(true)), 0), true)],
    [
      "has a third field in its basic constraints",
      extension(OIDS.basicConstraints, seq(bool(true), int(1), int(1)), true),
    ],
    ["has a key usage without a use", extension(OIDS.keyUsage, bits(bytes()), true)],
    ["has a key usage of zeros", extension(OIDS.keyUsage, bits(bytes(0)), true)],
    ["has a key usage bit that does not exist", extension(OIDS.keyUsage, bits(bytes(0x80, 0x40), 6), true)],
    ["has three octets of key usage", extension(OIDS.keyUsage, bits(bytes(0x80, 0, 0)), true)],
    ["has an extended key usage without a purpose", extKeyUsage([])],
    ["has an extended key usage of another type", extension(OIDS.extKeyUsage, seq(int(1)))],
    ["has a subject key identifier that is no octet string", extension(OIDS.subjectKeyIdentifier, int(1))],
    ["has bytes after its subject key identifier", extension(OIDS.subjectKeyIdentifier, bytes(octets(bytes(1)), 0))],
    [
      "has an authority key identifier with an issuer and no serial number",
      extension(OIDS.authorityKeyIdentifier, seq(ctx(1, ctx(4, name({ CN: "x" }))))),
    ],
    [
      "has an unknown field in its authority key identifier",
      extension(OIDS.authorityKeyIdentifier, seq(prim(3, bytes(1)))),
    ],
  ])("rejects a certificate that %s", ([, changed]) => {
    expect(() => read(changed)).toThrow(withCode("CERTIFICATE_MALFORMED"));
  });

  test("accepts 128 extensions and rejects one more", () => {
    const many = (count: number): Uint8Array =>
      makeLeaf({
        issuer: root,
        extensions: () => Array.from({ length: count }, (_, i) => extension(`1.2.${i}`, bytes())),
      }).der;
    expect(parseCertificate(many(128)).extensions.all.size).toBe(128);
    expect(() => parseCertificate(many(129))).toThrow(withCode("LIMIT_EXCEEDED"));
  });
});
