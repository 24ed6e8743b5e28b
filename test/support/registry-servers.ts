/**
 * Registries that listen: the sandbox's, with how it differs or lies, and servers that answer as a test wants. Each writes down what
 * it was asked, and with which credentials.
 *
 * @module
 */

import { once } from "node:events";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { onTestFinished } from "vitest";
import { RegistryClient } from "../../src/oci/registry/registry-client.ts";
import type { RegistryOptions } from "../../src/oci/registry/registry-options.ts";
import { createRegistry, type RegistryForgery } from "../../src/sandbox/registry/registry.ts";
import { createMemoryStore } from "../../src/sandbox/store.ts";
import { testContext } from "../sandbox/service-context.ts";

/** Is a request as a server saw it. */
export interface SeenRequest {
  readonly method: string;
  readonly url: string;
  /** The host that the client named, with its port. */
  readonly host: string;
  readonly authorization: string | undefined;
  readonly headers: IncomingMessage["headers"];
  readonly body: Uint8Array;
}

export interface ListeningServer {
  /** `127.0.0.1:PORT`, as references name it. */
  readonly host: string;
  readonly port: number;
  readonly seen: SeenRequest[];
}

export type Answerer = (seen: SeenRequest, response: ServerResponse) => void | Promise<void>;

/** Starts a server that ends with the test. */
export async function listen(answer: Answerer): Promise<ListeningServer> {
  const seen: SeenRequest[] = [];
  const server = createServer((request, response) => {
    void (async () => {
      const chunks: Buffer[] = [];
      for await (const chunk of request) chunks.push(chunk as Buffer);
      const { method = "", url = "", headers } = request;
      const one: SeenRequest = {
        method,
        url,
        host: headers.host ?? "",
        authorization: headers.authorization,
        headers,
        body: Buffer.concat(chunks),
      };
      seen.push(one);
      await answer(one, response);
    })().catch(() => response.destroy());
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  onTestFinished(() => {
    server.closeAllConnections();
    server.close();
  });
  const { port } = server.address() as AddressInfo;
  return { host: `127.0.0.1:${port}`, port, seen };
}

export interface ListeningRegistry extends ListeningServer {
  /** Answers instead of the registry, where it returns true. */
  intercept: ((seen: SeenRequest, response: ServerResponse) => boolean) | undefined;
}

/** Starts the registry of the sandbox. */
export async function listenRegistry(
  always: readonly RegistryForgery[] = [],
  options: { readonly pageSize?: number } = {},
): Promise<ListeningRegistry> {
  const registry = createRegistry(testContext("http://127.0.0.1", createMemoryStore()), { always, ...options });
  const listening: ListeningRegistry = {
    intercept: undefined,
    ...(await listen(async (seen, response) => {
      if (listening.intercept?.(seen, response) === true) return;
      const hasBody = seen.method !== "GET" && seen.method !== "HEAD";
      const answer = await registry.fetch(
        new Request(`http://${seen.host}${seen.url}`, {
          method: seen.method,
          headers: seen.headers as Record<string, string>,
          ...(hasBody && { body: Buffer.from(seen.body) }),
        }),
      );
      response.writeHead(answer.status, Object.fromEntries(answer.headers));
      if (answer.body === null) response.end();
      // Who has had enough of it closes the connection.
      else await pipeline(Readable.fromWeb(answer.body), response).catch(() => undefined);
    })),
  };
  return listening;
}

/** A client whose waits take no time, and who has only the credentials that are given. */
export function clientOf(options: RegistryOptions = {}): RegistryClient {
  return new RegistryClient({
    credentials: () => Promise.resolve({ kind: "anonymous" }),
    environment: {},
    sleep: () => Promise.resolve(),
    timeoutMs: 10_000,
    ...options,
  });
}

export const SANDBOX_CREDENTIALS: NonNullable<RegistryOptions["credentials"]> = () =>
  Promise.resolve({ kind: "basic", username: "sandbox", password: "sandbox" });
