/**
 * How the client answers a registry that wants to know who asks: with its name and password, or with a token from the service that
 * the registry names.
 *
 * A registry can name any host as its token service. Credentials go to that of the registry itself, to those that are known to belong to
 * it, and to those that the caller names; to no other.
 *
 * @module
 */

import type { JsonReader } from "../../encoding/json-reader.ts";
import { encodeUtf8 } from "../../encoding/utf8.ts";
import { ServiceError } from "../../errors.ts";
import { redactUrl } from "../../http/redact.ts";
import type { HttpAnswer, HttpRequest } from "../../http/request.ts";
import { readJsonAnswer } from "../../http/service-answer.ts";
import { MAX_CREDENTIAL_BYTES } from "../../limits.ts";
import { parseChallenges, type Challenge } from "./challenge.ts";
import type { CredentialSource, RegistryCredentials } from "./credentials.ts";

/** Token services of registries that have them on another host. */
const KNOWN_REALMS: Readonly<Record<string, string>> = {
  "index.docker.io": "auth.docker.io",
  "registry.gitlab.com": "gitlab.com",
};
/** How long a token lasts that does not say it. @see distribution docs/content/spec/auth/token.md */
const DEFAULT_TOKEN_SECONDS = 60;
/** A token is not used in its last seconds: the request has to arrive before its end. */
const MARGIN_MS = 5000;

/** Is what a request is about to do to a repository. */
export type RegistryAction = "pull" | "push" | "delete";

/** Is what the client is to be allowed. */
export interface RegistryScope {
  readonly repository: string;
  readonly actions: readonly RegistryAction[];
  /** Another repository of the registry, from which blobs are mounted. */
  readonly mountFrom?: string | undefined;
}

/** Sends a request to a token service. */
export type TokenSender = (url: string, request: HttpRequest) => Promise<HttpAnswer>;

interface Token {
  readonly token: string;
  readonly endsAt: number;
}

/** Answers the challenges of one registry, and remembers the answers. */
export class Authorizer {
  readonly #registry: string;
  readonly #source: CredentialSource;
  readonly #trustedRealmHosts: readonly string[];
  readonly #send: TokenSender;
  #credentials: Promise<RegistryCredentials> | undefined;
  #basic: string | undefined;
  /** What the registry asked for last: the next scope is asked for in the same way. */
  #bearer: Challenge | undefined;
  #origin = "";
  readonly #tokens = new Map<string, Promise<Token>>();

  constructor(options: {
    readonly registry: string;
    readonly credentials: CredentialSource;
    readonly trustedRealmHosts: readonly string[];
    readonly send: TokenSender;
  }) {
    this.#registry = options.registry;
    this.#source = options.credentials;
    this.#trustedRealmHosts = options.trustedRealmHosts;
    this.#send = options.send;
  }

  /** Gives the header for a request, as far as it is known what the registry wants; `undefined` before the first challenge. */
  async header(scope: RegistryScope | undefined): Promise<string | undefined> {
    if (this.#basic !== undefined) return this.#basic;
    if (this.#bearer !== undefined) return `Bearer ${await this.#token(this.#bearer, scope)}`;
    const credentials = await this.#read();
    return credentials.kind === "registry-token" ? `Bearer ${credentials.registryToken}` : undefined;
  }

  /**
   * Answers a challenge.
   *
   * @param header - `WWW-Authenticate`, as it came from the registry's own origin.
   * @param origin - That origin.
   * @returns the header for the next attempt; `undefined` where there is nothing to answer with.
   * @throws ServiceError `REGISTRY_REALM_REFUSED`, and those of the token service; InputError `CREDENTIALS_UNAVAILABLE`.
   */
  async answer(header: string, origin: string, scope: RegistryScope | undefined): Promise<string | undefined> {
    const challenges = parseChallenges(header);
    const bearer = challenges.find(({ scheme, parameters }) => scheme === "bearer" && parameters.has("realm"));
    const credentials = await this.#read();
    if (credentials.kind === "registry-token") return undefined; // it was sent, and is not enough
    this.#origin = origin;
    if (bearer !== undefined) {
      this.#bearer = bearer;
      this.#tokens.delete(scopeKey(scope)); // one that was refused is not tried again
      return `Bearer ${await this.#token(bearer, scope)}`;
    }
    if (!challenges.some(({ scheme }) => scheme === "basic") || credentials.kind !== "basic") return undefined;
    if (this.#basic !== undefined) return undefined; // it was sent, and is not good
    return (this.#basic = basicHeader(credentials));
  }

  #read(): Promise<RegistryCredentials> {
    return (this.#credentials ??= this.#source(this.#registry));
  }

  async #token(challenge: Challenge, scope: RegistryScope | undefined): Promise<string> {
    const key = scopeKey(scope);
    for (let known = this.#tokens.get(key); known !== undefined; known = this.#tokens.get(key)) {
      const { token, endsAt } = await known;
      if (performance.now() < endsAt) return token;
      // Somebody else may have seen that in the meantime, and asked.
      if (this.#tokens.get(key) === known) break;
    }
    const asking = this.#askForToken(challenge, scope);
    this.#tokens.set(key, asking);
    try {
      return (await asking).token;
    } catch (error) {
      this.#tokens.delete(key);
      throw error;
    }
  }

  async #askForToken({ parameters }: Challenge, scope: RegistryScope | undefined): Promise<Token> {
    const credentials = await this.#read();
    const realm = this.#checkRealm(parameters.get("realm") ?? "", credentials.kind !== "anonymous");
    const service = parameters.get("service") ?? "";
    const scopes = scope === undefined ? (parameters.get("scope") ?? "") : formatScope(scope);
    const asked = performance.now();
    const answer = await this.#send(
      ...(credentials.kind === "identity-token"
        ? refreshRequest(realm, service, scopes, credentials.identityToken)
        : tokenRequest(realm, service, scopes, credentials)),
    );
    return readJsonAnswer(answer, `token service of ${this.#registry}`, "a token", (reader) =>
      readToken(reader, asked),
    );
  }

  /** @returns where a token is asked for. */
  #checkRealm(text: string, hasCredentials: boolean): URL {
    const realm = URL.parse(text);
    const refuse = (problem: string, remedy?: string): ServiceError =>
      new ServiceError("REGISTRY_REALM_REFUSED", `registry ${this.#registry} sends to a token service ${problem}`, {
        service: `registry ${this.#registry}`,
        expected: `a token service on ${this.#hosts().join(" or ")}`,
        found: realm === null ? "no URL" : redactUrl(realm.href),
        remedy,
      });
    if (realm === null || !/^https?:$/.test(realm.protocol)) throw refuse("that is no HTTP address");
    if (realm.username + realm.password !== "") throw refuse("with credentials in its address");
    const own = URL.parse(this.#origin);
    const isOwn = own !== null && own.host === realm.host && own.protocol === realm.protocol;
    if (realm.protocol === "http:" && !isOwn) throw refuse("without TLS");
    if (hasCredentials && !isOwn && !this.#hosts().includes(realm.host))
      throw refuse("on another host, which is not given the credentials");
    return realm;
  }

  #hosts(): readonly string[] {
    const known = Object.hasOwn(KNOWN_REALMS, this.#registry) ? KNOWN_REALMS[this.#registry] : undefined;
    return [this.#registry, ...(known === undefined ? [] : [known]), ...this.#trustedRealmHosts];
  }
}

function basicHeader({ username, password }: { readonly username: string; readonly password: string }): string {
  return `Basic ${Buffer.from(encodeUtf8(`${username}:${password}`)).toString("base64")}`;
}

function scopeKey(scope: RegistryScope | undefined): string {
  return scope === undefined ? "" : formatScope(scope);
}

/** @see distribution docs/content/spec/auth/scope.md */
function formatScope({ repository, actions, mountFrom }: RegistryScope): string {
  const scope = `repository:${repository}:${actions.join(",")}`;
  return mountFrom === undefined ? scope : `${scope} repository:${mountFrom}:pull`;
}

/** @see distribution docs/content/spec/auth/token.md */
function tokenRequest(
  realm: URL,
  service: string,
  scope: string,
  credentials: RegistryCredentials,
): [string, HttpRequest] {
  const url = new URL(realm);
  if (service !== "") url.searchParams.set("service", service);
  for (const one of scope.split(" ")) if (one !== "") url.searchParams.append("scope", one);
  return [
    url.href,
    {
      method: "GET",
      accept: [200],
      maxBytes: MAX_CREDENTIAL_BYTES,
      refusal: "REGISTRY_UNAUTHORIZED",
      ...(credentials.kind === "basic" && { headers: { authorization: basicHeader(credentials) } }),
    },
  ];
}

/** @see distribution docs/content/spec/auth/oauth.md */
function refreshRequest(realm: URL, service: string, scope: string, identityToken: string): [string, HttpRequest] {
  const body = new URLSearchParams({
    grant_type: "refresh_token",
    service,
    client_id: "cosign-ts",
    scope,
    refresh_token: identityToken,
  });
  return [
    realm.href,
    {
      method: "POST",
      accept: [200],
      maxBytes: MAX_CREDENTIAL_BYTES,
      refusal: "REGISTRY_UNAUTHORIZED",
      headers: { "content-type": "application/x-www-form-urlencoded" },
      body: body.toString(),
    },
  ];
}

function readToken(reader: JsonReader, asked: number): Token {
  const answer = reader.object();
  const token = answer.optional("token")?.string() ?? answer.required("access_token").string();
  if (!/^[\x21-\x7e]+$/.test(token)) reader.fail("holds a token that cannot be sent");
  const seconds = Number(answer.optional("expires_in")?.int64() ?? DEFAULT_TOKEN_SECONDS);
  return { token, endsAt: asked + Math.max(0, Math.min(seconds, 24 * 3600) * 1000 - MARGIN_MS) };
}
