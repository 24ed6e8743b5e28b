import { createHash } from "node:crypto";
import { describe, expect, test } from "vitest";
import type { ContentDigest } from "../../../src/oci/content-digest.ts";
import type { ContentStore } from "../../../src/oci/content-store.ts";
import type { Descriptor } from "../../../src/oci/manifest.ts";
import type { RegistryOptions } from "../../../src/oci/registry/registry-options.ts";
import type { RegistryForgery } from "../../../src/sandbox/registry/registry.ts";
import { utf8 } from "../../support/logs.ts";
import {
  clientOf,
  listen,
  listenRegistry,
  SANDBOX_CREDENTIALS,
  type ListeningRegistry,
} from "../../support/registry-servers.ts";

const MIB = 1024 * 1024;
const code = (value: string, more: object = {}): unknown =>
  expect.objectContaining({ code: value, ...more }) as unknown;

function describing(content: Uint8Array): Descriptor {
  const digest = `sha256:${createHash("sha256").update(content).digest("hex")}` as ContentDigest;
  return { mediaType: "application/octet-stream", digest, size: content.length };
}

const SMALL = utf8("layer");
/** Longer than what is sent in one piece, which is 16 MiB. */
const LARGE = new Uint8Array(20 * MIB).fill(7, 3 * MIB, 17 * MIB);
const LARGE_DESCRIPTOR = describing(LARGE);

async function opened(
  always: readonly RegistryForgery[] = [],
  options: RegistryOptions = {},
): Promise<{
  readonly registry: ListeningRegistry;
  readonly from: ContentStore;
  readonly to: ContentStore;
  readonly asked: () => string[];
}> {
  const registry = await listenRegistry(always);
  const client = clientOf(options);
  const at = (repository: string): ContentStore => client.repository({ registry: registry.host, repository });
  const asked = (): string[] =>
    registry.seen
      .splice(0)
      .filter(({ url }) => !url.startsWith("/token"))
      .map(({ method, body, headers }) => `${method} ${body.length} ${headers["content-range"] ?? ""}`.trim());
  return { registry, from: at("from"), to: at("to"), asked };
}

/** A store of which only streaming is used, and that is on no registry. */
function streaming(chunks: readonly Uint8Array[]): ContentStore {
  const openBlob = async function* (): AsyncGenerator<Uint8Array> {
    yield* chunks;
  };
  return { name: "stream", openBlob } as unknown as ContentStore;
}

describe("uploadBlob (distribution-spec, Pushing blobs)", () => {
  test("sends a small blob in one piece, and one that is there not at all", async () => {
    const { to, asked } = await opened();
    await to.pushBlob(describing(SMALL), SMALL);
    expect(asked()).toEqual(["HEAD 0", "POST 0", "PUT 5"]);
    await to.pushBlob(describing(SMALL), SMALL);
    expect(asked()).toEqual(["HEAD 0"]);
    await expect(to.fetchBlob(describing(SMALL), 5)).resolves.toEqual(SMALL);
  });

  test("sends a small stream in one piece, too, and nothing of an empty blob", async () => {
    const { to, asked } = await opened();
    await to.pushBlob(describing(SMALL), streaming([utf8("la"), utf8("yer")]));
    expect(asked()).toEqual(["HEAD 0", "POST 0", "PUT 5"]);
    for (const content of [new Uint8Array(0), streaming([])]) {
      const { to: other, asked: askedThere } = await opened();
      await other.pushBlob(describing(new Uint8Array(0)), content);
      expect(askedThere()).toEqual(["HEAD 0", "POST 0", "PUT 0"]);
    }
  });

  test.for([
    ["the bytes are there", []],
    ["addresses are absolute, with a query that matters", ["absolute-location"]],
  ] as const)("sends a large blob in pieces where %s", async ([, always]) => {
    const { to, asked } = await opened(always);
    await to.pushBlob(LARGE_DESCRIPTOR, LARGE);
    expect(asked()).toEqual([
      "HEAD 0",
      "POST 0",
      "PATCH 16777216 0-16777215",
      "PATCH 4194304 16777216-20971519",
      "PUT 0",
    ]);
    await expect(to.fetchBlob(LARGE_DESCRIPTOR, LARGE.length)).resolves.toHaveLength(LARGE.length);
  });

  test("sends a large stream in pieces of the same length, however it comes", async () => {
    const { to, asked } = await opened();
    const chunks = [LARGE.subarray(0, 10), LARGE.subarray(10, 18 * MIB), LARGE.subarray(18 * MIB)];
    await to.pushBlob(LARGE_DESCRIPTOR, streaming(chunks));
    expect(asked()).toEqual([
      "HEAD 0",
      "POST 0",
      "PATCH 16777216 0-16777215",
      "PATCH 4194304 16777216-20971519",
      "PUT 0",
    ]);
  });

  test("sends pieces as large as the registry wants at least", async () => {
    const { registry, to, asked } = await opened();
    registry.intercept = (seen, response) => {
      if (seen.method === "POST") response.setHeader("oci-chunk-min-length", `${18 * MIB}`);
      return false;
    };
    await to.pushBlob(LARGE_DESCRIPTOR, LARGE);
    expect(asked()).toContain("PATCH 18874368 0-18874367");
  });

  test.for([
    ["shorter", [SMALL.subarray(0, 4)], ["HEAD 0", "POST 0", "PATCH 4 0-3"]],
    ["longer", [SMALL, SMALL], ["HEAD 0", "POST 0"]],
  ] as const)("ends without a blob where the content is %s than was said", async ([, chunks, requests]) => {
    const { to, asked } = await opened();
    await expect(to.pushBlob(describing(SMALL), streaming(chunks))).rejects.toThrow(code("CONTENT_SIZE_MISMATCH"));
    expect(asked()).toEqual(requests);
    await expect(to.hasBlob(describing(SMALL).digest)).resolves.toBe(false);
  });

  test("tells that the registry finds another digest", async () => {
    const { to } = await opened();
    await expect(to.pushBlob(describing(SMALL), utf8("LAYER"))).rejects.toThrow(
      code("REGISTRY_REQUEST_REFUSED", { status: 400 }),
    );
  });
});

describe("uploadBlob: from another repository of the registry", () => {
  test("has it mounted, and sends nothing", async () => {
    const { from, to, asked } = await opened();
    await from.pushBlob(LARGE_DESCRIPTOR, LARGE);
    asked();
    await to.pushBlob(LARGE_DESCRIPTOR, from);
    expect(asked()).toEqual(["HEAD 0", "POST 0"]);
    await expect(to.hasBlob(LARGE_DESCRIPTOR.digest)).resolves.toBe(true);
  });

  test("has it mounted where both repositories want a token, with one for all of it", async () => {
    const { registry, from, to, asked } = await opened(["private-token-auth"], { credentials: SANDBOX_CREDENTIALS });
    await from.pushBlob(describing(SMALL), SMALL);
    const tokens = (): number => registry.seen.filter(({ url }) => url.startsWith("/token")).length;
    registry.seen.length = 0;
    await to.pushBlob(describing(SMALL), from);
    expect(tokens()).toBe(1);
    expect(asked().filter((one) => one.startsWith("P"))).toEqual(["POST 0"]);
    await expect(to.hasBlob(describing(SMALL).digest)).resolves.toBe(true);
  });

  test.for([400, 403, 404, 405])(
    "sends it where the registry answers with %i to being asked to mount it",
    async (status) => {
      const { registry, from, to, asked } = await opened();
      await from.pushBlob(describing(SMALL), SMALL);
      asked();
      registry.intercept = (seen, response) => {
        const isMount = seen.url.includes("mount=");
        if (isMount) response.writeHead(status).end();
        return isMount;
      };
      await to.pushBlob(describing(SMALL), from);
      expect(asked()).toEqual(["HEAD 0", "POST 0", "POST 0", "GET 0", "PUT 5"]);
    },
  );

  test("asks for no mount from another registry", async () => {
    const [one, other] = [await opened(), await opened()];
    await one.from.pushBlob(describing(SMALL), SMALL);
    await other.to.pushBlob(describing(SMALL), one.from);
    expect(other.registry.seen.some(({ url }) => url.includes("mount="))).toBe(false);
    await expect(other.to.hasBlob(describing(SMALL).digest)).resolves.toBe(true);
  });
});

describe("uploadBlob: where something goes wrong on the way", () => {
  test("goes on after what has arrived when the answer to a piece was lost", async () => {
    const { registry, to, asked } = await opened();
    let isLost = false;
    registry.intercept = (seen, response) => {
      if (seen.method !== "PATCH" || isLost) return false;
      isLost = true;
      // The registry has it, and the client does not know.
      const end = response.end.bind(response);
      response.writeHead = () => response;
      response.end = () => {
        response.destroy();
        return end();
      };
      return false;
    };
    await to.pushBlob(LARGE_DESCRIPTOR, LARGE);
    expect(asked()).toEqual([
      "HEAD 0",
      "POST 0",
      "PATCH 16777216 0-16777215",
      "PATCH 16777216 0-16777215",
      "GET 0",
      "PATCH 4194304 16777216-20971519",
      "PUT 0",
    ]);
    await expect(to.fetchBlob(LARGE_DESCRIPTOR, LARGE.length)).resolves.toHaveLength(LARGE.length);
  });

  test("sends again what the registry says that it has not taken", async () => {
    const ranges: string[] = [];
    const { host } = await listen((seen, response) => {
      const location = "/v2/to/blobs/uploads/1";
      if (seen.method === "HEAD") response.writeHead(404).end();
      else if (seen.method === "PUT") response.writeHead(201).end();
      else if (seen.method === "POST") response.writeHead(202, { location }).end();
      else {
        ranges.push(seen.headers["content-range"] ?? "");
        const range = ranges.length === 1 ? "0-999" : `0-${ranges.at(-1)?.split("-")[1] ?? ""}`;
        response.writeHead(202, { location, range }).end();
      }
    });
    const to = clientOf().repository({ registry: host, repository: "to" });
    await to.pushBlob(LARGE_DESCRIPTOR, LARGE);
    expect(ranges).toEqual(["0-16777215", "1000-16777215", "16777216-20971519"]);
  });

  test.for([
    ["has lost what it had", "0-9", "SERVICE_RESPONSE_INVALID"],
    ["has more than was sent", "0-99999999", "SERVICE_RESPONSE_INVALID"],
    ["does not say what it has", undefined, "SERVICE_RESPONSE_INVALID"],
  ] as const)("gives up where the registry %s", async ([, range, problem]) => {
    let count = 0;
    const { host, seen } = await listen((one, response) => {
      const location = "/v2/to/blobs/uploads/1";
      if (one.method === "HEAD") response.writeHead(404).end();
      else if (one.method === "POST") response.writeHead(202, { location }).end();
      else if (one.method === "GET") response.writeHead(204, { ...(range !== undefined && { range }) }).end();
      else {
        count += 1;
        response.writeHead(count === 1 ? 202 : 416).end();
      }
    });
    const to = clientOf().repository({ registry: host, repository: "to" });
    await expect(to.pushBlob(LARGE_DESCRIPTOR, LARGE)).rejects.toThrow(code(problem));
    expect(seen.length).toBeLessThan(20);
  });

  test("gives up where a registry never takes a piece", async () => {
    const { host, seen } = await listen((one, response) => {
      const location = "/v2/to/blobs/uploads/1";
      if (one.method === "HEAD") response.writeHead(404).end();
      else if (one.method === "POST") response.writeHead(202, { location }).end();
      else if (one.method === "GET") response.writeHead(204, { range: "0-0" }).end();
      else response.writeHead(416).end();
    });
    const to = clientOf().repository({ registry: host, repository: "to" });
    await expect(to.pushBlob(LARGE_DESCRIPTOR, LARGE)).rejects.toThrow(code("SERVICE_RESPONSE_INVALID"));
    expect(seen.length).toBeLessThan(20);
  });

  test("takes a blob for put whose last answer was lost, if it is there", async () => {
    for (const isThere of [true, false]) {
      let puts = 0;
      let heads = 0;
      const { host } = await listen((one, response) => {
        if (one.method === "HEAD") response.writeHead(++heads === 2 && isThere ? 200 : 404).end();
        else if (one.method === "POST") response.writeHead(202, { location: "/v2/to/blobs/uploads/1" }).end();
        else response.writeHead(++puts === 1 ? 502 : 404).end();
      });
      const to = clientOf().repository({ registry: host, repository: "to" });
      const put = to.pushBlob(describing(SMALL), SMALL);
      if (isThere) await expect(put).resolves.toBeUndefined();
      else await expect(put).rejects.toThrow(code("REGISTRY_REQUEST_REFUSED", { status: 404 }));
    }
  });

  test("refuses a registry that does not say where to put it", async () => {
    const { host } = await listen((one, response) => {
      response.writeHead(one.method === "HEAD" ? 404 : 202).end();
    });
    const to = clientOf().repository({ registry: host, repository: "to" });
    await expect(to.pushBlob(describing(SMALL), SMALL)).rejects.toThrow(code("SERVICE_RESPONSE_INVALID"));
  });
});
