/**
 * The listener on loopback to which a browser comes back at the end of a login.
 *
 * @module
 */

import { timingSafeEqual } from "node:crypto";
import type { IncomingMessage, Server, ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";

import { InputError } from "../errors.ts";
import { MAX_LOGIN_CONNECTIONS, MAX_LOGIN_REQUEST_BYTES } from "../limits.ts";
import { isLoopback } from "./discovery.ts";
import { LOGIN_PAGE_HEADERS, renderLoginPage, type LoginPage } from "./login-page.ts";

/** Is the answer to a login, as the browser brought it. */
export interface LoginResponse {
  /** The query, each name at most once; its state is the right one. */
  readonly parameters: ReadonlyMap<string, string>;
  /** Shows the end of the login to the person. */
  show(page: LoginPage): Promise<void>;
}

/** Waits for one browser to come back. */
export interface RedirectListener {
  /** Where the browser is to be sent. */
  readonly redirectUrl: string;
  /** Resolves with the first answer that has the right state; all others are turned away. */
  readonly response: Promise<LoginResponse>;
  /** Ends it, and its connections. */
  close(): void;
}

/** As cosign has it. The port 0 stands for any that is free. */
export const DEFAULT_REDIRECT_URL = "http://localhost:0/auth/callback";
const REQUEST_TIMEOUT_MS = 10_000;
const PORT_ATTEMPTS = 5;

/**
 * Listens on loopback, and nowhere else, for the end of a login.
 *
 * @param redirectUrl - On `localhost`, `127.0.0.1` or `[::1]`, over HTTP.
 * @throws {@link InputError} `URL_INVALID`, `ADDRESS_IN_USE`.
 * @see {@link https://www.rfc-editor.org/rfc/rfc8252#section-7.3 | RFC 8252 §7.3, §8.3}
 */
export async function listenForRedirect(redirectUrl: string, state: string): Promise<RedirectListener> {
  const url = parseRedirectUrl(redirectUrl);
  const { createServer } = await import("node:http");
  const { promise: response, resolve } = Promise.withResolvers<LoginResponse>();
  const visit = new Visits(url, state, resolve);
  const make = (): Server => {
    const server = createServer(
      { maxHeaderSize: MAX_LOGIN_REQUEST_BYTES, requestTimeout: REQUEST_TIMEOUT_MS },
      (request, answer) => visit.answer(request, answer),
    );
    server.maxConnections = MAX_LOGIN_CONNECTIONS;
    return server;
  };
  const servers = await listen(make, url);
  url.port = String(portOf(servers));
  return {
    redirectUrl: url.href,
    response,
    close() {
      for (const server of servers) {
        server.close();
        server.closeAllConnections();
      }
    },
  };
}

/** Parses the address to which a browser comes back. @throws {@link InputError} `URL_INVALID` for one that is not on this machine. */
export function parseRedirectUrl(text: string): URL {
  const url = URL.parse(text);
  if (url === null || url.protocol !== "http:" || !isLoopback(url) || url.search + url.hash + url.username !== "") {
    throw new InputError("URL_INVALID", "redirect URL is not one on this machine", {
      expected: DEFAULT_REDIRECT_URL,
      remedy: "give a URL that begins with http://localhost:",
    });
  }
  return url;
}

/**
 * Takes the port in both families where the name is `localhost`: a browser may try either first, and should not find a stranger there.
 */
async function listen(make: () => Server, url: URL): Promise<readonly Server[]> {
  const wanted = url.port === "" ? 80 : Number(url.port);
  const hosts = url.hostname === "localhost" ? ["127.0.0.1", "::1"] : [url.hostname.replace(/^\[(.*)\]$/, "$1")];
  for (let attempts = 1; ; attempts += 1) {
    const servers: Server[] = [];
    let port = wanted;
    try {
      for (const host of hosts) {
        const server = make();
        if (await tryListen(server, host, port, servers.length > 0)) servers.push(server);
        port = portOf(servers);
      }
      return servers;
    } catch (error) {
      for (const server of servers) server.close();
      const isInUse = error instanceof Error && "code" in error && error.code === "EADDRINUSE";
      if (isInUse && wanted === 0 && attempts < PORT_ATTEMPTS) continue;
      throw new InputError("ADDRESS_IN_USE", `could not listen on ${url.hostname}:${port} for the end of the login`, {
        remedy: "stop what listens there, or give another redirect URL",
        cause: error,
      });
    }
  }
}

function portOf(servers: readonly Server[]): number {
  const address = servers[0]?.address() as AddressInfo | undefined;
  return address?.port ?? 0;
}

/** @returns `false` where the machine has no such address and may do without it. */
async function tryListen(server: Server, host: string, port: number, mayBeAbsent: boolean): Promise<boolean> {
  try {
    await new Promise<void>((resolve, reject) => {
      server.once("error", reject);
      server.listen({ host, port, exclusive: true }, resolve);
    });
    return true;
  } catch (error) {
    const code = error instanceof Error && "code" in error ? error.code : undefined;
    if (mayBeAbsent && (code === "EADDRNOTAVAIL" || code === "EAFNOSUPPORT")) return false;
    throw error;
  }
}

/** Decides what a visitor gets. */
class Visits {
  readonly #url: URL;
  readonly #state: string;
  readonly #accept: (response: LoginResponse) => void;
  #isOver = false;

  constructor(url: URL, state: string, accept: (response: LoginResponse) => void) {
    this.#url = url;
    this.#state = state;
    this.#accept = accept;
  }

  answer(request: IncomingMessage, answer: ServerResponse): void {
    const url = URL.parse(request.url ?? "", this.#url.href);
    const host = URL.parse(`http://${request.headers.host ?? ""}`);
    // A page of another name that was made to resolve to this machine has that name in its requests.
    if (url === null || host === null || host.host !== this.#url.host) return send(answer, 421, NOT_HERE);
    if (url.pathname !== this.#url.pathname) return send(answer, 404, NOT_HERE);
    if (request.method !== "GET") return send(answer, 405, NOT_HERE, { allow: "GET" });
    const parameters = new Map(url.searchParams);
    if (parameters.size !== url.searchParams.size) return send(answer, 400, NOT_THIS_LOGIN);
    // Anybody may send a browser here; only who began the login knows its state. The login goes on.
    if (!isSame(parameters.get("state") ?? "", this.#state)) return send(answer, 400, NOT_THIS_LOGIN);
    if (this.#isOver) return send(answer, 409, ALREADY_ANSWERED);
    this.#isOver = true;
    this.#accept({
      parameters,
      show: (page) =>
        new Promise((resolve) => {
          answer.once("close", resolve);
          send(answer, page.outcome === "success" ? 200 : 400, page);
        }),
    });
  }
}

function send(
  answer: ServerResponse,
  status: number,
  page: LoginPage,
  headers: Readonly<Record<string, string>> = {},
): void {
  answer.writeHead(status, { ...LOGIN_PAGE_HEADERS, ...headers, connection: "close" });
  answer.end(renderLoginPage(page));
}

function isSame(one: string, other: string): boolean {
  const [a, b] = [Buffer.from(one), Buffer.from(other)];
  return a.length === b.length && timingSafeEqual(a, b);
}

const NOT_HERE: LoginPage = {
  outcome: "failure",
  title: "There is nothing here",
  text: ["This address only takes the answer to a login that was begun on this machine."],
};
const NOT_THIS_LOGIN: LoginPage = {
  outcome: "failure",
  title: "This is the answer to another login",
  text: ["Go back to the terminal, and use the page that was opened from there."],
};
const ALREADY_ANSWERED: LoginPage = {
  outcome: "failure",
  title: "This login is over",
  text: ["It was answered before. You may close this page."],
};
