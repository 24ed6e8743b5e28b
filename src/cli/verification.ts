/**
 * What the verifying commands share: cosign's flags, read into a policy, verifier options, trust and an artifact.
 *
 * @module
 */

import { parsePublicKeyPem, type PublicKey } from "../crypto/public-key.ts";
import { DIGEST_LENGTH, tryParseDigest, type Digest } from "../crypto/digest.ts";
import { defaultCryptoProvider } from "../crypto/provider.ts";
import { tryDecodeHex } from "../encoding/hex.ts";
import { tryDecodeUtf8 } from "../encoding/utf8.ts";
import { parseBundle, type Bundle } from "../bundle/bundle.ts";
import { InputError, SigstoreError } from "../errors.ts";
import { exists, openArtifactFile, readInputFile } from "../files/read-file.ts";
import { resolveTrust } from "../files/verify-file.ts";
import { fetchBytes, fetchStream } from "../http/request.ts";
import { MAX_BUNDLE_BYTES, MAX_KEY_FILE_BYTES, MAX_TRUST_FILE_BYTES } from "../limits.ts";
import { parseWitnessKey, type WitnessKey } from "../tlog/cosignature.ts";
import type { TimeRange } from "../trust/time-range.ts";
import { parseTrustedRoot } from "../trust/trusted-root.ts";
import type { Artifact } from "../verify/artifact.ts";
import type { VerifiedBundle } from "../verify/evidence.ts";
import type { ExpectedIdentity, StringMatcher } from "../verify/identity.ts";
import { GITHUB_PROFILE, type TimePolicy, type TrustedKey, type VerifierOptions, type VerifyPolicy } from "../verify/options.ts";
import { Verifier } from "../verify/verifier.ts";
import { FULCIO_EXTENSIONS, type FulcioExtensions } from "../x509/fulcio.ts";
import { parseDetachedSct } from "../x509/sct.ts";
import { createProgress, notice, warn, type Context } from "./context.ts";
import { usage, type Flag, type Flags } from "./flags.ts";

const REQUEST_TIMEOUT_MS = 30_000;
/** Artifacts from a URL are streamed; this only ends an endless answer. */
const MAX_ARTIFACT_URL_BYTES = Number.MAX_SAFE_INTEGER;

// cosign's own flags for GitHub, with the field that each compares. The other fields have flags of ours, named after them.
const GITHUB_FLAGS: Readonly<Partial<Record<keyof FulcioExtensions, string>>> = {
  githubWorkflowTrigger: "certificate-github-workflow-trigger",
  githubWorkflowSHA: "certificate-github-workflow-sha",
  githubWorkflowName: "certificate-github-workflow-name",
  githubWorkflowRepository: "certificate-github-workflow-repository",
  githubWorkflowRef: "certificate-github-workflow-ref",
};

/** Lists the flag of each Fulcio extension. */
const EXTENSION_FLAGS = FULCIO_EXTENSIONS.filter(({ field }) => field !== "issuer").map(({ field, title }) => ({
  field,
  title,
  name: GITHUB_FLAGS[field] ?? `certificate-${kebab(field)}`,
}));

const NOT_BUNDLE = "only Sigstore bundles are verified: give --bundle";

/** Are the flags of every command that verifies a bundle. */
export const VERIFICATION_FLAGS: readonly Flag[] = [
  { name: "bundle", kind: "string", value: "FILE", description: "the Sigstore bundle; otherwise FILE.sigstore.json, then FILE.sigstore" },
  { name: "key", kind: "string", value: "FILE", description: "the public key: a file, an https:// URL, or env://NAME" },
  { name: "key-valid-from", kind: "string", value: "TIME", description: "the key signed nothing before this time" },
  { name: "key-valid-until", kind: "string", value: "TIME", description: "the key signed nothing after this time" },
  { name: "certificate-identity", kind: "string", description: "the subject alternative name of the certificate, exactly" },
  { name: "certificate-identity-regexp", kind: "string", value: "PATTERN", description: "the same as an RE2 pattern; anchor it with ^ and $" },
  { name: "certificate-oidc-issuer", kind: "string", value: "URL", description: "the OIDC issuer of the certificate, exactly" },
  { name: "certificate-oidc-issuer-regexp", kind: "string", value: "PATTERN", description: "the same as an RE2 pattern; anchor it with ^ and $" },
  ...EXTENSION_FLAGS.map(({ name, title }): Flag => ({ name, kind: "string", description: `${title} of the certificate, exactly` })),
  { name: "trusted-root", kind: "string", value: "FILE", description: "the trusted root, in place of the one from TUF" },
  { name: "profile", kind: "string", value: "NAME", description: "github: GitHub's instance for private repositories, with a timestamp and no logs" },
  { name: "staging", kind: "boolean", description: "trust the public staging instance" },
  { name: "offline", kind: "boolean", description: "open no socket: use cached or embedded trust, even if expired" },
  { name: "use-signed-timestamps", kind: "boolean", description: "require an RFC 3161 timestamp" },
  { name: "tlog-threshold", kind: "number", description: "transparency logs that must vouch (default 1)" },
  { name: "timestamp-threshold", kind: "number", description: "timestamp authorities that must vouch (default 0)" },
  { name: "sct-threshold", kind: "number", description: "certificate transparency logs that must vouch (default 1)" },
  { name: "time-threshold", kind: "number", description: "authorities that must vouch for a time, logs included" },
  { name: "use-current-time", kind: "boolean", description: "check a long-lived certificate or key at the current time too" },
  { name: "witness", kind: "strings", value: "VKEY", description: "a witness whose checkpoint cosignatures count; may be repeated" },
  { name: "witness-threshold", kind: "number", description: "witnesses that must have cosigned (default 0)" },
  { name: "minimum-bundle-version", kind: "string", value: "VERSION", description: "refuse older bundles: 0.1, 0.2 or 0.3" },
  { name: "require-inclusion-proof", kind: "boolean", description: "refuse a mere promise of inclusion" },
  { name: "require-log-key-validity", kind: "boolean", description: "refuse a log entry whose log key no verified time speaks for" },
  { name: "timestamp-policy", kind: "string", value: "OID", description: "the policy that every RFC 3161 timestamp must name" },
  { name: "allow-certificate-chain", kind: "boolean", description: "take intermediate certificates from the bundle" },
  { name: "sct", kind: "string", value: "FILE", description: "a detached SCT: the answer of a certificate transparency log as JSON" },
  { name: "insecure-ignore-tlog", kind: "boolean", description: "do not require a transparency log (unsafe)" },
  { name: "insecure-ignore-sct", kind: "boolean", description: "do not require a signed certificate timestamp (unsafe)" },
  { name: "output", short: "o", kind: "string", value: "FORMAT", description: "write the result to standard output: json or text" },
  { name: "explain", kind: "boolean", description: "print each check with its outcome and the section that demands it" },
  { name: "private-infrastructure", kind: "boolean", description: "", deprecated: "use --tlog-threshold=0" },
  { name: "new-bundle-format", kind: "boolean", description: "", deprecated: "it is the only format" },
  { name: "max-workers", kind: "number", description: "", deprecated: "it has no effect on files" },
  { name: "experimental-oci11", kind: "boolean", description: "", deprecated: "it has no effect on files" },
  { name: "rekor-url", kind: "string", description: "", deprecated: "logs are named by the trusted root" },
  ...["certificate", "certificate-chain", "ca-roots", "ca-intermediates", "signature", "rfc3161-timestamp", "timestamp-certificate-chain"].map(
    (name): Flag => ({ name, kind: "string", description: "", deprecated: "use --bundle and --trusted-root" }),
  ),
  { name: "signature-digest-algorithm", kind: "string", description: "", deprecated: "the algorithm is that of the key" },
  { name: "sk", kind: "boolean", description: "", deprecated: "hardware tokens are not supported: give the public key with --key" },
  { name: "slot", kind: "string", description: "", deprecated: "hardware tokens are not supported" },
];

/** Is everything that a verifying command works with. */
export interface Prepared {
  readonly bundle: Bundle;
  readonly policy: VerifyPolicy;
  readonly verifier: Verifier;
}

/**
 * Reads the flags and files of a verification. Flags are checked first, so that a wrong one is told before anything is fetched.
 *
 * @param operand - The artifact as it was given, beside which a bundle is looked for.
 * @throws {@link InputError}, {@link FormatError}, {@link TrustError}.
 */
export async function prepareVerification(operand: string | undefined, flags: Flags, context: Context, what: string): Promise<Prepared> {
  refuseLegacy(flags);
  const signer = await readSigner(flags, context);
  const options = await readOptions(flags, context, what);
  const sct = flags.string("sct");
  const detachedScts = sct === undefined ? undefined : [parseDetachedSct(await readInputFile(sct, MAX_TRUST_FILE_BYTES, "SCT"))];
  const bundle = await readBundle(operand, flags, context);
  const time = options.time ?? timeForBundle(bundle, flags, context);
  const trust = await loadTrust(flags, context);
  const verifier = await Verifier.create(trust.trustedRoot, { ...options, time, trustSource: trust.source });
  return { bundle, policy: { ...signer, detachedScts }, verifier };
}

/** Opens the artifact: a digest, standard input, a URL or a file. A name that exists as a file is that file. */
export async function openArtifact(operand: string, context: Context): Promise<{ readonly artifact: Exclude<Artifact, "unsafe-any">; end(): void }> {
  const progress = createProgress(context, "Reading the artifact");
  const end = (): void => progress.end();
  if (operand === "-") return { artifact: context.stdin, end };
  if (/^https?:\/\//.test(operand)) {
    const { stream, length } = await fetchStream(operand, MAX_ARTIFACT_URL_BYTES, {
      fetch: context.fetch,
      timeoutMs: 2 ** 31 - 1,
      signal: context.signal,
    });
    return { artifact: counted(stream, length ?? 0, progress.update), end };
  }
  if (/^sha(256|384|512):/.test(operand) && !(await exists(operand))) {
    const digest = tryParseDigest(operand);
    if (digest === undefined) throw wrongDigest(operand);
    return { artifact: { digests: [digest] }, end };
  }
  return { artifact: await openArtifactFile(operand, progress.update), end };
}

/** Reads `--digest` and `--digestAlg`. */
export function readDigest(hex: string, algorithm: Digest["algorithm"]): Digest {
  const value = tryDecodeHex(hex);
  if (value === undefined || value.length !== DIGEST_LENGTH[algorithm]) throw wrongDigest(`${algorithm}:${hex}`);
  return { algorithm, value };
}

/** Prints the outcome of a verification as the flags ask for it, and returns the exit status. */
export async function report(flags: Flags, context: Context, verification: () => Promise<VerifiedBundle>): Promise<number> {
  const format = flags.choice("output", ["json", "text"]);
  const explain = flags.boolean("explain");
  const sink = format === "text" ? context.stdout : context.stderr;
  try {
    const evidence = await verification();
    if (format === undefined) notice(context, "Verified OK");
    if (format === "json") {
      const { evidenceToJson } = await import("../report/json.ts");
      context.stdout.write(`${JSON.stringify(evidenceToJson(evidence))}\n`);
    }
    if (format === "text" || explain) {
      const { checksToText, evidenceToText } = await import("../report/text.ts");
      if (format === "text") context.stdout.write(`${evidenceToText(evidence)}\n`);
      if (explain) sink.write(`${checksToText(evidence.checks)}\n`);
    }
    return 0;
  } catch (error) {
    if (!(error instanceof SigstoreError)) throw error;
    if (format === "json") {
      const { refusalToJson } = await import("../report/json.ts");
      context.stdout.write(`${JSON.stringify(refusalToJson(error))}\n`);
    }
    if (explain && error.report !== undefined) {
      const { checksToText } = await import("../report/text.ts");
      sink.write(`${checksToText(error.report)}\n`);
    }
    throw error;
  }
}

/** Checks output flags before work begins. */
export function checkOutputFlags(flags: Flags): void {
  flags.choice("output", ["json", "text"]);
  flags.boolean("explain");
}

function refuseLegacy(flags: Flags): void {
  if (flags.boolean("sk")) throw usage("hardware tokens (--sk) are not supported", "the public key with --key");
  if (!flags.boolean("new-bundle-format", true)) throw usage(`--new-bundle-format=false is not supported: ${NOT_BUNDLE}`);
  for (const name of ["certificate", "certificate-chain", "ca-roots", "ca-intermediates", "signature", "rfc3161-timestamp", "timestamp-certificate-chain"]) {
    if (flags.has(name)) throw usage(`--${name} is not supported: ${NOT_BUNDLE}, and for an authority of your own a --trusted-root`);
  }
}

async function readSigner(
  flags: Flags,
  context: Context,
): Promise<{ identity: ExpectedIdentity } | { keys: readonly [TrustedKey, ...TrustedKey[]] }> {
  const key = flags.string("key");
  const given = ["certificate-identity", "certificate-identity-regexp"].filter((name) => flags.string(name) !== undefined);
  const extensions = EXTENSION_FLAGS.filter(({ name }) => flags.string(name) !== undefined);
  if (given.length > 1) throw usage("only one of --certificate-identity and --certificate-identity-regexp may be given");
  if (key !== undefined) {
    if (given.length > 0) {
      throw new InputError(
        "USAGE_INVALID",
        "exactly one of: key reference (--key) or certificate identity (--certificate-identity or --certificate-identity-regexp), must be provided",
        { remedy: "use --key if the bundle's verificationMaterial holds a publicKey, an identity if it holds a certificate" },
      );
    }
    const [extension] = [...extensions.map(({ name }) => name), ...issuerFlags(flags)];
    if (extension !== undefined) throw usage(`--${extension} has no meaning with --key: a key has no certificate`);
    const validFor = readKeyWindow(flags);
    return { keys: [{ publicKey: await readPublicKey(key, context), name: key, ...(validFor === undefined ? {} : { validFor }) }] };
  }
  if (flags.has("key-valid-from") || flags.has("key-valid-until")) throw usage("--key-valid-from and --key-valid-until need --key");
  if (given.length === 0) throw usage("--certificate-identity or --certificate-identity-regexp is required for verification in keyless mode");
  const issuers = issuerFlags(flags);
  if (issuers.length === 0) throw usage("--certificate-oidc-issuer or --certificate-oidc-issuer-regexp is required for verification in keyless mode");
  if (issuers.length > 1) throw usage("only one of --certificate-oidc-issuer and --certificate-oidc-issuer-regexp may be given");
  return {
    identity: {
      subjectAlternativeName: await readMatcher("certificate-identity", flags, context),
      issuer: await readMatcher("certificate-oidc-issuer", flags, context),
      extensions: Object.fromEntries(extensions.map(({ name, field }) => [field, flags.string(name)])),
    },
  };
}

function issuerFlags(flags: Flags): readonly string[] {
  return ["certificate-oidc-issuer", "certificate-oidc-issuer-regexp"].filter((name) => flags.string(name) !== undefined);
}

async function readMatcher(name: string, flags: Flags, context: Context): Promise<StringMatcher> {
  const exact = flags.string(name);
  if (exact !== undefined) return exact;
  const { compilePattern } = await import("../policy/pattern.ts");
  const pattern = compilePattern(flags.string(`${name}-regexp`) ?? "");
  if (!pattern.anchored) warn(context, `--${name}-regexp is not anchored: it matches any value that contains it; write ^…$`);
  return pattern;
}

function readKeyWindow(flags: Flags): TimeRange | undefined {
  const start = flags.time("key-valid-from");
  const end = flags.time("key-valid-until");
  if (start === undefined && end === undefined) return undefined;
  return { start: start ?? new Date(-8_640_000_000_000_000), ...(end === undefined ? {} : { end }) };
}

async function readPublicKey(reference: string, context: Context): Promise<PublicKey> {
  const text = tryDecodeUtf8(await readKeyBytes(reference, context));
  if (text === undefined) throw new InputError("USAGE_INVALID", `key ${JSON.stringify(reference)} is not PEM text`);
  if (/-----BEGIN [A-Z ]*PRIVATE KEY-----/.test(text)) {
    throw new InputError("USAGE_INVALID", `key ${JSON.stringify(reference)} is a private key`, { expected: "a public key", remedy: "give the .pub file" });
  }
  return parsePublicKeyPem(text);
}

async function readKeyBytes(reference: string, context: Context): Promise<Uint8Array> {
  if (reference.startsWith("env://")) {
    const name = reference.slice("env://".length);
    const value = context.environment[name] ?? "";
    if (value === "") throw usage(`environment variable ${name}, which --key names, is empty or not set`);
    return Buffer.from(value);
  }
  if (/^https?:\/\//.test(reference)) {
    return await fetchBytes(reference, MAX_KEY_FILE_BYTES, { fetch: context.fetch, timeoutMs: REQUEST_TIMEOUT_MS, signal: context.signal });
  }
  if (/^([a-z0-9+.-]+:\/\/|pkcs11:)/.test(reference)) throw usage(`key references like ${JSON.stringify(reference)} are not supported`, "a file, https:// or env://");
  return await readInputFile(reference, MAX_KEY_FILE_BYTES, "key");
}

async function readOptions(flags: Flags, context: Context, what: string): Promise<VerifierOptions> {
  const profile = flags.choice("profile", ["github"]);
  const base = profile === "github" ? GITHUB_PROFILE.thresholds : { tlog: 1, sct: 1, timestamp: 0 };
  if (flags.boolean("insecure-ignore-tlog")) {
    warn(context, `Skipping tlog verification is an insecure practice that lacks transparency and auditability verification for the ${what}.`);
  }
  if (flags.boolean("insecure-ignore-sct")) warn(context, "Skipping SCT verification accepts certificates that were never made public.");
  const ignoreTlog = flags.boolean("insecure-ignore-tlog") || flags.boolean("private-infrastructure");
  const observed = flags.number("time-threshold");
  const currentTime = flags.boolean("use-current-time");
  if (currentTime && observed !== undefined) throw usage("only one of --use-current-time and --time-threshold may be given");
  const time: TimePolicy | undefined = currentTime
    ? { kind: "current-time", now: context.now() }
    : observed === undefined
      ? undefined
      : { kind: "observed", threshold: observed };
  return {
    thresholds: {
      tlog: flags.number("tlog-threshold") ?? (ignoreTlog ? 0 : base.tlog),
      sct: flags.number("sct-threshold") ?? (flags.boolean("insecure-ignore-sct") ? 0 : base.sct),
      timestamp: flags.number("timestamp-threshold") ?? (flags.boolean("use-signed-timestamps") ? 1 : base.timestamp),
      witness: flags.number("witness-threshold"),
    },
    time,
    witnesses: await readWitnesses(flags.strings("witness")),
    minimumBundleVersion: flags.choice("minimum-bundle-version", ["0.1", "0.2", "0.3"]),
    requireInclusionProof: flags.boolean("require-inclusion-proof"),
    requireLogKeyValidity: flags.boolean("require-log-key-validity"),
    timestampPolicy: flags.string("timestamp-policy"),
    allowCertificateChain: flags.boolean("allow-certificate-chain"),
  };
}

/** As cosign: a certificate without log and timestamp is judged by the current time, once the log was given up. */
function timeForBundle(bundle: Bundle, flags: Flags, context: Context): TimePolicy | undefined {
  const { tlogEntries, rfc3161Timestamps, content } = bundle.verificationMaterial;
  const ignoreTlog = flags.boolean("insecure-ignore-tlog") || flags.boolean("private-infrastructure");
  if (!ignoreTlog || content.kind === "publicKey" || tlogEntries.length + rfc3161Timestamps.length > 0) return undefined;
  return { kind: "current-time", now: context.now() };
}

async function readWitnesses(vkeys: readonly string[]): Promise<readonly WitnessKey[]> {
  return await Promise.all(vkeys.map((vkey) => parseWitnessKey(vkey, defaultCryptoProvider())));
}

async function readBundle(operand: string | undefined, flags: Flags, context: Context): Promise<Bundle> {
  const path = flags.string("bundle");
  if (path !== undefined) return parseBundle(await readInputFile(path, MAX_BUNDLE_BYTES, "bundle"));
  // Client specification §4.1.1
  if (operand !== undefined && operand !== "-") {
    for (const candidate of [`${operand}.sigstore.json`, `${operand}.sigstore`]) {
      if (!(await exists(candidate))) continue;
      notice(context, `Using the bundle ${candidate}`);
      return parseBundle(await readInputFile(candidate, MAX_BUNDLE_BYTES, "bundle"));
    }
  }
  throw new InputError("BUNDLE_NOT_FOUND", "there is no bundle to verify with", {
    expected: operand === undefined ? "--bundle" : `--bundle, or a file ${operand}.sigstore.json`,
    remedy: "give the bundle that was made when the file was signed",
  });
}

async function loadTrust(flags: Flags, context: Context): ReturnType<typeof resolveTrust> {
  const path = flags.string("trusted-root");
  const profile = flags.choice("profile", ["github"]);
  const staging = flags.boolean("staging");
  if (staging && (path !== undefined || profile !== undefined)) throw usage("--staging names a trusted root, so --trusted-root and --profile cannot be given too");
  if (path !== undefined) return await resolveTrust({ path });
  if (needsNoTrust(flags)) return { trustedRoot: EMPTY_ROOT, source: { kind: "caller" }, notices: [] };
  const instance = staging ? "staging" : profile;
  const loaded = await resolveTrust({
    ...(instance === undefined ? { mirror: context.environment["TUF_MIRROR"] || undefined } : { instance }),
    ...(await readTufRoot(context)),
    offline: flags.boolean("offline"),
    now: context.now(),
    environment: context.environment,
    fetch: context.fetch,
    signal: context.signal,
  });
  for (const text of loaded.notices) warn(context, text);
  return loaded;
}

/** Says whether nothing of a trusted root would be looked at, as in cosign: a key, no log, no timestamp. */
function needsNoTrust(flags: Flags): boolean {
  const ignoreTlog = flags.boolean("insecure-ignore-tlog") || flags.boolean("private-infrastructure");
  return flags.string("key") !== undefined && ignoreTlog && !flags.boolean("use-signed-timestamps") && !flags.has("timestamp-threshold");
}

const EMPTY_ROOT = parseTrustedRoot(JSON.stringify({ mediaType: "application/vnd.dev.sigstore.trustedroot+json;version=0.1" }));

async function readTufRoot(context: Context): Promise<{ readonly root?: Uint8Array }> {
  const path = context.environment["TUF_ROOT_JSON"] ?? "";
  return path === "" ? {} : { root: await readInputFile(path, MAX_TRUST_FILE_BYTES, "TUF root") };
}

async function* counted(stream: AsyncIterable<Uint8Array>, size: number, update: (read: number, size: number) => void): AsyncGenerator<Uint8Array> {
  let read = 0;
  for await (const chunk of stream) {
    read += chunk.length;
    update(read, Math.max(size, read));
    yield chunk;
  }
}

function wrongDigest(text: string): InputError {
  const lengths = Object.entries(DIGEST_LENGTH).map(([name, bytes]) => `${name} with ${bytes * 2}`);
  return new InputError("USAGE_INVALID", `${JSON.stringify(text)} is not a digest`, { expected: `${lengths.join(", ")} hexadecimal digits` });
}

function kebab(field: string): string {
  return field.replace(/([a-z])([A-Z])/g, "$1-$2").toLowerCase();
}
