import { inspect } from "node:util";
import { describe, expect, test } from "vitest";
import { ServiceError } from "../../src/errors.ts";
import { sendRequest, withDeadline, type HttpRequest, type RequestOptions } from "../../src/http/request.ts";
import { answering, bodyOf, json, serve } from "../support/http.ts";

const URL_ = "https://service.test/api";
const POST: HttpRequest = { method: "POST", body: '{"a":1}', accept: [200], maxBytes: 1000 };
const GET: HttpRequest = { method: "GET", accept: [200], maxBytes: 1000 };
const text = (body: Uint8Array): string => Buffer.from(body).toString();
const failureOf = async (work: Promise<unknown>): Promise<ServiceError> => {
  const error: unknown = await work.catch((caught: unknown) => caught);
  expect(error).toBeInstanceOf(ServiceError);
  return error as ServiceError;
};
const status = (number: number, headers: Record<string, string> = {}, body: string | null = null): Response =>
  new Response(body, { status: number, headers });
const reset = (): TypeError =>
  new TypeError("fetch failed", { cause: Object.assign(new Error("reset"), { code: "ECONNRESET" }) });

describe("sendRequest: what it sends and returns", () => {
  test("repeats no secret that the server repeats, whatever it says around it", async () => {
    const options = answering(status(401, {}, "no such bearer: job-secret; form said abcdefgh"));
    const request: HttpRequest = {
      ...POST,
      headers: { authorization: "bearer job-secret", "content-type": "application/x-www-form-urlencoded" },
      body: "code=abcdefgh",
    };
    const { message } = await failureOf(sendRequest(URL_, request, options));
    expect(message).toContain('"no such bearer: [secret]; form said [secret]"');
  });

  test("sends method, headers and body, and returns status, headers, body, address and attempts", async () => {
    const { url } = await serve((request, response) => {
      void bodyOf(request).then((body) =>
        response
          .writeHead(201, { "x-log-index": "7" })
          .end(`${request.method ?? ""} ${request.headers["content-type"] ?? ""} ${body}`),
      );
    });
    const answer = await sendRequest(
      `${url}/x`,
      { ...POST, headers: { "Content-Type": "application/json" }, accept: [200, 201] },
      { fetch, timeoutMs: 5000 },
    );
    expect(text(answer.body)).toBe('POST application/json {"a":1}');
    expect([answer.status, answer.headers.get("x-log-index"), answer.url, answer.attempts]).toEqual([
      201,
      "7",
      `${url}/x`,
      1,
    ]);
  });

  test("sends bytes as they are", async () => {
    const options = answering(json({}));
    await sendRequest(URL_, { ...POST, body: Uint8Array.of(0, 255, 10) }, options);
    expect(options.asked[0]?.body).toEqual(Uint8Array.of(0, 255, 10));
  });

  test("returns a status that is accepted, also one that would be tried again or followed", async () => {
    for (const number of [409, 503, 307]) {
      const options = answering(status(number, { location: "https://other.test/" }));
      await expect(sendRequest(URL_, { ...POST, accept: [number] }, options)).resolves.toMatchObject({
        status: number,
      });
      expect(options.asked).toHaveLength(1);
    }
  });

  test("reads no body of the answer to HEAD, whatever length it announces", async () => {
    const { url } = await serve((_request, response) => response.setHeader("content-length", 5000).end());
    const answer = await sendRequest(url, { method: "HEAD", accept: [200], maxBytes: 10 }, { fetch, timeoutMs: 5000 });
    expect([answer.body.length, answer.headers.get("content-length")]).toEqual([0, "5000"]);
  });

  test("refuses a header with a line break without repeating it", async () => {
    const options = answering();
    const refused = sendRequest(URL_, { ...GET, headers: { authorization: "Bearer s3cret\nx" } }, options);
    await expect(refused).rejects.toThrow(expect.objectContaining({ code: "USAGE_INVALID" }));
    const error: unknown = await refused.catch((caught: unknown) => caught);
    expect(inspect(error, { depth: 9 })).not.toContain("s3cret");
    expect(options.asked).toEqual([]);
  });
});

describe("sendRequest: how failures are told", () => {
  test("names the service, the address, the status and the attempts", async () => {
    const error = await failureOf(
      sendRequest(`${URL_}?token=s3cret`, POST, {
        ...answering(status(503), status(502), status(503)),
        service: "Fulcio",
      }),
    );
    expect(error.message).toBe("Fulcio (https://service.test/api) answered with status 503 (3 attempts)");
    expect(error).toMatchObject({
      code: "HTTP_STATUS_UNEXPECTED",
      service: "Fulcio",
      attempts: 3,
      status: 503,
      retryable: true,
      expected: "status 200",
    });
  });

  test("says what broke the connection, and after how many attempts", async () => {
    const error = await failureOf(
      sendRequest(URL_, POST, { ...answering(reset(), reset(), reset()), service: "Rekor" }),
    );
    expect(error.message).toBe("could not reach Rekor (https://service.test/api): ECONNRESET (3 attempts)");
  });

  test("repeats the server's words for a refusal, and gives it the caller's code", async () => {
    const refused = answering(json({ code: 3, message: "bad\u001b[31m proof", details: [] }, 400));
    const error = await failureOf(
      sendRequest(URL_, { ...POST, refusal: "FULCIO_REQUEST_REFUSED" }, { ...refused, service: "Fulcio" }),
    );
    expect(error).toMatchObject({ code: "FULCIO_REQUEST_REFUSED", status: 400, attempts: 1, retryable: false });
    expect(error.message).toBe('Fulcio (https://service.test/api) answered with status 400: "bad\\u001b[31m proof"');
    expect(refused.asked).toHaveLength(1);
  });

  test.for([429, 500, 503])("does not take status %i for a refusal", async (number) => {
    const options = { ...answering(status(number)), retries: 0 };
    await expect(sendRequest(URL_, { ...POST, refusal: "FULCIO_REQUEST_REFUSED" }, options)).rejects.toThrow(
      expect.objectContaining({ code: "HTTP_STATUS_UNEXPECTED", retryable: true }),
    );
  });

  test("does not wait for the words of a server that says nothing more", async () => {
    const { url } = await serve((_request, response) => response.writeHead(400).write('{"message":"half'));
    const error = await failureOf(sendRequest(url, POST, { fetch, timeoutMs: 30_000 }));
    expect(error.message).toContain("half");
  });

  test("reads no more of an error than its beginning", async () => {
    const options = answering(status(400, {}, "x".repeat(5_000_000)));
    const error = await failureOf(sendRequest(URL_, POST, options));
    expect(error.message.length).toBeLessThan(500);
  });

  test("says when the server wants to be asked again, where that is later than there is time", async () => {
    const options = { ...answering(status(429, { "retry-after": "3600" })), timeoutMs: 1000 };
    expect((await failureOf(sendRequest(URL_, POST, options))).found).toBe("status 429, to try again after 3600");
    expect(options.waited).toEqual([]);
  });

  test.for([
    "CERT_HAS_EXPIRED",
    "SELF_SIGNED_CERT_IN_CHAIN",
    "ERR_TLS_CERT_ALTNAME_INVALID",
    "UNABLE_TO_VERIFY_LEAF_SIGNATURE",
  ])("does not try again after %s, which the next try would find as well", async (code) => {
    const options = answering(new TypeError("fetch failed", { cause: Object.assign(new Error("no"), { code }) }));
    expect((await failureOf(sendRequest(URL_, POST, options))).message).toContain(code);
  });
});

describe("sendRequest: attempts and deadlines", () => {
  test("sends the same again after a reset, with its body", async () => {
    const bodies: string[] = [];
    const { url } = await serve((request, response) => {
      void bodyOf(request).then((body) => {
        bodies.push(body);
        if (bodies.length < 3) request.socket.destroy();
        else response.end("done");
      });
    });
    const answer = await sendRequest(url, POST, { fetch, timeoutMs: 10_000, sleep: () => Promise.resolve() });
    expect([text(answer.body), answer.attempts]).toEqual(["done", 3]);
    expect(bodies).toEqual(Array.from({ length: 3 }, () => '{"a":1}'));
  });

  const hang = { headers: 0, body: 20 };
  test.for(Object.entries(hang))("gives up on an attempt that hangs in its %s, and makes another", async ([, sent]) => {
    let requests = 0;
    const { url } = await serve((_request, response) => {
      requests += 1;
      if (requests > 1) response.end("done");
      else if (sent > 0) {
        const timer = setInterval(() => response.write("x"), 5);
        response.on("close", () => clearInterval(timer));
      }
    });
    const options = { fetch, timeoutMs: 20_000, attemptTimeoutMs: 150, sleep: () => Promise.resolve() };
    const answer = await sendRequest(url, { ...POST, maxBytes: 1_000_000 }, options);
    expect([text(answer.body), answer.attempts]).toEqual(["done", 2]);
  });

  test("tells an attempt's timeout from the deadline, after the last attempt", async () => {
    const { url } = await serve(() => undefined);
    const options = { fetch, timeoutMs: 20_000, attemptTimeoutMs: 40, retries: 1, sleep: () => Promise.resolve() };
    const error = await failureOf(sendRequest(url, GET, { ...options, service: "Rekor" }));
    expect(error).toMatchObject({
      code: "HTTP_TIMEOUT",
      attempts: 2,
      expected: "an answer within 40 ms",
      retryable: true,
    });
  });

  test("makes no attempt after the deadline, though each has a timeout of its own", async () => {
    let requests = 0;
    const { url } = await serve(() => void (requests += 1));
    const options = { fetch, timeoutMs: 120, attemptTimeoutMs: 80, retries: 99, sleep: () => Promise.resolve() };
    const error = await failureOf(sendRequest(url, GET, options));
    expect(error.code).toBe("HTTP_TIMEOUT");
    expect(requests).toBeLessThan(4);
  });

  test("takes an answer that broke off for a broken connection, however much of it came", async () => {
    let requests = 0;
    const { url } = await serve((request, response) => {
      requests += 1;
      response.setHeader("content-length", 7);
      response.write("conten", () => request.socket.destroy());
    });
    const options = { fetch, timeoutMs: 5000, sleep: () => Promise.resolve() };
    await expect(sendRequest(url, GET, options)).rejects.toThrow(
      expect.objectContaining({ code: "HTTP_REQUEST_FAILED", attempts: 3 }),
    );
    expect(requests).toBe(3);
  });

  test("keeps one deadline for several requests", async () => {
    const { url } = await serve(() => undefined);
    const limited: RequestOptions = withDeadline({ fetch, timeoutMs: 400, retries: 0 });
    expect(withDeadline(limited)).toBe(limited);
    const started = performance.now();
    for (const _ of [1, 2, 3]) {
      await expect(sendRequest(url, GET, limited)).rejects.toThrow(expect.objectContaining({ code: "HTTP_TIMEOUT" }));
    }
    expect(performance.now() - started).toBeLessThan(1100);
  });

  test("throws the caller's reason as it is, also while it reads the words of an error", async () => {
    const { url } = await serve((_request, response) => response.writeHead(500).write("x"));
    const controller = new AbortController();
    const answer = sendRequest(url, POST, { fetch, timeoutMs: 60_000, signal: controller.signal });
    setTimeout(() => controller.abort(new Error("enough")), 30);
    await expect(answer).rejects.toThrow("enough");
  });
});

describe("sendRequest: redirects", () => {
  const SECRETS = { authorization: "Bearer s3cret", cookie: "s3cret", "x-token": "s3cret", accept: "text/plain" };

  test("keeps headers within an origin", async () => {
    const options = answering(status(302, { location: "/b" }), json({}));
    await sendRequest(URL_, { ...GET, headers: SECRETS }, options);
    expect(options.asked[1]?.headers.get("authorization")).toBe("Bearer s3cret");
  });

  test.for([
    ["another host", "https://other.test/"],
    ["another port", "https://service.test:8443/"],
  ] as const)("leaves all but harmless headers behind at %s, also when it comes back", async ([, location]) => {
    const options = answering(status(302, { location }), status(302, { location: URL_ }), json({}));
    await sendRequest(URL_, { ...GET, headers: SECRETS }, { ...options, userAgent: "cosign-ts/1" });
    expect(options.asked).toHaveLength(3);
    for (const { headers } of options.asked.slice(1)) {
      expect([...headers.keys()].toSorted()).toEqual(["accept", "user-agent"]);
    }
  });

  test.for([307, 308])("sends a body again to the same origin, where status %i says so", async (number) => {
    const options = answering(status(number, { location: "/b" }), json({}));
    await sendRequest(URL_, { ...POST, headers: SECRETS }, options);
    expect(options.asked.map(({ method, url, body }) => [method, url, text(body)])).toEqual([
      ["POST", URL_, '{"a":1}'],
      ["POST", "https://service.test/b", '{"a":1}'],
    ]);
  });

  test.for([
    ["to another origin", "POST", 307, "https://other.test/"],
    ["to another origin, permanently", "POST", 308, "https://other.test/"],
    ["that would become a GET", "POST", 302, "/b"],
    ["that would become a GET (301)", "PUT", 301, "/b"],
    ["to the answer of a POST", "POST", 303, "/b"],
    ["of a deletion", "DELETE", 307, "https://other.test/"],
    ["without TLS", "POST", 307, "http://service.test/"],
  ] as const)("refuses one %s", async ([, method, number, location]) => {
    const options = answering(status(number, { location }));
    const error = await failureOf(sendRequest(URL_, { ...POST, method }, options));
    expect(error).toMatchObject({ code: "HTTP_REQUEST_FAILED", retryable: false });
    expect(options.asked).toHaveLength(1);
  });
});
