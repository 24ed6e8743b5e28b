/**
 * One request function for everything that reads from the network: deadline, retries, size cap, redirects that never leave
 * HTTPS and never carry anything to another host, and messages without credentials.
 *
 * @module
 */

import { InputError, ServiceError } from "../errors.ts";
import { concatBytes } from "../encoding/bytes.ts";
import { MAX_REDIRECTS } from "../limits.ts";

/** Is the part of the standard `fetch` that is used here; injectable. */
export type Fetch = (url: string, init: RequestInit) => Promise<Response>;

/** Configures requests. */
export interface RequestOptions {
  readonly fetch: Fetch;
  /** Milliseconds for all attempts together, waits and the body included. */
  readonly timeoutMs: number;
  /** Attempts after the first one, for 429, 5xx and broken connections. Default 2. */
  readonly retries?: number | undefined;
  /** Ends the request; the caller then gets the signal's reason. */
  readonly signal?: AbortSignal | undefined;
  readonly userAgent?: string | undefined;
  /** Waits between attempts; a test passes one that does not. */
  readonly sleep?: ((ms: number) => Promise<void>) | undefined;
}

const RETRY_BASE_MS = 250;
const RETRY_MAX_MS = 8000;

/**
 * Fetches a resource whole.
 *
 * @param maxBytes - The answer may not be longer; it is cut off there, whatever it announced.
 * @throws {@link ServiceError} `HTTP_STATUS_UNEXPECTED`, `HTTP_REQUEST_FAILED`, `HTTP_TIMEOUT`, `HTTP_RESPONSE_TOO_LARGE`;
 * {@link InputError} `URL_INVALID`.
 */
export async function fetchBytes(url: string, maxBytes: number, options: RequestOptions): Promise<Uint8Array> {
  const request = new HttpRequest(url, options);
  return await request.withRetries(async () => {
    const chunks: Uint8Array[] = [];
    for await (const chunk of request.body(await request.open(), maxBytes)) chunks.push(chunk);
    return concatBytes(...chunks);
  });
}

/**
 * Opens a resource as a stream. Only opening it is retried; a connection that breaks later is an error of the stream.
 *
 * @returns the stream, and how many bytes the server announced.
 * @throws as {@link fetchBytes}, the stream too.
 */
export async function fetchStream(
  url: string,
  maxBytes: number,
  options: RequestOptions,
): Promise<{ readonly length: number | undefined; readonly stream: AsyncIterable<Uint8Array> }> {
  const request = new HttpRequest(url, options);
  const response = await request.withRetries(() => request.open());
  return { length: announcedLength(response), stream: request.body(response, maxBytes) };
}

/** Removes user name, password, query and fragment from a URL, for messages. */
export function redactUrl(url: string): string {
  const parsed = URL.parse(url);
  return parsed === null ? "an invalid URL" : `${parsed.protocol}//${parsed.host}${parsed.pathname}`;
}

/** Is one request with its deadline. */
class HttpRequest {
  readonly #url: URL;
  readonly #options: RequestOptions;
  readonly #endsAt: number;
  readonly #deadline: AbortSignal;
  readonly #signal: AbortSignal;

  constructor(url: string, options: RequestOptions) {
    this.#url = parseHttpUrl(url);
    this.#options = options;
    this.#endsAt = performance.now() + options.timeoutMs;
    this.#deadline = AbortSignal.timeout(options.timeoutMs);
    this.#signal = options.signal === undefined ? this.#deadline : AbortSignal.any([this.#deadline, options.signal]);
  }

  async withRetries<T>(attempt: () => Promise<T>): Promise<T> {
    const { retries = 2, sleep = (ms: number) => abortableSleep(ms, this.#signal) } = this.#options;
    for (let attempts = 1; ; attempts += 1) {
      try {
        return await attempt();
      } catch (cause) {
        const error = this.#asServiceError(cause);
        const backoff = Math.min(RETRY_MAX_MS, RETRY_BASE_MS * 2 ** (attempts - 1)) * (0.5 + Math.random() / 2);
        const wait = (error instanceof StatusError ? error.retryAfterMs : undefined) ?? backoff;
        // Whoever asks for more time than there is gets no second request.
        if (!error.retryable || attempts > retries || performance.now() + wait >= this.#endsAt) throw error;
        try {
          await sleep(wait);
        } catch {
          throw this.#asServiceError(error);
        }
      }
    }
  }

  /** Follows redirects to an answer with status 200. */
  async open(): Promise<Response> {
    const { fetch, userAgent } = this.#options;
    const headers = userAgent === undefined ? {} : { "user-agent": userAgent };
    let url = this.#url;
    for (let redirects = 0; redirects <= MAX_REDIRECTS; redirects += 1) {
      const response = await fetch(url.href, { method: "GET", headers, redirect: "manual", signal: this.#signal });
      if (response.status === 200) return response;
      await response.body?.cancel();
      const location = response.headers.get("location");
      if (!REDIRECTS.has(response.status) || location === null) throw new StatusError(url, response);
      url = parseRedirect(location, url);
    }
    throw new ServiceError("HTTP_REQUEST_FAILED", `${redactUrl(this.#url.href)} redirects too often`, {
      expected: `at most ${MAX_REDIRECTS} redirects`,
    });
  }

  /** Reads an answer, as far as it may be. */
  async *body(response: Response, maxBytes: number): AsyncGenerator<Uint8Array> {
    const tooLarge = (found: number): ServiceError =>
      new ServiceError(
        "HTTP_RESPONSE_TOO_LARGE",
        `${redactUrl(this.#url.href)} answered with more than was asked for`,
        {
          expected: `at most ${maxBytes} bytes`,
          found: `${found} bytes`,
        },
      );
    const announced = announcedLength(response) ?? 0;
    if (announced > maxBytes) {
      await response.body?.cancel();
      throw tooLarge(announced);
    }
    let length = 0;
    try {
      for await (const chunk of (response.body ?? []) as AsyncIterable<Uint8Array>) {
        length += chunk.length;
        if (length > maxBytes) throw tooLarge(length);
        yield chunk;
      }
    } catch (cause) {
      throw this.#asServiceError(cause);
    }
  }

  /** Names what ended an attempt. The caller's own signal is no failure of the service: its reason is thrown as it is. */
  #asServiceError(cause: unknown): ServiceError {
    this.#options.signal?.throwIfAborted();
    const url = redactUrl(this.#url.href);
    if (this.#deadline.aborted) {
      const expected = `an answer within ${this.#options.timeoutMs} ms`;
      return new ServiceError("HTTP_TIMEOUT", `${url} did not answer in time`, { expected, cause });
    }
    if (cause instanceof ServiceError) return cause;
    if (cause instanceof InputError) throw cause;
    return new ServiceError("HTTP_REQUEST_FAILED", `could not reach ${url}: ${describeNetworkError(cause)}`, {
      retryable: true,
      cause,
    });
  }
}

/** Parses an HTTP or HTTPS URL without credentials. */
function parseHttpUrl(text: string): URL {
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

const REDIRECTS: ReadonlySet<number> = new Set([301, 302, 303, 307, 308]);
/** Addresses that only a machine's own network can mean, metadata services of clouds among them. */
const LINK_LOCAL = /^(169\.254\.|\[fe[89ab][0-9a-f]:|\[::ffff:a9fe:)/;

function parseRedirect(location: string, from: URL): URL {
  const to = URL.parse(location, from);
  const problem =
    to === null || (to.protocol !== "https:" && to.protocol !== "http:")
      ? "to something that is no HTTP address"
      : from.protocol === "https:" && to.protocol !== "https:"
        ? "to an unencrypted address"
        : to.username + to.password !== ""
          ? "with credentials"
          : LINK_LOCAL.test(to.hostname)
            ? "to a link-local address"
            : undefined;
  if (to !== null && problem === undefined) return to;
  throw new ServiceError("HTTP_REQUEST_FAILED", `${redactUrl(from.href)} redirects ${problem ?? ""}`, {
    found: to === null ? undefined : redactUrl(to.href),
  });
}

/** The length in the header, unless that is of something compressed. */
function announcedLength({ headers }: Response): number | undefined {
  const text = headers.get("content-length") ?? "";
  return /^\d{1,15}$/.test(text) && headers.get("content-encoding") === null ? Number(text) : undefined;
}

class StatusError extends ServiceError {
  readonly retryAfterMs: number | undefined;
  constructor(url: URL, { status, headers }: Response) {
    super("HTTP_STATUS_UNEXPECTED", `${redactUrl(url.href)} answered with status ${status}`, {
      status,
      retryable: status === 429 || status >= 500,
      expected: "status 200",
      found: `status ${status}`,
    });
    this.name = "ServiceError";
    this.retryAfterMs = parseRetryAfter(headers.get("retry-after") ?? "");
  }
}

/** Reads `Retry-After`: seconds, or a date. @see RFC 9110 §10.2.3 */
function parseRetryAfter(text: string): number | undefined {
  if (/^\d{1,9}$/.test(text)) return Number(text) * 1000;
  const wait = Date.parse(/^[A-Z][a-z]{2}, .* GMT$/.test(text) ? text : "") - Date.now();
  return Number.isNaN(wait) ? undefined : Math.max(0, wait);
}

function describeNetworkError(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const { cause } = error;
  if (!(cause instanceof Error)) return error.message;
  return "code" in cause && typeof cause.code === "string" ? cause.code : cause.message;
}

async function abortableSleep(ms: number, signal: AbortSignal): Promise<void> {
  await new Promise<void>((resolve, reject) => {
    const stop = (): void => {
      clearTimeout(timer);
      reject(signal.reason as Error);
    };
    const timer = setTimeout(() => {
      signal.removeEventListener("abort", stop);
      resolve();
    }, ms);
    if (signal.aborted) stop();
    else signal.addEventListener("abort", stop, { once: true });
  });
}
