/**
 * Bundles of versions 0.1 and 0.2, brought to version 0.3.
 *
 * @module
 */

import { BUNDLE_MEDIA_TYPE, type Bundle, type VerificationMaterial } from "../bundle/bundle.ts";
import { defaultCryptoProvider, type CryptoProvider } from "../crypto/provider.ts";
import type { RequestOptions } from "../http/request.ts";
import type { TrustedRoot } from "../trust/trusted-root.ts";
import { fetchInclusionProof, hasInclusionProof } from "./inclusion-proofs.ts";

/** Configures {@link upgradeBundle}. */
export interface UpgradeOptions extends RequestOptions {
  /** Gives the root whose logs a proof must be signed by. It is asked only where a proof is missing. */
  readonly trustedRoot: () => Promise<TrustedRoot>;
  /** Of the log to ask for proofs. Default: where the trusted root says that it is. */
  readonly rekorUrl?: string | undefined;
  /** Default: node:crypto where there is one, otherwise WebCrypto. */
  readonly crypto?: CryptoProvider | undefined;
}

/** Is an upgraded bundle, and what was done to it. */
export interface UpgradedBundle {
  readonly bundle: Bundle;
  /** Certificates that are no longer in it. */
  readonly droppedCertificates: number;
  /** Indexes of the log entries whose proof was fetched. */
  readonly fetchedProofs: readonly bigint[];
}

/**
 * Upgrades a bundle to version 0.3: keeps only the leaf of a certificate chain, and fetches inclusion proofs that are missing.
 *
 * Whether the bundle verifies is not checked here, only that the logs signed the proofs that are fetched.
 *
 * @returns the bundle itself where it is of version 0.3 already.
 * @throws VerificationError, ServiceError: see `fetchInclusionProof`.
 */
export async function upgradeBundle(bundle: Bundle, options: UpgradeOptions): Promise<UpgradedBundle> {
  if (bundle.version === "0.3") return { bundle, droppedCertificates: 0, fetchedProofs: [] };
  const { verificationMaterial: material } = bundle;
  const { crypto = defaultCryptoProvider(), trustedRoot, ...requests } = options;
  const fetchedProofs: bigint[] = [];
  const tlogEntries = [];
  for (const entry of material.tlogEntries) {
    if (hasInclusionProof(entry)) {
      tlogEntries.push(entry);
      continue;
    }
    tlogEntries.push(await fetchInclusionProof(entry, { ...requests, crypto, trustedRoot: await trustedRoot() }));
    fetchedProofs.push(entry.logIndex);
  }
  const { content, dropped } = leafOf(material.content);
  return {
    bundle: {
      ...bundle,
      mediaType: BUNDLE_MEDIA_TYPE,
      version: "0.3",
      verificationMaterial: { content, tlogEntries, rfc3161Timestamps: material.rfc3161Timestamps },
    },
    droppedCertificates: dropped,
    fetchedProofs,
  };
}

function leafOf(content: VerificationMaterial["content"]): {
  readonly content: VerificationMaterial["content"];
  readonly dropped: number;
} {
  if (content.kind !== "x509CertificateChain") return { content, dropped: 0 };
  const [certificate = new Uint8Array(0), ...others] = content.certificates;
  return { content: { kind: "certificate", certificate, fromChain: false }, dropped: others.length };
}
