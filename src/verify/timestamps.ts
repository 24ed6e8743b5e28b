/**
 * Client specification §4.2.1: times from timestamp authorities, over the raw signature bytes.
 *
 * @module
 */

import type { CryptoProvider } from "../crypto/provider.ts";
import { VerificationError } from "../errors.ts";
import { parseTimestampResponse } from "../tsa/timestamp-response.ts";
import { verifyTimestamp } from "../tsa/verify.ts";
import { FAILED, type Checks } from "./checks.ts";
import type { SetAside, VerifiedTimestamp } from "./evidence.ts";
import { countedOperator, type TrustMaterial } from "./trust-material.ts";

/**
 * Verifies every RFC 3161 timestamp of a bundle. One whose authority the root does not know is set aside; one of a known
 * authority that does not hold is a failure, however many others do.
 *
 * @param stamped - What a timestamp may be over: the signature, or something that holds it.
 */
export async function verifyTimestamps(
  tokens: readonly Uint8Array[],
  stamped: readonly [Uint8Array, ...Uint8Array[]],
  trust: TrustMaterial,
  options: { readonly crypto: CryptoProvider; readonly policy: string | undefined },
  checks: Checks,
  setAside: SetAside[],
): Promise<readonly (VerifiedTimestamp & { readonly kind: "rfc3161" })[]> {
  const { crypto, policy } = options;
  const verified = await Promise.all(
    tokens.map((token, index) =>
      checks.run(
        "timestamp",
        `timestamp[${index}]`,
        "client-spec §4.2.1",
        async () => {
          const parsed = parseTimestampResponse(token);
          const proven = await firstThatFits(stamped, (data) =>
            verifyTimestamp(parsed, data, trust.timestampAuthorities, {
              crypto,
              ...(policy === undefined ? {} : { policy }),
            }),
          );
          if (proven === undefined) {
            const path = `verificationMaterial.timestampVerificationData.rfc3161Timestamps[${index}]`;
            setAside.push({
              what: "rfc3161-timestamp",
              path,
              reason: "the trusted root knows no authority that made it",
            });
            return undefined;
          }
          const { time, authority } = proven;
          return {
            kind: "rfc3161",
            time,
            operator: countedOperator(authority, trust.timestampAuthorities),
            uri: authority.uri,
          } as const;
        },
        (proven) =>
          proven === undefined
            ? { skipped: "set aside: unknown authority" }
            : `${proven.time.toISOString()} by ${proven.uri}`,
      ),
    ),
  );
  return verified.filter((timestamp) => timestamp !== undefined && timestamp !== FAILED);
}

/** Tries each thing that a timestamp may be over. One that is over none of them fails for the first. */
async function firstThatFits<T>(stamped: readonly Uint8Array[], verify: (data: Uint8Array) => Promise<T>): Promise<T> {
  let failure: VerificationError | undefined;
  for (const data of stamped) {
    try {
      return await verify(data);
    } catch (error) {
      if (!(error instanceof VerificationError) || error.code !== "TIMESTAMP_IMPRINT_MISMATCH") throw error;
      failure ??= error;
    }
  }
  throw failure ?? new VerificationError("TIMESTAMP_IMPRINT_MISMATCH", "there is nothing that the timestamp is over");
}
