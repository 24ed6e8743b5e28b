/**
 * `cosign-ts env`: the environment variables that are read.
 *
 * @module
 */

import { sanitize } from "../../encoding/printable.ts";
import type { Command } from "../context.ts";

interface Variable {
  readonly name: string;
  readonly description: string;
  readonly expects: string;
}

const VARIABLES: readonly Variable[] = [
  {
    name: "ACTIONS_ID_TOKEN_REQUEST_TOKEN",
    description: "is what a job of GitHub Actions asks for its identity token with",
    expects: "secret of GitHub",
  },
  {
    name: "ACTIONS_ID_TOKEN_REQUEST_URL",
    description: "is where a job of GitHub Actions asks for its identity token",
    expects: "URL",
  },
  {
    name: "BUILDKITE_AGENT_ACCESS_TOKEN",
    description: "is what a job of Buildkite asks for its identity token with",
    expects: "secret of Buildkite",
  },
  {
    name: "BUILDKITE_AGENT_ENDPOINT",
    description: "is where a job of Buildkite asks for its identity token",
    expects: "URL",
  },
  { name: "BUILDKITE_JOB_ID", description: "names the job of Buildkite", expects: "any text" },
  {
    name: "CIRCLE_OIDC_TOKEN",
    description: "is the identity token of a job of CircleCI",
    expects: "identity token",
  },
  {
    name: "COSIGN_PASSWORD",
    description: "is the password of the private key; an empty one counts",
    expects: "text",
  },
  {
    name: "GCE_METADATA_HOST",
    description: "is where a machine of Google asks for its identity token",
    expects: "host and port",
  },
  {
    name: "GOOGLE_APPLICATION_CREDENTIALS",
    description: "holds what a service account of Google is asked with",
    expects: "path of a file",
  },
  {
    name: "GOOGLE_SERVICE_ACCOUNT_NAME",
    description: "names the service account of Google to sign as",
    expects: "e-mail address",
  },
  {
    name: "HOME",
    description: "holds the folder .sigstore/root, in which TUF metadata is cached",
    expects: "path of a folder",
  },
  { name: "HTTPS_PROXY", description: "is the proxy for requests; in lower case too", expects: "URL" },
  { name: "HTTP_PROXY", description: "is the proxy for unencrypted requests; in lower case too", expects: "URL" },
  { name: "NO_COLOR", description: "keeps colours off the terminal", expects: "any text" },
  {
    name: "NO_PROXY",
    description: "names hosts that are reached without a proxy; in lower case too",
    expects: "list of hosts",
  },
  {
    name: "SIGSTORE_ID_TOKEN",
    description: "is the identity token to sign with, as GitLab gives it to a job",
    expects: "identity token",
  },
  {
    name: "SPIFFE_ENDPOINT_SOCKET",
    description: "is where a workload of SPIFFE asks for its identity token",
    expects: "path of a socket",
  },
  { name: "TUF_MIRROR", description: "is the TUF repository to take trust from", expects: "URL" },
  { name: "TUF_ROOT", description: "is the folder in which TUF metadata is cached", expects: "path of a folder" },
  {
    name: "TUF_ROOT_JSON",
    description: "is the TUF root to begin trust in TUF_MIRROR with",
    expects: "path of a file",
  },
];

const SECRET = /TOKEN|PASSWORD|PASSPHRASE|SECRET|(^|_)PIN$|PRIVATE|CREDENTIAL/;

/** Lists the registered variables, then every other COSIGN_, SIGSTORE_ or TUF_ variable that is set. */
export const env: Command = {
  name: "env",
  summary:
    "Show the environment variables that are read. A flag --foo-bar of a command that signs or verifies is also read from COSIGN_FOO_BAR.",
  operands: "",
  minOperands: 0,
  maxOperands: 0,
  environment: false,
  flags: [
    { name: "show-descriptions", kind: "boolean", default: "true", description: "say what each variable is for" },
    { name: "show-sensitive-values", kind: "boolean", description: "print values that may be secret" },
  ],
  examples: ["cosign-ts env", "cosign-ts env --show-descriptions=false"],
  run(_operands, flags, { environment, stdout }) {
    const describe = flags.boolean("show-descriptions", true);
    const reveal = flags.boolean("show-sensitive-values");
    const show = (name: string): string =>
      `${name}=${sanitize(reveal ? (environment[name] ?? "") : mask(name, environment[name] ?? ""))}\n`;
    for (const { name, description, expects } of VARIABLES) {
      if (describe) stdout.write(`# ${name} ${description}\n# Expects: ${expects}\n`);
      stdout.write(show(name));
    }
    const registered = new Set(VARIABLES.map(({ name }) => name));
    const others = Object.keys(environment).filter(
      (name) => /^((COSIGN|SIGSTORE|TUF)_.*|(https?|no)_proxy)$/.test(name) && !registered.has(name),
    );
    for (const name of others.toSorted()) stdout.write(show(name));
    return Promise.resolve(0);
  },
};

/** Hides what may be secret: a value whose name says so, a private key, user name and password of a URL. */
function mask(name: string, value: string): string {
  if (value !== "" && (SECRET.test(name) || value.includes("PRIVATE KEY-----"))) return "******";
  return value.replace(/([a-z][a-z0-9+.-]*:\/\/)[^/@\s]*@/gi, "$1******@").replace(/(pin-value=)[^&;]*/gi, "$1******");
}
