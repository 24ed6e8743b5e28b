/**
 * A `fetch` over Node's `http` and `https`: what requests here need of the standard one, and nothing else. The standard one takes longer
 * to load than a short program takes to run.
 *
 * @module
 */

import type { IncomingMessage, Agent as HttpAgent } from "node:http";
import type { Fetch } from "./request.ts";

/** Connections to one host that are kept open. */
const MAX_SOCKETS = 16;
/** What is left of an answer that nobody reads is read away up to here, so that the connection can be used again. */
const MAX_DRAINED_BYTES = 64 * 1024;
/** … if it comes soon. */
const DRAIN_TIMEOUT_MS = 500;

/**
 * Makes a `fetch` that keeps connections. It follows no redirect, decodes nothing, and takes plain objects for headers, and text and bytes
 * for a body. Of the answer there are status, headers and body.
 */
export function createNodeFetch(): Fetch {
  const agents = new Map<string, HttpAgent>();
  return async (url, init) => {
    const protocol = url.startsWith("https:") ? "https:" : "http:";
    const http = process.getBuiltinModule(protocol === "https:" ? "node:https" : "node:http");
    let agent = agents.get(protocol);
    if (agent === undefined) {
      agent = new http.Agent({ keepAlive: true, maxSockets: MAX_SOCKETS, scheduling: "fifo" });
      agents.set(protocol, agent);
    }
    const { method = "GET", signal } = init;
    const body = init.body as string | Uint8Array | undefined;
    const length = body === undefined ? undefined : typeof body === "string" ? Buffer.byteLength(body) : body.length;
    signal?.throwIfAborted();
    const message = await new Promise<IncomingMessage>((resolve, reject) => {
      const request = http.request(
        url,
        {
          method,
          agent,
          headers: {
            accept: "*/*",
            "accept-encoding": "identity",
            "user-agent": "node",
            ...(init.headers as Record<string, string> | undefined),
            ...(length !== undefined && { "content-length": length }),
          },
          ...(signal instanceof AbortSignal && { signal }),
        },
        resolve,
      );
      // As the standard one, which puts what happened behind its own error.
      request.on("error", (cause) => reject(new TypeError("fetch failed", { cause })));
      request.end(body);
    });
    return new NodeResponse(message, method) as unknown as Response;
  };
}

/** Has of a `Response` what is used here. */
class NodeResponse {
  readonly status: number;
  readonly headers: { get(name: string): string | null; has(name: string): boolean };
  readonly body: NodeBody | null;

  constructor(message: IncomingMessage, method: string) {
    this.status = message.statusCode ?? 0;
    const { headers } = message;
    const get = (name: string): string | null => {
      const value = Object.hasOwn(headers, name.toLowerCase()) ? headers[name.toLowerCase()] : undefined;
      return value === undefined ? null : Array.isArray(value) ? value.join(", ") : value;
    };
    this.headers = { get, has: (name) => get(name) !== null };
    const hasBody = method !== "HEAD" && this.status !== 204 && this.status !== 304;
    if (!hasBody) message.resume();
    this.body = hasBody ? new NodeBody(message) : null;
  }
}

/** Has of a body's `ReadableStream` what is used here. */
class NodeBody {
  readonly #message: IncomingMessage;

  constructor(message: IncomingMessage) {
    this.#message = message;
  }

  [Symbol.asyncIterator](): AsyncIterator<Uint8Array> {
    return (this.#message as AsyncIterable<Uint8Array>)[Symbol.asyncIterator]();
  }

  getReader(): { read(): Promise<IteratorResult<Uint8Array>>; cancel(): Promise<void> } {
    const iterator = this[Symbol.asyncIterator]();
    return { read: () => iterator.next(), cancel: () => this.cancel() };
  }

  /** Gives up what is left: what is short is read away, and for the rest the connection is closed. */
  cancel(): Promise<void> {
    const message = this.#message;
    let left = MAX_DRAINED_BYTES;
    const timer = setTimeout(() => message.destroy(), DRAIN_TIMEOUT_MS);
    timer.unref();
    message.on("close", () => clearTimeout(timer));
    message.on("data", (chunk: Uint8Array) => {
      left -= chunk.length;
      if (left < 0) message.destroy();
    });
    message.on("error", () => undefined); // nobody waits for it
    return Promise.resolve();
  }
}
