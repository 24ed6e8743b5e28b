import { gzipSync } from "node:zlib";
import { describe, expect, test } from "vitest";
import type { ContentDigest } from "../../../src/oci/content-digest.ts";
import type { ContentStore } from "../../../src/oci/content-store.ts";
import type { Descriptor } from "../../../src/oci/manifest.ts";
import type { RegistryForgery } from "../../../src/sandbox/registry/registry.ts";
import { digestOf, manifestOf, OCI_INDEX, OCI_MANIFEST } from "../../sandbox/registry/client.ts";
import { utf8 } from "../../support/logs.ts";
import { clientOf, listen, listenRegistry, type ListeningRegistry } from "../../support/registry-servers.ts";

const MANIFEST = manifestOf();
const DIGEST = digestOf(MANIFEST) as ContentDigest;
const SUBJECT: Descriptor = { mediaType: OCI_MANIFEST, digest: DIGEST, size: Buffer.byteLength(MANIFEST) };
const code = (value: string, more: object = {}): unknown =>
  expect.objectContaining({ code: value, ...more }) as unknown;

function describing(content: string): Descriptor {
  const digest = digestOf(content) as ContentDigest;
  return { mediaType: "application/octet-stream", digest, size: Buffer.byteLength(content) };
}

/** A registry with an image under `v1`. */
async function opened(
  always: readonly RegistryForgery[] = [],
  options: { readonly pageSize?: number } = {},
): Promise<{ readonly registry: ListeningRegistry; readonly store: ContentStore; readonly asked: () => string[] }> {
  const registry = await listenRegistry(always, options);
  const store = storeAt(registry.host);
  for (const blob of ["{}", "layer"]) await store.pushBlob(describing(blob), utf8(blob));
  await store.pushManifest(utf8(MANIFEST), OCI_MANIFEST, { tag: "v1" });
  const asked = (): string[] =>
    registry.seen.splice(0).map(({ method, url }) => `${method} ${url.slice("/v2/app/".length)}`);
  asked();
  return { registry, store: storeAt(registry.host), asked };
}

function storeAt(host: string): ContentStore {
  return clientOf({ retries: 0 }).repository({ registry: host, repository: "app" });
}

/** A registry that answers everything alike. */
async function answering(
  status: number,
  body = "",
  headers: Readonly<Record<string, string>> = {},
): Promise<ContentStore> {
  const { host } = await listen((_seen, response) => void response.writeHead(status, headers).end(body));
  return storeAt(host);
}

function attached(label: string): Uint8Array {
  return utf8(manifestOf({ subject: SUBJECT, annotations: { label } }));
}

describe("RegistryRepository: manifests", () => {
  test("takes a tag or a digest that is not there for an ordinary answer", async () => {
    const { store } = await opened();
    await expect(store.fetchManifest("v2")).resolves.toBeUndefined();
    await expect(store.resolve(digestOf("nothing"))).resolves.toBeUndefined();
  });

  test.for([401, 403, 429, 500])("takes status %i for no such answer", async (status) => {
    const store = await answering(status);
    await expect(store.fetchManifest("v1")).rejects.toThrow(code(expect.any(String) as string, { status }));
    await expect(store.hasBlob(DIGEST)).rejects.toThrow(code(expect.any(String) as string, { status }));
  });

  test("fetches nothing with a digest twice, whoever asks at the same time, and tags each time", async () => {
    const { store, asked } = await opened();
    const found = await Promise.all([store.fetchManifest(DIGEST), store.fetchManifest(DIGEST), store.resolve(DIGEST)]);
    await store.fetchManifest(DIGEST);
    expect(found[0]).toBe(found[1]);
    expect(asked()).toEqual([`GET manifests/${DIGEST}`]);
    await store.fetchManifest("v1");
    await store.fetchManifest("v1");
    expect(asked()).toEqual(["GET manifests/v1", "GET manifests/v1"]);
  });

  test("remembers by its digest what a tag named", async () => {
    const { store, asked } = await opened();
    await store.fetchManifest("v1");
    await store.fetchManifest(DIGEST);
    expect(asked()).toEqual(["GET manifests/v1"]);
  });

  test("asks again for what was not there, and for what was deleted", async () => {
    const { store } = await opened();
    const other = attached("later");
    const digest = digestOf(other);
    await expect(store.fetchManifest(digest)).resolves.toBeUndefined();
    await store.pushManifest(other, OCI_MANIFEST);
    await expect(store.fetchManifest(digest)).resolves.toMatchObject({ bytes: other });
    await expect(store.deleteManifest(digest)).resolves.toBe(true);
    await expect(store.fetchManifest(digest)).resolves.toBeUndefined();
    await expect(store.deleteManifest(digest)).resolves.toBe(false);
  });

  test("compares what it has put with what the registry says that it has", async () => {
    const store = await answering(201, "", { "docker-content-digest": digestOf("another") });
    await expect(store.pushManifest(utf8(MANIFEST), OCI_MANIFEST, { tag: "v1" })).rejects.toThrow(
      code("CONTENT_DIGEST_MISMATCH", { expected: DIGEST, found: digestOf("another") }),
    );
    const sha512 = await answering(201, "", { "docker-content-digest": digestOf(MANIFEST, "sha512") });
    await expect(sha512.pushManifest(utf8(MANIFEST), OCI_MANIFEST)).resolves.toMatchObject({
      descriptor: { digest: DIGEST },
    });
  });

  test("believes that a list of referrers is kept only for the subject that was put", async () => {
    for (const [subject, keeps] of [
      [DIGEST, true],
      [digestOf("another"), false],
      [undefined, false],
    ] as const) {
      const store = await answering(201, "", subject === undefined ? {} : { "oci-subject": subject });
      await expect(store.pushManifest(attached("x"), OCI_MANIFEST)).resolves.toMatchObject({ keepsReferrers: keeps });
    }
  });
});

describe("RegistryRepository: tags that cannot be moved", () => {
  test("puts a tag under a condition, and tells that another was faster", async () => {
    const { store } = await opened();
    const { etag } = (await store.fetchManifest("v1")) ?? {};
    const other = attached("other");
    await expect(store.pushManifest(other, OCI_MANIFEST, { tag: "v1", ifMatch: null })).rejects.toThrow(
      code("REGISTRY_UPDATE_LOST", { status: 412, retryable: true }),
    );
    await expect(store.pushManifest(other, OCI_MANIFEST, { tag: "v1", ifMatch: etag })).resolves.toBeDefined();
    await expect(store.pushManifest(utf8(MANIFEST), OCI_MANIFEST, { tag: "v1", ifMatch: etag })).rejects.toThrow(
      code("REGISTRY_UPDATE_LOST"),
    );
    await expect(store.pushManifest(other, OCI_MANIFEST, { tag: "v2", ifMatch: null })).resolves.toBeDefined();
  });

  test("of the sandbox", async () => {
    const { store } = await opened(["immutable-tags"]);
    await expect(store.pushManifest(attached("other"), OCI_MANIFEST, { tag: "v1" })).rejects.toThrow(
      code("REGISTRY_TAG_IMMUTABLE", { status: 400 }),
    );
  });

  /** As their documentation has them; none of them has a code of the specification. */
  test.for([
    [
      "ECR",
      400,
      "TAG_INVALID",
      "The image tag 'v1' already exists in the 'app' repository and cannot be overwritten because the tag is immutable.",
    ],
    ["Harbor", 412, "PRECONDITION", "Failed to process request due to 'app:v1' configured as immutable."],
    ["Artifact Registry", 400, "MANIFEST_INVALID", "cannot update tag v1. The repository has enabled tag immutability"],
    ["ACR", 405, "UNSUPPORTED", "The operation is disallowed on this registry, repository or image."],
    ["Quay", 409, "TAG_IMMUTABLE", "tag is immutable"],
    ["one that forbids it", 403, "DENIED", "cannot overwrite tag"],
  ] as const)("of %s", async ([, status, error, message]) => {
    const store = await answering(status, JSON.stringify({ errors: [{ code: error, message }] }));
    const put = store.pushManifest(utf8(MANIFEST), OCI_MANIFEST, { tag: "v1", ifMatch: '"state"' });
    await expect(put).rejects.toThrow(code("REGISTRY_TAG_IMMUTABLE", { status }));
    // What has no tag does not meet that.
    await expect(store.pushManifest(utf8(MANIFEST), OCI_MANIFEST)).rejects.not.toThrow(code("REGISTRY_TAG_IMMUTABLE"));
  });

  test("of one that has a conflict, and says no more, if no condition was set", async () => {
    const store = await answering(409);
    const put = (ifMatch?: string) => store.pushManifest(utf8(MANIFEST), OCI_MANIFEST, { tag: "v1", ifMatch });
    await expect(put()).rejects.toThrow(code("REGISTRY_TAG_IMMUTABLE"));
    await expect(put('"state"')).rejects.toThrow(code("REGISTRY_UPDATE_LOST"));
  });

  test("are not those whose repository only is called so", async () => {
    const { host } = await listen((_seen, response) => {
      response.writeHead(400).end('{"errors":[{"code":"MANIFEST_INVALID","message":"manifest invalid"}]}');
    });
    const store = clientOf().repository({ registry: host, repository: "immutable-already-exists" });
    await expect(store.pushManifest(utf8(MANIFEST), OCI_MANIFEST, { tag: "v1" })).rejects.toThrow(
      code("REGISTRY_REQUEST_REFUSED", { status: 400 }),
    );
  });
});

describe("RegistryRepository: blobs", () => {
  test("says that there is none", async () => {
    const { store } = await opened();
    const none = describing("none");
    await expect(store.hasBlob(none.digest)).resolves.toBe(false);
    await expect(store.fetchBlob(none, 100)).rejects.toThrow(code("CONTENT_NOT_FOUND"));
    await expect(store.openBlob(none)[Symbol.asyncIterator]().next()).rejects.toThrow(code("CONTENT_NOT_FOUND"));
  });

  test("fetches one that several want at the same time once, and checks each size that is claimed for it", async () => {
    const { store, asked } = await opened();
    const layer = describing("layer");
    const found = await Promise.allSettled([
      store.fetchBlob(layer, 100),
      store.fetchBlob(layer, 100),
      store.fetchBlob({ ...layer, size: 6 }, 100),
      store.fetchBlob(layer, 4),
    ]);
    expect(found.map(({ status }) => status)).toEqual(["fulfilled", "fulfilled", "rejected", "rejected"]);
    expect(asked()).toEqual([`GET blobs/${layer.digest}`, `GET blobs/${layer.digest}`]);
    await store.fetchBlob(layer, 100);
    expect(asked()).toEqual([`GET blobs/${layer.digest}`]);
  });

  test("takes no compression for content, and says that there was one", async () => {
    const { host, seen } = await listen((_seen, response) => {
      response.setHeader("content-encoding", "gzip").end(gzipSync("layer, and more"));
    });
    const store = storeAt(host);
    const layer = describing("layer");
    await expect(store.fetchBlob({ ...layer, size: 40 }, 100)).rejects.toThrow(
      code("CONTENT_SIZE_MISMATCH", {
        found: expect.stringContaining("a compression that nobody asked for") as unknown,
      }),
    );
    expect(seen.map(({ headers }) => headers["accept-encoding"])).toEqual(["identity"]);
  });
});

describe("RegistryRepository: lists", () => {
  test("lists all pages of tags and of referrers, each once", async () => {
    const { store, asked } = await opened([], { pageSize: 2 });
    for (const tag of ["v2", "v3", "v4", "v5"]) await store.pushManifest(utf8(MANIFEST), OCI_MANIFEST, { tag });
    const labels = ["a", "b", "c", "d", "e"];
    for (const label of labels) await store.pushManifest(attached(label), OCI_MANIFEST);
    asked();
    await expect(store.listTags()).resolves.toEqual(["v1", "v2", "v3", "v4", "v5"]);
    const { source, descriptors } = await store.listReferrers(DIGEST);
    expect(source).toBe("referrers-api");
    expect(descriptors.map(({ digest }) => digest)).toEqual(labels.map((label) => digestOf(attached(label))));
    expect(asked()).toHaveLength(6);
  });

  test("lists no tags of a repository that is not there, or has none", async () => {
    const { registry } = await opened();
    const client = clientOf();
    await expect(client.repository({ registry: registry.host, repository: "none" }).listTags()).resolves.toEqual([]);
    await expect((await answering(200, '{"name":"app","tags":null}')).listTags()).resolves.toEqual([]);
  });

  test("lists what is named twice once", async () => {
    const one = { mediaType: OCI_MANIFEST, digest: digestOf("one"), size: 3 };
    const body = JSON.stringify({ schemaVersion: 2, mediaType: OCI_INDEX, manifests: [one, one] });
    const store = await answering(200, body, { "content-type": OCI_INDEX });
    await expect(store.listReferrers(DIGEST)).resolves.toMatchObject({ descriptors: [one] });
  });

  test("asks again where there was no repository yet", async () => {
    const { registry, store, asked } = await opened();
    await store.pushManifest(attached("a"), OCI_MANIFEST);
    const other = storeAt(registry.host);
    registry.intercept = (_seen, response) => {
      response.writeHead(404).end('{"errors":[{"code":"NAME_UNKNOWN","message":"Unknown name"}]}');
      return true;
    };
    await expect(other.listReferrers(DIGEST)).resolves.toEqual({ source: "referrers-tag", descriptors: [] });
    registry.intercept = undefined;
    asked();
    await expect(other.listReferrers(DIGEST)).resolves.toMatchObject({ source: "referrers-api", descriptors: [{}] });
  });

  test.for([
    ["404 in plain text", 404, "text/plain", "404 page not found"],
    ["404 of the specification", 404, "application/json", '{"errors":[{"code":"METHOD_UNKNOWN"}]}'],
    ["400", 400, "application/json", "{}"],
    ["406", 406, "application/json", "{}"],
    ["a page for people", 200, "text/html", "<html>"],
  ] as const)(
    "takes the list under the tag where the answer is %s, and asks for the other only once",
    async ([, status, type, body]) => {
      const { registry, store, asked } = await opened();
      registry.intercept = (seen, response) => {
        const isList = seen.url.includes("/referrers/");
        if (isList) response.writeHead(status, { "content-type": type }).end(body);
        return isList;
      };
      const tag = DIGEST.replace(":", "-");
      await expect(store.listReferrers(DIGEST)).resolves.toEqual({ source: "referrers-tag", descriptors: [] });
      const list = JSON.stringify({ schemaVersion: 2, mediaType: OCI_INDEX, manifests: [SUBJECT] });
      await store.pushManifest(utf8(list), OCI_INDEX, { tag });
      await expect(store.listReferrers(DIGEST)).resolves.toMatchObject({
        source: "referrers-tag",
        descriptors: [SUBJECT],
        index: { descriptor: { digest: digestOf(list) } },
      });
      expect(asked()).toEqual([
        `GET referrers/${DIGEST}`,
        `GET manifests/${tag}`,
        `PUT manifests/${tag}`,
        `GET manifests/${tag}`,
      ]);
    },
  );
});
