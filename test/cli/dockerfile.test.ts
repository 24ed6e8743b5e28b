import { describe, expect, test } from "vitest";
import { findDockerfileImages } from "../../src/cli/dockerfile.ts";
import { SigstoreError } from "../../src/errors.ts";

const imagesIn = (text: string, environment: Record<string, string> = {}): readonly string[] =>
  findDockerfileImages(text, environment).map(({ image }) => image);

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

  test("takes arguments from the environment before those of the file", () => {
    expect(imagesIn("ARG V=1\nFROM a:$V\n", { V: "2" })).toEqual(["a:2"]);
    expect(imagesIn("FROM a:$V\n", { V: "2" })).toEqual(["a:2"]);
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
