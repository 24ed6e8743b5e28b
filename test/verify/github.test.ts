import { describe, expect, test } from "vitest";
import { githubIdentity, type GithubExpectation } from "../../src/verify/github.ts";
import type { VerifyPolicy } from "../../src/verify/options.ts";
import { askEverywhere, type Outcome } from "../support/doors.ts";
import { bundleFrom, makeSandbox, rootText, statementAbout, ARTIFACT } from "../support/sandbox/sandbox.ts";
import { uri } from "../support/certificates.ts";

const sandbox = makeSandbox();
const COMMIT = "0123456789abcdef0123456789abcdef01234567";
const WORKFLOW_COMMIT = "f".repeat(40);
const ISSUER = "https://token.actions.githubusercontent.com";
const PROVENANCE = "https://slsa.dev/provenance/v1";

/** What a certificate says, where a test says nothing else. Numbers are those of Fulcio's extensions. */
const CERTIFICATE = {
  workflow: "https://github.com/acme/app/.github/workflows/release.yml@refs/tags/v1",
  issuer: ISSUER,
  10: WORKFLOW_COMMIT,
  11: "github-hosted",
  12: "https://github.com/acme/app",
  13: COMMIT,
  14: "refs/tags/v1",
  16: "https://github.com/acme",
};
type Certificate = Partial<typeof CERTIFICATE> & { readonly 9?: string };

const ask = async (
  expected: GithubExpectation,
  flags: readonly string[],
  certificate: Certificate = {},
): Promise<Outcome> => {
  const { workflow, issuer, ...fulcio } = {
    9: certificate.workflow ?? CERTIFICATE.workflow,
    ...CERTIFICATE,
    ...certificate,
  };
  const statement = { ...(statementAbout(ARTIFACT) as object), predicateType: PROVENANCE };
  const { text, artifact } = bundleFrom(sandbox, {
    statement: JSON.stringify(statement),
    signer: { request: { names: [uri(workflow)], issuer, fulcio } },
  });
  const policy: VerifyPolicy = { identity: githubIdentity(expected), predicateType: PROVENANCE };
  const outcomes = await askEverywhere({
    bundle: text,
    artifact,
    root: rootText(sandbox),
    policy,
    flags,
    command: "verify-blob-attestation",
  });
  const distinct = new Set(Object.values(outcomes));
  expect(distinct.size, JSON.stringify(outcomes)).toBe(1);
  return [...distinct][0] as Outcome;
};

const APP = { repository: "acme/app" } as const;
const REUSED = "https://github.com/acme/shared/.github/workflows/build.yml@refs/heads/main";

describe("githubIdentity, through the library and the program", () => {
  test.for<[string, GithubExpectation, readonly string[], Certificate, Outcome]>([
    ["the repository", APP, ["--repo", "acme/app"], {}, "EXTENSION_MISMATCH"],
    ["the owner", { owner: "acme" }, ["--owner", "acme"], {}, "EXTENSION_MISMATCH"],
    [
      "the signer workflow",
      { ...APP, signerWorkflow: "acme/app/.github/workflows/release.yml" },
      ["--repo", "acme/app", "--signer-workflow", "acme/app/.github/workflows/release.yml"],
      { workflow: "https://github.com/acme/app/.github/workflows/test.yml@refs/tags/v1" },
      "IDENTITY_MISMATCH",
    ],
    [
      "the ref of the signer workflow",
      { ...APP, signerWorkflow: "github.com/acme/app/.github/workflows/release.yml@refs/tags/v1" },
      ["--repo", "acme/app", "--signer-workflow", "github.com/acme/app/.github/workflows/release.yml@refs/tags/v1"],
      { workflow: "https://github.com/acme/app/.github/workflows/release.yml@refs/tags/v1.1" },
      "IDENTITY_MISMATCH",
    ],
    [
      "the source ref",
      { ...APP, sourceRef: "refs/tags/v1" },
      ["--repo", "acme/app", "--source-ref", "refs/tags/v1"],
      { 14: "refs/heads/v1" },
      "EXTENSION_MISMATCH",
    ],
    [
      "the source digest",
      { ...APP, sourceDigest: COMMIT },
      ["--repo", "acme/app", "--source-digest", COMMIT],
      { 13: WORKFLOW_COMMIT },
      "EXTENSION_MISMATCH",
    ],
    [
      "the signer digest",
      { ...APP, signerDigest: WORKFLOW_COMMIT },
      ["--repo", "acme/app", "--signer-digest", WORKFLOW_COMMIT],
      { 10: COMMIT },
      "EXTENSION_MISMATCH",
    ],
    [
      "the runner environment",
      { ...APP, runnerEnvironment: "github-hosted" },
      ["--repo", "acme/app", "--runner-environment", "github-hosted"],
      { 11: "self-hosted" },
      "EXTENSION_MISMATCH",
    ],
    [
      "the runner environment, as gh says it",
      { ...APP, runnerEnvironment: "github-hosted" },
      ["--repo", "acme/app", "--deny-self-hosted-runners"],
      { 11: "self-hosted" },
      "EXTENSION_MISMATCH",
    ],
    ["the issuer", APP, ["--repo", "acme/app"], { issuer: `${ISSUER}/acme` }, "ISSUER_MISMATCH"],
    ["the build signer URI beside the name", APP, ["--repo", "acme/app"], { 9: REUSED }, "EXTENSION_MISMATCH"],
  ])("compares %s", async ([what, expected, flags, other, outcome]) => {
    const otherRepository = { 12: "https://github.com/acme/other" };
    const otherOwner = { 16: "https://github.com/other" };
    const wrong = what === "the repository" ? otherRepository : what === "the owner" ? otherOwner : other;
    expect(await ask(expected, flags)).toBe("accepted");
    expect(await ask(expected, flags, wrong)).toBe(outcome);
  });

  test.for<[string, Certificate]>([
    ["a longer name", { 12: "https://github.com/acme/app-evil" }],
    ["a shorter name", { 12: "https://github.com/acme/ap" }],
    ["another case", { 12: "https://github.com/Acme/App" }],
    ["a slash at the end", { 12: "https://github.com/acme/app/" }],
    ["another scheme", { 12: "http://github.com/acme/app" }],
    ["another host", { 12: "https://github.com.evil.example/acme/app" }],
    ["a longer owner", { 16: "https://github.com/acme-evil" }],
    ["an owner in another case", { 16: "https://github.com/ACME" }],
  ])("refuses %s of what was built", async ([, certificate]) => {
    expect(await ask(APP, ["--repo", "acme/app"], certificate)).toBe("EXTENSION_MISMATCH");
  });

  const workflow = (path: string): string => `https://github.com/${path}`;
  test.for<[string, GithubExpectation, readonly string[], string]>([
    [
      "of a repository with a longer name",
      APP,
      ["--repo", "acme/app"],
      "acme/app-evil/.github/workflows/release.yml@refs/tags/v1",
    ],
    ["in another case", APP, ["--repo", "acme/app"], "Acme/App/.github/workflows/release.yml@refs/tags/v1"],
    ["without a path", APP, ["--repo", "acme/app"], "acme/app/@refs/tags/v1"],
    ["without a ref", APP, ["--repo", "acme/app"], "acme/app/.github/workflows/release.yml"],
    ["with a ref that is none", APP, ["--repo", "acme/app"], "acme/app/.github/workflows/release.yml@v1"],
    [
      "of an owner with a longer name",
      { owner: "acme" },
      ["--owner", "acme"],
      "acme-evil/app/.github/workflows/release.yml@refs/tags/v1",
    ],
    ["of an owner without a repository", { owner: "acme" }, ["--owner", "acme"], "acme/@refs/tags/v1"],
  ])("refuses a workflow %s", async ([, expected, flags, path]) => {
    expect(await ask(expected, flags, { workflow: workflow(path) })).toBe("IDENTITY_MISMATCH");
  });

  test.for([
    ["a longer file name", "release.yml-evil.yml@refs/tags/v1"],
    ["a file name that goes on behind an @", "release.yml@evil.yml@refs/tags/v1"],
    ["a dot that is another letter", "releasexyml@refs/tags/v1"],
    ["another case", "Release.yml@refs/tags/v1"],
    ["another sign before the ref", "release.yml/refs/tags/v1"],
    ["no ref", "release.yml"],
  ] as const)("refuses %s where a workflow is asked for at any ref", async ([, file]) => {
    const name = "acme/app/.github/workflows/release.yml";
    const wrong = { workflow: workflow(`acme/app/.github/workflows/${file}`) };
    const expected = { ...APP, signerWorkflow: name };
    expect(await ask(expected, ["--repo", "acme/app", "--signer-workflow", name], wrong)).toBe("IDENTITY_MISMATCH");
  });

  test("takes a workflow at any ref, a commit too, and no branch that is named after a ref", async () => {
    const name = "acme/app/.github/workflows/release.yml";
    const flags = ["--repo", "acme/app", "--signer-workflow"];
    for (const ref of ["refs/heads/main", "refs/tags/pkg@1.2.3", COMMIT])
      expect(
        await ask({ ...APP, signerWorkflow: name }, [...flags, name], { workflow: workflow(`${name}@${ref}`) }),
      ).toBe("accepted");
    const pinned = `${name}@refs/heads/main`;
    const attacker = { workflow: workflow(`${pinned}@refs/heads/attacker`) };
    expect(await ask({ ...APP, signerWorkflow: pinned }, [...flags, pinned], attacker)).toBe("IDENTITY_MISMATCH");
  });

  test("takes a reusable workflow of another repository where that is named, and only there", async () => {
    const certificate = { workflow: REUSED };
    expect(await ask(APP, ["--repo", "acme/app"], certificate)).toBe("IDENTITY_MISMATCH");
    expect(await ask({ owner: "acme" }, ["--owner", "acme"], certificate)).toBe("accepted");
    const flags = ["--repo", "acme/app", "--signer-repo"];
    expect(await ask({ ...APP, signerRepository: "acme/shared" }, [...flags, "acme/shared"], certificate)).toBe(
      "accepted",
    );
    expect(await ask({ ...APP, signerRepository: "acme/share" }, [...flags, "acme/share"], certificate)).toBe(
      "IDENTITY_MISMATCH",
    );
    const name = "acme/shared/.github/workflows/build.yml";
    expect(
      await ask({ ...APP, signerWorkflow: name }, ["--repo", "acme/app", "--signer-workflow", name], certificate),
    ).toBe("accepted");
  });

  test("takes the name and the issuer from the caller where they are given, exactly", async () => {
    const given = { subjectAlternativeName: REUSED, issuer: `${ISSUER}/acme` };
    const flags = ["--repo", "acme/app", "--cert-identity", REUSED, "--cert-oidc-issuer", `${ISSUER}/acme`];
    const certificate = { workflow: REUSED, issuer: `${ISSUER}/acme` };
    expect(await ask({ ...APP, ...given }, flags, certificate)).toBe("accepted");
    expect(await ask({ ...APP, ...given }, flags, { ...certificate, issuer: ISSUER })).toBe("ISSUER_MISMATCH");
    expect(await ask({ ...APP, ...given }, flags, { issuer: `${ISSUER}/acme` })).toBe("IDENTITY_MISMATCH");
    expect(await ask({ ...APP, ...given }, flags, { ...certificate, 12: "https://github.com/acme/b" })).toBe(
      "EXTENSION_MISMATCH",
    );
  });

  test("knows the hosts of tenants, and their issuer", async () => {
    const certificate = {
      workflow: "https://acme.ghe.com/acme/app/.github/workflows/release.yml@refs/tags/v1",
      issuer: "https://token.actions.acme.ghe.com",
      12: "https://acme.ghe.com/acme/app",
      16: "https://acme.ghe.com/acme",
    };
    const flags = ["--repo", "acme/app", "--hostname", "acme.ghe.com"];
    expect(await ask({ ...APP, host: "acme.ghe.com" }, flags, certificate)).toBe("accepted");
    expect(await ask({ ...APP, host: "acme.ghe.com" }, flags)).toBe("IDENTITY_MISMATCH");
    expect(await ask({ ...APP, host: "acme.ghe.com" }, flags, { ...certificate, issuer: ISSUER })).toBe(
      "ISSUER_MISMATCH",
    );
  });
});

describe("githubIdentity", () => {
  test("is what gh attestation verify enforces, without its patterns", () => {
    const identity = githubIdentity({
      ...APP,
      signerWorkflow: "acme/app/.github/workflows/release.yaml@refs/heads/main",
      sourceRef: "refs/heads/main",
      sourceDigest: COMMIT,
      signerDigest: WORKFLOW_COMMIT,
      runnerEnvironment: "self-hosted",
    });
    const uri_ = "https://github.com/acme/app/.github/workflows/release.yaml@refs/heads/main";
    expect(identity).toEqual({
      subjectAlternativeName: uri_,
      issuer: ISSUER,
      extensions: {
        buildSignerURI: uri_,
        buildSignerDigest: WORKFLOW_COMMIT,
        runnerEnvironment: "self-hosted",
        sourceRepositoryURI: "https://github.com/acme/app",
        sourceRepositoryDigest: COMMIT,
        sourceRepositoryRef: "refs/heads/main",
        sourceRepositoryOwnerURI: "https://github.com/acme",
      },
    });
  });

  test.for<[string, object]>([
    ["nothing", {}],
    ["an owner and a repository", { owner: "acme", repository: "acme/app" }],
    ["an empty owner", { owner: "" }],
    ["an owner with a repository", { owner: "acme/app" }],
    ["an owner that is a pattern", { owner: "acme.*|evil" }],
    ["a repository without an owner", { repository: "app" }],
    ["a repository with an empty name", { repository: "acme/" }],
    ["a repository with a slash at the end", { repository: "acme/app/" }],
    ["a repository with a host", { repository: "github.com/acme/app" }],
    ["a repository as an address", { repository: "https://github.com/acme/app" }],
    ["a repository that is a folder above", { repository: "acme/.." }],
    ["a repository with an end of line", { repository: "acme/app\n" }],
    ["a ref that is not whole", { ...APP, sourceRef: "main" }],
    ["a commit that is not whole", { ...APP, sourceDigest: COMMIT.slice(0, 12) }],
    ["a commit in upper case", { ...APP, signerDigest: COMMIT.toUpperCase() }],
    ["a commit with its algorithm", { ...APP, sourceDigest: `sha1:${COMMIT}` }],
    ["a workflow without a repository", { ...APP, signerWorkflow: ".github/workflows/release.yml" }],
    ["a workflow in another folder", { ...APP, signerWorkflow: "acme/app/workflows/release.yml" }],
    ["a workflow that is no YAML", { ...APP, signerWorkflow: "acme/app/.github/workflows/release" }],
    ["a workflow with a scheme", { ...APP, signerWorkflow: "https://github.com/acme/app/.github/workflows/a.yml" }],
    ["a workflow at a ref that is not whole", { ...APP, signerWorkflow: "acme/app/.github/workflows/a.yml@main" }],
    ["a workflow with an empty ref", { ...APP, signerWorkflow: "acme/app/.github/workflows/a.yml@" }],
    ["a workflow on another host", { ...APP, signerWorkflow: "ghe.example/acme/app/.github/workflows/a.yml" }],
    ["two signers", { ...APP, signerRepository: "acme/b", signerWorkflow: "acme/app/.github/workflows/a.yml" }],
    ["a signer and a name", { ...APP, signerRepository: "acme/b", subjectAlternativeName: REUSED }],
    ["a runner that is none", { ...APP, runnerEnvironment: "GitHub-hosted" }],
    ["a host with a scheme", { ...APP, host: "https://github.com" }],
    ["a host whose issuer is not known", { ...APP, host: "github.example.com" }],
    ["a host below that of a tenant", { ...APP, host: "a.b.ghe.com" }],
    ["a field that is misspelled", { ...APP, sourceREF: "refs/heads/main" }],
  ])("refuses %s", ([, expectation]) => {
    expect(() => githubIdentity(expectation as GithubExpectation)).toThrow(
      expect.objectContaining({ code: "USAGE_INVALID" }),
    );
  });

  test("takes a host of one's own with its issuer", () => {
    const identity = githubIdentity({
      ...APP,
      host: "github.example.com",
      issuer: "https://github.example.com/_services/token",
    });
    expect(identity.extensions?.sourceRepositoryURI).toBe("https://github.example.com/acme/app");
  });
});
