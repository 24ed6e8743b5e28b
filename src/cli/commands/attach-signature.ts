/**
 * `cosign-ts attach signature`: a signature that was made elsewhere, kept with an image.
 *
 * @module
 */

import {
  parseLegacyBundle,
  parseRekorBundle,
  parseSignatureFile,
  parseTimestampFile,
  type SignatureParts,
} from "../../bundle/legacy.ts";
import { tryDecodeUtf8 } from "../../encoding/utf8.ts";
import { readInputFile } from "../../files/read-file.ts";
import { MAX_ATTACHMENT_BYTES, MAX_BUNDLE_BYTES, MAX_TIMESTAMP_BYTES } from "../../limits.ts";
import { attachAttestations, attachSignature as attachToImage } from "../../oci/attach.ts";
import type { TransparencyLogEntry } from "../../tlog/transparency-log-entry.ts";
import { parseTimestampResponse } from "../../tsa/timestamp-response.ts";
import { ATTACH_FLAGS, printAttached, readAttachOptions, readFileOrStdin, SUBJECT_FLAG } from "../images/attaching.ts";
import type { Command, Context } from "../context.ts";
import { usage, type Flags } from "../flags.ts";
import { naming } from "../named-input.ts";
import { printRefusal } from "../result.ts";
import { readCertificateFile } from "../signed-material.ts";

const PARTS = ["signature", "certificate", "certificate-chain", "tsr", "rekor-response"];

/** Attaches a signature to an image: a bundle, or a signature from before bundles with what stands beside it. */
export const attachSignature: Command = {
  name: "attach signature",
  summary:
    "Attach a signature to the image that it is about: a Sigstore bundle, or a signature over a simple-signing payload with its certificate, log entry and timestamp. It is not verified.",
  operands: "IMAGE",
  minOperands: 1,
  maxOperands: 1,
  environment: true,
  flags: [
    { name: "bundle", kind: "string", value: "FILE", description: "a Sigstore bundle; the other files are part of it" },
    {
      name: "signature",
      kind: "string",
      value: "FILE",
      description: "the signature, in base64: a file or -",
    },
    {
      name: "payload",
      kind: "string",
      value: "FILE",
      description: "what was signed; otherwise what cosign-ts generate makes for the image",
    },
    { name: "certificate", kind: "string", value: "FILE", description: "the certificate of the signer" },
    {
      name: "certificate-chain",
      kind: "string",
      value: "FILE",
      description: "the certificates from its issuer to the root",
    },
    {
      name: "tsr",
      kind: "string",
      value: "FILE",
      description: 'the timestamp: an RFC 3161 response, or {"SignedRFC3161Timestamp": …}',
    },
    {
      name: "rekor-response",
      kind: "string",
      value: "FILE",
      description: "the log entry: cosign's old bundle, or what stands in it under rekorBundle",
    },
    SUBJECT_FLAG,
    ...ATTACH_FLAGS,
  ],
  examples: [
    "cosign-ts attach signature --bundle app.sigstore.json registry.example.com/app:v1",
    "cosign-ts attach signature --payload payload.json --signature payload.sig --certificate signer.pem registry.example.com/app:v1",
  ],
  async run([image = ""], flags, context) {
    const options = await readAttachOptions(image, flags, context);
    const bundle = await readBundle(flags);
    if (bundle !== undefined) {
      printAttached(await attachAttestations(image, [bundle], options), flags, context);
      return 0;
    }
    const payload = flags.string("payload");
    const signature = {
      ...(await readParts(flags, context)),
      payload: payload === undefined ? undefined : await readInputFile(payload, MAX_ATTACHMENT_BYTES, "payload"),
    };
    printAttached(await attachToImage(image, signature, options), flags, context);
    return 0;
  },
  refuse: printRefusal,
};

/** Of cosign, `--payload` may name a bundle, too. */
async function readBundle(flags: Flags): Promise<Uint8Array | undefined> {
  const path = flags.string("bundle") ?? flags.string("payload");
  if (path === undefined) return undefined;
  if (flags.has("bundle") && flags.has("payload"))
    throw usage("--bundle and --payload exclude one another", { remedy: "leave one of both out" });
  const bytes = await readInputFile(path, MAX_ATTACHMENT_BYTES, flags.has("bundle") ? "bundle" : "payload");
  const isBundle = /^\s*\{[^]*"mediaType"\s*:\s*"application\/vnd\.dev\.sigstore\.bundle/.test(
    tryDecodeUtf8(bytes) ?? "",
  );
  if (!isBundle && !flags.has("bundle")) return undefined;
  if (!isBundle)
    throw usage(`--bundle ${path} is no Sigstore bundle`, {
      remedy:
        "give the payload with --payload, the signature with --signature, and cosign's old bundle with --rekor-response",
    });
  const other = PARTS.find((name) => flags.has(name));
  if (other !== undefined)
    throw usage(`${flags.nameOf(other)} goes with no bundle`, { remedy: "leave it out: the bundle holds it" });
  return bytes;
}

async function readParts(
  flags: Flags,
  context: Context,
): Promise<SignatureParts & { readonly chain: readonly Uint8Array[] }> {
  const path = flags.string("signature");
  if (path === undefined)
    throw usage("must supply --signature, or a Sigstore bundle with --bundle", {
      remedy: "name the file with the signature",
    });
  const certificate = flags.string("certificate");
  const chain = flags.string("certificate-chain");
  if (chain !== undefined && certificate === undefined)
    throw usage("--certificate-chain needs --certificate", { remedy: "give the certificate that the chain is of" });
  const signature = await readFileOrStdin(path, MAX_BUNDLE_BYTES, "signature", context);
  const timestamp = flags.string("tsr");
  const logEntry = flags.string("rekor-response");
  return {
    signature: await naming(path, () => parseSignatureFile(signature)),
    ...(certificate !== undefined && {
      signer: {
        kind: "certificate",
        certificate: (await readCertificateFile(certificate, "certificate", context))[0],
      },
    }),
    chain:
      chain === undefined
        ? []
        : (await readCertificateFile(chain, "certificate chain", context)).map(({ bytes }) => bytes),
    rfc3161Timestamps: timestamp === undefined ? [] : [await readTimestamp(timestamp)],
    tlogEntries: logEntry === undefined ? [] : await readLogEntry(logEntry),
  };
}

async function readTimestamp(path: string): Promise<Uint8Array> {
  const bytes = await readInputFile(path, 2 * MAX_TIMESTAMP_BYTES, "timestamp");
  return await naming(path, () => {
    const response = bytes[0] === 0x7b ? parseTimestampFile(bytes) : bytes;
    parseTimestampResponse(response); // what is no timestamp is told here, and not to who verifies
    return response;
  });
}

async function readLogEntry(path: string): Promise<readonly TransparencyLogEntry[]> {
  const bytes = await readInputFile(path, MAX_BUNDLE_BYTES, "log entry");
  return await naming(path, () => {
    if (!(tryDecodeUtf8(bytes) ?? "").includes('"base64Signature"')) return [parseRekorBundle(bytes)];
    const { tlogEntries = [] } = parseLegacyBundle(bytes);
    if (tlogEntries.length > 0) return tlogEntries;
    throw usage("--rekor-response names a bundle without a log entry", { remedy: "leave it out" });
  });
}
