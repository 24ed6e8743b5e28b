/**
 * Flags: what a table of them says, and how their values are read.
 *
 * @module
 */

import { InputError } from "../errors.ts";

/** Describes one flag of a command. */
export interface Flag {
  readonly name: string;
  readonly kind: "string" | "boolean" | "number" | "strings";
  readonly description: string;
  readonly short?: string;
  /** How the value is called in the help. */
  readonly value?: string;
  readonly default?: string;
  /** Words that completion offers for the value. */
  readonly choices?: readonly string[];
  /** Accepted for cosign's sake and hidden; the text says what to do instead. */
  readonly deprecated?: string;
}

/** Is what one flag was set to. */
export interface FlagValue {
  readonly values: readonly string[];
  /** How the person set it, for messages: `--key`, or `COSIGN_KEY in the environment`. */
  readonly setBy: string;
}

/** Holds the flags of one call, after command line, environment and defaults. */
export class Flags {
  readonly #values: ReadonlyMap<string, FlagValue>;

  constructor(values: ReadonlyMap<string, FlagValue>) {
    this.#values = values;
  }

  /** Says whether a flag was given, on the command line or in the environment. An empty text counts as not given, as in cosign. */
  has(name: string): boolean {
    return this.strings(name).some((value) => value !== "");
  }

  /** Reads a flag that takes text. */
  string(name: string): string | undefined {
    const value = this.strings(name).at(-1);
    return value === "" ? undefined : value;
  }

  /** Reads a flag that may be repeated. */
  strings(name: string): readonly string[] {
    return this.#values.get(name)?.values ?? [];
  }

  /** Names a flag as the person set it, for messages. */
  nameOf(name: string): string {
    return this.#values.get(name)?.setBy ?? `--${name}`;
  }

  /** @throws InputError `USAGE_INVALID`. */
  boolean(name: string, fallback = false): boolean {
    const value = this.string(name);
    if (value === undefined) return fallback;
    if (["true", "1", "t", "T", "TRUE", "True"].includes(value)) return true;
    if (["false", "0", "f", "F", "FALSE", "False"].includes(value)) return false;
    throw this.#invalid(name, value, "true or false");
  }

  /** @throws InputError `USAGE_INVALID`. */
  number(name: string): number | undefined {
    const value = this.string(name);
    if (value === undefined) return undefined;
    if (!/^\d{1,9}$/.test(value)) throw this.#invalid(name, value, "a whole number, 0 or more");
    return Number(value);
  }

  /** Reads a flag whose value is one of a few words. @throws InputError `USAGE_INVALID`. */
  choice<const Word extends string>(name: string, words: readonly Word[]): Word | undefined {
    const value = this.string(name);
    if (value === undefined) return undefined;
    const word = words.find((candidate) => candidate === value);
    if (word === undefined) throw this.#invalid(name, value, words.join(" or "));
    return word;
  }

  /** Reads a time in RFC 3339. @throws InputError `USAGE_INVALID`. */
  time(name: string): Date | undefined {
    const value = this.string(name);
    return value === undefined ? undefined : parseTime(value, this.nameOf(name));
  }

  #invalid(name: string, value: string, expected: string): InputError {
    return usage(`invalid value ${JSON.stringify(value)} for ${this.nameOf(name)}`, { expected });
  }
}

/** Parses a time in RFC 3339. @throws InputError `USAGE_INVALID`. */
export function parseTime(text: string, what: string): Date {
  const [, date = "", clock = ""] =
    /^(\d{4}-\d\d-\d\d)[Tt](\d\d:\d\d:\d\d)(?:\.\d+)?(?:[Zz]|[+-]\d\d:\d\d)$/.exec(text) ?? [];
  const time = new Date(text.toUpperCase());
  // A 30th of February would be carried into March.
  const read = new Date(`${date}T${clock}Z`).toJSON() as string | null;
  if (date !== "" && read?.startsWith(`${date}T${clock}`) === true && !Number.isNaN(time.getTime())) return time;
  throw usage(`invalid time ${JSON.stringify(text)} for ${what}`, {
    expected: "RFC 3339, for instance 2026-01-31T00:00:00Z",
  });
}

/** Reads a duration as Go writes it, `3m0s` for instance. @returns milliseconds. @throws InputError `USAGE_INVALID`. */
export function parseDuration(text: string, what: string): number {
  const units: Readonly<Record<string, number>> = {
    h: 3_600_000,
    m: 60_000,
    s: 1000,
    ms: 1,
    us: 1e-3,
    µs: 1e-3,
    μs: 1e-3,
    ns: 1e-6,
  };
  if (!/^(?:(?:\d+(?:\.\d*)?|\.\d+)(?:h|m|s|ms|us|µs|μs|ns))+$/.test(text)) {
    throw usage(`invalid duration ${JSON.stringify(text)} for ${what}`, { expected: "for instance 90s or 3m0s" });
  }
  let milliseconds = 0;
  for (const [, number = "0", unit = "s"] of text.matchAll(/([\d.]+)(\D+)/g))
    milliseconds += Number(number) * (units[unit] ?? 0);
  return milliseconds;
}

/** Makes an error for wrong usage. */
export function usage(
  message: string,
  details: { readonly expected?: string; readonly remedy?: string } = {},
): InputError {
  return new InputError("USAGE_INVALID", message, details);
}

/** Are the flags that every command has. */
export const GLOBAL_FLAGS: readonly Flag[] = [
  {
    name: "output-file",
    kind: "string",
    value: "FILE",
    description: "write to this file what would go to standard output; if that fails, the file stays as it was",
  },
  {
    name: "timeout",
    short: "t",
    kind: "string",
    value: "DURATION",
    default: "3m0s",
    description: "give up after this time",
  },
  {
    name: "verbose",
    short: "d",
    kind: "boolean",
    description: "say on standard error what is read, trusted and requested, and how long it takes",
  },
];

/** Gives the flags that a command has besides its own. What runs until it is interrupted has a time limit only where one is given. */
export function globalFlagsOf({ isEndless = false }: { readonly isEndless?: boolean }): readonly Flag[] {
  if (!isEndless) return GLOBAL_FLAGS;
  return GLOBAL_FLAGS.map((flag) => {
    if (flag.name !== "timeout") return flag;
    const { default: _limit, ...rest } = flag;
    return { ...rest, description: "end after this time" };
  });
}
