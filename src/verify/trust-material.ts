/**
 * A trusted root made ready for verification: everything that depends on the root alone is checked here, once.
 *
 * @module
 */

import type { CryptoProvider } from "../crypto/provider.ts";
import { equalBytes } from "../encoding/bytes.ts";
import { SigstoreError } from "../errors.ts";
import {
  operatorOf,
  type CertificateAuthority,
  type TransparencyLogInstance,
  type TrustedRoot,
} from "../trust/trusted-root.ts";
import { verifyAuthorityChain, type AuthorityChain } from "../x509/path.ts";
import type { SetAside } from "./evidence.ts";

/** Holds the authorities of a trusted root whose own certificates hold together. */
export interface TrustMaterial {
  readonly tlogs: readonly TransparencyLogInstance[];
  readonly ctlogs: readonly TransparencyLogInstance[];
  readonly certificateAuthorities: ReadonlyMap<AuthorityChain, CertificateAuthority>;
  readonly timestampAuthorities: readonly CertificateAuthority[];
  /** Entries of the root that cannot be used. They are trusted for nothing. */
  readonly setAside: readonly SetAside[];
}

/**
 * Checks the certificate chains of a trusted root. An entry that does not hold is set aside and takes nothing else down.
 *
 * @see sigstore_trustroot.proto, `CertificateAuthority`
 */
export async function prepareTrust(root: TrustedRoot, crypto: CryptoProvider): Promise<TrustMaterial> {
  const setAside: SetAside[] = root.unusable.map(({ path, reason }) => ({ what: "trusted-root-entry", path, reason }));

  const holding = async (
    list: string,
    authorities: readonly CertificateAuthority[],
  ): Promise<CertificateAuthority[]> => {
    const outcomes = await Promise.all(
      authorities.map(async (authority, index) => {
        try {
          await verifyAuthorityChain(authority, crypto);
          return authority;
        } catch (error) {
          if (!(error instanceof SigstoreError)) throw error;
          setAside.push({
            what: "trusted-root-entry",
            path: `${list}: ${authority.uri || index}`,
            reason: error.message,
          });
          return undefined;
        }
      }),
    );
    return outcomes.filter((authority) => authority !== undefined);
  };

  const [certificateAuthorities, timestampAuthorities] = await Promise.all([
    holding("certificateAuthorities", root.certificateAuthorities),
    holding("timestampAuthorities", root.timestampAuthorities),
  ]);
  return {
    tlogs: root.tlogs,
    ctlogs: root.ctlogs,
    certificateAuthorities: new Map(certificateAuthorities.map((authority) => [authority, authority])),
    timestampAuthorities,
    setAside,
  };
}

/**
 * Names who counts towards a threshold, out of a list of the trusted root. A key that is listed more than once, under another log
 * id, URI or operator, counts once: as the first of them.
 */
export function countedOperator<T extends TransparencyLogInstance | CertificateAuthority>(
  authority: T,
  list: readonly T[],
): string {
  const key = keyOf(authority);
  return operatorOf(list.find((listed) => equalBytes(keyOf(listed), key)) ?? authority);
}

function keyOf(authority: TransparencyLogInstance | CertificateAuthority): Uint8Array {
  if ("publicKey" in authority) return authority.publicKey.spki;
  return authority.certificates[0]?.publicKey.spki ?? new Uint8Array();
}
