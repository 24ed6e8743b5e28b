/**
 * The flags of every command that verifies a bundle: cosign's, and those of the client specification that cosign lacks.
 *
 * @module
 */

import { FULCIO_EXTENSIONS, type FulcioExtensions } from "../x509/fulcio.ts";
import type { Flag } from "./flags.ts";

// cosign's own flags for GitHub, with the field that each compares. The other fields have flags of ours, named after them.
const GITHUB_FLAGS: Readonly<Partial<Record<keyof FulcioExtensions, string>>> = {
  githubWorkflowTrigger: "certificate-github-workflow-trigger",
  githubWorkflowSHA: "certificate-github-workflow-sha",
  githubWorkflowName: "certificate-github-workflow-name",
  githubWorkflowRepository: "certificate-github-workflow-repository",
  githubWorkflowRef: "certificate-github-workflow-ref",
};

/** Lists the flag of each Fulcio extension. */
export const EXTENSION_FLAGS: readonly {
  readonly field: keyof FulcioExtensions;
  readonly title: string;
  readonly name: string;
}[] = FULCIO_EXTENSIONS.filter(({ field }) => field !== "issuer").map(({ field, title }) => ({
  field,
  title,
  name: GITHUB_FLAGS[field] ?? `certificate-${kebab(field)}`,
}));

/** Lists cosign's flags for signatures that are not bundles. With one that is a bundle, none of them may be given. */
export const LEGACY_FLAGS: readonly string[] = [
  "certificate",
  "certificate-chain",
  "ca-roots",
  "ca-intermediates",
  "signature",
  "rfc3161-timestamp",
  "timestamp-certificate-chain",
];

/** Are the flags of every command that verifies: who must have signed, and how much must be proven. */
export const COMMON_VERIFICATION_FLAGS: readonly Flag[] = [
  { name: "key", kind: "string", value: "FILE", description: "the public key: a file, an https:// URL, or env://NAME" },
  { name: "key-valid-from", kind: "string", value: "TIME", description: "the key signed nothing before this time" },
  { name: "key-valid-until", kind: "string", value: "TIME", description: "the key signed nothing after this time" },
  {
    name: "certificate-identity",
    kind: "string",
    description: "the subject alternative name of the certificate, exactly",
  },
  {
    name: "certificate-identity-regexp",
    kind: "string",
    value: "PATTERN",
    description: "the same as an RE2 pattern; anchor it with ^ and $",
  },
  {
    name: "certificate-oidc-issuer",
    kind: "string",
    value: "URL",
    description: "the OIDC issuer of the certificate, exactly",
  },
  {
    name: "certificate-oidc-issuer-regexp",
    kind: "string",
    value: "PATTERN",
    description: "the same as an RE2 pattern; anchor it with ^ and $",
  },
  ...EXTENSION_FLAGS.map(({ name, title }): Flag => ({
    name,
    kind: "string",
    description: `${title} of the certificate, exactly`,
  })),
  {
    name: "trusted-root",
    kind: "string",
    value: "FILE",
    description: "the trusted root, in place of the one from TUF",
  },
  {
    name: "profile",
    kind: "string",
    value: "NAME",
    choices: ["github"],
    description: "github: GitHub's instance for private repositories, with a timestamp and no logs",
  },
  { name: "staging", kind: "boolean", description: "trust the public staging instance" },
  {
    name: "offline",
    kind: "boolean",
    description: "open no socket: use trust that is cached or embedded, even if expired",
  },
  { name: "use-signed-timestamps", kind: "boolean", description: "require an RFC 3161 timestamp" },
  { name: "tlog-threshold", kind: "number", description: "transparency logs that must vouch (default 1)" },
  { name: "timestamp-threshold", kind: "number", description: "timestamp authorities that must vouch (default 0)" },
  { name: "sct-threshold", kind: "number", description: "certificate transparency logs that must vouch (default 1)" },
  { name: "time-threshold", kind: "number", description: "authorities that must vouch for a time, logs included" },
  {
    name: "use-current-time",
    kind: "boolean",
    description: "check a long-lived certificate or key at the current time too",
  },
  {
    name: "witness",
    kind: "strings",
    value: "VKEY",
    description: "a witness whose checkpoint cosignatures count; may be repeated",
  },
  { name: "witness-threshold", kind: "number", description: "witnesses that must have cosigned (default 0)" },
  {
    name: "minimum-bundle-version",
    kind: "string",
    value: "VERSION",
    choices: ["0.1", "0.2", "0.3"],
    description: "refuse older bundles: 0.1, 0.2 or 0.3",
  },
  { name: "require-inclusion-proof", kind: "boolean", description: "refuse a mere promise of inclusion" },
  {
    name: "require-log-key-validity",
    kind: "boolean",
    description: "refuse a log entry whose log key no verified time speaks for",
  },
  {
    name: "timestamp-policy",
    kind: "string",
    value: "OID",
    description: "the policy that every RFC 3161 timestamp must name",
  },
  { name: "allow-certificate-chain", kind: "boolean", description: "take intermediate certificates from the bundle" },
  {
    name: "sct",
    kind: "string",
    value: "FILE",
    description: "a detached SCT: the answer of a certificate transparency log as JSON",
  },
  { name: "insecure-ignore-tlog", kind: "boolean", description: "do not require a transparency log (unsafe)" },
  {
    name: "insecure-ignore-sct",
    kind: "boolean",
    description: "do not require a signed certificate timestamp (unsafe)",
  },
  {
    name: "explain",
    kind: "boolean",
    description: "print each check with its outcome and the section that demands it",
  },
  { name: "private-infrastructure", kind: "boolean", description: "", deprecated: "use --tlog-threshold=0" },
  { name: "new-bundle-format", kind: "boolean", description: "", deprecated: "the format is found out" },
  {
    name: "signature-digest-algorithm",
    kind: "string",
    description: "",
    deprecated: "the algorithm is that of the key",
  },
  {
    name: "sk",
    kind: "boolean",
    description: "",
    deprecated: "hardware tokens are not supported: give the public key with --key",
  },
  { name: "slot", kind: "string", description: "", deprecated: "hardware tokens are not supported" },
];

/** Are the flags of the commands that verify a bundle in a file. */
export const VERIFICATION_FLAGS: readonly Flag[] = [
  {
    name: "bundle",
    kind: "string",
    value: "FILE",
    description: "the Sigstore bundle; otherwise FILE.sigstore.json, then FILE.sigstore",
  },
  ...COMMON_VERIFICATION_FLAGS,
  {
    name: "output",
    short: "o",
    kind: "string",
    value: "FORMAT",
    choices: ["json", "text"],
    description: "write the result, refusals too, to standard output: json or text",
  },
  { name: "max-workers", kind: "number", description: "", deprecated: "it has no effect on files" },
  { name: "experimental-oci11", kind: "boolean", description: "", deprecated: "it has no effect on files" },
  { name: "rekor-url", kind: "string", description: "", deprecated: "logs are named by the trusted root" },
  ...LEGACY_FLAGS.map((name): Flag => ({
    name,
    kind: "string",
    description: "",
    deprecated: "use --bundle and --trusted-root",
  })),
];

function kebab(field: string): string {
  return field.replace(/([a-z])([A-Z])/g, "$1-$2").toLowerCase();
}
