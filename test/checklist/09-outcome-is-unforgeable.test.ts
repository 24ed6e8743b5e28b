import { describe, expect, test } from "vitest";
import { parseBundle } from "../../src/bundle/bundle.ts";
import { parseTrustedRoot } from "../../src/trust/trusted-root.ts";
import type { VerifierOptions, VerifyPolicy } from "../../src/verify/options.ts";
import { Verifier } from "../../src/verify/verifier.ts";
import { parseDetachedSct } from "../../src/x509/sct.ts";
import { makeAuthority, name } from "../support/certificates.ts";
import { change } from "../support/json-edits.ts";
import { base64, flip, utf8 } from "../support/logs.ts";
import { outcomeOf } from "../support/outcome.ts";
import {
  ALICE,
  detachedSct,
  ISSUER,
  issueCertificate,
  listCa,
  listCtLog,
  makeCa,
  makeCtLog,
  minutes,
  NOW,
  signerKeys,
  YEARS_AGO,
  YEARS_AHEAD,
  type CtLog,
} from "../support/sandbox/authorities.ts";
import {
  ALICE_SIGNED,
  ARTIFACT,
  bundleFrom,
  edited,
  makeSandbox,
  PREDICATE_TYPE,
  rootOf,
  rootText,
  statementAbout,
  verifyIn,
} from "../support/sandbox/sandbox.ts";

const sandbox = makeSandbox();
const signer = issueCertificate(sandbox.ca, {}, sandbox.ctLog);
const message = bundleFrom(sandbox, { signer });
const statement = bundleFrom(sandbox, { signer, statement: statementAbout(ARTIFACT) });
const bob: VerifyPolicy = { identity: { subjectAlternativeName: "bob@example.com", issuer: ISSUER } };
const create = (options?: VerifierOptions): Promise<Verifier> => Verifier.create(rootOf(sandbox), options);

describe("checklist 9: outcome is unforgeable", () => {
  describe("what was proven of a certificate before changes no outcome", () => {
    // Each question is put to a verifier that never saw the certificate, to one that accepted it, and to one that refused it.
    const QUESTIONS = [
      ["the same again", message.text, ARTIFACT, ALICE_SIGNED, "accepted"],
      ["another content", statement.text, ARTIFACT, ALICE_SIGNED, "accepted"],
      ["another identity", message.text, ARTIFACT, bob, "IDENTITY_MISMATCH"],
      [
        "another issuer",
        message.text,
        ARTIFACT,
        { identity: { subjectAlternativeName: ALICE, issuer: "x" } },
        "ISSUER_MISMATCH",
      ],
      ["another artifact", message.text, utf8("another"), ALICE_SIGNED, "ARTIFACT_DIGEST_MISMATCH"],
      ["another subject", statement.text, utf8("another"), ALICE_SIGNED, "SUBJECT_MISMATCH"],
      [
        "another predicate type",
        statement.text,
        ARTIFACT,
        { ...ALICE_SIGNED, predicateType: `${PREDICATE_TYPE}2` },
        "PREDICATE_TYPE_MISMATCH",
      ],
      [
        "another signature",
        edited(bundleFrom(sandbox, { signer, timestamps: [] }), (json) =>
          change(json, "messageSignature.signature", base64(flip(message.signature))),
        ).text,
        ARTIFACT,
        ALICE_SIGNED,
        "SIGNATURE_INVALID",
      ],
      [
        "another key's signature",
        bundleFrom(sandbox, { signer: { der: signer.der, keys: issueCertificate(sandbox.ca, {}, sandbox.ctLog).keys } })
          .text,
        ARTIFACT,
        ALICE_SIGNED,
        "SIGNATURE_INVALID",
      ],
      [
        "another time",
        bundleFrom(sandbox, { signer, timestamps: [{ time: minutes(30) }] }).text,
        ARTIFACT,
        ALICE_SIGNED,
        "CERTIFICATE_NOT_VALID_AT_TIME",
      ],
      [
        "no log entry",
        bundleFrom(sandbox, { signer, entries: [] }).text,
        ARTIFACT,
        ALICE_SIGNED,
        "TLOG_THRESHOLD_NOT_MET",
      ],
      [
        "a certificate that differs in one bit",
        edited(message, (json) => change(json, "verificationMaterial.certificate.rawBytes", base64(flip(signer.der))))
          .text,
        ARTIFACT,
        ALICE_SIGNED,
        "CERTIFICATE_SIGNATURE_INVALID",
      ],
    ] as const satisfies readonly (readonly [string, string, Uint8Array, VerifyPolicy, string])[];

    test.each(QUESTIONS)("%s", async (_, text, artifact, policy, code) => {
      const fresh = await create();
      const trusting = await create();
      await trusting.verify(message.text, ARTIFACT, ALICE_SIGNED);
      const refusing = await create();
      await outcomeOf(refusing.verify(message.text, ARTIFACT, bob));
      for (const verifier of [fresh, trusting, refusing]) {
        expect(await outcomeOf(verifier.verify(text, artifact, policy))).toBe(code);
        expect(await outcomeOf(verifier.verify(text, artifact, policy)), "again").toBe(code);
      }
    });

    test("nor the evidence", async () => {
      const verifier = await create();
      const first = await verifier.verify(message.text, ARTIFACT, ALICE_SIGNED);
      const second = await verifier.verify(message.text, ARTIFACT, ALICE_SIGNED);
      expect(second).toEqual(first);
    });

    test("under another trusted root", async () => {
      await (await create()).verify(message.text, ARTIFACT, ALICE_SIGNED);
      const others = makeSandbox();
      const verifier = await Verifier.create(
        parseTrustedRoot(rootText(sandbox, { certificateAuthorities: [], tlogs: undefined as never })),
      );
      expect(await outcomeOf(verifier.verify(message.text, ARTIFACT, ALICE_SIGNED))).toBe("CERTIFICATE_ISSUER_UNKNOWN");
      expect(
        await outcomeOf((await Verifier.create(rootOf(others))).verify(message.text, ARTIFACT, ALICE_SIGNED)),
      ).toBe("TLOG_THRESHOLD_NOT_MET");
    });

    test("of SCTs that were set aside: they are looked at again", async () => {
      const stranger = makeCtLog();
      const twice = bundleFrom(sandbox, { signer: { request: { ctLogs: [stranger, sandbox.ctLog] } } });
      const verifier = await create();
      for (let run = 0; run < 2; run++) {
        const { setAside, signer: proven } = await verifier.verify(twice.text, ARTIFACT, ALICE_SIGNED);
        expect(setAside.map(({ what }) => what)).toEqual(["signed-certificate-timestamp"]);
        expect(proven).toMatchObject({ signedCertificateTimestamps: [{ logId: sandbox.ctLog.logId }] });
      }
      const both = await Verifier.create(rootOf(sandbox, { ctlogs: [listCtLog(stranger), listCtLog(sandbox.ctLog)] }), {
        thresholds: { sct: 2 },
      });
      for (let run = 0; run < 2; run++)
        expect(await outcomeOf(both.verify(twice.text, ARTIFACT, ALICE_SIGNED))).toBe("accepted");
    });

    test("of SCTs that did not hold: they are looked at again", async () => {
      const impostor = { keys: signerKeys(), logId: sandbox.ctLog.logId };
      const wrong = bundleFrom(sandbox, { signer: { request: { ctLogs: [sandbox.ctLog, impostor] } } });
      const verifier = await create();
      for (let run = 0; run < 2; run++) {
        expect(await outcomeOf(verifier.verify(wrong.text, ARTIFACT, ALICE_SIGNED))).toBe("SCT_INVALID");
      }
    });

    test("of detached SCTs: they count for the question that brought them", async () => {
      const other = makeCtLog();
      const detached = (...logs: readonly CtLog[]): VerifyPolicy => ({
        ...ALICE_SIGNED,
        detachedScts: logs.map((log) => parseDetachedSct(detachedSct(log, signer.der))),
      });
      const root = rootOf(sandbox, { ctlogs: [listCtLog(sandbox.ctLog), listCtLog(other)] });
      const ask = async (verifier: Verifier, policy: VerifyPolicy): Promise<string> =>
        await outcomeOf(verifier.verify(message.text, ARTIFACT, policy));

      const bringing = await Verifier.create(root, { thresholds: { sct: 2 } });
      expect(await ask(bringing, detached(other))).toBe("accepted");
      expect(await ask(bringing, ALICE_SIGNED)).toBe("SCT_THRESHOLD_NOT_MET");
      expect(await ask(bringing, detached(other))).toBe("accepted");

      const remembering = await Verifier.create(root);
      expect(await ask(remembering, ALICE_SIGNED)).toBe("accepted");
      expect(await ask(remembering, detached({ keys: signerKeys(), logId: other.logId }))).toBe("SCT_INVALID");
    });

    test("of intermediates that one bundle brought: the next one has to bring them too", async () => {
      const sub = makeAuthority({ issuer: sandbox.ca.intermediate, subject: name({ O: "Example", CN: "sub" }) });
      const under = issueCertificate({ ...sandbox.ca, intermediate: sub }, {}, sandbox.ctLog);
      const verifier = await create({ allowCertificateChain: true });
      const ask = (chain: readonly Uint8Array[]): Promise<string> =>
        outcomeOf(
          verifier.verify(bundleFrom(sandbox, { version: "0.1", signer: under, chain }).text, ARTIFACT, ALICE_SIGNED),
        );
      expect([await ask([sub.der]), await ask([]), await ask([sub.der])]).toEqual([
        "accepted",
        "CERTIFICATE_ISSUER_UNKNOWN",
        "accepted",
      ]);
    });

    test("of a certificate: intermediates that a later bundle brings for it are looked at", async () => {
      const expiring = makeCa({ intermediate: { notAfter: minutes(5) } });
      const renewed = makeAuthority({
        issuer: expiring.root,
        subject: expiring.intermediate.name,
        keys: expiring.intermediate.keys,
      });
      const longLived = issueCertificate(expiring, { notAfter: YEARS_AHEAD }, sandbox.ctLog);
      const root = rootOf(sandbox, { certificateAuthorities: [listCa(expiring)] });
      const verifier = await Verifier.create(root, { allowCertificateChain: true });
      const ask = (time: Date, chain: readonly Uint8Array[]): Promise<string> => {
        const bundle = bundleFrom(sandbox, {
          version: "0.1",
          signer: longLived,
          chain,
          entries: [{ log: sandbox.rekor1, integratedTime: time }],
          timestamps: [],
        });
        return outcomeOf(verifier.verify(bundle.text, ARTIFACT, ALICE_SIGNED));
      };
      expect(await ask(NOW, [])).toBe("accepted");
      expect(await ask(minutes(10), [])).toBe("CERTIFICATE_NOT_VALID_AT_TIME");
      expect(await ask(minutes(10), [renewed.der])).toBe("accepted");
    });

    test("of a signer who was denied since", async () => {
      const denied = new Set<string>();
      const denyList: VerifierOptions["denyList"] = (one) =>
        one.kind === "certificate" && denied.has(base64(one.certificate.bytes)) ? "stolen" : undefined;
      const verifier = await create({ denyList });
      expect(await outcomeOf(verifier.verify(message.text, ARTIFACT, ALICE_SIGNED))).toBe("accepted");
      denied.add(base64(signer.der));
      expect(await outcomeOf(verifier.verify(message.text, ARTIFACT, ALICE_SIGNED))).toBe("CERTIFICATE_REVOKED");
      denied.clear();
      expect(await outcomeOf(verifier.verify(message.text, ARTIFACT, ALICE_SIGNED))).toBe("accepted");
    });

    test("many at once give each its own outcome", async () => {
      const verifier = await create();
      const policies = Array.from({ length: 20 }, (_, index) => (index % 2 === 0 ? ALICE_SIGNED : bob));
      const outcomes = await Promise.all(
        policies.map((policy) => outcomeOf(verifier.verify(message.text, ARTIFACT, policy))),
      );
      expect(outcomes).toEqual(policies.map((policy) => (policy === bob ? "IDENTITY_MISMATCH" : "accepted")));
    });
  });

  describe("what a bundle claims of itself is nothing", () => {
    test.each([
      ["verified", true],
      ["checks", []],
      ["trust", { kind: "caller" }],
    ])("a field %s is refused", async (field, value) => {
      const claiming = edited(message, (json) => change(json, field, value));
      expect(await outcomeOf(verifyIn(sandbox, claiming))).toBe("BUNDLE_MALFORMED");
    });

    test("a parsed bundle with such fields is verified like any other", async () => {
      const parsed = { ...parseBundle(message.text), verified: true, signer: { kind: "certificate" }, unproven: [] };
      const verifier = await create();
      expect(await outcomeOf(verifier.verify(parsed, ARTIFACT, ALICE_SIGNED))).toBe("accepted");
      expect(await outcomeOf(verifier.verify(parsed, ARTIFACT, bob))).toBe("IDENTITY_MISMATCH");
      expect(await outcomeOf(verifier.verify(parsed, utf8("another"), ALICE_SIGNED))).toBe("ARTIFACT_DIGEST_MISMATCH");
    });
  });

  test("a bundle that was parsed before gives the evidence of its text", async () => {
    const verifier = await create();
    const ofText = await verifier.verify(message.text, ARTIFACT, ALICE_SIGNED);
    expect(await (await create()).verify(parseBundle(message.text), ARTIFACT, ALICE_SIGNED)).toEqual(ofText);
    expect(await (await create()).verify(utf8(message.text), ARTIFACT, ALICE_SIGNED)).toEqual(ofText);
  });

  test("a long-lived certificate is looked at anew at each current time", async () => {
    const longLived = bundleFrom(sandbox, { signer: { request: { notBefore: YEARS_AGO, notAfter: YEARS_AHEAD } } });
    const at = (now: Date): Promise<string> =>
      outcomeOf(verifyIn(sandbox, longLived, { options: { time: { kind: "current-time", now } } }));
    expect([await at(minutes(60)), await at(new Date("2040-01-01T00:00:00Z"))]).toEqual([
      "accepted",
      "CERTIFICATE_NOT_VALID_AT_TIME",
    ]);
  });
});
