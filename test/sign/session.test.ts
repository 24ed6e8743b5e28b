import { createPublicKey } from "node:crypto";
import { describe, expect, test } from "vitest";

import { formatDigest } from "../../src/crypto/digest.ts";
import { generateSigner } from "../../src/keys/generate.ts";
import { encodePem } from "../../src/encoding/pem.ts";
import { parseTrustedRoot } from "../../src/trust/trusted-root.ts";
import { verify } from "../../src/verify/verifier.ts";
import { attest, sign } from "../../src/sign/sign.ts";
import type { SignerChoice, SigningOptions } from "../../src/sign/options.ts";
import { sha256, utf8 } from "../support/logs.ts";
import { ALICE, ISSUER } from "../support/sandbox/authorities.ts";
import { ARTIFACT, statementAbout } from "../support/sandbox/sandbox.ts";
import { FULCIO, KEYLESS, makeSigningServices, REKOR1, REKOR2, TSA } from "../support/signing-services.ts";
import { askSigstoreJs } from "../support/sigstore-js.ts";

const services = makeSigningServices();

const rekorOf = (generation: 0 | 1 | 2): SigningOptions["services"] => ({
  kind: "urls",
  fulcioUrl: FULCIO,
  rekor: generation === 0 ? [] : [{ url: generation === 1 ? REKOR1 : REKOR2, majorApiVersion: generation }],
  timestampUrls: [TSA],
});

/** Asks two verifiers that the signer knows nothing of: ours, from the text, and the one of sigstore-js. */
async function expectVerified(json: string, signer: SignerChoice, logged: boolean): Promise<void> {
  const trustedRoot = parseTrustedRoot(services.rootText);
  const key = signer.kind === "key" && typeof signer.signer !== "function" ? signer.signer.publicKey : undefined;
  const policy =
    key === undefined
      ? { identity: { subjectAlternativeName: ALICE, issuer: ISSUER } }
      : { keys: [{ publicKey: key }] as const };
  const thresholds = { tlog: logged ? 1 : 0, timestamp: 1 };
  await expect(verify(json, ARTIFACT, { trustedRoot, thresholds, ...policy })).resolves.toMatchObject({ setAside: [] });
  const other = askSigstoreJs({
    bundle: utf8(json),
    artifact: ARTIFACT,
    trustedRoot: utf8(services.rootText),
    signer: key === undefined ? { identity: ALICE, issuer: ISSUER } : { keyPem: encodePem("PUBLIC KEY", key.spki) },
    tlogThreshold: logged ? 1 : 0,
  });
  expect(other).toBeUndefined();
}

describe("sign and attest (client specification §2)", async () => {
  const key: SignerChoice = { kind: "key", signer: await generateSigner() };
  test.for([
    ["keyless", 1],
    ["keyless", 2],
    ["keyless", 0],
    ["key", 1],
    ["key", 2],
    ["key", 0],
  ] as const)("make bundles by %s with Rekor v%i that other verifiers accept", async ([kind, generation]) => {
    // Without a log, a keyless signature rests on the timestamp alone.
    const signer = kind === "keyless" ? KEYLESS : key;
    const options = services.options({ signer, services: rekorOf(generation) });

    const signed = await sign(ARTIFACT, options);
    expect(signed.bundle.content.kind).toBe("messageSignature");
    expect(formatDigest(signed.digest)).toBe(`sha256:${Buffer.from(sha256(ARTIFACT)).toString("hex")}`);
    await expectVerified(signed.json, signer, generation > 0);
    expect(signed.evidence?.logEntries).toHaveLength(generation > 0 ? 1 : 0);

    const attested = await attest(JSON.stringify(statementAbout(ARTIFACT)), options);
    expect(attested.bundle.content.kind).toBe("dsseEnvelope");
    await expectVerified(attested.json, signer, generation > 0);
    const [entry] = attested.bundle.verificationMaterial.tlogEntries;
    expect(entry?.kindVersion).toEqual(
      [undefined, { kind: "dsse", version: "0.0.1" }, { kind: "hashedrekord", version: "0.0.2" }][generation],
    );
  });

  test("tell every step to the observer, in the order of the specification", async () => {
    const own = makeSigningServices();
    await sign(ARTIFACT, own.options());
    expect(own.events.map(({ kind }) => kind)).toEqual([
      "services-selected",
      "artifact-read",
      "token-checked",
      "certificate-requesting",
      "certificate-verified",
      "signed",
      "timestamp-requesting",
      "timestamp-verified",
      "entry-submitting",
      "entry-verified",
      "bundle-verified",
    ]);
  });

  test("give the hint of a key as cosign does", async () => {
    const { bundle } = await sign(ARTIFACT, services.options({ signer: key, services: rekorOf(1) }));
    const { publicKey } = key.kind === "key" && typeof key.signer !== "function" ? key.signer : expect.fail();
    const spki = createPublicKey(encodePem("PUBLIC KEY", publicKey.spki)).export({ type: "spki", format: "der" });
    expect(bundle.verificationMaterial.content).toEqual({
      kind: "publicKey",
      hint: Buffer.from(sha256(spki)).toString("base64"),
    });
  });
});
