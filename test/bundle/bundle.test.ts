import { readdirSync, readFileSync } from "node:fs";
import { bundleFromJSON, bundleToJSON } from "@sigstore/bundle";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import {
  BUNDLE_MEDIA_TYPES,
  parseBundle,
  parseBundleObject,
  parseBundles,
  serializeBundle,
  serializeBundleObject,
  type Bundle,
} from "../../src/bundle/bundle.ts";
import type { JsonValue } from "../../src/encoding/json.ts";
import { SigstoreError } from "../../src/errors.ts";
import { anyText, SAMPLE } from "../support/hostile.ts";
import { base64, change, jsonFile, pathsOf, pick, textFile, without, type Json } from "../support/json-edits.ts";
import { TAKES_ALL } from "../support/samples.ts";

const FILES = readdirSync(new URL("../../testdata/bundle/", import.meta.url)).filter((name) => name.endsWith(".json"));
const MESSAGE = jsonFile("bundle/v0.3-certificate-rekor-v1.sigstore.json");
const DSSE = jsonFile("bundle/v0.3-dsse-certificate.sigstore.json");
const CHAIN = jsonFile("bundle/v0.1-chain-promise-and-proof.sigstore.json");
const KEY = jsonFile("bundle/v0.3-public-key.sigstore.json");
const KEYID = jsonFile("bundle/v0.2-npm-publish-key-hint.sigstore.json");
const REKOR_V2 = jsonFile("bundle/v0.3-rekor-v2-timestamp.sigstore.json");

const parse = (json: Json): Bundle => parseBundle(JSON.stringify(json));
const withCode = (code: string): unknown => expect.objectContaining({ code });

/** Intermediate and root of the production Fulcio, from its trusted root. */
const FULCIO = jsonFile("trusted-root/production.trusted_root.json");
const INTERMEDIATE = pick(FULCIO, "certificateAuthorities.1.certChain.certificates.0");
const ROOT = pick(FULCIO, "certificateAuthorities.1.certChain.certificates.1");
const CERTIFICATES = "verificationMaterial.x509CertificateChain.certificates";
const LEAF = pick(CHAIN, "verificationMaterial.x509CertificateChain.certificates.0");

describe("parseBundle (client specification §5, sigstore_bundle.proto)", () => {
  // @sigstore/bundle refuses a v0.2 proof without a checkpoint, and cosign's empty message digest.
  test.for(FILES.filter((name) => !/without-checkpoint|empty-message-digest/.test(name)))(
    "reads the values of %s that @sigstore/bundle reads",
    (name) => {
      const text = textFile(`bundle/${name}`);
      expect(valuesOf(parseBundle(text))).toEqual(valuesOfOracle(JSON.parse(text)));
    },
  );

  test("reads bytes and text alike", () => {
    const text = JSON.stringify(MESSAGE);
    expect(parseBundle(new TextEncoder().encode(text))).toEqual(parseBundle(text));
  });

  test.for([...BUNDLE_MEDIA_TYPES])("reads media type %s as version %s", ([mediaType, version]) => {
    expect(parse({ ...MESSAGE, mediaType })).toMatchObject({ mediaType, version });
  });

  test.for([
    "application/vnd.dev.sigstore.bundle+json;version=0.4",
    "application/vnd.dev.sigstore.bundle.v0.4+json",
    "application/vnd.dev.sigstore.bundle.v0.3.1+json",
    "application/vnd.dev.sigstore.bundle.v0.3+json ",
    "application/vnd.dev.sigstore.bundle.v0.3+json;charset=utf-8",
    "Application/vnd.dev.sigstore.bundle.v0.3+json",
    "application/vnd.dev.sigstore.bundle+json; version=0.3",
    "application/vnd.dev.sigstore.bundle+json;version=0.1\n",
    "application/vnd.dev.sigstore.bundle+json",
    "application/vnd.dev.sigstore.trustedroot+json;version=0.1",
    "application/json",
    "",
    "constructor",
    "__proto__",
  ])("rejects media type %j", (mediaType) => {
    expect(() => parse({ ...MESSAGE, mediaType })).toThrow(withCode("BUNDLE_MEDIA_TYPE_UNSUPPORTED"));
  });

  test("rejects a newer media type as such, even with fields that are not known yet", () => {
    const newer = { ...MESSAGE, mediaType: "application/vnd.dev.sigstore.bundle.v0.4+json", future: 1 };
    expect(() => parse(newer)).toThrow(withCode("BUNDLE_MEDIA_TYPE_UNSUPPORTED"));
  });

  test.for([
    ["a legacy cosign bundle", { base64Signature: "AA==", cert: "", rekorBundle: {} }, /legacy cosign/],
    ["a bare DSSE envelope", { payload: "AA==", payloadType: "x", signatures: [] }, /bare DSSE/],
    ["a reply of the npm registry", { attestations: [] }, /one of its bundles/],
    ["a bundle in snake_case", { media_type: "x", verification_material: {} }, /lowerCamelCase/],
  ] as const)("says that it was given %s", ([, json, remedy]) => {
    expect(() => parse(json)).toThrow(
      expect.objectContaining({ code: "BUNDLE_MALFORMED", remedy: expect.stringMatching(remedy) as string }),
    );
  });

  test.for<[string, Json]>([
    ["no media type", without(MESSAGE, "mediaType")],
    ["null as media type", { ...MESSAGE, mediaType: null }],
    ["a number as media type", { ...MESSAGE, mediaType: 3 }],
    ["an unknown field", { ...MESSAGE, extra: {} }],
    ["an unknown field that is null", { ...MESSAGE, extra: null }],
    [
      "a field in snake_case",
      { ...without(MESSAGE, "verificationMaterial"), verification_material: MESSAGE["verificationMaterial"] },
    ],
    ["no verification material", without(MESSAGE, "verificationMaterial")],
    ["null as verification material", { ...MESSAGE, verificationMaterial: null }],
    ["verification material with an unknown field", change(MESSAGE, "verificationMaterial.extra", 1)],
    ["no signer", without(MESSAGE, "verificationMaterial.certificate")],
    ["two signers", change(MESSAGE, "verificationMaterial.publicKey", { hint: "x" })],
    ["two signers, one of them empty", change(MESSAGE, "verificationMaterial.publicKey", {})],
    ["a certificate and a chain", change(CHAIN, "verificationMaterial.certificate", LEAF)],
    ["a certificate without bytes", change(MESSAGE, "verificationMaterial.certificate", {})],
    ["an empty certificate", change(MESSAGE, "verificationMaterial.certificate.rawBytes", "")],
    ["a certificate with an unknown field", change(MESSAGE, "verificationMaterial.certificate.pem", "x")],
    ["a chain without certificates", change(CHAIN, "verificationMaterial.x509CertificateChain", {})],
    ["an empty chain", change(CHAIN, CERTIFICATES, [])],
    ["a chain with an empty certificate", change(CHAIN, CERTIFICATES, [LEAF, { rawBytes: "" }])],
    ["a chain with an unknown field", change(CHAIN, "verificationMaterial.x509CertificateChain.order", "leaf first")],
    ["a chain with null in it", change(CHAIN, CERTIFICATES, [LEAF, null])],
    ["a chain with a root certificate", change(CHAIN, CERTIFICATES, [LEAF, INTERMEDIATE, ROOT])],
    ["a chain of a root certificate alone", change(CHAIN, CERTIFICATES, [ROOT])],
    ["a public key that is text", change(KEY, "verificationMaterial.publicKey", "x")],
    ["a public key with its bytes", change(KEY, "verificationMaterial.publicKey.rawBytes", "AAAA")],
    ["a hint that is a number", change(KEY, "verificationMaterial.publicKey.hint", 1)],
    ["log entries that are an object", change(MESSAGE, "verificationMaterial.tlogEntries", {})],
    ["null as a log entry", change(MESSAGE, "verificationMaterial.tlogEntries", [null])],
    ["a log entry with an unknown field", change(MESSAGE, "verificationMaterial.tlogEntries.0.extra", 1)],
    ["timestamps that are a list", change(REKOR_V2, "verificationMaterial.timestampVerificationData", [])],
    ["timestamps with an unknown field", change(REKOR_V2, "verificationMaterial.timestampVerificationData.extra", 1)],
    [
      "an empty timestamp",
      change(REKOR_V2, "verificationMaterial.timestampVerificationData.rfc3161Timestamps", [{ signedTimestamp: "" }]),
    ],
    [
      "a timestamp with an unknown field",
      change(REKOR_V2, "verificationMaterial.timestampVerificationData.rfc3161Timestamps.0.uri", "x"),
    ],
    [
      "a timestamp that is text",
      change(REKOR_V2, "verificationMaterial.timestampVerificationData.rfc3161Timestamps", ["AAAA"]),
    ],
    ["no content", without(MESSAGE, "messageSignature")],
    ["two contents", { ...MESSAGE, dsseEnvelope: DSSE["dsseEnvelope"] }],
    ["no signature", without(MESSAGE, "messageSignature.signature")],
    ["an empty signature", change(MESSAGE, "messageSignature.signature", "")],
    ["null as signature", change(MESSAGE, "messageSignature.signature", null)],
    ["a message signature with an unknown field", change(MESSAGE, "messageSignature.extra", 1)],
    ["a message digest without algorithm", without(MESSAGE, "messageSignature.messageDigest.algorithm")],
    [
      "a message digest of an unspecified algorithm",
      change(MESSAGE, "messageSignature.messageDigest.algorithm", "HASH_ALGORITHM_UNSPECIFIED"),
    ],
    ["a message digest of algorithm SHA3_256", change(MESSAGE, "messageSignature.messageDigest.algorithm", "SHA3_256")],
    [
      "a message digest of an algorithm in lower case",
      change(MESSAGE, "messageSignature.messageDigest.algorithm", "sha2_256"),
    ],
    ["a message digest of an algorithm by number", change(MESSAGE, "messageSignature.messageDigest.algorithm", 1)],
    ["a message digest without digest", without(MESSAGE, "messageSignature.messageDigest.digest")],
    ["a message digest of another length", change(MESSAGE, "messageSignature.messageDigest.algorithm", "SHA2_384")],
    ["a message digest with an unknown field", change(MESSAGE, "messageSignature.messageDigest.extra", 1)],
    ["an envelope without payload", without(DSSE, "dsseEnvelope.payload")],
    ["an envelope with an empty payload", change(DSSE, "dsseEnvelope.payload", "")],
    ["an envelope without payload type", without(DSSE, "dsseEnvelope.payloadType")],
    ["an envelope with an empty payload type", change(DSSE, "dsseEnvelope.payloadType", "")],
    ["an envelope with a payload in base64url", change(DSSE, "dsseEnvelope.payload", "_-8=")],
    ["an envelope with an unknown field", change(DSSE, "dsseEnvelope.extra", 1)],
    ["an envelope without signatures", without(DSSE, "dsseEnvelope.signatures")],
    ["an envelope with no signature in its list", change(DSSE, "dsseEnvelope.signatures", [])],
    [
      "an envelope with the same signature twice",
      change(DSSE, "dsseEnvelope.signatures.1", pick(DSSE, "dsseEnvelope.signatures.0")),
    ],
    ["an envelope with an empty signature", change(DSSE, "dsseEnvelope.signatures.0.sig", "")],
    ["an envelope whose signature has an unknown field", change(DSSE, "dsseEnvelope.signatures.0.cert", "x")],
  ])("rejects a bundle with %s", ([, json]) => {
    expect(() => parse(json)).toThrow(withCode("BUNDLE_MALFORMED"));
  });

  test.for([
    ["a list", "[]"],
    ["a string", '"bundle"'],
    ["null", "null"],
    ["nothing", ""],
    ["HTML", "<!doctype html><html></html>"],
    ["JSON that ends early", JSON.stringify(MESSAGE).slice(0, -1)],
    ["two bundles, one after another", `${JSON.stringify(MESSAGE)}\n${JSON.stringify(MESSAGE)}`],
    ["a bundle with a byte order mark", `\ufeff${JSON.stringify(MESSAGE)}`],
  ] as const)("rejects %s", ([, text]) => {
    expect(() => parseBundle(text)).toThrow(withCode("BUNDLE_MALFORMED"));
  });

  test("rejects a field that occurs twice", () => {
    const text = JSON.stringify(MESSAGE).replace('"signature":', '"signature":"AAAA","signature":');
    expect(() => parseBundle(text)).toThrow(withCode("JSON_DUPLICATE_KEY"));
  });

  test("rejects a certificate in a chain that is none", () => {
    expect(() => parse(change(CHAIN, CERTIFICATES, [LEAF, { rawBytes: "MAA=" }]))).toThrow(
      withCode("CERTIFICATE_MALFORMED"),
    );
    expect(() => parse(change(CHAIN, CERTIFICATES, [LEAF, { rawBytes: "AAAA" }]))).toThrow(
      withCode("CERTIFICATE_MALFORMED"),
    );
  });

  test("accepts a chain with an intermediate, under any version", () => {
    const chain = parse(change(CHAIN, CERTIFICATES, [LEAF, INTERMEDIATE])).verificationMaterial.content;
    expect(chain).toMatchObject({ kind: "x509CertificateChain", certificates: { length: 2 } });
    const v03 = { ...CHAIN, mediaType: "application/vnd.dev.sigstore.bundle.v0.3+json" };
    expect(parse(v03).verificationMaterial.content.kind).toBe("x509CertificateChain");
  });

  test.for([
    ["no log entries", without(MESSAGE, "verificationMaterial.tlogEntries")],
    ["null as log entries", change(MESSAGE, "verificationMaterial.tlogEntries", null)],
    ["an empty list of log entries", change(MESSAGE, "verificationMaterial.tlogEntries", [])],
  ] as const)("accepts %s: whether one is needed is the verifier's business", ([, json]) => {
    expect(parse(json).verificationMaterial.tlogEntries).toEqual([]);
  });

  test.for([
    ["null", null],
    ["an empty object", {}],
    ["an empty list", { rfc3161Timestamps: [] }],
    ["null as list", { rfc3161Timestamps: null }],
  ] as const)("accepts %s in place of timestamps", ([, data]) => {
    const json = change(MESSAGE, "verificationMaterial.timestampVerificationData", data);
    expect(parse(json).verificationMaterial.rfc3161Timestamps).toEqual([]);
  });

  test("accepts null for the members of a oneof that are not set", () => {
    const json = change(
      change({ ...MESSAGE, dsseEnvelope: null }, "verificationMaterial.publicKey", null),
      "verificationMaterial.x509CertificateChain",
      null,
    );
    expect(parse(json)).toEqual(parse(MESSAGE));
  });

  test("accepts a public key without a hint", () => {
    expect(parse(change(KEY, "verificationMaterial.publicKey", {})).verificationMaterial.content).toEqual({
      kind: "publicKey",
      hint: "",
    });
  });

  test.for([
    ["absent", without(MESSAGE, "messageSignature.messageDigest")],
    ["null", change(MESSAGE, "messageSignature.messageDigest", null)],
    ["empty, as cosign writes it for Ed25519 keys", jsonFile("bundle/v0.3-ed25519-empty-message-digest.sigstore.json")],
  ] as const)("accepts a message digest that is %s", ([, json]) => {
    expect(parse(json).content).not.toHaveProperty("messageDigest");
  });

  test.for([
    ["SHA2_384", "sha384", 48],
    ["SHA2_512", "sha512", 64],
  ] as const)("reads a message digest of algorithm %s", ([algorithm, name, length]) => {
    const digest = base64(new Uint8Array(length).fill(7));
    const bundle = parse(change(MESSAGE, "messageSignature.messageDigest", { algorithm, digest }));
    expect(bundle.content).toMatchObject({
      messageDigest: { algorithm: name, digest: new Uint8Array(length).fill(7) },
    });
  });

  test("rejects a keyid that is not the hint", () => {
    expect(parse(KEYID).verificationMaterial.content).toEqual({
      kind: "publicKey",
      hint: "SHA256:jl3bwswu80PjjokCgh0o2w5c2U4LhQAE57gj9cz1kzA",
    });
    for (const json of [
      change(KEYID, "dsseEnvelope.signatures.0.keyid", "SHA256:other"),
      change(KEYID, "verificationMaterial.publicKey.hint", "SHA256:other"),
      change(KEYID, "verificationMaterial.publicKey.hint", ""),
    ]) {
      expect(() => parse(json)).toThrow(withCode("KEY_HINT_MISMATCH"));
    }
  });

  test.for([
    ["empty", change(KEYID, "dsseEnvelope.signatures.0.keyid", "")],
    ["absent", without(KEYID, "dsseEnvelope.signatures.0.keyid")],
    ["there without a hint to compare, beside a certificate", change(DSSE, "dsseEnvelope.signatures.0.keyid", "any")],
  ] as const)("accepts a keyid that is %s", ([, json]) => {
    expect(parse(json).content.kind).toBe("dsseEnvelope");
  });

  describe("duplicate log entries", () => {
    const entry = pick(MESSAGE, "verificationMaterial.tlogEntries.0");
    const withSecond = (second: Json): Json => change(MESSAGE, "verificationMaterial.tlogEntries", [entry, second]);
    const other = base64(new TextEncoder().encode("other body"));

    test.for([
      ["the same entry", entry],
      ["another body at the same index", { ...entry, canonicalizedBody: other }],
      ["the same body at another index", { ...entry, logIndex: "1" }],
    ] as const)("rejects %s of one log", ([, second]) => {
      expect(() => parse(withSecond(second))).toThrow(withCode("TLOG_ENTRY_DUPLICATE"));
    });

    test("accepts the same index and body in another log, and other ones in the same", () => {
      const logId = { keyId: base64(new Uint8Array(32)) };
      expect(parse(withSecond({ ...entry, logId })).verificationMaterial.tlogEntries).toHaveLength(2);
      expect(
        parse(withSecond({ ...entry, logIndex: "1", canonicalizedBody: other })).verificationMaterial.tlogEntries,
      ).toHaveLength(2);
    });
  });

  describe("limits", () => {
    const entry = pick(MESSAGE, "verificationMaterial.tlogEntries.0");
    const entries = (count: number): Json[] =>
      Array.from({ length: count }, (_, index) => ({
        ...entry,
        logIndex: `${index}`,
        canonicalizedBody: base64(new TextEncoder().encode(`body ${index}`)),
      }));
    const timestamps = (count: number): Json[] => Array.from({ length: count }, () => ({ signedTimestamp: "AAAA" }));
    const TIMESTAMPS = "verificationMaterial.timestampVerificationData";

    test.for<[string, Json, Json]>([
      [
        "log entries",
        change(MESSAGE, "verificationMaterial.tlogEntries", entries(32)),
        change(MESSAGE, "verificationMaterial.tlogEntries", entries(33)),
      ],
      [
        "timestamps",
        change(MESSAGE, TIMESTAMPS, { rfc3161Timestamps: timestamps(32) }),
        change(MESSAGE, TIMESTAMPS, { rfc3161Timestamps: timestamps(33) }),
      ],
      [
        "certificates",
        change(CHAIN, CERTIFICATES, Array(16).fill(INTERMEDIATE)),
        change(CHAIN, CERTIFICATES, Array(17).fill(INTERMEDIATE)),
      ],
      [
        "signature bytes",
        change(MESSAGE, "messageSignature.signature", base64(new Uint8Array(16 * 1024))),
        change(MESSAGE, "messageSignature.signature", base64(new Uint8Array(16 * 1024 + 1))),
      ],
      [
        "signature bytes of an envelope",
        change(DSSE, "dsseEnvelope.signatures.0.sig", base64(new Uint8Array(16 * 1024))),
        change(DSSE, "dsseEnvelope.signatures.0.sig", base64(new Uint8Array(16 * 1024 + 1))),
      ],
      [
        "timestamp bytes",
        change(REKOR_V2, `${TIMESTAMPS}.rfc3161Timestamps.0.signedTimestamp`, base64(new Uint8Array(256 * 1024))),
        change(REKOR_V2, `${TIMESTAMPS}.rfc3161Timestamps.0.signedTimestamp`, base64(new Uint8Array(256 * 1024 + 1))),
      ],
      [
        "certificate bytes",
        change(MESSAGE, "verificationMaterial.certificate.rawBytes", base64(new Uint8Array(64 * 1024))),
        change(MESSAGE, "verificationMaterial.certificate.rawBytes", base64(new Uint8Array(64 * 1024 + 1))),
      ],
    ])("rejects one more of %s than allowed", ([, most, tooMany]) => {
      expect(() => parse(most)).not.toThrow();
      expect(() => parse(tooMany)).toThrow(withCode("LIMIT_EXCEEDED"));
    });

    test("rejects a bundle that is too large before it looks at it", () => {
      expect(() => parseBundle(new Uint8Array(128 * 1024 * 1024 + 1))).toThrow(withCode("LIMIT_EXCEEDED"));
    });

    test("rejects JSON that is nested too deeply", () => {
      expect(() => parseBundle(`{"mediaType":${"[".repeat(200_000)}`)).toThrow(SigstoreError);
      expect(() => parseBundle(`${"[".repeat(200)}${"]".repeat(200)}`)).toThrow(withCode("LIMIT_EXCEEDED"));
    });
  });
});

describe("serializeBundle", () => {
  test.for(FILES)("writes %s so that it reads the same", (name) => {
    const bundle = parseBundle(textFile(`bundle/${name}`));
    const text = serializeBundle(bundle);
    expect(text).not.toContain("\n");
    expect(parseBundle(text)).toEqual(bundle);
  });

  test.for(FILES.filter((name) => !/without-checkpoint|empty-message-digest/.test(name)))(
    "writes %s so that @sigstore/bundle reads what it read before",
    (name) => {
      const text = textFile(`bundle/${name}`);
      expect(rereadByOracle(serializeBundle(parseBundle(text)))).toEqual(rereadByOracle(text));
    },
  );

  test("writes fields in the order of the specification", () => {
    const written: Json = { ...serializeBundleObject(parse(REKOR_V2)) };
    expect(Object.keys(written)).toEqual(["mediaType", "verificationMaterial", "messageSignature"]);
    expect(Object.keys(pick(written, "verificationMaterial"))).toEqual([
      "certificate",
      "tlogEntries",
      "timestampVerificationData",
    ]);
    expect(Object.keys(pick(written, "verificationMaterial.tlogEntries.0"))).toEqual([
      "logIndex",
      "logId",
      "kindVersion",
      "inclusionProof",
      "canonicalizedBody",
    ]);
  });

  test("is undone by parseBundle, whatever the bundle", () => {
    fc.assert(
      fc.property(bundles, (bundle) => {
        expect(parseBundle(serializeBundle(bundle))).toEqual(bundle);
        expect(parseBundleObject(serializeBundleObject(bundle))).toEqual(bundle);
      }),
    );
  });
});

describe("parseBundle, given hostile bytes", () => {
  const TEXT = FILES.map((name) => JSON.stringify(jsonFile(`bundle/${name}`)));

  test("gives a SigstoreError or another value when one character changes", () => {
    const original = TEXT.map((text) => parseBundle(text));
    fc.assert(
      fc.property(
        fc.nat({ max: TEXT.length - 1 }),
        fc.nat(),
        fc.oneof(fc.constantFrom(...Array.from('{}[]",:=/+-_0A \\')), anyText({ minLength: 0, maxLength: 1 })),
        (file, at, character) => {
          const text = TEXT[file] ?? "";
          const index = at % text.length;
          const mutant = text.slice(0, index) + character + text.slice(index + 1);
          // White space between tokens is the one thing that may change nothing.
          if (mutant === text || (character.trim() === "" && sameJson(mutant, text))) return;
          expectErrorOrOther(() => parseBundle(mutant), original[file]);
        },
      ),
      { seed: SAMPLE.seed, numRuns: TAKES_ALL ? 3000 : 600 },
    );
  });

  test("gives a SigstoreError or another value when one bit flips", () => {
    const bytes = TEXT.map((text) => new TextEncoder().encode(text));
    const original = TEXT.map((text) => parseBundle(text));
    fc.assert(
      fc.property(fc.nat({ max: TEXT.length - 1 }), fc.nat(), fc.nat({ max: 7 }), (file, at, bit) => {
        const mutant = Uint8Array.from(bytes[file] ?? []);
        const index = at % mutant.length;
        mutant[index] = (mutant[index] ?? 0) ^ (1 << bit);
        expectErrorOrOther(() => parseBundle(mutant), original[file]);
      }),
      { seed: SAMPLE.seed, numRuns: TAKES_ALL ? 3000 : 600 },
    );
  });

  test("gives a SigstoreError when it is cut short anywhere", () => {
    for (const text of TEXT) {
      for (let end = 0; end < text.length; end += 97)
        expect(() => parseBundle(text.slice(0, end))).toThrow(SigstoreError);
      expect(() => parseBundle(text.slice(0, -1))).toThrow(SigstoreError);
    }
  });

  test("gives a SigstoreError or a bundle for any value in place of any other", () => {
    const paths = FILES.flatMap((name, file) => pathsOf(jsonFile(`bundle/${name}`)).map((path) => ({ file, path })));
    fc.assert(
      fc.property(fc.constantFrom(...paths), fc.jsonValue({ maxDepth: 2 }), ({ file, path }, value) => {
        const mutant = change(JSON.parse(TEXT[file] ?? "") as Json, path, value);
        try {
          expect(parseBundleObject(parseBundleSafe(mutant))).toHaveProperty("version");
        } catch (error) {
          expect(error).toBeInstanceOf(SigstoreError);
        }
      }),
      { seed: SAMPLE.seed, numRuns: TAKES_ALL ? 2000 : 400 },
    );
  });
});

describe("parseBundles (client specification §5, JSON Lines)", () => {
  const line = JSON.stringify(MESSAGE);
  const other = JSON.stringify(DSSE);
  const both = [parse(MESSAGE), parse(DSSE)];

  test.for([
    ["with a final newline", `${line}\n${other}\n`],
    ["without one", `${line}\n${other}`],
    ["with Windows line ends", `${line}\r\n${other}\r\n`],
    ["with empty lines", `\n${line}\n\n\r\n${other}\n\n`],
  ] as const)("reads a file %s", ([, text]) => {
    expect(parseBundles(text)).toEqual(both);
    expect(parseBundles(new TextEncoder().encode(text))).toEqual(both);
  });

  test.for([
    ["no line at all", ""],
    ["empty lines alone", "\n\r\n"],
    ["one bundle on several lines", JSON.stringify(MESSAGE, null, 2)],
    ["two bundles on one line", `${line}${other}`],
    ["a last line that is cut", `${line}\n${other.slice(0, -2)}`],
  ] as const)("rejects %s", ([, text]) => {
    expect(() => parseBundles(text)).toThrow(withCode("BUNDLE_MALFORMED"));
    expect(() => parseBundles(new TextEncoder().encode(text))).toThrow(withCode("BUNDLE_MALFORMED"));
  });

  test("rejects a file that is too large before it looks at it", () => {
    expect(() => parseBundles(new Uint8Array(128 * 1024 * 1024 + 1).fill(0x0a))).toThrow(withCode("LIMIT_EXCEEDED"));
  });

  test("rejects a file of 1025 bundles", () => {
    const small = serializeBundle(parse(jsonFile("bundle/v0.3-ed25519-empty-message-digest.sigstore.json")));
    expect(parseBundles(`${small}\n`.repeat(1024))).toHaveLength(1024);
    expect(() => parseBundles(`${small}\n`.repeat(1025))).toThrow(withCode("LIMIT_EXCEEDED"));
  });
});

const REAL = new URL("../../testdata/real/", import.meta.url);
describe("bundles made by cosign", () => {
  const files = readdirSync(REAL, { recursive: true, encoding: "utf8" }).filter((name) =>
    name.endsWith(".sigstore.json"),
  );
  test.for(files)("reads and writes %s", (name) => {
    const text = readFileSync(new URL(name, REAL), "utf8");
    const bundle = parseBundle(text);
    expect(parseBundle(serializeBundle(bundle))).toEqual(bundle);
    const emptyDigest = bundle.content.kind === "messageSignature" && bundle.content.messageDigest === undefined;
    if (!emptyDigest) expect(valuesOf(bundle)).toEqual(valuesOfOracle(JSON.parse(text)));
  });
});

/** Puts a bundle and what the oracle read into one shape. */
function valuesOf({
  mediaType,
  verificationMaterial: { content: signer, tlogEntries, rfc3161Timestamps },
  content,
}: Bundle) {
  return {
    mediaType,
    signer:
      signer.kind === "certificate"
        ? [base64(signer.certificate)]
        : signer.kind === "x509CertificateChain"
          ? signer.certificates.map(base64)
          : signer.hint,
    entries: tlogEntries.map(({ logIndex, logId, integratedTime, canonicalizedBody }) => [
      logIndex,
      base64(logId),
      integratedTime,
      base64(canonicalizedBody),
    ]),
    timestamps: rfc3161Timestamps.map(base64),
    content:
      content.kind === "messageSignature"
        ? [
            base64(content.signature),
            content.messageDigest?.algorithm,
            content.messageDigest && base64(content.messageDigest.digest),
          ]
        : [
            base64(content.envelope.payload),
            content.envelope.payloadType,
            content.envelope.signatures.map(({ sig, keyid }) => [base64(sig), keyid]),
          ],
  };
}

function valuesOfOracle(json: unknown) {
  const { mediaType, verificationMaterial, content } = bundleFromJSON(json);
  const signer = verificationMaterial.content;
  return {
    mediaType,
    signer:
      signer.$case === "certificate"
        ? [base64(signer.certificate.rawBytes)]
        : signer.$case === "x509CertificateChain"
          ? signer.x509CertificateChain.certificates.map(({ rawBytes }) => base64(rawBytes))
          : signer.publicKey.hint,
    entries: verificationMaterial.tlogEntries.map((entry) => [
      BigInt(entry.logIndex),
      base64(entry.logId?.keyId ?? new Uint8Array()),
      BigInt(entry.integratedTime),
      base64(entry.canonicalizedBody),
    ]),
    timestamps: (verificationMaterial.timestampVerificationData?.rfc3161Timestamps ?? []).map(({ signedTimestamp }) =>
      base64(signedTimestamp),
    ),
    content:
      content.$case === "messageSignature"
        ? [
            base64(content.messageSignature.signature),
            ["", "sha256", "sha384", "sha512"][content.messageSignature.messageDigest.algorithm],
            base64(content.messageSignature.messageDigest.digest),
          ]
        : [
            base64(content.dsseEnvelope.payload),
            content.dsseEnvelope.payloadType,
            content.dsseEnvelope.signatures.map(({ sig, keyid }) => [base64(sig), keyid]),
          ],
  };
}

/** Reads and writes a bundle with the oracle. It keeps an empty list of timestamps, which says as much as none. */
function rereadByOracle(text: string): Json {
  const json: Json = { ...bundleToJSON(bundleFromJSON(JSON.parse(text))) };
  const timestamps = pick(json, "verificationMaterial.timestampVerificationData") as Json | undefined;
  return timestamps !== undefined && Object.keys(timestamps).length === 0
    ? without(json, "verificationMaterial.timestampVerificationData")
    : json;
}

function expectErrorOrOther(parseMutant: () => Bundle, original: Bundle | undefined): void {
  let mutant: Bundle;
  try {
    mutant = parseMutant();
  } catch (error) {
    expect(error).toBeInstanceOf(SigstoreError);
    return;
  }
  expect(mutant).not.toEqual(original);
}

function sameJson(a: string, b: string): boolean {
  try {
    return JSON.stringify(JSON.parse(a)) === JSON.stringify(JSON.parse(b));
  } catch {
    return false;
  }
}

/** As a caller of parseBundleObject has it: out of JSON.parse. */
function parseBundleSafe(json: Json): JsonValue {
  return JSON.parse(JSON.stringify(json)) as JsonValue;
}

const bytes = (length?: number): fc.Arbitrary<Uint8Array> =>
  fc
    .uint8Array(length === undefined ? { minLength: 1, maxLength: 40 } : { minLength: length, maxLength: length })
    .map((array) => Uint8Array.from(array));
const int64 = fc.bigInt({ min: 0n, max: 2n ** 63n - 1n });
const text = fc.string({ minLength: 1 });

const proofs = fc.record({
  logIndex: int64,
  rootHash: bytes(32),
  treeSize: fc.bigInt({ min: 1n, max: 2n ** 63n - 1n }),
  hashes: fc.array(bytes(32), { maxLength: 64 }),
  checkpoint: fc.string(),
});
const entries = fc.record(
  {
    logIndex: int64,
    logId: fc.oneof(bytes(32), bytes(4)),
    kindVersion: fc.record({ kind: text, version: text }, { noNullPrototype: true }),
    integratedTime: fc.bigInt({ min: 0n, max: 253_402_300_799n }),
    inclusionPromise: bytes(),
    inclusionProof: proofs,
    canonicalizedBody: bytes(),
  },
  { requiredKeys: ["logIndex", "logId", "kindVersion", "integratedTime", "canonicalizedBody"], noNullPrototype: true },
);
const signers: fc.Arbitrary<Bundle["verificationMaterial"]["content"]> = fc.oneof(
  bytes().map((certificate) => ({ kind: "certificate", certificate, fromChain: false }) as const),
  fc
    .constantFrom(
      ...[LEAF, INTERMEDIATE].map(({ rawBytes }) => new Uint8Array(Buffer.from(rawBytes as string, "base64"))),
    )
    .map((certificate) => ({ kind: "x509CertificateChain", certificates: [certificate, certificate] }) as const),
  fc.string().map((hint) => ({ kind: "publicKey", hint }) as const),
);
const digests = fc
  .constantFrom(["sha256", 32] as const, ["sha384", 48] as const, ["sha512", 64] as const)
  .chain(([algorithm, length]) => bytes(length).map((digest) => ({ algorithm, digest })));
const contents: fc.Arbitrary<Bundle["content"]> = fc.oneof(
  bytes().map((signature) => ({ kind: "messageSignature", signature }) as const),
  fc
    .tuple(bytes(), digests)
    .map(([signature, messageDigest]) => ({ kind: "messageSignature", messageDigest, signature }) as const),
  fc
    .tuple(bytes(), text, bytes())
    .map(
      ([payload, payloadType, sig]) =>
        ({ kind: "dsseEnvelope", envelope: { payload, payloadType, signatures: [{ sig, keyid: "" }] } }) as const,
    ),
);
const bundles: fc.Arbitrary<Bundle> = fc
  .record({
    media: fc.constantFrom(...BUNDLE_MEDIA_TYPES),
    content: signers,
    tlogEntries: fc.uniqueArray(entries as fc.Arbitrary<Bundle["verificationMaterial"]["tlogEntries"][number]>, {
      maxLength: 3,
      selector: (entry) => base64(entry.logId),
    }),
    rfc3161Timestamps: fc.array(bytes(), { maxLength: 3 }),
    signed: contents,
  })
  .map(({ media: [mediaType, version], content, tlogEntries, rfc3161Timestamps, signed }) => ({
    mediaType,
    version,
    verificationMaterial: { content, tlogEntries, rfc3161Timestamps },
    content: signed,
  }));
