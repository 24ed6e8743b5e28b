import { writeFileSync } from "node:fs";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";

import { parseFault } from "../../src/sandbox/faults.ts";
import {
  attest,
  ServiceError,
  sign,
  SigstoreError,
  type SignedBundle,
  type SignOptions,
} from "../../src/sign/index.ts";
import { verify } from "../../src/verify/verifier.ts";
import { statementAbout } from "../support/sandbox/sandbox.ts";
import { outcomeOfRun, runCommand } from "./support/command-line.ts";
import {
  COMMAND_ROWS,
  faultRows,
  forgeryRows,
  HANGING_COMMAND_ROWS,
  SERVICE_NAMES,
  type AskedService,
  type Row,
} from "./support/rows.ts";
import {
  CLIENT_SECRET,
  countEntries,
  IDENTITY,
  keylessOptions,
  startWorld,
  testFolder,
  type World,
} from "./support/world.ts";

// The whole matrix is for `npm run test:e2e`; what runs otherwise has each kind of fault, each service, and every lie.
const ALL = process.env["COSIGN_TS_E2E"] === "all";
const rowsOf = (rows: readonly Row[]): readonly Row[] => rows.filter(({ sample }) => ALL || sample);
/** Between a deadline and the end of the call, on a machine that does something else meanwhile. */
const SLACK_MS = 15_000;

let world: World;
beforeAll(async () => {
  world = await startWorld();
}, 60_000);
afterEach(() => world.sandbox.clearFaults());
afterAll(() => world.end());

let artifacts = 0;
const newArtifact = (): Uint8Array => new TextEncoder().encode(`artifact ${++artifacts}`);

/** Is what came of a signature. */
interface Outcome {
  readonly signed?: SignedBundle;
  readonly error?: unknown;
  readonly files: readonly string[];
  readonly entries: number;
  readonly tookMs: number;
}

/** Signs as a caller does who keeps the state and writes the bundle to a file; half of them statements. */
function signerOf({ generation, timeoutMs }: Row, waits: number[]): (fault?: string) => Promise<Outcome> {
  const { sandbox } = world;
  const folder = testFolder();
  const artifact = newArtifact();
  const isStatement = artifacts % 2 === 0;
  return async (fault) => {
    const options: SignOptions = {
      ...keylessOptions(sandbox, { generation, timeoutMs, waits }),
      state: folder.at("state.json"),
      deliver: ({ json }) => writeFileSync(folder.at("bundle.json"), json),
    };
    const before = await countEntries(sandbox, generation);
    if (fault !== undefined) sandbox.setFault(parseFault(fault).service, parseFault(fault));
    const started = performance.now();
    const signing = isStatement ? attest(JSON.stringify(statementAbout(artifact)), options) : sign(artifact, options);
    const outcome = await signing.then(
      (signed) => ({ signed }),
      (error: unknown) => ({ error }),
    );
    const tookMs = performance.now() - started;
    sandbox.clearFaults();
    if ("signed" in outcome) await expectVerifies(outcome.signed, artifact);
    const entries = (await countEntries(sandbox, generation)) - before;
    return { ...outcome, files: folder.files(), entries, tookMs };
  };
}

async function expectVerifies({ json }: SignedBundle, artifact: Uint8Array): Promise<void> {
  const { trustedRoot, urls } = world.sandbox;
  const identity = { subjectAlternativeName: IDENTITY, issuer: urls.oidc };
  const evidence = await verify(json, artifact, { trustedRoot, identity, thresholds: { timestamp: 1 } });
  expect([evidence.logEntries.length, evidence.setAside]).toEqual([1, []]);
}

/** Finds the error of the service, also below one that says what it was needed for. */
function serviceErrorOf(error: unknown): ServiceError {
  for (let next = error; next instanceof Error; next = next.cause) if (next instanceof ServiceError) return next;
  return expect.fail(`no service is named: ${String(error)}`);
}

async function check(row: Row): Promise<void> {
  const waits: number[] = [];
  const signOnce = signerOf(row, waits);
  const { signed, error, files, entries, tookMs } = await signOnce(row.fault);
  const { expected, fault } = row;
  expect(entries).toBe(row.entries);
  expect(tookMs).toBeLessThan(row.timeoutMs + SLACK_MS);
  if (expected.kind === "signed") {
    if (signed === undefined) throw error;
    expect(files).toEqual(["bundle.json"]);
    if (expected.waitedMs !== undefined) expect(Math.max(...waits)).toBeGreaterThanOrEqual(expected.waitedMs);
    return;
  }
  if (!(error instanceof SigstoreError)) return expect.fail(`it ended otherwise: ${String(error)}`);
  const service = fault.replace(/=.*/, "") as AskedService;
  if (expected.kind === "refused") {
    expect([error.name, error.code]).toEqual([expected.error, expect.stringMatching(expected.code)]);
  } else {
    const { code, attempts, status, service: name } = serviceErrorOf(error);
    const { kind: _, ...wanted } = { status: undefined, ...expected };
    expect({ code, attempts, status, name }).toEqual({ ...wanted, name: SERVICE_NAMES[service] });
    // Whoever reads the message alone knows it too.
    expect(error.message).toContain(SERVICE_NAMES[service]);
  }
  // There is a state as soon as there is a signature, and nothing else ever.
  expect(files).toEqual(/^(tsa|rekor)/.test(fault) ? ["state.json"] : []);

  // Once all is well, the same call ends well, with what was public already.
  const again = await signOnce();
  if (again.signed === undefined) throw again.error;
  expect([again.files, again.signed.resumed]).toEqual([["bundle.json"], isKept(fault)]);
  expect(entries + again.entries).toBe(Math.max(row.entries, 1) + (fault === LATE_ENTRY ? 1 : 0));
}

/** The entry says that it was made when the certificate had ended: that signature is lost, and another one is made. */
const LATE_ENTRY = "rekor1=clock:+1h";
const isKept = (fault: string): boolean => /^(tsa|rekor)/.test(fault) && fault !== LATE_ENTRY;

describe("signing, while something goes wrong on the way", () => {
  test.for(rowsOf(faultRows()))("$fault, Rekor v$generation: $expected.kind", async (row) => check(row));
});

describe("signing, while a service lies", () => {
  test.for(rowsOf(forgeryRows()))("$fault, Rekor v$generation: $expected.code", async (row) => check(row));
});

// A log that shows everybody another history signs each of them, and each is whole in itself: one answer cannot betray it. Those who
// compare histories can, which is what witnesses are for.
describe("signing, while a log shows another history", () => {
  test.for([1, 2] as const)("cannot tell, Rekor v%i", async (generation) => {
    const fault = `rekor${generation}=split-view`;
    const row: Row = { fault, generation, expected: { kind: "signed" }, entries: 1, timeoutMs: 60_000, sample: true };
    await check(row);
  });
});

describe("sign-blob, while something goes wrong", () => {
  const lies = forgeryRows().filter(({ sample }) => sample);
  const rows = [
    ...COMMAND_ROWS.map((row) => ({ row, generation: row[0].startsWith("rekor1") ? 1 : 2 }) as const),
    ...(ALL ? HANGING_COMMAND_ROWS : []).map(
      (row) => ({ row, generation: row[0].startsWith("rekor1") ? 1 : 2 }) as const,
    ),
    ...lies.map(({ fault, expected, generation }) => ({
      // That it was an answer, and nothing for those who verify what somebody else has signed.
      row: [fault, expected.kind === "refused" ? expected.code : "", "cannot be used"] as const,
      generation,
    })),
  ];

  test.for(rows)("$row.0, Rekor v$generation: $row.1", async ({ row, generation }) => {
    const [fault, expected, ...words] = row;
    const { sandbox } = world;
    const folder = testFolder();
    writeFileSync(folder.at("app"), newArtifact());
    writeFileSync(folder.at("secret"), CLIENT_SECRET);
    const environment = { TUF_ROOT: folder.at("tuf") };
    const parsed = parseFault(fault);
    const before = await countEntries(sandbox, generation);
    sandbox.setFault(parsed.service, parsed);
    const login = ["--fulcio-auth-flow=client_credentials", `--oidc-client-secret-file=${folder.at("secret")}`];
    const config = generation === 1 ? sandbox.paths.signingConfigRekor1 : sandbox.paths.signingConfig;
    const limit = expected === "COMMAND_TIMED_OUT" ? ["--timeout=3s"] : [];
    const initialized = await runCommand(
      ["initialize", "--mirror", sandbox.urls.tuf, "--root", sandbox.paths.tufRoot, ...limit],
      { environment },
    );
    const run =
      initialized.status !== 0
        ? initialized
        : await runCommand(
            [
              "sign-blob",
              "--yes",
              "-o",
              "json",
              ...limit,
              ...login,
              `--signing-config=${config}`,
              `--bundle=${folder.at("app.json")}`,
              folder.at("app"),
            ],
            { environment },
          );
    sandbox.clearFaults();
    const outcome = outcomeOfRun(run);
    expect(outcome).toEqual(typeof expected === "string" ? expected : expect.stringMatching(expected));
    expect(run.status).toBe(outcome === "status 0" ? 0 : 1);
    const lastLine = run.stderr.trimEnd().split("\n").at(-1) ?? "";
    for (const word of words) expect(lastLine).toContain(word);
    expect(lastLine).not.toMatch(/artifact if|was signed with/);
    if (expected === "COMMAND_TIMED_OUT") expect(lastLine).toContain(new URL(urlOf(parsed.service)).origin);
    if (run === initialized) return;
    const [signed, files] = [outcome === "status 0", folder.files().filter((name) => name !== "tuf")];
    expect(files).toEqual(signed ? ["app", "app.json", "secret"] : ["app", "secret"]);
    expect(JSON.parse(run.stdout)).toMatchObject(
      signed ? { verdict: "signed" } : { verdict: "failed", error: { code: outcome } },
    );
    if (signed) expect((await countEntries(sandbox, generation)) - before).toBe(1);
  });
});

/** Where each part is asked. */
function urlOf(service: string): string {
  const { urls } = world.sandbox;
  return urls[service as keyof typeof urls];
}
