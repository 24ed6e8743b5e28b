/**
 * Dockerfiles: the images that a build is made from.
 *
 * @module
 */

import { FormatError } from "../errors.ts";
import { MAX_DOCKERFILE_BYTES } from "../limits.ts";

/** Is an image that a Dockerfile names. */
export interface DockerfileImage {
  readonly image: string;
  /** Counted from 1. */
  readonly line: number;
  /** Whether it is what the last stage begins with, be it by way of another stage. */
  readonly isBase: boolean;
}

/** Is one instruction, its continued lines joined. */
interface Instruction {
  readonly name: string;
  readonly rest: string;
  readonly line: number;
}

/**
 * Finds the images that a Dockerfile builds from: those of `FROM`, and those that `COPY --from=` and `RUN --mount=from=` name. Stages of
 * the file itself and `scratch` are none.
 *
 * Variables are those of `ARG` and `ENV` before, and where they say nothing, those of `environment`; an image that depends on one that
 * nobody gives a value to is an error, since it could be any.
 *
 * @param text - The file.
 * @param environment - Values for variables that the file leaves open.
 * @throws {@link FormatError} `DOCKERFILE_MALFORMED`, `LIMIT_EXCEEDED`.
 * @see docker/docs, "Dockerfile reference": FROM, ARG, "Understand how ARG and FROM interact", "Here-documents"
 */
export function findDockerfileImages(
  text: string,
  environment: Readonly<Record<string, string | undefined>> = {},
): readonly DockerfileImage[] {
  if (text.length > MAX_DOCKERFILE_BYTES)
    throw new FormatError("LIMIT_EXCEEDED", "Dockerfile is too large", {
      expected: `at most ${MAX_DOCKERFILE_BYTES} bytes`,
    });
  const found: { image: string; line: number }[] = [];
  /** What each stage that has a name begins with, by that in lower case. */
  const stages = new Map<string, string>();
  const variables = new Map<string, string>();
  let base = "";
  for (const { name, rest, line } of readInstructions(text)) {
    const expand = (word: string): string => expandVariables(word, variables, environment, line);
    const add = (image: string): void => {
      if (image === "") throw malformed(line, `${name} names no image`);
      if (image.toLowerCase() !== "scratch" && !stages.has(image.toLowerCase()) && !/^\d+$/.test(image))
        found.push({ image, line });
    };
    switch (name) {
      case "FROM": {
        const words = rest.split(/\s+/).filter((word) => word !== "" && !word.startsWith("--"));
        const [image = "", as, alias, ...more] = words;
        if (image === "" || more.length > 0 || (as !== undefined && (as.toUpperCase() !== "AS" || alias === undefined)))
          throw malformed(line, "FROM is not followed by an image, and AS with a name");
        const from = expand(unquote(image));
        add(from);
        base = stages.get(from.toLowerCase()) ?? from;
        if (alias !== undefined) stages.set(alias.toLowerCase(), base);
        break;
      }
      case "ARG":
      case "ENV":
        for (const [key, value] of readAssignments(name, rest)) {
          // What is given from outside goes before what the file says, for arguments.
          const given = name === "ARG" ? environment[key] : undefined;
          if (given !== undefined) variables.set(key, given);
          else if (value !== undefined) variables.set(key, expandVariables(value, variables, environment, line, ""));
        }
        break;
      case "COPY":
      case "ADD":
        for (const [, from = ""] of rest.matchAll(/(?:^|\s)--from=(\S+)/g)) add(expand(unquote(from)));
        break;
      case "RUN":
        for (const [, mount = ""] of rest.matchAll(/(?:^|\s)--mount=(\S+)/g)) {
          const from = mount.split(",").find((part) => part.startsWith("from="));
          if (from !== undefined) add(expand(unquote(from.slice("from=".length))));
        }
    }
  }
  return found.map(({ image, line }) => ({ image, line, isBase: image === base }));
}

/** Joins continued lines, leaves out comments, and passes over what is between the marks of here-documents. */
function* readInstructions(text: string): Generator<Instruction> {
  const lines = text.replace(/^\uFEFF/, "").split(/\r?\n/);
  let escape = "\\";
  for (const line of lines) {
    const directive = /^#\s*([a-z]+)\s*=\s*(\S+)\s*$/i.exec(line);
    if (directive === null) break;
    if (directive[1]?.toLowerCase() === "escape" && directive[2] === "`") escape = "`";
  }
  for (let index = 0; index < lines.length; index += 1) {
    const start = index;
    let joined = "";
    for (;;) {
      const line = lines[index] ?? "";
      const isComment = /^\s*#/.test(line);
      const isBlank = joined !== "" && line.trim() === "";
      const continued = !isComment && !isBlank && line.trimEnd().endsWith(escape);
      if (!isComment && !isBlank) joined += continued ? `${line.trimEnd().slice(0, -1)} ` : line;
      if (!continued && !((isComment || isBlank) && joined !== "")) break;
      if (index + 1 >= lines.length) break;
      index += 1;
    }
    const [, word = "", rest = ""] = /^\s*(\S+)\s*([\s\S]*)$/.exec(joined) ?? [];
    if (word === "") continue;
    const name = word.toUpperCase();
    if (["RUN", "COPY", "ADD"].includes(name))
      for (const [, dash = "", , mark = ""] of rest.matchAll(/<<(-?)(["']?)([A-Za-z_][A-Za-z0-9_]*)\2/g)) {
        const isEnd = (line: string): boolean => (dash === "" ? line : line.replace(/^\t+/, "")) === mark;
        do index += 1;
        while (index < lines.length && !isEnd(lines[index] ?? ""));
      }
    yield { name, rest: rest.trim(), line: start + 1 };
  }
}

/** `ARG name`, `ARG name=value`, `ENV name value`, `ENV name=value …`. */
function readAssignments(name: string, rest: string): readonly (readonly [string, string | undefined])[] {
  const old = name === "ENV" ? /^([A-Za-z_][A-Za-z0-9_]*)\s+([^=]*)$/.exec(rest) : null;
  if (old !== null) return [[old[1] ?? "", old[2]?.trim() ?? ""]];
  const found: (readonly [string, string | undefined])[] = [];
  for (const [, key = "", value] of rest.matchAll(
    /(?:^|\s)([A-Za-z_][A-Za-z0-9_]*)(?:=("(?:[^"\\]|\\.)*"|'[^']*'|(?:[^\s"'\\]|\\.)*))?(?=\s|$)/g,
  ))
    found.push([key, value === undefined ? undefined : unquote(value)]);
  return found;
}

function unquote(text: string): string {
  if (text.length >= 2 && text.startsWith('"') && text.endsWith('"'))
    return text.slice(1, -1).replaceAll(/\\(["\\$])/g, "$1");
  if (text.length >= 2 && text.startsWith("'") && text.endsWith("'")) return text.slice(1, -1);
  return text;
}

/** `$NAME`, `${NAME}`, `${NAME:-other}`, `${NAME:+other}`. */
function expandVariables(
  text: string,
  variables: ReadonlyMap<string, string>,
  environment: Readonly<Record<string, string | undefined>>,
  line: number,
  unknown?: string,
): string {
  return text.replaceAll(
    /\\\$|\$(?:([A-Za-z_][A-Za-z0-9_]*)|\{([A-Za-z_][A-Za-z0-9_]*)(?::([-+])([^}]*))?\})/g,
    (
      whole,
      plain: string | undefined,
      braced: string | undefined,
      kind: string | undefined,
      other: string | undefined,
    ) => {
      if (whole === "\\$") return "$";
      const name = plain ?? braced ?? "";
      const value = variables.get(name) ?? environment[name];
      const isSet = value !== undefined && value !== "";
      if (kind === "+") return isSet ? (other ?? "") : "";
      if (isSet) return value;
      if (kind === "-") return other ?? "";
      if (unknown !== undefined) return value ?? unknown;
      if (value !== undefined) return value;
      throw new FormatError("DOCKERFILE_MALFORMED", `line ${line} depends on $${name}, which has no value`, {
        remedy: `give ${name} a value in the environment, as the build is given one`,
      });
    },
  );
}

function malformed(line: number, problem: string): FormatError {
  return new FormatError("DOCKERFILE_MALFORMED", `line ${line}: ${problem}`);
}
