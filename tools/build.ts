/**
 * Builds `dist/` from `src/`: declarations by TypeScript; the entry points of the library, with the code they share in chunks; and
 * the command line, one entry and one lazily loaded chunk a command.
 *
 * The entry points are those of `exports` in package.json: `./dist/verify/index.js` is made from `src/verify/index.ts`.
 */
import { execFileSync } from "node:child_process";
import { chmodSync, existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join, relative, resolve, sep } from "node:path";
import process from "node:process";
import { build, type BuildOptions } from "rolldown";

interface Manifest {
  readonly exports: Readonly<Record<string, string | { readonly default: string }>>;
  readonly dependencies: Readonly<Record<string, string>>;
}

const PROJECT = resolve(import.meta.dirname, "..");
const DIST = join(PROJECT, "dist");
const manifest = JSON.parse(readFileSync(join(PROJECT, "package.json"), "utf8")) as Manifest;

/** Entry points by their path below `dist`, without `.js`. */
const entries = Object.fromEntries(
  Object.values(manifest.exports).flatMap((target) => {
    if (typeof target === "string") return []; // package.json itself
    const name = target.default.replace("./dist/", "").replace(/\.js$/, "");
    return [[name, join(PROJECT, "src", `${name}.ts`)]];
  }),
);

for (const file of [...Object.values(entries), join(PROJECT, "src", "cli", "main.ts")])
  if (!existsSync(file)) {
    console.error(`cannot build: ${relative(PROJECT, file)} is missing`);
    process.exit(1);
  }

emitDeclarations();
const common = {
  cwd: PROJECT,
  tsconfig: join(PROJECT, "tsconfig.json"),
  // Dependencies stay outside, whatever else is imported goes in.
  external: [/^node:/, ...Object.keys(manifest.dependencies).map((name) => new RegExp(`^${name}(/|$)`))],
  logLevel: "warn",
} satisfies BuildOptions;
await build({
  ...common,
  input: entries,
  platform: "neutral",
  output: { dir: DIST, format: "esm", sourcemap: true, chunkFileNames: "chunks/[name]-[hash].js" },
});
await build({
  ...common,
  input: { main: join(PROJECT, "src", "cli", "main.ts") },
  platform: "node",
  output: { dir: join(DIST, "cli"), format: "esm", sourcemap: true, chunkFileNames: "[name]-[hash].js" },
});
chmodSync(join(DIST, "cli", "main.js"), 0o755);

/** Writes the `.d.ts` files that the entry points need; nothing is left of a failed build. */
function emitDeclarations(): void {
  rmSync(DIST, { recursive: true, force: true });
  mkdirSync(DIST);
  const tsc = join(PROJECT, "node_modules", "typescript", "bin", "tsc");
  try {
    execFileSync(process.execPath, [tsc, "-p", join(PROJECT, "tsconfig.build.json")], { stdio: "inherit" });
  } catch {
    rmSync(DIST, { recursive: true, force: true });
    console.error("cannot build: the types are wrong, see above");
    process.exit(1);
  }
  for (const name of readdirSync(DIST, { recursive: true, encoding: "utf8" })) {
    if (!name.endsWith(".d.ts")) continue;
    // TypeScript rewrites ./a.ts to ./a.js in the code that it emits, but not in declarations.
    const file = join(DIST, name.split(sep).join("/"));
    writeFileSync(file, readFileSync(file, "utf8").replace(/((?:from |import\()")(\.{1,2}\/[^"]+)\.ts"/g, '$1$2.js"'));
  }
}
