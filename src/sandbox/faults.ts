/**
 * Faults of the sandbox: what goes wrong on purpose, at which service, for which requests.
 *
 * @module
 */

import { InputError } from "../errors.ts";
import { MAX_SANDBOX_FAULTS } from "../limits.ts";

/** Lists the parts of the sandbox in which something can go wrong. */
export const SANDBOX_SERVICES = ["oidc", "tuf", "fulcio", "ctlog", "rekor2", "rekor1", "tsa", "registry"] as const;

/** Is a part of the sandbox in which something can go wrong. */
export type SandboxServiceName = (typeof SANDBOX_SERVICES)[number];

/**
 * Lists what can go wrong on the way, at every service:
 *
 * - `timeout` never answers, `slow-drip` sends a byte at a time (argument: milliseconds between two of them, default 1000);
 * - `reset` breaks the connection before the request is read, `lost-answer` after it was carried out;
 * - `429` (argument: seconds for `Retry-After`), `500`, `503`, and `500-once` answer so without doing anything;
 * - `wrong-content-type` says that the answer is HTML, `truncated` breaks off in the middle of it.
 */
export const HTTP_FAULTS = [
  "timeout",
  "reset",
  "429",
  "500",
  "500-once",
  "503",
  "lost-answer",
  "slow-drip",
  "truncated",
  "wrong-content-type",
] as const;

/** Is what can go wrong on the way. */
export type HttpFault = (typeof HTTP_FAULTS)[number];

/** Is what goes wrong after the service has done what was asked of it. */
export type AnswerFault = Extract<HttpFault, "lost-answer" | "slow-drip" | "truncated" | "wrong-content-type">;

/** Says whether a fault spoils the answer only. */
export function isAnswerFault(kind: HttpFault): kind is AnswerFault {
  return ["lost-answer", "slow-drip", "truncated", "wrong-content-type"].includes(kind);
}

/** Says what goes wrong. */
export interface Fault {
  /** One of {@link HTTP_FAULTS}; `clock`, whose argument sets the service's clock off, for instance `+10m`; or a forgery of the service. */
  readonly kind: string;
  readonly argument?: string;
  /** How many requests it befalls; without a number, every one. */
  readonly requests?: number;
  /** How the path of a request begins that it befalls. */
  readonly path?: string;
}

/** Is a fault where it is in force. */
export interface ActiveFault extends Fault {
  readonly service: SandboxServiceName;
}

/** Is what befalls one request. */
export interface RequestFaults {
  readonly http?: { readonly kind: HttpFault; readonly argument?: string };
  /** What the service answers wrongly. */
  readonly forgery?: string;
}

/** Says which forgeries each service knows. */
export type Forgeries = Readonly<Partial<Record<SandboxServiceName, readonly string[]>>>;

/**
 * Parses `SERVICE=KIND[:ARGUMENT][,requests=N][,path=/BEGIN]`.
 *
 * @throws {@link InputError} `USAGE_INVALID`. Whether the service knows the fault is not checked here.
 */
export function parseFault(text: string): ActiveFault {
  const expected = "SERVICE=KIND[:ARGUMENT][,requests=N][,path=/BEGIN], for instance rekor2=503,requests=2";
  const [what = "", ...settings] = text.split(",");
  const { service, kind, argument } =
    /^(?<service>[a-z0-9]+)=(?<kind>[a-z0-9-]+)(?::(?<argument>.+))?$/.exec(what)?.groups ?? {};
  if (service === undefined || kind === undefined)
    throw invalid(`fault ${JSON.stringify(text)} cannot be read`, expected);
  let requests: number | undefined;
  let path: string | undefined;
  for (const setting of settings) {
    const [name, value = ""] = setting.split("=", 2);
    if (name === "requests" && /^\d{1,9}$/.test(value)) requests = Number(value);
    else if (name === "path" && value.startsWith("/")) path = value;
    else throw invalid(`fault ${JSON.stringify(text)} cannot be read`, expected);
  }
  return {
    service: readService(service),
    kind,
    ...(argument !== undefined && { argument }),
    ...(requests !== undefined && { requests }),
    ...(path !== undefined && { path }),
  };
}

/**
 * Finds a part of the sandbox by its name.
 *
 * @throws {@link InputError} `USAGE_INVALID`.
 */
export function readService(name: string): SandboxServiceName {
  const service = SANDBOX_SERVICES.find((one) => one === name);
  if (service === undefined)
    throw invalid(`the sandbox has no service ${JSON.stringify(name)}`, SANDBOX_SERVICES.join(", "));
  return service;
}

/** Holds the faults in force. */
export class Faults {
  readonly #forgeries: Forgeries;
  #active: { readonly fault: ActiveFault; left: number }[] = [];

  constructor(forgeries: Forgeries) {
    this.#forgeries = forgeries;
  }

  /**
   * Puts a fault in force, in place of one of the same kind for the same path.
   *
   * @throws {@link InputError} `USAGE_INVALID` for a fault that the service does not know.
   */
  set(service: SandboxServiceName, fault: Fault): void {
    const { kind, argument, requests, path } = fault;
    const known = [...HTTP_FAULTS, "clock", ...(this.#forgeries[service] ?? [])];
    if (!known.includes(kind)) throw invalid(`${service} knows no fault ${JSON.stringify(kind)}`, known.join(", "));
    checkArgument(kind, argument);
    if (requests !== undefined && (!Number.isSafeInteger(requests) || requests < 1))
      throw invalid("a fault befalls a whole number of requests", "1 or more");
    if (kind === "clock" && (requests !== undefined || path !== undefined))
      throw invalid("a clock is off for every request", "neither requests nor path");
    this.#active = this.#active.filter(
      ({ fault: other }) => other.service !== service || other.kind !== kind || other.path !== path,
    );
    if (this.#active.length >= MAX_SANDBOX_FAULTS)
      throw invalid("there are too many faults", `at most ${MAX_SANDBOX_FAULTS}`);
    const left = requests ?? (kind === "500-once" ? 1 : Number.POSITIVE_INFINITY);
    this.#active.push({ fault: { service, ...fault }, left });
  }

  /** Ends all faults, or those of one service. */
  clear(service?: SandboxServiceName): void {
    this.#active = service === undefined ? [] : this.#active.filter(({ fault }) => fault.service !== service);
  }

  /** Lists the faults in force; `requests` is how many more they befall. */
  list(): readonly ActiveFault[] {
    return this.#active.map(({ fault, left }) => (Number.isFinite(left) ? { ...fault, requests: left } : fault));
  }

  /** Takes what befalls a request, which is counted. */
  begin(service: SandboxServiceName, path: string): RequestFaults {
    const here = this.#active.filter(
      ({ fault }) => fault.service === service && fault.kind !== "clock" && path.startsWith(fault.path ?? ""),
    );
    const http = here.find(({ fault }) => isHttpFault(fault.kind));
    // What never reaches the service leaves its forgery for the next request.
    const kind = http?.fault.kind;
    const reached = kind === undefined || !isHttpFault(kind) || isAnswerFault(kind);
    const forgery = reached ? here.find(({ fault }) => !isHttpFault(fault.kind)) : undefined;
    for (const one of [http, forgery]) if (one !== undefined) one.left -= 1;
    this.#active = this.#active.filter(({ left }) => left > 0);
    const argument = http?.fault.argument;
    return {
      ...(kind !== undefined && isHttpFault(kind) && { http: { kind, ...(argument !== undefined && { argument }) } }),
      ...(forgery !== undefined && { forgery: wordOf(forgery.fault) }),
    };
  }

  /** Gives the forgery of a service where no request is the reason that it works: one for every request. */
  standingForgery(service: SandboxServiceName): string | undefined {
    const found = this.#active.find(
      ({ fault, left }) =>
        fault.service === service &&
        fault.kind !== "clock" &&
        !isHttpFault(fault.kind) &&
        fault.path === undefined &&
        !Number.isFinite(left),
    );
    return found && wordOf(found.fault);
  }

  /** Gives by how many milliseconds the clock of a service is off. */
  clockOffsetMs(service: SandboxServiceName): number {
    const found = this.#active.find(({ fault }) => fault.service === service && fault.kind === "clock");
    return tryParseOffset(found?.fault.argument ?? "") ?? 0;
  }
}

function isHttpFault(kind: string): kind is HttpFault {
  return (HTTP_FAULTS as readonly string[]).includes(kind);
}

/** A forgery with an argument is told to the service as one word. */
function wordOf({ kind, argument }: Fault): string {
  return argument === undefined ? kind : `${kind}:${argument}`;
}

function checkArgument(kind: string, argument: string | undefined): void {
  switch (kind) {
    case "clock":
      if (tryParseOffset(argument ?? "") === undefined)
        throw invalid("the fault clock needs an offset", "for instance +10m, -1h30m or +2d");
      return;
    case "429":
    case "slow-drip":
      if (argument !== undefined && !/^\d{1,9}$/.test(argument))
        throw invalid(`the fault ${kind} takes a number`, kind === "429" ? "seconds" : "milliseconds");
      return;
    default:
      if (isHttpFault(kind) && argument !== undefined) throw invalid(`the fault ${kind} takes no argument`, kind);
  }
}

const UNITS_MS: Readonly<Record<string, number>> = { d: 86_400_000, h: 3_600_000, m: 60_000, s: 1000, ms: 1 };

/** Reads an offset such as `-1h30m`. */
function tryParseOffset(text: string): number | undefined {
  if (!/^[+-](?:\d{1,9}(?:ms|[dhms]))+$/.test(text)) return undefined;
  let milliseconds = 0;
  for (const [, number = "", unit = ""] of text.matchAll(/(\d+)(ms|[dhms])/g))
    milliseconds += Number(number) * (UNITS_MS[unit] ?? 0);
  // Beyond a century no certificate of the sandbox is valid, and soon no date is.
  if (milliseconds > 36_525 * 86_400_000) return undefined;
  return text.startsWith("-") ? -milliseconds : milliseconds;
}

function invalid(message: string, expected: string): InputError {
  return new InputError("USAGE_INVALID", message, { expected });
}
