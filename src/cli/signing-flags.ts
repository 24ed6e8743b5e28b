/**
 * The flags of every command that signs: cosign's, and a few of ours.
 *
 * @module
 */

import { SIGNING_ALGORITHMS, DEFAULT_SIGNING_ALGORITHM } from "../keys/signing-algorithm.ts";
import type { Flag } from "./flags.ts";

/** Are the services of the public-good instance, which cosign names by its older flags. */
export const PUBLIC_GOOD = {
  fulcio: "https://fulcio.sigstore.dev",
  rekor: "https://rekor.sigstore.dev",
  oidc: "https://oauth2.sigstore.dev/auth",
} as const;

const BY_CONFIG = "use a signing config: see cosign-ts signing-config create --help";
const BY_BUNDLE = "use --bundle, which holds it";

/** Are the flags of every command that signs. */
export const SIGNING_FLAGS: readonly Flag[] = [
  {
    name: "bundle",
    kind: "string",
    value: "FILE",
    description: "write the bundle to this file; for several files with {name}, {path} or {} in it",
  },
  {
    name: "key",
    kind: "string",
    value: "KEY",
    description: "sign with this private key, and no certificate: a file, https://… or env://NAME",
  },
  {
    name: "certificate",
    kind: "string",
    value: "FILE",
    description: "put this certificate of the key into the bundle",
  },
  {
    name: "certificate-chain",
    kind: "string",
    value: "FILE",
    description: "the certificates that lead from it to its root, in PEM, the issuer's first",
  },
  {
    name: "identity-token",
    kind: "string",
    value: "TOKEN|FILE",
    description: "the identity token, or a file that holds it; otherwise that of the surroundings, or a login",
  },
  {
    name: "require-identity",
    kind: "string",
    value: "NAME",
    description:
      "the name that the certificate must have, where the instance does not take it from the token as it stands",
  },
  {
    name: "require-issuer",
    kind: "string",
    value: "URL",
    description: "the issuer that the certificate must have, with --require-identity",
  },
  {
    name: "signing-algorithm",
    kind: "string",
    value: "NAME",
    choices: SIGNING_ALGORITHMS,
    // No default of the flag: a key that is given has one of its own.
    description: `the algorithm of the key that is made for a certificate (default ${DEFAULT_SIGNING_ALGORITHM}); with --key, one that fits it (default: its own)`,
  },
  {
    name: "signing-config",
    kind: "string",
    value: "FILE",
    description: "the services to sign with, in place of those from TUF",
  },
  {
    name: "use-signing-config",
    kind: "boolean",
    description: "take the services from TUF (default true); false: from the older flags for URLs",
  },
  {
    name: "trusted-root",
    kind: "string",
    value: "FILE",
    description: "verify the answers of services and the bundle by this trusted root, in place of the one from TUF",
  },
  { name: "staging", kind: "boolean", description: "sign with the public staging instance" },
  { name: "yes", short: "y", kind: "boolean", description: "agree to what becomes public, and ask nothing" },
  {
    name: "explain",
    kind: "boolean",
    description: "say who would sign, with which services, and what would become public; sign nothing",
  },
  {
    name: "resume-state",
    kind: "string",
    value: "FILE",
    description: "keep a signature that is interrupted in this file, and go on with the one that is kept there",
  },
  {
    name: "output",
    short: "o",
    kind: "string",
    value: "FORMAT",
    choices: ["json"],
    description: "json: write what was signed, and what was proven of it, to standard output, a line for each file",
  },
  {
    name: "fulcio-auth-flow",
    kind: "string",
    value: "FLOW",
    choices: ["normal", "device", "token", "client_credentials"],
    description: "how to log in: normal (a browser), device, token (not at all) or client_credentials",
  },
  { name: "oidc-client-id", kind: "string", default: "sigstore", description: "the client to log in as" },
  { name: "oidc-client-secret-file", kind: "string", value: "FILE", description: "the secret of that client" },
  {
    name: "oidc-redirect-url",
    kind: "string",
    value: "URL",
    description: "where the browser is sent after the login (default http://localhost:0/auth/callback)",
  },
  {
    name: "oidc-provider",
    kind: "string",
    value: "NAME",
    description: "ask this provider of the surroundings for a token, and no other",
  },
  {
    name: "oidc-disable-ambient-providers",
    kind: "boolean",
    description: "ask no provider of the surroundings for a token",
  },
  {
    name: "timestamp-client-cacert",
    kind: "string",
    value: "FILE",
    description: "certificates that the timestamp authority's connection is trusted by",
  },
  {
    name: "timestamp-client-cert",
    kind: "string",
    value: "FILE",
    description: "the certificate to show the timestamp authority",
  },
  { name: "timestamp-client-key", kind: "string", value: "FILE", description: "the key of that certificate" },
  {
    name: "timestamp-server-name",
    kind: "string",
    value: "NAME",
    description: "the name in the certificate of the timestamp authority's connection",
  },
  { name: "offline", kind: "boolean", description: "open no socket: only a key can sign then, with no services" },
  { name: "fulcio-url", kind: "string", description: "", deprecated: BY_CONFIG },
  { name: "rekor-url", kind: "string", description: "", deprecated: BY_CONFIG },
  { name: "oidc-issuer", kind: "string", description: "", deprecated: BY_CONFIG },
  { name: "timestamp-server-url", kind: "string", description: "", deprecated: BY_CONFIG },
  {
    name: "tlog-upload",
    kind: "boolean",
    description: "",
    deprecated: "prefer a --signing-config with no transparency log",
  },
  {
    name: "new-bundle-format",
    kind: "boolean",
    description: "",
    deprecated: "this will be the only supported format in future versions",
  },
  { name: "issue-certificate", kind: "boolean", description: "", deprecated: "leave --key out for a certificate" },
  { name: "insecure-skip-verify", kind: "boolean", description: "", deprecated: "it has no effect" },
  { name: "output-signature", kind: "string", description: "", deprecated: BY_BUNDLE },
  { name: "output-certificate", kind: "string", description: "", deprecated: BY_BUNDLE },
  { name: "sk", kind: "boolean", description: "", deprecated: "hardware tokens are not supported: use --key" },
  { name: "slot", kind: "string", description: "", deprecated: "hardware tokens are not supported" },
];
