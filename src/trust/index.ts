/**
 * `cosign-ts/trust`: reads and writes trusted roots and signing configs, and selects services to sign with. Does no I/O.
 *
 * @module
 */

export {
  operatorOf,
  parseTrustedRoot,
  parseTrustedRootObject,
  serializeTrustedRoot,
  TRUSTED_ROOT_MEDIA_TYPES,
  type CertificateAuthority,
  type TransparencyLogInstance,
  type TrustedRoot,
  type UnusableEntry,
} from "./trusted-root.ts";
export {
  parseSigningConfig,
  parseSigningConfigObject,
  selectService,
  selectServices,
  serializeSigningConfig,
  SIGNING_CONFIG_MEDIA_TYPE,
  type Service,
  type ServiceConfiguration,
  type ServiceRequirements,
  type SigningConfig,
} from "./signing-config.ts";
export { isWithin, type TimeRange } from "./time-range.ts";
export type { TrustSource } from "./trust-source.ts";
export type { PublicKey, PublicKeyType } from "../crypto/public-key.ts";
export type { SignatureAlgorithm } from "../crypto/registry.ts";
export type { JsonObject, JsonValue } from "../encoding/json.ts";
export type { TransparencyLog } from "../tlog/transparency-log.ts";
export type { Certificate } from "../x509/certificate.ts";
export { FormatError, SigstoreError, TrustError } from "../errors.ts";
