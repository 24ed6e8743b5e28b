/**
 * The `fetch` that requests use: the runtime's own, one that goes through a proxy, or one that refuses to open a socket.
 *
 * @module
 */

import { ServiceError } from "../errors.ts";
import type { Fetch } from "./request.ts";

const PROXY_VARIABLES = ["https_proxy", "HTTPS_PROXY", "http_proxy", "HTTP_PROXY"] as const;

/**
 * Chooses the `fetch` for an environment: through `HTTPS_PROXY`, `HTTP_PROXY` and `NO_PROXY` where one of them is set.
 *
 * @param environment - Variables, for instance `process.env`.
 */
export function fetchFor(environment: Readonly<Record<string, string | undefined>>): Fetch {
  if (PROXY_VARIABLES.every((name) => (environment[name] ?? "") === "")) return (url, init) => fetch(url, init);
  let proxied: Promise<Fetch> | undefined;
  return async (url, init) => {
    proxied ??= loadProxiedFetch();
    return await (await proxied)(url, init);
  };
}

async function loadProxiedFetch(): Promise<Fetch> {
  const { EnvHttpProxyAgent, fetch: undiciFetch } = await import("undici");
  const dispatcher = new EnvHttpProxyAgent();
  // undici's own Request and Response types differ from the global ones in name only.
  const viaProxy = undiciFetch as unknown as (url: string, init: object) => Promise<Response>;
  return (url, init) => viaProxy(url, { ...init, dispatcher });
}

/** Is a `fetch` that opens no socket, for work that must be possible without a network. */
export const offlineFetch: Fetch = () =>
  Promise.reject(
    new ServiceError("OFFLINE", "a network request was needed, but work is offline", {
      remedy: "work online once, or give the file that is missing",
    }),
  );
