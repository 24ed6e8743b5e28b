/**
 * Servers and answers for tests of clients.
 *
 * @module
 */

import { once } from "node:events";
import { createServer, type IncomingMessage, type RequestListener, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { onTestFinished } from "vitest";
import type { RequestOptions } from "../../src/http/request.ts";

/** Starts a server on loopback that ends with the test. */
export async function serve(listener: RequestListener): Promise<{ readonly url: string; readonly server: Server }> {
  const server = createServer(listener);
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  onTestFinished(() => {
    server.closeAllConnections();
    server.close();
  });
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, server };
}

export async function bodyOf(request: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  for await (const chunk of request) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks).toString();
}

/** Is a request that was made. */
export interface Asked {
  readonly method: string;
  readonly url: string;
  readonly headers: Headers;
  readonly body: Uint8Array;
}

export interface Answering extends RequestOptions {
  readonly asked: Asked[];
  readonly waited: number[];
}

/** Gives options whose `fetch` answers by a function, and whose waits take no time. */
export function answeringBy(answer: (asked: Asked, count: number) => Response | Error | Promise<Response>): Answering {
  const asked: Asked[] = [];
  const waited: number[] = [];
  return {
    asked,
    waited,
    timeoutMs: 60_000,
    sleep: (ms) => {
      waited.push(ms);
      return Promise.resolve();
    },
    fetch: async (url, init) => {
      const request = {
        method: init.method ?? "",
        url,
        headers: new Headers(init.headers),
        body: new Uint8Array(await new Response(init.body ?? "").arrayBuffer()),
      };
      asked.push(request);
      const response = await answer(request, asked.length);
      if (response instanceof Error) throw response;
      return response;
    },
  };
}

/** Gives options whose `fetch` gives its answers in turn. */
export function answering(...answers: readonly (Response | Error)[]): Answering {
  return answeringBy((_asked, count) => answers[count - 1] ?? new Error("there was one request more"));
}

export const json = (value: unknown, status = 200, headers: Readonly<Record<string, string>> = {}): Response =>
  new Response(JSON.stringify(value), { status, headers: { "content-type": "application/json", ...headers } });

export const bytesAnswer = (body: Uint8Array | string, status = 200, type = "application/octet-stream"): Response =>
  new Response(typeof body === "string" ? body : Buffer.from(body), { status, headers: { "content-type": type } });
