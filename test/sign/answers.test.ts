import { createPublicKey, type KeyObject } from "node:crypto";
import { describe, expect, test } from "vitest";

import { sign } from "../../src/sign/sign.ts";
import type { RekorChoice, SigningOptions } from "../../src/sign/options.ts";
import { parseCertificate } from "../../src/x509/certificate.ts";
import type { TransparencyLogEntry } from "../../src/tlog/transparency-log-entry.ts";
import { parseTrustedRoot } from "../../src/trust/trusted-root.ts";
import { dns, email, extension, generalizedTime, int, OIDS, uri, withoutExtension } from "../support/certificates.ts";
import { flip, outcomeOf, sha256 } from "../support/logs.ts";
import {
  issueCertificate,
  listCa,
  makeCa,
  makeCtLog,
  makeTimestampAuthority,
  minutes,
  signerKeys,
} from "../support/sandbox/authorities.ts";
import { listRekor, makeRekor } from "../support/sandbox/rekor.ts";
import { ARTIFACT, makeSandbox, rootText } from "../support/sandbox/sandbox.ts";
import {
  FULCIO,
  identityToken,
  KEYLESS,
  makeSigningServices,
  REKOR1,
  REKOR2,
  TSA,
  type Forgeries,
  type SigningServices,
} from "../support/signing-services.ts";
import type { TimestampOptions } from "../support/timestamps.ts";

const sandbox = makeSandbox();
const stranger = makeSandbox();

const digitsOf = (time: Date): string => `${time.toISOString().slice(0, 19).replaceAll(/[-:T]/g, "")}Z`;
const generalized = (time: Date): Uint8Array => generalizedTime(digitsOf(time));
const keyOf = (spki: Uint8Array): KeyObject => createPublicKey({ key: Buffer.from(spki), format: "der", type: "spki" });
const hexOf = (data: Uint8Array): string => Buffer.from(sha256(data)).toString("hex");
const base64Of = (data: Uint8Array): string => Buffer.from(sha256(data)).toString("base64");

const withoutNonce = (options: TimestampOptions): TimestampOptions => {
  const { nonce, ...rest } = options;
  expect(nonce).toBeDefined();
  return rest;
};
const withoutImprint = (options: TimestampOptions): TimestampOptions => {
  const { imprint, ...rest } = options;
  expect(imprint).toBeDefined();
  return { ...rest, data: ARTIFACT };
};

function withOtherHash(entry: TransparencyLogEntry): TransparencyLogEntry {
  const proof = entry.inclusionProof ?? expect.fail();
  const [first = expect.fail(), ...rest] = proof.hashes;
  return { ...entry, inclusionProof: { ...proof, hashes: [flip(first), ...rest] } };
}

const FULCIO_PATH = "POST fulcio.test/api/v2/signingCert";
const TSA_PATH = "POST tsa.test/api/v1/timestamp";

const withRekor = (...rekor: readonly RekorChoice[]): SigningOptions["services"] => ({
  kind: "urls",
  fulcioUrl: FULCIO,
  rekor,
  timestampUrls: [TSA],
});
const V1 = withRekor({ url: REKOR1, majorApiVersion: 1 });
const V2 = withRekor({ url: REKOR2, majorApiVersion: 2 });

async function signWith(
  forge: (forgeries: Forgeries) => void,
  changes: Partial<SigningOptions> = {},
): Promise<{ readonly outcome: string; readonly services: SigningServices }> {
  const services = makeSigningServices(sandbox);
  forge(services.forgeries);
  return { outcome: await outcomeOf(sign(ARTIFACT, services.options(changes))), services };
}

describe("sign refuses a certificate (client specification §2.1.3)", () => {
  test.for<[string, string, (forgeries: Forgeries) => void]>([
    [
      "for another key",
      "CERTIFICATE_KEY_MISMATCH",
      (forgeries) => (forgeries.certificate = () => ({ keys: signerKeys() })),
    ],
    [
      "for another identity",
      "IDENTITY_MISMATCH",
      (forgeries) => (forgeries.certificate = () => ({ names: [email("mallory@example.com")] })),
    ],
    [
      "for an identity that only begins like it",
      "IDENTITY_MISMATCH",
      (forgeries) => (forgeries.certificate = () => ({ names: [email("alice@example.com.evil.example")] })),
    ],
    [
      "for the identity and one more",
      "IDENTITY_MISMATCH",
      (forgeries) => (forgeries.certificate = () => ({ names: [email("alice@example.com"), dns("evil.example")] })),
    ],
    [
      "without a name",
      "IDENTITY_MISMATCH",
      (forgeries) =>
        (forgeries.certificate = () => ({ extensions: (usual) => withoutExtension(usual, OIDS.subjectAltName) })),
    ],
    [
      "of another issuer",
      "ISSUER_MISMATCH",
      (forgeries) => (forgeries.certificate = () => ({ issuer: "https://evil.example" })),
    ],
    ["that names no issuer", "ISSUER_MISMATCH", (forgeries) => (forgeries.certificate = () => ({ issuer: null }))],
    [
      "of an authority that is not trusted",
      "CERTIFICATE_ISSUER_UNKNOWN",
      (forgeries) =>
        // The key that was sent, certified by somebody who calls himself the same.
        (forgeries.certificate = (spki) => {
          const keys = { ...signerKeys(), publicKey: keyOf(spki) };
          forgeries.leaf = () => issueCertificate(makeCa(), { keys }, sandbox.ctLog).der;
          return {};
        }),
    ],
    ["without an SCT", "SCT_THRESHOLD_NOT_MET", (forgeries) => (forgeries.certificate = () => ({ ctLogs: [] }))],
    [
      "with an SCT of a log that is not trusted",
      "SCT_THRESHOLD_NOT_MET",
      (forgeries) => (forgeries.certificate = () => ({ ctLogs: [makeCtLog()] })),
    ],
    [
      "with an SCT by another key of the log",
      "SCT_INVALID",
      (forgeries) => (forgeries.certificate = () => ({ ctLogs: [{ ...makeCtLog(), logId: sandbox.ctLog.logId }] })),
    ],
    [
      "that has expired",
      "CERTIFICATE_NOT_VALID_AT_TIME",
      (forgeries) => (forgeries.certificate = () => ({ notBefore: minutes(-20), notAfter: minutes(-10) })),
    ],
    [
      "that is valid later than clocks may differ",
      "CERTIFICATE_NOT_VALID_AT_TIME",
      (forgeries) => (forgeries.certificate = () => ({ notBefore: minutes(6), notAfter: minutes(16) })),
    ],
  ])("%s", async ([, code, forge]) => {
    const { outcome, services } = await signWith(forge);
    expect(outcome).toBe(code);
    expect(services.asked()).toEqual([FULCIO_PATH]); // nothing was signed, nothing logged
  });

  test("with the SCTs of another certificate", async () => {
    const { outcome, services } = await signWith((forgeries) => {
      forgeries.certificate = (spki) => {
        const keys = { ...signerKeys(), publicKey: keyOf(spki) };
        const other = issueCertificate(sandbox.ca, { keys, names: [email("bob@example.com")] }, sandbox.ctLog);
        const { value } = parseCertificate(other.der).extensions.all.get(OIDS.sctList) ?? expect.fail();
        return {
          ctLogs: [],
          extensions: (usual) => [...usual, extension(OIDS.sctList, value)],
        };
      };
    });
    expect(outcome).toBe("SCT_INVALID");
    expect(services.asked()).toEqual([FULCIO_PATH]);
  });

  test("of an authority whose time is over, although its certificates go on", async () => {
    const ended = listCa(sandbox.ca, { end: minutes(-1) });
    const trust = parseTrustedRoot(rootText(sandbox, { certificateAuthorities: [ended] }));
    const { outcome, services } = await signWith(() => undefined, { trust });
    expect(outcome).toBe("CERTIFICATE_NOT_VALID_AT_TIME");
    expect(services.asked()).toEqual([FULCIO_PATH]);
  });

  test("but takes one whose clock is a little ahead, and says so", async () => {
    const services = makeSigningServices(sandbox);
    services.forgeries.certificate = () => ({ notBefore: minutes(2), notAfter: minutes(12) });
    services.forgeries.timestamp = (usual) => ({ ...usual, genTime: generalized(minutes(2)) });
    services.forgeries.entry = { log: sandbox.rekor1, integratedTime: minutes(2) };
    await sign(ARTIFACT, services.options());
    expect(services.events).toContainEqual({ kind: "clock-skew", milliseconds: 120_000 });
  });

  test("unless its SCTs are not asked for", async () => {
    const { outcome } = await signWith((forgeries) => (forgeries.certificate = () => ({ ctLogs: [] })), {
      sctThreshold: 0,
    });
    expect(outcome).toBe("accepted");
  });

  test("other than the one that the caller expects", async () => {
    const identity = { subjectAlternativeName: "alice@example.com", issuer: "https://accounts.example.com" };
    const outcomes = await Promise.all(
      [
        identity,
        { ...identity, subjectAlternativeName: "bob@example.com" },
        { ...identity, issuer: "https://x.test" },
      ].map(
        async (expected) => (await signWith(() => undefined, { signer: { ...KEYLESS, identity: expected } })).outcome,
      ),
    );
    expect(outcomes).toEqual(["accepted", "IDENTITY_MISMATCH", "ISSUER_MISMATCH"]);
  });
});

describe("sign takes for the holder of a token", () => {
  const KUBERNETES = { email: undefined, sub: "system:serviceaccount:builds:signer" };
  test.for([
    ["a URI that is the subject", { email: undefined, sub: "https://example.com/job" }, uri("https://example.com/job")],
    [
      "a service account of Kubernetes",
      KUBERNETES,
      uri("https://kubernetes.io/namespaces/builds/serviceaccounts/signer"),
    ],
  ] as const)("%s", async ([, claims, name]) => {
    const signer = { ...KEYLESS, identityToken: identityToken(claims) };
    const { outcome } = await signWith((forgeries) => (forgeries.certificate = () => ({ names: [name] })), { signer });
    expect(outcome).toBe("accepted");
  });

  test("but no service account of another namespace", async () => {
    const signer = { ...KEYLESS, identityToken: identityToken(KUBERNETES) };
    const other = uri("https://kubernetes.io/namespaces/other/serviceaccounts/signer");
    const { outcome } = await signWith((forgeries) => (forgeries.certificate = () => ({ names: [other] })), { signer });
    expect(outcome).toBe("IDENTITY_MISMATCH");
  });
});

describe("sign refuses a timestamp (client specification §2.1.5)", () => {
  test.for<[string, string, NonNullable<Forgeries["timestamp"]>]>([
    ["over another signature", "TIMESTAMP_IMPRINT_MISMATCH", withoutImprint],
    ["that answers another request", "TIMESTAMP_NONCE_MISMATCH", (usual) => ({ ...usual, nonce: int(7) })],
    ["without the nonce", "TIMESTAMP_NONCE_MISMATCH", withoutNonce],
    [
      "of an authority that is not trusted",
      "TIMESTAMP_THRESHOLD_NOT_MET",
      (usual) => ({ ...usual, tsa: makeTimestampAuthority("stranger").tsa }),
    ],
    [
      "with a wrong signature",
      "TIMESTAMP_SIGNATURE_INVALID",
      (usual) => ({ ...usual, signature: (bytes) => flip(bytes) }),
    ],
    [
      "of a time after the certificate",
      "CERTIFICATE_NOT_VALID_AT_TIME",
      (usual) => ({ ...usual, genTime: generalized(minutes(11)) }),
    ],
    [
      "of a time before the certificate",
      "CERTIFICATE_NOT_VALID_AT_TIME",
      (usual) => ({ ...usual, genTime: generalized(minutes(-1)) }),
    ],
  ])("%s", async ([, code, forge]) => {
    const { outcome, services } = await signWith((forgeries) => (forgeries.timestamp = forge));
    expect(outcome).toBe(code);
    expect(services.asked()).toEqual([FULCIO_PATH, TSA_PATH]); // nothing was logged
  });
});

describe("sign refuses a log entry (client specification §2.1.7)", () => {
  const other = { ...makeRekor(1, REKOR1), logId: sandbox.rekor1.logId };
  const other2 = makeRekor(2, REKOR2);
  test.for<[string, string, SigningOptions["services"], (forgeries: Forgeries) => void]>([
    [
      "about another artifact",
      "TLOG_ENTRY_MISMATCH",
      V1,
      (forgeries) =>
        (forgeries.entry = { log: sandbox.rekor1, text: (body) => body.replace(hexOf(ARTIFACT), hexOf(other.logId)) }),
    ],
    [
      "with a wrong promise",
      "TLOG_INCLUSION_PROMISE_INVALID",
      V1,
      (forgeries) =>
        (forgeries.logged = (entry) => ({ ...entry, inclusionPromise: flip(entry.inclusionPromise ?? expect.fail()) })),
    ],
    [
      "with the promise of another time",
      "TLOG_INCLUSION_PROMISE_INVALID",
      V1,
      (forgeries) => (forgeries.logged = (entry) => ({ ...entry, integratedTime: entry.integratedTime + 1n })),
    ],
    [
      "by another key of the log",
      "CHECKPOINT_NOT_SIGNED_BY_LOG",
      V1,
      (forgeries) => (forgeries.entry = { log: other }),
    ],
    [
      "of a log that is not trusted",
      "TLOG_THRESHOLD_NOT_MET",
      V1,
      (forgeries) => (forgeries.entry = { log: stranger.rekor1 }),
    ],
    ["with a wrong proof", "TLOG_INCLUSION_PROOF_INVALID", V1, (forgeries) => (forgeries.logged = withOtherHash)],
    [
      "without a proof",
      "TLOG_INCLUSION_PROOF_MISSING",
      V1,
      (forgeries) => (forgeries.entry = { log: sandbox.rekor1, proof: false }),
    ],
    [
      "about another artifact, of Rekor v2",
      "TLOG_ENTRY_MISMATCH",
      V2,
      (forgeries) =>
        (forgeries.entry = {
          log: sandbox.rekor2,
          text: (body) => body.replace(base64Of(ARTIFACT), Buffer.from(other.logId).toString("base64")),
        }),
    ],
    [
      "by another key of a log of Rekor v2",
      "TLOG_THRESHOLD_NOT_MET",
      V2,
      (forgeries) => (forgeries.entry = { log: other2 }),
    ],
    [
      "with a wrong proof, of Rekor v2",
      "TLOG_INCLUSION_PROOF_INVALID",
      V2,
      (forgeries) => (forgeries.logged = withOtherHash),
    ],
  ])("%s", async ([, code, services, forge]) => {
    const { outcome } = await signWith(forge, { services: services ?? expect.fail() });
    expect(outcome).toBe(code);
  });
});

describe("sign without trust", () => {
  test("still refuses answers about something else", async () => {
    const trust = "unsafe-none";
    const outcomes = await Promise.all([
      signWith((forgeries) => (forgeries.certificate = () => ({ names: [email("mallory@example.com")] })), { trust }),
      signWith((forgeries) => (forgeries.certificate = () => ({ notBefore: minutes(-20), notAfter: minutes(-10) })), {
        trust,
      }),
      signWith((forgeries) => (forgeries.timestamp = withoutNonce), { trust }),
      signWith((forgeries) => (forgeries.logged = withOtherHash), { trust }),
    ]);
    expect(outcomes.map(({ outcome }) => outcome)).toEqual([
      "IDENTITY_MISMATCH",
      "CERTIFICATE_NOT_VALID_AT_TIME",
      "TIMESTAMP_NONCE_MISMATCH",
      "TLOG_INCLUSION_PROOF_INVALID",
    ]);
  });

  test("has no evidence to give", async () => {
    const services = makeSigningServices(sandbox);
    services.forgeries.entry = { log: stranger.rekor1 };
    const { evidence } = await sign(ARTIFACT, services.options({ trust: "unsafe-none" }));
    expect(evidence).toBeUndefined();
  });
});

describe("sign with trust in other services", () => {
  test("names the service whose answer it cannot verify", async () => {
    const services = makeSigningServices(sandbox);
    const trust = parseTrustedRoot(rootText(sandbox, { tlogs: [listRekor(stranger.rekor1)] }));
    const error = await sign(ARTIFACT, services.options({ trust })).catch((reason: unknown) => reason);
    expect(error).toMatchObject({ code: "TLOG_THRESHOLD_NOT_MET" });
    expect(String(error)).toContain(REKOR1);
  });
});
