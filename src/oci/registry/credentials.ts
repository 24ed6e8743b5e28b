/**
 * Who the client says it is to a registry.
 *
 * @module
 */

/** Is what one registry knows the client by. */
export type RegistryCredentials =
  | { readonly kind: "anonymous" }
  | { readonly kind: "basic"; readonly username: string; readonly password: string }
  /** What a token service gives access tokens for: distribution docs/content/spec/auth/oauth.md. */
  | { readonly kind: "identity-token"; readonly identityToken: string }
  /** A bearer token for the registry itself. */
  | { readonly kind: "registry-token"; readonly registryToken: string };

/** Finds the credentials for a registry: its host, with the port where there is one. */
export type CredentialSource = (registry: string) => Promise<RegistryCredentials>;
