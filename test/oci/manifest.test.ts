import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { MAX_ANNOTATIONS, MAX_MANIFEST_BYTES, MAX_MANIFEST_DESCRIPTORS } from "../../src/limits.ts";
import { parseManifest, serializeDescriptor, type Descriptor } from "../../src/oci/manifest.ts";
import { DOCKER_INDEX, DOCKER_MANIFEST, OCI_INDEX, OCI_MANIFEST } from "../../src/oci/media-types.ts";
import { expectNoOtherError, SAMPLE, withFlippedByte } from "../support/hostile.ts";
import { utf8 } from "../support/logs.ts";

type Json = Readonly<Record<string, unknown>>;

const DIGEST = `sha256:${"ab".repeat(32)}` as const;
const CONFIG = { mediaType: "application/vnd.oci.image.config.v1+json", digest: DIGEST, size: 2 };
const LAYER = { mediaType: "application/vnd.oci.image.layer.v1.tar+gzip", digest: DIGEST, size: 5 };
const IMAGE = { schemaVersion: 2, mediaType: OCI_MANIFEST, config: CONFIG, layers: [LAYER] };
const CHILD = { mediaType: OCI_MANIFEST, digest: DIGEST, size: 7, platform: { os: "linux", architecture: "arm64" } };
const INDEX = { schemaVersion: 2, mediaType: OCI_INDEX, manifests: [CHILD] };

const parse = (content: Json, mediaType = OCI_MANIFEST) => parseManifest(utf8(JSON.stringify(content)), mediaType);
const code = (value: string): unknown => expect.objectContaining({ code: value }) as unknown;
const layersOf = (length: number): readonly Json[] => Array.from({ length }, () => LAYER);
const many = (count: number): Json => Object.fromEntries(Array.from({ length: count }, (_, i) => [`key${i}`, "x"]));

describe("parseManifest (image-spec manifest.md)", () => {
  test("reads config, layers, subject, type and annotations", () => {
    const attachment = { ...IMAGE, artifactType: "text/plain", subject: CHILD, annotations: { a: "b" } };
    expect(parse(attachment)).toEqual({
      kind: "image",
      mediaType: OCI_MANIFEST,
      config: CONFIG,
      layers: [LAYER],
      artifactType: "text/plain",
      subject: CHILD,
      annotations: { a: "b" },
    });
  });

  test("reads what has no type of its own by what it was said to be", () => {
    const { mediaType: _, ...image } = IMAGE;
    expect(parse(image)).toMatchObject({ kind: "image", mediaType: OCI_MANIFEST });
    expect(parse(image, DOCKER_MANIFEST)).toMatchObject({ kind: "image", mediaType: DOCKER_MANIFEST });
    // The same bytes are no index, whoever says so.
    expect(() => parse(image, OCI_INDEX)).toThrow(code("MANIFEST_MALFORMED"));
  });

  test("takes lists and fields that are null for empty, as programs in Go write them", () => {
    const empty = { ...IMAGE, layers: null, annotations: null, subject: null, artifactType: null };
    expect(parse(empty)).toEqual({
      kind: "image",
      mediaType: OCI_MANIFEST,
      config: CONFIG,
      layers: [],
      annotations: {},
    });
  });

  test.for([
    ["another version", { schemaVersion: 1 }, "MANIFEST_MALFORMED"],
    ["no version", { schemaVersion: undefined }, "MANIFEST_MALFORMED"],
    ["the type of an index", { mediaType: OCI_INDEX }, "MEDIA_TYPE_MISMATCH"],
    ["another type of manifest", { mediaType: DOCKER_MANIFEST }, "MEDIA_TYPE_MISMATCH"],
    ["an empty type", { mediaType: "" }, "MEDIA_TYPE_MISMATCH"],
    ["no config", { config: undefined }, "MANIFEST_MALFORMED"],
    ["manifests too", { manifests: [CHILD] }, "MANIFEST_MALFORMED"],
    ["manifests too, if none", { manifests: null }, "MANIFEST_MALFORMED"],
    ["manifests in other letters", { Manifests: [CHILD] }, "MANIFEST_MALFORMED"],
    ["layers in other letters", { LAYERS: [] }, "MANIFEST_MALFORMED"],
    ["a type in other letters", { mediatype: OCI_INDEX }, "MANIFEST_MALFORMED"],
    ["layers of schema 1", { fsLayers: [] }, "MANIFEST_MALFORMED"],
    ["a layer without a type", { layers: [{ ...LAYER, mediaType: undefined }] }, "MANIFEST_MALFORMED"],
    ["a layer of an empty type", { layers: [{ ...LAYER, mediaType: "" }] }, "MANIFEST_MALFORMED"],
    ["a layer without a digest", { layers: [{ ...LAYER, digest: undefined }] }, "MANIFEST_MALFORMED"],
    ["a digest of another hash", { layers: [{ ...LAYER, digest: `md5:${"0".repeat(32)}` }] }, "MANIFEST_MALFORMED"],
    ["a digest in capital letters", { layers: [{ ...LAYER, digest: DIGEST.toUpperCase() }] }, "MANIFEST_MALFORMED"],
    ["a layer without a size", { layers: [{ ...LAYER, size: undefined }] }, "MANIFEST_MALFORMED"],
    ["a negative size", { layers: [{ ...LAYER, size: -1 }] }, "MANIFEST_MALFORMED"],
    ["a size of half a byte", { layers: [{ ...LAYER, size: 0.5 }] }, "MANIFEST_MALFORMED"],
    ["a size of 2^53", { layers: [{ ...LAYER, size: 2 ** 53 }] }, "MANIFEST_MALFORMED"],
    ["an annotation that is no text", { annotations: { a: 1 } }, "MANIFEST_MALFORMED"],
    ["a subject that is text", { subject: DIGEST }, "MANIFEST_MALFORMED"],
    ["too many layers", { layers: layersOf(MAX_MANIFEST_DESCRIPTORS + 1) }, "LIMIT_EXCEEDED"],
    ["too many annotations", { annotations: many(MAX_ANNOTATIONS + 1) }, "LIMIT_EXCEEDED"],
  ] as const)("refuses %s", ([, change, problem]) => {
    expect(() => parse({ ...IMAGE, ...change })).toThrow(code(problem));
  });

  test("takes as many layers and annotations as it may", () => {
    const layers = layersOf(MAX_MANIFEST_DESCRIPTORS);
    expect(parse({ ...IMAGE, layers, annotations: many(MAX_ANNOTATIONS) })).toMatchObject({ kind: "image" });
  });

  test("refuses two fields of one name, content behind the end, and what is too long", () => {
    const text = JSON.stringify(IMAGE);
    const twice = text.replace('"schemaVersion"', '"layers":[],"schemaVersion"');
    expect(() => parseManifest(utf8(twice), OCI_MANIFEST)).toThrow(code("JSON_DUPLICATE_KEY"));
    expect(() => parseManifest(utf8(`${text}{}`), OCI_MANIFEST)).toThrow(code("MANIFEST_MALFORMED"));
    expect(() => parseManifest(utf8(text.padEnd(MAX_MANIFEST_BYTES + 1)), OCI_MANIFEST)).toThrow(
      code("LIMIT_EXCEEDED"),
    );
  });

  test("refuses types that are neither manifest nor index", () => {
    const { mediaType: _, ...image } = IMAGE;
    for (const type of [
      "",
      "application/json",
      "application/vnd.docker.distribution.manifest.v1+prettyjws",
      "constructor",
    ])
      expect(() => parse(image, type)).toThrow(code("MANIFEST_MALFORMED"));
  });

  test("keeps an annotation that is called like a part of the language", () => {
    const { annotations } = parseManifest(
      utf8(JSON.stringify(IMAGE).replace(/}$/, ',"annotations":{"__proto__":"x","constructor":"y"}}')),
      OCI_MANIFEST,
    );
    expect(Object.entries(annotations)).toEqual([
      ["__proto__", "x"],
      ["constructor", "y"],
    ]);
  });

  test("throws nothing but its own errors, whatever byte is changed or missing", () => {
    const bytes = utf8(JSON.stringify({ ...INDEX, annotations: { a: "b" }, subject: CHILD }));
    fc.assert(
      fc.property(fc.nat(bytes.length - 1), fc.integer({ min: 1, max: 255 }), (at, pattern) => {
        expectNoOtherError(() => parseManifest(withFlippedByte(bytes, at, pattern), OCI_INDEX));
        expectNoOtherError(() => parseManifest(bytes.subarray(0, at), OCI_INDEX));
      }),
      SAMPLE,
    );
  });
});

describe("parseManifest (image-spec image-index.md)", () => {
  test.for([OCI_INDEX, DOCKER_INDEX])("reads an index of type %s with its platforms", (mediaType) => {
    const platform = { os: "windows", architecture: "arm64", "os.version": "10.0", variant: "v8" };
    expect(parse({ ...INDEX, mediaType, manifests: [{ ...CHILD, platform }] }, mediaType)).toEqual({
      kind: "index",
      mediaType,
      manifests: [{ ...CHILD, platform: { os: "windows", architecture: "arm64", osVersion: "10.0", variant: "v8" } }],
      annotations: {},
    });
  });

  test.for([
    ["layers too", { layers: [LAYER] }],
    ["a config too", { config: CONFIG }],
    ["a config too, in other letters", { Config: CONFIG }],
    ["a platform without an architecture", { manifests: [{ ...CHILD, platform: { os: "linux" } }] }],
  ] as const)("refuses %s", ([, change]) => {
    expect(() => parse({ ...INDEX, ...change }, OCI_INDEX)).toThrow(code("MANIFEST_MALFORMED"));
  });
});

test("serializeDescriptor writes what is read", () => {
  const descriptor: Descriptor = {
    ...CHILD,
    artifactType: "text/plain",
    annotations: { a: "b" },
    platform: { os: "windows", architecture: "arm64", osVersion: "10.0", variant: "v8" },
  };
  expect(parse({ ...INDEX, manifests: [serializeDescriptor(descriptor)] }, OCI_INDEX)).toMatchObject({
    manifests: [descriptor],
  });
});
