/**
 * URLs as Go's `net/url` writes them. Fulcio is written in Go, and what it makes of a claim stands in certificates byte by byte.
 *
 * @module
 */

import { posix } from "node:path";

/** Says that text is no URL to Go. */
export class UrlRefusal extends Error {
  override readonly name = "UrlRefusal";
}

/**
 * Joins a base that ends in its host and further elements of a path, as `URL.JoinPath`.
 *
 * @param base - For instance `https://github.com`.
 */
export function joinUrl(base: string, ...elements: readonly string[]): string {
  const joined = posix.join("/", ...elements).replace(/(?<=.)\/+$/, "");
  const path = elements.at(-1)?.endsWith("/") === true && joined !== "/" ? `${joined}/` : joined;
  return base + (tryEscapePath(path) ?? "/"); // an escape that is none leaves the base alone
}

/**
 * Reads a URL and writes it again, as `url.Parse` and `URL.String`.
 *
 * @param scheme - Replaces the one that stands there, or adds it.
 * @throws {@link UrlRefusal}
 */
export function normalizeUrl(text: string, scheme?: string): string {
  if (/[\x00-\x1f\x7f]/.test(text)) throw new UrlRefusal("net/url: invalid control character in URL");
  const [, own, afterScheme = ""] = /^(?:(?<own>[a-zA-Z][a-zA-Z0-9+.-]*):)?(?<rest>.*)$/s.exec(text) ?? [];
  const hash = afterScheme.indexOf("#");
  const fragment = hash < 0 ? "" : afterScheme.slice(hash);
  const beforeFragment = hash < 0 ? afterScheme : afterScheme.slice(0, hash);
  const mark = beforeFragment.indexOf("?");
  const query = mark < 0 ? "" : beforeFragment.slice(mark);
  const hierarchy = mark < 0 ? beforeFragment : beforeFragment.slice(0, mark);
  const prefix = scheme ?? own?.toLowerCase();
  const before = prefix === undefined ? "" : `${prefix}:`;
  if (own !== undefined && !hierarchy.startsWith("/")) return `${before}${hierarchy}${query}${fragment}`;
  if (own === undefined && /^[^/]*:/.test(hierarchy))
    throw new UrlRefusal(`parse ${JSON.stringify(text)}: first path segment in URL cannot contain colon`);
  const [, authority, rawPath = ""] =
    hierarchy.startsWith("//") && (own !== undefined || !hierarchy.startsWith("///"))
      ? (/^\/\/(?<authority>[^/]*)(?<path>.*)$/s.exec(hierarchy) ?? [])
      : [undefined, undefined, hierarchy];
  const path = tryEscapePath(rawPath);
  if (path === undefined) throw new UrlRefusal(`parse ${JSON.stringify(text)}: invalid URL escape`);
  // A path without a host is led by slashes all the same, unless the text had a scheme and none
  const host = authority ?? (own !== undefined || prefix === undefined || path === "" ? undefined : "");
  return `${before}${host === undefined ? "" : `//${host}`}${path}${query}${fragment}`;
}

/** Tells scheme and host name, as `URL.Scheme` and `URL.Hostname()`. */
export function schemeAndHost(text: string): { readonly scheme: string; readonly host: string } {
  const normal = normalizeUrl(text);
  const { scheme = "", authority = "" } =
    /^(?:(?<scheme>[^:/?#]+):)?(?:\/\/(?<authority>[^/?#]*))?/.exec(normal)?.groups ?? {};
  const host = authority.slice(authority.lastIndexOf("@") + 1);
  return { scheme, host: host.replace(/:[0-9]*$/, "").replace(/^\[(?<address>.*)\]$/, "$<address>") };
}

/** @returns `undefined` where a percent sign does not begin an escape. */
function tryEscapePath(path: string): string | undefined {
  if (/%(?![0-9a-fA-F]{2})/.test(path)) return undefined;
  // Text that is a valid encoding stays as it is, whatever it escapes
  if (/^[A-Za-z0-9\-_.~!$&'()*+,;=:@[\]%/]*$/.test(path)) return path;
  const bytes = Buffer.from(path)
    .toString("latin1")
    .replace(/%[0-9a-fA-F]{2}/g, (escape) => String.fromCharCode(parseInt(escape.slice(1), 16)));
  return bytes.replace(
    /[^A-Za-z0-9\-_.~$&+,/:;=@]/g,
    (byte) => `%${byte.charCodeAt(0).toString(16).toUpperCase().padStart(2, "0")}`,
  );
}
