/**
 * Runs what the documentation shows. The words after a block's language say how:
 *
 * - `run`: run in a folder that has `testdata` in it, after the blocks before it on the same page; `exit=1` is the exit status it must
 *   have. TypeScript is type-checked too.
 * - `sandbox`: started in the background, and ended with the page. Its ports are free ones, and are shown as those after 4400. Blocks
 *   that run reach loopback only on pages with a sandbox, and nothing else on any page.
 * - `output`: what the block before it must print. `…` stands for any text.
 * - `check`: TypeScript that is only type-checked, since it needs something that is not here.
 * - `network`: needs a network, or somebody else's program. Only the flags of our own commands are checked.
 * - `ci`: what a fresh checkout begins with; `.ci/run` runs it.
 *
 * The shell of a page is one shell: what a block sets is there in the next one.
 *
 * With `UPDATE_DOCS=1` the blocks of output without `…` are written anew.
 */

import { spawn, spawnSync, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { closeSync, mkdirSync, mkdtempSync, openSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { constants, tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { pathToFileURL } from "node:url";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { COMMANDS } from "../../src/cli/program.ts";
import { GLOBAL_FLAGS } from "../../src/cli/flags.ts";
import { PROGRAM, PROGRAM_IS_BUILT } from "../support/cli.ts";
import { readPages, type Block, type Page } from "../support/documents.ts";
import { projectDir } from "../support/shared.ts";

const PAGES = readPages();
const MARKS: Readonly<Record<string, readonly string[]>> = {
  sh: ["run", "sandbox", "network", "ci"],
  ts: ["run", "check"],
  text: ["output"],
  json: ["output"],
};

let root = "";
beforeAll(() => {
  root = mkdtempSync(join(tmpdir(), "cosign-ts-docs-"));
  mkdirSync(join(root, "bin"));
  const program = `exec ${quote(process.execPath)} ${quote(PROGRAM)} "$@"\n`;
  writeFileSync(join(root, "bin", "cosign-ts"), `#!/bin/sh\n${program}`, { mode: 0o755 });
  writeFileSync(join(root, "bin", "npx"), `#!/bin/sh\n[ "$1" = cosign-ts ] || exit 127\nshift\n${program}`, {
    mode: 0o755,
  });
  // `curl -s URL` is the one that is here, or else ours. As the programs, it reaches loopback only.
  const fetchText = "process.stdout.write(await (await fetch(process.argv.at(-1))).text())";
  const curl = [
    "#!/bin/sh",
    "for url; do :; done",
    `case "$url" in http://127.0.0.1:*) ;; *) echo "an example of the documentation asks $url" >&2; exit 7 ;; esac`,
    '[ ! -x /usr/bin/curl ] || exec /usr/bin/curl --noproxy 127.0.0.1 "$@"',
    `exec ${quote(process.execPath)} --input-type=module -e ${quote(fetchText)} -- "$@"`,
    "",
  ].join("\n");
  writeFileSync(join(root, "bin", "curl"), curl, { mode: 0o755 });
});
afterAll(() => rmSync(root, { recursive: true, force: true }));

describe("every block of the documentation", () => {
  test.for(PAGES.map((page) => [page.path, page] as const))("says what is done with it: %s", ([, page]) => {
    for (const { line, language, marks } of page.blocks) {
      const allowed = MARKS[language] ?? [];
      const mark = marks.find((word) => !word.startsWith("exit="));
      const known = mark === undefined ? !["sh", "ts", "js"].includes(language) : allowed.includes(mark);
      expect(known, `${page.path}:${line} ${language} ${marks.join(" ")}`).toBe(true);
    }
  });

  test.for(PAGES.map((page) => [page.path, page] as const))("names flags that exist: %s", async ([, page]) => {
    for (const block of page.blocks) {
      for (const { name, flags } of calls(block)) {
        const listed = COMMANDS.find((command) => `${name} `.startsWith(`${command.name} `));
        expect(listed?.name, `${page.path}:${block.line} cosign-ts ${name}`).toBeDefined();
        const known = [...((await listed?.load())?.flags ?? []), ...GLOBAL_FLAGS].map((flag) => `--${flag.name}`);
        for (const flag of flags) expect([...known, "--help"], `${page.path}:${block.line}`).toContain(flag);
      }
    }
  });

  test("is type-checked where it is TypeScript", () => {
    const folder = join(root, "types");
    mkdirSync(folder);
    for (const { path, blocks } of PAGES) {
      for (const { line, language, text } of blocks) {
        if (language === "ts") writeFileSync(join(folder, `${path.replaceAll(/[^A-Za-z0-9]/g, "-")}-${line}.ts`), text);
      }
    }
    const { exports } = JSON.parse(readFileSync(join(projectDir, "package.json"), "utf8")) as {
      exports: Record<string, string | { default: string }>;
    };
    const paths = Object.entries(exports).flatMap(([name, target]) =>
      typeof target === "string"
        ? []
        : [
            [
              name.replace(".", "cosign-ts"),
              [join(projectDir, target.default.replace("./dist/", "src/").replace(/\.js$/, ".ts"))],
            ],
          ],
    );
    const compilerOptions = {
      paths: Object.fromEntries(paths) as object,
      typeRoots: [join(projectDir, "node_modules", "@types")],
      lib: ["es2024", "dom", "dom.iterable"],
      noUnusedLocals: false, // an example may stop where it has shown what it is about
    };
    const config = { extends: join(projectDir, "tsconfig.json"), compilerOptions, include: ["*.ts"] };
    writeFileSync(join(folder, "tsconfig.json"), JSON.stringify(config));
    writeFileSync(join(folder, "package.json"), '{ "type": "module" }');
    const tsc = join(projectDir, "node_modules", "typescript", "bin", "tsc");
    const { stdout } = spawnSync(process.execPath, [tsc, "-p", folder], { encoding: "utf8" });
    expect(stdout).toBe("");
  });
});

/** More than a page takes on a machine that does other things at the same time. */
const PAGE_TIMEOUT_MS = 240_000;

// Readers on Windows have a shell of this kind too, but not by this name. The blocks of a page run in order, pages beside one another.
describe.skipIf(process.platform === "win32")("the examples of a page do what it says", () => {
  test.concurrent.for(PAGES.filter(({ blocks }) => blocks.some(isRun)).map((page) => [page.path, page] as const))(
    "%s",
    { timeout: PAGE_TIMEOUT_MS },
    async ([path, page]) => {
      const name = path.replaceAll(/[^A-Za-z0-9]/g, "-");
      const folder = join(root, name);
      mkdirSync(join(folder, "home"), { recursive: true });
      symlinkSync(join(projectDir, "testdata"), join(folder, "testdata"), "junction");
      const terminal = { folder, variables: join(root, `${name}.sh`), usesSandbox: page.blocks.some(usesSandbox) };
      let sandbox: RunningSandbox | undefined;
      try {
        for (const [index, block] of page.blocks.entries()) {
          if (!isRun(block)) continue;
          if (block.marks.includes("sandbox")) sandbox = await startSandbox(block, terminal);
          const printed = block.marks.includes("sandbox") ? sandbox?.printed : await runAsSaid(path, block, terminal);
          const output = outputAfter(page, index);
          if (printed === undefined || output === undefined) continue;
          const readable = (sandbox?.rename(printed) ?? printed).replaceAll(terminal.folder, "/home/alice");
          if (process.env["UPDATE_DOCS"] !== undefined && !output.text.includes("…"))
            update(path, block, output, readable);
          else expect(readable, `${path}:${block.line}`).toMatch(pattern(output.text));
        }
      } finally {
        await sandbox?.end();
      }
    },
  );
});

/** Is where the blocks of one page run, one after the other. */
interface Terminal {
  readonly folder: string;
  /** The file that keeps what was set. */
  readonly variables: string;
  readonly usesSandbox: boolean;
}

interface RunningSandbox {
  /** What it printed until it was ready. */
  readonly printed: string;
  /** Gives its ports the numbers that the page has for them. */
  rename(text: string): string;
  end(): Promise<void>;
}

function usesSandbox({ marks, text }: Block): boolean {
  return marks.includes("sandbox") || (marks.includes("run") && text.includes("cosign-ts/sandbox"));
}

function isRun({ marks }: Block): boolean {
  return marks.includes("run") || marks.includes("sandbox");
}

function outputAfter({ blocks }: Page, index: number): Block | undefined {
  const next = blocks[index + 1];
  return next?.marks.includes("output") === true ? next : undefined;
}

/** Runs a block, which has to end as its page says, and returns what it printed. */
async function runAsSaid(path: string, block: Block, terminal: Terminal): Promise<string> {
  const { status, printed } = await run(block, terminal);
  expect(printed, `${path}:${block.line}: the program broke`).not.toContain("Node.js v"); // as below a stack trace
  const expected = Number(block.marks.find((mark) => mark.startsWith("exit="))?.slice(5) ?? 0);
  expect(status, `${path}:${block.line}: ${printed}`).toBe(expected);
  return printed;
}

/** Runs a block as a reader would. Both output streams go into one, in order. */
async function run(
  { language, line, text }: Block,
  terminal: Terminal,
): Promise<{ readonly status: number | null; readonly printed: string }> {
  const { folder, variables } = terminal;
  const file = join(folder, `line-${line}.${language === "sh" ? "sh" : "ts"}`);
  const keep = `trap 'export -p >"$VARIABLES"' EXIT; set -a\n`;
  writeFileSync(file, language === "sh" ? keep + text : text);
  const program = language === "sh" ? `sh -eu ${quote(file)}` : `${quote(process.execPath)} ${quote(file)}`;
  const recall = `[ ! -e "$VARIABLES" ] || . "$VARIABLES"`;
  const child = spawn("sh", ["-c", `exec 2>&1; ${recall}; ${program}; status=$?; rm -f ${quote(file)}; exit $status`], {
    cwd: folder,
    env: { ...environmentOf(terminal), VARIABLES: variables },
    stdio: ["ignore", "pipe", "ignore"],
    timeout: PAGE_TIMEOUT_MS / 2,
  });
  let printed = "";
  child.stdout.setEncoding("utf8").on("data", (more: string) => void (printed += more));
  const [status] = (await once(child, "close")) as [number | null];
  return { status, printed };
}

function environmentOf({ folder, usesSandbox }: Terminal): Record<string, string> {
  const clock = pathToFileURL(join(projectDir, "test", "docs", "standing-clock.mjs")).href;
  return {
    PATH: `${join(root, "bin")}:${join(process.execPath, "..")}:${process.env["PATH"] ?? ""}`,
    HOME: join(folder, "home"),
    TZ: "UTC",
    LC_ALL: "C",
    NODE_OPTIONS: `--import=${clock} --disable-warning=ExperimentalWarning`,
    NODE_COMPILE_CACHE: join(root, "compile-cache"),
    ...(PROGRAM_IS_BUILT && { COSIGN_TS_DOCS_BUILT: "1" }),
    ...(usesSandbox && { COSIGN_TS_DOCS_SANDBOX: "1" }),
  };
}

/** Starts a sandbox in the background, as in another terminal, on ports that are free. */
async function startSandbox({ text, line }: Block, terminal: Terminal): Promise<RunningSandbox> {
  const { folder } = terminal;
  const log = join(folder, `line-${line}.log`);
  const fd = openSync(log, "w");
  const command = text.replace(/ --port 4400\b/, "").trim();
  // It ends with its standard input, and so with these tests, however they end.
  const untilEnd = `${command} & sandbox=$!; cat; kill "$sandbox"; wait "$sandbox"`;
  const child = spawn("sh", ["-eu", "-c", untilEnd], {
    cwd: folder,
    env: environmentOf(terminal),
    stdio: ["pipe", fd, fd],
  });
  closeSync(fd);
  const printed = await untilReady(child, log);
  const directory = /--dir (\S+)/.exec(text)?.[1] ?? "";
  const urls = JSON.parse(readFileSync(join(folder, directory, "env.json"), "utf8")) as Record<string, string>;
  const names = ["oidcUrl", "fulcioUrl", "ctlogUrl", "rekor2Url", "rekor1Url", "tsaUrl", "registryUrl"];
  const hosts = names.map((name) => URL.parse(urls[name] ?? "")?.host ?? urls[name] ?? name);
  return {
    printed,
    rename: (said) => hosts.reduce((so, host, index) => so.replaceAll(host, `127.0.0.1:${4400 + index}`), said),
    async end() {
      const ended = once(child, "exit");
      child.stdin?.end();
      expect(await ended, "how the sandbox ended").toEqual([128 + constants.signals.SIGTERM, null]);
      rmSync(log);
    },
  };
}

async function untilReady(child: ChildProcess, log: string): Promise<string> {
  for (let tries = 0; tries < 600; tries += 1) {
    const printed = readFileSync(log, "utf8");
    if (printed.endsWith("to end it.\n")) return printed;
    if (child.exitCode !== null) throw new Error(`the sandbox did not start: ${printed}`);
    await sleep(50);
  }
  throw new Error("the sandbox was not ready in time");
}

/** Finds the calls of our program in a block, with their flags. */
function calls({ language, text }: Block): readonly { readonly name: string; readonly flags: readonly string[] }[] {
  if (!["sh", "yaml"].includes(language)) return [];
  const lines = text.replaceAll(/\\\n\s*/g, " ").split("\n");
  return lines.flatMap((line) => {
    const [, rest] = /(?:^|[\s(|&;"'])cosign-ts ((?:[a-z]|--).*)$/.exec(line) ?? [];
    if (rest === undefined || /^--(help|version)/.test(rest)) return [];
    const [call = ""] = rest.split(/ [|>&] ?| && |;/);
    return [{ name: call, flags: [...call.matchAll(/(?<=\s)--[A-Za-z0-9-]+/g)].map(([flag]) => flag) }];
  });
}

/** Makes a pattern of text in which `…` stands for anything. */
function pattern(text: string): RegExp {
  const parts = text.trimEnd().split("…");
  return new RegExp(
    `^${parts.map((part) => part.replaceAll(/[.*+?^${}()|[\]\\]/g, String.raw`\$&`)).join("[^]*")}\\s*$`,
  );
}

function update(path: string, { text }: Block, output: Block, printed: string): void {
  const file = join(projectDir, path);
  const fence = `\`\`\`${output.language} output\n`;
  const page = readFileSync(file, "utf8");
  const from = page.indexOf(fence, page.indexOf(text)) + fence.length;
  if (!page.startsWith(output.text, from)) throw new Error(`${path}:${output.line} has changed`);
  writeFileSync(file, page.slice(0, from) + `${printed.trimEnd()}\n` + page.slice(from + output.text.length));
}

function quote(text: string): string {
  return `'${text.replaceAll("'", String.raw`'\''`)}'`;
}
