/**
 * `cosign-ts/sandbox`: a whole Sigstore in one process, on loopback, to try things with and to test against.
 *
 * @module
 */

export { startSandbox, type Rotation, type Sandbox, type SandboxOptions } from "./sandbox.ts";
export type { SandboxPaths, SandboxUrls } from "./client-files.ts";
export {
  HTTP_FAULTS,
  parseFault,
  SANDBOX_SERVICES,
  type ActiveFault,
  type Fault,
  type HttpFault,
  type SandboxServiceName,
} from "./faults.ts";
export type { SandboxRequest } from "./listener.ts";
export { REGISTRY_FORGERIES, type RegistryForgery, type RegistryOptions } from "./registry/registry.ts";
export type { RegistryCredentials } from "./registry/authorization.ts";
export type { Claim, IdentityKind } from "./oidc/claims.ts";
export type { SigningConfig } from "../trust/signing-config.ts";
export type { TrustedRoot } from "../trust/trusted-root.ts";
export { InputError, SigstoreError, StorageError } from "../errors.ts";
