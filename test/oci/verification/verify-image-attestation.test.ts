import { createHash } from "node:crypto";
import { beforeEach, describe, expect, test } from "vitest";

import { verifyImageAttestation } from "../../../src/oci/verification/verify-image.ts";
import {
  ImageNotVerifiedError,
  type ImageVerifierOptions,
  type VerifiedImage,
  type VerifyImageAttestationPolicy,
} from "../../../src/oci/verification/verified-image.ts";
import { email } from "../../support/certificates.ts";
import {
  HOST,
  openImages,
  OTHER_DIGEST,
  REPOSITORY,
  statementFor,
  type ImageWorld,
  type TestDescriptor,
} from "../../support/images.ts";
import type { Json } from "../../support/json-edits.ts";
import { refusal } from "../../support/outcome.ts";
import { timestamp } from "../../support/sandbox/authorities.ts";
import {
  ALICE_SIGNED,
  bundleFrom,
  makeSandbox,
  PREDICATE_TYPE,
  type BundleOptions,
} from "../../support/sandbox/sandbox.ts";

const sandbox = makeSandbox();
const NAME = `${HOST}/${REPOSITORY}:v1`;
const MALLORY: BundleOptions = { signer: { request: { names: [email("mallory@example.com")] } } };

let world: ImageWorld;
let image: TestDescriptor;
beforeEach(async () => {
  world = openImages(sandbox);
  image = await world.image("app", "v1");
});

type Changes = Partial<ImageVerifierOptions & VerifyImageAttestationPolicy>;

async function verified(changes: Changes = {}, name: string = NAME): Promise<VerifiedImage> {
  return await verifyImageAttestation(name, {
    ...world.options(),
    ...ALICE_SIGNED,
    predicateType: PREDICATE_TYPE,
    ...changes,
  } as ImageVerifierOptions & VerifyImageAttestationPolicy);
}

async function codesOf(verification: Promise<unknown>): Promise<readonly string[]> {
  const error = await refusal(verification);
  return [error.code, ...(error instanceof ImageNotVerifiedError ? error.refused.map((one) => one.error.code) : [])];
}

const about = (digest: string, changes: Json = {}): Json =>
  statementFor(digest, { predicateType: PREDICATE_TYPE, predicate: { of: "the image" }, ...changes });

const GENERATIONS = {
  bundle: async (statement: Json, options: BundleOptions = {}) =>
    void (await world.attachBundle(image, bundleFrom(sandbox, { ...options, statement }).text)),
  legacy: async (statement: Json, options: BundleOptions = {}) =>
    void (await world.putLayers(image, "att", [await world.legacyAttestation(statement, options)])),
};

describe.for(["bundle", "legacy"] as const)("verifyImageAttestation, of a %s", (generation) => {
  const attach = (statement: Json, options?: BundleOptions): Promise<void> =>
    GENERATIONS[generation](statement, options);

  test("gives the statement about the image", async () => {
    await attach(about(image.digest));
    const found = await verified();
    expect(found.pinned).toBe(`${HOST}/${REPOSITORY}@${image.digest}`);
    expect(found.signatures).toHaveLength(1);
    const [{ evidence, format, payload }] = found.signatures;
    expect(format).toBe(generation);
    expect(evidence.content).toMatchObject({ kind: "statement", predicateType: PREDICATE_TYPE });
    expect(JSON.parse(Buffer.from(payload).toString())).toEqual(about(image.digest));
  });

  test.for<readonly [string, () => Json, BundleOptions, string]>([
    [
      "of another type",
      () => about(image.digest, { predicateType: `${PREDICATE_TYPE}.1` }),
      {},
      "PREDICATE_TYPE_MISMATCH",
    ],
    ["that is a signature", () => statementFor(image.digest), {}, "PREDICATE_TYPE_MISMATCH"],
    ["about another image", () => about(OTHER_DIGEST), {}, "SUBJECT_MISMATCH"],
    [
      "whose digest is named as of another hash",
      () => about(image.digest, { subject: [{ digest: { sha384: image.digest.slice(7).padEnd(96, "0") } }] }),
      {},
      "DIGEST_ALGORITHM_MISMATCH",
    ],
    ["of somebody else", () => about(image.digest), MALLORY, "IDENTITY_MISMATCH"],
    ["without an entry in a log", () => about(image.digest), { entries: [] }, "TLOG_THRESHOLD_NOT_MET"],
    [
      "with an envelope that holds no statement",
      () => about(image.digest),
      { payloadType: "text/plain" },
      "PAYLOAD_TYPE_MISMATCH",
    ],
  ])("refuses one %s", async ([, statement, options, code]) => {
    await attach(statement(), options);
    expect(await codesOf(verified())).toEqual(["ATTESTATION_NOT_ACCEPTED", code]);
  });

  test("with claims skipped takes one about another image, and says so", async () => {
    await attach(about(OTHER_DIGEST));
    const found = await verified({ claims: "unsafe-skip" });
    expect(found.unproven).toEqual([expect.stringContaining(NAME)]);
  });

  test("wants a signed timestamp where that is asked for", async () => {
    await attach(about(image.digest), { timestamps: [] });
    expect(await codesOf(verified({ thresholds: { timestamp: 1 } }))).toEqual([
      "ATTESTATION_NOT_ACCEPTED",
      "TIMESTAMP_THRESHOLD_NOT_MET",
    ]);
  });
});

describe("verifyImageAttestation", () => {
  test("counts the timestamp that cosign 2 had made, over the envelope", async () => {
    const statement = about(image.digest);
    const layer = await world.legacyAttestation(statement, { timestamps: [] });
    const envelope = await world.registry.ask(`/v2/${REPOSITORY}/blobs/${layer.digest}`);
    const response = timestamp(sandbox.tsa, Buffer.from(envelope.text, "latin1"));
    const annotations = {
      ...(layer["annotations"] as Json),
      "dev.sigstore.cosign/rfc3161timestamp": JSON.stringify({
        SignedRFC3161Timestamp: Buffer.from(response).toString("base64"),
      }),
    };
    await world.putLayers(image, "att", [{ ...layer, annotations }]);
    expect((await verified({ thresholds: { timestamp: 1 } })).signatures).toHaveLength(1);
  });

  test("says that there is none, and takes no signature of an image for one", async () => {
    expect((await refusal(verified())).code).toBe("ATTESTATION_NOT_FOUND");
    expect((await refusal(verified({ predicateType: "" }))).code).toBe("USAGE_INVALID");
  });

  test("accepts one in either place beside a broken one in the other", async () => {
    await GENERATIONS.legacy(about(image.digest));
    await world.attachBundle(image, "broken");
    const found = await verified();
    expect(found.signatures.map(({ place }) => place)).toEqual(["attestation-tag"]);
    expect(found.refused).toHaveLength(1);
  });

  test("compares digests of an image by SHA-512 with SHA-512", async () => {
    // What is known of the image is its SHA-512: a statement about its SHA-256 says nothing of that.
    const manifest = await world.registry.ask(`/v2/${REPOSITORY}/manifests/${image.digest}`);
    const digest = `sha512:${createHash("sha512").update(manifest.text).digest("hex")}`;
    const attached: string[] = [];
    world.intercept = ({ url }) => {
      const { pathname } = new URL(url);
      const headers = { "content-type": image.mediaType };
      if (pathname.endsWith(`/manifests/${digest}`)) return new Response(manifest.text, { headers });
      if (pathname.endsWith(`/referrers/${digest}`))
        return Response.json(
          {
            schemaVersion: 2,
            mediaType: "application/vnd.oci.image.index.v1+json",
            manifests: attached.map((one) => JSON.parse(one) as unknown),
          },
          { headers: { "content-type": "application/vnd.oci.image.index.v1+json" } },
        );
      return undefined;
    };
    const attach = async (statement: Json): Promise<void> => {
      const subject = { ...image, digest };
      attached.push(JSON.stringify(await world.attachBundle(subject, bundleFrom(sandbox, { statement }).text)));
    };
    const name = `${HOST}/${REPOSITORY}@${digest}`;
    await attach(about(image.digest));
    expect(await codesOf(verified({}, name))).toEqual(["ATTESTATION_NOT_ACCEPTED", "DIGEST_ALGORITHM_MISMATCH"]);
    await attach(about(digest));
    expect((await verified({}, name)).digest).toBe(digest);
  });
});

describe("verifyImageAttestation, what BuildKit says", () => {
  let leaf: TestDescriptor;
  let attestation: TestDescriptor;
  let index: TestDescriptor;

  /** moby/buildkit docs/attestations/attestation-storage.md */
  async function put(
    statement: Json,
    changes: { readonly layer?: Json; readonly named?: Json; readonly isNamed?: boolean } = {},
  ): Promise<void> {
    leaf = await world.image("leaf");
    const text = JSON.stringify({
      ...statement,
      subject: statement["subject"] ?? [{ name: "pkg", digest: { sha256: leaf.digest.slice(7) } }],
    });
    attestation = await world.manifest({
      config: await world.blob("{}", "application/vnd.oci.image.config.v1+json"),
      layers: [
        {
          ...(await world.blob(text, "application/vnd.in-toto+json")),
          annotations: { "in-toto.io/predicate-type": PREDICATE_TYPE },
          ...changes.layer,
        },
      ],
    });
    const named = {
      ...attestation,
      platform: { os: "unknown", architecture: "unknown" },
      annotations: {
        "vnd.docker.reference.digest": leaf.digest,
        "vnd.docker.reference.type": "attestation-manifest",
        ...changes.named,
      },
    };
    index = await world.index(
      [{ ...leaf, platform: { os: "linux", architecture: "amd64" } }, ...(changes.isNamed === false ? [] : [named])],
      "v1",
    );
  }
  const STATEMENT: Json = {
    _type: "https://in-toto.io/Statement/v0.1",
    predicateType: PREDICATE_TYPE,
    predicate: { built: true },
  };
  const sign = async (options: BundleOptions = {}): Promise<void> =>
    void (await world.attachBundle(
      index,
      bundleFrom(sandbox, { statement: statementFor(index.digest), ...options }).text,
    ));
  const BUILDKIT: Changes = { buildkit: true, platform: "linux/amd64" };

  test("gives the statement under the signature of the index, and says whose word it is", async () => {
    await put(STATEMENT);
    await sign();
    const found = await verified(BUILDKIT);
    expect(found).toMatchObject({
      digest: index.digest,
      vouchedFor: [{ digest: leaf.digest, manifest: attestation.digest }],
    });
    expect(found.vouchedFor[0]?.statement.predicate).toEqual({ built: true });
    expect(found.signatures.map(({ digest }) => digest)).toEqual([index.digest]);
  });

  test("refuses one whose index nobody signed, or somebody else", async () => {
    await put(STATEMENT);
    expect((await refusal(verified(BUILDKIT))).code).toBe("SIGNATURE_NOT_FOUND");
    await sign(MALLORY);
    expect(await codesOf(verified(BUILDKIT))).toEqual(["SIGNATURE_NOT_ACCEPTED", "IDENTITY_MISMATCH"]);
  });

  test("takes no signature of the manifest of the platform for one of the index", async () => {
    await put(STATEMENT);
    await world.attachBundle(leaf, bundleFrom(sandbox, { statement: statementFor(leaf.digest) }).text);
    expect((await refusal(verified(BUILDKIT))).code).toBe("SIGNATURE_NOT_FOUND");
  });

  test.for<readonly [string, Json, Parameters<typeof put>[1]]>([
    ["is about another image", { ...STATEMENT, subject: [{ digest: { sha256: OTHER_DIGEST.slice(7) } }] }, {}],
    ["is of another type than its annotation says", { ...STATEMENT, predicateType: `${PREDICATE_TYPE}.1` }, {}],
    ["is named as of another type", STATEMENT, { layer: { annotations: { "in-toto.io/predicate-type": "x" } } }],
    ["is no in-toto statement by its media type", STATEMENT, { layer: { mediaType: "text/plain" } }],
    ["is named as about another image", STATEMENT, { named: { "vnd.docker.reference.digest": OTHER_DIGEST } }],
    ["is named as an image", STATEMENT, { named: { "vnd.docker.reference.type": "other" } }],
    ["the index does not name", STATEMENT, { isNamed: false }],
  ])("finds none that %s", async ([, statement, changes]) => {
    await put(statement, changes);
    await sign();
    expect((await refusal(verified(BUILDKIT))).code).toBe("ATTESTATION_NOT_FOUND");
  });

  test("needs a platform, an index, and claims that are checked", async () => {
    await put(STATEMENT);
    await sign();
    expect((await refusal(verified({ buildkit: true }))).code).toBe("USAGE_INVALID");
    expect((await refusal(verified({ ...BUILDKIT, claims: "unsafe-skip" }))).code).toBe("USAGE_INVALID");
    expect((await refusal(verified({ ...BUILDKIT, platform: "linux/arm64" }))).code).toBe("PLATFORM_NOT_FOUND");
    image = await world.image("app", "v1");
    expect((await refusal(verified(BUILDKIT))).code).toBe("MEDIA_TYPE_MISMATCH");
  });

  test("is not what is meant without being asked for", async () => {
    await put(STATEMENT);
    await sign();
    expect((await refusal(verified())).code).toBe("ATTESTATION_NOT_ACCEPTED");
  });
});
