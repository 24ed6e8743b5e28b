import { SigstoreError, type ErrorCode } from "../../src/errors.ts";
import type { VerifiedBundle } from "../../src/verify/evidence.ts";

/** Waits for a refusal. An acceptance, or an error of any other kind, fails the test. */
export async function refusal(verification: Promise<VerifiedBundle>): Promise<SigstoreError> {
  try {
    await verification;
  } catch (error) {
    if (error instanceof SigstoreError) return error;
    throw error;
  }
  throw new Error("accepted, where a refusal was expected");
}

/** Gives the code of a refusal, or `"accepted"`. */
export async function outcomeOf(verification: Promise<VerifiedBundle>): Promise<ErrorCode | "accepted"> {
  try {
    await verification;
    return "accepted";
  } catch (error) {
    if (error instanceof SigstoreError) return error.code;
    throw error;
  }
}

/** Lists the checks of a refusal that failed, as `name: CODE`. */
export function failedChecks(error: SigstoreError): readonly string[] {
  return (error.report ?? [])
    .filter(({ outcome }) => outcome === "failed")
    .map(({ name, code }) => `${name}: ${code ?? "no code"}`);
}
