import { describe, expect, test } from "vitest";
import { defaultCryptoProvider } from "../../src/crypto/provider.ts";
import { verify as verifyFile } from "../../src/files/verify-file.ts";
import { compilePattern } from "../../src/policy/pattern.ts";
import { parseWitnessKey } from "../../src/tlog/cosignature.ts";
import { parseDetachedSct } from "../../src/x509/sct.ts";
import { GITHUB_PROFILE, type VerifierOptions, type VerifyPolicy } from "../../src/verify/options.ts";
import { Verifier, verify, type VerifyOptions } from "../../src/verify/verifier.ts";
import { makeAuthority, name } from "../support/certificates.ts";
import { askEverywhere, type Ask, type Outcome } from "../support/doors.ts";
import { refusal } from "../support/outcome.ts";
import { runInProcess } from "../support/program.ts";
import {
  ALICE,
  detachedSct,
  ISSUER,
  issueCertificate,
  minutes,
  NOW,
  signerKeys,
  YEARS_AGO,
  YEARS_AHEAD,
} from "../support/sandbox/authorities.ts";
import { makeWitness } from "../support/sandbox/rekor.ts";
import {
  ALICE_SIGNED,
  ARTIFACT,
  bundleFrom,
  makeSandbox,
  PREDICATE_TYPE,
  rootOf,
  rootText,
  statementAbout,
  type BundleOptions,
} from "../support/sandbox/sandbox.ts";

const sandbox = makeSandbox();
const { rekor1, rekor2 } = sandbox;
const crypto = defaultCryptoProvider();

const ALICE_FLAGS = ["--certificate-identity", ALICE, "--certificate-oidc-issuer", ISSUER];

/** A question about a bundle of Alice's. */
function aboutAlice(options: BundleOptions, more: Partial<Ask> = {}): Ask {
  const { text: bundle, artifact } = bundleFrom(sandbox, options);
  return { bundle, artifact, root: rootText(sandbox), policy: ALICE_SIGNED, flags: ALICE_FLAGS, ...more };
}

/** A question about a bundle that a key alone signed. */
function aboutKey(options: BundleOptions, more: Partial<Ask> = {}): Ask {
  const keys = signerKeys();
  const { text: bundle, artifact, publicKey } = bundleFrom(sandbox, { signer: { keys }, ...options });
  const pem = keys.publicKey.export({ type: "spki", format: "pem" });
  return {
    bundle,
    artifact,
    root: rootText(sandbox),
    policy: { keys: [{ publicKey }] },
    flags: ["--key", "@key.pub"],
    files: {
      "key.pub": pem,
      "other.pub": signerKeys().publicKey.export({ type: "spki", format: "pem" }),
    },
    ...more,
  };
}

/** What is changed. Without flags, the program has no way to ask for it. */
interface Change {
  readonly options?: VerifierOptions;
  readonly policy?: VerifyPolicy;
  readonly flags?: readonly string[];
  readonly flagsInstead?: readonly string[];
  readonly now?: Date;
}

async function expectDifference(ask: Ask, change: Change, [before, after]: readonly [Outcome, Outcome]): Promise<void> {
  const { flags, flagsInstead, now, ...rest } = change;
  const changedFlags = flagsInstead ?? (flags === undefined ? undefined : [...(ask.flags ?? []), ...flags]);
  const changed = { ...ask, ...rest, flags: changedFlags, ...(now === undefined ? {} : { now }) };
  const [first, second] = [await askEverywhere(ask), await askEverywhere(changed)];
  expect(new Set(Object.values(first)), JSON.stringify(first)).toEqual(new Set([before]));
  expect(new Set(Object.values(second)), JSON.stringify(second)).toEqual(new Set([after]));
  expect(Object.keys(second)).toHaveLength(changedFlags === undefined ? 3 : 4);
}

type Row = readonly [option: string, ask: Ask, change: Change, outcomes: readonly [Outcome, Outcome]];

const witness = makeWitness("witness.example/one");
const stranger = makeWitness("witness.example/two");
const [witnessKey, strangerKey] = [
  await parseWitnessKey(witness.vkey, crypto),
  await parseWitnessKey(stranger.vkey, crypto),
];
/** A line that bears the witness's name and key id, and another key's signature. */
const impostor = { ...witness, cosign: (text: string) => witness.cosign(`${text}another line\n`) };

const POLICY_OID = "1.3.6.1.4.1.57264.2";
const longLived = { notBefore: YEARS_AGO, notAfter: YEARS_AHEAD };
const subAuthority = makeAuthority({ issuer: sandbox.ca.intermediate, subject: name({ O: "Example", CN: "sub" }) });
const underSub = issueCertificate({ ...sandbox.ca, intermediate: subAuthority }, {}, sandbox.ctLog);
const withoutSct = issueCertificate(sandbox.ca, { ctLogs: [] }, sandbox.ctLog);

const OPTIONS: readonly Row[] = [
  [
    "thresholds.tlog, higher",
    aboutAlice({}),
    { options: { thresholds: { tlog: 2 } }, flags: ["--tlog-threshold", "2"] },
    ["accepted", "TLOG_THRESHOLD_NOT_MET"],
  ],
  [
    "thresholds.tlog, none",
    aboutAlice({ entries: [] }),
    { options: { thresholds: { tlog: 0 } }, flags: ["--tlog-threshold=0"] },
    ["TLOG_THRESHOLD_NOT_MET", "accepted"],
  ],
  [
    "thresholds.tlog, none, as cosign says it",
    aboutAlice({ entries: [] }),
    { options: { thresholds: { tlog: 0 } }, flags: ["--insecure-ignore-tlog"] },
    ["TLOG_THRESHOLD_NOT_MET", "accepted"],
  ],
  [
    "thresholds.timestamp",
    aboutAlice({ timestamps: [] }),
    { options: { thresholds: { timestamp: 1 } }, flags: ["--timestamp-threshold", "1"] },
    ["accepted", "TIMESTAMP_THRESHOLD_NOT_MET"],
  ],
  [
    "thresholds.timestamp, as cosign says it",
    aboutAlice({ timestamps: [] }),
    { options: { thresholds: { timestamp: 1 } }, flags: ["--use-signed-timestamps"] },
    ["accepted", "TIMESTAMP_THRESHOLD_NOT_MET"],
  ],
  [
    "thresholds.sct, higher",
    aboutAlice({}),
    { options: { thresholds: { sct: 2 } }, flags: ["--sct-threshold", "2"] },
    ["accepted", "SCT_THRESHOLD_NOT_MET"],
  ],
  [
    "thresholds.sct, none",
    aboutAlice({ signer: withoutSct }),
    { options: { thresholds: { sct: 0 } }, flags: ["--sct-threshold", "0"] },
    ["SCT_THRESHOLD_NOT_MET", "accepted"],
  ],
  [
    "thresholds.sct, none, as cosign says it",
    aboutAlice({ signer: withoutSct }),
    { options: { thresholds: { sct: 0 } }, flags: ["--insecure-ignore-sct"] },
    ["SCT_THRESHOLD_NOT_MET", "accepted"],
  ],
  [
    "thresholds.witness",
    aboutAlice({}, { options: { witnesses: [witnessKey] }, flags: [...ALICE_FLAGS, "--witness", witness.vkey] }),
    { options: { witnesses: [witnessKey], thresholds: { witness: 1 } }, flags: ["--witness-threshold", "1"] },
    ["accepted", "COSIGNATURE_THRESHOLD_NOT_MET"],
  ],
  [
    "witnesses, who cosigned and who did not",
    aboutAlice(
      { entries: [{ log: rekor2, witnesses: [witness] }] },
      {
        options: { witnesses: [witnessKey], thresholds: { witness: 1 } },
        flags: [...ALICE_FLAGS, "--witness-threshold=1", "--witness", witness.vkey],
      },
    ),
    {
      options: { witnesses: [strangerKey], thresholds: { witness: 1 } },
      flagsInstead: [...ALICE_FLAGS, "--witness-threshold=1", "--witness", stranger.vkey],
    },
    ["accepted", "COSIGNATURE_THRESHOLD_NOT_MET"],
  ],
  [
    "witnesses, whose line does not hold",
    aboutAlice({ entries: [{ log: rekor2, witnesses: [impostor] }] }),
    { options: { witnesses: [witnessKey] }, flags: ["--witness", witness.vkey] },
    ["accepted", "COSIGNATURE_INVALID"],
  ],
  [
    "time observed, for a certificate",
    aboutAlice({ timestamps: [] }),
    { options: { time: { kind: "observed", threshold: 2 } }, flags: ["--time-threshold", "2"] },
    ["accepted", "TIMESTAMP_THRESHOLD_NOT_MET"],
  ],
  [
    "time observed, for a key without a window",
    aboutKey({ entries: [{ log: rekor2 }], timestamps: [] }),
    { options: { time: { kind: "observed", threshold: 1 } }, flags: ["--time-threshold", "1"] },
    ["accepted", "TIMESTAMP_THRESHOLD_NOT_MET"],
  ],
  [
    "time current-time, in place of a signed time",
    aboutAlice({ signer: { request: longLived }, entries: [{ log: rekor2 }], timestamps: [] }),
    { options: { time: { kind: "current-time", now: NOW } }, flags: ["--use-current-time"], now: NOW },
    ["TIMESTAMP_THRESHOLD_NOT_MET", "accepted"],
  ],
  [
    "time current-time, besides a signed time",
    aboutAlice({ signer: { request: longLived } }),
    {
      options: { time: { kind: "current-time", now: new Date("2036-01-01T00:00:00Z") } },
      flags: ["--use-current-time"],
      now: new Date("2036-01-01T00:00:00Z"),
    },
    ["accepted", "CERTIFICATE_NOT_VALID_AT_TIME"],
  ],
  [
    "minimumBundleVersion",
    aboutAlice({ version: "0.2" }),
    { options: { minimumBundleVersion: "0.3" }, flags: ["--minimum-bundle-version", "0.3"] },
    ["accepted", "BUNDLE_VERSION_NOT_ALLOWED"],
  ],
  [
    "requireInclusionProof",
    aboutAlice({ version: "0.1", entries: [{ log: rekor1, proof: false }] }),
    { options: { requireInclusionProof: true }, flags: ["--require-inclusion-proof"] },
    ["accepted", "TLOG_INCLUSION_PROOF_MISSING"],
  ],
  [
    "requireLogKeyValidity",
    aboutKey({ entries: [{ log: rekor2 }], timestamps: [] }),
    { options: { requireLogKeyValidity: true }, flags: ["--require-log-key-validity"] },
    ["accepted", "TLOG_KEY_NOT_VALID_AT_TIME"],
  ],
  [
    "refuseRootWithLogs",
    aboutAlice({}),
    { options: { refuseRootWithLogs: true }, flags: ["--profile", "github"] },
    ["accepted", "USAGE_INVALID"],
  ],
  [
    "allowCertificateChain, in version 0.1",
    aboutAlice({ version: "0.1", signer: underSub, chain: [subAuthority.der] }),
    { options: { allowCertificateChain: true }, flags: ["--allow-certificate-chain"] },
    ["CERTIFICATE_ISSUER_UNKNOWN", "accepted"],
  ],
  [
    "allowCertificateChain, in version 0.3",
    aboutAlice({ chain: [sandbox.ca.intermediate.der] }),
    { options: { allowCertificateChain: true }, flags: ["--allow-certificate-chain"] },
    ["CERTIFICATE_CHAIN_NOT_ALLOWED", "accepted"],
  ],
  [
    "timestampPolicy",
    aboutAlice(
      {},
      { options: { timestampPolicy: POLICY_OID }, flags: [...ALICE_FLAGS, "--timestamp-policy", POLICY_OID] },
    ),
    {
      options: { timestampPolicy: `${POLICY_OID}.1` },
      flagsInstead: [...ALICE_FLAGS, "--timestamp-policy", `${POLICY_OID}.1`],
    },
    ["accepted", "TIMESTAMP_POLICY_MISMATCH"],
  ],
  [
    "denyList, of a certificate",
    aboutAlice({}),
    { options: { denyList: ({ kind }) => (kind === "certificate" ? "laptop stolen" : undefined) } },
    ["accepted", "CERTIFICATE_REVOKED"],
  ],
  [
    "denyList, of a key",
    aboutKey({}),
    { options: { denyList: ({ kind }) => (kind === "public-key" ? "laptop stolen" : undefined) } },
    ["accepted", "CERTIFICATE_REVOKED"],
  ],
  [
    "crypto",
    aboutAlice({}),
    { options: { crypto: { ...crypto, digest: () => new Uint8Array(32) } } },
    ["accepted", "TIMESTAMP_SIGNATURE_INVALID"],
  ],
];

const expired = { start: YEARS_AGO, end: minutes(-1) };
const keyAsk = aboutKey({});
const [trustedKey] = keyAsk.policy.keys ?? [];
if (trustedKey === undefined) throw new Error("no key");
const otherKey = bundleFrom(sandbox, { signer: { keys: signerKeys() }, entries: [] }).publicKey;
const alice = (subjectAlternativeName: string, issuer = ISSUER): Pick<Change, "policy" | "flagsInstead"> => ({
  policy: { identity: { subjectAlternativeName, issuer } },
  flagsInstead: ["--certificate-identity", subjectAlternativeName, "--certificate-oidc-issuer", issuer],
});
const aboutStatement = aboutAlice(
  { statement: statementAbout(ARTIFACT) },
  { command: "verify-blob-attestation", flags: [...ALICE_FLAGS, "--type", PREDICATE_TYPE] },
);

const POLICY: readonly Row[] = [
  ["identity.subjectAlternativeName", aboutAlice({}), alice("bob@example.com"), ["accepted", "IDENTITY_MISMATCH"]],
  ["identity.issuer", aboutAlice({}), alice(ALICE, "https://accounts.example.org"), ["accepted", "ISSUER_MISMATCH"]],
  [
    "identity.subjectAlternativeName as a pattern",
    aboutAlice({}),
    {
      policy: { identity: { subjectAlternativeName: compilePattern("^b.*$"), issuer: ISSUER } },
      flagsInstead: ["--certificate-identity-regexp", "^b.*$", "--certificate-oidc-issuer", ISSUER],
    },
    ["accepted", "IDENTITY_MISMATCH"],
  ],
  [
    "identity.issuer as a pattern",
    aboutAlice({}),
    {
      policy: { identity: { subjectAlternativeName: ALICE, issuer: compilePattern("^https://[^.]+$") } },
      flagsInstead: ["--certificate-identity", ALICE, "--certificate-oidc-issuer-regexp", "^https://[^.]+$"],
    },
    ["accepted", "ISSUER_MISMATCH"],
  ],
  [
    "keys",
    keyAsk,
    { policy: { keys: [{ publicKey: otherKey }] }, flagsInstead: ["--key", "@other.pub"] },
    ["accepted", "SIGNATURE_INVALID"],
  ],
  [
    "keys[].validFor.end",
    keyAsk,
    {
      policy: { keys: [{ ...trustedKey, validFor: expired }] },
      flags: ["--key-valid-until", expired.end.toISOString()],
    },
    ["accepted", "KEY_NOT_VALID_AT_TIME"],
  ],
  [
    "keys[].validFor.start",
    keyAsk,
    {
      policy: { keys: [{ ...trustedKey, validFor: { start: minutes(1) } }] },
      flags: ["--key-valid-from", minutes(1).toISOString()],
    },
    ["accepted", "KEY_NOT_VALID_AT_TIME"],
  ],
  [
    "keys or identity: the kind of signer",
    keyAsk,
    { policy: ALICE_SIGNED, flagsInstead: ALICE_FLAGS },
    ["accepted", "SIGNER_KIND_MISMATCH"],
  ],
  [
    "predicateType",
    aboutStatement,
    {
      policy: { ...ALICE_SIGNED, predicateType: `${PREDICATE_TYPE}/` },
      flagsInstead: [...ALICE_FLAGS, "--type", `${PREDICATE_TYPE}/`],
    },
    ["accepted", "PREDICATE_TYPE_MISMATCH"],
  ],
  [
    "predicateType, of a signature without a statement",
    aboutAlice({}),
    { policy: { ...ALICE_SIGNED, predicateType: PREDICATE_TYPE } },
    ["accepted", "PREDICATE_TYPE_MISMATCH"],
  ],
  [
    "detachedScts",
    aboutAlice({ signer: withoutSct }, { files: { "sct.json": detachedSct(sandbox.ctLog, withoutSct.der) } }),
    {
      policy: { ...ALICE_SIGNED, detachedScts: [parseDetachedSct(detachedSct(sandbox.ctLog, withoutSct.der))] },
      flags: ["--sct", "@sct.json"],
    },
    ["SCT_THRESHOLD_NOT_MET", "accepted"],
  ],
];

// Fulcio docs/oid-info.md: number, our field, our flag; the flags for GitHub are cosign's.
const EXTENSIONS = [
  [2, "githubWorkflowTrigger", "certificate-github-workflow-trigger"],
  [3, "githubWorkflowSHA", "certificate-github-workflow-sha"],
  [4, "githubWorkflowName", "certificate-github-workflow-name"],
  [5, "githubWorkflowRepository", "certificate-github-workflow-repository"],
  [6, "githubWorkflowRef", "certificate-github-workflow-ref"],
  [9, "buildSignerURI", "certificate-build-signer-uri"],
  [10, "buildSignerDigest", "certificate-build-signer-digest"],
  [11, "runnerEnvironment", "certificate-runner-environment"],
  [12, "sourceRepositoryURI", "certificate-source-repository-uri"],
  [13, "sourceRepositoryDigest", "certificate-source-repository-digest"],
  [14, "sourceRepositoryRef", "certificate-source-repository-ref"],
  [15, "sourceRepositoryIdentifier", "certificate-source-repository-identifier"],
  [16, "sourceRepositoryOwnerURI", "certificate-source-repository-owner-uri"],
  [17, "sourceRepositoryOwnerIdentifier", "certificate-source-repository-owner-identifier"],
  [18, "buildConfigURI", "certificate-build-config-uri"],
  [19, "buildConfigDigest", "certificate-build-config-digest"],
  [20, "buildTrigger", "certificate-build-trigger"],
  [21, "runInvocationURI", "certificate-run-invocation-uri"],
  [22, "sourceRepositoryVisibilityAtSigning", "certificate-source-repository-visibility-at-signing"],
  [23, "deploymentEnvironment", "certificate-deployment-environment"],
  [24, "tokenSubject", "certificate-token-subject"],
] as const;
const fulcio = Object.fromEntries(EXTENSIONS.map(([number]) => [number, `value ${number}`]));

describe("checklist 3: option is honoured", () => {
  describe("an option of the verifier alone makes the difference, through every door", () => {
    test.each(OPTIONS)("%s", async (_, ask, change, outcomes) => {
      await expectDifference(ask, change, outcomes);
    });
  });

  describe("a field of the policy alone makes the difference, through every door", () => {
    test.each(POLICY)("%s", async (_, ask, change, outcomes) => {
      await expectDifference(ask, change, outcomes);
    });

    const everyExtension = aboutAlice({ signer: { request: { fulcio } } });
    const noExtension = aboutAlice({});
    const { identity } = ALICE_SIGNED;
    if (identity === undefined || identity === "unsafe-any") throw new Error("no identity");

    test.each(EXTENSIONS)("identity.extensions, number %i: %s", async (number, field, flag) => {
      const right = { [field]: `value ${number}` };
      const policy = { identity: { ...identity, extensions: right } };
      const flags = [...ALICE_FLAGS, `--${flag}`, `value ${number}`];
      const wrong = { [field]: `value ${number}0` };
      const change = {
        policy: { identity: { ...identity, extensions: wrong } },
        flagsInstead: [...ALICE_FLAGS, `--${flag}`, `value ${number}0`],
      };
      await expectDifference({ ...everyExtension, policy, flags }, change, ["accepted", "EXTENSION_MISMATCH"]);
      await expectDifference(noExtension, { policy, flagsInstead: flags }, ["accepted", "EXTENSION_MISMATCH"]);
    });

    test("identity.extensions.issuer", async () => {
      const extensions = { issuer: "https://accounts.example.org" };
      await expectDifference(noExtension, { policy: { identity: { ...identity, extensions } } }, [
        "accepted",
        "EXTENSION_MISMATCH",
      ]);
    });

    test("identity.extensions as a pattern", async () => {
      const extensions = { tokenSubject: compilePattern("^value$") };
      await expectDifference(everyExtension, { policy: { identity: { ...identity, extensions } } }, [
        "accepted",
        "EXTENSION_MISMATCH",
      ]);
    });
  });

  test("the profile for GitHub asks for a timestamp, and for no log and no SCT", async () => {
    const bare = { signer: withoutSct, entries: [] };
    const root = rootText(sandbox, { tlogs: [], ctlogs: [] });
    const change = { options: GITHUB_PROFILE, flags: ["--profile", "github"] };
    await expectDifference(aboutAlice(bare, { root }), change, ["TLOG_THRESHOLD_NOT_MET", "accepted"]);
    await expectDifference(aboutAlice({ ...bare, timestamps: [] }, { root }), change, [
      "TLOG_THRESHOLD_NOT_MET",
      "TIMESTAMP_THRESHOLD_NOT_MET",
    ]);
  });

  test("trustSource and the names of keys are repeated in the evidence", async () => {
    const { bundle, artifact } = keyAsk;
    const trustSource = { kind: "file", path: "somewhere/trusted_root.json" } as const;
    const keys = [{ ...trustedKey, name: "the release key" }] as const;
    const options = { trustSource, keys, trustedRoot: rootOf(sandbox) } as const;
    const evidence = await verify(bundle, artifact, options);
    expect(evidence.trust).toEqual(trustSource);
    expect(evidence.signer).toMatchObject({ kind: "public-key", name: "the release key" });
  });

  describe("what is unknown is an error, for callers without types as well", () => {
    const { bundle, artifact } = aboutAlice({});
    const trustedRoot = rootOf(sandbox);
    const good = { trustedRoot, ...ALICE_SIGNED } satisfies VerifyOptions;
    const ask = async (options: object): Promise<string> =>
      (await refusal(verify(bundle, artifact, options as VerifyOptions))).code;
    const { identity } = ALICE_SIGNED;
    const key = { publicKey: otherKey };

    test.each<[string, object]>([
      ["an option", { ...good, certificateOIDs: {} }],
      ["an option of the root entry point", { ...good, trust: {} }],
      ["a threshold", { ...good, thresholds: { tlogs: 2 } }],
      ["a field of time", { ...good, time: { kind: "observed", threshold: 1, now: NOW } }],
      ["a field of current time", { ...good, time: { kind: "current-time", now: NOW, threshold: 2 } }],
      ["a kind of time", { ...good, time: { kind: "integrated" } }],
      ["a field of identity", { trustedRoot, identity: { ...(identity as object), san: "x" } }],
      [
        "a field of identity.extensions",
        { trustedRoot, identity: { ...(identity as object), extensions: { repository: "x" } } },
      ],
      ["a field of a key", { trustedRoot, keys: [{ ...key, validfor: expired }] }],
      ["a field of a key's window", { trustedRoot, keys: [{ ...key, validFor: { ...expired, until: NOW } }] }],
      ["a bundle version", { ...good, minimumBundleVersion: "0.4" }],
    ])("%s", async (_, options) => {
      expect(await ask(options)).toBe("USAGE_INVALID");
    });

    test.each<[string, object]>([
      ["no signer", { trustedRoot }],
      ["two kinds of signer", { ...good, keys: [key] }],
      ["an empty identity", { trustedRoot, identity: {} }],
      ["an identity that is text", { trustedRoot, identity: ALICE }],
      ["an identity that is null", { trustedRoot, identity: null }],
      ["an empty name", { trustedRoot, identity: { subjectAlternativeName: "", issuer: ISSUER } }],
      ["no issuer", { trustedRoot, identity: { subjectAlternativeName: ALICE } }],
      ["an empty issuer", { trustedRoot, identity: { subjectAlternativeName: ALICE, issuer: "" } }],
      ["an empty extension", { trustedRoot, identity: { ...(identity as object), extensions: { tokenSubject: "" } } }],
      [
        "a RegExp, which is no pattern of linear time",
        { trustedRoot, identity: { subjectAlternativeName: /alice/, issuer: ISSUER } },
      ],
      [
        "an object that only has a test",
        { trustedRoot, identity: { subjectAlternativeName: { test: () => true }, issuer: ISSUER } },
      ],
      [
        "a pattern of another kind",
        {
          trustedRoot,
          identity: {
            subjectAlternativeName: { kind: "glob", description: "*", anchored: true, test: () => true },
            issuer: ISSUER,
          },
        },
      ],
      ["no key in the list", { trustedRoot, keys: [] }],
      ["a key that is none", { trustedRoot, keys: [{ publicKey: "-----BEGIN PUBLIC KEY-----" }] }],
      ["a list of keys that is none", { trustedRoot, keys: key }],
      ["more keys than are tried", { trustedRoot, keys: Array.from({ length: 65 }, () => key) }],
      ["a key's window without a start", { trustedRoot, keys: [{ ...key, validFor: { end: NOW } }] }],
      ["a key's window that is text", { trustedRoot, keys: [{ ...key, validFor: { start: "2020-01-01" } }] }],
      [
        "an end of a key's window that is no time",
        { trustedRoot, keys: [{ ...key, validFor: { start: NOW, end: new Date("x") } }] },
      ],
      ["a key's window that is null", { trustedRoot, keys: [{ ...key, validFor: null }] }],
      ["an empty predicate type", { ...good, predicateType: "" }],
      ["a predicate type that is no text", { ...good, predicateType: [PREDICATE_TYPE] }],
      ["detached SCTs that are no list", { ...good, detachedScts: "x" }],
      ["a negative threshold", { ...good, thresholds: { tlog: -1 } }],
      ["a threshold that is text", { ...good, thresholds: { tlog: "1" } }],
      ["a threshold that is no number", { ...good, thresholds: { sct: Number.NaN } }],
      ["a threshold with a fraction", { ...good, thresholds: { timestamp: 0.5 } }],
      ["a threshold beyond what a bundle may hold", { ...good, thresholds: { tlog: 33 } }],
      ["thresholds that are text", { ...good, thresholds: "none" }],
      ["an observed time of nobody", { ...good, time: { kind: "observed", threshold: 0 } }],
      ["an observed time without a threshold", { ...good, time: { kind: "observed" } }],
      ["a current time without a time", { ...good, time: { kind: "current-time" } }],
      ["a current time that is no time", { ...good, time: { kind: "current-time", now: new Date("x") } }],
      ["a time that is null", { ...good, time: null }],
      [
        "more witnesses asked for than given",
        { ...good, thresholds: { witness: 2 }, witnesses: [witnessKey, witnessKey] },
      ],
      ["a flag that is text", { ...good, requireInclusionProof: "yes" }],
      ["a flag that is a number", { ...good, requireLogKeyValidity: 1 }],
      ["a flag about the root that is text", { ...good, refuseRootWithLogs: "no" }],
      ["a chain flag that is text", { ...good, allowCertificateChain: "false" }],
      ["a timestamp policy that is no object identifier", { ...good, timestampPolicy: "any" }],
      ["a deny list that is no function", { ...good, denyList: [ALICE] }],
    ])("so is %s", async (_, options) => {
      expect(await ask(options)).toBe("USAGE_INVALID");
    });

    test.each<[string, unknown]>([
      ["no policy", undefined],
      ["an empty policy", {}],
      ["an unknown field", { ...ALICE_SIGNED, options: {} }],
    ])("through a Verifier: %s", async (_, policy) => {
      const verifier = await Verifier.create(trustedRoot);
      expect((await refusal(verifier.verify(bundle, artifact, policy as VerifyPolicy))).code).toBe("USAGE_INVALID");
    });

    test("through a Verifier: an unknown option", async () => {
      await expect(Verifier.create(trustedRoot, { threshold: 1 } as VerifierOptions)).rejects.toMatchObject({
        code: "USAGE_INVALID",
      });
    });

    test.each<[string, object]>([
      ["an option", { ...ALICE_SIGNED, trust: trustedRoot, trustedRoot }],
      [
        "an option of trust, which would choose the public-good root",
        { ...ALICE_SIGNED, trust: { instnace: "github" } },
      ],
    ])("through verify of files: %s", async (_, options) => {
      expect((await refusal(verifyFile(bundle, artifact, options as Parameters<typeof verifyFile>[2]))).code).toBe(
        "USAGE_INVALID",
      );
    });

    test.each([
      ["a flag", ["--certificate-oids", "x"]],
      ["a value of a flag", ["--minimum-bundle-version", "0.4"]],
      ["a number", ["--tlog-threshold", "one"]],
      ["a flag that has no meaning with a key", ["--key", "k", "--certificate-build-trigger", "push"]],
    ])("through the program: %s", async (_, flags) => {
      const { status, stderr } = await runInProcess(["verify-blob", ...flags, "artifact"]);
      expect({ status, stderr }).toEqual({
        status: 1,
        stderr: expect.stringMatching(/\[USAGE_INVALID\]\n$/) as unknown,
      });
    });
  });

  test("every option and every field of a policy has a row here", () => {
    // The types know these lists whole, so that a new option is an error here until it has a row.
    const options: Readonly<Record<Exclude<keyof VerifierOptions, "trustSource">, true>> = {
      thresholds: true,
      time: true,
      witnesses: true,
      minimumBundleVersion: true,
      requireInclusionProof: true,
      requireLogKeyValidity: true,
      refuseRootWithLogs: true,
      allowCertificateChain: true,
      timestampPolicy: true,
      denyList: true,
      crypto: true,
    };
    const policy: Readonly<Record<keyof VerifyPolicy, true>> = {
      identity: true,
      keys: true,
      predicateType: true,
      detachedScts: true,
    };
    const tested = (rows: readonly Row[]): ReadonlySet<string | undefined> =>
      new Set(rows.map(([row]) => /^[a-zA-Z]+/.exec(row)?.[0]));
    expect(tested(OPTIONS)).toEqual(new Set(Object.keys(options)));
    expect(tested(POLICY)).toEqual(new Set(Object.keys(policy)));
  });
});
