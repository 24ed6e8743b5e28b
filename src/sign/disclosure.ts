/**
 * What a signature makes public, told before it does.
 *
 * @module
 */

import { formatDigest, type Digest } from "../crypto/digest.ts";
import type { PublicKey } from "../crypto/public-key.ts";
import { encodePem } from "../encoding/pem.ts";
import { sanitize } from "../encoding/printable.ts";
import { expectCertificate } from "../oidc/expected-certificate.ts";
import type { IdentityToken } from "../oidc/identity-token.ts";
import type { Certificate } from "../x509/certificate.ts";
import { FULCIO_EXTENSIONS, readFulcioExtensions, type FulcioExtensions } from "../x509/fulcio.ts";
import type { SelectedServices } from "./events.ts";

/** Is one thing that becomes public. */
export interface DisclosedItem {
  readonly what:
    | "certificate-identity"
    | "certificate-issuer"
    | "certificate-extension"
    | "public-key"
    | "artifact-digest"
    | "statement-digest"
    | "signature"
    | "time";
  /** For a person, for instance `Source Repository URI`. */
  readonly title: string;
  /** The value as far as it is known before; `undefined` for what only comes about by signing. Not safe to print. */
  readonly value: string | undefined;
  /** The logs that will hold it. */
  readonly logs: readonly string[];
}

/** Is everything that one signature makes public, in logs from which nothing can be removed. */
export interface Disclosure {
  /** Empty where nothing becomes public. */
  readonly items: readonly DisclosedItem[];
  /** What stays private though one might think otherwise, and what else to know, in sentences. */
  readonly notes: readonly string[];
}

/** Says what is going to be signed, by whom, and with which services. */
export interface DisclosureRequest {
  readonly services: SelectedServices;
  readonly signer:
    | { readonly kind: "identity-token"; readonly token: IdentityToken }
    /** A certificate that was issued before: only the transparency logs are still to see it. */
    | { readonly kind: "certificate"; readonly certificate: Certificate }
    | { readonly kind: "key"; readonly publicKey: PublicKey };
  readonly content: { readonly kind: "artifact" | "statement"; readonly digest: Digest };
}

/**
 * Lists what a signature would make public: by the certificate in certificate transparency logs, and by the entry in
 * transparency logs. Asks nobody and publishes nothing.
 */
export function explainDisclosure({ services, signer, content }: DisclosureRequest): Disclosure {
  const rekor = services.rekor.map(({ url }) => url);
  const isNew = signer.kind === "identity-token";
  const forCertificate = isNew
    ? [`certificate transparency log of ${services.fulcio ?? "the certificate authority"}`, ...rekor]
    : rekor;
  const items: DisclosedItem[] = [];
  if (forCertificate.length > 0) items.push(...describeSigner(signer, forCertificate));
  if (rekor.length > 0) {
    items.push(
      content.kind === "artifact"
        ? { what: "artifact-digest", title: "Artifact digest", value: formatDigest(content.digest), logs: rekor }
        : { what: "statement-digest", title: "Statement digest", value: formatDigest(content.digest), logs: rekor },
      { what: "signature", title: "Signature", value: undefined, logs: rekor },
    );
  }
  if (items.length > 0)
    items.push({ what: "time", title: "Time of signing", value: undefined, logs: isNew ? forCertificate : rekor });
  return { items, notes: notesOn(items, services, content.kind) };
}

function describeSigner(signer: DisclosureRequest["signer"], logs: readonly string[]): readonly DisclosedItem[] {
  switch (signer.kind) {
    case "key":
      return [{ what: "public-key", title: "Public key", value: encodePem("PUBLIC KEY", signer.publicKey.spki), logs }];
    case "certificate": {
      const names = signer.certificate.extensions.subjectAlternativeNames.map(({ value }) => value);
      return describeIdentity(names, readFulcioExtensions(signer.certificate), logs);
    }
    case "identity-token": {
      const { issuer, subject } = signer.token;
      const expected = expectCertificate(signer.token);
      return expected === undefined
        ? describeIdentity([subject], { issuer }, logs)
        : describeIdentity([expected.subjectAlternativeName.value], expected.extensions, logs);
    }
  }
}

function describeIdentity(
  names: readonly string[],
  extensions: FulcioExtensions,
  logs: readonly string[],
): readonly DisclosedItem[] {
  const items: DisclosedItem[] = names.map((value) => ({
    what: "certificate-identity",
    title: "Identity",
    value,
    logs,
  }));
  const seen = new Set<keyof FulcioExtensions>();
  for (const { field, title } of FULCIO_EXTENSIONS) {
    const value = extensions[field];
    if (value === undefined || seen.has(field)) continue;
    seen.add(field);
    items.push({ what: field === "issuer" ? "certificate-issuer" : "certificate-extension", title, value, logs });
  }
  return items;
}

function notesOn(
  items: readonly DisclosedItem[],
  services: SelectedServices,
  content: "artifact" | "statement",
): readonly string[] {
  const notes: string[] = [];
  if (items.length === 0) notes.push("Nothing becomes public: no certificate is requested and no log is written to.");
  else {
    notes.push("The logs are public, and nothing can be removed from them.");
    notes.push(
      content === "artifact"
        ? "The artifact and its name stay private; whoever has the artifact can find the entry by its digest."
        : "The statement, the names of its subjects and its predicate stay private until the bundle is published.",
    );
  }
  if (items.some(({ what, value }) => what === "certificate-identity" && /^[^/]+@[^/]+$/.test(value ?? "")))
    notes.push("The identity is an e-mail address.");
  if (items.some(({ title, value }) => title === VISIBILITY && value === "private"))
    notes.push("The repository is private: its name, and the name of its owner, become public.");
  if (services.timestampAuthorities.length > 0)
    notes.push("Timestamp authorities see a hash of the signature, and publish nothing.");
  return notes;
}

const VISIBILITY = FULCIO_EXTENSIONS.find(({ field }) => field === "sourceRepositoryVisibilityAtSigning")?.title;

/** Writes a disclosure in lines that are safe to print. */
export function disclosureToText({ items, notes }: Disclosure): string {
  const lines = items.map(({ what, title, value }) => {
    if (value === undefined) return `  ${title}`;
    // A key is long, and its first line says nothing.
    return `  ${title}: ${sanitize(what === "public-key" ? value.replaceAll("\n", "").replaceAll(/-----[^-]+-----/g, "") : value)}`;
  });
  const logs = [...new Set(items.flatMap((item) => item.logs))].map((log) => `  ${sanitize(log)}`);
  const blocks = items.length === 0 ? [] : ["This becomes public:", ...lines, "in:", ...logs];
  return `${[...blocks, ...notes].join("\n")}\n`;
}
