/**
 * A port of the sandbox: who may ask, what goes wrong on purpose, and what was asked.
 *
 * @module
 */

import { AsyncLocalStorage } from "node:async_hooks";
import { once } from "node:events";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";

import { getRequestListener } from "@hono/node-server";
import { RESPONSE_ALREADY_SENT } from "@hono/node-server/utils/response";

import { InputError } from "../errors.ts";
import {
  isAnswerFault,
  type AnswerFault,
  type Faults,
  type HttpFault,
  type RequestFaults,
  type SandboxServiceName,
} from "./faults.ts";
import type { SandboxService } from "./service.ts";

/** Is where the sandbox listens. It is nobody else's to reach. */
const SANDBOX_HOST = "127.0.0.1";

/** Is one request as it is remembered: nothing of it that may be secret. */
export interface SandboxRequest {
  readonly time: Date;
  /** Absent for the sandbox's own page. */
  readonly service?: SandboxServiceName;
  readonly method: string;
  /** Without the query. */
  readonly path: string;
  /** Of the answer; absent where there was none. */
  readonly status?: number;
  /** The fault that it met. */
  readonly fault?: string;
}

/** Is whoever answers for a path. */
export interface Destination {
  /** Absent for what has no faults, the sandbox's own page. */
  readonly name?: SandboxServiceName;
  readonly service: SandboxService;
}

/** Says what a port does with requests. */
export interface ListenerOptions {
  /** @returns `undefined` where nobody answers for the path. */
  readonly route: (path: string) => Destination | undefined;
  readonly faults: Faults;
  readonly onRequest: (request: SandboxRequest) => void;
  /** Is told of what no service expects: a mistake in it. */
  readonly onError: (error: unknown) => void;
}

/** Is an open port. */
export interface OpenPort {
  readonly port: number;
  readonly url: string;
  /** Begins to answer. Until then requests wait. */
  answer(options: ListenerOptions): void;
  close(): Promise<void>;
}

/** What befalls the request that is at work. */
const current = new AsyncLocalStorage<{ readonly service: SandboxServiceName; readonly faults: RequestFaults }>();

/** Gives what a service is to answer wrongly now. */
export function currentForgery(service: SandboxServiceName, faults: Faults): string | undefined {
  const request = current.getStore();
  return request?.service === service ? request.faults.forgery : faults.standingForgery(service);
}

/**
 * Opens a port on loopback.
 *
 * @param port - 0 for a free one.
 * @throws {@link InputError} `ADDRESS_IN_USE`.
 */
export async function openPort(port: number): Promise<OpenPort> {
  const options = Promise.withResolvers<ListenerOptions>();
  const server = createServer((incoming, outgoing) => {
    void options.promise.then(
      (known) => handle(incoming, outgoing, known),
      () => outgoing.destroy(),
    );
  });
  options.promise.catch(() => undefined);
  await listen(server, port);
  const opened = (server.address() as AddressInfo).port;
  return {
    port: opened,
    url: `http://${SANDBOX_HOST}:${opened}`,
    answer: (known) => options.resolve(known),
    async close() {
      options.reject(new Error("closed"));
      const closed = once(server, "close");
      server.close();
      server.closeAllConnections(); // a request that a fault lets wait would wait for ever
      await closed;
    },
  };
}

async function listen(server: Server, port: number): Promise<void> {
  server.listen(port, SANDBOX_HOST);
  try {
    await once(server, "listening");
  } catch (cause) {
    const code = cause instanceof Error && "code" in cause ? String(cause.code) : String(cause);
    if (code === "EACCES")
      throw new InputError("ADDRESS_IN_USE", `port ${port} may not be listened on`, {
        remedy: "choose a port of 1024 or more with --port",
        cause,
      });
    throw new InputError("ADDRESS_IN_USE", `port ${port} of ${SANDBOX_HOST} cannot be listened on: ${code}`, { cause });
  }
}

async function handle(incoming: IncomingMessage, outgoing: ServerResponse, options: ListenerOptions): Promise<void> {
  const { faults, onRequest, onError } = options;
  const time = new Date();
  const { method = "GET", url = "/" } = incoming;
  const path = /^[^?#]*/.exec(url)?.[0] ?? "";
  const destination = isLoopback(incoming.headers.host) ? options.route(path) : undefined;
  const { name } = destination ?? {};
  const met = name === undefined ? {} : faults.begin(name, path);
  const fault = [met.http?.kind, met.forgery].filter((one) => one !== undefined).join(" ");
  outgoing.once("close", () =>
    onRequest({
      time,
      ...(name !== undefined && { service: name }),
      method,
      path: path.slice(0, MAX_REMEMBERED_PATH),
      ...(outgoing.headersSent && { status: outgoing.statusCode }),
      ...(fault !== "" && { fault }),
    }),
  );
  incoming.on("error", () => undefined); // whoever asked went away
  outgoing.on("error", () => undefined);

  if (!isLoopback(incoming.headers.host))
    return refuse(incoming, outgoing, 421, "this server answers for loopback names alone\n");
  if (destination === undefined) return refuse(incoming, outgoing, 404, "not found\n");
  const { kind, argument } = met.http ?? {};
  if (kind !== undefined && !isAnswerFault(kind)) return fail(incoming, outgoing, kind, argument);

  const { service } = destination;
  const answer = async (request: Request): Promise<Response> => {
    const response = await (name === undefined
      ? service.fetch(request)
      : current.run({ service: name, faults: met }, () => service.fetch(request)));
    if (kind === undefined) return response;
    await spoil(outgoing, response, kind, argument);
    return RESPONSE_ALREADY_SENT;
  };
  await getRequestListener(answer, {
    overrideGlobalObjects: false,
    errorHandler: (error) => {
      onError(error);
      return new Response("internal error of the sandbox\n", { status: 500 });
    },
  })(incoming, outgoing);
}

const MAX_REMEMBERED_PATH = 2048;

/** A page elsewhere can give its own name this address, and would then read what is here. */
function isLoopback(host: string | undefined): boolean {
  return host !== undefined && /^(?:127\.0\.0\.1|localhost|\[::1\])(?::\d{1,5})?$/i.test(host);
}

function refuse(
  incoming: IncomingMessage,
  outgoing: ServerResponse,
  status: number,
  text: string,
  headers: Readonly<Record<string, string>> = {},
): void {
  incoming.resume(); // what is sent is not read, but a client that still sends would not see the answer
  outgoing.writeHead(status, { "content-type": "text/plain; charset=utf-8", ...headers });
  outgoing.end(text);
}

/** Lets a request fail before the service sees it. */
function fail(
  incoming: IncomingMessage,
  outgoing: ServerResponse,
  kind: Exclude<HttpFault, AnswerFault>,
  argument: string | undefined,
): void {
  switch (kind) {
    case "timeout":
      incoming.resume();
      return;
    case "reset":
      incoming.socket.resetAndDestroy();
      return;
    case "429":
      refuse(incoming, outgoing, 429, "too many requests\n", argument === undefined ? {} : { "retry-after": argument });
      return;
    case "500":
    case "500-once":
      refuse(incoming, outgoing, 500, "internal error, on purpose\n");
      return;
    case "503":
      refuse(incoming, outgoing, 503, "unavailable, on purpose\n");
  }
}

const DRIP_MS = 1000;

/** Spoils an answer on its way out. */
async function spoil(
  outgoing: ServerResponse,
  response: Response,
  kind: AnswerFault,
  argument: string | undefined,
): Promise<void> {
  const bytes = new Uint8Array(await response.arrayBuffer());
  const headers = Object.fromEntries(response.headers);
  switch (kind) {
    case "lost-answer":
      outgoing.socket?.resetAndDestroy();
      return;
    case "wrong-content-type":
      outgoing.writeHead(response.status, { ...headers, "content-type": "text/html" });
      outgoing.end(bytes);
      return;
    case "truncated":
      outgoing.writeHead(response.status, { ...headers, "content-length": Math.max(1, bytes.length) });
      outgoing.write(bytes.subarray(0, bytes.length >> 1), () => outgoing.destroy());
      return;
    case "slow-drip":
      outgoing.writeHead(response.status, { ...headers, "content-length": bytes.length });
      await drip(outgoing, bytes, Number(argument ?? DRIP_MS));
  }
}

async function drip(outgoing: ServerResponse, bytes: Uint8Array, pauseMs: number): Promise<void> {
  outgoing.flushHeaders();
  await new Promise<void>((resolve) => {
    let sent = 0;
    const timer = setInterval(() => {
      if (sent < bytes.length) outgoing.write(bytes.subarray(sent, (sent += 1)));
      else outgoing.end();
    }, pauseMs);
    outgoing.once("close", () => {
      clearInterval(timer);
      resolve();
    });
  });
}
