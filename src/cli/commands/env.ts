/**
 * `cosign-ts env`: the environment variables that are read.
 *
 * @module
 */

import type { Command } from "../context.ts";

interface Variable {
  readonly name: string;
  readonly description: string;
  readonly expects: string;
}

const VARIABLES: readonly Variable[] = [
  { name: "HOME", description: "holds the folder .sigstore/root, in which TUF metadata is cached", expects: "path of a folder" },
  { name: "HTTPS_PROXY", description: "is the proxy for requests", expects: "URL" },
  { name: "HTTP_PROXY", description: "is the proxy for unencrypted requests", expects: "URL" },
  { name: "NO_COLOR", description: "keeps colours off the terminal", expects: "any text" },
  { name: "NO_PROXY", description: "names hosts that are reached without a proxy", expects: "list of hosts" },
  { name: "TUF_MIRROR", description: "is the TUF repository to take trust from", expects: "URL" },
  { name: "TUF_ROOT", description: "is the folder in which TUF metadata is cached", expects: "path of a folder" },
  { name: "TUF_ROOT_JSON", description: "is the TUF root to begin trust in TUF_MIRROR with", expects: "path of a file" },
];

const SECRET = /TOKEN|PASSWORD|SECRET|PIN$|PRIVATE/;

/** Lists the registered variables, then every other COSIGN_, SIGSTORE_ or TUF_ variable that is set. */
export const env: Command = {
  name: "env",
  summary: "Show the environment variables that are read. A flag --foo-bar is also read from COSIGN_FOO_BAR.",
  operands: "",
  minOperands: 0,
  maxOperands: 0,
  environment: false,
  flags: [
    { name: "show-descriptions", kind: "boolean", default: "true", description: "say what each variable is for" },
    { name: "show-sensitive-values", kind: "boolean", description: "print values that may be secret" },
  ],
  run(_operands, flags, context) {
    const describe = flags.boolean("show-descriptions", true);
    const reveal = flags.boolean("show-sensitive-values");
    const show = (name: string): string => {
      const value = context.environment[name] ?? "";
      return `${name}=${value !== "" && !reveal && SECRET.test(name) ? "******" : redactUserInfo(value, reveal)}\n`;
    };
    for (const { name, description, expects } of VARIABLES) {
      if (describe) context.stdout.write(`# ${name} ${description}\n# Expects: ${expects}\n`);
      context.stdout.write(show(name));
    }
    const registered = new Set(VARIABLES.map(({ name }) => name));
    const others = Object.keys(context.environment).filter((name) => /^(COSIGN|SIGSTORE|TUF)_/.test(name) && !registered.has(name));
    for (const name of others.toSorted()) context.stdout.write(show(name));
    return Promise.resolve(0);
  },
};

/** Hides user name and password of a proxy's URL. */
function redactUserInfo(value: string, reveal: boolean): string {
  return reveal ? value : value.replace(/^([a-z]+:\/\/)[^/@]*@/i, "$1******@");
}
