import { copyFileSync, readFileSync, writeFileSync } from "node:fs";
import { once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { describe, expect, onTestFinished, test } from "vitest";
import { PREDICATE_TYPES } from "../../src/intoto/predicate.ts";
import { ATTESTED, IDENTITY, KEYED, KEYLESS, REAL, temporaryFolder } from "../support/cli.ts";
import { runInProcess, type Run } from "../support/program.ts";
import { REAL_CASES, realPath, type RealCase } from "../support/real.ts";

const OK = { status: 0, stdout: "", stderr: "Verified OK\n" };
const TRUST = ["--bundle", REAL.bundle, "--trusted-root", REAL.root];

/** The code of a refusal, or the exit status. */
const outcome = ({ status, stderr }: Run): string => /\[([A-Z_]+)\]\n$/.exec(stderr)?.[1] ?? `status ${status}`;

async function* stream(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  yield await Promise.resolve(bytes);
}

describe("forms of the command line that cosign takes", () => {
  test.each([
    ["aliases", ["--cert-identity", REAL.identity, "--cert-oidc-issuer", REAL.issuer], ""],
    [
      "values behind an equals sign",
      [`--certificate-identity=${REAL.identity}`, `--certificate-oidc-issuer=${REAL.issuer}`],
      "",
    ],
    [
      "one dash before a long flag",
      ["-certificate-identity", REAL.identity, "--certificate-oidc-issuer", REAL.issuer],
      "WARNING: the flag -certificate-identity is read as --certificate-identity\n",
    ],
    [
      "booleans with a value",
      [...IDENTITY, "--offline=false", "--insecure-ignore-sct=false", "--use-signed-timestamps=true"],
      "",
    ],
    ["flags behind the file", [...IDENTITY], ""],
  ])("%s", async (name, flags, warnings) => {
    const args =
      name === "flags behind the file"
        ? ["verify-blob", REAL.artifact, ...TRUST, ...flags]
        : ["verify-blob", ...TRUST, ...flags, REAL.artifact];
    expect(await runInProcess(args)).toEqual({ ...OK, stderr: `${warnings}Verified OK\n` });
  });

  test.each([
    ["-version", ["-version"]],
    ["--version", ["--version"]],
    ["a global flag before the command", ["--timeout", "1m", "version"]],
    ["a global boolean before the command", ["-d=false", "version"]],
  ])("%s", async (_, args) => {
    const { status, stdout } = await runInProcess(args);
    expect([status, stdout.startsWith("cosign-ts ")]).toEqual([0, true]);
  });

  test("deprecated flags are accepted with a warning each", async () => {
    const flags = [
      "--private-infrastructure=false",
      "--new-bundle-format",
      "--max-workers=2",
      "--experimental-oci11",
      "--rekor-url",
      "https://x",
      "--signature-digest-algorithm",
      "sha256",
      "--slot",
      "signature",
    ];
    const { status, stderr } = await runInProcess([...KEYLESS, ...flags, REAL.artifact]);
    expect(status).toBe(0);
    const warned = [...stderr.matchAll(/^WARNING: Flag (--\S+) has been deprecated, \S/gm)].map(([, name]) => name);
    expect(warned).toEqual([
      "--private-infrastructure",
      "--new-bundle-format",
      "--max-workers",
      "--experimental-oci11",
      "--rekor-url",
      "--signature-digest-algorithm",
      "--slot",
    ]);
  });

  test("every verification flag of cosign 3.1 is known", async () => {
    const flags =
      "bundle certificate certificate-chain certificate-github-workflow-name certificate-github-workflow-ref certificate-github-workflow-repository certificate-github-workflow-sha certificate-github-workflow-trigger certificate-identity certificate-identity-regexp certificate-oidc-issuer certificate-oidc-issuer-regexp ca-roots ca-intermediates experimental-oci11 insecure-ignore-sct insecure-ignore-tlog key max-workers new-bundle-format offline private-infrastructure rekor-url rfc3161-timestamp sct signature signature-digest-algorithm sk slot timestamp-certificate-chain trusted-root use-signed-timestamps output-file timeout verbose".split(
        " ",
      );
    for (const command of ["verify-blob", "verify-blob-attestation"]) {
      for (const flag of flags) {
        const { stderr } = await runInProcess([command, `--${flag}=1`, "/nonexistent"]);
        expect(stderr, `${command} --${flag}`).not.toContain("unknown flag");
      }
    }
  });
});

describe("COSIGN_* variables", () => {
  test("give the flags of verify-blob and verify-blob-attestation", async () => {
    const environment = {
      COSIGN_BUNDLE: REAL.bundle,
      COSIGN_TRUSTED_ROOT: REAL.root,
      COSIGN_CERTIFICATE_IDENTITY: REAL.identity,
      COSIGN_CERTIFICATE_OIDC_ISSUER: REAL.issuer,
    };
    expect(await runInProcess(["verify-blob", REAL.artifact], { environment })).toEqual(OK);
    const attestation = { ...environment, COSIGN_BUNDLE: REAL.attestation, COSIGN_TYPE: "custom" };
    expect(await runInProcess(["verify-blob-attestation", REAL.artifact], { environment: attestation })).toEqual(OK);
  });

  test("yield to the command line", async () => {
    expect(
      await runInProcess([...KEYLESS, REAL.artifact], {
        environment: { COSIGN_CERTIFICATE_IDENTITY: "bob@example.com", COSIGN_BUNDLE: "x" },
      }),
    ).toEqual(OK);
  });

  test("can refuse, and so are bound: an identity alone would be accepted without them", async () => {
    const run = await runInProcess([...KEYLESS, REAL.artifact], { environment: { COSIGN_TIMESTAMP_THRESHOLD: "2" } });
    expect(outcome(run)).toBe("TIMESTAMP_THRESHOLD_NOT_MET");
  });

  test.each([
    ["bundle inspect", ["bundle", "inspect", REAL.bundle], { COSIGN_OUTPUT: "json" }, /^bundle: /],
    ["version", ["version"], { COSIGN_JSON: "true" }, /^cosign-ts /],
    ["env", ["env"], { COSIGN_SHOW_DESCRIPTIONS: "false" }, /^# ACTIONS_/],
    ["completion", ["completion", "bash"], { COSIGN_TIMEOUT: "nonsense" }, /^_cosign_ts/],
    [
      "trusted-root create",
      ["trusted-root", "create", "--with-default-services", "--offline"],
      { COSIGN_NO_DEFAULT_REKOR: "true", HOME: "/nonexistent" },
      /"tlogs": \[\n {4}\{/,
    ],
  ])("are not read by %s", async (_, args, environment, printed) => {
    const { status, stdout } = await runInProcess(args, { environment });
    expect(status).toBe(0);
    expect(stdout).toMatch(printed);
  });

  test("are read by initialize", async () => {
    const environment = { COSIGN_MIRROR: "https://tuf.example.com" };
    expect((await runInProcess(["initialize"], { environment })).stderr).toContain(
      "no root to begin the trust in https://tuf.example.com",
    );
  });
});

describe("the artifact", () => {
  const hello = readFileSync(REAL.artifact);

  test("is standard input where it is -", async () => {
    expect(await runInProcess([...KEYLESS, "-"], { stdin: stream(hello) })).toEqual(OK);
    expect(outcome(await runInProcess([...KEYLESS, "-"], { stdin: stream(new Uint8Array(1)) }))).toBe(
      "ARTIFACT_DIGEST_MISMATCH",
    );
  });

  test("is fetched where it is a URL", async () => {
    const server = createServer(
      (request, response) => void response.end(request.url === "/hello" ? hello : "other"),
    ).listen(0, "127.0.0.1");
    onTestFinished(() => void server.close());
    await once(server, "listening");
    const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    const { fetch } = globalThis;
    expect(await runInProcess([...KEYLESS, `${url}/hello`], { fetch })).toEqual(OK);
    expect(outcome(await runInProcess([...KEYLESS, `${url}/other`], { fetch }))).toBe("ARTIFACT_DIGEST_MISMATCH");
  });

  test("is known by its digest, in either case", async () => {
    for (const digest of [`sha256:${REAL.sha256}`, `sha256:${REAL.sha256.toUpperCase()}`]) {
      expect(await runInProcess([...KEYLESS, digest])).toEqual(OK);
      expect(await runInProcess([...KEYED, digest])).toEqual(OK);
      expect(await runInProcess([...ATTESTED, digest])).toEqual(OK);
    }
    expect(outcome(await runInProcess([...KEYLESS, `sha256:${"0".repeat(64)}`]))).toBe("ARTIFACT_DIGEST_MISMATCH");
    expect(outcome(await runInProcess([...ATTESTED, `sha256:${"0".repeat(64)}`]))).toBe("SUBJECT_MISMATCH");
  });

  test("is a file where there is one of that name, whatever the name looks like", async () => {
    const folder = temporaryFolder();
    const cwd = process.cwd();
    process.chdir(folder);
    onTestFinished(() => process.chdir(cwd));
    const digest = `sha256:${REAL.sha256}`;
    writeFileSync(digest, "another content");
    expect(outcome(await runInProcess([...KEYLESS, digest]))).toBe("ARTIFACT_DIGEST_MISMATCH");
    writeFileSync(digest, hello);
    writeFileSync("sha256:no-digest", hello);
    expect(await runInProcess([...KEYLESS, digest])).toEqual(OK);
    expect(await runInProcess([...KEYLESS, "sha256:no-digest"])).toEqual(OK);
  });
});

describe("the bundle", () => {
  test("is found beside the file: FILE.sigstore.json, then FILE.sigstore (client specification §4.1.1)", async () => {
    const folder = temporaryFolder();
    const file = join(folder, "app");
    copyFileSync(REAL.artifact, file);
    const args = ["verify-blob", "--trusted-root", REAL.root, ...IDENTITY, file];
    expect(outcome(await runInProcess(args))).toBe("BUNDLE_NOT_FOUND");
    copyFileSync(REAL.bundle, `${file}.sigstore`);
    expect(await runInProcess(args)).toEqual({ ...OK, stderr: `Using the bundle ${file}.sigstore\nVerified OK\n` });
    writeFileSync(`${file}.sigstore.json`, "{}");
    expect(outcome(await runInProcess(args))).toBe("BUNDLE_MALFORMED");
    copyFileSync(REAL.bundle, `${file}.sigstore.json`);
    expect(await runInProcess(args)).toEqual({
      ...OK,
      stderr: `Using the bundle ${file}.sigstore.json\nVerified OK\n`,
    });
  });

  test("that is named goes before one that lies beside the file", async () => {
    const file = join(temporaryFolder(), "app");
    copyFileSync(REAL.artifact, file);
    writeFileSync(`${file}.sigstore.json`, "{}");
    expect(await runInProcess([...KEYLESS, file])).toEqual(OK);
  });

  test("of an attestation serves verify-blob too, as in cosign", async () => {
    expect(
      await runInProcess([
        "verify-blob",
        "--bundle",
        REAL.attestation,
        "--trusted-root",
        REAL.root,
        ...IDENTITY,
        REAL.artifact,
      ]),
    ).toEqual(OK);
  });
});

describe("verify-blob-attestation", () => {
  test("takes --digest and --digestAlg for the file, and the file before both, with a warning", async () => {
    expect(await runInProcess([...ATTESTED, "--digest", REAL.sha256, "--digestAlg", "sha256"])).toEqual(OK);
    expect(outcome(await runInProcess([...ATTESTED, "--digest", "0".repeat(64), "--digestAlg", "sha256"]))).toBe(
      "SUBJECT_MISMATCH",
    );
    const both = await runInProcess([...ATTESTED, "--digest", "0".repeat(64), "--digestAlg", "sha256", REAL.artifact]);
    expect(both).toEqual({ ...OK, stderr: "WARNING: --digest is not used, because a file is given\nVerified OK\n" });
  });

  test("with --check-claims=false needs no file, and looks at none", async () => {
    for (const operand of [[], [REAL.other], ["/nonexistent"]]) {
      const { status, stderr } = await runInProcess([...ATTESTED, "--check-claims=false", ...operand]);
      expect([status, stderr.endsWith("\nVerified OK\n")]).toEqual([0, true]);
    }
  });

  test("knows cosign's names of predicate types", () => {
    // cosign doc/cosign_verify-blob-attestation.md, in-toto-golang constants
    expect(PREDICATE_TYPES).toEqual({
      custom: "https://cosign.sigstore.dev/attestation/v1",
      slsaprovenance: "https://slsa.dev/provenance/v0.2",
      slsaprovenance02: "https://slsa.dev/provenance/v0.2",
      slsaprovenance1: "https://slsa.dev/provenance/v1",
      spdx: "https://spdx.dev/Document",
      spdxjson: "https://spdx.dev/Document",
      cyclonedx: "https://cyclonedx.org/bom",
      link: "https://in-toto.io/Link/v1",
      vuln: "https://cosign.sigstore.dev/attestation/vuln/v1",
      openvex: "https://openvex.dev/ns",
    });
  });

  const typed = REAL_CASES.filter(({ name }) =>
    /^a\/attestation-v1-email-(?:slsaprovenance1?|link|spdxjson|cyclonedx|vuln|openvex|uri)$/.test(name),
  );
  const args = ({ bundle, artifact }: RealCase, type: string): readonly string[] => [
    "verify-blob-attestation",
    "--bundle",
    realPath(bundle),
    "--trusted-root",
    REAL.root,
    ...IDENTITY,
    "--type",
    type,
    realPath(artifact),
  ];
  test.each(typed.map((one) => [one.name, one] as const))(
    "takes the type that cosign wrote into %s, by name and by URI",
    async (name, one) => {
      const alias = name.split("-").at(-1) ?? "";
      const uri = one.predicateType ?? "";
      if (alias !== "uri") expect(await runInProcess(args(one, alias))).toEqual(OK);
      expect(await runInProcess(args(one, uri))).toEqual(OK);
      expect(outcome(await runInProcess(args(one, "custom")))).toBe("PREDICATE_TYPE_MISMATCH");
      expect(outcome(await runInProcess(args(one, `${uri}/`)))).toBe("PREDICATE_TYPE_MISMATCH");
    },
  );

  test("asks for the type custom where none is given, as cosign does", async () => {
    const provenance = typed.find(({ name }) => name.endsWith("slsaprovenance1"));
    if (provenance === undefined) throw new Error("no provenance");
    expect(
      outcome(await runInProcess(args(provenance, "custom").filter((word) => !["--type", "custom"].includes(word)))),
    ).toBe("PREDICATE_TYPE_MISMATCH");
    expect(await runInProcess([...ATTESTED, REAL.artifact])).toEqual(OK);
  });
});

describe("keys", () => {
  test("come from a URL and from the environment", async () => {
    const key = readFileSync(REAL.key);
    const args = (reference: string): readonly string[] => [
      "verify-blob",
      "--bundle",
      REAL.keyBundle,
      "--trusted-root",
      REAL.root,
      "--key",
      reference,
      REAL.artifact,
    ];
    expect(
      await runInProcess(args("https://example.com/key.pub"), { fetch: () => Promise.resolve(new Response(key)) }),
    ).toEqual(OK);
    expect(await runInProcess(args("env://KEY"), { environment: { KEY: key.toString() } })).toEqual(OK);
  });

  test("need no trusted root where no log is asked for, as in cosign", async () => {
    const { status, stderr } = await runInProcess([
      "verify-blob",
      "--bundle",
      realPath("a/blob-none-key-p256.sigstore.json"),
      "--key",
      REAL.key,
      "--insecure-ignore-tlog",
      REAL.artifact,
    ]);
    expect([status, stderr.endsWith("\nVerified OK\n")]).toEqual([0, true]); // the fetch of a test throws
  });
});

describe("every bundle that cosign made", () => {
  const flagsOf = ({ signer, predicateType, logEntries }: RealCase): readonly string[] => [
    ...(signer.kind === "certificate"
      ? ["--certificate-identity", signer.identity, "--certificate-oidc-issuer", signer.issuer]
      : ["--key", realPath(signer.key)]),
    ...(predicateType === undefined ? [] : ["--type", predicateType]),
    ...(logEntries.length === 0 ? ["--insecure-ignore-tlog"] : []),
  ];
  test.each(REAL_CASES.map((one) => [one.name, one] as const))("%s is verified", async (_, one) => {
    const command = one.predicateType === undefined ? "verify-blob" : "verify-blob-attestation";
    const run = await runInProcess([
      command,
      "--bundle",
      realPath(one.bundle),
      "--trusted-root",
      realPath(`${one.root}/trusted_root.json`),
      ...flagsOf(one),
      realPath(one.artifact),
    ]);
    expect([run.status, run.stderr.split("\n").at(-2)]).toEqual([0, "Verified OK"]);
  });
});
