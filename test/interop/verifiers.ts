import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type * as Library from "../../src/index.ts";
import { PEOPLE, verifyArguments, type Question } from "./cosign-arguments.ts";
import { runProgram, UNREACHABLE, type Outcome } from "./stack.ts";

export type Verdict = "accept" | "refuse" | "crash";
export type VerifierName = "cli" | "library" | "cosign" | "sigstore-go" | "gh";

/** What a verifier says of one question. */
export interface Answer {
  readonly verdict: Verdict;
  readonly reason: string;
}

/** Answers a question; `undefined` where the verifier has no way to be asked it. */
export type Verifiers = Readonly<Record<VerifierName, (question: Question) => Promise<Answer | undefined>>>;

/** Counts an exception that nobody caught, a signal and a usage error as a crash: none of them is a refusal. */
export function readOutcome({ status, stderr }: Outcome): Answer {
  const lines = stderr.trim().split("\n");
  const reason = lines.find((line) => /^Error: /i.test(line)) ?? lines.at(-1) ?? "";
  if (status === 0) return { verdict: "accept", reason: "" };
  const crashed = status < 0 || status > 13 || /^\s+at .*[:(].*\d+:\d+\)?$/m.test(stderr) || /^panic: /m.test(stderr);
  const usage = /unknown (option|flag|command)|USAGE_INVALID/.test(stderr);
  return { verdict: crashed || usage ? "crash" : "refuse", reason };
}

/** Where the verifiers are, and what they run in. */
export interface Surroundings {
  /** Our command line. */
  readonly cli: string;
  readonly library: typeof Library;
  /** Folder with the programs of others. */
  readonly bin: string;
  readonly cwd: string;
  readonly home: string;
}

export function makeVerifiers({ cli, library, bin, cwd, home }: Surroundings): Verifiers {
  const run = (program: string, args: readonly string[], env = {}): Promise<Outcome> =>
    runProgram(program, args, { cwd, home, env });
  const written = new Map<string, string>();
  /** Writes a trusted root in one line, as gh reads it, once: a second time would empty the file under a gh that reads it. */
  const writeLines = (trustedRoot: string): string => {
    const lines = written.get(trustedRoot) ?? join(cwd, `trusted-root-${written.size}.jsonl`);
    if (!written.has(trustedRoot))
      writeFileSync(lines, `${JSON.stringify(JSON.parse(readFileSync(trustedRoot, "utf8")))}\n`);
    written.set(trustedRoot, lines);
    return lines;
  };
  return {
    cli: async (question) => readOutcome(await run(process.execPath, [cli, ...verifyArguments(question)])),
    library: (question) => askLibrary(library, question),
    cosign: async (question) =>
      readOutcome(await run(join(bin, "cosign"), verifyArguments(question), { TUF_MIRROR: UNREACHABLE })),
    "sigstore-go": async (question) => {
      if (question.ignoreLog !== undefined || question.trustedRoot === undefined) return undefined; // it insists on a time, and a root
      const who =
        "key" in question.signer
          ? ["-publicKey", question.signer.key, "-requireCTlog=false"]
          : ["-expectedSAN", question.signer.identity, "-expectedIssuer", question.signer.issuer];
      const outcome = await run(join(bin, "sigstore-go-verification"), [
        "-trustedrootJSONpath",
        question.trustedRoot,
        ...who,
        "-artifact",
        question.artifact,
        question.bundle,
      ]);
      if (/^panic: .*crypto\.PublicKey is .*, not \*ecdsa/m.test(outcome.stderr)) return undefined; // it knows no other keys
      const predicateType = question.type === undefined ? undefined : predicateTypeOf(question.type);
      if (outcome.status === 0 && predicateType !== undefined) {
        const { statement } = JSON.parse(outcome.stdout) as { statement?: { predicateType?: string } };
        if (statement?.predicateType !== predicateType)
          return { verdict: "refuse", reason: "predicate type, compared here" };
      }
      return readOutcome(outcome);
    },
    gh: async (question) => {
      const { signer, type, trustedRoot } = question;
      // It knows attestations of GitHub's workflows only, and takes their certificates for granted.
      if ("key" in signer || type === undefined || trustedRoot === undefined) return undefined;
      if (!signer.issuer.replace(/\/$/, "").endsWith("/github") || !existsSync(join(bin, "gh"))) return undefined;
      const lines = writeLines(trustedRoot);
      const outcome = await run(
        join(bin, "gh"),
        [
          "attestation",
          "verify",
          question.artifact,
          "--bundle",
          question.bundle,
          "--custom-trusted-root",
          lines,
          "--cert-identity",
          signer.identity,
          "--cert-oidc-issuer",
          signer.issuer,
          "--predicate-type",
          predicateTypeOf(type),
          "--owner",
          "acme",
          "--format",
          "json",
        ],
        { GH_TOKEN: "unused", GH_NO_UPDATE_NOTIFIER: "1" },
      );
      return readOutcome(outcome);
    },
  };
}

/** Asks the library by its import, with the root that the question names or with `trust`. */
export async function askLibrary(
  library: typeof Library,
  question: Question,
  trust?: Library.TrustChoice,
): Promise<Answer> {
  const policy = {
    trust: question.trustedRoot === undefined ? trust : { path: question.trustedRoot },
    ...(question.ignoreLog === true && { thresholds: { tlog: 0 } }),
    ...(question.type !== undefined && { predicateType: predicateTypeOf(question.type) }),
  };
  try {
    const who =
      "key" in question.signer
        ? { keys: [{ publicKey: library.parsePublicKeyPem(readFileSync(question.signer.key, "utf8")) }] as const }
        : { identity: { subjectAlternativeName: question.signer.identity, issuer: question.signer.issuer } };
    const evidence = await library.verify(
      { path: question.bundle },
      { path: question.artifact },
      { ...policy, ...who },
    );
    const json = JSON.stringify(library.evidenceToJson(evidence));
    if ("identity" in question.signer && !json.includes(JSON.stringify(question.signer.identity)))
      return { verdict: "crash", reason: "evidence without the identity" };
    return { verdict: "accept", reason: "" };
  } catch (error) {
    if (error instanceof library.SigstoreError)
      return {
        verdict: error.code === "USAGE_INVALID" ? "crash" : "refuse",
        reason: `${error.code}: ${error.message}`,
      };
    return { verdict: "crash", reason: String(error) };
  }
}

function predicateTypeOf(type: string): string {
  const uris: Readonly<Record<string, string>> = {
    custom: "https://cosign.sigstore.dev/attestation/v1",
    slsaprovenance1: "https://slsa.dev/provenance/v1",
    spdxjson: "https://spdx.dev/Document",
    cyclonedx: "https://cyclonedx.org/bom",
    openvex: "https://openvex.dev/ns",
  };
  return uris[type] ?? type;
}

// ---------------------------------------------------------------- what is asked of one bundle

/** Why we may refuse what is wrong in one thing: which of several failures is named is for other tests, but not any will do. */
const REASONS: Readonly<Record<string, RegExp>> = {
  artifact: /ARTIFACT_DIGEST_MISMATCH|SUBJECT_MISMATCH|SIGNATURE_INVALID|TLOG_ENTRY_MISMATCH/,
  identity: /IDENTITY_MISMATCH/,
  issuer: /ISSUER_MISMATCH/,
  key: /SIGNATURE_INVALID|KEY_HINT_MISMATCH|TLOG_ENTRY_MISMATCH/,
  type: /PREDICATE_TYPE_MISMATCH/,
  root: /TLOG_THRESHOLD_NOT_MET|CERTIFICATE_ISSUER_UNKNOWN|CERTIFICATE_SIGNATURE_INVALID|CHECKPOINT_SIGNATURE_INVALID|TIMESTAMP_/,
  log: /TLOG_THRESHOLD_NOT_MET/,
  tuf: /TUF_/,
};

/** Says whether one of ours refuses for a reason that has nothing to do with what is wrong. */
export function refusesForAnotherReason(verifier: string, answer: Answer, question: string): boolean {
  const ours = verifier === "cli" || verifier === "library";
  return ours && answer.verdict === "refuse" && REASONS[question]?.test(answer.reason) === false;
}

/** Files that are each wrong in one thing. */
export interface WrongThings {
  readonly artifact: string;
  /** A public key. */
  readonly key: string;
  /** A trusted root of another instance. */
  readonly root: string;
}

/** The questions about one bundle: the right one, and each with one thing wrong. */
export function* questions(
  right: Question,
  wrong: WrongThings,
): Generator<readonly [name: string, expected: Verdict, question: Question]> {
  yield ["accept", "accept", right];
  yield ["artifact", "refuse", { ...right, artifact: wrong.artifact }];
  if ("key" in right.signer) {
    yield ["key", "refuse", { ...right, signer: { key: wrong.key } }];
  } else {
    yield ["identity", "refuse", { ...right, signer: { ...right.signer, identity: PEOPLE["other-email"].identity } }];
    yield ["issuer", "refuse", { ...right, signer: { ...right.signer, issuer: `${right.signer.issuer}/` } }];
  }
  if (right.type !== undefined) yield ["type", "refuse", { ...right, type: "openvex" }];
  if (right.ignoreLog !== true) yield ["root", "refuse", { ...right, trustedRoot: wrong.root }];
  else yield ["log", "refuse", { ...right, ignoreLog: false }];
}
