import { describe, expect, test } from "vitest";
import { parseTrustedRoot } from "../../src/trust/trusted-root.ts";
import { verify } from "../../src/verify/verifier.ts";
import { change, without } from "../support/json-edits.ts";
import { base64, flip } from "../support/logs.ts";
import { outcomeOf } from "../support/outcome.ts";
import { runInProcess } from "../support/program.ts";
import { realPath } from "../support/real.ts";
import { ALICE, ISSUER, issueCertificate, NOW, signerKeys } from "../support/sandbox/authorities.ts";
import {
  ALICE_SIGNED,
  ARTIFACT,
  bundleFrom,
  edited,
  makeSandbox,
  statementAbout,
  verifyIn,
  type BundleOptions,
  type Demand,
} from "../support/sandbox/sandbox.ts";

const sandbox = makeSandbox();
const { rekor1, rekor2 } = sandbox;
const message = bundleFrom(sandbox);
const statement = bundleFrom(sandbox, { statement: statementAbout(ARTIFACT) });
const outcome = (options: BundleOptions, demand?: Demand): ReturnType<typeof outcomeOf> =>
  outcomeOf(verifyIn(sandbox, bundleFrom(sandbox, options), demand));

const NOTHING_ASKED = { tlog: 0, sct: 0, timestamp: 0, witness: 0 };

describe("checklist 2: vacuous success", () => {
  test("what is full is accepted", async () => {
    expect(await outcomeOf(verifyIn(sandbox, message))).toBe("accepted");
    expect(await outcomeOf(verifyIn(sandbox, statement))).toBe("accepted");
  });

  describe("nothing in the bundle", () => {
    test.each([
      ["no log entry", { entries: [] }, "TLOG_THRESHOLD_NOT_MET"],
      ["no time", { entries: [{ log: rekor2 }], timestamps: [] }, "TIMESTAMP_THRESHOLD_NOT_MET"],
      ["neither", { entries: [], timestamps: [] }, "TLOG_THRESHOLD_NOT_MET"],
      ["no SCT", { signer: issueCertificate(sandbox.ca, { ctLogs: [] }, sandbox.ctLog) }, "SCT_THRESHOLD_NOT_MET"],
      ["no name in the certificate", { signer: { request: { names: [] } } }, "CERTIFICATE_MALFORMED"],
      [
        "neither promise nor proof",
        { entries: [{ log: rekor1, promise: false, proof: false }] },
        "TLOG_INCLUSION_PROOF_MISSING",
      ],
      ["no subject", { statement: { ...statementAbout(), subject: [] } }, "STATEMENT_MALFORMED"],
      [
        "a subject without digest",
        { statement: { ...statementAbout(), subject: [{ name: "a", digest: {} }] } },
        "STATEMENT_MALFORMED",
      ],
      ["no payload", { statement: "" }, "BUNDLE_MALFORMED"],
      ["an empty statement", { statement: {} }, "STATEMENT_MALFORMED"],
      ["no predicate type", { statement: { ...statementAbout(ARTIFACT), predicateType: "" } }, "STATEMENT_MALFORMED"],
    ] as const satisfies readonly (readonly [string, BundleOptions, string])[])("%s", async (_, options, code) => {
      expect(await outcome(options)).toBe(code);
    });

    test.each([
      ["no envelope signature", statement, "dsseEnvelope.signatures", []],
      ["an envelope signature that is empty", statement, "dsseEnvelope.signatures.0.sig", ""],
      ["a message signature that is empty", message, "messageSignature.signature", ""],
      ["no certificate in the chain", message, "verificationMaterial", { x509CertificateChain: { certificates: [] } }],
      ["no signer", message, "verificationMaterial", {}],
      ["a certificate that is empty", message, "verificationMaterial.certificate.rawBytes", ""],
      ["a log entry that is empty", message, "verificationMaterial.tlogEntries", [{}]],
      ["a timestamp that is empty", message, "verificationMaterial.timestampVerificationData.rfc3161Timestamps", [{}]],
      ["a checkpoint that is empty", message, "verificationMaterial.tlogEntries.0.inclusionProof.checkpoint", {}],
    ] as const)("%s", async (_, bundle, path, value) => {
      const changed = edited(bundle, (json) => change(json, path, value));
      expect(await outcomeOf(verifyIn(sandbox, changed))).toMatch(
        /^(BUNDLE_MALFORMED|CERTIFICATE_MALFORMED|TLOG_INCLUSION_PROOF_INVALID)$/,
      );
    });

    test("no bundle at all", async () => {
      for (const text of ["", "{}", "[]", "null", "\n"]) {
        expect(await outcomeOf(verifyIn(sandbox, { ...message, text })), JSON.stringify(text)).toBe("BUNDLE_MALFORMED");
      }
    });
  });

  describe("nothing in the trusted root", () => {
    test.each([
      ["no log", { tlogs: [] }, "TLOG_THRESHOLD_NOT_MET"],
      ["no certificate authority", { certificateAuthorities: [] }, "CERTIFICATE_ISSUER_UNKNOWN"],
      ["no certificate transparency log", { ctlogs: [] }, "SCT_THRESHOLD_NOT_MET"],
    ])("%s", async (_, root, code) => {
      expect(await outcome({}, { root })).toBe(code);
    });

    test("no timestamp authority", async () => {
      const root = { timestampAuthorities: [] };
      expect(await outcome({ entries: [{ log: rekor2 }] }, { root })).toBe("TIMESTAMP_THRESHOLD_NOT_MET");
      expect(await outcome({}, { root, options: { thresholds: { timestamp: 1 } } })).toBe(
        "TIMESTAMP_THRESHOLD_NOT_MET",
      );
      expect(await outcome({}, { root })).toBe("accepted"); // the log's time will do
    });

    const empty = parseTrustedRoot(
      JSON.stringify({ mediaType: "application/vnd.dev.sigstore.trustedroot+json;version=0.1" }),
    );

    test("an empty root proves no certificate, whatever is given up", async () => {
      const ask = (options: object): Promise<string> =>
        outcomeOf(verify(message.text, ARTIFACT, { trustedRoot: empty, identity: "unsafe-any", ...options }));
      expect(await ask({})).toBe("TLOG_THRESHOLD_NOT_MET");
      expect(await ask({ thresholds: NOTHING_ASKED })).toBe("TIMESTAMP_THRESHOLD_NOT_MET");
      expect(await ask({ thresholds: NOTHING_ASKED, time: { kind: "current-time", now: NOW } })).toBe(
        "CERTIFICATE_ISSUER_UNKNOWN",
      );
    });

    test("an entry that cannot be used is trusted for nothing", async () => {
      const broken = { ...sandbox.ca.root, der: flip(sandbox.ca.root.der) };
      const chain = [sandbox.ca.intermediate, broken].map(({ der }) => ({ rawBytes: base64(der) }));
      const authority = {
        uri: "https://fulcio.test",
        certChain: { certificates: chain },
        validFor: { start: "2020-01-01T00:00:00Z" },
      };
      expect(await outcome({}, { root: { certificateAuthorities: [authority] } })).toBe("CERTIFICATE_ISSUER_UNKNOWN");
    });
  });

  describe("nothing asked for: what is there must hold all the same", () => {
    const demand: Demand = { policy: { identity: "unsafe-any" }, options: { thresholds: NOTHING_ASKED } };

    test("is accepted, and says what is not proven", async () => {
      const { unproven } = await verifyIn(sandbox, bundleFrom(sandbox, { entries: [] }), demand);
      expect(unproven.map(({ what }) => what).sort()).toEqual(["identity", "issuer", "transparency-log"]);
    });

    test("is accepted without an SCT, and says so", async () => {
      const signer = issueCertificate(sandbox.ca, { ctLogs: [] }, sandbox.ctLog);
      const { unproven } = await verifyIn(sandbox, bundleFrom(sandbox, { signer }), {
        options: { thresholds: NOTHING_ASKED },
      });
      expect(unproven.map(({ what }) => what)).toEqual(["signed-certificate-timestamp"]);
    });

    test.each([
      [
        "signature",
        edited(message, (json) => change(json, "messageSignature.signature", base64(flip(message.signature)))),
        "TIMESTAMP_IMPRINT_MISMATCH",
      ],
      [
        "log entry",
        bundleFrom(sandbox, {
          entries: [{ log: rekor1, body: (body) => change(body, "spec.data.hash.value", "00".repeat(32)) }],
        }),
        "TLOG_ENTRY_MISMATCH",
      ],
      [
        "inclusion promise",
        bundleFrom(sandbox, {
          entries: [{ log: rekor1, entry: (entry) => ({ ...entry, integratedTime: entry.integratedTime + 1n }) }],
        }),
        "TLOG_INCLUSION_PROMISE_INVALID",
      ],
      ["timestamp", bundleFrom(sandbox, { timestamps: [{ data: ARTIFACT }] }), "TIMESTAMP_IMPRINT_MISMATCH"],
    ])("a wrong %s is refused", async (_, bundle, code) => {
      expect(await outcomeOf(verifyIn(sandbox, bundle, demand))).toBe(code);
    });

    test("a certificate of another authority is refused, at whatever time", async () => {
      const stranger = bundleFrom(makeSandbox(), { entries: [], timestamps: [] });
      const options = { thresholds: NOTHING_ASKED, time: { kind: "current-time", now: NOW } } as const;
      expect(await outcomeOf(verifyIn(sandbox, stranger, { ...demand, options }))).toBe("CERTIFICATE_ISSUER_UNKNOWN");
    });

    test("a signature alone, without any time or log, must hold", async () => {
      const bare = bundleFrom(sandbox, { signer: { keys: signerKeys() }, entries: [], timestamps: [] });
      expect(await outcomeOf(verifyIn(sandbox, bare, { options: { thresholds: NOTHING_ASKED } }))).toBe("accepted");
      const wrong = edited(bare, (json) => change(json, "messageSignature.signature", base64(flip(bare.signature))));
      expect(await outcomeOf(verifyIn(sandbox, wrong, { options: { thresholds: NOTHING_ASKED } }))).toBe(
        "SIGNATURE_INVALID",
      );
    });
  });

  describe("nothing given as the artifact", () => {
    test.each([
      ["no digest", { digests: [] } as never, "DIGEST_ALGORITHM_MISMATCH"],
      ["an empty stream", (async function* (): AsyncGenerator<Uint8Array> {})(), "ARTIFACT_DIGEST_MISMATCH"],
      ["no byte", new Uint8Array(), "ARTIFACT_DIGEST_MISMATCH"],
      ["any artifact", "unsafe-any" as const, "USAGE_INVALID"],
    ])("%s, for a signature", async (_, artifact, code) => {
      expect(await outcomeOf(verifyIn(sandbox, message, { artifact }))).toBe(code);
    });

    test.each([
      ["no digest", { digests: [] } as never, "DIGEST_ALGORITHM_MISMATCH"],
      ["no byte", new Uint8Array(), "SUBJECT_MISMATCH"],
    ])("%s, for a statement", async (_, artifact, code) => {
      expect(await outcomeOf(verifyIn(sandbox, statement, { artifact }))).toBe(code);
    });

    test("any artifact, for a statement, is named as not proven", async () => {
      const { content, unproven } = await verifyIn(sandbox, statement, { artifact: "unsafe-any" });
      expect(content).toMatchObject({ kind: "statement", subject: undefined });
      expect(unproven.map(({ what }) => what)).toEqual(["subject"]);
    });
  });

  test("one valid attestation of another type does not answer for the type asked for", async () => {
    const policy = { ...ALICE_SIGNED, predicateType: "https://slsa.dev/provenance/v1" };
    expect(await outcomeOf(verifyIn(sandbox, statement, { policy }))).toBe("PREDICATE_TYPE_MISMATCH");
    expect(await outcomeOf(verifyIn(sandbox, message, { policy }))).toBe("PREDICATE_TYPE_MISMATCH");
  });

  test("a message digest left out leaves the signature to be checked", async () => {
    const bare = edited(message, (json) => without(json, "messageSignature.messageDigest"));
    expect(await outcomeOf(verifyIn(sandbox, bare))).toBe("accepted");
    expect(await outcomeOf(verifyIn(sandbox, bare, { artifact: new Uint8Array([1]) }))).toBe("SIGNATURE_INVALID");
  });

  describe("the program ends with 1", () => {
    const signer = ["--certificate-identity", ALICE, "--certificate-oidc-issuer", ISSUER];
    const root = ["--trusted-root", realPath("a/trusted_root.json")];
    const artifact = realPath("artifacts/hello.txt");

    test.each([
      ["no bundle is beside the file", ["verify-blob", ...signer, ...root, artifact], "BUNDLE_NOT_FOUND"],
      [
        "the bundle is empty",
        ["verify-blob", "--bundle", realPath("artifacts/empty.txt"), ...signer, ...root, artifact],
        "BUNDLE_MALFORMED",
      ],
      [
        "nobody is named",
        ["verify-blob", "--bundle", realPath("a/blob-v1-email.sigstore.json"), ...root, artifact],
        "USAGE_INVALID",
      ],
      [
        "the identity is empty",
        [
          "verify-blob",
          "--bundle",
          realPath("a/blob-v1-email.sigstore.json"),
          "--certificate-identity",
          "",
          "--certificate-oidc-issuer",
          ISSUER,
          ...root,
          artifact,
        ],
        "USAGE_INVALID",
      ],
      [
        "no file is given to an attestation",
        ["verify-blob-attestation", "--bundle", realPath("a/attestation-v1-email.sigstore.json"), ...signer, ...root],
        "USAGE_INVALID",
      ],
      [
        "there is no attestation of the type",
        [
          "verify-blob-attestation",
          "--bundle",
          realPath("a/attestation-v1-email.sigstore.json"),
          "--type",
          "slsaprovenance1",
          "--certificate-identity",
          ALICE,
          "--certificate-oidc-issuer",
          "http://127.0.0.1:4400",
          ...root,
          artifact,
        ],
        "PREDICATE_TYPE_MISMATCH",
      ],
    ])("when %s", async (_, args, code) => {
      const { status, stderr } = await runInProcess(args);
      expect({ status, code: /\[([A-Z_]+)\]\n$/.exec(stderr)?.[1] }).toEqual({ status: 1, code });
      expect(stderr).not.toContain("Verified OK");
    });

    test("when it is told nothing", async () => {
      expect((await runInProcess([])).status).toBe(1);
    });
  });
});
