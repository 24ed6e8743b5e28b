import { once } from "node:events";
import { createServer, request, type IncomingHttpHeaders } from "node:http";
import type { AddressInfo } from "node:net";
import { setImmediate } from "node:timers/promises";
import { describe, expect, onTestFinished, test } from "vitest";
import { Faults, type Fault } from "../../src/sandbox/faults.ts";
import { currentForgery, openPort, type OpenPort, type SandboxRequest } from "../../src/sandbox/listener.ts";

interface World {
  readonly port: OpenPort;
  readonly faults: Faults;
  readonly requests: SandboxRequest[];
  readonly errors: unknown[];
  /** Requests that the service carried out, with the forgery that it was to make. */
  readonly served: (string | undefined)[];
}

async function open(): Promise<World> {
  const faults = new Faults({ tsa: ["wrong-key"] });
  const world: World = { port: await openPort(0), faults, requests: [], errors: [], served: [] };
  onTestFinished(() => world.port.close());
  world.port.answer({
    route: (path) =>
      path.startsWith("/tsa")
        ? {
            name: "tsa",
            service: {
              async fetch(asked) {
                if (asked.url.endsWith("/tsa/bug")) throw new Error("a mistake");
                await setImmediate();
                world.served.push(currentForgery("tsa", faults));
                return new Response(`answer to ${await asked.text()}`, { headers: { "content-type": "text/plain" } });
              },
            },
          }
        : undefined,
    faults,
    onRequest: (one) => void world.requests.push(one),
    onError: (error) => void world.errors.push(error),
  });
  return world;
}

interface Answer {
  readonly status: number | undefined;
  readonly headers: IncomingHttpHeaders;
  readonly body: string;
}

/** Sends a request with nothing between it and the socket. */
async function ask(
  { port }: World,
  path: string,
  { headers = {}, timeoutMs }: { headers?: Record<string, string>; timeoutMs?: number } = {},
): Promise<Answer> {
  const answer = Promise.withResolvers<Answer>();
  const sent = request(`${port.url}${path}`, { method: "POST", headers, agent: false }, (response) => {
    const { statusCode: status, headers: received } = response;
    let body = "";
    response.setEncoding("utf8").on("data", (text: string) => void (body += text));
    response.on("end", () => answer.resolve({ status, headers: received, body }));
    response.on("error", answer.reject);
  });
  if (timeoutMs !== undefined) sent.setTimeout(timeoutMs, () => sent.destroy(new Error("timed out")));
  sent.on("error", answer.reject);
  sent.end("question");
  return await answer.promise;
}

/** Asks once with a fault in force. */
async function met(fault: Fault, timeoutMs?: number): Promise<{ world: World; answer: Promise<Answer> }> {
  const world = await open();
  world.faults.set("tsa", fault);
  const answer = ask(world, "/tsa", timeoutMs === undefined ? {} : { timeoutMs });
  await answer.catch(() => undefined);
  return { world, answer };
}

const failure = (code: string): unknown => expect.objectContaining({ code }) as unknown;

describe("openPort", () => {
  test("answers on loopback, and remembers what was asked without its query", async () => {
    const world = await open();
    const answer = await ask(world, "/tsa/x?token=secret");
    expect(answer).toMatchObject({
      status: 200,
      body: "answer to question",
      headers: { "content-type": "text/plain" },
    });
    await expect.poll(() => world.requests).toHaveLength(1);
    expect(world.requests).toEqual([
      { time: expect.any(Date) as Date, service: "tsa", method: "POST", path: "/tsa/x", status: 200 },
    ]);
    expect((await ask(world, "/elsewhere")).status).toBe(404);
  });

  test("lets requests wait until it is to answer, and ends them when it closes", async () => {
    const port = await openPort(0);
    const world = { port, faults: new Faults({}), requests: [], errors: [], served: [] };
    const waiting = ask(world, "/tsa");
    const ended = Promise.allSettled([waiting]);
    await setImmediate();
    await port.close();
    expect(await ended).toMatchObject([{ status: "rejected", reason: { code: "ECONNRESET" } }]);
  });

  test("refuses a port that is taken, and names it", async () => {
    const other = createServer().listen(0, "127.0.0.1");
    onTestFinished(() => void other.close());
    await once(other, "listening");
    const { port } = other.address() as AddressInfo;
    await expect(openPort(port)).rejects.toThrow(
      expect.objectContaining({ code: "ADDRESS_IN_USE", message: expect.stringContaining(`${port}`) as string }),
    );
  });

  test.for(["127.0.0.1", "127.0.0.1:80", "localhost:4400", "LOCALHOST", "[::1]:4400"])(
    "answers for %s",
    async (host) => {
      expect((await ask(await open(), "/tsa", { headers: { host } })).status).toBe(200);
    },
  );

  test.for(["evil.example", "evil.example:4400", "127.0.0.1.evil.example", "localhost.evil.example", "127.0.0.1@evil"])(
    "refuses the host %j, which a page elsewhere may have given this address",
    async (host) => {
      const world = await open();
      const answer = await ask(world, "/tsa", { headers: { host } });
      expect(answer.status).toBe(421);
      expect(world.served).toEqual([]);
    },
  );

  test("lets no page of another origin read an answer", async () => {
    const { headers } = await ask(await open(), "/tsa", { headers: { origin: "https://evil.example" } });
    expect(Object.keys(headers).filter((name) => name.startsWith("access-control-"))).toEqual([]);
  });

  test("tells of a mistake in a service, and answers without its words", async () => {
    const world = await open();
    const answer = await ask(world, "/tsa/bug");
    expect(answer).toMatchObject({ status: 500, body: "internal error of the sandbox\n" });
    expect(world.errors).toEqual([new Error("a mistake")]);
  });
});

describe("faults on the way", () => {
  test.for([
    ["429", { kind: "429", argument: "7" }, 429, { "retry-after": "7" }],
    ["429 without a time", { kind: "429" }, 429, {}],
    ["500", { kind: "500" }, 500, {}],
    ["503", { kind: "503" }, 503, {}],
  ] as const)("%s answers without asking the service", async ([, fault, status, headers]) => {
    const { world, answer } = await met(fault);
    const answered = await answer;
    expect(answered).toMatchObject({ status, headers });
    expect(answered.headers["retry-after"]).toBe("argument" in fault ? fault.argument : undefined);
    expect(world.served).toEqual([]);
    expect(world.requests).toMatchObject([{ status, fault: fault.kind }]);
  });

  test("500-once fails once", async () => {
    const { world, answer } = await met({ kind: "500-once" });
    expect((await answer).status).toBe(500);
    expect((await ask(world, "/tsa")).status).toBe(200);
  });

  test("timeout answers nothing", async () => {
    const { world, answer } = await met({ kind: "timeout" }, 50);
    await expect(answer).rejects.toThrow("timed out");
    expect(world.served).toEqual([]);
    await expect.poll(() => world.requests).toHaveLength(1);
    expect(world.requests[0]).not.toHaveProperty("status");
  });

  test("reset breaks the connection before the service is asked", async () => {
    const { world, answer } = await met({ kind: "reset" });
    await expect(answer).rejects.toThrow(failure("ECONNRESET"));
    expect(world.served).toEqual([]);
  });

  test("lost-answer breaks the connection after the service has done it", async () => {
    const { world, answer } = await met({ kind: "lost-answer" });
    await expect(answer).rejects.toThrow(failure("ECONNRESET"));
    expect(world.served).toHaveLength(1);
  });

  test("wrong-content-type says HTML", async () => {
    const { answer } = await met({ kind: "wrong-content-type" });
    expect(await answer).toMatchObject({
      status: 200,
      body: "answer to question",
      headers: { "content-type": "text/html" },
    });
  });

  test("truncated breaks off in the middle of an answer whose length was told", async () => {
    const { answer } = await met({ kind: "truncated" });
    await expect(answer).rejects.toThrow("aborted");
  });

  test("slow-drip sends a byte at a time", async () => {
    const world = await open();
    world.faults.set("tsa", { kind: "slow-drip", argument: "3" });
    const chunks: string[] = [];
    const done = Promise.withResolvers<void>();
    const sent = request(`${world.port.url}/tsa`, { method: "POST", agent: false }, (response) => {
      response.setEncoding("utf8").on("data", (text: string) => void chunks.push(text));
      response.on("end", done.resolve);
    });
    sent.end("q");
    await done.promise;
    expect(chunks.join("")).toBe("answer to q");
    expect(chunks.length).toBeGreaterThan(3);
  });

  test("a forgery reaches the service with the request that it befalls, and no other", async () => {
    const world = await open();
    world.faults.set("tsa", { kind: "wrong-key", requests: 1, path: "/tsa/a" });
    const answers = ["/tsa/b", "/tsa/a", "/tsa/a"].map((path) => ask(world, path));
    await Promise.all(answers);
    expect(world.served).toHaveLength(3);
    expect(world.served.filter((forgery) => forgery !== undefined)).toEqual(["wrong-key"]);
  });
});
