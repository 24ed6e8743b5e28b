/**
 * Client specification §4.2.2 and §4.4, first half: what a transparency log signed for. Whether an entry is about this bundle
 * is the second half, in `verifier.ts`.
 *
 * @module
 */

import type { BundleVersion } from "../bundle/bundle.ts";
import type { CryptoProvider } from "../crypto/provider.ts";
import { encodeHex } from "../encoding/hex.ts";
import { equalBytes } from "../encoding/bytes.ts";
import { FormatError, SigstoreError, VerificationError } from "../errors.ts";
import { generationOf } from "../tlog/entry-body.ts";
import { verifyCosignatures, type VerifiedCosignature, type WitnessKey } from "../tlog/cosignature.ts";
import { verifyInclusionProof, type VerifiedInclusion } from "../tlog/inclusion.ts";
import { verifyInclusionPromise } from "../tlog/inclusion-promise.ts";
import type { TransparencyLogEntry } from "../tlog/transparency-log-entry.ts";
import { isWithin } from "../trust/time-range.ts";
import type { TransparencyLogInstance } from "../trust/trusted-root.ts";
import { FAILED, type Checks } from "./checks.ts";
import type { SetAside, VerifiedLogEntry, VerifiedTimestamp } from "./evidence.ts";
import { countedOperator } from "./trust-material.ts";

/** Is an entry that a log of the trusted root signed for, with what is needed to go on. */
export interface LoggedEntry {
  readonly entry: TransparencyLogEntry;
  readonly index: number;
  /** The instances of the trusted root whose key made the signatures: more than one only if they share that key. */
  readonly logs: readonly TransparencyLogInstance[];
  readonly verified: VerifiedLogEntry;
}

/** Holds what the verification of log entries depends on. */
export interface LogOptions {
  readonly tlogs: readonly TransparencyLogInstance[];
  readonly bundleVersion: BundleVersion;
  readonly requireInclusionProof: boolean;
  readonly witnesses: readonly WitnessKey[];
  readonly witnessThreshold: number;
  readonly crypto: CryptoProvider;
}

const SET_SECTION = "client-spec §4.2.2";
const PROOF_SECTION = "rekor-spec, inclusion proofs; RFC 6962 §2.1.1";

/**
 * Verifies what the logs signed for each entry: promise, checkpoint, inclusion proof, cosignatures. An entry of a log that the
 * root does not know is set aside; one of a known log that does not hold is a failure.
 */
export async function verifyLogEntries(
  entries: readonly TransparencyLogEntry[],
  options: LogOptions,
  checks: Checks,
  setAside: SetAside[],
): Promise<readonly LoggedEntry[]> {
  const verified = await Promise.all(
    entries.map((entry, index) => verifyLogEntry(entry, index, options, checks, setAside)),
  );
  return verified.filter((entry) => entry !== undefined);
}

async function verifyLogEntry(
  entry: TransparencyLogEntry,
  index: number,
  options: LogOptions,
  checks: Checks,
  setAside: SetAside[],
): Promise<LoggedEntry | undefined> {
  const name = `tlog[${index}]`;
  const generation = generationOf(entry.kindVersion);
  const sameId = options.tlogs.filter(({ logId }) => equalBytes(logId, entry.logId));
  const unknown = (): undefined => {
    const path = `verificationMaterial.tlogEntries[${index}]`;
    setAside.push({ what: "tlog-entry", path, reason: `the trusted root knows no log ${encodeHex(entry.logId)}` });
    checks.skipped("tlog", name, SET_SECTION, "set aside: unknown log");
    return undefined;
  };
  if (generation === undefined && sameId.length === 0) return unknown();

  // Rekor v2 names its log by the checkpoint's key name and key id, Rekor v1 by the log id of the entry.
  const candidates = generation === 2 ? options.tlogs : sameId;
  if (candidates.length === 0) return unknown();

  const inclusion = checks.run(
    "tlog",
    `${name}.inclusion-proof`,
    PROOF_SECTION,
    async () => {
      if (generation === undefined) {
        throw new FormatError("TLOG_ENTRY_KIND_UNSUPPORTED", "log entry is of an unsupported kind", {
          found: `${entry.kindVersion.kind} ${entry.kindVersion.version}`,
        });
      }
      return await proveInclusion(entry, generation, candidates, sameId, options);
    },
    (proven) => {
      if (proven === "unknown log") return { skipped: "set aside: unknown log" };
      return proven === undefined ? { skipped: "none: promise only" } : describeInclusion(proven);
    },
  );
  const promise =
    generation === 1 && entry.inclusionPromise !== undefined
      ? checks.run(
          "tlog",
          `${name}.inclusion-promise`,
          SET_SECTION,
          () => firstThatHolds(sameId, (log) => verifyInclusionPromise(entry, log, options.crypto)),
          ({ result }) => `integrated at ${result.toISOString()}`,
        )
      : undefined;

  const [proven, promised] = await Promise.all([inclusion, promise]);
  if (proven === "unknown log") return unknown();
  if (proven === FAILED || promised === FAILED) return undefined;
  const logs =
    proven === undefined ? (promised?.logs ?? []) : proven.logs.filter((log) => promised?.logs.includes(log) ?? true);
  const log = logs[0];
  if (log === undefined) {
    await checks.run("tlog", `${name}.log`, SET_SECTION, () => {
      const problem =
        "inclusion promise and checkpoint were signed with different keys, which the trusted root lists under one log id";
      throw new VerificationError("TLOG_INCLUSION_PROMISE_INVALID", problem);
    });
    return undefined;
  }

  const cosignatures = await verifyWitnesses(proven?.inclusion, name, options, checks);
  if (cosignatures === FAILED) return undefined;
  return {
    entry,
    index,
    logs,
    verified: {
      logId: log.logId,
      baseUrl: log.baseUrl,
      operator: countedOperator(log, options.tlogs),
      kind: entry.kindVersion.kind,
      version: entry.kindVersion.version,
      // A v1 entry's own index is covered by the promise alone; a v2 entry's is that of its proof.
      logIndex: promised === undefined && generation === 1 ? undefined : entry.logIndex,
      integratedTime: promised?.result,
      inclusionPromise: promised !== undefined,
      inclusionProof:
        proven === undefined || entry.inclusionProof === undefined
          ? undefined
          : {
              logIndex: entry.inclusionProof.logIndex,
              treeSize: proven.inclusion.checkpoint.treeSize,
              rootHash: proven.inclusion.checkpoint.rootHash,
              origin: proven.inclusion.checkpoint.origin,
              cosignatures,
            },
    },
  };
}

interface ProvenInclusion {
  readonly inclusion: VerifiedInclusion;
  readonly logs: readonly TransparencyLogInstance[];
}

async function proveInclusion(
  entry: TransparencyLogEntry,
  generation: 1 | 2,
  candidates: readonly TransparencyLogInstance[],
  sameId: readonly TransparencyLogInstance[],
  options: LogOptions,
): Promise<ProvenInclusion | "unknown log" | undefined> {
  if (entry.inclusionProof === undefined) {
    if (generation === 2 && sameId.length === 0) return "unknown log";
    if (generation === 2 || options.bundleVersion !== "0.1" || options.requireInclusionProof) {
      throw new VerificationError("TLOG_INCLUSION_PROOF_MISSING", "log entry has no inclusion proof", {
        expected:
          generation === 2 ? "a proof, which Rekor v2 always gives" : "a proof, which bundles after v0.1 must hold",
        found: entry.inclusionPromise === undefined ? "neither proof nor promise" : "a promise only",
      });
    }
    if (entry.inclusionPromise === undefined) {
      throw new VerificationError(
        "TLOG_INCLUSION_PROMISE_MISSING",
        "log entry has neither inclusion promise nor proof",
      );
    }
    return undefined;
  }
  if (generation === 1 && options.bundleVersion === "0.1" && entry.inclusionPromise === undefined) {
    // sigstore_bundle.proto: "may contain an inclusion promise and not an inclusion proof"; the promise is required in v0.1.
    throw new VerificationError(
      "TLOG_INCLUSION_PROMISE_MISSING",
      "log entry of a v0.1 bundle has no inclusion promise",
    );
  }
  if (generation === 1) {
    const { result, logs } = await firstThatHolds(candidates, (log) =>
      verifyInclusionProof(entry, log, 1, options.crypto),
    );
    return { inclusion: result, logs };
  }

  const signers: TransparencyLogInstance[] = [];
  let inclusion: VerifiedInclusion | undefined;
  for (const log of candidates) {
    try {
      inclusion = await verifyInclusionProof(entry, log, 2, options.crypto);
      signers.push(log);
    } catch (error) {
      if (!(error instanceof VerificationError && error.code === "CHECKPOINT_NOT_SIGNED_BY_LOG")) throw error;
    }
  }
  if (inclusion === undefined) {
    if (sameId.length === 0) return "unknown log";
    throw new VerificationError(
      "CHECKPOINT_NOT_SIGNED_BY_LOG",
      "checkpoint has no signature of the log that the entry names",
      {
        expected: `a signature line of ${sameId.map(({ baseUrl }) => baseUrl).join(" or ")}`,
      },
    );
  }
  const logs = signers.filter(({ logId }) => agree(logId, entry.logId));
  if (logs.length === 0) {
    throw new VerificationError(
      "TLOG_ENTRY_MISMATCH",
      "log entry names another log than the one that signed its checkpoint",
      {
        expected: signers.map(({ logId }) => encodeHex(logId)).join(" or "),
        found: encodeHex(entry.logId),
      },
    );
  }
  return { inclusion, logs };
}

/** Compares log ids of which one may be cut to the four bytes of a checkpoint key id. */
function agree(known: Uint8Array, claimed: Uint8Array): boolean {
  const length = Math.min(known.length, claimed.length);
  return length >= 4 && equalBytes(known.subarray(0, length), claimed.subarray(0, length));
}

/** Tries each instance that answers to the log id, and fails only when all fail, with the first reason. */
async function firstThatHolds<T>(
  logs: readonly TransparencyLogInstance[],
  verify: (log: TransparencyLogInstance) => Promise<T>,
): Promise<{ readonly result: T; readonly logs: readonly TransparencyLogInstance[] }> {
  let failure: SigstoreError | undefined;
  let held: { result: T; logs: TransparencyLogInstance[] } | undefined;
  for (const log of logs) {
    try {
      const result = await verify(log);
      held ??= { result, logs: [] };
      held.logs.push(log);
    } catch (error) {
      if (!(error instanceof SigstoreError)) throw error;
      failure ??= error;
    }
  }
  if (held !== undefined) return held;
  throw failure ?? new VerificationError("TLOG_THRESHOLD_NOT_MET", "trusted root knows no such log");
}

async function verifyWitnesses(
  inclusion: VerifiedInclusion | undefined,
  name: string,
  options: LogOptions,
  checks: Checks,
): Promise<readonly VerifiedCosignature[] | typeof FAILED> {
  const { witnesses, witnessThreshold, crypto } = options;
  if (witnesses.length === 0 && witnessThreshold === 0) return [];
  return await checks.run(
    "tlog",
    `${name}.cosignatures`,
    "C2SP tlog-cosignature",
    async () => {
      const found = inclusion === undefined ? [] : await verifyCosignatures(inclusion.note, witnesses, crypto);
      const operators = new Set(
        found.map(({ witness }) => witnesses.find(({ name }) => name === witness)?.operator ?? witness),
      );
      if (operators.size < witnessThreshold) {
        throw new VerificationError(
          "COSIGNATURE_THRESHOLD_NOT_MET",
          "too few known witnesses cosigned the checkpoint",
          {
            expected: `${witnessThreshold} of ${witnesses.map((witness) => witness.name).join(", ")}`,
            found: found.map(({ witness }) => witness).join(", ") || "none",
          },
        );
      }
      return found;
    },
    (found) => `cosigned by ${found.map(({ witness }) => witness).join(", ") || "no known witness"}`,
  );
}

/**
 * Checks that the log's key was valid: at the integrated time where a promise proves one, otherwise at each verified time.
 *
 * @returns whether there was any time to check it at.
 * @throws {@link VerificationError} `TLOG_KEY_NOT_VALID_AT_TIME`.
 * @see sigstore_trustroot.proto, `valid_for`
 */
export function verifyLogKeyValidity(logged: LoggedEntry, timestamps: readonly VerifiedTimestamp[]): boolean {
  const { integratedTime } = logged.verified;
  const times =
    integratedTime === undefined
      ? timestamps.filter(({ kind }) => kind === "rfc3161").map(({ time }) => time)
      : [integratedTime];
  if (logged.logs.some(({ validFor }) => times.every((time) => isWithin(validFor, time)))) return times.length > 0;
  const [first] = logged.logs;
  throw new VerificationError(
    "TLOG_KEY_NOT_VALID_AT_TIME",
    "log entry was signed outside the validity of the log's key",
    {
      expected:
        first === undefined
          ? undefined
          : `${first.validFor.start.toISOString()} to ${first.validFor.end?.toISOString() ?? "now"}`,
      found: times.map((time) => time.toISOString()).join(", "),
    },
  );
}

function describeInclusion({ inclusion, logs }: ProvenInclusion): string {
  return `in the tree of size ${inclusion.checkpoint.treeSize} of ${logs[0]?.baseUrl ?? inclusion.checkpoint.origin}`;
}
