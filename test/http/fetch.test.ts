import { once } from "node:events";
import { createServer } from "node:http";
import { connect, type AddressInfo } from "node:net";
import { inspect } from "node:util";
import { describe, expect, onTestFinished, test, vi } from "vitest";
import { fetchFor, offlineFetch } from "../../src/http/fetch.ts";
import { fetchBytes } from "../../src/http/request.ts";

const code = (value: string): unknown => expect.objectContaining({ code: value }) as unknown;

/** Starts a proxy on loopback that says what it was asked for. It connects to loopback alone. */
async function startProxy(): Promise<{
  readonly port: number;
  readonly asked: string[];
  readonly authorizations: (string | undefined)[];
}> {
  const asked: string[] = [];
  const authorizations: (string | undefined)[] = [];
  const proxy = createServer((request, response) => {
    asked.push(`${request.method ?? ""} ${request.url ?? ""}`);
    authorizations.push(request.headers["proxy-authorization"]);
    response.end("from the proxy");
  });
  proxy.on("connect", (request, client) => {
    asked.push(`CONNECT ${request.url ?? ""}`);
    authorizations.push(request.headers["proxy-authorization"]);
    const [host = "", port = ""] = (request.url ?? "").split(":");
    if (host !== "127.0.0.1") {
      client.end("HTTP/1.1 502 Bad Gateway\r\n\r\n");
      return;
    }
    const server = connect(Number(port), host, () => {
      client.write("HTTP/1.1 200 OK\r\n\r\n");
      server.pipe(client).pipe(server);
    });
    for (const socket of [server, client]) socket.on("error", () => undefined);
  });
  proxy.listen(0, "127.0.0.1");
  await once(proxy, "listening");
  onTestFinished(() => {
    proxy.closeAllConnections();
    proxy.close();
  });
  return { port: (proxy.address() as AddressInfo).port, asked, authorizations };
}

async function startServer(): Promise<{ readonly url: string; readonly headers: unknown[] }> {
  const headers: unknown[] = [];
  const server = createServer((request, response) => {
    headers.push(request.headers);
    response.end("from the server");
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  onTestFinished(() => {
    server.closeAllConnections();
    server.close();
  });
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/`, headers };
}

const get = (url: string, environment: Readonly<Record<string, string>>): Promise<string> =>
  fetchBytes(url, 1000, { fetch: fetchFor(environment), timeoutMs: 5000, retries: 0 }).then((bytes) =>
    Buffer.from(bytes).toString(),
  );

describe("fetchFor", () => {
  test("uses the runtime's own fetch without a proxy, as it is when it is used", async () => {
    const { url } = await startServer();
    await expect(get(url, { HTTPS_PROXY: "", NO_PROXY: "*" })).resolves.toBe("from the server");
    const request = fetchFor({});
    vi.stubGlobal("fetch", () => Promise.resolve(new Response("stub")));
    expect(await (await request(url, {})).text()).toBe("stub");
  });

  test.for(["HTTP_PROXY", "http_proxy"])("goes through the proxy that %s names", async (name) => {
    const { url } = await startServer();
    const { port, asked } = await startProxy();
    await get(url, { [name]: `http://127.0.0.1:${port}` });
    expect(asked).toEqual([expect.stringContaining(new URL(url).host)]);
  });

  test.for(["HTTPS_PROXY", "https_proxy"])(
    "asks the proxy that %s names for a tunnel to an HTTPS service",
    async (name) => {
      const { port, asked } = await startProxy();
      await expect(get("https://service.test/", { [name]: `http://127.0.0.1:${port}` })).rejects.toThrow(
        code("HTTP_REQUEST_FAILED"),
      );
      expect(asked).toEqual(["CONNECT service.test:443"]);
    },
  );

  test("takes the variable in lower case before the one in capitals", async () => {
    const { port, asked } = await startProxy();
    const other = await startProxy();
    await expect(
      get("https://service.test/", {
        https_proxy: `http://127.0.0.1:${port}`,
        HTTPS_PROXY: `http://127.0.0.1:${other.port}`,
      }),
    ).rejects.toThrow(code("HTTP_REQUEST_FAILED"));
    expect([asked.length, other.asked.length]).toEqual([1, 0]);
  });

  test.for(["NO_PROXY", "no_proxy"])("leaves out the hosts of %s", async (name) => {
    const { url } = await startServer();
    const { port, asked } = await startProxy();
    await expect(get(url, { HTTP_PROXY: `http://127.0.0.1:${port}`, [name]: "example.com,127.0.0.1" })).resolves.toBe(
      "from the server",
    );
    expect(asked).toEqual([]);
  });

  test("takes the environment that it is given, not the process's", async () => {
    const { url } = await startServer();
    const { port, asked } = await startProxy();
    vi.stubEnv("HTTP_PROXY", "http://127.0.0.1:9");
    vi.stubEnv("http_proxy", "http://127.0.0.1:9");
    vi.stubEnv("NO_PROXY", "*");
    vi.stubEnv("no_proxy", "*");
    onTestFinished(() => void vi.unstubAllEnvs());
    await get(url, { HTTP_PROXY: `http://127.0.0.1:${port}` });
    expect(asked).toHaveLength(1);
    await expect(get(url, {})).resolves.toBe("from the server");
  });

  test("gives the proxy's password to the proxy alone, and to no message", async () => {
    const { url, headers } = await startServer();
    const { port, authorizations } = await startProxy();
    const proxy = `http://user:secret@127.0.0.1:${port}`;
    await get(url, { HTTP_PROXY: proxy });
    expect(authorizations).toEqual([`Basic ${Buffer.from("user:secret").toString("base64")}`]);
    expect(inspect(headers)).not.toContain("authorization");
    const error: unknown = await get("https://service.test/", { HTTPS_PROXY: proxy }).catch(
      (caught: unknown) => caught,
    );
    expect(inspect(error, { depth: 9 })).not.toContain("secret");
  });

  test.for(["secret", "socks5://user:secret@127.0.0.1:1080", "://"])(
    "refuses %s for a proxy, without repeating it",
    async (proxy) => {
      const refused = get("https://service.test/", { HTTPS_PROXY: proxy });
      await expect(refused).rejects.toThrow(
        expect.objectContaining({ code: "URL_INVALID", message: "HTTPS_PROXY is not the URL of a proxy" }),
      );
      const error: unknown = await refused.catch((caught: unknown) => caught);
      expect(inspect(error)).not.toContain("user:");
    },
  );

  test("is told from other failures when the proxy is not there", async () => {
    await expect(get("https://service.test/", { HTTPS_PROXY: "http://127.0.0.1:9" })).rejects.toThrow(
      code("HTTP_REQUEST_FAILED"),
    );
  });
});

describe("offlineFetch", () => {
  test("opens nothing, and is not tried twice", async () => {
    const sleep = vi.fn<() => Promise<void>>(() => Promise.resolve());
    await expect(
      fetchBytes("https://service.test/", 7, { fetch: offlineFetch, timeoutMs: 5000, sleep }),
    ).rejects.toThrow(expect.objectContaining({ code: "OFFLINE", retryable: false }));
    expect(sleep).not.toHaveBeenCalled();
  });
});
