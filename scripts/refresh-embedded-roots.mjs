// Writes src/tuf/embedded/{production,staging}.ts from the newest published packages that carry Sigstore's roots:
// `@sigstore/tuf` (npm) and `sigstore` (Python). Of two copies the one whose root.json has the higher version wins.
//
// usage: node scripts/refresh-embedded-roots.mjs        needs npm, Python 3 with pip, and their package indexes

import { execFileSync } from "node:child_process";
import { mkdirSync, mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

const target = fileURLToPath(new URL("../src/tuf/embedded/", import.meta.url));
const INSTANCES = {
  production: "https://tuf-repo-cdn.sigstore.dev",
  staging: "https://tuf-repo-cdn.sigstage.dev",
};

const work = mkdtempSync(join(tmpdir(), "embedded-roots-"));
try {
  const run = (command, args) => execFileSync(command, args, { cwd: work, encoding: "utf8", stdio: ["ignore", "pipe", "inherit"] });
  run("npm", ["init", "-y"]);
  run("npm", ["install", "--no-audit", "--no-fund", "@sigstore/tuf@latest"]);
  const npmFolder = join(work, "node_modules", "@sigstore", "tuf");
  const npmVersion = JSON.parse(readFileSync(join(npmFolder, "package.json"), "utf8")).version;
  const seeds = JSON.parse(readFileSync(join(npmFolder, "seeds.json"), "utf8"));
  const npmTime = JSON.parse(run("npm", ["view", `@sigstore/tuf@${npmVersion}`, "time", "--json"]))[npmVersion];

  run("python3", ["-m", "pip", "download", "--quiet", "--no-deps", "--dest", work, "sigstore"]);
  const wheel = readdirSync(work).find((name) => name.endsWith(".whl"));
  run("python3", ["-m", "zipfile", "-e", join(work, wheel), join(work, "wheel")]);
  const pythonVersion = wheel.split("-")[1];

  mkdirSync(target, { recursive: true });
  for (const [instance, mirror] of Object.entries(INSTANCES)) {
    const candidates = [];
    const seed = seeds[mirror];
    const decode = (text) => Buffer.from(text, "base64").toString("utf8");
    if (seed !== undefined) {
      candidates.push({
        from: `@sigstore/tuf ${npmVersion}`,
        root: decode(seed["root.json"]),
        trustedRoot: decode(seed.targets["trusted_root.json"]),
      });
    }
    const store = join(work, "wheel", "sigstore", "_store", encodeURIComponent(mirror));
    const read = (name) => readFileSync(join(store, name), "utf8");
    candidates.push({ from: `sigstore ${pythonVersion} for Python`, root: read("root.json"), trustedRoot: read("trusted_root.json") });
    const version = ({ root }) => JSON.parse(root).signed.version;
    const best = candidates.toSorted((a, b) => version(b) - version(a))[0];
    const files = { root: best.root, trustedRoot: best.trustedRoot, signingConfig: read("signing_config.v0.2.json") };

    const lines = [
      `// Written by scripts/refresh-embedded-roots.mjs from ${best.from}; the signing config is that of sigstore ${pythonVersion} for Python.`,
      "// prettier-ignore",
      `/** Is the trust material of the ${instance} instance: files as its TUF repository ${mirror} serves them. */`,
      `export const ${instance} = {`,
      `  publishedAt: ${JSON.stringify(npmTime)},`,
      ...Object.entries(files).map(([name, text]) => `  ${name}: ${JSON.stringify(text)},`),
      "} as const;",
      "",
    ];
    writeFileSync(join(target, `${instance}.ts`), lines.join("\n"));
    console.log(`${instance}: root version ${version(best)} from ${best.from}`);
  }
} finally {
  rmSync(work, { recursive: true, force: true });
}
