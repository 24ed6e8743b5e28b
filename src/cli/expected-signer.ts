/**
 * Who must have signed: the flags for a key, or for the identity in a certificate.
 *
 * @module
 */

import type { TimeRange } from "../trust/time-range.ts";
import type { ExpectedIdentity, StringMatcher } from "../verify/identity.ts";
import type { TrustedKey } from "../verify/options.ts";
import { warn, type Context } from "./context.ts";
import { usage, type Flags } from "./flags.ts";
import { givenGithubFlags, readGithubIdentity } from "./github-flags.ts";
import { readPublicKey } from "./public-key-reference.ts";
import { EXTENSION_FLAGS } from "./verification-flags.ts";

/** Is one of both; the verifier takes no other. */
export type ExpectedSigner =
  { readonly identity: ExpectedIdentity } | { readonly keys: readonly [TrustedKey, ...TrustedKey[]] };

const IDENTITY_FLAGS = ["certificate-identity", "certificate-identity-regexp"] as const;
const ISSUER_FLAGS = ["certificate-oidc-issuer", "certificate-oidc-issuer-regexp"] as const;
const SHOWS_IDENTITY = "whom you expect to have signed; `cosign-ts bundle inspect` shows who claims to have";

/**
 * Reads who must have signed. There is no default.
 *
 * @throws InputError `USAGE_INVALID`, and what {@link readPublicKey} throws.
 */
export async function readExpectedSigner(flags: Flags, context: Context): Promise<ExpectedSigner> {
  const key = flags.string("key");
  const identities = given(IDENTITY_FLAGS, flags);
  if (identities.length + (key === undefined ? 0 : 1) > 1) {
    const both = [...(key === undefined ? [] : ["key"]), ...identities].map((name) => flags.nameOf(name)).join(" and ");
    throw usage(
      "exactly one of: key reference (--key) or certificate identity (--certificate-identity or --certificate-identity-regexp), must be provided." +
        ` Given are ${both}`,
      {
        remedy:
          "use --key if the bundle's verificationMaterial holds a publicKey, an identity if it holds a certificate",
      },
    );
  }
  return key === undefined
    ? { identity: await readIdentity(flags, context) }
    : { keys: [await readKey(key, flags, context)] };
}

async function readKey(key: string, flags: Flags, context: Context): Promise<TrustedKey> {
  const extensions = EXTENSION_FLAGS.map(({ name }) => name);
  const [meaningless] = [...given([...ISSUER_FLAGS, ...extensions], flags), ...givenGithubFlags(flags)];
  if (meaningless !== undefined) {
    throw usage(`${flags.nameOf(meaningless)} has no meaning with --key: a key has no certificate`, {
      remedy: "leave one of both out",
    });
  }
  const validFor = readKeyWindow(flags);
  return { publicKey: await readPublicKey(key, context), name: key, ...(validFor === undefined ? {} : { validFor }) };
}

async function readIdentity(flags: Flags, context: Context): Promise<ExpectedIdentity> {
  const [window] = given(["key-valid-from", "key-valid-until"], flags);
  if (window !== undefined)
    throw usage(`${flags.nameOf(window)} needs --key`, { remedy: "give the key that it is about, or leave it out" });
  const issuers = given(ISSUER_FLAGS, flags);
  if (issuers.length > 1)
    throw usage(`only one of ${ISSUER_FLAGS.map((name) => `--${name}`).join(" and ")} may be given`, {
      remedy: "leave one out",
    });
  const extensions = Object.fromEntries(
    EXTENSION_FLAGS.map(({ name, field }) => [field, flags.string(name)] as const).filter(
      ([, value]) => value !== undefined,
    ),
  );
  const names = given(IDENTITY_FLAGS, flags);
  if (givenGithubFlags(flags).length > 0) {
    return readGithubIdentity(flags, {
      subjectAlternativeName: names.length === 0 ? undefined : await readMatcher(IDENTITY_FLAGS, flags, context),
      issuer: issuers.length === 0 ? undefined : await readMatcher(ISSUER_FLAGS, flags, context),
      extensions,
    });
  }
  if (names.length === 0) {
    throw usage(
      "--certificate-identity or --certificate-identity-regexp is required for verification in keyless mode",
      {
        remedy: `name ${SHOWS_IDENTITY}; for a bundle signed with a key, give --key`,
      },
    );
  }
  if (issuers.length === 0) {
    throw usage(
      "--certificate-oidc-issuer or --certificate-oidc-issuer-regexp is required for verification in keyless mode",
      {
        remedy: `name who vouches for the identity of ${SHOWS_IDENTITY}`,
      },
    );
  }
  return {
    subjectAlternativeName: await readMatcher(IDENTITY_FLAGS, flags, context),
    issuer: await readMatcher(ISSUER_FLAGS, flags, context),
    extensions,
  };
}

async function readMatcher(
  [name, regexp]: readonly [string, string],
  flags: Flags,
  context: Context,
): Promise<StringMatcher> {
  const exact = flags.string(name);
  if (exact !== undefined) return exact;
  const { compilePattern } = await import("../policy/pattern.ts");
  const pattern = compilePattern(flags.string(regexp) ?? "");
  if (!pattern.anchored)
    warn(context, `${flags.nameOf(regexp)} is not anchored: it matches any value that contains it; write ^…$`);
  return pattern;
}

function readKeyWindow(flags: Flags): TimeRange | undefined {
  const start = flags.time("key-valid-from");
  const end = flags.time("key-valid-until");
  if (start === undefined && end === undefined) return undefined;
  if (start !== undefined && end !== undefined && end < start) {
    throw usage("--key-valid-until is before --key-valid-from", { remedy: "exchange them" });
  }
  return { start: start ?? new Date(0), ...(end === undefined ? {} : { end }) };
}

function given(names: readonly string[], flags: Flags): readonly string[] {
  return names.filter((name) => flags.has(name));
}
