/**
 * What must hold of a changed bundle: refused with an error of ours, or accepted with nothing proven that was not proven of the
 * original; and in either case at a bounded cost.
 *
 * @module
 */

import * as nodeCrypto from "node:crypto";
import { getHeapStatistics } from "node:v8";

import { createNodeProvider } from "../../src/crypto/node-provider.ts";
import type { CryptoProvider } from "../../src/crypto/provider.ts";
import { SigstoreError } from "../../src/errors.ts";
import { evidenceToJson } from "../../src/report/json.ts";
import type { VerifiedBundle } from "../../src/verify/evidence.ts";
import { Verifier } from "../../src/verify/verifier.ts";
import type { Mutation } from "./mutations.ts";
import { REAL_ROOTS, realBytes, realCase, realPolicy } from "./real.ts";

/** More signature checks than any one-bit change of these bundles can bring about. */
const MAX_SIGNATURE_CHECKS = 24;
/** More digests: an inclusion proof has at most 64 hashes, and there is one entry. */
const MAX_DIGESTS = 160;
/** More bytes than parsing, checking and reporting a bundle of 10 kB allocates, by an order of magnitude. */
const MAX_ALLOCATED_BYTES = 8 * 1024 * 1024;

/** Is a bundle of `testdata/real` with all that its mutations are judged by. */
export interface Judge {
  readonly bundle: Uint8Array;
  /** @returns what is wrong, or `undefined`. */
  judge(mutation: Mutation): Promise<string | undefined>;
}

/** Prepares to judge the mutations of one bundle. */
export async function createJudge(name: string): Promise<Judge> {
  const one = realCase(name);
  const bundle = realBytes(one.bundle);
  const artifact = realBytes(one.artifact);
  const policy = realPolicy(one);
  const counts = { signatures: 0, digests: 0 };
  const crypto = counting(createNodeProvider(nodeCrypto, { threadPool: false }), counts);
  const verifier = await Verifier.create(REAL_ROOTS[one.root], { crypto });
  const original = facts(await verifier.verify(bundle, artifact, policy));

  const attempt = async (changed: Uint8Array): Promise<{ problem: string | undefined; allocated: number }> => {
    counts.signatures = 0;
    counts.digests = 0;
    const before = getHeapStatistics().total_allocated_bytes;
    let problem: string | undefined;
    try {
      const accepted = facts(await verifier.verify(changed, artifact, policy));
      const added = [...accepted].filter((fact) => !original.has(fact));
      if (added.length > 0) problem = `accepted with a changed meaning: ${added.join("; ")}`;
    } catch (error) {
      if (!(error instanceof SigstoreError))
        problem = `threw another error: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}`;
    }
    if (counts.signatures > MAX_SIGNATURE_CHECKS) problem ??= `took ${counts.signatures} signature checks`;
    if (counts.digests > MAX_DIGESTS) problem ??= `took ${counts.digests} digests`;
    return { problem, allocated: getHeapStatistics().total_allocated_bytes - before };
  };

  return {
    bundle,
    async judge(mutation) {
      const changed = mutation.make();
      const { problem, allocated } = await attempt(changed);
      // The compiler's own work is counted in a first run now and then: what is real comes again.
      const again =
        allocated <= MAX_ALLOCATED_BYTES ? allocated : Math.min(allocated, (await attempt(changed)).allocated);
      const told = problem ?? (again > MAX_ALLOCATED_BYTES ? `allocated ${again} bytes` : undefined);
      return told === undefined ? undefined : `${name}, ${mutation.label}: ${told}`;
    },
  };
}

/** Lists what was proven, fact by fact: a change may take facts away, as leaving a timestamp out would, but add none. */
function facts(evidence: VerifiedBundle): ReadonlySet<string> {
  const { signer, content, signatureAlgorithm, timestamps, logEntries } = evidenceToJson(evidence);
  const whole = { signer, content, signatureAlgorithm };
  return new Set([JSON.stringify(whole), ...list(timestamps), ...list(logEntries)]);
}

function list(items: unknown): readonly string[] {
  return (items as readonly unknown[]).map((item) => JSON.stringify(item));
}

function counting(provider: CryptoProvider, counts: { signatures: number; digests: number }): CryptoProvider {
  return {
    name: provider.name,
    supports: (algorithm) => provider.supports(algorithm),
    createDigest: (algorithm) => provider.createDigest(algorithm),
    digest(algorithm, data) {
      counts.digests += 1;
      return provider.digest(algorithm, data);
    },
    verify(algorithm, key, signature, data) {
      counts.signatures += 1;
      return provider.verify(algorithm, key, signature, data);
    },
    verifyDigest(algorithm, key, signature, digest) {
      counts.signatures += 1;
      return provider.verifyDigest(algorithm, key, signature, digest);
    },
  };
}
