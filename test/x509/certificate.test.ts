import { X509Certificate } from "node:crypto";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { SigstoreError } from "../../src/errors.ts";
import { parseCertificate, parseCertificatesPem } from "../../src/x509/certificate.ts";
import {
  bits,
  bytes,
  ctx,
  ECDSA_SHA256,
  ECDSA_SHA384,
  generalizedTime,
  int,
  keyIdOf,
  makeAuthority,
  makeLeaf,
  name,
  nul,
  oid,
  prim,
  seq,
  subjectKeyIdentifier,
  text,
  utcTime,
  withExtension,
  type CertificateOptions,
} from "../support/certificates.ts";
import { realCertificates } from "../support/real-certificates.ts";
import { projectDir } from "../support/shared.ts";

const TESTDATA = join(projectDir, "testdata", "x509");
const root = makeAuthority();
const withCode = (code: string): unknown => expect.objectContaining({ code });
const leafWith = (change: CertificateOptions): Uint8Array => makeLeaf({ ...change, issuer: root }).der;

const opensslPems = readdirSync(TESTDATA)
  .filter((file) => file.endsWith(".pem"))
  .map((file) => ({ file, pem: readFileSync(join(TESTDATA, file), "utf8") }));
const known = [
  ...realCertificates(),
  ...opensslPems.flatMap(({ file, pem }) =>
    [...pem.matchAll(/-----BEGIN CERTIFICATE-----([^-]*)-----END/g)].map(([, body = ""], i) => ({
      where: `${file}#${i}`,
      der: Uint8Array.from(Buffer.from(body, "base64")),
    })),
  ),
];

describe("parseCertificate (RFC 5280 §4.1)", () => {
  test("there are certificates to compare", () => {
    expect(known.length).toBeGreaterThan(60);
  });

  test.for(known)("reads the same fields as node:crypto from $where", ({ der }) => {
    const ours = parseCertificate(der);
    const theirs = new X509Certificate(der);
    expect(Buffer.from(ours.serialNumber).toString("hex").toUpperCase()).toBe(theirs.serialNumber);
    expect(ours.notBefore).toEqual(theirs.validFromDate);
    expect(ours.notAfter).toEqual(theirs.validToDate);
    expect(Buffer.from(ours.publicKey.spki)).toEqual(theirs.publicKey.export({ type: "spki", format: "der" }));
    expect(ours.subjectPublicKeyInfo).toEqual(ours.publicKey.spki);
    expect(ours.extensions.basicConstraints?.ca ?? false).toBe(theirs.ca);
    expect(ours.extensions.extendedKeyUsage?.purposes).toEqual(theirs.keyUsage);
    expect(Buffer.from(ours.bytes)).toEqual(theirs.raw);
    expect(ours.extensions.unknownCritical).toEqual([]);
    expect(ours.extensions.subjectAlternativeNames.length === 0).toBe(theirs.subjectAltName === undefined);
  });

  test("gives views of the certificate that cover it", () => {
    const { der, tbs } = makeLeaf({ issuer: root });
    const certificate = parseCertificate(der);
    expect(certificate.tbs).toEqual(tbs);
    expect(certificate.tbs.buffer).toBe(der.buffer);
    expect(certificate.issuer).toEqual(root.name);
    expect(certificate.subject).toEqual(seq());
  });

  test("keeps what it does not know of the signature algorithm", () => {
    const sha1 = opensslPems.find(({ file }) => file === "chain-rsa-2048-sha1.pem");
    expect(parseCertificatesPem(sha1?.pem ?? "")[0]?.signatureAlgorithm).toEqual({
      oid: "1.2.840.113549.1.1.5",
      scheme: undefined,
      hash: undefined,
    });
  });

  test.for<[string, CertificateOptions, Partial<Record<"serialNumber" | "notAfter", unknown>>]>([
    [
      "a serial number of 20 octets",
      { serialNumber: int(0x7f, ...Array<number>(19).fill(1)) },
      { serialNumber: bytes(0x7f, ...Array<number>(19).fill(1)) },
    ],
    [
      "160 random bits with their sign octet",
      { serialNumber: int(0, ...Array<number>(20).fill(0xff)) },
      { serialNumber: bytes(...Array<number>(20).fill(0xff)) },
    ],
    ["a serial number of zero", { serialNumber: int(0) }, {}],
    [
      "a UTCTime of this century",
      { notAfter: utcTime("491231235959Z") },
      { notAfter: new Date("2049-12-31T23:59:59Z") },
    ],
    [
      "a UTCTime of the last century",
      { notAfter: utcTime("500101000000Z") },
      { notAfter: new Date("1950-01-01T00:00:00Z") },
    ],
    [
      "a GeneralizedTime",
      { notAfter: generalizedTime("99991231235959Z") },
      { notAfter: new Date("9999-12-31T23:59:59Z") },
    ],
    [
      "unique identifiers, which nobody uses",
      { extensionsField: (list) => bytes(prim(1, bytes(0, 1)), prim(2, bytes(0, 1)), ctx(3, list)) },
      {},
    ],
    ["no extensions", { extensionsField: () => bytes() }, {}],
  ])("accepts %s", ([, change, expected]) => {
    expect(parseCertificate(leafWith(change))).toMatchObject(expected);
  });

  test.for<[string, CertificateOptions]>([
    ["has no version, so version 1", { version: bytes() }],
    ["is of version 2", { version: ctx(0, int(1)) }],
    ["is of version 4", { version: ctx(0, int(3)) }],
    ["names another signature algorithm outside than inside", { outerAlgorithm: ECDSA_SHA384 }],
    ["has parameters in an ECDSA signature algorithm", { innerAlgorithm: seq(oid("1.2.840.10045.4.3.2"), nul()) }],
    ["has a negative serial number", { serialNumber: int(0x80) }],
    ["has a serial number of 21 octets", { serialNumber: int(0x01, ...Array<number>(20).fill(1)) }],
    ["has a serial number with a needless zero", { serialNumber: int(0, 1) }],
    ["has an empty issuer", { issuerName: seq() }],
    ["has a date with fractional seconds", { notBefore: generalizedTime("20250101000000.5Z") }],
    ["has a date without seconds", { notBefore: utcTime("2501010000Z") }],
    ["has a date in a zone", { notBefore: utcTime("250101000000+0100") }],
    ["has a date that is no time", { notBefore: text(0x0c, "250101000000Z") }],
    ["has a third date", { notAfter: bytes(utcTime("350101000000Z"), utcTime("360101000000Z")) }],
    ["has a day that does not exist", { notAfter: utcTime("350230000000Z") }],
    ["has an empty list of extensions", { extensions: () => [] }],
    ["has a field after its extensions", { extensionsField: (list) => bytes(ctx(3, list), ctx(4, int(1))) }],
    ["has its extensions twice", { extensionsField: (list) => bytes(ctx(3, list), ctx(3, list)) }],
    ["has bytes after its extensions", { extensionsField: (list) => ctx(3, list, nul()) }],
    ["has the same extension twice", { extensions: (usual) => [...usual, subjectKeyIdentifier(bytes(1, 2, 3))] }],
    [
      "has a signature with unused bits",
      { signature: (signature) => bits(bytes(signature.subarray(0, -1), (signature.at(-1) ?? 0) & 0xfe), 1) },
    ],
    [
      "has a public key that is none",
      { publicKey: seq(seq(oid("1.2.840.10045.2.1"), oid("1.2.840.10045.3.1.7")), bits(bytes(4, 1, 2, 3))) },
    ],
  ])("rejects a certificate that %s", ([, change]) => {
    expect(() => parseCertificate(leafWith(change))).toThrow(withCode("CERTIFICATE_MALFORMED"));
  });

  test("rejects bytes after the certificate", () => {
    expect(() => parseCertificate(bytes(makeLeaf({ issuer: root }).der, 0))).toThrow(withCode("CERTIFICATE_MALFORMED"));
  });

  test("rejects a fourth field beside the signature", () => {
    const { tbs, der } = makeLeaf({ issuer: root });
    const valid = parseCertificate(der);
    expect(() => parseCertificate(seq(tbs, ECDSA_SHA256, bits(valid.signature), nul()))).toThrow(
      withCode("CERTIFICATE_MALFORMED"),
    );
  });

  test("says that a key type is not supported, apart from being malformed", () => {
    const x25519 = seq(seq(oid("1.3.101.110")), bits(new Uint8Array(32)));
    expect(() => parseCertificate(leafWith({ publicKey: x25519 }))).toThrow(withCode("ALGORITHM_UNSUPPORTED"));
  });

  test("accepts a certificate of 64 KiB and rejects one byte more", () => {
    const long = (length: number): Uint8Array =>
      leafWith({
        extensions: (usual) => withExtension(usual, subjectKeyIdentifier(new Uint8Array(length))),
        signature: () => bits(new Uint8Array(64)),
      });
    const rest = 65_536 - long(60_000).length + 60_000;
    expect(parseCertificate(long(rest)).bytes).toHaveLength(65_536);
    expect(() => parseCertificate(long(rest + 1))).toThrow(withCode("LIMIT_EXCEEDED"));
  });

  test("rejects every truncation of a real certificate", () => {
    const { der } = known.find(({ der: candidate }) => candidate.length > 1900) ?? { der: root.der };
    for (let length = 0; length < der.length; length++) {
      expect(() => parseCertificate(der.subarray(0, length))).toThrow(withCode("CERTIFICATE_MALFORMED"));
    }
  });

  test("answers changed bytes with a SigstoreError or with other values", () => {
    const certificates = known.map(({ der }) => der);
    fc.assert(
      fc.property(
        fc.constantFrom(...certificates),
        fc.nat(),
        fc.integer({ min: 1, max: 255 }),
        (der, position, mask) => {
          const changed = Uint8Array.from(der);
          const at = position % der.length;
          changed[at] = (changed[at] ?? 0) ^ mask;
          try {
            const certificate = parseCertificate(changed);
            // Nothing outside these two fields is left, so that a change is in what was signed or in the signature
            const original = parseCertificate(der);
            return (
              !Buffer.from(certificate.tbs).equals(original.tbs) ||
              !Buffer.from(certificate.signature).equals(original.signature)
            );
          } catch (error) {
            return error instanceof SigstoreError;
          }
        },
      ),
      { numRuns: 3000, seed: 5280 },
    );
  });

  test("answers arbitrary bytes with a SigstoreError", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 300 }), (content) => {
        for (const input of [content, seq(content), seq(seq(content), ECDSA_SHA256, bits(bytes(1)))]) {
          expect(() => parseCertificate(input)).toThrow(SigstoreError);
        }
      }),
      { numRuns: 500, seed: 5280 },
    );
  });

  test("parses a certificate of 2 KB in some microseconds", () => {
    const { der } = known.find(({ der: candidate }) => candidate.length > 2000) ?? { der: root.der };
    let best = Infinity;
    for (let round = 0; round < 50; round++) {
      const start = performance.now();
      for (let i = 0; i < 20; i++) parseCertificate(der);
      best = Math.min(best, (performance.now() - start) / 20);
    }
    expect(best).toBeLessThan(0.25); // far above what it takes: a slow machine may not fail, an accident in the parser will
  });
});

describe("parseCertificatesPem (RFC 7468 §5)", () => {
  const pem = (label: string, der: Uint8Array): string =>
    `-----BEGIN ${label}-----\n${Buffer.from(der)
      .toString("base64")
      .replace(/.{64}(?=.)/g, "$&\n")}\n-----END ${label}-----\n`;
  const leaf = makeLeaf({ issuer: root });

  test("reads all certificates in order", () => {
    const certificates = parseCertificatesPem(pem("CERTIFICATE", leaf.der) + pem("CERTIFICATE", root.der));
    expect(certificates.map((certificate) => certificate.bytes)).toEqual([leaf.der, root.der]);
    expect(certificates[1]?.extensions.subjectKeyIdentifier).toEqual(keyIdOf(root.keys));
    expect(certificates[1]?.subject).toEqual(name({ O: "Example", CN: "root" }));
  });

  test("rejects a block that is no certificate", () => {
    expect(() => parseCertificatesPem(pem("CERTIFICATE", leaf.der) + pem("TRUSTED CERTIFICATE", root.der))).toThrow(
      withCode("CERTIFICATE_MALFORMED"),
    );
  });

  test("rejects a text without a block", () => {
    expect(() => parseCertificatesPem("")).toThrow(withCode("PEM_MALFORMED"));
  });

  test("accepts as many certificates as a root may list, and not one more", () => {
    expect(parseCertificatesPem(pem("CERTIFICATE", root.der).repeat(256))).toHaveLength(256);
    expect(() => parseCertificatesPem(pem("CERTIFICATE", root.der).repeat(257))).toThrow(withCode("LIMIT_EXCEEDED"));
  });
});
