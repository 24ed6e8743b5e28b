import { describe, expect, test } from "vitest";
import { parseArguments } from "../../src/cli/arguments.ts";
import type { Flag } from "../../src/cli/flags.ts";

const FLAGS: readonly Flag[] = [
  { name: "certificate-identity", kind: "string", description: "" },
  { name: "certificate-oidc-issuer", kind: "string", description: "" },
  { name: "certificate", kind: "string", description: "", deprecated: "use --bundle" },
  { name: "certificate-chain", kind: "string", description: "", deprecated: "use --bundle" },
  { name: "output", short: "o", kind: "string", description: "", default: "text" },
  { name: "verbose", short: "d", kind: "boolean", description: "" },
  { name: "check-claims", kind: "boolean", description: "", default: "true" },
  { name: "tlog-threshold", kind: "number", description: "" },
  { name: "witness", kind: "strings", description: "" },
];

type Parsed = ReturnType<typeof parseArguments>;
const parse = (args: readonly string[], environment: Record<string, string> = {}): Parsed =>
  parseArguments(args, FLAGS, environment);

describe("parseArguments (cosign's command line)", () => {
  test.each([
    ["--output json", ["--output", "json"]],
    ["--output=json", ["--output=json"]],
    ["-o json", ["-o", "json"]],
    ["-o=json", ["-o=json"]],
  ])("reads %s", (_, args) => {
    const { flags, operands, warnings } = parse([...args, "file"]);
    expect([flags.string("output"), operands, warnings]).toEqual(["json", ["file"], []]);
  });

  test.each([
    ["alone", ["--verbose"], true],
    ["=true", ["--verbose=true"], true],
    ["=false", ["--verbose=false"], false],
    ["=0", ["--verbose=0"], false],
    ["=T", ["--verbose=T"], true],
    ["short", ["-d"], true],
    ["short, =false", ["-d=false"], false],
    ["absent", [], false],
  ])("reads a boolean %s", (_, args, value) => {
    const { flags, operands } = parse([...args, "file"]);
    expect([flags.boolean("verbose"), operands]).toEqual([value, ["file"]]);
  });

  test.each([
    ["--cert-identity", "certificate-identity"],
    ["--cert-oidc-issuer", "certificate-oidc-issuer"],
    ["--cert", "certificate"],
    ["--cert-chain", "certificate-chain"],
  ])("reads the alias %s", (alias, name) => {
    expect(parse([alias, "x"]).flags.string(name)).toBe("x");
    expect(parse([`${alias}=x`]).flags.string(name)).toBe("x");
  });

  test("reads -name as --name and --n as -n, with a warning each, as cosign does", () => {
    const { flags, warnings } = parse(["-certificate-identity", "x", "--o", "json", "-check-claims=false"]);
    expect([flags.string("certificate-identity"), flags.string("output"), flags.boolean("check-claims")]).toEqual([
      "x",
      "json",
      false,
    ]);
    expect(warnings).toEqual([
      "the flag -certificate-identity is read as --certificate-identity",
      "the flag --o is read as -o",
      "the flag -check-claims is read as --check-claims",
    ]);
  });

  test("takes - for an operand, and everything behind --", () => {
    expect(parse(["-", "--output", "-"])).toMatchObject({ operands: ["-"] });
    expect(parse(["--", "--output", "-o", "-certificate"])).toMatchObject({
      operands: ["--output", "-o", "-certificate"],
      warnings: [],
    });
  });

  test("takes a value that begins with a dash behind an equals sign only", () => {
    expect(parse(["--certificate-identity=-x"]).flags.string("certificate-identity")).toBe("-x");
    for (const args of [
      ["--certificate-identity", "-x"],
      ["--certificate-identity", "--output", "json"],
      ["-o", "-d"],
    ]) {
      expect(() => parse(args)).toThrow(
        expect.objectContaining({
          code: "USAGE_INVALID",
          message: expect.stringContaining("needs a value, and is followed by") as string,
        }),
      );
    }
  });

  test("collects a flag that may be repeated, and takes another twice with the same value only", () => {
    expect(parse(["--witness", "a", "--witness", "b"]).flags.strings("witness")).toEqual(["a", "b"]);
    expect(parse(["--output", "json", "--output=json"]).flags.string("output")).toBe("json");
    expect(() => parse(["--output", "json", "--output", "text"])).toThrow(
      expect.objectContaining({ code: "USAGE_INVALID" }),
    );
  });

  test("reads what is not on the command line from COSIGN_NAME, and defaults last", () => {
    const environment = {
      COSIGN_OUTPUT: "json",
      COSIGN_CHECK_CLAIMS: "false",
      COSIGN_TLOG_THRESHOLD: "2",
      COSIGN_WITNESS: "a",
    };
    const { flags } = parse([], environment);
    expect([
      flags.string("output"),
      flags.boolean("check-claims", true),
      flags.number("tlog-threshold"),
      flags.strings("witness"),
    ]).toEqual(["json", false, 2, ["a"]]);
    expect(parse(["--output", "yaml"], environment).flags.string("output")).toBe("yaml");
    expect(parse([]).flags.string("output")).toBe("text");
    expect(parse([], { COSIGN_CERTIFICATE_OIDC_ISSUER: "x" }).flags.string("certificate-oidc-issuer")).toBe("x");
    expect([flags.nameOf("output"), parse(["-o=x"]).flags.nameOf("output")]).toEqual([
      "COSIGN_OUTPUT in the environment",
      "--output",
    ]);
  });

  test("takes an empty variable for none, as cosign does, and an empty value for none", () => {
    const { flags } = parse([], { COSIGN_OUTPUT: "", COSIGN_CERTIFICATE: "" });
    expect([flags.string("output"), flags.has("certificate")]).toEqual(["text", false]);
    const given = parse(["--certificate-identity", "", "--certificate-identity="]).flags;
    expect([given.string("certificate-identity"), given.has("certificate-identity")]).toEqual([undefined, false]);
  });

  test("accepts a deprecated flag with a warning that says what to use", () => {
    expect(parse(["--certificate", "x"]).warnings).toEqual(["Flag --certificate has been deprecated, use --bundle"]);
    expect(parse([], { COSIGN_CERTIFICATE: "x" }).warnings).toEqual([
      "COSIGN_CERTIFICATE in the environment sets a flag that has been deprecated, use --bundle",
    ]);
  });

  test.each([
    ["an unknown flag", ["--nothing-like-it"], /unknown flag: --nothing-like-it$/, undefined],
    ["a misspelt flag", ["--certificate-identiy=x"], /unknown flag/, "did you mean --certificate-identity?"],
    ["a part of a flag", ["--oidc-issuer", "x"], /unknown flag/, "did you mean --certificate-oidc-issuer?"],
    ["an unknown short flag", ["-x"], /unknown flag: -x$/, undefined],
    [
      "a deprecated flag that is misspelt, without a hint at it",
      ["--certificate-chian", "x"],
      /unknown flag/,
      undefined,
    ],
    ["a flag at the end without its value", ["--output"], /needs a value$/, undefined],
    ["a boolean that is none", ["--verbose=yes"], /invalid value "yes" for --verbose/, undefined],
    ["a number that is none", ["--tlog-threshold", "1.5"], /invalid value "1.5"/, undefined],
    ["a number beyond all use", ["--tlog-threshold", "1".repeat(400)], /invalid value/, undefined],
  ])("refuses %s", (_, args, message, remedy) => {
    expect(() => parse(args)).toThrow(
      expect.objectContaining({ code: "USAGE_INVALID", message: expect.stringMatching(message) as string, remedy }),
    );
  });

  test("refuses a wrong value of the environment, though nothing would read it", () => {
    expect(() => parse([], { COSIGN_VERBOSE: "maybe" })).toThrow(
      expect.objectContaining({ code: "USAGE_INVALID", message: expect.stringContaining("COSIGN_VERBOSE") as string }),
    );
  });
});
