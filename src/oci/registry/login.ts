/**
 * Logging in to a registry: credentials that were tried, and kept where docker keeps them.
 *
 * @module
 */

import { MAX_REGISTRY_PAGE_BYTES } from "../../limits.ts";
import { eraseCredentials, storeCredentials, type CredentialPlace } from "./docker-config.ts";
import type { RegistryOptions } from "./registry-options.ts";
import { RegistrySession } from "./registry-session.ts";

/** Says where credentials are kept, and what the registry said of them. */
export interface RegistryLogin extends CredentialPlace {
  /** Whether the registry asked for them. One that lets everybody in says nothing about whether they are right. */
  readonly wasAsked: boolean;
}

/**
 * Tries a name and a password with a registry, and keeps them if it lets them in.
 *
 * @param registry - Host, and port where there is one: see `parseRegistry`.
 * @throws ServiceError `REGISTRY_UNAUTHORIZED`, `REGISTRY_REALM_REFUSED`, and those of the registry: then nothing is kept; InputError
 * `CREDENTIALS_UNAVAILABLE`; FormatError `DOCKER_CONFIG_MALFORMED`; StorageError `WRITE_FAILED`.
 */
export async function loginToRegistry(
  registry: string,
  credentials: { readonly username: string; readonly password: string },
  options: RegistryOptions = {},
): Promise<RegistryLogin> {
  let wasAsked = false;
  const session = new RegistrySession(registry, {
    ...options,
    credentials: () => Promise.resolve({ kind: "basic", ...credentials }),
    observer(event) {
      if (event.status === 401) wasAsked = true;
      options.observer?.(event);
    },
  });
  // opencontainers/distribution-spec spec.md, "Determining Support"
  await session.send({ method: "GET", target: "", scope: undefined, accept: [200], maxBytes: MAX_REGISTRY_PAGE_BYTES });
  const place = await storeCredentials(registry, credentials, options.environment ?? process.env);
  return { ...place, wasAsked };
}

/**
 * Forgets the credentials of a registry.
 *
 * @returns where they were; `undefined` where there were none.
 * @throws InputError `CREDENTIALS_UNAVAILABLE`; FormatError `DOCKER_CONFIG_MALFORMED`; StorageError `WRITE_FAILED`.
 */
export async function logoutFromRegistry(
  registry: string,
  { environment = process.env }: Pick<RegistryOptions, "environment"> = {},
): Promise<CredentialPlace | undefined> {
  return await eraseCredentials(registry, environment);
}
