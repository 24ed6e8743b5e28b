import { randomBytes } from "node:crypto";
import { MAX_PENDING_LOGINS } from "../../limits.ts";

/** Holds what waits for somebody, each under a secret name and for a limited time; the oldest makes way for what is one too many. */
export class Pending<T> {
  readonly #items = new Map<string, { readonly value: T; readonly expires: number }>();
  readonly #now: () => Date;
  readonly #lifetimeMs: number;

  constructor(now: () => Date, lifetimeMs: number) {
    this.#now = now;
    this.#lifetimeMs = lifetimeMs;
  }

  /** @returns The name, which cannot be guessed. */
  add(value: T): string {
    const [oldest] = this.#items.keys();
    if (this.#items.size >= MAX_PENDING_LOGINS && oldest !== undefined) this.#items.delete(oldest);
    const name = randomBytes(24).toString("base64url");
    this.#items.set(name, { value, expires: this.#now().getTime() + this.#lifetimeMs });
    return name;
  }

  /** Gives what has this name; `expired` where its time is over. */
  find(name: string | undefined): { readonly value: T; readonly expired: boolean } | undefined {
    const item = name === undefined ? undefined : this.#items.get(name);
    return item && { value: item.value, expired: item.expires <= this.#now().getTime() };
  }

  /** Gives what has this name for the last time; `undefined` also where its time is over. */
  take(name: string | undefined): T | undefined {
    const item = this.find(name);
    if (name !== undefined) this.#items.delete(name);
    return item === undefined || item.expired ? undefined : item.value;
  }

  /** Lists what is held. */
  values(): T[] {
    return [...this.#items.values()].map(({ value }) => value);
  }
}
