import type { TokenKind } from "./stack.ts";

/** Somebody whom the identity provider of the stack gives tokens to, and how Fulcio writes them into the certificate. */
export interface Person {
  readonly kind: TokenKind;
  readonly claims: Readonly<Record<string, string>>;
  readonly identity: string;
}

export const PEOPLE = {
  email: { kind: "email", claims: { email: "alice@example.com" }, identity: "alice@example.com" },
  "other-email": { kind: "email", claims: { email: "bob@example.com" }, identity: "bob@example.com" },
  github: {
    kind: "github",
    claims: {},
    identity: "https://github.com/acme/app/.github/workflows/release.yml@refs/heads/main",
  },
  gitlab: { kind: "gitlab", claims: {}, identity: "https://gitlab.com/acme/app//.gitlab-ci.yml@refs/heads/main" },
} as const satisfies Record<string, Person>;

/** Names the issuer of somebody's tokens. */
export function issuerOf(person: Person, oidcUrl: string): string {
  return person.kind === "email" ? oidcUrl : `${oidcUrl}/${person.kind}`;
}

/** What to sign, and how. Everything that is a file is a path. */
export interface Signing {
  readonly content: "blob" | "attestation";
  readonly signingConfig: string;
  /** Without it cosign does not verify what it has just signed. */
  readonly trustedRoot?: string;
  readonly signer: { readonly key: string } | { readonly identityToken: string };
  readonly algorithm?: string;
  readonly predicate?: { readonly type: string; readonly file: string };
  readonly statement?: string;
  readonly bundle: string;
  readonly artifact: string;
}

/** Writes the command line that signs. */
export function signArguments(signing: Signing): string[] {
  const args = [
    signing.content === "attestation" ? "attest-blob" : "sign-blob",
    "--yes",
    "--signing-config",
    signing.signingConfig,
  ];
  if (signing.trustedRoot !== undefined) args.push("--trusted-root", signing.trustedRoot);
  if ("key" in signing.signer) args.push("--key", signing.signer.key);
  else args.push("--identity-token", signing.signer.identityToken);
  if (signing.algorithm !== undefined) args.push("--signing-algorithm", signing.algorithm);
  if (signing.statement !== undefined) args.push("--statement", signing.statement);
  if (signing.predicate !== undefined)
    args.push("--type", signing.predicate.type, "--predicate", signing.predicate.file);
  args.push("--bundle", signing.bundle);
  if (signing.statement === undefined) args.push(signing.artifact);
  return args;
}

/** What a bundle must prove. Everything that is a file is a path. */
export interface Question {
  readonly bundle: string;
  readonly artifact: string;
  /** Without it, the one that `initialize` fetched is used. */
  readonly trustedRoot?: string;
  readonly signer: { readonly key: string } | { readonly identity: string; readonly issuer: string };
  /** For an attestation: its type, as alias or URI. */
  readonly type?: string;
  readonly ignoreLog?: boolean;
}

/** Writes the command line that verifies, which is the same for cosign and for us. */
export function verifyArguments(question: Question): string[] {
  const args = [question.type === undefined ? "verify-blob" : "verify-blob-attestation", "--bundle", question.bundle];
  if (question.trustedRoot !== undefined) args.push("--trusted-root", question.trustedRoot);
  if ("key" in question.signer) args.push("--key", question.signer.key);
  else
    args.push("--certificate-identity", question.signer.identity, "--certificate-oidc-issuer", question.signer.issuer);
  if (question.type !== undefined) args.push("--type", question.type);
  if (question.ignoreLog === true) args.push("--insecure-ignore-tlog");
  args.push(question.artifact);
  return args;
}
