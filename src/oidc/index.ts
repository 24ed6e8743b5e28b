/**
 * `cosign-ts/oidc`: identity tokens to sign with: from what a job runs on, from a login, or given; and what a certificate will say
 * of them.
 *
 * @module
 */

export {
  explainProviders,
  getIdentityToken,
  type IdentityTokenOptions,
  type LoginFlow,
  type ObtainedToken,
} from "./get-identity-token.ts";
export type { AmbientChoice, ProviderExplanation } from "./ambient.ts";
export type { Interaction } from "./login.ts";
export type { Environment, TokenFiles } from "./provider.ts";
export { preflightIdentity, type GitHubJobFacts, type IdentityFinding, type IdentityPreflight } from "./preflight.ts";
export { describeIdentityToken, type DescriptionRow, type IdentityTokenDescription } from "./describe-token.ts";
export { expectCertificate, type ExpectedCertificate } from "./expected-certificate.ts";
export {
  checkIdentityToken,
  parseIdentityToken,
  type IdentityToken,
  type IdentityTokenExpectation,
} from "./identity-token.ts";
export type { Fetch } from "../http/request.ts";
export type { FulcioExtensions } from "../x509/fulcio.ts";
export { FormatError, InputError, ServiceError, SigstoreError, type ErrorCode } from "../errors.ts";
