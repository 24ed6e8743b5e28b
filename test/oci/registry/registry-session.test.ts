import { once } from "node:events";
import { createServer } from "node:https";
import type { AddressInfo } from "node:net";
import { describe, expect, onTestFinished, test } from "vitest";
import type { Fetch } from "../../../src/http/request.ts";
import type { ContentDigest } from "../../../src/oci/content-digest.ts";
import type { ContentStore } from "../../../src/oci/content-store.ts";
import type { RegistryEvent, RegistryOptions } from "../../../src/oci/registry/registry-options.ts";
import { RegistrySession } from "../../../src/oci/registry/registry-session.ts";
import { digestOf, manifestOf, OCI_MANIFEST } from "../../sandbox/registry/client.ts";
import {
  bytes,
  extKeyUsage,
  makeAuthority,
  makeLeaf,
  OIDS,
  prim,
  subjectAltName,
  utcTime,
  withExtension,
} from "../../support/certificates.ts";
import {
  clientOf,
  listen,
  listenRegistry,
  SANDBOX_CREDENTIALS,
  type Answerer,
  type SeenRequest,
} from "../../support/registry-servers.ts";

const code = (value: string, more: object = {}): unknown =>
  expect.objectContaining({ code: value, ...more }) as unknown;

/** Gives a manifest, whatever it is asked for. */
const giveManifest: Answerer = (_seen, response) =>
  void response.writeHead(200, { "content-type": OCI_MANIFEST }).end(manifestOf());

function storeAt(registry: string, options: RegistryOptions = {}): ContentStore {
  return clientOf({ retries: 0, ...options }).repository({ registry, repository: "app" });
}

/** A `fetch` for which `registry.test` is another host, whatever the scheme. */
function resolving(host: string): { readonly fetch: Fetch; readonly asked: string[] } {
  const asked: string[] = [];
  return {
    asked,
    fetch: async (url, init) => {
      asked.push(new URL(url).protocol);
      return await fetch(url.replace("registry.test", host), init);
    },
  };
}

const REGISTRY_TOKEN: RegistryOptions["credentials"] = () =>
  Promise.resolve({ kind: "registry-token", registryToken: "secret-token" });

const dates = { notBefore: utcTime("200101000000Z"), notAfter: utcTime("491231000000Z") };
const pem = (label: string, der: Uint8Array): string =>
  `-----BEGIN ${label}-----\n${Buffer.from(der).toString("base64")}\n-----END ${label}-----\n`;
const root = makeAuthority(dates);
const party = makeLeaf({
  ...dates,
  issuer: root,
  extensions: (usual) =>
    withExtension(withExtension(usual, extKeyUsage([OIDS.serverAuth])), subjectAltName(prim(7, bytes(127, 0, 0, 1)))),
});

/** Starts a registry that speaks TLS, and to whoever does not, like those in Go, says that it wants it. */
async function listenTls(saysSo = true): Promise<{ readonly host: string; readonly authorizations: unknown[] }> {
  const authorizations: unknown[] = [];
  const cert = pem("CERTIFICATE", party.der);
  const key = party.keys.privateKey.export({ type: "pkcs8", format: "pem" });
  const server = createServer({ cert, key }, (request, response) => {
    authorizations.push(request.headers.authorization);
    response.writeHead(200, { "content-type": OCI_MANIFEST }).end(manifestOf());
  });
  server.on("tlsClientError", (_error, socket) => {
    if (saysSo) socket.end("HTTP/1.0 400 Bad Request\r\n\r\nClient sent an HTTP request to an HTTPS server.\n");
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  onTestFinished(() => {
    server.closeAllConnections();
    server.close();
  });
  return { host: `127.0.0.1:${(server.address() as AddressInfo).port}`, authorizations };
}

describe("RegistrySession: how a registry is reached", () => {
  test("without TLS on loopback, and without asking for anything first", async () => {
    const { host, seen } = await listen(giveManifest);
    await expect(storeAt(host).fetchManifest("v1")).resolves.toBeDefined();
    expect(seen.map(({ method, url }) => `${method} ${url}`)).toEqual(["GET /v2/app/manifests/v1"]);
  });

  test("only with TLS elsewhere, and says what could be done about a registry that has none", async () => {
    const { host } = await listen(giveManifest);
    const { fetch: resolve, asked } = resolving(host);
    await expect(storeAt("registry.test", { fetch: resolve }).fetchManifest("v1")).rejects.toThrow(
      code("HTTP_REQUEST_FAILED", { remedy: expect.stringContaining("--allow-http-registry") as unknown }),
    );
    expect(asked).toEqual(["https:"]);
  });

  test("without TLS elsewhere where that is allowed, but with it first; once", async () => {
    const { host } = await listen(giveManifest);
    const { fetch: resolve, asked } = resolving(host);
    const store = storeAt("registry.test", { fetch: resolve, allowHttp: true });
    await Promise.all(["v1", "v2", "v3"].map((tag) => store.fetchManifest(tag)));
    expect(asked).toEqual(["https:", "http:", "http:", "http:"]);
  });

  test("not without TLS where the certificate is not good, whatever is allowed", async () => {
    const { host } = await listenTls();
    const { fetch: resolve, asked } = resolving(host);
    const store = storeAt("registry.test", { fetch: resolve, allowHttp: true });
    await expect(store.fetchManifest("v1")).rejects.toThrow(code("HTTP_REQUEST_FAILED"));
    expect(asked).toEqual(["https:"]);
  });

  test("with TLS on loopback too, if the registry speaks it", async () => {
    const tls = { caCertificates: pem("CERTIFICATE", root.der) };
    const { host } = await listenTls();
    await expect(storeAt(host, { tls }).fetchManifest("v1")).resolves.toBeDefined();
    await expect(storeAt(host, { insecureSkipTlsVerify: true }).fetchManifest("v1")).resolves.toBeDefined();
    await expect(storeAt(host).fetchManifest("v1")).rejects.toThrow(code("HTTP_REQUEST_FAILED"));
  });

  test("with TLS on loopback, if the registry closes the connection of whoever does not speak it", async () => {
    const { host } = await listenTls(false);
    const store = storeAt(host, { insecureSkipTlsVerify: true, timeoutMs: 5000 });
    await expect(store.fetchManifest("v1")).resolves.toBeDefined();
  });

  test.for([
    ["refuses for another reason, whatever it says", 403, "app", "see https://registry.test/"],
    ["finds something wrong with what is called like that", 400, "https-app", "name invalid"],
  ] as const)("without TLS on loopback, where it %s", async ([, status, repository, message]) => {
    const { host } = await listen((_one, response) => {
      response.writeHead(status).end(JSON.stringify({ errors: [{ code: "DENIED", message }] }));
    });
    const { fetch: resolve, asked } = resolving(host);
    const store = clientOf({ fetch: resolve, retries: 0 }).repository({ registry: host, repository });
    await expect(store.fetchManifest("v1")).rejects.toThrow(code(expect.any(String) as string, { status }));
    expect(asked).toEqual(["http:"]);
  });

  test("where it answers that it has no time, in the way in which it answered", async () => {
    let count = 0;
    const { host, seen } = await listen((one, response) => {
      count += 1;
      if (count === 1) response.writeHead(503).end();
      else return giveManifest(one, response);
    });
    await expect(storeAt(host).fetchManifest("v1")).resolves.toBeDefined();
    expect(seen).toHaveLength(2);
  });
});

describe("RegistrySession: what it takes for its registry", () => {
  const session = (registry: string): RegistrySession => new RegistrySession(registry, { environment: {} });
  const here = "https://registry.test/v2/app/blobs/uploads/1?state=a";

  test.for([
    ["a path", "/v2/app/blobs/uploads/2?state=b", "https://registry.test/v2/app/blobs/uploads/2?state=b"],
    ["a relative path", "2", "https://registry.test/v2/app/blobs/uploads/2"],
    ["a query", "?state=b", "https://registry.test/v2/app/blobs/uploads/1?state=b"],
    ["its own address", "https://registry.test/x", "https://registry.test/x"],
    ["its own address with a port that need not be written", "https://registry.test:443/x", "https://registry.test/x"],
    ["its own address as seen behind a proxy", "http://registry.test/x", "https://registry.test/x"],
  ] as const)("%s", ([, location, expected]) => {
    expect(session("registry.test").resolveOwn(location, here)).toBe(expected);
    expect(session("registry.test:443").resolveOwn(location, here)).toBe(expected);
  });

  test.for([
    ["another host", "https://other.test/x"],
    ["another host without a scheme", "//other.test/x"],
    ["another port", "https://registry.test:8443/x"],
    ["a host with its name in it", "https://registry.test.other.test/x"],
    ["credentials", "https://user:secret@registry.test/x"],
    ["something that is no HTTP", "file:///etc/passwd"],
    ["something that is no URL", "https://[/"],
  ] as const)("not %s", async ([, location]) => {
    const refused = code("SERVICE_RESPONSE_INVALID", { expected: "registry.test" });
    expect(() => session("registry.test").resolveOwn(location, here)).toThrow(refused);
    expect(() => session("registry.test").resolveOwn(location, here)).not.toThrow("secret");
    const request = {
      method: "GET",
      target: "https://other.test/x",
      scope: undefined,
      accept: [200],
      maxBytes: 1,
    } as const;
    await expect(session("registry.test").send(request)).rejects.toThrow(refused);
  });

  test("nothing that comes from another host", () => {
    for (const location of ["/x", "https://registry.test/x"])
      expect(() => session("registry.test").resolveOwn(location, "https://other.test/v2/")).toThrow(
        code("SERVICE_RESPONSE_INVALID", { found: "https://other.test/v2/" }),
      );
  });

  test("its TLS options with the port that need not be written", async () => {
    const tls = { caCertificates: pem("CERTIFICATE", root.der) };
    const plain: string[] = [];
    const withoutTls: Fetch = (url) => {
      plain.push(url);
      return Promise.reject(new TypeError("fetch failed"));
    };
    // Refused by whoever listens there, or by nobody: not asked without the options, at any rate.
    const store = storeAt("127.0.0.1:443", { tls, fetch: withoutTls, timeoutMs: 2000 });
    await expect(store.fetchManifest("v1")).rejects.toThrow(code("HTTP_REQUEST_FAILED"));
    expect(plain.filter((url) => url.startsWith("https:"))).toEqual([]);
  });
});

describe("RegistrySession: whom it tells who asks", () => {
  test("nobody before it is known how the registry is reached", async () => {
    const tls = await listenTls();
    const wanting = await listen((one, response) => {
      if (one.authorization === undefined) response.writeHead(401, { "www-authenticate": "Bearer" }).end();
      else return giveManifest(one, response);
    });
    // Over an unencrypted connection the token would have gone out before TLS was asked for.
    const { host } = await listen((_one, response) => {
      response.writeHead(400).end("Client sent an HTTP request to an HTTPS server.\n");
    });
    const seen: (string | null)[] = [];
    const plainFirst: Fetch = async (url, init) => {
      if (url.startsWith("http:")) seen.push(new Headers(init.headers).get("authorization"));
      return await fetch(url.replace(/^https:\/\/[^/]+/, `http://${wanting.host}`), init);
    };
    const store = storeAt(host, { credentials: REGISTRY_TOKEN, fetch: plainFirst });
    await expect(store.fetchManifest("v1")).resolves.toBeDefined();
    expect(seen).toEqual([null]);
    expect(wanting.seen.map(({ authorization }) => authorization)).toEqual([undefined, "Bearer secret-token"]);
    expect(tls.authorizations).toEqual([]);
  });

  test("the registry by its first request, where there is one way to reach it", async () => {
    const { host, seen } = await listen(giveManifest);
    const direct: Fetch = (url, init) => fetch(url.replace("https://registry.test", `http://${host}`), init);
    await storeAt("registry.test", { credentials: REGISTRY_TOKEN, fetch: direct }).fetchManifest("v1");
    expect(seen.map(({ authorization }) => authorization)).toEqual(["Bearer secret-token"]);
  });

  test("the registry, when a token is not good any more, once again and then no more", async () => {
    const { host, seen } = await listen((one, response) => {
      if (one.url.startsWith("/token")) response.end('{"token":"t"}');
      else response.writeHead(401, { "www-authenticate": `Bearer realm="http://${one.host}/token",service="s"` }).end();
    });
    const store = storeAt(host, { credentials: SANDBOX_CREDENTIALS });
    await expect(store.fetchManifest("v1")).rejects.toThrow(code("REGISTRY_UNAUTHORIZED", { status: 401 }));
    expect(seen.filter(({ url }) => url.startsWith("/v2/"))).toHaveLength(2);
  });

  test("says who is not let in that a login is missing, or is not enough", async () => {
    const registry = await listenRegistry(["basic-auth"]);
    await expect(storeAt(registry.host).fetchManifest("v1")).rejects.toThrow(
      code("REGISTRY_UNAUTHORIZED", { found: "no credentials", status: 401 }),
    );
    const wrong: RegistryOptions["credentials"] = () =>
      Promise.resolve({ kind: "basic", username: "sandbox", password: "wrong-password" });
    const refused = storeAt(registry.host, { credentials: wrong }).fetchManifest("v1");
    await expect(refused).rejects.toThrow(code("REGISTRY_UNAUTHORIZED", { found: "credentials that do not" }));
    await expect(refused).rejects.not.toThrow("wrong-password");
  });
});

describe("RegistrySession: what it asks at a time", () => {
  test("as many requests as it may, and no more", async () => {
    let now = 0;
    let most = 0;
    const waiting: (() => void)[] = [];
    const { host } = await listen(async (one, response) => {
      if (!one.url.endsWith("/first")) {
        now += 1;
        most = Math.max(most, now);
        // Answers once three ask, and gives a fourth the time to come.
        if (now === 3) setTimeout(() => waiting.splice(0).forEach((go) => go()), 20);
        await new Promise<void>((resolve) => {
          waiting.push(resolve);
        });
        now -= 1;
      }
      await giveManifest(one, response);
    });
    const store = storeAt(host, { concurrency: 3 });
    await store.fetchManifest("first"); // finds out how it is reached, which all others wait for
    await Promise.all(Array.from({ length: 9 }, (_, i) => store.fetchManifest(`v${i}`)));
    expect(most).toBe(3);
  });

  test("copies from one repository to another with one request at a time", async () => {
    const registry = await listenRegistry();
    // Nothing can be mounted, so that it has to be read and written at the same time.
    registry.intercept = (seen, response) => {
      if (seen.url.includes("mount=")) response.writeHead(405).end();
      return seen.url.includes("mount=");
    };
    const client = clientOf({ concurrency: 1 });
    const from = client.repository({ registry: registry.host, repository: "from" });
    const to = client.repository({ registry: registry.host, repository: "to" });
    const content = Buffer.alloc(20 * 1024 * 1024, "x");
    const digest = digestOf(content) as ContentDigest;
    const descriptor = { mediaType: "application/octet-stream", digest, size: content.length };
    await from.pushBlob(descriptor, content);
    await to.pushBlob(descriptor, from);
    await expect(to.hasBlob(digest)).resolves.toBe(true);
  });
});

describe("RegistrySession: what it tells of its requests", () => {
  test("each of them, with the bytes that were read, and which were for a token", async () => {
    const registry = await listenRegistry(["token-auth"]);
    const events: RegistryEvent[] = [];
    const store = storeAt(registry.host, {
      credentials: SANDBOX_CREDENTIALS,
      observer: (one) => void events.push(one),
    });
    await store.fetchManifest("v1");
    const [unauthorized, token, missing] = events;
    expect(events).toHaveLength(3);
    expect(unauthorized).toMatchObject({ method: "GET", status: 401, authentication: false });
    expect(token).toMatchObject({ url: `http://${registry.host}/token`, status: 200, authentication: true });
    expect(missing).toMatchObject({ url: `http://${registry.host}/v2/app/manifests/v1`, status: 404 });
    expect(missing?.bytes).toBeGreaterThan(20);
    const asked = (one: SeenRequest): string => one.url.split("?")[0] ?? "";
    expect(registry.seen.map(asked)).toEqual(["/v2/app/manifests/v1", "/token", "/v2/app/manifests/v1"]);
  });

  test("the bytes of content whose length nobody announced", async () => {
    const { host } = await listen((_one, response) => {
      response.writeHead(200, { "content-type": OCI_MANIFEST });
      response.flushHeaders();
      response.end(manifestOf());
    });
    const events: RegistryEvent[] = [];
    await storeAt(host, { observer: (one) => void events.push(one) }).fetchManifest("v1");
    expect(events.map(({ bytes: read }) => read)).toEqual([Buffer.byteLength(manifestOf())]);
  });

  test("who asks", async () => {
    const { host, seen } = await listen(giveManifest);
    await storeAt(host, { userAgent: "test/1" }).fetchManifest("v1");
    expect(seen.map(({ headers }) => headers["user-agent"])).toEqual(["test/1"]);
  });
});
