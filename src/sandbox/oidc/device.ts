import { randomInt } from "node:crypto";
import type { ServiceContext } from "../service.ts";
import type { Grant } from "./authorization.ts";
import type { Claim, IdentityKind } from "./claims.ts";
import { loginFields, loginText, readLogin } from "./login.ts";
import { OAuthError } from "./oauth-error.ts";
import { formPage, messagePage } from "./pages.ts";
import { Pending } from "./pending.ts";
import { fitsChallenge, isCodeChallenge } from "./pkce.ts";
import type { Client } from "./token.ts";

interface DeviceLogin {
  readonly clientId: string;
  readonly userCode: string;
  readonly codeChallenge: string | undefined;
  /** What the person decided. */
  decision:
    | { readonly kind: "approved"; readonly claims: Readonly<Record<string, Claim>> }
    | { readonly kind: "denied" }
    | undefined;
  intervalMs: number;
  /** When the client asked last. */
  askedAt: number | undefined;
}

const LIFETIME_SECONDS = 600;
/** Consonants that no font confuses, so that codes are no words (RFC 8628 §6.1). */
const USER_CODE_LETTERS = "BCDFGHJKLMNPQRSTVWXZ";

/**
 * Is the login on another device: the client shows a code, the person enters it on a page, the client asks until that is done.
 *
 * @see RFC 8628
 */
export class DeviceEndpoint {
  readonly #context: ServiceContext;
  readonly #issuer: string;
  readonly #kind: IdentityKind;
  readonly #intervalSeconds: number;
  readonly #logins: Pending<DeviceLogin>;

  constructor(context: ServiceContext, issuer: string, kind: IdentityKind, intervalSeconds: number) {
    this.#context = context;
    this.#issuer = issuer;
    this.#kind = kind;
    this.#intervalSeconds = intervalSeconds;
    this.#logins = new Pending(context.now, LIFETIME_SECONDS * 1000);
  }

  /**
   * Begins a login (§3.1 and §3.2).
   *
   * @throws {@link OAuthError} `invalid_scope`, `invalid_request`.
   */
  begin(form: URLSearchParams, client: Client): Readonly<Record<string, string | number>> {
    if (!(form.get("scope") ?? "").split(" ").includes("openid"))
      throw new OAuthError("invalid_scope", "scope must include openid");
    const codeChallenge = form.get("code_challenge") ?? undefined;
    if (
      codeChallenge !== undefined &&
      (form.get("code_challenge_method") !== "S256" || !isCodeChallenge(codeChallenge))
    )
      throw new OAuthError("invalid_request", "PKCE is by code_challenge_method S256 only");
    const userCode = newUserCode();
    const deviceCode = this.#logins.add({
      clientId: client.id,
      userCode,
      codeChallenge,
      decision: undefined,
      intervalMs: this.#intervalSeconds * 1000,
      askedAt: undefined,
    });
    return {
      device_code: deviceCode,
      user_code: userCode,
      verification_uri: `${this.#issuer}/device`,
      verification_uri_complete: `${this.#issuer}/device?user_code=${userCode}`,
      expires_in: LIFETIME_SECONDS,
      interval: this.#intervalSeconds,
    };
  }

  /** Gives the page that the person enters the code on. */
  page(userCode: string | undefined, email?: string, problem?: string): Response {
    return formPage(
      {
        title: "Log in on another device",
        text: [loginText(this.#kind), "Continue only if you see the same code there."],
        problem,
        fields: [
          { name: "user_code", label: "Code", type: "text", value: userCode ?? "" },
          ...loginFields(this.#kind, email),
        ],
        hidden: {},
        buttons: [
          { action: "approve", label: "Log in" },
          { action: "deny", label: "Deny" },
        ],
      },
      problem === undefined ? 200 : 400,
    );
  }

  /** Takes the form of that page. */
  decide(form: URLSearchParams): Response {
    const userCode = form.get("user_code") ?? "";
    const email = form.get("email") ?? undefined;
    const login = this.#logins
      .values()
      .find((one) => one.decision === undefined && lettersOf(one.userCode) === lettersOf(userCode));
    if (login === undefined)
      return this.page(userCode, email, "There is no login with this code. It may be over already.");
    if (form.get("action") === "deny") {
      login.decision = { kind: "denied" };
      return messagePage("Denied", ["Nobody was logged in."]);
    }
    const answer = readLogin(this.#kind, email);
    if (answer.kind === "problem") return this.page(userCode, email, answer.problem);
    login.decision = { kind: "approved", claims: answer.claims };
    return messagePage("Logged in", ["You can close this page and go back to the other device."]);
  }

  /**
   * Answers the client that asks whether the person is done (§3.4 and §3.5).
   *
   * @throws {@link OAuthError} `authorization_pending`, `slow_down`, `access_denied`, `expired_token`, `invalid_grant`.
   */
  redeem(clientId: string, form: URLSearchParams): Grant {
    const deviceCode = form.get("device_code") ?? undefined;
    const found = this.#logins.find(deviceCode);
    if (found === undefined) throw new OAuthError("invalid_grant", "the device_code is unknown or used");
    const login = found.value;
    if (login.clientId !== clientId)
      throw new OAuthError("invalid_grant", "the device_code was issued to another client");
    if (
      login.codeChallenge !== undefined &&
      !fitsChallenge(form.get("code_verifier") ?? undefined, login.codeChallenge)
    )
      throw new OAuthError("invalid_grant", "the code_verifier does not fit the code_challenge");
    if (found.expired) throw new OAuthError("expired_token", "the login took too long");
    const now = this.#context.now().getTime();
    const tooSoon = login.askedAt !== undefined && now - login.askedAt < login.intervalMs;
    login.askedAt = now;
    if (tooSoon) {
      login.intervalMs += 5000; // §3.5: the interval MUST be increased by 5 seconds for this and all subsequent requests
      throw new OAuthError("slow_down", "ask less often");
    }
    if (login.decision === undefined) throw new OAuthError("authorization_pending", "the person is not done yet");
    this.#logins.take(deviceCode);
    if (login.decision.kind === "denied") throw new OAuthError("access_denied", "the person denied the login");
    return { claims: login.decision.claims, nonce: undefined };
  }
}

function newUserCode(): string {
  const letters = Array.from({ length: 8 }, () => USER_CODE_LETTERS[randomInt(USER_CODE_LETTERS.length)]).join("");
  return `${letters.slice(0, 4)}-${letters.slice(4)}`;
}

/** §6.1: punctuation and case do not count. */
function lettersOf(userCode: string): string {
  return userCode.toUpperCase().replaceAll(/[^A-Z]/g, "");
}
