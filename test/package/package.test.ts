import { execFileSync } from "node:child_process";
import {
  mkdirSync,
  mkdtempSync,
  readFileSync,
  readdirSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join, posix } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { packageOf, readSource, resolveImport } from "../support/imports.ts";
import { projectDir } from "../support/shared.ts";

interface Manifest {
  readonly version: string;
  readonly bin: Readonly<Record<string, string>>;
  readonly exports: Readonly<Record<string, string | { readonly types: string; readonly default: string }>>;
  readonly dependencies: Readonly<Record<string, string>>;
}

interface Lock {
  readonly packages: Readonly<
    Record<string, { readonly link?: boolean; readonly dependencies?: object; readonly optionalDependencies?: object }>
  >;
}

const manifest = readJson(join(projectDir, "package.json")) as Manifest;
const subpaths = Object.keys(manifest.exports).filter((subpath) => !subpath.endsWith(".json"));
const specifiers = subpaths.map((subpath) => posix.join("cosign-ts", subpath));

let home = ""; // a stranger's project
let installed = ""; // the package in it

beforeAll(() => {
  home = mkdtempSync(join(tmpdir(), "cosign-ts-package-"));
  installed = join(home, "node_modules", "cosign-ts");
  mkdirSync(installed, { recursive: true });
  writeFileSync(join(home, "package.json"), '{ "private": true, "type": "module" }\n');
  const [packed] = JSON.parse(
    run("npm", ["pack", "--ignore-scripts", "--json", "--pack-destination", home], projectDir),
  ) as [{ filename: string }];
  run("tar", ["-xzf", join(home, packed.filename), "--strip-components=1", "-C", installed], home);
  for (const name of Object.keys(manifest.dependencies)) link(name);
});

afterAll(() => rmSync(home, { recursive: true, force: true }));

describe("the packed package", () => {
  test("holds what it needs to run, and nothing of its making", () => {
    const files = readdirSync(installed, { recursive: true, encoding: "utf8" }).filter((name) =>
      statSync(join(installed, name)).isFile(),
    );
    expect(files).toEqual(
      expect.arrayContaining([
        "LICENSE",
        "README.md",
        "CHANGELOG.md",
        "package.json",
        "schema/result.schema.json",
        "dist/cli/main.js",
      ]),
    );
    expect(files.filter((name) => !name.startsWith("dist/"))).toHaveLength(5);
    expect(files.filter((name) => !/\.(?:js|js\.map|d\.ts)$/.test(name) && name.startsWith("dist/"))).toEqual([]);
    const bytes = files.reduce((sum, name) => sum + statSync(join(installed, name)).size, 0);
    expect(bytes).toBeLessThan(6_000_000);
    // Nothing tells where it was built.
    expect(files.filter((name) => readFileSync(join(installed, name), "utf8").includes(projectDir))).toEqual([]);
  });

  test.each(specifiers)("gives exactly the names that its source exports from %s", async (specifier) => {
    const names = JSON.parse(
      evaluate(`import * as all from ${JSON.stringify(specifier)}; console.log(JSON.stringify(Object.keys(all)))`),
    ) as string[];
    const target = manifest.exports[specifier.replace("cosign-ts", ".")] as { default: string };
    const source = (await import(
      join(projectDir, target.default.replace("/dist/", "/src/").replace(/\.js$/, ".ts"))
    )) as object;
    expect(names.toSorted()).toEqual(Object.keys(source).toSorted());
    expect(names).not.toEqual([]);
    expect(names).not.toContain("default");
  });

  test("gives the same error classes from each entry point", () => {
    expect(
      evaluate(`
        import * as root from "cosign-ts"; import * as errors from "cosign-ts/errors"; import * as verify from "cosign-ts/verify";
        console.log(root.SigstoreError === errors.SigstoreError && verify.SigstoreError === errors.SigstoreError);`),
    ).toBe("true\n");
  });

  test("lets nobody import what is not an entry point", () => {
    expect(evaluate('import("cosign-ts/dist/errors.js").catch((error) => console.log(error.code))')).toBe(
      "ERR_PACKAGE_PATH_NOT_EXPORTED\n",
    );
  });

  test.each(["verify", "bundle", "trust", "errors"])(
    "does no I/O and loads at most @noble, when it is needed, from cosign-ts/%s",
    (name) => {
      const entry = (manifest.exports[`./${name}`] as { default: string }).default;
      const seen = new Set<string>();
      const outside: string[] = [];
      const queue = [posix.normalize(entry)];
      for (let path = queue.pop(); path !== undefined; path = queue.pop()) {
        if (seen.has(path)) continue;
        seen.add(path);
        for (const one of readSource(path, readFileSync(join(installed, path), "utf8")).imports) {
          const target = resolveImport(one);
          if (target === undefined) outside.push(`${one.kind} ${packageOf(one.specifier)}`);
          else queue.push(target);
        }
      }
      expect(outside.filter((one) => !["dynamic @noble/curves", "dynamic @noble/hashes"].includes(one))).toEqual([]);
      // Each file costs start-up time.
      expect(seen.size).toBeLessThanOrEqual(12);
    },
  );

  const compilers = { "TypeScript 7": projectDir, "TypeScript 6": join(projectDir, "docs", "site") };
  const resolutions = { nodenext: { module: "nodenext" }, bundler: { module: "esnext", moduleResolution: "bundler" } };
  test.each(
    Object.keys(compilers).flatMap((compiler) =>
      Object.keys(resolutions).map((resolution) => [compiler, resolution] as const),
    ),
  )("has types that %s takes with module resolution %s and library checks on", (compiler, resolution) => {
    const folder = join(home, `${compiler}-${resolution}`.replaceAll(" ", "-"));
    mkdirSync(folder);
    for (const name of ["@types/node", "undici-types"]) link(name);
    writeFileSync(
      join(folder, "tsconfig.json"),
      JSON.stringify({
        compilerOptions: {
          ...resolutions[resolution as keyof typeof resolutions],
          strict: true,
          exactOptionalPropertyTypes: true,
          skipLibCheck: false,
          noEmit: true,
          target: "es2024",
          types: ["node"],
        },
        files: ["stranger.ts"],
      }),
    );
    writeFileSync(
      join(folder, "stranger.ts"),
      [
        ...specifiers.map((specifier, index) => `import * as m${index} from "${specifier}";`),
        `export const all: readonly object[] = [${specifiers.map((_, index) => `m${index}`).join(", ")}];`,
        'import { verify } from "cosign-ts/verify";',
        "// @ts-expect-error: there is no default identity",
        "export const wrong = (bundle: string, artifact: Uint8Array) => verify(bundle, artifact);",
        "",
      ].join("\n"),
    );
    const tsc = join(compilers[compiler as keyof typeof compilers], "node_modules", "typescript", "bin", "tsc");
    // An empty answer says that there was nothing to complain about.
    expect(run(process.execPath, [tsc, "-p", folder], home)).toBe("");
  });

  test("has a command line that starts and knows its version", () => {
    expect(run(process.execPath, [join(installed, manifest.bin["cosign-ts"] ?? ""), "version"], home)).toContain(
      manifest.version,
    );
    expect(statSync(join(installed, manifest.bin["cosign-ts"] ?? "")).mode & 0o111).not.toBe(0);
  });

  test("brings at most 12 direct dependencies and 30 packages in all", () => {
    expect(Object.keys(manifest.dependencies).length).toBeLessThanOrEqual(12);
    const { packages } = readJson(join(projectDir, "package-lock.json")) as Lock;
    const all = new Set<string>();
    const add = (from: string, name: string): void => {
      // As Node looks for it: in the nearest node_modules, then in those above.
      for (let folder = from; ; folder = folder.slice(0, Math.max(0, folder.lastIndexOf("node_modules") - 1))) {
        const key = posix.join(folder, "node_modules", name);
        const found = packages[key];
        if (found !== undefined) {
          if (all.has(key)) return;
          all.add(key);
          for (const one of Object.keys({ ...found.dependencies, ...found.optionalDependencies })) add(key, one);
          return;
        }
        if (folder === "") throw new Error(`${name}, needed by ${from}, is not in the lock file`);
      }
    };
    for (const name of Object.keys(manifest.dependencies)) add("", name);
    expect(all.size).toBeGreaterThan(0);
    expect(all.size).toBeLessThanOrEqual(30);
  });
});

/** Puts one of this project's packages where the stranger would have it. */
function link(name: string): void {
  const place = join(home, "node_modules", name);
  mkdirSync(dirname(place), { recursive: true });
  rmSync(place, { force: true });
  symlinkSync(join(projectDir, "node_modules", name), place);
}

function evaluate(code: string): string {
  return run(process.execPath, ["--input-type=module", "--eval", code], home);
}

/** Runs a program; what it prints when it fails becomes the message. */
function run(program: string, args: readonly string[], cwd: string): string {
  try {
    return execFileSync(program, args, { cwd, encoding: "utf8", stdio: ["ignore", "pipe", "pipe"] });
  } catch (error) {
    const { stdout, stderr } = error as { stdout?: string; stderr?: string };
    throw new Error(`${program} failed:\n${stdout ?? ""}${stderr ?? ""}`, { cause: error });
  }
}

function readJson(file: string): unknown {
  return JSON.parse(readFileSync(file, "utf8"));
}
