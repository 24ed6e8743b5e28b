/**
 * `cosign-ts`: what a Node program wants at hand. Files where `cosign-ts/verify` takes bytes, and trust that is loaded.
 *
 * @module
 */

export { verify, type FilePath, type TrustChoice, type VerifyFileOptions } from "./files/verify-file.ts";
export { Verifier, type BundleInput } from "./verify/verifier.ts";
export type { Artifact } from "./verify/artifact.ts";
export type { VerifiedBundle } from "./verify/evidence.ts";
export { githubIdentity, type GithubExpectation } from "./verify/github.ts";
export type { CertificateIdentity, ExpectedIdentity, StringMatcher, StringPattern } from "./verify/identity.ts";
export { GITHUB_PROFILE, type TrustedKey, type VerifierOptions, type VerifyPolicy } from "./verify/options.ts";
export { parseBundle, type Bundle } from "./bundle/bundle.ts";
export { parseTrustedRoot, type TrustedRoot } from "./trust/trusted-root.ts";
export { formatDigest, tryParseDigest, type Digest } from "./crypto/digest.ts";
export { parsePublicKey, parsePublicKeyPem, type PublicKey } from "./crypto/public-key.ts";
export { initializeTrust, loadTrust, type LoadedTrust, type LoadTrustOptions } from "./tuf/load-trust.ts";
export { attest, sign } from "./sign/sign.ts";
export { SigningSession } from "./sign/session.ts";
export type {
  AttestableStatement,
  ServiceChoice,
  SignableArtifact,
  SignedBundle,
  SignerChoice,
  SignOptions,
} from "./sign/options.ts";
export { evidenceToJson, refusalToJson } from "./report/json.ts";
export { checksToText, evidenceToText, refusalToText } from "./report/text.ts";
export {
  FormatError,
  InputError,
  PolicyError,
  ServiceError,
  SigstoreError,
  StorageError,
  TrustError,
  VerificationError,
  type Check,
  type ErrorCode,
} from "./errors.ts";
