/**
 * Signatures and attestations as cosign kept them before bundles: a layer of a manifest, with the rest in its annotations.
 *
 * @module
 */

import type { Bundle } from "../../bundle/bundle.ts";
import {
  assembleBundle,
  legacySignature,
  parseRekorBundle,
  parseTimestampFile,
  serializeRekorBundle,
  serializeTimestampFile,
  type SignatureParts,
} from "../../bundle/legacy.ts";
import { encodeBase64, tryDecodeBase64 } from "../../encoding/base64.ts";
import { encodePem } from "../../encoding/pem.ts";
import { FormatError } from "../../errors.ts";
import { parseCertificate, parseCertificatesPem } from "../../x509/certificate.ts";
import type { LegacyContent } from "../verification/candidates.ts";
import { contentDigestOf } from "../content-digest.ts";
import type { Descriptor } from "../manifest.ts";
import {
  CERTIFICATE_ANNOTATION,
  CHAIN_ANNOTATION,
  DSSE_ENVELOPE,
  LOG_ENTRY_ANNOTATION,
  PREDICATE_TYPE_ANNOTATION,
  SIGNATURE_ANNOTATION,
  SIMPLE_SIGNING,
  TIMESTAMP_ANNOTATION,
} from "../media-types.ts";

/** Is a layer that is to be written. */
export interface LegacyLayer {
  readonly descriptor: Descriptor;
  readonly bytes: Uint8Array;
}

/** Says whether a layer could hold a signature over a payload, or an attestation. */
export function isLegacyLayer({ mediaType }: Descriptor): boolean {
  return mediaType === SIMPLE_SIGNING || mediaType === DSSE_ENVELOPE;
}

/**
 * Reads a layer into the one model. Nothing of it is proven.
 *
 * @param bytes - The blob, which the caller has compared with its digest.
 * @throws {@link FormatError} of the part that is malformed: `BUNDLE_MALFORMED`, `PEM_MALFORMED`, `CERTIFICATE_MALFORMED`, `TLOG_ENTRY_MALFORMED`,
 * `TIMESTAMP_MALFORMED`, `ENVELOPE_MALFORMED`, `LIMIT_EXCEEDED`.
 * @see cosign, pkg/oci/internal/signature/layer.go
 */
export function readLegacyLayer(descriptor: Descriptor, bytes: Uint8Array): LegacyContent {
  const isEnvelope = descriptor.mediaType === DSSE_ENVELOPE;
  const annotations = descriptor.annotations ?? {};
  const signature = isEnvelope ? bytes : readSignature(annotations[SIGNATURE_ANNOTATION]);
  const parts = { signature, ...readAnnotations(annotations) };
  const bundle = assembleBundle(parts);
  if (isEnvelope) return { kind: "dsse", bundle, parts, envelope: bytes };
  if (bundle.content.kind !== "messageSignature")
    throw new FormatError("BUNDLE_MALFORMED", `annotation ${SIGNATURE_ANNOTATION} holds an envelope, not a signature`);
  return { kind: "simple-signing", bundle, parts, payload: bytes };
}

function readSignature(text: string | undefined): Uint8Array {
  if (text === undefined || text === "")
    throw new FormatError("BUNDLE_MALFORMED", `layer has no annotation ${SIGNATURE_ANNOTATION}`);
  // `attach signature` takes files as they are, with the newline at their end.
  const signature = tryDecodeBase64(text.replaceAll(/[\r\n]/g, ""));
  if (signature === undefined || signature.length === 0)
    throw new FormatError("BUNDLE_MALFORMED", `annotation ${SIGNATURE_ANNOTATION} is not base64`);
  return signature;
}

function readAnnotations(annotations: Readonly<Record<string, string>>): Omit<SignatureParts, "signature"> {
  const certificate = annotations[CERTIFICATE_ANNOTATION] ?? "";
  const chain = annotations[CHAIN_ANNOTATION] ?? "";
  const logEntry = annotations[LOG_ENTRY_ANNOTATION] ?? "";
  const timestamp = annotations[TIMESTAMP_ANNOTATION] ?? "";
  const [leaf] = certificate === "" ? [] : parseCertificatesPem(certificate);
  if (certificate !== "" && leaf === undefined)
    throw new FormatError("CERTIFICATE_MALFORMED", `annotation ${CERTIFICATE_ANNOTATION} holds no certificate`);
  return {
    ...(leaf !== undefined && { signer: { kind: "certificate", certificate: leaf } }),
    intermediates: chain === "" ? [] : parseCertificatesPem(chain),
    tlogEntries: logEntry === "" ? [] : [parseRekorBundle(logEntry)],
    rfc3161Timestamps: timestamp === "" ? [] : [parseTimestampFile(timestamp)],
  };
}

/** Says what a layer needs besides the bundle. */
export interface LegacyLayerParts {
  readonly bundle: Bundle;
  /** What was signed, for a signature that is not an envelope. */
  readonly payload?: Uint8Array | undefined;
  /** The certificates that lead from the signer's to a root, the root last. */
  readonly chain?: readonly Uint8Array[] | undefined;
  /** For an attestation. */
  readonly predicateType?: string | undefined;
  /** The timestamp, where it is not one of the bundle: of an attestation, over the envelope. DER. */
  readonly timestamp?: Uint8Array | undefined;
}

/**
 * Writes a signature or an attestation as a layer.
 *
 * @throws {@link FormatError} `BUNDLE_MALFORMED` for an entry of a log that gives no promise, which an annotation cannot hold.
 */
export function toLegacyLayer(parts: LegacyLayerParts): LegacyLayer {
  const { bundle, payload, chain = [], predicateType } = parts;
  const { content, tlogEntries, rfc3161Timestamps } = bundle.verificationMaterial;
  const isEnvelope = bundle.content.kind === "dsseEnvelope";
  // A timestamp may be over the envelope as it was written, which another spelling of it would lose.
  const bytes = isEnvelope ? (bundle.verificationMaterial.envelopeJson ?? legacySignature(bundle)) : payload;
  if (bytes === undefined) throw new TypeError("a signature without what was signed cannot be kept in a layer");
  const leaf =
    content.kind === "certificate"
      ? content.certificate
      : content.kind === "publicKey"
        ? undefined
        : content.certificates[0];
  const [entry] = tlogEntries;
  const timestamp = parts.timestamp ?? rfc3161Timestamps[0];
  return {
    bytes,
    descriptor: {
      mediaType: isEnvelope ? DSSE_ENVELOPE : SIMPLE_SIGNING,
      digest: contentDigestOf(bytes),
      size: bytes.length,
      annotations: {
        [SIGNATURE_ANNOTATION]: isEnvelope ? "" : encodeBase64(legacySignature(bundle)),
        ...(leaf !== undefined && {
          [CERTIFICATE_ANNOTATION]: encodePem("CERTIFICATE", parseCertificate(leaf).bytes),
          [CHAIN_ANNOTATION]: chain.map((certificate) => encodePem("CERTIFICATE", certificate)).join(""),
        }),
        ...(entry !== undefined && { [LOG_ENTRY_ANNOTATION]: serializeRekorBundle(entry) }),
        ...(timestamp !== undefined && { [TIMESTAMP_ANNOTATION]: serializeTimestampFile(timestamp) }),
        ...(predicateType !== undefined && { [PREDICATE_TYPE_ANNOTATION]: predicateType }),
      },
    },
  };
}
