import type { ServiceContext } from "../service.ts";
import type { Claim, IdentityKind } from "./claims.ts";
import { loginFields, loginText, readLogin } from "./login.ts";
import { OAuthError } from "./oauth-error.ts";
import { formPage, messagePage } from "./pages.ts";
import { Pending } from "./pending.ts";
import { fitsChallenge, isCodeChallenge } from "./pkce.ts";

/** Is who logged in by a code, and for which login. */
export interface Grant {
  readonly claims: Readonly<Record<string, Claim>>;
  readonly nonce: string | undefined;
}

interface AuthorizationRequest {
  readonly clientId: string;
  readonly redirectUri: string;
  readonly state: string | undefined;
  readonly nonce: string | undefined;
  readonly codeChallenge: string;
}

/** Shows the code to the person instead of sending it anywhere, for a client that cannot listen. */
const OUT_OF_BAND = "urn:ietf:wg:oauth:2.0:oob";
const LOGIN_LIFETIME_MS = 30 * 60_000;
/** RFC 6749 §4.1.2: A maximum authorization code lifetime of 10 minutes is RECOMMENDED. */
const CODE_LIFETIME_MS = 10 * 60_000;

/**
 * Is the authorization endpoint with its login page. Any client may log people in; what it gets goes to loopback only.
 *
 * @see RFC 6749 §4.1, RFC 7636, RFC 8252 §7.3, OpenID Connect Core §3.1.2
 */
export class AuthorizationEndpoint {
  readonly #context: ServiceContext;
  readonly #issuer: string;
  readonly #kind: IdentityKind;
  readonly #logins: Pending<AuthorizationRequest>;
  readonly #codes: Pending<AuthorizationRequest & { readonly claims: Readonly<Record<string, Claim>> }>;

  constructor(context: ServiceContext, issuer: string, kind: IdentityKind) {
    this.#context = context;
    this.#issuer = issuer;
    this.#kind = kind;
    this.#logins = new Pending(context.now, LOGIN_LIFETIME_MS);
    this.#codes = new Pending(context.now, CODE_LIFETIME_MS);
  }

  /** Answers the browser that comes with a client's request: with the login page, or at once where `prompt=none` asks for it. */
  begin(query: URLSearchParams): Response {
    const clientId = query.get("client_id");
    const redirectUri = query.get("redirect_uri");
    // Nothing is sent to an address before it is known to be good: RFC 6749 §4.1.2.1
    if (clientId === null || !isClientId(clientId)) throw new OAuthError("invalid_request", "The client is not named.");
    if (redirectUri === null || !isRedirectUri(redirectUri))
      throw new OAuthError("invalid_request", "The redirect_uri is not an http address on loopback.");
    const state = query.get("state") ?? undefined;
    const back = { redirectUri, state };
    if (query.get("response_type") !== "code")
      return this.#refuse(back, "unsupported_response_type", "response_type must be code");
    if (!(query.get("scope") ?? "").split(" ").includes("openid"))
      return this.#refuse(back, "invalid_scope", "scope must include openid");
    const codeChallenge = query.get("code_challenge") ?? undefined;
    if (query.get("code_challenge_method") !== "S256" || !isCodeChallenge(codeChallenge))
      return this.#refuse(back, "invalid_request", "PKCE with code_challenge_method S256 is required");

    const request = { clientId, redirectUri, state, nonce: query.get("nonce") ?? undefined, codeChallenge };
    const hint = query.get("login_hint") ?? undefined;
    if ((query.get("prompt") ?? "").split(" ").includes("none")) {
      const login = readLogin(this.#kind, hint);
      if (login.kind === "problem") return this.#refuse(back, "login_required", "prompt=none needs a login_hint here");
      return this.#grant(request, login.claims);
    }
    return this.#loginPage(request, hint);
  }

  /** Takes the form of the login page. */
  finish(form: URLSearchParams): Response {
    const request = this.#logins.take(form.get("login") ?? undefined);
    if (request === undefined)
      throw new OAuthError("invalid_request", "This login is over, or took too long. Begin again from the program.");
    if (form.get("action") === "cancel") return this.#refuse(request, "access_denied", "the login was cancelled");
    const email = form.get("email") ?? undefined;
    const login = readLogin(this.#kind, email);
    if (login.kind === "problem") return this.#loginPage(request, email, login.problem);
    return this.#grant(request, login.claims);
  }

  /**
   * Exchanges a code, once: an attempt with something wrong uses it up, too.
   *
   * @throws {@link OAuthError} `invalid_grant`.
   */
  redeem(clientId: string, form: URLSearchParams): Grant {
    const code = this.#codes.take(form.get("code") ?? undefined);
    if (code === undefined) throw new OAuthError("invalid_grant", "the code is unknown, used or expired");
    if (code.clientId !== clientId) throw new OAuthError("invalid_grant", "the code was issued to another client");
    if (code.redirectUri !== form.get("redirect_uri"))
      throw new OAuthError("invalid_grant", "the code was issued for another redirect_uri");
    if (!fitsChallenge(form.get("code_verifier") ?? undefined, code.codeChallenge))
      throw new OAuthError("invalid_grant", "the code_verifier does not fit the code_challenge");
    return { claims: code.claims, nonce: code.nonce };
  }

  #loginPage(request: AuthorizationRequest, hint: string | undefined, problem?: string): Response {
    return formPage(
      {
        title: "Log in to the sandbox",
        text: [loginText(this.#kind), `The program that asks is ${request.clientId}.`],
        problem,
        fields: loginFields(this.#kind, hint),
        hidden: { login: this.#logins.add(request) },
        buttons: [
          { action: "login", label: "Log in" },
          { action: "cancel", label: "Cancel" },
        ],
        leadsTo: request.redirectUri === OUT_OF_BAND ? undefined : new URL(request.redirectUri).origin,
      },
      problem === undefined ? 200 : 400,
    );
  }

  #grant(request: AuthorizationRequest, claims: Readonly<Record<string, Claim>>): Response {
    const code = this.#codes.add({ ...request, claims });
    if (request.redirectUri === OUT_OF_BAND)
      return messagePage("Logged in", ["Copy this code to the program:"], { code });
    return this.#sendBack(request, { code });
  }

  #refuse(request: Pick<AuthorizationRequest, "redirectUri" | "state">, error: string, description: string): Response {
    if (request.redirectUri === OUT_OF_BAND)
      return messagePage("Not logged in", [`${error}: ${description}`], { status: 400 });
    return this.#sendBack(request, { error, error_description: description });
  }

  #sendBack(
    { redirectUri, state }: Pick<AuthorizationRequest, "redirectUri" | "state">,
    parameters: Readonly<Record<string, string>>,
  ): Response {
    const location = new URL(redirectUri);
    for (const [name, value] of Object.entries(parameters)) location.searchParams.set(name, value);
    if (state !== undefined)
      location.searchParams.set("state", this.#context.forgery() === "other-state" ? `${state}x` : state);
    location.searchParams.set("iss", this.#issuer); // RFC 9207 §2
    return new Response(null, {
      status: 303,
      headers: { location: location.href, "cache-control": "no-store", "referrer-policy": "no-referrer" },
    });
  }
}

/** Tells whether text can name a client: RFC 6749 appendix A.1, and not endless. */
export function isClientId(text: string): boolean {
  return /^[\x21-\x7e]{1,256}$/.test(text);
}

/** RFC 8252 §7.3: loopback, any port. */
function isRedirectUri(text: string): boolean {
  if (text === OUT_OF_BAND) return true;
  const url = URL.parse(text);
  if (url === null || url.protocol !== "http:" || url.hash !== "" || url.username !== "" || url.password !== "")
    return false;
  return ["127.0.0.1", "[::1]", "localhost"].includes(url.hostname);
}
