import { readdirSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { beforeAll, describe, expect, test } from "vitest";

import { parsePublicKeyPem } from "../../../src/crypto/public-key.ts";
import { openLayout } from "../../../src/oci/layout/layout.ts";
import { readLegacyLayer, toLegacyLayer } from "../../../src/oci/legacy/legacy-layer.ts";
import { parseManifest, type Descriptor } from "../../../src/oci/manifest.ts";
import { parseSimpleSigning, serializeSimpleSigning } from "../../../src/oci/legacy/simple-signing.ts";
import { verifyImage, verifyImageAttestation } from "../../../src/oci/verification/verify-image.ts";
import type {
  ImageVerifierOptions,
  VerifiedImage,
  VerifyImageAttestationPolicy,
  VerifyImagePolicy,
} from "../../../src/oci/verification/verified-image.ts";
import { parseTrustedRoot } from "../../../src/trust/trusted-root.ts";
import type { ExpectedSigner } from "../../../src/verify/options.ts";
import { HOST, openImages, type ImageWorld } from "../../support/images.ts";
import { jsonFile, textFile } from "../../support/json-edits.ts";
import { outcomeOf } from "../../support/outcome.ts";
import { makeSandbox } from "../../support/sandbox/sandbox.ts";

const FOLDER = new URL("../../../testdata/image/", import.meta.url);
const trust = parseTrustedRoot(textFile("image/trusted_root.json"));
const ALICE: ExpectedSigner = {
  identity: { subjectAlternativeName: "alice@example.com", issuer: "http://127.0.0.1:4400" },
};
const KEY: ExpectedSigner = { keys: [{ publicKey: parsePublicKeyPem(textFile("image/cosign.pub")) }] };
const CUSTOM = "https://cosign.sigstore.dev/attestation/v1";

interface Listed {
  readonly mediaType: string;
  readonly digest: string;
  readonly annotations?: Readonly<Record<string, string>>;
}
const listed = jsonFile("image/index.json")["manifests"] as readonly Listed[];
const tagOf = ({ annotations }: Listed): string | undefined => annotations?.["org.opencontainers.image.ref.name"];
const blob = (digest: string): Buffer => readFileSync(new URL(`blobs/sha256/${digest.slice(7)}`, FOLDER));

let world: ImageWorld;
beforeAll(async () => {
  world = openImages(makeSandbox());
  for (const name of readdirSync(new URL("blobs/sha256/", FOLDER))) await world.blob(blob(`sha256:${name}`), "any");
  for (const one of listed)
    await world.registry.ask(`/v2/app/manifests/${tagOf(one) ?? one.digest}`, {
      method: "PUT",
      headers: { "content-type": one.mediaType },
      body: blob(one.digest),
    });
});

type Changes = Partial<ImageVerifierOptions & VerifyImagePolicy>;

async function verified(tag: string, changes: Changes): Promise<VerifiedImage> {
  const name = `${HOST}/app:${tag}`;
  const options = { ...world.options({ trust }), ...changes };
  if (changes.predicateType === undefined) return await verifyImage(name, options);
  return await verifyImageAttestation(name, options as ImageVerifierOptions & VerifyImageAttestationPolicy);
}

const UNLOGGED = { thresholds: { tlog: 0 } };
const TIMESTAMPED = { thresholds: { timestamp: 1 } };
const ATTESTATION = { predicateType: CUSTOM };

describe("verifyImage and verifyImageAttestation, of what the real cosign attached", () => {
  test.for<readonly [string, Changes, string]>([
    ["cosign3", { ...ALICE, annotations: { env: "prod" } }, "accepted"],
    ["cosign3", { ...ALICE, annotations: { env: "test" } }, "SIGNATURE_NOT_ACCEPTED"],
    ["cosign3", { ...ALICE, format: "legacy" }, "SIGNATURE_NOT_FOUND"],
    ["cosign3", { ...ALICE, ...TIMESTAMPED }, "accepted"],
    ["cosign3", { ...ALICE, ...ATTESTATION }, "accepted"],
    ["cosign3", { ...ALICE, predicateType: "https://slsa.dev/provenance/v1" }, "ATTESTATION_NOT_ACCEPTED"],
    ["cosign3-rekor1", ALICE, "accepted"],
    ["cosign3-rekor1", { ...ALICE, ...TIMESTAMPED }, "accepted"],
    ["oci11", { ...ALICE, ...TIMESTAMPED }, "SIGNATURE_NOT_ACCEPTED"],
    ["cosign3-key", { ...KEY, ...UNLOGGED }, "accepted"],
    ["cosign3-key", KEY, "SIGNATURE_NOT_ACCEPTED"],
    ["cosign3-key", { ...ALICE, ...UNLOGGED }, "CERTIFICATE_MISSING"],
    ["cosign2", { ...ALICE, annotations: { env: "prod" } }, "accepted"],
    ["cosign2", { ...ALICE, annotations: { env: "test" } }, "SIGNATURE_NOT_ACCEPTED"],
    ["cosign2", { ...ALICE, format: "bundle" }, "SIGNATURE_NOT_FOUND"],
    ["cosign2", { ...ALICE, ...TIMESTAMPED }, "accepted"],
    ["cosign2", KEY, "SIGNATURE_NOT_ACCEPTED"],
    ["cosign2", { ...ALICE, ...ATTESTATION }, "accepted"],
    ["cosign2", { ...ALICE, ...ATTESTATION, ...TIMESTAMPED }, "accepted"],
    ["cosign2-key", { ...KEY, ...UNLOGGED }, "accepted"],
    ["cosign2-key", KEY, "SIGNATURE_NOT_ACCEPTED"],
    ["cosign2-key", { ...ALICE, ...UNLOGGED }, "CERTIFICATE_MISSING"],
    ["cosign2-key", { ...KEY, ...ATTESTATION }, "accepted"],
    ["cosign2-key", { ...KEY, ...ATTESTATION, ...TIMESTAMPED }, "ATTESTATION_NOT_ACCEPTED"],
    ["oci11", ALICE, "accepted"],
    ["oci11", { ...ALICE, format: "bundle" }, "SIGNATURE_NOT_FOUND"],
    ["oci11", { ...KEY, ...UNLOGGED }, "SIGNATURE_NOT_ACCEPTED"],
  ])("%s, case %#", async ([tag, changes, outcome]) => {
    expect(await outcomeOf(verified(tag, changes))).toBe(outcome);
  });

  test("gives the places and what was signed", async () => {
    const found = await Promise.all(["cosign3", "cosign2", "oci11"].map((tag) => verified(tag, ALICE)));
    expect(
      found.map(({ signatures: [{ place, annotations }], refused }) => [place, annotations, refused.length]),
    ).toEqual([
      ["referrers-api", { env: "prod" }, 1], // the attestation
      ["signature-tag", { env: "prod" }, 0],
      ["oci-1-1", {}, 0],
    ]);
  });

  test("reads them out of an image layout as well", async () => {
    for (const [tag, policy] of [
      ["cosign3", ALICE],
      ["cosign3-key", { ...KEY, ...UNLOGGED }],
      ["cosign2", ALICE],
      ["oci11", ALICE],
    ] as const) {
      const layout = await openLayout(`${fileURLToPath(FOLDER)}:${tag}`);
      const options = { trust, ...policy } as ImageVerifierOptions & VerifyImagePolicy;
      expect((await verifyImage(layout, options)).signatures).toHaveLength(1);
    }
  });
});

/** Every layer that the real cosign 2 wrote. */
const LAYERS = listed.flatMap((one) => {
  const manifest = parseManifest(blob(one.digest), one.mediaType);
  return manifest.kind === "image" ? manifest.layers.filter(({ annotations }) => annotations !== undefined) : [];
});
const SIGNATURES = LAYERS.filter(({ mediaType }) => mediaType.includes("simplesigning"));

describe("serializeSimpleSigning and toLegacyLayer, beside the real cosign 2", () => {
  test("there are three signatures and two attestations", () => {
    expect([SIGNATURES.length, LAYERS.length]).toEqual([3, 5]);
  });

  test.for(SIGNATURES)("writes the payload of $digest byte for byte", ({ digest }: Descriptor) => {
    const bytes = blob(digest);
    const { dockerReference, dockerManifestDigest, optional } = parseSimpleSigning(bytes);
    const written = serializeSimpleSigning(dockerReference, dockerManifestDigest, optional as Record<string, string>);
    expect(Buffer.from(written).toString()).toBe(bytes.toString());
  });

  test.for(LAYERS)("writes the layer $digest as it was", (layer: Descriptor) => {
    const bytes = blob(layer.digest);
    const isStatement = !SIGNATURES.includes(layer);
    const isTimestamped = layer.annotations?.["dev.sigstore.cosign/rfc3161timestamp"] !== undefined;
    const { bundle, parts } = readLegacyLayer(layer, bytes);
    const { "dev.sigstore.cosign/chain": chain = "" } = layer.annotations ?? {};
    const certificates = chain
      .split(/(?<=-----END CERTIFICATE-----\n)/)
      .filter((pem) => pem.includes("BEGIN"))
      .map((pem) => Buffer.from(pem.replaceAll(/-----.*-----|\n/g, ""), "base64"));
    const written = toLegacyLayer({
      bundle,
      payload: bytes,
      chain: certificates,
      predicateType: layer.annotations?.["predicateType"],
      timestamp: parts.rfc3161Timestamps?.[0],
    });
    // Fulcio's own text of the chain has no newline at its end.
    const withoutEnd = (annotations: Descriptor["annotations"] = {}): object =>
      Object.fromEntries(Object.entries(annotations).map(([name, text]) => [name, text.trimEnd()]));
    expect(withoutEnd(written.descriptor.annotations)).toEqual(withoutEnd(layer.annotations));
    // cosign 2 wrote an empty key id, and the type first. Where that text was timestamped, it stays as it was.
    const asWritten = (text: Uint8Array): unknown =>
      isStatement && !isTimestamped
        ? JSON.parse(Buffer.from(text).toString().replace('"keyid":"",', ""))
        : Buffer.from(text).toString();
    expect(asWritten(written.bytes)).toEqual(asWritten(bytes));
  });
});
