import { describe, expect, test } from "vitest";
import { parseCertificate } from "../../src/x509/certificate.ts";
import { parseDetachedSct } from "../../src/x509/sct.ts";
import { parsePublicKeyPem } from "../../src/crypto/public-key.ts";
import type { VerifyPolicy } from "../../src/verify/options.ts";
import { Verifier, verify } from "../../src/verify/verifier.ts";
import { change, pick, type Json } from "../support/json-edits.ts";
import { base64, unbase64 } from "../support/logs.ts";
import { failedChecks, outcomeOf, refusal } from "../support/outcome.ts";
import { REAL_CASES, REAL_ROOTS, realBundle, realBytes, realCase, realPolicy } from "../support/real.ts";
import { ALICE, detachedSct, ISSUER, issueCertificate } from "../support/sandbox/authorities.ts";
import { ARTIFACT, bundleFrom, makeSandbox, rootOf } from "../support/sandbox/sandbox.ts";

const verifier = await Verifier.create(REAL_ROOTS.a);

/** What goes into one verification. */
interface Question {
  readonly bundle: Json;
  readonly artifact: Uint8Array;
  readonly policy: VerifyPolicy;
}

function question(name: string): Question {
  const one = realCase(name);
  return { bundle: realBundle(name), artifact: realBytes(one.artifact), policy: realPolicy(one) };
}

const ask = ({ bundle, artifact, policy }: Question): ReturnType<Verifier["verify"]> =>
  verifier.verify(JSON.stringify(bundle), artifact, policy);

/** Puts a part of the donor in the place of the same part. */
type Exchange = (into: Question, donor: Question) => Question;

const ENTRY = "verificationMaterial.tlogEntries.0";
const at =
  (...paths: readonly string[]): Exchange =>
  (into, donor) => ({
    ...into,
    bundle: paths.reduce((bundle, path) => change(bundle, path, valueAt(donor.bundle, path)), into.bundle),
  });

function valueAt(json: Json, path: string): unknown {
  const value: unknown = pick(json, path);
  if (value === undefined) throw new Error(`nothing at ${path}`);
  return value;
}

const EXCHANGES = {
  artifact: (into, donor) => ({ ...into, artifact: donor.artifact }),
  digest: at("messageSignature.messageDigest"),
  payload: at("dsseEnvelope.payload"),
  "message signature": at("messageSignature.signature"),
  "envelope signature": at("dsseEnvelope.signatures.0.sig"),
  certificate: at("verificationMaterial.certificate"),
  "certificate's SCT": exchangeSct,
  key: (into, donor) => ({ ...into, policy: donor.policy }),
  "log entry": at(ENTRY),
  "entry body": at(`${ENTRY}.canonicalizedBody`),
  SET: at(`${ENTRY}.inclusionPromise`),
  "SET with its time and index": at(`${ENTRY}.inclusionPromise`, `${ENTRY}.integratedTime`, `${ENTRY}.logIndex`),
  "integrated time": at(`${ENTRY}.integratedTime`),
  "inclusion proof": at(`${ENTRY}.inclusionProof`),
  "proof hashes": at(`${ENTRY}.inclusionProof.hashes`),
  "proof index": at(`${ENTRY}.inclusionProof.logIndex`),
  checkpoint: at(`${ENTRY}.inclusionProof.checkpoint`),
  "checkpoint with root and size": at(
    `${ENTRY}.inclusionProof.checkpoint`,
    `${ENTRY}.inclusionProof.rootHash`,
    `${ENTRY}.inclusionProof.treeSize`,
  ),
  timestamp: at("verificationMaterial.timestampVerificationData"),
} as const satisfies Record<string, Exchange>;

type Part = keyof typeof EXCHANGES;

// ---- the certificate's SCT, which nothing but the certificate's own signature binds to the rest

const derOf = (bundle: Json): Uint8Array =>
  unbase64(pick(bundle, "verificationMaterial.certificate.rawBytes") as unknown as string);
const sctListOf = (der: Uint8Array): Uint8Array | undefined =>
  parseCertificate(der).extensions.all.get("1.3.6.1.4.1.11129.2.4.2")?.bytes;

function exchangeSct(into: Question): Question {
  const der = Uint8Array.from(derOf(into.bundle));
  const own = sctListOf(der);
  if (own === undefined) throw new Error("certificate has no SCT list");
  for (const { name, root, signer } of REAL_CASES) {
    if (root !== "a" || signer.kind !== "certificate") continue;
    const other = sctListOf(derOf(realBundle(name)));
    if (other?.length !== own.length || Buffer.compare(other, own) === 0) continue; // of the same length, so that no length changes
    der.set(other, own.byteOffset - der.byteOffset);
    return { ...into, bundle: change(into.bundle, "verificationMaterial.certificate.rawBytes", base64(der)) };
  }
  throw new Error("no other SCT list of the same length");
}

// ---- the matrix

// What each exchange must break, besides checks that build upon it. The first one is what the caller gets as code.
const WRONG_BODY = "tlog[0].body: TLOG_ENTRY_MISMATCH";
const WRONG_SIGNATURE = "signature: SIGNATURE_INVALID";
const WRONG_PROOF = "tlog[0].inclusion-proof: TLOG_INCLUSION_PROOF_INVALID";
const WRONG_PROMISE = "tlog[0].inclusion-promise: TLOG_INCLUSION_PROMISE_INVALID";
const WRONG_IMPRINT = "timestamp[0]: TIMESTAMP_IMPRINT_MISMATCH";
const WRONG_DIGEST = "artifact.digest: ARTIFACT_DIGEST_MISMATCH";
const WRONG_SUBJECT = "statement.subject: SUBJECT_MISMATCH";
const WRONG_PATH = "certificate.path: CERTIFICATE_SIGNATURE_INVALID";

const BREAKS: Readonly<Record<Part, readonly string[]>> = {
  artifact: [], // see below: it depends on the content
  digest: [WRONG_DIGEST],
  payload: [WRONG_SIGNATURE, WRONG_SUBJECT, WRONG_BODY],
  "message signature": [WRONG_IMPRINT, WRONG_SIGNATURE, WRONG_BODY],
  "envelope signature": [WRONG_IMPRINT, WRONG_SIGNATURE, WRONG_BODY],
  certificate: [WRONG_SIGNATURE, WRONG_BODY],
  "certificate's SCT": [WRONG_PATH, WRONG_BODY],
  key: [WRONG_SIGNATURE, WRONG_BODY],
  "log entry": [WRONG_BODY],
  "entry body": [WRONG_PROOF],
  SET: [WRONG_PROMISE],
  "SET with its time and index": [WRONG_PROMISE],
  "integrated time": [WRONG_PROMISE],
  "inclusion proof": [WRONG_PROOF],
  "proof hashes": [WRONG_PROOF],
  "proof index": [WRONG_PROOF],
  checkpoint: [WRONG_PROOF],
  "checkpoint with root and size": [WRONG_PROOF],
  timestamp: [WRONG_IMPRINT],
};

interface Row {
  readonly base: string;
  readonly parts: readonly Part[];
  /** Differs from the base in the part, and in as little else as there is. */
  readonly donor: (part: Part) => string;
}

const OF_CONTENT = { message: ["digest", "message signature"], statement: ["payload", "envelope signature"] } as const;
const OF_SIGNER = { certificate: ["certificate", "certificate's SCT"], key: ["key"] } as const;
const OF_LOG = {
  v1: [
    "log entry",
    "entry body",
    "SET",
    "SET with its time and index",
    "integrated time",
    "inclusion proof",
    "proof hashes",
    "proof index",
    "checkpoint",
    "checkpoint with root and size",
  ],
  v2: [
    "log entry",
    "entry body",
    "inclusion proof",
    "proof hashes",
    "proof index",
    "checkpoint",
    "checkpoint with root and size",
  ],
} as const;

const ROWS: readonly Row[] = (["message", "statement"] as const).flatMap((content) =>
  (["v1", "v2"] as const).flatMap((log) =>
    (["certificate", "key"] as const).map((signer): Row => {
      const base = `a/${content === "message" ? "blob" : "attestation"}-${log}-${signer === "certificate" ? "email" : "key-p256"}`;
      return {
        base,
        parts: ["artifact", ...OF_CONTENT[content], ...OF_SIGNER[signer], ...OF_LOG[log], "timestamp"],
        donor: (part) => {
          if (part === "key") return `${base}-other`;
          const sameArtifact = signer === "certificate" && !["artifact", "digest", "payload"].includes(part);
          return sameArtifact ? `${base}-again` : `${base}-world`;
        },
      };
    }),
  ),
);

describe("checklist 1: binding matrix", () => {
  describe.each(ROWS)("$base", ({ base, parts, donor }) => {
    test("is accepted as it is", async () => {
      expect((await ask(question(base))).setAside).toEqual([]);
    });

    test.each(parts.map((part) => ({ part, from: donor(part) })))(
      "is refused with the $part of $from",
      async ({ part, from }) => {
        const control = question(from);
        expect((await ask(control)).setAside).toEqual([]);

        const error = await refusal(ask(EXCHANGES[part](question(base), control)));
        const artifactBreaks = base.startsWith("a/blob")
          ? [WRONG_DIGEST, WRONG_SIGNATURE, WRONG_BODY]
          : [WRONG_SUBJECT];
        const broken = part === "artifact" ? artifactBreaks : BREAKS[part];
        const failed = failedChecks(error);
        expect(failed).toEqual(expect.arrayContaining([...broken]));
        // A time of the other bundle may lie outside this certificate too, and that is found before the rest.
        const outside = failed.includes("certificate.validity: CERTIFICATE_NOT_VALID_AT_TIME");
        expect(outside ? "CERTIFICATE_NOT_VALID_AT_TIME" : broken[0]).toContain(error.code);
      },
    );
  });

  describe("an exchange of several parts at once", () => {
    // Which parts come from the donor, by the bits of a number: neither none nor all.
    const groups = {
      message: [
        ["artifact", "digest"],
        ["message signature"],
        ["certificate"],
        ["log entry"],
        ["timestamp"],
      ] as const satisfies readonly (readonly Part[])[],
      statement: [
        ["artifact"],
        ["payload"],
        ["envelope signature"],
        ["certificate"],
        ["log entry"],
        ["timestamp"],
      ] as const satisfies readonly (readonly Part[])[],
    };

    test.each([
      ["a/blob-v1-email", groups.message],
      ["a/blob-v2-email", groups.message],
      ["a/attestation-v1-email", groups.statement],
      ["a/attestation-v2-email", groups.statement],
    ])("is refused in every combination: %s with the same of another artifact", async (base, parts) => {
      const donor = question(`${base}-world`);
      const mixed = (bits: number): Question => {
        let into = question(base);
        for (const [index, group] of parts.entries()) {
          if (((bits >> index) & 1) === 1) for (const part of group) into = EXCHANGES[part](into, donor);
        }
        return into;
      };
      const all = 2 ** parts.length - 1;
      expect(await outcomeOf(ask(mixed(0)))).toBe("accepted");
      expect(await outcomeOf(ask(mixed(all)))).toBe("accepted");
      for (let bits = 1; bits < all; bits++)
        expect(await outcomeOf(ask(mixed(bits))), `parts ${bits.toString(2)}`).not.toBe("accepted");
    });
  });

  test("an entry of the other log is refused, although it is of the same artifact, identity and root", async () => {
    const v1 = question("a/blob-v1-email");
    const v2 = question("a/blob-v2-email");
    expect(failedChecks(await refusal(ask(EXCHANGES["log entry"](v1, v2))))).toContain(WRONG_BODY);
    expect(failedChecks(await refusal(ask(EXCHANGES["log entry"](v2, v1))))).toContain(WRONG_BODY);
  });

  test("a statement's envelope does not answer for a message signature, nor the other way round", async () => {
    const blob = question("a/blob-v1-email");
    const attestation = question("a/attestation-v1-email");
    const entryOf = (into: Question, donor: Question): Question => EXCHANGES["log entry"](into, donor);
    expect(failedChecks(await refusal(ask(entryOf(blob, attestation))))).toContain(WRONG_BODY);
    expect(failedChecks(await refusal(ask(entryOf(attestation, blob))))).toContain(WRONG_BODY);
  });

  describe("a detached SCT", () => {
    const sandbox = makeSandbox();
    const trustedRoot = rootOf(sandbox);
    const signer = issueCertificate(sandbox.ca, { ctLogs: [] }, sandbox.ctLog);
    const other = issueCertificate(sandbox.ca, { ctLogs: [] }, sandbox.ctLog);
    const bundle = bundleFrom(sandbox, { signer });
    const ask = (sct: string): ReturnType<typeof verify> =>
      verify(bundle.text, ARTIFACT, {
        trustedRoot,
        identity: { subjectAlternativeName: ALICE, issuer: ISSUER },
        detachedScts: [parseDetachedSct(sct)],
      });

    test("is accepted for its certificate", async () => {
      const { signer: proven } = await ask(detachedSct(sandbox.ctLog, signer.der));
      expect(proven).toMatchObject({ signedCertificateTimestamps: [{ logId: sandbox.ctLog.logId }] });
    });

    test("is refused for another certificate", async () => {
      expect(failedChecks(await refusal(ask(detachedSct(sandbox.ctLog, other.der))))).toEqual([
        "sct[0]: SCT_INVALID",
        "sct.threshold: SCT_THRESHOLD_NOT_MET",
      ]);
    });
  });

  test("a key is not found by the bundle's hint: the hint alone changes nothing", async () => {
    const base = question("a/blob-v1-key-p256");
    const evidence = await ask(base);
    const hinted = await ask({
      ...base,
      bundle: change(base.bundle, "verificationMaterial.publicKey.hint", "another"),
    });
    expect(hinted.signer).toEqual(evidence.signer);
  });

  test("a bundle signed with one of several keys names that one", async () => {
    const keys = ["keys/p256-other.pub", "keys/p256.pub"].map((name) => ({
      publicKey: parsePublicKeyPem(new TextDecoder().decode(realBytes(name))),
      name,
    }));
    const { bundle, artifact } = question("a/blob-v1-key-p256");
    const [first, second] = keys;
    if (first === undefined || second === undefined) throw new Error("no keys");
    expect((await ask({ bundle, artifact, policy: { keys: [first, second] } })).signer).toMatchObject({
      name: "keys/p256.pub",
    });
  });
});
