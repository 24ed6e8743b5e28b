/**
 * Where an identity token comes from: what was given, what the surroundings provide, or a person who logs in.
 *
 * @module
 */

import { FormatError, InputError, ServiceError, SigstoreError, type ErrorDetails } from "../errors.ts";
import { exists, ownerOf, readInputFile } from "../files/read-file.ts";
import { fetchFor, offlineFetch } from "../http/fetch.ts";
import type { Fetch } from "../http/request.ts";
import { MAX_IDENTITY_TOKEN_BYTES } from "../limits.ts";
import {
  chooseProviders,
  detectProviders,
  explainAmbient,
  type AmbientChoice,
  type ProviderExplanation,
} from "./ambient.ts";
import { logInWithBrowser, OUT_OF_BAND } from "./browser-login.ts";
import { logInAsClient, requireClientSecret } from "./client-credentials.ts";
import { logInWithDevice } from "./device-login.ts";
import { checkIdentityToken, parseIdentityToken, type IdentityToken } from "./identity-token.ts";
import type { Interaction } from "./login.ts";
import {
  variable,
  type Environment,
  type IdentityProvider,
  type ProviderContext,
  type TokenFiles,
} from "./provider.ts";
import { readExplicitToken } from "./providers/explicit.ts";
import { parseRedirectUrl } from "./redirect-listener.ts";

/**
 * Names a way to a token, in cosign's words: a browser (`normal`), another device, the token that is there (`token`), or the client
 * itself with its secret.
 */
export type LoginFlow = "normal" | "device" | "token" | "client_credentials";

/** Configures where a token may come from. */
export interface IdentityTokenOptions extends AmbientChoice {
  /** The token itself, of any algorithm, or the name of a file that holds it. Then nothing else is asked. */
  readonly identityToken?: string | undefined;
  /** For whom the token is to be. Default `sigstore`. A login has the client's name for it. */
  readonly audience?: string | undefined;
  /** How long the token must still be valid. Default 0. */
  readonly minimumLifetimeMs?: number | undefined;

  /** Default: what is there without a person, then a browser at a terminal, otherwise another device. */
  readonly flow?: LoginFlow | undefined;
  /** Where to log in: the OpenID provider of the signing config. */
  readonly issuer?: string | undefined;
  /** Default `sigstore`. */
  readonly clientId?: string | undefined;
  readonly clientSecret?: string | undefined;
  readonly redirectUrl?: string | undefined;
  /** Preselects one of the providers behind a federating issuer. */
  readonly connectorId?: string | undefined;
  /** How a person is reached. Without it nobody is asked to log in. */
  readonly interaction?: Interaction | undefined;
  /** How long a person may take in a browser. Default two minutes. */
  readonly loginTimeoutMs?: number | undefined;

  /** Default: the process's variables. */
  readonly environment?: Environment | undefined;
  /** Default: the one for the environment, through its proxy. */
  readonly fetch?: Fetch | undefined;
  /** Reaches the machine's own services, without a proxy. Default: `fetch` where no proxy is set. */
  readonly directFetch?: Fetch | undefined;
  /** Default: the file system. */
  readonly files?: TokenFiles | undefined;
  readonly now?: (() => Date) | undefined;
  /** Milliseconds for one request with its attempts. Default 30 seconds. */
  readonly timeoutMs?: number | undefined;
  readonly userAgent?: string | undefined;
  readonly signal?: AbortSignal | undefined;
  /** Waits between attempts, and between questions of a device login. */
  readonly sleep?: ((ms: number) => Promise<void>) | undefined;
}

/** Holds a token, and what it came from. */
export interface ObtainedToken {
  readonly token: IdentityToken;
  /** `explicit`, the name of an ambient provider, or the flow: `normal`, `device`, `client_credentials`. */
  readonly provider: string;
}

/** For whom tokens are, unless said otherwise. */
export const DEFAULT_AUDIENCE = "sigstore";
const DEFAULT_TIMEOUT_MS = 30_000;
const PROXY_NAMES = ["http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY"];

/**
 * Gets an identity token: the one that was given, otherwise that of the first ambient provider that is there, otherwise that of a login.
 *
 * A provider that is there and fails is an error that names it, unless `fallThrough` says to ask the next one: whose name a signature
 * bears must not depend on what happened to be reachable. The token's audience and times are checked, its signature is not.
 *
 * @throws {@link InputError} `IDENTITY_TOKEN_UNAVAILABLE`, `IDENTITY_TOKEN_EXPIRED`, `IDENTITY_TOKEN_NOT_YET_VALID`,
 * `IDENTITY_TOKEN_AUDIENCE_MISMATCH`, `LOGIN_FAILED`, `USAGE_INVALID`; {@link FormatError} `IDENTITY_TOKEN_MALFORMED`;
 * {@link ServiceError}; what the signal says.
 */
export async function getIdentityToken(options: IdentityTokenOptions = {}): Promise<ObtainedToken> {
  const context = createContext(options);
  const found = await findToken(options, context, (token, provider) => {
    checkAudience(token, options, provider);
  });
  return found.kind === "token" ? found : await logIn(found.flow, options, context);
}

/**
 * Says for each ambient provider why it would be used or skipped, without asking for a token.
 *
 * @throws {@link InputError} `USAGE_INVALID` for an unknown provider.
 */
export async function explainProviders(options: IdentityTokenOptions = {}): Promise<readonly ProviderExplanation[]> {
  return await explainAmbient(options, createContext(options));
}

/** Is a token that needs no person, or the way in which one has to log in. */
export type FoundToken =
  ({ readonly kind: "token" } & ObtainedToken) | { readonly kind: "login"; readonly flow: LoginFlow };

/** Fills in what the caller left out. */
export function createContext(options: IdentityTokenOptions): ProviderContext {
  const { environment = process.env, timeoutMs = DEFAULT_TIMEOUT_MS, userAgent, signal, sleep } = options;
  const fetch = options.fetch ?? fetchFor(environment);
  const isProxied = PROXY_NAMES.some((name) => variable(environment, name) !== undefined);
  return {
    environment,
    audience: options.audience ?? DEFAULT_AUDIENCE,
    request: { fetch, timeoutMs, userAgent, signal, sleep },
    directFetch: options.directFetch ?? (isProxied && fetch !== offlineFetch ? fetchFor({}) : fetch),
    files: options.files ?? {
      exists,
      owner: ownerOf,
      read: (path) => readInputFile(path, MAX_IDENTITY_TOKEN_BYTES, "file of the identity token"),
    },
  };
}

/**
 * Refuses what can be seen to fail before anything is asked: providers that nobody knows, and options that contradict one another.
 *
 * @throws {@link InputError} `USAGE_INVALID`, `URL_INVALID`, `IDENTITY_TOKEN_UNAVAILABLE`.
 */
export function checkTokenOptions(options: IdentityTokenOptions): void {
  const { flow, identityToken, provider, redirectUrl } = options;
  if (isLogin(flow) && identityToken !== undefined)
    throw contradiction(`an identity token is given, and the flow ${flow} would get another`);
  if (isLogin(flow) && provider !== undefined)
    throw contradiction(`the provider ${provider} is named, and the flow ${flow} would ask another`);
  chooseProviders(options);
  if (flow === "client_credentials") requireClientSecret(options.clientSecret);
  if (redirectUrl !== undefined && redirectUrl !== OUT_OF_BAND) parseRedirectUrl(redirectUrl);
}

function isLogin(flow: LoginFlow | undefined): flow is Exclude<LoginFlow, "token"> {
  return flow !== undefined && flow !== "token";
}

/**
 * Finds a token that needs no person. Otherwise says how to log in, if that is possible at all.
 *
 * @param check - Refuses a token; the provider that gave it then has failed.
 */
export async function findToken(
  options: IdentityTokenOptions,
  context: ProviderContext,
  check: (token: IdentityToken, provider?: IdentityProvider) => void,
): Promise<FoundToken> {
  checkTokenOptions(options);
  const { flow, identityToken } = options;
  if (identityToken !== undefined) {
    const token = parseIdentityToken(await readExplicitToken(identityToken, context.files));
    check(token);
    return { kind: "token", token, provider: "explicit" };
  }
  if (isLogin(flow)) return { kind: "login", flow };
  const ambient = await askAmbient(options, context, check);
  if (ambient.kind === "token") return ambient;
  if (flow === "token" || options.provider !== undefined) throw unavailable(ambient.skipped, options.provider);
  return { kind: "login", flow: chooseFlow(ambient.skipped, options, context) };
}

interface Skipped {
  readonly name: string;
  readonly reason: string;
  readonly remedy?: string;
}

/** Asks the ambient providers, in order. */
async function askAmbient(
  options: IdentityTokenOptions,
  context: ProviderContext,
  check: (token: IdentityToken, provider: IdentityProvider) => void,
): Promise<
  ({ readonly kind: "token" } & ObtainedToken) | { readonly kind: "none"; readonly skipped: readonly Skipped[] }
> {
  const skipped: Skipped[] = [];
  let firstFailure: SigstoreError | undefined;
  for await (const detected of detectProviders(chooseProviders(options), context)) {
    const { provider, kind, reason } = detected;
    const { name } = provider;
    if (kind === "absent") skipped.push({ name, reason });
    else if (kind === "not-configured") skipped.push({ name, reason, remedy: detected.remedy });
    else {
      try {
        if (kind === "failed") throw detected.error;
        const token = parseIdentityToken(await provider.obtain(context));
        check(token, provider);
        return { kind: "token", token, provider: name };
      } catch (error) {
        if (!(error instanceof SigstoreError)) throw error;
        const failure = nameProvider(error, name);
        if (options.fallThrough !== true) throw failure;
        firstFailure ??= failure;
        skipped.push({ name, reason: failure.message });
      }
    }
  }
  // Whoever asked for the next one when one fails did not ask to go on when all have failed.
  if (firstFailure !== undefined) throw firstFailure;
  return { kind: "none", skipped };
}

function checkAudience(token: IdentityToken, options: IdentityTokenOptions, provider?: IdentityProvider): void {
  const { audience = DEFAULT_AUDIENCE, minimumLifetimeMs, now = () => new Date() } = options;
  try {
    checkIdentityToken(token, { audience, now: now(), minimumLifetimeMs });
  } catch (error) {
    const remedy = provider?.audienceRemedy?.(audience);
    const isAudience = error instanceof InputError && error.code === "IDENTITY_TOKEN_AUDIENCE_MISMATCH";
    if (!isAudience || remedy === undefined) throw error;
    throw new InputError(error.code, error.message, { ...detailsOf(error), remedy });
  }
}

/** Chooses the way to log in, where nobody did. */
function chooseFlow(skipped: readonly Skipped[], options: IdentityTokenOptions, context: ProviderContext): LoginFlow {
  const { interaction } = options;
  if (interaction === undefined) throw unavailable(skipped);
  if (interaction.isTerminal) {
    for (const { name, reason, remedy } of skipped) {
      if (remedy !== undefined) interaction.print(`The identity provider ${name} is not used: ${reason}`);
    }
    return "normal";
  }
  // Nobody reads the address and the code in a log before both have expired.
  const isJob = variable(context.environment, "CI") !== undefined || skipped.some(({ remedy }) => remedy !== undefined);
  if (isJob) throw unavailable(skipped);
  interaction.print("Non-interactive mode detected, using device flow.");
  return "device";
}

async function logIn(flow: LoginFlow, options: IdentityTokenOptions, context: ProviderContext): Promise<ObtainedToken> {
  const { issuer, clientId = DEFAULT_AUDIENCE, clientSecret, interaction, now = () => new Date(), sleep } = options;
  if (issuer === undefined) {
    throw new InputError("IDENTITY_TOKEN_UNAVAILABLE", "nothing says where to log in", {
      expected: "an OpenID provider in the signing config, or --oidc-issuer",
    });
  }
  const login = { issuer, clientId, clientSecret, request: context.request, now };
  if (flow === "client_credentials") return { token: await logInAsClient(login), provider: flow };
  if (interaction === undefined) {
    throw new InputError("IDENTITY_TOKEN_UNAVAILABLE", `nobody can be asked to log in (${flow})`, {
      remedy: "pass an interaction, or give a token",
    });
  }
  const token =
    flow === "device"
      ? await logInWithDevice({ ...login, interaction, wait: sleep })
      : await logInWithBrowser({
          ...login,
          interaction,
          redirectUrl: options.redirectUrl,
          connectorId: options.connectorId,
          loginTimeoutMs: options.loginTimeoutMs,
        });
  return { token, provider: flow };
}

function unavailable(skipped: readonly Skipped[], named?: string): InputError {
  const message =
    named === undefined
      ? "no identity token was given, and nothing here provides one"
      : `the identity provider ${named} provides no token here`;
  return new InputError("IDENTITY_TOKEN_UNAVAILABLE", message, {
    expected: "a token, or an ambient provider of tokens",
    found: skipped.map(({ name, reason }) => `${name}: ${reason}`).join("; ") || "no ambient provider was asked",
    remedy: skipped.find(({ remedy }) => remedy !== undefined)?.remedy,
  });
}

function contradiction(problem: string): InputError {
  return new InputError("USAGE_INVALID", problem, { remedy: "give one of them" });
}

/** Says in an error which provider it is about, and leaves the rest as it is. */
function nameProvider(error: SigstoreError, name: string): SigstoreError {
  const message = `identity provider ${name} failed: ${error.message}`;
  const details = { ...detailsOf(error), cause: error };
  if (error instanceof ServiceError) {
    const { status, retryable, service, attempts } = error;
    return new ServiceError(error.code, message, { ...details, status, retryable, service, attempts });
  }
  if (error instanceof InputError) return new InputError(error.code, message, details);
  if (error instanceof FormatError) return new FormatError(error.code, message, details);
  return error;
}

function detailsOf({ expected, found, remedy }: SigstoreError): ErrorDetails {
  return { expected, found, remedy };
}
