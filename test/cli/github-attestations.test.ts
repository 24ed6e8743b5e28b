import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { IDENTITY, REAL, temporaryFolder } from "../support/cli.ts";
import { uri } from "../support/certificates.ts";
import { HOST, openImages, REPOSITORY, statementFor } from "../support/images.ts";
import { runInProcess } from "../support/program.ts";
import { bundleFrom, makeSandbox, rootText } from "../support/sandbox/sandbox.ts";
import { realBundle, realPath } from "../support/real.ts";
import { projectDir } from "../support/shared.ts";

const GITHUB_ISSUER = ["--cert-oidc-issuer", "http://127.0.0.1:4400/github"] as const;
const APP = ["--repo", "acme/app", ...GITHUB_ISSUER, "--type", "custom"] as const;
const signed = realBundle("a/attestation-v2-github");
const ofOtherInstance = realBundle("b/attestation-v2-github");
const ofAlice = realBundle("a/attestation-v1-email");

const verify = (bundle: string, ...flags: readonly string[]): ReturnType<typeof runInProcess> =>
  runInProcess(["verify-blob-attestation", "--bundle", bundle, "--trusted-root", REAL.root, ...flags, REAL.artifact]);

function bundleFile(name: string, content: string): string {
  const path = join(temporaryFolder(), name);
  writeFileSync(path, content);
  return path;
}
const lines = (...bundles: readonly unknown[]): string =>
  bundleFile("bundles.jsonl", bundles.map((bundle) => `${JSON.stringify(bundle)}\n`).join(""));

describe("verify-blob-attestation, of GitHub's attestations", () => {
  test("verifies one that GitHub's public workflow signed, by its repository alone", async () => {
    const flags = (...more: readonly string[]): readonly string[] => [
      "verify-blob-attestation",
      "--bundle",
      join(projectDir, "testdata/bundle/v0.3-dsse-certificate.sigstore.json"),
      "--trusted-root",
      join(projectDir, "testdata/trusted-root/production.trusted_root.json"),
      ...more,
      "sha256:a0cfc71271d6e278e57cd332ff957c3f7043fdda354c4cbb190a30d56efa01bf",
    ];
    const owner = "sigstore-conformance";
    const repository = `${owner}/extremely-dangerous-public-oidc-beacon`;
    const file = `${repository}/.github/workflows/extremely-dangerous-oidc-beacon.yml`;
    for (const accepted of [
      ["--repo", repository],
      ["--owner", owner],
      ["--owner", owner, "--signer-workflow", file],
      ["--repo", repository, "--signer-workflow", `${file}@refs/heads/main`, "--source-ref", "refs/heads/main"],
      ["--repo", repository, "--source-digest", "82a3bfe6dd50fe9c71d6315eae66da15307856cf"],
      ["--repo", repository, "--signer-digest", "82a3bfe6dd50fe9c71d6315eae66da15307856cf"],
      ["--repo", repository, "--deny-self-hosted-runners"],
      ["--repo", repository, "--predicate-type", "https://slsa.dev/provenance/v1"],
    ])
      expect(await runInProcess(flags(...accepted))).toEqual({ status: 0, stdout: "", stderr: "Verified OK\n" });
    for (const [code, ...refused] of [
      ["IDENTITY_MISMATCH", "--repo", `${owner}/extremely-dangerous-public-oidc`],
      ["IDENTITY_MISMATCH", "--owner", "sigstore"],
      ["EXTENSION_MISMATCH", "--repo", repository, "--source-ref", "refs/heads/mai"],
      ["EXTENSION_MISMATCH", "--repo", repository, "--runner-environment", "self-hosted"],
      ["PREDICATE_TYPE_MISMATCH", "--repo", repository, "--predicate-type", "https://slsa.dev/provenance/v0.2"],
      ["PREDICATE_TYPE_MISMATCH", "--repo", repository, "--type", "custom"],
    ]) {
      const { status, stderr } = await runInProcess(flags(...refused));
      expect([status, stderr]).toEqual([1, expect.stringMatching(new RegExp(String.raw`\[${code ?? ""}\]\n$`))]);
    }
  });

  test("asks for provenance where GitHub is asked for, and for cosign's type otherwise", async () => {
    const bundle = realPath("a/attestation-v2-github.sigstore.json"); // of cosign's type
    const { stderr } = await verify(bundle, "--repo", "acme/app", ...GITHUB_ISSUER);
    expect(stderr).toMatch(/expected https:\/\/slsa\.dev\/provenance\/v1; found .*\[PREDICATE_TYPE_MISMATCH\]\n$/);
    expect((await verify(bundle, ...APP)).status).toBe(0);
    expect((await verify(REAL.attestation, ...IDENTITY)).status).toBe(0);
  });

  test.for<[string, readonly string[]]>([
    ["owner and repository", ["--owner", "acme", "--repo", "acme/app"]],
    ["a workflow without a repository", ["--signer-workflow", "acme/app/.github/workflows/release.yml"]],
    ["a ref without a repository", ["--source-ref", "refs/heads/main", ...IDENTITY]],
    ["a runner without a repository", ["--deny-self-hosted-runners", ...IDENTITY]],
    ["two signers", ["--repo", "a/b", "--signer-repo", "a/c", "--signer-workflow", "a/c/.github/workflows/x.yml"]],
    ["a signer and a name", ["--repo", "a/b", "--signer-repo", "a/c", "--certificate-identity", "x"]],
    ["a signer and a pattern", ["--repo", "a/b", "--signer-repo", "a/c", "--certificate-identity-regexp", "^x$"]],
    ["two runners", ["--repo", "a/b", "--deny-self-hosted-runners", "--runner-environment", "self-hosted"]],
    ["a runner that is none", ["--repo", "a/b", "--runner-environment", "GITHUB-HOSTED"]],
    [
      "two predicate types",
      ["--repo", "a/b", "--type", "custom", "--predicate-type", "https://slsa.dev/provenance/v1"],
    ],
    ["two repositories", ["--repo", "a/b", "--certificate-source-repository-uri", "https://github.com/a/c"]],
    ["two workflows", ["--repo", "a/b", "--certificate-build-signer-uri", "https://github.com/a/c/x.yml@refs/heads/m"]],
    ["a repository as an address", ["--repo", "https://github.com/a/b"]],
    ["a repository and a key", ["--repo", "a/b", "--key", REAL.key]],
    ["a runner and a key", ["--deny-self-hosted-runners", "--key", REAL.key]],
  ])("refuses %s before anything is read", async ([, flags]) => {
    const args = ["verify-blob-attestation", "--bundle", "/nonexistent", ...flags, "/nonexistent"];
    const { status, stdout, stderr } = await runInProcess(args);
    expect([status, stdout, stderr]).toEqual([1, "", expect.stringMatching(/\[USAGE_INVALID\]\n$/)]);
  });

  test("names the flags that exclude one another", async () => {
    const said = async (...flags: readonly string[]): Promise<string> =>
      (await runInProcess(["verify-blob-attestation", ...flags, "x"])).stderr;
    expect(await said("--owner", "a", "--repo", "a/b")).toContain("--owner and --repo exclude one another");
    const signer = ["--repo", "a/b", "--signer-repo", "a/c"];
    expect(await said(...signer, "--cert-identity", "x")).toContain("--signer-repo and --certificate-identity exclude");
    expect(await said(...signer, "--certificate-identity-regexp", "^x$")).toContain("-identity-regexp exclude");
  });

  test("takes the same said twice, and what says more", async () => {
    const bundle = realPath("a/attestation-v2-github.sigstore.json");
    const uri = "https://github.com/acme/app/.github/workflows/release.yml@refs/heads/main";
    for (const flags of [
      ["--certificate-source-repository-uri", "https://github.com/acme/app"],
      ["--certificate-build-signer-uri", uri],
      ["--predicate-type", "custom"],
      ["--deny-self-hosted-runners", "--runner-environment", "github-hosted"],
      ["--deny-self-hosted-runners=false"],
    ])
      expect((await verify(bundle, ...APP, ...flags)).status, flags.join(" ")).toBe(0);
    const { stderr } = await verify(bundle, ...APP, "--certificate-build-signer-uri", uri.replace("main", "other"));
    expect(stderr).toContain("[EXTENSION_MISMATCH]");
  });
});

describe("--trusted-root with a file of several roots, as gh attestation trusted-root prints it", () => {
  const root = JSON.parse(readFileSync(REAL.root, "utf8")) as Readonly<Record<string, unknown>>;
  const withoutLogs = { ...root, tlogs: [], ctlogs: [] };
  const other = JSON.parse(readFileSync(REAL.otherRoot, "utf8")) as unknown;
  const bundle = realPath("a/attestation-v2-github.sigstore.json");
  const ask = (roots: readonly unknown[], ...flags: readonly string[]): ReturnType<typeof runInProcess> => {
    const path = bundleFile("trusted_root.jsonl", roots.map((one) => `${JSON.stringify(one)}\n`).join(""));
    return runInProcess(["verify-blob-attestation", "--trusted-root", path, ...flags, REAL.artifact]);
  };
  const logged = ["--bundle", bundle, ...APP];
  const github = ["--profile", "github", "--bundle", bundle, ...APP];

  test("takes the one with logs, and with the profile for GitHub the one without", async () => {
    expect((await ask([withoutLogs, root], ...logged)).status).toBe(0);
    expect((await ask([root, withoutLogs], ...logged)).status).toBe(0);
    expect((await ask([other, withoutLogs], ...logged)).stderr).toContain("[TLOG_THRESHOLD_NOT_MET]");
    expect((await ask([root, withoutLogs], ...github)).status).toBe(0);
    const another = { ...(other as object), tlogs: [], ctlogs: [] };
    expect((await ask([root, another], ...github)).stderr).toContain("[TIMESTAMP_THRESHOLD_NOT_MET]");
  });

  test("joins none, and guesses none", async () => {
    for (const [roots, flags] of [
      [[root, other], logged],
      [[root, root], github],
      [[withoutLogs, withoutLogs], logged],
      [[withoutLogs, withoutLogs], github],
    ] as const) {
      const { status, stderr } = await ask(roots, ...flags);
      expect([status, stderr]).toEqual([1, expect.stringMatching(/file holds [02] of the .*\[USAGE_INVALID\]\n$/)]);
    }
    expect((await ask([root, { mediaType: "x" }], ...logged)).stderr).toContain("[TRUSTED_ROOT_MALFORMED]");
  });

  test("refuses a root with logs for GitHub's own", async () => {
    const { status, stderr } = await ask([root], ...github);
    expect([status, stderr]).toEqual([1, expect.stringMatching(/it lists transparency logs .*\[USAGE_INVALID\]\n$/)]);
  });
});

describe("verify-blob-attestation, of files with several attestations", () => {
  test.for<[string, (bundles: readonly unknown[]) => string]>([
    ["JSON Lines", (bundles) => lines(...bundles)],
    [
      "GitHub's answer",
      (all) => bundleFile("x.json", JSON.stringify({ attestations: all.map((bundle) => ({ bundle })) })),
    ],
    ["an array", (bundles) => bundleFile("x.json", JSON.stringify(bundles))],
  ])("takes a good one among others: %s", async ([, write]) => {
    const good = await verify(write([ofOtherInstance, ofAlice, signed]), ...APP);
    expect(good.status).toBe(0);
    expect(good.stderr).toMatch(/ of 3 attestations:\nVerified OK\n$/);
    const bad = await verify(write([ofOtherInstance, ofAlice]), ...APP);
    expect([bad.status, bad.stdout]).toEqual([1, ""]);
    expect(bad.stderr).toMatch(/none of 2 attestations proves it: .*\[ATTESTATION_NOT_ACCEPTED\]\n$/);
  });

  test("gives each its outcome as JSON, accepted and refused", async () => {
    const path = lines(ofOtherInstance, signed, { mediaType: "x" });
    const { status, stdout } = await verify(path, ...APP, "--output", "json");
    const result = JSON.parse(stdout) as { readonly attestations: readonly object[] };
    expect(status).toBe(0);
    expect(result).toMatchObject({
      verdict: "verified",
      signer: { identity: { extensions: { sourceRepositoryURI: "https://github.com/acme/app" } } },
      attestations: [
        { position: "line 2", evidence: { verdict: "verified" } },
        { position: "line 1", refusal: { verdict: "refused", error: { code: "TLOG_THRESHOLD_NOT_MET" } } },
        { position: "line 3", refusal: { error: { code: "BUNDLE_MEDIA_TYPE_UNSUPPORTED" } } },
      ],
    });
    const refused = await verify(lines(ofOtherInstance, ofAlice), ...APP, "--output", "json");
    expect(refused.status).toBe(1);
    expect(JSON.parse(refused.stdout)).toMatchObject({
      verdict: "refused",
      error: { code: "ATTESTATION_NOT_ACCEPTED" },
      attestations: [
        { position: "line 1", refusal: { error: { code: "TLOG_THRESHOLD_NOT_MET" } } },
        { position: "line 2", refusal: { error: { code: "IDENTITY_MISMATCH" } } },
      ],
    });
  });

  test("says nothing was found where a list is empty", async () => {
    const { status, stderr } = await verify(bundleFile("x.json", `{"attestations":[]}`), ...APP);
    expect([status, stderr]).toEqual([1, expect.stringMatching(/lists no attestation.*\[ATTESTATION_NOT_FOUND\]\n$/)]);
  });

  test("reads the artifact from standard input once for all", async () => {
    const args = ["verify-blob-attestation", "--bundle", lines(ofOtherInstance, signed), "--trusted-root", REAL.root];
    async function* stdin(): AsyncGenerator<Uint8Array> {
      yield await Promise.resolve(readFileSync(REAL.artifact));
    }
    const { status } = await runInProcess([...args, ...APP, "-"], { stdin: stdin() });
    expect(status).toBe(0);
  });

  test("takes no list for a signature over a file", async () => {
    const blob = realBundle("a/blob-v1-email");
    const args = [
      "verify-blob",
      "--bundle",
      lines(blob, blob),
      "--trusted-root",
      REAL.root,
      ...IDENTITY,
      REAL.artifact,
    ];
    expect((await runInProcess(args)).stderr).toContain("[BUNDLE_MALFORMED]");
  });
});

describe("verify-attestation, of GitHub's attestations about images", () => {
  const sandbox = makeSandbox();
  const PROVENANCE = "https://slsa.dev/provenance/v1";
  const WORKFLOW = "https://github.com/acme/app/.github/workflows/release.yml@refs/tags/v1";
  const fulcio = {
    9: WORKFLOW,
    10: "f".repeat(40),
    11: "self-hosted",
    12: "https://github.com/acme/app",
    13: "a".repeat(40),
    14: "refs/tags/v1",
    16: "https://github.com/acme",
  };

  test("compares the same, with the same flags", async () => {
    const world = openImages(sandbox);
    const image = await world.image("app", "v1");
    const issuer = "https://token.actions.githubusercontent.com";
    const statement = statementFor(image.digest, { predicateType: PROVENANCE });
    const signer = { request: { names: [uri(WORKFLOW)], issuer, fulcio } };
    await world.attachBundle(image, bundleFrom(sandbox, { statement, signer }).text);
    const root = bundleFile("root.json", rootText(sandbox));
    const ask = async (...flags: readonly string[]): Promise<readonly [number, string]> => {
      const args = ["verify-attestation", "--trusted-root", root, ...flags, `${HOST}/${REPOSITORY}:v1`];
      const { status, stderr } = await runInProcess(args, { fetch: world.fetch });
      return [status, /\[([A-Z_]+)\]\n$/.exec(stderr)?.[1] ?? ""];
    };
    const file = "acme/app/.github/workflows/release.yml";
    for (const flags of [
      ["--repo", "acme/app"],
      ["--owner", "acme"],
      ["--repo", "acme/app", "--signer-workflow", file, "--signer-digest", "f".repeat(40)],
      ["--repo", "acme/app", "--source-ref", "refs/tags/v1", "--source-digest", "a".repeat(40)],
      ["--repo", "acme/app", "--runner-environment", "self-hosted", "--predicate-type", PROVENANCE],
    ])
      expect(await ask(...flags), flags.join(" ")).toEqual([0, ""]);
    for (const flags of [
      ["--repo", "acme/ap"],
      ["--owner", "Acme"],
      ["--repo", "acme/app", "--signer-workflow", file.replace("release", "test")],
      ["--repo", "acme/app", "--signer-repo", "acme/other"],
      ["--repo", "acme/app", "--signer-digest", "a".repeat(40)],
      ["--repo", "acme/app", "--source-ref", "refs/heads/v1"],
      ["--repo", "acme/app", "--source-digest", "f".repeat(40)],
      ["--repo", "acme/app", "--deny-self-hosted-runners"],
      ["--repo", "acme/app", "--hostname", "acme.ghe.com"],
      ["--repo", "acme/app", "--cert-oidc-issuer", `${issuer}/acme`],
      ["--repo", "acme/app", "--predicate-type", "https://slsa.dev/provenance/v0.2"],
    ])
      expect(await ask(...flags), flags.join(" ")).toEqual([12, "ATTESTATION_NOT_ACCEPTED"]);
    expect(await ask("--repo", "acme/app", "--owner", "acme")).toEqual([1, "USAGE_INVALID"]);
    expect(await ask("--source-ref", "refs/tags/v1")).toEqual([1, "USAGE_INVALID"]);
  });
});

describe("bundle inspect, of files with several attestations", () => {
  test("shows each, whatever the form of the file", async () => {
    const answer = bundleFile("x.json", JSON.stringify({ attestations: [{ bundle: signed }, { bundle: ofAlice }] }));
    const { status, stdout } = await runInProcess(["bundle", "inspect", answer]);
    expect(status).toBe(0);
    expect(stdout).toBe((await runInProcess(["bundle", "inspect", lines(signed, ofAlice)])).stdout);
    expect(stdout.match(/^bundle: /gm)).toHaveLength(2);
  });

  test("says which cannot be read", async () => {
    const { status, stdout, stderr } = await runInProcess(["bundle", "inspect", lines(signed, {})]);
    expect([status, stdout, stderr]).toEqual([1, "", expect.stringMatching(/line 2: .*\[BUNDLE_MALFORMED\]\n$/)]);
  });
});
