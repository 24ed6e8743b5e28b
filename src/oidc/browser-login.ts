import { sanitize } from "../encoding/printable.ts";
import { InputError, ServiceError, SigstoreError } from "../errors.ts";
import { MAX_IDENTITY_TOKEN_BYTES } from "../limits.ts";
import { launchBrowser } from "./browser-launch.ts";
import { discoverProvider, type OpenIdProvider } from "./discovery.ts";
import type { IdentityToken } from "./identity-token.ts";
import {
  createPkce,
  loginRefused,
  randomText,
  readLoginToken,
  requestAsClient,
  requirePkce,
  SCOPE,
  type Interaction,
  type LoginOptions,
} from "./login.ts";
import type { LoginPage } from "./login-page.ts";
import { DEFAULT_REDIRECT_URL, listenForRedirect, type LoginResponse } from "./redirect-listener.ts";

/** Configures a login in a browser. */
export interface BrowserLoginOptions extends LoginOptions {
  readonly interaction: Interaction;
  /** Where the browser comes back to; on this machine, or {@link OUT_OF_BAND}. Default `http://localhost:0/auth/callback`. */
  readonly redirectUrl?: string | undefined;
  /** Preselects one of the providers behind a federating issuer. */
  readonly connectorId?: string | undefined;
  /** How long a person may take. Default two minutes, as in cosign. */
  readonly loginTimeoutMs?: number | undefined;
}

/** Stands for a browser that does not come back: the page shows a code, which the person brings. */
export const OUT_OF_BAND = "urn:ietf:wg:oauth:2.0:oob";
const DEFAULT_LOGIN_TIMEOUT_MS = 120_000;
/** Until the page has arrived; the token is not kept waiting any longer. */
const PAGE_TIMEOUT_MS = 2000;

/** Holds the secrets of one login. */
interface Login {
  readonly provider: OpenIdProvider;
  readonly state: string;
  readonly nonce: string;
  readonly verifier: string;
  readonly challenge: string;
}

/**
 * Lets a person log in with a browser on this machine: authorization code, with PKCE, state and nonce.
 *
 * Where no browser can be opened, and a line can be asked for, the page shows a code that the person enters. Without a terminal no browser
 * is opened: the address is shown, and waited for.
 *
 * @throws {@link InputError} `LOGIN_FAILED` when it was refused, not finished in time, or its answer is of another login; `ADDRESS_IN_USE`;
 * `URL_INVALID`; ServiceError; what the signal says when it ends the login.
 * @see {@link https://openid.net/specs/openid-connect-core-1_0.html#CodeFlowAuth | OpenID Connect Core 1.0 §3.1},
 * {@link https://www.rfc-editor.org/rfc/rfc8252 | RFC 8252}
 */
export async function logInWithBrowser(options: BrowserLoginOptions): Promise<IdentityToken> {
  const provider = await discoverProvider(options.issuer, options.request);
  requirePkce(provider);
  const login = { provider, state: randomText(), nonce: randomText(), ...createPkce() };
  const { redirectUrl = DEFAULT_REDIRECT_URL } = options;
  if (redirectUrl === OUT_OF_BAND) return await logInOutOfBand(login, options);
  const listener = await listenForRedirect(redirectUrl, login.state);
  try {
    const url = authorizationUrl(login, listener.redirectUrl, options);
    if (!(await openPage(url, options))) {
      listener.close(); // whoever follows the first link all the same would wait for a page that does not come
      return await logInOutOfBand(login, options);
    }
    const response = await inTime(listener.response, options);
    return await finish(response, login, listener.redirectUrl, options);
  } finally {
    listener.close();
  }
}

/** @see OpenID Connect Core 1.0 §3.1.2.1 */
function authorizationUrl(
  { provider, state, nonce, challenge }: Login,
  redirectUrl: string,
  { clientId, connectorId }: BrowserLoginOptions,
): string {
  const { authorizationEndpoint } = provider;
  if (authorizationEndpoint === undefined) {
    throw new InputError("LOGIN_FAILED", "identity provider has no page to log in", {
      expected: "authorization_endpoint in what it says of itself",
      remedy: "use another issuer, or another way to log in",
    });
  }
  const url = new URL(authorizationEndpoint);
  const parameters = {
    response_type: "code",
    client_id: clientId,
    redirect_uri: redirectUrl,
    scope: SCOPE,
    state,
    nonce,
    code_challenge: challenge,
    code_challenge_method: "S256",
    ...(connectorId === undefined ? {} : { connector_id: connectorId }),
  };
  for (const [name, value] of Object.entries(parameters)) url.searchParams.set(name, value);
  return url.href;
}

/** @returns `false` where the page cannot be opened, and a code can be asked for in place of it. */
async function openPage(url: string, { interaction }: BrowserLoginOptions): Promise<boolean> {
  const { isTerminal, openBrowser = launchBrowser, prompt } = interaction;
  if (!isTerminal) {
    interaction.print("Open this page in a browser on this machine to log in:");
    interaction.print(url);
    return true;
  }
  interaction.print("Your browser will now be opened to:");
  interaction.print(url);
  try {
    await openBrowser(url);
    return true;
  } catch (error) {
    const reason = sanitize(error instanceof Error ? error.message : String(error));
    interaction.print(`Could not open a browser (${reason})`);
    if (prompt !== undefined) return false; // with another link
    interaction.print("Open the page yourself, in a browser on this machine");
    return true;
  }
}

/** Waits for a person, but not forever. */
async function inTime<T>(answer: Promise<T>, { loginTimeoutMs, request }: BrowserLoginOptions): Promise<T> {
  const timeoutMs = loginTimeoutMs ?? DEFAULT_LOGIN_TIMEOUT_MS;
  const { promise: end, reject } = Promise.withResolvers<never>();
  const timer = setTimeout(() => {
    reject(
      new InputError("LOGIN_FAILED", "login was not finished in time", {
        expected: `within ${timeoutMs / 1000} seconds`,
        remedy: "start again, and log in sooner",
      }),
    );
  }, timeoutMs);
  const abort = (): void => reject(request.signal?.reason);
  if (request.signal?.aborted === true) abort();
  request.signal?.addEventListener("abort", abort, { once: true });
  try {
    return await Promise.race([answer, end]);
  } finally {
    clearTimeout(timer);
    request.signal?.removeEventListener("abort", abort);
  }
}

/** Exchanges what the browser brought, and tells the person how it ended before anybody else is told. */
async function finish(
  response: LoginResponse,
  login: Login,
  redirectUrl: string,
  options: BrowserLoginOptions,
): Promise<IdentityToken> {
  let token: IdentityToken;
  try {
    token = await exchangeCode(readCode(response.parameters, login), login, redirectUrl, options);
  } catch (error) {
    await show(response, failurePage(error));
    throw error;
  }
  await show(response, successPage(token));
  return token;
}

/** @see OpenID Connect Core 1.0 §3.1.2.6, §3.1.2.7; RFC 9207 §2.4 */
function readCode(parameters: ReadonlyMap<string, string>, { provider }: Login): string {
  const issuer = parameters.get("iss");
  if (issuer === undefined ? provider.namesIssuerInResponse : issuer !== provider.issuer) {
    throw new InputError("LOGIN_FAILED", "answer to the login is of another issuer", {
      expected: provider.issuer,
      found: issuer === undefined ? "none" : sanitize(issuer).slice(0, 200),
    });
  }
  const error = parameters.get("error");
  if (error !== undefined) throw loginRefused(error, parameters.get("error_description"));
  const code = parameters.get("code") ?? "";
  if (code === "") throw new InputError("LOGIN_FAILED", "answer to the login has no code");
  return code;
}

async function exchangeCode(
  code: string,
  { provider, verifier, nonce }: Login,
  redirectUrl: string,
  options: BrowserLoginOptions,
): Promise<IdentityToken> {
  const { body } = await requestAsClient(
    provider.tokenEndpoint,
    provider,
    { grant_type: "authorization_code", code, redirect_uri: redirectUrl, code_verifier: verifier },
    options,
  );
  return readLoginToken(body, options, nonce);
}

async function logInOutOfBand(login: Login, options: BrowserLoginOptions): Promise<IdentityToken> {
  const { interaction, request } = options;
  if (interaction.prompt === undefined) {
    throw new InputError("LOGIN_FAILED", "nobody can be asked for the code of the login", {
      remedy: "run at a terminal, or give a token with --identity-token",
    });
  }
  const url = authorizationUrl(login, OUT_OF_BAND, options);
  interaction.print("Go to the following link in a browser:");
  interaction.print(url);
  interaction.print("Once you are logged in, the page shows a code to enter here.");
  const asked = interaction.prompt("Enter verification code: ", request.signal);
  const code = (await inTime(asked, options)).trim();
  if (code === "" || code.length > MAX_IDENTITY_TOKEN_BYTES) {
    throw new InputError("LOGIN_FAILED", "no code was entered");
  }
  try {
    return await exchangeCode(code, login, OUT_OF_BAND, options);
  } catch (error) {
    if (!(error instanceof ServiceError && error.code === "OIDC_REQUEST_REFUSED" && error.status === 400)) throw error;
    throw new InputError("LOGIN_FAILED", `code that was entered was not taken: ${error.message}`, {
      remedy: "log in again, and enter the code as the page shows it: whole, once, and soon",
      cause: error,
    });
  }
}

async function show(response: LoginResponse, page: LoginPage): Promise<void> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const late = new Promise<void>((resolve) => {
    timer = setTimeout(resolve, PAGE_TIMEOUT_MS);
  });
  await Promise.race([response.show(page), late]);
  clearTimeout(timer);
}

function successPage({ subject }: IdentityToken): LoginPage {
  return {
    outcome: "success",
    title: "You are logged in",
    text: [`Your identity: ${sanitize(subject)}`, "Signing goes on in the terminal. You may close this page."],
  };
}

function failurePage(error: unknown): LoginPage {
  const reason = error instanceof SigstoreError ? sanitize(error.message) : "the login was ended";
  return { outcome: "failure", title: "You are not logged in", text: [`Reason: ${reason}`, "See the terminal."] };
}
