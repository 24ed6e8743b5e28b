/**
 * Who must have signed, for attestations of GitHub Actions: repository, workflow, commit and runner in place of patterns.
 *
 * @module
 */

import { InputError } from "../errors.ts";
import type { FulcioExtensions } from "../x509/fulcio.ts";
import type { ExpectedIdentity, StringMatcher, StringPattern } from "./identity.ts";

/** Names whose code was built: all repositories of an owner, or one. */
export type GithubSource =
  | {
      /** The user or organisation. */
      readonly owner: string;
      readonly repository?: undefined;
    }
  | {
      /** `OWNER/NAME`. */
      readonly repository: string;
      readonly owner?: undefined;
    };

/** Names the workflow that signed. Default: any workflow of the owner or repository whose code was built. */
export type GithubSigner =
  | {
      readonly signerWorkflow?: undefined;
      readonly signerRepository?: undefined;
      readonly subjectAlternativeName?: undefined;
    }
  | {
      /** `[HOST/]OWNER/NAME/.github/workflows/FILE.yml[@REF]`. Without the ref, the workflow at any ref. */
      readonly signerWorkflow: string;
      readonly signerRepository?: undefined;
      readonly subjectAlternativeName?: undefined;
    }
  | {
      /** `OWNER/NAME` of a repository with reusable workflows, any of which may have signed. */
      readonly signerRepository: string;
      readonly signerWorkflow?: undefined;
      readonly subjectAlternativeName?: undefined;
    }
  | {
      /** The subject alternative name itself, for what cannot be said otherwise. */
      readonly subjectAlternativeName: StringMatcher;
      readonly signerWorkflow?: undefined;
      readonly signerRepository?: undefined;
    };

/** Says from where an attestation of GitHub Actions must come. Everything is compared exactly, upper and lower case too. */
export type GithubExpectation = GithubSource &
  GithubSigner & {
    /** The ref that was built, in full: `refs/tags/v1.2.3`. Default: any. */
    readonly sourceRef?: string | undefined;
    /** The commit that was built, in lower-case hexadecimal. Default: any. */
    readonly sourceDigest?: string | undefined;
    /** The commit that the workflow which signed was read from, in lower-case hexadecimal. Default: any. */
    readonly signerDigest?: string | undefined;
    /** Who owned the machine. Default: any. */
    readonly runnerEnvironment?: "github-hosted" | "self-hosted" | undefined;
    /** The host name of GitHub. Default `github.com`; `TENANT.ghe.com` has an issuer of its own. */
    readonly host?: string | undefined;
    /** The OIDC issuer. Default that of the host; an enterprise may have its own below it. */
    readonly issuer?: StringMatcher | undefined;
  };

const GITHUB_HOST = "github.com";
const ISSUER_HOST = "token.actions.githubusercontent.com";

const NAME = "[A-Za-z0-9_.-]+";
/** A path and its ref. A file name may hold an `@`, which is not provided for; a ref may, and begins behind the first. */
const WORKFLOW_AT_REF = new RegExp(String.raw`^[^/@][^@]*@(?:refs/.+|[0-9a-f]{40}|[0-9a-f]{64})$`, "s");
const REF = /^(?:refs\/.+|[0-9a-f]{40}|[0-9a-f]{64})$/s;

/**
 * Makes the identity that a certificate of GitHub Actions must have, as `gh attestation verify` does, but without its patterns:
 * `acme/app` is neither `acme/app-evil` nor `Acme/App`, and `release.yml` is not `release.yml-evil.yml`.
 *
 * @throws {@link InputError} `USAGE_INVALID` for a value that is not of its form, or for two that exclude one another.
 * @see {@link https://github.com/sigstore/fulcio/blob/main/docs/oidc.md | Fulcio docs/oidc.md}, "GitHub"
 */
export function githubIdentity(expectation: GithubExpectation): ExpectedIdentity {
  refuseUnknown(expectation);
  const { host = GITHUB_HOST } = expectation;
  if (!/^[a-z0-9-]+(?:\.[a-z0-9-]+)+$/.test(host))
    throw malformed("host", host, "a host name, for instance github.com");
  const { owner, repository } = readSource(expectation);
  const signer = readSigner(expectation, host, repository ?? owner);
  const { sourceRef, sourceDigest, signerDigest, runnerEnvironment } = expectation;
  if (sourceRef !== undefined && !/^refs\/[^/].*$/s.test(sourceRef))
    throw malformed("source ref", sourceRef, "a ref in full, for instance refs/heads/main or refs/tags/v1.2.3");
  checkDigest("source digest", sourceDigest);
  checkDigest("signer digest", signerDigest);
  if (runnerEnvironment !== undefined && !["github-hosted", "self-hosted"].includes(runnerEnvironment))
    throw malformed("runner environment", runnerEnvironment, "github-hosted or self-hosted");
  const extensions: { -readonly [Field in keyof FulcioExtensions]: StringMatcher | undefined } = {
    // The workflow stands in two places of the certificate. Only one that the caller wrote out is left to that alone.
    buildSignerURI: expectation.subjectAlternativeName === undefined ? signer : undefined,
    buildSignerDigest: signerDigest,
    runnerEnvironment,
    sourceRepositoryURI: repository === undefined ? undefined : `https://${host}/${repository}`,
    sourceRepositoryDigest: sourceDigest,
    sourceRepositoryRef: sourceRef,
    sourceRepositoryOwnerURI: `https://${host}/${owner}`,
  };
  return {
    subjectAlternativeName: signer,
    issuer: expectation.issuer ?? issuerOf(host),
    extensions: Object.fromEntries(Object.entries(extensions).filter(([, matcher]) => matcher !== undefined)),
  };
}

function readSource({ owner, repository }: GithubExpectation): {
  readonly owner: string;
  readonly repository: string | undefined;
} {
  if ((owner === undefined) === (repository === undefined)) {
    throw new InputError("USAGE_INVALID", "exactly one of owner and repository says whose code was built", {
      remedy: "name the repository as OWNER/NAME, or the owner alone",
    });
  }
  if (repository !== undefined) return { owner: readRepository("repository", repository), repository };
  if (!isName(owner ?? "")) throw malformed("owner", owner ?? "", "a user or an organisation, for instance acme");
  return { owner: owner ?? "", repository: undefined };
}

/** Checks a repository's name. @returns its owner. */
function readRepository(what: string, repository: string): string {
  const [owner = "", name = "", ...others] = repository.split("/");
  if (!isName(owner) || !isName(name) || others.length > 0)
    throw malformed(what, repository, "OWNER/NAME, for instance acme/app");
  return owner;
}

function isName(text: string): boolean {
  return new RegExp(`^${NAME}$`).test(text) && text !== "." && text !== "..";
}

function readSigner(expectation: GithubExpectation, host: string, source: string): StringMatcher {
  const { signerWorkflow, signerRepository, subjectAlternativeName } = expectation;
  const given = [signerWorkflow, signerRepository, subjectAlternativeName].filter((one) => one !== undefined);
  if (given.length > 1) {
    throw new InputError(
      "USAGE_INVALID",
      "signer workflow, signer repository and subject alternative name exclude one another",
      { remedy: "give the one that says most" },
    );
  }
  if (subjectAlternativeName !== undefined) return subjectAlternativeName;
  if (signerWorkflow !== undefined) return readWorkflow(signerWorkflow, host);
  if (signerRepository !== undefined) readRepository("signer repository", signerRepository);
  const prefix = `https://${host}/${signerRepository ?? source}/`;
  // Of an owner alone, the name of a repository comes first.
  const rest = (signerRepository ?? source).includes("/")
    ? WORKFLOW_AT_REF
    : new RegExp(`^${NAME}/${WORKFLOW_AT_REF.source.slice(1)}`, "s");
  return pattern(`${prefix}… @ any ref`, (value) => value.startsWith(prefix) && rest.test(value.slice(prefix.length)));
}

function readWorkflow(workflow: string, host: string): StringMatcher {
  const at = workflow.indexOf("@");
  const [path, ref] = at === -1 ? [workflow, undefined] : [workflow.slice(0, at), workflow.slice(at + 1)];
  const [, ownHost, location = ""] =
    new RegExp(String.raw`^(?:([^/]+)/)?(${NAME}/${NAME}/\.github/workflows/[^/]+\.ya?ml)$`).exec(path) ?? [];
  const [owner = "", name = ""] = location.split("/");
  if (!isName(owner) || !isName(name) || (ref !== undefined && !REF.test(ref))) {
    throw malformed(
      "signer workflow",
      workflow,
      "[HOST/]OWNER/NAME/.github/workflows/FILE.yml[@REF], with REF in full: refs/heads/main or a commit",
    );
  }
  if (ownHost !== undefined && ownHost !== host) {
    throw new InputError("USAGE_INVALID", "signer workflow is on another host than what was built", {
      expected: host,
      found: ownHost,
      remedy: "leave the host out, or name the same for both",
    });
  }
  const uri = `https://${host}/${location}`;
  if (ref !== undefined) return `${uri}@${ref}`;
  return pattern(`${uri} @ any ref`, (value) => value.startsWith(`${uri}@`) && REF.test(value.slice(uri.length + 1)));
}

function issuerOf(host: string): string {
  if (host === GITHUB_HOST) return `https://${ISSUER_HOST}`;
  const [, tenant] = /^([^.]+)\.ghe\.com$/.exec(host) ?? [];
  if (tenant !== undefined) return `https://token.actions.${tenant}.ghe.com`;
  throw new InputError("USAGE_INVALID", `it is not known who vouches for workflows of ${host}`, {
    remedy: "name the OIDC issuer",
  });
}

function checkDigest(what: string, digest: string | undefined): void {
  if (digest !== undefined && !/^(?:[0-9a-f]{40}|[0-9a-f]{64})$/.test(digest))
    throw malformed(what, digest, "a commit: 40 or 64 hexadecimal digits, in lower case");
}

function pattern(description: string, test: (value: string) => boolean): StringPattern {
  return { kind: "pattern", description, anchored: true, test };
}

function malformed(what: string, found: string, expected: string): InputError {
  return new InputError("USAGE_INVALID", `${what} is not of its form`, { expected, found: JSON.stringify(found) });
}

const FIELDS: { readonly [Name in keyof GithubExpectation]-?: true } = {
  owner: true,
  repository: true,
  signerWorkflow: true,
  signerRepository: true,
  subjectAlternativeName: true,
  sourceRef: true,
  sourceDigest: true,
  signerDigest: true,
  runnerEnvironment: true,
  host: true,
  issuer: true,
};

/** A misspelled name would quietly ask for nothing. */
function refuseUnknown(expectation: GithubExpectation): void {
  const unknown = Object.keys(expectation).find((name) => !Object.hasOwn(FIELDS, name));
  if (unknown !== undefined)
    throw new InputError("USAGE_INVALID", `unknown field ${JSON.stringify(unknown)} of what is expected of GitHub`);
}
