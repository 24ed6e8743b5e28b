import { createHash } from "node:crypto";
import { cpSync, mkdirSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { packTar, type TarHeader } from "modern-tar";
import { beforeEach, describe, expect, test, vi } from "vitest";
import type { ContentDigest } from "../../../src/oci/content-digest.ts";
import { createLayout, openLayout } from "../../../src/oci/layout/layout.ts";
import type { Descriptor } from "../../../src/oci/manifest.ts";
import { temporaryFolder } from "../../support/cli.ts";
import { projectDir } from "../../support/shared.ts";

/** Made by the real cosign; see the README there. */
const REAL = join(projectDir, "testdata", "image");
const MANIFEST = "application/vnd.oci.image.manifest.v1+json";
const REF_NAME = "org.opencontainers.image.ref.name";
const bytesOf = (text: string): Uint8Array => new TextEncoder().encode(text);
const digestOf = (bytes: Uint8Array | string): ContentDigest =>
  `sha256:${createHash("sha256").update(bytes).digest("hex")}`;
const describeBytes = (bytes: Uint8Array, mediaType: string): Descriptor => ({
  mediaType,
  digest: digestOf(bytes),
  size: bytes.length,
});

let folder: string;
beforeEach(() => {
  folder = join(temporaryFolder(), "layout");
});

/** A layout of one image, written here and by nothing of the code under test. */
function writeLayout(
  changes: { readonly index?: unknown; readonly marker?: unknown; readonly manifest?: object } = {},
): Descriptor {
  mkdirSync(join(folder, "blobs", "sha256"), { recursive: true });
  const put = (bytes: Uint8Array, mediaType: string): Descriptor => {
    const descriptor = describeBytes(bytes, mediaType);
    writeFileSync(join(folder, "blobs", "sha256", descriptor.digest.slice(7)), bytes);
    return descriptor;
  };
  const config = put(bytesOf("{}"), "application/vnd.oci.image.config.v1+json");
  const layers = [put(bytesOf("layer"), "application/vnd.oci.image.layer.v1.tar")];
  const manifest = { schemaVersion: 2, mediaType: MANIFEST, config, layers, ...changes.manifest };
  const image = put(bytesOf(JSON.stringify(manifest)), MANIFEST);
  writeFileSync(join(folder, "oci-layout"), JSON.stringify(changes.marker ?? { imageLayoutVersion: "1.0.0" }));
  const index = changes.index ?? { schemaVersion: 2, manifests: [{ ...image, annotations: { [REF_NAME]: "v1" } }] };
  writeFileSync(join(folder, "index.json"), typeof index === "string" ? index : JSON.stringify(index));
  return image;
}

const entry = (descriptor: Descriptor, annotations: Record<string, string>): object => ({ ...descriptor, annotations });
const indexOf = (...manifests: object[]): object => ({ schemaVersion: 2, manifests });

describe("openLayout (image-spec image-layout.md)", () => {
  test("finds the one image, and an image by its tag or digest behind the path", async () => {
    const image = writeLayout();
    expect((await openLayout(folder)).reference).toBe(image.digest);
    for (const named of [`${folder}:v1`, `${folder}@${image.digest}`]) {
      const { store, reference } = await openLayout(named);
      expect((await store.fetchManifest(reference))?.descriptor.digest).toBe(image.digest);
    }
    const { store } = await openLayout(`${folder}:v2`);
    expect(await store.fetchManifest("v2")).toBeUndefined();
  });

  test("takes the image that cosign marks as such, and what is beside it for its signatures alone", async () => {
    const image = writeLayout();
    const other = { ...image, digest: digestOf("other") };
    const kind = (name: string): Record<string, string> => ({ kind: `dev.cosignproject.cosign/${name}` });
    const write = (...entries: object[]): void =>
      writeFileSync(join(folder, "index.json"), JSON.stringify(indexOf(...entries)));
    // The same manifest stands in for the signatures: what is of interest is which entry is taken.
    write(entry(other, kind("atts")), entry(image, kind("sigs")), entry(image, kind("image")), entry(other, {}));
    const { store, reference } = await openLayout(folder);
    expect(reference).toBe(image.digest);
    const tagOf = (digest: string, suffix: string): string => `${digest.replace(":", "-")}.${suffix}`;
    expect((await store.resolve(tagOf(image.digest, "sig")))?.digest).toBe(image.digest);
    expect(await store.resolve(tagOf(image.digest, "att"))).toBeUndefined(); // listed, without a blob
    // Those of the one image, and of no other.
    expect(await store.resolve(tagOf(other.digest, "sig"))).toBeUndefined();
    write(entry(image, kind("sigs")));
    await expect(openLayout(folder)).rejects.toMatchObject({ code: "REFERENCE_MALFORMED" });
  });

  test("takes for the one image nothing that is attached to it", async () => {
    const image = writeLayout();
    const layout = createLayout(folder);
    const config = describeBytes(bytesOf("{}"), "application/vnd.oci.empty.v1+json");
    const put = (content: object): Uint8Array =>
      bytesOf(JSON.stringify({ schemaVersion: 2, mediaType: MANIFEST, config, layers: [], ...content }));
    await layout.pushManifest(put({ subject: image }), MANIFEST);
    await layout.pushManifest(put({}), MANIFEST, { tag: `${image.digest.replace(":", "-")}.sig` });
    await layout.addEntry({ ...config, mediaType: "application/octet-stream" }, {});
    expect((await openLayout(folder)).reference).toBe(image.digest);
    await layout.pushManifest(put({ annotations: { a: "b" } }), MANIFEST);
    await expect(openLayout(folder)).rejects.toMatchObject({ code: "REFERENCE_MALFORMED" });
  });

  test.for([
    ["no folder", "FILE_NOT_FOUND", (): void => undefined],
    [
      "no oci-layout",
      "IMAGE_LAYOUT_MALFORMED",
      () => {
        writeLayout();
        rmSync(join(folder, "oci-layout"));
      },
    ],
    [
      "no index.json",
      "IMAGE_LAYOUT_MALFORMED",
      () => {
        writeLayout();
        rmSync(join(folder, "index.json"));
      },
    ],
    [
      "another version",
      "IMAGE_LAYOUT_MALFORMED",
      () => {
        writeLayout({ marker: { imageLayoutVersion: "2.0.0" } });
      },
    ],
    [
      "an index that is no JSON",
      "IMAGE_LAYOUT_MALFORMED",
      () => {
        writeLayout({ index: "{" });
      },
    ],
    [
      "a key twice",
      "JSON_DUPLICATE_KEY",
      () => {
        writeLayout({ index: '{"manifests":[],"manifests":[]}' });
      },
    ],
    [
      "an entry without a digest",
      "IMAGE_LAYOUT_MALFORMED",
      () => {
        writeLayout({ index: indexOf({ mediaType: MANIFEST, size: 1 }) });
      },
    ],
    [
      "no image",
      "REFERENCE_MALFORMED",
      () => {
        writeLayout({ index: indexOf() });
      },
    ],
    [
      "several images, none of them named",
      "REFERENCE_MALFORMED",
      () => {
        const image = writeLayout();
        const other = { ...image, digest: digestOf("other") };
        writeFileSync(join(folder, "index.json"), JSON.stringify(indexOf(entry(image, {}), entry(other, {}))));
      },
    ],
  ] as const)("refuses %s", async ([, code, make]) => {
    make();
    await expect(openLayout(folder)).rejects.toMatchObject({ code });
  });

  test("refuses a tag that names two images", async () => {
    const image = writeLayout();
    const other = { ...image, digest: digestOf("other") };
    const named = { [REF_NAME]: "v1" };
    writeFileSync(join(folder, "index.json"), JSON.stringify(indexOf(entry(image, named), entry(other, named))));
    const { store } = await openLayout(`${folder}:v1`);
    await expect(store.fetchManifest("v1")).rejects.toMatchObject({ code: "IMAGE_LAYOUT_MALFORMED" });
  });
});

describe("ImageLayout", () => {
  test("computes every digest itself", async () => {
    const image = writeLayout();
    const { store } = await openLayout(folder);
    const file = join(folder, "blobs", "sha256", image.digest.slice(7));
    const text = readFileSync(file, "utf8");
    writeFileSync(file, text.replace("2", "3"));
    await expect(store.fetchManifest(image.digest)).rejects.toMatchObject({ code: "CONTENT_DIGEST_MISMATCH" });
    writeFileSync(file, `${text} `);
    await expect(store.fetchManifest("v1")).rejects.toMatchObject({ code: "CONTENT_DIGEST_MISMATCH" });
    const layer = describeBytes(bytesOf("layer"), "text/plain");
    writeFileSync(join(folder, "blobs", "sha256", layer.digest.slice(7)), "LAYER");
    await expect(store.fetchBlob(layer, 100)).rejects.toMatchObject({ code: "CONTENT_DIGEST_MISMATCH" });
    const streaming = async (descriptor: Descriptor): Promise<void> => {
      for await (const chunk of store.openBlob(descriptor)) expect(chunk.length).toBeLessThan(100);
    };
    await expect(streaming(layer)).rejects.toMatchObject({ code: "CONTENT_DIGEST_MISMATCH" });
    let streamed = 0;
    const counting = async (descriptor: Descriptor): Promise<void> => {
      for await (const chunk of store.openBlob(descriptor)) streamed += chunk.length;
    };
    await expect(counting({ ...layer, size: 4 })).rejects.toMatchObject({ code: "CONTENT_SIZE_MISMATCH" });
    expect(streamed).toBe(0); // what is too long is not passed on
    await expect(store.fetchBlob({ ...layer, size: 6 }, 100)).rejects.toMatchObject({ code: "CONTENT_SIZE_MISMATCH" });
    await expect(store.fetchBlob({ ...layer, size: 101 }, 100)).rejects.toMatchObject({ code: "LIMIT_EXCEEDED" });
    const missing = { ...layer, digest: digestOf("missing") };
    await expect(store.fetchBlob(missing, 100)).rejects.toMatchObject({ code: "CONTENT_NOT_FOUND" });
    await expect(streaming(missing)).rejects.toMatchObject({ code: "CONTENT_NOT_FOUND" });
  });

  test("refuses an entry that is of another size or type than its content", async () => {
    const image = writeLayout();
    const { store } = await openLayout(folder);
    const rewrite = (changes: object): void =>
      writeFileSync(join(folder, "index.json"), JSON.stringify(indexOf({ ...image, ...changes })));
    rewrite({ size: image.size + 1 });
    await expect(store.fetchManifest(image.digest)).rejects.toMatchObject({ code: "CONTENT_SIZE_MISMATCH" });
    rewrite({ mediaType: "application/vnd.oci.image.index.v1+json" });
    await expect(store.fetchManifest(image.digest)).rejects.toMatchObject({ code: "MEDIA_TYPE_MISMATCH" });
  });

  test("passes over what is no blob, and refuses an index that is too large", async () => {
    const image = writeLayout();
    const blobs = join(folder, "blobs", "sha256");
    writeFileSync(join(blobs, "notes"), "{}");
    mkdirSync(join(blobs, digestOf("a folder").slice(7)));
    const { store } = await openLayout(folder);
    expect(await store.listReferrers(image.digest)).toMatchObject({ descriptors: [] });
    writeFileSync(join(folder, "index.json"), " ".repeat(4 * 1024 * 1024 + 1));
    await expect(store.resolve("v1")).rejects.toMatchObject({ code: "LIMIT_EXCEEDED" });
  });

  test("follows no link out of the folder", async () => {
    const image = writeLayout();
    const outside = join(folder, "..", "outside");
    const file = join(folder, "blobs", "sha256", image.digest.slice(7));
    cpSync(file, outside);
    rmSync(file);
    symlinkSync(outside, file);
    const { store } = await openLayout(`${folder}:v1`);
    expect(await store.fetchManifest("v1")).toBeUndefined();
  });

  test("lists what refers to an image: in the index, under the tag for it, and as a blob alone", async () => {
    const image = writeLayout();
    const { store } = await openLayout(folder);
    const config = describeBytes(bytesOf("{}"), "application/vnd.oci.empty.v1+json");
    const referring = (label: string, subject: Descriptor): Uint8Array =>
      bytesOf(
        JSON.stringify({ schemaVersion: 2, mediaType: MANIFEST, config, layers: [], annotations: { label }, subject }),
      );
    const blob = referring("a blob alone", image);
    writeFileSync(join(folder, "blobs", "sha256", digestOf(blob).slice(7)), blob);
    const foreign = referring("of another", { ...image, digest: digestOf("another") });
    writeFileSync(join(folder, "blobs", "sha256", digestOf(foreign).slice(7)), foreign);
    const pushed = await store.pushManifest(referring("pushed", image), MANIFEST);
    const { source, descriptors } = await store.listReferrers(image.digest);
    expect(source).toBe("layout");
    expect(descriptors.map(({ digest }) => digest).toSorted()).toEqual(
      [digestOf(blob), pushed.descriptor.digest].toSorted(),
    );
  });

  test("finds out what a manifest is that no entry lists, and takes nothing else for one", async () => {
    const image = writeLayout();
    const { store } = await openLayout(folder);
    const put = (content: object | string): ContentDigest => {
      const text = typeof content === "string" ? content : JSON.stringify(content);
      writeFileSync(join(folder, "blobs", "sha256", digestOf(text).slice(7)), text);
      return digestOf(text);
    };
    const config = describeBytes(bytesOf("{}"), "application/vnd.oci.empty.v1+json");
    // image-spec manifest.md and image-index.md: the media type should be there, and need not.
    const manifest = put({ schemaVersion: 2, config, layers: [], subject: image });
    const index = put({ schemaVersion: 2, manifests: [], subject: image });
    const others = [
      put({ schemaVersion: 2, mediaType: "application/x", config, layers: [], subject: image }),
      put({ schemaVersion: 2, config, layers: [], manifests: [], subject: image }),
      put({ subject: image }),
      put("{"),
      put("no JSON"),
    ];
    const { descriptors } = await store.listReferrers(image.digest);
    expect(new Map(descriptors.map(({ digest, mediaType }) => [digest, mediaType]))).toEqual(
      new Map([
        [manifest, MANIFEST],
        [index, "application/vnd.oci.image.index.v1+json"],
      ]),
    );
    for (const digest of others)
      await expect(store.fetchManifest(digest)).rejects.toMatchObject({ code: "MANIFEST_MALFORMED" });
  });

  test("finds what the real cosign attached, in every generation", async () => {
    const { store } = await openLayout(`${REAL}:cosign2`);
    const image = await store.resolve("cosign2");
    const signatures = await store.fetchManifest(`${image?.digest.replace(":", "-")}.sig`);
    expect(signatures?.manifest.kind === "image" && signatures.manifest.layers).toHaveLength(1);
    const bundled = await store.resolve("cosign3");
    expect((await store.listReferrers(bundled?.digest ?? digestOf(""))).descriptors).toHaveLength(2);
  });

  test("keeps what it is given: whole, and under the name of its digest", async () => {
    const layout = createLayout(folder);
    const layer = bytesOf("layer");
    await layout.pushBlob(describeBytes(layer, "text/plain"), layer);
    await expect(
      layout.pushBlob({ ...describeBytes(layer, "text/plain"), digest: digestOf("x") }, layer),
    ).rejects.toMatchObject({
      code: "CONTENT_DIGEST_MISMATCH",
    });
    const config = bytesOf("{}");
    await layout.pushBlob(describeBytes(config, MANIFEST), config);
    const manifest = bytesOf(
      JSON.stringify({ schemaVersion: 2, mediaType: MANIFEST, config: describeBytes(config, "a/b"), layers: [] }),
    );
    await Promise.all(["a", "b", "c"].map((tag) => layout.pushManifest(manifest, MANIFEST, { tag })));
    expect((await layout.listTags()).toSorted()).toEqual(["a", "b", "c"]);
    expect(readdirSync(join(folder, "blobs", "sha256")).toSorted()).toEqual(
      [layer, config, manifest].map((bytes) => digestOf(bytes).slice(7)).toSorted(),
    );
    expect(JSON.parse(readFileSync(join(folder, "oci-layout"), "utf8"))).toEqual({ imageLayoutVersion: "1.0.0" });
    const blobs = readdirSync(join(folder, "blobs", "sha256")).length;
    expect(await layout.deleteManifest("b")).toBe(true);
    expect(await layout.deleteManifest("b")).toBe(false);
    expect((await layout.listTags()).toSorted()).toEqual(["a", "c"]);
    // Under its other tags it is still wanted.
    expect(readdirSync(join(folder, "blobs", "sha256"))).toHaveLength(blobs);
    // Nothing that was begun is left.
    expect(readdirSync(folder).toSorted()).toEqual(["blobs", "index.json", "oci-layout"]);
  });

  test("lists a tag and a kind once, with what was put there last; a digest that is deleted, and its blob, are gone", async () => {
    const layout = createLayout(folder);
    const manifestOf = (label: string): Uint8Array => {
      const config = describeBytes(bytesOf("{}"), "a/b");
      return bytesOf(
        JSON.stringify({ schemaVersion: 2, mediaType: MANIFEST, config, layers: [], annotations: { label } }),
      );
    };
    const [one, two] = [manifestOf("one"), manifestOf("two")].map((bytes) => ({
      bytes,
      ...describeBytes(bytes, MANIFEST),
    }));
    if (one === undefined || two === undefined) throw new Error("there are two");
    await layout.pushManifest(one.bytes, MANIFEST, { tag: "v1" });
    await layout.pushManifest(two.bytes, MANIFEST, { tag: "v1" });
    expect((await layout.resolve("v1"))?.digest).toBe(two.digest);
    const kind = { kind: "dev.cosignproject.cosign/image" };
    await layout.addEntry({ mediaType: MANIFEST, digest: one.digest, size: one.size }, kind);
    await layout.addEntry({ mediaType: MANIFEST, digest: two.digest, size: two.size }, kind);
    const { manifests } = JSON.parse(readFileSync(join(folder, "index.json"), "utf8")) as { manifests: Descriptor[] };
    expect(manifests.map(({ digest, annotations }) => [digest, annotations])).toEqual([
      [two.digest, { [REF_NAME]: "v1" }],
      [two.digest, kind],
    ]);
    expect(await layout.deleteManifest(two.digest)).toBe(true);
    expect(await layout.hasBlob(two.digest)).toBe(false);
    expect(await layout.hasBlob(one.digest)).toBe(true);
    expect(await layout.listTags()).toEqual([]);
  });

  test("does not write again what is there", async () => {
    const layout = createLayout(folder);
    const layer = bytesOf("layer");
    const descriptor = describeBytes(layer, "text/plain");
    await layout.pushBlob(descriptor, layer);
    // Nothing is asked of a store that has not got it.
    await layout.pushBlob(descriptor, createLayout(join(temporaryFolder(), "empty")));
    expect(await layout.hasBlob(descriptor.digest)).toBe(true);
  });

  test("writes nothing of a stream that breaks, and nothing into a folder of something else", async () => {
    const layout = createLayout(folder);
    const whole = createLayout(join(temporaryFolder(), "other"));
    const layer = describeBytes(bytesOf("layer"), "text/plain");
    await expect(layout.pushBlob(layer, whole)).rejects.toMatchObject({ code: "CONTENT_NOT_FOUND" });
    expect(await layout.hasBlob(layer.digest)).toBe(false);
    expect(readdirSync(folder).toSorted()).toEqual(["blobs", "index.json", "oci-layout"]);
    const used = temporaryFolder();
    writeFileSync(join(used, "mine"), "");
    expect(() => createLayout(used)).toThrow(expect.objectContaining({ code: "DESTINATION_EXISTS" }));
    expect(readdirSync(used)).toEqual(["mine"]);
  });
});

describe("layouts in tar files", () => {
  type Entry = { readonly header: TarHeader; readonly body?: string | Uint8Array };
  const filesOf = (root: string, prefix = ""): readonly Entry[] =>
    readdirSync(root, { recursive: true, withFileTypes: true })
      .filter((one) => one.isFile())
      .map((one) => {
        const path = join(one.parentPath, one.name);
        const body = readFileSync(path);
        return { header: { name: `${prefix}${path.slice(root.length + 1)}`, size: body.length }, body };
      });
  const pack = async (entries: readonly Entry[]): Promise<string> => {
    const path = join(temporaryFolder(), "image.tar");
    writeFileSync(path, await packTar(entries));
    return path;
  };

  test.each(["", "./"])("are read as folders are, with names that begin with %j", async (prefix) => {
    const path = await pack(filesOf(REAL, prefix));
    const { store } = await openLayout(`${path}:cosign3`);
    expect(store.name).toBe(path);
    const image = await store.resolve("cosign3");
    const { store: folderStore } = await openLayout(`${REAL}:cosign3`);
    expect(image).toEqual(await folderStore.resolve("cosign3"));
    expect((await store.listReferrers(image?.digest ?? digestOf(""))).descriptors).toHaveLength(2);
  });

  test.for([
    ["a name twice", [...filesOf(REAL), { header: { name: "index.json", size: 2 }, body: "{}" }]],
    [
      "a link in the place of a file",
      [{ header: { name: "index.json", size: 0, type: "symlink", linkname: "/etc/passwd" } }],
    ],
    ["no layout", [{ header: { name: "other", size: 1 }, body: "x" }]],
  ] as const)("refuse %s", async ([problem, entries]) => {
    const path = await pack(entries);
    await expect(openLayout(path)).rejects.toMatchObject({
      code: "IMAGE_LAYOUT_MALFORMED",
      message: expect.stringMatching(
        problem === "no layout" ? /no file oci-layout/ : problem === "a name twice" ? /occurs twice/ : /is a symlink/,
      ) as string,
    });
  });

  test("leave nothing behind, whatever names are in them", async () => {
    const marker = join(temporaryFolder(), "escaped");
    const path = await pack([
      ...filesOf(REAL),
      { header: { name: `../../../../../../../..${marker}`, size: 1 }, body: "x" },
      { header: { name: marker, size: 1 }, body: "x" },
      { header: { name: "blobs/sha256/../../../escaped", size: 1 }, body: "x" },
    ]);
    vi.stubEnv("TMPDIR", temporaryFolder());
    const listeners = process.listenerCount("exit");
    const { store } = await openLayout(`${path}:cosign3`);
    expect(await store.resolve("cosign3")).toBeDefined();
    expect(() => readFileSync(marker)).toThrow("ENOENT");
    expect(readdirSync(tmpdir())).toEqual([]);
    expect(process.listenerCount("exit")).toBe(listeners);
    vi.unstubAllEnvs();
  });

  test("are read where pax headers describe their files, and blobs are no whole number of blocks", async () => {
    const plain = filesOf(REAL).map(({ header, body }, index) => ({
      header: { ...header, pax: { comment: "x".repeat(index * 300) } },
      ...(body !== undefined && { body }),
    }));
    const { store } = await openLayout(`${await pack(plain)}:cosign3`);
    const { store: folderStore } = await openLayout(`${REAL}:cosign3`);
    const { manifest } = (await store.fetchManifest("cosign3")) ?? {};
    const blobs = manifest?.kind === "image" ? [manifest.config, ...manifest.layers] : [];
    expect(blobs.length).toBeGreaterThan(0);
    for (const blob of blobs) {
      expect(await store.fetchBlob(blob, 1_000_000)).toEqual(
        new Uint8Array(await folderStore.fetchBlob(blob, 1_000_000)),
      );
      const chunks: Uint8Array[] = [];
      for await (const chunk of store.openBlob(blob)) chunks.push(chunk);
      expect(digestOf(Buffer.concat(chunks))).toBe(blob.digest);
    }
  });

  test("are only read", async () => {
    const path = await pack(filesOf(REAL));
    const before = readFileSync(path);
    const { store } = await openLayout(`${path}:cosign3`);
    const { descriptor } = (await store.fetchManifest("cosign3")) ?? {};
    await expect(store.addEntry(descriptor as Descriptor, { [REF_NAME]: "other" })).rejects.toMatchObject({
      code: "WRITE_FAILED",
      message: expect.stringContaining("only read") as string,
    });
    expect(readFileSync(path).equals(before)).toBe(true);
  });

  test.for([
    ["is cut off", (bytes: Uint8Array) => bytes.subarray(0, bytes.length / 2)],
    ["is none", () => bytesOf("not a tar file".repeat(100))],
    ["is empty", () => new Uint8Array(0)],
    [
      "has a flipped byte in a header",
      (bytes: Uint8Array) => bytes.map((byte, index) => (index === 3 ? byte ^ 1 : byte)),
    ],
  ] as const)("refuse a file that %s", async ([, change]) => {
    const path = await pack(filesOf(REAL));
    writeFileSync(path, change(readFileSync(path)));
    await expect(openLayout(path)).rejects.toMatchObject({ code: "IMAGE_LAYOUT_MALFORMED" });
  });
});
