/**
 * Evidence and refusals as a tree of text for people. The shape may change; scripts read the JSON.
 *
 * @module
 */

import { formatDigest } from "../crypto/digest.ts";
import { encodeHex } from "../encoding/hex.ts";
import type { Check, SigstoreError } from "../errors.ts";
import type { TrustSource } from "../trust/trust-source.ts";
import type {
  VerifiedBundle,
  VerifiedContent,
  VerifiedLogEntry,
  VerifiedSigner,
  VerifiedTimestamp,
} from "../verify/evidence.ts";
import { FULCIO_EXTENSIONS } from "../x509/fulcio.ts";
import { formatName } from "../x509/name.ts";
import { sanitize } from "../encoding/printable.ts";
import { remedyFor } from "./remedies.ts";
import { renderTree, type TreeNode } from "./tree.ts";

/** Writes what was proven as a tree. */
export function evidenceToText(evidence: VerifiedBundle): string {
  return renderTree({
    text: evidence.unproven.length === 0 ? "Verified" : "Verified, in part",
    children: [
      signerNode(evidence.signer, evidence.signatureAlgorithm),
      contentNode(evidence.content),
      listNode("when", evidence.timestamps.map(timestampNode)),
      listNode("logged", evidence.logEntries.map(logEntryNode)),
      listNode(
        "NOT PROVEN",
        evidence.unproven.map(({ what, reason }) => ({ text: `${what}: ${reason}` })),
      ),
      listNode(
        "set aside",
        evidence.setAside.map(({ path, reason }) => ({ text: `${path}: ${reason}` })),
      ),
      { text: `trust: ${describeTrust(evidence.trust)}` },
    ].filter((node) => node !== undefined),
  });
}

/** Writes why something was refused: one line with the cause, the values compared and the remedy. */
export function refusalToText(error: SigstoreError): string {
  const compared = [
    error.expected === undefined ? undefined : `expected ${error.expected}`,
    error.found === undefined ? undefined : `found ${error.found}`,
  ].filter((part) => part !== undefined);
  const values = compared.length === 0 ? "" : ` (${compared.join("; ")})`;
  return sanitize(`${error.message}${values}; ${remedyFor(error)} [${error.code}]`);
}

/** Writes each check with its outcome and the section of the specification that asks for it. */
export function checksToText(checks: readonly Check[]): string {
  const marks = { passed: "ok  ", failed: "FAIL", "not-reached": "--  ", skipped: "skip" } as const;
  return checks
    .map(({ name, section, outcome, detail, expected, found, code }) => {
      const values =
        outcome === "failed"
          ? [expected && `expected ${expected}`, found && `found ${found}`, code].filter(Boolean).join("; ")
          : "";
      const told = [detail, values === "" ? undefined : `(${values})`].filter((part) => part !== undefined).join(" ");
      return sanitize(`${marks[outcome]}  ${name.padEnd(34)} ${told === "" ? "" : `${told}  `}[${section}]`);
    })
    .join("\n");
}

function signerNode(signer: VerifiedSigner, algorithm: string): TreeNode {
  switch (signer.kind) {
    case "public-key": {
      const named = signer.name === undefined ? "" : ` (${signer.name})`;
      return {
        text: `signer: public key sha256:${encodeHex(signer.spkiSha256)}${named}`,
        children: [{ text: `algorithm: ${algorithm}` }],
      };
    }
    case "certificate": {
      const { subjectAlternativeName: san, issuer, extensions } = signer.identity;
      const facts = FULCIO_EXTENSIONS.flatMap(({ field, title }) => {
        const value = extensions[field];
        return field === "issuer" || value === undefined ? [] : [{ text: `${title}: ${value}` }];
      });
      const { certificate } = signer;
      return {
        text: `signer: ${san.value}`,
        children: [
          { text: `issuer: ${issuer ?? "none"}` },
          ...new Map(facts.map((fact) => [fact.text, fact])).values(),
          { text: `algorithm: ${algorithm}` },
          {
            text: `certificate: valid ${certificate.notBefore.toISOString()} to ${certificate.notAfter.toISOString()}`,
          },
          {
            text: `chain: ${signer.chain
              .slice(1)
              .map(({ subject }) => formatName(subject))
              .join(" <- ")}`,
          },
          ...signer.signedCertificateTimestamps.map(({ baseUrl, time }) => ({
            text: `certificate logged: ${time.toISOString()} by ${baseUrl}`,
          })),
        ],
      };
    }
  }
}

function contentNode(content: VerifiedContent): TreeNode {
  switch (content.kind) {
    case "artifact":
      return { text: `artifact: ${formatDigest(content.digest)}` };
    case "statement": {
      const { subject, predicateType } = content;
      const name = subject?.subject.name === undefined ? "" : ` (${subject.subject.name})`;
      return {
        text: `statement: ${predicateType}`,
        children: [
          { text: subject === undefined ? "subject: not compared" : `subject: ${formatDigest(subject.digest)}${name}` },
        ],
      };
    }
  }
}

function timestampNode(timestamp: VerifiedTimestamp): TreeNode {
  const time = timestamp.time.toISOString();
  switch (timestamp.kind) {
    case "rfc3161":
      return { text: `${time} by timestamp authority ${timestamp.uri}` };
    case "integrated-time":
      return { text: `${time} by transparency log ${encodeHex(timestamp.logId)}` };
  }
}

function logEntryNode(entry: VerifiedLogEntry): TreeNode {
  const { inclusionProof: proof } = entry;
  const index = entry.logIndex ?? proof?.logIndex;
  return {
    text: `${entry.baseUrl}, ${entry.kind} ${entry.version}, index ${index ?? "unknown"}`,
    children: [
      {
        text:
          proof === undefined
            ? "promise of inclusion only"
            : `included in the tree of size ${proof.treeSize}, root ${encodeHex(proof.rootHash)}`,
      },
      ...(proof?.cosignatures ?? []).map(({ witness, time }) => ({
        text: `cosigned ${time.toISOString()} by ${witness}`,
      })),
    ],
  };
}

function listNode(text: string, children: readonly TreeNode[]): TreeNode | undefined {
  return children.length === 0 ? undefined : { text, children };
}

/** Writes where a trusted root came from. */
export function describeTrust(trust: TrustSource): string {
  switch (trust.kind) {
    case "caller":
      return "root given by the caller";
    case "file":
      return `root from ${trust.path}`;
    case "embedded":
      return `embedded root of ${trust.instance}, taken ${trust.publishedAt.toISOString()}${trust.expired ? ", EXPIRED" : ""}`;
    case "tuf": {
      const how = trust.fromCache ? "cached, refreshed" : "refreshed";
      return `TUF repository ${trust.mirror}, ${how} ${trust.refreshedAt.toISOString()}, ${trust.expired ? "EXPIRED" : "good until"} ${trust.expires.toISOString()}`;
    }
  }
}
