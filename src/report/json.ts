/**
 * Evidence and refusals as JSON, in the shape of `schema/result.schema.json`. Stable: fields are added, never renamed or removed.
 *
 * @module
 */

import { formatDigest } from "../crypto/digest.ts";
import { encodeBase64 } from "../encoding/base64.ts";
import { encodeHex } from "../encoding/hex.ts";
import type { JsonObject, JsonValue } from "../encoding/json.ts";
import type { Check, SigstoreError } from "../errors.ts";
import type { TrustSource } from "../trust/trust-source.ts";
import type {
  VerifiedBundle,
  VerifiedContent,
  VerifiedLogEntry,
  VerifiedSignedCertificateTimestamp,
  VerifiedSigner,
  VerifiedTimestamp,
} from "../verify/evidence.ts";
import type { Certificate } from "../x509/certificate.ts";
import { formatName } from "../x509/name.ts";
import { remedyFor } from "./remedies.ts";

/** Is the version of the result's shape, in its field `version`. */
export const RESULT_VERSION = 1;

/** Writes what was proven as JSON. Times are ISO 8601 in UTC, digests lower-case hex, indexes and sizes decimal strings. */
export function evidenceToJson(evidence: VerifiedBundle): JsonObject {
  return {
    version: RESULT_VERSION,
    verdict: "verified",
    signer: signerToJson(evidence.signer),
    content: contentToJson(evidence.content),
    signatureAlgorithm: evidence.signatureAlgorithm,
    timestamps: evidence.timestamps.map(timestampToJson),
    logEntries: evidence.logEntries.map(logEntryToJson),
    unproven: evidence.unproven.map(({ what, reason }) => ({ what, reason })),
    setAside: evidence.setAside.map(({ what, path, reason }) => ({ what, path, reason })),
    checks: evidence.checks.map(checkToJson),
    trust: trustToJson(evidence.trust),
  };
}

/** Writes why something was refused as JSON, with every check that ran. */
export function refusalToJson(error: SigstoreError): JsonObject {
  return {
    version: RESULT_VERSION,
    verdict: "refused",
    error: omitUndefined({
      kind: error.name,
      code: error.code,
      message: error.message,
      expected: error.expected,
      found: error.found,
      remedy: remedyFor(error),
    }),
    checks: (error.report ?? []).map(checkToJson),
  };
}

function signerToJson(signer: VerifiedSigner): JsonObject {
  switch (signer.kind) {
    case "public-key":
      return omitUndefined({ kind: signer.kind, spkiSha256: encodeHex(signer.spkiSha256), name: signer.name });
    case "certificate": {
      const { subjectAlternativeName: san, issuer, extensions } = signer.identity;
      return {
        kind: signer.kind,
        identity: omitUndefined({
          subjectAlternativeName: { kind: san.kind, value: san.value },
          issuer,
          extensions: omitUndefined({ ...extensions }),
        }),
        certificate: { ...certificateToJson(signer.certificate), der: encodeBase64(signer.certificate.bytes) },
        chain: signer.chain.slice(1).map(certificateToJson),
        certificateAuthority: { uri: signer.certificateAuthority.uri, operator: signer.certificateAuthority.operator },
        signedCertificateTimestamps: signer.signedCertificateTimestamps.map(sctToJson),
      };
    }
  }
}

function certificateToJson(certificate: Certificate): JsonObject {
  return {
    subject: formatName(certificate.subject),
    issuer: formatName(certificate.issuer),
    serialNumber: encodeHex(certificate.serialNumber),
    notBefore: certificate.notBefore.toISOString(),
    notAfter: certificate.notAfter.toISOString(),
  };
}

function sctToJson(sct: VerifiedSignedCertificateTimestamp): JsonObject {
  return {
    logId: encodeHex(sct.logId),
    baseUrl: sct.baseUrl,
    operator: sct.operator,
    time: sct.time.toISOString(),
    withinCertificateValidity: sct.withinCertificateValidity,
  };
}

function contentToJson(content: VerifiedContent): JsonObject {
  switch (content.kind) {
    case "artifact":
      return { kind: content.kind, digest: formatDigest(content.digest) };
    case "statement":
      return omitUndefined({
        kind: content.kind,
        predicateType: content.predicateType,
        subject:
          content.subject === undefined
            ? undefined
            : omitUndefined({ name: content.subject.subject.name, digest: formatDigest(content.subject.digest) }),
        statement: content.statement.json,
      });
  }
}

function timestampToJson(timestamp: VerifiedTimestamp): JsonObject {
  const { kind, operator } = timestamp;
  const time = timestamp.time.toISOString();
  switch (timestamp.kind) {
    case "rfc3161":
      return { kind, time, operator, uri: timestamp.uri };
    case "integrated-time":
      return { kind, time, operator, logId: encodeHex(timestamp.logId) };
  }
}

function logEntryToJson(entry: VerifiedLogEntry): JsonObject {
  const { inclusionProof: proof } = entry;
  return omitUndefined({
    logId: encodeHex(entry.logId),
    baseUrl: entry.baseUrl,
    operator: entry.operator,
    kind: entry.kind,
    version: entry.version,
    logIndex: entry.logIndex?.toString(),
    integratedTime: entry.integratedTime?.toISOString(),
    inclusionPromise: entry.inclusionPromise,
    inclusionProof:
      proof === undefined
        ? undefined
        : {
            logIndex: proof.logIndex.toString(),
            treeSize: proof.treeSize.toString(),
            rootHash: encodeHex(proof.rootHash),
            origin: proof.origin,
            cosignatures: proof.cosignatures.map(({ witness, time }) => ({ witness, time: time.toISOString() })),
          },
  });
}

function checkToJson({ name, section, outcome, detail, code, expected, found }: Check): JsonObject {
  return omitUndefined({ name, section, outcome, detail, code, expected, found });
}

function trustToJson(trust: TrustSource): JsonObject {
  switch (trust.kind) {
    case "caller":
      return { kind: trust.kind };
    case "file":
      return { kind: trust.kind, path: trust.path };
    case "embedded":
      return {
        kind: trust.kind,
        instance: trust.instance,
        publishedAt: trust.publishedAt.toISOString(),
        expired: trust.expired,
      };
    case "tuf":
      return {
        kind: trust.kind,
        mirror: trust.mirror,
        refreshedAt: trust.refreshedAt.toISOString(),
        fromCache: trust.fromCache,
        expires: trust.expires.toISOString(),
        expired: trust.expired,
      };
  }
}

function omitUndefined(object: Readonly<Record<string, JsonValue | undefined>>): JsonObject {
  return Object.fromEntries(
    Object.entries(object).filter((field): field is [string, JsonValue] => field[1] !== undefined),
  );
}
