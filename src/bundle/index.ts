/**
 * `cosign-ts/bundle`: reads and writes Sigstore bundles v0.1 to v0.3, and reads what cosign wrote before. Nothing is verified here.
 *
 * @module
 */

export {
  BUNDLE_MEDIA_TYPE,
  BUNDLE_MEDIA_TYPES,
  parseBundle,
  parseBundleObject,
  parseBundles,
  serializeBundle,
  serializeBundleObject,
  type Bundle,
  type BundleContent,
  type BundleVersion,
  type VerificationMaterial,
} from "./bundle.ts";
export { parseBundleCandidates, type BundleCandidate } from "./bundle-candidates.ts";
export {
  assembleBundle,
  isLegacyBundle,
  legacySignature,
  parseCertificateFile,
  parseLegacyBundle,
  parseLegacyBundleObject,
  parseSignatureFile,
  parseTimestampFile,
  requireSameSigner,
  serializeLegacyBundle,
  serializeTimestampFile,
  type ClaimedSigner,
  type SignatureParts,
} from "./legacy.ts";
export type { HashAlgorithm } from "../crypto/digest.ts";
export type { Envelope, EnvelopeSignature } from "../dsse/envelope.ts";
export type { JsonObject, JsonValue } from "../encoding/json.ts";
export type { InclusionProof, KindVersion, TransparencyLogEntry } from "../tlog/transparency-log-entry.ts";
export { FormatError, SigstoreError, VerificationError } from "../errors.ts";
