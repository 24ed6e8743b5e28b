/**
 * Everything that is known of one registry while the program runs: how it is reached, who it lets in, how much it is asked at a time.
 *
 * @module
 */

import { ServiceError } from "../../errors.ts";
import { fetchFor } from "../../http/fetch.ts";
import { redactUrl } from "../../http/redact.ts";
import {
  fetchStream,
  sendRequest,
  withDeadline,
  type Fetch,
  type HttpAnswer,
  type HttpRequest,
  type OpenedStream,
  type RequestOptions,
} from "../../http/request.ts";
import { Authorizer, type RegistryScope } from "./authorization.ts";
import { dockerCredentials } from "./docker-config.ts";
import { observed } from "./observed-fetch.ts";
import type { RegistryOptions } from "./registry-options.ts";
import { hasBadCertificate, schemesOf, speaksPlainHttp, wantsTls, type Scheme } from "./registry-scheme.ts";
import { Slots } from "./slots.ts";

const DEFAULT_TIMEOUT_MS = 60_000;
const DEFAULT_CONCURRENCY = 8;
/** In bytes per second. What takes longer is given up: content has the time of a request, and so much more as it is large. */
const SLOWEST_TRANSFER = 64 * 1024;

/** Is a request to a registry: its path below `/v2/`, or a URL that the registry gave. */
export interface RegistryRequest extends Omit<HttpRequest, "refusal" | "onRefusal"> {
  /** `library/app/manifests/latest`, or `https://registry.example/v2/…` of the registry's own origin. */
  readonly target: string;
  readonly scope: RegistryScope | undefined;
  /** Bytes of content that the registry sends or works through, besides those of the body: it gets the time for them. */
  readonly contentBytes?: number | undefined;
}

/** Is the session with one registry. */
export class RegistrySession {
  readonly registry: string;
  readonly #requestOptions: RequestOptions;
  readonly #authorizer: Authorizer;
  readonly #slots: Slots;
  /** Streams have their own: what is read from one repository is sent to another meanwhile, and that must not wait for the end of it. */
  readonly #streams: Slots;
  /** How it may be reached, the first to be tried first. */
  #schemes: readonly [Scheme, ...Scheme[]];
  /** Whether the first of them has been answered on. */
  #isKnown: boolean;
  /** The request that finds that out; all others wait for it. */
  #discovery: Promise<unknown> | undefined;

  constructor(registry: string, options: RegistryOptions) {
    this.registry = registry;
    this.#schemes = schemesOf(registry, options);
    this.#isKnown = this.#schemes.length === 1;
    this.#slots = new Slots(options.concurrency ?? DEFAULT_CONCURRENCY);
    this.#streams = new Slots(options.concurrency ?? DEFAULT_CONCURRENCY);
    const environment = options.environment ?? process.env;
    const plain = observed(options.fetch ?? fetchFor(environment), false, options.observer);
    const own = observed(ownFetch(options, environment), false, options.observer);
    this.#requestOptions = {
      // What is for this registry is for no other host, be it a certificate or a name that it must have.
      fetch: (url, init) => (this.#isOwn(URL.parse(url)) ? own(url, init) : plain(url, init)),
      timeoutMs: options.timeoutMs ?? DEFAULT_TIMEOUT_MS,
      retries: options.retries,
      service: `registry ${registry}`,
      signal: options.signal,
      userAgent: options.userAgent,
      sleep: options.sleep,
    };
    const tokens = observed(options.fetch ?? fetchFor(environment), true, options.observer);
    const ownTokens = observed(ownFetch(options, environment), true, options.observer);
    this.#authorizer = new Authorizer({
      registry,
      credentials: options.credentials ?? dockerCredentials(environment, options.signal),
      trustedRealmHosts: options.trustedRealmHosts ?? [],
      send: (url, request) =>
        sendRequest(url, request, {
          ...this.#requestOptions,
          fetch: (to, init) => (this.#isOwn(URL.parse(to)) ? ownTokens(to, init) : tokens(to, init)),
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
   * Opens a blob as a stream, of which no more than so many bytes are read. It may take the longer, the larger it is.
   *
   * @param check - Is told what the answer says of itself, before anything is read.
   * @throws as {@link RegistrySession.send}; the stream too.
   */
  async *stream(
    target: string,
    scope: RegistryScope,
    maxBytes: number,
    check: (answer: Pick<OpenedStream, "headers" | "length">) => void,
  ): AsyncGenerator<Uint8Array> {
    const request: RegistryRequest = { method: "GET", target, scope, accept: [200], maxBytes };
    const release = await this.#streams.take();
    try {
      const opened = await this.#authorized(request, (url, own, options) =>
        fetchStream(url, maxBytes, { ...options, slowestBytesPerSecond: SLOWEST_TRANSFER }, own),
      );
      try {
        check(opened);
      } catch (error) {
        await opened.cancel();
        throw error;
      }
      yield* opened.stream;
    } finally {
      release();
    }
  }

  /**
   * Resolves a URL that the registry gave for what follows: on its own origin, whose scheme stays as it is.
   *
   * @param from - Where the answer with it came from.
   * @throws ServiceError `SERVICE_RESPONSE_INVALID` for another host, be it that of the URL or that of the answer.
   */
  resolveOwn(location: string, from: string): string {
    const base = new URL(from);
    // A list, too, may have come from where a redirect led to.
    if (!this.#isOwn(base)) throw this.#notOwn(base);
    const url = URL.parse(location, from);
    // Behind a proxy that ends TLS, a registry may take itself for unencrypted.
    if (url !== null) url.protocol = base.protocol;
    if (url?.protocol !== base.protocol || url.username + url.password !== "" || !this.#isOwn(url))
      throw this.#notOwn(url);
    return url.href;
  }

  #notOwn(url: URL | null | undefined): ServiceError {
    return new ServiceError(
      "SERVICE_RESPONSE_INVALID",
      `registry ${this.registry} sends to another host, which is not asked`,
      {
        service: `registry ${this.registry}`,
        expected: this.registry,
        found: url === null || url === undefined ? "no URL" : redactUrl(url.href),
      },
    );
  }

  /** With the port that is not written, too. */
  #isOwn(url: URL | null): boolean {
    return url !== null && url.host === URL.parse(`${url.protocol}//${this.registry}`)?.host;
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
    const content = (request.body?.length ?? 0) + (request.contentBytes ?? 0);
    const timeoutMs = this.#requestOptions.timeoutMs + Math.ceil((content / SLOWEST_TRANSFER) * 1000);
    const options = withDeadline({ ...this.#requestOptions, timeoutMs });
    let authorization: string | undefined;
    let isAnswered = false;
    for (;;) {
      let challenge: { readonly header: string; readonly origin: string } | undefined;
      let isElsewhere = false;
      try {
        return await this.#reached(request.target, async (url, schemeOptions) => {
          // Before it is known how the registry is reached, nothing is sent that not everybody may have.
          if (this.#isKnown) authorization ??= await this.#authorizer.header(scope);
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
                isElsewhere = new URL(from).origin !== origin;
                if (status === 401 && !isElsewhere)
                  challenge = { header: answered.get("www-authenticate") ?? "", origin };
              },
            },
            { ...options, ...schemeOptions },
          );
        });
      } catch (error) {
        if (!(error instanceof ServiceError) || (error.status !== 401 && error.status !== 403) || isElsewhere)
          throw error;
        const wasSent = authorization !== undefined;
        // What is known comes first: who found out how the registry is reached went without it.
        let next = wasSent ? undefined : await this.#authorizer.header(scope);
        if (next === undefined && challenge !== undefined && !isAnswered) {
          isAnswered = true;
          next = await this.#authorizer.answer(challenge.header, challenge.origin, scope);
        }
        if (next === undefined) throw this.#unauthorized(error, wasSent);
        authorization = next;
      }
    }
  }

  /** Finds out by the first request how the registry is reached, where that may be in two ways. */
  async #reached<T>(target: string, ask: (url: string, options: Partial<RequestOptions>) => Promise<T>): Promise<T> {
    if (/^https?:/.test(target)) {
      const url = URL.parse(target);
      if (!this.#isOwn(url)) throw this.#notOwn(url);
      return await ask(target, {});
    }
    const urlOn = (scheme: Scheme): string => `${scheme}://${this.registry}/v2/${target}`;
    while (!this.#isKnown && this.#discovery !== undefined) await this.#discovery.catch(() => undefined);
    if (this.#isKnown) {
      const [scheme] = this.#schemes;
      try {
        return await ask(urlOn(scheme), {});
      } catch (error) {
        throw scheme === "https" && speaksPlainHttp(error) ? this.#unencrypted(error) : error;
      }
    }
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
      const isTlsMissing = first === "http" && wantsTls(error);
      if (!isTlsMissing && (error.status !== undefined || hasBadCertificate(error))) {
        // It was answered; a certificate that is not good is no reason to go without one.
        known(first);
        if (!error.retryable) throw error;
        return await ask(urlOn(first), {});
      }
      if (error.code !== "HTTP_REQUEST_FAILED" && !isTlsMissing) throw error;
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

  #unencrypted({ message, code, cause }: ServiceError): ServiceError {
    return new ServiceError(code, `${message}: it does not speak TLS`, {
      service: `registry ${this.registry}`,
      cause,
      expected: "TLS",
      found: "an answer without it",
      remedy: "if everybody on the way may read and change what is sent, pass --allow-http-registry",
    });
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
}

function ownFetch(options: RegistryOptions, environment: NonNullable<RegistryOptions["environment"]>): Fetch {
  const { tls, insecureSkipTlsVerify = false, fetch } = options;
  if (tls === undefined && !insecureSkipTlsVerify) return fetch ?? fetchFor(environment);
  const secure = fetchFor(environment, { ...tls, ...(insecureSkipTlsVerify && { insecureSkipVerify: true }) });
  const plain = fetch ?? fetchFor(environment);
  return (url, init) => (url.startsWith("https:") ? secure(url, init) : plain(url, init));
}
