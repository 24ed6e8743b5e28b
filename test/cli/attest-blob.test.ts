import { beforeEach, describe, expect, test } from "vitest";
import type { Context } from "../../src/cli/context.ts";
import type { Json } from "../support/json-edits.ts";
import type { Run } from "../support/program.ts";
import {
  ALICE,
  input,
  makeFolder,
  outcome,
  PASSWORD,
  requestsOf,
  run,
  useSigningWorld,
  type Folder,
} from "../support/signing-cli.ts";

const world = useSigningWorld();
const TYPE = "https://example.com/predicate/v1";
const HELLO_SHA256 = "5891b5b522d5df086d0ff0b110fbd9d21bb4fc7163af34d08286a2e846f6be03";
let folder: Folder;
beforeEach(() => {
  folder = makeFolder();
  folder.write("app", "hello\n");
  folder.write("lib", "lib\n");
  folder.write("predicate.json", '{"count": 12345678901234567890, "b": 1, "a": 2}\n');
  folder.write("cosign.key", world().privateKeyPem);
  folder.write("cosign.pub", world().publicKeyPem);
  world().sandbox.clearRequests();
});

/** `@name` stands for the path of a file in the test's folder. */
const paths = (words: readonly string[]): readonly string[] =>
  words.map((word) => word.replace(/^@/, `${folder.at("")}/`));
const TOKEN = (): readonly string[] => ["--identity-token", world().token, "--yes", "--bundle", "@att.json"];
const KEY = ["--key", "@cosign.key", "--yes", "--bundle", "@att.json"];
const withKey: Partial<Context> = { environment: { COSIGN_PASSWORD: PASSWORD } };
const attest = (words: readonly string[], surroundings: Partial<Context> = {}): Promise<Run> =>
  run(["attest-blob", ...world().config, ...paths(words)], surroundings);
const verify = async (words: readonly string[], file = "@app"): Promise<string> => {
  const { trustedRoot } = world().sandbox.paths;
  const result = await run([
    "verify-blob-attestation",
    "--trusted-root",
    trustedRoot,
    ...paths(["--bundle", "@att.json", ...words, file]),
  ]);
  return result.status === 0 ? "verified" : outcome(result);
};
const signer = (): readonly string[] => [
  "--certificate-identity",
  ALICE,
  "--certificate-oidc-issuer",
  world().sandbox.urls.oidc,
];
const payloadText = (): string => {
  const { dsseEnvelope } = JSON.parse(folder.read("att.json")) as { dsseEnvelope: { payload: string } };
  return Buffer.from(dsseEnvelope.payload, "base64").toString();
};
const payload = (): Json => JSON.parse(payloadText()) as Json;

describe("attest-blob", () => {
  test("signs a predicate about a file, to the letter", async () => {
    const { status, stdout, stderr } = await attest([
      ...TOKEN(),
      "--predicate",
      "@predicate.json",
      "--type",
      TYPE,
      "@app",
    ]);
    expect([status, stdout]).toEqual([0, ""]);
    expect(stderr).toMatch(
      /^Using payload from: .*app\ntlog entry created with index: \d+\nWrote bundle to file .*att\.json\n$/,
    );
    expect(payload()).toMatchObject({
      _type: "https://in-toto.io/Statement/v0.1",
      subject: [{ name: "app", digest: { sha256: HELLO_SHA256 } }],
      predicateType: TYPE,
    });
    expect(payloadText()).toContain('"predicate":{"count": 12345678901234567890, "b": 1, "a": 2}');
    expect(await verify(["--type", TYPE, ...signer()])).toBe("verified");
    expect(await verify(["--type", TYPE, ...signer()], "@lib")).toBe("SUBJECT_MISMATCH");
    expect(await verify([...signer()])).toBe("PREDICATE_TYPE_MISMATCH");
  });

  test("makes several files the subjects of one statement", async () => {
    expect(
      outcome(await attest([...KEY, "--predicate", "@predicate.json", "--type", TYPE, "@app", "@lib"], withKey)),
    ).toBe("status 0");
    expect((payload()["subject"] as readonly Json[]).map(({ name }) => name)).toEqual(["app", "lib"]);
    for (const file of ["@app", "@lib"])
      expect(await verify(["--type", TYPE, "--key", "@cosign.pub"], file)).toBe("verified");
    expect(requestsOf(world().sandbox)).not.toContain("fulcio");
  });

  test("--type custom, the default, wraps the file, with the time", async () => {
    const now = new Date();
    await attest([...KEY, "--predicate", "@predicate.json", "@app"], { ...withKey, now: () => now });
    expect(payload()["predicate"]).toEqual({
      Data: folder.read("predicate.json"),
      Timestamp: `${now.toISOString().slice(0, 19)}Z`,
    });
    expect(await verify(["--key", "@cosign.pub"])).toBe("verified");
  });

  test("--hash takes the place of the file", async () => {
    for (const hash of [HELLO_SHA256, `sha256:${HELLO_SHA256}`]) {
      expect(
        outcome(await attest([...KEY, "--predicate", "@predicate.json", "--hash", hash, "/nowhere/else/app"], withKey)),
      ).toBe("status 0");
      expect(payload()["subject"]).toEqual([{ name: "app", digest: { sha256: HELLO_SHA256 } }]);
      expect(await verify(["--key", "@cosign.pub"])).toBe("verified");
    }
  });

  test("--statement is signed byte for byte", async () => {
    const statement = `{"_type":"https://in-toto.io/Statement/v1", "subject":[{"digest":{"sha256":"${HELLO_SHA256}"}}], "predicateType":"${TYPE}", "predicate":{"n":1.0}}\n`;
    folder.write("statement.json", statement);
    const { status, stderr } = await attest([...KEY, "--statement", "@statement.json"], withKey);
    expect([status, stderr.split("\n")[0]]).toEqual([0, `Using statement from: ${folder.at("statement.json")}`]);
    expect(payloadText()).toBe(statement);
    expect(await verify(["--type", TYPE, "--key", "@cosign.pub"])).toBe("verified");
  });

  test("reads file or predicate from standard input", async () => {
    expect(
      outcome(await attest([...KEY, "--predicate", "-", "--type", TYPE, "@app"], { ...withKey, stdin: input("{}") })),
    ).toBe("status 0");
    expect(payload()["predicate"]).toEqual({});
    expect(
      outcome(await attest([...KEY, "--predicate", "@predicate.json", "-"], { ...withKey, stdin: input("hello\n") })),
    ).toBe("status 0");
    expect(await verify(["--key", "@cosign.pub"])).toBe("verified");
  });

  test("--explain says what becomes public, and sends nothing", async () => {
    const { stdout } = await attest([
      "--identity-token",
      world().token,
      "--explain",
      "--predicate",
      "@predicate.json",
      "@app",
    ]);
    expect(stdout).toContain("  Statement digest: sha256:");
    expect(stdout).toContain("The statement, the names of its subjects and its predicate stay private");
    expect(requestsOf(world().sandbox)).toEqual([]);
  });

  test("--output json tells what was signed", async () => {
    const { stdout } = await attest([...KEY, "-o", "json", "--predicate", "@predicate.json", "@app"], withKey);
    expect(JSON.parse(stdout)).toMatchObject({ verdict: "signed", evidence: { content: { kind: "statement" } } });
  });

  test("writes what cosign wrote before bundles, which is verified from there", async () => {
    const { urls, paths: files } = world().sandbox;
    const old = [
      "--use-signing-config=false",
      "--trusted-root",
      files.trustedRoot,
      "--fulcio-url",
      urls.fulcio,
      "--rekor-url",
      urls.rekor1,
      "--timestamp-server-url",
      urls.tsa,
    ];
    const outputs = [
      "--output-signature",
      "@att.sig",
      "--output-attestation",
      "@statement.json",
      "--output-certificate",
      "@att.pem",
      "--rfc3161-timestamp-bundle",
      "@att.ts",
    ];
    const words = [
      ...old,
      "--new-bundle-format=false",
      ...TOKEN(),
      ...outputs,
      "--predicate",
      "@predicate.json",
      "@app",
    ];
    const { status, stdout } = await run(["attest-blob", ...paths(words)]);
    expect([status, stdout]).toEqual([0, ""]);
    expect(await verify(signer())).toBe("verified");
    const timestamp = ["--use-signed-timestamps", "--rfc3161-timestamp", "@att.ts"];
    expect(await verify([...signer(), "--signature", "@att.sig", "--certificate", "@att.pem", ...timestamp])).toBe(
      "verified",
    );
    expect(JSON.parse(folder.read("statement.json"))).toMatchObject({
      predicate: { Data: folder.read("predicate.json") },
    });
    expect(folder.read("att.pem")).toMatch(/^-----BEGIN CERTIFICATE-----/);
    const printed = await run(
      [
        "attest-blob",
        ...paths([
          ...old,
          "--new-bundle-format=false",
          "--key",
          "@cosign.key",
          "--yes",
          "--predicate",
          "@predicate.json",
          "@app",
        ]),
      ],
      withKey,
    );
    expect(JSON.parse(printed.stdout)).toMatchObject({ payloadType: "application/vnd.in-toto+json" });
  });

  test.for<readonly [string, readonly string[], string, RegExp]>([
    ["neither predicate nor statement", ["@app"], "USAGE_INVALID", /one of --predicate or --statement must be set/],
    [
      "both of them",
      ["--predicate", "@predicate.json", "--statement", "@app"],
      "USAGE_INVALID",
      /one of --predicate or --statement/,
    ],
    ["no file", ["--predicate", "@predicate.json"], "USAGE_INVALID", /attest-blob needs FILE/],
    [
      "a file beside a statement",
      ["--statement", "@predicate.json", "@app"],
      "USAGE_INVALID",
      /no meaning with --statement/,
    ],
    [
      "a type that is none",
      ["--predicate", "@predicate.json", "--type", "nonsense", "@app"],
      "USAGE_INVALID",
      /invalid predicate type: nonsense/,
    ],
    [
      "an entry type that is none",
      ["--predicate", "@predicate.json", "--rekor-entry-type", "x", "@app"],
      "USAGE_INVALID",
      /unknown value for rekor-entry-type/,
    ],
    [
      "a digest of several files",
      ["--predicate", "@predicate.json", "--hash", HELLO_SHA256, "@app", "@lib"],
      "USAGE_INVALID",
      /--hash is the digest of one file/,
    ],
    [
      "a digest that is none",
      ["--predicate", "@predicate.json", "--hash", "abc", "@app"],
      "USAGE_INVALID",
      /is not a digest/,
    ],
    ["a file that is named twice", ["--predicate", "@predicate.json", "@app", "@app"], "USAGE_INVALID", /named twice/],
    ["standard input twice", ["--predicate", "-", "-"], "USAGE_INVALID", /cannot be both the file and the predicate/],
    [
      "a predicate that is missing",
      ["--predicate", "@missing", "@app"],
      "FILE_NOT_FOUND",
      /predicate "[^"]*missing" does not exist/,
    ],
    [
      "a predicate that is no JSON",
      ["--predicate", "@app", "--type", TYPE, "@app"],
      "STATEMENT_MALFORMED",
      /app: predicate/,
    ],
    [
      "a predicate that is no object",
      ["--predicate", "@list.json", "--type", TYPE, "@app"],
      "STATEMENT_MALFORMED",
      /list\.json: /,
    ],
    [
      "a statement that is none",
      ["--statement", "@predicate.json"],
      "STATEMENT_MALFORMED",
      /predicate\.json: statement/,
    ],
    [
      "a statement that is missing",
      ["--statement", "@missing"],
      "FILE_NOT_FOUND",
      /statement "[^"]*missing" does not exist/,
    ],
    [
      "a file that is missing",
      ["--predicate", "@predicate.json", "@missing"],
      "FILE_NOT_FOUND",
      /missing" does not exist/,
    ],
    [
      "no bundle",
      ["--bundle=", "--predicate", "@predicate.json", "@app"],
      "USAGE_INVALID",
      /must specify --bundle with --new-bundle-format/,
    ],
  ])("%s is told in one line, before anything is sent", async ([, words, code, message]) => {
    folder.write("list.json", "[1]");
    const bundle = words.includes("--bundle=") ? [] : ["--bundle", "@att.json"];
    const given = await attest(["--identity-token", world().token, "--yes", ...bundle, ...words]);
    expect([given.status, given.stdout, outcome(given)]).toEqual([1, "", code]);
    const lines = given.stderr.split("\n").filter((line) => !/^(WARNING: |Using )/.test(line));
    expect(lines).toEqual([expect.stringMatching(/^Error: .*; .* \[[A-Z_]+\]$/), ""]);
    expect(given.stderr).toMatch(message);
    expect([folder.has("att.json"), requestsOf(world().sandbox)]).toEqual([false, []]);
  });
});
