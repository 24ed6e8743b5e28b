import { spawnSync } from "node:child_process";
import { closeSync, existsSync, openSync, readFileSync, readdirSync, truncateSync, writeFileSync } from "node:fs";
import { basename, join } from "node:path";
import { describe, expect, test } from "vitest";
import {
  ATTESTED,
  IDENTITY,
  KEYLESS,
  PROGRAM,
  REAL,
  runProcess,
  temporaryFolder,
  type ProcessRun,
} from "../support/cli.ts";

const LINE = /^Error: [^\n]+; [^\n]+ \[([A-Z_]+)\]\n$/;
const isLinux = process.platform === "linux";

/** A file that takes long to read, and no space. */
function hugeFile(folder: string): string {
  const path = join(folder, "huge");
  writeFileSync(path, "");
  truncateSync(path, 64 * 1024 ** 3);
  return path;
}

describe(`the program as a process (${basename(PROGRAM)})`, () => {
  test("says Verified OK on standard error, and ends with 0", async () => {
    expect(await runProcess([...KEYLESS, REAL.artifact])).toEqual({
      status: 0,
      signal: null,
      stdout: "",
      stderr: "Verified OK\n",
    });
  });

  test("reads standard input", async () => {
    expect(await runProcess([...KEYLESS, "-"], { stdin: readFileSync(REAL.artifact) })).toMatchObject({
      status: 0,
      stderr: "Verified OK\n",
    });
  });

  test.each([
    ["a missing file", [...KEYLESS, "/nonexistent"], "FILE_NOT_FOUND"],
    ["a directory", [...KEYLESS, "/"], "FILE_IS_DIRECTORY"],
    ["another artifact", [...KEYLESS, REAL.other], "ARTIFACT_DIGEST_MISMATCH"],
    ["another predicate type", [...ATTESTED, "--type", "vuln", REAL.artifact], "PREDICATE_TYPE_MISMATCH"],
    ["an unknown flag", ["verify-blob", "--frob"], "USAGE_INVALID"],
    ["an unknown command", ["frob"], "USAGE_INVALID"],
    ["an endless input, after the time limit", [...KEYLESS, "--timeout", "300ms", "-"], "COMMAND_TIMED_OUT"],
    ["an output file that cannot be", [...KEYLESS, "--output-file", "/nonexistent/out", REAL.artifact], "WRITE_FAILED"],
    ["a server that is not there", [...KEYLESS, "--timeout", "20s", "http://127.0.0.1:1/app"], "HTTP_REQUEST_FAILED"],
    [
      "TUF trust that cannot be fetched",
      ["verify-blob", "--bundle", REAL.bundle, ...IDENTITY, "--timeout", "20s", REAL.artifact],
      "TUF_REFRESH_FAILED",
    ],
  ])("refuses %s in one line, with status 1 and no stack trace", async (_, args, code) => {
    // A proxy that is not there keeps the test off the network.
    const environment = { HTTPS_PROXY: "http://127.0.0.1:1", TUF_ROOT: "/nonexistent" };
    const run = await runProcess(args, { environment, stdin: "open" });
    expect([run.status, run.signal, run.stdout]).toEqual([1, null, ""]);
    const lines = run.stderr.replaceAll(/^WARNING: [^\n]*\n/gm, "");
    expect(LINE.exec(lines)?.[1], run.stderr).toBe(code);
  });

  test.each([
    ["SIGINT", 130],
    ["SIGTERM", 143],
  ] as const)(
    "ends at %s while it reads, with one line, status %i and nothing half-written",
    async (signal, status) => {
      const folder = temporaryFolder();
      const out = join(folder, "result.json");
      writeFileSync(out, "before");
      let sent = false;
      const run = await runProcess(["-d", ...KEYLESS, "--output-file", out, hugeFile(folder)], {
        onStderr(text, kill) {
          if (sent || !text.includes("trust: ")) return;
          sent = true;
          kill(signal);
        },
      });
      expect([run.status, run.signal, run.stdout]).toEqual([status, null, ""]);
      const errors = run.stderr.split("\n").filter((line) => line.startsWith("Error"));
      expect(errors).toEqual([`Error: command was interrupted by ${signal}; run it again [COMMAND_INTERRUPTED]`]);
      expect(run.stderr).not.toContain("Verified");
      expect([readFileSync(out, "utf8"), readdirSync(folder).toSorted()]).toEqual(["before", ["huge", "result.json"]]);
    },
  );

  test("keeps its verdict where nobody reads standard output: a refusal does not turn into success", async () => {
    const refused = await runProcess([...KEYLESS, "-o", "json", REAL.other], { closeStdout: true });
    expect([refused.status, LINE.exec(refused.stderr)?.[1]]).toEqual([1, "ARTIFACT_DIGEST_MISMATCH"]);
    expect(await runProcess([...KEYLESS, "-o", "json", REAL.artifact], { closeStdout: true })).toMatchObject({
      status: 0,
      signal: null,
      stderr: "",
    });
    const listed = spawnSync(
      "bash",
      ["-c", `set -o pipefail; '${process.execPath}' '${PROGRAM}' verify-blob --help | head -1`],
      { encoding: "utf8" },
    );
    expect([listed.status, listed.stderr]).toEqual([0, ""]);
  });

  describe.skipIf(!existsSync("/dev/full"))("on a device that is full", () => {
    const full = async (args: readonly string[], stream: "stdout" | "stderr"): Promise<ProcessRun> => {
      const fd = openSync("/dev/full", "w");
      const run = await runProcess(args, { [stream]: fd });
      closeSync(fd);
      return run;
    };

    test("fails where a result cannot be written", async () => {
      for (const args of [["version"], [...KEYLESS, "-o", "json", REAL.artifact], ["bundle", "inspect", REAL.bundle]]) {
        const run = await full(args, "stdout");
        expect(run.status).toBe(1);
        expect(run.stderr).toMatch(
          /Error: could not write to standard output: no space is left on the device; make space[^\n]*\[WRITE_FAILED\]\n$/,
        );
      }
    });

    test("keeps its verdict where nothing can be said about it", async () => {
      expect((await full([...KEYLESS, REAL.artifact], "stderr")).status).toBe(0);
      expect((await full([...KEYLESS, REAL.other], "stderr")).status).toBe(1);
    });
  });

  test("writes a large result whole into a pipe that is read slowly", { timeout: 30_000 }, () => {
    const folder = temporaryFolder();
    const lines = Array.from({ length: 200 }, () => readFileSync(REAL.bundle, "utf8").trim());
    writeFileSync(join(folder, "many.jsonl"), lines.join("\n"));
    const command = `'${process.execPath}' '${PROGRAM}' bundle inspect -o json '${join(folder, "many.jsonl")}' 2>/dev/null | (sleep 0.5; cat) | wc -l`;
    expect(spawnSync("bash", ["-c", command], { encoding: "utf8" }).stdout.trim()).toBe("200");
  });

  // util-linux's script gives a program a terminal.
  describe.skipIf(!isLinux || spawnSync("script", ["--version"]).status !== 0)("on a real terminal", () => {
    const onTerminal = (args: readonly string[], environment: Record<string, string> = {}): string => {
      const folder = temporaryFolder();
      const line = [process.execPath, PROGRAM, ...args].map((word) => `'${word}'`).join(" ");
      const env = { PATH: process.env["PATH"] ?? "", HOME: folder, TERM: "xterm", SHELL: "/bin/sh", ...environment };
      return spawnSync("script", ["-qefc", line, "/dev/null"], { encoding: "utf8", env, cwd: folder, input: "" })
        .stdout;
    };

    test("shows progress with its rate, and clears it before the result", () => {
      const folder = temporaryFolder();
      writeFileSync(join(folder, "large"), "");
      truncateSync(join(folder, "large"), 300 * 1024 * 1024);
      const output = onTerminal([...KEYLESS, join(folder, "large")]);
      expect(output).toMatch(/\rReading the artifact \[#*\.*\] \d+% of 300 MiB, [\d.]+ [KMG]iB\/s\u001b\[K/);
      expect(output).toMatch(/\r\u001b\[K\u001b\[31mError:\u001b\[0m bundle is for another artifact/);
    });

    test("is in colour, unless NO_COLOR is set", () => {
      expect(onTerminal([...KEYLESS, REAL.other])).toContain("\u001b[31mError:\u001b[0m ");
      expect(onTerminal([...KEYLESS, REAL.other], { NO_COLOR: "1" })).not.toContain("\u001b");
      expect(onTerminal([...KEYLESS, REAL.other], { TERM: "dumb" })).not.toContain("\u001b");
    });
  });
});

/** Packages, sources, and chunks of the built program that a plain verification has no use for. */
const NOT_FOR_VERIFICATION = new RegExp(
  [
    "tuf-js|@tufjs|re2js|undici|@noble",
    String.raw`^src/(?:tuf/|oidc/|fulcio/|rekor/|timestamp/|keys/(?!key-reference)|sign/|sandbox/|policy/|report/|cli/(?:help|output-file|commands/(?!verify-blob\.ts)))`,
    String.raw`^dist/cli/(?!(?:main|process|program|verify-blob|verification)[-.])`,
  ].join("|"),
);

describe("start-up", () => {
  /** Lists what a run loads, the project's own files by their path. */
  async function loadedBy(args: readonly string[]): Promise<readonly string[]> {
    const hook =
      'import { registerHooks } from "node:module"; registerHooks({ load(url, context, next) { process.stderr.write(`loaded ${url}\\n`); return next(url, context); } });';
    const { status, stderr } = await runProcess(args, {
      nodeArguments: ["--import", `data:text/javascript,${encodeURIComponent(hook)}`],
    });
    expect(status).toBe(0);
    return [...stderr.matchAll(/^loaded (.*)$/gm)].map(([, url = ""]) =>
      url.replace(/^.*\/(src|dist|node_modules)\//, "$1/"),
    );
  }

  test("of a verification with a trusted root from a file loads no TUF client, no pattern engine and no report", async () => {
    const loaded = await loadedBy([...KEYLESS, REAL.artifact]);
    expect(loaded.length).toBeGreaterThan(3);
    expect(loaded.filter((url) => NOT_FOR_VERIFICATION.test(url))).toEqual([]);
  });

  test("of what a flag asks for loads that", async () => {
    const identity = ["--certificate-identity-regexp", "^.*$", "--certificate-oidc-issuer", REAL.issuer];
    const bundle = ["--bundle", REAL.bundle, "--trusted-root", REAL.root];
    const loaded = await loadedBy(["verify-blob", ...bundle, ...identity, "-o", "text", REAL.artifact]);
    expect(loaded.filter((url) => NOT_FOR_VERIFICATION.test(url)).join("\n")).toMatch(/re2js[^]*text/);
  });

  test("of version loads nothing that verifies", async () => {
    const loaded = await loadedBy(["version"]);
    expect(loaded.filter((url) => /\/(verify|x509|asn1|tlog|tsa|bundle|trust|tuf)\/|verification/.test(url))).toEqual(
      [],
    );
  });
});
