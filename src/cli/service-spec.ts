/**
 * Services of a Sigstore instance as flags describe them: `url=…,public-key=FILE,start-time=…`.
 *
 * @module
 */

import { defaultCryptoProvider } from "../crypto/provider.ts";
import { parsePublicKeyPem } from "../crypto/public-key.ts";
import { defaultAlgorithm } from "../crypto/registry.ts";
import { tryDecodeUtf8 } from "../encoding/utf8.ts";
import { VerificationError } from "../errors.ts";
import { readInputFile } from "../files/read-file.ts";
import { MAX_KEY_FILE_BYTES, MAX_TRUST_FILE_BYTES } from "../limits.ts";
import { isKeyName, noteKeyHash } from "../tlog/signed-note.ts";
import type { TimeRange } from "../trust/time-range.ts";
import type { CertificateAuthority, TransparencyLogInstance } from "../trust/trusted-root.ts";
import { parseCertificatesPem, type Certificate } from "../x509/certificate.ts";
import { parseName, tryReadText } from "../x509/name.ts";
import { verifyAuthorityChain } from "../x509/path.ts";
import { parseTime, usage } from "./flags.ts";
import { parseKeyValues, type KeyValues } from "./key-values.ts";
import { naming } from "./named-input.ts";

/** Are the parts of a description. */
export type ServiceSpec = KeyValues;

const REQUIRED = {
  fulcio: ["url", "certificate-chain"],
  tsa: ["url", "certificate-chain"],
  ctfe: ["url", "public-key", "start-time"],
  rekor: ["url", "public-key", "start-time"],
} as const;
const OPTIONAL = {
  fulcio: ["start-time", "end-time"],
  tsa: ["start-time", "end-time"],
  ctfe: ["end-time", "origin"],
  rekor: ["end-time", "origin"],
} as const;

/** Is a flag that describes a service. */
export type ServiceFlag = keyof typeof REQUIRED;

/** Reads `key=value,key=value`. @throws InputError `USAGE_INVALID`. */
export function parseServiceSpec(flag: ServiceFlag, text: string): ServiceSpec {
  const fields = parseKeyValues(flag, text, REQUIRED[flag], OPTIONAL[flag]);
  if (!URL.canParse(fields["url"] ?? ""))
    throw usage(`--${flag} has an invalid url ${JSON.stringify(fields["url"])}`, { expected: "https://…" });
  return fields;
}

/**
 * Reads a certificate authority or a timestamp authority.
 *
 * @throws InputError, FormatError; VerificationError where the certificates are no chain.
 */
export async function readAuthority(flag: "fulcio" | "tsa", spec: ServiceSpec): Promise<CertificateAuthority> {
  const path = spec["certificate-chain"] ?? "";
  const certificates = await readCertificates(path);
  const [first] = certificates;
  const anchor = certificates.at(-1);
  if (first === undefined || anchor === undefined) throw usage(`certificate chain ${JSON.stringify(path)} is empty`);
  if (flag === "tsa" && (first.extensions.basicConstraints?.ca === true || certificates.length < 2)) {
    throw usage(
      `certificate chain ${JSON.stringify(path)} does not begin with the certificate of a timestamp authority`,
      {
        expected: "the certificate that timestamps are signed with first, its root last",
      },
    );
  }
  const authority = {
    subject: subjectOf(anchor),
    uri: spec["url"] ?? "",
    certificates,
    // cosign: validity begins with the root's for Fulcio, with the leaf's for a timestamp authority.
    validFor: readWindow(spec, (flag === "fulcio" ? anchor : first).notBefore, flag),
  };
  try {
    await verifyAuthorityChain(authority, defaultCryptoProvider());
  } catch (error) {
    if (!(error instanceof VerificationError)) throw error;
    const { code, message, expected, found } = error;
    const remedy = "put each certificate before that of its issuer, the root last";
    throw new VerificationError(code, `${path}: ${message}`, { expected, found, remedy, cause: error });
  }
  return authority;
}

/** Reads a transparency log, or a certificate transparency log. @throws InputError, FormatError; VerificationError `ALGORITHM_UNSUPPORTED`. */
export async function readLog(flag: "ctfe" | "rekor", spec: ServiceSpec): Promise<TransparencyLogInstance> {
  const path = spec["public-key"] ?? "";
  const text = await readText(path, "public key", MAX_KEY_FILE_BYTES);
  const publicKey = await naming(path, () => parsePublicKeyPem(text));
  const algorithm = defaultAlgorithm(publicKey);
  const { keyDetails } = algorithm;
  if (keyDetails === undefined)
    throw usage(`key ${JSON.stringify(path)} of type ${publicKey.type} cannot stand in a trusted root`);
  const crypto = defaultCryptoProvider();
  const origin = spec["origin"] ?? "";
  if (origin !== "" && !isKeyName(origin))
    throw usage(`--${flag} has an origin ${JSON.stringify(origin)} that no checkpoint can have`, {
      expected: "a name without spaces and plus signs",
    });
  // The id of a certificate transparency log is the hash of its key, whatever its checkpoints say (RFC 6962 §3.2).
  const logId =
    origin === "" || flag === "ctfe"
      ? await crypto.digest("sha256", publicKey.spki)
      : await noteKeyHash(origin, publicKey, crypto);
  return {
    baseUrl: spec["url"] ?? "",
    publicKey,
    algorithm,
    keyDetails,
    logId,
    validFor: readWindow(spec, undefined, flag),
  };
}

function readWindow(spec: ServiceSpec, fallback: Date | undefined, flag: ServiceFlag): TimeRange {
  const read = (name: "start-time" | "end-time"): Date | undefined =>
    spec[name] ? parseTime(spec[name], `${name} of --${flag}`) : undefined;
  const start = read("start-time") ?? fallback;
  const end = read("end-time");
  if (start === undefined) throw usage(`--${flag} lacks start-time=`);
  if (end !== undefined && end < start)
    throw usage(`--${flag} ends before it starts`, { remedy: "exchange start-time and end-time" });
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
  return {
    ...(organization === undefined ? {} : { organization }),
    ...(commonName === undefined ? {} : { commonName }),
  };
}

async function readCertificates(path: string): Promise<readonly Certificate[]> {
  const text = await readText(path, "certificate chain", MAX_TRUST_FILE_BYTES);
  return await naming(path, () => parseCertificatesPem(text));
}

async function readText(path: string, what: string, maxBytes: number): Promise<string> {
  const text = tryDecodeUtf8(await readInputFile(path, maxBytes, what));
  if (text === undefined) throw usage(`${what} ${JSON.stringify(path)} is not text`, { expected: "PEM" });
  return text;
}
