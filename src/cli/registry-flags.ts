/**
 * The flags of every command that reaches a registry.
 *
 * @module
 */

import { RegistryClient } from "../oci/registry-client.ts";
import type { AttachmentOptions } from "../oci/image-source.ts";
import type { Context } from "./context.ts";
import type { Flag, Flags } from "./flags.ts";

/** Are cosign's flags for registries. */
export const REGISTRY_FLAGS: readonly Flag[] = [
  { name: "allow-http-registry", kind: "boolean", description: "reach registries without TLS" },
];

/** Makes the client that the flags ask for, and finds where signatures are kept. @throws InputError `USAGE_INVALID`. */
export async function openRegistry(flags: Flags, context: Context): Promise<AttachmentOptions> {
  const repository = context.environment["COSIGN_REPOSITORY"] ?? "";
  return {
    registry: new RegistryClient({
      allowHttp: flags.boolean("allow-http-registry"),
      fetch: context.fetch,
      signal: context.signal,
      environment: context.environment,
    }),
    ...(repository !== "" && { signatureRepository: repository }),
    attachmentTagPrefix: flags.string("attachment-tag-prefix"),
  };
}
