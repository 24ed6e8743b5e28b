/**
 * Attestations of GitHub Actions: the flags of `gh attestation verify`, and who must have signed by them.
 *
 * @module
 */

import { predicateTypeOf, PREDICATE_TYPES } from "../intoto/predicate.ts";
import { githubIdentity, type GithubExpectation } from "../verify/github.ts";
import type { ExpectedIdentity, StringMatcher } from "../verify/identity.ts";
import { usage, type Flag, type Flags } from "./flags.ts";

/** Are the flags that say from where in GitHub an attestation must come. */
export const GITHUB_FLAGS: readonly Flag[] = [
  { name: "owner", kind: "string", value: "NAME", description: "built from a repository of this owner on GitHub" },
  { name: "repo", kind: "string", value: "OWNER/NAME", description: "built from this repository on GitHub" },
  {
    name: "signer-workflow",
    kind: "string",
    value: "WORKFLOW",
    description: "signed by OWNER/NAME/.github/workflows/FILE.yml, of any ref or with @REF of that",
  },
  {
    name: "signer-repo",
    kind: "string",
    value: "OWNER/NAME",
    description: "signed by a reusable workflow of this repository",
  },
  { name: "signer-digest", kind: "string", value: "COMMIT", description: "the commit of the workflow that signed" },
  { name: "source-ref", kind: "string", value: "REF", description: "the ref that was built: refs/tags/v1.2.3" },
  { name: "source-digest", kind: "string", value: "COMMIT", description: "the commit that was built" },
  {
    name: "runner-environment",
    kind: "string",
    value: "NAME",
    choices: ["github-hosted", "self-hosted"],
    description: "who owned the machine: github-hosted or self-hosted",
  },
  { name: "deny-self-hosted-runners", kind: "boolean", description: "the same as --runner-environment github-hosted" },
  {
    name: "hostname",
    kind: "string",
    value: "HOST",
    description: "the host of GitHub (default github.com), for instance TENANT.ghe.com",
  },
];

/** Are the flags of the predicate type. */
export const PREDICATE_TYPE_FLAGS: readonly Flag[] = [
  {
    name: "type",
    kind: "string",
    choices: Object.keys(PREDICATE_TYPES),
    description: `the predicate type: ${Object.keys(PREDICATE_TYPES).join(", ")}, or a URI (default custom; with --owner or --repo slsaprovenance1)`,
  },
  { name: "predicate-type", kind: "string", value: "URI", description: "the same as --type" },
];

/** Lists the flags of GitHub that were given. `--deny-self-hosted-runners=false` is none. */
export function givenGithubFlags(flags: Flags): readonly string[] {
  return GITHUB_FLAGS.filter(({ name, kind }) => (kind === "boolean" ? flags.boolean(name) : flags.has(name))).map(
    ({ name }) => name,
  );
}

/**
 * Reads the predicate type. @throws InputError `USAGE_INVALID`.
 */
export function readPredicateType(flags: Flags): string {
  const [type, alias] = [flags.string("type"), flags.string("predicate-type")];
  if (type !== undefined && alias !== undefined && predicateTypeOf(type) !== predicateTypeOf(alias)) {
    throw usage(`${flags.nameOf("type")} and ${flags.nameOf("predicate-type")} name two predicate types`, {
      remedy: "leave one out",
    });
  }
  return predicateTypeOf(type ?? alias ?? (givenGithubFlags(flags).length > 0 ? "slsaprovenance1" : "custom"));
}

/**
 * Reads from where in GitHub an attestation must come.
 *
 * @param given - What other flags say of the certificate. Names and issuer take the place of those that follow from the repository.
 * @throws InputError `USAGE_INVALID`, also where two flags contradict one another.
 */
export function readGithubIdentity(
  flags: Flags,
  given: {
    readonly subjectAlternativeName: StringMatcher | undefined;
    readonly issuer: StringMatcher | undefined;
    readonly extensions: NonNullable<ExpectedIdentity["extensions"]>;
  },
): ExpectedIdentity {
  const [owner, repository] = [flags.string("owner"), flags.string("repo")];
  if (owner === undefined && repository === undefined) {
    const [first = "repo"] = givenGithubFlags(flags);
    throw usage(`${flags.nameOf(first)} needs --repo or --owner: it is not said whose code was built`, {
      remedy: "name the repository with --repo OWNER/NAME",
    });
  }
  refuseTwo(["owner", "repo"], flags);
  const signers = ["signer-workflow", "signer-repo"];
  refuseTwo([...signers, "certificate-identity"], flags);
  refuseTwo([...signers, "certificate-identity-regexp"], flags);
  const runner = flags.choice("runner-environment", ["github-hosted", "self-hosted"]);
  if (flags.boolean("deny-self-hosted-runners") && runner === "self-hosted") {
    throw usage(
      `${flags.nameOf("deny-self-hosted-runners")} and --runner-environment self-hosted exclude one another`,
      {
        remedy: "leave one out",
      },
    );
  }
  const expectation = {
    owner,
    repository,
    signerWorkflow: flags.string("signer-workflow"),
    signerRepository: flags.string("signer-repo"),
    subjectAlternativeName: given.subjectAlternativeName,
    issuer: given.issuer,
    sourceRef: flags.string("source-ref"),
    sourceDigest: flags.string("source-digest"),
    signerDigest: flags.string("signer-digest"),
    runnerEnvironment: flags.boolean("deny-self-hosted-runners") ? "github-hosted" : runner,
    host: flags.string("hostname"),
  } as GithubExpectation;
  const identity = githubIdentity(expectation);
  return { ...identity, extensions: joinExtensions(identity.extensions ?? {}, given.extensions) };
}

type Extensions = NonNullable<ExpectedIdentity["extensions"]>;

/** Both must hold, so that what no certificate can be is told at once. A value is narrower than a pattern. */
function joinExtensions(ours: Extensions, given: Extensions): Extensions {
  for (const [field, value] of Object.entries(given)) {
    const other = (ours as Readonly<Record<string, StringMatcher | undefined>>)[field];
    if (other === undefined || typeof value !== "string") continue;
    if (typeof other === "string" ? other === value : other.test(value)) continue;
    throw usage(`two flags contradict one another about ${field} of the certificate`, {
      expected: typeof other === "string" ? other : other.description,
      remedy: "leave one out",
    });
  }
  return { ...ours, ...given };
}

function refuseTwo(names: readonly string[], flags: Flags): void {
  const [first, second] = names.filter((name) => flags.has(name));
  if (first === undefined || second === undefined) return;
  throw usage(`${flags.nameOf(first)} and ${flags.nameOf(second)} exclude one another`, { remedy: "leave one out" });
}
