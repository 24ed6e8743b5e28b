import { beforeEach, describe, expect, test } from "vitest";
import { parseRekorBundle } from "../../../src/bundle/legacy.ts";
import type { DetachedSignature } from "../../../src/oci/legacy/detached-signature.ts";
import { verifyImage } from "../../../src/oci/verification/verify-image.ts";
import {
  ImageNotVerifiedError,
  type ImageVerifierOptions,
  type VerifiedImage,
  type VerifyImagePolicy,
} from "../../../src/oci/verification/verified-image.ts";
import { parseCertificate } from "../../../src/x509/certificate.ts";
import {
  HOST,
  openImages,
  OTHER_DIGEST,
  payloadFor,
  REPOSITORY,
  statementFor,
  type ImageWorld,
  type TestDescriptor,
} from "../../support/images.ts";
import { legacyOf } from "../../support/legacy.ts";
import { utf8 } from "../../support/logs.ts";
import { refusal } from "../../support/outcome.ts";
import { issueCertificate, makeCa } from "../../support/sandbox/authorities.ts";
import { ALICE_SIGNED, bundleFrom, makeSandbox, rootOf, type BundleOptions } from "../../support/sandbox/sandbox.ts";

const sandbox = makeSandbox();
const NAME = `${HOST}/${REPOSITORY}:v1`;

let world: ImageWorld;
let image: TestDescriptor;
beforeEach(async () => {
  world = openImages(sandbox);
  image = await world.image("app", "v1");
});

type Changes = Partial<ImageVerifierOptions & VerifyImagePolicy>;

async function verified(changes: Changes): Promise<VerifiedImage> {
  return await verifyImage(NAME, { ...world.options(), ...ALICE_SIGNED, ...changes } as ImageVerifierOptions &
    VerifyImagePolicy);
}

async function codesOf(verification: Promise<unknown>): Promise<readonly string[]> {
  const error = await refusal(verification);
  return [error.code, ...(error instanceof ImageNotVerifiedError ? error.refused.map((one) => one.error.code) : [])];
}

/** A signature over a payload, in parts. */
function detached(payload: string, options: BundleOptions = {}): DetachedSignature & { readonly der: Uint8Array } {
  const bundle = bundleFrom(sandbox, { artifact: utf8(payload), ...options });
  const { bundle: old } = legacyOf(bundle.json);
  const der = bundle.certificate ?? new Uint8Array(0);
  return {
    der,
    signature: bundle.signature,
    payload: utf8(payload),
    ...(der.length > 0 && { signer: { kind: "certificate", certificate: parseCertificate(der) } }),
    tlogEntries: [parseRekorBundle(JSON.stringify(old["rekorBundle"]))],
  };
}

describe("detachedSignatures", () => {
  test("are judged as those that are attached are, and nothing is asked for but the image", async () => {
    const found = await verified({ detachedSignatures: [detached(payloadFor(image.digest))] });
    expect(found.signatures.map(({ place, manifest, format }) => [place, manifest, format])).toEqual([
      ["detached", undefined, "legacy"],
    ]);
    expect(found.places).toEqual([
      { place: "detached", location: "signatures of the caller", outcome: "found", skipped: [] },
    ]);
    expect(world.requests).toEqual([`GET /v2/${REPOSITORY}/manifests/v1`]);
  });

  test("take the place of what is attached, good as it may be", async () => {
    await world.attachBundle(image, bundleFrom(sandbox, { statement: statementFor(image.digest) }).text);
    const other = detached(payloadFor(OTHER_DIGEST));
    expect(await codesOf(verified({ detachedSignatures: [other] }))).toEqual([
      "SIGNATURE_NOT_ACCEPTED",
      "SUBJECT_MISMATCH",
    ]);
    expect(await codesOf(verified({ detachedSignatures: [] }))).toEqual(["SIGNATURE_NOT_FOUND"]);
    await verified({});
  });

  test("are over what cosign signs for the image where they come without a payload", async () => {
    // As cosign writes it: compact, in this order, without annotations.
    const { payload: _payload, ...usual } = detached(payloadFor(image.digest));
    await verified({ detachedSignatures: [usual] });
    const { payload: _annotated, ...annotated } = detached(payloadFor(image.digest, { optional: { a: "b" } }));
    expect(await codesOf(verified({ detachedSignatures: [annotated] }))).toEqual([
      "SIGNATURE_NOT_ACCEPTED",
      "SIGNATURE_INVALID",
    ]);
  });

  test("need a certificate where an identity is expected, and an entry of a log", async () => {
    const { signer: _signer, ...keyed } = detached(payloadFor(image.digest));
    expect(await codesOf(verified({ detachedSignatures: [keyed] }))).toEqual([
      "CERTIFICATE_MISSING",
      "CERTIFICATE_MISSING",
    ]);
    const { tlogEntries: _entries, ...unlogged } = detached(payloadFor(image.digest));
    expect(await codesOf(verified({ detachedSignatures: [unlogged] }))).toEqual([
      "SIGNATURE_NOT_ACCEPTED",
      "TLOG_THRESHOLD_NOT_MET",
    ]);
  });

  test("are no bundles and no attestations", async () => {
    const one = detached(payloadFor(image.digest));
    expect(await codesOf(verified({ format: "bundle", detachedSignatures: [one] }))).toEqual(["USAGE_INVALID"]);
    const { signature } = legacyOf(bundleFrom(sandbox, { statement: statementFor(image.digest) }).json);
    expect(await codesOf(verified({ detachedSignatures: [{ signature }] }))).toEqual(["BUNDLE_MALFORMED"]);
  });

  test("come with the chain of their certificate, of which the root is not believed", async () => {
    const signer = { signer: issueCertificate(sandbox.ca, {}, sandbox.ctLog) };
    const one = detached(payloadFor(image.digest), signer);
    const { intermediate, root } = sandbox.ca;
    const trust = onlyRootOf(sandbox.ca);
    expect(await codesOf(verified({ trust, detachedSignatures: [one] }))).toEqual([
      "SIGNATURE_NOT_ACCEPTED",
      "CERTIFICATE_ISSUER_UNKNOWN",
    ]);
    await verified({ trust, detachedSignatures: [{ ...one, chain: [intermediate.der, root.der] }] });
    await verified({ trust, detachedSignatures: [{ ...one, intermediates: [parseCertificate(intermediate.der)] }] });
    const stranger = makeCa();
    const own = detached(payloadFor(image.digest), { signer: issueCertificate(stranger, {}, sandbox.ctLog) });
    const chain = [stranger.intermediate.der, stranger.root.der];
    expect(await codesOf(verified({ detachedSignatures: [{ ...own, chain }] }))).toEqual([
      "SIGNATURE_NOT_ACCEPTED",
      "CERTIFICATE_ISSUER_UNKNOWN",
    ]);
  });
});

/** A trusted root that lists the root alone, so that who verifies must get the intermediate from elsewhere. */
function onlyRootOf(ca: ReturnType<typeof makeCa>): ImageVerifierOptions["trust"] {
  const root = rootOf(sandbox);
  return {
    ...root,
    certificateAuthorities: root.certificateAuthorities.map((authority) => ({
      ...authority,
      certificates: [parseCertificate(ca.root.der)],
    })),
  };
}

describe("legacyMaterial", () => {
  const attach = async (options: BundleOptions = {}, annotations = {}): Promise<void> =>
    void (await world.putLayers(image, "sig", [
      await world.legacySignature(payloadFor(image.digest), options, annotations),
    ]));

  test("intermediates lead from a certificate to a root, and what is attached does not", async () => {
    await attach();
    const trust = onlyRootOf(sandbox.ca);
    const intermediates = [parseCertificate(sandbox.ca.intermediate.der)];
    // The chain in the annotation has the same intermediate in it.
    expect(await codesOf(verified({ trust }))).toEqual(["SIGNATURE_NOT_ACCEPTED", "CERTIFICATE_ISSUER_UNKNOWN"]);
    await verified({ trust, legacyMaterial: { intermediates } });
    await verified({ trust, allowCertificateChain: true });
    const other = [parseCertificate(makeCa().intermediate.der)];
    expect(await codesOf(verified({ trust, legacyMaterial: { intermediates: other } }))).toEqual([
      "SIGNATURE_NOT_ACCEPTED",
      "CERTIFICATE_ISSUER_UNKNOWN",
    ]);
  });

  test("certificate is that of a signature that comes without one", async () => {
    const signer = issueCertificate(sandbox.ca, {}, sandbox.ctLog);
    await attach({ signer }, { "dev.sigstore.cosign/certificate": undefined, "dev.sigstore.cosign/chain": undefined });
    expect(await codesOf(verified({}))).toEqual(["CERTIFICATE_MISSING", "CERTIFICATE_MISSING"]);
    await verified({ legacyMaterial: { certificate: parseCertificate(signer.der) } });
    const other = issueCertificate(sandbox.ca, {}, sandbox.ctLog);
    expect(await codesOf(verified({ legacyMaterial: { certificate: parseCertificate(other.der) } }))).toEqual([
      "SIGNATURE_NOT_ACCEPTED",
      "SIGNATURE_INVALID",
    ]);
  });

  test.for(["bundle", "legacy"] as const)(
    "certificate must be that of a signature as %s that has one",
    async (form) => {
      const signer = issueCertificate(sandbox.ca, {}, sandbox.ctLog);
      if (form === "legacy") await attach({ signer });
      else await world.attachBundle(image, bundleFrom(sandbox, { signer, statement: statementFor(image.digest) }).text);
      await verified({ legacyMaterial: { certificate: parseCertificate(signer.der) } });
      const other = parseCertificate(issueCertificate(sandbox.ca, {}, sandbox.ctLog).der);
      expect(await codesOf(verified({ legacyMaterial: { certificate: other } }))).toEqual([
        "SIGNATURE_NOT_ACCEPTED",
        "CERTIFICATE_MISMATCH",
      ]);
    },
  );
});
