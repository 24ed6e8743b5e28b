/**
 * `cosign-ts trusted-root create`: a trusted root for an instance of one's own.
 *
 * @module
 */

import { writeFile } from "node:fs/promises";

import { defaultCryptoProvider } from "../../crypto/provider.ts";
import { parsePublicKeyPem } from "../../crypto/public-key.ts";
import { defaultAlgorithm } from "../../crypto/registry.ts";
import { tryDecodeUtf8 } from "../../encoding/utf8.ts";
import { InputError, StorageError } from "../../errors.ts";
import { readInputFile } from "../../files/read-file.ts";
import { MAX_KEY_FILE_BYTES, MAX_TRUST_FILE_BYTES } from "../../limits.ts";
import { noteKeyId } from "../../tlog/signed-note.ts";
import type { TimeRange } from "../../trust/time-range.ts";
import { serializeTrustedRoot, type CertificateAuthority, type TransparencyLogInstance } from "../../trust/trusted-root.ts";
import { loadTrust } from "../../tuf/load-trust.ts";
import { parseName, tryReadText } from "../../x509/name.ts";
import { parseCertificatesPem, type Certificate } from "../../x509/certificate.ts";
import { verifyAuthorityChain } from "../../x509/path.ts";
import type { Command, Context } from "../context.ts";
import { parseTime, usage, type Flags } from "../flags.ts";

const MEDIA_TYPE = "application/vnd.dev.sigstore.trustedroot+json;version=0.1";
const SERVICES = ["fulcio", "ctfe", "tsa", "rekor"] as const;

/** Writes a trusted root from certificates and keys, alone or added to the public-good instance's. */
export const trustedRootCreate: Command = {
  name: "trusted-root create",
  summary: "Write a trusted root file for a Sigstore instance of one's own.",
  operands: "",
  minOperands: 0,
  maxOperands: 0,
  environment: false,
  flags: [
    { name: "fulcio", kind: "strings", value: "SPEC", description: "url=URL,certificate-chain=FILE[,start-time=TIME,end-time=TIME]; may be repeated" },
    { name: "ctfe", kind: "strings", value: "SPEC", description: "url=URL,public-key=FILE,start-time=TIME[,end-time=TIME,origin=NAME]; may be repeated" },
    { name: "tsa", kind: "strings", value: "SPEC", description: "url=URL,certificate-chain=FILE[,start-time=TIME,end-time=TIME]; may be repeated" },
    { name: "rekor", kind: "strings", value: "SPEC", description: "url=URL,public-key=FILE,start-time=TIME[,end-time=TIME,origin=NAME]; may be repeated" },
    { name: "with-default-services", kind: "boolean", description: "add the services of the public-good instance" },
    ...SERVICES.map((service) => ({ name: `no-default-${service}`, kind: "boolean" as const, description: `without the public-good ${service}` })),
    { name: "offline", kind: "boolean", description: "take the default services from the cache or this package" },
    { name: "out", kind: "string", value: "FILE", description: "write to a file in place of standard output" },
  ],
  examples: ["cosign-ts trusted-root create --fulcio url=https://fulcio.example.com,certificate-chain=ca.pem --rekor url=https://rekor.example.com,public-key=rekor.pub,start-time=2026-01-01T00:00:00Z --out trusted_root.json"],
  async run(_operands, flags, context) {
    const [fulcio, ctlogs, tsa, tlogs] = await Promise.all([
      Promise.all(flags.strings("fulcio").map((spec) => readAuthority("fulcio", spec))),
      Promise.all(flags.strings("ctfe").map((spec) => readLog("ctfe", spec))),
      Promise.all(flags.strings("tsa").map((spec) => readAuthority("tsa", spec))),
      Promise.all(flags.strings("rekor").map((spec) => readLog("rekor", spec))),
    ]);
    if (fulcio.length + ctlogs.length + tsa.length + tlogs.length === 0 && !flags.boolean("with-default-services")) {
      throw usage("a trusted root without any service trusts nobody", "--fulcio, --ctfe, --tsa, --rekor or --with-default-services");
    }
    const defaults = await loadDefaults(flags, context);
    const text = serializeTrustedRoot({
      mediaType: MEDIA_TYPE,
      tlogs: [...(flags.boolean("no-default-rekor") ? [] : defaults.tlogs), ...tlogs],
      certificateAuthorities: [...(flags.boolean("no-default-fulcio") ? [] : defaults.certificateAuthorities), ...fulcio],
      ctlogs: [...(flags.boolean("no-default-ctfe") ? [] : defaults.ctlogs), ...ctlogs],
      timestampAuthorities: [...(flags.boolean("no-default-tsa") ? [] : defaults.timestampAuthorities), ...tsa],
      unusable: [],
      ignoredFields: [],
    });
    await writeOutput(`${JSON.stringify(JSON.parse(text), undefined, 2)}\n`, flags.string("out"), context);
    return 0;
  },
};

async function loadDefaults(flags: Flags, context: Context): Promise<Pick<Awaited<ReturnType<typeof loadTrust>>["trustedRoot"], "tlogs" | "ctlogs" | "certificateAuthorities" | "timestampAuthorities">> {
  if (!flags.boolean("with-default-services")) {
    const [unused] = SERVICES.filter((service) => flags.boolean(`no-default-${service}`));
    if (unused !== undefined) throw usage(`--no-default-${unused} needs --with-default-services`);
    return { tlogs: [], ctlogs: [], certificateAuthorities: [], timestampAuthorities: [] };
  }
  const options = { instance: "production", offline: flags.boolean("offline"), environment: context.environment, fetch: context.fetch, now: context.now(), signal: context.signal } as const;
  return (await loadTrust(options)).trustedRoot;
}

/** Reads `key=value,key=value`. @throws InputError `USAGE_INVALID`. */
function readSpec(flag: string, spec: string, required: readonly string[], optional: readonly string[]): Readonly<Record<string, string>> {
  const fields: Record<string, string> = {};
  for (const part of spec.split(",")) {
    const [, key = "", value = ""] = /^([a-z-]+)=(.+)$/s.exec(part) ?? [];
    if (![...required, ...optional].includes(key)) {
      throw usage(`--${flag} has an unknown part ${JSON.stringify(part)}`, `${required.map((name) => `${name}=`).join(", ")} and perhaps ${optional.map((name) => `${name}=`).join(", ")}`);
    }
    if (fields[key] !== undefined) throw usage(`--${flag} has ${key}= twice`);
    fields[key] = value;
  }
  const missing = required.find((name) => fields[name] === undefined);
  if (missing !== undefined) throw usage(`--${flag} needs ${missing}=`, `${required.map((name) => `${name}=…`).join(",")}`);
  if (!URL.canParse(fields["url"] ?? "")) throw usage(`--${flag} has an invalid url`, "https://…");
  return fields;
}

async function readAuthority(flag: "fulcio" | "tsa", spec: string): Promise<CertificateAuthority> {
  const fields = readSpec(flag, spec, ["url", "certificate-chain"], ["start-time", "end-time"]);
  const path = fields["certificate-chain"] ?? "";
  const certificates = parseCertificatesPem(await readText(path, "certificate chain"));
  // cosign: validity begins with the root's for Fulcio, with the leaf's for a timestamp authority.
  const first = flag === "fulcio" ? certificates.at(-1) : certificates[0];
  if (first === undefined) throw new InputError("USAGE_INVALID", `certificate chain ${JSON.stringify(path)} is empty`);
  const authority = { subject: subjectOf(certificates.at(-1) ?? first), uri: fields["url"] ?? "", certificates, validFor: readWindow(fields, first.notBefore, flag) };
  await verifyAuthorityChain(authority, defaultCryptoProvider());
  return authority;
}

async function readLog(flag: "ctfe" | "rekor", spec: string): Promise<TransparencyLogInstance> {
  const fields = readSpec(flag, spec, ["url", "public-key", "start-time"], ["end-time", "origin"]);
  const publicKey = parsePublicKeyPem(await readText(fields["public-key"] ?? "", "public key"));
  const algorithm = defaultAlgorithm(publicKey);
  const { keyDetails } = algorithm;
  if (keyDetails === undefined) throw new InputError("USAGE_INVALID", `keys of type ${publicKey.type} cannot stand in a trusted root`);
  const crypto = defaultCryptoProvider();
  const origin = fields["origin"];
  const logId = origin === undefined ? await crypto.digest("sha256", publicKey.spki) : await noteKeyId(origin, publicKey, crypto);
  return { baseUrl: fields["url"] ?? "", publicKey, algorithm, keyDetails, logId, validFor: readWindow(fields, undefined, flag) };
}

function readWindow(fields: Readonly<Record<string, string>>, fallback: Date | undefined, flag: string): TimeRange {
  const start = fields["start-time"] === undefined ? fallback : parseTime(fields["start-time"], `start-time of --${flag}`);
  const end = fields["end-time"] === undefined ? undefined : parseTime(fields["end-time"], `end-time of --${flag}`);
  if (start === undefined) throw usage(`--${flag} needs start-time=`);
  if (end !== undefined && end < start) throw usage(`--${flag} ends before it starts`);
  return { start, ...(end === undefined ? {} : { end }) };
}

function subjectOf(certificate: Certificate): CertificateAuthority["subject"] {
  const attributes = parseName(certificate.subject).flat();
  const find = (oid: string): string | undefined => {
    const attribute = attributes.find(({ type }) => type === oid);
    return attribute === undefined ? undefined : tryReadText(attribute.value);
  };
  const organization = find("2.5.4.10");
  const commonName = find("2.5.4.3");
  return { ...(organization === undefined ? {} : { organization }), ...(commonName === undefined ? {} : { commonName }) };
}

async function readText(path: string, what: string): Promise<string> {
  const text = tryDecodeUtf8(await readInputFile(path, what === "public key" ? MAX_KEY_FILE_BYTES : MAX_TRUST_FILE_BYTES, what));
  if (text === undefined) throw new InputError("USAGE_INVALID", `${what} ${JSON.stringify(path)} is not text`, { expected: "PEM" });
  return text;
}

async function writeOutput(text: string, path: string | undefined, context: Context): Promise<void> {
  if (path === undefined) {
    context.stdout.write(text);
    return;
  }
  try {
    await writeFile(path, text, { mode: 0o600 });
  } catch (cause) {
    throw new StorageError("WRITE_FAILED", `could not write ${JSON.stringify(path)}: ${cause instanceof Error ? cause.message : String(cause)}`, { cause });
  }
}
