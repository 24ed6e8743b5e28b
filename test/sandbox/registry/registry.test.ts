import { readdirSync, statSync } from "node:fs";
import { request as sendHttp } from "node:http";
import { join } from "node:path";
import { describe, expect, onTestFinished, test } from "vitest";
import { MAX_REGISTRY_BLOB_BYTES, MAX_REGISTRY_MANIFEST_BYTES, MAX_REGISTRY_UPLOADS } from "../../../src/limits.ts";
import { Faults } from "../../../src/sandbox/faults.ts";
import { openPort } from "../../../src/sandbox/listener.ts";
import { createRegistry } from "../../../src/sandbox/registry/registry.ts";
import { createFolderStore } from "../../../src/sandbox/store-on-disk.ts";
import { createMemoryStore } from "../../../src/sandbox/store.ts";
import { temporaryFolder } from "../../support/cli.ts";
import { testContext } from "../service-context.ts";
import {
  attach,
  describeContent,
  digestOf,
  manifestOf,
  OCI_CONFIG,
  OCI_INDEX,
  OCI_MANIFEST,
  open,
  pushBlob,
  pushImage,
  putManifest,
  readAnswer,
  URL_OF_REGISTRY,
  type Answer,
  type World,
} from "./client.ts";

const ABSENT = digestOf("absent");

async function beginUpload({ ask }: World, repository = "app"): Promise<string> {
  const answer = await ask(`/v2/${repository}/blobs/uploads/`, { method: "POST" });
  expect(answer.status).toBe(202);
  return answer.headers.get("location") ?? "";
}

describe("the base of the API", () => {
  test.for(["/v2/", "/v2"])("is %s", async (path) => {
    const answer = await open().ask(path);
    expect(answer.status).toBe(200);
    expect(answer.headers.get("docker-distribution-api-version")).toBe("registry/2.0");
  });

  test.for(["/", "/v1/", "/v2/app", "/v2/app/other", "/v2/app/manifests/a/b", "/storage/app/manifests/v1"])(
    "is not %s",
    async (path) => {
      expect(await open().ask(path)).toMatchObject({ status: 404, text: "404 page not found\n" });
    },
  );

  test.for([
    ["/v2/", "POST"],
    ["/v2/_catalog", "PUT"],
    ["/v2/app/tags/list", "POST"],
    ["/v2/app/blobs/uploads/", "GET"],
    [`/v2/app/blobs/${ABSENT}`, "PUT"],
    [`/v2/app/manifests/v1`, "POST"],
    [`/v2/app/referrers/${ABSENT}`, "POST"],
    ["/token", "PUT"],
  ] as const)("does not take at %s a %s", async ([path, method]) => {
    const answer = await open().ask(path, { method });
    expect(answer).toMatchObject({ status: 405, code: "UNSUPPORTED" });
    expect(answer.headers.get("allow")).toBeTruthy();
  });
});

describe("names", () => {
  test.for(["a", "a/b/c", "0.9_1__2---3/x", "manifests", "a/blobs", "tags/list", `${"a/".repeat(127)}a`])(
    "may be %s",
    async (name) => {
      const world = open();
      const digest = await pushImage(world, name, "v1");
      expect((await world.ask(`/v2/${name}/manifests/v1`)).headers.get("docker-content-digest")).toBe(digest);
      expect(JSON.parse((await world.ask(`/v2/${name}/tags/list`)).text)).toEqual({ name, tags: ["v1"] });
    },
  );

  test.for([
    "A",
    "a//b",
    "-a",
    "a-",
    "a..b",
    "a___b",
    "a%2F..%2F..%2Fb",
    "%2e%2e%2fa",
    "a%00",
    "a%0Ab",
    "a%5Cb",
    "ä",
    "__proto__",
    `${"a/".repeat(127)}aa`,
  ])("may not be %s", async (name) => {
    const world = open();
    for (const path of [`/v2/${name}/manifests/v1`, `/v2/${name}/tags/list`, `/v2/${name}/referrers/${ABSENT}`])
      expect(await world.ask(path)).toMatchObject({ status: 400, code: "NAME_INVALID" });
    expect(await world.ask(`/v2/${name}/blobs/uploads/`, { method: "POST" })).toMatchObject({ code: "NAME_INVALID" });
  });

  test("whose escapes cannot be read are of nothing", async () => {
    expect((await open().ask("/v2/%ff/manifests/v1")).status).toBe(404);
  });
});

describe("blobs", () => {
  test("are pushed in one request", async () => {
    const world = open();
    const answer = await world.ask(`/v2/app/blobs/uploads/?digest=${digestOf("content")}`, {
      method: "POST",
      body: "content",
    });
    expect(answer.status).toBe(201);
    expect(answer.headers.get("location")).toBe(`/v2/app/blobs/${digestOf("content")}`);
    expect(answer.headers.get("docker-content-digest")).toBe(digestOf("content"));
    expect((await world.ask(answer.headers.get("location") ?? "")).text).toBe("content");
  });

  test.for(["sha256", "sha512"] as const)("are pushed in two requests, by %s", async (algorithm) => {
    const world = open();
    const digest = digestOf("content", algorithm);
    const location = await beginUpload(world);
    expect(location).toMatch(/^\/v2\/app\/blobs\/uploads\/[0-9a-f-]{36}$/);
    const answer = await world.ask(`${location}?digest=${encodeURIComponent(digest)}`, {
      method: "PUT",
      body: "content",
    });
    expect(answer.status).toBe(201);
    const pulled = await world.ask(`/v2/app/blobs/${encodeURIComponent(digest)}`);
    expect(pulled).toMatchObject({ status: 200, text: "content" });
    expect(pulled.headers.get("content-length")).toBe("7");
    expect(pulled.headers.get("content-type")).toBe("application/octet-stream");
    expect(pulled.headers.get("docker-content-digest")).toBe(digest);
    expect((await world.ask(`${location}?digest=${digest}`, { method: "PUT" })).code).toBe("BLOB_UPLOAD_UNKNOWN");
  });

  test("are pushed in chunks, in their order", async () => {
    const world = open();
    const location = await beginUpload(world);
    const patch = (range: string, body: string): Promise<Answer> =>
      world.ask(location, { method: "PATCH", headers: { "content-range": range }, body });
    const first = await patch("0-2", "abc");
    expect(first.status).toBe(202);
    expect(first.headers.get("range")).toBe("0-2");
    expect(first.headers.get("location")).toBe(location);
    for (const range of ["0-2", "2-4", "4-6"]) {
      const refused = await patch(range, "xyz");
      expect(refused.status).toBe(416);
      expect(refused.headers.get("range")).toBe("0-2");
    }
    const status = await world.ask(location);
    expect(status.status).toBe(204);
    expect(status.headers.get("range")).toBe("0-2");
    expect(status.headers.get("location")).toBe(location);
    expect((await patch("3-5", "def")).headers.get("range")).toBe("0-5");
    const end = await world.ask(`${location}?digest=${digestOf("abcdefgh")}`, {
      method: "PUT",
      headers: { "content-range": "6-7" },
      body: "gh",
    });
    expect(end.status).toBe(201);
    expect((await world.ask(`/v2/app/blobs/${digestOf("abcdefgh")}`)).text).toBe("abcdefgh");
  });

  test("are pushed as a stream without ranges", async () => {
    const world = open();
    const location = await beginUpload(world);
    await world.ask(location, { method: "PATCH", body: "abc" });
    await world.ask(location, { method: "PATCH", body: "def" });
    const end = await world.ask(`${location}?digest=${digestOf("abcdef")}`, { method: "PUT" });
    expect(end.status).toBe(201);
  });

  test.for([
    ["is not one", "bytes 0-2/3", "abc", "BLOB_UPLOAD_INVALID"],
    ["ends before it begins", "0--1", "", "BLOB_UPLOAD_INVALID"],
    ["has fewer bytes than the body", "0-1", "abc", "SIZE_INVALID"],
    ["has more bytes than the body", "0-3", "abc", "SIZE_INVALID"],
  ] as const)("are refused in a chunk whose range %s", async ([, range, body, code]) => {
    const world = open();
    const location = await beginUpload(world);
    expect(await world.ask(location, { method: "PATCH", headers: { "content-range": range }, body })).toMatchObject({
      status: 400,
      code,
    });
  });

  test.for([
    ["another digest", `?digest=${ABSENT}`],
    ["no digest", ""],
    ["a digest of another algorithm", `?digest=sha384:${"0".repeat(96)}`],
    ["a digest that is too short", "?digest=sha256:abc"],
    ["a digest in upper case", `?digest=${digestOf("content").toUpperCase().replace("SHA", "sha")}`],
  ] as const)("are refused with %s", async ([, query]) => {
    const world = open();
    const location = await beginUpload(world);
    const answer = await world.ask(`${location}${query}`, { method: "PUT", body: "content" });
    expect(answer).toMatchObject({ status: 400, code: "DIGEST_INVALID" });
    for (const digest of [ABSENT, digestOf("content")])
      expect((await world.ask(`/v2/app/blobs/${digest}`)).code).toBe("BLOB_UNKNOWN");
    expect((await world.ask("/v2/_catalog")).text).toBe('{"repositories":[]}');
  });

  test("that were refused for their digest are gone", async () => {
    const world = open();
    const location = await beginUpload(world);
    await world.ask(`${location}?digest=${ABSENT}`, { method: "PUT", body: "content" });
    expect(await world.ask(location)).toMatchObject({ status: 404, code: "BLOB_UPLOAD_UNKNOWN" });
  });

  test("are not pushed any more once the upload is cancelled", async () => {
    const world = open();
    const location = await beginUpload(world);
    expect((await world.ask(location, { method: "DELETE" })).status).toBe(204);
    expect((await world.ask(location, { method: "PATCH", body: "abc" })).code).toBe("BLOB_UPLOAD_UNKNOWN");
  });

  test("are pushed into the repository that the upload was begun for", async () => {
    const world = open();
    const location = await beginUpload(world, "app");
    const elsewhere = location.replace("/v2/app/", "/v2/other/");
    expect((await world.ask(elsewhere, { method: "PATCH", body: "abc" })).code).toBe("BLOB_UPLOAD_UNKNOWN");
  });

  test("are of one repository, until they are mounted into another", async () => {
    const world = open();
    await pushBlob(world, "app", "content");
    const blob = `/v2/other/blobs/${digestOf("content")}`;
    expect(await world.ask(blob)).toMatchObject({ status: 404, code: "BLOB_UNKNOWN" });
    const mount = (from: string, digest = digestOf("content")): Promise<Answer> =>
      world.ask(`/v2/other/blobs/uploads/?mount=${digest}&from=${from}`, { method: "POST" });
    expect((await mount("third")).status).toBe(202);
    expect((await mount("app", ABSENT)).status).toBe(202);
    expect((await world.ask(blob)).status).toBe(404);
    const mounted = await mount("app");
    expect(mounted.status).toBe(201);
    expect(mounted.headers.get("location")).toBe(blob);
    expect((await world.ask(`/v2/app/blobs/${digestOf("content")}`, { method: "DELETE" })).status).toBe(202);
    expect((await world.ask(`/v2/app/blobs/${digestOf("content")}`)).status).toBe(404);
    expect((await world.ask(blob)).text).toBe("content");
    expect((await world.ask(blob, { method: "DELETE" })).status).toBe(202);
    expect(await world.ask(blob, { method: "DELETE" })).toMatchObject({ status: 404, code: "BLOB_UNKNOWN" });
  });

  test.for([
    ["bytes=2-4", 206, "234", "bytes 2-4/10"],
    ["bytes=7-", 206, "789", "bytes 7-9/10"],
    ["bytes=-2", 206, "89", "bytes 8-9/10"],
    ["bytes=-20", 206, "0123456789", "bytes 0-9/10"],
    ["bytes=8-99", 206, "89", "bytes 8-9/10"],
    ["bytes=10-", 416, "", "bytes */10"],
    ["bytes=-0", 416, "", "bytes */10"],
    ["bytes=4-2", 200, "0123456789", null],
    ["bytes=0-1,4-5", 200, "0123456789", null],
    ["lines=1-2", 200, "0123456789", null],
  ] as const)("are given in part for %s", async ([range, status, text, contentRange]) => {
    const world = open();
    await pushBlob(world, "app", "0123456789");
    const answer = await world.ask(`/v2/app/blobs/${digestOf("0123456789")}`, { headers: { range } });
    expect(answer).toMatchObject({ status, text });
    expect(answer.headers.get("content-range")).toBe(contentRange);
  });

  test("are given whole where they are not what a part is wanted of", async () => {
    const world = open();
    await pushBlob(world, "app", "0123456789");
    const part = (etag: string): Promise<Answer> =>
      world.ask(`/v2/app/blobs/${digestOf("0123456789")}`, { headers: { range: "bytes=1-1", "if-range": etag } });
    expect((await part(`"${digestOf("0123456789")}"`)).status).toBe(206);
    expect((await part(`"${ABSENT}"`)).status).toBe(200);
  });

  test("may be empty", async () => {
    const world = open();
    await pushBlob(world, "app", "");
    expect(await world.ask(`/v2/app/blobs/${digestOf("")}`)).toMatchObject({ status: 200, text: "" });
  });

  test("that are too large are refused while they arrive", async () => {
    const { registry, ask } = open();
    const piece = new Uint8Array(1);
    // What says that it is as large as all that is left: nobody writes two gigabytes for a test.
    Object.defineProperty(piece, "length", { value: MAX_REGISTRY_BLOB_BYTES + 1 });
    const body = new ReadableStream<Uint8Array>({ pull: (controller) => controller.enqueue(piece) });
    const upload = (await ask("/v2/app/blobs/uploads/", { method: "POST" })).headers.get("location") ?? "";
    const request = new Request(new URL(upload, URL_OF_REGISTRY), { method: "PATCH" });
    Object.defineProperty(request, "body", { value: body });
    expect(await readAnswer(await registry.fetch(request))).toMatchObject({ status: 413, code: "SIZE_INVALID" });
    expect((await ask(upload)).status).toBe(404);
  });

  test("on their way are given up after an hour's rest, and when there are too many", async () => {
    const world = open();
    const first = await beginUpload(world);
    const second = await beginUpload(world);
    world.context.time = new Date(world.context.time.getTime() + 3_000_000);
    await world.ask(second, { method: "PATCH", body: "abc" });
    world.context.time = new Date(world.context.time.getTime() + 1_000_000);
    await beginUpload(world);
    expect((await world.ask(first)).status).toBe(404);
    expect((await world.ask(second)).status).toBe(204);
    for (let count = 2; count < MAX_REGISTRY_UPLOADS; count += 1) await beginUpload(world);
    expect((await world.ask(second)).status).toBe(204);
    for (let count = 1; count < MAX_REGISTRY_UPLOADS; count += 1) await beginUpload(world);
    const last = await beginUpload(world);
    expect((await world.ask(second)).status).toBe(404);
    expect((await world.ask(last)).status).toBe(204);
  });
});

describe("manifests", () => {
  test("are given back byte by byte, by tag and by digest", async () => {
    const world = open();
    for (const blob of ["{}", "layer"]) await pushBlob(world, "app", blob);
    const manifest = `${manifestOf()}  \n`;
    const put = await putManifest(world, "app@v1", manifest);
    expect(put.status).toBe(201);
    expect(put.headers.get("location")).toBe(`/v2/app/manifests/${digestOf(manifest)}`);
    expect(put.headers.get("docker-content-digest")).toBe(digestOf(manifest));
    expect(put.headers.get("oci-subject")).toBeNull();
    for (const reference of ["v1", digestOf(manifest)]) {
      const got = await world.ask(`/v2/app/manifests/${reference}`);
      expect(got).toMatchObject({ status: 200, text: manifest });
      expect(got.headers.get("content-type")).toBe(OCI_MANIFEST);
      expect(got.headers.get("docker-content-digest")).toBe(digestOf(manifest));
      const head = await world.ask(`/v2/app/manifests/${reference}`, { method: "HEAD" });
      expect(head).toMatchObject({ status: 200, text: "" });
      expect(head.headers.get("content-length")).toBe(`${manifest.length}`);
    }
  });

  test("are kept under the digest that they are put with", async () => {
    const world = open();
    for (const blob of ["{}", "layer"]) await pushBlob(world, "app", blob);
    const digest = digestOf(manifestOf(), "sha512");
    expect((await putManifest(world, `app@${digest}`, manifestOf())).status).toBe(201);
    expect((await world.ask(`/v2/app/manifests/${digest}`)).text).toBe(manifestOf());
    expect(await putManifest(world, `app@${ABSENT}`, manifestOf())).toMatchObject({
      status: 400,
      code: "DIGEST_INVALID",
    });
    expect(await putManifest(world, "app@sha256:abc", manifestOf())).toMatchObject({ code: "DIGEST_INVALID" });
  });

  test.for([".hidden", "-v1", "a".repeat(129), "v%201", "v%2F1"])("are not put under the tag %s", async (tag) => {
    const world = open();
    const { status } = await world.ask(`/v2/app/manifests/${tag}`, {
      method: "PUT",
      headers: { "content-type": OCI_MANIFEST },
      body: manifestOf(),
    });
    expect([400, 404]).toContain(status);
    expect((await world.ask(`/v2/app/manifests/${tag}`)).status).toBe(404);
  });

  test.for([
    ["config", manifestOf({ config: describeContent("absent", OCI_CONFIG) })],
    ["layer", manifestOf({ layers: [describeContent("absent", "text/plain")] })],
    [
      "manifest of an index",
      JSON.stringify({ schemaVersion: 2, mediaType: OCI_INDEX, manifests: [describeContent("absent", OCI_MANIFEST)] }),
    ],
  ] as const)("are refused without their %s", async ([, manifest]) => {
    const world = open();
    await pushImage(world, "app", undefined);
    const answer = await putManifest(world, "app@v2", manifest);
    expect(answer).toMatchObject({ status: 404, code: "MANIFEST_BLOB_UNKNOWN" });
    expect(answer.text).toContain(ABSENT);
    expect(await world.ask("/v2/app/manifests/v2")).toMatchObject({ status: 404, code: "MANIFEST_UNKNOWN" });
  });

  test("are refused in a repository that has not their blobs, whoever else has them", async () => {
    const world = open();
    await pushImage(world, "app", "v1");
    expect(await putManifest(world, "other@v1", manifestOf())).toMatchObject({ code: "MANIFEST_BLOB_UNKNOWN" });
  });

  test("of 4 MiB are taken, larger ones are not", async () => {
    const world = open();
    for (const blob of ["{}", "layer"]) await pushBlob(world, "app", blob);
    const { length } = manifestOf({ annotations: { a: "" } });
    const manifest = (bytes: number): string => manifestOf({ annotations: { a: "x".repeat(bytes - length) } });
    expect((await putManifest(world, "app@v1", manifest(MAX_REGISTRY_MANIFEST_BYTES))).status).toBe(201);
    expect(await putManifest(world, "app@v2", manifest(MAX_REGISTRY_MANIFEST_BYTES + 1))).toMatchObject({
      status: 413,
      code: "SIZE_INVALID",
    });
  });

  test("go with their tags, tags without them", async () => {
    const world = open();
    const digest = await pushImage(world, "app", "v1");
    await putManifest(world, "app@v2", manifestOf());
    expect((await world.ask("/v2/app/manifests/v1", { method: "DELETE" })).status).toBe(202);
    expect((await world.ask("/v2/app/manifests/v1")).status).toBe(404);
    expect((await world.ask("/v2/app/manifests/v2")).status).toBe(200);
    expect((await world.ask(`/v2/app/manifests/${digest}`, { method: "DELETE" })).status).toBe(202);
    for (const reference of ["v2", digest]) {
      expect((await world.ask(`/v2/app/manifests/${reference}`)).code).toBe("MANIFEST_UNKNOWN");
      expect((await world.ask(`/v2/app/manifests/${reference}`, { method: "DELETE" })).status).toBe(404);
    }
    expect(JSON.parse((await world.ask("/v2/app/tags/list")).text)).toEqual({ name: "app", tags: [] });
  });
});

describe("conditions", () => {
  test("let a tag be written by whoever has seen what it names", async () => {
    const world = open();
    const first = await pushImage(world, "app", "index");
    const put = (text: string, headers: Record<string, string>): Promise<Answer> =>
      putManifest(world, "app@index", manifestOf({ annotations: { text } }), headers);
    const { headers } = await world.ask("/v2/app/manifests/index");
    expect(headers.get("etag")).toBe(`"${first}"`);
    expect((await put("a", { "if-match": `"${ABSENT}"` })).status).toBe(412);
    expect((await put("a", { "if-none-match": "*" })).status).toBe(412);
    expect((await put("a", { "if-match": `"${first}"` })).status).toBe(201);
    expect((await put("b", { "if-match": `"${first}"` })).status).toBe(412);
    expect((await put("b", { "if-match": `"${ABSENT}", *` })).status).toBe(201);
    expect((await putManifest(world, "app@new", manifestOf(), { "if-match": "*" })).status).toBe(412);
    expect((await putManifest(world, "app@new", manifestOf(), { "if-none-match": "*" })).status).toBe(201);
  });

  test("let one of two writers at once win", async () => {
    const world = open();
    const first = await pushImage(world, "app", "index");
    const writers = ["a", "b", "c"].map((text) =>
      putManifest(world, "app@index", manifestOf({ annotations: { text } }), { "if-match": `"${first}"` }),
    );
    expect((await Promise.all(writers)).map(({ status }) => `${status}`).toSorted()).toEqual(["201", "412", "412"]);
  });

  test("spare whoever has the content already", async () => {
    const world = open();
    const digest = await pushImage(world, "app", "v1");
    const ask = (etag: string): Promise<Answer> =>
      world.ask("/v2/app/manifests/v1", { headers: { "if-none-match": etag } });
    expect(await ask(`W/"${digest}"`)).toMatchObject({ status: 304, text: "" });
    expect((await ask(`"${ABSENT}"`)).status).toBe(200);
  });
});

describe("lists", () => {
  /** Follows links to the end. */
  async function pagesOf({ ask }: World, path: string, member: string): Promise<unknown[][]> {
    const pages: unknown[][] = [];
    for (let next: string | undefined = path; next !== undefined;) {
      const { status, headers, text }: Answer = await ask(next);
      expect(status).toBe(200);
      pages.push((JSON.parse(text) as Record<string, unknown[]>)[member] ?? []);
      next = /^<([^>]+)>; rel="next"$/.exec(headers.get("link") ?? "")?.[1];
    }
    return pages;
  }

  test("of tags are in lexical order, whole or in pages", async () => {
    const world = open();
    for (const tag of ["b", "C", "a", "B", "v10", "v9"]) await pushImage(world, "app", tag);
    const pages = (query: string): Promise<unknown[][]> => pagesOf(world, `/v2/app/tags/list${query}`, "tags");
    expect(await pages("")).toEqual([["a", "B", "b", "C", "v10", "v9"]]);
    expect(await pages("?n=4")).toEqual([
      ["a", "B", "b", "C"],
      ["v10", "v9"],
    ]);
    expect(await pages("?n=3")).toEqual([
      ["a", "B", "b"],
      ["C", "v10", "v9"],
    ]);
    expect(await pages("?n=6")).toHaveLength(1);
    expect(await pages("?n=0")).toEqual([[]]);
    expect(await pages("?last=b")).toEqual([["C", "v10", "v9"]]);
    expect(await pages("?n=1&last=absent")).toEqual([["B"], ["b"], ["C"], ["v10"], ["v9"]]);
    expect((await world.ask("/v2/app/tags/list?n=-1")).status).toBe(400);
  });

  test("of tags are of a repository that is there", async () => {
    expect(await open().ask("/v2/app/tags/list")).toMatchObject({ status: 404, code: "NAME_UNKNOWN" });
  });

  test("of repositories are in pages too", async () => {
    const world = open({ pageSize: 2 });
    for (const name of ["c", "a/b", "b"]) await pushBlob(world, name, "content");
    expect(await pagesOf(world, "/v2/_catalog", "repositories")).toEqual([["a/b", "b"], ["c"]]);
    expect(await pagesOf(world, "/v2/_catalog?n=1", "repositories")).toEqual([["a/b"], ["b"], ["c"]]);
  });

  test("of referrers tell what they are, the oldest first", async () => {
    const world = open({ pageSize: 2 });
    const subject = await pushImage(world, "app", "v1");
    const first = await attach(world, "app", subject, { artifactType: "text/x-a", annotations: { key: "value" } });
    const second = await attach(world, "app", subject, { annotations: { n: "2" } });
    const third = await attach(world, "app", subject, { artifactType: "text/x-a" });
    await attach(world, "app", digestOf("another"));
    const index = JSON.stringify({
      schemaVersion: 2,
      mediaType: OCI_INDEX,
      manifests: [],
      subject: { mediaType: OCI_MANIFEST, digest: subject, size: 1 },
    });
    const put = await putManifest(world, "app", index);
    expect(put.headers.get("oci-subject")).toBe(subject);

    const list = await world.ask(`/v2/app/referrers/${subject}`);
    expect(list.headers.get("content-type")).toBe(OCI_INDEX);
    expect(list.headers.get("oci-filters-applied")).toBeNull();
    expect(JSON.parse(list.text)).toMatchObject({ schemaVersion: 2, mediaType: OCI_INDEX });
    const size = (await world.ask(`/v2/app/manifests/${first}`)).text.length;
    const pages = await pagesOf(world, `/v2/app/referrers/${subject}`, "manifests");
    expect(pages.map((page) => page.length)).toEqual([2, 2]);
    expect(pages.flat()).toEqual([
      { mediaType: OCI_MANIFEST, digest: first, size, artifactType: "text/x-a", annotations: { key: "value" } },
      expect.objectContaining({ digest: second, artifactType: OCI_CONFIG, annotations: { n: "2" } }),
      expect.objectContaining({ digest: third, artifactType: "text/x-a" }),
      { mediaType: OCI_INDEX, digest: digestOf(index), size: index.length },
    ]);

    const filtered = `/v2/app/referrers/${subject}?artifactType=${encodeURIComponent("text/x-a")}`;
    expect((await world.ask(filtered)).headers.get("oci-filters-applied")).toBe("artifactType");
    expect((await pagesOf(world, filtered, "manifests")).flat()).toMatchObject([{ digest: first }, { digest: third }]);

    await world.ask(`/v2/app/manifests/${first}`, { method: "DELETE" });
    expect((await pagesOf(world, filtered, "manifests")).flat()).toMatchObject([{ digest: third }]);
  });

  test("of referrers with a filter go on with it", async () => {
    const world = open({ pageSize: 1 });
    const subject = await pushImage(world, "app", "v1");
    for (const [n, artifactType] of ["text/x-a", "text/x-b", "text/x-a"].entries())
      await attach(world, "app", subject, { artifactType, annotations: { n: `${n}` } });
    const pages = await pagesOf(world, `/v2/app/referrers/${subject}?artifactType=text/x-a`, "manifests");
    expect(pages).toMatchObject([[{ artifactType: "text/x-a" }], [{ artifactType: "text/x-a" }]]);
  });

  test("of referrers are empty where nothing is attached, or nothing is at all", async () => {
    const answer = await open().ask(`/v2/app/referrers/${ABSENT}`);
    expect(answer.status).toBe(200);
    expect(JSON.parse(answer.text)).toEqual({ schemaVersion: 2, mediaType: OCI_INDEX, manifests: [] });
    expect(await open().ask("/v2/app/referrers/v1")).toMatchObject({ status: 400, code: "DIGEST_INVALID" });
  });

  test("of referrers have pages that are no larger than a manifest", async () => {
    const world = open();
    const subject = await pushImage(world, "app", "v1");
    for (const n of ["1", "2", "3"])
      await attach(world, "app", subject, { annotations: { n, text: "x".repeat(1_500_000) } });
    const pages = await pagesOf(world, `/v2/app/referrers/${subject}`, "manifests");
    expect(pages.map((page) => page.length)).toEqual([1, 1, 1]);
  });
});

describe("a registry in a folder", () => {
  test("has everything the next time, but what was not finished", async () => {
    const folder = temporaryFolder();
    let store = createFolderStore(folder);
    let world = open({}, store);
    const digest = await pushImage(world, "app", "v1");
    await pushImage(world, "app", "v2", { annotations: { n: "2" } });
    await attach(world, "app", digest, { annotations: { at: "3" } });
    await pushBlob(world, "app", "to be removed");
    await world.ask(`/v2/app/blobs/${digestOf("to be removed")}`, { method: "DELETE" });
    await world.ask("/v2/app/manifests/v2", { method: "DELETE" });
    const upload = await beginUpload(world);
    await world.ask(upload, { method: "PATCH", body: "half" });
    const contentOf = async (): Promise<unknown[]> =>
      await Promise.all(
        [
          "/v2/_catalog",
          "/v2/app/tags/list",
          "/v2/app/manifests/v1",
          `/v2/app/blobs/${digestOf("layer")}`,
          `/v2/app/blobs/${digestOf("to be removed")}`,
          `/v2/app/referrers/${digest}`,
        ].map(async (path) => (await world.ask(path)).text),
      );
    const before = await contentOf();
    expect(before[3]).toBe("layer");
    store.close();
    expect(readdirSync(join(folder, "~partial"))).toEqual([]);

    store = createFolderStore(folder);
    onTestFinished(() => store.close());
    world = open({}, store);
    expect(await contentOf()).toEqual(before);
    expect((await world.ask(upload)).status).toBe(404);
  });

  test("has one file for a blob, whoever has it, and none when nobody does", async () => {
    const folder = temporaryFolder();
    const store = createFolderStore(folder);
    onTestFinished(() => store.close());
    const world = open({}, store);
    for (const name of ["a", "b"]) await pushBlob(world, name, "content");
    const blobs = (): string[] => readdirSync(join(folder, "blobs", "sha256"));
    expect(blobs()).toHaveLength(1);
    for (const [name, left] of [
      ["a", 1],
      ["b", 0],
    ] as const) {
      await world.ask(`/v2/${name}/blobs/${digestOf("content")}`, { method: "DELETE" });
      expect(blobs()).toHaveLength(left);
    }
  });
});

describe("over a socket", () => {
  async function serve(folder?: string): Promise<{ url: string; errors: unknown[] }> {
    const store = folder === undefined ? createMemoryStore() : createFolderStore(folder);
    const port = await openPort(0);
    const errors: unknown[] = [];
    onTestFinished(async () => {
      await port.close();
      if ("close" in store) (store as { close(): void }).close();
    });
    const service = createRegistry(testContext(port.url, store));
    port.answer({
      route: () => ({ name: "registry", service }),
      faults: new Faults({}),
      onRequest: () => undefined,
      onError: (error) => void errors.push(error),
    });
    return { url: port.url, errors };
  }

  test("a HEAD request is told how long the content is", async () => {
    const { url } = await serve();
    const digest = digestOf("content");
    await fetch(`${url}/v2/app/blobs/uploads/?digest=${digest}`, { method: "POST", body: "content" });
    const head = await fetch(`${url}/v2/app/blobs/${digest}`, { method: "HEAD" });
    expect(head.status).toBe(200);
    expect(head.headers.get("content-length")).toBe("7");
    expect(head.headers.get("docker-content-digest")).toBe(digest);
    expect(await (await fetch(`${url}/v2/app/blobs/${digest}`)).text()).toBe("content");
  });

  test("an upload that breaks off goes on where it stopped", async () => {
    const folder = temporaryFolder();
    const { url, errors } = await serve(folder);
    const begun = await fetch(`${url}/v2/app/blobs/uploads/`, { method: "POST" });
    const location = `${url}${begun.headers.get("location")}`;
    const broken = sendHttp(location, { method: "PATCH", headers: { "content-length": "100" }, agent: false });
    broken.on("error", () => undefined);
    broken.write("abc");
    await expect
      .poll(() => statSync(join(folder, "~partial", readdirSync(join(folder, "~partial"))[0] ?? "")).size)
      .toBe(3);
    broken.destroy();
    await expect
      .poll(async () => {
        const next = await fetch(location, { method: "PATCH", headers: { "content-range": "3-5" }, body: "def" });
        return next.status;
      })
      .toBe(202);
    const end = await fetch(`${location}?digest=${digestOf("abcdef")}`, { method: "PUT" });
    expect(end.status).toBe(201);
    expect(readdirSync(join(folder, "~partial"))).toEqual([]);
    expect(errors).toEqual([]);
  });

  test("an upload in one request that breaks off leaves nothing", async () => {
    const folder = temporaryFolder();
    const { url, errors } = await serve(folder);
    const broken = sendHttp(`${url}/v2/app/blobs/uploads/?digest=${digestOf("abc")}`, {
      method: "POST",
      headers: { "content-length": "100" },
      agent: false,
    });
    broken.on("error", () => undefined);
    broken.write("abc");
    const partial = (): number => {
      try {
        return readdirSync(join(folder, "~partial")).length;
      } catch {
        return 0;
      }
    };
    await expect.poll(partial).toBe(1);
    broken.destroy();
    await expect.poll(partial).toBe(0);
    expect((await fetch(`${url}/v2/app/blobs/${digestOf("abc")}`)).status).toBe(404);
    expect(errors).toEqual([]);
  });
});
