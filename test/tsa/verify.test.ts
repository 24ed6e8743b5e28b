import { constants, generateKeyPairSync, sign, type KeyObject } from "node:crypto";
import { readFileSync } from "node:fs";
import { resolve } from "node:path";
import { describe, expect, test } from "vitest";
import { defaultCryptoProvider, type CryptoProvider } from "../../src/crypto/provider.ts";
import { SigstoreError } from "../../src/errors.ts";
import { parseTimestampResponse } from "../../src/tsa/timestamp-response.ts";
import { verifyTimestamp, type TimestampAuthority, type VerifyTimestampOptions } from "../../src/tsa/verify.ts";
import { parseCertificate } from "../../src/x509/certificate.ts";
import {
  basicConstraints,
  bytes,
  ctx,
  ecKeys,
  extKeyUsage,
  extension,
  generalizedTime,
  int,
  keyUsage,
  name,
  nul,
  octets,
  oid,
  OIDS,
  prim,
  seq,
  subjectAltName,
  uri,
  utcTime,
  withExtension,
  withoutExtension,
  type Extension,
  type Keys,
} from "../support/certificates.ts";
import { sharedAvailable, sharedDir } from "../support/shared.ts";
import {
  algorithm,
  attribute,
  essCertId,
  hash,
  issuerSerial,
  makeTsa,
  makeTsaRoot,
  sidByKey,
  signingCertificateV1,
  signingCertificateV2,
  TIMESTAMP_OIDS,
  type Attribute,
  type TimestampOptions,
  type Tsa,
} from "../support/timestamps.ts";
import { authority, DATA, LEAF_KEYS, ROOT, timestamp, TSA } from "./fixtures.ts";

/** Every bit of a token is tried in the long run, every seventh otherwise. */
const BIT_STEP = process.env["COSIGN_TS_LONG_TESTS"] === "1" ? 1 : 7;

const OID = TIMESTAMP_OIDS;
const crypto = defaultCryptoProvider();

type Options = Partial<TimestampOptions>;
type Changes = (usual: readonly Extension[]) => readonly Extension[];

const prove = async (
  response: Uint8Array,
  authorities: readonly TimestampAuthority[] = [authority()],
  options: Partial<VerifyTimestampOptions> = {},
  data: Uint8Array = DATA,
) => verifyTimestamp(parseTimestampResponse(response), data, authorities, { crypto, ...options });
const refused = (code: string): unknown => expect.objectContaining({ code });
const proven = (of: TimestampAuthority, tsa: Tsa = TSA): unknown => {
  const certificate: unknown = expect.objectContaining({ bytes: tsa.party.der });
  return expect.objectContaining({ time: new Date("2026-01-02T03:04:05Z"), authority: of, certificate });
};

/** Finds the bits without which a response is still accepted. Nothing but an error of ours may come out of a wrong one. */
async function idleBits(
  response: Uint8Array,
  attempt: (flipped: Uint8Array) => Promise<unknown>,
): Promise<readonly number[]> {
  const idle: number[] = [];
  for (let bit = 0; bit < response.length * 8; bit += BIT_STEP) {
    const flipped = response.slice();
    flipped[bit >> 3] = (flipped[bit >> 3] ?? 0) ^ (1 << (bit & 7));
    try {
      if ((await attempt(flipped)) !== undefined) idle.push(bit);
    } catch (error) {
      if (!(error instanceof SigstoreError)) throw error;
    }
  }
  return idle;
}

const namedBy = (changed: Attribute) => (usual: readonly Attribute[]) => [
  ...usual.filter((entry) => entry.oid !== OID.signingCertificateV2),
  changed,
];
const plus =
  (...more: readonly Attribute[]) =>
  (usual: readonly Attribute[]) => [...usual, ...more];
const instead = (changed: Attribute) => (usual: readonly Attribute[]) =>
  usual.map((entry) => (entry.oid === changed.oid ? changed : entry));
const serialOf = (tsa: Tsa): Uint8Array => issuerSerial(tsa.issuer.name, tsa.serialNumber);
/** An authority under the same root, of the same key, whose certificate differs in something. */
const similar = (extensions: Changes, more: Partial<Parameters<typeof makeTsa>[0]> = {}): Tsa =>
  makeTsa({ issuer: ROOT, keys: LEAF_KEYS, extensions, ...more });
const stampedBy = (tsa: Tsa, options: Options = {}): Uint8Array => timestamp({ tsa, ...options });

const pss = (digest: "sha256" | "sha384" | "sha512", length: number, mask = digest, salt = length): Uint8Array =>
  algorithm(
    OID.rsaPss,
    seq(
      ctx(0, algorithm(OID[digest], nul())),
      ctx(1, algorithm(OID.mgf1, algorithm(OID[mask], nul()))),
      ctx(2, int(salt)),
    ),
  );
const signPss =
  (digest: string, saltLength: number) =>
  (data: Uint8Array, key: KeyObject): Uint8Array =>
    sign(digest, data, { key, padding: constants.RSA_PKCS1_PSS_PADDING, saltLength });

describe("verifyTimestamp (client specification §4.2.1)", () => {
  test("proves the time, the authority and the certificate", async () => {
    const known = authority();
    expect(await prove(timestamp(), [known])).toEqual(proven(known));
  });

  test.for<[string, Options]>([
    ["without certificates", { noCertificates: true }],
    ["with an empty field of certificates", { certificates: [] }],
    ["with the certificate of its issuer too", { certificates: [ROOT.der, TSA.party.der] }],
    ["with something else among its certificates", { certificates: [TSA.party.der, seq(int(1))] }],
    ["whose signer is named by a key identifier", { sid: sidByKey(TSA), signerVersion: int(3) }],
    ["that names its authority", { tsaName: ctx(0, ctx(4, TSA.party.name)) }],
    [
      "that names its authority with other string types",
      { tsaName: ctx(0, ctx(4, name({ O: "Example", CN: "tsa" }, 0x13))) },
    ],
    ["with an imprint of SHA-384", { imprint: seq(algorithm(OID.sha384), octets(hash("sha384", DATA))) }],
    ["with an imprint of SHA-512", { imprint: seq(algorithm(OID.sha512), octets(hash("sha512", DATA))) }],
    [
      "with a SigningCertificate of version 1",
      { attributes: namedBy(signingCertificateV1(essCertId(hash("sha1", TSA.party.der), serialOf(TSA)))) },
    ],
    ["with both versions", { attributes: plus(signingCertificateV1(essCertId(hash("sha1", TSA.party.der)))) }],
    [
      "with a certificate identifier of SHA-384",
      {
        attributes: namedBy(
          signingCertificateV2(seq(algorithm(OID.sha384), octets(hash("sha384", TSA.party.der)), serialOf(TSA))),
        ),
      },
    ],
    [
      "with a certificate identifier of SHA-512",
      { attributes: namedBy(signingCertificateV2(seq(algorithm(OID.sha512), octets(hash("sha512", TSA.party.der))))) },
    ],
    [
      "with a certificate identifier and no more",
      { attributes: namedBy(signingCertificateV2(essCertId(hash("sha256", TSA.party.der)))) },
    ],
    [
      "with attributes that are not known",
      { attributes: plus(attribute("1.2.3.4", int(1))), unsignedAttributes: ctx(1, seq()) },
    ],
  ])("accepts a token %s", async ([, options]) => {
    const known = authority();
    expect(await prove(timestamp(options), [known])).toEqual(proven(known));
  });

  test.for<[string, Options]>([
    ["as it is", {}],
    ["whose signer is named by a key identifier", { sid: sidByKey(TSA), signerVersion: int(3) }],
    [
      "with SHA-1 in its certificate identifier",
      { attributes: namedBy(signingCertificateV1(essCertId(hash("sha1", TSA.party.der)))) },
    ],
  ])("takes the signer from the token where the root does not list it: a token %s", async ([, options]) => {
    const known = authority([ROOT.der]);
    expect(await prove(timestamp(options), [known])).toEqual(proven(known));
    expect(await prove(timestamp({ ...options, noCertificates: true }), [known])).toBeUndefined();
  });

  test("accepts an authority under an intermediate", async () => {
    const intermediate = makeTsaRoot({ issuer: ROOT });
    const tsa = makeTsa({ issuer: intermediate });
    for (const listed of [
      [tsa.party.der, intermediate.der, ROOT.der],
      [tsa.party.der, intermediate.der],
      [intermediate.der, ROOT.der],
      [intermediate.der],
    ]) {
      const known = authority(listed);
      expect(await prove(stampedBy(tsa), [known])).toEqual(proven(known, tsa));
    }
  });

  test("accepts a name among the alternative names of the certificate", async () => {
    const tsa = similar((usual) => [
      ...usual,
      subjectAltName(uri("https://tsa.example"), ctx(4, name({ CN: "other" }))),
    ]);
    const known = authority([tsa.party.der, ROOT.der]);
    expect(await prove(stampedBy(tsa, { tsaName: ctx(0, uri("https://tsa.example")) }), [known])).toEqual(
      proven(known, tsa),
    );
    expect(await prove(stampedBy(tsa, { tsaName: ctx(0, ctx(4, name({ CN: "other" }))) }), [known])).toEqual(
      proven(known, tsa),
    );
    await expect(prove(stampedBy(tsa, { tsaName: ctx(0, prim(2, "https://tsa.example")) }), [known])).rejects.toThrow(
      refused("TIMESTAMP_CERTIFICATE_INVALID"),
    );
  });
});

describe("verifyTimestamp (RFC 5652 §5.4, signature algorithms)", () => {
  const rsa: Keys = generateKeyPairSync("rsa", { modulusLength: 2048 });
  const pssKeys: Keys = generateKeyPairSync("rsa-pss", { modulusLength: 2048 });
  const ed25519: Keys = generateKeyPairSync("ed25519");
  const pure = (data: Uint8Array, key: KeyObject): Uint8Array => sign(null, data, key);

  const matrix: [string, Keys, Options][] = [];
  for (const curve of ["P-256", "P-384", "P-521"]) {
    const keys = ecKeys(curve);
    for (const digest of ["sha256", "sha384", "sha512"] as const)
      matrix.push([`ECDSA ${curve} with ${digest}`, keys, { digest }]);
  }
  for (const [i, digest] of (["sha256", "sha384", "sha512"] as const).entries()) {
    matrix.push([
      `RSA PKCS#1 with ${digest}, named rsaEncryption`,
      rsa,
      { digest, signatureAlgorithm: algorithm(OID.rsaEncryption, nul()) },
    ]);
    matrix.push([
      `RSA PKCS#1 with ${digest}, named for both`,
      rsa,
      { digest, signatureAlgorithm: algorithm(`1.2.840.113549.1.1.${11 + i}`, nul()) },
    ]);
    const length = 32 + 16 * i;
    matrix.push([
      `RSA-PSS with ${digest}`,
      rsa,
      { digest, signatureAlgorithm: pss(digest, length), sign: signPss(digest, length) },
    ]);
  }
  matrix.push([
    "RSA-PSS with a key for it alone",
    pssKeys,
    { signatureAlgorithm: pss("sha256", 32), sign: signPss("sha256", 32) },
  ]);
  matrix.push([
    "Ed25519 with sha512",
    ed25519,
    { digest: "sha512", signatureAlgorithm: algorithm(OID.ed25519), sign: pure },
  ]);
  matrix.push([
    "Ed25519 with sha256",
    ed25519,
    { digest: "sha256", signatureAlgorithm: algorithm(OID.ed25519), sign: pure },
  ]);

  test.for(matrix)("accepts %s", async ([, keys, options]) => {
    const tsa = makeTsa({ issuer: ROOT, keys });
    const known = authority([tsa.party.der, ROOT.der]);
    expect(await prove(stampedBy(tsa, options), [known])).toEqual(proven(known, tsa));
    const spoiled = stampedBy(tsa, {
      ...options,
      signature: (signature) => signature.with(signature.length - 9, (signature.at(-9) as number) ^ 1),
    });
    await expect(prove(spoiled, [known])).rejects.toThrow(refused("TIMESTAMP_SIGNATURE_INVALID"));
  });

  test.for<[string, Keys, Options, string]>([
    ["ECDSA by an RSA key", rsa, {}, "TIMESTAMP_SIGNATURE_INVALID"],
    [
      "RSA by an ECDSA key",
      LEAF_KEYS,
      { signatureAlgorithm: algorithm(OID.rsaEncryption, nul()) },
      "TIMESTAMP_SIGNATURE_INVALID",
    ],
    [
      "an algorithm that is not known",
      rsa,
      { signatureAlgorithm: algorithm("1.2.3.4", nul()) },
      "ALGORITHM_UNSUPPORTED",
    ],
    [
      "RSA-PSS with another hash in its mask",
      rsa,
      { signatureAlgorithm: pss("sha256", 32, "sha384"), sign: signPss("sha256", 32) },
      "ALGORITHM_UNSUPPORTED",
    ],
    [
      "RSA-PSS with a short salt",
      rsa,
      { signatureAlgorithm: pss("sha256", 32, "sha256", 20), sign: signPss("sha256", 20) },
      "ALGORITHM_UNSUPPORTED",
    ],
    [
      "SHA-1",
      rsa,
      { digestAlgorithm: algorithm(OID.sha1, nul()), signatureAlgorithm: algorithm(OID.rsaEncryption, nul()) },
      "ALGORITHM_UNSUPPORTED",
    ],
    [
      "an imprint of SHA-1",
      LEAF_KEYS,
      { imprint: seq(algorithm(OID.sha1, nul()), octets(hash("sha1", DATA))) },
      "ALGORITHM_UNSUPPORTED",
    ],
    [
      "an imprint of SHA3-256",
      LEAF_KEYS,
      { imprint: seq(algorithm(OID.sha3_256), octets(new Uint8Array(32))) },
      "ALGORITHM_UNSUPPORTED",
    ],
  ])("refuses %s", async ([, keys, options, code]) => {
    const tsa = makeTsa({ issuer: ROOT, keys });
    const token = stampedBy(tsa, options);
    await expect(prove(token, [authority([tsa.party.der, ROOT.der])])).rejects.toThrow(refused(code));
    // whatever a stranger's token is made with, it is the stranger's concern
    expect(await prove(token, [authority([TSA.party.der, makeTsaRoot().der])])).toBeUndefined();
  });

  test("refuses a certificate identifier of a hash that is not known", async () => {
    const token = timestamp({
      attributes: namedBy(signingCertificateV2(seq(algorithm(OID.sha1, nul()), octets(hash("sha1", TSA.party.der))))),
    });
    await expect(prove(token)).rejects.toThrow(refused("ALGORITHM_UNSUPPORTED"));
    expect(await prove(token, [authority([ROOT.der])])).toBeUndefined(); // nobody is identified by it
  });
});

describe("verifyTimestamp (what the token is over)", () => {
  test("refuses a token over another signature", async () => {
    await expect(
      prove(timestamp(), undefined, {}, new TextEncoder().encode("the bytes of a signaturf")),
    ).rejects.toThrow(refused("TIMESTAMP_IMPRINT_MISMATCH"));
    await expect(prove(timestamp(), undefined, {}, bytes(DATA, 0))).rejects.toThrow(
      refused("TIMESTAMP_IMPRINT_MISMATCH"),
    );
    await expect(prove(timestamp(), undefined, {}, bytes())).rejects.toThrow(refused("TIMESTAMP_IMPRINT_MISMATCH"));
  });

  test("refuses a message digest that is not of the content", async () => {
    const options = { attributes: instead(attribute(OID.messageDigest, octets(hash("sha256", DATA)))) };
    await expect(prove(timestamp(options))).rejects.toThrow(refused("TIMESTAMP_SIGNATURE_INVALID"));
  });

  test("refuses a signature over the content itself", async () => {
    let info: Uint8Array = bytes();
    const keep = (plain: Uint8Array): Uint8Array => (info = plain);
    await expect(prove(timestamp({ info: keep, sign: (_, key) => sign("sha256", info, key) }))).rejects.toThrow(
      refused("TIMESTAMP_SIGNATURE_INVALID"),
    );
  });

  test("refuses a signature over the attributes as they are tagged in the token", async () => {
    const asTagged = (data: Uint8Array, key: KeyObject): Uint8Array => sign("sha256", data.with(0, 0xa0), key);
    await expect(prove(timestamp({ sign: asTagged }))).rejects.toThrow(refused("TIMESTAMP_SIGNATURE_INVALID"));
  });

  test("checks the policy when one is asked for", async () => {
    const known = authority();
    expect(await prove(timestamp(), [known], { policy: "1.3.6.1.4.1.57264.2" })).toEqual(proven(known));
    for (const policy of ["1.3.6.1.4.1.57264", "1.3.6.1.4.1.57264.20", ""]) {
      await expect(prove(timestamp(), [known], { policy })).rejects.toThrow(refused("TIMESTAMP_POLICY_MISMATCH"));
    }
  });

  test("checks the nonce when one is asked for", async () => {
    const known = authority();
    expect(await prove(timestamp({ nonce: int(7) }), [known], { nonce: 7n })).toEqual(proven(known));
    expect(await prove(timestamp({ nonce: int(0) }), [known], { nonce: 0n })).toEqual(proven(known));
    expect(await prove(timestamp({ nonce: int(7) }), [known])).toEqual(proven(known));
    await expect(prove(timestamp({ nonce: int(7) }), [known], { nonce: 8n })).rejects.toThrow(
      refused("TIMESTAMP_NONCE_MISMATCH"),
    );
    await expect(prove(timestamp(), [known], { nonce: 0n })).rejects.toThrow(refused("TIMESTAMP_NONCE_MISMATCH"));
  });
});

describe("verifyTimestamp (whose token it is)", () => {
  const otherRoot = makeTsaRoot({ subject: name({ O: "Other", CN: "root" }) });
  const other = makeTsa({ issuer: otherRoot });

  test("sets a token aside where the root lists no authority, or others", async () => {
    expect(await prove(timestamp(), [])).toBeUndefined();
    expect(await prove(timestamp(), [authority([other.party.der, otherRoot.der])])).toBeUndefined();
    expect(await prove(timestamp(), [authority([otherRoot.der])])).toBeUndefined();
    expect(await prove(timestamp({ noCertificates: true }), [authority([otherRoot.der])])).toBeUndefined();
  });

  test("does not let an authority without certificates lend its window to another", async () => {
    const empty = authority([], { validFor: { start: new Date(0) }, uri: "https://empty.example" });
    const late = authority(undefined, { validFor: { start: new Date("2027-01-01T00:00:00Z") } });
    expect(await prove(timestamp(), [empty])).toBeUndefined();
    await expect(prove(timestamp(), [empty, late])).rejects.toThrow(refused("TIMESTAMP_OUTSIDE_AUTHORITY_VALIDITY"));
    const known = authority();
    expect(await prove(timestamp(), [empty, late, known])).toEqual(proven(known));
  });

  test("does not identify an authority by its name alone", async () => {
    const namesake = makeTsaRoot(); // same name, another key
    const ofNamesake = makeTsa({ issuer: namesake });
    const withoutKeyIds = (usual: readonly Extension[]): readonly Extension[] =>
      withoutExtension(withoutExtension(usual, OIDS.authorityKeyIdentifier), OIDS.subjectKeyIdentifier);
    const mute = makeTsa({ issuer: namesake, extensions: withoutKeyIds });
    for (const known of [authority(), authority([ROOT.der])]) {
      expect(await prove(stampedBy(ofNamesake), [known])).toBeUndefined();
      expect(await prove(stampedBy(mute), [known])).toBeUndefined();
    }
  });

  test("identifies an authority by its key where certificates have no key identifiers", async () => {
    const tsa = similar((usual) => withoutExtension(usual, OIDS.authorityKeyIdentifier));
    const known = authority([ROOT.der]);
    expect(await prove(stampedBy(tsa), [known])).toEqual(proven(known, tsa));
  });

  test("does not identify an authority by its key identifier alone", async () => {
    const tsa = makeTsa({ issuer: { ...ROOT, name: name({ O: "Other", CN: "root" }) } });
    expect(await prove(stampedBy(tsa), [authority([ROOT.der])])).toBeUndefined();
  });

  test("identifies an authority of which the root lists the signer alone", async () => {
    const alone = authority([TSA.party.der]);
    expect(await prove(timestamp(), [alone])).toEqual(proven(alone));
    const sid = seq(ROOT.name, int(1));
    await expect(prove(timestamp({ sid }), [alone])).rejects.toThrow(refused("TIMESTAMP_CERTIFICATE_INVALID"));
    expect(await prove(timestamp({ sid, noCertificates: true }), [alone])).toBeUndefined();
  });

  test("sets a token aside that names a signer the root does not list and brings none along", async () => {
    for (const sid of [seq(ROOT.name, int(0x10, 0x7f)), seq(otherRoot.name, TSA.serialNumber)]) {
      expect(await prove(timestamp({ sid, noCertificates: true }))).toBeUndefined();
    }
    expect(
      await prove(timestamp({ sid: sidByKey(other), signerVersion: int(3), noCertificates: true })),
    ).toBeUndefined();
  });

  test("does not take a stranger's token for an authority's because it brings the authority's certificate along", async () => {
    const token = stampedBy(other, { certificates: [TSA.party.der, other.party.der, ROOT.der] });
    expect(await prove(token)).toBeUndefined();
    expect(await prove(token, [authority([ROOT.der])])).toBeUndefined();
  });

  test("takes issuers from the root alone", async () => {
    const intermediate = makeTsaRoot({ issuer: ROOT });
    const tsa = makeTsa({ issuer: intermediate });
    expect(
      await prove(stampedBy(tsa, { certificates: [tsa.party.der, intermediate.der] }), [authority([ROOT.der])]),
    ).toBeUndefined();
  });

  test("sets a stranger's token aside whose certificate cannot be read", async () => {
    const unreadable = { name: other.party.name, keys: other.party.keys, der: seq(int(1)) };
    const token = timestamp({ tsa: { ...other, party: unreadable } });
    expect(await prove(token)).toBeUndefined();
  });

  test.for<[string, Options]>([
    ["another certificate than it signs for", { sid: seq(ROOT.name, int(0x10, 0x7f)) }],
    ["another issuer", { sid: seq(name({ O: "Other", CN: "root" }), TSA.serialNumber) }],
    ["another key", { sid: sidByKey(other), signerVersion: int(3) }],
  ])(
    "refuses a token that brings its authority's certificate along and names %s as its signer",
    async ([, options]) => {
      await expect(prove(timestamp(options))).rejects.toThrow(refused("TIMESTAMP_CERTIFICATE_INVALID"));
      await expect(prove(timestamp(options), [authority([ROOT.der])])).rejects.toThrow(
        refused("TIMESTAMP_CERTIFICATE_INVALID"),
      );
    },
  );

  test("refuses another certificate of an authority whose signer the root lists", async () => {
    const second = makeTsa({ issuer: ROOT });
    await expect(prove(stampedBy(second))).rejects.toThrow(refused("TIMESTAMP_CERTIFICATE_INVALID"));
    const sameKey = similar((usual) => usual);
    await expect(prove(stampedBy(sameKey))).rejects.toThrow(refused("TIMESTAMP_CERTIFICATE_INVALID"));
    const listed = authority([sameKey.party.der, ROOT.der]);
    expect(await prove(stampedBy(sameKey), [authority(), listed])).toEqual(proven(listed, sameKey));
  });

  test("refuses a signature by another key than that of the named certificate", async () => {
    const { privateKey } = ecKeys();
    await expect(prove(timestamp({ sign: (data) => sign("sha256", data, privateKey) }))).rejects.toThrow(
      refused("TIMESTAMP_SIGNATURE_INVALID"),
    );
  });

  test("tries every authority that is identified, and names the most telling failure", async () => {
    const early = authority(undefined, {
      validFor: { start: new Date("2025-01-01T00:00:00Z"), end: new Date("2025-12-31T00:00:00Z") },
    });
    const known = authority();
    expect(await prove(timestamp(), [early, known])).toEqual(proven(known));
    expect(await prove(timestamp(), [known, early])).toEqual(proven(known));
    const unlisted = authority([makeTsa({ issuer: ROOT }).party.der, ROOT.der]);
    const failure: unknown = await prove(timestamp(), [unlisted, early]).catch((error: unknown) => error);
    expect(failure).toMatchObject({
      code: "TIMESTAMP_OUTSIDE_AUTHORITY_VALIDITY",
      cause: { errors: [{ code: "TIMESTAMP_CERTIFICATE_INVALID" }] },
    });
  });

  test("tries an authority of the same subject and another key", async () => {
    const namesake = makeTsaRoot();
    const twin = makeTsa({ issuer: namesake, serialNumber: TSA.serialNumber });
    const known = authority();
    expect(await prove(timestamp(), [authority([twin.party.der, namesake.der]), known])).toEqual(proven(known));
    await expect(prove(timestamp(), [authority([twin.party.der, namesake.der])])).rejects.toThrow(
      refused("TIMESTAMP_CERTIFICATE_INVALID"),
    );
  });
});

describe("verifyTimestamp (RFC 5035 §3 and §4, RFC 3161 §2.4: the certificate that is meant)", () => {
  const wrong = hash("sha256", DATA);
  test.for<[string, Options]>([
    ["another hash in version 2", { attributes: namedBy(signingCertificateV2(essCertId(wrong))) }],
    ["another hash in version 1", { attributes: namedBy(signingCertificateV1(essCertId(hash("sha1", DATA)))) }],
    [
      "another hash in version 1 beside a right one in version 2",
      { attributes: plus(signingCertificateV1(essCertId(hash("sha1", DATA)))) },
    ],
    [
      "another hash in version 2 beside a right one in version 1",
      {
        attributes: (usual) =>
          plus(signingCertificateV1(essCertId(hash("sha1", TSA.party.der))))(
            namedBy(signingCertificateV2(essCertId(wrong)))(usual),
          ),
      },
    ],
    [
      "the hash second, after that of another certificate",
      { attributes: namedBy(signingCertificateV2(essCertId(wrong), essCertId(hash("sha256", TSA.party.der)))) },
    ],
    [
      "part of the hash",
      { attributes: namedBy(signingCertificateV2(essCertId(hash("sha256", TSA.party.der).subarray(0, 20)))) },
    ],
    [
      "another issuer",
      {
        attributes: namedBy(
          signingCertificateV2(
            essCertId(hash("sha256", TSA.party.der), issuerSerial(name({ CN: "other" }), TSA.serialNumber)),
          ),
        ),
      },
    ],
    [
      "another serial number",
      {
        attributes: namedBy(
          signingCertificateV2(essCertId(hash("sha256", TSA.party.der), issuerSerial(ROOT.name, int(1)))),
        ),
      },
    ],
  ])("refuses a token that is signed for %s", async ([, options]) => {
    await expect(prove(timestamp({ ...options, noCertificates: true }))).rejects.toThrow(
      refused("TIMESTAMP_CERTIFICATE_INVALID"),
    );
  });

  test("refuses a token that brings along certificates without that of its signer", async () => {
    await expect(prove(timestamp({ certificates: [ROOT.der] }))).rejects.toThrow(
      refused("TIMESTAMP_CERTIFICATE_INVALID"),
    );
  });

  test("refuses a token that names another authority than its certificate", async () => {
    await expect(prove(timestamp({ tsaName: ctx(0, ctx(4, name({ O: "Example", CN: "other" }))) }))).rejects.toThrow(
      refused("TIMESTAMP_CERTIFICATE_INVALID"),
    );
    await expect(prove(timestamp({ tsaName: ctx(0, uri("https://tsa.example")) }))).rejects.toThrow(
      refused("TIMESTAMP_CERTIFICATE_INVALID"),
    );
  });
});

describe("verifyTimestamp (RFC 3161 §2.3, the certificate's own rights)", () => {
  const wrong: [string, Changes][] = [
    ["has no extended key usage", (usual) => withoutExtension(usual, OIDS.extKeyUsage)],
    [
      "has an extended key usage that is not critical",
      (usual) => withExtension(usual, extKeyUsage([OIDS.timeStamping])),
    ],
    ["is for code signing", (usual) => withExtension(usual, extKeyUsage([OIDS.codeSigning], true))],
    [
      "is for code signing as well",
      (usual) => withExtension(usual, extKeyUsage([OIDS.timeStamping, OIDS.codeSigning], true)),
    ],
    ["is for anything", (usual) => withExtension(usual, extKeyUsage([OIDS.anyExtendedKeyUsage], true))],
    ["may not make signatures", (usual) => withExtension(usual, keyUsage(0x20))],
    ["has a critical extension that is not known", (usual) => [...usual, extension("1.2.3.4", nul(), true)]],
  ];

  test.for(wrong)("refuses a signer that %s", async ([, extensions]) => {
    const tsa = similar(extensions);
    await expect(prove(stampedBy(tsa), [authority([tsa.party.der, ROOT.der])])).rejects.toThrow(
      refused("TIMESTAMP_CERTIFICATE_INVALID"),
    );
    await expect(prove(stampedBy(tsa), [authority([ROOT.der])])).rejects.toThrow(
      refused("TIMESTAMP_CERTIFICATE_INVALID"),
    );
  });

  test("refuses a signer that is a certification authority", async () => {
    const tsa = similar((usual) => [...usual, basicConstraints(true)]);
    await expect(prove(stampedBy(tsa), [authority([ROOT.der])])).rejects.toThrow(
      refused("TIMESTAMP_CERTIFICATE_INVALID"),
    );
    await expect(prove(stampedBy(tsa), [authority([tsa.party.der, ROOT.der])])).rejects.toThrow(
      refused("TIMESTAMP_CERTIFICATE_INVALID"),
    );
  });

  // CVE-2026-39984: constraints were checked on one certificate of the token while the chain was built for another
  describe("with the certificate of a good authority beside that of the signer", () => {
    const codeSigner = similar((usual) => withExtension(usual, extKeyUsage([OIDS.codeSigning])), {
      keys: ecKeys(),
      subject: name({ CN: "mallory" }),
    });
    const bags = [
      [TSA.party.der, codeSigner.party.der],
      [codeSigner.party.der, TSA.party.der],
    ];
    test.for(bags)("refuses a signer of the same root with another purpose", async (certificates) => {
      await expect(prove(stampedBy(codeSigner, { certificates }), [authority([ROOT.der])])).rejects.toThrow(
        refused("TIMESTAMP_CERTIFICATE_INVALID"),
      );
    });
    test.for(bags)("refuses a signer that names the good one", async (certificates) => {
      const sid = seq(ROOT.name, TSA.serialNumber);
      await expect(prove(stampedBy(codeSigner, { certificates, sid }), [authority([ROOT.der])])).rejects.toThrow(
        refused("TIMESTAMP_CERTIFICATE_INVALID"),
      );
    });
    test.for(bags)("refuses a signer that signs for the good one", async (certificates) => {
      const attributes = namedBy(signingCertificateV2(essCertId(hash("sha256", TSA.party.der))));
      await expect(prove(stampedBy(codeSigner, { certificates, attributes }), [authority([ROOT.der])])).rejects.toThrow(
        refused("TIMESTAMP_CERTIFICATE_INVALID"),
      );
      const sid = seq(ROOT.name, TSA.serialNumber);
      await expect(
        prove(stampedBy(codeSigner, { certificates, attributes, sid }), [authority([ROOT.der])]),
      ).rejects.toThrow(refused("TIMESTAMP_SIGNATURE_INVALID"));
    });
  });

  test("refuses a certificate whose signature the authority did not make", async () => {
    const stranger = makeTsaRoot();
    const forged = makeTsa({
      issuer: ROOT,
      keys: LEAF_KEYS,
      sign: (tbs) => sign("sha256", tbs, stranger.keys.privateKey),
    });
    await expect(prove(stampedBy(forged), [authority([ROOT.der])])).rejects.toThrow(
      refused("TIMESTAMP_CERTIFICATE_INVALID"),
    );
  });

  test("refuses a certificate that is signed with an algorithm that is not known", async () => {
    const tsa = makeTsa({ issuer: ROOT, innerAlgorithm: seq(oid("1.2.3.4")) });
    await expect(prove(stampedBy(tsa), [authority([ROOT.der])])).rejects.toThrow(refused("ALGORITHM_UNSUPPORTED"));
  });

  test("refuses an issuer of the root that may not issue for time-stamping", async () => {
    const issuer = makeTsaRoot({ extensions: (usual) => [...usual, extKeyUsage([OIDS.codeSigning])] });
    const tsa = makeTsa({ issuer });
    await expect(prove(stampedBy(tsa), [authority([issuer.der])])).rejects.toThrow(
      refused("TIMESTAMP_CERTIFICATE_INVALID"),
    );
    await expect(prove(stampedBy(tsa), [authority([tsa.party.der, issuer.der])])).rejects.toThrow(
      refused("TIMESTAMP_CERTIFICATE_INVALID"),
    );
  });
});

describe("verifyTimestamp (validity, closed at both ends)", () => {
  const at = (time: string): Uint8Array => timestamp({ genTime: generalizedTime(time) });
  const window = authority(undefined, {
    validFor: { start: new Date("2026-01-01T00:00:00Z"), end: new Date("2026-02-01T00:00:00Z") },
  });

  test.for([
    ["20251231235959Z", false],
    ["20251231235959.999Z", false],
    ["20260101000000Z", true],
    ["20260201000000Z", true],
    ["20260201000000.001Z", false],
    ["20260201000001Z", false],
  ] as const)("asks that %s lies in the authority's window: %s", async ([time, holds]) => {
    const outcome = prove(at(time), [window]);
    if (holds) expect(await outcome).toMatchObject({ authority: window });
    else await expect(outcome).rejects.toThrow(refused("TIMESTAMP_OUTSIDE_AUTHORITY_VALIDITY"));
  });

  test("has no end where the root gives none", async () => {
    const open = authority(undefined, { validFor: { start: new Date("2026-01-01T00:00:00Z") } });
    expect(await prove(at("20341231235959Z"), [open])).toMatchObject({ authority: open });
  });

  const forever = { validFor: { start: new Date("1990-01-01T00:00:00Z") } };
  const dates = { notBefore: utcTime("260101000000Z"), notAfter: utcTime("260201000000Z") };
  const shortRoot = makeTsaRoot(dates);
  const times: [string, boolean][] = [
    ["20251231235959Z", false],
    ["20260101000000Z", true],
    ["20260201000000Z", true],
    ["20260201000001Z", false],
  ];

  test.for(times)("asks that %s lies in the signer certificate's validity: %s", async ([time, holds]) => {
    const tsa = makeTsa({ issuer: ROOT, keys: LEAF_KEYS, ...dates });
    for (const known of [authority([tsa.party.der, ROOT.der], forever), authority([ROOT.der], forever)]) {
      const outcome = prove(stampedBy(tsa, { genTime: generalizedTime(time) }), [known]);
      if (holds) expect(await outcome).toMatchObject({ authority: known });
      else await expect(outcome).rejects.toThrow(refused("CERTIFICATE_NOT_VALID_AT_TIME"));
    }
  });

  test.for(times)("asks that %s lies in the validity of the trust anchor: %s", async ([time, holds]) => {
    const tsa = makeTsa({ issuer: shortRoot });
    for (const known of [authority([tsa.party.der, shortRoot.der], forever), authority([shortRoot.der], forever)]) {
      const outcome = prove(stampedBy(tsa, { genTime: generalizedTime(time) }), [known]);
      if (holds) expect(await outcome).toMatchObject({ authority: known });
      else await expect(outcome).rejects.toThrow(refused("CERTIFICATE_NOT_VALID_AT_TIME"));
    }
  });
});

describe("verifyTimestamp (costs and hostile changes)", () => {
  test("costs one signature check where the root lists the signer", async () => {
    const known = authority();
    let verifications = 0;
    const counting: CryptoProvider = {
      name: "counting",
      digest: (...args) => crypto.digest(...args),
      createDigest: (...args) => crypto.createDigest(...args),
      supports: (...args) => crypto.supports(...args),
      verifyDigest: (...args) => crypto.verifyDigest(...args),
      verify: (...args) => {
        verifications++;
        return crypto.verify(...args);
      },
    };
    await prove(timestamp(), [known], { crypto: counting });
    expect(verifications).toBe(1);
  });

  test("accepts no response with one bit changed", async () => {
    const listed = [authority()];
    const unlisted = [authority([ROOT.der])];
    const small = { tsaName: ctx(0, ctx(4, TSA.party.name)), accuracy: seq(int(1)), nonce: int(9) };
    const responses: [Uint8Array, readonly TimestampAuthority[]][] = [
      [timestamp(small), listed],
      [timestamp({ ...small, noCertificates: true }), listed],
      [timestamp(small), unlisted],
    ];
    for (const [response, authorities] of responses) {
      expect(await prove(response, authorities)).toBeDefined();
      expect(await idleBits(response, (flipped) => prove(flipped, authorities))).toEqual([]);
    }
  });
});

interface Case {
  readonly response: string;
  readonly message: string;
  readonly trustedRoot: string;
  readonly expect: "accept" | "reject";
  readonly genTime?: string;
}

interface RootJson {
  readonly timestampAuthorities: readonly {
    readonly uri: string;
    readonly certChain: { readonly certificates: readonly { readonly rawBytes: string }[] };
    readonly validFor: { readonly start: string; readonly end?: string };
  }[];
}

const fromBase64 = (text_: string): Uint8Array => bytes(Buffer.from(text_, "base64"));

function authoritiesOf(file: string): readonly TimestampAuthority[] {
  const { timestampAuthorities } = JSON.parse(readFileSync(file, "utf8")) as RootJson;
  return timestampAuthorities.map(({ uri: address, certChain, validFor: { start, end } }) => ({
    uri: address,
    certificates: certChain.certificates.map(({ rawBytes }) => parseCertificate(fromBase64(rawBytes))),
    validFor: { start: new Date(start), ...(end === undefined ? {} : { end: new Date(end) }) },
  }));
}

describe.skipIf(!sharedAvailable())("verifyTimestamp (tokens of Sigstore's own authorities)", () => {
  const folder = resolve(sharedDir, "conformance", "vectors", "tsa");
  const cases = sharedAvailable()
    ? (JSON.parse(readFileSync(resolve(folder, "cases.json"), "utf8")) as { readonly cases: readonly Case[] }).cases
    : [];
  const staging = (): readonly TimestampAuthority[] =>
    authoritiesOf(resolve(sharedDir, "conformance", "trusted-roots", "staging.trusted_root.json"));
  const production = (): readonly TimestampAuthority[] =>
    authoritiesOf(resolve(sharedDir, "conformance", "trusted-roots", "production.trusted_root.json"));

  test.for(cases)(
    "answers $expect for $response",
    async ({ response, message, trustedRoot, expect: answer, genTime }) => {
      const der = bytes(readFileSync(resolve(folder, response)));
      const data = bytes(readFileSync(resolve(folder, message)));
      if (answer === "reject") {
        expect(() => parseTimestampResponse(der)).toThrow(refused("TIMESTAMP_MALFORMED"));
        return;
      }
      const roots = authoritiesOf(resolve(folder, trustedRoot));
      expect((await prove(der, roots, {}, data))?.time).toEqual(new Date(genTime ?? ""));
      await expect(prove(der, roots, {}, bytes(data, 0))).rejects.toThrow(refused("TIMESTAMP_IMPRINT_MISMATCH"));
      expect(await prove(der, production(), {}, data)).toBeUndefined();
    },
  );

  const bundle = (folderName: string): { readonly token: Uint8Array; readonly signature: Uint8Array } => {
    const json = JSON.parse(
      readFileSync(resolve(sharedDir, "conformance", "bundle-verify", folderName, "bundle.sigstore.json"), "utf8"),
    ) as {
      readonly verificationMaterial: {
        readonly timestampVerificationData: {
          readonly rfc3161Timestamps: readonly { readonly signedTimestamp: string }[];
        };
      };
      readonly messageSignature?: { readonly signature: string };
      readonly dsseEnvelope?: { readonly signatures: readonly { readonly sig: string }[] };
    };
    const [first] = json.verificationMaterial.timestampVerificationData.rfc3161Timestamps;
    return {
      token: fromBase64(first?.signedTimestamp ?? ""),
      signature: fromBase64(json.messageSignature?.signature ?? json.dsseEnvelope?.signatures[0]?.sig ?? ""),
    };
  };

  test.for([
    ["rekor2-happy-path", "2025-06-12T12:02:20Z"],
    ["rekor2-checkpoint-cosigned", "2025-06-12T12:02:20Z"],
    ["rekor2-dsse-happy-path", "2026-05-13T19:23:33Z"],
    ["rekor2-timestamp-with-embedded-cert", "2025-08-06T18:51:36Z"],
  ] as const)("proves the time of %s", async ([folderName, time]) => {
    const { token, signature } = bundle(folderName);
    expect((await prove(token, staging(), {}, signature))?.time).toEqual(new Date(time));
    expect(await prove(token, production(), {}, signature)).toBeUndefined();
  });

  test("refuses the token of another bundle", async () => {
    const { token, signature } = bundle("rekor2-timestamp-payload-mismatch_fail");
    await expect(prove(token, staging(), {}, signature)).rejects.toThrow(refused("TIMESTAMP_IMPRINT_MISMATCH"));
  });

  test("takes the signer from the token where the root lists the issuers alone", async () => {
    const { token, signature } = bundle("rekor2-timestamp-with-embedded-cert");
    const issuersOnly = staging().map((known) => ({ ...known, certificates: known.certificates.slice(1) }));
    expect((await prove(token, issuersOnly, {}, signature))?.time).toEqual(new Date("2025-08-06T18:51:36Z"));
    const bare = bundle("rekor2-dsse-happy-path");
    expect(await prove(bare.token, issuersOnly, {}, bare.signature)).toBeUndefined();
  });

  test("accepts no token with one bit changed", async () => {
    const roots = staging();
    for (const folderName of ["rekor2-timestamp-with-embedded-cert", "rekor2-dsse-happy-path"]) {
      const { token, signature } = bundle(folderName);
      expect(await idleBits(token, (flipped) => prove(flipped, roots, {}, signature))).toEqual([]);
    }
  });
});
