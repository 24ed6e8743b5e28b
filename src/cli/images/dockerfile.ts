/**
 * Dockerfiles: the images that a build is made from.
 *
 * @module
 */

import { FormatError } from "../../errors.ts";
import { MAX_DOCKERFILE_BYTES } from "../../limits.ts";
import {
  expandWord,
  findHeredocs,
  malformed,
  readLeadingFlags,
  splitWords,
  WHITE_SPACE,
  type Heredoc,
} from "./dockerfile-words.ts";

/** Is an image that a Dockerfile names. */
export interface DockerfileImage {
  readonly image: string;
  /** Counted from 1. */
  readonly line: number;
  /** Whether it is what the last stage begins with, be it by way of another stage. */
  readonly isBase: boolean;
}

/** Says what variables stand for that a Dockerfile leaves to whoever builds. */
export interface DockerfileVariables {
  /** Values that the build is given for arguments, which go before those of the file. */
  readonly buildArguments?: Readonly<Record<string, string>> | undefined;
  /** Values for variables that have no other. */
  readonly environment?: Readonly<Record<string, string | undefined>> | undefined;
}

/** Is one instruction, its continued lines joined. */
interface Instruction {
  readonly name: string;
  readonly rest: string;
  readonly line: number;
  readonly escape: string;
}

/**
 * Finds the images that a Dockerfile builds from: those of `FROM`, and those that `COPY --from=` and `RUN --mount=from=` name. Stages of
 * the file itself and `scratch` are none.
 *
 * As in a build, `FROM` sees the arguments that stand before the first `FROM` and no others, and the rest of a stage what the stage
 * says itself. An image that depends on a variable that nobody gives a value to is an error, since it could be any.
 *
 * @param text - The file.
 * @throws {@link FormatError} `DOCKERFILE_MALFORMED`, `LIMIT_EXCEEDED`.
 * @see docker/docs, "Dockerfile reference": FROM, ARG, "Understand how ARG and FROM interact", "Here-documents"
 */
export function findDockerfileImages(
  text: string,
  { buildArguments = {}, environment = {} }: DockerfileVariables = {},
): readonly DockerfileImage[] {
  if (text.length > MAX_DOCKERFILE_BYTES)
    throw new FormatError("LIMIT_EXCEEDED", "Dockerfile is too large", {
      expected: `at most ${MAX_DOCKERFILE_BYTES} bytes`,
    });
  const found: { image: string; line: number }[] = [];
  /** What each stage that has a name begins with, by that in lower case. */
  const stages = new Map<string, string>();
  const globals = new Map<string, string>();
  let stageCount = 0;
  let scope = globals;
  let base = "";
  for (const { name, rest, line, escape } of readInstructions(text)) {
    const expand = (word: string, variables: ReadonlyMap<string, string>, unknown?: string): string =>
      expandWord(word, (key) => variables.get(key) ?? own(environment, key), { line, escape, unknown });
    const add = (image: string): void => {
      if (image === "") throw malformed(line, `${name} names no image`);
      if (image.toLowerCase() !== "scratch" && !stages.has(image.toLowerCase())) found.push({ image, line });
    };
    const { flags, rest: operands } = readLeadingFlags(rest);
    switch (name) {
      case "FROM": {
        const [image = "", as, alias, ...more] = operands.split(/\s+/).filter((word) => word !== "");
        if (image === "" || more.length > 0 || (as !== undefined && (as.toUpperCase() !== "AS" || alias === undefined)))
          throw malformed(line, "FROM is not followed by an image, and AS with a name");
        const from = expand(image, globals);
        add(from);
        base = stages.get(from.toLowerCase()) ?? from;
        if (alias !== undefined) stages.set(alias.toLowerCase(), base);
        stageCount += 1;
        scope = new Map();
        break;
      }
      case "ARG":
        for (const [key, value] of readAssignments(name, rest, line, escape)) {
          const given = own(buildArguments, key) ?? (value === undefined ? globals.get(key) : expand(value, scope, ""));
          if (given !== undefined) scope.set(key, given);
        }
        break;
      case "ENV":
        // Before the first stage there is nothing that it could be for.
        if (stageCount > 0)
          for (const [key, value = ""] of readAssignments(name, rest, line, escape))
            scope.set(key, expand(value, scope, ""));
        break;
      case "COPY":
      case "ADD":
        for (const flag of flags) {
          const [, from] = /^--from=([\s\S]*)$/i.exec(flag) ?? [];
          if (from === undefined) continue;
          if (!/^\+?\d+$/.test(from)) add(expand(from, scope));
          else if (Number(from) >= stageCount) throw malformed(line, `there is no stage ${from}`);
        }
        break;
      case "RUN":
        for (const flag of flags) {
          const [, mount] = /^--mount=([\s\S]*)$/i.exec(flag) ?? [];
          // Fields are those of CSV, and their names may be in capitals.
          for (const field of mount?.split(",") ?? []) {
            const [, from] = /^"?\s*from=(.*?)"?$/is.exec(field) ?? [];
            if (from !== undefined) add(expand(from, scope));
          }
        }
    }
  }
  return found.map(({ image, line }) => ({ image, line, isBase: image === base }));
}

const COMMENT_OR_BLANK = new RegExp(`^${WHITE_SPACE}*(?:#|$)`);

/** Joins continued lines, leaves out comments, and passes over what is between the marks of here-documents. */
function* readInstructions(text: string): Generator<Instruction> {
  const lines = text.replace(/^\uFEFF/, "").split(/\r*\n/);
  let escape = "\\";
  for (const line of lines) {
    const [directive, key = "", value] = /^\s*#\s*([a-zA-Z][a-zA-Z0-9]*)\s*=\s*(.+?)\s*$/.exec(line) ?? [];
    if (directive === undefined) break;
    if (key.toLowerCase() !== "escape") continue;
    if (value !== "`" && value !== "\\") throw malformed(1, `escape is ${JSON.stringify(value)}, not \\ or \``);
    escape = value;
  }
  // An escape that is escaped itself continues nothing.
  const literal = escape.replace("\\", "\\\\");
  const continuation = new RegExp(`(^|[^${literal}])${literal}[ \\t]*$`);
  for (let index = 0; index < lines.length; index += 1) {
    const line = index + 1;
    let joined = "";
    for (let isFirst = true; index < lines.length; index += 1, isFirst = false) {
      const part = lines[index] ?? "";
      const isPassedOver = COMMENT_OR_BLANK.test(part);
      const isContinued = !isPassedOver && continuation.test(part);
      if (!isPassedOver) joined += isContinued ? part.replace(continuation, "$1") : part;
      if (isFirst ? !isContinued : !isContinued && !isPassedOver) break;
    }
    const [, word = "", rest = ""] = /^\s*(\S+)\s*([\s\S]*)$/.exec(joined) ?? [];
    if (word === "") continue;
    const name = word.toUpperCase();
    for (const { mark, isIndented } of heredocsOf(name, rest, line)) {
      const isEnd = (one: string): boolean => (isIndented ? one.replace(/^\t+/, "") : one) === mark;
      do index += 1;
      while (index < lines.length && !isEnd(lines[index] ?? ""));
      if (index >= lines.length) throw malformed(line, `here-document ${JSON.stringify(mark)} does not end`);
    }
    yield { name, rest: rest.trim(), line, escape };
  }
}

function heredocsOf(name: string, rest: string, line: number): readonly Heredoc[] {
  const [, of = name, operands = rest] = name === "ONBUILD" ? (/^(\S+)\s*([\s\S]*)$/.exec(rest) ?? []) : [];
  if (!["RUN", "COPY", "ADD"].includes(of.toUpperCase())) return [];
  return findHeredocs(readLeadingFlags(operands).rest, line);
}

/** `ARG name`, `ARG name=value`, `ENV name value`, `ENV name=value …`. */
function readAssignments(
  name: string,
  rest: string,
  line: number,
  escape: string,
): readonly (readonly [string, string | undefined])[] {
  const words = splitWords(rest, escape);
  if (words.length === 0) throw malformed(line, "a quotation mark is not closed, or nothing is set");
  const [first = ""] = words;
  // The old form, in which everything after the name is the value.
  if (name === "ENV" && !first.includes("=")) return [[first, rest.slice(first.length).trim()]];
  return words.map((word) => {
    const [, key = word, value] = /^([^=]*)=([\s\S]*)$/.exec(word) ?? [];
    return [key, value];
  });
}

function own<T>(record: Readonly<Record<string, T>>, key: string): T | undefined {
  return Object.hasOwn(record, key) ? record[key] : undefined;
}
