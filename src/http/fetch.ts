/**
 * The `fetch` that requests use: the runtime's own, one that goes through a proxy or makes TLS connections of its own kind, or one
 * that refuses to open a socket.
 *
 * @module
 */

import { InputError, ServiceError } from "../errors.ts";
import { redactUrl } from "./redact.ts";
import type { Fetch } from "./request.ts";
import { secureOptions, type SecureOptions, type TlsOptions } from "./tls.ts";

type Environment = Readonly<Record<string, string | undefined>>;

/** The proxies that an environment names; empty where it names none. */
interface Proxies {
  readonly httpProxy: string;
  readonly httpsProxy: string;
  readonly noProxy: string;
}

/**
 * Chooses the `fetch` for an environment: through `HTTPS_PROXY`, `HTTP_PROXY` and `NO_PROXY` where one of them is set. Lower case
 * goes before capitals.
 *
 * @param environment - Variables, for instance `process.env`.
 * @param tls - For the services, not for a proxy before them. A `fetch` with TLS options refuses URLs that are not HTTPS.
 * @param plain - What is used where there is neither a proxy nor a TLS option. Default: the runtime's own.
 * @throws {@link InputError} `USAGE_INVALID` for TLS options that cannot be used.
 */
export function fetchFor(environment: Environment, tls: TlsOptions = {}, plain?: Fetch): Fetch {
  const proxies: Proxies = {
    httpProxy: readVariable(environment, "http_proxy"),
    httpsProxy: readVariable(environment, "https_proxy"),
    noProxy: readVariable(environment, "no_proxy"),
  };
  const isProxied = proxies.httpProxy !== "" || proxies.httpsProxy !== "";
  const isSecured = Object.values(tls).some((value) => value !== undefined && value !== false);
  if (!isProxied && !isSecured) return plain ?? ((url, init) => fetch(url, init));
  const secure = isSecured ? secureOptions(tls) : undefined;
  let special: Promise<Fetch> | undefined;
  return async (url, init) => {
    if (secure !== undefined && !url.startsWith("https:")) {
      throw new InputError("URL_INVALID", `TLS options are of no use for ${redactUrl(url)}`, {
        expected: "https://…",
        remedy: "give the HTTPS address of the service, or leave the TLS options out",
      });
    }
    special ??= loadSpecialFetch(isProxied ? proxies : undefined, secure);
    return await (
      await special
    )(url, init);
  };
}

function readVariable(environment: Environment, name: string): string {
  return environment[name] ?? environment[name.toUpperCase()] ?? "";
}

async function loadSpecialFetch(proxies: Proxies | undefined, secure: SecureOptions | undefined): Promise<Fetch> {
  const { Agent, EnvHttpProxyAgent, fetch: undiciFetch } = await import("undici");
  for (const [name, url] of Object.entries({ HTTP_PROXY: proxies?.httpProxy, HTTPS_PROXY: proxies?.httpsProxy })) {
    // Said here, without the value, which may hold a password.
    if (url !== undefined && url !== "" && !/^https?:$/.test(URL.parse(url)?.protocol ?? ""))
      throw new InputError("URL_INVALID", `${name} is not the URL of a proxy`, { expected: "http://host:port" });
  }
  const dispatcher =
    proxies === undefined
      ? new Agent({ ...(secure !== undefined && { connect: secure }) })
      : // `connect` is for what goes past the proxy, `requestTls` for what goes through it.
        new EnvHttpProxyAgent({ ...proxies, ...(secure !== undefined && { connect: secure, requestTls: secure }) });
  // undici's own Request and Response types differ from the global ones in name only.
  const viaDispatcher = undiciFetch as unknown as (url: string, init: object) => Promise<Response>;
  return (url, init) => viaDispatcher(url, { ...init, dispatcher });
}

/** Is a `fetch` that opens no socket, for work that must be possible without a network. */
export const offlineFetch: Fetch = () =>
  Promise.reject(
    new ServiceError("OFFLINE", "a network request was needed, but work is offline", {
      remedy: "work online once, or give the file that is missing",
    }),
  );
