import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { describe, expect, onTestFinished, test } from "vitest";
import { HeaderMap } from "../../src/http/header-map.ts";
import { createNodeFetch } from "../../src/http/node-fetch.ts";
import { fetchStream, sendRequest, type HttpRequest, type RequestOptions } from "../../src/http/request.ts";

type Answer = (request: IncomingMessage, response: ServerResponse, body: string) => void;

/** Serves one answer to everything, and remembers what it was asked. */
async function serve(answer: Answer): Promise<{ url: string; asked: IncomingMessage[]; sockets: Set<unknown> }> {
  const asked: IncomingMessage[] = [];
  const sockets = new Set<unknown>();
  const server = createServer((request, response) => {
    asked.push(request);
    sockets.add(request.socket);
    const chunks: Buffer[] = [];
    request.on("data", (chunk: Buffer) => chunks.push(chunk));
    request.on("end", () => answer(request, response, Buffer.concat(chunks).toString()));
  });
  await new Promise<void>((resolve) => {
    server.listen(0, "127.0.0.1", resolve);
  });
  onTestFinished(() => {
    server.closeAllConnections();
    server.close();
  });
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/a?b=c`, asked, sockets };
}

const options = (more: Partial<RequestOptions> = {}): RequestOptions => ({
  fetch: createNodeFetch(),
  timeoutMs: 10_000,
  sleep: () => Promise.resolve(),
  ...more,
});
const GET: HttpRequest = { method: "GET", accept: [200], maxBytes: 1000 };

describe("createNodeFetch", () => {
  test("sends method, headers and body, and reads status, headers and body", async () => {
    const { url, asked } = await serve((_request, response, body) => {
      response.writeHead(201, { "x-one": "1", location: "/there" }).end(`got ${body}`);
    });
    const request: HttpRequest = { ...GET, method: "PUT", accept: [201], headers: { "X-Two": "2" }, body: "bödy" };
    const answer = await sendRequest(url, request, options({ userAgent: "test/1" }));
    expect(new TextDecoder().decode(answer.body)).toBe("got bödy");
    expect(answer).toMatchObject({ status: 201, url, attempts: 1 });
    expect([answer.headers.get("X-One"), answer.headers.get("nothing"), answer.headers.has("location")]).toEqual([
      "1",
      null,
      true,
    ]);
    expect(asked[0]?.headers).toMatchObject({ "x-two": "2", "user-agent": "test/1", "content-length": "5" });
    expect(asked[0]?.headers["accept-encoding"]).toBe("identity");
    expect([asked[0]?.method, asked[0]?.url]).toEqual(["PUT", "/a?b=c"]);
  });

  test("uses a connection again, after answers that nobody reads too", async () => {
    const { url, sockets, asked } = await serve((request, response) => {
      if (request.url === "/there") response.end("there");
      else response.writeHead(307, { location: "/there" }).end("not read");
    });
    const same = options();
    for (let times = 0; times < 3; times += 1) expect((await sendRequest(url, GET, same)).body).toHaveLength(5);
    await sendRequest(url, { ...GET, method: "HEAD", accept: [307, 200] }, same);
    expect(asked.length).toBeGreaterThan(6);
    // One more where the next request came before the rest of an answer was read away.
    expect(sockets.size).toBeLessThanOrEqual(2);
  });

  test("gives the server's words of a refusal, and tries again where that may help", async () => {
    let times = 0;
    const { url } = await serve((_request, response) => {
      times += 1;
      response.writeHead(times === 1 ? 503 : 403).end('{"message":"not you"}');
    });
    await expect(sendRequest(url, GET, options())).rejects.toMatchObject({
      code: "HTTP_STATUS_UNEXPECTED",
      status: 403,
      attempts: 2,
      message: expect.stringContaining("not you") as string,
    });
  });

  test("says why there is no connection", async () => {
    await expect(sendRequest("http://127.0.0.1:1/", GET, options({ retries: 0 }))).rejects.toMatchObject({
      code: "HTTP_REQUEST_FAILED",
      message: expect.stringContaining("ECONNREFUSED") as string,
    });
  });

  test("stops reading where an answer is longer than it may be, announced or not", async () => {
    const { url } = await serve((request, response) => {
      if (request.headers["x-announce"] === "1") response.setHeader("content-length", 1001);
      response.write("x".repeat(999));
      response.end("xx");
    });
    for (const headers of [{}, { "x-announce": "1" }])
      await expect(sendRequest(url, { ...GET, headers }, options())).rejects.toMatchObject({
        code: "HTTP_RESPONSE_TOO_LARGE",
      });
  });

  test("ends with the deadline, before an answer and within one", async () => {
    const { url } = await serve((request, response) => {
      if (request.method === "POST") response.write("a little");
    });
    for (const method of ["GET", "POST"] as const)
      await expect(sendRequest(url, { ...GET, method }, options({ timeoutMs: 60, retries: 0 }))).rejects.toMatchObject({
        code: "HTTP_TIMEOUT",
      });
  });

  test("ends with the caller's signal, and its reason", async () => {
    const controller = new AbortController();
    const reason = new Error("enough");
    const { url } = await serve(() => controller.abort(reason));
    await expect(sendRequest(url, GET, options({ signal: controller.signal }))).rejects.toBe(reason);
  });

  test("tells a connection that breaks within an answer", async () => {
    const { url } = await serve((_request, response) => {
      response.writeHead(200, { "content-length": "100" });
      response.write("half");
      setImmediate(() => response.destroy());
    });
    await expect(sendRequest(url, GET, options({ retries: 1 }))).rejects.toMatchObject({
      code: "HTTP_REQUEST_FAILED",
      attempts: 2,
    });
    const { stream } = await fetchStream(url, 1000, options());
    const reading = async (): Promise<void> => {
      for await (const chunk of stream) expect(chunk).toHaveLength(4);
    };
    await expect(reading()).rejects.toMatchObject({ code: "HTTP_REQUEST_FAILED" });
  });
});

describe("HeaderMap", () => {
  test("finds names in any case, and keeps the last value", () => {
    const headers = new HeaderMap([["Accept", " a "]]);
    headers.set("ACCEPT", "b");
    expect([headers.get("accept"), headers.has("Accept"), headers.get("x"), [...headers]]).toEqual([
      "b",
      true,
      null,
      [["accept", "b"]],
    ]);
  });

  test.for([
    ["a line break", "x", "a\r\nb: c"],
    ["a zero byte", "x", "a\0"],
    ["characters beyond Latin-1", "x", "\u2713"],
    ["a name with a space", "x y", "a"],
    ["an empty name", "", "a"],
  ] as const)("refuses %s", ([, name, value]) => {
    expect(() => new HeaderMap([[name, value]])).toThrow(TypeError);
  });
});
