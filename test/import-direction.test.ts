import { readFileSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { packageOf, readSource, resolveImport, type SourceFile } from "./support/imports.ts";
import { projectDir } from "./support/shared.ts";

/** Folders in the order in which they may import: each from itself and from those before it. */
const PURE = [
  "encoding",
  "asn1",
  "crypto",
  "x509",
  "dsse",
  "intoto",
  "tlog",
  "tsa",
  "bundle",
  "trust",
  "verify",
  "policy",
];
/** Below this line code may do I/O, through what it was given. */
const WITH_IO = [
  "http",
  "storage",
  "tuf",
  "files",
  "oidc",
  "fulcio",
  "rekor",
  "timestamp",
  "keys",
  "sign",
  "oci",
  "sandbox",
  "report",
  "cli",
];
const FOLDERS = [...PURE, ...WITH_IO];

/** The folders that may load a package; `lazy`: only with `import()`, when it is needed. */
const PACKAGES: Readonly<Record<string, { readonly folder: string | readonly string[]; readonly lazy?: true }>> = {
  "@noble/curves": { folder: ["crypto", "keys"], lazy: true },
  "@noble/hashes": { folder: "crypto", lazy: true },
  undici: { folder: "http" },
  "@tufjs/models": { folder: "tuf" },
  "tuf-js": { folder: "tuf" },
  re2js: { folder: "policy" },
  "@noble/ciphers": { folder: "keys", lazy: true },
  "modern-tar": { folder: "oci", lazy: true },
  yaml: { folder: "cli" },
  jose: { folder: "sandbox" },
  hono: { folder: "sandbox" },
  "@hono/node-server": { folder: "sandbox" },
};

/** Pure files that ask which runtime they are in, and what they take for that. */
const ASKS_RUNTIME: Readonly<Record<string, readonly string[]>> = {};

const EXPORTS = Object.values(
  (JSON.parse(readFileSync(join(projectDir, "package.json"), "utf8")) as { exports: Record<string, unknown> }).exports,
);
/** Source of every package entry point: `./dist/verify/index.js` is made from `src/verify/index.ts`. */
const ENTRY_POINTS = new Set(
  EXPORTS.flatMap((target) =>
    typeof target === "object" && target !== null && "default" in target ? [String(target.default)] : [],
  ).map((file) => file.replace("./dist/", "src/").replace(/\.js$/, ".ts")),
);

/** Lists everything that these files do against the rules, one sentence each. */
function violations(files: readonly SourceFile[]): readonly string[] {
  const found: string[] = [];
  for (const file of files) {
    const say = (problem: string): void => void found.push(`${file.path} ${problem}`);
    const folder = folderOf(file.path);
    const pure = folder === "" ? file.path !== "src/index.ts" : PURE.includes(folder);
    if (folder !== "" && !FOLDERS.includes(folder)) say(`is in a folder without a place in the order: ${folder}`);
    if (folder === "" && !["src/errors.ts", "src/limits.ts", "src/index.ts"].includes(file.path))
      say("is in no folder");
    if (file.path.endsWith("/index.ts") && !ENTRY_POINTS.has(file.path))
      say("is an index.ts, but no entry point of the package");

    for (const one of file.imports) {
      const { specifier, kind, reExport } = one;
      if (reExport !== undefined && !ENTRY_POINTS.has(file.path))
        say(`re-exports ${specifier}, but is no entry point of the package`);
      if (reExport === "all") say(`re-exports all of ${specifier}, not names`);
      const target = resolveImport(one);
      if (target !== undefined) {
        if (target.endsWith("/index.ts")) say(`imports the entry point ${target}, not the file that defines the name`);
        if (!specifier.endsWith(".ts")) say(`imports ${specifier} without .ts`);
        if (!mayImport(file.path, target)) say(`imports ${target}, which is below it`);
      } else if (specifier.startsWith("node:")) {
        if (pure && kind !== "type") say(`imports ${specifier}, but is to run everywhere`);
      } else {
        const rule = PACKAGES[packageOf(specifier)];
        if (rule === undefined || ![rule.folder].flat().includes(folder))
          say(`imports ${specifier}, which is not for it`);
        else if (rule?.lazy === true && kind === "static") say(`imports ${specifier} at once, not when it is needed`);
      }
    }
    if (pure)
      for (const name of file.ambient)
        if (!(ASKS_RUNTIME[file.path] ?? []).includes(name))
          say(`uses ${name}, but is to be a function of its arguments`);
  }
  return found;
}

function folderOf(path: string): string {
  const [, folder = "", file] = path.split("/");
  return file === undefined ? "" : folder;
}

function mayImport(from: string, target: string): boolean {
  if (!target.startsWith("src/")) return false;
  if (from === "src/errors.ts" || from === "src/limits.ts") return false;
  if (target === "src/errors.ts" || target === "src/limits.ts") return true;
  if (from === "src/index.ts") return folderOf(target) !== "cli";
  return FOLDERS.indexOf(folderOf(target)) <= FOLDERS.indexOf(folderOf(from)) && FOLDERS.includes(folderOf(target));
}

/** Everything that loading `entry` loads, now or when needed. */
function graphOf(
  entry: string,
  files: readonly SourceFile[],
): { readonly files: ReadonlySet<string>; readonly outside: readonly string[] } {
  const byPath = new Map(files.map((file) => [file.path, file]));
  const seen = new Set<string>();
  const outside: string[] = [];
  const queue = [entry];
  for (let path = queue.pop(); path !== undefined; path = queue.pop()) {
    if (seen.has(path)) continue;
    seen.add(path);
    for (const one of byPath.get(path)?.imports ?? []) {
      if (one.kind === "type") continue;
      const target = resolveImport(one);
      if (target === undefined) outside.push(one.specifier);
      else queue.push(target);
    }
  }
  return { files: seen, outside };
}

const sources = readdirSync(join(projectDir, "src"), { recursive: true, encoding: "utf8" })
  .map((name) => `src/${name.replaceAll("\\", "/")}`)
  .filter((path) => path.endsWith(".ts"))
  .toSorted()
  .map((path) => readSource(path, readFileSync(join(projectDir, path), "utf8")));

describe("the sources", () => {
  test("import only upward, packages only where they belong, and stay pure above the line", () => {
    expect(sources.length).toBeGreaterThan(50);
    expect(violations(sources)).toEqual([]);
  });

  test("have an entry point for every subpath of the package", () => {
    expect(sources.map((file) => file.path)).toEqual(expect.arrayContaining([...ENTRY_POINTS]));
  });

  test.each(["src/verify/index.ts", "src/bundle/index.ts", "src/trust/index.ts", "src/errors.ts"])(
    "reach nothing that does I/O from %s",
    (entry) => {
      const graph = graphOf(entry, sources);
      expect([...graph.files].filter((path) => WITH_IO.includes(folderOf(path)))).toEqual([]);
      expect(graph.outside.filter((specifier) => !specifier.startsWith("@noble/"))).toEqual([]);
    },
  );
});

describe("the rules", () => {
  const GOOD =
    'import { FormatError } from "../errors.ts";\nimport type { X509Certificate } from "node:crypto";\nexport const a = (d: Date) => FormatError;\n';
  const check = (path: string, text: string): readonly string[] => violations([readSource(path, text)]);

  test("find nothing in a file that keeps them", () => {
    expect(check("src/tlog/checkpoint.ts", GOOD)).toEqual([]);
    expect(check("src/crypto/noble.ts", 'export const load = () => import("@noble/curves/nist.js");')).toEqual([]);
    expect(check("src/verify/index.ts", 'export { verify } from "./verifier.ts";')).toEqual([]);
    expect(
      check("src/tuf/cache.ts", 'import { join } from "node:path"; export const now = () => new Date(process.env.X);'),
    ).toEqual([]);
  });

  test.each([
    ["imports a folder below its own", "src/tlog/a.ts", 'import { b } from "../verify/b.ts";', "which is below it"],
    [
      "imports a type from a folder below its own",
      "src/tlog/a.ts",
      'import type { B } from "../verify/b.ts";',
      "which is below it",
    ],
    [
      "names a type of a folder below its own",
      "src/tlog/a.ts",
      'export type B = import("../verify/b.ts").B;',
      "which is below it",
    ],
    [
      "loads a folder below its own when needed",
      "src/tlog/a.ts",
      'export const b = () => import("../verify/b.ts");',
      "which is below it",
    ],
    [
      "imports a later folder of its own line",
      "src/dsse/a.ts",
      'import { b } from "../tlog/b.ts";',
      "which is below it",
    ],
    ["imports what is outside src", "src/cli/a.ts", 'import { b } from "../../test/b.ts";', "which is below it"],
    ["is errors.ts and imports", "src/errors.ts", 'import { b } from "./limits.ts";', "which is below it"],
    ["is limits.ts and imports", "src/limits.ts", 'import { b } from "./errors.ts";', "which is below it"],
    ["is in an unknown folder", "src/utils/a.ts", "export const a = 1;", "without a place"],
    ["is in no folder", "src/helpers.ts", "export const a = 1;", "in no folder"],
    ["is an index.ts without a subpath", "src/tlog/index.ts", "export const a = 1;", "no entry point"],
    ["imports an index.ts", "src/cli/a.ts", 'import { verify } from "../verify/index.ts";', "the file that defines"],
    ["re-exports", "src/verify/a.ts", 'export { b } from "./b.ts";', "re-exports ./b.ts"],
    ["re-exports a type", "src/verify/a.ts", 'export type { B } from "./b.ts";', "re-exports ./b.ts"],
    ["re-exports in two steps", "src/verify/a.ts", 'import { b } from "./b.ts"; export { b };', "re-exports ./b.ts"],
    ["re-exports all, as an entry point", "src/verify/index.ts", 'export * from "./b.ts";', "not names"],
    ["re-exports all types, as an entry point", "src/verify/index.ts", 'export type * from "./b.ts";', "not names"],
    ["imports node: in a pure folder", "src/encoding/a.ts", 'import { hash } from "node:crypto";', "run everywhere"],
    [
      "loads node: in a pure folder when needed",
      "src/encoding/a.ts",
      'export const c = () => import("node:crypto");',
      "run everywhere",
    ],
    [
      "imports only types of node:, but loads it",
      "src/encoding/a.ts",
      'import { type X } from "node:crypto";',
      "run everywhere",
    ],
    ["imports an unknown package", "src/verify/a.ts", 'import b from "left-pad";', "not for it"],
    ["imports a runtime module without node:", "src/tuf/a.ts", 'import b from "fs";', "not for it"],
    ["imports a package of another folder", "src/cli/a.ts", 'import { request } from "undici";', "not for it"],
    ["imports @noble at once", "src/crypto/a.ts", 'import { p256 } from "@noble/curves/nist.js";', "when it is needed"],
    ["imports without .ts", "src/tlog/a.ts", 'import { b } from "./b.js";', "without .ts"],
    ["imports a computed name", "src/verify/a.ts", "export const b = (name: string) => import(name);", "not for it"],
    ["reads the clock", "src/verify/a.ts", "export const b = () => new Date();", "uses new Date()"],
    ["reads the clock in milliseconds", "src/verify/a.ts", "export const b = () => Date.now();", "uses Date.now()"],
    ["reads the environment", "src/verify/a.ts", "export const b = process.env;", "uses process"],
    ["reaches the network", "src/trust/a.ts", "export const b = () => fetch(url);", "uses fetch"],
    ["uses Buffer", "src/encoding/a.ts", "export const b = Buffer.alloc(1);", "uses Buffer"],
  ])("find a file that %s", (_what, path, text, expected) => {
    const found = check(path, text);
    expect(found).toHaveLength(1);
    expect(found[0]).toContain(expected);
  });
});
