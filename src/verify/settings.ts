/**
 * Options as they were given, checked and completed. An option that is not known, or a value that would quietly ask for
 * nothing, is an error: callers without a type checker must not lose a check by a misspelling.
 *
 * @module
 */

import type { BundleVersion } from "../bundle/bundle.ts";
import type { CryptoProvider } from "../crypto/provider.ts";
import type { PublicKey } from "../crypto/public-key.ts";
import { equalBytes } from "../encoding/bytes.ts";
import { InputError } from "../errors.ts";
import { MAX_TLOG_ENTRIES, MAX_TRUSTED_KEYS } from "../limits.ts";
import type { WitnessKey } from "../tlog/cosignature.ts";
import type { TrustSource } from "../trust/trust-source.ts";
import { FULCIO_EXTENSIONS } from "../x509/fulcio.ts";
import type { ExpectedIdentity, StringPattern } from "./identity.ts";
import type { Thresholds, TimePolicy, TrustedKey, VerifierOptions, VerifyPolicy } from "./options.ts";

/** Holds the options of a verifier with every default filled in. */
export interface Settings {
  readonly thresholds: { readonly [Name in keyof Thresholds]-?: number };
  readonly time: TimePolicy | undefined;
  readonly witnesses: readonly WitnessKey[];
  readonly minimumBundleVersion: BundleVersion | undefined;
  readonly requireInclusionProof: boolean;
  readonly requireLogKeyValidity: boolean;
  readonly refuseRootWithLogs: boolean;
  readonly allowCertificateChain: boolean;
  readonly timestampPolicy: string | undefined;
  readonly denyList: VerifierOptions["denyList"];
  readonly crypto: CryptoProvider;
  readonly trustSource: TrustSource;
}

const DEFAULT_THRESHOLDS = { tlog: 1, timestamp: 0, sct: 1, witness: 0 } as const;

const VERIFIER_OPTIONS: { readonly [Name in keyof VerifierOptions]-?: true } = {
  thresholds: true,
  time: true,
  witnesses: true,
  minimumBundleVersion: true,
  requireInclusionProof: true,
  requireLogKeyValidity: true,
  refuseRootWithLogs: true,
  allowCertificateChain: true,
  timestampPolicy: true,
  denyList: true,
  crypto: true,
  trustSource: true,
};

const EXTENSION_FIELDS: Readonly<Record<string, true>> = Object.fromEntries(
  FULCIO_EXTENSIONS.map(({ field }) => [field, true]),
);

const POLICY_OPTIONS: { readonly [Name in keyof VerifyPolicy]-?: true } = {
  identity: true,
  keys: true,
  predicateType: true,
  detachedScts: true,
};

/**
 * Checks the options of a verifier and fills in the defaults.
 *
 * @throws {@link InputError} `USAGE_INVALID`.
 */
export function readVerifierOptions(options: VerifierOptions, defaultCrypto: () => CryptoProvider): Settings {
  refuseUnknown(options, VERIFIER_OPTIONS, "option");
  const given = options.thresholds ?? {};
  refuseUnknown(given, DEFAULT_THRESHOLDS, "threshold");
  const thresholds = {
    tlog: given.tlog ?? DEFAULT_THRESHOLDS.tlog,
    timestamp: given.timestamp ?? DEFAULT_THRESHOLDS.timestamp,
    sct: given.sct ?? DEFAULT_THRESHOLDS.sct,
    witness: given.witness ?? DEFAULT_THRESHOLDS.witness,
  };
  for (const [name, value] of Object.entries(thresholds)) checkCount(`threshold ${name}`, value, 0);
  const { time, minimumBundleVersion, witnesses = [], timestampPolicy, denyList } = options;
  if (time !== undefined) checkTimePolicy(time);
  if (minimumBundleVersion !== undefined && !["0.1", "0.2", "0.3"].includes(minimumBundleVersion)) {
    throw usage(`minimumBundleVersion must be 0.1, 0.2 or 0.3, not ${minimumBundleVersion}`);
  }
  if (timestampPolicy !== undefined && !/^[0-2](\.\d+)+$/.test(timestampPolicy)) {
    throw usage(`timestampPolicy must be an object identifier, not ${JSON.stringify(timestampPolicy)}`);
  }
  if (denyList !== undefined && typeof denyList !== "function") throw usage("denyList must be a function");
  checkWitnesses(witnesses, thresholds.witness);
  return {
    thresholds,
    time,
    witnesses,
    minimumBundleVersion,
    requireInclusionProof: checkFlag(options, "requireInclusionProof"),
    requireLogKeyValidity: checkFlag(options, "requireLogKeyValidity"),
    refuseRootWithLogs: checkFlag(options, "refuseRootWithLogs"),
    allowCertificateChain: checkFlag(options, "allowCertificateChain"),
    timestampPolicy,
    denyList,
    crypto: options.crypto ?? defaultCrypto(),
    trustSource: options.trustSource ?? { kind: "caller" },
  };
}

/**
 * Checks that a policy asks for a signer.
 *
 * @throws {@link InputError} `USAGE_INVALID`.
 */
export function checkPolicy(policy: VerifyPolicy): void {
  refuseUnknown(policy, POLICY_OPTIONS, "option");
  const { identity, keys, predicateType, detachedScts } = policy;
  if ((identity === undefined) === (keys === undefined)) {
    throw usage("who must have signed is not said: give exactly one of identity and keys");
  }
  if (predicateType !== undefined && (typeof predicateType !== "string" || predicateType === "")) {
    throw usage("predicateType must be a non-empty string");
  }
  if (detachedScts !== undefined && !Array.isArray(detachedScts)) throw usage("detachedScts must be a list");
  if (keys !== undefined) {
    const given: readonly TrustedKey[] = keys;
    if (!Array.isArray(keys) || given.length === 0) throw usage("keys must list at least one key");
    if (given.length > MAX_TRUSTED_KEYS) throw usage(`keys must list at most ${MAX_TRUSTED_KEYS} keys`);
    for (const [index, key] of given.entries()) checkKey(`keys[${index}]`, key);
    return;
  }
  if (identity !== "unsafe-any" && identity !== undefined) checkIdentity(identity);
}

function checkKey(name: string, key: TrustedKey): void {
  refuseUnknown(key, { publicKey: true, name: true, validFor: true }, `field of ${name}`);
  const publicKey: Partial<PublicKey> | undefined = key.publicKey;
  if (!(publicKey?.spki instanceof Uint8Array)) throw usage(`${name}.publicKey must be a public key`);
  if (key.validFor === undefined) return;
  refuseUnknown(key.validFor, { start: true, end: true }, `field of ${name}.validFor`);
  checkDate(`${name}.validFor.start`, key.validFor.start);
  if (key.validFor.end !== undefined) checkDate(`${name}.validFor.end`, key.validFor.end);
}

function checkIdentity(identity: ExpectedIdentity): void {
  refuseUnknown(identity, { subjectAlternativeName: true, issuer: true, extensions: true }, "field of identity");
  checkMatcher("identity.subjectAlternativeName", identity.subjectAlternativeName);
  checkMatcher("identity.issuer", identity.issuer);
  if (identity.extensions === undefined) return;
  refuseUnknown(identity.extensions, EXTENSION_FIELDS, "field of identity.extensions");
  for (const [field, matcher] of Object.entries(identity.extensions)) {
    if (matcher !== undefined) checkMatcher(`identity.extensions.${field}`, matcher);
  }
}

function checkMatcher(name: string, matcher: unknown): void {
  if (typeof matcher === "string" && matcher !== "") return;
  // A RegExp has a method `test` as well, but no bound on its time, and with the flag `g` a memory.
  const { kind, test, anchored, description } = (matcher ?? {}) as {
    readonly [Field in keyof StringPattern]?: unknown;
  };
  if (
    kind === "pattern" &&
    typeof test === "function" &&
    typeof anchored === "boolean" &&
    typeof description === "string"
  )
    return;
  throw usage(`${name} must be a non-empty string or a pattern`);
}

function checkTimePolicy(time: TimePolicy): void {
  const kind: unknown = (time as TimePolicy | null)?.kind;
  if (kind !== "observed" && kind !== "current-time") throw usage("time.kind must be observed or current-time");
  if (time.kind === "observed") {
    refuseUnknown(time, { kind: true, threshold: true }, "field of time");
    checkCount("time threshold", time.threshold, 1);
  } else {
    refuseUnknown(time, { kind: true, now: true }, "field of time");
    checkDate("time.now", time.now);
  }
}

/** An Ed25519 cosignature does not cover the witness's name, so under a second name it would count once more. */
function checkWitnesses(witnesses: readonly WitnessKey[], threshold: number): void {
  for (const { name, publicKey } of witnesses) {
    const same = witnesses.find((other) => other.name !== name && equalBytes(other.publicKey.spki, publicKey.spki));
    if (same !== undefined) throw usage(`witnesses ${name} and ${same.name} have one and the same key`);
  }
  const operators = new Set(witnesses.map(({ name, operator }) => operator ?? name));
  if (operators.size < threshold)
    throw usage(`threshold witness is ${threshold}, but only ${operators.size} witnesses are given`);
}

function checkDate(name: string, value: unknown): void {
  if (!(value instanceof Date) || Number.isNaN(value.getTime())) throw usage(`${name} must be a valid Date`);
}

function checkCount(name: string, value: number, least: number): void {
  if (Number.isInteger(value) && value >= least && value <= MAX_TLOG_ENTRIES) return;
  throw usage(`${name} must be a whole number from ${least} to ${MAX_TLOG_ENTRIES}, not ${String(value)}`);
}

function checkFlag(
  options: VerifierOptions,
  name: "requireInclusionProof" | "requireLogKeyValidity" | "refuseRootWithLogs" | "allowCertificateChain",
): boolean {
  const value: unknown = options[name] ?? false;
  if (typeof value !== "boolean") throw usage(`${name} must be true or false`);
  return value;
}

function refuseUnknown(given: object | null, known: object, what: string): void {
  if (typeof given !== "object" || given === null)
    throw usage(`expected an object that gives each ${what} by its name`);
  for (const name of Object.keys(given)) {
    if (!Object.hasOwn(known, name)) throw usage(`unknown ${what} ${JSON.stringify(name)}`);
  }
}

function usage(message: string): InputError {
  return new InputError("USAGE_INVALID", message);
}
