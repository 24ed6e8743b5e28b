import type { FulcioExtensions } from "../../x509/fulcio.ts";
import { isEmailAddress } from "../email-address.ts";
import { joinUrl, normalizeUrl, schemeAndHost, UrlRefusal } from "./go-url.ts";
import { textClaim, TokenRefusal, type CertifiedIssuer, type VerifiedToken } from "./identity-token.ts";

/** Is who a certificate is for. */
export interface Principal {
  /** What the client signs to prove that it has the private key: the e-mail address, or the subject of the token. */
  readonly challenge: string;
  /**
   * Gives what stands in the certificate.
   *
   * @throws {@link UrlRefusal} where a claim makes no URL.
   */
  certify(): CertifiedIdentity;
}

/** Is what a certificate says about its subject. */
export interface CertifiedIdentity {
  readonly subjectAlternativeName: { readonly kind: "email" | "uri"; readonly value: string };
  /** Fields that are empty are left out of the certificate. */
  readonly extensions: FulcioExtensions;
}

/**
 * Reads from a token who it is about.
 *
 * @throws {@link TokenRefusal} where a claim is missing or wrong.
 * @see {@link https://github.com/sigstore/fulcio/blob/main/docs/oidc.md | Fulcio docs/oidc.md}
 */
export function principalOf(token: VerifiedToken, issuer: CertifiedIssuer): Principal {
  switch (issuer.type) {
    case "email":
      return emailPrincipal(token, issuer);
    case "github-workflow":
      return githubPrincipal(token);
    case "gitlab-pipeline":
      return gitlabPrincipal(token);
    case "uri":
      return uriPrincipal(token, issuer);
  }
}

function emailPrincipal(token: VerifiedToken, issuer: CertifiedIssuer): Principal {
  const address = required(token, "email");
  const verified = isVerified(token.claims["email_verified"]);
  if (issuer.skipEmailVerification !== true && !verified) throw new TokenRefusal("email_verified claim was false");
  if (!isEmailAddress(address)) throw new TokenRefusal("email address is not valid");
  const certifiedIssuer = issuer.issuerClaim === undefined ? token.issuer : claimAt(token.claims, issuer.issuerClaim);
  return {
    challenge: address,
    certify: () => ({
      subjectAlternativeName: { kind: "email", value: address },
      extensions: { issuer: certifiedIssuer, tokenSubject: token.subject },
    }),
  };
}

/** Providers write it as a boolean, as text, and as Python does. */
function isVerified(value: unknown): boolean {
  if (value === undefined) return false;
  if (value === true || value === "true" || value === "True") return true;
  if (value === false || value === "false" || value === "False") return false;
  throw new TokenRefusal("invalid value for boolean");
}

function claimAt(claims: Readonly<Record<string, unknown>>, path: string): string {
  let value: unknown = claims;
  for (const name of path.replace(/^\$\./, "").split(".")) {
    if (typeof value !== "object" || value === null || !Object.hasOwn(value, name))
      throw new TokenRefusal(`unknown key ${name}`);
    value = (value as Readonly<Record<string, unknown>>)[name];
  }
  if (typeof value !== "string") throw new TokenRefusal(`claim at ${path} is not text`);
  return value;
}

function githubPrincipal(token: VerifiedToken): Principal {
  const claim = (name: string): string => required(token, name);
  const jobWorkflowRef = claim("job_workflow_ref");
  const sha = claim("sha");
  const eventName = claim("event_name");
  const repository = claim("repository");
  const workflow = claim("workflow");
  const ref = claim("ref");
  const jobWorkflowSha = claim("job_workflow_sha");
  const runnerEnvironment = claim("runner_environment");
  const repositoryId = claim("repository_id");
  const repositoryOwner = claim("repository_owner");
  const repositoryOwnerId = claim("repository_owner_id");
  const repositoryVisibility = claim("repository_visibility");
  const workflowRef = claim("workflow_ref");
  const workflowSha = claim("workflow_sha");
  const runId = claim("run_id");
  const runAttempt = claim("run_attempt");
  const url = (...path: readonly string[]): string => joinUrl("https://github.com", ...path);
  return {
    challenge: token.subject,
    certify: () => ({
      subjectAlternativeName: { kind: "uri", value: url(jobWorkflowRef) },
      extensions: {
        issuer: token.issuer,
        githubWorkflowTrigger: eventName,
        githubWorkflowSHA: sha,
        githubWorkflowName: workflow,
        githubWorkflowRepository: repository,
        githubWorkflowRef: ref,
        buildSignerURI: url(jobWorkflowRef),
        buildSignerDigest: jobWorkflowSha,
        runnerEnvironment,
        sourceRepositoryURI: url(repository),
        sourceRepositoryDigest: sha,
        sourceRepositoryRef: ref,
        sourceRepositoryIdentifier: repositoryId,
        sourceRepositoryOwnerURI: url(repositoryOwner),
        sourceRepositoryOwnerIdentifier: repositoryOwnerId,
        buildConfigURI: url(workflowRef),
        buildConfigDigest: workflowSha,
        buildTrigger: eventName,
        runInvocationURI: url(repository, "actions/runs", runId, "attempts", runAttempt),
        sourceRepositoryVisibilityAtSigning: repositoryVisibility,
        tokenSubject: token.subject,
      },
    }),
  };
}

function gitlabPrincipal(token: VerifiedToken): Principal {
  const claim = (name: string): string => required(token, name);
  const projectPath = claim("project_path");
  const pipelineSource = claim("pipeline_source");
  claim("pipeline_id");
  const ciConfigRefUri = claim("ci_config_ref_uri");
  const jobId = claim("job_id");
  const refName = claim("ref");
  const refType = claim("ref_type");
  const namespacePath = claim("namespace_path");
  const namespaceId = claim("namespace_id");
  const projectId = claim("project_id");
  const sha = claim("sha");
  const runnerEnvironment = claim("runner_environment");
  const runnerId = token.claims["runner_id"];
  if (typeof runnerId !== "number" || !Number.isInteger(runnerId) || runnerId === 0)
    throw new TokenRefusal("missing runner_id claim in ID token");
  const folder = { branch: "heads", tag: "tags" }[refType];
  if (folder === undefined) throw new TokenRefusal("unexpected ref_type");
  const ciConfigSha = textClaim(token.claims, "ci_config_sha");
  const visibility = textClaim(token.claims, "project_visibility");
  const url = (...path: readonly string[]): string => joinUrl("https://gitlab.com", ...path);
  return {
    challenge: token.subject,
    certify: () => {
      const buildUri = normalizeUrl(ciConfigRefUri, "https"); // the claim comes without a scheme
      return {
        subjectAlternativeName: { kind: "uri", value: buildUri },
        extensions: {
          issuer: token.issuer,
          buildSignerURI: buildUri,
          buildSignerDigest: ciConfigSha,
          runnerEnvironment,
          sourceRepositoryURI: url(projectPath),
          sourceRepositoryDigest: sha,
          sourceRepositoryRef: `refs/${folder}/${refName}`,
          sourceRepositoryIdentifier: projectId,
          sourceRepositoryOwnerURI: url(namespacePath),
          sourceRepositoryOwnerIdentifier: namespaceId,
          buildConfigURI: buildUri,
          buildConfigDigest: ciConfigSha,
          buildTrigger: pipelineSource,
          runInvocationURI: url(projectPath, "/-/jobs/", jobId),
          sourceRepositoryVisibilityAtSigning: visibility,
          tokenSubject: token.subject,
        },
      };
    },
  };
}

function uriPrincipal(token: VerifiedToken, issuer: CertifiedIssuer): Principal {
  const uri = token.subject;
  if (isEmailAddress(uri)) throw new TokenRefusal("uri subject should not be an email address");
  try {
    const found = schemeAndHost(uri);
    const expected = schemeAndHost(issuer.subjectDomain ?? "");
    if (found.scheme !== expected.scheme)
      throw new TokenRefusal(
        `subject URI scheme (${found.scheme}) must match expected domain URI scheme (${expected.scheme})`,
      );
    if (found.host !== expected.host)
      throw new TokenRefusal(`subject hostname (${found.host}) must match expected domain (${expected.host})`);
  } catch (error) {
    if (!(error instanceof UrlRefusal)) throw error;
    throw new TokenRefusal(error.message);
  }
  return {
    challenge: uri,
    certify: () => ({
      subjectAlternativeName: { kind: "uri", value: normalizeUrl(uri) },
      extensions: { issuer: token.issuer, tokenSubject: uri },
    }),
  };
}

function required(token: VerifiedToken, name: string): string {
  const value = textClaim(token.claims, name);
  if (value === "") throw new TokenRefusal(`missing ${name} claim in ID token`);
  return value;
}
