import { beforeEach, describe, expect, test } from "vitest";
import { attachSbom, downloadSbom, type AttachSbomOptions } from "../../src/oci/sbom-attachment.ts";
import type { RegistryForgery } from "../../src/sandbox/registry/registry.ts";
import { digestOf } from "../sandbox/registry/client.ts";
import { HOST, OCI_MANIFEST, openImages, REPOSITORY, type ImageWorld, type TestDescriptor } from "../support/images.ts";
import type { Json } from "../support/json-edits.ts";
import { utf8 } from "../support/logs.ts";
import { outcomeOf, refusal } from "../support/outcome.ts";
import { makeSandbox } from "../support/sandbox/sandbox.ts";

const sandbox = makeSandbox();
const NAME = `${HOST}/${REPOSITORY}:v1`;
const JSON_SBOM = '\n {"spdxVersion":"SPDX-2.3"}';
const COSIGN_SBOM = "application/vnd.dev.cosign.artifact.sbom.v1+json";

let world: ImageWorld;
let image: TestDescriptor;
const begin = async (always: readonly RegistryForgery[] = []): Promise<void> => {
  world = openImages(sandbox, always);
  image = await world.image("app", "v1");
};
beforeEach(() => begin());

const options = (changes: AttachSbomOptions = {}): AttachSbomOptions => ({
  registry: world.options().registry,
  sleep: () => Promise.resolve(),
  ...changes,
});

async function manifestAt(reference: string, repository = REPOSITORY): Promise<Json | undefined> {
  const { status, text } = await world.registry.ask(`/v2/${repository}/manifests/${reference}`);
  return status === 200 ? (JSON.parse(text) as Json) : undefined;
}
const tag = (): string => `${image.digest.replace(":", "-")}.sbom`;

describe("attachSbom (cosign, cmd/cosign/cli/attach/sbom.go)", () => {
  test("puts the file as the one layer of what the tag names", async () => {
    const result = await attachSbom(NAME, utf8(JSON_SBOM), options());
    expect(result).toMatchObject({
      mediaType: "text/spdx+json",
      digest: image.digest,
      attached: [{ via: "sbom-tag", location: `${HOST}/${REPOSITORY}:${tag()}` }],
    });
    const manifest = await manifestAt(tag());
    expect(manifest).toEqual({
      schemaVersion: 2,
      mediaType: OCI_MANIFEST,
      config: expect.objectContaining({ mediaType: "application/vnd.oci.image.config.v1+json" }) as unknown,
      layers: [{ mediaType: "text/spdx+json", size: JSON_SBOM.length, digest: digestOf(JSON_SBOM) }],
    });
    const { text } = await world.registry.ask(
      `/v2/${REPOSITORY}/blobs/${(manifest as { config: TestDescriptor }).config.digest}`,
    );
    expect(JSON.parse(text)).toMatchObject({ rootfs: { type: "layers", diff_ids: [digestOf(JSON_SBOM)] } });
    const found = await downloadSbom(NAME, options());
    expect(Buffer.from(found.bytes).toString()).toBe(JSON_SBOM);
    expect(found).toMatchObject({ mediaType: "text/spdx+json", digest: image.digest });
    expect(found.location).toBe(`${HOST}/${REPOSITORY}:${tag()}`);
  });

  test.for([
    ["spdx", undefined, JSON_SBOM, "text/spdx+json"],
    ["spdx", undefined, "SPDXVersion: SPDX-2.3", "text/spdx"],
    ["spdx", "text", "<not>really", "text/spdx"],
    ["spdx", "json", "{}", "text/spdx+json"],
    ["cyclonedx", undefined, "{}", "application/vnd.cyclonedx+json"],
    ["cyclonedx", undefined, " <bom/>", "application/vnd.cyclonedx+xml"],
    ["cyclonedx", "xml", "<bom/>", "application/vnd.cyclonedx+xml"],
    ["syft", undefined, "{}", "application/vnd.syft+json"],
  ] as const)("gives %s in the format %s its media type: %s is %s", async ([type, format, sbom, mediaType]) => {
    await attachSbom(NAME, utf8(sbom), options({ type, format }));
    expect((await downloadSbom(NAME, options())).mediaType).toBe(mediaType);
  });

  test.for([
    ["spdx", "xml", "<x/>"],
    ["syft", undefined, "text"],
    ["cyclonedx", "text", "text"],
    ["spdx", "json", "text"],
    ["spdx", "text", "{}"],
    ["cyclonedx", "xml", "{}"],
    ["spdx", "json", ""],
  ] as const)("refuses %s in the format %s: %s", async ([type, format, sbom]) => {
    expect(await outcomeOf(attachSbom(NAME, utf8(sbom), options({ type, format })))).toBe("USAGE_INVALID");
    expect(world.requests).toEqual([]);
  });

  test("puts it as a referrer, with the types of cosign's experiment", async () => {
    const { attached } = await attachSbom(NAME, utf8(JSON_SBOM), options({ place: "referrer" }));
    const digest = attached[0]?.descriptor?.digest ?? "";
    expect(await manifestAt(digest)).toMatchObject({
      artifactType: COSIGN_SBOM,
      config: { mediaType: COSIGN_SBOM },
      layers: [{ mediaType: "text/spdx+json" }],
      subject: { digest: image.digest },
    });
    expect(await manifestAt(tag())).toBeUndefined();
    const found = await downloadSbom(NAME, options());
    expect([Buffer.from(found.bytes).toString(), found.manifest]).toEqual([JSON_SBOM, digest]);
  });

  test("takes the place of another, unless the tag cannot be moved", async () => {
    await attachSbom(NAME, utf8("one"), options());
    await attachSbom(NAME, utf8("two"), options());
    expect(Buffer.from((await downloadSbom(NAME, options())).bytes).toString()).toBe("two");
    await begin(["immutable-tags"]);
    await attachSbom(NAME, utf8("one"), options());
    expect(await outcomeOf(attachSbom(NAME, utf8("two"), options()))).toBe("REGISTRY_TAG_IMMUTABLE");
  });

  test("says that it is lost where another has taken its place at once", async () => {
    let put = false;
    world.intercept = ({ method, url }) => {
      if (!url.endsWith(".sbom")) return undefined;
      if (method === "PUT") put = true;
      return method === "GET" && put ? new Response("{}", { status: 404 }) : undefined;
    };
    expect(await outcomeOf(attachSbom(NAME, utf8("one"), options()))).toBe("REGISTRY_UPDATE_LOST");
  });

  test("puts it where signatures are kept, under a tag with a prefix", async () => {
    const elsewhere = options({ signatureRepository: `${HOST}/signatures`, attachmentTagPrefix: "x-" });
    await attachSbom(NAME, utf8("one"), elsewhere);
    expect(await manifestAt(`x-${tag()}`, "signatures")).toBeDefined();
    expect(Buffer.from((await downloadSbom(NAME, elsewhere)).bytes).toString()).toBe("one");
    expect(await outcomeOf(downloadSbom(NAME, options()))).toBe("SBOM_NOT_FOUND");
  });
});

describe("downloadSbom", () => {
  const put = async (content: string, layers = 1): Promise<void> => {
    const layer = await world.blob(content, "text/spdx");
    const config = await world.blob("{}", "application/vnd.oci.image.config.v1+json");
    await world.manifest({ config, layers: Array.from({ length: layers }, () => layer) }, tag());
  };
  const refer = async (content: string, changes: Json = {}): Promise<TestDescriptor> =>
    await world.manifest({
      config: await world.blob("{}", COSIGN_SBOM),
      layers: [await world.blob(content, "text/spdx")],
      subject: image,
      ...changes,
    });

  test("says that there is none, and that a platform may have one", async () => {
    expect((await refusal(downloadSbom(NAME, options()))).remedy ?? "").not.toContain("platform");
    await world.index([{ ...image, platform: { os: "linux", architecture: "amd64" } }], "all");
    await put("one");
    const all = `${HOST}/${REPOSITORY}:all`;
    const error = await refusal(downloadSbom(all, options()));
    expect(error.code).toBe("SBOM_NOT_FOUND");
    expect(error.remedy).toContain("platform");
    expect((await downloadSbom(all, options({ platform: "linux/amd64" }))).digest).toBe(image.digest);
  });

  test.for([0, 2])("takes no manifest with %i layers for an SBOM", async (layers) => {
    await put("one", layers);
    expect(await outcomeOf(downloadSbom(NAME, options()))).toBe("MEDIA_TYPE_MISMATCH");
  });

  const list = async (...manifests: readonly TestDescriptor[]): Promise<unknown> =>
    await world.manifest(
      { mediaType: "application/vnd.oci.image.index.v1+json", manifests },
      image.digest.replace(":", "-"),
    );

  test("takes the last of several referrers, of those that are an SBOM", async () => {
    await begin(["no-referrers"]);
    const signature = { artifactType: "application/vnd.dev.cosign.artifact.sig.v1+json" };
    await list(await refer("one"), await refer("two"), await refer("three", signature));
    expect(Buffer.from((await downloadSbom(NAME, options())).bytes).toString()).toBe("two");
  });

  test("takes nothing from a list that is attached to something else", async () => {
    await begin(["no-referrers"]);
    await list(await refer("foreign", { subject: await world.image("other") }));
    expect(await outcomeOf(downloadSbom(NAME, options()))).toBe("SBOM_NOT_FOUND");
  });

  test("reads no more than it is told", async () => {
    await put("four");
    expect(await outcomeOf(downloadSbom(NAME, { ...options(), maxBytes: 3 }))).toBe("LIMIT_EXCEEDED");
    expect(await outcomeOf(downloadSbom(NAME, { ...options(), maxBytes: 4 }))).toBe("accepted");
  });
});
