import { execFileSync } from "node:child_process";
import { rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { issuerOf, PEOPLE, signArguments, type Question } from "./cosign-arguments.ts";
import { runProgram, UNREACHABLE, type Outcome, type Stack } from "./stack.ts";
import {
  questions,
  refusesForAnotherReason,
  type Answer,
  type Verdict,
  type VerifierName,
  type Verifiers,
  type WrongThings,
} from "./verifiers.ts";

/** Who signs: the real cosign, or our command line. */
export type SignerName = "cosign" | "cosign-ts";

/** One row of the matrix: what is signed, by what, and where it is logged. */
export interface Case {
  readonly content: "blob" | "attestation";
  readonly log: "v1" | "v2" | "none";
  readonly by?: keyof typeof PEOPLE;
  readonly key?: KeyName;
  readonly algorithm?: string;
  readonly type?: string;
}

/** Keys that are kept; how openssl makes those that cosign does not. */
const KEYS = {
  p256: undefined,
  p384: ["ecparam", "-name", "secp384r1", "-genkey", "-noout"],
  p521: ["ecparam", "-name", "secp521r1", "-genkey", "-noout"],
  rsa2048: ["genpkey", "-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048"],
  rsa3072: ["genpkey", "-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:3072"],
  rsa4096: ["genpkey", "-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:4096"],
  ed25519: ["genpkey", "-algorithm", "ED25519"],
  other: undefined,
} as const;

type KeyName = keyof typeof KEYS;
const PASSWORD = "interop";

/** Every combination that anybody can sign. */
export function* cases(): Generator<Case> {
  for (const content of ["blob", "attestation"] as const)
    for (const log of ["v1", "v2"] as const) {
      for (const by of ["email", "github", "gitlab"] as const) yield { content, log, by };
      for (const algorithm of [
        "ecdsa-sha2-384-nistp384",
        "ecdsa-sha2-512-nistp521",
        "rsa-sign-pkcs1-2048-sha256",
        "rsa-sign-pkcs1-3072-sha256",
        "rsa-sign-pkcs1-4096-sha256",
      ])
        yield { content, log, by: "email", algorithm };
    }
  for (const content of ["blob", "attestation"] as const)
    for (const log of ["v1", "v2", "none"] as const)
      for (const key of ["p256", "p384", "p521", "rsa2048", "rsa3072", "rsa4096", "ed25519"] as const)
        yield { content, log, key };
  for (const [log, type] of [
    ["v1", "slsaprovenance1"],
    ["v2", "spdxjson"],
    ["v2", "cyclonedx"],
    ["v1", "https://example.com/predicate/v1"],
  ] as const)
    yield { content: "attestation", log, by: "email", type };
}

/** Names a row. */
export function nameOf({ content, log, by, key, algorithm, type }: Case): string {
  const signer = key === undefined ? (by ?? "") : `key ${key}`;
  return [content, log, signer, algorithm, type].filter((part) => part !== undefined).join(" ");
}

/** Why a cell is empty: the one who signs cannot, or the one who verifies cannot be asked. */
const NOT_ASKED = {
  a: "cosign attest-blob has no --signing-algorithm",
  b: "sigstore-go's example insists on a trusted time, which no log gives here",
  c: "sigstore-go's example reads ECDSA P-256 keys only",
  d: "gh verifies attestations of GitHub workflows only",
  e: "Rekor v1 verifies statements with SHA-256 whatever the key, so that it takes none of this one",
  g: "gh is not here: it could not be installed",
  f: "cosign signs statements with Ed25519ph where there is a log, which Rekor v1 does not take",
} as const;

/** What others are known to answer differently, and why that is no fault of ours. */
const DIFFERENCES = {
  1: "takes SHA-256 for granted where a key is given",
  2: "verifies no Ed25519 signatures by a key, or another kind than the log demands",
} as const;

/** Says why `signer` cannot sign a row at all. */
function cannotSign(signer: SignerName, one: Case): keyof typeof NOT_ASKED | undefined {
  const { content, log, algorithm, key } = one;
  if (content !== "attestation") return undefined;
  if (signer === "cosign" && algorithm !== undefined) return "a";
  if (log !== "v1") return undefined;
  if (/nistp384|nistp521/.test(algorithm ?? "") || key === "p384" || key === "p521") return "e";
  return signer === "cosign" && key === "ed25519" ? "f" : undefined;
}

function cannotBeAsked(verifier: VerifierName, one: Case): keyof typeof NOT_ASKED {
  if (verifier === "gh") return one.by === "github" && one.content === "attestation" ? "g" : "d";
  return one.log === "none" ? "b" : "c";
}

function knownDifference(verifier: VerifierName, one: Case, question: string): keyof typeof DIFFERENCES | undefined {
  if (question !== "accept" || verifier === "cli" || verifier === "library") return undefined;
  if (one.key === "p384" || one.key === "p521") return 1;
  if (one.key === "ed25519") return 2;
  return undefined;
}

/** Makes the keys of the matrix in `work`, as files of cosign. */
export async function makeKeys(work: string, cosign: (args: readonly string[]) => Promise<Outcome>): Promise<void> {
  for (const [name, openssl] of Object.entries(KEYS)) {
    const pem = join(work, `${name}.pem`);
    if (openssl !== undefined) execFileSync("openssl", [...openssl, "-out", pem], { stdio: "ignore" });
    must(
      "cosign",
      await cosign(
        openssl === undefined
          ? ["generate-key-pair", "--output-key-prefix", name]
          : ["import-key-pair", "--yes", "--key", pem, "--output-key-prefix", name],
      ),
    );
    rmSync(pem, { force: true });
  }
}

/** Everything that one run of the matrix works with. */
export interface Matrix {
  readonly stack: Stack;
  /** Folder with the keys and the artifacts. */
  readonly work: string;
  readonly home: string;
  readonly cli: string;
  readonly bin: string;
  readonly verifiers: Verifiers;
  readonly wrong: WrongThings;
}

/** Is what came of one row. */
export interface Row {
  readonly name: string;
  readonly signer: SignerName;
  readonly cells: ReadonlyMap<VerifierName, string>;
  readonly failures: readonly string[];
  readonly asked: number;
  readonly question: Question | undefined;
}

const VERIFIERS: readonly VerifierName[] = ["cli", "library", "cosign", "sigstore-go", "gh"];

/** Lets one of the signers sign a row, and asks every verifier every question about the bundle. */
export async function tryCase(one: Case, signer: SignerName, matrix: Matrix): Promise<Row> {
  const name = nameOf(one);
  const reason = cannotSign(signer, one);
  const cells = new Map<VerifierName, string>();
  if (reason !== undefined) {
    for (const verifier of VERIFIERS) cells.set(verifier, `-${reason}`);
    return { name, signer, cells, failures: [], asked: 0, question: undefined };
  }
  const outcome = await sign(one, signer, matrix);
  if ("failure" in outcome) {
    for (const verifier of VERIFIERS) cells.set(verifier, "!");
    return { name, signer, cells, failures: [`${signer} ${name}: ${outcome.failure}`], asked: 0, question: undefined };
  }
  const failures: string[] = [];
  const marks = new Map<VerifierName, Set<string>>(VERIFIERS.map((verifier) => [verifier, new Set()]));
  let asked = 0;
  for (const [what, expected, question] of questions(outcome.question, matrix.wrong)) {
    const answers = await Promise.all(
      VERIFIERS.map(async (verifier) => [verifier, await matrix.verifiers[verifier](question)] as const),
    );
    for (const [verifier, answer] of answers) {
      const [mark, failure] = judge(verifier, one, what, expected, answer);
      if (answer !== undefined) asked += 1;
      marks.get(verifier)?.add(mark);
      if (failure !== undefined) failures.push(`${signer} ${name}, ${what}: ${failure}`);
    }
  }
  for (const [verifier, all] of marks)
    cells.set(
      verifier,
      all.size === 1
        ? ([...all][0] ?? "!")
        : [...all]
            .filter((mark) => mark !== "ok" && !mark.startsWith("-"))
            .sort()
            .join("") || "ok",
    );
  return { name, signer, cells, failures, asked, question: outcome.question };
}

function judge(
  verifier: VerifierName,
  one: Case,
  what: string,
  expected: Verdict,
  answer: Answer | undefined,
): readonly [mark: string, failure?: string] {
  if (answer === undefined) return [`-${cannotBeAsked(verifier, one)}`];
  if (answer.verdict === expected && !refusesForAnotherReason(verifier, answer, what)) return ["ok"];
  const known = knownDifference(verifier, one, what);
  if (known !== undefined) return [`~${known}`];
  const said = answer.reason === "" ? "" : ` (${answer.reason})`;
  return ["!", `${verifier} says ${answer.verdict}${said}, expected ${expected}`];
}

async function sign(
  one: Case,
  signer: SignerName,
  { stack, work, home, cli, bin }: Matrix,
): Promise<{ readonly question: Question } | { readonly failure: string }> {
  const slug = `${signer} ${nameOf(one)}`.replaceAll(/[^a-z0-9]+/g, "-");
  const bundle = join(work, `${slug}.sigstore.json`);
  const artifact = join(work, "artifact.txt");
  const token = join(work, `${slug}.token`);
  const person = one.by === undefined ? undefined : PEOPLE[one.by];
  if (person !== undefined) writeFileSync(token, await stack.token(person.kind, person.claims));
  const type = one.content === "attestation" ? (one.type ?? "custom") : undefined;
  const configs = {
    v1: stack.signingConfigRekor1,
    v2: stack.signingConfig,
    none: join(work, "no-services.json"),
  };
  const args = signArguments({
    content: one.content,
    signingConfig: configs[one.log],
    // cosign cannot verify its own of Ed25519 keys, and gives up then.
    ...(!(signer === "cosign" && one.key === "ed25519") && { trustedRoot: stack.trustedRoot }),
    signer: person === undefined ? { key: join(work, `${one.key}.key`) } : { identityToken: token },
    ...(one.algorithm !== undefined && { algorithm: one.algorithm }),
    ...(type !== undefined && {
      predicate: { type, file: writePredicate(type, join(work, `${slug}.predicate.json`)) },
    }),
    bundle,
    artifact,
  });
  const env = { COSIGN_PASSWORD: PASSWORD, TUF_MIRROR: UNREACHABLE };
  const program = signer === "cosign" ? join(bin, "cosign") : process.execPath;
  const outcome = await runProgram(program, signer === "cosign" ? args : [cli, ...args], { cwd: work, home, env });
  if (outcome.status !== 0) return { failure: `could not sign: ${outcome.stderr.trim()}` };
  return {
    question: {
      bundle,
      artifact,
      trustedRoot: stack.trustedRoot,
      signer:
        person === undefined
          ? { key: join(work, `${one.key}.pub`) }
          : { identity: person.identity, issuer: issuerOf(person, stack.oidcUrl) },
      ...(type !== undefined && { type }),
      ...(one.log === "none" && { ignoreLog: true }),
    },
  };
}

/** Writes a predicate that its type allows to `file`, which is of one row: others are read at the same time. */
function writePredicate(type: string, file: string): string {
  const builds = {
    buildDefinition: { buildType: "https://example.com/build/v1", externalParameters: {} },
    runDetails: { builder: { id: "https://example.com/builder" } },
  };
  writeFileSync(file, JSON.stringify(type === "slsaprovenance1" ? builds : {}));
  return file;
}

/** Prints the rows side by side: who signed, and what each verifier made of it. */
export function printMatrix(title: string, rows: readonly Row[]): void {
  const signers: readonly SignerName[] = ["cosign", "cosign-ts"];
  const header = ["signed", ...signers.flatMap((signer) => VERIFIERS.map((verifier) => `${signer}>${verifier}`))];
  const names = [...new Set(rows.map(({ name }) => name))];
  const table = [
    header,
    ...names.map((name) => [
      name,
      ...signers.flatMap((signer) =>
        VERIFIERS.map(
          (verifier) => rows.find((row) => row.name === name && row.signer === signer)?.cells.get(verifier) ?? "!",
        ),
      ),
    ]),
  ];
  const widths = header.map((_, column) => Math.max(...table.map((line) => line[column]?.length ?? 0)));
  console.log(`${title}: key x log x content x direction. cosign-ts>cosign: signed by us, verified by cosign\n`);
  for (const line of table)
    console.log(
      line
        .map((cell, column) => cell.padEnd(widths[column] ?? 0))
        .join("  ")
        .trimEnd(),
    );
  console.log(
    "\nok: accepts the right one, and refuses another artifact, signer, type and root. ! differs: see below. Not asked:",
  );
  const used = (mark: string): boolean => rows.some(({ cells }) => [...cells.values()].some((cell) => cell === mark));
  for (const [letter, reason] of Object.entries(NOT_ASKED)) if (used(`-${letter}`)) console.log(`-${letter} ${reason}`);
  console.log("Known to differ:");
  for (const [number, reason] of Object.entries(DIFFERENCES))
    if (used(`~${number}`)) console.log(`~${number} ${reason}`);
  console.log("");
}

/** Ends the run where something fails that is not the question. */
function must(who: string, { status, stderr }: Outcome): void {
  if (status !== 0) throw new Error(`${who} failed: ${stderr.trim()}`);
}
