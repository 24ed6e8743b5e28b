/**
 * Where requests may go: which URLs, and which redirects from there.
 *
 * @module
 */

import { InputError } from "../errors.ts";
import { HeaderMap } from "./header-map.ts";
import { redactUrl } from "./redact.ts";

/**
 * Parses an HTTP or HTTPS URL without credentials.
 *
 * @throws {@link InputError} `URL_INVALID`.
 */
export function parseHttpUrl(text: string): URL {
  const expected = "https://…";
  const url = URL.parse(text);
  if (url === null) throw new InputError("URL_INVALID", "URL cannot be read", { expected });
  if (url.protocol !== "https:" && url.protocol !== "http:") {
    throw new InputError("URL_INVALID", "URL is not an HTTP URL", { expected, found: url.protocol });
  }
  if (url.username + url.password !== "") {
    throw new InputError("URL_INVALID", `URL of ${redactUrl(text)} holds credentials, which are not sent`, {
      expected,
    });
  }
  return url;
}

/**
 * Puts the path of an API behind the base URL of a service, which may have a path itself, with or without a slash at its end.
 *
 * @param path - Beginning with a slash; may have a query.
 * @throws {@link InputError} `URL_INVALID`.
 */
export function serviceUrl(baseUrl: string, path: string): string {
  const { origin, pathname, search } = parseHttpUrl(baseUrl);
  if (search !== "") {
    throw new InputError("URL_INVALID", `base URL ${redactUrl(baseUrl)} has a query`, { expected: "https://…" });
  }
  return `${origin}${pathname.replace(/\/+$/, "")}${path}`;
}

/** Statuses that send elsewhere. */
export const REDIRECTS: ReadonlySet<number> = new Set([301, 302, 303, 307, 308]);
/** Redirects that keep method and body. @see RFC 9110 §15.4.8, §15.4.9 */
const KEEPING: ReadonlySet<number> = new Set([307, 308]);
/** Addresses that only a machine's own network can mean, metadata services of clouds among them. */
const LINK_LOCAL = /^(169\.254\.|\[fe[89ab][0-9a-f]:|\[::ffff:a9fe:)/;
/** Headers that any server may get. All others could be credentials, whatever they are called. */
const HARMLESS: ReadonlySet<string> = new Set(["accept", "accept-encoding", "accept-language", "range", "user-agent"]);

/** Is one step from one URL to another. */
export interface Redirect {
  readonly status: number;
  readonly location: string;
  readonly method: string;
  readonly from: URL;
}

/**
 * Decides where a redirect leads, if it may be followed: never out of HTTPS, never to a link-local address, and with a request
 * that changes something or has a body only to the same origin, unchanged.
 *
 * @returns the URL, or what is wrong with it, completing "redirects …".
 */
export function followRedirect({ status, location, method, from }: Redirect): URL | string {
  const to = URL.parse(location, from);
  if (to === null || (to.protocol !== "https:" && to.protocol !== "http:")) {
    return "to something that is no HTTP address";
  }
  if (from.protocol === "https:" && to.protocol !== "https:") return "to an unencrypted address";
  if (to.username + to.password !== "") return "with credentials";
  if (LINK_LOCAL.test(to.hostname)) return "to a link-local address";
  if (method !== "GET" && method !== "HEAD") {
    if (to.origin !== from.origin) return `a ${method} to another origin, ${to.origin}`;
    if (!KEEPING.has(status)) return `a ${method} with status ${status}, which would drop its content`;
  }
  return to;
}

/** Leaves only headers that any server may get: what a request that was redirected to another origin may carry. */
export function harmlessHeaders(headers: HeaderMap): HeaderMap {
  return new HeaderMap([...headers].filter(([name]) => HARMLESS.has(name)));
}
