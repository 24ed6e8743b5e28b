/**
 * What can be known of an identity before anything is built or signed.
 *
 * @module
 */

import type { JsonObject } from "../encoding/json.ts";
import { sanitize } from "../encoding/printable.ts";
import { SigstoreError, type ErrorCode } from "../errors.ts";
import type { ProviderExplanation } from "./ambient.ts";
import { describeIdentityToken, type IdentityTokenDescription } from "./describe-token.ts";
import { createContext, explainProviders, findToken, type IdentityTokenOptions } from "./get-identity-token.ts";
import { checkIdentityToken, claimOf, isEmailVerified, type IdentityToken } from "./identity-token.ts";

/** Is one thing that was looked at. */
export interface IdentityFinding {
  readonly name: "source" | "audience" | "expiry" | "subject" | "email";
  /** `error`: signing would fail. `warning`: it may, or a person is needed. */
  readonly level: "ok" | "warning" | "error";
  readonly detail: string;
  readonly code?: ErrorCode;
  readonly remedy?: string;
}

/** Holds facts about a job of GitHub Actions that decide what others will do with its signatures. */
export interface GitHubJobFacts {
  readonly repository?: string;
  readonly repositoryVisibility?: string;
  readonly runnerEnvironment?: string;
  readonly eventName?: string;
  readonly ref?: string;
  /** The workflow that was started … */
  readonly workflowRef?: string;
  /** … and the one whose steps run, whose name a certificate bears. */
  readonly jobWorkflowRef?: string;
  readonly isReusableWorkflow: boolean;
  /** Why npm would refuse provenance of this job; empty where nothing in the token speaks against it. */
  readonly npmProvenanceProblems: readonly string[];
}

/** Says what is known of the identity that would sign. */
export interface IdentityPreflight {
  /** Whether nothing was found on account of which signing would fail. */
  readonly isReady: boolean;
  readonly findings: readonly IdentityFinding[];
  readonly providers: readonly ProviderExplanation[];
  /** `explicit` or an ambient provider; for a login, its flow. */
  readonly source?: string;
  /** Absent before a login. */
  readonly token?: IdentityTokenDescription;
  readonly github?: GitHubJobFacts;
}

/** A certificate must be asked for, and signed with, in that time. */
const COMFORTABLE_LIFETIME_MS = 60_000;

/**
 * Looks at everything about the identity that can fail, and asks for a token where that needs no person.
 *
 * @throws InputError `USAGE_INVALID` for options that contradict one another; all else is a finding.
 */
export async function preflightIdentity(options: IdentityTokenOptions = {}): Promise<IdentityPreflight> {
  const providers = await explainProviders(options);
  let found: Awaited<ReturnType<typeof findToken>>;
  try {
    found = await findToken(options, createContext(options), () => undefined);
  } catch (error) {
    if (!(error instanceof SigstoreError) || error.code === "USAGE_INVALID") throw error;
    return { isReady: false, findings: [failed("source", error)], providers };
  }
  if (found.kind === "login") {
    const detail =
      found.flow === "client_credentials" ? "the client logs in itself" : `a person logs in (${found.flow})`;
    const level = found.flow === "client_credentials" ? "ok" : "warning";
    return { isReady: true, findings: [{ name: "source", level, detail }], providers, source: found.flow };
  }
  const { token, provider } = found;
  const findings: readonly IdentityFinding[] = [
    { name: "source", level: "ok", detail: `identity token of ${provider}` },
    ...checkToken(token, options),
  ];
  const github = readGitHubFacts(token);
  return {
    isReady: findings.every(({ level }) => level !== "error"),
    findings,
    providers,
    source: provider,
    token: describeIdentityToken(token),
    ...(github === undefined ? {} : { github }),
  };
}

function checkToken(token: IdentityToken, options: IdentityTokenOptions): readonly IdentityFinding[] {
  const { audience = "sigstore", minimumLifetimeMs, now = () => new Date() } = options;
  const time = now();
  const check = (name: IdentityFinding["name"], checked: IdentityToken, detail: string): IdentityFinding => {
    try {
      checkIdentityToken(checked, { audience, now: time, minimumLifetimeMs });
      return { name, level: "ok", detail };
    } catch (error) {
      if (!(error instanceof SigstoreError)) throw error;
      return failed(name, error);
    }
  };
  const leftMs = token.expiresAt.getTime() - time.getTime();
  const left = `valid for ${Math.floor(leftMs / 1000)} seconds more`;
  const farOff = new Date(time.getTime() + Math.max(minimumLifetimeMs ?? 0, 1000));
  const { notBefore: _, ...timeless } = token;
  const expiry = check("expiry", { ...token, audience: [audience] }, left);
  return [
    check("audience", { ...timeless, expiresAt: farOff }, `meant for ${sanitize(audience)}`),
    expiry.level === "ok" && leftMs < COMFORTABLE_LIFETIME_MS
      ? { ...expiry, level: "warning", remedy: "get the token right before signing" }
      : expiry,
    { name: "subject", level: "ok", detail: `will be certified as ${sanitize(token.subject)}` },
    ...checkEmail(token.claims),
  ];
}

/** Fulcio refuses an address that its issuer does not vouch for. */
function checkEmail(claims: JsonObject): readonly IdentityFinding[] {
  const email = claimOf(claims, "email");
  if (typeof email !== "string") return [];
  return [
    isEmailVerified(claims)
      ? { name: "email", level: "ok", detail: `${sanitize(email)} is verified` }
      : {
          name: "email",
          level: "warning",
          detail: `${sanitize(email)} is not verified by its provider: where addresses are certified, this one will be refused`,
          remedy: "verify the address with the identity provider",
        },
  ];
}

function failed(name: IdentityFinding["name"], error: SigstoreError): IdentityFinding {
  const values = [
    error.expected === undefined ? "" : `expected ${error.expected}`,
    error.found === undefined ? "" : `found ${error.found}`,
  ].filter((value) => value !== "");
  return {
    name,
    level: "error",
    detail: values.length === 0 ? error.message : `${error.message} (${values.join(", ")})`,
    code: error.code,
    ...(error.remedy === undefined ? {} : { remedy: error.remedy }),
  };
}

/** Reads what a token of GitHub Actions says about its job. */
function readGitHubFacts({ issuer, claims }: IdentityToken): GitHubJobFacts | undefined {
  if (!/^https:\/\/token\.actions\.githubusercontent\.com(?:\/|$)/.test(issuer)) return undefined;
  const of = (name: string): string | undefined => {
    const value = claimOf(claims, name);
    return typeof value === "string" ? sanitize(value) : undefined;
  };
  const [visibility, runner] = [of("repository_visibility"), of("runner_environment")];
  const [workflowRef, jobWorkflowRef] = [of("workflow_ref"), of("job_workflow_ref")];
  const facts = {
    repository: of("repository"),
    repositoryVisibility: visibility,
    runnerEnvironment: runner,
    eventName: of("event_name"),
    ref: of("ref"),
    workflowRef,
    jobWorkflowRef,
  };
  return {
    ...(Object.fromEntries(
      Object.entries(facts).filter(([, value]) => value !== undefined),
    ) as Partial<GitHubJobFacts>),
    isReusableWorkflow: workflowRef !== undefined && jobWorkflowRef !== undefined && workflowRef !== jobWorkflowRef,
    npmProvenanceProblems: [
      ...(runner === "github-hosted" ? [] : [`the runner is ${runner ?? "unknown"}, and must be github-hosted`]),
      ...(visibility === "public" ? [] : [`the repository is ${visibility ?? "unknown"}, and must be public`]),
    ],
  };
}
