import { readFileSync, statSync, symlinkSync, writeFileSync, readdirSync, chmodSync } from "node:fs";
import { join } from "node:path";
import { setTimeout } from "node:timers/promises";
import { describe, expect, test } from "vitest";
import type { Context, Sink } from "../../src/cli/context.ts";
import { runProgram } from "../../src/cli/program.ts";
import { ATTESTED, IDENTITY, KEYED, KEYLESS, REAL, temporaryFolder } from "../support/cli.ts";
import { utf8 } from "../support/logs.ts";
import { ctx, oid, utf8 as derUtf8 } from "../support/certificates.ts";
import { runInProcess, type Run } from "../support/program.ts";
import { ISSUER } from "../support/sandbox/authorities.ts";
import { ARTIFACT, bundleFrom, makeSandbox, rootText, statementAbout } from "../support/sandbox/sandbox.ts";

/** Runs with a standard error that is a terminal. */
async function runOnTerminal(args: readonly string[], surroundings: Partial<Context> = {}): Promise<Run> {
  let stderr = "";
  const sink: Sink = { write: (text) => void (stderr += text), isTerminal: true };
  const run = await runInProcess(args, { ...surroundings, stderr: sink });
  return { ...run, stderr };
}

async function* stream(...chunks: readonly Uint8Array[]): AsyncGenerator<Uint8Array> {
  for (const chunk of chunks) yield await Promise.resolve(chunk);
}

describe("without --output", () => {
  test("a result is a word on standard error, as cosign's, and standard output stays empty", async () => {
    for (const args of [KEYLESS, KEYED, ATTESTED]) {
      expect(await runInProcess([...args, REAL.artifact])).toEqual({ status: 0, stdout: "", stderr: "Verified OK\n" });
    }
  });

  test("a refusal is one line on standard error", async () => {
    const run = await runInProcess([...KEYLESS, REAL.other]);
    expect([run.status, run.stdout, run.stderr.split("\n").length]).toEqual([1, "", 2]);
  });
});

describe("--output", () => {
  test.each([
    ["json", [...KEYLESS, REAL.artifact]],
    ["json", [...ATTESTED, REAL.artifact]],
    ["text", [...KEYLESS, REAL.artifact]],
    ["text", [...KEYED, REAL.artifact]],
  ])("%s goes to standard output, and standard error stays empty", async (format, args) => {
    const { status, stdout, stderr } = await runInProcess([...args, "--output", format]);
    expect([status, stderr]).toEqual([0, ""]);
    if (format === "json") {
      expect(stdout).toMatch(/^\{[^\n]*\}\n$/);
      expect(JSON.parse(stdout)).toMatchObject({ version: 1, verdict: "verified", unproven: [] });
    } else expect(stdout).toMatch(/^Verified\n(?:[├│└ ].*\n)+$/);
  });

  test("json writes a refusal to standard output, and its line to standard error", async () => {
    const { status, stdout, stderr } = await runInProcess([...KEYLESS, "-o", "json", REAL.other]);
    expect(status).toBe(1);
    expect(JSON.parse(stdout)).toMatchObject({ verdict: "refused", error: { code: "ARTIFACT_DIGEST_MISMATCH" } });
    expect(stderr).toMatch(/^Error: [^\n]*\[ARTIFACT_DIGEST_MISMATCH\]\n$/);
  });

  test("text writes a refusal to standard error alone", async () => {
    const { status, stdout, stderr } = await runInProcess([...KEYLESS, "-o", "text", REAL.other]);
    expect([status, stdout]).toEqual([1, ""]);
    expect(stderr).toMatch(/^Error: [^\n]*\n$/);
  });
});

describe("--explain", () => {
  const lines = (text: string): number =>
    text.split("\n").filter((line) => /^(?:ok|FAIL|--|skip) {2,}\S/.test(line)).length;

  test("tells each check on standard error, with text on standard output", async () => {
    const plain = await runInProcess([...KEYLESS, "--explain", REAL.artifact]);
    expect([plain.status, plain.stdout]).toEqual([0, ""]);
    expect(lines(plain.stderr)).toBeGreaterThan(15);
    const text = await runInProcess([...KEYLESS, "--explain", "-o", "text", REAL.artifact]);
    expect([text.status, text.stderr]).toEqual([0, ""]);
    expect(lines(text.stdout)).toBe(lines(plain.stderr));
    const json = await runInProcess([...KEYLESS, "--explain", "-o", "json", REAL.artifact]);
    expect((JSON.parse(json.stdout) as { checks: unknown[] }).checks).toHaveLength(lines(json.stderr));
  });

  test("tells what passed, what failed and what was not reached of a refusal, before its line", async () => {
    const { stderr: other } = await runInProcess([
      "verify-blob",
      "--bundle",
      REAL.bundle,
      "--trusted-root",
      REAL.otherRoot,
      ...IDENTITY,
      "--explain",
      REAL.artifact,
    ]);
    expect(other).toMatch(/^-- /m);
    const { status, stderr } = await runInProcess([...KEYLESS, "--explain", REAL.other]);
    expect(status).toBe(1);
    for (const mark of ["ok", "FAIL"]) expect(stderr).toMatch(new RegExp(`^${mark} `, "m"));
    expect(stderr.split("\n").at(-2)).toMatch(/^Error: .*\[ARTIFACT_DIGEST_MISMATCH\]$/);
  });
});

describe("--verbose", () => {
  test("tells what was read and trusted, and how long it took", async () => {
    const { status, stdout, stderr } = await runInProcess([...KEYLESS, "--verbose", REAL.artifact]);
    expect([status, stdout]).toEqual([0, ""]);
    expect(stderr).toMatch(
      /^bundle: .*blob-v1-email\.sigstore\.json, application\/vnd\.dev\.sigstore\.bundle\.v0\.3\+json, 5379 bytes$/m,
    );
    expect(stderr).toMatch(/^trust: root from .*trusted_root\.json, loaded in [\d.]+ ms$/m);
    expect(stderr).toMatch(/^artifact: .*hello\.txt, 6 bytes$/m);
    expect(stderr).toMatch(/^Verified OK\nended after [\d.]+ ms\n$/m);
  });

  test("tells each request without what its URL hides", async () => {
    const fetch = (): Promise<Response> => Promise.resolve(new Response(readFileSync(REAL.key)));
    const args = [
      "verify-blob",
      "--bundle",
      REAL.keyBundle,
      "--trusted-root",
      REAL.root,
      "--key",
      "https://example.com/key.pub?token=secret",
      "-d",
      REAL.artifact,
    ];
    const { status, stderr } = await runInProcess(args, { fetch });
    expect(status).toBe(0);
    expect(stderr).toMatch(/^GET https:\/\/example\.com\/key\.pub: status 200 after [\d.]+ ms$/m);
    expect(stderr).not.toContain("secret");
  });

  test("tells of a failed request, and what is not proven", async () => {
    const fetch = (): Promise<Response> => Promise.reject(new Error("no route"));
    const failed = await runInProcess([...KEYLESS, "-d", "https://example.com/app", "--timeout", "150ms"], { fetch });
    expect(failed.stderr).toMatch(/^GET https:\/\/example\.com\/app: failed/m);
    const open = [
      "verify-blob",
      "--bundle",
      REAL.bundle,
      "--trusted-root",
      REAL.root,
      "--certificate-identity-regexp",
      "alice",
      "--certificate-oidc-issuer",
      REAL.issuer,
    ];
    expect((await runInProcess([...open, "-d", REAL.artifact])).stderr).toMatch(
      /^not proven: identity: pattern alice is not anchored/m,
    );
  });
});

describe("what is unsafe", () => {
  const bundle = ["--bundle", REAL.bundle, "--trusted-root", REAL.root];
  test.each([
    [
      "--insecure-ignore-sct",
      [...KEYLESS, "--insecure-ignore-sct", REAL.artifact],
      "signed-certificate-timestamp",
      /SCT verification/,
    ],
    [
      "--sct-threshold=0",
      [...KEYLESS, "--sct-threshold=0", REAL.artifact],
      "signed-certificate-timestamp",
      /SCT verification/,
    ],
    [
      "--insecure-ignore-tlog",
      [...KEYLESS, "--insecure-ignore-tlog", REAL.artifact],
      "transparency-log",
      /^WARNING: Skipping tlog verification is an insecure practice that lacks transparency and auditability verification for the blob\.$/m,
    ],
    ["--tlog-threshold=0", [...KEYLESS, "--tlog-threshold", "0", REAL.artifact], "transparency-log", /for the blob\./],
    [
      "--insecure-ignore-tlog of an attestation",
      [...ATTESTED, "--insecure-ignore-tlog", REAL.artifact],
      "transparency-log",
      /for the blob attestation\./,
    ],
    ["--check-claims=false", [...ATTESTED, "--check-claims=false"], "subject", /proves nothing about any file/],
    [
      "an identity that is not anchored",
      [
        "verify-blob",
        ...bundle,
        "--certificate-identity-regexp",
        "alice@example",
        "--certificate-oidc-issuer",
        REAL.issuer,
        REAL.artifact,
      ],
      "identity",
      /--certificate-identity-regexp is not anchored/,
    ],
    [
      "an issuer that is not anchored",
      [
        "verify-blob",
        ...bundle,
        "--certificate-identity",
        REAL.identity,
        "--certificate-oidc-issuer-regexp",
        "127",
        REAL.artifact,
      ],
      "issuer",
      /--certificate-oidc-issuer-regexp is not anchored/,
    ],
  ])("%s is warned of", async (_, args, _what, warning) => {
    const run = await runInProcess(args);
    expect(run.status).toBe(0);
    expect(run.stderr).toMatch(warning);
    expect(run.stderr).toMatch(/^WARNING: [^\n]*\nVerified OK\n$/);
  });

  test.each([
    [
      "an identity that is not anchored",
      [
        "verify-blob",
        ...bundle,
        "--certificate-identity-regexp",
        "alice@example",
        "--certificate-oidc-issuer",
        REAL.issuer,
        REAL.artifact,
      ],
      "identity",
    ],
    [
      "an issuer that is not anchored",
      [
        "verify-blob",
        ...bundle,
        "--certificate-identity",
        REAL.identity,
        "--certificate-oidc-issuer-regexp",
        "127",
        REAL.artifact,
      ],
      "issuer",
    ],
    ["--check-claims=false", [...ATTESTED, "--check-claims=false"], "subject"],
    [
      "--insecure-ignore-tlog",
      [
        "verify-blob",
        "--bundle",
        REAL.keyBundle.replace("-v1-", "-none-"),
        "--key",
        REAL.key,
        "--insecure-ignore-tlog",
        REAL.artifact,
      ],
      "transparency-log",
    ],
  ])("%s is told as not proven, in JSON and in capitals in text", async (_, args, what) => {
    const json = await runInProcess([...args, "-o", "json"]);
    expect((JSON.parse(json.stdout) as { unproven: { what: string }[] }).unproven.map((one) => one.what)).toContain(
      what,
    );
    const text = await runInProcess([...args, "-o", "text"]);
    expect(text.stdout).toMatch(new RegExp(String.raw`^Verified, in part\n[^]*NOT PROVEN\n[^]*─ ${what}: `));
  });
});

describe("colours", () => {
  const red = "\u001b[31mError:\u001b[0m";
  test("are used on a terminal, and nowhere else", async () => {
    expect((await runOnTerminal([...KEYLESS, REAL.other])).stderr.startsWith(`${red} `)).toBe(true);
    expect((await runOnTerminal([...KEYLESS, "--insecure-ignore-sct", REAL.artifact])).stderr).toContain(
      "\u001b[33mWARNING:\u001b[0m ",
    );
    expect((await runInProcess([...KEYLESS, REAL.other])).stderr).not.toContain("\u001b");
  });

  test.each([
    ["NO_COLOR", { NO_COLOR: "1" }],
    ["a terminal without any", { TERM: "dumb" }],
  ])("are not used with %s", async (_, environment) => {
    expect((await runOnTerminal([...KEYLESS, REAL.other], { environment })).stderr).not.toContain("\u001b[31m");
  });

  test("are used where NO_COLOR is empty (no-color.org)", async () => {
    expect((await runOnTerminal([...KEYLESS, REAL.other], { environment: { NO_COLOR: "" } })).stderr).toContain(red);
  });

  test("never reach standard output", async () => {
    expect((await runOnTerminal([...KEYLESS, "-o", "text", "--explain", REAL.artifact])).stdout).not.toContain(
      "\u001b",
    );
  });
});

describe("the progress bar", () => {
  const big = (folder: string): string => {
    writeFileSync(join(folder, "big"), new Uint8Array(9 * 1024 * 1024));
    return join(folder, "big");
  };

  test("shows share, size and rate of a large file on a terminal, and is gone before the result", async () => {
    const { stderr } = await runOnTerminal([...KEYLESS, big(temporaryFolder())]);
    expect(stderr).toMatch(/\rReading the artifact \[#+\.*\] \d+% of 9 MiB, [\d.]+ [KMG]?i?B\/s\u001b\[K/);
    expect(stderr).toMatch(/100% of 9 MiB, [^\r]*\r\u001b\[K\u001b\[31mError:/);
  });

  test("is not drawn elsewhere, nor for a small file, nor on a terminal that cannot", async () => {
    const path = big(temporaryFolder());
    expect((await runInProcess([...KEYLESS, path])).stderr).not.toContain("Reading");
    expect((await runOnTerminal([...KEYLESS, REAL.artifact])).stderr).toBe("Verified OK\n");
    expect((await runOnTerminal([...KEYLESS, path], { environment: { TERM: "dumb" } })).stderr).not.toContain("\r");
  });

  test("shows what was read of an input without an end", async () => {
    const { status, stderr } = await runOnTerminal([...KEYLESS, "-"], { stdin: stream(utf8("hel"), utf8("lo\n")) });
    expect(status).toBe(0);
    expect(stderr).toMatch(/^\rReading the artifact 3 B, [\d.]+ (?:[KM]i)?B\/s\u001b\[K[^]*\r\u001b\[KVerified OK\n$/);
  });
});

describe("--output-file", () => {
  test("takes what would go to standard output, refusals too", async () => {
    const file = join(temporaryFolder(), "result.json");
    expect(await runInProcess([...KEYLESS, "-o", "json", "--output-file", file, REAL.artifact])).toEqual({
      status: 0,
      stdout: "",
      stderr: "",
    });
    expect(JSON.parse(readFileSync(file, "utf8"))).toMatchObject({ verdict: "verified" });
    const refused = await runInProcess([...KEYLESS, "-o", "json", "--output-file", file, REAL.other]);
    expect([refused.status, refused.stdout]).toEqual([1, ""]);
    expect(JSON.parse(readFileSync(file, "utf8"))).toMatchObject({ verdict: "refused" });
  });

  test("leaves the file as it was where the command fails without a word on standard output", async () => {
    const folder = temporaryFolder();
    const file = join(folder, "result");
    writeFileSync(file, "before");
    for (const args of [
      [...KEYLESS, REAL.other],
      ["bundle", "inspect", "/nonexistent"],
      ["trusted-root", "create"],
      ["version", "--unknown"],
    ]) {
      expect((await runInProcess([...args, "--output-file", file])).status).toBe(1);
    }
    expect(readFileSync(file, "utf8")).toBe("before");
    expect(readdirSync(folder)).toEqual(["result"]);
  });

  test("is read from COSIGN_OUTPUT_FILE by commands that verify", async () => {
    const file = join(temporaryFolder(), "result");
    expect(
      (await runInProcess([...KEYLESS, "-o", "text", REAL.artifact], { environment: { COSIGN_OUTPUT_FILE: file } }))
        .stdout,
    ).toBe("");
    expect(readFileSync(file, "utf8")).toMatch(/^Verified\n/);
  });

  test("keeps the permissions of a file that exists, and follows a link to it", async () => {
    const folder = temporaryFolder();
    writeFileSync(join(folder, "target"), "before");
    chmodSync(join(folder, "target"), 0o640);
    symlinkSync("target", join(folder, "link"));
    expect((await runInProcess(["version", "--output-file", join(folder, "link")])).status).toBe(0);
    expect(readFileSync(join(folder, "target"), "utf8")).toMatch(/^cosign-ts /);
    expect(statSync(join(folder, "target")).mode & 0o777).toBe(0o640);
    expect(readdirSync(folder).toSorted()).toEqual(["link", "target"]);
  });
});

describe("text of a bundle", () => {
  const sandbox = makeSandbox();
  const evil = "alice\u202e\u2066!example.com"; // controls are refused in names, what reorders text is not
  const request = {
    names: [ctx(0, oid("1.3.6.1.4.1.57264.1.7"), ctx(0, derUtf8(evil)))],
    fulcio: { 4: "\u001b]0;owned\u0007\u202e", 5: "a\u009bb" },
  };
  const statement = { ...statementAbout(ARTIFACT), predicateType: "https://example.com/\u001b[31m\u202e" };

  test.each([
    ["a signature", bundleFrom(sandbox, { signer: { request } }), "verify-blob", []],
    [
      "an attestation",
      bundleFrom(sandbox, { signer: { request }, statement }),
      "verify-blob-attestation",
      ["--type", statement.predicateType],
    ],
  ])("of %s moves no cursor, wherever it is printed", async (_, bundle, command, more) => {
    const folder = temporaryFolder();
    const path = (name: string, content: string | Uint8Array): string => {
      writeFileSync(join(folder, name), content);
      return join(folder, name);
    };
    const files = [
      "--bundle",
      path("bundle.json", bundle.text),
      "--trusted-root",
      path("root.json", rootText(sandbox)),
      ...more,
      path("artifact", ARTIFACT),
    ];
    const any = ["--certificate-identity-regexp", "(?s)^.*$", "--certificate-oidc-issuer", ISSUER];
    const runs = [
      await runInProcess([command, ...any, ...files, "-o", "text", "--explain"]),
      await runInProcess([command, ...any, ...files, "-o", "json", "--explain"]),
      await runInProcess([command, ...IDENTITY, ...files, "-o", "json", "--explain"]),
      await runInProcess([command, ...IDENTITY, ...files]),
      await runInProcess([command, ...any, ...files, "--certificate-github-workflow-name", "x"]),
      await runInProcess(["bundle", "inspect", join(folder, "bundle.json")]),
      await runInProcess(["bundle", "inspect", "-o", "json", join(folder, "bundle.json")]),
    ];
    expect(runs.map(({ status }) => status)).toEqual([0, 0, 1, 1, 1, 0, 0]);
    for (const { stdout, stderr } of runs)
      expect(`${stdout}${stderr}`.replaceAll("\n", "")).not.toMatch(/[\p{Cc}\p{Cf}]/u);
    expect(runs[0]?.stdout).toContain(String.raw`signer: alice\u202e\u2066!example.com`);
    expect(runs[0]?.stdout).toContain(String.raw`\u001b]0;owned\u0007\u202e`);
    expect(JSON.parse(runs[1]?.stdout ?? "")).toMatchObject({
      signer: { identity: { subjectAlternativeName: { value: evil } } },
    });
  });
});

describe("an interruption", () => {
  /** Runs with an input that can interrupt, and gives what was written until long after. */
  async function run(input: (interrupt: () => void) => AsyncGenerator<Uint8Array>): Promise<string> {
    let stderr = "";
    const controller = new AbortController();
    const context: Context = {
      stdout: { write: () => undefined, isTerminal: false },
      stderr: { write: (text) => void (stderr += text), isTerminal: false },
      stdin: input(() => controller.abort()),
      environment: {},
      now: () => new Date("2026-01-02T03:04:05Z"),
      fetch: () => Promise.reject(new Error("no network")),
      signal: controller.signal,
    };
    expect(await runProgram([...KEYLESS, "-"], context)).toBe(1);
    for (let turn = 0; turn < 20; turn += 1) await setTimeout(5);
    return stderr;
  }
  const refusal = /^Error: command was interrupted; [^\n]* \[COMMAND_INTERRUPTED\]\n$/;

  test("is the last word: work that goes on is not heard", async () => {
    const stderr = await run(async function* (interrupt) {
      yield await Promise.resolve(readFileSync(REAL.artifact));
      interrupt(); // all is read: the verification will succeed
    });
    expect(stderr).toMatch(refusal);
  });

  test("ends the reading of an input that does not end", async () => {
    let read = 0;
    const stderr = await run(async function* (interrupt) {
      for (;;) {
        read += 1;
        if (read === 3) interrupt();
        yield await setTimeout(1, new Uint8Array(1));
      }
    });
    expect(stderr).toMatch(refusal);
    expect(read).toBeLessThan(6);
  });
});
