import { execFile } from "node:child_process";
import { once } from "node:events";
import { inspect, promisify } from "node:util";
import { gzipSync } from "node:zlib";
import { describe, expect, test } from "vitest";
import { SigstoreError } from "../../src/errors.ts";
import { redactUrl } from "../../src/http/redact.ts";
import { fetchBytes, fetchStream, type Fetch, type RequestOptions } from "../../src/http/request.ts";
import { serve } from "../support/http.ts";

const code = (value: string): unknown => expect.objectContaining({ code: value }) as unknown;
const text = async (bytes: Promise<Uint8Array>): Promise<string> => Buffer.from(await bytes).toString();
const URL_ = "https://service.test/path";

type Answer = Response | Error | (() => Promise<Response>);

/** Is a `fetch` that gives its answers in turn, with what it was asked and how long was waited between. */
function answering(
  ...answers: readonly Answer[]
): RequestOptions & { readonly asked: string[]; readonly waited: number[] } {
  const asked: string[] = [];
  const waited: number[] = [];
  const fetch: Fetch = async (url) => {
    asked.push(url);
    const answer = answers[asked.length - 1];
    if (answer === undefined) throw new Error("there was one request more");
    if (answer instanceof Error) throw answer;
    return await (typeof answer === "function" ? answer() : answer);
  };
  const sleep = (ms: number): Promise<void> => {
    waited.push(ms);
    return Promise.resolve();
  };
  return { fetch, sleep, timeoutMs: 60_000, asked, waited };
}

const ok = (body = "content", headers: Record<string, string> = {}): Response => new Response(body, { headers });
const status = (number: number, headers: Record<string, string> = {}): Response =>
  new Response("", { status: number, headers });
const redirect = (location: string, number = 302): Response => status(number, { location });
const broken = (): TypeError =>
  new TypeError("fetch failed", { cause: Object.assign(new Error("reset"), { code: "ECONNRESET" }) });

describe("fetchBytes: what it asks and takes", () => {
  test("asks once, and returns the content", async () => {
    const options = answering(ok());
    await expect(text(fetchBytes(URL_, 7, options))).resolves.toBe("content");
    expect(options.asked).toEqual([URL_]);
  });

  test("sends no header but the user agent, neither credentials nor cookies", async () => {
    const seen: string[][] = [];
    const { url } = await serve((request, response) => {
      seen.push(Object.keys(request.headers).toSorted((one, other) => (one < other ? -1 : 1)));
      response.setHeader("set-cookie", "session=secret").end(request.headers["user-agent"]);
    });
    const options = { fetch, timeoutMs: 5000, userAgent: "cosign-ts/1" };
    await expect(text(fetchBytes(url, 100, options))).resolves.toBe("cosign-ts/1");
    await fetchBytes(url, 100, options);
    expect(new Set(seen.flat())).toEqual(
      new Set(["accept", "accept-encoding", "accept-language", "connection", "host", "sec-fetch-mode", "user-agent"]),
    );
  });

  test.for([
    "",
    "no URL",
    "ftp://service.test",
    "file:///etc/passwd",
    "data:,x",
    "https://user@service.test",
    "https://user:secret@service.test",
  ])("refuses %j, and asks nothing", async (url) => {
    const options = answering();
    const refused = fetchBytes(url, 7, options);
    await expect(refused).rejects.toThrow(expect.objectContaining({ name: "InputError", code: "URL_INVALID" }));
    await expect(refused).rejects.not.toThrow("secret");
    expect(options.asked).toEqual([]);
  });

  test.for([201, 203, 204, 206, 300, 304, 400, 401, 403, 404, 410])(
    "takes status %i for a failure that another try does not help",
    async (number) => {
      const options = answering(new Response(null, { status: number }));
      await expect(fetchBytes(URL_, 7, options)).rejects.toThrow(
        expect.objectContaining({
          name: "ServiceError",
          code: "HTTP_STATUS_UNEXPECTED",
          status: number,
          retryable: false,
          found: `status ${number}`,
        }),
      );
      expect(options.asked).toHaveLength(1);
    },
  );
});

describe("fetchBytes: size", () => {
  test.for([
    ["as long as it may be", 7, undefined],
    ["one byte longer, as announced", 6, "HTTP_RESPONSE_TOO_LARGE"],
  ] as const)("content %s", async ([, maxBytes, problem]) => {
    const { url } = await serve((_request, response) => response.setHeader("content-length", 7).end("content"));
    const answer = text(fetchBytes(url, maxBytes, { fetch, timeoutMs: 5000 }));
    if (problem === undefined) await expect(answer).resolves.toBe("content");
    else await expect(answer).rejects.toThrow(code(problem));
  });

  test("cuts off content that announces no length and does not end", async () => {
    let sent = 0;
    const { url } = await serve((_request, response) => {
      const more = (): void => {
        sent += 65_536;
        if (!response.destroyed) response.write(Buffer.alloc(65_536), () => setImmediate(more));
      };
      more();
    });
    await expect(fetchBytes(url, 100_000, { fetch, timeoutMs: 5000 })).rejects.toThrow(
      expect.objectContaining({ code: "HTTP_RESPONSE_TOO_LARGE", retryable: false }),
    );
    expect(sent).toBeLessThan(50_000_000);
  });

  test("counts content after it was unpacked, whatever length the header gives", async () => {
    const packed = gzipSync(Buffer.alloc(1_000_000));
    const { url } = await serve((_request, response) => {
      response.writeHead(200, { "content-encoding": "gzip", "content-length": packed.length }).end(packed);
    });
    await expect(fetchBytes(url, 999_999, { fetch, timeoutMs: 5000 })).rejects.toThrow(code("HTTP_RESPONSE_TOO_LARGE"));
    await expect(fetchBytes(url, 1_000_000, { fetch, timeoutMs: 5000 })).resolves.toHaveLength(1_000_000);
  });
});

describe("fetchBytes: time", () => {
  test("does not wait longer than the deadline for an answer", async () => {
    const { url } = await serve(() => undefined);
    await expect(fetchBytes(url, 7, { fetch, timeoutMs: 60 })).rejects.toThrow(
      expect.objectContaining({ code: "HTTP_TIMEOUT", expected: "an answer within 60 ms" }),
    );
  });

  test("does not wait longer than the deadline for content that trickles in", async () => {
    const { url } = await serve((_request, response) => {
      const timer = setInterval(() => response.write("x"), 10);
      response.on("close", () => clearInterval(timer));
    });
    await expect(fetchBytes(url, 1_000_000, { fetch, timeoutMs: 80 })).rejects.toThrow(code("HTTP_TIMEOUT"));
  });

  test("ends with the caller's signal, and its reason", async () => {
    const { url } = await serve(() => undefined);
    const reason = new Error("enough");
    const controller = new AbortController();
    const answer = fetchBytes(url, 7, { fetch, timeoutMs: 60_000, signal: controller.signal });
    setTimeout(() => controller.abort(reason), 20);
    await expect(answer).rejects.toBe(reason);
    await expect(fetchBytes(url, 7, { fetch, timeoutMs: 60_000, signal: AbortSignal.abort(reason) })).rejects.toBe(
      reason,
    );
  });

  test("ends with the caller's signal while it waits for another try", async () => {
    const reason = new Error("enough");
    const controller = new AbortController();
    const { sleep: _, ...options } = answering(status(503, { "retry-after": "30" }));
    const answer = fetchBytes(URL_, 7, { ...options, signal: controller.signal });
    setTimeout(() => controller.abort(reason), 20);
    await expect(answer).rejects.toBe(reason);
  });
});

describe("fetchBytes: another try", () => {
  test.for([
    ["429", () => status(429)],
    ["500", () => status(500)],
    ["502", () => status(502)],
    ["503", () => status(503)],
    ["504", () => status(504)],
    ["a broken connection", broken],
  ] as const)("after %s, at most twice, waiting longer each time", async ([, fail]) => {
    const helped = answering(fail(), fail(), ok());
    await expect(text(fetchBytes(URL_, 7, helped))).resolves.toBe("content");
    expect(helped.asked).toHaveLength(3);
    const [first = 0, second = 0] = helped.waited;
    expect([first >= 125 && first < 250, second >= 250 && second < 500]).toEqual([true, true]);
    const hopeless = answering(fail(), fail(), fail());
    await expect(fetchBytes(URL_, 7, hopeless)).rejects.toThrow(
      expect.objectContaining({ name: "ServiceError", retryable: true }),
    );
    expect(hopeless.asked).toHaveLength(3);
  });

  test("waits differently long each time, so that clients do not come back together", async () => {
    const waits = await Promise.all(
      Array.from({ length: 8 }, async () => {
        const options = answering(status(503), ok());
        await fetchBytes(URL_, 7, options);
        return options.waited[0];
      }),
    );
    expect(new Set(waits).size).toBeGreaterThan(1);
  });

  test("as often as the caller says, with waits of 8 seconds at most", async () => {
    await expect(fetchBytes(URL_, 7, { ...answering(status(503)), retries: 0 })).rejects.toThrow(
      code("HTTP_STATUS_UNEXPECTED"),
    );
    const options = answering(...Array.from({ length: 12 }, () => status(503)), ok());
    await fetchBytes(URL_, 7, { ...options, retries: 12 });
    expect(options.waited).toHaveLength(12);
    expect(Math.max(...options.waited)).toBeLessThanOrEqual(8000);
  });

  test("after content that broke off", async () => {
    let requests = 0;
    const { url } = await serve((request, response) => {
      requests += 1;
      response.setHeader("content-length", 7);
      if (requests === 1) response.write("con", () => request.socket.destroy());
      else response.end("content");
    });
    await expect(text(fetchBytes(url, 7, { fetch, timeoutMs: 5000, sleep: () => Promise.resolve() }))).resolves.toBe(
      "content",
    );
    expect(requests).toBe(2);
  });

  test.for([
    ["seconds", (): string => "3", 3000, 3000],
    ["no time", (): string => "0", 0, 0],
    ["a date", (): string => new Date(Date.now() + 5000).toUTCString(), 3000, 5000],
    ["a date that is past", (): string => "Fri, 31 Dec 1999 23:59:59 GMT", 0, 0],
    ["words", (): string => "soon", 125, 250],
    ["a date in another form", (): string => "2999-01-01T00:00:00Z", 125, 250],
    ["a number with a sign", (): string => "-1", 125, 250],
    ["a number in another form", (): string => "0x10", 125, 250],
    ["nothing", (): string => "", 125, 250],
  ] as const)("when the server says so, where Retry-After is %s", async ([, after, least, most]) => {
    const options = answering(status(429, { "retry-after": after() }), ok());
    await fetchBytes(URL_, 7, options);
    expect(options.waited).toHaveLength(1);
    expect(options.waited[0]).toBeGreaterThanOrEqual(least);
    expect(options.waited[0]).toBeLessThanOrEqual(most);
  });

  test.for([["3600"], ["999999999"], ["Fri, 31 Dec 2999 23:59:59 GMT"]])(
    "is not made where the server asks for more time than there is (%s)",
    async ([after]) => {
      const options = answering(status(503, { "retry-after": after ?? "" }));
      await expect(fetchBytes(URL_, 7, options)).rejects.toThrow(expect.objectContaining({ status: 503 }));
      expect(options.waited).toEqual([]);
    },
  );
});

describe("fetchBytes: redirects", () => {
  test.for([301, 302, 303, 307, 308])("follows %i, relative ones too", async (number) => {
    const options = answering(redirect("/elsewhere", number), redirect("https://cdn.test/x", number), ok());
    await expect(text(fetchBytes(URL_, 7, options))).resolves.toBe("content");
    expect(options.asked).toEqual([URL_, "https://service.test/elsewhere", "https://cdn.test/x"]);
  });

  test("follows five, and no more", async () => {
    await expect(
      text(fetchBytes(URL_, 7, answering(...Array.from({ length: 5 }, () => redirect("/x")), ok()))),
    ).resolves.toBe("content");
    const options = answering(...Array.from({ length: 9 }, () => redirect("/x")));
    await expect(fetchBytes(URL_, 7, options)).rejects.toThrow(
      expect.objectContaining({ code: "HTTP_REQUEST_FAILED", retryable: false }),
    );
    expect(options.asked).toHaveLength(6);
  });

  test("follows from HTTP to HTTP, and to HTTPS", async () => {
    const options = answering(redirect("http://other.test/"), redirect("https://other.test/"), ok());
    await expect(text(fetchBytes("http://service.test/", 7, options))).resolves.toBe("content");
  });

  test.for([
    ["to HTTP", "http://service.test/path"],
    ["to another protocol", "ftp://service.test/"],
    ["to a file", "file:///etc/passwd"],
    ["to data", "data:text/plain,content"],
    ["to no URL", "https://"],
    ["with credentials", "https://user:secret@service.test/"],
    ["to the metadata service of a cloud", "https://169.254.169.254/latest/meta-data/"],
    ["to it in another notation", "https://0xa9fea9fe/"],
    ["to it as IPv6", "https://[::ffff:169.254.169.254]/"],
    ["to a link-local address", "https://[fe80::1]/"],
  ] as const)("refuses one %s, and does not try again", async ([, location]) => {
    const options = answering(redirect(location));
    const refused = fetchBytes(URL_, 7, options);
    await expect(refused).rejects.toThrow(
      expect.objectContaining({ name: "ServiceError", code: "HTTP_REQUEST_FAILED", retryable: false }),
    );
    await expect(refused).rejects.not.toThrow("secret");
    expect(options.asked).toEqual([URL_]);
  });

  test("refuses a redirect that says not where to", async () => {
    await expect(fetchBytes(URL_, 7, answering(status(302)))).rejects.toThrow(code("HTTP_STATUS_UNEXPECTED"));
  });

  test("carries nothing to another host", async () => {
    const seen: Record<string, unknown>[] = [];
    const target = await serve((request, response) => {
      seen.push(request.headers);
      response.end("content");
    });
    const { url } = await serve((_request, response) =>
      response.writeHead(302, { location: target.url, "set-cookie": "session=secret" }).end(),
    );
    await fetchBytes(`${url}/?token=secret`, 7, { fetch, timeoutMs: 5000 });
    expect(inspect(seen)).not.toContain("secret");
    expect(Object.keys(seen[0] ?? {})).not.toContain("referer");
  });
});

describe("fetchStream", () => {
  const collect = async (stream: AsyncIterable<Uint8Array>): Promise<string> => {
    const chunks: Uint8Array[] = [];
    for await (const chunk of stream) chunks.push(chunk);
    return Buffer.concat(chunks).toString();
  };

  test("gives the content as it comes, and the announced length", async () => {
    const { url } = await serve((_request, response) => response.setHeader("content-length", 7).end("content"));
    const { length, stream } = await fetchStream(url, 7, { fetch, timeoutMs: 5000 });
    expect(length).toBe(7);
    await expect(collect(stream)).resolves.toBe("content");
  });

  test.for([
    ["no length", {}],
    ["a length that is none", { "content-length": "many" }],
    ["that of something packed", { "content-length": "7", "content-encoding": "gzip" }],
  ] as const)("gives no length where the server announced %s", async ([, headers]) => {
    expect((await fetchStream(URL_, 7, answering(ok("content", headers)))).length).toBeUndefined();
  });

  test("ends at the limit, with and without an announcement", async () => {
    for (const headers of [{}, { "content-length": "7" }]) {
      const { stream } = await fetchStream(URL_, 6, answering(ok("content", headers)));
      await expect(collect(stream)).rejects.toThrow(code("HTTP_RESPONSE_TOO_LARGE"));
    }
  });

  test("tries again to open it, but not once content came", async () => {
    let requests = 0;
    const { url } = await serve((request, response) => {
      requests += 1;
      if (requests === 1) response.writeHead(503).end();
      else
        response
          .writeHead(200, { "content-length": 7 })
          .write("con", () => setTimeout(() => request.socket.destroy(), 10));
    });
    const { stream } = await fetchStream(url, 7, { fetch, timeoutMs: 5000, sleep: () => Promise.resolve() });
    await expect(collect(stream)).rejects.toThrow(
      expect.objectContaining({ name: "ServiceError", code: "HTTP_REQUEST_FAILED" }),
    );
    expect(requests).toBe(2);
  });

  test("ends at the deadline, or with the caller's signal, also while content comes", async () => {
    const { url } = await serve((_request, response) => response.write("x"));
    const { stream } = await fetchStream(url, 7, { fetch, timeoutMs: 60 });
    await expect(collect(stream)).rejects.toThrow(code("HTTP_TIMEOUT"));
    const controller = new AbortController();
    const aborted = await fetchStream(url, 7, { fetch, timeoutMs: 60_000, signal: controller.signal });
    setTimeout(() => controller.abort(new Error("enough")), 20);
    await expect(collect(aborted.stream)).rejects.toThrow("enough");
  });

  test("lets go of the connection when the reader stops early", async () => {
    const { url, server } = await serve((_request, response) => {
      const timer = setInterval(() => response.write(Buffer.alloc(1000)), 5);
      response.on("close", () => {
        clearInterval(timer);
        server.emit("given up");
      });
    });
    const given = once(server, "given up");
    const { stream } = await fetchStream(url, 1e9, { fetch, timeoutMs: 60_000 });
    for await (const chunk of stream) {
      expect(chunk.length).toBeGreaterThan(0);
      break;
    }
    await given;
  });
});

describe("messages", () => {
  test("name where a request went, without query, fragment or credentials", async () => {
    const url = "https://service.test:8443/path?token=secret#secret";
    for (const answer of [
      status(404),
      broken(),
      redirect("https://other.test/?secret"),
      redirect("http://secret:secret@x/?secret"),
      ok("longer than it may be"),
    ]) {
      const error: unknown = await fetchBytes(url, 7, { ...answering(answer, answer), retries: 0 }).catch(
        (caught: unknown) => caught,
      );
      expect(error).toBeInstanceOf(SigstoreError);
      expect((error as Error).message).toContain("https://service.test:8443/path");
      expect(inspect(error, { depth: 9 })).not.toContain("secret");
    }
    expect(redactUrl("https://user:secret@service.test/a?b#c")).toBe("https://service.test/a");
    expect(redactUrl("secret")).toBe("an invalid URL");
  });

  test("say what broke a connection", async () => {
    const { url, server } = await serve(() => undefined);
    server.close();
    await once(server, "close");
    await expect(fetchBytes(url, 7, { fetch, timeoutMs: 5000, retries: 0 })).rejects.toThrow("ECONNREFUSED");
    await expect(fetchBytes("https://absent.invalid/", 7, { ...answering(broken()), retries: 0 })).rejects.toThrow(
      "could not reach https://absent.invalid/: ECONNRESET",
    );
  });
});

describe("a process that made requests", () => {
  test.for(["fetchFor({})", 'fetchFor({ HTTP_PROXY: "http://127.0.0.1:9", NO_PROXY: "127.0.0.1" })'])(
    "ends when its work is done, whatever connection is still open (%s)",
    async (choice) => {
      const { url } = await serve((_request, response) =>
        response.setHeader("keep-alive", "timeout=60").end("content"),
      );
      const base = new URL("../../src/http/", import.meta.url).href;
      const script = `
      const [{ fetchBytes }, { fetchFor }] = await Promise.all([import("${base}request.ts"), import("${base}fetch.ts")]);
      console.log((await fetchBytes(${JSON.stringify(url)}, 7, { fetch: ${choice}, timeoutMs: 60_000 })).length);`;
      const { stdout } = await promisify(execFile)(process.execPath, ["--input-type=module", "--eval", script], {
        timeout: 20_000,
      });
      expect(stdout).toBe("7\n");
    },
  );
});
