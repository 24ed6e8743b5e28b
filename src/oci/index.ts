/**
 * `cosign-ts/oci`: images in registries and on disk: what is attached to them, signing and verifying it.
 *
 * @module
 */

export { RegistryClient } from "./registry/registry-client.ts";
export type { RegistryEvent, RegistryOptions } from "./registry/registry-options.ts";
export type { CredentialSource, RegistryCredentials } from "./registry/credentials.ts";
export { formatReference, parseReference, type ImageReference } from "./reference.ts";
export type { ContentDigest } from "./content-digest.ts";
export type {
  ContentStore,
  FetchedManifest,
  PushedManifest,
  PushManifestOptions,
  ReferrersList,
} from "./content-store.ts";
export {
  parseManifest,
  type Descriptor,
  type ImageIndex,
  type ImageManifest,
  type Manifest,
  type Platform,
} from "./manifest.ts";
export type { AttachmentOptions, ImageInput } from "./image-source.ts";
export type { AttachedCandidate, Candidate, Place, PlaceReport, SkippedContent } from "./verification/candidates.ts";
export { ImageVerifier, verifyImage, verifyImageAttestation } from "./verification/verify-image.ts";
export { attestImage, signImage } from "./sign-image.ts";
export type {
  Attached,
  ImageSigningOptions,
  ImageStatement,
  SignedDigest,
  SignedImage,
  SigningChoice,
  StorageFormat,
} from "./sign-image.ts";
export { copyImage, type CopiedItem, type CopyOptions, type CopyReport } from "./copy.ts";
export { loadImage, saveImage, type SaveOptions, type SaveReport } from "./save.ts";
export { createLayout, ImageLayout, openLayout } from "./layout/layout.ts";
export { readTree, type AttachedArtifact, type ImageTree, type UnreadableArtifact } from "./tree.ts";
export { cleanImage, type CleanedItem, type CleanOptions, type CleanReport, type CleanType } from "./clean.ts";
export {
  readCandidates,
  type CandidateQuery,
  type FoundCandidates,
  type LegacyContent,
} from "./verification/candidates.ts";
export { ImageNotVerifiedError } from "./verification/verified-image.ts";
export type {
  DigestRule,
  ImagePolicy,
  VouchedAttestation,
  ImageVerifierOptions,
  RefusedCandidate,
  SignatureFormat,
  VerifiedDigest,
  VerifiedImage,
  VerifiedImageSignature,
  VerifyImageAttestationPolicy,
  VerifyImagePolicy,
} from "./verification/verified-image.ts";
export type { Fetch } from "../http/request.ts";
export type { TlsOptions } from "../http/tls.ts";
export { attachAttestations, attachSignature, type AttachedToImage, type AttachOptions } from "./attach.ts";
export type { DetachedSignature, LegacyMaterial } from "./legacy/detached-signature.ts";
export {
  downloadAttestations,
  downloadSignatures,
  type DownloadedContent,
  type DownloadedImage,
  type DownloadOptions,
} from "./download.ts";
export {
  attachSbom,
  downloadSbom,
  type AttachedSbom,
  type AttachSbomOptions,
  type FoundSbom,
  type SbomFormat,
  type SbomType,
} from "./sbom-attachment.ts";
export type { AttachmentKind } from "./attached-content.ts";
export type { LayoutBlob, LayoutFiles } from "./layout/layout-files.ts";
export type { LegacyManifestOptions } from "./legacy/legacy-manifest.ts";
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
export { loginToRegistry, logoutFromRegistry, type RegistryLogin } from "./registry/login.ts";
export type { CredentialPlace } from "./registry/docker-config.ts";
