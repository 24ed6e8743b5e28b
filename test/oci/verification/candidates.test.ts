import { beforeEach, describe, expect, test } from "vitest";

import { readCandidates, type CandidateQuery, type FoundCandidates } from "../../../src/oci/verification/candidates.ts";
import type { ContentDigest } from "../../../src/oci/content-digest.ts";
import { RegistryClient } from "../../../src/oci/registry/registry-client.ts";
import { parseReference } from "../../../src/oci/reference.ts";
import {
  BUNDLE_TYPE,
  COSIGN_SIGNATURES,
  HOST,
  OCI_INDEX,
  OCI_MANIFEST,
  openImages,
  payloadFor,
  REPOSITORY,
  SIMPLE_SIGNING,
  statementFor,
  type ImageWorld,
  type TestDescriptor,
} from "../../support/images.ts";
import { refusal } from "../../support/outcome.ts";
import { bundleFrom, makeSandbox } from "../../support/sandbox/sandbox.ts";

const sandbox = makeSandbox();
let world: ImageWorld;
let image: TestDescriptor;
let bundle: string;
beforeEach(async () => {
  world = openImages(sandbox);
  image = await world.image("app", "v1");
  bundle = bundleFrom(sandbox, { statement: statementFor(image.digest) }).text;
});

const QUERY: CandidateQuery = { want: "signature", format: "any", maxBytes: 1_000_000 };

async function read(query: Partial<CandidateQuery> = {}, repository = REPOSITORY): Promise<FoundCandidates> {
  const { registry } = world.options();
  const client = new RegistryClient(registry as object);
  world.requests.length = 0;
  return await readCandidates(
    client.repository(parseReference(`${HOST}/${repository}`)),
    image.digest as ContentDigest,
    { ...QUERY, ...query },
  );
}

const kindsOf = ({ candidates }: FoundCandidates): readonly string[] =>
  candidates.map(({ content }) => (content.kind === "malformed" ? content.error.code : content.kind));
const skippedOf = ({ places }: FoundCandidates): readonly (readonly [string, string | undefined])[] =>
  places.flatMap(({ skipped }) => skipped.map(({ reason, error }) => [reason, error?.code] as const));

describe("readCandidates, what it asks for", () => {
  test("asks for each place once, and twice for each signature in a referrer", async () => {
    const referrers: TestDescriptor[] = [];
    for (const label of ["1", "2", "3"]) {
      const statement = statementFor(image.digest, { predicate: { label } });
      referrers.push(await world.attachBundle(image, bundleFrom(sandbox, { statement }).text));
    }
    const layer = await world.legacySignature(payloadFor(image.digest));
    await world.putLayers(image, "sig", [
      layer,
      { ...layer, annotations: { ...(layer["annotations"] as object), x: "y" } },
    ]);
    expect(kindsOf(await read())).toEqual(["bundle", "bundle", "bundle", "simple-signing", "simple-signing"]);
    const tag = image.digest.replace(":", "-");
    const asked = (list: readonly string[]): readonly string[] =>
      list
        .filter((one) => !one.includes("/blobs/"))
        .map((one) => one.replace(`/v2/${REPOSITORY}/`, ""))
        .toSorted();
    expect(asked(world.requests)).toEqual(
      [
        `GET referrers/${image.digest}`,
        `GET manifests/${tag}.sig`,
        ...referrers.map(({ digest }) => `GET manifests/${digest}`),
      ].toSorted(),
    );
    // One payload has two signatures over it.
    expect(world.requests.filter((one) => one.includes("/blobs/"))).toHaveLength(4);
    expect(new Set(world.requests).size).toBe(world.requests.length);
  });

  test("asks for no tag of signatures where only bundles are wanted", async () => {
    await world.attachBundle(image, bundle);
    await read({ format: "bundle" });
    expect(world.requests).toHaveLength(3);
    expect(world.requests.join("\n")).not.toContain(".sig");
  });

  test("reads a registry without lists of referrers by the tag that stands in for them", async () => {
    world = openImages(sandbox, ["no-referrers"]);
    image = await world.image("app", "v1");
    const referrer = await world.attachBundle(image, bundle);
    const tag = image.digest.replace(":", "-");
    expect(await read()).toMatchObject({
      candidates: [],
      places: [
        { place: "referrers-tag", location: `${HOST}/${REPOSITORY}:${tag}`, outcome: "absent" },
        { place: "signature-tag", location: `${HOST}/${REPOSITORY}:${tag}.sig`, outcome: "absent" },
      ],
    });
    await world.index([referrer], tag);
    const found = await read();
    expect(kindsOf(found)).toEqual(["bundle"]);
    expect(found.candidates[0]?.place).toBe("referrers-tag");
    expect(world.requests).toHaveLength(5);
  });

  test("looks under tags with the prefix, and under no other", async () => {
    await world.putLayers(image, "sig", [await world.legacySignature(payloadFor(image.digest))], { prefix: "old-" });
    expect(kindsOf(await read())).toEqual([]);
    const found = await read({ tagPrefix: "old-" });
    expect(kindsOf(found)).toEqual(["simple-signing"]);
    expect(found.places[1]?.location).toBe(`${HOST}/${REPOSITORY}:old-${image.digest.replace(":", "-")}.sig`);
  });

  test("reads attestations under their own tag", async () => {
    await world.putLayers(image, "att", [await world.legacyAttestation(statementFor(image.digest))]);
    expect(kindsOf(await read())).toEqual([]);
    const found = await read({ want: "attestation" });
    expect(kindsOf(found)).toEqual(["dsse"]);
    expect(found.candidates[0]?.place).toBe("attestation-tag");
  });
});

describe("readCandidates, what a referrer must be", () => {
  test("does not believe the list about what a manifest is", async () => {
    world = openImages(sandbox, ["no-referrers"]);
    image = await world.image("app", "v1");
    const referrer = await world.attachBundle(image, bundle);
    // cosign's own writes the type of the config there.
    await world.index(
      [{ ...referrer, artifactType: "application/vnd.oci.empty.v1+json" }],
      image.digest.replace(":", "-"),
    );
    expect(kindsOf(await read())).toEqual(["bundle"]);
  });

  test("passes over what is attached to something else, and says so", async () => {
    const other = await world.image("other");
    const referrer = await world.attachBundle(other, bundle);
    const noSubject = await world.attachBundle(image, bundle, { subject: undefined });
    world.intercept = ({ url }) =>
      url.includes("/referrers/")
        ? Response.json(
            { schemaVersion: 2, mediaType: OCI_INDEX, manifests: [referrer, noSubject] },
            { headers: { "content-type": OCI_INDEX } },
          )
        : undefined;
    const found = await read();
    expect(found.candidates).toEqual([]);
    expect(skippedOf(found).map(([, code]) => code)).toEqual([
      "REFERRER_SUBJECT_MISMATCH",
      "REFERRER_SUBJECT_MISMATCH",
    ]);
    expect(found.places[0]?.outcome).toBe("empty");
  });

  test("passes over what the list names and is not there", async () => {
    await world.attachBundle(image, bundle);
    const gone = await world.attachBundle(image, bundle, { annotations: { gone: "yes" } });
    world.intercept = ({ url }) => (url.endsWith(gone.digest) ? Response.json({}, { status: 404 }) : undefined);
    const found = await read();
    expect(kindsOf(found)).toEqual(["bundle"]);
    expect(skippedOf(found)).toEqual([["the list names it, and it is not there", undefined]]);
  });

  test("passes over what is no bundle", async () => {
    const layer = await world.blob("an SBOM", "text/spdx");
    await world.attachBundle(image, bundle, { layers: [layer], artifactType: "text/spdx" });
    const two = await world.blob(bundle, BUNDLE_TYPE);
    await world.attachBundle(image, bundle, { layers: [two, layer] });
    await world.attachBundle(image, bundle, { layers: [two, { ...two, annotations: { second: "yes" } }] });
    await world.manifest({ mediaType: OCI_INDEX, manifests: [], subject: image, artifactType: BUNDLE_TYPE });
    const found = await read();
    expect(found.candidates).toEqual([]);
    expect(
      skippedOf(found)
        .map(([reason]) => reason)
        .toSorted(),
    ).toEqual([
      "it has 2 layers, and a bundle is one",
      "it has 2 layers, and a bundle is one",
      "it is an index",
      "it is neither a bundle nor signatures",
    ]);
  });

  test("knows a bundle by its layer, whatever type the manifest says it is of", async () => {
    await world.attachBundle(image, bundle, { artifactType: "application/vnd.example+json" });
    expect(kindsOf(await read())).toEqual(["bundle"]);
  });

  test.for<readonly [string, () => string, string]>([
    [
      "an older version",
      () => bundleFrom(sandbox, { version: "0.2", statement: statementFor(image.digest) }).text,
      "BUNDLE_VERSION_NOT_ALLOWED",
    ],
    ["a version to come", () => bundle.replace("v0.3", "v0.4"), "BUNDLE_MEDIA_TYPE_UNSUPPORTED"],
    ["no JSON", () => "bundle", "BUNDLE_MALFORMED"],
    ["two of one name", () => bundle.replace("{", '{"mediaType":"x",'), "JSON_DUPLICATE_KEY"],
  ])("keeps a bundle with %s as one that cannot be read", async ([, text, code]) => {
    await world.attachBundle(image, text());
    await world.attachBundle(image, bundle);
    expect([...kindsOf(await read())].toSorted()).toEqual([code, "bundle"].toSorted());
  });

  test("knows signatures of the time between by the type of the manifest or of its config", async () => {
    const layer = await world.legacySignature(payloadFor(image.digest));
    const other = await world.legacySignature(payloadFor(image.digest, { optional: { a: "b" } }));
    const config = await world.blob("{}", "application/vnd.oci.empty.v1+json");
    await world.manifest({ config, layers: [layer], subject: image, artifactType: COSIGN_SIGNATURES });
    const own = { ...config, mediaType: COSIGN_SIGNATURES };
    await world.manifest({ config: own, layers: [other], subject: image });
    const third = await world.legacySignature(payloadFor(image.digest, { optional: { a: "c" } }));
    await world.manifest({ config: own, layers: [third], subject: image, artifactType: "application/vnd.example" });
    const attestation = await world.legacyAttestation(statementFor(image.digest));
    await world.manifest({ config: own, layers: [attestation], subject: image });
    const found = await read();
    expect(found.candidates.map(({ place, content }) => [place, content.kind])).toEqual([
      ["oci-1-1", "simple-signing"],
      ["oci-1-1", "simple-signing"],
      ["oci-1-1", "simple-signing"],
    ]);
    expect(kindsOf(await read({ format: "bundle" }))).toEqual([]);
    expect(kindsOf(await read({ want: "attestation" }))).toEqual([]);
    expect(kindsOf(await read({ format: "legacy" }))).toHaveLength(3);
  });
});

describe("readCandidates, one thing beside another", () => {
  test("gives what is there twice once", async () => {
    await world.attachBundle(image, bundle);
    await world.attachBundle(image, bundle, { annotations: { again: "yes" } });
    const layer = await world.legacySignature(payloadFor(image.digest));
    await world.putLayers(image, "sig", [layer, layer]);
    const config = await world.blob("{}", COSIGN_SIGNATURES);
    await world.manifest({ config, layers: [layer], subject: image, artifactType: COSIGN_SIGNATURES });
    expect(kindsOf(await read()).toSorted()).toEqual(["bundle", "simple-signing"]);
    expect(world.requests.filter((one) => one.includes("/blobs/"))).toHaveLength(2);
  });

  test("gives a bundle although another manifest names it with a wrong size", async () => {
    const layer = await world.blob(bundle, BUNDLE_TYPE);
    for (const size of [1, layer.size, layer.size + 1, 2_000_000])
      await world.attachBundle(image, bundle, { layers: [{ ...layer, size }] });
    expect(kindsOf(await read()).filter((kind) => kind === "bundle")).toHaveLength(1);
  });

  test("gives a payload although another layer names it with a wrong size", async () => {
    const layer = await world.legacySignature(payloadFor(image.digest));
    const { size } = layer;
    await world.putLayers(image, "sig", [
      { ...layer, size: size - 1 },
      { ...layer, size: 2_000_000_000_000 },
      layer,
      { ...layer, size: size + 1 },
    ]);
    expect(kindsOf(await read())).toEqual([
      "CONTENT_SIZE_MISMATCH",
      "LIMIT_EXCEEDED",
      "simple-signing",
      "CONTENT_SIZE_MISMATCH",
    ]);
  });

  test("keeps a blob that is not there, or is another, as what cannot be read", async () => {
    const [gone, changed, good] = [
      await world.legacySignature(payloadFor(image.digest, { optional: { a: "1" } })),
      await world.legacySignature(payloadFor(image.digest, { optional: { a: "2" } })),
      await world.legacySignature(payloadFor(image.digest)),
    ];
    await world.putLayers(image, "sig", [gone, changed, good]);
    world.intercept = ({ url }) =>
      url.endsWith(gone.digest)
        ? Response.json({ errors: [{ code: "BLOB_UNKNOWN" }] }, { status: 404 })
        : url.endsWith(changed.digest)
          ? new Response("x".repeat(changed.size))
          : undefined;
    expect(kindsOf(await read())).toEqual(["CONTENT_NOT_FOUND", "CONTENT_DIGEST_MISMATCH", "simple-signing"]);
  });

  test("passes over a referrer whose bytes are others, and reads on", async () => {
    const broken = await world.attachBundle(image, bundle);
    await world.putLayers(image, "sig", [await world.legacySignature(payloadFor(image.digest))]);
    world.intercept = ({ url }) =>
      url.endsWith(broken.digest)
        ? new Response(JSON.stringify({ schemaVersion: 2 }), { headers: { "content-type": OCI_MANIFEST } })
        : undefined;
    const found = await read();
    expect(kindsOf(found)).toEqual(["simple-signing"]);
    expect(skippedOf(found).map(([, code]) => code)).toEqual(["CONTENT_DIGEST_MISMATCH"]);
  });

  test("passes over layers of another type, and says so", async () => {
    const layer = await world.legacySignature(payloadFor(image.digest));
    const attestation = await world.legacyAttestation(statementFor(image.digest));
    await world.putLayers(image, "sig", [attestation, await world.blob("x", "text/plain"), layer]);
    const found = await read();
    expect(kindsOf(found)).toEqual(["simple-signing"]);
    expect(skippedOf(found).map(([reason]) => reason)).toEqual(["it is no signature", "it is of another type"]);
  });

  test("finds nothing under a tag that names an index", async () => {
    await world.index([image], `${image.digest.replace(":", "-")}.sig`);
    const found = await read();
    expect(found.candidates).toEqual([]);
    expect(found.places[1]).toMatchObject({ outcome: "empty", skipped: [{ reason: "it is an index" }] });
  });
});

describe("readCandidates, hostile manifests", () => {
  test("throw nothing but its own errors, whatever byte is another", async () => {
    const layer = await world.legacySignature(
      payloadFor(image.digest),
      { timestamps: [], entries: [] },
      { "dev.sigstore.cosign/chain": "" },
    );
    const config = await world.blob("{}", "application/vnd.oci.image.config.v1+json");
    const text = JSON.stringify({ schemaVersion: 2, mediaType: OCI_MANIFEST, config, layers: [layer] });
    let [rejected, served] = [0, ""];
    world.intercept = ({ url }) =>
      url.endsWith(".sig") ? new Response(served, { headers: { "content-type": OCI_MANIFEST } }) : undefined;
    for (let at = 0; at < text.length; at += 7) {
      for (const edit of ['"', "{", "0", "null", "]"]) {
        served = text.slice(0, at) + edit + text.slice(at + 1);
        const [outcome] = kindsOf(await read());
        if (outcome !== "simple-signing") rejected += 1;
      }
    }
    expect(rejected).toBeGreaterThan(500);
  });
});

describe("readCandidates, limits", () => {
  test("refuses what is larger than one may be, without asking for it", async () => {
    const layer = await world.legacySignature(payloadFor(image.digest));
    await world.putLayers(image, "sig", [layer]);
    expect(kindsOf(await read({ maxBytes: layer.size }))).toEqual(["simple-signing"]);
    expect(kindsOf(await read({ maxBytes: layer.size - 1 }))).toEqual(["LIMIT_EXCEEDED"]);
    expect(world.requests.filter((one) => one.includes("/blobs/"))).toEqual([]);
  });

  test("refuses more than a thousand layers in several manifests, before it asks for more than it may", async () => {
    const blob = await world.blob("x", SIMPLE_SIGNING);
    const layers = (from: number, count: number): readonly unknown[] =>
      Array.from({ length: count }, (_, index) => ({ ...blob, annotations: { n: `${from + index}` } }));
    const config = await world.blob("{}", COSIGN_SIGNATURES);
    const attach = async (from: number, count: number): Promise<unknown> =>
      await world.manifest({ config, layers: layers(from, count), subject: image, artifactType: COSIGN_SIGNATURES });
    await attach(0, 999);
    await attach(999, 1);
    expect((await read()).candidates).toHaveLength(1000);
    await attach(1000, 1);
    expect((await refusal(read())).code).toBe("LIMIT_EXCEEDED");
  });

  test("refuses more bytes than all may have together", async () => {
    const sizes = 900_000_000;
    const layer = await world.legacySignature(payloadFor(image.digest));
    const other = await world.legacySignature(payloadFor(image.digest, { optional: { a: "b" } }));
    await world.putLayers(image, "sig", [
      { ...layer, size: sizes },
      { ...other, size: sizes },
    ]);
    expect((await refusal(read({ maxBytes: 1_000_000_000 }))).code).toBe("LIMIT_EXCEEDED");
    // Whoever wants one of that size has said so.
    expect(kindsOf(await read({ maxBytes: 2_000_000_000 }))).toEqual([
      "CONTENT_SIZE_MISMATCH",
      "CONTENT_SIZE_MISMATCH",
    ]);
  });
});
