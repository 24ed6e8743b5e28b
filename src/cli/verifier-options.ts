/**
 * How much must be proven: thresholds, times and witnesses, out of the flags.
 *
 * @module
 */

import type { Bundle } from "../bundle/bundle.ts";
import { defaultCryptoProvider } from "../crypto/provider.ts";
import { parseWitnessKey } from "../tlog/cosignature.ts";
import { GITHUB_PROFILE, type Thresholds, type TimePolicy, type VerifierOptions } from "../verify/options.ts";
import { warn, type Context } from "./context.ts";
import { usage, type Flags } from "./flags.ts";
import { naming } from "./named-input.ts";

const DEFAULT_THRESHOLDS = { tlog: 1, sct: 1, timestamp: 0 } as const;

/**
 * Reads the options of the verifier, and warns of those that leave something unproven.
 *
 * @param what - What is verified, as cosign calls it in its warnings.
 * @throws InputError `USAGE_INVALID`; FormatError `COSIGNATURE_MALFORMED`.
 */
export async function readVerifierOptions(flags: Flags, context: Context, what: string): Promise<VerifierOptions> {
  return {
    thresholds: readThresholds(flags, context, what),
    time: readTimePolicy(flags, context),
    witnesses: await Promise.all(
      flags
        .strings("witness")
        .map((vkey) => naming(flags.nameOf("witness"), () => parseWitnessKey(vkey, defaultCryptoProvider()))),
    ),
    minimumBundleVersion: flags.choice("minimum-bundle-version", ["0.1", "0.2", "0.3"]),
    requireInclusionProof: flags.boolean("require-inclusion-proof"),
    requireLogKeyValidity: flags.boolean("require-log-key-validity"),
    timestampPolicy: readPolicyOid(flags),
    allowCertificateChain: flags.boolean("allow-certificate-chain"),
    refuseRootWithLogs: flags.choice("profile", ["github"]) === "github" && GITHUB_PROFILE.refuseRootWithLogs,
  };
}

/** As cosign: a certificate without log and timestamp is judged by the current time, once the log was given up. */
export function timePolicyFor(bundle: Bundle, flags: Flags, context: Context): TimePolicy | undefined {
  const { tlogEntries, rfc3161Timestamps, content } = bundle.verificationMaterial;
  if (!ignoresLog(flags) || content.kind === "publicKey" || tlogEntries.length + rfc3161Timestamps.length > 0)
    return undefined;
  return { kind: "current-time", now: context.now() };
}

/** Says whether no transparency log is required. */
export function ignoresLog(flags: Flags): boolean {
  return flags.boolean("insecure-ignore-tlog") || flags.boolean("private-infrastructure");
}

/** Says whether an RFC 3161 timestamp is required. */
export function requiresTimestamp(flags: Flags): boolean {
  return flags.boolean("use-signed-timestamps") || flags.has("timestamp-certificate-chain");
}

/** Says whether no signed certificate timestamp is required. */
export function ignoresSct(flags: Flags): boolean {
  return flags.boolean("insecure-ignore-sct") || flags.number("sct-threshold") === 0;
}

function readThresholds(flags: Flags, context: Context, what: string): Thresholds {
  const base = flags.choice("profile", ["github"]) === "github" ? GITHUB_PROFILE.thresholds : DEFAULT_THRESHOLDS;
  if (flags.boolean("insecure-ignore-tlog") || flags.number("tlog-threshold") === 0) {
    warn(
      context,
      `Skipping tlog verification is an insecure practice that lacks transparency and auditability verification for the ${what}.`,
    );
  }
  if (ignoresSct(flags)) {
    warn(context, "Skipping SCT verification accepts certificates that were never made public.");
  }
  return {
    tlog: flags.number("tlog-threshold") ?? (ignoresLog(flags) ? 0 : base.tlog),
    sct: flags.number("sct-threshold") ?? (flags.boolean("insecure-ignore-sct") ? 0 : base.sct),
    timestamp: flags.number("timestamp-threshold") ?? (requiresTimestamp(flags) ? 1 : base.timestamp),
    witness: flags.number("witness-threshold"),
  };
}

function readTimePolicy(flags: Flags, context: Context): TimePolicy | undefined {
  const threshold = flags.number("time-threshold");
  if (!flags.boolean("use-current-time")) return threshold === undefined ? undefined : { kind: "observed", threshold };
  if (threshold !== undefined)
    throw usage("only one of --use-current-time and --time-threshold may be given", { remedy: "leave one out" });
  return { kind: "current-time", now: context.now() };
}

function readPolicyOid(flags: Flags): string | undefined {
  const oid = flags.string("timestamp-policy");
  if (oid === undefined || /^[0-2](\.\d+)+$/.test(oid)) return oid;
  throw usage(`invalid value ${JSON.stringify(oid)} for ${flags.nameOf("timestamp-policy")}`, {
    expected: "an object identifier, for instance 1.3.6.1.4.1.57264.2",
  });
}
