import { SigstoreError, type ErrorCode } from "../../src/errors.ts";

/** Waits for a refusal. An acceptance, or an error of any other kind, fails the test. */
export async function refusal(verification: Promise<unknown>): Promise<SigstoreError> {
  try {
    await verification;
  } catch (error) {
    if (error instanceof SigstoreError) return error;
    throw error;
  }
  throw new Error("accepted, where a refusal was expected");
}

/** Gives the code of a refusal, or `"accepted"`. */
export async function outcomeOf(verification: Promise<unknown>): Promise<ErrorCode | "accepted"> {
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
