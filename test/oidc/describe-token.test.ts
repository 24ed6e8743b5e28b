import { describe, expect, test } from "vitest";
import { describeIdentityToken } from "../../src/oidc/describe-token.ts";
import { expectCertificate } from "../../src/oidc/expected-certificate.ts";
import { parseIdentityToken, type IdentityToken } from "../../src/oidc/identity-token.ts";
import { EMAIL_CLAIMS, GITHUB_CLAIMS, makeToken, NOW } from "./tokens.ts";

const tokenOf = (claims: object): IdentityToken => parseIdentityToken(makeToken(claims));
const GITLAB_CLAIMS = {
  iss: "https://gitlab.com",
  sub: "project_path:mygroup/myproject:ref_type:branch:ref:feature-branch-1",
  aud: "sigstore",
  exp: NOW.getTime() / 1000 + 300,
  namespace_id: "72",
  namespace_path: "mygroup",
  project_id: "20",
  project_path: "mygroup/myproject",
  pipeline_id: "574",
  pipeline_source: "push",
  job_id: "302",
  ref: "feature-branch-1",
  ref_type: "branch",
  runner_id: 1,
  runner_environment: "gitlab-hosted",
  sha: "714a629c0b401fdce83e847fc9589983fc6f46bc",
  project_visibility: "public",
  ci_config_ref_uri: "gitlab.com/mygroup/myproject//.gitlab-ci.yml@refs/heads/feature-branch-1",
  ci_config_sha: "714a629c0b401fdce83e847fc9589983fc6f46bc",
};

describe("expectCertificate (Fulcio config/identity/config.yaml, docs/oid-info.md)", () => {
  test("foretells the certificate of a job of GitHub Actions, with a reusable workflow", () => {
    expect(expectCertificate(tokenOf(GITHUB_CLAIMS))).toEqual({
      kind: "github-workflow",
      subjectAlternativeName: {
        kind: "uri",
        value: "https://github.com/octo-org/octo-automation/.github/workflows/oidc.yml@refs/heads/main",
      },
      extensions: {
        issuer: "https://token.actions.githubusercontent.com",
        githubWorkflowTrigger: "workflow_dispatch",
        githubWorkflowSHA: "f1e2d3c4b5a6978877665544332211ffeeddccbb",
        githubWorkflowName: "example-workflow",
        githubWorkflowRepository: "octo-org/octo-repo",
        githubWorkflowRef: "refs/heads/main",
        buildSignerURI: "https://github.com/octo-org/octo-automation/.github/workflows/oidc.yml@refs/heads/main",
        buildSignerDigest: "00112233445566778899aabbccddeeff00112233",
        runnerEnvironment: "github-hosted",
        sourceRepositoryURI: "https://github.com/octo-org/octo-repo",
        sourceRepositoryDigest: "f1e2d3c4b5a6978877665544332211ffeeddccbb",
        sourceRepositoryRef: "refs/heads/main",
        sourceRepositoryIdentifier: "74",
        sourceRepositoryOwnerURI: "https://github.com/octo-org",
        sourceRepositoryOwnerIdentifier: "65",
        buildConfigURI: "https://github.com/octo-org/octo-repo/.github/workflows/release.yml@refs/heads/main",
        buildConfigDigest: "f1e2d3c4b5a6978877665544332211ffeeddccbb",
        buildTrigger: "workflow_dispatch",
        runInvocationURI: "https://github.com/octo-org/octo-repo/actions/runs/5000000001/attempts/2",
        sourceRepositoryVisibilityAtSigning: "public",
        deploymentEnvironment: "prod",
        tokenSubject: "repo:octo-org/octo-repo:environment:prod",
      },
    });
  });

  test("foretells the certificate of a GitLab pipeline", () => {
    const config = "https://gitlab.com/mygroup/myproject//.gitlab-ci.yml@refs/heads/feature-branch-1";
    expect(expectCertificate(tokenOf(GITLAB_CLAIMS))).toEqual({
      kind: "gitlab-pipeline",
      subjectAlternativeName: { kind: "uri", value: config },
      extensions: {
        issuer: "https://gitlab.com",
        buildSignerURI: config,
        buildSignerDigest: "714a629c0b401fdce83e847fc9589983fc6f46bc",
        runnerEnvironment: "gitlab-hosted",
        sourceRepositoryURI: "https://gitlab.com/mygroup/myproject",
        sourceRepositoryDigest: "714a629c0b401fdce83e847fc9589983fc6f46bc",
        sourceRepositoryRef: "refs/heads/feature-branch-1",
        sourceRepositoryIdentifier: "20",
        sourceRepositoryOwnerURI: "https://gitlab.com/mygroup",
        sourceRepositoryOwnerIdentifier: "72",
        buildConfigURI: config,
        buildConfigDigest: "714a629c0b401fdce83e847fc9589983fc6f46bc",
        buildTrigger: "push",
        runInvocationURI: "https://gitlab.com/mygroup/myproject/-/jobs/302",
        sourceRepositoryVisibilityAtSigning: "public",
        tokenSubject: "project_path:mygroup/myproject:ref_type:branch:ref:feature-branch-1",
      },
    });
  });

  test("does not guess where the projects of another GitLab instance are found", () => {
    const { extensions } = expectCertificate(tokenOf({ ...GITLAB_CLAIMS, iss: "https://gitlab.example.com" })) ?? {};
    expect(extensions).toMatchObject({ sourceRepositoryIdentifier: "20", buildTrigger: "push" });
    expect(extensions).not.toHaveProperty("sourceRepositoryURI");
    expect(extensions).not.toHaveProperty("runInvocationURI");
  });

  test("calls the ref of a tag one", () => {
    const token = tokenOf({ ...GITLAB_CLAIMS, ref_type: "tag", ref: "v1" });
    expect(expectCertificate(token)?.extensions.sourceRepositoryRef).toBe("refs/tags/v1");
  });

  test.for([
    [
      "Buildkite",
      {
        iss: "https://agent.buildkite.com",
        organization_slug: "acme",
        pipeline_slug: "app",
        build_number: 9,
        job_id: "j",
        build_commit: "abc",
      },
      "https://buildkite.com/acme/app",
      { runInvocationURI: "https://buildkite.com/acme/app/builds/9#j", sourceRepositoryDigest: "abc" },
    ],
    [
      "CircleCI",
      {
        iss: "https://oidc.circleci.com/org/o",
        "oidc.circleci.com/project-id": "p",
        "oidc.circleci.com/pipeline-definition-id": "d",
      },
      "https://circleci.com/api/v2/projects/p/pipeline-definitions/d",
      { buildSignerURI: "https://circleci.com/api/v2/projects/p/pipeline-definitions/d" },
    ],
    ["SPIFFE", { sub: "spiffe://example.org/app", email: undefined }, "spiffe://example.org/app", {}],
    ["a person", {}, "alice@example.com", { issuer: "https://issuer.test", tokenSubject: EMAIL_CLAIMS.sub }],
    [
      "a person behind Sigstore's federation",
      {
        iss: "https://oauth2.sigstore.dev/auth",
        federated_claims: { connector_id: "https://accounts.google.com", user_id: "1" },
      },
      "alice@example.com",
      { issuer: "https://accounts.google.com" },
    ],
  ] as const)("foretells the name of %s", ([, claims, name, extensions]) => {
    expect(expectCertificate(tokenOf({ ...EMAIL_CLAIMS, ...claims }))).toMatchObject({
      subjectAlternativeName: { value: name },
      extensions,
    });
  });

  test.for([
    ["an issuer it does not know", { email: undefined }],
    ["GitHub without a workflow", { iss: "https://token.actions.githubusercontent.com" }],
    ["an address that is not verified", { email_verified: false }],
  ] as const)("foretells nothing for %s", ([, claims]) => {
    expect(expectCertificate(tokenOf({ ...EMAIL_CLAIMS, ...claims }))).toBeUndefined();
  });

  test("takes an issuer that only begins like GitHub's for a stranger", () => {
    const token = tokenOf({ ...GITHUB_CLAIMS, iss: "https://token.actions.githubusercontent.com.evil.test" });
    expect(expectCertificate(token)).toBeUndefined();
  });
});

describe("describeIdentityToken", () => {
  test("lists each claim, times in words, and what the certificate will say", () => {
    const description = describeIdentityToken(tokenOf(GITHUB_CLAIMS));
    expect(description.claims).toHaveLength(Object.keys(GITHUB_CLAIMS).length);
    expect(description.claims).toContainEqual({
      label: "exp",
      value: `${GITHUB_CLAIMS.exp} (2026-03-01T12:05:00.000Z)`,
    });
    expect(description.certificateRows[0]).toEqual({
      label: "Subject Alternative Name (URI)",
      value: "https://github.com/octo-org/octo-automation/.github/workflows/oidc.yml@refs/heads/main",
    });
    expect(description.certificateRows).toContainEqual({
      label: "Runner Environment (1.3.6.1.4.1.57264.1.11)",
      value: "github-hosted",
    });
  });

  test("holds neither the token nor any part of it, nor what ties it to a login", () => {
    const token = tokenOf({ ...EMAIL_CLAIMS, nonce: "the-nonce", jti: "the-id", at_hash: "the-hash" });
    const description = JSON.stringify(describeIdentityToken(token));
    for (const part of [token.raw, ...token.raw.split("."), "the-nonce", "the-id", "the-hash"])
      expect(description).not.toContain(part);
  });

  test("is safe to print", () => {
    const evil = "\u001b[2J\u202Eevil";
    const description = describeIdentityToken(
      tokenOf({ ...EMAIL_CLAIMS, email: `${evil}@x.test`, [evil]: { deep: [evil] } }),
    );
    for (const { label, value } of [...description.claims, ...description.certificateRows])
      expect(`${label}${value}`).toMatch(/^[\u0020-\u007e]*$/);
    expect(description.subject).toBe(String.raw`\u001b[2J\u202eevil@x.test`);
  });
});
