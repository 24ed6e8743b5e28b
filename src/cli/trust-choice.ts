/**
 * The trusted root to verify with: from a file, or from the TUF repository that flags and environment name.
 *
 * @module
 */

import { isJsonLines } from "../bundle/bundle-candidates.ts";
import { tryDecodeUtf8 } from "../encoding/utf8.ts";
import { readInputFile } from "../files/read-file.ts";
import { resolveTrust } from "../files/verify-file.ts";
import { MAX_TRUST_FILE_BYTES } from "../limits.ts";
import type { TrustSource } from "../trust/trust-source.ts";
import { listsLogs, parseTrustedRoot, type TrustedRoot } from "../trust/trusted-root.ts";
import type { LoadTrustOptions } from "../tuf/load-trust.ts";
import { trace, warn, type Context } from "./context.ts";
import { usage, type Flags } from "./flags.ts";
import { naming } from "./named-input.ts";
import { readCertificateFile } from "./signed-material.ts";
import { ignoresLog, ignoresSct, requiresTimestamp } from "./verifier-options.ts";

/** Is a trusted root, and where it came from. */
export interface ChosenTrust {
  readonly trustedRoot: TrustedRoot;
  readonly source: TrustSource;
}

/**
 * Loads the trusted root that the flags name, and tells what a person should know about it.
 *
 * @throws InputError, FormatError, TrustError, ServiceError, StorageError.
 */
export async function loadChosenTrust(flags: Flags, context: Context): Promise<ChosenTrust> {
  const started = performance.now();
  const loaded = await load(flags, context);
  const trustedRoot = await withOwnAuthorities(loaded.trustedRoot, flags, context);
  for (const text of loaded.notices) warn(context, text);
  if (context.verbose === true) {
    const { describeTrust } = await import("../report/text.ts");
    trace(context, `trust: ${describeTrust(loaded.source)}, loaded in ${(performance.now() - started).toFixed(1)} ms`);
    for (const { path, reason } of loaded.trustedRoot.unusable)
      trace(context, `trust: ${path} cannot be used: ${reason}`);
  }
  return { trustedRoot, source: loaded.source };
}

/** Puts the authorities that older flags name in the place of those of the root, as cosign does. */
async function withOwnAuthorities(root: TrustedRoot, flags: Flags, context: Context): Promise<TrustedRoot> {
  const chain = flags.string("certificate-chain");
  const roots = flags.string("ca-roots");
  const tsaChain = flags.string("timestamp-certificate-chain");
  if (chain === undefined && roots === undefined && tsaChain === undefined) return root;
  const { readAuthority } = await import("./service-spec.ts");
  const authorities = [
    ...(chain === undefined ? [] : [await readAuthority("fulcio", { url: chain, "certificate-chain": chain })]),
    ...(roots === undefined ? [] : await readCertificateFile(roots, "CA roots", context)).map((certificate) => ({
      subject: {},
      uri: roots ?? "",
      certificates: [certificate],
      validFor: { start: certificate.notBefore },
    })),
  ];
  return {
    ...root,
    ...(authorities.length > 0 && { certificateAuthorities: authorities }),
    ...(tsaChain !== undefined && {
      timestampAuthorities: [await readAuthority("tsa", { url: tsaChain, "certificate-chain": tsaChain })],
    }),
  };
}

async function load(flags: Flags, context: Context): ReturnType<typeof resolveTrust> {
  const path = flags.string("trusted-root");
  const profile = flags.choice("profile", ["github"]);
  const staging = flags.boolean("staging");
  if (staging && (path !== undefined || profile !== undefined)) {
    throw usage("--staging names a trusted root, so --trusted-root and --profile cannot be given too", {
      remedy: "leave one of both out",
    });
  }
  if (path !== undefined) return await naming(path, () => loadRootFile(path, profile === "github"));
  if (needsNoTrust(flags)) return { trustedRoot: EMPTY_ROOT, source: { kind: "caller" }, notices: [] };
  return await resolveTrust(await tufOptions(flags, context, staging ? "staging" : profile));
}

/**
 * Reads a trusted root file, or one of several: `gh attestation trusted-root` prints that of the public-good instance and that of GitHub's
 * own, one a line. They are never joined: the profile says which of both is meant, and so whether there must be logs.
 */
async function loadRootFile(path: string, isGithub: boolean): ReturnType<typeof resolveTrust> {
  const bytes = await readInputFile(path, MAX_TRUST_FILE_BYTES, "trusted root");
  const source = { kind: "file", path } as const;
  if (!isJsonLines(bytes)) return { trustedRoot: parseTrustedRoot(bytes), source, notices: [] };
  const lines = (tryDecodeUtf8(bytes) ?? "").split("\n").filter((line) => line.trim() !== "");
  const meant = lines.map((line) => parseTrustedRoot(line)).filter((root) => listsLogs(root) !== isGithub);
  const [trustedRoot, ...others] = meant;
  if (trustedRoot !== undefined && others.length === 0) return { trustedRoot, source, notices: [] };
  throw usage(`file holds ${meant.length} of the trusted roots that ${isGithub ? "list no logs" : "list logs"}`, {
    expected: "exactly one",
    remedy: isGithub
      ? "give a file with the trusted root of GitHub's instance alone"
      : "give a file with the trusted root that is meant alone; that of GitHub's instance needs --profile github",
  });
}

/**
 * Says from which TUF repository trust comes, and how it is reached.
 *
 * @param instance - A public instance, in place of the repository that the environment or `initialize` names.
 * @throws InputError for a root that cannot be read.
 */
export async function tufOptions(
  flags: Flags,
  context: Context,
  instance: LoadTrustOptions["instance"],
): Promise<LoadTrustOptions> {
  const root = context.environment["TUF_ROOT_JSON"] ?? "";
  return {
    ...(instance === undefined ? { mirror: context.environment["TUF_MIRROR"] || undefined } : { instance }),
    ...(root === "" ? {} : { root: await readInputFile(root, MAX_TRUST_FILE_BYTES, "TUF root") }),
    offline: flags.boolean("offline"),
    now: context.now(),
    environment: context.environment,
    fetch: context.fetch,
    signal: context.signal,
  };
}

/** Says whether nothing of a trusted root would be looked at, as in cosign: no log, and signer and time known otherwise. */
function needsNoTrust(flags: Flags): boolean {
  const ownAuthority = flags.has("certificate-chain") || flags.has("ca-roots");
  const ownTime = flags.has("timestamp-certificate-chain");
  return (
    ignoresLog(flags) &&
    (flags.has("key") || (ownAuthority && ignoresSct(flags))) &&
    (ownTime || (!requiresTimestamp(flags) && !flags.has("timestamp-threshold")))
  );
}

const EMPTY_ROOT = parseTrustedRoot(
  JSON.stringify({ mediaType: "application/vnd.dev.sigstore.trustedroot+json;version=0.1" }),
);
