/**
 * Words of a Dockerfile: where they end, what is quoted, which here-documents they announce, and what variables in them stand for.
 *
 * @module
 */

import { FormatError } from "../../errors.ts";

/** Is a here-document that a line announces. */
export interface Heredoc {
  /** The line that ends it. */
  readonly mark: string;
  /** Whether tabs may stand before the mark. */
  readonly isIndented: boolean;
}

/** Looks up what a variable stands for. */
export type Variables = (name: string) => string | undefined;

/** Defaults within defaults; nobody writes more. */
const MAX_NESTING = 8;

/** White space as Go has it, which builders are written in: U+0085 is some, U+FEFF is none. */
export const WHITE_SPACE = String.raw`[\t-\r \u0085\u00a0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000]`;
const SPACE = new RegExp(WHITE_SPACE);

/**
 * Splits text at white space that is neither quoted nor escaped; quotation marks and escapes stay. As in a here-document's word, white
 * space after `<<` splits nothing.
 *
 * @returns no word where a quotation or a variable does not end.
 */
export function splitWords(text: string, escape: string): readonly string[] {
  const words: string[] = [];
  let start: number | undefined;
  for (let index = 0; index < text.length; index += 1) {
    const char = text.charAt(index);
    if (isSpace(char)) {
      if (start !== undefined) words.push(text.slice(start, index));
      start = undefined;
      continue;
    }
    start ??= index;
    if (char === escape) index += 1;
    else if (char === '"' || char === "'" || text.startsWith("${", index)) {
      index = findClosing(text, index, escape);
      if (index === -1) return [];
    } else if (text.startsWith("<<", index)) {
      index += 1;
      while (isSpace(text.charAt(index + 1))) index += 1;
    }
  }
  if (start !== undefined) words.push(text.slice(start));
  return words;
}

/**
 * Finds the here-documents that the arguments of an instruction announce. What only looks like one must not be taken for one, and the
 * other way round: the lines of a here-document are no instructions, and so no images are looked for in them.
 *
 * @throws {@link FormatError} `DOCKERFILE_MALFORMED`.
 * @see moby/buildkit, frontend/dockerfile/parser/parser.go `heredocsFromLine`
 */
export function findHeredocs(text: string, line: number): readonly Heredoc[] {
  if (!text.includes("<<") || isJsonList(text)) return [];
  return splitWords(text, "\\").flatMap((word) => {
    const [, dash, quoted = ""] = /^\d*<<(-?)\s*([^<]*)$/.exec(word) ?? [];
    if (quoted === "") return [];
    const mark = unquoted(quoted);
    if (mark === "") throw malformed(line, "a here-document has no mark that ends it");
    return [{ mark, isIndented: dash === "-" }];
  });
}

/**
 * Reads the flags that stand before the arguments of an instruction, their quotation marks and escapes taken out.
 *
 * @see moby/buildkit, frontend/dockerfile/parser/split_command.go `extractBuilderFlags`
 */
export function readLeadingFlags(text: string): { readonly flags: readonly string[]; readonly rest: string } {
  const flags: string[] = [];
  let index = 0;
  for (;;) {
    while (isSpace(text.charAt(index))) index += 1;
    if (!text.startsWith("--", index)) break;
    let word = "";
    let quote = "";
    for (; index < text.length; index += 1) {
      const char = text.charAt(index);
      if (quote === "" && isSpace(char)) break;
      if (char === quote) quote = "";
      else if (quote === "" && (char === '"' || char === "'")) quote = char;
      else if (char === "\\") word += text.charAt((index += 1));
      else word += char;
    }
    if (word === "--") break;
    flags.push(word);
  }
  return { flags, rest: text.slice(index) };
}

/**
 * Takes quotation marks and escapes out of a word, and puts in what variables stand for: `$NAME`, `${NAME}`, `${NAME:-other}`,
 * `${NAME:+other}`, `${NAME:?message}`, and the three without the colon. Other forms are refused, since what they come to is unknown.
 *
 * @param unknown - What stands for a variable without a value. Absent: that is an error.
 * @throws {@link FormatError} `DOCKERFILE_MALFORMED`.
 * @see docker/docs, "Dockerfile reference": "Environment replacement"
 */
export function expandWord(
  word: string,
  variables: Variables,
  { line, escape, unknown }: { readonly line: number; readonly escape: string; readonly unknown?: string | undefined },
): string {
  const expand = (text: string, nesting: number): string => {
    if (nesting > MAX_NESTING) throw malformed(line, "variables stand within variables too deeply");
    let result = "";
    let quote = "";
    for (let index = 0; index < text.length; index += 1) {
      const char = text.charAt(index);
      if (quote === "'") {
        if (char === "'") quote = "";
        else result += char;
      } else if (char === escape) {
        index += 1;
        const next = text.charAt(index);
        result += quote === "" || ['"', "$", escape].includes(next) ? next : char + next;
      } else if (char === quote) quote = "";
      else if (char === '"' || (char === "'" && quote === "")) quote = char;
      else if (char === "$") {
        const [value, length] = variable(text.slice(index), nesting);
        result += value;
        index += length - 1;
      } else result += char;
    }
    if (quote !== "") throw malformed(line, `a quotation mark is not closed: ${JSON.stringify(text.slice(0, 100))}`);
    return result;
  };
  const variable = (text: string, nesting: number): readonly [string, number] => {
    const [plain, name] = /^\$([A-Za-z_][A-Za-z0-9_]*)/.exec(text) ?? [];
    if (plain !== undefined) return [valueOf(name ?? ""), plain.length];
    const [head = "", key = "", operator] = /^\$\{([A-Za-z_][A-Za-z0-9_]*)(:?[-+?])?/.exec(text) ?? [];
    const end = head === "" ? -1 : findClosing(text, 0, escape);
    const inside = text.slice(head.length, end);
    if (end === -1 || (operator === undefined && inside !== ""))
      throw malformed(line, `cannot tell what ${JSON.stringify(text.slice(0, 100))} stands for`);
    const value = variables(key);
    const isSet = value !== undefined && (value !== "" || operator?.startsWith(":") !== true);
    const kind = operator?.at(-1);
    if (kind === "-") return [isSet ? value : expand(inside, nesting + 1), end + 1];
    if (kind === "+") return [isSet ? expand(inside, nesting + 1) : "", end + 1];
    if (kind === "?" && !isSet) throw noValue(key);
    return [valueOf(key), end + 1];
  };
  const valueOf = (name: string): string => {
    const value = variables(name) ?? unknown;
    if (value === undefined) throw noValue(name);
    return value;
  };
  const noValue = (name: string): FormatError =>
    new FormatError("DOCKERFILE_MALFORMED", `line ${line} depends on $${name}, which has no value`, {
      remedy: `give it as the build is given it: --build-arg ${name}=VALUE, or ${name} in the environment`,
    });
  return expand(word, 0);
}

/** Makes the error of a line. */
export function malformed(line: number, problem: string): FormatError {
  return new FormatError("DOCKERFILE_MALFORMED", `line ${line}: ${problem}`);
}

/** Finds what closes the quotation mark, or the brace of a variable, at a position. @returns -1 where nothing does. */
function findClosing(text: string, from: number, escape: string): number {
  const open: string[] = [];
  for (let index = from; index < text.length; index += 1) {
    const char = text.charAt(index);
    const inner = open.at(-1);
    if (char === inner) {
      open.pop();
      if (open.length === 0) return index;
    } else if (inner === "'") continue;
    else if (char === escape) index += 1;
    else if (text.startsWith("${", index)) {
      open.push("}");
      index += 1;
    } else if (char === '"' || (char === "'" && inner !== '"')) open.push(char);
  }
  return -1;
}

function unquoted(word: string): string {
  return word.replaceAll(
    /'([^']*)'|"((?:[^"\\]|\\[\s\S])*)"|\\([\s\S])/g,
    (_, single: string | undefined, double: string | undefined, escaped: string | undefined) =>
      single ?? double?.replaceAll(/\\(["\\$])/g, "$1") ?? escaped ?? "",
  );
}

/** What begins with a list of texts in JSON is that, whatever follows. */
function isJsonList(text: string): boolean {
  return /^\[\s*(?:"(?:[^"\\]|\\.)*"\s*(?:,\s*"(?:[^"\\]|\\.)*"\s*)*)?\]/.test(text);
}

function isSpace(char: string): boolean {
  return char !== "" && SPACE.test(char);
}
