/**
 * Where a signature is written to: a bundle for each file, or what cosign wrote before bundles.
 *
 * @module
 */

import { realpathSync, statSync } from "node:fs";

import { legacySignature, serializeLegacyBundle, serializeTimestampFile } from "../bundle/legacy.ts";
import { encodeBase64 } from "../encoding/base64.ts";
import { StorageError } from "../errors.ts";
import type { SignedBundle } from "../sign/options.ts";
import { notice, warn, type Context } from "./context.ts";
import { usage, type Flags } from "./flags.ts";
import { openOutputFile } from "./output-file.ts";

/** Names the files of one signature. */
export interface OutputPaths {
  readonly bundle: string | undefined;
  readonly signature: string | undefined;
  readonly certificate: string | undefined;
  readonly timestamp: string | undefined;
  readonly attestation: string | undefined;
  readonly state: string | undefined;
}

/** Says what the flags of outputs are called in a command. */
export interface OutputNames {
  readonly timestamp: "rfc3161-timestamp" | "rfc3161-timestamp-bundle";
  readonly isAttestation: boolean;
  /** Whether signatures are kept in a registry, and files are written only where one is named. */
  readonly isInRegistry?: boolean;
}

/** Is how signatures are written. */
export interface OutputPlan {
  /** Whether the old forms are written. */
  readonly isLegacy: boolean;
  readonly isAttestation: boolean;
  readonly isInRegistry: boolean;
  /** Whether `--b64` is left on: then signature and certificate are written in base64. */
  readonly b64: boolean;
  readonly paths: readonly OutputPaths[];
}

const PLACEHOLDER = /\{(name|path|)\}/g;
/** Flags of files that are read. */
const READ = [
  "key",
  "certificate",
  "certificate-chain",
  "identity-token",
  "signing-config",
  "trusted-root",
  "oidc-client-secret-file",
  "timestamp-client-cacert",
  "timestamp-client-cert",
  "timestamp-client-key",
  "predicate",
  "statement",
] as const;
/** cosign's flags for what a bundle holds. */
const PARTS = ["output-signature", "output-attestation", "output-certificate"] as const;

/**
 * Plans the outputs, and finds out whether they can be written, before anything is signed.
 *
 * @param inputs - What is signed, as it was given.
 * @throws InputError `USAGE_INVALID`, StorageError `WRITE_FAILED`.
 */
export function planOutputs(
  inputs: readonly string[],
  names: OutputNames,
  usesConfig: boolean,
  flags: Flags,
  context: Context,
): OutputPlan {
  const isLegacy = !flags.boolean("new-bundle-format", true);
  const plan = {
    isLegacy,
    isAttestation: names.isAttestation,
    isInRegistry: names.isInRegistry ?? false,
    b64: flags.boolean("b64", true),
    paths: inputs.map((input) => pathsFor(input, names, isLegacy, flags)),
  };
  if (flags.boolean("explain")) return plan;
  checkNames(isLegacy, usesConfig, names, flags, context);
  const written = plan.paths
    .flatMap(({ bundle, signature, certificate, timestamp, attestation, state }) => [
      bundle,
      signature,
      certificate,
      timestamp,
      attestation,
      state,
    ])
    .filter((path) => path !== undefined);
  const twice = written.find((path, index) => written.indexOf(path) !== index);
  if (twice !== undefined) {
    throw usage(`${JSON.stringify(twice)} would be written more than once`, {
      remedy: "put {name} or {path} into the name, for instance --bundle={path}.sigstore.json",
    });
  }
  if (
    isLegacy &&
    !plan.isInRegistry &&
    !plan.b64 &&
    plan.paths.some(({ signature }) => signature === undefined) &&
    !names.isAttestation
  ) {
    throw usage("--b64=false needs --output-signature: raw bytes are not written to standard output", {
      remedy: "name a file for the signature",
    });
  }
  refuseInputs(written, inputs, flags);
  for (const path of written) openOutputFile(path, 0o600).discard();
  return plan;
}

/** A bundle in the place of the file that it is about, or of the key, could not be taken back. */
function refuseInputs(written: readonly string[], inputs: readonly string[], flags: Flags): void {
  const read = new Set([...inputs, ...READ.map((name) => flags.string(name) ?? "")].map(realFile));
  const lost = written.find((path) => realFile(path) !== undefined && read.has(realFile(path)));
  if (lost === undefined) return;
  throw usage(`${JSON.stringify(lost)} is read, and would be overwritten`, {
    expected: "another file to write to",
    remedy: "name a file that is not there yet, for instance --bundle={path}.sigstore.json",
  });
}

/** The file that a path leads to; `undefined` where there is none, or the text is no path but a token. */
function realFile(path: string): string | undefined {
  try {
    return statSync(path).isFile() ? realpathSync(path) : undefined;
  } catch {
    return undefined;
  }
}

function checkNames(isLegacy: boolean, usesConfig: boolean, names: OutputNames, flags: Flags, context: Context): void {
  const isInRegistry = names.isInRegistry ?? false;
  if (!isLegacy && !isInRegistry && !flags.has("bundle")) {
    throw usage("must specify --bundle with --new-bundle-format", {
      remedy: "say where the bundle is to be written, for instance --bundle={path}.sigstore.json",
    });
  }
  if (isLegacy && !isInRegistry && usesConfig && !flags.has("bundle")) {
    throw usage(
      "must provide --new-bundle-format or --bundle where applicable with --signing-config or --use-signing-config",
      { remedy: "leave --new-bundle-format=false out, or add --bundle" },
    );
  }
  if (isLegacy) return;
  for (const name of [...PARTS, names.timestamp]) {
    if (flags.has(name)) warn(context, `--${name} is deprecated when using --new-bundle-format and will be ignored`);
  }
  if (flags.has("output") && flags.string("output") !== "json")
    throw usage(`invalid value ${JSON.stringify(flags.string("output"))} for --output`, {
      expected: "json",
      remedy: "write json, or say with --bundle where the bundle is to be written",
    });
}

function pathsFor(input: string, names: OutputNames, isLegacy: boolean, flags: Flags): OutputPaths {
  const read = (flag: string): string | undefined => {
    const template = flags.string(flag);
    return template === undefined ? undefined : expand(template, input);
  };
  const legacy = (flag: string): string | undefined => (isLegacy ? read(flag) : undefined);
  return {
    bundle: read("bundle"),
    signature: legacy("output-signature") ?? (isLegacy ? oldOutput(input, flags) : undefined),
    certificate: legacy("output-certificate"),
    timestamp: legacy(names.timestamp),
    attestation: legacy("output-attestation"),
    state: read("resume-state"),
  };
}

/** cosign's `--output FILE` was for the signature; ours is for a format. */
function oldOutput(input: string, flags: Flags): string | undefined {
  const output = flags.string("output");
  return output === undefined || output === "json" ? undefined : expand(output, input);
}

function expand(template: string, input: string): string {
  const path = input === "-" ? "stdin" : /^https?:\/\//.test(input) ? nameOf(input) : input;
  return template.replaceAll(PLACEHOLDER, (_, what: string) => (what === "name" ? nameOf(path) : path));
}

/** The last part of a path or URL. */
export function nameOf(input: string): string {
  const path = /^https?:\/\//.test(input) ? (URL.parse(input)?.pathname ?? input) : input;
  return path.split(/[/\\]/).findLast((part) => part !== "") ?? path;
}

/**
 * Writes one signature. What cannot be written is not lost: it goes to standard output.
 *
 * @param publicKeyPem - Of a key that signed without a certificate.
 * @throws StorageError `WRITE_FAILED`, FormatError.
 */
export function writeSignature(
  signed: SignedBundle,
  plan: OutputPlan,
  paths: OutputPaths,
  publicKeyPem: string | undefined,
  context: Context,
): void {
  if (!plan.isLegacy) {
    if (paths.bundle === undefined) return; // it is kept in a registry
    write(paths.bundle, signed.json, signed, context);
    notice(context, `Wrote bundle to file ${paths.bundle}`);
    return;
  }
  const { bundle, certificatePem, statement } = signed;
  const signature = legacySignature(bundle);
  if (paths.bundle !== undefined) {
    write(paths.bundle, serializeLegacyBundle(bundle, publicKeyPem), signed, context);
    notice(context, `Wrote bundle to file ${paths.bundle}`);
  }
  // As in cosign, an envelope is JSON whatever --b64 says.
  const encode = plan.b64 && !plan.isAttestation;
  const text = encode ? encodeBase64(signature) : signature;
  if (paths.signature === undefined) {
    if (!plan.isInRegistry) context.stdout.write(`${Buffer.from(text).toString()}\n`);
  } else {
    write(paths.signature, text, signed, context);
    notice(context, `Wrote signature to file ${paths.signature}`);
  }
  if (paths.attestation !== undefined && statement !== undefined) {
    write(paths.attestation, statement, signed, context);
    notice(context, `Attestation written in ${paths.attestation}`);
  }
  if (paths.certificate !== undefined && certificatePem !== undefined) {
    write(paths.certificate, encode ? encodeBase64(Buffer.from(certificatePem)) : certificatePem, signed, context);
    notice(context, `Wrote certificate to file ${paths.certificate}`);
  }
  const [timestamp] = bundle.verificationMaterial.rfc3161Timestamps;
  if (paths.timestamp !== undefined && timestamp !== undefined) {
    write(paths.timestamp, serializeTimestampFile(timestamp), signed, context);
    notice(context, `Wrote timestamp to file ${paths.timestamp}`);
  }
}

function write(path: string, content: string | Uint8Array, signed: SignedBundle, context: Context): void {
  try {
    const file = openOutputFile(path, 0o600);
    file.write(content);
    file.commit();
  } catch (error) {
    if (!(error instanceof StorageError)) throw error;
    // The signature is public by now, and cannot be taken back; only the bundle would be gone.
    warn(context, `could not write to ${path}: the bundle follows on standard output, so that it is not lost`);
    context.stdout.write(`${signed.json}\n`);
    throw error;
  }
}
