import { existsSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { beforeEach, describe, expect, test } from "vitest";
import type { ContentStore } from "../../src/oci/content-store.ts";
import { copyImage, type CopyOptions, type CopyReport } from "../../src/oci/copy.ts";
import { openLayout } from "../../src/oci/layout/layout.ts";
import type { Descriptor } from "../../src/oci/manifest.ts";
import { RegistryClient } from "../../src/oci/registry/registry-client.ts";
import { loadImage, saveImage } from "../../src/oci/save.ts";
import { verifyImage } from "../../src/oci/verification/verify-image.ts";
import type { RegistryForgery } from "../../src/sandbox/registry/registry.ts";
import { temporaryFolder } from "../support/cli.ts";
import {
  HOST,
  openImages,
  OTHER_DIGEST,
  payloadFor,
  statementFor,
  type ImageWorld,
  type TestDescriptor,
} from "../support/images.ts";
import { ALICE_SIGNED, bundleFrom, makeSandbox } from "../support/sandbox/sandbox.ts";

const sandbox = makeSandbox();
const SOURCE = `${HOST}/app:v1`;
const COPY = `${HOST}/copy:v1`;

let world: ImageWorld;
let client: RegistryClient;
let image: TestDescriptor;

async function begin(always: readonly RegistryForgery[] = []): Promise<void> {
  world = openImages(sandbox, always);
  client = new RegistryClient({ fetch: world.fetch, environment: {}, retries: 0 });
  image = await world.image("app", "v1");
}
beforeEach(() => begin());

const options = (more: CopyOptions = {}): CopyOptions => ({
  registry: client,
  sleep: () => Promise.resolve(),
  ...more,
});
const copy = (more: CopyOptions = {}, from = SOURCE, to = COPY): Promise<CopyReport> =>
  copyImage(from, to, options(more));
const store = (repository: string): ContentStore => client.repository({ registry: HOST, repository });
const bundleFor = ({ digest }: TestDescriptor): string => bundleFrom(sandbox, { statement: statementFor(digest) }).text;
const isVerified = async (name: string): Promise<boolean> =>
  await verifyImage(name, { ...world.options(), ...ALICE_SIGNED }).then(
    () => true,
    () => false,
  );
const outcomes = ({ items }: CopyReport): readonly string[] => [...new Set(items.map(({ outcome }) => outcome))];

/** Signs in both generations. */
async function attachAll(): Promise<void> {
  await world.attachBundle(image, bundleFor(image));
  await world.putLayers(image, "sig", [await world.legacySignature(payloadFor(image.digest))]);
}

describe.each([[[]], [["no-referrers"]]] as const)("copyImage, with a registry that is %j", (always) => {
  beforeEach(() => begin(always));

  test("copies the image and all that is attached to it, and nothing a second time", async () => {
    await world.putLayers(image, "sig", [await world.legacySignature(payloadFor(image.digest))]);
    const bundle = await world.attachBundle(image, bundleFor(image));
    if (always.length > 0) {
      const tag = image.digest.replace(":", "-");
      await world.manifest({ mediaType: "application/vnd.oci.image.index.v1+json", manifests: [bundle] }, tag);
    }
    const report = await copy();
    expect(report).toMatchObject({ source: SOURCE, destination: COPY, pinned: `${HOST}/copy@${image.digest}` });
    expect(outcomes(report)).toEqual(["copied"]);
    expect(await isVerified(COPY)).toBe(true);
    const { descriptors } = await store("copy").listReferrers(`sha256:${image.digest.slice(7)}`);
    expect(descriptors.map(({ digest }) => digest)).toEqual([bundle.digest]);
    expect(outcomes(await copy())).toEqual(["present"]);
  });
});

describe("copyImage", () => {
  test("copies an index with every image in it, and what is attached to each", async () => {
    const arm = await world.image("arm");
    const index = await world.index([image, arm], "multi");
    await world.attachBundle(arm, bundleFor(arm));
    await copy({}, `${HOST}/app:multi`);
    for (const { digest } of [index, image, arm]) expect(await store("copy").fetchManifest(digest)).toBeDefined();
    expect(await isVerified(`${HOST}/copy@${arm.digest}`)).toBe(true);
  });

  test("copies what refers to what refers to the image", async () => {
    const bundle = await world.attachBundle(image, bundleFor(image));
    const note = await world.attachBundle(bundle, '{"a":"note"}');
    await copy();
    const { descriptors } = await store("copy").listReferrers(`sha256:${bundle.digest.slice(7)}`);
    expect(descriptors.map(({ digest }) => digest)).toEqual([note.digest]);
  });

  test("copies nothing that a list names and that refers to something else", async () => {
    const foreign = await world.attachBundle({ ...image, digest: OTHER_DIGEST }, bundleFor(image));
    world.intercept = (request) =>
      new URL(request.url).pathname === `/v2/app/referrers/${image.digest}`
        ? Response.json(
            { schemaVersion: 2, mediaType: "application/vnd.oci.image.index.v1+json", manifests: [foreign] },
            { headers: { "content-type": "application/vnd.oci.image.index.v1+json" } },
          )
        : undefined;
    await copy();
    expect(await store("copy").fetchManifest(foreign.digest)).toBeUndefined();
  });

  test("mounts blobs within a registry", async () => {
    await copy();
    expect(world.requests.some((line) => line.startsWith("GET /v2/app/blobs/"))).toBe(false);
  });

  test("moves the tag last, and not where something is missing", async () => {
    const layer = { mediaType: "text/plain", digest: OTHER_DIGEST, size: 3 };
    const config = await world.blob("{}", "application/vnd.oci.image.config.v1+json");
    const broken = JSON.stringify({
      schemaVersion: 2,
      mediaType: "application/vnd.oci.image.manifest.v1+json",
      config,
      layers: [layer],
    });
    world.intercept = (request) =>
      new URL(request.url).pathname === "/v2/app/manifests/broken"
        ? new Response(broken, { headers: { "content-type": "application/vnd.oci.image.manifest.v1+json" } })
        : undefined;
    await expect(copy({}, `${HOST}/app:broken`)).rejects.toMatchObject({ code: "CONTENT_NOT_FOUND" });
    expect(await store("copy").listTags()).toEqual([]);
  });

  test("moves no tag of another image, unless that is forced", async () => {
    await copy();
    const other = await world.image("other", "other");
    await expect(copy({}, `${HOST}/app:other`)).rejects.toMatchObject({
      code: "DESTINATION_EXISTS",
      expected: other.digest,
      found: image.digest,
    });
    expect((await store("copy").resolve("v1"))?.digest).toBe(image.digest);
    await copy({ force: true }, `${HOST}/app:other`);
    expect((await store("copy").resolve("v1"))?.digest).toBe(other.digest);
  });

  test("leaves signatures that the copy has besides", async () => {
    await copy();
    const payload = payloadFor(image.digest);
    const own = await world.legacySignature(payload);
    await world.blob(payload, own.mediaType, "copy");
    await world.putLayers(image, "sig", [own], { repository: "copy" });
    await world.putLayers(image, "sig", [await world.legacySignature(payload)]);
    await copy();
    const tag = `${image.digest.replace(":", "-")}.sig`;
    const found = await store("copy").fetchManifest(tag);
    expect(found?.manifest.kind === "image" && found.manifest.layers).toHaveLength(2);
  });

  test.for([
    ["sig", ["sig"]],
    ["referrers", ["referrer"]],
  ] as const)("copies %s alone, and leaves the tag as it is", async ([only, kinds]) => {
    await copy();
    await attachAll();
    const other = await world.image("other", "v1");
    const report = await copy({ only: [only] }, `${HOST}/app@${image.digest}`);
    expect([...new Set(report.items.map(({ kind }) => kind))].filter((kind) => kind !== "blob")).toEqual(kinds);
    expect((await store("copy").resolve("v1"))?.digest).not.toBe(other.digest);
    expect(await isVerified(COPY)).toBe(true);
  });

  test("copies what belongs to an image alone, be the image there or not, and whatever the tag names", async () => {
    await attachAll();
    const other = await world.image("other", "other");
    await copy({}, `${HOST}/app:other`);
    const { items } = await copy({ only: ["sig"] });
    expect(items.map(({ kind }) => kind)).toEqual(["blob", "blob", "sig"]);
    expect((await store("copy").resolve("v1"))?.digest).toBe(other.digest);
    expect(await store("copy").fetchManifest(image.digest)).toBeUndefined();
  });

  test("replaces an SBOM, or signatures that are no list, only where that is forced", async () => {
    const put = async (kind: "sbom" | "sig", label: string): Promise<string> => {
      const tag = `${image.digest.replace(":", "-")}.${kind}`;
      if (kind === "sbom") {
        const layers = [await world.blob(label, "text/spdx+json")];
        const config = await world.blob("{}", "application/vnd.oci.image.config.v1+json");
        return (await world.manifest({ config, layers }, tag)).digest;
      }
      const mediaType = "application/vnd.oci.image.index.v1+json";
      return (await world.manifest({ mediaType, manifests: [], annotations: { label } }, tag)).digest;
    };
    for (const kind of ["sbom", "sig"] as const) {
      const tag = `${image.digest.replace(":", "-")}.${kind}`;
      await put(kind, "one");
      await copy({ only: [kind] });
      const two = await put(kind, "two");
      await expect(copy({ only: [kind] })).rejects.toMatchObject({ code: "DESTINATION_EXISTS", expected: two });
      await copy({ only: [kind], force: true });
      expect((await store("copy").resolve(tag))?.digest).toBe(two);
    }
  });

  test("loses nothing that cannot be read without saying so", async () => {
    world.intercept = ({ url }) =>
      url.endsWith(".sig")
        ? new Response('{"layers":"none"}', {
            headers: { "content-type": "application/vnd.oci.image.manifest.v1+json" },
          })
        : undefined;
    await expect(copy()).rejects.toMatchObject({ code: "MANIFEST_MALFORMED" });
  });

  test("says what was there already, blob by blob", async () => {
    await copy();
    const layers = [await world.blob("more", "text/plain")];
    const config = await world.blob('{"label":"app"}', "application/vnd.oci.image.config.v1+json");
    await world.manifest({ config, layers }, "more");
    const { items } = await copy({}, `${HOST}/app:more`, `${HOST}/copy:more`);
    expect(
      items
        .filter(({ kind }) => kind === "blob")
        .map(({ outcome }) => outcome)
        .toSorted(),
    ).toEqual(["copied", "present"]);
  });

  test("copies the manifest of one platform", async () => {
    const arm = await world.image("arm");
    const platform = (architecture: string): object => ({ platform: { os: "linux", architecture } });
    await world.index(
      [
        { ...image, ...platform("amd64") },
        { ...arm, ...platform("arm64") },
      ],
      "multi",
    );
    await copy({ platform: "linux/arm64" }, `${HOST}/app:multi`);
    expect((await store("copy").resolve("v1"))?.digest).toBe(arm.digest);
    expect(await store("copy").fetchManifest(image.digest)).toBeUndefined();
  });

  test("takes an image that is in no index for that of any platform", async () => {
    await copy({ platform: "linux/arm64" });
    expect((await store("copy").resolve("v1"))?.digest).toBe(image.digest);
    await expect(copy({ platform: "linux" })).rejects.toMatchObject({ code: "USAGE_INVALID" });
  });

  test("is an error where an index names what is not there", async () => {
    const index = await world.index([image], "multi");
    world.intercept = ({ url }) =>
      url.endsWith(image.digest) && url.includes("/app/") ? new Response(null, { status: 404 }) : undefined;
    await expect(copy({}, `${HOST}/app:multi`)).rejects.toMatchObject({ code: "CONTENT_NOT_FOUND" });
    expect(await store("copy").fetchManifest(index.digest)).toBeUndefined();
  });

  test("says what it would copy, and copies nothing", async () => {
    await attachAll();
    world.requests.length = 0;
    const report = await copy({ dryRun: true });
    expect(outcomes(report)).toEqual(["would-copy"]);
    expect([...new Set(report.items.map(({ kind }) => kind))].toSorted()).toEqual([
      "blob",
      "manifest",
      "referrer",
      "sig",
      "tag",
    ]);
    expect(world.requests.filter((line) => !/^(GET|HEAD) /.test(line))).toEqual([]);
  });

  test("finds out that the destination does not keep what it was given", async () => {
    await world.attachBundle(image, bundleFor(image));
    world.intercept = (request) =>
      new URL(request.url).pathname.startsWith("/v2/copy/referrers/")
        ? Response.json(
            { schemaVersion: 2, mediaType: "application/vnd.oci.image.index.v1+json", manifests: [] },
            { headers: { "content-type": "application/vnd.oci.image.index.v1+json" } },
          )
        : undefined;
    await expect(copy()).rejects.toMatchObject({
      code: expect.stringMatching(/LINKAGE_MISSING|REGISTRY_UPDATE_LOST/) as string,
    });
  });

  test.for([
    ["an image that is not there", `${HOST}/app:none`, COPY, "IMAGE_NOT_FOUND"],
    ["a malformed source", "app:a:b", COPY, "REFERENCE_MALFORMED"],
    ["a malformed destination", SOURCE, "Copy:v1", "REFERENCE_MALFORMED"],
    ["another digest as its destination", SOURCE, `${HOST}/copy@${OTHER_DIGEST}`, "REFERENCE_MALFORMED"],
  ] as const)("refuses %s", async ([, from, to, code]) => {
    await expect(copy({}, from, to)).rejects.toMatchObject({ code });
  });
});

describe("saveImage and loadImage", () => {
  test("carry the image and all that is attached to it", async () => {
    await attachAll();
    const folder = join(temporaryFolder(), "saved");
    const report = await saveImage(SOURCE, folder, options());
    expect(report).toMatchObject({ pinned: `${HOST}/app@${image.digest}`, path: folder });
    expect(report.manifests.map(({ kind }) => kind).toSorted()).toEqual(["image", "referrers", "sig"]);
    // cosign, pkg/oci/layout/write.go: what is listed, and how it is called there; referrers are blobs alone.
    const { manifests } = JSON.parse(readFileSync(join(folder, "index.json"), "utf8")) as { manifests: Descriptor[] };
    expect(manifests.map(({ annotations }) => annotations)).toEqual([
      { kind: "dev.cosignproject.cosign/sigs" },
      { kind: "dev.cosignproject.cosign/image" },
    ]);
    for (const format of ["bundle", "legacy"] as const) {
      const verification = verifyImage(await openLayout(folder), { ...world.options(), ...ALICE_SIGNED, format });
      expect((await verification).digest).toBe(image.digest);
    }
    await loadImage(folder, COPY, options());
    for (const format of ["bundle", "legacy"] as const)
      expect((await verifyImage(COPY, { ...world.options(), ...ALICE_SIGNED, format })).digest).toBe(image.digest);
  });

  test("save nothing over something else, and again over the same", async () => {
    const folder = temporaryFolder();
    writeFileSync(join(folder, "mine"), "");
    await expect(saveImage(SOURCE, folder, options())).rejects.toMatchObject({ code: "DESTINATION_EXISTS" });
    expect(readdirSync(folder)).toEqual(["mine"]);
    const saved = join(folder, "saved");
    await saveImage(SOURCE, saved, options());
    await saveImage(SOURCE, saved, options());
    expect((await openLayout(saved)).reference).toBe(image.digest);
  });

  test("are refused for an image that is not there", async () => {
    const folder = join(temporaryFolder(), "saved");
    await expect(saveImage(`${HOST}/app:none`, folder, options())).rejects.toMatchObject({ code: "IMAGE_NOT_FOUND" });
    expect(existsSync(folder)).toBe(false);
  });

  test("load nothing that was changed on disk", async () => {
    await attachAll();
    const folder = join(temporaryFolder(), "saved");
    await saveImage(SOURCE, folder, options());
    writeFileSync(join(folder, "blobs", "sha256", image.digest.slice(7)), "{}");
    await expect(loadImage(folder, COPY, options())).rejects.toMatchObject({ code: "CONTENT_DIGEST_MISMATCH" });
    expect(await store("copy").listTags()).toEqual([]);
  });
});

describe("copyImage, of referrers of referrers", () => {
  test("copies those of four levels, and refuses to leave out those below", async () => {
    let subject = image;
    const attach = async (label: string): Promise<void> => {
      const layers = [await world.blob(label, "application/x")];
      subject = await world.attachBundle(subject, "{}", { artifactType: "application/x", layers });
    };
    for (const label of ["1", "2", "3", "4"]) await attach(label);
    const { items } = await copy();
    expect(items.filter(({ kind }) => kind === "referrer")).toHaveLength(4);
    await attach("5");
    await expect(copy()).rejects.toMatchObject({ code: "LIMIT_EXCEEDED", expected: "at most 4 levels" });
  });
});

describe("copyImage, which reads back what it has copied", () => {
  /** Forgets what is asked for in this way, once it has been put there. */
  const forget = (what: RegExp, from: (method: string) => boolean): void => {
    let wasPut = false;
    world.intercept = ({ method, url }) => {
      if (method === "PUT" && what.test(url)) wasPut = true;
      return wasPut && from(method) && what.test(url) ? new Response(null, { status: 404 }) : undefined;
    };
  };

  test("is an error where the registry has lost the manifest, or a blob of it", async () => {
    forget(/copy\/manifests\/sha256/, (method) => method === "GET");
    await expect(copy()).rejects.toMatchObject({ code: "LINKAGE_MISSING", expected: image.digest });
    const other = `${HOST}/other:v1`;
    let heads = 0;
    world.intercept = ({ method, url }) =>
      method === "HEAD" && url.includes("/other/blobs/") && ++heads > 1
        ? new Response(null, { status: 404 })
        : undefined;
    await expect(copy({}, SOURCE, other)).rejects.toMatchObject({ code: "LINKAGE_MISSING" });
  });

  test("is an error where what was put under a tag beside it is not there in the end", async () => {
    await attachAll();
    forget(/copy\/manifests\/sha256-[0-9a-f]*\.sig/, (method) => method === "GET");
    await expect(copy()).rejects.toMatchObject({ code: "LINKAGE_MISSING" });
  });

  test("is an error where the tag does not name it in the end", async () => {
    let wasMoved = false;
    world.intercept = ({ method, url }) => {
      if (method === "PUT" && url.endsWith("/copy/manifests/v1")) wasMoved = true;
      if (!wasMoved || method !== "GET" || !url.endsWith("/copy/manifests/v1")) return undefined;
      return new Response(null, { status: 404 });
    };
    await expect(copy()).rejects.toMatchObject({ code: "LINKAGE_MISSING", expected: image.digest, found: "nothing" });
  });
});
