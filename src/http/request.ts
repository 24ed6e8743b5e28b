/**
 * The one way to the network: a request with a deadline, retries, a size cap, redirects that never leave HTTPS and never carry
 * anything to another host, and messages without credentials.
 *
 * @module
 */

import { concatBytes } from "../encoding/bytes.ts";
import type { ServiceErrorCode } from "../errors.ts";
import { announcedLength, HttpExchange } from "./exchange.ts";
import type { ReadableHeaders } from "./header-map.ts";

/** Is the part of the standard `fetch` that is used here; injectable. */
export type Fetch = (url: string, init: RequestInit) => Promise<Response>;

/** Configures requests. */
export interface RequestOptions {
  readonly fetch: Fetch;
  /** Milliseconds for all attempts together, waits and the body included. */
  readonly timeoutMs: number;
  /** Milliseconds for one attempt, so that one that hangs leaves time for another. Default: no limit but `timeoutMs`. */
  readonly attemptTimeoutMs?: number | undefined;
  /** The moment, in `performance.now()`, by which several requests together have to end: see `withDeadline`. */
  readonly endsAt?: number | undefined;
  /** Attempts after the first one, for 429, 5xx and broken connections. Default 2. */
  readonly retries?: number | undefined;
  /**
   * For a stream: how fast it has to come. The deadline then is for opening it alone, and afterwards it may fall behind this speed by
   * `timeoutMs`, be it by a stop or by dripping; time in which nobody reads does not count. Default: all within the deadline.
   */
  readonly slowestBytesPerSecond?: number | undefined;
  /** Names the service in errors, for instance `Fulcio`. */
  readonly service?: string | undefined;
  /** Ends the request; the caller then gets the signal's reason. */
  readonly signal?: AbortSignal | undefined;
  readonly userAgent?: string | undefined;
  /** Waits between attempts; a test passes one that does not. */
  readonly sleep?: ((ms: number) => Promise<void>) | undefined;
}

/** Says what to ask for. */
export interface HttpRequest {
  readonly method: "GET" | "POST" | "PUT" | "HEAD" | "PATCH" | "DELETE";
  /** Go to the origin of the URL alone: a redirect to another one leaves them behind. */
  readonly headers?: Readonly<Record<string, string>> | undefined;
  /** Is sent again with each attempt, and never to another origin. */
  readonly body?: string | Uint8Array | undefined;
  /** Statuses that are returned; all others are thrown. */
  readonly accept: readonly number[];
  /** The answer may not be longer; it is cut off there, whatever it announced. */
  readonly maxBytes: number;
  /** Is told of each status that is not accepted, before it is thrown or tried again, and from where it came. */
  readonly onRefusal?:
    | ((answer: { readonly status: number; readonly headers: ReadableHeaders; readonly url: string }) => void)
    | undefined;
  /** Code of the error for a status from 400 on that no other attempt would change. Default `HTTP_STATUS_UNEXPECTED`. */
  readonly refusal?: ServiceErrorCode | undefined;
}

/** Is an answer with a status that was accepted. */
export interface HttpAnswer {
  readonly status: number;
  readonly headers: ReadableHeaders;
  readonly body: Uint8Array;
  /** From where it came, after redirects. */
  readonly url: string;
  /** How often the request was made. */
  readonly attempts: number;
}

/**
 * Sends a request and reads its answer whole.
 *
 * What the server says about a refusal stands in the message, shortened and without secrets. The content type of an answer is not
 * checked.
 *
 * @throws ServiceError `HTTP_STATUS_UNEXPECTED` or the code for refusals, `HTTP_REQUEST_FAILED`, `HTTP_TIMEOUT`,
 * `HTTP_RESPONSE_TOO_LARGE`; InputError `URL_INVALID`, `USAGE_INVALID` for a header that cannot be sent.
 */
export async function sendRequest(url: string, request: HttpRequest, options: RequestOptions): Promise<HttpAnswer> {
  const exchange = new HttpExchange(url, request, options);
  try {
    return await exchange.withRetries(async (attempt) => {
      const { response, url: from } = await exchange.open(attempt);
      const { status, headers } = response;
      const chunks: Uint8Array[] = [];
      // The answer to HEAD announces the length of what it does not have.
      if (request.method !== "HEAD") for await (const chunk of exchange.body(response, attempt)) chunks.push(chunk);
      return { status, headers, body: concatBytes(...chunks), url: from, attempts: exchange.attempts };
    });
  } finally {
    exchange.end();
  }
}

/**
 * Fetches a resource whole.
 *
 * @param maxBytes - The answer may not be longer; it is cut off there, whatever it announced.
 * @throws ServiceError `HTTP_STATUS_UNEXPECTED`, `HTTP_REQUEST_FAILED`, `HTTP_TIMEOUT`, `HTTP_RESPONSE_TOO_LARGE`;
 * InputError `URL_INVALID`.
 */
export async function fetchBytes(url: string, maxBytes: number, options: RequestOptions): Promise<Uint8Array> {
  return (await sendRequest(url, { method: "GET", accept: [200], maxBytes }, options)).body;
}

/**
 * Opens a resource as a stream. Only opening it is retried; a connection that breaks later is an error of the stream.
 *
 * @returns the stream, the headers of the answer, and how many bytes the server announced.
 * @throws as {@link fetchBytes}, the stream too.
 */
export async function fetchStream(
  url: string,
  maxBytes: number,
  options: RequestOptions,
  request: Pick<HttpRequest, "headers" | "refusal" | "onRefusal"> = {},
): Promise<OpenedStream> {
  const exchange = new HttpExchange(url, { ...request, method: "GET", accept: [200], maxBytes }, options);
  const { response } = await exchange.withRetries((attempt) => exchange.open(attempt));
  if (options.slowestBytesPerSecond !== undefined) exchange.end();
  return {
    length: announcedLength(response),
    headers: response.headers,
    stream: exchange.body(response),
    cancel: async () => await response.body?.cancel(),
  };
}

/** Is a resource that is being read. */
export interface OpenedStream {
  /** As announced; absent where that is the length of something compressed, too. */
  readonly length: number | undefined;
  readonly headers: Headers;
  readonly stream: AsyncIterable<Uint8Array>;
  /** Gives it up, instead of reading it. */
  readonly cancel: () => Promise<void>;
}

/** Starts one deadline for work that takes several requests: `timeoutMs` from now on, unless one runs already. */
export function withDeadline<T extends RequestOptions>(options: T): T {
  return options.endsAt === undefined ? { ...options, endsAt: performance.now() + options.timeoutMs } : options;
}
