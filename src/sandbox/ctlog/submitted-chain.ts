import { createPublicKey, hash, X509Certificate } from "node:crypto";
import { SigstoreError } from "../../errors.ts";
import { parseCertificate, type Certificate } from "../../x509/certificate.ts";
import { X509_OID } from "../../x509/oids.ts";
import { MAX_PATH_LENGTH } from "../../limits.ts";
import { equalBytes } from "../../encoding/bytes.ts";

/** Says why a log does not take a chain. */
export class ChainRefusal extends Error {
  override readonly name = "ChainRefusal";
}

/**
 * Checks what was submitted to a log: each certificate signs the one before it, the last is a root that the log knows or was
 * issued by one, and the first is of the kind that the endpoint takes.
 *
 * As in other logs dates are not checked, nor constraints: it is to record certificates, not to judge them.
 *
 * @returns The path from the certificate to the root, which is added where it was left out.
 * @throws {@link ChainRefusal}
 * @see RFC 6962 §3.1 and §4.1
 */
export function checkSubmittedChain(
  submitted: readonly Uint8Array[],
  roots: readonly Uint8Array[],
  kind: "certificate" | "precertificate",
): readonly [Certificate, Certificate, ...Certificate[]] {
  if (submitted.length > MAX_PATH_LENGTH) throw new ChainRefusal(`chain has more than ${MAX_PATH_LENGTH} certificates`);
  const path = submitted.map(parse);
  const [leaf, second] = path;
  const last = path.at(-1);
  if (leaf === undefined || last === undefined) throw new ChainRefusal("chain is empty");
  if (!(leaf.extensions.extendedKeyUsage?.purposes ?? []).includes(X509_OID.codeSigning))
    throw new ChainRefusal("rejecting certificate without EKU CodeSigning");
  for (const [index, certificate] of path.entries()) {
    const issuer = path[index + 1];
    if (issuer !== undefined && !issued(issuer, certificate))
      throw new ChainRefusal(`certificate ${index} of the chain was not issued by the next one`);
  }
  if (!roots.some((root) => equalBytes(root, last.bytes))) {
    const root = roots.map(parse).find((candidate) => issued(candidate, last));
    if (root === undefined) throw new ChainRefusal("chain does not lead to a root that this log knows");
    path.push(root);
  }
  const issuer = second ?? path[1];
  if (issuer === undefined) throw new ChainRefusal("chain is a root alone");
  if (isPrecertificate(leaf) !== (kind === "precertificate")) throw new ChainRefusal("cert / precert mismatch");
  return [leaf, issuer, ...path.slice(2)];
}

function parse(der: Uint8Array): Certificate {
  try {
    return parseCertificate(der);
  } catch (error) {
    if (!(error instanceof SigstoreError)) throw error;
    throw new ChainRefusal(error.message, { cause: error });
  }
}

/** RFC 6962 §3.1: critical, and with NULL as its value. */
function isPrecertificate(certificate: Certificate): boolean {
  const poison = certificate.extensions.all.get(X509_OID.precertificatePoison);
  if (poison === undefined) return false;
  if (!poison.critical || !equalBytes(poison.value, Uint8Array.of(5, 0)))
    throw new ChainRefusal("certificate has a poison extension that is not critical, or not NULL");
  return true;
}

/** Authorities that were found to have issued one another: they come with every chain. */
const issuedAuthorities = new Set<string>();
const MAX_ISSUED_AUTHORITIES = 1000;

function issued(issuer: Certificate, certificate: Certificate): boolean {
  if (!equalBytes(issuer.subject, certificate.issuer)) return false;
  if (certificate.extensions.basicConstraints?.ca !== true) return isSignedBy(certificate, issuer);
  const pair = `${fingerprint(issuer)} ${fingerprint(certificate)}`;
  if (issuedAuthorities.has(pair)) return true;
  if (!isSignedBy(certificate, issuer)) return false;
  if (issuedAuthorities.size >= MAX_ISSUED_AUTHORITIES) issuedAuthorities.clear();
  issuedAuthorities.add(pair);
  return true;
}

function isSignedBy(certificate: Certificate, issuer: Certificate): boolean {
  const key = createPublicKey({ key: Buffer.from(issuer.subjectPublicKeyInfo), format: "der", type: "spki" });
  return new X509Certificate(certificate.bytes).verify(key);
}

function fingerprint(certificate: Certificate): string {
  return hash("sha256", certificate.bytes);
}
