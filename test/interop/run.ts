/**
 * Signs with the real cosign against real Sigstore services on loopback, and asks four verifiers about each bundle: our command
 * line, our library, cosign, and sigstore-go's. `npm run test:interop`; needs `npm run build` before.
 *
 * Exit status: 0 all as expected, 1 not, 2 not run.
 */
import { execFileSync } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import type * as Library from "../../src/index.ts";
import { issuerOf, PEOPLE, signArguments, verifyArguments, type Question } from "./cosign-arguments.ts";
import {
  ensurePeers,
  findPeers,
  runProgram,
  startRealStack,
  UNREACHABLE,
  type Outcome,
  type RealStack,
} from "./real-stack.ts";

const PROJECT = resolve(import.meta.dirname, "..", "..");
const CLI = join(PROJECT, "dist", "cli", "main.js");
const TESTDATA = join(PROJECT, "testdata", "real");
const OTHER_ROOT = join(TESTDATA, "b", "trusted_root.json"); // same names and addresses as here, other keys
const OTHER_TUF_ROOT = join(TESTDATA, "b", "tuf", "1.root.json");
const PASSWORD = "interop";

type Verdict = "accept" | "refuse" | "crash";
type VerifierName = "cli" | "library" | "cosign" | "sigstore-go";
interface Answer {
  readonly verdict: Verdict;
  readonly reason: string;
}
type Verifiers = Readonly<Record<VerifierName, (question: Question) => Promise<Answer | undefined>>>;

interface Case {
  readonly name: string;
  readonly content: "blob" | "attestation";
  readonly log: "v1" | "v2" | "none";
  readonly by?: keyof typeof PEOPLE;
  readonly key?: string;
  readonly algorithm?: string;
  readonly type?: string;
}

/** What others are known to answer differently, and why that is no fault of ours. */
function knownDifference(verifier: VerifierName, one: Case, question: string): string | undefined {
  if (question !== "accept") return undefined;
  if (["p384", "p521"].includes(one.key ?? "")) return `${verifier} takes SHA-256 for granted where a key is given`;
  if (one.key === "ed25519") return `${verifier} does not verify the Ed25519ph signatures that cosign makes`;
  return undefined;
}

// ---------------------------------------------------------------- what is signed

const KEYS: Readonly<Record<string, readonly string[] | undefined>> = {
  p256: undefined, // cosign generate-key-pair
  other: undefined,
  p384: ["ecparam", "-name", "secp384r1", "-genkey", "-noout"],
  p521: ["ecparam", "-name", "secp521r1", "-genkey", "-noout"],
  rsa2048: ["genpkey", "-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048"],
  ed25519: ["genpkey", "-algorithm", "ED25519"],
};

function* cases(): Generator<Case> {
  for (const content of ["blob", "attestation"] as const) {
    for (const log of ["v1", "v2"] as const) {
      for (const by of ["email", "github", "gitlab"] as const)
        yield { name: `${content} ${log} ${by}`, content, log, by };
      yield { name: `${content} ${log} key p256`, content, log, key: "p256" };
      yield { name: `${content} ${log} key rsa2048`, content, log, key: "rsa2048" };
    }
    yield { name: `${content} none key p256`, content, log: "none", key: "p256" };
    for (const key of ["p384", "p521", "ed25519"]) yield { name: `${content} v2 key ${key}`, content, log: "v2", key };
  }
  for (const algorithm of ["ecdsa-sha2-384-nistp384", "ecdsa-sha2-512-nistp521", "rsa-sign-pkcs1-3072-sha256"]) {
    yield { name: `blob v2 email ${algorithm}`, content: "blob", log: "v2", by: "email", algorithm };
  }
  for (const [log, type] of [
    ["v1", "slsaprovenance1"],
    ["v2", "spdxjson"],
    ["v2", "cyclonedx"],
    ["v1", "https://example.com/predicate/v1"],
  ] as const) {
    yield { name: `attestation ${log} email ${type}`, content: "attestation", log, by: "email", type };
  }
}

/** Why we may refuse what is wrong in one thing: which of several failures is named is for other tests, but not any will do. */
const REASONS: Readonly<Record<string, RegExp>> = {
  artifact: /ARTIFACT_DIGEST_MISMATCH|SUBJECT_MISMATCH|SIGNATURE_INVALID|TLOG_ENTRY_MISMATCH/,
  identity: /IDENTITY_MISMATCH/,
  issuer: /ISSUER_MISMATCH/,
  key: /SIGNATURE_INVALID|KEY_HINT_MISMATCH|TLOG_ENTRY_MISMATCH/,
  type: /PREDICATE_TYPE_MISMATCH/,
  root: /TLOG_THRESHOLD_NOT_MET|CERTIFICATE_ISSUER_UNKNOWN|CERTIFICATE_SIGNATURE_INVALID/,
  log: /TLOG_THRESHOLD_NOT_MET/,
  tuf: /TUF_/,
};

/** Says whether one of ours refuses for a reason that has nothing to do with what is wrong. */
function refusesForAnotherReason(verifier: string, answer: Answer, question: string): boolean {
  const ours = verifier === "cli" || verifier === "library";
  return ours && answer.verdict === "refuse" && REASONS[question]?.test(answer.reason) === false;
}

/** The questions about one bundle: the right one, and each with one thing wrong. */
function* questions(
  one: Case,
  right: Question,
  at: (name: string) => string,
): Generator<readonly [name: string, expected: Verdict, question: Question]> {
  yield ["accept", "accept", right];
  yield ["artifact", "refuse", { ...right, artifact: at("other-artifact.txt") }];
  if ("key" in right.signer) {
    yield ["key", "refuse", { ...right, signer: { key: at("other.pub") } }];
  } else {
    yield ["identity", "refuse", { ...right, signer: { ...right.signer, identity: PEOPLE["other-email"].identity } }];
    yield ["issuer", "refuse", { ...right, signer: { ...right.signer, issuer: `${right.signer.issuer}/` } }];
  }
  if (right.type !== undefined) yield ["type", "refuse", { ...right, type: "openvex" }];
  if (one.log !== "none") yield ["root", "refuse", { ...right, trustedRoot: OTHER_ROOT }];
  else yield ["log", "refuse", { ...right, ignoreLog: false }];
}

// ---------------------------------------------------------------- the verifiers

/** Counts an exception that nobody caught, a signal and a usage error as a crash: none of them is a refusal. */
function readOutcome({ status, stderr }: Outcome): Answer {
  const lines = stderr.trim().split("\n");
  const reason = lines.find((line) => /^Error: /i.test(line)) ?? lines.at(-1) ?? "";
  if (status === 0) return { verdict: "accept", reason: "" };
  const crashed = status < 0 || status > 13 || /^\s+at .*[:(].*\d+:\d+\)?$/m.test(stderr) || /^panic: /m.test(stderr);
  const usage = /unknown (option|flag|command)|USAGE_INVALID/.test(stderr);
  return { verdict: crashed || usage ? "crash" : "refuse", reason };
}

function makeVerifiers(bin: string, cwd: string, home: string, library: typeof Library): Verifiers {
  const cosign = (args: readonly string[]): Promise<Outcome> =>
    runProgram(join(bin, "cosign"), args, { cwd, home, env: { TUF_MIRROR: UNREACHABLE } });
  return {
    cli: async (question) =>
      readOutcome(await runProgram(process.execPath, [CLI, ...verifyArguments(question)], { cwd, home })),
    library: (question) => askLibrary(library, question),
    cosign: async (question) => readOutcome(await cosign(verifyArguments(question))),
    "sigstore-go": async (question) => {
      if (question.ignoreLog !== undefined || question.trustedRoot === undefined) return undefined; // it insists on a time, and a root
      const who =
        "key" in question.signer
          ? ["-publicKey", question.signer.key, "-requireCTlog=false"]
          : ["-expectedSAN", question.signer.identity, "-expectedIssuer", question.signer.issuer];
      const args = [
        "-trustedrootJSONpath",
        question.trustedRoot,
        ...who,
        "-artifact",
        question.artifact,
        question.bundle,
      ];
      const outcome = await runProgram(join(bin, "sigstore-go-verification"), args, { cwd, home });
      if (/^panic: .*crypto\.PublicKey is .*, not \*ecdsa/m.test(outcome.stderr)) return undefined; // it knows no other keys
      const predicateType = question.type === undefined ? undefined : predicateTypeOf(question.type);
      if (outcome.status === 0 && predicateType !== undefined) {
        const { statement } = JSON.parse(outcome.stdout) as { statement?: { predicateType?: string } };
        if (statement?.predicateType !== predicateType)
          return { verdict: "refuse", reason: "predicate type, compared here" };
      }
      return readOutcome(outcome);
    },
  };
}

async function askLibrary(library: typeof Library, question: Question, trust?: Library.TrustChoice): Promise<Answer> {
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

// ---------------------------------------------------------------- running

interface Row {
  readonly name: string;
  readonly cells: readonly string[];
  readonly failures: readonly string[];
}

async function main(): Promise<number> {
  if (!existsSync(CLI)) return notRun(`${CLI} does not exist: run "npm run build"`);
  const peers = findPeers(PROJECT);
  const absent = ensurePeers(peers);
  if (absent !== undefined) return notRun(absent);
  const packageName: string = "cosign-ts"; // as a stranger imports it; its types are those of the source
  const library = (await import(packageName)) as typeof Library;

  const work = mkdtempSync(join(tmpdir(), "interop-"));
  process.once("exit", () => rmSync(work, { recursive: true, force: true }));
  const at = (name: string): string => join(work, name);
  for (const home of ["home", "home-cosign", "home-cli", "home-library", "home-library-other"]) mkdirSync(at(home));
  let stack: RealStack;
  try {
    stack = startRealStack(peers, at("stack"));
  } catch {
    return notRun("the services did not start");
  }

  writeFileSync(at("artifact.txt"), "an artifact\n");
  writeFileSync(at("other-artifact.txt"), "another artifact\n");
  writeFileSync(at("predicate.json"), "{}");
  const { mediaType } = JSON.parse(readFileSync(stack.signingConfig, "utf8")) as { mediaType: string };
  writeFileSync(at("no-services.json"), JSON.stringify({ mediaType }));

  const run = (args: readonly string[]): Promise<Outcome> =>
    runProgram(join(peers.bin, "cosign"), args, {
      cwd: work,
      home: at("home"),
      env: { COSIGN_PASSWORD: PASSWORD, TUF_MIRROR: UNREACHABLE },
    });
  for (const [name, openssl] of Object.entries(KEYS)) {
    if (openssl !== undefined) execFileSync("openssl", [...openssl, "-out", at(`${name}.pem`)], { stdio: "ignore" });
    must(
      await run(
        openssl === undefined
          ? ["generate-key-pair", "--output-key-prefix", name]
          : ["import-key-pair", "--yes", "--key", at(`${name}.pem`), "--output-key-prefix", name],
      ),
    );
  }

  const verifiers = makeVerifiers(peers.bin, work, at("home"), library);
  const rows: Row[] = [];
  const signed = new Map<string, Question>();
  for (const one of cases()) {
    const right = await sign(one, stack, at, run);
    signed.set(one.name, right);
    rows.push(await askAll(one, right, at, verifiers));
  }
  const failures = rows.flatMap((row) => row.failures);
  printTable(rows);

  const tuf = await askWithTuf(stack, peers.bin, at, signed, library);
  for (const line of tuf.lines) console.log(line);
  failures.push(...tuf.failures);
  stack.stop();

  const count = rows.reduce((sum, row) => sum + row.cells.filter((cell) => cell !== "-").length, 0);
  for (const failure of failures) console.log(`FAILED ${failure}`);
  console.log(
    failures.length === 0
      ? `${rows.length} bundles, ${count} questions to four verifiers, all as expected`
      : `${failures.length} failures`,
  );
  return failures.length === 0 ? 0 : 1;
}

async function sign(
  one: Case,
  stack: RealStack,
  at: (name: string) => string,
  run: (args: readonly string[]) => Promise<Outcome>,
): Promise<Question> {
  const bundle = at(`${one.name.replaceAll(/[^a-z0-9]+/g, "-")}.sigstore.json`);
  const person = one.by === undefined ? undefined : PEOPLE[one.by];
  if (person !== undefined) writeFileSync(at("token"), stack.token(person.kind, person.claims));
  const type = one.content === "attestation" ? (one.type ?? "custom") : undefined;
  must(
    await run(
      signArguments({
        content: one.content,
        signingConfig: { v1: stack.signingConfigRekor1, v2: stack.signingConfig, none: at("no-services.json") }[
          one.log
        ],
        ...(one.key !== "ed25519" && { trustedRoot: stack.trustedRoot }), // cosign cannot verify its own
        signer: person === undefined ? { key: at(`${one.key}.key`) } : { identityToken: at("token") },
        ...(one.algorithm !== undefined && { algorithm: one.algorithm }),
        ...(type !== undefined && { predicate: { type, file: at("predicate.json") } }),
        bundle,
        artifact: at("artifact.txt"),
      }),
    ),
  );
  return {
    bundle,
    artifact: at("artifact.txt"),
    trustedRoot: stack.trustedRoot,
    signer:
      person === undefined
        ? { key: at(`${one.key}.pub`) }
        : { identity: person.identity, issuer: issuerOf(person, stack.oidcUrl) },
    ...(type !== undefined && { type }),
    ...(one.log === "none" && { ignoreLog: true }),
  };
}

const COLUMNS = ["accept", "artifact", "identity", "issuer", "key", "type", "root", "log"] as const;

async function askAll(one: Case, right: Question, at: (name: string) => string, verifiers: Verifiers): Promise<Row> {
  const cells = new Map<string, string>();
  const failures: string[] = [];
  for (const [name, expected, question] of questions(one, right, at)) {
    const answers = await Promise.all(
      Object.entries(verifiers).map(
        async ([verifier, ask]) => [verifier as VerifierName, await ask(question)] as const,
      ),
    );
    const marks: string[] = [];
    for (const [verifier, answer] of answers) {
      if (answer === undefined) continue;
      if (answer.verdict === expected && !refusesForAnotherReason(verifier, answer, name)) continue;
      const ours = verifier === "cli" || verifier === "library";
      const known = ours ? undefined : knownDifference(verifier, one, name);
      marks.push(`${known === undefined ? "!" : "~"}${verifier}`);
      if (known === undefined)
        failures.push(
          `${one.name}, ${name}: ${verifier} says ${answer.verdict}${answer.reason === "" ? "" : ` (${answer.reason})`}, expected ${expected}`,
        );
    }
    cells.set(name, marks.length === 0 ? "ok" : marks.join(" "));
  }
  return { name: one.name, cells: COLUMNS.map((column) => cells.get(column) ?? "-"), failures };
}

/** The same bundles with the trusted root that each fetched by TUF itself. */
async function askWithTuf(
  stack: RealStack,
  bin: string,
  at: (name: string) => string,
  signed: ReadonlyMap<string, Question>,
  library: typeof Library,
): Promise<{ lines: string[]; failures: string[] }> {
  const lines: string[] = [];
  const failures: string[] = [];
  const commandLines = {
    cli: (args: readonly string[]) =>
      runProgram(process.execPath, [CLI, ...args], { cwd: at("."), home: at("home-cli") }),
    cosign: (args: readonly string[]) =>
      runProgram(join(bin, "cosign"), args, { cwd: at("."), home: at("home-cosign") }),
  };
  const check = (
    name: string,
    what: string,
    answer: Answer,
    expected: Verdict,
    wrong: "artifact" | "tuf" = "artifact",
  ): void => {
    const good = answer.verdict === expected && !refusesForAnotherReason(name, answer, wrong);
    lines.push(`tuf: ${name}: ${what}: ${answer.verdict}${good ? "" : ` !expected ${expected}`}`);
    if (!good) failures.push(`tuf: ${name}: ${what}: ${answer.verdict} (${answer.reason}), expected ${expected}`);
  };
  const bundles = [...signed].filter(([title]) => /^(blob|attestation) v[12] (email|key p256)$/.test(title));

  for (const [name, program] of Object.entries(commandLines)) {
    check(
      name,
      "initialize with another root",
      readOutcome(await program(["initialize", "--mirror", stack.tufUrl, "--root", OTHER_TUF_ROOT])),
      "refuse",
      "tuf",
    );
    check(
      name,
      "initialize",
      readOutcome(await program(["initialize", "--mirror", stack.tufUrl, "--root", stack.tufRoot])),
      "accept",
    );
    for (const [title, { trustedRoot: _, ...question }] of bundles) {
      check(name, title, readOutcome(await program(verifyArguments(question))), "accept");
      check(
        name,
        `${title}, another artifact`,
        readOutcome(await program(verifyArguments({ ...question, artifact: at("other-artifact.txt") }))),
        "refuse",
      );
    }
  }

  const trust = (root: string, home: string): Library.TrustChoice => ({
    mirror: stack.tufUrl,
    root: readFileSync(root),
    environment: { HOME: at(home) },
  });
  for (const [title, { trustedRoot: _, ...question }] of bundles) {
    check("library", title, await askLibrary(library, question, trust(stack.tufRoot, "home-library")), "accept");
    check(
      "library",
      `${title}, another artifact`,
      await askLibrary(
        library,
        { ...question, artifact: at("other-artifact.txt") },
        trust(stack.tufRoot, "home-library"),
      ),
      "refuse",
    );
    check(
      "library",
      `${title}, another TUF root`,
      await askLibrary(library, question, trust(OTHER_TUF_ROOT, "home-library-other")),
      "refuse",
      "tuf",
    );
  }
  return { lines, failures };
}

function printTable(rows: readonly Row[]): void {
  const table = [["bundle", ...COLUMNS], ...rows.map((row) => [row.name, ...row.cells])];
  const widths = table[0]!.map((_, column) => Math.max(...table.map((line) => line[column]!.length)));
  console.log(
    "Verifiers: our command line, our library, cosign, sigstore-go. First column: all is right; others: one thing is wrong.",
  );
  console.log("ok = all answer as they must; ~name = differs for a known reason; !name = differs; - = not asked\n");
  for (const line of table)
    console.log(
      line
        .map((cell, column) => cell.padEnd(widths[column]!))
        .join("  ")
        .trimEnd(),
    );
  console.log("");
}

function must({ status, stderr }: Outcome): void {
  if (status !== 0) throw new Error(`cosign could not sign: ${stderr.trim()}`);
}

function notRun(reason: string): number {
  console.log(`not run: ${reason}`);
  return 2;
}

process.exit(await main());
