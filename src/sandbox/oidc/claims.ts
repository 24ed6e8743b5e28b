/** Is a kind of identity that the sandbox issues tokens for. */
export type IdentityKind = "email" | "github" | "gitlab";

/** Is a claim of a token, as far as the sandbox writes any. */
export type Claim = string | number | boolean;

/** The commit that all of a workflow's or pipeline's claims are about. */
const GITHUB_SHA = "a".repeat(40);
const GITLAB_SHA = "b".repeat(40);

/**
 * What stands in a token of each kind unless it is replaced. The two of builds make Fulcio write all the extensions it has for
 * them.
 *
 * @see {@link https://github.com/sigstore/fulcio/blob/main/docs/oidc.md | Fulcio docs/oidc.md}, "OIDC token requirements"
 */
export const DEFAULT_CLAIMS: Readonly<Record<IdentityKind, Readonly<Record<string, Claim>>>> = {
  email: { email: "dev@example.com", email_verified: true },
  github: {
    sub: "repo:acme/app:ref:refs/heads/main",
    repository: "acme/app",
    repository_owner: "acme",
    repository_id: "1001",
    repository_owner_id: "2002",
    repository_visibility: "public",
    ref: "refs/heads/main",
    sha: GITHUB_SHA,
    event_name: "push",
    workflow: "release",
    workflow_ref: "acme/app/.github/workflows/release.yml@refs/heads/main",
    workflow_sha: GITHUB_SHA,
    job_workflow_ref: "acme/app/.github/workflows/release.yml@refs/heads/main",
    job_workflow_sha: GITHUB_SHA,
    runner_environment: "github-hosted",
    run_id: "42",
    run_attempt: "1",
  },
  gitlab: {
    sub: "project_path:acme/app:ref_type:branch:ref:main",
    project_path: "acme/app",
    project_id: "7",
    project_visibility: "public",
    namespace_path: "acme",
    namespace_id: "8",
    pipeline_source: "push",
    pipeline_id: "9",
    job_id: "10",
    ref: "main",
    ref_type: "branch",
    ref_path: "refs/heads/main",
    ref_protected: "true",
    sha: GITLAB_SHA,
    ci_config_ref_uri: "gitlab.com/acme/app//.gitlab-ci.yml@refs/heads/main",
    ci_config_sha: GITLAB_SHA,
    runner_id: 11,
    runner_environment: "gitlab-hosted",
    user_login: "dev",
    user_email: "dev@example.com",
  },
};

/** Claims that are numbers wherever they stand. */
const NUMERIC: ReadonlySet<string> = new Set(["iat", "exp", "nbf", "auth_time"]);

/**
 * Makes the claims of a token.
 *
 * @param chosen - What the caller asked for. Text becomes a number where the claim is one; all other text stays text, `"false"` too.
 * @returns `undefined` when text that must be a number is none.
 */
export function claimsFor(
  kind: IdentityKind,
  token: { readonly issuer: string; readonly audience: string; readonly now: Date; readonly lifetimeSeconds: number },
  chosen: Readonly<Record<string, Claim>>,
): Readonly<Record<string, Claim>> | undefined {
  const issuedAt = Math.floor(token.now.getTime() / 1000);
  const claims: Record<string, Claim> = {
    iss: token.issuer,
    aud: token.audience,
    iat: issuedAt,
    exp: issuedAt + token.lifetimeSeconds,
    ...DEFAULT_CLAIMS[kind],
  };
  for (const [name, value] of Object.entries(chosen)) {
    const numeric = NUMERIC.has(name) || typeof claims[name] === "number";
    const claim = numeric ? Number(value) : value;
    if (typeof claim === "number" && (value === "" || !Number.isFinite(claim))) return undefined;
    Object.defineProperty(claims, name, { value: claim, enumerable: true, configurable: true, writable: true });
  }
  if (claims["sub"] === undefined && claims["email"] !== undefined) claims["sub"] = claims["email"];
  return claims;
}
