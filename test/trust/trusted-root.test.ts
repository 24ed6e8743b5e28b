import { generateKeyPairSync } from "node:crypto";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { TrustedRoot as ProtoTrustedRoot } from "@sigstore/protobuf-specs";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { JsonValue } from "../../src/encoding/json.ts";
import { SigstoreError } from "../../src/errors.ts";
import {
  operatorOf,
  parseTrustedRoot,
  parseTrustedRootObject,
  serializeTrustedRoot,
  TRUSTED_ROOT_MEDIA_TYPES,
  type TrustedRoot,
} from "../../src/trust/trusted-root.ts";
import { base64, change, jsonFile, pathsOf, pick, textFile, without, type Json } from "../support/json-edits.ts";
import { sharedAvailable, sharedDir } from "../support/shared.ts";

const PRODUCTION = jsonFile("trusted-root/production.trusted_root.json");
const STAGING = jsonFile("trusted-root/staging.trusted_root.json");
const parse = (json: Json): TrustedRoot => parseTrustedRoot(JSON.stringify(json));
const LISTS = ["tlogs", "ctlogs", "certificateAuthorities", "timestampAuthorities"] as const;

describe("parseTrustedRoot (sigstore_trustroot.proto TrustedRoot)", () => {
  test.for(["production", "staging"])("reads every value of the %s root that protobuf-specs reads", (name) => {
    const text = textFile(`trusted-root/${name}.trusted_root.json`);
    const root = parseTrustedRoot(text);
    expect(valuesOf(root)).toEqual(valuesOfOracle(JSON.parse(text)));
    expect(root.unusable).toEqual([]);
    expect(root.ignoredFields).toEqual([]);
  });

  test("reads bytes and text alike", () => {
    expect(parseTrustedRoot(new TextEncoder().encode(JSON.stringify(PRODUCTION)))).toEqual(parse(PRODUCTION));
  });

  test("reads an RSA key in PKCS #1, as the staging root has one", () => {
    const log = parse(STAGING).ctlogs.find(({ keyDetails }) => keyDetails === "PKCS1_RSA_PKCS1V5");
    expect(log?.publicKey).toMatchObject({ type: "rsa" });
    expect(log?.algorithm.scheme).toBe("rsa-pkcs1");
  });

  test.for(TRUSTED_ROOT_MEDIA_TYPES)("reads media type %s", (mediaType) => {
    expect(parse({ ...PRODUCTION, mediaType })).toEqual({ ...parse(PRODUCTION), mediaType });
  });

  test.for<[string, string]>([
    ["HTML", "<!doctype html><html></html>"],
    ["nothing", ""],
    ["an empty object", "{}"],
    ["a list", "[]"],
    ["null", "null"],
    ["no media type", JSON.stringify(without(PRODUCTION, "mediaType"))],
    [
      "a media type of a newer version",
      JSON.stringify({ ...PRODUCTION, mediaType: "application/vnd.dev.sigstore.trustedroot.v0.3+json" }),
    ],
    ["the media type of a bundle", textFile("bundle/v0.3-public-key.sigstore.json")],
    ["the media type of a signing config", textFile("signing-config/production.signing_config.v0.2.json")],
    [
      "a media type with something after it",
      JSON.stringify({ ...PRODUCTION, mediaType: `${TRUSTED_ROOT_MEDIA_TYPES[0]}0` }),
    ],
    ["a media type that is no string", JSON.stringify({ ...PRODUCTION, mediaType: 1 })],
    ["logs that are an object", JSON.stringify({ ...PRODUCTION, tlogs: {} })],
    ["authorities that are text", JSON.stringify({ ...PRODUCTION, certificateAuthorities: "x" })],
    ["JSON that ends early", JSON.stringify(PRODUCTION).slice(0, -1)],
  ])("rejects a file that is or has %s", ([, text]) => {
    expect(() => parseTrustedRoot(text)).toThrow(expect.objectContaining({ code: "TRUSTED_ROOT_MALFORMED" }));
  });

  test("rejects a field that occurs twice", () => {
    const text = JSON.stringify(PRODUCTION).replace('"ctlogs":', '"ctlogs":[],"ctlogs":');
    expect(() => parseTrustedRoot(text)).toThrow(expect.objectContaining({ code: "JSON_DUPLICATE_KEY" }));
  });

  test("rejects more entries of a kind than anyone needs", () => {
    const [log] = PRODUCTION["tlogs"] as [Json];
    expect(() => parse({ ...PRODUCTION, tlogs: Array(257).fill(log) })).toThrow(
      expect.objectContaining({ code: "LIMIT_EXCEEDED" }),
    );
    expect(parse({ ...PRODUCTION, tlogs: Array(256).fill(log) }).tlogs).toHaveLength(256);
  });

  test("rejects a file that is too large", () => {
    const padding = " ".repeat(4 * 1024 * 1024 - JSON.stringify(PRODUCTION).length);
    expect(() => parseTrustedRoot(JSON.stringify(PRODUCTION) + padding)).not.toThrow();
    expect(() => parseTrustedRoot(`${JSON.stringify(PRODUCTION)}${padding} `)).toThrow(
      expect.objectContaining({ code: "LIMIT_EXCEEDED" }),
    );
  });

  test("reads lists that are absent or null as empty", () => {
    const root = parse({ mediaType: PRODUCTION["mediaType"], tlogs: null });
    for (const list of LISTS) expect(root[list]).toEqual([]);
  });

  test("accepts a period in the future, and entries of overlapping periods", () => {
    const [log] = PRODUCTION["tlogs"] as [Json];
    const future = change(log, "publicKey.validFor", { start: "2999-01-01T00:00:00Z" });
    expect(parse({ ...PRODUCTION, tlogs: [log, log, future] })).toMatchObject({ tlogs: { length: 3 }, unusable: [] });
  });

  test("ignores fields that it does not know, and names them", () => {
    let json = change(PRODUCTION, "future", {});
    for (const path of [
      "tlogs.0.future",
      "tlogs.0.publicKey.future",
      "tlogs.0.publicKey.validFor.future",
      "tlogs.0.logId.future",
      "certificateAuthorities.1.future",
      "certificateAuthorities.1.subject.future",
      "certificateAuthorities.1.certChain.future",
      "certificateAuthorities.1.certChain.certificates.0.future",
      "certificateAuthorities.1.validFor.future",
    ])
      json = change(json, path, 1);
    const root = parse(json);
    expect([...root.ignoredFields].sort()).toEqual([
      "certificateAuthorities[1].certChain.certificates[0].future",
      "certificateAuthorities[1].certChain.future",
      "certificateAuthorities[1].future",
      "certificateAuthorities[1].subject.future",
      "certificateAuthorities[1].validFor.future",
      "future",
      "tlogs[0].future",
      "tlogs[0].logId.future",
      "tlogs[0].publicKey.future",
      "tlogs[0].publicKey.validFor.future",
    ]);
    expect({ ...root, ignoredFields: [] }).toEqual(parse(PRODUCTION));
  });

  test("names at most 256 of them", () => {
    const many = Object.fromEntries(Array.from({ length: 300 }, (_, index) => [`future${index}`, 1]));
    expect(parse({ ...PRODUCTION, ...many }).ignoredFields).toHaveLength(256);
  });

  test.for<[string, Json, string]>([
    [
      "a log with unknown keyDetails",
      change(PRODUCTION, "tlogs.0.publicKey.keyDetails", "PKIX_FALCON_512"),
      "tlogs[0]",
    ],
    [
      "a log with unspecified keyDetails",
      change(PRODUCTION, "tlogs.0.publicKey.keyDetails", "PUBLIC_KEY_DETAILS_UNSPECIFIED"),
      "tlogs[0]",
    ],
    ["a log with keyDetails by number", change(PRODUCTION, "tlogs.0.publicKey.keyDetails", 5), "tlogs[0]"],
    ["a log without keyDetails", without(PRODUCTION, "tlogs.0.publicKey.keyDetails"), "tlogs[0]"],
    [
      "a log with keyDetails of another curve",
      change(PRODUCTION, "tlogs.0.publicKey.keyDetails", "PKIX_ECDSA_P384_SHA_384"),
      "tlogs[0]",
    ],
    [
      "a log with keyDetails of another algorithm",
      change(PRODUCTION, "tlogs.0.publicKey.keyDetails", "PKIX_ED25519"),
      "tlogs[0]",
    ],
    [
      "a log with keyDetails of RSA in PKCS #1",
      change(PRODUCTION, "tlogs.0.publicKey.keyDetails", "PKCS1_RSA_PKCS1V5"),
      "tlogs[0]",
    ],
    ["a log with a key that is none", change(PRODUCTION, "tlogs.0.publicKey.rawBytes", "AAAA"), "tlogs[0]"],
    [
      "a log with a key of more than 64 kilobytes",
      change(PRODUCTION, "tlogs.0.publicKey.rawBytes", base64(new Uint8Array(64 * 1024 + 1))),
      "tlogs[0]",
    ],
    ["a log with an empty key", change(PRODUCTION, "tlogs.0.publicKey.rawBytes", ""), "tlogs[0]"],
    ["a log with a key in bad base64", change(PRODUCTION, "tlogs.0.publicKey.rawBytes", "A"), "tlogs[0]"],
    ["a log without key bytes", without(PRODUCTION, "tlogs.0.publicKey.rawBytes"), "tlogs[0]"],
    ["a log without key", without(PRODUCTION, "tlogs.0.publicKey"), "tlogs[0]"],
    ["a log without period", without(PRODUCTION, "tlogs.0.publicKey.validFor"), "tlogs[0]"],
    ["a log without start", change(PRODUCTION, "tlogs.0.publicKey.validFor", {}), "tlogs[0]"],
    ["a log whose start is null", change(PRODUCTION, "tlogs.0.publicKey.validFor.start", null), "tlogs[0]"],
    [
      "a log that ends before it starts",
      change(PRODUCTION, "tlogs.0.publicKey.validFor.end", "2001-01-01T00:00:00Z"),
      "tlogs[0]",
    ],
    ["a log with an unknown hash algorithm", change(PRODUCTION, "tlogs.0.hashAlgorithm", "BLAKE3"), "tlogs[0]"],
    [
      "a log with a hash algorithm that its trees do not use",
      change(PRODUCTION, "tlogs.0.hashAlgorithm", "SHA2_512"),
      "tlogs[0]",
    ],
    [
      "a log with an unspecified hash algorithm",
      change(PRODUCTION, "tlogs.0.hashAlgorithm", "HASH_ALGORITHM_UNSPECIFIED"),
      "tlogs[0]",
    ],
    ["a log without hash algorithm", without(PRODUCTION, "tlogs.0.hashAlgorithm"), "tlogs[0]"],
    ["a log without any id", without(PRODUCTION, "tlogs.0.logId"), "tlogs[0]"],
    ["a log with an id of 5 bytes", change(PRODUCTION, "tlogs.0.logId.keyId", base64(new Uint8Array(5))), "tlogs[0]"],
    ["a log with an empty id", change(PRODUCTION, "tlogs.0.logId.keyId", ""), "tlogs[0]"],
    ["a log with a URL that is no string", change(PRODUCTION, "tlogs.0.baseUrl", 1), "tlogs[0]"],
    ["null as a log", change(PRODUCTION, "tlogs.0", null), "tlogs[0]"],
    ["a CT log with a bad key", change(PRODUCTION, "ctlogs.1.publicKey.rawBytes", "AAAA"), "ctlogs[1]"],
    ["a CA without chain", without(PRODUCTION, "certificateAuthorities.1.certChain"), "certificateAuthorities[1]"],
    [
      "a CA with an empty chain",
      change(PRODUCTION, "certificateAuthorities.1.certChain.certificates", []),
      "certificateAuthorities[1]",
    ],
    [
      "a CA with a certificate that is none",
      change(PRODUCTION, "certificateAuthorities.1.certChain.certificates.0.rawBytes", "MAA="),
      "certificateAuthorities[1]",
    ],
    [
      "a CA with an empty certificate",
      change(PRODUCTION, "certificateAuthorities.1.certChain.certificates.0.rawBytes", ""),
      "certificateAuthorities[1]",
    ],
    [
      "a CA with a certificate of more than 64 kilobytes",
      change(
        PRODUCTION,
        "certificateAuthorities.1.certChain.certificates.0.rawBytes",
        base64(new Uint8Array(64 * 1024 + 1)),
      ),
      "certificateAuthorities[1]",
    ],
    [
      "a CA with null as certificate",
      change(PRODUCTION, "certificateAuthorities.1.certChain.certificates.0", null),
      "certificateAuthorities[1]",
    ],
    [
      "a CA with too many certificates",
      change(
        PRODUCTION,
        "certificateAuthorities.1.certChain.certificates",
        Array(17).fill(pick(PRODUCTION, "certificateAuthorities.1.certChain.certificates.0")),
      ),
      "certificateAuthorities[1]",
    ],
    ["a CA without period", without(PRODUCTION, "certificateAuthorities.1.validFor"), "certificateAuthorities[1]"],
    ["a CA without start", without(PRODUCTION, "certificateAuthorities.1.validFor.start"), "certificateAuthorities[1]"],
    [
      "a CA with a subject that is text",
      change(PRODUCTION, "certificateAuthorities.1.subject", "CN=x"),
      "certificateAuthorities[1]",
    ],
    ["a TSA without start", without(PRODUCTION, "timestampAuthorities.0.validFor.start"), "timestampAuthorities[0]"],
    [
      "a TSA with an empty chain",
      change(PRODUCTION, "timestampAuthorities.0.certChain.certificates", []),
      "timestampAuthorities[0]",
    ],
  ])("sets aside %s, and nothing else", ([, json, path]) => {
    const root = parse(json);
    expect(root.unusable).toEqual([{ path, reason: expect.stringMatching(/./) as string }]);
    const [, list, index] = /^(\w+)\[(\d+)\]$/.exec(path) ?? [];
    const expected = parse(PRODUCTION);
    for (const name of LISTS) {
      expect(root[name]).toEqual(
        name === list ? expected[name].filter((_, at) => at !== Number(index)) : expected[name],
      );
    }
  });

  test.for([
    ["a P-384 key under PKIX_ECDSA_P384_SHA_384", "PKIX_ECDSA_P384_SHA_384", spki("P-384")],
    ["a P-521 key under PKIX_ECDSA_P521_SHA_512", "PKIX_ECDSA_P521_SHA_512", spki("P-521")],
    ["a P-384 key under the deprecated PKIX_ECDSA_P384_SHA_256", "PKIX_ECDSA_P384_SHA_256", spki("P-384")],
    ["an RSA key under PKIX_RSA_PKCS1V15_2048_SHA256", "PKIX_RSA_PKCS1V15_2048_SHA256", rsa("spki")],
    ["an RSA key under PKIX_RSA_PSS_2048_SHA256", "PKIX_RSA_PSS_2048_SHA256", rsa("spki")],
    ["an RSA key under the deprecated PKIX_RSA_PKCS1V5", "PKIX_RSA_PKCS1V5", rsa("spki")],
    ["an RSA key under the deprecated PKCS1_RSA_PSS", "PKCS1_RSA_PSS", rsa("pkcs1")],
  ] as const)("reads %s", ([, keyDetails, key]) => {
    const json = change(
      change(PRODUCTION, "tlogs.0.publicKey.keyDetails", keyDetails),
      "tlogs.0.publicKey.rawBytes",
      base64(key),
    );
    const root = parse(json);
    expect(root.unusable).toEqual([]);
    expect(root.tlogs[0]?.keyDetails).toBe(keyDetails);
    expect(parseTrustedRoot(serializeTrustedRoot(root))).toEqual(root);
  });

  test.for([
    ["of 2048 bits under keyDetails of 3072", "PKIX_RSA_PKCS1V15_3072_SHA256", rsa("spki")],
    ["in PKIX under PKCS #1 keyDetails", "PKCS1_RSA_PKCS1V5", rsa("spki")],
    ["in PKCS #1 under PKIX keyDetails", "PKIX_RSA_PKCS1V15_2048_SHA256", rsa("pkcs1")],
  ] as const)("sets aside an RSA key %s", ([, keyDetails, key]) => {
    const json = change(
      change(PRODUCTION, "tlogs.0.publicKey.keyDetails", keyDetails),
      "tlogs.0.publicKey.rawBytes",
      base64(key),
    );
    expect(parse(json).unusable).toMatchObject([{ path: "tlogs[0]" }]);
  });

  test("reads operator and checkpoint key id of v0.2", () => {
    let json = change(PRODUCTION, "mediaType", "application/vnd.dev.sigstore.trustedroot.v0.2+json");
    json = change(json, "tlogs.1.checkpointKeyId", { keyId: "AAECAw==" });
    json = change(json, "tlogs.1.operator", "log.example");
    json = change(json, "timestampAuthorities.0.operator", "tsa.example");
    const root = parse(json);
    expect(root.tlogs[1]).toMatchObject({ checkpointKeyId: new Uint8Array([0, 1, 2, 3]), operator: "log.example" });
    expect(root.timestampAuthorities[0]).toMatchObject({ operator: "tsa.example" });
    expect(root.tlogs[0]).not.toHaveProperty("operator");
    expect(parseTrustedRoot(serializeTrustedRoot(root))).toEqual(root);
  });

  test("knows a log by its checkpoint key id where it has no log id", () => {
    const json = change(without(PRODUCTION, "tlogs.1.logId"), "tlogs.1.checkpointKeyId", { keyId: "AAECAw==" });
    expect(parse(json)).toMatchObject({ unusable: [], tlogs: [{}, { logId: new Uint8Array([0, 1, 2, 3]) }] });
  });

  test("gives a SigstoreError or a root for any value in place of any other", () => {
    const paths = pathsOf(STAGING);
    fc.assert(
      fc.property(fc.constantFrom(...paths), fc.jsonValue({ maxDepth: 2 }), (path, value) => {
        try {
          const root = parse(change(STAGING, path, value));
          // Every entry is either used or set aside.
          for (const list of LISTS) {
            if (path === list || path === "mediaType") continue;
            const aside = root.unusable.filter((entry) => entry.path.startsWith(`${list}[`));
            expect(root[list].length + aside.length).toBe((STAGING[list] as unknown[]).length);
          }
        } catch (error) {
          expect(error).toBeInstanceOf(SigstoreError);
        }
      }),
      { numRuns: 500 },
    );
  });

  test("gives a SigstoreError or another value when one character changes", () => {
    const text = JSON.stringify(STAGING);
    const original = parseTrustedRoot(text);
    fc.assert(
      fc.property(fc.nat(text.length - 1), fc.constantFrom(...Array.from('{}[]",:=/+-_0A9')), (index, character) => {
        const mutant = text.slice(0, index) + character + text.slice(index + 1);
        if (mutant === text) return;
        try {
          expect(parseTrustedRoot(mutant)).not.toEqual(original);
        } catch (error) {
          if (!(error instanceof SigstoreError)) throw error;
        }
      }),
      { numRuns: 500 },
    );
  });
});

describe("operatorOf (sigstore_trustroot.proto operator)", () => {
  const root = parse(PRODUCTION);
  test("is the operator where there is one", () => {
    expect(operatorOf({ operator: "example", logId: new Uint8Array(32) })).toBe("example");
    expect(operatorOf({ operator: "example", uri: "https://tsa.example" })).toBe("example");
  });

  test("is otherwise the id of a log, and the URI of an authority", () => {
    expect(root.tlogs.map(operatorOf)).toEqual([
      // services of the public good instance, as its log API shows them
      "c0d23d6ad406973f9559f3ba2d1ca01f84147d8ffc5b8445c224f98b9591801d",
      Buffer.from(pick(PRODUCTION, "tlogs.1.logId")["keyId"] as string, "base64").toString("hex"),
    ]);
    expect(root.timestampAuthorities.map(operatorOf)).toEqual(["https://timestamp.sigstore.dev/api/v1/timestamp"]);
  });

  test("is not the empty operator of proto3", () => {
    expect(
      operatorOf(parse(change(PRODUCTION, "timestampAuthorities.0.operator", "")).timestampAuthorities[0]!),
    ).toMatch(/^https:/);
  });
});

describe("serializeTrustedRoot", () => {
  test.for([
    ["production", PRODUCTION],
    ["staging", STAGING],
  ] as const)("writes the %s root so that it reads the same", ([, json]) => {
    const root = parse(json);
    const text = serializeTrustedRoot(root);
    expect(parseTrustedRoot(text)).toEqual(root);
    expect(ProtoTrustedRoot.fromJSON(JSON.parse(text))).toEqual(ProtoTrustedRoot.fromJSON(json));
  });

  test("leaves out what was set aside", () => {
    const root = parse(change(PRODUCTION, "tlogs.0.hashAlgorithm", "BLAKE3"));
    expect(parseTrustedRoot(serializeTrustedRoot(root))).toEqual({ ...root, unusable: [] });
  });
});

describe("parseTrustedRootObject", () => {
  test("reads a root that is part of a larger document", () => {
    expect(parseTrustedRootObject(JSON.parse(JSON.stringify(PRODUCTION)) as JsonValue)).toEqual(parse(PRODUCTION));
  });
});

describe.skipIf(!sharedAvailable())("trusted roots of the conformance sample", () => {
  const cases = sharedAvailable() ? join(sharedDir, "conformance", "bundle-verify") : "";
  const files =
    cases === ""
      ? []
      : readdirSync(cases)
          .map((name) => join(cases, name, "trusted_root.json"))
          .filter((file) => existsSync(file));
  test.for(files.map((file) => [file.split("/").at(-2) ?? "", file] as const))(
    "reads the one of %s in whole",
    ([, file]) => {
      const text = readFileSync(file, "utf8");
      const root = parseTrustedRoot(text);
      expect(root.unusable).toEqual([]);
      expect(valuesOf(root)).toEqual(valuesOfOracle(JSON.parse(text)));
    },
  );
});

function spki(namedCurve: string): Uint8Array {
  return new Uint8Array(generateKeyPairSync("ec", { namedCurve }).publicKey.export({ type: "spki", format: "der" }));
}

function rsa(type: "spki" | "pkcs1"): Uint8Array {
  return new Uint8Array(generateKeyPairSync("rsa", { modulusLength: 2048 }).publicKey.export({ type, format: "der" }));
}

/** Puts a root and what the oracle read into one shape. */
function valuesOf(root: TrustedRoot) {
  const logs = (list: TrustedRoot["tlogs"]) =>
    list.map((log) => ({
      baseUrl: log.baseUrl,
      logId: base64(log.logId),
      key: base64(log.keyDetails.startsWith("PKCS1_") ? log.publicKey.keyBytes : log.publicKey.spki),
      start: log.validFor.start,
      end: log.validFor.end,
    }));
  const authorities = (list: TrustedRoot["certificateAuthorities"]) =>
    list.map((authority) => ({
      subject: { organization: authority.subject.organization ?? "", commonName: authority.subject.commonName ?? "" },
      uri: authority.uri,
      certificates: authority.certificates.map((certificate) => base64(certificate.bytes)),
      start: authority.validFor.start,
      end: authority.validFor.end,
    }));
  return {
    mediaType: root.mediaType,
    tlogs: logs(root.tlogs),
    ctlogs: logs(root.ctlogs),
    certificateAuthorities: authorities(root.certificateAuthorities),
    timestampAuthorities: authorities(root.timestampAuthorities),
  };
}

function valuesOfOracle(json: unknown) {
  const root = ProtoTrustedRoot.fromJSON(json);
  const logs = (list: typeof root.tlogs) =>
    list.map((log) => ({
      baseUrl: log.baseUrl,
      logId: log.logId?.keyId.toString("base64"),
      key: log.publicKey?.rawBytes?.toString("base64"),
      start: log.publicKey?.validFor?.start,
      end: log.publicKey?.validFor?.end,
    }));
  const authorities = (list: typeof root.certificateAuthorities) =>
    list.map((authority) => ({
      subject: authority.subject,
      uri: authority.uri,
      certificates: authority.certChain?.certificates.map(({ rawBytes }) => rawBytes.toString("base64")),
      start: authority.validFor?.start,
      end: authority.validFor?.end,
    }));
  return {
    mediaType: root.mediaType,
    tlogs: logs(root.tlogs),
    ctlogs: logs(root.ctlogs),
    certificateAuthorities: authorities(root.certificateAuthorities),
    timestampAuthorities: authorities(root.timestampAuthorities),
  };
}
