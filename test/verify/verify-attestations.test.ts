import { createHash } from "node:crypto";
import { describe, expect, test } from "vitest";
import { parseBundleCandidates } from "../../src/bundle/bundle-candidates.ts";
import { Verifier } from "../../src/verify/verifier.ts";
import { AttestationsNotVerifiedError, verifyAttestations } from "../../src/verify/verify-attestations.ts";
import { utf8 } from "../support/logs.ts";
import {
  ALICE_SIGNED,
  ARTIFACT,
  bundleFrom,
  makeSandbox,
  PREDICATE_TYPE,
  rootOf,
  statementAbout,
  type BundleOptions,
} from "../support/sandbox/sandbox.ts";

const sandbox = makeSandbox();
const verifier = await Verifier.create(rootOf(sandbox));
const statement = statementAbout(ARTIFACT);
const attested = (options: BundleOptions = {}): string => bundleFrom(sandbox, { statement, ...options }).text;
const ofType = (predicateType: string): BundleOptions => ({
  statement: JSON.stringify({ ...(statement as object), predicateType }),
});
const other = attested(ofType("https://example.com/another"));
const aboutOther = attested({ statement: statementAbout(utf8("another artifact")) });
const unlogged = attested({ entries: [] });
const candidates = (...lines: readonly string[]): ReturnType<typeof parseBundleCandidates> =>
  parseBundleCandidates(utf8(lines.join("\n")));
const policy = { ...ALICE_SIGNED, predicateType: PREDICATE_TYPE };

async function* stream(...chunks: readonly Uint8Array[]): AsyncGenerator<Uint8Array> {
  for (const chunk of chunks) yield await Promise.resolve(chunk);
}

describe("verifyAttestations", () => {
  test("finds the good ones among others, and gives each its outcome", async () => {
    const message = bundleFrom(sandbox).text;
    const list = candidates(other, `{"mediaType":"x"}`, attested(), message, aboutOther, unlogged, attested());
    const { verified, refused } = await verifyAttestations(list, ARTIFACT, policy, verifier);
    expect(verified.map(({ position, evidence }) => [position, evidence.content.kind])).toEqual([
      ["line 3", "statement"],
      ["line 7", "statement"],
    ]);
    expect(refused.map(({ position, error }) => [position, error.code])).toEqual([
      ["line 1", "PREDICATE_TYPE_MISMATCH"],
      ["line 2", "BUNDLE_MEDIA_TYPE_UNSUPPORTED"],
      ["line 4", "PREDICATE_TYPE_MISMATCH"],
      ["line 5", "SUBJECT_MISMATCH"],
      ["line 6", "TLOG_THRESHOLD_NOT_MET"],
    ]);
  });

  test("proves nothing by many that each prove a part", async () => {
    const error = await verifyAttestations(candidates(other, aboutOther, unlogged), ARTIFACT, policy, verifier).then(
      () => undefined,
      (reason: unknown) => reason,
    );
    expect(error).toBeInstanceOf(AttestationsNotVerifiedError);
    if (!(error instanceof AttestationsNotVerifiedError)) return;
    expect(error.code).toBe("ATTESTATION_NOT_ACCEPTED");
    expect(error.refused.map((one) => one.position)).toEqual(["line 1", "line 2", "line 3"]);
    expect(error.message).toMatch(
      /^none of 3 attestations proves it: line 1: .*another.*; line 2: .*; line 3: too few transparency logs .*\(expected 1, found 0\)$/,
    );
    expect(error.report?.some(({ outcome }) => outcome === "failed")).toBe(true);
  });

  test("lists a few reasons in the message, and all in its field", async () => {
    const error = await verifyAttestations(
      candidates(...Array.from({ length: 9 }, () => other)),
      ARTIFACT,
      policy,
      verifier,
    ).catch((reason: unknown) => reason);
    expect(error).toMatchObject({ message: expect.stringMatching(/line 5: [^;]*; 4 more$/) as unknown });
    expect((error as AttestationsNotVerifiedError).refused).toHaveLength(9);
  });

  test("reads a stream once, with the digest that any statement has", async () => {
    const sha512 = createHash("sha512").update(ARTIFACT).digest("hex");
    const by512 = attested({
      statement: JSON.stringify({ ...(statement as object), subject: [{ digest: { sha512 } }] }),
    });
    const streamed = stream(ARTIFACT.subarray(0, 3), ARTIFACT.subarray(3));
    const { verified } = await verifyAttestations(
      candidates(aboutOther, attested(), by512),
      streamed,
      policy,
      verifier,
    );
    expect(
      verified.map(({ evidence: { content } }) => content.kind === "statement" && content.subject?.digest.algorithm),
    ).toEqual(["sha256", "sha512"]);
  });

  test("chooses a verifier for each where that is asked for", async () => {
    const lenient = await Verifier.create(rootOf(sandbox), { thresholds: { tlog: 0 } });
    const choose = ({ verificationMaterial }: { verificationMaterial: { tlogEntries: readonly unknown[] } }) =>
      Promise.resolve(verificationMaterial.tlogEntries.length === 0 ? lenient : verifier);
    const { verified } = await verifyAttestations(candidates(unlogged, attested()), ARTIFACT, policy, choose);
    expect(verified).toHaveLength(2);
  });

  test("takes wrong usage for no candidate's fault", async () => {
    const ask = (list: Parameters<typeof verifyAttestations>[0], more: object = {}): Promise<unknown> =>
      verifyAttestations(list, ARTIFACT, { ...policy, ...more }, verifier);
    await expect(ask([])).rejects.toMatchObject({ code: "USAGE_INVALID" });
    await expect(ask(candidates(other, attested()), { keys: [] })).rejects.toMatchObject({ code: "USAGE_INVALID" });
    await expect(ask(candidates(other, attested()), { predicateType: "" })).rejects.toMatchObject({
      code: "USAGE_INVALID",
    });
  });

  test("tells of an artifact that cannot be read", async () => {
    // eslint-disable-next-line require-yield
    async function* broken(): AsyncGenerator<Uint8Array> {
      await Promise.resolve();
      throw new Error("the disk is gone");
    }
    await expect(verifyAttestations(candidates(other, attested()), broken(), policy, verifier)).rejects.toMatchObject({
      code: "ARTIFACT_UNREADABLE",
    });
  });
});
