/**
 * What a registry says of how it wants to be asked: the header `WWW-Authenticate`.
 *
 * @module
 */

/** Is one way to authenticate that a server offers. */
export interface Challenge {
  /** In lower case: `bearer`, `basic`. */
  readonly scheme: string;
  /** By name in lower case. */
  readonly parameters: ReadonlyMap<string, string>;
}

const TOKEN = /[!#$%&'*+.^_`|~0-9A-Za-z-]+/y;
const MAX_LENGTH = 16 * 1024;

/**
 * Parses the challenges of a header. What cannot be read ends the list: what stands before it is good.
 *
 * @see RFC 9110 §11.6.1
 */
export function parseChallenges(header: string): readonly Challenge[] {
  const text = header.slice(0, MAX_LENGTH);
  const challenges: { scheme: string; parameters: Map<string, string> }[] = [];
  let at = 0;
  const take = (pattern: RegExp): string | undefined => {
    pattern.lastIndex = at;
    const found = pattern.exec(text)?.[0];
    at += found?.length ?? 0;
    return found;
  };
  const space = /[\s,]*/y;
  for (;;) {
    take(space);
    const name = take(TOKEN);
    if (name === undefined) return challenges;
    take(/\s*/y);
    const current = challenges.at(-1);
    if (text[at] === "=" && current !== undefined) {
      at += 1;
      take(/\s*/y);
      const value = text[at] === '"' ? takeQuoted() : take(TOKEN);
      if (value === undefined) return challenges;
      // The first counts: a second one is somebody's mistake, or worse.
      if (!current.parameters.has(name.toLowerCase())) current.parameters.set(name.toLowerCase(), value);
      continue;
    }
    challenges.push({ scheme: name.toLowerCase(), parameters: new Map() });
  }

  function takeQuoted(): string | undefined {
    let value = "";
    for (let index = at + 1; index < text.length; index += 1) {
      const character = text[index] ?? "";
      if (character === '"') {
        at = index + 1;
        return value;
      }
      if (character === "\\") index += 1;
      value += text[index] ?? "";
    }
    return undefined;
  }
}
