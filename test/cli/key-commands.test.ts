import { spawnSync } from "node:child_process";
import {
  chmodSync,
  existsSync,
  mkdirSync,
  readFileSync,
  readdirSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { encodePem } from "../../src/encoding/pem.ts";
import { readPrivateKey } from "../../src/keys/private-key.ts";
import { PROGRAM, temporaryFolder } from "../support/cli.ts";
import { keyFile, keyPath, PASSWORD, passwordSource } from "../support/keys.ts";
import { runInProcess, type Run } from "../support/program.ts";
import { projectDir } from "../support/shared.ts";

const environment = { COSIGN_PASSWORD: PASSWORD };
const outcome = ({ status, stderr }: Run): string => /\[([A-Z_]+)\]\n$/.exec(stderr)?.[1] ?? `status ${status}`;
const mode = (path: string): string => (statSync(path).mode & 0o777).toString(8);

async function* typed(text: string): AsyncGenerator<Uint8Array> {
  yield await Promise.resolve(Buffer.from(text));
}

async function publicPemOf(path: string, password = PASSWORD): Promise<string> {
  const { publicKey } = await readPrivateKey(readFileSync(path), passwordSource(password));
  return encodePem("PUBLIC KEY", publicKey.spki);
}

describe("generate-key-pair", () => {
  test("writes two files with cosign's names, permissions and messages", async () => {
    const prefix = join(temporaryFolder(), "cosign");
    const run = await runInProcess(["generate-key-pair", "--output-key-prefix", prefix], { environment });
    expect(run).toEqual({
      status: 0,
      stdout: "",
      stderr: `Private key written to ${prefix}.key\nPublic key written to ${prefix}.pub\n`,
    });
    expect([mode(`${prefix}.key`), mode(`${prefix}.pub`)]).toEqual(["600", "644"]);
    expect(await publicPemOf(`${prefix}.key`)).toBe(readFileSync(`${prefix}.pub`, "utf8"));
  });

  test("takes the password from standard input, whole", async () => {
    const prefix = join(temporaryFolder(), "k");
    const args = ["generate-key-pair", "--output-key-prefix", prefix, "--signing-algorithm", "ed25519"];
    expect((await runInProcess(args, { stdin: typed("hunter2\n") })).status).toBe(0);
    expect(await publicPemOf(`${prefix}.key`, "hunter2\n")).toBe(readFileSync(`${prefix}.pub`, "utf8"));
  });

  test("asks for a password that is given nowhere, and writes nothing", async () => {
    const folder = temporaryFolder();
    const run = await runInProcess(["generate-key-pair", "--output-key-prefix", join(folder, "k")]);
    expect(outcome(run)).toBe("KEY_PASSWORD_MISSING");
    expect(readdirSync(folder)).toEqual([]);
  });

  test.each([
    ["y\n", "status 0"],
    ["n\n", "CONSENT_MISSING"],
    ["", "CONSENT_MISSING"],
    ["x\n", "USAGE_INVALID"],
  ])("asks before it overwrites, and takes %j for an answer", async (answer, expected) => {
    const prefix = join(temporaryFolder(), "k");
    writeFileSync(`${prefix}.key`, "before");
    writeFileSync(`${prefix}.pub`, "before");
    const run = await runInProcess(["generate-key-pair", "--output-key-prefix", prefix], {
      environment,
      stdin: typed(answer),
    });
    expect(outcome(run)).toBe(expected);
    expect(run.stderr).toContain(`WARNING: File ${prefix}.key already exists. Overwrite?\n`); // cosign's words
    expect(run.stderr).toContain("Are you sure you would like to continue? [y/N] ");
    const overwritten = [".key", ".pub"].map((suffix) => readFileSync(prefix + suffix, "utf8") !== "before");
    expect(overwritten).toEqual(expected === "status 0" ? [true, true] : [false, false]);
    expect(mode(`${prefix}.key`)).toBe(expected === "status 0" ? "600" : "644");
  });

  test("asks about a public key alone too: it may be another key's", async () => {
    const prefix = join(temporaryFolder(), "k");
    writeFileSync(`${prefix}.pub`, "before");
    const run = await runInProcess(["generate-key-pair", "--output-key-prefix", prefix], { environment });
    expect(outcome(run)).toBe("CONSENT_MISSING");
    expect([readFileSync(`${prefix}.pub`, "utf8"), existsSync(`${prefix}.key`)]).toEqual(["before", false]);
  });

  test.each([
    ["a folder that is not there", (folder: string) => join(folder, "missing", "k")],
    [
      "a directory in the place of the private key",
      (folder: string) => {
        mkdirSync(join(folder, "k.key"));
        return join(folder, "k");
      },
    ],
    [
      "a directory in the place of the public key",
      (folder: string) => {
        mkdirSync(join(folder, "k.pub"));
        return join(folder, "k");
      },
    ],
    [
      "a device in the place of the private key",
      (folder: string) => {
        symlinkSync("/dev/null", join(folder, "k.key"));
        return join(folder, "k");
      },
    ],
  ])("refuses %s before it asks for anything, and writes neither file", async (_, make) => {
    const folder = temporaryFolder();
    const prefix = make(folder);
    const before = readdirSync(folder);
    const run = await runInProcess(["generate-key-pair", "--output-key-prefix", prefix]); // without a password
    expect(outcome(run)).toBe("WRITE_FAILED");
    expect(readdirSync(folder)).toEqual(before);
  });

  test.skipIf(process.getuid?.() === 0)("refuses a folder that it may not write to", async () => {
    const folder = temporaryFolder();
    chmodSync(folder, 0o555);
    const run = await runInProcess(["generate-key-pair", "--output-key-prefix", join(folder, "k")], { environment });
    chmodSync(folder, 0o755);
    expect(outcome(run)).toBe("WRITE_FAILED");
  });

  test.each([
    ["--kms", ["--kms", "awskms:///alias/key"]],
    ["a Kubernetes secret", ["k8s://namespace/name"]],
    ["a GitLab project", ["gitlab://project"]],
    ["a GitHub repository", ["github://owner/repo"]],
    ["another provider", ["other://thing"]],
    ["what is no reference", ["cosign"]],
    ["an algorithm that is none", ["--signing-algorithm", "rot13"]],
    ["an algorithm for verification only", ["--signing-algorithm", "rsa-sign-pkcs1-2048-sha256"]],
    ["two operands", ["k8s://a/b", "k8s://c/d"]],
  ])("refuses %s", async (_, args) => {
    const folder = temporaryFolder();
    const prefix = ["--output-key-prefix", join(folder, "k")];
    const run = await runInProcess(["generate-key-pair", ...prefix, ...args], { environment });
    expect(outcome(run)).toBe("USAGE_INVALID");
    expect(readdirSync(folder)).toEqual([]);
  });

  test("reads its flags from the environment, as cosign does", async () => {
    const prefix = join(temporaryFolder(), "k");
    const run = await runInProcess(["generate-key-pair"], {
      environment: { ...environment, COSIGN_OUTPUT_KEY_PREFIX: prefix, COSIGN_SIGNING_ALGORITHM: "ed25519" },
    });
    expect([run.status, existsSync(`${prefix}.key`)]).toEqual([0, true]);
  });
});

describe("import-key-pair", () => {
  test("encrypts the key of another tool, and gives its public key", async () => {
    const prefix = join(temporaryFolder(), "import-cosign");
    const args = ["import-key-pair", "-k", keyPath("openssl-p256-sec1.pem"), "-o", prefix];
    expect(await runInProcess(args, { environment })).toEqual({
      status: 0,
      stdout: "",
      stderr: `Private key written to ${prefix}.key\nPublic key written to ${prefix}.pub\n`,
    });
    expect([mode(`${prefix}.key`), mode(`${prefix}.pub`)]).toEqual(["600", "644"]);
    expect(readFileSync(`${prefix}.pub`, "utf8")).toBe(keyFile("openssl-p256-sec1.pub"));
    expect(await publicPemOf(`${prefix}.key`)).toBe(keyFile("openssl-p256-sec1.pub"));
  });

  test("opens an encrypted key with the same password", async () => {
    const prefix = join(temporaryFolder(), "k");
    const args = ["import-key-pair", "--key", keyPath("openssl-p384-pbkdf2.pem"), "-o", prefix];
    expect((await runInProcess(args, { stdin: typed(PASSWORD) })).status).toBe(0);
    expect(await publicPemOf(`${prefix}.key`)).toBe(keyFile("openssl-p384.pub"));
    const wrong = await runInProcess(args, { environment: { COSIGN_PASSWORD: "hunter2" } });
    expect(outcome(wrong)).toBe("KEY_PASSWORD_WRONG");
    expect(wrong.stderr).not.toContain("hunter2");
  });

  test("asks before it overwrites, unless --yes says so", async () => {
    const prefix = join(temporaryFolder(), "k");
    writeFileSync(`${prefix}.key`, "before", { mode: 0o640 });
    const args = ["import-key-pair", "--key", keyPath("openssl-p384.pem"), "-o", prefix];
    expect(outcome(await runInProcess(args, { environment, stdin: typed("n\n") }))).toBe("CONSENT_MISSING");
    expect(readFileSync(`${prefix}.key`, "utf8")).toBe("before");
    const run = await runInProcess([...args, "--yes"], { environment });
    expect([run.status, run.stderr.includes("Are you sure")]).toEqual([0, false]);
    expect([readFileSync(`${prefix}.key`, "utf8") === "before", mode(`${prefix}.key`)]).toEqual([false, "600"]);
  });

  test.each([
    ["no key", [], "USAGE_INVALID"],
    ["a key that is not there", ["--key", "/nonexistent"], "FILE_NOT_FOUND"],
    ["a public key", ["--key", keyPath("cosign-p256.pub")], "PRIVATE_KEY_MALFORMED"],
    ["a weak key", ["--key", keyPath("rsa-exponent-3.pem")], "PRIVATE_KEY_MALFORMED"],
    ["a key elsewhere", ["--key", "awskms:///alias/key"], "USAGE_INVALID"],
  ])("refuses %s, and writes nothing", async (_, args, expected) => {
    const folder = temporaryFolder();
    const run = await runInProcess(["import-key-pair", ...args, "-o", join(folder, "k")], { environment });
    expect(outcome(run)).toBe(expected);
    expect(readdirSync(folder)).toEqual([]);
  });
});

describe("public-key", () => {
  test("writes the public key to standard output", async () => {
    expect(await runInProcess(["public-key", "--key", keyPath("cosign-p256.key")], { environment })).toEqual({
      status: 0,
      stdout: keyFile("cosign-p256.pub"),
      stderr: "",
    });
  });

  test("writes it to a file, whole where a longer one was", async () => {
    const path = join(temporaryFolder(), "out.pub");
    writeFileSync(path, "x".repeat(1000));
    const args = ["public-key", "--key", keyPath("openssl-p384-pbkdf2.pem"), "--outfile", path];
    expect(await runInProcess(args, { environment })).toEqual({
      status: 0,
      stdout: "",
      stderr: `Public key written to ${path}\n`,
    });
    expect(readFileSync(path, "utf8")).toBe(keyFile("openssl-p384.pub"));
  });

  test.each([
    ["no key", [], "USAGE_INVALID"],
    ["a hardware token", ["--sk"], "USAGE_INVALID"],
    ["a key and a hardware token", ["--key", keyPath("cosign-p256.key"), "--sk"], "USAGE_INVALID"],
    ["a key that is not encrypted", ["--key", keyPath("openssl-p384.pem")], "PRIVATE_KEY_MALFORMED"],
    ["a public key", ["--key", keyPath("cosign-p256.pub")], "PRIVATE_KEY_MALFORMED"],
    ["an operand", ["--key", keyPath("cosign-p256.key"), "x"], "USAGE_INVALID"],
  ])("refuses %s", async (_, args, expected) => {
    const run = await runInProcess(["public-key", ...args], { environment });
    expect([outcome(run), run.stdout]).toEqual([expected, ""]);
  });

  test("says in cosign's words that it needs one key", async () => {
    expect((await runInProcess(["public-key"])).stderr).toContain(
      "exactly one of: key reference (--key), or hardware token (--sk) must be provided",
    );
  });

  test("tells a wrong password from a missing one, and neither to anybody else", async () => {
    const args = ["public-key", "--key", keyPath("openssl-p384-pbkdf2.pem")];
    const wrong = await runInProcess(args, { environment: { COSIGN_PASSWORD: "hunter2" } });
    expect(outcome(wrong)).toBe("KEY_PASSWORD_WRONG");
    expect(wrong.stderr).not.toContain("hunter2");
    expect(outcome(await runInProcess(args))).toBe("KEY_PASSWORD_MISSING");
  });
});

/** What became of a program on a terminal. */
interface TerminalRun {
  readonly output: string;
  readonly status: number | null;
  readonly signal: number | null;
  readonly echo: boolean;
  readonly canonical: boolean;
}

const hasPython = process.platform !== "win32" && spawnSync("python3", ["-c", "import pty, termios"]).status === 0;

describe.skipIf(!hasPython)(
  `on a real terminal${hasPython ? "" : " (NOT RUN: there is no python3 to make one)"}`,
  () => {
    type Step = readonly [string, string | { readonly signal: number }];
    const FIRST = "Enter password for private key: ";
    const AGAIN = "Enter password for private key again: ";

    function onTerminal(cwd: string, args: readonly string[], steps: readonly Step[]): TerminalRun {
      const env = { PATH: process.env["PATH"] ?? "", HOME: cwd, TERM: "xterm", NO_COLOR: "1" };
      const task = { argv: [process.execPath, PROGRAM, ...args], cwd, env, steps };
      const { stdout, stderr } = spawnSync("python3", [join(projectDir, "test", "support", "terminal.py")], {
        input: JSON.stringify(task),
        encoding: "utf8",
      });
      expect(stderr).toBe("");
      return JSON.parse(stdout) as TerminalRun;
    }

    test("reads passwords unseen, asks about files, and leaves the terminal as it was", async () => {
      const folder = temporaryFolder();
      const run = onTerminal(
        folder,
        ["generate-key-pair"],
        [
          [FIRST, "hunterX\u007f2\r"],
          [AGAIN, "hunter2\r"],
        ],
      );
      expect(run).toMatchObject({ status: 0, echo: true, canonical: true });
      expect(run.output).not.toContain("hunter");
      expect(await publicPemOf(join(folder, "cosign.key"), "hunter2")).toBe(
        readFileSync(join(folder, "cosign.pub"), "utf8"),
      );
      const again = onTerminal(
        folder,
        ["generate-key-pair"],
        [
          [FIRST, "other\r"],
          [AGAIN, "other\r"],
          ["[y/N] ", "n\r"],
        ],
      );
      expect(again).toMatchObject({ status: 1, echo: true, canonical: true });
      expect(again.output).toContain("user declined the prompt");
    });

    test.each([
      ["the interrupt key", "\u0003", 130],
      ["SIGTERM", { signal: 15 }, 143],
      ["SIGHUP", { signal: 1 }, 129],
    ] as const)("ends at %s with the terminal as it was, and no file", (_, action, status) => {
      const folder = temporaryFolder();
      const run = onTerminal(folder, ["generate-key-pair"], [[FIRST, action]]);
      expect(run).toMatchObject({ status, signal: null, echo: true, canonical: true });
      expect(run.output).toContain("[COMMAND_INTERRUPTED]");
      expect(readdirSync(folder)).toEqual([]);
    });

    test("ends after the time limit with the terminal as it was", () => {
      const run = onTerminal(temporaryFolder(), ["generate-key-pair", "--timeout", "1s"], []);
      expect(run).toMatchObject({ status: 1, echo: true, canonical: true });
      expect(run.output).toContain("[COMMAND_TIMED_OUT]");
    });

    test("asks for the old password of a key, then twice for the new one", async () => {
      const folder = temporaryFolder();
      const run = onTerminal(
        folder,
        ["import-key-pair", "--key", keyPath("openssl-p384-pbkdf2.pem")],
        [
          ["Enter password of the key to import: ", `${PASSWORD}\r`],
          [FIRST, "new\r"],
          [AGAIN, "new\r"],
        ],
      );
      expect(run).toMatchObject({ status: 0, echo: true, canonical: true });
      expect(await publicPemOf(join(folder, "import-cosign.key"), "new")).toBe(keyFile("openssl-p384.pub"));
    });
  },
);
