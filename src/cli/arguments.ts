/**
 * The command line, read as cosign reads it: its forms, aliases, corrections and environment variables.
 *
 * @module
 */

import type { InputError } from "../errors.ts";
import { Flags, usage, type Flag, type FlagValue } from "./flags.ts";
import { nearest } from "./suggestion.ts";

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
 * @throws {@link InputError} `USAGE_INVALID` for an unknown flag, a missing or wrong value, or a flag given twice with two values.
 */
export function parseArguments(
  args: readonly string[],
  known: readonly Flag[],
  environment: Readonly<Record<string, string | undefined>>,
): ParsedArguments {
  const warnings: string[] = [];
  const values = new Map<string, FlagValue>();
  const operands: string[] = [];
  for (const token of splitWords(args, known, warnings)) {
    if (token.kind === "positional") operands.push(token.value);
    if (token.kind !== "option") continue;
    const flag = known.find(({ name }) => name === token.name);
    if (flag === undefined) throw unknownFlag(token.rawName, known);
    if (flag.deprecated !== undefined) warnings.push(`Flag --${flag.name} has been deprecated, ${flag.deprecated}`);
    const value = readValue(flag, token);
    const before = values.get(flag.name)?.values ?? [];
    if (before.length > 0 && flag.kind !== "strings" && before[0] !== value) {
      throw usage(`flag --${flag.name} is given twice, with different values`, { remedy: "give it once" });
    }
    values.set(flag.name, { values: flag.kind === "strings" ? [...before, value] : [value], setBy: `--${flag.name}` });
  }

  for (const { name, default: fallback, deprecated } of known) {
    if (values.has(name)) continue;
    const fromEnvironment = environment[environmentName(name)] ?? "";
    if (fromEnvironment !== "") {
      const setBy = `${environmentName(name)} in the environment`;
      if (deprecated !== undefined) warnings.push(`${setBy} sets a flag that has been deprecated, ${deprecated}`);
      values.set(name, { values: [fromEnvironment], setBy });
    } else if (fallback !== undefined) values.set(name, { values: [fallback], setBy: `--${name}` });
  }

  const flags = new Flags(values);
  for (const { name, kind } of known) {
    // Told before anything is done, also where nothing would read it.
    if (kind === "boolean") flags.boolean(name);
    if (kind === "number") flags.number(name);
  }
  return { flags, operands, warnings };
}

/** Names the environment variable of a flag. */
function environmentName(flag: string): string {
  return `COSIGN_${flag.toUpperCase().replaceAll("-", "_")}`;
}

type Token =
  | { readonly kind: "positional"; readonly value: string }
  | { readonly kind: "option-terminator" }
  | {
      readonly kind: "option";
      readonly name: string;
      readonly rawName: string;
      readonly value: string | undefined;
      readonly inlineValue: boolean | undefined;
    };

/** Splits a line into flags and operands; what is wrong with them is said in our own words, not by the splitter. */
function splitWords(args: readonly string[], known: readonly Flag[], warnings: string[]): readonly Token[] {
  const options = Object.fromEntries(
    known.map(({ name, kind, short }) => [
      name,
      {
        type: kind === "boolean" ? ("boolean" as const) : ("string" as const),
        ...(short === undefined ? {} : { short }),
      },
    ]),
  );
  const end = args.indexOf("--");
  const words = args.map((argument, index) =>
    end !== -1 && index > end ? argument : correctDashes(argument, known, warnings),
  );
  return process
    .getBuiltinModule("node:util")
    .parseArgs({ args: words, options, strict: false, allowPositionals: true, tokens: true }).tokens;
}

function readValue(flag: Flag, token: Extract<Token, { kind: "option" }>): string {
  const value = token.value ?? (flag.kind === "boolean" ? "true" : undefined);
  if (value === undefined) throw usage(`flag --${flag.name} needs a value`);
  if (token.inlineValue === false && value.startsWith("-") && value !== "-") {
    throw usage(`flag --${flag.name} needs a value, and is followed by ${JSON.stringify(value)}`, {
      remedy: `write --${flag.name}=VALUE if the value begins with a dash`,
    });
  }
  return value;
}

/** Reads `-name` as `--name` and `--n` as `-n`, and resolves aliases, as cosign does before it parses. */
function correctDashes(argument: string, known: readonly Flag[], warnings: string[]): string {
  const [, dashes = "", written = "", rest = ""] = /^(--?)([A-Za-z][A-Za-z0-9-]*)(=.*)?$/s.exec(argument) ?? [];
  if (written === "") return argument;
  const right = written.length === 1 ? "-" : "--";
  if (dashes !== right) warnings.push(`the flag ${dashes}${written} is read as ${right}${written}`);
  // The splitter does not know `-n=value`.
  const long = rest === "" ? undefined : known.find(({ short }) => short === written)?.name;
  if (long !== undefined) return `--${long}${rest}`;
  return `${right}${Object.hasOwn(ALIASES, written) ? (ALIASES[written] ?? written) : written}${rest}`;
}

function unknownFlag(written: string, known: readonly Flag[]): InputError {
  const shown = known.filter(({ deprecated }) => deprecated === undefined).map(({ name }) => name);
  const name = nearest(written.replace(/^-+/, ""), shown);
  return usage(`unknown flag: ${written}`, name === undefined ? {} : { remedy: `did you mean --${name}?` });
}
