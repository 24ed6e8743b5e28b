/**
 * One request function for everything that reads from the network: deadline, retries, size cap, redirects that never leave
 * HTTPS and never carry anything to another host, and messages without credentials.
 *
 * @module
 */

import { ServiceError, InputError } from "../errors.ts";
import { concatBytes } from "../encoding/bytes.ts";
import { MAX_REDIRECTS } from "../limits.ts";

/** Is the part of the standard `fetch` that is used here; injectable. */
export type Fetch = (url: string, init: RequestInit) => Promise<Response>;

/** Configures requests. */
export interface RequestOptions {
  readonly fetch: Fetch;
  /** Milliseconds for all attempts together. */
  readonly timeoutMs: number;
  /** Attempts after the first one, for 429, 5xx and broken connections. */
  readonly retries?: number | undefined;
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
  return await withRetries(url, options, async (signal) => {
    const response = await follow(parseHttpUrl(url), signal, options);
    const chunks: Uint8Array[] = [];
    for await (const chunk of capped(response, maxBytes, url)) chunks.push(chunk);
    return concatBytes(...chunks);
  });
}

/**
 * Opens a resource as a stream. Only opening it is retried; a connection that breaks later is an error of the stream.
 *
 * @throws as {@link fetchBytes}.
 */
export async function fetchStream(
  url: string,
  maxBytes: number,
  options: RequestOptions,
): Promise<{ readonly length: number | undefined; readonly stream: AsyncIterable<Uint8Array> }> {
  const response = await withRetries(url, options, (signal) => follow(parseHttpUrl(url), signal, options));
  const announced = Number(response.headers.get("content-length") ?? Number.NaN);
  return { length: Number.isSafeInteger(announced) ? announced : undefined, stream: capped(response, maxBytes, url) };
}

/** Removes user name, password, query and fragment from a URL, for messages. */
export function redactUrl(url: string): string {
  try {
    const { protocol, host, pathname } = new URL(url);
    return `${protocol}//${host}${pathname}`;
  } catch {
    return "an invalid URL";
  }
}

/** Parses an HTTP or HTTPS URL. @throws InputError `URL_INVALID`. */
export function parseHttpUrl(text: string): URL {
  let url: URL;
  try {
    url = new URL(text);
  } catch (cause) {
    throw new InputError("URL_INVALID", "URL cannot be read", { expected: "https://…", cause });
  }
  if (url.protocol !== "https:" && url.protocol !== "http:") {
    throw new InputError("URL_INVALID", "URL is not an HTTP URL", { expected: "https://…", found: url.protocol });
  }
  return url;
}

async function withRetries<T>(url: string, options: RequestOptions, attempt: (signal: AbortSignal) => Promise<T>): Promise<T> {
  const deadline = AbortSignal.timeout(options.timeoutMs);
  const signal = options.signal === undefined ? deadline : AbortSignal.any([deadline, options.signal]);
  const sleep = options.sleep ?? ((ms: number) => abortableSleep(ms, signal));
  const retries = options.retries ?? 2;
  for (let attempts = 1; ; attempts += 1) {
    try {
      return await attempt(signal);
    } catch (cause) {
      options.signal?.throwIfAborted();
      const error = asServiceError(cause, url, deadline.aborted, options.timeoutMs);
      if (!error.retryable || attempts > retries || deadline.aborted) throw error;
      const backoff = Math.min(RETRY_MAX_MS, RETRY_BASE_MS * 2 ** (attempts - 1)) * (0.5 + Math.random() / 2);
      try {
        await sleep(retryAfterMs(cause) ?? backoff);
      } catch {
        throw error; // the deadline ended while waiting
      }
    }
  }
}

function asServiceError(cause: unknown, url: string, timedOut: boolean, timeoutMs: number): ServiceError | InputError & { retryable?: never } {
  if (timedOut) {
    return new ServiceError("HTTP_TIMEOUT", `${redactUrl(url)} did not answer in time`, { expected: `an answer within ${timeoutMs} ms`, cause });
  }
  if (cause instanceof ServiceError || cause instanceof InputError) return cause;
  const reason = cause instanceof Error ? describeNetworkError(cause) : String(cause);
  return new ServiceError("HTTP_REQUEST_FAILED", `could not reach ${redactUrl(url)}: ${reason}`, { retryable: true, cause });
}

function describeNetworkError(error: Error): string {
  const { cause } = error;
  if (cause instanceof Error) {
    const code = "code" in cause && typeof cause.code === "string" ? cause.code : undefined;
    return code ?? cause.message;
  }
  return error.message;
}

class StatusError extends ServiceError {
  readonly retryAfterMs: number | undefined;
  constructor(url: URL, response: Response) {
    super("HTTP_STATUS_UNEXPECTED", `${redactUrl(url.href)} answered with status ${response.status}`, {
      status: response.status,
      retryable: response.status === 429 || response.status >= 500,
      expected: "status 200",
      found: `status ${response.status}`,
    });
    this.name = "ServiceError";
    const seconds = Number(response.headers.get("retry-after") ?? Number.NaN);
    this.retryAfterMs = Number.isFinite(seconds) && seconds >= 0 ? seconds * 1000 : undefined;
  }
}

function retryAfterMs(cause: unknown): number | undefined {
  return cause instanceof StatusError ? cause.retryAfterMs : undefined;
}

async function follow(start: URL, signal: AbortSignal, options: RequestOptions): Promise<Response> {
  let url = start;
  for (let redirects = 0; redirects <= MAX_REDIRECTS; redirects += 1) {
    const headers = options.userAgent === undefined ? {} : { "user-agent": options.userAgent };
    const response = await options.fetch(url.href, { method: "GET", headers, redirect: "manual", signal });
    if (response.status === 200) return response;
    await response.body?.cancel();
    const location = response.headers.get("location");
    if (response.status < 300 || response.status >= 400 || location === null) throw new StatusError(url, response);
    const next = parseHttpUrl(new URL(location, url).href);
    if (url.protocol === "https:" && next.protocol !== "https:") {
      throw new ServiceError("HTTP_REQUEST_FAILED", `${redactUrl(url.href)} redirects to an unencrypted address`, {
        expected: "https",
        found: redactUrl(next.href),
      });
    }
    url = next;
  }
  throw new ServiceError("HTTP_REQUEST_FAILED", `${redactUrl(start.href)} redirects too often`, { expected: `at most ${MAX_REDIRECTS} redirects` });
}

async function* capped(response: Response, maxBytes: number, url: string): AsyncGenerator<Uint8Array> {
  const announced = Number(response.headers.get("content-length") ?? 0);
  const tooLarge = (found: number): ServiceError =>
    new ServiceError("HTTP_RESPONSE_TOO_LARGE", `${redactUrl(url)} answered with more than was asked for`, {
      expected: `at most ${maxBytes} bytes`,
      found: `${found} bytes`,
    });
  if (announced > maxBytes) {
    await response.body?.cancel();
    throw tooLarge(announced);
  }
  if (response.body === null) return;
  let length = 0;
  for await (const chunk of response.body) {
    length += chunk.length;
    if (length > maxBytes) throw tooLarge(length);
    yield chunk;
  }
}

async function abortableSleep(ms: number, signal: AbortSignal): Promise<void> {
  await new Promise<void>((resolve, reject) => {
    const stop = (): void => {
      clearTimeout(timer);
      reject(signal.reason);
    };
    const timer = setTimeout(() => {
      signal.removeEventListener("abort", stop);
      resolve();
    }, ms);
    if (signal.aborted) stop();
    else signal.addEventListener("abort", stop, { once: true });
  });
}
