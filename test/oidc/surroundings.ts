/** Surroundings of a process that exist in the test alone. */

import { expect } from "vitest";
import type { Fetch } from "../../src/http/request.ts";
import type { IdentityTokenOptions } from "../../src/oidc/get-identity-token.ts";
import { NOW } from "./tokens.ts";

/** Is a request as it was made. */
export interface Asked {
  readonly url: string;
  readonly method: string;
  readonly headers: Headers;
  readonly body: string;
}

/** Answers a request, or says that nothing is there. */
export type Answering = (asked: Asked) => Response | Promise<Response>;

/** Makes options without any surroundings but those given: variables, files, and what answers requests. */
export function surroundings(
  environment: Readonly<Record<string, string>> = {},
  answer: Answering = ({ url }) => Promise.reject(new Error(`nothing answers at ${url}`)),
  files: Readonly<Record<string, string>> = {},
  owners: Readonly<Record<string, number>> = {},
): IdentityTokenOptions & { readonly asked: readonly Asked[]; readonly environment: Readonly<Record<string, string>> } {
  const asked: Asked[] = [];
  const fetch: Fetch = async (url, init) => {
    const request = {
      url,
      method: init.method ?? "GET",
      headers: new Headers(init.headers),
      body: typeof init.body === "string" ? init.body : "",
    };
    asked.push(request);
    return await answer(request);
  };
  return {
    asked,
    environment,
    fetch,
    directFetch: fetch,
    files: {
      exists: (path) => Promise.resolve(Object.hasOwn(files, path)),
      owner: (path) => Promise.resolve(owners[path]),
      read: (path) => Promise.resolve(Buffer.from(files[path] ?? "")),
    },
    now: () => NOW,
    sleep: () => Promise.resolve(),
  };
}

/** Makes an answer of JSON. */
export function json(value: unknown, status = 200, headers: Readonly<Record<string, string>> = {}): Response {
  return new Response(JSON.stringify(value), { status, headers: { "content-type": "application/json", ...headers } });
}

/** Matches text that has this in it. */
export function containing(text: string): unknown {
  return expect.stringContaining(text);
}
