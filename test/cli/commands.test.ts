import { execFile, execFileSync } from "node:child_process";
import { chmodSync, copyFileSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { promisify } from "node:util";
import { beforeAll, describe, expect, test } from "vitest";
import type { Command } from "../../src/cli/context.ts";
import { COMMANDS } from "../../src/cli/program.ts";
import { COMPILE_CACHE, IDENTITY, PROGRAM, REAL, temporaryFolder } from "../support/cli.ts";
import { IMAGE_EXAMPLES } from "../support/examples.ts";
import { jsonFile } from "../support/json-edits.ts";
import { runInProcess } from "../support/program.ts";
import { realCase, realPath } from "../support/real.ts";
import { projectDir } from "../support/shared.ts";
import { PASSWORD, useSigningWorld } from "../support/signing-cli.ts";

/** Of commands that ask services; they run against a sandbox. */
const SIGNING_EXAMPLES = /^cosign-ts (sign-blob|attest-blob|bundle create) /;

describe("--help", () => {
  const names = COMMANDS.map(({ name }) => name);

  test.each([["-h"], ["--help"], ["-help"]])("%s shows the help of each command, in 120 columns", async (flag) => {
    for (const name of names) {
      const { status, stdout, stderr } = await runInProcess([...name.split(" "), flag]);
      expect([status, stderr]).toEqual([0, ""]);
      expect(stdout).toContain(`Usage:\n  cosign-ts ${name} [flags]`);
      expect(stdout.split("\n").filter((line) => line.length > 120)).toEqual([]);
      expect(await runInProcess(["help", ...name.split(" ")])).toEqual({ status, stdout, stderr });
    }
  });

  test("describes each flag that is not deprecated, and no other", async () => {
    for (const { name, load } of COMMANDS) {
      const { flags, isEndless = false } = await load();
      const { stdout } = await runInProcess([...name.split(" "), "--help"]);
      for (const flag of flags) {
        const line = new RegExp(String.raw`^ {2}(?:-\w, | {4})--${flag.name}(?: |$)`, "m");
        if (flag.deprecated === undefined) expect(stdout, flag.name).toMatch(line);
        else expect(stdout, flag.name).not.toMatch(line);
        if (flag.deprecated === undefined) expect(flag.description, flag.name).not.toBe("");
      }
      const limit = isEndless
        ? /^ {2}-t, --timeout DURATION {2,}end after this time$/m
        : /^ {2}-t, --timeout DURATION {2,}.*\(default 3m0s\)$/m;
      expect(stdout).toMatch(limit);
    }
  });

  test("lists the commands, of the program and of a group", async () => {
    const { status, stdout } = await runInProcess(["--help"]);
    expect(status).toBe(0);
    for (const name of names) expect(stdout).toContain(`\n  ${name} `);
    expect(stdout.split("\n").filter((line) => line.length > 120)).toEqual([]);
    expect(await runInProcess(["help"])).toEqual({ status: 0, stdout, stderr: "" });
    expect((await runInProcess(["bundle", "--help"])).stdout).toMatch(
      /Usage:\n {2}cosign-ts bundle COMMAND \[flags\]\n\nCommands:\n( {2}bundle (inspect|create|upgrade) +\S.*\n){3}\n/,
    );
  });

  test("is shown without a command too, which is an error: a script that names none has verified nothing", async () => {
    for (const args of [[], ["bundle"], ["-d"]]) {
      const { status, stdout, stderr } = await runInProcess(args);
      expect([status, stdout.includes("Usage:")]).toEqual([1, true]);
      expect(stderr).toMatch(/^Error: no command is given; .* \[USAGE_INVALID\]\n$/);
    }
  });

  test("is not asked for behind --", async () => {
    expect((await runInProcess(["verify-blob", "--", "--help"])).stderr).toContain("provide a key with --key");
  });
});

describe("examples of the help", () => {
  const commands: Command[] = [];
  let examples: readonly string[] = [];
  beforeAll(async () => {
    for (const { load } of COMMANDS) commands.push(await load());
    examples = commands.flatMap((command) => command.examples ?? []);
  });

  test("exist for every command that takes anything", () => {
    const bare = commands.filter(({ examples = [] }) => examples.length === 0).map(({ name }) => name);
    expect(bare).toEqual(["version"]);
  });

  /** A folder that holds what the examples name, and a program of that name. */
  function prepare(): { readonly folder: string; readonly run: (example: string) => string } {
    const folder = temporaryFolder();
    const into = (name: string, from: string): void => copyFileSync(from, join(folder, name));
    into("app", REAL.artifact);
    into("cosign.pub", REAL.key);
    into("trusted_root.json", REAL.root);
    into("openssl.pem", join(projectDir, "testdata/keys/openssl-p256-sec1.pem"));
    const root = jsonFile("real/a/trusted_root.json") as unknown as {
      readonly tlogs: readonly { readonly publicKey: { readonly rawBytes: string } }[];
      readonly certificateAuthorities: readonly {
        readonly certChain: { readonly certificates: readonly { readonly rawBytes: string }[] };
      }[];
    };
    const pem = (label: string, base64: string): string =>
      `-----BEGIN ${label}-----\n${base64}\n-----END ${label}-----\n`;
    writeFileSync(
      join(folder, "ca.pem"),
      (root.certificateAuthorities[0]?.certChain.certificates ?? [])
        .map(({ rawBytes }) => pem("CERTIFICATE", rawBytes))
        .join(""),
    );
    for (const name of ["ctfe.pub", "rekor.pub"])
      writeFileSync(join(folder, name), pem("PUBLIC KEY", root.tlogs[1]?.publicKey.rawBytes ?? ""));
    writeFileSync(join(folder, "cosign-ts"), `#!/bin/sh\nexec '${process.execPath}' '${PROGRAM}' "$@"\n`);
    chmodSync(join(folder, "cosign-ts"), 0o755);
    const environment = {
      PATH: `${folder}:${process.env["PATH"] ?? ""}`,
      HOME: folder,
      NODE_COMPILE_CACHE: COMPILE_CACHE,
      COSIGN_TRUSTED_ROOT: REAL.root,
      COSIGN_PASSWORD: "examples",
    };
    return {
      folder,
      run(example) {
        const keyed = example.includes("--key");
        into("app.sigstore.json", keyed ? REAL.keyBundle : REAL.bundle);
        into(
          "app.att.sigstore.json",
          realPath(realCase(keyed ? "a/attestation-v1-key-p256" : "a/attestation-v1-email-slsaprovenance1").bundle),
        );
        // Nobody at accounts.example.com signed for tests; the rest runs as it stands.
        const line = example
          .replaceAll("https://accounts.example.com", REAL.issuer)
          .replace("--type slsaprovenance1 --key", "--type custom --key")
          .replace("~/.config/fish/completions/", "");
        return execFileSync("bash", ["-euo", "pipefail", "-c", line], {
          cwd: folder,
          env: environment,
          encoding: "utf8",
          stdio: ["ignore", "pipe", "pipe"],
        });
      },
    };
  }

  test("run as they stand", { timeout: 60_000 }, () => {
    const { folder, run } = prepare();
    const networked = examples.filter((example) => example.startsWith("cosign-ts initialize"));
    expect(networked).toEqual([
      "cosign-ts initialize",
      "cosign-ts initialize --mirror https://tuf.example.com --root root.json",
    ]);
    const endless = examples.filter((example) => example.startsWith("cosign-ts sandbox"));
    expect(() => run(`${endless[0] ?? ""} --timeout 1s`)).not.toThrow();
    const signing = examples.filter((example) => SIGNING_EXAMPLES.test(example));
    const aboutImages = examples.filter((example) => IMAGE_EXAMPLES.test(example));
    const elsewhere = new Set([...networked, ...endless, ...signing, ...aboutImages]);
    const ran = examples.filter((example) => !elsewhere.has(example));
    for (const example of ran) expect(() => run(example), example).not.toThrow();
    expect(ran.length).toBeGreaterThan(9);
    expect(JSON.parse(run(examples.find((example) => example.includes("--output json sha256:")) ?? ""))).toMatchObject({
      verdict: "verified",
    });
    expect(JSON.parse(readFileSync(join(folder, "trusted_root.json"), "utf8"))).toHaveProperty("tlogs");
  });
});

describe("examples of the help that sign", () => {
  const world = useSigningWorld();

  test("run as they stand, against a sandbox", { timeout: 120_000 }, async () => {
    const { sandbox, token, privateKeyPem, publicKeyPem } = world();
    const folder = temporaryFolder();
    const files: Readonly<Record<string, string>> = {
      app: "hello\n",
      lib: "lib\n",
      "app.tar.gz": "tar",
      "app.zip": "zip",
      "cosign.key": privateKeyPem,
      "cosign.pub": publicKeyPem,
      "token.jwt": token,
      "provenance.json": '{"buildDefinition":{},"runDetails":{}}',
      "sbom.json": "{}",
      "statement.json": JSON.stringify({
        _type: "https://in-toto.io/Statement/v1",
        subject: [{ digest: { sha256: "5891b5b522d5df086d0ff0b110fbd9d21bb4fc7163af34d08286a2e846f6be03" } }],
        predicateType: "https://example.com/predicate/v1",
        predicate: {},
      }),
      "cosign-ts": `#!/bin/sh\nexec '${process.execPath}' '${PROGRAM}' "$@"\n`,
    };
    for (const [name, content] of Object.entries(files)) writeFileSync(join(folder, name), content);
    chmodSync(join(folder, "cosign-ts"), 0o755);
    const environment = {
      PATH: `${folder}:${process.env["PATH"] ?? ""}`,
      HOME: folder,
      NODE_COMPILE_CACHE: COMPILE_CACHE,
      COSIGN_PASSWORD: PASSWORD,
      COSIGN_TRUSTED_ROOT: sandbox.paths.trustedRoot,
    };
    // Not the synchronous one: the sandbox answers in this process.
    const shell = async (line: string, more: Readonly<Record<string, string>>): Promise<void> => {
      await promisify(execFile)("bash", ["-euo", "pipefail", "-c", line], {
        cwd: folder,
        env: { ...environment, ...more },
      });
    };
    const { fulcio, rekor1 } = sandbox.urls;
    // What bundle create is given, as cosign 2 wrote it.
    const old = `--use-signing-config=false --fulcio-url ${fulcio} --rekor-url ${rekor1} --new-bundle-format=false --yes`;
    await shell(
      `cosign-ts sign-blob ${old} --identity-token token.jwt --bundle app.bundle --output-signature app.sig --output-certificate app.pem app`,
      {},
    );
    await shell(
      `cosign-ts attest-blob ${old} --key cosign.key --predicate sbom.json --output-signature app.att.json app`,
      {},
    );
    const examples = (await Promise.all(COMMANDS.map(({ load }) => load()))).flatMap(({ examples: own = [] }) => own);
    const ran = examples.filter((example) => SIGNING_EXAMPLES.test(example));
    for (const example of ran) {
      const create = example.startsWith("cosign-ts bundle create");
      const line = create ? `${example} --rekor-url ${rekor1} --trusted-root ${sandbox.paths.trustedRoot}` : example;
      const identity: Readonly<Record<string, string>> = example.includes("--identity-token")
        ? {}
        : { SIGSTORE_ID_TOKEN: token };
      await expect(
        shell(line, { COSIGN_SIGNING_CONFIG: sandbox.paths.signingConfigRekor1, ...identity }),
        example,
      ).resolves.toBeUndefined();
    }
    expect(ran).toHaveLength(10);
  });
});

describe("version", () => {
  const { version } = JSON.parse(readFileSync(join(projectDir, "package.json"), "utf8")) as { version: string };

  test("names the package, the runtime and its OpenSSL", async () => {
    expect((await runInProcess(["version"])).stdout).toBe(
      `cosign-ts ${version}\nnode ${process.versions.node}, OpenSSL ${process.versions.openssl}, ${process.platform}/${process.arch}\n`,
    );
  });

  test("--json writes one object on one line", async () => {
    const { stdout } = await runInProcess(["version", "--json"]);
    expect(stdout).toMatch(/^\{[^\n]*\}\n$/);
    expect(JSON.parse(stdout)).toEqual({
      version,
      runtime: `node ${process.versions.node}`,
      openssl: process.versions.openssl,
      platform: `${process.platform}/${process.arch}`,
    });
  });
});

describe("env", () => {
  const environment = {
    HOME: "/home/me",
    TUF_ROOT: "/cache",
    HTTPS_PROXY: "http://me:hunter2@proxy.example:3128",
    http_proxy: "http://me:hunter3@proxy.example:3128",
    COSIGN_PASSWORD: "hunter4",
    COSIGN_YES: "true",
    COSIGN_KEY: "pkcs11:token=t?module-path=/lib/x.so&pin-value=hunter5",
    SIGSTORE_ID_TOKEN: "hunter6",
    COSIGN_PKCS11_PIN: "hunter7",
    COSIGN_REGISTRY_PASSWORD: "hunter8",
    COSIGN_INLINE: "-----BEGIN PRIVATE KEY-----\nhunter9\n-----END PRIVATE KEY-----",
    COSIGN_ODD: "a\u001b[31m\nb",
    COSIGN_EMPTY_TOKEN: "",
    GITHUB_TOKEN: "hunter10",
    UNRELATED: "x",
  };
  const shown = async (...flags: readonly string[]): Promise<readonly string[]> =>
    (await runInProcess(["env", ...flags], { environment })).stdout.trimEnd().split("\n");

  test("describes each registered variable, with its value, then lists others that are set", async () => {
    const lines = await shown();
    const home = lines.indexOf("HOME=/home/me");
    expect(lines.slice(home - 2, home + 1)).toEqual([
      "# HOME holds the folder .sigstore/root, in which TUF metadata is cached",
      "# Expects: path of a folder",
      "HOME=/home/me",
    ]);
    expect(lines).toContain("TUF_ROOT=/cache");
    expect(lines).toContain("TUF_MIRROR=");
    expect(lines).toContain("COSIGN_YES=true");
    expect(lines.filter((line) => /UNRELATED|GITHUB_TOKEN/.test(line))).toEqual([]);
  });

  test("--show-descriptions=false shows values alone, registered ones in order, then others in order", async () => {
    const names = (await shown("--show-descriptions=false")).map((line) => line.split("=")[0]);
    const registered = [
      "ACTIONS_ID_TOKEN_REQUEST_TOKEN",
      "ACTIONS_ID_TOKEN_REQUEST_URL",
      "BUILDKITE_AGENT_ACCESS_TOKEN",
      "BUILDKITE_AGENT_ENDPOINT",
      "BUILDKITE_JOB_ID",
      "CIRCLE_OIDC_TOKEN",
      "COSIGN_PASSWORD",
      "GCE_METADATA_HOST",
      "GOOGLE_APPLICATION_CREDENTIALS",
      "GOOGLE_SERVICE_ACCOUNT_NAME",
      "HOME",
      "HTTPS_PROXY",
      "HTTP_PROXY",
      "NO_COLOR",
      "NO_PROXY",
      "SIGSTORE_ID_TOKEN",
      "SPIFFE_ENDPOINT_SOCKET",
      "TUF_MIRROR",
      "TUF_ROOT",
      "TUF_ROOT_JSON",
    ];
    const others = Object.keys(environment).filter(
      (name) => /^(?:COSIGN|SIGSTORE)_|^http_proxy$/.test(name) && !registered.includes(name),
    );
    expect(names).toEqual([...registered, ...others.toSorted()]);
  });

  test("masks what may be secret", async () => {
    const lines = await shown();
    expect(lines.join("\n")).not.toMatch(/hunter/);
    expect(lines).toEqual(
      expect.arrayContaining([
        "HTTPS_PROXY=http://******@proxy.example:3128",
        "COSIGN_PASSWORD=******",
        "COSIGN_PKCS11_PIN=******",
        "COSIGN_EMPTY_TOKEN=",
        "COSIGN_KEY=pkcs11:token=t?module-path=/lib/x.so&pin-value=******",
      ]),
    );
  });

  test("--show-sensitive-values shows it, and still nothing that a terminal obeys", async () => {
    const lines = await shown("--show-sensitive-values");
    expect(lines).toEqual(
      expect.arrayContaining(["COSIGN_PASSWORD=hunter4", String.raw`COSIGN_ODD=a\u001b[31m\u000ab`]),
    );
  });
});

describe("bundle inspect", () => {
  test("prints a tree to standard output, and says on standard error that nothing is verified", async () => {
    const { status, stdout, stderr } = await runInProcess(["bundle", "inspect", REAL.bundle]);
    expect([status, stderr]).toEqual([0, "Nothing here is verified: it is what the bundle claims.\n"]);
    expect(stdout).toMatch(/^bundle: application\/vnd\.dev\.sigstore\.bundle\.v0\.3\+json\n├─ certificate\n/);
  });

  test("prints JSON, one bundle a line", async () => {
    const file = join(temporaryFolder(), "two.sigstore.jsonl");
    const lines = [REAL.bundle, REAL.attestation].map((path) => readFileSync(path, "utf8").trim());
    writeFileSync(file, `${lines.join("\n")}\n`);
    const { stdout } = await runInProcess(["bundle", "inspect", "--output", "json", file]);
    const trees = stdout
      .trimEnd()
      .split("\n")
      .map((line) => JSON.parse(line) as { label: string; children: { label: string }[] });
    expect(trees.map(({ label }) => label)).toEqual(["bundle", "bundle"]);
    expect(trees.map(({ children }) => children.at(-1)?.label)).toEqual(["message signature", "DSSE envelope"]);
    expect((await runInProcess(["bundle", "inspect", file])).stdout.match(/^bundle: /gm)).toHaveLength(2);
  });

  test("reads a bundle that is written over many lines", async () => {
    const file = join(temporaryFolder(), "pretty.sigstore.json");
    writeFileSync(file, JSON.stringify(JSON.parse(readFileSync(REAL.bundle, "utf8")), undefined, 2));
    expect(await runInProcess(["bundle", "inspect", file])).toEqual(
      await runInProcess(["bundle", "inspect", REAL.bundle]),
    );
  });

  test("shows who claims to have signed, for the flags of a verification", async () => {
    const { stdout } = await runInProcess(["bundle", "inspect", REAL.bundle]);
    expect(stdout).toContain(`subject alternative name: ${IDENTITY[1]} (email)`);
    expect(stdout).toContain(`OIDC issuer: ${IDENTITY[3]}`);
  });
});

describe("initialize", () => {
  test("prints nothing, as cosign, and makes the repository the default", async () => {
    const environment = { TUF_ROOT: temporaryFolder() };
    const now = (): Date => new Date("2026-11-24T00:00:00Z");
    const mirror = ["--mirror", `file://${REAL.tuf}`, "--root", REAL.tufRoot];
    expect(await runInProcess(["initialize", ...mirror], { environment, now })).toEqual({
      status: 0,
      stdout: "",
      stderr: "",
    });
    const verified = await runInProcess(["verify-blob", "--bundle", REAL.bundle, ...IDENTITY, "-d", REAL.artifact], {
      environment,
      now,
    });
    expect(verified.status).toBe(0);
    expect(verified.stderr).toMatch(
      /^trust: TUF repository file:\/\/.*\/a\/tuf, cached, refreshed 2026-11-24T00:00:00\.000Z, good until 2036-/m,
    );
  });

  test("compares the root with its checksum, of either algorithm", async () => {
    const environment = { TUF_ROOT: temporaryFolder() };
    const now = (): Date => new Date("2026-11-24T00:00:00Z");
    const run = (checksum: string): ReturnType<typeof runInProcess> =>
      runInProcess(
        ["initialize", "--mirror", `file://${REAL.tuf}`, "--root", REAL.tufRoot, "--root-checksum", checksum],
        { environment, now },
      );
    const sum = (program: string): string =>
      execFileSync(program, [REAL.tufRoot], { encoding: "utf8" }).split(" ")[0] ?? "";
    for (const checksum of [sum("sha256sum"), `sha256:${sum("sha256sum").toUpperCase()}`, `sha512:${sum("sha512sum")}`])
      expect((await run(checksum)).status).toBe(0);
    for (const checksum of [sum("sha512sum"), `sha512:${sum("sha256sum")}`])
      expect((await run(checksum)).stderr).toContain("[USAGE_INVALID]");
  });

  test("warns of a root from the network without a checksum", async () => {
    const environment = { TUF_ROOT: temporaryFolder() };
    const fetch = (): Promise<Response> => Promise.resolve(new Response(readFileSync(REAL.tufRoot)));
    const run = await runInProcess(
      ["initialize", "--mirror", `file://${REAL.tuf}`, "--root", "https://tuf.example.com/root.json"],
      { environment, fetch, now: () => new Date("2026-11-24T00:00:00Z") },
    );
    expect(run.stderr).toMatch(/^WARNING: fetching the root without --root-checksum: /);
    expect(run.status).toBe(0);
  });
});
