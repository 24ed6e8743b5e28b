/**
 * Signatures of an image in the shape that cosign's `verify` prints, which scripts read.
 *
 * @module
 */

import { serializeRekorBundle, serializeTimestampFile } from "../bundle/legacy.ts";
import { printableJson } from "../encoding/printable.ts";
import { tryDecodeUtf8 } from "../encoding/utf8.ts";
import { parseJson, type JsonObject } from "../encoding/json.ts";
import { MAX_ATTACHMENT_BYTES } from "../limits.ts";
import type { VerifiedImage, VerifiedImageSignature } from "../oci/verification/verified-image.ts";
import type { VerifiedSigner } from "../verify/evidence.ts";

/** cosign's names for the extensions that GitHub's certificates had from the beginning, and their numbers. */
const EXTENSIONS = [
  ["issuer", undefined, "1.3.6.1.4.1.57264.1.1"],
  ["githubWorkflowTrigger", "githubWorkflowTrigger", "1.3.6.1.4.1.57264.1.2"],
  ["githubWorkflowSHA", "githubWorkflowSha", "1.3.6.1.4.1.57264.1.3"],
  ["githubWorkflowName", "githubWorkflowName", "1.3.6.1.4.1.57264.1.4"],
  ["githubWorkflowRepository", "githubWorkflowRepository", "1.3.6.1.4.1.57264.1.5"],
  ["githubWorkflowRef", "githubWorkflowRef", "1.3.6.1.4.1.57264.1.6"],
] as const;

/** Keys under which only what was proven stands, whatever the signer calls an annotation. */
const PROVEN_KEYS: ReadonlySet<string> = new Set([
  "Subject",
  "Issuer",
  "Bundle",
  "RFC3161Timestamp",
  ...EXTENSIONS.flatMap(([, name, oid]) => (name === undefined ? [oid] : [name, oid])),
]);

/**
 * Writes the signatures of an image as cosign does, one element each. Subject, issuer, log entry and timestamp stand in it in both
 * formats, while cosign leaves them out for bundles; and no annotation stands in their place.
 *
 * @see cosign, cmd/cosign/cli/verify/verify.go `PrintVerification`; pkg/cosign/payload
 */
export function imageToCosignJson(image: VerifiedImage): readonly JsonObject[] {
  return image.signatures.map((signature) => {
    const { critical, annotations } = claimsOf(signature, image.name);
    const claimed = Object.entries(annotations).filter(([key]) => !PROVEN_KEYS.has(key));
    const proven = { ...signerFields(signature.evidence.signer), ...materialFields(signature) };
    // A map of Go is written in the order of its keys.
    const optional = [...claimed, ...Object.entries(proven)].toSorted(([a], [b]) => (a < b ? -1 : 1));
    const isEmpty = signature.format === "legacy" && optional.length === 0;
    return { critical, optional: isEmpty ? null : Object.fromEntries(optional) };
  });
}

/**
 * Writes what one signature of an image is over, as cosign prints it: the payload itself, or for a bundle the like of one.
 *
 * @see cosign, cmd/cosign/cli/verify/verify.go `PrintVerification`
 */
export function signatureToCosignText(signature: VerifiedImageSignature, name: string): string {
  if (isSimpleSigning(signature)) return tryDecodeUtf8(signature.payload) ?? "";
  const { critical, annotations } = claimsOf(signature, name);
  return printableJson({ critical, optional: annotations });
}

/** A payload is none where an attestation of before bundles was taken for a signature. */
function isSimpleSigning({ format, evidence }: VerifiedImageSignature): boolean {
  return format === "legacy" && evidence.content.kind === "artifact";
}

function claimsOf(
  signature: VerifiedImageSignature,
  name: string,
): { readonly critical: JsonObject; readonly annotations: JsonObject } {
  const { payload, digest, evidence, annotations } = signature;
  if (isSimpleSigning(signature)) {
    const json = parseJson(payload, {
      what: "payload",
      code: "SIMPLE_SIGNING_MALFORMED",
      maxBytes: MAX_ATTACHMENT_BYTES,
    });
    const { critical, optional } = json as { readonly critical: JsonObject; readonly optional?: JsonObject | null };
    return { critical, annotations: optional ?? {} };
  }
  const type = evidence.content.kind === "statement" ? evidence.content.predicateType : "";
  return {
    critical: {
      identity: { "docker-reference": name },
      image: { "docker-manifest-digest": digest },
      type,
    },
    annotations,
  };
}

function signerFields(signer: VerifiedSigner): JsonObject {
  if (signer.kind === "public-key") return {};
  const { subjectAlternativeName, issuer, extensions } = signer.identity;
  const fields: Record<string, string> = { Subject: subjectAlternativeName.value };
  if (issuer !== undefined) fields["Issuer"] = issuer;
  for (const [field, name, oid] of EXTENSIONS) {
    const value = field === "issuer" ? issuer : extensions[field];
    if (value === undefined) continue;
    if (name !== undefined) fields[name] = value;
    fields[oid] = value;
  }
  return fields;
}

function materialFields({ bundle }: VerifiedImageSignature): JsonObject {
  const { tlogEntries, rfc3161Timestamps } = bundle.verificationMaterial;
  const [entry] = tlogEntries;
  const [timestamp] = rfc3161Timestamps;
  return {
    // The field holds a promise, which only a log of Rekor v1 gives.
    ...(entry?.inclusionPromise !== undefined && { Bundle: asJson(serializeRekorBundle(entry)) }),
    ...(timestamp !== undefined && { RFC3161Timestamp: asJson(serializeTimestampFile(timestamp)) }),
  };
}

function asJson(text: string): JsonObject {
  return JSON.parse(text) as JsonObject;
}
