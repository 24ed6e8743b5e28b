/**
 * `cosign-ts/sign`: from artifacts or statements, and an identity or a key, to bundles that verify.
 *
 * @module
 */

export { attest, sign } from "./sign.ts";
export { SigningSession } from "./session.ts";
export { createBundle, type CreateBundleOptions } from "./create-bundle.ts";
export { upgradeBundle, type UpgradedBundle, type UpgradeOptions } from "./upgrade-bundle.ts";
export { preflight, type PreflightCheck, type PreflightReport } from "./preflight.ts";
export {
  disclosureToText,
  explainDisclosure,
  type DisclosedItem,
  type Disclosure,
  type DisclosureRequest,
} from "./disclosure.ts";
export type { SelectedServices, SigningEvent } from "./events.ts";
export type {
  AttestableStatement,
  AttestationSubject,
  BatchOptions,
  IdentityTokenRequest,
  RekorChoice,
  ServiceChoice,
  SignableArtifact,
  SignatureOptions,
  SignedBundle,
  SignerChoice,
  SignerRequest,
  SigningOptions,
  SigningOutcome,
  SignOptions,
} from "./options.ts";
export { buildStatement, type StatementParts, type SubjectParts } from "../intoto/build-statement.ts";
export { predicateFor, PREDICATE_TYPES, predicateTypeOf, type Predicate } from "../intoto/predicate.ts";
export { parseIdentityToken, type IdentityToken } from "../oidc/identity-token.ts";
export type { Signer } from "../keys/signer.ts";
export type { Fetch } from "../http/request.ts";
export { parseSigningConfig, type SigningConfig } from "../trust/signing-config.ts";
export {
  loadSigningConfig,
  type LoadedSigningConfig,
  type LoadSigningConfigOptions,
} from "../tuf/load-signing-config.ts";
export type { FilePath, TrustChoice } from "../files/verify-file.ts";
export type { Bundle } from "../bundle/bundle.ts";
export type { Digest, HashAlgorithm } from "../crypto/digest.ts";
export type { VerifiedBundle } from "../verify/evidence.ts";
export type { ExpectedIdentity } from "../verify/identity.ts";
export {
  FormatError,
  InputError,
  PolicyError,
  ServiceError,
  SigstoreError,
  StorageError,
  TrustError,
  VerificationError,
} from "../errors.ts";
