import { beforeEach, describe, expect, test } from "vitest";

import { ImageVerifier, verifyImage } from "../../../src/oci/verification/verify-image.ts";
import type {
  ImageNotVerifiedError,
  DigestRule,
  ImageVerifierOptions,
  VerifiedImage,
  VerifyImagePolicy,
} from "../../../src/oci/verification/verified-image.ts";
import {
  HOST,
  openImages,
  payloadFor,
  REPOSITORY,
  statementFor,
  type ImageWorld,
  type TestDescriptor,
} from "../../support/images.ts";
import { outcomeOf, refusal } from "../../support/outcome.ts";
import { ALICE_SIGNED, bundleFrom, makeSandbox } from "../../support/sandbox/sandbox.ts";

const sandbox = makeSandbox();
const NAME = `${HOST}/${REPOSITORY}:v1`;

/** moby/buildkit docs/attestations/attestation-storage.md, "Attestation Manifest Descriptor" */
const ATTESTATION = {
  platform: { os: "unknown", architecture: "unknown" },
  annotations: { "vnd.docker.reference.type": "attestation-manifest" },
};

let world: ImageWorld;
let index: TestDescriptor;
let amd64: TestDescriptor;
let arm64: TestDescriptor;
let nested: TestDescriptor;
let deep: TestDescriptor;
let buildkit: TestDescriptor;
let digests: Readonly<Record<string, string>>;
beforeEach(async () => {
  world = openImages(sandbox);
  [amd64, arm64, deep, buildkit] = [
    await world.image("amd64"),
    await world.image("arm64"),
    await world.image("deep"),
    await world.image("attestations"),
  ];
  nested = await world.index([{ ...deep, platform: { os: "windows", architecture: "amd64" } }]);
  index = await world.index(
    [
      { ...amd64, platform: { os: "linux", architecture: "amd64" } },
      { ...arm64, platform: { os: "linux", architecture: "arm64", variant: "v8" } },
      nested,
      { ...buildkit, ...ATTESTATION },
    ],
    "v1",
  );
  digests = { index: index.digest, amd64: amd64.digest, arm64: arm64.digest, nested: nested.digest, deep: deep.digest };
});

async function sign(...targets: readonly TestDescriptor[]): Promise<void> {
  for (const target of targets)
    await world.attachBundle(target, bundleFrom(sandbox, { statement: statementFor(target.digest) }).text);
}

type Changes = Partial<ImageVerifierOptions & VerifyImagePolicy>;

async function verified(changes: Changes, name: string = NAME): Promise<VerifiedImage> {
  return await verifyImage(name, {
    ...world.options(),
    ...ALICE_SIGNED,
    ...changes,
  } as ImageVerifierOptions & VerifyImagePolicy);
}

const nameOf = (digest: string): string => Object.entries(digests).find(([, one]) => one === digest)?.[0] ?? digest;

describe("verifyImage, which digest must be signed", () => {
  /** Rule, platform, what is signed; what the result is, or the code of the refusal. */
  const CASES: readonly (readonly [DigestRule, string | undefined, readonly string[], string])[] = [
    ["target", undefined, ["index"], "index"],
    ["target", undefined, ["amd64", "arm64", "deep", "nested"], "SIGNATURE_NOT_FOUND"],
    ["target", "linux/amd64", ["amd64"], "amd64"],
    ["target", "linux/amd64", ["index", "arm64"], "SIGNATURE_NOT_FOUND"],
    ["target", "linux/riscv64", ["index", "amd64"], "PLATFORM_NOT_FOUND"],
    ["index", undefined, ["index"], "index"],
    ["index", undefined, ["amd64", "arm64", "deep"], "SIGNATURE_NOT_FOUND"],
    ["index", "linux/amd64", ["index", "amd64"], "USAGE_INVALID"],
    ["platform-manifest", "linux/arm64", ["arm64"], "arm64"],
    ["platform-manifest", "linux/aarch64", ["arm64"], "arm64"],
    ["platform-manifest", "linux/arm64", ["index", "amd64"], "SIGNATURE_NOT_FOUND"],
    ["platform-manifest", undefined, ["index", "amd64", "arm64"], "USAGE_INVALID"],
    ["every-leaf", undefined, ["amd64", "arm64", "deep"], "index"],
    ["every-leaf", undefined, ["index", "nested", "amd64", "arm64"], "SIGNATURE_NOT_FOUND"],
    ["every-leaf", undefined, ["index", "amd64", "deep"], "SIGNATURE_NOT_FOUND"],
    ["every-leaf", "linux/amd64", ["amd64", "arm64", "deep"], "USAGE_INVALID"],
    ["leaf-or-linked-parent", "linux/amd64", ["amd64"], "amd64"],
    ["leaf-or-linked-parent", "linux/amd64", ["index"], "amd64"],
    ["leaf-or-linked-parent", "linux/amd64", ["arm64", "nested"], "SIGNATURE_NOT_FOUND"],
    ["leaf-or-linked-parent", undefined, ["index", "amd64"], "USAGE_INVALID"],
  ];

  test.for(CASES)("%s %s, signed: %s → %s", async ([digestRule, platform, signed, outcome]) => {
    const all: Readonly<Record<string, TestDescriptor>> = { index, amd64, arm64, nested, deep };
    await sign(...signed.map((name) => all[name] as TestDescriptor));
    const verification = verified({ digestRule, platform });
    const code = await outcomeOf(verification);
    const result = code === "accepted" ? nameOf((await verification).digest) : code;
    expect(result).toBe(outcome);
  });

  test("gives each digest of every leaf with its own signature", async () => {
    await sign(amd64, arm64, deep);
    const found = await verified({ digestRule: "every-leaf" });
    expect(
      found.digests.map(({ digest, platform, signatures }) => [
        nameOf(digest),
        platform?.os,
        signatures.map((one) => nameOf(one.digest)),
      ]),
    ).toEqual([
      ["amd64", "linux", ["amd64"]],
      ["arm64", "linux", ["arm64"]],
      ["deep", "windows", ["deep"]],
    ]);
    expect(found.pinned).toBe(`${HOST}/${REPOSITORY}@${index.digest}`);
  });

  test("says which leaf is not signed", async () => {
    await sign(amd64);
    const error = await refusal(verified({ digestRule: "every-leaf" }));
    expect((error as ImageNotVerifiedError).digest).toBe(arm64.digest);
  });

  test("says by which index a digest is linked to what was signed, and prefers a signature of its own", async () => {
    await sign(index);
    const linked = await verified({ digestRule: "leaf-or-linked-parent", platform: "linux/amd64" });
    expect(linked).toMatchObject({
      pinned: `${HOST}/${REPOSITORY}@${amd64.digest}`,
      digests: [{ digest: amd64.digest, linkage: [index.digest], signatures: [{ digest: index.digest }] }],
    });
    await sign(amd64);
    const own = await verified({ digestRule: "leaf-or-linked-parent", platform: "linux/amd64" });
    expect(own.digests).toMatchObject([{ digest: amd64.digest, linkage: [], signatures: [{ digest: amd64.digest }] }]);
  });

  test("takes no index for linked that the reference does not name", async () => {
    await sign(index);
    const error = await refusal(
      verified(
        { digestRule: "leaf-or-linked-parent", platform: "linux/amd64" },
        `${HOST}/${REPOSITORY}@${amd64.digest}`,
      ),
    );
    expect(error.code).toBe("SIGNATURE_NOT_FOUND");
  });

  test("tells a signature of the leaf by somebody else beside the one of the index", async () => {
    await world.attachBundle(amd64, bundleFrom(sandbox, { statement: statementFor(index.digest) }).text);
    await sign(index);
    const found = await verified({ digestRule: "leaf-or-linked-parent", platform: "linux/amd64" });
    expect(found.refused.map(({ digest, error }) => [nameOf(digest), error.code])).toEqual([
      ["amd64", "SUBJECT_MISMATCH"],
    ]);
  });

  test("refuses an index without an image for every leaf", async () => {
    await world.index([{ ...buildkit, ...ATTESTATION }], "v1");
    expect((await refusal(verified({ digestRule: "every-leaf" }))).code).toBe("LINKAGE_MISSING");
  });

  test.for<readonly [string, (image: TestDescriptor) => readonly TestDescriptor[]]>([
    ["with a platform", (image) => [{ ...image, ...ATTESTATION, platform: { os: "linux", architecture: "s390x" } }]],
    ["without a platform", (image) => [{ ...image, annotations: ATTESTATION.annotations }]],
    ["first, and then as an image", (image) => [{ ...image, ...ATTESTATION }, image]],
    ["at last, and before as an image", (image) => [image, { ...image, ...ATTESTATION }]],
  ])("an image that is called an attestation %s is an image", async ([, entries]) => {
    const other = await world.image("other");
    const platform = { os: "linux", architecture: "amd64" };
    const named = await world.index([{ ...amd64, platform }, ...entries(other)], "v1");
    await sign(amd64);
    const rule = { digestRule: "every-leaf" } as const;
    expect(await refusal(verified(rule))).toMatchObject({ code: "SIGNATURE_NOT_FOUND", digest: other.digest });
    await sign(other);
    expect((await verified(rule)).digest).toBe(named.digest);
  });

  test("refuses a manifest where an index must be signed", async () => {
    await sign(amd64);
    const name = `${HOST}/${REPOSITORY}@${amd64.digest}`;
    expect((await refusal(verified({ digestRule: "index" }, name))).code).toBe("MEDIA_TYPE_MISMATCH");
    for (const digestRule of ["target", "platform-manifest", "every-leaf", "leaf-or-linked-parent"] as const)
      expect((await verified({ digestRule }, name)).digest).toBe(amd64.digest);
  });

  test("refuses a manifest that is of another size, or type, than the index says", async () => {
    await sign(amd64);
    await world.index([{ ...amd64, size: amd64.size + 1 }], "v1");
    expect((await refusal(verified({ digestRule: "every-leaf" }))).code).toBe("CONTENT_SIZE_MISMATCH");
    await world.index([{ ...amd64, mediaType: "application/vnd.docker.distribution.manifest.v2+json" }], "v1");
    expect((await refusal(verified({ digestRule: "every-leaf" }))).code).toBe("MEDIA_TYPE_MISMATCH");
  });

  test("refuses what is no platform, whatever there is", async () => {
    await sign(amd64);
    const name = `${HOST}/${REPOSITORY}@${amd64.digest}`;
    for (const digestRule of ["target", "platform-manifest", "leaf-or-linked-parent"] as const)
      expect((await refusal(verified({ digestRule, platform: "linux" }, name))).code).toBe("USAGE_INVALID");
  });

  test("lists the platforms that there are", async () => {
    const error = await refusal(verified({ platform: "linux/s390x" }));
    expect(error).toMatchObject({ code: "PLATFORM_NOT_FOUND", expected: "linux/s390x" });
    expect(error.found).toContain("linux/amd64, linux/arm64/v8");
    expect(error.found).not.toContain(buildkit.digest);
  });

  test("refuses to choose between two manifests for one platform", async () => {
    const platform = { os: "linux", architecture: "arm" };
    await world.index(
      [
        { ...amd64, platform: { ...platform, variant: "v6" } },
        { ...arm64, platform: { ...platform, variant: "v7" } },
      ],
      "v1",
    );
    await sign(amd64, arm64);
    expect((await refusal(verified({ platform: "linux/arm" }))).code).toBe("PLATFORM_NOT_FOUND");
    expect((await verified({ platform: "linux/arm/v7" })).digest).toBe(arm64.digest);
  });

  test("looks at a manifest once, however often and wherever it is named", async () => {
    await world.index([amd64, amd64, await world.index([amd64])], "v1");
    await sign(amd64);
    expect((await verified({ digestRule: "every-leaf" })).digests).toHaveLength(1);
    const name = `${HOST}/${REPOSITORY}@${arm64.digest}`;
    const error = await refusal(verified({ digestRule: "leaf-or-linked-parent" }, name));
    expect((error as ImageNotVerifiedError).places).toHaveLength(2);
  });

  test("refuses more than a thousand manifests, at all levels together", async () => {
    await sign(amd64);
    const some = async (count: number, label: string): Promise<TestDescriptor> =>
      await world.index(Array.from({ length: count }, () => ({ ...amd64, annotations: { label } })));
    await world.index([await some(499, "a"), await some(499, "b")], "v1");
    expect((await verified({ digestRule: "every-leaf" })).digests).toHaveLength(1);
    await world.index([await some(499, "a"), await some(500, "b")], "v1");
    expect((await refusal(verified({ digestRule: "every-leaf" }))).code).toBe("LIMIT_EXCEEDED");
  });

  test("refuses indexes within indexes without end", async () => {
    let one = await world.index([amd64]);
    for (let level = 1; level < 4; level += 1) one = await world.index([one], "v1");
    await sign(amd64);
    expect((await verified({ digestRule: "every-leaf" })).digest).toBe(one.digest);
    await world.index([one], "v1");
    expect((await refusal(verified({ digestRule: "every-leaf" }))).code).toBe("LIMIT_EXCEEDED");
  });
});

describe("ImageVerifier", () => {
  test("asks what a tag names once, and from then on for that digest", async () => {
    await sign(index, amd64);
    for (const digestRule of ["target", "index", "leaf-or-linked-parent"] as const) {
      world.requests.length = 0;
      await verified({ digestRule, ...(digestRule === "leaf-or-linked-parent" && { platform: "linux/amd64" }) });
      expect(world.requests.filter((one) => one.endsWith("/manifests/v1"))).toHaveLength(1);
    }
  });

  test("makes at most five requests for an image, and two for each signature; three where only bundles are wanted", async () => {
    await sign(amd64);
    await world.putLayers(amd64, "sig", [await world.legacySignature(payloadFor(amd64.digest))]);
    const name = `${HOST}/${REPOSITORY}@${amd64.digest}`;
    world.requests.length = 0;
    expect((await verified({}, name)).signatures).toHaveLength(2);
    expect(world.requests.length).toBeLessThanOrEqual(5 + 2 * 2);
    world.requests.length = 0;
    expect((await verified({ format: "bundle" }, name)).signatures).toHaveLength(1);
    expect(world.requests.length).toBeLessThanOrEqual(3 + 2);
  });

  test("verifies many images, one unsigned among them, with one session", async () => {
    await sign(amd64, deep);
    const verifier = await ImageVerifier.create(world.options());
    const outcomes: string[] = [];
    for (const { digest } of [amd64, arm64, deep]) {
      const name = `${HOST}/${REPOSITORY}@${digest}`;
      const verification = verifier.verify(name, ALICE_SIGNED);
      outcomes.push(await outcomeOf(verification));
      if (outcomes.at(-1) === "accepted") expect((await verification).pinned).toBe(name);
    }
    expect(outcomes).toEqual(["accepted", "SIGNATURE_NOT_FOUND", "accepted"]);
  });

  test("looks for signatures in another repository, of the same digest", async () => {
    const signatures = "signatures/of-app";
    const text = bundleFrom(sandbox, { statement: statementFor(amd64.digest) }).text;
    await world.attachBundle(amd64, text, {}, signatures);
    const name = `${HOST}/${REPOSITORY}@${amd64.digest}`;
    expect((await refusal(verified({}, name))).code).toBe("SIGNATURE_NOT_FOUND");
    const found = await verified({ signatureRepository: `${HOST}/${signatures}` }, name);
    expect(found.pinned).toBe(name);
    expect(found.places[0]?.location).toBe(`${HOST}/${signatures}@${amd64.digest}`);
  });

  test("looks under tags with a prefix", async () => {
    await world.putLayers(amd64, "sig", [await world.legacySignature(payloadFor(amd64.digest))], { prefix: "x-" });
    const name = `${HOST}/${REPOSITORY}@${amd64.digest}`;
    expect((await refusal(verified({}, name))).code).toBe("SIGNATURE_NOT_FOUND");
    expect((await verified({ attachmentTagPrefix: "x-" }, name)).signatures).toHaveLength(1);
  });

  test("takes a time policy for one bundle", async () => {
    await world.attachBundle(
      amd64,
      bundleFrom(sandbox, { statement: statementFor(amd64.digest), timestamps: [], entries: [{ log: sandbox.rekor2 }] })
        .text,
    );
    const name = `${HOST}/${REPOSITORY}@${amd64.digest}`;
    const error = (await refusal(verified({}, name))) as ImageNotVerifiedError;
    expect(error.refused.map((one) => one.error.code)).toEqual(["TIMESTAMP_THRESHOLD_NOT_MET"]);
    const now = new Date("2026-01-02T03:05:00Z");
    expect((await verified({ timeFor: () => ({ kind: "current-time", now }) }, name)).signatures).toHaveLength(1);
    expect((await refusal(verified({ timeFor: () => undefined }, name))).code).toBe("SIGNATURE_NOT_ACCEPTED");
  });

  test("refuses an option that it does not know", async () => {
    const options = { ...world.options(), ignoreTlog: true } as ImageVerifierOptions;
    expect((await refusal(ImageVerifier.create(options))).code).toBe("USAGE_INVALID");
  });

  test("refuses signatures that are larger than is allowed", async () => {
    await sign(amd64);
    const name = `${HOST}/${REPOSITORY}@${amd64.digest}`;
    const error = (await refusal(verified({ maxAttachmentBytes: 100 }, name))) as ImageNotVerifiedError;
    expect(error.refused.map((one) => one.error.code)).toEqual(["LIMIT_EXCEEDED"]);
  });
});
