import { describe, expect, test } from "vitest";
import { MAX_REGISTRY_DESCRIPTORS } from "../../../src/limits.ts";
import { otherMediaType, parseManifest } from "../../../src/sandbox/registry/manifest.ts";
import { utf8 } from "../../support/logs.ts";
import { describeContent, digestOf, manifestOf, OCI_CONFIG, OCI_INDEX, OCI_MANIFEST } from "./client.ts";

const LAYER = describeContent("layer", "text/plain");
const indexOf = (members: Readonly<Record<string, unknown>> = {}): string =>
  JSON.stringify({
    schemaVersion: 2,
    mediaType: OCI_INDEX,
    manifests: [describeContent("image", OCI_MANIFEST)],
    ...members,
  });

describe("parseManifest (image-spec manifest.md, image-index.md, descriptor.md)", () => {
  test("reads what an image consists of, and what it says of itself", () => {
    const subject = describeContent("subject", OCI_MANIFEST);
    const manifest = manifestOf({ subject, artifactType: "text/x-a", annotations: { ["__proto__"]: "a", b: "" } });
    const parsed = parseManifest(utf8(manifest), OCI_MANIFEST);
    expect(parsed).toMatchObject({
      mediaType: OCI_MANIFEST,
      blobs: [digestOf("{}"), digestOf("layer")],
      manifests: [],
      subject: subject.digest,
      artifactType: "text/x-a",
    });
    expect(JSON.stringify(parsed.annotations)).toBe('{"b":""}'.replace('"b"', '"__proto__":"a","b"'));
  });

  test.for([
    ["config", {}, OCI_CONFIG],
    ["config, where its own is empty", { artifactType: "" }, OCI_CONFIG],
    ["artifactType", { artifactType: "text/x-a" }, "text/x-a"],
  ] as const)("takes an image's type from its %s", ([, members, type]) => {
    expect(parseManifest(utf8(manifestOf(members)), OCI_MANIFEST).artifactType).toBe(type);
  });

  test("reads an index, which may have no type", () => {
    const parsed = parseManifest(utf8(indexOf()), OCI_INDEX);
    expect(parsed).toEqual({ mediaType: OCI_INDEX, blobs: [], manifests: [digestOf("image")] });
    expect(parseManifest(utf8(indexOf({ artifactType: "text/x-a" })), OCI_INDEX).artifactType).toBe("text/x-a");
  });

  test("takes the Content-Type's word, or the manifest's", () => {
    expect(parseManifest(utf8(manifestOf({ mediaType: undefined })), OCI_MANIFEST).mediaType).toBe(OCI_MANIFEST);
    expect(parseManifest(utf8(manifestOf()), undefined).mediaType).toBe(OCI_MANIFEST);
    const docker = otherMediaType(OCI_MANIFEST);
    expect(parseManifest(utf8(manifestOf({ mediaType: docker })), docker).mediaType).toBe(docker);
  });

  test("does not look for layers that are fetched from elsewhere", () => {
    const layers = [
      { ...LAYER, urls: ["https://layers.example/1"] },
      { ...LAYER, urls: [] },
    ];
    expect(parseManifest(utf8(manifestOf({ layers })), OCI_MANIFEST).blobs).toEqual([digestOf("{}"), LAYER.digest]);
  });

  const image = (members: Readonly<Record<string, unknown>>): readonly [string, string] => [
    manifestOf(members),
    OCI_MANIFEST,
  ];
  const layer = (members: Readonly<Record<string, unknown>>): readonly [string, string] =>
    image({ layers: [{ ...LAYER, ...members }] });
  test.for([
    ["is not JSON", ["{", OCI_MANIFEST]],
    ["is not UTF-8", ["\ud800", OCI_MANIFEST]],
    ["is not an object", ["[]", OCI_MANIFEST]],
    ["has a member twice", [manifestOf().replace("{", '{"schemaVersion":2,'), OCI_MANIFEST]],
    [
      "nests too deeply",
      [manifestOf({ x: 0 }).replace('"x":0', `"x":${"[".repeat(200)}${"]".repeat(200)}`), OCI_MANIFEST],
    ],
    ["has no schemaVersion", image({ schemaVersion: undefined })],
    ["has schemaVersion 1", image({ schemaVersion: 1 })],
    ["is said to be something else", [manifestOf(), OCI_INDEX]],
    ["says nothing of its type, like the client", [manifestOf({ mediaType: undefined }), undefined]],
    ["is something else", [manifestOf({ mediaType: "text/plain" }), "text/plain"]],
    ["has no config", image({ config: undefined })],
    ["has no layers", image({ layers: undefined })],
    ["has layers and manifests", image({ manifests: [] })],
    ["is an index with layers", [indexOf({ layers: [] }), OCI_INDEX]],
    ["is an index without manifests", [indexOf({ manifests: undefined }), OCI_INDEX]],
    ["has too many layers", image({ layers: Array.from({ length: MAX_REGISTRY_DESCRIPTORS + 1 }, () => LAYER) })],
    ["has layers that are no list", image({ layers: {} })],
    ["has a layer that is no object", image({ layers: ["layer"] })],
    ["has a layer without a media type", layer({ mediaType: undefined })],
    ["has a layer whose media type is none", layer({ mediaType: "text" })],
    ["has a layer without a digest", layer({ digest: undefined })],
    ["has a layer whose digest is none", layer({ digest: "sha256:../../etc/passwd" })],
    ["has a layer whose digest is in upper case", layer({ digest: LAYER.digest.toUpperCase() })],
    ["has a layer of a weak hash", layer({ digest: `md5:${"0".repeat(32)}` })],
    ["has a layer without a size", layer({ size: undefined })],
    ["has a layer of a negative size", layer({ size: -1 })],
    ["has a layer of half a byte", layer({ size: 0.5 })],
    ["has a layer whose size is text", layer({ size: "5" })],
    ["has a layer whose annotation is a number", layer({ annotations: { a: 1 } })],
    ["has a subject that is none", image({ subject: "sha256:abc" })],
    ["has an annotation that is a number", image({ annotations: { a: 1 } })],
    ["has annotations that are a list", image({ annotations: ["a"] })],
    ["has a type that is a number", image({ artifactType: 1 })],
  ] as const)("rejects what %s", ([, [manifest, contentType]]) => {
    const bytes = manifest === "\ud800" ? Uint8Array.of(0x22, 0xff, 0x22) : utf8(manifest);
    expect(() => parseManifest(bytes, contentType)).toThrow(expect.objectContaining({ code: "MANIFEST_INVALID" }));
  });
});
