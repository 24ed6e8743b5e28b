import { describe, expect, test } from "vitest";
import { findDockerfileImages } from "../../../src/cli/images/dockerfile.ts";
import { SigstoreError } from "../../../src/errors.ts";

const imagesIn = (text: string, environment: Record<string, string> = {}): readonly string[] =>
  findDockerfileImages(text, { environment }).map(({ image }) => image);

describe("findDockerfileImages (Dockerfile reference)", () => {
  test.for([
    ["one stage", "FROM a:1\n", ["a:1"]],
    ["lower case, white space and a digest", `  from\ta@sha256:${"0".repeat(64)}  \n`, [`a@sha256:${"0".repeat(64)}`]],
    ["a platform", "FROM --platform=$BUILDPLATFORM a:1\n", ["a:1"]],
    [
      "several stages, and names of stages in any case",
      "FROM a AS Build\nFROM b\nCOPY --from=build /x /x\nFROM BUILD\n",
      ["a", "b"],
    ],
    ["a stage by its number", "FROM a\nFROM b\nCOPY --from=0 /x /x\n", ["a", "b"]],
    ["an image to copy from", "FROM a\nCOPY --chown=1 --from=b:2 /x /x\n", ["a", "b:2"]],
    ["an image that a mount is from", "FROM a\nRUN --mount=type=bind,from=b:2,target=/x ls\n", ["a", "b:2"]],
    ["scratch, which is no image", "FROM scratch\nCOPY --from=b /x /x\n", ["b"]],
    ["an argument with a value", "ARG V=1\nFROM a:$V\n", ["a:1"]],
    ["an argument in quotation marks", 'ARG V="1"\nFROM a:${V}\n', ["a:1"]],
    ["several arguments in a line", "ARG A=x B=y\nFROM $A/$B\n", ["x/y"]],
    ["an argument that depends on another", "ARG V=1\nARG W=$V.2\nFROM a:$W\n", ["a:1.2"]],
    ["a value for where there is none", "FROM a:${V:-3}\n", ["a:3"]],
    ["a value for where there is one", "ARG V=1\nFROM a:${V:+2}\n", ["a:2"]],
    ["a variable of ENV in the old form", "FROM a\nENV V 1\nCOPY --from=b:$V /x /x\n", ["a", "b:1"]],
    ["continued lines, with comments in between", "FROM \\\n# no\n\n  a:1 \\\n AS b\n", ["a:1"]],
    ["another escape character", "# escape=`\nFROM `\n a:1\n", ["a:1"]],
    ["here-documents, whose lines are no instructions", "FROM a\nRUN <<EOF\nFROM evil\nEOF\nFROM b\n", ["a", "b"]],
    ["a here-document whose end may be indented", "FROM a\nRUN <<-'X'\nFROM evil\n\tX\nFROM b\n", ["a", "b"]],
    ["two here-documents in a line", "FROM a\nCOPY <<A <<B /x/\nFROM evil\nA\nFROM evil\nB\nFROM b\n", ["a", "b"]],
    ["carriage returns, and a mark of the byte order", "\uFEFFFROM a:1\r\nFROM b\r\n", ["a:1", "b"]],
    ["comments", "# FROM evil\nFROM a # not a comment\n".replace(" # not a comment", ""), ["a"]],
    ["nothing", "RUN ls\n", []],
  ] as const)("finds %s", ([, text, expected]) => {
    expect(imagesIn(text)).toEqual(expected);
  });

  test("takes arguments that the build is given before those of the file, and the environment after both", () => {
    const find = (text: string, build: Record<string, string>, environment: Record<string, string>) =>
      findDockerfileImages(text, { buildArguments: build, environment }).map(({ image }) => image);
    expect(find("ARG V=1\nFROM a:$V\n", { V: "2" }, { V: "3" })).toEqual(["a:2"]);
    expect(find("ARG V=1\nFROM a:$V\n", {}, { V: "3" })).toEqual(["a:1"]);
    expect(find("ARG V\nFROM a:$V\n", {}, { V: "3" })).toEqual(["a:3"]);
    expect(find("FROM a\nARG V\nCOPY --from=b:$V /x /x\n", { V: "2" }, { V: "3" })).toEqual(["a", "b:2"]);
    expect(() => find("FROM a:$toString\n", {}, {})).toThrow(/no value/);
  });

  // What a build would pull is what has to be found: each of these hid an image, or showed another, when read less closely.
  test.for([
    [
      "an argument within a stage, which FROM does not see",
      "ARG V=1\nFROM a\nARG V=2\nENV V=3\nFROM b:$V\n",
      ["a", "b:1"],
    ],
    [
      "a variable of one stage, which another does not see",
      "ARG V=1\nFROM a\nARG V=2\nFROM b\nARG V\nCOPY --from=c:$V x x\n",
      ["a", "b", "c:1"],
    ],
    ["an image that is called like a number", "FROM 1\nRUN --mount=from=0,target=/x ls\n", ["1", "0"]],
    ["a word that goes on in the next line", "FROM al\\\npine\n", ["alpine"]],
    ["a line whose escape is escaped", "FROM a\nRUN echo \\\\\nFROM b\n", ["a", "b"]],
    ["white space that is none to a builder", "FROM a\nRUN echo \\\n\uFEFF\nFROM b\n", ["a", "b"]],
    ["flags in pieces", "FROM a\nCOPY --fr\"om\"=b x x\nRUN --mount='type=bind,FROM=c' ls\n", ["a", "b", "c"]],
    ["a field of a flag in quotation marks", "FROM a\nRUN --mount='type=bind,\"from=b\"' ls\n", ["a", "b"]],
    ["what is no flag any more", "FROM a\nRUN tool --mount=from=b\nCOPY x --from=b y\n", ["a"]],
    ["a text for a command, which is no here-document", "FROM a\nRUN cat <<<X\nFROM b\nRUN echo \\\nX\n", ["a", "b"]],
    ["a mark in quotation marks", 'FROM a\nRUN echo "<<X"\nFROM b\nRUN echo \\\nX\n', ["a", "b"]],
    ["a mark within a word", "FROM a\nRUN echo 1<<X a<<X\nFROM b\nX\nFROM c\n", ["a", "c"]],
    ["a mark within a variable", "FROM a\nRUN echo ${V:- <<X}\nFROM b\nRUN echo \\\nX\n", ["a", "b"]],
    ["quotation marks that do not end", "FROM a\nRUN echo it's <<X\nFROM b\n", ["a", "b"]],
    ["a list in JSON", 'FROM a\nRUN ["echo"] <<X\nFROM b\nRUN echo \\\nX\n', ["a", "b"]],
    ["a mark after white space", "FROM a\nRUN cat << X\nFROM evil\nX\nFROM b\n", ["a", "b"]],
    ["a mark with a space in it", "FROM a\nRUN cat <<'A B'\nFROM evil\nA B\nFROM b\n", ["a", "b"]],
    ["a here-document for later builds", "FROM a\nONBUILD RUN <<X\nFROM evil\nX\nFROM b\n", ["a", "b"]],
    ["a value in single quotation marks, whose variables stay", "ARG V='$W'\nFROM ${V:+a}\n", ["a"]],
    ["a value that is quoted in part", 'ARG V=1"2"\\3\nFROM a:$V\n', ["a:123"]],
    ["a value for where there is none, of another variable", "ARG W=2\nFROM a:${V:-${W}}\n", ["a:2"]],
    ["forms without a colon", "ARG E=\nFROM a${E-1}\nFROM b${E+2}\nFROM c${U-3}\n", ["a", "b2", "c3"]],
    ["a form with a message", "ARG V=1\nFROM a:${V:?missing}\n", ["a:1"]],
    ["the old form of ENV with a sign of equality", "FROM a\nENV V b=c\nCOPY --from=${V} x x\n", ["a", "b=c"]],
  ] as const)("finds, as a build does, %s", ([, text, expected]) => {
    expect(imagesIn(text)).toEqual(expected);
  });

  test("names the line, and what the last stage begins with", () => {
    expect(findDockerfileImages("FROM a AS one\n\nFROM b\nFROM one\nCOPY --from=c /x /x\n")).toEqual([
      { image: "a", line: 1, isBase: true },
      { image: "b", line: 3, isBase: false },
      { image: "c", line: 5, isBase: false },
    ]);
  });

  test.for([
    ["a variable without a value", "FROM a:$V\n"],
    ["FROM without an image", "FROM\n"],
    ["FROM with more than an image", "FROM a b\n"],
    ["AS without a name", "FROM a AS\n"],
    ["an image that is empty in the end", "FROM ${V:-}\n"],
    ["a here-document that does not end", "FROM a\nRUN <<X\nFROM b\n"],
    ["a here-document without a mark", "FROM a\nRUN <<''\nFROM b\n\n"],
    ["an operation on a variable that is not known", "ARG V=1\nFROM a:${V#1}\n"],
    ["a variable that does not end", "ARG V=1\nFROM a:${V\n"],
    ["a message for want of a value", "FROM a:${V:?missing}\n"],
    ["quotation marks that do not end", 'ARG V="1\nFROM a\n'],
    ["an escape that is none", "# escape=x\nFROM a\n"],
    ["a stage that is not there", "FROM a\nCOPY --from=1 x x\n"],
    ["--from= without an image", 'FROM a\nCOPY --from="" /x /x\n'],
  ] as const)("refuses %s", ([, text]) => {
    expect(() => findDockerfileImages(text)).toThrow(expect.objectContaining({ code: "DOCKERFILE_MALFORMED" }));
  });

  test("ends on hostile input, with nothing but its own errors", () => {
    for (const text of [
      "\\\n".repeat(50_000),
      "RUN <<A\n".repeat(20_000),
      `FROM ${"$".repeat(50_000)}`,
      "\0".repeat(1000),
      `FROM a\nRUN <<X ${'${"'.repeat(100_000)}`,
      `FROM a\nRUN <<X ["${'a","'.repeat(100_000)}`,
      `FROM a:${"${V:-".repeat(50_000)}${"}".repeat(50_000)}`,
      `ARG V=${"\\'".repeat(100_000)}`,
      `${"RUN x <<A\nA\n".repeat(50_000)}FROM a`,
    ])
      try {
        findDockerfileImages(text);
      } catch (error) {
        expect(error).toBeInstanceOf(SigstoreError);
      }
    expect(() => findDockerfileImages("x".repeat(5 * 1024 * 1024))).toThrow(
      expect.objectContaining({ code: "LIMIT_EXCEEDED" }),
    );
  });
});
