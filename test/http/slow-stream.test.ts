import { once } from "node:events";
import type { ServerResponse } from "node:http";
import { describe, expect, test } from "vitest";
import { createNodeFetch } from "../../src/http/node-fetch.ts";
import { fetchStream, sendRequest, type RequestOptions } from "../../src/http/request.ts";
import { serve } from "../support/http.ts";

const slow = expect.objectContaining({ code: "HTTP_TIMEOUT", retryable: true }) as unknown;

/** Sends a piece at each tick. */
function drip(response: ServerResponse, piece: Uint8Array, everyMs: number, count = Infinity): void {
  let sent = 0;
  const timer = setInterval(() => {
    sent += 1;
    if (sent > count) response.end();
    else response.write(piece);
  }, everyMs);
  response.on("close", () => clearInterval(timer));
}

async function readAll(url: string, options: RequestOptions): Promise<number> {
  const { stream } = await fetchStream(url, 1e9, options);
  let length = 0;
  for await (const chunk of stream) length += chunk.length;
  return length;
}

describe.for([
  ["the standard fetch", fetch as RequestOptions["fetch"]],
  ["the fetch of the command line", createNodeFetch()],
] as const)("fetchStream with a slowest speed, by %s", ([, fetchOf]) => {
  const options = { fetch: fetchOf, timeoutMs: 150, retries: 0, slowestBytesPerSecond: 1000 };

  test("gives up a stream that drips, and closes the connection", async () => {
    const { url, server } = await serve((_request, response) => {
      response.on("close", () => server.emit("given up"));
      drip(response, Buffer.alloc(1), 10);
    });
    const given = once(server, "given up");
    await expect(readAll(url, options)).rejects.toThrow(slow);
    await given;
  });

  test("gives up a stream that stops, and closes the connection", async () => {
    const { url, server } = await serve((_request, response) => {
      response.on("close", () => server.emit("given up"));
      response.write("x");
    });
    const given = once(server, "given up");
    await expect(readAll(url, options)).rejects.toThrow(slow);
    await given;
  });

  test("gives a stream that is fast enough all the time that it takes", async () => {
    const { url } = await serve((_request, response) => drip(response, Buffer.alloc(100), 10, 40));
    // Longer than the time limit, at ten times the speed that it must have.
    await expect(readAll(url, options)).resolves.toBe(4000);
  });

  test("does not count the time in which nobody reads", async () => {
    const { url } = await serve((_request, response) => {
      response.write("x");
      response.end("y");
    });
    const { stream } = await fetchStream(url, 100, options);
    let read = "";
    for await (const chunk of stream) {
      read += Buffer.from(chunk).toString();
      await new Promise((resolve) => {
        setTimeout(resolve, 200);
      });
    }
    expect(read).toBe("xy");
  });

  test("gives it no more time than the limit to begin", async () => {
    const { url } = await serve(() => undefined);
    await expect(readAll(url, options)).rejects.toThrow(slow);
  });

  test("waits for the words of a refusal no longer than they are worth", async () => {
    const { url } = await serve((_request, response) => {
      response.writeHead(404);
      response.write("gone");
    });
    const request = { method: "GET", accept: [200], maxBytes: 100 } as const;
    const began = performance.now();
    await expect(sendRequest(url, request, { fetch: fetchOf, timeoutMs: 30_000 })).rejects.toThrow('"gone"');
    expect(performance.now() - began).toBeLessThan(10_000);
  });
});
