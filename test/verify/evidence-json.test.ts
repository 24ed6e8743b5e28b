import { Ajv2020 } from "ajv/dist/2020.js";
import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { FormatError, VerificationError, type SigstoreError } from "../../src/errors.ts";
import { parseBundleCandidates } from "../../src/bundle/bundle-candidates.ts";
import { attestationsRefusalToJson, attestationsToJson } from "../../src/report/attestations-json.ts";
import { evidenceToJson, refusalToJson } from "../../src/report/json.ts";
import type { VerifiedBundle } from "../../src/verify/evidence.ts";
import { verifyAttestations } from "../../src/verify/verify-attestations.ts";
import { Verifier } from "../../src/verify/verifier.ts";
import { pick, type Json } from "../support/json-edits.ts";
import { makeAuthority, name } from "../support/certificates.ts";
import { refusal } from "../support/outcome.ts";
import { runInProcess } from "../support/program.ts";
import {
  REAL_CASES,
  REAL_ROOTS,
  realBytes,
  realCase,
  realOptions,
  realPath,
  realPolicy,
  type RealCase,
} from "../support/real.ts";
import { makeTimestampAuthority, NOW } from "../support/sandbox/authorities.ts";
import { makeWitness } from "../support/sandbox/rekor.ts";
import {
  ALICE_SIGNED,
  ARTIFACT,
  bundleFrom,
  makeSandbox,
  PREDICATE_TYPE,
  rootOf,
  statementAbout,
  verifyIn,
  type BundleOptions,
  type Demand,
} from "../support/sandbox/sandbox.ts";
import { parseWitnessKey } from "../../src/tlog/cosignature.ts";
import { defaultCryptoProvider } from "../../src/crypto/provider.ts";

const schema = JSON.parse(readFileSync(new URL("../../schema/result.schema.json", import.meta.url), "utf8")) as object;
const validate = new Ajv2020({ allErrors: true, strict: true, strictRequired: false, strictTypes: false }).compile(
  schema,
);

function expectValid(value: unknown): void {
  const written: unknown = JSON.parse(JSON.stringify(value));
  validate(written);
  expect(validate.errors).toBeNull();
}

async function evidenceOf(one: RealCase): Promise<VerifiedBundle> {
  const verifier = await Verifier.create(REAL_ROOTS[one.root], realOptions(one));
  return await verifier.verify(realBytes(one.bundle), realBytes(one.artifact), realPolicy(one));
}

const sandbox = makeSandbox();
const inSandbox = (options: BundleOptions, demand?: Demand): Promise<VerifiedBundle> =>
  verifyIn(sandbox, bundleFrom(sandbox, options), demand);

describe("evidenceToJson (schema/result.schema.json)", () => {
  test.each(REAL_CASES.map((one) => [one.name, one] as const))("%s", async (_, one) => {
    expectValid(evidenceToJson(await evidenceOf(one)));
  });

  test("with everything that evidence may hold", async () => {
    const witness = makeWitness("witness.example/one");
    const stranger = makeTimestampAuthority("stranger");
    const sub = makeAuthority({ issuer: sandbox.ca.intermediate, subject: name({ O: "Example", CN: "sub" }) });
    const json = evidenceToJson(
      await inSandbox(
        {
          entries: [{ log: sandbox.rekor1 }, { log: sandbox.rekor2, witnesses: [witness] }],
          timestamps: [{}, { authority: stranger }],
          chain: [sub.der],
        },
        {
          policy: { identity: "unsafe-any" },
          options: {
            witnesses: [await parseWitnessKey(witness.vkey, defaultCryptoProvider())],
            allowCertificateChain: true,
          },
        },
      ),
    );
    expectValid(json);
    expect(json).toMatchObject({
      version: 1,
      verdict: "verified",
      unproven: [{ what: "identity" }, { what: "issuer" }],
      setAside: [{ what: "rfc3161-timestamp" }],
      logEntries: [
        { logIndex: "4163434" },
        { inclusionProof: { cosignatures: [{ witness: "witness.example/one", time: NOW.toISOString() }] } },
      ],
    });
  });

  test.each<[string, BundleOptions, Demand]>([
    ["without a subject", { statement: statementAbout(ARTIFACT) }, { artifact: "unsafe-any" }],
    [
      "with a subject without a name",
      { statement: { ...statementAbout(), subject: [{ digest: pick(statementAbout(ARTIFACT), "subject.0.digest") }] } },
      {},
    ],
    ["without a promise", { entries: [{ log: sandbox.rekor1, promise: false }] }, {}],
    ["with a promise alone", { version: "0.1", entries: [{ log: sandbox.rekor1, proof: false }] }, {}],
    [
      "of a certificate without an issuer",
      { signer: { request: { issuer: null } } },
      { policy: { identity: "unsafe-any" } },
    ],
  ])("%s", async (_, options, demand) => {
    expectValid(evidenceToJson(await inSandbox(options, demand)));
  });

  test.each([
    { kind: "caller" },
    { kind: "file", path: "trusted_root.json" },
    { kind: "embedded", instance: "production", publishedAt: NOW, expired: false },
    { kind: "tuf", mirror: "https://tuf.test", refreshedAt: NOW, fromCache: true, expires: NOW, expired: true },
  ] as const)("with trust from $kind", async (trustSource) => {
    const json = evidenceToJson(await inSandbox({}, { options: { trustSource } }));
    expectValid(json);
    expect(json["trust"]).toEqual(JSON.parse(JSON.stringify(trustSource)));
  });

  test("holds the values, by name and form", async () => {
    const one = realCase("a/attestation-v1-github");
    const { signer } = one;
    if (signer.kind !== "certificate") throw new Error("no certificate");
    const { certificateIssuer: _, subjectAlternativeName: __, ...extensions } = signer.extensions;
    expect(evidenceToJson(await evidenceOf(one))).toMatchObject({
      signer: {
        kind: "certificate",
        identity: {
          subjectAlternativeName: { kind: "uri", value: signer.identity },
          issuer: signer.issuer,
          extensions,
        },
        certificateAuthority: { uri: "http://127.0.0.1:4401" },
      },
      content: {
        kind: "statement",
        predicateType: one.predicateType,
        subject: {
          name: "hello.txt",
          digest: "sha256:5891b5b522d5df086d0ff0b110fbd9d21bb4fc7163af34d08286a2e846f6be03",
        },
        statement: { _type: "https://in-toto.io/Statement/v0.1", predicateType: one.predicateType },
      },
      signatureAlgorithm: "ecdsa-sha2-256-nistp256",
      logEntries: [{ logIndex: "5", inclusionPromise: true, inclusionProof: { logIndex: "5", treeSize: "6" } }],
      unproven: [],
      setAside: [],
      trust: { kind: "caller" },
    });
  });

  test("is what the program prints with --output json, on one line", async () => {
    const one = realCase("a/blob-v1-key-p256");
    const key = realPath("keys/p256.pub");
    const root = realPath("a/trusted_root.json");
    const flags = ["--bundle", realPath(one.bundle), "--key", key, "--trusted-root", root];
    const { status, stdout } = await runInProcess([
      "verify-blob",
      "--output",
      "json",
      ...flags,
      realPath(one.artifact),
    ]);
    expect(status).toBe(0);
    expect(stdout.trimEnd().split("\n")).toHaveLength(1);
    expectValid(JSON.parse(stdout));
    const evidence = evidenceToJson(await evidenceOf(one));
    const expected = {
      ...evidence,
      trust: { kind: "file", path: root },
      signer: { ...pick(evidence, "signer"), name: key },
    };
    expect(JSON.parse(stdout)).toEqual(JSON.parse(JSON.stringify(expected)));

    const refused = await runInProcess(["verify-blob", "--output", "json", ...flags, realPath("artifacts/world.txt")]);
    expect(refused.status).toBe(1);
    expectValid(JSON.parse(refused.stdout));
    expect(JSON.parse(refused.stdout)).toMatchObject({
      verdict: "refused",
      error: { kind: "VerificationError", code: "ARTIFACT_DIGEST_MISMATCH" },
    });
  });
});

describe("refusalToJson (schema/result.schema.json)", () => {
  test.each<[string, BundleOptions, Demand]>([
    ["of a verification", { timestamps: [{ data: ARTIFACT }] }, {}],
    ["of a policy", {}, { policy: { identity: { subjectAlternativeName: "bob@example.com", issuer: "x" } } }],
    ["of usage, before anything was looked at", {}, { policy: {} as never }],
    ["of an artifact that is missing", {}, { artifact: "unsafe-any" }],
    ["of a statement that cannot be read", { statement: "x" }, {}],
  ])("%s", async (_, options, demand) => {
    const error = await refusal(inSandbox(options, demand));
    const json = refusalToJson(error);
    expectValid(json);
    expect(json).toMatchObject({
      verdict: "refused",
      error: { kind: error.name, code: error.code, message: error.message },
    });
    expect(json["checks"]).toHaveLength(error.report?.length ?? 0);
  });

  test("of several attestations, and their evidence where one is good", async () => {
    const good = bundleFrom(sandbox, { statement: statementAbout(ARTIFACT) }).text;
    const verifier = await Verifier.create(rootOf(sandbox));
    const ask = (lines: readonly string[]): Promise<unknown> =>
      verifyAttestations(
        parseBundleCandidates(new TextEncoder().encode(lines.join("\n"))),
        ARTIFACT,
        { ...ALICE_SIGNED, predicateType: PREDICATE_TYPE },
        verifier,
      ).then(attestationsToJson, attestationsRefusalToJson);
    for (const lines of [
      ["{}", good],
      ["{}", bundleFrom(sandbox).text],
    ]) {
      const json = await ask(lines);
      expectValid(json);
      expect(pick(json as Json, "attestations")).toHaveLength(2);
    }
  });

  test("of every class of error", () => {
    const errors: readonly SigstoreError[] = [
      new FormatError("BUNDLE_MALFORMED", "no bundle"),
      new VerificationError("SIGNATURE_INVALID", "wrong", { expected: "a", found: "b", remedy: "c" }),
    ];
    for (const error of errors) expectValid(refusalToJson(error));
  });
});

describe("schema/result.schema.json", () => {
  test("refuses what is neither", async () => {
    const json = evidenceToJson(await inSandbox({})) as Json;
    for (const wrong of [
      {},
      { ...json, verdict: "refused" },
      { ...json, version: 2 },
      { ...json, more: 1 },
      { ...json, signer: {} },
    ]) {
      expect(validate(JSON.parse(JSON.stringify(wrong)))).toBe(false);
    }
  });
});
