/**
 * Flags as cosign has them: their names, aliases, environment variables and forms. What a command does with them is its own.
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
  /** Accepted for cosign's sake and hidden; the text says what to do instead. */
  readonly deprecated?: string;
}

/** Holds the flags of one call, after command line, environment and defaults. */
export class Flags {
  readonly #values: ReadonlyMap<string, readonly string[]>;

  constructor(values: ReadonlyMap<string, readonly string[]>) {
    this.#values = values;
  }

  /** Says whether a flag was given, on the command line or in the environment. */
  has(name: string): boolean {
    return this.#values.has(name);
  }

  /** Reads a flag that takes text; an empty text counts as not given, as in cosign. */
  string(name: string): string | undefined {
    const value = this.#values.get(name)?.at(-1);
    return value === "" ? undefined : value;
  }

  strings(name: string): readonly string[] {
    return this.#values.get(name) ?? [];
  }

  /** @throws InputError `USAGE_INVALID`. */
  boolean(name: string, fallback = false): boolean {
    const value = this.string(name);
    if (value === undefined) return fallback;
    if (["true", "1", "t", "T", "TRUE", "True"].includes(value)) return true;
    if (["false", "0", "f", "F", "FALSE", "False"].includes(value)) return false;
    throw usage(`invalid value ${JSON.stringify(value)} for --${name}`, "true or false");
  }

  /** @throws InputError `USAGE_INVALID`. */
  number(name: string): number | undefined {
    const value = this.string(name);
    if (value === undefined) return undefined;
    if (!/^\d{1,9}$/.test(value)) throw usage(`invalid value ${JSON.stringify(value)} for --${name}`, "a whole number");
    return Number(value);
  }

  /** Reads a flag whose value is one of a few words. @throws InputError `USAGE_INVALID`. */
  choice<const Word extends string>(name: string, words: readonly Word[]): Word | undefined {
    const value = this.string(name);
    if (value === undefined) return undefined;
    const word = words.find((candidate) => candidate === value);
    if (word === undefined) throw usage(`invalid value ${JSON.stringify(value)} for --${name}`, words.join(" or "));
    return word;
  }

  /** Reads a time in RFC 3339. @throws InputError `USAGE_INVALID`. */
  time(name: string): Date | undefined {
    const value = this.string(name);
    return value === undefined ? undefined : parseTime(value, `--${name}`);
  }
}

/** Parses a time in RFC 3339. @throws InputError `USAGE_INVALID`. */
export function parseTime(text: string, what: string): Date {
  const time = new Date(text);
  if (/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)$/.test(text) && !Number.isNaN(time.getTime())) return time;
  throw usage(`invalid time ${JSON.stringify(text)} for ${what}`, "RFC 3339, for instance 2026-01-31T00:00:00Z");
}

/** Makes an error for wrong usage. */
export function usage(message: string, expected?: string): InputError {
  return new InputError("USAGE_INVALID", message, { expected });
}

/** Are the flags that every command has. */
export const GLOBAL_FLAGS: readonly Flag[] = [
  { name: "output-file", kind: "string", value: "FILE", description: "write the command's standard output to a file" },
  { name: "timeout", short: "t", kind: "string", value: "DURATION", default: "3m0s", description: "give up after this time" },
  { name: "verbose", short: "d", kind: "boolean", description: "say more on standard error" },
];

const ALIASES: Readonly<Record<string, string>> = {
  cert: "certificate",
  "cert-chain": "certificate-chain",
  "cert-email": "certificate-email",
  "cert-identity": "certificate-identity",
  "cert-oidc-issuer": "certificate-oidc-issuer",
  "output-cert": "output-certificate",
};

/** Is a command line taken apart. */
export interface ParsedArguments {
  readonly flags: Flags;
  readonly operands: readonly string[];
  /** What a person should know about how the line was read. */
  readonly warnings: readonly string[];
}

/**
 * Reads a command line: `--name value`, `--name=value`, booleans alone or with `=`, `-n value`, `--` before operands; cosign's
 * aliases, and its correction of `-name` and `--n`. A flag that is not given is read from `COSIGN_NAME` in the environment.
 *
 * @throws {@link InputError} `USAGE_INVALID` for an unknown flag, a missing value, or a flag given twice with two values.
 */
export function parseArguments(
  args: readonly string[],
  known: readonly Flag[],
  environment: Readonly<Record<string, string | undefined>>,
): ParsedArguments {
  const warnings: string[] = [];
  const options = Object.fromEntries(
    known.map(({ name, kind, short }) => [
      name,
      { type: kind === "boolean" ? ("boolean" as const) : ("string" as const), ...(short === undefined ? {} : { short }) },
    ]),
  );
  const { tokens } = process.getBuiltinModule("node:util").parseArgs({
    args: args.map((argument, index) => (args.slice(0, index).includes("--") ? argument : correctDashes(argument, warnings))),
    options,
    strict: false, // what is wrong is said in our own words
    allowPositionals: true,
    tokens: true,
  });

  const values = new Map<string, string[]>();
  const operands: string[] = [];
  for (const token of tokens) {
    if (token.kind === "positional") operands.push(token.value);
    if (token.kind !== "option") continue;
    const flag = known.find(({ name }) => name === token.name);
    if (flag === undefined) throw unknownFlag(token.rawName, known);
    const value = token.value ?? (flag.kind === "boolean" ? "true" : undefined);
    if (value === undefined) throw usage(`flag --${flag.name} needs a value`);
    if (flag.deprecated !== undefined) warnings.push(`Flag --${flag.name} has been deprecated, ${flag.deprecated}`);
    const before = values.get(flag.name);
    if (before === undefined) values.set(flag.name, [value]);
    else if (flag.kind === "strings") before.push(value);
    else if (before[0] !== value) throw usage(`flag --${flag.name} is given twice, with different values`);
  }

  for (const { name } of known) {
    const fromEnvironment = environment[environmentName(name)];
    if (!values.has(name) && fromEnvironment !== undefined) values.set(name, [fromEnvironment]);
  }
  for (const { name, default: fallback } of known) {
    if (!values.has(name) && fallback !== undefined) values.set(name, [fallback]);
  }
  return { flags: new Flags(values), operands, warnings };
}

/** Names the environment variable of a flag. */
export function environmentName(flag: string): string {
  return `COSIGN_${flag.toUpperCase().replaceAll("-", "_")}`;
}

/** Reads a duration as Go writes it, `3m0s` for instance. @returns milliseconds. @throws InputError `USAGE_INVALID`. */
export function parseDuration(text: string, what: string): number {
  const units: Readonly<Record<string, number>> = { h: 3_600_000, m: 60_000, s: 1000, ms: 1 };
  if (!/^(\d+(\.\d+)?(h|ms|m|s))+$/.test(text)) throw usage(`invalid duration ${JSON.stringify(text)} for ${what}`, "for instance 90s or 3m0s");
  let milliseconds = 0;
  for (const [, number = "0", , unit = "s"] of text.matchAll(/(\d+(\.\d+)?)(h|ms|m|s)/g)) milliseconds += Number(number) * (units[unit] ?? 0);
  return milliseconds;
}

/** Reads `-name` as `--name` and `--n` as `-n`, and resolves aliases, as cosign does before it parses. */
function correctDashes(argument: string, warnings: string[]): string {
  const [, dashes = "", written = "", rest = ""] = /^(--?)([A-Za-z][A-Za-z0-9-]*)(=.*)?$/s.exec(argument) ?? [];
  if (written === "") return argument;
  const right = written.length === 1 ? "-" : "--";
  if (dashes !== right) warnings.push(`the flag ${dashes}${written} is read as ${right}${written}`);
  return `${right}${ALIASES[written] ?? written}${rest}`;
}

function unknownFlag(written: string, known: readonly Flag[]): InputError {
  const name = written.replace(/^-+/, "");
  const near = known.map((flag) => flag.name).filter((candidate) => candidate.includes(name) || distance(candidate, name) <= 2);
  const [nearest] = near.toSorted((a, b) => distance(a, name) - distance(b, name));
  return new InputError("USAGE_INVALID", `unknown flag: ${written}`, {
    remedy: nearest === undefined ? "see --help" : `did you mean --${nearest}?`,
  });
}

/** Counts the edits between two words, for suggestions only. */
function distance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, index) => index);
  for (let i = 1; i <= a.length; i += 1) {
    const next = [i];
    for (let j = 1; j <= b.length; j += 1) {
      const substitution = (row[j - 1] ?? 0) + (a[i - 1] === b[j - 1] ? 0 : 1);
      next.push(Math.min(substitution, (row[j] ?? 0) + 1, (next[j - 1] ?? 0) + 1));
    }
    row = next;
  }
  return row[b.length] ?? 0;
}
