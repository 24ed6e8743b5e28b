/**
 * What a certificate will say about the holder of an identity token, as far as that can be told beforehand.
 *
 * @module
 */

import type { JsonObject } from "../encoding/json.ts";
import type { FulcioExtensions } from "../x509/fulcio.ts";
import { claimOf, isEmailVerified, type IdentityToken } from "./identity-token.ts";

/** Foretells a certificate. The certificate authority decides: a private one may be configured differently. */
export interface ExpectedCertificate {
  /** Which kind of issuer it was taken for. */
  readonly kind: "github-workflow" | "gitlab-pipeline" | "buildkite-job" | "circleci-job" | "spiffe" | "email";
  readonly subjectAlternativeName: { readonly kind: "uri" | "email"; readonly value: string };
  /** The extensions that will be there, `issuer` among them. */
  readonly extensions: FulcioExtensions;
}

type Draft = { -readonly [Field in keyof FulcioExtensions]?: FulcioExtensions[Field] | undefined };

const GITHUB = /^https:\/\/token\.actions\.githubusercontent\.com(?:\/[^/]+)?$/;
const CIRCLECI = /^https:\/\/oidc\.circleci\.com(?:\/org\/[^/]+)?$/;
/** The issuer of Sigstore's own federation, whose tokens say which provider the person logged in to. */
const FEDERATION = "https://oauth2.sigstore.dev/auth";

/**
 * Foretells subject alternative name and extensions from the claims.
 *
 * @returns `undefined` where nothing is known about the issuer.
 * @see {@link https://github.com/sigstore/fulcio/blob/main/config/identity/config.yaml | Fulcio config/identity/config.yaml},
 * "ci-issuer-metadata"
 */
export function expectCertificate(token: IdentityToken): ExpectedCertificate | undefined {
  const expected = expectByIssuer(token);
  const subject = claimOf(token.claims, "sub");
  if (expected === undefined || typeof subject !== "string") return expected;
  return { ...expected, extensions: { ...expected.extensions, tokenSubject: subject } };
}

function expectByIssuer({ issuer, claims, subject }: IdentityToken): ExpectedCertificate | undefined {
  if (GITHUB.test(issuer)) return expectGitHub(claims, issuer);
  if (isGitLab(claims)) return expectGitLab(claims, issuer);
  if (issuer === "https://agent.buildkite.com") return expectBuildkite(claims, issuer);
  if (CIRCLECI.test(issuer)) return expectCircleCi(claims, issuer);
  if (subject.startsWith("spiffe://")) {
    return { kind: "spiffe", subjectAlternativeName: { kind: "uri", value: subject }, extensions: { issuer } };
  }
  if (isEmailVerified(claims) && claimOf(claims, "email") === subject) {
    const certified = issuer === FEDERATION ? (connectorOf(claims) ?? issuer) : issuer;
    return {
      kind: "email",
      subjectAlternativeName: { kind: "email", value: subject },
      extensions: { issuer: certified },
    };
  }
  return undefined;
}

function expectGitHub(claims: JsonObject, issuer: string): ExpectedCertificate | undefined {
  const { of, join } = readerOf(claims, "https://github.com");
  const name = join("job_workflow_ref");
  if (name === undefined) return undefined;
  const repository = join("repository");
  const run = of("run_id");
  const attempt = of("run_attempt");
  return {
    kind: "github-workflow",
    subjectAlternativeName: { kind: "uri", value: name },
    extensions: present({
      issuer,
      githubWorkflowTrigger: of("event_name"),
      githubWorkflowSHA: of("sha"),
      githubWorkflowName: of("workflow"),
      githubWorkflowRepository: of("repository"),
      githubWorkflowRef: of("ref"),
      buildSignerURI: name,
      buildSignerDigest: of("job_workflow_sha"),
      runnerEnvironment: of("runner_environment"),
      sourceRepositoryURI: repository,
      sourceRepositoryDigest: of("sha"),
      sourceRepositoryRef: of("ref"),
      sourceRepositoryIdentifier: of("repository_id"),
      sourceRepositoryOwnerURI: join("repository_owner"),
      sourceRepositoryOwnerIdentifier: of("repository_owner_id"),
      buildConfigURI: join("workflow_ref"),
      buildConfigDigest: of("workflow_sha"),
      buildTrigger: of("event_name"),
      runInvocationURI:
        repository === undefined || run === undefined || attempt === undefined
          ? undefined
          : `${repository}/actions/runs/${run}/attempts/${attempt}`,
      sourceRepositoryVisibilityAtSigning: of("repository_visibility"),
      deploymentEnvironment: of("environment"),
    }),
  };
}

/** Self-managed instances have issuers of their own, but the same claims. */
function isGitLab(claims: JsonObject): boolean {
  return ["ci_config_ref_uri", "project_path", "pipeline_source"].every(
    (name) => typeof claimOf(claims, name) === "string",
  );
}

function expectGitLab(claims: JsonObject, issuer: string): ExpectedCertificate {
  // Where projects of other instances are found stands in Fulcio's configuration, not in the token.
  const { of, join } = readerOf(claims, issuer === "https://gitlab.com" ? issuer : undefined);
  const config = `https://${of("ci_config_ref_uri")}`;
  const project = join("project_path");
  const ref = of("ref");
  const job = of("job_id");
  const kind = of("ref_type");
  return {
    kind: "gitlab-pipeline",
    subjectAlternativeName: { kind: "uri", value: config },
    extensions: present({
      issuer,
      buildSignerURI: config,
      buildSignerDigest: of("ci_config_sha"),
      runnerEnvironment: of("runner_environment"),
      sourceRepositoryURI: project,
      sourceRepositoryDigest: of("sha"),
      sourceRepositoryRef: ref === undefined ? undefined : `refs/${kind === "branch" ? "heads" : "tags"}/${ref}`,
      sourceRepositoryIdentifier: of("project_id"),
      sourceRepositoryOwnerURI: join("namespace_path"),
      sourceRepositoryOwnerIdentifier: of("namespace_id"),
      buildConfigURI: config,
      buildConfigDigest: of("ci_config_sha"),
      buildTrigger: of("pipeline_source"),
      runInvocationURI: project === undefined || job === undefined ? undefined : `${project}/-/jobs/${job}`,
      sourceRepositoryVisibilityAtSigning: of("project_visibility"),
      deploymentEnvironment: of("environment"),
    }),
  };
}

function expectBuildkite(claims: JsonObject, issuer: string): ExpectedCertificate | undefined {
  const { of } = readerOf(claims);
  const organization = of("organization_slug");
  const pipeline = of("pipeline_slug");
  if (organization === undefined || pipeline === undefined) return undefined;
  const name = `https://buildkite.com/${organization}/${pipeline}`;
  const build = of("build_number");
  const job = of("job_id");
  return {
    kind: "buildkite-job",
    subjectAlternativeName: { kind: "uri", value: name },
    extensions: present({
      issuer,
      runnerEnvironment: of("runner_environment"),
      sourceRepositoryDigest: of("build_commit"),
      buildTrigger: of("build_source"),
      runInvocationURI: build === undefined || job === undefined ? undefined : `${name}/builds/${build}#${job}`,
    }),
  };
}

function expectCircleCi(claims: JsonObject, issuer: string): ExpectedCertificate | undefined {
  const { of } = readerOf(claims);
  const project = of("oidc.circleci.com/project-id");
  const definition = of("oidc.circleci.com/pipeline-definition-id");
  if (project === undefined || definition === undefined) return undefined;
  const name = `https://circleci.com/api/v2/projects/${project}/pipeline-definitions/${definition}`;
  return {
    kind: "circleci-job",
    subjectAlternativeName: { kind: "uri", value: name },
    extensions: present({
      issuer,
      buildSignerURI: name,
      sourceRepositoryURI: of("oidc.circleci.com/vcs-origin"),
      sourceRepositoryRef: of("oidc.circleci.com/vcs-ref"),
    }),
  };
}

/** Reads claims the way Fulcio's templates do: text and numbers, empty text as none. */
function readerOf(
  claims: JsonObject,
  base?: string,
): {
  readonly of: (name: string) => string | undefined;
  readonly join: (name: string) => string | undefined;
} {
  const of = (name: string): string | undefined => {
    const value = claimOf(claims, name);
    if (typeof value === "number") return String(value);
    return typeof value === "string" && value !== "" ? value : undefined;
  };
  return {
    of,
    join(name) {
      const value = of(name);
      return value === undefined || base === undefined ? undefined : `${base}/${value}`;
    },
  };
}

function present(draft: Draft): FulcioExtensions {
  return Object.fromEntries(Object.entries(draft).filter(([, value]) => value !== undefined));
}

function connectorOf(claims: JsonObject): string | undefined {
  const federated = claimOf(claims, "federated_claims");
  if (typeof federated !== "object" || federated === null || Array.isArray(federated)) return undefined;
  const connector = claimOf(federated as JsonObject, "connector_id");
  return typeof connector === "string" && connector !== "" ? connector : undefined;
}
