/**
 * A bundle as a tree of claims: everything that is in it, decoded, and nothing verified.
 *
 * @module
 */

import type { Bundle } from "../bundle/bundle.ts";
import type { Envelope } from "../dsse/envelope.ts";
import { encodeBase64 } from "../encoding/base64.ts";
import { encodeHex } from "../encoding/hex.ts";
import type { JsonObject, JsonValue } from "../encoding/json.ts";
import { SigstoreError } from "../errors.ts";
import { IN_TOTO_PAYLOAD_TYPE, parseStatement } from "../intoto/statement.ts";
import { parseCheckpoint } from "../tlog/checkpoint.ts";
import { parseEntryBody } from "../tlog/entry-body.ts";
import { parseSignedNote } from "../tlog/signed-note.ts";
import type { TransparencyLogEntry } from "../tlog/transparency-log-entry.ts";
import { parseTimestampResponse } from "../tsa/timestamp-response.ts";
import { parseCertificate, type Certificate } from "../x509/certificate.ts";
import { formatName } from "../x509/name.ts";
import { FULCIO_EXTENSIONS, readFulcioExtensions } from "../x509/fulcio.ts";
import { X509_OID } from "../x509/oids.ts";
import { parseSctList } from "../x509/sct.ts";

/** Is one claim of a bundle: a label with a value, with claims below it, or both. */
export interface Claim {
  readonly label: string;
  readonly value?: string | undefined;
  readonly children?: readonly Claim[] | undefined;
  /** The line as it is printed. */
  readonly text: string;
}

/** Describes everything that a bundle says. A part that cannot be read becomes a warning in its place. */
export function describeBundle(bundle: Bundle): Claim {
  const { verificationMaterial: material, content } = bundle;
  return claim("bundle", bundle.mediaType, [
    describeSigner(bundle),
    ...material.tlogEntries.map(describeEntry),
    ...material.rfc3161Timestamps.map(describeTimestamp),
    content.kind === "messageSignature"
      ? claim("message signature", undefined, [
          ...(content.messageDigest === undefined
            ? [claim("warning", "no message digest")]
            : [claim("digest", `${content.messageDigest.algorithm}:${encodeHex(content.messageDigest.digest)}`)]),
          claim("signature", encodeBase64(content.signature)),
        ])
      : describeEnvelope(content.envelope, material.content.kind === "publicKey" ? material.content.hint : undefined),
  ]);
}

/** Writes a tree of claims as JSON: an object for each claim, in order. */
export function treeToJson({ label, value, children }: Claim): JsonObject {
  const fields: Record<string, JsonValue> = { label };
  if (value !== undefined) fields["value"] = value;
  if (children !== undefined && children.length > 0) fields["children"] = children.map(treeToJson);
  return fields;
}

function describeSigner({ version, verificationMaterial: { content } }: Bundle): Claim {
  switch (content.kind) {
    case "publicKey":
      return claim("public key", undefined, [
        content.hint === "" ? claim("warning", "no hint") : claim("hint", content.hint),
      ]);
    case "certificate":
      return describeCertificate(content.certificate);
    case "x509CertificateChain":
      return claim("certificate chain", undefined, [
        ...(version === "0.3" ? [claim("warning", "version 0.3 holds a single certificate, not a chain")] : []),
        ...content.certificates.map(describeCertificate),
      ]);
  }
}

function describeCertificate(der: Uint8Array): Claim {
  return readable("certificate", () => {
    const certificate = parseCertificate(der);
    const { extensions, publicKey, signatureAlgorithm: algorithm } = certificate;
    const { subjectKeyIdentifier, authorityKeyIdentifier } = extensions;
    return [
      claim("subject", formatName(certificate.subject) || "(empty)"),
      claim("issuer", formatName(certificate.issuer)),
      claim("serial number", encodeHex(certificate.serialNumber)),
      claim("not before", certificate.notBefore.toISOString()),
      claim("not after", certificate.notAfter.toISOString()),
      claim(
        "public key",
        publicKey.modulusBits === undefined ? publicKey.type : `${publicKey.type}, ${publicKey.modulusBits} bits`,
      ),
      claim(
        "signature algorithm",
        algorithm.scheme === undefined
          ? algorithm.oid
          : [algorithm.scheme, algorithm.hash].filter(Boolean).join(" with "),
      ),
      ...extensions.subjectAlternativeNames.map(({ kind, value }) =>
        claim("subject alternative name", `${value} (${kind})`),
      ),
      ...(extensions.keyUsage === undefined ? [] : [claim("key usage", setNames(extensions.keyUsage).join(", "))]),
      ...(extensions.extendedKeyUsage === undefined
        ? []
        : [
            claim(
              "extended key usage",
              extensions.extendedKeyUsage.purposes.map((oid) => PURPOSES[oid] ?? oid).join(", "),
            ),
          ]),
      ...(extensions.basicConstraints?.ca === true ? [claim("certificate authority", "yes")] : []),
      ...(subjectKeyIdentifier === undefined ? [] : [claim("subject key id", encodeHex(subjectKeyIdentifier))]),
      ...(authorityKeyIdentifier === undefined ? [] : [claim("authority key id", encodeHex(authorityKeyIdentifier))]),
      ...listed("Fulcio extensions", () => describeFulcioExtensions(certificate)),
      ...listed("signed certificate timestamps", () =>
        parseSctList(certificate).map(({ logId, timestamp }) =>
          claim("signed certificate timestamp", undefined, [
            claim("log id", encodeHex(logId)),
            claim("time", timestamp.toISOString()),
          ]),
        ),
      ),
    ];
  });
}

function describeFulcioExtensions(certificate: Certificate): readonly Claim[] {
  const extensions = readFulcioExtensions(certificate);
  return [
    claim("OIDC issuer", extensions.issuer ?? "none"),
    ...FULCIO_EXTENSIONS.flatMap(({ field, title, oid }) => {
      const value = extensions[field];
      return field === "issuer" || value === undefined ? [] : [claim(`${title} (${oid})`, value)];
    }),
  ];
}

function setNames(flags: object): readonly string[] {
  return Object.entries(flags).flatMap(([name, set]) => (set === true ? [name] : []));
}

const PURPOSES: Readonly<Record<string, string>> = {
  [X509_OID.codeSigning]: "code signing",
  [X509_OID.timeStamping]: "time stamping",
};

function describeEntry(entry: TransparencyLogEntry): Claim {
  const { inclusionProof: proof, inclusionPromise: promise, kindVersion } = entry;
  return claim("log entry", `${kindVersion.kind} ${kindVersion.version}`, [
    claim("log index", `${entry.logIndex}`),
    claim("log id", encodeHex(entry.logId)),
    ...(entry.integratedTime === 0n
      ? []
      : [claim("integrated time", new Date(Number(entry.integratedTime) * 1000).toISOString())]),
    claim("inclusion promise", promise === undefined ? "none" : `${promise.length} bytes`),
    readable("body", () => [
      claim("kind", parseEntryBody(entry).kind),
      claim("size", `${entry.canonicalizedBody.length} bytes`),
    ]),
    ...(proof === undefined
      ? [claim("warning", "no inclusion proof")]
      : [
          claim("inclusion proof", undefined, [
            claim("log index", `${proof.logIndex}`),
            claim("tree size", `${proof.treeSize}`),
            claim("root hash", encodeHex(proof.rootHash)),
            claim("hashes", `${proof.hashes.length}`),
            proof.checkpoint === ""
              ? claim("warning", "no checkpoint")
              : readable("checkpoint", () => describeCheckpoint(proof.checkpoint)),
          ]),
        ]),
  ]);
}

function describeCheckpoint(envelope: string): readonly Claim[] {
  const note = parseSignedNote(envelope);
  const { origin, treeSize, rootHash } = parseCheckpoint(note.text);
  return [
    claim("origin", origin),
    claim("tree size", `${treeSize}`),
    claim("root hash", encodeHex(rootHash)),
    ...note.text
      .split("\n")
      .slice(3, -1)
      .map((line) => claim("extension", line)),
    ...note.signatures.map(({ name, keyId }) => claim("signature", `${name} (key id ${encodeHex(keyId)})`)),
  ];
}

function describeTimestamp(der: Uint8Array): Claim {
  return readable("RFC 3161 timestamp", () => {
    const { genTime, imprint, policy, serialNumber } = parseTimestampResponse(der);
    return [
      claim("time", genTime.toISOString()),
      claim("imprint", `${imprint.algorithm.hash ?? imprint.algorithm.oid}:${encodeHex(imprint.digest)}`),
      claim("policy", policy),
      claim("serial number", `${serialNumber}`),
    ];
  });
}

function describeEnvelope({ payloadType, payload, signatures }: Envelope, hint: string | undefined): Claim {
  return claim("DSSE envelope", payloadType, [
    payloadType === IN_TOTO_PAYLOAD_TYPE
      ? readable("statement", () => {
          const statement = parseStatement(payload);
          return [
            claim("type", statement.type),
            claim("predicate type", statement.predicateType),
            ...statement.subject.map(({ name, digest }) =>
              claim(
                "subject",
                name ?? "(no name)",
                Object.entries(digest).map(([algorithm, value]) => claim(algorithm, value)),
              ),
            ),
            ...(statement.predicate === undefined ? [] : [claim("predicate", JSON.stringify(statement.predicate))]),
          ];
        })
      : claim("payload", `${payload.length} bytes`),
    ...signatures.map(({ sig, keyid }) =>
      claim("signature", encodeBase64(sig), [
        ...(keyid === "" ? [] : [claim("key hint", keyid)]),
        ...(keyid === "" || hint === undefined || hint === keyid
          ? []
          : [claim("warning", "the key hint is not that of the bundle")]),
      ]),
    ),
  ]);
}

function readable(label: string, read: () => readonly Claim[]): Claim {
  try {
    return claim(label, undefined, read());
  } catch (error) {
    if (!(error instanceof SigstoreError)) throw error;
    return claim(label, undefined, [claim("warning", `cannot be read: ${error.message}`)]);
  }
}

/** Claims side by side, or why they cannot be read. */
function listed(what: string, read: () => readonly Claim[]): readonly Claim[] {
  try {
    return read();
  } catch (error) {
    if (!(error instanceof SigstoreError)) throw error;
    return [claim("warning", `${what} cannot be read: ${error.message}`)];
  }
}

function claim(label: string, value?: string, children?: readonly Claim[]): Claim {
  return { label, value, children, text: value === undefined ? label : `${label}: ${value}` };
}
