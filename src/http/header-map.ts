/**
 * Headers of requests. Node's own `Headers` come with the whole of its `fetch`, which takes longer to load than most requests do.
 *
 * @module
 */

/** Reads headers: the part of the standard `Headers` that is used of answers. */
export type ReadableHeaders = Pick<Headers, "get" | "has">;

/** @see RFC 9110 §5.1, §5.5: what a name and a value may consist of */
const NAME = /^[!#$%&'*+.^_`|~0-9a-z-]+$/;
const VALUE = /^[\t\x20-\x7e\x80-\xff]*$/;

/** Holds the headers of a request by their names in lower case. */
export class HeaderMap implements ReadableHeaders {
  readonly #values = new Map<string, string>();

  constructor(headers: Iterable<readonly [string, string]> = []) {
    for (const [name, value] of headers) this.set(name, value);
  }

  /** @throws TypeError for a name or a value that cannot be sent. */
  set(name: string, value: string): void {
    const key = name.toLowerCase();
    const trimmed = value.trim();
    if (!NAME.test(key) || !VALUE.test(trimmed)) throw new TypeError("header cannot be sent");
    this.#values.set(key, trimmed);
  }

  get(name: string): string | null {
    return this.#values.get(name.toLowerCase()) ?? null;
  }

  has(name: string): boolean {
    return this.#values.has(name.toLowerCase());
  }

  [Symbol.iterator](): Iterator<[string, string]> {
    return this.#values[Symbol.iterator]();
  }
}
