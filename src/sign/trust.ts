/**
 * The trust that a session verifies answers and bundles with.
 *
 * @module
 */

import { resolveTrust } from "../files/verify-file.ts";
import { TRUSTED_ROOT_MEDIA_TYPES } from "../trust/trusted-root.ts";
import type { LoadTrustOptions } from "../tuf/load-trust.ts";
import type { Trust } from "./answers.ts";
import type { SelectedServices } from "./events.ts";
import type { SigningOptions } from "./options.ts";
import { trustBeside } from "./services.ts";

/** Loads the trust that answers are verified with, where there will be answers. */
export async function loadTrustFor(
  options: SigningOptions,
  services: SelectedServices,
  loading: LoadTrustOptions,
): Promise<{
  readonly trust: Trust | undefined;
  readonly notices: readonly string[];
  readonly reload?: () => Promise<Trust>;
}> {
  if (options.trust === "unsafe-none") return { trust: undefined, notices: [] };
  const { fulcio, rekor, timestampAuthorities } = services;
  const hasCertificate = options.signer.kind === "key" && options.signer.certificate !== undefined;
  const needsTrust = fulcio !== undefined || rekor.length + timestampAuthorities.length > 0 || hasCertificate;
  if (!needsTrust) {
    // The signature of a key alone is verified with that key.
    const [mediaType = ""] = TRUSTED_ROOT_MEDIA_TYPES;
    const lists = { tlogs: [], ctlogs: [], certificateAuthorities: [], timestampAuthorities: [] };
    const trustedRoot = { mediaType, ...lists, unusable: [], ignoredFields: [] };
    return { trust: { trustedRoot, source: { kind: "caller" } }, notices: [] };
  }
  const choice = options.trust ?? trustBeside(options.services);
  if ("tlogs" in choice || "path" in choice) {
    const { trustedRoot, source, notices } = await resolveTrust(choice);
    return { trust: { trustedRoot, source }, notices };
  }
  const { notices, ...trust } = await resolveTrust({ ...loading, ...choice });
  const reload = async (): Promise<Trust> => await resolveTrust({ ...loading, ...choice, maxAgeMs: 0 });
  return { trust, notices, ...(choice.offline !== true && { reload }) };
}
