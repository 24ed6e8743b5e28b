import { createHash, generateKeyPairSync, sign } from "node:crypto";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { defaultCryptoProvider } from "../../src/crypto/provider.ts";
import { parsePublicKey } from "../../src/crypto/public-key.ts";
import { SigstoreError } from "../../src/errors.ts";
import { parseCertificate, type Certificate } from "../../src/x509/certificate.ts";
import {
  parseDetachedSct,
  parseSctList,
  precertificateTbs,
  verifySct,
  type SignedCertificateTimestamp,
} from "../../src/x509/sct.ts";
import {
  bytes,
  ecKeys,
  extension,
  int,
  makeAuthority,
  makeLeaf,
  octets,
  OIDS,
  spkiOf,
  withoutExtension,
  type Extension,
  type Keys,
  type Party,
} from "../support/certificates.ts";
import { projectDir, sharedAvailable, sharedDir } from "../support/shared.ts";

const crypto = defaultCryptoProvider();
const withCode = (code: string): unknown => expect.objectContaining({ code });

const root = makeAuthority();
const logKeys = ecKeys();
const leafKeys = ecKeys();
const log = { publicKey: parsePublicKey(spkiOf(logKeys)) };
const issuer = parseCertificate(root.der);
const TIME = 1_750_000_000_123n;

const sha256 = (data: Uint8Array): Uint8Array => bytes(createHash("sha256").update(data).digest());
const big = (value: bigint | number, length: number): Uint8Array =>
  Uint8Array.from({ length }, (_, i) => Number((BigInt(value) >> BigInt(8 * (length - 1 - i))) & 0xffn));
const vector = (content: Uint8Array, lengthBytes = 2): Uint8Array => bytes(big(content.length, lengthBytes), content);

/** What a log signs: RFC 6962 §3.2, written out. */
const toBeSigned = (entryType: 0 | 1, entry: Uint8Array, extensions: Uint8Array = bytes()): Uint8Array =>
  bytes(0, 0, big(TIME, 8), 0, entryType, entry, vector(extensions));
const precertEntry = (tbs: Uint8Array, spki = spkiOf(root.keys)): Uint8Array => bytes(sha256(spki), vector(tbs, 3));

interface SctParts {
  readonly version?: number;
  readonly logId?: Uint8Array;
  readonly time?: Uint8Array;
  readonly extensions?: Uint8Array;
  readonly algorithms?: readonly [number, number];
  readonly signature?: Uint8Array;
  readonly end?: Uint8Array;
}

function serialized({
  version = 0,
  logId = sha256(spkiOf(logKeys)),
  time = big(TIME, 8),
  extensions = bytes(),
  algorithms = [4, 3],
  signature = bytes(1, 2, 3),
  end = bytes(),
}: SctParts): Uint8Array {
  return bytes(version, logId, time, vector(extensions), ...algorithms, vector(signature), end);
}

const sctList = (...scts: readonly Uint8Array[]): Extension =>
  extension(OIDS.sctList, octets(vector(bytes(...scts.map((sct) => vector(sct))))));
type Place = (usual: readonly Extension[], list: Extension) => readonly Extension[];
const atEnd: Place = (usual, list) => [...usual, list];
const certificateWith = (list: Extension, place = atEnd): Certificate =>
  parseCertificate(makeLeaf({ issuer: root, keys: leafKeys, extensions: (usual) => place(usual, list) }).der);
const precertificate = makeLeaf({ issuer: root, keys: leafKeys });

/** A certificate with an SCT that a log really made. */
function logged({
  keys = logKeys,
  place = atEnd,
  parts = {},
  tbs = precertificate.tbs,
  spki,
}: { keys?: Keys; place?: Place; parts?: SctParts; tbs?: Uint8Array; spki?: Uint8Array } = {}): Certificate {
  const signature = sign("sha256", toBeSigned(1, precertEntry(tbs, spki), parts.extensions), keys.privateKey);
  return certificateWith(sctList(serialized({ signature: bytes(signature), ...parts })), place);
}

const verifyOnly = (certificate: Certificate, key = log): Promise<void> =>
  verifySct(parseSctList(certificate)[0] as SignedCertificateTimestamp, certificate, issuer, key, crypto);

describe("parseSctList (RFC 6962 §3.3)", () => {
  test("reads every field of every SCT in order", () => {
    const certificate = certificateWith(
      sctList(
        serialized({}),
        serialized({ extensions: bytes(9), algorithms: [4, 1], logId: new Uint8Array(32).fill(7) }),
      ),
    );
    expect(parseSctList(certificate)).toEqual([
      {
        logId: sha256(spkiOf(logKeys)),
        timestamp: new Date(Number(TIME)),
        timestampMs: TIME,
        extensions: bytes(),
        hashAlgorithm: 4,
        signatureAlgorithm: 3,
        signature: bytes(1, 2, 3),
      },
      {
        logId: new Uint8Array(32).fill(7),
        timestamp: new Date(Number(TIME)),
        timestampMs: TIME,
        extensions: bytes(9),
        hashAlgorithm: 4,
        signatureAlgorithm: 1,
        signature: bytes(1, 2, 3),
      },
    ]);
  });

  test("reads nothing from a certificate without the extension", () => {
    expect(parseSctList(parseCertificate(precertificate.der))).toEqual([]);
  });

  test("reads the furthest time that there is a date for", () => {
    const [sct] = parseSctList(certificateWith(sctList(serialized({ time: big(8_640_000_000_000_000n, 8) }))));
    expect(sct?.timestamp).toEqual(new Date(8_640_000_000_000_000));
  });

  test("passes over an SCT of a version that it does not know", () => {
    expect(parseSctList(certificateWith(sctList(bytes(1, 2, 3), serialized({}))))).toHaveLength(1);
  });

  test.for<[string, Extension]>([
    ["is empty", sctList()],
    ["has an empty SCT", sctList(bytes())],
    ["has an SCT that ends early", sctList(serialized({}).subarray(0, -1))],
    ["has an SCT with bytes after its end", sctList(serialized({ end: bytes(0) }))],
    ["has bytes after its end", extension(OIDS.sctList, octets(bytes(vector(vector(serialized({}))), 0)))],
    ["is shorter than it says", extension(OIDS.sctList, octets(bytes(0, 99, vector(serialized({})))))],
    ["has an SCT that is longer than the list", extension(OIDS.sctList, octets(vector(bytes(0, 99, serialized({})))))],
    ["is not in an octet string", extension(OIDS.sctList, int(1))],
    ["has bytes after its octet string", extension(OIDS.sctList, bytes(octets(vector(vector(serialized({})))), 0))],
    ["has no content at all", extension(OIDS.sctList, octets(bytes()))],
    ["has a time beyond every date", sctList(serialized({ time: big(8_640_000_000_000_001n, 8) }))],
    ["has the greatest time", sctList(serialized({ time: big(2n ** 64n - 1n, 8) }))],
  ])("rejects a list that %s", ([, list]) => {
    const certificate = certificateWith(list);
    expect(() => parseSctList(certificate)).toThrow(withCode("SCT_MALFORMED"));
  });

  test("accepts 32 SCTs and rejects one more, of whatever version", () => {
    expect(parseSctList(certificateWith(sctList(...Array<Uint8Array>(32).fill(serialized({})))))).toHaveLength(32);
    expect(() => parseSctList(certificateWith(sctList(...Array<Uint8Array>(33).fill(bytes(1)))))).toThrow(
      withCode("LIMIT_EXCEEDED"),
    );
  });

  test("answers arbitrary bytes with a SigstoreError or with SCTs", () => {
    const valid = vector(bytes(vector(serialized({})), vector(serialized({ extensions: bytes(1, 2) }))));
    fc.assert(
      fc.property(
        fc.uint8Array({ maxLength: 120 }),
        fc.nat(valid.length - 1),
        fc.integer({ min: 1, max: 255 }),
        (garbage, at, mask) => {
          const changed = Uint8Array.from(valid);
          changed[at] = (changed[at] ?? 0) ^ mask;
          for (const content of [garbage, vector(garbage), changed, valid.subarray(0, at)]) {
            const certificate = certificateWith(extension(OIDS.sctList, octets(content)));
            try {
              expect(parseSctList(certificate)).not.toEqual(
                parseSctList(certificateWith(extension(OIDS.sctList, octets(valid)))),
              );
            } catch (error) {
              expect(error).toBeInstanceOf(SigstoreError);
            }
          }
        },
      ),
      { numRuns: 200, seed: 6962 },
    );
  });
});

describe("precertificateTbs (RFC 6962 §3.2)", () => {
  test.for<[string, Place]>([
    ["first", (usual, list) => [list, ...usual]],
    ["in the middle", (usual, list) => [...usual.slice(0, 2), list, ...usual.slice(2)]],
    ["last", atEnd],
  ])("gives the bytes that a certificate without the list has, when the list stands %s", ([, place]) => {
    expect(precertificateTbs(certificateWith(sctList(serialized({})), place))).toEqual(precertificate.tbs);
  });

  test("shortens lengths that then need fewer bytes", () => {
    for (const length of [10, 60, 100, 127, 128, 200, 255, 256, 400]) {
      const filler = extension("1.2.3", new Uint8Array(length));
      const without = makeLeaf({ issuer: root, keys: leafKeys, extensions: () => [filler] });
      const certificate = certificateWith(sctList(serialized({})), (_, list) => [filler, list]);
      expect(precertificateTbs(certificate)).toEqual(without.tbs);
    }
  });

  test("leaves the field out when nothing stays", () => {
    const without = makeLeaf({ issuer: root, keys: leafKeys, extensionsField: () => bytes() });
    expect(precertificateTbs(certificateWith(sctList(serialized({})), (_, list) => [list]))).toEqual(without.tbs);
  });

  test("gives a certificate without a list as it is", () => {
    expect(precertificateTbs(parseCertificate(precertificate.der))).toEqual(precertificate.tbs);
  });

  test("works on a certificate that lies within a longer array", () => {
    const { bytes: der } = certificateWith(sctList(serialized({})));
    const within = parseCertificate(bytes(1, 2, 3, der, 4).subarray(3, 3 + der.length));
    expect(precertificateTbs(within)).toEqual(precertificate.tbs);
  });
});

describe("verifySct (RFC 6962 §3.2)", () => {
  test("accepts an SCT that the log made for the certificate's precertificate", async () => {
    await expect(verifyOnly(logged())).resolves.toBeUndefined();
  });

  test("accepts an SCT with extensions, which are signed", async () => {
    await expect(verifyOnly(logged({ parts: { extensions: bytes(1, 2, 3) } }))).resolves.toBeUndefined();
  });

  test("accepts an SCT of a log with an RSA key", async () => {
    const rsa = generateKeyPairSync("rsa", { modulusLength: 2048 });
    const key = { publicKey: parsePublicKey(spkiOf(rsa)) };
    await expect(verifyOnly(logged({ keys: rsa, parts: { algorithms: [4, 1] } }), key)).resolves.toBeUndefined();
    await expect(verifyOnly(logged({ keys: rsa, parts: { algorithms: [4, 3] } }), key)).rejects.toThrow(
      withCode("SCT_INVALID"),
    );
  });

  const signedParts: readonly [string, () => Promise<void>][] = [
    ["another log made", () => verifyOnly(logged({ keys: ecKeys() }))],
    ["was made for another certificate", () => verifyOnly(logged({ tbs: makeLeaf({ issuer: root }).tbs }))],
    ["was made under another issuer's key", () => verifyOnly(logged({ spki: spkiOf(ecKeys()) }))],
    ["was made at another time", () => verifyOnly(logged({ parts: { time: big(TIME + 1n, 8) } }))],
    [
      "was made for the certificate with the list in it",
      () => verifyOnly(logged({ tbs: certificateWith(sctList(serialized({}))).tbs })),
    ],
    ["has a signature that is none", () => verifyOnly(logged({ parts: { signature: bytes(1, 2, 3) } }))],
    ["has no signature", () => verifyOnly(logged({ parts: { signature: bytes() } }))],
    ["claims another hash", () => verifyOnly(logged({ parts: { algorithms: [5, 3] } }))],
    ["claims no hash", () => verifyOnly(logged({ parts: { algorithms: [0, 3] } }))],
    ["claims RSA where the log has an EC key", () => verifyOnly(logged({ parts: { algorithms: [4, 1] } }))],
    ["claims DSA", () => verifyOnly(logged({ parts: { algorithms: [4, 2] } }))],
    ["claims to be anonymous", () => verifyOnly(logged({ parts: { algorithms: [4, 0] } }))],
    [
      "is taken for a detached one",
      () => {
        const certificate = logged();
        return verifySct(parseSctList(certificate)[0] as SignedCertificateTimestamp, certificate, issuer, log, crypto, {
          detached: true,
        });
      },
    ],
    [
      "is checked against another issuer",
      () => {
        const certificate = logged();
        const other: Party = makeAuthority({ subject: root.name });
        return verifySct(
          parseSctList(certificate)[0] as SignedCertificateTimestamp,
          certificate,
          parseCertificate(other.der),
          log,
          crypto,
        );
      },
    ],
  ];
  test.for(signedParts)("rejects an SCT that %s", async ([, verify]) => {
    await expect(verify()).rejects.toThrow(withCode("SCT_INVALID"));
  });

  test("rejects an SCT whose extensions were changed", async () => {
    const certificate = logged({ parts: { extensions: bytes(1, 2, 3) } });
    const sct = { ...(parseSctList(certificate)[0] as SignedCertificateTimestamp), extensions: bytes(1, 2, 4) };
    await expect(verifySct(sct, certificate, issuer, log, crypto)).rejects.toThrow(withCode("SCT_INVALID"));
  });

  test("does not care what stands beside the SCT in the list", async () => {
    const own = bytes(sign("sha256", toBeSigned(1, precertEntry(precertificate.tbs)), logKeys.privateKey));
    const certificate = certificateWith(sctList(serialized({}), serialized({ signature: own })));
    const [, second] = parseSctList(certificate);
    await expect(
      verifySct(second as SignedCertificateTimestamp, certificate, issuer, log, crypto),
    ).resolves.toBeUndefined();
  });
});

describe("parseDetachedSct (RFC 6962 §4.1)", () => {
  const der = makeLeaf({
    issuer: root,
    keys: leafKeys,
    extensions: (usual) => withoutExtension(usual, OIDS.sctList),
  }).der;
  const certificate = parseCertificate(der);
  const base64 = (content: Uint8Array): string => Buffer.from(content).toString("base64");
  const signature = (data: Uint8Array): Uint8Array =>
    bytes(4, 3, vector(bytes(sign("sha256", data, logKeys.privateKey))));
  const valid = {
    sct_version: 0,
    id: base64(sha256(spkiOf(logKeys))),
    timestamp: Number(TIME),
    extensions: "",
    signature: base64(signature(toBeSigned(0, vector(der, 3)))),
  };
  const parse = (changed: Readonly<Record<string, unknown>>): SignedCertificateTimestamp =>
    parseDetachedSct(JSON.stringify({ ...valid, ...changed }));

  test("reads what a log answers, and it verifies over the certificate itself", async () => {
    const sct = parse({});
    expect(sct).toMatchObject({
      logId: sha256(spkiOf(logKeys)),
      timestampMs: TIME,
      timestamp: new Date(Number(TIME)),
      extensions: bytes(),
      hashAlgorithm: 4,
      signatureAlgorithm: 3,
    });
    await expect(verifySct(sct, certificate, issuer, log, crypto, { detached: true })).resolves.toBeUndefined();
    await expect(verifySct(sct, certificate, issuer, log, crypto)).rejects.toThrow(withCode("SCT_INVALID"));
  });

  test("reads the first millisecond", () => {
    expect(parse({ timestamp: 0 }).timestampMs).toBe(0n);
  });

  test("covers an embedded list as it stands", async () => {
    const other = certificateWith(sctList(serialized({})));
    const sct = parse({ signature: base64(signature(toBeSigned(0, vector(other.bytes, 3)))) });
    await expect(verifySct(sct, other, issuer, log, crypto, { detached: true })).resolves.toBeUndefined();
  });

  test("reads bytes as well as text, leaves out extensions, and ignores fields of others", () => {
    const { extensions: _, ...rest } = valid;
    expect(parseDetachedSct(new TextEncoder().encode(JSON.stringify({ ...rest, chain: [] })))).toEqual(parse({}));
  });

  test.for<[string, Readonly<Record<string, unknown>>]>([
    ["is of another version", { sct_version: 1 }],
    ["has its version as text", { sct_version: "0" }],
    ["has no version", { sct_version: undefined }],
    ["has a short log id", { id: base64(new Uint8Array(31)) }],
    ["has a log id that is no base64", { id: "*" }],
    ["has no log id", { id: undefined }],
    ["has no timestamp", { timestamp: undefined }],
    ["has its timestamp as text", { timestamp: String(TIME) }],
    ["has a negative timestamp", { timestamp: -1 }],
    ["has a fraction of a millisecond", { timestamp: 1.5 }],
    ["has a timestamp beyond every date", { timestamp: 8_640_000_000_000_001 }],
    ["has a timestamp beyond exact numbers", { timestamp: 2 ** 60 }],
    ["has extensions that are no base64", { extensions: "=" }],
    ["has no signature", { signature: undefined }],
    ["has a signature without its header", { signature: base64(bytes(1, 2, 3)) }],
    ["has bytes after its signature", { signature: base64(bytes(Buffer.from(valid.signature, "base64"), 0)) }],
  ])("rejects an SCT that %s", ([, changed]) => {
    expect(() => parse(changed)).toThrow(withCode("SCT_MALFORMED"));
  });

  test.for<[string, string, string]>([
    ["is no JSON", "{", "SCT_MALFORMED"],
    ["is no object", "[]", "SCT_MALFORMED"],
    ["has a field twice", JSON.stringify(valid).replace("{", '{"sct_version":0,'), "JSON_DUPLICATE_KEY"],
    ["is far too long", JSON.stringify({ ...valid, chain: "a".repeat(65_536) }), "LIMIT_EXCEEDED"],
  ])("rejects a text that %s", ([, json, code]) => {
    expect(() => parseDetachedSct(json)).toThrow(withCode(code));
  });
});

interface Root {
  readonly ctlogs: readonly {
    readonly publicKey: { readonly rawBytes: string };
    readonly logId: { readonly keyId: string };
  }[];
  readonly certificateAuthorities: readonly {
    readonly certChain: { readonly certificates: readonly { readonly rawBytes: string }[] };
  }[];
}
interface BundleJson {
  readonly verificationMaterial: {
    readonly certificate?: { readonly rawBytes: string };
    readonly x509CertificateChain?: { readonly certificates: readonly { readonly rawBytes: string }[] };
  };
}
const fromBase64 = (value: string): Uint8Array => Uint8Array.from(Buffer.from(value, "base64"));
const readJson = (...path: readonly string[]): unknown => JSON.parse(readFileSync(join(...path), "utf8"));

/** Verifies every SCT of a bundle's certificate with the keys of a trusted root. */
async function verifyReal(bundle: BundleJson, trustedRoot: Root): Promise<readonly SignedCertificateTimestamp[]> {
  const { certificate: single, x509CertificateChain } = bundle.verificationMaterial;
  const certificate = parseCertificate(fromBase64((single ?? x509CertificateChain?.certificates[0])?.rawBytes ?? ""));
  const issuers = trustedRoot.certificateAuthorities.map(({ certChain }) =>
    parseCertificate(fromBase64(certChain.certificates[0]?.rawBytes ?? "")),
  );
  const real = issuers.find(({ extensions }) =>
    Buffer.from(extensions.subjectKeyIdentifier ?? []).equals(
      certificate.extensions.authorityKeyIdentifier ?? new Uint8Array(1),
    ),
  );
  const scts = parseSctList(certificate);
  for (const sct of scts) {
    const ctlog = trustedRoot.ctlogs.find(({ logId }) => logId.keyId === Buffer.from(sct.logId).toString("base64"));
    await verifySct(
      sct,
      certificate,
      real as Certificate,
      { publicKey: parsePublicKey(fromBase64(ctlog?.publicKey.rawBytes ?? "")) },
      crypto,
    );
  }
  return scts;
}

describe("SCTs of other software", () => {
  const real = join(projectDir, "testdata", "real");
  test.for(["blob-v1-email", "blob-v2-github", "blob-v1-email-p384", "blob-v1-email-rsa2048"])(
    "Fulcio with ct_server: %s verifies",
    async (name) => {
      const bundle = readJson(real, "a", `${name}.sigstore.json`) as BundleJson;
      expect(await verifyReal(bundle, readJson(real, "a", "trusted_root.json") as Root)).toHaveLength(1);
    },
  );

  describe.skipIf(!sharedAvailable())("of the public instances", () => {
    const conformance = join(sharedDir, "conformance");

    test("an SCT of the staging instance has the fields that openssl shows, and verifies", async () => {
      const bundle = readJson(conformance, "corpus/sigstore-python/staging-rekor-v2.txt.sigstore.json") as BundleJson;
      const [sct] = await verifyReal(bundle, readJson(conformance, "trusted-roots/staging.trusted_root.json") as Root);
      expect(Buffer.from(sct?.logId ?? []).toString("hex")).toBe(
        "2b30bcdc6888c9e2e1d826295e741f4839319602f29c33cb5e4340feb2ac867a",
      );
      expect(sct?.timestamp).toEqual(new Date("2025-06-09T11:57:35.638Z"));
      expect(sct).toMatchObject({ hashAlgorithm: 4, signatureAlgorithm: 3, extensions: bytes() });
    });

    test.for(["happy-path-v0.1", "happy-path-v0.3-new-mediaType", "happy-path-intoto-in-dsse-v3"])(
      "%s of the production instance verifies",
      async (name) => {
        const bundle = readJson(conformance, "bundle-verify", name, "bundle.sigstore.json") as BundleJson;
        expect(
          await verifyReal(bundle, readJson(conformance, "trusted-roots/production.trusted_root.json") as Root),
        ).toHaveLength(1);
      },
    );
  });
});
