import { createHash, createHmac, randomBytes, timingSafeEqual } from "node:crypto";

import { MAX_REGISTRY_TOKEN_REQUEST_BYTES } from "../../limits.ts";
import { readBody } from "../request-body.ts";
import { RegistryError } from "./api-error.ts";

/** Is how clients say who they are: not at all, with every request, or with a token that they get with a name and a password. */
export type AuthenticationScheme = "none" | "basic" | "token" | "private-token";

/** Is whom the registry knows. */
export interface RegistryCredentials {
  readonly username: string;
  readonly password: string;
}

/** Is what a request is about to do. */
export interface Access {
  readonly type: "repository" | "registry";
  readonly name: string;
  readonly actions: readonly string[];
}

const SERVICE = "sandbox-registry";
const TOKEN_SECONDS = 300;
const BASIC_CHALLENGE = { "www-authenticate": `Basic realm="${SERVICE}"` };

type SealedClaims =
  | { readonly kind: "access"; readonly access: readonly Access[]; readonly expires: number }
  | { readonly kind: "refresh" };

/**
 * Decides who may do what. Whoever has the password may do everything, others nothing, or with `token` get tokens to pull with.
 *
 * @see {@link https://distribution.github.io/distribution/spec/auth/token/ | Token authentication},
 * {@link https://distribution.github.io/distribution/spec/auth/oauth/ | OAuth 2}
 */
export class Authorization {
  readonly #credentials: RegistryCredentials;
  readonly #now: () => Date;
  readonly #key = randomBytes(32);

  constructor(credentials: RegistryCredentials, now: () => Date) {
    this.#credentials = credentials;
    this.#now = now;
  }

  /** @throws {@link RegistryError} `UNAUTHORIZED`, with what the client needs to try again. */
  check(request: Request, scheme: AuthenticationScheme, access: readonly Access[]): void {
    switch (scheme) {
      case "none":
        return;
      case "basic":
        if (!this.#knows(request))
          throw new RegistryError("UNAUTHORIZED", "authentication required", { headers: BASIC_CHALLENGE });
        return;
      case "token":
      case "private-token":
        this.#checkToken(request, access);
    }
  }

  /** Says whether {@link Authorization.check} lets a request do more. */
  allows(request: Request, scheme: AuthenticationScheme, access: Access): boolean {
    try {
      this.check(request, scheme, [access]);
      return true;
    } catch {
      return false;
    }
  }

  #checkToken(request: Request, access: readonly Access[]): void {
    const scope = access.map(({ type, name, actions }) => `${type}:${name}:${actions.join(",")}`).join(" ");
    const challenge = (error?: string): RegistryError =>
      new RegistryError("UNAUTHORIZED", "authentication required", {
        headers: {
          "www-authenticate": [
            `Bearer realm="${new URL(request.url).origin}/token"`,
            `service="${SERVICE}"`,
            ...(scope === "" ? [] : [`scope="${scope}"`]),
            ...(error === undefined ? [] : [`error="${error}"`]),
          ].join(","),
        },
      });
    const [, token] = /^bearer +(\S+)$/i.exec(request.headers.get("authorization") ?? "") ?? [];
    if (token === undefined) throw challenge();
    const claims = this.#unseal(token);
    if (claims?.kind !== "access" || claims.expires <= this.#now().getTime()) throw challenge("invalid_token");
    const isGranted = (wanted: Access): boolean =>
      wanted.actions.every((action) =>
        claims.access.some(
          ({ type, name, actions }) => type === wanted.type && name === wanted.name && actions.includes(action),
        ),
      );
    if (!access.every(isGranted)) throw challenge("insufficient_scope");
  }

  /** Answers a request for a token: GET with a name and a password, or none; POST with either, or with a refresh token. */
  async issue(request: Request, scheme: AuthenticationScheme): Promise<Response> {
    switch (request.method) {
      case "GET": {
        const { searchParams } = new URL(request.url);
        const hasCredentials = request.headers.has("authorization");
        if (hasCredentials ? !this.#knows(request) : scheme === "private-token")
          throw new RegistryError("UNAUTHORIZED", "authentication required", { headers: BASIC_CHALLENGE });
        const isOffline = searchParams.get("offline_token") === "true";
        return this.#token(searchParams.getAll("scope"), hasCredentials, hasCredentials && isOffline);
      }
      case "POST": {
        const body = await readBody(request, MAX_REGISTRY_TOKEN_REQUEST_BYTES);
        const form = new URLSearchParams(new TextDecoder().decode(body));
        if (!this.#grants(form)) return Response.json({ error: "invalid_grant" }, { status: 400 });
        return this.#token(form.getAll("scope"), true, form.get("access_type") === "offline");
      }
      default:
        throw new RegistryError("UNSUPPORTED", "method not allowed", { headers: { allow: "GET, POST" } });
    }
  }

  #grants(form: URLSearchParams): boolean {
    const type = form.get("grant_type");
    if (type === "password") return this.#isRight(form.get("username") ?? "", form.get("password") ?? "");
    return type === "refresh_token" && this.#unseal(form.get("refresh_token") ?? "")?.kind === "refresh";
  }

  #token(scopes: readonly string[], isKnown: boolean, withRefresh: boolean): Response {
    const access = scopes
      .flatMap((scope) => scope.split(" "))
      .flatMap((scope): Access[] => {
        const [, type, name = "", actions = ""] =
          /^(repository|registry)(?:\([^)]*\))?:(.+):([^:]+)$/.exec(scope) ?? [];
        if (type !== "repository" && type !== "registry") return [];
        const asked = actions.split(",");
        const granted = isKnown ? asked : asked.filter((action) => type === "repository" && action === "pull");
        return granted.length === 0 ? [] : [{ type, name, actions: granted }];
      });
    const now = this.#now();
    const token = this.#seal({ kind: "access", access, expires: now.getTime() + 1000 * TOKEN_SECONDS });
    return Response.json(
      {
        token,
        access_token: token,
        expires_in: TOKEN_SECONDS,
        issued_at: now.toISOString(),
        ...(withRefresh && { refresh_token: this.#seal({ kind: "refresh" }) }),
      },
      { headers: { "cache-control": "no-store" } },
    );
  }

  #knows(request: Request): boolean {
    const [, encoded = ""] = /^basic +(\S+)$/i.exec(request.headers.get("authorization") ?? "") ?? [];
    const [username = "", password = ""] = Buffer.from(encoded, "base64").toString("utf8").split(/:(.*)/s);
    return this.#isRight(username, password);
  }

  #isRight(username: string, password: string): boolean {
    const hash = (text: string): Buffer => createHash("sha256").update(text).digest();
    const isName = timingSafeEqual(hash(username), hash(this.#credentials.username));
    return timingSafeEqual(hash(password), hash(this.#credentials.password)) && isName;
  }

  // ---- what only the registry can have made

  /** Signs the address of something, so that whoever has it may fetch it for a while. */
  sign(path: string): string {
    const expires = this.#now().getTime() + 1000 * TOKEN_SECONDS;
    return `${path}?${new URLSearchParams({ expires: `${expires}`, signature: this.#mac(`${path} ${expires}`) }).toString()}`;
  }

  isSigned({ pathname, searchParams }: URL): boolean {
    const expires = searchParams.get("expires") ?? "";
    const isRight = equals(searchParams.get("signature") ?? "", this.#mac(`${pathname} ${expires}`));
    return isRight && Number(expires) > this.#now().getTime();
  }

  #seal(claims: SealedClaims): string {
    const payload = Buffer.from(JSON.stringify(claims)).toString("base64url");
    return `${payload}.${this.#mac(payload)}`;
  }

  #unseal(token: string): SealedClaims | undefined {
    const [payload = "", mac = ""] = token.split(".");
    if (!equals(mac, this.#mac(payload))) return undefined;
    return JSON.parse(Buffer.from(payload, "base64url").toString("utf8")) as SealedClaims;
  }

  #mac(text: string): string {
    return createHmac("sha256", this.#key).update(text).digest("base64url");
  }
}

function equals(text: string, expected: string): boolean {
  const [a, b] = [Buffer.from(text), Buffer.from(expected)];
  return a.length === b.length && timingSafeEqual(a, b);
}
