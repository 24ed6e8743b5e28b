import type { CryptoProvider } from "../crypto/provider.ts";
import { encodeBase64 } from "../encoding/base64.ts";
import { equalBytes } from "../encoding/bytes.ts";
import { encodeHex } from "../encoding/hex.ts";
import { encodeUtf8 } from "../encoding/utf8.ts";
import { VerificationError } from "../errors.ts";
import { generationOf } from "./entry-body.ts";
import type { TransparencyLogEntry } from "./transparency-log-entry.ts";
import type { TransparencyLog } from "./transparency-log.ts";

/** The last second of the year 9999. */
const LAST_SECOND = 253_402_300_799n;

/**
 * Verifies the inclusion promise of a Rekor v1 entry, also known as signed entry timestamp.
 *
 * It proves that the log accepted this very body under this index at the returned time, not that it kept it: see
 * `verifyInclusionProof`. That the log's key was valid at that time is not checked here: see `verify/`.
 *
 * @returns the integrated time.
 * @throws {@link VerificationError} `TLOG_INCLUSION_PROMISE_MISSING`, `TLOG_INCLUSION_PROMISE_INVALID`, `ALGORITHM_UNSUPPORTED`.
 * @see Sigstore client specification §4.2.2; rekor-spec, "Signed Entry Timestamp"
 */
export async function verifyInclusionPromise(
  entry: TransparencyLogEntry,
  log: TransparencyLog,
  crypto: CryptoProvider,
): Promise<Date> {
  const { integratedTime, logIndex, logId, inclusionPromise } = entry;
  if (inclusionPromise === undefined) {
    throw new VerificationError("TLOG_INCLUSION_PROMISE_MISSING", "log entry has no inclusion promise");
  }
  if (generationOf(entry.kindVersion) !== 1) throw invalid("is of an entry of Rekor v2, where promises prove nothing");
  if (!equalBytes(logId, log.logId)) throw invalid("is of another log", encodeHex(log.logId), encodeHex(logId));
  if (integratedTime <= 0n || integratedTime > LAST_SECOND)
    throw invalid("has no integrated time", "a time", `${integratedTime}`);
  // RFC 8785 writes numbers as doubles, so a larger index would not be the one that was signed.
  if (logIndex < 0n || logIndex > BigInt(Number.MAX_SAFE_INTEGER))
    throw invalid("has an impossible index", undefined, `${logIndex}`);

  // RFC 8785 JSON: keys in this order, and values that need no escaping.
  const body = encodeBase64(entry.canonicalizedBody);
  const payload = `{"body":"${body}","integratedTime":${integratedTime},"logID":"${encodeHex(logId)}","logIndex":${logIndex}}`;
  if (!(await crypto.verify(log.algorithm, log.publicKey, inclusionPromise, encodeUtf8(payload)))) {
    throw invalid(`is not signed by ${log.baseUrl}`);
  }
  return new Date(Number(integratedTime) * 1000);
}

function invalid(problem: string, expected?: string, found?: string): VerificationError {
  return new VerificationError("TLOG_INCLUSION_PROMISE_INVALID", `inclusion promise ${problem}`, { expected, found });
}
