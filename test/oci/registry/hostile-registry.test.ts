/**
 * What a registry can do to who asks it: each lie has its error, ends within its limit, and gets no credential to another host.
 *
 * @module
 */

import { describe, expect, test } from "vitest";
import type { ContentDigest } from "../../../src/oci/content-digest.ts";
import type { ContentStore } from "../../../src/oci/content-store.ts";
import type { Descriptor } from "../../../src/oci/manifest.ts";
import type { RegistryOptions } from "../../../src/oci/registry/registry-options.ts";
import { MAX_REGISTRY_PAGES } from "../../../src/limits.ts";
import { digestOf, manifestOf, OCI_INDEX, OCI_MANIFEST } from "../../sandbox/registry/client.ts";
import { utf8 } from "../../support/logs.ts";
import {
  clientOf,
  listen,
  listenRegistry,
  SANDBOX_CREDENTIALS,
  type ListeningRegistry,
} from "../../support/registry-servers.ts";

const MANIFEST = manifestOf();
const DIGEST = digestOf(MANIFEST) as ContentDigest;
const LAYER: Descriptor = {
  mediaType: "application/octet-stream",
  digest: digestOf("layer") as ContentDigest,
  size: 5,
};

const code = (value: string, more: object = {}): unknown =>
  expect.objectContaining({ code: value, ...more }) as unknown;

function storeAt(host: string, options: RegistryOptions = {}): ContentStore {
  return clientOf(options).repository({ registry: host, repository: "app" });
}

async function readAll(stream: AsyncIterable<Uint8Array>): Promise<string> {
  const chunks: Uint8Array[] = [];
  for await (const chunk of stream) chunks.push(chunk);
  return Buffer.concat(chunks).toString();
}

/** An image in a registry that lies only once it is there. */
async function withImage(
  always: Parameters<typeof listenRegistry>[0],
  options: RegistryOptions = {},
): Promise<{ readonly registry: ListeningRegistry; readonly store: ContentStore }> {
  const registry = await listenRegistry(always);
  const store = storeAt(registry.host, options);
  for (const blob of ["{}", "layer"]) await store.pushBlob({ ...LAYER, ...described(blob) }, utf8(blob));
  const put = store.pushManifest(utf8(MANIFEST), OCI_MANIFEST, { tag: "v1" });
  await (always?.includes("wrong-digest") === true ? put.catch(() => undefined) : put);
  return { registry, store: storeAt(registry.host, options) };
}

function described(content: string): { readonly digest: ContentDigest; readonly size: number } {
  return { digest: digestOf(content) as ContentDigest, size: Buffer.byteLength(content) };
}

describe("manifests of a hostile registry", () => {
  test("an honest one gives what was put there", async () => {
    const { store } = await withImage([]);
    expect(Buffer.from((await store.fetchManifest("v1"))?.bytes ?? []).toString()).toBe(MANIFEST);
    await expect(store.fetchBlob(LAYER, 100)).resolves.toEqual(utf8("layer"));
  });

  test.for([
    ["names another digest", "wrong-digest", "CONTENT_DIGEST_MISMATCH"],
    ["changes a byte", "wrong-bytes", "CONTENT_DIGEST_MISMATCH"],
    ["names another type", "wrong-media-type", "MEDIA_TYPE_MISMATCH"],
    ["does not end", "endless-content", "HTTP_RESPONSE_TOO_LARGE"],
  ] as const)("refuses one that %s", async ([, forgery, problem]) => {
    const { store } = await withImage([forgery]);
    await expect(store.fetchManifest(DIGEST)).rejects.toThrow(code(problem));
    await expect(store.fetchManifest("v1")).rejects.toThrow(code(problem));
  });

  test("refuses what has another digest than was asked for, whatever the header says", async () => {
    const { host } = await listen((_seen, response) => {
      const other = `${MANIFEST} `;
      response.writeHead(200, { "content-type": OCI_MANIFEST, "docker-content-digest": DIGEST }).end(other);
    });
    await expect(storeAt(host).fetchManifest(DIGEST)).rejects.toThrow(
      code("CONTENT_DIGEST_MISMATCH", { expected: DIGEST, found: digestOf(`${MANIFEST} `) }),
    );
  });

  test("refuses what has another digest than was asked for, where no header says anything", async () => {
    const { host } = await listen((_seen, response) => {
      response.writeHead(200, { "content-type": OCI_MANIFEST }).end(`${MANIFEST} `);
    });
    await expect(storeAt(host).fetchManifest(DIGEST)).rejects.toThrow(code("CONTENT_DIGEST_MISMATCH"));
    await expect(storeAt(host).fetchManifest("v1")).resolves.toMatchObject({
      descriptor: { digest: digestOf(`${MANIFEST} `) },
    });
  });

  test("says by what it got which digest a tag has, and takes no second answer for the first", async () => {
    const { store } = await withImage(["changing-content"]);
    const first = await store.fetchManifest("v1");
    const second = await store.fetchManifest("v1");
    expect(first?.descriptor.digest).toBe(DIGEST);
    expect(second?.descriptor.digest).toBe(digestOf(`${MANIFEST}\n`));
    // The digest that was seen stays what it is.
    await expect(store.fetchManifest(DIGEST)).resolves.toMatchObject({ descriptor: { digest: DIGEST } });
  });

  test.for([
    ["manifests beside layers", { manifests: [] }, OCI_MANIFEST],
    ["layers in an index", { mediaType: OCI_INDEX, config: undefined, manifests: [] }, OCI_INDEX],
    ["a config in an index", { mediaType: OCI_INDEX, layers: undefined, manifests: [] }, OCI_INDEX],
    ["layers of the first schema", { fsLayers: [] }, OCI_MANIFEST],
    ["layers that only Go would read", { Layers: [] }, OCI_MANIFEST],
  ] as const)("refuses %s", async ([, members, type]) => {
    const { host } = await listen((_seen, response) => {
      response.writeHead(200, { "content-type": type }).end(manifestOf(members));
    });
    await expect(storeAt(host).fetchManifest("v1")).rejects.toThrow(code("MANIFEST_MALFORMED"));
  });
});

describe("blobs of a hostile registry", () => {
  const blob = (write: Parameters<typeof listen>[0]) => listen(write);

  test.for([
    ["changes a byte", "wrong-bytes", "CONTENT_DIGEST_MISMATCH"],
    ["does not end", "endless-content", "CONTENT_SIZE_MISMATCH"],
  ] as const)("refuses one that %s", async ([, forgery, problem]) => {
    const { store } = await withImage([forgery]);
    await expect(store.fetchBlob(LAYER, 100)).rejects.toThrow(code(problem));
    await expect(readAll(store.openBlob(LAYER))).rejects.toThrow(code(problem));
  });

  test.for([
    ["shorter", "laye"],
    ["longer", "layers"],
  ] as const)("refuses one that is %s than its descriptor says, whether that is announced or not", async ([, body]) => {
    for (const announce of [true, false]) {
      const { host } = await blob((_seen, response) => {
        if (announce) response.setHeader("content-length", body.length);
        else response.flushHeaders();
        response.end(body);
      });
      await expect(storeAt(host).fetchBlob(LAYER, 100)).rejects.toThrow(code("CONTENT_SIZE_MISMATCH"));
      await expect(readAll(storeAt(host).openBlob(LAYER))).rejects.toThrow(code("CONTENT_SIZE_MISMATCH"));
    }
  });

  test("asks for nothing that is larger than is wanted", async () => {
    const { host, seen } = await blob((_seen, response) => void response.end("layer"));
    const huge = { ...LAYER, size: 10 * 1024 ** 3 };
    await expect(storeAt(host).fetchBlob(huge, 1024)).rejects.toThrow(code("LIMIT_EXCEEDED"));
    expect(seen).toEqual([]);
  });

  test("holds no 10 GiB in memory: gives them piece by piece, and stops with who reads", async () => {
    const size = 10 * 1024 ** 3;
    let sent = 0;
    const { host } = await blob((_seen, response) => {
      response.setHeader("content-length", size);
      const more = (): void => {
        if (response.destroyed) return;
        sent += 65_536;
        response.write(Buffer.alloc(65_536), () => setImmediate(more));
      };
      more();
    });
    let read = 0;
    for await (const chunk of storeAt(host).openBlob({ ...LAYER, size })) {
      read += chunk.length;
      if (read > 1024 * 1024) break;
    }
    expect(sent).toBeLessThan(64 * 1024 * 1024);
  });

  test("gives up one that drips, however large it may be, and one that stops", async () => {
    for (const everyMs of [10, 100_000]) {
      const { host } = await blob((_seen, response) => {
        response.setHeader("content-length", 10 * 1024 ** 3);
        response.write("x");
        const timer = setInterval(() => response.write("x"), everyMs);
        response.on("close", () => clearInterval(timer));
      });
      const store = storeAt(host, { timeoutMs: 150, retries: 0 });
      await expect(readAll(store.openBlob({ ...LAYER, size: 10 * 1024 ** 3 }))).rejects.toThrow(
        code("HTTP_TIMEOUT", { expected: "65536 bytes a second, and no more than 150 ms behind that" }),
      );
    }
  });

  test("gives up a manifest that drips", async () => {
    const { host } = await blob((_seen, response) => {
      response.setHeader("content-type", OCI_MANIFEST);
      const timer = setInterval(() => response.write(" "), 10);
      response.on("close", () => clearInterval(timer));
    });
    const store = storeAt(host, { timeoutMs: 150, retries: 0 });
    await expect(store.fetchManifest("v1")).rejects.toThrow(code("HTTP_TIMEOUT"));
  });
});

describe("lists of a hostile registry", () => {
  test("ends lists whose pages lead in a circle", async () => {
    const { store } = await withImage(["endless-pages"]);
    for (const list of [store.listReferrers(DIGEST), store.listTags()])
      await expect(list).rejects.toThrow(code("SERVICE_RESPONSE_INVALID"));
  });

  test("ends lists without an end", async () => {
    let page = 0;
    const { host, seen } = await listen((one, response) => {
      page += 1;
      response.setHeader("link", `<${one.url.split("?")[0] ?? ""}?page=${page}>; rel="next"`);
      if (one.url.includes("/tags/")) response.end(`{"name":"app","tags":["t${page}"]}`);
      else response.writeHead(200, { "content-type": OCI_INDEX }).end(indexOf());
    });
    await expect(storeAt(host).listTags()).rejects.toThrow(code("LIMIT_EXCEEDED"));
    expect(seen).toHaveLength(MAX_REGISTRY_PAGES);
    await expect(storeAt(host).listReferrers(DIGEST)).rejects.toThrow(code("LIMIT_EXCEEDED"));
    expect(seen).toHaveLength(2 * MAX_REGISTRY_PAGES);
  });

  test("ends lists with more than can be of use", async () => {
    const { host } = await listen((one, response) => {
      const entries = Array.from({ length: 600 }, (_, i) => ({
        ...LAYER,
        mediaType: OCI_MANIFEST,
        digest: digestOf(`${one.url} ${i}`),
      }));
      response
        .writeHead(200, {
          "content-type": OCI_INDEX,
          link: `</v2/app/referrers/${DIGEST}?n=${one.url.length}>; rel="next"`,
        })
        .end(indexOf(...entries));
    });
    await expect(storeAt(host).listReferrers(DIGEST)).rejects.toThrow(code("LIMIT_EXCEEDED"));
  });

  test("refuses a later page that is none, as what is missing may be what matters", async () => {
    const { host } = await listen((one, response) => {
      if (one.url.includes("?")) response.writeHead(404).end("404 page not found");
      else
        response
          .writeHead(200, { "content-type": OCI_INDEX, link: `<${one.url}?after=1>; rel="next"` })
          .end(indexOf({ ...LAYER, mediaType: OCI_MANIFEST }));
    });
    await expect(storeAt(host).listReferrers(DIGEST)).rejects.toThrow(code("SERVICE_RESPONSE_INVALID"));
  });

  test.for([401, 403, 405, 429, 500, 503])("takes status %i for no empty list of referrers", async (status) => {
    const { host, seen } = await listen((_seen, response) => void response.writeHead(status).end());
    await expect(storeAt(host).listReferrers(DIGEST)).rejects.toThrow(code(expect.any(String) as string, { status }));
    expect(seen.every(({ url }) => url.includes("/referrers/"))).toBe(true);
  });

  test.for([
    ["is a path", "../../other/manifests/v1"],
    ["has a query", "v1?x=y"],
  ] as const)("refuses a tag that %s", async ([, tag]) => {
    const { host } = await listen((_seen, response) => void response.end(JSON.stringify({ tags: [tag] })));
    await expect(storeAt(host).listTags()).rejects.toThrow(code("SERVICE_RESPONSE_INVALID"));
    await expect(storeAt(host).fetchManifest(tag)).rejects.toThrow(code("REFERENCE_MALFORMED"));
  });

  test("refuses a list of referrers under a tag that is changed on the way", async () => {
    const { host } = await listen((one, response) => {
      if (one.url.includes("/referrers/")) response.writeHead(404).end("404 page not found");
      else
        response
          .writeHead(200, { "content-type": OCI_INDEX, "docker-content-digest": digestOf("another") })
          .end(indexOf());
    });
    await expect(storeAt(host).listReferrers(DIGEST)).rejects.toThrow(code("CONTENT_DIGEST_MISMATCH"));
  });
});

describe("credentials and hostile registries", () => {
  test("go with no redirect of a blob to another host", async () => {
    const { registry, store } = await withImage(["basic-auth", "redirect-blobs"], {
      credentials: SANDBOX_CREDENTIALS,
    });
    registry.seen.length = 0;
    await expect(store.fetchBlob(LAYER, 100)).resolves.toEqual(utf8("layer"));
    await expect(readAll(store.openBlob(LAYER))).resolves.toBe("layer");
    const [elsewhere, here] = [true, false].map((is) =>
      registry.seen.filter(({ host }) => host.startsWith("localhost:") === is),
    );
    expect(elsewhere).toHaveLength(2);
    expect(elsewhere?.map(({ authorization }) => authorization)).toEqual([undefined, undefined]);
    expect(here?.some(({ authorization }) => authorization?.startsWith("Basic ") === true)).toBe(true);
  });

  /** A registry that sends to another host, in whatever way, and that host. */
  async function luring(lure: (location: string) => Parameters<typeof listen>[0]) {
    const thief = await listen((_seen, response) => {
      response.writeHead(202, { location: "/v2/app/blobs/uploads/1", "content-type": OCI_INDEX }).end(indexOf());
    });
    const registry = await listen((seen, response) => {
      if (seen.authorization === undefined) response.writeHead(401, { "www-authenticate": 'Basic realm="here"' }).end();
      else return lure(`http://localhost:${thief.port}/v2/stolen`)(seen, response);
    });
    return { thief, registry, store: storeAt(registry.host, { credentials: SANDBOX_CREDENTIALS, retries: 0 }) };
  }

  test("go to no other host that is said to take an upload", async () => {
    const { thief, store } = await luring((location) => (seen, response) => {
      response.writeHead(seen.method === "HEAD" ? 404 : 202, { location }).end();
    });
    await expect(store.pushBlob(LAYER, utf8("layer"))).rejects.toThrow(
      code("SERVICE_RESPONSE_INVALID", { found: `http://localhost:${thief.port}/v2/stolen` }),
    );
    expect(thief.seen).toEqual([]);
  });

  test("go to no other host to which a push is redirected", async () => {
    const { thief, store } = await luring((location) => (seen, response) => {
      response.writeHead(seen.method === "HEAD" ? 404 : 307, { location }).end();
    });
    await expect(store.pushBlob(LAYER, utf8("layer"))).rejects.toThrow(code("HTTP_REQUEST_FAILED"));
    await expect(store.pushManifest(utf8(MANIFEST), OCI_MANIFEST)).rejects.toThrow(code("HTTP_REQUEST_FAILED"));
    expect(thief.seen).toEqual([]);
  });

  test("go to no other host that is said to have the next page", async () => {
    const { thief, store } = await luring((location) => (seen, response) => {
      response.writeHead(200, { link: `<${location}>; rel="next"`, "content-type": OCI_INDEX });
      response.end(seen.url.includes("/tags/") ? '{"tags":["v1"]}' : indexOf());
    });
    await expect(store.listTags()).rejects.toThrow(code("SERVICE_RESPONSE_INVALID"));
    await expect(store.listReferrers(DIGEST)).rejects.toThrow(code("SERVICE_RESPONSE_INVALID"));
    expect(thief.seen).toEqual([]);
  });

  test("go to no other host that has the first page by a redirect, and says where the second is", async () => {
    const thief = await listen((seen, response) => {
      const next = seen.url.includes("?") ? {} : { link: '</v2/stolen?page=2>; rel="next"' };
      response.writeHead(200, { "content-type": OCI_INDEX, ...next }).end(indexOf());
    });
    const registry = await listen((seen, response) => {
      if (seen.authorization === undefined) response.writeHead(401, { "www-authenticate": 'Basic realm="here"' }).end();
      else response.writeHead(307, { location: `http://localhost:${thief.port}/v2/stolen` }).end();
    });
    const store = storeAt(registry.host, { credentials: SANDBOX_CREDENTIALS });
    await expect(store.listReferrers(DIGEST)).rejects.toThrow(
      code("SERVICE_RESPONSE_INVALID", { expected: registry.host }),
    );
    expect(thief.seen.map(({ url, authorization }) => [url, authorization])).toEqual([["/v2/stolen", undefined]]);
  });

  test("go to no token service on another host", async () => {
    const thief = await listen((_seen, response) => void response.end('{"token":"x"}'));
    const registry = await listen((_seen, response) => {
      const realm = `http://localhost:${thief.port}/token`;
      response.writeHead(401, { "www-authenticate": `Bearer realm="${realm}",service="x"` }).end();
    });
    const store = storeAt(registry.host, { credentials: SANDBOX_CREDENTIALS });
    await expect(store.fetchManifest("v1")).rejects.toThrow(code("REGISTRY_REALM_REFUSED"));
    expect(thief.seen).toEqual([]);
  });

  test("answer no challenge of a host to which a blob is redirected", async () => {
    const thief = await listen((_seen, response) => {
      response.writeHead(401, { "www-authenticate": 'Basic realm="there"' }).end();
    });
    const registry = await listen((_seen, response) => {
      response.writeHead(307, { location: `http://localhost:${thief.port}/blob` }).end();
    });
    const store = storeAt(registry.host, { credentials: SANDBOX_CREDENTIALS });
    // Nor is it told that whoever asks should log in: the registry itself had nothing against it.
    await expect(store.fetchBlob(LAYER, 100)).rejects.toThrow(code("REGISTRY_REQUEST_REFUSED", { status: 401 }));
    expect(thief.seen.map(({ authorization }) => authorization)).toEqual([undefined]);
    expect(registry.seen.map(({ authorization }) => authorization)).toEqual([undefined]);
  });
});

function indexOf(...manifests: readonly object[]): string {
  return JSON.stringify({ schemaVersion: 2, mediaType: OCI_INDEX, manifests });
}
