/** Real bundles whose every bit is changed: promise, proof and timestamp; DSSE on Rekor v1; DSSE on Rekor v2. */
export const MUTATED_BUNDLES: readonly string[] = [
  "a/blob-v1-email",
  "a/attestation-v1-gitlab",
  "a/attestation-v2-github",
];
