/** Is one way in which our verdicts differ from those of `@sigstore/verify` on purpose. */
export interface Difference {
  readonly reason: string;
  readonly applies: (name: string, ours: string, theirs: string) => boolean;
}

/** Lists every difference, each with its reason. */
export const DIFFERENCES: readonly Difference[] = [
  {
    reason: "they do not compare the artifact with the subjects of a statement, which client-spec §4.5 demands",
    applies: (name, ours, theirs) =>
      name.endsWith("another artifact") && ours === "SUBJECT_MISMATCH" && theirs === "accepted",
  },
  {
    reason:
      "they hash envelopes with SHA-256 whatever the key; the registry pairs P-384 with SHA-384, P-521 with SHA-512, Ed25519ph with SHA-512",
    applies: (name, ours, theirs) =>
      /attestation-(v2|none)-key-(p384|p521|ed25519)/.test(name) &&
      ours === "accepted" &&
      /^(digest mismatch|signature verification failed)$/.test(theirs),
  },
  {
    reason: "they do not verify Ed25519ph, which cosign signs with when there is a log",
    applies: (name, ours, theirs) =>
      /blob-v[12]-key-ed25519/.test(name) && ours === "accepted" && theirs === "signature verification failed",
  },
  {
    reason:
      "they refuse an empty messageDigest, which cosign writes for an Ed25519 key without a log; the field only identifies the artifact",
    applies: (name, ours, theirs) =>
      /blob-none-key-ed25519/.test(name) && ours === "accepted" && theirs === "invalid bundle",
  },
  {
    reason:
      "they refuse a timestamp of an unknown authority even where no time is needed; we set it aside and report it",
    applies: (name, ours, theirs) =>
      name.endsWith("no-log-key-p256-timestamp, another root") &&
      ours === "accepted" &&
      theirs === "timestamp could not be verified",
  },
  {
    reason: "they refuse two timestamps of one authority; we count them once",
    applies: (name, ours, theirs) =>
      name.includes("two-timestamps") && ours === "accepted" && theirs === "duplicate timestamp",
  },
];
