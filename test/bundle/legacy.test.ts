import { readFileSync } from "node:fs";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { parseBundle, serializeBundle } from "../../src/bundle/bundle.ts";
import {
  assembleBundle,
  isLegacyBundle,
  parseCertificateFile,
  parseLegacyBundle,
  parseSignatureFile,
  parseTimestampFile,
  requireSameSigner,
  serializeLegacyBundle,
  serializeTimestampFile,
  type ClaimedSigner,
  type SignatureParts,
} from "../../src/bundle/legacy.ts";
import { parsePublicKeyPem } from "../../src/crypto/public-key.ts";
import type { VerifyPolicy, VerifierOptions } from "../../src/verify/options.ts";
import type { VerifiedBundle } from "../../src/verify/evidence.ts";
import { verify } from "../../src/verify/verifier.ts";
import { parseCertificate } from "../../src/x509/certificate.ts";
import { damaged, DAMAGES } from "../support/damage.ts";
import { expectNoOtherError, SAMPLE } from "../support/hostile.ts";
import { change, without, type Json } from "../support/json-edits.ts";
import { legacyOf, legacyReal } from "../support/legacy.ts";
import { sha256, utf8 } from "../support/logs.ts";
import { failedChecks, outcomeOf, refusal } from "../support/outcome.ts";
import { REAL_ROOTS, realBytes, realCase, realPath, realPolicy } from "../support/real.ts";
import { timestamp } from "../support/sandbox/authorities.ts";
import { bundleFrom, makeSandbox, rootOf, statementAbout, ALICE_SIGNED, ARTIFACT } from "../support/sandbox/sandbox.ts";

const KEYLESS = "a/blob-v1-email";
const KEYED = "a/blob-v1-key-p256";
const ATTESTED = "a/attestation-v1-email";

const parts = (json: Json): SignatureParts => parseLegacyBundle(JSON.stringify(json));

interface Demand {
  readonly artifact?: Uint8Array;
  readonly policy?: VerifyPolicy;
  readonly options?: VerifierOptions;
  /** Beside what the bundle holds. */
  readonly more?: Partial<SignatureParts>;
}

/** Verifies an old bundle of what a real bundle holds, changed by the test. */
async function verifyLegacy(
  name: string,
  edit: (json: Json) => Json = (json) => json,
  { artifact, policy, options, more }: Demand = {},
): Promise<VerifiedBundle> {
  const one = realCase(name);
  const bundle = assembleBundle({ ...parts(edit(legacyReal(name).bundle)), ...more });
  return await verify(bundle, artifact ?? realBytes(one.artifact), {
    ...options,
    ...(policy ?? realPolicy(one)),
    trustedRoot: REAL_ROOTS[one.root],
  });
}

describe("parseLegacyBundle (cosign, LocalSignedPayload)", () => {
  test.for([KEYLESS, KEYED, ATTESTED])(
    "takes or refuses what of %s is damaged, with no other error than ours",
    (name) => {
      const bytes = utf8(JSON.stringify(legacyReal(name).bundle));
      fc.assert(
        fc.property(DAMAGES, (damages) => {
          expectNoOtherError(() => serializeBundle(assembleBundle(parseLegacyBundle(damaged(bytes, damages)))));
        }),
        SAMPLE,
      );
    },
  );

  test.for([KEYLESS, KEYED, ATTESTED])("reads what a Sigstore bundle of %s says", (name) => {
    const sigstore = parseBundle(realBytes(realCase(name).bundle));
    const legacy = assembleBundle(parts(legacyReal(name).bundle));
    const [entry] = sigstore.verificationMaterial.tlogEntries;
    const { inclusionProof, ...promised } = entry ?? {};
    expect(inclusionProof).toBeDefined();
    expect(legacy.verificationMaterial.tlogEntries).toEqual([promised]);
    expect(legacy.version).toBe("0.1");
    expect(legacy.content.kind).toBe(sigstore.content.kind);
    if (legacy.content.kind === "dsseEnvelope") expect(legacy.content).toEqual(sigstore.content);
    else expect(legacy.content.signature).toEqual((sigstore.content as typeof legacy.content).signature);
    if (sigstore.verificationMaterial.content.kind === "certificate")
      expect(legacy.verificationMaterial.content).toEqual(sigstore.verificationMaterial.content);
  });

  test("takes PEM that is not in base64, as cosign does", () => {
    const { bundle, certificatePem } = legacyReal(KEYLESS);
    expect(parts(change(bundle, "cert", certificatePem))).toEqual(parts(bundle));
  });

  test("names a key as the claim that it is", () => {
    const { signer } = parts(legacyReal(KEYED).bundle);
    const key = parsePublicKeyPem(readFileSync(realPath("keys/p256.pub"), "utf8"));
    expect(signer).toEqual({ kind: "public-key", publicKey: key });
  });

  test("makes a bundle that can be written and read", () => {
    const bundle = assembleBundle(parts(legacyReal(KEYLESS).bundle));
    expect(parseBundle(serializeBundle(bundle))).toEqual(bundle);
  });

  test("is chosen for what has a base64Signature", () => {
    expect([{ base64Signature: "AA==" }, { mediaType: "x" }, [], null, "base64Signature"].map(isLegacyBundle)).toEqual([
      true,
      false,
      false,
      false,
      false,
    ]);
  });

  const { bundle } = legacyReal(KEYLESS);
  const set = (path: string, value: unknown): string => JSON.stringify(change(bundle, path, value));
  test.for<readonly [string, string, string]>([
    ["is no JSON", "base64Signature", "BUNDLE_MALFORMED"],
    ["is an array", "[]", "BUNDLE_MALFORMED"],
    ["has no signature", JSON.stringify(without(bundle, "base64Signature")), "BUNDLE_MALFORMED"],
    ["has an empty signature", set("base64Signature", ""), "BUNDLE_MALFORMED"],
    ["has a signature that is not base64", set("base64Signature", "a signature"), "BUNDLE_MALFORMED"],
    ["has one field twice", '{"base64Signature":"AA==","base64Signature":"AQ=="}', "JSON_DUPLICATE_KEY"],
    ["has a field that is not known", set("mediaType", "application/json"), "BUNDLE_MALFORMED"],
    ["has a certificate that is text", set("cert", "alice"), "PEM_MALFORMED"],
    ["has a certificate that is base64 of text", set("cert", btoa("alice")), "PEM_MALFORMED"],
    [
      "has a broken certificate",
      set("cert", btoa(legacyReal(KEYLESS).certificatePem?.replace("MII", "MIX") ?? "")),
      "CERTIFICATE_MALFORMED",
    ],
    [
      "has a private key for a certificate",
      set("cert", "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"),
      "CERTIFICATE_MALFORMED",
    ],
    ["has a log entry that is text", set("rekorBundle", "entry"), "BUNDLE_MALFORMED"],
    ["has a log entry without a payload", JSON.stringify(without(bundle, "rekorBundle.Payload")), "BUNDLE_MALFORMED"],
    ["has a payload without a body", JSON.stringify(without(bundle, "rekorBundle.Payload.body")), "BUNDLE_MALFORMED"],
    ["has a body that is an object", set("rekorBundle.Payload.body", {}), "BUNDLE_MALFORMED"],
    ["has a body that is no JSON", set("rekorBundle.Payload.body", btoa("body")), "TLOG_ENTRY_MALFORMED"],
    ["has a body without a kind", set("rekorBundle.Payload.body", btoa("{}")), "TLOG_ENTRY_MALFORMED"],
    [
      "has a body with a field twice",
      set("rekorBundle.Payload.body", btoa('{"kind":"a","kind":"b"}')),
      "JSON_DUPLICATE_KEY",
    ],
    ["has a log id in base64", set("rekorBundle.Payload.logID", "AAAA"), "BUNDLE_MALFORMED"],
    ["has a negative log index", set("rekorBundle.Payload.logIndex", -1), "BUNDLE_MALFORMED"],
    [
      "has an integrated time that is not a number",
      set("rekorBundle.Payload.integratedTime", "now"),
      "BUNDLE_MALFORMED",
    ],
    ["has an integrated time after the year 9999", set("rekorBundle.Payload.integratedTime", 1e12), "BUNDLE_MALFORMED"],
    ["has a promise that is not base64", set("rekorBundle.SignedEntryTimestamp", "-"), "BUNDLE_MALFORMED"],
    ["is too large", " ".repeat(128 * 1024 * 1024 + 1), "LIMIT_EXCEEDED"],
  ])("refuses one that %s", ([, text, code]) => {
    expect(() => parseLegacyBundle(text)).toThrow(expect.objectContaining({ code }));
  });
});

describe("verify, of an old bundle", () => {
  test.for([KEYLESS, KEYED, ATTESTED])("accepts %s, and names that inclusion is only promised", async (name) => {
    const evidence = await verifyLegacy(name);
    expect(evidence.logEntries).toHaveLength(1);
    expect(evidence.logEntries[0]).toMatchObject({ inclusionPromise: true, inclusionProof: undefined });
    expect(evidence.timestamps.map(({ kind }) => kind)).toEqual(["integrated-time"]);
    expect(evidence.unproven.map(({ what }) => what)).toEqual(["tlog-inclusion-proof"]);
  });

  test("takes the digest for the artifact", async () => {
    const artifact = realBytes(realCase(KEYLESS).artifact);
    const digests = [{ algorithm: "sha256" as const, value: sha256(artifact) }] as const;
    const bundle = assembleBundle(parts(legacyReal(KEYLESS).bundle));
    const options = { ...realPolicy(realCase(KEYLESS)), trustedRoot: REAL_ROOTS.a };
    expect((await verify(bundle, { digests }, options)).content).toMatchObject({ kind: "artifact" });
    const other = [{ algorithm: "sha256" as const, value: sha256(realBytes("artifacts/world.txt")) }] as const;
    expect(await outcomeOf(verify(bundle, { digests: other }, options))).toBe("SIGNATURE_INVALID");
  });

  test("falls to a caller who asks for a proof, or for a newer version", async () => {
    const same = (json: Json): Json => json;
    expect(await outcomeOf(verifyLegacy(KEYLESS, same, { options: { requireInclusionProof: true } }))).toBe(
      "TLOG_INCLUSION_PROOF_MISSING",
    );
    expect(await outcomeOf(verifyLegacy(KEYLESS, same, { options: { minimumBundleVersion: "0.2" } }))).toBe(
      "BUNDLE_VERSION_NOT_ALLOWED",
    );
  });

  // Each is valid by itself, and of the same log and the same signer.
  const again = legacyReal("a/blob-v1-email-again").bundle;
  const take =
    (path: string, from: Json): ((json: Json) => Json) =>
    (json) =>
      change(
        json,
        path,
        path.split(".").reduce<unknown>((at, key) => (at as Json)[key], from),
      );
  test.for<readonly [string, (json: Json) => Json, readonly string[]]>([
    [
      "the log entry of another signature, promise included (CVE-2022-23649, CVE-2026-22703)",
      take("rekorBundle", again),
      ["tlog[0].body: TLOG_ENTRY_MISMATCH"],
    ],
    [
      "the promise of another entry",
      take("rekorBundle.SignedEntryTimestamp", again),
      ["tlog[0].inclusion-promise: TLOG_INCLUSION_PROMISE_INVALID"],
    ],
    [
      "the body of another entry",
      take("rekorBundle.Payload.body", again),
      ["tlog[0].inclusion-promise: TLOG_INCLUSION_PROMISE_INVALID"],
    ],
    [
      "another signature",
      take("base64Signature", again),
      ["signature: SIGNATURE_INVALID", "tlog[0].body: TLOG_ENTRY_MISMATCH"],
    ],
    [
      "another certificate (CVE-2022-36056)",
      take("cert", again),
      ["signature: SIGNATURE_INVALID", "tlog[0].body: TLOG_ENTRY_MISMATCH"],
    ],
    [
      "an integrated time that was not promised",
      (json) => change(json, "rekorBundle.Payload.integratedTime", 1_700_000_000),
      ["tlog[0].inclusion-promise: TLOG_INCLUSION_PROMISE_INVALID"],
    ],
    [
      "an index that was not promised",
      (json) => change(json, "rekorBundle.Payload.logIndex", 1),
      ["tlog[0].inclusion-promise: TLOG_INCLUSION_PROMISE_INVALID"],
    ],
    [
      "no promise",
      (json) => change(json, "rekorBundle.SignedEntryTimestamp", ""),
      ["tlog[0].inclusion-proof: TLOG_INCLUSION_PROMISE_MISSING"],
    ],
    [
      "the key of the certificate for the certificate",
      (json) => change(json, "cert", btoa(readFileSync(realPath("keys/p256.pub"), "utf8"))),
      ["signer.kind: SIGNER_KIND_MISMATCH"],
    ],
  ])("refuses %s", async ([, edit, failures]) => {
    const error = await refusal(verifyLegacy(KEYLESS, edit));
    expect(failedChecks(error)).toEqual(expect.arrayContaining([...failures]));
  });

  test("refuses the entry of another log entry kind for an envelope (CVE-2026-22703)", async () => {
    const { bundle } = legacyReal("a/attestation-v1-email-world");
    const error = await refusal(verifyLegacy(ATTESTED, take("rekorBundle", bundle)));
    expect(failedChecks(error)).toEqual(["tlog[0].body: TLOG_ENTRY_MISMATCH"]);
  });

  test("refuses another artifact, another identity and another issuer", async () => {
    const same = (json: Json): Json => json;
    const { signer } = realCase(KEYLESS);
    if (signer.kind !== "certificate") throw new Error("no certificate");
    const named = (subjectAlternativeName: string, issuer: string): Demand => ({
      policy: { identity: { subjectAlternativeName, issuer } },
    });
    expect(await outcomeOf(verifyLegacy(KEYLESS, same, { artifact: realBytes("artifacts/world.txt") }))).toBe(
      "SIGNATURE_INVALID",
    );
    expect(await outcomeOf(verifyLegacy(KEYLESS, same, named("mallory@example.com", signer.issuer)))).toBe(
      "IDENTITY_MISMATCH",
    );
    expect(await outcomeOf(verifyLegacy(KEYLESS, same, named(signer.identity, "https://issuer.example.com")))).toBe(
      "ISSUER_MISMATCH",
    );
  });

  test("refuses a bundle without a log entry, unless none is asked for", async () => {
    const bare = (json: Json): Json => without(json, "rekorBundle");
    expect(await outcomeOf(verifyLegacy(KEYED, bare))).toBe("TLOG_THRESHOLD_NOT_MET");
    expect(await outcomeOf(verifyLegacy(KEYED, bare, { options: { thresholds: { tlog: 0 } } }))).toBe("accepted");
  });

  test("never verifies with the key that the bundle holds (CVE-2022-36056)", async () => {
    const same = (json: Json): Json => json;
    const identity = { subjectAlternativeName: "alice@example.com", issuer: "https://issuer.example.com" };
    expect(await outcomeOf(verifyLegacy(KEYED, same, { policy: { identity } }))).toBe("SIGNER_KIND_MISMATCH");
    expect(await outcomeOf(verifyLegacy(KEYED, same, { policy: { identity: "unsafe-any" } }))).toBe(
      "SIGNER_KIND_MISMATCH",
    );
    const publicKey = parsePublicKeyPem(readFileSync(realPath("keys/p256-other.pub"), "utf8"));
    expect(await outcomeOf(verifyLegacy(KEYED, same, { policy: { keys: [{ publicKey }] } }))).toBe("SIGNATURE_INVALID");
    // A bundle without the key is as good as one with it.
    expect(await outcomeOf(verifyLegacy(KEYED, (json) => without(json, "cert")))).toBe("accepted");
  });

  test("asks for the predicate type, and for a payload that has one (CVE-2026-39395)", async () => {
    const same = (json: Json): Json => json;
    const policy = { ...realPolicy(realCase(ATTESTED)), predicateType: "https://slsa.dev/provenance/v1" };
    expect(await outcomeOf(verifyLegacy(ATTESTED, same, { policy }))).toBe("PREDICATE_TYPE_MISMATCH");
    const unparsable = (json: Json): Json => {
      const envelope = JSON.parse(Buffer.from(json["base64Signature"] as string, "base64").toString()) as Json;
      return change(json, "base64Signature", btoa(JSON.stringify({ ...envelope, payload: btoa("{") })));
    };
    const error = await refusal(verifyLegacy(ATTESTED, unparsable));
    expect(failedChecks(error)).toContain("statement.format: STATEMENT_MALFORMED");
  });

  test("refuses an envelope with two signatures, and text that is no envelope", () => {
    const legacy = parts(legacyReal(ATTESTED).bundle);
    const envelope = JSON.parse(Buffer.from(legacy.signature).toString()) as { signatures: unknown[] };
    const written = (value: unknown): SignatureParts => ({ ...legacy, signature: Buffer.from(JSON.stringify(value)) });
    const twice = { ...envelope, signatures: [...envelope.signatures, ...envelope.signatures] };
    expect(() => assembleBundle(written(twice))).toThrow(expect.objectContaining({ code: "BUNDLE_MALFORMED" }));
    expect(() => assembleBundle(written({}))).toThrow(expect.objectContaining({ code: "ENVELOPE_MALFORMED" }));
  });
});

describe("assembleBundle, with a timestamp", () => {
  const sandbox = makeSandbox();
  const statement = statementAbout(ARTIFACT);
  const attested = bundleFrom(sandbox, { statement, timestamps: [] });
  const signature = Buffer.from(JSON.stringify(attested.json["dsseEnvelope"]));
  const { bundle } = legacyOf(attested.json);
  const withTimestampOver = (data: Uint8Array, envelopeJson?: Uint8Array): Promise<VerifiedBundle> => {
    const assembled = assembleBundle({ ...parts(bundle), rfc3161Timestamps: [timestamp(sandbox.tsa, data)] });
    const { verificationMaterial } = assembled;
    const material = envelopeJson === undefined ? verificationMaterial : { ...verificationMaterial, envelopeJson };
    return verify({ ...assembled, verificationMaterial: material }, ARTIFACT, {
      ...ALICE_SIGNED,
      trustedRoot: rootOf(sandbox),
      thresholds: { timestamp: 1 },
    });
  };

  test("takes one over the signature, as cosign 3 makes, or over the envelope, as cosign 2 made", async () => {
    expect((await withTimestampOver(attested.signature)).timestamps.map(({ kind }) => kind)).toContain("rfc3161");
    expect((await withTimestampOver(signature)).timestamps.map(({ kind }) => kind)).toContain("rfc3161");
  });

  test("refuses one over something else, also where a caller says that this is the envelope", async () => {
    const other = Buffer.from(JSON.stringify({ payloadType: "x", payload: "", signatures: [{ sig: "AAAA" }] }));
    expect(await outcomeOf(withTimestampOver(other))).toBe("TIMESTAMP_IMPRINT_MISMATCH");
    expect(await outcomeOf(withTimestampOver(other, other))).toBe("TIMESTAMP_IMPRINT_MISMATCH");
  });

  test("cannot do without one where one is asked for, as cosign's old path can", async () => {
    const same = (json: Json): Json => json;
    expect(await outcomeOf(verifyLegacy(KEYLESS, same, { options: { thresholds: { timestamp: 1 } } }))).toBe(
      "TIMESTAMP_THRESHOLD_NOT_MET",
    );
    const { timestamp: file } = legacyReal(KEYLESS);
    const more = { rfc3161Timestamps: [parseTimestampFile(JSON.stringify(file))] };
    expect(await outcomeOf(verifyLegacy(KEYLESS, same, { options: { thresholds: { timestamp: 1 } }, more }))).toBe(
      "accepted",
    );
    const { timestamp: other } = legacyReal("a/blob-v1-email-again");
    const wrong = { rfc3161Timestamps: [parseTimestampFile(JSON.stringify(other))] };
    expect(await outcomeOf(verifyLegacy(KEYLESS, same, { more: wrong }))).toBe("TIMESTAMP_IMPRINT_MISMATCH");
  });
});

describe("serializeLegacyBundle (cosign, NewLegacyBundleFromProtoBundleComponents)", () => {
  test.for([KEYLESS, KEYED, ATTESTED])("writes what cosign makes of %s", (name) => {
    const bundle = parseBundle(realBytes(realCase(name).bundle));
    const { signer } = realCase(name);
    const pem = signer.kind === "certificate" ? undefined : readFileSync(realPath(signer.key), "utf8");
    const expected = legacyReal(name).bundle;
    const written = JSON.parse(serializeLegacyBundle(bundle, pem)) as Json;
    // PEM may be broken into lines in two ways; all else is the same to the letter.
    expect(without(written, "cert")).toEqual(without(expected, "cert"));
    expect(parseLegacyBundle(JSON.stringify(written))).toEqual(parts(expected));
  });

  test("cannot hold an entry without a promise", () => {
    const bundle = parseBundle(realBytes(realCase("a/blob-v2-email").bundle));
    expect(() => serializeLegacyBundle(bundle)).toThrow(expect.objectContaining({ code: "BUNDLE_MALFORMED" }));
  });

  test("serializeTimestampFile writes what parseTimestampFile reads", () => {
    const { timestamp: file } = legacyReal(KEYLESS);
    expect(JSON.parse(serializeTimestampFile(parseTimestampFile(JSON.stringify(file))))).toEqual(file);
  });
});

describe("files of their own", () => {
  const { certificatePem = "", signature } = legacyReal(KEYLESS);
  const der = new Uint8Array(Buffer.from(certificatePem.replaceAll(/-----.*-----|\n/g, ""), "base64"));

  test("parseCertificateFile reads PEM, base64 of PEM, with line breaks too, and DER", () => {
    const expected = [parseCertificate(der)];
    const lines = btoa(certificatePem).replaceAll(/(.{76})/g, "$1\n");
    for (const bytes of [
      Buffer.from(certificatePem),
      Buffer.from(btoa(certificatePem)),
      Buffer.from(`${lines}\n`),
      der,
    ])
      expect(parseCertificateFile(bytes)).toEqual(expected);
    expect(parseCertificateFile(Buffer.from(certificatePem.repeat(2)))).toHaveLength(2);
  });

  test.for<readonly [string, Uint8Array, string]>([
    ["nothing", new Uint8Array(0), "PEM_MALFORMED"],
    ["text", Buffer.from("alice"), "PEM_MALFORMED"],
    ["a public key", readFileSync(realPath("keys/p256.pub")), "CERTIFICATE_MALFORMED"],
    ["other DER", Buffer.concat([der.subarray(0, 100), Buffer.alloc(4, 0xff)]), "CERTIFICATE_MALFORMED"],
    ["too many certificates", Buffer.from(certificatePem.repeat(17)), "LIMIT_EXCEEDED"],
    ["too many bytes", Buffer.alloc(1024 * 1024 + 1), "LIMIT_EXCEEDED"],
  ])("parseCertificateFile refuses %s", ([, bytes, code]) => {
    expect(() => parseCertificateFile(bytes)).toThrow(expect.objectContaining({ code }));
  });

  test("parseSignatureFile reads base64, with a line break too, and bytes as they are", () => {
    const text = signature.toString("base64");
    for (const bytes of [Buffer.from(text), Buffer.from(`${text}\n`), signature])
      expect(Buffer.from(parseSignatureFile(bytes))).toEqual(signature);
    for (const text of ["\n", "no base64\n", "-----BEGIN CERTIFICATE-----"])
      expect(() => parseSignatureFile(Buffer.from(text))).toThrow(
        expect.objectContaining({ code: "BUNDLE_MALFORMED" }),
      );
    const envelope = Buffer.from(' {"payload":""}');
    expect(parseSignatureFile(envelope)).toEqual(envelope);
  });

  test.for<readonly [string, string]>([
    ["{}", "TIMESTAMP_MALFORMED"],
    ['{"SignedRFC3161Timestamp":""}', "TIMESTAMP_MALFORMED"],
    ['{"SignedRFC3161Timestamp":"-"}', "TIMESTAMP_MALFORMED"],
    ['{"SignedRFC3161Timestamp":"AAAA","more":1}', "TIMESTAMP_MALFORMED"],
    ['{"SignedRFC3161Timestamp":"AAAA","SignedRFC3161Timestamp":"AAAA"}', "JSON_DUPLICATE_KEY"],
    ["timestamp", "TIMESTAMP_MALFORMED"],
  ])("parseTimestampFile refuses %s", ([text, code]) => {
    expect(() => parseTimestampFile(text)).toThrow(expect.objectContaining({ code }));
  });
});

describe("requireSameSigner", () => {
  const certificate = (name: string): ClaimedSigner => parts(legacyReal(name).bundle).signer as ClaimedSigner;
  const key = (path: string): ClaimedSigner => ({
    kind: "public-key",
    publicKey: parsePublicKeyPem(readFileSync(realPath(path), "utf8")),
  });

  test("takes the same key, the same certificate, and nothing", () => {
    expect(() => requireSameSigner(undefined, key("keys/p256.pub"))).not.toThrow();
    expect(() => requireSameSigner(certificate(KEYED), key("keys/p256.pub"))).not.toThrow();
    expect(() => requireSameSigner(certificate(KEYLESS), certificate(KEYLESS))).not.toThrow();
  });

  test.for<readonly [string, ClaimedSigner, ClaimedSigner, string]>([
    ["another key", certificate(KEYED), key("keys/p256-other.pub"), "KEY_HINT_MISMATCH"],
    ["another certificate", certificate(KEYLESS), certificate("a/blob-v1-email-again"), "CERTIFICATE_MISMATCH"],
    ["a key for a certificate", certificate(KEYLESS), key("keys/p256.pub"), "SIGNER_KIND_MISMATCH"],
    ["a certificate for a key", certificate(KEYED), certificate(KEYLESS), "SIGNER_KIND_MISMATCH"],
  ])("refuses %s", ([, claimed, given, code]) => {
    expect(() => requireSameSigner(claimed, given)).toThrow(expect.objectContaining({ code }));
  });
});
