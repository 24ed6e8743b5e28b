import { describe, expect, test } from "vitest";
import { parseTimestampResponse } from "../../src/tsa/timestamp-response.ts";
import { bytes, ctx, der, int, nul, octets, oid, prim, seq, set, utcTime } from "../support/certificates.ts";
import {
  algorithm,
  attribute,
  contentOf,
  essCertId,
  hash,
  issuerSerial,
  sidByKey,
  signingCertificateV1,
  signingCertificateV2,
  TIMESTAMP_OIDS,
  type Attribute,
  type TimestampOptions,
} from "../support/timestamps.ts";
import { DATA, ROOT, timestamp, TSA } from "./fixtures.ts";

const read = (options: Partial<TimestampOptions>) => parseTimestampResponse(timestamp(options)).signedData;
const OID = TIMESTAMP_OIDS;

const without = (type: string) => (usual: readonly Attribute[]) => usual.filter((entry) => entry.oid !== type);
const plus =
  (...more: readonly Attribute[]) =>
  (usual: readonly Attribute[]) => [...usual, ...more];
const instead = (changed: Attribute) => (usual: readonly Attribute[]) =>
  usual.map((entry) => (entry.oid === changed.oid ? changed : entry));
const CERT_HASH = hash("sha256", TSA.party.der);
const protection = (digest: Uint8Array, signature: Uint8Array) =>
  attribute(OID.algorithmProtection, seq(digest, der(0xa1, signature.subarray(2))));

const MALFORMED = expect.objectContaining({ code: "TIMESTAMP_MALFORMED" }) as unknown;

describe("parseSignedData (RFC 5652 §5.1)", () => {
  test("takes the certificates as they are", () => {
    expect(read({ certificates: [ROOT.der, TSA.party.der, seq(nul())] }).certificates).toEqual([
      ROOT.der,
      TSA.party.der,
      seq(nul()),
    ]);
    expect(read({ certificates: [] }).certificates).toEqual([]);
    expect(read({ noCertificates: true }).certificates).toEqual([]);
  });

  test("passes over unsigned attributes and further digest algorithms", () => {
    const options = {
      unsignedAttributes: ctx(1, seq()),
      digestAlgorithms: set(algorithm(OID.sha3_256), algorithm(OID.sha256)),
    };
    expect(read(options).signerInfo.digestAlgorithm.hash).toBe("sha256");
  });

  test.for<[string, Partial<TimestampOptions>]>([
    ["is of another content type than signed data", { outerType: "1.2.840.113549.1.7.3" }],
    ["has something after the signed data", { contentInfo: (info) => seq(contentOf(info), nul()) }],
    ["is of version 1", { version: int(1) }],
    ["is of version 4", { version: int(4) }],
    ["lists no digest algorithm", { digestAlgorithms: set() }],
    ["lists another digest algorithm than that of its signature", { digestAlgorithms: set(algorithm(OID.sha384)) }],
    ["has content of another type", { contentType: OID.data }],
    ["has no content", { contentField: () => bytes() }],
    ["has content that is no octet string", { contentField: (content) => ctx(0, content) }],
    ["has content in pieces (BER)", { contentField: (content) => ctx(0, der(0x24, octets(content))) }],
    ["has content with something after it", { contentField: (content) => ctx(0, octets(content), nul()) }],
    ["has two contents", { contentField: (content) => bytes(ctx(0, octets(content)), ctx(0, octets(content))) }],
    ["has an attribute certificate among its certificates", { certificates: [TSA.party.der, ctx(2, seq())] }],
    ["has its certificates where revocation lists would be", { noCertificates: true, crls: ctx(1, TSA.party.der) }],
    ["has no signature", { signerInfos: () => set() }],
    ["has two signatures", { signerInfos: (info) => set(info, info) }],
    ["has something after its signatures", { afterSignerInfos: nul() }],
  ])("refuses a token that %s", ([, options]) => {
    expect(() => read(options)).toThrow(MALFORMED);
  });
});

describe("parseSignedData (RFC 5652 §5.3, SignerInfo)", () => {
  test("reads a signer by issuer and serial number", () => {
    expect(read({}).signerInfo.sid).toEqual({
      kind: "issuerAndSerialNumber",
      issuer: ROOT.name,
      serialNumber: TSA.serialNumber.subarray(2),
    });
  });

  test("reads a signer by subject key identifier", () => {
    expect(read({ sid: prim(0, bytes(1, 2, 3)), signerVersion: int(3) }).signerInfo.sid).toEqual({
      kind: "subjectKeyIdentifier",
      keyIdentifier: bytes(1, 2, 3),
    });
  });

  test("gives the signed attributes as the set that was signed", () => {
    const { signedAttributes } = read({}).signerInfo;
    expect(signedAttributes[0]).toBe(0x31);
    expect(read({}).signerInfo.messageDigest).toHaveLength(32);
  });

  test.for([
    [
      "SHA-384 with rsaEncryption",
      "sha384",
      algorithm(OID.rsaEncryption, nul()),
      { scheme: "rsa-pkcs1", hash: "sha384" },
    ],
    ["ECDSA with SHA-512", "sha512", algorithm(OID.ecdsaWithSha512), { scheme: "ecdsa", hash: "sha512" }],
    ["Ed25519 with SHA-256", "sha256", algorithm(OID.ed25519), { scheme: "ed25519", hash: undefined }],
  ] as const)("reads %s", ([, digest, signatureAlgorithm, expected]) => {
    expect(read({ digest, signatureAlgorithm }).signerInfo.signatureAlgorithm).toMatchObject(expected);
  });

  test("leaves algorithms that are not known to the verifier", () => {
    expect(
      read({ digestAlgorithm: algorithm(OID.sha1, nul()), signatureAlgorithm: algorithm(OID.rsaEncryption, nul()) })
        .signerInfo,
    ).toMatchObject({
      digestAlgorithm: { oid: OID.sha1, hash: undefined },
      signatureAlgorithm: { oid: OID.rsaEncryption, scheme: undefined },
    });
    expect(read({ signatureAlgorithm: algorithm("1.2.3.4", nul()) }).signerInfo.signatureAlgorithm).toMatchObject({
      oid: "1.2.3.4",
      scheme: undefined,
    });
  });

  test.for<[string, Partial<TimestampOptions>]>([
    ["version 3 with issuer and serial number", { signerVersion: int(3) }],
    ["version 2", { signerVersion: int(2) }],
    ["version 1 with a key identifier", { sid: sidByKey(TSA) }],
    ["a signer named in another way", { sid: ctx(1, TSA.serialNumber) }],
    ["a signer with something after it", { sid: seq(ROOT.name, TSA.serialNumber, nul()) }],
    ["a signer with a negative serial number", { sid: seq(ROOT.name, int(0x80)) }],
    ["no signed attributes", { attributesField: () => bytes() }],
    ["parameters beside ECDSA", { signatureAlgorithm: algorithm(OID.ecdsaWithSha256, nul()) }],
    ["a signature over another hash than that of the content", { signatureAlgorithm: algorithm(OID.ecdsaWithSha384) }],
    ["something after its unsigned attributes", { unsignedAttributes: bytes(ctx(1), nul()) }],
  ])("refuses signer information with %s", ([, options]) => {
    expect(() => read(options)).toThrow(MALFORMED);
  });
});

describe("parseSignedData (RFC 5652 §5.3 and §11, signed attributes)", () => {
  test("accepts attributes that are not known, several values and instances included", () => {
    expect(
      read({ attributes: plus(attribute("1.2.3.4", int(1), int(2)), attribute("1.2.3.4", int(3))) }).signerInfo
        .signingCertificates,
    ).toHaveLength(1);
  });

  test("accepts algorithms that are protected by what is signed", () => {
    expect(
      read({ attributes: plus(protection(algorithm(OID.sha256, nul()), algorithm(OID.ecdsaWithSha256))) }).signerInfo
        .digestAlgorithm.hash,
    ).toBe("sha256");
  });

  test.for<[string, Partial<TimestampOptions>]>([
    ["no content type", { attributes: without(OID.contentType) }],
    ["another content type", { attributes: instead(attribute(OID.contentType, oid(OID.data))) }],
    [
      "a content type of another ASN.1 type",
      { attributes: instead(attribute(OID.contentType, octets(oid(OID.timestampInfo).subarray(2)))) },
    ],
    ["two content types", { attributes: plus(attribute(OID.contentType, oid(OID.timestampInfo))) }],
    [
      "a content type of two values",
      { attributes: instead(attribute(OID.contentType, oid(OID.timestampInfo), oid(OID.timestampInfo))) },
    ],
    ["a content type without a value", { attributes: instead(attribute(OID.contentType)) }],
    ["no message digest", { attributes: without(OID.messageDigest) }],
    ["two message digests", { attributes: plus(attribute(OID.messageDigest, octets(hash("sha256", DATA)))) }],
    [
      "a message digest of two values",
      { attributes: instead(attribute(OID.messageDigest, octets(DATA), octets(DATA))) },
    ],
    ["a message digest that is no octet string", { attributes: instead(attribute(OID.messageDigest, int(1))) }],
    ["two signing times", { attributes: plus(attribute(OID.signingTime, utcTime("260102030406Z"))) }],
    ["no identifier of the signer's certificate", { attributes: without(OID.signingCertificateV2) }],
    ["two SigningCertificateV2", { attributes: plus(signingCertificateV2(essCertId(CERT_HASH))) }],
    [
      "a SigningCertificateV2 of two values",
      {
        attributes: instead(
          attribute(OID.signingCertificateV2, seq(seq(essCertId(CERT_HASH))), seq(seq(essCertId(CERT_HASH)))),
        ),
      },
    ],
    [
      "two SigningCertificate",
      {
        attributes: plus(
          signingCertificateV1(essCertId(CERT_HASH)),
          signingCertificateV1(essCertId(hash("sha1", DATA))),
        ),
      },
    ],
    ["an order that is not DER's", { unsorted: true }],
    [
      "an attribute with something after it",
      { attributes: plus({ oid: "1.2.3.4", bytes: seq(oid("1.2.3.4"), set(int(1)), nul()) }) },
    ],
    [
      "protection of another digest algorithm",
      { attributes: plus(protection(algorithm(OID.sha384), algorithm(OID.ecdsaWithSha256))) },
    ],
    [
      "protection of another signature algorithm",
      { attributes: plus(protection(algorithm(OID.sha256), algorithm(OID.ecdsaWithSha384))) },
    ],
    [
      "protection of no signature algorithm",
      { attributes: plus(attribute(OID.algorithmProtection, seq(algorithm(OID.sha256)))) },
    ],
  ])("refuses %s", ([, options]) => {
    expect(() => read(options)).toThrow(MALFORMED);
  });
});

describe("parseSigningCertificate (RFC 5035 §3 and §4)", () => {
  const only = (changed: Attribute) => (usual: readonly Attribute[]) => [
    ...without(OID.signingCertificateV2)(usual),
    changed,
  ];
  const SERIAL = issuerSerial(ROOT.name, TSA.serialNumber);

  test.for([
    [
      "version 1",
      signingCertificateV1(essCertId(hash("sha1", TSA.party.der))),
      { algorithm: "sha1", issuerSerial: undefined },
    ],
    [
      "version 2 with its default",
      signingCertificateV2(essCertId(CERT_HASH)),
      { algorithm: { hash: "sha256" }, issuerSerial: undefined },
    ],
    [
      "version 2 that spells out its default",
      signingCertificateV2(seq(algorithm(OID.sha256), octets(CERT_HASH))),
      { algorithm: { hash: "sha256" } },
    ],
    [
      "version 2 with another hash",
      signingCertificateV2(seq(algorithm(OID.sha384), octets(CERT_HASH))),
      { algorithm: { hash: "sha384" } },
    ],
    [
      "issuer and serial number",
      signingCertificateV2(essCertId(CERT_HASH, SERIAL)),
      { issuerSerial: { issuer: ROOT.name, serialNumber: TSA.serialNumber.subarray(2) } },
    ],
    [
      "further certificates",
      signingCertificateV2(essCertId(CERT_HASH), essCertId(hash("sha256", ROOT.der))),
      { certHash: CERT_HASH },
    ],
    [
      "policies",
      attribute(OID.signingCertificateV2, seq(seq(essCertId(CERT_HASH)), seq(seq(oid("1.2.3"))))),
      { certHash: CERT_HASH },
    ],
  ] as const)("reads %s", ([, changed, expected]) => {
    expect(read({ attributes: only(changed) }).signerInfo.signingCertificates).toEqual([
      expect.objectContaining(toMatcher(expected)),
    ]);
  });

  const toMatcher = (value: Readonly<Record<string, unknown>>): Record<string, unknown> =>
    Object.fromEntries(
      Object.entries(value).map(([key, inner]) => [
        key,
        typeof inner === "object" && inner !== null && !(inner instanceof Uint8Array)
          ? expect.objectContaining(inner)
          : inner,
      ]),
    );

  test("reads both versions", () => {
    const both = read({ attributes: plus(signingCertificateV1(essCertId(hash("sha1", TSA.party.der)))) }).signerInfo
      .signingCertificates;
    expect(both.map((id) => (id.algorithm === "sha1" ? "sha1" : id.algorithm.hash))).toEqual(["sha1", "sha256"]);
  });

  test.for<[string, Attribute]>([
    ["names no certificate", signingCertificateV2()],
    [
      "has something after its policies",
      attribute(OID.signingCertificateV2, seq(seq(essCertId(CERT_HASH)), seq(), nul())),
    ],
    ["names a hash algorithm in version 1", signingCertificateV1(seq(algorithm(OID.sha256), octets(CERT_HASH)))],
    ["has an identifier without a hash", signingCertificateV2(seq(algorithm(OID.sha256)))],
    ["has an identifier with something after it", signingCertificateV2(essCertId(CERT_HASH, SERIAL, nul()))],
    [
      "gives two names of the issuer",
      signingCertificateV2(essCertId(CERT_HASH, seq(seq(ctx(4, ROOT.name), ctx(4, ROOT.name)), TSA.serialNumber))),
    ],
    ["gives no name of the issuer", signingCertificateV2(essCertId(CERT_HASH, seq(seq(), TSA.serialNumber)))],
    [
      "gives the issuer's name as another alternative",
      signingCertificateV2(essCertId(CERT_HASH, seq(seq(ctx(3, ROOT.name)), TSA.serialNumber))),
    ],
    [
      "gives the issuer by something else than a directory name",
      signingCertificateV2(essCertId(CERT_HASH, seq(seq(prim(2, "example.com")), TSA.serialNumber))),
    ],
    ["gives no serial number", signingCertificateV2(essCertId(CERT_HASH, seq(seq(ctx(4, ROOT.name)))))],
  ])("refuses an attribute that %s", ([, changed]) => {
    expect(() => read({ attributes: only(changed) })).toThrow(MALFORMED);
  });

  test("refuses 65 certificates", () => {
    const attributes = only(signingCertificateV2(...Array.from({ length: 65 }, () => essCertId(CERT_HASH))));
    expect(() => read({ attributes })).toThrow(expect.objectContaining({ code: "LIMIT_EXCEEDED" }));
  });
});
