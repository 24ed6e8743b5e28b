import { parseCertificate } from "../../src/x509/certificate.ts";
import type { TimestampAuthority } from "../../src/tsa/verify.ts";
import { ecKeys } from "../support/certificates.ts";
import { makeTimestamp, makeTsa, makeTsaRoot, type TimestampOptions } from "../support/timestamps.ts";

/** The root, one authority under it, and what it stamps. Keys are made once: making them is what takes time. */
export const ROOT = makeTsaRoot();
export const LEAF_KEYS = ecKeys();
export const TSA = makeTsa({ issuer: ROOT, keys: LEAF_KEYS });
export const DATA = new TextEncoder().encode("the bytes of a signature");

/** A response that holds, but for what the options change. */
export const timestamp = (options: Partial<TimestampOptions> = {}): Uint8Array =>
  makeTimestamp({ tsa: TSA, data: DATA, ...options });

export function authority(
  certificates: readonly Uint8Array[] = [TSA.party.der, ROOT.der],
  options: Partial<TimestampAuthority> = {},
): TimestampAuthority {
  return {
    certificates: certificates.map((der) => parseCertificate(der)),
    validFor: { start: new Date("2025-06-01T00:00:00Z"), end: new Date("2027-06-01T00:00:00Z") },
    uri: "https://tsa.example/api/v1/timestamp",
    ...options,
  };
}
