/**
 * Lists that come in pages.
 *
 * @module
 */

import { FormatError, ServiceError } from "../../errors.ts";
import { MAX_REGISTRY_PAGES } from "../../limits.ts";
import type { HttpAnswer } from "../../http/request.ts";
import type { RegistrySession } from "./registry-session.ts";

/**
 * Reads all pages of a list.
 *
 * @param ask - Fetches a page: a path below `/v2/`, or the URL that the page before named.
 * @param read - Gives the items of a page; `undefined` ends the list without them, which only the first page may say.
 * @returns `undefined` where the first page was no list.
 * @throws ServiceError `SERVICE_RESPONSE_INVALID` for pages that lead in a circle or to another host, or
 * are none; FormatError `LIMIT_EXCEEDED`.
 * @see opencontainers/distribution-spec spec.md, "Listing Tags", "Listing Referrers"; RFC 8288
 */
export async function readPages<T>(
  session: RegistrySession,
  first: string,
  maxItems: number,
  ask: (target: string) => Promise<HttpAnswer>,
  read: (answer: HttpAnswer) => readonly T[] | undefined,
): Promise<readonly T[] | undefined> {
  const items: T[] = [];
  const seen = new Set<string>();
  let target = first;
  for (let page = 1; ; page += 1) {
    const answer = await ask(target);
    const found = read(answer);
    if (found === undefined && page === 1) return undefined;
    // What is missing from a list could be what matters.
    if (found === undefined) throw invalid(session, `has a list of which page ${page} is none`);
    seen.add(answer.url);
    items.push(...found);
    if (items.length > maxItems) throw tooMuch(session, `more than ${maxItems} items`);
    const next = nextPage(answer.headers.get("link") ?? "");
    if (next === undefined) return items;
    target = session.resolveOwn(next, answer.url);
    if (page >= MAX_REGISTRY_PAGES) throw tooMuch(session, `more than ${MAX_REGISTRY_PAGES} pages`);
    if (seen.has(target)) throw invalid(session, "has a list whose pages lead in a circle");
  }
}

function invalid({ registry }: RegistrySession, problem: string): ServiceError {
  return new ServiceError("SERVICE_RESPONSE_INVALID", `registry ${registry} ${problem}`, {
    service: `registry ${registry}`,
  });
}

function tooMuch({ registry }: RegistrySession, found: string): FormatError {
  return new FormatError("LIMIT_EXCEEDED", `registry ${registry} has a list without an end`, { found });
}

/** The target of the link to the next page. */
function nextPage(header: string): string | undefined {
  for (const [, target = "", parameters = ""] of header.slice(0, 8192).matchAll(/<([^>]*)>([^<]*)/g))
    if (/;\s*rel\s*=\s*"?next"?/i.test(parameters)) return target;
  return undefined;
}
