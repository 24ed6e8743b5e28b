/**
 * Builds `dist/` from `src/`: declarations by TypeScript; the entry points of the library, with the code they share in chunks; and
 * the command line, one entry and one lazily loaded chunk a command.
 *
 * The entry points are those of `exports` in package.json: `./dist/verify/index.js` is made from `src/verify/index.ts`.
 */
import { execFileSync } from "node:child_process";
import {
  chmodSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { join, relative, resolve, sep } from "node:path";
import process from "node:process";
import { build, type BuildOptions, type OutputOptions } from "rolldown";

type CodeSplitting = Exclude<OutputOptions["codeSplitting"], boolean | undefined>;

interface Manifest {
  readonly exports: Readonly<Record<string, string | { readonly default: string }>>;
  readonly dependencies: Readonly<Record<string, string>>;
}

const PROJECT = resolve(import.meta.dirname, "..");
const DIST = join(PROJECT, "dist");
/** Where it is built: what is in `dist` stays until all is done, and is replaced at once. As deep as `dist`, for the paths in source maps. */
const PARTIAL = join(PROJECT, "dist.partial");
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

const CLI = join(PROJECT, "src", "cli");
const commands = readdirSync(join(CLI, "commands")).map((name) => join(CLI, "commands", name));
const common = {
  cwd: PROJECT,
  tsconfig: join(PROJECT, "tsconfig.json"),
  // Dependencies stay outside, whatever else is imported goes in.
  external: [/^node:/, ...Object.keys(manifest.dependencies).map((name) => new RegExp(`^${name}(/|$)`))],
  // Needed for chunks of our own choice; a test compares the names that each entry point ends up with.
  preserveEntrySignatures: "allow-extension",
  logLevel: "warn",
} satisfies BuildOptions;
// Maps lead to lines of the source, which is not repeated in them: it would be most of the package.
const output = {
  format: "esm",
  sourcemap: true,
  sourcemapExcludeSources: true,
  comments: { jsdoc: false },
} satisfies BuildOptions["output"];

emitDeclarations();
await build({
  ...common,
  input: entries,
  platform: "neutral",
  output: {
    ...output,
    dir: PARTIAL,
    chunkFileNames: "chunks/[name]-[hash].js",
    codeSplitting: chunks(
      [{ name: "verify", of: [join(PROJECT, "src", "verify", "index.ts")] }],
      Object.values(entries),
    ),
  },
});
await build({
  ...common,
  input: { main: join(CLI, "main.ts") },
  platform: "node",
  output: {
    ...output,
    dir: join(PARTIAL, "cli"),
    chunkFileNames: "[name]-[hash].js",
    codeSplitting: chunks(
      [
        { name: "program", of: [join(CLI, "process.ts")] },
        // The verifying commands share all but a few lines.
        { name: "verification", of: commands.filter((command) => command.includes("verify-blob")) },
      ],
      [join(CLI, "main.ts"), ...commands.filter((command) => !command.includes("verify-blob"))],
    ),
  },
});
chmodSync(join(PARTIAL, "cli", "main.js"), 0o755);
rmSync(DIST, { recursive: true, force: true });
renameSync(PARTIAL, DIST);

/**
 * Puts what these files import into one chunk each, since every file that is loaded costs about a millisecond. What is imported only
 * when needed stays apart.
 *
 * @param groups - Chunks, in order: a file goes into the first that it belongs to.
 * @param alone - Files that stay on their own whoever imports them: entry points, and what is loaded when it is needed.
 */
function chunks(
  groups: readonly { readonly name: string; readonly of: readonly string[] }[],
  alone: readonly string[],
): CodeSplitting {
  let places: Map<string, string> | undefined;
  return {
    includeDependenciesRecursively: false,
    groups: [
      {
        debugName: "by need",
        name: (id, context) => {
          if (places === undefined) {
            places = new Map();
            for (const { name, of } of groups) {
              const queue = [...of];
              for (let file = queue.pop(); file !== undefined; file = queue.pop()) {
                if (places.has(file)) continue;
                places.set(file, name);
                queue.push(...(context.getModuleInfo(file)?.importedIds ?? []));
              }
            }
            for (const file of alone) places.delete(file);
          }
          return places.get(id);
        },
      },
    ],
  };
}

/** Writes the `.d.ts` files that the entry points need; nothing is left of a failed build. */
function emitDeclarations(): void {
  rmSync(PARTIAL, { recursive: true, force: true });
  mkdirSync(PARTIAL);
  const tsc = join(PROJECT, "node_modules", "typescript", "bin", "tsc");
  try {
    execFileSync(process.execPath, [tsc, "-p", join(PROJECT, "tsconfig.build.json"), "--outDir", PARTIAL], {
      stdio: "inherit",
    });
  } catch {
    rmSync(PARTIAL, { recursive: true, force: true });
    console.error("cannot build: the types are wrong, see above");
    process.exit(1);
  }
  for (const name of readdirSync(PARTIAL, { recursive: true, encoding: "utf8" })) {
    if (!name.endsWith(".d.ts")) continue;
    // TypeScript rewrites ./a.ts to ./a.js in the code that it emits, but not in declarations.
    const file = join(PARTIAL, name.split(sep).join("/"));
    writeFileSync(file, readFileSync(file, "utf8").replace(/((?:from |import\()")(\.{1,2}\/[^"]+)\.ts"/g, '$1$2.js"'));
  }
}
