/**
 * Requests to identity providers: they never leave the origin that was asked, and their answers are strict JSON.
 *
 * @module
 */

import { parseJson, type JsonObject, type JsonValue } from "../encoding/json.ts";
import { FormatError, ServiceError } from "../errors.ts";
import type { ReadableHeaders } from "../http/header-map.ts";
import { redactUrl } from "../http/redact.ts";
import { sendRequest, type Fetch, type HttpAnswer, type HttpRequest, type RequestOptions } from "../http/request.ts";
import { MAX_OIDC_RESPONSE_BYTES } from "../limits.ts";

/** Is a JSON object from a provider, with the status it came with. */
export interface OidcAnswer {
  readonly status: number;
  readonly headers: ReadableHeaders;
  readonly body: OidcObject;
}

/**
 * Sends a request whose answer is a JSON object.
 *
 * Redirects to another origin are refused before they are followed: what stands there is not what was asked for, and could name other
 * endpoints and keys. No message holds anything of the answer but what a refusal says.
 *
 * @throws {@link ServiceError} as `sendRequest`; `OIDC_REQUEST_REFUSED` for a refusal; `SERVICE_RESPONSE_INVALID` for an answer that is no
 * JSON object.
 */
export async function requestObject(
  url: string,
  request: Omit<HttpRequest, "accept" | "maxBytes" | "refusal"> & { readonly accept?: readonly number[] },
  options: RequestOptions,
): Promise<OidcAnswer> {
  const answer = await requestFrom(url, { accept: [200], ...request }, options);
  const where = `${options.service ?? "identity provider"} (${redactUrl(url)})`;
  return {
    status: answer.status,
    headers: answer.headers,
    body: new OidcObject(parseObject(answer.body, where), where),
  };
}

/** Sends a request and reads its answer, as {@link requestObject} does, without reading anything into it. */
export async function requestFrom(
  url: string,
  request: Omit<HttpRequest, "maxBytes" | "refusal">,
  options: RequestOptions,
): Promise<HttpAnswer> {
  return await sendRequest(
    url,
    { ...request, maxBytes: MAX_OIDC_RESPONSE_BYTES, refusal: "OIDC_REQUEST_REFUSED" },
    { ...options, fetch: withinOrigin(url, options) },
  );
}

/** Makes a `fetch` that reaches the origin of a URL and no other. */
function withinOrigin(url: string, { fetch, service }: RequestOptions): Fetch {
  const origin = URL.parse(url)?.origin;
  return async (to, init) => {
    const target = URL.parse(to)?.origin;
    if (target === origin) return await fetch(to, init);
    throw new ServiceError("HTTP_REQUEST_FAILED", `${service ?? redactUrl(url)} redirects to another origin`, {
      expected: origin,
      found: target,
      remedy: "give the address that the service itself has, not one that leads there",
      service,
    });
  };
}

function parseObject(bytes: Uint8Array, where: string): JsonObject {
  let value: JsonValue;
  try {
    value = parseJson(bytes, { what: "answer", code: "JSON_MALFORMED", maxBytes: MAX_OIDC_RESPONSE_BYTES });
  } catch (error) {
    if (!(error instanceof FormatError)) throw error;
    // Without the cause, which quotes what could be part of a token.
    throw invalid(where, `gave an ${error.message}`);
  }
  if (typeof value !== "object" || value === null || Array.isArray(value)) {
    throw invalid(where, "gave an answer that is not a JSON object");
  }
  return value as JsonObject;
}

/** Reads the fields of an answer, and names whose answer it is when one is not what it must be. */
export class OidcObject {
  readonly value: JsonObject;
  readonly #where: string;

  constructor(value: JsonObject, where: string) {
    this.value = value;
    this.#where = where;
  }

  /** Reads text that is not empty, where the field is there. */
  optionalText(name: string): string | undefined {
    const value = this.#field(name);
    if (value === undefined) return undefined;
    if (typeof value !== "string") this.fail(`an answer whose ${name} is not text`);
    return value === "" ? undefined : value;
  }

  /** Reads text that is there and not empty. */
  text(name: string): string {
    return this.optionalText(name) ?? this.fail(`an answer without ${name}`);
  }

  /** Reads a number that is not negative, where the field is there. */
  optionalNumber(name: string): number | undefined {
    const value = this.#field(name);
    if (value === undefined) return undefined;
    if (typeof value !== "number" || value < 0) this.fail(`an answer whose ${name} is not a number of seconds`);
    return value;
  }

  /** Reads a list of text, where the field is there. */
  optionalTexts(name: string): readonly string[] | undefined {
    const value = this.#field(name);
    if (value === undefined) return undefined;
    if (!Array.isArray(value) || value.some((item) => typeof item !== "string")) {
      this.fail(`an answer whose ${name} is not a list of text`);
    }
    return value as readonly string[];
  }

  /** Throws: `what` completes "the provider gave …". */
  fail(what: string): never {
    throw invalid(this.#where, `gave ${what}`);
  }

  #field(name: string): JsonValue | undefined {
    return Object.hasOwn(this.value, name) ? (this.value[name] ?? undefined) : undefined;
  }
}

function invalid(where: string, problem: string): ServiceError {
  return new ServiceError("SERVICE_RESPONSE_INVALID", `${where} ${problem}`);
}
