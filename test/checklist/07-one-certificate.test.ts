import { describe, expect, test } from "vitest";
import { basicConstraints, email, extKeyUsage, keyUsage, name, OIDS, withExtension } from "../support/certificates.ts";
import { change } from "../support/json-edits.ts";
import { base64 } from "../support/logs.ts";
import { outcomeOf } from "../support/outcome.ts";
import {
  issueCertificate,
  listTsa,
  makeCa,
  makeTimestampAuthority,
  signerKeys,
  timestamp,
  type IssuedCertificate,
} from "../support/sandbox/authorities.ts";
import {
  bundleFrom,
  edited,
  makeSandbox,
  verifyIn,
  type BundleOptions,
  type Demand,
  type SandboxBundle,
} from "../support/sandbox/sandbox.ts";
import { makeTimestamp, makeTsa, type Tsa } from "../support/timestamps.ts";

const sandbox = makeSandbox();
const alice = issueCertificate(sandbox.ca, {}, sandbox.ctLog);
const chained: Demand = { options: { allowCertificateChain: true } };
const outcome = (options: BundleOptions, demand: Demand = {}): ReturnType<typeof outcomeOf> =>
  outcomeOf(verifyIn(sandbox, bundleFrom(sandbox, options), demand));

/** A certificate in Alice's name that nobody trusted issued. */
const forged = issueCertificate(makeCa(), {}, sandbox.ctLog);

describe("checklist 7: one certificate object", () => {
  describe("of the signer", () => {
    test("the certificate whose chain is built is the one whose key signed, not another of the bundle", async () => {
      expect(await outcome({ signer: alice, chain: [forged.der] }, chained)).toBe("accepted");
      expect(await outcome({ signer: forged, chain: [alice.der] }, chained)).toBe("CERTIFICATE_ISSUER_UNKNOWN");
      const signedByForger: IssuedCertificate = { der: alice.der, keys: forged.keys };
      expect(await outcome({ signer: signedByForger, chain: [forged.der] }, chained)).toBe("SIGNATURE_INVALID");
    });

    test("the certificate whose name is compared is the one whose key signed", async () => {
      const bob = issueCertificate(sandbox.ca, { names: [email("bob@example.com")] }, sandbox.ctLog);
      expect(await outcome({ signer: bob, chain: [alice.der] }, chained)).toBe("IDENTITY_MISMATCH");
    });

    test("the certificate whose usage is checked is the one whose key signed", async () => {
      const forTls = issueCertificate(
        sandbox.ca,
        { extensions: (usual) => withExtension(usual, extKeyUsage([OIDS.serverAuth])) },
        sandbox.ctLog,
      );
      expect(await outcome({ signer: forTls })).toBe("CERTIFICATE_USAGE_INVALID");
      expect(await outcome({ signer: forTls, chain: [alice.der] }, chained)).toBe("CERTIFICATE_USAGE_INVALID");
    });

    test("an authority's certificate signs no artifact", async () => {
      const authority = issueCertificate(
        sandbox.ca,
        { extensions: (usual) => withExtension(withExtension(usual, basicConstraints(true)), keyUsage(0x84)) },
        sandbox.ctLog,
      );
      expect(await outcome({ signer: authority })).toBe("CERTIFICATE_USAGE_INVALID");
    });

    test("a signer's certificate issues none", async () => {
      const subject = name({ CN: "Alice" });
      const signer = issueCertificate(sandbox.ca, { subject }, sandbox.ctLog);
      const below = issueCertificate(
        { ...sandbox.ca, intermediate: { name: subject, keys: signer.keys, der: signer.der } },
        {},
        sandbox.ctLog,
      );
      expect(await outcome({ signer: below, chain: [signer.der] }, chained)).toBe("CERTIFICATE_USAGE_INVALID");
    });

    test("a root certificate is refused in a bundle, whoever else is in the chain", async () => {
      for (const version of ["0.1", "0.3"] as const) {
        expect(
          await outcome({ version, signer: alice, chain: [sandbox.ca.intermediate.der, sandbox.ca.root.der] }, chained),
        ).toBe("BUNDLE_MALFORMED");
      }
      expect(await outcome({ version: "0.1", signer: alice, chain: [sandbox.ca.intermediate.der] })).toBe("accepted");
    });

    test("nothing that a bundle brings makes an authority", async () => {
      const stranger = makeCa({ commonName: "stranger" });
      const theirs = issueCertificate(stranger, {}, sandbox.ctLog);
      expect(await outcome({ signer: theirs, chain: [stranger.intermediate.der] }, chained)).toBe(
        "CERTIFICATE_ISSUER_UNKNOWN",
      );
    });
  });

  describe("of the timestamp authority", () => {
    const { tsa, root } = sandbox.tsa;
    const bundle = bundleFrom(sandbox);
    const withToken = (token: Uint8Array): SandboxBundle =>
      edited(bundle, (json) =>
        change(
          json,
          "verificationMaterial.timestampVerificationData.rfc3161Timestamps.0.signedTimestamp",
          base64(token),
        ),
      );
    const ask = (token: Uint8Array, demand: Demand = {}): ReturnType<typeof outcomeOf> =>
      outcomeOf(verifyIn(sandbox, withToken(token), { ...demand, options: { thresholds: { timestamp: 1 } } }));
    const data = bundle.signature;

    test("is accepted when all of it means one certificate", async () => {
      expect(await ask(timestamp(sandbox.tsa, data))).toBe("accepted");
    });

    test("a genuine certificate beside another's signature proves nothing", async () => {
      const forger: Tsa = { ...tsa, party: { ...tsa.party, keys: signerKeys() } };
      expect(await ask(makeTimestamp({ tsa: forger, data }))).toBe("TIMESTAMP_SIGNATURE_INVALID");
    });

    test("a forged certificate beside the genuine one proves nothing", async () => {
      const stranger = makeTimestampAuthority(); // with the same names
      const both = [stranger.tsa.party.der, tsa.party.der];
      expect(await ask(makeTimestamp({ tsa: stranger.tsa, data, certificates: both }))).toBe(
        "TIMESTAMP_THRESHOLD_NOT_MET",
      );
      expect(await ask(makeTimestamp({ tsa: stranger.tsa, data, certificates: both.toReversed() }))).toBe(
        "TIMESTAMP_THRESHOLD_NOT_MET",
      );
    });

    describe("where the root lists the issuer alone", () => {
      const lists = {
        timestampAuthorities: [
          change(listTsa(sandbox.tsa), "certChain.certificates", [{ rawBytes: base64(root.der) }]),
        ],
      };

      test("the signer's own certificate is what is checked, not a better one beside it", async () => {
        const usual = makeTsa({ issuer: root });
        const wrong = makeTsa({
          issuer: root,
          extensions: (list) => withExtension(list, extKeyUsage([OIDS.codeSigning], true)),
        });
        expect(await ask(makeTimestamp({ tsa: usual, data }), { root: lists })).toBe("accepted");
        expect(
          await ask(makeTimestamp({ tsa: wrong, data, certificates: [wrong.party.der, usual.party.der] }), {
            root: lists,
          }),
        ).toBe("TIMESTAMP_CERTIFICATE_INVALID");
        expect(
          await ask(makeTimestamp({ tsa: wrong, data, certificates: [usual.party.der, wrong.party.der] }), {
            root: lists,
          }),
        ).toBe("TIMESTAMP_CERTIFICATE_INVALID");
      });
    });
  });
});
