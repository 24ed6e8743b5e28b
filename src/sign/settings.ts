/**
 * Options as they were given, checked and completed.
 *
 * @module
 */

import { defaultCryptoProvider, type CryptoProvider } from "../crypto/provider.ts";
import { InputError } from "../errors.ts";
import { fetchFor } from "../http/fetch.ts";
import type { Fetch, RequestOptions } from "../http/request.ts";
import type { Deadline } from "./deadline.ts";
import type { Disclosure } from "./disclosure.ts";
import type { SigningEvent } from "./events.ts";
import type { SignerChoice, SigningOptions } from "./options.ts";

/** Names a kind of service that is asked while signing. */
export type ServiceKind = "fulcio" | "rekor" | "timestamp";

/** Holds the options of a session with every default filled in. */
export interface Settings {
  readonly signer: SignerChoice;
  readonly timeoutMs: number;
  readonly retries: number | undefined;
  readonly fetch: Readonly<Record<ServiceKind | "other", Fetch>>;
  readonly sleep: ((ms: number) => Promise<void>) | undefined;
  readonly now: () => Date;
  readonly random: () => number;
  readonly signal: AbortSignal | undefined;
  readonly consent: ((disclosure: Disclosure) => boolean | Promise<boolean>) | undefined;
  readonly observe: (event: SigningEvent) => void;
  readonly userAgent: string | undefined;
  readonly crypto: CryptoProvider;
  readonly sctThreshold: number;
}

const OPTIONS: { readonly [Name in keyof SigningOptions]-?: true } = {
  signer: true,
  services: true,
  trust: true,
  sctThreshold: true,
  timeoutMs: true,
  retries: true,
  fetch: true,
  fulcioFetch: true,
  rekorFetch: true,
  timestampFetch: true,
  sleep: true,
  now: true,
  random: true,
  signal: true,
  consent: true,
  observer: true,
  userAgent: true,
  crypto: true,
  environment: true,
};

/** cosign's own. */
const DEFAULT_TIMEOUT_MS = 3 * 60_000;
/** The longest that a timer can wait. */
const MAX_TIMEOUT_MS = 2 ** 31 - 1;

/**
 * Checks the options of a session and fills in the defaults. An unknown one is an error: a misspelt `consent` would ask nobody.
 *
 * @throws {@link InputError} `USAGE_INVALID`.
 */
export function readSettings(options: SigningOptions): Settings {
  for (const name of Object.keys(options)) {
    if (!Object.hasOwn(OPTIONS, name)) throw usage(`unknown option ${JSON.stringify(name)}`);
  }
  const { timeoutMs = DEFAULT_TIMEOUT_MS, retries, sctThreshold = 1, consent, observer } = options;
  if (!Number.isInteger(timeoutMs) || timeoutMs < 1 || timeoutMs > MAX_TIMEOUT_MS)
    throw usage(`timeoutMs must be a whole number from 1 to ${MAX_TIMEOUT_MS}`);
  if (retries !== undefined && (!Number.isInteger(retries) || retries < 0 || retries > 100))
    throw usage("retries must be a whole number from 0 to 100");
  if (!Number.isInteger(sctThreshold) || sctThreshold < 0) throw usage("sctThreshold must be a whole number from 0");
  if (consent !== undefined && typeof consent !== "function") throw usage("consent must be a function");
  if (observer !== undefined && typeof observer !== "function") throw usage("observer must be a function");
  if (options.signer.kind !== "keyless" && options.signer.kind !== "key")
    throw usage("signer must be keyless or a key");
  const fetch = options.fetch ?? fetchFor(options.environment ?? process.env);
  return {
    signer: options.signer,
    timeoutMs,
    retries,
    fetch: {
      fulcio: options.fulcioFetch ?? fetch,
      rekor: options.rekorFetch ?? fetch,
      timestamp: options.timestampFetch ?? fetch,
      other: fetch,
    },
    sleep: options.sleep,
    now: options.now ?? (() => new Date()),
    random: options.random ?? Math.random,
    signal: options.signal,
    consent,
    observe: observer ?? (() => undefined),
    userAgent: options.userAgent,
    crypto: options.crypto ?? defaultCryptoProvider(),
    sctThreshold,
  };
}

/** For one attempt, so that a service that hangs leaves time for another; a log of Rekor v2 answers with its next checkpoint. */
const ATTEMPT_TIMEOUT_MS: Readonly<Record<ServiceKind, number>> = { fulcio: 30_000, rekor: 60_000, timestamp: 30_000 };
const SERVICE_NAMES: Readonly<Record<ServiceKind, string>> = {
  fulcio: "Fulcio",
  rekor: "Rekor",
  timestamp: "timestamp authority",
};

/** Makes the options of requests to one kind of service. @throws as {@link Deadline.remaining}. */
export function requestOptions(settings: Settings, kind: ServiceKind, deadline: Deadline): RequestOptions {
  return {
    service: SERVICE_NAMES[kind],
    fetch: settings.fetch[kind],
    timeoutMs: deadline.remaining(`asking ${SERVICE_NAMES[kind]}`, Infinity),
    attemptTimeoutMs: ATTEMPT_TIMEOUT_MS[kind],
    retries: settings.retries,
    signal: deadline.caller,
    userAgent: settings.userAgent,
    sleep: settings.sleep,
  };
}

function usage(problem: string): InputError {
  return new InputError("USAGE_INVALID", problem);
}
