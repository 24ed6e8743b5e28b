import { describe, expect, test } from "vitest";
import { defaultAlgorithm } from "../../../src/crypto/registry.ts";
import { parseReference } from "../../../src/oci/reference.ts";
import { RegistryClient } from "../../../src/oci/registry/registry-client.ts";
import { isSignedAlready } from "../../../src/oci/legacy/repeated-signature.ts";
import type { ContentDigest } from "../../../src/oci/content-digest.ts";
import { HOST, openImages, payloadFor, REPOSITORY, SIMPLE_SIGNING } from "../../support/images.ts";
import { digestOf } from "../../sandbox/registry/client.ts";
import { utf8 } from "../../support/logs.ts";
import { signerKeys } from "../../support/sandbox/authorities.ts";
import { bundleFrom, makeSandbox } from "../../support/sandbox/sandbox.ts";

const sandbox = makeSandbox();
const keys = signerKeys();
const SIGNATURE = "dev.cosignproject.cosign/signature";

interface Question {
  readonly payload?: string;
  readonly by?: typeof keys;
  readonly annotations?: Readonly<Record<string, string>>;
  readonly existing?: Readonly<Record<string, string>>;
  readonly prefix?: string;
}

async function ask({ payload, by = keys, annotations = {}, existing = {}, prefix }: Question): Promise<boolean> {
  const world = openImages(sandbox);
  const image = await world.image("app", "v1");
  const signed = { signer: { keys }, entries: [], timestamps: [] };
  await world.putLayers(image, "sig", [await world.legacySignature(payloadFor(image.digest), signed, existing)]);
  const client = new RegistryClient({ fetch: world.fetch, environment: {} });
  const bytes = utf8(payload ?? payloadFor(image.digest));
  const { publicKey } = bundleFrom(sandbox, { signer: { keys: by } });
  return await isSignedAlready(
    client.repository(parseReference(`${HOST}/${REPOSITORY}`)),
    image.digest as ContentDigest,
    {
      bytes,
      descriptor: {
        mediaType: SIMPLE_SIGNING,
        digest: digestOf(bytes) as ContentDigest,
        size: bytes.length,
        annotations: { [SIGNATURE]: "another", ...annotations },
      },
    },
    { publicKey, algorithm: defaultAlgorithm(publicKey) },
    prefix,
  );
}

describe("isSignedAlready", () => {
  test("says so of a signature of the same key over the same payload", async () => {
    expect(await ask({})).toBe(true);
    expect(await ask({ existing: { more: "than needed" } })).toBe(true);
  });

  test.for<readonly [string, Question]>([
    ["another payload", { payload: payloadFor(`sha256:${"0".repeat(64)}`) }],
    ["another key", { by: signerKeys() }],
    ["more beside the new one", { annotations: { "dev.sigstore.cosign/certificate": "one" } }],
    ["something else beside the new one", { annotations: { a: "b" }, existing: { a: "c" } }],
    ["no base64", { existing: { [SIGNATURE]: "%" } }],
    ["another tag", { prefix: "other-" }],
  ])("does not for %s", async ([, question]) => {
    expect(await ask(question)).toBe(false);
  });
});
