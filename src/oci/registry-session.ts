/**
 * Everything that is known of one registry while the program runs: how it is reached, who it lets in, how much it is asked at a time.
 *
 * @module
 */

import { ServiceError } from "../errors.ts";
import { fetchFor } from "../http/fetch.ts";
import { redactUrl } from "../http/redact.ts";
import {
  fetchStream,
  sendRequest,
  withDeadline,
  type Fetch,
  type HttpAnswer,
  type HttpRequest,
  type RequestOptions,
} from "../http/request.ts";
import { Authorizer, type RegistryScope } from "./authorization.ts";
import { dockerCredentials } from "./docker-config.ts";
import type { RegistryOptions } from "./registry-options.ts";

const DEFAULT_TIMEOUT_MS = 60_000;
const DEFAULT_CONCURRENCY = 8;
/** A blob that comes more slowly than this, in bytes per second, is given up: its time is that of a request and so much more. */
const SLOWEST_TRANSFER = 64 * 1024;

/** Is a request to a registry: its path below `/v2/`, or a URL that the registry gave. */
export interface RegistryRequest extends Omit<HttpRequest, "refusal" | "onRefusal"> {
  /** `library/app/manifests/latest`, or `https://registry.example/v2/…` of the registry's own origin. */
  readonly target: string;
  readonly scope: RegistryScope | undefined;
}

/** Is the session with one registry. */
export class RegistrySession {
  readonly registry: string;
  readonly #options: RegistryOptions;
  readonly #requestOptions: RequestOptions;
  readonly #authorizer: Authorizer;
  readonly #slots: Slots;
  /** How it may be reached, the first to be tried first. */
  #schemes: readonly [Scheme, ...Scheme[]];
  /** Whether the first of them has been answered on. */
  #isKnown: boolean;
  /** The request that finds that out; all others wait for it. */
  #discovery: Promise<unknown> | undefined;

  constructor(registry: string, options: RegistryOptions) {
    this.registry = registry;
    this.#options = options;
    this.#schemes = schemesOf(registry, options);
    this.#isKnown = this.#schemes.length === 1;
    this.#slots = new Slots(options.concurrency ?? DEFAULT_CONCURRENCY);
    const environment = options.environment ?? process.env;
    const plain = this.#observed(options.fetch ?? fetchFor(environment), false);
    const own = this.#observed(ownFetch(options, environment), false);
    this.#requestOptions = {
      // What is for this registry is for no other host, be it a certificate or a name that it must have.
      fetch: (url, init) => (URL.parse(url)?.host === registry ? own(url, init) : plain(url, init)),
      timeoutMs: options.timeoutMs ?? DEFAULT_TIMEOUT_MS,
      retries: options.retries,
      service: `registry ${registry}`,
      signal: options.signal,
      userAgent: options.userAgent,
      sleep: options.sleep,
    };
    const tokens = this.#observed(options.fetch ?? fetchFor(environment), true);
    const ownTokens = this.#observed(ownFetch(options, environment), true);
    this.#authorizer = new Authorizer({
      registry,
      credentials: options.credentials ?? dockerCredentials(environment, options.signal),
      trustedRealmHosts: options.trustedRealmHosts ?? [],
      send: (url, request) =>
        sendRequest(url, request, {
          ...this.#requestOptions,
          fetch: (to, init) => (URL.parse(to)?.host === registry ? ownTokens(to, init) : tokens(to, init)),
          service: `token service of ${registry}`,
        }),
    });
  }

  /**
   * Sends a request, with whatever the registry wants to know of who asks.
   *
   * @throws ServiceError `REGISTRY_UNAUTHORIZED`, `REGISTRY_REQUEST_REFUSED`, `REGISTRY_REALM_REFUSED`, and those of `sendRequest`.
   */
  async send(request: RegistryRequest): Promise<HttpAnswer> {
    return await this.#slots.run(() =>
      this.#authorized(request, (url, own, options) => sendRequest(url, { ...request, ...own }, options)),
    );
  }

  /**
   * Opens a blob as a stream. The time that it may take grows with its size.
   *
   * @throws as {@link RegistrySession.send}; the stream too.
   */
  async *stream(target: string, scope: RegistryScope, maxBytes: number): AsyncGenerator<Uint8Array> {
    const timeoutMs = this.#requestOptions.timeoutMs + (maxBytes / SLOWEST_TRANSFER) * 1000;
    const request: RegistryRequest = { method: "GET", target, scope, accept: [200], maxBytes };
    const release = await this.#slots.take();
    try {
      const { stream } = await this.#authorized(request, (url, own, options) =>
        fetchStream(url, maxBytes, { ...options, timeoutMs, endsAt: undefined }, own),
      );
      yield* stream;
    } finally {
      release();
    }
  }

  /**
   * Resolves a URL that the registry gave for what follows: on its own origin, whose scheme stays as it is.
   *
   * @throws ServiceError `SERVICE_RESPONSE_INVALID` for another host.
   */
  resolveOwn(location: string, from: string): string {
    const url = URL.parse(location, from);
    const base = new URL(from);
    if (url === null || url.host !== base.host || url.username + url.password !== "") {
      throw new ServiceError(
        "SERVICE_RESPONSE_INVALID",
        `registry ${this.registry} sends to another host, which is not asked`,
        {
          service: `registry ${this.registry}`,
          expected: base.host,
          found: url === null ? "no URL" : redactUrl(url.href),
        },
      );
    }
    // Behind a proxy that ends TLS, a registry may take itself for unencrypted.
    url.protocol = base.protocol;
    return url.href;
  }

  async #authorized<T>(
    request: RegistryRequest,
    send: (
      url: string,
      own: Pick<HttpRequest, "headers" | "refusal" | "onRefusal">,
      options: RequestOptions,
    ) => Promise<T>,
  ): Promise<T> {
    const { scope, headers = {} } = request;
    const options = withDeadline(this.#requestOptions);
    let authorization = await this.#authorizer.header(scope);
    for (let attempt = 1; ; attempt += 1) {
      let challenge: { readonly header: string; readonly origin: string } | undefined;
      try {
        return await this.#reached(request.target, async (url, schemeOptions) => {
          const { origin } = new URL(url);
          return await send(
            url,
            {
              headers: {
                // What is compressed on the way would be longer or shorter than it says.
                "accept-encoding": "identity",
                ...headers,
                ...(authorization !== undefined && { authorization }),
              },
              refusal: "REGISTRY_REQUEST_REFUSED",
              onRefusal: ({ status, headers: answered, url: from }) => {
                // Another host, to which a blob was redirected, has no say in who we are.
                if (status === 401 && new URL(from).origin === origin)
                  challenge = { header: answered.get("www-authenticate") ?? "", origin };
              },
            },
            { ...options, ...schemeOptions },
          );
        });
      } catch (error) {
        if (!(error instanceof ServiceError) || (error.status !== 401 && error.status !== 403)) throw error;
        const next =
          challenge === undefined || attempt > 1
            ? undefined
            : await this.#authorizer.answer(challenge.header, challenge.origin, scope);
        if (next === undefined) throw this.#unauthorized(error, authorization !== undefined);
        authorization = next;
      }
    }
  }

  /** Finds out by the first request how the registry is reached, where that may be in two ways. */
  async #reached<T>(target: string, ask: (url: string, options: Partial<RequestOptions>) => Promise<T>): Promise<T> {
    if (/^https?:/.test(target)) return await ask(target, {});
    const urlOn = (scheme: Scheme): string => `${scheme}://${this.registry}/v2/${target}`;
    while (!this.#isKnown && this.#discovery !== undefined) await this.#discovery.catch(() => undefined);
    if (this.#isKnown) return await ask(urlOn(this.#schemes[0]), {});
    const work = this.#discover(ask, urlOn);
    this.#discovery = work;
    try {
      return await work;
    } finally {
      this.#discovery = undefined;
    }
  }

  async #discover<T>(
    ask: (url: string, options: Partial<RequestOptions>) => Promise<T>,
    urlOn: (scheme: Scheme) => string,
  ): Promise<T> {
    const [first, second = first] = this.#schemes;
    const known = (scheme: Scheme): void => {
      this.#schemes = [scheme];
      this.#isKnown = true;
    };
    try {
      const found = await ask(urlOn(first), { retries: 0 });
      known(first);
      return found;
    } catch (error) {
      if (!(error instanceof ServiceError)) throw error;
      if (error.status !== undefined && !wantsTls(error, first)) {
        known(first); // it was answered
        throw error;
      }
      if (error.code !== "HTTP_REQUEST_FAILED" && !wantsTls(error, first)) throw error;
      try {
        const found = await ask(urlOn(second), {});
        known(second);
        return found;
      } catch (other) {
        if (other instanceof ServiceError && other.status !== undefined) {
          known(second);
          throw other;
        }
        // Neither of the two: what the first said is what a person expects.
        throw error;
      }
    }
  }

  #unauthorized(error: ServiceError, wasSent: boolean): ServiceError {
    return new ServiceError("REGISTRY_UNAUTHORIZED", error.message, {
      status: error.status,
      service: error.service,
      attempts: error.attempts,
      expected: "credentials that allow it",
      found: wasSent ? "credentials that do not" : "no credentials",
      cause: error.cause,
      remedy: wasSent
        ? `log in to ${this.registry} with an account that may do that: cosign-ts login ${this.registry}`
        : `log in: cosign-ts login ${this.registry}`,
    });
  }

  #observed(fetch: Fetch, authentication: boolean): Fetch {
    const { observer } = this.#options;
    if (observer === undefined) return fetch;
    return async (url, init) => {
      const method = init.method ?? "GET";
      const tell = (status: number | undefined, bytes: number): void =>
        observer({ kind: "request", method, url: url.split("?")[0] ?? "", status, bytes, authentication });
      try {
        const response = await fetch(url, init);
        tell(response.status, method === "HEAD" ? 0 : Number(response.headers.get("content-length") ?? 0));
        return response;
      } catch (error) {
        tell(undefined, 0);
        throw error;
      }
    };
  }
}

type Scheme = "https" | "http";

/** TLS, unless the caller gave that up or the registry is on this machine. */
function schemesOf(registry: string, { allowHttp = false, tls }: RegistryOptions): readonly [Scheme, ...Scheme[]] {
  if (allowHttp) return isLoopback(registry) && tls === undefined ? ["http", "https"] : ["https", "http"];
  return isLoopback(registry) ? (tls === undefined ? ["http", "https"] : ["https", "http"]) : ["https"];
}

function isLoopback(registry: string): boolean {
  const host = registry.replace(/:\d+$/, "");
  return host === "localhost" || /^127(\.\d{1,3}){3}$/.test(host) || host === "[::1]" || host.endsWith(".localhost");
}

/** Servers that speak TLS and are asked without it say so with this status, in words of their own. */
function wantsTls({ status, message }: ServiceError, scheme: Scheme): boolean {
  return scheme === "http" && status === 400 && /https|plain HTTP/i.test(message.replace(/\(http[^)]*\)/, ""));
}

function ownFetch(options: RegistryOptions, environment: NonNullable<RegistryOptions["environment"]>): Fetch {
  const { tls, insecureSkipTlsVerify = false, fetch } = options;
  if (tls === undefined && !insecureSkipTlsVerify) return fetch ?? fetchFor(environment);
  const secure = fetchFor(environment, { ...tls, ...(insecureSkipTlsVerify && { insecureSkipVerify: true }) });
  const plain = fetch ?? fetchFor(environment);
  return (url, init) => (url.startsWith("https:") ? secure(url, init) : plain(url, init));
}

/** Lets so much be done at a time. */
class Slots {
  #free: number;
  readonly #waiting: (() => void)[] = [];

  constructor(count: number) {
    this.#free = count;
  }

  async run<T>(work: () => Promise<T>): Promise<T> {
    const release = await this.take();
    try {
      return await work();
    } finally {
      release();
    }
  }

  async take(): Promise<() => void> {
    if (this.#free > 0) this.#free -= 1;
    else
      await new Promise<void>((resolve) => {
        this.#waiting.push(resolve);
      });
    let released = false;
    return () => {
      if (released) return;
      released = true;
      const next = this.#waiting.shift();
      if (next === undefined) this.#free += 1;
      else next();
    };
  }
}
