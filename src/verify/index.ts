/**
 * `cosign-ts/verify`: from a bundle, an artifact and a trusted root to what they prove. Does no I/O and runs in browsers.
 *
 * @module
 */

export type { Artifact } from "./artifact.ts";
export type {
  SetAside,
  Unproven,
  VerifiedBundle,
  VerifiedContent,
  VerifiedLogEntry,
  VerifiedSignedCertificateTimestamp,
  VerifiedSigner,
  VerifiedTimestamp,
} from "./evidence.ts";
export type { CertificateIdentity, ExpectedIdentity, StringMatcher, StringPattern } from "./identity.ts";
export { githubIdentity, type GithubExpectation, type GithubSigner, type GithubSource } from "./github.ts";
export {
  GITHUB_PROFILE,
  type DeniedSigner,
  type ExpectedSigner,
  type Thresholds,
  type TimePolicy,
  type TrustedKey,
  type VerifierOptions,
  type VerifyPolicy,
} from "./options.ts";
export {
  AttestationsNotVerifiedError,
  verifyAttestations,
  type RefusedAttestation,
  type VerifiedAttestation,
  type VerifiedAttestations,
} from "./verify-attestations.ts";
export { Verifier, verify, type BundleInput, type VerifyOptions } from "./verifier.ts";
export { parseBundleCandidates, type BundleCandidate } from "../bundle/bundle-candidates.ts";
export { parseBundle, parseBundles, type Bundle } from "../bundle/bundle.ts";
export { parseTrustedRoot, type TrustedRoot } from "../trust/trusted-root.ts";
export type { TrustSource } from "../trust/trust-source.ts";
export { formatDigest, tryParseDigest, type Digest, type HashAlgorithm } from "../crypto/digest.ts";
export {
  defaultCryptoProvider,
  type CryptoProvider,
  type MaybePromise,
  type StreamingDigest,
} from "../crypto/provider.ts";
export { createNodeProvider, type NodeCrypto, type NodeProviderOptions } from "../crypto/node-provider.ts";
export { createWebCryptoProvider, type WebCryptoSubtle } from "../crypto/webcrypto-provider.ts";
export { parsePublicKey, parsePublicKeyPem, type PublicKey } from "../crypto/public-key.ts";
export { parseWitnessKey, type VerifiedCosignature, type WitnessKey } from "../tlog/cosignature.ts";
export { parseDetachedSct, type SignedCertificateTimestamp } from "../x509/sct.ts";
export type { Certificate } from "../x509/certificate.ts";
export type {
  BasicConstraints,
  CertificateExtension,
  CertificateExtensions,
  ExtendedKeyUsage,
  KeyUsage,
} from "../x509/extensions.ts";
export type { NameConstraints, NameSubtree } from "../x509/name-constraints.ts";
export type { FulcioExtensions } from "../x509/fulcio.ts";
export type { CertificateSignatureAlgorithm } from "../x509/signature-algorithm.ts";
export type { SubjectAlternativeName } from "../x509/subject-alternative-name.ts";
export type { Statement, Subject } from "../intoto/statement.ts";
export {
  FormatError,
  InputError,
  PolicyError,
  SigstoreError,
  TrustError,
  VerificationError,
  type Check,
  type ErrorCode,
} from "../errors.ts";
