/**
 * The `fetch` that requests use: the runtime's own, one that goes through a proxy, or one that refuses to open a socket.
 *
 * @module
 */

import { InputError, ServiceError } from "../errors.ts";
import type { Fetch } from "./request.ts";

type Environment = Readonly<Record<string, string | undefined>>;

/**
 * Chooses the `fetch` for an environment: through `HTTPS_PROXY`, `HTTP_PROXY` and `NO_PROXY` where one of them is set. Lower case
 * goes before capitals.
 *
 * @param environment - Variables, for instance `process.env`.
 */
export function fetchFor(environment: Environment): Fetch {
  const httpProxy = readVariable(environment, "http_proxy");
  const httpsProxy = readVariable(environment, "https_proxy");
  if (httpProxy === "" && httpsProxy === "") return (url, init) => fetch(url, init);
  const proxies = { httpProxy, httpsProxy, noProxy: readVariable(environment, "no_proxy") };
  let proxied: Promise<Fetch> | undefined;
  return async (url, init) => {
    proxied ??= loadProxiedFetch(proxies);
    return await (
      await proxied
    )(url, init);
  };
}

function readVariable(environment: Environment, name: string): string {
  return environment[name] ?? environment[name.toUpperCase()] ?? "";
}

async function loadProxiedFetch(proxies: {
  readonly httpProxy: string;
  readonly httpsProxy: string;
  readonly noProxy: string;
}): Promise<Fetch> {
  const { EnvHttpProxyAgent, fetch: undiciFetch } = await import("undici");
  for (const [name, url] of Object.entries({ HTTP_PROXY: proxies.httpProxy, HTTPS_PROXY: proxies.httpsProxy })) {
    // Said here, without the value, which may hold a password.
    if (url !== "" && !/^https?:$/.test(URL.parse(url)?.protocol ?? ""))
      throw new InputError("URL_INVALID", `${name} is not the URL of a proxy`, { expected: "http://host:port" });
  }
  const dispatcher = new EnvHttpProxyAgent(proxies);
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
