/**
 * Secrets, gathered from what goes over the wire, and the search for them in what is shown or kept.
 *
 * @module
 */

import type { Fetch } from "../../../src/http/request.ts";

/** Is what kind of secret it is. */
export type SecretKind =
  | "identity token"
  | "access token"
  | "authorization code"
  | "PKCE verifier"
  | "device code"
  | "client secret"
  | "bearer of the job"
  | "key password"
  | "private key"
  | "proxy password";

/** Holds secrets, and finds them in texts, whatever they are wrapped in. */
export class Secrets {
  readonly #values = new Map<string, SecretKind>();

  add(kind: SecretKind, value: string): void {
    this.#values.set(value, kind);
    // Of a token, the signature is what makes it one; what it says is no secret.
    const signature = kind === "identity token" ? value.split(".")[2] : undefined;
    if (signature !== undefined) this.#values.set(signature, kind);
    if (kind !== "private key") return;
    for (const line of value.split("\n").filter((one) => /^[A-Za-z0-9+/=]{20,}$/.test(one)))
      this.#values.set(line, kind);
  }

  get kinds(): ReadonlySet<SecretKind> {
    return new Set(this.#values.values());
  }

  get all(): readonly (readonly [string, SecretKind])[] {
    return [...this.#values];
  }

  /** Names what is found in a text: as it is, in JSON, in a URL, or in base64 at whatever offset. */
  findIn(text: string): readonly SecretKind[] {
    const found = [...this.#values].filter(([value]) => formsOf(value).some((form) => text.includes(form)));
    return [...new Set(found.map(([, kind]) => kind))].sort();
  }

  /** Looks at what is sent and what is answered. */
  watch(fetch: Fetch): Fetch {
    return async (url, init) => {
      const { authorization } = Object.fromEntries(new Headers(init.headers)) as { authorization?: string };
      const bearer = /^bearer (.+)$/i.exec(authorization ?? "")?.[1];
      if (bearer !== undefined) this.add("bearer of the job", bearer);
      if (typeof init.body === "string") this.#readForm(init.body);
      const response = await fetch(url, init);
      this.#readJson(
        await response
          .clone()
          .text()
          .catch(() => ""),
      );
      return response;
    };
  }

  #readForm(body: string): void {
    if (body.startsWith("{")) return;
    const form = new URLSearchParams(body);
    for (const [name, kind] of FORM_FIELDS) {
      const value = form.get(name);
      if (value !== null && value !== "") this.add(kind, value);
    }
  }

  #readJson(body: string): void {
    for (const [name, kind] of JSON_FIELDS) {
      const value = new RegExp(`"${name}"\\s*:\\s*"([^"]+)"`).exec(body)?.[1];
      if (value !== undefined) this.add(kind, value);
    }
  }
}

const FORM_FIELDS = [
  ["code", "authorization code"],
  ["code_verifier", "PKCE verifier"],
  ["client_secret", "client secret"],
  ["device_code", "device code"],
] as const;
const JSON_FIELDS = [
  ["id_token", "identity token"],
  ["access_token", "access token"],
  ["device_code", "device code"],
] as const;

function formsOf(value: string): readonly string[] {
  // Three bytes are four characters: what stands before a text decides which four.
  const inBase64 = [0, 1, 2].flatMap((offset) => {
    const bytes = Buffer.concat([Buffer.alloc(offset), Buffer.from(value)]);
    const begin = offset === 0 ? 0 : 4;
    const end = bytes.length - (bytes.length % 3);
    return (["base64", "base64url"] as const).map((encoding) => bytes.subarray(0, end).toString(encoding).slice(begin));
  });
  return [
    value,
    JSON.stringify(value).slice(1, -1),
    encodeURIComponent(value),
    ...inBase64.filter((one) => one.length >= 8),
  ];
}
