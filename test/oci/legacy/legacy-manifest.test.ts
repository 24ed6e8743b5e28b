import { describe, expect, test } from "vitest";
import { contentDigestOf } from "../../../src/oci/content-digest.ts";
import type { LegacyLayer } from "../../../src/oci/legacy/legacy-layer.ts";
import {
  appendLegacyLayer,
  attachLegacyLayer,
  type LegacyManifestOptions,
} from "../../../src/oci/legacy/legacy-manifest.ts";
import { DSSE, OCI_INDEX, OCI_MANIFEST, SIMPLE_SIGNING } from "../../support/images.ts";
import { utf8 } from "../../support/logs.ts";
import { MemoryRepository } from "../../support/memory-repository.ts";
import { refusal } from "../../support/outcome.ts";
import { seededRandom, VirtualTime } from "../../support/virtual-time.ts";

const IMAGE = contentDigestOf(utf8("image"));
const TAG = `${IMAGE.replace(":", "-")}.sig`;
const SIGNATURE = "dev.cosignproject.cosign/signature";
const OPTIONS: LegacyManifestOptions = { sleep: () => Promise.resolve(), random: () => 0 };

function layer(
  payload: string,
  annotations: Readonly<Record<string, string>>,
  mediaType = SIMPLE_SIGNING,
): LegacyLayer {
  const bytes = utf8(payload);
  return { bytes, descriptor: { mediaType, digest: contentDigestOf(bytes), size: bytes.length, annotations } };
}
const signed = (signature: string, payload = "payload"): LegacyLayer => layer(payload, { [SIGNATURE]: signature });
const attested = (statement: string, predicateType: string): LegacyLayer =>
  layer(statement, { [SIGNATURE]: "", predicateType }, DSSE);

const textAt = (repository: MemoryRepository, tag = TAG): string =>
  Buffer.from(repository.tags.get(tag)?.bytes ?? []).toString();
interface Written {
  readonly mediaType: string;
  readonly config: { readonly digest: string; readonly mediaType: string };
  readonly layers: readonly { readonly digest: string; readonly annotations: Readonly<Record<string, string>> }[];
}
const at = (repository: MemoryRepository, tag = TAG): Written => JSON.parse(textAt(repository, tag)) as Written;
const configAt = (repository: MemoryRepository, tag = TAG): string =>
  Buffer.from(repository.blobs.get(at(repository, tag).config.digest) ?? []).toString();

describe("appendLegacyLayer (cosign, pkg/oci/mutate/mutate.go)", () => {
  test("writes manifest and config as cosign 2.6.1 does, byte for byte", async () => {
    const repository = new MemoryRepository();
    const { digest } = signed("c2ln").descriptor;
    expect(await appendLegacyLayer(repository.client(), IMAGE, "sig", signed("c2ln"), OPTIONS)).toBe(TAG);
    // What `cosign sign` wrote into a registry, with other values in it.
    const config = `{"architecture":"","created":"0001-01-01T00:00:00Z","history":[{"created":"0001-01-01T00:00:00Z"}],"os":"","rootfs":{"type":"layers","diff_ids":["${digest}"]},"config":{}}`;
    expect(configAt(repository)).toBe(config);
    expect(textAt(repository)).toBe(
      `{"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json","config":{"mediaType":"application/vnd.oci.image.config.v1+json","size":233,"digest":"${contentDigestOf(utf8(config))}"},"layers":[{"mediaType":"application/vnd.dev.cosign.simplesigning.v1+json","size":7,"digest":"${digest}","annotations":{"dev.cosignproject.cosign/signature":"c2ln"}}]}`,
    );
    expect(repository.blobs.has(digest)).toBe(true);
  });

  test("leaves what is there, and adds what differs in its annotations alone", async () => {
    const repository = new MemoryRepository();
    for (const name of ["one", "two", "one"])
      await appendLegacyLayer(repository.client(), IMAGE, "sig", signed(name), OPTIONS);
    expect(at(repository).layers.map(({ annotations }) => annotations[SIGNATURE])).toEqual(["one", "two"]);
    const { digest } = signed("one").descriptor;
    expect(JSON.parse(configAt(repository))).toMatchObject({ rootfs: { diff_ids: [digest, digest] } });
  });

  test("keeps fields of others", async () => {
    const repository = new MemoryRepository();
    const theirs = { ...signed("theirs").descriptor, urls: ["https://e.example"] };
    const config = { mediaType: "application/vnd.oci.image.config.v1+json", digest: IMAGE, size: 1 };
    const before = { schemaVersion: 2, mediaType: OCI_MANIFEST, config, layers: [theirs], annotations: { a: "b" } };
    await repository.client().pushManifest(utf8(JSON.stringify(before)), OCI_MANIFEST, { tag: TAG });
    await appendLegacyLayer(repository.client(), IMAGE, "sig", signed("ours"), OPTIONS);
    const { layers, ...rest } = at(repository);
    expect(layers).toEqual([theirs, expect.objectContaining({ annotations: { [SIGNATURE]: "ours" } })]);
    expect(rest).toMatchObject({ annotations: { a: "b" } });
  });

  test("replaces attestations of a type, which puts the new one first", async () => {
    const repository = new MemoryRepository();
    const tag = TAG.replace(".sig", ".att");
    for (const [statement, type] of [
      ["1", "a"],
      ["2", "b"],
      ["3", "a"],
    ] as const)
      await appendLegacyLayer(repository.client(), IMAGE, "att", attested(statement, type), OPTIONS);
    const replacing = { ...OPTIONS, replacePredicateType: "a" };
    await appendLegacyLayer(repository.client(), IMAGE, "att", attested("4", "a"), replacing);
    expect(at(repository, tag).layers.map(({ digest }) => digest)).toEqual(
      ["4", "2"].map((statement) => contentDigestOf(utf8(statement))),
    );
  });

  test("writes Docker's media types where asked to, and where they are there", async () => {
    const repository = new MemoryRepository();
    await appendLegacyLayer(repository.client(), IMAGE, "sig", signed("one"), { ...OPTIONS, dockerMediaTypes: true });
    await appendLegacyLayer(repository.client(), IMAGE, "sig", signed("two"), OPTIONS);
    expect(at(repository)).toMatchObject({
      mediaType: "application/vnd.docker.distribution.manifest.v2+json",
      config: { mediaType: "application/vnd.docker.container.image.v1+json" },
    });
    expect(at(repository).layers).toHaveLength(2);
  });

  test("writes a time where one is given, and a tag with a prefix", async () => {
    const repository = new MemoryRepository();
    const options = { ...OPTIONS, created: new Date("2026-02-03T04:05:06.789Z"), tagPrefix: "x-" };
    const tag = await appendLegacyLayer(repository.client(), IMAGE, "sig", signed("one"), options);
    expect(tag).toBe(`x-${TAG}`);
    expect(JSON.parse(configAt(repository, tag))).toMatchObject({
      created: "2026-02-03T04:05:06Z",
      history: [{ created: "2026-02-03T04:05:06Z" }],
    });
  });

  test("changes nothing where the tag names an index", async () => {
    const repository = new MemoryRepository();
    await repository.client().pushManifest(utf8('{"schemaVersion":2,"manifests":[]}'), OCI_INDEX, { tag: TAG });
    expect(await refusal(appendLegacyLayer(repository.client(), IMAGE, "sig", signed("one"), OPTIONS))).toMatchObject({
      code: "MEDIA_TYPE_MISMATCH",
    });
    expect(repository.writes).toBe(1);
  });

  test.for(["none", "all"] as const)(
    "loses no signature of ten writers in 20 runs; conditions: %s",
    async (honours) => {
      for (let seed = 0; seed < 20; seed++) {
        const time = new VirtualTime();
        const random = seededRandom(seed);
        const repository = new MemoryRepository({ honours, travel: () => time.sleep(5 + 95 * random()) });
        const options = { sleep: time.sleep, random, monotonicMs: time.now };
        const writers = Array.from({ length: 10 }, (_, i) =>
          appendLegacyLayer(repository.client(), IMAGE, "sig", signed(`${i}`), options),
        );
        await time.run(Promise.all(writers));
        expect(at(repository).layers).toHaveLength(10);
      }
    },
  );
});

describe("attachLegacyLayer (cosign v2, pkg/oci/remote/write.go `WriteSignaturesExperimentalOCI`)", () => {
  test("puts a manifest of its own, which names the image", async () => {
    const repository = new MemoryRepository();
    const subject = { mediaType: OCI_MANIFEST, digest: IMAGE, size: 5 };
    const { descriptor, via } = await attachLegacyLayer(repository.client(), subject, signed("one"), OPTIONS);
    expect(via).toBe("referrers-tag");
    const bytes = repository.manifests.get(descriptor.digest)?.bytes ?? new Uint8Array(0);
    expect(JSON.parse(Buffer.from(bytes).toString())).toMatchObject({
      mediaType: OCI_MANIFEST,
      artifactType: "application/vnd.dev.cosign.artifact.sig.v1+json",
      config: { mediaType: "application/vnd.dev.cosign.artifact.sig.v1+json" },
      layers: [{ annotations: { [SIGNATURE]: "one" } }],
      subject,
    });
    expect(textAt(repository, IMAGE.replace(":", "-"))).toContain(descriptor.digest);
  });
});
