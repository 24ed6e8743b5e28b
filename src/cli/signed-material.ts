/**
 * What to verify: a bundle, or what cosign wrote before bundles, read into the same model. There is one verifier for both.
 *
 * @module
 */

import type { Bundle } from "../bundle/bundle.ts";
import type { BundleCandidate } from "../bundle/bundle-candidates.ts";
import {
  assembleBundle,
  parseCertificateFile,
  parseSignatureFile,
  parseTimestampFile,
  requireSameSigner,
  type ClaimedSigner,
  type SignatureParts,
} from "../bundle/legacy.ts";
import { equalBytes } from "../encoding/bytes.ts";
import { encodeUtf8 } from "../encoding/utf8.ts";
import { exists, readInputFile } from "../files/read-file.ts";
import { redactUrl } from "../http/redact.ts";
import { fetchBytes } from "../http/request.ts";
import { MAX_BUNDLE_BYTES, MAX_CERTIFICATE_FILE_BYTES, MAX_TIMESTAMP_BYTES } from "../limits.ts";
import type { Certificate } from "../x509/certificate.ts";
import { readAttestationFile, readBundleFile } from "./bundle-file.ts";
import { trace, type Context } from "./context.ts";
import type { ExpectedSigner } from "./expected-signer.ts";
import { usage, type Flags } from "./flags.ts";
import { naming } from "./named-input.ts";
import { LEGACY_FLAGS } from "./verification-flags.ts";

const REQUEST_TIMEOUT_MS = 30_000;

/** Is a bundle, whatever it was read from; or several, of which one will do. */
export type SignedMaterial =
  | {
      readonly kind: "bundle";
      readonly bundle: Bundle;
      /** Whether it was assembled from what cosign wrote before bundles. */
      readonly isLegacy: boolean;
    }
  | { readonly kind: "list"; readonly candidates: readonly [BundleCandidate, ...BundleCandidate[]] };

/**
 * Reads what the flags name: `--bundle`, in the new or the old format; or `--signature` with what stands beside it.
 *
 * @param signer - Whom the caller expects. A key or a certificate beside the signature is compared with it, and never used for it.
 * @param readsLists - Whether a file may hold several bundles.
 * @throws InputError, FormatError, VerificationError, ServiceError.
 */
export async function readSignedMaterial(
  operand: string | undefined,
  flags: Flags,
  signer: ExpectedSigner,
  readsLists: boolean,
  context: Context,
): Promise<SignedMaterial> {
  const detached = flags.string("signature");
  const read = readsLists ? readAttestationFile : readBundleFile;
  const fromFile = detached !== undefined && !flags.has("bundle") ? undefined : await read(operand, flags, context);
  if (fromFile?.kind === "bundle" || fromFile?.kind === "list") {
    refuseLegacyFlags(flags);
    return fromFile.kind === "list" ? fromFile : { kind: "bundle", bundle: fromFile.bundle, isLegacy: false };
  }
  checkTimestampFlags(flags);
  checkAuthorityFlags(flags);
  const signature = detached === undefined ? undefined : await readSignature(detached, context);
  if (signature !== undefined && fromFile !== undefined && !equalBytes(signature, fromFile.parts.signature)) {
    throw usage(`the signature of ${flags.nameOf("signature")} is not that of ${flags.nameOf("bundle")}`, {
      remedy: "leave one of both out",
    });
  }
  const parts = await complete(
    fromFile?.parts ?? { signature: signature ?? new Uint8Array(0) },
    flags,
    signer,
    context,
  );
  trace(
    context,
    `signature: in a format that cosign wrote before bundles, ${parts.tlogEntries?.length ?? 0} log entries`,
  );
  return { kind: "bundle", bundle: await naming("signature", () => assembleBundle(parts)), isLegacy: true };
}

async function complete(
  parts: SignatureParts,
  flags: Flags,
  expected: ExpectedSigner,
  context: Context,
): Promise<SignatureParts> {
  const path = flags.string("certificate");
  const given = path === undefined ? undefined : await readCertificateFile(path, "certificate", context);
  const certificate: ClaimedSigner | undefined =
    given === undefined ? undefined : { kind: "certificate", certificate: given[0] };
  if (certificate !== undefined) requireSameSigner(parts.signer, certificate);
  if ("keys" in expected)
    requireSameSigner(parts.signer, { kind: "public-key", publicKey: expected.keys[0].publicKey });
  const intermediates = flags.string("ca-intermediates");
  const timestamp = flags.string("rfc3161-timestamp");
  return {
    ...parts,
    signer: certificate ?? parts.signer,
    intermediates:
      intermediates === undefined ? [] : await readCertificateFile(intermediates, "intermediate certificates", context),
    rfc3161Timestamps: timestamp === undefined ? [] : [await readTimestampFile(timestamp, context)],
  };
}

/** cosign's words for what a bundle holds itself. */
const IN_BUNDLE: Readonly<Record<string, string>> = {
  certificate: "certificate must be in bundle and may not be provided using --certificate",
  "certificate-chain": "certificate chain must be in bundle and may not be provided using --certificate-chain",
  "ca-roots": "CA roots/intermediates must be provided using --trusted-root",
  "ca-intermediates": "CA roots/intermediates must be provided using --trusted-root",
  "timestamp-certificate-chain": "TSA certificate chain path may only be provided using --trusted-root",
  "rfc3161-timestamp": "RFC3161 timestamp may not be provided using --rfc3161-timestamp",
  signature: "signature may not be provided using --signature",
};

function refuseLegacyFlags(flags: Flags): void {
  const name = LEGACY_FLAGS.find((legacy) => flags.has(legacy));
  if (name !== undefined) {
    throw usage(`unsupported: ${IN_BUNDLE[name] ?? name} when the bundle is a Sigstore bundle`, {
      remedy: `leave ${flags.nameOf(name)} out`,
    });
  }
  if (!flags.boolean("new-bundle-format", true)) {
    throw usage(`${flags.nameOf("new-bundle-format")} is false, but the bundle is a Sigstore bundle`, {
      remedy: "leave it out: the format is found out",
    });
  }
}

/**
 * Refuses a timestamp that nothing asks for, which would prove nothing, and the want of one that is asked for.
 *
 * @throws InputError `USAGE_INVALID`.
 */
export function checkTimestampFlags(flags: Flags): void {
  const asked = ["use-signed-timestamps", "timestamp-certificate-chain"].find((name) =>
    name === "use-signed-timestamps" ? flags.boolean(name) : flags.has(name),
  );
  if (flags.has("rfc3161-timestamp") && asked === undefined) {
    throw usage(
      "when specifying --rfc3161-timestamp, you must also specify --use-signed-timestamps or --timestamp-certificate-chain",
      { remedy: "add --use-signed-timestamps" },
    );
  }
  if (!flags.has("rfc3161-timestamp") && asked !== undefined) {
    throw usage(
      "when specifying --use-signed-timestamps or --timestamp-certificate-chain, you must also specify --rfc3161-timestamp",
      { remedy: `give the file with the timestamp, or leave ${flags.nameOf(asked)} out` },
    );
  }
}

/** Refuses authorities that are named twice, or half. @throws InputError `USAGE_INVALID`. */
export function checkAuthorityFlags(flags: Flags): void {
  const other = ["ca-roots", "ca-intermediates"].find((name) => flags.has(name));
  if (flags.has("certificate-chain") && other !== undefined) {
    throw usage(`${flags.nameOf("certificate-chain")} and ${flags.nameOf(other)} exclude one another`, {
      remedy: "leave one of both out",
    });
  }
  if (flags.has("ca-intermediates") && !flags.has("ca-roots"))
    throw usage(`${flags.nameOf("ca-intermediates")} needs --ca-roots`, { remedy: "give the roots that they lead to" });
}

/**
 * Reads a signature as cosign does: from a URL, from a file, or otherwise the flag is the signature itself, in base64.
 *
 * @throws InputError, ServiceError, FormatError.
 */
export async function readSignature(reference: string, context: Context): Promise<Uint8Array> {
  if (isUrl(reference) || (await exists(reference)))
    return await naming(nameOf(reference), async () =>
      parseSignatureFile(await read(reference, "signature", MAX_BUNDLE_BYTES, context)),
    );
  if (!/^[A-Za-z0-9+/]{16,}={0,2}$/.test(reference) || reference.length % 4 !== 0) {
    throw usage(`--signature ${JSON.stringify(reference)} is neither a file nor base64`, {
      remedy: "check the path of the file with the signature",
    });
  }
  return parseSignatureFile(encodeUtf8(reference));
}

/**
 * Reads certificates from a file or a URL: PEM, base64 of PEM, or DER.
 *
 * @throws InputError, ServiceError, FormatError.
 */
export async function readCertificateFile(
  reference: string,
  what: string,
  context: Context,
): Promise<readonly [Certificate, ...Certificate[]]> {
  return await naming(nameOf(reference), async () =>
    parseCertificateFile(await read(reference, what, MAX_CERTIFICATE_FILE_BYTES, context)),
  );
}

/**
 * Reads a timestamp in a file of its own, or from a URL.
 *
 * @throws InputError, ServiceError, FormatError.
 */
export async function readTimestampFile(reference: string, context: Context): Promise<Uint8Array> {
  return await naming(nameOf(reference), async () =>
    parseTimestampFile(await read(reference, "timestamp", 2 * MAX_TIMESTAMP_BYTES, context)),
  );
}

async function read(
  reference: string,
  what: string,
  maxBytes: number,
  { fetch, signal }: Context,
): Promise<Uint8Array> {
  return isUrl(reference)
    ? await fetchBytes(reference, maxBytes, { fetch, timeoutMs: REQUEST_TIMEOUT_MS, signal })
    : await readInputFile(reference, maxBytes, what);
}

function isUrl(reference: string): boolean {
  return /^https?:\/\//.test(reference);
}

function nameOf(reference: string): string {
  return isUrl(reference) ? redactUrl(reference) : reference;
}
