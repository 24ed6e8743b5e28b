import { generateKeyPairSync } from "node:crypto";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import type { Context } from "../../src/cli/context.ts";
import { ATTESTED, IDENTITY, KEYED, KEYLESS, REAL, temporaryFolder } from "../support/cli.ts";
import { runInProcess, type Run } from "../support/program.ts";
import { listCa, makeCa } from "../support/sandbox/authorities.ts";
import { makeSandbox, rootText } from "../support/sandbox/sandbox.ts";

const PRIVATE_KEY = generateKeyPairSync("ec", { namedCurve: "P-256" }).privateKey.export({
  type: "pkcs8",
  format: "pem",
});
const CERTIFICATE = `-----BEGIN CERTIFICATE-----\n${Buffer.from(makeCa().root.der).toString("base64")}\n-----END CERTIFICATE-----\n`;
const ECDSA_P256 = readFileSync(REAL.key, "utf8");

interface Case {
  /** Completes "names cause and remedy for …". */
  readonly name: string;
  /** `@name` stands for the path of a file in the test's folder. */
  readonly args: readonly string[];
  readonly code: string;
  readonly cause: RegExp;
  readonly remedy: RegExp;
  readonly files?: Readonly<Record<string, string | Uint8Array>>;
  readonly folders?: readonly string[];
  readonly surroundings?: Partial<Context>;
  readonly warnings?: number;
}

const files = {
  "html.json": "<!doctype html><title>404</title>",
  "empty.json": "",
  "truncated.json": readFileSync(REAL.bundle).subarray(0, 700),
  "private.pem": PRIVATE_KEY,
  "certificate.pem": CERTIFICATE,
  "text.pem": "no key",
  "binary.pub": new Uint8Array([0x30, 0x80, 0xff]),
};

const usage = (rest: Omit<Case, "code">): Case => ({ ...rest, code: "USAGE_INVALID" });
const withBundle = (path: string): readonly string[] => [
  "verify-blob",
  "--bundle",
  path,
  "--trusted-root",
  REAL.root,
  ...IDENTITY,
  REAL.artifact,
];
const withKey = (reference: string): readonly string[] => [
  "verify-blob",
  "--bundle",
  REAL.keyBundle,
  "--trusted-root",
  REAL.root,
  "--key",
  reference,
  REAL.artifact,
];
const withRoot = (path: string): readonly string[] => [
  "verify-blob",
  "--bundle",
  REAL.bundle,
  "--trusted-root",
  path,
  ...IDENTITY,
  REAL.artifact,
];
const verify = (...more: readonly string[]): readonly string[] => [...KEYLESS, ...more, REAL.artifact];
const attest = (...more: readonly string[]): readonly string[] => [...ATTESTED, ...more];
const create = (...more: readonly string[]): readonly string[] => ["trusted-root", "create", ...more];

const CASES: readonly Case[] = [
  // Files
  {
    name: "a missing bundle",
    args: withBundle("@missing.json"),
    code: "FILE_NOT_FOUND",
    cause: /bundle ".*missing\.json" does not exist/,
    remedy: /check the path/,
  },
  {
    name: "a missing artifact",
    args: [...KEYLESS, "@missing"],
    code: "FILE_NOT_FOUND",
    cause: /artifact ".*missing" does not exist/,
    remedy: /check the path/,
  },
  {
    name: "a missing trusted root",
    args: withRoot("@missing.json"),
    code: "FILE_NOT_FOUND",
    cause: /trusted root ".*" does not exist/,
    remedy: /check the path/,
  },
  {
    name: "a missing key",
    args: withKey("@missing.pub"),
    code: "FILE_NOT_FOUND",
    cause: /key ".*" does not exist/,
    remedy: /check the path/,
  },
  {
    name: "a directory as bundle",
    args: withBundle("@"),
    code: "FILE_IS_DIRECTORY",
    cause: /is a directory/,
    remedy: /name a file in it/,
  },
  {
    name: "a directory as artifact",
    args: [...KEYLESS, "@"],
    code: "FILE_IS_DIRECTORY",
    cause: /artifact ".*" is a directory/,
    remedy: /name a file/,
  },
  {
    name: "a path through a file",
    args: withBundle(`${REAL.artifact}/bundle.json`),
    code: "FILE_NOT_FOUND",
    cause: /does not exist/,
    remedy: /check the path/,
  },
  {
    name: "a page of HTML as bundle",
    args: withBundle("@html.json"),
    code: "BUNDLE_MALFORMED",
    cause: /html\.json: .*looks like HTML/,
    remedy: /check that the download/,
  },
  {
    name: "an empty bundle",
    args: withBundle("@empty.json"),
    code: "BUNDLE_MALFORMED",
    cause: /empty\.json: bundle is empty/,
    remedy: /check that the file is a Sigstore bundle/,
  },
  {
    name: "a truncated bundle",
    args: withBundle("@truncated.json"),
    code: "BUNDLE_MALFORMED",
    cause: /truncated\.json: bundle is cut off/,
    remedy: /fetch it again/,
  },
  {
    name: "a trusted root as bundle",
    args: withBundle(REAL.root),
    code: "BUNDLE_MEDIA_TYPE_UNSUPPORTED",
    cause: /this is a trusted root, not a bundle/,
    remedy: /--trusted-root/,
  },
  {
    name: "a bundle as trusted root",
    args: withRoot(REAL.bundle),
    code: "TRUSTED_ROOT_MALFORMED",
    cause: /not a trusted root/,
    remedy: /give the file trusted_root\.json/,
  },
  {
    name: "a page of HTML as trusted root",
    args: withRoot("@html.json"),
    code: "TRUSTED_ROOT_MALFORMED",
    cause: /html\.json: .*HTML/,
    remedy: /check that the download/,
  },
  {
    name: "an empty trusted root",
    args: withRoot("@empty.json"),
    code: "TRUSTED_ROOT_MALFORMED",
    cause: /is empty/,
    remedy: /check that the file is a trusted root/,
  },
  {
    name: "no bundle beside the artifact",
    args: ["verify-blob", "--trusted-root", REAL.root, ...IDENTITY, REAL.artifact],
    code: "BUNDLE_NOT_FOUND",
    cause: /no bundle.*hello\.txt\.sigstore\.json/,
    remedy: /give the bundle/,
  },
  {
    name: "no bundle for standard input",
    args: ["verify-blob", "--trusted-root", REAL.root, ...IDENTITY, "-"],
    code: "BUNDLE_NOT_FOUND",
    cause: /expected --bundle\)/,
    remedy: /give the bundle/,
  },
  {
    name: "a detached SCT that is none",
    args: verify("--sct", "@html.json"),
    code: "SCT_MALFORMED",
    cause: /html\.json: /,
    remedy: /./,
  },

  // What does not verify
  {
    name: "a bundle of another artifact",
    args: [...KEYLESS, REAL.other],
    code: "ARTIFACT_DIGEST_MISMATCH",
    cause: /expected sha256:5891.*found sha256:e258/,
    remedy: /fetch the artifact again/,
  },
  {
    name: "another identity",
    args: [
      "verify-blob",
      "--bundle",
      REAL.bundle,
      "--trusted-root",
      REAL.root,
      "--certificate-identity",
      "bob@example.com",
      "--certificate-oidc-issuer",
      REAL.issuer,
      REAL.artifact,
    ],
    code: "IDENTITY_MISMATCH",
    cause: /expected bob@example\.com; found alice@example\.com/,
    remedy: /do not use the artifact/,
  },
  {
    name: "another issuer",
    args: [
      "verify-blob",
      "--bundle",
      REAL.bundle,
      "--trusted-root",
      REAL.root,
      "--certificate-identity",
      REAL.identity,
      "--certificate-oidc-issuer",
      "https://example.com",
      REAL.artifact,
    ],
    code: "ISSUER_MISMATCH",
    cause: /expected https:\/\/example\.com; found http:\/\/127/,
    remedy: /do not use the artifact/,
  },
  {
    name: "another value of an extension",
    args: verify("--certificate-token-subject", "bob"),
    code: "EXTENSION_MISMATCH",
    cause: /expected bob; found alice@example\.com/,
    remedy: /do not use the artifact/,
  },
  {
    name: "the trusted root of another instance",
    args: withRoot(REAL.otherRoot),
    code: "TLOG_THRESHOLD_NOT_MET",
    cause: /expected 1; found 0/,
    remedy: /check that the trusted root/,
  },
  {
    name: "trust that had expired",
    args: withRoot("@expired.json"),
    code: "CERTIFICATE_NOT_VALID_AT_TIME",
    cause: /not trusted for that time \(expected 1999.*found 2026/,
    remedy: /./,
    files: { "expired.json": expiredRoot() },
  },
  {
    name: "another key",
    args: withKey(REAL.otherKey),
    code: "SIGNATURE_INVALID",
    cause: /does not verify/,
    remedy: /belong together/,
  },
  {
    name: "a key for a keyless bundle",
    args: ["verify-blob", "--bundle", REAL.bundle, "--trusted-root", REAL.root, "--key", REAL.key, REAL.artifact],
    code: "SIGNER_KIND_MISMATCH",
    cause: /certificate, not with a given key/,
    remedy: /identity and issuer/,
  },
  {
    name: "an identity for a bundle signed with a key",
    args: withBundle(REAL.keyBundle),
    code: "SIGNER_KIND_MISMATCH",
    cause: /proves no identity/,
    remedy: /give the public key/,
  },
  {
    name: "a key after its time",
    args: [...KEYED, "--key-valid-until", "2020-01-01T00:00:00Z", REAL.artifact],
    code: "KEY_NOT_VALID_AT_TIME",
    cause: /2020/,
    remedy: /./,
  },
  {
    name: "another predicate type",
    args: attest("--type", "slsaprovenance1", REAL.artifact),
    code: "PREDICATE_TYPE_MISMATCH",
    cause: /expected https:\/\/slsa\.dev\/provenance\/v1; found https:\/\/cosign/,
    remedy: /ask for the found type/,
  },
  {
    name: "a signature over a file as attestation",
    args: ["verify-blob-attestation", "--bundle", REAL.bundle, "--trusted-root", REAL.root, ...IDENTITY, REAL.artifact],
    code: "PREDICATE_TYPE_MISMATCH",
    cause: /bundle does not contain a DSSE envelope/,
    remedy: /use verify-blob/,
  },
  {
    name: "an attestation about another file",
    args: attest(REAL.other),
    code: "SUBJECT_MISMATCH",
    cause: /expected sha256:e258.*found sha256:5891/,
    remedy: /fetch the artifact again/,
  },
  {
    name: "the digest of another algorithm",
    args: [...KEYLESS, `sha512:${"0".repeat(128)}`],
    code: "DIGEST_ALGORITHM_MISMATCH",
    cause: /expected sha256; found sha512/,
    remedy: /give the artifact itself/,
  },

  // Keys
  usage({
    name: "a private key",
    args: withKey("@private.pem"),
    cause: /is a private key \(expected a public key/,
    remedy: /give the \.pub file/,
  }),
  usage({
    name: "a certificate as key",
    args: withKey("@certificate.pem"),
    cause: /is a certificate/,
    remedy: /openssl x509/,
  }),
  usage({ name: "a key in DER", args: withKey("@binary.pub"), cause: /is not text/, remedy: /openssl pkey/ }),
  { name: "text as key", args: withKey("@text.pem"), code: "PEM_MALFORMED", cause: /text\.pem: /, remedy: /in PEM/ },
  {
    name: "an empty key",
    args: withKey("@empty.json"),
    code: "PEM_MALFORMED",
    cause: /empty\.json: /,
    remedy: /in PEM/,
  },
  {
    name: "two keys in one file",
    args: withKey("@two.pub"),
    code: "PUBLIC_KEY_MALFORMED",
    cause: /two\.pub: .*2/,
    remedy: /./,
    files: { "two.pub": ECDSA_P256 + ECDSA_P256 },
  },
  usage({
    name: "a key in a variable that is not set",
    args: withKey("env://SIGNING_KEY"),
    cause: /variable SIGNING_KEY.* is empty or not set/,
    remedy: /set it/,
  }),
  usage({
    name: "a key in a key management service",
    args: withKey("awskms:///alias/x"),
    cause: /form awskms:… are not supported/,
    remedy: /export the public key/,
  }),
  usage({
    name: "a key in a token, without its PIN",
    args: withKey("pkcs11:token=t?pin-value=1234"),
    cause: /^(?!.*1234).*form pkcs11:…/,
    remedy: /export/,
  }),
  {
    name: "a key whose URL is not there",
    args: withKey("https://example.com/key.pub?token=abc"),
    code: "HTTP_STATUS_UNEXPECTED",
    cause: /^(?!.*token).*https:\/\/example\.com\/key\.pub answered with status 404/,
    remedy: /check the address/,
    surroundings: { fetch: () => Promise.resolve(new Response("", { status: 404 })) },
  },
  {
    name: "a key whose URL has no host",
    args: withKey("https://"),
    code: "URL_INVALID",
    cause: /cannot be read/,
    remedy: /check the address/,
  },
  {
    name: "an artifact whose URL is not there",
    args: [...KEYLESS, "https://example.com/app"],
    code: "HTTP_STATUS_UNEXPECTED",
    cause: /status 404/,
    remedy: /check the address/,
    surroundings: { fetch: () => Promise.resolve(new Response("", { status: 404 })) },
  },

  // Flags
  usage({
    name: "an unknown flag",
    args: verify("--frobnicate"),
    cause: /unknown flag: --frobnicate/,
    remedy: /see --help/,
  }),
  usage({
    name: "a misspelt flag",
    args: verify("--certificate-identty", "x"),
    cause: /unknown flag: --certificate-identty/,
    remedy: /did you mean --certificate-identity\?/,
  }),
  usage({
    name: "a flag without its value",
    args: [...KEYLESS, REAL.artifact, "--sct"],
    cause: /--sct needs a value/,
    remedy: /see --help/,
  }),
  usage({
    name: "a flag that is followed by another",
    args: ["verify-blob", "--bundle", "--trusted-root", REAL.root, REAL.artifact],
    cause: /--bundle needs a value, and is followed by "--trusted-root"/,
    remedy: /--bundle=VALUE/,
  }),
  usage({
    name: "a flag given twice",
    args: verify("--bundle", "other.json"),
    cause: /--bundle is given twice/,
    remedy: /give it once/,
  }),
  usage({
    name: "a bad boolean",
    args: verify("--insecure-ignore-sct=maybe"),
    cause: /invalid value "maybe" for --insecure-ignore-sct \(expected true or false\)/,
    remedy: /see --help/,
  }),
  usage({
    name: "a boolean's value without an equals sign",
    args: verify("--staging", "false"),
    cause: /"false" ".*hello\.txt" as operands/,
    remedy: /--flag=false/,
  }),
  usage({
    name: "a bad number",
    args: verify("--tlog-threshold", "one"),
    cause: /invalid value "one" for --tlog-threshold \(expected a whole number/,
    remedy: /see --help/,
  }),
  usage({
    name: "a negative number",
    args: verify("--tlog-threshold=-1"),
    cause: /invalid value "-1"/,
    remedy: /see --help/,
  }),
  usage({
    name: "a bad number of a flag that has no effect",
    args: verify("--max-workers", "x"),
    cause: /invalid value "x" for --max-workers/,
    remedy: /see --help/,
  }),
  usage({
    name: "a bad duration",
    args: verify("--timeout", "soon"),
    cause: /invalid duration "soon" for --timeout \(expected for instance 90s/,
    remedy: /see --help/,
  }),
  usage({
    name: "no time at all",
    args: verify("--timeout", "0s"),
    cause: /--timeout must be longer than nothing/,
    remedy: /see --help/,
  }),
  usage({
    name: "a bad time",
    args: [...KEYED, "--key-valid-from", "yesterday", REAL.artifact],
    cause: /invalid time "yesterday" for --key-valid-from \(expected RFC 3339/,
    remedy: /see --help/,
  }),
  usage({
    name: "a day that no month has",
    args: [...KEYED, "--key-valid-from", "2026-02-30T00:00:00Z", REAL.artifact],
    cause: /invalid time/,
    remedy: /see --help/,
  }),
  usage({
    name: "a window of a key that ends before it begins",
    args: [
      ...KEYED,
      "--key-valid-from",
      "2026-02-01T00:00:00Z",
      "--key-valid-until",
      "2026-01-01T00:00:00Z",
      REAL.artifact,
    ],
    cause: /is before/,
    remedy: /exchange/,
  }),
  usage({
    name: "a bad pattern",
    args: [
      "verify-blob",
      "--bundle",
      REAL.bundle,
      "--certificate-identity-regexp",
      "(",
      "--certificate-oidc-issuer",
      REAL.issuer,
      REAL.artifact,
    ],
    cause: /"\(" is not RE2 syntax: .*missing closing/,
    remedy: /see --help/,
  }),
  usage({
    name: "a bad object identifier",
    args: verify("--timestamp-policy", "best"),
    cause: /invalid value "best" for --timestamp-policy/,
    remedy: /see --help/,
  }),
  {
    name: "a bad witness",
    args: verify("--witness", "nobody"),
    code: "COSIGNATURE_MALFORMED",
    cause: /--witness: /,
    remedy: /./,
  },
  usage({
    name: "a digest that is too short",
    args: [...KEYLESS, "sha256:5891"],
    cause: /"sha256:5891" is not a digest/,
    remedy: /sha256sum/,
  }),
  usage({
    name: "a digest of an algorithm that signs nothing",
    args: [...KEYLESS, `sha1:${"0".repeat(40)}`],
    cause: /is not a digest \(expected sha256 with 64/,
    remedy: /sha256sum/,
  }),
  usage({
    name: "an unknown format",
    args: verify("--output", "xml"),
    cause: /invalid value "xml" for --output \(expected json or text\)/,
    remedy: /see --help/,
  }),
  usage({
    name: "an unknown profile",
    args: verify("--profile", "gitlab"),
    cause: /invalid value "gitlab" for --profile \(expected github\)/,
    remedy: /see --help/,
  }),
  usage({
    name: "an unknown predicate type",
    args: attest("--type", "nonsense", REAL.artifact),
    cause: /invalid predicate type: nonsense \(expected custom, /,
    remedy: /see --help/,
  }),
  usage({
    name: "an unknown digest algorithm",
    args: attest("--digest", REAL.sha256, "--digestAlg", "md5"),
    cause: /invalid value "md5" for --digestAlg/,
    remedy: /see --help/,
  }),
  usage({
    name: "a digest that is not hexadecimal",
    args: attest("--digest", "xyz", "--digestAlg", "sha256"),
    cause: /"sha256:xyz" is not a digest/,
    remedy: /sha256sum/,
  }),
  usage({
    name: "a digest without its algorithm",
    args: attest("--digest", REAL.sha256),
    cause: /must provide path to blob or digest and digestAlg/,
    remedy: /both --digest and --digestAlg/,
  }),
  usage({
    name: "no file for an attestation",
    args: attest(),
    cause: /must provide path to blob or digest and digestAlg/,
    remedy: /give the file/,
  }),

  // Flags that do not go together
  usage({
    name: "a key and an identity",
    args: verify("--key", REAL.key),
    cause: /exactly one of: key reference \(--key\) or certificate identity/,
    remedy: /use --key if/,
  }),
  usage({
    name: "an identity and a pattern",
    args: verify("--certificate-identity-regexp", ".*"),
    cause: /Given are --certificate-identity and --certificate-identity-regexp/,
    remedy: /./,
  }),
  usage({
    name: "an issuer and a pattern",
    args: verify("--certificate-oidc-issuer-regexp", ".*"),
    cause: /only one of --certificate-oidc-issuer and/,
    remedy: /leave one out/,
  }),
  usage({
    name: "an issuer for a key",
    args: [...KEYED, "--certificate-oidc-issuer", "x", REAL.artifact],
    cause: /no meaning with --key/,
    remedy: /leave one/,
  }),
  usage({
    name: "an extension for a key",
    args: [...KEYED, "--certificate-github-workflow-ref", "x", REAL.artifact],
    cause: /no meaning with --key/,
    remedy: /leave one/,
  }),
  usage({
    name: "a window without a key",
    args: verify("--key-valid-until", "2026-01-01T00:00:00Z"),
    cause: /--key-valid-until needs --key/,
    remedy: /give the key/,
  }),
  usage({
    name: "staging and a trusted root",
    args: verify("--staging"),
    cause: /--staging names a trusted root/,
    remedy: /leave one/,
  }),
  usage({
    name: "two times to judge by",
    args: verify("--use-current-time", "--time-threshold", "1"),
    cause: /only one of --use-current-time and --time-threshold/,
    remedy: /leave one out/,
  }),
  usage({
    name: "neither identity nor key",
    args: ["verify-blob", "--bundle", REAL.bundle, REAL.artifact],
    cause: /--certificate-identity or --certificate-identity-regexp is required for verification in keyless mode/,
    remedy: /name whom you expect/,
  }),
  usage({
    name: "no issuer",
    args: ["verify-blob", "--bundle", REAL.bundle, "--certificate-identity", "x", REAL.artifact],
    cause: /--certificate-oidc-issuer or --certificate-oidc-issuer-regexp is required/,
    remedy: /name who vouches/,
  }),
  usage({
    name: "nothing to verify with",
    args: ["verify-blob", REAL.artifact],
    cause:
      /provide a key with --key or --sk, a certificate to verify against with --certificate, or a bundle with --bundle/,
    remedy: /give the bundle/,
  }),

  // Commands and operands
  usage({
    name: "an unknown command",
    args: ["frobnicate"],
    cause: /unknown command: frobnicate/,
    remedy: /see cosign-ts --help/,
  }),
  usage({
    name: "a misspelt command",
    args: ["verify-blb"],
    cause: /unknown command: verify-blb/,
    remedy: /did you mean verify-blob\?/,
  }),
  usage({
    name: "a command that cosign alone has",
    args: ["upload", "blob"],
    cause: /command "upload" of cosign is not here/,
    remedy: /use cosign/,
  }),
  usage({
    name: "an unknown command of a group",
    args: ["bundle", "crate"],
    cause: /unknown command: bundle crate/,
    remedy: /there is bundle inspect/,
  }),
  usage({
    name: "no file",
    args: ["verify-blob", "--bundle", REAL.bundle],
    cause: /verify-blob needs FILE/,
    remedy: /see cosign-ts verify-blob --help/,
  }),
  usage({
    name: "two files",
    args: [...KEYLESS, "a file", "another"],
    cause: /takes one operand, and is given 2: "a file" "another"/,
    remedy: /run it once for each, and quote/,
  }),
  usage({
    name: "an operand for a command that takes none",
    args: ["version", "x"],
    cause: /version takes no operands, and is given "x"/,
    remedy: /--help/,
  }),
  usage({
    name: "an unknown shell",
    args: ["completion", "tcsh"],
    cause: /no completion for the shell "tcsh" \(expected bash or zsh/,
    remedy: /see --help/,
  }),

  // Storage and trust
  {
    name: "an output file in a folder that is not there",
    args: verify("--output-file", "@no/file"),
    code: "WRITE_FAILED",
    cause: /could not write ".*file": its folder does not exist/,
    remedy: /make the folder/,
  },
  {
    name: "an output file that is a directory",
    args: verify("--output-file", "@"),
    code: "WRITE_FAILED",
    cause: /it is a directory/,
    remedy: /name a file in it/,
  },
  {
    name: "an output file on a device that is full",
    args: ["version", "--output-file", "/dev/full"],
    code: "WRITE_FAILED",
    cause: /no space is left/,
    remedy: /make space/,
  },
  {
    name: "a cache that cannot be read",
    args: ["verify-blob", "--bundle", REAL.bundle, "--offline", ...IDENTITY, REAL.artifact],
    code: "CACHE_UNREADABLE",
    cause: /could not read the TUF cache .*timestamp\.json/,
    remedy: /make it readable, or name another folder with TUF_ROOT/,
    folders: ["tuf-repo-cdn.sigstore.dev/timestamp.json"],
    surroundings: { environment: { TUF_ROOT: "@" } },
  },
  {
    name: "an instance that is unknown",
    args: ["initialize", "--mirror", "https://tuf.example.com"],
    code: "TUF_ROOT_MISSING",
    cause: /no root to begin the trust in https:\/\/tuf\.example\.com with/,
    remedy: /--root FILE/,
  },
  {
    name: "a repository that does not answer",
    args: ["initialize", "--mirror", "https://tuf.example.com", "--root", REAL.tufRoot],
    code: "TUF_REFRESH_FAILED",
    cause: /could not reach TUF repository \(https:\/\/tuf\.example\.com/,
    remedy: /check the network/,
    surroundings: { fetch: () => Promise.reject(new TypeError("fetch failed")), environment: { TUF_ROOT: "@" } },
  },
  {
    name: "a mirror that is no address",
    args: ["initialize", "--mirror", "tuf.example.com"],
    code: "URL_INVALID",
    cause: /"tuf\.example\.com" is not a URL/,
    remedy: /check the address/,
  },
  {
    name: "a TUF root that is not there",
    args: ["verify-blob", "--bundle", REAL.bundle, ...IDENTITY, REAL.artifact],
    code: "FILE_NOT_FOUND",
    cause: /TUF root ".*none\.json" does not exist/,
    remedy: /check the path/,
    surroundings: { environment: { TUF_ROOT_JSON: "@none.json" } },
  },
  usage({
    name: "a root that has another checksum",
    args: [
      "initialize",
      "--mirror",
      "https://tuf.example.com",
      "--root",
      "@html.json",
      "--root-checksum",
      "0".repeat(64),
    ],
    cause: /another checksum \(expected sha256:0000.*found sha256:/,
    remedy: /do not use this root/,
  }),
  usage({
    name: "a checksum that is none",
    args: ["initialize", "--mirror", "https://tuf.example.com", "--root", "@html.json", "--root-checksum", "abc"],
    cause: /invalid --root-checksum "abc"/,
    remedy: /see --help/,
  }),
  usage({
    name: "a checksum without a root",
    args: ["initialize", "--root-checksum", "0".repeat(64)],
    cause: /--root-checksum needs --root/,
    remedy: /give the root/,
  }),
  usage({
    name: "staging and a mirror",
    args: ["initialize", "--staging", "--mirror", "https://tuf.example.com"],
    cause: /--staging names a mirror/,
    remedy: /leave one/,
  }),
  usage({
    name: "a trusted root for nobody",
    args: create(),
    cause: /without any service trusts nobody/,
    remedy: /give --fulcio/,
  }),

  // Formats that are not bundles
  usage({
    name: "a signature beside a bundle",
    args: verify("--signature", "s"),
    cause: /signature may not be provided using --signature when the bundle is a Sigstore bundle/,
    remedy: /leave --signature out/,
    warnings: 1,
  }),
  usage({
    name: "a certificate beside a bundle",
    args: verify("--cert", "c"),
    cause: /certificate must be in bundle and may not be provided using --certificate/,
    remedy: /leave --certificate out/,
    warnings: 1,
  }),
  usage({
    name: "the format before bundles",
    args: verify("--new-bundle-format=false"),
    cause: /--new-bundle-format is false, but the bundle is a Sigstore bundle/,
    remedy: /the format is found out/,
    warnings: 1,
  }),
  usage({
    name: "a signature that is neither a file nor base64",
    args: ["verify-blob", "--key", REAL.key, "--signature", "app.sig", REAL.artifact],
    cause: /--signature "app.sig" is neither a file nor base64/,
    remedy: /check the path/,
    warnings: 1,
  }),
  usage({
    name: "a hardware token",
    args: verify("--sk"),
    cause: /hardware tokens \(--sk\) are not supported/,
    remedy: /export the public key/,
    warnings: 1,
  }),
  usage({
    name: "a hardware token and a key",
    args: [...KEYED, "--sk", REAL.artifact],
    cause:
      /exactly one of: key reference \(--key\), certificate \(--cert\) or hardware token \(--sk\) must be provided/,
    remedy: /leave all but one/,
    warnings: 1,
  }),
];

/** A root whose authority was trusted in another century only. */
function expiredRoot(): string {
  const real = JSON.parse(readFileSync(REAL.root, "utf8")) as { certificateAuthorities: { validFor: object }[] };
  for (const authority of real.certificateAuthorities)
    authority.validFor = { start: "1999-01-01T00:00:00Z", end: "1999-12-31T00:00:00Z" };
  return JSON.stringify(real);
}

/** Asserts that a refusal is one line with cause, remedy and code, after nothing but warnings. */
function expectRefusal(
  { status, stderr }: Run,
  { code, cause, remedy, warnings = 0 }: Omit<Case, "name" | "args">,
): void {
  const lines = stderr.split("\n");
  expect(lines.pop()).toBe("");
  const error = lines.pop() ?? "";
  expect(lines.map((line) => line.split(" ")[0])).toEqual(Array.from({ length: warnings }, () => "WARNING:"));
  const [, message = "", advice = "", foundCode] =
    /^Error: (.*?); ([^;]*(?:; [^;]*)*) \[([A-Z0-9_]+)\]$/.exec(error) ?? [];
  expect(foundCode, stderr).toBe(code);
  expect(error.slice("Error: ".length)).toMatch(cause);
  expect(message).not.toBe("");
  expect(advice).toMatch(remedy);
  expect(stderr).not.toMatch(/\n {4}at |node:internal/);
  expect(status).toBe(1);
}

describe("an error", () => {
  test("is told for enough kinds of mistakes", () => {
    expect(CASES.length).toBeGreaterThan(80);
  });

  test.each(CASES.map((one) => [one.name, one] as const))(
    "is one line that names cause and remedy for %s",
    async (_, one) => {
      const folder = temporaryFolder();
      for (const [name, content] of Object.entries({ ...files, ...one.files }))
        writeFileSync(join(folder, name), content);
      for (const name of one.folders ?? []) mkdirSync(join(folder, name), { recursive: true });
      const place = (text: string): string => (text.startsWith("@") ? join(folder, text.slice(1)) : text);
      const environment = Object.fromEntries(
        Object.entries(one.surroundings?.environment ?? {}).map(([name, value]) => [name, place(value ?? "")]),
      );
      const run = await runInProcess(one.args.map(place), { ...one.surroundings, environment });
      expect(run.stdout).toBe("");
      expectRefusal(run, one);
    },
  );

  test("is written in JSON too where that was asked for, whichever part of the program meets it", async () => {
    const cases = [
      ["USAGE_INVALID", verify("--output", "json", "--tlog-threshold", "1", "--staging")],
      ["USAGE_INVALID", ["verify-blob", "--output", "json"]],
      ["FILE_NOT_FOUND", [...withBundle("/nonexistent"), "--output=json"]],
      ["ARTIFACT_DIGEST_MISMATCH", [...KEYLESS, "-o", "json", REAL.other]],
      ["PREDICATE_TYPE_MISMATCH", attest("-o=json", "--type", "vuln", REAL.artifact)],
      ["FILE_NOT_FOUND", ["bundle", "inspect", "-o", "json", "/nonexistent"]],
    ] as const;
    for (const [code, args] of cases) {
      const run = await runInProcess(args);
      const printed = JSON.parse(run.stdout) as { verdict: string; error: { code: string; remedy: string } };
      expect(run.stdout.split("\n")).toHaveLength(2);
      expect(printed).toMatchObject({ version: 1, verdict: "refused", error: { code } });
      expect(printed.error.remedy).not.toBe("");
      expectRefusal(run, { code, cause: /./, remedy: /./ });
    }
  });

  test("names the variable where the wrong value came from the environment", async () => {
    const run = await runInProcess(verify(), { environment: { COSIGN_TLOG_THRESHOLD: "x" } });
    expect(run.stderr).toContain('invalid value "x" for COSIGN_TLOG_THRESHOLD in the environment');
    const both = await runInProcess(verify(), { environment: { COSIGN_KEY: "cosign.pub" } });
    expect(both.stderr).toContain("Given are COSIGN_KEY in the environment and --certificate-identity");
  });

  test("does not take control characters of a bundle or of an operand to the terminal", async () => {
    const folder = temporaryFolder();
    mkdirSync(join(folder, "\u001b[31m"));
    const run = await runInProcess([...KEYLESS, join(folder, "\u001b[31m")]);
    expect(run.stderr).not.toMatch(/[\u0000-\u0009\u000b-\u001f]/);
  });

  test("of a root of a stranger's authority is told with what was found", async () => {
    const folder = temporaryFolder();
    const sandbox = makeSandbox();
    const real = JSON.parse(readFileSync(REAL.root, "utf8")) as object;
    writeFileSync(join(folder, "root.json"), JSON.stringify({ ...real, certificateAuthorities: [listCa(sandbox.ca)] }));
    expectRefusal(await runInProcess(withRoot(join(folder, "root.json"))), {
      code: "CERTIFICATE_ISSUER_UNKNOWN",
      cause: /./,
      remedy: /check that the trusted root/,
    });
    writeFileSync(join(folder, "root.json"), rootText(sandbox));
    expectRefusal(await runInProcess(withRoot(join(folder, "root.json"))), {
      code: "TLOG_THRESHOLD_NOT_MET",
      cause: /./,
      remedy: /check that the trusted root/,
    });
  });
});
