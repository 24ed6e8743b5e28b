/**
 * Proofs of inclusion that a log of Rekor v1 is asked for later, for entries that hold a promise only.
 *
 * @module
 */

import { equalBytes } from "../encoding/bytes.ts";
import { encodeHex } from "../encoding/hex.ts";
import { SigstoreError, VerificationError } from "../errors.ts";
import { fetchEntryV1 } from "../rekor/client-v1.ts";
import type { RekorOptions } from "../rekor/proposed-entry.ts";
import { generationOf } from "../tlog/entry-body.ts";
import { verifyInclusionProof } from "../tlog/inclusion.ts";
import { verifyInclusionPromise } from "../tlog/inclusion-promise.ts";
import type { TransparencyLogEntry } from "../tlog/transparency-log-entry.ts";
import type { TransparencyLogInstance, TrustedRoot } from "../trust/trusted-root.ts";

/** Configures requests for proofs. */
export interface ProofOptions extends RekorOptions {
  /** The log to ask. Default: where the trusted root says that it is. */
  readonly rekorUrl?: string | undefined;
  /** Whose keys a proof must be signed with. */
  readonly trustedRoot: TrustedRoot;
}

/** Says whether an entry holds a proof that a verifier could use: one without a checkpoint proves nothing. */
export function hasInclusionProof({ inclusionProof }: TransparencyLogEntry): boolean {
  return inclusionProof !== undefined && inclusionProof.checkpoint !== "";
}

/**
 * Fetches the proof of inclusion for an entry, by its index.
 *
 * @returns the entry with a proof that its log signed. Its promise stays as it was.
 * @throws {@link VerificationError} `TLOG_ENTRY_MISMATCH` where the log has something else at that index,
 * `TLOG_THRESHOLD_NOT_MET` for a log that the root does not know, `TLOG_INCLUSION_PROOF_MISSING`, and as `verifyInclusionProof`;
 * ServiceError.
 */
export async function fetchInclusionProof(
  entry: TransparencyLogEntry,
  options: ProofOptions,
): Promise<TransparencyLogEntry> {
  if (generationOf(entry.kindVersion) !== 1) {
    throw new VerificationError("TLOG_INCLUSION_PROOF_MISSING", "log entry has no inclusion proof", {
      expected: "an entry of Rekor v1, whose proof can be asked for",
      found: `${entry.kindVersion.kind} ${entry.kindVersion.version}`,
      remedy: "sign again: Rekor v2 gives its proof once, when the entry is made",
    });
  }
  const logs = logsOf(entry, options.trustedRoot);
  const [log] = logs;
  const { entry: logged } = await fetchEntryV1(options.rekorUrl ?? log.baseUrl, { logIndex: entry.logIndex }, options);
  if (!equalBytes(logged.canonicalizedBody, entry.canonicalizedBody) || !equalBytes(logged.logId, entry.logId)) {
    throw new VerificationError("TLOG_ENTRY_MISMATCH", `log has another entry at index ${entry.logIndex}`, {
      expected: `an entry of log ${encodeHex(entry.logId)} with the body of the bundle's`,
      found: `an entry of log ${encodeHex(logged.logId)}`,
      remedy: "check that --rekor-url names the log that the signature is in",
    });
  }
  const { inclusionProof } = logged;
  if (inclusionProof === undefined)
    throw new VerificationError("TLOG_INCLUSION_PROOF_MISSING", "log answered without an inclusion proof");
  const proven = { ...entry, inclusionProof };
  await verifyByLog(proven, logs, options);
  return proven;
}

/**
 * Verifies what a log signed for an entry that came from it: its proof, and its promise where it gave one.
 *
 * @throws as {@link fetchInclusionProof}.
 */
export async function verifyLogged(entry: TransparencyLogEntry, options: ProofOptions): Promise<void> {
  const logs = logsOf(entry, options.trustedRoot);
  await verifyByLog(entry, logs, options);
}

function logsOf(
  { logId }: TransparencyLogEntry,
  { tlogs }: TrustedRoot,
): readonly [TransparencyLogInstance, ...TransparencyLogInstance[]] {
  const [log, ...others] = tlogs.filter((known) => equalBytes(known.logId, logId));
  if (log !== undefined) return [log, ...others];
  throw new VerificationError("TLOG_THRESHOLD_NOT_MET", "trusted root does not know the log that the entry is in", {
    expected: tlogs.map((known) => encodeHex(known.logId)).join(" or ") || "a log",
    found: encodeHex(logId),
  });
}

/** Several instances share a log id only if they share a key, so that the first reason is as good as any. */
async function verifyByLog(
  entry: TransparencyLogEntry,
  logs: readonly TransparencyLogInstance[],
  { crypto }: ProofOptions,
): Promise<void> {
  let failure: SigstoreError | undefined;
  for (const log of logs) {
    try {
      await verifyInclusionProof(entry, log, 1, crypto);
      if (entry.inclusionPromise !== undefined) await verifyInclusionPromise(entry, log, crypto);
      return;
    } catch (error) {
      if (!(error instanceof SigstoreError)) throw error;
      failure ??= error;
    }
  }
  if (failure !== undefined) throw failure;
}
