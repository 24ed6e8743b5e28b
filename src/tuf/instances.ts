/**
 * Sigstore instances that are known by name.
 *
 * @module
 */

import { encodeUtf8 } from "../encoding/utf8.ts";
import { TrustError } from "../errors.ts";
import type { TrustSource } from "../trust/trust-source.ts";

/** Names a Sigstore instance: the public-good one, its staging twin, or GitHub's for private repositories. */
export type InstanceName = "production" | "staging" | "github";

/** Base URLs of the TUF repositories of the known instances. */
export const MIRRORS: Readonly<Record<InstanceName, string>> = {
  production: "https://tuf-repo-cdn.sigstore.dev",
  staging: "https://tuf-repo-cdn.sigstage.dev",
  github: "https://tuf-repo.github.com",
};

/** Holds the trust material that ships with this package. */
export interface EmbeddedTrust {
  /** The TUF root that trust begins with. */
  readonly root: Uint8Array;
  readonly trustedRoot: string;
  readonly signingConfig: string;
  readonly source: TrustSource & { readonly kind: "embedded" };
}

/**
 * Loads the trust material that ships with this package. GitHub's does not: give its root file, or its mirror and TUF root.
 *
 * @param now - The time that the root's expiry is compared with.
 * @throws {@link TrustError} `TUF_ROOT_MISSING`.
 */
export async function loadEmbeddedTrust(instance: InstanceName, now: Date): Promise<EmbeddedTrust> {
  const material = await importMaterial(instance);
  const { signed } = JSON.parse(material.root) as { signed: { expires: string } };
  return {
    root: encodeUtf8(material.root),
    trustedRoot: material.trustedRoot,
    signingConfig: material.signingConfig,
    source: {
      kind: "embedded",
      instance,
      publishedAt: new Date(material.publishedAt),
      expired: now >= new Date(signed.expires),
    },
  };
}

interface Material {
  readonly publishedAt: string;
  readonly root: string;
  readonly trustedRoot: string;
  readonly signingConfig: string;
}

async function importMaterial(instance: InstanceName): Promise<Material> {
  switch (instance) {
    case "production":
      return (await import("./embedded/production.ts")).production;
    case "staging":
      return (await import("./embedded/staging.ts")).staging;
    case "github":
      throw rootMissing(MIRRORS.github);
  }
}

/** Makes the error for a mirror whose root is neither given nor known. */
export function rootMissing(mirror: string): TrustError {
  const problem =
    instanceOfMirror(mirror) === "github"
      ? "GitHub's TUF root does not ship with this package"
      : `there is no root to begin the trust in ${mirror} with`;
  return new TrustError("TUF_ROOT_MISSING", problem, {
    remedy: `run \`cosign-ts initialize --mirror ${mirror} --root FILE\` with its root.json, or give a trusted root file`,
  });
}

/** Finds the instance that a mirror's URL belongs to. */
export function instanceOfMirror(mirror: string): InstanceName | undefined {
  const wanted = mirror.replace(/\/+$/, "");
  return (Object.keys(MIRRORS) as InstanceName[]).find((name) => MIRRORS[name] === wanted);
}
