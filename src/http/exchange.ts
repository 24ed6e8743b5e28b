/**
 * One request with all its attempts: a deadline, retries, redirects, and how a failure is told.
 *
 * @module
 */

import { InputError, ServiceError, SigstoreError, type ServiceErrorCode } from "../errors.ts";
import { MAX_ERROR_BODY_BYTES, MAX_REDIRECTS } from "../limits.ts";
import { HeaderMap } from "./header-map.ts";
import { abortableSleep } from "./pause.ts";
import { redactSecrets, redactUrl, secretsSentBy } from "./redact.ts";
import { followRedirect, harmlessHeaders, parseHttpUrl, REDIRECTS } from "./redirect.ts";
import type { HttpRequest, RequestOptions } from "./request.ts";
import { findServerWords } from "./server-words.ts";

/** The longest that a timer can wait. */
const MAX_TIMER_MS = 2 ** 31 - 1;

const RETRY_BASE_MS = 250;
const RETRY_MAX_MS = 8000;
/** For the body of an error, which is a courtesy. */
const ERROR_BODY_TIMEOUT_MS = 1000;

/** Is one attempt, which its own timeout may end before the deadline does. */
interface Attempt {
  readonly signal: AbortSignal;
  readonly timeout: AbortSignal;
  /** Stops the timeout, not what goes on under it. */
  readonly end: () => void;
}

/** What a failure is, before it is known whether it is the last one. */
interface FailureDetails {
  readonly code: ServiceErrorCode;
  /** Says what happened; `who` names the service and the URL. */
  readonly problem: (who: string) => string;
  readonly url: string;
  readonly retryable: boolean;
  readonly retryAfterMs?: number | undefined;
  readonly status?: number | undefined;
  /** The server's own words, in quotation marks. */
  readonly words?: string | undefined;
  readonly expected?: string | undefined;
  readonly found?: string | undefined;
  readonly cause?: unknown;
}

class AttemptFailure extends Error {
  readonly details: FailureDetails;
  constructor(details: FailureDetails) {
    super(details.code);
    this.details = details;
  }
}

/** Is one request with its deadline. */
export class HttpExchange {
  readonly #url: URL;
  readonly #request: HttpRequest;
  readonly #headers: HeaderMap;
  readonly #options: RequestOptions;
  readonly #endsAt: number;
  readonly #deadline = new AbortController();
  readonly #timer: NodeJS.Timeout;
  #attempts = 0;

  constructor(url: string, request: HttpRequest, options: RequestOptions) {
    this.#url = parseHttpUrl(url);
    this.#request = request;
    this.#headers = makeHeaders(request.headers ?? {}, options.userAgent);
    this.#options = options;
    const now = performance.now();
    this.#endsAt = Math.min(options.endsAt ?? Infinity, now + options.timeoutMs);
    // What is longer would be no time at all; the difference may be a little longer than what it was made of.
    const left = Math.min(MAX_TIMER_MS, Math.max(0, Math.ceil(this.#endsAt - now)));
    this.#timer = setTimeout(() => this.#deadline.abort(new Error("deadline has passed")), left);
    // What nobody waits for any more keeps no process alive.
    this.#timer.unref();
  }

  /** Ends the deadline, for instance because everything is there. */
  end(): void {
    clearTimeout(this.#timer);
  }

  /** How often the request was made so far. */
  get attempts(): number {
    return this.#attempts;
  }

  /** Does a piece of work until it succeeds, fails for good, or nothing is left of time or attempts. */
  async withRetries<T>(work: (attempt: Attempt) => Promise<T>): Promise<T> {
    const { retries = 2, signal } = this.#options;
    const waiting = signal === undefined ? this.#deadline.signal : AbortSignal.any([this.#deadline.signal, signal]);
    const { sleep = (ms: number) => abortableSleep(ms, waiting) } = this.#options;
    for (;;) {
      const attempt = this.#startAttempt();
      try {
        return await work(attempt);
      } catch (cause) {
        const { details } = this.#failureOf(cause, attempt);
        const backoff = Math.min(RETRY_MAX_MS, RETRY_BASE_MS * 2 ** (this.#attempts - 1)) * (0.5 + Math.random() / 2);
        const wait = details.retryAfterMs ?? backoff;
        // Whoever asks for more time than there is gets no second request.
        if (!details.retryable || this.#attempts > retries || performance.now() + wait >= this.#endsAt) {
          throw this.#errorOf(details);
        }
        await sleep(wait).catch(() => undefined);
        signal?.throwIfAborted();
        if (this.#deadline.signal.aborted) throw this.#errorOf(details);
      } finally {
        attempt.end();
      }
    }
  }

  #startAttempt(): Attempt {
    this.#attempts += 1;
    const { signal, attemptTimeoutMs } = this.#options;
    const timeout = new AbortController();
    const timer =
      attemptTimeoutMs === undefined
        ? undefined
        : setTimeout(() => timeout.abort(new Error("attempt timed out")), attemptTimeoutMs);
    return {
      signal: AbortSignal.any([
        this.#deadline.signal,
        ...(signal === undefined ? [] : [signal]),
        ...(timer === undefined ? [] : [timeout.signal]),
      ]),
      timeout: timeout.signal,
      end: () => clearTimeout(timer),
    };
  }

  /** Makes the request, and follows redirects to an answer with a status that is accepted. */
  async open({ signal }: Attempt): Promise<{ readonly response: Response; readonly url: string }> {
    const { method, body, accept } = this.#request;
    let url = this.#url;
    let headers = this.#headers;
    for (let redirects = 0; redirects <= MAX_REDIRECTS; redirects += 1) {
      const init: RequestInit = { method, headers: Object.fromEntries(headers), redirect: "manual", signal };
      if (body !== undefined) init.body = body as Exclude<typeof body, Uint8Array> | Uint8Array<ArrayBuffer>;
      const response = await this.#options.fetch(url.href, init);
      if (accept.includes(response.status)) return { response, url: url.href };
      const location = response.headers.get("location");
      if (!REDIRECTS.has(response.status) || location === null) throw await this.#statusFailure(url, response);
      await response.body?.cancel();
      const to = followRedirect({ status: response.status, location, method, from: url });
      if (typeof to === "string") {
        const target = URL.parse(location, url);
        throw this.#failure(url, {
          code: "HTTP_REQUEST_FAILED",
          problem: (who) => `${who} redirects ${to}`,
          found: target === null ? undefined : redactUrl(target.href),
        });
      }
      if (to.origin !== url.origin) headers = harmlessHeaders(headers);
      url = to;
    }
    throw this.#failure(this.#url, {
      code: "HTTP_REQUEST_FAILED",
      problem: (who) => `${who} redirects too often`,
      expected: `at most ${MAX_REDIRECTS} redirects`,
    });
  }

  /** Reads an answer, as far as it may be. */
  async *body(response: Response, attempt?: Attempt): AsyncGenerator<Uint8Array> {
    const { maxBytes } = this.#request;
    const tooLarge = (found: number): AttemptFailure =>
      this.#failure(this.#url, {
        code: "HTTP_RESPONSE_TOO_LARGE",
        problem: (who) => `${who} answered with more than was asked for`,
        expected: `at most ${maxBytes} bytes`,
        found: `${found} bytes`,
      });
    try {
      const announced = announcedLength(response) ?? 0;
      if (announced > maxBytes) {
        await response.body?.cancel();
        throw tooLarge(announced);
      }
      let length = 0;
      for await (const chunk of this.#chunks(response)) {
        length += chunk.length;
        if (length > maxBytes) throw tooLarge(length);
        yield chunk;
      }
    } catch (cause) {
      // Within an attempt, whoever counts them decides what becomes of it.
      if (attempt !== undefined) throw cause;
      throw this.#errorOf(this.#failureOf(cause).details);
    }
  }

  #chunks({ body }: Response): AsyncIterable<Uint8Array> | readonly Uint8Array[] {
    if (body === null) return [];
    const { slowestBytesPerSecond } = this.#options;
    const stream = body as ReadableStream<Uint8Array>;
    return slowestBytesPerSecond === undefined ? stream : this.#paced(stream, slowestBytesPerSecond);
  }

  /** Reads what may take as long as it is large: only the waits for it count, not what is done with it between them. */
  async *#paced(body: ReadableStream<Uint8Array>, slowest: number): AsyncGenerator<Uint8Array> {
    const reader = body.getReader();
    const { timeoutMs } = this.#options;
    let waited = 0;
    let length = 0;
    let isTooSlow = false;
    try {
      for (;;) {
        const began = performance.now();
        const left = timeoutMs + (length / slowest) * 1000 - waited;
        const timer = setTimeout(
          () => {
            isTooSlow = true;
            void reader.cancel().catch(() => undefined);
          },
          Math.min(MAX_TIMER_MS, Math.max(0, left)),
        );
        const read = await reader
          .read()
          .catch((error: unknown) => {
            if (!isTooSlow) throw error;
          })
          .finally(() => clearTimeout(timer));
        if (isTooSlow || read === undefined) break;
        const { done, value } = read;
        if (done) return;
        waited += performance.now() - began;
        length += value.length;
        yield value;
      }
    } finally {
      await reader.cancel().catch(() => undefined);
    }
    throw this.#failure(this.#url, {
      code: "HTTP_TIMEOUT",
      problem: (who) => `${who} sends too slowly`,
      retryable: true,
      expected: `${slowest} bytes a second, and no more than ${timeoutMs} ms behind that`,
      found: `${length} bytes`,
    });
  }

  async #statusFailure(url: URL, response: Response): Promise<AttemptFailure> {
    const { status, headers } = response;
    const { accept, refusal, onRefusal } = this.#request;
    onRefusal?.({ status, headers, url: url.href });
    const retryable = status === 429 || status >= 500;
    const retryAfter = headers.get("retry-after") ?? "";
    const retryAfterMs = parseRetryAfter(retryAfter);
    if (status < 400) await response.body?.cancel();
    return this.#failure(url, {
      code: refusal !== undefined && status >= 400 && !retryable ? refusal : "HTTP_STATUS_UNEXPECTED",
      problem: (who) => `${who} answered with status ${status}`,
      words:
        status < 400
          ? undefined
          : findServerWords(await readErrorBody(response), secretsSentBy(this.#headers, this.#request.body)),
      status,
      retryable,
      retryAfterMs,
      // Those among them that are errors are accepted to be told in another way.
      expected: `status ${accept.filter((one) => one < 400 || accept.every((other) => other >= 400)).join(" or ")}`,
      found: `status ${status}${retryAfterMs === undefined ? "" : `, to try again after ${retryAfter}`}`,
    });
  }

  /** Names what ended an attempt. The caller's own signal is no failure of the service: its reason is thrown as it is. */
  #failureOf(cause: unknown, attempt?: Attempt): AttemptFailure {
    this.#options.signal?.throwIfAborted();
    if (cause instanceof AttemptFailure) return cause;
    const timeoutMs = this.#deadline.signal.aborted
      ? this.#options.timeoutMs
      : attempt?.timeout.aborted === true
        ? this.#options.attemptTimeoutMs
        : undefined;
    if (timeoutMs !== undefined) {
      return this.#failure(this.#url, {
        code: "HTTP_TIMEOUT",
        problem: (who) => `${who} did not answer in time`,
        retryable: true,
        expected: `an answer within ${timeoutMs} ms`,
        cause,
      });
    }
    // From the `fetch` that was passed in: it knows better than anybody here.
    if (cause instanceof SigstoreError) throw cause;
    const reason = describeNetworkError(cause);
    return this.#failure(this.#url, {
      code: "HTTP_REQUEST_FAILED",
      problem: (who) => `could not reach ${who}: ${reason}`,
      retryable: !isCertificateProblem(cause),
      cause,
    });
  }

  #failure(
    url: URL,
    details: Omit<FailureDetails, "url" | "retryable"> & { readonly retryable?: boolean },
  ): AttemptFailure {
    return new AttemptFailure({ retryable: false, ...details, url: redactUrl(url.href) });
  }

  #errorOf({ code, problem, url, words, ...details }: FailureDetails): ServiceError {
    const { service } = this.#options;
    const attempts = this.#attempts;
    const counted = attempts > 1 ? ` (${attempts} attempts)` : "";
    const said = words === undefined ? "" : `: ${words}`;
    const message = `${problem(service === undefined ? url : `${service} (${url})`)}${counted}${said}`;
    return new ServiceError(code, message, { ...details, service, attempts });
  }
}

function makeHeaders(headers: Readonly<Record<string, string>>, userAgent: string | undefined): HeaderMap {
  const made = new HeaderMap(userAgent === undefined ? [] : [["user-agent", userAgent]]);
  for (const [name, value] of Object.entries(headers)) {
    try {
      made.set(name, value);
    } catch {
      // Without the cause, which repeats the value.
      throw new InputError("USAGE_INVALID", `value of the header ${JSON.stringify(name)} cannot be sent`, {
        expected: "text without line breaks",
      });
    }
  }
  return made;
}

/** The length in the header, unless that is of something compressed. */
export function announcedLength({ headers }: Response): number | undefined {
  const text = headers.get("content-length") ?? "";
  return /^\d{1,15}$/.test(text) && headers.get("content-encoding") === null ? Number(text) : undefined;
}

/** Reads the beginning of an error, if it comes soon. */
async function readErrorBody({ body }: Response): Promise<Uint8Array> {
  const read = new Uint8Array(MAX_ERROR_BODY_BYTES);
  if (body === null) return read.subarray(0, 0);
  const reader = (body as ReadableStream<Uint8Array>).getReader();
  const timer = setTimeout(() => void reader.cancel().catch(() => undefined), ERROR_BODY_TIMEOUT_MS);
  let length = 0;
  try {
    while (length < read.length) {
      const { done, value } = await reader.read();
      if (done) break;
      const fitting = value.subarray(0, read.length - length);
      read.set(fitting, length);
      length += fitting.length;
    }
    await reader.cancel();
  } catch {
    // The status says enough.
  } finally {
    clearTimeout(timer);
  }
  return read.subarray(0, length);
}

/** Reads `Retry-After`: seconds, or a date. @see RFC 9110 §10.2.3 */
function parseRetryAfter(text: string): number | undefined {
  if (/^\d{1,9}$/.test(text)) return Number(text) * 1000;
  const wait = Date.parse(/^[A-Z][a-z]{2}, .* GMT$/.test(text) ? text : "") - Date.now();
  return Number.isNaN(wait) ? undefined : Math.max(0, wait);
}

function describeNetworkError(error: unknown): string {
  if (!(error instanceof Error)) return redactSecrets(String(error));
  const { cause } = error;
  if (!(cause instanceof Error)) return redactSecrets(error.message);
  return "code" in cause && typeof cause.code === "string" ? cause.code : redactSecrets(cause.message);
}

/** A certificate that is not good will not be better at the next try. */
function isCertificateProblem(error: unknown): boolean {
  const cause = error instanceof Error ? error.cause : undefined;
  const code = cause instanceof Error && "code" in cause ? String(cause.code) : "";
  return /^(CERT_|ERR_TLS_|ERR_SSL_|UNABLE_TO_|SELF_SIGNED_|DEPTH_ZERO_|HOSTNAME_MISMATCH)/.test(code);
}
