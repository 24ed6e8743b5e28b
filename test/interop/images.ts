import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { issuerOf, PEOPLE } from "./cosign-arguments.ts";
import { runProgram, UNREACHABLE, type Outcome, type Stack } from "./stack.ts";
import { readOutcome, type Verdict } from "./verifiers.ts";

/** What the questions about images need. */
export interface ImageQuestions {
  readonly stack: Stack;
  /** Registries by what is special about them, as `host:port`. */
  readonly registries: Readonly<Record<string, string>>;
  readonly bin: string;
  /** Our command line. */
  readonly cli: string;
  /** Makes an empty home folder. */
  readonly home: (name: string) => string;
  /** Folder with the keys of the matrix. */
  readonly work: string;
  /** Says which rows are wanted. */
  readonly wanted: (name: string) => boolean;
}

type Program = "cosign" | "cosign2" | "cosign-ts";

/** Is one way to sign an image. */
interface Signing {
  readonly by: Program;
  readonly format: "bundle" | "legacy" | "oci-1-1";
  readonly content: "signature" | "attestation";
  readonly who: "keyless" | "key";
  readonly shape?: "index";
  readonly annotations?: true;
  readonly timestamp?: true;
}

/** Every way, in each registry. */
const SIGNINGS: readonly Signing[] = [
  ...(["cosign", "cosign-ts"] as const).flatMap((by): readonly Signing[] => [
    { by, format: "bundle", content: "signature", who: "keyless" },
    { by, format: "bundle", content: "signature", who: "key" },
    { by, format: "bundle", content: "signature", who: "keyless", shape: "index" },
    { by, format: "bundle", content: "signature", who: "key", annotations: true },
    { by, format: "bundle", content: "attestation", who: "keyless" },
    { by, format: "bundle", content: "attestation", who: "key" },
  ]),
  ...(["cosign2", "cosign-ts"] as const).flatMap((by): readonly Signing[] => [
    { by, format: "legacy", content: "signature", who: "keyless" },
    { by, format: "legacy", content: "signature", who: "keyless", timestamp: true },
    { by, format: "legacy", content: "signature", who: "key" },
    { by, format: "legacy", content: "signature", who: "key", shape: "index" },
    { by, format: "legacy", content: "signature", who: "key", annotations: true },
    { by, format: "legacy", content: "attestation", who: "keyless" },
    { by, format: "legacy", content: "attestation", who: "keyless", timestamp: true },
    { by, format: "legacy", content: "attestation", who: "key" },
    { by, format: "oci-1-1", content: "signature", who: "keyless" },
  ]),
  { by: "cosign", format: "legacy", content: "signature", who: "keyless", timestamp: true },
  { by: "cosign", format: "legacy", content: "attestation", who: "keyless", timestamp: true },
];

function nameOf({ by, format, content, who, shape, annotations, timestamp }: Signing): string {
  const special = [shape, annotations && "annotations", timestamp && "timestamp"].filter((part) => part !== undefined);
  return [by, format, content, who, ...special].join(" ");
}

/**
 * Who can be asked about what a row has made. cosign 2 knows no bundles in registries. An attestation that cosign 3 has timestamped in
 * the old format can be verified by neither cosign: the timestamp is over the signature, and both look for one over the envelope.
 */
function verifiersOf({ by, format, content, timestamp }: Signing): readonly Program[] {
  if (by === "cosign" && format === "legacy" && content === "attestation" && timestamp === true) return ["cosign-ts"];
  return format === "bundle" ? ["cosign", "cosign-ts"] : ["cosign", "cosign2", "cosign-ts"];
}

const PASSWORD = "interop";
/** Rows of one registry that are worked on at once. */
const WORKERS = 3;

/** Is what came of one row. */
interface Row {
  readonly name: string;
  readonly cells: ReadonlyMap<string, string>;
  readonly failures: readonly string[];
  readonly asked: number;
}

/**
 * Lets cosign 3, cosign 2 and us sign and attest images in each registry, in every format, and asks all of them who signed what:
 * there, and after the image was copied, saved and loaded.
 */
export async function askAboutImages(questions: ImageQuestions): Promise<{ lines: string[]; failures: string[] }> {
  const lines: string[] = [];
  const failures: string[] = [];
  let asked = 0;
  const tools = await prepare(questions);
  for (const [registryName, registry] of Object.entries(questions.registries)) {
    const chosen = SIGNINGS.filter((one) => questions.wanted(`image ${registryName} ${nameOf(one)}`));
    const rows: Row[] = Array.from({ length: chosen.length });
    let next = 0;
    const worker = async (): Promise<void> => {
      for (let index = next++; index < chosen.length; index = next++) {
        const one = chosen[index];
        if (one === undefined) continue;
        const row = await new Trial(one, registry, `row-${index}`, tools, questions).run();
        rows[index] = row;
        for (const failure of row.failures) process.stderr.write(`images in ${registryName}: ${failure}\n`);
      }
    };
    await Promise.all(Array.from({ length: WORKERS }, worker));
    lines.push(...printRows(registryName, rows), "");
    failures.push(...rows.flatMap((row) => row.failures.map((failure) => `images in ${registryName}: ${failure}`)));
    asked += rows.reduce((sum, row) => sum + row.asked, 0);
  }
  lines.push(`${asked} answers`);
  return { lines, failures };
}

/** Runs a program of the comparison in a home of its own. */
type Tools = (program: string, args: readonly string[], env?: Readonly<Record<string, string>>) => Promise<Outcome>;

/** Makes layers, and lets cosign 2 know whom to trust. */
async function prepare({ stack, bin, cli, home, work }: ImageQuestions): Promise<Tools> {
  const folder = join(work, "images");
  mkdirSync(folder, { recursive: true });
  writeFileSync(join(folder, "predicate.json"), '{"big":12345678901234567890,"note":"<&>"}');
  const run: Tools = (program, args, env = {}) => {
    const own = program === "cosign-ts";
    return runProgram(
      own ? process.execPath : program === "tar" ? "tar" : join(bin, program),
      own ? [cli, ...args] : args,
      {
        cwd: folder,
        home: home(`images-${program}`),
        env: {
          COSIGN_PASSWORD: PASSWORD,
          // Trust of cosign 2 comes from the repository, that of the others from the file.
          ...(program !== "cosign2" && { TUF_MIRROR: UNREACHABLE }),
          ...env,
        },
      },
    );
  };
  for (const name of ["amd64", "arm64", "other"]) {
    writeFileSync(join(folder, "content.txt"), `${name}\n`);
    must(await run("tar", ["-cf", `${name}.tar`, "content.txt"]), "tar");
  }
  must(await run("cosign2", ["initialize", "--mirror", stack.tufUrl, "--root", stack.tufRoot]), "cosign2 initialize");
  return run;
}

/** Is one row: an image of its own, signed in one way. */
class Trial {
  readonly #one: Signing;
  readonly #repository: string;
  readonly #slug: string;
  readonly #run: Tools;
  readonly #questions: ImageQuestions;
  readonly #cells = new Map<string, string>();
  readonly #failures: string[] = [];
  #asked = 0;

  constructor(one: Signing, registry: string, slug: string, run: Tools, questions: ImageQuestions) {
    this.#one = one;
    this.#repository = `${registry}/${slug}`;
    this.#slug = `${registry.replaceAll(/[^a-z0-9]+/g, "-")}-${slug}`;
    this.#run = run;
    this.#questions = questions;
  }

  async run(): Promise<Row> {
    const name = nameOf(this.#one);
    try {
      const digests = await this.#makeImage(`${this.#repository}/app`);
      const [signed = ""] = digests;
      const image = `${this.#repository}/app@${signed}`;
      if (this.#one.content === "signature") await this.#expectExit("cosign-ts", image, 10, "not signed");
      must(await this.#sign(`${this.#repository}/app:v1`, image), `${this.#one.by} signing`);
      for (const verifier of verifiersOf(this.#one))
        await this.#ask(verifier, verifier, digests, `${this.#repository}/app`);
      await this.#copy(digests);
      await this.#saveAndLoad(image, signed);
    } catch (error) {
      this.#fail("made", error instanceof Error ? error.message : String(error));
    }
    return { name, cells: this.#cells, failures: this.#failures, asked: this.#asked };
  }

  #fail(column: string, problem: string): void {
    this.#cells.set(column, "!");
    this.#failures.push(`${nameOf(this.#one)}, ${column}: ${problem}`);
  }

  /** Makes the image, or the index of two, and another image that nobody signs. @returns the digests that are to be signed. */
  async #makeImage(repository: string): Promise<readonly string[]> {
    const crane = async (...args: string[]): Promise<string> => {
      const outcome = await this.#run("crane", args);
      must(outcome, `crane ${args[0]}`);
      return outcome.stdout.trim();
    };
    const digestOf = (reference: string): string => reference.slice(reference.indexOf("@") + 1);
    const amd64 = digestOf(await crane("append", "-f", "amd64.tar", "-t", `${repository}:v1`));
    await crane("append", "-f", "other.tar", "-t", `${repository}:other`);
    if (this.#one.shape === undefined) return [amd64];
    const arm64 = digestOf(await crane("append", "-f", "arm64.tar", "-t", `${repository}:arm64`));
    const index = digestOf(
      await crane(
        "index",
        "append",
        "-m",
        `${repository}@${amd64}`,
        "-m",
        `${repository}@${arm64}`,
        "-t",
        `${repository}:v1`,
      ),
    );
    return [index, amd64, arm64];
  }

  async #sign(tagged: string, image: string): Promise<Outcome> {
    const { by, format, content, who, shape, annotations, timestamp } = this.#one;
    const { stack, work } = this.#questions;
    const args = [content === "signature" ? "sign" : "attest", "--yes", "--allow-http-registry"];
    if (format === "bundle") args.push("--signing-config", stack.signingConfig, "--trusted-root", stack.trustedRoot);
    else {
      if (by !== "cosign2")
        args.push("--new-bundle-format=false", "--use-signing-config=false", "--trusted-root", stack.trustedRoot);
      args.push("--rekor-url", stack.rekor1Url);
      if (who === "keyless") args.push("--fulcio-url", stack.fulcioUrl);
      if (timestamp === true) args.push("--timestamp-server-url", stack.tsaUrl);
      if (format === "oci-1-1") args.push("--registry-referrers-mode", "oci-1-1");
    }
    if (who === "key") args.push("--key", join(work, "p256.key"));
    else args.push("--identity-token", await stack.token(PEOPLE.email.kind, PEOPLE.email.claims));
    if (shape === "index") args.push("--recursive");
    if (annotations === true) args.push("-a", "team=release", "-a", "note=a <b> & c");
    if (content === "attestation") args.push("--type", "https://example.com/note/v1", "--predicate", "predicate.json");
    args.push(shape === "index" ? tagged : image);
    return await this.#run(by, args, format === "oci-1-1" ? { COSIGN_EXPERIMENTAL: "1" } : {});
  }

  /** Writes the question as all three take it; the differences between them are flags that one lacks. */
  #arguments(
    verifier: Program,
    image: string,
    change: { identity?: string; type?: string; annotation?: string; local?: string } = {},
  ): string[] {
    const { content, who, format, annotations, timestamp } = this.#one;
    const { stack, work } = this.#questions;
    const args = [content === "signature" ? "verify" : "verify-attestation"];
    if (verifier !== "cosign2") args.push("--trusted-root", stack.trustedRoot);
    if (verifier === "cosign" && format === "oci-1-1") args.push("--new-bundle-format=false");
    if (verifier !== "cosign-ts" && format === "oci-1-1") args.push("--experimental-oci11");
    if (timestamp === true) args.push("--use-signed-timestamps");
    if (change.local === undefined) args.push("--allow-http-registry");
    if (who === "key") args.push("--key", join(work, change.identity === undefined ? "p256.pub" : "other.pub"));
    else
      args.push(
        "--certificate-identity",
        change.identity ?? PEOPLE.email.identity,
        "--certificate-oidc-issuer",
        issuerOf(PEOPLE.email, stack.oidcUrl),
      );
    if (content === "attestation") args.push("--type", change.type ?? "https://example.com/note/v1");
    if (annotations === true) args.push("-a", change.annotation ?? "team=release");
    if (change.local !== undefined) args.push("--local-image", change.local);
    else args.push(image);
    return args;
  }

  async #verify(verifier: Program, args: readonly string[]): Promise<Outcome> {
    this.#asked += 1;
    return await this.#run(verifier, args, this.#one.format === "oci-1-1" ? { COSIGN_EXPERIMENTAL: "1" } : {});
  }

  /** Asks one verifier about the right thing and about what differs in one thing from it. */
  async #ask(column: string, verifier: Program, digests: readonly string[], repository: string): Promise<void> {
    const { content, annotations } = this.#one;
    const [signed = ""] = digests;
    const image = `${repository}@${signed}`;
    const asked: [what: string, expected: Verdict, args: readonly string[]][] = [
      ...digests.map((digest): [string, Verdict, string[]] => [
        digest === signed ? "the image" : "a platform",
        "accept",
        this.#arguments(verifier, `${repository}@${digest}`),
      ]),
      ["another signer", "refuse", this.#arguments(verifier, image, { identity: "bob@example.com" })],
    ];
    if (column === verifier) asked.push(["another image", "refuse", this.#arguments(verifier, `${repository}:other`)]);
    if (content === "attestation")
      asked.push(["another type", "refuse", this.#arguments(verifier, image, { type: "https://example.com/note/v2" })]);
    if (annotations === true) {
      asked.push(["another annotation", "accept", this.#arguments(verifier, image, { annotation: "note=a <b> & c" })]);
      asked.push(["a changed annotation", "refuse", this.#arguments(verifier, image, { annotation: "team=other" })]);
    }
    let good = true;
    for (const [what, expected, args] of asked) {
      const { verdict, reason } = readOutcome(await this.#verify(verifier, args));
      if (verdict === expected) continue;
      good = false;
      this.#fail(column, `${what}: ${verdict}, expected ${expected} (${reason})`);
    }
    if (good) this.#cells.set(column, "ok");
    if (good && verifier === "cosign-ts" && content === "signature" && column === verifier)
      await this.#expectExit("cosign-ts", image, 12, "another signer", "bob@example.com");
  }

  /** The exit status that scripts look at. */
  async #expectExit(
    verifier: Program,
    image: string,
    expected: number,
    what: string,
    identity?: string,
  ): Promise<void> {
    const args = this.#arguments(verifier, image, identity === undefined ? {} : { identity });
    const { status, stderr } = await this.#verify(verifier, args);
    if (status !== expected)
      this.#fail(verifier, `${what}: exit status ${status}, expected ${expected} (${stderr.trim()})`);
  }

  /** Copies the image: with oras, which knows referrers alone, with cosign, which knows tags alone, and with us. */
  async #copy(digests: readonly string[]): Promise<void> {
    const { format } = this.#one;
    const from = `${this.#repository}/app:v1`;
    const copiers: Readonly<Record<string, readonly string[]>> = {
      ...(format !== "legacy" && { oras: ["cp", "-r", "--from-plain-http", "--to-plain-http"] }),
      ...(format === "legacy" && { cosign: ["copy", "--allow-http-registry"] }),
      "cosign-ts": ["copy", "--allow-http-registry"],
    };
    for (const [copier, args] of Object.entries(copiers)) {
      const column = `copied by ${copier}`;
      const to = `${this.#repository}/copied-by-${copier}`;
      const outcome = await this.#run(copier, [...args, from, `${to}:v1`]);
      if (outcome.status !== 0) this.#fail(column, `could not copy: ${outcome.stderr.trim()}`);
      else for (const verifier of verifiersOf(this.#one)) await this.#ask(column, verifier, digests, to);
    }
  }

  /**
   * Saves the image with one and looks at the files with the other, and loads them with the other. cosign 3 reads no bundles of an
   * index that is saved, and loads none at all: it puts their manifest without the blob. Both is so for what it saved itself.
   */
  async #saveAndLoad(image: string, signed: string): Promise<void> {
    const { format, shape } = this.#one;
    if (format === "oci-1-1") return; // no layout of cosign has a place for it
    for (const [saver, loader] of [
      ["cosign", "cosign-ts"],
      ["cosign-ts", "cosign"],
    ] as const) {
      const column = `saved by ${saver}`;
      const dir = `saved-${this.#slug}-by-${saver}`;
      const saved = await this.#run(saver, ["save", "--allow-http-registry", "--dir", dir, image]);
      if (saved.status !== 0) {
        this.#fail(column, `could not save: ${saved.stderr.trim()}`);
        continue;
      }
      this.#cells.set(column, "ok");
      const isBundle = format === "bundle" && loader === "cosign";
      for (const [what, expected, change] of [
        [
          "the files",
          (isBundle && shape === "index") || !verifiersOf(this.#one).includes(loader) ? "refuse" : "accept",
          {},
        ],
        ["the files, another signer", "refuse", { identity: "bob@example.com" }],
      ] as const) {
        const { verdict, reason } = readOutcome(
          await this.#verify(loader, this.#arguments(loader, image, { ...change, local: dir })),
        );
        if (verdict !== expected)
          this.#fail(column, `${what} by ${loader}: ${verdict}, expected ${expected} (${reason})`);
      }
      if (isBundle) continue;
      const to = `${this.#repository}/loaded-by-${loader}`;
      const loaded = await this.#run(loader, ["load", "--allow-http-registry", "--dir", dir, `${to}:v1`]);
      if (loaded.status !== 0) this.#fail(column, `${loader} could not load: ${loaded.stderr.trim()}`);
      else for (const verifier of verifiersOf(this.#one)) await this.#askLoaded(column, verifier, `${to}@${signed}`);
    }
  }

  async #askLoaded(column: string, verifier: Program, image: string): Promise<void> {
    const { verdict, reason } = readOutcome(await this.#verify(verifier, this.#arguments(verifier, image)));
    if (verdict !== "accept") this.#fail(column, `loaded again, ${verifier}: ${verdict}, expected accept (${reason})`);
  }
}

const COLUMNS = [
  "cosign",
  "cosign2",
  "cosign-ts",
  "copied by oras",
  "copied by cosign",
  "copied by cosign-ts",
  "saved by cosign",
  "saved by cosign-ts",
] as const;

function printRows(registry: string, rows: readonly Row[]): string[] {
  const table = [
    ["signed", ...COLUMNS],
    ...rows.map(({ name, cells }) => [
      name,
      ...COLUMNS.map((column) => cells.get(column) ?? (cells.has("made") ? "!" : "-")),
    ]),
  ];
  const widths = table[0]?.map((_, column) => Math.max(...table.map((line) => line[column]?.length ?? 0))) ?? [];
  return [
    `Images in ${registry}: who verifies what was signed, there and after a copy; - not asked`,
    ...table.map((line) =>
      line
        .map((cell, column) => cell.padEnd(widths[column] ?? 0))
        .join("  ")
        .trimEnd(),
    ),
  ];
}

/** Ends a row where something fails that is not the question. */
function must({ status, stderr }: Outcome, what: string): void {
  if (status !== 0) throw new Error(`${what} failed: ${stderr.trim()}`);
}
