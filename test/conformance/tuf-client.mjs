// The tuf-conformance client protocol: init, refresh and download, over the built package, or over its source where
// COSIGN_TS_SOURCE says so. Uses the system's clock.

import { copyFileSync, mkdirSync } from "node:fs";
import { join } from "node:path";
import { parseArgs } from "node:util";

const from = (process.env.COSIGN_TS_SOURCE ?? "") === "" ? "../../dist/tuf/index.js" : "../../src/tuf/index.ts";
const { createFolderCache, SigstoreError, TufClient, createDownload } = await import(from);

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    "metadata-dir": { type: "string" },
    "metadata-url": { type: "string" },
    "target-name": { type: "string", multiple: true },
    "target-base-url": { type: "string" },
    "target-dir": { type: "string" },
  },
});
const metadataDir = values["metadata-dir"];

/** Metadata goes to one folder, targets to another. */
function createCache(targetDir) {
  const metadata = createFolderCache(metadataDir);
  const targets = targetDir === undefined ? metadata : createFolderCache(targetDir);
  const choose = (name) => (name.startsWith("targets/") ? [targets, name.slice("targets/".length)] : [metadata, name]);
  return {
    description: metadataDir,
    read(name) {
      const [cache, path] = choose(name);
      return cache.read(path);
    },
    write(name, bytes) {
      const [cache, path] = choose(name);
      cache.write(path, bytes);
    },
    remove: (name) => metadata.remove(name),
  };
}

async function open() {
  return await TufClient.open({
    mirror: values["metadata-url"],
    targetsUrl: values["target-base-url"],
    cache: createCache(values["target-dir"]),
    folder: "",
    download: createDownload({ timeoutMs: 20_000 }),
    now: new Date(),
    maxAgeMs: 0,
    allowStale: false,
  });
}

const COMMANDS = {
  init() {
    mkdirSync(metadataDir, { recursive: true });
    copyFileSync(positionals[1], join(metadataDir, "root.json"));
  },
  async refresh() {
    await open();
  },
  async download() {
    const client = await open();
    for (const name of values["target-name"]) await client.target(name);
  },
};

const command = COMMANDS[positionals[0]];
if (command === undefined) {
  console.error(`tuf-client: unknown command: ${positionals[0]}`);
  process.exit(2);
}
try {
  await command();
} catch (error) {
  if (!(error instanceof SigstoreError)) throw error;
  console.error(`${error.code}: ${error.message}`);
  process.exitCode = 1;
}
