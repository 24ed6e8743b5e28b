// Writes src/tuf/embedded/{production,staging}.ts from the newest published packages that carry Sigstore's roots:
// `@sigstore/tuf` (npm) and `sigstore` (Python). Of two copies the one whose root.json has the higher version wins.
//
// A root is taken only if it is not older than the one that is here, and signed by its own keys and by those of that one; where
// too many keys have changed between the two, compare the roots between by hand and say --unchained.
//
// usage: npx node scripts/refresh-embedded-roots.mjs [--unchained]
//        needs this project's own Node, npm, Python 3 with pip, and their package indexes

import { execFileSync } from "node:child_process";
import { mkdirSync, mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { Metadata } from "@tufjs/models";
import { parseSigningConfig } from "../src/trust/signing-config.ts";
import { parseTrustedRoot } from "../src/trust/trusted-root.ts";

const unchained = process.argv.includes("--unchained");
const target = fileURLToPath(new URL("../src/tuf/embedded/", import.meta.url));
const INSTANCES = {
  production: "https://tuf-repo-cdn.sigstore.dev",
  staging: "https://tuf-repo-cdn.sigstage.dev",
};

const readRoot = (text) => Metadata.fromJSON("root", JSON.parse(text));

/** Throws unless the new files may take the place of the present ones. */
function check(instance, files, present) {
  const next = readRoot(files.root);
  next.verifyDelegate("root", next);
  const current = readRoot(present.root);
  if (next.signed.version < current.signed.version) {
    throw new Error(
      `${instance}: root version ${next.signed.version} is older than ${current.signed.version}, which is here`,
    );
  }
  if (!unchained) current.verifyDelegate("root", next);
  const { unusable, ignoredFields } = parseTrustedRoot(files.trustedRoot);
  if (unusable.length > 0) throw new Error(`${instance}: unusable in the trusted root: ${JSON.stringify(unusable)}`);
  if (ignoredFields.length > 0)
    console.log(`${instance}: fields of the trusted root that are not known: ${ignoredFields.join(", ")}`);
  parseSigningConfig(files.signingConfig);
}

const work = mkdtempSync(join(tmpdir(), "embedded-roots-"));
try {
  const run = (command, args) =>
    execFileSync(command, args, { cwd: work, encoding: "utf8", stdio: ["ignore", "pipe", "inherit"] });
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
    candidates.push({
      from: `sigstore ${pythonVersion} for Python`,
      root: read("root.json"),
      trustedRoot: read("trusted_root.json"),
    });
    const version = ({ root }) => JSON.parse(root).signed.version;
    const best = candidates.toSorted((a, b) => version(b) - version(a))[0];
    const files = { root: best.root, trustedRoot: best.trustedRoot, signingConfig: read("signing_config.v0.2.json") };
    const present = await import(new URL(`../src/tuf/embedded/${instance}.ts`, import.meta.url).href);
    check(instance, files, present[instance]);

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
